package prove

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/front"
	"rocca/internal/prove/web"
)

var a07 = Attack{
	ID:    "A07",
	Title: "private files are fetched by every spelling of their paths",
	How: "Plants files with random names where administrators leave backups, dumps, hidden directories and logs, " +
		"and asks for them, for Matomo's own private files, and for files beside the document root: as they are called, encoded once and twice, " +
		"with extra slashes, dots, semicolons, NUL, overlong UTF-8, in capitals, with a whole URL in the request line, by HTTP/1.1 and HTTP/2, and by other names of the server. " +
		"Asks for status pages, listings and errors, and whether answers tell versions.",
	Risk:    "some hundred requests, most of them refused; files with random names lie in Matomo's directories for seconds",
	Without: []Protection{frontAllowList, frontVersions},
	Attempt: func(ctx context.Context, t *Target, record *Record) error {
		v, err := t.visitor(7, record)
		if err != nil {
			return err
		}
		return errors.Join(
			v.leftovers(ctx),
			v.private(ctx),
			v.htaccess(ctx),
			v.statusPages(ctx),
			v.versions(ctx),
		)
	},
}

// editsFront changes Matomo's site of the front by what sed is told, as words of
// sh, for programs that take a protection away.
func editsFront(nginx, apache string) string {
	return "case $FRONT in\n" +
		"nginx) sed -i " + nginx + ` "$(readlink -f /etc/nginx/sites-enabled/matomo.conf)" ;;` + "\n" +
		"apache2) sed -i " + apache + " /etc/apache2/sites-available/matomo.conf ;;\n" +
		"esac\nsystemctl restart $FRONT\n"
}

var frontAllowList = Protection{
	ID:    "front-allow-list",
	Title: "the front answers only what one of its rules names",
	Part:  FrontPart,
	Remove: editsFront(
		`'0,/return 404;/s//try_files $uri =404;/'`,
		`-e '/RewriteRule "^" "-" \[R=404,L\]/d' -e 's/Require all denied/Require all granted/'`,
	),
	Controls: []string{"FRT-02", "FRT-03"},
}

var frontVersions = Protection{
	ID:    "front-versions",
	Title: "the front tells no version",
	Part:  FrontPart,
	Remove: editsFront(
		`'s/server_tokens off;/server_tokens on;/'`,
		`'s/^ServerTokens Prod/ServerTokens Full/'`,
	),
	Controls: []string{"FRT-06"},
}

// leftoverNames are what people and programs leave behind, by its path below
// Matomo's directory. NAME is a canary's.
var leftoverNames = []string{
	"config/NAME.ini.php.bak", "config/NAME.ini.php~", "config/.NAME.ini.php.swp", "config/NAME.ini.php.save", "config/NAME.js",
	"tmp/NAME.log", "tmp/logs/NAME.log", "tmp/assets/NAME.js",
	"NAME.sql", "NAME.sql.gz", "NAME.tar.gz", "NAME.zip", "NAME.env", ".NAME.env", ".NAME", ".git-NAME/config", "NAME.git/config",
	"NAME.php.bak", "NAME.php~", "NAME.phps", "NAME.inc", "NAME.ini", "NAME.log", "NAME.json", "NAME.lock", "NAME.md", "NAME.html", "NAME.xml",
	"plugins/NAME.json", "plugins/CoreHome/NAME.json", "plugins/CoreHome/NAME.twig", "plugins/CoreHome/.NAME.js", "plugins/.git-NAME/a.js",
	"core/NAME.js", "vendor/NAME.js", "vendor/composer/NAME.json", "lang/NAME.json", "misc/NAME.py", "misc/user/NAME.html", "misc/user/.NAME.png",
	"js/NAME.js", "js/NAME.js.map", "node_modules/NAME.md", "tests/NAME.md",
}

// leftover is a file that nobody may fetch.
type leftover struct {
	path  string // of the file
	dir   string // that was made for it; "" when it was there
	mark  string // what it holds
	again again
}

// plant makes such a file in a directory, which is made when it is named after
// a canary too. ok is false where its directory is not there.
func (t *Target) plant(name string) (file leftover, ok bool, err error) {
	file = leftover{path: name, mark: Canary()}
	if dir := path.Dir(name); strings.Contains(path.Base(dir), "rocca-prove-") {
		file.dir = dir
		if info, err := os.Stat(path.Dir(dir)); err != nil || !info.IsDir() {
			return file, false, nil //nolint:nilerr // not there
		}
		if err := t.PlantDir(dir, "root", 0o755); err != nil {
			return file, false, err
		}
	} else if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return file, false, nil //nolint:nilerr // not there
	}
	file.again = again{setUp: "echo " + file.mark + " >" + shellWord(name) + "; chmod 644 " + shellWord(name), undo: "rm -f " + shellWord(name), pattern: file.mark}
	if file.dir != "" {
		file.again.setUp = "mkdir -m 755 " + shellWord(file.dir) + "; " + file.again.setUp
		file.again.undo = "rm -rf " + shellWord(file.dir)
	}
	return file, true, t.Plant(name, "root", 0o644, file.mark+"\n")
}

