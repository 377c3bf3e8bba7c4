package triage

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Limits of what is taken of one process, and of all.
const (
	argvLimit  = 4 << 10 // bytes
	filesLimit = 256     // open files that are listed of one process
	pidLimit   = 20000   // processes
	suspectMax = 32      // suspects whose maps are taken
)

// Process is one process.
type Process struct {
	PID     int       `json:"pid"`
	Parent  int       `json:"parent"`
	Name    string    `json:"name"`
	User    string    `json:"user"`
	Started time.Time `json:"started,omitzero"`
	State   string    `json:"state"`                // "R", "S", "Z" ...
	Kernel  bool      `json:"kernel,omitempty"`     // a thread of the kernel
	Exe     string    `json:"exe,omitempty"`        // "/usr/bin/x (deleted)"
	Argv    []string  `json:"argv,omitempty"`       // what looks like a secret is "[redacted]"
	Dir     string    `json:"dir,omitempty"`        // working directory
	Root    string    `json:"root,omitempty"`       // when not "/"
	Unit    string    `json:"unit,omitempty"`       // of systemd
	NetNS   string    `json:"net_ns,omitempty"`     // when not that of PID 1
	Caps    string    `json:"caps,omitempty"`       // effective capabilities, hex; none: left out
	Tracer  int       `json:"tracer,omitempty"`     // PID that traces it
	Preload bool      `json:"preload,omitempty"`    // LD_PRELOAD or LD_AUDIT is in its environment
	Gone    []string  `json:"gone,omitempty"`       // programs and libraries mapped whose file is deleted
	Foreign []string  `json:"foreign,omitempty"`    // code mapped from where others can write
	RWX     int       `json:"rwx,omitempty"`        // regions of memory that are writable and run, at once
	Files   []string  `json:"files,omitempty"`      // open, each once
	More    int       `json:"more_files,omitempty"` // that are not listed
}

// Suspect is a process that is looked at more closely.
type Suspect struct {
	PID int      `json:"pid"`
	Why []string `json:"why"`
}

// processes lists all of them.
func (c *collector) processes(ctx context.Context) error {
	entries, err := os.ReadDir(string(c.root) + "/proc")
	if err != nil {
		return fmt.Errorf("list processes: %w", err)
	}
	network, _ := os.Readlink(string(c.root) + "/proc/1/ns/net")
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if len(c.doc.Processes) == pidLimit {
			return fmt.Errorf("list processes: more than %d", pidLimit)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if p, there := c.process(pid, network); there {
			c.doc.Processes = append(c.doc.Processes, p)
			if strings.HasPrefix(path.Base(p.Exe), "php-fpm") || strings.HasPrefix(p.Name, "php-fpm") {
				c.doc.PHP = append(c.doc.PHP, pid)
			}
		}
	}
	slices.SortStableFunc(c.doc.Processes, func(a, b Process) int { return a.PID - b.PID })
	return nil
}

// process looks at one; there is false when it ended meanwhile.
func (c *collector) process(pid int, network string) (p Process, there bool) {
	dir := fmt.Sprintf("%s/proc/%d/", c.root, pid)
	stat, err := os.ReadFile(dir + "stat")
	if err != nil {
		return p, false
	}
	p = parseStat(string(stat), c.doc.Booted)
	p.PID = pid
	status, _ := os.ReadFile(dir + "status")
	c.status(&p, string(status))
	p.Exe, err = os.Readlink(dir + "exe")
	if err != nil {
		p.Kernel = p.Parent == 2 || pid == 2
		return p, true
	}
	if line, err := readSome(dir+"cmdline", argvLimit); err == nil {
		// An option and its secret may be two arguments: they are read as one text.
		argv := strings.Split(strings.TrimRight(string(line), "\x00"), "\x00")
		for i, arg := range argv {
			argv[i] = printable(arg)
		}
		p.Argv = strings.Split(Redact(strings.Join(argv, "\n")), "\n")
	}
	p.Dir, _ = os.Readlink(dir + "cwd")
	if root, err := os.Readlink(dir + "root"); err == nil && root != "/" {
		p.Root = root
	}
	if groups, err := os.ReadFile(dir + "cgroup"); err == nil {
		p.Unit = unitOf(string(groups))
	}
	if space, err := os.Readlink(dir + "ns/net"); err == nil && space != network {
		p.NetNS = space
	}
	if maps, err := readSome(dir+"maps", 8<<20); err == nil {
		p.Gone, p.Foreign, p.RWX = parseMaps(string(maps))
	}
	if environment, err := readSome(dir+"environ", 1<<20); err == nil {
		environment = append([]byte{0}, environment...)
		p.Preload = bytes.Contains(environment, []byte("\x00LD_PRELOAD=")) || bytes.Contains(environment, []byte("\x00LD_AUDIT="))
	}
	p.Files, p.More = openFiles(dir + "fd")
	return p, true
}

