package prove

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"rocca/internal/prove/web"
)

var a23 = Attack{
	ID:    "A23",
	Title: "login and administration are framed, read from other origins, or taken for another type",
	How: "Asks for pages of the login, of the administration and of the API as a browser does for a page of another site, and judges as that browser would: whether it would frame the page, " +
		"let the other site read the answer, guess its type, run scripts that got into it, tell its address to others, or load something from elsewhere. The opt-out must stay frameable, and is not judged for that.",
	Risk:    "some dozen requests",
	Without: []Protection{framedPages, namedOrigins, frontHeaders},
	Attempt: func(ctx context.Context, t *Target, record *Record) error {
		v, err := t.visitor(23, record)
		if err != nil {
			return err
		}
		return errors.Join(v.pages(ctx), v.origins(ctx), v.types(ctx))
	},
}

var framedPages = Protection{
	ID:       "framed-pages",
	Title:    "Matomo's pages refuse to be framed",
	Part:     SettingPart,
	Remove:   `sed -i 's/^enable_framed_pages = 0/enable_framed_pages = 1/' $STATE/config/config.ini.php`,
	Controls: []string{"APP-10", "FRT-11"},
}

var namedOrigins = Protection{
	ID:       "named-origins",
	Title:    "no other site's scripts may read what Matomo answers",
	Part:     SettingPart,
	Remove:   `sed -i '/^\[General\]/a cors_domains[] = "*"' $STATE/config/config.ini.php`,
	Controls: []string{"APP-16", "FRT-13"},
}

// pageQueries are of pages that an administrator sees, or the login before it.
var pageQueries = []string{"", "?module=Login", "?module=CoreAdminHome&action=index", "?module=UsersManager&action=index", "?module=CoreHome&action=index&idSite=1&period=day&date=today", "?module=Login&action=resetPassword"}

// pages judges pages as a browser does in which another site is open.
func (v visitor) pages(ctx context.Context) error {
	if v.t.Database.Reached { // Matomo notes when it first looks whether a site has visits
		if err := v.t.keepOption(ctx, fmt.Sprintf("SitesManagerHadTrafficInPast_%d", v.t.site())); err != nil {
			return err
		}
	}
	seen := 0
	for _, query := range pageQueries {
		r := v.addressed(web.Request{Target: v.t.URLPath("/index.php" + query)})
		a, err := v.ask(ctx, r)
		if err != nil {
			return err
		}
		if !a.shows() && !strings.Contains(string(a.Body), "form_password") {
			continue // it is refused to who asks, without a page
		}
		seen++
		v.wrote("lay a page into a frame of another site", r, a, frameFault(a.Header), again{lacking: `^X-Frame-Options: *(deny|sameorigin)|frame-ancestors`})
		v.wrote("run a script that got into a page", r, a, policyFault(a.Header), again{lacking: `^Content-Security-Policy:`})
		v.wrote("learn the address of a page from what it links to", r, a, referrerFault(a.Header), again{lacking: `^Referrer-Policy: *(` + strings.Join(discreet, "|") + `)\s*$`})
		v.wrote("be told who looks at a page", r, a, v.loadsFault(string(a.Body)), again{pattern: `<(script|link|img|iframe)\b[^>]*\b(src|href)=.(https?:)?//`})
	}
	if seen == 0 {
		return errors.New("look at pages of Matomo: the front shows none to who asks from this machine")
	}
	return nil
}

// frameFault tells whether a browser lays a page into a frame of another site.
func frameFault(h http.Header) string {
	for _, policy := range h.Values("Content-Security-Policy") {
		for directive := range strings.SplitSeq(strings.ToLower(policy), ";") {
			if words := strings.Fields(directive); len(words) > 0 && words[0] == "frame-ancestors" {
				// It takes the place of X-Frame-Options.
				if slices.ContainsFunc(words[1:], func(s string) bool { return s != "'none'" && s != "'self'" }) {
					return "frame-ancestors lets others frame it: " + policy
				}
				return ""
			}
		}
	}
	value := strings.ToLower(strings.TrimSpace(h.Get("X-Frame-Options")))
	if value != "deny" && value != "sameorigin" {
		return "any site may frame it"
	}
	return ""
}

func policyFault(h http.Header) string {
	switch {
	case h.Get("Content-Security-Policy") != "":
		return ""
	case h.Get("Content-Security-Policy-Report-Only") != "":
		return "its policy is reported and not enforced"
	}
	return "it has no Content-Security-Policy"
}

