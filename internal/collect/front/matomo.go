package front

import (
	"maps"
	"net"
	"path"
	"regexp"
	"slices"
	"strings"

	"rocca/internal/facts"
)

// The scripts that Matomo is entered by, below its root.
var (
	uiScripts      = []string{"/index.php"}
	trackerScripts = []string{"/matomo.php", "/piwik.php", "/js/index.php"}
)

// MarkMatomo marks the sites that serve the Matomo at a root (with or without
// its links resolved), and the pools that its scripts are passed to. What a
// site sets for Apache's own PHP (php_value and the like) is added to the
// settings of that pool.
func MarkMatomo(front *facts.Front, php *facts.PHP, root string) {
	if root == "" {
		return
	}
	roles := make([][2]bool, len(php.Pools)) // ui, tracker
	for i := range front.Sites {
		site := &front.Sites[i]
		base, serves := below(*site, root)
		if !serves || onlyLeads(*site) {
			continue
		}
		site.Matomo = true
		for role, scripts := range [][]string{uiScripts, trackerScripts} {
			for _, script := range scripts {
				for _, p := range handlers(*front, *site, path.Join(base, script), php.Pools) {
					roles[p][role] = true
					if php.Pools[p].SAPI == "apache2" {
						php.Pools[p].Settings = withSite(php.Pools[p].Settings, *site)
					}
				}
			}
		}
	}
	for i, role := range roles {
		switch role {
		case [2]bool{true, true}:
			php.Pools[i].Role = "ui tracker"
		case [2]bool{true, false}:
			php.Pools[i].Role = "ui"
		case [2]bool{false, true}:
			php.Pools[i].Role = "tracker"
		}
	}
}

// below tells under which path of a site a directory is: "/" for its own
// document root.
func below(site facts.Site, root string) (base string, serves bool) {
	for _, docroot := range []string{site.Real, path.Clean(site.Docroot)} {
		if strings.HasPrefix(docroot, "/") && docroot != "/" && inside(root, docroot) {
			return "/" + strings.Trim(strings.TrimPrefix(root, docroot), "/"), true
		}
	}
	for _, alias := range site.Directives["alias"] { // of Apache: path and directory
		if words := strings.Fields(alias.Value); len(words) == 2 && path.Clean(words[1]) == root {
			return words[0], true
		}
	}
	for _, location := range site.Locations {
		if target := last(location.Directives, "alias"); target != "" && path.Clean(target) == root {
			return location.Match, true
		}
		if target := last(location.Directives, "root"); target != "" && path.Clean(target) == root {
			return "/", true
		}
	}
	return "", false
}

// onlyLeads tells a site that sends every request elsewhere and serves no file.
func onlyLeads(site facts.Site) bool {
	if len(site.Directives["return"]) > 0 {
		return true
	}
	for _, name := range []string{"redirect", "redirectpermanent"} {
		for _, redirect := range site.Directives[name] {
			words := strings.Fields(redirect.Value)
			if len(words) >= 2 && words[len(words)-2] == "/" {
				return true
			}
		}
	}
	return false
}

// handlers are the pools (by index) that a script of a site is passed to. When
// the rules of the site cannot be followed, all of its pools count.
func handlers(front facts.Front, site facts.Site, script string, pools []facts.Pool) []int {
	backend, embedded, known := "", false, false
	if front.Program == "nginx" {
		backend, known = nginxBackend(site.Locations, script, "")
	} else {
		backend, embedded, known = apacheBackend(site, script)
	}
	var found []int
	for i, pool := range pools {
		switch {
		case pool.SAPI == "apache2":
			if front.Program == "apache2" && (embedded || !known && usesEmbedded(front, site)) {
				found = append(found, i)
			}
		case known && listensAt(pool, backend):
			found = append(found, i)
		case !known && slices.ContainsFunc(site.Locations, func(l facts.Location) bool { return listensAt(pool, l.Backend) }):
			found = append(found, i)
		}
	}
	return found
}

// listensAt tells whether a pool is behind one of several addresses.
func listensAt(pool facts.Pool, backends string) bool {
	return slices.ContainsFunc(strings.Fields(backends), func(backend string) bool { return sameAddress(pool.Listen, backend) })
}

func sameAddress(listen, backend string) bool {
	if listen == "" || listen == backend {
		return listen != ""
	}
	listenAddress, listenPort := endpoint(listen)
	address, port := endpoint(backend)
	if listenPort == 0 || listenPort != port {
		return false
	}
	return everywhere(listenAddress) || local(listenAddress) && local(address)
}

func everywhere(address string) bool { return address == "" || address == "::" }

func local(address string) bool {
	ip := net.ParseIP(address)
	return address == "localhost" || ip != nil && ip.IsLoopback()
}

// nginxBackend is where nginx passes a path to: by an exact location, else the
// first pattern that matches, else the longest prefix; then in the same way
// within that one.
func nginxBackend(locations []facts.Location, name, in string) (backend string, known bool) {
	var chosen *facts.Location
	longest, final := -1, false
	for i := range locations {
		l := &locations[i]
		if l.Kind != "location" || l.In != in {
			continue
		}
		operator, match := nginxMatch(l.Match)
		if operator == "=" && match == name {
			chosen, final = l, true
			break
		}
		if (operator == "" || operator == "^~") && strings.HasPrefix(name, match) && len(match) > longest {
			chosen, longest, final = l, len(match), operator == "^~"
		}
	}
	for i := range locations {
		l := &locations[i]
		operator, match := nginxMatch(l.Match)
		if final || l.Kind != "location" || l.In != in || operator != "~" && operator != "~*" {
			continue
		}
		matches, readable := matchPattern(match, name, operator == "~*")
		if !readable {
			return "", false
		}
		if matches {
			chosen, final = l, true
		}
	}
	if chosen == nil {
		return "", false
	}
	if inner, found := nginxBackend(locations, name, "location "+chosen.Match); found {
		return inner, true
	}
	return chosen.Backend, chosen.Backend != ""
}

