package test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"rocca/internal/incident"
	"rocca/internal/matomo/ini"
	"rocca/internal/run"
)

// Two machines beside the server: who responds, and who is to be kept out.
const (
	operatorAddress = "198.51.100.7"
	strangerAddress = "203.0.113.9"
	plantedToken    = "7c1d93b8e04f52a6c8b7f10293d4ae65"
)

// TestRespond responds to an incident on a whole server, killed at every step.
func TestRespond(t *testing.T) {
	m := newMachine(t)
	m.up(t)
	r := &response{machine: m}
	r.plant(t)
	for _, part := range []struct {
		name string
		test func(*testing.T)
	}{
		{"nothing is cut off by mistake", r.refused},
		{"rehearsal", r.rehearsal},
		{"killed at every step", r.killed},
		{"what was recorded", r.recorded},
		{"what was revoked", r.revoked},
		{"cut off", r.cutOff},
		{"confirm", r.confirmed},
		{"two at once", r.two},
		{"changed evidence", r.changed},
		{"release", r.released},
		{"the block goes by itself", r.lifted},
		{"triage", r.triage},
		{"secrets", r.secrets},
	} {
		if !t.Run(part.name, part.test) && part.name == "killed at every step" {
			t.FailNow()
		}
	}
}

type response struct {
	*machine
	salts []string
	said  strings.Builder // all that rocca printed
	dir   string          // of the case
}

func (r *response) respond(t *testing.T, arguments ...string) outcome {
	t.Helper()
	got := r.try(t, append([]string{"rocca", "respond"}, arguments...)...)
	r.said.WriteString(got.stdout + got.stderr)
	return got
}

// plant makes the two machines, an intruder's traces, and secrets where they
// must not be taken from.
func (r *response) plant(t *testing.T) {
	for name, address := range map[string]string{"operator": operatorAddress, "stranger": strangerAddress} {
		near := address[:strings.LastIndex(address, ".")] + ".1/24"
		r.run(t, "sh", "-ec", strings.NewReplacer("NAME", name, "FAR", address, "NEAR", near).Replace(
			"ip netns add NAME; ip link add v-NAME type veth peer name eth0 netns NAME; ip addr add NEAR dev v-NAME; ip link set v-NAME up; ip -n NAME addr add FAR/24 dev eth0; ip -n NAME link set eth0 up"))
	}
	r.salts = append(r.salts, r.saltNow(t))
	r.write(t, "/var/www/matomo/www/plugins/shell.php", []byte("<?php system($_GET['c']);"))
	// Type=exec: they run when systemd-run comes back.
	r.run(t, "sh", "-ec", `cp /bin/sleep /usr/local/bin/dropped
systemd-run -q -p Type=exec -p User=www-data --unit dropped /usr/local/bin/dropped 100000
rm /usr/local/bin/dropped
systemd-run -q -p Type=exec --unit importer php -r 'sleep(100000);' -- --token `+plantedToken+`
echo '203.0.113.9 - - [22/Nov/2026:03:10:00 +0000] "GET /index.php?module=API&token_auth=`+plantedToken+`&x=1 HTTP/1.1" 200' >>/var/log/nginx/planted.log
logger "an importer says token_auth=`+plantedToken+`"
mkdir -p /root/.ssh; echo 'from="10.0.0.1" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ7V9XUuQ8Vvq5xYzdlFqWl3q9bUuY2PqQf6cXWn1abc intruder' >/root/.ssh/authorized_keys
echo 'export TOKEN=`+plantedToken+`' >/root/.bash_history`)
	r.query(t, "INSERT INTO matomo_session (id, modified, lifetime, data) VALUES ('stolen', UNIX_TIMESTAMP(), 86400, 'x')")
}

func (r *response) saltNow(t *testing.T) string {
	t.Helper()
	parsed, err := ini.Parse(r.read(t, uiConfig))
	if err != nil {
		t.Fatal(err)
	}
	salt, _ := parsed.Get("General", "salt")
	if len(salt) < 32 {
		t.Fatalf("the salt has %d characters", len(salt))
	}
	return salt
}

