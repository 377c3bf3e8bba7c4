package report

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"rocca/internal/model"
)

// Style is how text is marked.
type Style struct {
	Colour bool
	Width  int  // columns to wrap at; 0: 100, which is the most
	All    bool // also what passes
}

// Plain is text without colours.
var Plain = Style{}

// evidenceShown is how many observations a finding shows as text.
const evidenceShown = 6

// maxWidth is the most columns that text takes: longer lines are hard to read.
const maxWidth = 100

// Text writes a report that is read in ten seconds: the index, what is worst,
// what helps most; then every finding with its evidence and fix.
func Text(w io.Writer, r model.Report, style Style) error {
	if style.Width == 0 || style.Width > maxWidth {
		style.Width = maxWidth
	}
	t := &text{Style: style}
	t.head(r)
	t.changes(r.Changes)
	t.checklist(r.Checklist)
	t.best(r)
	t.findings(r)
	t.unknown(with(r.Findings, model.Unknown))
	t.waived(with(r.Findings, model.Waived))
	if style.All {
		t.list("PASS", with(r.Findings, model.Pass))
		t.list("NOT APPLICABLE", with(r.Findings, model.NA))
	}
	t.line("")
	t.wrap("", "rocca explain ID tells more of a finding. With --format html -o report.html this is a page to look at.")
	_, err := w.Write(t.Bytes())
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

type text struct {
	Style
	bytes.Buffer
}

// Escape sequences of the severities (ECMA-48, SGR).
var colours = map[model.Severity]string{model.Critical: "1;31", model.High: "31", model.Medium: "33", model.Low: "36"}

func (t *text) colour(code, s string) string {
	if !t.Colour || code == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (t *text) line(s string) { t.WriteString(strings.TrimRight(s, " ") + "\n") }

func (t *text) heading(s string) {
	t.line("")
	t.line(t.colour("1", strings.ToUpper(s)))
}

// barWidth is how wide the bar of the index is.
const barWidth = 20

// head tells the report in ten seconds. docs/report.md tells of the index at
// length.
func (t *text) head(r model.Report) {
	t.wrap("", fmt.Sprintf("audit of %s, %s", r.Server, r.Observed.UTC().Format("2006-01-02 15:04 UTC")))
	t.wrap("", r.Subject)
	t.line("")
	t.wrap("  ", verdict(r))
	t.line("")
	filled := min(max(r.Summary.Index, 0), 100) * barWidth / 100
	bar := strings.Repeat("█", filled) + strings.Repeat("░", barWidth-filled)
	t.line(fmt.Sprintf("  index      %s of 100  %s", t.colour("1", strconv.Itoa(r.Summary.Index)), bar))
	t.wrap("             ", "the share that holds, by weight: critical 10, high 5, medium 2, low 1")
	switch {
	case r.Summary.Failed[model.Critical.String()] > 0:
		t.wrap("             ", "at most 49 while a critical finding is open")
	case r.Summary.Failed[model.High.String()] > 0:
		t.wrap("             ", "at most 79 while a high finding is open")
	}
	var parts []string
	for s := model.Critical; s >= model.Low; s-- {
		part := fmt.Sprintf("%d %s", r.Summary.Failed[s.String()], s)
		if r.Summary.Failed[s.String()] > 0 {
			part = t.colour(colours[s], part)
		}
		parts = append(parts, part)
	}
	t.flow("  findings   ", parts, "   ")
	var critical []string
	for _, f := range with(r.Findings, model.Fail) {
		if f.Severity == model.Critical {
			critical = append(critical, Clean(f.ID))
		}
	}
	if len(critical) > 0 {
		t.flow("  critical   ", critical, " ")
	}
	parts = nil
	for _, s := range statuses {
		parts = append(parts, fmt.Sprintf("%d %s", r.Summary.Count[s.Status], s.Words))
	}
	t.flow("  controls   ", parts, "   ")
	if proven := provenCount(r); proven > 0 {
		t.wrap("  proven     ", fmt.Sprintf("%d of those that pass, by attacks that held (rocca prove)", proven))
	}
}

func (t *text) changes(c *model.Changes) {
	if c == nil {
		return
	}
	t.heading("since " + c.Since.UTC().Format("2006-01-02 15:04 UTC"))
	t.line(fmt.Sprintf("  index  %+d", c.Index))
	for _, part := range []struct {
		name string
		ids  []string
	}{{"new", c.New}, {"fixed", c.Fixed}} {
		if len(part.ids) == 0 {
			part.ids = []string{"nothing"}
		}
		t.wrap(fmt.Sprintf("  %-5s  ", part.name), strings.Join(part.ids, " "))
	}
}

// checklist shows each row with what it rests on.
func (t *text) checklist(rows []model.Row) {
	if len(rows) == 0 {
		return
	}
	t.heading("the checklist of the AWS guide")
	for _, row := range rows {
		t.wrap(fmt.Sprintf("  %2d  ", row.Number)+t.colour(statusColours[row.Status], fmt.Sprintf("%-8s", row.Status))+"  ", row.Text+"  ["+Clean(strings.Join(row.Controls, " "))+"]")
		if row.Reason != "" {
			t.wrap("                - ", row.Reason)
		}
		for i, e := range row.Evidence {
			if i == evidenceShown {
				t.line(fmt.Sprintf("                and %d more", len(row.Evidence)-i))
				break
			}
			t.wrap("                - ", Observation(e))
		}
	}
}

// Escape sequences of the statuses.
var statusColours = map[model.Status]string{model.Fail: "31", model.Unknown: "33", model.Pass: "32"}

func (t *text) best(r model.Report) {
	if len(r.Summary.Best) == 0 {
		return
	}
	t.heading("what helps most: make this true")
	for i, f := range named(r.Findings, r.Summary.Best) {
		t.wrap(fmt.Sprintf("  %d  %-7s ", i+1, Clean(f.ID))+t.severity(f)+"  ", f.Title)
		t.wrap("                       fix: ", f.Fix)
	}
}

// severity is a severity in its column.
func (t *text) severity(f model.Finding) string {
	return t.colour(colours[f.Severity], fmt.Sprintf("%-8s", f.Severity))
}

func (t *text) findings(r model.Report) {
	for _, area := range byArea(with(r.Findings, model.Fail)) {
		t.heading(area.Name)
		for _, f := range byStatus(area.Findings) {
			t.finding(f)
		}
	}
}

func (t *text) finding(f model.Finding) {
	t.wrap(fmt.Sprintf("  %-7s ", Clean(f.ID))+t.severity(f)+"  ", "not true: "+f.Title)
	for i, e := range f.Evidence {
		if i == evidenceShown {
			t.line(fmt.Sprintf("          and %d more", len(f.Evidence)-i))
			break
		}
		t.wrap("          - ", Observation(e))
	}
	if at := provenAs(f, model.Fell); at != nil {
		t.wrap("          - ", fmt.Sprintf("attack %s succeeded on %s", at.Attack, at.At.UTC().Format("2006-01-02")))
	}
	if f.Fix != "" {
		lead := "fix"
		if f.FixKind == model.FixGuided {
			lead = "your decision"
		}
		t.wrap("          "+lead+": ", f.Fix)
	}
	for i, c := range f.Commands {
		if i == evidenceShown {
			t.line(fmt.Sprintf("          and %d more", len(f.Commands)-i))
			break
		}
		t.wrap("          # ", c.Does)
		t.line("          " + Clean(c.Line)) // whole, to be copied
	}
}

// Observation tells one piece of evidence in a line.
func Observation(e model.Evidence) string {
	line := e.Subject
	if e.Line > 0 {
		line += fmt.Sprintf(":%d", e.Line)
	}
	if e.Have != "" {
		line += ": " + e.Have
	}
	if e.Want != "" {
		line += " (should be: " + e.Want + ")"
	}
	if e.Waived {
		line += " (waived)"
	}
	return Clean(line)
}

// Clean replaces what could steer a terminal or turn the direction of writing:
// names of files and values of settings are others' text.
func Clean(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) || r == utf8.RuneError {
			return '?'
		}
		return r
	}, s)
}

