// Package facts holds what was observed on a server, as plain data. It knows
// neither how a fact is found (package collect) nor what it means (packages
// blueprint and control).
package facts

import (
	"cmp"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"rocca/internal/secret"
)

// Server is everything observed of one server. A map lacks what was not asked
// for; what was asked for and is not there has a zero value with Exists false.
type Server struct {
	// Sections lists what was looked at for an audit: "" when it was seen, else
	// why it could not be. A section that is missing was not looked at.
	Sections map[Section]string `json:"sections,omitempty"`
	Observed time.Time          `json:"observed,omitzero"` // when; ages are measured from here

	OS       OS                 `json:"os,omitzero"`
	PHP      PHP                `json:"php,omitzero"`
	Paths    map[string]Path    `json:"paths,omitempty"`    // by absolute path
	Trees    map[string]Tree    `json:"trees,omitempty"`    // by absolute path of the top directory
	Users    map[string]User    `json:"users,omitempty"`    // by name
	Groups   map[string]Group   `json:"groups,omitempty"`   // by name
	Sudo     []SudoRule         `json:"sudo,omitempty"`     //
	Packages map[string]Package `json:"packages,omitempty"` // by name
	Apt      Apt                `json:"apt,omitzero"`
	Units    map[string]Unit    `json:"units,omitempty"` // by name with its type, such as "nginx.service"
	Jobs     []Job              `json:"jobs,omitempty"`  // of cron
	Kernel   Kernel             `json:"kernel,omitzero"`
	Mounts   []Mount            `json:"mounts,omitempty"` // in the order of mountinfo: a later one hides an earlier one
	SSH      SSH                `json:"ssh,omitzero"`
	Bans     []Ban              `json:"bans,omitempty"`

	Processes  []Process   `json:"processes,omitempty"`
	Containers []Container `json:"containers,omitempty"` // that processes of this machine run in
	Listeners  []Listener  `json:"listeners,omitempty"`  // TCP and UDP, in all of the machine
	Sockets    []Socket    `json:"sockets,omitempty"`    // Unix sockets with a path that wait for connections
	Firewall   Firewall    `json:"firewall,omitzero"`
	FreeBytes  uint64      `json:"free_bytes,omitempty"` // of the file system that holds /var, for root
	Memory     uint64      `json:"memory,omitempty"`     // bytes of RAM

	Oddities     Oddities               `json:"oddities,omitzero"`
	Front        Front                  `json:"front,omitzero"`
	Certificates map[string]Certificate `json:"certificates,omitempty"` // by path of the file
	Answers      map[string]Answer      `json:"answers,omitempty"`      // by name of the request
	Handshakes   map[string]Handshake   `json:"handshakes,omitempty"`   // by what was offered, such as "TLS 1.0"
	Logs         Logs                   `json:"logs,omitzero"`

	Database  Database          `json:"database,omitzero"`
	Redis     []Redis           `json:"redis,omitempty"`
	Matomo    Matomo            `json:"matomo,omitzero"`
	Integrity Integrity         `json:"integrity,omitzero"`
	Plugins   map[string]Plugin `json:"plugins,omitempty"` // of Matomo, by name
	Rows      Rows              `json:"rows,omitzero"`
	Advisory  Advisory          `json:"advisory,omitzero"`
	Rocca     Rocca             `json:"rocca,omitzero"`
	Declared  Declared          `json:"declared,omitzero"`

	Cloud Cloud `json:"cloud,omitzero"` // of rocca aws audit; nothing else is there then
}

// Listener is a TCP socket that waits for connections, or a UDP socket that
// anybody may send to.
type Listener struct {
	Protocol string `json:"protocol,omitempty"` // "udp"; "tcp" when empty
	Port     int    `json:"port"`
	Address  string `json:"address"`           // "0.0.0.0" and "::" are all addresses
	Program  string `json:"program,omitempty"` // name of the process; empty when it could not be found
	PID      int    `json:"pid,omitempty"`
	Unit     string `json:"unit,omitempty"` // systemd unit of the process
}

// Door is the protocol with the port, as rocca.yaml declares it: "tcp/443".
func (l Listener) Door() string { return fmt.Sprintf("%s/%d", cmp.Or(l.Protocol, "tcp"), l.Port) }

// OS is the distribution (os-release(5)).
type OS struct {
	ID       string `json:"id"`      // "debian"
	Version  string `json:"version"` // "12"
	Codename string `json:"codename"`
	Hostname string `json:"hostname"`
}

