package test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"rocca/internal/run"
)

// TestRotateOwn rotates what there is on a server of one's own: accounts on a
// remote database server, the salt, tokens, the password for mail.
func TestRotateOwn(t *testing.T) {
	d := startRemoteDatabase(t, bare(t, "12"))
	d.start(t, append(withTLS, "--require-secure-transport=ON")...)
	d.sql(t, remoteAdministrator)
	d.configure(t, remoteName, d.ca.pem, "username: dba\npassword: "+remotePassword+"\n", 0o600)
	o := &ownRotation{remoteDatabase: d}
	var card struct{ Password string }
	printed := strings.Split(strings.TrimSpace(d.up(t, d.release...)), "\n")
	if err := json.Unmarshal([]byte(printed[len(printed)-1]), &card); err != nil {
		t.Fatal(err)
	}
	d.password = card.Password
	for _, part := range []struct {
		name string
		test func(*testing.T)
	}{
		{"dry run", o.testDryRun},
		{"killed", o.testKilledRotations},
		{"accounts", o.testRotateAccounts},
		{"sessions keep the old accounts", o.testSessions},
		{"abort", o.testAbort},
		{"repair", o.testOwnRepair},
		{"tokens", o.testTokens},
		{"salt", o.testSalt},
		{"mail", o.testMailPassword},
		{"secrets", o.testOwnSecrets},
	} {
		if !t.Run(part.name, part.test) {
			return
		}
	}
}

type ownRotation struct {
	*remoteDatabase
	said    strings.Builder
	planted []string
}

// rotate runs rocca rotate.
func (o *ownRotation) rotate(arguments ...string) (string, error) {
	result, err := o.Try(run.Command{Argv: append([]string{"rocca", "rotate"}, arguments...)})
	o.said.Write(result.Stdout)
	o.said.Write(result.Stderr)
	return string(result.Stdout), err
}

func (o *ownRotation) mustRotate(t *testing.T, arguments ...string) string {
	t.Helper()
	printed, err := o.rotate(arguments...)
	if err != nil {
		t.Fatal(err)
	}
	return printed
}

// slot is the one that the server's files say, which must agree.
func (o *ownRotation) slot(t *testing.T) string {
	t.Helper()
	o.remember(t)
	ui, tracker := string(o.read(t, uiConfig)), string(o.read(t, trackerConfig))
	stored := strings.HasPrefix(string(o.read(t, "/var/lib/rocca/database-passwords")), "slot b\n")
	inB := strings.Contains(ui, `username = "matomo-b"`)
	if inB != strings.Contains(tracker, `username = "matomo-tracker-b"`) || inB != stored {
		return "mixed"
	}
	return map[bool]string{true: "b", false: "a"}[inB]
}

// remember collects the passwords that there are.
func (o *ownRotation) remember(t *testing.T) {
	t.Helper()
	for line := range strings.Lines(string(o.read(t, "/var/lib/rocca/database-passwords"))) {
		user, password, _ := strings.Cut(strings.TrimSpace(line), " ")
		if user != "slot" && !slices.Contains(o.planted, password) {
			o.planted = append(o.planted, password)
		}
	}
}

func (o *ownRotation) works(t *testing.T) {
	t.Helper()
	o.hit(t, true)
	if page := o.browser(t).get(""); page.status != 200 || !nonceField.MatchString(page.body) {
		t.Errorf("the login page: status %d %.200q", page.status, page.body)
	}
}

func (o *ownRotation) testDryRun(t *testing.T) {
	before := o.slot(t)
	if plan := o.mustRotate(t, "db", "--dry-run"); !strings.Contains(plan, "works with slot a") || !strings.Contains(plan, "accounts of slot b") {
		t.Errorf("the plan is\n%s", plan)
	}
	if _, err := o.rotate("db"); exitCode(err) != 2 || !strings.Contains(err.Error(), "no terminal to ask on") {
		t.Errorf("nobody was asked: %v", err)
	}
	if _, err := o.rotate("db", "resume", "--yes"); exitCode(err) != 2 || !strings.Contains(err.Error(), "no rotation is under way") {
		t.Errorf("nothing to resume: %v", err)
	}
	if after := o.slot(t); after != before || strings.Contains(o.accounts(t), "-b@") {
		t.Errorf("something was changed: slot %s, accounts\n%s", after, o.accounts(t))
	}
}

