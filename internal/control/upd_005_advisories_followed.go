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
	Fix:   guided("The list of Matomo's flaws is a part of rocca: install the newest rocca, and do so once a month. For what comes between, subscribe to https://matomo.org/changelog/feed and read it on the day it arrives. Debian's own news come by apt-daily.timer."),
	Maps:  []model.Ref{s2("29"), asvs("15.1.1")},
	Since: "0.3",
}
