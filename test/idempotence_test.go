package test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"rocca/internal/run"
	"rocca/internal/testhost"
)

// machine is a throw-away server on which rocca works, and what is known of
// its files.
type machine struct {
	server
	hashes map[hashKey]string
}

// hashKey names a content that was hashed already.
type hashKey struct {
	inode         uint64
	size          int64
	changed, nano int64
}

// newMachine boots a bare Debian with a release on it.
func newMachine(t *testing.T) *machine {
	t.Helper()
	h := testhost.Boot(t, testhost.Options{Bare: true})
	release := os.Getenv("ROCCA_REAL_RELEASE")
	m := &machine{server: server{Host: h, real: release != ""}, hashes: map[hashKey]string{}}
	m.write(t, "/etc/rocca/rocca.yaml", []byte("domain: [127.0.0.1, localhost, matomo.localhost]\nport: "+portOf(h.URL())+"\n"))
	// What is unpacked here need not outlive a power failure.
	m.write(t, "/etc/dpkg/dpkg.cfg.d/throw-away", []byte("force-unsafe-io\n"))
	m.release = m.giveRelease(t, release)
	m.run(t, "apt-get", "-y", "install", "acl")
	return m
}

// outcome is how a command ended.
type outcome struct {
	code           int
	stdout, stderr string
}

// rocca runs rocca inside.
func (m *machine) rocca(t *testing.T, verb string, arguments ...string) outcome {
	t.Helper()
	argv := append([]string{"rocca", verb}, arguments...)
	if verb == "up" || verb == "plan" {
		argv = append(argv, m.release...)
	}
	return m.try(t, argv...)
}

func (m *machine) try(t *testing.T, argv ...string) outcome {
	t.Helper()
	got, err := m.Try(run.Command{Argv: argv})
	var failed *run.Error
	if err != nil && !errors.As(err, &failed) {
		t.Fatal(err)
	}
	o := outcome{stdout: string(got.Stdout), stderr: string(got.Stderr)}
	if failed != nil {
		o.code = failed.ExitCode
	}
	return o
}

// up runs rocca up to a good end and returns the first login's password, when
// it shows one.
func (m *machine) up(t *testing.T) string {
	t.Helper()
	got := m.rocca(t, "up", "--yes", "--json")
	if got.code != 0 {
		t.Fatalf("rocca up: exit %d\n%s%s", got.code, tailOf(got.stdout), got.stderr)
	}
	return cardOf(t, got.stdout).Password
}

type card struct {
	Kind, Login, Password string
	Changes               int
}

func cardOf(t *testing.T, output string) card {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(output), "\n")
	var c card
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &c); err != nil || c.Kind != "card" {
		t.Fatalf("the last line of rocca up is no card: %v\n%.300s", err, lines[len(lines)-1])
	}
	return c
}

func tailOf(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-12):], "\n")
}

// planned lists the steps that rocca would make, by its own exit code.
func (m *machine) planned(t *testing.T) []string {
	t.Helper()
	got := m.rocca(t, "plan", "--json")
	var steps []string
	for line := range strings.Lines(got.stdout) {
		var p struct{ Step string }
		if err := json.Unmarshal([]byte(line), &p); err != nil {
			t.Fatalf("rocca plan prints %q: %v", line, err)
		}
		steps = append(steps, p.Step)
	}
	if want := min(len(steps), 1); got.code != want {
		t.Fatalf("rocca plan: exit %d with %d steps, want %d\n%s", got.code, len(steps), want, got.stderr)
	}
	return steps
}

// runInfo is a line of rocca runs --json.
type runInfo struct {
	ID, Changes  int
	Verb, Result string
	Steps        []string
}

func (m *machine) runs(t *testing.T) []runInfo {
	t.Helper()
	got := m.rocca(t, "runs", "--json")
	if got.code != 0 {
		t.Fatalf("rocca runs: exit %d %s", got.code, got.stderr)
	}
	var found []runInfo
	for line := range strings.Lines(got.stdout) {
		var r runInfo
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		found = append(found, r)
	}
	return found
}

