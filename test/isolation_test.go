package test

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"rocca/internal/run"
)

// users of a server who are not root. intruder is one that the test adds.
var users = []string{"nobody", "intruder", "www-data", "matomo", "matomo-tracker", "matomo-admin"}

func testOtherUsers(t *testing.T, s *server) {
	s.run(t, "useradd", "--no-create-home", "--shell", "/bin/sh", "intruder")
	php := s.run(t, "sh", "-c", "ls /usr/bin/php[0-9]*")
	for _, socket := range []string{"ui", "tracker"} {
		connect := fmt.Sprintf(`exit(@stream_socket_client("unix:///run/matomo/%s.sock") ? 0 : 1);`, socket)
		for _, user := range users {
			if got := s.as(user, php, "-n", "-r", connect); got != (user == "www-data") {
				t.Errorf("%s connects to the FastCGI socket %s: %v", user, socket, got)
			}
		}
	}
	for _, private := range []struct {
		path   string
		reader string // the only one beside root
	}{
		{uiConfig, "matomo"},
		{trackerConfig, "matomo-tracker"},
		{"/var/lib/matomo-admin/config/config.ini.php", "matomo-admin"},
		{"/var/lib/matomo/config", "matomo"},
		{"/var/lib/matomo/tmp", "matomo"},
		{"/var/lib/matomo/tmp/cache", "matomo"},
		{"/var/lib/matomo-tracker/config", "matomo-tracker"},
		{"/var/lib/matomo-tracker/tmp", "matomo-tracker"},
		{"/var/lib/matomo-admin/config", "matomo-admin"},
		{"/var/lib/rocca", ""},
		{"/var/lib/rocca/releases", ""},
		{"/etc/rocca/tls/self-signed.key", ""},
		{"/var/lib/mysql/matomo", ""},
	} {
		if _, err := os.Lstat(s.Root() + private.path); err != nil {
			t.Errorf("%s is not there", private.path)
		}
		for _, user := range users {
			if got := s.as(user, "test", "-r", private.path); got != (user == private.reader) {
				t.Errorf("%s reads %s: %v", user, private.path, got)
			}
		}
	}
	// Whatever steers what runs: code, units, settings, programs.
	places := []string{"/var/www", "/etc", "/usr", "/var/lib/matomo/config", "/var/lib/matomo-tracker/config", "/var/lib/matomo/geoip", "/run/matomo", "/var/spool/cron"}
	for _, user := range users {
		found, _ := s.Try(run.Command{Argv: slices.Concat([]string{"runuser", "-u", user, "--", "find"}, places,
			[]string{"-writable", "!", "-type", "l", "!", "-type", "s", "-print"})})
		if lines := strings.TrimSpace(string(found.Stdout)); lines != "" {
			t.Errorf("%s can write to %q", user, lines)
		}
		for _, own := range []struct{ path, writer string }{
			{"/var/lib/matomo/tmp", "matomo"}, {"/var/lib/matomo/user", "matomo"}, {"/var/lib/matomo-tracker/tmp", "matomo-tracker"}, {"/var/lib/matomo", ""}, {"/var/lib/matomo-tracker", ""},
		} {
			if got := s.as(user, "test", "-w", own.path); got != (user == own.writer) {
				t.Errorf("%s writes to %s: %v", user, own.path, got)
			}
		}
	}
}

