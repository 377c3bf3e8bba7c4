package test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"rocca/internal/run"
)

// several is one Matomo on two machines with one database, behind a load
// balancer. The first machine made the database accounts, the second was given
// them.
type several struct {
	network       *network
	database      *remoteDatabase
	first, second *ec2
}

const (
	givenSalt      = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
	givenSuperuser = "Given-First-Password-1"
	severalName    = "stats.example.org"
)

const givenAccounts = `accounts:
  matomo: Given-Password-Of-The-UI-1
  matomo-tracker: Given-Password-Of-The-Tracker-1
  matomo-admin: Given-Password-Of-The-Administrator-1
`

func TestSeveralMachines(t *testing.T) {
	n := newNetwork(t)
	machine := func(debian, address string) *ec2 {
		m := &ec2{server: bare(t, debian), address: address, network: n}
		n.attach(t, m.Host, address)
		m.run(t, "sh", "-c", "echo "+atDatabase+" "+remoteName+" >>/etc/hosts")
		return m
	}
	elsewhere := bare(t, "12")
	n.attach(t, elsewhere.Host, atDatabase)
	s := &several{network: n, database: startRemoteDatabase(t, elsewhere), first: machine("12", atFirst), second: machine("13", atSecond)}
	s.database.start(t, append(withTLS, "--require-secure-transport=ON", "--skip-name-resolve")...)
	s.database.sql(t, remoteAdministrator)
	for _, part := range []struct {
		name string
		test func(*testing.T)
	}{
		{"no accounts yet", s.testNoAccounts},
		{"first", s.testFirst},
		{"no salt", s.testNoSalt},
		{"second", s.testSecond},
		{"one Matomo", s.testOneMatomo},
		{"proxies", s.testProxies},
		{"roles", s.testRoles},
		{"undo", s.testSeveralUndo},
	} {
		if !t.Run(part.name, part.test) {
			return
		}
	}
}

// configure writes rocca.yaml and what it names; more is further lines of it.
func (s *several) configure(t *testing.T, m *ec2, database, secrets string, more ...string) {
	t.Helper()
	m.write(t, "/etc/rocca/ca.pem", []byte(s.database.ca.pem))
	m.write(t, "/etc/rocca/secrets.yaml", []byte(secrets))
	m.write(t, "/etc/rocca/database.yaml", []byte("username: dba\npassword: "+remotePassword+"\n"))
	m.run(t, "chmod", "600", "/etc/rocca/secrets.yaml", "/etc/rocca/database.yaml")
	m.write(t, "/etc/rocca/rocca.yaml", []byte("domain: ["+severalName+"]\nproxies: ["+atBalancer+"]\nsecrets: /etc/rocca/secrets.yaml\n"+
		"database: {host: "+remoteName+", port: 3307, ca: /etc/rocca/ca.pem, network: 10.20.0.0/16"+database+"}\n"+strings.Join(more, "\n")+"\n"))
}

const asAdministrator = ", credentials: /etc/rocca/database.yaml"

// refused runs rocca up, which must say what is missing and begin nothing.
func (s *several) refused(t *testing.T, m *ec2, want string) {
	t.Helper()
	result, err := m.Try(run.Command{Argv: append([]string{"rocca", "up", "--yes"}, m.release...)})
	if said := string(result.Stderr); err == nil || !strings.Contains(said, want) || !strings.Contains(said, "hint: ") || strings.Contains(said, "Given-") {
		t.Errorf("%v, want %q in\n%s", err, want, said)
	}
	if runs := m.run(t, "rocca", "runs", "--json"); runs != "" {
		t.Errorf("a run was begun: %s", runs)
	}
}

func (s *several) testNoAccounts(t *testing.T) {
	s.configure(t, s.second, "", givenAccounts, "front: apache")
	s.refused(t, s.second, "log in to the database server as matomo: the database server does not let it in with the given password")
}

