package blueprint

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rocca/internal/config"
	"rocca/internal/facts"
	"rocca/internal/matomo/ini"
	"rocca/internal/secret"
)

func testBlueprint(t *testing.T, name string) *blueprint {
	t.Helper()
	_, b := planFor(t, inputs(t)[name])
	return b
}

func TestStepsNeedAPHPBranch(t *testing.T) {
	in := inputs(t)["nginx-12"]
	in.PHP = ""
	if _, _, err := Steps(in); err == nil || !strings.Contains(err.Error(), "hint: apt-get update") {
		t.Errorf("got %v, want a hint", err)
	}
}

func TestPreflight(t *testing.T) {
	in := inputs(t)["nginx-12"]
	enough := uint64(5 << 30)
	for _, c := range []struct {
		name  string
		front string
		seen  facts.Server
		want  []string // parts of the problems, in order
	}{
		{name: "bare", seen: facts.Server{FreeBytes: enough}},
		{name: "own front", seen: facts.Server{FreeBytes: enough, Listeners: []facts.Listener{{Port: 443, Program: "nginx", PID: 7}, {Port: 80, Program: "nginx", PID: 7}}}},
		{name: "other ports", seen: facts.Server{FreeBytes: enough, Listeners: []facts.Listener{{Port: 22, Program: "sshd"}, {Port: 8080, Program: "java"}}}},
		{name: "disk", seen: facts.Server{FreeBytes: 100 << 20}, want: []string{"100 MiB free"}},
		{name: "other front", seen: facts.Server{FreeBytes: enough, Listeners: []facts.Listener{{Port: 80, Program: "apache2", PID: 12}}}, want: []string{"port 80 is taken by apache2 (pid 12)"}},
		{name: "switch of front", front: config.FrontApache, seen: facts.Server{FreeBytes: enough, Listeners: []facts.Listener{{Port: 443, Program: "nginx", PID: 7}}}, want: []string{"port 443 is taken by nginx"}},
		{name: "hidden holder", seen: facts.Server{FreeBytes: enough, Listeners: []facts.Listener{{Port: 443}}}, want: []string{"an unknown process"}},
		{name: "both", seen: facts.Server{Listeners: []facts.Listener{{Port: 443, Program: "x"}}}, want: []string{"0 MiB free", "port 443"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := in
			if c.front != "" {
				in.Config.Front = c.front
			}
			problems := Preflight(in, c.seen)
			if len(problems) != len(c.want) {
				t.Fatalf("got %v, want %q", problems, c.want)
			}
			for i, want := range c.want {
				if text := problems[i].Error(); !strings.Contains(text, want) || !strings.Contains(text, "\nhint: ") {
					t.Errorf("got %q, want %q and a hint", text, want)
				}
			}
		})
	}
}

func TestTrackerHasSeventeenGrantsAndNoDDL(t *testing.T) {
	b := testBlueprint(t, "apps")
	grants := b.trackerGrants()
	if len(grants) != 17 {
		t.Errorf("%d grants, want 17", len(grants))
	}
	for _, grant := range grants {
		privileges, object, found := strings.Cut(grant, " ON ")
		if !found || !strings.HasPrefix(object, "`web_stats`.`stats_") {
			t.Errorf("%s: is not on one table of Matomo", grant)
		}
		for _, word := range []string{"ALL", "CREATE", "ALTER", "DROP", "INDEX", "GRANT", "FILE"} {
			if strings.Contains(privileges, word) {
				t.Errorf("%s: has %s", grant, word)
			}
		}
		if strings.Contains(privileges, "DELETE") && !strings.HasSuffix(object, "log_action`") {
			t.Errorf("%s: may delete", grant)
		}
	}
}

func TestRuntimeAccountCannotChangeTables(t *testing.T) {
	b := testBlueprint(t, "apps")
	want := []string{"CREATE, CREATE TEMPORARY TABLES, DELETE, INSERT, SELECT, UPDATE ON `web\\_stats`.*"}
	if diff := cmp.Diff(want, b.uiGrants()); diff != "" {
		t.Error(diff)
	}
}

