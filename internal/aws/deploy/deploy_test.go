package deploy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rocca/internal/aws/cfntest"
	"rocca/internal/aws/stack"
	"rocca/internal/progress"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs (-want +got); go test ./internal/aws/deploy -update rewrites it:\n%s", file, diff)
	}
}

// shop is a deployment as small as one can be and still have everything: its
// fields are what tests change between two deployments.
type shop struct {
	*cfntest.Server
	*Deployment
	t testing.TB

	cidr     string // of the network
	port     int    // of the web group, from everywhere
	class    string // of the database
	zone     string // of the volume
	extra    string // another resource of the app stack
	told     bytes.Buffer
	events   []progress.Event
	between  []string // what Steps heard
	shown    *Plan
	allow    []string
	agree    func(StackPlan) error
	failStep string
}

func newShop(t testing.TB) *shop {
	s := &shop{Server: cfntest.New(t), t: t, cidr: "10.20.0.0/16", port: 443, class: "db.t4g.medium", zone: "eu-central-1a"}
	plain := progress.Plain(&s.told)
	s.Deployment = New(s.Config(), "shop", func(e progress.Event) {
		s.events = append(s.events, e)
		plain(e)
	})
	s.Clock = s.Server
	return s
}

func (s *shop) render(k stack.Known) (stack.Set, error) {
	vpc := k.Physical["base.Vpc"]
	if vpc == "" {
		vpc = "{{resolve:ssm:/rocca/shop/base/Vpc}}"
	}
	base := stack.Template{
		Resources: map[string]stack.Resource{
			"Vpc": {Type: "AWS::EC2::VPC", Is: "network of the deployment", Properties: map[string]any{"CidrBlock": s.cidr}},
			"WebGroup": {Type: "AWS::EC2::SecurityGroup", Is: "group of the web servers", Properties: map[string]any{
				"VpcId":                map[string]any{"Ref": "Vpc"},
				"SecurityGroupIngress": []any{map[string]any{"IpProtocol": "tcp", "FromPort": s.port, "ToPort": s.port, "CidrIp": "0.0.0.0/0"}}}},
			"Key":      {Type: "AWS::KMS::Key", Is: "key of everything that is stored", DeletionPolicy: "Retain", Properties: map[string]any{"EnableKeyRotation": true}},
			"HostRole": {Type: "AWS::IAM::Role", Is: "rights of the instances", Properties: map[string]any{"RoleName": "shop-host"}},
			"ParameterVpc": {Type: "AWS::SSM::Parameter", Is: "note for the other stacks: network", Properties: map[string]any{
				"Name": "/rocca/shop/base/Vpc", "Type": "String", "Value": map[string]any{"Ref": "Vpc"}}},
		},
		Outputs: map[string]stack.Output{"Vpc": {Is: "network", Value: map[string]any{"Ref": "Vpc"}}},
	}
	data := stack.Template{
		Resources: map[string]stack.Resource{
			"Database": {Type: "AWS::RDS::DBInstance", Is: "database", DeletionPolicy: "Snapshot", UpdateReplacePolicy: "Snapshot", Properties: map[string]any{
				"DBInstanceClass": s.class, "StorageEncrypted": true, "DeletionProtection": true, "VPCSecurityGroups": []any{vpc}}},
			"Volume": {Type: "AWS::EC2::Volume", Is: "volume of the files", Properties: map[string]any{"AvailabilityZone": s.zone, "Size": 20}},
			"Secret": {Type: "AWS::SecretsManager::Secret", Is: "secret of the application", Properties: map[string]any{"Name": "rocca/shop/app"}},
		},
		Outputs: map[string]stack.Output{"DatabaseEndpoint": {Is: "where the database is", Value: map[string]any{"Fn::GetAtt": []any{"Database", "Endpoint.Address"}}}},
	}
	app := stack.Template{
		Resources: map[string]stack.Resource{
			"Servers": {Type: "AWS::AutoScaling::AutoScalingGroup", Is: "web servers", DependsOn: []string{"Certificate"}, Properties: map[string]any{"VPCZoneIdentifier": []any{vpc}}},
			"Certificate": {Type: "AWS::CertificateManager::Certificate", Is: "certificate", Properties: map[string]any{
				"DomainName": "stats.example.org"}},
		},
		Outputs: map[string]stack.Output{},
	}
	if s.extra != "" {
		app.Resources[s.extra] = stack.Resource{Type: "AWS::CloudWatch::Alarm", Is: "alarm", Properties: map[string]any{"Threshold": 1}}
	}
	tags := map[string]string{"rocca:deployment": "shop", "CostCenter": "shop"}
	return stack.Set{Stacks: []stack.Stack{
		{Role: stack.Base, Name: "shop-base", Template: base, Tags: tags},
		{Role: stack.Data, Name: "shop-data", Needs: []string{"shop-base"}, Template: data, Tags: tags},
		{Role: stack.App, Name: "shop-app", Needs: []string{"shop-base", "shop-data"}, Template: app, Tags: tags},
	}}, nil
}

