package cloud

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"rocca/internal/aws/awstest"
	"rocca/internal/aws/client"
	"rocca/internal/facts"
)

var now = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// zone makes a hosted zone, in which one name leads to the load balancer and one
// to nothing.
func zone(t testing.TB, cloud *awstest.Cloud) {
	t.Helper()
	var load struct {
		DNS []string `xml:"LoadBalancers>member>DNSName"`
	}
	maker{t, cloud.Config(t)}.query("elasticloadbalancing:DescribeLoadBalancers", nil, &load)
	cloud.Answer("route53", "GET /2013-04-01/hostedzone", awstest.Say(http.StatusOK, `<ListHostedZonesResponse><HostedZones>
<HostedZone><Id>/hostedzone/ZPRIVATE</Id><Name>matomo.example.org.</Name><Config><PrivateZone>true</PrivateZone></Config></HostedZone>
<HostedZone><Id>/hostedzone/ZSHORT</Id><Name>org.</Name><Config><PrivateZone>false</PrivateZone></Config></HostedZone>
<HostedZone><Id>/hostedzone/ZLONG</Id><Name>example.org.</Name><Config><PrivateZone>false</PrivateZone></Config></HostedZone></HostedZones><IsTruncated>false</IsTruncated></ListHostedZonesResponse>`))
	cloud.Answer("route53", "GET /2013-04-01/hostedzone/ZLONG/rrset", func(w http.ResponseWriter, r *http.Request) {
		first := `<ResourceRecordSet><Name>example.org.</Name><Type>CAA</Type><ResourceRecords><ResourceRecord><Value>0 issue "amazon.com"</Value></ResourceRecord></ResourceRecords></ResourceRecordSet>
<ResourceRecordSet><Name>example.org.</Name><Type>A</Type><ResourceRecords><ResourceRecord><Value>192.0.2.1</Value></ResourceRecord></ResourceRecords></ResourceRecordSet>`
		more := `<IsTruncated>true</IsTruncated><NextRecordName>matomo.example.org.</NextRecordName><NextRecordType>A</NextRecordType>`
		if r.URL.Query().Get("name") == "matomo.example.org." && r.URL.Query().Get("type") == "A" {
			first = `<ResourceRecordSet><Name>matomo.example.org.</Name><Type>A</Type><AliasTarget><DNSName>dualstack.` + strings.ToUpper(load.DNS[0]) + `.</DNSName></AliasTarget></ResourceRecordSet>
<ResourceRecordSet><Name>\052.matomo.example.org.</Name><Type>CNAME</Type><ResourceRecords><ResourceRecord><Value>gone.example.net.</Value></ResourceRecord></ResourceRecords></ResourceRecordSet>
<ResourceRecordSet><Name>matomo.example.org.</Name><Type>TXT</Type></ResourceRecordSet>`
			more = ``
		}
		_, _ = fmt.Fprintf(w, `<ListResourceRecordSetsResponse><ResourceRecordSets>%s</ResourceRecordSets>%s</ListResourceRecordSetsResponse>`, first, more)
	})
}

// whole is a region with a deployment, and answers to everything.
func whole(t testing.TB) (*awstest.Cloud, made, Options) {
	t.Helper()
	cloud := awstest.Start(t)
	w := world(t, cloud.Config(t), "shop")
	accountWide(t, cloud.Config(t))
	fixtures(t, cloud, w)
	zone(t, cloud)
	if t.Failed() {
		t.FailNow()
	}
	cloud.ForgetCalls()
	return cloud, w, Options{
		Deployment: "shop", Now: now, Wanted: facts.CloudSettings{Known: true, Domain: "matomo.example.org"},
		Seen: func(context.Context) ([]facts.Seen, error) {
			return []facts.Seen{{ID: "tls", Status: "ok", Text: "TLS 1.3"}}, nil
		},
	}
}

func encoded(t testing.TB, s facts.Server) string {
	t.Helper()
	var b bytes.Buffer
	check(t, facts.Encode(&b, s))
	return b.String()
}

