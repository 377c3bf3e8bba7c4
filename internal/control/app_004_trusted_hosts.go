package control

import (
	"net/netip"
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

const trustedHosts = "General.trusted_hosts"

var app004Check = demands{forUsers, []demand{{key: "General.enable_trusted_host_check", usual: "1", want: "1"}}}

var app004 = Control{
	ID:       "APP-04",
	Title:    "Matomo builds links for its own names only",
	Why:      "The links in mails that reset a password or invite a user begin with the host name of the request that caused them. With no list of names, with a wildcard or the bare address of a server in it, an attacker has Matomo mail a link to the attacker's own server, with the secret in it.",
	Severity: model.High,
	Needs:    []facts.Section{facts.App},
	Eval: func(v *View) Verdict {
		against, unread := app004Check.against(v)
		contexts, _ := readable(forUsers(v))
		for _, c := range contexts {
			hosts := c.Settings[trustedHosts]
			path, line := c.Where(trustedHosts)
			if len(hosts) == 0 {
				against = append(against, model.Evidence{Subject: path, Have: "[General] trusted_hosts is empty: the first name that somebody asks for is taken", Want: "the public names of Matomo"})
			}
			for _, host := range hosts {
				if why := strayHost(host, v.Declared.Names); why != "" {
					against = append(against, model.Evidence{Subject: path, Line: line, Have: shown(trustedHosts, host) + ": " + why, Want: "public names of Matomo only"})
				}
			}
		}
		return conclude(against, unread)
	},
	Fix: Fix{
		Kind:  model.FixAutomatic,
		Text:  "List exactly the public names under trusted_hosts[] in [General], no address, no wildcard, and keep enable_trusted_host_check = 1. Have the web server refuse unknown names too (FRT-04): Matomo compares the end of a name only.",
		Steps: configurationSteps,
		Changes: func(v *View) []Change {
			changes := app004Check.changes(v)
			if len(v.Declared.Names) == 0 || v.Matomo.Root == "" || v.Matomo.Main().User == "" {
				return changes
			}
			words := []string{"config:set", trustedHosts + "=[]"}
			for _, name := range v.Declared.Names {
				words = append(words, trustedHosts+`[]="`+name+`"`)
			}
			return append(changes, Change{Sentence: "trust the names of domain: in rocca.yaml, and no others", Command: console(v, words...)})
		},
	},
	Attack: "A10",
	Maps:   []model.Ref{s1("22"), s1("44"), asvs("4.1.3")},
	Since:  "0.3",
}

// strayHost says what is wrong with a trusted host; "" when nothing is. What
// the owner declared is right, an address too.
func strayHost(host string, declared []string) string {
	name := host
	if before, port, found := strings.Cut(host, ":"); found && !strings.Contains(port, ":") {
		name = before
	}
	_, err := netip.ParseAddr(strings.Trim(name, "[]"))
	switch {
	case slices.Contains(declared, host) || slices.Contains(declared, name):
		return ""
	case strings.ContainsAny(name, "*?^$()|\\") || strings.HasPrefix(name, "."):
		return "a pattern, not a name"
	case err == nil:
		return "an address, not a name"
	case len(declared) > 0:
		return "not one of the names in rocca.yaml"
	case !strings.Contains(name, "."):
		return "ends of names are compared: every name that ends so is trusted"
	}
	return ""
}
