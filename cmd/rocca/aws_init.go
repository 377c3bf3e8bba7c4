package main

import (
	"bufio"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"rocca/internal/aws/settings"
	"rocca/internal/document"
)

// awsAnswers are what only the owner of a deployment can say.
type awsAnswers struct {
	name, profile, region, domain, email string
}

func newAWSInitCommand() *cobra.Command {
	var given awsAnswers
	var file, from string
	var yes, dryRun bool
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Ask what is wanted on AWS and write it down in rocca-aws.yaml",
		Long: `Write a rocca-aws.yaml with every key and what it means. What no flag answers is
asked on the terminal. A file that exists is never overwritten, and AWS is not
called. In a region of the European Union, the file says that no data leaves it
(data_residency: eu).

With --from, an existing cdk.json is read: its context "matomo" keeps its
meaning, and what cannot be kept is told.

Exit status: 0 written, 2 something is missing or wrong, or the file exists.`,
		Example: `  rocca aws init
  rocca aws init --domain stats.example.org --email ops@example.org --region eu-central-1 --profile standard
  rocca aws init --from cdk.json --dry-run`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !dryRun {
				if err := settings.Vacant(file); err != nil {
					return err
				}
			}
			found, notes, err := imported(from, given)
			if err != nil {
				return err
			}
			for _, note := range notes {
				fmt.Fprintf(cmd.ErrOrStderr(), "note: %s\n", note)
			}
			if err := complete(cmd, &given, found, yes); err != nil {
				return err
			}
			// The profile and the region decide what the other defaults are.
			wanted, _, err := imported(from, given)
			if err != nil {
				return err
			}
			wanted.Domain, wanted.Email = given.domain, given.email
			if given.name != "" {
				wanted.Name = given.name
			}
			if wanted.EU() {
				wanted.DataResidency = "eu"
			}
			if problems := wanted.Problems(); len(problems) > 0 {
				return &document.Error{Problems: problems}
			}
			if dryRun {
				_, err := cmd.OutOrStdout().Write(settings.Template(wanted))
				return err
			}
			if err := settings.Write(file, wanted); err != nil {
				return err
			}
			named := (&awsFlags{config: file}).named()
			fmt.Fprintf(cmd.OutOrStdout(), "wrote %s; next:\n", file)
			for _, next := range [][2]string{
				{"image --pin", "the machine image that servers start from"},
				{"doctor", "is there all that it needs: credentials, quotas, names"},
				{"cost", "what it costs per month"},
				{"plan", "what would be made"},
			} {
				fmt.Fprintf(cmd.OutOrStdout(), "  %-*s  %s\n", len("rocca aws image --pin"+named), "rocca aws "+next[0]+named, next[1])
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&given.domain, "domain", "", "name that visitors use, such as stats.example.org")
	flags.StringVar(&given.email, "email", "", "address that gets the alarms")
	flags.StringVar(&given.region, "region", "", "region of AWS, such as eu-central-1")
	flags.StringVar(&given.profile, "profile", "", "size: single, standard or scale")
	flags.StringVar(&given.name, "name", "", "name of the deployment (default: matomo)")
	flags.StringVarP(&file, "output", "o", settings.DefaultPath, "file to write")
	flags.StringVar(&from, "from", "", "cdk.json to take settings from")
	flags.BoolVarP(&yes, "yes", "y", false, "take the profile single where none is named, without asking")
	flags.BoolVar(&dryRun, "dry-run", false, "print the file instead of writing it")
	return cmd
}

// imported is what a cdk.json says, or else the defaults. Notes tell what of it
// could not be kept.
func imported(from string, given awsAnswers) (settings.Settings, []document.Problem, error) {
	if from == "" {
		return settings.Defaults(settings.Profile(given.profile), "", given.region), nil, nil
	}
	return settings.Import(from, settings.Profile(given.profile), given.region)
}

// complete fills in what no flag says: from an imported file, or by asking.
func complete(cmd *cobra.Command, given *awsAnswers, found settings.Settings, yes bool) error {
	questions := []struct {
		flag, text string
		answer     *string
		found      string
		otherwise  string // what an empty answer means; empty: it is asked again
	}{
		{"profile", "Size: single (one server), standard (with a standby database) or scale (many servers)", &given.profile, string(found.Profile), "single"},
		{"region", "Region of AWS, such as eu-central-1 (Frankfurt)", &given.region, found.Region, ""},
		{"domain", "Name that visitors use, such as stats.example.org", &given.domain, found.Domain, ""},
		{"email", "Address that gets the alarms", &given.email, found.Email, ""},
	}
	input := bufio.NewReader(cmd.InOrStdin())
	var missing []string
	for _, q := range questions {
		if *q.answer == "" {
			*q.answer = q.found
		}
		switch {
		case *q.answer != "":
		case yes && q.otherwise != "":
			*q.answer = q.otherwise
		case !hasTerminal(cmd):
			missing = append(missing, "--"+q.flag)
		}
	}
	if len(missing) > 0 {
		return errors.New("ask what is wanted: there is no terminal to ask on\nhint: say it by " + strings.Join(missing, ", "))
	}
	for _, q := range questions {
		for *q.answer == "" {
			text, err := askText(cmd, input, q.text, q.otherwise)
			if err != nil {
				return err
			}
			*q.answer = text
			if problem := problemOf(q.flag, *given); problem != "" {
				fmt.Fprintln(cmd.OutOrStdout(), problem)
				*q.answer = ""
			}
		}
	}
	return nil
}

// problemOf is what is wrong with the answer to one question.
func problemOf(key string, given awsAnswers) string {
	trial := settings.Defaults(settings.Profile(given.profile), "", given.region)
	trial.Domain, trial.Email = given.domain, given.email
	for _, p := range trial.Problems() {
		if p.Key == key {
			return p.String()
		}
	}
	return ""
}

// askText asks for a line of text on a terminal.
func askText(cmd *cobra.Command, input *bufio.Reader, question, otherwise string) (string, error) {
	if otherwise != "" {
		question += " [" + otherwise + "]"
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s: ", question)
	line, err := input.ReadString('\n')
	if err != nil {
		return "", &exitError{exitUsage, errors.New("nothing was written")}
	}
	if text := strings.TrimSpace(line); text != "" {
		return text, nil
	}
	return otherwise, nil
}