func nginxMatch(text string) (operator, match string) {
	operator, match, found := strings.Cut(text, " ")
	if !found {
		return "", text
	}
	return operator, match
}

// matchPattern tells whether a regular expression matches; it is not readable
// when it is of a kind that Go has not.
func matchPattern(pattern, text string, fold bool) (matches, readable bool) {
	if fold {
		pattern = "(?i)" + pattern
	}
	compiled, err := regexp.Compile(pattern)
	if err != nil {
		return false, false
	}
	return compiled.MatchString(text), true
}

// apacheBackend is what handles a path in Apache: what passes it on by its
// path, or else the last section that names a handler for it.
func apacheBackend(site facts.Site, name string) (backend string, embedded, known bool) {
	for _, l := range site.Locations {
		matches := false
		switch l.Kind {
		case "proxypass":
			matches = strings.HasPrefix(name, l.Match)
		case "proxypassmatch", "rewriterule":
			matches, _ = matchPattern(l.Match, name, false)
		}
		if matches {
			return l.Backend, false, true
		}
	}
	for _, kinds := range [][]string{{"sethandler", "addhandler"}, {"directory", "directorymatch"}, {"files", "filesmatch"}, {"location", "locationmatch"}, {"if", "elseif", "else"}} {
		for _, l := range site.Locations {
			if !slices.Contains(kinds, l.Kind) || l.Backend == "" && !embeds(l.Directives) || !covers(site, l, name) {
				continue
			}
			backend, embedded, known = l.Backend, l.Backend == "", true
		}
	}
	return backend, embedded, known
}

// covers tells whether a section of Apache, and those that it is in, hold for
// a path.
func covers(site facts.Site, l facts.Location, name string) bool {
	match := strings.Trim(l.Match, `"`)
	pattern, isPattern := strings.CutPrefix(match, "~ ")
	isPattern = isPattern || strings.HasSuffix(l.Kind, "match")
	file := path.Join(site.Real, name)
	var holds bool
	switch {
	case l.Kind == "addhandler":
		holds = slices.Contains(strings.Fields(match), path.Ext(name))
	case strings.HasPrefix(l.Kind, "directory"):
		dir := path.Dir(file)
		holds = isPattern || inside(dir, path.Clean(match)) || inside(path.Join(site.Docroot, path.Dir(name)), path.Clean(match)) || strings.ContainsAny(match, "*?[")
	case strings.HasPrefix(l.Kind, "files"):
		if holds, _ = path.Match(match, path.Base(name)); isPattern {
			holds, _ = matchPattern(pattern, path.Base(name), false)
		}
	case strings.HasPrefix(l.Kind, "location"):
		holds = strings.HasPrefix(name, match)
		if isPattern {
			holds, _ = matchPattern(pattern, name, false)
		} else if strings.ContainsAny(match, "*?[") {
			holds, _ = path.Match(match, name)
		}
	default:
		holds = true // a condition on what the request is
	}
	if !holds || l.In == "" {
		return holds
	}
	for _, outer := range site.Locations {
		if outer.Kind+" "+outer.Match == l.In && covers(site, outer, name) {
			return true
		}
	}
	return false
}

// embeds tells whether directives hand scripts to Apache's own PHP.
func embeds(directives map[string][]facts.Setting) bool {
	for _, name := range []string{"sethandler", "addhandler", "addtype"} {
		for _, setting := range directives[name] {
			if words := strings.Fields(setting.Value); len(words) > 0 && (words[0] == "application/x-httpd-php" || strings.HasPrefix(words[0], "php") && strings.HasSuffix(words[0], "-script")) {
				return true
			}
		}
	}
	return false
}

func usesEmbedded(front facts.Front, site facts.Site) bool {
	return embeds(front.Global) || embeds(site.Directives)
}

// withSite adds what a site sets for Apache's own PHP.
func withSite(settings map[string]facts.Setting, site facts.Site) map[string]facts.Setting {
	settings = maps.Clone(settings)
	if settings == nil {
		settings = map[string]facts.Setting{}
	}
	take := func(directives map[string][]facts.Setting) {
		for _, kind := range []string{"php_value", "php_flag", "php_admin_value", "php_admin_flag"} {
			for _, setting := range directives[kind] {
				name, value, _ := strings.Cut(setting.Value, " ")
				if strings.HasSuffix(kind, "flag") {
					value = map[string]string{"on": "1", "1": "1"}[strings.ToLower(value)]
				}
				admin := strings.HasPrefix(kind, "php_admin")
				if settings[name].Admin && !admin {
					continue
				}
				settings[name] = facts.Setting{Value: value, From: setting.From, Admin: admin}
			}
		}
	}
	take(site.Directives)
	for _, location := range site.Locations {
		if strings.HasPrefix(location.Kind, "directory") && !strings.Contains(location.Match, "*") {
			take(location.Directives)
		}
	}
	return settings
}
