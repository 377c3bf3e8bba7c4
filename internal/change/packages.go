package change

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

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
// Registers are where many packages leave one file each.
var (
	watched   = []string{"/etc", "/var", "/usr"}
	unwatched = []string{"/var/cache", "/var/log", "/var/tmp", "/var/lib/dpkg", "/var/lib/apt", "/var/lib/rocca",
		"/var/lib/rocca-demo", "/var/lib/systemd/coredump", "/usr/share/doc", "/usr/share/man"}
	opaque    = []string{databaseDir}
	registers = []string{"/etc/alternatives", "/etc/systemd/system", "/etc/rc0.d", "/etc/rc1.d", "/etc/rc2.d", "/etc/rc3.d", "/etc/rc4.d",
		"/etc/rc5.d", "/etc/rc6.d", "/etc/rcS.d", "/var/lib/systemd", "/var/lib/ucf", "/usr/bin"}
)

// databaseDir is where MariaDB keeps its data on Debian.
const databaseDir = "/var/lib/mysql"

const etcFileLimit = 256 << 10

// accountFiles hold users and groups, and the last state before a change.
var accountFiles = []string{"/etc/passwd", "/etc/passwd-", "/etc/shadow", "/etc/shadow-", "/etc/group", "/etc/group-",
	"/etc/gshadow", "/etc/gshadow-", "/etc/subuid", "/etc/subuid-", "/etc/subgid", "/etc/subgid-"}

// Install installs Debian packages without recommended ones.
func (w *Writer) Install(ctx context.Context, packages []string) error {
	if err := awaitPackageManager(ctx, w.Wait); err != nil {
		return err
	}
	if err := w.repairPackages(ctx); err != nil {
		return err
	}
	all, err := w.toInstall(ctx, packages)
	if err != nil {
		return err
	}
	seq, all, before, err := w.beginInstall(packages, all)
	if err != nil {
		return err
	}
	if err := w.install(ctx, packages); err != nil {
		return err
	}
	left, err := before.residue(all)
	if err != nil {
		return err
	}
	return w.done(seq, &after{Residue: &left})
}

// beginInstall records the system before packages are installed. An
// installation of this step that was cut short is gone on with: what the system
// was before it cannot be seen any more.
func (w *Writer) beginInstall(packages, all []string) (int, []string, system, error) {
	_, entries, err := w.run.journal.read(w.run.ID)
	if err != nil {
		return 0, nil, system{}, err
	}
	for _, e := range entries {
		same := e.Op.Kind == packagesOp && e.Step == w.step && e.After == nil && !e.Undone
		if same && !slices.ContainsFunc(all, func(name string) bool { return !slices.Contains(e.Op.Packages, name) }) {
			before, err := w.run.system(e.Op.System)
			return e.Seq, e.Op.Packages, before, err
		}
	}
	before, err := recordSystem()
	if err != nil {
		return 0, nil, before, err
	}
	encoded, err := json.Marshal(before)
	if err != nil {
		return 0, nil, before, fmt.Errorf("record the system before packages: %w", err)
	}
	blob, err := w.run.keep(encoded)
	if err != nil {
		return 0, nil, before, err
	}
	seq, err := w.begin(op{Kind: packagesOp, Name: strings.Join(packages, " "), Packages: all, System: blob})
	return seq, all, before, err
}

// repairPackages finishes what an interrupted dpkg began: an earlier run's, or
// somebody else's. What it installs is not of the run that finds it.
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

// toInstall asks apt what it would install for packages, those they depend on
// included. Package lists that are missing or too old are fetched once.
func (w *Writer) toInstall(ctx context.Context, packages []string) ([]string, error) {
	simulation := aptInstall(packages, "--simulate")
	simulated, err := run.Do(ctx, simulation)
	if err != nil && ctx.Err() == nil {
		if err := w.fetchLists(ctx); err != nil {
			return nil, err
		}
		if simulated, err = run.Do(ctx, simulation); err != nil {
			return nil, fmt.Errorf("%w\nhint: the Debian mirror lacks a package; check /etc/apt/sources.list*", err)
		}
	}
	return installedBy(string(simulated.Stdout)), err
}

