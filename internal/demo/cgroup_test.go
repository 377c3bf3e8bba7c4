package demo

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCgroupDirs(t *testing.T) {
	const (
		root    = "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n"
		memory  = "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory\n"
		systemd = "40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd\n"
		unified = "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:1 master:2 - cgroup2 cgroup2 rw\n"
		pure    = "31 23 0:27 / /sys/fs/cgroup rw,nosuid,nodev - cgroup2 cgroup2 rw,nsdelegate\n"
		named   = "40 31 0:37 / /cg rw - cgroup cgroup rw,name=systemd-not\n"
		blank   = "40 31 0:37 / /my\\040groups rw - cgroup2 none rw\n"
	)
	tests := []struct {
		name, mountinfo string
		want            []string
	}{
		{"hybrid", root + memory + systemd + unified, []string{"/sys/fs/cgroup/systemd/rocca-a", "/sys/fs/cgroup/unified/rocca-a"}},
		{"pure v2", root + pure, []string{"/sys/fs/cgroup/rocca-a"}},
		{"v1 only", root + memory + systemd, []string{"/sys/fs/cgroup/systemd/rocca-a"}},
		{"a blank in the path", blank, []string{"/my groups/rocca-a"}},
		{"none", root + memory + named, nil},
		{"garbage", "x\n - \n", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := cgroupDirs(test.mountinfo, "rocca-a")
			if (err != nil) != (test.want == nil) {
				t.Fatalf("error %v", err)
			}
			if err != nil && !strings.Contains(err.Error(), "hint: ") {
				t.Errorf("no hint in %v", err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestMountsBelow(t *testing.T) {
	mountinfo := "1 0 0:1 / / rw - ext4 a rw\n" +
		"2 1 0:2 / /srv/demo/root/proc rw - proc a rw\n" +
		"3 1 0:3 / /srv/demo-other rw - tmpfs a rw\n" +
		"4 1 0:4 / /srv/demo/a\\040b rw - tmpfs a rw\n" +
		"5 1 0:5 / /srv rw - tmpfs a rw\n"
	if diff := cmp.Diff([]string{"/srv/demo/root/proc", "/srv/demo/a b"}, mountsBelow(mountinfo, "/srv/demo")); diff != "" {
		t.Error(diff)
	}
	if got := mountsBelow(mountinfo, "/srv/demo-other"); len(got) != 1 {
		t.Errorf("the mount point itself: got %q", got)
	}
}
