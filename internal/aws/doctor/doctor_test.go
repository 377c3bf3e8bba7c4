package doctor

import (
	"encoding/json"
	"fmt"

	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/acm"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	dnstypes "github.com/aws/aws-sdk-go-v2/service/route53/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"

	"rocca/internal/aws/awstest"
	"rocca/internal/aws/check"
	"rocca/internal/aws/image"
	"rocca/internal/aws/settings"
)

var now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

const domain = "stats.example.org"

// patient is an account in which nothing stands in the way, and what is wanted
// of it.
type patient struct {
	*awstest.Cloud
	t      *testing.T
	wanted settings.Settings
	limit  float64 // of every quota
	made   string  // when the image was made
	owner  string  // of the image
	chip   string  // of the image
	zones  []string
}

func healthy(t *testing.T, cloud *awstest.Cloud, profile settings.Profile) *patient {
	t.Helper()
	cloud.Reset(t)
	p := &patient{Cloud: cloud, t: t, limit: 100, made: "2026-11-01", owner: image.Owner, chip: "arm64",
		zones: []string{awstest.Region + "a", awstest.Region + "b"}}
	p.wanted = settings.Defaults(profile, "", awstest.Region)
	p.wanted.Name, p.wanted.Domain, p.wanted.Email, p.wanted.DataResidency = "stats", domain, "owner@example.org", "eu"
	p.wanted.Instance.Image = "ami-0123456789abcdef0"
	p.wanted.Program = settings.Program{URL: "https://www.example.org/rocca", SHA256: strings.Repeat("a", 64)}
	zone, err := route53.NewFromConfig(cloud.Config(t)).CreateHostedZone(t.Context(), &route53.CreateHostedZoneInput{Name: aws.String("example.org"), CallerReference: aws.String("1")})
	if err != nil {
		t.Fatal(err)
	}
	p.wanted.Zone = strings.TrimPrefix(*zone.HostedZone.Id, "/hostedzone/")
	cloud.Answer("ec2", "DescribeImages", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `<DescribeImagesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><imagesSet><item><imageId>%s</imageId><name>debian-13-arm64-20261101-2282</name>
			<imageOwnerId>%s</imageOwnerId><architecture>%s</architecture><imageState>available</imageState><creationDate>%sT00:00:00.000Z</creationDate></item></imagesSet></DescribeImagesResponse>`,
			p.wanted.Instance.Image, p.owner, p.chip, p.made)
	})
	cloud.Answer("servicequotas", "GetServiceQuota", func(w http.ResponseWriter, _ *http.Request) {
		sayJSON(w, map[string]any{"Quota": map[string]any{"Value": p.limit}})
	})
	cloud.Answer("rds", "DescribeOrderableDBInstanceOptions", func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		var zones, options strings.Builder
		for _, z := range p.zones {
			fmt.Fprintf(&zones, "<AvailabilityZone><Name>%s</Name></AvailabilityZone>", z)
		}
		if r.Form.Get("EngineVersion") == settings.Defaults(settings.Standard, "", "").Database.Version && !strings.HasPrefix(r.Form.Get("DBInstanceClass"), "db.t2.") {
			for _, storage := range []string{"gp2", "gp3"} {
				fmt.Fprintf(&options, "<OrderableDBInstanceOption><StorageType>%s</StorageType><MultiAZCapable>true</MultiAZCapable><AvailabilityZones>%s</AvailabilityZones></OrderableDBInstanceOption>", storage, zones.String())
			}
		}
		fmt.Fprintf(w, `<DescribeOrderableDBInstanceOptionsResponse xmlns="http://rds.amazonaws.com/doc/2014-10-31/"><DescribeOrderableDBInstanceOptionsResult><OrderableDBInstanceOptions>%s</OrderableDBInstanceOptions></DescribeOrderableDBInstanceOptionsResult></DescribeOrderableDBInstanceOptionsResponse>`, options.String())
	})
	cloud.Answer("rds", "DescribeDBEngineVersions", awstest.Say(http.StatusOK, `<DescribeDBEngineVersionsResponse xmlns="http://rds.amazonaws.com/doc/2014-10-31/"><DescribeDBEngineVersionsResult><DBEngineVersions>
		<DBEngineVersion><EngineVersion>8.4.8</EngineVersion></DBEngineVersion><DBEngineVersion><EngineVersion>8.4.9</EngineVersion></DBEngineVersion></DBEngineVersions></DescribeDBEngineVersionsResult></DescribeDBEngineVersionsResponse>`))
	cloud.ForgetCalls()
	return p
}

func sayJSON(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	_ = json.NewEncoder(w).Encode(value)
}

