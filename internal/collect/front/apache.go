package front

import (
	"cmp"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"rocca/internal/facts"
)

// apacheMain is where Debian has the main file, and apacheRoot what names in it
// are relative to.
const (
	apacheMain = "/etc/apache2/apache2.conf"
	apacheRoot = "/etc/apache2"
)

// apacheStatic are the modules that Debian builds into Apache (apache2 -l).
var apacheStatic = []string{"core_module", "so_module", "watchdog_module", "http_module", "log_config_module", "logio_module", "version_module", "unixd_module"}

// apacheParser reads the files of Apache in the order in which Apache does, so
// that conditions see what was loaded and defined before them.
type apacheParser struct {
	*conf
	version   string
	variables map[string]string // of the environment and of Define
	defined   map[string]bool
	modules   []string
	stack     []frame
	result    []node // directives of the main server
	expanded  int    // bytes that variables have added
}

// frame is a section that is open.
type frame struct {
	node
	file   string // in which it must end
	off    bool   // a condition that is not met: nothing in it counts
	inline bool   // a condition that is met: what is in it counts where it stands
}

// apacheFile reads a file into the section that is open.
func (p *apacheParser) apacheFile(file string, from at) {
	text, ok := p.enter(file, from.file, from.line)
	if !ok {
		return
	}
	defer p.leave()
	depth := len(p.stack)
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		place := at{file, i + 1}
		line := strings.TrimSuffix(lines[i], "\r")
		for strings.HasSuffix(line, `\`) && i+1 < len(lines) {
			i++
			line = line[:len(line)-1] + strings.TrimSuffix(lines[i], "\r")
		}
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		p.line(line, place, depth)
	}
	for len(p.stack) > depth {
		p.fault(file, p.stack[len(p.stack)-1].line, "<%s> is not closed", p.stack[len(p.stack)-1].name)
		p.pop()
	}
}

func (p *apacheParser) line(line string, place at, depth int) {
	if name, closes := strings.CutPrefix(line, "</"); closes {
		name = strings.ToLower(strings.TrimSpace(strings.TrimSuffix(name, ">")))
		if len(p.stack) <= depth || !strings.EqualFold(p.stack[len(p.stack)-1].name, name) {
			p.fault(place.file, place.line, "</%s> closes nothing", name)
			return
		}
		p.pop()
		return
	}
	off := len(p.stack) > 0 && p.stack[len(p.stack)-1].off
	if section, opens := strings.CutPrefix(line, "<"); opens {
		section = strings.TrimSuffix(strings.TrimSpace(section), ">")
		name, rest, _ := strings.Cut(section, " ")
		if before, after, tab := strings.Cut(name, "\t"); tab {
			name, rest = before, after+" "+rest
		}
		if !off {
			rest = p.expand(rest)
		}
		n := node{at: place, name: strings.ToLower(name), args: apacheWords(rest), opens: true}
		if len(p.stack) >= blockLimit {
			p.fault(place.file, place.line, "sections are nested too deep")
			off = true
		}
		f := frame{node: n, file: place.file, off: off}
		if holds, isCondition := p.condition(n); isCondition && !off {
			f.inline, f.off = holds, !holds
		}
		if n.name == "macro" {
			f.off = true
			p.fault(place.file, place.line, "macros are not followed")
		}
		p.stack = append(p.stack, f)
		return
	}
	if off {
		return
	}
	words := apacheWords(p.expand(line))
	if len(words) == 0 {
		return
	}
	n := node{at: place, name: strings.ToLower(words[0]), args: words[1:]}
	switch n.name {
	case "include", "includeoptional":
		p.includeFiles(n)
		return
	case "loadmodule":
		if len(n.args) > 0 && !slices.Contains(p.modules, n.args[0]) {
			p.modules = append(p.modules, n.args[0])
		}
	case "define":
		if len(n.args) > 0 {
			p.defined[n.args[0]] = true
			p.variables[n.args[0]] = strings.Join(n.args[1:], " ")
		}
	case "undefine":
		if len(n.args) > 0 {
			delete(p.defined, n.args[0])
			delete(p.variables, n.args[0])
		}
	}
	p.put(n)
}

// put adds a directive to the section that is open.
func (p *apacheParser) put(n node) {
	for i := len(p.stack) - 1; i >= 0; i-- {
		if !p.stack[i].inline {
			p.stack[i].block = append(p.stack[i].block, n)
			return
		}
	}
	p.result = append(p.result, n)
}

// pop ends the section that is open.
func (p *apacheParser) pop() {
	f := p.stack[len(p.stack)-1]
	p.stack = p.stack[:len(p.stack)-1]
	if !f.off && !f.inline {
		p.put(f.node)
	}
}

func (p *apacheParser) includeFiles(n node) {
	if len(n.args) == 0 {
		return
	}
	pattern := n.args[0]
	if !path.IsAbs(pattern) {
		pattern = path.Join(p.serverRoot(), pattern)
	}
	names, err := p.root.Glob(pattern)
	if err != nil {
		p.fault(n.file, n.line, "%v", err)
		return
	}
	if len(names) == 0 && n.name == "include" {
		p.fault(n.file, n.line, "%s does not exist", pattern)
	}
	for _, name := range names {
		p.includeTree(name, n.at, 0)
	}
}

// includeTree reads a file, or all files below a directory.
func (p *apacheParser) includeTree(name string, from at, depth int) {
	if !p.root.IsDir(name) {
		p.apacheFile(name, from)
		return
	}
	if depth > includeLimit {
		p.fault(from.file, from.line, "%s is not read: too many directories", name)
		return
	}
	for _, entry := range p.root.Names(name) {
		p.includeTree(path.Join(name, entry), from, depth+1)
	}
}

func (p *apacheParser) serverRoot() string {
	for i := len(p.result) - 1; i >= 0; i-- {
		if p.result[i].name == "serverroot" {
			return p.result[i].value()
		}
	}
	return apacheRoot
}

// condition evaluates a section whose content counts or not for the whole of
// the configuration.
func (p *apacheParser) condition(n node) (holds, isCondition bool) {
	subject := n.value()
	bare, not := strings.CutPrefix(subject, "!")
	switch n.name {
	case "ifmodule":
		holds = p.loaded(bare)
	case "ifdefine":
		holds = p.defined[bare]
	case "iffile":
		if !path.IsAbs(bare) {
			bare = path.Join(p.serverRoot(), bare)
		}
		holds = p.root.Exists(bare)
	case "ifversion":
		holds = versionHolds(p.version, n.args)
		if len(n.args) > 0 && strings.HasPrefix(n.args[0], "!") && len(n.args) > 1 {
			holds = !versionHolds(p.version, append([]string{strings.TrimPrefix(n.args[0], "!")}, n.args[1:]...))
		}
		not = false
	case "ifdirective", "ifsection":
		return true, true // of modules, all of which are taken as they are loaded
	default:
		return false, false
	}
	return holds != not, true
}

// loaded tells whether a module is there, by its identifier ("ssl_module") or
// by the name of its source ("mod_ssl.c").
func (p *apacheParser) loaded(name string) bool {
	if file, isFile := strings.CutSuffix(name, ".c"); isFile {
		switch file {
		case "prefork", "worker", "event":
			name = "mpm_" + file + "_module"
		case "http_core":
			name = "http_module"
		case "util_ldap":
			name = "ldap_module"
		default:
			name = strings.TrimPrefix(file, "mod_") + "_module"
		}
	}
	return slices.Contains(p.modules, name)
}

// versionHolds evaluates <IfVersion [operator] version>.
func versionHolds(have string, args []string) bool {
	operator, want := "=", ""
	switch len(args) {
	case 1:
		want = args[0]
		for _, prefix := range []string{">=", "<=", "==", ">", "<", "="} {
			if rest, cut := strings.CutPrefix(want, prefix); cut {
				operator, want = prefix, rest
				break
			}
		}
	case 2:
		operator, want = args[0], args[1]
	default:
		return false
	}
	if pattern, isPattern := strings.CutPrefix(want, "/"); isPattern || operator == "~" {
		matches, err := regexp.MatchString(strings.TrimSuffix(pattern, "/"), have)
		return err == nil && matches
	}
	order := 0
	haveParts, wantParts := strings.Split(have, "."), strings.Split(want, ".")
	for i := 0; i < len(wantParts) && order == 0; i++ {
		number, _ := strconv.Atoi(wantParts[i])
		mine := 0
		if i < len(haveParts) {
			mine, _ = strconv.Atoi(haveParts[i])
		}
		order = mine - number
	}
	switch operator {
	case ">=":
		return order >= 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	case "<":
		return order < 0
	}
	return order == 0
}

var apacheVariable = regexp.MustCompile(`\$\{([^}:]+)\}`)

const expandLimit = 1 << 20 // bytes that variables may add to a configuration

// expand puts in the values of variables; unknown ones stay.
func (p *apacheParser) expand(text string) string {
	return apacheVariable.ReplaceAllStringFunc(text, func(whole string) string {
		value, known := p.variables[whole[2:len(whole)-1]]
		if !known || p.expanded > expandLimit {
			return whole
		}
		p.expanded += len(value)
		return value
	})
}

// apacheWords splits a line as ap_getword_conf does: quotes hold a word
// together, a backslash takes the power from a quote or another backslash.
func apacheWords(line string) []string {
	var words []string
	for line = strings.TrimLeft(line, " \t"); line != ""; line = strings.TrimLeft(line, " \t") {
		var b strings.Builder
		quote, i := line[0], 1
		if quote != '"' && quote != '\'' {
			quote, i = 0, 0
		}
		for ; i < len(line); i++ {
			c := line[i]
			if quote != 0 && c == quote || quote == 0 && (c == ' ' || c == '\t') {
				break
			}
			if c == '\\' && i+1 < len(line) && (line[i+1] == '\\' || quote != 0 && line[i+1] == quote) {
				i++
			}
			b.WriteByte(line[i])
		}
		words = append(words, b.String())
		line = line[min(i+1, len(line)):]
	}
	return words
}

var (
	shellAssignment = regexp.MustCompile(`^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)$`)
	shellVariable   = regexp.MustCompile(`\$\{?([A-Za-z_][A-Za-z0-9_]*)\}?`)
)

// environment reads what Debian's envvars sets. It is a shell script; what
// its conditions would set for a second instance is set empty right after.
func (p *apacheParser) environment() {
	content, err := p.root.Read(path.Join(apacheRoot, "envvars"), fileLimit)
	if err != nil {
		return
	}
	for line := range strings.SplitSeq(string(content), "\n") {
		match := shellAssignment.FindStringSubmatch(line)
		if match == nil {
			continue
		}
		value := strings.TrimSpace(match[2])
		if strings.HasPrefix(value, "'") {
			p.variables[match[1]] = strings.Trim(value, "'")
			continue
		}
		p.variables[match[1]] = shellVariable.ReplaceAllStringFunc(strings.Trim(value, `"`), func(name string) string {
			return p.variables[strings.Trim(name, "${}")]
		})
	}
}

