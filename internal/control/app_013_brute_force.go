package control

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// Of Matomo's lock after wrong passwords (plugins/Login/SystemSettings.php).
const (
	lockOn      = "Login.enableBruteForceDetection" // default 1
	lockTries   = "Login.maxAllowedRetries"         // default 20
	lockMinutes = "Login.allowedRetriesTimeRange"   // default 60
	neverLocked = "Login.whitelisteBruteForceIps"   // spelt so

	triesAllowed  = 10
	minutesLocked = 60
)

var app013 = Control{
	ID:       "APP-13",
	Title:    "ten wrong passwords lock an address out for an hour, and no lock hits everybody at once",
	Why:      "A program tries the passwords that others leaked until one fits. Where Matomo sees all visitors by the address of a proxy, the lock works for the attacker instead: a few wrong guesses shut out every user and every trusted hit.",
	Severity: model.High,
	Needs:    []facts.Section{facts.App, facts.Content},
	Eval: func(v *View) Verdict {
		contexts, unread := readable(forUsers(v))
		unread = append(unread, gaps(v, "settings")...)
		var against []model.Evidence
		for _, c := range contexts {
			if on, e := pluginSetting(v, c, lockOn, "1"); !switchedOn(on) {
				against = append(against, wanting(e, "1"))
				continue
			}
			if tries, e := pluginSetting(v, c, lockTries, "20"); !between(tries, 1, triesAllowed) {
				against = append(against, wanting(e, fmt.Sprintf("%d tries at most", triesAllowed)))
			}
			if minutes, e := pluginSetting(v, c, lockMinutes, "60"); !between(minutes, minutesLocked, 1<<30) {
				against = append(against, wanting(e, fmt.Sprintf("%d minutes at least", minutesLocked)))
			}
			_, e := pluginSetting(v, c, neverLocked, "")
			for _, network := range listed(v, c, neverLocked) {
				if wideRange(network) {
					e.Have = fmt.Sprintf("%q is never locked", network)
					against = append(against, wanting(e, "single addresses or small networks"))
				}
			}
			against = append(against, hiddenBehindProxy(v, c)...)
		}
		if len(against) == 0 && len(unread) == 0 {
			unread = blind(v, facts.Web)
		}
		return conclude(against, unread)
	},
	Fix: Fix{
		Kind:  model.FixAutomatic,
		Text:  "Fix it in config.ini.php, where no session can change it: [Login] enableBruteForceDetection = 1, maxAllowedRetries = 10, allowedRetriesTimeRange = 60. Behind a proxy give Matomo the address of the visitor (APP-05, FRT-15).",
		Steps: configurationSteps,
		Changes: func(v *View) []Change {
			var changes []Change
			for _, setting := range [][2]string{{lockOn, "1"}, {lockTries, strconv.Itoa(triesAllowed)}, {lockMinutes, strconv.Itoa(minutesLocked)}} {
				changes = append(changes, fixedInConfiguration(setting[0], setting[1])(v)...)
			}
			return changes
		},
	},
	Attack: "A12",
	Maps:   []model.Ref{asvs("6.3.1"), s1("42")},
	Since:  "0.3",
}

// between tells whether a value is a number from least to most.
func between(value string, least, most int) bool {
	number, err := strconv.Atoi(strings.TrimSpace(value))
	return err == nil && number >= least && number <= most
}

// listed is a setting of a plugin that holds a list.
func listed(v *View, c facts.Context, name string) []string {
	if values, fixed := c.Settings[name]; fixed {
		return slices.DeleteFunc(slices.Clone(values), func(value string) bool { return value == "" })
	}
	var values []string
	if err := json.Unmarshal([]byte(v.Rows.Settings[name]), &values); err != nil {
		return strings.FieldsFunc(v.Rows.Settings[name], func(r rune) bool { return r == ',' || r == ' ' || r == '\n' })
	}
	return values
}

// wideRange tells whether a range of addresses, as Matomo writes them (10.1.2.3,
// 10.1.0.0/16, 10.1.*.*), is more than one organisation would have.
func wideRange(network string) bool {
	if strings.Count(network, "*") > 2 || network == "*" {
		return true
	}
	prefix, err := netip.ParsePrefix(network)
	if err != nil {
		return false
	}
	if prefix.Addr().Is4() {
		return prefix.Bits() < 16
	}
	return prefix.Bits() < 32
}

// hiddenBehindProxy tells where visitors come to Matomo by HTTP from another
// web server, and so all with its address.
func hiddenBehindProxy(v *View, c facts.Context) []model.Evidence {
	if len(c.Settings["General.proxy_client_headers"]) > 0 {
		return nil
	}
	var against []model.Evidence
	for _, site := range v.MatomoSites() {
		for _, location := range site.Locations {
			if len(location.Directives["proxy_pass"]) > 0 || len(location.Directives["proxypass"]) > 0 {
				against = append(against, model.Evidence{
					Subject: location.File, Line: location.Line,
					Have: "passes requests on by HTTP, and Matomo reads no header with the visitor's address: one lock shuts everybody out",
					Want: "FastCGI, or proxy_client_headers[] with proxy_ips[] in " + c.Config,
				})
			}
		}
	}
	return against
}
