package run

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestEnvironmentIsBuiltFromNothing(t *testing.T) {
	t.Setenv("ROCCA_TEST_SECRET", "leak")
	got, err := Do(t.Context(), Command{Argv: []string{"env"}, Env: []string{"ADDED=1"}})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(got.Stdout), "leak") {
		t.Errorf("the caller's environment reached the process:\n%s", got.Stdout)
	}
	for _, want := range []string{"PATH=" + Path, "ADDED=1"} {
		if !strings.Contains(string(got.Stdout), want+"\n") {
			t.Errorf("%s is missing in:\n%s", want, got.Stdout)
		}
	}
}

func TestArgumentsAreNotSeenByAShell(t *testing.T) {
	got, err := Do(t.Context(), Command{Argv: []string{"printf", "%s|", "a b", "$HOME", "`id`", "; ls"}})
	if err != nil {
		t.Fatal(err)
	}
	if want := "a b|$HOME|`id`|; ls|"; string(got.Stdout) != want {
		t.Errorf("got %q, want %q", got.Stdout, want)
	}
}

func TestFailureCarriesPasteableLineCodeAndOutput(t *testing.T) {
	_, err := Do(t.Context(), Command{Argv: []string{"sh", "-c", "echo out; echo problem >&2; exit 7"}})
	var failed *Error
	if !errors.As(err, &failed) {
		t.Fatalf("got %T, want *Error", err)
	}
	if failed.ExitCode != 7 {
		t.Errorf("exit code %d, want 7", failed.ExitCode)
	}
	if want := "sh -c 'echo out; echo problem >&2; exit 7'"; failed.Paste() != want {
		t.Errorf("paste %q, want %q", failed.Paste(), want)
	}
	for _, want := range []string{"out", "problem", "exit status 7"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error lacks %q: %v", want, err)
		}
	}
}

func TestQuoteSurvivesAShell(t *testing.T) {
	argv := []string{"printf", "%s\n", "", "it's", `a"b`, "new\nline", "*", "~", "a&b"}
	direct, err := Do(t.Context(), Command{Argv: argv})
	if err != nil {
		t.Fatal(err)
	}
	viaShell, err := Do(t.Context(), Command{Argv: []string{"sh", "-c", Quote(argv)}})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(direct.Stdout, viaShell.Stdout) {
		t.Errorf("direct %q, through a shell %q", direct.Stdout, viaShell.Stdout)
	}
}

func TestMissingProgramIsNamed(t *testing.T) {
	_, err := Do(t.Context(), Command{Argv: []string{"no-such-program-here"}})
	if err == nil || !strings.Contains(err.Error(), "no-such-program-here") {
		t.Errorf("got %v", err)
	}
}

func TestCancelledCommandReportsTheCause(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("the owner pressed ctrl-c")
	cancel(cause)
	_, err := Do(ctx, Command{Argv: []string{"sleep", "60"}})
	if !errors.Is(err, cause) {
		t.Errorf("got %v, want %v", err, cause)
	}
}

func TestOutputIsCappedAtBothEnds(t *testing.T) {
	var c capped
	c.Write([]byte("first"))
	for range 300 {
		c.Write(bytes.Repeat([]byte("x"), 10_000))
	}
	c.Write([]byte("last"))
	got := c.Bytes()
	if len(got) > outputLimit+100 {
		t.Errorf("kept %d bytes", len(got))
	}
	if !bytes.HasPrefix(got, []byte("first")) || !bytes.HasSuffix(got, []byte("last")) {
		t.Error("first or last bytes are missing")
	}
	if !bytes.Contains(got, []byte("bytes left out")) {
		t.Error("the gap is not named")
	}
}

func TestStartOutlivesAndLogs(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	process, err := Start(Command{Argv: []string{"echo", "started"}}, log)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := process.Wait(); err != nil {
		t.Fatal(err)
	}
	got, _ := os.ReadFile(log)
	if string(got) != "started\n" {
		t.Errorf("log holds %q", got)
	}
}
