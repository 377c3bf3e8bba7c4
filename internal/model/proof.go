package model

import "time"

// Outcome is what an attack came to.
type Outcome string

// The outcomes. What did not succeed where it must have is NotProven, and never
// Held: an attack that cannot succeed proves nothing.
const (
	Held          Outcome = "held"
	Fell          Outcome = "fell"
	NotProven     Outcome = "not proven"
	NotApplicable Outcome = "not applicable" // what it attacks is not there
)

// NoTwin stands in place of a twin's outcome where none was attacked.
const NoTwin Outcome = "none"

// Try is one thing that an attack did, with what is needed to do it again.
type Try struct {
	Who    string `json:"who"`              // "user nobody", "visitor", "PHP of the pool ui"
	What   string `json:"what"`             // "speak FastCGI", "rename"
	Where  string `json:"where"`            // socket, path, URL, account
	Sent   string `json:"sent,omitempty"`   // the bytes, as far as they matter
	Answer string `json:"answer,omitempty"` // what came back; never a secret
	Fell   bool   `json:"fell"`             // it succeeded
	Note   string `json:"note,omitempty"`   // what a reader must know to judge it

	// Reproduce is a command for the server's root that does it again: it ends
	// with 0 while it still succeeds. Of one that fell only.
	Reproduce string `json:"reproduce,omitempty"`
}

// Attacked is an attack with what it came to.
type Attacked struct {
	ID        string   `json:"id"`
	Title     string   `json:"title"`
	Result    Outcome  `json:"result"`
	Twin      Outcome  `json:"twin"`             // NoTwin, Fell, or Held: by one without the protection at least
	Reason    string   `json:"reason,omitempty"` // of what is neither held nor fell; where it was made, if not on the server itself
	Controls  []string `json:"controls"`         // that it proves
	Tries     int      `json:"tries"`            // how many there were; Evidence may hold fewer
	Evidence  []Try    `json:"evidence"`
	Twins     []Twin   `json:"twins,omitempty"`
	Reproduce string   `json:"reproduce,omitempty"` // of the first try that fell
	Seconds   float64  `json:"seconds"`
}

// Twin is an attack on a throw-away server that lacks one protection.
type Twin struct {
	Without string  `json:"without"` // id of the protection
	Title   string  `json:"title"`   // what it is
	Result  Outcome `json:"result"`
	Answer  string  `json:"answer,omitempty"` // what the try that fell got, or why it did not
}

// Proof is the outcome of a run of attacks.
type Proof struct {
	Version  int        `json:"version"` // of this format
	Tool     string     `json:"tool"`    // "rocca 1.2.3"
	Server   string     `json:"server"`  // host name
	Subject  string     `json:"subject"` // "Matomo 5.3.0 in /var/www/matomo/www, nginx, Debian 12"
	Observed time.Time  `json:"observed"`
	Seconds  float64    `json:"seconds"`            // that all of it took
	NoTwins  string     `json:"no_twins,omitempty"` // why there were none
	Attacks  []Attacked `json:"attacks"`
}

// Proven is an attack as a finding of its control tells it.
type Proven struct {
	Attack string    `json:"attack"` // id
	Result Outcome   `json:"result"`
	At     time.Time `json:"at"`
}
