package settings

import (
	"slices"

	"rocca/internal/document"
)

// keys has every key of Settings, in the order of its fields.
var keys = slices.Concat([]document.Key{
	{"name", "Name of the deployment. The stacks are NAME-base, NAME-data and NAME-app, and all that is made has the name in its own or in the tag rocca:deployment. It cannot be changed later.", "stats"},
	{"region", "Region of AWS, such as eu-central-1 (Frankfurt). It cannot be changed later.", "eu-central-1"},
	{"data_residency", "With eu, a region outside of the European Union is refused, for the deployment and for copies of backups. London and Zurich are outside. Empty: any region.", "eu"},
	{"profile", "Size: single (one instance with its own address and database), standard (load balancer and firewall, the database on RDS with a standby) or scale (trackers, user interface and jobs apart, a queue for hits). It decides every default below.", "standard"},
	{"domain", "Name that visitors and you use. Its DNS has to lead to the deployment; rocca aws info says where.", "stats.example.org"},
	{"zone", "Id of the Route 53 hosted zone of the domain: rocca then writes its records. Empty: its DNS is kept elsewhere, and you write them.", "Z0123456789ABCDEFGHIJ"},
	{"email", "Address that gets every alarm. AWS asks it for a confirmation first.", "ops@example.org"},
	{"admin_networks", "Networks or single addresses that may reach the user interface and the API. Empty: everybody. The tracker is always public.", "[192.0.2.0/24, 203.0.113.7]"},
	{"network", "The network of the deployment (VPC).", ""},
	{"network.cidr", "Its addresses: a private IPv4 network of /16 to /22 that overlaps none that it will ever be connected to. It cannot be changed later.", "10.30.0.0/16"},
	{"network.zones", "Availability zones, two or three of the region.", "[eu-central-1a, eu-central-1b, eu-central-1c]"},
	{"network.nat", "How instances without an address of their own get out: one NAT gateway, or one in every zone (per-zone). With single, none: its instance has an address.", "per-zone"},
	{"network.endpoints", "Calls to AWS stay inside the network, by an interface endpoint for each service. Each bills by the hour in every zone.", "true"},
	{"network.egress", "Host names, or *.NAME for all below one, that instances may look up beside those that rocca needs. Any other name then does not resolve. Empty: names are not limited.", "[smtp.example.org]"},
	{"network.ssh", "Networks or single addresses that reach port 22. Empty: nobody, because sessions go through AWS (rocca aws ssh).", "[203.0.113.7]"},
	{"instance", "The server, or each of them.", ""},
	{"instance.type", "EC2 instance type. Those with a g behind the generation, such as t4g, are arm64.", "t4g.large"},
	{"instance.image", "Debian machine image for the region and architecture, pinned, so that a newer one does not replace the instance by surprise. rocca aws image --pin finds it and writes it here.", "ami-0123456789abcdef0"},
	{"instance.disk", "GB of the encrypted root volume.", "40"},
	{"instance.data", "GB of the encrypted volume with the local database. It outlives the instance.", "50"},
	{"instance.trackers", "Most instances that track at the same time. For scale only.", "8"},
	{"instance.agent", "Amazon's SSM agent, which Debian does not have. Without it, sessions go through EC2 Instance Connect.", ""},
	{"instance.agent.version", "Version to install.", "3.3.2299.0"},
	{"instance.agent.sha256", "SHA-256 of its Debian package for the architecture of the instance.", "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0"},
	{"database", "Where Matomo's data lies.", ""},
	{"database.kind", "local (MariaDB on the instance, single only) or rds (MySQL on RDS).", "rds"},
	{"database.class", "RDS instance class.", "db.t4g.large"},
	{"database.version", "Version of MySQL on RDS, to the last number.", "8.4.8"},
	{"database.storage", "GB of storage at first.", "100"},
	{"database.max_storage", "GB that the storage may grow to by itself, at least a tenth more.", "500"},
	{"database.multi_az", "A standby in another availability zone takes over when one fails. Doubles the price of the database.", "true"},
	{"database.backup_days", "Days that it can be set back to any second of: 7 to 35.", "35"},
	{"cache", "The managed Valkey that queues hits. For scale only.", ""},
	{"cache.type", "Node type; there are two nodes.", "cache.m7g.large"},
	{"tls", "Certificate of the load balancer.", ""},
	{"tls.certificate", "ARN of a certificate in ACM, in the same region. Empty: one is asked for and renewed by AWS, proven by a DNS record.", "arn:aws:acm:eu-central-1:123456789012:certificate/12345678-1234-1234-1234-123456789012"},
	{"firewall", "AWS WAF before the load balancer. With single, the web server limits by itself.", ""},
	{"firewall.rate", "Requests that one address may make in five minutes.", "5000"},
	{"firewall.login_rate", "The same for the login form and the recovery of passwords.", "50"},
	{"firewall.bots", "AWS's detection of bots. It costs extra, by the month and by the request.", "true"},
	{"monitoring", "What is watched, and how long logs are kept.", ""},
	{"monitoring.dashboard", "A dashboard in CloudWatch.", "false"},
	{"monitoring.alarms", "Alarms by e-mail. Without them nobody hears of a full disk or of a break-in.", "false"},
	{"monitoring.log_days", "Days that logs are kept, one of those that CloudWatch Logs knows.", "365"},
	{"monitoring.detailed", "Metrics of instances every minute instead of every five.", "false"},
	{"backup", "AWS Backup, beside the backups of the database itself.", ""},
	{"backup.days", "Days that a daily recovery point is kept. The vault is locked for as long.", "60"},
	{"backup.copy_region", "A second region that gets a copy of each. Empty: none.", "eu-west-1"},
	{"budget", "US dollars per month. A forecast above it sends a message; nothing is switched off.", "300"},
	{"account", "What rocca may set for the whole AWS account. It reads first, asks, and never lowers anything.", ""},
	{"account.trail", "Record every call to AWS (CloudTrail). Only with a trail of your organization, false.", "false"},
	{"account.guardduty", "Detect attacks (GuardDuty).", "false"},
	{"account.config", "Record how resources change (AWS Config).", "true"},
	{"account.hub", "Collect findings (Security Hub CSPM).", "true"},
	{"account.inspector", "Look for known vulnerabilities on instances (Inspector).", "true"},
	{"program", "The rocca that instances run. With none of these, this very program is uploaded to the bucket of the deployment.", ""},
	{"program.url", "https address that instances fetch it from.", "https://downloads.example.org/rocca-arm64"},
	{"program.sha256", "SHA-256 of what the address answers.", "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0"},
	{"program.file", "A rocca for the architecture of the instance, to upload instead of this one.", "bin/rocca-arm64"},
	{"release", "Version of Matomo. Empty: the newest that rocca knows.", "5.3.0"},
	{"server", "File with further keys of rocca.yaml for the servers, such as privacy, hardening and waivers. A name without / lies beside this file. What follows from the deployment (domain, database, roles ..) cannot be in it. Empty: none.", "server.yaml"},
	{"tags", "On everything that can have tags.", "[{key: Team, value: web}]"},
	{"tags.key", "Name of the tag.", "Team"},
	{"tags.value", "Its value.", "web"},
	{"waivers", "Findings of rocca aws audit that you accept for a time. When the time is over they are findings again.", "[{id: AWS-49, reason: test system, owner: jane, until: 2027-03-31}]"},
}, document.WaiverKeys("AWS-49", "sg-0123*", "a test system may stand still"))

// schema describes rocca-aws.yaml.
func schema() document.Schema {
	return document.Schema{
		Keys:   keys,
		Logins: "no password or key stands in this file: AWS and rocca make every secret, and credentials come from the AWS CLI's configuration",
	}
}
