package rotate

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rocca/internal/blueprint"
	"rocca/internal/change"
	"rocca/internal/config"
	"rocca/internal/facts"
	"rocca/internal/mariadb"
	"rocca/internal/matomo/ini"
	"rocca/internal/progress"
	"rocca/internal/secret"
)

// world is a host with files of its own, and what its database server lets in.
type world struct {
	*Host
	t        *testing.T
	lets     map[string]string // login to password
	told     []string
	killAt   int // the step before which the process dies; 0: none
	reloads  int
	broken   func() error // how tracker and console are
	reloaded func() error
}

type killed struct{}

const (
	saltA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	saltB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

// secretsOf are those of a slot.
func secretsOf(slot blueprint.Slot, version string) blueprint.Secrets {
	s := blueprint.Secrets{Slot: slot, Version: version, Salt: secret.New(saltA), Superuser: secret.New("Superuser-Password-1"), Accounts: map[string]secret.Secret{}}
	for _, user := range blueprint.RemoteUsers() {
		s.Accounts[user] = secret.New("Password-" + string(slot) + "-Of-" + user)
	}
	return s
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	c := config.Defaults{Hostname: "stats.example.org"}.Config()
	c.State = filepath.Join(dir, "matomo")
	c.Secrets = filepath.Join(dir, "secrets.yaml")
	c.Database.Host, c.Database.Port, c.Database.CA = "db.example.org", 3306, "/etc/rocca/ca.pem"
	c.Database.Network = netip.MustParsePrefix("10.20.0.0/16")
	now := secretsOf(blueprint.SlotA, "version-1")
	w := &world{t: t, lets: map[string]string{}}
	w.Host = New(c, mariadb.Server{Host: c.Database.Host}, now, now, w.tell)
	w.State, w.Stored = filepath.Join(dir, "rotation"), filepath.Join(dir, "database-passwords")
	w.Accepts = func(_ context.Context, login string, password secret.Secret) (bool, error) {
		return w.lets[login] == password.Reveal(), nil
	}
	w.Reload = func(context.Context) error {
		w.reloads++
		if w.reloaded != nil {
			return w.reloaded()
		}
		return nil
	}
	w.Probe = func(context.Context) error {
		if w.broken != nil {
			return w.broken()
		}
		return nil
	}
	for _, slot := range []blueprint.Slot{blueprint.SlotA, blueprint.SlotB} {
		for user, password := range secretsOf(slot, "").Accounts {
			w.lets[slot.Login(user)] = password.Reveal()
		}
	}
	for i := range w.Files {
		f := &w.Files[i]
		f.Attr = change.Attr{Owner: "root", Group: "root", Mode: f.Attr.Mode}
		text := "; <?php exit; ?> DO NOT REMOVE THIS LINE\n[database]\nusername = \"" + f.User + "\"\npassword = \"" + now.Accounts[f.User].Reveal() + "\"\n[General]\nsalt = \"" + saltA + "\"\n[Owner]\nown = \"stays\"\n"
		w.write(f.Path, text, 0o640)
	}
	text, err := now.Encode()
	if err != nil {
		t.Fatal(err)
	}
	w.write(c.Secrets, string(text), 0o600)
	w.write(w.Stored, string(blueprint.EncodePasswords(now.Slot, now.Accounts)), 0o600)
	return w
}

func (w *world) write(name, text string, mode os.FileMode) {
	w.t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), mode); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) tell(e progress.Event) {
	w.told = append(w.told, fmt.Sprintf("%+v", e))
	if w.killAt > 0 {
		if w.killAt--; w.killAt == 0 {
			panic(killed{})
		}
	}
}

// killedAt does something that dies before its nth step, and tells whether it
// came that far. What dies has no time to tidy up.
func (w *world) killedAt(n int, do func()) (died bool) {
	w.killAt = n
	defer func() {
		w.killAt = 0
		switch recover().(type) {
		case nil:
		case killed:
			died = true
		default:
			w.t.Error("it panics")
		}
	}()
	do()
	return false
}