// Before and After are the steps between the stacks.
func (s *shop) Before(_ context.Context, role string, k stack.Known) error {
	s.between = append(s.between, "before "+role)
	if role == stack.App && k.Physical["data.DatabaseEndpoint"] == "" {
		s.t.Error("the outputs of the data stack are not known before the app stack")
	}
	if s.failStep == role {
		return errors.New("put the program into the bucket: no room")
	}
	return nil
}

func (s *shop) After(_ context.Context, role string, k stack.Known, failed error) error {
	word := "after "
	if failed != nil {
		word = "after failed "
	} else if role == stack.Base && k.Physical["base.Vpc"] == "" {
		s.t.Error("the outputs of the base stack are not known after it")
	}
	s.between = append(s.between, word+role)
	return nil
}

func (s *shop) plan() *Plan {
	s.t.Helper()
	p, err := s.Plan(s.t.Context(), s.render, stack.Known{})
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

// deploy plans and applies.
func (s *shop) deploy(ctx context.Context) error {
	s.t.Helper()
	p, err := s.Plan(ctx, s.render, stack.Known{})
	if err != nil {
		return err
	}
	s.shown = p
	_, err = s.Apply(ctx, p, s.render, Steps{s.Before, s.After}, Consent{AllowReplace: s.allow, Agree: s.agree})
	return err
}

// up deploys what must go well.
func (s *shop) up() {
	s.t.Helper()
	if err := s.deploy(s.t.Context()); err != nil {
		s.t.Fatalf("%v\n%s", err, s.told.String())
	}
	s.told.Reset()
	s.events, s.between = nil, nil
	s.ForgetCalls()
}

// is checks the status of the three stacks.
func (s *shop) is(base, data, app string) {
	s.t.Helper()
	for name, want := range map[string]string{"shop-base": base, "shop-data": data, "shop-app": app} {
		if got := s.Status(name); got != want {
			s.t.Errorf("the stack %s has the status %q, want %q", name, got, want)
		}
	}
}

// says checks an error by the parts that its reader needs.
func says(t testing.TB, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error lacks %q:\n%v", part, err)
		}
	}
}

const (
	created = "CREATE_COMPLETE"
	updated = "UPDATE_COMPLETE"
)

