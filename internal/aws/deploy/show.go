package deploy

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// marks are how actions are shown.
var marks = map[Action]string{Create: "+", Update: "~", Replace: "!", MightReplace: "?", Remove: "-"}

// Show writes a plan for people: who may do what and who reaches what first, in
// each what is lost before the rest.
func (p Plan) Show(w io.Writer) {
	for _, s := range p.Stacks {
		s.Show(w)
	}
	fmt.Fprintln(w, p.summary())
}

// Show writes the plan of one stack.
func (s StackPlan) Show(w io.Writer) {
	fmt.Fprintf(w, "%s: %s\n", s.Stack, s.headline())
	if s.Tentative != "" {
		fmt.Fprintf(w, "  known from its template alone, as %s\n", s.Tentative)
	}
	for _, warning := range s.Warnings {
		fmt.Fprintf(w, "  warning: %s\n", oneLine(warning))
	}
	security := slices.IndexFunc(s.Changes, func(c Change) bool { return !c.Security })
	if security < 0 {
		security = len(s.Changes)
	}
	if security > 0 {
		fmt.Fprintln(w, "  who may do what, and who reaches what:")
		showChanges(w, s.Changes[:security])
	}
	if security < len(s.Changes) {
		if security > 0 {
			fmt.Fprintln(w, "  the rest:")
		}
		showChanges(w, s.Changes[security:])
	}
	fmt.Fprintln(w)
}

func (s StackPlan) headline() string {
	resources := counted(len(s.Changes), "resource")
	switch {
	case s.Repair == DeleteStack:
		return "to be deleted, and then created: " + resources
	case s.Repair == ContinueRollback:
		return "the roll-back of its last update to be finished; then " + counted(len(s.Changes), "change")
	case s.creates:
		return "to be created: " + resources
	case len(s.Changes) > 0:
		return "to be changed: " + resources
	case s.Pending():
		return "to be changed: outputs or tags only"
	}
	return "nothing to do"
}

func showChanges(w io.Writer, changes []Change) {
	notes := 0
	for _, c := range changes {
		if c.Action == Create && c.Type == "AWS::SSM::Parameter" {
			notes++ // one for each output: they would hide what matters
			continue
		}
		fmt.Fprintf(w, "  %s %s (%s)%s\n", marks[c.Action], oneLine(c.Is), c.ID, fateOf(c))
		for _, p := range c.Properties {
			fmt.Fprintf(w, "      %s\n", p.line())
		}
		for _, e := range c.Exposes {
			fmt.Fprintf(w, "      %s\n", e)
		}
	}
	if notes > 0 {
		fmt.Fprintf(w, "  + %s with values for the stacks after it\n", counted(notes, "parameter"))
	}
}

// fateOf says what a change that takes the old resource away means.
func fateOf(c Change) string {
	var text string
	switch c.Action {
	case Replace:
		text = ": REPLACED"
		if by := causes(c); by != "" {
			text += " because of " + by
		}
	case MightReplace:
		text = ": may be replaced, CloudFormation sees when it gets there"
	case Remove:
		text = ": REMOVED"
	default:
		return ""
	}
	switch {
	case c.Loses != "":
		text += "; lost: " + c.Loses
	case c.Stateful && c.Action != MightReplace:
		text += "; the old one is kept, but not used any more"
	}
	return text
}

// longestValue is how much of a value is shown, in characters.
const longestValue = 60

func (p Property) line() string {
	if p.Before == "" && p.After == "" || utf8.RuneCountInString(p.Before) > longestValue || utf8.RuneCountInString(p.After) > longestValue {
		return p.Name
	}
	value := func(text string) string {
		if text == "" {
			return "(none)"
		}
		return oneLine(text)
	}
	return fmt.Sprintf("%s: %s -> %s", p.Name, value(p.Before), value(p.After))
}

func (p Plan) summary() string {
	count := map[Action]int{}
	security := 0
	for _, s := range p.Stacks {
		for _, c := range s.Changes {
			count[c.Action]++
			if c.Security {
				security++
			}
		}
	}
	var parts []string
	for _, part := range []struct {
		action Action
		word   string
	}{{Create, "to create"}, {Update, "to update"}, {Replace, "to replace"}, {MightReplace, "that may be replaced"}, {Remove, "to remove"}} {
		if n := count[part.action]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, part.word))
		}
	}
	switch {
	case !p.Pending():
		return "nothing to do: the deployment is as it should be"
	case len(parts) == 0:
		return "no resource changes"
	}
	return fmt.Sprintf("%s; %d of them concern security", strings.Join(parts, ", "), security)
}

// ShowRemovals writes what destroying would do.
func ShowRemovals(w io.Writer, removals []Removal) {
	for _, r := range removals {
		fmt.Fprintf(w, "%s: to be deleted\n", r.Stack)
		gone := 0
		for _, doom := range r.Resources {
			switch {
			case doom.Fate == Kept:
				fmt.Fprintf(w, "  = %s (%s): kept, and goes on to cost what it costs\n", oneLine(doom.Is), doom.Physical)
			case doom.Fate == Snapshot:
				fmt.Fprintf(w, "  - %s (%s): deleted; a last snapshot of it is kept\n", oneLine(doom.Is), doom.Physical)
			case doom.Loses != "":
				fmt.Fprintf(w, "  ! %s (%s): deleted; lost: %s\n", oneLine(doom.Is), doom.Physical, doom.Loses)
			default:
				gone++
			}
		}
		if gone > 0 {
			fmt.Fprintf(w, "  - %s that could be made again\n", counted(gone, "resource"))
		}
		fmt.Fprintln(w)
	}
}

// ShowDrift writes what somebody has changed beside CloudFormation.
func ShowDrift(w io.Writer, drifts []Drift) {
	for _, d := range drifts {
		what := "changed by somebody"
		if d.Deleted {
			what = "deleted by somebody"
		}
		fmt.Fprintf(w, "%s: %s (%s): %s\n", d.Stack, oneLine(d.Is), d.ID, what)
		for _, p := range d.Differences {
			fmt.Fprintf(w, "      %s\n", Property{Name: p.Path, Before: p.Expected, After: p.Actual}.line())
		}
	}
}

// oneLine makes a text fit for one line of a terminal: AWS and templates may
// say anything.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case !strconv.IsPrint(r):
			return '?'
		}
		return r
	}, text)
}