// examine gives the checks by their ids.
func (p *patient) examine() map[string]check.Check {
	all := map[string]check.Check{}
	for _, c := range Examine(p.t.Context(), p.Config(p.t), p.wanted, now) {
		if _, twice := all[c.ID]; twice {
			p.t.Errorf("%s is there twice", c.ID)
		}
		all[c.ID] = c
	}
	return all
}

// ask gives one check; none: it does not apply. Who asks and where is always
// looked at with all others.
func (p *patient) ask(id string) (check.Check, bool) {
	p.t.Helper()
	at := slices.IndexFunc(checks, func(q question) bool { return q.id == id })
	if at < 0 {
		c, there := p.examine()[id]
		return c, there
	}
	set, err := render(p.wanted)
	if err != nil {
		p.t.Fatal(err)
	}
	cloud := p.Config(p.t)
	e := exam{cloud: cloud, servers: ec2.NewFromConfig(cloud), wanted: p.wanted, set: set, now: now}
	for _, c := range e.run(p.t.Context(), checks[at:at+1]) {
		return c, true
	}
	return check.Check{}, false
}

// must makes what a story needs.
func must[T any](t *testing.T) func(T, error) T {
	t.Helper()
	return func(made T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
}

// readOnly are the operations that change nothing.
var readOnly = regexp.MustCompile(`^[a-z0-9]+:(?:Describe|Get|List|Head)[A-Z]`)

func TestNothingStandsInTheWay(t *testing.T) {
	cloud := awstest.Start(t)
	for _, profile := range []settings.Profile{settings.Single, settings.Standard, settings.Scale} {
		t.Run(string(profile), func(t *testing.T) {
			p := healthy(t, cloud, profile)
			all := p.examine()
			for id, c := range all {
				if c.Status != check.OK || c.Found == "" || c.What == "" {
					t.Errorf("%s: %+v", id, c)
				}
			}
			for _, id := range []string{"certificate", "database.version", "quota.balancers", "quota.databases"} {
				if _, there := all[id]; there != (profile != settings.Single) {
					t.Errorf("%s is there: %v", id, there)
				}
			}
			for _, call := range cloud.Calls() {
				if !readOnly.MatchString(call.String()) {
					t.Errorf("the doctor called %s", call)
				}
			}
		})
	}
}

func TestStories(t *testing.T) {
	cloud := awstest.Start(t)
	zone := func(p *patient, change dnstypes.Change) {
		must[*route53.ChangeResourceRecordSetsOutput](p.t)(route53.NewFromConfig(cloud.Config(p.t)).ChangeResourceRecordSets(p.t.Context(),
			&route53.ChangeResourceRecordSetsInput{HostedZoneId: &p.wanted.Zone, ChangeBatch: &dnstypes.ChangeBatch{Changes: []dnstypes.Change{change}}}))
	}
	network := func(p *patient, cidr string, tags ...ec2types.Tag) *string {
		input := &ec2.CreateVpcInput{CidrBlock: &cidr}
		if len(tags) > 0 {
			input.TagSpecifications = []ec2types.TagSpecification{{ResourceType: ec2types.ResourceTypeVpc, Tags: tags}}
		}
		return must[*ec2.CreateVpcOutput](p.t)(ec2.NewFromConfig(cloud.Config(p.t)).CreateVpc(p.t.Context(), input)).Vpc.VpcId
	}
	stackOf := func(p *patient, name string, tags ...cfntypes.Tag) {
		must[*cloudformation.CreateStackOutput](p.t)(cloudformation.NewFromConfig(cloud.Config(p.t)).CreateStack(p.t.Context(), &cloudformation.CreateStackInput{
			StackName: &name, Tags: tags, TemplateBody: aws.String(`{"Resources":{"Topic":{"Type":"AWS::SNS::Topic"}}}`)}))
	}
	ours := cfntypes.Tag{Key: aws.String("rocca:deployment"), Value: aws.String("stats")}
	certificate := func(p *patient, names ...string) {
		made := must[*acm.RequestCertificateOutput](p.t)(acm.NewFromConfig(cloud.Config(p.t)).RequestCertificate(p.t.Context(), &acm.RequestCertificateInput{DomainName: &names[0], ValidationMethod: "DNS"}))
		p.wanted.TLS.Certificate = *made.CertificateArn
	}
	issued := func(p *patient, name, until string) {
		p.wanted.TLS.Certificate = "arn:aws:acm:" + awstest.Region + ":" + awstest.Account + ":certificate/12345678-1234-1234-1234-123456789012"
		end, err := time.Parse(time.DateOnly, until)
		if err != nil {
			t.Fatal(err)
		}
		cloud.Answer("acm", "DescribeCertificate", func(w http.ResponseWriter, _ *http.Request) {
			sayJSON(w, map[string]any{"Certificate": map[string]any{"DomainName": name, "Status": "ISSUED", "NotAfter": end.Unix()}})
		})
	}
	for _, c := range []struct {
		name    string
		prepare func(p *patient)
		id      string
		status  check.Status
		says    string // found or fix
	}{
		{"root", func(*patient) {
			cloud.Answer("sts", "GetCallerIdentity", awstest.Say(http.StatusOK, `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Arn>arn:aws:iam::123456789012:root</Arn><Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`))
		}, "credentials", check.Warn, "root user"},
		{"expired", func(*patient) { cloud.Fail("sts", "GetCallerIdentity", 1, 9, awstest.Expired) }, "credentials", check.Fail, "expired"},
		{"region that the account has not", func(*patient) {
			cloud.Fail("sts", "GetCallerIdentity", 1, 1, awstest.Failure{Status: http.StatusForbidden, Code: "InvalidClientTokenId", Text: "The security token included in the request is invalid"})
		}, "region.enabled", check.Fail, "enable-region"},
		{"keys that nobody knows", func(*patient) {
			cloud.Fail("sts", "GetCallerIdentity", 1, 9, awstest.Failure{Status: http.StatusForbidden, Code: "InvalidClientTokenId", Text: "The security token included in the request is invalid"})
		}, "credentials", check.Fail, "does not know these credentials"},
		{"backups outside of the EU", func(p *patient) { p.wanted.Backup.CopyRegion = "us-east-1" }, "region.residency", check.Fail, "not in the EU"},
		{"zone that is not there", func(p *patient) { p.wanted.Network.Zones = []string{awstest.Region + "a", awstest.Region + "x"} }, "region.zones", check.Fail, awstest.Region + "x"},
		{"service that the region has not", func(*patient) {
			cloud.Answer("ssm", "GetParametersByPath", func(w http.ResponseWriter, _ *http.Request) {
				sayJSON(w, map[string]any{"Parameters": []any{map[string]any{"Name": "/a/ec2", "Value": "ec2"}}})
			})
		}, "region.services", check.Fail, "waf-regional"},
		{"region of which nothing is known", func(*patient) {
			cloud.Answer("ssm", "GetParametersByPath", func(w http.ResponseWriter, _ *http.Request) {
				sayJSON(w, map[string]any{"Parameters": []any{}})
			})
		}, "region.services", check.Unknown, "no services"},
		{"type that is not offered", func(p *patient) { p.wanted.Instance.Type = "t9z.small" }, "instance.type", check.Fail, "has no t9z.small"},
		{"no image", func(p *patient) { p.wanted.Instance.Image = "" }, "instance.image", check.Fail, "image --pin"},
		{"old image", func(p *patient) { p.made = "2026-06-01" }, "instance.image", check.Warn, "173 days old"},
		{"image of somebody else", func(p *patient) { p.owner = awstest.Account }, "instance.image", check.Warn, "not of Debian"},
		{"image for another processor", func(p *patient) { p.chip = "x86_64" }, "instance.image", check.Fail, "is for amd64"},
		{"program that is none", func(p *patient) { p.wanted.Program = settings.Program{File: "doctor.go"} }, "program", check.Fail, "program.file in rocca-aws.yaml names one for Linux on arm64"},
		{"version of MySQL that is gone", func(p *patient) { p.wanted.Database.Version = "8.4.1" }, "database.version", check.Fail, "one of 8.4.8, 8.4.9"},
		{"class that MySQL does not run on", func(p *patient) { p.wanted.Database.Class = "db.t2.small" }, "database.version", check.Fail, "on db.t2.small"},
		{"database in one zone only", func(p *patient) { p.zones = p.zones[:1] }, "database.version", check.Fail, "network.zones"},
		{"certificate that is pending", func(p *patient) { certificate(p, domain) }, "certificate", check.Fail, "pending"},
		{"certificate that is not there", func(p *patient) {
			p.wanted.TLS.Certificate = "arn:aws:acm:" + awstest.Region + ":" + awstest.Account + ":certificate/none"
		}, "certificate", check.Fail, "there is no"},
		{"certificate in another region", func(p *patient) {
			p.wanted.TLS.Certificate = "arn:aws:acm:us-east-1:" + awstest.Account + ":certificate/a"
		}, "certificate", check.Fail, "not a certificate in"},
		{"certificate for a star", func(p *patient) { issued(p, "*.example.org", "2027-09-01") }, "certificate", check.OK, "*.example.org"},
		{"certificate for another name", func(p *patient) { issued(p, "*.org", "2027-09-01") }, "certificate", check.Fail, "it is for"},
		{"certificate that ends soon", func(p *patient) { issued(p, domain, "2026-12-01") }, "certificate", check.Warn, "expires on 2026-12-01"},
		{"certificate that has ended", func(p *patient) { issued(p, domain, "2026-11-01") }, "certificate", check.Fail, "has expired"},
		{"DNS elsewhere", func(p *patient) { p.wanted.Zone = "" }, "certificate", check.Warn, "waits until"},
		{"zone of another domain", func(p *patient) { p.wanted.Domain = "stats.example.net" }, "dns.zone", check.Fail, "is for example.org"},
		{"zone with a similar name", func(p *patient) { p.wanted.Domain = "statsexample.org" }, "dns.zone", check.Fail, "is for example.org"},
		{"no such zone", func(p *patient) { p.wanted.Zone = "Z00000000000000000000" }, "dns.zone", check.Fail, "there is no zone"},
		{"record in the way", func(p *patient) {
			zone(p, dnstypes.Change{Action: dnstypes.ChangeActionCreate, ResourceRecordSet: &dnstypes.ResourceRecordSet{
				Name: aws.String(domain), Type: dnstypes.RRTypeA, TTL: aws.Int64(60), ResourceRecords: []dnstypes.ResourceRecord{{Value: aws.String("192.0.2.1")}}}})
		}, "dns.record", check.Fail, "has a record A"},
		{"record of a name below", func(p *patient) {
			zone(p, dnstypes.Change{Action: dnstypes.ChangeActionCreate, ResourceRecordSet: &dnstypes.ResourceRecordSet{
				Name: aws.String("www." + domain), Type: dnstypes.RRTypeA, TTL: aws.Int64(60), ResourceRecords: []dnstypes.ResourceRecord{{Value: aws.String("192.0.2.1")}}}})
		}, "dns.record", check.OK, "is free"},
		{"network with the same addresses", func(p *patient) { network(p, "10.20.128.0/20") }, "network.cidr", check.Warn, "never be connected"},
		{"network of ours", func(p *patient) {
			network(p, "10.20.0.0/16", ec2types.Tag{Key: aws.String("rocca:deployment"), Value: aws.String("stats")})
		}, "network.cidr", check.OK, "10.20.0.0/16"},
		{"connected network with the same addresses", func(p *patient) {
			same, other := network(p, "10.20.0.0/16"), network(p, "10.99.0.0/16")
			must[*ec2.CreateVpcPeeringConnectionOutput](p.t)(ec2.NewFromConfig(cloud.Config(p.t)).CreateVpcPeeringConnection(p.t.Context(), &ec2.CreateVpcPeeringConnectionInput{VpcId: same, PeerVpcId: other}))
		}, "network.cidr", check.Fail, "connects to others"},
		{"somebody else's stack", func(p *patient) { stackOf(p, "stats-data") }, "names.stacks", check.Fail, "stats-data is there"},
		{"stack that is only planned", func(p *patient) {
			must[*cloudformation.CreateChangeSetOutput](p.t)(cloudformation.NewFromConfig(cloud.Config(p.t)).CreateChangeSet(p.t.Context(), &cloudformation.CreateChangeSetInput{
				StackName: aws.String("stats-base"), ChangeSetName: aws.String("rocca-1"), ChangeSetType: cfntypes.ChangeSetTypeCreate, TemplateBody: aws.String(`{"Resources":{"Topic":{"Type":"AWS::SNS::Topic"}}}`)}))
		}, "names.stacks", check.OK, "stats-... is free"},
		{"stack of ours", func(p *patient) { stackOf(p, "stats-data", ours) }, "names.stacks", check.OK, "deployed already: stats-data"},
		{"another trail", func(p *patient) {
			must[*s3.CreateBucketOutput](p.t)(s3.NewFromConfig(cloud.Config(p.t)).CreateBucket(p.t.Context(), &s3.CreateBucketInput{Bucket: aws.String("trail-of-somebody"),
				CreateBucketConfiguration: &s3types.CreateBucketConfiguration{LocationConstraint: awstest.Region}}))
			must[*cloudtrail.CreateTrailOutput](p.t)(cloudtrail.NewFromConfig(cloud.Config(p.t)).CreateTrail(p.t.Context(), &cloudtrail.CreateTrailInput{
				Name: aws.String("all-regions"), S3BucketName: aws.String("trail-of-somebody"), IsMultiRegionTrail: aws.Bool(true)}))
		}, "trail", check.Warn, "all-regions"},
		{"no room", func(p *patient) { p.limit = 0 }, "quota.vpcs", check.Fail, "request-service-quota-increase --service-code vpc --quota-code L-F678F1CE"},
		{"no room for processors", func(p *patient) { p.limit = 3 }, "quota.processors", check.Fail, "4 needed"},
		{"room beside a network of ours", func(p *patient) {
			network(p, "10.20.0.0/16", ec2types.Tag{Key: aws.String("rocca:deployment"), Value: aws.String("stats")})
			p.limit = 2 // moto has a default network
		}, "quota.vpcs", check.OK, "1 needed, others use 1 of 2"},
		{"quota that was never raised", func(*patient) {
			cloud.Fail("servicequotas", "GetServiceQuota", 1, 99, awstest.Failure{Status: http.StatusBadRequest, Code: "NoSuchResourceException", Text: "none"})
			cloud.Answer("servicequotas", "GetAWSDefaultServiceQuota", func(w http.ResponseWriter, _ *http.Request) {
				sayJSON(w, map[string]any{"Quota": map[string]any{"Value": 5.0}})
			})
		}, "quota.vpcs", check.OK, "of 5"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := healthy(t, cloud, settings.Standard)
			c.prepare(p)
			got, there := p.ask(c.id)
			if !there || got.Status != c.status || !strings.Contains(got.Found+"\n"+got.Fix, c.says) {
				t.Errorf("got %+v, want %s: %s", got, c.status, c.says)
			}
			if got.Status != check.OK && got.Fix == "" && got.Status != check.Unknown {
				t.Errorf("%s: says no way out", c.id)
			}
		})
	}
}

