package control

import (
	"slices"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var prv008 = Control{
	ID:       "PRV-08",
	Title:    "the addresses that visitors came from are shortened",
	Why:      "The page before may be a search, a mailbox or a patient's portal, and its address may hold what was looked for and by whom.",
	Severity: model.Low,
	Needs:    []facts.Section{facts.Content},
	Eval: func(v *View) Verdict {
		how, e := option(v, "PrivacyManager.anonymizeReferrer", "")
		if slices.Contains([]string{"exclude_query", "exclude_path", "exclude_all"}, how) {
			return pass()
		}
		if unread := gaps(v, "options"); len(unread) > 0 {
			return conclude(nil, unread)
		}
		return fail(wanting(e, "exclude_query, exclude_path or exclude_all"))
	},
	Fix:    automatic("Administration, Privacy, Anonymize data: shorten the referrer, at least by its query."),
	Attack: "A33",
	Maps:   []model.Ref{gdpr("Art. 25")},
	Since:  "0.3",
}
