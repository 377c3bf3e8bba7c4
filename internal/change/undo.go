package change

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"rocca/internal/progress"
	"rocca/internal/run"
)

// UndoOptions say how far an undo goes.
type UndoOptions struct {
	DeleteData bool             // throw away what visitors and users left since
	HasData    func() bool      // tells whether they left anything; asked once, when it matters
	KeepDir    string           // where files go that others changed since, instead of being lost
	SQL        SQL              // to the database server
	Tell       progress.Handler //
}

// Undo takes back what still stands of a run, last change first. Each change
// taken back is recorded, so that a killed undo goes on where it stopped.
// It goes on after a failure, and returns all of them joined.
func (r *Run) Undo(ctx context.Context, o UndoOptions) (Result, error) {
	_, entries, err := r.journal.read(r.ID)
	if err != nil {
		return Interrupted, err
	}
	u := undo{Run: r, options: o, dataIsFree: o.DeleteData || o.HasData == nil || !o.HasData()}
	slices.Reverse(entries)
	var failures []error
	for _, e := range entries {
		if e.Undone {
			continue
		}
		if u.holdsData(e) {
			u.kept = append(u.kept, e.Op.Name)
			o.Tell.Tell(progress.Event{Kind: progress.Skip, Step: e.Step, Text: "kept, because it holds data: " + e.Op.Name})
			continue
		}
		r.onPoint("undoing " + e.Op.Name)
		err := u.reverse(ctx, e)
		if errors.Is(err, errHoldsKept) {
			continue // its turn comes again when the data goes
		}
		if err != nil {
			failures = append(failures, fmt.Errorf("take back %s %s: %w", e.Op.Kind, e.Op.Name, err))
			continue
		}
		o.Tell.Tell(progress.Event{Kind: progress.Undo, Step: e.Step, Text: string(e.Op.Kind) + " " + e.Op.Name})
		if err := r.append(record{Type: "undone", Seq: e.Seq}); err != nil {
			return Broken, err
		}
	}
	if u.unitFiles {
		failures = append(failures, daemonReload(ctx))
	}
	if err := errors.Join(failures...); err != nil {
		return Broken, err
	}
	if len(u.kept) > 0 {
		return PartUndone, nil
	}
	return Undone, nil
}

type undo struct {
	*Run
	options    UndoOptions
	dataIsFree bool
	kept       []string
	unitFiles  bool // a unit file was touched
}

// holdsData tells whether taking back the change would throw away data that
// the owner did not ask to throw away.
func (u *undo) holdsData(e entry) bool {
	if u.dataIsFree {
		return false
	}
	switch e.Op.Kind {
	case sqlOp:
		return e.Op.Data
	case packagesOp:
		// The server that holds kept data stays, with its packages.
		return slices.ContainsFunc(e.Op.Packages, func(name string) bool { return strings.HasPrefix(name, "mariadb-server") })
	case pathOp:
		return e.Op.Content == Data && e.Op.Before.Type == absent
	}
	return false
}

func (u *undo) reverse(ctx context.Context, e entry) error {
	switch e.Op.Kind {
	case pathOp:
		return u.reversePath(e)
	case treeOp:
		if err := clear(filepath.Join(filepath.Dir(e.Op.Name), e.Op.Temporary)); err != nil {
			return err
		}
		return clear(e.Op.Name)
	case userOp:
		return u.reverseAccount(ctx, e, "userdel", "/etc/passwd")
	case groupOp:
		return u.reverseAccount(ctx, e, "groupdel", "/etc/group")
	case packagesOp:
		return u.reversePackages(ctx, e)
	case unitOp:
		return reverseUnit(ctx, e)
	case sqlOp:
		return u.reverseSQL(ctx, e)
	case actionOp:
		return nil
	}
	return fmt.Errorf("unknown kind of change %q", e.Op.Kind)
}

