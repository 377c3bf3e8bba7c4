package reach

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"rocca/internal/facts"
)

// Permission bits, as in a mode; owns is the right to change them.
const (
	search byte = 1
	write  byte = 2
	read   byte = 4
	owns   byte = 8
)

// class is all that decides about access to an inode: a tree has few of them.
type class struct {
	owner, group string
	mode         fs.FileMode
	kind         facts.Type
	acl          string // both attributes, as they are
	flags        string
}

// rights are what each foothold may do with the inodes of a class.
type rights struct {
	class
	bits      []byte // by foothold
	entries   []facts.ACLEntry
	inherited []facts.ACLEntry
	broken    bool // the ACL cannot be read
}

const sticky = 0o1000

func (c class) sticky() bool { return c.mode&sticky != 0 || c.mode&fs.ModeSticky != 0 }

func (c class) octal() string {
	return fmt.Sprintf("%04o", uint32(c.mode)&0o7777)
}

func classOf(p *facts.Path) class {
	c := class{owner: p.Owner, group: p.Group, mode: p.Mode, kind: p.Type, flags: p.Flags}
	if len(p.Xattrs) > 0 {
		c.acl = string(p.Xattrs["system.posix_acl_access"]) + "\x00" + string(p.Xattrs["system.posix_acl_default"])
	}
	return c
}

// classify returns the number of the class of an inode.
func (g *Graph) classify(p *facts.Path) int {
	c := classOf(p)
	if i, known := g.classes[c]; known {
		return i
	}
	r := rights{class: c, bits: make([]byte, len(g.footholds))}
	var err error
	if r.entries, r.inherited, err = p.ACL(); err != nil {
		r.broken = true
	}
	for i := range g.footholds {
		r.bits[i], _ = r.of(g, &g.footholds[i])
	}
	g.classes[c] = len(g.rights)
	g.rights = append(g.rights, r)
	return len(g.rights) - 1
}

// of tells what a foothold may do, and which entry of the mode or ACL says so:
// the first class that fits decides (acl(5), "ACCESS CHECK ALGORITHM").
func (r *rights) of(g *Graph, f *foothold) (byte, string) {
	if r.kind == facts.Absent {
		return search, "nothing is known of it"
	}
	if f.overrides {
		return read | write | search | owns, "a capability passes over the mode of"
	}
	if f.user == r.owner || f.uid >= 0 && g.server.Users[r.owner].Exists && g.server.Users[r.owner].UID == f.uid {
		return byte(r.mode>>6&7) | owns, "owner"
	}
	if r.broken {
		return read | write | search, "its ACL cannot be read and may let anybody"
	}
	if len(r.entries) > 0 {
		if bits, who, decided := r.byACL(g, f); decided {
			return bits, who
		}
		return byte(r.mode & 7), "everybody"
	}
	if f.in(r.group, g.gid(r.group)) {
		return byte(r.mode >> 3 & 7), "group " + r.group
	}
	return byte(r.mode & 7), "everybody"
}

func (g *Graph) gid(group string) int {
	if known, there := g.server.Groups[group]; there && known.Exists {
		return known.GID
	}
	return -1
}

func (r *rights) byACL(g *Graph, f *foothold) (byte, string, bool) {
	mask := maskOf(r.entries)
	for _, e := range r.entries {
		if e.Tag == "user" && e.ID >= 0 && e.ID == f.uid {
			return byte(e.Permissions & mask), "the ACL of user " + f.user, true
		}
	}
	var bits byte
	who, matched := "", false
	for _, e := range r.entries {
		if e.Tag != "group" {
			continue
		}
		own := e.ID < 0 && f.in(r.group, g.gid(r.group))
		if !own && (e.ID < 0 || !slices.Contains(f.gids, e.ID)) {
			continue
		}
		matched = true
		if got := byte(e.Permissions & mask); got&^bits != 0 {
			bits |= got
			if who = "group " + r.group; !own {
				who = "the ACL of group " + g.groupName(e.ID)
			}
		}
	}
	return bits, who, matched
}

func maskOf(entries []facts.ACLEntry) uint16 {
	for _, e := range entries {
		if e.Tag == "mask" {
			return e.Permissions
		}
	}
	return 7
}

func (g *Graph) groupName(gid int) string {
	if name, known := g.groupNames[gid]; known {
		return name
	}
	return fmt.Sprint(gid)
}

