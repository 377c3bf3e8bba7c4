package facts

import (
	"net/netip"
	"time"
)

// Cloud is everything observed of a deployment in an AWS account. Secrets are
// never in it: of a secret it has dates and policies, of user data the hash and
// what kind of thing was found in it. Times are UTC; ids are AWS's own.
type Cloud struct {
	Account    string        `json:"account,omitempty"`    // twelve digits
	Region     string        `json:"region,omitempty"`     //
	Deployment string        `json:"deployment,omitempty"` // value of the tag rocca:deployment; empty: everything of the region was looked at
	Wanted     CloudSettings `json:"wanted,omitzero"`      // what its owner decided in rocca-aws.yaml

	Groups        []SecurityGroup     `json:"groups,omitempty"`
	PrefixLists   []PrefixList        `json:"prefix_lists,omitempty"` // that rules name
	Interfaces    []NetworkInterface  `json:"interfaces,omitempty"`
	Networks      []CloudNetwork      `json:"networks,omitempty"` // VPCs
	Subnets       []Subnet            `json:"subnets,omitempty"`
	RouteTables   []RouteTable        `json:"route_tables,omitempty"`
	Filters       []NetworkACL        `json:"filters,omitempty"`
	FlowLogs      []FlowLog           `json:"flow_logs,omitempty"`
	Endpoints     []Endpoint          `json:"endpoints,omitempty"`
	NATs          []NAT               `json:"nats,omitempty"`
	Addresses     []Address           `json:"addresses,omitempty"`
	Instances     []Instance          `json:"instances,omitempty"` // but those that are terminated
	Templates     []LaunchTemplate    `json:"templates,omitempty"` // launch templates, in the version that is used
	Volumes       []Volume            `json:"volumes,omitempty"`
	DiskDefaults  DiskDefaults        `json:"disk_defaults,omitzero"`
	Snapshots     []Snapshot          `json:"snapshots,omitempty"`
	Images        []Image             `json:"images,omitempty"` // that instances and templates start from
	Managed       []ManagedInstance   `json:"managed,omitempty"`
	Updates       Updates             `json:"updates,omitzero"` // of the deployment's servers
	Vulnerable    Vulnerabilities     `json:"vulnerable,omitzero"`
	ScalingGroups []ScalingGroup      `json:"scaling_groups,omitempty"`
	Balancers     []Balancer          `json:"balancers,omitempty"`
	TargetGroups  []TargetGroup       `json:"target_groups,omitempty"`
	CloudCerts    []CloudCertificate  `json:"certificates,omitempty"` // of ACM
	Firewalls     []WebFirewall       `json:"firewalls,omitempty"`
	Zone          Zone                `json:"zone,omitzero"`
	Seen          []Seen              `json:"seen,omitempty"` // what rocca aws verify saw of the public name
	Databases     []CloudDatabase     `json:"databases,omitempty"`
	DBSnapshots   []DBSnapshot        `json:"db_snapshots,omitempty"`
	DBAuthorities []DBAuthority       `json:"db_authorities,omitempty"`
	DBEngines     []DBEngine          `json:"db_engines,omitempty"`
	Caches        []CloudCache        `json:"caches,omitempty"`
	Secrets       []CloudSecret       `json:"secrets,omitempty"`
	Parameters    []Parameter         `json:"parameters,omitempty"` // names and types, never values
	Documents     []ManagedDocument   `json:"documents,omitempty"`  // of Systems Manager, owned by this account
	Keys          []CloudKey          `json:"keys,omitempty"`
	Roles         []CloudRole         `json:"roles,omitempty"`
	Root          RootUser            `json:"root,omitzero"`
	CloudUsers    []CloudUser         `json:"users,omitempty"`
	Analyzers     []Analyzer          `json:"analyzers,omitempty"`
	Trails        []Trail             `json:"trails,omitempty"`
	Threats       Threats             `json:"threats,omitzero"`
	Recorder      Recorder            `json:"recorder,omitzero"` // AWS Config
	Hub           Hub                 `json:"hub,omitzero"`
	Alarms        []Alarm             `json:"alarms,omitempty"`
	MetricFilters []MetricFilter      `json:"metric_filters,omitempty"`
	LogGroups     []LogGroup          `json:"log_groups,omitempty"`
	Topics        []Topic             `json:"topics,omitempty"`
	Buckets       []Bucket            `json:"buckets,omitempty"`
	BackupPlans   []BackupPlan        `json:"backup_plans,omitempty"`
	Vaults        []Vault             `json:"vaults,omitempty"`
	Protected     []ProtectedResource `json:"protected,omitempty"`
	Restores      []Restore           `json:"restores,omitempty"`
	Stacks        []CloudStack        `json:"stacks,omitempty"`
	Budgets       []Budget            `json:"budgets,omitempty"`
	Contact       SecurityContact     `json:"contact,omitzero"`
	Rehearsals    []Rehearsal         `json:"rehearsals,omitempty"` // of the answer to an incident, newest first
}