func TestPasswordsAreReadBack(t *testing.T) {
	made := NewPasswords()
	if len(made) != 3 {
		t.Fatalf("%d accounts, want 3", len(made))
	}
	slot, read := DecodePasswords(EncodePasswords(SlotB, made))
	if slot != SlotB {
		t.Errorf("slot %q is read back, want b", slot)
	}
	if text := EncodePasswords(SlotA, made); strings.Contains(string(text), "slot") {
		t.Error("the first slot is named, which earlier versions of rocca would take for a user")
	}
	for user, password := range made {
		if len(password.Reveal()) < 32 || read[user].Reveal() != password.Reveal() {
			t.Errorf("%s: read %q back, made %d characters", user, read[user].Reveal(), len(password.Reveal()))
		}
	}
	if len(read) != 3 {
		t.Errorf("read %d accounts, want 3", len(read))
	}
}

// TestConfigurationOfTheOwnerStays edits a managed and a foreign setting.
func TestConfigurationOfTheOwnerStays(t *testing.T) {
	b := testBlueprint(t, "nginx-12")
	pool := configFile{b, b.Layout.State, UIUser}
	first := firstConfig(t, pool)
	at := func(content []byte) facts.Server {
		return facts.Server{Paths: map[string]facts.Path{configPath(b.Layout.State): {Type: facts.File, Mode: 0o640, Owner: "root", Group: UIUser, Content: content}}}
	}
	if p, err := pool.Plan(at(first)); err != nil || p.Needed() {
		t.Fatalf("the first configuration is not as it should be: %v %v", p, err)
	}
	edited, err := ini.Parse(first)
	if err != nil {
		t.Fatal(err)
	}
	edited.Set("General", "enable_installer", "1")
	edited.Set("General", "force_ssl", "0")
	edited.Set("mail", "host", "smtp.example.org")
	edited.Set("General", "salt", "ffffffffffffffffffffffffffffffff")
	content, err := edited.Encode()
	if err != nil {
		t.Fatal(err)
	}
	p, err := pool.Plan(at(content))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("+[General] force_ssl = 1\n+[General] enable_installer = 0", p.Diff, cmp.Transformer("lines", sortedLines)); diff != "" {
		t.Error(diff)
	}
	wanted, err := pool.want(facts.Path{Content: content})
	if err != nil {
		t.Fatal(err)
	}
	f, err := ini.Parse(wanted)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ section, key, want string }{
		{"General", "enable_installer", "0"}, {"General", "force_ssl", "1"}, // rocca's
		{"mail", "host", "smtp.example.org"}, {"General", "salt", "ffffffffffffffffffffffffffffffff"}, // the owner's
	} {
		if got, _ := f.Get(c.section, c.key); got != c.want {
			t.Errorf("[%s] %s is %q, want %q", c.section, c.key, got, c.want)
		}
	}
}

func sortedLines(text string) map[string]bool {
	lines := map[string]bool{}
	for line := range strings.Lines(text) {
		lines[strings.TrimSpace(line)] = true
	}
	return lines
}

func TestBrokenConfigurationIsAnErrorWithAHint(t *testing.T) {
	b := testBlueprint(t, "nginx-12")
	pool := configFile{b, b.Layout.State, UIUser}
	_, err := pool.Plan(facts.Server{Paths: map[string]facts.Path{configPath(b.Layout.State): {Type: facts.File, Content: []byte("<?php system('id');")}}})
	if err == nil || !strings.Contains(err.Error(), "hint: ") {
		t.Errorf("got %v", err)
	}
}

