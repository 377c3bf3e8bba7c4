package incident

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"rocca/internal/durable"
	"rocca/internal/secret"
)

// Directories of a case.
const (
	evidenceDir = "evidence"
	stateDir    = "state"
	lockName    = "lock"
)

// Case is an open case. Its methods may be called from several goroutines.
//
//	journal.jsonl   the chain
//	evidence/       what was taken
//	state/          what it takes to go back
//	report.md, report.html
type Case struct {
	Dir   string
	About About

	// Mirror, when set, copies each evidence and report to where it cannot be
	// changed. What fails is noted and holds up nothing.
	Mirror func(e Evidence, path string) error

	mu      sync.Mutex
	journal *journal
	entries []Entry
	step    string // that runs
	who     string // works on it now
	lock    *os.File
	hide    []string
	now     func() time.Time
}

// Open starts a case in a directory, or goes on with the one that is there;
// then its own About stays. The error is ErrBusy when another responder has it.
func Open(dir string, about About) (*Case, error) {
	c := &Case{Dir: dir, About: about, who: about.Operator, now: func() time.Time { return time.Now().UTC() }}
	for _, name := range []string{dir, filepath.Join(dir, evidenceDir), filepath.Join(dir, stateDir)} {
		if err := privateDir(name); err != nil {
			return nil, err
		}
	}
	if err := c.takeLock(); err != nil {
		return nil, err
	}
	if err := c.load(); err != nil {
		return nil, errors.Join(err, c.lock.Close())
	}
	return c, nil
}

// privateDir makes a directory that only its owner sees, or makes sure that it
// is one.
func privateDir(name string) error {
	if err := os.MkdirAll(name, 0o700); err != nil {
		return fmt.Errorf("make the case directory: %w", err)
	}
	info, err := os.Lstat(name)
	if err != nil {
		return fmt.Errorf("make the case directory: %w", err)
	}
	owner, known := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.IsDir():
		return fmt.Errorf("make the case directory %s: a %s is there", name, info.Mode().Type())
	case known && int(owner.Uid) != os.Geteuid():
		return fmt.Errorf("make the case directory %s: it belongs to another user", name)
	case info.Mode().Perm() != 0o700:
		if err := os.Chmod(name, 0o700); err != nil {
			return fmt.Errorf("close the case directory to others: %w", err)
		}
	}
	return nil
}

func (c *Case) takeLock() error {
	lock, err := os.OpenFile(filepath.Join(c.Dir, lockName), os.O_CREATE|os.O_RDWR|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return fmt.Errorf("take the lock of the case: %w", err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		holder, _ := io.ReadAll(io.LimitReader(lock, 500))
		lock.Close()
		return fmt.Errorf("open the case %s: %w: %s\nhint: agree with them who goes on; the status verb shows how far they are", c.Dir, ErrBusy, strings.TrimSpace(string(holder)))
	}
	if err := lock.Truncate(0); err == nil {
		_, err = lock.WriteAt(fmt.Appendf(nil, "%s, pid %d, since %s\n", c.who, os.Getpid(), c.now().Format(time.RFC3339)), 0)
		if err != nil {
			return errors.Join(fmt.Errorf("take the lock of the case: %w", err), lock.Close())
		}
	}
	c.lock = lock
	return nil
}

// load reads the journal, begins it when it is empty, and tidies up after a
// kill.
func (c *Case) load() error {
	var err error
	if c.journal, c.entries, err = openJournal(c.Dir); err != nil {
		return err
	}
	if len(c.entries) == 0 {
		if c.About.Known.IsZero() {
			c.About.Known = c.now()
		}
		return c.write(Entry{Kind: opened, About: &c.About})
	}
	if first := c.entries[0]; first.Kind == opened && first.About != nil {
		c.About = *first.About
	}
	if err := c.write(Entry{Kind: resumed, Text: fmt.Sprintf("by pid %d", os.Getpid())}); err != nil {
		return err
	}
	return c.adopt()
}

// adopt records evidence that was whole when a kill came, and removes what was
// being written.
func (c *Case) adopt() error {
	top, err := os.OpenRoot(filepath.Join(c.Dir, evidenceDir))
	if err != nil {
		return err
	}
	defer top.Close()
	return fs.WalkDir(top.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if strings.HasSuffix(name, partial) {
			return top.Remove(name)
		}
		if c.recorded(name) {
			return nil
		}
		e := Evidence{Name: name, At: c.now(), By: "was whole when the responder was killed"}
		if e.SHA256, e.Size, err = hashFile(filepath.Join(top.Name(), name)); err != nil {
			return err
		}
		return c.write(Entry{Kind: took, Evidence: &e})
	})
}

