package control

import (
	"slices"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var firewalled = each[facts.Balancer]{
	all: publicBalancers,
	none: func(v *View) Verdict {
		if len(balancers(v)) > 0 {
			return notApplicable("no load balancer answers the Internet")
		}
		return unguarded("a load balancer with a web ACL of AWS WAF")(v)
	},
	judge: func(_ *View, b facts.Balancer) (against []model.Evidence, _ []string) {
		if b.Firewall == "" {
			against = append(against, model.Evidence{Subject: balancerSubject(b), Have: "no web ACL", Want: "a web ACL of AWS WAF"})
		}
		return against, nil
	},
	shows: func(_ *View, b facts.Balancer) []model.Evidence {
		return []model.Evidence{{Subject: balancerSubject(b), Have: "web ACL " + nameOfFirewall(b.Firewall)}}
	},
	puts: func(v *View, b facts.Balancer) []Change {
		var unused []facts.WebFirewall
		for _, f := range v.Cloud.Firewalls {
			if v.concerns(f.Tags, "") && f.Tags.Deployment() == b.Tags.Deployment() {
				unused = append(unused, f)
			}
		}
		if len(unused) != 1 {
			return nil // none, or the owner knows which
		}
		return []Change{{
			Sentence: "put the web ACL " + unused[0].Name + " before " + balancerSubject(b),
			Command:  v.commandLine("wafv2", "associate-web-acl", "--web-acl-arn", unused[0].ARN, "--resource-arn", b.ARN),
		}}
	},
}

func publicBalancers(v *View) []facts.Balancer {
	return slices.DeleteFunc(balancers(v), func(b facts.Balancer) bool { return b.Scheme == "internal" })
}

var aws016 = Control{
	ID:       "AWS-16",
	Title:    "a web application firewall stands before the load balancer",
	Why:      "Scanners try every known flaw of PHP within hours of its publication. The firewall stops those until Matomo is updated, and whoever tries passwords by the thousand.",
	Severity: model.High,
	Needs:    []facts.Section{facts.CloudBalancers, facts.CloudFirewalls},
	Eval:     firewalled.verdict,
	Fix:      guidedBy("Profile standard or scale of rocca-aws.yaml has such a firewall: rocca aws deploy. Elsewhere: a web ACL with the rules of AWS-42, associated with the load balancer.", deploying(firewalled.changes)),
	Maps:     []model.Ref{fsbp("ELB.16"), s1("36")},
	Since:    "0.6",
}
