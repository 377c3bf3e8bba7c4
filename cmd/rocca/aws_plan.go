package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/spf13/cobra"

	"rocca/internal/aws/artefact"
	"rocca/internal/aws/client"
	"rocca/internal/aws/cost"
	"rocca/internal/aws/deploy"
	"rocca/internal/aws/handover"
	"rocca/internal/aws/settings"
	"rocca/internal/aws/stack"
	"rocca/internal/progress"
)

func newAWSPlanCommand() *cobra.Command {
	var flags awsFlags
	var drift, asJSON bool
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Show what rocca aws deploy would change, lose and cost, and change nothing",
		Long: `Let CloudFormation compare what is wanted with what is there, and show it: who
may do what and who reaches what first, in each what would be replaced or
removed, and what is lost with that; then what it costs each month.

The change sets stay in the account: rocca aws deploy executes what was shown.

Exit status: 0 nothing to do, 1 changes pending or drift, 2 it could not be
planned, 11 another deployment is running.`,
		Example: "  rocca aws plan\n  rocca aws plan --drift",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := flags.open(cmd, asJSON)
			if err != nil {
				return err
			}
			return awsExit(d.showPlan(cmd.Context(), drift))
		},
	}
	flags.add(cmd)
	cmd.Flags().BoolVar(&drift, "drift", false, "look also for what somebody has changed beside CloudFormation")
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object per line")
	return cmd
}

// awsDeployment is a deployment as the verbs see it that change it.
type awsDeployment struct {
	*deploy.Deployment
	cmd    *cobra.Command
	json   bool
	wanted settings.Settings
	server map[string]any // further keys of rocca.yaml for the servers
	cloud  client.Config
	again  string // flag by which the next command means the same settings; may be empty

	attached bool   // to what another run began
	bucket   string // that files were made for; empty: none yet
	program  artefact.File
	ca       artefact.File
	uploaded bool

	makes    bool          // servers
	replaces bool          // the server that has the disk of the database is replaced
	disk     handover.Disk // that was taken off it
}

// open reads the settings and signs in.
func (f *awsFlags) open(cmd *cobra.Command, asJSON bool) (*awsDeployment, error) {
	wanted, cloud, err := f.load(cmd.Context())
	if err != nil {
		return nil, err
	}
	d := &awsDeployment{Deployment: deploy.New(cloud, wanted.Name, nil), cmd: cmd, json: asJSON, wanted: wanted, cloud: cloud, again: f.named()}
	if wanted.Zone == "" { // else the stack proves its certificate itself
		d.Proof = deploy.CertificateRecords(cloud)
	}
	return d, nil
}

// openProgress makes what happens visible until the function that it returns is
// called.
func (d *awsDeployment) openProgress() (end func()) {
	d.Tell, end = progress.Open(d.cmd.OutOrStdout(), d.json)
	return end
}

// known is what can be known before CloudFormation is asked.
func (d *awsDeployment) known(ctx context.Context) (stack.Known, error) {
	who, err := client.Who(ctx, d.cloud)
	return stack.Known{Account: who.Account}, err
}

// render is stack.Render with the files that instances fetch, once there is a
// bucket for them.
func (d *awsDeployment) render(ctx context.Context) deploy.Render {
	return func(k stack.Known) (stack.Set, error) {
		if bucket := k.Physical["base.ArtefactBucket"]; bucket != "" {
			if err := d.prepareFiles(ctx, bucket); err != nil {
				return stack.Set{}, err
			}
			if d.ownProgram() {
				k.Program = d.program.In(bucket, d.wanted.Region)
			}
			if d.wanted.RDS() {
				k.CA = d.ca.In(bucket, d.wanted.Region)
			}
		}
		k.Server = d.server
		return stack.Render(d.wanted, k)
	}
}

// ownProgram tells whether instances get rocca from the bucket.
func (d *awsDeployment) ownProgram() bool { return d.wanted.Program.URL == "" }

func (d *awsDeployment) prepareFiles(ctx context.Context, bucket string) (err error) {
	if d.bucket == bucket {
		return nil
	}
	if d.ownProgram() {
		if d.program, err = artefact.Program(d.wanted); err != nil {
			return err
		}
	}
	if d.wanted.RDS() {
		if d.ca, err = artefact.Authorities(ctx, d.cloud, http.DefaultClient, artefact.TrustStore, bucket); err != nil {
			return err
		}
	}
	d.bucket = bucket
	return nil
}

