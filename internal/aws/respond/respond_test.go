package respond

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logstypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	balancer "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/aws-sdk-go-v2/service/guardduty"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/google/go-cmp/cmp"

	"rocca/internal/aws/awstest"
	"rocca/internal/aws/client"
	"rocca/internal/aws/fleet"
	"rocca/internal/aws/stack"
	"rocca/internal/incident"
)

// Secrets that lie where evidence is taken. None may be seen afterwards.
const (
	inUserData = "Planted-In-User-Data-1"
	inRequest  = "Planted-In-A-Request-2"
	inTrail    = "Planted-In-The-Trail-3"
	inTriage   = "Planted-In-The-Triage-4"
)

var planted = []string{inUserData, inRequest, inTrail, inTriage}

// world is a deployment in which an intruder was seen on one instance.
type world struct {
	t        *testing.T
	cloud    *awstest.Cloud
	admin    client.Config
	prepared Prepared
	instance string
	second   string // network interface
	groups   map[string][]string
	profile  string
	targets  string // ARN of the target group
	root     string // of cases

	mu     sync.Mutex
	now    time.Time
	paused time.Duration
	ran    [][]string
	turned int // how often secrets were changed
}

const deployment = "shop"

func newWorld(t *testing.T, start func(testing.TB) *awstest.Cloud) *world {
	w := &world{t: t, cloud: start(t), root: filepath.Join(t.TempDir(), "incidents"), now: time.Now(), groups: map[string][]string{}}
	w.admin = w.cloud.Config(t)
	ctx := t.Context()
	network := ec2.NewFromConfig(w.admin)
	vpc := must(network.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: new("10.0.0.0/16")})).Vpc.VpcId
	subnet := must(network.CreateSubnet(ctx, &ec2.CreateSubnetInput{VpcId: vpc, CidrBlock: new("10.0.0.0/24")})).Subnet.SubnetId
	other := must(network.CreateSubnet(ctx, &ec2.CreateSubnetInput{VpcId: vpc, CidrBlock: new("10.0.1.0/24"), AvailabilityZone: new(awstest.Region + "b")})).Subnet.SubnetId
	group := func(name string) string {
		return *must(network.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{GroupName: &name, Description: &name, VpcId: vpc})).GroupId
	}
	web, extra := group("web"), group("extra")
	w.prepared = Prepared{Deployment: deployment, VPC: *vpc, Isolation: group("isolation"), Transit: group("transit"), Endpoints: group("endpoints"),
		Bucket: "shop-evidence", FlowLogs: "/rocca/shop/flows", Role: "shop-host", Profile: "shop-host", Database: "shop-db"}
	w.makeRole()
	w.instance = w.run(*subnet, web)
	w.second = *must(network.CreateNetworkInterface(ctx, &ec2.CreateNetworkInterfaceInput{SubnetId: subnet, Groups: []string{extra, web}})).NetworkInterface.NetworkInterfaceId
	must(network.AttachNetworkInterface(ctx, &ec2.AttachNetworkInterfaceInput{InstanceId: &w.instance, NetworkInterfaceId: &w.second, DeviceIndex: new(int32(1))}))
	address := must(network.AllocateAddress(ctx, &ec2.AllocateAddressInput{Domain: types.DomainTypeVpc}))
	must(network.AssociateAddress(ctx, &ec2.AssociateAddressInput{AllocationId: address.AllocationId, InstanceId: &w.instance}))
	must(network.AssociateIamInstanceProfile(ctx, &ec2.AssociateIamInstanceProfileInput{InstanceId: &w.instance, IamInstanceProfile: &types.IamInstanceProfileSpecification{Arn: &w.profile}}))
	w.makeService(vpc, subnet, other, web)
	w.makeStores()
	w.answerWhatMotoLacks()
	for _, i := range w.interfaces() {
		w.groups[i.ID] = i.Groups
	}
	w.cloud.ForgetCalls()
	return w
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func (w *world) run(subnet, group string) string {
	data := base64.StdEncoding.EncodeToString([]byte("#!/bin/sh\nexport DB_PASSWORD=" + inUserData + "\n"))
	ran := must(ec2.NewFromConfig(w.admin).RunInstances(w.t.Context(), &ec2.RunInstancesInput{ImageId: new("ami-0123456789abcdef0"), MinCount: new(int32(1)), MaxCount: new(int32(1)), SubnetId: &subnet, SecurityGroupIds: []string{group}, UserData: &data,
		TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeInstance, Tags: []types.Tag{{Key: aws.String(stack.DeploymentTag), Value: aws.String(deployment)}}}}}))
	return *ran.Instances[0].InstanceId
}

