package reach

import (
	"io/fs"
	"maps"
	"path"
	"strings"

	"rocca/internal/facts"
)

// The servers of the tests are written by hand after the scripts that set up
// the demo servers (internal/demo/weak) and docs/layout.md.

func inode(kind facts.Type, owner, group string, mode fs.FileMode) facts.Path {
	return facts.Path{Type: kind, Owner: owner, Group: group, Mode: mode}
}

func link(to string) facts.Path {
	return facts.Path{Type: facts.Symlink, Owner: "root", Group: "root", Mode: 0o777, Target: to}
}

func rootDir() facts.Path  { return inode(facts.Dir, "root", "root", 0o755) }
func rootFile() facts.Path { return inode(facts.File, "root", "root", 0o644) }

// put adds paths, with every directory above as Debian has it.
func put(s *facts.Server, entries map[string]facts.Path) {
	for p, i := range entries {
		s.Paths[p] = i
		for dir := path.Dir(p); ; dir = path.Dir(dir) {
			if _, known := s.Paths[dir]; !known {
				s.Paths[dir] = rootDir()
			}
			if dir == "/" {
				break
			}
		}
	}
	maps.Copy(s.Paths, entries)
}

func account(s *facts.Server, name string, id int, members ...string) {
	s.Users[name] = facts.User{Exists: true, UID: id, Group: name, Home: "/nonexistent", Shell: "/usr/sbin/nologin", Locked: true, Service: id < 1000}
	s.Groups[name] = facts.Group{Exists: true, GID: id, Members: members}
}

