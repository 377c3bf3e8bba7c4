package worldtest

import (
	"bytes"
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"rocca/internal/aws/audit"
	"rocca/internal/aws/awstest"
	"rocca/internal/aws/client"
	"rocca/internal/aws/policy"
	"rocca/internal/aws/settings"
	"rocca/internal/aws/stack"
	"rocca/internal/collect/cloud"
	"rocca/internal/control"
	"rocca/internal/facts"
	"rocca/internal/model"
	"rocca/internal/report"
)

var update = flag.Bool("update", false, "rewrite the golden file")

// observed looks at everything, as rocca aws audit --all does without settings.
func observed(t testing.TB, c *awstest.Cloud) facts.Server {
	t.Helper()
	return look(t, c, c.Config(t), cloud.Options{Now: time.Now()})
}

// observedOwn looks at what own has made, as rocca aws audit does.
func observedOwn(t testing.TB, c *awstest.Cloud, s settings.Settings) facts.Server {
	t.Helper()
	return look(t, c, c.Config(t), ownOptions(s))
}

func ownOptions(s settings.Settings) cloud.Options {
	return cloud.Options{Deployment: s.Name, Wanted: audit.Wanted(s), Now: time.Now(), Seen: allWell}
}

// allWell is what rocca aws verify sees of a public name that is as it should be.
func allWell(context.Context) ([]facts.Seen, error) {
	var all []facts.Seen
	for _, id := range []string{"tls.certificate", "tls.old", "http.redirect", "matomo.answers", "tls.hsts", "matomo.wizard", "host.foreign", "files.private"} {
		all = append(all, facts.Seen{ID: id, Status: "ok", Text: "as it should be"})
	}
	return all, nil
}