func (s *several) testFirst(t *testing.T) {
	s.configure(t, s.first, asAdministrator, "salt: "+givenSalt+"\nsuperuser: "+givenSuperuser+"\n"+givenAccounts)
	printed := s.first.up(t, s.first.release...)
	for _, given := range []string{givenSuperuser, givenSalt, "Given-Password"} {
		if strings.Contains(printed, given) {
			t.Errorf("rocca up printed %s", given)
		}
	}
	const from = "10.20.0.0/255.255.0.0 ANY"
	if got, want := s.database.accounts(t), "matomo-admin@"+from+"\nmatomo-tracker@"+from+"\nmatomo@"+from; got != want {
		t.Errorf("the accounts are\n%s\nwant them to be of use in the network, by TLS\n%s", got, want)
	}
	// From then on nobody needs an administrator.
	s.configure(t, s.first, "", "salt: "+givenSalt+"\n"+givenAccounts)
	s.unchanged(t, s.first)
}

func (s *several) unchanged(t *testing.T, m *ec2) {
	t.Helper()
	if card := m.up(t); !strings.Contains(card, `"changes":0`) {
		t.Errorf("a second run changes something:\n%s", card)
	}
}

func (s *several) testNoSalt(t *testing.T) {
	s.refused(t, s.second, "holds a Matomo that was not installed from this machine")
}

func (s *several) testSecond(t *testing.T) {
	// What the second machine must leave as it is.
	state := func() string {
		return s.database.sql(t, "SELECT TABLE_NAME, CREATE_TIME FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'matomo' ORDER BY 1;"+
			"CHECKSUM TABLE matomo.matomo_user, matomo.matomo_site, matomo.matomo_access;"+
			"SELECT User, Host, authentication_string FROM mysql.user ORDER BY 1, 2")
	}
	before := state()
	s.configure(t, s.second, "", "salt: "+givenSalt+"\n"+givenAccounts, "front: apache")
	printed := s.second.up(t, s.second.release...)
	if strings.Contains(printed, `"password"`) || !strings.Contains(printed, "take up the Matomo that the database holds") {
		t.Errorf("rocca up made a login, or did not take up the Matomo that was there:\n%s", printed)
	}
	if after := state(); after != before {
		t.Errorf("the second machine changed the Matomo of the first:\n%s\nbefore\n%s", after, before)
	}
	s.unchanged(t, s.second)
	s.unchanged(t, s.first)
	for _, m := range s.machines() {
		if salt := m.saltOf(t); salt != givenSalt {
			t.Errorf("the salt of %s is %s", m.address, salt)
		}
	}
}

func (s *several) machines() []*ec2 { return []*ec2{s.first, s.second} }

// hit has one recorded, and tells for whose address, masked, in hexadecimal.
func (s *several) hit(t *testing.T, b *browser, headers ...string) string {
	t.Helper()
	const last = "SELECT COUNT(*), (SELECT HEX(location_ip) FROM matomo.matomo_log_visit ORDER BY visit_last_action_time DESC, idvisit DESC LIMIT 1) FROM matomo.matomo_log_link_visit_action"
	before, _, _ := strings.Cut(s.database.sql(t, last), "\t")
	got := b.get("matomo.php?idsite=1&rec=1&new_visit=1&send_image=0&url=https%3A%2F%2Fexample.org%2F"+fmt.Sprint(time.Now().UnixNano()), headers...)
	after, address, _ := strings.Cut(s.database.sql(t, last), "\t")
	if got.status != 204 || after == before {
		t.Errorf("a hit: status %d, %s recorded before and %s after: %.300q", got.status, before, after, got.body)
	}
	return address
}

// testOneMatomo: who logs in at one machine is known at the other.
func (s *several) testOneMatomo(t *testing.T) {
	for i, m := range s.machines() {
		s.hit(t, m.visitor(t, atBalancer, severalName))
		b := m.visitor(t, atBalancer, severalName)
		if in := b.signIn(givenSuperuser); in.status != 302 {
			t.Fatalf("the given password at %s: status %d", m.address, in.status)
		}
		other := s.machines()[1-i].visitor(t, atBalancer, severalName)
		other.client.Jar = b.client.Jar
		if page := other.get("index.php?module=CoreHome&action=index&idSite=1&period=day&date=today"); page.status != 200 || nonceField.MatchString(page.body) {
			t.Errorf("logged in at %s, asked at the other: status %d, %.200q", m.address, page.status, page.body)
		}
		var version struct{ Value string }
		other.api("API.getMatomoVersion", &version, "token_auth", b.token("owner", givenSuperuser))
		if version.Value == "" {
			t.Errorf("a token made at %s is of no use at the other", m.address)
		}
	}
}

