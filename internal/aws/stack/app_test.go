package stack

import (
	"cmp"
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"rocca/internal/aws/settings"
	"rocca/internal/front"
)

// balanced calls a test with the profiles that have a load balancer.
func balanced(t *testing.T, test func(trial)) {
	for _, profile := range []settings.Profile{settings.Standard, settings.Scale} {
		t.Run(string(profile), func(t *testing.T) { test(try(t, chosen(t, profile))) })
	}
}

func TestInstances(t *testing.T) {
	everyProfile(t, func(t trial) {
		for _, r := range t.some("AWS::EC2::LaunchTemplate") {
			t.wants(r, "LaunchTemplateData/ImageId", `"ami-0123456789abcdef0"`)
			t.wants(r, "LaunchTemplateData/MetadataOptions", `{"HttpEndpoint":"enabled","HttpPutResponseHopLimit":1,"HttpTokens":"required","InstanceMetadataTags":"disabled"}`)
			t.wants(r, "LaunchTemplateData/KeyName", "null")
			t.wants(r, "LaunchTemplateData/NetworkInterfaces/0/AssociatePublicIpAddress", "false")
			t.wants(r, "LaunchTemplateData/NetworkInterfaces/1", "null")
			t.wants(r, "LaunchTemplateData/NetworkInterfaces/0/Groups", "["+later(Base, "WebGroup")+"]")
			t.wants(r, "LaunchTemplateData/IamInstanceProfile/Name", later(Base, "HostProfile"))
			t.wants(r, "LaunchTemplateData/Monitoring/Enabled", "true")
			for i := range r.list("LaunchTemplateData/BlockDeviceMappings") {
				disk := "LaunchTemplateData/BlockDeviceMappings/" + string(rune('0'+i)) + "/Ebs/"
				t.wants(r, disk+"Encrypted", "true")
				t.wants(r, disk+"KmsKeyId", later(Base, "Key"))
				t.wants(r, disk+"VolumeType", `"gp3"`)
			}
			for i, kind := range []string{"instance", "volume"} {
				tags := "LaunchTemplateData/TagSpecifications/" + string(rune('0'+i))
				t.wants(r, tags+"/ResourceType", inJSON(kind))
				if got := inJSON(r.at(tags + "/Tags")); !strings.Contains(got, `{"Key":"rocca:deployment","Value":"stats"}`) {
					t.Errorf("%s: the %s has the tags %s", r.ID, kind, got)
				}
			}
		}
	})
}

// secretive are texts that must not be in user data: whoever may describe
// instances can read it.
var secretive = regexp.MustCompile(`(?i)AKIA|ASIA|PRIVATE KEY|aws_secret|resolve:secretsmanager|resolve:ssm-secure|passw(or)?d\s*[=:]|--password|identified by|token_auth=`)

func TestUserData(t *testing.T) {
	everyProfile(t, func(t trial) {
		for id, script := range t.scripts() {
			if found := secretive.FindString(script); found != "" {
				t.Errorf("%s: user data has %q in it", id, found)
			}
			for _, line := range strings.Split(script, "\n") {
				if strings.Contains(line, "http://") || strings.Contains(line, "777") {
					t.Errorf("%s: user data: %s", id, line)
				}
			}
		}
	})
}

