package main

import (
	"context"

	"github.com/spf13/cobra"

	"rocca/internal/aws/instance"
	"rocca/internal/aws/instance/boot"
	"rocca/internal/progress"
)

func newAWSBootCommand() *cobra.Command {
	var file, failed string
	cmd := &cobra.Command{
		Use:    "boot",
		Hidden: true, // of use on an EC2 instance only, whose user data starts it
		Short:  "Make this EC2 instance the Matomo server that its user data says",
		Long: `Make this EC2 instance the Matomo server that its user data says. The unit
rocca-boot.service does this at every boot; its output is in the journal and on
the console of the instance.

The secrets are derived from the one secret that the instance's role may read.
Where Matomo's accounts and tables are not there yet, it waits up to 20 minutes
for the right to make them, which "rocca aws deploy" or "rocca aws provision"
gives. Then it does what "rocca up --yes" does, and tells the CloudFormation
stack that waits for this instance.

Exit status: as rocca up; 2 it could not begin.`,
		Example: "  journalctl -u rocca-boot.service\n  systemctl start rocca-boot.service",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			options := boot.Options{Config: file, Tell: progress.Plain(cmd.OutOrStdout())}
			if failed != "" {
				return boot.GiveUp(cmd.Context(), options, failed)
			}
			options.Up = func(_ context.Context, s boot.Server) error {
				return bringUp(cmd, serverFlags{config: s.Config, releaseKey: s.ReleaseKey}, true, "")
			}
			return boot.Run(cmd.Context(), options)
		},
	}
	cmd.Flags().StringVarP(&file, "config", "c", instance.ConfigPath, "what this instance is for")
	cmd.Flags().StringVar(&failed, "failed", "", "only tell the stack that this instance will not come, and why")
	return cmd
}
