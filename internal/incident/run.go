package incident

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"rocca/internal/progress"
)

// Run does the steps in order. One that was done before is left out; one that
// fails is recorded, and the next goes on. At the end the report is written
// anew, so that it has the last line of the journal. The error tells that the case itself
// cannot go on: it was interrupted, or its journal cannot be written. What
// became of the steps is in the outcome.
func (c *Case) Run(ctx context.Context, steps []Step, tell progress.Handler) (Outcome, error) {
	var o Outcome
	if err := c.Tell(steps); err != nil {
		return o, err
	}
	for i, s := range steps {
		event := progress.Event{Step: s.ID, Text: s.Title, Index: i + 1, Total: len(steps)}
		say := func(kind progress.Kind, text, problem string) {
			e := event
			e.Kind, e.Err = kind, problem
			if text != "" {
				e.Text = text
			}
			tell.Tell(e)
		}
		switch c.State(s.ID) {
		case Done, Skipped:
			if !s.Again {
				o.Done = append(o.Done, s.ID)
				say(progress.Skip, s.Title+": done before", "")
				continue
			}
		}
		if missing := c.missing(s); missing != "" {
			o.Held = append(o.Held, s.ID)
			why := "held back, because " + missing + " did not succeed"
			if err := c.append(Entry{Kind: held, Step: s.ID, Text: why}); err != nil {
				return o, err
			}
			say(progress.Skip, s.Title+": "+why, "")
			continue
		}
		say(progress.Start, "", "")
		err := c.do(ctx, s)
		if ctx.Err() != nil {
			return o, errors.Join(context.Cause(ctx), c.append(Entry{Kind: failed, Step: s.ID, Text: "interrupted"}))
		}
		var nothing skipped
		var broken brokenJournal
		switch {
		case errors.As(err, &broken):
			return o, broken.cause
		case errors.As(err, &nothing):
			o.Skipped = append(o.Skipped, s.ID)
			err = c.append(Entry{Kind: skips, Step: s.ID, Text: nothing.why})
			say(progress.Skip, s.Title+": "+nothing.why, "")
		case err != nil:
			o.Failed = append(o.Failed, s.ID)
			say(progress.Fail, "", c.redact(err.Error()))
			err = c.append(Entry{Kind: failed, Step: s.ID, Text: err.Error()})
		default:
			o.Done = append(o.Done, s.ID)
			err = c.append(Entry{Kind: done, Step: s.ID})
			say(progress.Done, "", "")
		}
		if err != nil {
			return o, err
		}
	}
	return o, c.Write()
}

// brokenJournal is a journal that cannot be written: nothing may go on.
type brokenJournal struct{ cause error }

func (b brokenJournal) Error() string { return b.cause.Error() }

func (c *Case) do(ctx context.Context, s Step) (err error) {
	if err := c.append(Entry{Kind: started, Step: s.ID}); err != nil {
		return brokenJournal{err}
	}
	if s.Do == nil {
		return Skip("left for a person")
	}
	c.setStep(s.ID)
	defer c.setStep("")
	limit := s.Limit
	if limit == 0 {
		limit = stepLimit
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("it took longer than %s", limit.Round(time.Second)))
	defer cancel()
	// Containment must not end because one step has a defect.
	defer func() {
		if problem := recover(); problem != nil {
			err = fmt.Errorf("%s: a defect of rocca: %v", s.Title, problem)
		}
	}()
	return s.Do(ctx, c)
}

func (c *Case) setStep(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.step = id
}

// missing names what a step comes after and has not succeeded.
func (c *Case) missing(s Step) string {
	for _, id := range s.After {
		if state := c.State(id); state != Done && state != Skipped {
			return id
		}
	}
	return ""
}

// State tells how far a step has come in this case.
func (c *Case) State(id string) State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return stateOf(c.entries, id)
}

func stateOf(entries []Entry, id string) State {
	states := map[Kind]State{started: Begun, done: Done, failed: Failed, skips: Skipped, held: Held}
	for _, e := range slices.Backward(entries) {
		if state, tells := states[e.Kind]; tells && e.Step == id {
			return state
		}
	}
	return Waiting
}

// Tell records the texts of steps that the journal does not know, so that the
// report can be made from the case alone. Run does it for its own; those of the
// way back are told at the start, so that the report shows what is ahead.
func (c *Case) Tell(steps []Step) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var news []Told
	for _, s := range steps {
		if !slices.ContainsFunc(c.entries, func(e Entry) bool {
			return e.Kind == planned && slices.ContainsFunc(e.Steps, func(t Told) bool { return t.ID == s.ID })
		}) {
			news = append(news, Told{s.ID, s.Title, s.Phase, s.Person, s.Undo})
		}
	}
	if len(news) == 0 {
		return nil
	}
	return c.write(Entry{Kind: planned, Steps: news})
}