func TestSecretsDoNotShowInChangedSettings(t *testing.T) {
	before := "; <?php exit; ?>\n[database]\npassword = \"old\"\n[General]\nsalt = \"aa\"\n"
	after := strings.NewReplacer("old", "new-secret", `"aa"`, `"bb"`).Replace(before) + "password_hash_algorithm = \"argon2id\"\n"
	got := changedSettings([]byte(before), []byte(after))
	want := "+[database] password = [redacted]\n+[General] salt = [redacted]\n+[General] password_hash_algorithm = argon2id"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestSaltOfAnUnfinishedInstallationIsKept(t *testing.T) {
	b := testBlueprint(t, "nginx-12")
	file := func(salt string) facts.Path {
		return facts.Path{Type: facts.File, Content: []byte("; <?php exit; ?>\n[General]\nsalt = \"" + salt + "\"\n")}
	}
	for _, c := range []struct {
		name  string
		paths map[string]facts.Path
		want  string
	}{
		{"of the migration account", map[string]facts.Path{configPath(b.Layout.Admin): file("aa")}, "aa"},
		{"of the pool first", map[string]facts.Path{configPath(b.Layout.Admin): file("aa"), configPath(b.Layout.State): file("bb")}, "bb"},
		{"past a broken file", map[string]facts.Path{configPath(b.Layout.State): {Content: []byte("[General\n")}, configPath(b.Layout.Tracker): file("cc")}, "cc"},
	} {
		if got := b.findSalt(facts.Server{Paths: c.paths}); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	one, two := b.findSalt(facts.Server{}), b.findSalt(facts.Server{})
	if len(one) != 32 || one == two {
		t.Errorf("made %q and %q, want two different ones of 32 digits", one, two)
	}
}

func TestInstallPlan(t *testing.T) {
	b := testBlueprint(t, "nginx-12")
	finished := facts.Path{Type: facts.File, Content: firstConfig(t, configFile{b, b.Layout.State, UIUser})}
	tables := map[string][]string{"matomo": {"matomo_site", "matomo_user"}}
	both := map[string]facts.Path{configPath(b.Layout.State): finished, configPath(b.Layout.Tracker): finished}
	for _, c := range []struct {
		name   string
		seen   facts.Server
		needed bool
		err    string
	}{
		{name: "bare", needed: true},
		{name: "empty schema", seen: facts.Server{Database: facts.Database{Reached: true, Schemas: map[string][]string{"matomo": nil}}, Paths: both}, needed: true},
		{name: "cut short among the tables", seen: facts.Server{Database: facts.Database{Reached: true, Schemas: map[string][]string{"matomo": {"matomo_site"}}}, Paths: both}, needed: true},
		{name: "tables of another schema", seen: facts.Server{Database: facts.Database{Reached: true, Schemas: map[string][]string{"other": {"matomo_user"}}}}, needed: true},
		{name: "no configuration of the tracker", seen: facts.Server{Database: facts.Database{Reached: true, Schemas: tables}, Paths: map[string]facts.Path{configPath(b.Layout.State): finished}}, needed: true},
		{name: "somebody else's tables", seen: facts.Server{Database: facts.Database{Reached: true, Schemas: map[string][]string{"matomo": {"wp_users"}}}}, err: "holds tables that rocca did not make (wp_users, ...)\nhint: "},
		{name: "installed", seen: facts.Server{Database: facts.Database{Reached: true, Schemas: tables}, Paths: both}},
		{name: "installed, and the database server is down", seen: facts.Server{Paths: both}},
	} {
		p, err := install{b}.Plan(c.seen)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: got %v, want %q", c.name, err, c.err)
			}
			continue
		}
		if err != nil || p.Needed() != c.needed {
			t.Errorf("%s: got %v %v, want needed %v", c.name, p, err, c.needed)
		}
	}
}

