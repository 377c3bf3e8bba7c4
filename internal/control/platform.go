package control

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// Steps that render whole files, which many controls of the platform lead to.
var (
	phpSteps      = []string{"file /etc/rocca/php/*.ini", "file /etc/rocca/php/*.conf"}
	frontSteps    = []string{"file /etc/nginx/sites-available/matomo.conf", "file /etc/nginx/snippets/matomo-fastcgi.conf", "file /etc/apache2/sites-available/matomo.conf"}
	databaseSteps = []string{"file /etc/mysql/mariadb.conf.d/90-rocca.cnf"}
)

const oneDay = 24 * time.Hour

// at is evidence about a setting: where it is, what is there and what should be.
func at(s facts.Setting, have, want string) model.Evidence {
	e := model.Evidence{Subject: s.From, Have: have, Want: want}
	if i := strings.LastIndexByte(s.From, ':'); i > 0 {
		if line, err := strconv.Atoi(s.From[i+1:]); err == nil {
			e.Subject, e.Line = s.From[:i], line
		}
	}
	return e
}

// --- PHP ---

// phpDemand is what a directive of PHP must be.
type phpDemand struct {
	directive string
	otherwise string // PHP's default
	want      string // as it would be written
	good      func(value string) bool
}

// ofPools judges every pool that runs Matomo.
func ofPools(judge func(v *View, pool facts.Pool) []model.Evidence) func(*View) Verdict {
	return func(v *View) Verdict {
		pools := v.MatomoPools()
		if len(pools) == 0 {
			return unknown(noPool)
		}
		var found []model.Evidence
		for _, pool := range pools {
			found = append(found, judge(v, pool)...)
		}
		return conclude(found, nil)
	}
}

// demanded judges the directives of a pool.
func demanded(pool facts.Pool, demands []phpDemand) []model.Evidence {
	var found []model.Evidence
	for _, d := range demands {
		if !d.good(pool.Value(d.directive, d.otherwise)) {
			found = append(found, directive(pool, d.directive, d.otherwise, d.want))
		}
	}
	return found
}

// directive is evidence about one directive of a pool.
func directive(pool facts.Pool, name, otherwise, want string) model.Evidence {
	want = strings.TrimSpace(name + " = " + want)
	setting, set := pool.Settings[name]
	if !set || setting.From == "" {
		have := fmt.Sprintf("pool %s: %s is not set, so it is %q", pool.Name, name, cmp.Or(setting.Value, otherwise))
		return model.Evidence{Subject: pool.File, Line: pool.Line, Have: have, Want: want}
	}
	return at(setting, strings.TrimSpace(fmt.Sprintf("pool %s: %s = %s", pool.Name, name, setting.Value)), want)
}

// poolChanges are the lines that pools of others lack.
func poolChanges(demands []phpDemand) func(*View) []Change {
	return func(v *View) []Change {
		var changes []Change
		for _, pool := range v.MatomoPools() {
			for _, d := range demands {
				if d.good(pool.Value(d.directive, d.otherwise)) || pool.SAPI != "fpm" {
					continue
				}
				line := poolLine(d.directive, d.want)
				insert := fmt.Sprintf(`/^\[%s\]/a %s`, regexp.QuoteMeta(pool.Name), line)
				changes = append(changes, Change{
					Sentence: fmt.Sprintf("set %s in pool %s", line, pool.Name),
					Command:  fmt.Sprintf("sed -i %s %s && systemctl reload %s", shellWord(insert), shellWord(pool.File), shellWord(pool.Master)),
				})
			}
		}
		return changes
	}
}

// poolLine is a directive as a pool's file has it: those of PHP in brackets,
// those of the pool itself as they are.
func poolLine(name, value string) string {
	if name == "security.limit_extensions" || name == "clear_env" {
		return name + " = " + value
	}
	return "php_admin_value[" + name + "] = " + value
}

// phpOn reads a boolean as PHP does: display_errors may name a stream, too.
func phpOn(value string) bool {
	value = strings.ToLower(strings.TrimSpace(value))
	if number, err := strconv.Atoi(value); err == nil {
		return number != 0
	}
	return slices.Contains([]string{"on", "yes", "true", "stdout", "stderr"}, value)
}

func phpOff(value string) bool { return !phpOn(value) }

