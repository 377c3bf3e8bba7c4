package main

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rocca/internal/aws/awstest"
)

// rocca runs a verb as a user would who has these settings, without a terminal.
func roccaOnAWS(t *testing.T, cloud *awstest.Cloud, settings string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	for _, variable := range cloud.Environment() {
		name, value, _ := strings.Cut(variable, "=")
		t.Setenv(name, value)
	}
	file := filepath.Join(t.TempDir(), "rocca-aws.yaml")
	if err := os.WriteFile(file, []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	code = runProgram(append(append([]string{"aws"}, args...), "-c", file), strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

func TestAWSAccount(t *testing.T) {
	const wanted = "name: shop\nregion: " + awstest.Region + "\nprofile: single\ndomain: stats.example.org\nemail: owner@example.org\naccount: {guardduty: false}\n"
	cloud := awstest.Start(t)
	answers := map[[2]string]string{
		{"ec2", "GetSnapshotBlockPublicAccessState"}:   "<R><state>block-all-sharing</state></R>",
		{"ec2", "GetImageBlockPublicAccessState"}:      "<R><imageBlockPublicAccessState>block-new-sharing</imageBlockPublicAccessState></R>",
		{"ec2", "GetInstanceMetadataDefaults"}:         "<R><accountLevel><httpTokens>required</httpTokens></accountLevel></R>",
		{"ec2", "DescribeVpcBlockPublicAccessOptions"}: "<R/>",
		{"ec2", "GetEbsDefaultKmsKeyId"}:               "<R><kmsKeyId>alias/aws/ebs</kmsKeyId></R>",
		{"access-analyzer", "GET /analyzer"}:           `{"analyzers":[]}`,
		{"inspector2", "POST /status/batch/get"}:       `{"accounts":[{"accountId":"123456789012","resourceState":{"ec2":{"status":"DISABLED"},"ecr":{"status":"DISABLED"}},"state":{"status":"DISABLED"}}]}`,
	}
	for call, body := range answers {
		cloud.Answer(call[0], call[1], awstest.Say(http.StatusOK, body))
	}
	cloud.Answer("access-analyzer", "PUT /analyzer", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Amzn-Errortype", "AccessDeniedException")
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"message":"no"}`)
	})

	code, out, _ := roccaOnAWS(t, cloud, wanted, "account", "--plan")
	if code != exitFindings {
		t.Errorf("--plan of what is low: exit code %d, want %d", code, exitFindings)
	}
	for _, line := range []string{
		"account 123456789012, eu-central-1",
		"raise    EBS encryption by default     off",
		"undo: aws ec2 disable-ebs-encryption-by-default --region eu-central-1",
		"ok       no public snapshots           block-all-sharing",
		"left     empty default security group  no network of shop yet; after rocca aws deploy, run this again",
		"left     GuardDuty                     off; not asked for (account.guardduty); it bills $4.00",
		"left     security contact              none; AWS takes none without a telephone number (--phone)",
	} {
		if !strings.Contains(out, line) {
			t.Errorf("--plan does not say %q:\n%s", line, out)
		}
	}
	if n := cloud.Count("ec2", "EnableEbsEncryptionByDefault"); n != 0 {
		t.Error("--plan changed something")
	}

	code, _, errs := roccaOnAWS(t, cloud, wanted, "account")
	if code != exitUsage || !strings.Contains(errs, "hint: --yes") || cloud.Count("ec2", "EnableEbsEncryptionByDefault") != 0 {
		t.Errorf("without a terminal: exit code %d, %s", code, errs)
	}

	code, out, _ = roccaOnAWS(t, cloud, wanted, "account", "--yes")
	if code != exitFailed || !strings.Contains(out, "ok       EBS encryption by default  on, with alias/aws/ebs") || !strings.Contains(out, "failed   IAM Access Analyzer        set IAM Access Analyzer: ") || !strings.Contains(out, "hint: rocca aws policy") {
		t.Errorf("with one refusal: exit code %d\n%s", code, out)
	}
	if cloud.Count("guardduty", "POST /detector") != 0 {
		t.Error("GuardDuty was turned on unasked")
	}

	cloud.Answer("access-analyzer", "GET /analyzer", awstest.Say(http.StatusOK, `{"analyzers":[{"name":"theirs","type":"ORGANIZATION","status":"ACTIVE","arn":"a","createdAt":"2026-01-01T00:00:00Z"}]}`))
	if code, out, _ = roccaOnAWS(t, cloud, wanted, "account", "--yes"); code != exitClean {
		t.Errorf("when all is well: exit code %d\n%s", code, out)
	}
	cloud.Fail("guardduty", "GET /detector", 1, 9, awstest.Denied)
	if code, out, _ = roccaOnAWS(t, cloud, wanted, "account", "--yes"); code != exitUnseen || !strings.Contains(out, "unknown  GuardDuty                     not allowed to look") {
		t.Errorf("when something cannot be read: exit code %d\n%s", code, out)
	}
}

func TestAWSPolicy(t *testing.T) {
	const wanted = "name: shop\nregion: " + awstest.Region + "\nprofile: PROFILE\ndomain: stats.example.org\nemail: owner@example.org\n"
	run := func(profile string, args ...string) (int, string, string) {
		t.Helper()
		file := filepath.Join(t.TempDir(), "rocca-aws.yaml")
		if err := os.WriteFile(file, []byte(strings.ReplaceAll(wanted, "PROFILE", profile)), 0o600); err != nil {
			t.Fatal(err)
		}
		var out, errs bytes.Buffer
		code := runProgram(append([]string{"aws", "policy", "-c", file}, args...), strings.NewReader(""), &out, &errs)
		return code, out.String(), errs.String()
	}
	code, out, _ := run("single", "audit")
	if code != exitClean || !strings.HasPrefix(out, "{\n  \"Version\": \"2012-10-17\"") {
		t.Errorf("audit: exit code %d\n%s", code, out)
	}
	code, out, errs := run("scale", "deploy", "--account", awstest.Account)
	if code != exitClean || !strings.Contains(errs, "attached together; -o DIR") || !strings.Contains(out, `"rocca-shop-deploy-1": {`) || !strings.Contains(out, ":123456789012:stack/shop-*/*") {
		t.Errorf("deploy: exit code %d, %s", code, errs)
	}
	for _, c := range []struct {
		profile string
		has     bool
	}{{"single", false}, {"standard", true}, {"scale", true}} {
		dir := t.TempDir()
		if code, _, errs := run(c.profile, "deploy", "-o", dir); code != exitClean {
			t.Fatalf("%s: exit code %d, %s", c.profile, code, errs)
		}
		names, err := filepath.Glob(filepath.Join(dir, "rocca-shop-deploy-*.json"))
		if err != nil || len(names) < 2 {
			t.Fatalf("%s: %v, %v", c.profile, names, err)
		}
		var all []byte
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, text...)
		}
		if has := bytes.Contains(all, []byte(`"rds:CreateDBInstance"`)); has != c.has {
			t.Errorf("%s: may make databases: %t, want %t", c.profile, has, c.has)
		}
	}
	if code, _, errs := run("single", "steal"); code != exitUsage || !strings.Contains(errs, `invalid argument "steal"`) {
		t.Errorf("steal: exit code %d, %s", code, errs)
	}
}
