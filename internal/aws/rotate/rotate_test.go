package rotate

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"rocca/internal/aws/awstest"
)

func TestDatabase(t *testing.T) {
	w := newWorld(t, awstest.Start(t), "trackers", "interfaces", "worker")
	w.sessions["a"] = 3
	if err := w.do(t.Context(), w.admin, Database, Begin); err != nil {
		t.Fatal(err)
	}
	w.settled("to b")
	if w.slots() != "b" {
		t.Errorf("servers use %s", w.slots())
	}
	var prepared string
	for _, line := range w.ran {
		if id, _, is := strings.Cut(line, " host prepare"); is {
			prepared = id
		}
	}
	if s := w.servers[prepared]; s == nil || s.role != "worker" {
		t.Errorf("accounts were made on %s", prepared)
	}
	if err := w.do(t.Context(), w.admin, Database, Begin); err != nil {
		t.Fatal(err)
	}
	w.settled("to a")
	if w.slots() != "a" {
		t.Errorf("servers use %s", w.slots())
	}
	if err := w.do(t.Context(), w.admin, Database, Resume); err != nil {
		t.Errorf("nothing to resume: %v", err)
	}
	if err := w.do(t.Context(), w.admin, Database, Abort); err == nil || !strings.Contains(err.Error(), "no rotation is under way") {
		t.Errorf("nothing to take back: %v", err)
	}
	w.silent()
}

// TestKilled: the program is ended at each call that changes something, by
// Ctrl-C and by kill -9, and goes on or back afterwards.
func TestKilled(t *testing.T) {
	for _, kind := range []Kind{Database, Cache, Salt} {
		w := newWorld(t, awstest.Start(t), "trackers", "worker")
		for _, then := range []Action{Resume, Abort} {
			for at := 1; ; at++ {
				// A call that was made and one that the next was not are the same
				// to the account.
				after, kill := then == Resume, at%2 == 0
				ended := w.interrupt(&cut{at: at, after: after, kill: kill}, w.admin, kind, Begin)
				when := fmt.Sprintf("%s ended at %d %s (after %v, kill %v)", kind, at, ended, after, kill)
				if ended == "" {
					w.settled(when)
					t.Logf("%s, then %s: %d calls that change something", kind, then, at-1)
					if at < 7 {
						t.Errorf("%s: only %d calls change something", kind, at-1)
					}
					break
				}
				w.safe(when)
				if w.granted() && !kill && ended != "DeleteRolePolicy" {
					t.Errorf("%s: the right of the database's administrator is left", when)
				}
				when += ", then " + string(then)
				err := w.do(t.Context(), w.admin, kind, then)
				if err != nil && !strings.Contains(err.Error(), "no rotation is under way") {
					t.Fatalf("%s: %v", when, err)
				}
				w.settled(when)
			}
		}
		w.silent()
	}
}

// TestAbortIsKilled: taking back can be interrupted, too.
func TestAbortIsKilled(t *testing.T) {
	w := newWorld(t, awstest.Start(t), "servers", "servers")
	for _, begin := range []int{3, 7, 10} { // from begun to retiring
		for _, then := range []Action{Resume, Abort} {
			for at := 1; at < 20; at++ {
				w.interrupt(&cut{at: begin, after: true}, w.admin, Database, Begin)
				ended := w.interrupt(&cut{at: at, after: true, kill: true}, w.admin, Database, Abort)
				when := fmt.Sprintf("taking back from %d ended at %d %s, then %s", begin, at, ended, then)
				w.safe(when)
				if ended == "" {
					w.settled(when)
					break
				}
				if err := w.do(t.Context(), w.admin, Database, then); err != nil && !strings.Contains(err.Error(), "no rotation is under way") {
					t.Fatalf("%s: %v", when, err)
				}
				w.settled(when)
			}
		}
	}
}