// The sections of Cloud, each a set of calls that are refused together. Names
// are those of the fields.
const (
	CloudGroups        Section = "aws/groups" // Groups, PrefixLists
	CloudInterfaces    Section = "aws/interfaces"
	CloudNetworks      Section = "aws/networks"
	CloudSubnets       Section = "aws/subnets"
	CloudRouteTables   Section = "aws/route_tables"
	CloudFilters       Section = "aws/filters"
	CloudFlowLogs      Section = "aws/flow_logs"
	CloudEndpoints     Section = "aws/endpoints"
	CloudNATs          Section = "aws/nats"
	CloudAddresses     Section = "aws/addresses"
	CloudInstances     Section = "aws/instances"
	CloudUserData      Section = "aws/user_data" // UserData of Instances and Templates
	CloudTemplates     Section = "aws/templates"
	CloudVolumes       Section = "aws/volumes"
	CloudDiskDefaults  Section = "aws/disk_defaults"
	CloudSnapshots     Section = "aws/snapshots"
	CloudImages        Section = "aws/images"
	CloudManaged       Section = "aws/managed"
	CloudPatches       Section = "aws/patches" // Patch of Managed, Updates
	CloudVulnerable    Section = "aws/vulnerable"
	CloudScaling       Section = "aws/scaling_groups"
	CloudBalancers     Section = "aws/balancers"
	CloudTargets       Section = "aws/target_groups"
	CloudCertificates  Section = "aws/certificates"
	CloudFirewalls     Section = "aws/firewalls"
	CloudZone          Section = "aws/zone"
	CloudSeen          Section = "aws/seen"
	CloudDatabases     Section = "aws/databases"
	CloudDBSnapshots   Section = "aws/db_snapshots"
	CloudDBAuthorities Section = "aws/db_authorities"
	CloudDBEngines     Section = "aws/db_engines"
	CloudCaches        Section = "aws/caches"
	CloudSecrets       Section = "aws/secrets"
	CloudParameters    Section = "aws/parameters"
	CloudDocuments     Section = "aws/documents"
	CloudKeys          Section = "aws/keys"
	CloudRoles         Section = "aws/roles"
	CloudRoot          Section = "aws/root"
	CloudUsers         Section = "aws/users"
	CloudAnalyzers     Section = "aws/analyzers"
	CloudTrails        Section = "aws/trails"
	CloudThreats       Section = "aws/threats"
	CloudRecorder      Section = "aws/recorder"
	CloudHub           Section = "aws/hub"
	CloudAlarms        Section = "aws/alarms"
	CloudMetricFilters Section = "aws/metric_filters"
	CloudLogGroups     Section = "aws/log_groups"
	CloudTopics        Section = "aws/topics"
	CloudBuckets       Section = "aws/buckets"
	CloudBackupPlans   Section = "aws/backup_plans"
	CloudVaults        Section = "aws/vaults"
	CloudProtected     Section = "aws/protected"
	CloudRestores      Section = "aws/restores"
	CloudStacks        Section = "aws/stacks"
	CloudDrift         Section = "aws/drift" // Drift of Stacks
	CloudBudgets       Section = "aws/budgets"
	CloudContact       Section = "aws/contact"
	CloudRehearsals    Section = "aws/rehearsals"
)

// CloudSettings is what rocca-aws.yaml decides and controls ask about.
type CloudSettings struct {
	Known         bool           `json:"known,omitempty"`   // there is such a file; else nothing was decided
	Profile       string         `json:"profile,omitempty"` // "single", "standard", "scale"
	Domain        string         `json:"domain,omitempty"`
	Zone          string         `json:"zone,omitempty"` // id of the Route 53 zone
	AdminNetworks []netip.Prefix `json:"admin_networks,omitempty"`
	SSH           []netip.Prefix `json:"ssh,omitempty"`
	NAT           string         `json:"nat,omitempty"` // "none", "one", "per-zone"
	Endpoints     bool           `json:"endpoints,omitempty"`
	RDS           bool           `json:"rds,omitempty"`
	MultiAZ       bool           `json:"multi_az,omitempty"`
	BackupDays    int            `json:"backup_days,omitempty"`
	LogDays       int            `json:"log_days,omitempty"`
	Alarms        bool           `json:"alarms,omitempty"`
	Agent         bool           `json:"agent,omitempty"` // the SSM agent is wanted
	Trail         bool           `json:"trail,omitempty"` // else it is the organization's
	GuardDuty     bool           `json:"guardduty,omitempty"`
	Config        bool           `json:"config,omitempty"`
	Hub           bool           `json:"hub,omitempty"`
	Inspector     bool           `json:"inspector,omitempty"`
	Image         string         `json:"image,omitempty"`   // AMI that is pinned
	Browses       bool           `json:"browses,omitempty"` // instances may ask only names of network.egress (DNS firewall)
}

// Tags are those of a resource. Two matter to controls: rocca:deployment and
// rocca:role.
type Tags map[string]string

// Role is what the resource is for in a deployment of rocca's, such as
// "database", "edge" or "incident"; empty elsewhere.
func (t Tags) Role() string { return t["rocca:role"] }

// Deployment is the deployment of rocca's that the resource belongs to.
func (t Tags) Deployment() string { return t["rocca:deployment"] }

// SecurityGroup is a set of rules about who may call whom.
type SecurityGroup struct {
	ID      string      `json:"id"`
	Name    string      `json:"name"` // GroupName; "default" is the VPC's own
	VPC     string      `json:"vpc"`
	Tags    Tags        `json:"tags,omitempty"`
	Ingress []GroupRule `json:"ingress,omitempty"`
	Egress  []GroupRule `json:"egress,omitempty"`
}

