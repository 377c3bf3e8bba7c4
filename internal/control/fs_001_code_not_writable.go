package control

import (
	"slices"

	"rocca/internal/model"
	"rocca/internal/reach"
)

// codeSteps put the release in its place, with the link to it.
var codeSteps = []string{"directory /var/www*", "code *", "link *", "file */bootstrap.php"}

var fs001 = Control{
	ID:       "FS-01",
	Title:    "nobody but root can change Matomo's code",
	Why:      "Whoever writes one file of PHP runs code as Matomo at the next request, with the database behind it. Where PHP itself may write its code, each small hole in Matomo becomes a lasting back door.",
	Severity: model.Critical,
	Needs:    principals,
	Eval: func(v *View) Verdict {
		if v.Matomo.Real == "" {
			return unknown("no code of Matomo was found")
		}
		return conclude(ways(v.Matomo.Root, codeWriters(v), "writable by root only"), nil)
	},
	Fix: Fix{Kind: model.FixAutomatic, Text: "chown -R root:root CODE && chmod -R go-w CODE, all but tmp; config.ini.php to root:POOL 0640; the same for every directory above, without -R", Steps: codeSteps,
		Changes: func(v *View) []Change {
			real := v.Matomo.Real
			if real == "" || len(codeWriters(v)) == 0 {
				return nil
			}
			root := shellWord(real)
			kept := `\( -path ` + root + `/tmp -o -path ` + root + `/misc/user -o -path ` + root + `/config/config.ini.php \) -prune -o`
			return []Change{
				{Sentence: "give Matomo's code to root, without its tmp, logos and configuration", Command: "find " + root + " " + kept + " -exec chown -h root:root {} +"},
				{Sentence: "let nobody else write to it", Command: "find " + root + " " + kept + " ! -type l -exec chmod go-w {} +"},
			}
		}},
	Attack: "A03 A04",
	Maps:   []model.Ref{s2("27"), asvs("15.2.5"), gdpr("Art. 32")},
	Since:  "0.3",
}

// codeWriters are the ways to change code, or to put other code in its place.
func codeWriters(v *View) []reach.Path {
	return slices.Concat(v.Reach.Writers(v.Matomo.Root), v.Reach.Writers(v.Matomo.Real), v.Reach.CodeWriters())
}
