package policy

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var shop = Scope{Deployment: "shop", Region: "eu-central-1", Account: "123456789012", Zone: "Z0123456789ABCDEFGHIJ"}

// used lists the types of all templates.
func used(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob("../stack/templates/*.yaml")
	if err != nil || len(names) == 0 {
		t.Fatalf("found no templates: %v", err)
	}
	types := []string{"AWS::SSM::Parameter"} // one of each output, which no template writes out
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range regexp.MustCompile(`Type: "?(AWS::[A-Za-z0-9]+::[A-Za-z0-9]+)`).FindAllSubmatch(text, -1) {
			types = append(types, string(match[1]))
		}
	}
	slices.Sort(types)
	return slices.Compact(types)
}

func TestEveryTypeHasItsActions(t *testing.T) {
	table := resources()
	types := used(t)
	for _, name := range types {
		if _, known := table[name]; !known {
			t.Errorf("a template has %s; resources.txt does not say which actions it needs (handlers and tagging in its schema)", name)
		}
	}
	for name := range table {
		if !slices.Contains(types, name) {
			t.Errorf("resources.txt: no template has %s any more; take it out", name)
		}
	}
}

// TestGolden keeps what the policies say, for a deployment with everything.
func TestGolden(t *testing.T) {
	everything := shop
	everything.Types = used(t)
	for _, job := range Jobs() {
		documents, err := For(job, everything)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range documents {
			name := filepath.Join("testdata", strings.TrimPrefix(d.Name, "rocca-shop-")+".json")
			if *update {
				if err := os.WriteFile(name, d.JSON(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(d.JSON())); diff != "" {
				t.Errorf("%s; go test ./internal/aws/policy -update\n%s", name, diff)
			}
		}
		if _, err := os.Stat(filepath.Join("testdata", string(job)+"-9.json")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s needs more documents than a role can have beside others", job)
		}
	}
}

func TestPoliciesAreNarrow(t *testing.T) {
	everything := shop
	everything.Types = used(t)
	action := regexp.MustCompile(`^[a-z0-9-]+:[A-Z][A-Za-z0-9]+$`)
	for _, job := range Jobs() {
		documents, err := For(job, everything)
		if err != nil {
			t.Fatal(err)
		}
		sids := map[string]bool{}
		for _, d := range documents {
			if n := d.Characters(); n > MostCharacters {
				t.Errorf("%s has %d characters, IAM takes %d", d.Name, n, MostCharacters)
			}
			for _, s := range d.Statements {
				if sids[s.Sid] {
					t.Errorf("%s: two statements are %s", d.Name, s.Sid)
				}
				sids[s.Sid] = true
				for _, a := range s.Action {
					if !action.MatchString(a) {
						t.Errorf("%s: %s: %q is not one action", d.Name, s.Sid, a)
					}
					if (a == "iam:PassRole" || a == "iam:CreateServiceLinkedRole" || a == "ec2:CreateTags" || strings.HasPrefix(a, "kms:Decrypt")) && len(s.Condition) == 0 {
						t.Errorf("%s: %s: %s has no condition", d.Name, s.Sid, a)
					}
					if a == "secretsmanager:GetSecretValue" && (job == Deploy || job == Audit || job == Account) {
						t.Errorf("%s: %s reads secrets", d.Name, s.Sid)
					}
					if job == Audit && !reads(a) {
						t.Errorf("%s: %s changes something", d.Name, a)
					}
				}
			}
		}
	}
}

func TestForRefuses(t *testing.T) {
	for _, c := range []struct {
		job   Job
		scope Scope
		want  string
	}{
		{"steal", shop, `there is no such job`},
		{Audit, Scope{Region: "eu-central-1"}, "may be empty"},
		{Deploy, Scope{Deployment: "shop", Region: "eu-central-1", Types: []string{"AWS::Lambda::Function"}}, "nobody has said what AWS::Lambda::Function needs"},
	} {
		if _, err := For(c.job, c.scope); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s of %+v: %v, want %q", c.job, c.scope, err, c.want)
		}
	}
}

// TestLimits asks the policies what IAM would ask them: moto looks at actions
// only.
func TestLimits(t *testing.T) {
	everything := shop
	everything.Types = used(t)
	policies := map[Job][]Document{}
	for _, job := range Jobs() {
		documents, err := For(job, everything)
		if err != nil {
			t.Fatal(err)
		}
		policies[job] = documents
	}
	ours := map[string]string{"aws:ResourceTag/rocca:deployment": "shop", "aws:RequestedRegion": "eu-central-1"}
	theirs := map[string]string{"aws:ResourceTag/rocca:deployment": "other", "aws:RequestedRegion": "eu-central-1"}
	with := func(more ...string) map[string]string {
		context := map[string]string{"aws:RequestedRegion": "eu-central-1"}
		for i := 0; i < len(more); i += 2 {
			context[more[i]] = more[i+1]
		}
		return context
	}
	const in = "eu-central-1:123456789012:"
	for _, c := range []struct {
		job              Job
		action, resource string
		context          map[string]string
		allowed          bool
	}{
		{Deploy, "cloudformation:CreateChangeSet", "arn:aws:cloudformation:" + in + "stack/shop-base/*", with(), true},
		{Deploy, "cloudformation:CreateChangeSet", "arn:aws:cloudformation:" + in + "stack/shop2-base/1", with(), false},
		{Deploy, "cloudformation:DeleteStack", "arn:aws:cloudformation:" + in + "stack/other-base/1", with(), false},
		{Deploy, "cloudformation:DescribeStackDriftDetectionStatus", "*", with(), true},
		{Deploy, "iam:CreateRole", "arn:aws:iam::123456789012:role/shop-base-HostRole-1", with(), true},
		{Deploy, "iam:PutRolePolicy", "arn:aws:iam::123456789012:role/admin", with(), false},
		{Deploy, "iam:PassRole", "arn:aws:iam::123456789012:role/shop-base-HostRole-1", with("iam:PassedToService", "ec2.amazonaws.com"), true},
		{Deploy, "iam:PassRole", "arn:aws:iam::123456789012:role/shop-base-HostRole-1", with("iam:PassedToService", "lambda.amazonaws.com"), false},
		{Deploy, "iam:PassRole", "arn:aws:iam::123456789012:role/admin", with("iam:PassedToService", "ec2.amazonaws.com"), false},
		{Deploy, "iam:CreateServiceLinkedRole", "arn:aws:iam::123456789012:role/aws-service-role/rds.amazonaws.com/AWSServiceRoleForRDS", with("iam:AWSServiceName", "rds.amazonaws.com"), true},
		{Deploy, "iam:CreateServiceLinkedRole", "arn:aws:iam::123456789012:role/aws-service-role/lex.amazonaws.com/x", with("iam:AWSServiceName", "lex.amazonaws.com"), false},
		{Deploy, "secretsmanager:DeleteSecret", "arn:aws:secretsmanager:" + in + "secret:rocca/shop/app-AbCdEf", with(), true},
		{Deploy, "secretsmanager:DeleteSecret", "arn:aws:secretsmanager:" + in + "secret:rocca/other/app-AbCdEf", with(), false},
		{Deploy, "secretsmanager:DeleteSecret", "arn:aws:secretsmanager:" + in + "secret:rds!db-1", with(), false},
		{Deploy, "secretsmanager:CreateSecret", "arn:aws:secretsmanager:" + in + "secret:rds!db-1", with(), true},
		{Deploy, "secretsmanager:GetRandomPassword", "*", with(), true},
		{Deploy, "ssm:PutParameter", "arn:aws:ssm:" + in + "parameter/rocca/shop/base/Vpc", with(), true},
		{Deploy, "ssm:PutParameter", "arn:aws:ssm:" + in + "parameter/rocca/other/base/Vpc", with(), false},
		{Audit, "ssm:GetParameter", "arn:aws:ssm:" + in + "parameter/rocca/shop/base/Vpc", with(), true},
		{Audit, "ssm:GetParameter", "arn:aws:ssm:" + in + "parameter/matomo/ec2/private-key/shop", with(), false},
		{Deploy, "ssm:StartSession", "arn:aws:ec2:" + in + "instance/i-1", ours, true},
		{Deploy, "ssm:StartSession", "arn:aws:ec2:" + in + "instance/i-1", theirs, false},
		{Deploy, "ec2:TerminateInstances", "arn:aws:ec2:" + in + "instance/i-1", ours, true},
		{Deploy, "ec2:TerminateInstances", "arn:aws:ec2:" + in + "instance/i-1", theirs, false},
		{Deploy, "ec2:ModifyInstanceAttribute", "arn:aws:ec2:" + in + "instance/i-1", theirs, false}, // it could have other user data
		{Deploy, "ec2:RevokeSecurityGroupIngress", "arn:aws:ec2:" + in + "security-group/sg-1", theirs, false},
		{Account, "ec2:RevokeSecurityGroupIngress", "arn:aws:ec2:" + in + "security-group/sg-1", with(), true},
		{Deploy, "ec2:CreateVpc", "arn:aws:ec2:" + in + "vpc/*", with(), true},
		{Deploy, "ec2:CreateVpc", "arn:aws:ec2:us-east-1:123456789012:vpc/*", map[string]string{"aws:RequestedRegion": "us-east-1"}, false},
		{Deploy, "kms:ScheduleKeyDeletion", "arn:aws:kms:" + in + "key/1", theirs, false},
		{Deploy, "kms:Decrypt", "arn:aws:kms:" + in + "key/1", ours, false}, // by nobody but a service
		{Deploy, "kms:Decrypt", "arn:aws:kms:" + in + "key/1", with("aws:ResourceTag/rocca:deployment", "shop", "kms:ViaService", "rds.eu-central-1.amazonaws.com"), true},
		{Deploy, "s3:PutBucketPolicy", "arn:aws:s3:::shop-base-artefactbucket-1", with(), true},
		{Deploy, "s3:PutBucketPolicy", "arn:aws:s3:::payroll", with(), false},
		{Deploy, "rds:DeleteDBInstance", "arn:aws:rds:" + in + "db:shop-matomo", with(), true},
		{Deploy, "rds:DeleteDBInstance", "arn:aws:rds:" + in + "db:payroll", with(), false},
		{Deploy, "route53:ChangeResourceRecordSets", "arn:aws:route53:::hostedzone/Z0123456789ABCDEFGHIJ", with(), true},
		{Deploy, "route53:ChangeResourceRecordSets", "arn:aws:route53:::hostedzone/Z9", with(), false},
		{Deploy, "guardduty:CreateDetector", "*", with(), false},
		{Account, "guardduty:CreateDetector", "*", with(), true},
		{Account, "s3:PutAccountPublicAccessBlock", "*", map[string]string{}, true},
		{Audit, "guardduty:ListDetectors", "*", with(), true},
		{Audit, "iam:GetAccountAuthorizationDetails", "*", map[string]string{}, true}, // whoever has too many rights
		{Audit, "s3:GetObject", "arn:aws:s3:::payroll/x", with(), false},
		{Audit, "s3:GetObject", "arn:aws:s3:::shop-base-evidencebucket-1/rehearsals/x", with(), true},
		{Audit, "cloudtrail:LookupEvents", "*", map[string]string{"aws:RequestedRegion": "us-east-1"}, true},
		{Rotate, "secretsmanager:PutSecretValue", "arn:aws:secretsmanager:" + in + "secret:rocca/shop/app-AbCdEf", with(), true},
		{Rotate, "secretsmanager:GetSecretValue", "arn:aws:secretsmanager:" + in + "secret:rocca/other/app-AbCdEf", with(), false},
		{Rotate, "secretsmanager:GetSecretValue", "arn:aws:secretsmanager:" + in + "secret:rds!db-1", with(), false},
		{Rotate, "ssm:SendCommand", "arn:aws:ec2:" + in + "instance/i-1", ours, true},
		{Rotate, "ssm:SendCommand", "arn:aws:ec2:" + in + "instance/i-1", theirs, false},
		{Rotate, "ssm:SendCommand", "arn:aws:ssm:eu-central-1::document/AWS-RunPowerShellScript", with(), false},
		{Rotate, "iam:PutRolePolicy", "arn:aws:iam::123456789012:role/admin", with(), false},
		{Rotate, "rds:ModifyDBInstance", "arn:aws:rds:" + in + "db:payroll", with(), false},
		{Rotate, "elasticache:ModifyUser", "arn:aws:elasticache:" + in + "user:shop-matomo", with(), true},
		{Rotate, "elasticache:ModifyUser", "arn:aws:elasticache:" + in + "user:payroll", with(), false},
		{Respond, "ec2:ModifyNetworkInterfaceAttribute", "arn:aws:ec2:" + in + "network-interface/eni-1", with(), true},
		{Respond, "ec2:ModifyNetworkInterfaceAttribute", "arn:aws:ec2:" + in + "security-group/sg-1", theirs, false},
		{Respond, "ec2:ModifyNetworkInterfaceAttribute", "arn:aws:ec2:" + in + "security-group/sg-1", ours, true},
		{Respond, "ec2:CreateSnapshots", "arn:aws:ec2:" + in + "volume/vol-1", theirs, false},
		{Respond, "ec2:ModifySnapshotAttribute", "arn:aws:ec2:eu-central-1::snapshot/snap-1", with(), false},
		{Respond, "ec2:ModifySnapshotAttribute", "arn:aws:ec2:eu-central-1::snapshot/snap-1", with("aws:ResourceTag/rocca:case", "c"), true},
		{Respond, "ec2:DisassociateIamInstanceProfile", "arn:aws:ec2:" + in + "instance/i-1", theirs, false},
		{Respond, "iam:AttachUserPolicy", "arn:aws:iam::123456789012:user/mallory", with("iam:PolicyARN", "arn:aws:iam::aws:policy/AdministratorAccess"), false},
		{Respond, "iam:AttachUserPolicy", "arn:aws:iam::123456789012:user/mallory", with("iam:PolicyARN", "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3"), true},
		{Respond, "autoscaling:EnterStandby", "arn:aws:autoscaling:" + in + "autoScalingGroup:x:autoScalingGroupName/payroll", with(), false},
		{Audit, "cloudformation:DescribeStacks", "arn:aws:cloudformation:" + in + "stack/other-base/1", with(), false},
	} {
		if got := allows(policies[c.job], c.action, c.resource, c.context); got != c.allowed {
			t.Errorf("%s: %s on %s with %v: allowed %t, want %t", c.job, c.action, c.resource, c.context, got, c.allowed)
		}
	}
}

// allows evaluates policies as IAM does, as far as they need it.
func allows(documents []Document, action, resource string, context map[string]string) bool {
	for _, d := range documents {
		for _, s := range d.Statements {
			if slices.Contains(s.Action, action) && slices.ContainsFunc(s.Resource, func(pattern string) bool { return like(pattern, resource) }) && holds(s.Condition, context) {
				return true
			}
		}
	}
	return false
}

func holds(c Condition, context map[string]string) bool {
	for operator, keys := range c {
		for key, values := range keys {
			value, there := context[key]
			switch operator {
			case "StringEquals":
				if !there || !slices.Contains(values, value) {
					return false
				}
			case "ArnLike", "StringLike":
				if !there || !slices.ContainsFunc(values, func(pattern string) bool { return like(pattern, value) }) {
					return false
				}
			case "Null":
				if there == (values[0] == "true") {
					return false
				}
			default:
				return false
			}
		}
	}
	return true
}

func like(pattern, text string) bool {
	return regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, ".*") + "$").MatchString(text)
}
