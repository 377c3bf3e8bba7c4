package deploy

import (
	"slices"
	"testing"
	"time"

	"rocca/internal/aws/stack"
)

func TestSecurityRelevant(t *testing.T) {
	with := func(names ...string) stack.Resource {
		r := stack.Resource{Properties: map[string]any{}}
		for _, name := range names {
			r.Properties[name] = "x"
		}
		return r
	}
	for _, c := range []struct {
		action   Action
		kind     string
		changed  []string
		resource stack.Resource
		want     bool
	}{
		{Create, "AWS::IAM::Role", nil, with(), true},
		{Update, "AWS::IAM::Role", []string{"Tags"}, with(), true},
		{Update, "AWS::EC2::SecurityGroupIngress", []string{"CidrIp"}, with(), true},
		{Update, "AWS::EC2::NetworkAclEntry", []string{"CidrBlock"}, with(), true},
		{Update, "AWS::EC2::Subnet", []string{"Tags"}, with("MapPublicIpOnLaunch"), false},
		{Update, "AWS::EC2::Subnet", []string{"MapPublicIpOnLaunch"}, with(), true},
		{Create, "AWS::EC2::Subnet", nil, with("MapPublicIpOnLaunch"), true},
		{Create, "AWS::EC2::Subnet", nil, with("CidrBlock"), false},
		{Update, "AWS::RDS::DBInstance", []string{"DBInstanceClass"}, with("PubliclyAccessible"), false},
		{Update, "AWS::RDS::DBInstance", []string{"PubliclyAccessible"}, with(), true},
		{Update, "AWS::KMS::Key", []string{"KeyPolicy"}, with(), true},
		{Update, "AWS::S3::Bucket", []string{"LifecycleConfiguration"}, with(), false},
		{Remove, "AWS::S3::Bucket", nil, with(), true},
		{Update, "AWS::S3::BucketPolicy", []string{"PolicyDocument"}, with(), true},
		{Update, "AWS::WAFv2::WebACL", []string{"Rules"}, with(), true},
		{Create, "AWS::CloudWatch::Alarm", nil, with(), false},
	} {
		change := Change{Action: c.action, Type: c.kind}
		for _, name := range c.changed {
			change.Properties = append(change.Properties, Property{Name: name})
		}
		if got := securityRelevant(change, c.resource); got != c.want {
			t.Errorf("%s %s %v: %v", c.action, c.kind, c.changed, got)
		}
	}
}

