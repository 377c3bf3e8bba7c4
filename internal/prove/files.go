package prove

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// mayCreate tells whether who runs may make files in a directory, by making one
// that never has a name and is gone at once. nil says yes.
func mayCreate(dir string) error {
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	// The kernel asks for the right first, and for the ability then.
	if errors.Is(err, unix.EOPNOTSUPP) {
		return nil
	}
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

// openAmong finds the directories that who runs may make files in, and gives the
// tries that were refused. What is gone meanwhile is neither.
func openAmong(user, what string, dirs []string) (open []string, refused []model.Try) {
	for _, dir := range dirs {
		err := mayCreate(dir)
		switch {
		case err == nil:
			open = append(open, dir)
		case !errors.Is(err, fs.ErrNotExist):
			refused = append(refused, model.Try{Who: "user " + user, What: what, Where: dir, Answer: err.Error()})
		}
	}
	return open, refused
}

// createAs has a user write a new file, readable by all.
func createAs(user, name, content string) error {
	return As(user, func() error {
		file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o644)
		if err != nil {
			return err
		}
		_, err = file.WriteString(content)
		return errors.Join(err, file.Chmod(0o644), file.Close()) // whatever the umask is
	})
}

// within tells whether a path is a directory or below it. Nothing is within "".
func within(name, dir string) bool {
	return dir != "" && (name == dir || strings.HasPrefix(name, strings.TrimSuffix(dir, "/")+"/"))
}

// withParents are paths and every directory above them, each once, sorted.
func withParents(names ...string) []string {
	var all []string
	for _, name := range names {
		for ; path.IsAbs(name); name = path.Dir(name) {
			all = append(all, name)
			if name == "/" {
				break
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// directories are those of the paths that are directories now, links resolved,
// each once, sorted.
func directories(names []string) []string {
	var dirs []string
	for _, name := range names {
		real, err := filepath.EvalSymlinks(name)
		if err != nil || !path.IsAbs(name) {
			continue
		}
		if info, err := os.Lstat(real); err == nil && info.IsDir() {
			dirs = append(dirs, real)
		}
	}
	slices.Sort(dirs)
	return slices.Compact(dirs)
}

// below are a directory and those below it, as far as most.
func below(top string, most int) []string {
	var dirs []string
	_ = filepath.WalkDir(top, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // gone meanwhile
		}
		if entry.IsDir() {
			dirs = append(dirs, name)
		}
		if len(dirs) >= most {
			return fs.SkipAll
		}
		return nil
	})
	return dirs
}

// codeDirs are the directories of Matomo's code, the top one first.
func (t *Target) codeDirs() []string {
	var dirs []string
	for name, p := range t.Trees[t.Matomo.Real] {
		if p.Type == facts.Dir {
			dirs = append(dirs, path.Join(t.Matomo.Real, name))
		}
	}
	slices.Sort(dirs)
	return dirs
}

// uploads is the directory of uploaded logos, links resolved; "" when there is
// none.
func (t *Target) uploads() string {
	dir, err := filepath.EvalSymlinks(path.Join(t.Matomo.Real, "misc/user"))
	if err != nil {
		return ""
	}
	return dir
}

// poolUsers are the Unix users that Matomo's pools run as, each once.
func (t *Target) poolUsers() []string {
	var users []string
	for _, pool := range t.MatomoPools() {
		if pool.User != "" && pool.User != "root" && !slices.Contains(users, pool.User) {
			users = append(users, pool.User)
		}
	}
	return users
}
