package test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"rocca/internal/matomo/ini"
)

// dial connects to a port of the server from within its own network.
func (s *server) dial(ctx context.Context, port string) (net.Conn, error) {
	type dialled struct {
		conn net.Conn
		err  error
	}
	done := make(chan dialled, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with its network
		namespace, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", s.LeaderPID()))
		if err == nil {
			defer namespace.Close()
			err = unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET)
		}
		if err != nil {
			done <- dialled{err: err}
			return
		}
		conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp4", "127.0.0.1:"+port)
		done <- dialled{conn, err}
	}()
	got := <-done
	return got.conn, got.err
}

// watch observes a server while it is set up: what its ports answer, and what
// anybody could see of its processes.
type watch struct {
	server    *server
	cancel    context.CancelFunc
	ended     chan struct{}
	looks     int
	problems  []string
	processes map[string]bool // command lines and environments
}

func (s *server) watch(t *testing.T) *watch {
	ctx, cancel := context.WithCancel(t.Context())
	w := &watch{server: s, cancel: cancel, ended: make(chan struct{}), processes: map[string]bool{}}
	go func() {
		defer close(w.ended)
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				w.look(ctx)
			}
		}
	}()
	return w
}

func (w *watch) end() *watch {
	w.cancel()
	<-w.ended
	return w
}

func (w *watch) look(ctx context.Context) {
	w.looks++
	for _, scheme := range []string{"http", "https"} {
		client := &http.Client{
			Timeout:       20 * time.Second,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Transport: &http.Transport{
				DisableKeepAlives: true,
				TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
				DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
					_, port, _ := net.SplitHostPort(address)
					return w.server.dial(ctx, port)
				},
			},
		}
		request, err := http.NewRequestWithContext(ctx, "GET", scheme+"://127.0.0.1/index.php", nil)
		if err != nil {
			continue
		}
		response, err := client.Do(request)
		if err != nil {
			continue // refused: nothing listens, or it is not ready
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		w.judge(string(body))
	}
	processes := fmt.Sprintf("/proc/%d/root/proc/[0-9]*/", w.server.LeaderPID())
	for _, what := range []string{"cmdline", "environ"} {
		names, _ := filepath.Glob(processes + what)
		for _, name := range names {
			content, _ := os.ReadFile(name)
			w.processes[string(content)] = true
		}
	}
}

// judge finds fault with an answer of Matomo before its installer was closed.
func (w *watch) judge(body string) {
	if !strings.Contains(body, "atomo") {
		return // Debian's own page
	}
	content, err := os.ReadFile(w.server.Root() + uiConfig)
	if err != nil {
		w.problems = append(w.problems, fmt.Sprintf("Matomo answered before it was configured: %.200q", body))
		return
	}
	parsed, err := ini.Parse(content)
	installer, _ := parsed.Get("General", "enable_installer")
	if _, unfinished := parsed.Get("General", "installation_in_progress"); err != nil || unfinished || installer != "0" {
		w.problems = append(w.problems, fmt.Sprintf("Matomo answered with the installer open: %.200q", body))
	}
	if strings.Contains(body, "systemCheck") || strings.Contains(body, "module=Installation") {
		w.problems = append(w.problems, fmt.Sprintf("the installer answered: %.200q", body))
	}
}

func (w *watch) check(t *testing.T, s *server) {
	t.Helper()
	if w.looks < 10 || len(w.processes) < 10 {
		t.Errorf("while it was set up the server was looked at %d times, and %d processes seen", w.looks, len(w.processes))
	}
	for _, problem := range w.problems {
		t.Error(problem)
	}
	for seen := range w.processes {
		for name, secret := range map[string]string{"password": s.password, "salt": s.salt} {
			if strings.Contains(seen, secret) {
				t.Errorf("the %s was in a command line or environment: %.80q", name, seen)
			}
		}
	}
}
