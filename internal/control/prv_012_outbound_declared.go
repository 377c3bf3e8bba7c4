package control

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var prv012 = Control{
	ID:       "PRV-12",
	Title:    "Matomo calls only hosts that its owner declared",
	Why:      "Each call tells the receiver this server's address and version, some tell the tracked sites and the users. To a receiver outside of the EU it is a transfer that needs a reason.",
	Severity: model.High,
	Needs:    []facts.Section{facts.App, facts.Extend},
	Eval: func(v *View) Verdict {
		contexts, unread := readable(forUsers(v))
		var against []model.Evidence
		for _, c := range contexts {
			for _, call := range calls(v, c) {
				if !declaredHost(call.host, v.Declared.Outbound) {
					against = append(against, model.Evidence{Subject: "host " + call.host, Have: call.why, Want: "off, or in outbound: of rocca.yaml"})
				}
			}
		}
		return conclude(against, unread)
	},
	Fix:    guided("Switch off what is not needed (APP-07, PLG-03). For the rest: where is the host, who runs it, what does it get? Write the hosts into outbound: of rocca.yaml, the reasons for third countries into a record (third-countries), and let the firewall refuse the others (HST-07)."),
	Attack: "A15",
	Maps:   []model.Ref{s2("3"), gdpr("Art. 44")},
	Since:  "0.3",
}

// call is a host that Matomo would call as it is set up.
type call struct{ host, why string }

// calls are what Matomo would call by itself, by host.
func calls(v *View, c facts.Context) []call {
	var found []call
	on := func(key string) bool { return switchedOn(valueOf(c, key, "1")) } // as all of these are where nothing sets them
	active := func(plugin string) bool { return v.Plugins[plugin].Active }
	if on(internetFeatures) {
		if on("General.enable_auto_update") {
			found = append(found, call{"api.matomo.org", "asked for new versions, with the versions of PHP and database and this server's address"})
		}
		if on("General.enable_referrer_definition_syncs") || on("Tracker.enable_spam_filter") {
			found = append(found, call{"raw.githubusercontent.com", "lists of search engines and of spam, each week"})
		}
		for plugin, host := range map[string]string{"Marketplace": "plugins.matomo.org", "RssWidget": "matomo.org", "SEO": "www.bing.com"} {
			if active(plugin) {
				found = append(found, call{host, "by the plugin " + plugin})
			}
		}
		if provider, _ := option(v, "usercountry.location_provider", ""); active("GeoIp2") && strings.HasPrefix(provider, "geoip2") {
			if every, _ := option(v, "geoip2.updater_period", ""); every != "" {
				found = append(found, call{"download.db-ip.com", "the database of places, each " + every})
			}
		}
	}
	if host := valueOf(c, "mail.host", ""); host != "" && valueOf(c, "mail.transport", "") == "smtp" && on("General.emails_enabled") && !slices.Contains([]string{"localhost", "127.0.0.1", "::1"}, host) {
		found = append(found, call{host, "mails: reports, invitations, passwords"})
	}
	for name := range c.Secrets {
		if section, key, _ := strings.Cut(name, "."); section == "AIProviders" && c.Secrets[name].Length > 0 {
			found = append(found, call{strings.TrimSuffix(key, "ApiKey"), fmt.Sprintf("prompts with data of reports: [%s] %s", section, key)})
		}
	}
	slices.SortFunc(found, func(a, b call) int { return cmp.Or(cmp.Compare(a.host, b.host), cmp.Compare(a.why, b.why)) })
	return found
}

// declaredHost tells whether a host, or "*." with a domain above it, is in the
// list; a port there does not matter.
func declaredHost(host string, list []string) bool {
	return slices.ContainsFunc(list, func(entry string) bool {
		name, _, _ := strings.Cut(entry, ":")
		domain, wildcard := strings.CutPrefix(name, "*")
		return strings.EqualFold(name, host) || wildcard && strings.HasPrefix(domain, ".") && strings.HasSuffix(strings.ToLower(host), strings.ToLower(domain))
	})
}
