package reach

import (
	"encoding/binary"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"rocca/internal/facts"

	"github.com/google/go-cmp/cmp"
)

func lines(paths []Path) []string {
	var text []string
	for _, p := range paths {
		text = append(text, p.String())
	}
	return text
}

// acl encodes entries as the kernel does: "user:5:r--" and so on.
func acl(t testing.TB, i facts.Path, attribute, text string) facts.Path {
	t.Helper()
	tags := map[string]uint16{"user": 0x01, "group": 0x04, "mask": 0x10, "other": 0x20}
	raw := binary.LittleEndian.AppendUint32(nil, 2)
	for entry := range strings.SplitSeq(text, ",") {
		var id, permissions uint32
		parts := strings.Split(entry, ":")
		tag := tags[parts[0]]
		if parts[1] != "" {
			tag *= 2
			if _, err := fmt.Sscan(parts[1], &id); err != nil {
				t.Fatal(err)
			}
		}
		for bit, letter := range []byte("rwx") {
			if parts[2][bit] == letter {
				permissions |= 4 >> bit
			}
		}
		raw = binary.LittleEndian.AppendUint16(raw, tag)
		raw = binary.LittleEndian.AppendUint16(raw, uint16(permissions))
		raw = binary.LittleEndian.AppendUint32(raw, id)
	}
	if i.Xattrs == nil {
		i.Xattrs = map[string][]byte{}
	}
	i.Xattrs["system.posix_acl_"+attribute] = raw
	return i
}

const s2code = "/var/www/matomo/www-matomo.5.3.0"

func TestHolesOfTheSlides(t *testing.T) {
	g := New(s2())
	toSchema := " -> read " + s2code + "/config/config.ini.php -> know database password of " + s2code + "/config/config.ini.php -> connect account matomo@127.0.0.1 -> alter schema matomo"
	want := []string{
		"user apache-app2" + toSchema,
		"user apache-app2 -> connect socket 127.0.0.1:9000 -> become user apache-matomo" + toSchema,
		"user apache-app2 -> read OPcache of php8.2-fpm.service of apache-matomo -> read " + s2code + "/tmp",
	}
	got, err := g.Ask("app2", "")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, lines(got)); diff != "" {
		t.Errorf("app2 reaches (-want +got):\n%s", diff)
	}
	want = []string{
		"user apache-matomo -> write " + s2code,
		"user apache-matomo -> write " + s2code + "/matomo.js",
		"user apache-matomo -> write " + s2code + "/piwik.js",
	}
	if diff := cmp.Diff(want, lines(g.From("apache-matomo"))); diff != "" {
		t.Errorf("apache-matomo reaches (-want +got):\n%s", diff)
	}
}

// The holes are gone when what makes them is: each twin is the recipe with one
// thing put right.
func TestHolesOfTheSlidesPutRight(t *testing.T) {
	for _, twin := range []struct {
		name string
		fix  func(s *facts.Server)
		gone string
	}{
		{"socket of the front", func(s *facts.Server) {
			s.PHP.Pools[1].Listen, s.PHP.Pools[1].OwnGroup, s.PHP.Pools[1].Mode = "/run/php/matomo.sock", "www-data", "0660"
			s.Front.Sites[0].Locations = location("/run/php/matomo.sock")
			put(s, map[string]facts.Path{"/run/php/matomo.sock": inode(facts.Other, "root", "www-data", 0o660)})
		}, "socket 127.0.0.1:9000"},
		{"configuration for its user", func(s *facts.Server) {
			s.Trees[s2code]["config/config.ini.php"] = inode(facts.File, "apache-matomo", "apache-matomo", 0o640)
		}, "user apache-app2 -> read " + s2code + "/config"},
		{"validate_permission", func(s *facts.Server) {
			s.PHP.Pools[0].Settings = map[string]facts.Setting{"opcache.validate_permission": {Value: "1"}}
		}, "OPcache"},
		{"master of its own", func(s *facts.Server) { s.PHP.Pools[0].Master = "php8.2-app2.service" }, "OPcache"},
		{"directory of root", func(s *facts.Server) {
			s.Trees[s2code]["."] = rootDir()
			s.Paths[s2code] = rootDir()
		}, "user apache-matomo -> write " + s2code + "\n"},
		{"matomo.js of root", func(s *facts.Server) { s.Trees[s2code]["matomo.js"] = rootFile() }, "write " + s2code + "/matomo.js"},
	} {
		t.Run(twin.name, func(t *testing.T) {
			s := s2()
			before := strings.Join(lines(New(s).Exposed()), "\n")
			twin.fix(&s)
			after := strings.Join(lines(New(s).Exposed()), "\n")
			if !strings.Contains(before, twin.gone) || strings.Contains(after, twin.gone) {
				t.Errorf("want %q before and not after:\n%s\n\n%s", twin.gone, before, after)
			}
		})
	}
}

