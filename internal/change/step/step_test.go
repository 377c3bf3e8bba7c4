package step

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rocca/internal/change"
	"rocca/internal/facts"
	"rocca/internal/secret"
)

// server makes the facts of one path.
func server(path string, p facts.Path) facts.Server {
	return facts.Server{Paths: map[string]facts.Path{path: p}}
}

func rootFile(content string) facts.Path {
	return facts.Path{Type: facts.File, Mode: 0o644, Owner: "root", Group: "root", Content: []byte(content)}
}

func rootDir(names ...string) facts.Path {
	return facts.Path{Type: facts.Dir, Mode: 0o755, Owner: "root", Group: "root", Names: names}
}

// but changes a path.
func but(p facts.Path, change func(*facts.Path)) facts.Path {
	change(&p)
	return p
}

func TestPlan(t *testing.T) {
	file := File{Path: "/etc/f", Content: []byte("good\n"), Attr: change.Root(0o644)}
	secret := File{Path: "/etc/f", Content: []byte("good\n"), Attr: change.Root(0o644), Secret: true}
	dir := Dir{Path: "/d", Attr: change.Root(0o755)}
	only := Dir{Path: "/d", Attr: change.Root(0o755), Only: []string{"role.conf"}}
	link := Symlink{Path: "/l", Target: "there"}
	gone := Gone{Path: "/g", Why: "it is bad"}
	acl := map[string][]byte{"system.posix_acl_access": {2}}
	account := Account{Account: "m@localhost", Grants: []string{"SELECT ON `m`.*"}, Adopt: true}
	first := account
	first.Adopt = false
	database := func(a facts.Account) facts.Server {
		return facts.Server{Database: facts.Database{Reached: true, Accounts: map[string]facts.Account{"m@localhost": a}}}
	}
	for name, c := range map[string]struct {
		step change.Step
		now  facts.Server
		want string // sentence; empty: nothing to do
		err  string
	}{
		"file, as it must be":      {file, server("/etc/f", rootFile("good\n")), "", ""},
		"file, absent":             {file, facts.Server{}, "write it", ""},
		"file, other content":      {file, server("/etc/f", rootFile("bad\n")), "change its content", ""},
		"file, other mode":         {file, server("/etc/f", but(rootFile("good\n"), func(p *facts.Path) { p.Mode = 0o666 })), "mode 0666 to 0644", ""},
		"file, set-user-id":        {file, server("/etc/f", but(rootFile("good\n"), func(p *facts.Path) { p.Mode = 0o4644 })), "mode 4644 to 0644", ""},
		"file, other owner":        {file, server("/etc/f", but(rootFile("good\n"), func(p *facts.Path) { p.Group = "www-data" })), "owner root:www-data to root:root", ""},
		"file, with a list":        {file, server("/etc/f", but(rootFile("good\n"), func(p *facts.Path) { p.Xattrs = acl })), "drop posix_acl_access", ""},
		"file, all wrong":          {file, server("/etc/f", but(rootFile("bad\n"), func(p *facts.Path) { p.Mode, p.Owner = 0o600, "x" })), "change its content, mode 0600 to 0644, owner x:root to root:root", ""},
		"file, a link is there":    {file, server("/etc/f", facts.Path{Type: facts.Symlink, Target: "/x"}), "replace a symlink by it", ""},
		"file, a directory there":  {file, server("/etc/f", rootDir()), "replace a dir by it", ""},
		"secret file, other":       {secret, server("/etc/f", rootFile("bad\n")), "change its content", ""},
		"directory, as it must be": {dir, server("/d", rootDir("any")), "", ""},
		"directory, absent":        {dir, facts.Server{}, "make it, root:root 0755", ""},
		"directory, other mode":    {dir, server("/d", but(rootDir(), func(p *facts.Path) { p.Mode = 0o1777 })), "mode 1777 to 0755", ""},
		"directory, with a list":   {dir, server("/d", but(rootDir(), func(p *facts.Path) { p.Xattrs = map[string][]byte{"system.posix_acl_default": {2}} })), "drop posix_acl_default", ""},
		"directory, a link there":  {dir, server("/d", facts.Path{Type: facts.Symlink}), "", "in the way"},
		"directory, stranger":      {only, server("/d", rootDir("override.conf", "role.conf")), "remove override.conf", ""},
		"directory, no stranger":   {only, server("/d", rootDir("role.conf")), "", ""},
		"link, as it must be":      {link, server("/l", facts.Path{Type: facts.Symlink, Target: "there", Owner: "root"}), "", ""},
		"link, absent":             {link, facts.Server{}, "point it at there", ""},
		"link, elsewhere":          {link, server("/l", facts.Path{Type: facts.Symlink, Target: "/tmp", Owner: "root"}), "point it at there, instead of /tmp", ""},
		"link, of another":         {link, server("/l", facts.Path{Type: facts.Symlink, Target: "there", Owner: "www-data"}), "point it at there, instead of there", ""},
		"gone, absent":             {gone, facts.Server{}, "", ""},
		"gone, there":              {gone, server("/g", rootFile("")), "remove it: it is bad", ""},

		"group, as it must be":  {Group{"m"}, facts.Server{Groups: map[string]facts.Group{"m": {Exists: true}}}, "", ""},
		"group, absent":         {Group{"m"}, facts.Server{}, "make it", ""},
		"group, with a member":  {Group{"m"}, facts.Server{Groups: map[string]facts.Group{"m": {Exists: true, Members: []string{"eve"}}}}, "", "eve"},
		"user, as it must be":   {User{"m"}, facts.Server{Users: map[string]facts.User{"m": {Exists: true, UID: 99, Group: "m", Shell: "/usr/sbin/nologin"}}}, "", ""},
		"user, absent":          {User{"m"}, facts.Server{}, "make it: no login, no home, a group of its own", ""},
		"user, is root":         {User{"m"}, facts.Server{Users: map[string]facts.User{"m": {Exists: true, Group: "m", Shell: "/bin/false"}}}, "", "made for something else"},
		"user, of other group":  {User{"m"}, facts.Server{Users: map[string]facts.User{"m": {Exists: true, UID: 99, Group: "users", Shell: "/bin/false"}}}, "", "made for something else"},
		"user, with a login":    {User{"m"}, facts.Server{Users: map[string]facts.User{"m": {Exists: true, UID: 99, Group: "m", Shell: "/bin/bash"}}}, "", "can log in"},
		"packages, all there":   {Packages{"x", []string{"a", "b"}}, facts.Server{Packages: map[string]facts.Package{"a": {Installed: true}, "b": {Installed: true}}}, "", ""},
		"packages, one missing": {Packages{"x", []string{"a", "b"}}, facts.Server{Packages: map[string]facts.Package{"a": {Installed: true}, "b": {}}}, "install b", ""},

		"schema, there":            {Schema{Schema: "m"}, facts.Server{Database: facts.Database{Schemas: map[string][]string{"m": nil}}}, "", ""},
		"schema, absent":           {Schema{Schema: "m"}, facts.Server{}, "make it", ""},
		"account, as it must be":   {account, database(facts.Account{Exists: true, Identity: "unix_socket", Grants: []string{"SELECT ON `m`.*"}}), "", ""},
		"account, absent":          {account, database(facts.Account{}), "make it with SELECT ON `m`.*", ""},
		"account, grant too many":  {account, database(facts.Account{Exists: true, Identity: "unix_socket", Grants: []string{"FILE ON *.*", "SELECT ON `m`.*"}}), "revoke FILE ON *.*", ""},
		"account, grant too few":   {account, database(facts.Account{Exists: true, Identity: "unix_socket"}), "grant SELECT ON `m`.*", ""},
		"account, with a password": {account, database(facts.Account{Exists: true, Identity: "mysql_native_password", Grants: []string{"SELECT ON `m`.*"}}), "change how it identifies itself, now by mysql_native_password", ""},
		"account, of others":       {first, database(facts.Account{Exists: true, Identity: "mysql_native_password", Grants: []string{"SELECT ON `m`.*"}}), "", "rocca did not make"},
		"account, other grants":    {first, database(facts.Account{Exists: true, Identity: "unix_socket"}), "", "rocca did not make"},
		"account, just made":       {first, database(facts.Account{Exists: true, Identity: "unix_socket", Grants: []string{"SELECT ON `m`.*"}}), "", ""},
		"account, not yet":         {first, database(facts.Account{}), "make it with SELECT ON `m`.*", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := c.step.Plan(c.now)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("error %v, want one with %q", err, c.err)
				}
				if !strings.Contains(err.Error(), "\nhint: ") {
					t.Errorf("no hint in %q", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got.Sentence); diff != "" {
				t.Errorf("sentence (-want +got)\n%s", diff)
			}
			if got.Needed() != (c.want != "") {
				t.Errorf("needed: %v", got.Needed())
			}
			if file, isFile := c.step.(File); isFile && file.Secret && got.Diff != "" {
				t.Errorf("the diff shows a secret: %s", got.Diff)
			}
			again, err := c.step.Plan(c.now)
			if err != nil || again != got {
				t.Errorf("planned again it is %+v, %v", again, err)
			}
		})
	}
}

