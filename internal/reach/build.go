package reach

import (
	"cmp"
	"io/fs"
	"maps"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"

	"rocca/internal/facts"
)

// weight is how much it matters that a node is reached; 0: it is only a way.
type weight int

const (
	way        weight = iota * 10
	trace             // logs
	cached            // what Matomo keeps between requests
	program           // code and what steers it
	private           // configuration and keys
	credential        // what is in them
	service           // a user that others rely on: the front, the database server
	person            // a user that runs Matomo
	visits            // the schema
	all               // root
)

// node is a node of the graph with the edges that lead from it.
type node struct {
	Node
	weight weight
	holds  []int // footholds of a user
	knower bool  // what follows depends on who got here
	system bool  // one of many files that steer a program
	out    []edge
}

// edge is one thing that whoever got to a node can do.
type edge struct {
	to       int
	action   Action
	why      string
	intended bool
	at       string // the very file, where the node stands for many
	needs    need   // that whoever got here must be able to do
}

// need is how a database account is used.
type need struct {
	socket, tcp, remote bool // any of them; none: nothing is needed
}

// build makes the graph.
func (g *Graph) build() {
	g.findFootholds()
	g.nodeOf = map[nodeKey]int{}
	for i, f := range g.footholds {
		u := g.user(f.user)
		g.nodes[u].holds = append(g.nodes[u].holds, i)
	}
	g.out = make([][]edge, len(g.footholds))
	g.weighUsers()
	g.internet = g.node(Node{Network, "internet"}, "", way)
	g.application()
	g.matomo()
	g.fastcgi()
	g.opcache()
	g.databaseServer()
	g.redis()
	g.php()
	g.front()
	g.units()
	g.jobs()
	g.identity()
	g.logs()
	g.environments()
}

type nodeKey struct {
	Node
	facet string // "read" or "write" of a file; empty otherwise
}

// node returns the number of a node and makes it when there is none.
func (g *Graph) node(n Node, facet string, w weight) int {
	key := nodeKey{n, facet}
	i, known := g.nodeOf[key]
	if !known {
		i = len(g.nodes)
		g.nodeOf[key] = i
		g.nodes = append(g.nodes, node{Node: n})
	}
	g.nodes[i].weight = max(g.nodes[i].weight, w)
	return i
}

func (g *Graph) user(name string) int {
	if g.isRoot(name) {
		return g.node(Node{User, "root"}, "", all)
	}
	return g.node(Node{User, name}, "", way)
}

// link adds what whoever got to a node can do next.
func (g *Graph) link(from int, e edge) {
	if slices.ContainsFunc(g.nodes[from].out, func(has edge) bool { return has.to == e.to && has.action == e.action }) {
		return
	}
	g.nodes[from].out = append(g.nodes[from].out, e)
}

// weighUsers tells which users matter.
func (g *Graph) weighUsers() {
	g.runs = map[string]bool{}
	for _, context := range g.server.Matomo.Contexts {
		g.runs[context.User] = true
	}
	for _, pool := range g.server.MatomoPools() {
		g.runs[pool.User] = true
	}
	delete(g.runs, "")
	for _, name := range slices.Sorted(maps.Keys(g.runs)) {
		g.node(Node{User, name}, "", person)
	}
	if g.server.Front.User != "" && len(g.runs) > 0 {
		front := g.user(g.server.Front.User)
		g.nodes[front].weight = max(g.nodes[front].weight, service)
	}
}

// owners are the users that a context is made for.
func (g *Graph) owners(context facts.Context) map[string]bool {
	own := map[string]bool{context.User: true}
	for _, pool := range g.server.MatomoPools() {
		if slices.Contains(strings.Fields(pool.Role), context.Name) || len(g.server.Matomo.Contexts) == 1 {
			own[pool.User] = true
		}
	}
	return own
}

// reading returns the node that stands for having read a path, with an edge
// from each foothold that can. own are those that are meant to.
func (g *Graph) reading(p string, w weight, own map[string]bool) int {
	return g.having(p, "read", func(a access) (Action, string) { return Read, a.read }, w, own)
}