// GroupRule lets one range of ports of one protocol through, from or to one
// peer: exactly one of CIDR, PrefixList and Group is set.
type GroupRule struct {
	Protocol    string       `json:"protocol"`       // "tcp", "udp", "icmp", "icmpv6", a number, or "-1" for all
	From        int          `json:"from,omitempty"` // first port, of ICMP the type; 0 and 65535 where the protocol is "-1"
	To          int          `json:"to,omitempty"`
	CIDR        netip.Prefix `json:"cidr,omitzero"` // IPv4 or IPv6
	PrefixList  string       `json:"prefix_list,omitempty"`
	Group       string       `json:"group,omitempty"`
	GroupGone   bool         `json:"group_gone,omitempty"` // the referenced group is not there any more
	Description string       `json:"description,omitempty"`
}

// PrefixList is a managed list of networks that rules name.
type PrefixList struct {
	ID       string         `json:"id"`
	Name     string         `json:"name"`
	Networks []netip.Prefix `json:"networks,omitempty"`
}

// NetworkInterface is a card of an instance, balancer, database or endpoint.
type NetworkInterface struct {
	ID       string   `json:"id"`
	VPC      string   `json:"vpc,omitempty"`
	Subnet   string   `json:"subnet"`
	Instance string   `json:"instance,omitempty"`
	Kind     string   `json:"kind,omitempty"`  // InterfaceType: "interface", "nat_gateway", "vpc_endpoint", ...
	Owner    string   `json:"owner,omitempty"` // RequesterId or description of the service that made it
	Groups   []string `json:"groups,omitempty"`
	PublicIP string   `json:"public_ip,omitempty"`
	IPv6     []string `json:"ipv6,omitempty"`
}

// CloudNetwork is a VPC.
type CloudNetwork struct {
	ID        string         `json:"id"`
	CIDRs     []netip.Prefix `json:"cidrs,omitempty"`
	IsDefault bool           `json:"default,omitempty"` // the one that every account has
	Tags      Tags           `json:"tags,omitempty"`
}

// Subnet is a part of a VPC in one availability zone.
type Subnet struct {
	ID       string       `json:"id"`
	VPC      string       `json:"vpc"`
	Zone     string       `json:"zone"`
	CIDR     netip.Prefix `json:"cidr,omitzero"`
	PublicIP bool         `json:"public_ip,omitempty"` // MapPublicIpOnLaunch
	Tags     Tags         `json:"tags,omitempty"`
}

// RouteTable says where packets of its subnets go.
type RouteTable struct {
	ID      string   `json:"id"`
	VPC     string   `json:"vpc"`
	Main    bool     `json:"main,omitempty"`    // of all subnets without one of their own
	Subnets []string `json:"subnets,omitempty"` // that are associated with it
	Routes  []Route  `json:"routes,omitempty"`  // but the local one
	Tags    Tags     `json:"tags,omitempty"`
}

// Route is one way out.
type Route struct {
	Destination string `json:"destination"` // CIDR, or id of a prefix list
	Via         string `json:"via"`         // id: igw-, nat-, eigw-, pcx-, tgw-, vgw-, eni-, i-, vpce-
	State       string `json:"state,omitempty"`
}

// NetworkACL is the packet filter of subnets.
type NetworkACL struct {
	ID      string    `json:"id"`
	VPC     string    `json:"vpc"`
	Default bool      `json:"default,omitempty"`
	Subnets []string  `json:"subnets,omitempty"`
	Entries []ACLRule `json:"entries,omitempty"`
	Tags    Tags      `json:"tags,omitempty"`
}

// ACLRule is one rule of a packet filter; the lowest number that matches decides.
type ACLRule struct {
	Number   int          `json:"number"`
	Egress   bool         `json:"egress,omitempty"`
	Allow    bool         `json:"allow,omitempty"`
	Protocol string       `json:"protocol"` // number, "-1" for all
	From     int          `json:"from,omitempty"`
	To       int          `json:"to,omitempty"` // 0 and 65535 where the protocol has no ports
	CIDR     netip.Prefix `json:"cidr,omitzero"`
}

// FlowLog writes down who connected to whom.
type FlowLog struct {
	ID          string `json:"id"`
	Resource    string `json:"resource"`           // of a VPC, subnet or interface
	Traffic     string `json:"traffic"`            // "ALL", "ACCEPT", "REJECT"
	Status      string `json:"status"`             // "ACTIVE"
	Delivery    string `json:"delivery,omitempty"` // "SUCCESS", "FAILED"; empty: nothing was delivered yet
	Destination string `json:"destination"`        // "cloud-watch-logs", "s3", ...
	Group       string `json:"group,omitempty"`    // of CloudWatch Logs
	Interval    int    `json:"interval,omitempty"` // seconds
}

// Endpoint is a way to a service of AWS that stays inside.
type Endpoint struct {
	ID      string   `json:"id"`
	VPC     string   `json:"vpc"`
	Service string   `json:"service"` // com.amazonaws.REGION.s3
	Kind    string   `json:"kind"`    // "Gateway", "Interface"
	State   string   `json:"state,omitempty"`
	Policy  string   `json:"policy,omitempty"` // JSON
	Groups  []string `json:"groups,omitempty"`
}

// NAT is a NAT gateway.
type NAT struct {
	ID     string `json:"id"`
	VPC    string `json:"vpc"`
	Subnet string `json:"subnet"`
	State  string `json:"state"`
	Tags   Tags   `json:"tags,omitempty"`
}

