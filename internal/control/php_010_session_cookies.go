package control

import (
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var php010Demands = []phpDemand{
	{"session.use_strict_mode", "0", "1", phpOn},
	{"session.use_only_cookies", "1", "1", phpOn},
}

// php010Marks are the marks of the cookie. Matomo sets them itself, so that a
// real cookie says more than they do.
var php010Marks = []phpDemand{
	{"session.cookie_httponly", "0", "1", phpOn},
	{"session.cookie_secure", "0", "1", phpOn},
	{"session.cookie_samesite", "", "Lax", func(value string) bool {
		return slices.Contains([]string{"lax", "strict"}, strings.ToLower(strings.Trim(value, `"' `)))
	}},
}

var php010 = Control{
	ID:       "PHP-10",
	Title:    "the cookie of a session goes by TLS only, is hidden from scripts and from other sites, and cannot be chosen by an attacker",
	Why:      "Who has the session cookie is logged in. Without these marks it is read on the way, by a script in a page, or sent along by another site; and without strict mode an attacker gives his victim a session that he knows.",
	Severity: model.High,
	Needs:    []facts.Section{facts.Runtime},
	Eval: func(v *View) Verdict {
		pools := v.MatomoPools()
		if len(pools) == 0 {
			return unknown(noPool)
		}
		var found []model.Evidence
		cookies := 0
		page, _ := pages(v, "ui")
		for _, answer := range page {
			for _, cookie := range header(answer.Answer, "Set-Cookie") {
				cookies++
				found = append(found, cookieFaults(answer.Answer, cookie)...)
			}
		}
		for _, pool := range pools {
			if pool.Role == "tracker" { // which has no sessions
				continue
			}
			found = append(found, demanded(pool, php010Demands)...)
			if cookies == 0 {
				found = append(found, demanded(pool, php010Marks)...)
			}
		}
		return conclude(found, nil)
	},
	Fix: Fix{
		Kind: model.FixAutomatic, Steps: phpSteps, Changes: poolChanges(php010Demands),
		Text: "session.use_strict_mode, session.use_only_cookies, session.cookie_httponly and session.cookie_secure = 1, session.cookie_samesite = Lax in PHP's settings, and HTTPS.",
	},
	Attack: "A21",
	Maps:   []model.Ref{asvs("3.3.1-3.3.4"), devsec("nginx-17")},
	Since:  "0.3",
}

func cookieFaults(answer facts.Answer, cookie string) []model.Evidence {
	name, _, _ := strings.Cut(cookie, "=")
	attributes := strings.Split(strings.ToLower(strings.ReplaceAll(cookie, " ", "")), ";")
	var found []model.Evidence
	for _, want := range []string{"Secure", "HttpOnly"} {
		if !slices.Contains(attributes, strings.ToLower(want)) {
			found = append(found, said(answer, "cookie "+name+" without "+want, want))
		}
	}
	if !slices.Contains(attributes, "samesite=lax") && !slices.Contains(attributes, "samesite=strict") {
		found = append(found, said(answer, "cookie "+name+" without SameSite", "SameSite=Lax"))
	}
	return found
}
