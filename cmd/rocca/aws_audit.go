package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"rocca/internal/aws/audit"
	"rocca/internal/aws/client"
	"rocca/internal/aws/settings"
	"rocca/internal/aws/verify"
	"rocca/internal/collect/cloud"
	"rocca/internal/control"
	"rocca/internal/facts"
	"rocca/internal/model"
	"rocca/internal/report"
)

type awsAuditFlags struct {
	aws     awsFlags
	report  reportFlags
	all     bool
	region  string
	as      string // profile to judge by, where there are no settings
	from    string
	save    string
	diff    string
	offline bool
}

func newAWSAuditCommand() *cobra.Command {
	var flags awsAuditFlags
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Check the deployment and its account against all controls, and report",
		Long: `Look at everything that a deployment is made of in AWS, evaluate every control
of the area AWS, and report: the ten lines of the AWS guide's checklist with
what was seen, then every finding with its evidence and the exact fix. It only
reads, and never fetches the value of a secret. The public name is looked at as
a visitor would (rocca aws verify), but not with --offline.

What AWS refuses to show is unknown, and never passes: rocca aws policy audit
prints the rights that it takes. A finding can be waived for a time, with an
owner and a reason (waivers: in rocca-aws.yaml).

With --all it looks at everything of the region, also a stack that is not
rocca's; then there need not be a rocca-aws.yaml, and --profile says which size
to judge by. --save keeps what was seen; --from judges it again, anywhere, and
--diff tells what is new and fixed since an earlier one.

Exit status: 0 no finding of the chosen severity, 1 findings, 2 usage or
credentials, 3 no such finding, but something could not be seen.`,
		Example: `  rocca aws audit
  rocca aws audit --format html -o report.html
  rocca aws audit --save today.json --diff yesterday.json
  rocca aws audit --all --region us-east-1 --profile single --only AWS-04,AWS-07
  rocca aws audit --from today.json --fail-on high`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return flags.run(cmd) },
	}
	f := cmd.Flags()
	flags.aws.add(cmd)
	flags.report.add(cmd, "verbose")
	f.BoolVar(&flags.all, "all", false, "look at everything of the region, not only at the deployment")
	f.StringVar(&flags.region, "region", "", "with --all and without rocca-aws.yaml: region to look at (default: as the AWS CLI)")
	f.StringVar(&flags.as, "profile", "", "with --all and without rocca-aws.yaml: judge as this size: single, standard or scale")
	f.StringVar(&flags.from, "from", "", "judge what an earlier audit saved (--save); nothing is asked")
	f.StringVar(&flags.save, "save", "", "write what was seen to this file (JSON, no secrets)")
	f.StringVar(&flags.diff, "diff", "", "what an earlier audit saved: tell what is new and what is fixed")
	f.BoolVar(&flags.offline, "offline", false, "do not look at the public name")
	_ = cmd.RegisterFlagCompletionFunc("profile", cobra.FixedCompletions([]string{"single", "standard", "scale"}, cobra.ShellCompDirectiveNoFileComp))
	cmd.MarkFlagsMutuallyExclusive("from", "save")
	return cmd
}

func (f *awsAuditFlags) run(cmd *cobra.Command) error {
	judge, err := f.report.read(cmd, control.OfCloud())
	if err != nil {
		return err
	}
	var before model.Report
	if f.diff != "" {
		old, err := readFacts(cmd, f.diff)
		if err != nil {
			return fmt.Errorf("read what was saved: %w", err)
		}
		before = cloudReport(old, judge.controls)
	}
	server, err := f.server(cmd)
	if err != nil {
		return err
	}
	if f.save != "" {
		if err := deliverFacts(cmd, f.save, server); err != nil {
			return err
		}
	}
	r := cloudReport(server, judge.controls)
	if f.diff != "" {
		r.Changes = model.Compare(r, before)
	}
	return judge.tell(cmd, r)
}

// cloudReport audits a deployment.
func cloudReport(server facts.Server, controls []control.Control) model.Report {
	findings := control.See(server).Audit(controls)
	return model.Report{
		Version: report.Version, Tool: "rocca " + version(), Server: deploymentName(server.Cloud), Subject: deploymentSubject(server.Cloud), Observed: server.Observed,
		Findings: findings, Summary: model.Summarise(findings), Checklist: control.Checklist(findings),
	}
}

func deploymentName(c facts.Cloud) string {
	if c.Deployment == "" {
		return "everything in " + c.Region
	}
	return c.Deployment + " in " + c.Region
}

func deploymentSubject(c facts.Cloud) string {
	text := "AWS account " + c.Account
	if c.Wanted.Profile != "" {
		text += ", judged as profile " + c.Wanted.Profile
	}
	return text + fmt.Sprintf(", %s, %s, %s, %s", count(len(c.Instances), "instance"), count(len(c.Databases), "database"), count(len(c.Balancers), "load balancer"), count(len(c.Groups), "security group"))
}

// server observes the account, or reads what was saved.
func (f *awsAuditFlags) server(cmd *cobra.Command) (facts.Server, error) {
	if f.from != "" {
		server, err := readFacts(cmd, f.from)
		if err == nil && server.Cloud.Account == "" {
			err = fmt.Errorf("%s: it holds nothing of AWS\nhint: rocca aws audit --save writes such a file", f.from)
		}
		return server, err
	}
	ctx := cmd.Context()
	wanted, err := f.settings(cmd)
	if err != nil {
		return facts.Server{}, err
	}
	from, err := client.Load(ctx, client.Options{Profile: f.aws.profile, Region: wanted.Region})
	if err != nil {
		return facts.Server{}, err
	}
	o := cloud.Options{Now: time.Now()}
	if wanted.Profile != "" { // somebody decided
		o.Wanted = audit.Wanted(wanted)
	}
	if !f.all {
		o.Deployment = wanted.Name
	}
	if wanted.Domain != "" && !f.offline {
		o.Seen = func(ctx context.Context) ([]facts.Seen, error) { return seen(ctx, wanted) }
	}
	server, err := cloud.Observe(ctx, from, o)
	server.Declared.Waivers = waivers(wanted.Waivers)
	return server, err
}

// settings reads rocca-aws.yaml. With --all there need not be one.
func (f *awsAuditFlags) settings(cmd *cobra.Command) (settings.Settings, error) {
	wanted, err := f.aws.wanted()
	if err == nil && (f.as != "" || f.region != "") {
		return wanted, errors.New("read what is wanted: --profile and --region are for accounts without a rocca-aws.yaml\nhint: leave them out, or name another file with -c")
	}
	if err == nil || !f.all || cmd.Flags().Changed("config") {
		return wanted, err
	}
	if f.as == "" {
		return settings.Settings{Region: f.region}, nil
	}
	if !slices.Contains(profiles, settings.Profile(f.as)) {
		return wanted, fmt.Errorf("judge as profile %q: there are single, standard and scale", f.as)
	}
	return settings.Defaults(settings.Profile(f.as), "", f.region), nil
}

// seen looks at the public name.
func seen(ctx context.Context, wanted settings.Settings) ([]facts.Seen, error) {
	var all []facts.Seen
	for _, c := range verify.Look(ctx, verify.Target{URL: publicURL(wanted)}) {
		all = append(all, facts.Seen{ID: c.ID, Status: string(c.Status), Text: c.Found})
	}
	return all, nil
}
