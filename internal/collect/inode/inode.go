// Package inode looks at inodes, one by one or all below a directory on all
// cores. It only reads, opens nothing but regular files and directories, and
// leaves access times alone where the kernel lets it.
package inode

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"rocca/internal/facts"
)

// Names are the names of users and groups by their number.
type Names struct {
	Users, Groups map[uint32]string
}

// ReadNames reads passwd(5) and group(5) of the machine whose "/" is the
// directory root. The first entry of a number counts.
func ReadNames(root string) (Names, error) {
	users, err := readNumbers(path.Join(root, "/etc/passwd"))
	if err != nil {
		return Names{}, err
	}
	groups, err := readNumbers(path.Join(root, "/etc/group"))
	return Names{users, groups}, err
}

func readNumbers(file string) (map[uint32]string, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read accounts: %w", err)
	}
	names := map[uint32]string{}
	for line := range strings.SplitSeq(string(content), "\n") {
		fields := strings.Split(line, ":")
		if len(fields) < 4 {
			continue
		}
		number, err := strconv.ParseUint(fields[2], 10, 32)
		if err != nil {
			continue
		}
		if _, taken := names[uint32(number)]; !taken {
			names[uint32(number)] = fields[0]
		}
	}
	return names, nil
}

func nameOf(names map[uint32]string, number uint32) string {
	if name, known := names[number]; known {
		return name
	}
	return strconv.FormatUint(uint64(number), 10)
}

const statMask = unix.STATX_TYPE | unix.STATX_MODE | unix.STATX_UID | unix.STATX_GID | unix.STATX_SIZE | unix.STATX_CTIME

// Look looks at one inode without following a link in the last part of its
// path. The zero value means that there is none.
func (n Names) Look(name string) (facts.Path, error) {
	var stat unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, name, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT, statMask, &stat)
	if Gone(err) {
		return facts.Path{}, nil
	}
	if err != nil {
		return facts.Path{}, fmt.Errorf("look at %s: %w", name, err)
	}
	p := n.Describe(&stat)
	switch p.Type {
	case facts.Symlink:
		p.Target, err = os.Readlink(name)
	case facts.File, facts.Dir:
		p.Xattrs, err = readXattrs(name)
	}
	if Gone(err) {
		return facts.Path{}, nil
	}
	if err != nil {
		return facts.Path{}, fmt.Errorf("look at %s: %w", name, err)
	}
	return p, nil
}

// Describe turns what the kernel says of an inode into a fact.
func (n Names) Describe(stat *unix.Statx_t) facts.Path {
	return facts.Path{
		Type:    TypeOf(stat),
		Mode:    fs.FileMode(stat.Mode & 0o7777),
		Owner:   nameOf(n.Users, stat.Uid),
		Group:   nameOf(n.Groups, stat.Gid),
		Size:    int64(stat.Size),
		Changed: time.Unix(stat.Ctime.Sec, int64(stat.Ctime.Nsec)),
		Flags:   FlagsOf(stat),
	}
}

// TypeOf tells what an inode is.
func TypeOf(stat *unix.Statx_t) facts.Type {
	switch stat.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		return facts.File
	case unix.S_IFDIR:
		return facts.Dir
	case unix.S_IFLNK:
		return facts.Symlink
	}
	return facts.Other
}

// FlagsOf tells the flags that keep an inode from being changed, as chattr(1)
// writes them.
func FlagsOf(stat *unix.Statx_t) string {
	flags := ""
	if stat.Attributes&unix.STATX_ATTR_IMMUTABLE != 0 {
		flags += "i"
	}
	if stat.Attributes&unix.STATX_ATTR_APPEND != 0 {
		flags += "a"
	}
	return flags
}

// Gone tells whether an error means that an inode is not there, or no longer.
func Gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR)
}

// The extended attributes that decide who may do what.
const (
	aclPrefix  = "system.posix_acl_"
	capability = "security.capability"
)

// readXattrs reads ACLs and file capabilities.
func readXattrs(file string) (map[string][]byte, error) {
	size, err := unix.Llistxattr(file, nil) // how long the list is: nearly always empty
	if errors.Is(err, unix.ENOTSUP) || err == nil && size == 0 {
		return nil, nil
	}
	names := make([]byte, size+256) // room for what is added meanwhile
	if err == nil {
		size, err = unix.Llistxattr(file, names)
	}
	if err != nil {
		return nil, fmt.Errorf("list extended attributes: %w", err)
	}
	var found map[string][]byte
	for name := range strings.SplitSeq(strings.TrimRight(string(names[:size]), "\x00"), "\x00") {
		if !strings.HasPrefix(name, aclPrefix) && name != capability {
			continue
		}
		value := make([]byte, 4096)
		n, err := unix.Lgetxattr(file, name, value)
		if err != nil {
			continue // gone meanwhile
		}
		if found == nil {
			found = map[string][]byte{}
		}
		found[name] = value[:n:n]
	}
	return found, nil
}

// HasACL tells whether there is an ACL among extended attributes.
func HasACL(xattrs map[string][]byte) bool {
	for name := range xattrs {
		if strings.HasPrefix(name, aclPrefix) {
			return true
		}
	}
	return false
}

// HasCapability tells whether there is a file capability among them.
func HasCapability(xattrs map[string][]byte) bool {
	_, has := xattrs[capability]
	return has
}
