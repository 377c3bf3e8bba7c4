// Package reach answers who can read, replace or become what: a graph built
// from facts, questions to it, and the shortest path printed hop by hop.
//
// Mode bits of a file alone say little: its parents, groups, ACLs, sockets,
// services, jobs and database grants count.
package reach

import (
	"cmp"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"

	"rocca/internal/facts"
)

// Kind is what a node of the graph is.
type Kind string

// The kinds of a node.
const (
	User    Kind = "user"    // a Unix user, by name: whoever controls a process of it
	Unit    Kind = "unit"    // one service, in its own sandbox only
	Account Kind = "account" // a database account, "matomo@localhost"
	File    Kind = "file"    // an inode, by path
	Socket  Kind = "socket"  // a Unix socket by path, or a port on an address
	OPcache Kind = "opcache" // compiled PHP that the pools of one master share
	Schema  Kind = "schema"  // a database schema
	Secret  Kind = "secret"  // "database password of /x/config.ini.php"
	Network Kind = "network" // a peer: "internet"
)

// Node is a principal or an object.
type Node struct {
	Kind Kind   `json:"kind"`
	Name string `json:"name"`
}

// String shows a node as a user would name it: "user app2", "/etc/passwd".
func (n Node) String() string {
	switch n.Kind {
	case File, Secret:
		return tidy(n.Name)
	case Network:
		return "the " + tidy(n.Name)
	case OPcache:
		return "OPcache of " + tidy(n.Name)
	case User, Unit, Account, Socket, Schema:
	}
	return string(n.Kind) + " " + tidy(n.Name)
}

// Action is what a principal can do to an object.
type Action string

// The actions.
const (
	Read    Action = "read"
	Write   Action = "write"   // change the content
	Replace Action = "replace" // put another in its place, through a directory above
	Become  Action = "become"  // run code as
	Connect Action = "connect" // to a socket; log in to an account
	Know    Action = "know"    // a secret
	Alter   Action = "alter"   // rows of a schema
)

// Hop is one step of a path.
type Hop struct {
	From     Node   `json:"from"`
	To       Node   `json:"to"`
	Action   Action `json:"action"`
	Why      string `json:"why"`                // "group www-data may write to it (0775)"
	Intended bool   `json:"intended,omitempty"` // it is what the server is built to do, such as the front that speaks to its own pool, or follows from the hop before
}

// Path is the shortest way from a principal to what it reaches.
type Path struct {
	From Node  `json:"from"`
	To   Node  `json:"to"`
	Hops []Hop `json:"hops"`
}

// Graph is who reaches what on one server. It may be asked by many at once.
type Graph struct {
	server    facts.Server
	footholds []foothold // sorted by user
	views     []*view    // the first is that of no sandbox
	memberOf  map[string][]string

	tops       []string        // of trees, the longest first
	mounts     map[string]bool // point -> read-only
	groupNames map[int]string

	nodes        []node
	nodeOf       map[nodeKey]int
	out          [][]edge // by foothold
	runs         map[string]bool
	internet     int
	databaseUser string
	bySocket     []bool // by foothold: it connects to the database
	byTCP        []bool

	lock     sync.Mutex // of what follows: found once, when first asked
	classes  map[class]int
	rights   []rights
	walks    map[string]walk
	places   map[string][]place
	scanned  map[string]changes // by directory
	searched map[string][]reached
}

