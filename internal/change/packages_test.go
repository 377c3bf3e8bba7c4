package change

import (
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
`
	asked := []string{"libfoo:i386", "nginx", "php8.2-cli:amd64"}
	if diff := cmp.Diff([]string{"phpmyadmin"}, removedBesides(purge, asked)); diff != "" {
		t.Errorf("others that would go (-want +got)\n%s", diff)
	}
}

// TestOnlyWhatPackagesBroughtIsResidue: undo removes residue, so what others
// made while apt ran must not be taken for it.
func TestOnlyWhatPackagesBroughtIsResidue(t *testing.T) {
	before := system{Listing: []string{"/etc", "/etc/cron.d", "/etc/systemd", "/usr", "/usr/bin", "/var", "/var/lib", "/var/lib/app"}}
	slices.Sort(before.Listing)
	owned := map[string]bool{"/etc": true, "/etc/nginx": true, "/etc/nginx/nginx.conf": true, "/var/lib": true, "/etc/cron.d": true, "/etc/cron.d/php": true}
	scripts := []byte("datadir=/var/lib/mysql\n[ -e /var/www/html/index.html ] || mkdir -p /var/www/html\nrm -f /etc/apt.conf.d\n")
	for path, want := range map[string]bool{
		"/etc/nginx":                                true,
		"/etc/nginx/sites-enabled/default":          true,
		"/etc/cron.d/php":                           true,
		"/etc/cron.d/backup":                        false,
		"/etc/alternatives/php":                     true,
		"/etc/systemd/system/x.wants/nginx.service": true,
		"/var/lib/mysql":                            true,
		"/var/lib/mysql-files":                      false,
		"/var/lib/mysqlx/db":                        false,
		"/var/lib/app/upload":                       false,
		"/var/lib/docker/image":                     false,
		"/var/www":                                  true,
		"/var/www/html":                             true,
		"/var/www/html/index.html":                  true,
		"/var/www/shop/index.php":                   false,
		"/etc/apt.conf":                             false,
	} {
		if got := before.brought(path, owned, scripts); got != want {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
}