func debian() facts.Server {
	s := facts.Server{
		OS:    facts.OS{ID: "debian", Version: "12"},
		Paths: map[string]facts.Path{}, Users: map[string]facts.User{}, Groups: map[string]facts.Group{},
		Units: map[string]facts.Unit{}, Trees: map[string]facts.Tree{},
	}
	account(&s, "root", 0)
	account(&s, "www-data", 33)
	account(&s, "games", 5)
	account(&s, "adm", 4)
	account(&s, "shadow", 42)
	account(&s, "mysql", 101)
	account(&s, "messagebus", 100)
	put(&s, map[string]facts.Path{
		"/etc/passwd": rootFile(), "/etc/group": rootFile(),
		"/etc/shadow":                          inode(facts.File, "root", "shadow", 0o640),
		"/etc/crontab":                         rootFile(),
		"/etc/cron.daily/logrotate":            inode(facts.File, "root", "root", 0o755),
		"/usr/bin/php8.2":                      inode(facts.File, "root", "root", 0o755),
		"/usr/bin/php":                         link("php8.2"),
		"/usr/sbin/php-fpm8.2":                 inode(facts.File, "root", "root", 0o755),
		"/usr/sbin/mariadbd":                   inode(facts.File, "root", "root", 0o755),
		"/usr/sbin/cron":                       inode(facts.File, "root", "root", 0o755),
		"/lib/systemd/system/mariadb.service":  rootFile(),
		"/lib/systemd/system/cron.service":     rootFile(),
		"/run/mysqld":                          inode(facts.Dir, "mysql", "root", 0o755),
		"/run/mysqld/mysqld.sock":              inode(facts.Other, "mysql", "mysql", 0o777),
		"/var/lib/mysql":                       inode(facts.Dir, "mysql", "mysql", 0o755),
		"/var/lib/mysql/matomo":                inode(facts.Dir, "mysql", "mysql", 0o700),
		"/tmp":                                 inode(facts.Dir, "root", "root", 0o1777),
		"/var/tmp":                             inode(facts.Dir, "root", "root", 0o1777),
		"/etc/php/8.2/fpm/php.ini":             rootFile(),
		"/etc/php/8.2/cli/php.ini":             rootFile(),
		"/etc/systemd/system/rocca-x.service":  rootFile(),
		"/usr/lib/systemd/system/nginx.socket": rootFile(),
	})
	s.Units["mariadb.service"] = facts.Unit{Loaded: true, Active: true, Fragment: "/lib/systemd/system/mariadb.service",
		Runs: facts.Runs{User: "mysql", Exec: []facts.Exec{{When: "ExecStart", Path: "/usr/sbin/mariadbd"}}, Sandbox: map[string]string{"ProtectSystem": "full", "ProtectHome": "yes"}}}
	s.Units["cron.service"] = facts.Unit{Loaded: true, Active: true, Fragment: "/lib/systemd/system/cron.service",
		Runs: facts.Runs{Exec: []facts.Exec{{When: "ExecStart", Path: "/usr/sbin/cron", Args: []string{"-f"}}}}}
	s.Jobs = []facts.Job{{File: "/etc/cron.daily/logrotate", User: "root", When: "daily", Command: "/etc/cron.daily/logrotate", Programs: []string{"/etc/cron.daily/logrotate"}}}
	s.Processes = []facts.Process{
		{PID: 1, Name: "systemd", User: "root", Group: "root"},
		{PID: 34, Name: "dbus-daemon", User: "messagebus", Group: "messagebus", Unit: "dbus.service"},
		{PID: 99, Name: "mariadbd", User: "mysql", Group: "mysql", Unit: "mariadb.service"},
	}
	s.Listeners = []facts.Listener{{Port: 3306, Address: "127.0.0.1", Program: "mariadbd"}}
	s.PHP.Branch = "8.2"
	s.PHP.SAPIs = []facts.SAPI{{Name: "fpm", Branch: "8.2", Files: []string{"/etc/php/8.2/fpm/php.ini"}}, {Name: "cli", Branch: "8.2", Files: []string{"/etc/php/8.2/cli/php.ini"}}}
	s.Database = facts.Database{Reached: true, Version: "10.11.6-MariaDB", DataDir: "/var/lib/mysql/", All: true,
		Schemas: map[string][]string{"matomo": {"matomo_log_visit", "matomo_user"}},
		Accounts: map[string]facts.Account{
			"root@localhost":        {Exists: true, Identity: "mysql_native_password OR unix_socket", Grants: []string{"ALL PRIVILEGES ON *.* WITH GRANT OPTION"}},
			"mysql@localhost":       {Exists: true, Identity: "mysql_native_password OR unix_socket", Grants: []string{"ALL PRIVILEGES ON *.* WITH GRANT OPTION"}},
			"mariadb.sys@localhost": {Exists: true, Locked: true, Grants: []string{"SELECT, DELETE ON `mysql`.`global_priv`"}},
		},
	}
	return s
}

// release is the code of Matomo, all of one owner.
func release(owner string, dir, file fs.FileMode) facts.Tree {
	tree := facts.Tree{}
	for _, d := range []string{".", "config", "core", "core/Tracker", "plugins", "plugins/Login", "vendor", "misc", "misc/user", "js", "tmp"} {
		tree[d] = inode(facts.Dir, owner, owner, dir)
	}
	for _, f := range []string{"index.php", "matomo.php", "matomo.js", "piwik.js", "config/global.ini.php", "core/Tracker/Cache.php", "plugins/Login/Auth.php", "vendor/autoload.php"} {
		tree[f] = inode(facts.File, owner, owner, file)
	}
	tree["console"] = inode(facts.File, owner, owner, file|0o111)
	return tree
}

func context(name, user, data, password string) facts.Context {
	c := facts.Context{Name: name, User: user, Data: data, Config: data + "/config/config.ini.php", Tmp: data + "/tmp",
		Settings: map[string][]string{"database.username": {"matomo"}, "database.dbname": {"matomo"}, "database.host": {"127.0.0.1"}},
		Secrets:  map[string]facts.Strength{"database.password": {Length: len(password)}, "General.salt": {Length: 32}}}
	return c
}