func (s *several) testProxies(t *testing.T) {
	for _, m := range s.machines() {
		through, past := m.visitor(t, atBalancer, severalName), m.visitor(t, atVisitor, severalName)
		for _, c := range []struct {
			name, header, want string
			by                 *browser
		}{
			{"a load balancer", "203.0.113.9", "CB000000", through},
			{"a visitor who claims an address, through a load balancer", "192.0.2.1, 203.0.113.9", "CB000000", through},
			{"a chain of load balancers", "203.0.113.9, " + atBalancer, "CB000000", through},
			{"a visitor who claims an address", "203.0.113.9", "C6330000", past},
		} {
			if got := s.hit(t, c.by, "X-Forwarded-For: "+c.header); got != c.want {
				t.Errorf("%s, %s says %s: taken for %s, want %s", m.address, c.name, c.header, got, c.want)
			}
		}
		// The name is that of the request, whoever asks.
		m.refuses(t, atBalancer, "other.example.org", "", "X-Forwarded-Host: "+severalName)
		if page := through.get("", "X-Forwarded-Host: evil.example.org"); page.status != 200 || strings.Contains(page.body, "evil.example.org") {
			t.Errorf("%s: X-Forwarded-Host is believed: status %d %.300q", m.address, page.status, page.body)
		}
		// Who came to the load balancer without TLS comes again with it.
		for method, status := range map[string]int{"GET": 301, "POST": 308} {
			plain := through.do(method, "matomo.php?a=b", "", "", "X-Forwarded-Proto: http")
			if to := plain.header.Get("Location"); plain.status != status || to != "https://"+severalName+"/matomo.php?a=b" {
				t.Errorf("%s: %s without TLS at the load balancer: status %d to %q", m.address, method, plain.status, to)
			}
		}
		if icon := past.get("favicon.ico", "X-Forwarded-Proto: http"); icon.status != 200 {
			t.Errorf("%s: X-Forwarded-Proto of a visitor is believed: status %d", m.address, icon.status)
		}
		// Whether it is up, by the name and by the address.
		log := "/var/log/nginx/matomo.access.log"
		if m == s.second {
			log = "/var/log/apache2/matomo.access.log"
		}
		for _, name := range []string{severalName, m.address} {
			if up := m.visitor(t, atBalancer, name).get("rocca-health"); up.status != 200 || strings.TrimSpace(up.body) != "ok" {
				t.Errorf("%s: asked whether %s is up: status %d %q", m.address, name, up.status, up.body)
			}
		}
		past.get("robots.txt") // which is logged after it
		if logged := string(m.read(t, log)); strings.Contains(logged, "rocca-health") {
			t.Errorf("%s: what the load balancer asks is logged:\n%s", m.address, logged)
		}
		m.refuses(t, atVisitor, severalName, "rocca-health")
		m.refuses(t, atVisitor, m.address, "rocca-health")
		s.audited(t, m)
	}
}

// audited: what was declared of proxies, machines and roles is no finding.
func (s *several) audited(t *testing.T, m *ec2) {
	t.Helper()
	report, _ := m.Try(run.Command{Argv: []string{"rocca", "audit", "--only", "FRT-01,FRT-02,FRT-04,FRT-05,FRT-11,FRT-15,APP-05,APP-17,DB-02,ISO-11,PRV-10", "--all"}})
	if text := string(report.Stdout); strings.Contains(text, "not true") || !strings.Contains(text, "FRT-15") {
		t.Errorf("%s: rocca audit\n%s%s", m.address, text, report.Stderr)
	}
}