func testDatabaseAccounts(t *testing.T, s *server) {
	accounts := []string{"root", "matomo", "matomo-tracker", "matomo-admin"}
	for _, user := range users {
		for _, account := range accounts {
			if got := s.as(user, "mariadb", "--user", account, "--execute", "SELECT 1"); got != (user == account) {
				t.Errorf("the Unix user %s logs in to the database as %s: %v", user, account, got)
			}
			if s.as(user, "mariadb", "--user", account, "--host", "127.0.0.1", "--execute", "SELECT 1") {
				t.Errorf("the Unix user %s logs in to the database as %s by TCP", user, account)
			}
		}
	}
	for _, statement := range []struct {
		account, sql string
		allowed      bool
	}{
		{"matomo", "SELECT COUNT(*) FROM matomo.matomo_user", true},
		{"matomo", "ALTER TABLE matomo.matomo_user ADD COLUMN x INT", false},
		{"matomo", "DROP TABLE matomo.matomo_site", false},
		{"matomo", "SELECT * FROM mysql.global_priv", false},
		{"matomo", "SELECT LOAD_FILE('/etc/passwd') INTO OUTFILE '/tmp/x'", false},
		{"matomo-tracker", "SELECT COUNT(*) FROM matomo.matomo_site", true},
		{"matomo-tracker", "SELECT * FROM matomo.matomo_session", false},
		{"matomo-tracker", "UPDATE matomo.matomo_user SET superuser_access = 1", false},
		{"matomo-tracker", "INSERT INTO matomo.matomo_user_token_auth (login) VALUES ('x')", false},
		{"matomo-tracker", "CREATE TABLE matomo.x (a INT)", false},
		{"matomo-tracker", "DELETE FROM matomo.matomo_log_visit", false},
		{"matomo-tracker", "INSERT INTO matomo.matomo_option (option_name, option_value) VALUES ('fingerprint_salt_test', 'x')", true},
		{"matomo-tracker", "INSERT INTO matomo.matomo_option (option_name, option_value) VALUES ('owner_reset_password_info', 'x')", false},
		{"matomo-tracker", "UPDATE matomo.matomo_option SET option_name = 'owner_reset_password_info' WHERE option_name = 'fingerprint_salt_test'", false},
		{"matomo-tracker", "UPDATE matomo.matomo_option SET option_value = 'x' WHERE option_name = 'version_core'", false},
	} {
		if got := s.as(statement.account, "mariadb", "--user", statement.account, "--execute", statement.sql); got != statement.allowed {
			t.Errorf("%s may %s: %v", statement.account, statement.sql, got)
		}
	}
}

var exposure = regexp.MustCompile(`Overall exposure level for \S+: ([0-9.]+) `)

// testSandbox looks at the processes themselves, not at what their units say.
func testSandbox(t *testing.T, s *server) {
	for unit, most := range map[string]float64{"rocca-php@tracker.service": 0.5, "rocca-php@ui.service": 1.2} {
		printed, _ := s.Try(run.Command{Argv: []string{"systemd-analyze", "security", "--no-pager", unit}})
		found := exposure.FindSubmatch(printed.Stdout)
		if found == nil {
			t.Errorf("%s: no exposure in %.300s", unit, printed.Stdout)
			continue
		}
		if level, err := strconv.ParseFloat(string(found[1]), 64); err != nil || level > most {
			t.Errorf("%s: exposure %s, want at most %v", unit, found[1], most)
		}
		main := s.run(t, "systemctl", "show", "-P", "MainPID", unit)
		workers := strings.Fields(s.run(t, "pgrep", "--parent", main))
		if len(workers) == 0 {
			t.Errorf("%s has no workers", unit)
		}
		for _, pid := range append(workers, main) {
			status := s.run(t, "cat", "/proc/"+pid+"/status")
			for _, line := range []string{"NoNewPrivs:\t1", "Seccomp:\t2", "CapPrm:\t0000000000000000", "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000"} {
				if !strings.Contains(status, line) {
					t.Errorf("%s, process %s: not %q", unit, pid, line)
				}
			}
			if strings.Contains(status, "Uid:\t0\t") {
				t.Errorf("%s, process %s runs as root", unit, pid)
			}
		}
	}
}

//go:embed testdata/intruder.php
var intruderScript []byte