func (u *undo) reversePath(e entry) error {
	path, before := e.Op.Name, *e.Op.Before
	if strings.HasPrefix(path, "/etc/systemd/system/") {
		u.unitFiles = true
	}
	if e.Op.Temporary != "" {
		if err := clear(filepath.Join(filepath.Dir(path), e.Op.Temporary)); err != nil {
			return err
		}
	}
	now, err := look(path, nil)
	if err != nil {
		return err
	}
	if e.After != nil && now.Type == file && e.Op.Content == Foreign && now.SHA256 != e.After.SHA256 && now.SHA256 != before.SHA256 {
		if err := u.keepForeign(path); err != nil {
			return err
		}
	}
	if before.Type == absent && now.Type == dir {
		return u.removeDir(path, e.Op.Content)
	}
	var content []byte
	if before.Type == file {
		if content, err = u.Run.kept(before.Blob); err != nil {
			return err
		}
	}
	return put(path, fmt.Sprintf(".%s.rocca-undo-%d-%d", filepath.Base(path), u.Run.ID, e.Seq), before, content)
}

// errHoldsKept says that a directory stays because data below it does.
var errHoldsKept = errors.New("it holds data that stays")

// removeDir takes away a directory that rocca made.
func (u *undo) removeDir(path string, content Content) error {
	if content != Foreign {
		return clear(path)
	}
	err := os.Remove(path)
	if err == nil {
		return nil
	}
	names, readErr := os.ReadDir(path)
	if readErr != nil {
		return err
	}
	if len(names) == 0 {
		return err
	}
	if slices.ContainsFunc(u.kept, func(name string) bool { return strings.HasPrefix(name, path+"/") }) {
		return errHoldsKept
	}
	// Somebody put things there; they are not rocca's to remove.
	u.options.Tell.Tell(progress.Event{Kind: progress.Note, Text: fmt.Sprintf("%s stays: it holds %d things that rocca did not make (%s, ...)", path, len(names), names[0].Name())})
	return nil
}

// keepForeign copies a file that somebody changed after rocca wrote it.
func (u *undo) keepForeign(path string) error {
	if u.options.KeepDir == "" {
		return nil
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("keep a changed file: %w", err)
	}
	target := filepath.Join(u.options.KeepDir, fmt.Sprintf("run-%d", u.Run.ID), path)
	if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
		return fmt.Errorf("keep a changed file: %w", err)
	}
	u.options.Tell.Tell(progress.Event{Kind: progress.Note, Text: fmt.Sprintf("%s was changed by others since; their version is kept as %s", path, target)})
	return writeDurably(target, content)
}

// reverseAccount deletes a user or group, and brings the account files back to
// the byte when nobody else changed them since.
func (u *undo) reverseAccount(ctx context.Context, e entry, program, list string) error {
	names, err := firstFields(list)
	if err != nil {
		return err
	}
	if _, there := slices.BinarySearch(names, e.Op.Name); there {
		if _, err := run.Do(ctx, run.Command{Argv: []string{program, e.Op.Name}}); err != nil {
			return err
		}
	}
	return u.restoreAccountFiles(e.Op.System)
}

func (u *undo) system(blob string) (system, error) {
	var s system
	encoded, err := u.Run.kept(blob)
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(encoded, &s); err != nil {
		return s, fmt.Errorf("read the recorded system: %w", err)
	}
	return s, nil
}

// restoreAccountFiles puts the backup copies (passwd- and the like) back where
// the file itself is again as it was; and the file's own mode and time.
func (u *undo) restoreAccountFiles(blob string) error {
	s, err := u.system(blob)
	if err != nil {
		return err
	}
	for _, path := range accountFiles {
		old, recorded := s.Etc[path]
		main := strings.TrimSuffix(path, "-")
		now, err := look(main, nil)
		if err != nil {
			return err
		}
		if recorded && now.SHA256 == s.Etc[main].Inode.SHA256 {
			if err := u.restoreEtc(path, old); err != nil {
				return err
			}
		}
	}
	return nil
}

func (u *undo) restoreEtc(path string, old etcOld) error {
	return put(path, fmt.Sprintf(".%s.rocca-undo-%d", filepath.Base(path), u.Run.ID), old.Inode, old.Content)
}

