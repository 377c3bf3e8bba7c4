package reach

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"rocca/internal/facts"
)

// small is a server with one user of interest, eve, who is in the group team
// and has a login, and a file /srv/a/f of root.
func small(t testing.TB, unit map[string]string) facts.Server {
	t.Helper()
	s := facts.Server{Paths: map[string]facts.Path{}, Users: map[string]facts.User{}, Groups: map[string]facts.Group{}, Units: map[string]facts.Unit{}, Trees: map[string]facts.Tree{}}
	account(&s, "root", 0)
	account(&s, "eve", 1000)
	account(&s, "mallory", 1001)
	s.Groups["team"] = facts.Group{Exists: true, GID: 2000, Members: []string{"eve"}}
	s.Groups["others"] = facts.Group{Exists: true, GID: 2001}
	s.Units["eve.service"] = facts.Unit{Loaded: true, Runs: facts.Runs{User: "eve", Exec: []facts.Exec{{Path: "/usr/bin/eve"}}, Sandbox: unit}}
	put(&s, map[string]facts.Path{"/srv/a/f": inode(facts.File, "root", "root", 0o600)})
	return s
}

func TestAccess(t *testing.T) {
	file := func(owner, group string, mode fs.FileMode) facts.Path { return inode(facts.File, owner, group, mode) }
	dir := func(owner, group string, mode fs.FileMode) facts.Path { return inode(facts.Dir, owner, group, mode) }
	at := func(f facts.Path) map[string]facts.Path { return map[string]facts.Path{"/srv/a/f": f} }
	flagged := func(f facts.Path, flags string) facts.Path { f.Flags = flags; return f }
	with := func(f facts.Path, a string) facts.Path { return acl(t, f, "access", a) }
	for _, c := range []struct {
		name    string
		paths   map[string]facts.Path
		sandbox map[string]string
		mounts  []facts.Mount
		want    string // letters: r read, w write, p replace; and a word of why
	}{
		{name: "nothing", paths: at(file("root", "root", 0o600))},
		{name: "owner", paths: at(file("eve", "root", 0o600)), want: "rw owns it (0600)"},
		{name: "owner without a bit changes the mode", paths: at(file("eve", "root", 0o077)), want: "rw owns it, so may change its mode (0077)"},
		{name: "group", paths: at(file("root", "team", 0o640)), want: "r group team may read it (0640)"},
		{name: "group writes", paths: at(file("root", "team", 0o660)), want: "rw"},
		{name: "other group", paths: at(file("root", "others", 0o660))},
		{name: "group class denies although other allows", paths: at(file("root", "team", 0o606))},
		{name: "everybody", paths: at(file("root", "others", 0o604)), want: "r everybody may read it (0604)"},
		{name: "ACL of a user", paths: at(with(file("root", "root", 0o640), "user::rw-,user:1000:r--,group::r--,mask::r--,other::---")), want: "r an ACL says that user eve may read it"},
		{name: "ACL of another user", paths: at(with(file("root", "root", 0o640), "user::rw-,user:1001:r--,group::r--,mask::r--,other::---"))},
		{name: "ACL cut by the mask", paths: at(with(file("root", "root", 0o600), "user::rw-,user:1000:rw-,group::r--,mask::---,other::---"))},
		{name: "ACL half cut by the mask", paths: at(with(file("root", "root", 0o640), "user::rw-,user:1000:rw-,group::---,mask::r--,other::---")), want: "r"},
		{name: "ACL of a user denies although group and other allow", paths: at(with(file("root", "team", 0o666), "user::rw-,user:1000:---,group::rw-,mask::rw-,other::rw-"))},
		{name: "ACL of a group", paths: at(with(file("root", "root", 0o640), "user::rw-,group::---,group:2000:r--,mask::r--,other::---")), want: "r an ACL says that group team may read it"},
		{name: "ACL of another group", paths: at(with(file("root", "root", 0o640), "user::rw-,group::---,group:2001:r--,mask::r--,other::---"))},
		{name: "ACL of a group denies although other allows", paths: at(with(file("root", "root", 0o646), "user::rw-,group::---,group:2000:---,mask::rw-,other::rw-"))},
		{name: "owner is not cut by the mask", paths: at(with(file("eve", "root", 0o600), "user::rw-,user:1001:r--,group::---,mask::---,other::---")), want: "rw"},
		{name: "ACL that cannot be read", paths: at(facts.Path{Type: facts.File, Owner: "root", Group: "root", Mode: 0o600, Xattrs: map[string][]byte{"system.posix_acl_access": {1}}}), want: "rw cannot be read"},
		{name: "no search on the parent", paths: map[string]facts.Path{"/srv/a/f": file("root", "root", 0o666), "/srv/a": dir("root", "root", 0o750)}},
		{name: "search by the group", paths: map[string]facts.Path{"/srv/a/f": file("root", "root", 0o644), "/srv/a": dir("root", "team", 0o710)}, want: "r"},
		{name: "no search on the grandparent", paths: map[string]facts.Path{"/srv/a/f": file("eve", "eve", 0o666), "/srv": dir("root", "root", 0o700)}},
		{name: "parent", paths: map[string]facts.Path{"/srv/a": dir("eve", "root", 0o755)}, want: "p owns /srv/a (0755), so may replace f"},
		{name: "parent of a group", paths: map[string]facts.Path{"/srv/a": dir("root", "team", 0o775)}, want: "p group team may write to /srv/a (0775)"},
		{name: "parent to write but not to search", paths: map[string]facts.Path{"/srv/a": dir("root", "team", 0o765)}},
		{name: "grandparent", paths: map[string]facts.Path{"/srv": dir("root", "root", 0o777), "/srv/a": dir("root", "root", 0o700)}, want: "p everybody may write to /srv (0777), so may replace a"},
		{name: "sticky parent", paths: map[string]facts.Path{"/srv/a": dir("root", "root", 0o1777)}},
		{name: "sticky parent, own entry", paths: map[string]facts.Path{"/srv/a": dir("root", "root", 0o1777), "/srv/a/f": file("eve", "eve", 0o600)}, want: "rwp"},
		{name: "sticky parent of one's own", paths: map[string]facts.Path{"/srv/a": dir("eve", "root", 0o1755)}, want: "p"},
		{name: "absent in a directory to write to", paths: map[string]facts.Path{"/srv/a": dir("root", "root", 0o777), "/srv/a/f": {}}, want: "p"},
		{name: "immutable", paths: at(flagged(file("eve", "eve", 0o666), "i")), want: "r"},
		{name: "immutable entry in a directory of one's own", paths: map[string]facts.Path{"/srv/a": dir("eve", "eve", 0o755), "/srv/a/f": flagged(file("root", "root", 0o600), "i")}},
		{name: "immutable directory", paths: map[string]facts.Path{"/srv/a": flagged(dir("eve", "eve", 0o755), "i")}},
		{name: "mounted read-only", paths: at(file("eve", "eve", 0o644)), mounts: []facts.Mount{{Point: "/srv", Options: []string{"ro"}}}, want: "r"},
		{name: "mounted read-only, directory", paths: map[string]facts.Path{"/srv/a": dir("eve", "eve", 0o755)}, mounts: []facts.Mount{{Point: "/", Options: []string{"rw"}}, {Point: "/srv", Options: []string{"nosuid", "ro"}}}},
		{name: "mounted read-only and again read-write", paths: at(file("eve", "eve", 0o644)), mounts: []facts.Mount{{Point: "/srv", Options: []string{"ro"}}, {Point: "/srv/a", Options: []string{"rw"}}}, want: "rw"},
		{name: "a mount point is not replaced", paths: map[string]facts.Path{"/srv": dir("root", "root", 0o777)}, mounts: []facts.Mount{{Point: "/srv/a", Options: []string{"rw"}}}},
		{name: "link to it", paths: map[string]facts.Path{"/srv/a/f": link("../b/g"), "/srv/b/g": file("root", "team", 0o660)}, want: "rw"},
		{name: "link into a place to write to", paths: map[string]facts.Path{"/srv/a/f": link("/srv/b/g"), "/srv/b": dir("root", "team", 0o770), "/srv/b/g": file("root", "root", 0o600)}, want: "p so may replace g"},
		{name: "link through a place that is closed", paths: map[string]facts.Path{"/srv/a/f": link("/srv/b/g"), "/srv/b": dir("root", "root", 0o700), "/srv/b/g": file("root", "root", 0o666)}},
		{name: "link that leads to itself", paths: at(link("f"))},
		{name: "hidden", paths: at(file("eve", "eve", 0o666)), sandbox: map[string]string{"InaccessiblePaths": "-/srv/a"}},
		{name: "hidden, what is below opened again stays hidden", paths: at(file("eve", "eve", 0o666)), sandbox: map[string]string{"InaccessiblePaths": "/srv", "ReadWritePaths": "/srv/a"}},
		{name: "another is hidden", paths: at(file("eve", "eve", 0o666)), sandbox: map[string]string{"InaccessiblePaths": "-/srv/ab /srv/a/ff"}, want: "rw"},
		{name: "strict", paths: at(file("eve", "eve", 0o666)), sandbox: map[string]string{"ProtectSystem": "strict"}, want: "r"},
		{name: "strict, directory", paths: map[string]facts.Path{"/srv/a": dir("eve", "eve", 0o755)}, sandbox: map[string]string{"ProtectSystem": "strict"}},
		{name: "strict but for this", paths: at(file("eve", "eve", 0o666)), sandbox: map[string]string{"ProtectSystem": "strict", "ReadWritePaths": "-/srv/a"}, want: "rw"},
		{name: "full is not about /srv", paths: at(file("eve", "eve", 0o666)), sandbox: map[string]string{"ProtectSystem": "full"}, want: "rw"},
		{name: "read-only path", paths: at(file("eve", "eve", 0o666)), sandbox: map[string]string{"ReadOnlyPaths": "/srv"}, want: "r"},
		{name: "temporary file system", paths: at(file("eve", "eve", 0o666)), sandbox: map[string]string{"TemporaryFileSystem": "/srv:ro"}},
		{name: "covered by another", paths: at(file("eve", "eve", 0o666)), sandbox: map[string]string{"BindPaths": "/srv/b:/srv/a"}},
		{name: "mounted elsewhere, past a closed parent", paths: map[string]facts.Path{"/srv/a": dir("root", "root", 0o700), "/srv/a/f": file("eve", "eve", 0o600)}, sandbox: map[string]string{"BindPaths": "/srv/a/f:/run/f"}, want: "rw"},
		{name: "root directory elsewhere", paths: at(file("eve", "eve", 0o666)), sandbox: map[string]string{"RootDirectory": "/srv/b"}},
		{name: "root directory here", paths: at(file("eve", "eve", 0o666)), sandbox: map[string]string{"RootDirectory": "/srv/a"}, want: "rw"},
		{name: "capability", paths: at(file("root", "root", 0o600)), sandbox: map[string]string{"AmbientCapabilities": "cap_dac_override"}, want: "rwp capability"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := small(t, c.sandbox)
			put(&s, c.paths)
			s.Mounts = c.mounts
			g := New(s)
			a := g.direct(g.follow("/srv/a/f"), 0)
			got := ""
			for letter, why := range map[string]string{"r": a.read, "w": a.write, "p": a.replace} {
				if why != "" {
					got += letter
				}
			}
			got = inOrder(got)
			letters, word, _ := strings.Cut(c.want, " ")
			if told := a.read + "|" + a.write + "|" + a.replace; got != letters || !strings.Contains(told, word) {
				t.Errorf("got %q (%s), want %q", got, told, c.want)
			}
		})
	}
}

