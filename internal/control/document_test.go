package control

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"rocca/internal/model"
)

var update = flag.Bool("update", false, "write docs/controls")

const docs = "../../docs/controls"

func TestDocumentationIsCurrent(t *testing.T) {
	pages := Pages()
	if *update {
		if err := os.MkdirAll(docs, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range pages {
		path := filepath.Join(docs, name)
		if *update {
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		have, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(have, want) {
			t.Errorf("docs/controls/%s is not current (%v): go test ./internal/control -update", name, err)
		}
	}
	there, err := filepath.Glob(docs + "/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range there {
		if _, known := pages[filepath.Base(path)]; !known {
			t.Errorf("%s is of no area", path)
		}
	}
}

// Every statement of the two documents must have a control that checks it, and
// every control that names a statement must name one that is there.
func TestEveryStatementIsCovered(t *testing.T) {
	known := map[model.Ref]bool{}
	for _, s := range Statements() {
		known[s.Ref] = true
		if len(s.Controls()) == 0 {
			t.Errorf("%s %s (%s): no control checks it", s.Scheme, s.Item, s.Text)
		}
	}
	for _, c := range All() {
		for _, m := range c.Maps {
			if (m.Scheme == "S1" || m.Scheme == "S2") && m.Item != asAWhole && !known[m] {
				t.Errorf("%s maps %s %s, which is no statement", c.ID, m.Scheme, m.Item)
			}
		}
	}
}

// What is shown to people must be whole, and in the form that all have.
func TestCatalogueIsWhole(t *testing.T) {
	seen := map[string]bool{}
	areas := map[string]bool{}
	for _, a := range Areas() {
		areas[a.ID] = true
	}
	id := regexp.MustCompile(`^[A-Z]{2,3}-[0-9]{2}$`)
	attack := regexp.MustCompile(`^(all|A[0-9]{2}( A[0-9]{2})*)$`)
	for _, c := range All() {
		switch {
		case !id.MatchString(c.ID), seen[c.ID], !areas[c.Area()]:
			t.Errorf("%q: not an id, there twice, or of no area", c.ID)
		case c.Title == "" || strings.HasSuffix(c.Title, ".") || strings.Contains(c.Title, "\n"):
			t.Errorf("%s: the title %q is no sentence without a full stop", c.ID, c.Title)
		case len(c.Why) < 40 || !strings.HasSuffix(c.Why, ".") && !strings.HasSuffix(c.Why, "?"):
			t.Errorf("%s: why is not told in sentences: %q", c.ID, c.Why)
		case c.Severity < model.Low || c.Severity > model.Critical:
			t.Errorf("%s has no severity", c.ID)
		case len(c.Needs) == 0 || c.Eval == nil:
			t.Errorf("%s looks at nothing", c.ID)
		case c.Fix.Text == "" || c.Fix.Kind == "":
			t.Errorf("%s tells no fix", c.ID)
		case c.Attack != "" && !attack.MatchString(c.Attack):
			t.Errorf("%s: %q is no attack", c.ID, c.Attack)
		case c.Since == "":
			t.Errorf("%s does not tell since when it is there", c.ID)
		}
		seen[c.ID] = true
	}
	if len(seen) < 165 {
		t.Errorf("the catalogue has %d controls; 165 were promised", len(seen))
	}
}