func (c *Case) recorded(name string) bool {
	return slices.ContainsFunc(c.entries, func(e Entry) bool { return e.Evidence != nil && e.Evidence.Name == name })
}

// Close frees the case.
func (c *Case) Close() error { return errors.Join(c.journal.file.Close(), c.lock.Close()) }

// Hide makes the case write "[redacted]" (in a large evidence, asterisks) where
// it would write one of these. Values of less than 6 characters are found
// everywhere and not looked for.
func (c *Case) Hide(secrets ...secret.Secret) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hide = append(c.hide, Forms(secrets)...)
	slices.SortFunc(c.hide, func(a, b string) int { return len(b) - len(a) })
	c.hide = slices.Compact(c.hide)
}

// write appends a line. The caller holds no lock, or is alone.
func (c *Case) write(e Entry) error {
	e.At, e.Who = c.now(), c.who
	e.Text, e.Undo = c.redact(e.Text), c.redact(e.Undo)
	if e.Step == "" {
		e.Step = c.step
	}
	e, err := c.journal.append(e)
	if err != nil {
		return err
	}
	c.entries = append(c.entries, e)
	return nil
}

func (c *Case) redact(text string) string {
	for _, value := range c.hide {
		text = strings.ReplaceAll(text, value, "[redacted]")
	}
	return text
}

func (c *Case) append(e Entry) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.write(e)
}

// Note writes a sentence into the timeline.
func (c *Case) Note(text string) error { return c.append(Entry{Kind: noted, Text: text}) }

// Changed records a change that was made outside the case, and how it is taken
// back; empty: it cannot be.
func (c *Case) Changed(text, undo string) error {
	return c.append(Entry{Kind: changed, Text: text, Undo: undo})
}

// NotTaken records evidence that is missing, and why.
func (c *Case) NotTaken(what, why string) error {
	return c.append(Entry{Kind: missed, Key: what, Text: why})
}

// Know records a fact of Art. 33(3); a later one takes the place of an earlier.
func (c *Case) Know(f Fact, text string) error {
	return c.append(Entry{Kind: known, Key: string(f), Text: text})
}

// Release records that what was cut off is back.
func (c *Case) Release() error { return c.append(Entry{Kind: released}) }

// Save keeps state for the way back, durably, before what it is about is
// changed. What is saved under the key already stays: a step that runs again
// after a kill would save what it has changed itself.
func (c *Case) Save(key string, state any) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	name, err := c.stateFile(key)
	if err != nil {
		return err
	}
	content, err := os.ReadFile(name)
	if err == nil {
		// Killed between the file and its line?
		sum := hashOf(content)
		if slices.ContainsFunc(c.entries, func(e Entry) bool { return e.Kind == saved && e.Key == key && e.SHA256 == sum }) {
			return nil
		}
		return c.write(Entry{Kind: saved, Key: key, SHA256: sum})
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("save %s: %w", key, err)
	}
	if content, err = json.MarshalIndent(state, "", "  "); err != nil {
		return fmt.Errorf("save %s: %w", key, err)
	}
	if err := durable.Write(name, content, durable.Attr{Mode: 0o600, Part: name + partial}); err != nil {
		return fmt.Errorf("save %s: %w", key, err)
	}
	return c.write(Entry{Kind: saved, Key: key, SHA256: hashOf(content)})
}