func TestPlanOfUnits(t *testing.T) {
	changed := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	unit := Unit{Unit: "u.service", State: Running, Own: true, DropIns: []string{"/etc/systemd/system/u.service.d/role.conf"}, Inputs: []string{"/etc/in"}, Refresh: "restart"}
	off := Unit{Unit: "u.service", State: Off}
	enabled := Unit{Unit: "u.service", State: Enabled, Refresh: "restart"}
	foreign := Unit{Unit: "u.service", State: Running, Refresh: "reload"}
	good := facts.Unit{Loaded: true, Enabled: true, Active: true, StateChanged: changed, DropIns: unit.DropIns}
	but := func(change func(*facts.Unit)) facts.Unit {
		u := good
		change(&u)
		return u
	}
	for name, c := range map[string]struct {
		step  Unit
		now   facts.Unit
		input time.Time
		want  string
	}{
		"as it must be":   {unit, good, changed.Add(-time.Hour), ""},
		"absent":          {unit, facts.Unit{}, changed, "enable, start"},
		"stopped":         {unit, but(func(u *facts.Unit) { u.Active = false }), changed, "start"},
		"failed":          {unit, but(func(u *facts.Unit) { u.Active, u.Failed = false, true }), changed.Add(time.Hour), "start"},
		"disabled":        {unit, but(func(u *facts.Unit) { u.Enabled = false }), changed, "enable"},
		"masked":          {unit, facts.Unit{Masked: true}, changed, "unmask, enable, start"},
		"newer input":     {unit, good, changed.Add(time.Second), "restart, for a newer /etc/in"},
		"changed on disk": {unit, but(func(u *facts.Unit) { u.NeedsReload = true }), changed, "restart, systemd reads its changed file"},
		"foreign drop-in": {unit, but(func(u *facts.Unit) {
			u.DropIns = append([]string{"/run/systemd/system/u.service.d/x.conf"}, u.DropIns...)
		}), changed, "restart, remove /run/systemd/system/u.service.d/x.conf, which changes it"},
		"drop-in of a package": {unit, but(func(u *facts.Unit) {
			u.DropIns = append([]string{"/usr/lib/systemd/system/u.service.d/x.conf"}, u.DropIns...)
		}), changed, ""},
		"another's unit":       {foreign, but(func(u *facts.Unit) { u.DropIns = []string{"/etc/systemd/system/u.service.d/x.conf"} }), changed, ""},
		"off":                  {off, facts.Unit{Masked: true}, changed, ""},
		"off, absent":          {off, facts.Unit{}, changed, ""},
		"off, but runs":        {off, good, changed, "stop, disable, mask"},
		"off, masked and runs": {off, facts.Unit{Masked: true, Active: true}, changed, "stop"},
		"enabled":              {enabled, but(func(u *facts.Unit) { u.Active = false }), changed, ""},
		"not enabled":          {enabled, but(func(u *facts.Unit) { u.Active, u.Enabled = false, false }), changed, "enable"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := c.step.Plan(facts.Server{
				Units: map[string]facts.Unit{"u.service": c.now},
				Paths: map[string]facts.Path{"/etc/in": {Type: facts.File, Changed: c.input}},
			})
			if err != nil {
				t.Fatal(err)
			}
			if got.Sentence != c.want {
				t.Errorf("sentence %q, want %q", got.Sentence, c.want)
			}
		})
	}
}

