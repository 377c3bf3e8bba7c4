package control

import (
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// securityPolicies are those of Elastic Load Balancing with TLS 1.2 and 1.3 and
// forward secrecy only, the one that rocca deploys first.
var securityPolicies = []string{
	"ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09",
	"ELBSecurityPolicy-TLS13-1-2-PQ-2025-09",
	"ELBSecurityPolicy-TLS13-1-3-PQ-2025-09",
	"ELBSecurityPolicy-TLS13-1-2-FIPS-PQ-2025-09",
	"ELBSecurityPolicy-TLS13-1-2-Res-FIPS-PQ-2025-09",
	"ELBSecurityPolicy-TLS13-1-3-FIPS-PQ-2025-09",
	"ELBSecurityPolicy-TLS13-1-2-2021-06",
	"ELBSecurityPolicy-TLS13-1-2-Res-2021-06",
	"ELBSecurityPolicy-TLS13-1-3-2021-06",
	"ELBSecurityPolicy-TLS13-1-2-FIPS-2023-04",
	"ELBSecurityPolicy-TLS13-1-2-Res-FIPS-2023-04",
	"ELBSecurityPolicy-TLS13-1-3-FIPS-2023-04",
	"ELBSecurityPolicy-FS-1-2-Res-2020-10",
}

var balancerTLS = each[facts.Balancer]{
	all:  balancers,
	none: unguarded("a load balancer that ends TLS, with a certificate of ACM"),
	judge: func(_ *View, b facts.Balancer) (against []model.Evidence, _ []string) {
		if !slices.ContainsFunc(b.Listeners, encrypted) {
			against = append(against, model.Evidence{Subject: balancerSubject(b), Have: "no listener speaks TLS", Want: "a listener of HTTPS on port 443"})
		}
		for _, l := range b.Listeners {
			subject := listenerSubject(b, l)
			switch {
			case !encrypted(l):
				if forwards(l.Default) || slices.ContainsFunc(actionsOf(l.Rules), forwards) {
					against = append(against, model.Evidence{Subject: subject, Have: "passes requests on that come without TLS", Want: "a redirect to https"})
				}
			case slices.ContainsFunc(l.Versions, outdated):
				against = append(against, model.Evidence{Subject: subject, Have: l.Policy + ", with " + strings.Join(l.Versions, ", "), Want: securityPolicies[0]})
			case !slices.Contains(securityPolicies, l.Policy):
				against = append(against, model.Evidence{Subject: subject, Have: l.Policy, Want: securityPolicies[0] + ", or another with TLS 1.2 and 1.3 only"})
			}
		}
		return against, nil
	},
	shows: func(_ *View, b facts.Balancer) (seen []model.Evidence) {
		for _, l := range b.Listeners {
			if encrypted(l) {
				seen = append(seen, model.Evidence{Subject: listenerSubject(b, l), Have: l.Policy})
			}
		}
		return seen
	},
	puts: func(v *View, b facts.Balancer) (all []Change) {
		for _, l := range b.Listeners {
			if encrypted(l) && (slices.ContainsFunc(l.Versions, outdated) || !slices.Contains(securityPolicies, l.Policy)) {
				all = append(all, Change{
					Sentence: "let " + listenerSubject(b, l) + " speak TLS 1.2 and 1.3 only",
					Command:  v.commandLine("elbv2", "modify-listener", "--listener-arn", l.ARN, "--ssl-policy", securityPolicies[0]),
				})
			}
		}
		return all
	},
}

// outdated tells whether a version of TLS, as AWS names it, is older than 1.2.
func outdated(version string) bool { return version != "TLSv1.2" && version != "TLSv1.3" }

var aws015 = Control{
	ID:       "AWS-15",
	Title:    "the load balancer speaks TLS 1.2 and newer with strong ciphers, and passes on nothing that came without",
	Why:      "Who is on the way reads logins and visits where TLS is missing, or talks both sides into a version with known breaks where an old policy allows it. The policy that AWS takes when none is named allows TLS 1.0.",
	Severity: model.High,
	Needs:    []facts.Section{facts.CloudBalancers},
	Eval:     balancerTLS.verdict,
	Fix:      guidedBy("Profile standard or scale of rocca-aws.yaml has such a load balancer: rocca aws deploy. Elsewhere: a listener of HTTPS with a certificate of ACM and the policy "+securityPolicies[0]+".", deploying(balancerTLS.changes)),
	Maps:     []model.Ref{fsbp("ELB.17"), fsbp("ELB.18"), row("4"), s1("4"), s1("35")},
	Since:    "0.6",
}
