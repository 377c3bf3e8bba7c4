package stack

import (
	"errors"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"rocca/internal/aws/settings"
	"rocca/internal/blueprint"
	"rocca/internal/document"
	"rocca/internal/front"
)

// The 43 defects of the AWS guide's own project: what was wrong
// with it, and what shows, for each deployment, that ours is not.
var defects = []struct {
	id, was string
	check   func(trial)
}{
	{"D1", "SSH open to the world, by a rule that always exists", func(t trial) {
		for _, rule := range t.ingress() {
			if rule.opens(22) && rule.network != "" {
				t.Errorf("%s opens 22 to %s", rule.of, rule.network)
			}
		}
		s := chosen(t, settings.Standard)
		s.Network.SSH = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}
		if !slices.ContainsFunc(s.Problems(), func(p document.Problem) bool { return strings.HasPrefix(p.Key, "network.ssh") }) {
			t.Error("network.ssh may be the world")
		}
	}},
	{"D2", "80 and 443 of the instance open to the world", func(t trial) {
		for _, rule := range t.ingress() {
			if rule.network == "0.0.0.0/0" && rule.of == "WebGroup" && t.has("app.LoadBalancer") {
				t.Errorf("instances hear the world on %d", rule.first)
			}
		}
	}},
	{"D3", "HTTP only", func(t trial) {
		if url, _ := t.outputs["app.URL"].(string); url != "https://stats.example.org/" {
			t.Errorf("Matomo is at %s", url)
		}
		for _, r := range t.of("AWS::ElasticLoadBalancingV2::Listener") {
			if r.at("Protocol") != "HTTPS" && r.at("DefaultActions/0/RedirectConfig/Protocol") != "HTTPS" {
				t.Errorf("%s answers by %v", r.ID, r.at("Protocol"))
			}
		}
		for _, r := range t.of("AWS::ElasticLoadBalancingV2::TargetGroup") {
			t.wants(r, "Protocol", `"HTTPS"`)
		}
	}},
	{"D4", "everything may leave", func(t trial) {
		for _, r := range t.some("AWS::EC2::SecurityGroup") {
			if r.ID == "TransitGroup" {
				continue // on nothing; for seconds, in an incident
			}
			rules := r.list("SecurityGroupEgress")
			if len(rules) == 0 {
				t.Errorf("%s has no rule for what leaves: CloudFormation lets everything out", r.ID)
			}
			for _, rule := range rules {
				if at(rule, "IpProtocol") == "-1" || at(rule, "CidrIp") == "0.0.0.0/0" && at(rule, "FromPort") != 443.0 {
					t.Errorf("%s lets out %v", r.ID, rule)
				}
			}
		}
	}},
	{"D5", "database subnets with a route to the internet", func(t trial) {
		for _, r := range t.some("AWS::EC2::Route") {
			if r.at("RouteTableId/Ref") == "DataRoutes" {
				t.Errorf("%s leads out of the data subnets", r.ID)
			}
		}
		t.wants(t.one("base.DataRoutingA"), "RouteTableId/Ref", `"DataRoutes"`)
	}},
	{"D6", "a NAT gateway that nothing uses", func(t trial) {
		if gateways := t.of("AWS::EC2::NatGateway"); len(gateways) > 0 && !t.has("base.AppRouteA") {
			t.Errorf("%d NAT gateways, and no subnet of instances that uses one", len(gateways))
		}
	}},
	{"D7", "no packet filters, flow logs or trail", func(t trial) {
		t.one("base.DataFilter")
		t.wants(t.some("AWS::EC2::FlowLog")[0], "TrafficType", `"ALL"`)
		trail := t.some("AWS::CloudTrail::Trail")[0]
		t.wants(trail, "IsMultiRegionTrail", "true")
		t.wants(trail, "EnableLogFileValidation", "true")
	}},
	{"D8", "no firewall, load balancer, certificate or name", func(t trial) {
		if !t.has("app.Server") {
			t.one("app.Firewall")
			t.one("app.LoadBalancer")
			t.one("app.Certificate")
		}
		t.one("app.Name")
	}},
	{"D9", "addresses that change", func(t trial) {
		for _, r := range t.some("AWS::EC2::Subnet") {
			t.wants(r, "MapPublicIpOnLaunch", "false")
		}
		if t.has("app.Server") {
			t.one("app.AddressOfServer")
		}
	}},
	{"D10", "an open web installer", func(t trial) {
		// The instance is made by "rocca aws boot", which installs Matomo before
		// anything listens; nothing in user data could serve an installer.
		for id, script := range t.scripts() {
			if !strings.Contains(script, " aws boot") || regexp.MustCompile(`(?i)apache|nginx|httpd|matomo[^ ]*\.zip`).MatchString(script) {
				t.Errorf("%s does not leave the installation to rocca:\n%s", id, script)
			}
		}
	}},
	{"D11", "placeholders that nobody fills in", func(t trial) {
		for id, script := range t.scripts() {
			if found := regexp.MustCompile(`\$\{[A-Z_]+(:-[^}]*)?\}|<no value>`).FindString(script); found != "" {
				t.Errorf("%s: %s", id, found)
			}
			if !strings.Contains(script, "region: eu-central-1\n") {
				t.Errorf("%s does not know its region", id)
			}
			if t.has("data.Database") && !strings.Contains(script, "/rocca/stats/data/DatabaseEndpoint}}") {
				t.Errorf("%s does not know its database", id)
			}
		}
	}},
	{"D12", "a password that is fetched and not used; no trusted hosts", func(t trial) {
		for id, script := range t.scripts() {
			if !strings.Contains(script, "/rocca/stats/data/Secret}}") || !strings.Contains(script, "- stats.example.org\n") {
				t.Errorf("%s knows no secret, or no name:\n%s", id, script)
			}
		}
	}},
	{"D13", "chmod 777", func(t trial) {
		for id, script := range t.scripts() {
			if regexp.MustCompile(`\b0?777\b|a\+w`).MatchString(script) {
				t.Errorf("%s opens files to everybody", id)
			}
		}
	}},
	{"D14", "downloads without version, hash or signature", func(t trial) {
		for id, script := range t.scripts() {
			for _, line := range strings.Split(script, "\n") {
				if strings.Contains(line, "https://") && !regexp.MustCompile(` [0-9a-f]{64} `).MatchString(line) || strings.Contains(line, "latest") {
					t.Errorf("%s: not pinned: %s", id, line)
				}
			}
		}
	}},
	{"D15", "a status file in the document root", func(t trial) {
		for id, script := range t.scripts() {
			if strings.Contains(script, "/var/www") {
				t.Errorf("%s writes into the document root", id)
			}
		}
	}},
	{"D16", "no security headers", func(t trial) {
		for _, rule := range front.Rules() {
			for _, name := range []string{"Strict-Transport-Security", "X-Content-Type-Options", "Referrer-Policy"} {
				if !slices.ContainsFunc(rule.Headers, func(h front.Header) bool { return h.Name == name }) {
					t.Errorf("%s: no %s", rule.Name, name)
				}
			}
		}
	}},
	{"D17", "root's crontab overwritten; PHP run by root", func(t trial) {
		for name, text := range t.repository(".go", ".sh", ".yaml", ".md") {
			if regexp.MustCompile(`\|\s*(sudo )?crontab\b`).MatchString(text) {
				t.Errorf("%s writes a crontab", name)
			}
		}
	}},
	{"D18", "a new image replaces the server, and what is on its disk", func(t trial) {
		for _, r := range t.some("AWS::EC2::LaunchTemplate") {
			t.wants(r, "LaunchTemplateData/ImageId", `"ami-0123456789abcdef0"`)
		}
		if !t.has("data.Database") {
			t.wants(t.one("app.VolumeOfServer"), "VolumeId", later(Data, "Volume"))
		}
	}},
	{"D19", "version 1 of the metadata service", func(t trial) {
		for _, r := range t.some("AWS::EC2::LaunchTemplate") {
			t.wants(r, "LaunchTemplateData/MetadataOptions/HttpTokens", `"required"`)
			t.wants(r, "LaunchTemplateData/MetadataOptions/HttpPutResponseHopLimit", "1")
		}
	}},
	{"D20", "disks not encrypted", func(t trial) {
		for _, r := range t.some("AWS::EC2::LaunchTemplate") {
			t.wants(r, "LaunchTemplateData/BlockDeviceMappings/0/Ebs/Encrypted", "true")
			t.wants(r, "LaunchTemplateData/BlockDeviceMappings/1", "null")
		}
		for _, r := range t.of("AWS::EC2::Volume") {
			t.wants(r, "Encrypted", "true")
		}
	}},
	{"D21", "an agent that cannot read the logs it is to send", func(t trial) {
		for id, script := range t.scripts() {
			if strings.Contains(script, "cloudwatch-agent") {
				t.Errorf("%s installs Amazon's agent", id)
			}
		}
		logs := t.one("base.InstanceLogs")
		if logs.at("RetentionInDays") == nil || logs.at("KmsKeyId") == nil {
			t.Errorf("logs of instances: %v", logs.Properties)
		}
		t.reports()
		// Root sends them, who can read them.
		if unit := t.repository(".service")["internal/aws/instance/report/rocca-report.service"]; unit == "" || strings.Contains(unit, "User=") {
			t.Errorf("who sends the logs cannot read them:\n%s", unit)
		}
	}},
	{"D22", "no patches after the first boot", func(t trial) {
		if !strings.Contains(t.repository(".go")["internal/blueprint/platform.go"], `"unattended-upgrades"`) {
			t.Error("rocca up installs nothing that patches Debian")
		}
	}},
	{"D23", "database not encrypted", rds("StorageEncrypted", "true")},
	{"D24", "TLS to the database not required", func(t trial) {
		if t.has("data.Database") {
			t.wants(t.one("data.Database"), "DBParameterGroupName/Ref", `"DatabaseParameters"`)
			t.wants(t.one("data.DatabaseParameters"), "Parameters/require_secure_transport", `"1"`)
		}
	}},
	{"D25", "Matomo is the administrator of the database", func(t trial) {
		if t.has("data.Database") {
			master, _ := t.one("data.Database").at("MasterUsername").(string)
			if master == "" || slices.Contains(blueprint.RemoteUsers(), master) {
				t.Errorf("%s is the administrator, and Matomo is %v", master, blueprint.RemoteUsers())
			}
		}
	}},
	{"D26", "a rotation that breaks the site", func(t trial) {
		if all := t.of("AWS::SecretsManager::RotationSchedule"); len(all) > 0 {
			t.Errorf("%s changes a secret, and nobody the database", all[0].ID)
		}
		rds("ManageMasterUserPassword", "true")(t)
	}},
	{"D27", "a database without protection, backups, logs or measurement", func(t trial) {
		for path, want := range map[string]string{
			"DeletionProtection": "true", "BackupRetentionPeriod": "14", "StorageType": `"gp3"`, "MonitoringInterval": "60",
			"EnableCloudwatchLogsExports": `["error","slowquery","iam-db-auth-error"]`,
		} {
			rds(path, want)(t)
		}
		if t.has("data.Database") && t.one("data.Database").DeletionPolicy != "Snapshot" {
			t.Error("the database is deleted without a last snapshot")
		}
	}},
	{"D28", "an engine that has left support", func(t trial) {
		rds("EngineVersion", `"8.4.9"`)(t)
		rds("EngineLifecycleSupport", `"open-source-rds-extended-support-disabled"`)(t)
	}},
	{"D29", "instances may read every key pair", func(t trial) {
		if all := t.of("AWS::EC2::KeyPair"); len(all) > 0 {
			t.Errorf("%s is a key that lies around", all[0].ID)
		}
		for _, statement := range t.rights() {
			for _, resource := range listed(statement["Resource"]) {
				text := inJSON(resource)
				if strings.Contains(text, ":parameter/") && !strings.Contains(text, ":parameter/rocca/stats/") {
					t.Errorf("instances may read %s", text)
				}
			}
		}
	}},
	{"D30", "private keys in files; host keys not checked", func(t trial) {
		for name, text := range t.repository(".go", ".sh", ".md") {
			if strings.Contains(text, "StrictHostKeyChecking="+"no") {
				t.Errorf("%s does not check host keys", name)
			}
		}
		if ssh := t.repository(".go")["internal/aws/shell/connect.go"]; !strings.Contains(ssh, "StrictHostKeyChecking=yes") || !strings.Contains(ssh, "IdentityAgent=") {
			t.Error("rocca aws ssh does not hand its key over by an agent, or does not check the server's")
		}
	}},
	{"D31", "secrets, messages and logs under keys of AWS, or none", func(t trial) {
		for _, r := range append(append(t.some("AWS::SecretsManager::Secret"), t.some("AWS::Logs::LogGroup")...), t.of("AWS::EC2::Volume")...) {
			if r.at("KmsKeyId") == nil {
				t.Errorf("%s has no key of ours", r.ID)
			}
		}
		for _, r := range t.some("AWS::SNS::Topic") {
			if r.at("KmsMasterKeyId") == nil || r.at("KmsMasterKeyId") == "alias/aws/sns" {
				t.Errorf("%s has no key of ours", r.ID)
			}
		}
		for _, r := range t.some("AWS::KMS::Key") {
			t.wants(r, "EnableKeyRotation", "true")
		}
	}},
	{"D32", "passwords on the screen, and read only to see that they are there", func(t trial) {
		for name, text := range t.repository(".go") {
			// The first login is shown to who asks for it by name, and AWS records that.
			if strings.Contains(text, ".GetSecretValue(") && !strings.HasPrefix(name, "internal/aws/instance/") && name != "internal/aws/login/login.go" {
				t.Errorf("%s reads secrets, and is no instance", name)
			}
		}
	}},
	{"D33", `rights on "*"`, func(t trial) {
		free := regexp.MustCompile(`^(ssmmessages:|ssm:(ListAssociations|ListInstanceAssociations|UpdateInstanceInformation)$)`) // these know no resource
		for _, statement := range t.rights() {
			for _, action := range listed(statement["Action"]) {
				name, _ := action.(string)
				if strings.Contains(name, "*") {
					t.Errorf("instances may %s", name)
				}
				own := inJSON(at(statement["Condition"], "StringEquals/cloudwatch:namespace")) == `"rocca/stats"`
				if slices.Contains(listed(statement["Resource"]), any("*")) && !free.MatchString(name) && !own {
					t.Errorf("instances may %s on everything", name)
				}
			}
		}
	}},
	{"D34", "rights changed without review; an administrator's role for CloudFormation", func(t trial) {
		for name, text := range t.repository(".go", ".sh", ".json", ".md") {
			if strings.Contains(text, "require-approval"+" never") || strings.Contains(text, "policy/"+"AdministratorAccess") {
				t.Errorf("%s skips the review, or makes administrators", name)
			}
		}
		for _, r := range append(t.of("AWS::IAM::Role"), t.of("AWS::IAM::Policy")...) {
			if text := inJSON(r.Properties); strings.Contains(text, `"Action":"*"`) || strings.Contains(text, `"iam:*"`) {
				t.Errorf("%s may do everything", r.ID)
			}
		}
		if assembly := t.repository(".go")["internal/aws/assembly/assembly.go"]; assembly == "" || strings.Contains(assembly, "cloudFormationExecutionRoleArn") {
			t.Error("the assembly for cdk hands CloudFormation a role")
		}
	}},
	{"D35", "alarms that reach the author, or nobody, and never end", func(t trial) {
		mail := t.some("AWS::SNS::Subscription")[0]
		t.wants(mail, "Endpoint", `"owner@example.org"`)
		s := chosen(t, settings.Standard)
		s.Email = ""
		if !slices.ContainsFunc(s.Problems(), func(p document.Problem) bool { return p.Key == "email" }) {
			t.Error("email may be missing")
		}
		for _, r := range t.some("AWS::CloudWatch::Alarm") {
			if len(r.list("AlarmActions")) == 0 || len(r.list("OKActions")) == 0 {
				t.Errorf("%s tells nobody when it begins, or when it ends", r.ID)
			}
		}
		t.some("AWS::Budgets::Budget")
		t.reports()
		t.one("watch.DiskAlarm")
		t.one("watch.MemoryAlarm")
	}},
	{"D36", "measurements that are good whatever happens", func(t trial) {
		for _, r := range t.of("AWS::ElasticLoadBalancingV2::TargetGroup") {
			t.wants(r, "Matcher/HttpCode", `"200"`) // neither a redirect nor a refusal is health
		}
		if all := append(t.of("AWS::CloudFormation::WaitCondition"), t.of("AWS::AutoScaling::AutoScalingGroup")...); len(all) == 0 {
			t.Error("nothing waits until Matomo works")
		}
		// What asks the database, and what it must answer; silence is no success.
		t.reports()
		t.wants(t.one("app.TrackerAlarm"), "TreatMissingData", `"breaching"`)
		if probe := t.repository(".go")["internal/aws/instance/report/metrics.go"]; !strings.Contains(probe, `"?idsite=999999999&rec=1"`) || !strings.Contains(probe, "said.Invalid != 1") {
			t.Error("the tracker is not asked for what only the database knows")
		}
		for name, text := range t.repository(".yaml") {
			if strings.Contains(text, "InstallationComplete") || strings.Contains(text, "DatabaseConnectivity") {
				t.Errorf("%s measures what is always 1", name)
			}
		}
	}},
	{"D37", "a validator that fails a hardened stack", func(t trial) {
		verify := t.repository(".go")["internal/aws/verify/verify.go"]
		if verify == "" || strings.Contains(verify, "DescribeSecurityGroups") {
			t.Error("rocca aws verify judges by rules of groups, and not by what answers")
		}
	}},
	{"D38", "a checklist that nothing holds", func(t trial) {
		for row, holds := range map[string]bool{
			"SSH restricted":                !slices.ContainsFunc(t.ingress(), func(r opening) bool { return r.opens(22) && r.network != "" }),
			"database private":              !t.has("data.Database") || t.one("data.Database").at("PubliclyAccessible") == false,
			"trusted hosts":                 !slices.ContainsFunc(slices.Collect(maps.Values(t.scripts())), func(script string) bool { return !strings.Contains(script, "- stats.example.org\n") }),
			"TLS":                           t.outputs["app.URL"] == "https://stats.example.org/",
			"groups of least privilege":     !slices.ContainsFunc(t.ingress(), func(r opening) bool { return r.opens(3306) && r.network != "" }),
			"trail":                         len(t.of("AWS::CloudTrail::Trail")) == 1,
			"flow logs":                     len(t.of("AWS::EC2::FlowLog")) == 1,
			"updates":                       strings.Contains(t.repository(".go")["internal/blueprint/platform.go"], `"unattended-upgrades"`),
			"backups":                       len(t.of("AWS::Backup::BackupPlan")) == 1,
			"incident response is prepared": t.has("base.IsolationGroup") && t.has("base.EvidenceBucket"),
		} {
			if !holds {
				t.Errorf("%s: does not hold", row)
			}
		}
	}},
	{"D39", "commands for incidents that fail when they are needed", func(t trial) {
		for _, group := range []string{"IsolationGroup", "TransitGroup"} {
			if t.outputs["base."+group] == nil {
				t.Errorf("nobody can find %s", group)
			}
		}
		isolation := t.opened("IsolationGroup")
		if len(isolation) > 0 {
			t.Errorf("isolation lets in %v", isolation)
		}
		t.wants(t.one("base.EvidenceBucket"), "ObjectLockEnabled", "true")
	}},
	{"D40", "commands in the documentation that do not exist", func(t trial) {
		for name, text := range t.repository(".md", ".go") {
			for _, wrong := range []string{"ce get-" + "usage-and-cost", "cdk out" + "puts", "update-secret --" + "generate-secret-string"} {
				if strings.Contains(text, wrong) {
					t.Errorf("%s tells to run %s", name, wrong)
				}
			}
		}
	}},
	{"D41", "a Lambda function in a language that is gone", func(t trial) {
		for _, r := range t.made {
			if strings.HasPrefix(r.Type, "AWS::Lambda::") || strings.HasPrefix(r.Type, "Custom::") || r.Type == "AWS::CloudFormation::CustomResource" {
				t.Errorf("%s is a %s", r.ID, r.Type)
			}
		}
	}},
	{"D42", "no termination protection, stack policy or look for drift", func(t trial) {
		var deploy strings.Builder
		for name, text := range t.repository(".go") {
			if strings.HasPrefix(name, "internal/aws/deploy/") {
				deploy.WriteString(text)
			}
		}
		for _, call := range []string{".UpdateTerminationProtection(", ".SetStackPolicy(", ".DetectStackDrift("} {
			if !strings.Contains(deploy.String(), call) {
				t.Errorf("rocca aws deploy never calls %s", call)
			}
		}
		if !strings.Contains(t.repository(".go")["internal/aws/assembly/assembly.go"], `"36.0.0"`) {
			t.Error("the assembly has another version than all the cdk CLIs read")
		}
	}},
	{"D43", "no tests, CI or scan", func(t trial) {
		ci, err := os.ReadFile(filepath.Join(root, ".ci/run"))
		if err != nil || !strings.Contains(string(ci), "make test") || !strings.Contains(string(ci), "cfn-lint") {
			t.Errorf("CI does not run the tests and cfn-lint: %v", err)
		}
		if _, err := os.Stat(filepath.Join(root, "security/allow.yaml")); err != nil {
			t.Errorf("no scan: %v", err)
		}
	}},
}

