// Package testhost gives tests a throw-away Debian server, see package demo.
package testhost

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"rocca/internal/demo"
	"rocca/internal/progress"
	"rocca/internal/run"
)

// Options say what server Boot makes. Name and Binary are set by Boot.
type Options = demo.Options

// Host is a booted server. Its methods end the test when they fail.
type Host struct {
	t      testing.TB
	server *demo.Server
}

// Boot makes a server with this checkout's rocca in /usr/local/bin, and removes
// it when the test ends. Where there is no root or no Debian mirror the test is
// skipped, but never when CI=true: there it fails.
func Boot(t testing.TB, o Options) *Host {
	t.Helper()
	if os.Geteuid() != 0 {
		missing(t, "only root can boot one")
	}
	removeOrphans(t)
	o.Binary, o.Name = Binary(t), Name()
	say := func(e demo.Event) { t.Logf("%7.1fs  %s", e.Elapsed.Seconds(), e.Text) }
	o.Progress = say
	if o.Inside == nil {
		o.Inside = func(e progress.Event) { t.Logf("inside: %s %s %s %s", e.Kind, e.Step, e.Text, e.Err) }
	}
	t.Cleanup(func() {
		// The test's own context has ended by now.
		if err := demo.Down(context.Background(), o.Name, say); err != nil {
			t.Error(err)
		}
	})
	server, err := demo.Up(t.Context(), o)
	if errors.Is(err, demo.ErrNoMirror) {
		missing(t, err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	return &Host{t: t, server: server}
}

// Name makes a name for a server of this test process. One that is still there
// after the process has ended is removed by the next test.
func Name() string {
	return fmt.Sprintf("t-%d-%s", os.Getpid(), strings.ToLower(rand.Text()[:8]))
}

// Binary returns this checkout's rocca, a program file that is there until the
// test ends.
func Binary(t testing.TB) string {
	t.Helper()
	program, err := built()
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "rocca")
	if err := os.WriteFile(name, program, 0o755); err != nil {
		t.Fatal(err)
	}
	return name
}

// missing skips the test with one loud line, or fails it in CI.
func missing(t testing.TB, why string) {
	t.Helper()
	why, _, _ = strings.Cut(why, "\n")
	line := "NO THROW-AWAY SERVER, " + t.Name() + " TESTS NOTHING: " + why
	if os.Getenv("CI") == "true" {
		t.Fatal(line)
	}
	fmt.Fprintln(os.Stderr, line) // seen without -v, too
	t.Skip(line)
}

// built is rocca's program, compiled once for each test process.
var built = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "rocca-testhost-")
	if err != nil {
		return nil, fmt.Errorf("build rocca: %w", err)
	}
	defer os.RemoveAll(dir)
	var env []string
	for _, key := range []string{"GOPATH", "GOCACHE", "GOMODCACHE", "GOPROXY", "GOSUMDB", "GOFLAGS", "GOTOOLCHAIN"} {
		if value, ok := os.LookupEnv(key); ok {
			env = append(env, key+"="+value)
		}
	}
	_, err = run.Do(context.Background(), run.Command{
		Argv: []string{goTool(), "build", "-ldflags", "-s -w", "-o", dir + "/rocca", "rocca/cmd/rocca"},
		Env:  append(env, "CGO_ENABLED=0"), // runs on every Debian
		Dir:  ".",
	})
	if err != nil {
		return nil, fmt.Errorf("build rocca: %w", err)
	}
	return os.ReadFile(dir + "/rocca")
})

// goTool is the go command that runs this test: it puts itself first in PATH.
func goTool() string {
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		name := filepath.Join(dir, "go")
		if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() {
			return name
		}
	}
	return "go"
}

// removeOrphans removes the servers of test processes that were killed before
// they could.
func removeOrphans(t testing.TB) {
	t.Helper()
	servers, err := demo.List()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range servers {
		owner := ownerOf(s.Name)
		if owner == 0 {
			continue
		}
		if _, err := os.Stat("/proc/" + strconv.Itoa(owner)); err == nil {
			continue
		}
		t.Logf("removing server %s of a test that was killed", s.Name)
		if err := demo.Down(t.Context(), s.Name, nil); err != nil {
			t.Log(err)
		}
	}
}

var testName = regexp.MustCompile(`^t-([0-9]+)-[a-z0-9]+$`)

// ownerOf returns the pid of the test process that made a server, 0 for a
// server that no test made.
func ownerOf(name string) int {
	found := testName.FindStringSubmatch(name)
	if found == nil {
		return 0
	}
	pid, _ := strconv.Atoi(found[1])
	return pid
}

// Name is the server's name for rocca demo.
func (h *Host) Name() string { return h.server.Name }

// URL is where the host reaches the server's web server, with a final slash.
func (h *Host) URL() string { return h.server.URL }

// Root is the server's root directory as the host sees it.
func (h *Host) Root() string { return h.server.Root }

// LeaderPID is the pid, on the host, of the server's first process.
func (h *Host) LeaderPID() int { return h.server.LeaderPID() }

// Run runs a command inside as root and returns what it printed on stdout.
func (h *Host) Run(argv ...string) string {
	h.t.Helper()
	return h.RunInput("", argv...)
}

// RunInput is Run with an input.
func (h *Host) RunInput(stdin string, argv ...string) string {
	h.t.Helper()
	got, err := h.server.Run(h.t.Context(), run.Command{Argv: argv, Stdin: strings.NewReader(stdin)})
	if err != nil {
		h.t.Fatal(err)
	}
	return string(got.Stdout)
}

// Try runs a command that may fail; the error is a *run.Error.
func (h *Host) Try(c run.Command) (run.Result, error) {
	return h.server.Run(h.t.Context(), c)
}
