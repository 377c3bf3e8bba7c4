package control

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// ---- the templates of rocca, as AWS makes them ----

const ownAccountNumber, ownRegion = "123456789012", "eu-central-1"

// made are the stacks of a rendered profile, with what they refer to resolved to
// ids and ARNs as AWS makes them.
type made struct {
	t      *testing.T
	stacks map[string]struct {
		Resources map[string]struct {
			Type       string
			Properties map[string]any
		}
		Outputs map[string]struct{ Value any }
	}
}

func madeFrom(t *testing.T, profile string) made {
	t.Helper()
	m := made{t: t}
	for _, stack := range []string{"base", "data", "app", "watch"} {
		text, err := os.ReadFile(filepath.Join("..", "aws", "stack", "testdata", "golden", profile, stack+".json"))
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(fmt.Sprintf(`{%q:%s}`, stack, text)), &m.stacks); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// id is the physical id of a resource, which Ref gives.
func (m made) id(stack, logical string) string {
	r, there := m.stacks[stack].Resources[logical]
	if !there {
		m.t.Fatalf("%s has no %s", stack, logical)
	}
	name := "stats-" + stack + "-" + logical + "-ABC"
	switch r.Type {
	case "AWS::S3::Bucket":
		return strings.ToLower(name)
	case "AWS::SNS::Topic", "AWS::SecretsManager::Secret":
		return m.arn(stack, logical)
	case "AWS::KMS::Key":
		return fmt.Sprintf("%08d-12ab-34cd-56ef-1234567890ab", len(logical))
	case "AWS::EC2::VPCEndpoint":
		return "vpce-0a1b2c"
	case "AWS::EC2::VPC":
		return "vpc-0a1b2c"
	}
	return name
}

func (m made) arn(stack, logical string) string {
	arn := func(service, rest string) string {
		return "arn:aws:" + service + ":" + ownRegion + ":" + ownAccountNumber + ":" + rest
	}
	r := m.stacks[stack].Resources[logical]
	switch r.Type {
	case "AWS::S3::Bucket":
		return "arn:aws:s3:::" + m.id(stack, logical)
	case "AWS::SNS::Topic":
		return arn("sns", "stats-"+stack+"-"+logical+"-ABC")
	case "AWS::SecretsManager::Secret":
		return arn("secretsmanager", "secret:"+r.Properties["Name"].(string)+"-AbCdEf")
	case "AWS::KMS::Key":
		return arn("kms", "key/"+m.id(stack, logical))
	case "AWS::Logs::LogGroup":
		return arn("logs", "log-group:"+m.name(stack, logical, "LogGroupName")+":*")
	case "AWS::IAM::Role":
		return "arn:aws:iam::" + ownAccountNumber + ":role/" + m.id(stack, logical)
	}
	return arn("x", m.id(stack, logical))
}

// name is what a property says, else what CloudFormation makes up.
func (m made) name(stack, logical, property string) string {
	if named, has := m.stacks[stack].Resources[logical].Properties[property]; has {
		return fmt.Sprint(m.resolved(stack, named))
	}
	return m.id(stack, logical)
}

var (
	inText    = regexp.MustCompile(`\$\{([^}]+)\}`)
	fromStack = regexp.MustCompile(`\{\{resolve:ssm:/rocca/stats/(\w+)/(\w+)\}\}`)
)

// resolved is a value of a template without intrinsic functions.
func (m made) resolved(stack string, value any) any {
	reference := func(name string) string {
		switch logical, attribute, _ := strings.Cut(name, "."); {
		case name == "AWS::AccountId":
			return ownAccountNumber
		case name == "AWS::Partition":
			return "aws"
		case name == "AWS::Region":
			return ownRegion
		case attribute == "Arn":
			return m.arn(stack, logical)
		case attribute == "Value":
			return fmt.Sprint(m.resolved(stack, m.stacks[stack].Resources[logical].Properties["Value"]))
		case attribute != "":
			return m.id(stack, logical) + "." + attribute
		}
		return m.id(stack, name)
	}
	switch value := value.(type) {
	case string:
		return fromStack.ReplaceAllStringFunc(value, func(found string) string {
			parts := fromStack.FindStringSubmatch(found)
			output, there := m.stacks[parts[1]].Outputs[parts[2]]
			if !there {
				m.t.Fatalf("%s: no such output", found)
			}
			return fmt.Sprint(m.resolved(parts[1], output.Value))
		})
	case []any:
		list := make([]any, len(value))
		for i, one := range value {
			list[i] = m.resolved(stack, one)
		}
		return list
	case map[string]any:
		if name, is := value["Ref"].(string); is {
			return reference(name)
		}
		if text, is := value["Fn::Sub"].(string); is {
			return m.resolved(stack, inText.ReplaceAllStringFunc(text, func(found string) string { return reference(inText.FindStringSubmatch(found)[1]) }))
		}
		if path, is := value["Fn::GetAtt"].([]any); is {
			return reference(fmt.Sprint(path[0], ".", path[1]))
		}
		object := map[string]any{}
		for key, one := range value {
			object[key] = m.resolved(stack, one)
		}
		return object
	}
	return value
}

// document is a property as AWS tells it: JSON.
func document(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func texts(value any) []string {
	var all []string
	list, _ := value.([]any)
	for _, one := range list {
		all = append(all, fmt.Sprint(one))
	}
	return all
}

// cloud is what an audit sees of the stacks, right after they were made.
func (m made) cloud(at time.Time) facts.Cloud {
	c := facts.Cloud{
		Account: ownAccountNumber, Region: ownRegion, Deployment: "stats",
		Wanted:    facts.CloudSettings{Known: true, Alarms: true, Trail: true, GuardDuty: true, LogDays: 90},
		Root:      facts.RootUser{MFA: true},
		Analyzers: []facts.Analyzer{{Name: "rocca", Status: "ACTIVE"}},
		Threats:   facts.Threats{Enabled: true},
		Contact:   facts.SecurityContact{Set: true},
	}
	policies := map[string][]facts.CloudPolicy{} // by role
	bucketPolicies, topicPolicies := map[string]string{}, map[string]string{}
	for name, stack := range m.stacks {
		c.Stacks = append(c.Stacks, facts.CloudStack{Name: "stats-" + name, Status: "CREATE_COMPLETE", Protected: true, Policy: true, Drift: "IN_SYNC", Tags: facts.Tags{"rocca:deployment": "stats"}})
		for output := range stack.Outputs {
			c.Parameters = append(c.Parameters, facts.Parameter{Name: "/rocca/stats/" + name + "/" + output, Kind: "String"})
		}
		for logical, r := range stack.Resources {
			p, _ := m.resolved(name, r.Properties).(map[string]any)
			tags := facts.Tags{"rocca:deployment": "stats"}
			list, _ := p["Tags"].([]any)
			for _, tag := range list {
				tags[fmt.Sprint(tag.(map[string]any)["Key"])] = fmt.Sprint(tag.(map[string]any)["Value"])
			}
			text := func(path ...string) string { return fmt.Sprint(below(p, path...)) }
			number := func(path ...string) int {
				n, _ := below(p, path...).(float64)
				return int(n)
			}
			id, arn := m.id(name, logical), m.arn(name, logical)
			switch r.Type {
			case "AWS::KMS::Key":
				c.Keys = append(c.Keys, facts.CloudKey{ARN: arn, State: "Enabled", Rotates: below(p, "EnableKeyRotation") == true, Kind: "SYMMETRIC_DEFAULT", Policy: document(m.t, p["KeyPolicy"]), Tags: tags})
			case "AWS::IAM::Role":
				role := facts.CloudRole{Name: id, ARN: arn, Trust: document(m.t, p["AssumeRolePolicyDocument"]), Created: at, Tags: tags}
				inline, _ := p["Policies"].([]any)
				for _, one := range inline {
					role.Policies = append(role.Policies, facts.CloudPolicy{Name: fmt.Sprint(below(one, "PolicyName")), Document: document(m.t, below(one, "PolicyDocument"))})
				}
				for _, attached := range texts(p["ManagedPolicyArns"]) {
					role.Policies = append(role.Policies, facts.CloudPolicy{Name: lastPart(attached), ARN: attached, Document: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`})
				}
				if logical == "HostRole" {
					role.Profiles = []string{"host"}
				}
				c.Roles = append(c.Roles, role)
			case "AWS::IAM::Policy":
				for _, role := range texts(p["Roles"]) {
					policies[role] = append(policies[role], facts.CloudPolicy{Name: text("PolicyName"), Document: document(m.t, p["PolicyDocument"])})
				}
			case "AWS::SecretsManager::Secret":
				c.Secrets = append(c.Secrets, facts.CloudSecret{ARN: arn, Name: text("Name"), Key: text("KmsKeyId"), Created: at, Changed: at, Tags: tags})
			case "AWS::S3::Bucket":
				b := facts.Bucket{Name: id, Tags: tags, BlockPublic: document(m.t, p["PublicAccessBlockConfiguration"]) == `{"BlockPublicAcls":true,"BlockPublicPolicy":true,"IgnorePublicAcls":true,"RestrictPublicBuckets":true}`}
				rules, _ := below(p, "BucketEncryption", "ServerSideEncryptionConfiguration").([]any)
				b.Encryption = fmt.Sprint(below(rules[0], "ServerSideEncryptionByDefault", "SSEAlgorithm"))
				b.Versioned = text("VersioningConfiguration", "Status") == "Enabled"
				b.Lifecycle = p["LifecycleConfiguration"] != nil
				if p["LoggingConfiguration"] != nil {
					b.LoggedTo = text("LoggingConfiguration", "DestinationBucketName")
				}
				if p["ObjectLockEnabled"] == true {
					b.Lock, b.LockDays = text("ObjectLockConfiguration", "Rule", "DefaultRetention", "Mode"), number("ObjectLockConfiguration", "Rule", "DefaultRetention", "Days")
				}
				c.Buckets = append(c.Buckets, b)
			case "AWS::S3::BucketPolicy":
				bucketPolicies[text("Bucket")] = document(m.t, p["PolicyDocument"])
			case "AWS::SNS::Topic":
				c.Topics = append(c.Topics, facts.Topic{ARN: arn, Key: text("KmsMasterKeyId"), Subscribers: []facts.Subscription{{Protocol: "email", Confirmed: true}}, Tags: tags})
			case "AWS::SNS::TopicPolicy":
				for _, topic := range texts(p["Topics"]) {
					topicPolicies[topic] = document(m.t, p["PolicyDocument"])
				}
			case "AWS::Logs::LogGroup":
				c.LogGroups = append(c.LogGroups, facts.LogGroup{Name: m.name(name, logical, "LogGroupName"), Days: number("RetentionInDays"), Key: text("KmsKeyId"), Tags: tags})
				c.Wanted.LogDays = number("RetentionInDays")
			case "AWS::Logs::MetricFilter":
				for _, one := range p["MetricTransformations"].([]any) {
					c.MetricFilters = append(c.MetricFilters, facts.MetricFilter{Group: text("LogGroupName"), Name: id, Pattern: text("FilterPattern"), Metric: fmt.Sprint(below(one, "MetricNamespace"), "/", below(one, "MetricName"))})
				}
			case "AWS::CloudWatch::Alarm":
				c.Alarms = append(c.Alarms, facts.Alarm{Name: id, Metric: text("MetricName"), Namespace: text("Namespace"), State: "OK", Enabled: true, Actions: texts(p["AlarmActions"]), Ends: texts(p["OKActions"]), Tags: tags})
			case "AWS::CloudTrail::Trail":
				c.Trails = append(c.Trails, facts.Trail{Name: text("TrailName"), MultiRegion: p["IsMultiRegionTrail"] == true, Global: p["IncludeGlobalServiceEvents"] == true, Validated: p["EnableLogFileValidation"] == true,
					Key: text("KMSKeyId"), Bucket: text("S3BucketName"), LogGroup: text("CloudWatchLogsLogGroupArn"), Logging: p["IsLogging"] == true, Management: "All"})
			case "AWS::Backup::BackupVault":
				c.Vaults = append(c.Vaults, facts.Vault{Name: text("BackupVaultName"), Key: text("EncryptionKeyArn"), Days: number("LockConfiguration", "MinRetentionDays"), Locked: number("LockConfiguration", "MinRetentionDays") > 0})
			case "AWS::Backup::BackupPlan":
				plan := facts.BackupPlan{ID: id, Name: text("BackupPlan", "BackupPlanName")}
				for _, rule := range below(p, "BackupPlan", "BackupPlanRule").([]any) {
					// The output of base gives the name, which holds the id of the network.
					plan.Rules = append(plan.Rules, facts.BackupRule{Vault: m.name("base", "Vault", "BackupVaultName"), Schedule: fmt.Sprint(below(rule, "ScheduleExpression"))})
				}
				c.BackupPlans = append(c.BackupPlans, plan)
			case "AWS::EC2::Volume":
				c.Volumes = append(c.Volumes, facts.Volume{ID: id, Created: at, Tags: tags})
			case "AWS::RDS::DBInstance":
				c.Databases = append(c.Databases, facts.CloudDatabase{ID: text("DBInstanceIdentifier"), MasterSecret: "arn:aws:secretsmanager:eu-central-1:123456789012:secret:rds!db-1-AbCdEf", Created: at, Tags: tags})
				c.Secrets = append(c.Secrets, facts.CloudSecret{ARN: "arn:aws:secretsmanager:eu-central-1:123456789012:secret:rds!db-1-AbCdEf", Name: "rds!db-1", Owner: "rds", Rotates: true, Key: text("MasterUserSecret", "KmsKeyId"), Created: at, Changed: at})
			case "AWS::EC2::SecurityGroup":
				g := facts.SecurityGroup{ID: id, Name: id, VPC: text("VpcId"), Tags: tags}
				for property, rules := range map[string]*[]facts.GroupRule{"SecurityGroupIngress": &g.Ingress, "SecurityGroupEgress": &g.Egress} {
					list, _ := p[property].([]any)
					for _, one := range list {
						rule := facts.GroupRule{Protocol: fmt.Sprint(below(one, "IpProtocol"))}
						if cidr, is := below(one, "CidrIp").(string); is {
							rule.CIDR = netip.MustParsePrefix(cidr)
						}
						*rules = append(*rules, rule)
					}
				}
				c.Groups = append(c.Groups, g)
			case "AWS::SSM::Document":
				c.Documents = append(c.Documents, facts.ManagedDocument{Name: id})
			case "AWS::Budgets::Budget":
				c.Budgets = append(c.Budgets, facts.Budget{Name: id, Forecast: strings.Contains(document(m.t, p), "FORECASTED"), Told: 1})
			}
		}
	}
	for i, role := range c.Roles {
		c.Roles[i].Policies = append(role.Policies, policies[role.Name]...)
	}
	for i, b := range c.Buckets {
		c.Buckets[i].Policy = bucketPolicies[b.Name]
	}
	for i, topic := range c.Topics {
		c.Topics[i].Policy = topicPolicies[topic.ARN]
	}
	c.Instances = []facts.Instance{{ID: "i-1", VPC: "vpc-0a1b2c", Profile: "host", Tags: facts.Tags{"rocca:deployment": "stats"}}}
	c.Restores = []facts.Restore{{Kind: "RDS", Status: "COMPLETED", At: at}}
	c.Rehearsals = []facts.Rehearsal{{At: at, Case: "c", Well: true}}
	return c
}

// below is what lies in objects within objects.
func below(value any, path ...string) any {
	for _, key := range path {
		object, is := value.(map[string]any)
		if !is {
			return nil
		}
		value = object[key]
	}
	return value
}

// What rocca deploys must pass what rocca asks for.
func TestOwnTemplatesPassTheirAudit(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for _, profile := range []string{"single", "standard", "scale"} {
		server := facts.Server{Observed: now, Sections: map[facts.Section]string{}, Cloud: madeFrom(t, profile).cloud(now.Add(-time.Hour))}
		for _, c := range cloudAccountControls() {
			for _, section := range c.Needs {
				server.Sections[section] = ""
			}
		}
		for _, section := range []facts.Section{facts.CloudInstances, facts.CloudDatabases, facts.CloudVolumes, facts.CloudDrift, facts.CloudDocuments,
			facts.CloudTrails, facts.CloudMetricFilters, facts.CloudTopics} {
			server.Sections[section] = ""
		}
		for _, c := range cloudAccountControls() {
			got := c.evaluate(See(server))
			decided := c.ID == "AWS-62" && got.Status == model.NA
			if got.Status != model.Pass && !decided {
				t.Errorf("%s, %s: %s %s %+v", profile, c.ID, got.Status, got.Reason, got.Evidence)
			}
			if got.Status == model.Pass && len(got.Evidence) == 0 {
				t.Errorf("%s, %s passes without telling what it saw", profile, c.ID)
			}
		}
		if len(server.Cloud.Alarms) == 0 || len(server.Cloud.MetricFilters) == 0 || len(server.Cloud.Keys) == 0 || len(server.Cloud.Buckets) < 4 {
			t.Errorf("%s: the test sees little of the templates", profile)
		}
	}
}

// What was not looked at is never as it should be.
func TestNothingSeenIsUnknown(t *testing.T) {
	for _, c := range cloudAccountControls() {
		if got := c.evaluate(See(facts.Server{Observed: time.Now()})); got.Status != model.Unknown {
			t.Errorf("%s of nothing is %s", c.ID, got.Status)
		}
	}
}

// ---- speed ----

// accountWithRoles has many roles, each with three policies; some are worn by an
// instance, and each of these has a secret.
func accountWithRoles(n, worn int) facts.Server {
	server := facts.Server{Observed: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC), Sections: map[facts.Section]string{}}
	for _, c := range cloudAccountControls() {
		for _, section := range c.Needs {
			server.Sections[section] = ""
		}
	}
	server.Cloud.Account, server.Cloud.Region = ownAccountNumber, ownRegion
	policy := `{"Version":"2012-10-17","Statement":[` + strings.TrimSuffix(strings.Repeat(`{"Effect":"Allow","Action":["logs:CreateLogStream","logs:PutLogEvents"],"Resource":["arn:aws:logs:eu-central-1:123456789012:log-group:a:*"],"Condition":{"StringEquals":{"aws:SourceAccount":"123456789012"}}},`, 4), ",") + `]}`
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
	for i := range n {
		name := fmt.Sprintf("role-%d", i)
		server.Cloud.Roles = append(server.Cloud.Roles, facts.CloudRole{Name: name, ARN: "arn:aws:iam::123456789012:role/" + name, Trust: trust, Profiles: []string{name}, Created: server.Observed, Used: server.Observed,
			Policies: []facts.CloudPolicy{{Name: "a", Document: policy}, {Name: "b", Document: policy}, {Name: "c", Document: policy}}})
		if i >= worn {
			continue
		}
		server.Cloud.Instances = append(server.Cloud.Instances, facts.Instance{ID: fmt.Sprintf("i-%d", i), Profile: name})
		server.Cloud.Secrets = append(server.Cloud.Secrets, facts.CloudSecret{ARN: "arn:aws:secretsmanager:eu-central-1:123456789012:secret:" + name, Name: name, Key: "k", Created: server.Observed})
	}
	return server
}

func BenchmarkThousandRoles(b *testing.B) {
	for _, worn := range []int{20, 1000} {
		b.Run(fmt.Sprintf("%d are worn", worn), func(b *testing.B) {
			view := See(accountWithRoles(1000, worn))
			controls := cloudAccountControls()
			for b.Loop() {
				view.Audit(controls)
			}
		})
	}
}