func inOrder(letters string) string {
	out := ""
	for _, letter := range "rwp" {
		if strings.ContainsRune(letters, letter) {
			out += string(letter)
		}
	}
	return out
}

// The scan of a tree must come to what looking at each entry comes to.
func TestTreeAgreesWithSingleEntries(t *testing.T) {
	s := small(t, map[string]string{"ProtectSystem": "strict", "ReadWritePaths": "/srv/t/open", "InaccessiblePaths": "/srv/t/open/shut"})
	s.Users["mallory"] = facts.User{Exists: true, UID: 1001, Group: "mallory", Shell: "/bin/bash"}
	tree := facts.Tree{".": rootDir()}
	owners := []string{"root", "eve", "mallory"}
	for i, top := range []string{"open", "open/shut", "closed", "closed/in", "sticky", "team"} {
		tree[top] = inode(facts.Dir, owners[i%3], "team", []fs.FileMode{0o755, 0o777, 0o700, 0o777, 0o1777, 0o770}[i])
		for j, mode := range []fs.FileMode{0o600, 0o664, 0o646, 0o444} {
			tree[fmt.Sprint(top, "/f", j)] = inode(facts.File, owners[(i+j)%3], "team", mode)
		}
	}
	s.Trees["/srv/t"] = tree
	put(&s, map[string]facts.Path{"/srv/t": rootDir()})
	g := New(s)
	got := g.nearest([]changes{g.scanTree("/srv/t", "/srv/t")})
	for i, f := range g.footholds {
		var want change
		for rel := range tree {
			at := strings.TrimSuffix("/srv/t/"+rel, "/.")
			if why := g.direct(g.follow(at), i).write; why != "" {
				if c := (change{Write, at, why}); c.better(want) {
					want = c
				}
			}
		}
		if got[i] != want {
			t.Errorf("%s: %v, want %v", f.user, got[i], want)
		}
	}
	for _, below := range []string{"/srv/t/closed", "/srv/t/open"} {
		for _, c := range g.nearest([]changes{g.scanTree("/srv/t", below)}) {
			if c.path != "" && !strings.HasPrefix(c.path, below) {
				t.Errorf("below %s: %v", below, c)
			}
		}
	}
}

