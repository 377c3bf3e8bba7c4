package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"rocca/internal/aws/policy"
	"rocca/internal/aws/settings"
	"rocca/internal/aws/stack"
)

func newAWSPolicyCommand() *cobra.Command {
	var config, dir, account string
	var jobs []string
	for _, job := range policy.Jobs() {
		jobs = append(jobs, string(job))
	}
	cmd := &cobra.Command{
		Use:   "policy deploy|audit|account|login|rotate|respond",
		Short: "Print the IAM policies that a job needs, and nothing beyond",
		Long: `Print the IAM policies that somebody needs who does a job with rocca:

  deploy   doctor, plan, deploy, destroy, ssh, and all that looks
  audit    what looks and changes nothing: audit, watch, doctor, info, cost,
           account --plan
  account  settings of the whole account (rocca aws account)
  login    the password of the first login (rocca aws info --first-login)
  rotate   new passwords and keys (rocca aws rotate)
  respond  an incident (rocca aws respond), with rotation

They are made from the calls that rocca's code makes and, for deploy, from what
CloudFormation needs of its caller for the resources in your templates. They
name this deployment: its stacks, roles, secrets and buckets, and no others.

IAM takes 6144 characters in a policy. What is longer comes as several, which
are attached together: on standard output as one object by name, with -o as a
file each. AWS is not called.`,
		Example: "  rocca aws policy audit\n  rocca aws policy deploy -o policies",
		Args: func(_ *cobra.Command, args []string) error {
			known := strings.Join(jobs, ", ")
			switch {
			case len(args) != 1:
				return fmt.Errorf("print the policies of a job: name one job\nhint: there are %s", known)
			case !slices.Contains(jobs, args[0]):
				return fmt.Errorf("print the policies of a job: invalid argument %q\nhint: there are %s", args[0], known)
			}
			return nil
		},
		ValidArgs: jobs,
		RunE: func(cmd *cobra.Command, args []string) error {
			wanted, err := settings.Load(config, settings.AcceptWorldSSH)
			if err != nil {
				return fmt.Errorf("read what is wanted: %w", err)
			}
			types, err := typesOf(wanted)
			if err != nil {
				return err
			}
			documents, err := policy.For(policy.Job(args[0]), policy.Scope{Deployment: wanted.Name, Region: wanted.Region, Account: account, Zone: wanted.Zone, Types: types})
			if err != nil {
				return err
			}
			if dir != "" {
				return deliverPolicies(cmd, dir, documents)
			}
			return showPolicies(cmd, documents)
		},
	}
	cmd.Flags().StringVarP(&config, "config", "c", settings.DefaultPath, "what is wanted: rocca-aws.yaml, or cdk.json with the context matomo")
	cmd.Flags().StringVarP(&dir, "out", "o", "", "directory for a file of each policy (default: standard output)")
	cmd.Flags().StringVar(&account, "account", "", "twelve digits of the account (default: whichever it is put in)")
	return cmd
}

// typesOf lists the types of resources that a deployment has. The image, which
// may not be chosen yet, does not matter for that.
func typesOf(wanted settings.Settings) ([]string, error) {
	wanted.Instance.Image = cmp.Or(wanted.Instance.Image, "ami-00000000000000000")
	set, err := stack.Render(wanted, stack.Known{})
	if err != nil {
		return nil, err
	}
	types := map[string]bool{}
	for _, s := range set.Stacks {
		for _, r := range s.Template.Resources {
			types[r.Type] = true
		}
	}
	return slices.Sorted(maps.Keys(types)), nil
}

func deliverPolicies(cmd *cobra.Command, dir string, documents []policy.Document) error {
	for _, d := range documents {
		name := filepath.Join(dir, d.Name+".json")
		if err := deliver(cmd, name, d.JSON()); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s (%d of %d characters)\n", name, d.Characters(), policy.MostCharacters)
	}
	return nil
}

func showPolicies(cmd *cobra.Command, documents []policy.Document) error {
	if len(documents) == 1 {
		_, err := cmd.OutOrStdout().Write(documents[0].JSON())
		return err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "these are %d policies, to be attached together; -o DIR writes a file of each\n", len(documents))
	byName := map[string]json.RawMessage{}
	for _, d := range documents {
		byName[d.Name] = d.JSON()
	}
	encoder := json.NewEncoder(cmd.OutOrStdout())
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(byName)
}
