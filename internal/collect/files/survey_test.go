package files

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"

	"rocca/internal/facts"
	"rocca/internal/secret"
	"rocca/internal/standin"
)

// root is Matomo's root on the machines of these tests.
const root = "/var/www/matomo/www-matomo.5.3.0"

// machine is a directory that stands for the "/" of a server.
type machine struct {
	*testing.T
	dir string
}

// newMachine has the accounts of whoever runs the test, under other names.
func newMachine(t testing.TB) machine {
	m := machine{dir: t.TempDir()}
	m.T, _ = t.(*testing.T)
	put(t, m.dir, "etc/passwd", fmt.Sprintf("matomo:x:%d:%d::/:/bin/sh\n", os.Getuid(), os.Getgid()))
	put(t, m.dir, "etc/group", fmt.Sprintf("matomo:x:%d:\n", os.Getgid()))
	return m
}

func put(t testing.TB, dir, name, content string) {
	t.Helper()
	name = filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (m machine) put(name, content string) { m.Helper(); put(m, m.dir, name, content) }

func (m machine) at(name string) string { return filepath.Join(m.dir, name) }

func (m machine) chmod(name string, mode uint32) {
	m.Helper()
	if err := syscall.Chmod(m.at(name), mode); err != nil {
		m.Fatal(err)
	}
}

func (m machine) link(target, name string) {
	m.Helper()
	if err := os.MkdirAll(filepath.Dir(m.at(name)), 0o755); err != nil {
		m.Fatal(err)
	}
	if err := os.Symlink(target, m.at(name)); err != nil {
		m.Fatal(err)
	}
}

// release unpacks the stand-in release.
func (m machine) release() {
	m.Helper()
	archive, err := standin.Archive(standin.Version)
	if err != nil {
		m.Fatal(err)
	}
	unzipped, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		m.Fatal(err)
	}
	for files := tar.NewReader(unzipped); ; {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			m.Fatal(err)
		}
		name, inside := strings.CutPrefix(header.Name, "matomo/")
		if !inside || header.Typeflag != tar.TypeReg {
			continue
		}
		content, err := io.ReadAll(files)
		if err != nil {
			m.Fatal(err)
		}
		m.put(path.Join(root, name), string(content))
	}
}

// own is a request for a server as rocca sets it up: state outside of the root.
func (m machine) own() Request {
	return Request{Root: m.dir, Code: root, Contexts: []facts.Context{
		{Name: "ui", User: "matomo", Data: "/var/lib/matomo", Config: "/var/lib/matomo/config/config.ini.php", Tmp: "/var/lib/matomo/tmp"},
	}}
}

// record is what rocca writes of a release that it put there.
func (m machine) record() Baseline {
	m.Helper()
	list := map[string]map[string]any{}
	err := filepath.WalkDir(m.at(root), func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(name)
		relative, _ := filepath.Rel(m.at(root), name)
		list[relative] = map[string]any{"sha256": hash(string(content)), "mode": 420}
		return err
	})
	if err != nil {
		m.Fatal(err)
	}
	encoded, err := json.Marshal(map[string]any{"signer": strings.Repeat("AB", 20), "files": list})
	if err != nil {
		m.Fatal(err)
	}
	baseline, err := ReadRecord(encoded)
	if err != nil {
		m.Fatal(err)
	}
	return baseline
}

func (m machine) survey(r Request) Result {
	m.Helper()
	result, err := Survey(m.Context(), r)
	if err != nil {
		m.Fatal(err)
	}
	return result
}

func hash(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}

// steering finds one file among those that steer.
func steering(r Result, name string) (facts.Steering, bool) {
	for _, f := range r.Integrity.Steering {
		if f.Path == name {
			return f, true
		}
	}
	return facts.Steering{}, false
}

const bootstrap = `<?php
// Written by rocca. Configuration and temporary files lie outside of the
// document root; each pool of PHP has its own.
$data = getenv('MATOMO_DATA');
define('PIWIK_USER_PATH', is_string($data) && $data !== '' ? $data : '/var/lib/matomo');
unset($data);
`

const ownGeo = "<?php\n// Written by rocca.\nreturn ['path.geoip2' => '/var/lib/matomo/geoip/'];\n"

