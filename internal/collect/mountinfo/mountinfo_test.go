package mountinfo

import (
	"errors"
	"path"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const list = `23 1 254:0 / / rw,relatime shared:1 master:2 - ext4 /dev/mapper/vg-root rw,discard
24 23 0:21 / /with\040blank\134 rw,nosuid,nodev - tmpfs tmpfs rw,size=1k
25 23 0:4 net:[4026532281] /run/netns/x rw - nsfs nsfs rw
26 23 0:22 /x//deleted /proc/kmsg ro - tmpfs  rw
`

func TestParse(t *testing.T) {
	want := []Mount{
		{Device: "254:0", Root: "/", Point: "/", Type: "ext4", Source: "/dev/mapper/vg-root", Options: []string{"discard", "relatime", "rw"}},
		{Device: "0:21", Root: "/", Point: `/with blank\`, Type: "tmpfs", Source: "tmpfs", Options: []string{"nodev", "nosuid", "rw", "size=1k"}},
		{Device: "0:4", Root: "net:[4026532281]", Point: "/run/netns/x", Type: "nsfs", Source: "nsfs", Options: []string{"rw"}},
		{Device: "0:22", Root: "/x//deleted", Point: "/proc/kmsg", Type: "tmpfs", Options: []string{"ro", "rw"}},
	}
	got, err := Parse(list)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	for _, line := range []string{
		"x", "", "1 2 3:4 / / rw", "1 2 3:4 / / rw ext4 x rw", "1 2 3:4 / / rw - ext4 x", "1 2 3:4 / relative rw - ext4 x rw", "1 2 ../x / / rw - ext4 x rw", "1 2 3:4 / / rw -  x rw",
	} {
		got, err := Parse(list + line + "\n" + list)
		if !errors.Is(err, errLine) || len(got) != len(want) {
			t.Errorf("%q: %d mounts, %v", line, len(got), err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(list)
	f.Add("1 2 3:4 / /\\04 rw - x y \\777")
	f.Fuzz(func(t *testing.T, text string) {
		mounts, _ := Parse(text)
		for _, m := range mounts {
			if !path.IsAbs(m.Point) || m.Type == "" || !deviceNumber.MatchString(m.Device) || len(m.Options) == 0 {
				t.Errorf("%+v", m)
			}
		}
	})
}
