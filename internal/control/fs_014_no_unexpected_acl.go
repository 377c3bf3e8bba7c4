package control

import (
	"maps"
	"path"
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// capabilityXattr holds the capabilities of a program (capabilities(7)).
const capabilityXattr = "security.capability"

var fs014 = Control{
	ID:       "FS-14",
	Title:    "no ACL, file capability or immutable bit changes who may do what with Matomo's files",
	Why:      "ls shows a plus sign at most: an ACL lets another user read the configuration although its mode says 0640, a default ACL does so for every file to come. An immutable bit keeps a back door in place while updates seem to work.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.Files, facts.App},
	Eval: func(v *View) Verdict {
		var found []model.Evidence
		for name, have := range attributed(v.Server) {
			found = append(found, model.Evidence{Subject: name, Have: have, Want: "owner, group and mode only"})
		}
		return conclude(found, nil)
	},
	Fix: Fix{Kind: model.FixAutomatic, Text: "setfacl -b FILE (with -k for the default of a directory); setcap -r FILE; chattr -ia FILE", Steps: []string{"directory *", "file */config/*", "code *"},
		Changes: func(v *View) []Change {
			var changes []Change
			marked := attributed(v.Server)
			for _, name := range slices.Sorted(maps.Keys(marked)) {
				command := "setfacl -bk "
				switch {
				case strings.HasPrefix(marked[name], "capability"):
					command = "setcap -r "
				case strings.HasPrefix(marked[name], "chattr"):
					command = "chattr -ia "
				}
				changes = append(changes, Change{Sentence: "take this from " + name + ": " + marked[name], Command: command + shellWord(name)})
			}
			return changes
		}},
	Attack: "A06",
	Maps:   []model.Ref{s2("16")},
	Since:  "0.3",
}

// attributed are Matomo's inodes, and the directories above them, that have
// more than owner, group and mode; each with what it has.
func attributed(s facts.Server) map[string]string {
	places := []string{s.Matomo.Root, s.Matomo.Real}
	for _, context := range s.Matomo.Contexts {
		places = append(places, context.Data, context.Tmp, path.Dir(context.Config))
	}
	places = slices.DeleteFunc(places, func(place string) bool { return place == "" || place == "." || place == "/" })
	ours := func(name string) bool {
		return slices.ContainsFunc(places, func(place string) bool { return within(name, place) || within(place, name) })
	}
	found := map[string]string{}
	note := func(name string, p facts.Path) {
		if has := attributes(p); has != "" && ours(name) {
			found[name] = has
		}
	}
	for name, p := range s.Paths {
		note(name, p)
	}
	for top, tree := range s.Trees {
		for name, p := range tree {
			note(path.Join(top, name), p)
		}
	}
	for _, list := range []struct {
		names []string
		has   string
	}{{s.Oddities.ACLs, "an ACL"}, {s.Oddities.Flagged, "chattr"}} {
		for _, name := range list.names {
			if _, known := found[name]; !known && ours(name) {
				found[name] = list.has
			}
		}
	}
	return found
}

// attributes tells what an inode has beside owner, group and mode.
func attributes(p facts.Path) string {
	access, inherited, err := p.ACL()
	switch {
	case err != nil:
		return "an ACL that cannot be read"
	case len(access) > 0:
		return "ACL " + entries(access)
	case len(inherited) > 0:
		return "default ACL " + entries(inherited)
	case len(p.Xattrs[capabilityXattr]) > 0:
		return "capability of a file"
	case p.Flags != "":
		return "chattr +" + p.Flags
	}
	return ""
}

// entries shows those of an ACL that the mode does not.
func entries(acl []facts.ACLEntry) string {
	var named []string
	for _, e := range acl {
		if e.ID >= 0 {
			named = append(named, e.String())
		}
	}
	return strings.Join(named, ",")
}
