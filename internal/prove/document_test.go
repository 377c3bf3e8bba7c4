package prove

import (
	"bytes"
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"

	"rocca/internal/control"
)

var update = flag.Bool("update", false, "write docs/attacks.md")

func TestDocument(t *testing.T) {
	const kept = "../../docs/attacks.md"
	want := Document(All())
	if *update {
		if err := os.WriteFile(kept, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if have, err := os.ReadFile(kept); err != nil || !bytes.Equal(have, want) {
		t.Errorf("docs/attacks.md is not what the attacks say (%v): make docs", err)
	}
}

var idRule = regexp.MustCompile(`^A[0-9]{2}$`)

func TestEveryAttackIsWhole(t *testing.T) {
	seen := map[string]bool{}
	last := ""
	for _, a := range All() {
		if !idRule.MatchString(a.ID) || a.ID <= last {
			t.Errorf("%s after %s: ids are A and two digits, in order", a.ID, last)
		}
		last = a.ID
		if a.Title == "" || a.How == "" || a.Risk == "" || a.Attempt == nil {
			t.Errorf("%s lacks a title, how it is made, its risk, or the attempt", a.ID)
		}
		if strings.HasSuffix(a.Title, ".") {
			t.Errorf("%s: its title ends with a full stop", a.ID)
		}
		if a.Applies == nil && len(a.Controls()) == 0 {
			t.Errorf("%s: no control names it", a.ID)
		}
		for _, p := range a.Without {
			seen[p.ID] = true
		}
	}
	for _, p := range Protections(All()) {
		if p.ID == "" || p.Title == "" || p.Part == "" || strings.TrimSpace(p.Remove) == "" {
			t.Errorf("protection %q lacks a title, a part, or how it is taken away", p.ID)
		}
		if len(p.Controls) == 0 {
			t.Errorf("protection %s: no control notices that it is gone", p.ID)
		}
		if _, err := control.Select(control.All(), p.Controls); err != nil {
			t.Errorf("protection %s: %v", p.ID, err)
		}
	}
}

// TestProtectionsAreDeclaredOnce: two with the same id would be taken for one.
func TestProtectionsAreDeclaredOnce(t *testing.T) {
	known := map[string]Protection{}
	for _, a := range All() {
		for _, p := range a.Without {
			if other, there := known[p.ID]; there && (other.Remove != p.Remove || other.Title != p.Title || other.Part != p.Part) {
				t.Errorf("%s: protection %s is declared twice, differently", a.ID, p.ID)
			}
			known[p.ID] = p
		}
	}
}
