package assembly

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	gocmp "github.com/google/go-cmp/cmp"

	"rocca/internal/aws/awstest"
	"rocca/internal/aws/stack"
	"rocca/internal/testhost"
	"rocca/internal/testnode"
)

// pinned is where package.json says which cdk tests run.
const pinned = "../../../test/cdk"

// cdk runs it in a directory of its own, and gives what it prints.
type cdk struct {
	*testing.T
	node, script string
	dir          string // the project, with cdk.json
	env          []string
}

func startCDK(t *testing.T, app string, env ...string) *cdk {
	t.Helper()
	script := filepath.Join(testnode.Project(t, pinned), "node_modules", "aws-cdk", "bin", "cdk")
	node, err := exec.LookPath("node") // where there is npm, there is node
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	config := fmt.Sprintf(`{"app": %q, "versionReporting": false, "notices": false, "cliTelemetry": false}`, app)
	if err := os.WriteFile(filepath.Join(dir, "cdk.json"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return &cdk{T: t, node: node, script: script, dir: dir, env: append([]string{
		"HOME=" + dir, "PATH=" + os.Getenv("PATH"), "AWS_EC2_METADATA_DISABLED=true", "NODE_NO_WARNINGS=1",
	}, env...)}
}

func (c *cdk) run(args ...string) string {
	c.Helper()
	ctx, cancel := context.WithTimeout(c.Context(), 5*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, c.node, append([]string{c.script, "--no-color", "--ci"}, args...)...)
	command.Dir, command.Env = c.dir, c.env
	out, err := command.CombinedOutput()
	if err != nil {
		c.Fatalf("cdk %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// has checks that a text has these parts, in this order.
func (c *cdk) has(text string, parts ...string) {
	c.Helper()
	rest := text
	for _, part := range parts {
		_, after, found := strings.Cut(rest, part)
		if !found {
			c.Fatalf("%q is missing, or not in its place, in\n%s", part, text)
		}
		rest = after
	}
}

func written(t *testing.T, set stack.Set) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "assembly")
	if err := Write(dir, set); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestCDKReads needs neither credentials nor a network.
func TestCDKReads(t *testing.T) {
	c := startCDK(t, written(t, two()))
	c.has(c.run("ls", "--long"), "trial-app", "aws://unknown-account/eu-central-1")
	c.has(c.run("ls", "--show-dependencies"), "- id: trial-app", "dependencies:", "- id: trial-base")
	c.has(c.run("synth", "trial-app"), "AWSTemplateFormatVersion", "Group:", "Type: AWS::EC2::SecurityGroup", "VpcId: \"{{resolve:ssm:/rocca/trial/base/Vpc}}\"")
}

// TestCDKDeploys deploys to moto, changes, and takes away again. To compare by a
// change set, as diff does by itself, cdk deletes one that moto does not know.
func TestCDKDeploys(t *testing.T) {
	cloud := awstest.Start(t)
	protected := map[string]bool{}
	cloud.Answer("cloudformation", "UpdateTerminationProtection", func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		protected[r.PostForm.Get("StackName")] = r.PostForm.Get("EnableTerminationProtection") == "true"
		awstest.Say(http.StatusOK, `<UpdateTerminationProtectionResponse><UpdateTerminationProtectionResult><StackId>trial</StackId></UpdateTerminationProtectionResult></UpdateTerminationProtectionResponse>`)(w, nil)
	})
	set := two()
	dir := written(t, set)
	c := startCDK(t, dir, cloud.Environment()...)

	c.has(c.run("diff", "--method=template"), "[+] AWS::EC2::SecurityGroup Group", "[+] AWS::EC2::VPC Vpc", "Number of stacks with differences: 2")
	c.run("deploy", "--all", "--require-approval", "never", "--progress", "events")
	if diff := gocmp.Diff(map[string]bool{"trial-base": true, "trial-app": true}, protected); diff != "" {
		t.Errorf("protected stacks: %s", diff)
	}
	if diff := gocmp.Diff(map[string]string{"trial-base": "trial", "trial-app": "trial"}, deployments(t, cloud)); diff != "" {
		t.Errorf("stacks and their tag: %s", diff)
	}
	if n := networks(t, cloud); n != 1 {
		t.Fatalf("after deploy there are %d of our networks, want 1", n)
	}
	c.has(c.run("diff", "--method=template"), "There were no differences", "Number of stacks with differences: 0")

	set.Stacks[0].Template.Resources["Internet"] = stack.Resource{Type: "AWS::EC2::InternetGateway"}
	if err := Write(dir, set); err != nil {
		t.Fatal(err)
	}
	c.has(c.run("diff", "--method=template"), "Stack trial-base", "[+] AWS::EC2::InternetGateway Internet", "Number of stacks with differences: 1")

	c.run("destroy", "--all", "--force")
	if left := deployments(t, cloud); len(left) != 0 || networks(t, cloud) != 0 {
		t.Errorf("after destroy there are still the stacks %v, and %d networks", left, networks(t, cloud))
	}
}

// deployments are the stacks there are, with the deployment that their tag names.
func deployments(t *testing.T, cloud *awstest.Cloud) map[string]string {
	t.Helper()
	found, err := cloudformation.NewFromConfig(cloud.Config(t)).DescribeStacks(t.Context(), &cloudformation.DescribeStacksInput{})
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, one := range found.Stacks {
		all[*one.StackName] = ""
		for _, tag := range one.Tags {
			if *tag.Key == stack.DeploymentTag {
				all[*one.StackName] = *tag.Value
			}
		}
	}
	return all
}

// networks counts those of our template.
func networks(t *testing.T, cloud *awstest.Cloud) int {
	t.Helper()
	found, err := ec2.NewFromConfig(cloud.Config(t)).DescribeVpcs(t.Context(), &ec2.DescribeVpcsInput{})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, vpc := range found.Vpcs {
		if *vpc.CidrBlock == "10.20.0.0/24" {
			n++
		}
	}
	return n
}

// TestCDKRunsRocca has "rocca aws synth" as the app of cdk.json, as docs/aws.md
// says, and compares every stack of the standard profile with an empty account.
func TestCDKRunsRocca(t *testing.T) {
	cloud := awstest.Start(t)
	file := filepath.Join(t.TempDir(), "rocca-aws.yaml")
	err := os.WriteFile(file, []byte("name: stats\nregion: eu-central-1\nprofile: standard\ndomain: stats.example.org\nemail: owner@example.org\ninstance: {image: ami-0123456789abcdef0}\n"), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	c := startCDK(t, testhost.Binary(t)+" aws synth -c "+file, cloud.Environment()...)
	c.has(c.run("ls"), "stats-base", "stats-watch", "stats-data", "stats-app")
	c.has(c.run("synth", "stats-base"), "Resources:", "AWS::EC2::VPC")
	if _, err := os.Stat(filepath.Join(c.dir, "cdk.out", Manifest)); err != nil {
		t.Error(err) // CDK_OUTDIR was not heard
	}
	c.has(c.run("diff", "--method=template"), "[+] AWS::EC2::VPC Vpc", "Number of stacks with differences: 4")
}
