package control

import (
	"fmt"
	"path"
	"slices"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var log001 = Control{
	ID:       "LOG-01",
	Title:    "the front logs requests and errors, without tokens, for a limited time, and not for everybody to read",
	Why:      "Without logs nobody sees an attack, during it or after. With tokens in them, or readable for every user, the logs are an attack themselves: a token in an address logs in whoever reads the line.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.Logging, facts.Files},
	Eval: func(v *View) Verdict {
		var found []model.Evidence
		var unseen []string
		for _, kind := range []string{"access", "error"} {
			if !slices.ContainsFunc(v.Logs.Files, func(f facts.LogFile) bool { return f.Kind == kind }) {
				found = append(found, model.Evidence{Subject: "front", Have: "no " + kind + " log", Want: "an " + kind + " log"})
			}
		}
		for _, f := range v.Logs.Files {
			if f.Kind != "access" && f.Kind != "error" {
				continue
			}
			if f.Tokens > 0 {
				found = append(found, model.Evidence{Subject: f.Path, Have: fmt.Sprintf("%d of the last %d lines hold a token or password%s", f.Tokens, f.Lines, sample(f)), Want: "addresses without query"})
			}
			if f.RotateDays == 0 {
				found = append(found, model.Evidence{Subject: f.Path, Have: "kept for ever", Want: "rotated by logrotate"})
			}
			p := inode(v.Server, f.Path)
			switch {
			case !p.Exists():
				unseen = append(unseen, f.Path+" was not looked at")
			case p.Mode&0o007 != 0 && inode(v.Server, path.Dir(f.Path)).Mode&0o001 != 0:
				found = append(found, ownership(f.Path, p, "0640, or in a directory that others cannot enter"))
			}
		}
		return conclude(found, unseen)
	},
	Fix:    automatic("access_log in a format without query and full address, error_log at a level that prints no requests, a directory of mode 0750, and logrotate.", append([]string{"directory /var/log/nginx"}, frontSteps...)...),
	Attack: "A33",
	Maps:   []model.Ref{nginx("3.2-3.4"), debian("6.1.3.8"), asvs("16.2.5"), s1("43")},
	Since:  "0.3",
}

// sample is one masked line of a log, if there is one.
func sample(f facts.LogFile) string {
	if len(f.Samples) == 0 {
		return ""
	}
	return ": " + f.Samples[0]
}