func (u *undo) reversePackages(ctx context.Context, e entry) error {
	before, err := u.system(e.Op.System)
	if err != nil {
		return err
	}
	left := residue{}
	if e.After != nil && e.After.Residue != nil {
		left = *e.After.Residue
	} else {
		// Cut short: all that came since is taken for ours.
		w := &Writer{run: u.Run, tell: u.options.Tell, step: e.Step}
		if err := w.repairPackages(ctx); err != nil {
			return err
		}
		if left, err = before.residue(); err != nil {
			return err
		}
	}
	if err := purge(ctx, left.Packages); err != nil {
		return err
	}
	for _, name := range left.Users {
		if names, err := firstFields("/etc/passwd"); err == nil && slices.Contains(names, name) {
			if _, err := run.Do(ctx, run.Command{Argv: []string{"userdel", name}}); err != nil {
				return err
			}
		}
	}
	for _, name := range left.Groups {
		if names, err := firstFields("/etc/group"); err == nil && slices.Contains(names, name) {
			if _, err := run.Do(ctx, run.Command{Argv: []string{"groupdel", name}}); err != nil {
				return err
			}
		}
	}
	if err := u.removeResidue(left.Paths); err != nil {
		return err
	}
	return u.restoreEtcFiles(before, left)
}

func purge(ctx context.Context, packages []string) error {
	installed, err := installedPackages()
	if err != nil {
		return err
	}
	var present []string
	for _, name := range packages {
		if _, found := slices.BinarySearch(installed, name); found {
			present = append(present, name)
		}
	}
	if len(present) == 0 {
		return nil
	}
	_, err = run.Do(ctx, apt(append([]string{"apt-get", "-y", "-o", "DPkg::Lock::Timeout=120", "purge"}, present...)...))
	return err
}

// removeResidue removes what maintainer scripts made, deepest first; a
// directory only when nothing else is in it.
func (u *undo) removeResidue(paths []string) error {
	slices.Sort(paths)
	slices.Reverse(paths)
	for _, path := range paths {
		info, err := os.Lstat(path)
		if err != nil {
			continue
		}
		switch {
		case slices.Contains(opaque, path):
			err = clear(path)
		case info.IsDir():
			// Not empty: others use it, or it held something before.
			_ = os.Remove(path)
		default:
			err = os.Remove(path)
		}
		if err != nil {
			return fmt.Errorf("remove what packages left: %w", err)
		}
	}
	return nil
}

// restoreEtcFiles brings files below /etc back that the installation changed,
// unless somebody else changed them afterwards.
func (u *undo) restoreEtcFiles(before system, left residue) error {
	for path, old := range before.Etc {
		changed, touched := left.Etc[path]
		now, err := look(path, nil)
		if err != nil {
			return err
		}
		if now.SHA256 == old.Inode.SHA256 {
			continue
		}
		if (touched && now.SHA256 == changed) || now.Type == absent && touched || slices.Contains(accountFiles, path) && strings.HasSuffix(path, "-") {
			if err := u.restoreEtc(path, old); err != nil {
				return err
			}
		}
	}
	return nil
}

// reverseUnit brings back whether a unit was enabled, masked and active.
func reverseUnit(ctx context.Context, e entry) error {
	now, err := showUnit(ctx, e.Op.Name)
	if err != nil {
		return err
	}
	before := *e.Op.Unit
	var verbs []string
	if now.Active && !before.Active {
		verbs = append(verbs, "stop")
	}
	if now.File == "masked" && before.File != "masked" {
		verbs = append(verbs, "unmask")
	}
	if before.File != "enabled" && now.File == "enabled" {
		verbs = append(verbs, "disable")
	}
	if before.File == "enabled" && now.File != "enabled" {
		verbs = append(verbs, "enable")
	}
	if before.Active && !now.Active {
		verbs = append(verbs, "start")
	}
	for _, verb := range verbs {
		if err := systemctl(ctx, verb, e.Op.Name); err != nil {
			return err
		}
	}
	if before.File == "" && strings.HasSuffix(e.Op.Name, ".timer") {
		// The stamp of when it last ran.
		_, err := run.Do(ctx, run.Command{Argv: []string{"systemctl", "clean", "--what=state", e.Op.Name}})
		return err
	}
	return nil
}

func (u *undo) reverseSQL(ctx context.Context, e entry) error {
	reverse, err := u.Run.kept(e.Op.Reverse)
	if err != nil {
		return err
	}
	for _, statement := range strings.Split(string(reverse), "\n") {
		if statement == "" {
			continue
		}
		if err := u.options.SQL.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}
