package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"rocca/internal/model"
)

// The part of JUnit's XML that build servers read
// (https://github.com/testmoapp/junitxml).
type junitSuites struct {
	XMLName xml.Name     `xml:"testsuites"`
	Suites  []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string     `xml:"classname,attr"`
	Name    string     `xml:"name,attr"`
	Failure *junitText `xml:"failure,omitempty"`
	Error   *junitText `xml:"error,omitempty"`
	Skipped *junitText `xml:"skipped,omitempty"`
}

type junitText struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr,omitempty"`
	Text    string `xml:",chardata"`
}

// JUnit writes each area as a suite and each control as a test: one that fails
// is a failure, one that could not be seen an error, one that is waived or not
// applicable is skipped.
func JUnit(w io.Writer, r model.Report) error {
	var all junitSuites
	for _, area := range byArea(r.Findings) {
		suite := junitSuite{Name: area.Name}
		for _, f := range area.Findings {
			suite.add(f)
		}
		all.Suites = append(all.Suites, suite)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return fmt.Errorf("write the report as JUnit: %w", err)
	}
	encoder := xml.NewEncoder(w)
	encoder.Indent("", "  ")
	if err := encoder.Encode(all); err != nil {
		return fmt.Errorf("write the report as JUnit: %w", err)
	}
	if _, err := io.WriteString(w, "\n"); err != nil {
		return fmt.Errorf("write the report as JUnit: %w", err)
	}
	return nil
}

func (s *junitSuite) add(f model.Finding) {
	test := junitCase{Class: "rocca." + Clean(f.Area), Name: Clean(f.ID + " " + f.Title)}
	switch f.Status {
	case model.Fail:
		var lines []string
		for _, e := range f.Evidence {
			lines = append(lines, Observation(e))
		}
		if f.Fix != "" {
			lines = append(lines, "fix: "+Clean(f.Fix))
		}
		test.Failure = &junitText{Message: "not true: " + Clean(f.Title), Type: f.Severity.String(), Text: strings.Join(lines, "\n")}
		s.Failures++
	case model.Unknown:
		test.Error = &junitText{Message: Clean(f.Reason)}
		s.Errors++
	case model.NA:
		test.Skipped = &junitText{Message: Clean(f.Reason)}
		s.Skipped++
	case model.Waived:
		reason := "waived"
		if f.Waiver != nil {
			reason += ": " + justification(*f.Waiver)
		}
		test.Skipped = &junitText{Message: reason}
		s.Skipped++
	}
	s.Tests++
	s.Cases = append(s.Cases, test)
}
