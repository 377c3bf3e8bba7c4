// Package progress shows people and programs how multi-step work goes on.
package progress

import "time"

// Kind is what an event tells.
type Kind string

// The kinds of event.
const (
	Plan  Kind = "plan"  // a step and what it would change
	Start Kind = "start" // a step begins
	Wait  Kind = "wait"  // the running step waits for something, named in Text
	Done  Kind = "done"  // a step has ended and its result was seen
	Skip  Kind = "skip"  // a step had nothing to do
	Fail  Kind = "fail"  // a step has failed; Err says why
	Undo  Kind = "undo"  // a change is taken back
	Note  Kind = "note"  // something worth knowing, in no step
)

// Event is one thing that happened.
type Event struct {
	Time    time.Time     `json:"time"`
	Kind    Kind          `json:"kind"`
	Step    string        `json:"step,omitempty"`
	Text    string        `json:"text,omitempty"`
	Elapsed time.Duration `json:"elapsed_ns,omitempty"` // of the step, or of the whole in a note
	Usual   time.Duration `json:"usual_ns,omitempty"`   // that the step takes, by experience; 0: not known
	Index   int           `json:"index,omitempty"`      // of the step, from 1
	Total   int           `json:"total,omitempty"`      // number of steps
	Err     string        `json:"error,omitempty"`
}

// Handler is given events in order. A nil Handler drops them.
type Handler func(Event)

// Tell hands an event to the handler, with the time filled in.
func (h Handler) Tell(e Event) {
	if h == nil {
		return
	}
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	h(e)
}