// TestCleanServer finds nothing on a server as rocca sets it up.
func TestCleanServer(t *testing.T) {
	m := newMachine(t)
	m.release()
	r := m.own()
	r.Baseline = m.record()
	if err := os.RemoveAll(m.at(root + "/misc")); err != nil {
		t.Fatal(err)
	}
	m.link("/var/lib/matomo/user", root+"/misc/user")
	m.put("/var/lib/matomo/user/logo.png", "\x89PNG\x00")
	m.put(root+"/bootstrap.php", bootstrap)
	m.put("/var/lib/matomo/config/config.php", ownGeo)
	m.put("/var/lib/matomo/config/config.ini.php", "; <?php exit; ?>\npassword = \"correct horse battery\"\n")
	m.put("/var/lib/matomo/tmp/cache/tracker/matomocache_general.php", `<?php return unserialize('a:1:{s:1:"x";b:0;}', ['allowed_classes' => false]);`)
	m.put("/var/lib/matomo/tmp/templates_c/6f/6fa397823eeab2095d0f5d8be2abc1d0.php", template)
	m.put("/var/lib/matomo/tmp/assets/index.php", "Nothing to see here.")
	r.Secrets = []Secret{{"database password", secret.New("correct horse battery")}}
	got := m.survey(r)
	want := facts.Integrity{
		Baseline: facts.BaselineSigned, Signer: strings.Repeat("AB", 20), Hash: "SHA-256", Files: got.Integrity.Files,
		Steering: []facts.Steering{
			{Path: "/var/lib/matomo/config/config.php", Kind: "config.php", Expected: true, Why: "as rocca writes it: tells where location databases are"},
			{Path: root + "/bootstrap.php", Kind: "bootstrap.php", Expected: true, Why: "as rocca writes it: moves configuration and temporary files to /var/lib/matomo"},
			{Path: root + "/vendor/autoload.php", Kind: "autoload.php", Expected: true, Why: "as released"},
			{Path: root + "/vendor/composer/autoload_real.php", Kind: "autoload.php", Expected: true, Why: "as released"},
		},
		Scripts: got.Integrity.Scripts,
	}
	if diff := cmp.Diff(want, got.Integrity); diff != "" {
		t.Error(diff)
	}
	if got.Integrity.Files < 100 || len(got.Integrity.Scripts) != 2 {
		t.Errorf("compared %d files, scripts %v", got.Integrity.Files, got.Integrity.Scripts)
	}
	if o := got.Oddities; len(o.Secrets)+len(o.WorldWritable)+len(o.Unowned)+len(o.Privileged)+len(o.ACLs)+len(o.Flagged) != 0 || o.Truncated || got.Unseen != "" {
		t.Errorf("oddities %+v, unseen %s", o, got.Unseen)
	}
	tree := got.Trees[root]
	if link := tree["misc/user"]; link.Type != facts.Symlink || link.Target != "/var/lib/matomo/user" {
		t.Errorf("misc/user is %+v", link)
	}
	if tree["."].Type != facts.Dir || tree["bootstrap.php"].SHA256 != hash(bootstrap) || tree["bootstrap.php"].Owner != "matomo" {
		t.Errorf("tree: . is %v, bootstrap.php %+v", tree["."].Type, tree["bootstrap.php"])
	}
}

const autoPrepend = "auto_prepend_file=/tmp/x.php\n"

