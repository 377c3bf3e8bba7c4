package host

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rocca/internal/facts"
)

// properties are as D-Bus gives them, of systemd 252.
var serviceProperties = map[string]any{
	"LoadState": "loaded", "UnitFileState": "enabled", "ActiveState": "active", "MainPID": uint32(7), "FragmentPath": "/etc/systemd/system/x@.service",
	"DropInPaths": []string{"/etc/systemd/system/x@ui.service.d/role.conf"}, "NeedDaemonReload": true, "ActiveEnterTimestamp": uint64(1_000_000),
	"User": "matomo", "Group": "matomo", "SupplementaryGroups": []string{"adm"}, "DynamicUser": false, "WorkingDirectory": "/srv",
	"Environment": []string{"DB_PASSWORD=x", "PLAIN=1", "SALT=known-word"}, "EnvironmentFiles": [][]any{{"/etc/default/x", true}},
	"ExecStartPreEx": [][]any{{"/bin/pre", []string{"/bin/pre", "--password=x"}, []string{"privileged"}, uint64(0)}},
	"ExecStartEx":    [][]any{{"/bin/x", []string{"x", "--name", "known-word"}, []string{}, uint64(0)}},
	"ExecReloadEx":   [][]any{{"/bin/kill", []string{"/bin/kill"}, []string{"no-setuid"}, uint64(0)}},
	"Result":         "success", "ExecMainStartTimestamp": uint64(5),
	"ProtectSystem": "strict", "PrivateNetwork": true, "PrivateTmp": false, "MemoryMax": uint64(1024), "TasksMax": uint64(math.MaxUint64), "UMask": uint32(0o27),
	"CPUQuotaPerSecUSec": uint64(200_000), "CPUWeight": uint64(math.MaxUint64), "StateDirectory": []string{"x", "y"}, "CacheDirectory": []string{}, "CapabilityBoundingSet": uint64(1<<0 | 1<<10), "AmbientCapabilities": uint64(0),
	"SystemCallFilter": []any{true, []string{"read", "write"}}, "RestrictAddressFamilies": []any{true, []string{}}, "RestrictFileSystems": []any{false, []string{}},
	"RestrictNamespaces": uint64(0), "BindPaths": [][]any{{"/a", "/b", false, uint64(0)}, {"/c", "/c", false, uint64(0)}},
	"TemporaryFileSystem": [][]any{{"/var", "ro"}}, "InaccessiblePaths": []string{"-/root", "/home"}, "SystemCallErrorNumber": int32(1),
	"IPAddressDeny": [][]any{{int32(2), []byte{0, 0, 0, 0}, uint32(0)}, {int32(10), make([]byte, 16), uint32(0)}}, "IPAddressAllow": [][]any{{int32(2), []byte{127, 0, 0, 0}, uint32(8)}},
	"AppArmorProfile": []any{false, ""},
}