// TestOutsideOfTheEU: the region of the settings counts, not where we ask.
func TestOutsideOfTheEU(t *testing.T) {
	e := exam{wanted: settings.Defaults(settings.Single, "", "us-east-1")}
	e.cloud.Region = "us-east-1"
	if got := e.residency(); got.Status != check.OK {
		t.Errorf("%+v", got)
	}
	e.wanted.DataResidency = "eu"
	if got := e.residency(); got.Status != check.Fail || !strings.Contains(got.Fix, "eu-central-1") {
		t.Errorf("%+v", got)
	}
}

// TestDeniedIsNeverOK denies each operation of each check by itself: the check
// is unknown, and says which it was.
func TestDeniedIsNeverOK(t *testing.T) {
	cloud := awstest.Start(t)
	for _, q := range checks {
		p := healthy(t, cloud, settings.Standard)
		p.ask(q.id)
		for _, call := range slices.Compact(cloud.Calls()) {
			p := healthy(t, cloud, settings.Standard)
			cloud.Fail(call.Service, call.Operation, 1, 999, awstest.Denied)
			got, _ := p.ask(q.id)
			if got.Status != check.Unknown || !strings.Contains(got.Found, "not allowed to look") || !strings.Contains(got.Found, call.Operation) || got.Fix == "" {
				t.Errorf("without %s: %+v", call, got)
			}
		}
	}
	p := healthy(t, cloud, settings.Single)
	cloud.Fail("ec2", "DescribeRegions", 1, 9, awstest.Denied)
	if got, _ := p.ask("region.enabled"); got.Status != check.Unknown {
		t.Errorf("%+v", got)
	}
}

// TestBrokenIsUnknown: an AWS that fails tells nothing about the account.
func TestBrokenIsUnknown(t *testing.T) {
	p := healthy(t, awstest.Start(t), settings.Single)
	p.Fail("ec2", "DescribeVpcs", 1, 99, awstest.Broken)
	for _, id := range []string{"network.cidr", "quota.vpcs"} {
		if got, _ := p.ask(id); got.Status != check.Unknown {
			t.Errorf("%+v", got)
		}
	}
}

func TestStandardTypes(t *testing.T) {
	got := map[string]bool{}
	for _, kind := range []ec2types.InstanceType{"t4g.small", "m7g.large", "im4gn.large", "g5.xlarge", "p3.2xlarge", "inf1.xlarge", "hpc7g.4xlarge", "x2gd.medium", "z1d.large", "u-6tb1.metal"} {
		got[string(kind)] = standard(kind)
	}
	want := map[string]bool{"t4g.small": true, "m7g.large": true, "im4gn.large": true, "g5.xlarge": false, "p3.2xlarge": false, "inf1.xlarge": false,
		"hpc7g.4xlarge": false, "x2gd.medium": false, "z1d.large": true, "u-6tb1.metal": false}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