func (w *world) makeRole() {
	people := iam.NewFromConfig(w.admin)
	must(people.CreateRole(w.t.Context(), &iam.CreateRoleInput{RoleName: new("shop-host"), AssumeRolePolicyDocument: new("{}")}))
	must(people.PutRolePolicy(w.t.Context(), &iam.PutRolePolicyInput{RoleName: new("shop-host"), PolicyName: new("rocca-host"), PolicyDocument: new(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"logs:PutLogEvents","Resource":"*"}]}`)}))
	w.profile = *must(people.CreateInstanceProfile(w.t.Context(), &iam.CreateInstanceProfileInput{InstanceProfileName: new("shop-host")})).InstanceProfile.Arn
	must(people.AddRoleToInstanceProfile(w.t.Context(), &iam.AddRoleToInstanceProfileInput{InstanceProfileName: new("shop-host"), RoleName: new("shop-host")}))
}

func (w *world) makeService(vpc, subnet, other *string, web string) {
	ctx := w.t.Context()
	elb := elasticloadbalancingv2.NewFromConfig(w.admin)
	w.targets = *must(elb.CreateTargetGroup(ctx, &elasticloadbalancingv2.CreateTargetGroupInput{Name: new("servers"), Protocol: balancer.ProtocolEnumHttps, Port: new(int32(443)), VpcId: vpc, TargetType: balancer.TargetTypeEnumInstance})).TargetGroups[0].TargetGroupArn
	must(elb.RegisterTargets(ctx, &elasticloadbalancingv2.RegisterTargetsInput{TargetGroupArn: &w.targets, Targets: []balancer.TargetDescription{{Id: &w.instance, Port: new(int32(443))}}}))
	for _, form := range []client.Form{
		{"Action": "CreateLaunchConfiguration", "LaunchConfigurationName": "servers", "ImageId": "ami-0123456789abcdef0", "InstanceType": "t3.micro"},
		{"Action": "CreateAutoScalingGroup", "AutoScalingGroupName": "shop-servers", "LaunchConfigurationName": "servers", "MinSize": "0", "MaxSize": "3", "VPCZoneIdentifier": *subnet},
		{"Action": "AttachInstances", "AutoScalingGroupName": "shop-servers", "InstanceIds.member.1": w.instance},
	} {
		action := form["Action"]
		if err := client.AskQuery(ctx, w.admin, "autoscaling:"+action, form, nil); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) makeStores() {
	ctx := w.t.Context()
	store := s3.NewFromConfig(w.admin, func(o *s3.Options) { o.UsePathStyle = true })
	must(store.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &w.prepared.Bucket, ObjectLockEnabledForBucket: new(true), CreateBucketConfiguration: &s3types.CreateBucketConfiguration{LocationConstraint: awstest.Region}}))
	logs := cloudwatchlogs.NewFromConfig(w.admin)
	must(logs.CreateLogGroup(ctx, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: &w.prepared.FlowLogs}))
	must(logs.CreateLogStream(ctx, &cloudwatchlogs.CreateLogStreamInput{LogGroupName: &w.prepared.FlowLogs, LogStreamName: new("all")}))
	w.flow("ACCEPT", w.now.Add(-time.Hour))
	must(rds.NewFromConfig(w.admin).CreateDBInstance(ctx, &rds.CreateDBInstanceInput{DBInstanceIdentifier: &w.prepared.Database, DBInstanceClass: new("db.t4g.micro"), Engine: new("mariadb"), EngineVersion: new("10.11.8"), AllocatedStorage: new(int32(20)), MasterUsername: new("boss"), MasterUserPassword: new("not-a-secret-here")}))
	made := must(guardduty.NewFromConfig(w.admin).CreateDetector(ctx, &guardduty.CreateDetectorInput{Enable: new(true)}))
	w.cloud.Answer("guardduty", "POST /detector/"+*made.DetectorId+"/findings", awstest.Say(http.StatusOK, `{"findingIds":["f1"]}`))
	w.cloud.Answer("guardduty", "POST /detector/"+*made.DetectorId+"/findings/get", awstest.Say(http.StatusOK, `{"findings":[{"id":"f1","type":"CryptoCurrency:EC2/BitcoinTool.B!DNS","severity":8}]}`))
	var acl struct{ Summary struct{ ARN string } }
	seen := client.Fields{"SampledRequestsEnabled": true, "CloudWatchMetricsEnabled": true, "MetricName": "Firewall"}
	if err := client.Ask(ctx, w.admin, "wafv2:CreateWebACL", client.Fields{"Name": "shop", "Scope": regional, "DefaultAction": client.Fields{"Allow": client.Fields{}}, "VisibilityConfig": seen, "Description": "x",
		"Rules": []client.Fields{{"Name": "Rate", "Priority": 0, "Action": client.Fields{"Block": client.Fields{}}, "Statement": client.Fields{"RateBasedStatement": client.Fields{"Limit": 100, "AggregateKeyType": "IP"}}, "VisibilityConfig": client.Fields{"SampledRequestsEnabled": true, "CloudWatchMetricsEnabled": true, "MetricName": "Rate"}}}}, &acl); err != nil {
		w.t.Fatal(err)
	}
	w.prepared.Firewall = acl.Summary.ARN
}

// flow is a line of the flow logs of the second interface.
func (w *world) flow(action string, at time.Time) {
	line := fmt.Sprintf("2 %s %s 203.0.113.9 10.0.0.5 55000 443 6 10 840 %d %d %s OK", awstest.Account, w.second, at.Unix(), at.Unix()+60, action)
	must(cloudwatchlogs.NewFromConfig(w.admin).PutLogEvents(w.t.Context(), &cloudwatchlogs.PutLogEventsInput{LogGroupName: &w.prepared.FlowLogs, LogStreamName: new("all"), LogEvents: []logstypes.InputLogEvent{{Message: &line, Timestamp: aws.Int64(at.UnixMilli())}}}))
}

func (w *world) answerWhatMotoLacks() {
	w.cloud.Answer("ssm", "DescribeInstanceInformation", awstest.Say(http.StatusOK, `{"InstanceInformationList":[{"PingStatus":"Online"}]}`))
	w.cloud.Answer("cloudtrail", "LookupEvents", awstest.Say(http.StatusOK, `{"Events":[{"EventId":"1","EventName":"GetSecretValue","EventTime":1790000000,"EventSource":"secretsmanager.amazonaws.com","CloudTrailEvent":"{\"requestParameters\":{\"secretId\":\"rocca/shop/app\",\"password\":\"`+inTrail+`\"}}"}]}`))
	w.cloud.Answer("wafv2", "GetSampledRequests", awstest.Say(http.StatusOK, `{"SampledRequests":[{"Request":{"ClientIP":"203.0.113.9","URI":"/index.php?token_auth=`+inRequest+`","Method":"GET","Headers":[{"Name":"Cookie","Value":"MATOMO_SESSID=`+inRequest+`"},{"Name":"Host","Value":"stats.example.org"}]},"Action":"ALLOW","Weight":1}]}`))
	w.cloud.Answer("ec2", "LockSnapshot", awstest.Say(http.StatusOK, `<LockSnapshotResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><lockState>compliance-cooloff</lockState></LockSnapshotResponse>`))
}

func (w *world) options() Options { return Options{Instance: w.instance} }

func (w *world) tools() Tools {
	return Tools{
		Run: func(ctx context.Context, instance string, argv []string) ([]byte, error) {
			w.mu.Lock()
			w.ran = append(w.ran, argv)
			w.mu.Unlock()
			request, err := http.NewRequestWithContext(ctx, http.MethodPut, argv[len(argv)-1], strings.NewReader("an archive"))
			if err != nil {
				return nil, err
			}
			answer, err := http.DefaultClient.Do(request)
			if err != nil {
				return nil, err
			}
			defer answer.Body.Close()
			if answer.StatusCode != http.StatusOK {
				return nil, errors.New(answer.Status)
			}
			return []byte(`{"sha256":"b04ad7a4b49ad9ba4c7c1a7f8b5f2c60ff4d5c9c2fdb3d6a9e3ff3c0d0a6f0d3","processes":12,"missing":{"journal":"token=` + inTriage + `"}}`), &fleet.ExitError{Instance: instance, Argv: argv, Code: 3}
		},
		Rotate: func(context.Context, func(string)) error { w.turned++; return nil },
		Now: func() time.Time {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.now
		},
		Pause: func(_ context.Context, d time.Duration) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.now, w.paused = w.now.Add(d), w.paused+d
			return nil
		},
	}
}

func (w *world) response(o Options) *Response { return w.responseAs(w.admin, o) }

func (w *world) responseAs(c client.Config, o Options) *Response {
	return New(c, client.Identity{Account: awstest.Account, ARN: "arn:aws:iam::123456789012:user/anna"}, w.prepared, w.tools(), o)
}

func about(instance string) incident.About {
	return incident.About{Verb: "rocca aws respond", Subject: Subject(instance, deployment), Operator: "anna"}
}

// start does what the command does.
func (w *world) start(r *Response, where Where) (incident.Story, incident.Outcome, error) {
	w.t.Helper()
	if where.Root == "" {
		where.Root = w.root
	}
	b, err := r.Check(w.t.Context())
	if err != nil {
		return incident.Story{}, incident.Outcome{}, err
	}
	c, err := r.Begin(w.t.Context(), where, about(w.instance), b)
	if err != nil {
		return incident.Story{}, incident.Outcome{}, err
	}
	defer c.Close()
	outcome, err := r.Run(w.t.Context(), c, Steps, nil)
	return c.Story(), outcome, err
}

func (w *world) interfaces() []Interface {
	w.t.Helper()
	r := &Response{options: w.options(), ec2: ec2.NewFromConfig(w.admin)}
	return must(r.interfaces(w.t.Context()))
}

// isolated tells whether every interface is in the isolation group alone.
func (w *world) isolated() bool {
	for _, i := range w.interfaces() {
		if !slices.Equal(i.Groups, []string{w.prepared.Isolation}) {
			return false
		}
	}
	return true
}

// changed are the calls that change something, in order.
func (w *world) changed() []string {
	var all []string
	for _, c := range w.cloud.Calls() {
		if !looks(c.Operation) && c.Service != "s3" {
			all = append(all, c.String())
		}
	}
	return all
}

func looks(operation string) bool {
	return slices.ContainsFunc([]string{"Describe", "Get", "List", "Lookup", "Filter", "GET ", "POST /detector", "Head"}, func(verb string) bool { return strings.HasPrefix(operation, verb) })
}

// noSecrets looks through all that was written for what was planted.
func (w *world) noSecrets(texts ...string) {
	w.t.Helper()
	for _, text := range texts {
		for _, s := range append(planted, "X-Amz-Signature") {
			if strings.Contains(text, s) {
				w.t.Errorf("%s is seen: %.300s", s, text)
			}
		}
	}
	_ = filepath.WalkDir(w.root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		text := string(must(os.ReadFile(name)))
		for _, s := range append(planted, "X-Amz-Signature") {
			if strings.Contains(text, s) {
				w.t.Errorf("%s is in %s", s, name)
			}
		}
		return nil
	})
	for key, text := range w.objects() {
		for _, s := range planted {
			if strings.Contains(text, s) {
				w.t.Errorf("%s is in the bucket, in %s", s, key)
			}
		}
	}
}

func (w *world) objects() map[string]string {
	w.t.Helper()
	store := s3.NewFromConfig(w.admin, func(o *s3.Options) { o.UsePathStyle = true })
	all := map[string]string{}
	for _, o := range must(store.ListObjectsV2(w.t.Context(), &s3.ListObjectsV2Input{Bucket: &w.prepared.Bucket})).Contents {
		b := bucket{w.prepared.Bucket, w.admin}
		all[*o.Key] = string(must(b.get(w.t.Context(), *o.Key)))
	}
	return all
}

// wholeOrder is what a response makes of the account, in its order: the table of
// failures and order in which each line has its reason.
var wholeOrder = []string{
	"ec2:ModifyInstanceAttribute", "ec2:ModifyInstanceAttribute", "ec2:ModifyInstanceAttribute", "autoscaling:SetInstanceProtection", "ec2:CreateTags", // protect
	"autoscaling:SuspendProcesses", "autoscaling:EnterStandby", "elasticloadbalancing:DeregisterTargets", // out of service
	"ec2:CreateSnapshots", "rds:CreateDBSnapshot", "ec2:CreateTags", // copy
	"ec2:ModifyNetworkInterfaceAttribute", "ec2:ModifyNetworkInterfaceAttribute", // both interfaces in transit
	"ec2:ModifyNetworkInterfaceAttribute", "ec2:ModifyNetworkInterfaceAttribute", // both in isolation
	"ec2:DisassociateAddress",
	"ec2:DisassociateIamInstanceProfile", "iam:PutRolePolicy", // credentials
	"ec2:LockSnapshot", // preserve
}

// TestWholeResponse does all steps once, and takes them back.
func TestWholeResponse(t *testing.T) {
	w := newWorld(t, awstest.Start)
	w.flow("REJECT", w.now.Add(2*time.Minute))
	w.cloud.ForgetCalls()
	r := w.response(w.options())
	story, outcome, err := w.start(r, Where{})
	if err != nil || outcome.Err() != nil {
		t.Fatalf("%v, %+v: %v", err, outcome, whys(story))
	}
	if diff := cmp.Diff(wholeOrder, w.changed()); diff != "" {
		t.Errorf("order: %s", diff)
	}
	if !w.isolated() || w.worn() != 0 || w.paused < quiet || w.turned != 1 {
		t.Errorf("interfaces %+v, %d profiles, waited %s, rotated %d times", w.interfaces(), w.worn(), w.paused, w.turned)
	}
	if policy := w.denial(); !strings.Contains(policy, `"*:`+w.instance+`"`) || !strings.Contains(policy, "aws:TokenIssueTime") {
		t.Errorf("denial: %s", policy)
	}
	for _, name := range []string{"case.json", "before.json", "instance.json", "user-data.txt", "console.txt", "disks.json", "interfaces.json", "groups.json", "role.json", "service.json",
		"trail-role.json", "trail-instance.json", "flows.txt", "findings.json", "requests.json", "triage.json", triageFile, "snapshots.json", "flows-after.txt", "verified.json"} {
		if !slices.ContainsFunc(story.Evidence, func(e incident.Evidence) bool { return e.Name == name }) {
			t.Errorf("%s was not taken; %+v", name, story.NotTaken)
		}
	}
	objects := w.objects()
	for _, name := range []string{"cases/open/" + w.instance + ".json", "cases/" + story.ID + "/before.json", "cases/" + story.ID + "/report.html", "cases/" + story.ID + "/" + triageFile} {
		if objects[name] == "" {
			t.Errorf("%s is not in the bucket", name)
		}
	}
	w.noSecrets()
	if err := incident.Verify(story.Dir); err != nil {
		t.Error(err)
	}

	// Once more: nothing is left to do.
	w.cloud.ForgetCalls()
	if _, outcome, err := w.start(w.response(w.options()), Where{}); err != nil || outcome.Err() != nil || len(w.changed()) != 0 {
		t.Errorf("again: %v, %+v, %v", err, outcome, w.changed())
	}
	w.cloud.ForgetCalls()
	w.release(story.Dir)
	if diff := cmp.Diff([]string{
		"iam:DeleteRolePolicy", "ec2:AssociateIamInstanceProfile", "ec2:ModifyNetworkInterfaceAttribute", "ec2:ModifyNetworkInterfaceAttribute", "ec2:AssociateAddress",
		"elasticloadbalancing:RegisterTargets", "autoscaling:ExitStandby", "autoscaling:ResumeProcesses",
		"autoscaling:SetInstanceProtection", "ec2:ModifyInstanceAttribute", "ec2:ModifyInstanceAttribute", "ec2:DeleteTags",
	}, w.changed()); diff != "" {
		t.Errorf("release: %s", diff)
	}
	for _, i := range w.interfaces() {
		if !slices.Equal(i.Groups, w.groups[i.ID]) {
			t.Errorf("%s is in %v, not in %v", i.ID, i.Groups, w.groups[i.ID])
		}
	}
	if w.worn() != 1 || w.denial() != "" {
		t.Errorf("%d profiles, %s", w.worn(), w.denial())
	}
	if _, held, err := w.response(w.options()).Claimed(t.Context()); held || err != nil {
		t.Errorf("the claim is still there: %v", err)
	}
	w.noSecrets()
}

// release does what the command does.
func (w *world) release(dir string) incident.Story {
	w.t.Helper()
	r := w.response(w.options())
	c, err := r.Resume(w.t.Context(), dir, about(w.instance))
	if err != nil {
		w.t.Fatal(err)
	}
	defer c.Close()
	outcome, err := r.Run(w.t.Context(), c, Release, nil)
	if err != nil || outcome.Err() != nil {
		w.t.Fatalf("release: %v, %+v: %v", err, outcome, whys(c.Story()))
	}
	return c.Story()
}

// whys tells what did not succeed.
func whys(s incident.Story) []string {
	var all []string
	for _, stage := range s.Steps {
		if stage.State != incident.Done {
			all = append(all, stage.ID+" "+string(stage.State)+": "+stage.Why)
		}
	}
	return all
}

func (w *world) worn() int {
	w.t.Helper()
	r := &Response{options: w.options(), ec2: ec2.NewFromConfig(w.admin)}
	return len(must(r.associations(w.t.Context())))
}

// denial is the policy of the case on the role; empty: there is none.
func (w *world) denial() string {
	w.t.Helper()
	people := iam.NewFromConfig(w.admin)
	for _, name := range must(people.ListRolePolicies(w.t.Context(), &iam.ListRolePoliciesInput{RoleName: new("shop-host")})).PolicyNames {
		if strings.HasPrefix(name, "rocca-case-") {
			return must(url.QueryUnescape(*must(people.GetRolePolicy(w.t.Context(), &iam.GetRolePolicyInput{RoleName: new("shop-host"), PolicyName: &name})).PolicyDocument))
		}
	}
	return ""
}

// TestDryRun shows each call with what it is sent, and changes nothing.
func TestDryRun(t *testing.T) {
	w := newWorld(t, awstest.Start)
	o := w.options()
	o.Attackers = []netip.Prefix{must(Attacker("203.0.113.9"))}
	o.EvidenceAccount, o.FilterSubnet = "210987654321", true
	r := w.response(o)
	if _, err := r.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	id := r.NewCase()
	var shown strings.Builder
	for _, p := range incident.Plan(t.Context(), Steps(r)) {
		if p.Err != "" || len(p.Would) == 0 {
			t.Errorf("%s: %q, %v", p.ID, p.Err, p.Would)
		}
		fmt.Fprintln(&shown, p.ID, strings.Join(p.Would, "\n"))
	}
	for _, want := range []string{
		`ec2:ModifyInstanceAttribute {"DisableApiTermination":{"Value":true},"InstanceId":"` + w.instance + `"}`,
		`autoscaling:EnterStandby {"AutoScalingGroupName":"shop-servers","InstanceIds.member.1":"` + w.instance + `","ShouldDecrementDesiredCapacity":"false"}`,
		`ec2:ModifyNetworkInterfaceAttribute {"Groups":["` + w.prepared.Transit + `"],"NetworkInterfaceId":"` + w.second + `"}`,
		`ec2:ModifyNetworkInterfaceAttribute {"Groups":["` + w.prepared.Isolation + `"],"NetworkInterfaceId":"` + w.second + `"}`,
		`rds:CreateDBSnapshot {"DBInstanceIdentifier":"shop-db","DBSnapshotIdentifier":"rocca-` + id + `"`,
		`wafv2:UpdateIPSet {"Addresses":["203.0.113.9/32"]`, `ec2:DisassociateIamInstanceProfile {"AssociationId":`, `iam:PutRolePolicy {"PolicyDocument":`,
		`"LockMode":"compliance"`, `"UserIds":["210987654321"]`, "elasticloadbalancing:DeregisterTargets", "ec2:DisassociateAddress", "ec2:CreateSnapshots", "rocca aws rotate db",
	} {
		if !strings.Contains(shown.String(), want) {
			t.Errorf("not shown: %s\n%s", want, shown.String())
		}
	}
	if changed := w.changed(); len(changed) > 0 {
		t.Errorf("changed by a dry run: %v", changed)
	}
	if _, err := os.Stat(w.root); err == nil {
		t.Error("a dry run has made a case")
	}
	w.noSecrets(shown.String())
}

// TestOrderOfOthers are the ways in which a responder may decide otherwise.
func TestOrderOfOthers(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Options)
		want   []string // in this order, others may lie between
		never  []string
	}{
		"isolate first": {func(o *Options) { o.IsolateFirst = true }, []string{"ec2:ModifyNetworkInterfaceAttribute", "ec2:DisassociateAddress", "ec2:CreateSnapshots", "ec2:DisassociateIamInstanceProfile"}, nil},
		"keep Systems Manager": {func(o *Options) { o.KeepSSM = true }, []string{"ec2:CreateSnapshots", "ec2:CreateSecurityGroup", "ec2:RevokeSecurityGroupEgress", "ec2:AuthorizeSecurityGroupEgress", "ec2:AuthorizeSecurityGroupIngress",
			"ec2:ModifyNetworkInterfaceAttribute", "iam:PutRolePolicy"}, []string{"ec2:DisassociateIamInstanceProfile"}},
		"block attackers": {func(o *Options) {
			o.Attackers = []netip.Prefix{must(Attacker("203.0.113.9")), must(Attacker("2001:db8::/48"))}
		}, []string{"ec2:ModifyNetworkInterfaceAttribute", "wafv2:CreateIPSet", "wafv2:CreateIPSet", "wafv2:UpdateWebACL", "ec2:DisassociateIamInstanceProfile"}, nil},
		"evidence account": {func(o *Options) {
			o.EvidenceAccount, o.EvidenceKey = "210987654321", "arn:aws:kms:eu-central-1:123456789012:key/0"
		}, []string{"ec2:CreateSnapshots", "iam:PutRolePolicy", "ec2:CopySnapshot", "ec2:LockSnapshot", "ec2:ModifySnapshotAttribute", "ec2:LockSnapshot", "ec2:ModifySnapshotAttribute"}, nil},
		"nobody named": {func(*Options) {}, []string{"ec2:LockSnapshot"}, []string{"ec2:ModifySnapshotAttribute", "ec2:CopySnapshot", "wafv2:UpdateWebACL", "ec2:CreateNetworkAcl", "ec2:StopInstances", "ec2:RebootInstances", "ec2:TerminateInstances"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, awstest.Start)
			o := w.options()
			c.change(&o)
			story, outcome, err := w.start(w.response(o), Where{})
			if err != nil || outcome.Err() != nil {
				t.Fatalf("%v, %+v: %v", err, outcome, whys(story))
			}
			changed := w.changed()
			at := 0
			for _, call := range changed {
				if at < len(c.want) && call == c.want[at] {
					at++
				}
				if slices.Contains(c.never, call) {
					t.Errorf("%s was called", call)
				}
			}
			if at < len(c.want) {
				t.Errorf("%s does not come where it should: %v", c.want[at], changed)
			}
			w.release(story.Dir)
			for _, i := range w.interfaces() {
				if !slices.Equal(i.Groups, w.groups[i.ID]) {
					t.Errorf("%s is in %v, not in %v", i.ID, i.Groups, w.groups[i.ID])
				}
			}
			w.noSecrets()
		})
	}
}

// TestEachFailure has each call fail once: everything else is done none the
// less, and the same command then does what is left.
func TestEachFailure(t *testing.T) {
	once := slices.Clone(wholeOrder)
	slices.Sort(once)
	for _, name := range slices.Compact(once) {
		for _, with := range []awstest.Failure{awstest.Broken, awstest.Expired} {
			if with == awstest.Expired && !slices.Contains([]string{"ec2:CreateTags", "ec2:CreateSnapshots", "ec2:ModifyNetworkInterfaceAttribute", "iam:PutRolePolicy", "ec2:LockSnapshot"}, name) {
				continue // one of each step is enough
			}
			t.Run(name+" "+with.Code, func(t *testing.T) {
				w := newWorld(t, awstest.Start)
				service, operation, _ := strings.Cut(name, ":")
				last := 3 // the client tries thrice
				if with == awstest.Expired {
					last = 1 // but not with credentials that it knows to be of no use
				}
				w.cloud.Fail(service, operation, 1, last, with)
				story, outcome, err := w.start(w.response(w.options()), Where{})
				if with == awstest.Expired {
					if !client.Expired(err) || !strings.Contains(err.Error(), "sign in again") {
						t.Fatalf("the run goes on with credentials that have expired: %v, %+v", err, outcome)
					}
				} else {
					if err != nil || len(outcome.Failed) == 0 && name != "ec2:CreateSnapshots" {
						t.Fatalf("%v, %+v", err, outcome)
					}
					// What contains is done, whatever failed. Where the move into transit
					// failed for one, it goes into isolation directly.
					if !w.isolated() && name != "ec2:ModifyNetworkInterfaceAttribute" {
						t.Errorf("not cut off: %v", whys(story))
					}
					if w.denial() == "" && name != "iam:PutRolePolicy" || w.worn() > 0 && name != "ec2:DisassociateIamInstanceProfile" {
						t.Errorf("credentials not cut: %v", whys(story))
					}
				}
				story, outcome, err = w.start(w.response(w.options()), Where{})
				if err != nil || outcome.Err() != nil {
					t.Fatalf("again: %v, %+v: %v", err, outcome, whys(story))
				}
				if !w.isolated() || w.denial() == "" || w.worn() > 0 || w.turned != 1 {
					t.Errorf("again: not contained: %v", whys(story))
				}
				if stories := must(incident.List(w.root)); len(stories) != 1 {
					t.Errorf("there are %d cases", len(stories))
				}
				w.release(story.Dir)
				for _, i := range w.interfaces() {
					if !slices.Equal(i.Groups, w.groups[i.ID]) {
						t.Errorf("%s is in %v, not in %v as before", i.ID, i.Groups, w.groups[i.ID])
					}
				}
				w.noSecrets()
			})
		}
	}
}

// lost makes the answer to one call get lost, and ends the responder: as after
// kill -9, the call was made and nobody wrote it down.
type lost struct {
	operation string
	n         int // which call of it
	end       context.CancelFunc

	mu   sync.Mutex
	seen int
}

func (l *lost) RoundTrip(r *http.Request) (*http.Response, error) {
	body := must(io.ReadAll(r.Body))
	r.Body = io.NopCloser(bytes.NewReader(body))
	answer, err := http.DefaultTransport.RoundTrip(r)
	if !strings.Contains(string(body), "Action="+l.operation+"&") && r.Method+" "+r.URL.Path != l.operation {
		return answer, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.seen++; l.seen == l.n {
		l.end()
		return nil, context.Canceled
	}
	return answer, err
}

// TestEndedAfterEachCall: what was done when the responder ended is not done
// again, and the way back leads to the state before all of it.
func TestEndedAfterEachCall(t *testing.T) {
	for _, c := range []struct {
		operation string
		n         int
	}{
		{"SuspendProcesses", 1}, {"EnterStandby", 1}, {"DeregisterTargets", 1}, {"CreateSnapshots", 1}, {"CreateDBSnapshot", 1},
		{"ModifyNetworkInterfaceAttribute", 1}, {"ModifyNetworkInterfaceAttribute", 3}, {"DisassociateAddress", 1}, {"DisassociateIamInstanceProfile", 1}, {"PutRolePolicy", 1},
	} {
		t.Run(fmt.Sprint(c.operation, c.n), func(t *testing.T) {
			w := newWorld(t, awstest.Start)
			ctx, end := context.WithCancel(t.Context())
			cut := w.admin
			cut.HTTPClient = &http.Client{Transport: &lost{operation: c.operation, n: c.n, end: end}}
			r := w.responseAs(cut, w.options())
			opened, err := r.Begin(ctx, Where{Root: w.root}, about(w.instance), must(r.Check(ctx)))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := r.Run(ctx, opened, Steps, nil); !errors.Is(err, context.Canceled) {
				t.Fatalf("it goes on: %v", err)
			}
			if err := opened.Close(); err != nil {
				t.Fatal(err)
			}
			for _, i := range w.interfaces() {
				if slices.Contains(i.Groups, w.prepared.Transit) {
					t.Errorf("%s was left in the group that lets all through", i.ID)
				}
			}
			story, outcome, err := w.start(w.response(w.options()), Where{})
			if err != nil || outcome.Err() != nil {
				t.Fatalf("again: %v, %+v: %v", err, outcome, whys(story))
			}
			if n := w.cloud.Count("ec2", "CreateSnapshots"); n != 1 {
				t.Errorf("the disks were copied %d times", n)
			}
			if n := w.cloud.Count("autoscaling", "EnterStandby"); n != 1 {
				t.Errorf("it was put aside %d times", n)
			}
			if !w.isolated() || w.worn() > 0 || w.denial() == "" {
				t.Errorf("not contained: %v", whys(story))
			}
			w.release(story.Dir)
			for _, i := range w.interfaces() {
				if !slices.Equal(i.Groups, w.groups[i.ID]) {
					t.Errorf("%s is in %v, not in %v as before", i.ID, i.Groups, w.groups[i.ID])
				}
			}
		})
	}
}

// TestTextsAlone: the runbook is made of the steps without an account.
func TestTextsAlone(t *testing.T) {
	var ids []string
	for _, s := range append(Steps(nil), Release(nil)...) {
		ids = append(ids, s.ID)
		if s.Title == "" || s.Why == "" || s.Phase == "" || s.Plan == nil || s.Do == nil {
			t.Errorf("%s: %+v", s.ID, s)
		}
	}
	want := []string{"open", "record", "protect", "out-of-service", "triage", "snapshot", "cut-network", "filter-subnet", "block-attackers", "cut-credentials", "rotate", "preserve", "verify", "report",
		"release-credentials", "release-network", "release-service", "release-protect", "release-close"}
	if diff := cmp.Diff(want, ids); diff != "" {
		t.Error(diff)
	}
}
