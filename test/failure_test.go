package test

import (
	"errors"
	"io"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"rocca/internal/run"
)

// failures are what is wrong with a server, each with the error that rocca up
// must end in. Nothing may be changed, or all must have been taken back.
var failures = []struct {
	name   string
	damage string // shell
	repair string // shell
	args   []string
	code   int
	says   []string
}{
	{name: "another distribution", damage: "cp -a /etc/os-release /tmp/os-release; rm /etc/os-release; echo ID=fedora >/etc/os-release", repair: "rm /etc/os-release; cp -a /tmp/os-release /etc/os-release", code: 2, says: []string{"not Debian", "hint:"}},
	{name: "another Debian", damage: "cp -a /etc/os-release /tmp/os-release; rm /etc/os-release; sed 's/\"1[0-9]\"/\"11\"/' /usr/lib/os-release >/etc/os-release", repair: "rm /etc/os-release; cp -a /tmp/os-release /etc/os-release", code: 2, says: []string{"Debian 11", "hint:"}},
	{name: "no systemd", damage: "mv /run/systemd/system /run/systemd/system.away", repair: "mv /run/systemd/system.away /run/systemd/system", code: 2, says: []string{"systemd", "hint:"}},
	{name: "an unknown key", damage: "cp -a /etc/rocca/rocca.yaml /tmp; printf '\\nfrnt: nginx\\n' >>/etc/rocca/rocca.yaml", repair: "cp -a /tmp/rocca.yaml /etc/rocca", code: 2, says: []string{"rocca.yaml:", "front"}},
	{name: "no release there", args: []string{"--release", "/srv/missing.tar.gz"}, code: 2, says: []string{"/srv/missing.tar.gz"}},
	{name: "no network", args: []string{"--release", "5.3.0"}, code: 2, says: []string{"5.3.0", "--release"}},
	{name: "a broken archive", damage: "head -c 4000 /srv/*.tar.gz >/srv/cut.tar.gz; cp /srv/*.gz.asc /srv/cut.tar.gz.asc", repair: "rm /srv/cut*", args: []string{"--release", "/srv/cut.tar.gz", "--release-key", "/srv/key.asc"}, code: 2, says: []string{"signature"}},
	{name: "no signature", damage: "cp /srv/matomo-*.tar.gz /srv/unsigned.tar.gz", repair: "rm /srv/unsigned*", args: []string{"--release", "/srv/unsigned.tar.gz"}, code: 2, says: []string{"--accept-unsigned"}},
	{name: "a taken port", damage: "systemd-run -q --unit=squatter -- perl -MIO::Socket::INET -e 'my $s = IO::Socket::INET->new(LocalPort => 80, Listen => 1) or die; sleep 600'; until ss -Hltn | grep -q :80; do sleep 0.05; done", repair: "systemctl stop squatter", code: 2, says: []string{"port 80", "perl", "hint:"}},
	{name: "apt in use", damage: "echo 'DPkg::Lock::Timeout \"1\";' >/etc/apt/apt.conf.d/99patience; systemd-run -q --unit=holder -- perl -MFcntl -e 'open my $f, \">>\", \"/var/lib/dpkg/lock-frontend\"; my $l = pack(\"s s x4 l! l! i x4\", F_WRLCK, 0, 0, 0, 0); fcntl($f, F_SETLK, $l) or die; sleep 600'; sleep 0.3",
		repair: "systemctl stop holder; rm /etc/apt/apt.conf.d/99patience", code: 5, says: []string{"locked", "perl", "hint:", "taken back"}},
	{name: "a package that cannot be had", damage: "mv /var/cache/apt/archives /var/cache/apt/archives.away; mkdir -p /var/cache/apt/archives/partial", repair: "rm -r /var/cache/apt/archives; mv /var/cache/apt/archives.away /var/cache/apt/archives", code: 5, says: []string{"apt-get", "mirror", "hint:", "taken back"}},
}

