package change

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

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
	u := undo{Run: r, options: o, dataIsFree: sync.OnceValue(func() bool { return o.DeleteData || o.HasData == nil || !o.HasData() })}
	if err := r.append(record{Type: "undoing"}); err != nil {
		return Interrupted, err
	}
	slices.Reverse(entries)
	var failures []error
	for _, e := range entries {
		if e.Undone {
			continue
		}
		holds, err := u.holdsData(e)
		if err != nil {
			failures = append(failures, fmt.Errorf("look for data before taking back %s: %w", e.Op.Name, err))
			continue
		}
		if holds {
			u.kept = append(u.kept, e.Op.Name)
			o.Tell.Tell(progress.Event{Kind: progress.Skip, Step: e.Step, Text: "kept, because it holds data: " + e.Op.Name})
			continue
		}
		r.onPoint("undoing " + e.Op.Name)
		err = u.reverse(ctx, e)
		if errors.Is(err, errHoldsKept) {
			continue // its turn comes again when the data goes
		}
		if err != nil {
			failures = append(failures, fmt.Errorf("take back %s %s: %w", e.Op.Kind, e.Op.Name, err))
			continue
		}
		r.onPoint("took back " + e.Op.Name)
		o.Tell.Tell(progress.Event{Kind: progress.Undo, Step: e.Step, Text: string(e.Op.Kind) + " " + e.Op.Name})
		if err := r.append(record{Type: "undone", Seq: e.Seq}); err != nil {
			return Broken, err
		}
	}
	if u.unitFiles {
		failures = append(failures, daemonReload(ctx))
	}
	u.refreshUnits(ctx, entries)
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
	dataIsFree func() bool     // asks the database server, once
	kept       []string        // names of what holds data
	users      map[string]bool // that own kept files, by id
	groups     map[string]bool
	unitFiles  bool // a unit file was touched
}

// holdsData tells whether taking back the change would throw away data that
// the owner did not ask to throw away.
func (u *undo) holdsData(e entry) (bool, error) {
	switch {
	case e.Op.Kind == sqlOp && e.Op.Data:
		return !u.dataIsFree(), nil
	case e.Op.Kind == packagesOp && slices.ContainsFunc(e.Op.Packages, func(name string) bool { return strings.HasPrefix(name, "mariadb-server") }):
		// The server that holds kept data stays, with its packages.
		schemas, err := u.journal.standingData()
		return schemas && !u.dataIsFree(), err
	case e.Op.Kind == pathOp && e.Op.Content == Data && e.Op.Before.Type == absent:
		return u.keepsPath(e.Op.Name)
	case e.Op.Kind == userOp || e.Op.Kind == groupOp:
		// The id of a deleted account may be given to another, who then would
		// own the kept files.
		return u.ownsKept(e), nil
	}
	return false, nil
}

// keepsPath tells whether a path of the owner's data stays: not when it is an
// empty directory.
func (u *undo) keepsPath(path string) (bool, error) {
	now, err := look(path, nil)
	if err != nil || now.Type == absent {
		return false, err
	}
	if u.dataIsFree() {
		return false, nil
	}
	if now.Type == dir {
		if names, err := os.ReadDir(path); err != nil || len(names) == 0 {
			return false, err
		}
	}
	if u.users == nil {
		u.users, u.groups = map[string]bool{}, map[string]bool{}
	}
	u.users[strconv.Itoa(now.UID)], u.groups[strconv.Itoa(now.GID)] = true, true
	return true, nil
}

// ownsKept tells whether a user or the group of its name owns what is kept:
// then both stay.
func (u *undo) ownsKept(e entry) bool {
	account, err := user.Lookup(e.Op.Name)
	if err == nil && u.users[account.Uid] {
		return true
	}
	group, err := user.LookupGroup(e.Op.Name)
	return err == nil && u.groups[group.Gid]
}