// changing returns the node that stands for having changed a path, with edges
// as reading's.
func (g *Graph) changing(p string, w weight, own map[string]bool) int {
	return g.having(p, "write", access.changes, w, own)
}

// having is reading or changing, by the facet. pick tells whether access is enough
// and why.
func (g *Graph) having(p, facet string, pick func(access) (Action, string), w weight, own map[string]bool) int {
	_, known := g.nodeOf[nodeKey{Node{File, p}, facet}]
	n := g.node(Node{File, p}, facet, w)
	if known {
		return n
	}
	route := g.follow(p)
	for i := range g.footholds {
		a := g.direct(route, i)
		action, why := pick(a)
		if why == "" {
			continue
		}
		e := edge{to: n, action: action, why: why, intended: own[g.footholds[i].user]}
		if action == Replace && a.at != p {
			e.at = a.at
		}
		g.out[i] = append(g.out[i], e)
	}
	return n
}

// steers says that whoever changed a path runs code as a user.
func (g *Graph) steers(p string, w weight, user, why string) {
	if p == "" || !path.IsAbs(p) || strings.HasPrefix(p, "/dev/") {
		return
	}
	n := g.changing(path.Clean(p), w, nil)
	g.nodes[n].system = true
	g.link(n, edge{to: g.user(user), action: Become, why: why, intended: true})
}

// replacing are what footholds can put another in the place of, on the way to a
// path.
func (g *Graph) replacing(p string) []change {
	found := make([]change, len(g.footholds))
	route := g.follow(p)
	for i := range found {
		if a := g.direct(route, i); a.replace != "" {
			found[i] = change{Replace, a.at, a.replace}
		}
	}
	return found
}

// below adds changes of entries below a path, or of links to it, to the node of
// its changes.
func (g *Graph) below(n int, found []change, own map[string]bool) {
	for i, c := range found {
		if c.path == "" || slices.ContainsFunc(g.out[i], func(e edge) bool { return e.to == n }) {
			continue
		}
		e := edge{to: n, action: c.action, why: c.why, intended: own[g.footholds[i].user], at: c.path}
		if g.nodes[n].Name == c.path {
			e.at = ""
		}
		g.out[i] = append(g.out[i], e)
	}
}

// matomo adds the code, the settings and what Matomo keeps in files.
func (g *Graph) matomo() {
	m := g.server.Matomo
	var inTree changes
	if len(g.server.Trees[m.Real]) > 0 {
		inTree = g.changesBelow(m.Real)
	} else {
		for i := range inTree {
			inTree[i] = make([]change, len(g.footholds))
		}
	}
	for _, context := range m.Contexts {
		own := g.owners(context)
		if context.Config != "" {
			g.nodes[g.reading(context.Config, private, own)].knower = true
			w := g.changing(context.Config, program, own)
			if _, inside := relative(m.Real, g.real(context.Config)); inside {
				g.below(w, inTree[settings], own)
			}
			g.link(w, edge{to: g.user(context.User), action: Become, why: "Matomo loads the plugins and files that its configuration names", intended: true})
		}
		if context.Tmp != "" {
			g.reading(context.Tmp, cached, own)
			w := g.changing(context.Tmp, program, own)
			if _, inside := relative(m.Real, g.real(context.Tmp)); inside {
				g.below(w, inTree[caches], own)
			}
			for _, user := range slices.Sorted(maps.Keys(own)) {
				g.link(w, edge{to: g.user(user), action: Become, why: "Matomo includes the PHP in its tmp", intended: true})
			}
		}
	}
	if m.Real == "" {
		return
	}
	tree := g.changing(m.Real, program, nil)
	g.below(tree, inTree[code], nil)
	for _, user := range slices.Sorted(maps.Keys(g.runs)) {
		g.link(tree, edge{to: g.user(user), action: Become, why: "it runs this code", intended: true})
	}
	// Who replaces the link that is served, or a directory above it, replaces
	// the code.
	for _, p := range []string{m.Root, g.server.Rocca.Link} {
		if p != "" {
			g.below(tree, g.replacing(p), nil)
		}
	}
	g.steers(m.Bootstrap, program, cmp.Or(m.Main().User, "root"), "it runs the code there")
	for _, name := range []string{"matomo.js", "piwik.js"} {
		if p := path.Join(m.Real, name); g.inode(p).Exists() {
			g.changing(p, program, nil) // it runs in the browser of every visitor of every tracked site
		}
	}
}

