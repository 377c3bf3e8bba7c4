// Package facts holds what was observed on a server, as plain data. It knows
// neither how a fact is found (package collect) nor what it means (packages
// blueprint and control).
package facts

import (
	"io/fs"
	"strings"
	"time"

	"rocca/internal/secret"
)

// Server is everything observed of one server. A map lacks what was not asked
// for; what was asked for and is not there has a zero value with Exists false.
type Server struct {
	OS       OS                 `json:"os"`
	PHP      PHP                `json:"php"`
	Paths    map[string]Path    `json:"paths,omitempty"`    // by absolute path
	Trees    map[string]Tree    `json:"trees,omitempty"`    // by absolute path of the top directory
	Users    map[string]User    `json:"users,omitempty"`    // by name
	Groups   map[string]Group   `json:"groups,omitempty"`   // by name
	Packages map[string]Package `json:"packages,omitempty"` // by name
	Units    map[string]Unit    `json:"units,omitempty"`    // by name with its type, such as "nginx.service"
	Database Database           `json:"database"`

	Listeners []Listener `json:"listeners,omitempty"` // TCP, in all of the machine
	FreeBytes uint64     `json:"free_bytes"`          // of the file system that holds /var, for root
}

// Listener is a TCP socket that waits for connections.
type Listener struct {
	Port    int    `json:"port"`
	Address string `json:"address"`
	Program string `json:"program"` // name of the process; empty when it could not be found
	PID     int    `json:"pid"`
}

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
	Type    Type              `json:"type"`
	Mode    fs.FileMode       `json:"mode"` // permission, setuid, setgid and sticky bits
	Owner   string            `json:"owner"`
	Group   string            `json:"group"` // by name; the number in decimal when it has none
	Size    int64             `json:"size"`
	SHA256  string            `json:"sha256,omitempty"` // of a file, lower-case hex
	Target  string            `json:"target,omitempty"` // of a symlink
	Changed time.Time         `json:"changed"`          // ctime
	Xattrs  map[string][]byte `json:"xattrs,omitempty"` // ACLs and capabilities among them
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
}

// MariaDB tells MariaDB from MySQL.
func (d Database) MariaDB() bool { return strings.Contains(d.Version, "MariaDB") }

// Account is a database account, by "user@host".
type Account struct {
	Exists   bool     `json:"exists"`
	Identity string   `json:"identity"` // authentication plugin, such as "unix_socket"
	TLS      bool     `json:"tls"`      // REQUIRE SSL or stronger
	Refused  bool     `json:"refused"`  // the server does not accept the password that rocca holds for it
	Grants   []string `json:"grants"`   // "SELECT ON `matomo`.`matomo_user`", normalised and sorted; never a password hash

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
