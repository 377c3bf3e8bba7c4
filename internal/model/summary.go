package model

import (
	"cmp"
	"math"
	"slices"
)

// weights say how much a control counts in the index, by severity.
var weights = map[Severity]float64{Critical: 10, High: 5, Medium: 2, Low: 1}

// caps hold the index down while a finding of a severity is open: a server
// with one open door is not 95 % closed.
var caps = map[Severity]int{Critical: 49, High: 79}

// Summarise counts findings and computes the index: of the weight of all
// controls that could be decided (critical 10, high 5, medium 2, low 1) the
// share that passes or is waived, from 0 to 100. It is at most 49 while a
// critical finding is open and at most 79 while a high one is.
func Summarise(findings []Finding) Summary {
	s := Summary{Count: map[Status]int{}, Failed: map[string]int{}, Index: Index(findings)}
	var open []Finding
	for _, f := range findings {
		s.Count[f.Status]++
		if f.Status == Fail {
			s.Failed[f.Severity.String()]++
			open = append(open, f)
		}
	}
	s.Best = best(open)
	return s
}

// Index is the share of the weight that passes; see Summarise.
func Index(findings []Finding) int {
	var all, held float64
	for _, f := range findings {
		switch f.Status {
		case Pass, Waived:
			all += weights[f.Severity]
			held += weights[f.Severity]
		case Fail:
			all += weights[f.Severity]
		}
	}
	if all == 0 {
		return 0
	}
	index := int(math.Floor(100 * held / all))
	if limit, limited := caps[Worst(findings)]; limited {
		index = min(index, limit)
	}
	return index
}

// bestCount is how many changes a summary proposes.
const bestCount = 3

// best are the ids of the findings that are worth the most: the gravest first,
// those that rocca can put right by itself before those that need a decision.
func best(open []Finding) []string {
	slices.SortStableFunc(open, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), cmp.Compare(order(a.FixKind), order(b.FixKind)))
	})
	var ids []string
	for _, f := range open[:min(len(open), bestCount)] {
		ids = append(ids, f.ID)
	}
	return ids
}

func order(k FixKind) int { return slices.Index([]FixKind{FixAutomatic, FixGuided, FixNone}, k) }

// Compare tells what changed since an earlier report.
func Compare(now, before Report) *Changes {
	was := map[string]Status{}
	for _, f := range before.Findings {
		was[f.ID] = f.Status
	}
	changes := &Changes{Since: before.Observed, Index: now.Summary.Index - before.Summary.Index}
	for _, f := range now.Findings {
		switch {
		case f.Status == Fail && was[f.ID] != Fail:
			changes.New = append(changes.New, f.ID)
		case f.Status != Fail && was[f.ID] == Fail:
			changes.Fixed = append(changes.Fixed, f.ID)
		}
	}
	return changes
}

// Worst is the gravest severity of the findings that fail; 0 when none does.
func Worst(findings []Finding) Severity {
	var worst Severity
	for _, f := range findings {
		if f.Status == Fail {
			worst = max(worst, f.Severity)
		}
	}
	return worst
}
