package cost

import (
	"strings"

	"rocca/internal/aws/stack"
)

// priced are the types of resources that cost money, with how each is counted.
var priced = map[string]func(*counter, resource){
	"AWS::EC2::Instance":                        instance,
	"AWS::AutoScaling::AutoScalingGroup":        group,
	"AWS::EC2::Volume":                          volume,
	"AWS::EC2::NatGateway":                      natGateway,
	"AWS::EC2::EIP":                             address,
	"AWS::EC2::VPCEndpoint":                     endpoint,
	"AWS::ElasticLoadBalancingV2::LoadBalancer": loadBalancer,
	"AWS::WAFv2::WebACL":                        webFirewall,
	"AWS::RDS::DBInstance":                      database,
	"AWS::ElastiCache::ReplicationGroup":        cache,
	"AWS::Backup::BackupPlan":                   backupPlan,
	"AWS::S3::Bucket":                           bucket,
	"AWS::CloudWatch::Alarm":                    alarm,
	"AWS::SSM::Parameter":                       parameter,
	"AWS::Route53Resolver::FirewallDomainList":  domainList,
	"AWS::Route53Resolver::FirewallRuleGroup":   domainQueries,
	"AWS::Route53::HealthCheck":                 monthly("health check"),
	"AWS::Route53::HostedZone":                  monthly("hosted zone"),
	"AWS::CloudWatch::CompositeAlarm":           monthly("composite alarm"),
	"AWS::CloudWatch::Dashboard":                monthly("dashboard"),
	"AWS::KMS::Key":                             monthly("key"),
	"AWS::KMS::ReplicaKey":                      monthly("key"),
	"AWS::SecretsManager::Secret":               monthly("secret"),
}

// free are the types that cost nothing by themselves: what they hold or write
// is counted elsewhere (requests, logs, backups).
var free = []string{
	"AWS::AccessAnalyzer::Analyzer",
	"AWS::AutoScaling::LifecycleHook",
	"AWS::AutoScaling::ScalingPolicy",
	"AWS::AutoScaling::ScheduledAction",
	"AWS::Backup::BackupSelection",
	"AWS::Backup::BackupVault",
	"AWS::Budgets::Budget",
	"AWS::CertificateManager::Certificate",
	"AWS::CloudFormation::WaitCondition",
	"AWS::CloudFormation::WaitConditionHandle",
	"AWS::CloudTrail::Trail", // the first copy of management events
	"AWS::EC2::DHCPOptions",
	"AWS::EC2::EIPAssociation",
	"AWS::EC2::FlowLog",
	"AWS::EC2::InstanceConnectEndpoint",
	"AWS::EC2::InternetGateway",
	"AWS::EC2::LaunchTemplate",
	"AWS::EC2::NetworkAcl",
	"AWS::EC2::NetworkAclEntry",
	"AWS::EC2::PrefixList",
	"AWS::EC2::Route",
	"AWS::EC2::RouteTable",
	"AWS::EC2::SecurityGroup",
	"AWS::EC2::SecurityGroupEgress",
	"AWS::EC2::SecurityGroupIngress",
	"AWS::EC2::Subnet",
	"AWS::EC2::SubnetNetworkAclAssociation",
	"AWS::EC2::SubnetRouteTableAssociation",
	"AWS::EC2::VPC",
	"AWS::EC2::VPCDHCPOptionsAssociation",
	"AWS::EC2::VPCGatewayAttachment",
	"AWS::EC2::VolumeAttachment",
	"AWS::ElastiCache::ParameterGroup",
	"AWS::ElastiCache::SubnetGroup",
	"AWS::ElastiCache::User",
	"AWS::ElastiCache::UserGroup",
	"AWS::ElasticLoadBalancingV2::Listener",
	"AWS::ElasticLoadBalancingV2::ListenerCertificate",
	"AWS::ElasticLoadBalancingV2::ListenerRule",
	"AWS::ElasticLoadBalancingV2::TargetGroup",
	"AWS::Events::Rule",
	"AWS::IAM::InstanceProfile",
	"AWS::IAM::ManagedPolicy",
	"AWS::IAM::Policy",
	"AWS::IAM::Role",
	"AWS::IAM::RolePolicy",
	"AWS::KMS::Alias",
	"AWS::Logs::LogGroup",
	"AWS::Logs::LogStream",
	"AWS::Logs::MetricFilter", // writes a metric only in the hours in which it finds something
	"AWS::Logs::ResourcePolicy",
	"AWS::RDS::DBParameterGroup",
	"AWS::RDS::DBSubnetGroup",
	"AWS::RDS::EventSubscription",
	"AWS::RDS::OptionGroup",
	"AWS::Route53::RecordSet",
	"AWS::Route53::RecordSetGroup",
	"AWS::Route53Resolver::FirewallRuleGroupAssociation",
	"AWS::Route53Resolver::ResolverQueryLoggingConfig",
	"AWS::Route53Resolver::ResolverQueryLoggingConfigAssociation",
	"AWS::S3::BucketPolicy",
	"AWS::SNS::Subscription",
	"AWS::SNS::Topic",
	"AWS::SNS::TopicInlinePolicy",
	"AWS::SNS::TopicPolicy",
	"AWS::SSM::Association",
	"AWS::SSM::Document",
	"AWS::SSM::MaintenanceWindow",
	"AWS::SSM::PatchBaseline",
	"AWS::SecretsManager::ResourcePolicy",
	"AWS::SecretsManager::SecretTargetAttachment",
	"AWS::WAFv2::IPSet",
	"AWS::WAFv2::LoggingConfiguration",
	"AWS::WAFv2::RegexPatternSet",
	"AWS::WAFv2::WebACLAssociation",
}