func apache(s *facts.Server, sites ...facts.Site) {
	put(s, map[string]facts.Path{"/etc/apache2/apache2.conf": rootFile(), "/etc/apache2/sites-enabled": rootDir(), "/usr/sbin/apache2": inode(facts.File, "root", "root", 0o755), "/lib/systemd/system/apache2.service": rootFile(),
		"/var/log/apache2/access.log": inode(facts.File, "root", "adm", 0o640), "/var/log/apache2": inode(facts.Dir, "root", "adm", 0o750)})
	s.Front = facts.Front{Program: "apache2", User: "www-data", Group: "www-data", Config: "/etc/apache2/apache2.conf", Sites: sites}
	s.Units["apache2.service"] = facts.Unit{Loaded: true, Active: true, Fragment: "/lib/systemd/system/apache2.service",
		Runs: facts.Runs{Exec: []facts.Exec{{When: "ExecStart", Path: "/usr/sbin/apachectl", Args: []string{"start"}}}, Sandbox: map[string]string{"PrivateTmp": "yes"}}}
	s.Processes = append(s.Processes, facts.Process{PID: 300, Name: "apache2", User: "www-data", Group: "www-data", Unit: "apache2.service"})
	s.Logs.Files = []facts.LogFile{{Path: "/var/log/apache2/access.log", Kind: "access", FullIPs: 10}}
}

func location(backend string) []facts.Location {
	return []facts.Location{{Kind: "files", Match: `\.php$`, Backend: backend}}
}

// stock is internal/demo/weak/stock.sh.
func stock() facts.Server {
	s := debian()
	apache(&s, facts.Site{File: "/etc/apache2/sites-enabled/matomo.conf", Docroot: "/var/www/matomo", Real: "/var/www/matomo", Matomo: true, Listens: []facts.Listen{{Port: 80}}})
	tree := release("www-data", 0o755, 0o644)
	tree["config/config.ini.php"] = inode(facts.File, "www-data", "www-data", 0o644)
	s.Trees["/var/www/matomo"] = tree
	put(&s, map[string]facts.Path{"/var/www/matomo": inode(facts.Dir, "www-data", "www-data", 0o755), "/etc/cron.d/matomo-archive": rootFile(), "/etc/php/8.2/apache2/php.ini": rootFile()})
	s.PHP.SAPIs = append(s.PHP.SAPIs, facts.SAPI{Name: "apache2", Branch: "8.2", Files: []string{"/etc/php/8.2/apache2/php.ini"}})
	s.PHP.Pools = []facts.Pool{{Name: "apache2", SAPI: "apache2", Branch: "8.2", File: "/etc/php/8.2/apache2/php.ini", Master: "apache2.service", MasterAs: "root", User: "www-data", Group: "www-data", Role: "ui tracker"}}
	s.Matomo = facts.Matomo{Root: "/var/www/matomo", Real: "/var/www/matomo", Contexts: []facts.Context{context("ui", "www-data", "/var/www/matomo", "secret")}}
	s.Jobs = append(s.Jobs, facts.Job{File: "/etc/cron.d/matomo-archive", Line: 1, User: "www-data", When: "5 * * * *", Command: "/usr/bin/php /var/www/matomo/console core:archive >/dev/null", Programs: []string{"/usr/bin/php", "/var/www/matomo/console", "/dev/null"}})
	s.Database.Accounts["matomo@localhost"] = facts.Account{Exists: true, Identity: "mysql_native_password", Grants: []string{"ALL PRIVILEGES ON `matomo`.*"}}
	return s
}

