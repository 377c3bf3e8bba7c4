package info

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"rocca/internal/aws/awstest"
	"rocca/internal/aws/client"
	"rocca/internal/aws/settings"
	"rocca/internal/aws/stack"
)

var wanted = settings.Settings{Name: "stats", Region: awstest.Region, Profile: settings.Single, Domain: "stats.example.org"}

// create makes a stack with one output.
func create(t *testing.T, c client.Config, name, deployment string) {
	t.Helper()
	_, err := cloudformation.NewFromConfig(c).CreateStack(t.Context(), &cloudformation.CreateStackInput{
		StackName: aws.String(name), Tags: []types.Tag{{Key: aws.String(stack.DeploymentTag), Value: aws.String(deployment)}},
		TemplateBody: aws.String(`{"Resources":{"Vpc":{"Type":"AWS::EC2::VPC","Properties":{"CidrBlock":"10.20.0.0/16"}}},"Outputs":{"Vpc":{"Value":{"Ref":"Vpc"}}}}`),
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestOf(t *testing.T) {
	c := awstest.Start(t).Config(t)
	for i, role := range stack.Roles() {
		d, err := Of(t.Context(), c, wanted)
		if err != nil {
			t.Fatal(err)
		}
		if len(d.Stacks) != i || d.Ready() {
			t.Errorf("%d stacks, ready %v, before %s", len(d.Stacks), d.Ready(), role)
		}
		create(t, c, stack.Name(wanted, role), "stats")
	}
	d, err := Of(t.Context(), c, wanted)
	if err != nil {
		t.Fatal(err)
	}
	if !d.Ready() || d.URL != "https://stats.example.org/" || !strings.HasPrefix(d.Output(stack.Base, "Vpc"), "vpc-") || d.Output(stack.Base, "None") != "" {
		t.Errorf("got %+v", d)
	}
}

func TestRecord(t *testing.T) {
	for output, want := range map[string]string{"LoadBalancer": "stats.example.org CNAME there", "Address": "stats.example.org A there", "URL": ""} {
		d := Deployment{Stacks: []Stack{{Role: stack.App, Outputs: map[string]string{output: "there"}}}}
		if got := d.record("stats.example.org"); got != want {
			t.Errorf("%s: %q, want %q", output, got, want)
		}
	}
}

func TestStackOfOthers(t *testing.T) {
	c := awstest.Start(t).Config(t)
	create(t, c, "stats-base", "another")
	if _, err := Of(t.Context(), c, wanted); err == nil || !strings.Contains(err.Error(), "is not rocca's") {
		t.Errorf("got %v", err)
	}
}

func TestReady(t *testing.T) {
	for state, want := range map[string]bool{
		"CREATE_COMPLETE": true, "UPDATE_COMPLETE": true, "IMPORT_COMPLETE": true,
		"CREATE_IN_PROGRESS": false, "UPDATE_ROLLBACK_COMPLETE": false, "ROLLBACK_COMPLETE": false, "DELETE_COMPLETE": false, "CREATE_FAILED": false,
	} {
		d := Deployment{Stacks: []Stack{{State: "CREATE_COMPLETE"}, {State: "CREATE_COMPLETE"}, {State: "CREATE_COMPLETE"}, {State: state}}}
		if d.Ready() != want {
			t.Errorf("%s: ready %v", state, d.Ready())
		}
	}
}
