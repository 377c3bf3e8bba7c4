package report

import (
	"slices"

	"rocca/internal/model"
)

// provenAs finds an attack on a finding's control that came to an outcome; nil
// when there is none.
func provenAs(f model.Finding, outcome model.Outcome) *model.Proven {
	at := slices.IndexFunc(f.Proven, func(p model.Proven) bool { return p.Result == outcome })
	if at < 0 {
		return nil
	}
	return &f.Proven[at]
}

// attacked is the outcome by which a finding is marked; "" when no attack says
// anything of it. What fell counts before what held.
func attacked(f model.Finding) model.Outcome {
	for _, outcome := range []model.Outcome{model.Fell, model.Held} {
		if provenAs(f, outcome) != nil {
			return outcome
		}
	}
	return ""
}

// provenCount counts the controls that pass and that an attack proved.
func provenCount(r model.Report) int {
	count := 0
	for _, f := range with(r.Findings, model.Pass) {
		if attacked(f) == model.Held {
			count++
		}
	}
	return count
}
