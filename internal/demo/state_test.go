package demo

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestCheckName(t *testing.T) {
	for name, good := range map[string]bool{
		"demo": true, "a": true, "t-1-x": true, strings.Repeat("a", 31): true,
		"": false, "-a": false, "1a": false, "A": false, "a.b": false, "a/b": false, "..": false, ".lock": false,
		"a b": false, "a\n": false, strings.Repeat("a", 32): false,
	} {
		if err := checkName(name); (err == nil) != good {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestChoosePort(t *testing.T) {
	servers := []*Server{{Port: firstPort}, {Port: firstPort + 2}}
	busy := map[int]bool{firstPort + 1: true}
	got, err := choosePort(servers, func(port int) bool { return !busy[port] })
	if err != nil || got != firstPort+3 {
		t.Errorf("got %d, %v; want %d", got, err, firstPort+3)
	}
	if _, err := choosePort(nil, func(int) bool { return false }); err == nil {
		t.Error("a port is chosen though none is free")
	}
}

func TestStateOfAServer(t *testing.T) {
	own, err := identify(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	gone := own
	gone.Started--
	tests := []struct {
		name string
		file string // content of server.json; "" none
		s    Server
		want State
		pid  int
	}{
		{"running", "", Server{Complete: true, Leader: own}, StateRunning, own.PID},
		{"its pid belongs to another now", "", Server{Complete: true, Leader: gone}, StateStopped, 0},
		{"half-made", "", Server{Leader: own}, StateIncomplete, own.PID},
		{"half-made, not booted", "", Server{}, StateIncomplete, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := test.s.currentState(); got != test.want {
				t.Errorf("state %s, want %s", got, test.want)
			}
			if got := test.s.LeaderPID(); got != test.pid {
				t.Errorf("leader %d, want %d", got, test.pid)
			}
		})
	}
}

func TestListReadsWhatIsThere(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"b/server.json":     `{"name":"b","complete":true,"port":8443,"url":"https://127.0.0.1:8443/"}`,
		"a/server.json":     `{"name":"a"`,     // cut short
		"c/server.json":     `{"name":"b"}`,    // of another
		"d/root/etc/passwd": "",                // nothing written yet
		".lock/b":           "",                // no server
		"file":              "not a directory", // no server
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := list(dir)
	if err != nil {
		t.Fatal(err)
	}
	var seen []string
	for _, s := range got {
		seen = append(seen, s.Name+" "+string(s.State))
	}
	if diff := cmp.Diff([]string{"a incomplete", "b stopped", "c incomplete", "d incomplete"}, seen); diff != "" {
		t.Error(diff)
	}
	if none, err := list(filepath.Join(dir, "missing")); err != nil || len(none) != 0 {
		t.Errorf("no directory: %v, %v", none, err)
	}
	if _, err := open(dir, "nobody"); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "rocca demo list") {
		t.Errorf("got %v", err)
	}
}

func TestURLFollowsTheKind(t *testing.T) {
	for weak, want := range map[string]string{"": "https://127.0.0.1:9000/", WeakS1: "http://127.0.0.1:9000/"} {
		s := Server{Weak: weak}
		if s.setPort(9000); s.URL != want {
			t.Errorf("%q: %s, want %s", weak, s.URL, want)
		}
	}
}

func TestLockWaitsAndSaysSo(t *testing.T) {
	name := filepath.Join(t.TempDir(), "dir", "x.lock")
	unlock, err := lock(t.Context(), name, func() { t.Error("waited for nobody") })
	if err != nil {
		t.Fatal(err)
	}
	waiting, taken := make(chan struct{}), make(chan error)
	go func() {
		second, err := lock(t.Context(), name, func() { close(waiting) })
		if err == nil {
			second()
		}
		taken <- err
	}()
	<-waiting
	unlock()
	if err := <-taken; err != nil {
		t.Error(err)
	}

	unlock, err = lock(t.Context(), name, func() {})
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	// Its holder removes the file: a lock on the removed one would be worth nothing.
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	other, err := lock(t.Context(), name, func() { t.Error("waited for a lock whose file is gone") })
	if err != nil {
		t.Fatal(err)
	}
	defer other()
	impatient, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := lock(impatient, name, func() {}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestBaseTreeIsKeyedByWhatIsInIt(t *testing.T) {
	path := func(debian string, packages ...string) string {
		return baseTree{Debian: debian, Packages: packages}.path()
	}
	same := path("12", "nginx", "acl")
	if !strings.HasPrefix(same, cacheDir+"/bookworm-") {
		t.Errorf("got %s", same)
	}
	if got := path("12", "acl", "nginx", "acl"); got != same {
		t.Error("order and repetition change the key")
	}
	for _, other := range []string{path("13", "nginx", "acl"), path("12", "nginx"), path("12", "nginx acl"), path("12")} {
		if other == same {
			t.Errorf("%s is shared", other)
		}
	}
}
