package blueprint

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"rocca/internal/change"
	"rocca/internal/change/step"
	"rocca/internal/mariadb"
	"rocca/internal/secret"
)

const databaseConf = "/etc/mysql/mariadb.conf.d/90-rocca.cnf"

// database is the server's settings, the schema and the account that fills it.
// The accounts of the pools come later: their grants name tables.
func (b *blueprint) database() []change.Step {
	var steps []change.Step
	if b.Config.Database.Remote() {
		steps = append(steps, b.passwordFile())
	} else {
		steps = append(steps,
			step.File{Path: databaseConf, Content: b.databaseConf(), Attr: change.Root(0o644)},
			step.Unit{Unit: "mariadb.service", State: step.Running, Inputs: []string{databaseConf}, Refresh: "restart"},
		)
	}
	return append(steps,
		step.Schema{Schema: b.Config.Database.Name},
		b.account(AdminUser, []string{"ALL PRIVILEGES ON " + mariadb.Pattern(b.Config.Database.Name) + ".*"}),
	)
}

// PasswordFile holds the passwords of the accounts on a remote server, from
// before they are made: a killed run must not leave accounts nobody can use.
const PasswordFile = stateOwn + "/database-passwords"

func (b *blueprint) passwordFile() change.Step {
	return step.File{Path: PasswordFile, Content: EncodePasswords(b.Passwords), Attr: change.Root(0o600), Secret: true}
}

// NewPasswords makes the passwords of the accounts on a remote server.
func NewPasswords() map[string]secret.Secret {
	made := map[string]secret.Secret{}
	for _, user := range []string{UIUser, TrackerUser, AdminUser} {
		made[user] = secret.Random(32)
	}
	return made
}

// EncodePasswords writes the content of PasswordFile: "user password" lines.
func EncodePasswords(passwords map[string]secret.Secret) []byte {
	var text []byte
	for _, user := range slices.Sorted(maps.Keys(passwords)) {
		text = fmt.Appendf(text, "%s %s\n", user, passwords[user].Reveal())
	}
	return text
}

// DecodePasswords reads the content of PasswordFile.
func DecodePasswords(text []byte) map[string]secret.Secret {
	passwords := map[string]secret.Secret{}
	for line := range strings.Lines(string(text)) {
		user, password, _ := strings.Cut(strings.TrimSpace(line), " ")
		passwords[user] = secret.New(password)
	}
	return passwords
}

func (b *blueprint) databaseConf() []byte {
	network := "# No TCP: whoever asks is known by the Unix user that it runs as.\nskip-networking\n"
	if b.ForeignSchemas {
		network = "# TCP stays open on the loopback address: this server has schemas of others,\n# who may connect that way.\nbind-address = 127.0.0.1\n"
	}
	return fmt.Appendf(nil, `# Written by rocca.
[mariadbd]
%s
# No file of a client or of the server through SQL.
local_infile = 0

# Matomo sends whole batches of visits at once.
max_allowed_packet = 64M
`, network)
}

// account is that of a Unix user of the same name, or one with a password on
// a remote server.
func (b *blueprint) account(user string, grants []string) step.Account {
	host := "localhost"
	if b.Config.Database.Remote() {
		host = "%"
	}
	return step.Account{
		Account: user + "@" + host, Grants: grants,
		Remote: b.Config.Database.Remote(), Password: func() secret.Secret { return b.Passwords[user] },
	}
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
