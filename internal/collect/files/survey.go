// Package files looks at the files of a server for an audit. One walk over the
// local file systems finds what is odd, hashes Matomo's code and compares it
// with its release, reads what runs or steers PHP, and looks for secrets where
// none belong. It only reads.
package files

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"rocca/internal/collect/inode"
	"rocca/internal/collect/mountinfo"
	"rocca/internal/facts"
	"rocca/internal/secret"
)

// Request says what to look at. All paths are those of the server.
type Request struct {
	Root string // directory that stands for "/"; empty: "/" itself

	Code     string          // root of Matomo with links resolved; empty: none
	Others   []string        // further trees that become facts, with links resolved
	Contexts []facts.Context // their User, Config and Tmp are used, with links resolved
	Scripts  string          // directory of rocca's copies of matomo.js, some of them compressed; empty: none

	Watched []string // become facts with all directories above them; what links lead to as well

	Baseline Baseline          // what the code must be; the zero value: what the manifest in the tree says
	Known    map[string]string // SHA-256 of files that steer PHP and were written on purpose, by path

	Secrets    []Secret // that must be nowhere but in Legitimate
	Search     []string // directories to look for secrets and private keys in; nil: SearchedByDefault
	Legitimate []string // files that may hold secrets and private keys; below a directory when it ends with a slash. The Config of a context always may
}

// Secret is a value that must not be found elsewhere.
type Secret struct {
	Kind  string // "database password", "salt", "API token"
	Value secret.Secret
}

// SearchedByDefault are the places where people leave secrets.
func SearchedByDefault() []string {
	return []string{"/etc", "/root", "/home", "/var", "/opt", "/srv", "/tmp", "/usr/local", "/dev/shm"}
}

// notSearched hold what packages bring and databases keep, none of it written
// by people.
var notSearched = []string{"/var/lib/dpkg", "/var/lib/apt", "/var/lib/mysql", "/var/lib/systemd", "/var/lib/rocca/journal", "/var/lib/rocca/releases", "/var/cache/apt"}

// Result is what Survey saw.
type Result struct {
	Paths       map[string]facts.Path
	Trees       map[string]facts.Tree
	Oddities    facts.Oddities
	Integrity   facts.Integrity
	PrivateKeys []facts.PrivateKey

	// Unseen tells what could not be looked at, and CodeUnseen what of Matomo's
	// code could not be compared, for the sections facts.Files and facts.Code;
	// empty when all could.
	Unseen, CodeUnseen string
}

// Limits.
const (
	listLimit   = 1000     // entries of a list of oddities
	textLimit   = 1 << 20  // bytes of a file that is searched, or judged by its content
	cacheLimit  = 32 << 20 // bytes of a cache file of Matomo
	hashLimit   = 64 << 20 // bytes of a file that is hashed: none of Matomo is larger
	folderLimit = 20       // strange files of one directory that are named one by one
)

// survey is one run.
type survey struct {
	Request
	names    inode.Names
	baseline Baseline
	plugins  map[string]bool // directories of the plugins that are of the release
	init     string          // name of the class that Composer's autoload_real.php declares
	places   map[string]func(*place)
	onWay    map[string]bool // directories that lead to one of these
	matcher  *matcher
	may      legitimate
	workers  []worker

	mu                 sync.Mutex
	unseen, codeUnseen missed
}

// missed counts what could not be looked at, with examples.
type missed struct {
	count    int
	examples []string
}

func (m *missed) add(name string, err error) {
	if m.count++; m.count <= 3 {
		m.examples = append(m.examples, fmt.Sprintf("%s (%v)", name, err))
	}
}

func (m missed) String() string {
	if m.count == 0 {
		return ""
	}
	return fmt.Sprintf("%d of the files and directories could not be looked at, such as %s", m.count, strings.Join(m.examples, ", "))
}

// worker is what one goroutine of the walk has found.
type worker struct {
	buffer    []byte
	oddities  facts.Oddities
	inTrees   []member
	integrity facts.Integrity
	keys      []facts.PrivateKey
}

// member is an inode of a tree.
type member struct {
	tree *tree
	name string // relative
	fact facts.Path
}

// tree is a directory all of which becomes facts.
type tree struct {
	top  string
	main bool // it is Request.Code
}

