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
			if _, err := os.Lstat(filepath.Dir(root)); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("after down something is left of %s: %v", name, err)
			}
			if groups, _ := filepath.Glob("/sys/fs/cgroup/*/rocca-" + name); len(groups) > 0 {
				t.Errorf("after down control groups are left: %q", groups)
			}
			if err := demo.Down(t.Context(), name, nil); err != nil {
				t.Errorf("a second down fails: %v", err)
			}
		})
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
