// Package check is what the verbs before and after a deployment say: one line
// for each thing that was looked at.
package check

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Status is how a check ended.
type Status string

// What could not be seen is Unknown, never OK.
const (
	OK      Status = "ok"
	Warn    Status = "warn"
	Fail    Status = "fail"
	Unknown Status = "unknown"
)

// Check is one thing that was looked at.
type Check struct {
	ID     string `json:"id"`            // such as "quota.vpc"
	What   string `json:"what"`          // the sentence that is true when it is OK
	Status Status `json:"status"`        //
	Found  string `json:"found"`         // what was seen, or why nothing was
	Fix    string `json:"fix,omitempty"` // what to do when it is not OK
}

// Count tells how many ended so.
func Count(all []Check, status Status) int {
	n := 0
	for _, c := range all {
		if c.Status == status {
			n++
		}
	}
	return n
}

// Table writes checks for people, with what to do below each that needs it.
// However long that is, the columns are as wide as statuses and sentences.
func Table(w io.Writer, all []Check) error {
	status, what := 0, 0
	for _, c := range all {
		status, what = max(status, len(c.Status)), max(what, utf8.RuneCountInString(c.What))
	}
	var out bytes.Buffer
	for _, c := range all {
		// What AWS says may have several lines.
		found := strings.ReplaceAll(c.Found, "\n", fmt.Sprintf("\n%*s", status+what+4, ""))
		fmt.Fprintf(&out, "%-*s  %-*s  %s\n", status, c.Status, what, c.What, found)
		if c.Status != OK && c.Fix != "" {
			fmt.Fprintf(&out, "%*s%s\n", status+4, "", c.Fix)
		}
	}
	_, err := w.Write(out.Bytes())
	return err
}

// JSON writes checks for programs.
func JSON(w io.Writer, all []Check) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(struct {
		Version int     `json:"version"`
		Checks  []Check `json:"checks"`
	}{1, all})
}
