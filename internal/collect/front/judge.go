package front

import (
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"rocca/internal/facts"
)

// reply is a response that was read, as far as it was wanted.
type reply struct {
	request
	status    int
	header    http.Header
	body      string
	truncated bool
}

func (r reply) mediaType() string {
	mediaType, _, _ := mime.ParseMediaType(r.header.Get("Content-Type"))
	return mediaType
}

// judgement says what a reply means, and what of its body says so.
type judgement func(r reply) (facts.Verdict, string)

// refusals are the answers that give nothing: the request was wrong, forbidden,
// not found, not for this name or not by this method.
var refusals = []int{400, 401, 403, 404, 405, 406, 410, 411, 413, 414, 421, 426, 431, 444, 501, 505}

// byStatus is the verdict where content says no more.
func byStatus(r reply) (facts.Verdict, string) {
	switch {
	case r.status >= 200 && r.status < 300:
		return facts.Served, ""
	case r.status >= 300 && r.status < 400:
		return facts.Redirected, ""
	case slices.Contains(refusals, r.status):
		return facts.Refused, ""
	case r.status >= 500:
		return facts.Failed, ""
	}
	return "", ""
}

const (
	installerMark = `<body id="installation">`
	installedMark = "already installed"
	updaterMark   = "action=getUpdaterCss"
	matomoMark    = `name="generator" content="Matomo`
)

// what tells pages of Matomo apart.
func what(body string) string {
	switch {
	case strings.Contains(body, installerMark) && !strings.Contains(body, installedMark):
		return "installer"
	case strings.Contains(body, installedMark):
		return installedMark
	case strings.Contains(body, updaterMark):
		return "updater"
	case strings.Contains(body, `name="form_password"`) || strings.Contains(body, `id="login_form`):
		return "login page"
	case strings.Contains(body, matomoMark):
		return "page of Matomo"
	}
	return ""
}

func page(r reply) (facts.Verdict, string) {
	verdict, _ := byStatus(r)
	return verdict, what(r.body)
}

// installer is open when it shows a step of itself.
func installer(r reply) (facts.Verdict, string) {
	verdict, sign := page(r)
	if sign == "installer" {
		return facts.Leaked, sign
	}
	return verdict, sign
}

// tracker ran when it answers 400 itself: a hit lacked what it needs.
func tracker(r reply) (facts.Verdict, string) {
	verdict, _ := byStatus(r)
	ours := strings.Contains(r.body, "atomo") || r.mediaType() == "image/gif"
	if ours && r.status == http.StatusBadRequest {
		return facts.Served, "the tracker's own refusal"
	}
	return verdict, what(r.body)
}

func script(r reply) (facts.Verdict, string) {
	verdict, _ := byStatus(r)
	if verdict == facts.Served && r.mediaType() == "text/html" {
		return facts.Refused, "a page instead of the script"
	}
	return verdict, ""
}

// leads tells whereto plain HTTP leads.
func leads(r reply) (facts.Verdict, string) {
	verdict, _ := byStatus(r)
	if verdict == facts.Redirected {
		target, err := url.Parse(r.header.Get("Location"))
		if err != nil {
			return verdict, ""
		}
		return verdict, "to " + target.Scheme + "://" + target.Host
	}
	return verdict, what(r.body)
}

func listing(r reply) (facts.Verdict, string) {
	verdict, _ := byStatus(r)
	if verdict == facts.Served && strings.Contains(r.body, "Index of /") {
		return facts.Leaked, "Index of"
	}
	if verdict == facts.Served {
		// An entry point, or a page that hides that there is nothing.
		return facts.Refused, "no listing"
	}
	return verdict, ""
}

var apiVersion = regexp.MustCompile(`"value"\s*:\s*"(\d+\.[0-9A-Za-z.-]+)"`)

// api gives its errors with status 200, too.
func api(r reply) (facts.Verdict, string) {
	verdict, _ := byStatus(r)
	switch {
	case strings.Contains(r.body, `"result":"error"`):
		return facts.Refused, "an error of the API"
	case verdict != facts.Served:
		return verdict, ""
	case apiVersion.MatchString(r.body):
		return facts.Leaked, "version " + apiVersion.FindStringSubmatch(r.body)[1]
	case what(r.body) != "":
		return facts.Refused, what(r.body)
	}
	return verdict, fmt.Sprintf("%d bytes of %s", len(r.body), r.mediaType())
}

// returns tells whether what only the client claims comes back.
func returns(claimed string) judgement {
	return func(r reply) (facts.Verdict, string) {
		for name, values := range r.header {
			for _, value := range values {
				if strings.Contains(value, claimed) {
					return facts.Leaked, claimed + " came back in " + name
				}
			}
		}
		if strings.Contains(r.body, claimed) {
			return facts.Leaked, claimed + " came back in the page"
		}
		verdict, _ := byStatus(r)
		return verdict, ""
	}
}

