package test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"rocca/internal/run"
	"rocca/internal/testhost"
)

// remoteDatabase is a second database server on the throw-away server, spoken
// to as one on another machine: by TCP and a name. It accepts connections
// without TLS, so that one that lacks it would be seen, and logs everything.
type remoteDatabase struct {
	*server
	ca, otherCA authority
}

const (
	remoteHome     = "/srv/remote"
	remoteName     = "db.example.org"    // in the certificate
	remoteAlias    = "other.example.org" // not in it
	remotePassword = "Administrators-Secret-1"
)

// The administrator has what that of a managed server has, which is not all.
const remoteAdministrator = `CREATE USER 'dba'@'%' IDENTIFIED BY '` + remotePassword + `' REQUIRE SSL;
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, RELOAD, PROCESS, REFERENCES, INDEX, ALTER, SHOW DATABASES, CREATE TEMPORARY TABLES, LOCK TABLES,
  EXECUTE, CREATE VIEW, SHOW VIEW, CREATE ROUTINE, ALTER ROUTINE, CREATE USER, EVENT, TRIGGER ON *.* TO 'dba'@'%' WITH GRANT OPTION;`

func startRemoteDatabase(t *testing.T, s *server) *remoteDatabase {
	t.Helper()
	d := &remoteDatabase{s, newAuthority(t, "the database's"), newAuthority(t, "another")}
	s.run(t, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-y", "--no-install-recommends", "install", "mariadb-server")
	s.run(t, "systemctl", "disable", "--now", "mariadb.service")
	s.run(t, "sh", "-c", "echo 127.0.0.1 "+remoteName+" "+remoteAlias+" >>/etc/hosts")
	s.run(t, "install", "-d", "-o", "mysql", remoteHome)
	s.run(t, "mariadb-install-db", "--user=mysql", "--datadir="+remoteHome+"/data", "--skip-test-db")
	d.certificate(t, d.ca)
	s.write(t, remoteHome+"/my.cnf", []byte(`[mariadbd]
datadir = `+remoteHome+`/data
socket = `+remoteHome+`/socket
port = 3307
user = mysql
general_log = 1
general_log_file = `+remoteHome+`/general.log
log_bin = `+remoteHome+`/changes
`))
	d.start(t, "--skip-ssl")
	d.sql(t, "DELETE FROM mysql.global_priv WHERE User = ''; FLUSH PRIVILEGES;")
	return d
}

// start starts the server, or starts it anew.
func (d *remoteDatabase) start(t *testing.T, options ...string) {
	t.Helper()
	d.Try(run.Command{Argv: []string{"systemctl", "stop", "remote-database.service"}})
	d.run(t, slices.Concat([]string{"systemd-run", "--quiet", "--unit", "remote-database", "--service-type", "notify",
		"mariadbd", "--defaults-file=" + remoteHome + "/my.cnf"}, options)...)
}

// withTLS are the options of a server with a certificate.
var withTLS = []string{"--ssl-cert=" + remoteHome + "/server.pem", "--ssl-key=" + remoteHome + "/server.key"}

// certificate gives the server one that an authority issued.
func (d *remoteDatabase) certificate(t *testing.T, by authority) {
	t.Helper()
	certificate, key := by.issue(t, remoteName)
	d.write(t, remoteHome+"/server.pem", certificate)
	d.write(t, remoteHome+"/server.key", key)
}

// sql runs statements as the server's own root.
func (d *remoteDatabase) sql(t *testing.T, statements string) string {
	t.Helper()
	return d.run(t, "mariadb", "--batch", "--skip-column-names", "--socket", remoteHome+"/socket", "--execute", statements)
}

func (d *remoteDatabase) log(t *testing.T) string {
	return string(d.read(t, remoteHome+"/general.log"))
}

// configure writes rocca.yaml and the files that it names.
func (d *remoteDatabase) configure(t *testing.T, host, ca string, credentials string, mode os.FileMode) {
	t.Helper()
	d.write(t, "/etc/rocca/rocca.yaml", []byte("domain: [127.0.0.1]\nport: "+portOf(d.URL())+
		"\ndatabase: {host: "+host+", port: 3307, ca: /etc/rocca/ca.pem, credentials: /etc/rocca/database.yaml}\nports: [tcp/3307]\n")) // the server plays the other machine, too
	d.write(t, "/etc/rocca/ca.pem", []byte(ca))
	d.write(t, "/etc/rocca/database.yaml", []byte(credentials))
	if err := os.Chmod(d.Root()+"/etc/rocca/database.yaml", mode); err != nil {
		t.Fatal(err)
	}
}

func TestRemoteDatabase(t *testing.T) {
	d := startRemoteDatabase(t, bare(t, "12"))
	t.Run("refusals", d.testRefusals)
	d.configure(t, remoteName, d.ca.pem, "username: dba\npassword: "+remotePassword+"\n", 0o600)
	printed := d.up(t, d.release...)
	for _, part := range []struct {
		name string
		test func(*testing.T)
	}{
		{"hits", func(t *testing.T) { d.hit(t, true) }},
		{"encryption", d.testEncryption},
		{"accounts", d.testRemoteAccounts},
		{"secrets", func(t *testing.T) { d.testRemoteSecrets(t, printed) }},
		{"impostor", d.testImpostor},
		{"drift", d.testRemoteDrift},
		{"undo", d.testRemoteUndo},
	} {
		if !t.Run(part.name, part.test) {
			return
		}
	}
}

// bare boots a server that rocca has not touched and gives it a release.
func bare(t *testing.T, debian string) *server {
	s := &server{Host: testhost.Boot(t, testhost.Options{Debian: debian, Bare: true}), real: os.Getenv("ROCCA_REAL_RELEASE") != ""}
	s.release = s.giveRelease(t, os.Getenv("ROCCA_REAL_RELEASE"))
	return s
}

// up runs rocca up and returns all that it printed.
func (s *server) up(t *testing.T, options ...string) string {
	t.Helper()
	result, err := s.Try(run.Command{Argv: append([]string{"rocca", "up", "--yes", "--json"}, options...)})
	if err != nil {
		t.Fatal(err)
	}
	return string(result.Stdout) + string(result.Stderr)
}

// testRefusals: what cannot be trusted or used is told before anything is
// changed, and the administrator's password is told to nobody.
func (d *remoteDatabase) testRefusals(t *testing.T) {
	const credentials = "username: dba\npassword: " + remotePassword + "\n"
	d.sql(t, remoteAdministrator)
	refuse := func(name, want string) {
		t.Helper()
		d.refused(t, name, want)
	}
	d.configure(t, remoteName, d.ca.pem, credentials, 0o600)
	refuse("a server without TLS", "the server offers no TLS")
	d.start(t, withTLS...)
	d.configure(t, remoteName, d.otherCA.pem, credentials, 0o600)
	refuse("another authority", "database.ca is not what issued its certificate")
	d.configure(t, remoteAlias, d.ca.pem, credentials, 0o600)
	refuse("a name that is not in the certificate", "must be a name that its certificate is for: "+remoteName)
	d.configure(t, "127.0.0.1", d.ca.pem, credentials, 0o600)
	refuse("an address that is not in the certificate", "must be a name that its certificate is for: "+remoteName)
	d.configure(t, remoteName, "no certificate", credentials, 0o600)
	refuse("no authority", "it must be the PEM file of the authority")
	d.configure(t, remoteName, d.ca.pem, "username: dba\npassword: wrong-"+remotePassword+"\n", 0o600)
	refuse("a wrong password", "are username and password in the file")
	d.configure(t, remoteName, d.ca.pem, credentials, 0o640)
	refuse("credentials that others read", "chmod 0600 /etc/rocca/database.yaml")
	d.configure(t, remoteName, d.ca.pem, remotePassword, 0o600)
	refuse("credentials of another form", `it must have the two lines "username: ..." and "password: ..."`)
	d.configure(t, remoteName, d.ca.pem, credentials, 0o600)
	d.sql(t, "CREATE USER 'matomo'@'localhost' IDENTIFIED BY 'of another Matomo'")
	refuse("an account of somebody else", "if nobody uses it: DROP USER 'matomo'@'localhost'")
	d.sql(t, "DROP USER 'matomo'@'localhost'")
	d.run(t, "systemctl", "stop", "remote-database.service")
	refuse("a server that is down", "is it running, are database.host and database.port right")
	d.start(t, withTLS...)
}

func (d *remoteDatabase) refused(t *testing.T, name, want string) {
	t.Helper()
	result, err := d.Try(run.Command{Argv: append([]string{"rocca", "up", "--yes"}, d.release...)})
	output := string(result.Stdout) + string(result.Stderr)
	if err == nil || !strings.Contains(output, want) || !strings.Contains(output, "hint: ") && !strings.Contains(output, "it must have") {
		t.Errorf("%s: %v, want %q in\n%s", name, err, want, output)
	}
	if strings.Contains(output, remotePassword) {
		t.Errorf("%s: the password is in the output", name)
	}
	if runs := d.run(t, "rocca", "runs", "--json"); runs != "" {
		t.Errorf("%s: a run was begun: %s", name, runs)
	}
	for _, path := range []string{"/var/www/matomo", "/var/lib/matomo", "/var/lib/rocca/database-passwords", "/etc/rocca/php"} {
		if _, err := os.Lstat(d.Root() + path); err == nil {
			t.Errorf("%s: %s was left behind", name, path)
		}
	}
}

func (d *remoteDatabase) accounts(t *testing.T) string {
	t.Helper()
	return d.sql(t, "SELECT CONCAT(User, '@', Host, ' ', ssl_type) FROM mysql.user WHERE User LIKE 'matomo%' ORDER BY 1")
}

const remoteAccounts = "matomo-admin@localhost ANY\nmatomo-tracker@localhost ANY\nmatomo@localhost ANY"

func (d *remoteDatabase) testRemoteAccounts(t *testing.T) {
	// The server knows this machine as localhost.
	if got := d.accounts(t); got != remoteAccounts {
		t.Errorf("the accounts are\n%s\nwant each to demand TLS and to be of use from this machine only\n%s", got, remoteAccounts)
	}
	for _, account := range []string{"matomo", "matomo-tracker"} {
		for line := range strings.Lines(d.sql(t, "SHOW GRANTS FOR '"+account+"'@'localhost'")) {
			if regexp.MustCompile(`\b(ALL PRIVILEGES|ALTER|DROP|INDEX|FILE|GRANT OPTION)\b`).MatchString(line) {
				t.Errorf("%s", line)
			}
		}
	}
	// With its password, but without TLS.
	for user, password := range d.passwords(t) {
		query := []string{"mariadb", "--host", remoteName, "--port", "3307", "--user", user, "--execute", "SELECT 1", "matomo"}
		plain := append([]string{query[0], "--defaults-file=/srv/login-of-the-test", "--skip-ssl"}, query[1:]...)
		encrypted := append([]string{query[0], "--defaults-file=/srv/login-of-the-test", "--ssl-ca=/etc/rocca/ca.pem", "--ssl-verify-server-cert"}, query[1:]...)
		d.write(t, "/srv/login-of-the-test", []byte("[client]\npassword = "+password+"\n"))
		if _, err := d.Try(run.Command{Argv: plain}); err == nil {
			t.Errorf("%s logs in without TLS", user)
		}
		if _, err := d.Try(run.Command{Argv: encrypted}); err != nil {
			t.Errorf("%s does not log in with its password: %v", user, err)
		}
	}
	d.run(t, "rm", "/srv/login-of-the-test")
}

// passwords reads the file that rocca keeps them in.
func (d *remoteDatabase) passwords(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for line := range strings.Lines(string(d.read(t, "/var/lib/rocca/database-passwords"))) {
		user, password, _ := strings.Cut(strings.TrimSpace(line), " ")
		found[user] = password
		if len(password) < 20 {
			t.Errorf("the password of %s has %d characters", user, len(password))
		}
	}
	if len(found) != 3 {
		t.Fatalf("passwords of %d accounts, want 3", len(found))
	}
	return found
}

// hit asks the tracker to record one, and looks whether it did.
func (d *remoteDatabase) hit(t *testing.T, want bool) {
	t.Helper()
	count := func() string { return d.sql(t, "SELECT COUNT(*) FROM matomo.matomo_log_link_visit_action") }
	before := count()
	got := d.browser(t).get("matomo.php?idsite=1&rec=1&send_image=0&url=https%3A%2F%2Fexample.org%2F" + fmt.Sprint(time.Now().UnixNano()))
	if recorded := count() != before; recorded != want || (got.status == 204) != want {
		t.Errorf("a hit: status %d, recorded %v, want recorded %v: %.300q", got.status, recorded, want, got.body)
	}
}

var connection = regexp.MustCompile(`Connect\s+(\S+)@\S+ (?:on|as).* using (.+)`)

// testEncryption reads from the server's own log how everybody connected.
func (d *remoteDatabase) testEncryption(t *testing.T) {
	d.run(t, "systemctl", "start", "rocca-archive.service", "rocca-tasks.service")
	if page := d.browser(t).get(""); page.status != 200 {
		t.Errorf("the login page: status %d", page.status)
	}
	how := map[string]int{}
	for _, found := range connection.FindAllStringSubmatch(d.log(t), -1) {
		how[found[1]+" "+strings.TrimSpace(found[2])]++
	}
	for _, user := range []string{"dba", "matomo", "matomo-tracker", "matomo-admin"} {
		if how[user+" SSL/TLS"] == 0 {
			t.Errorf("%s never connected by TLS: %v", user, how)
		}
	}
	for used := range how {
		// The test itself is root at the socket.
		if !strings.HasSuffix(used, " SSL/TLS") && used != "root Socket" {
			t.Errorf("a connection as %s", used)
		}
	}
}

// testRemoteSecrets: the passwords are in the configuration that Matomo reads
// and in rocca's own file, and nowhere else on the machine or in the logs of
// the database server.
func (d *remoteDatabase) testRemoteSecrets(t *testing.T, printed string) {
	const list = "/run/secrets-of-the-test"
	passwords := d.passwords(t)
	var lines strings.Builder
	for user, password := range passwords {
		fmt.Fprintln(&lines, password)
		if strings.Contains(printed, password) {
			t.Errorf("rocca up printed the password of %s", user)
		}
	}
	if strings.Contains(printed, remotePassword) {
		t.Error("rocca up printed the administrator's password")
	}
	if _, err := d.Try(run.Command{Argv: []string{"sh", "-c", "umask 077; cat >" + list}, Stdin: strings.NewReader(lines.String())}); err != nil {
		t.Fatal(err)
	}
	found, _ := d.Try(run.Command{Argv: []string{"grep", "--recursive", "--files-with-matches", "--no-messages", "--text", "--fixed-strings", "--file", list,
		"/etc", "/run", "/srv", "/tmp", "/usr/local", "/var"}})
	got := strings.Fields(string(found.Stdout))
	slices.Sort(got)
	want := []string{list, "/var/lib/matomo-admin/config/config.ini.php", trackerConfig, uiConfig, "/var/lib/rocca/database-passwords"}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("passwords are in\n%q, want\n%q", got, want)
	}
	for _, look := range []string{"journalctl --all --no-pager", "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ"} {
		if count, _ := d.Try(run.Command{Argv: []string{"sh", "-c", look + " | grep --text --count --fixed-strings --file " + list}}); strings.TrimSpace(string(count.Stdout)) != "0" {
			t.Errorf("%s shows a password: %s times", look, count.Stdout)
		}
	}
	d.run(t, "rm", list)
	for path, want := range map[string]string{
		uiConfig: "640 root matomo", trackerConfig: "640 root matomo-tracker", "/var/lib/rocca/database-passwords": "600 root root",
		"/var/lib/matomo-admin/config/config.ini.php": "600 matomo-admin matomo-admin",
	} {
		if got := d.run(t, "stat", "-c", "%a %U %G", path); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
	for _, config := range []string{uiConfig, trackerConfig} {
		for _, line := range []string{"\nenable_ssl = 1\n", "\nssl_ca = \"/etc/rocca/php/database-ca.pem\"\n", "\nssl_no_verify = \"\"\n", "\nschema = \"Mariadb\"\n"} {
			if !strings.Contains(string(d.read(t, config)), line) {
				t.Errorf("%s lacks %s", config, strings.TrimSpace(line))
			}
		}
	}
}

// testImpostor puts another server in the place of the real one: whoever it is,
// it has no certificate of the authority, and must not be told a password.
func (d *remoteDatabase) testImpostor(t *testing.T) {
	d.certificate(t, d.otherCA)
	d.sql(t, "FLUSH SSL")
	logged := len(d.log(t))
	d.hit(t, false)
	if said := d.log(t)[logged:]; strings.Contains(said, "Connect\tmatomo") {
		t.Errorf("a pool talked to an impostor: %s", said)
	}
	d.certificate(t, d.ca)
	d.sql(t, "FLUSH SSL")
	d.hit(t, true)
}

func (d *remoteDatabase) testRemoteDrift(t *testing.T) {
	if card := d.up(t); !strings.Contains(card, `"changes":0`) {
		t.Fatalf("a second run changes something:\n%s", card)
	}
	grants := func() string {
		lines := strings.Split(d.sql(t, "SHOW GRANTS FOR 'matomo'@'localhost'; SHOW GRANTS FOR 'matomo-tracker'@'localhost'; SHOW GRANTS FOR 'matomo-admin'@'localhost'"), "\n")
		slices.Sort(lines)
		return strings.Join(lines, "\n")
	}
	before := grants()
	d.sql(t, `ALTER USER 'matomo'@'localhost' REQUIRE NONE;
ALTER USER 'matomo-tracker'@'localhost' IDENTIFIED BY 'of somebody else';
GRANT DROP ON matomo.* TO 'matomo-tracker'@'localhost';
REVOKE INSERT ON matomo.matomo_log_visit FROM 'matomo-tracker'@'localhost';`)
	d.hit(t, false)
	d.run(t, "sh", "-c", "echo >>/etc/rocca/php/database-ca.pem")
	plan, err := d.Try(run.Command{Argv: []string{"rocca", "plan", "--json"}})
	if err == nil {
		t.Error("rocca plan sees no drift")
	}
	for _, want := range []string{"demand TLS", "set its password again", "revoke DROP ON", "database-ca.pem"} {
		if !strings.Contains(string(plan.Stdout), want) {
			t.Errorf("the plan does not say %q:\n%s", want, plan.Stdout)
		}
	}
	d.up(t)
	if after := grants(); after != before {
		t.Errorf("the accounts were not brought back:\n%s\nwant\n%s", after, before)
	}
	if got := d.accounts(t); got != remoteAccounts {
		t.Errorf("the accounts were not brought back:\n%s", got)
	}
	d.hit(t, true)
}

func (d *remoteDatabase) testRemoteUndo(t *testing.T) {
	d.run(t, "rocca", "undo", "1", "--yes")
	if got := d.accounts(t); got != "" {
		t.Errorf("accounts are left:\n%s", got)
	}
	if hits := d.sql(t, "SELECT COUNT(*) FROM matomo.matomo_log_link_visit_action"); hits == "0" {
		t.Error("the hits are gone, and nobody asked for that")
	}
	// The data can be taken up again, by accounts with new passwords.
	d.up(t, d.release...)
	d.hit(t, true)
	d.run(t, "rocca", "undo", "1", "--yes", "--delete-data")
	if left := d.accounts(t) + d.sql(t, "SHOW DATABASES LIKE 'matomo'"); left != "" {
		t.Errorf("left on the database server:\n%s", left)
	}
	for _, path := range []string{"/var/lib/rocca/database-passwords", "/var/lib/matomo", "/var/lib/matomo-tracker", "/var/lib/matomo-admin", "/etc/rocca/php"} {
		if _, err := os.Lstat(d.Root() + path); err == nil {
			t.Errorf("%s is left", path)
		}
	}
}

// authority issues certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pem         string
}

func newAuthority(t *testing.T, name string) authority {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	key, der := sign(t, template, template, nil)
	return authority{template, key, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))}
}

// issue makes a certificate for a name, with its key.
func (a authority) issue(t *testing.T, name string) (certificate, key []byte) {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "a database server"}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	private, der := sign(t, template, a.certificate, a.key)
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})
}

// sign makes a key and a certificate for it; without a signer it signs itself.
func sign(t *testing.T, template, parent *x509.Certificate, signer *ecdsa.PrivateKey) (*ecdsa.PrivateKey, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if signer == nil {
		signer = key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	return key, der
}
