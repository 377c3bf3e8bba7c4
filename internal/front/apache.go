package front

import (
	_ "embed"
	"maps"
	"slices"
	"strings"
)

// ApacheSite is where Debian's Apache looks. The caller enables it (a2ensite)
// and disables 000-default, which would otherwise answer unknown names.
const ApacheSite = "/etc/apache2/sites-available/matomo.conf"

// ApachePackages returns the Debian packages that the configuration needs.
func ApachePackages(platform Platform) []string {
	if apacheLimits(platform) {
		return []string{"apache2", "libapache2-mod-qos"}
	}
	return []string{"apache2"}
}

// ApacheModules returns the modules that the configuration needs (a2enmod).
// Those that Debian enables by itself are named too: somebody may have
// disabled them. A site with Proxies is proxied.
func ApacheModules(platform Platform, proxied bool) []string {
	modules := []string{
		"alias", "allowmethods", "authz_core", "authz_host", "deflate", "dir", "env", "filter", "headers", "http2",
		"mime", "mpm_event", "proxy", "proxy_fcgi", "reqtimeout", "rewrite", "setenvif", "socache_shmcb", "ssl",
	}
	if apacheLimits(platform) {
		modules = append(modules, "qos", "unique_id") // which mod_qos asks for
	}
	if proxied {
		modules = append(modules, "remoteip")
	}
	return modules
}

// apacheLimits tells whether Apache can limit requests per client. Only mod_qos
// can, by more than the address; the one of Debian 12 (11.63-1+b2) fails to load
// into Debian 12's Apache: "undefined symbol: pcre_free".
func apacheLimits(platform Platform) bool { return platform.Debian >= 13 }

//go:embed apache.conf.tmpl
var apacheText string

// Apache renders the site for Apache 2.4. Apache does not resolve links for
// FastCGI: PHP does, and keeps the answer in its realpath cache, so after
// Docroot has been switched the pools must be reloaded.
func Apache(site Site, platform Platform) ([]File, error) {
	page := apachePage{
		Site:       site,
		Everywhere: everywhere,
		API:        apiQuery,
		Ordinary:   ordinaryQuery,
		Limits:     apacheLimits(platform),
		OptOut:     optOutQuery,
		AppRefused: appRefused,
	}
	seconds := map[Pool]int{}
	for _, rule := range site.rules() {
		page.Rules = append(page.Rules, newApacheRule(rule, site))
		if rule.Pool == "" {
			continue
		}
		seconds[rule.Pool] = max(seconds[rule.Pool], rule.Seconds)
		for _, p := range rule.Paths {
			if rule.Pool == PoolUI {
				page.UIPaths = append(page.UIPaths, "'"+p+"'")
			}
			if strings.HasSuffix(p, "/") {
				page.Directories = append(page.Directories, p)
			} else {
				page.Scripts = append(page.Scripts, p)
			}
		}
	}
	// In Apache the last section that matches decides, in the rules the first.
	slices.Reverse(page.Rules)
	for _, pool := range slices.Sorted(maps.Keys(seconds)) {
		page.Pools = append(page.Pools, apachePool{pool, site.socket(pool), seconds[pool]})
	}
	text, err := render("apache", apacheText, page, site, platform)
	if err != nil {
		return nil, err
	}
	return []File{{ApacheSite, text}}, nil
}

type apachePage struct {
	Site
	Limits                bool // per client
	Everywhere            []Header
	API, Ordinary, OptOut string
	UIPaths               []string // quoted, whose requests count
	AppRefused            string
	Directories           []string // exact paths that stand for the index.php in them
	Scripts               []string
	Rules                 []apacheRule
	Pools                 []apachePool
}

// Host is the main name. Apache wants an IPv6 address in brackets here, and
// without them in ServerAlias, which therefore has all names.
func (p apachePage) Host() string { return p.hosts()[0] }

// Health is the path for load balancers.
func (apachePage) Health() string { return HealthPath }

// Encodings are the packed forms of a file, best first, by name extension.
func (apachePage) Encodings() []apacheEncoding {
	return []apacheEncoding{{"br", "br"}, {"gz", "gzip"}}
}

type apacheEncoding struct{ Extension, Name string }

type apachePool struct {
	Name    Pool
	Socket  string
	Seconds int
}

type apacheRule struct {
	Rule
	Restricted bool   // to the admin networks
	Socket     string // of the pool
}

func newApacheRule(rule Rule, site Site) apacheRule {
	r := apacheRule{
		Rule:       rule,
		Restricted: rule.Audience == Admins && len(site.AdminNetworks) > 0,
		Socket:     site.socket(rule.Pool),
	}
	return r
}
