package app

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"rocca/internal/rooted"
)

// Caps of what is read of a file, in bytes, each far above any real one.
const (
	configLimit   = 1 << 20
	manifestLimit = 16 << 20
	sourceLimit   = 4 << 20
)

// read reads a regular file of at most limit bytes. The last part of the path
// may be a link only when root made it: anybody else's could lead this program,
// which runs as root, to any file of the system.
func read(path string, limit int64) ([]byte, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		if owner := info.Sys().(*syscall.Stat_t).Uid; owner != 0 {
			return nil, fmt.Errorf("%s is a link of a user other than root (UID %d) and was not followed", path, owner)
		}
		if path, err = filepath.EvalSymlinks(path); err != nil {
			return nil, err
		}
	}
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return rooted.ReadFile(file, limit)
}

// readIn reads a file below a directory, and never one outside of it.
func readIn(root *os.Root, name string, limit int64) ([]byte, error) {
	file, err := root.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return rooted.ReadFile(file, limit)
}