func TestSomeServersFail(t *testing.T) {
	w := newWorld(t, awstest.Start(t), "servers", "servers", "servers")
	before := w.current()
	switched := 0
	w.fail = func(_, verb string, _ []string) error {
		if verb == "switch" {
			if switched++; switched > 1 {
				return errors.New("the tracker does not answer")
			}
		}
		return nil
	}
	err := w.do(t.Context(), w.admin, Database, Begin)
	var stopped *StoppedError
	if !errors.As(err, &stopped) || stopped.Step != stepWave || !strings.Contains(err.Error(), "the tracker does not answer") || !strings.Contains(err.Error(), "rocca aws rotate db resume goes on, rocca aws rotate db abort goes back") {
		t.Fatalf("got %v", err)
	}
	if switched != 2 {
		t.Errorf("%d servers were tried: the wave did not stop", switched)
	}
	w.safe("some failed")
	if w.current() != before || w.slots() != "ab" || w.granted() {
		t.Errorf("current %s, slots %s, granted %v", w.current(), w.slots(), w.granted())
	}
	if err := w.do(t.Context(), w.admin, Database, Begin); err == nil || !strings.Contains(err.Error(), "a rotation of db is under way") {
		t.Errorf("a second one began: %v", err)
	}
	if err := w.do(t.Context(), w.admin, Salt, Resume); err == nil || !strings.Contains(err.Error(), "a rotation of db is under way") {
		t.Errorf("another one went on: %v", err)
	}
	w.fail = nil
	if err := w.do(t.Context(), w.admin, Database, Abort); err != nil {
		t.Fatal(err)
	}
	w.settled("taken back")
	if w.current() != before {
		t.Error("another secret is current")
	}
}

// TestServersDiffer: no rotation is under way, and a server has another secret.
func TestServersDiffer(t *testing.T) {
	w := newWorld(t, awstest.Start(t), "servers", "servers")
	first := w.current()
	if err := w.do(t.Context(), w.admin, Salt, Begin); err != nil {
		t.Fatal(err)
	}
	for _, s := range w.servers {
		w.configure(s, first)
		break
	}
	if err := w.do(t.Context(), w.admin, Database, Begin); err == nil || !strings.Contains(err.Error(), "hint: rocca aws rotate db resume") {
		t.Errorf("it began: %v", err)
	}
	if err := w.do(t.Context(), w.admin, Database, Resume); err != nil {
		t.Fatal(err)
	}
	w.settled("resumed")
	for _, s := range w.servers {
		s.booting = true
		break
	}
	if err := w.do(t.Context(), w.admin, Database, Begin); err == nil || !strings.Contains(err.Error(), "would be left without an account") {
		t.Errorf("it began without a server: %v", err)
	}
}

// TestServersBootInBetween: they have the old accounts, and need them until
// they have gone over.
func TestServersBootInBetween(t *testing.T) {
	w := newWorld(t, awstest.Start(t), "servers", "servers")
	var late string
	looks := 0
	w.before = func(_, verb string) {
		switch {
		case verb == "switch" && late == "": // before the secret moves
			late = w.launch("servers")
			w.servers[late].booting = true
		case verb == "account" && late != "":
			// It comes up when the others have changed long since.
			if looks++; looks > 40 {
				w.mu.Lock()
				w.servers[late].booting = false
				w.mu.Unlock()
			}
		case verb == "retire":
			w.mu.Lock()
			if s := w.servers[late]; s.booting || s.slot == "a" {
				t.Error("the old accounts were to be locked while a server boots with them")
			}
			w.mu.Unlock()
		}
	}
	if err := w.do(t.Context(), w.admin, Database, Begin); err != nil {
		t.Fatal(err)
	}
	w.before = nil
	w.settled("with one more")
	if w.servers[late].slot != "b" || looks < 40 {
		t.Errorf("the new server uses slot %s after %d looks", w.servers[late].slot, looks)
	}
}