// s1 is internal/demo/weak/s1.sh.
func s1() facts.Server {
	s := debian()
	const root = "/var/www/html"
	apache(&s, facts.Site{File: "/etc/apache2/sites-enabled/matomo.conf", Docroot: root, Real: root, Matomo: true, Listens: []facts.Listen{{Port: 80}}})
	tree := release("www-data", 0o755, 0o755)
	for _, d := range []string{"tmp", "config"} {
		i := tree[d]
		i.Mode = 0o777
		tree[d] = i
	}
	tree["config/config.ini.php"] = inode(facts.File, "www-data", "www-data", 0o644)
	s.Trees[root] = tree
	put(&s, map[string]facts.Path{root: inode(facts.Dir, "www-data", "www-data", 0o755), "/run/php/php8.2-fpm.sock": inode(facts.Other, "www-data", "www-data", 0o660), "/run/php": inode(facts.Dir, "www-data", "www-data", 0o755)})
	fpm(&s)
	s.PHP.Pools = []facts.Pool{{Name: "www", SAPI: "fpm", Branch: "8.2", File: "/etc/php/8.2/fpm/pool.d/www.conf", Master: "php8.2-fpm.service", MasterAs: "root", User: "www-data", Group: "www-data",
		Listen: "/run/php/php8.2-fpm.sock", Owner: "www-data", OwnGroup: "www-data", Mode: "0660", Role: "ui tracker"}}
	s.Matomo = facts.Matomo{Root: root, Real: root, Contexts: []facts.Context{context("ui", "www-data", root, "secret")}}
	s.Database.Accounts["matomo@127.0.0.1"] = facts.Account{Exists: true, Identity: "mysql_native_password", Grants: []string{"ALL PRIVILEGES ON `matomo`.*"}}
	return s
}

func fpm(s *facts.Server) {
	put(s, map[string]facts.Path{"/lib/systemd/system/php8.2-fpm.service": rootFile(), "/etc/php/8.2/fpm/pool.d": rootDir()})
	s.Units["php8.2-fpm.service"] = facts.Unit{Loaded: true, Active: true, Fragment: "/lib/systemd/system/php8.2-fpm.service",
		Runs: facts.Runs{Exec: []facts.Exec{{When: "ExecStart", Path: "/usr/sbin/php-fpm8.2", Args: []string{"--nodaemonize", "--fpm-config", "/etc/php/8.2/fpm/php-fpm.conf"}}}}}
}

// s2 is internal/demo/weak/s2.sh.
func s2() facts.Server {
	s := debian()
	const base = "/var/www/matomo"
	const real = base + "/www-matomo.5.3.0"
	apache(&s,
		facts.Site{File: "/etc/apache2/sites-enabled/000-matomo.conf", Names: []string{"matomo.localhost"}, Docroot: base + "/www", Real: real, Matomo: true, Listens: []facts.Listen{{Port: 80}}, Locations: location("127.0.0.1:9000")},
		facts.Site{File: "/etc/apache2/sites-enabled/app2.conf", Names: []string{"app2.localhost"}, Docroot: "/var/www/app2/www", Real: "/var/www/app2/www-app2.1.0", Listens: []facts.Listen{{Port: 80}}, Locations: location("127.0.0.1:9001")})
	fpm(&s)
	account(&s, "apache-matomo", 996)
	account(&s, "apache-app2", 997)
	own := func(mode fs.FileMode) facts.Path { return inode(facts.Dir, "apache-matomo", "apache-matomo", mode) }
	tree := release("root", 0o755, 0o644)
	tree["."], tree["config"], tree["tmp"] = own(0o775), own(0o755), own(0o770)
	tree["matomo.js"] = inode(facts.File, "apache-matomo", "apache-matomo", 0o644)
	tree["piwik.js"] = tree["matomo.js"]
	tree["config/config.ini.php"] = tree["matomo.js"]
	tree["tmp/templates_c"] = own(0o755)
	s.Trees[real] = tree
	put(&s, map[string]facts.Path{
		base + "/tmp": own(0o770), base + "/www": link("www-matomo.5.3.0"), real: own(0o775),
		"/var/www/app2/tmp": inode(facts.Dir, "apache-app2", "apache-app2", 0o770), "/var/www/app2/www": link("www-app2.1.0"),
		"/var/www/app2/www-app2.1.0": inode(facts.Dir, "apache-app2", "apache-app2", 0o775),
	})
	pool := func(name, port, role string) facts.Pool {
		put(&s, map[string]facts.Path{"/etc/php/8.2/fpm/pool.d/" + name + ".conf": rootFile()})
		s.Processes = append(s.Processes, facts.Process{Name: "php-fpm8.2", User: "apache-" + name, Group: "apache-" + name, Unit: "php8.2-fpm.service"})
		s.Listeners = append(s.Listeners, facts.Listener{Port: 9000, Address: "127.0.0.1", Unit: "php8.2-fpm.service"})
		return facts.Pool{Name: name, SAPI: "fpm", Branch: "8.2", File: "/etc/php/8.2/fpm/pool.d/" + name + ".conf", Master: "php8.2-fpm.service", MasterAs: "root",
			User: "apache-" + name, Group: "apache-" + name, Listen: "127.0.0.1:" + port, Role: role}
	}
	s.PHP.Pools = []facts.Pool{pool("app2", "9001", ""), pool("matomo", "9000", "ui tracker")}
	s.Matomo = facts.Matomo{Root: base + "/www", Real: real, Contexts: []facts.Context{context("ui", "apache-matomo", real, "secret")}}
	s.Database.Accounts["matomo@127.0.0.1"] = facts.Account{Exists: true, Identity: "mysql_native_password", Grants: []string{"USAGE ON *.*", "ALL PRIVILEGES ON `matomo`.*"}}
	return s
}

