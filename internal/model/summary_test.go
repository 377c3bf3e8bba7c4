package model

import (
	"encoding/json"
	"slices"
	"testing"
	"time"
)

func finding(id string, status Status, severity Severity) Finding {
	return Finding{ID: id, Status: status, Severity: severity, FixKind: FixAutomatic}
}

func TestIndex(t *testing.T) {
	for _, c := range []struct {
		name     string
		findings []Finding
		want     int
	}{
		{"nothing was decided", []Finding{finding("a", Unknown, High), finding("b", NA, Critical)}, 0},
		{"all pass", []Finding{finding("a", Pass, Critical), finding("b", Waived, Low)}, 100},
		{"unknown counts for nothing", []Finding{finding("a", Pass, Low), finding("b", Unknown, Critical)}, 100},
		{"an open critical one holds it down", []Finding{finding("a", Fail, Critical), finding("b", Pass, Critical), finding("c", Pass, Critical), finding("d", Pass, Critical)}, 49},
		{"an open high one, too", []Finding{finding("a", Fail, High), finding("b", Pass, Critical), finding("c", Pass, Critical), finding("d", Pass, Critical)}, 79},
		{"by weight", []Finding{finding("a", Fail, Medium), finding("b", Pass, High), finding("c", Pass, Low)}, 75},
		{"it is rounded down", []Finding{finding("a", Fail, Low), finding("b", Pass, Medium)}, 66},
	} {
		if got := Index(c.findings); got != c.want {
			t.Errorf("%s: index %d, want %d", c.name, got, c.want)
		}
	}
}

func TestBestChangesAreGraveAndEasy(t *testing.T) {
	guided := finding("high, guided", Fail, High)
	guided.FixKind = FixGuided
	s := Summarise([]Finding{finding("low", Fail, Low), guided, finding("high", Fail, High), finding("critical", Fail, Critical), finding("fine", Pass, Critical), finding("medium", Fail, Medium)})
	if want := []string{"critical", "high", "high, guided"}; !slices.Equal(s.Best, want) {
		t.Errorf("best %q, want %q", s.Best, want)
	}
	if s.Failed["high"] != 2 || s.Failed["critical"] != 1 || s.Count[Pass] != 1 || s.Count[Fail] != 5 {
		t.Errorf("counted %v %v", s.Failed, s.Count)
	}
}

func TestCompare(t *testing.T) {
	before := Report{Observed: time.Unix(1, 0), Findings: []Finding{finding("stays", Fail, High), finding("mended", Fail, High), finding("gone", Fail, Low), finding("broke", Pass, High)}}
	before.Summary = Summarise(before.Findings)
	now := Report{Findings: []Finding{finding("stays", Fail, High), finding("mended", Pass, High), finding("broke", Fail, High), finding("new control", Fail, Low)}}
	now.Summary = Summarise(now.Findings)
	c := Compare(now, before)
	if !slices.Equal(c.New, []string{"broke", "new control"}) || !slices.Equal(c.Fixed, []string{"mended"}) {
		t.Errorf("new %q, fixed %q", c.New, c.Fixed)
	}
	if c.Index != now.Summary.Index-before.Summary.Index || !c.Since.Equal(before.Observed) {
		t.Errorf("index %d since %v", c.Index, c.Since)
	}
}

func TestSeverityInJSON(t *testing.T) {
	var back Severity
	for s := Low; s <= Critical; s++ {
		text, err := json.Marshal(s)
		if err != nil || string(text) != `"`+s.String()+`"` {
			t.Fatalf("%v: %s %v", s, text, err)
		}
		if err := json.Unmarshal(text, &back); err != nil || back != s {
			t.Errorf("%s came back as %v (%v)", text, back, err)
		}
	}
	for _, bad := range []string{`""`, `"worst"`, `"Critical"`} {
		if err := json.Unmarshal([]byte(bad), &back); err == nil {
			t.Errorf("%s was taken for %v", bad, back)
		}
	}
}

func TestWorst(t *testing.T) {
	if got := Worst([]Finding{finding("a", Pass, Critical), finding("b", Waived, High), finding("c", Fail, Medium), finding("d", Unknown, Critical)}); got != Medium {
		t.Errorf("worst is %v", got)
	}
	if got := Worst(nil); got != 0 {
		t.Errorf("worst of nothing is %v", got)
	}
}
