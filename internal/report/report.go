// Package report writes the outcome of an audit in the formats that people and
// programs read. It knows findings and nothing else.
package report

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"rocca/internal/model"
)

// Version is that of the JSON format (docs/report.schema.json).
const Version = 1

// Formats lists the formats by name.
var Formats = []string{"text", "json", "sarif", "html", "junit"}

// Writer writes a report in one format.
type Writer func(io.Writer, model.Report) error

// In finds the writer of a format; the style is that of text. It is asked for
// before a server is looked at, so that a wrong name costs nothing.
func In(format string, style Style) (Writer, error) {
	switch format {
	case "text":
		return func(w io.Writer, r model.Report) error { return Text(w, r, style) }, nil
	case "json":
		return JSON, nil
	case "sarif":
		return SARIF, nil
	case "html":
		return HTML, nil
	case "junit":
		return JUnit, nil
	}
	return nil, fmt.Errorf("write a report as %q: no such format\nhint: one of %v", format, Formats)
}

// JSON writes the report as docs/report.schema.json describes.
func JSON(w io.Writer, r model.Report) error {
	if r.Findings == nil {
		r.Findings = []model.Finding{} // a list, also when it is empty
	}
	if r.Picture != nil {
		drawn := *r.Picture
		drawn.Nodes, drawn.Links = append([]model.Node{}, drawn.Nodes...), append([]model.Link{}, drawn.Links...)
		r.Picture = &drawn
	}
	if err := indented(w, r); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// indented writes JSON that people can read, too.
func indented(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

// ReadJSON reads what JSON wrote, to compare with.
func ReadJSON(r io.Reader) (model.Report, error) {
	var report model.Report
	if err := json.NewDecoder(r).Decode(&report); err != nil {
		return report, fmt.Errorf("read an earlier report: %w\nhint: rocca audit --format json -o FILE writes one", err)
	}
	if report.Version != Version {
		return report, fmt.Errorf("read an earlier report: it is of version %d, and this rocca compares version %d", report.Version, Version)
	}
	return report, nil
}

// areas names the areas of the catalogue for people, in its order.
var areas = []struct{ Area, Name string }{
	{"HST", "Host"}, {"SSH", "SSH"}, {"FS", "Files"}, {"ISO", "Isolation"}, {"PHP", "PHP"}, {"FRT", "Front"}, {"TLS", "TLS"},
	{"DB", "Database"}, {"APP", "Matomo"}, {"PLG", "Plugins"}, {"ACC", "Accounts"}, {"TRK", "Tracker"}, {"PRV", "Privacy"},
	{"LOG", "Logs"}, {"UPD", "Updates"}, {"OPS", "Operations"}, {"AWS", "AWS"}, {"WAIVER", "Waivers"},
}

// group is an area with its findings.
type group struct {
	Area, Name string
	Findings   []model.Finding
}

// byArea puts findings into areas, in the order of the catalogue. An area that
// is not listed comes last, by its short name: no finding is ever left out.
func byArea(findings []model.Finding) []group {
	var groups []group
	for _, area := range areas {
		groups = append(groups, group{Area: area.Area, Name: area.Name})
	}
	for _, f := range findings {
		at := slices.IndexFunc(groups, func(g group) bool { return g.Area == f.Area })
		if at < 0 {
			at = len(groups)
			groups = append(groups, group{Area: f.Area, Name: f.Area})
		}
		groups[at].Findings = append(groups[at].Findings, f)
	}
	return slices.DeleteFunc(groups, func(g group) bool { return len(g.Findings) == 0 })
}

// Tally counts a group in words: "3 fail, 2 pass".
func (g group) Tally() string {
	var parts []string
	for _, s := range statuses {
		if count := len(with(g.Findings, s.Status)); count > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", count, s.Words))
		}
	}
	return strings.Join(parts, ", ")
}

// verdict is a report in one sentence.
func verdict(r model.Report) string {
	failed := r.Summary.Failed
	critical, high := failed[model.Critical.String()], failed[model.High.String()]
	rest := failed[model.Medium.String()] + failed[model.Low.String()]
	switch {
	case critical > 0 && high > 0:
		return fmt.Sprintf("%d critical and %d high %s open.", critical, high, findingsAre(critical+high))
	case critical > 0:
		return fmt.Sprintf("%d critical %s open.", critical, findingsAre(critical))
	case high > 0:
		return fmt.Sprintf("Nothing critical; %d high %s open.", high, findingsAre(high))
	case rest > 0:
		return fmt.Sprintf("Nothing critical or high; %d lesser %s open.", rest, findingsAre(rest))
	case r.Summary.Count[model.Unknown] > 0:
		return "No finding is open, but not everything could be seen."
	case r.Summary.Count[model.Pass]+r.Summary.Count[model.Waived] == 0:
		return "Nothing could be decided."
	}
	return "No finding is open."
}

func findingsAre(count int) string {
	if count == 1 {
		return "finding is"
	}
	return "findings are"
}

// named picks the findings of some ids, in the order of the ids.
func named(findings []model.Finding, ids []string) []model.Finding {
	var picked []model.Finding
	for _, id := range ids {
		if at := slices.IndexFunc(findings, func(f model.Finding) bool { return f.ID == id }); at >= 0 {
			picked = append(picked, findings[at])
		}
	}
	return picked
}

// with picks the findings of a status.
func with(findings []model.Finding, status model.Status) []model.Finding {
	return slices.DeleteFunc(slices.Clone(findings), func(f model.Finding) bool { return f.Status != status })
}
