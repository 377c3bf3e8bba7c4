package control

import (
	"fmt"
	"time"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var upd005 = Control{
	ID:       "UPD-05",
	Title:    "what is known about weaknesses is not older than two days, and is brought by a timer",
	Why:      "Between the news of a weakness and the first attacks lie hours. Who looks once a month is late.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.Known},
	Eval: func(v *View) Verdict {
		var found []model.Evidence
		age := v.Observed.Sub(v.Advisory.Dated)
		switch {
		case v.Advisory.Dated.IsZero():
			found = append(found, model.Evidence{Subject: "advisories", Have: "there is no data about known weaknesses", Want: "not older than 48 hours"})
		case age > 48*time.Hour:
			found = append(found, model.Evidence{Subject: "advisories", Have: fmt.Sprintf("of %s (%s), %d hours old", date(v.Advisory.Dated), v.Advisory.Source, int(age.Hours())), Want: "not older than 48 hours"})
		}
		if !v.Advisory.Feed {
			found = append(found, model.Evidence{Subject: "advisories", Have: "no timer brings new data", Want: "a timer that does"})
		}
		return conclude(found, nil)
	},
	Fix:   automatic("Let a timer fetch the data: apt-daily.timer for Debian's lists, rocca-audit.timer for what rocca looks at.", "unit rocca-audit.timer", "unit apt-daily.timer"),
	Maps:  []model.Ref{s2("29"), asvs("15.1.1")},
	Since: "0.3",
}