// TestServersGo: the auto-scaling group replaces one in the middle.
func TestServersGo(t *testing.T) {
	w := newWorld(t, awstest.Start(t), "servers", "servers")
	gone := ""
	w.before = func(id, verb string) {
		if verb == "switch" && gone == "" {
			gone = id
			w.terminate(id)
			w.launch("servers")
		}
	}
	if err := w.do(t.Context(), w.admin, Database, Begin); err != nil {
		t.Fatal(err)
	}
	w.settled("one was replaced")
}

// TestSessionsStay: the old accounts are not locked too early.
func TestSessionsStay(t *testing.T) {
	w := newWorld(t, awstest.Start(t), "servers")
	w.sessions["a"] = 1000000
	d := w.open(w.admin)
	d.Wait = 0
	p, err := d.Plan(t.Context(), Database, Begin)
	if err != nil {
		t.Fatal(err)
	}
	err = d.Do(t.Context(), p)
	if err == nil || !strings.Contains(err.Error(), "there are sessions of it") || !strings.Contains(err.Error(), "rotate db resume") {
		t.Fatalf("got %v", err)
	}
	w.safe("sessions stay")
	if w.database["matomo"].locked || w.granted() {
		t.Error("an account in use was locked, or a right is left")
	}
	delete(w.sessions, "a")
	if err := w.do(t.Context(), w.admin, Database, Resume); err != nil {
		t.Fatal(err)
	}
	w.settled("sessions gone")
}

// TestRestored: the database was restored to an older point, with older
// passwords.
func TestRestored(t *testing.T) {
	w := newWorld(t, awstest.Start(t), "servers", "servers")
	w.setAccounts(w.current(), true)
	if err := w.do(t.Context(), w.admin, Database, Repair); err != nil {
		t.Fatal(err)
	}
	w.settled("repaired")

	w.interrupt(&cut{at: 4, after: true}, w.admin, Database, Begin) // accounts are made, one server has changed
	clear(w.database)
	w.setAccounts(w.current(), true)
	if err := w.do(t.Context(), w.admin, Database, Repair); err != nil {
		t.Fatal(err)
	}
	w.safe("repaired in the middle")
	if err := w.do(t.Context(), w.admin, Database, Resume); err != nil {
		t.Fatal(err)
	}
	w.settled("resumed")
}

// TestAdministratorChanges: RDS gives the administrator another password in the
// middle; the next try reads it.
func TestAdministratorChanges(t *testing.T) {
	w := newWorld(t, awstest.Start(t), "servers")
	failed := map[string]bool{}
	w.fail = func(_, verb string, _ []string) error {
		if slices.Contains([]string{"prepare", "retire"}, verb) && !failed[verb] {
			failed[verb] = true
			return errors.New("Access denied for user 'rocca_admin'")
		}
		return nil
	}
	if err := w.do(t.Context(), w.admin, Database, Begin); err != nil {
		t.Fatal(err)
	}
	w.settled("done")
	if len(failed) != 2 {
		t.Errorf("failed %v", failed)
	}
}

// TestSomebodyElse: two people at once.
func TestSomebodyElse(t *testing.T) {
	w := newWorld(t, awstest.Start(t), "servers")
	d := w.open(w.admin)
	mine, err := d.Plan(t.Context(), Database, Begin)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.do(t.Context(), w.admin, Database, Begin); err != nil {
		t.Fatal(err)
	}
	if err := d.Do(t.Context(), mine); err == nil || !strings.Contains(err.Error(), "is somebody else at it?") {
		t.Errorf("got %v", err)
	}
	w.settled("one of two")
}

func TestCacheAndSalt(t *testing.T) {
	w := newWorld(t, awstest.Start(t), "trackers", "interfaces", "worker")
	var old fakeServer
	for _, s := range w.servers {
		old = *s
	}
	if err := w.do(t.Context(), w.admin, Cache, Begin); err != nil {
		t.Fatal(err)
	}
	w.settled("cache")
	var kept struct{ SecretString string }
	w.ask("secretsmanager:GetSecretValue", map[string]any{"SecretId": "rocca/stats/cache", "VersionStage": "AWSCURRENT"}, &kept)
	if len(w.cache) != 1 || w.cache[0] == plantedPass || kept.SecretString != w.cache[0] {
		t.Error("the cache takes the old password, or its secret has another one")
	}
	if err := w.do(t.Context(), w.admin, Salt, Begin); err != nil {
		t.Fatal(err)
	}
	w.settled("salt")
	for id, s := range w.servers {
		if s.salt == old.salt || s.slot != old.slot {
			t.Errorf("%s has the old salt, or slot %s", id, s.slot)
		}
	}
	w.silent()
}

