package artefact

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"rocca/internal/aws/awstest"
	"rocca/internal/aws/client"
	"rocca/internal/aws/settings"
)

// program is the smallest that says for which machine it is.
func program(t testing.TB, machine elf.Machine) string {
	t.Helper()
	header := elf.Header64{Type: uint16(elf.ET_EXEC), Machine: uint16(machine), Version: 1, Ehsize: 64, Phentsize: 56, Shentsize: 64}
	copy(header.Ident[:], "\x7fELF\x02\x01\x01")
	var b bytes.Buffer
	if err := binary.Write(&b, binary.LittleEndian, header); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "rocca")
	if err := os.WriteFile(name, b.Bytes(), 0o755); err != nil {
		t.Fatal(err)
	}
	return name
}

func wants(file, instance string) settings.Settings {
	return settings.Settings{Instance: settings.Instance{Type: instance}, Program: settings.Program{File: file}}
}

func TestProgram(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	arm := program(t, elf.EM_AARCH64)
	for _, c := range []struct{ file, instance, want string }{
		{arm, "t4g.small", ""},
		{program(t, elf.EM_X86_64), "t3.small", ""},
		{arm, "t3.small", "it is for arm64, and t3.small needs one for amd64"},
		{program(t, elf.EM_RISCV), "t3.small", "it is for EM_RISCV"},
		{text, "t3.small", "it is no program for Linux"},
		{"/nothing/here", "t3.small", "no such file"},
	} {
		f, err := Program(wants(c.file, c.instance))
		if c.want != "" {
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "\nhint: ") || !strings.Contains(err.Error(), "program.file") {
				t.Errorf("%s for %s: %v", c.file, c.instance, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		content, _ := os.ReadFile(c.file)
		sum := sha256.Sum256(content)
		at := f.In("shop-artefacts", "eu-central-1")
		if at.SHA256 != hex.EncodeToString(sum[:]) || !strings.HasPrefix(at.URL, "https://shop-artefacts.s3.eu-central-1.amazonaws.com/rocca-") || !strings.HasSuffix(at.URL, at.SHA256) {
			t.Errorf("%+v", at)
		}
	}
}

// authority makes a certificate in PEM.
func authority(t testing.TB, isCA bool) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "example.org"}, IsCA: isCA, BasicConstraintsValid: true,
		NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour)}
	made, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: made})
}

func TestCheckAuthorities(t *testing.T) {
	ca := string(authority(t, true))
	for name, c := range map[string]struct{ text, want string }{
		"two":            {ca + ca, ""},
		"blank lines":    {"\n" + ca + "\n\n", ""},
		"nothing":        {"", "it does not begin with a certificate"},
		"a page":         {"<html>" + ca, "it does not begin with a certificate"},
		"a page behind":  {ca + "<html>", "there is something else behind"},
		"of a server":    {ca + string(authority(t, false)), "certificate 2, CN=example.org, is not of an authority"},
		"a key":          {ca + string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte{1}})), "block 2 is a PRIVATE KEY"},
		"no certificate": {string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte{1}})), "certificate 1: "},
	} {
		err := checkAuthorities([]byte(c.text))
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestAuthoritiesAreFetchedOnce(t *testing.T) {
	cloud := awstest.Start(t)
	config := cloud.Config(t)
	const bucket = "shop-artefacts"
	makeBucket(t, config, bucket)
	content, asked := authority(t, true), ""
	status := http.StatusOK
	store := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked += r.URL.Path + " "
		w.WriteHeader(status)
		_, _ = w.Write(content)
	}))
	defer store.Close()
	get := func() (File, error) {
		return Authorities(t.Context(), config, store.Client(), store.URL, bucket)
	}
	first, err := get()
	if err != nil {
		t.Fatal(err)
	}
	if asked != "/eu-central-1/eu-central-1-bundle.pem " {
		t.Errorf("asked for %s", asked)
	}
	for range 2 {
		if err := first.Upload(t.Context(), config, bucket); err != nil {
			t.Fatal(err)
		}
	}
	if n := cloud.Count("s3", "PutObject"); n != 1 {
		t.Errorf("uploaded %d times", n)
	}
	second, err := get()
	if err != nil || second.Key != first.Key || second.In(bucket, "r") != first.In(bucket, "r") || strings.Count(asked, "bundle") != 1 {
		t.Errorf("%v; asked for %s; %s and %s", err, asked, first.Key, second.Key)
	}

	// What somebody has put in its place is not taken.
	put(t, config, bucket, first.Key, authority(t, true))
	if _, err := get(); err == nil || !strings.Contains(err.Error(), "another SHA-256") {
		t.Errorf("%v", err)
	}

	// A store that is not known to be AWS's is not asked, and its errors are ours.
	makeBucket(t, config, "empty-artefacts")
	if _, err := Authorities(t.Context(), config, http.DefaultClient, store.URL, "empty-artefacts"); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("%v", err)
	}
	for name, c := range map[string]struct {
		status  int
		content []byte
		want    string
	}{
		"not there": {http.StatusNotFound, nil, "404"},
		"a page":    {http.StatusOK, []byte("<html>"), "it does not begin with a certificate"},
		"too large": {http.StatusOK, bytes.Repeat([]byte("-"), mostAuthorities+1), "it has more than 1048576 bytes"},
	} {
		status, content = c.status, c.content
		if _, err := Authorities(t.Context(), config, store.Client(), store.URL, "empty-artefacts"); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestUploadIsWhatWasRead(t *testing.T) {
	config := awstest.Start(t).Config(t)
	const bucket = "shop-artefacts"
	f, err := Program(wants(program(t, elf.EM_X86_64), "t3.small"))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Upload(t.Context(), config, bucket); err == nil || !strings.Contains(err.Error(), bucket) {
		t.Errorf("without a bucket: %v", err)
	}
	makeBucket(t, config, bucket)
	if err := f.Upload(t.Context(), config, bucket); err != nil {
		t.Fatal(err)
	}
	has, err := s3.NewFromConfig(config).GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(bucket), Key: &f.Key})
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(has.Body)
	if err != nil || sha256.Sum256(content) != f.sum {
		t.Errorf("%d bytes, %v", len(content), err)
	}
}

