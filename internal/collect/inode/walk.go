package inode

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"runtime"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"rocca/internal/facts"
)

// Walk looks at a directory and all below it, on all cores. T is what the
// caller wants to know of a directory when its entries are visited.
//
// No link below Top is followed, at any part of a path, whatever others do to
// the tree meanwhile; what vanishes is passed over.
type Walk[T any] struct {
	Top   string // directory; links above it are followed
	Start T      // of Top

	// Visit is told of each entry, first of Top itself. Of a directory it
	// tells whether to go below it, and with which T. It is called by Workers()
	// goroutines at once; worker is the number of the one that calls.
	Visit func(worker int, in T, e *Entry) (below T, enter bool)

	// Links tells whether links in a directory are of interest. Those that are
	// not are counted by nobody and cost nothing.
	Links func(in T) bool

	// Problem is told what could not be looked at. It is called by several
	// goroutines at once.
	Problem func(path string, err error)
}

// Workers is how many goroutines a walk uses.
func Workers() int { return runtime.GOMAXPROCS(0) }

// Entry is an inode that a walk came to. It is good until Visit returns.
type Entry struct {
	Dir  string // path of its directory below Top: "/", "/var"
	Name string // empty for Top itself
	Stat unix.Statx_t

	fd   int    // of the directory
	at   string // name in it
	top  string // Walk.Top, without a slash at the end
	full string // top and Path
}

// Path is that of the entry below Top: "/var/log".
func (e *Entry) Path() string {
	if e.full == "" {
		slash := "/"
		if e.Dir == "/" {
			slash = ""
		}
		e.full = e.top + e.Dir + slash + e.Name
	}
	return e.full[len(e.top):]
}

// Type tells what the inode is.
func (e *Entry) Type() facts.Type { return TypeOf(&e.Stat) }

// Target reads where a link leads to.
func (e *Entry) Target() string {
	var target [4096]byte
	n, err := unix.Readlinkat(e.fd, e.at, target[:])
	if err != nil {
		return ""
	}
	return string(target[:n])
}

// Xattrs reads ACLs and file capabilities.
func (e *Entry) Xattrs() (map[string][]byte, error) {
	// There is no such call relative to a directory. A link that somebody puts
	// above the entry meanwhile shows attributes of another inode, no more.
	e.Path()
	found, err := readXattrs(e.full)
	if Gone(err) {
		return nil, nil
	}
	return found, err
}

// Open opens a regular file to read. Close it with unix.Close.
func (e *Entry) Open() (fd int, err error) {
	return openQuietly(e.fd, e.at, unix.O_NOFOLLOW|unix.O_NONBLOCK)
}

// openQuietly leaves the access time as it is, if the caller may do that.
func openQuietly(dir int, name string, flags uint64) (int, error) {
	how := unix.OpenHow{Flags: flags | unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NOATIME, Resolve: unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS}
	for {
		fd, err := unix.Openat2(dir, name, &how)
		switch {
		case errors.Is(err, unix.EPERM) && how.Flags&unix.O_NOATIME != 0:
			how.Flags &^= unix.O_NOATIME
		case errors.Is(err, unix.EINTR):
		default:
			return fd, err
		}
	}
}

// Read reads a regular file into buffer, which is grown to at most limit bytes,
// and tells whether that was all of it.
func (e *Entry) Read(buffer []byte, limit int) (content []byte, all bool, err error) {
	fd, err := e.Open()
	if err != nil {
		return buffer[:0], false, err
	}
	defer unix.Close(fd)
	// One byte more than it has: reading less than was asked for is the end.
	if want := min(int(min(e.Stat.Size, 1<<40)), limit) + 1; cap(buffer) < want {
		buffer = make([]byte, want)
	}
	buffer = buffer[:min(cap(buffer), limit+1)]
	filled := 0
	for filled < len(buffer) {
		n, err := unix.Read(fd, buffer[filled:])
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return buffer[:0], false, err
		}
		filled += n
		if n == 0 || uint64(filled) == e.Stat.Size && filled < len(buffer) {
			break
		}
	}
	return buffer[:min(filled, limit)], filled < len(buffer), nil
}

// SHA256 hashes a regular file piece by piece, in lower-case hex.
func (e *Entry) SHA256(buffer []byte) (string, error) {
	fd, err := e.Open()
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	hash := sha256.New()
	if _, err := io.CopyBuffer(hash, struct{ io.Reader }{descriptor(fd)}, buffer); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// descriptor reads an open file without the cost of an os.File.
type descriptor int

func (d descriptor) Read(p []byte) (int, error) {
	for {
		n, err := unix.Read(int(d), p)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		}
		return n, nil
	}
}

