package control

import (
	"fmt"
	"slices"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var prv002 = Control{
	ID:       "PRV-02",
	Title:    "no stored visit has a whole address",
	Why:      "What was recorded before masking was switched on, or while a plugin was off, is still there, and in each backup. Less data is less harm when the server falls.",
	Severity: model.High,
	Needs:    []facts.Section{facts.Content},
	Eval: func(v *View) Verdict {
		var against []model.Evidence
		for _, month := range unmasked(v) {
			against = append(against, model.Evidence{
				Subject: "table log_visit, " + month.Month,
				Have:    fmt.Sprintf("%d of %d visits (%.1f %%) with a whole address", month.Unmasked, month.Visits, 100*float64(month.Unmasked)/float64(max(month.Visits, 1))),
				Want:    "0 %",
			})
		}
		return conclude(against, gaps(v, "months"))
	},
	Fix: Fix{
		Kind: model.FixAutomatic,
		Text: "Switch masking on (PRV-01), then mask what is stored: console privacymanager:anonymize-some-raw-data. It cannot be taken back. Do it before the next backup, and let the old backups end.",
		Changes: func(v *View) []Change {
			if len(unmasked(v)) == 0 || v.Matomo.Root == "" || v.Matomo.Main().User == "" {
				return nil
			}
			return []Change{{
				Sentence: "mask the addresses of all stored visits, for ever",
				Command:  console(v, "privacymanager:anonymize-some-raw-data", "--anonymize-ip"),
			}}
		},
	},
	Attack: "A33",
	Maps:   []model.Ref{s2("1"), s2("15"), gdpr("Art. 32")},
	Since:  "0.3",
}

// unmasked are the months with whole addresses.
func unmasked(v *View) []facts.Month {
	return slices.DeleteFunc(slices.Clone(v.Rows.Months), func(m facts.Month) bool { return m.Unmasked == 0 })
}
