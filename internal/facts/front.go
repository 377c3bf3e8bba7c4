package facts

import (
	"slices"
	"time"
)

// Front is the web server that the outside reaches, as its configuration says
// with all includes.
type Front struct {
	Program string               `json:"program,omitempty"` // "nginx" or "apache2"; empty: none found
	Version string               `json:"version,omitempty"`
	User    string               `json:"user,omitempty"` // of the workers
	Group   string               `json:"group,omitempty"`
	Config  string               `json:"config,omitempty"`  // main file
	Files   []string             `json:"files,omitempty"`   // all that were read
	Modules []string             `json:"modules,omitempty"` // of Apache, "mpm_event_module", "php_module"
	Global  map[string][]Setting `json:"global,omitempty"`  // directives at the top (nginx: main and http), lower case
	Sites   []Site               `json:"sites,omitempty"`
	Faults  []string             `json:"faults,omitempty"` // "file:line: what could not be read"
}

// Site is a server block of nginx or a virtual host of Apache.
type Site struct {
	File       string               `json:"file"`
	Line       int                  `json:"line"`
	Names      []string             `json:"names,omitempty"`
	Listens    []Listen             `json:"listens,omitempty"`
	Docroot    string               `json:"docroot,omitempty"`    // as written
	Real       string               `json:"real,omitempty"`       // with links resolved
	Matomo     bool                 `json:"matomo,omitempty"`     // serves Matomo
	Directives map[string][]Setting `json:"directives,omitempty"` // at the site's level, lower case, not inherited ones
	Locations  []Location           `json:"locations,omitempty"`
	Key        string               `json:"key,omitempty"` // paths
	Chain      string               `json:"chain,omitempty"`
}

// Listen is where a site listens.
type Listen struct {
	Address string `json:"address,omitempty"` // empty: all
	Port    int    `json:"port"`
	TLS     bool   `json:"tls,omitempty"`
	HTTP2   bool   `json:"http2,omitempty"`
	Default bool   `json:"default,omitempty"` // answers to unknown names
}

// Location is a part of a site: a location of nginx; a Directory, Location,
// Files or FilesMatch section of Apache.
type Location struct {
	Kind       string               `json:"kind"`  // "location", "directory", "files", "if" ...
	Match      string               `json:"match"` // "~ \\.php$", "/config"
	File       string               `json:"file"`
	Line       int                  `json:"line"`
	In         string               `json:"in,omitempty"`      // section that it is written in: "location = /matomo.php"; empty: the site itself
	Backend    string               `json:"backend,omitempty"` // of FastCGI or a proxy: "/run/x.sock", "127.0.0.1:9000"
	Directives map[string][]Setting `json:"directives,omitempty"`
}

// Directive returns the values of a directive anywhere in effect for a site:
// its own and its locations', or else the global ones.
func (f Front) Directive(site Site, name string) []Setting {
	found := slices.Clone(site.Directives[name])
	for _, location := range site.Locations {
		found = append(found, location.Directives[name]...)
	}
	if len(found) == 0 {
		return f.Global[name]
	}
	return found
}

// MatomoSites are the sites that serve Matomo.
func (s Server) MatomoSites() []Site {
	return slices.DeleteFunc(slices.Clone(s.Front.Sites), func(site Site) bool { return !site.Matomo })
}

// Certificate is a certificate file that the front uses.
type Certificate struct {
	Names      []string  `json:"names,omitempty"`
	Issuer     string    `json:"issuer"`
	NotBefore  time.Time `json:"not_before"`
	NotAfter   time.Time `json:"not_after"`
	SelfSigned bool      `json:"self_signed,omitempty"`
	Trusted    bool      `json:"trusted,omitempty"`  // leads to a CA of this machine
	Algorithm  string    `json:"algorithm"`          // "RSA 2048", "ECDSA P-256"
	Renewal    string    `json:"renewal,omitempty"`  // unit or job that renews it: "certbot.timer"
	Rehearsed  time.Time `json:"rehearsed,omitzero"` // last successful run of that
	Problem    string    `json:"problem,omitempty"`
}

// Answer is what the front said to one request of the audit. The request went
// to this machine's own address, for Matomo's own name if Host does not say
// otherwise; but for a page of a tracked site, "page:" and its URL, which was
// fetched from where that is.
type Answer struct {
	Method   string              `json:"method"`
	URL      string              `json:"url"`
	Host     string              `json:"host,omitempty"`
	Protocol string              `json:"protocol,omitempty"` // "HTTP/1.1", "HTTP/2.0"
	Status   int                 `json:"status,omitempty"`   // 0: no answer, the connection was closed
	Header   map[string][]string `json:"header,omitempty"`   // canonical names; values of cookies are "[redacted]"
	Verdict  Verdict             `json:"verdict,omitempty"`
	SHA256   string              `json:"sha256,omitempty"`  // of the body of a script
	Origins  []string            `json:"origins,omitempty"` // of a page: other hosts that it loads from; of a tracked site also its own, when Matomo's script is there
	Sign     string              `json:"sign,omitempty"`    // what of the body decided the verdict, never a secret
	Problem  string              `json:"problem,omitempty"` // why there was none
}

// Verdict is what an answer means, by its content and not by its status alone.
type Verdict string

// The verdicts.
const (
	Refused    Verdict = "refused"  // 401, 403, 404, 410, 421, 444 or a closed connection
	Served     Verdict = "served"   // the file or page itself
	Leaked     Verdict = "leaked"   // text that is private: settings, code, a version
	Executed   Verdict = "executed" // PHP that is no entry point ran
	Redirected Verdict = "redirected"
	Failed     Verdict = "failed" // 5xx
)

// Handshake is one attempt to agree on TLS.
type Handshake struct {
	Accepted bool     `json:"accepted"`
	Version  string   `json:"version,omitempty"` // agreed
	Cipher   string   `json:"cipher,omitempty"`
	Weak     []string `json:"weak,omitempty"` // ciphers that it accepts and should not
	Problem  string   `json:"problem,omitempty"`
}
