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

	"rocca/internal/progress"
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
	Made     map[string]string `json:"made,omitempty"`  // files and links of Paths where people put their own: see fingerprint
	Etc      map[string]string `json:"etc,omitempty"`   // files below /etc that changed: SHA-256 of the new content
}

// watched are the directories in which maintainer scripts leave things. Logs,
// caches, and the package manager's own state are not taken back. Of an opaque
// directory only the top is recorded: what is in it belongs to a service.
// Registers are where many packages leave one file each, and people theirs.
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
	seq, before, err := w.beginInstall(packages, all)
	if err != nil {
		return err
	}
	if err := w.install(ctx, packages); err != nil {
		return err
	}
	left, err := before.residue(all, false)
	if err != nil {
		return err
	}
	return w.done(seq, &after{Residue: &left})
}

// closeInstall ends an installation that was cut short, and records what it
// brought.
func (r *Run) closeInstall(ctx context.Context, e entry, tell progress.Handler) (*after, error) {
	before, err := r.system(e.Op.System)
	if err != nil {
		return nil, err
	}
	w := &Writer{run: r, tell: tell, step: e.Step}
	if err := awaitPackageManager(ctx, w.Wait); err != nil {
		return nil, err
	}
	if err := w.repairPackages(ctx); err != nil {
		return nil, err
	}
	left, err := before.residue(e.Op.Packages, true)
	if err != nil {
		return nil, err
	}
	seen := &after{Residue: &left}
	return seen, r.append(record{Type: "done", Seq: e.Seq, After: seen})
}

// beginInstall records the system before packages are installed.
func (w *Writer) beginInstall(packages, all []string) (int, system, error) {
	before, err := recordSystem()
	if err != nil {
		return 0, before, err
	}
	encoded, err := json.Marshal(before)
	if err != nil {
		return 0, before, fmt.Errorf("record the system before packages: %w", err)
	}
	blob, err := w.run.keep(encoded)
	if err != nil {
		return 0, before, err
	}
	seq, err := w.begin(op{Kind: packagesOp, Name: strings.Join(packages, " "), Packages: all, System: blob})
	return seq, before, err
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
	if len(pending) == 0 && !halfDone(status) {
		return nil
	}
	w.Wait("finishing an interrupted package installation")
	// dpkg fails where a dependency was not unpacked yet: apt gets it.
	_, configureErr := run.Do(ctx, apt("dpkg", "--configure", "-a", "--force-confdef", "--force-confold"))
	if _, err := run.Do(ctx, aptInstall(nil, "--fix-broken")); err != nil {
		return errors.Join(configureErr, err)
	}
	return nil
}

// halfDone tells whether dpkg's status has a package in a state that only an
// interrupted dpkg leaves: "Status: install ok half-configured".
func halfDone(status []byte) bool {
	for line := range bytes.Lines(status) {
		words := bytes.Fields(line)
		if len(words) != 4 || string(words[0]) != "Status:" {
			continue
		}
		switch string(words[3]) {
		case "half-installed", "unpacked", "half-configured", "triggers-awaited", "triggers-pending":
			return true
		}
	}
	return false
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
// counts when the maintainer scripts name it. Late tells that the installation
// ended unseen, so that others may have changed what it made.
func (s system) residue(packages []string, late bool) (residue, error) {
	now, err := recordSystem()
	if err != nil {
		return residue{}, err
	}
	c, err := packageContents(packages)
	if err != nil {
		return residue{}, err
	}
	left := residue{Made: map[string]string{}, Etc: map[string]string{}}
	for _, name := range added(s.Packages, now.Packages) {
		if listed(packages, name) {
			left.Packages = append(left.Packages, name)
		}
	}
	unnamed := func(account string) bool {
		return !regexp.MustCompile(`\b` + regexp.QuoteMeta(account) + `\b`).Match(c.scripts)
	}
	left.Users = slices.DeleteFunc(added(s.Users, now.Users), unnamed)
	left.Groups = slices.DeleteFunc(added(s.Groups, now.Groups), unnamed)
	left.Paths = s.broughtOf(added(s.Listing, now.Listing), c)
	for _, path := range left.Paths {
		if late || !peoples(path) {
			continue
		}
		if left.Made[path], err = fingerprint(path); err != nil {
			return residue{}, err
		}
	}
	for path, old := range s.Etc {
		sum := now.Etc[path].Inode.SHA256
		if sum == old.Inode.SHA256 || late && path != "/etc/ld.so.cache" && !names(c.scripts, path, "") {
			continue
		}
		left.Etc[path] = sum
	}
	return left, nil
}

// broughtOf picks what the packages brought, see brought, and the directories
// that had to be made for it. What dpkg itself removes is left out.
func (s system) broughtOf(paths []string, c contents) []string {
	var found, undecided []string
	for _, path := range paths {
		// A directory of a package stays behind when dpkg finds it in use.
		if c.owns(path) && (strings.HasPrefix(path, "/usr/") || !isDir(path)) {
			continue
		}
		if s.brought(path, c) {
			found = append(found, path)
		} else if isDir(path) {
			undecided = append(undecided, path)
		}
	}
	for _, path := range undecided {
		if slices.ContainsFunc(found, func(below string) bool { return strings.HasPrefix(below, path+"/") }) {
			found = append(found, path)
		}
	}
	return found
}

// brought tells whether a path that is new since s is of the packages, and no
// other's: it is named in their scripts, it is their entry of a register, or it
// lies in a new directory that they list or name.
func (s system) brought(path string, c contents) bool {
	if c.others[path] {
		return false
	}
	if names(c.scripts, path, "/") {
		return true // or made on the way to one that is named
	}
	for top := path; top != "/"; top = filepath.Dir(top) {
		_, before := slices.BinarySearch(s.Listing, top)
		if !before && !c.others[top] && (c.owns(top) || names(c.scripts, top, "")) {
			return true
		}
		if slices.Contains(registers, top) {
			return s.registered(path, c)
		}
	}
	return false
}

// registered tells whether an entry of a register is of the packages: a link
// that leads to a file of theirs, systemd's note of a unit of theirs, or ucf's
// copy of a file of theirs.
func (s system) registered(path string, c contents) bool {
	if at, isCopy := strings.CutPrefix(path, "/var/lib/ucf/cache/"); isCopy {
		return s.brought(strings.ReplaceAll(at, ":", "/"), c)
	}
	if strings.HasPrefix(path, "/var/lib/systemd/") {
		unit := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(path), "stamp-"), ".dsh-also")
		return c.owns("/usr/lib/systemd/system/"+unit) || c.owns("/usr/lib/systemd/user/"+unit)
	}
	return slices.ContainsFunc(c.targets(path), func(target string) bool {
		// A service that starts may make its socket an alternative.
		return c.owns(target) || strings.HasPrefix(target, "/run/") && names(c.scripts, "/"+filepath.Base(path), "")
	})
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

