package control

import (
	"fmt"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// toHTTPS is the action of the AWS CLI that leads a visitor to https.
const toHTTPS = "Type=redirect,RedirectConfig={Protocol=HTTPS,Port=443,StatusCode=HTTP_301}"

var redirecting = each[facts.Balancer]{
	all: balancers, none: noBalancer,
	judge: func(_ *View, b facts.Balancer) (against []model.Evidence, _ []string) {
		for _, l := range b.Listeners {
			for _, action := range inClear(l) {
				against = append(against, model.Evidence{Subject: listenerSubject(b, l), Have: "in the clear: " + doing(action), Want: "a redirect to https, or a refusal"})
			}
		}
		return against, nil
	},
	shows: func(_ *View, b facts.Balancer) []model.Evidence {
		for _, l := range b.Listeners {
			if !encrypted(l) {
				return []model.Evidence{{Subject: listenerSubject(b, l), Have: doing(l.Default)}}
			}
		}
		return []model.Evidence{{Subject: balancerSubject(b), Have: "no listener without TLS"}}
	},
	puts: func(v *View, b facts.Balancer) []Change {
		var all []Change
		for _, l := range b.Listeners {
			if encrypted(l) {
				continue
			}
			if serves(l.Default) {
				all = append(all, Change{
					Sentence: "lead visitors of " + listenerSubject(b, l) + " to https",
					Command:  v.commandLine("elbv2", "modify-listener", "--listener-arn", l.ARN, "--default-actions", toHTTPS),
				})
			}
			for _, rule := range l.Rules {
				if serves(rule.Action) && rule.ARN != "" {
					all = append(all, Change{
						Sentence: fmt.Sprintf("lead those of its rule %d to https too", rule.Priority),
						Command:  v.commandLine("elbv2", "modify-rule", "--rule-arn", rule.ARN, "--actions", toHTTPS),
					})
				}
			}
		}
		return all
	},
}

// inClear are the actions of a listener without TLS that give an answer.
func inClear(l facts.CloudListener) []facts.ListenAction {
	if encrypted(l) {
		return nil
	}
	var found []facts.ListenAction
	for _, action := range append([]facts.ListenAction{l.Default}, actionsOf(l.Rules)...) {
		if serves(action) {
			found = append(found, action)
		}
	}
	return found
}

func actionsOf(rules []facts.ListenerRule) []facts.ListenAction {
	actions := make([]facts.ListenAction, len(rules))
	for i, rule := range rules {
		actions[i] = rule.Action
	}
	return actions
}

// serves tells whether an action does something else than to lead to https or
// to refuse.
func serves(a facts.ListenAction) bool {
	switch a.Kind {
	case "redirect":
		return !strings.HasPrefix(a.To, "HTTPS")
	case "fixed-response":
		return !strings.HasPrefix(a.Status, "4") && !strings.HasPrefix(a.Status, "5")
	}
	return true
}

var aws036 = Control{
	ID:       "AWS-36",
	Title:    "the load balancer answers plain http with a redirect to https, and with nothing else",
	Why:      "What goes over port 80 is read and changed by everybody on the way: passwords, sessions, token_auth, and the tracker script of every tracked site.",
	Severity: model.High,
	Needs:    []facts.Section{facts.CloudBalancers},
	Eval:     redirecting.verdict,
	Fix:      guidedBy("The only action of the listener of port 80, and of each of its rules, is a redirect to HTTPS, port 443, with status 301.", redirecting.changes),
	Maps:     []model.Ref{fsbp("ELB.1"), row("4"), s1("13")},
	Since:    "0.6",
}