// apache reads the configuration of Apache.
func (c *conf) apache(main, version string) facts.Front {
	if version == "" {
		version = "2.4"
	}
	p := &apacheParser{conf: c, version: version, variables: map[string]string{}, defined: map[string]bool{}, modules: slices.Clone(apacheStatic)}
	p.environment()
	p.apacheFile(main, at{main, 1})
	f := facts.Front{Program: "apache2", Config: main, Modules: slices.Sorted(slices.Values(p.modules)), Global: map[string][]facts.Setting{}}

	var hosts, sections []node
	for _, n := range p.result {
		switch {
		case n.name == "virtualhost":
			hosts = append(hosts, n)
		case n.opens:
			sections = append(sections, n)
		default:
			add(f.Global, n.name, n.value(), n.at)
		}
	}
	f.User, f.Group = last(f.Global, "user"), last(f.Global, "group")

	var listens []facts.Listen
	for _, listen := range f.Global["listen"] {
		words := strings.Fields(listen.Value)
		if len(words) == 0 {
			continue
		}
		var l facts.Listen
		l.Address, l.Port = endpoint(words[0])
		listens = append(listens, l)
	}
	b := &apacheSites{conf: c, parser: p, global: f.Global, sections: sections, listens: listens, balancers: map[string]string{}}
	for _, n := range p.result {
		b.balancer(n)
	}
	for _, host := range hosts {
		for _, n := range host.block {
			b.balancer(n)
		}
	}
	for _, host := range hosts {
		f.Sites = append(f.Sites, b.site(host))
	}
	if rest := b.unclaimed(f.Sites); len(rest) > 0 {
		f.Sites = append(f.Sites, b.mainServer(main, p.result, rest))
	}
	firstAnswers(f.Sites)
	f.Files, f.Faults = c.files, c.faults
	return f
}

