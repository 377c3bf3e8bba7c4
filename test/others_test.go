package test

import (
	"os"
	"strings"
	"testing"
)

// TestOthersOnTheServer: what an admin adds to a server of rocca's, at the
// worst moments, outlives rocca's undo.
func TestOthersOnTheServer(t *testing.T) {
	m := newMachine(t)
	m.credentialsPlaces(t)
	bare, bareState := m.files(t), m.systemState(t)

	m.killUp(t, func(e event) bool {
		return e.Step == "packages of the front and PHP" && strings.HasPrefix(e.Text, "Setting up ")
	})
	m.run(t, "sh", "-c", "while pgrep -x 'apt-get|dpkg' >/dev/null; do sleep 0.2; done") // it goes on without rocca
	planted := m.plant(t)
	m.up(t)
	m.accountAsItWas(t)

	m.run(t, "mariadb", "-e", "CREATE DATABASE shop; CREATE TABLE shop.orders (id INT); INSERT INTO shop.orders VALUES (7)")
	m.run(t, "sh", "-c", `echo '# ours' >>/etc/nginx/mime.types; mkdir -p /root/shop/DEBIAN
printf 'Package: shop\nVersion: 1\nArchitecture: all\nMaintainer: admin\nDepends: php-common\nDescription: shop\n' >/root/shop/DEBIAN/control
dpkg-deb --build /root/shop /root/shop.deb && dpkg -i /root/shop.deb`)
	b := m.browser(t)
	if hit := b.do("POST", "matomo.php", "application/json", `{"requests":["?idsite=1&rec=1&url=http://localhost/kept"]}`); hit.status != 200 {
		t.Fatalf("a hit: status %d", hit.status)
	}
	visits := m.query(t, "SELECT COUNT(*) FROM matomo_log_visit")
	config := string(m.read(t, "/etc/rocca/rocca.yaml"))
	m.write(t, "/etc/rocca/rocca.yaml", []byte(config+"database: {name: renamed, prefix: other_}\n"))

	t.Run("undo", func(t *testing.T) {
		got := m.undo(t, "1")
		if !strings.Contains(got, "visits") || !strings.Contains(got, "(shop)") {
			t.Errorf("it does not tell what stays, and why:\n%s", tailOf(got))
		}
		if left := m.query(t, "SELECT COUNT(*) FROM matomo_log_visit"); left != visits || visits == "0" {
			t.Errorf("%s visits, were %s", left, visits)
		}
		m.shopIsWhole(t)
		for _, needed := range []string{"shop", "php-common", "mariadb-server"} {
			if status := m.run(t, "dpkg-query", "-W", "-f", "${db:Status-Abbrev}", needed); !strings.HasPrefix(status, "ii") {
				t.Errorf("package %s is %q", needed, status)
			}
		}
	})
	t.Run("undo with its data", func(t *testing.T) {
		m.run(t, "dpkg", "--purge", "shop")
		got := m.undo(t, "--delete-data", "1")
		if !strings.Contains(got, "(shop)") || !strings.Contains(got, "kept in /var/lib/rocca/kept/run-1") {
			t.Errorf("it does not tell what stays, and what is kept:\n%s", tailOf(got))
		}
		m.shopIsWhole(t)
		if left := m.run(t, "mariadb", "-BNe", "SHOW DATABASES LIKE 'matomo'"); left != "" {
			t.Error("the data that may go stays")
		}
		const kept = "/var/lib/rocca/kept/run-1/etc/nginx/"
		for name, want := range map[string]string{
			"sites-available/shop": "640 www-data:www-data # the shop's", "sites-enabled/shop": "", "mime.types": "644 root:root # ours",
		} {
			got, err := m.describe(m.Root() + kept + name)
			if err != nil || want == "" && !strings.Contains(got, "-> /etc/nginx/sites-available/shop") {
				t.Errorf("%s: %s %v", name, got, err)
			}
			if want != "" {
				if got := m.run(t, "sh", "-c", "stat -c '%a %U:%G' "+kept+name+" | tr '\\n' ' '; tail -n 1 "+kept+name); got != want {
					t.Errorf("kept %s is %q, want %q", name, got, want)
				}
			}
		}
		if left := m.run(t, "sh", "-c", "find "+kept+" -type f -o -type l | wc -l"); left != "3" {
			t.Errorf("%s files are kept, want 3: %s", left, m.run(t, "find", kept))
		}
	})
	m.write(t, "/etc/rocca/rocca.yaml", []byte(config))
	t.Run("an account of the name", m.foreignAccount)
	t.Run("undo once all may go", func(t *testing.T) {
		m.run(t, "mariadb", "-e", "DROP USER matomo@localhost; DROP DATABASE shop")
		m.undo(t, "1")
		for _, path := range planted {
			if _, err := os.Lstat(m.Root() + path); err != nil {
				t.Error(err)
			}
		}
		m.run(t, "userdel", "bob")
		for _, path := range planted {
			m.run(t, "rm", path)
		}
		accounts := []string{"/etc/passwd", "/etc/passwd-", "/etc/shadow", "/etc/shadow-", "/etc/group", "/etc/group-", "/etc/gshadow", "/etc/gshadow-",
			"/etc/subuid", "/etc/subuid-", "/etc/subgid", "/etc/subgid-", "/etc/hosts", "/etc/rocca/rocca.yaml"}
		after := m.files(t, accounts...)
		for _, path := range accounts {
			delete(bare, path)
		}
		same(t, "after undo", bare, after)
		same(t, "after undo", bareState, m.systemState(t))
	})
}