// TestFailures breaks a bare server in each way and runs rocca up.
func TestFailures(t *testing.T) {
	m := newMachine(t)
	bare, state := m.files(t), m.systemState(t)
	unchanged := func(t *testing.T) {
		t.Helper()
		same(t, "a rocca up that failed leaves something", bare, m.files(t))
		same(t, "a rocca up that failed leaves something", state, m.systemState(t))
	}
	for _, f := range failures {
		t.Run(f.name, func(t *testing.T) {
			if f.damage != "" {
				m.run(t, "sh", "-c", f.damage)
			}
			argv := append([]string{"rocca", "up", "--yes"}, m.release...)
			if f.args != nil {
				argv = append([]string{"rocca", "up", "--yes"}, f.args...)
			}
			got := m.try(t, argv...)
			if f.repair != "" {
				m.run(t, "sh", "-c", f.repair)
			}
			if got.code != f.code {
				t.Errorf("exit %d, want %d", got.code, f.code)
			}
			for _, text := range f.says {
				if !strings.Contains(got.stderr, text) {
					t.Errorf("it does not say %q:\n%s", text, got.stderr)
				}
			}
			unchanged(t)
		})
	}
	t.Run("not root", func(t *testing.T) {
		got := m.try(t, "runuser", "-u", "nobody", "--", "rocca", "up", "--yes")
		if got.code != 2 || !strings.Contains(got.stderr, "root") || !strings.Contains(got.stderr, "sudo") {
			t.Errorf("exit %d: %s", got.code, got.stderr)
		}
		unchanged(t)
	})
	t.Run("no terminal to ask on", func(t *testing.T) {
		got := m.rocca(t, "up")
		if got.code != 2 || !strings.Contains(got.stderr, "--yes") {
			t.Errorf("exit %d: %s", got.code, got.stderr)
		}
		unchanged(t)
	})
	t.Run("little room on the disk", func(t *testing.T) {
		m.smallVar(t, "96m")
		got := m.rocca(t, "up", "--yes")
		if got.code != 2 || !strings.Contains(got.stderr, "MiB free") || !strings.Contains(got.stderr, "df -h") {
			t.Errorf("exit %d: %s", got.code, got.stderr)
		}
	})
	unchanged(t)
	t.Run("interrupted", func(t *testing.T) {
		got, at := m.signalled(t, syscall.SIGINT, func(e event) bool { return e.Kind == "wait" && strings.HasPrefix(e.Text, "Unpacking ") },
			append([]string{"rocca", "up", "--yes"}, m.release...)...)
		if at == nil || got.code != 5 || !strings.Contains(got.stderr, "taken back") {
			t.Errorf("exit %d\n%s%s", got.code, tailOf(got.stdout), got.stderr)
		}
		unchanged(t)
	})
	// From here on the packages are there, and stay.
	m.up(t)
	m.run(t, "sh", "-c", "rm -r /var/lib/rocca/journal && apt-mark manual mariadb-server >/dev/null")
	t.Run("two at once", m.twoAtOnce)
	t.Run("a repair that fails", m.repairThatFails)
	t.Run("no room while unpacking", m.noRoomWhileUnpacking)
	t.Run("taking back fails, too", m.takingBackFails)
	t.Run("no database server", m.noDatabase)
}

// smallVar makes /var/tmp-like room scarce: free space is what is asked of the
// file system of /var.
func (m *machine) smallVar(t *testing.T, size string) {
	t.Helper()
	m.run(t, "sh", "-ec", "mkdir /tmp/var; mount -t tmpfs -o size="+size+" tmpfs /tmp/var; mkdir -p /tmp/var/lib /tmp/var/tmp; for d in dpkg systemd; do mkdir /tmp/var/lib/$d; mount --rbind /var/lib/$d /tmp/var/lib/$d; done; mkdir -p /tmp/var/cache/apt /tmp/var/lib/apt; mount --rbind /var/lib/apt /tmp/var/lib/apt; mount --rbind /var/cache/apt /tmp/var/cache/apt; mount --rbind /tmp/var /var")
	t.Cleanup(func() { m.run(t, "sh", "-c", "umount -l -R /var; umount -l -R /tmp/var; rmdir /tmp/var") })
}

// twoAtOnce holds the lock as a rocca does that is at work.
func (m *machine) twoAtOnce(t *testing.T) {
	m.run(t, "chmod", "0600", "/etc/rocca/php/cron.ini")
	code := 0
	var told string
	_, err := m.Try(run.Command{Argv: append([]string{"rocca", "up", "--yes", "--json"}, m.release...), Output: lineReader(func(line string) {
		if code == 0 && strings.Contains(line, `"start"`) {
			got := m.rocca(t, "up", "--yes")
			code, told = got.code, got.stderr
		}
	})})
	if err != nil {
		t.Error(err)
	}
	if code != 11 || !strings.Contains(told, "another rocca") || !strings.Contains(told, "pid") {
		t.Errorf("the second rocca: exit %d: %s", code, told)
	}
}