func TestNetworkOfASandbox(t *testing.T) {
	for options, want := range map[string]bool{
		"":                                            true,
		"PrivateNetwork=yes":                          false,
		"RestrictAddressFamilies=AF_UNIX":             false,
		"RestrictAddressFamilies=~AF_NETLINK":         true,
		"RestrictAddressFamilies=~AF_INET":            true, // ::1 is left
		"IPAddressDeny=any":                           false,
		"IPAddressDeny=0.0.0.0/0 ::/0":                false,
		"IPAddressDeny=any;IPAddressAllow=10.0.0.0/8": false,
		"IPAddressDeny=any;IPAddressAllow=localhost":  true,
		"IPAddressDeny=169.254.0.0/16":                true,
	} {
		sandbox := map[string]string{}
		for option := range strings.SplitSeq(options, ";") {
			name, value, _ := strings.Cut(option, "=")
			sandbox[name] = value
		}
		s := small(t, sandbox)
		s.PHP.Pools = []facts.Pool{{Name: "x", SAPI: "fpm", User: "mallory", Listen: "127.0.0.1:9000"}}
		_, found, err := New(s).Find("eve", "become mallory")
		if err != nil || found != want {
			t.Errorf("%s: %v, %v", options, found, err)
		}
	}
}

func TestSocketsOfPools(t *testing.T) {
	for _, c := range []struct {
		name   string
		socket facts.Path
		mode   string
		unit   map[string]string
		want   bool
	}{
		{name: "group", socket: inode(facts.Other, "root", "team", 0o660), want: true},
		{name: "other group", socket: inode(facts.Other, "root", "others", 0o660)},
		{name: "everybody", socket: inode(facts.Other, "root", "root", 0o666), want: true},
		{name: "only to read", socket: inode(facts.Other, "root", "root", 0o664)},
		{name: "read-only file system does not matter", socket: inode(facts.Other, "root", "team", 0o660), unit: map[string]string{"ProtectSystem": "strict"}, want: true},
		{name: "hidden", socket: inode(facts.Other, "root", "team", 0o660), unit: map[string]string{"InaccessiblePaths": "/run/php"}},
		{name: "no Unix sockets", socket: inode(facts.Other, "root", "team", 0o660), unit: map[string]string{"RestrictAddressFamilies": "AF_INET"}},
		{name: "not there yet, as configured", mode: "0666", want: true},
		{name: "not there yet, PHP's default", mode: ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := small(t, c.unit)
			if c.socket.Exists() {
				put(&s, map[string]facts.Path{"/run/php/x.sock": c.socket})
			}
			s.PHP.Pools = []facts.Pool{{Name: "x", SAPI: "fpm", User: "mallory", Listen: "/run/php/x.sock", Mode: c.mode}}
			if _, found, err := New(s).Find("eve", "become mallory"); err != nil || found != c.want {
				t.Errorf("%v, %v", found, err)
			}
		})
	}
}

