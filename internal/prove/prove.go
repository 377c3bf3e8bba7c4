// Package prove attacks a server: it tries for real what the controls say is
// impossible, and leaves nothing behind. What an attack shows is worth nothing
// unless it succeeds where the protection is missing; so each names the
// protections without which it must, and package twins makes servers without
// them.
//
// An attack acts and never repairs. Attacks run on the machine that they
// attack, as its root, who becomes whoever an intruder would be.
package prove

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"rocca/internal/control"
	"rocca/internal/facts"
	"rocca/internal/model"
)

// Attack is one attempt to break what controls say is true.
type Attack struct {
	ID    string // "A01"
	Title string // what is tried, in one sentence without a full stop
	How   string // what it does step by step, for who wants to understand or repeat it
	Risk  string // to a live server

	// Without are the protections that stand against it. On a server that lacks
	// any one of them it must succeed.
	Without []Protection

	// Disturbs says that it may disturb who uses the server. It is made on a twin
	// instead, unless its owner says otherwise.
	Disturbs bool

	// Applies tells why the attack does not fit a server; "" when it fits. Nil
	// fits every server.
	Applies func(*Target) string

	// Attempt makes the attack and writes down each try. An error says that it
	// could not be made; it is no try that was refused.
	Attempt func(context.Context, *Target, *Record) error
}

// Protection is one thing that stands between an attack and what it wants.
type Protection struct {
	ID    string // "socket-mode"
	Title string // the sentence that is true while it is there
	Part  Part   // of the server that it is in

	// Remove takes it away on a throw-away server set up by rocca, with all else
	// as it was: a program for "sh -euc", run as root, with the variables that
	// Weaken sets. When it ends the server works without it.
	Remove string

	Controls []string // that fail without it, by id
}

// Part is a part of a server. A twin lacks one protection of each part at most,
// so that no attack succeeds on it for a reason that belongs to another. Only
// settings of Matomo are each apart from the other.
type Part string

// The parts of a server.
const (
	UISocket    Part = "socket of the UI's pool"
	UIUnit      Part = "unit of the UI's pool"
	TrackerUnit Part = "unit of the tracker's pool"
	FrontPart   Part = "front"
	CodePart    Part = "code"
	StatePart   Part = "state directories"
	ConfigPart  Part = "file of Matomo's configuration"
	SettingPart Part = "setting of Matomo"
	DataPart    Part = "database"
	NetworkPart Part = "packet filter"
	UpdatePart  Part = "updates"
	WatchPart   Part = "audit"
	HostPart    Part = "kernel and mounts"
)

// Controls are the ids of the controls that name the attack.
func (a Attack) Controls() []string {
	ids := []string{}
	for _, c := range control.All() {
		if slices.Contains(strings.Fields(c.Attack), a.ID) {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

// Protections lists what the attacks' twins lack, each once, by the order of
// the attacks.
func Protections(attacks []Attack) []Protection {
	var all []Protection
	for _, a := range attacks {
		for _, p := range a.Without {
			if !slices.ContainsFunc(all, func(known Protection) bool { return known.ID == p.ID }) {
				all = append(all, p)
			}
		}
	}
	return all
}

// Select picks attacks by id, in their order. An unknown one is an error.
func Select(wanted []string) ([]Attack, error) {
	if len(wanted) == 0 {
		return All(), nil
	}
	for _, id := range wanted {
		if !slices.ContainsFunc(All(), func(a Attack) bool { return strings.EqualFold(a.ID, id) }) {
			return nil, fmt.Errorf("select attack %q: there is none of that name\nhint: rocca prove --list", id)
		}
	}
	return slices.DeleteFunc(All(), func(a Attack) bool {
		return !slices.ContainsFunc(wanted, func(id string) bool { return strings.EqualFold(a.ID, id) })
	}), nil
}

// SelectProtections picks protections by id.
func SelectProtections(wanted []string) ([]Protection, error) {
	var selected []Protection
	all := Protections(All())
	for _, id := range wanted {
		at := slices.IndexFunc(all, func(p Protection) bool { return p.ID == id })
		if at < 0 {
			return nil, fmt.Errorf("select protection %q: there is none of that name", id)
		}
		selected = append(selected, all[at])
	}
	return selected, nil
}

// IDs are the ids of attacks.
func IDs(attacks []Attack) []string {
	var ids []string
	for _, a := range attacks {
		ids = append(ids, a.ID)
	}
	return ids
}

// Gentle leaves out what disturbs, unless that is wanted.
func Gentle(attacks []Attack, disturb bool) []Attack {
	return slices.DeleteFunc(slices.Clone(attacks), func(a Attack) bool { return a.Disturbs && !disturb })
}

// Run makes the attacks on this machine, one after the other, and takes away
// what each left. The twins have no part in it. The error is for what ends the
// run early: attacks that could not be made say so themselves.
func Run(ctx context.Context, t *Target, attacks []Attack, tell func(model.Attacked)) ([]model.Attacked, error) {
	var all []model.Attacked
	for _, a := range attacks {
		if err := context.Cause(ctx); err != nil {
			return all, fmt.Errorf("attack this server: %w", err)
		}
		attacked := a.run(ctx, t)
		// Also when the run was interrupted: nothing may stay.
		if err := t.clean(context.WithoutCancel(ctx)); err != nil {
			return all, fmt.Errorf("take away what attack %s left: %w\nhint: rocca prove takes it away when it is run again", a.ID, err)
		}
		all = append(all, attacked)
		tell(attacked)
	}
	return all, nil
}

func (a Attack) run(ctx context.Context, t *Target) model.Attacked {
	started := time.Now()
	attacked := model.Attacked{ID: a.ID, Title: a.Title, Twin: model.NoTwin, Controls: a.Controls(), Evidence: []model.Try{}}
	if a.Applies != nil {
		if attacked.Reason = a.Applies(t); attacked.Reason != "" {
			attacked.Result = model.NotApplicable
			return attacked
		}
	}
	record := &Record{}
	err := a.Attempt(ctx, t, record)
	attacked.Seconds = time.Since(started).Seconds()
	record.into(&attacked)
	switch {
	case attacked.Result == model.Fell:
	case err != nil:
		attacked.Result, attacked.Reason = model.NotProven, facts.Why(err)
	case record.tries == 0:
		attacked.Result, attacked.Reason = model.NotProven, "nothing was tried"
	}
	return attacked
}

// Record is what an attack writes its tries into.
type Record struct {
	tries      int
	fell, held []model.Try
}

// kept is how many tries of each kind are kept as evidence.
const kept = 12

// answerKept is how much of an answer is kept, in bytes.
const answerKept = 400

// Try writes down one try, whether it succeeded or not. It is for one goroutine.
func (r *Record) Try(try model.Try) {
	r.tries++
	into := &r.held
	if try.Fell {
		into = &r.fell
	}
	if len(*into) < kept {
		try.Answer, try.Sent = shortened(try.Answer), shortened(try.Sent)
		*into = append(*into, try)
	}
}

func shortened(text string) string {
	text = strings.ToValidUTF8(text, "�")
	if len(text) <= answerKept {
		return text
	}
	return strings.ToValidUTF8(text[:answerKept], "") + "…"
}

func (r *Record) into(a *model.Attacked) {
	a.Tries, a.Result = r.tries, model.Held
	a.Evidence = append(a.Evidence, append(r.fell, r.held...)...)
	if len(r.fell) > 0 {
		a.Result, a.Reproduce = model.Fell, r.fell[0].Reproduce
	}
}
