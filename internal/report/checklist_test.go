package report

import (
	"bytes"
	"strings"
	"testing"

	"rocca/internal/model"
)

// What only rocca aws audit tells: rows of a checklist, and commands.
func TestChecklistAndCommands(t *testing.T) {
	r := model.Report{
		Version: Version, Tool: "rocca 1", Server: "stats in eu-central-1", Subject: "AWS account 123456789012",
		Checklist: []model.Row{
			{Number: 1, Text: "SSH access restricted to known IPs", Status: model.Fail, Controls: []string{"AWS-04"}, Evidence: []model.Evidence{{Subject: "sg-1", Have: "tcp/22 open to the world"}}},
			{Number: 3, Text: "Trusted hosts configured in Matomo", Status: model.Unknown, Controls: []string{"AWS-41"}, Reason: "not allowed to look"},
		},
		Findings: []model.Finding{{
			ID: "AWS-04", Area: "AWS", Status: model.Fail, Severity: model.Critical, Title: "ports are closed", Evidence: []model.Evidence{{Subject: "sg-1"}}, Fix: "close them",
			Commands: []model.Command{{Does: "close port 22 of sg-1", Line: "aws ec2 revoke-security-group-ingress --group-id sg-1 --ip-permissions '[{\"IpProtocol\":\"tcp\",\"FromPort\":22,\"ToPort\":22,\"IpRanges\":[{\"CidrIp\":\"0.0.0.0/0\"}]}]'\x1b[2J"}},
		}},
	}
	r.Summary = model.Summarise(r.Findings)
	var text, page bytes.Buffer
	if err := Text(&text, r, Plain); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"THE CHECKLIST OF THE AWS GUIDE\n   1  fail      SSH access restricted to known IPs [AWS-04]\n                - sg-1: tcp/22 open to the world\n",
		"   3  unknown   Trusted hosts configured in Matomo [AWS-41]\n                - not allowed to look\n",
		"          # close port 22 of sg-1\n          aws ec2 revoke-security-group-ingress --group-id sg-1 --ip-permissions '[{", // in one line, to be copied
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the text lacks %q:\n%s", want, text.String())
		}
	}
	if strings.Contains(text.String(), "\x1b") {
		t.Error("a command steers the terminal")
	}
	if err := HTML(&page, r); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"The checklist of the AWS guide", "1. SSH access restricted to known IPs", "Not allowed to look.", "aws ec2 revoke-security-group-ingress"} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}
