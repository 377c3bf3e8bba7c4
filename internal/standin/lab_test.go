package standin_test

import (
	"bytes"
	"database/sql"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"rocca/internal/matomo/headless"
	"rocca/internal/secret"
	"rocca/internal/standin"
)

const (
	salt     = "0123456789abcdef0123456789abcdef"
	password = `correct "horse" <&amp;> battery`
)

// accounts are the database accounts of a hardened server.
var accounts = []string{"admin", "ui", "tracker"}

// trackerGrants are all that the tracker's account may do, by table.
var trackerGrants = map[string]string{
	"access": "SELECT", "custom_dimensions": "SELECT", "goal": "SELECT", "plugin_setting": "SELECT",
	"site_setting": "SELECT", "site_url": "SELECT", "user": "SELECT",
	"site":            "SELECT, UPDATE (ts_created)",
	"user_token_auth": "SELECT, UPDATE (last_used)",
	"brute_force_log": "SELECT, INSERT",
	"log_visit":       "SELECT, INSERT, UPDATE", "log_link_visit_action": "SELECT, INSERT, UPDATE",
	"log_conversion": "SELECT, INSERT, UPDATE", "log_conversion_item": "SELECT, INSERT, UPDATE",
	"option": "SELECT, INSERT, UPDATE", "tracking_failure": "SELECT, INSERT, UPDATE",
	"log_action": "SELECT, INSERT, UPDATE, DELETE",
}

// lab is a stand-in that runs: a database server of its own and PHP's built-in
// web server, one for the UI and one for the tracker.
type lab struct {
	t       *testing.T
	dir     string
	db      *sql.DB // as the database's root
	ui      string  // base URL
	tracker string  // base URL
	client  *http.Client
}

func startLab(t *testing.T) *lab {
	t.Helper()
	for _, program := range []string{"php", "mariadbd", "mariadb-install-db"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("SKIPPED: %s is not installed here, so the stand-in was not run (apt install php-cli php-mysql php-gd php-mbstring mariadb-server)", program)
		}
	}
	// Sockets have short names, t.TempDir is too deep for them.
	dir, err := os.MkdirTemp("", "standin")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	l := &lab{t: t, dir: dir, client: newClient(t)}
	l.unpack()
	l.startDatabase()
	l.install()
	l.grant()
	l.ui, l.tracker = l.startPHP("ui"), l.startPHP("tracker")
	return l
}

// newClient keeps cookies and follows no redirection.
func newClient(t *testing.T) *http.Client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{
		Jar:           jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       time.Minute,
	}
}

func (l *lab) root() string            { return filepath.Join(l.dir, "matomo") }
func (l *lab) data(role string) string { return filepath.Join(l.dir, role) }
func (l *lab) config(r string) string  { return filepath.Join(l.data(r), "config/config.ini.php") }
func (l *lab) socket() string          { return filepath.Join(l.dir, "db.sock") }
func (l *lab) environ(r string) []string {
	return []string{"PATH=" + os.Getenv("PATH"), "MATOMO_DATA=" + l.data(r)}
}

func (l *lab) unpack() {
	archive, err := standin.Archive(standin.Version)
	if err != nil {
		l.t.Fatal(err)
	}
	tar := exec.Command("tar", "-xzf", "-", "-C", l.dir)
	tar.Stdin = bytes.NewReader(archive)
	if out, err := tar.CombinedOutput(); err != nil {
		l.t.Fatalf("unpack: %v\n%s", err, out)
	}
	l.write(filepath.Join(l.root(), "bootstrap.php"), "<?php\ndefine('PIWIK_USER_PATH', getenv('MATOMO_DATA'));\n")
	for _, role := range accounts {
		for _, sub := range []string{"config", "tmp"} {
			if err := os.MkdirAll(filepath.Join(l.data(role), sub), 0o750); err != nil {
				l.t.Fatal(err)
			}
		}
	}
}

func (l *lab) startDatabase() {
	me, err := user.Current()
	if err != nil {
		l.t.Fatal(err)
	}
	files := filepath.Join(l.dir, "db")
	if out, err := exec.Command("mariadb-install-db", "--no-defaults", "--user="+me.Username, "--datadir="+files,
		"--auth-root-authentication-method=normal", "--skip-test-db", "--force").CombinedOutput(); err != nil {
		l.t.Fatalf("mariadb-install-db: %v\n%s", err, out)
	}
	l.start(exec.Command("mariadbd", "--no-defaults", "--user="+me.Username, "--datadir="+files, "--socket="+l.socket(),
		"--pid-file="+filepath.Join(l.dir, "db.pid"), "--skip-networking"))
	l.await("unix", l.socket())
	config := mysql.NewConfig()
	config.User, config.Net, config.Addr = "root", "unix", l.socket()
	if l.db, err = sql.Open("mysql", config.FormatDSN()); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { l.db.Close() })
	l.sql("CREATE DATABASE matomo CHARACTER SET utf8mb4")
	for _, account := range accounts {
		l.sql(fmt.Sprintf("CREATE USER %s@localhost IDENTIFIED BY 'of-%s'", account, account))
	}
	l.sql("GRANT ALL ON matomo.* TO admin@localhost")
	l.sql("GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, CREATE TEMPORARY TABLES ON matomo.* TO ui@localhost")
}

