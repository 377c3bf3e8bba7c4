package test

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
)

// TestKill kills rocca with SIGKILL at every step of up, and in the middle of
// what takes long. The next run must finish the work, or undo must bring the
// server back.
func TestKill(t *testing.T) {
	m := newMachine(t)
	bare, bareState := m.files(t), m.systemState(t)

	t.Run("while packages are installed, then undo", func(t *testing.T) {
		for _, apt := range []string{"Unpacking ", "Setting up "}[:killsOfApt()] {
			m.killUp(t, func(e event) bool { return e.Kind == "wait" && strings.HasPrefix(e.Text, apt) })
			m.undone(t)
			same(t, "after undo", bare, m.files(t))
			same(t, "after undo", bareState, m.systemState(t))
		}
	})
	t.Run("while packages are installed, then up", func(t *testing.T) {
		m.killUp(t, func(e event) bool { return e.Kind == "wait" && strings.HasPrefix(e.Text, "Setting up ") })
		m.killUp(t, func(e event) bool { return e.Kind == "start" && strings.HasPrefix(e.Step, "group ") })
	})
	t.Run("at every step, then up", m.killAtEveryStep)
	t.Run("undo, again and again", func(t *testing.T) {
		last := m.lastRun(t)
		for kills := 0; ; kills++ {
			undone := 0
			got, at := m.signalled(t, syscall.SIGKILL, func(e event) bool {
				undone++
				return e.Kind == "undo" && undone > 9
			}, "rocca", "undo", "--yes", "--delete-data", "1")
			if at == nil {
				// The last kill may come when all was taken back and only the end of
				// the run had to be written: then there is nothing left to undo.
				whole := got.code == 2 && strings.Contains(got.stderr, "nothing on this server that still stands")
				if got.code != 0 && !whole {
					t.Fatalf("undo after %d kills: exit %d\n%s%s", kills, got.code, tailOf(got.stdout), got.stderr)
				}
				if kills < 5 {
					t.Errorf("undo of %d changes was killed only %d times", last.Changes, kills)
				}
				break
			}
		}
		same(t, "after undo", bare, m.files(t))
		same(t, "after undo", bareState, m.systemState(t))
	})
}

// killsOfApt is how often apt is killed and all taken back: it takes long.
func killsOfApt() int {
	if os.Getenv("ROCCA_LONG") != "" {
		return 2
	}
	return 1
}

// killUp runs rocca up and kills it.
func (m *machine) killUp(t *testing.T, when func(event) bool) *event {
	t.Helper()
	got, at := m.signalled(t, syscall.SIGKILL, when, append([]string{"rocca", "up", "--yes"}, m.release...)...)
	if at == nil {
		t.Fatalf("rocca up was not killed: exit %d\n%s%s", got.code, tailOf(got.stdout), got.stderr)
	}
	return at
}

func (m *machine) undone(t *testing.T) {
	t.Helper()
	if got := m.rocca(t, "undo", "--yes"); got.code != 0 {
		t.Fatalf("rocca undo: exit %d\n%s%s", got.code, tailOf(got.stdout), got.stderr)
	}
}

// killAtEveryStep kills rocca up when each step starts; the next run goes on.
// Where a step takes long, it is killed again in its middle.
func (m *machine) killAtEveryStep(t *testing.T) {
	killed := map[string]bool{}
	middle := map[string]bool{"code": true, "install": true, "unit": true} // kinds that are killed in the middle, too
	for {
		var inMiddle bool
		got, at := m.signalled(t, syscall.SIGKILL, func(e event) bool {
			kind, _, _ := strings.Cut(e.Step, " ")
			switch {
			case e.Kind == "start" && !killed[e.Step]:
				return true
			case e.Kind == "wait" && middle[kind] && killed[e.Step] && strings.HasPrefix(e.Text, "unpacking"):
				inMiddle = true
				delete(middle, kind)
				return true
			}
			return false
		}, append([]string{"rocca", "up", "--yes"}, m.release...)...)
		if at == nil {
			if got.code != 0 {
				t.Fatalf("rocca up after %d kills: exit %d\n%s%s", len(killed), got.code, tailOf(got.stdout), got.stderr)
			}
			if c := cardOf(t, got.stdout); len(c.Password) < 20 {
				t.Errorf("no first password is shown after a password that nobody saw: %+v", c.Login)
			} else {
				m.password = c.Password
			}
			break
		}
		if !inMiddle {
			killed[at.Step] = true
		}
	}
	t.Logf("killed at %d steps", len(killed))
	if len(killed) < 50 {
		t.Errorf("killed at %d steps only", len(killed))
	}
	m.untouched(t)
	m.answers(t)
	if page := m.browser(t).signIn(m.password); page.status != 200 && page.status != 302 {
		t.Errorf("the password shown does not let in: status %d", page.status)
	}
	if left := m.run(t, "sh", "-c", "find / -xdev -name '.*.rocca-*' 2>/dev/null"); left != "" {
		t.Errorf("left behind: %s", left)
	}
	if runs := m.runs(t); len(runs) == 0 || runs[len(runs)-1].Result != "applied" {
		t.Errorf("runs: %s", fmt.Sprint(runs))
	}
}
