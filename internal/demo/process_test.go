package demo

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"rocca/internal/run"

	"golang.org/x/sys/unix"
)

func TestParseStat(t *testing.T) {
	const tailFields = " 4194560 1 0 0 0 1 2 0 0 20 0 1 0 8675309 1000 2 3"
	tests := []struct {
		name, line string
		want       processStat
		fails      bool
	}{
		{"plain", "42 (systemd) S 7 42 42 0 -1" + tailFields, processStat{'S', 7, 8675309}, false},
		{"name with blanks and parentheses", "42 (a) R 1 (b) Z 7 42 42 0 -1" + tailFields, processStat{'Z', 7, 8675309}, false},
		{"no name", "42 systemd S 7", processStat{}, true},
		{"cut short", "42 (x) S 7 42 42", processStat{}, true},
		{"parent is no number", "42 (x) S y 42 42 0 -1" + tailFields, processStat{}, true},
		{"empty", "", processStat{}, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := parseStat(test.line)
			if (err != nil) != test.fails {
				t.Fatalf("error %v, want one: %v", err, test.fails)
			}
			if got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestRecycledPidIsAnotherProcess(t *testing.T) {
	own, err := identify(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if !own.alive() {
		t.Error("this process is not seen as alive")
	}
	older, rebooted := own, own
	older.Started--
	rebooted.Boot = "another"
	for name, other := range map[string]process{"earlier start": older, "earlier boot": rebooted, "zero": {}} {
		if other.alive() {
			t.Errorf("%s: taken for this process", name)
		}
		// Were it taken for this process, the test would end here.
		if err := other.signal(unix.SIGKILL); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !other.wait(t.Context(), time.Hour) {
			t.Errorf("%s: still waited for", name)
		}
	}
}

func TestSignalAndWait(t *testing.T) {
	started, err := run.Start(run.Command{Argv: []string{"sleep", "1000"}}, filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer started.Wait()
	sleeping, err := identify(started.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if sleeping.wait(t.Context(), time.Millisecond) {
		t.Error("it is said to have ended")
	}
	if err := sleeping.signal(unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if !sleeping.wait(t.Context(), time.Minute) {
		t.Error("its end is not seen")
	}
	if sleeping.alive() {
		t.Error("a killed process is alive, though nobody has reaped it yet")
	}
}

func TestIsNamespaceInit(t *testing.T) {
	tests := map[string]bool{
		"Name:\tsystemd\nNSpid:\t4242\t1\nNSpgid:\t4242\t1\n": true,
		"NSpid:\t4242\n":     false, // in the host's namespace
		"NSpid:\t1\n":        false, // the host's own init
		"NSpid:\t4242\t77\n": false,
		"Name:\tsystemd\n":   false,
	}
	for status, want := range tests {
		if got := isNamespaceInit(status); got != want {
			t.Errorf("%q: %v, want %v", status, got, want)
		}
	}
}
