package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"rocca/internal/aws/artefact"
	"rocca/internal/aws/deploy"
	"rocca/internal/aws/handover"
	"rocca/internal/aws/provision"
	"rocca/internal/aws/stack"
	"rocca/internal/aws/vault"
	"rocca/internal/progress"
)

func newAWSDeployCommand() *cobra.Command {
	var flags awsFlags
	var yes, attach, asJSON bool
	var allow []string
	cmd := &cobra.Command{
		Use:   "deploy",
		Short: "Plan, ask, and bring the deployment into the account, or up to date",
		Long: `Plan, show, ask, and let CloudFormation make the change sets true: first the
network and keys, then the data, then the servers. A line for each resource
tells what it is, how long it takes, and how long that usually takes.

What fails is taken back by CloudFormation. Ctrl-C leaves it running: --attach
follows it, and goes on with what is left. Afterwards the stacks cannot be
deleted, and what holds data cannot be replaced, by anybody without saying so.

What would replace or remove something that holds data needs --allow-replace
with its logical id, which rocca aws plan shows.

Exit status: 0 the deployment is as it should be, 2 nothing was begun, 3 it
goes on and nobody looks, 5 a change failed and was taken back, 6 taking back
failed too, 11 another deployment is running.`,
		Example: "  rocca aws deploy\n  rocca aws deploy --attach\n  rocca aws deploy --allow-replace Volume",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			started := time.Now()
			d, err := flags.open(cmd, asJSON)
			if err != nil {
				return err
			}
			if attach {
				if err := d.attach(cmd.Context()); err != nil {
					return awsExit(err)
				}
			}
			return awsExit(d.run(cmd.Context(), yes, allow, started))
		},
	}
	flags.add(cmd)
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.Flags().BoolVar(&attach, "attach", false, "follow what runs, then go on with what is left")
	cmd.Flags().StringArrayVar(&allow, "allow-replace", nil, "logical id of a resource that may be lost; can be given more than once")
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object per line")
	return cmd
}

// attach follows what runs.
func (d *awsDeployment) attach(ctx context.Context) error {
	end := d.openProgress()
	defer end()
	set, err := stack.Render(d.wanted, stack.Known{})
	if err != nil {
		return err
	}
	followed, err := d.Attach(ctx, set)
	d.attached = true
	if err == nil && !followed {
		d.Tell.Tell(progress.Event{Kind: progress.Note, Text: "nothing runs"})
	}
	return err
}

func (d *awsDeployment) run(ctx context.Context, yes bool, allow []string, started time.Time) error {
	if d.ownProgram() {
		// Better now than when half of the deployment is there.
		if _, err := artefact.Program(d.wanted); err != nil {
			return err
		}
	}
	plan, err := d.plan(ctx)
	if err != nil {
		return err
	}
	price := d.price(ctx, plan)
	if plan.Pending() && !d.json {
		plan.Show(d.cmd.OutOrStdout())
		price.show(d.cmd.OutOrStdout())
	}
	if err := plan.Gate(allow); err != nil {
		return err
	}
	for _, s := range plan.Stacks {
		d.note(s)
	}
	consent := deploy.Consent{AllowReplace: allow, Agree: func(s deploy.StackPlan) error {
		d.note(s)
		if yes {
			return nil
		}
		return d.agreeAgain(s)
	}}
	if !yes && plan.Pending() {
		if err := d.agree(); err != nil {
			return errors.Join(err, d.Discard(context.WithoutCancel(ctx), plan))
		}
	}
	end := d.openProgress()
	known, err := d.Apply(ctx, plan, d.render(ctx), deploy.Steps{Before: d.Before, After: d.After}, consent)
	end()
	if err == nil && d.attached && d.wanted.RDS() {
		// The run that was left could not take the right of its servers back.
		err = provision.Revoke(ctx, d.cloud, known.Physical["base.HostRole"])
	}
	if err != nil {
		return err
	}
	return d.card(plan, known, price, time.Since(started))
}

// agree asks whether the plan that was shown shall be done.
func (d *awsDeployment) agree() error {
	if !hasTerminal(d.cmd) {
		return errors.New("ask before changing this account: there is no terminal to ask on\nhint: rocca aws plan shows what would change; rocca aws deploy --yes does it")
	}
	return ask(d.cmd, "Change this account?")
}

// agreeAgain asks about a stack that turned out to need other changes.
func (d *awsDeployment) agreeAgain(s deploy.StackPlan) error {
	out := d.cmd.OutOrStdout()
	fmt.Fprintln(out, "\nnow that the stacks before it are there, more is known of this one:")
	s.Show(out)
	return ask(d.cmd, "Go on with that?")
}

// note remembers whether servers will be made, and whether the one that has the
// disk of the database will be replaced.
func (d *awsDeployment) note(s deploy.StackPlan) {
	if s.Role != stack.App {
		return
	}
	d.makes = slices.ContainsFunc(s.Changes, func(c deploy.Change) bool {
		return c.Type == "AWS::EC2::LaunchTemplate" || c.Type == "AWS::EC2::Instance" || c.Type == "AWS::AutoScaling::AutoScalingGroup"
	})
	d.replaces = !d.wanted.RDS() && slices.ContainsFunc(s.Changes, func(c deploy.Change) bool {
		return c.ID == "Server" && (c.Action == deploy.Replace || c.Action == deploy.MightReplace)
	})
}