// own is a server that rocca set up, with a further application.
func own() facts.Server {
	s := debian()
	account(&s, "matomo", 998)
	account(&s, "matomo-tracker", 997)
	account(&s, "matomo-admin", 996)
	account(&s, "app2", 995)
	const base, state = "/var/www/matomo", "/var/lib/matomo"
	const real = base + "/www-matomo.5.3.0"
	tree := release("root", 0o755, 0o644)
	delete(tree, "tmp")
	tree["bootstrap.php"] = rootFile()
	tree["misc/user"] = link("/var/lib/matomo/user")
	s.Trees[real] = tree
	dirOf := func(user string, mode fs.FileMode) facts.Path { return inode(facts.Dir, user, user, mode) }
	group := func(kind facts.Type, name string, mode fs.FileMode) facts.Path {
		return inode(kind, "root", name, mode)
	}
	put(&s, map[string]facts.Path{
		base + "/www": link("www-matomo.5.3.0"), real: rootDir(), base + "/scripts/matomo.js": rootFile(),
		state + "/config": group(facts.Dir, "matomo", 0o750), state + "/config/config.ini.php": group(facts.File, "matomo", 0o640),
		state + "/tmp": dirOf("matomo", 0o700), state + "/user": inode(facts.Dir, "matomo", "www-data", 0o2750),
		state + "-tracker/config": group(facts.Dir, "matomo-tracker", 0o750), state + "-tracker/config/config.ini.php": group(facts.File, "matomo-tracker", 0o640),
		state + "-tracker/tmp": dirOf("matomo-tracker", 0o700),
		state + "-cron":        group(facts.Dir, "matomo", 0o750), state + "-cron/tmp": dirOf("matomo", 0o700),
		state + "-admin": group(facts.Dir, "matomo-admin", 0o750), state + "-admin/config": dirOf("matomo-admin", 0o700), state + "-admin/tmp": dirOf("matomo-admin", 0o700),
		"/run/matomo/ui.sock": group(facts.Other, "www-data", 0o660), "/run/matomo/tracker.sock": group(facts.Other, "www-data", 0o660), "/run/matomo/app2.sock": group(facts.Other, "www-data", 0o660),
		"/etc/rocca/tls": inode(facts.Dir, "root", "root", 0o700), "/etc/rocca/tls/self-signed.key": inode(facts.File, "root", "root", 0o600),
		"/etc/nginx/nginx.conf": rootFile(), "/etc/nginx/sites-enabled/matomo.conf": link("../sites-available/matomo.conf"), "/etc/nginx/sites-available/matomo.conf": rootFile(),
		"/srv/app2": rootDir(), "/srv/app2/index.php": rootFile(), "/var/lib/rocca-apps/app2/tmp": dirOf("app2", 0o700),
		"/etc/systemd/system/rocca-php@.service": rootFile(), "/usr/sbin/nginx": inode(facts.File, "root", "root", 0o755), "/lib/systemd/system/nginx.service": rootFile(),
		"/var/log/nginx": inode(facts.Dir, "root", "adm", 0o750), "/var/log/nginx/access.log": inode(facts.File, "www-data", "adm", 0o640),
	})
	s.Units["nginx.service"] = facts.Unit{Loaded: true, Active: true, Fragment: "/lib/systemd/system/nginx.service",
		Runs: facts.Runs{Exec: []facts.Exec{{When: "ExecStart", Path: "/usr/sbin/nginx", Args: []string{"-g", "daemon on; master_process on;"}}}}}
	s.Processes = append(s.Processes, facts.Process{PID: 300, Name: "nginx", User: "www-data", Group: "www-data", Unit: "nginx.service"})
	s.Listeners = []facts.Listener{{Port: 443, Address: "0.0.0.0", Program: "nginx"}}
	s.Logs.Files = []facts.LogFile{{Path: "/var/log/nginx/access.log", Kind: "access", FullIPs: 3}}
	sandbox := func(more map[string]string) map[string]string {
		all := map[string]string{"NoNewPrivileges": "yes", "PrivateUsers": "yes", "ProtectSystem": "strict", "ProtectHome": "yes", "PrivateTmp": "yes", "NoExecPaths": "/", "RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX",
			"InaccessiblePaths": "-/root -/home -/etc/ssl/private -/etc/rocca/tls -/var/lib/rocca -/run/dbus", "IPAddressDeny": "169.254.0.0/16 fd00:ec2::254/128"}
		for name, value := range more {
			if name == "InaccessiblePaths" {
				value = all[name] + " " + value
			}
			all[name] = value
		}
		return all
	}
	service := func(role, user string, more map[string]string) {
		unit := "rocca-php@" + role + ".service"
		drop := "/etc/systemd/system/" + unit + ".d/role.conf"
		put(&s, map[string]facts.Path{drop: rootFile(), "/etc/rocca/php/" + role + ".conf": rootFile(), "/etc/rocca/php/" + role + ".ini": rootFile()})
		s.Units[unit] = facts.Unit{Loaded: true, Active: true, Fragment: "/etc/systemd/system/rocca-php@.service", DropIns: []string{drop},
			Runs: facts.Runs{User: user, Group: user, Sandbox: sandbox(more), Exec: []facts.Exec{
				{When: "ExecStart", Path: "/usr/sbin/php-fpm8.2", Args: []string{"--nodaemonize", "-c", "/etc/rocca/php/" + role + ".ini"}}, {When: "ExecReload", Path: "/bin/kill", Root: true}}}}
		s.PHP.Pools = append(s.PHP.Pools, facts.Pool{Name: role, SAPI: "fpm", Branch: "8.2", File: "/etc/rocca/php/" + role + ".conf", Master: unit, MasterAs: user, User: user, Group: user,
			Listen: "/run/matomo/" + role + ".sock", Owner: "root", OwnGroup: "www-data", Mode: "0660", Role: strings.TrimPrefix(role, "app2")})
		s.Processes = append(s.Processes, facts.Process{Name: "php-fpm8.2", User: user, Group: user, Unit: unit})
	}
	hides := func(paths ...string) string { return "-" + strings.Join(paths, " -") }
	service("ui", "matomo", map[string]string{"ReadWritePaths": state + "/tmp " + state + "/user", "InaccessiblePaths": hides(state+"-tracker", state+"-admin", state+"-cron", "/srv/app2")})
	service("tracker", "matomo-tracker", map[string]string{"ReadWritePaths": state + "-tracker/tmp", "PrivateNetwork": "yes", "RestrictAddressFamilies": "AF_UNIX", "InaccessiblePaths": hides(state, state+"-admin", state+"-cron", "/srv/app2")})
	service("app2", "app2", map[string]string{"ReadWritePaths": "/var/lib/rocca-apps/app2/tmp", "InaccessiblePaths": hides(state, state+"-tracker", state+"-admin", state+"-cron", base, "/run/matomo", "/var/lib/mysql")})
	put(&s, map[string]facts.Path{"/etc/systemd/system/rocca-archive.service": rootFile()})
	s.Units["rocca-archive.service"] = facts.Unit{Loaded: true, Fragment: "/etc/systemd/system/rocca-archive.service", Runs: facts.Runs{User: "matomo", Group: "matomo",
		Exec:    []facts.Exec{{When: "ExecStart", Path: "/usr/bin/php8.2", Args: []string{base + "/www/console", "core:archive"}}},
		Sandbox: sandbox(map[string]string{"BindPaths": state + "-cron/tmp:" + state + "/tmp:rbind", "ReadWritePaths": state + "/tmp", "InaccessiblePaths": hides(state+"-tracker", state+"-admin", "/srv/app2")})}}
	s.Front = facts.Front{Program: "nginx", User: "www-data", Group: "www-data", Config: "/etc/nginx/nginx.conf", Files: []string{"/etc/nginx/nginx.conf", "/etc/nginx/sites-enabled/matomo.conf"}, Sites: []facts.Site{
		{File: "/etc/nginx/sites-enabled/matomo.conf", Names: []string{"matomo.example.org"}, Docroot: base + "/www", Real: real, Matomo: true, Listens: []facts.Listen{{Port: 443, TLS: true}}, Key: "/etc/rocca/tls/self-signed.key",
			Locations: append(location("/run/matomo/ui.sock"), location("/run/matomo/tracker.sock")...)},
		{File: "/etc/nginx/sites-enabled/matomo.conf", Names: []string{"app2.example.org"}, Docroot: "/srv/app2", Real: "/srv/app2", Listens: []facts.Listen{{Port: 443, TLS: true}}, Locations: location("/run/matomo/app2.sock")}}}
	data := func(name, user, account, dir string) facts.Context {
		c := context(name, user, dir, "")
		c.Settings["database.username"] = []string{account}
		c.Settings["database.unix_socket"] = []string{databaseSocket}
		return c
	}
	cron := data("cron", "matomo", "matomo", state)
	cron.Tmp = state + "-cron/tmp"
	s.Matomo = facts.Matomo{Root: base + "/www", Real: real, Bootstrap: real + "/bootstrap.php", Contexts: []facts.Context{
		data("ui", "matomo", "matomo", state), data("tracker", "matomo-tracker", "matomo-tracker", state+"-tracker"), cron, data("admin", "matomo-admin", "matomo-admin", state+"-admin")}}
	s.Rocca = facts.Rocca{Installed: true, Link: base + "/www"}
	socket := func(grants ...string) facts.Account {
		return facts.Account{Exists: true, Identity: "unix_socket", Grants: grants}
	}
	s.Database.Accounts["matomo@localhost"] = socket("SELECT, INSERT, UPDATE, DELETE, CREATE, CREATE TEMPORARY TABLES ON `matomo`.*")
	s.Database.Accounts["matomo-tracker@localhost"] = socket("SELECT ON `matomo`.`matomo_user`", "SELECT, INSERT, UPDATE ON `matomo`.`matomo_log_visit`")
	s.Database.Accounts["matomo-admin@localhost"] = socket("ALL PRIVILEGES ON `matomo`.*")
	s.Database.Accounts["app2@localhost"] = socket("ALL PRIVILEGES ON `app2`.*")
	return s
}