// testIntruder runs foreign PHP code in each pool, as one would who broke
// Matomo, and lets it try what the sandbox must refuse.
func testIntruder(t *testing.T, s *server) {
	const script = "/srv/intruder.php"
	s.write(t, script, intruderScript)
	for pool, want := range map[string]map[string]bool{
		"ui": {
			"internet socket": true, "upload directory": true, "pcre.jit": false, "other config": false, "own config": true,
		},
		"tracker": {
			"internet socket": false, "upload directory": false, "pcre.jit": true, "other config": false, "own config": true,
		},
	} {
		body := s.fastCGI(t, pool, script)
		got := map[string]bool{}
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Errorf("%s: %v in %.300q", pool, err, body)
			continue
		}
		for _, deed := range []string{"start a program", "start a program by mail", "send mail by a socket", "write code", "write its own config", "read rocca's journal", "read the key", "see other processes", "ask the system bus", "call native code", "make an executable file run"} {
			want[deed] = false
		}
		want["own tmp"] = true
		for deed, allowed := range want {
			if done, tried := got[deed]; !tried || done != allowed {
				t.Errorf("the pool %s: %s: %v (tried: %v), want %v", pool, deed, done, tried, allowed)
			}
		}
	}
	// Not even root starts a program in there: nothing but PHP may be executed.
	for _, pool := range []string{"ui", "tracker"} {
		main := s.run(t, "systemctl", "show", "-P", "MainPID", "rocca-php@"+pool+".service")
		if _, err := s.Try(run.Command{Argv: []string{"nsenter", "--target", main, "--mount", "/usr/bin/true"}}); err == nil {
			t.Errorf("a program starts in the file system of the pool %s", pool)
		}
		links := s.run(t, "nsenter", "--target", main, "--net", "ip", "-oneline", "link")
		if isolated := s.run(t, "readlink", "/proc/"+main+"/ns/net") != s.run(t, "readlink", "/proc/1/ns/net"); isolated != (pool == "tracker") {
			t.Errorf("the pool %s has a network of its own: %v, with %q", pool, isolated, links)
		}
	}
}

// testSecrets looks for the first password and the salt where they must not be.
func testSecrets(t *testing.T, s *server) {
	const list = "/run/secrets-of-the-test"
	if _, err := s.Try(run.Command{Argv: []string{"sh", "-c", "umask 077; cat >" + list}, Stdin: strings.NewReader(s.password + "\n" + s.salt + "\n")}); err != nil {
		t.Fatal(err)
	}
	found, _ := s.Try(run.Command{Argv: []string{"grep", "--recursive", "--files-with-matches", "--no-messages", "--fixed-strings", "--file", list,
		"--exclude-dir", "proc", "--exclude-dir", "sys", "--exclude-dir", "dev", "/"}})
	own := []string{list, uiConfig, trackerConfig, "/var/lib/matomo-admin/config/config.ini.php"}
	names := strings.Fields(strings.ReplaceAll(string(found.Stdout), "//", "/"))
	for _, name := range names {
		if !slices.Contains(own, name) {
			t.Errorf("the password or the salt is in %s", name)
		}
	}
	for _, config := range own {
		if !slices.Contains(names, config) {
			t.Errorf("the salt is not found in %s: the search finds nothing", config)
		}
	}
	for _, config := range own[1:] {
		if strings.Contains(string(s.read(t, config)), s.password) {
			t.Errorf("the first password is in %s", config)
		}
	}
	for look, sign := range map[string]string{"journalctl --all --no-pager": "rocca-php@ui", "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ": "php-fpm"} {
		shown := func(what string) bool {
			_, err := s.Try(run.Command{Argv: []string{"sh", "-c", look + " | grep --text --quiet --fixed-strings " + what}})
			return err == nil
		}
		if !shown(sign) || shown("--file "+list) {
			t.Errorf("%s shows %s: %v; shows the password or the salt: %v", look, sign, shown(sign), shown("--file "+list))
		}
	}
	s.run(t, "rm", list)
}

// testTimers plants PHP where the UI's pool writes, and sees that the timers,
// which may start programs, do not include it.
func testTimers(t *testing.T, s *server) {
	const mark = "/var/lib/matomo/tmp/planted"
	s.run(t, "sh", "-c", `find /var/lib/matomo/tmp -name '*.php' -exec sh -c 'printf "<?php @file_put_contents(\"/var/lib/matomo/tmp/planted\", \"x\"); @file_put_contents(\"/tmp/planted\", \"x\"); echo \"PLANTED\";" > "$1"' _ {} \;`)
	for _, unit := range []string{"rocca-archive.service", "rocca-tasks.service"} {
		s.run(t, "systemctl", "start", unit)
		if log := s.run(t, "journalctl", "-q", "-o", "cat", "-u", unit); strings.Contains(log, "PLANTED") {
			t.Errorf("%s ran PHP that the UI's pool had written", unit)
		}
	}
	for _, place := range []string{mark, "/var/lib/matomo-cron/tmp/planted"} {
		if _, err := s.Try(run.Command{Argv: []string{"test", "-e", place}}); err == nil {
			t.Errorf("a timer ran PHP that the UI's pool had written: %s is there", place)
		}
	}
	s.run(t, "sh", "-c", "find /var/lib/matomo/tmp -mindepth 1 -delete")
}
