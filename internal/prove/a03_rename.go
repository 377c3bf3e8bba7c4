package prove

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var a03 = Attack{
	ID:    "A03",
	Title: "a file of root is replaced through a directory that PHP can write",
	How: "In each directory that holds what root serves, starts or reads settings from (code, configuration, sockets, units, jobs, programs), and in every directory above it, " +
		"root leaves an empty file. The user of each pool, once outside of its sandbox and once as PHP inside of it, renames that file and puts one of its own in its place. " +
		"In every other directory of the code it tries to make a file without a name. Last it tries a hard link and a symbolic link to root's file.",
	Risk:    "none: empty files with random names, for a fraction of a second",
	Without: []Protection{codeOwner, auditDirectory},
	Attempt: attemptRename,
}

var codeOwner = Protection{
	ID:       "code-owner",
	Title:    "the top directory of Matomo's code belongs to root",
	Part:     CodePart,
	Remove:   `chown "$(stat -c %U "$STATE/tmp")" "$CODE"`,
	Controls: []string{"FS-02"},
}

var auditDirectory = Protection{
	ID:       "audit-directory",
	Title:    "only root writes to the directory of the program that it starts for the daily audit",
	Part:     WatchPart,
	Remove:   `chmod 0777 /usr/local/lib/rocca`,
	Controls: []string{"HST-14", "HST-11"},
}

func attemptRename(ctx context.Context, t *Target, r *Record) error {
	users := t.poolUsers()
	if t.Matomo.Real == "" || len(users) == 0 {
		return errors.New("replace files of root: no code of Matomo, or no pool that runs it, was found")
	}
	held := t.rootsDirs()
	for _, name := range users {
		more, refused, err := t.openDirs(name, held)
		if err != nil {
			return err
		}
		if err := t.replaceAs(r, name, slices.Concat(held, more)); err != nil {
			return err
		}
		if err := t.linkAs(r, name); err != nil {
			return err
		}
		for _, try := range refused {
			r.Try(try)
		}
	}
	for _, pool := range t.MatomoPools() {
		if err := t.replaceByPHP(ctx, r, pool, held); err != nil {
			return err
		}
	}
	return nil
}

// rootsDirs are the directories that hold what root serves, starts or reads
// settings from, and all directories above them. Of the code it is the top one
// and those right in it.
func (t *Target) rootsDirs() []string {
	names := []string{t.Matomo.Root, t.Matomo.Real, t.Front.Config, t.Rocca.Program,
		"/etc/cron.d", "/var/spool/cron/crontabs", "/etc/systemd/system", "/run/systemd/system", "/etc/ld.so.conf.d", "/etc/profile.d", "/etc/sudoers.d", "/usr/local/bin", "/usr/local/sbin"}
	for _, c := range t.Matomo.Contexts {
		names = append(names, c.Data, c.Config)
	}
	for _, pool := range t.PHP.Pools {
		names = append(names, pool.Listen, pool.File)
	}
	for _, sapi := range t.PHP.SAPIs {
		names = append(names, sapi.Files...)
	}
	names = append(names, t.Front.Files...)
	for _, site := range t.Front.Sites {
		names = append(names, site.Docroot, site.Real, site.Key, site.Chain)
	}
	for _, unit := range t.Units {
		names = append(append(append(names, unit.Fragment), unit.DropIns...), unit.EnvFiles...)
		for _, exec := range unit.Exec {
			names = append(names, exec.Path)
		}
	}
	for _, job := range t.Jobs {
		names = append(append(names, job.File), job.Programs...)
	}
	for _, script := range t.Integrity.Scripts {
		names = append(names, script.Path)
	}
	for name, p := range t.Paths {
		if p.Type == facts.Dir {
			names = append(names, name)
		}
	}
	for _, dir := range t.codeDirs() {
		if path.Dir(dir) == t.Matomo.Real {
			names = append(names, dir)
		}
	}
	dirs := slices.DeleteFunc(directories(withParents(names...)), t.meantForPHP())
	// What an intruder wants most comes first.
	first := directories([]string{t.Matomo.Real, path.Dir(t.Matomo.Root), path.Dir(t.Matomo.Main().Config), t.Matomo.Main().Data})
	return append(first, slices.DeleteFunc(dirs, func(dir string) bool { return slices.Contains(first, dir) })...)
}

