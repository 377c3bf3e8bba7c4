// Package settings reads rocca-aws.yaml, which says what the owner wants of a
// Matomo server on AWS, into one typed, validated Settings. It reads the context
// "matomo" of a cdk.json as well. It touches nothing but that file.
package settings

import (
	"net/netip"

	"rocca/internal/document"
)

// DefaultPath is where the commands look when no other file is named: it lies
// in the directory of the owner's project, not on a server.
const DefaultPath = "rocca-aws.yaml"

// Profile is a size of deployment.
type Profile string

// The profiles, from small to large.
const (
	Single   Profile = "single"   // one instance with its own address; MariaDB on it
	Standard Profile = "standard" // load balancer, one instance in an auto-scaling group, RDS
	Scale    Profile = "scale"    // trackers, user interface and jobs apart; cache for the queue of hits
)

// Settings is everything its owner may decide about a deployment. Load fills
// in what the file leaves open, from the profile.
type Settings struct {
	Name          string            `yaml:"name"`           // of the deployment: stacks are NAME-base, NAME-data, NAME-app
	Region        string            `yaml:"region"`         // such as eu-central-1
	DataResidency string            `yaml:"data_residency"` // "eu": a region outside of the EU is refused; empty: anywhere
	Profile       Profile           `yaml:"profile"`        //
	Domain        string            `yaml:"domain"`         // name that visitors and the owner use
	Zone          string            `yaml:"zone"`           // id of the Route 53 hosted zone of Domain; empty: DNS is kept elsewhere
	Email         string            `yaml:"email"`          // gets every alarm; no default
	AdminNetworks []netip.Prefix    `yaml:"admin_networks"` // who may reach the user interface; empty: everybody
	Network       Network           `yaml:"network"`        //
	Instance      Instance          `yaml:"instance"`       //
	Database      Database          `yaml:"database"`       //
	Cache         Cache             `yaml:"cache"`          // scale only
	TLS           TLS               `yaml:"tls"`            // of the load balancer
	Firewall      Firewall          `yaml:"firewall"`       // AWS WAF before the load balancer
	Monitoring    Monitoring        `yaml:"monitoring"`     //
	Backup        Backup            `yaml:"backup"`         //
	Budget        int               `yaml:"budget"`         // US dollars per month; a forecast above it sends a message
	Account       Account           `yaml:"account"`        // settings of the whole account
	Program       Program           `yaml:"program"`        // the rocca that instances run
	Release       string            `yaml:"release"`        // version of Matomo; empty: the newest that rocca knows
	Server        string            `yaml:"server"`         // file with further keys of rocca.yaml for the servers; empty: none
	Tags          []Tag             `yaml:"tags"`           // on everything that can have tags
	Waivers       []document.Waiver `yaml:"waivers"`        // findings of rocca aws audit that the owner accepts for a time
}

// Network is the VPC.
type Network struct {
	CIDR      netip.Prefix   `yaml:"cidr"`      // of the VPC, /16 to /22
	Zones     []string       `yaml:"zones"`     // availability zones such as eu-central-1a, two or three
	NAT       string         `yaml:"nat"`       // NATNone, NATOne or NATPerZone
	Endpoints bool           `yaml:"endpoints"` // interface endpoints, so that calls to AWS stay inside
	Egress    []string       `yaml:"egress"`    // host names, or *.NAME, that instances may look up beside those rocca needs (DNS firewall); empty: not limited
	SSH       []netip.Prefix `yaml:"ssh"`       // networks that reach port 22; empty: nobody, sessions go through AWS
}

// Instance is the server, or each of them.
type Instance struct {
	Type     string `yaml:"type"`     // EC2 instance type, such as t4g.small
	Image    string `yaml:"image"`    // id of a Debian AMI, pinned; rocca aws image finds it
	Disk     int    `yaml:"disk"`     // GB of the encrypted root volume
	Data     int    `yaml:"data"`     // GB of the volume that outlives the instance (single with its own MariaDB)
	Trackers int    `yaml:"trackers"` // most instances that track (scale)
	Agent    Agent  `yaml:"agent"`    //
}

