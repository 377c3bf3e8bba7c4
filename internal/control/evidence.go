package control

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
	"rocca/internal/reach"
)

// most is how many observations one finding tells. More help nobody.
const most = 20

// capped sorts evidence by subject and line, leaves out what is told twice, and
// cuts it: the last entry then says how many more there are.
func capped(evidence []model.Evidence) []model.Evidence {
	sorted := slices.Clone(evidence)
	slices.SortStableFunc(sorted, func(a, b model.Evidence) int {
		return cmp.Or(cmp.Compare(a.Subject, b.Subject), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Have, b.Have))
	})
	sorted = slices.Compact(sorted)
	if len(sorted) <= most {
		return sorted
	}
	rest := len(sorted) - most
	return append(sorted[:most:most], model.Evidence{Subject: fmt.Sprintf("and %d more", rest)})
}

// principals are the sections that tell who runs what on a server, and what is
// in each one's way. Without one of them the reach graph lacks paths.
var principals = []facts.Section{facts.Accounts, facts.Files, facts.KernelOf, facts.Running, facts.Network, facts.Services,
	facts.Scheduled, facts.Runtime, facts.Web, facts.App}

// ways are paths of the reach graph to a subject, as evidence in no order: for
// each principal the shortest.
func ways(subject string, paths []reach.Path, want string) []model.Evidence {
	shortest := map[reach.Node]reach.Path{}
	for _, p := range paths {
		if known, seen := shortest[p.From]; !seen || len(p.Hops) < len(known.Hops) {
			shortest[p.From] = p
		}
	}
	var evidence []model.Evidence
	for _, p := range shortest {
		evidence = append(evidence, model.Evidence{Subject: subject, Have: p.String(), Want: want})
	}
	return evidence
}

// inode is what was seen at a path, on its own or in a tree.
func inode(s facts.Server, name string) facts.Path {
	if p, seen := s.Paths[name]; seen {
		return p
	}
	for top, tree := range s.Trees {
		if name == top {
			return tree["."]
		}
		if relative, inside := strings.CutPrefix(name, top+"/"); inside {
			return tree[relative]
		}
	}
	return facts.Path{}
}

// ownership is evidence about owner and mode of a path.
func ownership(name string, p facts.Path, want string) model.Evidence {
	return model.Evidence{Subject: name, Have: fmt.Sprintf("%s:%s %04o", p.Owner, p.Group, uint32(p.Mode)), Want: want}
}

// within tells whether a path is a directory or lies below it.
func within(name, dir string) bool {
	return dir != "" && (name == dir || strings.HasPrefix(name, strings.TrimSuffix(dir, "/")+"/"))
}

// inCode is the absolute path of a file that is told relative to the code.
func inCode(s facts.Server, name string) string {
	if path.IsAbs(name) {
		return name
	}
	return path.Join(s.Matomo.Real, name)
}

// ancestors are a path and every directory above it, the root first.
func ancestors(name string) []string {
	var chain []string
	for ; name != "/" && name != "."; name = path.Dir(name) {
		chain = append(chain, name)
	}
	slices.Reverse(chain)
	return append([]string{"/"}, chain...)
}

// matomoUsers are the Unix users that run Matomo's PHP, sorted.
func matomoUsers(s facts.Server) []string {
	var users []string
	for _, pool := range s.MatomoPools() {
		users = append(users, pool.User)
	}
	for _, context := range s.Matomo.Contexts {
		users = append(users, context.User)
	}
	slices.Sort(users)
	return slices.DeleteFunc(slices.Compact(users), func(user string) bool { return user == "" || user == "root" })
}

// service is a unit that runs PHP of Matomo, and as whom.
type service struct {
	Unit string
	User string
}

// matomoServices are the masters of Matomo's pools and the units that run PHP
// as one of Matomo's users, sorted.
func matomoServices(s facts.Server) []service {
	found := map[service]bool{}
	for _, pool := range s.MatomoPools() {
		found[service{pool.Master, pool.User}] = true
	}
	users := matomoUsers(s)
	for name, unit := range s.Units {
		if !slices.Contains(users, unit.User) {
			continue
		}
		if slices.ContainsFunc(unit.Exec, func(e facts.Exec) bool { return strings.HasPrefix(path.Base(e.Path), "php") }) {
			found[service{name, unit.User}] = true
		}
	}
	services := make([]service, 0, len(found))
	for one := range found {
		services = append(services, one)
	}
	slices.SortFunc(services, func(a, b service) int { return cmp.Or(cmp.Compare(a.Unit, b.Unit), cmp.Compare(a.User, b.User)) })
	return services
}

// unitSteps write the units of rocca's own server and bring them up to date.
var unitSteps = []string{"file /etc/systemd/system/rocca-*", "unit rocca-*"}

// noPool is the reason of a control about Matomo's PHP that found none.
const noPool = "no PHP pool that runs Matomo was found"

// on reads a boolean of php.ini(5) or of a systemd unit.
func on(value string) bool {
	return slices.Contains([]string{"1", "on", "yes", "true"}, strings.ToLower(value))
}

// noLogin are the shells that let nobody in.
func noLogin(shell string) bool {
	return slices.Contains([]string{"nologin", "false", "sync"}, path.Base(shell))
}

// owned is the change that gives a path an owner, a group and a mode.
func owned(name, owner, group string, mode uint32) Change {
	return Change{
		Sentence: fmt.Sprintf("give %s to %s:%s with mode %04o", name, owner, group, mode),
		Command:  fmt.Sprintf("chown -h %s:%s %s && chmod %04o %s", shellWord(owner), shellWord(group), shellWord(name), mode, shellWord(name)),
		Attr:     &Attr{Path: name, Owner: owner, Group: group, Mode: mode},
	}
}

// shellWord makes a word of a shell out of text that others may have chosen.
func shellWord(text string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-@+:,%=", r)
	}
	if text != "" && strings.IndexFunc(text, func(r rune) bool { return !plain(r) }) < 0 {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