// works fails when a pool has a login that the database server refuses.
func (w *world) works(when string) {
	w.t.Helper()
	for _, f := range w.Files {
		parsed, err := w.parse(f)
		if err != nil {
			w.t.Fatal(err)
		}
		login, _ := parsed.Get("database", "username")
		password, _ := parsed.Get("database", "password")
		if w.lets[login] != password || password == "" {
			w.t.Errorf("%s: %s has the login %s, which does not let in", when, f.Path, login)
		}
		if own, _ := parsed.Get("Owner", "own"); own != "stays" {
			w.t.Errorf("%s: what is the owner's is gone from %s", when, f.Path)
		}
	}
	// What rocca up would set up must let in, too.
	text, err := os.ReadFile(w.Config.Secrets)
	if err != nil {
		w.t.Fatal(err)
	}
	given, err := blueprint.DecodeSecrets(text)
	if err != nil {
		w.t.Fatal(err)
	}
	for user, password := range given.Accounts {
		if w.lets[given.Slot.Login(user)] != password.Reveal() {
			w.t.Errorf("%s: rocca up would give %s what does not let in", when, user)
		}
	}
}

// reopened is the same machine in a process of its own: it knows what its files
// say.
func (w *world) reopened() {
	text, err := os.ReadFile(w.Config.Secrets)
	if err != nil {
		w.t.Fatal(err)
	}
	if w.Given, err = blueprint.DecodeSecrets(text); err != nil {
		w.t.Fatal(err)
	}
	w.Now = w.Given
}

func (w *world) account() Account {
	w.t.Helper()
	w.reopened()
	a, err := w.Account()
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

func (w *world) silent() {
	w.t.Helper()
	journal, err := os.ReadFile(w.journal())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, text := range append(w.told, string(journal)) {
		for _, planted := range []string{"Password-", saltA, saltB, "Superuser-Password"} {
			if strings.Contains(text, planted) {
				w.t.Errorf("%q is in %s", planted, text)
			}
		}
	}
}

func TestSwitch(t *testing.T) {
	w := newWorld(t)
	if a := w.account(); a.Slot != blueprint.SlotA || a.Version != "version-1" {
		t.Errorf("before: %+v", a)
	}
	s, err := w.Switch(t.Context(), secretsOf(blueprint.SlotB, "version-2"))
	if err != nil || !s.Changed || s.Was.Slot != blueprint.SlotA || s.Slot != blueprint.SlotB {
		t.Fatalf("%+v, %v", s, err)
	}
	w.works("after")
	if a := w.account(); a.Slot != blueprint.SlotB || a.Version != "version-2" || a.Unfinished != "" || w.reloads != 1 {
		t.Errorf("after: %+v, %d reloads", a, w.reloads)
	}
	slot, stored := blueprint.DecodePasswords(mustRead(t, w.Stored))
	if slot != blueprint.SlotB || stored["matomo"].Reveal() != "Password-b-Of-matomo" {
		t.Errorf("rocca's own file has slot %s", slot)
	}
	for name, mode := range map[string]os.FileMode{w.Files[0].Path: 0o640, w.Files[1].Path: 0o640, w.Files[2].Path: 0o600, w.Config.Secrets: 0o600, w.Stored: 0o600, w.journal(): 0o600, w.State: 0o700} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s is %v, want %04o (%v)", name, info.Mode(), mode, err)
		}
	}
	again, err := w.Switch(t.Context(), secretsOf(blueprint.SlotB, "version-2"))
	if err != nil || again.Changed {
		t.Errorf("again: %+v, %v", again, err)
	}
	w.silent()
}