// TestEveryFieldIsSeen looks at a world where there is one of everything, and
// asks for each field of the facts that some look has filled it in.
func TestEveryFieldIsSeen(t *testing.T) {
	cloud, w, options := whole(t)
	s, err := Observe(t.Context(), cloud.Config(t), options)
	if err != nil {
		t.Fatal(err)
	}
	for section, why := range s.Sections {
		if why != "" {
			t.Errorf("%s was not seen: %s", section, why)
		}
	}
	rest(cloud, w)
	more, err := Observe(t.Context(), cloud.Config(t), options)
	if err != nil {
		t.Fatal(err)
	}
	filled := map[string]bool{}
	fields(reflect.ValueOf(s.Cloud), "Cloud", filled)
	fields(reflect.ValueOf(more.Cloud), "Cloud", filled)
	for path, full := range filled {
		if !full && !strings.HasPrefix(path, "Cloud.Wanted.") {
			t.Errorf("nothing fills in %s", path)
		}
	}
	text := encoded(t, s) + encoded(t, more)
	for _, secret := range append(slices.Clone(planted), "foreign", "FOREIGN") {
		if strings.Contains(text, secret) {
			t.Errorf("the facts have %q in them", secret)
		}
	}
	for _, call := range cloud.Calls() {
		if slices.Contains([]string{"GetSecretValue", "BatchGetSecretValue", "GetParameter", "GetParameters", "GetParametersByPath", "Decrypt"}, call.Operation) {
			t.Errorf("%s reads a secret", call)
		}
	}
	if _, err := facts.Decode(strings.NewReader(encoded(t, s))); err != nil {
		t.Error(err)
	}
	c := s.Cloud
	for what, ok := range map[string]bool{
		"the newest rehearsal is the first":                       len(c.Rehearsals) == 2 && c.Rehearsals[0].Well && !c.Rehearsals[1].Well,
		"a CAA record above the domain counts, an A record not":   len(c.Zone.Records) == 3 && c.Zone.ID == "ZLONG" && c.Zone.Records[0].Type == "CAA",
		"the domain leads to the load balancer":                   c.Zone.Records[1].Exists,
		"the other name leads to nothing":                         c.Zone.Records[2].Name == "*.matomo.example.org" && !c.Zone.Records[2].Exists,
		"hits of the user data":                                   slices.Equal(c.Templates[0].UserData.Hits, []facts.Hit{{Line: 2, Kind: "password"}, {Line: 3, Kind: "chmod 777"}}),
		"only the external access to ours":                        slices.Equal(c.Analyzers[0].External, []string{"arn:aws:s3:::" + w.bucket}),
		"redirect":                                                reflect.DeepEqual(c.Balancers[0].Listeners[0].Default, facts.ListenAction{Kind: "redirect", To: "HTTPS:443", Status: "HTTP_301"}),
		"an output that looks like a secret, and one that is not": slices.Equal(c.Stacks[0].Secrets, []string{"DatabasePassword"}),
	} {
		if !ok {
			t.Errorf("not so: %s", what)
		}
	}
}

// fields marks each field below a value, by its path, as filled in or not.
func fields(v reflect.Value, path string, filled map[string]bool) {
	switch v.Kind() {
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Struct && v.Len() == 0 {
			fields(reflect.Zero(v.Type().Elem()), path, filled)
		}
		for i := range v.Len() {
			fields(v.Index(i), path, filled)
		}
	case reflect.Struct:
		if v.Type().PkgPath() == reflect.TypeFor[facts.Cloud]().PkgPath() {
			for i := range v.NumField() {
				fields(v.Field(i), path+"."+v.Type().Field(i).Name, filled)
			}
			return
		}
	}
	filled[path] = filled[path] || !v.IsZero()
}

// TestOthersAreLeftAlone looks at one of two deployments.
func TestOthersAreLeftAlone(t *testing.T) {
	cloud, _, options := whole(t)
	other := world(t, cloud.Config(t), "guest")
	s, err := Observe(t.Context(), cloud.Config(t), options)
	if err != nil {
		t.Fatal(err)
	}
	c := s.Cloud
	c.CloudUsers, c.Trails, c.MetricFilters, c.CloudCerts = nil, nil, nil, nil                            // of the account; and both have a certificate for the domain
	c.Buckets = slices.DeleteFunc(c.Buckets, func(b facts.Bucket) bool { return b.Name == "guest-logs" }) // a trail writes into it
	if text := encoded(t, facts.Server{Cloud: c}); strings.Contains(text, "guest") || strings.Contains(text, other.vpc) || strings.Contains(text, other.instance) {
		t.Errorf("something of another deployment is in the facts:\n%s", around(text, "guest"))
	}
	options.Deployment = ""
	s, err = Observe(t.Context(), cloud.Config(t), options)
	if err != nil {
		t.Fatal(err)
	}
	c = s.Cloud
	for what, n := range map[string]int{
		"databases": len(c.Databases), "roles": len(c.Roles), "topics": len(c.Topics), "keys": len(c.Keys), "vaults": len(c.Vaults), "caches": len(c.Caches),
		"firewalls": len(c.Firewalls), "alarms": len(c.Alarms), "logs": len(c.LogGroups), "documents": len(c.Documents), "stacks": len(c.Stacks), "balancers": len(c.Balancers),
	} {
		if n < 2 {
			t.Errorf("of everything in the region there are %d %s", n, what)
		}
	}
}

