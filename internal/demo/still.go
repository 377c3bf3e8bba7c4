package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"rocca/internal/run"
)

// stillsDir keeps the still trees of running servers.
const stillsDir = stateDir + "/.still"

// Still is the tree of a server as at one moment. It does not change any more:
// Clone makes servers that stand on it.
type Still struct {
	Of     string `json:"of"` // name of the server; ThisMachine for one that is like this machine
	Debian string `json:"debian"`
	Weak   string `json:"weak,omitempty"`
	Bare   bool   `json:"bare,omitempty"`

	// Maker is the process that the tree is for. A tree without one is kept for
	// further runs.
	Maker process `json:"maker,omitzero"`

	dir string // holds still.json and tree
}

// ThisMachine is what a twin is of when it was made after the machine that rocca
// runs on.
const ThisMachine = "this machine"

func (t *Still) tree() string { return filepath.Join(t.dir, "tree") }

// Copy takes a still tree of a server, with binary as its rocca. All processes
// of a running one stand still meanwhile, and go on afterwards whatever happens;
// its databases come up in a clone as after a power cut. The tree goes with
// Still.Remove, or with Sweep once this process is gone.
func Copy(ctx context.Context, name, binary string, progress func(Event)) (*Still, error) {
	say := sayer(progress)
	if err := needRoot(); err != nil {
		return nil, err
	}
	if err := checkName(name); err != nil {
		return nil, err
	}
	unlock, err := lock(ctx, nameLock(name), func() { say("waiting for another rocca that works on demo server %s", name) })
	if err != nil {
		return nil, err
	}
	defer unlock()
	s, err := open(stateDir, name)
	if err != nil {
		return nil, err
	}
	if err := s.thaw(); err != nil { // who was killed here left it standing still
		return nil, err
	}
	if s.State == StateIncomplete {
		return nil, fmt.Errorf("copy demo server %s: it is not complete\nhint: rocca demo down %s removes it", name, name)
	}
	still := &Still{Of: s.Name, Debian: s.Debian, Weak: s.Weak, Bare: s.Bare}
	if err := still.reserve(ctx); err != nil {
		return nil, err
	}
	say("copying demo server %s", s.Name)
	err = s.copyTo(ctx, still)
	if err == nil {
		err = still.prepare(ctx, binary)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("copy demo server %s: %w", s.Name, err), still.Remove())
	}
	return still, nil
}

