package incident

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Story is a case as its journal tells it.
type Story struct {
	ID       string    `json:"id"` // name of its directory
	Dir      string    `json:"dir"`
	About    About     `json:"about"`
	Opened   time.Time `json:"opened"`
	Last     time.Time `json:"last"`              // line of the journal
	Released time.Time `json:"released,omitzero"` // what was cut off is back
	Head     string    `json:"head"`              // hash of the last line

	Steps    []Stage         `json:"steps"`
	Timeline []Entry         `json:"timeline"`
	Evidence []Evidence      `json:"evidence,omitempty"`
	NotTaken []Gap           `json:"not_taken,omitempty"`
	Changes  []Made          `json:"changes,omitempty"`
	Facts    map[Fact]string `json:"facts,omitempty"`
}

// Stage is a step of a case.
type Stage struct {
	Told
	State State     `json:"state"`
	Why   string    `json:"why,omitempty"` // it failed, was left out or held back
	Ended time.Time `json:"ended,omitzero"`
}

// Gap is what was not taken.
type Gap struct {
	What string `json:"what"`
	Why  string `json:"why"`
}

// Made is a change that was made outside the case.
type Made struct {
	At   time.Time `json:"at"`
	Step string    `json:"step,omitempty"`
	What string    `json:"what"`
	Undo string    `json:"undo,omitempty"`
}

// ErrNoCase says that there is no case in a directory.
var ErrNoCase = errors.New("no case is there")

// Read tells the story of a case. It takes no lock and changes nothing. A
// journal that is not whole is an error.
func Read(dir string) (Story, error) {
	s := Story{ID: filepath.Base(dir), Dir: dir}
	file, err := os.OpenFile(filepath.Join(dir, journalName), os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return s, fmt.Errorf("read the case %s: %w", dir, ErrNoCase)
	}
	if err != nil {
		return s, fmt.Errorf("read the case %s: %w", dir, err)
	}
	defer file.Close()
	entries, _, err := readJournal(file)
	if err != nil && !errors.Is(err, errTorn) { // it may be written just now
		return s, fmt.Errorf("read the case %s: %w", dir, err)
	}
	if len(entries) == 0 {
		return s, fmt.Errorf("read the case %s: %w", dir, ErrNoCase)
	}
	s.tell(entries)
	return s, nil
}

// Story is that of the open case.
func (c *Case) Story() Story {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := Story{ID: filepath.Base(c.Dir), Dir: c.Dir}
	s.tell(slices.Clone(c.entries))
	return s
}

func (s *Story) tell(entries []Entry) {
	s.Timeline, s.Facts = entries, map[Fact]string{}
	s.Opened, s.Last, s.Head = entries[0].At, entries[len(entries)-1].At, entries[len(entries)-1].hash
	gaps := map[string]int{}
	for _, e := range entries {
		switch e.Kind {
		case opened:
			if e.About != nil {
				s.About = *e.About
			}
		case planned:
			for _, told := range e.Steps {
				s.Steps = append(s.Steps, Stage{Told: told, State: Waiting})
			}
		case took:
			s.Evidence = append(s.Evidence, *e.Evidence)
		case missed:
			if at, again := gaps[e.Key]; again {
				s.NotTaken[at].Why = e.Text
				continue
			}
			gaps[e.Key] = len(s.NotTaken)
			s.NotTaken = append(s.NotTaken, Gap{e.Key, e.Text})
		case changed:
			s.Changes = append(s.Changes, Made{e.At, e.Step, e.Text, e.Undo})
		case known:
			s.Facts[Fact(e.Key)] = e.Text
		case released:
			s.Released = e.At
		}
	}
	for i, stage := range s.Steps {
		s.Steps[i].State = stateOf(entries, stage.ID)
		for _, e := range entries {
			if e.Step == stage.ID && slices.Contains([]Kind{done, failed, skips, held}, e.Kind) {
				s.Steps[i].Ended, s.Steps[i].Why = e.At, e.Text
			}
		}
	}
}

// List tells the stories of all cases below a directory, oldest first. A case
// that cannot be read is in the error.
func List(root string) ([]Story, error) {
	names, err := os.ReadDir(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list incidents: %w", err)
	}
	var stories []Story
	var problems []error
	for _, name := range names {
		if !name.IsDir() {
			continue
		}
		s, err := Read(filepath.Join(root, name.Name()))
		if errors.Is(err, ErrNoCase) {
			continue
		}
		if err != nil {
			problems = append(problems, err)
			continue
		}
		stories = append(stories, s)
	}
	slices.SortStableFunc(stories, func(a, b Story) int { return a.Opened.Compare(b.Opened) })
	return stories, errors.Join(problems...)
}

// NewID names a case by the time it was opened and what it is about:
// "20261122-1302-web1".
func NewID(now time.Time, subject string) string {
	word := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return -1
	}, strings.ToLower(subject))
	return strings.Trim(now.UTC().Format("20060102-1504")+"-"+word, "-")
}

// Verify checks that a case is as it was written: the chain of the journal,
// and the hash of each evidence and of each saved state. It cannot tell whether
// the last lines were cut off: keep the head of the chain elsewhere and compare
// it with the Story's.
func Verify(dir string) error {
	s, err := Read(dir)
	if err != nil {
		return err
	}
	var problems []error
	check := func(name, sum string) {
		now, _, err := hashFile(filepath.Join(dir, name))
		if err == nil && now != sum {
			err = fmt.Errorf("%s was changed since: its SHA-256 is %s, not %s", name, now, sum)
		}
		if err != nil {
			problems = append(problems, err)
		}
	}
	for _, e := range s.Evidence {
		check(filepath.Join(evidenceDir, e.Name), e.SHA256)
	}
	last := map[string]string{}
	for _, e := range s.Timeline {
		if e.Kind == saved {
			last[e.Key] = e.SHA256
		}
	}
	for key, sum := range last {
		check(filepath.Join(stateDir, key+".json"), sum)
	}
	if err := errors.Join(problems...); err != nil {
		return fmt.Errorf("verify the case %s: %w", dir, err)
	}
	return nil
}
