package reach

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"rocca/internal/facts"
)

// area is a part of Matomo's directory that has an owner of its own.
type area int

const (
	code     area = iota
	settings      // config
	caches        // tmp
	uploads       // misc/user: logos, which the user interface writes
	areas
)

// change is one entry of a tree that a foothold can change.
type change struct {
	action Action
	path   string // absolute
	why    string
}

// better prefers what is nearer to the top, so that one entry tells of all
// below it.
func (c change) better(than change) bool {
	if than.path == "" {
		return true
	}
	return cmp.Or(strings.Count(c.path, "/")-strings.Count(than.path, "/"), strings.Compare(c.path, than.path)) < 0
}

// changes are what each foothold can change in each area, where it stands for
// the rest.
type changes [areas][]change

// dirState is what decides about the entries of a directory. Directories with
// the same state are told apart by nothing.
type dirState struct {
	enters []bool  // by foothold: it can look names up
	places []place // by view
	area   area
}

type stateKey struct {
	parent, class int
	point         string // the path, when a view, a mount or an area begins there
}

type groupKey struct{ state, class int }

// scan goes once over a tree. Entries are grouped by what decides about them,
// so that the rights are worked out for a few groups and not for each entry.
type scan struct {
	g      *Graph
	top    string
	tree   facts.Tree
	points map[string]bool // relative paths at which something begins
	areas  map[string]area
	states []dirState
	keys   map[stateKey]int
	dirs   map[string]int // state of each directory, by relative path
	groups map[groupKey]string
	links  []string
}

// areasOf are the directories of Matomo's contexts and of uploads.
func (g *Graph) areasOf() map[string]area {
	at := map[string]area{}
	for _, context := range g.server.Matomo.Contexts {
		if context.Config != "" {
			at[path.Dir(g.real(context.Config))] = settings
		}
		if context.Tmp != "" {
			at[g.real(context.Tmp)] = caches
		}
	}
	if real := g.server.Matomo.Real; real != "" {
		at[path.Join(real, "misc/user")] = uploads
		at[g.real(path.Join(real, "misc/user"))] = uploads
	}
	return at
}

// areaAt is the area that a path is in: of those that it is below, the deepest.
func areaAt(areas map[string]area, p string) area {
	found, deepest := code, -1
	for top, a := range areas {
		if _, inside := relative(top, p); inside && len(top) > deepest {
			found, deepest = a, len(top)
		}
	}
	return found
}

// scanTree finds what each foothold can change below a directory of a tree.
func (g *Graph) scanTree(top, below string) changes {
	s := &scan{g: g, top: top, tree: g.server.Trees[top], points: map[string]bool{}, areas: g.areasOf(),
		keys: map[stateKey]int{}, dirs: map[string]int{}, groups: map[groupKey]string{}}
	note := func(paths ...string) {
		for _, p := range paths {
			if rel, inside := relative(top, p); inside {
				s.points[rel] = true
			}
		}
	}
	for _, v := range g.views {
		note(v.points()...)
	}
	for point := range g.mounts {
		note(point)
	}
	for at := range s.areas {
		note(at)
	}
	s.start()
	prefix, all := "", below == top
	if !all {
		prefix, _ = relative(top, below)
	}
	for rel, inode := range s.tree {
		if !all && rel != prefix && (!strings.HasPrefix(rel, prefix) || rel[len(prefix)] != '/') {
			continue
		}
		s.entry(rel, &inode)
	}
	return s.conclude()
}

// start works out who gets to the top.
func (s *scan) start() {
	g := s.g
	w := g.follow(s.top)
	above := dirState{enters: make([]bool, len(g.footholds)), places: g.placesAt(path.Dir(s.top)), area: areaAt(s.areas, path.Dir(s.top))}
	for i := range above.enters {
		above.enters[i] = true
		for _, step := range g.entrance(w.steps, g.footholds[i].view) {
			dir := g.inode(step.dir)
			r := &g.rights[g.classify(&dir)]
			above.enters[i] = above.enters[i] && g.may(i, r, g.placesAt(step.dir)[g.footholds[i].view])&search != 0
		}
	}
	s.states = append(s.states, above)
}