// later tells whether a default ACL lets a foothold write to what is made in a
// directory.
func (r *rights) later(f *foothold) (string, bool) {
	mask := maskOf(r.inherited)
	for _, e := range r.inherited {
		if e.Permissions&mask&uint16(write) == 0 || e.ID < 0 {
			continue
		}
		if e.Tag == "user" && e.ID == f.uid {
			return "its default ACL lets user " + f.user + " write to what is made in it", true
		}
		if e.Tag == "group" && slices.Contains(f.gids, e.ID) {
			return "its default ACL lets a group of " + f.user + " write to what is made in it", true
		}
	}
	return "", false
}

// why tells in words by what a foothold may do something.
func (g *Graph) why(f *foothold, r *rights, bit byte, verb, object string) string {
	bits, who := r.of(g, f)
	switch {
	case who == "owner" && bits&bit != 0:
		return fmt.Sprintf("owns %s (%s)", object, r.octal())
	case who == "owner":
		return fmt.Sprintf("owns %s, so may change its mode (%s)", object, r.octal())
	case strings.HasPrefix(who, "a capability"):
		return who + " " + object
	case r.broken:
		return who + " " + verb + " " + object
	case strings.HasPrefix(who, "the ACL"):
		return fmt.Sprintf("%s may %s %s (%s, %s)", strings.Replace(who, "the ACL of ", "an ACL says that ", 1), verb, object, r.octal(), "mask "+letters(maskOf(r.entries)))
	}
	return fmt.Sprintf("%s may %s %s (%s)", who, verb, object, r.octal())
}

// whyEntries tells by what a foothold may change the entries of a directory.
func (g *Graph) whyEntries(f *foothold, r *rights) string {
	why := g.why(f, r, write, "write to", "it")
	if r.sticky() && f.user != r.owner {
		return why + ", so may put more into it"
	}
	return why + ", so may replace what is in it"
}

func letters(permissions uint16) string {
	_, text, _ := strings.Cut(facts.ACLEntry{Tag: "mask", ID: -1, Permissions: permissions}.String(), "::")
	return text
}

// inode looks a path up, without following a link at its end.
func (g *Graph) inode(p string) facts.Path {
	if found, asked := g.server.Paths[p]; asked && found.Exists() {
		return found
	}
	for _, top := range g.tops { // the longest first
		if rel, below := relative(top, p); below {
			return g.server.Trees[top][rel]
		}
	}
	return facts.Path{}
}

// relative tells where a path is below a directory: "." when it is the
// directory.
func relative(top, p string) (string, bool) {
	if len(p) == 0 {
		return "", false
	}
	if p == top {
		return ".", true
	}
	if top == "/" {
		return p[1:], true
	}
	if len(p) > len(top) && p[len(top)] == '/' && p[:len(top)] == top {
		return p[len(top)+1:], true
	}
	return "", false
}

// step is one name that is looked up in one directory.
type step struct {
	dir   string
	entry string
	inode facts.Path // of the entry
}

// walk is how the kernel gets to a path: every name that it looks up, those of
// the targets of links among them.
type walk struct {
	steps []step
	path  string // real
	inode facts.Path
}

// linkLimit is how many links the kernel follows (path_resolution(7)).
const linkLimit = 40

// pathLimit caps the names that are looked up for one path.
const pathLimit = 512

// follow walks to a path and follows a link at its end. A walk that goes in
// circles ends nowhere.
func (g *Graph) follow(p string) walk {
	if w, known := g.walks[p]; known {
		return w
	}
	w := walk{path: "/"}
	rest := strings.Split(p, "/")
	links := 0
	for len(rest) > 0 {
		name := rest[0]
		rest = rest[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			w.path = path.Dir(w.path)
			continue
		}
		entry := path.Join(w.path, name)
		inode := g.inode(entry)
		if len(w.steps) == pathLimit {
			break
		}
		w.steps = append(w.steps, step{dir: w.path, entry: entry, inode: inode})
		if inode.Type != facts.Symlink {
			w.path = entry
			continue
		}
		if links++; links > linkLimit {
			w.path = ""
			break
		}
		if strings.HasPrefix(inode.Target, "/") {
			w.path = "/"
		}
		rest = append(strings.Split(inode.Target, "/"), rest...)
		if len(rest) > pathLimit {
			w.path = ""
			break
		}
	}
	if w.path != "" {
		w.inode = g.inode(w.path)
	}
	g.walks[p] = w
	return w
}