// New builds the graph of a server.
func New(s facts.Server) *Graph {
	g := &Graph{server: s, mounts: map[string]bool{}, groupNames: map[int]string{}, classes: map[class]int{},
		walks: map[string]walk{}, places: map[string][]place{}, scanned: map[string]changes{}, searched: map[string][]reached{}}
	g.tops = slices.SortedFunc(maps.Keys(s.Trees), func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	for _, mount := range s.Mounts {
		g.mounts[mount.Point] = slices.Contains(mount.Options, "ro")
	}
	for _, name := range slices.Sorted(maps.Keys(s.Groups)) {
		if group := s.Groups[name]; group.Exists {
			g.groupNames[group.GID] = name
		}
	}
	g.build()
	return g
}

// Readers are the ways by which Unix users other than root read a file, get at
// what is in a directory, or connect to a socket (see Connectors for those of
// FastCGI). Users who get there only by what the server is
// built to do (intended hops) are left out. The order is by the user's name.
func (g *Graph) Readers(path string) []Path {
	return g.ways(path, "read", func(a access) (Action, string) {
		if a.read == "" && a.connect != "" {
			return Connect, a.connect
		}
		return Read, a.read
	}, nil)
}

// Writers are the ways by which Unix users other than root change the content
// of a file or directory, or put another in its place. Who is meant to do so
// itself, such as a pool in its own tmp, is among them, with an intended hop.
func (g *Graph) Writers(path string) []Path {
	return g.ways(path, "write", access.changes, nil)
}

// WritersBelow are the ways by which Unix users other than root change or
// replace anything at or below a directory: for each user the shortest.
func (g *Graph) WritersBelow(dir string) []Path {
	return g.ways(dir, "write", access.changes, g.nearest(g.changesIn(dir, -1)))
}

// CodeWriters are WritersBelow of Matomo's code alone: its settings, its tmp and
// uploaded files are left out.
func (g *Graph) CodeWriters() []Path {
	root := g.server.Matomo.Real
	if root == "" {
		return nil
	}
	return g.ways(root, "write", access.changes, g.nearest(g.changesIn(root, int(code))))
}

// Connectors are the ways by which Unix users get to a socket that the graph
// knows (of FastCGI or Redis), beyond those who are meant to: "/run/x.sock",
// "127.0.0.1:9000".
func (g *Graph) Connectors(listen string) []Path {
	var paths []Path
	for _, name := range g.principals() {
		found := g.findingsOf(name)
		for i, r := range found {
			if r.node != start && g.nodes[r.node].Kind == Socket && sameListen(listen, g.nodes[r.node].Name) {
				if r.dirty {
					paths = append(paths, g.path(g.userOrigin(name), found, i))
				}
				break
			}
		}
	}
	return paths
}

// From is what a Unix user reaches that it should not: Matomo's secrets, code,
// state, schema and users, and root. Empty: nothing. There is one path for each
// hole, to the worst that it leads to.
func (g *Graph) From(user string) []Path {
	if g.isRoot(user) {
		return nil
	}
	return g.holes(g.userOrigin(user))
}

// Exposed is From of every Unix user that runs something or can log in, and of
// the network.
func (g *Graph) Exposed() []Path {
	paths := g.holes(g.networkOrigin())
	for _, name := range g.principals() {
		paths = append(paths, g.From(name)...)
	}
	return paths
}

func (g *Graph) networkOrigin() origin {
	return origin{node: g.nodes[g.internet].Node, self: g.internet}
}

// Without leaves out the paths of these users.
func Without(paths []Path, users ...string) []Path {
	return slices.DeleteFunc(slices.Clone(paths), func(p Path) bool {
		return p.From.Kind == User && slices.Contains(users, p.From.Name)
	})
}

// String tells a path in one line: "user app2 -> connect socket 127.0.0.1:9000
// -> become user matomo".
func (p Path) String() string {
	text := p.From.String()
	for _, hop := range p.Hops {
		text += " -> " + string(hop.Action) + " " + hop.To.String()
	}
	return text
}

// Clean tells whether all of a path is what the server is built to do.
func (p Path) Clean() bool {
	return !slices.ContainsFunc(p.Hops, func(h Hop) bool { return !h.Intended })
}

// ways are the shortest paths of each user that end with an action on a path.
// further are actions of footholds on something below it.
func (g *Graph) ways(at, facet string, pick func(access) (Action, string), further []change) []Path {
	at = path.Clean("/" + at)
	last := g.lastHops(at, pick, further)
	target, known := g.nodeOf[nodeKey{Node{File, at}, facet}]
	var paths []Path
	for _, name := range g.principals() {
		o := g.userOrigin(name)
		found := g.findingsOf(name)
		for i, r := range found {
			if known && r.node == target && r.dirty {
				paths = append(paths, g.path(o, found, i))
				break
			}
			holds, direct := o.holds, r.node == start
			if !direct {
				if g.nodes[r.node].Kind != User {
					continue
				}
				holds = g.nodes[r.node].holds
			}
			hop, can := g.firstHop(last, holds)
			if !can {
				continue
			}
			if r.dirty || !hop.Intended || facet == "write" {
				paths = append(paths, g.path(o, found, i, hop))
			}
			break // nothing is to be found of who is meant to
		}
	}
	return paths
}

func (g *Graph) firstHop(last []Hop, holds []int) (Hop, bool) {
	for _, i := range holds {
		if last[i].Action != "" {
			return last[i], true
		}
	}
	return Hop{}, false
}

// lastHops are what each foothold does to a path itself.
func (g *Graph) lastHops(at string, pick func(access) (Action, string), further []change) []Hop {
	g.lock.Lock()
	defer g.lock.Unlock()
	hops := make([]Hop, len(g.footholds))
	route := g.follow(at)
	own := g.meantFor(route.path)
	for i := range hops {
		a := g.direct(route, i)
		action, why := pick(a)
		to := at
		switch {
		case why != "":
			if action == Replace {
				to = a.at
			}
		case len(further) > 0 && further[i].path != "":
			action, why, to = further[i].action, further[i].why, further[i].path
		default:
			continue
		}
		hops[i] = Hop{To: Node{File, to}, Action: action, Why: why, Intended: own[g.footholds[i].user]}
	}
	return hops
}

// meantFor are the users for whom a path of Matomo's state is made.
func (g *Graph) meantFor(real string) map[string]bool {
	own := map[string]bool{}
	for _, context := range g.server.Matomo.Contexts {
		for _, place := range []string{context.Config, context.Tmp, path.Dir(context.Config)} {
			if place == "" || place == "." {
				continue
			}
			if _, inside := relative(g.real(place), real); inside {
				maps.Copy(own, g.owners(context))
			}
		}
	}
	delete(own, "")
	return own
}

// changesBelow is scanTree, kept. The directory is in a tree.
func (g *Graph) changesBelow(dir string) changes {
	if found, known := g.scanned[dir]; known {
		return found
	}
	var found changes
	for _, top := range g.tops {
		if _, inside := relative(top, dir); inside {
			found = g.scanTree(top, dir)
			break
		}
	}
	g.scanned[dir] = found
	return found
}

// changesIn are the changes at or below a directory in one area, or in all (-1),
// of trees and of single paths.
func (g *Graph) changesIn(dir string, only int) []changes {
	dir = path.Clean("/" + dir)
	g.lock.Lock()
	defer g.lock.Unlock()
	dir = g.real(dir)
	var all []changes
	keep := func(c changes) {
		for a := range c {
			if only >= 0 && a != only {
				c[a] = nil
			}
		}
		all = append(all, c)
	}
	for _, top := range g.tops {
		if _, inside := relative(top, dir); inside {
			keep(g.changesBelow(dir))
		} else if _, inside := relative(dir, top); inside {
			keep(g.changesBelow(top))
		}
	}
	areas := g.areasOf()
	for _, p := range slices.Sorted(maps.Keys(g.server.Paths)) {
		if _, inside := relative(dir, p); !inside || !g.server.Paths[p].Exists() {
			continue
		}
		of := make([]change, len(g.footholds))
		route := g.follow(p)
		for i := range of {
			if action, why := g.direct(route, i).changes(); action != "" {
				of[i] = change{action, p, why}
			}
		}
		var single changes
		single[areaAt(areas, p)] = of
		keep(single)
	}
	return all
}

// nearest picks for each foothold the change that is nearest to the top.
func (g *Graph) nearest(all []changes) []change {
	best := make([]change, len(g.footholds))
	for _, each := range all {
		for _, of := range each {
			for i, c := range of {
				if c.path != "" && c.better(best[i]) {
					best[i] = c
				}
			}
		}
	}
	return best
}
