// Package wholetest is a whole AWS account behind one URL, for tests that run
// the real program: CloudFormation is that of cfntest, all else is moto's.
package wholetest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"rocca/internal/aws/awstest"
	"rocca/internal/aws/cfntest"
	"rocca/internal/aws/image"
	"rocca/internal/aws/settings"
	"rocca/internal/aws/stack"
)

// Account is an empty account and region.
type Account struct {
	Formation *cfntest.Server
	Services  *awstest.Cloud

	t         testing.TB
	endpoint  string
	web       string // proxy to what is not AWS's API
	authority string // file of who signs for the web

	made sync.Map // what CloudFormation would have made in other services
}

// Image is Debian's newest in this account.
const Image = "ami-0bbbbbbbbbbbbbbbb"

// Start gives an account in which nothing stands in the way of a deployment.
func Start(t testing.TB) *Account {
	t.Helper()
	a := &Account{Formation: cfntest.New(t), Services: awstest.Start(t), t: t}
	endpoint := httptest.NewServer(a.split())
	t.Cleanup(endpoint.Close)
	a.endpoint = endpoint.URL
	a.serveWeb()
	a.answerWhatMotoLacks()
	return a
}

// Environment is that of a program that shall use this account, and reaches
// nothing else.
func (a *Account) Environment() []string {
	none := filepath.Join(a.t.TempDir(), "none")
	return append(a.Services.Environment(), "AWS_ENDPOINT_URL="+a.endpoint, "AWS_CONFIG_FILE="+none, "AWS_SHARED_CREDENTIALS_FILE="+none,
		"HTTPS_PROXY="+a.web, "SSL_CERT_FILE="+a.authority)
}

// step is how much time passes between two questions to CloudFormation: what it
// is asked about has ended before, and no program has to wait for it.
const step = time.Hour

// split hands each request to who answers for its service.
func (a *Account) split() http.Handler {
	forward := func(to string) *httputil.ReverseProxy {
		target, err := url.Parse(to)
		if err != nil {
			a.t.Fatal(err)
		}
		return &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host // it is signed
		}}
	}
	formation, services := forward(*a.Formation.Config().BaseEndpoint), forward(a.Services.Endpoint)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		form, _ := url.ParseQuery(string(body)) // of what is none there is nothing to know
		switch service := serviceOf(r); service {
		case "cloudformation":
			// In the middle of a list, time stands still.
			if form.Get("NextToken") == "" {
				_ = a.Formation.Sleep(r.Context(), step) // it ends with the test
			}
			formation.ServeHTTP(w, r)
			return
		case "s3":
			if name, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/"); name != "" {
				a.once("bucket "+name, func() { a.makeBucket(name) })
			}
		case "iam":
			if role := form.Get("RoleName"); role != "" {
				a.once("role "+role, func() { a.makeRole(role) })
			}
		}
		services.ServeHTTP(w, r)
	})
}

// serviceOf reads the service from what a request is signed for.
func serviceOf(r *http.Request) string {
	_, scope, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	if parts := strings.Split(scope, "/"); len(parts) > 3 {
		return parts[3]
	}
	return ""
}

func (a *Account) once(what string, do func()) {
	once, _ := a.made.LoadOrStore(what, new(sync.Once))
	once.(*sync.Once).Do(do)
}

func (a *Account) makeBucket(name string) {
	_, err := s3.NewFromConfig(a.Services.Config(a.t), pathStyle).CreateBucket(a.t.Context(), &s3.CreateBucketInput{Bucket: &name,
		CreateBucketConfiguration: &s3types.CreateBucketConfiguration{LocationConstraint: awstest.Region}})
	if err != nil {
		a.t.Errorf("make the bucket %s: %v", name, err)
	}
}

func pathStyle(o *s3.Options) { o.UsePathStyle = true }

func (a *Account) makeRole(name string) {
	_, err := iam.NewFromConfig(a.Services.Config(a.t)).CreateRole(a.t.Context(), &iam.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: aws.String("{}")})
	if err != nil {
		a.t.Errorf("make the role %s: %v", name, err)
	}
}

// Objects are those of all buckets, by key.
func (a *Account) Objects() map[string][]byte {
	a.t.Helper()
	cloud := s3.NewFromConfig(a.Services.Config(a.t), pathStyle)
	buckets, err := cloud.ListBuckets(a.t.Context(), &s3.ListBucketsInput{})
	if err != nil {
		a.t.Fatal(err)
	}
	objects := map[string][]byte{}
	for _, b := range buckets.Buckets {
		list, err := cloud.ListObjectsV2(a.t.Context(), &s3.ListObjectsV2Input{Bucket: b.Name})
		if err != nil {
			a.t.Fatal(err)
		}
		for _, o := range list.Contents {
			answer, err := cloud.GetObject(a.t.Context(), &s3.GetObjectInput{Bucket: b.Name, Key: o.Key})
			if err != nil {
				a.t.Fatal(err)
			}
			if objects[*o.Key], err = io.ReadAll(answer.Body); err != nil {
				a.t.Fatal(err)
			}
		}
	}
	return objects
}