func look(t testing.TB, c *awstest.Cloud, config client.Config, o cloud.Options) facts.Server {
	t.Helper()
	s, err := cloud.Observe(t.Context(), config, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func audited(s facts.Server) []model.Finding { return control.See(s).Audit(control.OfCloud()) }

func byID(findings []model.Finding, id string) model.Finding {
	i := slices.IndexFunc(findings, func(f model.Finding) bool { return f.ID == id })
	if i < 0 {
		return model.Finding{ID: id, Status: "not in the catalogue"}
	}
	return findings[i]
}

// tells tells whether a finding fails, and a piece of its evidence says so.
func tells(f model.Finding, word string) bool {
	return f.Status == model.Fail && slices.ContainsFunc(f.Evidence, func(e model.Evidence) bool {
		return strings.Contains(e.Subject+": "+e.Have, word)
	})
}

func shown(f model.Finding) string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s %s %s %s\n", f.ID, f.Status, f.Reason, f.Title)
	for _, e := range f.Evidence {
		fmt.Fprintf(&out, "  %s: %s\n", e.Subject, e.Have)
	}
	return out.String()
}

// defects of the guide's project that AWS shows, as they are numbered in the
// notes about it, with the control that names each and a word of its evidence.
var defects = []struct{ defect, is, control, word string }{
	{"D1", "SSH is open to the world", "AWS-04", "tcp/22"},
	{"D1", "the same, as a port that is not for visitors", "AWS-22", "tcp/22"},
	{"D2", "80 and 443 lead straight to the instance", "AWS-05", "tcp/443 0.0.0.0/0"},
	{"D3", "no TLS", "AWS-15", "MatomoServer: answers the Internet itself"},
	{"D4", "everything is let out", "AWS-06", "MatomoWebSecurityGroup: lets out all traffic"},
	{"D5", "a way out of the subnets of the database", "AWS-08", "Private1: 0.0.0.0/0 by nat-"},
	{"D6", "a NAT gateway that nothing uses", "AWS-28", "NAT gateway"},
	{"D7", "no packet filters", "AWS-26", "(default): lets the world to tcp/22"},
	{"D7", "no flow logs", "AWS-18", "no flow log"},
	{"D7", "no trail", "AWS-17", "no trail"},
	{"D8", "no firewall", "AWS-16", "no load balancer before it"},
	{"D9", "public subnets give addresses away", "AWS-25", "Public2"},
	{"D9", "a public address that is not kept", "AWS-30", "public address"},
	{"D13", "chmod 777", "AWS-13", "chmod 777"},
	{"D14", "downloads that nobody checks", "AWS-13", "unverified download"},
	{"D19", "version 1 of the metadata service", "AWS-01", "tokens optional"},
	{"D19", "a script that needs version 1", "AWS-13", "metadata version 1"},
	{"D20", "disks are not encrypted", "AWS-09", "not encrypted"},
	{"D22", "nobody knows whether updates are missing", "AWS-33", "nobody has looked at its updates"},
	{"D23", "the database is not encrypted", "AWS-46", "matomo-analytics: not encrypted"},
	{"D24", "the database takes connections without TLS", "AWS-10", "require_secure_transport = 0"},
	{"D25", "Matomo is the administrator of the database", "AWS-52", "Matomo seems to log in as administrator"},
	{"D26", "the secret never changes", "AWS-12", "matomo-db-credentials: changed 120 days ago"},
	{"D26", "RDS does not rotate the administrator", "AWS-52", "kept by people"},
	{"D27", "one call deletes the database", "AWS-48", "one call deletes it"},
	{"D27", "backups of a day", "AWS-11", "kept 1 day"},
	{"D27", "one availability zone", "AWS-49", "in one availability zone"},
	{"D27", "gp2", "AWS-49", "gp2"},
	{"D27", "logs of the database stay in it", "AWS-51", "does not hand on the logs"},
	{"D27", "its machine is not measured", "AWS-51", "not measured"},
	{"D28", "MySQL 8.0", "AWS-50", "8.0.35, without standard support"},
	{"D29", "the role reads all private keys", "AWS-03", "parameter/ec2/keypair/*"},
	{"D29", "the same, as a right that Matomo does not need", "AWS-02", "private keys of EC2 key pairs"},
	{"D30", "a key pair", "AWS-03", "key pair matomo-keypair"},
	{"D31", "the secret has no key of its own", "AWS-55", "matomo-db-credentials"},
	{"D31", "the topic has none", "AWS-65", "not encrypted"},
	{"D31", "the logs have none", "AWS-64", "/aws/ec2/matomo/httpd/access"},
	{"D33", "writes all logs", "AWS-02", "logs:PutLogEvents on *"},
	{"D33", "writes all metrics", "AWS-02", "cloudwatch:PutMetricData on *"},
	{"D33", "reads about all instances", "AWS-02", "ec2:DescribeInstances"},
	{"D35", "nobody has confirmed the address of alarms", "AWS-63", "confirmed"},
	{"D35", "nobody is told that an alarm is over", "AWS-63", "matomo-analytics-cpu"},
	{"D35", "no budget", "AWS-70", "none"},
	{"D39", "no group that isolates", "AWS-21", "no group that cuts an instance off"},
	{"D39", "nothing ends tracked connections", "AWS-21", "tracking of connections"},
	{"D42", "anybody may delete the stack", "AWS-69", "may be deleted"},
	{"D42", "no policy of the stack", "AWS-69", "an update may replace"},
}

func TestGuideIsFoundWanting(t *testing.T) {
	c := awstest.Start(t)
	Guide(t, c)
	s := observed(t, c)
	findings := audited(s)
	for _, d := range defects {
		if f := byID(findings, d.control); !tells(f, d.word) {
			t.Errorf("%s, %s: %s has nothing of %q:\n%s", d.defect, d.is, d.control, d.word, shown(f))
		}
	}
	golden(t, "guide.golden", []byte(stable(s, findings)))
	t.Run("secrets", func(t *testing.T) { nothingPlanted(t, s, findings) })
	t.Run("calls", func(t *testing.T) { onlyReads(t, c) })
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs (-want +got); go test ./internal/aws/worldtest -update rewrites it:\n%s", file, diff)
	}
}

