package change

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"rocca/internal/progress"
	"rocca/internal/run"
)

// kind names what an op changes.
type kind string

const (
	pathOp     kind = "path"
	treeOp     kind = "tree"
	userOp     kind = "user"
	groupOp    kind = "group"
	packagesOp kind = "packages"
	unitOp     kind = "unit"
	sqlOp      kind = "sql"
	actionOp   kind = "action"
)

// op is one change as it is intended, with what it takes to reverse it.
type op struct {
	Kind kind   `json:"kind"`
	Name string `json:"name"` // path, account, unit or a description

	// Of a path.
	Before    *inode  `json:"before,omitempty"`
	Temporary string  `json:"temporary,omitempty"` // name beside it that a kill may leave
	Content   Content `json:"content,omitempty"`

	// Of packages: all that are installed for those asked for, and a blob with
	// the system as it was.
	Packages []string `json:"packages,omitempty"`
	System   string   `json:"system,omitempty"`

	// Of an account: a blob with the account files as they were.
	Unit *unitState `json:"unit,omitempty"`

	// Of SQL: the server it was sent to (empty: this machine's), and a blob
	// with the statements that reverse it. Drops is what they throw away.
	Server  string  `json:"server,omitempty"`
	Reverse string  `json:"reverse,omitempty"`
	Drops   *Tables `json:"drops,omitempty"`
}

// after is what was seen once an op was done.
type after struct {
	SHA256  string   `json:"sha256,omitempty"` // of a file
	Residue *residue `json:"residue,omitempty"`
}

// unitState is the state of a unit, as systemctl shows it.
type unitState struct {
	File   string `json:"file"` // UnitFileState: "enabled", "disabled", "masked", "static", "" for none
	Active bool   `json:"active"`
}

func (s unitState) masked() bool { return strings.HasPrefix(s.File, "masked") }

// Content says what a directory is for, which decides what undo does with
// things in it that rocca did not put there.
type Content string

// The kinds of content of a directory.
const (
	Foreign Content = ""      // somebody else's: left alone, with the directory
	Cache   Content = "cache" // can be made again: removed
	Data    Content = "data"  // the owner's: removed only when asked to
)

// Attr is who owns a path and what may be done with it. Owner and Group are
// names; they are looked up when the change is made.
type Attr struct {
	Owner string
	Group string
	Mode  uint32 // permission bits, setuid, setgid, sticky
}

// String shows it as ls does: "root:root 0755".
func (a Attr) String() string { return fmt.Sprintf("%s:%s %04o", a.Owner, a.Group, a.Mode) }

// Root is the Attr of what only root writes and everybody reads.
func Root(mode uint32) Attr { return Attr{"root", "root", mode} }

// Tables are the tables of one Matomo: all of a schema that begin with a prefix.
type Tables struct {
	Schema string `json:"schema"`
	Prefix string `json:"prefix"`
}

// SQL sends statements to the database server as its administrator.
type SQL interface {
	Exec(ctx context.Context, statement string) error
	// Host names a server on another machine; it is empty for this machine's.
	Host() string
}

// Writer makes changes, each recorded in the journal before it is made. It is
// handed to Step.Apply and is the only way to change the system.
type Writer struct {
	run  *Run
	sql  SQL
	tell progress.Handler
	step string
}

// Wait tells the owner what a long change is waiting for.
func (w *Writer) Wait(text string) {
	w.tell.Tell(progress.Event{Kind: progress.Wait, Step: w.step, Text: text})
}

// begin records an op durably. The change may be made once it returns.
func (w *Writer) begin(o op) (int, error) {
	w.run.seq++
	seq := w.run.seq
	if err := w.run.append(record{Type: "op", Seq: seq, Step: w.step, Op: &o}); err != nil {
		return 0, err
	}
	w.run.onPoint("intended " + string(o.Kind) + " " + o.Name)
	return seq, nil
}

func (w *Writer) done(seq int, seen *after) error {
	w.run.onPoint("made")
	return w.run.append(record{Type: "done", Seq: seq, After: seen})
}

func (w *Writer) path(path string, content Content, want inode, bytesOf []byte) error {
	before, err := look(path, w.run.keep)
	if err != nil {
		return err
	}
	o := op{Kind: pathOp, Name: path, Before: &before, Temporary: w.temporary(path), Content: content}
	seq, err := w.begin(o)
	if err != nil {
		return err
	}
	if before.Type == dir && want.Type == symlink {
		return fmt.Errorf("put a link at %s: a directory is there\nhint: move it away first", path)
	}
	if err := put(path, o.Temporary, want, bytesOf); err != nil {
		return err
	}
	now, err := look(path, nil)
	if err != nil {
		return err
	}
	return w.done(seq, &after{SHA256: now.SHA256})
}