// Address is an Elastic IP.
type Address struct {
	ID        string `json:"id"` // eipalloc-
	IP        string `json:"ip"`
	Instance  string `json:"instance,omitempty"`
	Interface string `json:"interface,omitempty"` // neither: it is paid for and unused
	Tags      Tags   `json:"tags,omitempty"`
}

// Metadata are the options of the instance metadata service.
type Metadata struct {
	Endpoint string `json:"endpoint,omitempty"` // "enabled", "disabled"; empty: as the account's default
	Tokens   string `json:"tokens,omitempty"`   // "required", "optional"
	Hops     int    `json:"hops,omitempty"`
}

// Instance is an EC2 instance.
type Instance struct {
	ID            string    `json:"id"`
	State         string    `json:"state"` // "running", "stopped", ...
	Type          string    `json:"type,omitempty"`
	Image         string    `json:"image,omitempty"`
	VPC           string    `json:"vpc,omitempty"`
	Subnet        string    `json:"subnet,omitempty"`
	KeyPair       string    `json:"key_pair,omitempty"`
	Profile       string    `json:"profile,omitempty"` // name of its instance profile
	PublicIP      string    `json:"public_ip,omitempty"`
	Groups        []string  `json:"groups,omitempty"`
	Interfaces    []string  `json:"interfaces,omitempty"`
	Volumes       []string  `json:"volumes,omitempty"`
	Metadata      Metadata  `json:"metadata,omitzero"`
	ScalingGroup  string    `json:"scaling_group,omitempty"`
	Launched      time.Time `json:"launched,omitzero"`
	UserData      UserData  `json:"user_data,omitzero"`
	ConsoleOutput UserData  `json:"console_output,omitzero"`
	Tags          Tags      `json:"tags,omitempty"`
}

// UserData is what was seen of a text that anybody may read who may describe
// instances; never the text.
type UserData struct {
	SHA256 string `json:"sha256,omitempty"` // of the text; empty: there is none
	Bytes  int    `json:"bytes,omitempty"`
	Hits   []Hit  `json:"hits,omitempty"`
}

// Hit is a line that should not be there.
type Hit struct {
	Line int    `json:"line"`
	Kind string `json:"kind"` // "password", "private key", "access key", "chmod 777", "unverified download", "metadata version 1"
}

// LaunchTemplate is how instances are started, in the version that a scaling
// group or instance uses, or the default one.
type LaunchTemplate struct {
	ID        string   `json:"id"`
	Name      string   `json:"name"`
	Version   string   `json:"version"`
	Image     string   `json:"image,omitempty"`
	KeyPair   string   `json:"key_pair,omitempty"`
	Metadata  Metadata `json:"metadata,omitzero"`
	PublicIP  bool     `json:"public_ip,omitempty"`
	Groups    []string `json:"groups,omitempty"`    // security groups of what it starts
	Encrypted bool     `json:"encrypted,omitempty"` // all of its volumes
	UserData  UserData `json:"user_data,omitzero"`
	Tags      Tags     `json:"tags,omitempty"`
}

// Volume is an EBS volume.
type Volume struct {
	ID        string    `json:"id"`
	Type      string    `json:"type,omitempty"` // "gp3"
	Encrypted bool      `json:"encrypted,omitempty"`
	Key       string    `json:"key,omitempty"` // ARN of the KMS key
	Instances []string  `json:"instances,omitempty"`
	Created   time.Time `json:"created,omitzero"`
	Tags      Tags      `json:"tags,omitempty"`
}

// DiskDefaults are those of the account in this region.
type DiskDefaults struct {
	Encrypted     bool   `json:"encrypted,omitempty"`
	SnapshotBlock string `json:"snapshot_block,omitempty"` // "block-all-sharing", "block-new-sharing", "unblocked"
}

// Snapshot is a copy of a volume that this account owns.
type Snapshot struct {
	ID        string    `json:"id"`
	Volume    string    `json:"volume,omitempty"`
	Encrypted bool      `json:"encrypted,omitempty"`
	Public    bool      `json:"public,omitempty"`
	SharedTo  []string  `json:"shared_to,omitempty"` // accounts
	Started   time.Time `json:"started,omitzero"`
	Tags      Tags      `json:"tags,omitempty"`
}

// Image is an AMI. What is not there any more has only its id.
type Image struct {
	ID         string    `json:"id"`
	Owner      string    `json:"owner,omitempty"` // account
	Name       string    `json:"name,omitempty"`
	Created    time.Time `json:"created,omitzero"`
	Deprecated time.Time `json:"deprecated,omitzero"` // from then on
	Public     bool      `json:"public,omitempty"`
}

// ManagedInstance is an instance that Systems Manager knows.
type ManagedInstance struct {
	ID      string    `json:"id"`
	Ping    string    `json:"ping"` // "Online"
	Agent   string    `json:"agent,omitempty"`
	Current bool      `json:"current,omitempty"` // the agent is the latest
	Patch   Patches   `json:"patch,omitzero"`
	Seen    time.Time `json:"seen,omitzero"`
}

// Patches are what Patch Manager, or rocca's own report, says of an instance.
type Patches struct {
	At              time.Time `json:"at,omitzero"` // when it was looked; zero: never
	MissingSecurity int       `json:"missing_security,omitempty"`
	Failed          int       `json:"failed,omitempty"`
	By              string    `json:"by,omitempty"` // "patch manager", "rocca audit"
}