// apacheSites turns virtual hosts into sites.
type apacheSites struct {
	*conf
	parser    *apacheParser
	global    map[string][]facts.Setting
	sections  []node // of the main server: they hold for each site
	listens   []facts.Listen
	balancers map[string]string // members, by name
}

func (b *apacheSites) balancer(n node) {
	name, isBalancer := strings.CutPrefix(n.value(), "balancer://")
	if n.name != "proxy" || !isBalancer {
		return
	}
	var members []string
	for _, d := range n.block {
		if d.name == "balancermember" && len(d.args) > 0 {
			members = append(members, b.backend(d.args[0]))
		}
	}
	b.balancers[strings.TrimSuffix(name, "/")] = strings.Join(members, " ")
}

func (b *apacheSites) site(host node) facts.Site {
	site := facts.Site{File: host.file, Line: host.line, Directives: map[string][]facts.Setting{}}
	for _, d := range host.block {
		if !d.opens {
			add(site.Directives, d.name, d.value(), d.at)
		}
	}
	for _, arg := range host.args {
		var l facts.Listen
		l.Address, l.Port = endpoint(arg)
		if l.Port != 0 {
			if len(b.listens) == 0 || slices.ContainsFunc(b.listens, func(open facts.Listen) bool { return open.Port == l.Port }) {
				site.Listens = append(site.Listens, l)
			}
			continue
		}
		for _, open := range b.listens { // "*": every port
			l.Port = open.Port
			if !slices.Contains(site.Listens, l) {
				site.Listens = append(site.Listens, l)
			}
		}
	}
	b.complete(&site, host.block)
	return site
}