// TestLooks: a step that does not ask for what it plans with would never see drift.
func TestLooks(t *testing.T) {
	for _, c := range []struct {
		step change.Step
		want facts.Query
	}{
		{File{Path: "/f"}, facts.Query{Paths: []string{"/f"}}},
		{Dir{Path: "/d"}, facts.Query{Paths: []string{"/d"}}},
		{Symlink{Path: "/l"}, facts.Query{Paths: []string{"/l"}}},
		{Gone{Path: "/g"}, facts.Query{Paths: []string{"/g"}}},
		{Group{"g"}, facts.Query{Groups: []string{"g"}}},
		{User{"u"}, facts.Query{Users: []string{"u"}}},
		{Packages{"x", []string{"p"}}, facts.Query{Packages: []string{"p"}}},
		{Schema{Schema: "s"}, facts.Query{Schemas: true}},
		{Account{Account: "a@b"}, facts.Query{Accounts: []string{"a@b"}}},
		{Unit{Unit: "u", Inputs: []string{"/i"}}, facts.Query{Units: []string{"u"}, Paths: []string{"/i"}}},
	} {
		if diff := cmp.Diff(c.want, c.step.Looks()); diff != "" {
			t.Errorf("%s (-want +got)\n%s", c.step.Name(), diff)
		}
	}
}

