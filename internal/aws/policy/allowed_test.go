package policy_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"rocca/internal/aws/account"
	"rocca/internal/aws/awstest"
	"rocca/internal/aws/client"
	"rocca/internal/aws/doctor"
	"rocca/internal/aws/image"
	"rocca/internal/aws/info"
	"rocca/internal/aws/policy"
	"rocca/internal/aws/settings"
	"rocca/internal/aws/shell"
)

// protocols say how an action is asked for without the SDK: IAM answers before
// a service looks at what is wanted of it.
var protocols = map[string]struct {
	version string // of the query protocol
	target  string // of the JSON protocol
}{
	"acm":                  {target: "CertificateManager"},
	"autoscaling":          {version: "2011-01-01"},
	"cloudformation":       {version: "2010-05-15"},
	"cloudtrail":           {target: "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101"},
	"config":               {target: "StarlingDoveService"},
	"ec2":                  {version: "2016-11-15"},
	"ec2-instance-connect": {target: "AWSEC2InstanceConnectService"},
	"elasticache":          {version: "2015-02-02"},
	"elasticloadbalancing": {version: "2015-12-01"},
	"iam":                  {version: "2010-05-08"},
	"logs":                 {target: "Logs_20140328"},
	"wafv2":                {target: "AWSWAF_20190729"},
	"kms":                  {target: "TrentService"},
	"pricing":              {target: "AWSPriceListService"},
	"rds":                  {version: "2014-10-31"},
	"secretsmanager":       {target: "secretsmanager"},
	"servicequotas":        {target: "ServiceQuotasV20190624"},
	"sns":                  {version: "2010-03-31"},
	"ssm":                  {target: "AmazonSSM"},
}

// paths say how an action of a REST service is asked for.
var paths = map[string]string{
	"account:GetAlternateContact":            "POST /getAlternateContact",
	"account:PutAlternateContact":            "POST /putAlternateContact",
	"guardduty:CreateDetector":               "POST /detector",
	"guardduty:GetDetector":                  "GET /detector/1",
	"guardduty:ListDetectors":                "GET /detector",
	"guardduty:UpdateDetector":               "POST /detector/1",
	"backup:GetBackupPlan":                   "GET /backup/plans/shop",
	"backup:ListBackupPlans":                 "GET /backup/plans",
	"backup:ListBackupVaults":                "GET /backup-vaults",
	"backup:ListTags":                        "GET /tags/arn:aws:backup:eu-central-1:123456789012:backup-vault:shop",
	"route53:ListHostedZones":                "GET /2013-04-01/hostedzone",
	"s3:GetBucketAcl":                        "GET /shop-artefacts?acl",
	"s3:GetBucketLogging":                    "GET /shop-artefacts?logging",
	"s3:GetBucketPolicy":                     "GET /shop-artefacts?policy",
	"s3:GetBucketTagging":                    "GET /shop-artefacts?tagging",
	"s3:GetBucketVersioning":                 "GET /shop-artefacts?versioning",
	"s3:GetLifecycleConfiguration":           "GET /shop-artefacts?lifecycle",
	"s3:ListAllMyBuckets":                    "GET /",
	"backup:CreateBackupVault":               "PUT /backup-vaults/shop",
	"backup:PutBackupVaultLockConfiguration": "PUT /backup-vaults/shop/vault-lock",
	"inspector2:BatchGetAccountStatus":       "POST /status/batch/get",
	"inspector2:Enable":                      "POST /enable",
	"route53:GetHostedZone":                  "GET /2013-04-01/hostedzone/Z1",
	"route53:ListResourceRecordSets":         "GET /2013-04-01/hostedzone/Z1/rrset",
	"s3:GetAccountPublicAccessBlock":         "GET /v20180820/configuration/publicAccessBlock",
	"s3:PutAccountPublicAccessBlock":         "PUT /v20180820/configuration/publicAccessBlock",
	"s3:DeleteObject":                        "DELETE /shop-artefacts/rocca",
	"s3:DeleteObjectVersion":                 "DELETE /shop-artefacts/rocca?versionId=1",
	"s3:GetObject":                           "GET /shop-artefacts/rocca",
	"s3:ListBucket":                          "GET /shop-artefacts?list-type=2",
	"s3:ListBucketVersions":                  "GET /shop-artefacts?versions",
	"s3:PutObject":                           "PUT /shop-artefacts/rocca",
	"securityhub:DescribeHub":                "GET /accounts",
	"securityhub:EnableSecurityHub":          "POST /accounts",
}

