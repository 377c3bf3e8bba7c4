package blueprint

import (
	"bytes"
	"flag"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aymanbagabas/go-udiff"
	"github.com/google/go-cmp/cmp"

	"rocca/internal/change"
	"rocca/internal/change/step"
	"rocca/internal/config"
	"rocca/internal/facts"
	"rocca/internal/front"
	"rocca/internal/matomo/headless"
	"rocca/internal/secret"
)

var update = flag.Bool("update", false, "write the golden files")

// inputs are the servers whose every file is kept in testdata.
func inputs(t *testing.T) map[string]Input {
	t.Helper()
	input := func(debian int, php string, edit func(*config.Config)) Input {
		c := config.Defaults{Hostname: "stats.example.org"}.Config()
		if edit != nil {
			edit(&c)
		}
		if err := c.Validate(); err != nil {
			t.Fatal(err)
		}
		return Input{Config: c, Debian: debian, PHP: php, Version: "5.3.0", Program: Program{Path: "/root/rocca", SHA256: strings.Repeat("ab", 32)}}
	}
	remote := input(12, "8.2", func(c *config.Config) {
		c.Front = config.FrontApache
		c.Database.Host, c.Database.CA, c.Database.Credentials = "db.example.org", "/etc/rocca/database-ca.pem", "/etc/rocca/database.yaml"
	})
	remote.Remote = Remote{CA: []byte("-----BEGIN CERTIFICATE-----\n"), Client: "192.0.2.10", MariaDB: true, Networks: []netip.Prefix{netip.MustParsePrefix("198.51.100.7/32")}}
	remote.Passwords = map[string]secret.Secret{}
	for _, user := range RemoteUsers() {
		remote.Passwords[user] = secret.New("password-of-" + user)
	}
	// Machines that share a database, behind a load balancer.
	shared := func(debian int, php string, edit func(*config.Config)) Input {
		in := input(debian, php, func(c *config.Config) {
			c.Database.Host, c.Database.CA, c.Secrets = "db.example.org", "/etc/rocca/database-ca.pem", "/etc/rocca/secrets.yaml"
			c.Database.Network = netip.MustParsePrefix("10.20.0.0/16")
			c.Proxies = []netip.Prefix{netip.MustParsePrefix("10.20.0.0/24"), netip.MustParsePrefix("10.20.1.0/24")}
			edit(c)
		})
		in.Remote, in.Passwords = remote.Remote, remote.Passwords
		in.Remote.MariaDB = false
		in.Secrets = Secrets{Salt: secret.New("fedcba9876543210fedcba9876543210"), Superuser: secret.New("password-of-the-owner"), Accounts: remote.Passwords}
		return in
	}
	foreign := input(12, "8.2", nil)
	foreign.ForeignSchemas = true
	apps := input(13, "8.4", func(c *config.Config) {
		c.Domain = []string{"stats.example.org", "www.stats.example.org"}
		c.TLS = config.TLS{Certificate: "/etc/letsencrypt/live/stats/fullchain.pem", Key: "/etc/letsencrypt/live/stats/privkey.pem"}
		c.Base, c.State = "/srv/matomo", "/srv/matomo-state"
		c.Database.Name, c.Database.Prefix = "web_stats", "stats_"
		c.AdminNetworks = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
		c.Apps = []config.App{
			{Name: "shop", Docroot: "/srv/shop/public", Domain: "shop.example.org"},
			{Name: "blog", Docroot: "/srv/blog", Domain: "blog.example.org"},
		}
		c.SSHNetworks = []netip.Prefix{netip.MustParsePrefix("203.0.113.7/32"), netip.MustParsePrefix("2001:db8::/32")}
		c.Ports, c.Outbound = []string{"tcp/25"}, []string{"198.51.100.25"}
		c.Hardening.SSHKeys = true
	})
	apps.SSH = SSH{Installed: true, Ports: []int{22, 2222}}
	return map[string]Input{
		"nginx-12":  input(12, "8.2", nil),
		"nginx-13":  input(13, "8.4", nil),
		"apache-12": input(12, "8.2", func(c *config.Config) { c.Front = config.FrontApache }),
		"apache-13": input(13, "8.4", func(c *config.Config) { c.Front = config.FrontApache }),
		"apps":      apps,
		"remote":    remote,
		"tracker":   shared(13, "8.4", func(c *config.Config) { c.Front, c.Roles = config.FrontApache, []string{config.RoleTracker} }),
		"worker": shared(12, "8.2", func(c *config.Config) {
			c.Roles, c.Database.Credentials = []string{config.RoleWorker}, "/etc/rocca/database.yaml"
		}),
		"foreign": foreign,
	}
}

