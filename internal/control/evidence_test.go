package control

import (
	"fmt"
	"os/exec"
	"slices"
	"testing"

	"rocca/internal/model"
	"rocca/internal/reach"
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

// A finding is cut once: cutting a part of it first would tell a wrong number.
func TestWaysAreCutOnce(t *testing.T) {
	var paths []reach.Path
	for i := range most + 5 {
		paths = append(paths, reach.Path{From: reach.Node{Kind: reach.User, Name: fmt.Sprintf("user%02d", i)}})
	}
	found := append(ways("/srv/a", paths, "root only"), ways("/srv/b", paths, "root only")...)
	evidence := conclude(found, nil).Evidence
	if len(evidence) != most+1 || evidence[most].Subject != "and 30 more" {
		t.Errorf("%d entries, the last is %+v", len(evidence), evidence[len(evidence)-1])
	}
}
