package files

import (
	"crypto/md5"
	"encoding/hex"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rocca/internal/collect/mountinfo"
	"rocca/internal/facts"
	"rocca/internal/matomo/release"
	"rocca/internal/secret"
)

type releaseSum = release.Sum

const mountedText = `96 76 254:0 /containers/x / rw,relatime shared:1 - ext4 /dev/vda rw,discard
97 96 0:39 / /tmp rw,nosuid shared:2 - tmpfs tmpfs rw
98 96 0:40 / /sys ro shared:3 - tmpfs tmpfs rw
99 96 0:41 / /dev rw,nosuid - tmpfs tmpfs rw
100 99 0:42 / /dev/shm rw shared:4 master:5 - tmpfs tmpfs rw
109 96 0:46 / /proc rw - proc proc rw
54 109 0:43 /x//deleted /proc/kmsg rw - tmpfs tmpfs rw
60 96 254:0 /containers/x/srv /mnt/again rw - ext4 /dev/vda rw
61 96 254:0 /other /mnt/elsewhere rw - ext4 /dev/vda rw
62 96 0:60 / /mnt/with\040blank\134 rw - nfs4 host:/x rw
63 96 0:61 / /var/lib/docker/overlay2/x/merged rw - overlay overlay rw
64 96 0:62 / /mnt/fuse rw - fuse.sshfs host:/ rw
`