var (
	contacts = regexp.MustCompile(`(?im)^contact:`)
	expires  = regexp.MustCompile(`(?im)^expires:\s*(\S{1,40})`)
)

// contact reads a security.txt (RFC 9116).
func contact(r reply) (facts.Verdict, string) {
	verdict, _ := byStatus(r)
	if verdict != facts.Served {
		return verdict, ""
	}
	if !contacts.MatchString(r.body) {
		return facts.Refused, "no Contact: in it"
	}
	if match := expires.FindStringSubmatch(r.body); match != nil {
		return verdict, "Expires: " + match[1]
	}
	return verdict, "Contact:"
}

// status tells a status page from a page that hides that there is none.
func status(r reply) (facts.Verdict, string) {
	verdict, _ := byStatus(r)
	if verdict != facts.Served {
		return verdict, ""
	}
	for _, mark := range []string{"Apache Server Status", "Active connections:", "accepted conn:", "start since:"} {
		if strings.Contains(r.body, mark) {
			return facts.Leaked, mark
		}
	}
	if r.mediaType() == "text/plain" && strings.HasPrefix(strings.TrimSpace(r.body), "pong") {
		return facts.Leaked, "pong"
	}
	return facts.Refused, "no status page"
}

// privateMarks are in files that are nobody's business.
var privateMarks = []string{"[database]", "trusted_hosts[]", "<?php", "repositoryformatversion", "ref: refs/", "CREATE TABLE", "INSERT INTO", "DB_PASSWORD"}

// hidden judges a path that must not be there: by what comes back, and not by
// its status alone.
func hidden(r reply) (facts.Verdict, string) {
	runs := isScript(r.path)
	for _, mark := range privateMarks {
		// A page of Matomo may explain its own settings to whom it refuses.
		if strings.Contains(r.body, mark) && what(r.body) == "" && (r.status < 300 || mark == "[database]" || mark == "<?php") {
			return facts.Leaked, mark
		}
	}
	verdict, _ := byStatus(r)
	behind := strings.Contains(r.path, "/index.php/")
	fromMatomo := what(r.body) != "" || r.header.Get("X-Matomo-Request-Id") != ""
	switch {
	case behind && fromMatomo && verdict != facts.Refused:
		return facts.Executed, "index.php, with more behind its name"
	case fromMatomo && verdict == facts.Served:
		return facts.Refused, "a page of Matomo in its place"
	case runs && r.status == http.StatusInternalServerError:
		sign := "status 500"
		if strings.Contains(r.body, "Fatal error") || strings.Contains(r.body, "Uncaught ") {
			sign = "Fatal error"
		}
		return facts.Executed, sign
	case verdict != facts.Served:
		return verdict, ""
	case runs:
		body := strings.TrimSpace(r.body)
		switch {
		case body == "":
			return facts.Executed, "an empty page"
		case len(body) <= 3 && strings.HasPrefix(body, ";"):
			return facts.Executed, ";"
		}
		return facts.Executed, fmt.Sprintf("%d bytes of %s", len(r.body), r.mediaType())
	case r.body == "":
		return facts.Served, "empty"
	}
	size := fmt.Sprintf("%d bytes", len(r.body))
	if r.truncated {
		size = "more than " + size
	}
	return facts.Leaked, strings.TrimSpace(size + " of " + r.mediaType())
}

var (
	loads    = regexp.MustCompile(`(?i)<(?:script|link|img|iframe|source|video|audio|object|embed)\b[^>]*?\s(?:src|href|data)\s*=\s*["']?\s*([^"'\s>]+)`)
	oneWords = regexp.MustCompile(`(?i)<link\b[^>]*\brel\s*=\s*["']?(?:canonical|alternate|author|license|help|next|prev)\b[^>]*>`)
)

// origins lists the other hosts that a page loads from.
func origins(body, own string) []string {
	var found []string
	for _, match := range loads.FindAllStringSubmatch(oneWords.ReplaceAllString(body, ""), -1) {
		target, err := url.Parse(strings.ReplaceAll(match[1], "&amp;", "&"))
		if err != nil || target.Host == "" || strings.EqualFold(target.Hostname(), own) || slices.Contains(found, target.Hostname()) {
			continue
		}
		found = append(found, target.Hostname())
	}
	slices.Sort(found)
	return found
}

// redactCookies takes the values out of cookies and leaves their attributes.
func redactCookies(values []string) []string {
	var shown []string
	for _, value := range values {
		pair, attributes, _ := strings.Cut(value, ";")
		name, content, _ := strings.Cut(pair, "=")
		if content != "" {
			content = "[redacted]"
		}
		shown = append(shown, strings.TrimSuffix(strings.TrimSpace(name)+"="+content+";"+attributes, ";"))
	}
	return shown
}
