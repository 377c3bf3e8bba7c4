package control

import (
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

const ownNames = "a rule that forwards the names of Matomo, and a refusal (421) of all others"

var ownNamesOnly = each[facts.Balancer]{
	all: balancers, none: noBalancer,
	judge: func(_ *View, b facts.Balancer) (against []model.Evidence, _ []string) {
		for _, l := range b.Listeners {
			subject := listenerSubject(b, l)
			if forwards(l.Default) {
				against = append(against, model.Evidence{Subject: subject, Have: "forwards every name by default", Want: ownNames})
			}
			for _, rule := range l.Rules {
				switch {
				case !forwards(rule.Action):
				case len(rule.Hosts) == 0:
					against = append(against, model.Evidence{Subject: subject, Have: "a rule forwards every name, paths " + orAll(rule.Paths), Want: ownNames})
				case slices.ContainsFunc(rule.Hosts, pattern):
					against = append(against, model.Evidence{Subject: subject, Have: "a rule forwards " + strings.Join(rule.Hosts, ", "), Want: "names without * and ?"})
				}
			}
		}
		return against, nil
	},
	shows: func(_ *View, b facts.Balancer) (seen []model.Evidence) {
		for _, l := range b.Listeners {
			var hosts []string
			for _, rule := range l.Rules {
				if forwards(rule.Action) {
					hosts = append(hosts, rule.Hosts...)
				}
			}
			slices.Sort(hosts)
			if hosts = slices.Compact(hosts); len(hosts) > 0 {
				seen = append(seen, model.Evidence{Subject: listenerSubject(b, l), Have: "forwards " + strings.Join(hosts, ", ") + "; all else: " + doing(l.Default)})
			}
		}
		return seen
	},
	puts: func(v *View, b facts.Balancer) (all []Change) {
		for _, l := range b.Listeners {
			if !encrypted(l) || !forwards(l.Default) {
				continue // what leads to https is AWS-36; of its own rules the owner knows more
			}
			if !slices.ContainsFunc(l.Rules, func(r facts.ListenerRule) bool { return forwards(r.Action) && len(r.Hosts) > 0 }) {
				name := nameOf(v, l)
				if name == "" {
					continue
				}
				// The rule does all that the default does, such as to ask for a login.
				asNow := v.commandLine("elbv2", "describe-listeners", "--listener-arns", l.ARN, "--query", "Listeners[0].DefaultActions", "--output", "json")
				all = append(all, Change{
					Sentence: "first: forward " + name + " by a rule of its own",
					Command: v.commandLine("elbv2", "create-rule", "--listener-arn", l.ARN, "--priority", "100",
						"--conditions", "Field=host-header,HostHeaderConfig={Values=["+name+"]}") + ` --actions "$(` + asNow + `)"`,
				})
			}
			all = append(all, Change{
				Sentence: "refuse all other names at " + listenerSubject(b, l),
				Command: v.commandLine("elbv2", "modify-listener", "--listener-arn", l.ARN,
					"--default-actions", "Type=fixed-response,FixedResponseConfig={StatusCode=421,ContentType=text/plain}"),
			})
		}
		return all
	},
}

// pattern tells whether a host name of a rule stands for more than one.
func pattern(host string) bool { return strings.ContainsAny(host, "*?") }

// nameOf is the name that a listener is for: that of rocca-aws.yaml, else the
// one that its certificate is for.
func nameOf(v *View, l facts.CloudListener) string {
	if v.Cloud.Wanted.Domain != "" {
		return v.Cloud.Wanted.Domain
	}
	for _, c := range v.Cloud.CloudCerts {
		if slices.Contains(l.Certificates, c.ARN) && !pattern(c.Domain) {
			return c.Domain
		}
	}
	return ""
}

func orAll(paths []string) string {
	if len(paths) == 0 {
		return "all"
	}
	return strings.Join(paths, ", ")
}

var aws038 = Control{
	ID:       "AWS-38",
	Title:    "the load balancer forwards requests for the names of Matomo only",
	Why:      "Scanners ask for addresses, not for names, and an attacker sends a Host header of his own: links in mails to reset a password then lead to him. What the balancer refuses, Matomo never sees.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.CloudBalancers},
	Eval:     ownNamesOnly.verdict,
	Fix:      guidedBy("The default action of the listener of 443 is the answer 421, and a rule with the host names of Matomo, without patterns, forwards to the servers.", ownNamesOnly.changes),
	Maps:     []model.Ref{row("3"), s1("22")},
	Since:    "0.6",
}