// Everybody must wait for Matomo, and the one who is told must be who waits.
func TestSignals(t *testing.T) {
	balanced(t, func(t trial) {
		for _, r := range t.some("AWS::AutoScaling::AutoScalingGroup") {
			if got := inJSON(at(r.CreationPolicy, "ResourceSignal/Count")); inJSON(r.at("MinSize")) != `"`+got+`"` {
				t.Errorf("%s waits for %s of %s instances", r.ID, got, inJSON(r.at("MinSize")))
			}
			update, _ := r.UpdatePolicy["AutoScalingRollingUpdate"].(map[string]any)
			if update["WaitOnResourceSignals"] != true || update["PauseTime"] != at(r.CreationPolicy, "ResourceSignal/Timeout") || update["MinSuccessfulInstancesPercent"] != 100.0 {
				t.Errorf("%s is replaced by %v", r.ID, update)
			}
			if script := t.scripts()[r.ID+"Template"]; !strings.Contains(script, "resource: "+r.ID+"\n") {
				t.Errorf("instances of %s do not signal it:\n%s", r.ID, script)
			}
		}
	})
	for _, kind := range []string{settings.DatabaseLocal, settings.DatabaseRDS} {
		t.Run("single-"+kind, func(top *testing.T) {
			t := try(top, chosen(top, settings.Single, value{"database.kind", kind}))
			waiter := t.some("AWS::CloudFormation::WaitCondition")[0]
			if at(waiter.CreationPolicy, "ResourceSignal/Count") != 1.0 || len(waiter.Properties) > 0 {
				t.Errorf("%s waits by %v and %v", waiter.ID, waiter.CreationPolicy, waiter.Properties)
			}
			// Matomo needs its address and its disk before it can signal.
			want := []string{"AddressOfServer"}
			if kind == settings.DatabaseLocal {
				want = append(want, "VolumeOfServer")
			}
			if !slices.Equal(waiter.DependsOn, want) {
				t.Errorf("%s comes after %v, want %v", waiter.ID, waiter.DependsOn, want)
			}
			if server := t.one("app.Server"); server.CreationPolicy != nil {
				t.Errorf("the server waits for itself: %v", server.CreationPolicy)
			}
			if script := t.scripts()["ServerTemplate"]; !strings.Contains(script, "resource: "+waiter.ID+"\n") {
				t.Errorf("the server does not signal %s:\n%s", waiter.ID, script)
			}
		})
	}
}

// A wait condition waits only when it is made: it must be another one exactly
// when the server is.
func TestReady(t *testing.T) {
	look := func(change func(*settings.Settings)) (waiter, template string) {
		s := chosen(t, settings.Single, value{"database.kind", settings.DatabaseRDS})
		change(&s)
		tr := try(t, s)
		waiter = tr.some("AWS::CloudFormation::WaitCondition")[0].ID
		// The name of what waits is itself in user data.
		data, _ := tr.one("app.ServerTemplate").at("LaunchTemplateData").(map[string]any)
		data["UserData"] = strings.ReplaceAll(tr.scripts()["ServerTemplate"], waiter, "")
		return waiter, inJSON(data)
	}
	waiter, template := look(func(*settings.Settings) {})
	for name, change := range map[string]func(*settings.Settings){
		"image":     func(s *settings.Settings) { s.Instance.Image = "ami-0fedcba9876543210" },
		"type":      func(s *settings.Settings) { s.Instance.Type = "t4g.medium" },
		"disk":      func(s *settings.Settings) { s.Instance.Disk++ },
		"detailed":  func(s *settings.Settings) { s.Monitoring.Detailed = false },
		"release":   func(s *settings.Settings) { s.Release = "5.4.0" },
		"domain":    func(s *settings.Settings) { s.Domain = "www.example.org" },
		"tags":      func(s *settings.Settings) { s.Tags = []settings.Tag{{Key: "Owner", Value: "web"}} },
		"admins":    func(s *settings.Settings) { s.AdminNetworks = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} },
		"alarms":    func(s *settings.Settings) { s.Monitoring.Alarms = false },
		"dashboard": func(s *settings.Settings) { s.Monitoring.Dashboard = false },
		"zone":      func(s *settings.Settings) { s.Zone = "" },
		"budget":    func(s *settings.Settings) { s.Budget++ },
		"database":  func(s *settings.Settings) { s.Database.Class = "db.t4g.small" },
	} {
		waiterNow, templateNow := look(change)
		if (waiterNow != waiter) != (templateNow != template) {
			t.Errorf("%s: the server is another one: %v; what waits for it is another one: %v", name, templateNow != template, waiterNow != waiter)
		}
	}
}

