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

	"golang.org/x/sys/unix"

	"rocca/internal/mariadb"
	"rocca/internal/progress"
	"rocca/internal/run"
)

// UndoOptions say how far an undo goes.
type UndoOptions struct {
	DeleteData bool                     // throw away what visitors and users left since
	HasData    func(Tables) bool        // tells whether they left anything; asked once of each, when it matters
	Configured Tables                   // of the Matomo that files belong to when rocca made no schema for it
	Schemas    func() ([]string, error) // lists the schemas of this machine's database server
	KeepDir    string                   // where files go that others changed since, instead of being lost
	SQL        SQL                      // to the database server
	Tell       progress.Handler         //
}

// Undo takes back what still stands of a run, last change first. Each change
// taken back is recorded, so that a killed undo goes on where it stopped.
// It goes on after a failure, and returns all of them joined.
func (r *Run) Undo(ctx context.Context, o UndoOptions) (Result, error) {
	_, entries, err := r.journal.read(r.ID)
	if err != nil {
		return Interrupted, err
	}
	u := undo{Run: r, options: o, hasData: map[Tables]bool{}}
	if err := r.append(record{Type: "undoing"}); err != nil {
		return Interrupted, err
	}
	slices.Reverse(entries)
	var failures []error
	for _, e := range entries {
		if e.Undone {
			continue
		}
		if e.Op.Kind == packagesOp && e.After == nil {
			if e.After, err = r.closeInstall(ctx, e, o.Tell); err != nil {
				failures = append(failures, fmt.Errorf("end the installation of %s: %w", e.Op.Name, err))
				continue
			}
		}
		why, err := u.stays(ctx, e)
		if err != nil {
			failures = append(failures, fmt.Errorf("look whether others need %s: %w", e.Op.Name, err))
			continue
		}
		if why != "" {
			u.kept = append(u.kept, e.Op.Name)
			o.Tell.Tell(progress.Event{Kind: progress.Skip, Step: e.Step, Text: e.Op.Name + " stays: " + why})
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
	options   UndoOptions
	hasData   map[Tables]bool // what the database server said
	kept      []string        // names of what stays
	users     map[string]bool // that own kept files, by id
	groups    map[string]bool
	unitFiles bool // a unit file was touched
}

// stays tells why a change is not to be taken back: it would throw away data
// that the owner did not ask to throw away, or what others use. It is empty
// when there is no reason.
func (u *undo) stays(ctx context.Context, e entry) (string, error) {
	const holdsData = "it holds data"
	switch {
	case e.Op.Kind == sqlOp && e.Op.Drops != nil:
		if u.holdsData(e.Op.Server, *e.Op.Drops) {
			return holdsData, nil
		}
	case e.Op.Kind == packagesOp:
		return u.packagesStay(ctx, e.After.Residue.Packages)
	case e.Op.Kind == pathOp && e.Op.Content == Data && e.Op.Before.Type == absent:
		if keeps, err := u.keepsPath(e.Op.Name); err != nil || keeps {
			return holdsData, err
		}
	case e.Op.Kind == userOp || e.Op.Kind == groupOp:
		// The id of a deleted account may be given to another, who then would
		// own the kept files.
		if u.ownsKept(e) {
			return "it owns data that stays", nil
		}
	}
	return "", nil
}

// holdsData tells whether somebody left something in tables on a server. Of
// another server than the one that can be asked, it is taken for a yes.
func (u *undo) holdsData(server string, tables Tables) bool {
	if u.options.DeleteData || u.options.HasData == nil {
		return false
	}
	if u.host() != server {
		return true
	}
	holds, asked := u.hasData[tables]
	if !asked {
		holds = u.options.HasData(tables)
		u.hasData[tables] = holds
	}
	return holds
}

// host names the database server that can be asked, see SQL.
func (u *undo) host() string {
	if u.options.SQL == nil {
		return ""
	}
	return u.options.SQL.Host()
}

// dataIsFree tells whether files of Matomo's may go: nobody left anything in
// the schemas that rocca made, nor in the one that is configured.
func (u *undo) dataIsFree() (bool, error) {
	made, err := u.journal.standingSchemas()
	if err != nil {
		return false, err
	}
	if u.holdsData(u.host(), u.options.Configured) {
		return false, nil
	}
	return !slices.ContainsFunc(made, func(o op) bool { return u.holdsData(o.Server, *o.Drops) }), nil
}

// packagesStay tells why packages are not to be removed.
func (u *undo) packagesStay(ctx context.Context, packages []string) (string, error) {
	isServer := func(name string) bool { return strings.HasPrefix(name, "mariadb-server") }
	if u.options.Schemas != nil && slices.ContainsFunc(packages, isServer) {
		// Purging it deletes every schema, whoever made it.
		schemas, err := u.options.Schemas()
		if err != nil {
			return fmt.Sprintf("the database server cannot be asked whether it holds schemas of others (%v)", err), nil
		}
		made, err := u.journal.standingSchemas()
		if err != nil {
			return "", err
		}
		foreign := slices.DeleteFunc(slices.Clone(schemas), func(name string) bool {
			return slices.ContainsFunc(made, func(o op) bool { return o.Server == "" && o.Drops.Schema == name })
		})
		switch {
		case len(foreign) > 0:
			return fmt.Sprintf("the database server holds schemas that rocca did not make (%s); when they have moved or may go: DROP DATABASE, then rocca undo %d", strings.Join(foreign, ", "), u.Run.ID), nil
		case len(schemas) > 0:
			return "it holds data", nil
		}
	}
	needing, err := needing(ctx, packages)
	if err != nil || len(needing) == 0 {
		return "", err
	}
	return fmt.Sprintf("packages that were installed since need it (%s); when they may go: apt-get purge, then rocca undo %d", strings.Join(needing, ", "), u.Run.ID), nil
}

// keepsPath tells whether a path of the owner's data stays: not when it is an
// empty directory.
func (u *undo) keepsPath(path string) (bool, error) {
	now, err := look(path, nil)
	if err != nil || now.Type == absent {
		return false, err
	}
	if free, err := u.dataIsFree(); err != nil || free {
		return false, err
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

// standingSchemas lists the changes that made schemas which still stand.
func (j *Journal) standingSchemas() ([]op, error) {
	ids, err := j.ids()
	if err != nil {
		return nil, err
	}
	var made []op
	for _, id := range ids {
		_, entries, err := j.read(id)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if e.Op.Kind == sqlOp && e.Op.Drops != nil && !e.Undone {
				made = append(made, e.Op)
			}
		}
	}
	return made, nil
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
	target := u.keptAt(path)
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
	left := *e.After.Residue
	rescued, err := u.rescue(ctx, left)
	if err != nil {
		return err
	}
	contents, err := packageContents(left.Packages)
	if err != nil {
		return err
	}
	if err := purge(ctx, left.Packages); err != nil {
		return err
	}
	if err := stopServices(ctx, contents.services()); err != nil {
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
	return errors.Join(u.restoreEtcFiles(before, left), u.tellRescued(rescued))
}

func purge(ctx context.Context, packages []string) error {
	command, some, err := purgeCommand(packages)
	if err != nil || !some {
		return err
	}
	_, err = run.Do(ctx, command)
	return err
}

// stopServices stops services that go on without the package that brought them:
// not every package stops its own when it goes.
func stopServices(ctx context.Context, services []string) error {
	if len(services) == 0 {
		return nil
	}
	listed, err := run.Do(ctx, run.Command{Argv: append([]string{"systemctl", "list-units", "--plain", "--no-legend", "--state=active"}, services...)})
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(listed.Stdout)) {
		if name, _, _ := strings.Cut(line, " "); slices.Contains(services, name) {
			if _, err := run.Do(ctx, run.Command{Argv: []string{"systemctl", "stop", name}}); err != nil {
				return err
			}
		}
	}
	return nil
}

// needing lists the packages beyond those given that would go, or come in
// their place, if those were purged.
func needing(ctx context.Context, packages []string) ([]string, error) {
	command, some, err := purgeCommand(packages, "--simulate")
	if err != nil || !some {
		return nil, err
	}
	simulated, err := run.Do(ctx, command)
	if err != nil {
		return nil, err
	}
	return changedBesides(string(simulated.Stdout), packages), nil
}

// purgeCommand purges those packages that are installed, if any are, and
// nothing that apt thinks is not needed any more.
func purgeCommand(packages []string, options ...string) (command run.Command, some bool, err error) {
	installed, err := installedPackages()
	if err != nil {
		return command, false, err
	}
	present := slices.DeleteFunc(slices.Clone(packages), func(name string) bool { return !slices.Contains(installed, name) })
	argv := append([]string{"apt-get", "-y", "-o", lockTimeout, "--no-auto-remove"}, options...)
	return apt(append(append(argv, "purge"), present...)...), len(present) > 0, nil
}

// changedBesides lists the packages that a simulation would remove or install
// and that are not among those asked for: "Purg nginx [1.22.1-9]", "Remv ...".
func changedBesides(simulation string, asked []string) []string {
	var others []string
	for line := range strings.Lines(simulation) {
		fields := strings.Fields(line)
		if len(fields) < 2 || !slices.Contains([]string{"Purg", "Remv", "Inst"}, fields[0]) {
			continue
		}
		if !slices.ContainsFunc(asked, func(name string) bool { return name == fields[1] || strings.HasPrefix(name, fields[1]+":") }) {
			others = append(others, fields[1])
		}
	}
	return others
}

// removeResidue removes what maintainer scripts made, deepest first; a
// directory only when nothing else is in it. What became a package's since, or
// is a link in a register that leads somewhere, is not theirs any more.
func (u *undo) removeResidue(paths []string) error {
	c, err := packageContents(nil)
	if err != nil {
		return err
	}
	slices.Sort(paths)
	slices.Reverse(paths)
	for _, path := range paths {
		info, err := os.Lstat(path)
		if err != nil || c.others[path] {
			continue
		}
		switch {
		case slices.Contains(opaque, path):
			err = clear(path)
		case info.IsDir():
			// Not empty: others use it, or it held something before.
			_ = os.Remove(path)
		case info.Mode()&os.ModeSymlink != 0 && inRegister(path) && exists(path):
			continue
		default:
			err = os.Remove(path)
		}
		if err != nil {
			return fmt.Errorf("remove what packages left: %w", err)
		}
	}
	return nil
}

func inRegister(path string) bool {
	return slices.ContainsFunc(registers, func(register string) bool { return strings.HasPrefix(path, register+"/") })
}

// exists tells whether something is at a path, or where a link there leads.
func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
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
	if !before.Active && before.File != "enabled" && strings.HasSuffix(e.Op.Name, ".timer") {
		// The stamp of when it last ran, which it had not before.
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
	if u.host() != e.Op.Server {
		return fmt.Errorf("it was made on %s, and the configured one is %s\nhint: name that server in rocca.yaml again (database.host)", serverName(e.Op.Server), serverName(u.host()))
	}
	reverse, err := u.Run.kept(e.Op.Reverse)
	if err != nil {
		return err
	}
	for _, statement := range strings.Split(string(reverse), "\n") {
		if statement == "" {
			continue
		}
		err := u.options.SQL.Exec(ctx, statement)
		if errors.Is(err, mariadb.ErrNoAccount) {
			continue // dropped since by others: there is nothing to give back to it
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func serverName(host string) string { return cmp.Or(host, "this machine's database server") }
