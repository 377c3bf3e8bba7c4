package stack

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"rocca/internal/aws/settings"
)

// everyVariant calls a test with every profile, and with all that golden tests
// set.
func everyVariant(t *testing.T, test func(trial)) {
	everyProfile(t, test)
	for _, v := range variants {
		t.Run(string(v.profile)+"-"+v.set[0].key, func(t *testing.T) { test(try(t, wanted(t, v.profile, v.set...))) })
	}
	t.Run("largest", func(t *testing.T) { test(try(t, largest(t))) })
}

var lookup = regexp.MustCompile(`\{\{resolve:ssm:/rocca/([a-z0-9-]+)/([a-z]+)/([A-Za-z0-9]+)\}\}`)

// TestLookupsFindSomething holds what a stack takes from another to what that
// gives, and to the order in which they are deployed.
func TestLookupsFindSomething(t *testing.T) {
	everyVariant(t, func(t trial) {
		for _, r := range t.made {
			for _, match := range lookup.FindAllStringSubmatch(inJSON([]any{r.Properties, r.CreationPolicy, r.UpdatePolicy}), -1) {
				role, key := match[2], match[3]
				if _, given := t.outputs[role+"."+key]; !given {
					t.Errorf("%s.%s takes %s from %s, which does not give it", r.Stack, r.ID, key, role)
				}
				// User data is read by the instance, when all is there.
				if slices.Index(Roles(), role) >= slices.Index(Roles(), r.Stack) && !strings.HasSuffix(r.ID, "Template") {
					t.Errorf("%s.%s takes %s from %s, which is deployed later", r.Stack, r.ID, key, role)
				}
			}
		}
	})
}

// TestLookupsArePublished finds each output, but those of app, as the parameter
// that lookups name.
func TestLookupsArePublished(t *testing.T) {
	everyProfile(t, func(t trial) {
		names := map[string]string{}
		for _, r := range t.some("AWS::SSM::Parameter") {
			name, _ := r.at("Name").(string)
			names[name] = inJSON(r.at("Value"))
		}
		for key, value := range t.outputs {
			role, output, _ := strings.Cut(key, ".")
			if got := names[Parameter("stats", role, output)]; role != App && got != inJSON(value) {
				t.Errorf("the parameter of %s is %s, want %s", key, got, inJSON(value))
			}
		}
	})
}

func TestBuckets(t *testing.T) {
	everyProfile(t, func(t trial) {
		policies := map[string]made{}
		for _, r := range t.some("AWS::S3::BucketPolicy") {
			bucket, _ := r.at("Bucket/Ref").(string)
			policies[bucket] = r
		}
		for _, r := range t.some("AWS::S3::Bucket") {
			t.wants(r, "PublicAccessBlockConfiguration", `{"BlockPublicAcls":true,"BlockPublicPolicy":true,"IgnorePublicAcls":true,"RestrictPublicBuckets":true}`)
			t.wants(r, "OwnershipControls/Rules/0/ObjectOwnership", `"BucketOwnerEnforced"`)
			t.wants(r, "VersioningConfiguration/Status", `"Enabled"`)
			if r.DeletionPolicy != "RetainExceptOnCreate" || r.UpdateReplacePolicy != "Retain" {
				t.Errorf("%s is deleted with %q, replaced with %q", r.ID, r.DeletionPolicy, r.UpdateReplacePolicy)
			}
			if len(r.list("LifecycleConfiguration/Rules")) == 0 {
				t.Errorf("%s grows for ever", r.ID)
			}
			// What is written by services that know SSE-S3 only, and read without a signature.
			cipher := `"aws:kms"`
			if r.ID == "LogBucket" || r.ID == "ArtefactBucket" {
				cipher = `"AES256"`
			}
			t.wants(r, "BucketEncryption/ServerSideEncryptionConfiguration/0/ServerSideEncryptionByDefault/SSEAlgorithm", cipher)
			if r.ID != "LogBucket" && r.at("LoggingConfiguration/DestinationBucketName") == nil {
				t.Errorf("nobody knows who reads %s", r.ID)
			}
			if r.ID == "EvidenceBucket" || r.ID == "TrailBucket" {
				t.wants(r, "ObjectLockConfiguration/Rule/DefaultRetention", `{"Days":365,"Mode":"GOVERNANCE"}`)
			}
			policy := policies[r.ID]
			t.wants(policy, "PolicyDocument/Statement/0/Effect", `"Deny"`)
			t.wants(policy, "PolicyDocument/Statement/0/Principal", `"*"`)
			t.wants(policy, "PolicyDocument/Statement/0/Action", `"s3:*"`)
			t.wants(policy, "PolicyDocument/Statement/0/Condition", `{"Bool":{"aws:SecureTransport":"false"}}`)
			for _, statement := range policy.list("PolicyDocument/Statement") {
				if at(statement, "Effect") == "Allow" && at(statement, "Principal") == "*" && at(statement, "Condition/StringEquals/aws:SourceVpce") == nil {
					t.Errorf("%s is open to the world: %s", r.ID, inJSON(statement))
				}
			}
		}
	})
}