func TestLocal(t *testing.T) {
	mounts, err := mountinfo.Parse(mountedText)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{"/": true, "/tmp": true, "/sys": false, "/dev": false, "/dev/shm": true, "/proc": false, "/proc/kmsg": false,
		"/mnt/again": false, "/mnt/elsewhere": true, `/mnt/with blank\`: false, "/var/lib/docker/overlay2/x/merged": false, "/mnt/fuse": false}
	if diff := cmp.Diff(want, local(mounts)); diff != "" {
		t.Error(diff)
	}
}

func FuzzLocal(f *testing.F) {
	f.Add(mountedText)
	f.Add("1 2 3:4 / /\\04 rw - x y z\n")
	f.Fuzz(func(t *testing.T, text string) {
		mounts, _ := mountinfo.Parse(text)
		isLocal := local(mounts)
		for _, m := range mounts {
			if m.Point != "/" && isLocal[m.Point] && (within(m.Point, "/proc") || within(m.Point, "/sys")) {
				t.Errorf("%q would be walked", m.Point)
			}
		}
	})
}

func TestOrigins(t *testing.T) {
	m := newMachine(t)
	sum := func(text string) string { s := md5.Sum([]byte(text)); return hex.EncodeToString(s[:]) }
	info := "/var/lib/dpkg/info/"
	for _, name := range []string{"/usr/bin/mount", "/usr/bin/sudo", "/usr/bin/stranger", "/usr/bin/old.distrib", "/usr/bin/old", "/usr/lib/ping", "/opt/x"} {
		m.put(name, name)
		m.chmod(name, 0o4755)
	}
	m.put(info+"mount.list", "/.\n/bin\n/bin/mount\n")
	m.put(info+"mount.md5sums", sum("/usr/bin/mount")+"  bin/mount\n")
	m.put(info+"sudo:amd64.list", "/usr/bin/sudo\n/usr/bin/other\n")
	m.put(info+"sudo:amd64.md5sums", sum("before")+"  usr/bin/sudo\n")
	m.put(info+"old.list", "/usr/bin/old\n")
	m.put(info+"old.md5sums", sum("/usr/bin/old.distrib")+"  usr/bin/old\n")
	m.put(info+"new.list", "/usr/bin/old\n")
	m.put(info+"new.md5sums", sum("/usr/bin/old")+"  usr/bin/old\n")
	m.put(info+"silent.list", "/usr/lib/ping\n")
	m.put("/var/lib/dpkg/diversions", "/usr/bin/old\n/usr/bin/old.distrib\nnew\n")
	got := m.survey(Request{Root: m.dir}).Oddities.Privileged
	want := []facts.Privileged{
		{Path: "/opt/x"},
		{Path: "/usr/bin/mount", Package: "mount"},
		{Path: "/usr/bin/old", Package: "new"},
		{Path: "/usr/bin/old.distrib", Package: "old"},
		{Path: "/usr/bin/stranger"},
		{Path: "/usr/bin/sudo", Package: "sudo", Changed: true},
		{Path: "/usr/lib/ping", Package: "silent"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func FuzzPackages(f *testing.F) {
	f.Add("d41d8cd98f00b204e9800998ecf8427e  usr/bin/x\n", "/a\n/b\n:\n")
	f.Add("x", "/a")
	f.Fuzz(func(t *testing.T, sums, diversions string) {
		for name, sum := range parseSums(sums) {
			if len(sum) != 32 || path.IsAbs(name) || !strings.Contains(sums, sum+"  "+name) {
				t.Errorf("%q has %q", name, sum)
			}
		}
		for to, d := range parseDiversions(diversions).to {
			if !path.IsAbs(to) || !path.IsAbs(d.from) {
				t.Errorf("%q is diverted to %q", d.from, to)
			}
		}
	})
}

func TestAliases(t *testing.T) {
	for name, want := range map[string][]string{
		"/usr/bin/x":       {"/usr/bin/x", "/bin/x"},
		"/sbin/x":          {"/sbin/x", "/usr/sbin/x"},
		"/usr/lib/x/y":     {"/usr/lib/x/y", "/lib/x/y"},
		"/usr/libexec/x":   {"/usr/libexec/x", "/libexec/x"},
		"/opt/bin/x":       {"/opt/bin/x"},
		"/usr/local/bin/x": {"/usr/local/bin/x"},
	} {
		if got := aliases(name); !slices.Equal(got, want) {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

func FuzzMatcher(f *testing.F) {
	f.Add("a text with password12 and more", "password12", "ext with")
	f.Add("aaaaaaaaaaaaaaaaaaaaaaaaaaaa", "aaaaaaaa", "aaaaaaaaaaaa")
	f.Add("-----BEGIN PRIVATE KEY-----", "EGIN PRIVATE", "--------------")
	f.Fuzz(func(t *testing.T, content, one, two string) {
		m := newMatcher([]Secret{{"one", secret.New(one)}, {"two", secret.New(two)}})
		found := map[string]bool{}
		m.each([]byte(content), func(x text, at int) {
			if !strings.HasPrefix(content[at:], string(x.value)) {
				t.Errorf("%q is not at %d", x.value, at)
			}
			found[string(x.value)] = true
		})
		for _, x := range m.texts {
			if found[string(x.value)] != strings.Contains(content, string(x.value)) {
				t.Errorf("%q: found %t", x.value, found[string(x.value)])
			}
		}
	})
}

// Keys made for this test alone; no account knows them.
const (
	pemKey = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n-----END PRIVATE KEY-----\n"
	sshKey = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ==\n-----END OPENSSH PRIVATE KEY-----\n"
	locked = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHI=\n-----END OPENSSH PRIVATE KEY-----\n"
	oldKey = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n"
)

func TestPrivateKeys(t *testing.T) {
	m := newMachine(t)
	m.release()
	for name, content := range map[string]string{
		"/root/.ssh/id": sshKey, "/root/.ssh/locked": "x\n" + locked, "/home/a/key.pem": pemKey, "/home/a/old": oldKey, root + "/key.pem": pemKey,
		"/etc/ssl/private/x.key": pemKey, "/etc/ssh/ssh_host_rsa_key": sshKey, "/etc/tls/x.key": pemKey, "/etc/site/tls/x.key": pemKey,
		"/etc/doc": "write -----BEGIN PRIVATE KEY----- first", "/etc/binary": "\x00" + pemKey, "/usr/share/x.pem": pemKey,
		"/etc/many": strings.Repeat("PRIVATE KEY-----", 60000),
	} {
		m.put(name, content)
		m.chmod(name, 0o600)
	}
	m.chmod("/home/a/key.pem", 0o640)
	r := m.own()
	r.Legitimate = []string{"/etc/tls/x.key", "/etc/site/"}
	got := m.survey(r)
	want := []facts.PrivateKey{
		{Path: "/home/a/key.pem"}, {Path: "/home/a/old", Kind: "RSA", Encrypted: true},
		{Path: "/root/.ssh/id", Kind: "OPENSSH"}, {Path: "/root/.ssh/locked", Kind: "OPENSSH", Encrypted: true}, {Path: root + "/key.pem"},
	}
	if diff := cmp.Diff(want, got.PrivateKeys); diff != "" {
		t.Error(diff)
	}
	places := []facts.SecretPlace{{Path: "/home/a/key.pem", Line: 1, Kind: privateKey}, {Path: root + "/key.pem", Line: 1, Kind: privateKey}}
	if diff := cmp.Diff(places, got.Oddities.Secrets); diff != "" {
		t.Error(diff)
	}
}

const template = `<?php

use Twig\Environment;
use Twig\Source;
use Twig\Template;

/* @Login/_formErrors.twig */
class __TwigTemplate_d7545deaf595bedd391da4a1256316a8 extends Template
{
    private $source;
    private $macros = [];

    protected function doDisplay(array $context, array $blocks = [])
    {
        $macros = $this->macros;
        // line 1: system('x');
        yield "<a onclick=\"eval(x)\">";
        yield \Piwik\piwik_escape_filter($this->env, json_encode((function () { throw new RuntimeError('no', 3, $this->source); })()), "html", null, true);
        yield $this->env->getFilter('translate')->getCallable()("x");
        return; yield '';
    }

    public function getDebugInfo()
    {
        return array (  42 => 3,  38 => 1,);
    }
}
/* @Login/embedded.twig */
class __TwigTemplate_d7545deaf595bedd391da4a1256316a8___1 extends Template
{
}
`

func TestTemplates(t *testing.T) {
	for name, c := range map[string]struct {
		content string
		want    bool
	}{
		"as compiled":         {template, true},
		"old base":            {strings.ReplaceAll(template, "extends Template", "extends Twig_Template"), true},
		"code behind":         {template + "phpinfo();", false},
		"text behind":         {template + "?>x", false},
		"code before":         {strings.Replace(template, "use Twig\\Env", "phpinfo(); use Twig\\Env", 1), false},
		"another class":       {strings.ReplaceAll(template, "__TwigTemplate_", "X_"), false},
		"another base":        {strings.ReplaceAll(template, "extends Template", "extends Evil"), false},
		"only names":          {"<?php use X;", false},
		"reads the visitor":   {strings.Replace(template, "'no'", "$_GET['x']", 1), false},
		"variable function":   {strings.Replace(template, "$macros =", "$x('id'); $macros =", 1), false},
		"string as function":  {strings.Replace(template, "$macros =", "'system'('id'); $macros =", 1), false},
		"joined function":     {strings.Replace(template, "$macros = $", "return ('sys'.'tem')('id'); $macros = $", 1), false},
		"function by another": {strings.Replace(template, "$macros =", "array_map('system', ['id']); $macros =", 1), false},
		"in a string":         {strings.Replace(template, "$macros =", `"{$this->x('id')}"; $macros =`, 1), false},
		"backticks":           {strings.Replace(template, "$macros =", "`id`; $macros =", 1), false},
		"cut":                 {template[:600], false},
		"":                    {"", false},
	} {
		if got := isTemplate(c.content); got != c.want {
			t.Errorf("%s: got %t, dangers %v", name, got, phpDangers([]byte(c.content)))
		}
	}
}

func TestCaches(t *testing.T) {
	for content, want := range map[string]bool{
		`<?php return unserialize('a:1:{s:1:"x";O:8:"stdClass":0:{}}', ['allowed_classes' => false]);`: true,
		`<?php return unserialize('a:1:{i:0;s:8:"it\'s (x)";}');`:                                      true,
		`<?php return array ('lifetime' => 0, 'data' => array(0 => -1.5, 1 => NULL, 2 => true,),);`:    true,
		"<?php return 'a' . \"\\0\" . 'b';":                                                            true,
		`<?php return unserialize('O:4:"Evil":0:{}');`:                                                 false,
		`<?php return unserialize('a:0:{}', ['allowed_classes' => true]);`:                             true, // no object in it
		`<?php return unserialize('O:4:"Evil":0:{}', ['allowed_classes' => true]);`:                    false,
		`<?php return unserialize($_GET['x'], ['allowed_classes' => false]);`:                          false,
		`<?php return "$x";`:                false,
		`<?php return system('id');`:        false,
		`<?php return 'system'('x');`:       false,
		`<?php return ('system')('x');`:     false,
		"<?php return `id`;":                false,
		`<?php return 1; phpinfo();`:        false,
		`<?php return 1; ?><?php return 2;`: false,
		`x<?php return 1;`:                  false,
		`<?php phpinfo(); return 1;`:        false,
		`<?php return fn() => 1;`:           false,
		`<?php return`:                      false,
		``:                                  false,
	} {
		if got := isCache(content); got != want {
			t.Errorf("%s: got %t", content, got)
		}
	}
}

func TestDangers(t *testing.T) {
	for content, want := range map[string]string{
		`<?php eval($x);`:                                     "calls eval",
		`<?php @EVAL ( $x);`:                                  "calls eval",
		`<?php /* x */ \system /* y */('x');`:                 "starts programs with system",
		`<?php $f = 'x'; $f();`:                               "calls a function by a variable name",
		`<?php $$x = 1;`:                                      "uses variables by variable names",
		`<?php include $x;`:                                   "includes a file with include",
		`<?php call_user_func("system", 1);`:                  "starts programs with system",
		"<?php <<<X\n eval(1)\n X;\n eval(2);":                "calls eval",
		"<?php <<<X\n eval(1)\n X;\n":                         "",
		"<?php <<<'X'\n{$f(1)}\nX;\n":                         "",
		"<?php <<<X\n{$f(1)}\nX;\n":                           "calls functions inside of a string",
		`<?php $x->eval(1); X::system(2); function exec() {}`: "",
		`<?php // eval(1)` + "\n# eval(2)\n/* eval(3) */ 'eval(4)'; \"eval(5)\";": "",
		`<?php // x ?> <?= eval(1);`: "calls eval",
		`text eval(1) <?php echo 1;`: "",
		`<?php #[X(1)] eval(2);`:     "calls eval",
		`<?php 'it\'s'; eval(1);`:    "calls eval",
		`<?php echo $_COOKIE[1];`:    "reads what the visitor sends in $_COOKIE",
	} {
		if got := strings.Join(phpDangers([]byte(content)), "; "); got != want {
			t.Errorf("%s: got %q, want %q", content, got, want)
		}
	}
}

