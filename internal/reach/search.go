package reach

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"rocca/internal/facts"
)

// origin is where a search begins: a user with all of its footholds, or one
// unit, or a network.
type origin struct {
	node  Node
	self  int // the node that it is; -1: none
	holds []int
}

// start is the number of the origin among the nodes of a search.
const start = -1

// state is a node as a search got to it.
type state struct {
	node  int
	actor int  // the last principal on the way; kept only where it matters
	dirty bool // something on the way was not intended
}

// reached is a state with the way to it.
type reached struct {
	state
	prev  int // index; -1: none
	via   *edge
	actor int // the last principal on the way
}

// rule tells whether a search takes an edge.
type rule func(dirty bool, e *edge) bool

// everything takes every edge.
func everything(bool, *edge) bool { return true }

// findings leaves out what follows from being meant to run code as somebody:
// what the front could make of Matomo is what Matomo could do.
func findings(dirty bool, e *edge) bool { return dirty || !e.intended || e.action != Become }

// rightful takes what an origin is meant to have.
func rightful(_ bool, e *edge) bool { return e.intended && e.action != Become }

// edgesOf calls yield with each edge that leads from a state.
func (g *Graph) edgesOf(o origin, s state, yield func(e *edge)) {
	holds, out := o.holds, []edge(nil)
	switch {
	case s.node != start:
		holds, out = g.nodes[s.node].holds, g.nodes[s.node].out
	case o.self >= 0:
		out = g.nodes[o.self].out
	}
	for _, i := range holds {
		for j := range g.out[i] {
			yield(&g.out[i][j])
		}
	}
	for j := range out {
		yield(&out[j])
	}
}

// explore searches breadth first, so that what comes first is nearest. It goes
// on from the last of what is given, which is a way from the origin.
func (g *Graph) explore(o origin, from []reached, takes rule) []reached {
	seen := map[state]bool{}
	for _, r := range from {
		seen[r.state] = true
	}
	found := slices.Clone(from)
	for at := len(from) - 1; at < len(found); at++ {
		current := found[at]
		if current.node != start && g.nodes[current.node].Kind == User && len(g.nodes[current.node].holds) == 0 {
			continue // root, or nobody: nothing more to learn
		}
		holds := o.holds
		if current.actor != start {
			holds = g.nodes[current.actor].holds
		}
		g.edgesOf(o, current.state, func(e *edge) {
			if e.to == o.self || !takes(current.dirty, e) || !g.satisfied(e.needs, holds) {
				return
			}
			next := reached{state: state{node: e.to, actor: start, dirty: current.dirty || !e.intended}, prev: at, via: e, actor: current.actor}
			switch {
			case g.nodes[e.to].Kind == User:
				next.actor = e.to
			case g.nodes[e.to].knower:
				next.state.actor = current.actor
			}
			if !seen[next.state] {
				seen[next.state] = true
				found = append(found, next)
			}
		})
	}
	return found
}

func beginning() []reached {
	return []reached{{state: state{node: start, actor: start}, prev: -1, actor: start}}
}

// path tells the way to one of what was reached.
func (g *Graph) path(o origin, found []reached, to int, last ...Hop) Path {
	var hops []Hop
	for at := to; found[at].prev >= 0; at = found[at].prev {
		e := found[at].via
		hops = append(hops, Hop{To: g.shown(e), Action: e.action, Why: e.why, Intended: e.intended})
	}
	slices.Reverse(hops)
	hops = append(hops, last...)
	from := o.node
	for i := range hops {
		hops[i].From = from
		from = hops[i].To
	}
	return Path{From: o.node, To: from, Hops: hops}
}

// shown is the node that an edge leads to, as it is told.
func (g *Graph) shown(e *edge) Node {
	n := g.nodes[e.to].Node
	if e.at != "" {
		n.Name = e.at
	}
	return n
}

// userOrigin starts from a Unix user.
func (g *Graph) userOrigin(name string) origin {
	o := origin{node: Node{User, name}, self: -1}
	if i, known := g.nodeOf[nodeKey{Node: Node{User, name}}]; known {
		o.self, o.holds = i, g.nodes[i].holds
	}
	return o
}