func around(text, word string) string {
	i := strings.Index(text, word)
	return text[max(0, i-300):min(len(text), max(i, 0)+300)]
}

// TestWhatIsRefusedIsUnseen refuses every call but the one that says who asks.
func TestWhatIsRefusedIsUnseen(t *testing.T) {
	cloud := awstest.Start(t)
	options := Options{Deployment: "shop", Now: now, Wanted: facts.CloudSettings{Domain: "matomo.example.org"}}
	if _, err := Observe(t.Context(), cloud.Config(t), options); err != nil {
		t.Fatal(err)
	}
	refused := map[awstest.Call]bool{}
	for _, call := range cloud.Calls() {
		if call.Service != "sts" && !refused[call] {
			refused[call] = true
			cloud.Fail(call.Service, call.Operation, 1, 1e6, awstest.Denied)
		}
	}
	s, err := Observe(t.Context(), cloud.Config(t), options)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range looks {
		why, looked := s.Sections[l.section]
		if l.section == facts.CloudSeen {
			continue
		}
		if !looked || !strings.HasPrefix(why, "not allowed to look: ") || strings.ContainsAny(why, "\n/") {
			t.Errorf("%s: %q", l.section, why)
		}
	}
	s.Cloud.Wanted, s.Cloud.Seen, s.Cloud.Account, s.Cloud.Region, s.Cloud.Deployment = facts.CloudSettings{}, nil, "", "", ""
	if !reflect.ValueOf(s.Cloud).IsZero() {
		t.Errorf("something was seen all the same: %+v", s.Cloud)
	}
}

// TestRefusals refuses some calls, and looks at what is unseen then.
func TestRefusals(t *testing.T) {
	cloud, _, options := whole(t)
	options.Deployment = ""
	want := map[facts.Section]string{}
	for _, c := range []struct {
		service, operation string
		with               awstest.Failure
		want               map[facts.Section]string
	}{
		{"ec2", "DescribeVolumes", awstest.Denied, map[facts.Section]string{facts.CloudVolumes: "not allowed to look: ec2:DescribeVolumes", facts.CloudSnapshots: "not allowed to look: ec2:DescribeVolumes"}},
		{"ec2", "DescribeInstanceAttribute", awstest.Denied, map[facts.Section]string{facts.CloudUserData: "not allowed to look: ec2:DescribeInstanceAttribute"}},
		{"ec2", "DescribeSubnets", awstest.Failure{Status: 403, Code: "UnauthorizedOperation", Text: "no"}, map[facts.Section]string{facts.CloudSubnets: "not allowed to look: ec2:DescribeSubnets"}},
		{"s3", "GET /shop-evidence", awstest.Denied, map[facts.Section]string{facts.CloudBuckets: "not allowed to look: s3:GetBucketTagging", facts.CloudRehearsals: "not allowed to look: s3:GetBucketTagging"}},
		{"guardduty", "GET /detector", awstest.Failure{Status: 400, Code: "BadRequestException", Text: "something odd"}, map[facts.Section]string{facts.CloudThreats: "guardduty:ListDetectors failed: BadRequestException something odd"}},
		{"logs", "DescribeLogGroups", awstest.Broken, map[facts.Section]string{facts.CloudLogGroups: "logs:DescribeLogGroups failed: InternalFailure The request processing has failed because of an unknown error"}},
		{"securityhub", "GET /accounts", awstest.Failure{Status: 401, Code: "InvalidAccessException", Text: "not subscribed"}, nil},
		{"ec2", "DescribeNetworkAcls", awstest.Failure{Status: 401, Code: "AuthFailure", Text: "of one service alone"}, map[facts.Section]string{facts.CloudFilters: "ec2:DescribeNetworkAcls failed: AuthFailure of one service alone"}},
	} {
		cloud.Fail(c.service, c.operation, 1, 1e6, c.with)
		for section, why := range c.want {
			want[section] = why
		}
	}
	s, err := Observe(t.Context(), cloud.Config(t), options)
	if err != nil {
		t.Fatal(err)
	}
	for section, why := range s.Sections {
		if why != want[section] {
			t.Errorf("%s: %q, want %q", section, why, want[section])
		}
	}
	if len(s.Cloud.Instances) == 0 || s.Cloud.Volumes != nil || s.Cloud.Hub.Enabled {
		t.Errorf("what is in the facts is not what was seen")
	}
}