func TestGrantsAsSQL(t *testing.T) {
	const name = "'m'@'localhost'"
	for grant, want := range map[string]struct{ allow, revoke string }{
		"SELECT ON `m`.*":                         {"GRANT SELECT ON `m`.* TO " + name, "REVOKE SELECT ON `m`.* FROM " + name},
		"SELECT, UPDATE (`a`) ON `m`.`t`":         {"GRANT SELECT, UPDATE (`a`) ON `m`.`t` TO " + name, "REVOKE SELECT, UPDATE (`a`) ON `m`.`t` FROM " + name},
		"ALL PRIVILEGES ON *.* WITH GRANT OPTION": {"GRANT ALL PRIVILEGES ON *.* TO " + name + " WITH GRANT OPTION", "REVOKE ALL PRIVILEGES ON *.* FROM " + name + "; REVOKE GRANT OPTION ON *.* FROM " + name},
	} {
		if got := allow(grant, name); got != want.allow {
			t.Errorf("%s: %q, want %q", grant, got, want.allow)
		}
		if got := strings.Join(revoke(grant, name), "; "); got != want.revoke {
			t.Errorf("%s: %q, want %q", grant, got, want.revoke)
		}
	}
}

// TestUndoOfARepairedAccount: it logs in as it did before.
func TestUndoOfARepairedAccount(t *testing.T) {
	const shown = "`m`@`h` IDENTIFIED VIA unix_socket OR mysql_native_password USING '*94BDCEBE19083CE2A1F959FD02F964C7AF4CFC29'"
	for name, c := range map[string]struct {
		account Account
		now     facts.Account
		version string
		want    []string
	}{
		"local":            {Account{Account: "m@h"}, facts.Account{Created: secret.New("CREATE USER " + shown)}, "10.11.6-MariaDB", []string{"ALTER USER " + shown}},
		"remote":           {Account{Account: "m@h", Remote: true}, facts.Account{Created: secret.New("CREATE USER " + shown)}, "11.8.1-MariaDB", []string{"ALTER USER 'm'@'h' REQUIRE NONE", "ALTER USER " + shown}},
		"remote, with TLS": {Account{Account: "m@h", Remote: true}, facts.Account{TLS: true, Created: secret.New("CREATE USER " + shown + " REQUIRE SSL")}, "11.8.1-MariaDB", []string{"ALTER USER " + shown + " REQUIRE SSL"}},
		"of MySQL":         {Account{Account: "m@h", Remote: true}, facts.Account{Created: secret.New("CREATE USER " + shown)}, "8.0.35", nil},
		"not shown":        {Account{Account: "m@h"}, facts.Account{}, "10.11.6-MariaDB", nil},
	} {
		got := c.account.identifyAgain(facts.Server{Database: facts.Database{Version: c.version}}, c.now)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
}

// A timer's file may be as it was while that of its service is another.
func TestChangedUnitFilesAreReadAnew(t *testing.T) {
	const service = "/etc/systemd/system/job.service"
	since := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	timer := Unit{Unit: "job.timer", State: Running, Inputs: []string{service, "/etc/job.conf"}, Refresh: "restart"}
	for name, c := range map[string]struct {
		newer string
		unit  facts.Unit
		want  bool
	}{
		"nothing changed":        {"", facts.Unit{Loaded: true, StateChanged: since}, false},
		"the service of a timer": {service, facts.Unit{Loaded: true, StateChanged: since}, true},
		"what the service reads": {"/etc/job.conf", facts.Unit{Loaded: true, StateChanged: since}, false},
		"the unit's own file":    {"", facts.Unit{Loaded: true, StateChanged: since, NeedsReload: true}, true},
		"systemd knows no such":  {"", facts.Unit{StateChanged: since}, true},
	} {
		s := facts.Server{Units: map[string]facts.Unit{"job.timer": c.unit}, Paths: map[string]facts.Path{}}
		for _, input := range timer.Inputs {
			changed := since.Add(-time.Hour)
			if input == c.newer {
				changed = since.Add(time.Hour)
			}
			s.Paths[input] = facts.Path{Type: facts.File, Changed: changed}
		}
		if got := timer.unread(s); got != c.want {
			t.Errorf("%s: read anew %v, want %v", name, got, c.want)
		}
	}
}