// principals are the users that something runs as, sorted.
func (g *Graph) principals() []string {
	var names []string
	for _, f := range g.footholds {
		names = append(names, f.user)
	}
	return slices.Compact(names)
}

// findingsOf is the search of what a user reaches and should not, kept.
func (g *Graph) findingsOf(user string) []reached {
	g.lock.Lock()
	defer g.lock.Unlock()
	if found, known := g.searched[user]; known {
		return found
	}
	found := g.explore(g.userOrigin(user), beginning(), findings)
	g.searched[user] = found
	return found
}

// holes are the ways from an origin into what it should not have: for each
// first step that is not intended, where it leads at worst.
func (g *Graph) holes(o origin) []Path {
	own := g.explore(o, beginning(), rightful)
	clean := map[int]bool{}
	for _, r := range own {
		clean[r.node] = true
	}
	type first struct {
		at   int
		edge *edge
	}
	var firsts []first
	open := map[int]bool{} // what the first steps lead to
	for at, r := range own {
		g.edgesOf(o, r.state, func(e *edge) {
			if !e.intended && e.to != o.self && !clean[e.to] && g.satisfied(e.needs, o.holds) {
				firsts = append(firsts, first{at, e})
				open[e.to] = true
			}
		})
	}
	worst := map[string]Path{}
	for _, f := range firsts {
		hop := reached{state: state{node: f.edge.to, actor: start, dirty: true}, prev: f.at, via: f.edge, actor: start}
		if g.nodes[f.edge.to].Kind == User {
			hop.actor = f.edge.to
		}
		p, matters := g.worst(o, append(own[:f.at+1:f.at+1], hop), clean, open)
		key := g.hole(f.edge)
		if before, told := worst[key]; matters && (!told || g.worse(p, before)) {
			worst[key] = p
		}
	}
	return slices.SortedFunc(maps.Values(worst), g.compare)
}

// hole names what lets an origin take an edge: a directory that it may write
// to, whatever is replaced there; a file or a socket. Files of the system that
// steer the same users are one hole when they are open for the same reason.
func (g *Graph) hole(e *edge) string {
	n := g.nodes[e.to]
	at := g.shown(e).Name
	switch {
	case e.action == Replace:
		return path.Dir(at)
	case e.action == Write && g.inode(at).Type == facts.Dir:
		return at
	case !n.system:
		return fmt.Sprint(e.to, e.action)
	}
	var next []string
	for _, e := range n.out {
		next = append(next, fmt.Sprint(e.to))
	}
	slices.Sort(next)
	return fmt.Sprint(e.action, n.weight, e.why, next)
}

// worst follows a hole to the worst that it leads to, if that matters. It does
// not go through other holes of the same origin: they are told by themselves.
func (g *Graph) worst(o origin, way []reached, clean, open map[int]bool) (Path, bool) {
	found := g.explore(o, way, func(_ bool, e *edge) bool { return e.intended || !open[e.to] })
	best, most := 0, weight(0)
	for i := len(way) - 1; i < len(found); i++ {
		if n := found[i].node; g.nodes[n].weight > most && !clean[n] {
			best, most = i, g.nodes[n].weight
		}
	}
	if most == 0 {
		return Path{}, false
	}
	return g.path(o, found, best), true
}

// worse tells which of two paths through one hole is to be told.
func (g *Graph) worse(a, b Path) bool {
	return cmp.Or(int(g.weightOf(a.To)-g.weightOf(b.To)), len(b.Hops)-len(a.Hops), strings.Compare(b.String(), a.String())) > 0
}

// compare orders paths: those to what matters most first.
func (g *Graph) compare(a, b Path) int {
	return cmp.Or(int(g.weightOf(b.To)-g.weightOf(a.To)), len(a.Hops)-len(b.Hops), strings.Compare(a.String(), b.String()))
}

func (g *Graph) weightOf(n Node) weight {
	w := way
	for _, facet := range []string{"", "read", "write"} {
		if i, known := g.nodeOf[nodeKey{n, facet}]; known {
			w = max(w, g.nodes[i].weight)
		}
	}
	return w
}