func TestExposed(t *testing.T) {
	rule := func(protocol string, from, to any, cidr string) map[string]any {
		return map[string]any{"IpProtocol": protocol, "FromPort": from, "ToPort": to, "CidrIp": cidr}
	}
	group := func(rules ...any) stack.Resource {
		return stack.Resource{Type: "AWS::EC2::SecurityGroup", Properties: map[string]any{"SecurityGroupIngress": rules}}
	}
	for _, c := range []struct {
		resource stack.Resource
		want     []string
	}{
		{group(rule("tcp", 443, 443, "0.0.0.0/0"), rule("tcp", 22, 22, "192.0.2.0/24")), []string{"port 443 is open to everybody"}},
		{group(rule("tcp", float64(8000), 8100, "0.0.0.0/0")), []string{"ports 8000 to 8100 are open to everybody"}},
		{group(rule("-1", nil, nil, "0.0.0.0/0")), []string{"every port is open to everybody"}},
		{stack.Resource{Type: "AWS::EC2::SecurityGroupIngress", Properties: map[string]any{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIpv6": "::/0"}}, []string{"port 22 is open to everybody"}},
		{stack.Resource{Type: "AWS::RDS::DBInstance", Properties: map[string]any{"PubliclyAccessible": true}}, []string{"the database gets a public address"}},
		{stack.Resource{Type: "AWS::RDS::DBInstance", Properties: map[string]any{"PubliclyAccessible": false}}, nil},
	} {
		if got := exposed(c.resource); !slices.Equal(got, c.want) {
			t.Errorf("%v: %q, want %q", c.resource.Properties, got, c.want)
		}
	}
}

func TestHints(t *testing.T) {
	for reason, want := range map[string]string{
		"We currently do not have sufficient t4g.small capacity in the Availability Zone you requested":                                                   "AWS has none left in that zone now",
		"Your requested instance type (t4g.small) is not supported in your requested Availability Zone (us-east-1e).":                                     "name other network.zones",
		"The maximum number of VPCs has been reached.":                                                                                                    "a quota of the account",
		"Cannot find version 8.4.99 for mysql":                                                                                                            "RDS does not offer that version",
		"User: arn:aws:iam::123456789012:user/kim is not authorized to perform: ec2:CreateVpc":                                                            "the credentials lack a right",
		"Received 0 SUCCESS signal(s) out of 1. Unable to satisfy 100% MinSuccessfulInstancesPercent requirement; failed to receive 1 resource signal(s)": "the instance did not say in time",
		"Resource handler returned message: \"shop-host already exists\"":                                                                                 "something of that name",
		"Internal failure": "",
	} {
		if got := hintOf(reason); want == "" && got != "" || len(got) < len(want) || got[:len(want)] != want {
			t.Errorf("%s: %q, want %q", reason, got, want)
		}
	}
}

func TestEstimateFollowsTheChain(t *testing.T) {
	ref := func(id string) map[string]any { return map[string]any{"X": map[string]any{"Ref": id}} }
	template := stack.Template{Resources: map[string]stack.Resource{
		"Nat":      {Type: "AWS::EC2::NatGateway"},                                                                                                               // 2 min
		"Database": {Type: "AWS::RDS::DBInstance", Properties: map[string]any{"MultiAZ": true}},                                                                  // 17 min
		"Route":    {Type: "AWS::EC2::Route", Properties: ref("Nat")},                                                                                            // 10 s
		"Balancer": {Type: "AWS::ElasticLoadBalancingV2::LoadBalancer", DependsOn: []string{"Route"}},                                                            // 3 min
		"Group":    {Type: "AWS::AutoScaling::AutoScalingGroup", Properties: map[string]any{"A": []any{map[string]any{"Fn::GetAtt": []any{"Balancer", "Arn"}}}}}, // 8 min
		"Loop":     {Type: "AWS::EC2::Route", Properties: ref("Loop")},
	}}
	for _, c := range []struct {
		ids  []string
		want time.Duration
	}{
		{nil, 0},
		{[]string{"Route"}, 10 * time.Second},
		{[]string{"Nat", "Route", "Balancer", "Group"}, 13*time.Minute + 10*time.Second},
		{[]string{"Nat", "Group"}, 10 * time.Minute}, // what is between stays as it is
		{[]string{"Nat", "Route", "Database"}, 17 * time.Minute},
		{[]string{"Loop"}, 10 * time.Second},
	} {
		if got := estimate(template, c.ids); got != c.want {
			t.Errorf("%v: %s, want %s", c.ids, got, c.want)
		}
	}
}

func TestWordsOfType(t *testing.T) {
	for kind, want := range map[string]string{
		"AWS::RDS::DBInstance":     "DB instance",
		"AWS::EC2::VPC":            "VPC",
		"AWS::EC2::EIP":            "EIP",
		"AWS::EC2::SecurityGroup":  "security group",
		"AWS::EC2::VPCEndpoint":    "VPC endpoint",
		"AWS::WAFv2::WebACL":       "web ACL",
		"AWS::EC2::NatGateway":     "nat gateway",
		"AWS::Backup::BackupVault": "backup vault",
		"Custom":                   "custom",
		"":                         "",
		"AWS::S3::":                "",
		"AWS::Events::X":           "x",
	} {
		if got := wordsOfType(kind); got != want {
			t.Errorf("%s: %q, want %q", kind, got, want)
		}
	}
}
