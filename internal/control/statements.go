package control

import (
	"strconv"

	"rocca/internal/model"
)

// Statement is what one of the two source documents demands.
type Statement struct {
	model.Ref        // "S1" or "S2" with its number, in reading order
	Text      string // in a few words
	Later     string // controls of parts that rocca does not have yet
}

// asAWhole is the item of a reference to a whole document.
const asAWhole = "as a whole"

// Sources names the two documents that rocca began with.
var Sources = []struct{ Scheme, Name string }{
	{"S1", "the security guide of a Matomo server on AWS"},
	{"S2", "the talk about hardening a Matomo server"},
}

// Statements lists every statement of both documents.
func Statements() []Statement {
	var all []Statement
	for _, document := range []struct {
		scheme string
		list   []struct{ text, later string }
	}{{"S1", guide}, {"S2", talk}} {
		for i, s := range document.list {
			all = append(all, Statement{model.Ref{Scheme: document.scheme, Item: strconv.Itoa(i + 1)}, s.text, s.later})
		}
	}
	return all
}

var guide = []struct{ text, later string }{
	{"zero local secrets", "AWS-13"},
	{"network isolation", "AWS-14"},
	{"least privilege", "AWS-01 AWS-02"},
	{"encryption at rest and in transit", "AWS-09 BKP-02"},
	{"instance public, controlled", "AWS-05 AWS-14"},
	{"database private, no Internet", "AWS-08"},
	{"security groups as firewall", "AWS-05 AWS-07"},
	{"own VPC range", "AWS-14"},
	{"public by a gateway, private by NAT", "AWS-08 AWS-14"},
	{"route tables", "AWS-14"},
	{"network ACLs", "AWS-14"},
	{"port 22, open to all by default", "AWS-04"},
	{"port 80 open", "AWS-05"},
	{"port 443 open", "AWS-05"},
	{"egress open", "AWS-06"},
	{"3306 from the web group only, no egress", "AWS-07"},
	{"SSH key as a secure parameter", "AWS-03"},
	{"key fetched to a local file", "AWS-03"},
	{"database login in a secret manager, rotation possible", "AWS-12"},
	{"instance reads the secret", "AWS-02"},
	{"role policy with path wildcards", "AWS-02"},
	{"trusted hosts, name and IP", ""},
	{"four security headers", ""},
	{"database user is not root", ""},
	{"database encrypted at rest", "AWS-09"},
	{"backups configurable, off by default", "BKP-01 AWS-11"},
	{"TLS to the database forced", "AWS-10"},
	{"strong generated passwords", ""},
	{"database access from the application's group only", "AWS-07"},
	{"reads of secrets watched in CloudTrail", "AWS-17"},
	{"VPC flow logs, all traffic", "AWS-18"},
	{"SSH from one address", "AWS-04"},
	{"configuration edited on the server by hand", ""},
	{"retention 7 days, multi-AZ", "BKP-01 BKP-04 AWS-11"},
	{"load balancer with certificate", "AWS-15"},
	{"WAF with common rules", "AWS-16"},
	{"web only from the load balancer", "AWS-05"},
	{"roles and policies reviewed", "AWS-02 AWS-20"},
	{"groups reviewed", "AWS-05 AWS-20"},
	{"database secret rotated", "AWS-12"},
	{"new SSH keys", "AWS-20"},
	{"failed passwords in the log", "LOG-03"},
	{"Matomo's access log watched", "LOG-03"},
	{"checklist of ten", "AWS-05 AWS-17 AWS-18 BKP-03"},
	{"instance isolated", "AWS-21"},
	{"forensic snapshot", "AWS-21"},
	{"steps in a breach", ""},
	{"emergency rotation, restart", "AWS-12"},
	{"AWS Config", "AWS-19"},
	{"GuardDuty", "AWS-19"},
	{"Security Hub", "AWS-19"},
	{"security is never finished", ""},
}

var talk = []struct{ text, later string }{
	{"an IP address is personal data", ""},
	{"a shortened address may not be anonymous", ""},
	{"transfer abroad needs adequate protection", ""},
	{"do not embed, host locally", ""},
	{"free software on client and server", ""},
	{"Kerckhoffs: no hidden design", ""},
	{"keep it simple", ""},
	{"reduce the attack surface", ""},
	{"how many plugins are unused?", ""},
	{"assess plugins, switch the rest off in production", ""},
	{"a second factor is no excuse", ""},
	{"forcing a second factor on all may be wrong", ""},
	{"train before enforcing", ""},
	{"an open app for the second factor", ""},
	{"what if compromised: hold less data", ""},
	{"each file: user, group, others", ""},
	{"front and FPM on port 9000", ""},
	{"mod_php: all hosts are one user; what if app2 falls?", ""},
	{"open_basedir: common mistakes", ""},
	{"the front serves static files, FPM the rest", ""},
	{"one FPM pool, port and process for each application", ""},
	{"one Unix user for each pool, the front its own", ""},
	{"owners of files as the users", ""},
	{"its own tmp", ""},
	{"www leads to a versioned directory, a link of root", ""},
	{"an example of pool and host settings", ""},
	{"code owned by root, strictly read-only", ""},
	{"writable: config, tmp, matomo.js, piwik.js", ""},
	{"follow news of weaknesses", ""},
	{"keep the platform current", ""},
	{"keep users trained", ""},
	{"devices without malware", ""},
	{"Firefox or Chromium", ""},
	{"read the documentation", ""},
	{"values for time zone and memory limit", ""},
}