// mainServer is what answers where no virtual host does.
func (b *apacheSites) mainServer(main string, nodes []node, listens []facts.Listen) facts.Site {
	site := facts.Site{File: main, Line: 1, Listens: listens, Directives: map[string][]facts.Setting{}}
	var own []node
	for _, n := range nodes {
		if !n.opens {
			own = append(own, n)
		}
	}
	for _, name := range []string{"servername", "serveralias", "documentroot", "sslengine", "sslcertificatefile", "sslcertificatekeyfile"} {
		if values := b.global[name]; len(values) > 0 {
			site.Directives[name] = slices.Clone(values)
		}
	}
	b.complete(&site, own)
	return site
}

// unclaimed are the places where Apache listens and no virtual host does.
func (b *apacheSites) unclaimed(sites []facts.Site) []facts.Listen {
	return slices.DeleteFunc(slices.Clone(b.listens), func(open facts.Listen) bool {
		return slices.ContainsFunc(sites, func(site facts.Site) bool {
			return slices.ContainsFunc(site.Listens, func(l facts.Listen) bool {
				return l.Port == open.Port && (l.Address == "" || l.Address == open.Address || open.Address == "")
			})
		})
	})
}

// complete reads what a site says, with the sections of the main server before
// its own, which is the order in which Apache merges them.
func (b *apacheSites) complete(site *facts.Site, own []node) {
	inherited := func(name string) string { return cmp.Or(last(site.Directives, name), last(b.global, name)) }
	for _, name := range site.Directives["servername"] {
		bare := name.Value
		if _, rest, hasScheme := strings.Cut(bare, "://"); hasScheme {
			bare = rest
		}
		host, _ := endpoint(bare)
		site.Names = append(site.Names, host)
	}
	for _, alias := range site.Directives["serveralias"] {
		site.Names = append(site.Names, strings.Fields(alias.Value)...)
	}
	encrypted := strings.EqualFold(last(site.Directives, "sslengine"), "on")
	http2 := slices.Contains(strings.Fields(strings.ToLower(inherited("protocols"))), "h2") && b.parser.loaded("http2_module")
	for i := range site.Listens {
		site.Listens[i].TLS, site.Listens[i].HTTP2 = encrypted, encrypted && http2
	}
	site.Docroot = strings.TrimSuffix(inherited("documentroot"), "/")
	site.Real = b.real(site.Docroot)
	if encrypted {
		site.Chain, site.Key = b.fileName(inherited("sslcertificatefile")), b.fileName(inherited("sslcertificatekeyfile"))
		if site.Key == "" {
			site.Key = site.Chain // the key may be in the same file
		}
	}

	places := []string{site.Docroot, site.Real}
	for _, n := range append(slices.Clone(own), b.sections...) {
		if n.name == "alias" && len(n.args) == 2 {
			places = append(places, n.args[1], b.real(n.args[1]))
		}
	}
	var mine []node
	for _, n := range b.sections {
		if n.name != "directory" || concerns(n, places) {
			mine = append(mine, n)
		}
	}
	b.walk(site, mine, "")
	b.walk(site, own, "")
}

