// Package incident runs the response to an incident as a list of steps and
// keeps its case: a directory with a journal that tells who did what and when,
// the evidence that was taken, and what it takes to go back.
//
// How to use it:
//
//	c, err := incident.Open(dir, incident.About{Verb: "rocca respond", Subject: "server web1", Operator: who, Known: when})
//	defer c.Close()
//	outcome, err := c.Run(ctx, steps, tell)   // resumes: what is done is not done again
//
// and within the Do of a step:
//
//	c.Save("groups", before)                  // before the first change; the first one saved stays, so a resumed step keeps the true state
//	c.Changed("moved eni-1 to sg-2", "rocca aws respond release")
//	c.Put("console.txt", "ec2:GetConsoleOutput", text)            // evidence: hashed, in the journal
//	c.Evidence("disk.img", "dd", func(w io.Writer) error { ... }) // a large one
//	c.NotTaken("memory", "the agent is offline")                  // what the report says is missing, and why
//	return incident.Skip("no load balancer")                      // nothing to do, with the reason
//
// A step that fails is recorded and the next one goes on; a later Run tries it
// again. A step whose After names one that did not succeed is held back. The
// journal is a chain: each line has the hash of the one before, see Verify.
// Read tells the story of a case without its lock; Report and HTML write it,
// Runbook writes the steps for a person.
package incident

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Phase is a phase of the response, as the guide names them.
type Phase string

// The phases, in the order of the report.
const (
	Isolate   Phase = "isolate"
	Assess    Phase = "assess"
	Contain   Phase = "contain"
	Eradicate Phase = "eradicate"
	Recover   Phase = "recover"
	Document  Phase = "document"
)

// Phases lists them in order.
func Phases() []Phase { return []Phase{Isolate, Assess, Contain, Eradicate, Recover, Document} }

// Sentence is what a phase is for: "affected systems".
func (p Phase) Sentence() string {
	return map[Phase]string{
		Isolate:   "Cut the affected system off, without destroying what it can tell.",
		Assess:    "Find out what happened, since when, and what was within reach.",
		Contain:   "Take away what an intruder holds: sessions, tokens, passwords, roles.",
		Eradicate: "Remove what an intruder left, and the hole that was used.",
		Recover:   "Go back to service from what is known to be good.",
		Document:  "Write down what happened and was done; tell who must be told.",
	}[p]
}

// Step is one step of a response. Its texts are told without an environment,
// too, for the runbook.
type Step struct {
	ID    string // "cut-off"; stays the same for ever, journals name it
	Title string // a short imperative: "Cut off the network"
	Why   string // why it is done, and why here in the order
	Phase Phase

	Rocca  []string // what rocca runs, a line each, with placeholders in capitals
	Person []string // what is left for a person
	Undo   string   // how to take it back; empty: it changes nothing

	After []string      // IDs that must have succeeded; else the step is held back
	Again bool          // at each Run anew: reports, checks
	Limit time.Duration // for Do; 0: ten minutes

	// Plan tells what Do would do now, for a dry run. It only reads.
	Plan func(ctx context.Context) ([]string, error)
	// Do does it. It may be called again after it was killed at any point.
	Do func(ctx context.Context, c *Case) error
}

// stepLimit is how long a step without a Limit may take.
const stepLimit = 10 * time.Minute

// skipped is a step that had nothing to do.
type skipped struct{ why string }

func (s skipped) Error() string { return s.why }

// Skip is what the Do of a step returns that has nothing to do here.
func Skip(why string) error { return skipped{why} }

// ErrBusy says that another responder works on the case.
var ErrBusy = errors.New("another responder works on this case")

// About is what a case is about.
type About struct {
	Verb      string    `json:"verb"`                // "rocca respond", "rocca aws respond"
	Subject   string    `json:"subject"`             // "server web1", "instance i-0123 of deployment shop"
	Operator  string    `json:"operator"`            // who responds: "anna by sudo from 203.0.113.5", an ARN
	Reason    string    `json:"reason,omitempty"`    // what was noticed
	Known     time.Time `json:"known"`               // when the controller became aware: the clock of GDPR Art. 33; zero: now
	Rehearsal bool      `json:"rehearsal,omitempty"` // an exercise: nobody need be told
	Version   string    `json:"version,omitempty"`   // of rocca
}

// Fact is a thing that GDPR Art. 33(3) asks for.
type Fact string

// The facts of Art. 33(3).
const (
	Nature       Fact = "nature"       // (a) of the breach
	Subjects     Fact = "subjects"     // (a) categories and approximate number of people
	Records      Fact = "records"      // (a) categories and approximate number of records
	Contact      Fact = "contact"      // (b) the data protection officer, or who else knows more
	Consequences Fact = "consequences" // (c) that are likely
	Measures     Fact = "measures"     // (d) taken or proposed, beside what the journal tells
)

// Evidence is a file that was taken.
type Evidence struct {
	Name   string    `json:"name"` // below evidence/, with slashes
	SHA256 string    `json:"sha256"`
	Size   int64     `json:"size"`
	At     time.Time `json:"at"`
	By     string    `json:"by"` // what took it: "ec2:GetConsoleOutput", "mariadb-dump"
}

// State is how far a step has come.
type State string

// The states of a step.
const (
	Waiting State = "waiting"
	Begun   State = "begun" // and not ended: killed, or at work
	Done    State = "done"
	Skipped State = "skipped"
	Failed  State = "failed"
	Held    State = "held" // back, because one of After did not succeed
)

// Planned is a step as a dry run shows it.
type Planned struct {
	ID    string   `json:"id"`
	Title string   `json:"title"`
	Phase Phase    `json:"phase"`
	Would []string `json:"would,omitempty"`
	Err   string   `json:"error,omitempty"` // why it cannot be told
}

// Plan tells what the steps would do.
func Plan(ctx context.Context, steps []Step) []Planned {
	var planned []Planned
	for _, s := range steps {
		p := Planned{ID: s.ID, Title: s.Title, Phase: s.Phase}
		if s.Plan != nil {
			would, err := s.Plan(ctx)
			p.Would = would
			if err != nil {
				p.Err = err.Error()
			}
		}
		planned = append(planned, p)
	}
	return planned
}

// Outcome is how a run of steps ended, by their IDs.
type Outcome struct {
	Done    []string `json:"done,omitempty"`
	Skipped []string `json:"skipped,omitempty"`
	Failed  []string `json:"failed,omitempty"`
	Held    []string `json:"held,omitempty"`
}

// Err is nil when every step was done or had nothing to do.
func (o Outcome) Err() error {
	if len(o.Failed)+len(o.Held) == 0 {
		return nil
	}
	return fmt.Errorf("respond: %d of %d steps did not succeed: %v", len(o.Failed)+len(o.Held),
		len(o.Done)+len(o.Skipped)+len(o.Failed)+len(o.Held), append(append([]string{}, o.Failed...), o.Held...))
}
