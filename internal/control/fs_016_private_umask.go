package control

import (
	"fmt"
	"slices"
	"strconv"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var fs016 = Control{
	ID:       "FS-16",
	Title:    "what Matomo's PHP writes is private from the start, and so is the directory that it writes to",
	Why:      "With Debian's umask of 0022 each file that PHP makes can be read by every user. Matomo opens modes again by itself, so the directory has to be closed as well.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.Services, facts.Runtime, facts.Files, facts.App},
	Eval: func(v *View) Verdict {
		services := matomoServices(v.Server)
		if len(services) == 0 {
			return unknown(noPool)
		}
		var found []model.Evidence
		var unseen []string
		for _, s := range services {
			text := v.Units[s.Unit].Sandbox["UMask"]
			mask, err := strconv.ParseUint(text, 8, 12)
			switch {
			case err != nil:
				unseen = append(unseen, "the umask of "+s.Unit+" was not seen")
			case mask&0o027 != 0o027:
				found = append(found, model.Evidence{Subject: s.Unit, Have: "UMask=" + text, Want: "UMask=0027"})
			}
		}
		for _, context := range v.Matomo.Contexts {
			if p := inode(v.Server, context.Tmp); p.Type == facts.Dir && p.Mode&0o077 != 0 {
				found = append(found, model.Evidence{Subject: context.Tmp, Have: fmt.Sprintf("%04o", uint32(p.Mode)), Want: "0700"})
			}
		}
		return conclude(found, unseen)
	},
	Fix: Fix{Kind: model.FixAutomatic, Text: "UMask=0027 in the units that run PHP (systemctl edit UNIT); chmod 0700 for Matomo's tmp", Steps: append(slices.Clone(unitSteps), "directory */tmp"),
		Changes: func(v *View) []Change { return fs006.Fix.Changes(v) }},
	Attack: "A06",
	Maps:   []model.Ref{s2("24"), debian("5.4.2.6")},
	Since:  "0.3",
}
