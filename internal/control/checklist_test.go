package control

import (
	"slices"
	"strings"
	"testing"

	"rocca/internal/model"
)

// Each line of the guide's checklist is decided by a control at least.
func TestEveryRowIsDecided(t *testing.T) {
	for i := range checklist {
		ref := row([]string{"1", "2", "3", "4", "5", "6", "7", "8", "9", "10"}[i])
		if !slices.ContainsFunc(OfCloud(), func(c Control) bool { return slices.Contains(c.Maps, ref) }) {
			t.Errorf("nothing decides line %s", ref.Item)
		}
	}
}

func TestChecklist(t *testing.T) {
	seen := func(text string) []model.Evidence { return []model.Evidence{{Subject: text}} }
	of := func(id string, status model.Status, evidence []model.Evidence, rows ...string) model.Finding {
		f := model.Finding{ID: id, Status: status, Evidence: evidence}
		if status == model.Unknown || status == model.NA {
			f.Reason = "because of " + id
		}
		for _, number := range rows {
			f.Maps = append(f.Maps, row(number))
		}
		return f
	}
	rows := Checklist([]model.Finding{
		of("AWS-01", model.Pass, seen("fine"), "1", "2"),
		of("AWS-02", model.Fail, seen("open"), "1"),
		of("AWS-03", model.Unknown, nil, "2", "4"),
		of("AWS-04", model.NA, nil, "3"),
		of("AWS-05", model.Pass, append(seen("a"), model.Evidence{Subject: "b"}, model.Evidence{Subject: "c"}), "5"),
	})
	if len(rows) != 10 {
		t.Fatalf("%d rows", len(rows))
	}
	for i, want := range []struct {
		status   model.Status
		controls []string
		evidence int
		reason   string
	}{
		{model.Fail, []string{"AWS-02", "AWS-01"}, 1, ""},
		{model.Unknown, []string{"AWS-03", "AWS-01"}, 0, "because of AWS-03"},
		{model.NA, []string{"AWS-04"}, 0, "because of AWS-04"},
		{model.Unknown, []string{"AWS-03"}, 0, "because of AWS-03"},
		{model.Pass, []string{"AWS-05"}, 2, ""},
		{model.NA, []string{}, 0, ""},
	} {
		got := rows[i]
		if got.Number != i+1 || got.Status != want.status || !slices.Equal(got.Controls, want.controls) || len(got.Evidence) != want.evidence || got.Reason != want.reason {
			t.Errorf("row %d: %+v", i+1, got)
		}
	}
}

// Selecting tells which command knows what it does not.
func TestSelectAmong(t *testing.T) {
	if _, err := Select(OfServer(), []string{"AWS-04"}); err == nil || !strings.Contains(err.Error(), "rocca aws audit") {
		t.Errorf("of a server: %v", err)
	}
	if _, err := Select(OfCloud(), []string{"fs"}); err == nil || !strings.Contains(err.Error(), "it is of a server: rocca audit") {
		t.Errorf("of AWS: %v", err)
	}
	if len(OfServer())+len(OfCloud()) != len(All()) {
		t.Error("a control is of neither")
	}
}
