package test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"rocca/internal/aws/awstest"
	"rocca/internal/aws/instance"
	"rocca/internal/blueprint"
	"rocca/internal/run"
	"rocca/internal/secret"
)

// rotation is a deployment of two hosts whose database accounts are rotated
// while visitors and users are at work.
type rotation struct {
	*deployment
	hosts    []*ec2
	load     *load
	versions []string // of the app secret
	planted  []string // what nothing may show
	said     strings.Builder
}

// TestRotate rotates the accounts as rocca aws rotate db does, verb by verb.
func TestRotate(t *testing.T) {
	cloud := awstest.Start(t)
	d := &deployment{network: newNetwork(t), cloud: cloud, granted: true}
	d.startDatabase(t)
	d.startAWS(t, func(b *instance.Boot) {
		b.CA = d.artefact("/ca.pem", []byte(d.database.ca.pem))
		b.Config.Proxies = []netip.Prefix{netip.MustParsePrefix("10.20.0.0/20")}
		b.Config.Database = instance.Database{Host: remoteName, Port: 3307, Name: "matomo", Network: netip.MustParsePrefix("10.20.0.0/16"), Master: d.master}
	})
	r := &rotation{deployment: d}
	for _, address := range []string{atFirst, atSecond} {
		i := d.launch(t, address)
		i.start(t)
		d.awaitSignal(t, i)
		r.hosts = append(r.hosts, i)
	}
	d.read(func() bool { d.granted, d.complete = false, true; return true })
	for _, part := range []struct {
		name string
		test func(*testing.T)
	}{
		{"account", r.testAccount},
		{"prepare", r.testPrepare},
		{"switch", r.testSwitch},
		{"retire", r.testRetire},
		{"no request was lost", r.testLoad},
		{"boots again", r.testBootsInSlot},
		{"a broken switch is taken back", r.testBrokenSwitch},
		{"repair", r.testRepair},
		{"secrets", r.testRotatedSecrets},
	} {
		if !t.Run(part.name, part.test) {
			return
		}
	}
}

// host runs a hidden verb and decodes what it answers.
func (r *rotation) host(t *testing.T, i *ec2, into any, arguments ...string) error {
	t.Helper()
	result, err := i.Try(run.Command{Argv: append([]string{"rocca", "host"}, append(arguments, "--json")...), Env: i.endpoint()})
	r.said.Write(result.Stdout)
	r.said.Write(result.Stderr)
	if len(result.Stdout) > 0 {
		if decodeErr := json.Unmarshal(result.Stdout, into); decodeErr != nil {
			t.Errorf("rocca host %s answers %q: %v", strings.Join(arguments, " "), result.Stdout, decodeErr)
		}
	}
	return err
}

// answerOf has the fields of all of the answers.
type answerOf struct {
	Slot, Version, Unfinished string
	Accounts, Locked          []string
	Sessions                  int
	Changed                   bool
	Was                       struct{ Slot, Version string }
	Pools                     map[string]string
}

func (r *rotation) done(t *testing.T, i *ec2, arguments ...string) answerOf {
	t.Helper()
	var a answerOf
	if err := r.host(t, i, &a, arguments...); err != nil {
		t.Fatalf("%s: %v", i.address, err)
	}
	return a
}

// secretsManager is the operator's.
func (r *rotation) secretsManager(t *testing.T) *secretsmanager.Client {
	return secretsmanager.NewFromConfig(r.cloud.Config(t))
}

const appSecret = "rocca/stats/app"

// put makes a version of the app secret for a slot, with new passwords.
func (r *rotation) put(t *testing.T, slot blueprint.Slot) string {
	t.Helper()
	text := map[string]any{"seed": instanceSeed, "slot": slot}
	accounts := map[string]string{}
	for _, user := range blueprint.RemoteUsers() {
		accounts[user] = secret.Random(32).Reveal()
		r.planted = append(r.planted, accounts[user])
	}
	text["accounts"] = accounts
	encoded, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	put, err := r.secretsManager(t).PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{
		SecretId: aws.String(appSecret), SecretString: aws.String(string(encoded)), VersionStages: []string{"AWSPENDING"},
	})
	if err != nil {
		t.Fatal(err)
	}
	r.versions = append(r.versions, *put.VersionId)
	return *put.VersionId
}

func (r *rotation) grant(granted bool) { r.read(func() bool { r.granted = granted; return true }) }

