package blueprint

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"rocca/internal/change"
	"rocca/internal/change/step"
	"rocca/internal/mariadb"
	"rocca/internal/secret"
)

// noFiles is where SQL may read and write files: an empty directory.
const noFiles = "/var/lib/mysql-files"

const databaseConf = "/etc/mysql/mariadb.conf.d/90-rocca.cnf"

// database is the server's settings, the schema and the account that fills it.
// The accounts of the pools come later: their grants name tables.
func (b *blueprint) database() []change.Step {
	var steps []change.Step
	if b.Config.Database.Remote() {
		steps = append(steps, b.passwordFile())
	} else {
		own := change.Attr{Owner: "mysql", Group: "mysql", Mode: 0o750}
		steps = append(steps,
			step.Dir{Path: "/var/lib/mysql", Attr: own, Content: change.Data},
			step.Dir{Path: noFiles, Attr: own},
			step.File{Path: databaseConf, Content: b.databaseConf(), Attr: change.Root(0o644)},
			step.Unit{Unit: "mariadb.service", State: step.Running, Inputs: []string{databaseConf}, Refresh: "restart"},
		)
	}
	return append(steps,
		step.Schema{Schema: b.Config.Database.Name, Prefix: b.Config.Database.Prefix},
		b.account(AdminUser, b.adminGrants()),
	)
}

// Remote is a database server on another machine.
type Remote struct {
	CA       []byte         // certificates, PEM: what its own must lead to
	Client   string         // this machine, as the server names it in accounts
	MariaDB  bool           // and not MySQL
	Networks []netip.Prefix // where connections to it lead, see DatabaseNetworks
}

// databaseCA is the copy of the CA that PHP reads. The original may lie where
// the pools cannot look.
const databaseCA = etc + "/php/database-ca.pem"

// privateNetworks are those that no router of the Internet knows (RFC 1918,
// 4193, 6598), and this machine itself.
var privateNetworks = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("fc00::/7"),
	netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"),
}

// DatabaseNetworks says where a pool must be able to connect to for a database
// server: to its address, when it is configured by address. A name may mean
// another address tomorrow (a standby takes over), but one in a private network
// stays in it: then that, and the name servers. Otherwise nil: anywhere.
func DatabaseNetworks(host string, addresses, nameServers []netip.Addr) []netip.Prefix {
	single := func(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }
	if address, err := netip.ParseAddr(host); err == nil {
		return []netip.Prefix{single(address)}
	}
	var networks []netip.Prefix
	for _, address := range addresses {
		i := slices.IndexFunc(privateNetworks, func(n netip.Prefix) bool { return n.Contains(address.Unmap()) })
		if i < 0 {
			return nil
		}
		networks = append(networks, privateNetworks[i])
	}
	for _, server := range nameServers {
		networks = append(networks, single(server.WithZone("")))
	}
	slices.SortFunc(networks, netip.Prefix.Compare)
	return slices.Compact(networks)
}

// PasswordFile holds the passwords of the accounts on a remote server, from
// before they are made: a killed run must not leave accounts nobody can use.
const PasswordFile = stateOwn + "/database-passwords"

func (b *blueprint) passwordFile() change.Step {
	return step.File{Path: PasswordFile, Content: EncodePasswords(b.Slot, b.Passwords), Attr: change.Root(0o600), Secret: true}
}

// NewPasswords makes the passwords of the accounts on a remote server.
func NewPasswords() map[string]secret.Secret {
	made := map[string]secret.Secret{}
	for _, user := range RemoteUsers() {
		made[user] = secret.Random(32)
	}
	return made
}

// EncodePasswords writes the content of PasswordFile: "user password" lines,
// after "slot b" when the accounts are in that slot.
func EncodePasswords(slot Slot, passwords map[string]secret.Secret) []byte {
	var text []byte
	if slot == SlotB {
		text = fmt.Appendf(text, "slot %s\n", slot)
	}
	for _, user := range slices.Sorted(maps.Keys(passwords)) {
		text = fmt.Appendf(text, "%s %s\n", user, passwords[user].Reveal())
	}
	return text
}

// DecodePasswords reads the content of PasswordFile. It gives none for a user
// that has no password there.
func DecodePasswords(text []byte) (slot Slot, passwords map[string]secret.Secret) {
	slot, passwords = SlotA, map[string]secret.Secret{}
	for line := range strings.Lines(string(text)) {
		user, password, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case user == "slot":
			slot = Slot(password)
		case password != "":
			passwords[user] = secret.New(password)
		}
	}
	return slot, passwords
}

func (b *blueprint) databaseConf() []byte {
	network := "# No TCP: whoever asks is known by the Unix user that it runs as.\nskip-networking\n"
	if b.ForeignSchemas {
		network = "# TCP stays as it is: this server has schemas of others, who may connect so.\n"
	}
	return fmt.Appendf(nil, `# Written by rocca.
[mariadbd]
%s
# No file of a client or of the server through SQL: the one directory that it
# may use is empty.
local_infile = 0
secure_file_priv = %s

# Matomo sends whole batches of visits at once.
max_allowed_packet = 64M
`, network, noFiles)
}