func TestNoPublicAddress(t *testing.T) {
	balanced(t, func(t trial) {
		for _, r := range t.some("AWS::AutoScaling::AutoScalingGroup") {
			t.wants(r, "VPCZoneIdentifier", "["+later(Base, "AppSubnetA")+","+later(Base, "AppSubnetB")+"]")
		}
		for _, r := range t.of("AWS::EC2::EIP") {
			if !strings.HasPrefix(r.ID, "NatAddress") {
				t.Errorf("%s is a public address that is not of a NAT gateway", r.ID)
			}
		}
	})
	everyProfile(t, func(t trial) {
		for _, r := range t.some("AWS::EC2::Subnet") {
			t.wants(r, "MapPublicIpOnLaunch", "false")
		}
	})
}

// opened are the ports that a security group lets in, as "443-443 from X".
func (t trial) opened(group string) []string {
	var all []string
	add := func(rule any) {
		from := at(rule, "SourceSecurityGroupId/Ref")
		for _, key := range []string{"CidrIp", "CidrIpv6", "SourcePrefixListId"} {
			if network := at(rule, key); network != nil {
				from = network
			}
		}
		all = append(all, inJSON(at(rule, "FromPort"))+"-"+inJSON(at(rule, "ToPort"))+" from "+inJSON(from))
	}
	for _, rule := range t.one("base." + group).list("SecurityGroupIngress") {
		add(rule)
	}
	for _, r := range t.of("AWS::EC2::SecurityGroupIngress") {
		if r.at("GroupId/Ref") == group {
			add(any(r.Properties))
		}
	}
	slices.Sort(all)
	return all
}

func TestOnlyTheLoadBalancerReachesInstances(t *testing.T) {
	balanced(t, func(t trial) {
		want := []string{`22-22 from "ConnectGroup"`, `443-443 from "LoadBalancerGroup"`}
		if got := t.opened("WebGroup"); !slices.Equal(got, want) {
			t.Errorf("instances hear %v, want %v", got, want)
		}
	})
}

func TestLoadBalancer(t *testing.T) {
	balanced(t, func(t trial) {
		r := t.one("app.LoadBalancer")
		attributes := map[string]any{}
		for _, a := range r.list("LoadBalancerAttributes") {
			attributes[at(a, "Key").(string)] = at(a, "Value")
		}
		for key, want := range map[string]any{
			"deletion_protection.enabled":                     "true",
			"access_logs.s3.enabled":                          "true",
			"access_logs.s3.prefix":                           "load-balancer",
			"routing.http.drop_invalid_header_fields.enabled": "true",
			"routing.http.desync_mitigation_mode":             "strictest",
			"routing.http2.enabled":                           "true",
			"waf.fail_open.enabled":                           "false",
		} {
			if attributes[key] != want {
				t.Errorf("%s is %v, want %v", key, attributes[key], want)
			}
		}
		t.wants(r, "SecurityGroups", "["+later(Base, "LoadBalancerGroup")+"]")
		t.wants(r, "Subnets", "["+later(Base, "EdgeSubnetA")+","+later(Base, "EdgeSubnetB")+"]")

		for _, listener := range t.some("AWS::ElasticLoadBalancingV2::Listener") {
			switch listener.at("Port") {
			case 443.0:
				t.wants(listener, "Protocol", `"HTTPS"`)
				t.wants(listener, "SslPolicy", `"ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09"`)
				t.wants(listener, "DefaultActions/0/Type", `"fixed-response"`)
				t.wants(listener, "DefaultActions/0/FixedResponseConfig/StatusCode", `"421"`)
			case 80.0:
				t.wants(listener, "DefaultActions/0/Type", `"redirect"`)
				t.wants(listener, "DefaultActions/0/RedirectConfig/Protocol", `"HTTPS"`)
				t.wants(listener, "DefaultActions/0/RedirectConfig/Host", `"stats.example.org"`)
			default:
				t.Errorf("%s listens on %v", listener.ID, listener.at("Port"))
			}
			t.wants(listener, "DefaultActions/1", "null")
		}
		for _, rule := range t.some("AWS::ElasticLoadBalancingV2::ListenerRule") {
			t.wants(rule, "ListenerArn/Ref", `"Https"`)
			t.wants(rule, "Conditions/0/Field", `"host-header"`)
			t.wants(rule, "Conditions/0/HostHeaderConfig/Values", `["stats.example.org"]`)
			values := 1 + len(rule.list("Conditions/1/PathPatternConfig/Values"))
			if values > 5 {
				t.Errorf("%s has %d values, and Elastic Load Balancing takes 5", rule.ID, values)
			}
		}
	})
}