var (
	anID    = regexp.MustCompile(`\b(sg|vpc|subnet|i|vol|nat|rtb|acl|eipalloc|igw)-[0-9a-f]{8,17}\b`)
	anIP    = regexp.MustCompile(`\b54\.214\.\d+\.\d+\b`)
	aMoment = regexp.MustCompile(`-\d{4}-\d\d-\d\d-\d\d-\d\d\b`)
	aSuffix = regexp.MustCompile(`(matomo-analytics-[A-Za-z]+)-[0-9A-Z]{12}\b`)
)

// stable writes findings down without what is another at each run: ids are
// replaced by the names of what they are of, and lines are sorted.
func stable(s facts.Server, findings []model.Finding) string {
	names := map[string]string{}
	name := func(id string, name string, tags facts.Tags) {
		names[id] = strings.ReplaceAll(cmp.Or(name, tags["Name"], tags["aws:cloudformation:logical-id"]), " ", "")
	}
	c := s.Cloud
	for _, g := range c.Groups {
		name(g.ID, g.Name, g.Tags)
	}
	for _, n := range c.Networks {
		name(n.ID, "", n.Tags)
	}
	for _, n := range c.Subnets {
		name(n.ID, "", n.Tags)
	}
	for _, n := range c.RouteTables {
		name(n.ID, "", n.Tags)
	}
	for _, n := range c.Instances {
		name(n.ID, "", n.Tags)
	}
	for _, n := range c.NATs {
		name(n.ID, "", n.Tags)
	}
	replace := func(text string) string {
		text = anID.ReplaceAllStringFunc(text, func(id string) string {
			kind, _, _ := strings.Cut(id, "-")
			return kind + "-" + cmp.Or(names[id], "ID")
		})
		text = anIP.ReplaceAllString(text, "ADDRESS")
		text = aMoment.ReplaceAllString(text, "-TIME")
		return aSuffix.ReplaceAllString(text, "$1-SUFFIX")
	}
	var out strings.Builder
	for _, f := range findings {
		if f.Status != model.Fail {
			continue
		}
		fmt.Fprintf(&out, "%s %s: %s\n", f.ID, f.Severity, f.Title)
		var lines []string
		for _, e := range f.Evidence {
			lines = append(lines, replace("  "+e.Subject+": "+e.Have+"\n"))
		}
		slices.Sort(lines)
		out.WriteString(strings.Join(lines, ""))
	}
	return out.String()
}

// fine tells whether a finding of our own deployments is as it should be.
func fine(f model.Finding) bool {
	return f.Status != model.Unknown && (f.Status != model.Fail || f.Severity <= model.Low)
}

// variants are deployments of ours.
func variants() map[string]settings.Settings {
	grown := settings.Defaults(settings.Single, settings.DatabaseRDS, awstest.Region)
	base := ownSettings(settings.Single)
	grown.Name, grown.Domain, grown.Email, grown.Instance.Image = base.Name, base.Domain, base.Email, base.Instance.Image
	grown.Network.SSH = []netip.Prefix{netip.MustParsePrefix("198.51.100.0/28")}
	watched := ownSettings(settings.Standard)
	watched.AdminNetworks = []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}
	watched.Network.Endpoints, watched.Network.NAT, watched.Network.Egress = true, settings.NATPerZone, []string{"example.com"}
	watched.Account = settings.Account{Trail: true, GuardDuty: true, Config: true, Hub: true, Inspector: true}
	watched.Database.MultiAZ = true
	watched.Instance.Agent = settings.Agent{Version: "3.3.2299.0", SHA256: strings.Repeat("c3", 32)}
	foreign := ownSettings(settings.Standard)
	foreign.Account = settings.Account{} // the organization watches
	return map[string]settings.Settings{
		"single": ownSettings(settings.Single), "standard": ownSettings(settings.Standard), "scale": ownSettings(settings.Scale),
		"single with RDS, SSH and DNS elsewhere": grown, "standard with all there is": watched, "standard in an organization": foreign,
	}
}

