package demo

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"rocca/internal/config"
	"rocca/internal/run"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestEntriesWithout(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{
		"etc/passwd", "root/.bashrc", "root/release/m.tar.gz", "root/release/m.tar.gz.asc", "root/unpacked/index.php", "root/released/x",
		"var/lib/mysql/ibdata1", "var/cache/apt/pkgcache.bin", "var/cache/apt/archives/lock", "var/cache/apt/archives/a.deb", "var/cache/debconf/x",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("usr/bin", filepath.Join(root, "bin")); err != nil {
		t.Fatal(err)
	}
	got, err := entriesWithout(root, needless)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(got)
	if diff := cmp.Diff([]string{"bin", "etc", "root/.bashrc", "root/released", "var/cache/apt/archives/lock", "var/cache/debconf", "var/lib"}, got); diff != "" {
		t.Error(diff)
	}
	if all, err := entriesWithout(root, func(string) bool { return false }); err != nil || !slices.Equal(all, []string{"bin", "etc", "root", "var"}) {
		t.Errorf("with nothing left out: %q, %v", all, err)
	}
}

func TestIsLayered(t *testing.T) {
	const dir = "/var/lib/rocca-demo/a"
	own := "42 31 0:28 / /var/lib/rocca-demo/a/root rw,relatime - overlay overlay rw,lowerdir=/x,upperdir=/var/lib/rocca-demo/a/upper,workdir=/w\n"
	for name, test := range map[string]struct {
		mountinfo string
		want      bool
	}{
		"own":            {own, true},
		"none":           {"", false},
		"of another":     {strings.ReplaceAll(own, "demo/a/root", "demo/b/root"), false},
		"another's part": {strings.ReplaceAll(own, "demo/a/upper", "demo/b/upper"), false},
		"no overlay":     {strings.ReplaceAll(own, "overlay overlay", "ext4 /dev/sda1"), false},
		"cut short":      {"42 31 0:28 / /x", false},
	} {
		if got := isLayered(test.mountinfo, dir); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// A kernel whose control groups cannot be frozen gets signals instead.
func TestProcessesAreStopped(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make control groups")
	}
	s := &Server{Name: "stopped-" + strconv.Itoa(os.Getpid())}
	groups, err := freshCgroup(machineName(s.Name))
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() {
		if err := emptyCgroups(groups); err != nil {
			t.Error(err)
		}
	})
	// It starts one process after the other, as dash by vfork.
	busy, err := run.Start(run.Command{Argv: inCgroups(groups, "sh", "-c", "while :; do sleep 0.001; done")}, filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	go busy.Wait()
	states := func() string {
		members, err := groupMembers(groups)
		if err != nil {
			t.Fatal(err)
		}
		text := ""
		for _, p := range members {
			if stat, err := readStat(p.PID); err == nil {
				text += string(stat.state)
			}
		}
		return text
	}
	until(t.Context(), func() (bool, error) { return states() != "", nil })
	if err := stopProcesses(t.Context(), groups); err != nil {
		t.Fatal(err)
	}
	members, err := groupMembers(groups)
	if err != nil {
		t.Fatal(err)
	}
	if got := moving(members); len(got) > 0 {
		t.Errorf("not all are stopped: %v, %s", got, states())
	}
	if err := os.MkdirAll(s.dir(), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(s.dir()) })
	if err := writeFile(s.frozenFile(), []byte(`{"stopped":true}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.thawAbandoned(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(nameLock(s.Name)) })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := until(ctx, func() (bool, error) { return strings.Trim(states(), "TZ") != "", nil }); err != nil {
		t.Errorf("they do not go on: %s", states())
	}
	if err := s.thaw(); err != nil {
		t.Errorf("a second thaw: %v", err)
	}
}

// Who enters a control group while it is being emptied, as the child of a killed
// rocca does, does not keep it.
func TestEnteringWhileEmptied(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make control groups")
	}
	groups, err := freshCgroup(machineName("entered-" + strconv.Itoa(os.Getpid())))
	if err != nil {
		t.Skip(err)
	}
	enter := func() (ended chan error, reap func()) {
		process, err := run.Start(run.Command{Argv: inCgroups(groups, "sleep", "60")}, filepath.Join(t.TempDir(), "log"))
		if err != nil {
			t.Fatal(err)
		}
		ended = make(chan error, 1)
		return ended, func() {
			_, err := process.Wait()
			ended <- err
		}
	}
	members := func() int {
		all, err := groupMembers(groups)
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	// The first one is killed, and holds the group until its parent takes notice.
	_, reap := enter()
	until(t.Context(), func() (bool, error) { return members() > 0, nil })
	emptied := make(chan error, 1)
	go func() { emptied <- emptyCgroups(groups) }()
	until(t.Context(), func() (bool, error) { return members() == 0, nil })
	ended, reapSecond := enter()
	go reapSecond()
	until(t.Context(), func() (bool, error) { return members() > 0 || len(ended) > 0, nil })
	reap()
	if err := <-emptied; err != nil {
		t.Error(err)
	}
	<-ended
	for _, group := range groups {
		if _, err := os.Stat(group); err == nil {
			t.Errorf("%s is still there", group)
		}
	}
}

// Where the host cannot put layers on top of each other, a tree is copied.
func TestCloneWithoutOverlay(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can mount")
	}
	dir := filepath.Join(t.TempDir(), "a,b") // not to be said in the options of a mount
	still := &Still{dir: dir}
	if err := writeFile(still.tree()+"/etc/x", []byte("x"), 0o640); err != nil {
		t.Fatal(err)
	}
	s := &Server{Name: "copied-" + strconv.Itoa(os.Getpid())} // several runs may share the host
	s.Root = s.dir() + "/root"
	if err := os.MkdirAll(s.dir(), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		groups, _ := ownCgroupDirs(machineName(s.Name))
		if err := emptyCgroups(groups); err != nil {
			t.Error(err)
		}
		if err := removeTree(s.dir()); err != nil {
			t.Error(err)
		}
	})
	if err := still.mount(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(s.Root + "/etc/x"); err != nil || string(text) != "x" {
		t.Errorf("got %q, %v", text, err)
	}
	if err := unmount(s.dir()); err != nil {
		t.Error(err)
	}
}

func TestKeyTellsServersApart(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"rocca", "release/index.php"} {
		if err := writeFile(filepath.Join(dir, name), []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	options := func(change func(*Options)) Options {
		o := Options{Binary: dir + "/rocca", Release: dir + "/release", AcceptUnsigned: true}
		change(&o)
		return o
	}
	key := func(o Options) string {
		k, err := o.key()
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	first := key(options(func(*Options) {}))
	if same := key(options(func(o *Options) { o.Debian = "12"; o.Name = "x"; o.Progress = func(Event) {} })); same != first {
		t.Error("what goes into no server changes the key")
	}
	for name, change := range map[string]func(*Options){
		"Debian":  func(o *Options) { o.Debian = "13" },
		"front":   func(o *Options) { o.Front = config.FrontApache },
		"config":  func(o *Options) { o.Config = []byte("trim: false") },
		"program": func(o *Options) { o.Binary = dir + "/release/index.php" },
		"file":    func(*Options) { os.WriteFile(dir+"/release/index.php", []byte("other"), 0o644) },
	} {
		if key(options(change)) == first {
			t.Errorf("%s: the key is the same", name)
		}
	}
}

func TestLikeConfig(t *testing.T) {
	name := filepath.Join(t.TempDir(), "rocca.yaml")
	if err := os.WriteFile(name, []byte(`
domain: stats.example.org
proxies: [10.20.0.0/16]
front: apache
base: /srv/matomo
state: /srv/matomo-state
tls: {certificate: /etc/cert.pem, key: /etc/key.pem}
database: {host: db.example.org, ca: /etc/ca.pem, credentials: /etc/rocca/database.yaml, name: stats, prefix: s_}
apps: [{name: shop, docroot: /srv/shop, domain: shop.example.org}]
superuser: {login: jane, email: jane@example.org}
admin_networks: [192.0.2.0/24, 203.0.113.7]
ports: [tcp/25]
outbound: [smtp.example.org]
hardening: {kernel: false}
privacy: {raw_days: 90}
waivers: [{id: FRT-09, reason: limits, owner: jane, until: 2027-03-31}]
`), 0o600); err != nil {
		t.Fatal(err)
	}
	load := func(name string) config.Config {
		t.Helper()
		c, err := config.Load(name, config.Defaults{Hostname: "a.example.org"})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	like, err := likeConfig(load(name))
	if err != nil {
		t.Fatal(err)
	}
	for _, left := range []string{"example.org/", "stats.example", "jane", "/etc/", "shop", "10.20", "waivers"} {
		if strings.Contains(string(like), left) {
			t.Errorf("%q is not left out:\n%s", left, like)
		}
	}
	text, err := guestConfig(Options{Config: like}, 8443)
	if err != nil {
		t.Fatal(err)
	}
	guest := filepath.Join(t.TempDir(), "rocca.yaml")
	if err := os.WriteFile(guest, text, 0o600); err != nil {
		t.Fatal(err)
	}
	want := config.Defaults{Hostname: "a.example.org"}.Config()
	want.Domain, want.Port = []string{"127.0.0.1", "localhost", "matomo.localhost"}, 8443
	want.Front, want.Base, want.State = config.FrontApache, "/srv/matomo", "/srv/matomo-state"
	want.Database.Name, want.Database.Prefix = "stats", "s_"
	want.AdminNetworks = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("203.0.113.7/32")}
	want.Ports, want.Outbound = []string{"tcp/25"}, []string{"smtp.example.org"}
	want.Hardening.Kernel, want.Privacy.RawDays = false, 90
	got := load(guest)
	want.Site, want.Superuser = got.Site, got.Superuser // they follow from the domain
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(config.Config{}), cmpopts.EquateEmpty(), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
}