// An instance that says "upgrade me" or has lost its database must not be
// killed for it: that would go on with the next one.
func TestHealth(t *testing.T) {
	balanced(t, func(t trial) {
		for _, r := range t.some("AWS::ElasticLoadBalancingV2::TargetGroup") {
			t.wants(r, "Protocol", `"HTTPS"`)
			t.wants(r, "Port", "443")
			t.wants(r, "HealthCheckProtocol", `"HTTPS"`)
			t.wants(r, "HealthCheckPath", `"/rocca-health"`)
			t.wants(r, "Matcher/HttpCode", `"200"`)
			t.wants(t.one("app."+strings.TrimSuffix(r.ID, "Targets")), "HealthCheckType", `"ELB"`)
		}
		for _, r := range t.some("AWS::AutoScaling::AutoScalingGroup") {
			// At least as long as CloudFormation waits for the first boot.
			if r.at("HealthCheckGracePeriod") != 2700.0 || at(r.CreationPolicy, "ResourceSignal/Timeout") != "PT45M" {
				t.Errorf("%s: grace of %v s, boot in %v", r.ID, r.at("HealthCheckGracePeriod"), at(r.CreationPolicy, "ResourceSignal/Timeout"))
			}
		}
	})
}

// Each profile has the groups of the table in docs/aws.md, and can replace their
// instances.
func TestGroups(t *testing.T) {
	for profile, want := range map[settings.Profile]map[string]string{
		settings.Standard: {"Servers": `"1" to "2", 1 stay`},
		settings.Scale:    {"Trackers": `"2" to "4", 2 stay`, "Interfaces": `"1" to "2", 1 stay`, "Worker": `"1" to "1", 0 stay`},
	} {
		got := map[string]string{}
		for _, r := range try(t, chosen(t, profile)).some("AWS::AutoScaling::AutoScalingGroup") {
			got[r.ID] = inJSON(r.at("MinSize")) + " to " + inJSON(r.at("MaxSize")) + ", " + inJSON(at(r.UpdatePolicy, "AutoScalingRollingUpdate/MinInstancesInService")) + " stay"
		}
		if inJSON(got) != inJSON(want) {
			t.Errorf("%s: %v, want %v", profile, got, want)
		}
	}
	s := chosen(t, settings.Scale)
	s.Instance.Trackers = 2
	if kept := at(try(t, s).one("app.Trackers").UpdatePolicy, "AutoScalingRollingUpdate/MinInstancesInService"); kept != 1.0 {
		t.Errorf("of two trackers, and no more, %v stay", kept)
	}
	if got := try(t, s).one("app.TrackersLoad").at("TargetTrackingConfiguration/TargetValue"); got != 50.0 {
		t.Errorf("trackers aim at %v %% of their processors", got)
	}
}

// rules of the firewall by name.
func (t trial) firewall() map[string]any {
	t.Helper()
	rules := map[string]any{}
	for _, rule := range t.one("app.Firewall").list("Rules") {
		rules[at(rule, "Name").(string)] = rule
	}
	return rules
}

const managed = "Statement/ManagedRuleGroupStatement/"