// TestInstallPlanWithAGivenSalt: a Matomo of other machines is taken up, tables
// of others are not.
func TestInstallPlanWithAGivenSalt(t *testing.T) {
	b := testBlueprint(t, "tracker")
	without := testBlueprint(t, "tracker")
	without.Secrets = Secrets{}
	finished := facts.Path{Type: facts.File, Content: firstConfig(t, configFile{b, b.Layout.State, UIUser})}
	here := map[string]facts.Path{configPath(b.Layout.State): finished, configPath(b.Layout.Tracker): finished}
	for _, c := range []struct {
		name   string
		of     *blueprint
		tables []string
		paths  map[string]facts.Path
		want   string // in the sentence or the error
	}{
		{"an empty schema", b, nil, nil, "make its tables"},
		{"another machine is at it", b, []string{"matomo_site"}, nil, "make its tables"},
		{"a Matomo", b, []string{"matomo_site", "matomo_user"}, nil, "take up the Matomo that the database holds"},
		{"a Matomo, and no salt", without, []string{"matomo_site", "matomo_user"}, nil, "was not installed from this machine (matomo_site, ...)\nhint: to run that Matomo here too, name a file with its salt"},
		{"a Matomo and tables of others", b, []string{"matomo_user", "wp_users"}, nil, "holds tables that rocca did not make (wp_users, ...)"},
		{"taken up", b, []string{"matomo_site", "matomo_user"}, here, ""},
	} {
		p, err := install{c.of}.Plan(facts.Server{Database: facts.Database{Reached: true, Schemas: map[string][]string{"matomo": c.tables}}, Paths: c.paths})
		got := p.Sentence
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestGivenSalt: it is that of every configuration, whatever was there.
func TestGivenSalt(t *testing.T) {
	b := testBlueprint(t, "tracker")
	given := b.Secrets.Salt.Reveal()
	other := facts.Path{Type: facts.File, Content: []byte("[General]\nsalt = \"00000000000000000000000000000000\"\n")}
	if got := b.findSalt(facts.Server{Paths: map[string]facts.Path{configPath(b.Layout.State): other}}); got != given {
		t.Errorf("the installation takes the salt %s", got)
	}
	pool := configFile{b, b.Layout.State, UIUser}
	proposal, err := pool.Plan(facts.Server{Paths: map[string]facts.Path{configPath(b.Layout.State): other}})
	if err != nil || !proposal.Needed() || strings.Contains(proposal.Diff, given) {
		t.Errorf("another salt in the configuration: %v %v, want it changed and not shown", proposal, err)
	}
}

func TestCodeDrift(t *testing.T) {
	b := testBlueprint(t, "nginx-12")
	record := Record{Version: "5.3.0", Files: map[string]RecordFile{
		"index.php":         {SHA256: "aa", Mode: 0o644},
		"console":           {SHA256: "bb", Mode: 0o755},
		"core/Version.php":  {SHA256: "cc", Mode: 0o644},
		"misc/cron/run.php": {SHA256: "dd", Mode: 0o644},
	}}
	encoded, err := json.Marshal(record)
	if err != nil {
		t.Fatal(err)
	}
	file := func(sum string, mode uint32) facts.Path {
		return facts.Path{Type: facts.File, SHA256: sum, Owner: "root", Group: "root", Mode: fs.FileMode(mode)}
	}
	dir := func() facts.Path {
		p := file("", 0o755)
		p.Type = facts.Dir
		return p
	}
	good := func() facts.Tree {
		return facts.Tree{
			".": dir(), "core": dir(), "misc": dir(), "misc/cron": dir(),
			"index.php": file("aa", 0o644), "console": file("bb", 0o755), "core/Version.php": file("cc", 0o644), "misc/cron/run.php": file("dd", 0o644),
			"bootstrap.php": file("ee", 0o644), "misc/user": {Type: facts.Symlink, Target: "/var/lib/matomo/user"},
		}
	}
	for _, c := range []struct {
		name string
		edit func(facts.Tree)
		want []string
	}{
		{"as it should be", func(facts.Tree) {}, nil},
		{"missing file", func(tree facts.Tree) { delete(tree, "index.php") }, []string{"restore index.php"}},
		{"changed file", func(tree facts.Tree) { tree["core/Version.php"] = file("ff", 0o644) }, []string{"restore core/Version.php"}},
		{"writable file", func(tree facts.Tree) { tree["index.php"] = file("aa", 0o664) }, []string{"restore index.php"}},
		{"set-user-id", func(tree facts.Tree) { tree["console"] = file("bb", 0o4755) }, []string{"restore console"}},
		{"other owner", func(tree facts.Tree) { p := file("aa", 0o644); p.Owner = UIUser; tree["index.php"] = p }, []string{"restore index.php"}},
		{"other group", func(tree facts.Tree) { p := file("aa", 0o644); p.Group = UIUser; tree["index.php"] = p }, []string{"restore index.php"}},
		{"ACL", func(tree facts.Tree) {
			p := file("aa", 0o644)
			p.Xattrs = map[string][]byte{"system.posix_acl_access": {1}}
			tree["index.php"] = p
		}, []string{"restore index.php"}},
		{"file became a link", func(tree facts.Tree) {
			tree["index.php"] = facts.Path{Type: facts.Symlink, Owner: "root", Group: "root", Target: "/tmp/x"}
		}, []string{"restore index.php"}},
		{"foreign file", func(tree facts.Tree) { tree["core/shell.php"] = file("ff", 0o644) }, []string{"remove core/shell.php"}},
		{"foreign file where Matomo's own check does not look", func(tree facts.Tree) { tree[".user.ini"] = file("ff", 0o644) }, []string{"remove .user.ini"}},
		{"foreign directory, deepest first", func(tree facts.Tree) {
			tree["a"], tree["a/b"], tree["a/b/c.php"] = dir(), dir(), file("ff", 0o644)
		}, []string{"remove a/b/c.php", "remove a/b", "remove a"}},
		{"writable directory", func(tree facts.Tree) { p := dir(); p.Mode |= 0o020; tree["core"] = p }, []string{"owner and mode of core"}},
		{"directory of a pool", func(tree facts.Tree) { p := dir(); p.Owner = UIUser; tree["."] = p }, []string{"owner and mode of ."}},
	} {
		t.Run(c.name, func(t *testing.T) {
			tree := good()
			c.edit(tree)
			d, err := codeTree{b}.drift(facts.Server{
				Trees: map[string]facts.Tree{b.Layout.Code: tree},
				Paths: map[string]facts.Path{b.Layout.Record: {Type: facts.File, Content: encoded}},
			})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, d.lines()); diff != "" {
				t.Error(diff)
			}
			if (d.sentence() == "") != (len(c.want) == 0) {
				t.Errorf("the sentence is %q", d.sentence())
			}
		})
	}
}

func TestCodeWithoutARecordIsNotTrusted(t *testing.T) {
	b := testBlueprint(t, "nginx-12")
	_, err := codeTree{b}.Plan(facts.Server{Trees: map[string]facts.Tree{b.Layout.Code: {".": {Type: facts.Dir}}}})
	if err == nil || !strings.Contains(err.Error(), "hint: move "+b.Layout.Code+" away") {
		t.Errorf("got %v", err)
	}
}

func TestScriptsAreThoseOfTheRelease(t *testing.T) {
	b := testBlueprint(t, "nginx-12")
	script := bytes.Repeat([]byte("matomo;"), 1000)
	seen := facts.Server{Paths: map[string]facts.Path{}}
	for _, name := range scriptNames {
		seen.Paths[b.Layout.Code+"/"+name] = facts.Path{Type: facts.File, Content: script}
		for _, kind := range encodings {
			content, err := kind.encode(script)
			if err != nil {
				t.Fatal(err)
			}
			if kind.suffix != "" && len(content) >= len(script) {
				t.Errorf("%s%s is not smaller", name, kind.suffix)
			}
			seen.Paths[b.Layout.Scripts+"/"+name+kind.suffix] = facts.Path{Type: facts.File, Mode: 0o644, Owner: "root", Group: "root", Content: content}
		}
	}
	if stale := (scripts{b}).stale(seen); stale != nil {
		t.Fatalf("%v are stale", stale)
	}
	set := func(name string, edit func(*facts.Path)) {
		p := seen.Paths[b.Layout.Scripts+"/"+name]
		edit(&p)
		seen.Paths[b.Layout.Scripts+"/"+name] = p
	}
	set("matomo.js.gz", func(p *facts.Path) { p.Content = []byte("not gzip") })
	set("piwik.js", func(p *facts.Path) { p.Content = append([]byte("evil;"), script...) })
	set("piwik.js.br", func(p *facts.Path) { p.Mode = 0o666 })
	if diff := cmp.Diff([]string{"matomo.js.gz", "piwik.js", "piwik.js.br"}, scripts{b}.stale(seen)); diff != "" {
		t.Error(diff)
	}
}

func TestSelfSignedCertificate(t *testing.T) {
	b := testBlueprint(t, "nginx-12")
	b.Config.Domain = []string{"stats.example.org", "192.0.2.1"}
	c := selfSigned{b}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	certificate, key, err := makeCertificate(b.Config.Domain, now)
	if err != nil {
		t.Fatal(err)
	}
	_, otherKey, err := makeCertificate(b.Config.Domain, now)
	if err != nil {
		t.Fatal(err)
	}
	pair := func(key []byte, keyMode fs.FileMode) facts.Server {
		return facts.Server{Paths: map[string]facts.Path{
			c.certificate(): {Type: facts.File, Mode: 0o644, Owner: "root", Group: "root", Content: certificate},
			c.key():         {Type: facts.File, Mode: keyMode, Owner: "root", Group: "root", Content: key},
		}}
	}
	for _, test := range []struct {
		name  string
		seen  facts.Server
		names []string
		now   time.Time
		want  string
	}{
		{"good", pair(key, 0o600), b.Config.Domain, now, ""},
		{"none", facts.Server{}, b.Config.Domain, now, "there is none"},
		{"other key", pair(otherKey, 0o600), b.Config.Domain, now, "certificate and key do not fit"},
		{"other name", pair(key, 0o600), []string{"stats.example.org", "new.example.org"}, now, "it is not for new.example.org"},
		{"a day before renewal", pair(key, 0o600), b.Config.Domain, now.Add(selfSignedFor - renewBefore - 24*time.Hour), ""},
		{"a day after", pair(key, 0o600), b.Config.Domain, now.Add(selfSignedFor - renewBefore + 24*time.Hour), "it ends on 2027-02-03"},
		{"open key", pair(key, 0o644), b.Config.Domain, now, "owner or mode of the files"},
	} {
		c.Config.Domain = test.names
		if got := c.problem(test.seen, test.now); got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
}

func TestFirstPasswordOfAnInterruptedRun(t *testing.T) {
	b := testBlueprint(t, "nginx-12")
	left := facts.Server{Paths: map[string]facts.Path{b.Layout.FirstLog: {Type: facts.File}}}
	if p, err := (newPassword{b}).Plan(left); err != nil || !p.Needed() {
		t.Errorf("a password that nobody has seen was left: %v %v", p, err)
	}
	b.login.Password = secret.New("known")
	if p, err := (newPassword{b}).Plan(left); err != nil || p.Needed() {
		t.Errorf("the password is known: %v %v", p, err)
	}
}

func TestParseRecord(t *testing.T) {
	r := Record{Version: "5.3.0", Source: "/a.tar.gz", Digest: "aa", Files: map[string]RecordFile{"index.php": {"bb", 0o644}}}
	encoded, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseRecord(encoded)
	if diff := cmp.Diff(r, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
	var syntax *json.SyntaxError
	if _, err := ParseRecord([]byte("{")); err == nil || !errors.As(err, &syntax) {
		t.Errorf("got %v", err)
	}
}

func TestUnits(t *testing.T) {
	want := []string{"nginx.service", "rocca-php@ui.socket", "rocca-php@ui.service", "rocca-php@tracker.socket", "rocca-php@tracker.service",
		"rocca-php@shop.socket", "rocca-php@shop.service", "rocca-php@blog.socket", "rocca-php@blog.service",
		"mariadb.service", "rocca-archive.timer", "rocca-tasks.timer"}
	if diff := cmp.Diff(want, Units(inputs(t)["apps"].Config)); diff != "" {
		t.Error(diff)
	}
	remote := Units(inputs(t)["remote"].Config)
	if remote[0] != "apache2.service" || strings.Contains(strings.Join(remote, " "), "mariadb") {
		t.Errorf("remote: got %v", remote)
	}
}

// BenchmarkDrift compares a tree of as many files as a release has.
func BenchmarkDrift(b *testing.B) {
	in := Input{Config: config.Defaults{Hostname: "stats.example.org"}.Config(), Version: "5.3.0"}
	tree := codeTree{&blueprint{Input: in, Layout: NewLayout(in.Config, in.Version)}}
	record, seen := Record{Files: map[string]RecordFile{}}, facts.Tree{".": {Type: facts.Dir, Mode: 0o755, Owner: "root", Group: "root"}}
	for i := range 11000 {
		dir, name := fmt.Sprintf("d%d", i/100), fmt.Sprintf("d%d/%d.php", i/100, i)
		record.Files[name] = RecordFile{SHA256: "aa", Mode: 0o644}
		seen[dir] = facts.Path{Type: facts.Dir, Mode: 0o755, Owner: "root", Group: "root"}
		seen[name] = facts.Path{Type: facts.File, SHA256: "aa", Mode: 0o644, Owner: "root", Group: "root"}
	}
	encoded, err := json.Marshal(record)
	if err != nil {
		b.Fatal(err)
	}
	s := facts.Server{Trees: map[string]facts.Tree{tree.Layout.Code: seen}, Paths: map[string]facts.Path{tree.Layout.Record: {Type: facts.File, Content: encoded}}}
	for b.Loop() {
		if p, err := tree.Plan(s); err != nil || p.Needed() {
			b.Fatalf("%v %v", p, err)
		}
	}
}