// temporary is a name beside path that only this op of this run uses.
func (w *Writer) temporary(path string) string {
	return fmt.Sprintf(".%s.rocca-%d-%d", filepath.Base(path), w.run.ID, w.run.seq+1)
}

// WriteFile makes path a file with this content and Attr, atomically.
func (w *Writer) WriteFile(path string, content []byte, attr Attr) error {
	return w.WriteFileOf(Foreign, path, content, attr)
}

// WriteFileOf is WriteFile for a file that belongs to what a directory of that
// Content holds: a cache that the server's programs change, and that nobody
// would miss, or a part of the owner's data.
func (w *Writer) WriteFileOf(content Content, path string, bytesOf []byte, attr Attr) error {
	want, err := attr.inode(file)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return w.path(path, content, want, bytesOf)
}

// MakeDir makes path a directory with this Attr; what is in it stays.
func (w *Writer) MakeDir(path string, attr Attr, content Content) error {
	want, err := attr.inode(dir)
	if err != nil {
		return fmt.Errorf("make directory %s: %w", path, err)
	}
	return w.path(path, content, want, nil)
}

// Symlink makes path a root-owned link, replacing an earlier link or file by a rename.
func (w *Writer) Symlink(path, target string) error {
	return w.path(path, Foreign, inode{Type: symlink, Target: target}, nil)
}

// Remove removes a file, a link or an empty directory.
func (w *Writer) Remove(path string) error {
	return w.path(path, Foreign, inode{Type: absent}, nil)
}

func (a Attr) inode(kind string) (inode, error) {
	uid, gid, err := a.ids()
	return inode{Type: kind, Mode: a.Mode, UID: uid, GID: gid}, err
}

func (a Attr) ids() (uid, gid int, err error) {
	owner, err := user.Lookup(a.Owner)
	if err != nil {
		return 0, 0, fmt.Errorf("look up owner: %w", err)
	}
	group, err := user.LookupGroup(a.Group)
	if err != nil {
		return 0, 0, fmt.Errorf("look up group: %w", err)
	}
	if uid, err = strconv.Atoi(owner.Uid); err != nil {
		return 0, 0, fmt.Errorf("look up owner: %w", err)
	}
	gid, err = strconv.Atoi(group.Gid)
	return uid, gid, err
}

// Tree makes a new directory tree at path, root-owned, from what fill adds. It
// is built beside path and takes its name when complete, so that there is
// never half a tree. Nothing may be at path before.
func (w *Writer) Tree(path string, fill func(add AddFile) error) error {
	before, err := look(path, nil)
	if err != nil {
		return err
	}
	if before.Type != absent {
		return fmt.Errorf("make tree %s: something is there already", path)
	}
	o := op{Kind: treeOp, Name: path, Temporary: w.temporary(path)}
	seq, err := w.begin(o)
	if err != nil {
		return err
	}
	staging := filepath.Join(filepath.Dir(path), o.Temporary)
	if err := buildTree(staging, fill); err != nil {
		return fmt.Errorf("make tree %s: %w", path, err)
	}
	w.run.onPoint("staged " + path)
	fd, name, err := parent(path)
	if err != nil {
		return err
	}
	defer closeFD(fd)
	if err := replace(fd, o.Temporary, name); err != nil {
		return fmt.Errorf("make tree %s: %w", path, err)
	}
	if err := syncDir(fd); err != nil {
		return err
	}
	return w.done(seq, nil)
}

// AddFile adds one file to a tree. The name is relative, with slashes.
type AddFile func(name string, mode uint32, content io.Reader) error

// AddGroup makes a system group.
func (w *Writer) AddGroup(ctx context.Context, name string) error {
	return w.account(ctx, groupOp, name, []string{"groupadd", "--system", name})
}

// AddUser makes a system user that cannot log in, with a group of its own name
// that must be there already.
func (w *Writer) AddUser(ctx context.Context, name string) error {
	return w.account(ctx, userOp, name, []string{"useradd", "--system", "--gid", name, "--no-create-home",
		"--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin", name})
}

func (w *Writer) account(ctx context.Context, kind kind, name string, argv []string) error {
	before, err := w.run.keepAccountFiles()
	if err != nil {
		return err
	}
	seq, err := w.begin(op{Kind: kind, Name: name, System: before})
	if err != nil {
		return err
	}
	if _, err := run.Do(ctx, run.Command{Argv: argv}); err != nil {
		return err
	}
	return w.done(seq, nil)
}

