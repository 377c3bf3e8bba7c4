package change

import (
	"bufio"
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"rocca/internal/progress"
)

// DefaultDir is where the journal of this machine is kept.
const DefaultDir = "/var/lib/rocca/journal"

// Journal is the durable record of every change that rocca made, with what it
// takes to undo each. It is a directory, root only:
//
//	key            seals what was kept of old files (they may hold secrets)
//	0001/run.json  what the run was
//	0001/entries   one JSON line per change, written before the change
//	0001/blobs/N   sealed content of files as they were
type Journal struct {
	dir  string
	seal cipher.AEAD
}

// keySize is that of AES-256, in bytes.
const keySize = 32

// Open opens the journal in a directory. Nothing need be there, and nothing is
// written, before the first run begins.
func Open(directory string) (*Journal, error) {
	key, err := journalKey(filepath.Join(directory, "key"))
	if errors.Is(err, fs.ErrNotExist) {
		return &Journal{dir: directory}, nil
	}
	if err != nil {
		return nil, err
	}
	return newJournal(directory, key)
}

func newJournal(directory string, key []byte) (*Journal, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("use journal key: %w", err)
	}
	seal, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("use journal key: %w", err)
	}
	return &Journal{dir: directory, seal: seal}, nil
}

// make makes the directory and the key, unless they are there.
func (j *Journal) make() error {
	if err := os.MkdirAll(j.dir, 0o700); err != nil {
		return fmt.Errorf("make journal: %w", err)
	}
	if err := os.Chmod(j.dir, 0o700); err != nil {
		return fmt.Errorf("close journal to others: %w", err)
	}
	if j.seal != nil {
		return nil
	}
	key := make([]byte, keySize)
	rand.Read(key)
	if err := writeDurably(filepath.Join(j.dir, "key"), key); err != nil {
		return err
	}
	made, err := newJournal(j.dir, key)
	if err == nil {
		j.seal = made.seal
	}
	return err
}

func journalKey(path string) ([]byte, error) {
	key, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read journal key: %w", err)
	}
	if len(key) != keySize {
		return nil, fmt.Errorf("read journal key %s: it has %d bytes, not %d", path, len(key), keySize)
	}
	return key, nil
}

// writeDurably writes a file of the journal itself by a rename, mode 0600.
func writeDurably(path string, content []byte) error {
	temporary := path + ".new"
	if err := writeSynced(temporary, content); err != nil {
		// What a full disk took of it is room for the way back.
		_ = os.Remove(temporary)
		return fmt.Errorf("write journal: %w", err)
	}
	if err := os.Rename(temporary, path); err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	return syncPath(filepath.Dir(path))
}