func planFor(t *testing.T, in Input) ([]change.Step, *blueprint) {
	t.Helper()
	steps, login, err := Steps(in)
	if err != nil {
		t.Fatal(err)
	}
	return steps, &blueprint{Input: in, Layout: NewLayout(in.Config, in.Version), login: login}
}

// others are rendered by packages that have golden files of their own: front
// and headless.
var others = []string{"/etc/nginx/", "/etc/apache2/", headlessAt}

// TestGolden compares the step list and every file that rocca writes.
func TestGolden(t *testing.T) {
	for name, in := range inputs(t) {
		t.Run(name, func(t *testing.T) {
			steps, b := planFor(t, in)
			got := map[string][]byte{}
			var list strings.Builder
			for _, s := range steps {
				fmt.Fprintln(&list, describe(s))
				if file, isFile := s.(step.File); isFile && !slices.ContainsFunc(others, func(dir string) bool { return strings.HasPrefix(file.Path, dir) }) {
					got["files"+file.Path] = file.Content
				}
			}
			got["steps.txt"] = []byte(list.String())
			for _, pool := range []configFile{{b, b.Layout.State, UIUser}, {b, b.Layout.Tracker, TrackerUser}} {
				got["files"+configPath(pool.data)] = firstConfig(t, pool)
			}
			compareTree(t, filepath.Join("testdata", name), got)
		})
	}
}

