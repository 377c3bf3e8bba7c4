package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"rocca/internal/control"
)

const guidePage = "../../docs/from-the-guide.md"

// What the guide tells people to run, in words that stand in its text only once.
var commandsOfGuide = []string{
	"aws ssm get-parameter", "get_secret_value", "parameter/matomo/*", "trusted_hosts[]", "X-XSS-Protection", "aws logs filter-log-events", "aws ec2 create-flow-logs",
	"allowedSshCidr", "sudo nano", "backupRetention", "AWS::CertificateManager::Certificate", "AWSManagedRulesCommonRuleSet", "add_ingress_rule",
	"aws iam list-attached-role-policies", "aws ec2 describe-security-groups", "aws secretsmanager rotate-secret", "aws ec2 create-key-pair", "Failed password",
	"matomo_access.log", "aws ec2 modify-instance-attribute", "aws ec2 create-snapshot", "isolate, assess, contain, eradicate, recover, document",
	"aws secretsmanager update-secret", "systemctl restart httpd", "AWS Config, GuardDuty, Security Hub", "checklist of ten",
}

// A reader of the guide finds each of its commands, and what is there instead is
// a command of rocca's with flags that it has, and controls that there are.
func TestGuideIsAnswered(t *testing.T) {
	content, err := os.ReadFile(guidePage)
	if err != nil {
		t.Fatal(err)
	}
	text := string(content)
	for _, command := range commandsOfGuide {
		if !strings.Contains(text, command) {
			t.Errorf("%s is not answered", command)
		}
	}
	quoted := regexp.MustCompile("`(rocca [^`]+)`").FindAllStringSubmatch(text, -1)
	if len(quoted) < 20 {
		t.Errorf("only %d commands of rocca are named", len(quoted))
	}
	for _, q := range quoted {
		line, _, _ := strings.Cut(q[1], " -- ")
		words := strings.Fields(line)[1:]
		cmd, rest, err := newRootCommand().Find(words)
		if err != nil || cmd.Hidden || cmd.RunE == nil {
			t.Errorf("%s: no command of rocca: %v", q[1], err)
			continue
		}
		for _, word := range rest {
			name, is := strings.CutPrefix(word, "--")
			if is && cmd.Flags().Lookup(name) == nil && cmd.InheritedFlags().Lookup(name) == nil {
				t.Errorf("%s: there is no flag %s", q[1], word)
			}
		}
	}
	known := map[string]bool{}
	for _, c := range control.All() {
		known[c.ID] = true
	}
	for _, id := range regexp.MustCompile(`\b[A-Z]{2,3}-[0-9]{2}\b`).FindAllString(text, -1) {
		if !known[id] {
			t.Errorf("there is no control %s", id)
		}
	}
}
