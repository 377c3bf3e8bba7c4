package control

import (
	"fmt"
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
	"rocca/internal/reach"
)

// See looks at facts as controls do.
func See(server facts.Server) *View { return &View{Server: server, Reach: reach.New(server)} }

// Audit evaluates controls. The findings have the order of the controls;
// waivers of the facts are applied, and one that does not cover what it was
// made for any more is a finding of its own.
func (v *View) Audit(controls []Control) []model.Finding {
	var findings []model.Finding
	for _, c := range controls {
		findings = append(findings, c.evaluate(v))
	}
	return append(findings, expired(v.Server, controls)...)
}

// evaluate asks one control. What it needs and was not seen makes it unknown.
func (c Control) evaluate(view *View) model.Finding {
	finding := model.Finding{
		ID: c.ID, Area: c.Area(), Severity: c.Severity, Title: c.Title, Why: c.Why,
		Fix: c.Fix.Text, FixKind: c.Fix.Kind, ProvenBy: c.Attack, Maps: c.Maps,
	}
	for _, attack := range strings.Fields(c.Attack) {
		if result, made := view.Rocca.Attacks[attack]; made {
			finding.Proven = append(finding.Proven, model.Proven{Attack: attack, Result: model.Outcome(result), At: view.Rocca.Proved})
		}
	}
	if unseen := blind(view, c.Needs...); len(unseen) > 0 {
		finding.Status, finding.Reason = model.Unknown, unseen[0]
		return finding
	}
	verdict := c.Eval(view)
	finding.Status, finding.Reason, finding.Evidence = verdict.Status, verdict.Reason, verdict.Evidence
	if c.Cloud() && verdict.Status == model.Fail && c.Fix.Changes != nil {
		for _, change := range c.Fix.Changes(view) {
			finding.Commands = append(finding.Commands, model.Command{Does: change.Sentence, Line: change.Command})
		}
	}
	waive(&finding, view.Server)
	return finding
}

// waive marks what the owner accepts. A finding is waived when all of its
// evidence is.
func waive(finding *model.Finding, server facts.Server) {
	if finding.Status != model.Fail {
		return
	}
	waived := 0
	for _, w := range server.Declared.Waivers {
		if w.ID != finding.ID || over(w, server) {
			continue
		}
		for i := range finding.Evidence {
			e := &finding.Evidence[i]
			if !e.Waived && covers(w.Scope, e.Subject) {
				e.Waived = true
				waived++
				finding.Waiver = &model.Waiver{Reason: w.Reason, Owner: w.Owner, Until: w.Until}
			}
		}
	}
	if waived > 0 && waived == len(finding.Evidence) {
		finding.Status = model.Waived
	}
}

// over tells whether the last day of a waiver is over.
func over(w facts.Waiver, server facts.Server) bool {
	return !server.Observed.Before(w.Until.AddDate(0, 0, 1))
}

func covers(scope, subject string) bool {
	if prefix, open := strings.CutSuffix(scope, "*"); open {
		return strings.HasPrefix(subject, prefix)
	}
	return scope == "" || scope == subject
}

// expired are findings about waivers that are over, or name no control.
func expired(server facts.Server, controls []Control) []model.Finding {
	var findings []model.Finding
	for _, w := range server.Declared.Waivers {
		i := slices.IndexFunc(catalogue(), func(c Control) bool { return c.ID == w.ID })
		finding := model.Finding{
			ID: "WAIVER-" + w.ID, Area: "WAIVER", Status: model.Fail, Severity: model.Low, FixKind: model.FixGuided,
			Title: "every waiver is of a control and in force",
			Why:   "A waiver that nobody looks after hides a weakness for ever.",
		}
		evidence := model.Evidence{Subject: "waiver of " + w.ID + " by " + w.Owner}
		switch {
		case i < 0:
			evidence.Have, evidence.Want = "there is no such control", "an id of rocca controls"
			finding.Fix = "correct or remove it under waivers: in rocca.yaml"
		case over(w, server):
			finding.Severity = catalogue()[i].Severity
			evidence.Have, evidence.Want = "over since "+date(w.Until), "decided anew"
			finding.Fix = "put " + w.ID + " right, or decide anew until when it is acceptable"
		default:
			continue
		}
		if i >= 0 && !slices.ContainsFunc(controls, func(c Control) bool { return c.ID == w.ID }) {
			continue // not asked for
		}
		if at := slices.IndexFunc(findings, func(f model.Finding) bool { return f.ID == finding.ID }); at >= 0 {
			findings[at].Evidence = append(findings[at].Evidence, evidence)
			continue
		}
		finding.Evidence = []model.Evidence{evidence}
		findings = append(findings, finding)
	}
	return findings
}

// Select picks controls by id or area among some, in their order. One that is
// not among them is an error.
func Select(among []Control, wanted []string) ([]Control, error) {
	if len(wanted) == 0 {
		return among, nil
	}
	var selected []Control
	found := map[string]bool{}
	for _, c := range among {
		asked := false
		for _, want := range wanted {
			if strings.EqualFold(want, c.ID) || strings.EqualFold(want, c.Area()) {
				asked, found[want] = true, true
			}
		}
		if asked {
			selected = append(selected, c)
		}
	}
	for _, want := range wanted {
		if !found[want] {
			return nil, fmt.Errorf("select %q: no control and no area has that name\nhint: %s", want, whereIs(want))
		}
	}
	return selected, nil
}

// whereIs tells which command knows a control that was asked of another.
func whereIs(want string) string {
	for _, c := range catalogue() {
		switch {
		case !strings.EqualFold(want, c.ID) && !strings.EqualFold(want, c.Area()):
		case c.Cloud():
			return "it is of a deployment in AWS: rocca aws audit"
		default:
			return "it is of a server: rocca audit"
		}
	}
	return "rocca controls lists them"
}
