package respond

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"rocca/internal/aws/awstest"
	"rocca/internal/aws/policy"
	"rocca/internal/incident"
)

// respondActions are all that a response and its release call.
var respondActions = []string{
	"autoscaling:DescribeAutoScalingGroups", "autoscaling:DescribeAutoScalingInstances", "autoscaling:EnterStandby", "autoscaling:ExitStandby", "autoscaling:ResumeProcesses", "autoscaling:SetInstanceProtection", "autoscaling:SuspendProcesses",
	"cloudtrail:LookupEvents",
	"ec2:AssociateAddress", "ec2:AssociateIamInstanceProfile", "ec2:CreateSnapshots", "ec2:CreateTags", "ec2:DeleteTags", "ec2:DescribeAddresses", "ec2:DescribeIamInstanceProfileAssociations", "ec2:DescribeInstanceAttribute",
	"ec2:DescribeInstances", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSecurityGroups", "ec2:DescribeSnapshots", "ec2:DescribeVolumes", "ec2:DisassociateAddress", "ec2:DisassociateIamInstanceProfile", "ec2:GetConsoleOutput", "ec2:LockSnapshot",
	"ec2:ModifyInstanceAttribute", "ec2:ModifyNetworkInterfaceAttribute",
	"elasticloadbalancing:DeregisterTargets", "elasticloadbalancing:DescribeTargetGroups", "elasticloadbalancing:DescribeTargetHealth", "elasticloadbalancing:RegisterTargets",
	"guardduty:GetFindings", "guardduty:ListDetectors", "guardduty:ListFindings",
	"iam:DeleteRolePolicy", "iam:GetInstanceProfile", "iam:GetRolePolicy", "iam:ListAttachedRolePolicies", "iam:ListRolePolicies", "iam:PassRole", "iam:PutRolePolicy",
	"logs:FilterLogEvents", "rds:CreateDBSnapshot",
	"s3:DeleteObject", "s3:GetObject", "s3:ListBucket", "s3:PutObject",
	"ssm:DescribeInstanceInformation", "wafv2:GetSampledRequests", "wafv2:GetWebACL",
}

// TestGetsByWithItsPolicy runs everything as somebody who may do that and
// nothing else; without one of the rights, that one call is what fails.
func TestGetsByWithItsPolicy(t *testing.T) {
	w := newWorld(t, awstest.StartGuarded)
	documents, err := policy.For(policy.Respond, policy.Scope{Deployment: deployment, Region: awstest.Region, Account: awstest.Account})
	if err != nil {
		t.Fatal(err)
	}
	var generated []string // what rocca aws policy respond prints
	allowed := map[string]bool{}
	for _, d := range documents {
		generated = append(generated, string(d.JSON()))
		for _, s := range d.Statements {
			for _, action := range s.Action {
				allowed[action] = true
			}
		}
	}
	for _, action := range respondActions {
		if !allowed[action] {
			t.Errorf("the generated policy does not allow %s", action)
		}
	}
	somebody := w.cloud.As(t, generated...)
	w.cloud.ForgetCalls()
	as := func() *Response {
		r := w.responseAs(somebody, w.options())
		r.tools.Run = func(ctx context.Context, _ string, _ []string) ([]byte, error) { // moto knows no presigned address when it asks IAM
			return []byte(`{"sha256":"0"}`), bucket{w.prepared.Bucket, w.admin}.put(ctx, r.key(triageFile), []byte("an archive"))
		}
		return r
	}
	story, outcome, err := w.start(as(), Where{})
	if err != nil || outcome.Err() != nil {
		t.Fatalf("%v, %+v: %v", err, outcome, whys(story))
	}
	r := as()
	c, err := r.Resume(t.Context(), story.Dir, about(w.instance))
	if err != nil {
		t.Fatal(err)
	}
	back, err := r.Run(t.Context(), c, Release, nil)
	if err = errors.Join(err, back.Err(), c.Close()); err != nil {
		t.Errorf("release: %v: %v", err, whys(story))
	}
	for _, call := range w.cloud.Refused() {
		if call.Service != "guardduty" {
			t.Errorf("%s is refused", call)
		}
	}
}

