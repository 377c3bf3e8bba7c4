package facts

import (
	"slices"
	"strings"
	"time"
)

// Matomo is the installation that is audited.
type Matomo struct {
	Root      string    `json:"root,omitempty"`   // as the front serves it: "/var/www/matomo/www"; empty: none found
	Real      string    `json:"real,omitempty"`   // links resolved: the key of Trees
	Others    []string  `json:"others,omitempty"` // further installations on this server
	Version   string    `json:"version,omitempty"`
	Released  time.Time `json:"released,omitzero"`   // of that version, as far as rocca knows
	Newest    string    `json:"newest,omitempty"`    // that rocca knows of
	NewestOf  time.Time `json:"newest_of,omitzero"`  // when that came out
	Schema    string    `json:"schema,omitempty"`    // option version_core: what the database is at
	Bootstrap string    `json:"bootstrap,omitempty"` // path of a root bootstrap.php
	Contexts  []Context `json:"contexts,omitempty"`  // one for each data directory: "ui" first

	HostConfigs []string         `json:"host_configs,omitempty"`  // configurations chosen by the Host header
	Diagnosis   *Diagnosis       `json:"diagnosis,omitempty"`     // of diagnostics:run; nil: not run
	Locked      bool             `json:"locked"`                  // rocca is the one writer of the configuration
	LinesOfCode map[string]Lines `json:"lines_of_code,omitempty"` // by area: "core", "plugins", "vendor" ...
}

// Lines counts lines of PHP.
type Lines struct {
	Files     int `json:"files"`
	Lines     int `json:"lines"`
	Reachable int `json:"reachable"` // in plugins that are active, and areas that Matomo loads
}

// Context is Matomo with one data directory (PIWIK_USER_PATH): where its
// settings are and what it writes. Most servers have one; rocca's have one for
// each pool.
type Context struct {
	Name    string `json:"name"`   // "ui", "tracker", "cron", "admin"
	User    string `json:"user"`   // Unix user that runs it; empty: not known
	Data    string `json:"data"`   // directory
	Config  string `json:"config"` // path of config.ini.php
	Tmp     string `json:"tmp"`
	Guarded bool   `json:"guarded"`           // the configuration begins with the guard line
	Problem string `json:"problem,omitempty"` // why it could not be read, with file and line

	// Settings are in effect, by "Section.key": global.ini.php,
	// common.config.ini.php and config.ini.php together. Secrets are left out.
	Settings map[string][]string `json:"settings,omitempty"`
	// Local are the keys of Settings that config.ini.php itself sets, with the line.
	Local   map[string]int      `json:"local,omitempty"`
	Secrets map[string]Strength `json:"secrets,omitempty"` // by "Section.key"
}

// Strength is what is told of a secret.
type Strength struct {
	Length int     `json:"length"`           // characters; 0: empty
	Bits   float64 `json:"bits"`             // of entropy at most, by its alphabet; repetition and words lower it
	Reused string  `json:"reused,omitempty"` // where else the same value is used: "database.password of /srv/x"
}

// Main is the context of the user interface; the zero value when there is none.
func (m Matomo) Main() Context {
	if len(m.Contexts) == 0 {
		return Context{}
	}
	return m.Contexts[0]
}

// Setting returns a single value in effect, such as "General.force_ssl".
func (c Context) Setting(key string) string {
	values := c.Settings[key]
	if len(values) == 0 {
		return ""
	}
	return values[len(values)-1]
}

// On tells whether a boolean setting is on, as Matomo reads it.
func (c Context) On(key string) bool {
	value := strings.ToLower(c.Setting(key))
	return !slices.Contains([]string{"", "0", "false", "off", "no"}, value)
}

// Where says where a setting is: "path:line", or "default" when
// config.ini.php does not set it.
func (c Context) Where(key string) (path string, line int) {
	if line, local := c.Local[key]; local {
		return c.Config, line
	}
	return c.Config, 0
}

