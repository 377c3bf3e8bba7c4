package prove

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rocca/internal/model"
)

// lab is a target without a server.
func lab(t *testing.T) *Target {
	t.Helper()
	list, err := openTraces(filepath.Join(t.TempDir(), "traces"))
	if err != nil {
		t.Fatal(err)
	}
	return &Target{traces: list}
}

func exists(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}

func TestWhatIsPlantedGoes(t *testing.T) {
	target := lab(t)
	dir := filepath.Join(t.TempDir(), Canary())
	attack := Attack{ID: "A99", Attempt: func(_ context.Context, target *Target, r *Record) error {
		if err := errors.Join(target.PlantDir(dir, "root", 0o755), target.Plant(dir+"/"+Canary(), "root", 0o644, "x")); err != nil {
			return err
		}
		r.Try(model.Try{Who: "nobody", Answer: "refused"})
		if !exists(dir) {
			t.Error("nothing was planted")
		}
		return nil
	}}
	all, err := Run(t.Context(), target, []Attack{attack}, func(model.Attacked) {})
	if err != nil {
		t.Fatal(err)
	}
	if exists(dir) {
		t.Error("what was planted is still there")
	}
	if all[0].Result != model.Held || all[0].Tries != 1 {
		t.Errorf("it came to %+v", all[0])
	}
	if err := target.Close(); err != nil || exists(target.traces.dir) {
		t.Errorf("the list is still there (%v)", err)
	}
}

func TestInterruptedRunLeavesNothing(t *testing.T) {
	target := lab(t)
	name := filepath.Join(t.TempDir(), Canary())
	ctx, cancel := context.WithCancelCause(t.Context())
	attack := Attack{ID: "A99", Attempt: func(ctx context.Context, target *Target, _ *Record) error {
		if err := target.Plant(name, "root", 0o644, "x"); err != nil {
			return err
		}
		cancel(errors.New("interrupted (SIGINT)"))
		return context.Cause(ctx)
	}}
	_, err := Run(ctx, target, []Attack{attack, attack}, func(model.Attacked) {})
	if err == nil || !strings.Contains(err.Error(), "interrupted") {
		t.Errorf("the run ended with %v", err)
	}
	if exists(name) {
		t.Error("an interrupted run left its canary")
	}
}

// TestKilledRunIsTidiedByTheNext: the list is on disk before the deed, also when
// its last line was cut off.
func TestKilledRunIsTidiedByTheNext(t *testing.T) {
	killed := lab(t)
	dir := t.TempDir()
	first, second := filepath.Join(dir, Canary()), filepath.Join(dir, Canary())
	for _, name := range []string{first, second} {
		if err := killed.Plant(name, "root", 0o600, "x"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := killed.traces.file.WriteString(`{"path":"/home`); err != nil {
		t.Fatal(err)
	}
	list, err := openTraces(killed.traces.dir)
	if err != nil {
		t.Fatal(err)
	}
	next := &Target{traces: list}
	if err := next.clean(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := next.Close(); err != nil {
		t.Error(err)
	}
	if exists(first) || exists(second) || exists(killed.traces.dir) {
		t.Error("the next run left what the killed one had planted")
	}
}

// TestWhatCannotGoStaysListed: nothing is forgotten because one thing failed.
func TestWhatCannotGoStaysListed(t *testing.T) {
	target := lab(t)
	name := filepath.Join(t.TempDir(), Canary())
	if err := target.AfterwardsRun("false"); err != nil {
		t.Fatal(err)
	}
	if err := target.Plant(name, "root", 0o600, "x"); err != nil {
		t.Fatal(err)
	}
	if err := target.clean(t.Context()); err == nil {
		t.Error("a command that failed was no error")
	}
	if exists(name) {
		t.Error("the canary stayed because of the command")
	}
	again, err := openTraces(target.traces.dir)
	if err != nil || len(again.held) != 1 || !slices.Equal(again.held[0].Argv, []string{"false"}) {
		t.Errorf("listed: %+v (%v)", again.held, err)
	}
}

func TestOnlyCanariesAreRemoved(t *testing.T) {
	target := lab(t)
	dir := t.TempDir()
	there := filepath.Join(dir, Canary())
	if err := os.WriteFile(there, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"/etc/passwd", dir, "relative/rocca-prove-x", dir + "/../rocca-prove-x", there} {
		if err := target.Gone(name); err == nil {
			t.Errorf("%s would be removed", name)
		}
	}
}

func TestRunTellsWhatCouldNotBeMade(t *testing.T) {
	try := func(fell bool) func(context.Context, *Target, *Record) error {
		return func(_ context.Context, _ *Target, r *Record) error {
			r.Try(model.Try{Answer: strings.Repeat("x", 2*answerKept), Reproduce: "true"})
			r.Try(model.Try{Fell: fell, Reproduce: "echo again"})
			return errors.New("no more")
		}
	}
	for _, c := range []struct {
		name   string
		attack Attack
		result model.Outcome
		reason string
	}{
		{"an error", Attack{Attempt: try(false)}, model.NotProven, "no more"},
		{"an error after it fell", Attack{Attempt: try(true)}, model.Fell, ""},
		{"nothing tried", Attack{Attempt: func(context.Context, *Target, *Record) error { return nil }}, model.NotProven, "nothing was tried"},
		{"not applicable", Attack{Applies: func(*Target) string { return "there is no front" }, Attempt: try(true)}, model.NotApplicable, "there is no front"},
	} {
		all, err := Run(t.Context(), lab(t), []Attack{c.attack}, func(model.Attacked) {})
		if err != nil || all[0].Result != c.result || all[0].Reason != c.reason {
			t.Errorf("%s: %s, %q (%v)", c.name, all[0].Result, all[0].Reason, err)
		}
		if c.result == model.Fell && (all[0].Reproduce != "echo again" || !all[0].Evidence[0].Fell || len(all[0].Evidence[1].Answer) > answerKept+3) {
			t.Errorf("%s: evidence %+v", c.name, all[0].Evidence)
		}
	}
}