func TestNothingToRotate(t *testing.T) {
	w := newWorld(t, awstest.Start(t), "server")
	d := w.open(w.admin)
	d.Database, d.Cache = "", false
	for kind, want := range map[Kind]string{Database: "on the server itself", Master: "on the server itself", Cache: "has no cache", Mail: "keeps no password of a mail server"} {
		if _, err := d.Plan(t.Context(), kind, Begin); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", kind, err)
		}
	}
	if _, err := d.Plan(t.Context(), Tokens, Abort); err == nil || !strings.Contains(err.Error(), "knows no abort") {
		t.Errorf("got %v", err)
	}
}

func TestTokens(t *testing.T) {
	w := newWorld(t, awstest.Start(t), "trackers", "worker")
	w.tokens = []Token{{User: "anna", Description: "import", Created: time.Now()}}
	d := w.open(w.admin)
	p, err := d.Plan(t.Context(), Tokens, Begin)
	if err != nil || len(p.Tokens) != 1 || len(p.Steps) != 0 {
		t.Fatalf("without a choice: %+v, %v", p, err)
	}
	d.Tokens = []string{"--user", "anna"}
	if p, err = d.Plan(t.Context(), Tokens, Begin); err != nil || len(p.Steps) != 1 {
		t.Fatalf("with a choice: %+v, %v", p, err)
	}
	if len(w.tokens) != 1 {
		t.Error("a plan revoked tokens")
	}
	if err := d.Do(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if last := w.ran[len(w.ran)-1]; !strings.HasSuffix(last, " rotate tokens --json --yes --user anna") || len(w.tokens) != 0 {
		t.Errorf("ran %q, tokens %v", last, w.tokens)
	}
}

// TestRoccaIsAtWork: a server where another rocca is at work is waited for.
func TestRoccaIsAtWork(t *testing.T) {
	w := newWorld(t, awstest.Start(t), "servers")
	tries := 0
	w.locked = func(verb string) bool {
		if verb == "switch" {
			tries++
		}
		return verb == "switch" && tries < 3
	}
	if err := w.do(t.Context(), w.admin, Database, Begin); err != nil {
		t.Fatal(err)
	}
	w.settled("done")
	if tries != 3 {
		t.Errorf("%d tries", tries)
	}
}

// TestSwitchIsUnderWay: a server that was told to go over does so, also when who
// told it is gone. It is waited for before the accounts that it goes to are
// locked.
func TestSwitchIsUnderWay(t *testing.T) {
	w := newWorld(t, awstest.Start(t), "servers", "servers")
	w.interrupt(&cut{at: 6, kill: true}, w.admin, Database, Begin)
	now, err := w.open(w.admin).look(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	waiting := 0
	for _, s := range w.servers {
		if s.version != now.next {
			waiting, s.underWay = waiting+1, now.next
		}
	}
	if waiting != 1 {
		t.Fatalf("%d servers have not gone over", waiting)
	}
	if err := w.do(t.Context(), w.admin, Database, Abort); err != nil {
		t.Fatal(err)
	}
	for _, s := range w.servers {
		if s.underWay != "" {
			w.configure(s, s.underWay)
		}
	}
	w.settled("taken back")
}

func TestUsual(t *testing.T) {
	p := &Plan{Steps: []Step{{Usual: time.Minute}, {Usual: time.Second}}}
	if p.Usual() != 61*time.Second {
		t.Errorf("got %s", p.Usual())
	}
}
