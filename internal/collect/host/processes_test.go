package host

import (
	"net"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rocca/internal/facts"
)

// procTree is a machine with systemd, a server with a worker that systemd has
// opened a socket for, and a kernel thread.
func procTree(t testing.TB) Root {
	return plant(t, map[string]string{
		"proc/1/status": "Name:\tsystemd\nPPid:\t0\nTracerPid:\t0\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nGroups:\t\n", "proc/1/exe": "-> /usr/lib/systemd/systemd",
		"proc/1/cmdline": "/sbin/init\x00", "proc/1/cgroup": "9:pids:/x.service\n0::/init.scope\n", "proc/1/maps": "", "proc/1/environ": "", "proc/1/comm": "systemd\n",
		"proc/1/ns/net": "-> net:[1]", "proc/1/fd/3": "-> socket:[30]", "proc/1/fd/4": "-> socket:[50]",
		"proc/2/status":  "Name:\tkthreadd\nPPid:\t0\nUid:\t0\t0\t0\t0\n",
		"proc/10/status": "Name:\tmy server\nPPid:\t1\nTracerPid:\t7\nUid:\t0\t33\t33\t33\nGid:\t0\t33\t33\t33\nGroups:\t33 1000 \n", "proc/10/exe": "-> /usr/sbin/server (deleted)",
		"proc/10/cmdline": "server\x00--password\x00known-word\x00-x\n" + strings.Repeat("y", 300) + "\x00", "proc/10/cgroup": "1:name=systemd:/system.slice/system-php.slice/php@ui.service\n",
		"proc/10/maps": "55d0-55d1 r-xp 00000000 fe:00 1    /usr/sbin/server (deleted)\n7f0-7f1 r--p 00000000 fe:00 1    /usr/lib/libssl.so.3 (deleted)\n7f1-7f2 r-xp 00001000 fe:00 1    /usr/lib/libssl.so.3 (deleted)\n" +
			"7f3-7f4 rwxs 00000000 00:01 1    /memfd:jit (deleted)\n7f5-7f6 rw-s 00000000 00:01 1    /dev/zero (deleted)\n7f7-7f8 rwxs 00000000 00:01 1    /SYSV00000000 (deleted)\n7f9-7fa r-xp 00000000 fe:00 1    /usr/lib/libc.so.6\n7fb-7fc rw-s 00000000 fe:00 1    /var/cache/x (deleted)\n",
		"proc/10/environ": "PATH=/bin\x00DB_PASSWORD=x\x00EMPTY_TOKEN=\x00OTHER=a known-word b\x00", "proc/10/comm": "my server\n", "proc/10/ns/net": "-> net:[2]", "proc/10/fd/3": "-> socket:[30]", "proc/10/fd/5": "-> socket:[40]",
		"proc/10/net/unix": unixHead + "0: 2 0 10000 1 01 60 /run/private.sock\n", "proc/11/fd/5": "-> socket:[40]",
		"proc/net/tcp":  tcpHead + "0: 0100007F:0050 00000000:0000 0A 0:0 00:0 0 33 0 40 1\n1: 0100007F:0051 0100007F:1000 01 0:0 00:0 0 33 0 41 1\n2: 00000000:0016 00000000:0000 0A 0:0 00:0 0 0 0 50 1\n",
		"proc/net/udp":  tcpHead + "0: 00000000:0044 00000000:0000 07 0:0 00:0 0 33 0 99 1\n1: 0100007F:0051 0100007F:1000 01 0:0 00:0 0 33 0 41 1\n",
		"proc/net/unix": unixHead + "0: 2 0 10000 1 01 30 /var/run/php/ui.sock\n0: 2 0 10000 1 01 31 /run/with space\n0: 2 0 10000 1 01 32 @abstract\n0: 2 0 0 2 01 33 /run/datagram\n0: 3 0 0 1 03 34 /run/connected\n",
	})
}

const (
	tcpHead  = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
	unixHead = "Num       RefCount Protocol Flags    Type St Inode Path\n"
)

var twoNames = names{byUID: map[string]string{"0": "root", "33": "www-data"}, byGID: map[string]string{"0": "root", "33": "www-data"}}