func FuzzTokens(f *testing.F) {
	for _, seed := range []string{template, bootstrap, "<?php <<<X\n$a{$b}\nX;", "<?= `x` ?>y<?php '", "<?php \"\\", "<?php (((()))())('x')", "<?php <<<'X'"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, source string) {
		size := 0
		for _, token := range tokens(source) {
			if !strings.Contains(strings.ToLower(source), strings.ToLower(token.text)) {
				t.Errorf("%q is not of the source", token.text)
			}
			size += len(token.text)
		}
		if size > len(source) {
			t.Errorf("tokens have %d bytes, the source %d", size, len(source))
		}
		if isTemplate(source) && strings.Contains(source, "?>") && !strings.Contains(template, "?>") && len(phpDangers([]byte(source))) > 0 {
			t.Error("a template does what a backdoor does")
		}
		isCache(source)
	})
}

// denied is what Matomo's generator writes where nobody is to have anything.
const denied = `# This file is auto generated

<Files "*">
<IfModule mod_version.c>
	<IfVersion < 2.4>
		Order Deny,Allow
		Deny from All
	</IfVersion>
	<IfVersion >= 2.4>
		Require all denied
	</IfVersion>
</IfModule>
</Files>
`

const images = `<IfModule mod_mime.c>
   AddHandler text/html .html
</IfModule>
<Files ~ "\.(gif|ico|jpg|png|svg|js|css|htm|html)$">
	Require all granted
</Files>
`