// TestPlanted plants one thing after another and looks for it.
func TestPlanted(t *testing.T) {
	type found struct {
		changed, missing, extra []string
		steering                string // path: why
		foreign                 string // path: why
		secrets                 []facts.SecretPlace
	}
	for name, c := range map[string]struct {
		plant func(m machine)
		want  found
	}{
		"one byte in core": {
			func(m machine) {
				content, err := os.ReadFile(m.at(root + "/core/API.php"))
				if err != nil {
					m.Fatal(err)
				}
				content[len(content)-3] ^= 1
				m.put(root+"/core/API.php", string(content))
			}, found{changed: []string{"core/API.php"}}},
		"missing file":         {func(m machine) { os.Remove(m.at(root + "/index.php")) }, found{missing: []string{"index.php"}}},
		"trimmed":              {func(m machine) { os.RemoveAll(m.at(root + "/misc")); os.Remove(m.at(root + "/README.md")) }, found{}},
		"shell in core plugin": {func(m machine) { m.put(root+"/plugins/API/shell.php", "<?php system($_GET['c']);") }, found{extra: []string{"plugins/API/shell.php"}}},
		"third-party plugin":   {func(m machine) { m.put(root+"/plugins/Foreign/Foreign.php", "<?php class Foreign {}") }, found{}},
		"config of a third-party plugin that reads the visitor": {func(m machine) {
			m.put(root+"/plugins/Foreign/config/config.php", "<?php eval($_POST['x']); return [];")
		}, found{steering: root + "/plugins/Foreign/config/config.php: calls eval, reads what the visitor sends in $_POST"}},
		"config of a core plugin": {func(m machine) { m.put(root+"/plugins/API/config/tracker.php", "<?php return [];") },
			found{steering: root + "/plugins/API/config/tracker.php: has code that nobody vouches for"}},
		"user.ini": {func(m machine) { m.put(root+"/js/.user.ini", autoPrepend) }, found{steering: root + "/js/.user.ini: sets auto_prepend_file"}},
		"php.ini":  {func(m machine) { m.put(root+"/php.ini", "; x\nmemory_limit = 1\ninclude_path=/tmp\n") }, found{steering: root + "/php.ini: sets include_path, memory_limit"}},
		"config.php": {func(m machine) { m.put("/var/lib/matomo/config/config.php", ownGeo+"eval($_GET[0]);") },
			found{steering: "/var/lib/matomo/config/config.php: calls eval, reads what the visitor sends in $_GET"}},
		"bootstrap.php": {func(m machine) { m.put(root+"/bootstrap.php", bootstrap+"include '/tmp/x';") },
			found{steering: root + "/bootstrap.php: includes a file with include"}},
		"bootstrap.php that leads elsewhere": {func(m machine) {
			m.put(root+"/bootstrap.php", strings.Replace(bootstrap, "/var/lib/matomo", "/tmp/x", 1))
		},
			found{steering: root + "/bootstrap.php: has code that nobody vouches for"}},
		"autoload": {func(m machine) { m.put(root+"/vendor/autoload.php", "<?php `id`;") },
			found{steering: root + "/vendor/autoload.php: not the release's: runs a command in backticks", changed: []string{"vendor/autoload.php"}}},
		"per host": {func(m machine) { m.put("/var/lib/matomo/config/evil.example.config.ini.php", "[General]\n") },
			found{steering: "/var/lib/matomo/config/evil.example.config.ini.php: has the settings for whoever asks for the host evil.example"}},
		"per host in misc/user": {func(m machine) { m.put("/var/lib/matomo/user/evil.example/config.ini.php", "[General]\n") },
			found{steering: "/var/lib/matomo/user/evil.example/config.ini.php: has the settings for whoever asks for the host evil.example"}},
		"common settings": {func(m machine) { m.put("/var/lib/matomo/config/common.config.ini.php", "[General]\n") },
			found{steering: "/var/lib/matomo/config/common.config.ini.php: adds settings below those of config.ini.php"}},
		"script beside the logos": {func(m machine) { m.put("/var/lib/matomo/user/x.js", "alert(1)") },
			found{steering: "/var/lib/matomo/user/x.js: is a script that browsers run with the rights of Matomo's pages"}},
		"PHP beside the logos": {func(m machine) { m.put("/var/lib/matomo/user/logo.php", "<?php") }, found{extra: []string{"misc/user/logo.php"}}},
		".htaccess in the root": {func(m machine) { m.put(root+"/.htaccess", "Order Deny,Allow\nphp_value auto_prepend_file /tmp/x\n") },
			found{steering: root + "/.htaccess: not as Matomo writes it: php_value auto_prepend_file"}},
		"git": {func(m machine) {
			for i := range 30 {
				m.put(root+"/.git/objects/"+strconv.Itoa(i), "x")
			}
			m.put(root+"/.git/HEAD", "x")
		}, found{extra: []string{".git/"}}},
		"leftovers": {func(m machine) {
			m.put(root+"/dump.sql", "x")
			m.put(root+"/phpinfo.php", "x")
			m.put(root+"/config/x.bak", "x")
		}, found{extra: []string{"config/x.bak", "dump.sql", "phpinfo.php"}}},
		"link in the place of a file": {func(m machine) {
			os.Remove(m.at(root + "/index.php"))
			m.link("/tmp/index.php", root+"/index.php")
		}, found{changed: []string{"index.php"}}},
		"strange link": {func(m machine) { m.link("/etc", root+"/core/etc") }, found{extra: []string{"core/etc"}}},
		"shell in tmp": {func(m machine) { m.put("/var/lib/matomo/tmp/cache/tracker/x.php", "<?php system('id');") },
			found{foreign: "/var/lib/matomo/tmp/cache/tracker/x.php: is neither of Matomo's cache nor a compiled template: starts programs with system"}},
		"template that does more": {func(m machine) {
			m.put("/var/lib/matomo/tmp/templates_c/6f/6fa397823eeab2095d0f5d8be2abc1d0.php", strings.Replace(template, "yield", "passthru('id'); yield", 1))
		}, found{foreign: "/var/lib/matomo/tmp/templates_c/6f/6fa397823eeab2095d0f5d8be2abc1d0.php: is neither of Matomo's cache nor a compiled template: starts programs with passthru"}},
		"template elsewhere": {func(m machine) { m.put("/var/lib/matomo/tmp/x.php", template) },
			found{foreign: "/var/lib/matomo/tmp/x.php: is neither of Matomo's cache nor a compiled template: has code that nobody vouches for"}},
		"PHP by another name": {func(m machine) { m.put("/var/lib/matomo/tmp/assets/logo.png", "\n<?php phpinfo();") },
			found{foreign: "/var/lib/matomo/tmp/assets/logo.png: is a program, whatever its name says"}},
		"program in tmp": {func(m machine) { m.put("/var/lib/matomo/tmp/x", "x"); m.chmod("/var/lib/matomo/tmp/x", 0o755) },
			found{foreign: "/var/lib/matomo/tmp/x: can be executed"}},
		"link in tmp": {func(m machine) { m.link("/etc/shadow", "/var/lib/matomo/tmp/x") }, found{foreign: "/var/lib/matomo/tmp/x: is a link to /etc/shadow"}},
		"copy of the settings": {func(m machine) { m.put(root+"/config/config.ini.php~", "a\nb\nsalt = \"0123456789abcdef\"\n") },
			found{extra: []string{"config/config.ini.php~"}, secrets: []facts.SecretPlace{{Path: root + "/config/config.ini.php~", Line: 3, Kind: "salt"}}}},
		"history": {func(m machine) {
			m.put("/root/.bash_history", "ls\nmysql -pcorrect\\ horse\nmysql '-pcorrect horse $1'\n")
		},
			found{secrets: []facts.SecretPlace{{Path: "/root/.bash_history", Line: 3, Kind: "database password"}}}},
		"dump with the form of the settings": {func(m machine) { m.put("/var/backups/config", "x = \"correct horse &#36;1\"") },
			found{secrets: []facts.SecretPlace{{Path: "/var/backups/config", Line: 1, Kind: "database password"}}}},
		"AWS key": {func(m machine) {
			m.put("/home/x/.aws/credentials", "a=AKIAIOSFODNN7EXAMPLE\n\nb=AKIAIOSFODNN7ABCDEFG\n")
		},
			found{secrets: []facts.SecretPlace{{Path: "/home/x/.aws/credentials", Line: 3, Kind: "AWS key"}}}},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			m.release()
			r := m.own()
			r.Baseline = m.record()
			os.RemoveAll(m.at(root + "/misc/user"))
			m.link("/var/lib/matomo/user", root+"/misc/user")
			r.Secrets = []Secret{{"database password", secret.New("correct horse $1")}, {"salt", secret.New("0123456789abcdef")}, {"API token", secret.New("short")}}
			c.plant(m)
			result := m.survey(r)
			i := result.Integrity
			got := found{missing: i.Missing, extra: i.Extra, secrets: result.Oddities.Secrets}
			for _, change := range i.Changed {
				got.changed = append(got.changed, change.Path)
			}
			for _, f := range i.Steering {
				if !f.Expected {
					got.steering += f.Path + ": " + f.Why
				}
			}
			for _, f := range i.Foreign {
				got.foreign += f.Path + ": " + f.Why
			}
			if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(found{}), cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
			encoded, err := json.Marshal(result)
			if err != nil {
				t.Fatal(err)
			}
			for _, value := range []string{"correct horse", "0123456789abcdef"} {
				if bytes.Contains(encoded, []byte(value)) {
					t.Error("the facts hold a secret")
				}
			}
		})
	}
}