// install runs the script that installs real releases, as the admin account.
func (l *lab) install() {
	l.writeConfig("admin", "installation_in_progress = 1\n")
	answer, err := l.headless(headless.Request{
		Action: headless.Install, Root: l.root(), URL: "https://stats.example.org/", MaskedIPBytes: 2,
		Superuser: headless.Superuser{Login: "boss", Password: secret.New(password), Email: "boss@example.org", Language: "en"},
		Site:      headless.Site{Name: "Example", URL: "https://example.org", Timezone: "Europe/Berlin", Currency: "EUR"},
	})
	if err != nil {
		l.t.Fatal(err)
	}
	if !answer.Installed() || !answer.Changed(headless.StepSuperuser) || len(answer.Tables) != 31 || answer.Sites != 1 || answer.CodeVersion != standin.Version {
		l.t.Fatalf("the installation ended with %+v", answer)
	}
	installed := "[PluginsInstalled]\n"
	for _, plugin := range answer.PluginsInstalled {
		installed += fmt.Sprintf("PluginsInstalled[] = \"%s\"\n", plugin)
	}
	for _, role := range []string{"ui", "tracker"} {
		l.writeConfig(role, installed)
	}
}

func (l *lab) headless(request headless.Request) (headless.Answer, error) {
	l.t.Helper()
	stdin, err := request.Encode()
	if err != nil {
		l.t.Fatal(err)
	}
	script := filepath.Join(l.dir, "headless.php")
	l.write(script, string(headless.Script))
	php := exec.Command("php", "-d", "pcre.jit=0", script)
	php.Env, php.Stdin = l.environ("admin"), bytes.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	php.Stdout, php.Stderr = &stdout, &stderr
	err = php.Run()
	for _, out := range []string{stdout.String(), stderr.String()} {
		if strings.Contains(out, password) {
			l.t.Errorf("the script shows the password:\n%s", out)
		}
	}
	answer, decodeErr := headless.Decode(&stdout)
	if (err == nil) != (decodeErr == nil) {
		l.t.Fatalf("exit %v, but the answer says %v\n%s", err, decodeErr, stderr.String())
	}
	return answer, decodeErr
}

func (l *lab) grant() {
	for table, rights := range trackerGrants {
		l.sql(fmt.Sprintf("GRANT %s ON matomo.m_%s TO tracker@localhost", rights, table))
	}
}

func (l *lab) writeConfig(role, more string) {
	l.write(l.config(role), fmt.Sprintf(`; <?php exit; ?> DO NOT REMOVE THIS LINE
[database]
host = "localhost"
unix_socket = "%s"
username = "%s"
password = "of&#45;%s"
dbname = "matomo"
tables_prefix = "m_"
[General]
salt = "%s"
trusted_hosts[] = "stats.example.org"
enable_installer = 0
enable_internet_features = 0
enable_auto_update = 0
only_allow_secure_auth_tokens = %d
%s`, l.socket(), role, role, salt, map[string]int{"ui": 1}[role], more))
}

// withConfig changes the configuration of both roles while do runs.
func (l *lab) withConfig(old, new string, do func()) {
	l.t.Helper()
	kept := map[string]string{}
	for _, role := range []string{"ui", "tracker"} {
		text, err := os.ReadFile(l.config(role))
		if err != nil {
			l.t.Fatal(err)
		}
		kept[role] = string(text)
		changed := strings.Replace(kept[role], old, new, 1)
		if changed == kept[role] {
			l.t.Fatalf("%q is not in the configuration", old)
		}
		l.write(l.config(role), changed)
	}
	do()
	for role, text := range kept {
		l.write(l.config(role), text)
	}
}

// startPHP serves the release as a role and returns the base URL.
func (l *lab) startPHP(role string) string {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		l.t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	php := exec.Command("php", "-d", "display_errors=0", "-d", "error_log="+filepath.Join(l.dir, role+".log"), "-S", address, "-t", l.root())
	php.Env = l.environ(role)
	l.start(php)
	l.await("tcp", address)
	return "http://" + address
}

func (l *lab) console(arguments ...string) (string, int) {
	php := exec.Command("php", append([]string{filepath.Join(l.root(), "console")}, arguments...)...)
	php.Env = l.environ("ui")
	out, _ := php.CombinedOutput()
	return string(out), php.ProcessState.ExitCode()
}

func (l *lab) start(process *exec.Cmd) {
	l.t.Helper()
	if err := process.Start(); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() {
		process.Process.Kill()
		process.Wait()
	})
}

// await returns when something listens.
func (l *lab) await(network, address string) {
	l.t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if connection, err := net.Dial(network, address); err == nil {
			connection.Close()
			return
		}
	}
	l.t.Fatalf("nothing listens on %s", address)
}

func (l *lab) write(path, text string) {
	l.t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) sql(statement string, values ...any) {
	l.t.Helper()
	if _, err := l.db.Exec(statement, values...); err != nil {
		l.t.Fatalf("%s: %v", statement, err)
	}
}

// one returns a single value as text.
func (l *lab) one(query string, values ...any) string {
	l.t.Helper()
	var text sql.NullString
	if err := l.db.QueryRow(query, values...).Scan(&text); err != nil {
		l.t.Fatalf("%s: %v", query, err)
	}
	return text.String
}

// answer is what a request got.
type answer struct {
	status int
	header http.Header
	body   string
}

func (l *lab) get(address string) answer {
	l.t.Helper()
	return l.do("GET", address, "", "")
}

func (l *lab) post(address string, form url.Values) answer {
	l.t.Helper()
	return l.do("POST", address, form.Encode(), "application/x-www-form-urlencoded")
}

func (l *lab) do(method, address, body, contentType string) answer {
	l.t.Helper()
	request, err := http.NewRequest(method, address, strings.NewReader(body))
	if err != nil {
		l.t.Fatal(err)
	}
	request.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0")
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	response, err := l.client.Do(request)
	if err != nil {
		l.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		l.t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(text)}
}