// The front decides which paths are for everybody; the firewall must spare
// these, and no other, from rules that take the address of a page for an attack.
func TestFirewallSparesTracking(t *testing.T) {
	balanced(t, func(t trial) {
		rules := t.firewall()
		spared := at(rules["Common"], managed+"ScopeDownStatement/NotStatement/Statement/RegexMatchStatement/RegexString")
		public := regexp.MustCompile(spared.(string))
		for _, rule := range front.Rules() {
			for _, path := range rule.Paths {
				if public.MatchString(path) != (rule.Audience == front.Public) {
					t.Errorf("%s (%s) is spared: %v", path, rule.Name, public.MatchString(path))
				}
			}
			if rule.Dir == "" {
				continue
			}
			stem := map[string]string{
				`container_[A-Za-z0-9_]+_preview`:          "container_AbC123_preview",
				`container_[A-Za-z0-9_]+|piwik|piwik\.min`: "piwik.min",
				"": "x",
			}[rule.Stem]
			if path := rule.Dir + stem + ".js"; public.MatchString(path) != (rule.Audience == front.Public) {
				t.Errorf("%s (%s) is spared: %v", path, rule.Name, public.MatchString(path))
			}
		}
		for _, path := range []string{"/js/../index.php", "/matomo.php/../index.php", "/matomo.php/index.php", "/MATOMO.PHP", "/js/tracker.php", "//matomo.php", "/js/container_/../x.js"} {
			if public.MatchString(path) {
				t.Errorf("%s is spared", path)
			}
		}
		if other := at(rules["Php"], managed+"ScopeDownStatement/NotStatement/Statement/RegexMatchStatement/RegexString"); other != spared {
			t.Errorf("the rules for PHP spare %v", other)
		}
		for _, everywhere := range []string{"Reputation", "KnownBadInputs"} {
			if spared := at(rules[everywhere], managed+"ScopeDownStatement"); spared != nil || at(rules[everywhere], managed+"Name") == nil {
				t.Errorf("%s is for %v", everywhere, spared)
			}
		}
		for name, rule := range rules {
			if at(rule, "OverrideAction/Count") != nil || at(rule, "Action/Count") != nil {
				t.Errorf("%s only counts", name)
			}
		}
	})
}

func TestFirewallRules(t *testing.T) {
	balanced(t, func(t trial) {
		rules := t.firewall()
		for name, group := range map[string]string{
			"Reputation": "AWSManagedRulesAmazonIpReputationList", "Common": "AWSManagedRulesCommonRuleSet",
			"KnownBadInputs": "AWSManagedRulesKnownBadInputsRuleSet", "Php": "AWSManagedRulesPHPRuleSet",
		} {
			if at(rules[name], managed+"Name") != group || at(rules[name], "OverrideAction/None") == nil {
				t.Errorf("%s is %v", name, rules[name])
			}
		}
		var counted []string
		for _, o := range at(rules["Common"], managed+"RuleActionOverrides").([]any) {
			counted = append(counted, at(o, "Name").(string))
		}
		if want := []string{"SizeRestrictions_QUERYSTRING", "SizeRestrictions_Cookie_HEADER", "SizeRestrictions_BODY", "SizeRestrictions_URIPATH", "CrossSiteScripting_BODY"}; !slices.Equal(counted, want) {
			t.Errorf("only counted: %v, want %v", counted, want)
		}
		// What is counted in bodies is refused after all, but for the tag manager.
		if label := at(rules["BodyScripts"], "Statement/AndStatement/Statements/0/LabelMatchStatement/Key"); label != "awswaf:managed:aws:core-rule-set:CrossSiteScripting_Body" || at(rules["BodyScripts"], "Action/Block") == nil {
			t.Errorf("scripts in bodies: %v", rules["BodyScripts"])
		}
		for name, want := range map[string]float64{"Rate": 2000, "LoginRate": 100} {
			if got := at(rules[name], "Statement/RateBasedStatement/Limit"); got != want || at(rules[name], "Action/Block") == nil {
				t.Errorf("%s: %v, want %v", name, got, want)
			}
		}
		if rules["Bots"] != nil || rules["Administrators"] != nil {
			t.Error("there are rules that nobody asked for")
		}
		logging := t.some("AWS::WAFv2::LoggingConfiguration")[0]
		t.wants(logging, "RedactedFields", `[{"QueryString":{}},{"SingleHeader":{"Name":"cookie"}},{"SingleHeader":{"Name":"authorization"}}]`)
		t.wants(logging, "LoggingFilter/DefaultBehavior", `"DROP"`)
		t.wants(t.one("app.FirewallLog"), "LogGroupName", `"aws-waf-logs-stats"`)
		t.wants(t.some("AWS::WAFv2::WebACLAssociation")[0], "ResourceArn/Ref", `"LoadBalancer"`)
	})
}

