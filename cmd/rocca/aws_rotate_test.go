package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rocca/internal/aws/awstest"
	"rocca/internal/aws/client"
	"rocca/internal/aws/stack"
)

// rotateTrial runs the verb on a deployment in moto with one server, which does
// whatever it is asked for.
type rotateTrial struct {
	t      *testing.T
	cloud  *awstest.Cloud
	config string
	shown  bytes.Buffer
}

const rotateSeed = "seedSEEDseedSEEDseedSEEDseedSEEDseedSEEDseedSEED"

func newRotateTrial(t *testing.T) *rotateTrial {
	t.Helper()
	trial := &rotateTrial{t: t, cloud: awstest.Start(t), config: filepath.Join(t.TempDir(), "rocca-aws.yaml")}
	text := "name: shop\nregion: eu-central-1\nprofile: standard\ndomain: stats.example.org\nemail: owner@example.org\ninstance: {image: ami-0123456789abcdef0}\n"
	if err := os.WriteFile(trial.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", t.TempDir())
	for _, line := range trial.cloud.Environment() {
		name, value, _ := strings.Cut(line, "=")
		t.Setenv(name, value)
	}
	c := trial.cloud.Config(t)
	var secret struct{ ARN string }
	if err := client.Ask(t.Context(), c, "secretsmanager:CreateSecret", client.Fields{"Name": "rocca/shop/app", "SecretString": `{"seed":"` + rotateSeed + `"}`}, &secret); err != nil {
		t.Fatal(err)
	}
	for role, outputs := range map[string]map[string]string{
		stack.Base: {"HostRole": "shop-host", "Key": "arn:aws:kms:eu-central-1:123456789012:key/1"},
		stack.Data: {"Secret": secret.ARN, "Database": "shop-matomo", "MasterSecret": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:rds!db-1"},
	} {
		values := map[string]any{}
		for name, value := range outputs {
			values[name] = map[string]any{"Value": value}
		}
		template, err := json.Marshal(map[string]any{"Resources": map[string]any{"Topic" + role: map[string]any{"Type": "AWS::SNS::Topic"}}, "Outputs": values})
		if err != nil {
			t.Fatal(err)
		}
		err = client.AskQuery(t.Context(), c, "cloudformation:CreateStack", client.Form{
			"StackName": "shop-" + role, "TemplateBody": string(template), "Tags.member.1.Key": stack.DeploymentTag, "Tags.member.1.Value": "shop",
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
	}
	trial.cloud.Answer("ec2", "DescribeInstances", awstest.Say(http.StatusOK, `<DescribeInstancesResponse><reservationSet/></DescribeInstancesResponse>`))
	return trial
}

func (r *rotateTrial) run(args ...string) error {
	r.t.Helper()
	cmd := newAWSRotateCommand()
	cmd.SetArgs(append(args, "-c", r.config))
	cmd.SetOut(&r.shown)
	cmd.SetErr(&r.shown)
	cmd.SetIn(strings.NewReader(""))
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	err := cmd.ExecuteContext(r.t.Context())
	if err != nil {
		r.shown.WriteString(err.Error())
	}
	return err
}

// serve starts a server that answers everything with this.
func (r *rotateTrial) serve(answer string, code int) {
	r.cloud.Answer("ec2", "DescribeInstances", func(w http.ResponseWriter, q *http.Request) {
		if err := q.ParseForm(); err != nil || q.Form.Get("Filter.2.Name") != "instance-state-name" {
			awstest.Say(http.StatusOK, `<DescribeInstancesResponse><reservationSet/></DescribeInstancesResponse>`)(w, q)
			return
		}
		awstest.Say(http.StatusOK, `<DescribeInstancesResponse><reservationSet><item><instancesSet><item><instanceId>i-1</instanceId><tagSet><item><key>rocca:role</key><value>servers</value></item></tagSet></item></instancesSet></item></reservationSet></DescribeInstancesResponse>`)(w, q)
	})
	r.cloud.Answer("ssm", "SendCommand", awstest.Say(http.StatusOK, `{"Command":{"CommandId":"c"}}`))
	text, err := json.Marshal(map[string]any{"Status": map[bool]string{true: "Success", false: "Failed"}[code == 0], "ResponseCode": code, "StandardOutputContent": answer})
	if err != nil {
		r.t.Fatal(err)
	}
	r.cloud.Answer("ssm", "GetCommandInvocation", awstest.Say(http.StatusOK, string(text)))
}

func (r *rotateTrial) current() string {
	r.t.Helper()
	var is struct {
		Versions map[string][]string `json:"VersionIdsToStages"`
	}
	if err := client.Ask(r.t.Context(), r.cloud.Config(r.t), "secretsmanager:DescribeSecret", client.Fields{"SecretId": "rocca/shop/app"}, &is); err != nil {
		r.t.Fatal(err)
	}
	for version, labels := range is.Versions {
		if slices.Contains(labels, "AWSCURRENT") {
			return version
		}
	}
	r.t.Fatal("no version is current")
	return ""
}

func TestAWSRotate(t *testing.T) {
	r := newRotateTrial(t)
	for args, want := range map[string]string{
		"db":                     "no server of the deployment runs\nhint: rocca aws info",
		"cache":                  "this deployment has no cache",
		"smtp":                   "rocca keeps no password of a mail server",
		"db sideways":            `invalid argument "sideways"`,
		"master resume":          `unknown command "resume"`,
		"tokens --older-than -1": "--older-than is a number of days",
	} {
		if err := r.run(strings.Fields(args)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", args, err)
		}
	}
	r.serve(`{"slot":"a","version":"`+r.current()+`"}`, 0)
	if err := r.run("db", "--dry-run"); err != nil {
		t.Fatal(err)
	}
	if err := r.run("db"); err == nil || !strings.Contains(err.Error(), "there is no terminal to ask on\nhint: --dry-run") {
		t.Errorf("nobody was asked: %v", err)
	}
	for _, want := range []string{"1. new secret: ", "2. make it work: ", "at most 45 minutes", "users notice nothing"} {
		if !strings.Contains(r.shown.String(), want) {
			t.Errorf("the plan lacks %q:\n%s", want, r.shown.String())
		}
	}
	if n := r.cloud.Count("secretsmanager", "GetSecretValue") + r.cloud.Count("secretsmanager", "PutSecretValue"); n > 0 {
		t.Errorf("a plan has read or written secrets: %d calls", n)
	}
	// The server says that it did, and goes on as before: it stops half-way.
	r.cloud.Answer("iam", "PutRolePolicy", awstest.Say(http.StatusOK, "<PutRolePolicyResponse/>"))
	r.cloud.Answer("iam", "DeleteRolePolicy", awstest.Say(http.StatusOK, "<DeleteRolePolicyResponse/>"))
	err := r.run("db", "--yes", "--json")
	var coded *exitError
	if !errors.As(err, &coded) || coded.code != exitRollbackFailed || !strings.Contains(err.Error(), "rocca aws rotate db abort -c "+r.config) {
		t.Errorf("got %v", err)
	}
	if r.cloud.Count("iam", "DeleteRolePolicy") != 1 {
		t.Error("the right of the database's administrator was not taken back")
	}
	if err := r.run("db", "abort", "--yes"); err != nil || !strings.Contains(r.shown.String(), "Taken back") {
		t.Errorf("%v\n%s", err, r.shown.String())
	}
	if strings.Contains(r.shown.String(), rotateSeed) {
		t.Error("a secret was shown")
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(r.config), ".rocca-rotate", "shop-db.json")); err != nil {
		t.Error(err)
	}
}
