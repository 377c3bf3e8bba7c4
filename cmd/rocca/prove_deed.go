package main

import (
	"encoding/json"

	"github.com/spf13/cobra"

	"rocca/internal/prove"
)

// newDeedCommand is what prove starts inside of the sandbox of a unit, in the
// place of an intruder's own program.
func newDeedCommand() *cobra.Command {
	var native prove.Native
	cmd := &cobra.Command{
		Use:    "deed [NAME...]",
		Short:  "Try to get out of the sandbox that this runs in (started by prove)",
		Hidden: true,
		RunE: func(cmd *cobra.Command, names []string) error {
			all, err := native.Try(cmd.Context(), names)
			if err != nil {
				return err
			}
			if err := json.NewEncoder(cmd.OutOrStdout()).Encode(all); err != nil {
				return err
			}
			for _, came := range all {
				if came.Got == "" {
					return &exitError{code: exitFindings}
				}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&native.Dir, "dir", "/tmp", "a directory that may be written to")
	cmd.Flags().IntVar(&native.Outside, "outside", 1, "a process of this user that is not in this sandbox")
	return cmd
}
