package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"rocca/internal/aws/client"
	"rocca/internal/aws/settings"
)

func newAWSCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "aws",
		Short: "Run a Matomo server on AWS: rendered, planned, deployed, taken away again",
		Long: `Run a hardened Matomo server on AWS. rocca-aws.yaml says what is wanted; it is
rendered to plain CloudFormation templates and deployed by change sets, after
you have seen what would change, what it costs and what would be lost.

Start with "rocca aws init", then "rocca aws doctor" and "rocca aws plan".`,
		RunE: showHelp,
	}
	cmd.AddCommand(newAWSInitCommand())
	cmd.AddCommand(newAWSInfoCommand(), newAWSVerifyCommand())
	cmd.AddCommand(newAWSSSHCommand(), newAWSTunnelCommand())
	cmd.AddCommand(newAWSBootCommand(), newAWSKeysCommand(), newAWSReportCommand())
	cmd.AddCommand(newAWSSynthCommand())
	cmd.AddCommand(newAWSPlanCommand(), newAWSDeployCommand(), newAWSDestroyCommand(), newAWSProvisionCommand())
	cmd.AddCommand(newAWSCostCommand(), newAWSDoctorCommand(), newAWSImageCommand())
	cmd.AddCommand(newAWSPolicyCommand(), newAWSAccountCommand())
	cmd.AddCommand(newAWSAuditCommand(), newAWSWatchCommand(), newAWSRotateCommand(), newAWSRespondCommand())
	return cmd
}

// awsFlags are the flags of the verbs that speak about a deployment.
type awsFlags struct {
	config  string // rocca-aws.yaml
	profile string // of the AWS CLI's configuration
	world   bool   // SSH may be open to everybody
}

// add gives them to a verb that signs in to AWS.
func (f *awsFlags) add(cmd *cobra.Command) {
	f.addConfig(cmd)
	cmd.Flags().StringVar(&f.profile, "aws-profile", "", "profile of the AWS CLI's configuration (default: AWS_PROFILE)")
}

// addConfig gives a verb that only reads the settings those that it needs.
func (f *awsFlags) addConfig(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&f.config, "config", "c", settings.DefaultPath, "what is wanted: rocca-aws.yaml, or cdk.json with the context matomo")
	cmd.Flags().BoolVar(&f.world, "i-accept-world-ssh", false, "take a network.ssh that opens port 22 to everybody; it stays a finding")
}

// named is the flag that the next command needs to mean the same settings.
func (f *awsFlags) named() string {
	if f.config == settings.DefaultPath {
		return ""
	}
	return " -c " + f.config
}

// wanted reads the settings.
func (f *awsFlags) wanted() (settings.Settings, error) {
	var options []settings.Option
	if f.world {
		options = append(options, settings.AcceptWorldSSH)
	}
	wanted, err := settings.Load(f.config, options...)
	if err != nil {
		return settings.Settings{}, fmt.Errorf("read what is wanted: %w", err)
	}
	return wanted, nil
}

// load reads the settings, and signs in to AWS in their region.
func (f *awsFlags) load(ctx context.Context) (settings.Settings, client.Config, error) {
	wanted, err := f.wanted()
	if err != nil {
		return settings.Settings{}, client.Config{}, err
	}
	cloud, err := client.Load(ctx, client.Options{Profile: f.profile, Region: wanted.Region})
	return wanted, cloud, err
}
