package change

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"golang.org/x/sys/unix"
)

// inode is the state of one path, enough to bring it back byte for byte. The
// content of a file is a blob of the journal.
type inode struct {
	Type   string            `json:"type"` // "absent", "file", "dir", "symlink"
	Mode   uint32            `json:"mode,omitempty"`
	UID    int               `json:"uid"`
	GID    int               `json:"gid"`
	Mtime  unix.Timespec     `json:"mtime"`
	Target string            `json:"target,omitempty"` // of a symlink
	Blob   string            `json:"blob,omitempty"`   // of a file: name of its content in the journal
	SHA256 string            `json:"sha256,omitempty"` // of a file
	Xattrs map[string][]byte `json:"xattrs,omitempty"` // ACLs among them
}

const (
	absent  = "absent"
	file    = "file"
	dir     = "dir"
	symlink = "symlink"
)

// fileLimit is the largest old file that is kept for undo, in bytes. What rocca
// rewrites is configuration: a larger one is a mistake worth stopping at.
const fileLimit = 64 << 20

// parent opens the directory of an absolute path without following a single
// symbolic link on the way (openat2(2), RESOLVE_NO_SYMLINKS): root writes in
// directories that others own, and must not be led elsewhere.
func parent(path string) (fd int, name string, err error) {
	if !filepath.IsAbs(path) || filepath.Clean(path) != path || path == "/" {
		return -1, "", fmt.Errorf("open the directory of %q: not a clean absolute path", path)
	}
	directory, name := filepath.Split(path)
	fd, err = unix.Openat2(unix.AT_FDCWD, filepath.Clean(directory), &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	})
	if errors.Is(err, unix.ELOOP) {
		return -1, "", fmt.Errorf("open %s: a part of it is a symbolic link, which rocca does not follow when it writes", directory)
	}
	if err != nil {
		return -1, "", fmt.Errorf("open directory %s: %w", directory, err)
	}
	return fd, name, nil
}

// same tells whether two states of a path differ in nothing that undo restores.
func (n inode) same(other inode) bool {
	n.Blob, other.Blob = "", ""
	return reflect.DeepEqual(n, other)
}

// look reads the state of a path. The content of a file goes to keep, when set.
func look(path string, keep func(content []byte) (blob string, err error)) (inode, error) {
	fd, name, err := parent(path)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return inode{Type: absent}, nil
	}
	if err != nil {
		return inode{}, err
	}
	defer unix.Close(fd)
	var stat unix.Stat_t
	if err := unix.Fstatat(fd, name, &stat, unix.AT_SYMLINK_NOFOLLOW); errors.Is(err, unix.ENOENT) {
		return inode{Type: absent}, nil
	} else if err != nil {
		return inode{}, fmt.Errorf("stat %s: %w", path, err)
	}
	n := inode{Mode: stat.Mode & 0o7777, UID: int(stat.Uid), GID: int(stat.Gid), Mtime: stat.Mtim}
	switch stat.Mode & unix.S_IFMT {
	case unix.S_IFLNK:
		n.Type = symlink
		n.Target, err = readlinkat(fd, name)
		return n, err
	case unix.S_IFDIR:
		n.Type = dir
	case unix.S_IFREG:
		n.Type = file
	default:
		return inode{}, fmt.Errorf("look at %s: it is a device, pipe or socket, which rocca does not replace", path)
	}
	opened, err := unix.Openat(fd, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return inode{}, fmt.Errorf("open %s: %w", path, err)
	}
	f := os.NewFile(uintptr(opened), path)
	defer f.Close()
	if n.Xattrs, err = xattrs(opened); err != nil {
		return inode{}, fmt.Errorf("read extended attributes of %s: %w", path, err)
	}
	if n.Type == dir {
		return n, nil
	}
	content, err := io.ReadAll(io.LimitReader(f, fileLimit+1))
	if err != nil {
		return inode{}, fmt.Errorf("read %s: %w", path, err)
	}
	if len(content) > fileLimit {
		return inode{}, fmt.Errorf("keep %s for undo: it is larger than %d MiB", path, fileLimit>>20)
	}
	sum := sha256.Sum256(content)
	n.SHA256 = hex.EncodeToString(sum[:])
	if keep != nil {
		n.Blob, err = keep(content)
	}
	return n, err
}

// put makes a path be n, by way of a temporary name and a rename where the
// kind of inode allows it, and makes it durable. Content is that of a file.
func put(path, temporary string, n inode, content []byte) error {
	fd, name, err := parent(path)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	switch n.Type {
	case absent:
		err = remove(fd, name)
	case dir:
		err = putDir(fd, name, n)
	case symlink:
		err = putSymlink(fd, name, temporary, n)
	case file:
		err = putFile(fd, name, temporary, n, content)
	default:
		err = fmt.Errorf("unknown kind of inode %q", n.Type)
	}
	if err != nil {
		return fmt.Errorf("make %s a %s: %w", path, n.Type, err)
	}
	return syncDir(fd)
}

func remove(fd int, name string) error {
	err := unix.Unlinkat(fd, name, 0)
	if errors.Is(err, unix.EISDIR) || errors.Is(err, unix.EPERM) {
		err = unix.Unlinkat(fd, name, unix.AT_REMOVEDIR)
	}
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	return err
}

