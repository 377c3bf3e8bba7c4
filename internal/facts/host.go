package facts

import "time"

// Apt is where packages come from and what is waiting (sources.list(5),
// apt_preferences(5)).
type Apt struct {
	Sources      []AptSource       `json:"sources,omitempty"`
	Pins         []AptPin          `json:"pins,omitempty"`
	ListsUpdated time.Time         `json:"lists_updated,omitzero"` // of the newest list of the security suite
	Pending      []Upgrade         `json:"pending,omitempty"`      // that the security suites offer
	Settings     map[string]string `json:"settings,omitempty"`     // apt.conf(5), such as "APT::Periodic::Unattended-Upgrade": "1"
	Unattended   time.Time         `json:"unattended,omitzero"`    // last run of unattended-upgrades
	Origins      []string          `json:"origins,omitempty"`      // Unattended-Upgrade::Origins-Pattern and Allowed-Origins
}

// AptSource is a place that apt installs from.
type AptSource struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	URI    string `json:"uri"`
	Suite  string `json:"suite"`            // "bookworm-security"
	Signed string `json:"signed,omitempty"` // Signed-By
	Trust  bool   `json:"trust,omitempty"`  // trusted=yes: signatures are not checked
	Debian bool   `json:"debian"`           // a Debian archive, by what its Release file says (Origin: Debian)
}

// AptPin is a priority given to packages of an origin.
type AptPin struct {
	File     string `json:"file"`
	Package  string `json:"package"`
	Pin      string `json:"pin"`
	Priority int    `json:"priority"`
}

// Upgrade is a newer version of an installed package.
type Upgrade struct {
	Package string `json:"package"`
	Have    string `json:"have"`
	Offered string `json:"offered"`
}

// Kernel is how the kernel is set.
type Kernel struct {
	Release   string             `json:"release"`             // uname -r
	Settings  map[string]Setting `json:"settings,omitempty"`  // sysctl, by name with dots, in effect now; From is the file that would set it at boot, empty: none
	Persisted map[string]string  `json:"persisted,omitempty"` // sysctl, by name with dots: what sysctl.d(5) sets at boot
	Clock     Clock              `json:"clock,omitzero"`
}

// Clock is how the machine keeps time (adjtimex(2)).
type Clock struct {
	Synchronised bool   `json:"synchronised"`
	OffsetMicros int64  `json:"offset_micros"`
	Service      string `json:"service,omitempty"` // unit that keeps it: "systemd-timesyncd.service", "chrony.service"
	Host         bool   `json:"host,omitempty"`    // a container: its host keeps the time
}

// Setting is a value with where it comes from.
type Setting struct {
	Value string `json:"value"`
	From  string `json:"from,omitempty"`  // "/etc/php/8.2/fpm/php.ini:12"; empty: the program's default
	Admin bool   `json:"admin,omitempty"` // PHP: php_admin_value or php_admin_flag, that a script cannot change
}

// Mount is a mounted file system (proc(5), mountinfo).
type Mount struct {
	Point   string   `json:"point"`
	Type    string   `json:"type"` // "ext4", "tmpfs"
	Source  string   `json:"source"`
	Options []string `json:"options"`         // of the mount and of the file system, sorted: "nodev", "noexec", "nosuid", "ro"
	Crypt   bool     `json:"crypt,omitempty"` // on a dm-crypt device
}

// SudoRule is a line of sudoers(5), or membership of a group that becomes root.
type SudoRule struct {
	File     string   `json:"file"`
	Line     int      `json:"line"`
	Who      string   `json:"who"`               // user, "%group", "ALL"
	As       string   `json:"as"`                // "root", "ALL"
	Commands []string `json:"commands"`          // absolute programs with arguments, "ALL"
	NoWord   bool     `json:"no_word,omitempty"` // NOPASSWD
}

// Job is a line of a crontab, or a file of a run-parts directory.
type Job struct {
	File     string   `json:"file"`
	Line     int      `json:"line,omitempty"`
	User     string   `json:"user"`
	When     string   `json:"when"`     // "5 * * * *", "@daily", "daily"
	Command  string   `json:"command"`  // what looks like a secret is "[redacted]"
	Programs []string `json:"programs"` // absolute paths in the command, the first of which is started
}