func TestFirewallOptions(t *testing.T) {
	s := chosen(t, settings.Standard)
	s.Firewall.Bots = true
	s.AdminNetworks = []netip.Prefix{netip.MustParsePrefix("192.0.2.7/24"), netip.MustParsePrefix("2001:db8::/32")}
	tr := try(t, s)
	rules := tr.firewall()
	if at(rules["Bots"], managed+"Name") != "AWSManagedRulesBotControlRuleSet" {
		t.Errorf("bots: %v", rules["Bots"])
	}
	tr.wants(tr.one("app.AdministratorsIPV4"), "Addresses", `["192.0.2.0/24"]`)
	tr.wants(tr.one("app.AdministratorsIPV6"), "Addresses", `["2001:db8::/32"]`)
	both := "Statement/AndStatement/Statements/"
	path := at(rules["Administrators"], both+"0/NotStatement/Statement/RegexMatchStatement/RegexString")
	sets := at(rules["Administrators"], both+"1/NotStatement/Statement/OrStatement/Statements")
	if path != publicPaths || inJSON(sets) != `[{"IPSetReferenceStatement":{"Arn":{"Fn::GetAtt":["AdministratorsIPV4","Arn"]}}},{"IPSetReferenceStatement":{"Arn":{"Fn::GetAtt":["AdministratorsIPV6","Arn"]}}}]` || at(rules["Administrators"], "Action/Block") == nil {
		t.Errorf("administrators: %v", rules["Administrators"])
	}
}

// Hits of the paths that trackers get must reach them, and nothing else.
func TestScaleRoutes(t *testing.T) {
	tr := try(t, chosen(t, settings.Scale))
	got := map[string]string{}
	for _, rule := range tr.some("AWS::ElasticLoadBalancingV2::ListenerRule") {
		to, _ := rule.at("Actions/0/TargetGroupArn/Ref").(string)
		paths := rule.list("Conditions/1/PathPatternConfig/Values")
		if paths == nil {
			got["else"] = to
		}
		for _, one := range paths {
			got[one.(string)] = to
		}
	}
	if got["else"] != "InterfacesTargets" {
		t.Errorf("all else goes to %s", got["else"])
	}
	delete(got, "else")
	// What only a front with the tracker's role knows goes to trackers, and
	// nothing that only one with the user interface knows.
	tracked := func(asked string) bool {
		for pattern, to := range got {
			if matched, err := path.Match(pattern, asked); err == nil && matched && to == "TrackersTargets" {
				return true
			}
		}
		return false
	}
	for _, rule := range front.Rules() {
		asked := rule.Paths
		if rule.Dir != "" {
			asked = append(asked, rule.Dir+"x.js")
		}
		for _, one := range asked {
			if pool := cmp.Or(rule.Of, rule.Pool); pool == front.PoolTracker && !tracked(one) || pool == front.PoolUI && tracked(one) {
				t.Errorf("%s of the %s goes to the wrong servers: %v", one, pool, got)
			}
		}
	}
}