// meantForPHP tells of directories whether they are there for PHP or the
// database server to write in, or are none of a disk.
func (t *Target) meantForPHP() func(dir string) bool {
	tops := append(t.temporary(), "/proc", "/sys", "/dev", t.uploads(), filepath.Clean(t.Database.DataDir))
	return func(dir string) bool {
		return slices.ContainsFunc(tops, func(top string) bool { return within(dir, top) })
	}
}

// temporary are the directories for what PHP makes for itself: tmp of Matomo,
// what PHP's settings and the mounts of its units name, and homes of its users.
// None of them holds code or configuration.
func (t *Target) temporary() []string {
	var named []string
	for _, pool := range t.MatomoPools() {
		for _, setting := range []string{"sys_temp_dir", "upload_tmp_dir", "session.save_path"} {
			value := pool.Value(setting, "")
			named = append(named, value[strings.LastIndexByte(value, ';')+1:])
		}
		named = append(named, t.Users[pool.User].Home)
	}
	for _, unit := range t.Units {
		if slices.Contains(t.poolUsers(), unit.User) {
			for pair := range strings.FieldsSeq(unit.Sandbox["BindPaths"]) {
				from, _, _ := strings.Cut(strings.TrimPrefix(pair, "-"), ":")
				named = append(named, from)
			}
		}
	}
	named = slices.DeleteFunc(named, func(dir string) bool {
		return !path.IsAbs(dir) || within(t.Matomo.Real, dir) || within(dir, t.Matomo.Real) || slices.ContainsFunc(t.Matomo.Contexts, func(c facts.Context) bool { return within(c.Config, dir) })
	})
	for _, c := range t.Matomo.Contexts {
		if c.Tmp != "" {
			named = append(named, c.Tmp)
		}
	}
	return named
}

// openDirs has a user try to make a file in every further directory of the code.
// Some of those where that is possible come back, and the tries that were
// refused.
func (t *Target) openDirs(name string, held []string) (more []string, refused []model.Try, err error) {
	meant := t.meantForPHP()
	further := slices.DeleteFunc(t.codeDirs(), func(dir string) bool { return meant(dir) || slices.Contains(held, dir) })
	err = As(name, func() error {
		more, refused = openAmong(name, "make a file in", further)
		return nil
	})
	return more[:min(len(more), kept)], refused, err
}

// leave puts an empty file of root into each directory, all of one name. It
// gives back those where that was possible: not where nobody can write.
func (t *Target) leave(dirs []string, canary string) ([]string, error) {
	var names []string
	for _, dir := range dirs {
		names = append(names, path.Join(dir, canary), path.Join(dir, canary+"-gone"))
	}
	if err := t.Gone(names...); err != nil {
		return nil, err
	}
	var left []string
	for _, dir := range dirs {
		file, err := os.OpenFile(path.Join(dir, canary), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o440)
		if errors.Is(err, unix.EROFS) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("leave a file of root in %s: %w", dir, err)
		}
		left = append(left, dir)
		if err := file.Close(); err != nil {
			return nil, fmt.Errorf("leave a file of root in %s: %w", dir, err)
		}
	}
	if len(left) == 0 {
		return nil, errors.New("leave files of root: none of the directories takes one")
	}
	return left, nil
}