// reaches tells whether a machine gets a connection to the front.
func (r *response) reaches(name string) bool {
	near := map[string]string{"operator": "198.51.100.1", "stranger": "203.0.113.1"}[name]
	_, err := r.Try(run.Command{Argv: []string{"timeout", "2", "ip", "netns", "exec", name, "bash", "-c", "echo >/dev/tcp/" + near + "/443"}})
	return err == nil
}

func (r *response) refused(t *testing.T) {
	for name, test := range map[string]struct {
		arguments []string
		want      string
	}{
		"no operator known": {[]string{"start", "--yes"}, "--operator"},
		"the whole world":   {[]string{"start", "--yes", "--operator", "0.0.0.0/0"}, "more than one operator's network"},
		"no address":        {[]string{"start", "--yes", "--operator", "jumphost"}, "neither an address nor a network"},
		"in the future":     {[]string{"start", "--yes", "--operator", operatorAddress, "--known", "2999-01-01 00:00"}, "in the future"},
		"nobody agreed":     {[]string{"start", "--operator", operatorAddress}, "--dry-run"},
		"no case":           {[]string{"release", "--yes"}, "there is none"},
	} {
		if got := r.respond(t, test.arguments...); got.code != 2 || !strings.Contains(got.stderr, test.want) || !strings.Contains(got.stderr, "hint:") && name != "no address" && name != "in the future" {
			t.Errorf("%s: exit %d %s", name, got.code, got.stderr)
		}
	}
	got := r.respond(t, "start", "--dry-run", "--operator", operatorAddress)
	if got.code != 0 || !strings.Contains(got.stdout, operatorAddress) || !strings.Contains(got.stdout, "sessions of Matomo") {
		t.Errorf("dry run: exit %d\n%s%s", got.code, got.stdout, got.stderr)
	}
	if _, err := os.Lstat(r.Root() + "/var/lib/rocca/incidents"); err == nil {
		t.Error("something was written by a command that did nothing")
	}
	if !r.reaches("stranger") {
		t.Error("the stranger does not reach the server before the cut: the test shows nothing")
	}
}

func (r *response) rehearsal(t *testing.T) {
	sessions := r.query(t, "SELECT COUNT(*) FROM matomo_session")
	got := r.respond(t, "rehearse", "--operator", operatorAddress)
	if got.code != 0 {
		t.Fatalf("exit %d\n%s%s", got.code, got.stdout, got.stderr)
	}
	if !r.reaches("stranger") || r.query(t, "SELECT COUNT(*) FROM matomo_session") != sessions || r.saltNow(t) != r.salts[0] || r.run(t, "systemctl", "is-active", "logrotate.timer") != "active" {
		t.Error("a rehearsal changed something")
	}
	stories, err := incident.List(r.Root() + "/var/lib/rocca/incidents")
	if err != nil || len(stories) != 1 || !stories[0].About.Rehearsal || len(stories[0].Changes) != 0 {
		t.Errorf("recorded: %+v %v", stories, err)
	}
}

// killed responds, and is killed with SIGKILL when each step begins, and in the
// middle of those that take long. A connection of the stranger stands open.
func (r *response) killed(t *testing.T) {
	r.run(t, "sh", "-c", `ip netns exec stranger php -r '
$s = stream_socket_client("tcp://203.0.113.1:80"); touch("/run/open"); while (!file_exists("/run/go")) { usleep(50000); clearstatcache(); }
fwrite($s, "GET / HTTP/1.0\r\n\r\n"); stream_set_timeout($s, 3); file_put_contents("/run/said.new", "got ".strlen((string) fread($s, 100))); rename("/run/said.new", "/run/said");' >/dev/null 2>&1 &
while [ ! -e /run/open ]; do sleep 0.05; done`)
	argv := []string{"rocca", "respond", "start", "--yes", "--operator", operatorAddress, "--known", "2026-01-01 03:10", "--reason", "a <b>plugin</b> nobody knows"}
	kills := map[string]int{}
	for {
		got, at := r.signalled(t, syscall.SIGKILL, func(e event) bool {
			return e.Kind == "start" && kills[e.Step] == 0 || e.Kind == "done" && kills[e.Step] == 1
		}, argv...)
		r.said.WriteString(got.stdout + got.stderr)
		if at != nil {
			kills[at.Step]++
			continue
		}
		if got.code != 0 {
			t.Fatalf("after kills %v: exit %d\n%s%s", kills, got.code, tailOf(got.stdout), got.stderr)
		}
		lines := strings.Split(strings.TrimSpace(got.stdout), "\n")
		var result struct{ Kind, Dir, Head string }
		if err := json.Unmarshal([]byte(lines[len(lines)-1]), &result); err != nil || result.Kind != "result" {
			t.Fatalf("the last line is no result: %v", err)
		}
		r.dir = r.Root() + result.Dir
		break
	}
	// The last two are over before a kill comes.
	for _, step := range []string{"record", "protect", "cut-off", "snapshot", "sessions", "rotate"} {
		if kills[step] == 0 {
			t.Errorf("not killed at the step %s: %v", step, kills)
		}
	}
	stories, err := incident.List(r.Root() + "/var/lib/rocca/incidents")
	if err != nil || len(stories) != 2 {
		t.Errorf("%d cases, want the rehearsal and one: %v", len(stories), err)
	}
	if err := incident.Verify(r.dir); err != nil {
		t.Error(err)
	}
}

