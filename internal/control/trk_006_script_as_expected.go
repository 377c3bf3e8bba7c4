package control

import (
	"path"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var trk006 = Control{
	ID:       "TRK-06",
	Title:    "the tracker script that visitors get is the one that is expected",
	Why:      "matomo.js runs on every page of every tracked site. Who changes it, on the disk, in a pre-compressed copy or on the way, reads what all visitors type there: passwords and card numbers too.",
	Severity: model.Critical,
	Needs:    []facts.Section{facts.Requests, facts.Code},
	Eval: func(v *View) Verdict {
		var against []model.Evidence
		var unread []string
		for _, served := range []struct{ answer, file string }{{"script", "matomo.js"}, {"script-piwik", "piwik.js"}} {
			answer, asked := v.Answers[served.answer]
			if answer.Verdict == facts.Refused && served.file == "piwik.js" {
				continue // its other name is enough
			}
			if !asked || answer.SHA256 == "" {
				unread = append(unread, served.file+" could not be fetched: "+answer.Problem)
				continue
			}
			expected := expectedHashes(v, served.file)
			if len(expected) == 0 {
				unread = append(unread, "it is not known what "+served.file+" should be")
				continue
			}
			if !expected[answer.SHA256] {
				against = append(against, model.Evidence{Subject: answer.URL, Have: "SHA-256 " + answer.SHA256, Want: "that of the expected " + served.file})
			}
		}
		return conclude(against, unread)
	},
	Fix:    automatic("Take the site's script out of service, keep a copy as evidence, and put the file of the release in its place with its pre-compressed copies; then look for how it was changed (FS-08, FS-11).", "pre-compressed tracker scripts", "code /*/*/*/*", "code /*/*/*"),
	Attack: "A27",
	Maps:   []model.Ref{asvs("3.6.1"), s2("28")},
	Since:  "0.3",
}

// expectedHashes are what a script may have.
func expectedHashes(v *View, file string) map[string]bool {
	expected := map[string]bool{}
	for _, script := range v.Integrity.Scripts {
		if path.Base(script.Path) == file && script.Packed == "" && script.Want != "" {
			expected[script.Want] = true
		}
	}
	return expected
}
