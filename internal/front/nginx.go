package front

import (
	"bytes"
	_ "embed"
	"regexp"
	"slices"
	"strings"
	"text/template"
)

// Where Debian's nginx looks. The caller links the site into sites-enabled and
// takes away Debian's default site, which claims the same addresses.
const (
	NginxSite    = "/etc/nginx/sites-available/matomo.conf"
	nginxFastCGI = "/etc/nginx/snippets/matomo-fastcgi.conf"
)

// NginxPackages returns the Debian packages that the configuration needs; they
// have the same names on 12 and 13. nginx itself has gzip_static, Brotli is a
// module of its own.
func NginxPackages() []string {
	return []string{"nginx", "libnginx-mod-http-brotli-static"}
}

//go:embed nginx.conf.tmpl
var nginxText string

//go:embed fastcgi.conf
var nginxFastCGIText []byte

// Nginx renders the site for nginx, the file to be enabled first. The release
// that Docroot leads to is looked up for each request.
func Nginx(site Site, platform Platform) ([]File, error) {
	page := nginxPage{
		Site:        site,
		Hosts:       site.hosts(),
		AllHosts:    site.hosts(),
		Everywhere:  everywhere,
		FastCGIFile: nginxFastCGI,
		API:         apiQuery,
		Ordinary:    ordinaryQuery,
		OptOut:      optOutQuery,
		AppRefused:  appRefused,
	}
	// nginx 1.22 of Debian 12 takes http2 with the address, 1.26 of Debian 13 warns of that.
	page.HTTP2Listen = " http2"
	if platform.Debian >= 13 {
		page.HTTP2Listen, page.HTTP2Directive = "", "\n    http2 on;"
	}
	for _, app := range site.Apps {
		page.AllHosts = append(page.AllHosts, app.Domain)
	}
	for _, rule := range site.rules() {
		page.Rules = append(page.Rules, newNginxRule(rule, site))
		for _, header := range rule.Headers {
			if (header.IfMissing || header.Unless != "") && !slices.Contains(page.Missing, header) {
				page.Missing = append(page.Missing, header)
			}
		}
	}
	text, err := render("nginx", nginxText, page, site, platform)
	if err != nil {
		return nil, err
	}
	return []File{{NginxSite, text}, {nginxFastCGI, nginxFastCGIText}}, nil
}

type nginxPage struct {
	Site
	Hosts, AllHosts             []string
	Everywhere                  []Header
	Missing                     []Header // headers that depend on what PHP sent: each has a variable
	FastCGIFile                 string
	API, Ordinary, OptOut       string
	AppRefused                  string
	HTTP2Listen, HTTP2Directive string
	Rules                       []nginxRule
}

// AnswersWithoutName tells whether clients may send no name in the handshake.
func (p nginxPage) AnswersWithoutName() bool { return p.answersWithoutName() }

// Health is the path for load balancers.
func (nginxPage) Health() string { return HealthPath }

type nginxRule struct {
	Rule
	Matches    []nginxMatch
	Restricted bool   // to the admin networks
	Limited    bool   // in requests per client
	Socket     string // of the pool
}

// nginxMatch is one location.
type nginxMatch struct {
	Match  string // what follows "location"
	Script string // that runs; empty: a static file
}

func newNginxRule(rule Rule, site Site) nginxRule {
	r := nginxRule{
		Rule:       rule,
		Restricted: rule.Audience == Admins && len(site.AdminNetworks) > 0,
		Limited:    rule.Pool == PoolUI,
		Socket:     site.socket(rule.Pool),
	}
	for _, p := range rule.Paths {
		match := nginxMatch{Match: "= " + p}
		if p != "/" && strings.HasSuffix(p, "/") {
			// From "= /js/" nginx makes a redirect of /js by itself.
			match.Match = `~ "^` + regexp.QuoteMeta(p) + `\z"`
		}
		if rule.Pool != "" {
			match.Script = rule.Script(p)
		}
		r.Matches = append(r.Matches, match)
	}
	if rule.Dir != "" {
		pattern := rule.Pattern()
		if rule.Uploaded {
			pattern = "^" + regexp.QuoteMeta(rule.Dir) + "(?<matomo_upload>" + rule.file() + `)\z`
		}
		r.Matches = append(r.Matches, nginxMatch{Match: `~ "` + pattern + `"`})
	}
	return r
}

// render checks what goes into a template, and fills it in.
func render(name, text string, page any, site Site, platform Platform) ([]byte, error) {
	if err := platform.validate(); err != nil {
		return nil, err
	}
	if err := site.Validate(); err != nil {
		return nil, err
	}
	parsed := template.Must(template.New(name).Funcs(template.FuncMap{
		"join":       strings.Join,
		"quote":      regexp.QuoteMeta,
		"list":       func(all ...string) []string { return all },
		"ciphers":    func() string { return ciphers },
		"underscore": underscore,
		"missing":    func(header string) string { return "matomo_missing_" + underscore(header) },
	}).Parse(text))
	var out bytes.Buffer
	if err := parsed.Execute(&out, page); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// underscore returns a header's name as it stands in variables.
func underscore(header string) string {
	return strings.ReplaceAll(strings.ToLower(header), "-", "_")
}