func (r *response) recorded(t *testing.T) {
	story, err := incident.Read(r.dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range story.Evidence {
		names = append(names, e.Name)
	}
	for _, want := range []string{"triage/triage.json", "triage/journal.txt", "record/database.json", "record/matomo.json", "record/filter.nft", "snapshot/files.tar.gz", "snapshot/database.sql.gz"} {
		if !slices.Contains(names, want) {
			t.Errorf("%s was not taken: %q", want, names)
		}
	}
	var doc struct {
		Processes []struct{ PID int }
		Suspects  []struct {
			PID int
			Why []string
		}
		NewPHP []struct{ Path, Why string } `json:"new_php"`
		Keys   []struct{ Comment, Fingerprint string }
	}
	text, err := os.ReadFile(r.dir + "/evidence/triage/triage.json")
	if err == nil {
		err = json.Unmarshal(text, &doc)
	}
	if err != nil {
		t.Fatal(err)
	}
	whys := fmt.Sprint(doc.Suspects)
	if !strings.Contains(whys, "/usr/local/bin/dropped is gone from the disk") {
		t.Errorf("the deleted program is no suspect: %s", whys)
	}
	if !strings.Contains(fmt.Sprint(doc.NewPHP), "plugins/shell.php") {
		t.Errorf("the new code is not found: %v", doc.NewPHP)
	}
	if len(doc.Keys) != 1 || doc.Keys[0].Comment != "intruder" || !strings.HasPrefix(doc.Keys[0].Fingerprint, "SHA256:") {
		t.Errorf("keys: %v", doc.Keys)
	}
	if len(doc.Processes) < 10 {
		t.Errorf("%d processes", len(doc.Processes))
	}
	program, err := filepath.Glob(r.dir + "/evidence/triage/suspects/*.program")
	if err != nil || len(program) == 0 {
		t.Errorf("the deleted program was not saved: %v", err)
	} else if saved, err := os.ReadFile(program[0]); err != nil || !bytes.Equal(saved, r.read(t, "/bin/sleep")) {
		t.Errorf("the saved program is not what ran: %v", err)
	}
	page, err := os.ReadFile(r.dir + "/" + incident.Markdown)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"over since", "Art. 33", "cut off the network for all but " + operatorAddress, story.Head, "Open the network again"} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the report lacks %q", want)
		}
	}
}

func (r *response) revoked(t *testing.T) {
	// To ask whether Matomo works with its new salt begins sessions anew.
	if got := r.query(t, "SELECT (SELECT COUNT(*) FROM matomo_session WHERE id = 'stolen') + (SELECT COUNT(*) FROM matomo_user_token_auth)"); got != "0" {
		t.Errorf("%s sessions and tokens are left", got)
	}
	now := r.saltNow(t)
	if now == r.salts[0] {
		t.Error("the salt is the old one")
	}
	r.salts = append(r.salts, now)
	if dump := r.archive(t, "snapshot/database.sql.gz"); !strings.Contains(dump["database.sql"], "stolen") {
		t.Error("the dump was made after the sessions were ended")
	}
}