// TestTreeAsBaseline compares with the manifest in the tree when there is no
// other, and says so.
func TestTreeAsBaseline(t *testing.T) {
	m := newMachine(t)
	m.release()
	m.put(root+"/core/API.php", "<?php")
	r := Request{Root: m.dir, Code: root, Contexts: []facts.Context{{Config: root + "/config/config.ini.php", Tmp: root + "/tmp", User: "matomo"}}}
	m.put(root+"/config/config.ini.php", "; <?php exit; ?>")
	m.put(root+"/tmp/sessions/sess_x", "a|b")
	m.put(root+"/tmp/x.php", "<?php eval($_GET[0]);")
	i := m.survey(r).Integrity
	if i.Baseline != facts.BaselineTree || i.Hash != "SHA-256" || len(i.Changed) != 1 || i.Changed[0].Have != hash("<?php") || len(i.Extra)+len(i.Missing) != 0 || len(i.Foreign) != 1 {
		t.Errorf("got %+v", i)
	}
	// The stand-in has an autoloader of its own, which Composer does not write.
	if f, ok := steering(Result{Integrity: i}, root+"/vendor/autoload.php"); !ok || f.Expected {
		t.Errorf("autoload.php: %+v", f)
	}
	// A manifest that is no manifest compares nothing, and that is told.
	m.put(root+"/config/manifest.inc.php", "<?php system('id');")
	got := m.survey(r)
	if got.Integrity.Baseline != "" || got.CodeUnseen == "" || len(got.Integrity.Extra) != 0 {
		t.Errorf("got baseline %q, unseen %q", got.Integrity.Baseline, got.CodeUnseen)
	}
}