// TestSite checks what the front is told, which decides what it renders.
func TestSite(t *testing.T) {
	_, b := planFor(t, inputs(t)["apps"])
	want := front.Site{
		ServerNames: []string{"stats.example.org", "www.stats.example.org"}, Docroot: "/srv/matomo/www",
		UISocket: "/run/matomo/ui.sock", TrackerSocket: "/run/matomo/tracker.sock",
		Certificate: "/etc/letsencrypt/live/stats/fullchain.pem", Key: "/etc/letsencrypt/live/stats/privkey.pem",
		AdminNetworks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
		UserDir:       "/srv/matomo-state/user", PrecompressedDir: "/srv/matomo/scripts",
		Apps: []front.App{
			{Name: "shop", Domain: "shop.example.org", Docroot: "/srv/shop/public", Socket: "/run/matomo/shop.sock"},
			{Name: "blog", Domain: "blog.example.org", Docroot: "/srv/blog", Socket: "/run/matomo/blog.sock"},
		},
	}
	if diff := cmp.Diff(want, b.site(), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
}

// answer is what Matomo's installation tells about plugins; some of them are
// among those that rocca turns off.
var answer = headless.Answer{
	PluginsInstalled: []string{"CoreHome", "Login", "Marketplace", "Tour"},
	PluginsActivated: []string{"CoreHome", "Login", "Marketplace", "Tour"},
}

const salt = "0123456789abcdef0123456789abcdef"

func firstConfig(t *testing.T, c configFile) []byte {
	t.Helper()
	content, err := c.first(salt, answer)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// describe tells everything of a step but the content of its file.
func describe(s change.Step) string {
	text := s.Name()
	switch s := s.(type) {
	case step.File:
		text += " | " + s.Attr.String()
		if s.Secret {
			text += " | secret"
		}
	case step.Dir:
		text += " | " + s.Attr.String()
		if s.Content != change.Foreign {
			text += " | " + string(s.Content)
		}
		if s.Only != nil {
			text += " | only " + strings.Join(s.Only, ", ")
		}
	case step.Symlink:
		text += " | to " + s.Target
	case step.Gone:
		text += " | " + s.Why
	case step.Packages:
		text += " | " + strings.Join(s.Packages, " ")
	case step.Account:
		identity := "unix_socket"
		if s.Remote {
			identity = "password, TLS"
		}
		text += " | " + identity
		for _, grant := range s.Grants {
			text += "\n    " + grant
		}
	case step.GivenAccount:
		text += " | must have"
		for _, grant := range s.Grants {
			text += "\n    " + grant
		}
	case step.Unit:
		text += " | " + string(s.State)
		if s.Own {
			text += ", no drop-ins but " + strings.Join(append([]string{"its own"}, s.DropIns...), " ")
		}
		for _, input := range s.Inputs {
			text += "\n    " + s.Refresh + " for " + input
		}
	}
	return text
}

func compareTree(t *testing.T, dir string, got map[string][]byte) {
	t.Helper()
	if *update {
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		for name, content := range got {
			file := filepath.Join(dir, filepath.FromSlash(name))
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		want, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		now, made := got[filepath.ToSlash(name)]
		switch {
		case !made:
			t.Errorf("%s is no longer made", file)
		case !bytes.Equal(now, want):
			t.Errorf("differs from %s; go test ./internal/blueprint -update writes it anew\n%s", file, udiff.Unified("want", "got", string(want), string(now)))
		}
		delete(got, filepath.ToSlash(name))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range got {
		t.Errorf("%s is new; go test ./internal/blueprint -update writes it", path.Join(dir, name))
	}
}

// TestOrder checks what the safety of a run depends on: nothing answers from
// the outside before the installer is closed.
func TestOrder(t *testing.T) {
	for name, in := range inputs(t) {
		t.Run(name, func(t *testing.T) {
			steps, b := planFor(t, in)
			var names []string
			for _, s := range steps {
				names = append(names, s.Name())
			}
			for i, one := range names {
				if slices.Contains(names[:i], one) {
					t.Errorf("%q is there twice", one)
				}
			}
			sequence := []string{
				"group " + UIUser, "user " + UIUser, "code " + b.Layout.Code, "file " + path.Join(b.Layout.Code, "bootstrap.php"),
				"database schema " + in.Config.Database.Name, "unit rocca-php@tracker.socket", "unit rocca-php@tracker.service", "install Matomo " + in.Version,
				"file " + configPath(b.Layout.State), "file " + configPath(b.Layout.Tracker), "link " + b.Layout.Link, "unit " + frontUnit(in.Config),
			}
			if !in.Config.Does(config.RoleTracker) {
				sequence = slices.DeleteFunc(sequence, func(name string) bool { return strings.HasPrefix(name, "unit rocca-php@tracker.") })
			}
			last := -1
			for _, wanted := range sequence {
				at := slices.Index(names, wanted)
				if at <= last {
					t.Errorf("%q stands at %d, after what must follow it (at %d)", wanted, at, last)
				}
				last = at
			}
			idle := len(b.idle())
			if last := names[len(names)-1-idle]; last != "unit "+frontUnit(in.Config) {
				t.Errorf("the last step but those that stop something is %q, not the front", last)
			}
		})
	}
}

// TestBareServerNeedsEverything plans on a server where nothing is.
func TestBareServerNeedsEverything(t *testing.T) {
	for name, in := range inputs(t) {
		steps, _ := planFor(t, in)
		bare := facts.Server{Database: facts.Database{Reached: true}}
		for _, s := range steps {
			proposal, err := s.Plan(bare)
			if _, given := s.(step.GivenAccount); given {
				if err == nil {
					t.Errorf("%s: %s is not missed on a bare server", name, s.Name())
				}
				continue
			}
			if err != nil {
				t.Errorf("%s: %s: %v", name, s.Name(), err)
				continue
			}
			switch s := s.(type) {
			case step.Gone, apacheLink, newPassword: // what is not there need not go; modules and first login are not known yet
				continue
			case step.Unit:
				if s.State == step.Off || s.State == step.Stopped {
					continue
				}
			case scripts:
				continue // without code there is nothing to compress
			}
			if !proposal.Needed() {
				t.Errorf("%s: %s has nothing to do on a bare server", name, s.Name())
			}
			if strings.Contains(proposal.Diff, "password-of-") || strings.Contains(proposal.Sentence, "password-of-") {
				t.Errorf("%s: %s shows a password", name, s.Name())
			}
		}
	}
}

// TestNoSecretInFilesThatOthersRead looks through everything that is rendered.
func TestNoSecretInFilesThatOthersRead(t *testing.T) {
	steps, _ := planFor(t, inputs(t)["remote"])
	found := 0
	for _, s := range steps {
		file, isFile := s.(step.File)
		if !isFile || !bytes.Contains(file.Content, []byte("password-of-")) {
			continue
		}
		found++
		if !file.Secret || file.Attr.Mode&0o077 != 0 {
			t.Errorf("%s (%s) holds a password", file.Path, file.Attr)
		}
	}
	if found != 1 {
		t.Errorf("%d files of the blueprint hold passwords, want the one of the journal's side", found)
	}
}