func (r *response) cutOff(t *testing.T) {
	if r.reaches("stranger") {
		t.Error("the stranger reaches the server")
	}
	if !r.reaches("operator") {
		t.Error("the operator is locked out")
	}
	if got := r.run(t, "sh", "-ec", "touch /run/go; for i in $(seq 100); do [ -e /run/said ] && break; sleep 0.1; done; cat /run/said"); got != "got 0" {
		t.Errorf("a connection that was open goes on: %s", got)
	}
	if got := r.run(t, "sh", "-c", "timeout 2 bash -c 'echo >/dev/tcp/203.0.113.9/80' 2>&1; echo $?"); !strings.HasSuffix(got, "124") {
		t.Errorf("the server reaches others: %s", got)
	}
	if got := r.run(t, "systemctl", "is-enabled", "rocca-incident.service"); got != "enabled" {
		t.Errorf("the block ends with a reboot: %s", got)
	}
	if got := r.run(t, "systemctl", "list-timers", "--no-legend", "rocca-incident-lift.timer"); !strings.Contains(got, "rocca-incident-lift") {
		t.Error("no timer takes the block back")
	}
	if got := r.try(t, "systemctl", "is-active", "logrotate.timer"); strings.TrimSpace(got.stdout) != "inactive" {
		t.Errorf("logs are still rotated: %s", got.stdout)
	}
}

func (r *response) confirmed(t *testing.T) {
	for range 2 {
		if got := r.respond(t, "confirm"); got.code != 0 {
			t.Fatalf("exit %d %s", got.code, got.stderr)
		}
	}
	if got := r.run(t, "systemctl", "list-timers", "--no-legend", "rocca-incident-lift.timer"); got != "" {
		t.Errorf("the timer still runs: %s", got)
	}
	if r.reaches("stranger") {
		t.Error("the stranger reaches the server")
	}
	got := r.respond(t, "status", "--verify", "--fact", "subjects=about 40000 visitors")
	if got.code != 0 || !strings.Contains(got.stdout, "cut off until rocca respond release") || !strings.Contains(got.stdout, "Chain    whole") {
		t.Errorf("exit %d\n%s%s", got.code, got.stdout, got.stderr)
	}
	page, err := os.ReadFile(r.dir + "/" + incident.Page)
	if err != nil || !bytes.Contains(page, []byte("about 40000 visitors")) || bytes.Contains(page, []byte("<b>plugin")) {
		t.Errorf("the page lacks a fact, or has markup of others: %v", err)
	}
}

func (r *response) two(t *testing.T) {
	inside := strings.TrimPrefix(r.dir, r.Root())
	if got := r.try(t, "flock", inside+"/lock", "rocca", "respond", "start", "--yes", "--operator", operatorAddress); got.code != 11 || !strings.Contains(got.stderr, "another responder") {
		t.Errorf("exit %d %s", got.code, got.stderr)
	}
}