func TestBecomingRoot(t *testing.T) {
	script := func(owner string, mode fs.FileMode) map[string]facts.Path {
		return map[string]facts.Path{"/srv/run.sh": inode(facts.File, owner, owner, mode)}
	}
	job := []facts.Job{{File: "/etc/cron.d/x", User: "root", Programs: []string{"/bin/sh", "/srv/run.sh"}}}
	rule := func(r facts.SudoRule) func(*facts.Server) {
		return func(s *facts.Server) { s.Sudo = []facts.SudoRule{r} }
	}
	login := func(s *facts.Server) {
		s.Users["eve"] = facts.User{Exists: true, UID: 1000, Group: "eve", Shell: "/bin/bash"}
	}
	for _, c := range []struct {
		name string
		set  func(*facts.Server)
		want bool
	}{
		{"job of root, own script", func(s *facts.Server) { put(s, script("eve", 0o755)); s.Jobs = job }, true},
		{"job of root, root's script", func(s *facts.Server) { put(s, script("root", 0o755)); s.Jobs = job }, false},
		{"job of root that only writes a file of eve's", func(s *facts.Server) {
			put(s, map[string]facts.Path{"/srv/log": inode(facts.File, "eve", "eve", 0o644)})
			s.Jobs = []facts.Job{{File: "/etc/cron.d/x", User: "root", Programs: []string{"/usr/bin/backup", "/srv/log"}}}
		}, false},
		{"crontab file", func(s *facts.Server) {
			put(s, map[string]facts.Path{"/etc/cron.d/x": inode(facts.File, "root", "team", 0o664)})
			s.Jobs = []facts.Job{{File: "/etc/cron.d/x", User: "mallory"}}
		}, true},
		{"sudo for all", rule(facts.SudoRule{Who: "ALL", As: "ALL", Commands: []string{"ALL"}, NoWord: true}), true},
		{"sudo for the group", rule(facts.SudoRule{Who: "%team", As: "root", Commands: []string{"ALL"}, NoWord: true}), true},
		{"sudo for another group", rule(facts.SudoRule{Who: "%others", As: "root", Commands: []string{"ALL"}, NoWord: true}), false},
		{"sudo with a password that nobody has", rule(facts.SudoRule{Who: "eve", As: "root", Commands: []string{"ALL"}}), false},
		{"sudo with a password", func(s *facts.Server) {
			rule(facts.SudoRule{Who: "eve", As: "root", Commands: []string{"ALL"}})(s)
			login(s)
		}, true},
		{"sudo without new privileges", func(s *facts.Server) {
			rule(facts.SudoRule{Who: "eve", As: "root", Commands: []string{"ALL"}, NoWord: true})(s)
			s.Units["eve.service"] = facts.Unit{Runs: facts.Runs{User: "eve", Exec: []facts.Exec{{Path: "/x"}}, Sandbox: map[string]string{"NoNewPrivileges": "yes"}}}
		}, false},
		{"sudo as another", rule(facts.SudoRule{Who: "eve", As: "mallory", Commands: []string{"ALL"}, NoWord: true}), false},
		{"docker", func(s *facts.Server) {
			s.Groups["docker"] = facts.Group{Exists: true, GID: 9, Members: []string{"eve"}}
		}, true},
		{"ExecStart of a unit of root", func(s *facts.Server) {
			put(s, script("eve", 0o755))
			s.Units["x.service"] = facts.Unit{Runs: facts.Runs{Exec: []facts.Exec{{Path: "/srv/run.sh"}}}}
		}, true},
		{"ExecStart of a unit of another", func(s *facts.Server) {
			put(s, script("eve", 0o755))
			s.Units["x.service"] = facts.Unit{Runs: facts.Runs{User: "mallory", Exec: []facts.Exec{{Path: "/srv/run.sh"}}}}
		}, false},
		{"ExecStartPre with + of a unit of another", func(s *facts.Server) {
			put(s, script("eve", 0o755))
			s.Units["x.service"] = facts.Unit{Runs: facts.Runs{User: "mallory", Exec: []facts.Exec{{Path: "/srv/run.sh", Root: true}}}}
		}, true},
		{"environment of a unit", func(s *facts.Server) {
			put(s, map[string]facts.Path{"/etc/default/x": inode(facts.File, "root", "team", 0o664)})
			s.Units["x.service"] = facts.Unit{Runs: facts.Runs{EnvFiles: []string{"-/etc/default/x"}}}
		}, true},
		{"drop-in", func(s *facts.Server) {
			put(s, map[string]facts.Path{"/etc/systemd/system/x.service.d/a.conf": inode(facts.File, "eve", "eve", 0o644)})
			s.Units["x.service"] = facts.Unit{DropIns: []string{"/etc/systemd/system/x.service.d/a.conf"}}
		}, true},
		{"passwd", func(s *facts.Server) {
			put(s, map[string]facts.Path{"/etc/passwd": inode(facts.File, "root", "team", 0o664)})
		}, true},
		{"number 0 under another name", func(s *facts.Server) { account(s, "toor", 0); s.Processes = []facts.Process{{User: "toor"}} }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := small(t, nil)
			c.set(&s)
			g := New(s)
			if _, found, err := g.Find("eve", "become root"); err != nil || found != c.want {
				t.Errorf("%v, %v", found, err)
			}
			if got := becoming(t, g, "root"); len(got) > 0 != c.want {
				t.Errorf("becoming root: %v", lines(got))
			}
		})
	}
}

