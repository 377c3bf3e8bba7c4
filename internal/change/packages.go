package change

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"rocca/internal/run"
)

// system is what must be known of a machine before packages are installed to
// bring it back afterwards: purging leaves behind what maintainer scripts made.
type system struct {
	Packages []string          `json:"packages"` // installed
	Users    []string          `json:"users"`
	Groups   []string          `json:"groups"`
	Listing  []string          `json:"listing"` // paths below the watched directories
	Etc      map[string]etcOld `json:"etc"`     // small files below /etc, with their content
}

type etcOld struct {
	Inode   inode  `json:"inode"`
	Content []byte `json:"content"`
}

// residue is what an installation added beyond what dpkg knows of.
type residue struct {
	Packages []string          `json:"packages"` // newly installed, dependencies included
	Users    []string          `json:"users,omitempty"`
	Groups   []string          `json:"groups,omitempty"`
	Paths    []string          `json:"paths,omitempty"` // made, and in no package's list
	Etc      map[string]string `json:"etc,omitempty"`   // files below /etc that changed: SHA-256 of the new content
}

// watched are the directories in which maintainer scripts leave things. Logs,
// caches, and the package manager's own state are not taken back. Of an opaque
// directory only the top is recorded: what is in it belongs to a service.
var (
	watched   = []string{"/etc", "/var", "/usr", "/opt", "/srv"}
	unwatched = []string{"/var/cache", "/var/log", "/var/tmp", "/var/lib/dpkg", "/var/lib/apt", "/var/lib/rocca",
		"/var/lib/rocca-demo", "/var/lib/systemd/coredump", "/usr/share/doc", "/usr/share/man"}
	opaque = []string{databaseDir}
)

// databaseDir is where MariaDB keeps its data on Debian.
const databaseDir = "/var/lib/mysql"

const etcFileLimit = 256 << 10

// accountFiles hold users and groups, and the last state before a change.
var accountFiles = []string{"/etc/passwd", "/etc/passwd-", "/etc/shadow", "/etc/shadow-", "/etc/group", "/etc/group-",
	"/etc/gshadow", "/etc/gshadow-", "/etc/subuid", "/etc/subuid-", "/etc/subgid", "/etc/subgid-"}

// Install installs Debian packages without recommended ones.
func (w *Writer) Install(ctx context.Context, packages []string) error {
	before, err := recordSystem()
	if err != nil {
		return err
	}
	encoded, err := json.Marshal(before)
	if err != nil {
		return fmt.Errorf("record the system before packages: %w", err)
	}
	blob, err := w.run.keep(encoded)
	if err != nil {
		return err
	}
	seq, err := w.begin(op{Kind: packagesOp, Name: strings.Join(packages, " "), Packages: packages, System: blob})
	if err != nil {
		return err
	}
	if err := w.repairPackages(ctx); err != nil {
		return err
	}
	if err := w.install(ctx, packages); err != nil {
		return err
	}
	left, err := before.residue()
	if err != nil {
		return err
	}
	return w.done(seq, &after{Residue: &left})
}

// repairPackages finishes what an interrupted dpkg began.
func (w *Writer) repairPackages(ctx context.Context) error {
	pending, err := os.ReadDir("/var/lib/dpkg/updates")
	if err != nil {
		return fmt.Errorf("look for an interrupted dpkg: %w", err)
	}
	status, err := os.ReadFile("/var/lib/dpkg/status")
	if err != nil {
		return fmt.Errorf("look for an interrupted dpkg: %w", err)
	}
	half := bytes.Contains(status, []byte(" half-")) || bytes.Contains(status, []byte(" unpacked\n")) || bytes.Contains(status, []byte(" triggers-"))
	if len(pending) == 0 && !half {
		return nil
	}
	w.Wait("finishing an interrupted package installation")
	if _, err := run.Do(ctx, apt("dpkg", "--configure", "-a", "--force-confdef", "--force-confold")); err != nil {
		return err
	}
	_, err = run.Do(ctx, apt("apt-get", "-y", "--fix-broken", "install"))
	return err
}

