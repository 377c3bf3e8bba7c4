package control

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var db001 = Control{
	ID:       "DB-01",
	Title:    "the database server cannot be reached from outside",
	Why:      "A database server on the internet is found within minutes; then its passwords are tried, and every weakness of it is open to all, past the front and past Matomo.",
	Severity: model.Critical,
	Needs:    []facts.Section{facts.Network, facts.Data, facts.App},
	Eval: func(v *View) Verdict {
		var found []model.Evidence
		var unseen []string
		for _, l := range v.Listeners {
			if !databaseProgram(l.Program) || l.Protocol == "udp" || privateAddress(l.Address) {
				continue
			}
			found = append(found, model.Evidence{Subject: fmt.Sprintf("%s:%d", l.Address, l.Port), Have: l.Program + " listens on all addresses, or a public one", Want: "a Unix socket (skip-networking), or bind-address = 127.0.0.1"})
		}
		if remoteDatabase(v) {
			for _, c := range v.Matomo.Contexts {
				host := remoteHost(c)
				if host == "" || privateAddress(host) || privateAddress(v.Database.Client) {
					continue // the server sees this machine by an address of a private network
				}
				if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
					e := settingEvidence(c, "database.host", "")
					found = append(found, wanting(e, "an address of a private network"))
					continue
				}
				unseen = append(unseen, "whether "+host+" is reachable from the internet cannot be seen on this machine")
			}
		} else if !v.Database.Reached && !slices.ContainsFunc(v.Listeners, func(l facts.Listener) bool { return databaseProgram(l.Program) }) &&
			slices.ContainsFunc(v.Listeners, func(l facts.Listener) bool { return l.Program == "" }) {
			unseen = append(unseen, "some programs that listen could not be named, and the database server could not be asked: "+v.Database.Problem)
		}
		return conclude(found, slices.Compact(unseen))
	},
	Fix: Fix{
		Kind: model.FixAutomatic, Steps: append([]string{"unit mariadb.service"}, databaseSteps...),
		Text: "skip-networking in /etc/mysql/mariadb.conf.d, or bind-address = 127.0.0.1 where other programs need TCP; systemctl restart mariadb.",
		Changes: func(v *View) []Change {
			for _, l := range v.Listeners {
				if databaseProgram(l.Program) && l.Protocol != "udp" && !privateAddress(l.Address) {
					return []Change{{
						Sentence: "let the database server listen on this machine only",
						Command:  `printf '[mariadbd]\nbind-address = 127.0.0.1\n' > /etc/mysql/mariadb.conf.d/99-local.cnf && systemctl restart mariadb`,
					}}
				}
			}
			return nil
		},
	},
	Attack: "A19 A32",
	Maps:   []model.Ref{s1("6"), s1("16"), mariadb("network")},
	Since:  "0.3",
}

func databaseProgram(name string) bool {
	return slices.Contains([]string{"mariadbd", "mysqld", "mysqld_safe", "mariadbd-safe"}, name)
}