// application adds the code of others' PHP.
func (g *Graph) application() {
	for _, site := range g.server.Front.Sites {
		root := cmp.Or(site.Real, site.Docroot)
		if site.Matomo || root == "" || root == g.server.Matomo.Real {
			continue
		}
		for _, pool := range g.server.OtherPools() {
			if asks(site, pool) {
				n := g.changing(root, way, map[string]bool{pool.User: true})
				g.link(n, edge{to: g.user(pool.User), action: Become, why: "it runs the code there", intended: true})
			}
		}
	}
}

// endpoint normalises where FastCGI or a database listens: a path, or
// "address:port" with an empty address for all.
func endpoint(listen string) string {
	listen = strings.TrimPrefix(listen, "fcgi://")
	listen = strings.TrimPrefix(listen, "proxy:")
	listen = strings.TrimPrefix(listen, "unix:")
	listen, _, _ = strings.Cut(listen, "|")
	if listen == "" {
		return ""
	}
	if strings.HasPrefix(listen, "/") {
		return path.Clean(listen)
	}
	i := strings.LastIndexByte(listen, ':')
	address, port := strings.Trim(listen[:max(i, 0)], "[]"), strings.TrimRight(listen[i+1:], "/")
	if address == "*" || address == "0.0.0.0" || address == "::" {
		address = ""
	}
	if address == "localhost" {
		address = "127.0.0.1"
	}
	return address + ":" + port
}

func sameListen(backend, listen string) bool {
	a, b := endpoint(backend), endpoint(listen)
	if a == b {
		return true
	}
	_, port, tcp := cutLast(a, ":")
	return tcp && b == ":"+port
}

// connecting returns the node of a socket, with an edge from each foothold that
// can connect. intended says who is meant to.
func (g *Graph) connecting(listen string, mode facts.Path, w weight, intended func(f *foothold) bool) int {
	at := endpoint(listen)
	if strings.HasPrefix(at, "/") {
		n := g.node(Node{Socket, at}, "", w)
		route := g.follow(at)
		if !route.inode.Exists() {
			route.inode = mode
		}
		for i := range g.footholds {
			f := &g.footholds[i]
			if a := g.direct(route, i); a.connect != "" && f.unix {
				g.out[i] = append(g.out[i], edge{to: n, action: Connect, why: a.connect, intended: intended(f)})
			}
		}
		return n
	}
	address, port, _ := cutLast(at, ":")
	shown := listen
	if address == "" {
		shown = "*:" + port
	}
	n := g.node(Node{Socket, shown}, "", w)
	for i := range g.footholds {
		if f := &g.footholds[i]; f.loopback {
			g.out[i] = append(g.out[i], edge{to: n, action: Connect, why: "every local user may connect to a TCP port", intended: intended(f)})
		}
	}
	if ip, err := netip.ParseAddr(address); (err != nil || !ip.IsLoopback()) && g.letsIn(port) {
		g.link(g.internet, edge{to: n, action: Connect, why: "it listens on " + cmp.Or(address, "all addresses")})
	}
	return n
}

func cutLast(text, separator string) (before, after string, found bool) {
	i := strings.LastIndex(text, separator)
	if i < 0 {
		return text, "", false
	}
	return text[:i], text[i+len(separator):], true
}

// letsIn tells whether the packet filter lets connections to a port in.
func (g *Graph) letsIn(port string) bool {
	for _, chain := range g.server.Firewall.Chains {
		if chain.Hook != "input" || chain.Policy != "drop" {
			continue
		}
		open := slices.ContainsFunc(chain.Rules, func(r facts.Rule) bool {
			return r.Verdict == "accept" && r.In != "lo" && slices.Contains(r.Ports, port)
		})
		if !open {
			return false
		}
	}
	return true
}

