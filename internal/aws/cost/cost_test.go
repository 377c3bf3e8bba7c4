package cost

import (
	"encoding/json"
	"flag"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rocca/internal/aws/settings"
	"rocca/internal/aws/stack"
)

var update = flag.Bool("update", false, "write the golden files")

// object and ref write templates down in Go.
type object = map[string]any

func ref(id string) object { return object{"Ref": id} }

// set is a deployment with one stack for each map given: base, data, app.
func set(profile settings.Profile, region string, stacks ...map[string]stack.Resource) stack.Set {
	s := stack.Set{Settings: settings.Settings{Name: "stats", Region: region, Profile: profile}}
	s.Settings.Network.Zones = []string{region + "a", region + "b"}
	for i, role := range []string{stack.Base, stack.Data, stack.App}[:len(stacks)] {
		s.Stacks = append(s.Stacks, stack.Stack{Role: role, Name: "stats-" + role, Template: stack.Template{Resources: stacks[i]}})
	}
	return s
}

func bill(t *testing.T, s stack.Set, usage Usage) Bill {
	t.Helper()
	b, err := Of(s, usage)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestEachKind counts one resource of each kind by hand.
func TestEachKind(t *testing.T) {
	disk := object{"DeviceName": "/dev/xvda", "Ebs": object{"VolumeType": "gp3", "VolumeSize": uint64(30)}}
	template := stack.Resource{Type: "AWS::EC2::LaunchTemplate", Properties: object{"LaunchTemplateData": object{
		"InstanceType": "t4g.small", "BlockDeviceMappings": []any{disk}, "Monitoring": object{"Enabled": true}}}}
	for _, c := range []struct {
		name      string
		resources map[string]stack.Resource
		want      map[string]float64 // basis to month
	}{
		{"instance with an address", map[string]stack.Resource{"Web": {Type: "AWS::EC2::Instance", Properties: object{
			"InstanceType": "t4g.small", "BlockDeviceMappings": []any{disk}, "NetworkInterfaces": []any{object{"AssociatePublicIpAddress": "true"}}}}},
			map[string]float64{"730 h x $0.0168": 12.26, "30 GB x $0.08": 2.40, "730 h x $0.005": 3.65}},
		{"group by its launch template", map[string]stack.Resource{"Template": template, "Group": {Type: "AWS::AutoScaling::AutoScalingGroup", Properties: object{
			"MinSize": "2", "MaxSize": "9", "LaunchTemplate": object{"LaunchTemplateId": ref("Template")}}}},
			map[string]float64{"2 x 730 h x $0.0168": 24.53, "2 x 30 GB x $0.08": 4.80, "2 x 7 metrics x $0.3": 4.20}},
		{"group that starts empty", map[string]stack.Resource{"Template": template, "Group": {Type: "AWS::AutoScaling::AutoScalingGroup", Properties: object{
			"MinSize": 0, "LaunchTemplate": object{"LaunchTemplateId": ref("Template")}}}}, map[string]float64{}},
		{"fast disk", map[string]stack.Resource{"Disk": {Type: "AWS::EC2::Volume", Properties: object{"VolumeType": "gp3", "Size": 100, "Iops": 4000, "Throughput": 225}}},
			map[string]float64{"100 GB x $0.08": 8, "1000 IOPS x $0.005": 5, "100 MB/s x $0.04": 4}},
		{"disk of which nothing is said", map[string]stack.Resource{"Disk": {Type: "AWS::EC2::Volume", Properties: object{"Size": 10}}}, map[string]float64{"10 GB x $0.1": 1}},
		{"nat", map[string]stack.Resource{"Nat": {Type: "AWS::EC2::NatGateway"}}, map[string]float64{"730 h x $0.045": 32.85, "5 GB x $0.045": 0.23}},
		{"interface endpoint", map[string]stack.Resource{"Keys": {Type: "AWS::EC2::VPCEndpoint", Properties: object{"VpcEndpointType": "Interface", "SubnetIds": []any{ref("A"), ref("B"), ref("C")}}}},
			map[string]float64{"3 zones x 730 h x $0.01": 21.90}},
		{"gateway endpoint", map[string]stack.Resource{"S3": {Type: "AWS::EC2::VPCEndpoint", Properties: object{"VpcEndpointType": "Gateway"}}}, map[string]float64{}},
		{"load balancer", map[string]stack.Resource{"Balancer": {Type: "AWS::ElasticLoadBalancingV2::LoadBalancer", Properties: object{"Subnets": []any{ref("A"), ref("B")}}}},
			map[string]float64{"730 h x $0.0225": 16.43, "2 x 730 h x $0.005": 7.30, "11.11111 LCU-h x $0.008": 0.09}},
		{"web firewall", map[string]stack.Resource{"Firewall": {Type: "AWS::WAFv2::WebACL", Properties: object{"Rules": []any{object{}, object{},
			object{"Statement": object{"ManagedRuleGroupStatement": object{"Name": "AWSManagedRulesBotControlRuleSet"}}}}}}},
			map[string]float64{"$5": 5, "3 rules x $1": 3, "1 million x $0.6": 0.60, "$10": 10, "1 million x $1": 1}},
		{"database with a standby", map[string]stack.Resource{"Database": {Type: "AWS::RDS::DBInstance", Properties: object{
			"Engine": "mysql", "EngineVersion": "8.4.6", "DBInstanceClass": "db.t4g.small", "MultiAZ": true, "AllocatedStorage": "50", "StorageType": "gp3", "ManageMasterUserPassword": true}}},
			map[string]float64{"2 copies x 730 h x $0.032": 46.72, "2 copies x 50 GB x $0.115": 11.50, "$0.4": 0.40}},
		{"old database", map[string]stack.Resource{"Database": {Type: "AWS::RDS::DBInstance", Properties: object{
			"Engine": "mysql", "EngineVersion": "8.0.35", "DBInstanceClass": "db.t3.micro", "AllocatedStorage": 20, "StorageType": "gp2"}}},
			map[string]float64{"730 h x $0.017": 12.41, "20 GB x $0.115": 2.30, "2 vCPU x 730 h x $0.1": 146}},
		{"cache", map[string]stack.Resource{"Cache": {Type: "AWS::ElastiCache::ReplicationGroup", Properties: object{"Engine": "valkey", "CacheNodeType": "cache.t4g.small", "NumCacheClusters": 2}}},
			map[string]float64{"2 nodes x 730 h x $0.0256": 37.38}},
		{"keys share a line", map[string]stack.Resource{"A": {Type: "AWS::KMS::Key"}, "B": {Type: "AWS::KMS::Key"}}, map[string]float64{"2 x $1": 2}},
		{"alarm on a metric of our own", map[string]stack.Resource{
			"Filter": {Type: "AWS::Logs::MetricFilter", Properties: object{"MetricTransformations": []any{object{"MetricNamespace": "Stats", "MetricName": "Root"}}}},
			"Root":   {Type: "AWS::CloudWatch::Alarm", Properties: object{"Namespace": "Stats", "MetricName": "Root"}},
			"Full":   {Type: "AWS::CloudWatch::Alarm", Properties: object{"Namespace": "Stats", "MetricName": "Disk"}},
			"CPU":    {Type: "AWS::CloudWatch::Alarm", Properties: object{"Namespace": "AWS/EC2", "MetricName": "CPUUtilization"}}},
			map[string]float64{"3 x $0.1": 0.30, "$0.3": 0.30}},
		{"backup of what is marked", map[string]stack.Resource{
			"Plan":  {Type: "AWS::Backup::BackupPlan"},
			"Kept":  {Type: "AWS::EC2::Volume", Properties: object{"VolumeType": "gp3", "Size": 40, "Tags": []any{object{"Key": "rocca:backup", "Value": "yes"}}}},
			"Other": {Type: "AWS::EC2::Volume", Properties: object{"VolumeType": "gp3", "Size": 40}}},
			map[string]float64{"40 GB x $0.05": 2, "40 GB x $0.08": 6.40}},
		{"logs", map[string]stack.Resource{"Group": {Type: "AWS::Logs::LogGroup", Properties: object{"RetentionInDays": 90}}},
			map[string]float64{"4 GB x $0.5": 2, "12 GB-month x $0.03": 0.36}},
		{"parameters", map[string]stack.Resource{"A": {Type: "AWS::SSM::Parameter"}, "B": {Type: "AWS::SSM::Parameter", Properties: object{"Tier": "Advanced"}}}, map[string]float64{"$0.05": 0.05}},
		{"names that may be looked up", map[string]stack.Resource{"List": {Type: "AWS::Route53Resolver::FirewallDomainList", Properties: object{"Domains": []any{"a.example.org", "b.example.org"}}},
			"Rules": {Type: "AWS::Route53Resolver::FirewallRuleGroup"}}, map[string]float64{"0.2 million x $0.6": 0.12}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := bill(t, set(settings.Standard, "us-east-1", c.resources), Usage{Requests: 1e6, OutGB: 1, LogGB: 4})
			got := map[string]float64{}
			total := 0.0
			for _, line := range b.Lines {
				got[line.Basis] += line.Month
				total += line.Month
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			if len(b.Missing)+len(b.Unknown) > 0 {
				t.Errorf("without a price: %v; unknown: %v", b.Missing, b.Unknown)
			}
			if math.Abs(total-b.Total) > 0.001 {
				t.Errorf("the total is %v, the lines sum to %v", b.Total, total)
			}
		})
	}
}

func TestTheAccountStep(t *testing.T) {
	s := set(settings.Scale, "us-east-1", map[string]stack.Resource{"Web": {Type: "AWS::EC2::Instance", Properties: object{"InstanceType": "t4g.small"}}})
	s.Settings.Account = settings.Account{GuardDuty: true, Config: true, Hub: true, Inspector: true}
	got := map[string]string{}
	for _, line := range bill(t, s, Usage{LogGB: 6}).Lines {
		if line.Stack == "account" {
			got[line.What] = line.Basis
			if !line.Estimate {
				t.Errorf("%s: what was assumed is told as if it were known", line.What)
			}
		}
	}
	want := map[string]string{"GuardDuty: events": "0.25 million x $4", "GuardDuty: flows": "3 GB x $1", "Config: changes": "10 items x $0.003",
		"Security Hub: checks": "60 checks x $0.001", "Inspector": "1 instance x $1.25"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestTrafficBeyondTheFreePart(t *testing.T) {
	s := set(settings.Single, "eu-central-1", map[string]stack.Resource{})
	if b := bill(t, s, Usage{OutGB: 100}); b.Total != 0 {
		t.Errorf("100 GB cost %v", b.Total)
	}
	b := bill(t, s, Usage{OutGB: 350})
	if len(b.Lines) != 1 || b.Lines[0].Basis != "250 GB above the first 100 x $0.09" || b.Total != 22.5 {
		t.Errorf("%+v", b.Lines)
	}
}

// TestNothingIsForgotten: what has no price is named, not left out.
func TestNothingIsForgotten(t *testing.T) {
	b := bill(t, set(settings.Single, "us-east-1", map[string]stack.Resource{
		"Big":   {Type: "AWS::EC2::Instance", Properties: object{"InstanceType": "u-24tb1.112xlarge"}},
		"Queue": {Type: "AWS::SQS::Queue"},
		"Net":   {Type: "AWS::EC2::VPC"},
	}), Usage{})
	if diff := cmp.Diff([]string{"instance u-24tb1.112xlarge"}, b.Missing); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"AWS::SQS::Queue"}, b.Unknown); diff != "" {
		t.Error(diff)
	}
	if len(b.NotCounted) == 0 {
		t.Error("nothing is said to be left out")
	}
}

func TestTypesAreEitherPricedOrFree(t *testing.T) {
	if !slices.IsSorted(free) {
		t.Error("the list of free types is not sorted")
	}
	for _, name := range free {
		if priced[name] != nil {
			t.Errorf("%s is both", name)
		}
	}
}

func TestRegions(t *testing.T) {
	web := map[string]stack.Resource{"Web": {Type: "AWS::EC2::Instance", Properties: object{"InstanceType": "t4g.small"}}, "Key": {Type: "AWS::KMS::Key"}}
	for _, c := range []struct {
		region   string
		month    float64
		estimate bool
		unknown  bool
	}{
		{"us-east-1", 12.26, false, false},
		{"eu-central-1", 14.23, true, false},
		{"eu-north-1", 12.75, true, false},
		{"xx-west-9", 12.26, true, true},
	} {
		b := bill(t, set(settings.Single, c.region, web), Usage{})
		for _, line := range b.Lines {
			switch line.Key {
			case "instance t4g.small":
				if line.Month != c.month || line.Estimate != c.estimate {
					t.Errorf("%s: $%v, estimate %v", c.region, line.Month, line.Estimate)
				}
			case "key":
				if line.Month != 1 {
					t.Errorf("%s: a key costs $%v", c.region, line.Month)
				}
			}
		}
		told := strings.Contains(strings.Join(b.NotCounted, "\n"), c.region)
		if told != c.unknown {
			t.Errorf("%s: tells that the level of prices is not known: %v", c.region, told)
		}
	}
}

func TestThePriceTable(t *testing.T) {
	prices, err := ListPrices("us-east-1")
	if err != nil {
		t.Fatal(err)
	}
	dated := regexp.MustCompile(`^2026(-\d\d)?(-\d\d)?$`)
	for _, key := range prices.Keys() {
		p, _ := prices.Of(key)
		if p.Source == "" || p.Unit == "" || !dated.MatchString(p.AsOf) {
			t.Errorf("%s: %+v", key, p)
		}
	}
	for _, region := range []string{"eu-central-1", "eu-west-1", "eu-west-3", "eu-north-1", "us-east-1"} {
		if there, err := ListPrices(region); err != nil || !there.known {
			t.Errorf("%s: no level of prices (%v)", region, err)
		}
	}
}

func TestWaste(t *testing.T) {
	// One NAT gateway with its address, the subnet behind it, and instances in
	// a subnet of the base stack that the app stack knows by a parameter.
	network := func(routed string) map[string]stack.Resource {
		return map[string]stack.Resource{
			"Address":     {Type: "AWS::EC2::EIP"},
			"Nat":         {Type: "AWS::EC2::NatGateway", Properties: object{"AllocationId": object{"Fn::GetAtt": []any{"Address", "AllocationId"}}}},
			"Way":         {Type: "AWS::EC2::Route", Properties: object{"RouteTableId": ref("Routes"), "NatGatewayId": ref("Nat")}},
			"Association": {Type: "AWS::EC2::SubnetRouteTableAssociation", Properties: object{"RouteTableId": ref("Routes"), "SubnetId": ref(routed)}},
		}
	}
	group := func(subnet any) map[string]stack.Resource {
		return map[string]stack.Resource{"Group": {Type: "AWS::AutoScaling::AutoScalingGroup", Properties: object{"MinSize": 1, "VPCZoneIdentifier": []any{subnet}}}}
	}
	withSubnet := func(s stack.Set) stack.Set {
		s.Stacks[0].Template.Outputs = map[string]stack.Output{"AppSubnetA": {Value: ref("AppSubnetA")}}
		return s
	}
	database := func(properties object) map[string]stack.Resource {
		properties["Engine"], properties["AllocatedStorage"] = "mysql", 20
		return map[string]stack.Resource{"Database": {Type: "AWS::RDS::DBInstance", Properties: properties}}
	}
	byParameter := "{{resolve:ssm:/rocca/stats/base/AppSubnetA}}"
	for _, c := range []struct {
		name string
		set  stack.Set
		want []Waste // What, Stack and Month
	}{
		{"nat in use", withSubnet(set(settings.Standard, "us-east-1", network("AppSubnetA"), nil, group(byParameter))), nil},
		{"nat behind which there is nothing", withSubnet(set(settings.Standard, "us-east-1", network("DataSubnetA"), nil, group(byParameter))),
			[]Waste{{What: "Nat", Stack: "base", Month: 36.50}}},
		{"nat, and instances somewhere", withSubnet(set(settings.Standard, "us-east-1", network("DataSubnetA"), nil, group("subnet-0123"))), nil},
		{"nat without any instance", set(settings.Standard, "us-east-1", network("AppSubnetA")), []Waste{{What: "Nat", Stack: "base", Month: 36.50}}},
		{"address that nothing uses", set(settings.Single, "us-east-1", map[string]stack.Resource{"Address": {Type: "AWS::EC2::EIP"},
			"Alarm": {Type: "AWS::CloudWatch::Alarm", Properties: object{"Dimensions": []any{ref("Address")}}}}), []Waste{{What: "Address", Stack: "base", Month: 3.65}}},
		{"address of an instance", set(settings.Single, "us-east-1", map[string]stack.Resource{"Address": {Type: "AWS::EC2::EIP", Properties: object{"InstanceId": ref("Web")}}}), nil},
		{"gp2", set(settings.Single, "us-east-1", map[string]stack.Resource{"Disk": {Type: "AWS::EC2::Volume", Properties: object{"Size": 100}}}), []Waste{{What: "Disk", Stack: "base", Month: 2}}},
		{"extended support", set(settings.Standard, "us-east-1", nil, database(object{"DBInstanceClass": "db.m7g.xlarge", "EngineVersion": "8.0.42", "StorageType": "gp3"})),
			[]Waste{{What: "Database", Stack: "data", Month: 292}}},
		{"extended support refused", set(settings.Standard, "us-east-1", nil, database(object{"DBInstanceClass": "db.t4g.small", "EngineVersion": "8.0.42", "StorageType": "gp3",
			"EngineLifecycleSupport": "open-source-rds-extended-support-disabled"})), nil},
		{"standby of a single server", set(settings.Single, "us-east-1", nil, database(object{"DBInstanceClass": "db.t4g.micro", "EngineVersion": "8.4.6", "StorageType": "gp3", "MultiAZ": true})),
			[]Waste{{What: "Database", Stack: "data", Month: 13.98}}},
		{"standby where it helps", set(settings.Standard, "us-east-1", nil, database(object{"DBInstanceClass": "db.t4g.micro", "EngineVersion": "8.4.6", "StorageType": "gp3", "MultiAZ": true})), nil},
		{"gp2 of a database", set(settings.Standard, "us-east-1", nil, database(object{"DBInstanceClass": "db.t4g.micro", "EngineVersion": "8.4.6"})), []Waste{{What: "Database", Stack: "data"}}},
		{"logs for ever", set(settings.Single, "us-east-1", map[string]stack.Resource{"Logs": {Type: "AWS::Logs::LogGroup"}}), []Waste{{What: "Logs", Stack: "base"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := bill(t, c.set, Usage{}).Waste
			for i := range got {
				if got[i].Why == "" || got[i].Fix == "" {
					t.Errorf("%s: no reason or no way out", got[i].What)
				}
				got[i].Why, got[i].Fix = "", ""
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestCompare(t *testing.T) {
	web := func(kind string, keys int) stack.Set {
		resources := map[string]stack.Resource{"Web": {Type: "AWS::EC2::Instance", Properties: object{"InstanceType": kind}}}
		for i := range keys {
			resources[string(rune('A'+i))] = stack.Resource{Type: "AWS::KMS::Key"}
		}
		return set(settings.Standard, "us-east-1", resources)
	}
	small, large := web("t4g.small", 3), web("t4g.medium", 1)
	want := []Change{{"instance t4g.medium", 0, 24.53}, {"instance t4g.small", 12.26, 0}, {"key", 3, 1}}
	if diff := cmp.Diff(want, Compare(bill(t, small, Usage{}), bill(t, large, Usage{}))); diff != "" {
		t.Error(diff)
	}
	if got, err := Month(large); err != nil || got != 25.53 {
		t.Errorf("%v, %v", got, err)
	}
}

// golden compares with a file of testdata.
func golden(t *testing.T, name string, b Bill) {
	t.Helper()
	got, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	if *update {
		if err := os.WriteFile("testdata/"+name, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("testdata/%s is not what is counted; -update writes it\n%s", name, diff)
	}
}