// readSome reads the first bytes of a file of /proc, whose size is not told.
func readSome(name string, limit int64) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, limit))
}

// parseStat reads /proc/PID/stat (proc(5)). The name is in parentheses and may
// hold any character.
func parseStat(stat string, booted time.Time) Process {
	var p Process
	begin, end := strings.IndexByte(stat, '('), strings.LastIndexByte(stat, ')')
	if begin < 0 || end < begin {
		return p
	}
	p.Name = printable(stat[begin+1 : end])
	fields := strings.Fields(stat[end+1:])
	const (
		state, parent, start = 0, 1, 19 // of those behind the name
		perSecond            = 100      // USER_HZ, on every architecture of Debian
	)
	if len(fields) <= start {
		return p
	}
	p.State = fields[state]
	p.Parent, _ = strconv.Atoi(fields[parent])
	if ticks, err := strconv.ParseInt(fields[start], 10, 64); err == nil && !booted.IsZero() {
		p.Started = booted.Add(time.Duration(ticks) * time.Second / perSecond).UTC()
	}
	return p
}

// bootTime reads the line btime of /proc/stat.
func bootTime(stat string) time.Time {
	for line := range strings.Lines(stat) {
		if seconds, ok := strings.CutPrefix(line, "btime "); ok {
			if at, err := strconv.ParseInt(strings.TrimSpace(seconds), 10, 64); err == nil {
				return time.Unix(at, 0).UTC()
			}
		}
	}
	return time.Time{}
}

func (c *collector) status(p *Process, status string) {
	for line := range strings.Lines(status) {
		key, value, _ := strings.Cut(line, ":")
		fields := strings.Fields(value)
		if len(fields) == 0 {
			continue
		}
		switch key {
		case "Uid":
			p.User = c.user(fields[min(1, len(fields)-1)]) // effective
		case "CapEff":
			if strings.Trim(fields[0], "0") != "" {
				p.Caps = fields[0]
			}
		case "TracerPid":
			p.Tracer, _ = strconv.Atoi(fields[0])
		}
	}
}

func (c *collector) user(uid string) string {
	if name, known := c.users[uid]; known {
		return name
	}
	return uid
}

// unitOf finds the service or scope in /proc/PID/cgroup.
func unitOf(groups string) string {
	for line := range strings.Lines(groups) {
		for part := range strings.SplitSeq(strings.TrimSpace(line), "/") {
			if strings.HasSuffix(part, ".service") || strings.HasSuffix(part, ".scope") {
				return part
			}
		}
	}
	return ""
}

// writable are directories where others than root can put a program.
var writable = []string{"/tmp/", "/var/tmp/", "/dev/shm/", "/run/user/", "/home/", "/var/www/", "/var/lib/matomo", "/memfd:", "/proc/"}

func fromWritable(name string) bool {
	return slices.ContainsFunc(writable, func(dir string) bool { return strings.HasPrefix(name, dir) })
}

// parseMaps tells from /proc/PID/maps what code is mapped whose file is gone,
// what is mapped from where others can write, and how many regions are both
// writable and run.
func parseMaps(maps string) (gone, foreign []string, rwx int) {
	for line := range strings.Lines(maps) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 6)
		if len(fields) < 5 || len(fields[1]) < 4 || fields[1][2] != 'x' {
			continue
		}
		if fields[1][1] == 'w' {
			rwx++
		}
		if len(fields) < 6 {
			continue
		}
		name := printable(strings.TrimSpace(fields[5]))
		bare, deleted := strings.CutSuffix(name, " (deleted)")
		switch {
		case !strings.HasPrefix(bare, "/"):
		case deleted && !slices.Contains(gone, bare) && !strings.HasPrefix(bare, "/dev/zero") && !strings.HasPrefix(bare, "/SYSV"):
			gone = append(gone, bare)
		case fromWritable(bare) && !slices.Contains(foreign, bare):
			foreign = append(foreign, bare)
		}
	}
	return gone, foreign, rwx
}

// openFiles lists what a process has open, each once.
func openFiles(dir string) (files []string, more int) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, 0
	}
	seen := map[string]bool{}
	for _, entry := range entries {
		target, err := os.Readlink(dir + "/" + entry.Name())
		if err != nil || seen[target] {
			continue
		}
		seen[target] = true
		if len(files) == filesLimit {
			more++
			continue
		}
		files = append(files, printable(target))
	}
	slices.Sort(files)
	return files, more
}

