package control

import (
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// commonRules are those against injection and inclusion of files.
const commonRules = "AWSManagedRulesCommonRuleSet"

// ruleGroups are the managed groups that must be there.
var ruleGroups = []struct{ name, against string }{
	{"AWSManagedRulesAmazonIpReputationList", "addresses known for attacks"},
	{commonRules, "injection and inclusion of files"},
	{"AWSManagedRulesKnownBadInputsRuleSet", "requests known from attacks"},
}

// mayCount are the rules of these groups that need not block: Matomo's own pages
// have long queries and cookies, the tag manager sends scripts, and programs
// that are no browsers track and ask the API.
var mayCount = []string{"CrossSiteScripting_BODY", "NoUserAgent_HEADER", "UserAgent_BadBots_HEADER"}

// stops are the effects of a rule that an attacker does not get past.
var stops = []string{"block", "captcha", "challenge"}

func stopping(r facts.FirewallRule) bool { return slices.Contains(stops, r.Effect) }

var blocking = each[facts.WebFirewall]{
	all: firewallsInUse, none: noFirewall,
	judge: func(_ *View, f facts.WebFirewall) (against []model.Evidence, _ []string) {
		subject := "web ACL " + f.Name
		for _, group := range ruleGroups {
			i := slices.IndexFunc(f.Rules, func(r facts.FirewallRule) bool { return r.Managed == group.name })
			if i < 0 {
				against = append(against, model.Evidence{Subject: subject, Have: "no rules against " + group.against, Want: group.name})
				continue
			}
			rule := f.Rules[i]
			if !stopping(rule) {
				against = append(against, model.Evidence{Subject: subject + ", rule " + rule.Name, Have: "only does " + rule.Effect, Want: "block"})
			}
			counted := slices.DeleteFunc(slices.Clone(rule.Counted), func(name string) bool {
				return strings.HasPrefix(name, "SizeRestrictions_") || slices.Contains(mayCount, name)
			})
			if len(counted) > 0 {
				against = append(against, model.Evidence{Subject: subject + ", rule " + rule.Name, Have: "only counts " + strings.Join(counted, ", "), Want: "block"})
			}
			if group.name == commonRules && !rule.SparesTracker {
				against = append(against, model.Evidence{Subject: subject + ", rule " + rule.Name, Have: "looks at matomo.php too, and so refuses hits", Want: "a scope without the tracker: a hit has an address in its query"})
			}
		}
		if !slices.ContainsFunc(f.Rules, func(r facts.FirewallRule) bool { return r.Rate > 0 && !r.Scoped && stopping(r) }) {
			against = append(against, model.Evidence{Subject: subject, Have: "no limit for the requests of one address", Want: "a rate rule that blocks, for all requests"})
		}
		return against, nil
	},
	shows: func(_ *View, f facts.WebFirewall) []model.Evidence {
		var names []string
		for _, r := range f.Rules {
			if stopping(r) {
				names = append(names, r.Name)
			}
		}
		return []model.Evidence{{Subject: "web ACL " + f.Name, Have: "blocks by " + orNothing(names)}}
	},
	puts: func(_ *View, f facts.WebFirewall) []Change {
		if f.Tags.Deployment() == "" {
			return nil // the rules of others are long, and replaced whole
		}
		return []Change{{Sentence: "show what somebody has changed of the web ACL " + f.Name + ", to put it back", Command: "rocca aws plan --drift"}}
	},
}

// firewallsInUse are the web ACLs before the load balancers.
func firewallsInUse(v *View) []facts.WebFirewall {
	used := map[string]bool{}
	for _, b := range publicBalancers(v) {
		used[b.Firewall] = true
	}
	return slices.DeleteFunc(slices.Clone(v.Cloud.Firewalls), func(f facts.WebFirewall) bool { return !used[f.ARN] })
}

// noFirewall is the verdict where no web ACL that could be seen is in use. That
// there should be one is what AWS-16 says.
func noFirewall(v *View) Verdict {
	all := publicBalancers(v)
	if len(all) == 0 {
		return noBalancer(v)
	}
	for _, b := range all {
		if b.Firewall != "" {
			return unknown("could not see the web ACL " + nameOfFirewall(b.Firewall))
		}
	}
	return notApplicable("no web ACL is before the load balancer (AWS-16)")
}

// nameOfFirewall is the name in an ARN: .../webacl/NAME/ID.
func nameOfFirewall(arn string) string {
	parts := strings.Split(arn, "/")
	if len(parts) < 2 {
		return arn
	}
	return parts[len(parts)-2]
}

var aws042 = Control{
	ID:       "AWS-42",
	Title:    "the web application firewall blocks known attackers, known attacks and floods, and spares the tracker",
	Why:      "A firewall that only counts writes down how the server is broken into. One that takes hits for attacks is switched off by the first who misses visits.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.CloudBalancers, facts.CloudFirewalls},
	Eval:     blocking.verdict,
	Fix:      guidedBy("The web ACL that rocca aws deploy makes has these rules; what somebody changed of it, rocca aws plan --drift shows. Elsewhere: the managed groups AWSManagedRulesAmazonIpReputationList, AWSManagedRulesCommonRuleSet (not for /matomo.php) and AWSManagedRulesKnownBadInputsRuleSet, and a rate rule, all of them blocking.", blocking.changes),
	Maps:     []model.Ref{fsbp("WAF.10"), s1("36")},
	Since:    "0.6",
}