func mustRead(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestKilled: at whatever step a switch dies, the host has accounts that let in;
// the same again ends it, and so does going back.
func TestKilled(t *testing.T) {
	for _, then := range []struct {
		name string
		slot blueprint.Slot
	}{{"the same again", blueprint.SlotB}, {"back", blueprint.SlotA}} {
		t.Run(then.name, func(t *testing.T) {
			steps := 0
			for n := 1; ; n++ {
				w := newWorld(t)
				died := w.killedAt(n, func() {
					if _, err := w.Switch(t.Context(), secretsOf(blueprint.SlotB, "version-2")); err != nil {
						t.Error(err)
					}
				})
				if !died {
					break
				}
				steps++
				w.works(fmt.Sprintf("killed before step %d", n))
				if a := w.account(); a.Unfinished != "switch" {
					t.Errorf("killed before step %d: unfinished is %q", n, a.Unfinished)
				}
				// What was being written when it died.
				w.write(filepath.Join(filepath.Dir(w.Files[0].Path), ".config.ini.php.rocca-rotate"), "half", 0o600)
				if _, err := w.Switch(t.Context(), secretsOf(then.slot, "version-3")); err != nil {
					t.Errorf("killed before step %d: %v", n, err)
				}
				w.works("afterwards")
				if a := w.account(); a.Slot != then.slot || a.Version != "version-3" || a.Unfinished != "" {
					t.Errorf("killed before step %d: %+v", n, a)
				}
				if left, _ := filepath.Glob(filepath.Join(filepath.Dir(w.Config.Secrets), "*", "*", ".*rocca-rotate")); len(left) > 0 {
					t.Errorf("killed before step %d: left are %q", n, left)
				}
				w.silent()
			}
			if steps < 7 { // three configurations, reload, probe, two stores
				t.Errorf("it has %d steps", steps)
			}
		})
	}
}

// TestSwitchIsTakenBack: what fails leaves the host as it was.
func TestSwitchIsTakenBack(t *testing.T) {
	once := func(err error) func() error {
		done := false
		return func() error {
			if done {
				return nil
			}
			done = true
			return err
		}
	}
	failed := errors.New("status 500")
	for _, c := range []struct {
		name string
		arm  func(w *world)
		want string
		is   error
	}{
		{"an account does not let in", func(w *world) { w.lets["matomo-tracker-b"] = "another" }, "does not let matomo-tracker-b in; nothing was changed", nil},
		{"the pools do not reload", func(w *world) { w.reloaded = once(failed) }, "what was before is back", failed},
		{"the tracker does not answer", func(w *world) { w.broken = once(failed) }, "what was before is back", failed},
		{"nor does it from before", func(w *world) { w.broken = func() error { return failed } }, "does not answer either", failed},
		{"going back fails", func(w *world) {
			w.broken = func() error {
				w.reloaded = func() error { return errors.New("no systemd") }
				return failed
			}
		}, "no systemd", ErrNotTakenBack},
		{"a configuration is missing", func(w *world) { _ = os.Remove(w.Files[1].Path) }, "hint: rocca up", nil},
		{"a configuration cannot be written", func(w *world) { w.Files[1].Attr.Group = "no-such-group-of-the-test" }, "what was before is back", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			before := map[string]string{}
			for _, f := range w.Files {
				before[f.Path] = string(mustRead(t, f.Path))
			}
			secrets := string(mustRead(t, w.Config.Secrets))
			c.arm(w)
			if strings.Contains(c.name, "written") {
				w.Files = w.Files[:2] // going back writes the first only
			}
			_, err := w.Switch(t.Context(), secretsOf(blueprint.SlotB, "version-2"))
			if err == nil || !strings.Contains(err.Error(), c.want) || c.is != nil && !errors.Is(err, c.is) {
				t.Fatalf("%v, want %q", err, c.want)
			}
			if strings.Contains(err.Error(), "Password-") {
				t.Errorf("a password is in %v", err)
			}
			if errors.Is(err, ErrNotTakenBack) != errors.Is(c.is, ErrNotTakenBack) && !strings.Contains(c.name, "written") {
				t.Errorf("%v", err)
			}
			if c.name == "a configuration is missing" {
				return
			}
			for _, f := range w.Files[:1] {
				parsed, err := w.parse(f)
				if err != nil {
					t.Fatal(err)
				}
				if login, _ := parsed.Get("database", "username"); login != f.User {
					t.Errorf("%s has the login %s", f.Path, login)
				}
			}
			if got := string(mustRead(t, w.Config.Secrets)); got != secrets {
				t.Error("what rocca up would set up has changed")
			}
		})
	}
}

// TestMixedPools: a switch was killed between two pools.
func TestMixedPools(t *testing.T) {
	w := newWorld(t)
	w.killedAt(2, func() { _, _ = w.Switch(t.Context(), secretsOf(blueprint.SlotB, "version-2")) })
	a := w.account()
	if a.Slot != Mixed || a.Version != "" || a.Pools["matomo"] != blueprint.SlotB || a.Pools["matomo-tracker"] != blueprint.SlotA {
		t.Errorf("%+v", a)
	}
	for _, slot := range []blueprint.Slot{blueprint.SlotA, blueprint.SlotB} {
		if _, err := w.Retire(t.Context(), slot, nil, 0); !errors.Is(err, errInUse) {
			t.Errorf("retire slot %s: %v", slot, err)
		}
	}
}

