package blueprint

import (
	"rocca/internal/change"
	"rocca/internal/config"
	"rocca/internal/secret"
)

// Slot says which of two sets of accounts on a remote database server is in
// use: while one works, the other can get new passwords.
type Slot string

// The slots. No slot at all means SlotA.
const (
	SlotA Slot = "a" // accounts with the names of RemoteUsers
	SlotB Slot = "b" // the same names, and "-b"
)

// Login is the name that a user of RemoteUsers has on the database server.
func (s Slot) Login(user string) string {
	if s == SlotB {
		return user + "-b"
	}
	return user
}

// Other is the slot that is not in use.
func (s Slot) Other() Slot {
	if s == SlotB {
		return SlotA
	}
	return SlotB
}

// Logins gives passwords that are known by user, by login.
func (s Slot) Logins(passwords map[string]secret.Secret) map[string]secret.Secret {
	logins := map[string]secret.Secret{}
	for user, password := range passwords {
		logins[s.Login(user)] = password
	}
	return logins
}

// RemoteAccount is what one user of RemoteUsers is on the database server.
type RemoteAccount struct {
	User    string
	Login   string
	Account string   // "login@host"
	Grants  []string // exactly these, in the form of step.Account
}

// RemoteAccounts are those of a slot. client is this machine as the server
// names it in accounts.
func RemoteAccounts(c config.Config, slot Slot, client string) []RemoteAccount {
	b := &blueprint{Input: Input{Config: c, Slot: slot, Remote: Remote{Client: client}}}
	var accounts []RemoteAccount
	for _, a := range []struct {
		user   string
		grants []string
	}{{UIUser, b.uiGrants()}, {TrackerUser, b.trackerGrants()}, {AdminUser, b.adminGrants()}} {
		accounts = append(accounts, RemoteAccount{a.user, slot.Login(a.user), slot.Login(a.user) + "@" + b.clients(), a.grants})
	}
	return accounts
}

// ConfigFile is a config.ini.php of Matomo's, and who reads it.
type ConfigFile struct {
	Path string
	User string // of RemoteUsers, whose login and password are in it
	Attr change.Attr
}

// ConfigFiles are those of the pools, and that of migrations, which is not there
// before something was installed from this machine.
func ConfigFiles(c config.Config) []ConfigFile {
	l := NewLayout(c, "")
	pool := func(data, user string) ConfigFile {
		return ConfigFile{configPath(data), user, change.Attr{Owner: "root", Group: user, Mode: 0o640}}
	}
	return []ConfigFile{
		pool(l.State, UIUser), pool(l.Tracker, TrackerUser),
		{configPath(l.Admin), AdminUser, change.Attr{Owner: AdminUser, Group: AdminUser, Mode: 0o600}},
	}
}
