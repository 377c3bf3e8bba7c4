package control

import (
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// mostBulk is how large a request may be, in bytes: 50,000 hits or so.
const mostBulk = 64 << 20

var trk002Settings = demands{forHits, []demand{
	{key: "Tracker.bulk_requests_use_transaction", usual: "1", want: "1", why: "a bulk that breaks off is stored in part, and again when it is repeated"},
}}

var trk002 = Control{
	ID:       "TRK-02",
	Title:    "a bulk of hits has a limited size, and is stored whole or not at all",
	Why:      "A single request can hold thousands of hits, each with its own work for the database. With no limit one stranger keeps all workers busy.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.App, facts.Web, facts.Runtime},
	Eval: func(v *View) Verdict {
		against, unread := trk002Settings.against(v)
		if len(v.MatomoSites()) == 0 {
			unread = append(unread, "no site of the front that serves Matomo was found")
		}
		for _, site := range v.MatomoSites() {
			if !limitsBody(v, site) && !poolsLimitBody(v) {
				against = append(against, model.Evidence{Subject: site.File, Line: site.Line, Have: "takes requests of any size", Want: "a limit: client_max_body_size, LimitRequestBody, or post_max_size of PHP"})
			}
		}
		return conclude(against, unread)
	},
	Fix: Fix{
		Kind:    model.FixAutomatic,
		Text:    "Set bulk_requests_use_transaction = 1 in [Tracker], and limit the size of a request to the tracker to some megabytes in the front.",
		Steps:   slices.Concat(configurationSteps, frontSteps),
		Changes: trk002Settings.changes,
	},
	Attack: "A20",
	Maps:   []model.Ref{asvs("15.2.2")},
	Since:  "0.3",
}

// limitsBody tells whether all that a site sets keeps requests small. nginx has
// a limit of 1 MB where nothing sets one; Apache has none that is of use.
func limitsBody(v *View, site facts.Site) bool {
	directive := "client_max_body_size"
	if v.Front.Program == "apache2" {
		directive = "limitrequestbody"
	}
	set := v.Front.Directive(site, directive)
	if len(set) == 0 {
		return v.Front.Program == "nginx"
	}
	return !slices.ContainsFunc(set, func(s facts.Setting) bool { return !limited(s.Value) })
}

// poolsLimitBody tells whether PHP itself refuses long requests to the tracker.
func poolsLimitBody(v *View) bool {
	found := false
	for _, pool := range v.MatomoPools() {
		if !strings.Contains(pool.Role, "tracker") {
			continue
		}
		found = true
		if !limited(pool.Value("post_max_size", "8M")) {
			return false
		}
	}
	return found
}

// limited tells whether a size such as "5m", "8M" or "1024" is a limit.
func limited(size string) bool {
	bytes := phpBytes(size)
	return bytes > 0 && bytes <= mostBulk
}
