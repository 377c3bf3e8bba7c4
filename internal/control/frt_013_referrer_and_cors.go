package control

import (
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// discreet are the referrer policies that tell other sites no path and no query.
var discreet = []string{"no-referrer", "same-origin", "origin", "strict-origin", "origin-when-cross-origin", "strict-origin-when-cross-origin"}

var frt013 = Control{
	ID:       "FRT-13",
	Title:    "other sites neither learn the addresses of reports nor read from the user interface and the API",
	Why:      "The address of a report names site, dates and segments, at times a token; without a policy the browser sends it to every site that a link leads to. Access-Control-Allow-Origin: * lets any page that an administrator visits read the API.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.Requests},
	Eval: func(v *View) Verdict {
		var found []model.Evidence
		page, unseen := pages(v, "ui")
		for _, answer := range page {
			policies := header(answer.Answer, "Referrer-Policy")
			if len(policies) == 0 {
				found = append(found, said(answer.Answer, "no Referrer-Policy", "Referrer-Policy: same-origin"))
				continue
			}
			// Browsers take the last one that they know.
			list := strings.Split(policies[len(policies)-1], ",")
			if last := strings.ToLower(strings.TrimSpace(list[len(list)-1])); !slices.Contains(discreet, last) {
				found = append(found, said(answer.Answer, "Referrer-Policy: "+strings.Join(policies, ", "), "Referrer-Policy: same-origin"))
			}
		}
		crossed, unasked := answers(v, "cors")
		more, _ := answers(v, "ui", "api-version", "api-settings")
		for _, answer := range append(crossed, more...) {
			for _, origin := range header(answer.Answer, "Access-Control-Allow-Origin") {
				if origin == "*" || answer.name == "cors" && !ownOrigin(v, origin, answer.Answer) {
					found = append(found, said(answer.Answer, "Access-Control-Allow-Origin: "+origin, "no such header, or the sites that need it"))
				}
			}
		}
		return conclude(found, append(unseen, unasked...))
	},
	Fix:    automatic("Send Referrer-Policy: same-origin where Matomo does not, and leave [General] cors_domains[] empty or name the sites.", slices.Concat(frontSteps, configurationSteps)...),
	Attack: "A23",
	Maps:   []model.Ref{asvs("3.4.5"), asvs("3.4.2"), nginx("5.3.5")},
	Since:  "0.3",
}

// ownOrigin tells whether an origin is Matomo's own.
func ownOrigin(v *View, origin string, answer facts.Answer) bool {
	_, host, _ := strings.Cut(origin, "://")
	host, _, _ = strings.Cut(host, ":")
	return ownHost(v, host, answer)
}
