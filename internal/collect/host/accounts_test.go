package host

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rocca/internal/facts"
)

const (
	passwdText = "root:x:0:0:root:/root:/bin/bash\nbin:*:2:2::/bin:/usr/sbin/nologin\nanna:x:1000:1000::/home/anna:/bin/sh\n" +
		"eve:x:1001:1000::/home/eve:/bin/sh\nold::1002:1000::/:/bin/sh\nnobody:x:65534:9::/:/bin/false\ngone:x:5:9::/:/bin/sh\n+::::::\nroot:x:7:7::/:/bin/sh\nbroken:x\n"
	shadowText = "root:!:1::::::\nanna:$y$j9T$abc:1::::::\neve::1::::::\nnobody:*:1::::::\nanna::1\n:\n"
	groupText  = "root:x:0:\nanna:x:1000:\ndocker:x:30:anna,eve\nsudo:x:27:anna\nbroken\n"
)

func TestAllAccounts(t *testing.T) {
	root := plant(t, map[string]string{"etc/passwd": passwdText, "etc/shadow": shadowText, "etc/group": groupText, "etc/nsswitch.conf": "passwd: files systemd\n"})
	n, err := rootNames(root)
	if err != nil {
		t.Fatal(err)
	}
	users, groups, err := accounts(root, n)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]facts.User{
		"root":   {Exists: true, Group: "root", Home: "/root", Shell: "/bin/bash", Locked: true, Service: true},
		"bin":    {Exists: true, UID: 2, Group: "2", Home: "/bin", Shell: "/usr/sbin/nologin", Locked: true, Service: true},
		"anna":   {Exists: true, UID: 1000, Group: "anna", Home: "/home/anna", Shell: "/bin/sh"},
		"eve":    {Exists: true, UID: 1001, Group: "anna", Home: "/home/eve", Shell: "/bin/sh", NoWord: true},
		"old":    {Exists: true, UID: 1002, Group: "anna", Home: "/", Shell: "/bin/sh", NoWord: true},
		"nobody": {Exists: true, UID: 65534, Group: "9", Home: "/", Shell: "/bin/false", Locked: true, Service: true},
		"gone":   {Exists: true, UID: 5, Group: "9", Home: "/", Shell: "/bin/sh", Locked: true, Service: true}, // no entry in shadow
	}
	if diff := cmp.Diff(want, users); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(facts.Group{Exists: true, GID: 30, Members: []string{"anna", "eve"}}, groups["docker"]); diff != "" || len(groups) != 4 {
		t.Errorf("%d groups %s", len(groups), diff)
	}
}

func TestAccountsThatCannotBeSeen(t *testing.T) {
	for name, c := range map[string]struct{ files map[string]string }{
		"no shadow":  {map[string]string{"etc/passwd": passwdText, "etc/group": groupText}},
		"from LDAP":  {map[string]string{"etc/passwd": passwdText, "etc/group": groupText, "etc/shadow": shadowText, "etc/nsswitch.conf": "passwd: files [NOTFOUND=return] sss # x\n"}},
		"shadow out": {map[string]string{"etc/passwd": passwdText, "etc/group": groupText, "etc/shadow": "-> /etc/nowhere"}},
	} {
		root := plant(t, c.files)
		n, err := rootNames(root)
		if err != nil {
			t.Fatal(err)
		}
		users, _, err := accounts(root, n)
		if err == nil || len(users) != 7 {
			t.Errorf("%s: %d users and error %v", name, len(users), err)
		}
		if name != "from LDAP" && (users["root"].Locked || users["eve"].NoWord) {
			t.Errorf("%s: states are told that nobody knows", name)
		}
	}
}

