package front

import (
	"cmp"
	"net"
	"path"
	"regexp"
	"slices"
	"strings"

	"rocca/internal/facts"
)

// nginxMain is where Debian and nginx.org have the main file.
const nginxMain = "/etc/nginx/nginx.conf"

// node is a directive of nginx, with what is in its braces.
type node struct {
	at
	name  string
	args  []string // without quotes
	block []node
	opens bool // has braces
}

func (n node) value() string { return strings.Join(n.args, " ") }

// nginxFile parses a file, with the files that it includes in their places.
func (c *conf) nginxFile(file string, from at) []node {
	text, ok := c.enter(file, from.file, from.line)
	if !ok {
		return nil
	}
	defer c.leave()
	p := &nginxParser{conf: c, file: file, text: text, line: 1}
	return p.block(0)
}

type nginxParser struct {
	*conf
	file string
	text string
	pos  int
	line int
}

// block reads directives up to a closing brace, or the end of the file.
func (p *nginxParser) block(depth int) []node {
	var nodes []node
	var current *node
	for {
		word, special, line := p.word()
		switch {
		case special == 0 && word == nil: // the end
			if current != nil {
				p.fault(p.file, current.line, "%s does not end with a semicolon", current.name)
				nodes = append(nodes, *current)
			}
			if depth > 0 {
				p.fault(p.file, line, "a brace is not closed")
			}
			return nodes
		case special == '}':
			if current != nil {
				p.fault(p.file, current.line, "%s does not end with a semicolon", current.name)
				nodes = append(nodes, *current)
			}
			if depth > 0 {
				return nodes
			}
			p.fault(p.file, line, "a closing brace too many")
			current = nil
		case special == ';':
			if current == nil {
				continue
			}
			if current.name == "include" && len(current.args) == 1 {
				nodes = append(nodes, p.include(*current)...)
			} else {
				nodes = append(nodes, *current)
			}
			current = nil
		case special == '{':
			if current == nil {
				current = &node{at: at{p.file, line}}
			}
			current.opens = true
			switch {
			case strings.HasSuffix(current.name, "_by_lua_block"):
				p.skipCode()
			case depth >= blockLimit:
				p.fault(p.file, line, "blocks are nested too deep")
				p.skipCode()
			default:
				current.block = p.block(depth + 1)
			}
			nodes = append(nodes, *current)
			current = nil
		case current == nil:
			current = &node{at: at{p.file, line}, name: *word}
		default:
			current.args = append(current.args, *word)
		}
	}
}

func (p *nginxParser) include(n node) []node {
	pattern := n.args[0]
	if !path.IsAbs(pattern) {
		pattern = path.Join("/etc/nginx", pattern)
	}
	names, err := p.root.Glob(pattern)
	if err != nil {
		p.fault(p.file, n.line, "%v", err)
		return nil
	}
	if len(names) == 0 && !strings.ContainsAny(pattern, "*?[") {
		p.fault(p.file, n.line, "%s does not exist", pattern)
	}
	var nodes []node
	for _, name := range names {
		nodes = append(nodes, p.nginxFile(name, n.at)...)
	}
	return nodes
}

// word returns the next word or one of ";{}"; neither at the end
// (ngx_conf_read_token).
func (p *nginxParser) word() (word *string, special byte, line int) {
	for p.pos < len(p.text) {
		switch c := p.text[p.pos]; c {
		case '\n':
			p.line++
			p.pos++
			continue
		case ' ', '\t', '\r':
			p.pos++
			continue
		case '#':
			if end := strings.IndexByte(p.text[p.pos:], '\n'); end >= 0 {
				p.pos += end
			} else {
				p.pos = len(p.text)
			}
			continue
		case ';', '{', '}':
			p.pos++
			return nil, c, p.line
		}
		break
	}
	line = p.line
	if p.pos >= len(p.text) {
		return nil, 0, line
	}
	var b strings.Builder
	quote := p.text[p.pos]
	if quote == '"' || quote == '\'' {
		p.pos++
	} else {
		quote = 0
	}
	for p.pos < len(p.text) {
		c := p.text[p.pos]
		if quote != 0 && c == quote {
			p.pos++
			break
		}
		if quote == 0 {
			if strings.IndexByte(" \t\r\n;", c) >= 0 || c == '{' && !strings.HasSuffix(b.String(), "$") {
				break
			}
		}
		if c == '\\' && p.pos+1 < len(p.text) {
			next := p.text[p.pos+1]
			p.pos += 2
			switch next {
			case '"', '\'', '\\':
				b.WriteByte(next)
			case 't':
				b.WriteByte('\t')
			case 'r':
				b.WriteByte('\r')
			case 'n':
				b.WriteByte('\n')
			default:
				b.WriteByte('\\')
				b.WriteByte(next)
			}
			if next == '\n' {
				p.line++
			}
			continue
		}
		if c == '\n' {
			p.line++
		}
		b.WriteByte(c)
		p.pos++
	}
	text := b.String()
	return &text, 0, line
}