func TestDefects(t *testing.T) {
	if len(defects) != 43 {
		t.Fatalf("%d rows, and there are 43 defects", len(defects))
	}
	everyProfile(t, func(deployment trial) {
		for i, d := range defects {
			if want := "D" + inJSON(i+1); d.id != want {
				t.Fatalf("row %s, want %s", d.id, want)
			}
			deployment.Run(d.id, func(t *testing.T) {
				one := deployment
				one.T = t
				t.Log("it was: " + d.was)
				d.check(one)
			})
		}
	})
}

// rds checks a property of the database, where it is in RDS.
func rds(path, want string) func(trial) {
	return func(t trial) {
		t.Helper()
		if t.has("data.Database") {
			t.wants(t.one("data.Database"), path, want)
		}
	}
}

// opening is what a security group lets in.
type opening struct {
	of          string // logical id
	first, last int
	network     string // empty: from another group
}

func (o opening) opens(port int) bool { return o.first <= port && port <= o.last }

// ingress lists what all groups let in, but the one that is on nothing.
func (t trial) ingress() []opening {
	var all []opening
	add := func(group string, rule any) {
		o := opening{of: group, last: 65535}
		if at(rule, "IpProtocol") != "-1" {
			first, _ := at(rule, "FromPort").(float64)
			last, _ := at(rule, "ToPort").(float64)
			o.first, o.last = int(first), int(last)
		}
		for _, key := range []string{"CidrIp", "CidrIpv6", "SourcePrefixListId"} {
			if network, is := at(rule, key).(string); is {
				o.network = network
			}
		}
		all = append(all, o)
	}
	for _, r := range t.some("AWS::EC2::SecurityGroup") {
		if r.ID == "TransitGroup" {
			continue
		}
		for _, rule := range r.list("SecurityGroupIngress") {
			add(r.ID, rule)
		}
	}
	for _, r := range t.of("AWS::EC2::SecurityGroupIngress") {
		group, _ := r.at("GroupId/Ref").(string)
		add(group, r.Properties)
	}
	return all
}

