package control

import (
	"fmt"
	"slices"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var acc007 = Control{
	ID:       "ACC-07",
	Title:    "no token and no password is in a log or in a recorded address",
	Why:      "Logs and reports are read by many and kept for long. A token in them is a login for each of their readers, and for whoever steals a backup.",
	Severity: model.High,
	Needs:    []facts.Section{facts.App},
	Eval: func(v *View) Verdict {
		unread := append(blind(v, facts.Logging, facts.Content), gaps(v, "personal")...)
		var against []model.Evidence
		for _, file := range v.Logs.Files {
			if file.Tokens == 0 {
				continue
			}
			have := fmt.Sprintf("%d of the last %d lines hold a token or a password%s", file.Tokens, file.Lines, sample(file))
			against = append(against, model.Evidence{Subject: file.Path, Have: have, Want: "none"})
		}
		for _, found := range v.Rows.Personal {
			if slices.Contains([]string{"token", "password"}, found.Kind) && found.Count > 0 {
				against = append(against, model.Evidence{Subject: "recorded " + found.Where, Have: fmt.Sprintf("%s, %d times: %s", found.Kind, found.Count, found.Sample), Want: "none"})
			}
		}
		return conclude(against, unread)
	},
	Fix:    automatic("Take tokens by POST only (APP-11), write the path without the query into access logs (LOG-01), exclude such parameters from recorded addresses (TRK-03), then make the tokens anew and remove the old lines and rows.", slices.Concat(configurationSteps, frontSteps)...),
	Attack: "A33",
	Maps:   []model.Ref{asvs("14.2.1"), asvs("16.2.5"), matomo("#24924")},
	Since:  "0.3",
}
