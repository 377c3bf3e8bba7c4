package test

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"rocca/internal/run"
)

//go:embed testdata/compromised.php
var compromisedScript []byte

// Two apps beside Matomo. Their files are as one would put them there: readable,
// but for a file with a secret, which only the app's own group reads.
var appNames = []string{"shop", "blog"}

func TestApps(t *testing.T) {
	s := bare(t, "12")
	for _, name := range appNames {
		s.write(t, "/srv/"+name+"/index.php", []byte("<?php echo '"+name+" ', $_SERVER['REQUEST_URI'], ' as ', posix_getpwuid(posix_geteuid())['name'];"))
		s.write(t, "/srv/"+name+"/style.css", []byte("body { color: green }"))
		s.write(t, "/srv/"+name+"/backup.sql", []byte("INSERT"))
		s.write(t, "/srv/"+name+"/admin/index.php", []byte("<?php echo 'admin';"))
		s.write(t, "/srv/"+name+"/settings.inc.php", []byte("<?php return 'secret of the "+name+"';"))
	}
	s.configureApps(t, "nginx")
	s.up(t, s.release...)
	for _, name := range appNames {
		// The front need not read scripts.
		scripts := []string{"/srv/" + name + "/index.php", "/srv/" + name + "/settings.inc.php"}
		s.run(t, append([]string{"chown", "root:" + name}, scripts...)...)
		s.run(t, append([]string{"chmod", "0640"}, scripts...)...)
	}
	if card := s.up(t); !strings.Contains(card, `"changes":0`) {
		t.Errorf("a second run changes something:\n%s", card)
	}
	t.Run("nginx", s.testAppPages)
	t.Run("compromised app", s.testCompromisedApp)
	t.Run("Matomo at an app", s.testMatomoAtApp)

	// The same machine with the other front.
	s.run(t, "systemctl", "disable", "--now", "nginx.service")
	s.configureApps(t, "apache")
	s.up(t)
	t.Run("apache", s.testAppPages)
	t.Run("compromised app by apache", s.testCompromisedApp)
}

func (s *server) configureApps(t *testing.T, front string) {
	t.Helper()
	config := "domain: [127.0.0.1, matomo.localhost]\nport: " + portOf(s.URL()) + "\nfront: " + front + "\napps:\n"
	for _, name := range appNames {
		config += "  - {name: " + name + ", docroot: /srv/" + name + ", domain: " + name + ".example.org}\n"
	}
	s.write(t, "/etc/rocca/rocca.yaml", []byte(config))
}