// Updates are what the servers tell of themselves (rocca aws report), the worst
// of them.
type Updates struct {
	At      time.Time `json:"at,omitzero"`       // when they last told; zero: they did not
	Missing int       `json:"missing,omitempty"` // updates that a server lacks, by its own rocca audit (HST-02)
}

// Vulnerabilities are what Inspector knows.
type Vulnerabilities struct {
	Enabled  bool     `json:"enabled,omitempty"`
	Critical []string `json:"critical,omitempty"` // "CVE-... on i-..." of critical, open findings with an exploit
}

// ScalingGroup is an auto-scaling group.
type ScalingGroup struct {
	Name      string   `json:"name"`
	Template  string   `json:"template,omitempty"` // id of the launch template; empty: a launch configuration
	Health    string   `json:"health"`             // "ELB", "EC2"
	Zones     []string `json:"zones,omitempty"`
	Subnets   []string `json:"subnets,omitempty"`
	Min       int      `json:"min"`
	Max       int      `json:"max"`
	Targets   []string `json:"targets,omitempty"`   // ARNs of target groups
	Suspended []string `json:"suspended,omitempty"` // processes
	Instances []string `json:"instances,omitempty"`
	Tags      Tags     `json:"tags,omitempty"`
}

// Balancer is a load balancer.
type Balancer struct {
	ARN        string            `json:"arn"`
	Name       string            `json:"name"`
	Kind       string            `json:"kind"`   // "application", "network"
	Scheme     string            `json:"scheme"` // "internet-facing", "internal"
	VPC        string            `json:"vpc,omitempty"`
	Subnets    []string          `json:"subnets,omitempty"`
	Groups     []string          `json:"groups,omitempty"`
	Attributes map[string]string `json:"attributes,omitempty"` // as AWS names them
	Listeners  []CloudListener   `json:"listeners,omitempty"`
	Firewall   string            `json:"firewall,omitempty"` // ARN of the web ACL before it
	Tags       Tags              `json:"tags,omitempty"`
}

// CloudListener is a door of a load balancer.
type CloudListener struct {
	ARN          string         `json:"arn"`
	Port         int            `json:"port"`
	Protocol     string         `json:"protocol"`         // "HTTP", "HTTPS", ...
	Policy       string         `json:"policy,omitempty"` // SSL policy
	Versions     []string       `json:"versions,omitempty"`
	Certificates []string       `json:"certificates,omitempty"` // ARNs
	Default      ListenAction   `json:"default,omitzero"`
	Rules        []ListenerRule `json:"rules,omitempty"` // but the default one
}

// ListenerRule is a condition and what is done.
type ListenerRule struct {
	ARN      string       `json:"arn,omitempty"`
	Priority int          `json:"priority"`
	Hosts    []string     `json:"hosts,omitempty"`
	Paths    []string     `json:"paths,omitempty"`
	Action   ListenAction `json:"action,omitzero"`
}

// ListenAction is what a listener does with a request.
type ListenAction struct {
	Kind    string   `json:"kind"`              // "forward", "redirect", "fixed-response", "authenticate-oidc", ...
	To      string   `json:"to,omitempty"`      // of redirect: "HTTPS:443"
	Status  string   `json:"status,omitempty"`  // "HTTP_301", "421"
	Targets []string `json:"targets,omitempty"` // ARNs of target groups, of forward
}

// TargetGroup is a set of instances behind a load balancer.
type TargetGroup struct {
	ARN        string   `json:"arn"`
	Name       string   `json:"name"`
	Protocol   string   `json:"protocol"` // "HTTPS"
	Port       int      `json:"port,omitempty"`
	HealthPath string   `json:"health_path,omitempty"`
	Healthy    []string `json:"healthy,omitempty"` // ids
	Unhealthy  []string `json:"unhealthy,omitempty"`
	Balancers  []string `json:"balancers,omitempty"`
	Tags       Tags     `json:"tags,omitempty"`
}

// CloudCertificate is one of ACM.
type CloudCertificate struct {
	ARN     string    `json:"arn"`
	Domain  string    `json:"domain"`
	Names   []string  `json:"names,omitempty"`
	Status  string    `json:"status"`            // "ISSUED", ...
	Kind    string    `json:"kind,omitempty"`    // "AMAZON_ISSUED", "IMPORTED"
	Renewal string    `json:"renewal,omitempty"` // "ELIGIBLE", "INELIGIBLE"
	Expires time.Time `json:"expires,omitzero"`
	InUse   []string  `json:"in_use,omitempty"` // ARNs
}

// WebFirewall is a web ACL of AWS WAF.
type WebFirewall struct {
	ARN      string         `json:"arn"`
	Name     string         `json:"name"`
	Default  string         `json:"default"` // "allow", "block"
	Rules    []FirewallRule `json:"rules,omitempty"`
	Metrics  bool           `json:"metrics,omitempty"`
	LoggedTo []string       `json:"logged_to,omitempty"` // ARNs
	Redacted []string       `json:"redacted,omitempty"`  // "query string", "header cookie", "header authorization", "uri path", "method"
	Tags     Tags           `json:"tags,omitempty"`
}

// FirewallRule is a rule of it.
type FirewallRule struct {
	Name          string   `json:"name"`
	Managed       string   `json:"managed,omitempty"`        // name of the managed group, such as AWSManagedRulesCommonRuleSet
	Rate          int      `json:"rate,omitempty"`           // requests of one address per window
	Effect        string   `json:"effect"`                   // "block", "count", "allow", "captcha", "challenge"; of a managed group "block" unless overridden
	Counted       []string `json:"counted,omitempty"`        // rules of a managed group that only count
	Scoped        bool     `json:"scoped,omitempty"`         // it has a scope-down statement
	SparesTracker bool     `json:"spares_tracker,omitempty"` // requests for matomo.php do not reach it
}

