package test

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"

	"rocca/internal/demo"
	"rocca/internal/model"
	"rocca/internal/prove"
	"rocca/internal/run"
	"rocca/internal/testhost"
)

// prove attacks a throw-away server, as its owner would on the host of it, and
// returns the exit code too.
func (s *server) prove(t *testing.T, options ...string) (model.Proof, int) {
	t.Helper()
	argv := append([]string{testhost.Binary(t), "prove", "--demo", s.Name(), "--format", "json"}, options...)
	got, err := run.Do(t.Context(), run.Command{Argv: argv})
	code := 0
	var failed *run.Error
	if errors.As(err, &failed) {
		code = failed.ExitCode
	}
	var proof model.Proof
	if err := json.Unmarshal(got.Stdout, &proof); err != nil {
		t.Fatalf("exit %d, and the outcome is no JSON: %v\n%s\n%.2000s", code, err, got.Stderr, got.Stdout)
	}
	t.Logf("%d attacks in %.1f s", len(proof.Attacks), proof.Seconds)
	return proof, code
}

// attacked finds what an attack came to.
func attacked(t *testing.T, proof model.Proof, id string) model.Attacked {
	t.Helper()
	at := slices.IndexFunc(proof.Attacks, func(a model.Attacked) bool { return a.ID == id })
	if at < 0 {
		t.Fatalf("%s was not made", id)
	}
	return proof.Attacks[at]
}

// onlyInAWS are the attacks whose subject is not there elsewhere.
var onlyInAWS = []string{"A30", "A31"}

// testAttacks: every attack holds on rocca's own server and falls on every twin,
// and nothing stays of it.
func testAttacks(t *testing.T, s *server) {
	m := &machine{server: *s, hashes: map[hashKey]string{}}
	m.answers(t) // what Matomo writes when it is asked for the first time
	before := m.kept(t)
	runs := []string{"the first run"}
	if s.thorough {
		runs = append(runs, "the second run")
	}
	for _, run := range runs {
		proof, code := s.prove(t)
		if code != 0 {
			t.Errorf("%s ends with %d", run, code)
		}
		for _, a := range proof.Attacks {
			switch {
			case slices.Contains(onlyInAWS, a.ID):
				if a.Result != model.NotApplicable || a.Reason == "" {
					t.Errorf("%s: %s: %s (%s)", run, a.ID, a.Result, a.Reason)
				}
			case a.Result != model.Held || a.Twin != model.Fell:
				t.Errorf("%s: %s %s: %s, twin %s (%s)\n%+v\n%+v", run, a.ID, a.Title, a.Result, a.Twin, a.Reason, fallen(a), a.Twins)
			}
		}
		same(t, run+" left something", before, m.kept(t))
	}
	for _, f := range s.audit(t, "--only", "FS-04,OPS-02").Findings {
		if f.ID == "FS-04" && (len(f.Proven) == 0 || f.Proven[0].Result != model.Held) {
			t.Errorf("the audit does not know that A06 held: %+v", f.Proven)
		}
		if f.ID == "OPS-02" && f.Status != model.Pass {
			t.Errorf("OPS-02 is %s after the attacks: %s", f.Status, f.Reason)
		}
	}
}

// fallen are the tries that succeeded.
func fallen(a model.Attacked) []model.Try {
	return slices.DeleteFunc(slices.Clone(a.Evidence), func(try model.Try) bool { return !try.Fell })
}

var counters = regexp.MustCompile(` AUTO_INCREMENT=[0-9]+`)

// kept is all of a server that attacks must leave as it is: files, units, and
// every row of the database. Counters of rows may have moved.
func (m *machine) kept(t *testing.T) map[string]string {
	t.Helper()
	found := m.files(t, volatile...)
	for name, text := range m.systemState(t) {
		found["state: "+name] = text
	}
	dump := m.run(t, "mariadb-dump", "--skip-comments", "--skip-extended-insert", "--order-by-primary", "matomo")
	for line := range strings.Lines(counters.ReplaceAllString(dump, "")) {
		found["database: "+line] = "there"
	}
	left := m.run(t, "sh", "-c", "find / -xdev -name 'rocca-prove*' 2>/dev/null; ls -d /run/rocca-prove* /tmp/rocca-prove* 2>/dev/null; true")
	found["canaries"] = left
	return found
}

