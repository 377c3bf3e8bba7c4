package test

import (
	"bufio"
	"compress/gzip"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/andybalholm/brotli"

	"rocca/internal/front"
	"rocca/internal/run"
)

func portOf(address string) string {
	parsed, err := url.Parse(address)
	if err != nil {
		panic(err) // testhost made it
	}
	return parsed.Port()
}

// send sends bytes as they are to the server's port 80, or by TLS to 443 with a
// name in the handshake ("" for none). An error means no answer.
func (s *server) send(t *testing.T, port, name, request string) (answer, error) {
	t.Helper()
	conn, err := s.dial(t.Context(), port)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	if port == "443" {
		secure := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, ServerName: name})
		if err := secure.Handshake(); err != nil {
			return answer{}, err
		}
		conn = net.Conn(secure)
	}
	if _, err := io.WriteString(conn, request); err != nil {
		return answer{}, err
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, string(body)}, nil
}

func testNames(t *testing.T, s *server) {
	for _, test := range []struct{ name, port, handshake, request string }{
		{"HTTP, another name", "80", "", "GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"},
		{"HTTP/1.0 without a name", "80", "", "GET / HTTP/1.0\r\n\r\n"},
		{"HTTPS, another name", "443", "evil.example", "GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"},
		{"HTTPS, another name behind a good handshake", "443", "matomo.localhost", "GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"},
		{"HTTPS, another name behind no handshake", "443", "", "GET /matomo.php HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"},
		{"HTTPS, a name that begins right", "443", "", "GET / HTTP/1.1\r\nHost: matomo.localhost.evil.example\r\nConnection: close\r\n\r\n"},
		{"HTTPS, a name that ends right", "443", "", "GET / HTTP/1.1\r\nHost: evil-matomo.localhost\r\nConnection: close\r\n\r\n"},
		{"HTTPS, HTTP/1.0 without a name", "443", "", "GET /index.php HTTP/1.0\r\n\r\n"},
		{"HTTPS, another name in the target", "443", "matomo.localhost", "GET https://evil.example/ HTTP/1.1\r\nHost: matomo.localhost\r\nConnection: close\r\n\r\n"},
	} {
		got, err := s.send(t, test.port, test.handshake, test.request)
		if err != nil {
			continue // closed without an answer
		}
		if got.status < 400 || got.status >= 500 || strings.Contains(got.body, "atomo") {
			t.Errorf("%s: status %d to %q %.200q, want a refusal", test.name, got.status, got.header.Get("Location"), got.body)
		}
	}
	known, err := s.send(t, "443", "matomo.localhost", "GET / HTTP/1.1\r\nHost: matomo.localhost\r\nConnection: close\r\n\r\n")
	if err != nil || known.status != 200 || !nonceField.MatchString(known.body) {
		t.Errorf("its own name: status %d, %v", known.status, err)
	}
	redirected, err := s.send(t, "80", "", "GET /matomo.php?a=b HTTP/1.1\r\nHost: matomo.localhost\r\nConnection: close\r\n\r\n")
	if err != nil || redirected.status != 301 || redirected.header.Get("Location") != "https://matomo.localhost/matomo.php?a=b" {
		t.Errorf("its own name by HTTP: status %d to %q, %v", redirected.status, redirected.header.Get("Location"), err)
	}
}

func testTrackerScript(t *testing.T, s *server) {
	b := s.browser(t)
	for _, name := range []string{"matomo.js", "piwik.js"} {
		whole := string(s.read(t, "/var/www/matomo/scripts/"+name))
		for accept, encoding := range map[string]string{"identity": "", "gzip": "gzip", "gzip, deflate, br": "br"} {
			got := b.get(name, "Accept-Encoding: "+accept)
			var content io.Reader = strings.NewReader(got.body)
			var err error
			switch encoding {
			case "br":
				content = brotli.NewReader(content)
			case "gzip":
				content, err = gzip.NewReader(content)
			}
			if err != nil || got.header.Get("Content-Encoding") != encoding {
				t.Errorf("%s for %q: encoding %q, want %q, %v", name, accept, got.header.Get("Content-Encoding"), encoding, err)
				continue
			}
			unpacked, err := io.ReadAll(content)
			if err != nil || string(unpacked) != whole {
				t.Errorf("%s for %q: %d bytes that are not the script, %v", name, accept, len(unpacked), err)
			}
			if got.status != 200 || got.mediaType() != "text/javascript" || !strings.Contains(strings.Join(got.header.Values("Vary"), ","), "Accept-Encoding") ||
				got.header.Get("X-Content-Type-Options") != "nosniff" || got.header.Get("Strict-Transport-Security") == "" {
				t.Errorf("%s for %q: status %d, %v", name, accept, got.status, got.header)
			}
		}
	}
}

func testPorts(t *testing.T, s *server) {
	for line := range strings.Lines(s.run(t, "ss", "--no-header", "--numeric", "--tcp", "--udp", "--listening")) {
		fields := strings.Fields(line)
		if _, port, err := net.SplitHostPort(fields[4]); err != nil || fields[0] != "tcp" || port != "80" && port != "443" {
			t.Errorf("something else listens: %s", line)
		}
	}
}

// testPaths plants what must never be served and asks for every path.
func testPaths(t *testing.T, s *server) {
	b := s.browser(t)
	code, err := filepath.EvalSymlinks(s.Root() + "/var/www/matomo/www")
	if err != nil {
		t.Fatal(err)
	}
	plant := func(name, content string) {
		name = path.Join(code, name)
		if err := os.MkdirAll(path.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, probe := range front.Probes() {
		name, _ := url.PathUnescape(probe.Path)
		if _, err := os.Stat(path.Join(code, name)); probe.Want == front.Static && err != nil && !s.real {
			plant(name, "of Matomo, which the stand-in lacks")
		}
		if probe.Plant != "" {
			plant(probe.Plant, front.PlantedContent)
		}
	}
	for _, probe := range front.Probes() {
		got, err := s.send(t, "443", "", "GET "+probe.Path+" HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
		if err != nil {
			t.Errorf("%s: %v", probe.Path, err)
			continue
		}
		if err := probe.Check(got.status, got.mediaType(), got.body); err != nil {
			t.Error(err)
		}
		if strings.Contains(got.body, s.salt) {
			t.Errorf("%s: the salt leaked", probe.Path)
		}
	}
	if page := b.get("index.php?module=Installation"); strings.Contains(page.body, "systemCheck") || strings.Contains(page.body, "databaseSetup") {
		t.Errorf("the installer answers: status %d %.300q", page.status, page.body)
	}
}

// testDrift runs rocca up again: what was planted goes, and then nothing is to do.
func testDrift(t *testing.T, s *server) {
	s.run(t, "chmod", "0666", uiConfig)
	s.run(t, append([]string{"rocca", "up", "--yes"}, s.release...)...)
	code, err := filepath.EvalSymlinks(s.Root() + "/var/www/matomo/www")
	if err != nil {
		t.Fatal(err)
	}
	for _, probe := range front.Probes() {
		if content, err := os.ReadFile(path.Join(code, probe.Plant)); err == nil && string(content) == front.PlantedContent {
			t.Errorf("%s is still there", probe.Plant)
		}
	}
	if mode := s.run(t, "stat", "-c", "%a", uiConfig); mode != "640" {
		t.Errorf("config.ini.php has mode %s after rocca up, want 640", mode)
	}
	if plan, err := s.Try(run.Command{Argv: append([]string{"rocca", "plan"}, s.release...)}); err != nil {
		t.Errorf("something is still to do: %v\n%s", err, plan.Stdout)
	}
}
