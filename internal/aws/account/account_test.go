package account

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/inspector2"
	inspectortypes "github.com/aws/aws-sdk-go-v2/service/inspector2/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3bucket "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"rocca/internal/aws/awstest"
	"rocca/internal/aws/client"
	"rocca/internal/aws/settings"
)

var everything = Wanted{
	Deployment: "shop", Account: awstest.Account, Email: "security@example.org", Phone: "+49 30 5550100",
	Services: settings.Account{GuardDuty: true, Config: true, Hub: true, Inspector: true},
}

// rest holds what moto lacks, and is asked for by the answers below.
type rest struct {
	mu                        sync.Mutex
	snapshots, images, tokens string
	block                     string // of networks
	analyzer                  bool
	managedBy                 string
}

func (r *rest) set(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
}

// account gives an account where moto and rest are low, with a network of the
// deployment and its bucket of logs.
func account(t *testing.T, guarded bool) (*awstest.Cloud, client.Config, *rest) {
	t.Helper()
	start := awstest.Start
	if guarded {
		start = awstest.StartGuarded
	}
	cloud := start(t)
	r := &rest{snapshots: "unblocked", images: "unblocked", block: "off", managedBy: "account"}
	say := func(operation string, body func() string) {
		cloud.Answer("ec2", operation, func(w http.ResponseWriter, _ *http.Request) {
			r.mu.Lock()
			defer r.mu.Unlock()
			_, _ = io.WriteString(w, "<"+operation+"Response>"+body()+"</"+operation+"Response>")
		})
	}
	say("GetSnapshotBlockPublicAccessState", func() string { return "<state>" + r.snapshots + "</state><managedBy>" + r.managedBy + "</managedBy>" })
	say("EnableSnapshotBlockPublicAccess", func() string { r.snapshots = "block-all-sharing"; return "<state>block-all-sharing</state>" })
	say("GetImageBlockPublicAccessState", func() string {
		return "<imageBlockPublicAccessState>" + r.images + "</imageBlockPublicAccessState><managedBy>" + r.managedBy + "</managedBy>"
	})
	say("EnableImageBlockPublicAccess", func() string { r.images = "block-new-sharing"; return "" })
	say("GetInstanceMetadataDefaults", func() string {
		if r.tokens == "" {
			return ""
		}
		return "<accountLevel><httpTokens>" + r.tokens + "</httpTokens></accountLevel>"
	})
	say("ModifyInstanceMetadataDefaults", func() string { r.tokens = "required"; return "<return>true</return>" })
	say("GetEbsDefaultKmsKeyId", func() string { return "<kmsKeyId>alias/aws/ebs</kmsKeyId>" })
	say("DescribeVpcBlockPublicAccessOptions", func() string {
		return "<vpcBlockPublicAccessOptions><internetGatewayBlockMode>" + r.block + "</internetGatewayBlockMode></vpcBlockPublicAccessOptions>"
	})
	cloud.Answer("access-analyzer", "GET /analyzer", func(w http.ResponseWriter, asked *http.Request) {
		if asked.URL.Query().Get("nextToken") != "a b+c/" { // what looks for unused rights is no substitute
			_, _ = io.WriteString(w, `{"analyzers":[{"name":"unused","type":"ACCOUNT_UNUSED_ACCESS","status":"ACTIVE"}],"nextToken":"a b+c/"}`)
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		list := []any{}
		if r.analyzer {
			list = append(list, map[string]string{"name": "rocca-shop", "type": "ACCOUNT", "status": "ACTIVE", "arn": "arn:aws:access-analyzer:eu-central-1:123456789012:analyzer/rocca-shop", "createdAt": "2026-01-01T00:00:00Z"})
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"analyzers": list})
	})
	cloud.Answer("access-analyzer", "PUT /analyzer", func(w http.ResponseWriter, asked *http.Request) {
		var said struct {
			AnalyzerName, Type, ClientToken string
			Tags                            map[string]string
		}
		if err := json.NewDecoder(asked.Body).Decode(&said); err != nil || said.AnalyzerName != "rocca-shop" || said.Type != "ACCOUNT" || said.ClientToken == "" || said.Tags["rocca:deployment"] != "shop" {
			t.Errorf("an analyzer was asked for with %+v, %v", said, err)
		}
		r.set(func() { r.analyzer = true })
		_, _ = io.WriteString(w, `{"arn":"arn:aws:access-analyzer:eu-central-1:123456789012:analyzer/rocca-shop"}`)
	})

	admin := cloud.Config(t)
	made, err := ec2.NewFromConfig(admin).CreateVpc(t.Context(), &ec2.CreateVpcInput{
		CidrBlock:         new("10.0.0.0/16"),
		TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeVpc, Tags: []types.Tag{{Key: new("rocca:deployment"), Value: new("shop")}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ec2.NewFromConfig(admin).CreateVpc(t.Context(), &ec2.CreateVpcInput{CidrBlock: new("10.1.0.0/16")}); err != nil {
		t.Fatal(err)
	}
	// AWS lets members of a default group talk to each other; moto forgets to.
	groups, err := ec2.NewFromConfig(admin).DescribeSecurityGroups(t.Context(), &ec2.DescribeSecurityGroupsInput{Filters: []types.Filter{filter("vpc-id", *made.Vpc.VpcId)}})
	if err != nil {
		t.Fatal(err)
	}
	group := groups.SecurityGroups[0].GroupId
	_, err = ec2.NewFromConfig(admin).AuthorizeSecurityGroupIngress(t.Context(), &ec2.AuthorizeSecurityGroupIngressInput{
		GroupId: group, IpPermissions: []types.IpPermission{{IpProtocol: new("-1"), UserIdGroupPairs: []types.UserIdGroupPair{{GroupId: group}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	// An account that never used Inspector is not listed by moto, as it is by AWS.
	_, err = inspector2.NewFromConfig(admin).Disable(t.Context(), &inspector2.DisableInput{AccountIds: []string{awstest.Account}, ResourceTypes: []inspectortypes.ResourceScanType{inspectortypes.ResourceScanTypeEc2}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s3.NewFromConfig(admin).CreateBucket(t.Context(), &s3.CreateBucketInput{
		Bucket: new("shop-logs"), CreateBucketConfiguration: &s3bucket.CreateBucketConfiguration{LocationConstraint: s3bucket.BucketLocationConstraintEuCentral1},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = ssm.NewFromConfig(admin).PutParameter(t.Context(), &ssm.PutParameterInput{Name: new("/rocca/shop/base/LogBucket"), Value: new("shop-logs"), Type: ssmtypes.ParameterTypeString})
	if err != nil {
		t.Fatal(err)
	}
	cloud.ForgetCalls()
	return cloud, admin, r
}

func TestEverySettingIsRaisedOnce(t *testing.T) {
	cloud, config, _ := account(t, false)
	all := Settings(config, everything)
	before := Look(t.Context(), all)
	for _, r := range before {
		t.Logf("%-8s %-28s %s", r.Status(), r.Name, r.Found())
		if r.Err != nil {
			t.Errorf("%s: %v", r.Name, r.Err)
		}
		if r.Status() == Raise && len(r.Undo) == 0 {
			t.Errorf("%s: nothing says how to take it back", r.Name)
		}
	}
	if calls := changing(cloud); len(calls) > 0 {
		t.Fatalf("looking made calls that change something: %v", calls)
	}
	after := Apply(t.Context(), before)
	for _, r := range after {
		if r.Status() != Good {
			t.Errorf("%s: %s, %s", r.Name, r.Status(), r.Found())
		}
	}
	if len(after) != 12 {
		t.Errorf("%d settings were raised, want all but the block of networks: 12", len(after))
	}
	cloud.ForgetCalls()
	if again := Apply(t.Context(), Look(t.Context(), all)); len(again) != 0 {
		t.Errorf("a second time, %d settings were raised", len(again))
	}
	if calls := changing(cloud); len(calls) > 0 {
		t.Errorf("a second time, calls were made that change something: %v", calls)
	}

	groups, err := ec2.NewFromConfig(config).DescribeSecurityGroups(t.Context(), &ec2.DescribeSecurityGroupsInput{Filters: []types.Filter{filter("group-name", "default")}})
	if err != nil {
		t.Fatal(err)
	}
	var empty int
	for _, g := range groups.SecurityGroups {
		if len(g.IpPermissions)+len(g.IpPermissionsEgress) == 0 {
			empty++
		}
	}
	if empty != 1 {
		t.Errorf("%d of %d default groups are empty, want that of the deployment's network only", empty, len(groups.SecurityGroups))
	}
}

func TestWhatBillsIsNotTurnedOnUnasked(t *testing.T) {
	cloud, config, _ := account(t, false)
	quiet := everything
	quiet.Services, quiet.Phone = settings.Account{}, ""
	readings := Look(t.Context(), Settings(config, quiet))
	Apply(t.Context(), readings)
	for _, call := range cloud.Calls() {
		if slices.Contains([]string{"guardduty", "config", "securityhub", "inspector2", "account"}, call.Service) && !reads(call.Operation) {
			t.Errorf("%v was called", call)
		}
	}
	for _, r := range readings {
		if r.Price == "" {
			continue
		}
		if r.Status() != Left || !strings.Contains(r.Found(), r.Price) {
			t.Errorf("%s: %s, %q", r.Name, r.Status(), r.Found())
		}
	}
}

func TestNothingIsLowered(t *testing.T) {
	cloud, config, r := account(t, false)
	r.set(func() {
		r.snapshots, r.images, r.tokens, r.analyzer = "block-all-sharing", "block-new-sharing", "required", true
	})
	if _, err := ec2.NewFromConfig(config).EnableEbsEncryptionByDefault(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	// Half of it is set; the other half is added, and none is taken away.
	if err := writeBlock(t.Context(), config, awstest.Account, block{BlockPublicAcls: true, RestrictPublicBuckets: true}); err != nil {
		t.Fatal(err)
	}
	quiet := everything
	quiet.Services, quiet.Phone = settings.Account{}, ""
	cloud.ForgetCalls()
	readings := Look(t.Context(), Settings(config, quiet))
	i := slices.IndexFunc(readings, func(r Reading) bool { return r.Name == "no public buckets" })
	if got, want := readings[i].Is, "off: IgnorePublicAcls, BlockPublicPolicy"; got != want {
		t.Errorf("buckets: %q, want %q", got, want)
	}
	if want := "BlockPublicAcls=true,IgnorePublicAcls=false,BlockPublicPolicy=false,RestrictPublicBuckets=true"; !strings.Contains(readings[i].Undo[0], want) {
		t.Errorf("undo %q, want %q in it", readings[i].Undo[0], want)
	}
	Apply(t.Context(), readings)
	want := []awstest.Call{{Service: "s3", Operation: "PutPublicAccessBlock"}, {Service: "ec2", Operation: "RevokeSecurityGroupIngress"}, {Service: "ec2", Operation: "RevokeSecurityGroupEgress"}}
	if got := changing(cloud); !slices.Equal(got, want) {
		t.Errorf("calls that change something: %v, want %v", got, want)
	}
	again := Look(t.Context(), Settings(config, quiet))
	if again[i].Status() != Good {
		t.Errorf("buckets after: %s", again[i].Found())
	}
}

func TestOthersDecide(t *testing.T) {
	_, config, r := account(t, false)
	r.set(func() { r.managedBy, r.block = "declarative-policy", "block-bidirectional" })
	for _, got := range Look(t.Context(), Settings(config, everything)) {
		switch got.Name {
		case "no public snapshots", "no public images":
			if got.Status() != Left || !strings.Contains(got.Found(), "organization decides") {
				t.Errorf("%s: %s, %q", got.Name, got.Status(), got.Found())
			}
		case "public access of networks":
			if got.Status() != Left || !strings.Contains(got.Found(), "block-bidirectional; visitors cannot reach") {
				t.Errorf("%s: %s, %q", got.Name, got.Status(), got.Found())
			}
		}
	}
}

func TestOneRefusalStopsNoOther(t *testing.T) {
	cloud, config, _ := account(t, false)
	all := Settings(config, everything)
	cloud.Fail("ec2", "GetSnapshotBlockPublicAccessState", 1, 1, awstest.Denied)
	cloud.Fail("s3", "GetPublicAccessBlock", 1, 1, awstest.Denied)
	cloud.Fail("guardduty", "GET /detector", 1, 9, awstest.Denied)
	cloud.Fail("guardduty", "GET /detector", 1, 1, awstest.Broken)
	cloud.Fail("ec2", "EnableEbsEncryptionByDefault", 1, 1, awstest.Denied)
	readings := Look(t.Context(), all)
	for _, r := range readings {
		unseen := slices.Contains([]string{"no public snapshots", "no public buckets", "GuardDuty"}, r.Name)
		if unseen != (r.Status() == Unknown) || unseen && r.Found() != "not allowed to look" {
			t.Errorf("%s: %s, %q", r.Name, r.Status(), r.Found())
		}
	}
	raised, refused := 0, 0
	for _, r := range Apply(t.Context(), readings) {
		switch {
		case r.Status() == Good:
			raised++
		case r.Name == "EBS encryption by default" && r.Status() == Failed && strings.Contains(r.Found(), "hint: rocca aws policy"):
			refused++
		default:
			t.Errorf("%s: %s, %q", r.Name, r.Status(), r.Found())
		}
	}
	if raised != 8 || refused != 1 {
		t.Errorf("%d were raised and %d refused, want 8 and 1", raised, refused)
	}
}

func TestWhatDoesNotStickIsNoSuccess(t *testing.T) {
	cloud, config, _ := account(t, false)
	cloud.Answer("ec2", "EnableImageBlockPublicAccess", awstest.Say(http.StatusOK, "<EnableImageBlockPublicAccessResponse/>"))
	for _, r := range Apply(t.Context(), Look(t.Context(), Settings(config, everything))) {
		if r.Name != "no public images" {
			continue
		}
		if r.Status() != Failed || !strings.Contains(r.Found(), "still says: unblocked") {
			t.Errorf("%s, %q", r.Status(), r.Found())
		}
		return
	}
	t.Error("images were not looked at")
}

func TestBeforeTheFirstDeployment(t *testing.T) {
	cloud, config, _ := account(t, false)
	fresh := everything
	fresh.Deployment = "other"
	readings := Look(t.Context(), Settings(config, fresh))
	i := slices.IndexFunc(readings, func(r Reading) bool { return r.Name == "empty default security group" })
	if readings[i].Status() != Left || cloud.Count("ec2", "DescribeSecurityGroups") != 0 {
		t.Errorf("%s, %q: the groups of other networks are not ours", readings[i].Status(), readings[i].Found())
	}
	i = slices.IndexFunc(readings, func(r Reading) bool { return r.Name == "AWS Config recorder" })
	if readings[i].Status() != Left || !strings.Contains(readings[i].Found(), "before rocca aws deploy") {
		t.Errorf("%s, %q: a recorder that can deliver nowhere", readings[i].Status(), readings[i].Found())
	}
}

// changing lists the calls that are not reads.
func changing(cloud *awstest.Cloud) []awstest.Call {
	return slices.DeleteFunc(cloud.Calls(), func(c awstest.Call) bool { return reads(c.Operation) })
}

func reads(operation string) bool {
	for _, verb := range []string{"Get", "Describe", "List", "GET ", "POST /getAlternateContact", "POST /status/batch/get"} {
		if strings.HasPrefix(operation, verb) {
			return true
		}
	}
	return false
}