func TestShortHashes(t *testing.T) {
	m := newMachine(t)
	sum := func(text string) string { s := md5.Sum([]byte(text)); return hex.EncodeToString(s[:]) }
	m.put(root+"/index.php", "<?php // 1")
	m.put(root+"/matomo.js", "js")
	m.put(root+"/piwik.js", "other")
	m.put(root+"/config/manifest.inc.php", "<?php\nnamespace Piwik;\nclass Manifest {\nstatic $files=array(\n"+
		`"index.php" => array("10", "`+sum("<?php // 1")+"\"),\n"+`"matomo.js" => array("2", "`+sum("js")+"\"),\n"+`"piwik.js" => array("2", "`+sum("js")+"\"),\n);\n}\n")
	i := m.survey(Request{Root: m.dir, Code: root}).Integrity
	want := facts.Integrity{Baseline: facts.BaselineTree, Hash: "MD5", Files: 3, Changed: []facts.FileChange{{Path: "piwik.js", Want: sum("js"), Have: sum("other")}},
		Scripts: []facts.Script{{Path: root + "/matomo.js", SHA256: hash("js"), Want: hash("js")}, {Path: root + "/piwik.js", SHA256: hash("other"), Want: sum("js")}}}
	if diff := cmp.Diff(want, i); diff != "" {
		t.Error(diff)
	}
}

func TestKnownFiles(t *testing.T) {
	m := newMachine(t)
	m.release()
	m.put(root+"/bootstrap.php", "<?php // the owner's")
	r := m.own()
	r.Known = map[string]string{root + "/bootstrap.php": hash("<?php // the owner's")}
	if f, _ := steering(m.survey(r), root+"/bootstrap.php"); !f.Expected {
		t.Errorf("got %+v", f)
	}
	r.Baseline = m.record()
	m.put(root+"/robots.txt", "rocca's")
	r.Known[root+"/robots.txt"] = hash("rocca's")
	if i := m.survey(r).Integrity; len(i.Changed) != 0 {
		t.Errorf("changed %v", i.Changed)
	}
	r.Known[root+"/bootstrap.php"] = hash("another")
	m.put(root+"/bootstrap.php", bootstrap) // rocca's shape does not help a file that is known to be another
	if f, _ := steering(m.survey(r), root+"/bootstrap.php"); f.Expected {
		t.Errorf("got %+v", f)
	}
}