// Load brings back what Save kept; found is false when there is nothing.
func (c *Case) Load(key string, state any) (found bool, err error) {
	name, err := c.stateFile(key)
	if err != nil {
		return false, err
	}
	content, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("load %s: %w", key, err)
	}
	c.mu.Lock()
	changedSince := false
	for _, e := range c.entries {
		if e.Kind == saved && e.Key == key {
			changedSince = e.SHA256 != hashOf(content)
		}
	}
	c.mu.Unlock()
	if changedSince {
		return false, fmt.Errorf("load %s: %s is not what was saved", key, name)
	}
	if err := json.Unmarshal(content, state); err != nil {
		return false, fmt.Errorf("load %s: %w", key, err)
	}
	return true, nil
}

func (c *Case) stateFile(key string) (string, error) {
	if key == "" || strings.ContainsAny(key, "/\x00") || key[0] == '.' {
		return "", fmt.Errorf("keep state of the case: %q is no name for it", key)
	}
	return filepath.Join(c.Dir, stateDir, key+".json"), nil
}

// partial ends the name of a file that is being written.
const partial = ".part"

// writeWhole writes a file that has its name only when it is whole.
func writeWhole(name string, fill func(io.Writer) error) (sum string, size int64, err error) {
	hash := sha256.New()
	count := &counter{}
	err = durable.Fill(name, durable.Attr{Mode: 0o600, Part: name + partial}, func(w io.Writer) error {
		count.w = io.MultiWriter(w, hash)
		return fill(count)
	})
	return hex.EncodeToString(hash.Sum(nil)), count.n, err
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// Evidence takes a file of evidence, written by fill. One that has the name
// already stays, and the new one is numbered. What is to be hidden is masked by
// as many asterisks. On an error of fill nothing is kept.
func (c *Case) Evidence(name, by string, fill func(w io.Writer) error) (Evidence, error) {
	if !filepath.IsLocal(name) || strings.HasSuffix(name, partial) {
		return Evidence{}, fmt.Errorf("take evidence %q: no name for a file of the case", name)
	}
	c.mu.Lock()
	hide, free := slices.Clone(c.hide), name
	for n := 2; c.recorded(free); n++ {
		ext := filepath.Ext(name)
		free = fmt.Sprintf("%s-%d%s", strings.TrimSuffix(name, ext), n, ext)
	}
	c.mu.Unlock()
	path := filepath.Join(c.Dir, evidenceDir, free)
	if err := privateDir(filepath.Dir(path)); err != nil {
		return Evidence{}, err
	}
	e := Evidence{Name: filepath.ToSlash(free), By: by}
	var err error
	e.SHA256, e.Size, err = writeWhole(path, func(w io.Writer) error {
		masked := NewMask(w, hide)
		if err := fill(masked); err != nil {
			return err
		}
		return masked.Flush()
	})
	if err != nil {
		return Evidence{}, fmt.Errorf("take evidence %s: %w", name, err)
	}
	e.At = c.now()
	if err := c.append(Entry{Kind: took, Evidence: &e}); err != nil {
		return Evidence{}, err
	}
	if c.Mirror != nil {
		if err := c.Mirror(e, path); err != nil {
			return e, c.NotTaken("copy of "+e.Name, err.Error())
		}
	}
	return e, nil
}

// Put takes evidence that is in memory.
func (c *Case) Put(name, by string, content []byte) (Evidence, error) {
	return c.Evidence(name, by, func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	})
}

// PutJSON takes evidence as indented JSON.
func (c *Case) PutJSON(name, by string, value any) (Evidence, error) {
	content, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return Evidence{}, fmt.Errorf("take evidence %s: %w", name, err)
	}
	return c.Put(name, by, append(content, '\n'))
}

func hashFile(name string) (sum string, size int64, err error) {
	file, err := os.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return "", 0, err
	}
	defer file.Close()
	hash := sha256.New()
	size, err = io.Copy(hash, file)
	return hex.EncodeToString(hash.Sum(nil)), size, err
}
