package control

import (
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var app005 = Control{
	ID:       "APP-05",
	Title:    "Matomo believes headers of a proxy only when the proxies are named, and reads the last address in them",
	Why:      "Matomo takes X-Forwarded-For and its like from anybody who sends them. With such a header set up and no proxy in front of every request, an attacker chooses their own address: past the list of addresses that may log in, past the lock after wrong passwords, and into the visits of others.",
	Severity: model.High,
	Needs:    []facts.Section{facts.App},
	Eval: func(v *View) Verdict {
		contexts, unread := readable(serving(v))
		var against []model.Evidence
		for _, c := range contexts {
			against = append(against, believed(c)...)
		}
		return conclude(against, unread)
	},
	Fix:    automatic("Without a proxy: remove proxy_client_headers[] and proxy_host_headers[] from [General]. With one: name it in proxy_ips[], keep proxy_ip_read_last_in_list = 1, and have the front replace the header instead of passing on what the client sent (FRT-15).", configurationSteps...),
	Attack: "A11",
	Maps:   []model.Ref{asvs("15.3.4")},
	Since:  "0.3",
}

// believed is what a context takes from headers that anybody can send.
func believed(c facts.Context) []model.Evidence {
	var against []model.Evidence
	headers := false
	for _, key := range []string{"General.proxy_client_headers", "General.proxy_host_headers", "General.proxy_scheme_headers"} {
		values := c.Settings[key]
		if len(values) == 0 || strings.Join(values, "") == "" {
			continue
		}
		headers = true
		if len(c.Settings["General.proxy_ips"]) == 0 {
			against = append(against, wanting(settingEvidence(c, key, ""), "proxy_ips[] names the proxies, or no such header"))
		}
	}
	if switchedOn(valueOf(c, "General.proxy_uri_header", "0")) {
		headers = true
		if len(c.Settings["General.proxy_ips"]) == 0 {
			against = append(against, wanting(settingEvidence(c, "General.proxy_uri_header", "0"), "proxy_ips[] names the proxies, or 0"))
		}
	}
	const last = "General.proxy_ip_read_last_in_list"
	if headers && !switchedOn(valueOf(c, last, "1")) {
		e := settingEvidence(c, last, "1")
		e.Have += ": the first address in the header is chosen by the client"
		against = append(against, wanting(e, shown(last, "1")))
	}
	return against
}
