package report

import (
	"cmp"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strconv"
	"strings"

	"rocca/internal/model"
	"rocca/internal/picture"
)

//go:embed html
var assets embed.FS

// page is what the templates show.
type page struct {
	Report     model.Report
	Policy     string
	Style      template.CSS
	Script     template.JS
	Verdict    string // in a sentence
	Grade      string // "poor", "fair", "good"
	Caps       []int  // of the index, while findings are open
	IndexRule  string
	Open       []tally // findings that fail, by severity
	Severities []tally // all controls, by severity
	Statuses   []tally
	Best       []model.Finding
	Drawing    template.HTML
	Sentences  []picture.Sentence
	Holes      int // ways that should not be possible
	Groups     []group
	Schemes    []scheme
}

// tally is how many there are of a kind.
type tally struct {
	Name, Words string
	Count       int
	From        int  // how many there are of the kinds before
	Shown       bool // until a filter says otherwise
}

// indexRule says what model.Summarise computes.
const indexRule = "Of the weight of all controls that could be decided (critical 10, high 5, medium 2, low 1), the share that passes or is waived, from 0 to 100. " +
	"It is at most 49 while a critical finding is open, and at most 79 while a high one is: a server with one open door is not 95 % closed."

// HTML writes one self-contained page. Its policy lets it run its own style and
// script, known by their hashes, and load nothing.
func HTML(w io.Writer, r model.Report) error {
	templates, err := template.New("page.tmpl").Funcs(functions).ParseFS(assets, "html/*.tmpl")
	if err != nil {
		return fmt.Errorf("write the report as HTML: %w", err)
	}
	p, err := newPage(r)
	if err != nil {
		return fmt.Errorf("write the report as HTML: %w", err)
	}
	if err := templates.Execute(w, p); err != nil {
		return fmt.Errorf("write the report as HTML: %w", err)
	}
	return nil
}

func newPage(r model.Report) (*page, error) {
	style, err := assets.ReadFile("html/page.css")
	if err != nil {
		return nil, err
	}
	style = append(style, picture.Stylesheet...)
	script, err := assets.ReadFile("html/page.js")
	if err != nil {
		return nil, err
	}
	r.Findings = slices.Clone(r.Findings)
	for i := range r.Findings {
		f := &r.Findings[i]
		f.ID, f.Area, f.Status = Clean(f.ID), Clean(f.Area), model.Status(Clean(string(f.Status))) // they name elements
	}
	p := &page{
		Report: r, IndexRule: indexRule, Caps: []int{49, 79}, Verdict: verdict(r), Grade: grade(r.Summary.Index),
		Style: template.CSS(style), Script: template.JS(script), //nolint:gosec // both are rocca's own files
		Policy: "default-src 'none'; style-src " + source(style) + "; script-src " + source(script) + "; img-src data:; base-uri 'none'; form-action 'none'",
		Groups: byArea(r.Findings), Schemes: schemes(r.Findings),
	}
	p.Best = p.Named(r.Summary.Best)
	for i := range p.Groups {
		p.Groups[i].Findings = byStatus(p.Groups[i].Findings)
	}
	for s := model.Critical; s >= model.Low; s-- {
		all := 0
		for _, f := range r.Findings {
			if f.Severity == s {
				all++
			}
		}
		p.Open = append(p.Open, tally{Name: s.String(), Count: r.Summary.Failed[s.String()]})
		p.Severities = append(p.Severities, tally{Name: s.String(), Count: all})
	}
	from := 0
	for _, s := range statuses {
		count := len(with(r.Findings, s.Status))
		p.Statuses = append(p.Statuses, tally{Name: string(s.Status), Words: s.Words, Count: count, From: from, Shown: s.Open})
		from += count
	}
	if r.Picture != nil && len(r.Picture.Nodes) > 0 {
		p.Drawing = template.HTML(picture.Inline(*r.Picture)) //nolint:gosec // it escapes all names
		p.Sentences = picture.Sentences(*r.Picture)
		for _, s := range p.Sentences {
			if s.Bad {
				p.Holes++
			}
		}
	}
	return p, nil
}