func TestServiceProperties(t *testing.T) {
	got := unitOfProperties("x@ui.service", serviceProperties, []string{"known-word"})
	want := facts.Unit{
		Loaded: true, Enabled: true, Active: true, NeedsReload: true, MainPID: 7, Since: time.UnixMicro(1_000_000),
		Fragment: "/etc/systemd/system/x@.service", DropIns: []string{"/etc/systemd/system/x@ui.service.d/role.conf"},
		Runs: facts.Runs{
			Exec: []facts.Exec{
				{When: "ExecStartPre", Path: "/bin/pre", Args: []string{"--password=[redacted]"}, Root: true},
				{When: "ExecStart", Path: "/bin/x", Args: []string{"--name", "[redacted]"}},
				{When: "ExecReload", Path: "/bin/kill", Root: true},
			},
			User: "matomo", Group: "matomo", Supplementary: []string{"adm"}, Directory: "/srv",
			Environment: []string{"DB_PASSWORD", "PLAIN", "SALT"}, EnvFiles: []string{"/etc/default/x"}, SecretsInEnv: []string{"DB_PASSWORD", "SALT"},
			Sandbox: map[string]string{
				"ProtectSystem": "strict", "PrivateNetwork": "yes", "PrivateTmp": "no", "MemoryMax": "1024", "TasksMax": "infinity", "UMask": "0027", "CPUQuota": "20%", "CPUWeight": "infinity", "StateDirectory": "x y",
				"CapabilityBoundingSet": "CAP_CHOWN CAP_NET_BIND_SERVICE", "SystemCallFilter": "read write", "RestrictAddressFamilies": "none", "RestrictNamespaces": "yes",
				"BindPaths": "/a:/b /c", "TemporaryFileSystem": "/var:ro", "InaccessiblePaths": "-/root /home", "SystemCallErrorNumber": "EPERM",
				"IPAddressDeny": "any", "IPAddressAllow": "127.0.0.0/8",
			},
		},
		Timer: facts.Timer{Result: "success"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestOptions(t *testing.T) {
	for _, c := range []struct {
		name  string
		value any
		want  string
	}{
		{"CapabilityBoundingSet", uint64(math.MaxUint64), "all"},
		{"RestrictNamespaces", uint64(0x7e020000), "no"},
		{"RestrictNamespaces", uint64(0x10020000), "mnt user"},
		{"SystemCallFilter", []any{false, []string{"mount"}}, "~mount"},
		{"SystemCallFilter", []any{false, []string{}}, ""},
		{"AppArmorProfile", []any{false, "profile"}, "profile"},
		{"SystemCallErrorNumber", int32(math.MaxInt32 - 1), ""},
		{"IPAddressDeny", [][]any{{int32(2), []byte{169, 254, 169, 254}, uint32(32)}}, "169.254.169.254/32"},
		{"IPAddressDeny", [][]any{{int32(2), []byte{0, 0, 0, 0}, uint32(0)}}, "0.0.0.0/0"},
		{"CPUQuota", uint64(math.MaxUint64), "infinity"},
		{"CPUWeight", uint64(50), "50"},
		{"SecureBits", int32(5), "5"},
		{"UMask", "unexpected", "unexpected"},
		{"BindPaths", nil, ""},
	} {
		if got := option(c.name, c.value); got != c.want {
			t.Errorf("%s %v: got %q, want %q", c.name, c.value, got, c.want)
		}
	}
}

func TestTimerAndSocketProperties(t *testing.T) {
	timer := unitOfProperties("x.timer", map[string]any{
		"LoadState": "loaded", "Unit": "x.service", "LastTriggerUSec": uint64(1_000_000), "NextElapseUSecRealtime": uint64(2_000_000), "NextElapseUSecMonotonic": uint64(3),
	}, nil)
	if timer.Triggers != "x.service" || !timer.LastTrigger.Equal(time.Unix(1, 0)) || !timer.Next.Equal(time.Unix(2, 0)) {
		t.Errorf("%+v", timer)
	}
	socket := unitOfProperties("x.socket", map[string]any{
		"LoadState": "loaded", "Listen": [][]any{{"Stream", "/run/x.sock"}, {"Datagram", "/run/dgram"}, {"Stream", "[::]:80"}},
		"SocketUser": "root", "SocketGroup": "www-data", "SocketMode": uint32(0o660),
	}, nil)
	want := facts.Listens{Streams: []string{"/run/x.sock", "[::]:80"}, SocketUser: "root", SocketGroup: "www-data", SocketMode: "0660"}
	if diff := cmp.Diff(want, socket.Listens); diff != "" {
		t.Error(diff)
	}
}

// TestNext of a timer that counts from boot: an hour after another is.
func TestNext(t *testing.T) {
	var never uint64 = math.MaxUint64
	sinceBoot := func(micros uint64) time.Time {
		return next(map[string]any{"NextElapseUSecRealtime": never, "NextElapseUSecMonotonic": micros})
	}
	const hour = uint64(time.Hour / time.Microsecond)
	if apart := sinceBoot(2*hour).Sub(sinceBoot(hour)) - time.Hour; apart < 0 || apart > time.Minute {
		t.Errorf("an hour and %s apart", apart)
	}
	for _, properties := range []map[string]any{{}, {"NextElapseUSecRealtime": never}, {"NextElapseUSecRealtime": uint64(0), "NextElapseUSecMonotonic": never}} {
		if at := next(properties); !at.IsZero() {
			t.Errorf("%v: %s", properties, at)
		}
	}
}

// TestUnlisted: who ends is asked about only when it runs PHP.
func TestUnlisted(t *testing.T) {
	for _, c := range []struct {
		kind, program string
		want          bool
	}{
		{"oneshot", "/usr/bin/php8.2", true}, {"oneshot", "/bin/sh -c 'exec php x'", true}, {"oneshot", "/bin/true", false}, {"notify", "/usr/sbin/php-fpm8.2", false},
	} {
		program, arg, _ := strings.Cut(c.program, " ")
		unit := facts.Unit{Loaded: true, Runs: facts.Runs{Exec: []facts.Exec{{Path: program, Args: []string{arg}}}}}
		if got := unlisted(map[string]any{"Type": c.kind}, unit); got != c.want {
			t.Errorf("%s %s: %v", c.kind, c.program, got)
		}
	}
}

func TestOverall(t *testing.T) {
	for text, want := range map[string]float64{
		"✗ UMask=  Files are group-readable  0.1\n\n→ Overall exposure level for rocca-archive.service: 1.4 OK :-)\n": 1.4,
		"→ Overall exposure level for a@b\\x2dc.service: 10.0 DANGEROUS\n":                                            10,
		"Unit x.service not found, cannot analyze.\n":                                                                 0,
		"Overall exposure level for x.service: many\n":                                                                0,
	} {
		if got := parseOverall(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestExposure(t *testing.T) {
	got := parseExposure([]byte(`[{"unit":"nginx.service","exposure":"9.6","predicate":"UNSAFE","happy":"x"},{"unit":"odd","exposure":"-"}]`))
	if diff := cmp.Diff(map[string]float64{"nginx.service": 9.6}, got); diff != "" {
		t.Error(diff)
	}
	if got := parseExposure([]byte("no JSON")); len(got) != 0 {
		t.Errorf("got %v", got)
	}
}

func TestCanonicalStream(t *testing.T) {
	for stream, want := range map[string]string{
		"/var/run/x": "/run/x", "/run//x": "/run/x", "80": "port 80", "[::]:80": "port 80", "0.0.0.0:80": "port 80", "127.0.0.1:80": "127.0.0.1:80", "[::1]:80": "[::1]:80",
	} {
		if got := canonicalStream(stream); got != want {
			t.Errorf("%s: got %s, want %s", stream, got, want)
		}
	}
}