// visit asks an app through the front.
func (s *server) visit(t *testing.T, name, target string) answer {
	t.Helper()
	domain := name + ".example.org"
	got, err := s.send(t, "443", domain, "GET "+target+" HTTP/1.1\r\nHost: "+domain+"\r\nConnection: close\r\n\r\n")
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func (s *server) testAppPages(t *testing.T) {
	for _, name := range appNames {
		for _, page := range []struct {
			target string
			status int
			body   string
		}{
			{"/", 200, name + " / as " + name},
			{"/index.php?a=b", 200, name + " /index.php?a=b as " + name},
			{"/some/page", 200, name + " /some/page as " + name},
			{"/admin/", 200, "admin"},
			{"/style.css", 200, "body { color: green }"},
			{"/settings.inc.php", 200, ""},
			{"/.user.ini", 404, ""},
			{"/backup.sql", 404, ""},
		} {
			got := s.visit(t, name, page.target)
			if got.status != page.status || page.status == 200 && got.body != page.body {
				t.Errorf("%s %s: status %d %.200q, want %d %q", name, page.target, got.status, got.body, page.status, page.body)
			}
		}
		san := s.run(t, "openssl", "x509", "-noout", "-checkhost", name+".example.org", "-in", "/etc/rocca/tls/self-signed.pem")
		if !strings.Contains(san, "does match") {
			t.Errorf("the certificate: %s", san)
		}
	}
	// Whoever can write a document root makes links to what others let only the
	// front read.
	s.write(t, "/srv/private/of-another.txt", []byte("for the front"))
	s.run(t, "sh", "-c", "chgrp -R www-data /srv/private && chmod 0750 /srv/private && chmod 0640 /srv/private/*")
	s.run(t, "ln", "-sfn", "/srv/private/of-another.txt", "/srv/shop/link.txt")
	s.run(t, "ln", "-sfn", "/srv/private", "/srv/shop/links")
	for _, target := range []string{"/link.txt", "/links/of-another.txt"} {
		if got := s.visit(t, "shop", target); got.status == 200 && strings.Contains(got.body, "for the front") {
			t.Errorf("%s: the front follows a link out of the document root", target)
		}
	}
}

// testCompromisedApp is "what if app2 is compromised?" of the hardening talk:
// every way from one app to Matomo.
func (s *server) testCompromisedApp(t *testing.T) {
	s.write(t, "/srv/shop/compromised.php", compromisedScript)
	s.write(t, "/srv/shop/.user.ini", []byte("auto_prepend_file=/srv/shop/prepended.php\nopcache.restrict_api=/\n"))
	s.write(t, "/srv/shop/prepended.php", []byte("<?php define('PREPENDED', 1);"))
	s.run(t, "ln", "-sfn", uiConfig, "/srv/shop/link-to-config.php")
	s.run(t, "ln", "-sfn", "/var/lib/matomo", "/srv/shop/link-to-state")

	// What Matomo has in its memory at this moment, and its processes.
	if page := s.browser(t).get(""); page.status != 200 {
		t.Fatalf("the login page: status %d", page.status)
	}
	cached := strings.Fields(s.run(t, "find", "/var/lib/matomo/tmp", "/var/lib/matomo-tracker/tmp", "-name", "*.php"))
	cached = append(slices.Compact(cached)[:min(len(cached), 3)], uiConfig, "/var/www/matomo/www/index.php", "/var/www/matomo/www/core/Version.php")
	pids := append(s.processes(t, "ui"), s.processes(t, "tracker")...)
	shared := s.run(t, "sh", "-c", "ipcmk --shmem 100 --mode 0666 | grep -o '[0-9]*$'; ipcs -m | awk '/^0x/ {print $1}' | tail -1")
	key := shared[strings.LastIndex(shared, "\n")+1:]
	query := url.Values{"cached": {strings.Join(cached, ",")}, "pids": {strings.Join(pids, ",")}, "shm": {key}}

	got := s.visit(t, "shop", "/compromised.php?"+query.Encode())
	worked := map[string]bool{}
	if err := json.Unmarshal([]byte(got.body), &worked); err != nil {
		t.Fatalf("status %d: %v in %.500q", got.status, err, got.body)
	}
	allowed := []string{"read its own secret", "write its own tmp", "write a temporary file", "reach the database's socket", "see its own processes", "compile its own file"}
	for _, deed := range slices.Sorted(maps.Keys(worked)) {
		if worked[deed] != slices.Contains(allowed, deed) {
			t.Errorf("%s: %v, want %v", deed, worked[deed], !worked[deed])
		}
	}
	if len(worked) < 30 {
		t.Errorf("only %d things were tried", len(worked))
	}
	// What the front was made to run is the app's, whatever the link says.
	if page := s.visit(t, "shop", "/link-to-config.php"); page.status == 200 && page.body != "" {
		t.Errorf("a link to Matomo's configuration: status %d %.200q", page.status, page.body)
	}
	for _, file := range []string{"/srv/shop/compromised.php", "/srv/shop/settings.inc.php"} {
		if _, err := os.Stat(s.Root() + file); err != nil {
			t.Errorf("the app took away %s", file)
		}
	}
}

// processes lists the pids of a pool.
func (s *server) processes(t *testing.T, pool string) []string {
	t.Helper()
	main := s.run(t, "systemctl", "show", "-P", "MainPID", "rocca-php@"+pool+".service")
	return append(strings.Fields(s.run(t, "pgrep", "--parent", main)), main)
}

// testMatomoAtApp is the other way round: foreign code in a pool of Matomo.
func (s *server) testMatomoAtApp(t *testing.T) {
	s.write(t, "/srv/peek.php", []byte(`<?php
error_reporting(0);
foreach (['/srv/shop', '/srv/shop/settings.inc.php', '/srv/shop/index.php', '/var/lib/rocca-apps/shop/tmp'] as $name) {
    if (is_dir($name) ? scandir($name) : file_get_contents($name)) {
        echo $name, ' ';
    }
}
echo 'peeked';`))
	for _, pool := range []string{"ui", "tracker"} {
		printed := s.fastCGI(t, pool, "/srv/peek.php")
		if printed != "peeked" {
			t.Errorf("the pool %s reads %q of an app", pool, printed)
		}
	}
	// By its file's mode alone, too, and so do the timers, which start programs.
	for _, user := range []string{"matomo", "matomo-tracker", "blog", "nobody"} {
		if s.as(user, "cat", "/srv/shop/settings.inc.php") {
			t.Errorf("%s reads the secret of an app", user)
		}
	}
	for _, name := range appNames {
		line := s.run(t, "sh", "-c", fmt.Sprintf("systemd-analyze security --no-pager rocca-php@%s.service | tail -1", name))
		var level float64
		if _, err := fmt.Sscanf(line[strings.Index(line, ": ")+2:], "%f", &level); err != nil || level > 1.5 {
			t.Errorf("%s: want at most 1.5", line)
		}
		if _, err := s.Try(run.Command{Argv: []string{"systemctl", "is-active", "rocca-php@" + name + ".service"}}); err != nil {
			t.Errorf("the pool of %s does not run", name)
		}
	}
}
