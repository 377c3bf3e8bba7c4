package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"rocca/internal/aws/awstest"
	"rocca/internal/aws/cfntest"
	"rocca/internal/aws/deploy"
	"rocca/internal/aws/settings"
	"rocca/internal/aws/stack"
)

// cloudTrial is a deployment in an account whose CloudFormation is ours and
// whose other services are moto's.
type cloudTrial struct {
	*awsDeployment
	formation *cfntest.Server
	services  *awstest.Cloud
	out       bytes.Buffer
}

func newCloudTrial(t *testing.T, more string) *cloudTrial {
	t.Helper()
	trial := &cloudTrial{formation: cfntest.New(t), services: awstest.Start(t)}
	program := filepath.Join(t.TempDir(), "rocca")
	if err := os.WriteFile(program, smallestProgram, 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "rocca-aws.yaml")
	text := "name: shop\nregion: eu-central-1\nprofile: standard\ndomain: stats.example.org\nemail: owner@example.org\n" +
		"instance: {type: t4g.small, image: ami-0123456789abcdef0}\nprogram: {file: " + program + "}\n" + more
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	wanted, err := settings.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	cmd := &cobra.Command{}
	cmd.SetOut(&trial.out)
	cmd.SetErr(io.Discard)
	cmd.SetIn(strings.NewReader(""))
	trial.awsDeployment = &awsDeployment{Deployment: deploy.New(trial.formation.Config(), wanted.Name, nil), cmd: cmd, wanted: wanted, cloud: trial.services.Config(t)}
	trial.Clock = trial.formation
	for operation, answer := range map[string]http.HandlerFunc{
		"ListObjectsV2": awstest.Say(http.StatusOK, `<ListBucketResult><Contents><Key>authorities-`+testAuthoritySum+`.pem</Key><LastModified>2026-11-21T09:00:00.000Z</LastModified></Contents></ListBucketResult>`),
		"GetObject":     awstest.Say(http.StatusOK, testAuthority),
		"HeadObject":    awstest.Say(http.StatusNotFound, ""),
		"PutObject":     awstest.Say(http.StatusOK, ""),
	} {
		trial.services.Answer("s3", operation, answer)
	}
	for _, operation := range []string{"PutRolePolicy", "DeleteRolePolicy"} {
		trial.services.Answer("iam", operation, awstest.Say(http.StatusOK, "<"+operation+"Response/>"))
	}
	return trial
}

// smallestProgram is what tells that it is a program for arm64, and nothing else.
var smallestProgram = append([]byte("\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00\x01\x00\x00\x00"),
	[]byte("\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x40\x00\x38\x00\x00\x00\x40\x00\x00\x00\x00\x00")...)

