package main

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rocca/internal/blueprint"
	"rocca/internal/change"
	"rocca/internal/change/step"
	"rocca/internal/control"
	"rocca/internal/facts"
	"rocca/internal/model"
	"rocca/internal/progress"
)

func newFixCommand() *cobra.Command {
	var flags serverFlags
	var look lookFlags
	var yes, foreign, dryRun bool
	cmd := &cobra.Command{
		Use:   "fix ID...",
		Short: "Put right what a control found, with a way back",
		Long: `Make the change behind a control: on a server that rocca set up, what "rocca up"
would do for this one; nothing else. It is recorded like every change, and
"rocca undo" takes it back.

On any other server it prints the exact change instead. With --foreign it makes
those that it can take back: owner and mode of files.

Exit status: 0 nothing is left to do, 1 only you can do the rest, 2 nothing was
begun, 3 something could not be seen, 5 a change failed and all was taken back,
6 taking back failed too, 11 another rocca is at work.`,
		Example:           "  rocca fix FS-04\n  rocca fix --dry-run HST-06 HST-09",
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: completeControls,
		RunE: func(cmd *cobra.Command, ids []string) error {
			controls, err := control.Select(control.OfServer(), ids)
			if err != nil {
				return err
			}
			look.config = flags.config
			server, err := look.server(cmd)
			if err != nil {
				return err
			}
			f := fixing{cmd: cmd, flags: flags, yes: yes, foreign: foreign, dryRun: dryRun, server: server}
			return f.run(controls)
		},
	}
	flags.add(cmd)
	cmd.Flags().StringVar(&look.matomo, "matomo", "", "directory of the Matomo, when there are several")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only show what would be changed")
	cmd.Flags().BoolVar(&foreign, "foreign", false, "change a server that rocca did not set up, where the change can be taken back")
	return cmd
}

// fixing is one run of rocca fix.
type fixing struct {
	cmd                  *cobra.Command
	flags                serverFlags
	yes, foreign, dryRun bool
	server               facts.Server
}

func (f fixing) run(controls []control.Control) error {
	todo := f.sort(controls)
	out := f.cmd.OutOrStdout()
	if todo.findings+todo.unseen == 0 {
		fmt.Fprintln(out, "nothing to fix: none of these is a finding")
		return nil
	}
	var steps []change.Step
	for _, c := range todo.exact {
		if f.foreign && c.Attr != nil {
			steps = append(steps, step.Attr{Path: c.Attr.Path, Attr: change.Attr{Owner: c.Attr.Owner, Group: c.Attr.Group, Mode: c.Attr.Mode}})
			continue
		}
		todo.left++
		fmt.Fprintf(out, "%s:\n  %s\n", c.Sentence, c.Command)
	}
	if err := f.change(todo.patterns, steps); err != nil {
		return err
	}
	switch {
	case todo.left > 0:
		return &exitError{code: exitFindings}
	case todo.unseen > 0:
		return &exitError{code: exitUnseen}
	}
	return nil
}

// todo is what is to be done about some controls, by who can do it.
type todo struct {
	findings, unseen int
	patterns         []string         // steps of the blueprint that rocca makes
	exact            []control.Change // of a server that rocca did not set up
	left             int              // findings that only the owner can put right
}

// sort evaluates controls and tells what rocca can do nothing about.
func (f fixing) sort(controls []control.Control) todo {
	view := control.See(f.server)
	out := f.cmd.OutOrStdout()
	var t todo
	for _, finding := range view.Audit(controls) {
		at := slices.IndexFunc(controls, func(c control.Control) bool { return c.ID == finding.ID })
		if at < 0 {
			continue // a waiver that is over
		}
		switch finding.Status {
		case model.Unknown:
			t.unseen++
			fmt.Fprintf(out, "%s could not be decided: %s\n", finding.ID, finding.Reason)
			continue
		case model.Fail:
			t.findings++
		default:
			continue
		}
		fix := controls[at].Fix
		exact := f.exact(fix, view)
		switch {
		case fix.Kind == model.FixAutomatic && f.server.Rocca.Installed && len(fix.Steps) > 0:
			t.patterns = append(t.patterns, fix.Steps...)
		case len(exact) > 0:
			t.exact = append(t.exact, exact...)
		default:
			t.left++
			lead := "is left to you"
			if fix.Kind == model.FixGuided {
				lead = "is yours to decide"
			}
			fmt.Fprintf(out, "%s %s: %s\n", finding.ID, lead, fix.Text)
		}
	}
	return t
}