func TestSudo(t *testing.T) {
	root := plant(t, map[string]string{
		"etc/passwd": passwdText, "etc/group": groupText,
		"etc/sudoers": "# comment\nDefaults env_reset\nDefaults:kim !authenticate\nroot ALL=(ALL:ALL) ALL # all\n%sudo\tALL=(ALL:ALL) ALL\n" +
			"User_Alias OPS = anna, %ops : DEV = dev\nCmnd_Alias WEB = /usr/bin/systemctl restart nginx, \\\n  /usr/bin/true\n" +
			"OPS, !bob ALL=(root) NOPASSWD: WEB, PASSWD: /usr/bin/apt\nDEV web, db = (www-data, postgres) /bin/a\\,b : ALL = NOPASSWD: ALL\n" +
			"kim ALL = NOEXEC: SETENV: /bin/x -a\n#1001 ALL=ALL\n@include local\n#includedir /etc/sudoers.d\ngarbage\n",
		"etc/local":           "Runas_Alias R = postgres\nlocal ALL=(R) sha224:abc= /bin/y, !/bin/z\n@include local\n",
		"etc/sudoers.d/a":     "a ALL=(:adm) CWD=/tmp /bin/b\n",
		"etc/sudoers.d/no.d":  "never ALL=ALL\n",
		"etc/sudoers.d/back~": "never ALL=ALL\n",
	})
	n, err := rootNames(root)
	if err != nil {
		t.Fatal(err)
	}
	got, err := sudo(root, n)
	if err == nil || !strings.Contains(err.Error(), "/etc/sudoers:15") && !strings.Contains(err.Error(), "too deep") {
		t.Errorf("error %v", err)
	}
	web := []string{"/usr/bin/systemctl restart nginx", "/usr/bin/true"}
	want := []facts.SudoRule{
		{File: "/etc/sudoers", Line: 4, Who: "root", As: "ALL", Commands: []string{"ALL"}},
		{File: "/etc/sudoers", Line: 5, Who: "%sudo", As: "ALL", Commands: []string{"ALL"}},
		{File: "/etc/sudoers", Line: 9, Who: "anna", As: "root", Commands: web, NoWord: true},
		{File: "/etc/sudoers", Line: 9, Who: "anna", As: "root", Commands: []string{"/usr/bin/apt"}},
		{File: "/etc/sudoers", Line: 9, Who: "%ops", As: "root", Commands: web, NoWord: true},
		{File: "/etc/sudoers", Line: 9, Who: "%ops", As: "root", Commands: []string{"/usr/bin/apt"}},
		{File: "/etc/sudoers", Line: 10, Who: "dev", As: "www-data,postgres", Commands: []string{"/bin/a,b"}},
		{File: "/etc/sudoers", Line: 10, Who: "dev", As: "root", Commands: []string{"ALL"}, NoWord: true},
		{File: "/etc/sudoers", Line: 11, Who: "kim", As: "root", Commands: []string{"/bin/x -a"}, NoWord: true},
		{File: "/etc/sudoers", Line: 12, Who: "#1001", As: "root", Commands: []string{"ALL"}},
	}
	for i, w := range want {
		if i >= len(got) || cmp.Diff(w, got[i]) != "" {
			t.Fatalf("rule %d: got %+v, want %+v", i, got[i:min(i+1, len(got))], w)
		}
	}
	who := map[string]facts.SudoRule{}
	for _, rule := range got[len(want):] {
		who[rule.Who] = rule
	}
	if diff := cmp.Diff(facts.SudoRule{File: "/etc/local", Line: 2, Who: "local", As: "postgres", Commands: []string{"sha224:abc= /bin/y", "!/bin/z"}}, who["local"]); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(facts.SudoRule{File: "/etc/sudoers.d/a", Line: 1, Who: "a", As: "root", Commands: []string{"/bin/b"}}, who["a"]); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(facts.SudoRule{File: "/etc/group", Line: 3, Who: "eve", As: "root", Commands: []string{"ALL"}, NoWord: true}, who["eve"]); diff != "" {
		t.Error(diff)
	}
	if _, read := who["never"]; read {
		t.Error("files that sudo passes over were read")
	}
}

func FuzzAccounts(f *testing.F) {
	f.Add(passwdText, shadowText, groupText)
	f.Fuzz(func(t *testing.T, passwd, shadow, group string) {
		root := plant(t, map[string]string{"etc/passwd": passwd, "etc/shadow": shadow, "etc/group": group})
		n, err := rootNames(root)
		if err != nil {
			return
		}
		users, _, _ := accounts(root, n)
		for name, user := range users {
			if !user.Exists || user.Locked && user.NoWord {
				t.Errorf("%q: %+v", name, user)
			}
		}
	})
}

func FuzzSudoers(f *testing.F) {
	f.Add("User_Alias A = A, B\nB ALL=(a:b) NOPASSWD: X, Y : h = Z\nCmnd_Alias X = X, !X\n@includedir /etc\n")
	f.Add("Defaults !authenticate\n#0 ALL=(ALL) \"x\\\n y\n%#1 ALL=\\")
	f.Fuzz(func(t *testing.T, text string) {
		s := sudoers{root: plant(t, map[string]string{"etc/x": "x ALL=ALL"}), aliases: map[string][]string{}}
		for number, line := range logicalLines(text) {
			s.line("/etc/sudoers", number, line, 0)
		}
		for _, rule := range s.rules() {
			if rule.Who == "" || rule.As == "" || rule.Line == 0 {
				t.Errorf("%+v", rule)
			}
		}
	})
}