// killed runs a verb and kills it when it tells of its nth step.
func (r *rotation) killed(t *testing.T, i *ec2, n int, arguments ...string) (died bool) {
	t.Helper()
	// To look for it takes longer than a step: it is found while it asks AWS.
	found := make(chan int, 1)
	ended := make(chan struct{})
	go func() {
		for {
			select {
			case <-ended:
				return
			default:
			}
			if pid := i.hostVerb(); pid != 0 {
				found <- pid
				return
			}
		}
	}()
	w := lines(func(line []byte) {
		if !strings.Contains(string(line), "  note  ") {
			return
		}
		if n--; n == 0 {
			if err := syscall.Kill(<-found, syscall.SIGKILL); err != nil {
				t.Error(err)
			}
			died = true
		}
	})
	result, err := i.Try(run.Command{Argv: append([]string{"rocca", "host"}, append(arguments, "--json")...), Env: i.endpoint(), Output: &w})
	close(ended)
	r.said.Write(result.Stdout)
	r.said.Write(result.Stderr)
	if err != nil && !died {
		t.Fatal(err)
	}
	return died && err != nil
}

// hostVerb finds a rocca host at work, by its pid on this machine; 0: none.
func (i *ec2) hostVerb() int {
	inside, _ := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", i.LeaderPID()))
	names, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, name := range slices.Backward(names) {
		command, _ := os.ReadFile(name)
		if !strings.HasPrefix(string(command), "rocca\x00host\x00") {
			continue
		}
		if namespace, _ := os.Readlink(filepath.Dir(name) + "/ns/pid"); namespace == inside {
			var pid int
			_, _ = fmt.Sscanf(name, "/proc/%d/cmdline", &pid)
			return pid
		}
	}
	return 0
}

func (r *rotation) testAccount(t *testing.T) {
	got, err := r.secretsManager(t).GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: aws.String(appSecret)})
	if err != nil {
		t.Fatal(err)
	}
	r.versions = append(r.versions, *got.VersionId)
	for _, password := range r.secrets.Accounts {
		r.planted = append(r.planted, password.Reveal())
	}
	r.planted = append(r.planted, masterPassword, instanceSeed, r.secrets.Salt.Reveal(), r.secrets.Superuser.Reveal())
	for _, i := range r.hosts {
		if a := r.done(t, i, "account"); a.Slot != "a" || a.Version != *got.VersionId || a.Unfinished != "" || len(a.Pools) != 2 {
			t.Errorf("%s: %+v", i.address, a)
		}
	}
	r.load = r.visit(t)
}

// locked lists which accounts there are, and which of them are locked.
func (r *rotation) locked(t *testing.T) string {
	t.Helper()
	return r.database.sql(t, "SELECT GROUP_CONCAT(CONCAT(User, IF(JSON_VALUE(Priv, '$.account_locked'), ' locked', '')) ORDER BY User SEPARATOR ', ') FROM mysql.global_priv WHERE User LIKE 'matomo%'")
}

// testPrepare: without the right nothing is made; killed at whatever step, the
// same again makes the accounts.
func (r *rotation) testPrepare(t *testing.T) {
	version := r.put(t, blueprint.SlotB)
	first := r.hosts[0]
	var a answerOf
	if err := r.host(t, first, &a, "prepare", "--version", version); exitCode(err) != 5 || !strings.Contains(err.Error(), "hint: on your own computer: rocca aws provision") {
		t.Errorf("without the right: %v", err)
	}
	if err := r.host(t, first, &a, "switch", "--version", version); exitCode(err) != 5 || !strings.Contains(err.Error(), "does not let matomo") || !strings.Contains(err.Error(), "nothing was changed") {
		t.Errorf("switch before prepare: %v", err)
	}
	r.grant(true)
	defer r.grant(false)
	kills := 0
	for n := 1; r.killed(t, first, n, "prepare", "--version", version); n++ {
		kills++
		if n%2 == 0 { // and once more from nothing
			r.database.sql(t, "DROP USER IF EXISTS 'matomo-b'@'10.20.0.0/255.255.0.0', 'matomo-tracker-b'@'10.20.0.0/255.255.0.0', 'matomo-admin-b'@'10.20.0.0/255.255.0.0'")
		}
	}
	if kills < 3 {
		t.Errorf("it was killed %d times", kills)
	}
	a = r.done(t, first, "prepare", "--version", version)
	if a.Slot != "b" || a.Version != version || len(a.Accounts) != 3 {
		t.Errorf("%+v", a)
	}
	if again := r.done(t, r.hosts[1], "prepare", "--version", version); again.Changed {
		t.Errorf("the other host makes them again: %+v", again)
	}
	if got := r.locked(t); got != "matomo, matomo-admin, matomo-admin-b, matomo-b, matomo-tracker, matomo-tracker-b" {
		t.Errorf("the accounts are %s", got)
	}
	for user, other := range map[string]string{"matomo": "matomo-b", "matomo-tracker": "matomo-tracker-b", "matomo-admin": "matomo-admin-b"} {
		const from = "'@'10.20.0.0/255.255.0.0'"
		was, is := r.database.sql(t, "SHOW GRANTS FOR '"+user+from), r.database.sql(t, "SHOW GRANTS FOR '"+other+from)
		if rights(was) != rights(strings.ReplaceAll(is, other, user)) {
			t.Errorf("%s has\n%s\nand %s\n%s", user, was, other, is)
		}
		if !strings.Contains(is, "REQUIRE SSL") {
			t.Errorf("%s needs no TLS:\n%s", other, is)
		}
	}
}

