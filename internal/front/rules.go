// Package front holds the one set of rules by which the public web server
// answers, and renders it as nginx and as Apache configuration.
//
// The set is an allow-list: a path that no rule names does not exist (404).
// Matomo's own lists deny what is known to be dangerous and leave the rest
// open: backups, dumps, .git, .env and whatever the next release brings.
// The package is pure: it reads no file and starts nothing.
package front

import (
	"cmp"
	"maps"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Pool is the PHP pool that runs a script.
type Pool string

// The two pools of Matomo.
const (
	PoolUI      Pool = "ui"      // login, reports, API, opt-out
	PoolTracker Pool = "tracker" // takes hits from everybody; has no network and no session
)

// Audience says whom a rule answers.
type Audience string

// Admins is everybody unless Site.AdminNetworks is set.
const (
	Public Audience = "public"
	Admins Audience = "admins"
)

// Header is a response header of a rule.
type Header struct {
	Name, Value string
	IfMissing   bool   // only sent when the script has not sent its own
	Unless      string // sent in the place of the script's own, unless that has this word; empty: whatever the script sent
}

// Rule lets requests through that nothing else lets through. It names either
// exact paths or the files of given types below a directory.
type Rule struct {
	Name     string            // what the rule is for; a comment in rendered configuration
	Paths    []string          // exact URL paths, decoded
	Dir      string            // or: URL directory with both slashes ...
	Stem     string            // ... in which files of this name (regular expression, without type) match; empty: all, in subdirectories too
	Types    map[string]string // file name extension to media type, of a static rule
	Pool     Pool              // that runs the script at the path; empty: a static file is sent
	Of       Pool              // that a static file belongs to, which is only there with it; empty: to both
	Audience Audience
	Methods  []string // others get 405
	Body     int64    // largest request body, in bytes
	Seconds  int      // longest wait for an answer of the script
	Headers  []Header
	Packed   bool // Site.PrecompressedDir has the file, also as .gz and .br
	Uploaded bool // the files are in Site.UserDir, where the UI pool writes
}

const (
	kilobyte = 1 << 10
	megabyte = 1 << 20

	// year is what hstspreload.org and Mozilla ask of HSTS, in seconds.
	year = "31536000"
)

// everywhere goes out with each response, errors and refusals included.
var everywhere = []Header{
	{Name: "Strict-Transport-Security", Value: "max-age=" + year},
	{Name: "X-Content-Type-Options", Value: "nosniff"},
}

// inert takes the power from a file that is opened as a page of its own: an
// uploaded SVG may hold scripts. It changes nothing for a file that a page
// loads as image, style or script.
const inert = "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'"

var (
	read      = []string{"GET", "HEAD"}
	readWrite = []string{"GET", "HEAD", "POST"}

	script   = map[string]string{"js": "text/javascript"}
	pictures = map[string]string{
		"gif": "image/gif", "ico": "image/x-icon", "jpeg": "image/jpeg", "jpg": "image/jpeg",
		"png": "image/png", "svg": "image/svg+xml", "webp": "image/webp",
	}
	// assets is what pages of the UI load from plugins. No html, json, md, twig,
	// vue or ts: no page asks for them, and they tell versions.
	assets = map[string]string{
		"css": "text/css", "js": "text/javascript",
		"eot": "application/vnd.ms-fontobject", "ttf": "font/ttf", "woff": "font/woff", "woff2": "font/woff2",
		"gif": "image/gif", "ico": "image/x-icon", "jpeg": "image/jpeg", "jpg": "image/jpeg",
		"png": "image/png", "svg": "image/svg+xml", "webp": "image/webp",
	}
)

// Rules returns the allow-list. The first rule that matches a path decides, and
// exact paths come before directories. What the UI loads was taken from the templates and the asset manager of Matomo
// 5.3.0: libs and vendor are only ever read by PHP, which merges their scripts.
func Rules() []Rule {
	return []Rule{
		{
			Name: "user interface, API, opt-out", Paths: []string{"/", "/index.php"},
			Pool: PoolUI, Audience: Admins,
			Methods: readWrite, Body: 8 * megabyte, Seconds: 300, Headers: dynamic(),
		},
		{
			Name: "tracking; OPTIONS is the CORS preflight of cross-site hits; bulk requests are long", Paths: []string{"/matomo.php", "/piwik.php"},
			Pool: PoolTracker, Audience: Public,
			Methods: []string{"GET", "HEAD", "POST", "OPTIONS"}, Body: 5 * megabyte, Seconds: 60, Headers: dynamic(),
		},
		{
			Name: "tracking, and the tracker script, by the address that hides both", Paths: []string{"/js/", "/js/index.php"},
			Pool: PoolTracker, Audience: Public,
			Methods: []string{"GET", "HEAD", "POST", "OPTIONS"}, Body: 5 * megabyte, Seconds: 60, Headers: dynamic(),
		},
		{
			Name: "tracker script", Paths: []string{"/matomo.js", "/piwik.js"}, Of: PoolTracker,
			Types: script, Audience: Public, Methods: read, Body: kilobyte, Packed: true,
			Headers: static("public, max-age=3600", inert),
		},
		{
			// No Content-Security-Policy: a worker would run under it.
			Name: "offline tracking, loaded by the service workers of tracked sites", Paths: []string{"/offline-service-worker.js"}, Of: PoolTracker,
			Types: script, Audience: Public, Methods: read, Body: kilobyte,
			Headers: static("public, max-age=3600", ""),
		},
		{
			Name: "script of the opt-out page", Paths: []string{"/plugins/CoreAdminHome/javascripts/optOut.js"}, Of: PoolUI,
			Types: script, Audience: Public, Methods: read, Body: kilobyte,
			Headers: static("public, max-age=3600", inert),
		},
		{
			Name: "tag manager previews change while their author looks at them", Dir: "/js/", Stem: `container_[A-Za-z0-9_]+_preview`, Of: PoolTracker,
			Types: script, Audience: Public, Methods: read, Body: kilobyte,
			Headers: static("no-cache", inert),
		},
		{
			Name: "tag manager containers, and older names of the tracker script", Dir: "/js/", Stem: `container_[A-Za-z0-9_]+|piwik|piwik\.min`, Of: PoolTracker,
			Types: script, Audience: Public, Methods: read, Body: kilobyte,
			Headers: static("public, max-age=300", inert),
		},
		{
			Name: "advice to crawlers, icon", Paths: []string{"/robots.txt", "/favicon.ico"},
			Types: map[string]string{"txt": "text/plain", "ico": "image/x-icon"}, Audience: Public, Methods: read, Body: kilobyte,
			Headers: static("public, max-age=86400", inert),
		},
		{
			Name: "web app manifest of the user interface", Paths: []string{"/plugins/CoreHome/javascripts/manifest.json"}, Of: PoolUI,
			Types: map[string]string{"json": "application/manifest+json"}, Audience: Admins, Methods: read, Body: kilobyte,
			Headers: static("public, max-age=3600", inert),
		},
		{
			Name: "images, fonts, styles and scripts of plugins", Dir: "/plugins/", Of: PoolUI,
			Types: assets, Audience: Admins, Methods: read, Body: kilobyte,
			Headers: static("public, max-age=3600", inert),
		},
		{
			Name: "script libraries", Dir: "/node_modules/", Of: PoolUI,
			Types: map[string]string{"css": "text/css", "js": "text/javascript"}, Audience: Admins, Methods: read, Body: kilobyte,
			Headers: static("public, max-age=3600", inert),
		},
		{
			Name: "uploaded logos: images only, links are not followed", Dir: "/misc/user/", Of: PoolUI,
			Types: pictures, Audience: Admins, Methods: read, Body: kilobyte, Uploaded: true,
			Headers: static("public, max-age=3600", inert),
		},
	}
}

// rules are those of the pools that a site has.
func (s Site) rules() []Rule {
	return slices.DeleteFunc(Rules(), func(r Rule) bool {
		of := cmp.Or(r.Pool, r.Of)
		return of != "" && s.socket(of) == ""
	})
}

// dynamic returns the headers of a script. Matomo decides on framing itself:
// its pages refuse it, its opt-out must allow it.
func dynamic() []Header {
	return append(slices.Clone(everywhere),
		Header{Name: "Referrer-Policy", Value: "same-origin", IfMissing: true},
		// Matomo lets browsers keep answers of the API; what it calls public are
		// its merged scripts and styles.
		Header{Name: "Cache-Control", Value: "no-store", Unless: "public"})
}

// static returns the headers of a file; an empty policy is not sent.
func static(cache, policy string) []Header {
	headers := append(slices.Clone(everywhere), Header{Name: "Cache-Control", Value: cache}, Header{Name: "Referrer-Policy", Value: "same-origin"})
	if policy != "" {
		headers = append(headers, Header{Name: "Content-Security-Policy", Value: policy})
	}
	return headers
}

// Script returns what runs for one of the rule's exact paths: a directory
// stands for the index.php in it.
func (r Rule) Script(urlPath string) string {
	if strings.HasSuffix(urlPath, "/") {
		return urlPath + "index.php"
	}
	return urlPath
}

// Pattern returns the rule as an anchored regular expression over decoded
// paths, in the syntax that Go, nginx and Apache (both PCRE) share. It ends in
// \z: $ would also match before a newline at the end (CVE-2017-15715). No
// segment may begin with a dot.
func (r Rule) Pattern() string {
	if r.Dir == "" {
		return "^(?:" + strings.Join(quoted(r.Paths), "|") + `)\z`
	}
	return "^" + regexp.QuoteMeta(r.Dir) + r.file() + `\z`
}

// file returns the pattern of a file below Dir.
func (r Rule) file() string {
	name := `(?:[^/.][^/]*/)*[^/.][^/]*`
	if r.Stem != "" {
		name = "(?:" + r.Stem + ")"
	}
	return name + `\.(?:` + strings.Join(slices.Sorted(maps.Keys(r.Types)), "|") + ")"
}

// ExtensionsByType returns Types the other way round, extensions in order.
func (r Rule) ExtensionsByType() map[string][]string {
	byType := map[string][]string{}
	for _, extension := range slices.Sorted(maps.Keys(r.Types)) {
		byType[r.Types[extension]] = append(byType[r.Types[extension]], extension)
	}
	return byType
}

// MediaType returns what a static file is sent as.
func (r Rule) MediaType(urlPath string) string {
	return r.Types[strings.TrimPrefix(path.Ext(urlPath), ".")]
}

func quoted(paths []string) []string {
	quoted := make([]string, len(paths))
	for i, p := range paths {
		quoted[i] = regexp.QuoteMeta(p)
	}
	return quoted
}

// Decide returns the rule for the path of a request target as it was sent
// (escaped, without query), and the decoded path; false means 404. It decodes
// once, merges slashes and resolves dots as nginx and Apache do, and refuses
// what they disagree about: encoded slashes and NUL.
func Decide(escaped string) (Rule, string, bool) {
	decoded, err := url.PathUnescape(escaped)
	if err != nil || !strings.HasPrefix(decoded, "/") || strings.Contains(decoded, "\x00") ||
		strings.Contains(strings.ToLower(escaped), "%2f") {
		return Rule{}, "", false
	}
	clean := path.Clean(decoded)
	if clean != "/" && (strings.HasSuffix(decoded, "/") || strings.HasSuffix(decoded, "/.") || strings.HasSuffix(decoded, "/..")) {
		clean += "/"
	}
	for i, r := range Rules() {
		if patterns()[i].MatchString(clean) {
			return r, clean, true
		}
	}
	return Rule{}, clean, false
}

// patterns are the compiled patterns of Rules, in the same order.
var patterns = sync.OnceValue(func() []*regexp.Regexp {
	var compiled []*regexp.Regexp
	for _, r := range Rules() {
		compiled = append(compiled, regexp.MustCompile(r.Pattern()))
	}
	return compiled
})
