package control

import (
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

const internetFeatures = "General.enable_internet_features"

var app007 = Control{
	ID:       "APP-07",
	Title:    "Matomo reaches out only where its owner said so, and then over TLS",
	Why:      "Each thing that Matomo fetches tells others of this server, and is a way for an attacker to have the server fetch what they name: from inside the network, or from the metadata of the cloud (CVE-2026-78850).",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.App},
	Eval: func(v *View) Verdict {
		contexts, unread := readable(forUsers(v))
		var against []model.Evidence
		for _, c := range contexts {
			if !switchedOn(valueOf(c, internetFeatures, "1")) {
				continue // what follows is for what is fetched
			}
			if len(v.Declared.Outbound) == 0 {
				against = append(against, wanting(settingEvidence(c, internetFeatures, "1"), shown(internetFeatures, "0")+", or the hosts in outbound: of rocca.yaml"))
			}
			for _, unmet := range app007Ways.unmet([]facts.Context{c}) {
				against = append(against, unmet.evidence())
			}
		}
		return conclude(against, unread)
	},
	Fix: Fix{
		Kind: model.FixGuided,
		Text: "Set enable_internet_features = 0 in [General]; or decide which of update notices, marketplace, lists and location databases you need, name their hosts in outbound: of rocca.yaml, and set allowed_outgoing_protocols = https.",
		Changes: func(v *View) []Change {
			contexts, _ := readable(forUsers(v))
			var changes []Change
			for _, c := range contexts {
				if switchedOn(valueOf(c, internetFeatures, "1")) && len(v.Declared.Outbound) == 0 {
					changes = append(changes, setInConfiguration(v, c, internetFeatures, "0"))
				}
			}
			return changes
		},
	},
	Attack: "A15",
	Maps:   []model.Ref{asvs("13.2.4"), s2("3")},
	Since:  "0.3",
}

// app007Ways are how Matomo fetches, if it does.
var app007Ways = demands{forUsers, []demand{
	{key: "General.allowed_outgoing_protocols", usual: "http,https", want: "https"},
	{key: "General.force_matomo_http_request", usual: "0", want: "0", why: "updates come without TLS"},
	{key: "General.api_service_url", usual: "https://api.matomo.org", want: "https://api.matomo.org", holds: func(value string) bool {
		return value == "" || strings.HasPrefix(value, "https://")
	}},
	{key: "General.allowed_private_egress_ranges", usual: "", want: "", why: "the guard against fetching from inside the network has a gap"},
}}