// What is assumed where neither templates nor usage say anything.
const (
	natGB              = 5.0 // packages, releases and e-mail through a NAT gateway
	bucketGB           = 1.0
	domainQueryMillion = 0.2
	managementMillion  = 0.25 // events of the trail that GuardDuty reads
	itemsPerResource   = 10.0 // changes that Config records
	checksPerResource  = 60.0 // by Security Hub
	trafficFreeGB      = 100.0
	detailedMetrics    = 7.0 // of an instance, each minute
)

// monthly counts what costs the same each month.
func monthly(key string) func(*counter, resource) {
	return func(c *counter, r resource) { c.add(r.called(), r.in.Role, key, amount{1, ""}) }
}

func instance(c *counter, r resource) {
	c.machines(r, c.launched(r, r.Properties), 1)
}

func group(c *counter, r resource) {
	n := number(r.at("DesiredCapacity"))
	if n == 0 {
		n = number(r.at("MinSize"))
	}
	if n > 0 {
		c.machines(r, c.launched(r, nil), n)
	}
}

// launched are the properties of an instance: its own before those of the
// launch template that it, or its group, names.
func (c *counter) launched(r resource, own map[string]any) map[string]any {
	id := reference(r.at("LaunchTemplate", "LaunchTemplateId"))
	data, _ := property(r.in.Template.Resources[id].Properties, "LaunchTemplateData").(map[string]any)
	all := map[string]any{}
	for _, from := range []map[string]any{data, own} {
		for key, value := range from {
			all[key] = value
		}
	}
	return all
}