func putDir(fd int, name string, n inode) error {
	var stat unix.Stat_t
	err := unix.Fstatat(fd, name, &stat, unix.AT_SYMLINK_NOFOLLOW)
	if err == nil && stat.Mode&unix.S_IFMT != unix.S_IFDIR {
		if err := unix.Unlinkat(fd, name, 0); err != nil {
			return err
		}
		err = unix.ENOENT
	}
	if errors.Is(err, unix.ENOENT) {
		// 0700 until owner and mode are right: nobody looks in early.
		err = unix.Mkdirat(fd, name, 0o700)
	}
	if err != nil {
		return err
	}
	opened, err := unix.Openat(fd, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(opened)
	return dress(opened, n)
}

func putSymlink(fd int, name, temporary string, n inode) error {
	if err := remove(fd, temporary); err != nil {
		return err
	}
	if err := unix.Symlinkat(n.Target, fd, temporary); err != nil {
		return err
	}
	if err := unix.Fchownat(fd, temporary, n.UID, n.GID, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	if n.Mtime != (unix.Timespec{}) {
		if err := unix.UtimesNanoAt(fd, temporary, []unix.Timespec{{Nsec: unix.UTIME_OMIT}, n.Mtime}, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return err
		}
	}
	return replace(fd, temporary, name)
}

func putFile(fd int, name, temporary string, n inode, content []byte) error {
	if err := remove(fd, temporary); err != nil {
		return err
	}
	opened, err := unix.Openat(fd, temporary, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(opened), temporary)
	defer f.Close()
	// Owner before content: while it is written the file is 0600 of its owner.
	if _, err := io.Copy(f, bytes.NewReader(content)); err != nil {
		return errors.Join(err, remove(fd, temporary))
	}
	if err := dress(opened, n); err != nil {
		return errors.Join(err, remove(fd, temporary))
	}
	if err := f.Sync(); err != nil {
		return errors.Join(err, remove(fd, temporary))
	}
	return replace(fd, temporary, name)
}

// replace renames over name; an empty directory that stands there is removed first.
func replace(fd int, temporary, name string) error {
	err := unix.Renameat(fd, temporary, fd, name)
	if errors.Is(err, unix.EISDIR) {
		if err := unix.Unlinkat(fd, name, unix.AT_REMOVEDIR); err != nil {
			return errors.Join(err, remove(fd, temporary))
		}
		err = unix.Renameat(fd, temporary, fd, name)
	}
	return err
}

// dress gives an open inode its owner, mode, extended attributes and, when it
// brings an old state back, its time.
func dress(fd int, n inode) error {
	if err := unix.Fchown(fd, n.UID, n.GID); err != nil {
		return fmt.Errorf("chown: %w", err)
	}
	have, err := xattrs(fd)
	if err != nil {
		return err
	}
	for name := range have {
		if _, wanted := n.Xattrs[name]; !wanted {
			if err := unix.Fremovexattr(fd, name); err != nil && !errors.Is(err, unix.ENODATA) {
				return fmt.Errorf("remove extended attribute %s: %w", name, err)
			}
		}
	}
	// After the ACL is gone (which is stored in the group bits), before one is set.
	if err := unix.Fchmod(fd, n.Mode); err != nil {
		return fmt.Errorf("chmod: %w", err)
	}
	for name, value := range n.Xattrs {
		if err := unix.Fsetxattr(fd, name, value, 0); err != nil {
			return fmt.Errorf("set extended attribute %s: %w", name, err)
		}
	}
	if n.Mtime != (unix.Timespec{}) {
		times := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, n.Mtime}
		if err := unix.UtimesNanoAt(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", fd), times, 0); err != nil {
			return fmt.Errorf("set time: %w", err)
		}
	}
	return nil
}

// xattrs reads the extended attributes that decide over access: ACLs and file
// capabilities. Labels of a security module are the system's own business.
func xattrs(fd int) (map[string][]byte, error) {
	size, err := unix.Flistxattr(fd, nil)
	if errors.Is(err, unix.ENOTSUP) || size == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	list := make([]byte, size+256)
	if size, err = unix.Flistxattr(fd, list); err != nil {
		return nil, err
	}
	var found map[string][]byte
	for _, name := range strings.Split(strings.TrimRight(string(list[:size]), "\x00"), "\x00") {
		if !strings.HasPrefix(name, "system.posix_acl_") && name != "security.capability" && !strings.HasPrefix(name, "user.") {
			continue
		}
		value := make([]byte, 64<<10)
		n, err := unix.Fgetxattr(fd, name, value)
		if errors.Is(err, unix.ENODATA) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if found == nil {
			found = map[string][]byte{}
		}
		found[name] = value[:n]
	}
	return found, nil
}

func readlinkat(fd int, name string) (string, error) {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(fd, name, buf)
	if err != nil {
		return "", fmt.Errorf("read link %s: %w", name, err)
	}
	return string(buf[:n]), nil
}

// syncDir makes a rename durable. O_PATH descriptors cannot be synced.
func syncDir(fd int) error {
	opened, err := unix.Openat(fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open directory to sync it: %w", err)
	}
	defer unix.Close(opened)
	if err := unix.Fsync(opened); err != nil && !errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("sync directory: %w", err)
	}
	return nil
}

// clear removes a path and all below it, without following a link. A missing
// path is fine.
func clear(path string) error {
	fd, name, err := parent(path)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var stat unix.Stat_t
	if err := unix.Fstatat(fd, name, &stat, unix.AT_SYMLINK_NOFOLLOW); errors.Is(err, unix.ENOENT) {
		return nil // also on a file system that is read-only
	}
	// os.Root keeps every step of the walk below the parent, links included.
	root, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("open %s: %w", filepath.Dir(path), err)
	}
	defer root.Close()
	if err := root.RemoveAll(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove %s: %w", path, err)
	}
	return nil
}