func TestOwnIsFine(t *testing.T) {
	all := variants()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		t.Run(name, func(t *testing.T) {
			c := awstest.Start(t)
			s := all[name]
			own(t, c, s, nil)
			seen := observedOwn(t, c, s)
			findings := audited(seen)
			for section, why := range seen.Sections {
				if why != "" {
					t.Errorf("%s was not seen: %s", section, why)
				}
			}
			for _, f := range findings {
				if !fine(f) {
					t.Error(shown(f))
				}
			}
			notApplicable(t, name, findings)
			t.Run("secrets", func(t *testing.T) { nothingPlanted(t, seen, findings) })
			t.Run("calls", func(t *testing.T) { onlyReads(t, c) })
		})
	}
}

// absent are the controls about what a profile does not have.
var absent = map[string][]string{
	"single": {
		"AWS-05", "AWS-07", "AWS-10", "AWS-11", "AWS-15", "AWS-16", "AWS-32", "AWS-34", "AWS-35", "AWS-36", "AWS-37", "AWS-38", "AWS-39", "AWS-40", "AWS-42", "AWS-43",
		"AWS-45", "AWS-46", "AWS-47", "AWS-48", "AWS-49", "AWS-50", "AWS-51", "AWS-52", "AWS-53", "AWS-54", "AWS-62",
	},
	"standard": {"AWS-32", "AWS-34", "AWS-54", "AWS-62"},
	"scale":    {"AWS-32"},
	"single with RDS, SSH and DNS elsewhere": {
		"AWS-05", "AWS-15", "AWS-16", "AWS-32", "AWS-34", "AWS-35", "AWS-36", "AWS-37", "AWS-38", "AWS-39", "AWS-40", "AWS-42", "AWS-43", "AWS-44", "AWS-49", "AWS-54", "AWS-62",
	},
	"standard with all there is":  {"AWS-54"},
	"standard in an organization": {"AWS-17", "AWS-19", "AWS-32", "AWS-34", "AWS-54", "AWS-61", "AWS-62"},
}

