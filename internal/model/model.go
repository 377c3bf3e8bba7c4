// Package model holds the nouns that every part of rocca speaks with: what was
// found, how bad it is, and what shows it. It knows no fact and no format.
package model

import (
	"fmt"
	"slices"
	"time"
)

// Severity is how bad a finding is.
type Severity int

// The severities, from the least.
const (
	Low Severity = iota + 1
	Medium
	High
	Critical
)

var severities = []string{Low: "low", Medium: "medium", High: "high", Critical: "critical"}

// String names the severity in lower case.
func (s Severity) String() string {
	if s < Low || s > Critical {
		return "unknown"
	}
	return severities[s]
}

// MarshalText implements encoding.TextMarshaler.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Severity) UnmarshalText(text []byte) error {
	i := slices.Index(severities, string(text))
	if i < int(Low) {
		return fmt.Errorf("unknown severity %q: not critical, high, medium or low", text)
	}
	*s = Severity(i)
	return nil
}

// Status is what an evaluation came to.
type Status string

// The statuses. What could not be seen is Unknown, and never Pass.
const (
	Pass    Status = "pass"
	Fail    Status = "fail"
	Unknown Status = "unknown"
	NA      Status = "na"     // what the control is about is not there
	Waived  Status = "waived" // fails, and the owner accepts it for a time
)

// Evidence is one observation that a finding rests on.
type Evidence struct {
	Subject string `json:"subject"`          // path, unit, account, URL, setting
	Line    int    `json:"line,omitempty"`   // in a file, from 1
	Have    string `json:"have,omitempty"`   // what was seen; never a secret
	Want    string `json:"want,omitempty"`   // what should be
	Waived  bool   `json:"waived,omitempty"` // the owner accepts this one
}

// Ref points into a standard or into one of the two source documents.
type Ref struct {
	Scheme string `json:"scheme"` // "CIS Debian 12", "CIS NGINX", "CIS Apache", "CIS MariaDB", "ASVS 5.0", "GDPR", "dev-sec", "S1", "S2", "Matomo", "prowler"
	Item   string `json:"item"`   // "1.2.1.2", "Art. 32", "27"
}

// FixKind is who can put a finding right.
type FixKind string

// The kinds of a fix.
const (
	FixAutomatic FixKind = "automatic" // rocca, with undo
	FixGuided    FixKind = "guided"    // only its owner can decide
	FixNone      FixKind = "none"      // nothing on this server
)

// Finding is a control with what it came to.
type Finding struct {
	ID       string     `json:"id"`
	Area     string     `json:"area"` // "FS"
	Status   Status     `json:"status"`
	Severity Severity   `json:"severity"`
	Title    string     `json:"title"` // the sentence that is true when it passes
	Why      string     `json:"why,omitempty"`
	Reason   string     `json:"reason,omitempty"` // of unknown and na
	Evidence []Evidence `json:"evidence,omitempty"`
	Fix      string     `json:"fix,omitempty"` // what to do, a command where there is one
	FixKind  FixKind    `json:"fix_kind,omitempty"`
	Commands []Command  `json:"commands,omitempty"`  // the fix for what was found, to be read and run by a person
	ProvenBy string     `json:"proven_by,omitempty"` // ids of attacks, or "all"
	Proven   []Proven   `json:"proven,omitempty"`    // what those came to when they were last made
	Maps     []Ref      `json:"maps,omitempty"`
	Waiver   *Waiver    `json:"waiver,omitempty"`
}

// Command is one line for a shell.
type Command struct {
	Does string `json:"does"` // "close port 22 of sg-0123 to the world"
	Line string `json:"line"`
}

// Row is a line of a checklist, with the controls that decide it.
type Row struct {
	Number   int        `json:"number"`
	Text     string     `json:"text"`   // as the checklist has it
	Status   Status     `json:"status"` // the worst of its controls
	Controls []string   `json:"controls"`
	Evidence []Evidence `json:"evidence,omitempty"` // what they saw, the worst first
	Reason   string     `json:"reason,omitempty"`   // of unknown and na
}

// Waiver is who accepts a finding, why, and until when.
type Waiver struct {
	Reason string    `json:"reason"`
	Owner  string    `json:"owner"`
	Until  time.Time `json:"until"`
}

// Report is the outcome of an audit.
type Report struct {
	Version   int       `json:"version"` // of this format
	Tool      string    `json:"tool"`    // "rocca 1.2.3"
	Server    string    `json:"server"`  // host name
	Subject   string    `json:"subject"` // "Matomo 5.3.0 at https://..., nginx, Debian 12"
	Observed  time.Time `json:"observed"`
	Findings  []Finding `json:"findings"`
	Summary   Summary   `json:"summary"`
	Checklist []Row     `json:"checklist,omitempty"` // of the AWS guide, where AWS was audited
	Changes   *Changes  `json:"changes,omitempty"`   // against a baseline
	Picture   *Picture  `json:"picture,omitempty"`
}

// Summary is what a person reads first.
type Summary struct {
	Index  int            `json:"index"` // 0 to 100, see Index
	Count  map[Status]int `json:"count"`
	Failed map[string]int `json:"failed"`         // by severity
	Best   []string       `json:"best,omitempty"` // ids of the three changes that lift the index most
}

// Changes compares a report with an earlier one.
type Changes struct {
	Since time.Time `json:"since"`
	New   []string  `json:"new,omitempty"`   // ids that fail now and did not
	Fixed []string  `json:"fixed,omitempty"` // ids that failed and do not now
	Index int       `json:"index"`           // difference
}

// Picture is the server as it was found, from the internet on the left to the
// data on the right.
type Picture struct {
	Nodes []Node `json:"nodes"`
	Links []Link `json:"links"`
}

// Node is a part of the server.
type Node struct {
	ID     string `json:"id"`
	Kind   string `json:"kind"`   // "internet", "front", "pool", "user", "database", "data", "service"
	Column int    `json:"column"` // 0 internet, 1 front, 2 pools and programs, 3 users, 4 data
	Label  string `json:"label"`
	Note   string `json:"note,omitempty"` // second line: user, socket, version
	Bad    bool   `json:"bad,omitempty"`
}

// Link is a way from one part to another.
type Link struct {
	From  string `json:"from"`
	To    string `json:"to"`
	Label string `json:"label,omitempty"`
	Bad   bool   `json:"bad,omitempty"` // should not be possible
}