// account is that of a Unix user of the same name, or one with a password on
// a remote server, of use from this machine only, or from all of Matomo's.
func (b *blueprint) account(user string, grants []string) change.Step {
	d := b.Config.Database
	login := b.Slot.Login(user)
	switch {
	case !d.Remote():
		return step.Account{Account: user + "@localhost", Grants: grants, Adopt: b.Installed}
	case d.Credentials == "":
		return step.GivenAccount{Account: login + "@" + b.clients(), Grants: grants}
	}
	account := step.Account{
		Account: login + "@" + b.clients(), Grants: grants,
		Remote: true, Password: b.Passwords[user], PasswordFile: PasswordFile,
	}
	if d.Network.IsValid() {
		account.Serves = &change.Tables{Schema: d.Name, Prefix: d.Prefix}
	}
	return account
}

// clients is from where a remote server lets the accounts in.
func (b *blueprint) clients() string {
	if network := b.Config.Database.Network; network.IsValid() {
		return mariadb.Network(network)
	}
	return b.Remote.Client
}

// adminGrants are what installation and migrations need. They are spelled out:
// the administrator of a managed server lacks some of ALL PRIVILEGES, and so
// cannot grant them.
func (b *blueprint) adminGrants() []string {
	return []string{"ALTER, CREATE, CREATE TEMPORARY TABLES, DELETE, DROP, INDEX, INSERT, LOCK TABLES, SELECT, UPDATE ON " + mariadb.Pattern(b.Config.Database.Name) + ".*"}
}

// uiGrants are what the UI, the API and archiving need at run time: CREATE
// for the archive tables of a month, temporary tables for segments. ALTER and
// DROP belong to migrations.
func (b *blueprint) uiGrants() []string {
	return []string{"CREATE, CREATE TEMPORARY TABLES, DELETE, INSERT, SELECT, UPDATE ON " + mariadb.Pattern(b.Config.Database.Name) + ".*"}
}

// trackerTables are the tables that recording a visit touches, and how. Found
// by revoking one privilege after the other from a real Matomo.
var trackerTables = map[string]string{
	"access":                "SELECT",
	"custom_dimensions":     "SELECT",
	"goal":                  "SELECT",
	"plugin_setting":        "SELECT",
	"site_setting":          "SELECT",
	"site_url":              "SELECT",
	"user":                  "SELECT",
	"site":                  "SELECT, UPDATE (`ts_created`)",
	"user_token_auth":       "SELECT, UPDATE (`last_used`)",
	"brute_force_log":       "INSERT, SELECT",
	"log_visit":             "INSERT, SELECT, UPDATE",
	"log_link_visit_action": "INSERT, SELECT, UPDATE",
	"log_conversion":        "INSERT, SELECT, UPDATE",
	"log_conversion_item":   "INSERT, SELECT, UPDATE",
	"option":                "INSERT, SELECT, UPDATE",
	"tracking_failure":      "INSERT, SELECT, UPDATE",
	"log_action":            "DELETE, INSERT, SELECT", // DELETE cleans up when two visitors bring the same action at once
}

func (b *blueprint) trackerGrants() []string {
	var grants []string
	for table, privileges := range trackerTables {
		grants = append(grants, privileges+" ON "+mariadb.Identifier(b.Config.Database.Name)+"."+mariadb.Identifier(b.Config.Database.Prefix+table))
	}
	slices.Sort(grants)
	return grants
}

// trackerOptionNames are the options that recording a visit writes. The table
// also holds what resets a password and what the scheduler runs.
const trackerOptionNames = "^(fingerprint_salt_|report_to_invalidate_|SitesManagerHadTrafficInPast_|JsTrackerInstallCheck_|useridsalt$|lastTrackerCronRun$)"

// trackerOptions keep the tracker's account from writing other options, which a
// grant on the table cannot.
func (b *blueprint) trackerOptions() []change.Step {
	if b.Config.Database.Remote() {
		return nil // a managed server lets nobody make triggers
	}
	refuse := func(row string) string {
		return "IF SUBSTRING_INDEX(USER(), '@', 1) = " + mariadb.Quote(TrackerUser) + " AND " + row + ".option_name NOT REGEXP " + mariadb.Quote(trackerOptionNames) +
			" THEN SIGNAL SQLSTATE '42000' SET MESSAGE_TEXT = 'the tracker may not write this option'; END IF"
	}
	trigger := func(event, body string) step.Trigger {
		return step.Trigger{
			Schema: b.Config.Database.Name, Table: b.Config.Database.Prefix + "option", Event: "BEFORE " + event,
			Trigger: "rocca_tracker_option_" + strings.ToLower(event), Body: body, Why: "the tracker cannot write what resets a password",
		}
	}
	return []change.Step{
		trigger("INSERT", refuse("NEW")),
		trigger("UPDATE", "BEGIN "+refuse("OLD")+"; "+refuse("NEW")+"; END"),
	}
}