// notApplicable asks that nothing else is without an answer: a control that finds
// nothing to look at must not pass for one that is content.
func notApplicable(t *testing.T, variant string, findings []model.Finding) {
	t.Helper()
	var got []string
	for _, f := range findings {
		if f.Status == model.NA {
			got = append(got, f.ID)
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, absent[variant]) {
		t.Errorf("not applicable are %q, want %q", got, absent[variant])
	}
}

// mistake is a change of what is rendered: where (stack, logical id, property;
// empty: the one before), what to (nil: it is not there), and the control that
// says so with a word of its evidence.
type mistake struct {
	where         string
	to            any
	control, word string
}

// mistakes that can be made at once, by profile.
var mistakes = map[settings.Profile][]mistake{
	settings.Scale: {
		{"base.WebGroup.SecurityGroupIngress", []any{ingress(22), ingress(443)}, "AWS-04", "tcp/22"},
		{"", nil, "AWS-22", "tcp/22"},
		{"", nil, "AWS-05", "tcp/443"},
		{"base.WebGroup.SecurityGroupEgress", []any{map[string]any{"IpProtocol": "-1", "CidrIp": "0.0.0.0/0"}}, "AWS-06", "all traffic"},
		{"base.DatabaseFromWeb", map[string]any{"GroupId": map[string]any{"Ref": "DatabaseGroup"}, "IpProtocol": "tcp", "FromPort": 3306, "ToPort": 3306, "CidrIp": "10.0.0.0/8"}, "AWS-07", "10.0.0.0/8"},
		{"base.AppRouteA.RouteTableId", map[string]any{"Ref": "DataRoutes"}, "AWS-08", "0.0.0.0/0"},
		{"base.Flows", nil, "AWS-18", "no flow log"},
		{"base.EdgeSubnetA.MapPublicIpOnLaunch", true, "AWS-25", "stats-edge-A"},
		{"base.IsolationGroup.SecurityGroupIngress", []any{ingress(443)}, "AWS-21", "no group that cuts an instance off"},
		{"base.Key.EnableKeyRotation", false, "AWS-57", "rotate"},
		{"base.HostPolicy.PolicyDocument.Statement.0.Resource", "*", "AWS-02", "secretsmanager:GetSecretValue on *"},
		{"base.InstanceLogs.KmsKeyId", nil, "AWS-64", "InstanceLogs"},
		{"base.Topic.KmsMasterKeyId", nil, "AWS-65", "not encrypted"},
		{"base.ArtefactBucket.BucketEncryption", nil, "AWS-66", "artefactbucket"},
		{"base.Vault.LockConfiguration", nil, "AWS-67", "not locked"},
		{"watch.Trail.IsMultiRegionTrail", false, "AWS-17", "region"},
		{"watch.TrailBucket.LoggingConfiguration", nil, "AWS-61", "trailbucket"},
		{"watch.Budget.NotificationsWithSubscribers", []any{}, "AWS-70", "tells nobody"},
		{"watch.BackupSelection.BackupSelection.Conditions.StringEquals.1.ConditionValue", "no", "AWS-67", "stats-matomo: no recovery point"},
		{"data.Database.PubliclyAccessible", true, "AWS-45", "stats-matomo"},
		{"data.Database.StorageEncrypted", false, "AWS-46", "not encrypted"},
		{"data.DatabaseParameters.Parameters.require_secure_transport", "0", "AWS-10", "require_secure_transport = 0"},
		{"data.Database.BackupRetentionPeriod", 1, "AWS-11", "1 day"},
		{"data.Database.DeletionProtection", false, "AWS-48", "one call deletes it"},
		{"data.Database.MultiAZ", false, "AWS-49", "one availability zone"},
		{"data.Database.EngineVersion", "8.0.42", "AWS-50", "8.0.42"},
		{"data.Database.MonitoringInterval", nil, "AWS-51", "not measured"},
		{"data.Database.MasterUsername", "admin", "AWS-52", "admin"},
		{"data.Database.CACertificateIdentifier", "rds-ca-2019", "AWS-53", "rds-ca-2019"},
		{"data.Cache.TransitEncryptionMode", "preferred", "AWS-54", "stats-matomo"},
		{"data.Secret.KmsKeyId", nil, "AWS-55", "rocca/stats/app"},
		{"app.WorkerTemplate.LaunchTemplateData.MetadataOptions.HttpTokens", "optional", "AWS-01", "tokens optional"},
		{"app.TrackersTemplate.LaunchTemplateData.BlockDeviceMappings.0.Ebs", map[string]any{"VolumeType": "gp3", "VolumeSize": 20}, "AWS-09", "not encrypted"},
		{"app.InterfacesTemplate.LaunchTemplateData.NetworkInterfaces.0.AssociatePublicIpAddress", true, "AWS-30", "public address"},
		{"app.Trackers.HealthCheckType", "EC2", "AWS-35", "EC2"},
		{"app.Http.DefaultActions", []any{map[string]any{"Type": "forward", "TargetGroupArn": map[string]any{"Ref": "InterfacesTargets"}}}, "AWS-36", "forward"},
		{"app.Https.SslPolicy", "ELBSecurityPolicy-2016-08", "AWS-15", "2016-08"},
		{"app.Https.DefaultActions", []any{map[string]any{"Type": "forward", "TargetGroupArn": map[string]any{"Ref": "InterfacesTargets"}}}, "AWS-38", "forward"},
		{"app.LoadBalancer.LoadBalancerAttributes.0.Value", "false", "AWS-37", "delet"},
		{"app.TrackersTargets.HealthCheckPath", "/index.php", "AWS-39", "/index.php"},
		{"app.FirewallOfLoadBalancer", nil, "AWS-16", "stats"},
		{"app.Authorities", nil, "AWS-44", "CAA"},
		{"app.WorkerTemplate.LaunchTemplateData.UserData", map[string]any{"Fn::Base64": "#!/bin/bash\nexport DB_PASSWORD=" + Planted + "\n"}, "AWS-13", "password"},
		{"app.WorkerTemplate.LaunchTemplateData.KeyName", "ops", "AWS-03", "key pair ops"},
		{"app.Topic.Name", "/rocca/stats/app/Password", "AWS-56", "/rocca/stats/app/Password"},
		{"base.InTLS.PortRange", map[string]any{"From": 0, "To": 65535}, "AWS-26", "tcp/22"},
		{"base.S3Endpoint.PolicyDocument", nil, "AWS-27", "polic"},
		{"watch.KeyChangesAlarm.AlarmActions", nil, "AWS-63", "KeyChangesAlarm"},
		{"data.DatabaseMonitor.ManagedPolicyArns.0", "arn:aws:iam::aws:policy/AdministratorAccess", "AWS-20", "AdministratorAccess"},
		{"watch.BackupRole.AssumeRolePolicyDocument.Statement.0", map[string]any{"Effect": "Allow", "Principal": map[string]any{"AWS": "*"}, "Action": "sts:AssumeRole"}, "AWS-20", "BackupRole"},
	},
	settings.Standard: {
		{"app.Firewall.Rules.0.OverrideAction", map[string]any{"Count": map[string]any{}}, "AWS-42", "stats"},
		{"app.FirewallLogging.RedactedFields", []any{}, "AWS-43", "query string"},
		{"app.ServersTemplate.LaunchTemplateData.ImageId", "ami-03cf127a", "AWS-31", "ami-03cf127a"},
	},
}

func ingress(port int) map[string]any {
	return map[string]any{"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "CidrIp": "0.0.0.0/0"}
}

func TestMistakesInTemplatesAreFound(t *testing.T) {
	for profile, all := range mistakes {
		t.Run(string(profile), func(t *testing.T) {
			c := awstest.Start(t)
			s := ownSettings(profile)
			own(t, c, s, func(set stack.Set) {
				for _, m := range all {
					if m.where != "" {
						m.make(t, set, strings.Split(m.where, "."))
					}
				}
			})
			seen := observedOwn(t, c, s)
			findings := audited(seen)
			for _, m := range all {
				if f := byID(findings, m.control); !tells(f, m.word) {
					t.Errorf("%s = %v: %s has nothing of %q:\n%s", m.where, m.to, m.control, m.word, shown(f))
				}
			}
			nothingPlanted(t, seen, findings)
		})
	}
}

// make sets what stands at a path, or takes it away.
func (m mistake) make(t *testing.T, set stack.Set, path []string) {
	t.Helper()
	to := m.to
	for _, one := range set.Stacks {
		if one.Role != path[0] {
			continue
		}
		r, there := one.Template.Resources[path[1]]
		if !there {
			t.Fatalf("there is no %q", path)
		}
		switch {
		case len(path) == 2 && to == nil:
			delete(one.Template.Resources, path[1])
			for id, other := range one.Template.Resources {
				other.DependsOn = slices.DeleteFunc(other.DependsOn, func(needed string) bool { return needed == path[1] })
				one.Template.Resources[id] = other
			}
		case len(path) == 2:
			r.Properties = to.(map[string]any)
			one.Template.Resources[path[1]] = r
		default:
			put(t, r.Properties, path[2:], to)
		}
	}
}

func put(t *testing.T, in any, path []string, to any) {
	t.Helper()
	switch v := in.(type) {
	case map[string]any:
		switch {
		case len(path) > 1:
			put(t, v[path[0]], path[1:], to)
		case to == nil:
			delete(v, path[0])
		default:
			v[path[0]] = to
		}
	case []any:
		i, err := strconv.Atoi(path[0])
		if err != nil || i >= len(v) {
			t.Fatalf("%q: no such part of %v", path, v)
		}
		if len(path) == 1 {
			v[i] = to
			return
		}
		put(t, v[i], path[1:], to)
	default:
		t.Fatalf("%q: cannot go into %T", path, in)
	}
}

// nothingPlanted looks for what was planted in all that a person or a program is
// shown.
func nothingPlanted(t *testing.T, s facts.Server, findings []model.Finding) {
	var snapshot bytes.Buffer
	if err := facts.Encode(&snapshot, s); err != nil {
		t.Fatal(err)
	}
	shows := map[string]string{"snapshot": snapshot.String()}
	r := model.Report{Version: report.Version, Tool: "rocca test", Server: "stats", Observed: s.Observed, Findings: findings, Summary: model.Summarise(findings), Checklist: control.Checklist(findings)}
	for _, format := range report.Formats {
		write, err := report.In(format, report.Style{All: true})
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := write(&out, r); err != nil {
			t.Fatal(err)
		}
		shows[format] = out.String()
	}
	for format, text := range shows {
		if len(text) < 1000 {
			t.Errorf("%s is not a whole report: %q", format, text)
		}
		if strings.Contains(text, Planted) || strings.Contains(text, guidePassword) {
			t.Errorf("%s shows a secret", format)
		}
	}
}

var (
	reads = regexp.MustCompile(`^(Describe|Get|List|BatchGet|Lookup|Head|GET |Generate(?:CredentialReport)$)`)
	// Questions of REST services that need a body, and what moto is asked when
	// its answer is amended.
	asks = []string{"access-analyzer:POST /finding", "inspector2:POST /status/batch/get", "inspector2:POST /findings/list", "securityhub:POST /standards/get", "account:POST /getAlternateContact"}
	// These give secrets away.
	secretive = regexp.MustCompile(`^(BatchGetSecretValue|GetSecretValue|GetParameters?|GetParametersByPath|GetParameterHistory|GetPasswordData|Decrypt|GetRandomPassword|GetSessionToken)$`)
)

// onlyReads asks of every call that it reads, and no secret.
func onlyReads(t *testing.T, c *awstest.Cloud) {
	calls := c.Calls()
	if len(calls) < 50 {
		t.Errorf("only %d calls were made", len(calls))
	}
	for _, call := range calls {
		switch {
		case call.Operation == onwards || slices.Contains(asks, call.String()) || call.Service == "guardduty" && strings.HasSuffix(call.Operation, "/findings"):
		case secretive.MatchString(call.Operation):
			t.Errorf("%s reads a secret", call)
		case !reads.MatchString(call.Operation):
			t.Errorf("%s does more than read", call)
		}
	}
}

// counted are questions that were asked, each with all that it said.
type counted struct {
	mu    sync.Mutex
	asked map[string]int
}

// Do implements aws.HTTPClient.
func (c *counted) Do(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	c.mu.Lock()
	c.asked[strings.Join([]string{r.Method, r.URL.String(), r.Header.Get("X-Amz-Target"), string(body)}, " ")]++
	c.mu.Unlock()
	return http.DefaultClient.Do(r)
}

// TestNothingIsAskedTwice counts the calls of an audit. A region where hundreds
// of people work lets only so many through.
func TestNothingIsAskedTwice(t *testing.T) {
	c := awstest.Start(t)
	s := Own(t, c, settings.Standard)
	config := c.Config(t)
	count := &counted{asked: map[string]int{}}
	config.HTTPClient = count
	seen := look(t, c, config, ownOptions(s))
	for asked, times := range count.asked {
		if times > 1 && !strings.Contains(asked, "Action=GetCredentialReport") { // which has to be made first
			t.Errorf("asked %d times: %s", times, asked)
		}
	}
	// So many for the whole, and so many for each of what there is.
	cloud := seen.Cloud
	each := len(cloud.Buckets)*9 + len(cloud.Keys)*4 + len(cloud.Alarms) + len(cloud.LogGroups) + 2*len(cloud.Secrets) + 3*len(cloud.Instances)
	if most := 120 + each; len(count.asked) > most {
		t.Errorf("%d calls, want %d at most", len(count.asked), most)
	}
	t.Logf("%d calls", len(count.asked))
}

// TestPolicyOfAuditIsEnough looks with the rights that rocca aws policy audit
// prints.
func TestPolicyOfAuditIsEnough(t *testing.T) {
	c := awstest.StartGuarded(t)
	s := ownSettings(settings.Standard)
	documents, err := policy.For(policy.Audit, policy.Scope{Deployment: s.Name, Region: awstest.Region, Account: awstest.Account, Zone: s.Zone})
	if err != nil {
		t.Fatal(err)
	}
	var policies []string
	for _, d := range documents {
		policies = append(policies, string(d.JSON()))
	}
	allowed := strings.Join(policies, "")
	own(t, c, s, nil)
	// What the world answers itself goes by a method and a path, and moto knows
	// some by other names, where AWS knows an action.
	var paths []string
	for path, action := range map[string]string{
		"access-analyzer:GET /analyzer": "access-analyzer:ListAnalyzers", "access-analyzer:POST /finding": "access-analyzer:ListFindings",
		"inspector2:POST /status/batch/get": "inspector2:BatchGetAccountStatus", "inspector2:POST /findings/list": "inspector2:ListFindings",
		"backup:GET /resources/": "backup:ListProtectedResources", "backup:GET /restore-jobs/": "backup:ListRestoreJobs",
		"route53:GET /2013-04-01/hostedzone/" + s.Zone: "route53:GetHostedZone", "route53:GET /2013-04-01/hostedzone/" + s.Zone + "/rrset": "route53:ListResourceRecordSets",
		"securityhub:POST /standards/get": "securityhub:GetEnabledStandards", "s3:ListObjectsV2": "s3:ListBucket",
		"budgets:DescribeNotificationsForBudget": "budgets:ViewBudget", "budgets:DescribeSubscribersForNotification": "budgets:ViewBudget",
		"monitoring:DescribeAlarms": "cloudwatch:DescribeAlarms", "monitoring:GetMetricStatistics": "cloudwatch:GetMetricStatistics", "monitoring:ListTagsForResource": "cloudwatch:ListTagsForResource",
	} {
		if !strings.Contains(allowed, `"`+action+`"`) {
			t.Errorf("the policy does not allow %s", action)
		}
		paths = append(paths, path)
	}
	for _, action := range []string{"s3:GetBucketLogging", "s3:GetObject", "guardduty:ListFindings", "backup:ListBackupSelections", "backup:GetBackupSelection"} {
		if !strings.Contains(allowed, `"`+action+`"`) {
			t.Errorf("the policy does not allow %s", action)
		}
	}
	paths = append(paths, restOf(t, c)...)
	seen := look(t, c, c.As(t, append(policies, allow(paths))...), ownOptions(s))
	for section, why := range seen.Sections {
		if why != "" {
			t.Errorf("%s was not seen: %s", section, why)
		}
	}
	if refused := c.Refused(); len(refused) > 0 {
		t.Errorf("refused: %v", refused)
	}
}

// restOf are the calls by path whose name has an id of this account in it.
func restOf(t *testing.T, c *awstest.Cloud) []string {
	t.Helper()
	all := map[string]bool{}
	observed(t, c)
	for _, call := range c.Calls() {
		if strings.HasPrefix(call.Operation, "GET /") && (call.Service == "s3" || call.Service == "backup") || call.Service == "guardduty" {
			all[call.String()] = true
		}
	}
	c.ForgetCalls()
	var list []string
	for call := range all {
		list = append(list, call)
	}
	return list
}

func allow(actions []string) string {
	return encode(map[string]any{"Version": "2012-10-17", "Statement": []any{map[string]any{"Effect": "Allow", "Action": actions, "Resource": "*"}}})
}

// BenchmarkAudit looks at a whole deployment and judges it. Most of the time is
// moto's.
func BenchmarkAudit(b *testing.B) {
	c := awstest.Start(b)
	s := Own(b, c, settings.Standard)
	for b.Loop() {
		if findings := audited(observedOwn(b, c, s)); len(findings) < 70 {
			b.Fatalf("%d findings", len(findings))
		}
	}
}

// BenchmarkJudge is the second half of it.
func BenchmarkJudge(b *testing.B) {
	c := awstest.Start(b)
	s := Own(b, c, settings.Standard)
	seen := observedOwn(b, c, s)
	for b.Loop() {
		audited(seen)
	}
}