// came tells what of a planted file is in an answer.
func (file leftover) came(a reply) string {
	if bytes.Contains(a.Body, []byte(file.mark)) {
		return "the file came"
	}
	return ""
}

// protocols are those that the front speaks: HTTP/2 or not.
func (v visitor) protocols() []bool {
	if v.t.TLS() {
		return []bool{false, true}
	}
	return []bool{false}
}

// fetch asks for a target by each protocol, as a name ("": Matomo's own).
func (v visitor) fetch(ctx context.Context, what, target, host string, again again, judge func(reply) string) (fell bool, err error) {
	for _, second := range v.protocols() {
		gave, err := v.try(ctx, what, web.Request{Target: target, Host: host, HTTP2: second}, again, judge)
		if err != nil && (!second || !errors.Is(err, web.ErrNoHTTP2)) {
			return false, err
		}
		fell = fell || gave
	}
	return fell, nil
}

func (v visitor) leftovers(ctx context.Context) error {
	t, name := v.t, Canary()
	for i, pattern := range leftoverNames {
		below := "/" + strings.ReplaceAll(pattern, "NAME", name)
		file, ok, err := t.plant(t.Matomo.Real + below)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		fell, err := v.fetch(ctx, "fetch a left-over", t.URLPath(below), "", file.again, file.came)
		if err != nil {
			return err
		}
		if fell || i > 0 && pattern != ".git-NAME/config" {
			continue
		}
		for _, target := range spellings(t.URLPath(""), below, t.Name()) {
			if _, err := v.fetch(ctx, "fetch a left-over by another spelling", target, "", file.again, file.came); err != nil {
				return err
			}
		}
		for _, host := range v.otherNames() {
			if _, err := v.fetch(ctx, "fetch a left-over by another name of the server", t.URLPath(below), host, file.again, file.came); err != nil {
				return err
			}
		}
	}
	return v.outside(ctx, name)
}

// outside asks for files beside the document root, and beside the directory of
// uploads.
func (v visitor) outside(ctx context.Context, name string) error {
	t := v.t
	for dir, ways := range map[string][]string{
		path.Dir(t.Matomo.Real): {"/../NAME", "/..%2fNAME", "/%2e%2e/NAME", "/.%2e/NAME", "/..%5cNAME", "/..;/NAME", "/plugins/../../NAME", "/plugins/..%2f..%2fNAME", "/plugins../../NAME", "/%252e%252e/NAME", "/%c0%ae%c0%ae/NAME", "/%u002e%u002e/NAME", "/js../../NAME"},
		path.Dir(t.uploads()):   {"/misc/user../NAME", "/misc/user/../NAME", "/misc/user/..%2fNAME", "/misc/user/%2e%2e/NAME", "/misc/user%2f..%2fNAME", "/misc/user/..;/NAME", "/misc/user/.%2e%2fNAME"},
	} {
		if dir == "." || slices.ContainsFunc(t.Front.Sites, func(s facts.Site) bool { return within(dir, s.Real) }) {
			continue // it is served itself
		}
		file, ok, err := t.plant(path.Join(dir, name+".png")) // a type that is served
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		for _, way := range ways {
			target := t.URLPath(strings.ReplaceAll(way, "NAME", name+".png"))
			if _, err := v.fetch(ctx, "fetch a file beside the document root", target, "", file.again, file.came); err != nil {
				return err
			}
		}
	}
	return nil
}

// otherNames are names of this server that are not Matomo's own, and nobody's.
func (v visitor) otherNames() []string {
	names := []string{"unknown.invalid", "127.0.0.1", "[::1]"}
	for _, site := range v.t.Front.Sites {
		for _, name := range site.Names {
			if plainName.FindString(name) == "" && name != v.t.Name() && !slices.Contains(names, name) && len(names) < 12 {
				names = append(names, name)
			}
		}
	}
	return names
}