// reserve makes the directory of a still tree that is for this process. Under
// the lock no other rocca takes it for what a killed one left.
func (t *Still) reserve(ctx context.Context) error {
	if err := needSpace(stateDir, 3<<30); err != nil {
		return err
	}
	unlock, err := lockStills(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if t.Maker, err = identify(os.Getpid()); err != nil {
		return err
	}
	if err := os.MkdirAll(stillsDir, 0o700); err != nil {
		return fmt.Errorf("make a still tree: %w", err)
	}
	if t.dir, err = os.MkdirTemp(stillsDir, ""); err != nil {
		return fmt.Errorf("make a still tree: %w", err)
	}
	return t.save()
}

func lockStills(ctx context.Context) (func(), error) {
	return lock(ctx, filepath.Join(stateDir, ".lock", "STILLS"), func() {})
}

func (t *Still) save() error {
	text, err := json.MarshalIndent(t, "", "  ")
	if err != nil {
		return fmt.Errorf("write down what a still tree is of: %w", err)
	}
	return writeFile(filepath.Join(t.dir, "still.json"), append(text, '\n'), 0o600)
}

func openStill(dir string) (*Still, error) {
	text, err := os.ReadFile(filepath.Join(dir, "still.json"))
	if err != nil {
		return nil, fmt.Errorf("open a still tree: %w", err)
	}
	t := &Still{dir: dir}
	if err := json.Unmarshal(text, t); err != nil {
		return nil, fmt.Errorf("open the still tree %s: %w", dir, err)
	}
	return t, nil
}

// copyTo copies the tree of a server while its processes stand still.
func (s *Server) copyTo(ctx context.Context, still *Still) (err error) {
	groups, err := freshCgroup(still.group())
	if err != nil {
		return err
	}
	entries, err := entriesWithout(s.Root, needless)
	if err != nil {
		return err
	}
	// Its mode is not copied below: a server's root directory is for everybody.
	if err := errors.Join(os.Mkdir(still.tree(), 0o700), os.Chmod(still.tree(), 0o755)); err != nil {
		return err
	}
	if s.State == StateRunning {
		defer func() { err = errors.Join(err, s.thaw()) }()
		if err := s.freeze(ctx); err != nil {
			return err
		}
	}
	argv := append([]string{"cp", "--archive", "--parents", "--reflink=auto", "--"}, entries...)
	_, err = run.Do(ctx, run.Command{Argv: inCgroups(groups, append(argv, still.tree())...), Dir: s.Root})
	return err
}

// needless tells what a copy can do without: downloaded packages, and the
// release that was installed. They are a third of all files.
func needless(path string) bool {
	return path == guestArchives[1:] || path == guestUnpacked[1:] ||
		strings.HasPrefix(path, "var/cache/apt/") && (strings.HasSuffix(path, ".deb") || strings.HasSuffix(path, "pkgcache.bin"))
}

// entriesWithout lists paths below a tree that hold all that is in it, but not
// what is left out. A directory that holds such things is listed by its
// entries; when it has no other, it is not listed at all.
func entriesWithout(root string, leftOut func(path string) bool) ([]string, error) {
	var entries []string
	var add func(dir string) (bool, error)
	add = func(dir string) (whole bool, err error) {
		list, err := os.ReadDir(filepath.Join(root, dir))
		if err != nil {
			return false, err
		}
		whole = true
		first := len(entries)
		for _, entry := range list {
			path := filepath.Join(dir, entry.Name())
			below := true
			switch {
			case leftOut(path):
				whole = false
				continue
			case entry.IsDir() && slices.Contains(mayHoldNeedless, path):
				if below, err = add(path); err != nil {
					return false, err
				}
				whole = whole && below
			}
			if below {
				entries = append(entries, path)
			}
		}
		if whole && dir != "" {
			entries = entries[:first] // copied as one
		}
		return whole, nil
	}
	if _, err := add(""); err != nil {
		return nil, fmt.Errorf("list the files of a server: %w", err)
	}
	return entries, nil
}

// mayHoldNeedless are the directories to look into for what is needless.
var mayHoldNeedless = []string{"root", "var", "var/cache", "var/cache/apt", "var/cache/apt/archives"}

// prepare puts into the tree what each clone has.
func (t *Still) prepare(ctx context.Context, binary string) error {
	if err := writeFile(t.tree()+Mark, []byte(markText), 0o644); err != nil {
		return err
	}
	_, err := run.Do(ctx, run.Command{Argv: []string{"install", "--mode=0755", "--", binary, t.tree() + Program}})
	return err
}

// group is the control group of what works on the tree.
func (t *Still) group() string { return "rocca-still." + filepath.Base(t.dir) }

// Remove removes a still tree, unless it is kept for further runs or servers
// stand on it: it then goes with the last of them.
func (t *Still) Remove() error {
	if t.Maker == (process{}) {
		return nil
	}
	servers, err := List()
	if err != nil {
		return err
	}
	if slices.ContainsFunc(servers, func(s *Server) bool { return s.Still == t.dir }) {
		return nil
	}
	return removeStill(t.dir)
}

func removeStill(dir string) error {
	groups, err := ownCgroupDirs((&Still{dir: dir}).group())
	if err != nil {
		return err
	}
	if err := emptyCgroups(groups); err != nil {
		return err
	}
	return removeTree(dir)
}

// Sweep takes away what killed programs left: clones, still trees, and servers
// that stand still.
func Sweep(ctx context.Context, progress func(Event)) error {
	say := sayer(progress)
	if err := needRoot(); err != nil {
		return err
	}
	servers, err := List()
	if err != nil {
		return err
	}
	var problems []error
	for _, s := range servers {
		if s.Maker == (process{}) || s.Maker.alive() {
			continue
		}
		say("removing %s, whose maker is gone", s.Name)
		problems = append(problems, Down(ctx, s.Name, nil))
	}
	return errors.Join(append(problems, sweepStills(ctx))...)
}

func sweepStills(ctx context.Context) error {
	unlock, err := lockStills(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	entries, err := os.ReadDir(stillsDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("list the still trees: %w", err)
	}
	var problems []error
	for _, entry := range entries {
		dir := filepath.Join(stillsDir, entry.Name())
		still, err := openStill(dir)
		switch {
		case err != nil:
			problems = append(problems, removeStill(dir)) // its maker had the lock
		case !still.Maker.alive():
			problems = append(problems, still.Remove())
		}
	}
	return errors.Join(problems...)
}
