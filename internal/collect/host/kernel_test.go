package host

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rocca/internal/facts"
)

func TestKernelSettings(t *testing.T) {
	root := plant(t, map[string]string{
		"proc/sys/kernel/osrelease": "6.1.0-1\n", "proc/sys/kernel/kptr_restrict": "1\n", "proc/sys/net/ipv4/conf/all/rp_filter": "2\n",
		"proc/sys/net/ipv4/conf/default/rp_filter": "0\n", "proc/sys/fs/protected_fifos": "1\n",
		"usr/lib/sysctl.d/50-default.conf": "net.ipv4.conf.*.rp_filter = 2\nkernel.kptr_restrict=0\nfs.protected_fifos = 1\n",
		"etc/sysctl.d/50-default.conf":     "# hides the one in /usr/lib\nkernel.kptr_restrict = 1\n",
		"etc/sysctl.d/60-x.conf":           "; comment\nnet/ipv4/conf/all/rp_filter=  2\n-kernel.core_pattern = |/bin/x  %p\n-net.ipv4.conf.default.rp_filter\nnet.ipv4.conf.*.rp_filter = 1\nnonsense\n",
		"etc/sysctl.d/99-sysctl.conf":      "-> ../sysctl.conf",
		"etc/sysctl.conf":                  "kernel.kptr_restrict = 2\n",
		"etc/sysctl.d/off.conf":            "-> /dev/null",
		"usr/lib/sysctl.d/off.conf":        "fs.suid_dumpable = 2\n",
	})
	k, err := kernel(root)
	if err != nil {
		t.Fatal(err)
	}
	want := facts.Kernel{
		Release: "6.1.0-1",
		Settings: map[string]facts.Setting{
			"kernel.kptr_restrict":            {Value: "1", From: "/etc/sysctl.d/99-sysctl.conf:1"},
			"net.ipv4.conf.all.rp_filter":     {Value: "2", From: "/etc/sysctl.d/60-x.conf:2"},
			"net.ipv4.conf.default.rp_filter": {Value: "0"}, // patterns leave it alone
			"fs.protected_fifos":              {Value: "1"},
		},
		Persisted: map[string]string{"kernel.kptr_restrict": "2", "net.ipv4.conf.all.rp_filter": "2", "kernel.core_pattern": "|/bin/x %p"},
	}
	if diff := cmp.Diff(want, k); diff != "" {
		t.Error(diff)
	}
}

func TestClockInContainer(t *testing.T) {
	root := plant(t, map[string]string{"run/systemd/container": "systemd-nspawn"})
	c, err := clock(root, map[string]facts.Unit{"chrony.service": {Active: true}, "systemd-timesyncd.service": {}})
	if err != nil || !c.Host || c.Service != "chrony.service" {
		t.Errorf("%+v %v", c, err)
	}
}

const mountsText = `23 1 254:0 / / rw,relatime shared:1 master:2 - ext4 /dev/mapper/vg-root rw,discard
24 23 0:21 / /tmp\040dir rw,nosuid,nodev - tmpfs tmpfs rw,size=1k
25 23 8:1 /sub /data ro,noexec - xfs /dev/sda1 rw
`

func TestMounts(t *testing.T) {
	root := plant(t, map[string]string{
		"proc/1/mountinfo":                  mountsText,
		"sys/dev/block/254:0/dm/uuid":       "LVM-abc",
		"sys/dev/block/254:0/slaves/dm-1/x": "",
		"sys/class/block/dm-1/dm/uuid":      "CRYPT-LUKS2-abc",
	})
	got, err := mounts(root)
	if err != nil {
		t.Fatal(err)
	}
	want := []facts.Mount{
		{Point: "/", Type: "ext4", Source: "/dev/mapper/vg-root", Options: []string{"discard", "relatime", "rw"}, Crypt: true},
		{Point: "/tmp dir", Type: "tmpfs", Source: "tmpfs", Options: []string{"nodev", "nosuid", "rw", "size=1k"}},
		{Point: "/data", Type: "xfs", Source: "/dev/sda1", Options: []string{"noexec", "ro", "rw"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestEncryptedEndsInACircle(t *testing.T) {
	root := plant(t, map[string]string{"sys/class/block/dm-0/slaves/dm-0/x": ""})
	if encrypted(root, "class/block/dm-0", 0) {
		t.Error("a device of itself is taken for encrypted")
	}
}

func TestMemory(t *testing.T) {
	root := plant(t, map[string]string{"proc/meminfo": "MemTotal:        1024 kB\nMemFree: 1 kB\n"})
	if got, err := memory(root); got != 1<<20 || err != nil {
		t.Errorf("got %d %v", got, err)
	}
	if err := os.WriteFile(filepath.Join(string(root), "proc/meminfo"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := memory(root); err == nil {
		t.Error("nothing is taken for no memory")
	}
}

func FuzzSysctl(f *testing.F) {
	f.Add("a.b = 1\n-c/d.e\n#x\n*.y=[\n")
	f.Fuzz(func(t *testing.T, text string) {
		root := plant(t, map[string]string{"etc/sysctl.d/x.conf": text})
		settings, err := persistedSettings(root)
		for name := range settings {
			if name == "" {
				t.Errorf("%+v %v", settings, err)
			}
		}
	})
}