// spellings are targets that name a path in other ways. below begins with a
// slash and has two parts, base is the path of Matomo without its slash.
func spellings(base, below, host string) []string {
	base = strings.TrimSuffix(base, "/")
	dir, file, _ := strings.Cut(strings.TrimPrefix(below, "/"), "/")
	dots := strings.ReplaceAll(file, ".", "%2e")
	whole := []string{
		below, "//" + dir + "//" + file, "/./" + dir + "/" + file, "/" + dir + "/./" + file, "/" + dir + "%2f" + file, "/" + dir + "%5c" + file, "/" + dir + `\` + file,
		"/" + dir + "/" + dots, fmt.Sprintf("/%%%02x%s/%s", dir[0], dir[1:], file), "/" + dir + "%252f" + file, fmt.Sprintf("/%%25%02x%s/%s", dir[0], dir[1:], file),
		"/plugins/../" + dir + "/" + file, "/plugins/..%2f" + dir + "/" + file, "/plugins/%2e%2e/" + dir + "/" + file, "/plugins/.%2e/" + dir + "/" + file,
		"/plugins/..;/" + dir + "/" + file, "/plugins/..%5c" + dir + "/" + file, "/plugins/%252e%252e/" + dir + "/" + file, "/plugins/%c0%ae%c0%ae/" + dir + "/" + file,
		"/plugins/\xc0\xae\xc0\xae/" + dir + "/" + file, "/" + dir + "%c0%af" + file, "/" + dir + "%e0%80%af" + file, "/" + dir + "%ef%bc%8f" + file,
		"/js/../" + dir + "/" + file, "/misc/user/../../" + dir + "/" + file, "/misc/user%2f..%2f..%2f" + dir + "/" + file, "/misc/user../" + dir + "/" + file,
		"/index.php/../" + dir + "/" + file, "/matomo.js/../" + dir + "/" + file, "/matomo.js/..;/" + dir + "/" + file,
		"/" + strings.ToUpper(dir) + "/" + file, below + ".", below + "...", below + "%20", below + "%00", below + "%00.js", below + "%00.png", below + "%0a", below + "%0a.js",
		below + "/", below + "/a.js", below + "/.", below + ";a.js", below + "%3ba.js", below + "::$DATA", below + "%3fa.js", below + "%23.js", below + "?a=/plugins/a.js", below + "#a.js",
		below + "\x00.js", "/" + dir + "/" + file + "\tHTTP/1.1/a.js", "/;/" + dir + "/" + file, "/" + dir + ";a=b/" + file, "/%2f" + dir + "/" + file, "/%2e/" + dir + "/" + file,
	}
	for i := range whole {
		whole[i] = base + whole[i]
	}
	return append(whole,
		strings.TrimPrefix(base+below, "/"), "/"+base+below, "http://"+host+base+below, "https://"+host+base+below, "http://unknown.invalid"+base+below, "http:"+base+below,
		`\`+base+below, "/.."+base+below, "/../.."+base+below, base+"/%2e%2e"+base+below, "*"+base+below,
	)
}

// private asks for what Matomo ships and nobody needs, and for its
// configuration by many spellings.
func (v visitor) private(ctx context.Context) error {
	t := v.t
	for _, probe := range front.Probes() {
		if probe.Want != front.Refused || strings.Contains(probe.Path, "index.php/") || strings.Contains(probe.Path, "matomo.php/") {
			continue // pages by other names are of another attack
		}
		file := content(t.Matomo.Real, probe.Path)
		judge := func(a reply) string {
			switch {
			case bytes.Contains(a.Body, []byte("[database]")) && !a.shows():
				return "settings of Matomo came"
			case bytes.Contains(a.Body, []byte("Index of /")):
				return "a list of files came"
			case a.Status == 200 && len(file) > 0 && bytes.Equal(a.Body, file):
				return "a private file of Matomo came"
			}
			return ""
		}
		pattern := `\[database\]|Index of /|^HTTP/1.1 200`
		if _, err := v.fetch(ctx, "fetch a private file", t.URLPath(probe.Path), "", again{pattern: pattern}, judge); err != nil {
			return err
		}
	}
	return nil
}

// content is that of a file below a directory which a target names plainly, and
// which is no PHP; nil for all else.
func content(dir, target string) []byte {
	name, err := url.PathUnescape(target)
	if err != nil || path.Clean(name) != name || strings.HasSuffix(name, ".php") || strings.ContainsAny(name, "\x00?") {
		return nil
	}
	info, err := os.Lstat(dir + name)
	if err != nil || !info.Mode().IsRegular() || info.Size() > 1<<20 {
		return nil
	}
	read, err := os.ReadFile(dir + name)
	if err != nil {
		return nil
	}
	return read
}

// htaccess tries whether whoever can write one file below Matomo's directory
// changes how Apache treats it.
func (v visitor) htaccess(ctx context.Context) error {
	t := v.t
	if t.Front.Program != "apache2" {
		return nil
	}
	dir := path.Join(t.Matomo.Real, "plugins", Canary())
	file := leftover{path: dir + "/.htaccess", dir: dir, mark: Canary()}
	line := `ErrorDocument 404 "` + file.mark + `"`
	if err := errors.Join(t.PlantDir(dir, "root", 0o755), t.Plant(file.path, "root", 0o644, line+"\n")); err != nil {
		return err
	}
	a := again{setUp: "mkdir -m 755 " + shellWord(dir) + "; echo " + shellWord(line) + " >" + shellWord(file.path), undo: "rm -rf " + shellWord(dir), pattern: file.mark}
	_, err := v.fetch(ctx, "have a .htaccess obeyed", t.URLPath("/plugins/"+path.Base(dir)+"/nothing"), "", a, func(r reply) string {
		if file.came(r) != "" {
			return "Apache obeyed a file in Matomo's directory"
		}
		return ""
	})
	return err
}

// statusMarks are on pages that tell how a server does.
var statusMarks = []string{"Apache Server Status", "Apache Server Information", "Active connections:", "accepted conn:", "start since:", "phpinfo()"}

func (v visitor) statusPages(ctx context.Context) error {
	t := v.t
	for _, page := range append([]string{"/server-status", "/server-info", "/status", "/fpm-status", "/nginx_status", "/basic_status", "/phpinfo.php", "/info.php"}, t.web.Status...) {
		if slices.Contains(t.web.Local, page) {
			continue // for this machine alone, which is where the attack comes from
		}
		_, err := v.fetch(ctx, "read a status page", page, "", again{pattern: strings.NewReplacer("(", `\(`, ")", `\)`).Replace(strings.Join(statusMarks, "|"))}, func(a reply) string {
			for _, mark := range statusMarks {
				if bytes.Contains(a.Body, []byte(mark)) {
					return "it shows " + mark
				}
			}
			return ""
		})
		if err != nil {
			return err
		}
	}
	echoed := Canary()
	_, err := v.try(ctx, "have a request sent back by TRACE", web.Request{Method: "TRACE", Target: "/", Header: [][2]string{{"Cookie", echoed}}}, again{pattern: echoed}, func(a reply) string {
		if bytes.Contains(a.Body, []byte(echoed)) {
			return "it sent the cookie back"
		}
		return ""
	})
	return err
}

var (
	versionHeader = regexp.MustCompile(`[0-9(]`)
	versionBody   = regexp.MustCompile(`(?i)\b(?:apache|nginx|php|openssl)/[0-9]`)
	errorText     = regexp.MustCompile(`(?i)stack trace:|fatal error: |on line <b>|\bsql(?:state)\[`)
	apiVersion    = regexp.MustCompile(`"value"\s*:\s*"\d+\.\d`)
)

// versions provokes refusals and errors, and reads what they tell.
func (v visitor) versions(ctx context.Context) error {
	t, index := v.t, v.t.URLPath("/index.php")
	tells := func(a reply) string {
		switch {
		case versionHeader.MatchString(a.Header.Get("Server")):
			return "Server: " + a.Header.Get("Server")
		case a.Header.Get("X-Powered-By") != "":
			return "X-Powered-By: " + a.Header.Get("X-Powered-By")
		case versionBody.Match(a.Body):
			return "the page tells " + string(versionBody.Find(a.Body))
		case errorText.Match(a.Body):
			return "it shows an error of PHP: " + string(errorText.Find(a.Body))
		case bytes.Contains(a.Body, []byte(t.Matomo.Real+"/")):
			return "it tells where Matomo is: " + t.Matomo.Real
		case apiVersion.Match(a.Body):
			return "it tells Matomo's version"
		}
		return ""
	}
	shown := again{pattern: `^(Server: .*[0-9(]|X-Powered-By:)|(apache|nginx|php|openssl)/[0-9]|stack trace:|fatal error|on line <b>|sqlstate\[|"value"|` + regexp.QuoteMeta(t.Matomo.Real) + "/"}
	requests := []web.Request{
		{Target: t.URLPath("/nothing-" + Canary())}, {Target: "no-slash"}, {Target: "/", Header: [][2]string{{"Content-Length", "x"}}},
		{Target: index + "?module[]=x"}, {Target: index + "?action[]=x"}, {Target: index + "?module=" + Canary()}, {Target: t.URLPath("/matomo.php?rec[]=1&idsite[]=x")},
		{Target: t.URLPath("/matomo.php?debug=1")}, {Target: index + "?module=API&method=API.getMatomoVersion&format=json"}, {Target: index + "?module=API&method[]=x&format=json"},
	}
	if t.FrontAddress(true) != "" && t.TLS() {
		requests = append(requests, web.Request{Target: "/", Plain: true}, web.Request{Target: "no-slash", Plain: true})
	}
	for _, r := range requests {
		if _, err := v.try(ctx, "have an answer tell versions and paths", r, shown, tells); err != nil {
			return err
		}
	}
	return nil
}