const previewsUncached = `<Files "*">
	Require all granted
</Files>
<Files  ~ "^container_.*_preview\.js$">
<IfModule mod_headers.c>
Header set Cache-Control "Cache-Control: private, no-cache, no-store"
</IfModule>
</Files>`

func TestHtaccess(t *testing.T) {
	for name, c := range map[string]struct {
		dir, content string
		want         bool
		why          string
	}{
		"denied":            {"config", denied, true, "as Matomo writes it"},
		"images":            {"libs", denied + images, true, "as Matomo writes it"},
		"manifest":          {"plugins", denied + images + "<Files \"manifest.json\">\nRequire all granted\n</Files>\n", true, "as Matomo writes it"},
		"js":                {"js", previewsUncached, true, "as Matomo writes it"},
		"images of config":  {"config", denied + images, false, "not as Matomo writes it: lets visitors have what is in config"},
		"manifest of libs":  {"libs", denied + "<Files \"manifest.json\">\nRequire all granted\n</Files>\n", false, "not as Matomo writes it: lets visitors have what is in libs"},
		"PHP":               {"libs", denied + strings.Replace(images, "gif", "php", 1), false, "not as Matomo writes it: lets visitors have what is in libs"},
		"all":               {"libs", denied + "Require all granted\n", false, "not as Matomo writes it: lets visitors have what is in libs"},
		"handler":           {"plugins", denied + "AddHandler application/x-httpd-php .png\n", false, "not as Matomo writes it: AddHandler application/x-httpd-php"},
		"value":             {"js", previewsUncached + "\n php_value  auto_prepend_file x\nOptions +ExecCGI\n", false, "not as Matomo writes it: php_value auto_prepend_file"},
		"continued comment": {"config", denied + "# x \\\n", false, "not as Matomo writes it: has lines that it never writes"},
		"empty":             {"config", "", false, "not as Matomo writes it: keeps nobody out"},
		"root":              {".", denied, true, "as Matomo writes it"},
	} {
		if got, why := judgeHtaccess(c.dir, c.content); got != c.want || why != c.why {
			t.Errorf("%s: got %t, %s", name, got, why)
		}
	}
}

