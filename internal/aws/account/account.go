// Package account looks at the settings of a whole AWS account and region that
// a deployment leans on, and raises those that are low. A stack cannot own
// them: there is one of each, and it may be somebody else's already.
package account

import (
	"context"
	"fmt"

	"rocca/internal/aws/client"
	"rocca/internal/aws/settings"
)

// Wanted says what the account's owner asked for.
type Wanted struct {
	Deployment string           // name; what is made is named and tagged by it
	Account    string           // twelve digits
	Email      string           // of the security contact
	Phone      string           // of the security contact; AWS takes none without. Empty: the contact is only looked at
	Services   settings.Account // that bill, and are turned on only when asked for
}

// Setting is one setting of the account.
type Setting struct {
	Name  string // in words, such as "EBS encryption by default"
	Why   string // what it stops, one sentence
	Price string // what AWS bills once it is on; empty: nothing

	Read func(context.Context) (State, error)

	// Set raises the setting, and never lowers what another has set. Nil: it is
	// only looked at, or was not asked for.
	Set func(context.Context) error
}

// State is a setting as it was found.
type State struct {
	Good bool
	Is   string   // in words
	Left string   // why Set leaves it as it is although it is not good; empty: Set raises it
	Undo []string // commands that bring it back to what it is now, after Set
}

// Reading is a setting and what was found.
type Reading struct {
	Setting
	State
	Err     error // nothing was found, and why
	Refused error // why Apply could not raise it
}

// Status is what a reading means.
type Status string

// The statuses of a reading. What could not be read is Unknown, never Good.
const (
	Good    Status = "ok"
	Raise   Status = "raise" // Set would raise it
	Left    Status = "left"  // not good, and nothing that rocca does; Left says why
	Unknown Status = "unknown"
	Failed  Status = "failed" // Apply could not raise it
)

// Status tells what the reading means.
func (r Reading) Status() Status {
	switch {
	case r.Refused != nil:
		return Failed
	case r.Err != nil:
		return Unknown
	case r.Good:
		return Good
	case r.Set == nil || r.Left != "":
		return Left
	}
	return Raise
}

// Found is what was found, in words.
func (r Reading) Found() string {
	switch {
	case r.Refused != nil:
		return r.Refused.Error()
	case client.Denied(r.Err):
		return "not allowed to look"
	case r.Err != nil:
		return r.Err.Error()
	case r.Status() == Left && r.Left != "":
		return r.Is + "; " + r.Left
	}
	return r.Is
}

// Count tells how many readings mean that.
func Count(readings []Reading, status Status) int {
	n := 0
	for _, r := range readings {
		if r.Status() == status {
			n++
		}
	}
	return n
}

// Settings lists the settings of an account, in the order people read them.
func Settings(c client.Config, w Wanted) []Setting {
	var all []Setting
	all = append(all, compute(c)...)
	all = append(all, buckets(c, w), network(c), defaultGroups(c, w))
	all = append(all, guards(c, w)...)
	return append(all, contact(c, w))
}

// Look reads all settings. One that cannot be read does not stop the others.
func Look(ctx context.Context, all []Setting) []Reading {
	readings := make([]Reading, len(all))
	for i, s := range all {
		readings[i] = look(ctx, s)
	}
	return readings
}

// Apply raises what Look found to be low, and reads it again: what AWS does not
// show afterwards was not set. One that is refused does not stop the others.
// The readings that come back are those that were to be raised.
func Apply(ctx context.Context, readings []Reading) []Reading {
	var after []Reading
	for _, r := range readings {
		if r.Status() != Raise {
			continue
		}
		err := r.Set(ctx)
		if err == nil {
			r = look(ctx, r.Setting)
			if r.Err == nil && !r.Good {
				err = fmt.Errorf("it was taken, and AWS still says: %s", r.Is)
			}
		}
		if err != nil {
			r.Refused = fmt.Errorf("set %s: %w", r.Name, client.Explain(err))
		}
		after = append(after, r)
	}
	return after
}

func look(ctx context.Context, s Setting) Reading {
	state, err := s.Read(ctx)
	if err != nil {
		err = fmt.Errorf("read %s: %w", s.Name, client.Explain(err))
	}
	return Reading{Setting: s, State: state, Err: err}
}