// installedBy reads the names of new packages in the output of a simulation:
// "Inst php8.2-cli (8.2.30-1 Debian:12 [amd64])". One that is installed already
// and would be upgraded has its version in brackets before that.
func installedBy(simulation string) []string {
	var names []string
	for line := range strings.Lines(simulation) {
		fields := strings.Fields(line)
		if len(fields) > 2 && fields[0] == "Inst" && strings.HasPrefix(fields[2], "(") {
			names = append(names, fields[1])
		}
	}
	return names
}

func (w *Writer) install(ctx context.Context, packages []string) error {
	command := aptInstall(packages)
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
		return fmt.Errorf("%w\nhint: another program uses apt; wait for it to end, then run rocca again", err)
	case strings.Contains(failed.Output, "No space left"), strings.Contains(failed.Output, "enough free space"):
		return fmt.Errorf("%w\nhint: free some disk space (df -h), then run rocca again", err)
	case !strings.Contains(failed.Output, "Unable to fetch") && !strings.Contains(failed.Output, "Failed to fetch"):
		return err
	}
	// The mirror no longer has what old lists name.
	if err := w.fetchLists(ctx); err != nil {
		return err
	}
	if _, err := run.Do(ctx, command); err != nil {
		return fmt.Errorf("%w\nhint: the Debian mirror cannot be reached or lacks a package; check the network and /etc/apt/sources.list*", err)
	}
	return nil
}

func (w *Writer) fetchLists(ctx context.Context) error {
	w.Wait("fetching package lists (apt-get update)")
	if _, err := run.Do(ctx, apt("apt-get", "-o", lockTimeout, "update")); err != nil {
		return fmt.Errorf("%w\nhint: the Debian mirror cannot be reached; check the network and /etc/apt/sources.list*", err)
	}
	return nil
}

func aptInstall(packages []string, options ...string) run.Command {
	argv := append([]string{"apt-get", "-y", "--no-install-recommends", "-o", lockTimeout,
		"-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold"}, options...)
	return apt(append(append(argv, "install"), packages...)...)
}

// lockTimeout lets apt itself wait when another program takes its lock just
// after awaitPackageManager has found it free.
const lockTimeout = "DPkg::Lock::Timeout=60"

// patience is how long rocca waits for another program to end its use of apt,
// unless DPkg::Lock::Timeout of apt.conf(5) says how long.
const patience = 2 * time.Minute

// awaitPackageManager waits until nobody else uses apt or dpkg: an automatic
// upgrade, or the apt that a killed rocca left running.
func awaitPackageManager(ctx context.Context, tell func(string)) error {
	limit, err := aptPatience(ctx)
	if err != nil {
		return err
	}
	for start := time.Now(); ; {
		holder, err := packageManagerHolder()
		if err != nil || holder == "" {
			return err
		}
		if time.Since(start) >= limit {
			return fmt.Errorf("use apt: it has been locked for %s by %s\nhint: wait for it to end, then run rocca again", limit, holder)
		}
		tell("waiting for " + holder + ", which uses apt")
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(time.Second):
		}
	}
}

func aptPatience(ctx context.Context) (time.Duration, error) {
	shown, err := run.Do(ctx, run.Command{Argv: []string{"apt-config", "shell", "SECONDS", "DPkg::Lock::Timeout"}})
	if err != nil {
		return 0, err
	}
	var seconds int
	if _, err := fmt.Sscanf(string(shown.Stdout), "SECONDS='%d'", &seconds); err != nil {
		return patience, nil // it says nothing
	}
	if seconds < 0 {
		return math.MaxInt64, nil // as apt understands it: without end
	}
	return time.Duration(seconds) * time.Second, nil
}

