package control

import (
	"fmt"
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var frt005 = Control{
	ID:       "FRT-05",
	Title:    "what Apache denies is in its configuration, and no .htaccess has a say",
	Why:      "The .htaccess files of Matomo deny nothing where Debian's AllowOverride None holds, and where it does not, whoever can write one file into the tree changes how Apache treats it. Apache also looks for one in every directory at every request.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.Web, facts.Requests},
	Eval: func(v *View) Verdict {
		if v.Front.Program != "apache2" {
			return notApplicable("the front is not Apache; others read no .htaccess")
		}
		var found []model.Evidence
		for _, site := range v.MatomoSites() {
			for _, setting := range v.Front.Directive(site, "allowoverride") {
				if !strings.EqualFold(strings.TrimSpace(setting.Value), "none") {
					found = append(found, at(setting, "AllowOverride "+setting.Value, "AllowOverride None"))
				}
			}
		}
		paths := privatePaths(v)
		if len(paths) == 0 {
			return conclude(found, []string{"the front was not asked for private paths"})
		}
		open := slices.DeleteFunc(paths, func(answer named) bool {
			return answer.Verdict != facts.Leaked && answer.Verdict != facts.Served && answer.Verdict != facts.Executed
		})
		if len(open) > 0 { // FRT-02 tells which
			have := fmt.Sprintf("nothing denies %d private paths, such as %s", len(open), open[0].URL)
			found = append(found, model.Evidence{Subject: v.Front.Config, Have: have, Want: "Require all denied in the site itself"})
		}
		return conclude(found, nil)
	},
	Fix:    automatic("AllowOverride None for the document root, and the rules that deny in the site itself.", "file /etc/apache2/sites-available/matomo.conf"),
	Attack: "A07",
	Maps:   []model.Ref{apache("4.4"), s2("20")},
	Since:  "0.3",
}
