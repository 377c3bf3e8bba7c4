package demo_test

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"rocca/internal/demo"
	"rocca/internal/run"
	"rocca/internal/testhost"
)

func TestBareServer(t *testing.T) {
	for _, debian := range []string{"12", "13"} {
		t.Run("Debian "+debian, func(t *testing.T) {
			var root, name string
			t.Run("up", func(t *testing.T) {
				h := testhost.Boot(t, testhost.Options{Debian: debian, Bare: true})
				root, name = h.Root(), h.Name()
				checkBareServer(t, h, debian)
			})
			if t.Skipped() || root == "" {
				return
			}
			checkGone(t, name, filepath.Dir(root))
			if err := demo.Down(t.Context(), name, nil); err != nil {
				t.Errorf("a second down fails: %v", err)
			}
		})
	}
}

// Whenever the program that makes a server is killed, down ends what it
// started and removes what it made.
func TestDownAfterAKilledUp(t *testing.T) {
	h := testhost.Boot(t, testhost.Options{Bare: true}) // the base tree is there from now on
	moments := map[string]func(*demo.Server) bool{
		"when the name is taken": func(*demo.Server) bool { return true },
		"while it boots":         func(s *demo.Server) bool { return s.LeaderPID() > 0 },
		"while it is connected":  func(s *demo.Server) bool { return s.Forwarder.PID > 0 },
	}
	for moment, reached := range moments {
		t.Run(moment, func(t *testing.T) {
			name := testhost.Name()
			up, err := run.Start(run.Command{Argv: []string{testhost.Binary(t), "demo", "up", "--bare", "--name", name}}, filepath.Join(t.TempDir(), "log"))
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan struct{})
			go func() {
				up.Wait()
				close(ended)
			}()
			for waiting := true; waiting; {
				s, err := demo.Open(name)
				if err == nil && reached(s) {
					break
				}
				select {
				case <-ended:
					waiting = false
				case <-time.After(time.Millisecond):
				}
			}
			up.Kill()
			<-ended
			if err := demo.Down(t.Context(), name, nil); err != nil {
				t.Fatal(err)
			}
			checkGone(t, name, filepath.Join(filepath.Dir(filepath.Dir(h.Root())), name))
		})
	}
}

// checkGone tells what is left of a server that was removed.
func checkGone(t *testing.T, name, dir string) {
	t.Helper()
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is still there: %v", dir, err)
	}
	for _, pattern := range []string{"/sys/fs/cgroup/rocca-", "/sys/fs/cgroup/*/rocca-"} {
		if groups, _ := filepath.Glob(pattern + name); len(groups) > 0 {
			t.Errorf("control groups are left: %q", groups)
		}
	}
	commands, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, command := range commands {
		if text, _ := os.ReadFile(command); strings.Contains(string(text), name) {
			t.Errorf("a process is left: %q", text)
		}
	}
}

func checkBareServer(t *testing.T, h *testhost.Host, debian string) {
	if got := strings.TrimSpace(h.Run("systemctl", "is-system-running")); got != "running" {
		t.Errorf("the system is %s, want running\n%s", got, h.Run("systemctl", "list-units", "--failed"))
	}
	if got := h.Run("cat", "/etc/debian_version"); !strings.HasPrefix(got, debian+".") {
		t.Errorf("Debian %s, want %s", got, debian)
	}
	for _, suite := range []string{"-updates", "-security"} {
		if sources := h.Run("cat", "/etc/apt/sources.list"); !strings.Contains(sources, suite+" main") {
			t.Errorf("no suite %s in apt's sources:\n%s", suite, sources)
		}
	}
	if got := h.RunInput("through stdin", "cat"); got != "through stdin" {
		t.Errorf("input came back as %q", got)
	}
	_, err := h.Try(run.Command{Argv: []string{"sh", "-c", "exit 7"}})
	var failed *run.Error
	if !errors.As(err, &failed) || failed.ExitCode != 7 {
		t.Errorf("exit code: %v, want 7", err)
	}
	if got := h.Run("env"); strings.Contains(got, "GOPATH") || !strings.Contains(got, "PATH="+run.Path+"\n") {
		t.Errorf("environment inside:\n%s", got)
	}
	if links := strings.Split(strings.TrimSpace(h.Run("ip", "-oneline", "link")), "\n"); len(links) != 1 || !strings.Contains(links[0], "UP") {
		t.Errorf("the network is not just lo, up: %q", links)
	}
	if _, err := os.Stat(filepath.Join(h.Root(), "usr/local/bin/rocca")); err != nil {
		t.Error(err)
	}

	// Packages install without a network, and services start.
	h.Run("apt-get", "install", "-y", "--no-install-recommends", "apache2")
	h.Run("sh", "-c", "echo hello >/var/www/html/hello && sed -i 's/Listen 80/Listen 443/' /etc/apache2/ports.conf && systemctl restart apache2")

	port, err := strconv.Atoi(strings.Trim(h.URL()[strings.LastIndex(h.URL(), ":")+1:], "/"))
	if err != nil {
		t.Fatalf("URL %s: %v", h.URL(), err)
	}
	conn, err := net.Dial("tcp4", "127.0.0.1:"+strconv.Itoa(port))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("GET /hello HTTP/1.0\r\nHost: localhost\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 4096)
	for n := 0; n < len(answer); {
		more, err := conn.Read(answer[n:])
		n += more
		if strings.Contains(string(answer[:n]), "hello\n") {
			break
		}
		if err != nil {
			t.Fatalf("through the forwarder: %v after %q", err, answer[:n])
		}
	}

	if _, err := demo.Up(t.Context(), demo.Options{Name: h.Name(), Debian: debian, Bare: true, Binary: "/bin/false"}); err == nil || !strings.Contains(err.Error(), "taken") {
		t.Errorf("a second server of that name: %v", err)
	}
}