// narrow keeps moto from writing out all that AWS sells.
var narrow = map[string]string{
	"ec2:DescribeImages":        "&ImageId.1=ami-0",
	"ec2:DescribeInstanceTypes": "&InstanceType.1=t0.none",
	"ec2:DescribeSnapshots":     "&SnapshotId.1=snap-0",
}

// besides are actions that another call asks for, of a service that moto has
// not, or that it knows by other names: what they are worth only AWS can tell.
var besides = []string{
	"access-analyzer:CreateAnalyzer", "access-analyzer:ListFindings", "backup:GetBackupSelection", "backup:ListBackupSelections", "backup:ListProtectedResources", "backup:ListRestoreJobs",
	"budgets:ViewBudget", "cloudwatch:DescribeAlarms", "cloudwatch:GetMetricStatistics", "cloudwatch:ListTagsForResource", "guardduty:GetFindings", "guardduty:ListFindings", "inspector2:ListFindings",
	"kms:CreateGrant", "kms:DescribeKey", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:ReEncryptTo", "rds:AddTagsToResource", "s3:GetBucketObjectLockConfiguration", "s3:GetBucketOwnershipControls", "s3:GetBucketPublicAccessBlock", "s3:GetEncryptionConfiguration", "s3:PutBucketPublicAccessBlock",
	"secretsmanager:RotateSecret", "securityhub:GetEnabledStandards", "wafv2:TagResource",
	"access-analyzer:ListAnalyzers", "access-analyzer:TagResource", "ec2-instance-connect:OpenTunnel",
	"guardduty:TagResource", "iam:PassRole", "kms:Decrypt", "pricing:GetProducts", "securityhub:TagResource",
}

// TestEachActionIsNeeded asks for each action that rocca's own calls need, with
// the policy of the job, and with the policy without that one action.
func TestEachActionIsNeeded(t *testing.T) {
	cloud := awstest.StartGuarded(t)
	for _, job := range policy.Jobs() {
		whole := documents(t, job)
		somebody := cloud.As(t)
		may := cloud.As(t, whole...)
		for _, action := range actionsOf(t, job) {
			if slices.Contains(besides, action) {
				continue
			}
			if refused, answer := ask(t, cloud, may, action); refused {
				t.Errorf("%s: %s is refused with the whole policy: %s", job, action, answer)
			}
			var less []string
			for _, d := range whole {
				less = append(less, without(t, d, action))
			}
			cloud.Change(t, somebody, less...)
			if refused, answer := ask(t, cloud, somebody, action); !refused {
				t.Errorf("%s: %s works without being allowed: %s", job, action, answer)
			}
		}
	}
}

// TestJobsGetByWithTheirPolicies runs what the jobs run, as a user who has
// their policies. Much fails in an empty account; nothing may be refused.
func TestJobsGetByWithTheirPolicies(t *testing.T) {
	wanted := settings.Settings{
		Name: "shop", Region: awstest.Region, Profile: settings.Scale, Domain: "stats.example.org", Email: "owner@example.org", Zone: "Z0123456789ABCDEFGHIJ",
		Account: settings.Account{GuardDuty: true, Config: true, Hub: true, Inspector: true},
	}
	whole := account.Wanted{Deployment: "shop", Account: awstest.Account, Email: wanted.Email, Phone: "+49 30 5550100", Services: wanted.Account}
	look := func(c client.Config) {
		doctor.Examine(t.Context(), c, wanted, time.Now())
		account.Look(t.Context(), account.Settings(c, whole))
		_, _ = info.Of(t.Context(), c, wanted)
		_, _ = image.Newest(t.Context(), c, 12, "arm64")
	}
	for _, c := range []struct {
		job policy.Job
		do  func(client.Config)
	}{
		{policy.Audit, look},
		{policy.Account, func(c client.Config) {
			account.Apply(t.Context(), account.Look(t.Context(), account.Settings(c, whole)))
		}},
		{policy.Deploy, func(c client.Config) {
			doctor.Examine(t.Context(), c, wanted, time.Now())
			_, _ = info.Of(t.Context(), c, wanted)
			_, _ = image.Newest(t.Context(), c, 12, "arm64")
			_, _ = shell.Instances(t.Context(), c, "shop")
		}},
	} {
		cloud := awstest.StartGuarded(t)
		c.do(cloud.As(t, documents(t, c.job)...))
		for _, call := range cloud.Refused() {
			t.Errorf("%s: %s is refused", c.job, call)
		}
		if calls := len(cloud.Calls()); calls < 10 {
			t.Errorf("%s: only %d calls were made", c.job, calls)
		}
		// Who may do nothing is refused, or this test would not tell.
		cloud = awstest.StartGuarded(t)
		c.do(cloud.As(t))
		if len(cloud.Refused()) == 0 {
			t.Errorf("%s: nobody was refused anything without a policy", c.job)
		}
	}
}

