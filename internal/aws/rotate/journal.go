package rotate

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"rocca/internal/durable"
	"rocca/internal/progress"
)

// journal is what was done from this computer, for people. Nothing is decided by
// it but the time that a plan shows, and no secret is in it.
type journal struct {
	path string
	lost bool // it could not be written

	Version    int       `json:"version"` // of this form: 1
	Deployment string    `json:"deployment"`
	Kind       Kind      `json:"rotate"`
	Job        string    `json:"job,omitempty"` // version of the app secret that it makes
	Began      time.Time `json:"began"`
	Ended      time.Time `json:"ended,omitzero"`
	Entries    []entry   `json:"entries"`
}

type entry struct {
	Time   time.Time `json:"time"`
	Action Action    `json:"action,omitempty"`
	Did    string    `json:"did"` // begin, done or fail
	Step   string    `json:"step"`
}

func journalPath(dir string, p *Plan) string {
	return filepath.Join(dir, p.Name+"-"+string(p.Kind)+".json")
}

func (p *Plan) jobID() string {
	if p.job == nil {
		return ""
	}
	return p.job.next
}

// readJournal reads that of a rotation of this kind. None is no error.
func readJournal(dir string, p *Plan) (*journal, error) {
	j := &journal{path: journalPath(dir, p)}
	text, err := os.ReadFile(j.path)
	if errors.Is(err, os.ErrNotExist) {
		return j, nil
	}
	if err == nil {
		err = json.Unmarshal(text, j)
	}
	if err != nil {
		return nil, fmt.Errorf("read the journal %s: %w\nhint: nothing depends on it; move it away", j.path, err)
	}
	return j, nil
}

// begunHere is when a rotation was begun from this computer; zero: it was not,
// or nobody knows.
func begunHere(dir string, p *Plan) time.Time {
	j, err := readJournal(dir, p)
	if err != nil || p.jobID() == "" || j.Job != p.jobID() {
		return time.Time{}
	}
	return j.Began
}

// openJournal goes on with the journal of a rotation, or begins one.
func openJournal(dir string, p *Plan) (*journal, error) {
	j, err := readJournal(dir, p)
	if err != nil {
		return nil, err
	}
	if j.Job != p.jobID() || j.Job == "" || !j.Ended.IsZero() {
		j = &journal{path: j.path, Began: time.Now().UTC()}
	}
	j.Version, j.Deployment, j.Kind, j.Job = 1, p.Name, p.Kind, p.jobID()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of journals: %w", err)
	}
	return j, j.write()
}

// record adds what was done. A rotation does not stop because that cannot be
// written: it is told, once.
func (j *journal) record(d *Deployment, did string, action Action, step string) {
	j.Entries = append(j.Entries, entry{time.Now().UTC(), action, did, step})
	j.save(d)
}

func (j *journal) end(d *Deployment) {
	j.Ended = time.Now().UTC()
	j.save(d)
}

func (j *journal) save(d *Deployment) {
	if err := j.write(); err != nil && !j.lost {
		j.lost = true
		d.Tell.Tell(progress.Event{Kind: progress.Note, Text: err.Error()})
	}
}

// write replaces the file, whole or not at all.
func (j *journal) write() error {
	text, err := json.MarshalIndent(j, "", "  ")
	if err != nil {
		return fmt.Errorf("keep the journal %s: %w", j.path, err)
	}
	if err := durable.Write(j.path, append(text, '\n'), durable.Attr{Mode: 0o600}); err != nil {
		return fmt.Errorf("keep the journal: %w", err)
	}
	return nil
}