// pending are entries of one directory that wait for a worker.
type pending[T any] struct {
	path    string
	in      T
	entries []fs.DirEntry // nil: they have not been listed yet
}

// share is how many entries of a large directory one worker takes at once.
const share = 2048

// queue hands directories to workers, the newest first: so the least wait.
type queue[T any] struct {
	mu      sync.Mutex
	changed sync.Cond
	waiting []pending[T]
	busy    int
	stopped bool
}

func (q *queue[T]) put(all ...pending[T]) {
	q.mu.Lock()
	q.waiting = append(q.waiting, all...)
	q.mu.Unlock()
	if len(all) > 1 {
		q.changed.Broadcast()
	} else {
		q.changed.Signal()
	}
}

// take waits for work; ok is false when there is none left.
func (q *queue[T]) take() (p pending[T], ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.waiting) == 0 && q.busy > 0 && !q.stopped {
		q.changed.Wait()
	}
	if len(q.waiting) == 0 || q.stopped {
		return p, false
	}
	p = q.waiting[len(q.waiting)-1]
	q.waiting[len(q.waiting)-1] = pending[T]{}
	q.waiting = q.waiting[:len(q.waiting)-1]
	q.busy++
	return p, true
}

func (q *queue[T]) done() {
	q.mu.Lock()
	q.busy--
	q.mu.Unlock()
	q.changed.Broadcast()
}

func (q *queue[T]) stop() {
	q.mu.Lock()
	q.stopped = true
	q.mu.Unlock()
	q.changed.Broadcast()
}

// Run walks. A Top that is not there has no entries.
func (w Walk[T]) Run(ctx context.Context) error {
	w.Top = path.Clean(w.Top)
	above, err := unix.Open(path.Dir(w.Top), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if Gone(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at %s: %w", w.Top, err)
	}
	defer unix.Close(above)
	top := Entry{Dir: "/", fd: above, at: path.Base(w.Top), top: strings.TrimSuffix(w.Top, "/")}
	err = unix.Statx(above, top.at, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT, statMask, &top.Stat)
	if Gone(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at %s: %w", w.Top, err)
	}
	if top.Type() != facts.Dir {
		w.Visit(0, w.Start, &top)
		return nil
	}
	fd, err := unix.Openat(above, top.at, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("look at %s: %w", w.Top, err)
	}
	defer unix.Close(fd)
	below, enter := w.Visit(0, w.Start, &top)
	if !enter {
		return nil
	}
	q := &queue[T]{}
	q.changed.L = &q.mu
	q.put(pending[T]{path: "/", in: below})
	defer context.AfterFunc(ctx, q.stop)()
	var workers sync.WaitGroup
	for worker := range Workers() {
		workers.Go(func() {
			for {
				p, ok := q.take()
				if !ok {
					return
				}
				w.directory(worker, fd, p, q)
				q.done()
			}
		})
	}
	workers.Wait()
	return context.Cause(ctx)
}

// directory visits the entries of one directory, or of a share of it.
func (w Walk[T]) directory(worker, top int, p pending[T], q *queue[T]) {
	fd, err := openQuietly(top, path.Join(".", p.path), unix.O_DIRECTORY|unix.O_NOFOLLOW)
	if Gone(err) || errors.Is(err, unix.ELOOP) {
		return // taken away, or a link was put in its place
	}
	if err != nil {
		w.Problem(p.path, err)
		return
	}
	dir := os.NewFile(uintptr(fd), p.path)
	defer dir.Close()
	entries := p.entries
	if entries == nil {
		if entries, err = dir.ReadDir(-1); err != nil && !Gone(err) {
			w.Problem(p.path, err)
		}
		for len(entries) > share {
			rest := len(entries) - share
			q.put(pending[T]{p.path, p.in, entries[rest:]})
			entries = entries[:rest]
		}
	}
	links := w.Links(p.in)
	e := Entry{Dir: p.path, fd: fd, top: strings.TrimSuffix(w.Top, "/")}
	var below []pending[T]
	for _, entry := range entries {
		if entry.Type() == fs.ModeSymlink && !links {
			continue
		}
		e.Name, e.at, e.full = entry.Name(), entry.Name(), ""
		err := unix.Statx(fd, e.Name, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT, statMask, &e.Stat)
		if Gone(err) {
			continue
		}
		if err != nil {
			w.Problem(e.Path(), err)
			continue
		}
		in, enter := w.Visit(worker, p.in, &e)
		if enter && e.Type() == facts.Dir {
			below = append(below, pending[T]{path: e.Path(), in: in})
		}
	}
	if len(below) > 0 {
		q.put(below...)
	}
}
