package prove

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"rocca/internal/run"
)

// tracesDir holds the list of what attacks leave. It is there only while a run
// is, or when one was killed.
const tracesDir = "/var/lib/rocca-prove"

// trace is one thing that an attack leaves, and how it goes.
type trace struct {
	Path string   `json:"path,omitempty"` // a canary to remove, with all below
	SQL  string   `json:"sql,omitempty"`
	Argv []string `json:"argv,omitempty"`
}

// traces is the list on disk, written before what it lists is done.
type traces struct {
	dir  string
	file *os.File
	held []trace
}

// openTraces reads what an earlier run could not take away.
func openTraces(dir string) (*traces, error) {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("keep a list of what attacks leave: %w", err)
	}
	name := filepath.Join(dir, "traces")
	file, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR|os.O_APPEND|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("keep a list of what attacks leave: %w", err)
	}
	t := &traces{dir: dir, file: file}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var one trace
		// The last line may have been cut off: what it lists was not done yet.
		if json.Unmarshal(lines.Bytes(), &one) == nil {
			t.held = append(t.held, one)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, errors.Join(fmt.Errorf("read what an earlier run left (%s): %w", name, err), file.Close())
	}
	return t, nil
}

// add lists more, durably.
func (t *traces) add(more ...trace) error {
	var lines bytes.Buffer
	for _, one := range more {
		line, err := json.Marshal(one)
		if err != nil {
			return fmt.Errorf("write down what an attack leaves: %w", err)
		}
		lines.Write(append(line, '\n'))
	}
	_, err := t.file.Write(lines.Bytes())
	if err == nil {
		err = t.file.Sync()
	}
	if err != nil {
		return fmt.Errorf("write down what an attack leaves: %w", err)
	}
	t.held = append(t.held, more...)
	return nil
}

// undo takes away all that is listed, the last first. What could not be taken
// away stays listed.
func (t *traces) undo(ctx context.Context, target *Target) error {
	if len(t.held) == 0 {
		return nil
	}
	var problems []error
	var stay []trace
	for _, one := range slices.Backward(t.held) {
		if err := one.undo(ctx, target); err != nil {
			problems = append(problems, err)
			stay = append(stay, one)
		}
	}
	slices.Reverse(stay)
	t.held = stay
	var rest bytes.Buffer
	for _, one := range stay {
		line, err := json.Marshal(one)
		problems = append(problems, err)
		rest.Write(append(line, '\n'))
	}
	if err := t.file.Truncate(0); err != nil {
		problems = append(problems, err)
	}
	if _, err := t.file.Write(rest.Bytes()); err != nil {
		problems = append(problems, err)
	}
	return errors.Join(append(problems, t.file.Sync())...)
}

func (one trace) undo(ctx context.Context, target *Target) error {
	switch {
	case one.Path != "":
		return os.RemoveAll(one.Path)
	case one.SQL != "":
		conn, err := target.SQL(ctx)
		if err != nil {
			return err
		}
		return conn.Exec(ctx, one.SQL)
	case len(one.Argv) > 0:
		_, err := run.Do(ctx, run.Command{Argv: one.Argv})
		return err
	}
	return nil
}

// close removes the list when nothing is left on it.
func (t *traces) close() error {
	err := t.file.Close()
	if len(t.held) > 0 {
		return err
	}
	return errors.Join(err, os.Remove(filepath.Join(t.dir, "traces")), os.Remove(t.dir))
}
