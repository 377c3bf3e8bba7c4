package control

import (
	"slices"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var app003 = Control{
	ID:       "APP-03",
	Title:    "the configuration has one writer, which never leaves half of it",
	Why:      "Matomo 5 rewrites config.ini.php in place, each process for itself. Two at once, a full disk or a kill leave a part of it: without the first line the web server shows the database password, and without [database] the installer is open again.",
	Severity: model.High,
	Needs:    []facts.Section{facts.Accounts, facts.Files, facts.App, facts.Runtime},
	Eval: func(v *View) Verdict {
		contexts := serving(v)
		var against []model.Evidence
		var unread []string
		if len(contexts) == 0 {
			unread = append(unread, "no configuration of Matomo was found")
		}
		for _, c := range contexts {
			if !inode(v.Server, c.Config).Exists() {
				unread = append(unread, "nothing is known of "+c.Config)
				continue
			}
			if !c.Guarded {
				against = append(against, model.Evidence{Subject: c.Config, Line: 1, Have: "the line that keeps it from being shown is missing: it was cut short, or written by hand", Want: "; <?php exit; ?> DO NOT REMOVE THIS LINE"})
			}
			against = append(against, ways(c.Config, v.Reach.Writers(c.Config), "written by root only")...)
		}
		return conclude(against, unread)
	},
	Fix:    automatic("Take the right to write it from PHP's user (chown root:POOL config.ini.php && chmod 0640 config.ini.php, in a directory of root), and change it by one program that locks it and renames a complete copy into its place: rocca up.", append(slices.Clone(configurationSteps), "directory /var/lib/*/config")...),
	Attack: "A09",
	Maps:   []model.Ref{asvs("15.4.2"), s1("33")},
	Since:  "0.3",
}
