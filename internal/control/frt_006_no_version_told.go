package control

import (
	"maps"
	"regexp"
	"slices"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// versioned is a product with its version or platform: "nginx/1.22.1", "Apache (Debian)".
var versioned = regexp.MustCompile(`[0-9(]`)

var frt006 = Control{
	ID:       "FRT-06",
	Title:    "answers do not tell the versions of the server, of PHP or of Matomo",
	Why:      "Who searches the internet for one version with a known weakness finds this server in a list. It does not make an attack possible; it makes it cheap.",
	Severity: model.Low,
	Needs:    []facts.Section{facts.Requests},
	Eval: func(v *View) Verdict {
		if len(v.Answers) == 0 {
			return unknown("the front was not asked anything")
		}
		told := map[string]bool{}
		var found []model.Evidence
		for _, name := range slices.Sorted(maps.Keys(v.Answers)) {
			answer := v.Answers[name]
			for _, field := range []string{"Server", "X-Powered-By", "X-Generator", "X-Matomo-Version", "X-AspNet-Version"} {
				for _, value := range header(answer, field) {
					line := field + ": " + value
					if (field != "Server" || versioned.MatchString(value)) && !told[line] { // once is enough
						told[line] = true
						found = append(found, said(answer, line, "no version"))
					}
				}
			}
		}
		if answer, asked := v.Answers["api-version"]; asked && (answer.Verdict == facts.Leaked || answer.Verdict == facts.Served) {
			found = append(found, said(answer, outcome(answer)+": Matomo tells its version to anybody", "401"))
		}
		return conclude(found, nil)
	},
	Fix:    automatic("nginx: server_tokens off. Apache: ServerTokens Prod, ServerSignature Off. PHP: expose_php = Off.", slices.Concat(frontSteps, phpSteps)...),
	Attack: "A07",
	Maps:   []model.Ref{nginx("2.5.1"), apache("8.1"), asvs("13.4.6")},
	Since:  "0.3",
}
