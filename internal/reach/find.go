package reach

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// Find is the shortest way from a principal to a target, intended or not; false
// when there is none.
//
// from is a Unix user, a unit, a pool of PHP or the name of a site of it, or
// "internet". to is an absolute path, "secret", "database" or "become USER".
func (g *Graph) Find(from, to string) (Path, bool, error) {
	o, err := g.origin(from)
	if err != nil {
		return Path{}, false, err
	}
	t, err := g.target(to)
	if err != nil {
		return Path{}, false, err
	}
	p, found := g.nearestTo(o, g.explore(o, beginning(), everything), t, false)
	return p, found, nil
}

// Ask answers rocca reach: the ways from a principal to a target as Find takes
// them. Without a target, all that the principal should not reach; without a
// principal, the ways of everybody who should not reach the target; without
// both, Exposed.
func (g *Graph) Ask(from, to string) ([]Path, error) {
	switch {
	case from == "" && to == "":
		return g.Exposed(), nil
	case to == "":
		o, err := g.origin(from)
		if err != nil {
			return nil, err
		}
		return g.holes(o), nil
	case from != "":
		p, found, err := g.Find(from, to)
		if err != nil || !found {
			return nil, err
		}
		return []Path{p}, nil
	}
	t, err := g.target(to)
	if err != nil {
		return nil, err
	}
	var paths []Path
	for _, o := range g.origins() {
		if p, found := g.nearestTo(o, g.explore(o, beginning(), findings), t, true); found {
			paths = append(paths, p)
		}
	}
	return paths, nil
}

// Principals are the names that a question may start from, sorted: users,
// pools, units that do not run as root, and "internet".
func (g *Graph) Principals() []string {
	names := append([]string{"internet"}, g.principals()...)
	for _, pool := range g.server.PHP.Pools {
		if !g.isRoot(pool.User) {
			names = append(names, pool.Name)
		}
	}
	for _, f := range g.footholds {
		if f.unit != "" {
			names = append(names, f.unit)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (g *Graph) origins() []origin {
	origins := []origin{g.networkOrigin()}
	for _, name := range g.principals() {
		origins = append(origins, g.userOrigin(name))
	}
	return origins
}

// origin finds a principal by any name that it is known by.
func (g *Graph) origin(name string) (origin, error) {
	name = strings.TrimPrefix(name, "user ")
	if name == "internet" {
		return g.networkOrigin(), nil
	}
	if name != "" && g.isRoot(name) {
		return origin{}, fmt.Errorf("find what %s reaches: it is root, who reaches everything\nhint: name another user", tidy(name))
	}
	if slices.Contains(g.principals(), name) {
		return g.userOrigin(name), nil
	}
	for _, pool := range g.server.PHP.Pools {
		if pool.Name == name && slices.Contains(g.principals(), pool.User) {
			return g.userOrigin(pool.User), nil
		}
	}
	for _, unit := range []string{name, name + ".service"} {
		if o, is := g.unitOrigin(unit); is {
			return o, nil
		}
	}
	for _, site := range g.server.Front.Sites {
		if !slices.Contains(site.Names, name) {
			continue
		}
		for _, pool := range g.server.PHP.Pools {
			if asks(site, pool) && slices.Contains(g.principals(), pool.User) {
				return g.userOrigin(pool.User), nil
			}
		}
	}
	if _, is := g.server.Units[name]; is {
		return origin{}, fmt.Errorf("find what %s reaches: it runs as root, who reaches everything", tidy(name))
	}
	if g.server.Users[name].Exists {
		return origin{}, fmt.Errorf("find what user %s reaches: nothing runs as it, and it cannot log in", tidy(name))
	}
	return origin{}, fmt.Errorf("find what %q reaches: there is no such user, unit or application\nhint: known are %s", name, tidy(strings.Join(g.Principals(), ", ")))
}

func (g *Graph) unitOrigin(unit string) (origin, bool) {
	o := origin{node: Node{Unit, unit}, self: -1}
	for i, f := range g.footholds {
		if f.unit == unit {
			o.holds = append(o.holds, i)
			o.self = g.nodeOf[nodeKey{Node: Node{User, f.user}}]
		}
	}
	return o, len(o.holds) > 0
}

// target is what a question asks for: nodes, and what footholds do to a path
// themselves.
type target struct {
	nodes map[int]bool
	last  []Hop // by foothold; nil: none
}

func (g *Graph) target(name string) (target, error) {
	t := target{nodes: map[int]bool{}}
	user, become := strings.CutPrefix(name, "become ")
	switch {
	case path.IsAbs(name):
		at := path.Clean(name)
		t.last = g.lastHops(at, func(a access) (Action, string) {
			switch {
			case a.read != "":
				return Read, a.read
			case a.connect != "":
				return Connect, a.connect
			}
			return a.changes()
		}, nil)
		for key, i := range g.nodeOf {
			if key.Node == (Node{File, at}) || key.Node == (Node{Socket, at}) {
				t.nodes[i] = true
			}
		}
		return t, nil
	case name == "secret":
		for i, n := range g.nodes {
			if n.Kind == Secret || n.knower {
				t.nodes[i] = true
			}
		}
		return t, nil
	case name == "database":
		for i, n := range g.nodes {
			if n.Kind == Schema {
				t.nodes[i] = true
			}
		}
		return t, nil
	case become:
		user = strings.TrimSpace(user)
		if g.isRoot(user) && user != "" {
			user = "root"
		}
		if i, known := g.nodeOf[nodeKey{Node: Node{User, user}}]; known {
			t.nodes[i] = true
			return t, nil
		}
		if user == "root" || g.server.Users[user].Exists {
			return t, nil // nobody gets there
		}
		known := slices.Sorted(maps.Keys(g.server.Users))
		return t, fmt.Errorf("find who becomes %q: there is no such user\nhint: known are %s", user, tidy(strings.Join(known, ", ")))
	}
	return t, fmt.Errorf("find ways to %q: not an absolute path, \"secret\", \"database\" or \"become USER\"", name)
}

// nearestTo picks the nearest of what was reached that is, or gets at, a target.
func (g *Graph) nearestTo(o origin, found []reached, t target, dirtyOnly bool) (Path, bool) {
	for i, r := range found {
		if r.node != start && t.nodes[r.node] && (r.dirty || !dirtyOnly) {
			return g.path(o, found, i), true
		}
		holds := o.holds
		if r.node != start {
			holds = g.nodes[r.node].holds
		}
		if t.last == nil {
			continue
		}
		if hop, can := g.firstHop(t.last, holds); can && (!dirtyOnly || r.dirty || !hop.Intended) {
			return g.path(o, found, i, hop), true
		}
	}
	return Path{}, false
}