// fastcgi adds the sockets at which PHP waits: whoever speaks FastCGI to them
// says which file runs with which settings.
func (g *Graph) fastcgi() {
	for _, pool := range g.server.PHP.Pools {
		if pool.Listen == "" {
			continue
		}
		observed := facts.Path{Type: facts.Other, Owner: cmp.Or(pool.Owner, pool.MasterAs, "root"), Group: cmp.Or(pool.OwnGroup, "root"), Mode: socketMode(pool.Mode)}
		n := g.connecting(pool.Listen, observed, way, func(f *foothold) bool { return f.user == pool.User || g.fronts(f.user, pool) })
		g.link(n, edge{to: g.user(pool.User), action: Become, intended: true,
			why: "the pool " + pool.Name + " runs what FastCGI asks for, with the settings it asks for"})
	}
}

// fronts tells whether a user is the web server that a pool was made for.
func (g *Graph) fronts(user string, pool facts.Pool) bool {
	front := g.server.Front
	if user != front.User {
		return false
	}
	if pool.OwnGroup == front.Group && pool.OwnGroup != "" || pool.Owner == user {
		return true
	}
	known := slices.ContainsFunc(front.Sites, func(s facts.Site) bool {
		return slices.ContainsFunc(s.Locations, func(l facts.Location) bool { return l.Backend != "" })
	})
	return !known || g.serves(pool)
}

// serves tells whether the front sends requests to a pool.
func (g *Graph) serves(pool facts.Pool) bool {
	return slices.ContainsFunc(g.server.Front.Sites, func(s facts.Site) bool { return asks(s, pool) })
}

// asks tells whether a site sends requests to a pool.
func asks(site facts.Site, pool facts.Pool) bool {
	return slices.ContainsFunc(site.Locations, func(l facts.Location) bool {
		return l.Backend != "" && sameListen(l.Backend, pool.Listen)
	})
}

// opcache adds the compiled code that pools of one master share
// (opcache.validate_permission is off unless set).
func (g *Graph) opcache() {
	masters := map[string][]facts.Pool{}
	for _, pool := range g.server.PHP.Pools {
		if pool.SAPI == "fpm" && pool.Master != "" && !off(pool.Value("opcache.enable", "1")) {
			masters[pool.Master] = append(masters[pool.Master], pool)
		}
	}
	for _, master := range slices.Sorted(maps.Keys(masters)) {
		pools := masters[master]
		for _, reader := range pools {
			for _, owner := range pools {
				if reader.User == owner.User || owner.Role == "" || !off(reader.Value("opcache.validate_permission", "0")) {
					continue
				}
				shared := g.node(Node{OPcache, master + " of " + owner.User}, "", way)
				for i, f := range g.footholds {
					if f.user == reader.User && f.unit == g.unitOf(reader) {
						g.out[i] = append(g.out[i], edge{to: shared, action: Read,
							why: "the pools " + reader.Name + " and " + owner.Name + " share one OPcache, and opcache.validate_permission is off"})
					}
				}
				for _, context := range g.server.Matomo.Contexts {
					if context.Tmp != "" && g.owners(context)[owner.User] {
						g.link(shared, edge{to: g.reading(context.Tmp, cached, g.owners(context)), action: Read, intended: true,
							why: "what Matomo included from there is in it, compiled, whatever the mode of the file"})
					}
				}
			}
		}
	}
}

func off(value string) bool {
	return slices.Contains([]string{"", "0", "off", "no", "false"}, strings.ToLower(value))
}

// php adds the configuration of PHP.
func (g *Graph) php() {
	for _, pool := range g.server.PHP.Pools {
		master := pool.MasterAs
		if pool.SAPI == "apache2" {
			master = "root"
		}
		why := "PHP's master reads it, and loads the extensions that it names"
		g.steers(pool.File, program, cmp.Or(master, pool.User), why)
		for _, sapi := range g.server.PHP.SAPIs {
			if sapi.Name != pool.SAPI || sapi.Branch != pool.Branch {
				continue
			}
			for _, file := range sapi.Files {
				g.steers(file, program, cmp.Or(master, pool.User), why)
			}
		}
	}
	for _, sapi := range g.server.PHP.SAPIs {
		if sapi.Name != "cli" {
			continue
		}
		for _, file := range sapi.Files {
			g.steers(file, program, "root", "root's PHP reads it, and loads the extensions that it names")
		}
	}
}