// TestPatience: what was asked too often is asked again.
func TestPatience(t *testing.T) {
	cloud := awstest.Start(t)
	cloud.Fail("ec2", "DescribeSubnets", 1, 2, awstest.Failure{Status: 503, Code: "RequestLimitExceeded", Text: "slow down"})
	cloud.Fail("iam", "GetAccountSummary", 1, 1, awstest.Throttled)
	cloud.Fail("s3", "GET /", 1, 2, awstest.Failure{Status: 503, Code: "SlowDown", Text: "slow down"})
	cloud.Fail("kms", "ListKeys", 1, 2, awstest.Throttled)
	cloud.Fail("rds", "DescribeDBInstances", 1, 9, awstest.Throttled)
	s, err := Observe(t.Context(), cloud.Config(t), Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	for _, section := range []facts.Section{facts.CloudSubnets, facts.CloudRoot, facts.CloudBuckets, facts.CloudKeys} {
		if why := s.Sections[section]; why != "" {
			t.Errorf("%s: %s", section, why)
		}
	}
	if why := s.Sections[facts.CloudDatabases]; !strings.Contains(why, "rds:DescribeDBInstances failed: ThrottlingException") {
		t.Errorf("what stays refused: %q", why)
	}
	if n := cloud.Count("ec2", "DescribeSubnets"); n != 3 {
		t.Errorf("asked %d times", n)
	}
}

func TestPages(t *testing.T) {
	cloud := awstest.Start(t)
	cloud.Answer("ec2", "DescribeSecurityGroups", says(func(form string) string {
		asked, _ := url.ParseQuery(form)
		page := map[string]string{"": "1", "p1": "2", "p2": "3"}[asked.Get("NextToken")]
		next := map[string]string{"1": "<nextToken>p1</nextToken>", "2": "<nextToken>p2</nextToken>", "3": "<nextToken/>"}[page]
		return `<R><securityGroupInfo><item><groupId>sg-` + page + `</groupId><groupName>g</groupName><ipPermissions><item><ipProtocol>-1</ipProtocol><groups><item><groupId>sg-3</groupId><userId>123456789012</userId></item><item><groupId>sg-gone</groupId><userId>123456789012</userId></item><item><groupId>sg-theirs</groupId><userId>210987654321</userId></item></groups></item></ipPermissions></item></securityGroupInfo>` + next + `</R>`
	}))
	cloud.Answer("ec2", "DescribeSubnets", awstest.Say(200, `<R><subnetSet/><nextToken>again</nextToken></R>`))
	s, err := Observe(t.Context(), cloud.Config(t), Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Cloud.Groups) != 3 || s.Cloud.Groups[2].ID != "sg-3" {
		t.Errorf("groups of three pages: %+v", s.Cloud.Groups)
	}
	var gone []bool
	for _, r := range s.Cloud.Groups[0].Ingress {
		gone = append(gone, r.GroupGone)
	}
	if !slices.Equal(gone, []bool{false, true, false}) {
		t.Errorf("a group on a later page is there, one of ours that is nowhere is gone, of another account it is not known: %v", gone)
	}
	if why := s.Sections[facts.CloudSubnets]; why != "the same page comes again and again" {
		t.Errorf("pages without an end: %q", why)
	}
}

// TestNothingCanBeSeen: one error instead of sixty.
func TestNothingCanBeSeen(t *testing.T) {
	cloud := awstest.Start(t)
	here := func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.Header.Get("Authorization"), "/us-east-1/") {
			_, _ = w.Write([]byte(`<R><GetCallerIdentityResult><Account>123456789012</Account><Arn>arn:aws:iam::123456789012:user/a</Arn></GetCallerIdentityResult></R>`))
			return
		}
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte(`<ErrorResponse><Error><Code>InvalidClientTokenId</Code><Message>The security token included in the request is invalid</Message></Error></ErrorResponse>`))
	}
	lost := errors.New("the session has ended")
	for name, c := range map[string]struct {
		prepare func()
		change  func(*client.Config)
		want    []string
	}{
		"region not enabled": {func() { cloud.Answer("sts", "GetCallerIdentity", here) }, nil, []string{"the region eu-central-1 is not enabled in the account 123456789012", "aws account enable-region --region-name eu-central-1"}},
		"wrong key": {func() {
			cloud.Answer("sts", "GetCallerIdentity", awstest.Say(http.StatusForbidden, `<ErrorResponse><Error><Code>InvalidClientTokenId</Code><Message>no</Message></Error></ErrorResponse>`))
		}, nil, []string{"AWS does not know these credentials"}},
		"expired before":        {func() { cloud.Fail("sts", "GetCallerIdentity", 1, 9, awstest.Expired) }, nil, []string{"sign in again"}},
		"expired in the middle": {func() { cloud.Fail("rds", "DescribeDBInstances", 1, 9, awstest.Expired) }, nil, []string{"look at AWS: ", "DescribeDBInstances", "sign in again"}},
		"deactivated in the middle": {func() {
			cloud.Fail("ec2", "DescribeVpcs", 1, 9, awstest.Failure{Status: 401, Code: "AuthFailure", Text: "no"})
			cloud.Fail("sts", "GetCallerIdentity", 2, 9, awstest.Failure{Status: 403, Code: "InvalidClientTokenId", Text: "no"})
		}, nil, []string{"AWS does not know these credentials"}},
		"no credentials any more": {nil, func(config *client.Config) {
			good := config.Credentials
			var n atomic.Int32
			config.Credentials = aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
				if n.Add(1) > 1 {
					return aws.Credentials{}, lost
				}
				return good.Retrieve(ctx)
			})
		}, []string{"look for credentials of AWS: the session has ended", "sign in again"}},
	} {
		t.Run(name, func(t *testing.T) {
			cloud.Reset(t)
			config := cloud.Config(t)
			if c.prepare != nil {
				c.prepare()
			}
			if c.change != nil {
				c.change(&config)
			}
			s, err := Observe(t.Context(), config, Options{Now: now})
			if err == nil {
				t.Fatalf("no error; %v", s.Sections)
			}
			for _, want := range append(c.want, "\nhint: ") {
				if strings.Count(err.Error(), want) != 1 {
					t.Errorf("%q is not once in: %v", want, err)
				}
			}
		})
	}
}

