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
	{"zero local secrets", ""},
	{"network isolation", ""},
	{"least privilege", ""},
	{"encryption at rest and in transit", "BKP-02"},
	{"instance public, controlled", ""},
	{"database private, no Internet", ""},
	{"security groups as firewall", ""},
	{"own VPC range", ""},
	{"public by a gateway, private by NAT", ""},
	{"route tables", ""},
	{"network ACLs", ""},
	{"port 22, open to all by default", ""},
	{"port 80 open", ""},
	{"port 443 open", ""},
	{"egress open", ""},
	{"3306 from the web group only, no egress", ""},
	{"SSH key as a secure parameter", ""},
	{"key fetched to a local file", ""},
	{"database login in a secret manager, rotation possible", ""},
	{"instance reads the secret", ""},
	{"role policy with path wildcards", ""},
	{"trusted hosts, name and IP", ""},
	{"four security headers", ""},
	{"database user is not root", ""},
	{"database encrypted at rest", ""},
	{"backups configurable, off by default", "BKP-01"},
	{"TLS to the database forced", ""},
	{"strong generated passwords", ""},
	{"database access from the application's group only", ""},
	{"reads of secrets watched in CloudTrail", ""},
	{"VPC flow logs, all traffic", ""},
	{"SSH from one address", ""},
	{"configuration edited on the server by hand", ""},
	{"retention 7 days, multi-AZ", "BKP-01 BKP-04"},
	{"load balancer with certificate", ""},
	{"WAF with common rules", ""},
	{"web only from the load balancer", ""},
	{"roles and policies reviewed", ""},
	{"groups reviewed", ""},
	{"database secret rotated", ""},
	{"new SSH keys", ""},
	{"failed passwords in the log", "LOG-03"},
	{"Matomo's access log watched", "LOG-03"},
	{"checklist of ten", "BKP-03"},
	{"instance isolated", ""},
	{"forensic snapshot", ""},
	{"steps in a breach", ""},
	{"emergency rotation, restart", ""},
	{"AWS Config", ""},
	{"GuardDuty", ""},
	{"Security Hub", ""},
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