func FuzzHtaccess(f *testing.F) {
	f.Add("plugins", denied+images)
	f.Add("js", previewsUncached)
	f.Add("config", "php_flag x on")
	f.Fuzz(func(t *testing.T, dir, content string) {
		expected, why := judgeHtaccess(dir, content)
		if why == "" {
			t.Error("no reason is given")
		}
		for line := range strings.Lines(content) {
			first, _, _ := strings.Cut(strings.TrimSpace(line), " ")
			dangerous := slices.Contains([]string{"php_value", "php_flag", "sethandler", "addtype", "options", "rewriterule", "action"}, strings.ToLower(first))
			if expected && dangerous {
				t.Errorf("%q is expected", line)
			}
		}
	})
}

// generated is a file of Composer's by its shape, with all that may be missing.
func generated(name, hash string) string {
	var lines []string
	for _, line := range autoload[name] {
		lines = append(lines, strings.TrimPrefix(line, "?"))
	}
	text := strings.ReplaceAll(strings.Join(lines, "\n"), "%s", hash)
	text = strings.ReplaceAll(text, "true, ?)", "true, false)")
	text = strings.ReplaceAll(text, "ClassLoader(?)", "ClassLoader(\\dirname(__DIR__))")
	return strings.ReplaceAll(text, "register(?)", "register(true)")
}

const (
	composer = "53c426f26948346209f1babf136ab925"
	first    = "vendor/autoload.php"
	second   = "vendor/composer/autoload_real.php"
)