// machines counts instances, their disks, addresses and metrics.
func (c *counter) machines(r resource, of map[string]any, n float64) {
	count := amount{n, ""}
	c.add(r.called(), r.in.Role, "instance "+text(of["InstanceType"]), count, amount{hours, "h"})
	for _, mapping := range list(of["BlockDeviceMappings"]) {
		if disk, ok := property(mapping, "Ebs").(map[string]any); ok {
			c.disk(r.called()+": disk", r.in.Role, n, text(disk["VolumeType"]), number(disk["VolumeSize"]), number(disk["Iops"]), number(disk["Throughput"]))
		}
	}
	for _, card := range list(of["NetworkInterfaces"]) {
		if yes(property(card, "AssociatePublicIpAddress")) {
			c.add(r.called()+": public address", r.in.Role, "public address", count, amount{hours, "h"})
		}
	}
	if yes(property(of, "Monitoring", "Enabled")) || yes(of["Monitoring"]) {
		c.add(r.called()+": metrics each minute", r.in.Role, "metrics each minute", count, amount{detailedMetrics, "metrics"})
	}
}

// What a gp3 disk has without being paid for.
const (
	freeIOPS       = 3000
	freeThroughput = 125 // MB/s
)

func (c *counter) disk(what, role string, n float64, kind string, size, iops, throughput float64) {
	if kind == "" {
		kind = "gp2" // what EC2 takes when nothing is said
	}
	count := amount{n, ""}
	c.add(what, role, "disk "+kind, count, amount{size, "GB"})
	if kind == "gp3" && iops > freeIOPS {
		c.add(what+", speed", role, "disk gp3 iops", count, amount{iops - freeIOPS, "IOPS"})
	}
	if kind == "gp3" && throughput > freeThroughput {
		c.add(what+", throughput", role, "disk gp3 throughput", count, amount{throughput - freeThroughput, "MB/s"})
	}
}

func volume(c *counter, r resource) {
	c.disk(r.called(), r.in.Role, 1, text(r.at("VolumeType")), number(r.at("Size")), number(r.at("Iops")), number(r.at("Throughput")))
}

func natGateway(c *counter, r resource) {
	c.add(r.called(), r.in.Role, "nat gateway", amount{hours, "h"})
	c.assume(r.called()+": traffic", r.in.Role, "nat gateway traffic", amount{natGB, "GB"})
}

func address(c *counter, r resource) {
	c.add(r.called(), r.in.Role, "public address", amount{hours, "h"})
}

func endpoint(c *counter, r resource) {
	if text(r.at("VpcEndpointType")) != "Interface" {
		return // gateway endpoints cost nothing
	}
	c.add(r.called(), r.in.Role, "interface endpoint", amount{c.zones(r.at("SubnetIds")), "zones"}, amount{hours, "h"})
}

// zones counts subnets, each in a zone of its own.
func (c *counter) zones(subnets any) float64 {
	if n := len(list(subnets)); n > 0 {
		return float64(n)
	}
	return float64(max(1, len(c.set.Settings.Network.Zones)))
}

// What one capacity unit of a load balancer takes in an hour.
const (
	capacityConnections = 25 * 3600
	capacityGB          = 1
)

func loadBalancer(c *counter, r resource) {
	c.add(r.called(), r.in.Role, "load balancer", amount{hours, "h"})
	if text(r.at("Scheme")) != "internal" {
		c.add(r.called()+": public addresses", r.in.Role, "public address", amount{c.zones(r.at("Subnets")), ""}, amount{hours, "h"})
	}
	units := max(c.usage.Requests/capacityConnections, c.usage.OutGB/capacityGB)
	c.assume(r.called()+": capacity", r.in.Role, "load balancer capacity", amount{units, "LCU-h"})
}

func webFirewall(c *counter, r resource) {
	c.add(r.called(), r.in.Role, "web firewall", amount{1, ""})
	rules := list(r.at("Rules"))
	c.add(r.called()+": rules", r.in.Role, "web firewall rule", amount{float64(len(rules)), "rules"})
	million := amount{c.usage.Requests / 1e6, "million"}
	c.assume(r.called()+": requests", r.in.Role, "web firewall requests", million)
	for _, rule := range rules {
		if text(property(rule, "Statement", "ManagedRuleGroupStatement", "Name")) == "AWSManagedRulesBotControlRuleSet" {
			c.add(r.called()+": bot control", r.in.Role, "bot control", amount{1, ""})
			c.assume(r.called()+": bot control, requests", r.in.Role, "bot control requests", million)
		}
	}
}