// TestDeniedCallsBlockNothing takes away the rights to everything but what
// contains: it is contained, and the report says what is missing.
func TestDeniedCallsBlockNothing(t *testing.T) {
	w := newWorld(t, awstest.StartGuarded)
	few := []string{"ec2:DescribeInstances", "ec2:ModifyNetworkInterfaceAttribute", "ec2:DescribeIamInstanceProfileAssociations", "ec2:DisassociateIamInstanceProfile", "iam:PutRolePolicy"}
	text, err := json.Marshal(map[string]any{"Statement": []any{map[string]any{"Effect": "Allow", "Action": few, "Resource": "*"}}})
	if err != nil {
		t.Fatal(err)
	}
	story, outcome, err := w.start(w.responseAs(w.cloud.As(t, string(text)), w.options()), Where{})
	if err != nil || len(outcome.Failed) == 0 {
		t.Fatalf("%v, %+v", err, outcome)
	}
	// moto counts the groups of the instance, which nothing has changed here, as
	// those of its interfaces.
	var cut []string
	for _, m := range story.Changes {
		if strings.Contains(m.What, `{"Groups":["`+w.prepared.Isolation+`"]`) {
			cut = append(cut, m.What)
		}
	}
	if len(cut) != 2 || w.worn() > 0 || w.denial() == "" || w.turned != 1 {
		t.Errorf("not contained: %v, %v", cut, whys(story))
	}
	missing := map[string]bool{}
	for _, gap := range story.NotTaken {
		missing[gap.What] = true
	}
	for _, want := range []string{"lock in the account", "console.txt", "flows.txt", "findings.json", "triage of the running system", "auto-scaling group"} {
		if !missing[want] {
			t.Errorf("not told as missing: %s; %v", want, slices.Sorted(maps.Keys(missing)))
		}
	}
}

// TestTwoResponders: the second is told who the first is, and can join.
func TestTwoResponders(t *testing.T) {
	w := newWorld(t, awstest.Start)
	first := w.response(w.options())
	before := must(first.Check(t.Context()))
	c, err := first.Begin(t.Context(), Where{Root: w.root}, about(w.instance), before)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, _, err := w.start(w.response(w.options()), Where{}); !errors.Is(err, incident.ErrBusy) {
		t.Errorf("in the same directory: %v", err)
	}
	elsewhere := filepath.Join(t.TempDir(), "incidents")
	_, _, err = w.start(w.response(w.options()), Where{Root: elsewhere})
	if !errors.Is(err, ErrHeld) || !strings.Contains(err.Error(), "user/anna") || !strings.Contains(err.Error(), "--join "+filepath.Base(c.Dir)) {
		t.Errorf("elsewhere: %v", err)
	}
	if found := must(incident.List(elsewhere)); len(found) != 0 {
		t.Errorf("who was refused has a case: %v", found)
	}
	if _, _, err := w.start(w.response(w.options()), Where{Root: elsewhere, Join: "20200101-0000-other"}); err == nil || !strings.Contains(err.Error(), "nobody has it open") {
		t.Errorf("join what is not there: %v", err)
	}
	if _, _, err := w.start(w.response(w.options()), Where{Root: elsewhere, Join: "../" + filepath.Base(c.Dir)}); err == nil {
		t.Error("join takes a path")
	}
	// The first cuts off, and goes away; who joins then knows the state before.
	if outcome, err := first.Run(t.Context(), c, Steps, nil); err != nil || outcome.Err() != nil {
		t.Fatalf("%v, %+v", err, outcome)
	}
	snapshots := w.cloud.Count("ec2", "CreateSnapshots")
	story, outcome, err := w.start(w.response(w.options()), Where{Root: elsewhere, Join: filepath.Base(c.Dir)})
	if err != nil || outcome.Err() != nil {
		t.Fatalf("join: %v, %+v: %v", err, outcome, whys(story))
	}
	if now := w.cloud.Count("ec2", "CreateSnapshots"); now != snapshots {
		t.Error("who joins copies the disks again")
	}
	w.release(story.Dir)
	for _, i := range w.interfaces() {
		if !slices.Equal(i.Groups, w.groups[i.ID]) {
			t.Errorf("who joined releases %s into %v, not %v", i.ID, i.Groups, w.groups[i.ID])
		}
	}
	w.noSecrets()
}

