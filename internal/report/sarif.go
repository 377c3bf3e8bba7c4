package report

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"strings"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"

	"rocca/internal/model"
)

// levels are SARIF's words for severities (SARIF 2.1.0, 3.27.10).
var levels = map[model.Severity]string{model.Critical: "error", model.High: "error", model.Medium: "warning", model.Low: "note"}

// scores are CVSS-like numbers that code scanners sort by.
var scores = map[model.Severity]string{model.Critical: "9.5", model.High: "7.5", model.Medium: "5.0", model.Low: "2.5"}

// semantic is a semantic version (semver.org), in short.
var semantic = regexp.MustCompile(`^\d+\.\d+\.\d+([-+][0-9A-Za-z.+-]+)?$`)

// SARIF writes the findings that fail, are waived (suppressed) or could not be
// seen as SARIF 2.1.0. Every control that was evaluated is a rule.
func SARIF(w io.Writer, r model.Report) error {
	out := sarif.NewReport()
	name, version, _ := strings.Cut(r.Tool, " ")
	driver := sarif.NewToolComponent().WithName(name).WithVersion(version)
	if semantic.MatchString(version) {
		driver.WithSemanticVersion(version)
	}
	run := sarif.NewRun().WithTool(sarif.NewTool().WithDriver(driver))
	for _, f := range r.Findings {
		rule := run.AddRule(f.ID).WithShortDescription(sarif.NewMultiformatMessageString().WithText(Clean(f.Title)))
		rule.WithFullDescription(sarif.NewMultiformatMessageString().WithText(Clean(cmp.Or(f.Why, f.Title))))
		if f.Fix != "" {
			rule.WithHelp(sarif.NewMultiformatMessageString().WithText(Clean(f.Fix)))
		}
		rule.WithDefaultConfiguration(sarif.NewReportingConfiguration().WithLevel(levels[f.Severity]))
		properties := sarif.NewPropertyBag()
		properties.Add("security-severity", scores[f.Severity])
		properties.Add("tags", append([]string{"security", f.Area}, tags(f.Maps)...))
		rule.WithProperties(properties)
	}
	for _, f := range r.Findings {
		if f.Status == model.Fail || f.Status == model.Waived || f.Status == model.Unknown {
			run.AddResult(sarifResult(f, r.Server))
		}
	}
	out.AddRun(run)
	text, err := json.MarshalIndent((*plain)(out), "", "  ")
	if err == nil {
		_, err = w.Write(text)
	}
	if err != nil {
		return fmt.Errorf("write the report as SARIF: %w", err)
	}
	return nil
}

// plain is a report of SARIF without its methods, which would bring a validator
// and the schema into the program.
type plain sarif.Report

// sarifResult tells a finding of a server. Its fingerprint is the same in every
// report of that server, whatever the evidence.
func sarifResult(f model.Finding, server string) *sarif.Result {
	message := "not true: " + Clean(f.Title)
	for _, e := range f.Evidence {
		message += "\n" + Observation(e)
	}
	result := sarif.NewRuleResult(f.ID).WithLevel(levels[f.Severity]).WithKind("fail")
	if f.Status == model.Unknown {
		message = Clean("could not be seen: " + f.Title + ": " + f.Reason)
		result.WithKind("open").WithLevel("none") // SARIF: a level only goes with a failure
	}
	result.WithMessage(sarif.NewTextMessage(message))
	result.WithPartialFingerprints(map[string]string{"rocca/v1": fmt.Sprintf("%x", sha256.Sum256([]byte(server+"\x00"+f.ID)))})
	for _, e := range f.Evidence {
		if !strings.HasPrefix(e.Subject, "/") {
			continue
		}
		location := sarif.NewPhysicalLocation().WithArtifactLocation(sarif.NewSimpleArtifactLocation((&url.URL{Scheme: "file", Path: e.Subject}).String()))
		if e.Line > 0 {
			location.WithRegion(sarif.NewSimpleRegion(e.Line, e.Line))
		}
		result.AddLocation(sarif.NewLocationWithPhysicalLocation(location))
	}
	if f.Status == model.Waived && f.Waiver != nil {
		result.AddSuppression(sarif.NewSuppression().WithKind("external").WithJustification(justification(*f.Waiver)))
	}
	return result
}

func tags(maps []model.Ref) []string {
	var all []string
	for _, m := range maps {
		all = append(all, m.Scheme+" "+m.Item)
	}
	return all
}