// cleanLines is clean for a text of several lines.
func cleanLines(s string) []string {
	var lines []string
	for line := range strings.Lines(s) {
		lines = append(lines, Clean(strings.TrimRight(line, "\r\n")))
	}
	return lines
}

func (t *text) unknown(findings []model.Finding) {
	if len(findings) == 0 {
		return
	}
	t.heading("could not be seen")
	for _, f := range findings {
		t.wrap(fmt.Sprintf("  %-7s %-8s  ", Clean(f.ID), f.Severity), f.Title+": "+f.Reason)
	}
}

func (t *text) waived(findings []model.Finding) {
	if len(findings) == 0 {
		return
	}
	t.heading("waived")
	for _, f := range findings {
		reason := ""
		if f.Waiver != nil {
			reason = ": " + justification(*f.Waiver)
		}
		t.wrap(fmt.Sprintf("  %-7s %-8s  ", Clean(f.ID), f.Severity), f.Title+reason)
	}
}

// justification tells a waiver in a line.
func justification(w model.Waiver) string {
	return Clean(fmt.Sprintf("%s (%s, until %s)", w.Reason, w.Owner, w.Until.Format("2006-01-02")))
}

func (t *text) list(title string, findings []model.Finding) {
	if len(findings) == 0 {
		return
	}
	t.heading(title)
	for _, f := range findings {
		sentence := f.Title
		if f.Reason != "" {
			sentence += ": " + f.Reason
		}
		if at := provenAs(f, model.Held); at != nil && f.Status == model.Pass {
			sentence += fmt.Sprintf(" (proven: attack %s held on %s)", at.Attack, at.At.UTC().Format("2006-01-02"))
		}
		t.wrap(fmt.Sprintf("  %-7s ", Clean(f.ID)), sentence)
	}
}

// wrap writes words, which may be others', after a lead.
func (t *text) wrap(lead, words string) {
	var parts []string
	for _, word := range strings.Fields(words) {
		parts = append(parts, Clean(word))
	}
	t.flow(lead, parts, " ")
}

// flow writes parts after a lead, with further lines below the first part. A
// part is only broken when it is longer than a line.
func (t *text) flow(lead string, parts []string, gap string) {
	indent := strings.Repeat(" ", min(printed(lead), t.Width/2)) // a name may be longer than a line
	line, empty := lead, true
	for _, part := range parts {
		if !empty && printed(line+gap+part) > t.Width {
			t.line(line)
			line, empty = indent, true
		}
		if !empty {
			line += gap
		}
		line += part
		empty = false
		for printed(line) > t.Width && !strings.Contains(line, "\x1b") {
			runes := []rune(line)
			t.line(string(runes[:t.Width]))
			line = indent + string(runes[t.Width:])
		}
	}
	t.line(line)
}

// printed is how many columns a text takes, without escape sequences.
func printed(s string) int {
	columns, escape := 0, false
	for _, r := range s {
		switch {
		case r == '\x1b':
			escape = true
		case escape:
			escape = r != 'm'
		default:
			columns++
		}
	}
	return columns
}