// TestRaceForTheClaim: of two who begin at once, S3 lets one through.
func TestRaceForTheClaim(t *testing.T) {
	w := newWorld(t, awstest.Start)
	late := w.response(w.options())
	before := must(late.Check(t.Context()))
	// The second has looked when nobody was there.
	w.cloud.Fail("s3", "GetObject", 1, 1, awstest.Failure{Status: http.StatusNotFound, Code: "NoSuchKey", Text: "none"})
	early := w.response(w.options())
	c, err := early.Begin(t.Context(), Where{Root: w.root}, about(w.instance), before)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	w.cloud.Fail("s3", "GetObject", 1, 1, awstest.Failure{Status: http.StatusNotFound, Code: "NoSuchKey", Text: "none"})
	if _, err := late.Begin(t.Context(), Where{Root: t.TempDir()}, about(w.instance), before); !errors.Is(err, ErrHeld) {
		t.Errorf("both have the incident: %v", err)
	}
}

// TestForeignInstance: what is not ours is touched only when its id is typed
// again, and then with groups of its own network.
func TestForeignInstance(t *testing.T) {
	w := newWorld(t, awstest.Start)
	network := ec2.NewFromConfig(w.admin)
	vpc := must(network.CreateVpc(t.Context(), &ec2.CreateVpcInput{CidrBlock: new("10.9.0.0/16")})).Vpc.VpcId
	subnet := must(network.CreateSubnet(t.Context(), &ec2.CreateSubnetInput{VpcId: vpc, CidrBlock: new("10.9.0.0/24")})).Subnet.SubnetId
	group := *must(network.CreateSecurityGroup(t.Context(), &ec2.CreateSecurityGroupInput{GroupName: new("their"), Description: new("their"), VpcId: vpc})).GroupId
	ours := w.instance
	w.instance = *must(network.RunInstances(t.Context(), &ec2.RunInstancesInput{ImageId: new("ami-0123456789abcdef0"), MinCount: new(int32(1)), MaxCount: new(int32(1)), SubnetId: subnet, SecurityGroupIds: []string{group}})).Instances[0].InstanceId
	w.cloud.ForgetCalls()
	for name, c := range map[string]struct{ foreign, want string }{
		"no":          {"", "--foreign-instance " + w.instance},
		"another one": {ours, "--foreign-instance says"},
	} {
		o := w.options()
		o.Foreign = c.foreign
		if _, _, err := w.start(w.response(o), Where{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if changed := w.changed(); len(changed) > 0 {
		t.Fatalf("changed without being meant: %v", changed)
	}
	o := w.options()
	o.Foreign, o.FilterSubnet = w.instance, true
	story, outcome, err := w.start(w.response(o), Where{})
	if err != nil || slices.Contains(outcome.Failed, stepNetwork) || slices.Contains(outcome.Failed, stepFilter) {
		t.Fatalf("%v, %+v: %v", err, outcome, whys(story))
	}
	now := w.interfaces()
	made := must(network.DescribeSecurityGroups(t.Context(), &ec2.DescribeSecurityGroupsInput{GroupIds: now[0].Groups})).SecurityGroups
	if len(made) != 1 || *made[0].VpcId != *vpc || len(made[0].IpPermissions)+len(made[0].IpPermissionsEgress) != 0 {
		t.Errorf("it is in %+v", made)
	}
	if w.turned != 0 {
		t.Error("the deployment's secrets were changed for an instance that never knew them")
	}
	w.release(story.Dir)
	if now := w.interfaces(); !slices.Equal(now[0].Groups, []string{group}) {
		t.Errorf("released into %v", now[0].Groups)
	}
	left := must(network.DescribeSecurityGroups(t.Context(), &ec2.DescribeSecurityGroupsInput{Filters: []types.Filter{{Name: aws.String("vpc-id"), Values: []string{*vpc}}}})).SecurityGroups
	if len(left) != 2 { // theirs and the default
		t.Errorf("groups are left over: %d", len(left))
	}
	acls := must(network.DescribeNetworkAcls(t.Context(), &ec2.DescribeNetworkAclsInput{Filters: []types.Filter{{Name: aws.String("vpc-id"), Values: []string{*vpc}}}})).NetworkAcls
	if len(acls) != 1 {
		t.Errorf("network ACLs are left over: %d", len(acls))
	}
}

// TestFilterSparesOthers: a network ACL would hit all that is in the subnet.
func TestFilterSparesOthers(t *testing.T) {
	w := newWorld(t, awstest.Start)
	subnet := w.interfaces()[0].Subnet
	w.run(subnet, w.prepared.Endpoints)
	w.cloud.ForgetCalls()
	o := w.options()
	o.FilterSubnet = true
	story, outcome, err := w.start(w.response(o), Where{})
	if err != nil || !slices.Contains(outcome.Failed, stepFilter) || !w.isolated() || w.worn() > 0 || w.turned != 1 {
		t.Errorf("%v, %+v: %v", err, outcome, whys(story))
	}
	if n := w.cloud.Count("ec2", "CreateNetworkAcl"); n != 0 {
		t.Errorf("%d network ACLs were made", n)
	}
}

// TestInstanceIsEndedMeanwhile: an auto-scaling group replaces it between two
// steps. What is left of it, its disks, is copied one by one.
func TestInstanceIsEndedMeanwhile(t *testing.T) {
	w := newWorld(t, awstest.Start)
	gone := func(service, operation string) {
		w.cloud.Fail(service, operation, 1, 99, awstest.Failure{Status: http.StatusBadRequest, Code: "InvalidInstanceID.NotFound", Text: "The instance ID does not exist"})
	}
	r := w.response(w.options())
	run := r.tools.Run
	r.tools.Run = func(ctx context.Context, instance string, argv []string) ([]byte, error) {
		gone("ec2", "CreateSnapshots")
		gone("ec2", "DescribeInstances")
		w.cloud.Fail("ec2", "ModifyNetworkInterfaceAttribute", 1, 99, awstest.Failure{Status: http.StatusBadRequest, Code: "InvalidNetworkInterfaceID.NotFound", Text: "The network interface does not exist"})
		return run(ctx, instance, argv)
	}
	story, outcome, err := w.start(r, Where{})
	if err != nil {
		t.Fatal(err)
	}
	if n := w.cloud.Count("ec2", "CreateSnapshot"); n != 1 || slices.Contains(outcome.Failed, stepSnapshot) {
		t.Errorf("%d disks were copied: %v", n, whys(story))
	}
	if w.denial() == "" || !slices.Contains(outcome.Done, stepPreserve) || !slices.Contains(outcome.Done, stepReport) {
		t.Errorf("what could be done was not: %v", whys(story))
	}
}

// TestEndedBefore: there is nothing to cut off any more.
func TestEndedBefore(t *testing.T) {
	w := newWorld(t, awstest.Start)
	must(ec2.NewFromConfig(w.admin).TerminateInstances(t.Context(), &ec2.TerminateInstancesInput{InstanceIds: []string{w.instance}}))
	if _, _, err := w.start(w.response(w.options()), Where{}); err == nil || !strings.Contains(err.Error(), "it was terminated") {
		t.Errorf("got %v", err)
	}
	o := w.options()
	o.Instance = "i-00000000000000000"
	if _, _, err := w.start(w.response(o), Where{}); !errors.Is(err, errGone) {
		t.Errorf("got %v", err)
	}
}

// TestNeverLeftOpen: an interface that cannot be put into isolation does not
// stay in the group that lets all through.
func TestNeverLeftOpen(t *testing.T) {
	w := newWorld(t, awstest.Start)
	// Two go into transit; of the first, isolation fails for good.
	w.cloud.Fail("ec2", "ModifyNetworkInterfaceAttribute", 3, 2+attempts*3, awstest.Broken)
	story, outcome, err := w.start(w.response(w.options()), Where{})
	if err != nil || !slices.Contains(outcome.Failed, stepNetwork) || !slices.Contains(outcome.Held, stepRotate) {
		t.Fatalf("%v, %+v: %v", err, outcome, whys(story))
	}
	isolated := 0
	for _, i := range w.interfaces() {
		switch {
		case slices.Contains(i.Groups, w.prepared.Transit):
			t.Errorf("%s is in transit still", i.ID)
		case slices.Equal(i.Groups, []string{w.prepared.Isolation}):
			isolated++
		}
	}
	if isolated != 1 || w.turned != 0 {
		t.Errorf("%d interfaces are isolated; rotated %d times before all are", isolated, w.turned)
	}
	if _, outcome, err := w.start(w.response(w.options()), Where{}); err != nil || outcome.Err() != nil || !w.isolated() || w.turned != 1 {
		t.Errorf("again: %v, %+v", err, outcome)
	}
}

// TestFlowsThatGetThrough are no proof.
func TestFlowsThatGetThrough(t *testing.T) {
	w := newWorld(t, awstest.Start)
	w.flow("ACCEPT", w.now.Add(4*time.Minute))
	story, outcome, err := w.start(w.response(w.options()), Where{})
	if err != nil || !slices.Equal(outcome.Failed, []string{stepVerify}) || !strings.Contains(strings.Join(whys(story), ""), "--nacl") {
		t.Errorf("%v, %+v: %v", err, outcome, whys(story))
	}
}

// TestTriageThatLies: what is in the bucket is not what the instance says.
func TestTriage(t *testing.T) {
	w := newWorld(t, awstest.Start)
	story, _, err := w.start(w.response(w.options()), Where{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(story.Timeline, func(e incident.Entry) bool { return strings.Contains(e.Text, "IS NOT WHAT THE INSTANCE SAYS") }) {
		t.Error("another hash is not told")
	}
	if len(w.ran) != 1 || w.ran[0][0] != "sh" || !strings.Contains(w.ran[0][2], "rocca host triage --put-url-stdin") {
		t.Errorf("ran %v", w.ran)
	}

	w = newWorld(t, awstest.Start)
	w.cloud.Answer("ssm", "DescribeInstanceInformation", awstest.Say(http.StatusOK, `{"InstanceInformationList":[]}`))
	story, outcome, err := w.start(w.response(w.options()), Where{})
	if err != nil || !slices.Contains(outcome.Skipped, stepTriage) || len(w.ran) != 0 {
		t.Errorf("without an agent: %v, %+v: %v", err, outcome, whys(story))
	}

	w = newWorld(t, awstest.Start)
	r := w.response(w.options())
	r.tools.Run = func(_ context.Context, _ string, argv []string) ([]byte, error) {
		return nil, errors.New("run " + strings.Join(argv, " ") + ": exit status 2")
	}
	story, outcome, err = w.start(r, Where{})
	if err != nil || !slices.Equal(outcome.Failed, []string{stepTriage}) || !w.isolated() {
		t.Errorf("%v, %+v: %v", err, outcome, whys(story))
	}
	w.noSecrets(whys(story)...)
}

// TestRehearsal: only what is there to practise on, and the audit is told.
func TestRehearsal(t *testing.T) {
	w := newWorld(t, awstest.Start)
	o := w.options()
	o.Rehearsal = true
	if _, _, err := w.start(w.response(o), Where{}); err == nil || !strings.Contains(err.Error(), "rocca:rehearsal=yes") || !strings.Contains(err.Error(), "hint: start one to practise on") {
		t.Fatalf("on an instance in use: %v", err)
	}
	if changed := w.changed(); len(changed) > 0 {
		t.Fatalf("changed: %v", changed)
	}
	must(ec2.NewFromConfig(w.admin).CreateTags(t.Context(), &ec2.CreateTagsInput{Resources: []string{w.instance}, Tags: []types.Tag{{Key: aws.String(RehearsalTag), Value: aws.String("yes")}}}))
	var locked string
	w.cloud.Answer("ec2", "LockSnapshot", func(rw http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		locked = r.Form.Get("LockMode") + " " + r.Form.Get("LockDuration")
		awstest.Say(http.StatusOK, `<LockSnapshotResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"/>`)(rw, r)
	})
	r := w.response(o)
	story, outcome, err := w.start(r, Where{})
	if err != nil || outcome.Err() != nil {
		t.Fatalf("%v, %+v: %v", err, outcome, whys(story))
	}
	if locked != "governance 1" || w.turned != 0 || w.cloud.Count("rds", "CreateDBSnapshot") != 0 {
		t.Errorf("locked %q, rotated %d times, %d copies of the database", locked, w.turned, w.cloud.Count("rds", "CreateDBSnapshot"))
	}
	w.release(story.Dir)
	if err := r.Rehearsed(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	found := 0
	for key, text := range w.objects() {
		if !strings.HasPrefix(key, "rehearsals/") {
			continue
		}
		found++
		var said rehearsed
		if err := json.Unmarshal([]byte(text), &said); err != nil || said.Case != story.ID || !said.Well || said.At.IsZero() || strings.Contains(key, ":") {
			t.Errorf("%s: %s, %v", key, text, err)
		}
	}
	if found != 1 {
		t.Errorf("%d rehearsals are recorded", found)
	}
}

// TestWithoutStacks: a deployment that has nothing prepared is cut off none the
// less.
func TestWithoutStacks(t *testing.T) {
	w := newWorld(t, awstest.Start)
	w.prepared = Prepared{Deployment: deployment}
	story, outcome, err := w.start(w.response(w.options()), Where{})
	if err != nil || !slices.Contains(outcome.Done, stepNetwork) || !slices.Contains(outcome.Done, stepCredentials) {
		t.Fatalf("%v, %+v: %v", err, outcome, whys(story))
	}
	if w.denial() == "" || w.worn() != 0 {
		t.Errorf("credentials: %v", whys(story))
	}
}

// TestThrottling is waited for.
func TestThrottling(t *testing.T) {
	w := newWorld(t, awstest.Start)
	for _, call := range []string{"ec2 DescribeInstances", "ec2 ModifyInstanceAttribute", "ec2 CreateSnapshots", "ec2 ModifyNetworkInterfaceAttribute", "iam PutRolePolicy", "autoscaling EnterStandby", "s3 PutObject", "logs FilterLogEvents", "cloudtrail LookupEvents"} {
		service, operation, _ := strings.Cut(call, " ")
		w.cloud.Fail(service, operation, 1, 2, awstest.Throttled)
	}
	if story, outcome, err := w.start(w.response(w.options()), Where{}); err != nil || outcome.Err() != nil {
		t.Errorf("%v, %+v: %v", err, outcome, whys(story))
	}
}

func TestStolenKey(t *testing.T) {
	w := newWorld(t, awstest.Start)
	people := iam.NewFromConfig(w.admin)
	must(people.CreateUser(t.Context(), &iam.CreateUserInput{UserName: new("deployer")}))
	key := *must(people.CreateAccessKey(t.Context(), &iam.CreateAccessKeyInput{UserName: new("deployer")})).AccessKey.AccessKeyId
	var attached []string
	w.cloud.Answer("iam", "AttachUserPolicy", func(rw http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		attached = append(attached, r.Form.Get("PolicyArn"))
		awstest.Say(http.StatusOK, `<AttachUserPolicyResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"/>`)(rw, r)
	})
	w.cloud.ForgetCalls()
	r := w.response(Options{})
	c, err := r.BeginBook(t.Context(), Where{Root: w.root}, incident.About{Verb: "rocca aws respond", Subject: "access key " + key, Operator: "anna"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	outcome, err := r.Run(t.Context(), c, func(r *Response) []incident.Step { return r.StolenKey("deployer", key) }, nil)
	if err != nil || outcome.Err() != nil {
		t.Fatalf("%v, %+v: %v", err, outcome, whys(c.Story()))
	}
	if got := w.changed(); !slices.Equal(got, []string{"iam:UpdateAccessKey", "iam:AttachUserPolicy", "iam:PutUserPolicy"}) || !slices.Equal(attached, []string{quarantine}) {
		t.Errorf("changed %v, attached %v", got, attached)
	}
	w.noSecrets()
}

func TestExposedBucket(t *testing.T) {
	w := newWorld(t, awstest.Start)
	store := s3.NewFromConfig(w.admin, func(o *s3.Options) { o.UsePathStyle = true })
	open := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::shop-evidence/*"}]}`
	must(store.PutBucketPolicy(t.Context(), &s3.PutBucketPolicyInput{Bucket: &w.prepared.Bucket, Policy: &open}))
	r := w.response(Options{})
	c, err := r.BeginBook(t.Context(), Where{Root: w.root}, incident.About{Verb: "rocca aws respond", Subject: "bucket shop-evidence", Operator: "anna"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	outcome, err := r.Run(t.Context(), c, func(r *Response) []incident.Step { return r.ExposedBucket(w.prepared.Bucket) }, nil)
	if err != nil || outcome.Err() != nil {
		t.Fatalf("%v, %+v: %v", err, outcome, whys(c.Story()))
	}
	block := must(store.GetPublicAccessBlock(t.Context(), &s3.GetPublicAccessBlockInput{Bucket: &w.prepared.Bucket})).PublicAccessBlockConfiguration
	if !*block.BlockPublicAcls || !*block.BlockPublicPolicy || !*block.IgnorePublicAcls || !*block.RestrictPublicBuckets {
		t.Errorf("blocked: %+v", block)
	}
	if !slices.ContainsFunc(c.Story().Evidence, func(e incident.Evidence) bool { return e.Name == "policy.json" && e.Size > 50 }) {
		t.Errorf("the policy was not saved: %+v, %+v", c.Story().Evidence, c.Story().NotTaken)
	}
}

func TestRedacted(t *testing.T) {
	for text, want := range map[string]string{
		"DB_PASSWORD=hunter22 rest":                                           "DB_PASSWORD=[redacted] rest",
		`{"password":"hunter22","user":"anna"}`:                               `{"password":"[redacted]","user":"anna"}`,
		`{\"secretId\":\"rocca/shop/app\"}`:                                   `{\"secretId\":\"rocca/shop/app\"}`,
		`{\"password\":\"hunter22\"}`:                                         `{\"password\":\"[redacted]\"}`,
		"/index.php?module=API&token_auth=abcdef&x=1":                         "/index.php?module=API&token_auth=[redacted]&x=1",
		"Authorization: Bearer abcdefgh12345678":                              "Authorization: [redacted] [redacted]",
		"eventName: GetSecretValue":                                           "eventName: GetSecretValue",
		`"HttpTokens":"required"`:                                             `"HttpTokens":"required"`,
		"-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----": "[redacted]",
	} {
		got := redacted(text)
		if got != want && !(strings.HasPrefix(text, "Authorization") && !strings.Contains(got, "abcdefgh")) {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestDenial(t *testing.T) {
	at := time.Date(2026, 11, 22, 13, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		serving []string
		agent   bool
		want    string
	}{
		"alone":       {nil, false, `{"Statement":[{"Sid":"ThisInstance","Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringLike":{"aws:userid":["*:i-1"]}}},{"Sid":"OlderSessions","Effect":"Deny","Action":"*","Resource":"*","Condition":{"DateLessThan":{"aws:TokenIssueTime":"2026-11-22T13:00:00Z"}}}],"Version":"2012-10-17"}`},
		"others, too": {[]string{"i-2"}, false, `{"Statement":[{"Sid":"ThisInstance","Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringLike":{"aws:userid":["*:i-1"]}}},{"Sid":"OlderSessions","Effect":"Deny","Action":"*","Resource":"*","Condition":{"DateLessThan":{"aws:TokenIssueTime":"2026-11-22T13:00:00Z"},"StringNotLike":{"aws:userid":["*:i-2"]}}}],"Version":"2012-10-17"}`},
	} {
		if got := denial("i-1", c.serving, at, c.agent); got != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
	if got := denial("i-1", nil, at, true); !strings.Contains(got, `"NotAction":["ssm:`) || strings.Contains(got, `"Sid":"ThisInstance","Effect":"Deny","Action"`) || !strings.Contains(got, `"StringNotLike":{"aws:userid":["*:i-1"]}`) {
		t.Errorf("with the agent: %s", got)
	}
}

func TestAttacker(t *testing.T) {
	for text, want := range map[string]string{
		"203.0.113.9": "203.0.113.9/32", "203.0.113.9/24": "203.0.113.0/24", "2001:db8::1": "2001:db8::1/128", "::ffff:203.0.113.9": "203.0.113.9/32",
		"0.0.0.0/0": "", "10.0.0.0/8": "", "::/0": "", "stats.example.org": "",
	} {
		got, err := Attacker(text)
		if (err == nil) != (want != "") || err == nil && got.String() != want {
			t.Errorf("%s: %s, %v", text, got, err)
		}
	}
}

func TestParseFlow(t *testing.T) {
	for line, want := range map[string]string{
		"2 123456789012 eni-1 203.0.113.9 10.0.0.5 55000 443 6 10 840 1790000000 1790000060 ACCEPT OK": "ACCEPT",
		"2 123456789012 eni-1 - - - - - - - 1790000000 1790000060 - NODATA":                            "-",
		"": "", "garbage": "",
	} {
		if got := parseFlow(line).action; got != want {
			t.Errorf("%q: %q", line, got)
		}
	}
}

// TestHopeless: of what fails, only the end of the credentials ends a response.
func TestHopeless(t *testing.T) {
	if hopeless(t.Context(), &smithy.GenericAPIError{Code: "AccessDenied"}) || !hopeless(t.Context(), &smithy.GenericAPIError{Code: "ExpiredToken"}) {
		t.Error("which errors end a response")
	}
}
