// Package rooted reads files of a machine below a directory that stands for its
// root, as a program of that machine would see them: links are followed, and
// none leads out.
package rooted

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Dir is the directory that stands for "/": "/" itself, or a tree of a test.
type Dir string

const (
	linkLimit = 40   // links on the way to one file, as in the kernel
	globLimit = 4096 // files that one pattern may name
)

// ErrTooLarge is a file beyond the limit of its reader.
var ErrTooLarge = errors.New("larger than such a file can sensibly be")

// Resolve follows all links of an absolute path and returns the path of the
// file itself. The error is fs.ErrNotExist when there is none.
func (d Dir) Resolve(name string) (string, error) {
	todo, done := strings.Split(path.Clean("/"+name), "/"), "/"
	for links := 0; len(todo) > 0; {
		part := todo[0]
		todo = todo[1:]
		if part == "" || part == "." {
			continue
		}
		if part == ".." {
			done = path.Dir(done)
			continue
		}
		next := path.Join(done, part)
		info, err := os.Lstat(d.outside(next))
		if err != nil {
			return "", fmt.Errorf("look for %s: %w", name, reason(err))
		}
		if info.Mode().Type() != fs.ModeSymlink {
			done = next
			continue
		}
		if links++; links > linkLimit {
			return "", fmt.Errorf("look for %s: %w", name, unix.ELOOP)
		}
		target, err := os.Readlink(d.outside(next))
		if err != nil {
			return "", fmt.Errorf("look for %s: %w", name, reason(err))
		}
		if path.IsAbs(target) {
			done = "/"
		}
		todo = append(strings.Split(target, "/"), todo...)
	}
	return done, nil
}

// reason is an error without the path as the machine that rocca runs on has it.
func reason(err error) error {
	var of *fs.PathError
	if errors.As(err, &of) {
		return of.Err
	}
	return err
}

// outside is where a path without links is in the machine that rocca runs on.
func (d Dir) outside(name string) string { return path.Join(string(d), name) }

// Open opens an existing file or directory for reading. Links are followed as
// a program of that machine would; resolve, of unix.RESOLVE_*, can forbid more
// (openat2(2)). It never waits for the other end of a pipe.
func (d Dir) Open(name string, flags int, resolve uint64) (*os.File, error) {
	top, err := unix.Open(string(d), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	defer unix.Close(top)
	return openAt(top, name, flags, resolve|unix.RESOLVE_IN_ROOT)
}

// OpenBelow opens a file below a directory, and none that a link outside of it
// leads to.
func OpenBelow(dir *os.File, name string) (*os.File, error) {
	return openAt(int(dir.Fd()), name, 0, unix.RESOLVE_BENEATH)
}

func openAt(top int, name string, flags int, resolve uint64) (*os.File, error) {
	flags |= unix.O_CLOEXEC
	if flags&unix.O_PATH == 0 {
		flags |= unix.O_NONBLOCK | unix.O_NOCTTY
	}
	how := unix.OpenHow{Flags: uint64(flags), Resolve: resolve | unix.RESOLVE_NO_MAGICLINKS}
	fd, err := unix.Openat2(top, name, &how)
	for tries := 1; errors.Is(err, unix.EAGAIN) && tries < linkLimit; tries++ {
		fd, err = unix.Openat2(top, name, &how) // something on the way was moved meanwhile
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return os.NewFile(uintptr(fd), name), nil
}

// Read returns the content of a regular file of at most limit bytes.
func (d Dir) Read(name string, limit int64) ([]byte, error) {
	file, err := d.Open(name, 0, 0)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, reason(err))
	}
	defer file.Close()
	content, err := ReadFile(file, limit)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, reason(err))
	}
	return content, nil
}

// ReadFile returns the content of an open regular file of at most limit bytes.
func ReadFile(file *os.File, limit int64) ([]byte, error) {
	info, err := file.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, &fs.PathError{Op: "read", Path: file.Name(), Err: errors.New("not a regular file")}
	case info.Size() > limit:
		return nil, &fs.PathError{Op: "read", Path: file.Name(), Err: fmt.Errorf("%w (%d bytes)", ErrTooLarge, limit)}
	}
	content := bytes.NewBuffer(make([]byte, 0, info.Size()+bytes.MinRead))
	n, err := content.ReadFrom(io.LimitReader(file, limit+1)) // it may grow meanwhile
	if err == nil && n > limit {
		err = &fs.PathError{Op: "read", Path: file.Name(), Err: fmt.Errorf("%w (%d bytes)", ErrTooLarge, limit)}
	}
	if err != nil {
		return nil, err
	}
	return content.Bytes(), nil
}

// Exists tells whether a path leads to anything.
func (d Dir) Exists(name string) bool {
	_, err := d.Resolve(name)
	return err == nil
}

// IsDir tells whether a path leads to a directory.
func (d Dir) IsDir(name string) bool {
	real, err := d.Resolve(name)
	if err != nil {
		return false
	}
	info, err := os.Lstat(d.outside(real))
	return err == nil && info.IsDir()
}

// Names lists the entries of a directory, sorted; none when there is no such
// directory.
func (d Dir) Names(name string) []string {
	real, err := d.Resolve(name)
	if err != nil {
		return nil
	}
	entries, err := os.ReadDir(d.outside(real))
	if err != nil {
		return nil
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

// Glob lists the absolute paths that a pattern of path.Match names, sorted. As
// in a shell, a wildcard does not match a leading dot.
func (d Dir) Glob(pattern string) ([]string, error) {
	found := []string{"/"}
	for part := range strings.SplitSeq(strings.TrimPrefix(path.Clean(pattern), "/"), "/") {
		var next []string
		for _, dir := range found {
			if !strings.ContainsAny(part, `*?[\`) {
				if name := path.Join(dir, part); d.Exists(name) {
					next = append(next, name)
				}
				continue
			}
			for _, name := range d.Names(dir) {
				matches, err := path.Match(part, name)
				if err != nil {
					return nil, fmt.Errorf("find %s: %w", pattern, err)
				}
				if matches && (name[0] != '.' || part[0] == '.') {
					next = append(next, path.Join(dir, name))
				}
			}
		}
		if len(next) > globLimit {
			return nil, fmt.Errorf("find %s: more than %d files", pattern, globLimit)
		}
		found = next
	}
	slices.Sort(found)
	return found, nil
}