// testRoles takes work from the second machine and gives it back.
func (s *several) testRoles(t *testing.T) {
	const secrets = "salt: " + givenSalt + "\n" + givenAccounts
	for _, c := range []struct {
		roles  string
		served []string // of the paths below
	}{
		{"[tracker]", []string{"matomo.php?send_image=0", "matomo.js", "favicon.ico"}},
		{"[worker]", []string{"favicon.ico"}},
		{"[ui]", []string{"index.php", "favicon.ico"}},
		{"[worker, ui, tracker]", []string{"index.php", "matomo.php?send_image=0", "matomo.js", "favicon.ico"}},
	} {
		s.configure(t, s.second, "", secrets, "front: apache", "roles: "+c.roles)
		s.second.up(t)
		s.unchanged(t, s.second)
		for _, path := range []string{"index.php", "matomo.php?send_image=0", "matomo.js", "favicon.ico"} {
			got := s.second.visitor(t, atBalancer, severalName).get(path)
			if is := got.status != 404; is != slices.Contains(c.served, path) {
				t.Errorf("roles %s: %s gives %d", c.roles, path, got.status)
			}
		}
		s.audited(t, s.second)
		if up := s.second.visitor(t, atBalancer, severalName).get("rocca-health"); up.status != 200 {
			t.Errorf("roles %s: health gives %d", c.roles, up.status)
		}
		for unit, role := range map[string]string{"rocca-archive.timer": "worker", "rocca-tasks.timer": "worker", "rocca-php@ui.service": "ui", "rocca-php@tracker.socket": "tracker"} {
			_, err := s.second.Try(run.Command{Argv: []string{"systemctl", "--quiet", "is-active", unit}})
			_, known := s.second.Try(run.Command{Argv: []string{"systemctl", "--quiet", "is-enabled", unit}})
			if has := strings.Contains(c.roles, role); (err == nil) != has || (known == nil) != has {
				t.Errorf("roles %s: %s is active %v, enabled %v", c.roles, unit, err == nil, known == nil)
			}
		}
		if failed := s.second.run(t, "systemctl", "--failed", "--no-legend", "--plain"); failed != "" {
			t.Errorf("roles %s: failed units: %s", c.roles, failed)
		}
	}
	// Back by undo, too.
	s.configure(t, s.second, "", secrets, "front: apache", "roles: [tracker]")
	s.second.up(t)
	s.configure(t, s.second, "", secrets, "front: apache")
	runs := strings.Split(s.second.run(t, "rocca", "runs", "--json"), "\n")
	s.second.run(t, "rocca", "undo", fmt.Sprint(len(runs)), "--yes")
	s.unchanged(t, s.second)
	if page := s.second.visitor(t, atBalancer, severalName).get("index.php"); page.status != 200 {
		t.Errorf("the login page after undo: status %d", page.status)
	}
}

// testSeveralUndo: what other machines use stays as long as it holds data.
func (s *several) testSeveralUndo(t *testing.T) {
	before := s.database.accounts(t)
	s.first.run(t, "rocca", "undo", "1", "--yes")
	if after := s.database.accounts(t); after != before {
		t.Errorf("the accounts after the first machine was undone:\n%s\nbefore\n%s", after, before)
	}
	s.hit(t, s.second.visitor(t, atBalancer, severalName))
	s.second.run(t, "rocca", "undo", "1", "--yes")
	if after := s.database.accounts(t); after != before {
		t.Errorf("the accounts after both were undone:\n%s\nbefore\n%s", after, before)
	}
	// Both come back, and find what they left.
	s.second.up(t, s.second.release...)
	s.hit(t, s.second.visitor(t, atBalancer, severalName))
	// Whoever made it can throw it away.
	s.configure(t, s.first, asAdministrator, "salt: "+givenSalt+"\n"+givenAccounts)
	s.first.run(t, "rocca", "undo", "1", "--yes", "--delete-data")
	if left := s.database.accounts(t) + s.database.sql(t, "SHOW DATABASES LIKE 'matomo'"); left != "" {
		t.Errorf("left on the database server:\n%s", left)
	}
}
