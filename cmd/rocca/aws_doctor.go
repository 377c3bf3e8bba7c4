package main

import (
	"time"

	"github.com/spf13/cobra"

	"rocca/internal/aws/doctor"
)

func newAWSDoctorCommand() *cobra.Command {
	var flags awsFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look at whether the account and the region are fit for the deployment",
		Long: `Look at whether the account and the region are fit for what is wanted, before
anything is made: credentials, region, availability zones, services, instance
type, image, version of the database, certificate, DNS zone, addresses of other
networks, names, quotas. It only reads. What it is not allowed to see is told as
unknown, never as ok.

Exit status: 0 nothing stands in the way, 1 something does, 2 the settings or
credentials are wrong, 3 something could not be seen.`,
		Example: "  rocca aws doctor\n  rocca aws doctor --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			wanted, cloud, err := flags.load(cmd.Context())
			if err != nil {
				return err
			}
			return tellChecks(cmd.OutOrStdout(), doctor.Examine(cmd.Context(), cloud, wanted, time.Now()), asJSON)
		},
	}
	flags.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