// standingData tells whether a schema that rocca made still stands.
func (j *Journal) standingData() (bool, error) {
	ids, err := j.ids()
	if err != nil {
		return false, err
	}
	for _, id := range ids {
		_, entries, err := j.read(id)
		if err != nil {
			return false, err
		}
		if slices.ContainsFunc(entries, func(e entry) bool { return e.Op.Kind == sqlOp && e.Op.Data && !e.Undone }) {
			return true, nil
		}
	}
	return false, nil
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
	if now.same(before) {
		return nil // it came to nothing, as where nothing can be written
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
	err = put(path, fmt.Sprintf(".%s.rocca-undo-%d-%d", filepath.Base(path), u.Run.ID, e.Seq), before, content)
	if errors.Is(err, unix.ENOENT) && before.Type == file {
		// The directory that it was in has been removed since.
		return u.keep(path, content, "cannot be put back, because its directory is gone; it")
	}
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	return err
}

// errHoldsKept says that a directory stays because data below it does.
var errHoldsKept = errors.New("it holds data that stays")

// removeDir takes away a directory that rocca made.
func (u *undo) removeDir(path string, content Content) error {
	if content != Foreign {
		return clear(path)
	}
	err := put(path, "", inode{Type: absent}, nil)
	if !errors.Is(err, unix.ENOTEMPTY) {
		return err
	}
	names, err := os.ReadDir(path)
	if err != nil || len(names) == 0 {
		return fmt.Errorf("remove %s: %w", path, cmp.Or(err, error(unix.ENOTEMPTY)))
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
	var content []byte
	_, err := look(path, func(read []byte) (string, error) {
		content = read
		return "", nil
	})
	if err != nil {
		return fmt.Errorf("keep a changed file: %w", err)
	}
	return u.keep(path, content, "was changed by others since; their version")
}

// keep stores a content where its owner finds it.
func (u *undo) keep(path string, content []byte, why string) error {
	target := filepath.Join(u.options.KeepDir, fmt.Sprintf("run-%d", u.Run.ID), path)
	if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
		return fmt.Errorf("keep a changed file: %w", err)
	}
	u.options.Tell.Tell(progress.Event{Kind: progress.Note, Text: fmt.Sprintf("%s %s is kept as %s", path, why, target)})
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

func (r *Run) system(blob string) (system, error) {
	var s system
	encoded, err := r.kept(blob)
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
		// Cut short: it is known which packages apt was going to install.
		w := &Writer{run: u.Run, tell: u.options.Tell, step: e.Step}
		if err := awaitPackageManager(ctx, w.Wait); err != nil {
			return err
		}
		if err := w.repairPackages(ctx); err != nil {
			return err
		}
		if left, err = before.residue(e.Op.Packages); err != nil {
			return err
		}
		if err := u.append(record{Type: "done", Seq: e.Seq, After: &after{Residue: &left}}); err != nil {
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
	argv := append([]string{"apt-get", "-y", "-o", lockTimeout, "purge"}, present...)
	simulated, err := run.Do(ctx, apt(append(argv, "--simulate")...))
	if err != nil {
		return err
	}
	if others := removedBesides(string(simulated.Stdout), present); len(others) > 0 {
		return fmt.Errorf("remove packages: others that were installed since need them: %s\nhint: apt-get purge %[1]s, if nobody needs them", strings.Join(others, " "))
	}
	_, err = run.Do(ctx, apt(argv...))
	return err
}

// removedBesides lists the packages that a simulation would remove and that
// are not among those asked for: "Purg nginx [1.22.1-9]", "Remv ...".
func removedBesides(simulation string, asked []string) []string {
	var others []string
	for line := range strings.Lines(simulation) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != "Purg" && fields[0] != "Remv" {
			continue
		}
		if !slices.ContainsFunc(asked, func(name string) bool { return name == fields[1] || strings.HasPrefix(name, fields[1]+":") }) {
			others = append(others, fields[1])
		}
	}
	return others
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
		if now.SHA256 == old.Inode.SHA256 && now.Mtime == old.Inode.Mtime {
			continue
		}
		// Written again as it was, such as the list of users: only its time differs.
		again := now.SHA256 == old.Inode.SHA256 && now.Mode == old.Inode.Mode && now.UID == old.Inode.UID && now.GID == old.Inode.GID
		if again || touched && (now.SHA256 == changed || now.Type == absent) || slices.Contains(accountFiles, path) && strings.HasSuffix(path, "-") {
			if err := u.restoreEtc(path, old); err != nil {
				return err
			}
		}
	}
	return nil
}

// reverseUnit brings back whether a unit was enabled, masked and active.
func reverseUnit(ctx context.Context, e entry) error {
	before := *e.Op.Unit
	now, err := showUnit(ctx, e.Op.Name)
	if err != nil {
		return err
	}
	do := func(wanted bool, verb string) {
		if err == nil && wanted {
			err = setUnit(ctx, e.Op.Name, verb)
		}
	}
	do(now.Active && !before.Active, "stop")
	if now.masked() && !before.masked() {
		do(true, "unmask")
		// A mask hides whether the unit is enabled.
		if shown, showErr := showUnit(ctx, e.Op.Name); showErr == nil {
			now.File = shown.File
		}
	}
	if !before.masked() {
		do(now.File == "enabled" && before.File != "enabled", "disable")
		do(now.File != "enabled" && before.File == "enabled", "enable")
		do(now.File != before.File && before.File == "enabled-runtime", "enable --runtime")
	}
	do(now.File != before.File && before.File == "masked", "mask")
	do(now.File != before.File && before.File == "masked-runtime", "mask --runtime")
	do(!now.Active && before.Active, "start")
	if err != nil {
		return err
	}
	if before.File == "" && strings.HasSuffix(e.Op.Name, ".timer") {
		// The stamp of when it last ran.
		_, err := run.Do(ctx, run.Command{Argv: []string{"systemctl", "clean", "--what=state", e.Op.Name}})
		return err
	}
	return nil
}

// refreshUnits makes units that ran before the run, and run still, read the
// files again that were brought back. One that cannot is told of: everything is
// as it was then, and it was wrong.
func (u *undo) refreshUnits(ctx context.Context, entries []entry) {
	refreshed := map[string]bool{}
	for _, e := range entries {
		if e.Op.Kind != unitOp || !e.Op.Unit.Active || refreshed[e.Op.Name] {
			continue
		}
		refreshed[e.Op.Name] = true
		now, err := showUnit(ctx, e.Op.Name)
		if err == nil && now.Active {
			err = systemctl(ctx, "try-reload-or-restart", e.Op.Name)
		}
		if err != nil {
			u.options.Tell.Tell(progress.Event{Kind: progress.Note, Text: fmt.Sprintf("%s does not read its files again as they were: %v", e.Op.Name, err)})
		}
	}
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