// ask makes a signed request for an action, and tells whether IAM refused it.
func ask(t *testing.T, cloud *awstest.Cloud, as client.Config, action string) (refused bool, answer string) {
	t.Helper()
	service, operation, _ := strings.Cut(action, ":")
	method, path, body, header := http.MethodPost, "/", "", http.Header{}
	protocol, plain := protocols[service]
	switch {
	case plain && protocol.version != "":
		body = "Action=" + operation + "&Version=" + protocol.version + narrow[action]
		header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	case plain:
		body = "{}"
		header.Set("Content-Type", "application/x-amz-json-1.1")
		header.Set("X-Amz-Target", protocol.target+"."+operation)
	case paths[action] != "":
		method, path, _ = strings.Cut(paths[action], " ")
		if method == http.MethodPost || service == "backup" {
			body = "{}"
			header.Set("Content-Type", "application/json")
		}
	default:
		t.Fatalf("%s: neither protocols nor paths say how it is asked for", action)
	}
	request, err := http.NewRequestWithContext(t.Context(), method, cloud.Endpoint+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header = header
	if service == "s3" {
		request.Header.Set("X-Amz-Account-Id", awstest.Account)
	}
	keys, err := as.Credentials.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(body))
	hash := hex.EncodeToString(sum[:])
	request.Header.Set("X-Amz-Content-Sha256", hash)
	if err := v4.NewSigner().SignHTTP(t.Context(), keys, request, hash, service, as.Region, time.Now()); err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "SignatureDoesNotMatch") || strings.Contains(string(text), "InvalidClientTokenId") {
		t.Fatalf("%s: not even asked: %s", action, text)
	}
	return response.StatusCode == http.StatusForbidden, response.Status + " " + string(text[:min(len(text), 300)])
}

// documents are the policies of a job for a deployment with everything.
func documents(t *testing.T, job policy.Job) []string {
	t.Helper()
	made, err := policy.For(job, policy.Scope{Deployment: "shop", Region: awstest.Region})
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, d := range made {
		texts = append(texts, string(d.JSON()))
	}
	return texts
}

// without takes one action out of a policy.
func without(t *testing.T, document, action string) string {
	t.Helper()
	var read struct {
		Version   string
		Statement []policy.Statement
	}
	if err := json.Unmarshal([]byte(document), &read); err != nil {
		t.Fatal(err)
	}
	for i := range read.Statement {
		read.Statement[i].Action = slices.DeleteFunc(read.Statement[i].Action, func(a string) bool { return a == action })
	}
	text, err := json.Marshal(read)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// actionsOf lists what calls.txt has for a job.
func actionsOf(t *testing.T, job policy.Job) []string {
	t.Helper()
	text, err := os.ReadFile("calls.txt")
	if err != nil {
		t.Fatal(err)
	}
	var actions []string
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 2 && fields[0] == string(job) {
			actions = append(actions, fields[1])
		}
	}
	if len(actions) < 3 {
		t.Fatalf("calls.txt has only %d actions of %s", len(actions), job)
	}
	return actions
}