func TestAutoload(t *testing.T) {
	short := "<?php\n\n// autoload.php @generated by Composer\n\nrequire_once __DIR__ . '/composer/autoload_real.php';\n\nreturn ComposerAutoloaderInit" + composer + "::getLoader();\n"
	for name, c := range map[string]struct {
		name, content string
		want          bool
	}{
		"first":            {first, generated(first, composer), true},
		"first of old":     {first, short, true},
		"second":           {second, generated(second, composer), true},
		"no argument":      {second, strings.Replace(generated(second, composer), "ClassLoader(\\dirname(__DIR__))", "ClassLoader()", 1), true},
		"older argument":   {second, strings.Replace(generated(second, composer), "__DIR__)", "\\dirname(__FILE__))", 1), true},
		"another class":    {first, strings.Replace(short, composer, strings.Repeat("0", 32), 1), false},
		"line more":        {first, strings.Replace(short, "require", "eval($_GET[0]);\nrequire", 1), false},
		"behind":           {first, short + "phpinfo();", false},
		"in a line":        {first, strings.Replace(short, "getLoader()", "getLoader(phpinfo())", 1), false},
		"other argument":   {second, strings.Replace(generated(second, composer), "(\\dirname(__DIR__))", "($_GET[0])", 1), false},
		"line less":        {second, strings.Replace(generated(second, composer), "            require __DIR__ . '/ClassLoader.php';\n", "", 1), false},
		"lines exchanged":  {first, "// autoload.php @generated by Composer\n\n" + short, false},
		"placeholder":      {first, strings.Replace(short, composer, "%s", 1), false},
		"the wrong one":    {second, short, false},
		"empty":            {first, "", false},
		"carriage returns": {first, strings.ReplaceAll(short, "\n", "\r\n"), false},
	} {
		if got := isAutoload(c.name, c.content, composer); got != c.want {
			t.Errorf("%s: got %t\n%s", name, got, c.content)
		}
	}
	if isAutoload(first, short, "") {
		t.Error("without a class that is declared, anything is expected")
	}
}

func FuzzAutoload(f *testing.F) {
	f.Add(generated(first, composer))
	f.Add(generated(second, composer))
	known := append(tokens(generated(first, composer)), tokens(generated(second, composer))...)
	known = append(known, tokens(`<?php \dirname(__FILE__) true false ?`)...)
	f.Fuzz(func(t *testing.T, content string) {
		for _, name := range []string{first, second} {
			if !isAutoload(name, content, composer) {
				continue
			}
			for _, token := range tokens(content) {
				if !slices.Contains(known, token) {
					t.Errorf("%q is accepted in %s", token.text, name)
				}
			}
		}
	})
}

// FuzzManifest uses whatever manifest is in a tree.
func FuzzManifest(f *testing.F) {
	dir := f.TempDir()
	put(f, dir, "etc/passwd", "")
	put(f, dir, "etc/group", "")
	put(f, dir, "m/index.php", "<?php")
	put(f, dir, "m/plugins/X/x.php", "<?php")
	f.Add([]byte("<?php\nnamespace Piwik;\nclass Manifest {\nstatic $files=array(\n\"index.php\" => array(\"5\", \"" + hash("<?php") + "\"),\n);\n}\n"))
	f.Add([]byte("<?php\nnamespace Piwik;\nclass Manifest {\nstatic $files=array(\n\"plugins/X/x.php\" => array(\"5\", \"" + strings.Repeat("0", 32) + "\"),\n);\n}\n"))
	f.Fuzz(func(t *testing.T, manifest []byte) {
		if err := os.MkdirAll(path.Join(dir, "m/config"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path.Join(dir, "m/config/manifest.inc.php"), manifest, 0o644); err != nil {
			t.Fatal(err)
		}
		got, err := Survey(t.Context(), Request{Root: dir, Code: "/m", Search: []string{"/none"}})
		if err != nil {
			t.Fatal(err)
		}
		files, err := release.ParseManifest(manifest)
		if (err != nil) != (got.Integrity.Baseline == "") || (err != nil) != (got.CodeUnseen != "") {
			t.Fatalf("%v, but the baseline is %q", err, got.Integrity.Baseline)
		}
		if n := len(got.Integrity.Missing) + got.Integrity.Files; n > len(files) {
			t.Errorf("%d files are compared or missing, the manifest has %d", n, len(files))
		}
	})
}

// Code that could not be looked at must not be told as missing.
func TestWhatHidesTheCode(t *testing.T) {
	for name, hides := range map[string]bool{"/": true, "/srv": true, "/srv/x": true, "/srv/x/core": true, "/srv/xy": false, "/var": false} {
		s := survey{Request: Request{Code: "/srv/x"}}
		s.problem(name, os.ErrPermission)
		if got := s.codeUnseen.String() != ""; got != hides {
			t.Errorf("%s cannot be seen, and the code is unseen: %v", name, got)
		}
	}
}
