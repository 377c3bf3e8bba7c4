package reach

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// Columns of the picture of a server.
const (
	columnInternet = iota
	columnFront
	columnPools
	columnUsers
	columnData
)

// Picture shows the server: the internet, the front, the pools, the users that
// they run as and the data, and in red who reaches what it should not.
func (g *Graph) Picture() model.Picture {
	d := drawing{}
	d.node(model.Node{ID: "internet", Kind: "internet", Column: columnInternet, Label: "Internet"})
	g.drawFront(&d)
	g.drawPools(&d)
	g.drawData(&d)
	g.drawHoles(&d)
	return d.Picture
}

// drawing is a picture in the making.
type drawing struct{ model.Picture }

func (d *drawing) node(n model.Node) string {
	if !d.has(n.ID) {
		n.Label, n.Note = tidy(n.Label), tidy(n.Note)
		d.Nodes = append(d.Nodes, n)
	}
	return n.ID
}

func (d *drawing) has(id string) bool {
	return slices.ContainsFunc(d.Nodes, func(n model.Node) bool { return n.ID == id })
}

func (d *drawing) mark(id string) {
	for i := range d.Nodes {
		if d.Nodes[i].ID == id {
			d.Nodes[i].Bad = true
		}
	}
}

func (d *drawing) link(l model.Link) {
	for i, has := range d.Links {
		if has.From != l.From || has.To != l.To || has.Bad != l.Bad {
			continue
		}
		if l.Label != "" && !strings.Contains(has.Label, l.Label) {
			d.Links[i].Label = strings.TrimPrefix(has.Label+", "+l.Label, ", ")
		}
		return
	}
	d.Links = append(d.Links, l)
}

func (d *drawing) user(name string) string {
	return d.node(model.Node{ID: "user:" + name, Kind: "user", Column: columnUsers, Label: name})
}

func poolID(pool facts.Pool) string { return "pool:" + pool.SAPI + ":" + pool.Name }

func (g *Graph) drawFront(d *drawing) {
	front := g.server.Front
	if front.Program == "" {
		return
	}
	var ports []string
	for _, site := range front.Sites {
		for _, listen := range site.Listens {
			if port := strconv.Itoa(listen.Port); !slices.Contains(ports, port) {
				ports = append(ports, port)
			}
		}
	}
	slices.Sort(ports)
	d.node(model.Node{ID: "front", Kind: "front", Column: columnFront, Label: front.Program, Note: "user " + front.User})
	d.link(model.Link{From: "internet", To: "front", Label: strings.Join(ports, ", ")})
}

func (g *Graph) drawPools(d *drawing) {
	for _, pool := range g.server.PHP.Pools {
		label := "PHP: " + pool.Name
		if pool.SAPI == "apache2" {
			label = "PHP in Apache"
		}
		id := d.node(model.Node{ID: poolID(pool), Kind: "pool", Column: columnPools, Label: label, Note: pool.Listen})
		if d.has("front") && (pool.SAPI == "apache2" || g.serves(pool)) {
			d.link(model.Link{From: "front", To: id})
		}
		d.link(model.Link{From: id, To: d.user(pool.User), Label: "runs as"})
	}
	for _, context := range g.server.Matomo.Contexts {
		if context.User != "" {
			d.user(context.User)
		}
	}
}

func (g *Graph) drawData(d *drawing) {
	m := g.server.Matomo
	if m.Real != "" {
		d.node(model.Node{ID: "code", Kind: "data", Column: columnData, Label: "Matomo's code", Note: m.Real})
	}
	for _, context := range m.Contexts {
		more := ""
		if len(m.Contexts) > 1 {
			more = " (" + context.Name + ")"
		}
		if context.Config != "" {
			d.node(model.Node{ID: "config:" + context.Config, Kind: "data", Column: columnData, Label: "configuration" + more, Note: context.Config})
		}
		if context.Tmp != "" {
			d.node(model.Node{ID: "tmp:" + context.Tmp, Kind: "data", Column: columnData, Label: "tmp" + more, Note: context.Tmp})
		}
		if schema := context.Setting("database.dbname"); schema != "" {
			d.node(model.Node{ID: "schema:" + schema, Kind: "database", Column: columnData, Label: "database " + schema, Note: g.server.Database.Version})
		}
		if context.User == "" {
			continue
		}
		if m.Real != "" {
			d.link(model.Link{From: "user:" + context.User, To: "code"})
		}
		if context.Config != "" {
			d.link(model.Link{From: "user:" + context.User, To: "config:" + context.Config, Label: "reads"})
		}
		if context.Tmp != "" {
			d.link(model.Link{From: "user:" + context.User, To: "tmp:" + context.Tmp, Label: "writes"})
		}
		if schema := context.Setting("database.dbname"); schema != "" {
			d.link(model.Link{From: "user:" + context.User, To: "schema:" + schema, Label: context.Setting("database.username")})
		}
	}
}

