package control

import (
	"maps"
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var tls002 = Control{
	ID:       "TLS-02",
	Title:    "only TLS 1.2 and newer is spoken, with strong ciphers",
	Why:      "Older protocols and ciphers have known breaks. An attacker on the way makes both sides agree on the worst that both accept.",
	Severity: model.High,
	Needs:    []facts.Section{facts.Requests, facts.Web},
	Eval: func(v *View) Verdict {
		if len(v.Handshakes) == 0 {
			if v.Unseen(facts.Web) == "" && len(v.MatomoSites()) > 0 && len(tlsSites(v)) == 0 {
				site := v.MatomoSites()[0]
				return fail(siteSubject(site, "no site of Matomo speaks TLS", "TLS 1.2 and 1.3"))
			}
			return unknown("no handshake was tried")
		}
		var found []model.Evidence
		modern := false
		for _, offered := range slices.Sorted(maps.Keys(v.Handshakes)) {
			h := v.Handshakes[offered]
			if !h.Accepted {
				continue
			}
			agreed := h.Version
			if agreed == "" {
				agreed = offered
			}
			if agreed == "TLS 1.2" || agreed == "TLS 1.3" {
				modern = true
			} else {
				found = append(found, model.Evidence{Subject: "handshake " + offered, Have: strings.TrimSpace("accepted, " + agreed + " " + h.Cipher), Want: "refused"})
			}
			if len(h.Weak) > 0 {
				found = append(found, model.Evidence{Subject: "handshake " + offered, Have: "accepts " + strings.Join(h.Weak, ", "), Want: "ciphers with forward secrecy and AEAD only"})
			}
		}
		if !modern && len(found) == 0 {
			found = append(found, model.Evidence{Subject: "handshakes", Have: "none was accepted", Want: "TLS 1.2 and 1.3"})
		}
		return conclude(found, nil)
	},
	Fix:    automatic("ssl_protocols TLSv1.2 TLSv1.3 (nginx) or SSLProtocol -all +TLSv1.2 +TLSv1.3 (Apache), with the intermediate ciphers of ssl-config.mozilla.org.", frontSteps...),
	Attack: "A21",
	Maps:   []model.Ref{asvs("12.1.1-2"), nginx("4.1.4")},
	Since:  "0.3",
}