func TestOddities(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("gives files away: needs root")
	}
	m := newMachine(t)
	for name, mode := range map[string]uint32{"/srv/open": 0o666, "/srv/suid": 0o4755, "/srv/sgid": 0o2755, "/srv/unowned": 0o644, "/srv/dynamic": 0o644, "/srv/plain": 0o644, "/srv/cap": 0o755, "/srv/acl": 0o640, "/srv/flag": 0o644} {
		m.put(name, "x")
		m.chmod(name, mode)
	}
	for _, dir := range []string{"/srv/dir", "/srv/sticky"} {
		if err := os.Mkdir(m.at(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	m.chmod("/srv/dir", 0o777)
	m.chmod("/srv/sticky", 0o1777)
	for name, id := range map[string]int{"/srv/unowned": 54321, "/srv/dynamic": 61500} {
		if err := os.Chown(m.at(name), id, 0); err != nil {
			t.Fatal(err)
		}
	}
	capability := []byte("\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00") // cap_net_bind_service=ep
	acl := []byte("\x02\x00\x00\x00" + "\x01\x00\x06\x00\xff\xff\xff\xff" + "\x02\x00\x04\x00\x21\x00\x00\x00" + "\x04\x00\x04\x00\xff\xff\xff\xff" + "\x10\x00\x04\x00\xff\xff\xff\xff" + "\x20\x00\x00\x00\xff\xff\xff\xff")
	for name, attribute := range map[string]struct {
		name  string
		value []byte
	}{"/srv/cap": {"security.capability", capability}, "/srv/acl": {"system.posix_acl_access", acl}} {
		if err := unix.Setxattr(m.at(name), attribute.name, attribute.value, 0); err != nil {
			t.Skipf("this file system has no such attributes: %v", err)
		}
	}
	flagged := exec.Command("chattr", "+i", m.at("/srv/flag")).Run() == nil
	t.Cleanup(func() { _ = exec.Command("chattr", "-i", m.at("/srv/flag")).Run() })

	got := m.survey(Request{Root: m.dir})
	want := facts.Oddities{
		Entries:       got.Oddities.Entries,
		WorldWritable: []string{"/srv/dir", "/srv/open"},
		Unowned:       []string{"/srv/unowned"},
		Privileged:    []facts.Privileged{{Path: "/srv/cap"}, {Path: "/srv/sgid"}, {Path: "/srv/suid"}},
		ACLs:          []string{"/srv/acl"},
	}
	if flagged {
		want.Flagged = []string{"/srv/flag"}
	}
	if diff := cmp.Diff(want, got.Oddities); diff != "" {
		t.Error(diff)
	}
	// 11 of /srv and itself, /etc with two files, and the root.
	if got.Oddities.Entries != 16 {
		t.Errorf("looked at %d entries", got.Oddities.Entries)
	}
	for _, name := range []string{"/", "/srv", "/srv/suid", "/srv/unowned", "/srv/acl"} {
		if !got.Paths[name].Exists() {
			t.Errorf("%s is not among the paths", name)
		}
	}
	if access, _, err := got.Paths["/srv/acl"].ACL(); err != nil || len(access) != 5 || got.Paths["/srv/unowned"].Owner != "54321" || got.Paths["/srv/suid"].Mode != 0o4755 {
		t.Errorf("ACL %v %v, owner %s", access, err, got.Paths["/srv/unowned"].Owner)
	}
}

func TestListsAreCut(t *testing.T) {
	m := newMachine(t)
	for i := range listLimit + 5 {
		name := fmt.Sprintf("/srv/%04d", i)
		m.put(name, "")
		m.chmod(name, 0o666)
	}
	o := m.survey(Request{Root: m.dir}).Oddities
	if len(o.WorldWritable) != listLimit || o.WorldWritable[0] != "/srv/0000" || !o.Truncated {
		t.Errorf("%d entries, the first is %s, cut %t", len(o.WorldWritable), o.WorldWritable[0], o.Truncated)
	}
}

func TestWatched(t *testing.T) {
	m := newMachine(t)
	m.put("/usr/bin/dash", "")
	m.link("dash", "/usr/bin/sh")
	m.link("usr/bin", "/bin")
	m.link("/run", "/var/run")
	m.put("/run/x/y", "")
	m.link("../../../../../../run/x", "/var/up") // no further than the root
	m.link("b", "/srv/a")
	m.link("a", "/srv/b")
	m.link("/nowhere/x", "/srv/dangling")
	got := m.survey(Request{Root: m.dir, Watched: []string{"/bin/sh", "/var/run/x/y", "/var/up/y", "/srv/a/x", "/srv/dangling", "/missing/file", "/etc/passwd/x"}}).Paths
	types := map[string]facts.Type{}
	for name, p := range got {
		types[name] = p.Type
	}
	want := map[string]facts.Type{
		"/": facts.Dir, "/bin": facts.Symlink, "/usr": facts.Dir, "/usr/bin": facts.Dir, "/bin/sh": facts.Symlink, "/usr/bin/sh": facts.Symlink, "/usr/bin/dash": facts.File,
		"/var": facts.Dir, "/var/run": facts.Symlink, "/run": facts.Dir, "/run/x": facts.Dir, "/run/x/y": facts.File, "/var/run/x/y": facts.File,
		"/var/up": facts.Symlink, "/var/up/y": facts.File,
		"/srv": facts.Dir, "/srv/a": facts.Symlink, "/srv/b": facts.Symlink, "/srv/a/x": facts.Absent,
		"/srv/dangling": facts.Symlink, "/nowhere": facts.Absent, "/missing": facts.Absent, "/missing/file": facts.Absent,
		"/etc": facts.Dir, "/etc/passwd": facts.File, "/etc/passwd/x": facts.Absent,
	}
	if diff := cmp.Diff(want, types); diff != "" {
		t.Error(diff)
	}
}

// TestHostile walks over what others may put in its way.
func TestHostile(t *testing.T) {
	m := newMachine(t)
	m.release()
	if err := unix.Mkfifo(m.at(root+"/core/pipe"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(m.at("/etc/.user.ini"), 0o666); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		// A tape that would rewind, were it opened.
		_ = unix.Mknod(m.at(root+"/core/tape"), unix.S_IFCHR|0o600, int(unix.Mkdev(9, 0)))
	}
	m.link("loop", root+"/core/loop")
	m.link(".", "/srv/loop")
	m.link("/nowhere", root+"/config/config.php")
	odd := root + "/core/a\nb\xff.php"
	m.put(odd, "<?php")
	for _, name := range []string{"/etc/huge", root + "/core/huge"} {
		m.put(name, "")
		if err := os.Truncate(m.at(name), 1<<40); err != nil {
			t.Skipf("no sparse files here: %v", err)
		}
	}
	deep := m.at("/srv")
	for range 300 {
		deep = filepath.Join(deep, "deeper")
	}
	if err := os.MkdirAll(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	got := m.survey(m.own())
	tree := got.Trees[root]
	if tree["core/pipe"].Type != facts.Other || tree["core/loop"].Target != "loop" || tree["core/huge"].Size != 1<<40 || tree["core/huge"].SHA256 != "" {
		t.Errorf("pipe %+v, loop %+v, huge %+v", tree["core/pipe"], tree["core/loop"], tree["core/huge"])
	}
	want := []string{"core/a\nb\xff.php", "core/huge", "core/loop", "core/pipe"}
	if tree["core/tape"].Exists() {
		want = append(want, "core/tape")
	}
	if diff := cmp.Diff(want, got.Integrity.Extra); diff != "" {
		t.Error(diff)
	}
	if f, _ := steering(got, root+"/config/config.php"); f.Expected || f.Why != "is a link to /nowhere" {
		t.Errorf("link in the place of config.php: %+v", f)
	}
	if got.Unseen != "" {
		t.Error(got.Unseen)
	}
}

// TestUnreadable runs as somebody else: what cannot be seen is told.
func TestUnreadable(t *testing.T) {
	if dir := os.Getenv("ROCCA_TEST_UNREADABLE"); dir != "" {
		got, err := Survey(t.Context(), Request{Root: dir, Code: root})
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(got.Unseen, "2 of the files and directories could not be looked at") || !strings.Contains(got.Unseen, "permission denied") {
			t.Error(got.Unseen)
		}
		if !strings.HasPrefix(got.CodeUnseen, "1 of") || !got.Trees[root]["index.php"].Exists() || got.Trees[root]["index.php"].SHA256 != "" {
			t.Errorf("index.php is %+v", got.Trees[root]["index.php"])
		}
		return
	}
	if os.Getuid() != 0 {
		t.Skip("becomes another user: needs root")
	}
	m := newMachine(t)
	m.put(root+"/index.php", "<?php")
	m.put(root+"/config/manifest.inc.php", "<?php\nnamespace Piwik;\nclass Manifest {\nstatic $files=array(\n"+`"x" => array("1", "`+hash("x")+"\"),\n);\n}\n")
	m.chmod(root+"/index.php", 0o600)
	m.put("/root/x", "x")
	m.chmod("/root", 0o700)
	for dir := m.dir; dir != "/" && dir != "/tmp"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	binary := m.at("/self")
	content, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(binary, content, 0o755); err != nil {
		t.Fatal(err)
	}
	child := exec.Command(binary, "-test.run=^TestUnreadable$", "-test.v")
	child.Env = []string{"ROCCA_TEST_UNREADABLE=" + m.dir, "GOCOVERDIR=" + t.TempDir()}
	child.Dir = "/"
	child.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if out, err := child.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestUnreadable") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestPackedScripts(t *testing.T) {
	m := newMachine(t)
	m.release()
	r := m.own()
	r.Baseline, r.Scripts = m.record(), "/var/www/matomo/scripts"
	content, err := os.ReadFile(m.at(root + "/matomo.js"))
	if err != nil {
		t.Fatal(err)
	}
	zip := func(content string) string {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = io.WriteString(w, content)
		_ = w.Close()
		return b.String()
	}
	var packed bytes.Buffer
	w := brotli.NewWriter(&packed)
	_, _ = w.Write(content)
	_ = w.Close()
	m.put("/var/www/matomo/scripts/matomo.js", string(content))
	m.put("/var/www/matomo/scripts/matomo.js.br", packed.String())
	m.put("/var/www/matomo/scripts/matomo.js.gz", zip("evil()"))
	m.put("/var/www/matomo/scripts/piwik.js.gz", zip(strings.Repeat("x", 17<<20))) // a bomb
	m.put(root+"/js/container_abc.js", "x()")
	got := m.survey(r)
	want := hash(string(content))
	has := map[string]facts.Script{}
	for _, script := range got.Integrity.Scripts {
		has[path.Base(script.Path)] = script
	}
	for name, sum := range map[string][3]string{
		"matomo.js": {want, want, ""}, "matomo.js.br": {want, want, "brotli"}, "matomo.js.gz": {hash("evil()"), want, "gzip"},
		"piwik.js.gz": {"", has["piwik.js"].Want, "gzip"}, "container_abc.js": {hash("x()"), "", ""},
	} {
		if s := has[name]; s.SHA256 != sum[0] || s.Want != sum[1] || s.Packed != sum[2] {
			t.Errorf("%s is %+v", name, s)
		}
	}
	if !strings.Contains(got.Unseen, "unpacks to more than") || len(got.Integrity.Extra) != 0 {
		t.Errorf("unseen %q, extra %v", got.Unseen, got.Integrity.Extra)
	}
}

func TestRecordIsRefused(t *testing.T) {
	for _, text := range []string{"", "[]", "{}", `{"files":{"x":{"sha256":"00"}}}`} {
		if _, err := ReadRecord([]byte(text)); err == nil {
			t.Errorf("%s is taken for a record", text)
		}
	}
}

// TestRealRelease compares a real Matomo with itself, in three copies of which
// one has been changed.
func TestRealRelease(t *testing.T) {
	release := os.Getenv("ROCCA_REAL_RELEASE")
	if release == "" {
		t.Skip("ROCCA_REAL_RELEASE names no directory with a real Matomo")
	}
	m := newMachine(t)
	if err := os.MkdirAll(m.at(path.Dir(root)), 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("cp", "-r", release, m.at(root)).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	r := Request{Root: m.dir, Code: root, Contexts: []facts.Context{{Config: root + "/config/config.ini.php", Tmp: root + "/tmp"}}}
	before := m.survey(r)
	for _, f := range before.Integrity.Steering {
		if !f.Expected {
			t.Errorf("%+v", f)
		}
	}
	if i := before.Integrity; i.Files < 10000 || len(i.Extra)+len(i.Missing)+len(i.Foreign) != 0 {
		t.Errorf("%d files, extra %v, missing %v, foreign %v", i.Files, i.Extra, i.Missing, i.Foreign)
	}
	m.put(root+"/core/Access.php", "<?php")
	m.put(root+"/plugins/Goals/x.php", "<?php")
	autoload, err := os.ReadFile(m.at(root + "/vendor/autoload.php"))
	if err != nil {
		t.Fatal(err)
	}
	m.put(root+"/vendor/autoload.php", strings.Replace(string(autoload), "<?php", "<?php @eval($_POST[1]);", 1))
	after := m.survey(r)
	if len(after.Integrity.Changed) != len(before.Integrity.Changed)+1 || !slices.Equal(after.Integrity.Extra, []string{"plugins/Goals/x.php"}) {
		t.Errorf("changed %v, extra %v", after.Integrity.Changed, after.Integrity.Extra)
	}
	if f, _ := steering(after, root+"/vendor/autoload.php"); f.Expected || !strings.Contains(f.Why, "calls eval") {
		t.Errorf("%+v", f)
	}
	if len(after.Trees[root]) != len(before.Trees[root])+1 {
		t.Errorf("the tree has %d paths, then %d", len(before.Trees[root]), len(after.Trees[root]))
	}
}

// BenchmarkSurvey looks at servers of ever more files, of which a tenth is
// Matomo's and a tenth is searched.
func BenchmarkSurvey(b *testing.B) {
	sizes := []int{10_000, 100_000}
	if os.Getenv("ROCCA_BENCH_MILLION") != "" {
		sizes = append(sizes, 1_000_000)
	}
	for _, size := range sizes {
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			m := newMachine(b)
			content := strings.Repeat("some line of text that is no secret\n", 160) // as large as files of Matomo are
			baseline := Baseline{Kind: facts.BaselineRecord, Files: map[string]releaseSum{}}
			for i := range size {
				name, text := fmt.Sprintf("usr/share/%d/%d", i/100, i), ""
				switch i % 10 {
				case 0:
					inside := fmt.Sprintf("core/%d/%d.php", i/1000, i)
					name, text = strings.TrimPrefix(root, "/")+"/"+inside, content
					baseline.Files[inside] = releaseSum{Size: int64(len(content)), Hash: hash(content)}
				case 1:
					name, text = fmt.Sprintf("srv/%d/%d.txt", i/1000, i), content
				}
				put(b, m.dir, name, text)
			}
			r := Request{Root: m.dir, Code: root, Baseline: baseline, Secrets: []Secret{{"salt", secret.New("0123456789abcdef")}}}
			for b.Loop() {
				got, err := Survey(b.Context(), r)
				if err != nil || got.Integrity.Files != size/10 || len(got.Integrity.Changed) != 0 {
					b.Fatalf("%v, compared %d files, %d changed", err, got.Integrity.Files, len(got.Integrity.Changed))
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(size), "ns/file")
		})
	}
}