func (t *Target) replaceAs(r *Record, name string, dirs []string) error {
	canary := Canary()
	dirs, err := t.leave(dirs, canary)
	if err != nil {
		return err
	}
	answers := map[string]error{}
	err = As(name, func() error {
		for _, dir := range dirs {
			file := path.Join(dir, canary)
			err := unix.Rename(file, file+"-gone")
			if err == nil {
				err = os.WriteFile(file, nil, 0o644)
			}
			answers[dir] = err
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		try := model.Try{Who: "user " + name, What: "replace a file of root in", Where: dir, Sent: "rename, then create"}
		if t.judgeReplaced(&try, name, path.Join(dir, canary)); !try.Fell && answers[dir] != nil {
			try.Answer = answers[dir].Error()
		}
		r.Try(try)
	}
	return nil
}

// judgeReplaced looks at what became of root's file.
func (t *Target) judgeReplaced(try *model.Try, name, file string) {
	u, err := user.Lookup(name)
	if err != nil {
		return
	}
	info, err := os.Lstat(file)
	if err != nil {
		return
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || strconv.Itoa(int(stat.Uid)) != u.Uid {
		try.Answer = "root's file is as it was"
		return
	}
	try.Fell, try.Answer = true, "root's file is gone, and one of "+name+" is in its place"
	if name == t.Front.User {
		try.Note = "it is the user of the front, too"
	}
	try.Reproduce = replaceAgain(name, path.Dir(file))
}

func replaceAgain(name, dir string) string {
	return fmt.Sprintf(`(f=%s; touch "$f"; runuser -u %s -- sh -c 'mv "$1" "$1-gone" && echo mine >"$1"' sh "$f"; stat -c '%%U: %%n' "$f"*; test "$(stat -c %%U "$f")" = %s; e=$?; rm -f "$f" "$f-gone"; exit $e)`,
		shellWord(path.Join(dir, Canary())), name, name)
}

// replaceByPHP does the same from inside of a pool.
func (t *Target) replaceByPHP(ctx context.Context, r *Record, pool facts.Pool, dirs []string) error {
	canary := Canary()
	dirs, err := t.leave(dirs, canary)
	if err != nil {
		return err
	}
	list, err := json.Marshal(dirs)
	if err != nil {
		return err
	}
	said, err := t.RunPHP(ctx, pool, `foreach (json_decode(`+phpText(string(list))+`) as $d) {
	$f = "$d/`+canary+`";
	@rename($f, "$f-gone") && @file_put_contents($f, "");
	echo strrchr(error_get_last()["message"] ?? ": done", ":"), "\n";
	error_clear_last();
}`)
	if err != nil {
		return err
	}
	answers := strings.Split(strings.TrimSuffix(said, "\n"), "\n")
	if len(answers) != len(dirs) {
		return fmt.Errorf("replace files of root by PHP of the pool %s: it did not come to an end", pool.Name)
	}
	for i, dir := range dirs {
		try := model.Try{Who: "PHP of the pool " + pool.Name, What: "replace a file of root in", Where: dir, Sent: "rename, then file_put_contents"}
		if t.judgeReplaced(&try, pool.User, path.Join(dir, canary)); !try.Fell {
			try.Answer = strings.TrimPrefix(answers[i], ": ")
		}
		r.Try(try)
	}
	return nil
}

// linkAs has a user write to root's file through a link of its own.
func (t *Target) linkAs(r *Record, name string) error {
	for _, c := range t.Matomo.Contexts {
		if c.User != name || c.Tmp == "" {
			continue
		}
		canary := Canary()
		file := path.Join(path.Dir(c.Tmp), canary) // on the same file system
		hard, soft := path.Join(c.Tmp, canary+"-hard"), path.Join(c.Tmp, canary+"-soft")
		if err := t.Plant(file, "root", 0o600, "root's\n"); err != nil {
			return err
		}
		if err := t.Gone(hard, soft); err != nil {
			return err
		}
		for link, how := range map[string]func() error{
			hard: func() error { return errors.Join(os.Link(file, hard), os.Chmod(hard, 0o666)) },
			soft: func() error { return os.Symlink(file, soft) },
		} {
			err := As(name, func() error {
				if err := how(); err != nil {
					return err
				}
				return os.WriteFile(link, []byte("mine\n"), 0o600)
			})
			text, unread := os.ReadFile(file)
			if unread != nil {
				return fmt.Errorf("look whether root's file was changed: %w", unread)
			}
			try := model.Try{Who: "user " + name, What: "write to a file of root through a link", Where: link, Fell: string(text) != "root's\n"}
			switch {
			case try.Fell:
				try.Answer = "root's file was changed"
				try.Reproduce = fmt.Sprintf(`(f=%s; l=%s; install -m 600 /dev/null "$f"; runuser -u %s -- sh -c 'ln "$1" "$2" || ln -s "$1" "$2"; echo mine >"$2"' sh "$f" "$l"; grep mine "$f"; e=$?; rm -f "$f" "$l"; exit $e)`,
					shellWord(file), shellWord(link), name)
			case err != nil:
				try.Answer = err.Error()
			}
			r.Try(try)
		}
		return nil
	}
	return nil
}
