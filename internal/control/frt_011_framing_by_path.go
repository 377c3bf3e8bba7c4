package control

import (
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// S1 wants X-Frame-Options: DENY on everything. That breaks the opt-out, which
// other sites show in a frame, and is decided by path instead.
var frt011 = Control{
	ID:       "FRT-11",
	Title:    "login and administration cannot be put into a frame of another site, and the opt-out can",
	Why:      "A page that lies invisibly over another one makes an administrator click what he does not see. The opt-out must stay frameable, because visitors find it in the privacy page of the tracked site.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.Requests},
	Eval: func(v *View) Verdict {
		if elsewhere(v, "ui") {
			return notApplicable("the user interface is on another machine (roles in rocca.yaml)")
		}
		var found []model.Evidence
		login, unseen := pages(v, "ui")
		for _, answer := range login {
			if !unframeable(answer.Answer) {
				found = append(found, said(answer.Answer, "may be framed by any site", "Content-Security-Policy: frame-ancestors 'self', or X-Frame-Options: SAMEORIGIN"))
			}
		}
		optOut, unasked := answers(v, "optout")
		for _, answer := range optOut {
			switch {
			case answer.Verdict == facts.Refused:
				found = append(found, said(answer.Answer, outcome(answer.Answer), "reachable for every visitor"))
			case unframeable(answer.Answer):
				found = append(found, said(answer.Answer, "the opt-out cannot be framed, so it does not work in privacy pages", "no X-Frame-Options, and no frame-ancestors"))
			}
		}
		return conclude(found, append(unseen, unasked...))
	},
	Fix:    automatic("Leave framing to Matomo ([General] enable_framed_pages = 0, enable_framed_settings = 0), which decides it by page, and take a blanket X-Frame-Options: DENY out of the front.", slices.Concat(configurationSteps, frontSteps)...),
	Attack: "A23",
	Maps:   []model.Ref{asvs("3.4.6"), s1("23"), nginx("5.3.1")},
	Since:  "0.3",
}

// unframeable tells whether other sites cannot frame a page.
func unframeable(answer facts.Answer) bool {
	for _, policy := range header(answer, "Content-Security-Policy") {
		for directive := range strings.SplitSeq(strings.ToLower(policy), ";") {
			sources := strings.Fields(directive)
			if len(sources) > 1 && sources[0] == "frame-ancestors" {
				// It takes the place of X-Frame-Options where both are sent.
				return !slices.ContainsFunc(sources[1:], func(s string) bool { return s != "'none'" && s != "'self'" })
			}
		}
	}
	for _, value := range header(answer, "X-Frame-Options") {
		if v := strings.ToLower(strings.TrimSpace(value)); v == "deny" || v == "sameorigin" {
			return true
		}
	}
	return false
}