func TestFirstDeployment(t *testing.T) {
	s := newShop(t)
	s.Tell = progress.Plain(&s.told)
	s.Script("shop-data", cfntest.Story{Takes: map[string]time.Duration{"Database": 14 * time.Minute}})
	s.Script("shop-app", cfntest.Story{Takes: map[string]time.Duration{"Servers": 6 * time.Minute},
		Says: map[string]string{"Servers": "Received SUCCESS signal with UniqueId i-0123456789abcdef0"}})
	if err := s.deploy(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.is(created, created, created)
	golden(t, "first.golden", s.told.Bytes())
	var shown bytes.Buffer
	s.shown.Show(&shown)
	golden(t, "first-plan.golden", shown.Bytes())
	if diff := cmp.Diff([]string{"before base", "after base", "before data", "after data", "before app", "after app"}, s.between); diff != "" {
		t.Error(diff)
	}
	for name, locked := range map[string]string{
		"shop-base": `"LogicalResourceId/Key"`,
		"shop-data": `"LogicalResourceId/Database","LogicalResourceId/Secret","LogicalResourceId/Volume"`,
		"shop-app":  "",
	} {
		protected, policy := s.Protected(name)
		if !protected || !strings.Contains(policy, `["`+strings.Trim(locked, `"`)+`"]`) && locked != "" || strings.Contains(policy, "Deny") != (locked != "") {
			t.Errorf("%s is protected: %v, its policy: %s", name, protected, policy)
		}
	}
	// The app stack was made with the network's id, not with a reference to it.
	if p := s.plan(); p.Pending() || p.Known.Physical["base.Vpc"] == "" {
		t.Errorf("a second plan: %+v", p)
	}
}

func TestNoChanges(t *testing.T) {
	s := newShop(t)
	s.up()
	p := s.plan()
	if p.Pending() {
		t.Errorf("there is something to do: %+v", p.Stacks)
	}
	for _, name := range []string{"shop-base", "shop-data", "shop-app"} {
		if left := s.ChangeSets(name); left != nil {
			t.Errorf("%s has the change sets %v", name, left)
		}
	}
	s.ForgetCalls()
	if _, err := s.Apply(t.Context(), p, s.render, Steps{s.Before, s.After}, Consent{}); err != nil {
		t.Fatal(err)
	}
	if w := s.Writes(); w != nil {
		t.Errorf("nothing was to do, and this was called: %v", w)
	}
	if s.between != nil {
		t.Errorf("nothing was to do, and these steps were taken: %v", s.between)
	}
}

func TestChangeSetIsReusedAndExecuted(t *testing.T) {
	s := newShop(t)
	s.up()
	s.port = 8443
	first, second := s.plan(), s.plan()
	if a, b := first.Stacks[0].ChangeSet, second.Stacks[0].ChangeSet; a == "" || a != b {
		t.Fatalf("the change set was %q, and then %q", a, b)
	}
	s.port = 9443
	other := s.plan()
	if other.Stacks[0].ChangeSet == first.Stacks[0].ChangeSet {
		t.Error("another template has the same change set")
	}
	if left := s.ChangeSets("shop-base"); len(left) != 1 {
		t.Errorf("old change sets are left: %v", left)
	}
	s.ForgetCalls()
	if _, err := s.Apply(t.Context(), other, s.render, Steps{s.Before, s.After}, Consent{}); err != nil {
		t.Fatal(err)
	}
	s.is(updated, created, created)
	if w := s.Writes(); len(w) != 1 || !strings.HasPrefix(w[0], "ExecuteChangeSet") {
		t.Errorf("called: %v", w)
	}
}

func TestPlanOfChanges(t *testing.T) {
	s := newShop(t)
	s.extra = "Alarm"
	s.up()
	s.extra = ""
	s.port, s.class, s.zone = 22, "db.r8g.large", "eu-central-1b"
	p := s.plan()
	var shown bytes.Buffer
	p.Show(&shown)
	golden(t, "changes-plan.golden", shown.Bytes())
	text, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	// ARNs have numbers that other tests do not change, but other code may.
	for _, one := range p.Stacks {
		text = bytes.ReplaceAll(text, []byte(one.ChangeSet), []byte("ARN"))
	}
	golden(t, "changes-plan.json", text)
	if err := s.Discard(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"shop-base", "shop-data", "shop-app"} {
		if left := s.ChangeSets(name); left != nil {
			t.Errorf("%s has the change sets %v", name, left)
		}
	}
}

func TestDiscardOfAFirstPlanLeavesNothing(t *testing.T) {
	s := newShop(t)
	p := s.plan()
	s.is("REVIEW_IN_PROGRESS", "", "")
	if err := s.Discard(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if err := s.Sleep(t.Context(), time.Minute); err != nil {
		t.Fatal(err)
	}
	s.is("", "", "")
}

func TestFailureOfAFirstDeployment(t *testing.T) {
	s := newShop(t)
	s.Script("shop-base", cfntest.Story{
		Takes: map[string]time.Duration{"Key": time.Minute},
		Fails: map[string]string{"Vpc": "The maximum number of VPCs has been reached. (Service: Ec2, Status Code: 400)"}})
	err := s.deploy(t.Context())
	var broken *BrokenError
	if !errors.As(err, &broken) || !broken.RolledBack {
		t.Fatalf("%#v", err)
	}
	says(t, err, "network of the deployment (Vpc): The maximum number of VPCs", "hint: a quota of the account is used up", "was taken back")
	if strings.Contains(err.Error(), "cancelled") || strings.Contains(s.told.String(), "cancelled") {
		t.Error("what failed only because something else did is told")
	}
	golden(t, "failure.golden", s.told.Bytes())
	s.is("", "", "")
	if !slices.Equal(s.between, []string{"before base", "after failed base"}) {
		t.Errorf("steps: %v", s.between)
	}
	// Nothing stands in the way of the next run.
	s.up()
	s.is(created, created, created)
}

func TestFailureOfAnUpdate(t *testing.T) {
	s := newShop(t)
	s.up()
	s.port = 8443
	s.Script("shop-base", cfntest.Story{Fails: map[string]string{"WebGroup": "You are not authorized to perform this operation"}})
	err := s.deploy(t.Context())
	var broken *BrokenError
	if !errors.As(err, &broken) || !broken.RolledBack || broken.Status != "UPDATE_ROLLBACK_COMPLETE" {
		t.Fatalf("%#v", err)
	}
	says(t, err, "rocca aws policy deploy")
	s.is("UPDATE_ROLLBACK_COMPLETE", created, created)
	s.up() // a new change set, of the same name as that which failed
	s.is(updated, created, created)
}

func TestRollbackThatFailsIsFinishedWithConsent(t *testing.T) {
	s := newShop(t)
	s.up()
	s.port = 8443
	s.Script("shop-base", cfntest.Story{
		Fails:        map[string]string{"WebGroup": "InternalFailure"},
		RollbackFail: map[string]string{"WebGroup": "the group was deleted by hand"}})
	err := s.deploy(t.Context())
	var broken *BrokenError
	if !errors.As(err, &broken) || broken.RolledBack {
		t.Fatalf("%#v", err)
	}
	says(t, err, "UPDATE_ROLLBACK_FAILED", "the group was deleted by hand", "hint: mend the cause, then rocca aws deploy")

	// The plan offers to go on, and writes nothing by itself.
	s.ForgetCalls()
	p := s.plan()
	if p.Stacks[0].Repair != ContinueRollback || !p.Pending() || strings.Contains(strings.Join(s.Writes(), "\n"), "shop-base") {
		t.Fatalf("repair: %q, called: %v", p.Stacks[0].Repair, s.Writes())
	}
	s.Script("shop-base", cfntest.Story{RollbackFail: map[string]string{"WebGroup": "the group is still not there"}})
	_, err = s.Apply(t.Context(), p, s.render, Steps{s.Before, s.After}, Consent{})
	if !errors.As(err, &broken) || broken.RolledBack {
		t.Fatalf("%#v", err)
	}
	s.up()
	s.is(updated, created, created)
}

func TestDeadStackIsDeletedWithConsent(t *testing.T) {
	s := newShop(t)
	set, err := s.render(stack.Known{})
	if err != nil {
		t.Fatal(err)
	}
	body, err := set.Stacks[0].Template.JSON()
	if err != nil {
		t.Fatal(err)
	}
	s.Put(cfntest.Stack{Name: "shop-base", Status: "ROLLBACK_COMPLETE", Template: string(body), Tags: set.Stacks[0].Tags})
	p := s.plan()
	if p.Stacks[0].Repair != DeleteStack || s.Writes() != nil {
		t.Fatalf("plan: %+v, called: %v", p.Stacks[0], s.Writes())
	}
	var shown bytes.Buffer
	p.Show(&shown)
	if !strings.Contains(shown.String(), "shop-base: to be deleted, and then created") {
		t.Errorf("shown:\n%s", shown.String())
	}
	s.up()
	s.is(created, created, created)
}

func TestLeftoverOfAnInterruptedRun(t *testing.T) {
	t.Run("ours", func(t *testing.T) {
		s := newShop(t)
		s.Reviewed("shop-base", "rocca-0123456789abcdef01234567", nil)
		s.up()
		s.is(created, created, created)
	})
	t.Run("somebody's", func(t *testing.T) {
		s := newShop(t)
		s.Reviewed("shop-base", "my-change-set", nil)
		_, err := s.Plan(t.Context(), s.render, stack.Known{})
		says(t, err, "shop-base: it was not made by rocca", "hint: give this deployment another name")
		if w := s.Writes(); w != nil {
			t.Errorf("called: %v", w)
		}
	})
}

func TestForeignStacksAreLeftAlone(t *testing.T) {
	const body = `{"Resources":{"Topic":{"Type":"AWS::SNS::Topic"}}}`
	for name, c := range map[string]struct {
		tags map[string]string
		want string
	}{
		"not rocca's":           {map[string]string{"CostCenter": "shop"}, "it was not made by rocca (no tag rocca:deployment)"},
		"of another of rocca":   {map[string]string{"rocca:deployment": "other"}, "it belongs to the deployment other"},
		"dead, and not rocca's": {nil, "it was not made by rocca"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShop(t)
			status := created
			if strings.HasPrefix(name, "dead") {
				status = "ROLLBACK_COMPLETE"
			}
			// The last stack of all: those before it must not be begun either.
			s.Put(cfntest.Stack{Name: "shop-app", Status: status, Template: body, Tags: c.tags})
			err := s.deploy(t.Context())
			says(t, err, "shop-app", c.want, "left alone", "hint: ")
			set, _ := s.render(stack.Known{})
			if _, err := s.Removals(t.Context(), set, true); err == nil {
				t.Error("it would be destroyed")
			}
			if _, err := s.Attach(t.Context(), set); err == nil {
				t.Error("it is followed")
			}
			if w := s.Writes(); w != nil {
				t.Errorf("called: %v", w)
			}
		})
	}
}

func TestAnotherDeploymentIsRunning(t *testing.T) {
	s := newShop(t)
	s.up()
	s.extra = "Alarm"
	s.plan()
	s.Script("shop-app", cfntest.Story{Takes: map[string]time.Duration{"Alarm": time.Hour}})
	s.Execute("shop-app")
	s.ForgetCalls()
	s.port = 8443
	err := s.deploy(t.Context())
	var running *RunningError
	if !errors.As(err, &running) {
		t.Fatalf("%#v", err)
	}
	says(t, err, "shop-app: another deployment is running (UPDATE_IN_PROGRESS)", "hint: rocca aws deploy --attach")
	if w := s.Writes(); w != nil {
		t.Errorf("before it was refused, this was called: %v", w)
	}
	set, _ := s.render(stack.Known{})
	if _, err := s.Removals(t.Context(), set, true); !errors.As(err, &running) {
		t.Errorf("it would be destroyed: %v", err)
	}
}

// TestTwoAtOnce: both have planned, and then both want to begin.
func TestTwoAtOnce(t *testing.T) {
	s := newShop(t)
	s.up()
	s.port = 8443
	mine := s.plan()
	s.Script("shop-base", cfntest.Story{Takes: map[string]time.Duration{"WebGroup": time.Hour}})
	s.Execute("shop-base")
	_, err := s.Apply(t.Context(), mine, s.render, Steps{s.Before, s.After}, Consent{})
	var running *RunningError
	if !errors.As(err, &running) {
		t.Fatalf("%#v", err)
	}
}

func TestReplacementGate(t *testing.T) {
	s := newShop(t)
	s.up()
	s.zone = "eu-central-1b"
	err := s.deploy(t.Context())
	var lost *LostError
	if !errors.As(err, &lost) {
		t.Fatalf("%#v", err)
	}
	says(t, err, "volume of the files (Volume) would be replaced because of AvailabilityZone; lost: the volume and all files on it", "hint: ", "--allow-replace Volume")
	s.is(created, created, created)

	s.allow = []string{"Database"}
	says(t, s.deploy(t.Context()), "allow that Database is replaced: no resource of that logical id")

	s.allow = []string{"Volume"}
	s.up()
	s.is(created, updated, created)
	if _, policy := s.Protected("shop-data"); !strings.Contains(policy, "LogicalResourceId/Volume") {
		t.Errorf("after the replacement the policy is %s", policy)
	}
}

func TestRemovalOfWhatHoldsDataIsGated(t *testing.T) {
	s := newShop(t)
	s.up()
	render := func(k stack.Known) (stack.Set, error) {
		set, err := s.render(k)
		delete(set.Stacks[1].Template.Resources, "Secret")
		return set, err
	}
	p, err := s.Plan(t.Context(), render, stack.Known{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Apply(t.Context(), p, render, Steps{s.Before, s.After}, Consent{})
	says(t, err, "(Secret) would be removed; lost: the secret")
	if _, err = s.Apply(t.Context(), p, render, Steps{s.Before, s.After}, Consent{AllowReplace: []string{"Secret"}}); err != nil {
		t.Fatal(err)
	}
	if have := s.Resources("shop-data"); slices.Contains(have, "Secret") {
		t.Errorf("the stack has %v", have)
	}
}

// TestStackPolicyHoldsWithoutRocca: what another tool tries is stopped, too.
func TestStackPolicyHoldsWithoutRocca(t *testing.T) {
	s := newShop(t)
	s.up()
	s.zone = "eu-central-1b"
	s.plan()
	s.Execute("shop-data")
	if err := s.Sleep(t.Context(), time.Hour); err != nil {
		t.Fatal(err)
	}
	s.is(created, "UPDATE_ROLLBACK_COMPLETE", created)
}

func TestEarlyValidation(t *testing.T) {
	s := newShop(t)
	s.Invalidate("shop-base",
		cfntest.Finding{Resource: "Vpc", Path: "/Properties/CidrBlock", Reason: "10.20.0.0/8 is larger than /16", Type: "AWS::EC2::VPC"},
		cfntest.Finding{Resource: "Key", Path: "", Reason: "an alias of that name exists", Type: "AWS::KMS::Key"},
		cfntest.Finding{Resource: "HostRole", Path: "", Reason: "an odd name", Type: "AWS::IAM::Role", Warning: true})
	err := s.deploy(t.Context())
	var invalid *InvalidError
	if !errors.As(err, &invalid) || len(invalid.Findings) != 2 {
		t.Fatalf("%#v", err)
	}
	says(t, err, "network of the deployment (Vpc/Properties/CidrBlock): 10.20.0.0/8 is larger than /16", "an alias of that name exists", "nothing was changed")
	if err := s.Sleep(t.Context(), time.Minute); err != nil {
		t.Fatal(err)
	}
	s.is("", "", "")

	s.Invalidate("shop-base", cfntest.Finding{Resource: "HostRole", Path: "/Properties/RoleName", Reason: "an odd name", Type: "AWS::IAM::Role", Warning: true})
	p := s.plan()
	if diff := cmp.Diff([]string{"rights of the instances (HostRole/Properties/RoleName): an odd name"}, p.Stacks[0].Warnings); diff != "" {
		t.Error(diff)
	}
}

func TestTemplateTooLarge(t *testing.T) {
	s := newShop(t)
	render := func(k stack.Known) (stack.Set, error) {
		set, err := s.render(k)
		set.Stacks[2].Template.Resources["Servers"].Properties["UserData"] = strings.Repeat("x", stack.MostTemplateBytes)
		return set, err
	}
	_, err := s.Plan(t.Context(), render, stack.Known{})
	says(t, err, "plan the stack shop-app", "51200")
	if w := s.Writes(); w != nil {
		t.Errorf("called: %v", w)
	}
}

func TestThrottling(t *testing.T) {
	s := newShop(t)
	s.Refuse("DescribeChangeSet", 0, 3, cfntest.Throttled)
	s.Refuse("DescribeStackEvents", 3, 6, cfntest.Throttled)
	s.up()
	s.is(created, created, created)
}

func TestNetworkGoesAway(t *testing.T) {
	s := newShop(t)
	s.Refuse("DescribeStackEvents", 3, mostUnheard, cfntest.HungUp)
	s.up()
	s.is(created, created, created)

	s.port = 8443
	s.Script("shop-base", cfntest.Story{Takes: map[string]time.Duration{"WebGroup": time.Hour}})
	s.Refuse("DescribeStackEvents", 3, mostUnheard+1, cfntest.HungUp)
	var left *LeftError
	if err := s.deploy(t.Context()); !errors.As(err, &left) {
		t.Fatalf("%#v", err)
	}
}

func TestTokenExpiresInTheMiddle(t *testing.T) {
	s := newShop(t)
	s.Script("shop-base", cfntest.Story{Takes: map[string]time.Duration{"Key": 10 * time.Minute}})
	s.Refuse("DescribeStackEvents", 5, 1, cfntest.Expired)
	err := s.deploy(t.Context())
	var left *LeftError
	if !errors.As(err, &left) {
		t.Fatalf("%#v", err)
	}
	says(t, err, "shop-base", "sign in again", "rocca aws deploy --attach")
	s.is("CREATE_IN_PROGRESS", "", "")
	s.attachAndGoOn()
	s.is(created, created, created)
}

// attachAndGoOn is what deploy --attach does.
func (s *shop) attachAndGoOn() {
	s.t.Helper()
	set, err := s.render(stack.Known{})
	if err != nil {
		s.t.Fatal(err)
	}
	followed, err := s.Attach(s.t.Context(), set)
	if err != nil || !followed {
		s.t.Fatalf("followed: %v, %v", followed, err)
	}
	s.up()
}

func TestInterruptAndAttach(t *testing.T) {
	s := newShop(t)
	s.Script("shop-base", cfntest.Story{Takes: map[string]time.Duration{"Key": 10 * time.Minute}})
	ctx, interrupt := context.WithCancelCause(t.Context())
	s.Server.After(3*time.Minute, func() { interrupt(errors.New("interrupted (interrupt)")) })
	err := s.deploy(ctx)
	var left *LeftError
	if !errors.As(err, &left) {
		t.Fatalf("%#v", err)
	}
	says(t, err, "follow the stack shop-base: interrupted (interrupt)", "hint: CloudFormation goes on by itself", "rocca aws deploy --attach")
	s.is("CREATE_IN_PROGRESS", "", "")
	if !slices.Equal(s.between, []string{"before base", "after failed base"}) {
		t.Errorf("steps: %v", s.between)
	}
	s.told.Reset()
	s.attachAndGoOn()
	s.is(created, created, created)
}

func TestAttachSeesWhatHappenedBefore(t *testing.T) {
	s := newShop(t)
	s.plan()
	s.Script("shop-base", cfntest.Story{Takes: map[string]time.Duration{"Key": 10 * time.Minute}, Fails: map[string]string{"Key": "AccessDenied by a policy of the organization"}})
	s.Execute("shop-base")
	if err := s.Sleep(t.Context(), 5*time.Minute); err != nil {
		t.Fatal(err)
	}
	s.told.Reset()
	set, _ := s.render(stack.Known{})
	_, err := s.Attach(t.Context(), set)
	var broken *BrokenError
	if !errors.As(err, &broken) || !broken.RolledBack {
		t.Fatalf("%#v", err)
	}
	golden(t, "attach.golden", s.told.Bytes())
	if followed, err := s.Attach(t.Context(), set); followed || err != nil {
		t.Errorf("nothing runs, and it followed: %v, %v", followed, err)
	}
}

func TestInterruptBetweenStacks(t *testing.T) {
	s := newShop(t)
	p := s.plan()
	ctx, interrupt := context.WithCancelCause(t.Context())
	interrupt(errors.New("interrupted (terminated)"))
	_, err := s.Apply(ctx, p, s.render, Steps{s.Before, s.After}, Consent{})
	says(t, err, "shop-base: interrupted (terminated)", "hint: nothing is running")
}

func TestCancelledByAnother(t *testing.T) {
	s := newShop(t)
	s.up()
	s.port, s.told = 8443, bytes.Buffer{}
	s.Script("shop-base", cfntest.Story{Takes: map[string]time.Duration{"WebGroup": time.Hour}})
	s.Server.After(5*time.Minute, func() { s.Cancel("shop-base") })
	err := s.deploy(t.Context())
	var broken *BrokenError
	if !errors.As(err, &broken) || !broken.RolledBack || len(broken.Failures) != 0 {
		t.Fatalf("%#v", err)
	}
	s.is("UPDATE_ROLLBACK_COMPLETE", created, created)
}

func TestStuck(t *testing.T) {
	s := newShop(t)
	s.Script("shop-base", cfntest.Story{Stuck: "Vpc"})
	err := s.deploy(t.Context())
	var left *LeftError
	if !errors.As(err, &left) {
		t.Fatalf("%#v", err)
	}
	says(t, err, "nothing has happened for 180 min", "rocca aws deploy --attach")
	if n := strings.Count(s.told.String(), "network of the deployment has taken"); n != 1 {
		t.Errorf("it was told %d times that something takes too long:\n%s", n, s.told.String())
	}
	// One look every quarter of a minute, not every two seconds.
	looks := 0
	for _, c := range s.Calls() {
		if c.Action == "DescribeStackEvents" {
			looks++
		}
	}
	if looks > 3*3600/15+100 {
		t.Errorf("%d looks in three hours", looks)
	}
}

func TestCertificateAsksForItsRecord(t *testing.T) {
	s := newShop(t)
	s.Script("shop-base", cfntest.Story{})
	s.Script("shop-data", cfntest.Story{})
	s.Script("shop-app", cfntest.Story{Takes: map[string]time.Duration{"Certificate": 20 * time.Minute}})
	asked := 0
	s.Proof = func(_ context.Context, arn string) ([]string, error) {
		if asked++; asked < 3 {
			return nil, nil
		}
		if !strings.HasPrefix(arn, "shop-app-Certificate-") {
			t.Errorf("asked about %q", arn)
		}
		return []string{"_x.stats.example.org. CNAME _y.acm-validations.aws."}, nil
	}
	s.deployed(t)
	if n := strings.Count(s.told.String(), "_x.stats.example.org. CNAME _y.acm-validations.aws."); n != 1 || asked != 3 {
		t.Errorf("the record was told %d times, after %d questions:\n%s", n, asked, s.told.String())
	}
}

func (s *shop) deployed(t *testing.T) {
	t.Helper()
	if err := s.deploy(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestAppIsPlannedAgain: what a stack really needs is known only when those
// before it are there, and may be more than was agreed to.
func TestAppIsPlannedAgain(t *testing.T) {
	s := newShop(t)
	s.up()
	asked := ""
	render := func(k stack.Known) (stack.Set, error) {
		set, err := s.render(k)
		set.Stacks[0].Template.Outputs["Topic"] = stack.Output{Is: "topic", Value: "arn:aws:sns:eu-central-1:123456789012:shop"}
		topic := k.Physical["base.Topic"]
		if topic == "" {
			topic = "{{resolve:ssm:/rocca/shop/base/Topic}}"
		} else {
			set.Stacks[2].Template.Resources["Alarm"] = stack.Resource{Type: "AWS::CloudWatch::Alarm", Is: "alarm", Properties: map[string]any{"Threshold": 1}}
		}
		set.Stacks[2].Template.Resources["Servers"].Properties["NotificationConfigurations"] = []any{topic}
		return set, err
	}
	p, err := s.Plan(t.Context(), render, stack.Known{})
	if err != nil {
		t.Fatal(err)
	}
	if app := p.Stacks[2]; app.Tentative != "it needs what stacks before it have yet to make" || len(app.Changes) != 1 || app.Changes[0].ID != "Servers" {
		t.Fatalf("the plan of the app stack: %+v", app)
	}
	refuse := errors.New("nothing was changed")
	_, err = s.Apply(t.Context(), p, render, Steps{s.Before, s.After}, Consent{Agree: func(p StackPlan) error {
		asked = p.Stack
		return refuse
	}})
	if !errors.Is(err, refuse) || asked != "shop-app" {
		t.Errorf("asked about %q, and then %v", asked, err)
	}
	s.is(updated, created, created)
	if p, err = s.Plan(t.Context(), render, stack.Known{}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Apply(t.Context(), p, render, Steps{s.Before, s.After}, Consent{Agree: func(p StackPlan) error {
		t.Errorf("asked again about %s, which is as it was shown", p.Stack)
		return nil
	}}); err != nil {
		t.Fatal(err)
	}
	s.is(updated, created, updated)
}

func TestStepThatFailsStopsBeforeItsStack(t *testing.T) {
	s := newShop(t)
	s.failStep = stack.Data
	says(t, s.deploy(t.Context()), "no room")
	if got := s.Status("shop-data"); got != "REVIEW_IN_PROGRESS" {
		t.Errorf("the data stack: %s", got)
	}
	s.failStep = ""
	s.up()
	s.is(created, created, created)
}

func TestDrift(t *testing.T) {
	s := newShop(t)
	s.up()
	s.Drifted("shop-base",
		cfntest.Drift{Resource: "WebGroup", Type: "AWS::EC2::SecurityGroup", Path: "/SecurityGroupIngress/0/FromPort", Expected: "443", Actual: "22"},
		cfntest.Drift{Resource: "HostRole", Type: "AWS::IAM::Role", Deleted: true})
	set, _ := s.render(stack.Known{})
	drifts, err := s.Deployment.Drift(t.Context(), set)
	if err != nil {
		t.Fatal(err)
	}
	var shown bytes.Buffer
	ShowDrift(&shown, drifts)
	want := `shop-base: rights of the instances (HostRole): deleted by somebody
shop-base: group of the web servers (WebGroup): changed by somebody
      /SecurityGroupIngress/0/FromPort: 443 -> 22
`
	if diff := cmp.Diff(want, shown.String()); diff != "" {
		t.Error(diff)
	}
}

func TestMissingRightsArePointedOut(t *testing.T) {
	s := newShop(t)
	s.Refuse("CreateChangeSet", 0, 1, cfntest.Denied)
	says(t, s.deploy(t.Context()), "plan the stack shop-base", "hint: rocca aws policy")
}

func TestDeployedTemplates(t *testing.T) {
	s := newShop(t)
	set, _ := s.render(stack.Known{})
	s.plan() // leaves a place for the base stack
	none, err := s.Deployed(t.Context(), set)
	if err != nil || len(none.Stacks) != 0 {
		t.Fatalf("%+v, %v", none, err)
	}
	s.up()
	have, err := s.Deployed(t.Context(), set)
	if err != nil {
		t.Fatal(err)
	}
	if len(have.Stacks) != 3 || have.Stacks[1].Template.Resources["Database"].Properties["DBInstanceClass"] != "db.t4g.medium" {
		t.Errorf("%+v", have)
	}
}

func TestKnown(t *testing.T) {
	s := newShop(t)
	set, _ := s.render(stack.Known{})
	_, err := s.Known(t.Context(), set, stack.Known{})
	says(t, err, "the stack shop-base: it is not there", "hint: rocca aws deploy")
	s.up()
	known, err := s.Known(t.Context(), set, stack.Known{Account: "123456789012"})
	if err != nil || known.Account == "" || known.Physical["base.Vpc"] == "" || known.Physical["data.DatabaseEndpoint"] == "" {
		t.Errorf("%+v, %v", known, err)
	}
}
