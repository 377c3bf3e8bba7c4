package control

import (
	"fmt"
	"os/exec"
	"slices"
	"testing"

	"rocca/internal/model"
)

func TestCapped(t *testing.T) {
	var many []model.Evidence
	for i := range 50 {
		many = append(many, model.Evidence{Subject: fmt.Sprintf("/x/%02d", 49-i)}, model.Evidence{Subject: fmt.Sprintf("/x/%02d", 49-i)})
	}
	got := capped(many)
	if len(got) != most+1 || got[0].Subject != "/x/00" || got[most].Subject != "and 30 more" {
		t.Errorf("got %d entries, %v", len(got), got)
	}
	if few := capped(many[:4]); len(few) != 2 {
		t.Errorf("two observations, each told twice, became %v", few)
	}
}

// What an administrator is told to type must name the path as it is, whatever
// somebody called it.
func TestShellWord(t *testing.T) {
	for _, name := range []string{"/var/lib/x", "/tmp/a b", "/tmp/$(id)", "/tmp/it's", "/tmp/`id`", "/tmp/a;b\n", "/tmp/*", "", "~"} {
		out, err := exec.Command("/bin/sh", "-c", "printf %s "+shellWord(name)).Output()
		if err != nil || string(out) != name {
			t.Errorf("%q became %q as %s: %v", name, out, shellWord(name), err)
		}
	}
}

func TestAncestors(t *testing.T) {
	if got := ancestors("/var/www/x"); !slices.Equal(got, []string{"/", "/var", "/var/www", "/var/www/x"}) {
		t.Errorf("got %q", got)
	}
}
