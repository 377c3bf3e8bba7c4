// Package host observes the machine itself: files, accounts, packages, units.
// It only reads.
package host

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"rocca/internal/collect/inode"
	"rocca/internal/facts"
)

// contentLimit is the largest file whose content becomes a fact, in bytes.
const contentLimit = 4 << 20

// Observe looks at what the query asks of the machine. The database is not
// asked here.
func Observe(ctx context.Context, q facts.Query) (facts.Server, error) {
	var s facts.Server
	var err error
	if s.OS, err = osRelease("/"); err != nil {
		return s, err
	}
	names, err := rootNames("/")
	if err != nil {
		return s, err
	}
	s.Users, s.Groups = names.users(q.Users), names.groups(q.Groups)
	s.Paths = map[string]facts.Path{}
	for _, path := range q.Paths {
		if s.Paths[path], err = names.path(path); err != nil {
			return s, err
		}
	}
	s.Trees = map[string]facts.Tree{}
	for _, top := range q.Trees {
		if s.Trees[top], err = names.inodes().Tree(ctx, top); err != nil {
			return s, err
		}
	}
	if s.Packages, err = packages(q.Packages); err != nil {
		return s, err
	}
	if s.PHP, err = phpBranch(); err != nil {
		return s, err
	}
	if q.Listeners {
		if s.Listeners, err = listeners(); err != nil {
			return s, err
		}
	}
	var free unix.Statfs_t
	if err := unix.Statfs("/var", &free); err != nil {
		return s, fmt.Errorf("look how full the disk is: %w", err)
	}
	s.FreeBytes = free.Bavail * uint64(free.Bsize)
	s.Units, err = units(ctx, q.Units)
	return s, err
}

// names are the users and groups of the machine.
type names struct {
	passwd, group [][]string // fields of each line
	byUID, byGID  map[string]string
}

// parseColons reads a database of lines with a fixed number of fields, and the
// names by the number in the third.
func parseColons(content string, fields int) (lines [][]string, byID map[string]string) {
	byID = map[string]string{}
	for _, line := range strings.Split(content, "\n") {
		split := strings.Split(line, ":")
		if len(split) != fields {
			continue
		}
		lines = append(lines, split)
		if _, taken := byID[split[2]]; !taken {
			byID[split[2]] = split[0]
		}
	}
	return lines, byID
}

func (n names) users(wanted []string) map[string]facts.User {
	found := map[string]facts.User{}
	for _, name := range wanted {
		found[name] = facts.User{}
		for _, line := range n.passwd {
			if line[0] == name {
				uid, _ := strconv.Atoi(line[2])
				found[name] = facts.User{Exists: true, UID: uid, Group: nameOf(n.byGID, line[3]), Home: line[5], Shell: line[6]}
			}
		}
	}
	return found
}

func (n names) groups(wanted []string) map[string]facts.Group {
	found := map[string]facts.Group{}
	for _, name := range wanted {
		found[name] = facts.Group{}
		for _, line := range n.group {
			if line[0] != name {
				continue
			}
			gid, _ := strconv.Atoi(line[2])
			group := facts.Group{Exists: true, GID: gid}
			if line[3] != "" {
				group.Members = strings.Split(line[3], ",")
			}
			found[name] = group
		}
	}
	return found
}

func nameOf(byID map[string]string, id string) string {
	if name, known := byID[id]; known {
		return name
	}
	return id
}

// path looks at one inode without following a link.
func (n names) path(path string) (facts.Path, error) {
	p, err := n.inodes().Look(path)
	if err != nil || p.Type == facts.Absent {
		return p, err
	}
	switch p.Type {
	case facts.File:
		p.Content, p.SHA256, err = readFile(path)
	case facts.Dir:
		var entries []fs.DirEntry
		entries, err = os.ReadDir(path)
		for _, entry := range entries {
			p.Names = append(p.Names, entry.Name())
		}
	}
	if gone(err) {
		return facts.Path{}, nil
	}
	return p, err
}

// inodes are the names as what looks at inodes wants them.
func (n names) inodes() inode.Names {
	numbers := func(names map[string]string) map[uint32]string {
		found := map[uint32]string{}
		for number, name := range names {
			if id, err := strconv.ParseUint(number, 10, 32); err == nil {
				found[uint32(id)] = name
			}
		}
		return found
	}
	return inode.Names{Users: numbers(n.byUID), Groups: numbers(n.byGID)}
}

func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR)
}

// readFile returns the content up to a limit, and the hash of all of it.
func readFile(path string) (content []byte, sum string, err error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, "", fmt.Errorf("read %s: %w", path, err)
	}
	defer f.Close()
	hash := sha256.New()
	content, err = io.ReadAll(io.TeeReader(io.LimitReader(f, contentLimit), hash))
	if err == nil {
		_, err = io.Copy(hash, f)
	}
	if err != nil {
		return nil, "", fmt.Errorf("read %s: %w", path, err)
	}
	return content, hex.EncodeToString(hash.Sum(nil)), nil
}