// Zone is the hosted zone of the domain, as far as it concerns this name.
type Zone struct {
	ID      string       `json:"id,omitempty"`
	Name    string       `json:"name,omitempty"`
	Records []ZoneRecord `json:"records,omitempty"` // A, AAAA, CNAME of the domain and below; CAA of the domain and above
}

// ZoneRecord is a record of DNS.
type ZoneRecord struct {
	Name   string   `json:"name"`
	Type   string   `json:"type"`
	Values []string `json:"values,omitempty"`
	Alias  string   `json:"alias,omitempty"`  // DNS name of the resource
	Exists bool     `json:"exists,omitempty"` // the alias, or address, is a resource of this account that is there
}

// Seen is one check of the public name from outside (rocca aws verify).
type Seen struct {
	ID     string `json:"id"`
	Status string `json:"status"` // "ok", "warn", "fail", "unknown"
	Text   string `json:"text,omitempty"`
}

// CloudDatabase is an RDS instance.
type CloudDatabase struct {
	ID             string            `json:"id"`
	ARN            string            `json:"arn,omitempty"`
	Engine         string            `json:"engine"`
	Version        string            `json:"version"`
	Status         string            `json:"status"`
	Public         bool              `json:"public,omitempty"`
	Encrypted      bool              `json:"encrypted,omitempty"`
	Key            string            `json:"key,omitempty"`
	MultiAZ        bool              `json:"multi_az,omitempty"`
	BackupDays     int               `json:"backup_days,omitempty"`
	Restorable     time.Time         `json:"restorable,omitzero"` // latest point in time
	Protected      bool              `json:"protected,omitempty"` // deletion protection
	CopiesTags     bool              `json:"copies_tags,omitempty"`
	MinorUpgrades  bool              `json:"minor_upgrades,omitempty"`
	Lifecycle      string            `json:"lifecycle,omitempty"`     // "open-source-rds-extended-support", "...-disabled"
	Logs           []string          `json:"logs,omitempty"`          // exported: "error", "slowquery"
	Monitoring     int               `json:"monitoring,omitempty"`    // seconds between measurements; 0: off
	Master         string            `json:"master,omitempty"`        // name of its administrator
	MasterSecret   string            `json:"master_secret,omitempty"` // ARN, where RDS manages it
	IAMLogin       bool              `json:"iam_login,omitempty"`
	Authority      string            `json:"authority,omitempty"` // CA identifier
	Storage        string            `json:"storage,omitempty"`   // "gp3"
	VPC            string            `json:"vpc,omitempty"`
	Subnets        []string          `json:"subnets,omitempty"`
	Groups         []string          `json:"groups,omitempty"`
	ParameterGroup string            `json:"parameter_group,omitempty"`
	InSync         bool              `json:"in_sync,omitempty"`    // its settings are in force
	Parameters     map[string]string `json:"parameters,omitempty"` // those that controls ask about: require_secure_transport, tls_version, local_infile, ...
	Created        time.Time         `json:"created,omitzero"`
	Tags           Tags              `json:"tags,omitempty"`
}

// DBSnapshot is a snapshot of an RDS instance.
type DBSnapshot struct {
	ID        string   `json:"id"`
	Database  string   `json:"database"`
	Encrypted bool     `json:"encrypted,omitempty"`
	SharedTo  []string `json:"shared_to,omitempty"` // accounts, or "all"
}

// DBAuthority is a CA of RDS.
type DBAuthority struct {
	ID      string    `json:"id"`
	Expires time.Time `json:"expires,omitzero"`
}

// DBEngine is until when a major version has standard support.
type DBEngine struct {
	Engine       string    `json:"engine"`
	Major        string    `json:"major"` // "8.4"
	StandardEnds time.Time `json:"standard_ends,omitzero"`
}

// CloudCache is a replication group of ElastiCache.
type CloudCache struct {
	ID          string   `json:"id"`
	Engine      string   `json:"engine,omitempty"`
	Transit     bool     `json:"transit,omitempty"`      // TLS
	TransitMode string   `json:"transit_mode,omitempty"` // "required", "preferred"
	AtRest      bool     `json:"at_rest,omitempty"`
	Key         string   `json:"key,omitempty"`
	UserGroups  []string `json:"user_groups,omitempty"`
	AuthToken   bool     `json:"auth_token,omitempty"`
	Failover    bool     `json:"failover,omitempty"`
	Backups     int      `json:"backups,omitempty"` // days
	Upgrades    bool     `json:"upgrades,omitempty"`
	Tags        Tags     `json:"tags,omitempty"`
}