// real resolves the links of a path.
func (g *Graph) real(p string) string {
	if w := g.follow(p); w.path != "" {
		return w.path
	}
	return p
}

// placesAt tells what a real path is in each view, read-only mounts included.
func (g *Graph) placesAt(p string) []place {
	if places, known := g.places[p]; known {
		return places
	}
	places := make([]place, len(g.views))
	readonly := g.readonlyMount(p)
	for i, v := range g.views {
		places[i] = v.at(p)
		places[i].readonly = places[i].readonly || readonly
	}
	g.places[p] = places
	return places
}

func (g *Graph) readonlyMount(p string) bool {
	for at := p; ; at = path.Dir(at) {
		if readonly, mounted := g.mounts[at]; mounted {
			return readonly
		}
		if at == "/" || at == "." {
			return false
		}
	}
}

// may are the bits that a foothold really has on an inode of a class at a place.
func (g *Graph) may(f int, r *rights, at place) byte {
	if at.hidden {
		return 0
	}
	bits := r.bits[f]
	fixed := at.readonly || strings.Contains(r.flags, "i")
	if bits&owns != 0 && !fixed {
		bits |= read | write | search
	}
	if fixed {
		bits &^= write
	}
	return bits
}

// access is what a foothold can do to a path, and why; empty: it cannot.
type access struct {
	read    string
	write   string // its content
	connect string // to a socket
	replace string // put another in its place
	at      string // the entry that is put in another's place
}

// changes picks the stronger of writing and replacing.
func (a access) changes() (Action, string) {
	if a.write != "" {
		return Write, a.write
	}
	if a.replace != "" {
		return Replace, a.replace
	}
	return "", ""
}

// direct tells what one foothold can do to what a walk leads to.
func (g *Graph) direct(w walk, index int) access {
	var a access
	f := &g.footholds[index]
	for _, s := range g.entrance(w.steps, f.view) {
		dir := g.inode(s.dir)
		r := &g.rights[g.classify(&dir)]
		bits := g.may(index, r, g.placesAt(s.dir)[f.view])
		if bits&search == 0 {
			return a
		}
		if bits&(write|search) == write|search && g.replaceable(f, r, s) {
			a.at = s.entry
			a.replace = g.why(f, r, write, "write to", s.dir) + ", so may replace " + path.Base(s.entry)
		}
	}
	if w.path == "" || !w.inode.Exists() {
		return a
	}
	at := g.placesAt(w.path)[f.view]
	r := &g.rights[g.classify(&w.inode)]
	bits := g.may(index, r, at)
	switch w.inode.Type {
	case facts.Dir:
		if bits&search == 0 {
			return a
		}
		a.read = g.why(f, r, search, "enter", "it")
		if bits&write != 0 {
			a.write = g.whyEntries(f, r)
		} else if why, let := r.later(f); let && !at.readonly {
			a.write = why
		}
	case facts.Other:
		if r.bits[index]&(write|owns) != 0 && !at.hidden {
			a.connect = g.why(f, r, write, "connect to", "it")
		}
	default:
		if bits&read != 0 {
			a.read = g.why(f, r, read, "read", "it")
		}
		if bits&write != 0 {
			a.write = g.why(f, r, write, "write to", "it")
		}
	}
	return a
}

// entrance leaves out the steps before a path that a view mounts elsewhere too.
func (g *Graph) entrance(steps []step, view int) []step {
	if view == 0 {
		return steps
	}
	for i, s := range slices.Backward(steps) {
		if g.placesAt(s.entry)[view].entered {
			return steps[i+1:]
		}
	}
	return steps
}

// replaceable tells whether who may write to a directory may put another entry
// in the place of one of it.
func (g *Graph) replaceable(f *foothold, dir *rights, s step) bool {
	if !s.inode.Exists() {
		return dir.kind == facts.Dir && g.absent(s.entry)
	}
	if _, mounted := g.mounts[s.entry]; mounted || strings.ContainsAny(s.inode.Flags, "ai") || strings.Contains(dir.flags, "a") {
		return false
	}
	return !dir.sticky() || f.user == dir.owner || f.user == s.inode.Owner || f.overrides
}

// absent tells whether a path was looked for and is not there.
func (g *Graph) absent(p string) bool {
	found, asked := g.server.Paths[p]
	return asked && !found.Exists()
}
