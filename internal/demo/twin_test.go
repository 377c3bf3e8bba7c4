package demo_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rocca/internal/demo"
	"rocca/internal/run"
	"rocca/internal/testhost"
)

// TestMain lets this program be the one that is killed at work.
func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == "copy-and-clone" {
		if err := copyAndClone(os.Args[2], os.Args[3]); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// copyAndClone works until it is killed.
func copyAndClone(server, clone string) error {
	still, err := demo.Copy(context.Background(), server, "/bin/true", nil)
	if err != nil {
		return err
	}
	fmt.Println(still.Dir())
	if _, err := still.Clone(context.Background(), clone); err != nil {
		return err
	}
	fmt.Println("cloned")
	time.Sleep(time.Hour)
	return nil
}

// worker starts a program that copies and clones. Each line that it prints is
// handed over; it is killed when the test ends at the latest.
func worker(t *testing.T, server, clone string) (*exec.Cmd, <-chan string) {
	t.Helper()
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(own, "copy-and-clone", server, clone)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 10)
	go func() {
		defer close(lines)
		for scanner := bufio.NewScanner(out); scanner.Scan(); {
			lines <- scanner.Text()
		}
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if err := demo.Down(context.Background(), clone, nil); err != nil {
			t.Error(err)
		}
		if err := demo.Sweep(context.Background(), nil); err != nil {
			t.Error(err)
		}
	})
	return cmd, lines
}

func TestTwins(t *testing.T) {
	h := testhost.Boot(t, testhost.Options{Bare: true})
	// What a copy must bring along, and what it can do without.
	h.Run("sh", "-c", `mkdir -p /srv/d/e /root/release && chmod 2751 /srv/d && echo deep >/srv/d/e/f && chown nobody /srv/d/e/f &&
		ln -s d /srv/link && echo archive >/root/release/a && chmod 0700 /root &&
		setfacl -m u:nobody:r /srv/d/e/f 2>/dev/null || true`)

	t.Run("copies and clones", func(t *testing.T) { checkClones(t, h) })
	t.Run("a copy that is interrupted", func(t *testing.T) { checkInterruptedCopy(t, h) })
	t.Run("a copy that is killed", func(t *testing.T) { checkKilledCopy(t, h) })
	t.Run("a clone whose maker is killed", func(t *testing.T) { checkKilledMaker(t, h) })
	t.Run("a still tree that vanishes", func(t *testing.T) { checkVanishedTree(t, h) })
	t.Run("a clone that is kept", func(t *testing.T) { checkKept(t, h) })
	t.Run("the server goes on", func(t *testing.T) {
		if got := strings.TrimSpace(h.Run("systemctl", "is-system-running")); got != "running" {
			t.Errorf("it is %s", got)
		}
	})
}

func copied(t *testing.T, h *testhost.Host) *demo.Still {
	t.Helper()
	still, err := demo.Copy(t.Context(), h.Name(), "/bin/true", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := still.Remove(); err != nil {
			t.Error(err)
		}
		if _, err := os.Lstat(still.Dir()); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the still tree is still there: %v", err)
		}
	})
	return still
}

func cloned(t *testing.T, still *demo.Still) *demo.Server {
	t.Helper()
	name := testhost.Name()
	t.Cleanup(func() {
		if err := demo.Down(context.Background(), name, nil); err != nil {
			t.Error(err)
		}
		checkGone(t, name, filepath.Join("/var/lib/rocca-demo", name))
	})
	server, err := still.Clone(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return server
}

func inside(t *testing.T, s *demo.Server, argv ...string) string {
	t.Helper()
	got, err := s.Run(t.Context(), run.Command{Argv: argv})
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(got.Stdout))
}

func checkClones(t *testing.T, h *testhost.Host) {
	still := copied(t, h)
	if demo.IsFrozen(h.Name()) {
		t.Error("the server stands still after the copy")
	}
	if _, err := os.Lstat(still.Tree() + "/root/release"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the archive was copied: %v", err)
	}
	if packages, _ := filepath.Glob(still.Tree() + "/var/cache/apt/archives/*.deb"); len(packages) > 0 {
		t.Errorf("%d packages were copied", len(packages))
	}
	first, second := cloned(t, still), cloned(t, still)
	const look = `stat -c '%a %U %G %N' / /root /srv/d /srv/d/e /srv/d/e/f /srv/link /var /var/cache/apt/archives /usr/bin/passwd && cat /srv/d/e/f`
	if want, got := strings.TrimSpace(h.Run("sh", "-c", look)), inside(t, first, "sh", "-c", look); got != want {
		t.Errorf("the clone has\n%s\nwant\n%s", got, want)
	}
	ids := []string{strings.TrimSpace(h.Run("cat", "/etc/machine-id")), inside(t, first, "cat", "/etc/machine-id"), inside(t, second, "cat", "/etc/machine-id")}
	if slices.Sort(ids); len(slices.Compact(ids)) != 3 {
		t.Errorf("ids of machines are shared: %q", ids)
	}
	if got := inside(t, first, "hostname"); got != "rocca-"+first.Name {
		t.Errorf("its host name is %s", got)
	}
	inside(t, first, "test", "-e", demo.Mark)
	// An overlay alone would refuse to rename what it did not make.
	inside(t, first, "perl", "-e", `rename("/srv/d", "/srv/moved") or die $!`)
	inside(t, first, "sh", "-ec", `chown root /srv/moved/e/f; chmod 0640 /srv/moved/e/f; echo changed >/srv/moved/e/f`)
	if got := inside(t, second, "cat", "/srv/d/e/f") + h.Run("cat", "/srv/d/e/f"); got != "deepdeep\n" {
		t.Errorf("what the first clone changed is seen elsewhere: %q", got)
	}
	if got := inside(t, first, "ip", "-oneline", "link"); strings.Contains(got, "\n") {
		t.Errorf("its network is not just lo: %q", got)
	}

	listed, err := demo.Open(first.Name)
	if err != nil || listed.Twin != h.Name() || listed.State != demo.StateRunning || listed.URL != "" {
		t.Errorf("it is listed as %+v, %v", listed, err)
	}
	if _, err := demo.Up(t.Context(), demo.Options{Name: first.Name, Bare: true}); err == nil || !strings.Contains(err.Error(), "twin of "+h.Name()) {
		t.Errorf("a server of that name: %v", err)
	}
	if err := still.Remove(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(still.Tree()); err != nil {
		t.Errorf("the tree went although clones stand on it: %v", err)
	}
	if err := demo.Sweep(t.Context(), nil); err != nil {
		t.Error(err)
	}
	inside(t, second, "true") // its maker is alive: nothing was swept
}

// frozen waits until a server stands still, and fails the test when it never does.
func frozen(t *testing.T, name string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !demo.IsFrozen(name); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it never stood still")
		}
	}
}

