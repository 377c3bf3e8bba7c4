package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"rocca/internal/aws/provision"
	"rocca/internal/aws/stack"
)

func newAWSProvisionCommand() *cobra.Command {
	var flags awsFlags
	var revoke bool
	cmd := &cobra.Command{
		Use:   "provision",
		Short: "Let new servers make Matomo's accounts in the database, for half an hour",
		Long: fmt.Sprintf(`Let the servers of a deployment read the secret of the database's administrator
for %d minutes, so that the first of them makes the accounts that Matomo uses.
In normal life they must not read it. The right ends by itself.

rocca aws deploy does this when it is needed: this is for who deploys with cdk.
Give it after the stack with the data is there, while that with the servers is
being made.`, int(provision.Lasts.Minutes())),
		Example: "  cdk deploy matomo-base matomo-data; rocca aws provision; cdk deploy matomo-app; rocca aws provision --revoke",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := flags.open(cmd, false)
			if err != nil {
				return err
			}
			return d.provision(cmd.Context(), revoke)
		},
	}
	flags.add(cmd)
	cmd.Flags().BoolVar(&revoke, "revoke", false, "take the right back now")
	return cmd
}

func (d *awsDeployment) provision(ctx context.Context, revoke bool) error {
	if !d.wanted.RDS() {
		return errors.New("let servers make accounts: this deployment has its database on the server itself, which needs no right\nhint: nothing is to be done")
	}
	names := stackNames(d.wanted)
	names.Stacks = slices.DeleteFunc(names.Stacks, func(s stack.Stack) bool { return s.Role != stack.Base && s.Role != stack.Data })
	known, err := d.Known(ctx, names, stack.Known{})
	if err != nil {
		return err
	}
	right := d.right(known)
	out := d.cmd.OutOrStdout()
	if revoke {
		if err := provision.Revoke(ctx, d.cloud, right.Role); err != nil {
			return err
		}
		fmt.Fprintln(out, "the servers may not read the secret of the database's administrator")
		return nil
	}
	until := time.Now().Add(provision.Lasts)
	if err := provision.Grant(ctx, d.cloud, right, until); err != nil {
		return err
	}
	fmt.Fprintf(out, "the servers may read the secret of the database's administrator until %s\n", until.Format("15:04:05 MST"))
	return nil
}
