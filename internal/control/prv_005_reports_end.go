package control

import (
	"fmt"
	"strconv"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var prv005 = Control{
	ID:       "PRV-05",
	Title:    "reports are kept no longer than stated",
	Why:      "Reports name pages, referrers and, where user ids are recorded, persons. What is promised in a privacy statement must happen.",
	Severity: model.Low,
	Needs:    []facts.Section{facts.App, facts.Content},
	Eval: func(v *View) Verdict {
		stated := v.Declared.ReportMonths
		if stated == 0 {
			return notApplicable("nobody stated how long reports are kept: report_months (privacy: in rocca.yaml)")
		}
		contexts, unread := readable(forUsers(v))
		unread = append(unread, gaps(v, "options")...)
		var against []model.Evidence
		for _, c := range contexts {
			if on, e := purging(v, c, "Deletereports.delete_reports_enable", "0"); !switchedOn(on) {
				against = append(against, wanting(e, "1: reports are kept for ever"))
				continue
			}
			if months, e := purging(v, c, "Deletereports.delete_reports_older_than", "12"); !between(months, 1, stated) {
				against = append(against, wanting(e, strconv.Itoa(stated)+" months, as stated"))
			}
		}
		// The month of the limit is not over, and a purge comes once a month.
		if latest := v.Observed.UTC().AddDate(0, -stated-2, 0).Format("2006-01"); v.Rows.Archives != "" && v.Rows.Archives < latest {
			against = append(against, model.Evidence{Subject: "archive tables", Have: "the oldest is of " + v.Rows.Archives, Want: fmt.Sprintf("%d months", stated)})
		}
		return conclude(against, unread)
	},
	Fix:   automatic("Set delete_reports_enable = 1 and delete_reports_older_than in [Deletereports] with enable_delete_old_data_settings_admin = 0 in [General]. The deletion drops tables: the account that the tasks run with needs DROP, or an administrator does it.", configurationSteps...),
	Maps:  []model.Ref{asvs("14.2.7")},
	Since: "0.3",
}
