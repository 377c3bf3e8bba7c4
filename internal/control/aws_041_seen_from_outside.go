package control

import (
	"cmp"
	"slices"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// fromOutside are the checks of rocca aws verify that decide whether the public
// name is safe, with what each wants to see. What people may decide (SSH, who
// sees the login) and whether hits are recorded are not among them.
var fromOutside = []struct{ id, want string }{
	{"matomo.wizard", "nobody can install Matomo from a browser"},
	{"tls.certificate", "a certificate for the name, by an authority that browsers trust, for two weeks at least"},
	{"tls.old", "TLS 1.0 and 1.1 are refused"},
	{"http.redirect", "plain http leads to https"},
	{"tls.hsts", "Strict-Transport-Security"},
	{"host.foreign", "requests for another name are refused"},
	{"files.private", "configuration and temporary files are not served"},
}

// seenIDs are those of them that a row of evidence is shown for when all is well.
var seenIDs = []string{"tls.certificate", "host.foreign", "matomo.wizard"}

var aws041 = Control{
	ID:       "AWS-41",
	Title:    "from outside, the public name shows a valid certificate, HSTS, no installation wizard, and nothing under a foreign name",
	Why:      "Settings say what should be; only a visit says what is. Whoever finds an open wizard first owns the server, and who finds it in the clear reads every login.",
	Severity: model.Critical,
	Needs:    []facts.Section{facts.CloudSeen},
	Eval: func(v *View) Verdict {
		if len(v.Cloud.Seen) == 0 {
			return unknown("the public name was not visited: no domain is known")
		}
		name := cmp.Or(v.Cloud.Wanted.Domain, "the public name")
		var against, seen []model.Evidence
		var unread []string
		for _, check := range fromOutside {
			i := slices.IndexFunc(v.Cloud.Seen, func(s facts.Seen) bool { return s.ID == check.id })
			if i < 0 {
				unread = append(unread, check.id+" was not looked at")
				continue
			}
			got := v.Cloud.Seen[i]
			switch got.Status {
			case "ok":
				if slices.Contains(seenIDs, check.id) {
					seen = append(seen, model.Evidence{Subject: name + " " + check.id, Have: got.Text})
				}
			case "fail", "warn":
				against = append(against, model.Evidence{Subject: name + " " + check.id, Have: got.Text, Want: check.want})
			default:
				unread = append(unread, check.id+": "+got.Text)
			}
		}
		verdict := conclude(against, unread)
		if verdict.Status == model.Pass {
			verdict.Evidence = seen
		}
		return verdict
	},
	Fix: guidedBy("rocca aws verify tells for each check what to do. An open wizard: take the server from the network at once, and set it up anew.", func(v *View) []Change {
		if !v.Cloud.Wanted.Known {
			return nil
		}
		return []Change{{Sentence: "tell for each check what to do", Command: "rocca aws verify"}}
	}),
	Maps:  []model.Ref{row("3"), row("4"), s1("4"), s1("22"), s1("35")},
	Since: "0.6",
}