// CloudSecret is what is known about a secret of Secrets Manager but its value.
type CloudSecret struct {
	ARN          string    `json:"arn"`
	Name         string    `json:"name"`
	Key          string    `json:"key,omitempty"` // empty: AWS's own
	Changed      time.Time `json:"changed,omitzero"`
	Accessed     time.Time `json:"accessed,omitzero"`
	Created      time.Time `json:"created,omitzero"`
	Rotates      bool      `json:"rotates,omitempty"`       // automatically
	Rotated      time.Time `json:"rotated,omitzero"`        // last
	RotationDays int       `json:"rotation_days,omitempty"` //
	Owner        string    `json:"owner,omitempty"`         // service that manages it: "rds"
	Stages       []string  `json:"stages,omitempty"`        // "AWSCURRENT", "AWSPENDING", ...
	Policy       string    `json:"policy,omitempty"`        // resource policy, JSON
	Deleted      bool      `json:"deleted,omitempty"`       // it is to be deleted
	Tags         Tags      `json:"tags,omitempty"`
}

// Parameter is one of Systems Manager's Parameter Store, without its value.
type Parameter struct {
	Name    string    `json:"name"`
	Kind    string    `json:"kind"` // "String", "StringList", "SecureString"
	Changed time.Time `json:"changed,omitzero"`
}

// ManagedDocument is a document of Systems Manager.
type ManagedDocument struct {
	Name     string   `json:"name"`
	SharedTo []string `json:"shared_to,omitempty"` // accounts, or "all"
}

// CloudKey is a key of KMS that this account manages.
type CloudKey struct {
	ARN     string   `json:"arn"`
	Aliases []string `json:"aliases,omitempty"`
	State   string   `json:"state"` // "Enabled", "PendingDeletion", ...
	Rotates bool     `json:"rotates,omitempty"`
	Kind    string   `json:"kind,omitempty"`   // "SYMMETRIC_DEFAULT", ...
	Policy  string   `json:"policy,omitempty"` // JSON
	Tags    Tags     `json:"tags,omitempty"`
}

// CloudRole is a role of IAM.
type CloudRole struct {
	Name     string        `json:"name"`
	ARN      string        `json:"arn"`
	Trust    string        `json:"trust,omitempty"` // JSON: who may assume it
	Policies []CloudPolicy `json:"policies,omitempty"`
	Boundary string        `json:"boundary,omitempty"` // ARN
	Used     time.Time     `json:"used,omitzero"`      // last; zero: never, as far as is known
	Created  time.Time     `json:"created,omitzero"`
	Profiles []string      `json:"profiles,omitempty"` // names of its instance profiles
	Tags     Tags          `json:"tags,omitempty"`
}

// CloudPolicy is a policy of a role.
type CloudPolicy struct {
	Name     string `json:"name"`
	ARN      string `json:"arn,omitempty"` // empty: inline
	Document string `json:"document"`      // JSON
}

// RootUser is what the account summary says.
type RootUser struct {
	MFA  bool `json:"mfa,omitempty"`
	Keys int  `json:"keys,omitempty"` // access keys
}

// CloudUser is a user of IAM, from the credential report.
type CloudUser struct {
	Name         string      `json:"name"`
	Console      bool        `json:"console,omitempty"` // has a password
	MFA          bool        `json:"mfa,omitempty"`
	PasswordUsed time.Time   `json:"password_used,omitzero"`
	Keys         []AccessKey `json:"keys,omitempty"` // that are active
	Created      time.Time   `json:"created,omitzero"`
}

// AccessKey is one that is active. Its id is not needed, and not kept.
type AccessKey struct {
	Rotated time.Time `json:"rotated,omitzero"`
	Used    time.Time `json:"used,omitzero"`
}

// Analyzer is one of IAM Access Analyzer.
type Analyzer struct {
	Name     string   `json:"name"`
	Status   string   `json:"status"`             // "ACTIVE"
	External []string `json:"external,omitempty"` // ARNs that others may use, of open findings
}

// Trail is one of CloudTrail.
type Trail struct {
	Name         string   `json:"name"`
	ARN          string   `json:"arn"`
	MultiRegion  bool     `json:"multi_region,omitempty"`
	Organization bool     `json:"organization,omitempty"`
	Global       bool     `json:"global,omitempty"` // events of IAM and the like
	Validated    bool     `json:"validated,omitempty"`
	Key          string   `json:"key,omitempty"`
	Bucket       string   `json:"bucket,omitempty"`
	LogGroup     string   `json:"log_group,omitempty"` // ARN
	Logging      bool     `json:"logging,omitempty"`
	Error        string   `json:"error,omitempty"`      // of the latest delivery
	Management   string   `json:"management,omitempty"` // "All", "ReadOnly", "WriteOnly", "None"
	Data         []string `json:"data,omitempty"`       // types of data events
}

// Threats are what GuardDuty knows.
type Threats struct {
	Enabled  bool            `json:"enabled,omitempty"`
	Detector string          `json:"detector,omitempty"`
	Open     []ThreatFinding `json:"open,omitempty"` // of severity 4 and more
}

// ThreatFinding is one finding of GuardDuty.
type ThreatFinding struct {
	ID       string    `json:"id"`
	Kind     string    `json:"kind"`
	Severity float64   `json:"severity"`
	Resource string    `json:"resource,omitempty"` // id of the instance, key, bucket, ...
	At       time.Time `json:"at,omitzero"`
}

// Recorder is that of AWS Config.
type Recorder struct {
	Exists    bool   `json:"exists,omitempty"`
	Recording bool   `json:"recording,omitempty"`
	Status    string `json:"status,omitempty"` // of the last delivery
	All       bool   `json:"all,omitempty"`    // every supported type
}

// Hub is Security Hub.
type Hub struct {
	Enabled   bool     `json:"enabled,omitempty"`
	Standards []string `json:"standards,omitempty"` // ARNs
}