// testWeakServerFalls: the attacks find the holes of the weak servers, and a
// person can find them again by what is printed.
func testWeakServerFalls(t *testing.T, s *server, weak string) {
	proof, code := s.prove(t, "--foreign", "--disturb", "--twin", "none")
	if code != 4 {
		t.Errorf("the attacks on %s end with %d, want 4", weak, code)
	}
	for _, id := range map[string][]string{
		"stock": {"A04", "A06", "A07", "A14"},
		"s1":    {"A04", "A06", "A07", "A09"},
		"s2":    {"A01", "A02", "A03", "A05", "A06"},
	}[weak] {
		if a := attacked(t, proof, id); a.Result != model.Fell {
			t.Errorf("%s: %s is %s (%s): %+v", weak, id, a.Result, a.Reason, a.Evidence)
		}
	}
	for _, a := range proof.Attacks {
		switch {
		case a.Result == model.Held:
			t.Errorf("%s: %s held, and there is no twin that shows anything", weak, a.ID)
		case a.Result != model.Fell:
			continue
		}
		if a.Reproduce == "" || strings.Contains(a.Reproduce, "\n") {
			t.Errorf("%s: %s fell, and how is not told in a line: %q", weak, a.ID, a.Reproduce)
			continue
		}
		if got, err := s.Try(run.Command{Argv: []string{"bash", "-c", a.Reproduce}}); err != nil {
			t.Errorf("%s: %s cannot be done again: %v\n%s", weak, a.ID, err, got.Stdout)
		}
	}
}

// TestEachProtectionCounts takes each protection away alone, with all others in
// place: one attack must fall at least, and what the page says notices it must.
func TestEachProtectionCounts(t *testing.T) {
	h := testhost.Boot(t, testhost.Options{})
	program := testhost.Binary(t)
	still, err := demo.Copy(t.Context(), h.Name(), program, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := still.Remove(); err != nil {
			t.Error(err)
		}
	})
	whole := (&server{Host: h}).audit(t)
	for _, p := range prove.Protections(prove.All()) {
		t.Run(p.ID, func(t *testing.T) {
			t.Parallel()
			name := testhost.Name()
			t.Cleanup(func() {
				if err := demo.Down(context.Background(), name, nil); err != nil {
					t.Error(err)
				}
			})
			twin, err := still.Clone(t.Context(), name)
			if err != nil {
				t.Fatal(err)
			}
			against := prove.Against(prove.All(), p)
			got, err := twin.Run(t.Context(), run.Command{Argv: []string{demo.Program, "prove", "attempt", "--disturb", "--without", p.ID, "--only", strings.Join(prove.IDs(against), ",")}})
			if err != nil {
				t.Fatalf("%v\n%s", err, got.Stderr)
			}
			var all []model.Attacked
			if err := json.Unmarshal(got.Stdout, &all); err != nil {
				t.Fatal(err)
			}
			fell := 0
			for _, a := range all {
				switch a.Result {
				case model.Fell:
					fell++
				case model.NotApplicable: // here: another one must tell
				case model.Held, model.NotProven:
					t.Errorf("%s is %s without it (%s): %+v", a.ID, a.Result, a.Reason, a.Evidence)
				}
			}
			if fell == 0 {
				t.Error("no attack fell without it")
			}
			got, err = twin.Run(t.Context(), run.Command{Argv: []string{demo.Program, "audit", "--format", "json", "--only", strings.Join(p.Controls, ",")}})
			var failed *run.Error
			if err != nil && (!errors.As(err, &failed) || failed.ExitCode != 1 && failed.ExitCode != 3) {
				t.Fatalf("%v\n%s", err, got.Stderr)
			}
			var report model.Report
			if err := json.Unmarshal(got.Stdout, &report); err != nil {
				t.Fatal(err)
			}
			for _, f := range report.Findings {
				at := slices.IndexFunc(whole.Findings, func(before model.Finding) bool { return before.ID == f.ID })
				if f.Status != model.Fail || whole.Findings[at].Status == model.Fail {
					t.Errorf("%s is %s without it, and was %s with it: %s %+v", f.ID, f.Status, whole.Findings[at].Status, f.Reason, f.Evidence)
				}
			}
		})
	}
}