// testKilledRotations kills a rotation at each of its steps; then it goes on, or
// back.
func (o *ownRotation) testKilledRotations(t *testing.T) {
	m := &machine{server: *o.server}
	kills := 0
	for n := 1; ; n++ {
		steps := 0
		got, at := m.signalled(t, syscall.SIGKILL, func(e event) bool {
			if e.Kind == "note" {
				steps++
			}
			return steps >= n
		}, "rocca", "rotate", "db", "--yes")
		o.said.WriteString(got.stdout + got.stderr)
		if at == nil || got.code == 0 {
			if got.code != 0 {
				t.Fatalf("exit %d\n%s%s", got.code, got.stdout, got.stderr)
			}
			break
		}
		kills++
		o.works(t)
		verb := []string{"resume", "abort"}[n%2]
		if _, err := o.rotate("db", verb, "--yes"); err != nil {
			t.Fatalf("killed at step %d, then %s: %v", n, verb, err)
		}
		o.works(t)
		if slot := o.slot(t); slot == "mixed" {
			t.Errorf("killed at step %d, then %s: pools and files are of two slots", n, verb)
		}
		if left := o.run(t, "sh", "-c", "ls /var/lib/rocca/rotation; find / -xdev -name '.*rocca-rotate*' 2>/dev/null || true"); left != "journal.jsonl" {
			t.Errorf("killed at step %d, then %s: left are %s", n, verb, left)
		}
	}
	if kills < 5 {
		t.Errorf("it was killed %d times", kills)
	}
	t.Logf("killed %d times", kills)
}

func (o *ownRotation) testRotateAccounts(t *testing.T) {
	before := o.slot(t)
	printed := o.mustRotate(t, "db", "--yes", "--json")
	if !strings.Contains(printed, `"done":true`) || o.slot(t) == before {
		t.Errorf("slot %s, then %s:\n%s", before, o.slot(t), printed)
	}
	o.works(t)
	if card := o.up(t); !strings.Contains(card, `"changes":0`) {
		t.Errorf("rocca up changes something:\n%s", card)
	}
}

// testSessions: who is at work with the old accounts is waited for.
func (o *ownRotation) testSessions(t *testing.T) {
	login := map[string]string{"a": "matomo", "b": "matomo-b"}[o.slot(t)]
	o.write(t, "/srv/login-of-the-test", []byte("[client]\npassword = "+o.stored(t)["matomo"]+"\n"))
	o.run(t, "systemd-run", "--quiet", "--unit=archiver", "mariadb", "--defaults-file=/srv/login-of-the-test", "--host", remoteName, "--port", "3307", "--user", login,
		"--ssl-ca=/etc/rocca/ca.pem", "--ssl-verify-server-cert", "--execute", "SELECT SLEEP(600)")
	await(t, "a session", time.Minute, func() bool {
		return o.sql(t, "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = '"+login+"'") == "1"
	}, func() string { return "" })
	if _, err := o.rotate("db", "--yes", "--wait", "1s"); exitCode(err) != 1 || !strings.Contains(err.Error(), "there are sessions of it: 1") {
		t.Errorf("with a session: %v", err)
	}
	o.works(t)
	if _, err := o.rotate("db", "--yes"); exitCode(err) != 2 || !strings.Contains(err.Error(), "hint: rocca rotate db resume, or abort") {
		t.Errorf("a second one: %v", err)
	}
	o.run(t, "systemctl", "stop", "archiver")
	o.run(t, "rm", "/srv/login-of-the-test")
	o.mustRotate(t, "db", "resume", "--yes")
	o.works(t)
}

func (o *ownRotation) stored(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for line := range strings.Lines(string(o.read(t, "/var/lib/rocca/database-passwords"))) {
		user, password, _ := strings.Cut(strings.TrimSpace(line), " ")
		found[user] = password
	}
	return found
}

