// Package change plans changes, makes them through a journal, and takes them
// back. It is the only package that writes to the system.
//
// A Step is a statement of how one thing must be. Planning compares it with
// facts; applying makes it so; verifying is planning again and finding nothing
// left to do; undoing reads the journal, not the step.
package change

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rocca/internal/facts"
	"rocca/internal/progress"
)

// Step is one thing that must be so on the server.
type Step interface {
	// Name identifies the step to people: a kind and a subject, such as
	// "file /etc/rocca/php/ui.ini".
	Name() string
	// Looks says what the step must see to plan.
	Looks() facts.Query
	// Plan compares the server with what must be so. It is a pure function.
	Plan(facts.Server) (Proposal, error)
	// Apply makes it so. It may be run again after being cut short anywhere.
	Apply(context.Context, *Writer, facts.Server) error
}

// Proposal is what a step would do. The zero value is: nothing.
type Proposal struct {
	Sentence string `json:"sentence"`       // what would change, in words
	Diff     string `json:"diff,omitempty"` // unified, for text; secrets never show
}

// Needed tells whether there is anything to do.
func (p Proposal) Needed() bool { return p.Sentence != "" }

// Planned is a step that has something to do.
type Planned struct {
	Step string `json:"step"`
	Proposal
}

// Observer looks at the server.
type Observer interface {
	Observe(context.Context, facts.Query) (facts.Server, error)
}

// Plan looks at the server once and lists the steps that have something to do.
func Plan(ctx context.Context, server Observer, steps []Step) ([]Planned, error) {
	var query facts.Query
	for _, step := range steps {
		query.Add(step.Looks())
	}
	seen, err := server.Observe(ctx, query)
	if err != nil {
		return nil, err
	}
	var planned []Planned
	for _, step := range steps {
		proposal, err := step.Plan(seen)
		if err != nil {
			return nil, fmt.Errorf("plan %s: %w", step.Name(), err)
		}
		if proposal.Needed() {
			planned = append(planned, Planned{step.Name(), proposal})
		}
	}
	return planned, nil
}

// Runner applies steps within a run of the journal.
type Runner struct {
	Server   Observer
	SQL      SQL
	Tell     progress.Handler
	Expected int // how many steps have something to do, as far as was planned
}

// StepError is a step that failed.
type StepError struct {
	Step  string
	Cause error
}

// Error names the step and the cause.
func (e *StepError) Error() string { return fmt.Sprintf("%s: %v", e.Step, e.Cause) }

// Unwrap gives the cause.
func (e *StepError) Unwrap() error { return e.Cause }

// Apply brings the server to what the steps say, in order. Each step is planned
// on fresh facts just before it is made, and planned again afterwards: if
// anything is left to do then, the step has failed. The error is a *StepError;
// the caller decides about taking the run back. It returns how many steps
// changed something.
func (r Runner) Apply(ctx context.Context, run *Run, steps []Step) (changed int, err error) {
	for _, step := range steps {
		did, err := r.apply(ctx, run, step, changed+1)
		if err != nil {
			return changed, &StepError{step.Name(), err}
		}
		if did {
			changed++
		}
	}
	return changed, nil
}

// apply makes one step, the index-th that has something to do.
func (r Runner) apply(ctx context.Context, run *Run, step Step, index int) (did bool, err error) {
	if err := context.Cause(ctx); err != nil {
		return false, err
	}
	start := time.Now()
	event := progress.Event{Step: step.Name(), Index: index, Total: max(index, r.Expected)}
	tell := func(kind progress.Kind, text string) {
		event.Kind, event.Text, event.Elapsed = kind, text, time.Since(start)
		r.Tell.Tell(event)
	}
	seen, err := r.Server.Observe(ctx, step.Looks())
	if err != nil {
		return false, err
	}
	proposal, err := step.Plan(seen)
	if err != nil {
		return false, err
	}
	if !proposal.Needed() {
		event.Index, event.Total = 0, 0
		tell(progress.Skip, "")
		return false, nil
	}
	tell(progress.Start, proposal.Sentence)
	w := &Writer{run: run, sql: r.SQL, tell: r.Tell, step: step.Name()}
	err = step.Apply(ctx, w, seen)
	if err == nil {
		err = r.verify(ctx, step)
	}
	if err != nil {
		event.Err = err.Error()
		tell(progress.Fail, proposal.Sentence)
		return false, err
	}
	tell(progress.Done, proposal.Sentence)
	return true, nil
}

func (r Runner) verify(ctx context.Context, step Step) error {
	seen, err := r.Server.Observe(ctx, step.Looks())
	if err != nil {
		return err
	}
	left, err := step.Plan(seen)
	if err != nil {
		return err
	}
	if left.Needed() {
		return errors.New("it was changed, and is not so afterwards: " + left.Sentence + "\n" + left.Diff)
	}
	return nil
}