func TestGrants(t *testing.T) {
	for _, c := range []struct {
		grant string
		want  Action
	}{
		{"USAGE ON *.*", ""},
		{"SELECT ON `matomo`.*", Read},
		{"SELECT (`a`,`b`), UPDATE (`c`) ON `matomo`.`t`", Alter},
		{"ALL PRIVILEGES ON *.* WITH GRANT OPTION", Alter},
		{"GRANT SELECT, INSERT ON `mat%`.* TO `x`@`y`", Alter},
		{"SELECT ON `m_tomo`.*", Read},
		{`SELECT ON ` + "`m\\_tomo`.*", ""},
		{"SELECT ON `matomo2`.*", ""},
		{"PROXY ON ''@'%'", ""},
		{"`reader`", Read},
		{"`nobody`", ""},
		{"SELECT ON `[a-z]atomo`.*", ""},
	} {
		s := small(t, nil)
		s.Database.Accounts = map[string]facts.Account{"reader": {Exists: true, Role: true, Grants: []string{"SELECT ON `matomo`.*"}}}
		action, _ := New(s).rightsOn(facts.Account{Grants: []string{c.grant}}, "matomo")
		if action != c.want {
			t.Errorf("%s: %q, want %q", c.grant, action, c.want)
		}
	}
}