// front adds the configuration and keys of the web server.
func (g *Graph) front() {
	front := g.server.Front
	for _, file := range append([]string{front.Config}, front.Files...) {
		g.steers(file, program, "root", front.Program+" starts as root and reads it")
	}
	for _, site := range g.server.MatomoSites() {
		if site.Key != "" {
			g.reading(site.Key, private, nil)
		}
	}
}

// Programs that run what their arguments name.
var interpreters = []string{"sh", "bash", "dash", "env", "nice", "ionice", "flock", "timeout", "run-parts", "test", "[", "chronic", "setsid", "nohup",
	"php", "python", "perl", "ruby", "node", "awk", "su", "runuser", "setpriv", "chpst", "systemd-run"}

func interprets(program string) bool {
	base := path.Base(program)
	return slices.ContainsFunc(interpreters, func(name string) bool { return strings.HasPrefix(base, name) })
}

// started are those of a command's absolute paths that are run: the first, and
// the scripts that an interpreter is given.
func (g *Graph) started(paths []string) []string {
	if len(paths) == 0 {
		return nil
	}
	run := paths[:1:1]
	for i, p := range paths[1:] {
		inode := g.follow(p).inode
		script := inode.Mode&0o111 != 0 && inode.Type == facts.File || slices.Contains([]string{".php", ".sh", ".py", ".pl", ".rb", ".phar"}, path.Ext(p))
		if script && (interprets(paths[0]) || interprets(paths[i])) || inode.Type == facts.Dir && interprets(paths[0]) && strings.Contains(paths[0], "run-parts") {
			run = append(run, p)
		}
	}
	return run
}

// runsAs says that a command is run as a user.
func (g *Graph) runsAs(paths []string, user, what string) {
	for _, p := range g.started(paths) {
		g.steers(p, way, user, what+" runs it")
		// A script of Matomo includes the rest of it.
		if m := g.server.Matomo; m.Real != "" {
			if _, inside := relative(m.Real, g.real(p)); inside {
				g.link(g.changing(m.Real, program, nil), edge{to: g.user(user), action: Become, why: what + " runs this code", intended: true})
			}
		}
	}
}

// units adds what systemd reads and starts.
func (g *Graph) units() {
	for _, name := range slices.Sorted(maps.Keys(g.server.Units)) {
		unit := g.server.Units[name]
		for _, file := range append([]string{unit.Fragment}, unit.DropIns...) {
			g.steers(file, way, "root", "systemd does as root what this file of "+name+" says")
		}
		user := userOf(name, unit)
		for _, file := range unit.EnvFiles {
			g.steers(strings.TrimLeft(file, "-"), way, user, name+" gets its environment from it")
		}
		for _, exec := range unit.Exec {
			as := user
			if exec.Root {
				as = "root"
			}
			paths := []string{exec.Path}
			for _, arg := range exec.Args {
				if path.IsAbs(arg) {
					paths = append(paths, arg)
				}
			}
			g.runsAs(paths, as, name)
		}
	}
	for i, f := range g.footholds {
		if f.root != "" {
			g.out[i] = append(g.out[i], edge{to: g.user("root"), action: Become, why: f.label + " has the capability " + f.root})
		}
	}
}

// jobs adds crontabs and what they start.
func (g *Graph) jobs() {
	for _, job := range g.server.Jobs {
		who := "root"
		if strings.HasPrefix(job.File, "/var/spool/cron/") {
			who = job.User
		}
		g.steers(job.File, way, who, "cron does what it says")
		g.runsAs(job.Programs, job.User, "a job of "+job.File)
	}
}

// Groups whose members are as good as root, and the way by which they are.
var rootGroups = map[string]string{"docker": "/run/docker.sock", "lxd": "/var/snap/lxd/common/lxd/unix.socket", "incus": "/var/lib/incus/unix.socket", "incus-admin": "/var/lib/incus/unix.socket", "libvirt": "/run/libvirt/libvirt-sock", "disk": "/dev"}