// Process is a running process.
type Process struct {
	PID     int      `json:"pid"`
	Parent  int      `json:"parent"`
	Name    string   `json:"name"`              // comm
	Program string   `json:"program"`           // path of the executable; empty for a kernel thread
	Title   string   `json:"title,omitempty"`   // argv joined, at most 200 characters, what looks like a secret is "[redacted]"
	User    string   `json:"user"`              // effective
	Group   string   `json:"group"`             // effective
	Groups  []string `json:"groups,omitempty"`  // supplementary
	Unit    string   `json:"unit,omitempty"`    // from its control group
	Deleted []string `json:"deleted,omitempty"` // libraries and programs that it has mapped and that are gone from the disk
	NetNS   string   `json:"net_ns,omitempty"`  // when not that of PID 1
	Secrets []string `json:"secrets,omitempty"` // names of environment variables that hold a secret
	Traced  bool     `json:"traced,omitempty"`
}

// Container is a container of Docker, Podman, containerd, CRI-O or LXC that runs
// on this machine, by what /proc tells of its first process. The machine itself
// is none, also when it is one.
type Container struct {
	ID           string   `json:"id"`                     // of its control group
	Runtime      string   `json:"runtime"`                // "docker", "podman", "containerd", "crio", "lxc"; "kubernetes" when it does not say which
	PID          int      `json:"pid"`                    // of its first process
	User         string   `json:"user"`                   // of that, as the machine sees it
	Programs     []string `json:"programs,omitempty"`     // names of what runs in it, sorted; at most 20
	ReadOnly     bool     `json:"read_only"`              // its root file system
	Capabilities []string `json:"capabilities,omitempty"` // bounding set: "CAP_SYS_ADMIN"; none in a user namespace of its own, where they do not hold for the machine
	Sockets      []string `json:"sockets,omitempty"`      // of a container runtime that it can see: "/var/run/docker.sock"
}

// Socket is a Unix socket with a path that waits for connections.
type Socket struct {
	Path    string `json:"path"`
	Program string `json:"program,omitempty"`
	PID     int    `json:"pid,omitempty"`
	Unit    string `json:"unit,omitempty"`
}

// Firewall is the packet filter of the kernel.
type Firewall struct {
	Program    string  `json:"program,omitempty"` // "nft" or "iptables"; empty: none installed, so no rules
	Chains     []Chain `json:"chains,omitempty"`
	Persistent bool    `json:"persistent"`     // a unit loads rules at boot
	Unit       string  `json:"unit,omitempty"` // that one
}

// Chain is a base chain of the filter.
type Chain struct {
	Family string `json:"family"` // "inet", "ip", "ip6"
	Table  string `json:"table"`
	Name   string `json:"name"`
	Hook   string `json:"hook"`            // "input", "output", "forward"
	Policy string `json:"policy"`          // "accept", "drop"
	Rules  []Rule `json:"rules,omitempty"` // with those of the chains that it jumps to, in order
}

// Rule is one rule, as far as controls ask for it.
type Rule struct {
	Text     string   `json:"text"`               // as nft list shows it
	Verdict  string   `json:"verdict"`            // "accept", "drop", "reject"; empty: none
	Protocol string   `json:"protocol,omitempty"` // "tcp", "udp", "icmp"
	Ports    []string `json:"ports,omitempty"`    // destination: "22", "8000-8080"
	Sources  []string `json:"sources,omitempty"`  // addresses and networks
	Targets  []string `json:"targets,omitempty"`  // destination addresses
	In       string   `json:"in,omitempty"`       // interface that it comes by
	Out      string   `json:"out,omitempty"`
	Users    []string `json:"users,omitempty"`   // meta skuid, by name
	States   []string `json:"states,omitempty"`  // "established", "related"
	Partial  bool     `json:"partial,omitempty"` // holds for less than the fields say: a limit, a mark, something that is "not"
}

// SSH is the secure shell server and who has keys for it.
type SSH struct {
	Installed   bool                `json:"installed"`
	Running     bool                `json:"running"`
	Version     string              `json:"version,omitempty"`  // of OpenSSH: "9.2"
	Settings    map[string][]string `json:"settings,omitempty"` // sshd -T: effective, keys in lower case
	Keys        []AuthorizedKey     `json:"keys,omitempty"`
	PrivateKeys []PrivateKey        `json:"private_keys,omitempty"` // found on the server, TLS and host keys left out
}