// concerns tells whether a <Directory> of the main server is above or below
// one of these places.
func concerns(n node, places []string) bool {
	if len(n.args) != 1 || strings.ContainsAny(n.args[0], "*?[") {
		return true
	}
	dir := path.Clean(n.args[0])
	return slices.ContainsFunc(places, func(place string) bool {
		return place != "" && (inside(place, dir) || inside(dir, place))
	})
}

// inside tells whether a path is a directory or lies below it.
func inside(name, dir string) bool {
	return name == dir || dir == "/" || strings.HasPrefix(name, strings.TrimSuffix(dir, "/")+"/")
}

func (b *apacheSites) fileName(name string) string {
	if name == "" || path.IsAbs(name) {
		return name
	}
	return path.Join(b.parser.serverRoot(), name)
}

// walk lists the sections of a site in their order, inner ones after the one
// that they are in. What passes requests on outside of a section is one too.
func (b *apacheSites) walk(site *facts.Site, nodes []node, in string) {
	for _, n := range nodes {
		location := facts.Location{Kind: n.name, Match: n.value(), File: n.file, Line: n.line, In: in}
		if !n.opens {
			if in != "" || !b.passesOn(n, &location) {
				continue
			}
			location.Directives = map[string][]facts.Setting{}
			add(location.Directives, n.name, n.value(), n.at)
			site.Locations = append(site.Locations, location)
			continue
		}
		location.Directives = map[string][]facts.Setting{}
		for _, d := range n.block {
			if d.opens {
				continue
			}
			add(location.Directives, d.name, d.value(), d.at)
			var passing facts.Location
			switch {
			case d.name == "sethandler" && len(d.args) > 0 && strings.HasPrefix(d.args[0], "proxy:"):
				location.Backend = b.resolve(d.args[0])
			case d.name == "proxypass" && len(d.args) > 0 && (n.name == "location" || n.name == "locationmatch") && d.args[0] != "!":
				location.Backend = b.resolve(d.args[0])
			case b.passesOn(d, &passing):
				location.Backend = passing.Backend
			}
		}
		site.Locations = append(site.Locations, location)
		b.walk(site, n.block, location.Kind+" "+location.Match)
	}
}

// passesOn reads the directives that pass requests to a backend and name
// themselves which.
func (b *apacheSites) passesOn(n node, location *facts.Location) bool {
	switch n.name {
	case "proxypass", "proxypassmatch":
		if len(n.args) < 2 || n.args[1] == "!" {
			return false
		}
		location.Match, location.Backend = n.args[0], b.resolve(n.args[1])
		return true
	case "rewriterule":
		if len(n.args) < 3 || !slices.Contains(strings.Split(strings.ToUpper(strings.Trim(n.args[2], "[]")), ","), "P") {
			return false
		}
		location.Match, location.Backend = n.args[0], b.resolve(n.args[1])
		return true
	case "addhandler":
		if len(n.args) < 2 || !strings.HasPrefix(n.args[0], "proxy:") {
			return false
		}
		location.Match, location.Backend = strings.Join(n.args[1:], " "), b.resolve(n.args[0])
		return true
	case "sethandler":
		if len(n.args) == 0 || !strings.HasPrefix(n.args[0], "proxy:") {
			return false
		}
		location.Match, location.Backend = "", b.resolve(n.args[0])
		return true
	}
	return false
}

func (b *apacheSites) resolve(target string) string {
	bare := strings.TrimPrefix(target, "proxy:")
	if name, isBalancer := strings.CutPrefix(bare, "balancer://"); isBalancer {
		name, _, _ = strings.Cut(name, "/")
		if members, known := b.balancers[name]; known {
			return members
		}
	}
	return b.backend(target)
}

// firstAnswers marks the sites that answer to unknown names: the first of each
// address.
func firstAnswers(sites []facts.Site) {
	type key struct {
		address string
		port    int
	}
	seen := map[key]bool{}
	for i := range sites {
		for j := range sites[i].Listens {
			l := &sites[i].Listens[j]
			k := key{l.Address, l.Port}
			l.Default = !seen[k]
			seen[k] = true
		}
	}
}
