package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"rocca/internal/aws/assembly"
	"rocca/internal/aws/stack"
)

func newAWSSynthCommand() *cobra.Command {
	var flags awsFlags
	var out, only string
	var asYAML bool
	cmd := &cobra.Command{
		Use:   "synth",
		Short: "Write the CloudFormation templates of a deployment, for review or for cdk",
		Long: `Render what is wanted to CloudFormation templates and write them into a
directory that is also a cloud assembly of the AWS CDK. Nothing is asked of AWS
and no credentials are needed: what one stack takes from another is looked up
when it is deployed.

The same file gives the same bytes, so that templates can be kept and compared.

With this cdk.json, cdk ls, synth, diff, deploy and destroy work:
  {"app": "rocca aws synth", "versionReporting": false}`,
		Example: "  rocca aws synth\n  rocca aws synth --stack matomo-base --yaml | less\n  rocca aws synth -o templates",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asYAML && only == "" {
				return errors.New("--yaml needs --stack: in an assembly, cdk takes JSON only")
			}
			wanted, err := flags.wanted()
			if err != nil {
				return err
			}
			further, err := flags.furtherKeys(wanted)
			if err != nil {
				return err
			}
			set, err := stack.Render(wanted, stack.Known{Server: further})
			if err != nil {
				return err
			}
			if only != "" {
				return showTemplate(cmd.OutOrStdout(), set, only, asYAML)
			}
			dir := cmp.Or(out, os.Getenv("CDK_OUTDIR"), "cdk.out")
			if err := assembly.Write(dir, set); err != nil {
				return err
			}
			return showAssembly(cmd.OutOrStdout(), dir, set)
		},
	}
	flags.addConfig(cmd)
	cmd.Flags().StringVarP(&out, "out", "o", "", "directory to write into (default: CDK_OUTDIR, which cdk sets, or cdk.out)")
	cmd.Flags().StringVar(&only, "stack", "", "print the template of one stack, such as matomo-base, and write nothing")
	cmd.Flags().BoolVar(&asYAML, "yaml", false, "with --stack: print YAML")
	return cmd
}

func showTemplate(w io.Writer, set stack.Set, name string, asYAML bool) error {
	var names []string
	for _, s := range set.Stacks {
		names = append(names, s.Name)
		if s.Name != name {
			continue
		}
		text, err := s.Template.JSON()
		if err == nil && asYAML {
			text, err = yaml.JSONToYAML(text)
		}
		if err != nil {
			return fmt.Errorf("stack %s: %w", name, err)
		}
		if !asYAML {
			text = append(text, '\n')
		}
		_, err = w.Write(text)
		return err
	}
	return fmt.Errorf("this deployment has no stack %s\nhint: it has %q", name, names)
}

func showAssembly(w io.Writer, dir string, set stack.Set) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, s := range set.Stacks {
		text, err := s.Template.JSON()
		if err != nil {
			return fmt.Errorf("stack %s: %w", s.Name, err)
		}
		fmt.Fprintf(table, "%s\t%d resources\t%d bytes\n", filepath.Join(dir, assembly.TemplateName(s)), len(s.Template.Resources), len(text))
	}
	fmt.Fprintln(table, filepath.Join(dir, assembly.Manifest))
	return table.Flush()
}
