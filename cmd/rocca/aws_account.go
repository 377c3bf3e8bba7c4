package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"rocca/internal/aws/account"
	"rocca/internal/aws/client"
)

func newAWSAccountCommand() *cobra.Command {
	var flags awsFlags
	var plan, yes bool
	var phone string
	cmd := &cobra.Command{
		Use:   "account",
		Short: "Look at the settings of the whole AWS account, and raise those that are low",
		Long: `Look at the settings of the whole account and region that the deployment leans
on, and raise those that are low, after asking: encryption of volumes, no public
snapshots, images and buckets, IMDSv2, the default security group of the
deployment's network, Access Analyzer, GuardDuty, AWS Config, Security Hub,
Inspector, the security contact.

What is set already stays, by whomever. What bills is turned on only when
rocca-aws.yaml or its profile asks for it (account.guardduty and others), and
the price is told first. What cannot be read is told as unknown. --plan changes nothing, and shows
the commands that would take each change back.

Exit status: 0 all is as it should be, 1 with --plan: something would be raised,
2 nothing was changed, 3 something could not be seen, 5 something was refused.`,
		Example: "  rocca aws account --plan\n  rocca aws account\n  rocca aws account --yes --phone '+49 30 5550100'",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			wanted, cloud, err := flags.load(cmd.Context())
			if err != nil {
				return err
			}
			who, err := client.Who(cmd.Context(), cloud)
			if err != nil {
				return err
			}
			readings := account.Look(cmd.Context(), account.Settings(cloud, account.Wanted{
				Deployment: wanted.Name, Account: who.Account, Email: wanted.Email, Phone: phone, Services: wanted.Account,
			}))
			out := cmd.OutOrStdout()
			fmt.Fprintf(out, "account %s, %s\n\n", who.Account, wanted.Region)
			showReadings(out, readings, plan)
			low, unseen := account.Count(readings, account.Raise), account.Count(readings, account.Unknown)
			switch {
			case low == 0 && unseen > 0:
				return &exitError{code: exitUnseen}
			case low == 0:
				return nil
			case plan:
				return &exitError{code: exitFindings}
			case !yes && !hasTerminal(cmd):
				return errors.New("ask before changing this account: there is no terminal to ask on\nhint: --yes raises what is low, --plan only looks")
			case !yes:
				if err := ask(cmd, fmt.Sprintf("Raise %s?", count(low, "setting"))); err != nil {
					return err
				}
			}
			return raise(cmd, readings, unseen)
		},
	}
	flags.add(cmd)
	cmd.Flags().BoolVar(&plan, "plan", false, "only look, and show what would take each change back")
	cmd.Flags().BoolVar(&yes, "yes", false, "raise what is low without asking")
	cmd.Flags().StringVar(&phone, "phone", "", "telephone number of the security contact, whose address is email of rocca-aws.yaml")
	return cmd
}

// raise changes the account, and decides the exit code.
func raise(cmd *cobra.Command, readings []account.Reading, unseen int) error {
	fmt.Fprintln(cmd.OutOrStdout())
	after := account.Apply(cmd.Context(), readings)
	showReadings(cmd.OutOrStdout(), after, false)
	switch {
	case account.Count(after, account.Good) < len(after):
		return &exitError{code: exitFailed}
	case unseen > 0:
		return &exitError{code: exitUnseen}
	}
	return nil
}

// showReadings writes a line for each setting, with why and for how much below
// those that would be raised.
func showReadings(out io.Writer, readings []account.Reading, undo bool) {
	width := 0
	for _, r := range readings {
		width = max(width, len(r.Name))
	}
	below := func(text string) { fmt.Fprintf(out, "%9s%s\n", "", text) }
	for _, r := range readings {
		found, hint, _ := strings.Cut(r.Found(), "\n")
		fmt.Fprintf(out, "%-7s  %-*s  %s\n", r.Status(), width, r.Name, found)
		if hint != "" {
			below(hint)
		}
		if r.Status() != account.Raise {
			continue
		}
		below(r.Why)
		if r.Price != "" {
			below("it bills " + r.Price)
		}
		if undo {
			for _, command := range r.Undo {
				below("undo: " + command)
			}
		}
	}
}
