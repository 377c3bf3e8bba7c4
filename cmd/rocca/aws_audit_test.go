package main

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"

	"rocca/internal/aws/awstest"
	"rocca/internal/aws/worldtest"
	"rocca/internal/model"
)

// The account of the AWS guide's project, by somebody who has no rocca-aws.yaml.
func TestAWSAuditOfForeignStack(t *testing.T) {
	cloud := awstest.Start(t)
	worldtest.Guide(t, cloud)
	rocca := onCloud(t, cloud, smallSite)
	if err := os.Remove("rocca-aws.yaml"); err != nil {
		t.Fatal(err)
	}
	var printed strings.Builder
	run := func(args ...string) (int, string, string) {
		code, out, messages := rocca(append([]string{"audit"}, args...)...)
		printed.WriteString(out + messages)
		return code, out, messages
	}

	code, out, messages := run("--all", "--region", awstest.Region, "--save", "seen.json")
	if code != exitFindings || !strings.Contains(out, "audit of everything in "+awstest.Region) || !strings.Contains(out, "THE CHECKLIST OF THE AWS GUIDE") ||
		!strings.Contains(out, "   6  fail      CloudTrail logging enabled [AWS-17]\n                - CloudTrail: no trail") || !strings.Contains(out, "aws ec2 revoke-security-group-ingress --group-id sg-") {
		t.Fatalf("%d\n%s%s", code, out, messages)
	}
	saved, err := os.ReadFile("seen.json")
	if err != nil {
		t.Fatal(err)
	}
	printed.Write(saved)

	// What was saved is judged again without AWS.
	cloud.ForgetCalls()
	code, again, messages := run("--from", "seen.json", "--format", "json")
	var r model.Report
	if err := json.Unmarshal([]byte(again), &r); err != nil || code != exitFindings || len(r.Checklist) != 10 || r.Summary.Failed["critical"] == 0 {
		t.Errorf("from the file: %d %v %s", code, err, messages)
	}
	if calls := cloud.Calls(); len(calls) > 0 {
		t.Errorf("asked %v", calls)
	}

	// Nothing changed, but the trail.
	if code, out, _ := run("--from", "seen.json", "--diff", "seen.json", "--only", "AWS-17"); code != exitFindings || !strings.Contains(out, "new    nothing") || !strings.Contains(out, "fixed  nothing") {
		t.Errorf("the same again: %d\n%s", code, out)
	}
	with := strings.Replace(string(saved), `"aws/trails":""`, `"aws/trails":"refused"`, 1)
	if with == string(saved) {
		with = strings.Replace(string(saved), `"aws/trails": ""`, `"aws/trails": "refused"`, 1)
	}
	if err := os.WriteFile("before.json", []byte(with), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, out, _ := run("--from", "seen.json", "--diff", "before.json", "--only", "AWS-17"); !strings.Contains(out, "new    AWS-17") {
		t.Errorf("since it could not be seen:\n%s", out)
	}
	if code, _, _ := run("--from", "before.json", "--only", "AWS-17"); code != exitUnseen {
		t.Errorf("what could not be seen ends with %d", code)
	}
	if code, out, _ := run("--from", "seen.json", "--only", "AWS-28,AWS-23", "--fail-on", "critical"); code != exitClean && code != exitUnseen {
		t.Errorf("nothing critical: %d\n%s", code, out)
	}

	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"a control of servers": {[]string{"--only", "FS-04"}, "it is of a server: rocca audit"},
		"no settings":          {nil, "rocca-aws.yaml"},
		"facts of a server":    {[]string{"--from", "server.json"}, "it holds nothing of AWS"},
		"half of a file":       {[]string{"--from", "cut.json"}, "of AWS rocca aws audit --save"},
		"a size":               {[]string{"--all", "--profile", "huge"}, "huge"},
		"two sources":          {[]string{"--from", "seen.json", "--save", "x.json"}, "from"},
	} {
		if err := os.WriteFile("cut.json", saved[:len(saved)/2], 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile("server.json", []byte(`{"version":1,"os":{"id":"debian"}}`), 0o600); err != nil {
			t.Fatal(err)
		}
		if code, _, messages := run(c.args...); code != exitUsage || !strings.Contains(messages, c.want) {
			t.Errorf("%s: %d %s", name, code, messages)
		}
	}
	if strings.Contains(printed.String(), worldtest.Planted) {
		t.Error("a secret is shown")
	}
}

// Without rights all is unknown, and nothing passes; without credentials there is
// one error.
func TestAWSAuditIsRefused(t *testing.T) {
	cloud := awstest.Start(t)
	rocca := onCloud(t, cloud, smallSite)
	cloud.Fail("sts", "GetCallerIdentity", 1, 9, awstest.Expired)
	if code, out, messages := rocca("audit", "--offline"); code != exitUsage || out != "" || !strings.Contains(messages, "hint: ") {
		t.Errorf("expired: %d\n%s%s", code, out, messages)
	}
	cloud = awstest.Start(t)
	worldtest.Guide(t, cloud) // it answers what moto lacks, which the program would ask for again and again
	rocca = onCloud(t, cloud, smallSite)
	for _, operation := range []string{"DescribeSecurityGroups", "DescribeInstances"} {
		cloud.Answer("ec2", operation, awstest.Say(http.StatusForbidden, `<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>no</Message></Error></Errors></Response>`))
	}
	code, out, _ := rocca("audit", "--offline", "--only", "AWS-04,AWS-07", "--format", "json")
	var r model.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != exitUnseen || r.Summary.Count[model.Unknown] != 2 || !strings.Contains(r.Findings[0].Reason, "not allowed to look: ec2:DescribeSecurityGroups") {
		t.Errorf("refused: %d %v\n%s", code, err, out)
	}
}
