package test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestLifecycle is the life of one server: set up, run again, drifted and
// repaired, in use, taken back with and without its data.
func TestLifecycle(t *testing.T) {
	m := newMachine(t)
	m.run(t, "sh", "-ec", inhabit)
	bare, state := m.files(t), m.systemState(t)
	m.password = m.up(t)
	t.Run("second run", m.untouched)
	t.Run("drift", m.drift)
	t.Run("undo of a later run", m.undoOfALaterRun)
	t.Run("undo with data", func(t *testing.T) { m.undoWithData(t, bare, state) })
}

// inhabit makes a server that somebody else uses already: a web server with
// changed settings, files where rocca will write, with owners, access control
// lists and times of their own, a user, a unit.
const inhabit = `
apt-get -y install nginx-light >/dev/null 2>&1 || apt-get -y install nginx >/dev/null
sed -i 's/worker_connections .*/worker_connections 512;/' /etc/nginx/nginx.conf
useradd --system shopkeeper
mkdir -p /var/www/shop
echo shop >/var/www/shop/index.html
chown -R shopkeeper /var/www/shop
chmod 0751 /var/www
echo '# mine' >/etc/nginx/snippets/matomo-fastcgi.conf
setfacl -m u:shopkeeper:rw /etc/nginx/snippets/matomo-fastcgi.conf
chmod 0604 /etc/nginx/snippets/matomo-fastcgi.conf
touch -d '2021-01-02 03:04:05.678' /etc/nginx/snippets/matomo-fastcgi.conf /var/www
printf '[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n' >/etc/systemd/system/own.service
systemctl enable --now own.service 2>/dev/null
systemctl reload nginx
`

// drifts are things that go wrong on a server, one by one, with the steps that
// mend each.
var drifts = []struct {
	name   string
	damage string // shell
	steps  []string
}{
	{"a mode", "chmod 0666 /etc/rocca/php/cron.ini", []string{"file /etc/rocca/php/cron.ini"}},
	{"an owner", "chown www-data /var/lib/matomo/config", []string{"directory /var/lib/matomo/config"}},
	{"an access control list", "setfacl -m u:www-data:rx /var/lib/matomo/tmp", []string{"directory /var/lib/matomo/tmp"}},
	{"an access control list of a file", "setfacl -m u:www-data:r " + uiConfig, []string{"file " + uiConfig}},
	{"a setting of Matomo", "sed -i 's/^enable_installer.*/enable_installer = 1/' " + uiConfig, []string{"file " + uiConfig}},
	{"a setting of PHP", "sed -i 's/^disable_functions.*/disable_functions =/' /etc/rocca/php/ui.ini", []string{"file /etc/rocca/php/ui.ini", "unit rocca-php@ui.service"}},
	{"a line of a unit", "sed -i '/^NoNewPrivileges/d' /etc/systemd/system/rocca-archive.service", []string{"file /etc/systemd/system/rocca-archive.service", "unit rocca-archive.timer"}},
	{"a drop-in of systemctl edit", "printf '[Service]\\nPrivateNetwork=no\\n' >/etc/systemd/system/rocca-php@tracker.service.d/override.conf && systemctl daemon-reload",
		[]string{"directory /etc/systemd/system/rocca-php@tracker.service.d", "unit rocca-php@tracker.service"}},
	{"a drop-in for this boot", "mkdir -p /run/systemd/system/rocca-php@ui.service.d && printf '[Service]\\nProtectSystem=no\\n' >/run/systemd/system/rocca-php@ui.service.d/x.conf && systemctl daemon-reload",
		[]string{"unit rocca-php@ui.service"}},
	{"a property", "systemctl set-property rocca-php@ui.service MemoryMax=10G", []string{"unit rocca-php@ui.service"}},
	{"a drop-in of a socket", "mkdir -p /etc/systemd/system/rocca-php@ui.socket.d && printf '[Socket]\\nSocketMode=0666\\n' >/etc/systemd/system/rocca-php@ui.socket.d/x.conf && systemctl daemon-reload",
		[]string{"unit rocca-php@ui.socket", "(unit rocca-php@ui.service)"}},
	{"a file of the code changed", "echo '//' >>CODE/index.php", []string{"code CODE"}},
	{"a file of the code added", "echo '<?php system($_GET[0]);' >CODE/shell.php", []string{"code CODE"}},
	{"a directory added to the code", "mkdir -p CODE/plugins/Evil/deep && echo '<?php' >CODE/plugins/Evil/deep/a.php && echo '<?php' >CODE/plugins/Evil/b.php", []string{"code CODE"}},
	{"a file of the code removed", "rm CODE/piwik.php", []string{"code CODE"}},
	{"a mode in the code", "chmod 0777 CODE/core", []string{"code CODE"}},
	{"a link in the code", "mv CODE/robots.txt /tmp/robots.txt 2>/dev/null || touch /tmp/robots.txt; ln -s /tmp/robots.txt CODE/robots2.txt; cp -p /tmp/robots.txt CODE/robots.txt", []string{"code CODE"}},
	{"the hook that moves the state", "echo '// more' >>CODE/bootstrap.php", []string{"file CODE/bootstrap.php", "unit rocca-php@tracker.service", "unit rocca-php@ui.service"}},
	{"the link to the release", "ln -sfn /tmp /var/www/matomo/www", []string{"link /var/www/matomo/www", "unit nginx.service"}},
	{"a compressed script", "echo x >/var/www/matomo/scripts/matomo.js.gz", []string{"pre-compressed tracker scripts"}},
	{"a grant too many", "mariadb -e \"GRANT FILE ON *.* TO 'matomo-tracker'@'localhost'\"", []string{"database account matomo-tracker@localhost"}},
	{"every grant", "mariadb -e \"GRANT ALL PRIVILEGES ON *.* TO 'matomo'@'localhost' WITH GRANT OPTION\"", []string{"database account matomo@localhost"}},
	{"a grant too few", "mariadb -e 'REVOKE INSERT ON matomo.matomo_log_visit FROM `matomo-tracker`@localhost'", []string{"database account matomo-tracker@localhost"}},
	{"an account dropped", "mariadb -e 'DROP USER matomo@localhost'", []string{"database account matomo@localhost"}},
	{"an account with a password", "mariadb -e \"ALTER USER matomo@localhost IDENTIFIED BY 'guess'\"", []string{"database account matomo@localhost"}},
	{"a stopped unit", "systemctl stop rocca-php@tracker.service", []string{"unit rocca-php@tracker.service"}},
	{"a stopped socket", "systemctl stop rocca-php@tracker.socket rocca-php@tracker.service", []string{"unit rocca-php@tracker.service", "unit rocca-php@tracker.socket"}},
	{"a masked unit", "systemctl mask --now rocca-php@ui.service", []string{"unit rocca-php@ui.service"}},
	{"a unit masked for this boot", "systemctl mask --runtime --now rocca-php@tracker.service", []string{"unit rocca-php@tracker.service"}},
	{"a disabled unit", "systemctl disable --now rocca-archive.timer", []string{"unit rocca-archive.timer"}},
	{"Debian's own pool", "systemctl unmask php*-fpm.service; systemctl start $(ls /lib/systemd/system | grep '^php.*-fpm.service')", []string{"unit php*-fpm.service"}},
	{"the default site", "ln -s ../sites-available/default /etc/nginx/sites-enabled/default", []string{"no /etc/nginx/sites-enabled/default", "unit nginx.service"}},
	{"the database's settings", "sed -i /skip-networking/d /etc/mysql/mariadb.conf.d/90-rocca.cnf", []string{"file /etc/mysql/mariadb.conf.d/90-rocca.cnf", "unit mariadb.service"}},
}