// PHP is the branch that the distribution offers or has installed.
type PHP struct {
	Branch string `json:"branch"` // "8.2"; empty when neither installed nor offered

	SAPIs []SAPI `json:"sapis,omitempty"`
	Pools []Pool `json:"pools,omitempty"`
}

// Type is what a path is.
type Type string

// The types of a path.
const (
	Absent  Type = ""
	File    Type = "file"
	Dir     Type = "dir"
	Symlink Type = "symlink"
	Other   Type = "other" // device, socket, pipe
)

// Path is one inode, looked at without following a link.
type Path struct {
	Type    Type              `json:"type,omitempty"`
	Mode    fs.FileMode       `json:"mode"` // permission, setuid, setgid and sticky bits
	Owner   string            `json:"owner,omitempty"`
	Group   string            `json:"group,omitempty"` // by name; the number in decimal when it has none
	Size    int64             `json:"size,omitempty"`
	SHA256  string            `json:"sha256,omitempty"` // of a file, lower-case hex
	Target  string            `json:"target,omitempty"` // of a symlink
	Changed time.Time         `json:"changed,omitzero"` // ctime
	Xattrs  map[string][]byte `json:"xattrs,omitempty"` // ACLs and capabilities among them; see ACL
	Flags   string            `json:"flags,omitempty"`  // of chattr(1): "i" immutable, "a" append-only
	Names   []string          `json:"names,omitempty"`  // entries of a directory, sorted
	Content []byte            `json:"-"`                // of a file; may hold secrets, so it is never encoded
}

// Exists tells whether there is anything at the path.
func (p Path) Exists() bool { return p.Type != Absent }

// Tree is a directory and all below it, by path relative to it ("." itself).
type Tree map[string]Path

// User is an account of passwd(5).
type User struct {
	Exists bool   `json:"exists"`
	UID    int    `json:"uid"`
	Group  string `json:"group"` // primary
	Home   string `json:"home"`
	Shell  string `json:"shell"`

	Locked  bool `json:"locked,omitempty"`  // no password can match (shadow(5): "!" or "*")
	NoWord  bool `json:"no_word,omitempty"` // an empty password
	Service bool `json:"service,omitempty"` // a system account: UID below 1000, or 65534
}

// Group is an entry of group(5).
type Group struct {
	Exists  bool     `json:"exists"`
	GID     int      `json:"gid"`
	Members []string `json:"members"`
}

// Package is a Debian package.
type Package struct {
	Installed bool   `json:"installed"` // unpacked and configured
	Version   string `json:"version"`
}

// Unit is a systemd unit, with the properties of org.freedesktop.systemd1.
type Unit struct {
	Loaded       bool      `json:"loaded"`  // there is such a unit
	Masked       bool      `json:"masked"`  //
	Enabled      bool      `json:"enabled"` // UnitFileState is enabled or static
	Active       bool      `json:"active"`  // ActiveState is active or reloading: one that is still starting is not
	Failed       bool      `json:"failed"`
	NeedsReload  bool      `json:"needs_reload"` // the file on disk is newer than what systemd knows
	StateChanged time.Time `json:"state_changed"`
	Since        time.Time `json:"since"` // ActiveEnterTimestamp
	MainPID      int       `json:"main_pid"`
	Fragment     string    `json:"fragment"`           // path of the unit file
	DropIns      []string  `json:"drop_ins,omitempty"` // paths, in order

	Runs             // of a service
	Timer            // of a timer
	Listens          // of a socket
	Exposure float64 `json:"exposure,omitempty"` // of a service, by systemd-analyze security: 0 best, 10 worst; 0 also when not known
}

// Runs is what a service starts, as whom, and in which sandbox.
type Runs struct {
	Exec          []Exec            `json:"exec,omitempty"`
	User          string            `json:"user,omitempty"` // empty: root
	Group         string            `json:"group,omitempty"`
	Supplementary []string          `json:"supplementary,omitempty"` // SupplementaryGroups
	DynamicUser   bool              `json:"dynamic_user,omitempty"`
	Directory     string            `json:"directory,omitempty"`      // WorkingDirectory
	Sandbox       map[string]string `json:"sandbox,omitempty"`        // by systemd's name, such as "ProtectSystem": "strict"; lists joined with spaces, booleans "yes" and "no", no limit "infinity"
	Environment   []string          `json:"environment,omitempty"`    // names only
	EnvFiles      []string          `json:"env_files,omitempty"`      // paths
	SecretsInEnv  []string          `json:"secrets_in_env,omitempty"` // names of variables that hold a secret in the unit file
}