// AuthorizedKey is a public key that may log in.
type AuthorizedKey struct {
	User    string    `json:"user"`
	File    string    `json:"file"`
	Line    int       `json:"line"`
	Type    string    `json:"type"`              // "ssh-ed25519"
	Bits    int       `json:"bits,omitempty"`    // of RSA
	Comment string    `json:"comment,omitempty"` // whose it is
	Options []string  `json:"options,omitempty"` // "from=...", "restrict"
	Changed time.Time `json:"changed,omitzero"`  // of the file
}

// PrivateKey is a file with a private key in it.
type PrivateKey struct {
	Path      string `json:"path"`
	Kind      string `json:"kind"` // of the PEM header: "OPENSSH", "RSA", "EC"; ""
	Encrypted bool   `json:"encrypted,omitempty"`
}

// Ban is a program that shuts out addresses after failures.
type Ban struct {
	Program string `json:"program"` // "fail2ban", "crowdsec", "sshguard", "sshd" (PerSourcePenalties)
	Jail    string `json:"jail"`    // "sshd", "matomo"
	Active  bool   `json:"active"`
	Tries   int    `json:"tries,omitempty"`
	Seconds int    `json:"seconds,omitempty"` // that a ban lasts; -1: for ever
	Banned  int    `json:"banned"`            // addresses now
}

// Oddities are inodes anywhere on the local file systems that should not be so.
// Paths holds each of them, with every directory above.
type Oddities struct {
	Entries       int           `json:"entries"`                  // inodes that were looked at
	WorldWritable []string      `json:"world_writable,omitempty"` // files, and directories without the sticky bit
	Unowned       []string      `json:"unowned,omitempty"`        // owner or group has no name
	Privileged    []Privileged  `json:"privileged,omitempty"`     // set-user-ID, set-group-ID, file capabilities
	ACLs          []string      `json:"acls,omitempty"`           // with an ACL
	Flagged       []string      `json:"flagged,omitempty"`        // immutable or append-only
	Secrets       []SecretPlace `json:"secrets,omitempty"`        // a secret of Matomo where none belongs
	Truncated     bool          `json:"truncated,omitempty"`      // a list was cut at 1000
}

// Privileged is a program that runs with more rights than who starts it.
type Privileged struct {
	Path    string `json:"path"`
	Package string `json:"package,omitempty"` // that it comes with; empty: none
	Changed bool   `json:"changed,omitempty"` // its content is not the package's
}

// SecretPlace is where a secret was found that does not belong there.
type SecretPlace struct {
	Path string `json:"path"` // file, or "process 123 (name)", "unit x.service", "table x.y"
	Line int    `json:"line,omitempty"`
	Kind string `json:"kind"` // "database password", "salt", "API token", "AWS key", "private key"
}

// Logs are how the machine keeps what happened.
type Logs struct {
	Files      []LogFile `json:"files,omitempty"`     // of the front, PHP, Matomo and the database
	Persistent bool      `json:"persistent"`          // the journal outlives a boot
	Forwarded  []string  `json:"forwarded,omitempty"` // where to: "rsyslog @@host", "journal-upload", "amazon-cloudwatch-agent"
	Sealed     bool      `json:"sealed,omitempty"`    // journal with Forward Secure Sealing
	Audit      []string  `json:"audit,omitempty"`     // rules of auditd that watch privilege changes: "-w /etc/sudoers"
	Auditd     bool      `json:"auditd,omitempty"`    // runs
	MaxDays    int       `json:"max_days,omitempty"`  // MaxRetentionSec of the journal in days; 0: by size only
}

// LogFile is a log with what a sample of its last lines holds.
type LogFile struct {
	Path       string   `json:"path"`
	Kind       string   `json:"kind"`                  // "access", "error", "php", "matomo", "database", "fpm"
	RotateDays int      `json:"rotate_days,omitempty"` // how long logrotate(8) keeps it; 0: no rotation
	Lines      int      `json:"lines"`                 // of the sample
	FullIPs    int      `json:"full_ips"`              // lines of it with an address that is not shortened
	Tokens     int      `json:"tokens"`                // lines with token_auth, a password or an invitation
	Samples    []string `json:"samples,omitempty"`     // of those, the secret masked; at most 3
}