func TestProcesses(t *testing.T) {
	got, err := processes(procTree(t), twoNames, []string{"known-word"})
	if err != nil {
		t.Fatal(err)
	}
	want := []facts.Process{
		{PID: 1, Name: "systemd", Program: "/usr/lib/systemd/systemd", Title: "/sbin/init", User: "root", Group: "root", Unit: "init.scope"},
		{PID: 2, Name: "kthreadd", User: "root"},
		{
			PID: 10, Parent: 1, Name: "my server", Program: "/usr/sbin/server", User: "www-data", Group: "www-data", Groups: []string{"www-data", "1000"},
			Title: ("server --password [redacted] -x " + strings.Repeat("y", 300))[:titleLimit], Unit: "php@ui.service", Traced: true, NetNS: "net:[2]",
			Deleted: []string{"/usr/lib/libssl.so.3", "/usr/sbin/server"}, Secrets: []string{"DB_PASSWORD", "OTHER"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestOwnProcess finds the test itself on the machine that it runs on.
func TestOwnProcess(t *testing.T) {
	t.Setenv("PATH", os.Getenv("PATH"))
	n, err := rootNames("/")
	if err != nil {
		t.Fatal(err)
	}
	found, _ := processes("/", n, nil)
	at := slices.IndexFunc(found, func(p facts.Process) bool { return p.PID == os.Getpid() })
	if at < 0 || found[at].Parent != os.Getppid() || !strings.HasSuffix(found[at].Program, ".test") {
		t.Fatalf("%+v", found)
	}
}

func TestSockets(t *testing.T) {
	root := procTree(t)
	units := map[string]facts.Unit{
		"php@ui.socket": {Listens: facts.Listens{Streams: []string{"/run/php/ui.sock"}}},
		"ssh.socket":    {Listens: facts.Listens{Streams: []string{"[::]:22"}}},
	}
	found, err := internetSockets(root, "tcp", "tcp6", "udp")
	if err != nil {
		t.Fatal(err)
	}
	holders, err := socketHolders(root)
	if err != nil {
		t.Fatal(err)
	}
	running, err := processes(root, twoNames, nil)
	if err != nil {
		t.Fatal(err)
	}
	owner := newOwners(running, units)
	listeners := held(found, holders)
	for i, l := range listeners {
		listeners[i].Unit = owner.ofListener(l)
	}
	if diff := cmp.Diff([]facts.Listener{
		{Port: 22, Address: "0.0.0.0", Program: "systemd", PID: 1, Unit: "ssh.socket"},
		{Protocol: "udp", Port: 68, Address: "0.0.0.0"},
		{Port: 80, Address: "127.0.0.1", Program: "my server", PID: 10, Unit: "php@ui.service"},
	}, listeners); diff != "" {
		t.Error(diff)
	}
	sockets, err := unixSockets(root, holders, running)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range sockets {
		sockets[i].Unit = owner.ofSocket(s)
	}
	if diff := cmp.Diff([]facts.Socket{
		{Path: "/run/php/ui.sock", Program: "systemd", PID: 1, Unit: "php@ui.socket"},
		{Path: "/run/private.sock"}, // of another network namespace
		{Path: "/run/with space"},
	}, sockets); diff != "" {
		t.Error(diff)
	}
}

// TestOwnUDP opens a port and finds itself.
func TestOwnUDP(t *testing.T) {
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	found, err := internetSockets("/", "udp", "udp6")
	if err != nil {
		t.Fatal(err)
	}
	holders, err := socketHolders("/")
	if err != nil {
		t.Fatal(err)
	}
	port := conn.LocalAddr().(*net.UDPAddr).Port
	if !slices.ContainsFunc(held(found, holders), func(l facts.Listener) bool {
		return l.Protocol == "udp" && l.Port == port && l.Address == "127.0.0.1" && l.PID == os.Getpid()
	}) {
		t.Errorf("port %d is not among %+v", port, found)
	}
}

func FuzzProc(f *testing.F) {
	root := procTree(f)
	for _, name := range []string{"net/tcp", "net/unix", "10/status", "10/maps", "10/cgroup", "10/cmdline"} {
		text, err := root.proc(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		found, err := parseSockets(text, "udp")
		for _, l := range found {
			if err == nil && (net.ParseIP(l.Address) == nil || l.Port < 1 || l.Port > 65535) {
				t.Errorf("%+v", l)
			}
		}
		for _, path := range parseUnixSockets(text) {
			if !strings.HasPrefix(path, "/") {
				t.Errorf("socket %q", path)
			}
		}
		for _, path := range deletedCode(text) {
			if !strings.HasPrefix(path, "/") {
				t.Errorf("mapped %q", path)
			}
		}
		for _, c := range containersOf(text) {
			if c.runtime == "" || c.id == "" || strings.ContainsAny(c.id, "/ \n\x1b") {
				t.Errorf("container %q", c)
			}
		}
		boundingSet(text)
		parseStatus(text, twoNames)
		if unit := unitOf(text); strings.Contains(unit, "/") {
			t.Errorf("unit %q", unit)
		}
		if shown := title(text, nil); strings.ContainsAny(shown, "\x00\n\x1b") || len([]rune(shown)) > titleLimit {
			t.Errorf("title %q", shown)
		}
	})
}