// others is the one node for users that own nothing in the picture.
const others = "others"

func (g *Graph) drawHoles(d *drawing) {
	var gathered []string
	for _, p := range g.Exposed() {
		from := "user:" + p.From.Name
		if p.From.Kind == Network {
			from = "internet"
		}
		if !d.has(from) {
			if p.From.Name == g.server.Front.User {
				d.user(p.From.Name)
			} else {
				from = others
				if !slices.Contains(gathered, p.From.Name) {
					gathered = append(gathered, p.From.Name)
				}
				d.node(model.Node{ID: others, Kind: "user", Column: columnUsers})
			}
		}
		d.mark(from)
		g.drawHole(d, from, p)
	}
	for i := range d.Nodes {
		if d.Nodes[i].ID != others {
			continue
		}
		d.Nodes[i].Label = fmt.Sprintf("%d other users", len(gathered))
		if len(gathered) == 1 {
			d.Nodes[i].Label = "user " + tidy(gathered[0])
		} else {
			d.Nodes[i].Note = tidy(strings.Join(gathered, ", "))
		}
	}
}

// drawHole draws each hop that is not intended, to the next that is in the
// picture.
func (g *Graph) drawHole(d *drawing, from string, p Path) {
	label := ""
	for _, hop := range p.Hops {
		if !hop.Intended && label == "" {
			label = labels[hop.Action]
			if hop.To.Kind == OPcache {
				label = "shared OPcache"
			}
		}
		to := g.pictured(d, hop.To)
		if to == "" {
			continue
		}
		if label != "" && to != from {
			d.link(model.Link{From: from, To: to, Label: label, Bad: true})
		}
		from, label = to, ""
	}
}

var labels = map[Action]string{Read: "reads", Write: "writes", Replace: "replaces", Become: "becomes", Connect: "connects", Know: "knows", Alter: "changes"}

// pictured is the node of the picture that stands for one of the graph; "" when
// it is not in it.
func (g *Graph) pictured(d *drawing, n Node) string {
	switch n.Kind {
	case User:
		if n.Name == "root" {
			return d.node(model.Node{ID: "user:root", Kind: "user", Column: columnData, Label: "root", Bad: true})
		}
		return d.user(n.Name)
	case Socket:
		for _, pool := range g.server.PHP.Pools {
			if pool.Listen != "" && sameListen(pool.Listen, n.Name) {
				return poolID(pool)
			}
		}
		return d.node(model.Node{ID: "socket:" + n.Name, Kind: "service", Column: columnPools, Label: n.Name})
	case Schema:
		return "schema:" + n.Name
	case File:
		return g.picturedFile(d, n.Name)
	case Unit, Account, OPcache, Secret, Network:
	}
	return ""
}

func (g *Graph) picturedFile(d *drawing, name string) string {
	for _, context := range g.server.Matomo.Contexts {
		if _, inside := relative(cmp.Or(context.Tmp, "-"), name); inside {
			return "tmp:" + context.Tmp
		}
		if name == context.Config || context.Config != "" && name == path.Dir(context.Config) {
			return "config:" + context.Config
		}
	}
	m := g.server.Matomo
	for _, top := range []string{m.Real, m.Root} {
		if _, inside := relative(cmp.Or(top, "-"), name); inside && d.has("code") {
			return "code"
		}
	}
	return ""
}

// Drawing shows paths from the left to the right, hops that are not intended in
// red.
func Drawing(paths []Path) model.Picture {
	d := drawing{}
	column := map[string]int{}
	add := func(n Node, at int) string {
		id := string(n.Kind) + ":" + n.Name
		if _, seen := column[id]; !seen {
			column[id] = at
			label, note := n.Name, string(n.Kind)
			if n.Kind == File {
				label, note = path.Base(n.Name), path.Dir(n.Name)
			}
			if before, after, of := strings.Cut(n.Name, " of "); n.Kind == Secret && of {
				label, note = before, after
			}
			d.node(model.Node{ID: id, Kind: string(n.Kind), Column: at, Label: label, Note: note})
		}
		return id
	}
	for _, p := range paths {
		from := add(p.From, 0)
		at := column[from]
		for _, hop := range p.Hops {
			to := add(hop.To, at+1)
			d.link(model.Link{From: from, To: to, Label: string(hop.Action), Bad: !hop.Intended})
			if !hop.Intended {
				d.mark(to)
			}
			from, at = to, column[to]
		}
	}
	return d.Picture
}