func writeSynced(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func syncPath(directory string) error {
	d, err := os.Open(directory)
	if err != nil {
		return fmt.Errorf("sync journal: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("sync journal: %w", err)
	}
	return nil
}

// Result is how a run ended.
type Result string

// The results of a run.
const (
	Interrupted Result = "interrupted" // it did not end: killed, or the machine went down
	Applied     Result = "applied"
	RolledBack  Result = "rolled back" // a step failed and all was taken back
	Broken      Result = "broken"      // a step failed, and so did taking back
	Undone      Result = "undone"
	PartUndone  Result = "undone, data kept" // all but what holds data of its owner
)

// RunInfo is a run as `rocca runs` lists it.
type RunInfo struct {
	ID      int       `json:"id"`
	Verb    string    `json:"verb"`
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended,omitzero"` // first; taking back comes later
	Result  Result    `json:"result"`
	Changes int       `json:"changes"` // that stand
	Steps   []string  `json:"steps"`   // that changed something, in order
}

// Standing tells whether anything of the run is still in place.
func (r RunInfo) Standing() bool { return r.Changes > 0 }

// record is one line of the entries file.
type record struct {
	Type   string    `json:"type"` // "op" before a change, "done" after it, "undoing" before the first is taken back, "undone", "end"
	Seq    int       `json:"seq,omitempty"`
	Time   time.Time `json:"time"`
	Step   string    `json:"step,omitempty"`
	Op     *op       `json:"op,omitempty"`
	After  *after    `json:"after,omitempty"`
	Result Result    `json:"result,omitempty"`
}

// entry is one change as read back: what was intended, and how far it came.
type entry struct {
	Seq    int
	Step   string
	Op     op
	After  *after // nil when the change was cut short
	Undone bool
}

// Run is one run of the journal, open for writing.
type Run struct {
	ID      int
	journal *Journal
	file    *os.File
	size    int64 // of the file: where the next line goes
	seq     int
	blobs   int

	// onPoint is called at every point where a kill would leave something
	// half done. Tests set it.
	onPoint func(point string)
}

// Begin starts a run.
func (j *Journal) Begin(verb string) (*Run, error) {
	if err := j.make(); err != nil {
		return nil, err
	}
	runs, err := j.ids()
	if err != nil {
		return nil, err
	}
	id := 1
	if len(runs) > 0 {
		id = runs[len(runs)-1] + 1
	}
	directory := j.runDir(id)
	if err := os.MkdirAll(filepath.Join(directory, "blobs"), 0o700); err != nil {
		return nil, fmt.Errorf("begin run: %w", err)
	}
	head, err := json.Marshal(RunInfo{ID: id, Verb: verb, Started: time.Now().UTC(), Result: Interrupted})
	if err != nil {
		return nil, fmt.Errorf("begin run: %w", err)
	}
	if err := writeDurably(filepath.Join(directory, "run.json"), head); err != nil {
		return nil, err
	}
	if err := syncPath(j.dir); err != nil {
		return nil, err
	}
	return j.open(id)
}

// Resume opens an earlier run to go on with it or to take it back.
func (j *Journal) Resume(id int) (*Run, error) { return j.open(id) }

func (j *Journal) open(id int) (*Run, error) {
	if j.seal == nil {
		return nil, fmt.Errorf("open run %d: the key of the journal, %s, is missing", id, filepath.Join(j.dir, "key"))
	}
	_, entries, err := j.read(id)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(j.runDir(id), "entries")
	if err := dropTornLine(path); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open run %d: %w", id, err)
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, fmt.Errorf("open run %d: %w", id, err)
	}
	run := &Run{ID: id, journal: j, file: f, size: size, onPoint: func(string) {}}
	for _, e := range entries {
		run.seq = max(run.seq, e.Seq)
	}
	names, err := os.ReadDir(filepath.Join(j.runDir(id), "blobs"))
	if err != nil {
		return nil, fmt.Errorf("open run %d: %w", id, err)
	}
	run.blobs = len(names)
	return run, nil
}

// Tidy ends what a kill left half done: it removes files that were being
// written, and lets an installation of packages come to its end, so that what
// it brought is told from what others add later. Going back does it for itself;
// a run that is gone on with needs it.
func (r *Run) Tidy(ctx context.Context, tell progress.Handler) error {
	_, entries, err := r.journal.read(r.ID)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.After != nil || e.Undone {
			continue
		}
		if e.Op.Kind == packagesOp {
			_, err = r.closeInstall(ctx, e, tell)
		}
		if e.Op.Temporary != "" {
			err = clear(filepath.Join(filepath.Dir(e.Op.Name), e.Op.Temporary))
		}
		if err != nil {
			return fmt.Errorf("tidy up after run %d was interrupted: %w", r.ID, err)
		}
	}
	return nil
}

// dropTornLine cuts off a last line without its end: the machine went down
// while it was written, so the change it announces was never begun.
func dropTornLine(path string) error {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open run: %w", err)
	}
	whole := bytes.LastIndexByte(content, '\n') + 1
	if whole == len(content) {
		return nil
	}
	if err := os.Truncate(path, int64(whole)); err != nil {
		return fmt.Errorf("open run: %w", err)
	}
	return nil
}

// Close closes the run's file.
func (r *Run) Close() error { return r.file.Close() }

// End records how the run ended.
func (r *Run) End(result Result) error {
	return r.append(record{Type: "end", Result: result})
}

func (r *Run) append(line record) error {
	line.Time = time.Now().UTC()
	encoded, err := json.Marshal(line)
	if err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	encoded = append(encoded, '\n')
	_, err = r.file.WriteAt(encoded, r.size)
	if err == nil {
		err = r.file.Sync()
	}
	if err != nil {
		// A part of a line would make the whole journal unreadable.
		return fmt.Errorf("write journal of run %d: %w", r.ID, errors.Join(err, r.file.Truncate(r.size)))
	}
	r.size += int64(len(encoded))
	return nil
}

