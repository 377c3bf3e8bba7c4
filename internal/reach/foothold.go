package reach

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"rocca/internal/facts"
)

// foothold is one way in which code runs as a Unix user: a unit, a pool of PHP,
// a job, a login. What a user can do is what any of them can.
type foothold struct {
	user   string
	uid    int // -1: not known
	groups []string
	gids   []int
	view   int    // index into Graph.views; 0: none
	unit   string // that it runs in; empty: none
	label  string // what runs
	powers
}

func (f *foothold) in(group string, gid int) bool {
	return slices.Contains(f.groups, group) || gid >= 0 && slices.Contains(f.gids, gid)
}

// isRoot tells whether a name is that of UID 0: such a user has everything
// already.
func (g *Graph) isRoot(user string) bool {
	known := g.server.Users[user]
	return user == "" || user == "root" || user == "0" || known.Exists && known.UID == 0
}

// groupsOf are the groups that the databases give a user.
func (g *Graph) groupsOf(user string) []string {
	groups := slices.Clone(g.memberOf[user])
	if primary := g.server.Users[user].Group; primary != "" {
		groups = append(groups, primary)
	}
	return groups
}

// findFootholds collects the ways in which code runs as any user but root.
func (g *Graph) findFootholds() {
	g.memberOf = map[string][]string{}
	for _, name := range slices.Sorted(maps.Keys(g.server.Groups)) {
		for _, member := range g.server.Groups[name].Members {
			g.memberOf[member] = append(g.memberOf[member], name)
		}
	}
	g.views = []*view{nil}
	viewOf := map[string]int{}
	sandboxOf := func(unit string) (int, powers) {
		u, known := g.server.Units[unit]
		if !known || len(u.Sandbox) == 0 {
			return 0, allPowers
		}
		if _, seen := viewOf[unit]; !seen {
			viewOf[unit] = 0
			if v := newView(u, g.real); v != nil {
				viewOf[unit] = len(g.views)
				g.views = append(g.views, v)
			}
		}
		return viewOf[unit], newPowers(u)
	}
	seen := map[string]bool{}
	add := func(user, label, unit string, apart bool, groups ...string) {
		if g.isRoot(user) {
			return
		}
		f := foothold{user: user, uid: -1, label: label, unit: unit}
		if known := g.server.Users[user]; known.Exists {
			f.uid = known.UID
		}
		f.view, f.powers = sandboxOf(unit)
		if apart {
			f.loopback, f.network = false, false
		}
		slices.Sort(groups)
		f.groups = slices.DeleteFunc(slices.Compact(groups), func(name string) bool { return name == "" })
		for _, name := range f.groups {
			if group, known := g.server.Groups[name]; known && group.Exists {
				f.gids = append(f.gids, group.GID)
			}
		}
		key := fmt.Sprint(f.user, "\x00", f.groups, f.view, f.powers, "\x00", unit)
		if seen[key] {
			return
		}
		seen[key] = true
		g.footholds = append(g.footholds, f)
	}
	for _, name := range slices.Sorted(maps.Keys(g.server.Units)) {
		unit := g.server.Units[name]
		user := userOf(name, unit)
		if len(unit.Exec) > 0 {
			add(user, name, name, false, append(append(g.groupsOf(user), unit.Group), unit.Supplementary...)...)
		}
	}
	for _, pool := range g.server.PHP.Pools {
		add(pool.User, "pool "+pool.Name, g.unitOf(pool), false, append(g.groupsOf(pool.User), pool.Group)...)
	}
	for _, p := range g.server.Processes {
		// Groups that it was given since, it has after a restart.
		add(p.User, p.Name, p.Unit, p.NetNS != "", append(append(g.groupsOf(p.User), p.Groups...), p.Group)...)
	}
	for _, job := range g.server.Jobs {
		add(job.User, "job of "+job.File, "cron.service", false, g.groupsOf(job.User)...)
	}
	for _, name := range slices.Sorted(maps.Keys(g.server.Users)) {
		if g.logsIn(name) {
			add(name, "login", "", false, g.groupsOf(name)...)
		}
	}
	has := map[string]bool{}
	for _, f := range g.footholds {
		has[f.user] = true
	}
	// Nothing runs as them now, but something will: no sandbox is known.
	for _, context := range g.server.Matomo.Contexts {
		if !has[context.User] {
			has[context.User] = true
			add(context.User, context.Name, "", false, g.groupsOf(context.User)...)
		}
	}
	if user := g.server.Front.User; !has[user] {
		add(user, g.server.Front.Program, "", false, g.groupsOf(user)...)
	}
	slices.SortStableFunc(g.footholds, func(a, b foothold) int { return strings.Compare(a.user, b.user) })
}

// userOf is the user that a unit runs as; empty: root.
func userOf(name string, unit facts.Unit) string {
	if unit.User == "" && unit.DynamicUser {
		name, _, _ = strings.Cut(name, ".")
		return name
	}
	return unit.User
}

// logsIn tells whether a user can get a shell.
func (g *Graph) logsIn(name string) bool {
	user := g.server.Users[name]
	if !user.Exists || user.Shell == "" || slices.ContainsFunc([]string{"nologin", "false", "sync"}, func(end string) bool {
		return strings.HasSuffix(user.Shell, "/"+end)
	}) {
		return false
	}
	return !user.Locked || user.NoWord || slices.ContainsFunc(g.server.SSH.Keys, func(key facts.AuthorizedKey) bool { return key.User == name })
}

// unitOf is the unit that a pool's workers run in.
func (g *Graph) unitOf(pool facts.Pool) string {
	if _, known := g.server.Units[pool.Master]; known {
		return pool.Master
	}
	if pool.SAPI == "apache2" {
		return "apache2.service"
	}
	return pool.Master
}
