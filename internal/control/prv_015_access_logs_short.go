package control

import (
	"fmt"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var prv015 = Control{
	ID:       "PRV-15",
	Title:    "access logs hold shortened addresses, and end",
	Why:      "Masking in Matomo is worth nothing when the web server writes each whole address beside the time and the page into a log that nobody deletes.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.Logging},
	Eval: func(v *View) Verdict {
		found := false
		var against []model.Evidence
		for _, file := range v.Logs.Files {
			if file.Kind != "access" {
				continue
			}
			found = true
			if file.FullIPs > 0 {
				against = append(against, model.Evidence{Subject: file.Path, Have: fmt.Sprintf("%d of the last %d lines with a whole address", file.FullIPs, file.Lines), Want: "shortened addresses"})
			}
			switch days := v.Declared.RawDays; {
			case file.RotateDays == 0:
				against = append(against, model.Evidence{Subject: file.Path, Have: "is kept for ever", Want: "rotated and deleted (logrotate)"})
			case days > 0 && file.RotateDays > days:
				against = append(against, model.Evidence{Subject: file.Path, Have: fmt.Sprintf("is kept for %d days", file.RotateDays), Want: fmt.Sprintf("%d days, as stated for visits", days)})
			}
		}
		if !found {
			return notApplicable("the front writes no access log")
		}
		return conclude(against, nil)
	},
	Fix:    automatic("Have the front write the address without its last byte (nginx: a map on $remote_addr; Apache: a LogFormat of such a variable), and logrotate delete after some weeks.", frontSteps...),
	Attack: "A33",
	Maps:   []model.Ref{s2("1"), asvs("16.2.5"), gdpr("Art. 5(1)(e)")},
	Since:  "0.3",
}