func TestCertificateAndNames(t *testing.T) {
	const own = "arn:aws:acm:eu-central-1:123456789012:certificate/01234567-89ab-cdef-0123-456789abcdef"
	for name, c := range map[string]struct {
		change      func(*settings.Settings)
		names       int
		certificate string
		validation  string
	}{
		"zone":              {func(*settings.Settings) {}, 2, `{"Ref":"Certificate"}`, `[{"DomainName":"stats.example.org","HostedZoneId":"Z0123456789ABCDEFGHIJ"}]`},
		"no zone":           {func(s *settings.Settings) { s.Zone = "" }, 0, `{"Ref":"Certificate"}`, "null"},
		"own certificate":   {func(s *settings.Settings) { s.TLS.Certificate = own }, 1, inJSON(own), ""},
		"own, without zone": {func(s *settings.Settings) { s.TLS.Certificate, s.Zone = own, "" }, 0, inJSON(own), ""},
	} {
		t.Run(name, func(top *testing.T) {
			s := chosen(t, settings.Standard)
			c.change(&s)
			t := try(top, s)
			if got := len(t.of("AWS::Route53::RecordSet")); got != c.names {
				t.Errorf("%d records, want %d", got, c.names)
			}
			t.wants(t.one("app.Https"), "Certificates/0/CertificateArn", c.certificate)
			t.wants(t.one("app.CertificateAlarm"), "Dimensions/0/Value", c.certificate)
			if c.validation == "" {
				if t.has("app.Certificate") {
					t.Error("there are two certificates")
				}
				return
			}
			t.wants(t.one("app.Certificate"), "ValidationMethod", `"DNS"`)
			t.wants(t.one("app.Certificate"), "DomainValidationOptions", c.validation)
		})
	}
	single := try(t, chosen(t, settings.Single))
	single.wants(single.one("app.Name"), "ResourceRecords", `[{"Ref":"Address"}]`)
	single.wants(single.one("app.Authorities"), "ResourceRecords/0", `"0 issue \"letsencrypt.org\""`)
}