// skipCode passes over what is in braces and is no configuration.
func (p *nginxParser) skipCode() {
	for open := 1; p.pos < len(p.text); p.pos++ {
		switch p.text[p.pos] {
		case '\n':
			p.line++
		case '{':
			open++
		case '}':
			if open--; open == 0 {
				p.pos++
				return
			}
		}
	}
}

// nginx reads the configuration of nginx.
func (c *conf) nginx(main string) facts.Front {
	f := facts.Front{Program: "nginx", Config: main, Global: map[string][]facts.Setting{}}
	nodes := c.nginxFile(main, at{main, 1})
	upstreams := map[string]string{}
	var servers []node
	var collect func(nodes []node)
	collect = func(nodes []node) {
		for _, n := range nodes {
			switch {
			case n.name == "http" && n.opens:
				collect(n.block)
			case n.name == "server" && n.opens:
				servers = append(servers, n)
			case n.name == "upstream" && n.opens:
				var members []string
				for _, member := range n.block {
					if member.name == "server" && len(member.args) > 0 {
						members = append(members, c.backend(member.args[0]))
					}
				}
				upstreams[n.value()] = strings.Join(members, " ")
			case !n.opens || n.name == "map" || n.name == "geo":
				add(f.Global, n.name, n.value(), n.at)
			}
		}
	}
	for _, n := range nodes {
		// Servers of mail and stream speak no HTTP.
		if !n.opens || n.name == "http" {
			collect([]node{n})
		}
	}
	if user := strings.Fields(last(f.Global, "user")); len(user) > 0 {
		f.User, f.Group = user[0], user[len(user)-1]
	}
	for _, module := range f.Global["load_module"] {
		f.Modules = append(f.Modules, strings.TrimSuffix(path.Base(module.Value), ".so"))
	}
	for _, n := range servers {
		f.Sites = append(f.Sites, c.nginxSite(n, f.Global, upstreams))
	}
	shareListens(f.Sites)
	f.Files, f.Faults = c.files, c.faults
	return f
}

func (c *conf) nginxSite(n node, global map[string][]facts.Setting, upstreams map[string]string) facts.Site {
	site := facts.Site{File: n.file, Line: n.line, Directives: map[string][]facts.Setting{}}
	variables := map[string]string{}
	for _, d := range n.block {
		if d.name == "set" && len(d.args) == 2 {
			variables[d.args[0]] = d.args[1]
		}
		if !d.opens {
			add(site.Directives, d.name, d.value(), d.at)
		}
		switch {
		case d.name == "listen" && len(d.args) > 0:
			site.Listens = append(site.Listens, nginxListen(d.args))
		case d.name == "server_name":
			site.Names = append(site.Names, d.args...)
		}
	}
	if len(site.Listens) == 0 {
		site.Listens = []facts.Listen{{Port: 80}}
	}
	inherited := func(name string) string { return cmp.Or(last(site.Directives, name), last(global, name)) }
	for i := range site.Listens {
		l := &site.Listens[i]
		l.TLS = l.TLS || inherited("ssl") == "on"
		l.HTTP2 = l.HTTP2 || inherited("http2") == "on"
	}
	w := &nginxWalk{conf: c, site: &site, variables: variables, upstreams: upstreams}
	w.walk(n.block, "")

	site.Docroot = inherited("root")
	if site.Docroot == "" {
		for _, location := range site.Locations {
			if location.Match == "/" {
				site.Docroot = last(location.Directives, "root")
			}
		}
	}
	if site.Docroot != "" && !path.IsAbs(site.Docroot) {
		site.Docroot = path.Join("/usr/share/nginx", site.Docroot) // Debian's prefix
	}
	site.Real = c.real(site.Docroot)
	site.Chain, site.Key = nginxFileName(inherited("ssl_certificate")), nginxFileName(inherited("ssl_certificate_key"))
	return site
}

