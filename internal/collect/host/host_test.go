package host

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"rocca/internal/facts"
)

// me are names for whoever runs the test.
func me() names {
	uid, gid := strconv.Itoa(os.Getuid()), strconv.Itoa(os.Getgid())
	return names{byUID: map[string]string{uid: "tester"}, byGID: map[string]string{gid: "testers"}}
}

func write(t *testing.T, name, content string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(name, mode); err != nil {
		t.Fatal(err)
	}
}

func sum(content string) string {
	s := sha256.Sum256([]byte(content))
	return hex.EncodeToString(s[:])
}

func TestPath(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	write(t, file, "content", 0o640)
	// Go has the set-user-id bit elsewhere than the kernel: facts use the kernel's.
	if err := syscall.Chmod(file, 0o4640); err != nil {
		t.Fatal(err)
	}
	link, dangling, pipe, sub := filepath.Join(dir, "link"), filepath.Join(dir, "dangling"), filepath.Join(dir, "pipe"), filepath.Join(dir, "sub")
	for name, target := range map[string]string{link: "file", dangling: "/nowhere"} {
		if err := os.Symlink(target, name); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(sub, "b"), "", 0o600)
	write(t, filepath.Join(sub, "a"), "", 0o600)
	if err := os.Chmod(sub, 0o750); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]facts.Path{
		file:                          {Type: facts.File, Mode: 0o4640, Owner: "tester", Group: "testers", Size: 7, SHA256: sum("content"), Content: []byte("content")},
		link:                          {Type: facts.Symlink, Mode: 0o777, Owner: "tester", Group: "testers", Size: 4, Target: "file"},
		dangling:                      {Type: facts.Symlink, Mode: 0o777, Owner: "tester", Group: "testers", Size: 8, Target: "/nowhere"},
		pipe:                          {Type: facts.Other, Mode: 0o600, Owner: "tester", Group: "testers"},
		sub:                           {Type: facts.Dir, Mode: 0o750, Owner: "tester", Group: "testers", Names: []string{"a", "b"}},
		filepath.Join(dir, "missing"): {},
		filepath.Join(file, "below"):  {}, // a part of the path is a file
	} {
		got, err := me().path(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		ignore := []cmp.Option{cmpopts.IgnoreFields(facts.Path{}, "Changed")}
		if want.Type == facts.Dir {
			ignore = append(ignore, cmpopts.IgnoreFields(facts.Path{}, "Size"))
		}
		if diff := cmp.Diff(want, got, ignore...); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if want.Exists() && time.Since(got.Changed).Abs() > time.Hour {
			t.Errorf("%s: changed at %s", name, got.Changed)
		}
	}
}

func TestPathCapsContentButHashesAll(t *testing.T) {
	name := filepath.Join(t.TempDir(), "large")
	content := strings.Repeat("x", contentLimit+10)
	write(t, name, content, 0o600)
	got, err := me().path(name)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Content) != contentLimit || got.SHA256 != sum(content) || got.Size != int64(len(content)) {
		t.Errorf("got %d bytes, size %d, hash %s", len(got.Content), got.Size, got.SHA256)
	}
}

func TestUnknownOwnerIsItsNumber(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	write(t, name, "", 0o600)
	got, err := names{}.path(name)
	if err != nil || got.Owner != strconv.Itoa(os.Getuid()) || got.Group != strconv.Itoa(os.Getgid()) {
		t.Errorf("got %s:%s %v", got.Owner, got.Group, err)
	}
}

func TestTree(t *testing.T) {
	top := t.TempDir()
	if err := os.Chmod(top, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(top, "a/b/c.php"), "<?php", 0o644)
	write(t, filepath.Join(top, "run"), "", 0o755)
	if err := os.Symlink("..", filepath.Join(top, "a/up")); err != nil {
		t.Fatal(err)
	}
	got, err := me().inodes().Tree(t.Context(), top)
	if err != nil {
		t.Fatal(err)
	}
	own := func(p facts.Path) facts.Path {
		p.Owner, p.Group = "tester", "testers"
		return p
	}
	want := facts.Tree{
		".":         own(facts.Path{Type: facts.Dir, Mode: 0o700}),
		"a":         own(facts.Path{Type: facts.Dir, Mode: 0o755}),
		"a/b":       own(facts.Path{Type: facts.Dir, Mode: 0o755}),
		"a/b/c.php": own(facts.Path{Type: facts.File, Mode: 0o644, SHA256: sum("<?php")}),
		"a/up":      own(facts.Path{Type: facts.Symlink, Mode: 0o777, Target: ".."}), // not walked into
		"run":       own(facts.Path{Type: facts.File, Mode: 0o755, SHA256: sum("")}),
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(facts.Path{}, "Changed", "Size")); diff != "" {
		t.Error(diff)
	}
	missing, err := me().inodes().Tree(t.Context(), filepath.Join(top, "missing"))
	if err != nil || len(missing) != 0 {
		t.Errorf("missing tree: got %v %v", missing, err)
	}
}

