package control

import (
	"fmt"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var aws070 = Control{
	ID:       "AWS-70",
	Title:    "somebody is told when the month will cost more than planned",
	Why:      "Stolen keys mine coins on the largest machines of every region, and the bill is often what tells first. A forecast tells within a day, the bill at the end of the month.",
	Severity: model.Low,
	Needs:    []facts.Section{facts.CloudBudgets},
	Eval:     inspected(budgetTold),
	Fix:      remedied("set budget in rocca-aws.yaml and run rocca aws deploy; elsewhere make a budget of costs with a forecast alert to an address that is read", budgetTold),
	Maps:     []model.Ref{s1("52")},
	Since:    "0.6",
}

func budgetTold(v *View) inspection {
	var found inspection
	for _, b := range v.Cloud.Budgets {
		if b.Forecast && b.Told > 0 {
			found.shows("budget "+b.Name, fmt.Sprintf("tells of a forecast, addresses: %d", b.Told))
		}
	}
	if len(found.seen) > 0 {
		return found
	}
	if len(v.Cloud.Budgets) == 0 {
		found.against("budgets", "none", "one that tells of a forecast above it", v.byCommand("make a budget", "rocca aws deploy", ""))
	}
	for _, b := range v.Cloud.Budgets {
		have := "tells nobody"
		if b.Told > 0 {
			have = "tells of what was spent, and not of what is to come"
		}
		found.against("budget "+b.Name, have, "tells an address of a forecast above it", Change{})
	}
	return found
}
