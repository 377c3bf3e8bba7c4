package app

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rocca/internal/facts"
	"rocca/internal/matomo/advisories"
	"rocca/internal/matomo/release"
)

const versionFile = "<?php\nnamespace Piwik;\nfinal class Version\n{\n    public const VERSION = '5.3.0';\n}\n"

// tree writes files below a new directory and returns it with links resolved.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func matomo(more map[string]string) map[string]string {
	files := map[string]string{
		"core/Version.php": versionFile, "matomo.php": "<?php", "config/global.ini.php": "; <?php exit; ?>\n[database]\nhost =\nport = 3306\npassword =\nenable_ssl = 0\nssl_ca =\n[General]\ntmp_path = \"/tmp\"\nforce_ssl = 0\n[Plugins]\nPlugins[] = Live\nPlugins[] = Tour\n",
	}
	for name, text := range more {
		files[name] = text
	}
	return files
}

func TestFind(t *testing.T) {
	dir := tree(t, map[string]string{
		"site/index.html": "", "site/stats/core/Version.php": versionFile, "site/stats/matomo.php": "",
		"srv/piwik/core/Version.php": versionFile, "srv/piwik/piwik.php": "",
		"srv/half/core/Version.php": versionFile, "srv/fake/core/Version.php/x": "", "srv/fake/matomo.php": "",
		"m/www-5/core/Version.php": versionFile, "m/www-5/matomo.php": "",
	})
	if err := os.Symlink("www-5", dir+"/m/www"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("loop", dir+"/srv/loop"); err != nil {
		t.Fatal(err)
	}
	got := find(context.Background(), []string{dir + "/m/www", dir + "/site", "relative", dir + "/none[", ""}, []string{dir + "/srv/*", dir + "/m/*"})
	if diff := cmp.Diff([]string{dir + "/m/www-5", dir + "/site/stats", dir + "/srv/piwik"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestSurveyOfThePlainLayout(t *testing.T) {
	dir := tree(t, matomo(map[string]string{
		"config/config.ini.php":               guard + "[database]\nhost = \"127.0.0.1\"\nusername = \"m\"\npassword = \"Zk3#verysecret\"\ndbname = \"d\"\ntables_prefix = \"p_\"\n[General]\nsalt = \"Zk3#verysecret\"\nforce_ssl = 1\n[mail]\npassword = \"other\"\n",
		"config/common.config.ini.php":        "[General]\nfrom_common = 1\n",
		"config/example.org.config.ini.php":   "[General]\n",
		"misc/user/evil.host/config.ini.php":  "[General]\n",
		"misc/user/evil.host/other.ini.php":   "",
		"misc/user/logo.png":                  "",
		"config/manifest.inc.php":             "",
		"vendor/composer/unrelated/installed": "",
	}))
	other := tree(t, map[string]string{"config/config.ini.php": guard + "[mail]\npassword = \"other\"\n"})
	link := filepath.Join(t.TempDir(), "www")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	m, secrets, err := Survey(context.Background(), link, Options{User: "www-data", Others: []string{other}, Installed: true})
	if err != nil {
		t.Fatal(err)
	}
	c := m.Main()
	if m.Root != link || m.Real != dir || m.Version != "5.3.0" || m.Released.Format("2006-01") != "2025-03" || m.Newest == "" || m.Bootstrap != "" {
		t.Errorf("%+v", m)
	}
	if c.Name != "ui" || c.User != "www-data" || c.Data != dir || c.Tmp != dir+"/tmp" || !c.Guarded || c.Problem != "" {
		t.Errorf("%+v", c)
	}
	if !c.On("General.force_ssl") || !c.On("General.from_common") || c.Setting("database.port") != "3306" {
		t.Errorf("settings %v", c.Settings)
	}
	if _, line := c.Where("General.force_ssl"); line != 10 {
		t.Errorf("force_ssl is in line %d", line)
	}
	if diff := cmp.Diff([]string{dir + "/config/example.org.config.ini.php", dir + "/misc/user/evil.host/config.ini.php"}, m.HostConfigs); diff != "" {
		t.Error(diff)
	}
	if got := c.Secrets["database.password"].Reused; got != "General.salt of "+c.Config {
		t.Errorf("the password is the salt, too: %q", got)
	}
	if got := c.Secrets["mail.password"].Reused; got != "mail.password of "+other+"/config/config.ini.php" {
		t.Errorf("the mail password is that of another installation: %q", got)
	}
	for key, want := range map[string]string{"username": "m", "host": "127.0.0.1", "port": "3306", "dbname": "d", "tables_prefix": "p_", "enable_ssl": "0", "ssl_ca": ""} {
		if got := c.Setting("database." + key); got != want {
			t.Errorf("database.%s is %q", key, got)
		}
	}
	if secrets.Database.Reveal() != "Zk3#verysecret" {
		t.Error("the password of the database is another one")
	}
	kinds := map[string]string{}
	for _, held := range secrets.Held {
		kinds[held.Key] = held.Kind
	}
	if diff := cmp.Diff(map[string]string{"database.password": "database password", "General.salt": "salt", "mail.password": "mail password"}, kinds); diff != "" {
		t.Error(diff)
	}
	if m.Locked != (os.Getuid() == 0) {
		t.Errorf("locked %v: root alone may write it", m.Locked)
	}
	if err := os.Chmod(c.Config, 0o666); err != nil {
		t.Fatal(err)
	}
	if m, _, _ := Survey(context.Background(), link, Options{Installed: true}); m.Locked {
		t.Error("anybody may write it, so it is not locked")
	}
}

func TestSurveyFollowsItsBootstrap(t *testing.T) {
	data := tree(t, map[string]string{"config/config.ini.php": guard + "[General]\ntmp_path = \"/scratch\"\n"})
	for bootstrap, want := range map[string]string{
		"<?php\n$d = getenv('MATOMO_DATA');\ndefine('PIWIK_USER_PATH', is_string($d) && $d !== '' ? $d : '" + data + "');\n": data,
		"<?php define(\"PIWIK_USER_PATH\", \"" + data + "/\");":                                                              data,
		"<?php define('PIWIK_USER_PATH', getenv('X'));":                                                                      "",
		"<?php // nothing": "",
	} {
		dir := tree(t, matomo(map[string]string{"bootstrap.php": bootstrap}))
		m, _, err := Survey(context.Background(), dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if want == "" {
			want = dir
		}
		if c := m.Main(); c.Data != want || m.Bootstrap != dir+"/bootstrap.php" {
			t.Errorf("%s: data %s, want %s", bootstrap, c.Data, want)
		}
		if want == data && m.Main().Tmp != data+"/scratch" {
			t.Errorf("tmp %s", m.Main().Tmp)
		}
	}
}

func TestSurveyOfWhatCannotBeRead(t *testing.T) {
	dir := tree(t, matomo(nil))
	m, _, err := Survey(context.Background(), dir, Options{})
	if err != nil || m.Main().Problem != "there is no "+dir+"/config/config.ini.php" {
		t.Errorf("%v, problem %q", err, m.Main().Problem)
	}
	if err := os.WriteFile(dir+"/config/config.ini.php", []byte(guard+"[General]\nforce_ssl = 1 | 2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	m, _, _ = Survey(context.Background(), dir, Options{})
	if problem := m.Main().Problem; !strings.Contains(problem, "config.ini.php: line 3: key force_ssl") {
		t.Errorf("problem %q", problem)
	}
	for _, broken := range []map[string]string{{"x": ""}, {"core/Version.php": "<?php", "matomo.php": ""}} {
		if _, _, err := Survey(context.Background(), tree(t, broken), Options{}); err == nil {
			t.Errorf("%v is taken for a Matomo", broken)
		}
	}
	if _, _, err := Survey(context.Background(), dir+"/none", Options{}); err == nil {
		t.Error("nothing is taken for a Matomo")
	}
}

// TestForeignLinksAreNotFollowed: the link of a user who can write the
// directory must not make root read another file.
func TestForeignLinksAreNotFollowed(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("links of other users can be made by root only")
	}
	target := tree(t, map[string]string{"other.ini": guard + "[General]\nstolen = 1\n"}) + "/other.ini"
	dir := tree(t, matomo(nil))
	config := dir + "/config/config.ini.php"
	if err := os.Symlink(target, config); err != nil {
		t.Fatal(err)
	}
	if m, _, _ := Survey(context.Background(), dir, Options{}); !m.Main().On("General.stolen") {
		t.Errorf("a link of root is followed: %q", m.Main().Problem)
	}
	if err := os.Lchown(config, 12345, 12345); err != nil {
		t.Fatal(err)
	}
	m, _, _ := Survey(context.Background(), dir, Options{})
	if m.Main().On("General.stolen") || !strings.Contains(m.Main().Problem, "UID 12345") {
		t.Errorf("a link of another user was followed: %q", m.Main().Problem)
	}
}

func TestRedisServers(t *testing.T) {
	for text, want := range map[string]string{
		"[Cache]\nbackend = redis\n[RedisCache]\nhost = 127.0.0.1\nport = 6379\nunix_socket = \"\"\n":              "127.0.0.1:6379",
		"[Cache]\nbackend = chained\n[ChainedCache]\nbackends[] = redis\n[RedisCache]\nunix_socket = \"/run/r\"\n": "/run/r",
		"[Cache]\nbackend = file\n[RedisCache]\nhost = 127.0.0.1\nport = 6379\n":                                   "",
	} {
		c := facts.Context{Settings: parseConfig("x", []byte(text)).values}
		got := ""
		for address := range redisServers(c, nil) {
			got = address
		}
		if got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

func TestLinesOfCode(t *testing.T) {
	dir := tree(t, matomo(map[string]string{
		"plugins/Live/a.php": "1\n2\n", "plugins/Tour/b.php": "1", "plugins/Dead/c.php": "1\n2\n3\n", "plugins/Dead/d.js": "1\n",
		"misc/x.php": "1\n", "config/config.ini.php": guard + "[Plugins]\nPlugins[] = \"Live\"\n",
	}))
	m, _, err := Survey(context.Background(), dir, Options{LinesOfCode: true})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(facts.Lines{Files: 3, Lines: 6, Reachable: 2}, m.LinesOfCode["plugins"]); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(facts.Lines{Files: 1, Lines: 1}, m.LinesOfCode["misc"]); diff != "" {
		t.Error(diff)
	}
	if got := m.LinesOfCode["core"]; got.Lines != 6 || got.Reachable != 6 {
		t.Errorf("core %+v", got)
	}
}

func FuzzVersion(f *testing.F) {
	f.Add([]byte(versionFile))
	f.Add([]byte("<?php class Version { const VERSION = '3.14.1'; }"))
	f.Add([]byte("const VERSION = '../../etc';"))
	f.Fuzz(func(t *testing.T, text []byte) {
		version, err := release.ParseVersion(text)
		if (err == nil) == (version == "") || strings.ContainsAny(version, "/' \n") {
			t.Errorf("%q: %q, %v", text, version, err)
		}
	})
}

func TestDatesOf(t *testing.T) {
	first, second := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC), time.Date(2026, 3, 4, 0, 0, 0, 0, time.UTC)
	known := advisories.Data{Releases: map[string]time.Time{"5.9.0": first, "5.10.0": second, "6.0.0-b1": second.AddDate(0, 1, 0)}}
	m := facts.Matomo{Version: "5.9.0"}
	datesOf(&m, known)
	if m.Newest != "5.10.0" || !m.Released.Equal(first) || !m.NewestOf.Equal(second) {
		t.Errorf("%+v", m)
	}
	// A flaw may be known to be fixed in a release whose date is not.
	known.Flaws = []advisories.Flaw{{Ranges: []advisories.Range{{Introduced: "0", Fixed: "5.10.1"}}}}
	datesOf(&m, known)
	if m.Newest != "5.10.1" || !m.NewestOf.IsZero() {
		t.Errorf("%+v", m)
	}
}

// TestUnreadConfiguration: what cannot be read is not taken for what Matomo
// does without it.
func TestUnreadConfiguration(t *testing.T) {
	dir := tree(t, map[string]string{
		"core/Version.php": versionFile, "config/global.ini.php": "[General]\nenable_installer = 1\n[Plugins]\nPlugins[] = Tour\n",
		"config/config.ini.php/x": "no file, but a directory", "plugins/Tour/Tour.php": "<?php",
	})
	m, secrets, err := Survey(context.Background(), dir, Options{User: "www-data"})
	if err != nil {
		t.Fatal(err)
	}
	c := m.Main()
	if len(c.Settings) != 0 || !strings.Contains(c.Problem, "config.ini.php") || c.Tmp != dir+"/tmp" || len(secrets.Held) != 0 {
		t.Errorf("%+v", c)
	}
	if _, err := Plugins(context.Background(), m, Usage{}); err == nil || !strings.Contains(err.Error(), "which plugins are active: ") {
		t.Errorf("plugins are taken for known: %v", err)
	}
}