func database(c *counter, r resource) {
	copies := amount{1, ""}
	if yes(r.at("MultiAZ")) {
		copies = amount{2, "copies"}
	}
	class := text(r.at("DBInstanceClass"))
	c.add(r.called(), r.in.Role, "database "+class, copies, amount{hours, "h"})
	kind := text(r.at("StorageType"))
	if kind == "" {
		kind = "gp2" // what RDS takes when nothing is said
	}
	c.add(r.called()+": storage", r.in.Role, "database storage "+kind, copies, amount{number(r.at("AllocatedStorage")), "GB"})
	if yes(r.at("ManageMasterUserPassword")) {
		c.add(r.called()+": secret of its administrator", r.in.Role, "secret", amount{1, ""})
	}
	if extended(r) {
		c.add(r.called()+": extended support", r.in.Role, "database extended support", copies, amount{processors(class), "vCPU"}, amount{hours, "h"})
	}
}

// beyondStandardSupport are the versions of MySQL that RDS supports for extra
// money only; 8.0 since 2026-07-31.
var beyondStandardSupport = []string{"5.7", "8.0"}

// extended tells whether RDS will ask extra for an old version.
func extended(r resource) bool {
	if text(r.at("Engine")) != "mysql" || text(r.at("EngineLifecycleSupport")) == "open-source-rds-extended-support-disabled" {
		return false
	}
	for _, old := range beyondStandardSupport {
		if version := text(r.at("EngineVersion")); version == old || strings.HasPrefix(version, old+".") {
			return true
		}
	}
	return false
}

// processors of a database class, which follow from its size.
func processors(class string) float64 {
	size := class[strings.LastIndex(class, ".")+1:]
	if size == "xlarge" {
		return 4
	}
	if times := number(strings.TrimSuffix(size, "xlarge")); times > 0 {
		return 4 * times
	}
	return 2 // micro to large
}

func cache(c *counter, r resource) {
	engine := text(r.at("Engine"))
	if engine == "" {
		engine = "redis"
	}
	nodes := number(r.at("NumCacheClusters"))
	if nodes == 0 {
		nodes = max(1, number(r.at("NumNodeGroups"))) * (1 + number(r.at("ReplicasPerNodeGroup")))
	}
	c.add(r.called(), r.in.Role, "cache "+engine+" "+text(r.at("CacheNodeType")), amount{nodes, "nodes"}, amount{hours, "h"})
}

// backupPlan counts one whole copy of everything that is marked for backup.
func backupPlan(c *counter, r resource) {
	var disks, databases float64
	for _, s := range c.set.Stacks {
		for _, kept := range s.Template.Resources {
			switch kept.Type {
			case "AWS::EC2::Volume":
				disks += marked(kept) * number(kept.Properties["Size"])
			case "AWS::RDS::DBInstance":
				databases += marked(kept) * number(kept.Properties["AllocatedStorage"])
			case "AWS::EC2::Instance":
				for _, mapping := range list(kept.Properties["BlockDeviceMappings"]) {
					disks += marked(kept) * number(property(mapping, "Ebs", "VolumeSize"))
				}
			}
		}
	}
	copies := []string{r.called()}
	if to := c.set.Settings.Backup.CopyRegion; to != "" {
		copies = append(copies, r.called()+": copy in "+to)
		c.assume(r.called()+": way to "+to, r.in.Role, "copy to another region", amount{disks + databases, "GB"})
	}
	for _, what := range copies {
		if disks > 0 {
			c.assume(what+", disks", r.in.Role, "backup of disks", amount{disks, "GB"})
		}
		if databases > 0 {
			c.assume(what+", databases", r.in.Role, "backup of databases", amount{databases, "GB"})
		}
	}
}