func checkInterruptedCopy(t *testing.T, h *testhost.Host) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		still, err := demo.Copy(ctx, h.Name(), "/bin/true", nil)
		if err == nil {
			err = errors.Join(errors.New("it was copied"), still.Remove())
		}
		ended <- err
	}()
	frozen(t, h.Name())
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if demo.IsFrozen(h.Name()) {
		t.Error("the server stands still")
	}
	if left := demo.Stills(); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}

func checkKilledCopy(t *testing.T, h *testhost.Host) {
	cmd, _ := worker(t, h.Name(), testhost.Name())
	frozen(t, h.Name())
	cmd.Process.Kill()
	cmd.Wait()
	if !demo.IsFrozen(h.Name()) {
		t.Log("it goes on already: another test has listed the servers")
	}
	if _, err := demo.List(); err != nil {
		t.Error(err)
	}
	if demo.IsFrozen(h.Name()) {
		t.Error("the server stands still after a list")
	}
	h.Run("systemctl", "is-system-running")
	if err := demo.Sweep(t.Context(), nil); err != nil {
		t.Error(err)
	}
	if left := demo.Stills(); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}

func checkKilledMaker(t *testing.T, h *testhost.Host) {
	moments := map[string]func(lines <-chan string, dir string) bool{
		"while it makes the clone": func(_ <-chan string, dir string) bool {
			_, err := os.Stat(dir)
			return err == nil
		},
		"while the clone boots": func(_ <-chan string, dir string) bool {
			s, err := demo.Open(filepath.Base(dir))
			return err == nil && s.LeaderPID() > 0
		},
		"when the clone is up": func(lines <-chan string, _ string) bool { return <-lines == "cloned" },
	}
	for moment, reached := range moments {
		t.Run(moment, func(t *testing.T) {
			name := testhost.Name()
			dir := filepath.Join("/var/lib/rocca-demo", name)
			cmd, lines := worker(t, h.Name(), name)
			if line, ok := <-lines; !ok || !strings.HasPrefix(line, "/") {
				t.Fatalf("the copy failed: %s", line)
			}
			for !reached(lines, dir) {
				time.Sleep(time.Millisecond)
			}
			cmd.Process.Kill()
			cmd.Wait()
			if err := demo.Sweep(t.Context(), nil); err != nil {
				t.Error(err)
			}
			checkGone(t, name, dir)
			if left := demo.Stills(); len(left) > 0 {
				t.Errorf("left: %q", left)
			}
		})
	}
}

func checkVanishedTree(t *testing.T, h *testhost.Host) {
	still := copied(t, h)
	cloned(t, still) // goes all the same
	if err := os.RemoveAll(still.Tree()); err != nil {
		t.Fatal(err)
	}
	if _, err := still.Clone(t.Context(), testhost.Name()); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "its tree is gone") {
		t.Errorf("got %v", err)
	}
}

func checkKept(t *testing.T, h *testhost.Host) {
	name := testhost.Name()
	cmd, lines := worker(t, h.Name(), name)
	dir := <-lines
	if <-lines != "cloned" {
		t.Fatal("it was not cloned")
	}
	s, err := demo.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Keep(); err != nil {
		t.Fatal(err)
	}
	cmd.Process.Kill()
	cmd.Wait()
	if err := demo.Sweep(t.Context(), nil); err != nil {
		t.Error(err)
	}
	inside(t, s, "true")
	if err := demo.Down(t.Context(), name, nil); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("its still tree stays: %v", err)
	}
}

func TestStillLike(t *testing.T) {
	testhost.Boot(t, testhost.Options{Bare: true}) // or skip
	var made []string
	options := demo.Options{Bare: true, Binary: testhost.Binary(t), Progress: func(e demo.Event) { made = append(made, e.Text) }}
	still, err := demo.StillLike(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := still.Forget(); err != nil {
			t.Error(err)
		}
	})
	if s := cloned(t, still); s.Twin != demo.ThisMachine {
		t.Errorf("it is a twin of %q", s.Twin)
	}
	if len(made) == 0 {
		t.Error("nothing was told")
	}
	made = nil
	again, err := demo.StillLike(t.Context(), options)
	if err != nil || again.Dir() != still.Dir() || len(made) > 0 {
		t.Errorf("it was made again: %v, %q", err, made)
	}
	if err := errors.Join(still.Remove(), demo.Sweep(t.Context(), nil)); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(still.Tree()); err != nil {
		t.Errorf("it is not kept: %v", err)
	}
	servers, err := demo.List()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range servers {
		if strings.HasPrefix(s.Name, "like-") {
			t.Errorf("server %s is left", s.Name)
		}
	}
}