// rights are the lines of SHOW GRANTS without how an account logs in.
func rights(grants string) string {
	var kept []string
	for line := range strings.Lines(grants) {
		if !strings.Contains(line, "GRANT USAGE") {
			kept = append(kept, strings.TrimSpace(line))
		}
	}
	slices.Sort(kept)
	return strings.Join(kept, "\n")
}

func exitCode(err error) int {
	var failed *run.Error
	if errors.As(err, &failed) {
		return failed.ExitCode
	}
	return 0
}

// testSwitch: killed at whatever step, each host works; the same again ends it,
// and the version from before takes it back.
func (r *rotation) testSwitch(t *testing.T) {
	old, version := r.versions[0], r.versions[1]
	first, second := r.hosts[0], r.hosts[1]
	kills := 0
	for n := 1; r.killed(t, first, n, "switch", "--version", version); n++ {
		kills++
		r.deployment.hit(t, first.visitor(t, atBalancer, awsDomain), "CB000000", "X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: https")
		r.signIn(t, first)
		again := version
		if n%2 == 0 {
			again = old
		}
		r.done(t, first, "switch", "--version", again)
		if a := r.done(t, first, "account"); a.Version != again || a.Unfinished != "" {
			t.Errorf("killed at step %d, then %s: %+v", n, again, a)
		}
		r.done(t, first, "switch", "--version", old)
	}
	if kills < 5 {
		t.Errorf("it was killed %d times", kills)
	}
	for _, i := range []*ec2{first, second} {
		r.done(t, i, "switch", "--version", version)
		if a := r.done(t, i, "account"); a.Slot != "b" || a.Version != version {
			t.Errorf("%s: %+v", i.address, a)
		}
		for name, want := range map[string]string{uiConfig: "640 root matomo", trackerConfig: "640 root matomo-tracker", "/etc/rocca/secrets.yaml": "600 root root"} {
			if got := i.run(t, "stat", "-c", "%a %U %G", name); got != want {
				t.Errorf("%s is %s, want %s", name, got, want)
			}
		}
		if left := i.run(t, "sh", "-c", "find / -xdev -name '.*rocca-rotate*' 2>/dev/null || true"); left != "" {
			t.Errorf("left behind: %s", left)
		}
	}
}

// testRetire: as long as somebody is at work with the old accounts, they stay.
func (r *rotation) testRetire(t *testing.T) {
	r.grant(true)
	defer r.grant(false)
	first := r.hosts[0]
	var a answerOf
	if err := r.host(t, first, &a, "retire", "--slot", "b"); exitCode(err) != 5 || !strings.Contains(err.Error(), "it is in use") {
		t.Errorf("the slot that is in use: %v", err)
	}
	// Somebody's archive run, seen from the database server: from the network, by TLS.
	db := r.database
	db.write(t, "/srv/login-of-the-test", []byte("[client]\npassword = "+r.secrets.Accounts["matomo"].Reveal()+"\n"))
	db.run(t, "systemd-run", "--quiet", "--unit=archiver", "mariadb", "--defaults-file=/srv/login-of-the-test", "--host", atDatabase, "--port", "3307", "--user", "matomo", "--ssl", "--execute", "SELECT SLEEP(600)")
	await(t, "a session of the old account", time.Minute, func() bool {
		return db.sql(t, "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = 'matomo'") == "1"
	}, func() string { return db.run(t, "journalctl", "--no-pager", "-u", "archiver") })
	if err := r.host(t, r.hosts[1], &a, "retire", "--slot", "a"); exitCode(err) != 1 || a.Sessions != 1 || len(a.Locked) != 0 {
		t.Errorf("while there is a session: %v, %+v", err, a)
	}
	if got := r.locked(t); strings.Contains(got, "locked") {
		t.Errorf("accounts are locked: %s", got)
	}
	db.run(t, "systemctl", "stop", "archiver")
	db.run(t, "rm", "/srv/login-of-the-test")
	for n := 1; n < 3; n++ {
		r.killed(t, first, n, "retire", "--slot", "a")
	}
	if a := r.done(t, first, "retire", "--slot", "a", "--wait", "30s"); len(a.Locked) != 3 || a.Slot != "a" || a.Sessions != 0 {
		t.Errorf("%+v", a)
	}
	if got := r.locked(t); got != "matomo locked, matomo-admin locked, matomo-admin-b, matomo-b, matomo-tracker locked, matomo-tracker-b" {
		t.Errorf("the accounts are %s", got)
	}
	if err := r.host(t, first, &a, "switch", "--version", r.versions[0]); exitCode(err) != 5 || !strings.Contains(err.Error(), "nothing was changed") {
		t.Errorf("back to what is retired: %v", err)
	}
}

