package control

import (
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var iso011 = Control{
	ID:       "ISO-11",
	Title:    "the tracker has a pool, a user and a database account of its own, apart from the user interface",
	Why:      "The tracker takes input from everybody on the internet; the user interface holds passwords, tokens and rights. Apart, a hole in the tracker reads no account, and a flood of hits leaves the login working.",
	Severity: model.Medium,
	Needs:    append(slices.Clone(principals), facts.Data),
	Eval: func(v *View) Verdict {
		if elsewhere(v, "ui") || elsewhere(v, "tracker") {
			return notApplicable("tracker and user interface are not both on this machine (roles in rocca.yaml)")
		}
		var ui, tracker []facts.Pool
		for _, pool := range v.MatomoPools() {
			roles := strings.Fields(pool.Role)
			if slices.Contains(roles, "ui") {
				ui = append(ui, pool)
			}
			if slices.Contains(roles, "tracker") {
				tracker = append(tracker, pool)
			}
		}
		if len(ui) == 0 || len(tracker) == 0 {
			return unknown("the pools of the user interface and of the tracker were not both found")
		}
		var found []model.Evidence
		for _, t := range tracker {
			e := model.Evidence{Subject: t.File, Line: t.Line, Want: "one for the tracker alone"}
			for _, u := range ui {
				switch {
				case u.File == t.File && u.Name == t.Name:
					e.Have = "pool " + t.Name + " runs the user interface and the tracker"
				case u.User == t.User:
					e.Have = "tracker and user interface both run as " + t.User
				case u.Master == t.Master:
					e.Have = "tracker and user interface share " + t.Master
				default:
					continue
				}
				found = append(found, e)
			}
			if unit, alone := v.Units[t.Master], t.Role == "tracker"; alone && len(unit.Sandbox) > 0 && !on(unit.Sandbox["PrivateNetwork"]) && !v.Database.Remote {
				found = append(found, model.Evidence{Subject: t.Master, Have: "PrivateNetwork=" + unit.Sandbox["PrivateNetwork"], Want: "PrivateNetwork=yes"})
			}
			for _, p := range v.Reach.From(t.User) {
				if !slices.ContainsFunc(ui, func(u facts.Pool) bool { return u.User == t.User }) {
					found = append(found, model.Evidence{Subject: "user " + t.User, Have: p.String(), Want: "no path to " + p.To.String()})
				}
			}
		}
		var unseen []string
		accounts := map[string]string{} // by user of the context
		for _, context := range v.Matomo.Contexts {
			account := context.Setting("database.username")
			switch other, shared := accounts[account]; {
			case account == "":
				if context.Problem != "" {
					unseen = append(unseen, context.Problem)
				}
			case shared && other != context.User && isTracker(tracker, context.User) != isTracker(tracker, other):
				found = append(found, model.Evidence{Subject: context.Config, Have: "database account " + account + ", as " + other + " has", Want: "one for the tracker alone"})
			case !shared:
				accounts[account] = context.User
			}
		}
		if !slices.ContainsFunc(v.Matomo.Contexts, func(c facts.Context) bool { return isTracker(tracker, c.User) }) {
			unseen = append(unseen, "no configuration of the tracker was found")
		}
		return conclude(found, unseen)
	},
	Fix:    guided("two pools with two users; matomo.php, piwik.php and js/index.php go to the tracker's; a second config.ini.php with a database account that may only record (see DB-03). rocca up builds it so"),
	Attack: "A18 A20",
	Maps:   []model.Ref{asvs("13.2.2")},
	Since:  "0.3",
}

func isTracker(pools []facts.Pool, user string) bool {
	return slices.ContainsFunc(pools, func(p facts.Pool) bool { return p.User == user })
}