// identity adds who may become whom: sudo, powerful groups, the files that say
// who is who, keys for logging in.
func (g *Graph) identity() {
	for _, rule := range g.server.Sudo {
		g.sudo(rule)
	}
	for i, f := range g.footholds {
		for _, group := range f.groups {
			if way, powerful := rootGroups[group]; powerful && !g.placesAt(way)[f.view].hidden {
				g.out[i] = append(g.out[i], edge{to: g.user("root"), action: Become, why: "members of the group " + group + " are as good as root"})
			}
		}
	}
	for _, file := range []string{"/etc/passwd", "/etc/shadow", "/etc/group", "/etc/sudoers", "/etc/ld.so.preload", "/etc/crontab", "/etc/profile", "/etc/pam.d/common-auth"} {
		if g.inode(file).Exists() {
			g.steers(file, program, "root", "it says who is root, or what root runs")
		}
	}
	if g.inode("/etc/shadow").Exists() {
		g.reading("/etc/shadow", private, nil)
	}
	if !g.server.SSH.Installed {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(g.server.Users)) {
		home := g.server.Users[name].Home
		if (name == "root" || g.logsIn(name)) && path.IsAbs(home) {
			g.link(g.changing(path.Join(home, ".ssh/authorized_keys"), way, map[string]bool{name: true}),
				edge{to: g.user(name), action: Become, why: "a key in it lets in as " + name, intended: true})
		}
	}
}

func (g *Graph) sudo(rule facts.SudoRule) {
	if rule.File != "" {
		g.steers(rule.File, program, "root", "sudo does what it says")
	}
	as := rule.As
	if as == "" || strings.HasPrefix(as, "ALL") {
		as = "root"
	}
	what := "may run anything"
	if !slices.Contains(rule.Commands, "ALL") {
		what = "may run " + strings.Join(rule.Commands, ", ")
	}
	for i, f := range g.footholds {
		group, isGroup := strings.CutPrefix(rule.Who, "%")
		named := rule.Who == "ALL" || rule.Who == f.user || isGroup && slices.Contains(f.groups, group)
		// Without a password that somebody could know, it asks in vain.
		if !named || !f.elevates || !rule.NoWord && !g.logsIn(f.user) {
			continue
		}
		for target := range strings.SplitSeq(as, ",") {
			g.out[i] = append(g.out[i], edge{to: g.user(strings.TrimSpace(target)), action: Become, why: what + " as " + strings.TrimSpace(target) + " (" + rule.File + ")"})
		}
	}
}

// logs adds what is written of visitors and errors.
func (g *Graph) logs() {
	for _, log := range g.server.Logs.Files {
		if !slices.Contains([]string{"access", "error", "php", "matomo", "fpm"}, log.Kind) || log.FullIPs <= 0 && log.Tokens <= 0 {
			continue
		}
		own := maps.Clone(g.runs)
		own[g.server.Front.User] = true
		inode := g.follow(log.Path).inode
		for _, f := range g.footholds {
			// Its owner, and a group that was given it, are meant to read it.
			if f.user == inode.Owner || slices.Contains(f.groups, inode.Group) {
				own[f.user] = true
			}
		}
		g.reading(log.Path, trace, own)
	}
}

// environments adds the secrets that are in the environment of a process:
// whoever is its user reads them below /proc.
func (g *Graph) environments() {
	secret := func(user, where string, names []string) {
		if len(names) == 0 || g.isRoot(user) || !g.runs[user] {
			return
		}
		n := g.node(Node{Secret, strings.Join(names, ", ") + " in the environment of " + where}, "", credential)
		g.link(g.user(user), edge{to: n, action: Know, why: "a user reads the environment of its own processes", intended: true})
	}
	for _, p := range g.server.Processes {
		secret(p.User, cmp.Or(p.Unit, p.Name), p.Secrets)
	}
	for _, pool := range g.server.PHP.Pools {
		secret(pool.User, "the pool "+pool.Name, pool.SecretEnv)
	}
}

// socketMode reads listen.mode of a pool; PHP's own default is 0660.
func socketMode(text string) fs.FileMode {
	mode, err := strconv.ParseUint(text, 8, 12)
	if err != nil {
		return 0o660
	}
	return fs.FileMode(mode)
}