func TestAccounts(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "etc/passwd"), "root:x:0:0:root:/root:/bin/bash\nmatomo:x:998:997::/nonexistent:/usr/sbin/nologin\ntoor:x:0:0::/:/bin/sh\nbroken:x:1\n+::::::\n", 0o644)
	write(t, filepath.Join(dir, "etc/group"), "root:x:0:\nmatomo:x:997:www-data,backup\nbroken\n", 0o644)
	n, err := rootNames(Root(dir))
	if err != nil {
		t.Fatal(err)
	}
	users := n.users([]string{"matomo", "nobody", "broken"})
	if diff := cmp.Diff(map[string]facts.User{
		"matomo": {Exists: true, UID: 998, Group: "matomo", Home: "/nonexistent", Shell: "/usr/sbin/nologin"},
		"nobody": {}, "broken": {},
	}, users); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]facts.Group{"matomo": {Exists: true, GID: 997, Members: []string{"www-data", "backup"}}, "root": {Exists: true}, "broken": {}},
		n.groups([]string{"matomo", "root", "broken"})); diff != "" {
		t.Error(diff)
	}
	if n.byUID["0"] != "root" {
		t.Errorf("uid 0 is %q; the first entry counts", n.byUID["0"])
	}
	for _, name := range []string{"etc/group", "etc/passwd"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		if _, err := rootNames(Root(dir)); err == nil {
			t.Errorf("a missing %s is taken for an empty one", name)
		}
	}
}

func TestOfferedBranch(t *testing.T) {
	for name, c := range map[string]struct{ list, want string }{
		"bookworm":       {"Package: php-fpm\nVersion: 2:8.2+93\nDepends: php8.2-fpm\n\nPackage: z\n", "8.2"},
		"trixie":         {"Package: a\nDepends: php9.9-fpm\n\nPackage: php-fpm\nDepends: libc6, php8.4-fpm (>= 8.4)\n", "8.4"},
		"other packages": {"Package: php-fpmx\nDepends: php8.2-fpm\n\nPackage: php\nDepends: php8.2\n", ""},
		"empty":          {"", ""},
		"truncated":      {"Package: php-fpm\nDepends: php8", ""},
	} {
		list := filepath.Join(t.TempDir(), "Packages")
		write(t, list, c.list, 0o644)
		if got, err := offeredBranch(list); err != nil || got != c.want {
			t.Errorf("%s: got %q %v, want %q", name, got, err, c.want)
		}
	}
	if _, err := offeredBranch(filepath.Join(t.TempDir(), "missing")); err == nil {
		t.Error("a missing list is taken for one that offers nothing")
	}
}

func TestParseEndpoint(t *testing.T) {
	for _, c := range []struct {
		text, address string
		port          int
		err           bool
	}{
		{text: "0100007F:0050", address: "127.0.0.1", port: 80},
		{text: "00000000:01BB", address: "0.0.0.0", port: 443},
		{text: "00000000000000000000000001000000:0CEA", address: "::1", port: 3306},
		{text: "B80D01200000000067452301EFCDAB89:FFFF", address: "2001:db8::123:4567:89ab:cdef", port: 65535},
		{text: "0000000000000000FFFF00000100007F:0050", address: "127.0.0.1", port: 80}, // IPv4 in IPv6
		{text: "", err: true},
		{text: "0100007F", err: true},
		{text: "0100007F:", err: true},
		{text: "0100007F:10000", err: true},
		{text: "010000:0050", err: true},
		{text: "0100007G:0050", err: true},
		{text: "0100007F0100007F:0050", err: true},
	} {
		address, port, err := parseEndpoint(c.text)
		if (err != nil) != c.err || !c.err && (address != c.address || port != c.port) {
			t.Errorf("%q: got %s %d %v, want %s %d", c.text, address, port, err, c.address, c.port)
		}
	}
}

func FuzzParseEndpoint(f *testing.F) {
	f.Add("0100007F:0050")
	f.Add("B80D01200000000067452301EFCDAB89:FFFF")
	f.Add(":")
	f.Fuzz(func(t *testing.T, text string) {
		address, port, err := parseEndpoint(text)
		if err != nil {
			return
		}
		if net.ParseIP(address) == nil || port < 0 || port > 65535 {
			t.Errorf("%q: got %q port %d and no error", text, address, port)
		}
	})
}

// TestListeners opens a port and finds itself.
func TestListeners(t *testing.T) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	port := listener.Addr().(*net.TCPAddr).Port
	program, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	found, err := listeners()
	if err != nil {
		t.Fatal(err)
	}
	want := facts.Listener{Address: "127.0.0.1", Port: port, PID: os.Getpid(), Program: strings.TrimSpace(string(program))}
	for _, l := range found {
		if l.Port == port && l.Address == want.Address {
			if l != want {
				t.Errorf("got %+v, want %+v", l, want)
			}
			return
		}
	}
	t.Errorf("port %d is not among %+v", port, found)
}

func TestGone(t *testing.T) {
	for err, want := range map[error]bool{fs.ErrNotExist: true, syscall.ENOTDIR: true, fs.ErrPermission: false, nil: false} {
		if gone(err) != want {
			t.Errorf("%v: got %v", err, !want)
		}
	}
}

// BenchmarkTree looks at a tree of as many files as a release has.
func BenchmarkTree(b *testing.B) {
	top := b.TempDir()
	for i := range 110 {
		dir := filepath.Join(top, strconv.Itoa(i))
		if err := os.Mkdir(dir, 0o755); err != nil {
			b.Fatal(err)
		}
		for j := range 100 {
			if err := os.WriteFile(filepath.Join(dir, strconv.Itoa(j)), []byte(strings.Repeat("x", 6000)), 0o644); err != nil {
				b.Fatal(err)
			}
		}
	}
	for b.Loop() {
		if tree, err := me().inodes().Tree(b.Context(), top); err != nil || len(tree) != 11111 {
			b.Fatalf("%d paths, %v", len(tree), err)
		}
	}
}
