package control

import (
	"rocca/internal/facts"
	"rocca/internal/model"
)

var upd007 = Control{
	ID:       "UPD-07",
	Title:    "rocca is the program that was installed, and root's",
	Why:      "rocca runs as root and says whether the server is sound. Whoever replaces it has both.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.Own, facts.Files},
	Eval: func(v *View) Verdict {
		r := v.Rocca
		if !r.Installed && r.Recorded == "" {
			return notApplicable("rocca is not installed on this server; this one was brought along")
		}
		if r.Recorded == "" || r.SHA256 == "" {
			return unknown("no hash of the installed rocca is recorded to compare with")
		}
		var found []model.Evidence
		for _, program := range []struct{ path, hash string }{{r.Program, r.SHA256}, {r.TimerProgram, r.TimerSHA256}} {
			switch {
			case program.path == "":
				continue
			case program.hash == "":
				found = append(found, model.Evidence{Subject: program.path, Have: "not there", Want: "SHA-256 " + r.Recorded})
			case program.hash != r.Recorded:
				found = append(found, model.Evidence{Subject: program.path, Have: "SHA-256 " + program.hash, Want: "SHA-256 " + r.Recorded})
			}
			if p := inode(v.Server, program.path); p.Exists() && (p.Owner != "root" || p.Mode&0o022 != 0) {
				found = append(found, ownership(program.path, p, "root:root 0755"))
			}
		}
		return conclude(found, nil)
	},
	Fix:    automatic("Compare the program with the published hash of its release. When it was upgraded, rocca up records the new one.", "program /usr/local/lib/rocca/rocca", "file /var/lib/rocca/program.sha256"),
	Attack: "A34",
	Maps:   []model.Ref{asvs("15.2.4")},
	Since:  "0.3",
}