func TestInterrupted(t *testing.T) {
	cloud := awstest.Start(t)
	ctx, stop := context.WithCancel(t.Context())
	cloud.Answer("ec2", "DescribeVpcs", func(http.ResponseWriter, *http.Request) { stop() })
	if _, err := Observe(ctx, cloud.Config(t), Options{Now: now}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// TestGoneMeanwhile: an instance that ends while we look is no reason to see
// nothing.
func TestGoneMeanwhile(t *testing.T) {
	cloud := awstest.Start(t)
	_, stays := cloud.Disk(t)
	_, goes := cloud.Disk(t)
	cloud.Answer("ec2", "DescribeInstanceAttribute", func(answer http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		if r.PostForm.Get("InstanceId") == goes {
			answer.WriteHeader(http.StatusBadRequest)
			_, _ = answer.Write([]byte(`<Response><Errors><Error><Code>InvalidInstanceID.NotFound</Code><Message>gone</Message></Error></Errors></Response>`))
			return
		}
		_, _ = answer.Write([]byte(`<R><userData><value>` + b64("chmod 777 /") + `</value></userData></R>`))
	})
	s, err := Observe(t.Context(), cloud.Config(t), Options{Now: now})
	if err != nil || s.Sections[facts.CloudUserData] != "" || len(s.Cloud.Instances) != 2 {
		t.Fatalf("%v, %q, %d instances", err, s.Sections[facts.CloudUserData], len(s.Cloud.Instances))
	}
	for _, i := range s.Cloud.Instances {
		if (len(i.UserData.Hits) == 1) != (i.ID == stays) {
			t.Errorf("%s: %+v", i.ID, i.UserData)
		}
	}
}

// TestAtMostEightCalls counts those that are on their way.
func TestAtMostEightCalls(t *testing.T) {
	counting := &counting{wait: make(chan struct{})}
	l := &limited{web: counting, places: make(chan struct{}, atOnce)}
	done := make(chan error)
	for range 3 * atOnce {
		go func() {
			r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1/", nil)
			_, err := l.Do(r)
			done <- err
		}()
	}
	for range 3 * atOnce {
		counting.wait <- struct{}{}
		<-done
	}
	if counting.most.Load() > atOnce {
		t.Errorf("%d calls at once", counting.most.Load())
	}
}

type counting struct {
	now, most atomic.Int64
	wait      chan struct{}
}

func (c *counting) Do(*http.Request) (*http.Response, error) {
	n := c.now.Add(1)
	defer c.now.Add(-1)
	for most := c.most.Load(); n > most && !c.most.CompareAndSwap(most, n); most = c.most.Load() {
	}
	<-c.wait
	return nil, errors.New("no answer")
}

func BenchmarkObserve(b *testing.B) {
	cloud, _, options := whole(b)
	for b.Loop() {
		if _, err := Observe(b.Context(), cloud.Config(b), options); err != nil {
			b.Fatal(err)
		}
	}
}
