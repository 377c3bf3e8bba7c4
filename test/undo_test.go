package test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// undoOfALaterRun takes back a repair, and nothing before it.
func (m *machine) undoOfALaterRun(t *testing.T) {
	m.run(t, "sh", "-c", "echo '; an admin was here' >>/etc/rocca/php/cron.ini; chmod 0600 /etc/rocca/php/cron.ini")
	drifted := m.files(t, volatile...)
	m.up(t)
	if got := m.rocca(t, "undo", "--yes"); got.code != 0 {
		t.Fatalf("rocca undo: exit %d %s", got.code, got.stderr)
	}
	same(t, "undo of a repair", drifted, m.files(t, volatile...))
	m.answers(t)
	m.up(t)
	// A file that somebody changes after rocca wrote it is kept for them.
	m.run(t, "sh", "-c", "echo '; again' >>/etc/rocca/php/cron.ini")
	repair := m.lastRun(t)
	if got := m.rocca(t, "undo", "--yes"); got.code != 0 || !strings.Contains(got.stdout, "/var/lib/rocca/kept") {
		t.Errorf("rocca undo does not tell that it keeps a changed file: exit %d\n%s%s", got.code, got.stdout, got.stderr)
	}
	same(t, "undo of a repair", drifted, m.files(t, volatile...))
	kept := m.run(t, "sh", "-c", "cat /var/lib/rocca/kept/run-*/etc/rocca/php/cron.ini")
	if !strings.Contains(kept, "; again") {
		t.Errorf("run %d: kept is %q", repair.ID, kept)
	}
	m.up(t)
}

// undoWithData takes back a server that visitors used, in two steps.
func (m *machine) undoWithData(t *testing.T, bare, state map[string]string) {
	b := m.browser(t)
	if hit := b.do("POST", "matomo.php", "application/json", `{"requests":["?idsite=1&rec=1&url=http://localhost/kept&action_name=kept"]}`); hit.status != 200 {
		t.Fatalf("a hit: status %d %.300q\n%s", hit.status, hit.body, m.run(t, "journalctl", "-q", "--no-pager", "-n", "20", "-u", "rocca-php@tracker", "-u", "mariadb"))
	}
	visits := m.query(t, "SELECT COUNT(*) FROM matomo_log_visit")
	if visits == "0" {
		t.Fatal("the hit is not in the database")
	}
	m.run(t, "sh", "-c", "mkdir -p /var/lib/matomo/user && echo logo >/var/lib/matomo/user/logo.png && chown matomo: /var/lib/matomo/user/logo.png")
	if got := m.rocca(t, "undo", "--yes", "1"); got.code != 0 || !strings.Contains(got.stdout, "--delete-data") || !strings.Contains(got.stdout, "visits") {
		t.Fatalf("undo of a server in use does not tell that it keeps the data, and how to throw it away: exit %d\n%s%s", got.code, tailOf(got.stdout), got.stderr)
	}
	if got := m.query(t, "SELECT COUNT(*) FROM matomo_log_visit"); got != visits {
		t.Errorf("%s visits, were %s", got, visits)
	}
	for _, gone := range []string{"/var/www/matomo", "/etc/rocca/php", "/etc/systemd/system/rocca-php@.service", "/etc/php", "/var/lib/matomo-admin"} {
		if _, err := os.Lstat(m.Root() + gone); err == nil {
			t.Errorf("%s is still there", gone)
		}
	}
	if owner := m.run(t, "stat", "-c", "%U", "/var/lib/matomo/user/logo.png"); owner != "matomo" {
		t.Errorf("the kept logo belongs to %s", owner)
	}

	// It finds the old data again.
	m.up(t)
	if got := m.query(t, "SELECT COUNT(*) FROM matomo_log_visit"); got != visits {
		t.Errorf("%s visits after the next rocca up, were %s", got, visits)
	}
	m.answers(t)
	if page := m.browser(t).signIn(m.password); page.status != 200 && page.status != 302 {
		t.Errorf("the first login's password after the next rocca up: status %d", page.status)
	}
	if left := m.planned(t); len(left) > 0 {
		t.Errorf("something is to do: %q", left)
	}

	if got := m.rocca(t, "undo", "--yes", "--delete-data", "1"); got.code != 0 {
		t.Fatalf("rocca undo --delete-data 1: exit %d\n%s%s", got.code, tailOf(got.stdout), got.stderr)
	}
	same(t, "undo with its data", bare, m.files(t, planted...))
	same(t, "undo with its data", state, m.systemState(t))
	// The comparison leaves out when Debian's own timers ran last.
	if stamps, err := filepath.Glob(m.Root() + "/var/lib/systemd/timers/stamp-rocca-*"); err != nil || len(stamps) > 0 {
		t.Errorf("left behind: %q %v", stamps, err)
	}
	if got := m.rocca(t, "undo", "--yes"); got.code != 2 || !strings.Contains(got.stderr, "hint:") {
		t.Errorf("undo of nothing: exit %d %s", got.code, got.stderr)
	}
}