// TestObjectsGoOnAndGiveUp: as the SDK's clients do, they try again when that may
// help, and tell what S3 said when it does not.
func TestObjectsGoOnAndGiveUp(t *testing.T) {
	cloud := awstest.Start(t)
	there := objects{"shop-artefacts", cloud.Config(t)}
	makeBucket(t, there.cloud, there.bucket)
	for _, c := range []struct {
		with  awstest.Failure
		calls int
		says  string
	}{
		{awstest.Failure{Status: http.StatusServiceUnavailable, Code: "SlowDown", Text: "Please reduce your request rate."}, 3, "SlowDown"},
		{awstest.Broken, 3, "InternalFailure"},
		{awstest.Denied, 1, "hint: rocca aws policy"},
		{awstest.Expired, 1, "hint: the credentials have expired"},
	} {
		cloud.ForgetCalls()
		cloud.Fail("s3", "GetObject", 1, 3, c.with)
		_, err := there.get(t.Context(), "a")
		if n := cloud.Count("s3", "GetObject"); n != c.calls || !strings.Contains(fmt.Sprint(client.Explain(err)), c.says) {
			t.Errorf("%s: after %d calls: %v", c.with.Code, n, client.Explain(err))
		}
		cloud.Reset(t)
	}
	makeBucket(t, there.cloud, there.bucket)
	cloud.Fail("s3", "PutObject", 1, 2, awstest.Throttled)
	if err := there.put(t.Context(), "a b/c+d", []byte("x"), "LXEWQrcmsEQBYnyp+6wy9ch1qYRbLWXQ6sJ7b22YdnE="); err != nil {
		t.Errorf("at the third time: %v", err)
	}
	if content, err := there.get(t.Context(), "a b/c+d"); err != nil || string(content) != "x" {
		t.Errorf("got %q, %v", content, err)
	}
	if sum, err := there.sum(t.Context(), "none"); err != nil || sum != "" {
		t.Errorf("of nothing: %q, %v", sum, err)
	}
	cloud.Answer("s3", "HeadObject", awstest.Say(http.StatusForbidden, ""))
	if _, err := there.sum(t.Context(), "a"); !client.Denied(err) {
		t.Errorf("denied: %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("interrupted"))
	if _, err := there.get(ctx, "a"); err == nil {
		t.Error("it asked on, although interrupted")
	}
}

// TestURLs: a bucket has a host of its own, but where an endpoint is named.
func TestURLs(t *testing.T) {
	endpoint := "http://127.0.0.1:5000/"
	question := call{key: "authorities-1.pem", query: url.Values{"versions": {""}}}
	for want, config := range map[string]client.Config{
		"https://shop-artefacts.s3.eu-central-1.amazonaws.com/authorities-1.pem?versions=": {Region: "eu-central-1"},
		"http://127.0.0.1:5000/shop-artefacts/authorities-1.pem?versions=":                 {Region: "eu-central-1", BaseEndpoint: &endpoint},
	} {
		if got := (objects{"shop-artefacts", config}).url(question).String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// TestListsGoOn: more than one page of a list is read.
func TestListsGoOn(t *testing.T) {
	cloud := awstest.Start(t)
	there := objects{"shop-artefacts", cloud.Config(t)}
	cloud.Answer("s3", "ListObjectsV2", func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Query().Get("continuation-token") {
		case "":
			fmt.Fprint(w, `<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Contents><Key>a-1</Key><LastModified>2026-11-21T09:00:00.000Z</LastModified></Contents><NextContinuationToken>2+/=</NextContinuationToken></ListBucketResult>`)
		case "2+/=":
			fmt.Fprint(w, `<ListBucketResult><Contents><Key>a-3</Key><LastModified>2026-11-23T09:00:00.000Z</LastModified></Contents><Contents><Key>a-2</Key><LastModified>2026-11-22T09:00:00.000Z</LastModified></Contents></ListBucketResult>`)
		}
	})
	if key, err := there.newest(t.Context(), "a-"); err != nil || key != "a-3" {
		t.Errorf("the newest is %q, %v", key, err)
	}
	var deleted []string
	cloud.Answer("s3", "ListObjectVersions", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("key-marker") == "" {
			fmt.Fprint(w, `<ListVersionsResult><Version><Key>a</Key><VersionId>1</VersionId></Version><NextKeyMarker>a</NextKeyMarker><NextVersionIdMarker>1</NextVersionIdMarker></ListVersionsResult>`)
			return
		}
		fmt.Fprint(w, `<ListVersionsResult><DeleteMarker><Key>b</Key><VersionId>null</VersionId></DeleteMarker></ListVersionsResult>`)
	})
	cloud.Answer("s3", "DeleteObjects", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		deleted = append(deleted, string(body))
		fmt.Fprint(w, `<DeleteResult><Error><Key>a</Key><Code>AccessDenied</Code><Message>it is locked</Message></Error></DeleteResult>`)
	})
	want := []string{
		`<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Quiet>true</Quiet><Object><Key>a</Key><VersionId>1</VersionId></Object></Delete>`,
		`<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Quiet>true</Quiet><Object><Key>b</Key><VersionId>null</VersionId></Object></Delete>`,
	}
	err := Empty(t.Context(), there.cloud, there.bucket)
	if err == nil || !strings.Contains(err.Error(), "2 objects stay: it is locked") || !slices.Equal(deleted, want) {
		t.Errorf("%v; deleted %q", err, deleted)
	}
}

func TestEmpty(t *testing.T) {
	config := awstest.Start(t).Config(t)
	const bucket = "shop-logs"
	makeBucket(t, config, bucket)
	cloud := s3.NewFromConfig(config)
	_, err := cloud.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{Bucket: aws.String(bucket), VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled}})
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"a", "a", "b"} {
		put(t, config, bucket, key, []byte("x"))
	}
	if _, err := cloud.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String(bucket), Key: aws.String("b")}); err != nil {
		t.Fatal(err)
	}
	if err := Empty(t.Context(), config, bucket); err != nil {
		t.Fatal(err)
	}
	if _, err := cloud.DeleteBucket(t.Context(), &s3.DeleteBucketInput{Bucket: aws.String(bucket)}); err != nil {
		t.Errorf("it is not empty: %v", err)
	}
}

func makeBucket(t testing.TB, c client.Config, name string) {
	t.Helper()
	_, err := s3.NewFromConfig(c).CreateBucket(context.Background(), &s3.CreateBucketInput{Bucket: &name,
		CreateBucketConfiguration: &types.CreateBucketConfiguration{LocationConstraint: types.BucketLocationConstraintEuCentral1}})
	if err != nil {
		t.Fatal(err)
	}
}

func put(t testing.TB, c client.Config, bucket, key string, content []byte) {
	t.Helper()
	_, err := s3.NewFromConfig(c).PutObject(context.Background(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(content)})
	if err != nil {
		t.Fatal(err)
	}
}