func (w *Writer) install(ctx context.Context, packages []string) error {
	argv := append([]string{"apt-get", "-y", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=120",
		"-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold", "install"}, packages...)
	command := apt(argv...)
	command.Output = &aptProgress{wait: w.Wait}
	_, err := run.Do(ctx, command)
	if err == nil {
		return nil
	}
	var failed *run.Error
	if !errors.As(err, &failed) || ctx.Err() != nil {
		return err
	}
	switch {
	case strings.Contains(failed.Output, "Could not get lock"):
		return fmt.Errorf("%w\nhint: another program has used apt for two minutes; wait for it to end, then run rocca again", err)
	case strings.Contains(failed.Output, "No space left"), strings.Contains(failed.Output, "enough free space"):
		return fmt.Errorf("%w\nhint: free some disk space (df -h), then run rocca again", err)
	case !strings.Contains(failed.Output, "Unable to locate package") && !strings.Contains(failed.Output, "has no installation candidate") &&
		!strings.Contains(failed.Output, "Unable to fetch") && !strings.Contains(failed.Output, "Failed to fetch"):
		return err
	}
	// Lists that are missing or too old: fetch them once and try again.
	w.Wait("fetching package lists (apt-get update)")
	if _, err := run.Do(ctx, apt("apt-get", "-o", "DPkg::Lock::Timeout=120", "update")); err != nil {
		return fmt.Errorf("%w\nhint: the Debian mirror cannot be reached; check the network and /etc/apt/sources.list*", err)
	}
	if _, err := run.Do(ctx, command); err != nil {
		return fmt.Errorf("%w\nhint: the Debian mirror cannot be reached or lacks a package; check the network and /etc/apt/sources.list*", err)
	}
	return nil
}

func apt(argv ...string) run.Command {
	return run.Command{Argv: argv, Env: []string{"DEBIAN_FRONTEND=noninteractive", "NEEDRESTART_SUSPEND=1"}}
}

// aptProgress tells what apt is doing, a line at a time: at once when it waits
// for a lock, else now and then.
type aptProgress struct {
	wait func(string)
	line []byte
	last time.Time
}

const aptEvery = 2 * time.Second

func (p *aptProgress) Write(chunk []byte) (int, error) {
	for _, b := range chunk {
		if b != '\n' && b != '\r' {
			p.line = append(p.line, b)
			continue
		}
		p.tell(strings.TrimSuffix(strings.TrimSpace(string(p.line)), " ..."))
		p.line = p.line[:0]
	}
	return len(chunk), nil
}

func (p *aptProgress) tell(line string) {
	locked := strings.HasPrefix(line, "Waiting for cache lock")
	working := slices.ContainsFunc([]string{"Get:", "Unpacking ", "Setting up "}, func(start string) bool { return strings.HasPrefix(line, start) })
	if locked || working && time.Since(p.last) >= aptEvery {
		p.last = time.Now()
		p.wait(line)
	}
}

func recordSystem() (system, error) {
	s := system{Etc: map[string]etcOld{}}
	var err error
	if s.Packages, err = installedPackages(); err != nil {
		return s, err
	}
	if s.Users, err = firstFields("/etc/passwd"); err != nil {
		return s, err
	}
	if s.Groups, err = firstFields("/etc/group"); err != nil {
		return s, err
	}
	if s.Listing, err = listing(); err != nil {
		return s, err
	}
	for _, path := range s.Listing {
		if !strings.HasPrefix(path, "/etc/") {
			continue
		}
		old, ok, err := readEtc(path)
		if err != nil {
			return s, err
		}
		if ok {
			s.Etc[path] = old
		}
	}
	return s, nil
}

func readEtc(path string) (etcOld, bool, error) {
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() > etcFileLimit {
		return etcOld{}, false, nil
	}
	var old etcOld
	old.Inode, err = look(path, func(content []byte) (string, error) {
		old.Content = content
		return "", nil
	})
	return old, err == nil && old.Inode.Type == file, err
}