// source names an inline block by its hash (CSP level 2).
func source(block []byte) string {
	sum := sha256.Sum256(block)
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// Named are the findings of some ids, in that order.
func (p *page) Named(ids []string) []model.Finding { return named(p.Report.Findings, ids) }

// status is how a status is shown.
type status struct {
	Status      model.Status
	Sign, Words string
	Open        bool // shows something to look at
}

// statuses in the order of a page.
var statuses = []status{
	{model.Fail, "✕", "fail", true},
	{model.Unknown, "?", "unknown", true},
	{model.Waived, "~", "waived", true},
	{model.Pass, "✓", "pass", false},
	{model.NA, "–", "not applicable", false},
}

// shown is how a status is shown, also one that this format does not know.
func shown(s model.Status) status {
	if at := rank(s); at < len(statuses) {
		return statuses[at]
	}
	return status{Status: s, Sign: "?", Words: string(s)}
}

func rank(s model.Status) int {
	at := slices.IndexFunc(statuses, func(known status) bool { return known.Status == s })
	if at < 0 {
		return len(statuses)
	}
	return at
}

// byStatus sorts findings: what fails first, and the gravest of that.
func byStatus(findings []model.Finding) []model.Finding {
	return slices.SortedStableFunc(slices.Values(findings), func(a, b model.Finding) int {
		return cmp.Or(cmp.Compare(rank(a.Status), rank(b.Status)), cmp.Compare(b.Severity, a.Severity))
	})
}

func grade(index int) string {
	switch {
	case index < 50:
		return "poor"
	case index < 80:
		return "fair"
	}
	return "good"
}

// functions are what the templates call. clean is for all text of others.
var functions = template.FuncMap{
	"clean":     Clean,
	"anchor":    anchor,
	"breaking":  breaking,
	"hops":      hops,
	"sentence":  sentence,
	"fix":       func(fix string) string { return strings.Join(cleanLines(fix), "\n") },
	"sign":      func(s model.Status) string { return shown(s).Sign },
	"words":     func(s model.Status) string { return shown(s).Words },
	"attacked":  attacked,
	"proof":     func(o model.Outcome) string { return outcomeOf(o).Words },
	"outcome":   func(o model.Outcome) string { return outcomeOf(o).Class },
	"automatic": func(f model.Finding) bool { return f.FixKind == model.FixAutomatic && f.Status == model.Fail },
	"verdict": func(s model.Status) string {
		switch s {
		case model.Fail, model.Waived:
			return "Not true:"
		case model.Unknown:
			return "Could not be seen:"
		case model.Pass, model.NA:
		}
		return ""
	},
	"fixTitle": func(kind model.FixKind) string {
		if kind == model.FixGuided {
			return "Fix, by your decision"
		}
		return "Fix"
	},
}

// hops are the parts of a way, "a -> b -> c", and else the text as it is.
func hops(have string) []string {
	if have == "" {
		return nil
	}
	return strings.Split(Clean(have), " -> ")
}

// breaking is text of others that may be broken after a slash: paths are long.
func breaking(text string) template.HTML {
	escaped := template.HTMLEscapeString(Clean(text))
	return template.HTML(strings.ReplaceAll(escaped, "/", "/<wbr>")) //nolint:gosec // escaped above
}

// sentence makes a reason begin and end as a sentence does.
func sentence(reason string) string {
	reason = Clean(reason)
	if reason == "" {
		return ""
	}
	return strings.ToUpper(reason[:1]) + strings.TrimSuffix(reason[1:], ".") + "."
}

// anchor is the id of the table of a scheme.
func anchor(scheme string) string {
	return "map-" + strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(scheme))
}

// scheme is a standard with the controls that check its points.
type scheme struct {
	Name, Title string
	Wide        bool // shown open
	Items       []point
	Held        int
}

// point is an item of a standard. Its state is that of its worst control.
type point struct {
	Item     string
	State    model.Status
	Findings []model.Finding
}

// titles of the schemes, in the order of the page.
var titles = []struct{ Name, Title string }{
	{"GDPR", "General Data Protection Regulation"},
	{"CIS Debian 12", "CIS Benchmark"},
	{"CIS NGINX", "CIS Benchmark"},
	{"CIS Apache", "CIS Benchmark"},
	{"CIS MariaDB", "CIS Benchmark"},
	{"ASVS 5.0", "OWASP Application Security Verification Standard"},
	{"dev-sec", "hardening baselines"},
	{"S1", "the security guide of a Matomo server on AWS, by statement"},
	{"S2", "the talk about hardening a Matomo server, by statement"},
	{"Matomo", "Matomo's own issues"},
	{"RFC", "Internet standards"},
}

// schemes turns the findings around: from each point of a standard to the
// controls that check it.
func schemes(findings []model.Finding) []scheme {
	var all []scheme
	for _, t := range titles {
		all = append(all, scheme{Name: t.Name, Title: t.Title, Wide: t.Name == "GDPR"})
	}
	for _, f := range findings {
		for _, ref := range f.Maps {
			at := slices.IndexFunc(all, func(s scheme) bool { return s.Name == ref.Scheme })
			if at < 0 {
				at = len(all)
				all = append(all, scheme{Name: ref.Scheme})
			}
			all[at].add(ref.Item, f)
		}
	}
	all = slices.DeleteFunc(all, func(s scheme) bool { return len(s.Items) == 0 })
	for i := range all {
		slices.SortStableFunc(all[i].Items, func(a, b point) int { return natural(a.Item, b.Item) })
		for j := range all[i].Items {
			p := &all[i].Items[j]
			p.Findings = byStatus(p.Findings)
			p.State = p.Findings[0].Status
			if p.State == model.Pass || p.State == model.Waived {
				all[i].Held++
			}
		}
	}
	return all
}

func (s *scheme) add(item string, f model.Finding) {
	at := slices.IndexFunc(s.Items, func(p point) bool { return p.Item == item })
	if at < 0 {
		at = len(s.Items)
		s.Items = append(s.Items, point{Item: item})
	}
	s.Items[at].Findings = append(s.Items[at].Findings, f)
}

// natural compares texts with numbers in them as people count: 2 is before 10.
func natural(a, b string) int {
	for a != "" && b != "" {
		x, y := chunk(a), chunk(b)
		m, errX := strconv.Atoi(x)
		n, errY := strconv.Atoi(y)
		order := cmp.Compare(x, y)
		if errX == nil && errY == nil {
			order = cmp.Or(cmp.Compare(m, n), order)
		}
		if order != 0 {
			return order
		}
		a, b = a[len(x):], b[len(y):]
	}
	return cmp.Compare(len(a), len(b))
}

// chunk is the number or the other text that a text begins with.
func chunk(s string) string {
	digit := func(c byte) bool { return c >= '0' && c <= '9' }
	i := 1
	for i < len(s) && digit(s[i]) == digit(s[0]) {
		i++
	}
	return s[:i]
}