// contents is what packages consist of.
type contents struct {
	owned    map[string]bool // paths that they list
	others   map[string]bool // paths that other packages list
	scripts  []byte          // their maintainer scripts and units of systemd
	readlink func(string) (string, error)
}

// packageContents reads the file lists of packages, their maintainer scripts and
// units.
func packageContents(packages []string) (contents, error) {
	c := contents{owned: map[string]bool{}, others: map[string]bool{}, readlink: os.Readlink}
	entries, err := os.ReadDir("/var/lib/dpkg/info")
	if err != nil {
		return c, fmt.Errorf("look at the files of packages: %w", err)
	}
	for _, e := range entries {
		kind := filepath.Ext(e.Name())
		ours := listed(packages, strings.TrimSuffix(e.Name(), kind))
		if kind != ".list" && (!ours || kind != ".preinst" && kind != ".postinst") {
			continue
		}
		content, err := os.ReadFile(filepath.Join("/var/lib/dpkg/info", e.Name()))
		if err != nil {
			return c, fmt.Errorf("look at the files of packages: %w", err)
		}
		switch {
		case kind != ".list":
			c.scripts = append(c.scripts, content...)
		case ours:
			addPaths(c.owned, content)
		default:
			addPaths(c.others, content)
		}
	}
	for path := range c.owned {
		if filepath.Dir(path) != "/usr/lib/systemd/system" || isDir(path) {
			continue
		}
		content, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return c, fmt.Errorf("look at the units of packages: %w", err)
		}
		c.scripts = append(append(c.scripts, '\n'), content...)
	}
	return c, nil
}

// services lists the names of the services among the files of the packages.
func (c contents) services() []string {
	var names []string
	for path := range c.owned {
		if filepath.Dir(path) == "/usr/lib/systemd/system" && filepath.Ext(path) == ".service" && !strings.Contains(path, "@") {
			names = append(names, filepath.Base(path))
		}
	}
	slices.Sort(names)
	return names
}

// listed tells whether a package, as dpkg names it ("libc6:amd64"), is in a
// list of apt, which names the architecture only when it is not the machine's.
func listed(packages []string, name string) bool {
	bare, _, _ := strings.Cut(name, ":")
	return slices.Contains(packages, name) || slices.Contains(packages, bare)
}

// addPaths adds the lines of a file list. A merged /usr lists /lib/x for what
// is found at /usr/lib/x.
func addPaths(paths map[string]bool, list []byte) {
	for line := range strings.Lines(string(list)) {
		path := strings.TrimSuffix(line, "\n")
		paths[path] = true
		for _, merged := range []string{"/bin/", "/sbin/", "/lib/", "/lib64/"} {
			if strings.HasPrefix(path, merged) {
				paths["/usr"+path] = true
			}
		}
	}
}

// owns tells whether the packages list a path, as it is named in a merged /usr
// or was before.
func (c contents) owns(path string) bool { return c.owned[path] || c.owned["/usr"+path] }

// linkHops is how many links are followed one after the other: of Debian's
// alternatives there are two, /usr/bin/php to /etc/alternatives/php to the program.
const linkHops = 4

// targets lists where a link leads, step by step; nothing for what is no link.
func (c contents) targets(path string) []string {
	var found []string
	for range linkHops {
		target, err := c.readlink(path)
		if err != nil {
			break
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(path), target)
		}
		path = filepath.Clean(target)
		found = append(found, path)
	}
	return found
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