// keep stores a content sealed and returns its name.
func (r *Run) keep(content []byte) (string, error) {
	r.blobs++
	name := strconv.Itoa(r.blobs)
	sealed := r.journal.seal.Seal(nil, nil, content, r.context(name))
	if err := writeDurably(filepath.Join(r.journal.runDir(r.ID), "blobs", name), sealed); err != nil {
		return "", err
	}
	return name, nil
}

// kept brings back what keep stored.
func (r *Run) kept(name string) ([]byte, error) {
	sealed, err := os.ReadFile(filepath.Join(r.journal.runDir(r.ID), "blobs", filepath.Base(name)))
	if err != nil {
		return nil, fmt.Errorf("read kept content: %w", err)
	}
	content, err := r.journal.seal.Open(nil, nil, sealed, r.context(name))
	if err != nil {
		return nil, fmt.Errorf("read kept content %s of run %d: it is not what was stored: %w", name, r.ID, err)
	}
	return content, nil
}

// context binds a blob to its place, so that blobs cannot be swapped.
func (r *Run) context(name string) []byte {
	return fmt.Appendf(nil, "rocca journal %d/%s", r.ID, name)
}

func (j *Journal) runDir(id int) string { return filepath.Join(j.dir, fmt.Sprintf("%04d", id)) }

func (j *Journal) ids() ([]int, error) {
	names, err := os.ReadDir(j.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	var ids []int
	for _, name := range names {
		id, err := strconv.Atoi(name.Name())
		if err != nil || !name.IsDir() {
			continue
		}
		// Killed between mkdir and run.json: nothing was changed yet.
		if _, err := os.Stat(filepath.Join(j.dir, name.Name(), "run.json")); err == nil {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids, nil
}

// Runs lists the runs, oldest first.
func (j *Journal) Runs() ([]RunInfo, error) {
	ids, err := j.ids()
	if err != nil {
		return nil, err
	}
	var runs []RunInfo
	for _, id := range ids {
		info, _, err := j.read(id)
		if err != nil {
			return nil, err
		}
		runs = append(runs, info)
	}
	return runs, nil
}

func (j *Journal) read(id int) (RunInfo, []entry, error) {
	var info RunInfo
	head, err := os.ReadFile(filepath.Join(j.runDir(id), "run.json"))
	if err != nil {
		return info, nil, fmt.Errorf("read run %d: %w", id, err)
	}
	if err := json.Unmarshal(head, &info); err != nil {
		return info, nil, fmt.Errorf("read run %d: %w", id, err)
	}
	content, err := os.ReadFile(filepath.Join(j.runDir(id), "entries"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return info, nil, fmt.Errorf("read run %d: %w", id, err)
	}
	var entries []entry
	bySeq := map[int]int{}
	lines := bufio.NewScanner(bytes.NewReader(content))
	lines.Buffer(nil, 256<<20)
	for number := 1; lines.Scan(); number++ {
		var line record
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			if !bytes.HasSuffix(content, []byte("\n")) && bytes.HasSuffix(content, lines.Bytes()) {
				break // torn by a crash, see dropTornLine
			}
			return info, nil, fmt.Errorf("read run %d: line %d of its entries: %w", id, number, err)
		}
		at, known := bySeq[line.Seq]
		switch {
		case line.Type == "op" && line.Op != nil:
			bySeq[line.Seq] = len(entries)
			entries = append(entries, entry{Seq: line.Seq, Step: line.Step, Op: *line.Op})
			if !slices.Contains(info.Steps, line.Step) {
				info.Steps = append(info.Steps, line.Step)
			}
			info.Result, info.Ended = Interrupted, time.Time{}
		case line.Type == "undoing":
			info.Result = Interrupted
		case line.Type == "done" && known:
			entries[at].After = line.After
		case line.Type == "undone" && known:
			entries[at].Undone = true
		case line.Type == "end":
			info.Result = line.Result
			if info.Ended.IsZero() {
				info.Ended = line.Time
			}
		}
	}
	for _, e := range entries {
		if !e.Undone {
			info.Changes++
		}
	}
	return info, entries, lines.Err()
}