// Granted are the names of the inline policies that roles were given by calls.
func (a *Account) Granted() []string {
	a.t.Helper()
	cloud := iam.NewFromConfig(a.Services.Config(a.t))
	roles, err := cloud.ListRoles(a.t.Context(), &iam.ListRolesInput{})
	if err != nil {
		a.t.Fatal(err)
	}
	var names []string
	for _, role := range roles.Roles {
		policies, err := cloud.ListRolePolicies(a.t.Context(), &iam.ListRolePoliciesInput{RoleName: role.RoleName})
		if err != nil {
			a.t.Fatal(err)
		}
		names = append(names, policies.PolicyNames...)
	}
	return names
}

// PutSecret puts a secret where CloudFormation or RDS would.
func (a *Account) PutSecret(name, value string) {
	a.t.Helper()
	_, err := secretsmanager.NewFromConfig(a.Services.Config(a.t)).CreateSecret(a.t.Context(), &secretsmanager.CreateSecretInput{Name: &name, SecretString: &value})
	if err != nil {
		a.t.Fatal(err)
	}
}

// RunServer starts an instance, as the stack with the servers would.
func (a *Account) RunServer(deployment string) {
	a.t.Helper()
	_, err := ec2.NewFromConfig(a.Services.Config(a.t)).RunInstances(a.t.Context(), &ec2.RunInstancesInput{
		ImageId: aws.String(Image), InstanceType: ec2types.InstanceTypeT4gSmall, MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
		TagSpecifications: []ec2types.TagSpecification{{ResourceType: ec2types.ResourceTypeInstance, Tags: []ec2types.Tag{
			{Key: aws.String(stack.DeploymentTag), Value: &deployment}, {Key: aws.String("rocca:role"), Value: aws.String("server")},
		}}},
	})
	if err != nil {
		a.t.Fatal(err)
	}
}

func (a *Account) answerWhatMotoLacks() {
	a.Services.Answer("ec2", "DescribeImages", awstest.Say(http.StatusOK, `<DescribeImagesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><imagesSet><item>
		<imageId>`+Image+`</imageId><name>debian-13-arm64-`+time.Now().Format("20060102")+`-1</name><imageOwnerId>`+image.Owner+`</imageOwnerId><architecture>arm64</architecture>
		<imageState>available</imageState><creationDate>`+time.Now().UTC().Format(time.DateOnly)+`T00:00:00.000Z</creationDate></item></imagesSet></DescribeImagesResponse>`))
	a.Services.Answer("servicequotas", "GetServiceQuota", awstest.Say(http.StatusOK, `{"Quota":{"Value":100}}`))
	zones := ""
	for _, zone := range settings.Defaults(settings.Standard, "", awstest.Region).Network.Zones {
		zones += "<AvailabilityZone><Name>" + zone + "</Name></AvailabilityZone>"
	}
	a.Services.Answer("rds", "DescribeOrderableDBInstanceOptions", awstest.Say(http.StatusOK, `<DescribeOrderableDBInstanceOptionsResponse xmlns="http://rds.amazonaws.com/doc/2014-10-31/">
		<DescribeOrderableDBInstanceOptionsResult><OrderableDBInstanceOptions><OrderableDBInstanceOption><StorageType>gp3</StorageType><MultiAZCapable>true</MultiAZCapable>
		<AvailabilityZones>`+zones+`</AvailabilityZones></OrderableDBInstanceOption></OrderableDBInstanceOptions></DescribeOrderableDBInstanceOptionsResult></DescribeOrderableDBInstanceOptionsResponse>`))
}

// trustStore is the host where AWS publishes the authorities of RDS.
const trustStore = "truststore.pki.rds.amazonaws.com"

// serveWeb is the only host of the web that there is, behind a proxy. What it
// publishes is the very authority that it is trusted by.
func (a *Account) serveWeb() {
	certificate, text := selfSigned(a.t)
	a.authority = filepath.Join(a.t.TempDir(), "authority.pem")
	if err := os.WriteFile(a.authority, text, 0o600); err != nil {
		a.t.Fatal(err)
	}
	store := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(text) }))
	store.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	store.StartTLS()
	a.t.Cleanup(store.Close)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect || r.Host != trustStore+":443" {
			http.Error(w, r.Host+" is not there", http.StatusBadGateway)
			return
		}
		there, err := net.Dial("tcp", store.Listener.Addr().String())
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer there.Close()
		here, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer here.Close()
		fmt.Fprint(here, "HTTP/1.1 200 OK\r\n\r\n")
		go func() { _, _ = io.Copy(there, buffered) }() // who hangs up ends both
		_, _ = io.Copy(here, there)
	}))
	a.t.Cleanup(proxy.Close)
	a.web = proxy.URL
}

func selfSigned(t testing.TB) (tls.Certificate, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{trustStore}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
	raw, err := x509.CreateCertificate(rand.Reader, about, about, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})
}
