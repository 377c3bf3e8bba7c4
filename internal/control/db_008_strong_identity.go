package control

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

const strong = 128 // bits

var db008 = Control{
	ID:       "DB-08",
	Title:    "the accounts of Matomo are known by the socket, or have a strong password that nothing else has",
	Why:      "A password can be guessed, or is known from somewhere else. The kernel tells who connects to a Unix socket: there is nothing to steal.",
	Severity: model.High,
	Needs:    []facts.Section{facts.Data, facts.App},
	Eval: func(v *View) Verdict {
		accounts, unread := matomoAccounts(v)
		var found []model.Evidence
		for _, name := range slices.Sorted(maps.Keys(accounts)) {
			account := v.Database.Accounts[name]
			if slices.Contains([]string{"unix_socket", "auth_socket"}, account.Identity) {
				continue
			}
			if account.NoWord {
				found = append(found, model.Evidence{Subject: name, Have: "logs in with an empty password", Want: "unix_socket"})
				continue
			}
			faults, known := passwordFaults(v, name)
			found = append(found, faults...)
			if !known {
				unread = append(unread, "the strength of the password of "+name+" is not known")
			}
		}
		return conclude(found, unread)
	},
	Fix: Fix{
		Kind: model.FixAutomatic, Steps: []string{"database account *"},
		Text: "On this machine: ALTER USER ... IDENTIFIED VIA unix_socket for an account of the name that PHP runs as. Elsewhere: 32 characters from openssl rand -hex 32, used nowhere else.",
	},
	Attack: "A19",
	Maps:   []model.Ref{s1("28"), devsec("mysql-db-05"), asvs("13.2.3")},
	Since:  "0.3",
}

// passwordFaults judges the password that Matomo's configurations hold for an
// account.
func passwordFaults(v *View, name string) (found []model.Evidence, known bool) {
	user, _ := splitAccount(name)
	for _, c := range v.Matomo.Contexts {
		strength, has := c.Secrets["database.password"]
		if !has || c.Setting("database.username") != user {
			continue
		}
		known = true
		if strength.Bits < strong {
			found = append(found, model.Evidence{Subject: name, Have: fmt.Sprintf("a password of %d characters, %.0f bits at most", strength.Length, strength.Bits), Want: fmt.Sprintf("%d bits, or unix_socket", strong)})
		}
		if strength.Reused != "" && !strings.HasSuffix(strength.Reused, " of "+c.Config) {
			found = append(found, model.Evidence{Subject: name, Have: "the same value is used for " + strength.Reused, Want: "a value of its own"})
		}
	}
	return found, known
}