func (r *rotation) testLoad(t *testing.T) {
	r.load.end(t)
	if got := r.hits(t); got == "0" {
		t.Error("nothing was recorded")
	}
}

// testBootsInSlot: the next boot takes the accounts of the current version.
func (r *rotation) testBootsInSlot(t *testing.T) {
	if _, err := r.secretsManager(t).UpdateSecretVersionStage(t.Context(), &secretsmanager.UpdateSecretVersionStageInput{
		SecretId: aws.String(appSecret), VersionStage: aws.String("AWSCURRENT"), MoveToVersionId: aws.String(r.versions[1]), RemoveFromVersionId: aws.String(r.versions[0]),
	}); err != nil {
		t.Fatal(err)
	}
	i := r.hosts[1]
	r.testBootsAgain(t, i)
	if a := r.done(t, i, "account"); a.Slot != "b" || a.Version != r.versions[1] {
		t.Errorf("%+v", a)
	}
}

// testBrokenSwitch: when the console does not answer with the new accounts, the
// old ones are back.
func (r *rotation) testBrokenSwitch(t *testing.T) {
	r.grant(true)
	defer r.grant(false)
	first := r.hosts[0]
	version := r.put(t, blueprint.SlotA)
	r.done(t, first, "prepare", "--version", version)
	// It still lets in, and what Matomo needs is gone.
	r.database.sql(t, "REVOKE SELECT ON `matomo`.* FROM 'matomo'@'10.20.0.0/255.255.0.0'")
	var a answerOf
	if err := r.host(t, first, &a, "switch", "--version", version); exitCode(err) != 5 || !strings.Contains(err.Error(), "what was before is back") {
		t.Errorf("%v", err)
	}
	if a := r.done(t, first, "account"); a.Slot != "b" || a.Version != r.versions[1] || a.Unfinished != "" {
		t.Errorf("%+v", a)
	}
	r.signIn(t, first)
}

// testRepair: the database was put back to a day on which the accounts had other
// passwords.
func (r *rotation) testRepair(t *testing.T) {
	r.grant(true)
	defer r.grant(false)
	first := r.hosts[0]
	r.database.sql(t, "ALTER USER 'matomo-b'@'10.20.0.0/255.255.0.0' IDENTIFIED BY 'of another day'; DROP USER 'matomo-tracker-b'@'10.20.0.0/255.255.0.0'")
	if page := first.visitor(t, atBalancer, awsDomain).get("", "X-Forwarded-Proto: https"); page.status < 500 {
		t.Fatalf("the console works without its account: %d", page.status)
	}
	if a := r.done(t, first, "repair"); a.Slot != "b" || len(a.Accounts) != 3 || !a.Changed {
		t.Errorf("%+v", a)
	}
	for _, i := range r.hosts {
		r.signIn(t, i)
		r.deployment.hit(t, i.visitor(t, atBalancer, awsDomain), "CB000000", "X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: https")
	}
}