// testAbort: what fails half-way leaves a server that works, and can be taken
// back.
func (o *ownRotation) testAbort(t *testing.T) {
	before := o.slot(t)
	o.write(t, "/root/wrong.yaml", []byte("username: dba\npassword: Wrong-"+remotePassword+"\n"))
	o.run(t, "chmod", "600", "/root/wrong.yaml")
	if _, err := o.rotate("db", "--yes", "--administrator", "/root/wrong.yaml"); exitCode(err) != 5 || !strings.Contains(err.Error(), "hint: rocca rotate db resume") {
		t.Errorf("as nobody: %v", err)
	}
	o.run(t, "rm", "/root/wrong.yaml")
	o.works(t)
	o.mustRotate(t, "db", "abort", "--yes")
	if after := o.slot(t); after != before {
		t.Errorf("slot %s, then %s", before, after)
	}
	o.works(t)
}

func (o *ownRotation) testOwnRepair(t *testing.T) {
	for account := range strings.Lines(o.sql(t, "SELECT CONCAT(QUOTE(User), '@', QUOTE(Host)) FROM mysql.user WHERE User LIKE 'matomo%'")) {
		o.sql(t, "ALTER USER "+strings.TrimSpace(account)+" IDENTIFIED BY 'of another day'")
	}
	o.hit(t, false)
	o.mustRotate(t, "db", "repair", "--yes")
	o.works(t)
}

func (o *ownRotation) testTokens(t *testing.T) {
	b := o.browser(t)
	token := b.token("owner", o.password)
	o.planted = append(o.planted, token)
	var version struct{ Value string }
	b.api("API.getMatomoVersion", &version, "token_auth", token)
	listed := o.mustRotate(t, "tokens")
	if !strings.Contains(listed, "owner") || strings.Contains(listed, "anonymous") || strings.Contains(listed, token) {
		t.Errorf("listed are\n%s", listed)
	}
	for _, none := range [][]string{{"--user", "nobody"}, {"--older-than", "30"}, {"--all", "--dry-run"}} {
		o.mustRotate(t, append([]string{"tokens", "--yes"}, none...)...)
		b.api("API.getMatomoVersion", &version, "token_auth", token)
	}
	if printed := o.mustRotate(t, "tokens", "--user", "owner", "--yes", "--json"); !strings.Contains(printed, `"revoked":1`) || strings.Contains(printed, "password") {
		t.Errorf("%s", printed)
	}
	if got := b.post("index.php?module=API&format=json&method=API.getMatomoVersion", form("token_auth", token)); !strings.Contains(got.body, `"result":"error"`) {
		t.Errorf("the token still lets in: %d %.200s", got.status, got.body)
	}
}

func (o *ownRotation) testSalt(t *testing.T) {
	b := o.browser(t)
	if in := b.signIn(o.password); in.status != 302 {
		t.Fatalf("sign in: %d", in.status)
	}
	before := o.read(t, uiConfig)
	if said := o.mustRotate(t, "salt", "--dry-run"); !strings.Contains(said, "everybody is logged out") || !strings.Contains(said, "every token_auth stops working") {
		t.Errorf("%s", said)
	}
	if _, err := o.rotate("salt"); exitCode(err) != 2 {
		t.Errorf("nobody was asked: %v", err)
	}
	if string(o.read(t, uiConfig)) != string(before) {
		t.Error("it was changed")
	}
	o.mustRotate(t, "salt", "--yes")
	salt := func(name string) string {
		for line := range strings.Lines(string(o.read(t, name))) {
			if value, is := strings.CutPrefix(line, "salt = "); is {
				return strings.Trim(strings.TrimSpace(value), `"`)
			}
		}
		return ""
	}
	if ui, tracker := salt(uiConfig), salt(trackerConfig); ui != tracker || len(ui) != 32 || strings.Contains(string(before), ui) {
		t.Error("the salt is not new, or not the same for both pools")
	}
	o.planted = append(o.planted, salt(uiConfig))
	// The stand-in stores no hash with the salt.
	if page := b.get("index.php?module=CoreHome&action=index&idSite=1&period=day&date=today"); o.real && page.status == 200 && !nonceField.MatchString(page.body) {
		t.Error("who was logged in still is")
	}
	o.works(t)
	if card := o.up(t); !strings.Contains(card, `"changes":0`) {
		t.Errorf("rocca up changes something:\n%s", card)
	}
}

