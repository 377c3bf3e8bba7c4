package control

import (
	"path"
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// telltales are private files whose endings look like static ones.
var telltales = []string{
	"/plugins/CoreHome/plugin.json", "/lang/en.json", "/vendor/composer/installed.json", "/config/environment/x.css",
	"/tmp/assets/asset_manager_core_js.js", "/README.md", "/CHANGELOG.md", "/.git/x.js", "/core/x.js", "/config/x.js",
}

var frt003 = Control{
	ID:       "FRT-03",
	Title:    "no rule for static endings stands before the rules that deny",
	Why:      "A front takes the first rule that matches. If that one says that .json or .js is public, /config/x.js and plugin.json are served, although a later rule denies the directory. They tell versions, and what else lies there.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.Web, facts.Requests},
	Eval: func(v *View) Verdict {
		var found []model.Evidence
		asked := false
		for _, answer := range privatePaths(v) {
			file := strings.ToLower(strings.TrimPrefix(answer.name, "path:"))
			if !slices.Contains([]string{".json", ".md", ".js", ".css", ".txt", ".html", ".lock", ".svg", ".map", ".ts"}, path.Ext(file)) {
				continue
			}
			asked = asked || answer.Verdict != ""
			if answer.Verdict == facts.Served || answer.Verdict == facts.Leaked {
				found = append(found, said(answer.Answer, outcome(answer.Answer), "403 or 404"))
			}
		}
		if v.Front.Program == "nginx" {
			for _, site := range v.MatomoSites() {
				found = append(found, overtaken(site)...)
			}
		}
		if !asked {
			return conclude(found, []string{"the front was not asked for private files with static endings"})
		}
		return conclude(found, nil)
	},
	Fix:    automatic("Name what is public by directory and ending, and answer 404 to the rest; or put the rules that deny first (nginx: before other patterns, or as ^~ prefixes).", frontSteps...),
	Attack: "A07",
	Maps:   []model.Ref{asvs("13.4.6")},
	Since:  "0.3",
}

// overtaken are locations of nginx that serve a private file which another
// location denies.
func overtaken(site facts.Site) []model.Evidence {
	var found []model.Evidence
	told := map[int]bool{} // lines
	for _, file := range telltales {
		chosen, certain := nginxLocation(site, file)
		if !certain || chosen.Backend != "" || denies(chosen) || told[chosen.Line] {
			continue
		}
		for _, other := range site.Locations {
			if !denies(other) || other.Line == chosen.Line && other.File == chosen.File || !wouldMatch(other, file) {
				continue
			}
			told[chosen.Line] = true
			found = append(found, model.Evidence{
				Subject: chosen.File, Line: chosen.Line,
				Have: "location " + chosen.Match + " serves " + file + " before location " + other.Match + " can deny it", Want: "the location that denies first",
			})
			break
		}
	}
	return found
}

// wouldMatch tells whether a location of nginx is for a path at all. One that
// is for every path denies what no other one serves.
func wouldMatch(location facts.Location, file string) bool {
	if _, match := locationMatch(location); match == "/" {
		return false
	}
	_, certain := nginxLocation(facts.Site{Locations: []facts.Location{location}}, file)
	return certain
}
