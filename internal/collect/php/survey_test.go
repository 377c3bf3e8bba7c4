package php

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aymanbagabas/go-udiff"
	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"rocca/internal/facts"
)

var update = flag.Bool("update", false, "write the golden files")

// plant makes the files of an archive. A file that begins with "-> " is a link.
func plant(t testing.TB, archive *txtar.Archive) string {
	t.Helper()
	root := t.TempDir()
	for _, file := range archive.Files {
		name := filepath.Join(root, file.Name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, isLink := strings.CutPrefix(string(file.Data), "-> "); isLink {
			err = os.Symlink(strings.TrimSpace(target), name)
		} else {
			err = os.WriteFile(name, file.Data, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func survey1(t *testing.T, text string, units map[string]facts.Unit, processes ...facts.Process) facts.PHP {
	t.Helper()
	found, err := Survey(plant(t, txtar.Parse([]byte(text))), units, processes)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// The servers that internal/demo/weak builds, as they are on Debian 12 but for
// comments.
func TestWeakServers(t *testing.T) {
	for _, name := range []string{"stock", "s1", "s2"} {
		t.Run(name, func(t *testing.T) {
			archive, err := txtar.ParseFile("testdata/" + name + ".txtar")
			if err != nil {
				t.Fatal(err)
			}
			found, err := Survey(plant(t, archive), nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, "testdata/"+name+".json", found)
		})
	}
}

// What rocca itself sets up: masters of units, with sockets of systemd.
func TestOwnServer(t *testing.T) {
	units := map[string]facts.Unit{}
	for _, role := range []string{"ui", "tracker"} {
		user := map[string]string{"ui": "matomo", "tracker": "matomo-tracker"}[role]
		units["rocca-php@"+role+".service"] = facts.Unit{
			Loaded: true, Active: true, Fragment: "/etc/systemd/system/rocca-php@.service", DropIns: []string{"/etc/systemd/system/rocca-php@" + role + ".service.d/role.conf"},
			Runs: facts.Runs{User: user, Group: user, Exec: []facts.Exec{{When: "ExecStart", Path: "/usr/sbin/php-fpm8.2",
				Args: []string{"--nodaemonize", "-c", "/etc/rocca/php/" + role + ".ini", "--fpm-config", "/etc/rocca/php/" + role + ".conf"}}}},
		}
		units["rocca-php@"+role+".socket"] = facts.Unit{Loaded: true, Listens: facts.Listens{Streams: []string{"/run/matomo/" + role + ".sock"}, SocketUser: "root", SocketGroup: "www-data", SocketMode: "0660"}}
	}
	units["php8.2-fpm.service"] = facts.Unit{Masked: true}
	found, err := Survey("../../blueprint/testdata/nginx-12/files", units, nil)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/own.json", found)
}

func golden(t *testing.T, file string, found facts.PHP) {
	t.Helper()
	got, err := json.MarshalIndent(found, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != string(got) {
		t.Errorf("differs from %s; go test ./internal/collect/php -update writes it anew\n%s", file, udiff.Unified("want", "got", string(want), string(got)))
	}
}

const stockFPM = `
-- usr/sbin/php-fpm8.2 --
X-Powered-By: PHP/8.2.29
-- etc/php/8.2/fpm/php.ini --
memory_limit = 128M
disable_functions = exec
display_errors = Off
-- etc/php/8.2/fpm/php-fpm.conf --
[global]
error_log = /var/log/fpm.log
include=/etc/php/8.2/fpm/pool.d/*.conf
-- etc/php/8.2/fpm/pool.d/www.conf --
[www]
user = www-data
listen = 9000
pm.max_children = 5
`

func TestWhichMastersCount(t *testing.T) {
	for _, test := range []struct {
		name      string
		units     map[string]facts.Unit
		processes []facts.Process
		files     string
		want      []string // masters
	}{
		{name: "nothing is known", want: []string{"php8.2-fpm.service"}},
		{name: "loaded", units: map[string]facts.Unit{"php8.2-fpm.service": {Loaded: true}}, want: []string{"php8.2-fpm.service"}},
		{name: "masked", units: map[string]facts.Unit{"php8.2-fpm.service": {Masked: true}}},
		{name: "masked and still running", units: map[string]facts.Unit{"php8.2-fpm.service": {Masked: true, Active: true}}, want: []string{"php8.2-fpm.service"}},
		{name: "masked on disk", files: "-- etc/systemd/system/php8.2-fpm.service --\n-> /dev/null\n-- dev/null --\n"},
		{name: "another unit with the same file", units: map[string]facts.Unit{"mine.service": {Loaded: true, Runs: facts.Runs{Exec: []facts.Exec{{When: "ExecStart", Path: "/usr/sbin/php-fpm8.2", Args: []string{"-y/etc/php/8.2/fpm/php-fpm.conf"}}}}}},
			want: []string{"mine.service"}},
		{name: "started by hand", units: map[string]facts.Unit{"php8.2-fpm.service": {Masked: true}}, processes: []facts.Process{{Program: "/usr/sbin/php-fpm8.2", User: "root", Group: "root", Title: "php-fpm: master process (/etc/php/8.2/fpm/php-fpm.conf)"}},
			want: []string{"/etc/php/8.2/fpm/php-fpm.conf"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			for _, pool := range survey1(t, stockFPM+test.files, test.units, test.processes...).Pools {
				got = append(got, pool.Master)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPoolSettings(t *testing.T) {
	found := survey1(t, stockFPM+`
-- etc/php/8.2/fpm/pool.d/zz.conf --
[matomo]
user = matomo
listen = /var/run/php/$pool.sock
listen.owner = matomo
listen.group = www-data
listen.mode = 666
listen.acl_users = app,web
listen.allowed_clients = 127.0.0.1
pm.status_path = /fpm
ping.path = /alive
clear_env = no
env[HOME] = /srv
env[DB_PASSWORD] = "hunter2"
security.limit_extensions = .php .phtml
php_value[memory_limit] = 1G
php_admin_value[memory_limit] = 512M
php_value[memory_limit] = 2G
php_admin_flag[display_errors] = on
php_admin_value[disable_functions] = system
php_admin_value[extension] = imagick.so
php_admin_value[session.save_path] = "tcp://cache:6379?auth=hunter2"
-- etc/php/8.2/fpm/pool.d/loop.conf --
include=/etc/php/8.2/fpm/php-fpm.conf
-- etc/php/8.2/fpm/conf.d/20-x.ini --
[PATH=/var/www/x]
display_errors = On
-- etc/passwd --
matomo:x:999:998::/:/bin/false
-- etc/group --
matomo:x:998:
`, nil)
	if len(found.Pools) != 2 {
		t.Fatalf("%d pools, want 2", len(found.Pools))
	}
	www, p := found.Pools[0], found.Pools[1]
	if www.Name != "www" || www.Listen != "[::]:9000" || www.User != "www-data" || !www.ClearEnv || www.Owner != "" {
		t.Errorf("pool www: %+v", www)
	}
	settings := p.Settings
	p.Settings = nil
	want := facts.Pool{Name: "matomo", SAPI: "fpm", Branch: "8.2", File: "/etc/php/8.2/fpm/pool.d/zz.conf", Line: 1, Master: "php8.2-fpm.service", MasterAs: "root",
		User: "matomo", Group: "matomo", Listen: "/run/php/matomo.sock", Owner: "matomo", OwnGroup: "www-data", Mode: "0666", ACL: "users app,web", Clients: "127.0.0.1",
		Env: []string{"HOME", "DB_PASSWORD"}, SecretEnv: []string{"DB_PASSWORD"}, Status: "/fpm", Ping: "/alive", Extensions: []string{"imagick"}}
	if diff := cmp.Diff(want, p); diff != "" {
		t.Error(diff)
	}
	const file = "/etc/php/8.2/fpm/pool.d/zz.conf:"
	for name, want := range map[string]facts.Setting{
		"memory_limit":                     {Value: "512M", From: file + "16", Admin: true},
		"display_errors":                   {Value: "1", From: file + "18", Admin: true},
		"disable_functions":                {Value: "exec,system", From: file + "19", Admin: true},
		"security.limit_extensions":        {Value: ".php .phtml", From: file + "14"},
		"env[DB_PASSWORD]":                 {Value: "[redacted]", From: file + "13"},
		"session.save_path":                {Value: "tcp://cache:6379?auth=[redacted]", From: file + "21", Admin: true},
		"global.error_log":                 {Value: "/var/log/fpm.log", From: "/etc/php/8.2/fpm/php-fpm.conf:2"},
		"[PATH=/var/www/x] display_errors": {Value: "1", From: "/etc/php/8.2/fpm/conf.d/20-x.ini:2"},
	} {
		if diff := cmp.Diff(want, settings[name]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// A unit may name its settings in every way that php-fpm(8) knows.
func TestCommandLine(t *testing.T) {
	found := survey1(t, stockFPM+`
-- etc/own/php.ini --
memory_limit = ${LIMIT}
-- etc/own/scan/a.ini --
extension = gd
-- etc/own/pool.conf --
[own]
listen = 127.0.0.1:9100
-- etc/systemd/system/own@.service --
[Service]
Environment=LIMIT=64M "PHP_INI_SCAN_DIR=/etc/own/scan:"
# Environment=LIMIT=1M
-- etc/php/8.2/fpm/conf.d/b.ini --
zend_extension = opcache.so
`, map[string]facts.Unit{
		"php8.2-fpm.service": {Masked: true},
		"own@a.service": {Loaded: true, Fragment: "/etc/systemd/system/own@.service", Runs: facts.Runs{User: "a", Group: "b",
			Exec: []facts.Exec{{When: "ExecStart", Path: "/usr/sbin/php-fpm8.2", Args: []string{"-F", "--fpm-config=/etc/own/pool.conf", "-c", "/etc/own", "-d", "expose_php=off", "-dhtml_errors"}}}}},
	})
	if len(found.Pools) != 1 {
		t.Fatalf("pools: %+v", found.Pools)
	}
	p := found.Pools[0]
	if p.User != "a" || p.Group != "b" || p.MasterAs != "a" {
		t.Errorf("runs as %s:%s, master as %s", p.User, p.Group, p.MasterAs)
	}
	if diff := cmp.Diff([]string{"gd", "opcache"}, p.Extensions); diff != "" {
		t.Error(diff)
	}
	for name, want := range map[string]string{"memory_limit": "64M", "expose_php": "", "html_errors": "1"} {
		if got, set := p.Settings[name]; !set || got.Value != want {
			t.Errorf("%s = %+v, want %q", name, got, want)
		}
	}
}

func FuzzPools(f *testing.F) {
	f.Add("[www]\nlisten = 9000\nuser = x\n", "include = /etc/php/8.2/fpm/pool.d/*.conf\n")
	f.Add("[a]\ninclude=/etc/php/8.2/fpm/php-fpm.conf\n[b]\nphp_admin_value[x] = 1", "[global]\ninclude=/etc/php/8.2/fpm/pool.d/[")
	f.Add("include=/etc/php/8.2/fpm/../fpm/pool.d/x.conf\n", "include=pool.d/*\n[]\n=\n")
	root := plant(f, &txtar.Archive{Files: []txtar.File{{Name: "usr/sbin/php-fpm8.2"}, {Name: "etc/php/8.2/fpm/php-fpm.conf"}, {Name: "etc/php/8.2/fpm/pool.d/x.conf"}}})
	f.Fuzz(func(t *testing.T, pool, main string) {
		start := time.Now()
		for name, text := range map[string]string{"php-fpm.conf": main, "pool.d/x.conf": pool} {
			if err := os.WriteFile(root+"/etc/php/8.2/fpm/"+name, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		found, err := Survey(root, nil, nil)
		if err != nil {
			return
		}
		for _, p := range found.Pools {
			if p.File == "" || p.Line < 1 || p.Master == "" {
				t.Fatalf("a pool without a place: %+v", p)
			}
		}
		if elapsed := time.Since(start); elapsed > 20*time.Second {
			t.Fatalf("took %s", elapsed)
		}
	})
}
