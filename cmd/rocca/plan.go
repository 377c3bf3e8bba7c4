package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"rocca/internal/blueprint"
	"rocca/internal/change"
)

func newPlanCommand() *cobra.Command {
	var flags serverFlags
	var brief bool
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Show what rocca up would change, and change nothing",
		Long: `Show each step that has something to do, in order, with a sentence and a diff.
Steps that depend on earlier ones are shown as far as they can be known.

Exit status: 0 nothing to do, 1 changes pending, 2 it could not be planned.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := openSession(cmd, flags)
			if err != nil {
				return err
			}
			planned, err := s.plan(cmd)
			if err = errors.Join(err, s.Close()); err != nil {
				return err
			}
			return showPlan(cmd, planned, flags.json, !brief)
		},
	}
	flags.add(cmd)
	cmd.Flags().BoolVar(&brief, "brief", false, "leave out the diffs")
	return cmd
}

func (s *session) plan(cmd *cobra.Command) ([]change.Planned, error) {
	in, err := s.input(cmd.Context())
	if err != nil {
		return nil, err
	}
	if err := s.preflight(cmd.Context(), in); err != nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "warning: rocca up would refuse: %v\n", err)
	}
	steps, _, err := blueprint.Steps(in)
	if err != nil {
		return nil, err
	}
	return change.Plan(cmd.Context(), s.server, steps)
}

func showPlan(cmd *cobra.Command, planned []change.Planned, asJSON, diffs bool) error {
	out := cmd.OutOrStdout()
	switch {
	case asJSON:
		encoder := json.NewEncoder(out)
		for _, p := range planned {
			if err := encoder.Encode(p); err != nil {
				return fmt.Errorf("show the plan: %w", err)
			}
		}
	case len(planned) == 0:
		fmt.Fprintln(out, "nothing to do: the server is as it should be")
	default:
		printPlan(out, planned, diffs)
		fmt.Fprintf(out, "\n%s would change something; rocca up makes the changes\n", count(len(planned), "step"))
	}
	if len(planned) > 0 {
		return &exitError{code: exitFindings}
	}
	return nil
}
