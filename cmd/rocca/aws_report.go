package main

import (
	"github.com/spf13/cobra"

	"rocca/internal/aws/instance"
	"rocca/internal/aws/instance/report"
	"rocca/internal/progress"
)

func newAWSReportCommand() *cobra.Command {
	var file string
	var install bool
	cmd := &cobra.Command{
		Use:    "report",
		Hidden: true, // of use on an EC2 instance only, where a timer starts it
		Short:  "Tell AWS how this EC2 instance is, and what is new in its journal",
		Long: `Tell AWS how this EC2 instance is, and what is new in its journal. The timer
rocca-report.timer does this every five minutes.

Sent are, as metrics of CloudWatch: how full the fullest disk and the memory
are, whether the tracker answers (a hit for a site that nobody has, so that
nothing is recorded), and the index of the last audit. To the log group of
instances goes what rocca's units, the front, the database, SSH, sudo and the
kernel (warnings) say; access logs, which tell of visitors, stay here.

Exit status: 0 all was sent, 1 something was not, or this is no EC2 instance.`,
		Example: "  systemctl start rocca-report.service\n  journalctl -u rocca-report.service",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if install {
				err = report.Install(cmd.Context())
			} else {
				err = report.Run(cmd.Context(), report.Options{Config: file, Tell: progress.Plain(cmd.OutOrStdout())})
			}
			if err != nil {
				return &exitError{exitFindings, err}
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&file, "config", "c", instance.ConfigPath, "what this instance is for")
	cmd.Flags().BoolVar(&install, "install", false, "only make the timer, and let it begin when this boot is through")
	return cmd
}
