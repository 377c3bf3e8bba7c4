package control

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
	"rocca/internal/reach"
)

var iso003 = Control{
	ID:       "ISO-03",
	Title:    "FastCGI of Matomo is a Unix socket that only the front may open",
	Why:      "FastCGI has no password: whoever connects sets PHP's settings and runs code as the pool. A port on 127.0.0.1 is open to every user of the machine; that is how another application read Matomo's configuration.",
	Severity: model.Critical,
	Needs:    principals,
	Eval: func(v *View) Verdict {
		pools := fastCGI(v.Server)
		switch {
		case len(v.MatomoPools()) == 0:
			return unknown(noPool)
		case len(pools) == 0:
			return notApplicable("Matomo's PHP runs inside Apache and speaks no FastCGI (ISO-01)")
		}
		var found []model.Evidence
		for _, pool := range pools {
			found = append(found, openSocket(v.Server, pool)...)
			if len(found) == 0 { // by ways that neither mode nor group shows
				direct := slices.DeleteFunc(v.Reach.Connectors(pool.Listen), func(p reach.Path) bool { return len(p.Hops) > 1 })
				found = ways(pool.Listen, direct, "the front only")
			}
			for _, l := range v.Listeners {
				if pool.Master != "" && l.Unit == pool.Master {
					found = append(found, model.Evidence{Subject: l.Unit, Have: fmt.Sprintf("listens on %s port %d", l.Address, l.Port), Want: "no port"})
				}
			}
		}
		return conclude(found, nil)
	},
	Fix:    automatic("listen = /run/php/matomo.sock, listen.owner = root, listen.group = www-data, listen.mode = 0660 in the pool; the front: fastcgi_pass unix:..., or SetHandler \"proxy:unix:...|fcgi://\"", unitSteps...),
	Attack: "A01",
	Maps:   []model.Ref{s2("17"), s2("21"), asvs("12.3.5")},
	Since:  "0.3",
}

// fastCGI are the pools that speak it and run as a user of Matomo, whatever site
// they serve: who connects to one of them is that user.
func fastCGI(s facts.Server) []facts.Pool {
	users := matomoUsers(s)
	return slices.DeleteFunc(slices.Clone(s.PHP.Pools), func(p facts.Pool) bool {
		return p.SAPI != "fpm" || p.Role == "" && !slices.Contains(users, p.User)
	})
}

// onPort tells whether a pool listens on TCP.
func onPort(p facts.Pool) bool { return !strings.HasPrefix(p.Listen, "/") }

// openSocket is who may connect to a pool beside root and the front, by its
// configuration and by the socket that is there.
func openSocket(s facts.Server, pool facts.Pool) []model.Evidence {
	e := model.Evidence{Subject: pool.File, Line: pool.Line, Want: "a Unix socket, root:" + s.Front.Group + " 0660"}
	if onPort(pool) {
		e.Have = "pool " + pool.Name + " listens on " + pool.Listen
		return []model.Evidence{e}
	}
	var found []model.Evidence
	mode, err := strconv.ParseUint(pool.Mode, 8, 12)
	if pool.Mode != "" && (err != nil || mode&0o007 != 0) {
		e.Have = "mode " + pool.Mode
		found = append(found, e)
	}
	if pool.ACL != "" && pool.ACL != s.Front.User {
		e.Have = "ACL for " + pool.ACL
		found = append(found, e)
	}
	group, owner := pool.OwnGroup, pool.Owner
	if p := inode(s, pool.Listen); p.Exists() {
		group, owner = p.Group, p.Owner
		if p.Mode&0o007 != 0 {
			found = append(found, ownership(pool.Listen, p, e.Want))
		}
	}
	if group != "" && s.Front.Group != "" && group != s.Front.Group && group != "root" {
		found = append(found, model.Evidence{Subject: pool.Listen, Have: "group " + group, Want: "group " + s.Front.Group})
	}
	if owner != "" && !slices.Contains([]string{"root", s.Front.User, pool.User}, owner) {
		found = append(found, model.Evidence{Subject: pool.Listen, Have: "owned by " + owner, Want: "root"})
	}
	for _, member := range inGroup(s, group) { // also one that nothing runs as now
		if !slices.Contains([]string{"root", s.Front.User, pool.User}, member) {
			found = append(found, model.Evidence{Subject: pool.Listen, Have: member + " may connect, as a member of " + group, Want: "the front only"})
		}
	}
	return found
}