// phpNone tells an empty value, or the word that stands for it.
func phpNone(value string) bool {
	value = strings.Trim(strings.ToLower(strings.TrimSpace(value)), `"'`)
	return value == "" || value == "none"
}

// phpBytes reads a size such as "512M"; what has no limit is the greatest number.
func phpBytes(value string) int64 {
	value = strings.ToUpper(strings.TrimSpace(value))
	if value == "" {
		return 0
	}
	shift := map[byte]int{'K': 10, 'M': 20, 'G': 30}[value[len(value)-1]]
	number, err := strconv.ParseInt(strings.TrimRight(value, "KMG"), 10, 64)
	if err != nil || number < 0 || number > math.MaxInt64>>shift {
		return math.MaxInt64
	}
	return number << shift
}

// phpList splits a list of names, such as disable_functions.
func phpList(value string) []string {
	return strings.FieldsFunc(strings.ToLower(value), func(r rune) bool { return r == ',' || r == ' ' || r == '\t' })
}

// --- the front ---

// named is an answer with the name of its request.
type named struct {
	name string
	facts.Answer
}

// answers are those to the requests of these names. What was not asked, or had
// no answer to judge, is told in unseen.
func answers(v *View, names ...string) (found []named, unseen []string) {
	var missing []string
	for _, name := range names {
		answer, asked := v.Answers[name]
		switch {
		case !asked:
			missing = append(missing, name)
		case answer.Verdict == "" && answer.Status == 0:
			missing = append(missing, name+" ("+cmp.Or(answer.Problem, "no answer")+")")
		default:
			found = append(found, named{name, answer})
		}
	}
	if len(missing) > 0 {
		unseen = []string{"the front was not asked, or did not answer: " + strings.Join(missing, ", ")}
	}
	return found, unseen
}

// elsewhere tells whether the owner declared that another machine has a role.
func elsewhere(v *View, role string) bool {
	return len(v.Declared.Roles) > 0 && !slices.Contains(v.Declared.Roles, role)
}

// pages are answers that hold a page or file. A front that lets only some
// networks in refuses the audit, too: then nothing is to be told of that page.
func pages(v *View, names ...string) (found []named, unseen []string) {
	found, unseen = answers(v, names...)
	found = slices.DeleteFunc(found, func(a named) bool { return a.Verdict == facts.Refused || a.Verdict == facts.Redirected })
	if len(found) == 0 && len(unseen) == 0 {
		unseen = []string{"the front refused " + strings.Join(names, ", ") + " to the audit, so there is no page to look at"}
	}
	return found, unseen
}

// privatePaths are answers about paths that must not be there.
func privatePaths(v *View) []named {
	var found []named
	for _, name := range slices.Sorted(maps.Keys(v.Answers)) {
		if strings.HasPrefix(name, "path:") {
			found = append(found, named{name, v.Answers[name]})
		}
	}
	return found
}

// header returns the values of a header, whatever the case of its name.
func header(a facts.Answer, name string) []string {
	for key, values := range a.Header {
		if strings.EqualFold(key, name) {
			return values
		}
	}
	return nil
}

// said is evidence about an answer.
func said(a facts.Answer, have, want string) model.Evidence {
	subject := strings.TrimSpace(a.Method + " " + a.URL)
	if a.Host != "" {
		subject += " (Host " + a.Host + ")"
	}
	return model.Evidence{Subject: subject, Have: have, Want: want}
}

// outcome tells an answer in a few words.
func outcome(a facts.Answer) string {
	words := string(a.Verdict)
	if a.Status != 0 {
		words += fmt.Sprintf(", status %d", a.Status)
	}
	if a.Sign != "" {
		words += ": " + a.Sign
	}
	return strings.TrimPrefix(words, ", ")
}

