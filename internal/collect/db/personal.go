package db

import (
	"cmp"
	"database/sql"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/mariadb"
)

// patterns are kinds of personal data and secrets that sites put where Matomo
// records them, in the order in which they are looked for.
var patterns = []struct {
	kind  string
	shape *regexp.Regexp
}{
	{"password", regexp.MustCompile(`(?i)(?:^|[?&;#/])((?:password|passwd|passwort|kennwort|pwd|pass)=)[^&#\s]{3,}`)},
	{"token", regexp.MustCompile(`(?i)(?:^|[?&;#/])((?:token_auth|token|[a-z]+_token|api_?key|session_?id|phpsessid|jsessionid|jwt|secret|signature)=)[^&#\s]{8,}`)},
	{"token", regexp.MustCompile(`()\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}`)},
	{"phone", regexp.MustCompile(`(?i)(?:^|[?&;#/])((?:phone|telephone|telefon|tel|mobile|mobil|handy)[a-z_]{0,8}=)(?:\+|%2B)?[0-9](?:[0-9 ()/+-]|%20){6,}`)},
	{"e-mail", regexp.MustCompile(`(?i)()[a-z0-9._%+-]{1,64}(?:@|%40)[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){0,5}\.([a-z]{2,24})\b`)},
}

// notDomains end names of files that look like addresses ("logo@2x.png").
var notDomains = []string{"png", "jpg", "jpeg", "gif", "svg", "webp", "avif", "ico", "css", "js", "html", "htm", "php", "pdf", "mp", "json", "xml"}

// whereOf names a type of log_action (core/Tracker/Action.php).
func whereOf(kind int64) string {
	switch {
	case kind == 1:
		return "page URL"
	case kind == 2:
		return "outlink"
	case kind == 3:
		return "download"
	case kind == 4:
		return "page title"
	case kind == 8:
		return "site search"
	case kind >= 10 && kind <= 12:
		return "event"
	case kind >= 13 && kind <= 16:
		return "content"
	}
	return "product"
}

// finding is what a text holds.
type finding struct{ kind, sample string }

// look lists the kinds of personal data in a text, each once, with what the
// text looks like when everything but the shape is taken out.
func look(text string) []finding {
	var all []finding
	for _, pattern := range patterns {
		match := pattern.shape.FindStringSubmatchIndex(text)
		if match == nil || slices.ContainsFunc(all, func(f finding) bool { return f.kind == pattern.kind }) {
			continue
		}
		value := text[match[0]:match[1]]
		if pattern.kind == "e-mail" {
			if slices.Contains(notDomains, strings.ToLower(text[match[4]:match[5]])) {
				continue
			}
			value = parameter(text[:match[0]]) + maskedAddress(value)
		} else {
			value = fmt.Sprintf("%s*** (%d characters)", text[match[2]:match[3]], match[1]-max(match[3], match[0]))
		}
		all = append(all, finding{pattern.kind, place(text, match[0]) + value})
	}
	return all
}

// maskedAddress keeps the first letter of each side: "a***@e***".
func maskedAddress(address string) string {
	if decoded, err := url.QueryUnescape(address); err == nil {
		address = decoded
	}
	local, domain, _ := strings.Cut(address, "@")
	return first(local) + "***@" + first(domain) + "***"
}

func first(text string) string {
	for _, r := range text {
		return string(r)
	}
	return ""
}

var (
	hostOfURL = regexp.MustCompile(`^(?:https?://)?([a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){1,5}(?::\d{1,5})?)[/?#]`)
	nameAtEnd = regexp.MustCompile(`[?&;#]([A-Za-z_-]{1,20}(?:\[\])?=)[^&=#?]*$`)
)

// place says where in a text something begins: the host of a URL. All else may
// be personal, too.
func place(text string, at int) string {
	before := ""
	if host := hostOfURL.FindStringSubmatchIndex(text); host != nil && host[3] <= at {
		before = text[host[2]:host[3]] + "/"
	}
	if at > 0 {
		before += "…"
	}
	return before
}

