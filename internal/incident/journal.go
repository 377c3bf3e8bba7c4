package incident

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"rocca/internal/durable"
)

// Kind is what a line of the journal tells.
type Kind string

// The kinds of lines.
const (
	opened   Kind = "opened"    // the case; About
	resumed  Kind = "resumed"   // by another process than began it
	planned  Kind = "planned"   // the steps, with their texts
	started  Kind = "started"   // a step
	done     Kind = "done"      // a step
	failed   Kind = "failed"    // a step; Text says why
	skips    Kind = "skipped"   // a step; Text says why
	held     Kind = "held"      // a step; Text says by what
	took     Kind = "evidence"  // Evidence
	changed  Kind = "changed"   // something outside the case; Undo says how to take it back
	noted    Kind = "note"      // by a person or a step
	missed   Kind = "not taken" // Key is what, Text is why
	saved    Kind = "saved"     // state for the way back; Key, SHA256
	known    Kind = "fact"      // of Art. 33(3); Key, Text
	released Kind = "released"  // the case is over
)

// Entry is a line of the journal.
type Entry struct {
	N        int       `json:"n"` // from 1
	At       time.Time `json:"at"`
	Who      string    `json:"who"`
	Kind     Kind      `json:"kind"`
	Step     string    `json:"step,omitempty"`
	Key      string    `json:"key,omitempty"`
	Text     string    `json:"text,omitempty"`
	Undo     string    `json:"undo,omitempty"`
	SHA256   string    `json:"sha256,omitempty"`
	Evidence *Evidence `json:"evidence,omitempty"`
	About    *About    `json:"about,omitempty"`
	Steps    []Told    `json:"steps,omitempty"`
	Previous string    `json:"previous"` // SHA-256 of the line before, in hex; of the first: empty

	hash string // of this line
}

// Told are the texts of a step, as the journal keeps them.
type Told struct {
	ID     string   `json:"id"`
	Title  string   `json:"title"`
	Phase  Phase    `json:"phase"`
	Person []string `json:"person,omitempty"`
	Undo   string   `json:"undo,omitempty"`
}

const (
	journalName = "journal.jsonl"
	lineLimit   = 4 << 20   // bytes of a line of the journal
	sizeLimit   = 256 << 20 // bytes of a journal
)

// errTorn is a last line without its end: the machine went down while it was
// written.
var errTorn = errors.New("the last line is cut short")

// readJournal reads and checks the chain. Lines before a bad one are returned
// along with the error; whole is how many bytes they take.
func readJournal(r io.Reader) (entries []Entry, whole int64, err error) {
	lines := bufio.NewReader(io.LimitReader(r, sizeLimit))
	previous := ""
	for {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF && len(line) == 0 {
			return entries, whole, nil
		}
		if err == io.EOF {
			return entries, whole, errTorn
		}
		if err != nil {
			return entries, whole, fmt.Errorf("read journal: %w", err)
		}
		number := len(entries) + 1
		if len(line) > lineLimit {
			return entries, whole, fmt.Errorf("read journal: line %d is longer than any that rocca writes", number)
		}
		var e Entry
		if err := json.Unmarshal(line, &e); err != nil {
			return entries, whole, fmt.Errorf("read journal: line %d: %w", number, err)
		}
		if e.Previous != previous || e.N != number {
			return entries, whole, fmt.Errorf("read journal: the chain is broken at line %d: this line or the one before was changed, put in or taken out", number)
		}
		e.hash = hashOf(bytes.TrimSuffix(line, []byte("\n")))
		previous = e.hash
		entries = append(entries, e)
		whole += int64(len(line))
	}
}

func hashOf(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// journal is a journal open for writing.
type journal struct {
	file *os.File
	size int64
	n    int
	last string // hash of the last line
}

// openJournal opens it to go on, and cuts off a line that a crash tore.
func openJournal(dir string) (*journal, []Entry, error) {
	file, err := os.OpenFile(filepath.Join(dir, journalName), os.O_CREATE|os.O_RDWR|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("open journal of the case: %w", err)
	}
	entries, whole, err := readJournal(file)
	if errors.Is(err, errTorn) {
		err = file.Truncate(whole)
	}
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("open journal of the case %s: %w", dir, err), file.Close())
	}
	j := &journal{file: file, size: whole, n: len(entries)}
	if len(entries) > 0 {
		j.last = entries[len(entries)-1].hash
	}
	return j, entries, durable.SyncDir(dir)
}

// append writes a line durably.
func (j *journal) append(e Entry) (Entry, error) {
	e.N, e.Previous = j.n+1, j.last
	line, err := json.Marshal(e)
	if err != nil {
		return e, fmt.Errorf("write journal of the case: %w", err)
	}
	e.hash = hashOf(line)
	line = append(line, '\n')
	_, err = j.file.WriteAt(line, j.size)
	if err == nil {
		err = j.file.Sync()
	}
	if err != nil {
		// A part of a line would make the rest unreadable.
		return e, fmt.Errorf("write journal of the case: %w", errors.Join(err, j.file.Truncate(j.size)))
	}
	j.size += int64(len(line))
	j.n, j.last = e.N, e.hash
	return e, nil
}