// TestAWSDeploy takes the real templates through their whole life.
func TestAWSDeploy(t *testing.T) {
	// With names limited, the list of names must not depend on what was uploaded.
	trial := newCloudTrial(t, "network: {egress: [updates.example.org]}\n")
	code := func(err error) int {
		var coded *exitError
		if err = awsExit(err); errors.As(err, &coded) {
			return coded.code
		} else if err != nil {
			t.Fatalf("%v\n%s", err, trial.out.String())
		}
		return exitClean
	}
	if got := code(trial.showPlan(t.Context(), false)); got != exitFindings {
		t.Errorf("the exit code of a first plan is %d", got)
	}
	for _, want := range []string{"shop-base: to be created", "shop-app: to be created", "a month with light use", "to create; "} {
		if !strings.Contains(trial.out.String(), want) {
			t.Errorf("the plan lacks %q:\n%s", want, trial.out.String())
		}
	}
	if err := trial.run(t.Context(), false, nil, time.Now()); err == nil || !strings.Contains(err.Error(), "there is no terminal to ask on\nhint: ") {
		t.Fatalf("without a terminal: %v", err)
	}
	if err := trial.formation.Sleep(t.Context(), time.Minute); err != nil {
		t.Fatal(err)
	}
	if got := trial.formation.Status("shop-base"); got != "" {
		t.Errorf("what was not agreed to has left a stack: %s", got)
	}

	trial.out.Reset()
	trial.services.ForgetCalls()
	if got := code(trial.run(t.Context(), true, nil, time.Now())); got != exitClean {
		t.Fatalf("exit code %d\n%s", got, trial.out.String())
	}
	for _, role := range stack.Roles() {
		if got := trial.formation.Status("shop-" + role); got != "CREATE_COMPLETE" {
			t.Errorf("%s: %s", role, got)
		}
	}
	var order []string
	for _, call := range trial.services.Calls() {
		if slices.Contains([]string{"PutObject", "PutRolePolicy", "DeleteRolePolicy"}, call.Operation) {
			order = append(order, call.Operation)
		}
	}
	if want := []string{"PutObject", "PutObject", "PutRolePolicy", "DeleteRolePolicy"}; !slices.Equal(order, want) {
		t.Errorf("calls: %v, want %v", order, want)
	}
	if !strings.Contains(trial.out.String(), "https://stats.example.org/") {
		t.Errorf("no card:\n%s", trial.out.String())
	}

	// A second look finds nothing to do, and says the same in JSON.
	trial.out.Reset()
	trial.json = true
	if got := code(trial.showPlan(t.Context(), true)); got != exitClean {
		t.Errorf("the exit code of a second plan is %d:\n%s", got, trial.out.String())
	}
	lines := strings.Split(strings.TrimSpace(trial.out.String()), "\n")
	var last struct {
		Kind   string
		Stacks []deploy.StackPlan
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil || last.Kind != "plan" || len(last.Stacks) != len(stack.Roles()) {
		t.Errorf("%v: %s", err, lines[len(lines)-1])
	}
	trial.json = false

	trial.out.Reset()
	if err := trial.destroy(t.Context(), true, "shopp"); err == nil || !strings.Contains(err.Error(), "--yes shop") {
		t.Errorf("another name: %v", err)
	}
	if err := trial.destroy(t.Context(), false, "shop"); err == nil || !strings.Contains(err.Error(), "--yes shop:delete-data") {
		t.Errorf("data, without saying so twice: %v", err)
	}
	if got := code(trial.destroy(t.Context(), true, "shop")); got != exitClean {
		t.Fatalf("exit code %d\n%s", got, trial.out.String())
	}
	for _, role := range stack.Roles() {
		if got := trial.formation.Status("shop-" + role); got != "" {
			t.Errorf("%s: %s", role, got)
		}
	}
	for _, want := range []string{"a last snapshot of it is kept", "left in the account:"} {
		if !strings.Contains(trial.out.String(), want) {
			t.Errorf("destroy does not say %q:\n%s", want, trial.out.String())
		}
	}
}

// TestAWSRightEndsWithTheServers: the right to read the administrator's secret
// is taken back also when the servers fail, and left to those still being made.
func TestAWSRightEndsWithTheServers(t *testing.T) {
	trial := newCloudTrial(t, "")
	trial.uploaded = true
	known := stack.Known{Physical: map[string]string{"base.HostRole": "shop-host"}}
	for _, c := range []struct {
		name   string
		role   string
		makes  string // type of what is changed
		failed error
		given  int
		calls  int
	}{
		{"well", stack.App, "AWS::AutoScaling::AutoScalingGroup", nil, 1, 1},
		{"failed", stack.App, "AWS::EC2::LaunchTemplate", &deploy.BrokenError{}, 1, 1},
		{"left running", stack.App, "AWS::EC2::Instance", &deploy.LeftError{}, 1, 0},
		{"no server is made", stack.App, "AWS::CloudWatch::Alarm", nil, 0, 1},
		{"another stack", stack.Data, "AWS::EC2::Instance", nil, 0, 0},
	} {
		trial.services.ForgetCalls()
		trial.makes = false
		trial.note(deploy.StackPlan{Role: c.role, Changes: []deploy.Change{{ID: "X", Type: c.makes, Action: deploy.Update}}})
		ctx, cancel := context.WithCancel(t.Context())
		if err := trial.Before(ctx, c.role, known); err != nil {
			t.Fatal(err)
		}
		cancel() // also after Ctrl-C
		if err := trial.After(ctx, c.role, known, c.failed); err != nil {
			t.Fatal(err)
		}
		if n := trial.services.Count("iam", "DeleteRolePolicy"); n != c.calls {
			t.Errorf("%s: taken back %d times", c.name, n)
		}
		if n := trial.services.Count("iam", "PutRolePolicy"); n != c.given {
			t.Errorf("%s: given %d times", c.name, n)
		}
	}
}

func TestAWSExitCodes(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{&deploy.BrokenError{RolledBack: true}, exitFailed},
		{&deploy.BrokenError{}, exitRollbackFailed},
		{&deploy.LeftError{}, exitUnseen},
		{&deploy.RunningError{}, exitLocked},
	} {
		var coded *exitError
		if !errors.As(awsExit(c.err), &coded) || coded.code != c.want {
			t.Errorf("%T: %v, want %d", c.err, coded, c.want)
		}
	}
	if err := awsExit(nil); err != nil {
		t.Errorf("no error became %v", err)
	}
}

// testAuthority is of nobody.
const testAuthority = `-----BEGIN CERTIFICATE-----
MIIBljCCAT2gAwIBAgIUGQhiPNkG5lW00uUWKSio13+mGnMwCgYIKoZIzj0EAwIw
IDEeMBwGA1UEAwwVZXhhbXBsZS5vcmcgYXV0aG9yaXR5MCAXDTI2MTEyMjA2Mjgy
N1oYDzIxMjYxMDI5MDYyODI3WjAgMR4wHAYDVQQDDBVleGFtcGxlLm9yZyBhdXRo
b3JpdHkwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAS2eHqQOmZOoiHiTNqlLDuH
s1Wk8nLz54J/+R2Kk3iQebvSuiVUgLO2Q+YK4T5LbsCiTDehKxLInW237hyv1oiM
o1MwUTAdBgNVHQ4EFgQUucIO+wmCXViatWfCwU0MOEeuZLQwHwYDVR0jBBgwFoAU
ucIO+wmCXViatWfCwU0MOEeuZLQwDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQD
AgNHADBEAiAo3yN09NydVlt+Z9nStKQrekRwfxWv+FFZYosqpm16ZgIgGO4GMXmo
lADWd+u6HH9Dc07p3LiVQkB/bK4hQHu4NI4=
-----END CERTIFICATE-----
`

const testAuthoritySum = "785f2f920af54dc309cbf95fa6d52a9d064cfee19db55c5634fb4eaae937464d"