// plan lets CloudFormation compare. That it does is no part of the result.
func (d *awsDeployment) plan(ctx context.Context) (*deploy.Plan, error) {
	var end func()
	if d.json {
		end = d.openProgress()
	} else {
		d.Tell, end = progress.Open(d.cmd.ErrOrStderr(), false)
	}
	defer end()
	known, err := d.known(ctx)
	if err != nil {
		return nil, err
	}
	return d.Plan(ctx, d.render(ctx), known)
}

func (d *awsDeployment) showPlan(ctx context.Context, drift bool) error {
	plan, err := d.plan(ctx)
	if err != nil {
		return err
	}
	price := d.price(ctx, plan)
	var drifts []deploy.Drift
	if drift {
		if drifts, err = d.Drift(ctx, plan.Set); err != nil {
			return err
		}
	}
	out := d.cmd.OutOrStdout()
	if d.json {
		err = json.NewEncoder(out).Encode(struct {
			Kind string `json:"kind"`
			*deploy.Plan
			Cost  monthly        `json:"cost"`
			Drift []deploy.Drift `json:"drift,omitempty"`
		}{"plan", plan, price, drifts})
		if err != nil {
			return fmt.Errorf("show the plan: %w", err)
		}
	} else {
		plan.Show(out)
		price.show(out)
		showGate(out, plan)
		deploy.ShowDrift(out, drifts)
		if drift && len(drifts) == 0 {
			fmt.Fprintln(out, "no drift: everything is as CloudFormation made it")
		}
	}
	if plan.Pending() || len(drifts) > 0 {
		return &exitError{code: exitFindings}
	}
	return nil
}

// showGate tells what deploy would ask for more than a yes.
func showGate(out io.Writer, plan *deploy.Plan) {
	var lost *deploy.LostError
	if errors.As(plan.Gate(nil), &lost) {
		for _, c := range lost.Changes {
			fmt.Fprintf(out, "rocca aws deploy refuses this without --allow-replace %s\n", c.ID)
		}
	}
}

// monthly is what a deployment costs each month, in US dollars with light use.
type monthly struct {
	Before float64 `json:"before"`
	After  float64 `json:"after"`
	Err    string  `json:"error,omitempty"` // why it is not known
}

func (d *awsDeployment) price(ctx context.Context, plan *deploy.Plan) monthly {
	var m monthly
	deployed, err := d.Deployed(ctx, plan.Set)
	if err == nil && len(deployed.Stacks) > 0 {
		m.Before, err = cost.Month(deployed)
	}
	if err == nil {
		m.After, err = cost.Month(plan.Set)
	}
	if err != nil {
		m.Err = err.Error()
	}
	return m
}

func (m monthly) show(out io.Writer) {
	switch {
	case m.Err != "":
		fmt.Fprintf(out, "what it costs is not known: %s\n", m.Err)
	case m.Before == 0:
		fmt.Fprintf(out, "about $%.2f a month with light use (rocca aws cost says for what)\n", m.After)
	case m.After == m.Before:
		fmt.Fprintf(out, "about $%.2f a month with light use, as now\n", m.After)
	case m.After > m.Before:
		fmt.Fprintf(out, "about $%.2f a month with light use, $%.2f more than now\n", m.After, m.After-m.Before)
	default:
		fmt.Fprintf(out, "about $%.2f a month with light use, $%.2f less than now\n", m.After, m.Before-m.After)
	}
}

// awsExit gives an error of package deploy its exit code.
func awsExit(err error) error {
	var broken *deploy.BrokenError
	var left *deploy.LeftError
	var running *deploy.RunningError
	switch {
	case errors.As(err, &broken) && broken.RolledBack:
		return &exitError{exitFailed, err}
	case errors.As(err, &broken):
		return &exitError{exitRollbackFailed, err}
	case errors.As(err, &left):
		return &exitError{exitUnseen, err}
	case errors.As(err, &running):
		return &exitError{exitLocked, err}
	}
	return err
}