// Exec is a program that a service starts.
type Exec struct {
	When string   `json:"when"` // "ExecStart", "ExecStartPre", "ExecReload" ...
	Path string   `json:"path"`
	Args []string `json:"args,omitempty"` // without argv[0]; what looks like a secret is "[redacted]"
	Root bool     `json:"root,omitempty"` // prefixed with + or !: runs as root whatever User says
}

// Timer is when a timer elapses.
type Timer struct {
	Triggers    string    `json:"triggers,omitempty"` // unit that it starts
	LastTrigger time.Time `json:"last_trigger,omitzero"`
	Next        time.Time `json:"next,omitzero"`    // when it elapses next
	Result      string    `json:"result,omitempty"` // of the last run of a service: "success", "exit-code" ...; empty when it never ran
}

// Listens is what a socket unit opens.
type Listens struct {
	Streams     []string `json:"streams,omitempty"` // ListenStream: paths and addresses
	SocketUser  string   `json:"socket_user,omitempty"`
	SocketGroup string   `json:"socket_group,omitempty"`
	SocketMode  string   `json:"socket_mode,omitempty"` // "0660"
}

// Database is the database server as its administrator sees it.
type Database struct {
	Reached  bool                `json:"reached"` // could be asked; all below is empty otherwise
	Version  string              `json:"version"`
	Client   string              `json:"client,omitempty"`   // this machine, as the server names it in accounts
	Schemas  map[string][]string `json:"schemas,omitempty"`  // other than the server's own: names of their tables, sorted
	Triggers map[string]string   `json:"triggers,omitempty"` // by "schema.name": "BEFORE INSERT ON table: body"
	Accounts map[string]Account  `json:"accounts,omitempty"`
	Problem  string              `json:"problem,omitempty"` // why it was not reached

	Variables map[string]string `json:"variables,omitempty"` // SHOW GLOBAL VARIABLES, those that controls ask for
	Remote    bool              `json:"remote,omitempty"`    // on another machine
	Asked     string            `json:"asked,omitempty"`     // as which account it was asked; "root@localhost" sees everything
	All       bool              `json:"all,omitempty"`       // Accounts holds every account, not only those asked for
	TLS       string            `json:"tls,omitempty"`       // cipher of rocca's own connection, empty: plain
	DataDir   string            `json:"data_dir,omitempty"`  // of a server on this machine
	Tables    int               `json:"tables,omitempty"`    // tables of Matomo
	Encrypted int               `json:"encrypted,omitempty"` // tables of Matomo that the engine encrypts
}

// MariaDB tells MariaDB from MySQL.
func (d Database) MariaDB() bool { return strings.Contains(d.Version, "MariaDB") }

// Account is a database account, by "user@host".
type Account struct {
	Exists   bool     `json:"exists"`
	Identity string   `json:"identity"`          // authentication plugin, such as "unix_socket"
	TLS      bool     `json:"tls"`               // REQUIRE SSL or stronger
	Refused  bool     `json:"refused,omitempty"` // the server does not accept the password that rocca holds for it
	NoWord   bool     `json:"no_word,omitempty"` // can log in with an empty password
	Locked   bool     `json:"locked,omitempty"`
	Role     bool     `json:"role,omitempty"` // a role, not an account
	Grants   []string `json:"grants"`         // "SELECT ON `matomo`.`matomo_user`", normalised and sorted; never a password hash

	Created secret.Secret `json:"-"` // the statement that would make it, a password hash in it
}

// Query is what an observer is asked to look at.
type Query struct {
	Paths    []string // metadata, and content of files up to a cap
	Trees    []string // all below, with hashes
	Users    []string
	Groups   []string
	Packages []string
	Units    []string
	Accounts []string // "user@host"; asks the database server when not empty or when Schemas is set
	Schemas  bool     // lists the schemas with their tables

	Listeners bool
}

// Add merges another query into q.
func (q *Query) Add(other Query) {
	q.Paths = append(q.Paths, other.Paths...)
	q.Trees = append(q.Trees, other.Trees...)
	q.Users = append(q.Users, other.Users...)
	q.Groups = append(q.Groups, other.Groups...)
	q.Packages = append(q.Packages, other.Packages...)
	q.Units = append(q.Units, other.Units...)
	q.Accounts = append(q.Accounts, other.Accounts...)
	q.Schemas = q.Schemas || other.Schemas
	q.Listeners = q.Listeners || other.Listeners
}