func TestStockAndS1(t *testing.T) {
	toSchema := func(root, host string) string {
		return " -> read " + root + "/config/config.ini.php -> know database password of " + root + "/config/config.ini.php -> connect account matomo@" + host + " -> alter schema matomo"
	}
	for name, c := range map[string]struct {
		server facts.Server
		want   []string
	}{
		"stock": {stock(), []string{
			"user messagebus" + toSchema("/var/www/matomo", "localhost"),
			"user messagebus -> read /var/www/matomo/tmp",
			"user www-data -> write /var/www/matomo",
			"user www-data -> write /var/www/matomo/matomo.js",
			"user www-data -> write /var/www/matomo/piwik.js",
		}},
		"s1": {s1(), []string{
			"user messagebus" + toSchema("/var/www/html", "127.0.0.1"),
			"user messagebus -> replace /var/www/html/config/config.ini.php -> become user www-data" + toSchema("/var/www/html", "127.0.0.1"),
			"user messagebus -> write /var/www/html/tmp -> become user www-data" + toSchema("/var/www/html", "127.0.0.1"),
			"user messagebus -> read /var/www/html/tmp",
			"user www-data -> write /var/www/html",
			"user www-data -> write /var/www/html/matomo.js",
			"user www-data -> write /var/www/html/piwik.js",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, lines(Without(New(c.server).Exposed(), "mysql"))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestOwnServerHasNoHole(t *testing.T) {
	g := New(own())
	if found := g.Exposed(); len(found) > 0 {
		t.Errorf("exposed:\n%s", strings.Join(lines(found), "\n"))
	}
	for _, from := range []string{"app2", "rocca-php@app2.service", "rocca-php@app2", "app2.example.org", "www-data", "matomo-tracker", "rocca-php@tracker", "internet"} {
		if found, err := g.Ask(from, ""); err != nil || len(found) > 0 {
			t.Errorf("from %s: %v, %v", from, lines(found), err)
		}
	}
	for _, to := range []string{"database", "secret", "become matomo", "become root", "/var/lib/matomo/config/config.ini.php", "/var/lib/matomo/tmp", "/run/matomo/ui.sock", "/etc/rocca/tls/self-signed.key", "/var/www/matomo/www/index.php"} {
		if p, found, err := g.Find("app2", to); err != nil || found {
			t.Errorf("app2 to %s: %v, %v", to, p, err)
		}
	}
	for name, paths := range map[string][]Path{
		"readers of the configuration": g.Readers("/var/lib/matomo/config/config.ini.php"),
		"writers of it":                g.Writers("/var/lib/matomo/config/config.ini.php"),
		"writers of the code":          g.CodeWriters(),
		"below the code":               Without(g.WritersBelow("/var/www/matomo"), "matomo"), // misc/user is the UI's
		"becoming matomo":              becoming(t, g, "matomo"),
		"becoming root":                becoming(t, g, "root"),
		"connectors":                   g.Connectors("/run/matomo/ui.sock"),
		"readers of the key":           g.Readers("/etc/rocca/tls/self-signed.key"),
		"writers of tmp":               Without(g.Writers("/var/lib/matomo/tmp"), "matomo"),
		"readers of tmp":               g.Readers("/var/lib/matomo/tmp"),
	} {
		if len(paths) > 0 {
			t.Errorf("%s: %v", name, lines(paths))
		}
	}
}

// What a server is built for is there, and says so.
func TestIntendedWays(t *testing.T) {
	g := New(own())
	for _, c := range []struct{ from, to, want string }{
		{"matomo", "database", "user matomo -> connect account matomo@localhost -> alter schema matomo"},
		{"www-data", "become matomo", "user www-data -> connect socket /run/matomo/ui.sock -> become user matomo"},
		{"matomo-tracker", "/var/lib/matomo-tracker/config/config.ini.php", "user matomo-tracker -> read /var/lib/matomo-tracker/config/config.ini.php"},
		{"rocca-php@ui", "/var/lib/matomo/tmp", "unit rocca-php@ui.service -> read /var/lib/matomo/tmp"},
		{"mysql", "database", "user mysql -> alter schema matomo"},
	} {
		p, found, err := g.Find(c.from, c.to)
		if err != nil || !found || p.String() != c.want || !p.Clean() {
			t.Errorf("%s to %s: %s, %v, %v; want %s, as intended", c.from, c.to, p, found, err, c.want)
		}
	}
	// Each unit is in its own sandbox: the timer has a tmp of its own in place
	// of the pool's.
	if p, found, _ := g.Find("rocca-archive", "/var/lib/matomo/tmp"); found {
		t.Errorf("the timer reaches the pool's tmp: %s", p)
	}
	if _, found, _ := g.Find("rocca-archive", "/var/lib/matomo-cron/tmp"); !found {
		t.Error("the timer does not reach its own tmp")
	}
	if _, found, _ := g.Find("rocca-php@ui", "/var/lib/matomo-cron/tmp"); found {
		t.Error("the pool reaches the timer's tmp")
	}
}

// Each is planted alone on a server without holes (TestOwnServerHasNoHole).
func TestPlanted(t *testing.T) {
	const config = "/var/lib/matomo/config/config.ini.php"
	change := func(p string, f func(*facts.Path)) func(*facts.Server) {
		return func(s *facts.Server) {
			i := s.Paths[p]
			f(&i)
			s.Paths[p] = i
		}
	}
	mode := func(m fs.FileMode) func(*facts.Path) { return func(p *facts.Path) { p.Mode = m } }
	both := func(fs ...func(*facts.Server)) func(*facts.Server) {
		return func(s *facts.Server) {
			for _, f := range fs {
				f(s)
			}
		}
	}
	open := change("/var/lib/matomo/config", mode(0o751))
	for _, c := range []struct {
		name  string
		plant func(*facts.Server)
		want  string // the beginning of an exposed path
	}{
		{"mode 777 config", both(open, change(config, mode(0o777))), "user messagebus -> write " + config + " -> become user matomo"},
		{"ACL for www-data on config.ini.php", both(open, change(config, func(p *facts.Path) {
			*p = acl(t, *p, "access", "user::rw-,user:33:r--,group::r--,mask::r--,other::---")
		})), "user www-data -> read " + config},
		{"default ACL on tmp", both(change("/var/lib/matomo/tmp", func(p *facts.Path) {
			*p = acl(t, acl(t, *p, "access", "user::rwx,user:33:--x,group::---,mask::--x,other::---"), "default", "user::rwx,user:33:rwx,group::---,mask::rwx,other::---")
		})), "user www-data -> write /var/lib/matomo/tmp -> become user matomo"},
		{"app2's user in the group of the pool, from a shell", func(s *facts.Server) {
			s.Groups["matomo"] = facts.Group{Exists: true, GID: 998, Members: []string{"app2"}}
			s.Users["app2"] = facts.User{Exists: true, UID: 995, Group: "app2", Home: "/home/app2", Shell: "/bin/bash"}
		}, "user app2 -> read " + config},
		{"app2's user in the group of the front, outside of a sandbox", func(s *facts.Server) {
			s.Groups["www-data"] = facts.Group{Exists: true, GID: 33, Members: []string{"app2"}}
			s.Jobs = append(s.Jobs, facts.Job{File: "/etc/cron.d/app2", User: "app2", Programs: []string{"/usr/bin/php8.2"}})
		}, "user app2 -> connect socket /run/matomo/ui.sock -> become user matomo"},
		{"writable grandparent of the code", change("/var/www", mode(0o777)), "user messagebus -> replace /var/www/matomo -> become user matomo"},
		{"www leads into a writable place", func(s *facts.Server) {
			put(s, map[string]facts.Path{"/srv/rel": inode(facts.Dir, "games", "www-data", 0o775), "/srv/rel/code": rootDir(), "/var/www/matomo/www": link("/srv/rel/code")})
			s.Trees["/srv/rel/code"] = s.Trees[s2code]
			delete(s.Trees, s2code)
			s.Matomo.Real = "/srv/rel/code"
		}, "user www-data -> replace /srv/rel/code -> become user matomo"},
		{"www is a link in a directory of the front", change("/var/www/matomo", func(p *facts.Path) { p.Owner = "www-data" }), "user www-data -> replace /var/www/matomo/www"},
		{"root's job starts a file of the pool's user", func(s *facts.Server) {
			put(s, map[string]facts.Path{"/var/lib/matomo/user/run.sh": inode(facts.File, "matomo", "matomo", 0o755)})
			s.Jobs = append(s.Jobs, facts.Job{File: "/etc/cron.d/x", User: "root", Programs: []string{"/bin/sh", "/var/lib/matomo/user/run.sh"}})
		}, "user matomo -> write /var/lib/matomo/user/run.sh -> become user root"},
		{"one file of the code", func(s *facts.Server) {
			s.Trees[s2code]["core/Tracker/Cache.php"] = inode(facts.File, "root", "www-data", 0o664)
		}, "user www-data -> write " + s2code + "/core/Tracker/Cache.php -> become user matomo"},
		{"a link in the code that leads to a place of others", func(s *facts.Server) {
			s.Trees[s2code]["plugins/Shop"] = link("/tmp/Shop")
			put(s, map[string]facts.Path{"/tmp/Shop": inode(facts.Dir, "messagebus", "messagebus", 0o755)})
		}, "user messagebus -> write " + s2code + "/plugins/Shop"},
		{"pool on TCP", func(s *facts.Server) {
			s.PHP.Pools[0].Listen = "0.0.0.0:9000"
			s.Front.Sites[0].Locations[0].Backend = "127.0.0.1:9000"
		}, "the internet -> connect socket *:9000 -> become user matomo"},
		{"pool on TCP, from the application", func(s *facts.Server) { s.PHP.Pools[0].Listen = "9000" }, "user app2 -> connect socket *:9000 -> become user matomo"},
		{"shared OPcache", func(s *facts.Server) {
			s.PHP.Pools[0].Master, s.PHP.Pools[2].Master = "php8.2-fpm.service", "php8.2-fpm.service"
			s.Processes = append(s.Processes, facts.Process{Name: "php-fpm", User: "app2", Group: "app2", Unit: "php8.2-fpm.service"})
		}, "user app2 -> read OPcache of php8.2-fpm.service of matomo -> read /var/lib/matomo/tmp"},
		{"GRANT ALL", func(s *facts.Server) {
			a := s.Database.Accounts["app2@localhost"]
			a.Grants = []string{"ALL PRIVILEGES ON *.*"}
			s.Database.Accounts["app2@localhost"] = a
		}, "user app2 -> connect account app2@localhost -> alter schema matomo"},
		{"GRANT ALL to Matomo", func(s *facts.Server) {
			a := s.Database.Accounts["matomo@localhost"]
			a.Grants = []string{"ALL PRIVILEGES ON *.*"}
			s.Database.Accounts["matomo@localhost"] = a
		}, "user matomo -> connect account matomo@localhost -> become user mysql"},
		{"account without a password", func(s *facts.Server) {
			s.Database.Accounts["guest@localhost"] = facts.Account{Exists: true, Identity: "mysql_native_password", NoWord: true, Grants: []string{"SELECT ON `mat%`.*"}}
		}, "user app2 -> connect account guest@localhost -> read schema matomo"},
		{"sudo without a password", func(s *facts.Server) {
			s.Sudo = []facts.SudoRule{{File: "/etc/sudoers.d/x", Who: "%www-data", As: "root", Commands: []string{"/usr/bin/systemctl"}, NoWord: true}}
		}, "user www-data -> become user root"},
		{"docker", func(s *facts.Server) {
			s.Groups["docker"] = facts.Group{Exists: true, GID: 70, Members: []string{"www-data"}}
		}, "user www-data -> become user root"},
		{"unit file of another", change("/etc/systemd/system/rocca-archive.service", func(p *facts.Path) { p.Owner = "www-data" }), "user www-data -> write /etc/systemd/system/rocca-archive.service -> become user root"},
		{"unit directory of a group", change("/etc/systemd/system", func(p *facts.Path) { p.Group, p.Mode = "www-data", 0o775 }), "user www-data -> replace /etc/systemd/system/"},
		{"front's configuration", change("/etc/nginx/sites-available/matomo.conf", mode(0o666)), "user app2 -> read"},
		{"PHP's configuration", change("/etc/rocca/php/ui.conf", func(p *facts.Path) { p.Owner = "messagebus" }), "user messagebus -> write /etc/rocca/php/ui.conf -> become user matomo"},
		{"shadow", change("/etc/shadow", mode(0o644)), "user www-data -> read /etc/shadow"},
		{"key of the front", both(change("/etc/rocca/tls", mode(0o755)), change("/etc/rocca/tls/self-signed.key", mode(0o644))), "user www-data -> read /etc/rocca/tls/self-signed.key"},
		{"the database's files", both(change("/var/lib/mysql/matomo", mode(0o755))), "user www-data -> read /var/lib/mysql/matomo -> read schema matomo"},
		{"the tracker reads what is the UI's", both(open, change(config, mode(0o644)), func(s *facts.Server) {
			s.Units["rocca-php@tracker.service"].Sandbox["InaccessiblePaths"] = "-/root"
		}), "user matomo-tracker -> read " + config},
		{"Redis on a port", func(s *facts.Server) { s.Redis = []facts.Redis{{Address: "127.0.0.1:6379"}} }, "user app2 -> connect socket 127.0.0.1:6379"},
		{"log with addresses", both(change("/var/log/nginx", mode(0o755)), change("/var/log/nginx/access.log", mode(0o644))), "user app2 -> read /var/log/nginx/access.log"},
		{"secret in an environment", func(s *facts.Server) {
			s.PHP.Pools[0].Listen, s.PHP.Pools[0].SecretEnv = "127.0.0.1:9000", []string{"DB_PASSWORD"}
		}, "user app2 -> connect socket 127.0.0.1:9000 -> become user matomo"},
		{"home for keys", func(s *facts.Server) {
			s.SSH.Installed = true
			u := s.Users["root"]
			u.Home = "/root"
			s.Users["root"] = u
			put(s, map[string]facts.Path{"/root": inode(facts.Dir, "root", "www-data", 0o770), "/root/.ssh": {}})
		}, "user www-data -> replace /root/.ssh -> become user root"},
		{"capability", func(s *facts.Server) {
			u := s.Units["rocca-php@ui.service"]
			u.Sandbox["AmbientCapabilities"] = "cap_sys_admin"
		}, "user matomo -> become user root"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := own()
			c.plant(&s)
			got := lines(New(s).Exposed())
			found := slices.ContainsFunc(got, func(line string) bool { return strings.HasPrefix(line, c.want) })
			if c.name == "front's configuration" { // the application sees it, read-only
				found = !found && slices.Contains(got, "user messagebus -> write /etc/nginx/nginx.conf -> become user root") ||
					slices.ContainsFunc(got, func(line string) bool {
						return strings.HasPrefix(line, "user messagebus -> write /etc/nginx/sites-enabled/matomo.conf -> become user root")
					})
			}
			if !found {
				t.Errorf("not found: %s\n%s", c.want, strings.Join(got, "\n"))
			}
		})
	}
}

// What one directory opens is told once, to the worst that it leads to.
func TestOneHoleIsToldOnce(t *testing.T) {
	s := own()
	i := s.Paths["/var/www"]
	i.Mode = 0o777
	s.Paths["/var/www"] = i
	systemd := s.Paths["/etc/systemd/system"]
	systemd.Owner = "www-data"
	s.Paths["/etc/systemd/system"] = systemd
	g := New(s)
	want := []string{"user messagebus -> replace /var/www/matomo -> become user matomo -> connect account matomo@localhost -> alter schema matomo"}
	if diff := cmp.Diff(want, lines(g.From("messagebus"))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := lines(g.From("www-data")); len(got) != 2 || !strings.HasSuffix(got[0], "become user root") {
		t.Errorf("www-data: %s", strings.Join(got, "\n"))
	}
}

func TestReadersTellTheWay(t *testing.T) {
	g := New(s2())
	want := []string{
		"user apache-app2 -> read " + s2code + "/config/config.ini.php",
		"user messagebus -> read " + s2code + "/config/config.ini.php",
		"user mysql -> read " + s2code + "/config/config.ini.php",
		"user www-data -> read " + s2code + "/config/config.ini.php",
	}
	// By the link, the file is told as it was asked for.
	if got := lines(g.Readers("/var/www/matomo/www/config/config.ini.php")); strings.ReplaceAll(strings.Join(got, "\n"), "/matomo/www/", "/matomo/www-matomo.5.3.0/") != strings.Join(want, "\n") {
		t.Errorf("readers by the link: %v", got)
	}
	if diff := cmp.Diff(want, lines(g.Readers(s2code+"/config/config.ini.php"))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	fcgi := func(user string) string {
		return "user " + user + " -> connect socket 127.0.0.1:9000 -> become user apache-matomo -> write " + s2code + "/config/config.ini.php"
	}
	want = []string{fcgi("apache-app2"), "user apache-matomo -> write " + s2code + "/config/config.ini.php", fcgi("messagebus"), fcgi("mysql")}
	if diff := cmp.Diff(want, lines(g.Writers(s2code+"/config/config.ini.php"))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := lines(g.WritersBelow(s2code + "/plugins")); len(got) != 4 {
		t.Errorf("below plugins: %v", got)
	}
	for _, p := range g.CodeWriters() {
		if last := p.Hops[len(p.Hops)-1]; last.Why != "owns it (0775), so may replace what is in it" {
			t.Errorf("%s: %s", p, last.Why)
		}
	}
	if got := lines(becoming(t, g, "apache-matomo")); len(got) != 3 || !strings.HasPrefix(got[0], "user apache-app2 -> connect socket 127.0.0.1:9000") {
		t.Errorf("becoming apache-matomo: %v", got)
	}
	if got := lines(g.Connectors("127.0.0.1:9000")); len(got) != 3 {
		t.Errorf("connectors: %v", got)
	}
}

// becoming are the ways by which users become another.
func becoming(t *testing.T, g *Graph, user string) []Path {
	t.Helper()
	paths, err := g.Ask("", "become "+user)
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(paths, func(p Path) bool { return p.From.Kind == Network })
}

func TestQuestionsThatCannotBeAnswered(t *testing.T) {
	g := New(own())
	for _, c := range []struct{ from, to, want string }{
		{"nobody-here", "", `find what "nobody-here" reaches: there is no such user, unit or application`},
		{"root", "", "it is root, who reaches everything"},
		{"nginx.service", "secret", ""},
		{"cron.service", "", "it runs as root"},
		{"games", "", "nothing runs as it, and it cannot log in"},
		{"app2", "config", `not an absolute path, "secret", "database" or "become USER"`},
		{"app2", "become nobody-here", "there is no such user\nhint: known are adm, app2"},
	} {
		_, err := g.Ask(c.from, c.to)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("from %q to %q: %v, want %q", c.from, c.to, err, c.want)
		}
	}
}