// packageManagerHolder names the process that holds a lock of dpkg; empty when
// there is none. They are the locks of fcntl(2).
func packageManagerHolder() (string, error) {
	for _, path := range []string{"/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock"} {
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", fmt.Errorf("look at the lock of dpkg: %w", err)
		}
		lock := unix.Flock_t{Type: unix.F_WRLCK}
		err = unix.FcntlFlock(f.Fd(), unix.F_GETLK, &lock)
		f.Close()
		if err != nil {
			return "", fmt.Errorf("look at the lock of dpkg: %w", err)
		}
		if lock.Type != unix.F_UNLCK {
			program, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", lock.Pid))
			return fmt.Sprintf("%s (pid %d)", cmp.Or(strings.TrimSpace(string(program)), "a process"), lock.Pid), nil
		}
	}
	return "", nil
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

// residue compares the machine now with what it was before packages were
// installed. What others did meanwhile is not residue, see brought; an account
// counts when the maintainer scripts name it.
func (s system) residue(packages []string) (residue, error) {
	now, err := recordSystem()
	if err != nil {
		return residue{}, err
	}
	owned, scripts, err := packageContents(packages)
	if err != nil {
		return residue{}, err
	}
	left := residue{Etc: map[string]string{}}
	for _, name := range added(s.Packages, now.Packages) {
		if bare, _, _ := strings.Cut(name, ":"); slices.Contains(packages, name) || slices.Contains(packages, bare) {
			left.Packages = append(left.Packages, name)
		}
	}
	unnamed := func(account string) bool {
		return !regexp.MustCompile(`\b` + regexp.QuoteMeta(account) + `\b`).Match(scripts)
	}
	left.Users = slices.DeleteFunc(added(s.Users, now.Users), unnamed)
	left.Groups = slices.DeleteFunc(added(s.Groups, now.Groups), unnamed)
	for _, path := range added(s.Listing, now.Listing) {
		// A directory of a package stays behind when dpkg finds it in use.
		if owned[path] && (strings.HasPrefix(path, "/usr/") || !isDir(path)) {
			continue // dpkg removes it
		}
		if s.brought(path, owned, scripts) {
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

// brought tells whether a path that is new since s is of the packages: it lies
// in a register, or it or a new directory that it lies in is listed by them or
// named in their scripts.
func (s system) brought(path string, owned map[string]bool, scripts []byte) bool {
	if names(scripts, path, "/") {
		return true // made on the way to one that is named
	}
	for top := path; top != "/"; top = filepath.Dir(top) {
		if slices.Contains(registers, top) {
			return true
		}
		if _, before := slices.BinarySearch(s.Listing, top); !before && (owned[top] || names(scripts, top, "")) {
			return true
		}
	}
	return false
}

// names tells whether a shell script has a path in it, whole, or followed by
// one of the characters in also.
func names(script []byte, path, also string) bool {
	for rest := script; ; {
		at := bytes.Index(rest, []byte(path))
		if at < 0 {
			return false
		}
		rest = rest[at+len(path):]
		if len(rest) == 0 || strings.ContainsRune(" \t\n\"';)&|:,]}"+also, rune(rest[0])) {
			return true
		}
	}
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

// packageContents reads the file lists of packages and their maintainer
// scripts. A merged /usr lists /lib/x for what is found at /usr/lib/x.
func packageContents(packages []string) (owned map[string]bool, scripts []byte, err error) {
	owned = map[string]bool{}
	for _, name := range packages {
		files, err := filepath.Glob("/var/lib/dpkg/info/" + name + "[.:]*")
		if err != nil {
			return nil, nil, fmt.Errorf("look at package %s: %w", name, err)
		}
		for _, path := range files {
			kind := filepath.Ext(path)
			if kind != ".list" && kind != ".preinst" && kind != ".postinst" {
				continue
			}
			content, err := os.ReadFile(path)
			if err != nil {
				return nil, nil, fmt.Errorf("look at package %s: %w", name, err)
			}
			if kind != ".list" {
				scripts = append(scripts, content...)
				continue
			}
			for line := range strings.Lines(string(content)) {
				addPath(owned, strings.TrimSuffix(line, "\n"))
			}
		}
	}
	return owned, scripts, nil
}

func addPath(owned map[string]bool, path string) {
	owned[path] = true
	for _, merged := range []string{"/bin/", "/sbin/", "/lib/", "/lib64/"} {
		if strings.HasPrefix(path, merged) {
			owned["/usr"+path] = true
		}
	}
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