// Diagnosis is what Matomo's own diagnostics:run said.
type Diagnosis struct {
	Errors   []string `json:"errors,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
}

// Integrity is how the code compares with the release.
type Integrity struct {
	Baseline string       `json:"baseline,omitempty"` // BaselineSigned, BaselineRecord or BaselineTree; empty: none
	Signer   string       `json:"signer,omitempty"`   // fingerprint
	Hash     string       `json:"hash,omitempty"`     // "SHA-256" or "MD5"
	Files    int          `json:"files"`              // compared
	Changed  []FileChange `json:"changed,omitempty"`
	Missing  []string     `json:"missing,omitempty"`  // paths relative to the root, those that may be left out not among them
	Extra    []string     `json:"extra,omitempty"`    // files that no release has, third-party plugins and Special left out
	Steering []Steering   `json:"steering,omitempty"` // files that run or steer PHP and that Matomo's own check ignores
	Foreign  []Foreign    `json:"foreign,omitempty"`  // in tmp
	Scripts  []Script     `json:"scripts,omitempty"`  // matomo.js, piwik.js, container_*.js
}

// The baselines, from the strongest.
const (
	BaselineSigned = "signed release"       // the manifest of an archive whose signature rocca checked
	BaselineRecord = "accepted release"     // the manifest of an archive that was accepted without a signature
	BaselineTree   = "manifest in the tree" // that whoever changed the tree may have changed too
)

// FileChange is a file that is not as released.
type FileChange struct {
	Path string `json:"path"` // relative to the root
	Want string `json:"want"` // hash
	Have string `json:"have"`
}

// Steering is a file that Matomo's own check ignores although it runs or steers
// PHP (config/global.php, fileintegrity.ignore).
type Steering struct {
	Path     string `json:"path"`     // absolute
	Kind     string `json:"kind"`     // "bootstrap.php", "config.php", "per-host configuration", "autoload.php", ".user.ini", ".htaccess", "php.ini", "plugin config", "script in misc/user"
	Expected bool   `json:"expected"` // it is what rocca wrote, or what the release or Matomo's own generator gives
	Why      string `json:"why"`      // what it does: "sets auto_prepend_file", "calls eval", "not the release's"
}

// Foreign is PHP in tmp that is not a cache file or a compiled template of
// Matomo's shape, or not its pool's.
type Foreign struct {
	Path  string `json:"path"`
	Owner string `json:"owner"`
	Why   string `json:"why"`
}

// Script is a script that tracked sites load.
type Script struct {
	Path   string `json:"path"`
	SHA256 string `json:"sha256"`
	Want   string `json:"want,omitempty"`   // expected hash; empty: none is known
	Packed string `json:"packed,omitempty"` // "gzip" or "brotli": SHA256 is of the unpacked content
}

// Plugin is a plugin of Matomo.
type Plugin struct {
	Active   bool      `json:"active"`
	Always   bool      `json:"always,omitempty"` // cannot be switched off
	Core     bool      `json:"core"`             // comes with the release
	Version  string    `json:"version,omitempty"`
	Dir      string    `json:"dir"`
	Lines    int       `json:"lines"` // of PHP
	Use      Use       `json:"use"`
	Evidence []string  `json:"evidence,omitempty"` // "3 rows in goal", "dashboard of 2 users"
	LastUsed time.Time `json:"last_used,omitzero"`
	Risky    []string  `json:"risky,omitempty"`  // abilities of PHP that is not of the release: "exec", "eval", "net", "write"
	Source   string    `json:"source,omitempty"` // of a third-party plugin: "recorded by rocca", empty: not known
	Changed  time.Time `json:"changed,omitzero"` // newest file of a third-party plugin
	Needed   []string  `json:"needed,omitempty"` // what breaks without it (matomo.md 5.2)
}

// Use is what the evidence says about a plugin, in Matomo's own terms.
type Use string

// The classes of use.
const (
	Used       Use = "used"
	NoEvidence Use = "no evidence"
	CannotTell Use = "cannot tell" // leaves no trace, or was not looked at
)

// Rows are what Matomo's tables hold, measured. Nothing of a visitor is in it.
type Rows struct {
	Users    []MatomoUser      `json:"users,omitempty"`
	Tokens   []Token           `json:"tokens,omitempty"`
	Access   []Access          `json:"access,omitempty"`
	Options  map[string]string `json:"options,omitempty"`  // table option, those of matomo.md 2.2 but secrets
	Settings map[string]string `json:"settings,omitempty"` // table plugin_setting: "Login.maxAllowedRetries"; lists as JSON
	Sites    []TrackedSite     `json:"sites,omitempty"`
	Months   []Month           `json:"months,omitempty"`   // of log_visit, oldest first
	Oldest   time.Time         `json:"oldest,omitzero"`    // first visit that is stored
	Archives string            `json:"archives,omitempty"` // oldest archive table: "2023-01"
	Personal []Personal        `json:"personal,omitempty"`
	UserIDs  Pseudonyms        `json:"user_ids,omitzero"`
	Orders   Pseudonyms        `json:"orders,omitzero"`
	Counts   map[string]int64  `json:"counts,omitempty"`  // rows by table without prefix, as far as asked; of a part of a table by "table: which", such as "goal: not deleted"
	Archived time.Time         `json:"archived,omitzero"` // last complete archiving
	Queue    *Queue            `json:"queue,omitempty"`   // QueuedTracking; nil: not in use
	Tags     *TagManager       `json:"tags,omitempty"`    // nil: never used
	Invited  []Invitation      `json:"invited,omitempty"`

	// Dashboards counts the dashboards that hold a widget of a plugin, by its name.
	Dashboards map[string]int `json:"dashboards,omitempty"`
	// Partial tells what was not, or not wholly, looked at, by the field or the
	// key of Counts that it is about ("months", "personal", "log_visit"), and
	// why: "a sample of 15000 of about 3000000 rows", "took longer than 300 ms".
	Partial map[string]string `json:"partial,omitempty"`
}

// MatomoUser is a login of Matomo.
type MatomoUser struct {
	Login      string    `json:"login"`
	Superuser  bool      `json:"superuser,omitempty"`
	Admin      bool      `json:"admin,omitempty"`      // of at least one site
	TwoFactor  bool      `json:"two_factor,omitempty"` // has a second factor
	Recovery   int       `json:"recovery,omitempty"`   // codes left
	Algorithm  string    `json:"algorithm,omitempty"`  // of the password hash: "bcrypt 10", "argon2id", "md5"
	Domain     string    `json:"domain,omitempty"`     // of the e-mail address
	Registered time.Time `json:"registered,omitzero"`
	LastSeen   time.Time `json:"last_seen,omitzero"` // zero: never
}

// Invitation is one that was not accepted yet.
type Invitation struct {
	Login   string    `json:"login"`
	Expires time.Time `json:"expires,omitzero"`
}

// Token is an API token. Its value is never read.
type Token struct {
	Login       string    `json:"login"`
	ID          int       `json:"id"`
	Description string    `json:"description,omitempty"`
	Created     time.Time `json:"created,omitzero"`
	LastUsed    time.Time `json:"last_used,omitzero"`
	Expires     time.Time `json:"expires,omitzero"` // zero: never
	PostOnly    bool      `json:"post_only,omitempty"`
	System      bool      `json:"system,omitempty"` // made by Matomo itself
	Superuser   bool      `json:"superuser,omitempty"`
}

// Access is a right of a login on a site.
type Access struct {
	Login string `json:"login"`
	Site  int    `json:"site"`
	Right string `json:"right"` // "view", "write", "admin"
}

// TrackedSite is a site that Matomo tracks.
type TrackedSite struct {
	ID             int      `json:"id"`
	URL            string   `json:"url"`
	More           []string `json:"more,omitempty"` // further URLs
	ExcludeUnknown bool     `json:"exclude_unknown"`
	Excluded       []string `json:"excluded,omitempty"` // query parameters
	KeepFragment   bool     `json:"keep_fragment,omitempty"`
}

// Month counts the visits of a month by what is stored of the address.
type Month struct {
	Month    string `json:"month"` // "2026-10"
	Visits   int64  `json:"visits"`
	Unmasked int64  `json:"unmasked"` // the bytes that should be masked are not zero
	IPv6     int64  `json:"ipv6,omitempty"`
}

// Personal is a kind of personal data found in what was recorded.
type Personal struct {
	Kind   string `json:"kind"`  // "e-mail", "token", "phone", "password"
	Where  string `json:"where"` // "page URL", "page title", "event", "dimension"
	Count  int64  `json:"count"`
	Sample string `json:"sample"` // masked: "https://example.org/?mail=a***@e***"
}

// Pseudonyms counts identifiers that were stored as sent.
type Pseudonyms struct {
	Total int64 `json:"total"`
	Plain int64 `json:"plain"` // not of the shape of Matomo's hash
}

// Queue is the state of QueuedTracking.
type Queue struct {
	Backend string    `json:"backend"` // "redis", "mysql"
	Length  int64     `json:"length"`
	Oldest  time.Time `json:"oldest,omitzero"`
	Workers int       `json:"workers"`
}

// TagManager is the state of Matomo's tag manager.
type TagManager struct {
	Containers int `json:"containers"`
	FreeTags   int `json:"free_tags"` // custom HTML tags: script that runs on tracked sites
}

// Redis is a Redis or Valkey server that Matomo uses.
type Redis struct {
	Address   string `json:"address"` // path of a socket, or host:port
	Auth      bool   `json:"auth"`
	Policy    string `json:"policy,omitempty"` // maxmemory-policy
	Protected bool   `json:"protected,omitempty"`
	Problem   string `json:"problem,omitempty"`
}

// Advisory is what is publicly known to be wrong with the installed versions.
type Advisory struct {
	Dated  time.Time `json:"dated,omitzero"` // of the data
	Source string    `json:"source,omitempty"`
	Matomo []Flaw    `json:"matomo,omitempty"` // of the installed Matomo
	Parts  []Flaw    `json:"parts,omitempty"`  // of its PHP libraries
	Debian []Flaw    `json:"debian,omitempty"` // of the packages that run it
	Feed   bool      `json:"feed,omitempty"`   // a timer brings new data

	Libraries map[string]string `json:"libraries,omitempty"` // Composer packages that come with Matomo, by name: version
}

// Flaw is a published weakness.
type Flaw struct {
	ID       string `json:"id"` // "CVE-2026-78850", or the vendor's release
	Package  string `json:"package"`
	Have     string `json:"have"`
	Fixed    string `json:"fixed,omitempty"`
	Severity string `json:"severity,omitempty"`
	Reason   string `json:"reason,omitempty"` // why it does not matter here, of a source that is named; empty: none
}

// Rocca is what rocca itself left on the server.
type Rocca struct {
	Installed    bool              `json:"installed"`         // it set up the Matomo that is audited
	Program      string            `json:"program,omitempty"` // path of the binary that runs
	Version      string            `json:"version,omitempty"`
	SHA256       string            `json:"sha256,omitempty"`
	Recorded     string            `json:"recorded,omitempty"`      // hash of the binary that was installed
	TimerProgram string            `json:"timer_program,omitempty"` // path of the copy of the binary that the timer starts; empty: none was installed
	TimerSHA256  string            `json:"timer_sha256,omitempty"`  // of that; empty: it is not there
	Release      string            `json:"release,omitempty"`       // of Matomo; empty though installed: what was recorded of it is gone, or cannot be read
	Signer       string            `json:"signer,omitempty"`        // of that; empty: not signed
	SignedWell   bool              `json:"signed_well,omitempty"`   // by the key of Matomo's makers
	Link         string            `json:"link,omitempty"`          // the www link, when code is versioned
	Pending      []string          `json:"pending,omitempty"`       // names of steps that rocca up would make
	Unfinished   bool              `json:"unfinished,omitempty"`    // a run was cut short
	Audited      time.Time         `json:"audited,omitzero"`        // last audit by timer
	AuditTimer   string            `json:"audit_timer,omitempty"`
	Proved       time.Time         `json:"proved,omitzero"`    // last run of the attacks
	Unproved     string            `json:"unproved,omitempty"` // why what attacks came to cannot be read
	Attacks      map[string]string `json:"attacks,omitempty"`  // what each came to then, by id: "held", "fell", "not proven"
	History      []Count           `json:"history,omitempty"`  // of earlier audits
}

// Count is what an audit counted, for trends.
type Count struct {
	At      time.Time `json:"at"`
	Waivers int       `json:"waivers"`
	Ports   int       `json:"ports"`
	Places  int       `json:"places"` // writable directories
	Plugins int       `json:"plugins"`
}

// Declared is what the owner decided, from rocca.yaml.
type Declared struct {
	Names         []string          `json:"names,omitempty"`          // public names of Matomo
	AdminNetworks []string          `json:"admin_networks,omitempty"` // who may reach the UI; empty: everybody
	SSHNetworks   []string          `json:"ssh_networks,omitempty"`   // who may reach SSH
	Ports         []string          `json:"ports,omitempty"`          // "tcp/443": may be reached from outside
	Outbound      []string          `json:"outbound,omitempty"`       // hosts that Matomo may connect to
	Apps          []string          `json:"apps,omitempty"`           // Unix users of further applications
	Proxies       []string          `json:"proxies,omitempty"`        // networks of load balancers
	Machines      string            `json:"machines,omitempty"`       // network of all machines of this Matomo, as database accounts name it: "10.20.0.0/255.255.0.0"
	Roles         []string          `json:"roles,omitempty"`          // what of Matomo this machine does: "tracker", "ui", "worker"; empty: not decided
	RawDays       int               `json:"raw_days,omitempty"`       // raw data is kept no longer; 0: not decided
	ReportMonths  int               `json:"report_months,omitempty"`  // 0: not decided
	Consent       string            `json:"consent,omitempty"`        // "cookieless", "consent", "exempt"; empty: not decided
	Records       map[string]Record `json:"records,omitempty"`        // by subject: "incident-plan", "training", "devices", "encryption-at-rest", "runbook"
	Waivers       []Waiver          `json:"waivers,omitempty"`
	TrackedSites  []string          `json:"tracked_sites,omitempty"` // pages to fetch for PRV-14; empty: none given
}

// Record is a document or event that only its owner can vouch for.
type Record struct {
	Document string    `json:"document,omitempty"` // path or URL
	Date     time.Time `json:"date"`               // of the last review or exercise
	Note     string    `json:"note,omitempty"`
}

// Waiver is a finding that the owner accepts for a time.
type Waiver struct {
	ID     string    `json:"id"`              // of the control
	Scope  string    `json:"scope,omitempty"` // subject of the evidence that it covers, may end in "*"; empty: all of the control
	Reason string    `json:"reason"`
	Owner  string    `json:"owner"`
	Until  time.Time `json:"until"`
}