// rights are the statements about what instances may do.
func (t trial) rights() []map[string]any {
	t.Helper()
	var all []map[string]any
	for _, r := range t.some("AWS::IAM::Policy") {
		if strings.Contains(inJSON(r.at("Roles")), `"HostRole"`) {
			for _, statement := range r.list("PolicyDocument/Statement") {
				all = append(all, statement.(map[string]any))
			}
		}
	}
	if len(all) == 0 {
		t.Fatal("instances may do nothing")
	}
	return all
}

// listed makes a list of what IAM allows to be one or many.
func listed(value any) []any {
	if many, is := value.([]any); is {
		return many
	}
	return []any{value}
}

const root = "../../.."

// readRepository reads what rocca is made of, and says of itself: the files
// below internal, cmd and docs, without tests, named from the root.
var readRepository = sync.OnceValues(func() (map[string]string, error) {
	texts := map[string]string{}
	for _, top := range []string{"internal", "cmd", "docs"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(name string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // a test of another package has just removed it
			}
			if err != nil {
				return err
			}
			if d.Name() == "testdata" {
				return fs.SkipDir
			}
			if d.IsDir() || strings.HasSuffix(name, "_test.go") {
				return nil
			}
			text, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			relative, err := filepath.Rel(root, name)
			texts[filepath.ToSlash(relative)] = string(text)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return texts, nil
})

// reports fails where an instance does not tell how it is.
func (t trial) reports() {
	t.Helper()
	for id, script := range t.scripts() {
		if !strings.Contains(script, "rocca aws report --install\n") {
			t.Errorf("%s: nothing reports", id)
		}
	}
}

// repository is what rocca is made of, in files with these endings.
func (t trial) repository(endings ...string) map[string]string {
	t.Helper()
	all, err := readRepository()
	if err != nil {
		t.Fatal(err)
	}
	texts := maps.Clone(all)
	maps.DeleteFunc(texts, func(name, _ string) bool { return !slices.Contains(endings, filepath.Ext(name)) })
	return texts
}