// printable is text that a terminal may be given.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
}

// suspects picks the processes that are out of the ordinary, and takes their
// memory maps; their programs when the files are gone; and, when asked to, what
// is in their memory.
func (c *collector) suspects(ctx context.Context) error {
	outside := map[int]string{}
	for _, s := range c.doc.Sockets {
		if s.State == "established" && !s.Local() {
			outside[s.PID] = s.Remote
		}
	}
	changed := map[string]string{}
	for _, e := range c.doc.Executable {
		if e.Changed {
			changed[e.Path] = "its program is not the one of package " + e.Package
		} else if e.Package == "" && e.Writable {
			changed[e.Path] = "its program can be written by others than root"
		}
	}
	for _, p := range c.doc.Processes {
		var why []string
		if slices.Contains(c.PIDs, p.PID) {
			why = append(why, "it was named")
		}
		if bare, deleted := strings.CutSuffix(p.Exe, " (deleted)"); deleted {
			why = append(why, "its program "+bare+" is gone from the disk")
		}
		if fromWritable(p.Exe) {
			why = append(why, "its program is where others than root can put one")
		}
		if len(p.Foreign) > 0 && !fromWritable(p.Exe) {
			why = append(why, "it runs code from where others than root can put it: "+p.Foreign[0])
		}
		if reason := changed[p.Exe]; reason != "" {
			why = append(why, reason)
		}
		if p.Preload {
			why = append(why, "a library is put before its own (LD_PRELOAD)")
		}
		if p.Tracer > 0 {
			why = append(why, fmt.Sprintf("process %d traces it", p.Tracer))
		}
		if ofWeb(p.User) && !ordinary(p.Exe) {
			why = append(why, "a web user runs a program that is neither PHP nor the web server")
		}
		if remote := outside[p.PID]; remote != "" && ofWeb(p.User) && !isFront(p.Exe) {
			why = append(why, "a web user is connected to "+remote)
		}
		if len(why) > 0 {
			c.doc.Suspects = append(c.doc.Suspects, Suspect{p.PID, why})
		}
	}
	var problems []error
	for i, s := range c.doc.Suspects {
		if i == suspectMax {
			problems = append(problems, fmt.Errorf("take the maps of suspects: only of the first %d of %d", suspectMax, len(c.doc.Suspects)))
			break
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		problems = append(problems, c.closely(ctx, s.PID))
	}
	return errors.Join(problems...)
}

// ofWeb tells whether a user is one that serves pages.
func ofWeb(user string) bool {
	return user == "www-data" || user == "nobody" || strings.HasPrefix(user, "matomo")
}

func isFront(exe string) bool {
	return slices.Contains([]string{"nginx", "apache2"}, path.Base(strings.TrimSuffix(exe, " (deleted)")))
}

func ordinary(exe string) bool {
	name := path.Base(strings.TrimSuffix(exe, " (deleted)"))
	return exe == "" || isFront(exe) || strings.HasPrefix(name, "php") || name == "systemd" || name == "systemd-executor"
}

func (c *collector) closely(ctx context.Context, pid int) error {
	dir := fmt.Sprintf("%s/proc/%d/", c.root, pid)
	maps, err := readSome(dir+"maps", 8<<20)
	if err != nil {
		return fmt.Errorf("take the maps of process %d: %w", pid, err)
	}
	err = c.put(fmt.Sprintf("suspects/%d.maps", pid), int64(len(maps)), func(w io.Writer) error {
		_, err := w.Write(maps)
		return err
	})
	if err != nil {
		return err
	}
	if target, err := os.Readlink(dir + "exe"); err == nil && (strings.HasSuffix(target, " (deleted)") || fromWritable(target)) {
		if err := c.program(pid, dir+"exe"); err != nil {
			return err
		}
	}
	if !c.Memory {
		return nil
	}
	return c.memory(ctx, pid, string(maps))
}

// program takes the program of a process, also when its file is gone.
func (c *collector) program(pid int, name string) error {
	file, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("take the program of process %d: %w", pid, err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("take the program of process %d: %w", pid, err)
	}
	return c.put(fmt.Sprintf("suspects/%d.program", pid), info.Size(), func(w io.Writer) error {
		_, err := io.Copy(w, io.LimitReader(file, info.Size()))
		return err
	})
}

// memory takes what a process has in memory and no file has: regions one after
// the other, with an index of where each begins.
func (c *collector) memory(ctx context.Context, pid int, maps string) error {
	file, err := os.Open(fmt.Sprintf("%s/proc/%d/mem", c.root, pid))
	if err != nil {
		return fmt.Errorf("take the memory of process %d: %w", pid, err)
	}
	defer file.Close()
	index := &strings.Builder{}
	err = c.put(fmt.Sprintf("suspects/%d.memory", pid), 0, func(w io.Writer) error {
		written := int64(0)
		for _, r := range regions(maps) {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			n, err := io.Copy(w, io.NewSectionReader(file, r.from, r.size))
			if n > 0 {
				fmt.Fprintf(index, "%12d %12d bytes of %s\n", written, n, r.line)
			}
			written += n
			if errors.Is(err, errLimit) {
				return err
			}
			// A region that cannot be read, or vanished meanwhile, is left out.
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("take the memory of process %d: %w", pid, err)
	}
	return c.put(fmt.Sprintf("suspects/%d.memory-index", pid), int64(index.Len()), func(w io.Writer) error {
		_, err := io.WriteString(w, index.String())
		return err
	})
}

type region struct {
	from, size int64
	line       string
}

// regions are the readable parts of memory that no file backs, or that are
// private and changed: all that is writable.
func regions(maps string) []region {
	var all []region
	for line := range strings.Lines(maps) {
		line = strings.TrimSpace(line)
		fields := strings.Fields(line)
		if len(fields) < 5 || len(fields[1]) < 4 || fields[1][0] != 'r' || strings.Contains(line, "[v") {
			continue
		}
		anonymous := fields[4] == "0"
		if fields[1][1] != 'w' && !anonymous {
			continue
		}
		begin, end, _ := strings.Cut(fields[0], "-")
		from, err := strconv.ParseInt(begin, 16, 64)
		to, err2 := strconv.ParseInt(end, 16, 64)
		if err != nil || err2 != nil || to <= from {
			continue
		}
		all = append(all, region{from, to - from, line})
	}
	return all
}

// Executable is a program that runs.
type Executable struct {
	Path     string `json:"path"`
	SHA256   string `json:"sha256"`
	PIDs     []int  `json:"pids"`
	Deleted  bool   `json:"deleted,omitempty"`
	Package  string `json:"package,omitempty"`  // of Debian that it comes with; empty: none
	Changed  bool   `json:"changed,omitempty"`  // not as the package has it
	Writable bool   `json:"writable,omitempty"` // by others than root, itself or a directory above
	Packed   bool   `json:"packed,omitempty"`   // its ELF has no section headers, as packers leave it
}

// executables hashes the programs of all processes, and compares them with
// their packages.
func (c *collector) executables(ctx context.Context) error {
	byPath := map[string]*Executable{}
	for _, p := range c.doc.Processes {
		if p.Exe == "" {
			continue
		}
		if known := byPath[p.Exe]; known != nil {
			known.PIDs = append(known.PIDs, p.PID)
			continue
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		bare, deleted := strings.CutSuffix(p.Exe, " (deleted)")
		e := &Executable{Path: p.Exe, PIDs: []int{p.PID}, Deleted: deleted}
		byPath[p.Exe] = e
		// The kernel's own link leads to what runs, whatever its path is now.
		sums, err := hash(fmt.Sprintf("%s/proc/%d/exe", c.root, p.PID))
		if err != nil {
			continue // it ended
		}
		e.SHA256, e.Packed = sums.sha256, sums.packed
		e.Writable = openToOthers(string(c.root), bare)
		if want, of := c.packaged(bare); of != "" {
			e.Package, e.Changed = of, want != sums.md5 && !deleted
		}
	}
	for _, e := range byPath {
		c.doc.Executable = append(c.doc.Executable, *e)
	}
	slices.SortStableFunc(c.doc.Executable, func(a, b Executable) int { return strings.Compare(a.Path, b.Path) })
	return nil
}

// openToOthers tells whether others than root can write a file, or a directory
// above it.
func openToOthers(root, name string) bool {
	for at := name; ; at = filepath.Dir(at) {
		info, err := os.Lstat(root + at)
		if err == nil && (ownerOf(info) != 0 || info.Mode().Perm()&0o002 != 0 && info.Mode()&os.ModeSticky == 0) {
			return true
		}
		if at == "/" || at == "." {
			return false
		}
	}
}

// isPacked tells that an ELF file has no sections.
func isPacked(r io.ReaderAt) bool {
	file, err := elf.NewFile(r)
	return err == nil && len(file.Sections) == 0
}
