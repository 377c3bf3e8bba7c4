package control

import (
	"fmt"

	"rocca/internal/facts"
	"rocca/internal/model"
)

const (
	thirdPartyCookie = "Tracker.use_third_party_id_cookie"
	cookieLife       = "Tracker.cookie_expire"
	thirteenMonths   = 34128000 // seconds in 395 days: what most authorities allow without consent
)

var prv009 = Control{
	ID:       "PRV-09",
	Title:    "it is decided whether visitors are asked, not recognised, or need not be asked, and the server does just that",
	Why:      "Reading or setting a cookie without consent is not allowed unless it is exempt. Who decided nothing relies on luck; who promises tracking without cookies and sets one is caught by the first browser that shows it.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.App, facts.Content},
	Eval: func(v *View) Verdict {
		contexts, unread := readable(forHits(v))
		unread = append(unread, gaps(v, "options")...)
		var against []model.Evidence
		switch v.Declared.Consent {
		case "cookieless":
			if on, e := option(v, "PrivacyManager.forceCookielessTracking", "0"); !switchedOn(on) {
				against = append(against, wanting(e, "1: decided is tracking without cookies"))
			}
		case "exempt":
			for _, c := range contexts {
				if !between(valueOf(c, cookieLife, "33955200"), 0, thirteenMonths) {
					against = append(against, wanting(settingEvidence(c, cookieLife, "33955200"), "13 months at most, for an exemption"))
				}
			}
		case "consent":
		default:
			against = append(against, model.Evidence{Subject: "rocca.yaml", Have: "nothing is decided", Want: "consent (under privacy:) is cookieless, consent or exempt"})
		}
		_, unseen := answers(v, "tracker")
		return conclude(append(against, cookies(v)...), append(unread, unseen...))
	},
	Fix:    guided("Decide with your data protection officer, write the decision as consent (privacy: in rocca.yaml), and set the tracker accordingly: requireConsent in the tracking code, forceCookielessTracking in Administration, Privacy, or a short cookie_expire."),
	Attack: "A33",
	Maps:   []model.Ref{gdpr("Art. 6")},
	Since:  "0.3",
}

// cookies are those that the tracker sets by its answer: they belong to
// Matomo's own name, and so follow visitors from site to site.
func cookies(v *View) []model.Evidence {
	answer := v.Answers["tracker"]
	if n := len(answer.Header["Set-Cookie"]); n > 0 {
		return []model.Evidence{{Subject: answer.URL, Have: fmt.Sprintf("the tracker sets a cookie of its own name: %s", answer.Header["Set-Cookie"][0]), Want: "no cookie"}}
	}
	return nil
}