// testRotatedSecrets: what was planted is in the files that must have it, and
// nowhere else.
func (r *rotation) testRotatedSecrets(t *testing.T) {
	for _, planted := range r.planted {
		if strings.Contains(r.said.String(), planted) {
			t.Errorf("a secret is printed: %.6s...", planted)
		}
	}
	const list = "/run/secrets-of-the-test"
	allowed := []string{list, "/etc/rocca/secrets.yaml", "/var/lib/matomo-admin/config/config.ini.php", trackerConfig, uiConfig, "/var/lib/rocca/database-passwords"}
	for _, i := range r.hosts {
		if _, err := i.Try(run.Command{Argv: []string{"sh", "-c", "umask 077; cat >" + list}, Stdin: strings.NewReader(strings.Join(r.planted, "\n") + "\n")}); err != nil {
			t.Fatal(err)
		}
		found, _ := i.Try(run.Command{Argv: []string{"grep", "--recursive", "--files-with-matches", "--no-messages", "--text", "--fixed-strings", "--file", list, "/etc", "/root", "/run", "/srv", "/tmp", "/usr/local", "/var"}})
		for _, name := range strings.Fields(string(found.Stdout)) {
			if !slices.Contains(allowed, name) {
				t.Errorf("%s: a secret is in %s", i.address, name)
			}
		}
		for _, look := range []string{"journalctl --all --no-pager", "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ"} {
			if count, _ := i.Try(run.Command{Argv: []string{"sh", "-c", look + " | grep --text --count --fixed-strings --file " + list}}); strings.TrimSpace(string(count.Stdout)) != "0" {
				t.Errorf("%s: %s shows a secret: %s times", i.address, look, count.Stdout)
			}
		}
		i.run(t, "rm", list)
	}
	for _, line := range strings.Split(r.database.log(t), "\n") {
		for _, planted := range r.planted {
			if planted != masterPassword && strings.Contains(line, planted) { // which the test itself set
				t.Errorf("the database's log has a secret: %.60s", line)
			}
		}
	}
}

// load is what visitors and users ask while something else goes on.
type load struct {
	stop     context.CancelFunc
	work     sync.WaitGroup
	asked    atomic.Int64
	failures chan string
}

// visit begins to track and to look at the dashboard, on each host.
func (r *rotation) visit(t *testing.T) *load {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context())) // it outlives the part of the test that begins it
	l := &load{stop: stop, failures: make(chan string, 1000)}
	for _, i := range r.hosts {
		user := i.visitor(t, atBalancer, awsDomain)
		if in := user.signIn(r.secrets.Superuser.Reveal()); in.status != 302 {
			t.Fatalf("%s: sign in: status %d", i.address, in.status)
		}
		for _, ask := range []struct {
			target string
			good   func(status int, body string) bool
		}{
			{"matomo.php?idsite=1&rec=1&send_image=0&url=https%3A%2F%2Fexample.org%2F", func(status int, _ string) bool { return status == 204 }},
			{"index.php?module=CoreHome&action=index&idSite=1&period=day&date=today", func(status int, body string) bool { return status == 200 && !nonceField.MatchString(body) }},
		} {
			transport := *user.client
			l.work.Add(1)
			go func() {
				defer l.work.Done()
				for ctx.Err() == nil {
					l.one(&transport, user.base+ask.target, i.address, ask.good)
				}
			}()
		}
	}
	return l
}

func (l *load) one(client *http.Client, target, address string, good func(status int, body string) bool) {
	request, err := http.NewRequest(http.MethodGet, target, nil)
	if err != nil {
		l.fails(err.Error())
		return
	}
	request.Header.Set("X-Forwarded-For", "203.0.113.9")
	request.Header.Set("X-Forwarded-Proto", "https")
	l.asked.Add(1)
	answer, err := client.Do(request)
	if err != nil {
		l.fails(address + ": " + err.Error())
		return
	}
	body, err := io.ReadAll(answer.Body)
	answer.Body.Close()
	if err != nil || !good(answer.StatusCode, string(body)) {
		l.fails(fmt.Sprintf("%s: %.60s: status %d, %v, %.200q", address, target, answer.StatusCode, err, body))
	}
	time.Sleep(30 * time.Millisecond) // what people leave between two
}

func (l *load) fails(how string) {
	select {
	case l.failures <- how:
	default:
	}
}

// end stops it, and fails when a single request did.
func (l *load) end(t *testing.T) {
	t.Helper()
	l.stop()
	l.work.Wait()
	close(l.failures)
	failed := 0
	for how := range l.failures {
		if failed++; failed <= 10 {
			t.Errorf("a request failed: %s", how)
		}
	}
	t.Logf("%d requests, %d failed", l.asked.Load(), failed)
	if l.asked.Load() < 200 {
		t.Errorf("there were %d requests only", l.asked.Load())
	}
}