// undo runs rocca undo to a good end and returns what it says.
func (m *machine) undo(t *testing.T, arguments ...string) string {
	t.Helper()
	got := m.rocca(t, "undo", append([]string{"--yes"}, arguments...)...)
	if got.code != 0 {
		t.Fatalf("rocca undo: exit %d\n%s%s", got.code, tailOf(got.stdout), got.stderr)
	}
	return got.stdout
}

// plant does what an admin may do at any time, and returns the files made that
// nothing of rocca's may take away.
func (m *machine) plant(t *testing.T) []string {
	t.Helper()
	m.run(t, "sh", "-c", `set -e
echo tool >/usr/bin/admin-tool
ln -s /usr/bin/admin-tool /etc/alternatives/admin-tool
echo '* * * * * root true' >/etc/cron.d/backup
printf '[Service]\nExecStart=/bin/true\n' >/etc/systemd/system/backup.service
echo '192.0.2.1 shop' >>/etc/hosts
useradd bob
printf 'server { listen 127.0.0.1:8099; }\n# the shop\047s\n' >/etc/nginx/sites-available/shop
chown www-data: /etc/nginx/sites-available/shop
chmod 0640 /etc/nginx/sites-available/shop
ln -s /etc/nginx/sites-available/shop /etc/nginx/sites-enabled/shop`)
	return []string{"/usr/bin/admin-tool", "/etc/alternatives/admin-tool", "/etc/cron.d/backup", "/etc/systemd/system/backup.service"}
}

// shopIsWhole looks for everything that is the admin's.
func (m *machine) shopIsWhole(t *testing.T) {
	t.Helper()
	if order := m.run(t, "mariadb", "-BNe", "SELECT id FROM shop.orders"); order != "7" {
		t.Errorf("the shop's orders: %q", order)
	}
	if m.run(t, "cat", "/usr/bin/admin-tool") != "tool" || m.run(t, "id", "-un", "bob") != "bob" || m.try(t, "grep", "-q", "shop", "/etc/hosts").code != 0 {
		t.Error("what the admin did outside of rocca's directories has gone")
	}
}

// accountAsItWas repairs an account of rocca's that has drifted, and takes the
// repair back to the letter.
func (m *machine) accountAsItWas(t *testing.T) {
	t.Helper()
	m.run(t, "mariadb", "-e", "ALTER USER matomo@localhost IDENTIFIED VIA unix_socket OR mysql_native_password USING PASSWORD('guess')")
	shown := func() string { return m.run(t, "mariadb", "-BNe", "SHOW CREATE USER matomo@localhost") }
	drifted := shown()
	if steps := m.planned(t); len(steps) != 1 || steps[0] != "database account matomo@localhost" {
		t.Errorf("a second way to log in is seen as %q", steps)
	}
	m.up(t)
	if now := shown(); strings.Contains(now, " OR ") {
		t.Errorf("it stays: %s", now)
	}
	m.undo(t)
	if now := shown(); now != drifted {
		t.Errorf("after undo: %s\nbefore: %s", now, drifted)
	}
	m.up(t)
}

// foreignAccount makes the account of somebody else that has the name that
// rocca would use.
func (m *machine) foreignAccount(t *testing.T) {
	m.run(t, "mariadb", "-e", "CREATE USER matomo@localhost IDENTIFIED BY 'theirs'; GRANT SELECT ON shop.* TO matomo@localhost")
	const show = "SHOW CREATE USER matomo@localhost; SHOW GRANTS FOR matomo@localhost"
	before, files := m.run(t, "mariadb", "-BNe", show), m.files(t, volatile...)
	got := m.rocca(t, "up", "--yes")
	if got.code != 2 || !strings.Contains(got.stderr, "rocca did not make") || !strings.Contains(got.stderr, "hint:") {
		t.Errorf("rocca up: exit %d\n%s%s", got.code, tailOf(got.stdout), got.stderr)
	}
	if after := m.run(t, "mariadb", "-BNe", show); after != before {
		t.Errorf("it is now\n%s\nand was\n%s", after, before)
	}
	same(t, "a refused rocca up", files, m.files(t, volatile...))
}

// credentialsPlaces: where the first login cannot go is known at once.
func (m *machine) credentialsPlaces(t *testing.T) {
	m.run(t, "sh", "-c", "echo old >/root/old; mkdir /srv/theirs; chown nobody /srv/theirs; ln -s /root/none /root/link")
	before := m.files(t)
	for _, place := range []string{"/root/old", "/root/link", "/none/login", "/srv/theirs/login", "/root/old/login"} {
		got := m.rocca(t, "up", "--yes", "--credentials-file", place)
		if got.code != 2 || !strings.Contains(got.stderr, "write the first login to "+place) {
			t.Errorf("%s: exit %d %s", place, got.code, got.stderr)
		}
	}
	same(t, "a refused rocca up", before, m.files(t))
	if m.try(t, "test", "-e", "/var/lib/rocca").code == 0 {
		t.Error("a refused rocca up leaves /var/lib/rocca behind")
	}
}