func (r *response) changed(t *testing.T) {
	name := r.dir + "/evidence/record/matomo.json"
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, append(text, ' '), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := r.respond(t, "status", "--verify"); got.code != 1 || !strings.Contains(got.stderr, "record/matomo.json was changed") {
		t.Errorf("exit %d %s", got.code, got.stderr)
	}
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (r *response) released(t *testing.T) {
	kills := map[string]bool{}
	for {
		got, at := r.signalled(t, syscall.SIGKILL, func(e event) bool { return e.Kind == "start" && !kills[e.Step] }, "rocca", "respond", "release", "--yes")
		if at == nil {
			// The last kill may come when all is written.
			if got.code != 0 {
				t.Fatalf("exit %d\n%s%s", got.code, got.stdout, got.stderr)
			}
			break
		}
		kills[at.Step] = true
	}
	if !r.reaches("stranger") {
		t.Error("the server is not open again")
	}
	if got := r.run(t, "sh", "-c", "ls /etc/systemd/system | grep rocca-incident; nft list tables | grep incident; true"); got != "" {
		t.Errorf("left behind: %s", got)
	}
	if got := r.run(t, "systemctl", "is-active", "logrotate.timer"); got != "active" {
		t.Errorf("logrotate.timer is %s", got)
	}
	story, err := incident.Read(r.dir)
	if err != nil || story.Released.IsZero() {
		t.Errorf("the case is not released: %v", err)
	}
	if err := incident.Verify(r.dir); err != nil {
		t.Error(err)
	}
	r.answers(t)
}

// lifted starts a new case, and does what the timer does.
func (r *response) lifted(t *testing.T) {
	if got := r.respond(t, "start", "--yes", "--operator", operatorAddress, "--hours", "1"); got.code != 0 {
		t.Fatalf("exit %d\n%s%s", got.code, got.stdout, got.stderr)
	}
	if r.reaches("stranger") {
		t.Fatal("the stranger reaches the server")
	}
	r.salts = append(r.salts, r.saltNow(t))
	r.run(t, "systemctl", "start", "rocca-incident-lift.service")
	if !r.reaches("stranger") {
		t.Error("the block does not go by itself")
	}
	if got := r.respond(t, "status"); !strings.Contains(got.stdout, "NOT cut off") {
		t.Errorf("status: %s", got.stdout)
	}
	if got := r.respond(t, "start", "--yes", "--operator", operatorAddress); got.code != 1 {
		t.Errorf("a block that is gone is not told: exit %d\n%s", got.code, got.stdout)
	}
	if got := r.respond(t, "release", "--yes"); got.code != 0 {
		t.Errorf("release: exit %d\n%s%s", got.code, got.stdout, got.stderr)
	}
}

func (r *response) triage(t *testing.T) {
	got := r.try(t, "rocca", "host", "triage", "-o", "/root/triage.tar.gz", "--memory")
	r.said.WriteString(got.stdout + got.stderr)
	if got.code != 0 {
		t.Fatalf("exit %d %s", got.code, got.stderr)
	}
	files := unpack(t, r.read(t, "/root/triage.tar.gz"))
	var memory int
	for name := range files {
		if strings.HasSuffix(name, ".memory") {
			memory++
		}
	}
	if files["triage.json"] == "" || files["journal.txt"] == "" || memory == 0 {
		t.Errorf("the archive has %d files, %d of memory", len(files), memory)
	}
	r.holdsNoSecret(t, "triage.tar.gz", files)
}

// archive reads a packed evidence of the case.
func (r *response) archive(t *testing.T, name string) map[string]string {
	t.Helper()
	packed, err := os.ReadFile(r.dir + "/evidence/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(name, ".tar.gz") {
		return unpack(t, packed)
	}
	return map[string]string{strings.TrimSuffix(filepath.Base(name), ".gz"): gunzip(t, packed)}
}

func gunzip(t *testing.T, packed []byte) string {
	t.Helper()
	unpacked, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(unpacked)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func unpack(t *testing.T, packed []byte) map[string]string {
	t.Helper()
	files := map[string]string{}
	archive := tar.NewReader(strings.NewReader(gunzip(t, packed)))
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		files[header.Name] = string(text)
	}
}

// secrets looks at all that was printed and written for those that were planted.
func (r *response) secrets(t *testing.T) {
	files := map[string]string{"what rocca printed": r.said.String()}
	err := filepath.WalkDir(r.Root()+"/var/lib/rocca/incidents", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(name)
		short := strings.TrimPrefix(name, r.Root())
		switch {
		case strings.HasSuffix(name, ".tar.gz"):
			unpacked := unpack(t, text)
			if len(unpacked) < 100 || unpacked["var/lib/matomo/config/config.ini.php"] == "" {
				t.Errorf("%s has %d files, and no configuration", short, len(unpacked))
			}
			for inside, content := range unpacked {
				files[short+": "+inside] = content
			}
		case strings.HasSuffix(name, ".gz"):
			files[short] = gunzip(t, text)
		default:
			files[short] = string(text)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	r.holdsNoSecret(t, "", files)
}

func (r *response) holdsNoSecret(t *testing.T, of string, files map[string]string) {
	t.Helper()
	planted := map[string]string{"an API token": plantedToken}
	for i, salt := range r.salts {
		planted[fmt.Sprintf("salt %d", i)] = salt
	}
	for name, text := range files {
		for what, value := range planted {
			if strings.Contains(text, value) {
				t.Errorf("%s %s holds %s", of, name, what)
			}
		}
	}
}