// marked is 1 for a resource whose tag says that it is backed up.
func marked(r stack.Resource) float64 {
	for _, tag := range list(r.Properties["Tags"]) {
		if text(property(tag, "Key")) == "rocca:backup" && text(property(tag, "Value")) == "yes" {
			return 1
		}
	}
	return 0
}

func bucket(c *counter, r resource) {
	c.assume(r.called(), r.in.Role, "bucket", amount{bucketGB, "GB"})
}

// alarm counts an alarm, and the metric that it watches when that is our own
// and not written by a filter of logs.
func alarm(c *counter, r resource) {
	c.add(r.called(), r.in.Role, "alarm", amount{1, ""})
	namespace, name := text(r.at("Namespace")), text(r.at("MetricName"))
	if namespace == "" || strings.HasPrefix(namespace, "AWS/") || c.filtered(namespace, name) {
		return
	}
	c.add("metric "+name, r.in.Role, "metric", amount{1, ""})
}

// filtered tells whether a filter of logs writes this metric.
func (c *counter) filtered(namespace, name string) bool {
	for _, s := range c.set.Stacks {
		for _, r := range s.Template.Resources {
			for _, transformation := range list(r.Properties["MetricTransformations"]) {
				if text(property(transformation, "MetricNamespace")) == namespace && text(property(transformation, "MetricName")) == name {
					return true
				}
			}
		}
	}
	return false
}

func parameter(c *counter, r resource) {
	if text(r.at("Tier")) == "Advanced" {
		c.add(r.called(), r.in.Role, "advanced parameter", amount{1, ""})
	}
}

func domainList(c *counter, r resource) {
	c.add(r.called(), r.in.Role, "dns firewall list", amount{float64(len(list(r.at("Domains")))), "names"})
}

func domainQueries(c *counter, r resource) {
	c.assume(r.called()+": queries", r.in.Role, "dns firewall queries", amount{domainQueryMillion, "million"})
}

// traffic counts what usage says and no resource.
func (c *counter) traffic() {
	if gb := c.usage.OutGB - trafficFreeGB; gb > 0 {
		c.assume("traffic to the internet", stack.App, "traffic to the internet", amount{gb, "GB above the first 100"})
	}
	months := 0.0 // that the longest kept log lasts
	for _, s := range c.set.Stacks {
		for _, r := range s.Template.Resources {
			if r.Type == "AWS::Logs::LogGroup" {
				months = max(months, number(r.Properties["RetentionInDays"])/30, 1)
			}
		}
	}
	if months > 0 && c.usage.LogGB > 0 {
		c.assume("logs, written", stack.Base, "logs", amount{c.usage.LogGB, "GB"})
		c.assume("logs, kept", stack.Base, "logs kept", amount{c.usage.LogGB * months, "GB-month"})
	}
}

// account counts what the account step turns on.
func (c *counter) account() {
	const step = "account"
	resources, instances := 0.0, 0.0
	for _, s := range c.set.Stacks {
		resources += float64(len(s.Template.Resources))
		for id, r := range s.Template.Resources {
			if r.Type == "AWS::EC2::Instance" {
				instances++
			}
			if r.Type == "AWS::AutoScaling::AutoScalingGroup" {
				instances += number(s.Template.Resources[id].Properties["MinSize"])
			}
		}
	}
	wanted := c.set.Settings.Account
	if wanted.GuardDuty {
		c.assume("GuardDuty: events", step, "guardduty events", amount{managementMillion, "million"})
		c.assume("GuardDuty: flows", step, "guardduty flow logs", amount{c.usage.LogGB / 2, "GB"})
	}
	if wanted.Config {
		c.assume("Config: changes", step, "config item", amount{resources * itemsPerResource, "items"})
	}
	if wanted.Hub {
		c.assume("Security Hub: checks", step, "security hub check", amount{resources * checksPerResource, "checks"})
	}
	if wanted.Inspector {
		c.assume("Inspector", step, "inspector instance", amount{instances, "instances"})
	}
}