func lineReader(each func(string)) io.Writer {
	w := lines(func(line []byte) { each(string(line)) })
	return &w
}

// repairThatFails: a place that nobody may write.
func (m *machine) repairThatFails(t *testing.T) {
	m.run(t, "sh", "-ec", "chmod 0600 /etc/rocca/php/cron.ini; echo x >>/usr/local/lib/rocca/headless.php; mount --bind /usr/local/lib/rocca /usr/local/lib/rocca; mount -o remount,bind,ro /usr/local/lib/rocca")
	before := m.files(t, volatile...)
	got := m.rocca(t, "up", "--yes")
	if got.code != 5 || !strings.Contains(got.stderr, "/usr/local/lib/rocca/headless.php") || !strings.Contains(got.stderr, "read-only") {
		t.Errorf("exit %d: %s", got.code, got.stderr)
	}
	same(t, "a rocca up that failed leaves something", before, m.files(t, volatile...))
	m.run(t, "umount", "/usr/local/lib/rocca")
	m.up(t)
}

// noRoomWhileUnpacking puts the code on a disk that is too small for it.
func (m *machine) noRoomWhileUnpacking(t *testing.T) {
	code := filepath.Base(m.run(t, "readlink", "/var/www/matomo/www"))
	m.run(t, "sh", "-ec", "mount -t tmpfs -o size=256k tmpfs /var/www/matomo")
	before := m.files(t, volatile...)
	got := m.rocca(t, "up", "--yes")
	if got.code != 5 || !strings.Contains(got.stderr, "no space left") || !strings.Contains(got.stderr, code) {
		t.Errorf("exit %d: %s", got.code, got.stderr)
	}
	same(t, "a rocca up that failed leaves something", before, m.files(t, volatile...))
	m.run(t, "umount", "/var/www/matomo")
	if left := m.planned(t); len(left) > 1 {
		t.Errorf("something is to do afterwards: %q", left)
	}
	m.up(t)
}

// takingBackFails: the step fails, and then undo cannot write either.
func (m *machine) takingBackFails(t *testing.T) {
	m.run(t, "sh", "-ec", "chmod 0600 /etc/rocca/php/cron.ini; chmod 0700 /usr/local/lib/rocca/headless.php; chmod 0711 /etc/rocca/php; chmod 0600 /etc/systemd/system/rocca-tasks.timer")
	before := m.files(t, volatile...)
	frozen := false
	got, err := m.Try(run.Command{Argv: append([]string{"rocca", "up", "--yes", "--json"}, m.release...), Output: lineReader(func(line string) {
		if !frozen && strings.Contains(line, `"done"`) && strings.Contains(line, "cron.ini") {
			frozen = true
			m.run(t, "sh", "-ec", "for d in /etc/rocca/php /etc/systemd/system; do mount --bind $d $d; mount -o remount,bind,ro $d; done")
		}
	})})
	var code int
	var failed *run.Error
	if errors.As(err, &failed) {
		code = failed.ExitCode
	}
	if code != 6 || !strings.Contains(string(got.Stderr), "rocca undo") {
		t.Errorf("exit %d: %s", code, got.Stderr)
	}
	if next := m.rocca(t, "up", "--yes"); next.code != 2 || !strings.Contains(next.stderr, "rocca undo") {
		t.Errorf("the next rocca up: exit %d: %s", next.code, next.stderr)
	}
	m.run(t, "umount", "/etc/rocca/php", "/etc/systemd/system")
	m.undone(t)
	same(t, "undo once the cause is mended", before, m.files(t, volatile...))
	m.up(t)
}

// noDatabase: MariaDB is there and cannot start.
func (m *machine) noDatabase(t *testing.T) {
	m.run(t, "sh", "-ec", "systemctl stop mariadb; mv /etc/mysql/mariadb.conf.d/50-server.cnf /tmp; printf '[mariadbd]\\nno_such_option = 1\\n' >/etc/mysql/mariadb.conf.d/50-server.cnf")
	got := m.rocca(t, "up", "--yes")
	if got.code != 5 || !strings.Contains(got.stderr, "mariadb.service") || !strings.Contains(got.stderr, "no_such_option") && !strings.Contains(got.stderr, "no-such-option") {
		t.Errorf("exit %d: %s", got.code, got.stderr)
	}
	m.run(t, "sh", "-ec", "mv /tmp/50-server.cnf /etc/mysql/mariadb.conf.d; systemctl reset-failed mariadb")
	m.up(t)
	m.answers(t)
}
