package main

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"rocca/internal/change"
)

var update = flag.Bool("update", false, "write the command reference")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"rocca": main})
}

// TestScripts runs the transcripts of testdata/script. None of them may get as
// far as looking at the machine that the tests run on.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":  exits,
			"nobody": asNobody,
		},
	})
}

// exits CODE PROGRAM [ARGUMENT...] checks the exit code of a program.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM [ARGUMENT...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// asNobody CODE PROGRAM [ARGUMENT...] is exits as a user that is not root.
func asNobody(ts *testscript.TestScript, neg bool, args []string) {
	if os.Geteuid() == 0 {
		if err := exec.Command("unshare", "--user", "true").Run(); err != nil {
			ts.Logf("cannot stop being root here: %v", err)
			return
		}
		args = slices.Insert(slices.Clone(args), 1, "unshare", "--user")
	}
	exits(ts, neg, args)
}

// TestCommandReference compares docs/commands with what the commands say.
func TestCommandReference(t *testing.T) {
	const kept = "../../docs/commands"
	made := t.TempDir()
	root := newRootCommand()
	root.DisableAutoGenTag = true
	if err := doc.GenMarkdownTree(root, made); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.RemoveAll(kept); err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(kept, os.DirFS(made)); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(pages(t, made), pages(t, kept)); diff != "" {
		t.Errorf("docs/commands is not what the commands say; make docs writes it anew\n%s", diff)
	}
}

func pages(t *testing.T, dir string) map[string]string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		texts[filepath.Base(name)] = string(text)
	}
	return texts
}

// TestExitCodesAreDocumented compares the constants, the table, and the help.
func TestExitCodesAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/exit-codes.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented []int
	for _, match := range regexp.MustCompile(`(?m)^\| (\d+) \|`).FindAllSubmatch(page, -1) {
		code, _ := strconv.Atoi(string(match[1]))
		documented = append(documented, code)
	}
	for _, code := range []int{exitClean, exitFindings, exitUsage, exitFailed, exitRollbackFailed, exitNoMatomo, exitLocked} {
		if !slices.Contains(documented, code) {
			t.Errorf("exit code %d is not in docs/exit-codes.md", code)
		}
	}
	status := regexp.MustCompile(`(?s)Exit status: (.*)`)
	number := regexp.MustCompile(`\b\d+\b`)
	each(newRootCommand(), func(c *cobra.Command) {
		found := status.FindStringSubmatch(c.Long)
		if found == nil {
			return
		}
		for _, text := range number.FindAllString(found[1], -1) {
			if code, _ := strconv.Atoi(text); !slices.Contains(documented, code) {
				t.Errorf("%s: exit code %d is not in docs/exit-codes.md", c.CommandPath(), code)
			}
		}
	})
}

func each(c *cobra.Command, do func(*cobra.Command)) {
	do(c)
	for _, below := range c.Commands() {
		each(below, do)
	}
}

// TestEveryCommandExplainsItself: a short line, no stop at its end, and exit
// codes where a script would look for them.
func TestEveryCommandExplainsItself(t *testing.T) {
	each(newRootCommand(), func(c *cobra.Command) {
		if c.Short == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: the short help is %q", c.CommandPath(), c.Short)
		}
	})
	root := newRootCommand()
	for _, verb := range []string{"up", "plan", "undo", "status", "runs"} {
		c, _, err := root.Find([]string{verb})
		if err != nil || !strings.Contains(c.Long, "Exit status: 0 ") {
			t.Errorf("%s: no exit status in its help (%v)", verb, err)
		}
	}
}

func TestShowRuns(t *testing.T) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.Local)
	runs := []change.RunInfo{
		{ID: 1, Verb: "up", Started: at, Ended: at.Add(41 * time.Second), Result: change.Undone},
		{ID: 2, Verb: "up", Started: at.Add(time.Hour), Result: change.Interrupted, Changes: 12},
	}
	for _, c := range []struct {
		runs []change.RunInfo
		want string
	}{
		{nil, "rocca has changed nothing on this server yet\n"},
		{runs, " RUN  STARTED           VERB      TOOK  STANDING  RESULT\n" +
			"   1  2026-03-04 05:06  up        41 s         0  undone\n" +
			"   2  2026-03-04 06:06  up           -        12  interrupted\n"},
	} {
		var out bytes.Buffer
		cmd := &cobra.Command{}
		cmd.SetOut(&out)
		if err := showRuns(cmd, c.runs, false); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, out.String()); diff != "" {
			t.Error(diff)
		}
	}
	var out bytes.Buffer
	cmd := &cobra.Command{}
	cmd.SetOut(&out)
	if err := showRuns(cmd, runs, true); err != nil {
		t.Fatal(err)
	}
	if lines := strings.Split(strings.TrimSpace(out.String()), "\n"); len(lines) != 2 || !strings.Contains(lines[1], `"result":"interrupted"`) {
		t.Errorf("got\n%s", out.String())
	}
}

func TestShowPlan(t *testing.T) {
	planned := []change.Planned{
		{Step: "file /etc/a", Proposal: change.Proposal{Sentence: "write it", Diff: "+one\n+two\n"}},
		{Step: "unit a.service", Proposal: change.Proposal{Sentence: "restart"}},
	}
	for _, c := range []struct {
		name        string
		planned     []change.Planned
		json, diffs bool
		code        int
		want        string
	}{
		{"nothing", nil, false, true, exitClean, "nothing to do: the server is as it should be\n"},
		{"nothing in JSON", nil, true, true, exitClean, ""},
		{"diffs", planned, false, true, exitFindings,
			"  1  file /etc/a\n     write it\n       +one\n       +two\n  2  unit a.service\n     restart\n\n2 steps would change something; rocca up makes the changes\n"},
		{"brief", planned[:1], false, false, exitFindings, "  1  file /etc/a\n     write it\n\n1 step would change something; rocca up makes the changes\n"},
		{"JSON", planned[1:], true, true, exitFindings, `{"step":"unit a.service","sentence":"restart"}` + "\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			cmd := &cobra.Command{}
			cmd.SetOut(&out)
			err := showPlan(cmd, c.planned, c.json, c.diffs)
			code := exitClean
			var coded *exitError
			if errors.As(err, &coded) {
				code = coded.code
			} else if err != nil {
				t.Fatal(err)
			}
			if code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			if diff := cmp.Diff(c.want, out.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestCardKeepsItsFrame(t *testing.T) {
	var out bytes.Buffer
	printCard(&out, [][2]string{{"URL", "https://stats.example.org/"}, {"Näxt", "äöü"}, {"", "x"}})
	want := "\n" +
		"┌──────────────────────────────────┐\n" +
		"│ URL   https://stats.example.org/ │\n" +
		"│ Näxt  äöü                        │\n" +
		"│       x                          │\n" +
		"└──────────────────────────────────┘\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}
