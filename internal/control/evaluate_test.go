package control

import (
	"strings"
	"testing"
	"time"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// stub is a control that fails with this evidence.
func stub(id string, subjects ...string) Control {
	var evidence []model.Evidence
	for _, s := range subjects {
		evidence = append(evidence, model.Evidence{Subject: s})
	}
	return Control{ID: id, Severity: model.High, Needs: []facts.Section{facts.Files}, Eval: func(*View) Verdict { return unless(evidence) }}
}

func seen(waivers ...facts.Waiver) facts.Server {
	return facts.Server{Sections: map[facts.Section]string{facts.Files: ""}, Observed: noon, Declared: facts.Declared{Waivers: waivers}}
}

func day(text string) time.Time {
	d, err := time.Parse(time.DateOnly, text)
	if err != nil {
		panic(err)
	}
	return d
}

func TestWhatWasNotSeenIsUnknown(t *testing.T) {
	asked := false
	c := stub("FS-01")
	c.Eval = func(*View) Verdict { asked = true; return pass() }
	for name, server := range map[string]facts.Server{
		"not looked at":  {},
		"could not look": {Sections: map[facts.Section]string{facts.Files: "permission denied"}},
	} {
		findings := See(server).Audit([]Control{c})
		if findings[0].Status != model.Unknown || findings[0].Reason == "" || asked {
			t.Errorf("%s: %s (%s), asked: %v", name, findings[0].Status, findings[0].Reason, asked)
		}
	}
	if findings := See(seen()).Audit([]Control{c}); findings[0].Status != model.Pass || !asked {
		t.Errorf("seen: %s", findings[0].Status)
	}
}

func TestWaivers(t *testing.T) {
	waiver := func(scope, until string) facts.Waiver {
		return facts.Waiver{ID: "FS-01", Scope: scope, Reason: "known", Owner: "jane", Until: day(until)}
	}
	for _, c := range []struct {
		name    string
		waiver  facts.Waiver
		want    model.Status
		expired bool
	}{
		{"all of it", waiver("", "2026-12-31"), model.Waived, false},
		{"its last day", waiver("", "2026-11-22"), model.Waived, false},
		{"the day after", waiver("", "2026-11-21"), model.Fail, true},
		{"both by a pattern", waiver("/srv/*", "2026-12-31"), model.Waived, false},
		{"only one of them", waiver("/srv/a", "2026-12-31"), model.Fail, false},
		{"neither", waiver("/etc/*", "2026-12-31"), model.Fail, false},
	} {
		findings := See(seen(c.waiver)).Audit([]Control{stub("FS-01", "/srv/a", "/srv/b")})
		if findings[0].Status != c.want {
			t.Errorf("%s: %s, want %s", c.name, findings[0].Status, c.want)
		}
		if c.want == model.Waived && (findings[0].Waiver == nil || findings[0].Waiver.Owner != "jane") {
			t.Errorf("%s: who waived it is not told", c.name)
		}
		if expired := len(findings) > 1; expired != c.expired {
			t.Errorf("%s: %d findings", c.name, len(findings))
		}
	}
}

func TestWaiverOfWhatPassesStaysQuiet(t *testing.T) {
	findings := See(seen(facts.Waiver{ID: "FS-01", Until: day("2026-12-31")})).Audit([]Control{stub("FS-01")})
	if len(findings) != 1 || findings[0].Status != model.Pass {
		t.Errorf("got %+v", findings)
	}
}

func TestUnknownWaiverIsAFinding(t *testing.T) {
	findings := See(seen(facts.Waiver{ID: "XX-99", Owner: "jane", Until: day("2026-12-31")})).Audit(nil)
	if len(findings) != 1 || findings[0].ID != "WAIVER-XX-99" || findings[0].Status != model.Fail {
		t.Errorf("got %+v", findings)
	}
}

// Two waivers of one control that are over are one finding: its id is what
// reports link to.
func TestWaiversThatAreOverAreOneFinding(t *testing.T) {
	over := facts.Waiver{ID: "FS-01", Owner: "jane", Until: day("2026-11-01")}
	findings := See(seen(over, over)).Audit([]Control{stub("FS-01", "/srv/a")})
	if len(findings) != 2 || len(findings[1].Evidence) != 2 {
		t.Errorf("got %+v", findings[1:])
	}
}

func TestSelect(t *testing.T) {
	for _, c := range []struct {
		wanted []string
		first  string
		count  func(int) bool
	}{
		{nil, All()[0].ID, func(n int) bool { return n == len(All()) }},
		{[]string{"fs-04"}, "FS-04", func(n int) bool { return n == 1 }},
		{[]string{"FS-04", "FS"}, "", func(n int) bool { return n > 1 && n < len(All()) }},
	} {
		selected, err := Select(All(), c.wanted)
		if err != nil || !c.count(len(selected)) || c.first != "" && selected[0].ID != c.first {
			t.Errorf("%v: %d controls, %v", c.wanted, len(selected), err)
		}
	}
	if _, err := Select(All(), []string{"FS-04", "nothing"}); err == nil || !strings.Contains(err.Error(), "hint: ") {
		t.Errorf("an unknown control: %v", err)
	}
}