// discreet are the referrer policies that tell other sites no path and no query.
var discreet = []string{"no-referrer", "same-origin", "origin", "strict-origin", "origin-when-cross-origin", "strict-origin-when-cross-origin"}

func referrerFault(h http.Header) string {
	list := strings.Split(strings.Join(h.Values("Referrer-Policy"), ","), ",")
	last := strings.ToLower(strings.TrimSpace(list[len(list)-1]))
	switch {
	case slices.Contains(discreet, last):
		return ""
	case last == "":
		return "it has no Referrer-Policy"
	}
	return "Referrer-Policy: " + last
}

var loads = regexp.MustCompile(`(?i)<(?:script|link|img|iframe|source|video|audio|object|embed)\b[^>]*?\s(?:src|href|data)\s*=\s*["']?\s*([^"'\s>]+)`)

// loadsFault tells what a page loads from hosts that are not this server.
func (v visitor) loadsFault(body string) string {
	own := []string{v.t.Name(), "127.0.0.1", "::1"}
	for _, site := range v.t.Front.Sites {
		own = append(own, site.Names...)
	}
	for _, found := range loads.FindAllStringSubmatch(body, -1) {
		target, err := url.Parse(strings.ReplaceAll(found[1], "&amp;", "&"))
		if err == nil && target.Host != "" && !slices.Contains(own, target.Hostname()) {
			return "it loads from " + target.Hostname()
		}
	}
	return ""
}

// origins asks as a script of another site does, with the cookies of who looks
// at it.
func (v visitor) origins(ctx context.Context) error {
	index := v.t.URLPath("/index.php")
	api := index + "?module=API&method=API.getMatomoVersion&format=json"
	for _, origin := range []string{"https://" + Canary() + ".invalid", "null", "https://" + v.t.Name() + "." + Canary() + ".invalid"} {
		for _, r := range []web.Request{
			{Target: index}, {Target: api}, {Method: "POST", Target: index, Body: "module=API&method=API.getMatomoVersion&format=json"},
			{Method: "OPTIONS", Target: index, Header: [][2]string{{"Access-Control-Request-Method", "POST"}, {"Access-Control-Request-Headers", "authorization"}}},
		} {
			r.Header = append(r.Header, [2]string{"Origin", origin}, asForm, [2]string{"Cookie", "a=b"})
			_, err := v.try(ctx, "read an answer from a page of another site", r, again{pattern: `^Access-Control-Allow-Origin: *(\*|` + regexp.QuoteMeta(origin) + `)`}, func(a reply) string {
				return originFault(a.Header, origin)
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func originFault(h http.Header, origin string) string {
	allowed := h.Get("Access-Control-Allow-Origin")
	if allowed != "*" && !strings.EqualFold(allowed, origin) {
		return ""
	}
	if strings.EqualFold(h.Get("Access-Control-Allow-Credentials"), "true") {
		return fmt.Sprintf("Access-Control-Allow-Origin: %s, with the cookies", allowed)
	}
	return "Access-Control-Allow-Origin: " + allowed
}

// types asks for what browsers must not guess the type of.
func (v visitor) types(ctx context.Context) error {
	for target, mediaType := range map[string]string{
		"/index.php": "text/html", "/index.php?module=API&method=API.getMatomoVersion&format=json": "application/json", "/index.php?module=CoreAdminHome&action=optOut&language=en": "text/html",
		"/matomo.js": "javascript", "/piwik.js": "javascript", "/matomo.php": "", "/plugins/CoreHome/images/favicon.png": "image/",
	} {
		_, err := v.try(ctx, "have a browser guess a type", web.Request{Target: v.t.URLPath(target)}, again{lacking: `^X-Content-Type-Options: *nosniff`}, func(a reply) string {
			return typeFault(a, mediaType)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// typeFault tells what a browser takes an answer for. What is refused is no
// matter.
func typeFault(a reply, want string) string {
	got, _, _ := mime.ParseMediaType(a.Header.Get("Content-Type"))
	switch {
	case a.Status >= 300 || a.Status == 0:
		return ""
	case !strings.EqualFold(strings.TrimSpace(a.Header.Get("X-Content-Type-Options")), "nosniff"):
		return "no X-Content-Type-Options: a browser guesses"
	case !strings.Contains(got, want):
		return "it comes as " + got
	}
	return ""
}