// SetUnit brings a unit to a state by systemctl verbs such as "enable",
// "start", "mask". Undo brings back whether it was enabled, masked and active.
func (w *Writer) SetUnit(ctx context.Context, unit string, verbs ...string) error {
	if len(verbs) > 1 && verbs[0] == "unmask" {
		// A change of its own: what the mask hides is to be seen after it.
		if err := w.SetUnit(ctx, unit, "unmask"); err != nil {
			return err
		}
		verbs = verbs[1:]
	}
	before, err := showUnit(ctx, unit)
	if err != nil {
		return err
	}
	seq, err := w.begin(op{Kind: unitOp, Name: unit, Unit: &before})
	if err != nil {
		return err
	}
	for _, verb := range verbs {
		if err := setUnit(ctx, unit, verb); err != nil {
			return err
		}
	}
	return w.done(seq, nil)
}

// setUnit is systemctl, but that "unmask" takes away both masks: the one that
// lasts, and the one until the next boot.
func setUnit(ctx context.Context, unit, verb string) error {
	if verb == "unmask" {
		if err := systemctl(ctx, "unmask --runtime", unit); err != nil {
			return err
		}
	}
	return systemctl(ctx, verb, unit)
}

// ReloadUnits makes systemd read its unit files again. There is nothing to undo.
func (w *Writer) ReloadUnits(ctx context.Context) error { return daemonReload(ctx) }

func daemonReload(ctx context.Context) error {
	_, err := run.Do(ctx, run.Command{Argv: []string{"systemctl", "daemon-reload"}})
	return err
}

func systemctl(ctx context.Context, verb, unit string) error {
	_, err := run.Do(ctx, run.Command{Argv: append(append([]string{"systemctl"}, strings.Fields(verb)...), unit)})
	if err == nil || (verb != "start" && verb != "restart" && verb != "reload") {
		return err
	}
	// systemctl says only "see journalctl": bring what the unit itself said.
	log, logErr := run.Do(ctx, run.Command{Argv: []string{"journalctl", "--no-pager", "-q", "-n", "15", "-o", "cat", "-u", unit}})
	if logErr != nil {
		return err
	}
	return fmt.Errorf("%w\nlast lines of %s:\n%s", err, unit, bytes.TrimSpace(log.Stdout))
}

func showUnit(ctx context.Context, unit string) (unitState, error) {
	shown, err := run.Do(ctx, run.Command{Argv: []string{"systemctl", "show", "-p", "UnitFileState", "-p", "ActiveState", "--", unit}})
	if err != nil {
		return unitState{}, err
	}
	var state unitState
	for _, line := range strings.Split(string(shown.Stdout), "\n") {
		key, value, _ := strings.Cut(line, "=")
		switch key {
		case "UnitFileState":
			state.File = value
		case "ActiveState":
			state.Active = value == "active" || value == "activating" || value == "reloading"
		}
	}
	return state, nil
}

// SQLChange is a change of the database that can be taken back.
type SQLChange struct {
	Title   string   // what it does, in words
	Do      []string // statements, in order
	Reverse []string // statements that take it back, of one line each; each must be harmless when Do was cut short
	Drops   *Tables  // what Reverse throws away, with all that visitors and users left since; nil: nothing
}

// SQL makes a change of the database.
func (w *Writer) SQL(ctx context.Context, c SQLChange) error {
	reverse, err := w.run.keep([]byte(strings.Join(c.Reverse, "\n")))
	if err != nil {
		return err
	}
	seq, err := w.begin(op{Kind: sqlOp, Name: c.Title, Server: w.sql.Host(), Reverse: reverse, Drops: c.Drops})
	if err != nil {
		return err
	}
	for _, statement := range c.Do {
		if err := w.sql.Exec(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", c.Title, err)
		}
	}
	return w.done(seq, nil)
}

// Action does something whose effects lie wholly within what other changes of
// the run made, such as filling a schema that was just created: undoing those
// undoes it. It is recorded so that the run's story is whole.
func (w *Writer) Action(title string, do func() error) error {
	seq, err := w.begin(op{Kind: actionOp, Name: title})
	if err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	return w.done(seq, nil)
}

// Forget removes a marker that the run itself made, once it has served. It is
// not recorded: going back over it must not bring the marker up again.
func (r *Run) Forget(path string) error {
	return put(path, "", inode{Type: absent}, nil)
}

// WriteCredentials writes a file with a secret of the owner's, mode 0600. It is
// not part of what undo takes back: it is the owner's from then on. A file that
// is there already is never replaced.
func (r *Run) WriteCredentials(path string, content []byte) error {
	now, err := look(path, nil)
	if err != nil {
		return err
	}
	if now.Type != absent {
		return fmt.Errorf("write credentials to %s: something is there already", path)
	}
	return put(path, "."+filepath.Base(path)+".rocca", inode{Type: file, Mode: 0o600}, content)
}