// listing walks the watched directories. What vanishes meanwhile is left out.
func listing() ([]string, error) {
	var paths []string
	for _, top := range watched {
		err := filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				if errors.Is(err, fs.ErrNotExist) {
					return nil
				}
				return err
			}
			if entry.IsDir() && slices.Contains(unwatched, path) {
				return fs.SkipDir
			}
			paths = append(paths, path)
			if entry.IsDir() && slices.Contains(opaque, path) {
				return fs.SkipDir
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", top, err)
		}
	}
	slices.Sort(paths)
	return paths, nil
}

// residue compares the machine now with what it was.
func (s system) residue() (residue, error) {
	now, err := recordSystem()
	if err != nil {
		return residue{}, err
	}
	owned, err := packagedPaths()
	if err != nil {
		return residue{}, err
	}
	left := residue{
		Packages: added(s.Packages, now.Packages),
		Users:    added(s.Users, now.Users),
		Groups:   added(s.Groups, now.Groups),
		Etc:      map[string]string{},
	}
	for _, path := range added(s.Listing, now.Listing) {
		// A directory of a package stays behind when dpkg finds it in use.
		if !owned[path] || !strings.HasPrefix(path, "/usr/") && isDir(path) {
			left.Paths = append(left.Paths, path)
		}
	}
	for path, old := range s.Etc {
		if sum := now.Etc[path].Inode.SHA256; sum != old.Inode.SHA256 {
			left.Etc[path] = sum
		}
	}
	return left, nil
}

func isDir(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.IsDir()
}

func added(before, now []string) []string {
	var more []string
	for _, name := range now {
		if _, found := slices.BinarySearch(before, name); !found {
			more = append(more, name)
		}
	}
	return more
}

func installedPackages() ([]string, error) {
	listed, err := run.Do(context.Background(), run.Command{Argv: []string{"dpkg-query", "-W", "-f", "${db:Status-Abbrev}|${binary:Package}\n"}})
	if err != nil {
		return nil, err
	}
	var names []string
	for _, line := range strings.Split(string(listed.Stdout), "\n") {
		status, name, _ := strings.Cut(line, "|")
		if len(status) > 1 && status[1] != 'n' && status[1] != 'c' {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

func firstFields(path string) ([]string, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read accounts: %w", err)
	}
	var names []string
	for _, line := range strings.Split(string(content), "\n") {
		if name, _, found := strings.Cut(line, ":"); found {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// packagedPaths reads the file lists of all packages. A merged /usr lists
// /lib/x for what is found at /usr/lib/x.
func packagedPaths() (map[string]bool, error) {
	lists, err := filepath.Glob("/var/lib/dpkg/info/*.list")
	if err != nil {
		return nil, fmt.Errorf("list packaged files: %w", err)
	}
	paths := map[string]bool{}
	for _, list := range lists {
		if err := addPaths(paths, list); err != nil {
			return nil, err
		}
	}
	return paths, nil
}

func addPaths(paths map[string]bool, list string) error {
	f, err := os.Open(list)
	if err != nil {
		return fmt.Errorf("list packaged files: %w", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		path := lines.Text()
		paths[path] = true
		for _, merged := range []string{"/bin/", "/sbin/", "/lib/", "/lib64/"} {
			if strings.HasPrefix(path, merged) {
				paths["/usr"+path] = true
			}
		}
	}
	if err := lines.Err(); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("list packaged files: %w", err)
	}
	return nil
}

// keepAccountFiles stores the account files sealed, as a system blob.
func (r *Run) keepAccountFiles() (string, error) {
	s := system{Etc: map[string]etcOld{}}
	for _, path := range accountFiles {
		old, ok, err := readEtc(path)
		if err != nil {
			return "", err
		}
		if ok {
			s.Etc[path] = old
		}
	}
	encoded, err := json.Marshal(s)
	if err != nil {
		return "", fmt.Errorf("record accounts: %w", err)
	}
	return r.keep(encoded)
}
