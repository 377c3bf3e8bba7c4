package files

import (
	"slices"
	"strings"

	"rocca/internal/collect/mountinfo"
)

// localKinds are the file systems whose inodes are this machine's own.
var localKinds = []string{"ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "bcachefs", "jfs", "reiserfs", "nilfs2",
	"tmpfs", "ramfs", "vfat", "exfat", "ntfs3", "squashfs", "erofs", "iso9660", "udf"}

// local tells of each mount point whether to walk into it. The root always is;
// an overlay elsewhere shows what its layers hold, and a second mount of a
// file system shows again what the first one does.
func local(mounts []mountinfo.Mount) map[string]bool {
	isLocal := map[string]bool{}
	var walked []mountinfo.Mount
	byPoint := slices.Clone(mounts)
	slices.SortStableFunc(byPoint, func(a, b mountinfo.Mount) int { return strings.Compare(a.Point, b.Point) })
	for _, m := range byPoint {
		kernels := slices.ContainsFunc([]string{"/proc", "/sys"}, func(top string) bool { return within(m.Point, top) })
		switch {
		case m.Point == "/":
			isLocal[m.Point] = true
		case kernels || m.Point == "/dev" || !slices.Contains(localKinds, m.Type):
			isLocal[m.Point] = false
			continue
		default:
			again := slices.ContainsFunc(walked, func(w mountinfo.Mount) bool { return w.Device == m.Device && within(m.Root, w.Root) })
			isLocal[m.Point] = !again
		}
		if isLocal[m.Point] {
			walked = append(walked, m)
		}
	}
	return isLocal
}

// within tells whether a path is a directory or lies below it.
func within(name, dir string) bool {
	return dir == "/" || name == dir || strings.HasPrefix(name, dir+"/")
}
