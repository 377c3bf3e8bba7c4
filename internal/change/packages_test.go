package change

import (
	"io/fs"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSimulationsAreRead(t *testing.T) {
	const install = `NOTE: This is only a simulation!
Reading package lists...
The following NEW packages will be installed:
  nginx nginx-common
Inst libc6 [2.36-9] (2.36-10 Debian:12/stable [amd64]) []
Inst nginx-common (1.22.1-9 Debian:12/stable [all])
Inst libfoo:i386 (1.0 Debian:12/stable [i386])
Inst nginx (1.22.1-9 Debian:12/stable [amd64])
Conf libc6 (2.36-10 Debian:12/stable [amd64])
Conf nginx (1.22.1-9 Debian:12/stable [amd64])
`
	if diff := cmp.Diff([]string{"nginx-common", "libfoo:i386", "nginx"}, installedBy(install)); diff != "" {
		t.Errorf("new packages (-want +got)\n%s", diff)
	}
	const purge = `The following packages will be REMOVED:
Purg nginx [1.22.1-9]
Purg libfoo:i386 [1.0]
Remv phpmyadmin [5.2]
Purg php8.2-cli [8.2.30]
Inst lighttpd (1.4.69-1 Debian:12/stable [amd64])
`
	asked := []string{"libfoo:i386", "nginx", "php8.2-cli:amd64"}
	if diff := cmp.Diff([]string{"phpmyadmin", "lighttpd"}, changedBesides(purge, asked)); diff != "" {
		t.Errorf("others that would go (-want +got)\n%s", diff)
	}
}

// TestOnlyWhatPackagesBroughtIsResidue: undo removes residue, so what others
// made while apt ran must not be taken for it.
func TestOnlyWhatPackagesBroughtIsResidue(t *testing.T) {
	before := system{Listing: []string{"/etc", "/etc/alternatives", "/etc/cron.d", "/etc/systemd", "/etc/systemd/system", "/usr", "/usr/bin", "/var", "/var/lib",
		"/var/lib/app", "/var/lib/systemd", "/var/lib/ucf", "/var/lib/ucf/cache"}}
	slices.Sort(before.Listing)
	owned := map[string]bool{"/etc": true, "/etc/nginx": true, "/etc/nginx/nginx.conf": true, "/var/lib": true, "/etc/cron.d": true, "/etc/cron.d/php": true,
		"/usr/bin/php8.2": true, "/usr/lib/systemd/system/nginx.service": true, "/etc/shared": true}
	others := map[string]bool{"/etc": true, "/usr/bin/getfacl": true, "/etc/shared": true, "/etc/apache2": true}
	links := map[string]string{
		"/usr/bin/php": "/etc/alternatives/php", "/etc/alternatives/php": "/usr/bin/php8.2",
		"/usr/bin/tool": "/opt/tool", "/etc/alternatives/editor": "/usr/bin/vim", "/usr/bin/loop": "loop",
		"/etc/alternatives/php-fpm.sock": "/run/php/php8.2-fpm.sock", "/etc/alternatives/app.sock": "/run/app/app.sock",
		"/etc/systemd/system/x.wants/nginx.service":  "/lib/systemd/system/nginx.service",
		"/etc/systemd/system/x.wants/backup.service": "/etc/systemd/system/backup.service",
	}
	readlink := func(path string) (string, error) {
		if target, there := links[path]; there {
			return target, nil
		}
		return "", fs.ErrNotExist
	}
	scripts := []byte("datadir=/var/lib/mysql\n[ -e /var/www/html/index.html ] || mkdir -p /var/www/html\nrm -f /etc/apt.conf.d\n: /etc/apache2/mods-enabled\nExecStartPost=-/usr/lib/php/helper install /run/php/php-fpm.sock 82\n")
	for path, want := range map[string]bool{
		"/etc/nginx":                                 true,
		"/etc/nginx/sites-enabled/default":           true,
		"/etc/cron.d/php":                            true,
		"/etc/cron.d/backup":                         false,
		"/etc/alternatives/php":                      true,
		"/etc/alternatives/editor":                   false,
		"/etc/alternatives/php-fpm.sock":             true,
		"/etc/alternatives/app.sock":                 false,
		"/etc/systemd/system/x.wants/nginx.service":  true,
		"/etc/systemd/system/x.wants/backup.service": false,
		"/etc/systemd/system/backup.service":         false,
		"/usr/bin/php":                               true,
		"/usr/bin/tool":                              false,
		"/usr/bin/loop":                              false,
		"/usr/bin/admin-tool":                        false,
		"/usr/bin/getfacl":                           false,
		"/var/lib/systemd/deb-systemd-helper-enabled/nginx.service.dsh-also": true,
		"/var/lib/systemd/timers/stamp-backup.timer":                         false,
		"/var/lib/ucf/cache/:etc:nginx:mime.types":                           true,
		"/var/lib/ucf/cache/:etc:vim:vimrc":                                  false,
		"/etc/shared/file":                                                   false,
		"/etc/apache2/sites-enabled/shop.conf":                               false,
		"/var/lib/mysql":                                                     true,
		"/var/lib/mysql-files":                                               false,
		"/var/lib/mysqlx/db":                                                 false,
		"/var/lib/app/upload":                                                false,
		"/var/lib/docker/image":                                              false,
		"/var/www":                                                           true,
		"/var/www/html":                                                      true,
		"/var/www/html/index.html":                                           true,
		"/var/www/shop/index.php":                                            false,
		"/etc/apt.conf":                                                      false,
	} {
		if got := before.brought(path, contents{owned, others, scripts, readlink}); got != want {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
}

func TestOnlyAStatusTellsOfAnInterruptedDpkg(t *testing.T) {
	const whole = "Package: a\nStatus: install ok installed\nDescription: reads half-open pipes, left\n unpacked\n half-configured triggers-pending\n\nPackage: b\nStatus: deinstall ok config-files\n"
	if halfDone([]byte(whole)) {
		t.Error("a description is taken for a state")
	}
	for _, state := range []string{"half-installed", "unpacked", "half-configured", "triggers-awaited", "triggers-pending"} {
		if !halfDone([]byte(whole + "\nPackage: c\nStatus: install ok " + state + "\n")) {
			t.Errorf("a package that is %s is not seen", state)
		}
	}
}

func TestServicesOfPackages(t *testing.T) {
	c := contents{owned: map[string]bool{
		"/usr/lib/systemd/system/b.service": true, "/lib/systemd/system/b.service": true, "/usr/lib/systemd/system/a.service": true,
		"/usr/lib/systemd/system/t@.service": true, "/usr/lib/systemd/system/a.timer": true, "/usr/share/doc/x.service": true,
	}}
	if got, want := c.services(), []string{"a.service", "b.service"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