// Before does what the stack of a role needs done first: what instances fetch
// is brought into the bucket, the vault of a second region is made, the first
// instance may make its accounts in the database, and the disk of a database is
// taken off the server that goes.
func (d *awsDeployment) Before(ctx context.Context, role string, k stack.Known) error {
	bucket := k.Physical["base.ArtefactBucket"]
	if bucket != "" && !d.uploaded {
		if err := d.upload(ctx, bucket); err != nil {
			return err
		}
	}
	switch {
	case role == stack.Watch && d.wanted.Backup.CopyRegion != "":
		return vault.Ensure(ctx, d.cloud, d.wanted.Backup.CopyRegion, d.wanted.Name, d.wanted.Backup.Days)
	case role == stack.App && d.wanted.RDS() && d.makes:
		d.Tell.Tell(progress.Event{Kind: progress.Note, Text: fmt.Sprintf("the servers may read the secret of the database's administrator for %d minutes", int(provision.Lasts.Minutes()))})
		return provision.Grant(ctx, d.cloud, d.right(k), time.Now().Add(provision.Lasts))
	case role == stack.App && d.replaces:
		return d.releaseDisk(ctx, k.Physical["data.Volume"])
	}
	return nil
}

func (d *awsDeployment) releaseDisk(ctx context.Context, volume string) (err error) {
	const step = "disk of the database"
	d.Tell.Tell(progress.Event{Kind: progress.Start, Step: step, Text: "the old server is stopped: Matomo is away until the new one is ready"})
	d.disk, err = handover.New(d.cloud).Release(ctx, volume)
	if err != nil {
		return errors.Join(err, d.returnDisk(ctx))
	}
	d.Tell.Tell(progress.Event{Kind: progress.Done, Step: step})
	return nil
}

// returnDisk gives the disk back to the server that had it, if one had.
func (d *awsDeployment) returnDisk(ctx context.Context) error {
	if d.disk.Server == "" {
		return nil
	}
	return handover.New(d.cloud).Return(context.WithoutCancel(ctx), d.disk)
}

// After takes the right back, but from servers that are still being made, and
// gives the disk back to a server that stays.
func (d *awsDeployment) After(ctx context.Context, role string, k stack.Known, failed error) error {
	var left *deploy.LeftError
	switch {
	case role != stack.App || errors.As(failed, &left):
		return nil // the right ends by itself, and the disk is on its way
	case d.wanted.RDS():
		return provision.Revoke(context.WithoutCancel(ctx), d.cloud, k.Physical["base.HostRole"])
	case failed != nil:
		return d.returnDisk(ctx)
	}
	return nil
}

func (d *awsDeployment) right(k stack.Known) provision.Right {
	return provision.Right{Role: k.Physical["base.HostRole"], Secret: k.Physical["data.MasterSecret"], Key: k.Physical["base.Key"], Region: d.wanted.Region}
}

func (d *awsDeployment) upload(ctx context.Context, bucket string) error {
	if err := d.prepareFiles(ctx, bucket); err != nil {
		return err
	}
	d.Tell.Tell(progress.Event{Kind: progress.Start, Step: "what servers fetch", Text: "into the bucket " + bucket})
	if d.ownProgram() {
		if err := d.program.Upload(ctx, d.cloud, bucket); err != nil {
			return err
		}
	}
	if d.wanted.RDS() {
		if err := d.ca.Upload(ctx, d.cloud, bucket); err != nil {
			return err
		}
	}
	d.Tell.Tell(progress.Event{Kind: progress.Done, Step: "what servers fetch"})
	d.uploaded = true
	return nil
}

// card is the end of a deployment: where it is, what it costs, what comes next.
func (d *awsDeployment) card(plan *deploy.Plan, known stack.Known, price monthly, took time.Duration) error {
	changes := 0
	for _, s := range plan.Stacks {
		changes += len(s.Changes)
	}
	result := struct {
		Kind    string            `json:"kind"`
		URL     string            `json:"url"`
		Changes int               `json:"changes"`
		Seconds float64           `json:"seconds"`
		Cost    monthly           `json:"cost"`
		Outputs map[string]string `json:"outputs"` // of the stacks, such as base.Vpc
	}{"card", "https://" + d.wanted.Domain + "/", changes, took.Round(time.Second).Seconds(), price, known.Physical}
	out := d.cmd.OutOrStdout()
	if d.json {
		if err := json.NewEncoder(out).Encode(result); err != nil {
			return fmt.Errorf("show the result: %w", err)
		}
		return nil
	}
	rows := [][2]string{{"URL", result.URL}}
	if changes == 0 {
		rows = append(rows, [2]string{"Changes", "none: the deployment is as it should be"})
	} else {
		rows = append(rows, [2]string{"Changes", fmt.Sprintf("%s in %s", count(changes, "resource"), took.Round(time.Second))})
	}
	if price.Err == "" {
		rows = append(rows, [2]string{"Cost", fmt.Sprintf("about $%.2f a month with light use", price.After)})
	}
	next := []string{"confirm the mail that AWS has sent to " + d.wanted.Email + ": alarms go there"}
	verify, ssh := "rocca aws verify --wait"+d.again, "rocca aws ssh"+d.again
	if d.wanted.Zone == "" {
		next = append(next, fmt.Sprintf("%-*s  what to add to the DNS of %s", len(verify), "rocca aws info"+d.again, d.wanted.Domain))
	}
	next = append(next, verify+"  does it work, from the outside", fmt.Sprintf("%-*s  a session, and the first login", len(verify), ssh))
	for i, text := range next {
		rows = append(rows, [2]string{map[bool]string{true: "Next"}[i == 0], text})
	}
	printCard(out, rows)
	return nil
}