// parameter is the name of the parameter whose value begins at the end of a
// text; empty: it is none.
func parameter(before string) string {
	if name := nameAtEnd.FindStringSubmatch(before); name != nil {
		return name[1]
	}
	return ""
}

type personalKey struct{ kind, where string }

// readPersonal looks for personal data in what visitors' browsers sent: names
// of actions, referrers and custom dimensions.
func (r *reader) readPersonal() error {
	found := map[personalKey]*facts.Personal{}
	note := func(where, text string) {
		for _, f := range look(text) {
			key := personalKey{f.kind, where}
			if found[key] == nil {
				found[key] = &facts.Personal{Kind: f.kind, Where: where, Sample: f.sample}
			}
			found[key].Count++
		}
	}
	if err := r.readNames(note); err != nil {
		return err
	}
	if err := r.readColumns(note); err != nil {
		return err
	}
	for _, p := range found {
		r.rows.Personal = append(r.rows.Personal, *p)
	}
	slices.SortFunc(r.rows.Personal, func(a, b facts.Personal) int {
		return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Where, b.Where))
	})
	return nil
}

// suspicious is SQL for a column in which one of the patterns may be found.
const suspicious = "(%[1]s LIKE '%%@%%' OR %[1]s LIKE '%%\\%%40%%' OR %[1]s LIKE '%%eyJ%%' OR %[1]s REGEXP '(pass|passw[a-z]*|kennwort|pwd|token|token_auth|key|session_?id|sessid|jwt|secret|signature|phone|tel|telefon|mobile?|handy)[a-z_]{0,8}=')"

func (r *reader) readNames(note func(where, text string)) error {
	if !r.tables["log_action"] {
		return nil
	}
	names, err := r.sample("log_action", "idaction", "type, LEFT(name, 1000) AS name", "personal")
	if err != nil || names == "" {
		return err
	}
	_, err = r.ask("personal", "SELECT type, name FROM ("+names+") names WHERE "+fmt.Sprintf(suspicious, "name"), func(v []sql.NullString) {
		note(whereOf(number(v[0])), v[1].String)
	})
	return err
}

// readColumns looks at the columns of visits and actions whose text sites
// choose.
func (r *reader) readColumns(note func(where, text string)) error {
	keys := map[string]string{"log_visit": "idvisit", "log_link_visit_action": "idlink_va"}
	columns := map[string][]string{}
	if _, err := r.ask("personal", "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = "+mariadb.Quote(r.o.Schema)+
		" AND table_name IN ("+mariadb.Quote(r.o.Prefix+"log_visit")+", "+mariadb.Quote(r.o.Prefix+"log_link_visit_action")+")"+
		" AND (column_name LIKE 'custom\\_dimension\\_%' OR column_name = 'referer_url')", func(v []sql.NullString) {
		table := strings.TrimPrefix(v[0].String, r.o.Prefix)
		columns[table] = append(columns[table], v[1].String)
	}); err != nil {
		return err
	}
	for _, table := range []string{"log_visit", "log_link_visit_action"} {
		if len(columns[table]) == 0 {
			continue
		}
		columns := columns[table][:min(len(columns[table]), 30)]
		quoted, conditions := make([]string, len(columns)), make([]string, len(columns))
		for i, column := range columns {
			quoted[i] = mariadb.Identifier(column)
			conditions[i] = fmt.Sprintf(suspicious, quoted[i])
		}
		if _, err := r.ask("personal", "SELECT * FROM "+r.newest(table, keys[table], strings.Join(quoted, ", "))+" newest WHERE "+strings.Join(conditions, " OR "), func(v []sql.NullString) {
			for i, value := range v {
				where := "dimension"
				if columns[i] == "referer_url" {
					where = "referrer"
				}
				note(where, value.String)
			}
		}); err != nil {
			return err
		}
	}
	return nil
}
