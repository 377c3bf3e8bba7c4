package control

import (
	"slices"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var fs002 = Control{
	ID:       "FS-02",
	Title:    "the document root and every directory above it belong to root, and only root can write to them",
	Why:      "Who may write to a directory may rename what is in it, also what belongs to root, and put something else there. That is how the code of a server whose every file was owned by root was replaced by its own web user.",
	Severity: model.Critical,
	Needs:    principals,
	Eval: func(v *View) Verdict {
		if v.Matomo.Root == "" {
			return unknown("no document root of Matomo was found")
		}
		var found []model.Evidence
		var unseen []string
		for _, name := range aboveCode(v.Server) {
			p := inode(v.Server, name)
			switch {
			case !p.Exists():
				unseen = append(unseen, name+" was not seen")
			case p.Owner != "root" || p.Type != facts.Symlink && p.Mode&0o022 != 0:
				found = append(found, ownership(name, p, "root:root 0755"))
			default: // an ACL gives what the mode does not show
				found = append(found, ways(name, v.Reach.Writers(name), "writable by root only")...)
			}
		}
		return conclude(found, unseen)
	},
	Fix: Fix{Kind: model.FixAutomatic, Text: "chown root:root DIRECTORY && chmod 0755 DIRECTORY, for the document root and each directory above it", Steps: codeSteps,
		Changes: func(v *View) []Change {
			var changes []Change
			for _, name := range aboveCode(v.Server) {
				if p := inode(v.Server, name); p.Type == facts.Dir && (p.Owner != "root" || p.Mode&0o022 != 0) {
					changes = append(changes, owned(name, "root", "root", uint32(p.Mode)&0o7755|0o555))
				}
			}
			return changes
		}},
	Attack: "A03",
	Maps:   []model.Ref{s2("25"), s2("27")},
	Since:  "0.3",
}

// aboveCode are the document root as the front names it and as it is with links
// resolved, each with every directory above it.
func aboveCode(s facts.Server) []string {
	chain := ancestors(s.Matomo.Root)
	if s.Matomo.Real != "" {
		chain = append(chain, ancestors(s.Matomo.Real)...)
	}
	slices.Sort(chain)
	return slices.Compact(chain)
}