// exact are the changes of a server that rocca did not set up.
func (f fixing) exact(fix control.Fix, view *control.View) []control.Change {
	if fix.Changes == nil || f.server.Rocca.Installed {
		return nil
	}
	return fix.Changes(view)
}

// change makes the steps: those of the blueprint that a pattern names, and
// those given.
func (f fixing) change(patterns []string, steps []change.Step) error {
	if len(patterns) == 0 && len(steps) == 0 {
		return nil
	}
	s, err := openSession(f.cmd, f.flags)
	if err != nil {
		return err
	}
	u := up{session: s, cmd: f.cmd, yes: f.yes, started: time.Now()}
	return errors.Join(f.apply(f.cmd.Context(), &u, patterns, steps), s.Close())
}

func (f fixing) apply(ctx context.Context, u *up, patterns []string, steps []change.Step) error {
	if unfinished, err := u.unfinished(); err != nil || unfinished != nil {
		return errors.Join(err, errors.New("fix this server: a run of rocca was interrupted\nhint: rocca up finishes it, rocca undo takes it back"))
	}
	end := u.openProgress()
	defer func() { end() }()
	if len(patterns) > 0 {
		in, err := u.input(ctx)
		if err != nil {
			return err
		}
		all, _, err := blueprint.Steps(in)
		if err != nil {
			return err
		}
		steps = append(steps, matching(all, patterns)...)
	}
	planned, err := change.Plan(ctx, u.server, steps)
	if err != nil {
		return err
	}
	end()
	if len(planned) == 0 {
		fmt.Fprintln(f.cmd.OutOrStdout(), "nothing that rocca would change: what is left is yours (rocca explain ID)")
		return &exitError{code: exitFindings}
	}
	switch {
	case f.dryRun:
		printPlan(f.cmd.OutOrStdout(), planned, true)
		return nil
	case f.yes:
		printPlan(f.cmd.OutOrStdout(), planned, false)
	default:
		if err := agree(f.cmd, planned, "rocca fix --dry-run shows what would change; rocca fix --yes does it"); err != nil {
			return err
		}
	}
	end = u.openProgress()
	run, err := u.journal.Begin("fix")
	if err != nil {
		return err
	}
	defer run.Close()
	changes, err := u.apply(ctx, run, steps, len(planned), func() error { return nil })
	if err != nil {
		return err
	}
	u.tell.Tell(progress.Event{Kind: progress.Note, Text: fmt.Sprintf("%s made, run %d: rocca undo %d takes them back", count(changes, "change"), run.ID, run.ID)})
	return run.End(change.Applied)
}

// matching picks the steps that a pattern names, in their order.
func matching(steps []change.Step, patterns []string) []change.Step {
	return slices.DeleteFunc(slices.Clone(steps), func(s change.Step) bool {
		return !slices.ContainsFunc(patterns, func(pattern string) bool { return names(pattern, s.Name()) })
	})
}

// names tells whether a pattern names a step. Its kind, the first word, must be
// the same; in the rest a "*" stands for anything, slashes too.
func names(pattern, step string) bool {
	kind, rest, _ := strings.Cut(pattern, " ")
	stepKind, subject, _ := strings.Cut(step, " ")
	matched, err := path.Match(strings.ReplaceAll(rest, "/", "\x00"), strings.ReplaceAll(subject, "/", "\x00"))
	return err == nil && matched && kind == stepKind
}