// TestWorldReachesTheEdgeOnly lists everything that the world may call.
func TestWorldReachesTheEdgeOnly(t *testing.T) {
	for profile, want := range map[settings.Profile][]string{
		settings.Single:   {"TransitGroup -1 <nil>", "WebGroup tcp 443", "WebGroup tcp 80"},
		settings.Standard: {"LoadBalancerGroup tcp 443", "LoadBalancerGroup tcp 80", "TransitGroup -1 <nil>"},
		settings.Scale:    {"LoadBalancerGroup tcp 443", "LoadBalancerGroup tcp 80", "TransitGroup -1 <nil>"},
	} {
		tr := try(t, chosen(t, profile))
		var got []string
		for _, r := range tr.some("AWS::EC2::SecurityGroup") {
			for _, rule := range r.list("SecurityGroupIngress") {
				got = append(got, strings.Join([]string{r.ID, text(at(rule, "IpProtocol")), text(at(rule, "FromPort"))}, " "))
				if at(rule, "CidrIp") != "0.0.0.0/0" || text(at(rule, "FromPort")) != text(at(rule, "ToPort")) {
					t.Errorf("%s: %s has %s", profile, r.ID, inJSON(rule))
				}
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: the world reaches %q, want %q", profile, got, want)
		}
		for _, r := range tr.some("AWS::EC2::SecurityGroupIngress") {
			if r.at("SourceSecurityGroupId") == nil {
				t.Errorf("%s: %s lets in %s", profile, r.ID, inJSON(r.Properties))
			}
		}
	}
}

// text is a value in a word: a number without its point.
func text(value any) string {
	if word, ok := value.(string); ok {
		return word
	}
	if value == nil {
		return "<nil>"
	}
	return inJSON(value)
}

// TestGroupsMeet finds, for each rule of one group about another, the rule of
// the other about it: what may call is heard, and nobody else.
func TestGroupsMeet(t *testing.T) {
	everyProfile(t, func(t trial) {
		calls := map[string]bool{}
		for _, r := range t.of("AWS::EC2::SecurityGroupEgress") {
			calls[text(r.at("GroupId/Ref"))+" "+text(r.at("DestinationSecurityGroupId/Ref"))+" "+text(r.at("FromPort"))] = true
		}
		calls["WebGroup EndpointGroup 443"] = true // part of: HTTPS to everywhere
		hears := map[string]bool{"WebGroup EndpointGroup 443": true}
		for _, r := range t.of("AWS::EC2::SecurityGroupIngress") {
			hears[text(r.at("SourceSecurityGroupId/Ref"))+" "+text(r.at("GroupId/Ref"))+" "+text(r.at("FromPort"))] = true
		}
		if !maps.Equal(calls, hears) {
			t.Errorf("groups call %v and hear %v", calls, hears)
		}
	})
}

// TestPacketFilters asks what the world may send to a subnet, by the rules in
// the order of their numbers.
func TestPacketFilters(t *testing.T) {
	everyProfile(t, func(t trial) {
		admits := func(filter string, port float64) bool {
			for _, r := range t.some("AWS::EC2::NetworkAclEntry") {
				from, to := r.at("PortRange/From"), r.at("PortRange/To")
				if r.at("NetworkAclId/Ref") == filter && r.at("Egress") == nil && r.at("CidrBlock") == "0.0.0.0/0" && r.at("Protocol") == 6.0 && from.(float64) <= port && port <= to.(float64) {
					return r.at("RuleAction") == "allow"
				}
			}
			return false
		}
		for port, want := range map[float64]bool{22: false, 3389: false, 25: false, 80: true, 443: true, 40000: true} {
			if got := admits("Filter", port); got != want {
				t.Errorf("the world may send to port %v: %v, want %v", port, got, want)
			}
			if admits("DataFilter", port) {
				t.Errorf("the world may send to port %v of data", port)
			}
		}
		numbers := map[string]bool{}
		for _, r := range t.some("AWS::EC2::NetworkAclEntry") {
			number := inJSON([]any{r.at("NetworkAclId"), r.at("Egress"), r.at("RuleNumber")})
			if numbers[number] {
				t.Errorf("%s has the number of another rule", r.ID)
			}
			numbers[number] = true
		}
		for _, zone := range []string{"A", "B"} {
			t.wants(t.one("base.DataFilter"+zone), "NetworkAclId/Ref", `"DataFilter"`)
			t.wants(t.one("base.DataRouting"+zone), "RouteTableId/Ref", `"DataRoutes"`)
			t.wants(t.one("base.EdgeFilter"+zone), "NetworkAclId/Ref", `"Filter"`)
		}
	})
}

// TestHostRole lists every right of the instances.
func TestHostRole(t *testing.T) {
	everyProfile(t, func(t trial) {
		if got := inJSON(t.one("base.HostRole").at("ManagedPolicyArns")); got != "null" {
			t.Errorf("the role has managed policies, too: %s", got)
		}
		got := map[string]string{}
		for _, statement := range t.one("base.HostPolicy").list("PolicyDocument/Statement") {
			actions, many := at(statement, "Action").([]any)
			if !many {
				actions = []any{at(statement, "Action")}
			}
			for _, action := range actions {
				got[text(action)] = inJSON(at(statement, "Resource"))
				if at(statement, "Condition") != nil {
					got[text(action)] += " if " + inJSON(at(statement, "Condition"))
				}
			}
		}
		arn := func(rest string) string { return `{"Fn::Sub":"arn:${AWS::Partition}:` + rest + `"}` }
		logs := `[{"Fn::GetAtt":["InstanceLogs","Arn"]},{"Fn::GetAtt":["SessionLogs","Arn"]}]`
		want := map[string]string{
			"secretsmanager:GetSecretValue": arn("secretsmanager:eu-central-1:${AWS::AccountId}:secret:rocca/stats/app-??????"),
			"kms:Decrypt": `{"Fn::GetAtt":["Key","Arn"]} if {"StringEquals":{"kms:ViaService":"secretsmanager.eu-central-1.amazonaws.com"},"StringLike":{"kms:EncryptionContext:SecretARN":` +
				arn("secretsmanager:eu-central-1:${AWS::AccountId}:secret:rocca/stats/app-??????") + `}}`,
			"ssm:GetParameter":                 arn("ssm:eu-central-1:${AWS::AccountId}:parameter/rocca/stats/*"),
			"cloudformation:SignalResource":    arn("cloudformation:eu-central-1:${AWS::AccountId}:stack/stats-app/*"),
			"logs:CreateLogStream":             logs,
			"logs:DescribeLogStreams":          logs,
			"logs:PutLogEvents":                logs,
			"logs:DescribeLogGroups":           arn("logs:eu-central-1:${AWS::AccountId}:log-group:*"),
			"cloudwatch:PutMetricData":         `"*" if {"StringEquals":{"cloudwatch:namespace":"rocca/stats"}}`,
			"ssm:ListAssociations":             `"*"`,
			"ssm:ListInstanceAssociations":     `"*"`,
			"ssm:UpdateInstanceInformation":    `"*"`,
			"ssmmessages:CreateControlChannel": `"*"`,
			"ssmmessages:CreateDataChannel":    `"*"`,
			"ssmmessages:OpenControlChannel":   `"*"`,
			"ssmmessages:OpenDataChannel":      `"*"`,
		}
		for _, action := range slices.Sorted(maps.Keys(got)) {
			if got[action] != want[action] {
				t.Errorf("%s: %s\nwant %s", action, got[action], want[action])
			}
		}
		if len(got) != len(want) {
			t.Errorf("%d actions, want %d", len(got), len(want))
		}
	})
}

// TestKeyPolicies looks for statements that let in more than one service for us.
func TestKeyPolicies(t *testing.T) {
	everyProfile(t, func(t trial) {
		for _, r := range t.some("AWS::KMS::Key") {
			t.wants(r, "EnableKeyRotation", "true")
			if r.DeletionPolicy != "RetainExceptOnCreate" {
				t.Errorf("%s goes with its stack, and all that it has encrypted", r.ID)
			}
			for _, statement := range r.list("KeyPolicy/Statement") {
				sid, principal := text(at(statement, "Sid")), inJSON(at(statement, "Principal"))
				all := at(statement, "Action") == "kms:*"
				if all != (sid == "Account") || all && principal != `{"AWS":{"Fn::Sub":"arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}}` {
					t.Errorf("%s: %s may do everything", r.ID, principal)
				}
				if sid != "Account" && sid != "EventsIntoTopic" && at(statement, "Condition") == nil {
					t.Errorf("%s: %s has no condition", r.ID, sid)
				}
				if principal == `{"AWS":"*"}` && inJSON(at(statement, "Condition/StringEquals/kms:CallerAccount")) != `{"Ref":"AWS::AccountId"}` {
					t.Errorf("%s: %s is open to other accounts", r.ID, sid)
				}
			}
		}
	})
}

// TestLogGroupsMayUseTheirKey: CloudWatch Logs refuses a group whose key does
// not name it.
func TestLogGroupsMayUseTheirKey(t *testing.T) {
	everyProfile(t, func(t trial) {
		key := text(at(t.outputs["base.LogKey"], "Fn::GetAtt/0"))
		var patterns []string
		for _, statement := range t.one("base." + key).list("KeyPolicy/Statement") {
			if at(statement, "Sid") == "OwnLogGroups" {
				for _, arn := range at(statement, "Condition/ArnLike/kms:EncryptionContext:aws:logs:arn").([]any) {
					_, pattern, _ := strings.Cut(text(at(arn, "Fn::Sub")), ":log-group:")
					patterns = append(patterns, strings.TrimSuffix(pattern, "*"))
				}
			}
		}
		for _, r := range t.some("AWS::Logs::LogGroup") {
			if r.Stack == Base {
				t.wants(r, "KmsKeyId", inJSON(t.outputs["base.LogKey"]))
			} else {
				t.wants(r, "KmsKeyId", later(Base, "LogKey"))
			}
			name := "stats-" + r.Stack + "-" + r.ID + "-0123456789AB" // as CloudFormation makes them
			if given, ok := r.at("LogGroupName").(string); ok {
				name = given
			}
			if !slices.ContainsFunc(patterns, func(pattern string) bool { return strings.HasPrefix(name, pattern) }) {
				t.Errorf("%s.%s is called %s, and its key is for %q", r.Stack, r.ID, name, patterns)
			}
			if days, _ := r.at("RetentionInDays").(float64); days < 1 {
				t.Errorf("%s.%s is kept for ever", r.Stack, r.ID)
			}
		}
	})
}

// TestEndpointPolicies: what is stolen elsewhere cannot be used from here, and
// what is here cannot be carried into buckets of others.
func TestEndpointPolicies(t *testing.T) {
	tr := try(t, chosen(t, settings.Scale))
	var services []string
	for _, r := range tr.some("AWS::EC2::VPCEndpoint") {
		services = append(services, strings.TrimPrefix(text(r.at("ServiceName")), "com.amazonaws.eu-central-1."))
		for _, statement := range r.list("PolicyDocument/Statement") {
			if strings.Contains(inJSON(at(statement, "Action")), `"*"`) || r.ID == "S3Endpoint" && at(statement, "Resource") == "*" {
				t.Errorf("%s lets through %s", r.ID, inJSON(statement))
			}
			if r.ID != "S3Endpoint" && inJSON(at(statement, "Condition")) != `{"ArnEquals":{"aws:PrincipalArn":{"Fn::GetAtt":["HostRole","Arn"]}}}` {
				t.Errorf("%s lets through others: %s", r.ID, inJSON(statement))
			}
		}
	}
	slices.Sort(services)
	if want := []string{"kms", "logs", "s3", "secretsmanager", "ssm", "ssmmessages"}; !slices.Equal(services, want) {
		t.Errorf("endpoints of %q, want %q", services, want)
	}
}

// TestWatchers finds an alarm, to the topic and back, on everything that is
// counted in the trail.
func TestWatchers(t *testing.T) {
	everyProfile(t, func(t trial) {
		counted := map[string]bool{}
		for _, r := range t.some("AWS::Logs::MetricFilter") {
			if r.Stack != Watch {
				continue
			}
			t.wants(r, "LogGroupName/Ref", `"TrailLogs"`)
			t.wants(r, "MetricTransformations/0/MetricNamespace", `"rocca-trail/stats"`)
			counted[text(r.at("MetricTransformations/0/MetricName"))] = true
		}
		alarms := 0
		for _, r := range t.some("AWS::CloudWatch::Alarm") {
			if r.Stack != Watch {
				continue
			}
			t.wants(r, "AlarmActions", "["+later(Base, "Topic")+"]")
			t.wants(r, "OKActions", "["+later(Base, "Topic")+"]")
			if text(r.at("Namespace")) == ownMetrics {
				continue // see TestOwnAlarms
			}
			alarms++
			if !counted[text(r.at("MetricName"))] {
				t.Errorf("%s waits for what nobody counts", r.ID)
			}
			t.wants(r, "Namespace", `"rocca-trail/stats"`)
		}
		if alarms != len(counted) || alarms != 8 {
			t.Errorf("%d alarms on %d counts, want 8", alarms, len(counted))
		}
		t.wants(t.one("watch.SecretReads"), "FilterPattern", inJSON(`{ $.eventName = "GetSecretValue" && ($.requestParameters.secretId = "*rocca/stats/*" || $.requestParameters.secretId = "*rds!db-*")`+
			` && ($.userIdentity.sessionContext.sessionIssuer.arn != "{{resolve:ssm:/rocca/stats/base/HostRoleArn}}" || $.userIdentity.sessionContext.sessionIssuer.arn NOT EXISTS) }`))
	})
}

// TestOrganizationTrail: with a trail elsewhere, the reading of our secret is
// still told.
func TestOrganizationTrail(t *testing.T) {
	tr := try(t, chosen(t, settings.Standard, value{"account.trail", false}))
	if len(tr.of("AWS::CloudTrail::Trail")) != 0 {
		t.Error("there is a trail")
	}
	rule := tr.one("watch.SecretRead")
	tr.wants(rule, "State", `"ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"`)
	tr.wants(rule, "Targets/0/Arn", later(Base, "Topic"))
}

func TestLookups(t *testing.T) {
	s := chosen(t, settings.Single, value{"network.egress", []string{"smtp.example.org", "stats.example.org"}})
	got := view{Settings: s}.Lookups()
	for _, name := range []string{"smtp.example.org", "downloads.example.org", "acme-v02.api.letsencrypt.org", "*.eu-central-1.amazonaws.com", "builds.matomo.org"} {
		if !slices.Contains(got, name) {
			t.Errorf("%s is missing in %q", name, got)
		}
	}
	if slices.Contains(got, "*.amazonaws.com") || slices.Contains(got, "*") {
		t.Errorf("%q has names that everybody can have", got)
	}
	if !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) {
		t.Errorf("%q is not sorted, or has a name twice", got)
	}
}