// Who knows a password must also get to the server to use it.
func TestPasswordNeedsAConnection(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*facts.Server)
		want   bool
	}{
		"as it is":           {func(*facts.Server) {}, true},
		"server has no port": {func(s *facts.Server) { s.Listeners = []facts.Listener{{Port: 80}} }, false},
		"no network": {func(s *facts.Server) {
			u := s.Units["php8.2-fpm.service"]
			u.Sandbox = map[string]string{"PrivateNetwork": "yes"}
			s.Units["php8.2-fpm.service"] = u
		}, false},
		"account of another host": {func(s *facts.Server) { delete(s.Database.Accounts, "matomo@127.0.0.1") }, false},
		"no password in the file": {func(s *facts.Server) { s.Matomo.Contexts[0].Secrets["database.password"] = facts.Strength{} }, false},
		"server was not asked":    {func(s *facts.Server) { s.Database = facts.Database{} }, true},
	} {
		s := s2()
		c.change(&s)
		if p, found, err := New(s).Find("app2", "database"); err != nil || found != c.want {
			t.Errorf("%s: %v, %v, %v", name, p, found, err)
		}
	}
}

func TestBackendIsAPool(t *testing.T) {
	for _, c := range []struct {
		backend, listen string
		want            bool
	}{
		{"127.0.0.1:9000", "127.0.0.1:9000", true},
		{"127.0.0.1:9000", "[::]:9000", true}, // of all addresses
		{"[::1]:9000", "[::]:9000", true},
		{"[::1]:9000", "[::1]:9001", false},
		{"127.0.0.1:9000", "[::]:9001", false},
		{"[::1]:9000", "127.0.0.1:9000", false},
		{"/run/php/x.sock", "/run/php/x.sock", true},
		{"/run/php/x.sock", "/run/php/y.sock", false},
	} {
		if got := sameListen(c.backend, c.listen); got != c.want {
			t.Errorf("%s is %s: %v, want %v", c.backend, c.listen, got, c.want)
		}
	}
}
