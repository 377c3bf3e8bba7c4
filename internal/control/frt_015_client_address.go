package control

import (
	"net/netip"
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var frt015 = Control{
	ID:       "FRT-15",
	Title:    "the address of a client is taken from a header only when a named proxy sent it",
	Why:      "Anybody can send X-Forwarded-For. If it is believed, an attacker tries passwords from a new address each time, passes lists of allowed networks, and records visits in the name of others.",
	Severity: model.High,
	Needs:    []facts.Section{facts.Web, facts.Requests, facts.App},
	Eval: func(v *View) Verdict {
		found := everyProxy(v)
		contexts, unread := readable(v.Matomo.Contexts)
		for _, c := range contexts {
			if len(c.Settings["General.proxy_client_headers"]) > 0 && !namedProxies(v) {
				e := settingEvidence(c, "General.proxy_client_headers", "")
				found = append(found, wanting(e, "empty, and the named proxy in the front: set_real_ip_from, RemoteIPInternalProxy"))
			}
		}
		asked, unseen := answers(v, "forwarded-for")
		for _, answer := range asked {
			if answer.Verdict == facts.Leaked && !asksAsProxy(v) {
				found = append(found, said(answer.Answer, outcome(answer.Answer)+" (X-Forwarded-For was believed)", "the header ignored"))
			}
		}
		return conclude(found, append(unread, unseen...))
	},
	Fix:    automatic("Name each proxy in the front (nginx: set_real_ip_from, Apache: RemoteIPInternalProxy) and leave [General] proxy_client_headers[] empty: Matomo then sees the true address by itself.", slices.Concat(frontSteps, configurationSteps)...),
	Attack: "A11",
	Maps:   []model.Ref{nginx("3.7"), asvs("4.1.3"), asvs("15.3.4")},
	Since:  "0.3",
}

// asksAsProxy tells whether the audit, which asks from this machine, is to the
// front one of the proxies that the owner named.
func asksAsProxy(v *View) bool {
	return slices.ContainsFunc(v.Declared.Proxies, func(text string) bool {
		network, err := netip.ParsePrefix(text)
		return err == nil && network.Contains(netip.MustParseAddr("127.0.0.1"))
	})
}

// proxySettings are the directives that name proxies.
var proxySettings = []string{"set_real_ip_from", "remoteipinternalproxy", "remoteiptrustedproxy"}

// everyProxy is evidence of directives that trust everybody.
func everyProxy(v *View) []model.Evidence {
	var found []model.Evidence
	for _, site := range v.MatomoSites() {
		for _, name := range proxySettings {
			for _, s := range v.Front.Directive(site, name) {
				for value := range strings.FieldsSeq(s.Value) {
					if prefix, err := netip.ParsePrefix(value); err == nil && prefix.Bits() < 8 {
						found = append(found, at(s, name+" "+value, "the addresses of your proxies"))
					}
				}
			}
		}
		if headers := v.Front.Directive(site, "remoteipheader"); len(headers) > 0 && !namedProxies(v) {
			found = append(found, at(headers[0], "RemoteIPHeader "+headers[0].Value+" without a named proxy: Apache then believes everybody", "RemoteIPInternalProxy with the addresses of your proxies"))
		}
	}
	return found
}

// namedProxies tells whether the front names the proxies that it believes.
func namedProxies(v *View) bool {
	for _, site := range v.MatomoSites() {
		for _, name := range proxySettings {
			if len(v.Front.Directive(site, name)) > 0 {
				return true
			}
		}
	}
	return false
}