func TestForeignLoginIsAnError(t *testing.T) {
	w := newWorld(t)
	w.write(w.Files[0].Path, "; <?php exit; ?> DO NOT REMOVE THIS LINE\n[database]\nusername = \"root\"\n", 0o640)
	if _, err := w.Account(); err == nil || !strings.Contains(err.Error(), "hint: rocca up") {
		t.Errorf("%v", err)
	}
}

func TestStatements(t *testing.T) {
	a := blueprint.RemoteAccount{User: "matomo", Login: "matomo-b", Account: "matomo-b@10.20.0.0/255.255.0.0", Grants: []string{"SELECT ON `m`.*"}}
	const as = "'matomo-b'@'10.20.0.0/255.255.0.0'"
	for _, c := range []struct {
		name     string
		now      facts.Account
		accepted bool
		want     []string
	}{
		{"none", facts.Account{}, false, []string{"CREATE USER " + as + " IDENTIFIED", "GRANT SELECT ON `m`.* TO " + as}},
		{"killed before its grants", facts.Account{Exists: true, TLS: true}, true, []string{"GRANT SELECT ON `m`.* TO " + as}},
		{"retired", facts.Account{Exists: true, TLS: true, Grants: a.Grants}, false, []string{"ALTER USER " + as + " IDENTIFIED ACCOUNT UNLOCK"}},
		{"ready", facts.Account{Exists: true, TLS: true, Grants: a.Grants}, true, nil},
		{"with more", facts.Account{Exists: true, TLS: true, Grants: []string{"SELECT ON `m`.*", "DROP ON `m`.* WITH GRANT OPTION"}}, true,
			[]string{"REVOKE DROP ON `m`.* FROM " + as, "REVOKE GRANT OPTION ON `m`.* FROM " + as}},
	} {
		if diff := cmp.Diff(c.want, statements(a, c.now, c.accepted, " IDENTIFIED")); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

// TestJob: a rotation on a server of one's own is kept until it ends, whatever
// dies.
func TestJob(t *testing.T) {
	w := newWorld(t)
	if _, err := w.Job(); !errors.Is(err, ErrNoJob) {
		t.Fatalf("%v", err)
	}
	j, err := w.Begin(Accounts)
	if err != nil {
		t.Fatal(err)
	}
	if j.From.Slot != blueprint.SlotA || j.To.Slot != blueprint.SlotB || len(j.To.Accounts) != 3 {
		t.Errorf("from %s to %s with %d accounts", j.From.Slot, j.To.Slot, len(j.To.Accounts))
	}
	kept, err := w.Job()
	if err != nil || kept.From.Slot != blueprint.SlotA || kept.To.Slot != blueprint.SlotB {
		t.Fatalf("%v, %s to %s", err, kept.From.Slot, kept.To.Slot)
	}
	for user, password := range j.To.Accounts {
		if kept.To.Accounts[user] != password || kept.From.Accounts[user] != w.Now.Accounts[user] {
			t.Errorf("a password of %s is lost", user)
		}
		w.lets["b:"+user] = password.Reveal()
		w.lets[blueprint.SlotB.Login(user)] = password.Reveal()
	}
	if text := string(mustRead(t, filepath.Join(w.State, jobFile))); strings.Contains(text, "Password-") || strings.Contains(text, kept.To.Accounts["matomo"].Reveal()) {
		t.Errorf("a password is in %s", text)
	}
	if _, err := w.Begin(Salt); err == nil || !strings.Contains(err.Error(), "under way (db)") {
		t.Errorf("a second rotation: %v", err)
	}
	for n := 1; ; n++ {
		if !w.killedAt(n, func() { _, err = w.Switch(t.Context(), kept.To) }) {
			break
		}
		w.works("killed")
		if _, err := w.Switch(t.Context(), kept.From); err != nil {
			t.Errorf("back after %d steps: %v", n, err)
		}
		w.reopened()
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := w.End(); err != nil {
		t.Fatal(err)
	}
	if left, _ := filepath.Glob(w.State + "/*"); !slices.Equal(left, []string{w.journal()}) {
		t.Errorf("left are %q", left)
	}
}

func TestSaltOfJob(t *testing.T) {
	w := newWorld(t)
	j, err := w.Begin(Salt)
	if err != nil || j.From.Salt.Reveal() != saltA || len(j.To.Salt.Reveal()) != 32 || j.To.Salt == j.From.Salt {
		t.Fatalf("%v", err)
	}
	salts := func() []string {
		var all []string
		for _, f := range w.Files {
			parsed, err := ini.Parse(mustRead(t, f.Path))
			if err != nil {
				t.Fatal(err)
			}
			salt, _ := parsed.Get("General", "salt")
			if !slices.Contains(all, salt) {
				all = append(all, salt)
			}
		}
		w.reopened()
		return append(all, w.Given.Salt.Reveal())
	}
	w.killedAt(2, func() { _ = w.Forward(t.Context(), j, nil) })
	if got := salts(); len(got) != 3 {
		t.Errorf("killed between two files: %d salts", len(got))
	}
	if err := w.Forward(t.Context(), j, nil); err != nil {
		t.Fatal(err)
	}
	if got := salts(); len(got) != 2 || got[0] != got[1] || got[0] != j.To.Salt.Reveal() {
		t.Error("the salt is not everywhere the same, and new")
	}
	w.works("with another salt")
	if a := w.account(); a.Slot != blueprint.SlotA {
		t.Errorf("the slot is %s", a.Slot)
	}
	if err := w.Back(t.Context(), j, nil); err != nil {
		t.Fatal(err)
	}
	if got := salts(); len(got) != 2 || got[0] != saltA || got[1] != saltA {
		t.Error("the salt is not the one from before")
	}
}

func TestChosenTokens(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	ago := func(days int) *time.Time { at := now.AddDate(0, 0, -days); return &at }
	tokens := []Token{
		{ID: 1, User: "owner", Created: *ago(400), LastUsed: ago(1)},
		{ID: 2, User: "owner", Created: *ago(400), LastUsed: ago(200)},
		{ID: 3, User: "importer", Created: *ago(300)},
		{ID: 4, User: "importer", Created: *ago(2)},
	}
	for _, c := range []struct {
		Chosen
		want []int64
	}{
		{Chosen{}, nil},
		{Chosen{All: true}, []int64{1, 2, 3, 4}},
		{Chosen{User: "owner"}, []int64{1, 2}},
		{Chosen{Older: 100 * 24 * time.Hour}, []int64{2, 3}},
		{Chosen{User: "importer", Older: 100 * 24 * time.Hour}, []int64{3}},
		{Chosen{User: "nobody", All: true}, nil},
	} {
		var got []int64
		for _, token := range c.Of(tokens, now) {
			got = append(got, token.ID)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%+v: %v, want %v", c.Chosen, got, c.want)
		}
	}
}

func TestMail(t *testing.T) {
	w := newWorld(t)
	if _, err := w.Mail(); err == nil || !strings.Contains(err.Error(), "transport = smtp") {
		t.Errorf("without one: %v", err)
	}
	text := string(mustRead(t, w.Files[0].Path))
	w.write(w.Files[0].Path, text+"[mail]\ntransport = \"smtp\"\nhost = \"mail.example.org\"\nusername = \"stats\"\npassword = \"Old-Mail-1\"\nencryption = \"ssl\"\n", 0o640)
	mail, err := w.Mail()
	if err != nil || mail.Port != "465" || !mail.Implicit || mail.User != "stats" {
		t.Fatalf("%+v, %v", mail, err)
	}
	for i, want := range []bool{true, false} {
		if changed, err := w.SetMailPassword(secret.New(`Password-New"Mail';1`)); err != nil || changed != want {
			t.Errorf("%d: changed %v, %v", i, changed, err)
		}
	}
	parsed, err := w.parse(w.Files[0])
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := parsed.Get("mail", "password"); got != `Password-New"Mail';1` {
		t.Error("another password is read back")
	}
	w.works("with another password for mail")
	w.silent()
}