// state is that of a directory, worked out from its parent's.
func (s *scan) state(rel string) int {
	if known, seen := s.dirs[rel]; seen {
		return known
	}
	parent := 0
	if rel != "." {
		parent = s.state(path.Dir(rel))
	}
	inode := s.tree[rel]
	key := stateKey{parent: parent, class: s.g.classify(&inode)}
	if s.points[rel] {
		key.point = rel
	}
	number, known := s.keys[key]
	if !known {
		number = len(s.states)
		s.keys[key] = number
		s.states = append(s.states, s.enter(key))
	}
	s.dirs[rel] = number
	return number
}

func (s *scan) enter(key stateKey) dirState {
	g, parent := s.g, s.states[key.parent]
	d := dirState{enters: make([]bool, len(parent.enters)), places: parent.places, area: parent.area}
	if key.point != "" {
		at := path.Join(s.top, key.point)
		d.places = g.placesAt(at)
		if a, begins := s.areas[at]; begins {
			d.area = a
		}
	}
	r := &g.rights[key.class]
	for i := range d.enters {
		at := d.places[g.footholds[i].view]
		d.enters[i] = (parent.enters[i] || at.entered) && g.may(i, r, at)&search != 0
	}
	return d
}

func (s *scan) entry(rel string, inode *facts.Path) {
	if inode.Type == facts.Symlink {
		s.links = append(s.links, rel)
		return
	}
	if inode.Type == facts.Dir || s.points[rel] {
		s.keep(groupKey{-1 - s.state(rel), s.g.classify(inode)}, rel)
		return
	}
	s.keep(groupKey{s.state(path.Dir(rel)), s.g.classify(inode)}, rel)
}

// keep remembers one entry of each group: the one that is told.
func (s *scan) keep(key groupKey, rel string) {
	if best, known := s.groups[key]; !known || (change{path: rel}).better(change{path: best}) || best == "" {
		s.groups[key] = rel
	}
}

// conclude works out what each foothold can change, group by group.
func (s *scan) conclude() changes {
	g := s.g
	var found changes
	for i := range found {
		found[i] = make([]change, len(g.footholds))
	}
	offer := func(a area, index int, c change) {
		if c.better(found[a][index]) {
			found[a][index] = c
		}
	}
	for key, rel := range s.groups {
		r := &g.rights[key.class]
		at := path.Join(s.top, rel)
		own := key.state < 0 // the entry has a state of its own
		state := &s.states[max(key.state, -1-key.state)]
		for i := range g.footholds {
			f := &g.footholds[i]
			bits := g.may(i, r, state.places[f.view])
			switch {
			case !state.enters[i] && (!own || r.kind == facts.Dir) || bits&write == 0:
			case r.kind != facts.Dir:
				offer(state.area, i, change{Write, at, g.why(f, r, write, "write to", "it")})
			default:
				offer(state.area, i, change{Write, at, g.whyEntries(f, r)})
			}
		}
	}
	for _, rel := range s.outward() {
		w := g.follow(path.Join(s.top, rel))
		a := areaAt(s.areas, w.path)
		for i := range g.footholds {
			if action, why := g.direct(w, i).changes(); action != "" {
				offer(a, i, change{action, path.Join(s.top, rel), why + " (it is a link to " + w.path + ")"})
			}
		}
	}
	return found
}

// outward are the links that lead out of the tree, sorted.
func (s *scan) outward() []string {
	out := slices.DeleteFunc(s.links, func(rel string) bool {
		target := s.tree[rel].Target
		if !path.IsAbs(target) {
			target = path.Join(s.top, path.Dir(rel), target)
		}
		_, inside := relative(s.top, path.Clean(target))
		return inside || target == ""
	})
	slices.Sort(out)
	return out
}