// nginxLocation is the location that nginx picks for a path: an exact one, else
// the first pattern that matches unless the longest prefix forbids it, else that
// prefix. It is not certain when there is none, and when a pattern is of a kind
// that Go has not: that one is then taken to match.
func nginxLocation(site facts.Site, path string) (chosen facts.Location, certain bool) {
	longest, final := -1, false
	for _, location := range site.Locations {
		if location.Kind != "location" {
			continue
		}
		operator, match := locationMatch(location)
		switch operator {
		case "=":
			if path == match {
				return location, true
			}
		case "", "^~":
			if strings.HasPrefix(path, match) && len(match) > longest {
				chosen, longest, final = location, len(match), operator == "^~"
			}
		}
	}
	if final {
		return chosen, true
	}
	for _, location := range site.Locations {
		operator, match := locationMatch(location)
		if location.Kind != "location" || operator != "~" && operator != "~*" {
			continue
		}
		if operator == "~*" {
			match = "(?i)" + match
		}
		pattern, err := regexp.Compile(match)
		if err != nil {
			return location, false
		}
		if pattern.MatchString(path) {
			return location, true
		}
	}
	return chosen, longest >= 0
}

// locationMatch splits what follows "location" in nginx.
func locationMatch(location facts.Location) (operator, match string) {
	match = strings.TrimSpace(location.Match)
	for _, candidate := range []string{"=", "^~", "~*", "~", "@"} {
		if rest, found := strings.CutPrefix(match, candidate); found {
			operator, match = candidate, strings.TrimSpace(rest)
			break
		}
	}
	return operator, strings.Trim(match, `"'`)
}

// denies tells whether a location of nginx refuses everybody.
func denies(location facts.Location) bool {
	for _, s := range location.Directives["deny"] {
		if strings.TrimSpace(s.Value) == "all" {
			return true
		}
	}
	for _, s := range location.Directives["return"] {
		if slices.Contains([]string{"403", "404", "410", "444"}, strings.TrimSpace(s.Value)) {
			return true
		}
	}
	return false
}

// noSite is the reason of a control about Matomo's sites that found none.
const noSite = "no site of the front was found that serves Matomo"

// ofSites judges every site of Matomo that answers more than a return, each
// front in its own way. The reason with another front has %s for its name.
func ofSites(nginx, apache func(v *View, site facts.Site) []model.Evidence, otherwise string) func(*View) Verdict {
	return func(v *View) Verdict {
		sites := v.MatomoSites()
		if len(sites) == 0 {
			return unknown(noSite)
		}
		var found []model.Evidence
		for _, site := range sites {
			if redirects(site) {
				continue
			}
			switch v.Front.Program {
			case "nginx":
				found = append(found, nginx(v, site)...)
			case "apache2":
				found = append(found, apache(v, site)...)
			default:
				return unknown(fmt.Sprintf(otherwise, v.Front.Program))
			}
		}
		return conclude(found, nil)
	}
}

// redirects tells whether a site of nginx answers all with a return.
func redirects(site facts.Site) bool {
	return len(site.Directives["return"]) > 0 && !slices.ContainsFunc(site.Locations, func(l facts.Location) bool { return l.Kind == "location" })
}

// tlsSites are the sites of Matomo that speak TLS.
func tlsSites(v *View) []facts.Site {
	return slices.DeleteFunc(v.MatomoSites(), func(site facts.Site) bool {
		return !slices.ContainsFunc(site.Listens, func(l facts.Listen) bool { return l.TLS })
	})
}

// siteSubject names a site in evidence.
func siteSubject(site facts.Site, have, want string) model.Evidence {
	return model.Evidence{Subject: site.File, Line: site.Line, Have: have, Want: want}
}

// --- what the owner declares ---

// recorded judges what only the owner can vouch for: there is a record of it,
// no older than a year.
func recorded(v *View, name, what string) []model.Evidence {
	record, there := v.Declared.Records[name]
	want := what + ", looked at in the last twelve months"
	switch {
	case !there || record.Date.IsZero():
		return []model.Evidence{{Subject: "record " + name, Have: "none in rocca.yaml", Want: want}}
	case v.Observed.Sub(record.Date) > 365*oneDay:
		return []model.Evidence{{Subject: "record " + name, Have: "of " + date(record.Date), Want: want}}
	}
	return nil
}

// documented is a record that must also name a document.
func documented(v *View, name, what string) []model.Evidence {
	found := recorded(v, name, what)
	if record := v.Declared.Records[name]; len(found) == 0 && record.Document == "" {
		found = append(found, model.Evidence{Subject: "record " + name, Have: "names no document", Want: "where to find " + what})
	}
	return found
}

func date(t time.Time) string { return t.Format(time.DateOnly) }
