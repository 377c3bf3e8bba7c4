package control

import (
	"strings"
	"time"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// fresh is how old lists and runs of what happens every day may be.
const fresh = 48 * time.Hour

var hst002 = Control{
	ID:       "HST-02",
	Title:    "every security update that Debian offers is installed, and the lists of them are fresh",
	Why:      "The day a fix is published, so is the hole. Attackers scan the whole internet for servers that have not taken it yet. Lists that are days old make a server look current that is not.",
	Severity: model.High,
	Needs:    []facts.Section{facts.Software},
	Eval: func(v *View) Verdict {
		var found []model.Evidence
		for _, update := range v.Apt.Pending {
			found = append(found, model.Evidence{Subject: update.Package, Have: update.Have, Want: update.Offered})
		}
		lists := model.Evidence{Subject: "/var/lib/apt/lists", Want: "at most 48 h old"}
		if v.Apt.ListsUpdated.IsZero() {
			lists.Have = "no list of the security suite"
			found = append(found, lists)
		} else if v.Observed.Sub(v.Apt.ListsUpdated) > fresh {
			lists.Have = "the security suite of " + v.Apt.ListsUpdated.UTC().Format(time.DateTime)
			found = append(found, lists)
		}
		return conclude(found, nil)
	},
	Fix: Fix{Kind: model.FixAutomatic, Text: "apt-get update && apt-get upgrade; HST-03 makes that happen by itself", Steps: upgradeSteps,
		Changes: func(v *View) []Change {
			var names []string
			for _, update := range v.Apt.Pending {
				names = append(names, shellWord(update.Package))
			}
			if len(names) == 0 {
				return nil
			}
			return []Change{{Sentence: "install the security updates that are waiting", Command: "apt-get update && apt-get install --only-upgrade " + strings.Join(names, " ")}}
		}},
	Maps:  []model.Ref{debian("1.2.2.1"), asvs("15.2.1"), s1("44")},
	Since: "0.3",
}