func (m *machine) lastRun(t *testing.T) runInfo {
	t.Helper()
	found := m.runs(t)
	if len(found) == 0 {
		t.Fatal("there is no run")
	}
	return found[len(found)-1]
}

// notCompared are the parts of a server that change by themselves: what is no
// file system, logs, caches, the package manager's state, and the journal.
// What the test itself put there is not compared either.
var notCompared = []string{"/proc", "/sys", "/dev", "/run", "/tmp", "/var/tmp", "/var/log", "/var/cache", "/var/lib/dpkg", "/var/lib/apt",
	"/var/lib/rocca", "/srv", "/root", "/etc/.updated", "/var/.updated", "/var/lib/systemd/random-seed", "/var/lib/systemd/timers",
	"/var/lib/logrotate", "/var/lib/private"}

// files describes every file of the server: type, mode, owner, content, link,
// access control list, and the time of the content of what is no directory.
func (m *machine) files(t *testing.T, leaveOut ...string) map[string]string {
	t.Helper()
	leaveOut = append(leaveOut, notCompared...)
	found := map[string]string{}
	err := filepath.WalkDir(m.Root(), func(path string, entry fs.DirEntry, err error) error {
		name := strings.TrimPrefix(path, m.Root())
		if slices.Contains(leaveOut, name) {
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if err != nil {
			return err
		}
		found[name], err = m.describe(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func (m *machine) describe(path string) (string, error) {
	var stat unix.Stat_t
	if err := unix.Lstat(path, &stat); err != nil {
		return "", err
	}
	text := fmt.Sprintf("%o %d:%d", stat.Mode, stat.Uid, stat.Gid)
	switch stat.Mode & unix.S_IFMT {
	case unix.S_IFLNK:
		target, err := os.Readlink(path)
		return text + " -> " + target, err
	case unix.S_IFREG:
		key := hashKey{stat.Ino, stat.Size, stat.Ctim.Sec, stat.Ctim.Nsec}
		if _, known := m.hashes[key]; !known {
			content, err := os.ReadFile(path)
			if err != nil {
				return "", err
			}
			m.hashes[key] = fmt.Sprintf("%x", sha256.Sum256(content))
		}
		text += fmt.Sprintf(" %s %d.%09d", m.hashes[key], stat.Mtim.Sec, stat.Mtim.Nsec)
	}
	for _, name := range []string{"system.posix_acl_access", "system.posix_acl_default", "user.note"} {
		value := make([]byte, 4096)
		if n, err := unix.Lgetxattr(path, name, value); err == nil {
			text += fmt.Sprintf(" %s=%x", name, value[:n])
		}
	}
	return text, nil
}

// same reports how two descriptions differ.
func same(t *testing.T, what string, before, after map[string]string) {
	t.Helper()
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("%s (-before +after)\n%s", what, diff)
	}
}

// systemState describes what of a server is not in its files: the state of units,
// accounts of the database when it runs, and open ports.
func (m *machine) systemState(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{
		"units":    m.run(t, "sh", "-c", "systemctl list-units --plain --no-legend --all --type=service,socket,timer --state=active,failed | awk '{print $1, $3}' | grep -v '^user@\\|^systemd-\\|^run-\\|apt-daily\\|dpkg-db\\|e2scrub\\|man-db\\|logrotate' | sort"),
		"enabled":  m.run(t, "sh", "-c", "systemctl list-unit-files --plain --no-legend | awk '{print $1, $2}' | sort"),
		"packages": m.run(t, "sh", "-c", "dpkg-query -W -f '${db:Status-Abbrev} ${Package} ${Version}\\n' | grep -v '^un' | sort"),
		"ports":    m.run(t, "sh", "-c", "ss -Hltn | awk '{print $4}' | sort"),
	}
	if m.try(t, "test", "-S", "/run/mysqld/mysqld.sock").code == 0 {
		found["database"] = m.run(t, "mariadb", "-BNe", "SELECT user, host, plugin FROM mysql.user ORDER BY 1, 2; SHOW DATABASES")
	}
	return found
}

// answers asks as a visitor whether the server works.
func (m *machine) answers(t *testing.T) {
	t.Helper()
	b := m.browser(t)
	if page := b.get("index.php"); page.status != 200 || !strings.Contains(page.body, "form_password") {
		t.Errorf("the login page: status %d %.200q", page.status, page.body)
	}
	if hit := b.do("POST", "matomo.php", "application/json", `{"requests":["?idsite=999999&rec=1"]}`); hit.status != 200 || !strings.Contains(hit.body, `"success"`) {
		t.Errorf("the tracker: status %d %.200q", hit.status, hit.body)
	}
}

// untouched runs rocca up and plan on a server that is as it should be.
func (m *machine) untouched(t *testing.T) {
	t.Helper()
	if steps := m.planned(t); len(steps) > 0 {
		t.Errorf("something is to do on a finished server: %q", steps)
	}
	before, journal := m.files(t, volatile...), m.journal(t)
	got := m.rocca(t, "up", "--yes", "--json")
	if got.code != 0 {
		t.Errorf("a second rocca up: exit %d %s", got.code, got.stderr)
	} else if c := cardOf(t, got.stdout); c.Changes != 0 || c.Password != "" {
		t.Errorf("a second rocca up: %d changes, or a password", c.Changes)
	}
	same(t, "a second rocca up changes files", before, m.files(t, volatile...))
	if !bytes.Equal(journal, m.journal(t)) {
		t.Error("a second rocca up writes into the journal")
	}
}

// volatile is where Matomo and MariaDB write while they run.
var volatile = []string{"/var/lib/mysql", "/var/lib/matomo/tmp", "/var/lib/matomo-tracker/tmp", "/var/lib/matomo-admin/tmp"}

// journal is all of the journal's text.
func (m *machine) journal(t *testing.T) []byte {
	t.Helper()
	var text []byte
	err := filepath.WalkDir(m.Root()+"/var/lib/rocca/journal", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		text = append(append(text, path...), content...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// process finds rocca inside, by its pid on the host; 0 when it does not run.
func (m *machine) process(t *testing.T) int {
	t.Helper()
	inside, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", m.LeaderPID()))
	if err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob("/proc/[0-9]*/comm")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		comm, _ := os.ReadFile(name)
		namespace, _ := os.Readlink(filepath.Dir(name) + "/ns/pid")
		if string(comm) == "rocca\n" && namespace == inside {
			var pid int
			fmt.Sscanf(name, "/proc/%d/comm", &pid)
			return pid
		}
	}
	return 0
}

// event is a line of --json.
type event struct {
	Kind, Step, Text string
	Index            int
}

// signalled runs rocca with --json and sends it a signal at the first event
// that when picks. It returns how rocca ended and that event, nil when there
// was none.
func (m *machine) signalled(t *testing.T, signal syscall.Signal, when func(event) bool, argv ...string) (outcome, *event) {
	t.Helper()
	var at *event
	pid := 0
	w := lines(func(line []byte) {
		var e event
		if at != nil || json.Unmarshal(line, &e) != nil {
			return
		}
		if pid == 0 {
			pid = m.process(t) // beforehand: to look takes longer than a step
		}
		if pid != 0 && when(e) {
			at = &e
			if err := syscall.Kill(pid, signal); err != nil {
				t.Error(err)
			}
		}
	})
	got, err := m.Try(run.Command{Argv: append(argv, "--json"), Output: &w})
	o := outcome{stdout: string(got.Stdout), stderr: string(got.Stderr)}
	var failed *run.Error
	if errors.As(err, &failed) {
		o.code = failed.ExitCode
	}
	return o, at
}

// lineWriter calls a function for each line.
type lineWriter struct {
	rest []byte
	each func([]byte)
}

func lines(each func([]byte)) lineWriter { return lineWriter{each: each} }

func (w *lineWriter) Write(p []byte) (int, error) {
	w.rest = append(w.rest, p...)
	for {
		line, rest, found := bytes.Cut(w.rest, []byte("\n"))
		if !found {
			return len(p), nil
		}
		w.each(line)
		w.rest = rest
	}
}