func (o *ownRotation) testMailPassword(t *testing.T) {
	const password = "Mail-Password-Of-The-Test-1"
	o.planted = append(o.planted, password)
	send := func(arguments ...string) error {
		result, err := o.Try(run.Command{Argv: append([]string{"rocca", "rotate", "smtp", "--password-file", "-"}, arguments...), Stdin: strings.NewReader(password + "\n")})
		o.said.Write(result.Stdout)
		o.said.Write(result.Stderr)
		return err
	}
	if err := send("--yes"); exitCode(err) != 2 || !strings.Contains(err.Error(), "has no transport = smtp") {
		t.Errorf("without a mail server: %v", err)
	}
	o.run(t, "sh", "-c", `printf '[mail]\ntransport = "smtp"\nhost = "127.0.0.1"\nport = 1\nusername = "stats"\npassword = "old"\nencryption = "ssl"\n' >>`+uiConfig)
	if err := send("--yes", "--test"); exitCode(err) != 2 || !strings.Contains(err.Error(), "nothing was changed") || strings.Contains(string(o.read(t, uiConfig)), password) {
		t.Errorf("a mail server that does not answer: %v", err)
	}
	if err := send("--yes"); err != nil {
		t.Error(err)
	}
	if text := string(o.read(t, uiConfig)); !strings.Contains(text, `password = "`+password+`"`) {
		t.Error("it is not in the configuration")
	}
	if got := o.run(t, "stat", "-c", "%a %U %G", uiConfig); got != "640 root matomo" {
		t.Errorf("%s is %s", uiConfig, got)
	}
	o.works(t)
}

func (o *ownRotation) testOwnSecrets(t *testing.T) {
	o.remember(t)
	o.planted = append(o.planted, remotePassword)
	journal, err := os.ReadFile(o.Root() + "/var/lib/rocca/rotation/journal.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	if len(o.planted) < 9 {
		t.Errorf("there were %d secrets only", len(o.planted))
	}
	for _, planted := range o.planted {
		for name, text := range map[string]string{"printed": o.said.String(), "in the journal": string(journal), "in the database's log": o.log(t), "in the system's log": o.run(t, "journalctl", "--all", "--no-pager")} {
			byTest := planted == remotePassword && name == "in the database's log" // which the test itself set
			if !byTest && strings.Contains(text, planted) {
				t.Errorf("a secret (%.4s...) is %s", planted, name)
			}
		}
	}
}

// TestRotateLocal: accounts that log in by the Unix user have no password.
func TestRotateLocal(t *testing.T) {
	s := bare(t, "13")
	s.write(t, "/etc/rocca/rocca.yaml", []byte("domain: [127.0.0.1]\nport: "+portOf(s.URL())+"\n"))
	s.up(t, s.release...)
	said := s.run(t, "rocca", "rotate", "db")
	if !strings.Contains(said, "have no password") || !strings.Contains(said, "There is nothing to rotate") {
		t.Errorf("%s", said)
	}
	s.query(t, "ALTER USER 'matomo'@'localhost' IDENTIFIED VIA unix_socket OR mysql_native_password USING PASSWORD('of somebody')")
	_, err := s.Try(run.Command{Argv: []string{"rocca", "rotate", "db"}})
	var failed *run.Error
	if !errors.As(err, &failed) || failed.ExitCode != 1 || !strings.Contains(err.Error(), "matomo@localhost logs in with a password") {
		t.Errorf("%v", err)
	}
	s.up(t)
	s.run(t, "rocca", "rotate", "salt", "--yes")
	if got := s.run(t, "rocca", "rotate", "tokens", "--json"); !strings.Contains(got, `"tokens":[`) {
		t.Errorf("%s", got)
	}
	if page := s.browser(t).get(""); page.status != 200 {
		t.Errorf("the login page: status %s", fmt.Sprint(page.status))
	}
}