func TestAlarms(t *testing.T) {
	everyProfile(t, func(t trial) {
		t.wants(t.one("app.Topic"), "Value", later(Base, "Topic"))
		topic := map[string]string{Data: later(Base, "Topic"), App: `{"Fn::GetAtt":["Topic","Value"]}`}
		for _, r := range t.some("AWS::CloudWatch::Alarm") {
			if topic[r.Stack] == "" {
				continue
			}
			t.wants(r, "AlarmActions", "["+topic[r.Stack]+"]")
			t.wants(r, "OKActions", "["+topic[r.Stack]+"]")
			about := len(r.list("Dimensions")) > 0 || text(r.at("Namespace")) == ownMetrics
			if r.at("AlarmDescription") == nil || !about {
				t.Errorf("%s says nothing, or is about nothing", r.ID)
			}
		}
	})
	core := []string{"CPUUtilization", "CPUCreditBalance", "TrackerAnswers"}
	edge := append(slices.Clone(core), "HealthyHostCount", "UnHealthyHostCount", "TargetResponseTime", "HTTPCode_Target_5XX_Count", "HTTPCode_ELB_5XX_Count", "DaysToExpiry", "BlockedRequests")
	for profile, want := range map[settings.Profile][]string{
		settings.Single:   append(slices.Clone(core), "StatusCheckFailed"),
		settings.Standard: edge,
		settings.Scale:    edge,
	} {
		var got []string
		for _, r := range try(t, chosen(t, profile)).of("AWS::CloudWatch::Alarm") {
			if r.Stack == App {
				got = append(got, r.at("MetricName").(string))
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		if got = slices.Compact(got); !slices.Equal(got, want) {
			t.Errorf("%s: alarms on %v, want %v", profile, got, want)
		}
	}
}

// ownMetrics is the namespace of what instances tell of themselves, the only one
// that their role may write.
const ownMetrics = "rocca/stats"

// TestOwnAlarms holds the alarms on what instances tell against what they send.
func TestOwnAlarms(t *testing.T) {
	everyProfile(t, func(t trial) {
		if rights := inJSON(t.one("base.HostPolicy").Properties); !strings.Contains(rights, `{"cloudwatch:namespace":"`+ownMetrics+`"}`) {
			t.Errorf("instances may not send %s: %s", ownMetrics, rights)
		}
		for id, properties := range map[string]map[string]string{
			"watch.DiskAlarm":   {"MetricName": `"DiskUsed"`, "Statistic": `"Maximum"`, "Threshold": "85", "EvaluationPeriods": "1", "TreatMissingData": `"notBreaching"`},
			"watch.MemoryAlarm": {"MetricName": `"MemoryUsed"`, "Statistic": `"Maximum"`, "Threshold": "90", "EvaluationPeriods": "3", "TreatMissingData": `"notBreaching"`},
			// Silence is a failure, too.
			"app.TrackerAlarm": {"MetricName": `"TrackerAnswers"`, "Statistic": `"Minimum"`, "Threshold": "1", "EvaluationPeriods": "2", "ComparisonOperator": `"LessThanThreshold"`, "TreatMissingData": `"breaching"`},
		} {
			r := t.one(id)
			properties["Namespace"], properties["Period"] = `"`+ownMetrics+`"`, "300"
			for key, want := range properties {
				t.wants(r, key, want)
			}
			if len(r.list("Dimensions")) > 0 {
				t.Errorf("%s asks for dimensions, and instances send none", id)
			}
			if sends := t.repository(".go")["internal/aws/instance/report/metrics.go"]; !strings.Contains(sends, " = "+properties["MetricName"]) {
				t.Errorf("%s waits for %s, which no instance sends", id, properties["MetricName"])
			}
		}
		// Who begins to wait before anybody can tell hears of a failure that is none.
		waits := t.one("app.TrackerAlarm").DependsOn
		if len(waits) != 1 || t.one("app."+waits[0]).CreationPolicy == nil {
			t.Errorf("the alarm on the tracker waits for %q", waits)
		}
		t.reports()
	})
}

func TestMonitoringOff(t *testing.T) {
	for _, profile := range []settings.Profile{settings.Single, settings.Standard, settings.Scale} {
		s := chosen(t, profile)
		s.Monitoring.Alarms, s.Monitoring.Dashboard, s.Monitoring.Detailed = false, false, false
		tr := try(t, s)
		for _, r := range append(tr.of("AWS::CloudWatch::Alarm"), tr.of("AWS::CloudWatch::Dashboard")...) {
			if r.Stack == Data || r.Stack == App {
				t.Errorf("%s: there is %s", profile, r.ID)
			}
		}
		for _, r := range tr.some("AWS::EC2::LaunchTemplate") {
			tr.wants(r, "LaunchTemplateData/Monitoring/Enabled", "false")
		}
	}
}

// mostReferences is how many dynamic references CloudFormation resolves for one
// template.
const mostReferences = 60

// Who deploys by cdk renders without knowing what the stacks before have made.
func TestReferencesAreFew(t *testing.T) {
	for _, s := range append([]settings.Settings{largest(t)}, chosen(t, settings.Single), chosen(t, settings.Standard)) {
		for _, one := range rendered(t, s).Stacks {
			if found := strings.Count(string(pretty(t, one)), "{{resolve:"); found > mostReferences {
				t.Errorf("%s has %d references, and CloudFormation resolves %d", one.Name, found, mostReferences)
			}
		}
	}
}

// rocca aws deploy knows what the stacks before have made: then nothing is left
// to be looked up but secrets, which must not be known.
func TestKnownIsConcrete(t *testing.T) {
	s := chosen(t, settings.Scale)
	known := Known{Account: "123456789012", Physical: map[string]string{}}
	for key := range try(t, s).outputs {
		known.Physical[key] = "known-" + strings.ToLower(strings.ReplaceAll(key, ".", "-"))
	}
	for _, secret := range []string{"Secret", "MasterSecret"} {
		known.Physical["data."+secret] = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:" + secret + "-AbCdEf"
	}
	set, err := Render(s, known)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range set.Stacks {
		if text := string(pretty(t, one)); strings.Contains(text, "{{resolve:ssm:") {
			t.Errorf("%s looks up %s", one.Name, regexp.MustCompile(`\{\{resolve:ssm:[^}]*`).FindString(text))
		}
	}
}