func nginxFileName(name string) string {
	if name == "" || path.IsAbs(name) || strings.Contains(name, ":") {
		return name
	}
	return path.Join("/etc/nginx", name)
}

// nginxWalk lists the sections of a server in their order, inner ones after the
// one that they are in.
type nginxWalk struct {
	*conf
	site      *facts.Site
	variables map[string]string
	upstreams map[string]string
}

var passes = []string{"fastcgi_pass", "proxy_pass", "uwsgi_pass", "scgi_pass", "grpc_pass"}

func (w *nginxWalk) walk(block []node, in string) {
	for _, n := range block {
		if !n.opens || n.name == "types" {
			continue
		}
		location := facts.Location{Kind: n.name, Match: n.value(), File: n.file, Line: n.line, In: in, Directives: map[string][]facts.Setting{}}
		for _, d := range n.block {
			if d.opens {
				continue
			}
			add(location.Directives, d.name, d.value(), d.at)
			if slices.Contains(passes, d.name) && len(d.args) > 0 {
				location.Backend = w.target(d, n.block)
			}
		}
		w.site.Locations = append(w.site.Locations, location)
		w.walk(n.block, location.Kind+" "+location.Match)
	}
}

var variable = regexp.MustCompile(`\$\{?([A-Za-z0-9_]+)\}?`)

// target resolves upstreams, and variables that are set to one value.
func (w *nginxWalk) target(pass node, block []node) string {
	target := variable.ReplaceAllStringFunc(pass.args[0], func(name string) string {
		name = "$" + strings.Trim(name, "${}")
		for _, d := range block {
			if d.name == "set" && len(d.args) == 2 && d.args[0] == name {
				return d.args[1]
			}
		}
		if value, set := w.variables[name]; set {
			return value
		}
		return name
	})
	if _, rest, has := strings.Cut(target, "://"); has {
		host, _, _ := strings.Cut(rest, "/")
		if servers, known := w.upstreams[host]; known {
			return servers
		}
	}
	if servers, known := w.upstreams[target]; known {
		return servers
	}
	host, _, _ := strings.Cut(strings.TrimPrefix(target, "https://"), "/")
	if host = strings.TrimPrefix(host, "http://"); strings.HasPrefix(host, "$") {
		w.fault(pass.file, pass.line, "%s %s: which backend that is depends on the request", pass.name, pass.args[0])
	}
	return w.backend(target)
}

func nginxListen(args []string) facts.Listen {
	var l facts.Listen
	if strings.HasPrefix(args[0], "unix:") {
		l.Address = args[0]
	} else {
		l.Address, l.Port = endpoint(args[0])
		if l.Port == 0 {
			l.Port = 80
		}
		if ip := net.ParseIP(l.Address); ip != nil {
			l.Address = ip.String()
		}
	}
	for _, option := range args[1:] {
		switch option {
		case "ssl":
			l.TLS = true
		case "http2":
			l.HTTP2 = true
		case "default_server", "default":
			l.Default = true
		}
	}
	return l
}

// shareListens applies what one server says of an address to all that listen
// there: TLS, HTTP/2, and which of them answers to unknown names.
func shareListens(sites []facts.Site) {
	type key struct {
		address string
		port    int
	}
	shared, first := map[key]facts.Listen{}, map[key]*facts.Listen{}
	for i := range sites {
		for j := range sites[i].Listens {
			l := &sites[i].Listens[j]
			k := key{l.Address, l.Port}
			s := shared[k]
			s.TLS, s.HTTP2, s.Default = s.TLS || l.TLS, s.HTTP2 || l.HTTP2, s.Default || l.Default
			shared[k] = s
			if first[k] == nil {
				first[k] = l
			}
		}
	}
	for i := range sites {
		for j := range sites[i].Listens {
			l := &sites[i].Listens[j]
			s := shared[key{l.Address, l.Port}]
			l.TLS, l.HTTP2 = s.TLS, s.HTTP2
		}
	}
	for k, l := range first {
		if !shared[k].Default {
			l.Default = true
		}
	}
}