// place is what is known of a directory, and of those below it.
type place struct {
	passing bool // it is only on the way to something
	tree    *tree
	tmp     *facts.Context // it is in its tmp
	top     string         // the directory as, stands for as
	as      string         // part of Matomo's root that is elsewhere: "config", "misc/user"; empty: none
	search  bool
}

// Survey looks at the files of a server. The error says why all of it failed;
// what could not be seen in part is in Result.Unseen.
func Survey(ctx context.Context, r Request) (Result, error) {
	s, err := prepare(r)
	if err != nil {
		return Result{}, err
	}
	walk := inode.Walk[*place]{
		Top:     path.Join("/", s.Root),
		Start:   &place{},
		Visit:   s.visit,
		Links:   func(p *place) bool { return p.tree != nil || p.tmp != nil },
		Problem: s.problem,
	}
	if err := walk.Run(ctx); err != nil {
		return Result{}, fmt.Errorf("walk over the files: %w", err)
	}
	return s.result()
}

func prepare(r Request) (*survey, error) {
	s := &survey{Request: r, workers: make([]worker, inode.Workers())}
	s.Root = strings.TrimSuffix(path.Clean("/"+r.Root), "/")
	if hasTmp := func(c facts.Context) bool { return c.Tmp != "" }; s.Code != "" && !slices.ContainsFunc(s.Contexts, hasTmp) {
		// Not known: then it is where Matomo puts it unless it is told otherwise.
		s.Contexts = append(slices.Clip(s.Contexts), facts.Context{Tmp: path.Join(s.Code, "tmp")})
	}
	var err error
	if s.names, err = inode.ReadNames(s.host("/")); err != nil {
		return nil, err
	}
	if s.Search == nil {
		s.Search = SearchedByDefault()
	}
	listed, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("read what is mounted: %w", err)
	}
	mounted, err := mountinfo.Parse(string(listed))
	if err != nil {
		return nil, err
	}
	if s.baseline, err = s.chooseBaseline(); err != nil {
		s.codeUnseen.add(s.Code, err) // nothing is compared
	}
	s.plugins = s.baseline.plugins()
	s.init = s.composerClass()
	s.matcher = newMatcher(s.Secrets)
	s.may = newLegitimate(s.Request)
	s.findPlaces(local(mounted))
	for i := range s.workers {
		s.workers[i].buffer = make([]byte, textLimit+1)
	}
	return s, nil
}

// host is where a path of the server is on this machine.
func (s *survey) host(name string) string { return path.Join("/", s.Root, name) }

// findPlaces says of each directory that is special what it is.
func (s *survey) findPlaces(isLocal map[string]bool) {
	s.places, s.onWay = map[string]func(*place){}, map[string]bool{}
	at := func(name string, change func(*place)) {
		before := s.places[name]
		s.places[name] = func(p *place) {
			if before != nil {
				before(p)
			}
			change(p)
		}
		for dir := name; !s.onWay[dir]; dir = path.Dir(dir) {
			s.onWay[dir] = true
		}
	}
	for point, counts := range isLocal {
		inside, below := strings.CutPrefix(point, s.Root)
		switch {
		case !below || inside != "" && inside[0] != '/' || inside == "":
		case counts:
			at(inside, func(p *place) { p.passing = false })
		default:
			s.places[inside] = func(p *place) { p.passing = true }
		}
	}
	for _, dir := range s.Search {
		at(dir, func(p *place) { p.search = true })
	}
	for _, dir := range notSearched {
		at(dir, func(p *place) { p.search = false })
	}
	for i, top := range append([]string{s.Code}, s.Others...) {
		if top == "" || i > 0 && top == s.Code {
			continue
		}
		t := &tree{top: top, main: i == 0}
		at(top, func(p *place) { p.tree, p.passing = t, false })
	}
	if s.Code != "" {
		if user := path.Join(s.Code, "misc/user"); s.isLink(user) {
			s.standIn(at, s.resolve(user), "misc/user")
		}
	}
	for i := range s.Contexts {
		c := &s.Contexts[i]
		if c.Config != "" {
			s.standIn(at, path.Dir(c.Config), "config")
		}
		if c.Tmp != "" {
			at(c.Tmp, func(p *place) { p.tmp, p.passing = c, false })
		}
	}
}

