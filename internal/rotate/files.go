package rotate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"rocca/internal/blueprint"
	"rocca/internal/change"
	"rocca/internal/durable"
)

// file is one to write.
type file struct {
	path    string
	content []byte
	attr    change.Attr
}

// sizeLimit is the largest file that is read, in bytes.
const sizeLimit = 4 << 20

// read reads a file that may lie in a directory of somebody else's.
func read(name string) ([]byte, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > sizeLimit {
		return nil, fmt.Errorf("read %s: it is no file of at most %d bytes", name, sizeLimit)
	}
	return io.ReadAll(io.LimitReader(f, sizeLimit))
}

// write replaces the file, whole or not at all.
func (f file) write() error {
	uid, gid, err := ids(f.attr)
	if err != nil {
		return fmt.Errorf("write %s: %w", f.path, err)
	}
	owner := &durable.Owner{UID: uid, GID: gid}
	return durable.Write(f.path, f.content, durable.Attr{Mode: fs.FileMode(f.attr.Mode), Owner: owner, Part: partOf(f.path)})
}

// partOf is where a file is written before it takes its place.
func partOf(name string) string {
	dir, base := filepath.Split(name)
	return dir + "." + base + ".rocca-rotate"
}

// remove removes a file that may not be there.
func remove(name string) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func ids(a change.Attr) (uid, gid int, err error) {
	owner, err := user.Lookup(a.Owner)
	if err != nil {
		return 0, 0, err
	}
	group, err := user.LookupGroup(a.Group)
	if err != nil {
		return 0, 0, err
	}
	uid, err = strconv.Atoi(owner.Uid)
	if err != nil {
		return 0, 0, err
	}
	gid, err = strconv.Atoi(group.Gid)
	return uid, gid, err
}

// line is one of the journal. No secret is ever in one.
type line struct {
	Time    time.Time      `json:"time"`
	Verb    string         `json:"verb"`
	Step    string         `json:"step"`
	Text    string         `json:"text,omitempty"`
	Slot    blueprint.Slot `json:"slot,omitempty"`
	Version string         `json:"version,omitempty"`
	Err     string         `json:"error,omitempty"`
}

// Steps of every verb.
const (
	begins = "begin"
	ends   = "end"
)

func (h *Host) journal() string { return filepath.Join(h.State, "journal.jsonl") }

// record adds a line to the journal, which is on the disk when it returns.
func (h *Host) record(l line) error {
	l.Time = time.Now().UTC()
	text, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("record what is done: %w", err)
	}
	if err := h.makeState(); err != nil {
		return err
	}
	f, err := os.OpenFile(h.journal(), os.O_WRONLY|os.O_CREATE|os.O_APPEND|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return fmt.Errorf("record what is done: %w", err)
	}
	_, err = f.Write(append(text, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("record what is done: %w", err)
	}
	return nil
}

func (h *Host) makeState() error {
	if err := os.Mkdir(h.State, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make the directory of rotations: %w", err)
	}
	return nil
}

// unfinished is the verb that the journal has no end of. A line that was cut
// short by a kill says nothing.
func (h *Host) unfinished() (string, error) {
	text, err := read(h.journal())
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read the journal of rotations: %w", err)
	}
	verb := ""
	for _, l := range bytes.Split(text, []byte("\n")) {
		var seen line
		if json.Unmarshal(l, &seen) != nil {
			continue
		}
		if verb = seen.Verb; seen.Step == ends {
			verb = ""
		}
	}
	return verb, nil
}