func (m *machine) drift(t *testing.T) {
	code := "/var/www/matomo/" + m.run(t, "readlink", "/var/www/matomo/www")
	fpm := m.run(t, "sh", "-c", "ls /lib/systemd/system | grep '^php.*-fpm.service'")
	expand := strings.NewReplacer("CODE", code, "php*-fpm.service", fpm)
	leaveOut := append(slices.Clone(volatile), planted...)
	before, state := m.files(t, leaveOut...), m.systemState(t)
	for _, d := range drifts {
		t.Run(d.name, func(t *testing.T) {
			m.run(t, "sh", "-ec", expand.Replace(d.damage))
			made, want := []string{}, []string{}
			var maybe string // in parentheses: it may have to be waited for
			for _, step := range d.steps {
				if maybe = strings.Trim(step, "()"); maybe == step {
					want = append(want, expand.Replace(step))
				}
			}
			slices.Sort(want)
			// What follows from a change, such as a restart, is planned when it is made.
			if planned := m.planned(t); !subset(planned, append(want, maybe)) || !slices.Contains(planned, causeOf(want)) {
				t.Errorf("plan %q, want %q", planned, want)
			}
			if got := m.rocca(t, "up", "--yes"); got.code != 0 {
				t.Fatalf("rocca up: exit %d\n%s%s", got.code, tailOf(got.stdout), got.stderr)
			}
			for _, step := range m.lastRun(t).Steps {
				if step != maybe || slices.Contains(want, step) {
					made = append(made, step)
				}
			}
			slices.Sort(made)
			if diff := cmp.Diff(want, made); diff != "" {
				t.Errorf("steps of the repair (-want +got)\n%s", diff)
			}
			if left := m.planned(t); len(left) > 0 {
				t.Errorf("after the repair something is to do: %q", left)
			}
			m.answers(t)
		})
	}
	if diff := cmp.Diff(withoutTimes(before), withoutTimes(m.files(t, leaveOut...))); diff != "" {
		t.Errorf("after all repairs (-before +after)\n%s", diff)
	}
	same(t, "after all repairs", state, m.systemState(t))
}

// planted are directories that the drifts make: what has an effect in them is
// removed, not they.
var planted = []string{"/etc/systemd/system.control", "/etc/systemd/system/rocca-php@ui.socket.d", "/etc/systemd/system/rocca-php@tracker.service.d"}

func subset(some, all []string) bool {
	return !slices.ContainsFunc(some, func(name string) bool { return !slices.Contains(all, name) })
}

// causeOf is the step that makes the others of a repair needed: units read
// what the rest writes.
func causeOf(steps []string) string {
	for _, name := range steps {
		if !strings.HasPrefix(name, "unit ") {
			return name
		}
	}
	return steps[len(steps)-1]
}

// withoutTimes leaves out when files were written.
func withoutTimes(files map[string]string) map[string]string {
	plain := map[string]string{}
	for name, text := range files {
		fields := strings.Fields(text)
		if len(fields) > 3 && len(fields[2]) == 64 {
			fields = slices.Delete(fields, 3, 4)
		}
		plain[name] = strings.Join(fields, " ")
	}
	return plain
}