// standIn says that a directory outside of the root stands for a part of it.
func (s *survey) standIn(at func(string, func(*place)), dir, as string) {
	if dir == "" || s.Code != "" && (dir == s.Code || strings.HasPrefix(dir, s.Code+"/")) {
		return
	}
	at(dir, func(p *place) { p.top, p.as, p.passing = dir, as, false })
}

func (s *survey) isLink(name string) bool {
	p, err := s.names.Look(s.host(name))
	return err == nil && p.Type == facts.Symlink
}

// problem notes what could not be looked at.
func (s *survey) problem(name string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unseen.add(name, err)
	// Of a directory above the code nothing below is seen either.
	if s.Code != "" && (within(name, s.Code) || within(s.Code, name)) {
		s.codeUnseen.add(name, err)
	}
}

// visit is told of each inode.
func (s *survey) visit(number int, in *place, e *inode.Entry) (*place, bool) {
	w := &s.workers[number]
	name, p := e.Path(), in
	isDir := e.Type() == facts.Dir
	if change, special := s.places[name]; isDir && special {
		changed := *in
		change(&changed)
		p = &changed
	}
	if p.passing {
		return p, s.onWay[name]
	}
	w.oddities.Entries++
	xattrs := s.odd(w, name, e)
	switch {
	case p.tree != nil:
		s.member(w, p, name, e, xattrs)
	case e.Type() == facts.File:
		s.file(w, p, name, e)
	}
	if p.tmp != nil && !isDir {
		s.foreign(w, p.tmp, name, e)
	}
	return p, true
}

// Users that systemd makes for the time that a service runs (nss-systemd(8)).
const firstDynamic, lastDynamic = 61184, 65519

func (s *survey) owned(e *inode.Entry) bool {
	known := func(names map[uint32]string, number uint32) bool {
		_, named := names[number]
		return named || number >= firstDynamic && number <= lastDynamic
	}
	return known(s.names.Users, e.Stat.Uid) && known(s.names.Groups, e.Stat.Gid)
}

// odd notes what should not be so with an inode, and returns its extended
// attributes.
func (s *survey) odd(w *worker, name string, e *inode.Entry) map[string][]byte {
	o, kind, mode := &w.oddities, e.Type(), e.Stat.Mode
	if !s.owned(e) {
		o.Unowned = append(o.Unowned, name)
	}
	if kind == facts.Symlink {
		return nil
	}
	if mode&unix.S_IWOTH != 0 && (kind == facts.File || kind == facts.Dir && mode&unix.S_ISVTX == 0) {
		o.WorldWritable = append(o.WorldWritable, name)
	}
	if inode.FlagsOf(&e.Stat) != "" {
		o.Flagged = append(o.Flagged, name)
	}
	xattrs, err := e.Xattrs()
	if err != nil {
		s.problem(name, err)
	}
	if inode.HasACL(xattrs) {
		o.ACLs = append(o.ACLs, name)
	}
	if kind == facts.File && (mode&(unix.S_ISUID|unix.S_ISGID) != 0 || inode.HasCapability(xattrs)) {
		o.Privileged = append(o.Privileged, facts.Privileged{Path: name})
	}
	return xattrs
}

// member makes an inode of a tree a fact, and compares it with the release.
func (s *survey) member(w *worker, p *place, name string, e *inode.Entry, xattrs map[string][]byte) {
	relative := strings.TrimPrefix(name[len(p.tree.top):], "/")
	fact := s.names.Describe(&e.Stat)
	fact.Xattrs = xattrs
	switch {
	case fact.Type == facts.Symlink:
		fact.Target = e.Target()
	case fact.Type == facts.File && p.tmp != nil:
		s.file(w, p, name, e) // it changes all the time: a hash says nothing
	case fact.Type == facts.File:
		content, sum := s.hash(w, name, e)
		fact.SHA256 = sum
		if p.tree.main {
			s.compare(w, p, relative, &fact, content)
		} else if p.search {
			s.search(w, name, fact.Mode, content)
		}
	}
	if p.tree.main && p.tmp == nil && fact.Type != facts.File && fact.Type != facts.Dir {
		s.notAFile(w, relative, fact)
	}
	if relative == "" {
		relative = "."
	}
	w.inTrees = append(w.inTrees, member{p.tree, relative, fact})
}

