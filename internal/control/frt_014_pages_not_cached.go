package control

import (
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var frt014 = Control{
	ID:       "FRT-14",
	Title:    "pages and answers of the API are kept in no cache",
	Why:      "A proxy or a browser that several people use keeps what it was not told to forget: the next one gets the reports of the first, without a login.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.Requests},
	Eval: func(v *View) Verdict {
		var found []model.Evidence
		// What the API tells to everybody is sent with the same headers as reports.
		answered, unseen := pages(v, "ui", "api-settings")
		for _, answer := range answered {
			control := strings.Join(header(answer.Answer, "Cache-Control"), ", ")
			if !strings.Contains(strings.ToLower(control), "no-store") {
				have := "Cache-Control: " + control
				if control == "" {
					have = "no Cache-Control"
				}
				found = append(found, said(answer.Answer, have, "Cache-Control: no-store"))
			}
		}
		return conclude(found, unseen)
	},
	Fix:    automatic("Send Cache-Control: no-store with what PHP answers at /index.php, but for the merged scripts and styles (module=Proxy), which Matomo marks as public itself.", frontSteps...),
	Attack: "A22",
	Maps:   []model.Ref{asvs("14.3.2"), asvs("14.2.5")},
	Since:  "0.3",
}
