package control

import (
	"path"
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var iso002 = Control{
	ID:       "ISO-02",
	Title:    "the users of Matomo's PHP run nothing else: no other pool, site, job or login",
	Why:      "Two applications with one user are one application for whoever breaks into either. A login or a rule of sudo for that user gives a hole in PHP a way on.",
	Severity: model.Critical,
	Needs:    []facts.Section{facts.Accounts, facts.Runtime, facts.Services, facts.Scheduled, facts.Web, facts.Remote, facts.App},
	Eval: func(v *View) Verdict {
		users := matomoUsers(v.Server)
		if len(users) == 0 {
			return unknown(noPool)
		}
		var found []model.Evidence
		add := func(subject string, line int, user, have string) {
			found = append(found, model.Evidence{Subject: subject, Line: line, Have: have + " " + user, Want: "not " + user})
		}
		for _, user := range users {
			for _, pool := range v.OtherPools() {
				if pool.User == user {
					add(pool.File, pool.Line, user, "pool "+pool.Name+" runs as")
				}
			}
			for name, unit := range v.Units {
				if unit.User == user && (unit.Active || unit.Enabled) && len(unit.Exec) > 0 && !ownUnit(v.Server, name, unit) {
					add(name, 0, user, "runs as")
				}
			}
			for _, job := range v.Jobs {
				if job.User == user && !slices.ContainsFunc(job.Programs, func(p string) bool { return ownCode(v.Server, p) }) {
					add(job.File, job.Line, user, "a job of")
				}
			}
			for _, key := range v.SSH.Keys {
				if key.User == user {
					add(key.File, key.Line, user, "a key logs in as")
				}
			}
			for _, rule := range v.Sudo {
				if rule.Who == user || rule.Who == "%"+v.Users[user].Group {
					add(rule.File, rule.Line, user, "sudo as "+rule.As+" for")
				}
			}
			if account := v.Users[user]; account.Exists && !noLogin(account.Shell) {
				add("/etc/passwd", 0, user, "shell "+account.Shell+" for")
			}
		}
		for _, pool := range v.MatomoPools() {
			if pool.SAPI != "apache2" {
				continue
			}
			for _, site := range v.Front.Sites {
				if !site.Matomo && site.Docroot != "" {
					add(site.File, site.Line, pool.User, "site "+strings.Join(site.Names, " ")+" is served by PHP of")
				}
			}
		}
		return conclude(found, nil)
	},
	Fix:    automatic("give each application a user, a pool and jobs of its own; no shell (usermod -s /usr/sbin/nologin), no keys and no sudo for those users", append(slices.Clone(unitSteps), "user *", "group *")...),
	Attack: "A01",
	Maps:   []model.Ref{s2("21"), s2("22")},
	Since:  "0.3",
}

// ownUnit tells whether a unit is there to run Matomo: it is the master of one
// of its pools, or starts a file of its code.
func ownUnit(s facts.Server, name string, unit facts.Unit) bool {
	if slices.ContainsFunc(s.MatomoPools(), func(p facts.Pool) bool { return p.Master == name }) {
		return true
	}
	return slices.ContainsFunc(unit.Exec, func(e facts.Exec) bool {
		return slices.ContainsFunc(e.Args, func(arg string) bool { return ownCode(s, arg) })
	})
}

func ownCode(s facts.Server, name string) bool {
	return within(path.Clean(name), s.Matomo.Root) || within(path.Clean(name), s.Matomo.Real)
}
