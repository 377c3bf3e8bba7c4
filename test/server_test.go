// Package test shows on whole throw-away servers that what rocca builds works
// and holds: as a visitor, an owner and an intruder would find it.
//
// The servers run the stand-in release. ROCCA_REAL_RELEASE names a real one
// beside it: a directory, or an archive with its signature.
package test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rocca/internal/matomo/ini"
	"rocca/internal/run"
	"rocca/internal/standin"
	"rocca/internal/testhost"
)

// server is a throw-away server on which rocca up has ended.
type server struct {
	*testhost.Host
	real     bool     // not the stand-in
	thorough bool     // what takes long is done, too
	release  []string // arguments of rocca that name it
	password string   // of the first login, "owner"
	salt     string
}

func TestServer(t *testing.T) {
	for _, debian := range []string{"12", "13"} {
		for _, front := range []string{"nginx", "apache"} {
			t.Run("Debian "+debian+" with "+front, func(t *testing.T) { testServer(t, debian, front, "") })
		}
	}
}

func TestServerWithRealRelease(t *testing.T) {
	release := os.Getenv("ROCCA_REAL_RELEASE")
	if release == "" {
		t.Skip("ROCCA_REAL_RELEASE names no release")
	}
	for _, debian := range []string{"12", "13"} {
		for _, front := range []string{"nginx", "apache"} {
			t.Run("Debian "+debian+" with "+front, func(t *testing.T) { testServer(t, debian, front, release) })
		}
	}
}

// testServer sets up one server and asks it everything. The order matters:
// what records hits comes before archiving, what breaks the server comes last.
func testServer(t *testing.T, debian, front, release string) {
	s := setUp(t, debian, front, release)
	for _, part := range []struct {
		name string
		test func(*testing.T, *server)
	}{
		{"login", testLogin},
		{"tracking", testTracking},
		{"archiving", testArchiving},
		{"pictures and documents", testReportFiles},
		{"uploads", testUploads},
		{"names", testNames},
		{"tracker script", testTrackerScript},
		// What the attacks record makes the tracker keep the list of tokens for
		// five minutes: who makes new ones comes before.
		{"attacks", testAttacks},
		{"ports", testPorts},
		{"other users", testOtherUsers},
		{"database accounts", testDatabaseAccounts},
		{"sandbox", testSandbox},
		{"intruder in a pool", testIntruder},
		{"timers", testTimers},
		{"secrets", testSecrets},
		{"paths", testPaths},
		{"drift", testDrift},
	} {
		t.Run(part.name, func(t *testing.T) { part.test(t, s) })
	}
}

// setUp boots a bare server and runs rocca up in it, watched.
func setUp(t *testing.T, debian, front, release string) *server {
	h := testhost.Boot(t, testhost.Options{Debian: debian, Bare: true})
	s := &server{Host: h, real: release != "", thorough: release != "" || debian == "12" && front == "nginx"}
	config := "domain: [127.0.0.1, localhost, matomo.localhost]\nport: " + portOf(h.URL()) + "\nfront: " + front + "\n"
	s.write(t, "/etc/rocca/rocca.yaml", []byte(config))
	s.release = s.giveRelease(t, release)
	watch := s.watch(t)
	card, err := h.Try(run.Command{Argv: append([]string{"rocca", "up", "--yes", "--json"}, s.release...)})
	watched := watch.end()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(card.Stdout)), "\n")
	var last struct {
		Login, Password, URL string
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil || last.Login != "owner" || len(last.Password) < 20 {
		t.Fatalf("the last line of rocca up is no card with a first login: %v", err)
	}
	s.password = last.Password
	parsed, err := ini.Parse(s.read(t, uiConfig))
	if err != nil {
		t.Fatal(err)
	}
	s.salt, _ = parsed.Get("General", "salt")
	if len(s.salt) < 32 {
		t.Fatalf("the salt has %d characters", len(s.salt))
	}
	watched.check(t, s)
	return s
}

// giveRelease puts the release into the server and returns the arguments that
// name it.
func (s *server) giveRelease(t *testing.T, release string) []string {
	t.Helper()
	if release != "" {
		copied := "/srv/" + filepath.Base(release)
		for _, name := range []string{release, release + ".asc"} {
			if _, err := os.Stat(name); err != nil {
				continue
			}
			if _, err := run.Do(t.Context(), run.Command{Argv: []string{"cp", "-rT", "--preserve=mode,timestamps", name, s.Root() + "/srv/" + filepath.Base(name)}}); err != nil {
				t.Fatal(err)
			}
		}
		// A directory may have been in use before: that would be another Matomo,
		// whose configuration everybody reads.
		if err := os.RemoveAll(s.Root() + copied + "/config/config.ini.php"); err != nil {
			t.Fatal(err)
		}
		return []string{"--release", copied, "--accept-unsigned"}
	}
	built, err := standin.Build(standin.Version)
	if err != nil {
		t.Fatal(err)
	}
	s.write(t, "/srv/"+built.Name, built.Archive)
	s.write(t, "/srv/"+built.Name+".asc", built.Signature)
	s.write(t, "/srv/key.asc", built.PublicKey)
	return []string{"--release", "/srv/" + built.Name, "--release-key", "/srv/key.asc"}
}

const (
	uiConfig      = "/var/lib/matomo/config/config.ini.php"
	trackerConfig = "/var/lib/matomo-tracker/config/config.ini.php"
)

func (s *server) read(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(s.Root() + name)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func (s *server) write(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(s.Root()+name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.Root()+name, content, 0o644); err != nil {
		t.Fatal(err)
	}
}

// run runs a command inside as root and returns what it printed on stdout.
func (s *server) run(t *testing.T, argv ...string) string {
	t.Helper()
	got, err := s.Try(run.Command{Argv: argv})
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(got.Stdout))
}

// as runs a command inside as a user and tells whether it succeeded.
func (s *server) as(user string, argv ...string) bool {
	_, err := s.Try(run.Command{Argv: append([]string{"runuser", "-u", user, "--"}, argv...)})
	return err == nil
}

// query asks the database as root.
func (s *server) query(t *testing.T, sql string) string {
	t.Helper()
	return s.run(t, "mariadb", "--batch", "--skip-column-names", "matomo", "--execute", sql)
}