// file looks into a file outside of the trees, as far as there is a reason to.
func (s *survey) file(w *worker, p *place, name string, e *inode.Entry) {
	steers := ""
	if p.as != "" {
		steers = p.as + name[len(p.top):]
	}
	if p.tmp != nil {
		steers = "tmp/" + e.Name
	}
	if kind := steeringKind(steers); kind != "" {
		if content, ok := s.read(w, name, e, textLimit); ok {
			s.steer(w, kind, steers, name, content)
		}
	} else if p.as == "misc/user" && isPHP(e.Name) {
		w.integrity.Extra = append(w.integrity.Extra, steers)
	}
	if p.search && e.Stat.Size > 0 && e.Stat.Size <= textLimit && !isBinaryName(e.Name) && !s.may.all(name) {
		if content, ok := s.read(w, name, e, textLimit); ok {
			s.search(w, name, fs.FileMode(e.Stat.Mode&0o7777), content)
		}
	}
}

// read reads a whole file of at most limit bytes into the buffer of a worker.
// What cannot be read is noted, what is longer is not.
func (s *survey) read(w *worker, name string, e *inode.Entry, limit int) (content []byte, ok bool) {
	content, all, err := e.Read(w.buffer, limit)
	if err != nil && !inode.Gone(err) {
		s.problem(name, err)
	}
	return content, err == nil && all
}

// result puts together what the workers found.
func (s *survey) result() (Result, error) {
	r := Result{Trees: map[string]facts.Tree{}}
	for _, top := range append([]string{s.Code}, s.Others...) {
		if top != "" {
			r.Trees[top] = facts.Tree{}
		}
	}
	for i := range s.workers {
		w := &s.workers[i]
		for _, m := range w.inTrees {
			r.Trees[m.tree.top][m.name] = m.fact
		}
		o := &w.oddities
		r.Oddities.Entries += o.Entries
		r.Oddities.WorldWritable = append(r.Oddities.WorldWritable, o.WorldWritable...)
		r.Oddities.Unowned = append(r.Oddities.Unowned, o.Unowned...)
		r.Oddities.Privileged = append(r.Oddities.Privileged, o.Privileged...)
		r.Oddities.ACLs = append(r.Oddities.ACLs, o.ACLs...)
		r.Oddities.Flagged = append(r.Oddities.Flagged, o.Flagged...)
		r.Oddities.Secrets = append(r.Oddities.Secrets, o.Secrets...)
		r.PrivateKeys = append(r.PrivateKeys, w.keys...)
		*w = worker{integrity: w.integrity}
	}
	s.cut(&r.Oddities)
	r.PrivateKeys = sortedAndCut(r.PrivateKeys, func(k facts.PrivateKey) string { return k.Path }, &r.Oddities.Truncated)
	if err := s.origins(r.Oddities.Privileged); err != nil {
		s.problem("/var/lib/dpkg/info", err)
	}
	r.Integrity = s.integrity(r.Trees[s.Code], &r.Oddities.Truncated)
	r.Paths = s.paths(r)
	r.Unseen, r.CodeUnseen = s.unseen.String(), s.codeUnseen.String()
	return r, nil
}

func (s *survey) cut(o *facts.Oddities) {
	itself := func(name string) string { return name }
	o.WorldWritable = sortedAndCut(o.WorldWritable, itself, &o.Truncated)
	o.Unowned = sortedAndCut(o.Unowned, itself, &o.Truncated)
	o.ACLs = sortedAndCut(o.ACLs, itself, &o.Truncated)
	o.Flagged = sortedAndCut(o.Flagged, itself, &o.Truncated)
	o.Privileged = sortedAndCut(o.Privileged, func(p facts.Privileged) string { return p.Path }, &o.Truncated)
	o.Secrets = sortedAndCut(o.Secrets, func(p facts.SecretPlace) string { return p.Path + "\x00" + p.Kind }, &o.Truncated)
}

// sortedAndCut sorts a list, so that the same server gives the same facts, and
// cuts it at listLimit.
func sortedAndCut[T any](list []T, key func(T) string, cut *bool) []T {
	slices.SortFunc(list, func(a, b T) int { return strings.Compare(key(a), key(b)) })
	if len(list) > listLimit {
		*cut = true
		list = slices.Clip(list[:listLimit])
	}
	return list
}