// Agent is Amazon's SSM agent, which is not in Debian: instances fetch this
// version from AWS and check it. Empty: there is none, and EC2 Instance Connect
// is the way in.
type Agent struct {
	Version string `yaml:"version"` // such as 3.3.2299.0
	SHA256  string `yaml:"sha256"`  // of its Debian package for the architecture of the instance
}

// Kinds of database.
const (
	DatabaseLocal = "local" // MariaDB on the instance
	DatabaseRDS   = "rds"   // MySQL on RDS
)

// Ways out for instances without an address of their own.
const (
	NATNone    = "none"
	NATOne     = "one"
	NATPerZone = "per-zone"
)

// Database is where Matomo's data lies.
type Database struct {
	Kind       string `yaml:"kind"`        // DatabaseLocal or DatabaseRDS
	Class      string `yaml:"class"`       // RDS instance class, such as db.t4g.medium
	Version    string `yaml:"version"`     // of MySQL, such as 8.4.6; major and minor
	Storage    int    `yaml:"storage"`     // GB at first
	MaxStorage int    `yaml:"max_storage"` // GB it may grow to by itself
	MultiAZ    bool   `yaml:"multi_az"`    // a standby in another availability zone
	BackupDays int    `yaml:"backup_days"` // 7 to 35
}

// Cache is the managed Valkey of the scale profile.
type Cache struct {
	Type string `yaml:"type"` // node type, such as cache.t4g.small
}

// TLS is the certificate of the load balancer.
type TLS struct {
	Certificate string `yaml:"certificate"` // ARN in ACM; empty: one is asked for, proven by DNS
}

// Firewall is the web application firewall.
type Firewall struct {
	Rate      int  `yaml:"rate"`       // requests of one address in five minutes
	LoginRate int  `yaml:"login_rate"` // the same, of the login form
	Bots      bool `yaml:"bots"`       // AWS bot control, which costs extra
}

// Monitoring is what is watched and kept.
type Monitoring struct {
	Dashboard bool `yaml:"dashboard"`
	Alarms    bool `yaml:"alarms"`
	LogDays   int  `yaml:"log_days"` // a retention that CloudWatch Logs knows
	Detailed  bool `yaml:"detailed"` // metrics of instances each minute
}

// Backup is AWS Backup.
type Backup struct {
	Days       int    `yaml:"days"`        // recovery points are kept; the vault is locked for as long
	CopyRegion string `yaml:"copy_region"` // a second region; empty: none
}

// Account is what rocca may do to the whole AWS account, in the account step.
type Account struct {
	Trail     bool `yaml:"trail"`     // make a trail in this stack; false where the organization has one
	GuardDuty bool `yaml:"guardduty"` //
	Config    bool `yaml:"config"`    // AWS Config recorder
	Hub       bool `yaml:"hub"`       // Security Hub
	Inspector bool `yaml:"inspector"` //
}

// Program says where instances get rocca. With URL, they fetch it there; with
// File, or neither (this very program), deploy puts it into the bucket of the
// deployment.
type Program struct {
	URL    string `yaml:"url"`    // https
	SHA256 string `yaml:"sha256"` // of what URL answers, 64 hexadecimal digits
	File   string `yaml:"file"`   // a rocca for the architecture of the instance
}

// Tag is a name and value on every resource.
type Tag struct {
	Key   string `yaml:"key"`
	Value string `yaml:"value"`
}

// RDS tells whether the database is an RDS instance.
func (s Settings) RDS() bool { return s.Database.Kind == DatabaseRDS }

// EU tells whether the region lies in the European Union.
func (s Settings) EU() bool {
	region, known := findRegion(s.Region)
	return known && region.EU
}

// Architecture is that of the instances as Debian names it, amd64 or arm64.
func (s Settings) Architecture() string { return architecture(s.Instance.Type) }

// StackName is the name in CloudFormation of the stack with a role, such as
// "base".
func (s Settings) StackName(role string) string { return s.Name + "-" + role }
