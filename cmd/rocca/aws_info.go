package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"rocca/internal/aws/client"
	"rocca/internal/aws/info"
	"rocca/internal/aws/login"
	"rocca/internal/aws/stack"
)

func newAWSInfoCommand() *cobra.Command {
	var flags awsFlags
	var asJSON, first bool
	cmd := &cobra.Command{
		Use:   "info",
		Short: "Tell what is deployed: address, stacks, servers, how to get in",
		Long: `Tell what is deployed: the address of Matomo, the stacks and what they made, the
servers that run, and how to open a session on them. It reads no secret and
writes no file. The exit code is 1 when the deployment is not whole.

With --first-login it shows the password that the first login of Matomo was made
with, and nothing else. AWS records who asked, and the owner gets an alarm. Log
in with it once, change it and turn the second factor on.`,
		Example: "  rocca aws info\n  rocca aws info --json\n  rocca aws info --first-login",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			wanted, cloud, err := flags.load(cmd.Context())
			if err != nil {
				return err
			}
			deployed, err := info.Of(cmd.Context(), cloud, wanted)
			if err != nil {
				return err
			}
			if first {
				return showFirstLogin(cmd, cloud, deployed)
			}
			if asJSON {
				encoder := json.NewEncoder(cmd.OutOrStdout())
				encoder.SetIndent("", "  ")
				err = encoder.Encode(deployed)
			} else {
				err = showDeployment(cmd.OutOrStdout(), deployed)
			}
			if err == nil && !deployed.Ready() {
				return &exitError{code: exitFindings}
			}
			return err
		},
	}
	flags.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&first, "first-login", false, "show the password of the first login instead")
	cmd.MarkFlagsMutuallyExclusive("json", "first-login")
	return cmd
}

// showFirstLogin prints the password of the first login, which nothing else does.
func showFirstLogin(cmd *cobra.Command, cloud client.Config, d info.Deployment) error {
	arn := d.Output(stack.Data, "Secret")
	if arn == "" {
		return fmt.Errorf("show the first login: %s has no secret yet\nhint: rocca aws deploy", d.Name)
	}
	password, err := login.First(cmd.Context(), cloud, arn)
	if err != nil {
		return fmt.Errorf("show the first login: %w", err)
	}
	fmt.Fprintln(cmd.ErrOrStderr(), "the login is owner, unless superuser.login in the file of server: says otherwise; change its password now")
	_, err = fmt.Fprintln(cmd.OutOrStdout(), password.Reveal())
	return err
}

func showDeployment(w io.Writer, d info.Deployment) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "%s\t%s in %s\n", d.Name, d.Profile, d.Region)
	if len(d.Stacks) == 0 {
		fmt.Fprintln(table, "nothing is deployed\trocca aws plan")
		return table.Flush()
	}
	fmt.Fprintf(table, "address\t%s\n", d.URL)
	if d.Record != "" {
		fmt.Fprintf(table, "in your DNS\t%s\n", d.Record)
	}
	fmt.Fprintln(table)
	for _, s := range d.Stacks {
		protected := "not protected"
		if s.Protected {
			protected = "protected"
		}
		fmt.Fprintf(table, "stack %s\t%s, %s, %s\n", s.Name, s.State, protected, s.Changed.Format(time.DateTime))
		for _, key := range slices.Sorted(maps.Keys(s.Outputs)) {
			fmt.Fprintf(table, "  %s\t%s\n", key, s.Outputs[key])
		}
	}
	fmt.Fprintln(table)
	for _, i := range d.Instances {
		where := i.Address
		if i.Public != "" {
			where += ", " + i.Public
		}
		fmt.Fprintf(table, "server %s\t%s, %s, %s, %s, since %s\n", i.ID, i.Role, i.Type, i.Zone, where, i.Since.Format(time.DateTime))
	}
	if len(d.Instances) > 0 {
		fmt.Fprintf(table, "\nsession\trocca aws ssh --instance %s\n", d.Instances[0].ID)
	}
	return table.Flush()
}