// Alarm is one of CloudWatch.
type Alarm struct {
	Name      string    `json:"name"`
	Metric    string    `json:"metric,omitempty"`
	Namespace string    `json:"namespace,omitempty"`
	State     string    `json:"state"` // "OK", "ALARM", "INSUFFICIENT_DATA"
	Since     time.Time `json:"since,omitzero"`
	Enabled   bool      `json:"enabled,omitempty"` // its actions
	Actions   []string  `json:"actions,omitempty"` // ARNs
	Ends      []string  `json:"ends,omitempty"`    // ARNs that are told that it is over
	Tags      Tags      `json:"tags,omitempty"`
}

// MetricFilter counts lines of a log.
type MetricFilter struct {
	Group   string `json:"group"`
	Name    string `json:"name"`
	Pattern string `json:"pattern"`
	Metric  string `json:"metric"` // NAMESPACE/NAME
}

// LogGroup is one of CloudWatch Logs.
type LogGroup struct {
	Name string `json:"name"`
	Days int    `json:"days,omitempty"` // 0: for ever
	Key  string `json:"key,omitempty"`
	Tags Tags   `json:"tags,omitempty"`
}

// Topic is one of SNS.
type Topic struct {
	ARN         string         `json:"arn"`
	Key         string         `json:"key,omitempty"`
	Policy      string         `json:"policy,omitempty"` // JSON
	Subscribers []Subscription `json:"subscribers,omitempty"`
	Tags        Tags           `json:"tags,omitempty"`
}

// Subscription is who is told.
type Subscription struct {
	Protocol  string `json:"protocol"` // "email"
	Confirmed bool   `json:"confirmed,omitempty"`
}

// Bucket is one of S3.
type Bucket struct {
	Name        string `json:"name"`
	BlockPublic bool   `json:"block_public,omitempty"` // all four settings, of the bucket or the account
	Policy      string `json:"policy,omitempty"`       // JSON
	Encryption  string `json:"encryption,omitempty"`   // "aws:kms", "AES256"
	Key         string `json:"key,omitempty"`
	Versioned   bool   `json:"versioned,omitempty"`
	MFADelete   bool   `json:"mfa_delete,omitempty"`
	Lock        string `json:"lock,omitempty"`      // Object Lock: "GOVERNANCE", "COMPLIANCE", "on" without a default retention
	LockDays    int    `json:"lock_days,omitempty"` //
	LoggedTo    string `json:"logged_to,omitempty"` // bucket
	Lifecycle   bool   `json:"lifecycle,omitempty"`
	ACLs        bool   `json:"acls,omitempty"` // access control lists still count
	Tags        Tags   `json:"tags,omitempty"`
}

// BackupPlan is one of AWS Backup.
type BackupPlan struct {
	ID        string           `json:"id"`
	Name      string           `json:"name"`
	Rules     []BackupRule     `json:"rules,omitempty"`
	Selection []BackupSelected `json:"selection,omitempty"`
}

// BackupRule is when, where to and for how long.
type BackupRule struct {
	Vault    string `json:"vault"`
	Schedule string `json:"schedule,omitempty"`
	Days     int    `json:"days,omitempty"` // 0: for ever
	CopyTo   string `json:"copy_to,omitempty"`
}

// BackupSelected is what a plan takes.
type BackupSelected struct {
	Resources []string `json:"resources,omitempty"` // ARN patterns
	Tags      Tags     `json:"tags,omitempty"`      // that a resource must have
}

// Vault is where recovery points are kept.
type Vault struct {
	Name   string `json:"name"`
	Key    string `json:"key,omitempty"`
	Locked bool   `json:"locked,omitempty"`
	Days   int    `json:"days,omitempty"` // least retention that the lock asks for
}

// ProtectedResource is what has a recovery point.
type ProtectedResource struct {
	ARN  string    `json:"arn"`
	Kind string    `json:"kind"` // "RDS", "EBS", "EC2", "S3"
	Last time.Time `json:"last,omitzero"`
}

// Restore is a restore job.
type Restore struct {
	Kind   string    `json:"kind"`
	Status string    `json:"status"` // "COMPLETED"
	At     time.Time `json:"at,omitzero"`
}

// CloudStack is one of CloudFormation.
type CloudStack struct {
	Name      string    `json:"name"`
	Status    string    `json:"status"`
	Protected bool      `json:"protected,omitempty"` // termination protection
	Policy    bool      `json:"policy,omitempty"`    // it has a stack policy
	Drift     string    `json:"drift,omitempty"`     // "IN_SYNC", "DRIFTED", "NOT_CHECKED"
	Checked   time.Time `json:"checked,omitzero"`    // for drift, last
	Secrets   []string  `json:"secrets,omitempty"`   // names of outputs and parameters whose value looks like a secret
	Tags      Tags      `json:"tags,omitempty"`
}

// Budget is one of AWS Budgets.
type Budget struct {
	Name     string `json:"name"`
	Forecast bool   `json:"forecast,omitempty"` // it tells of a forecast above the limit
	Told     int    `json:"told,omitempty"`     // how many addresses
}

// SecurityContact is the alternate contact of the account for security.
type SecurityContact struct {
	Set bool `json:"set,omitempty"`
}

// Rehearsal is one practice of the answer to an incident.
type Rehearsal struct {
	At   time.Time `json:"at"`
	Case string    `json:"case"`
	Well bool      `json:"well,omitempty"` // every step was done
}
