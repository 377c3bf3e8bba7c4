package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"rocca/internal/aws/artefact"
	"rocca/internal/aws/deploy"
	"rocca/internal/aws/leftover"
	"rocca/internal/aws/settings"
	"rocca/internal/aws/stack"
)

func newAWSDestroyCommand() *cobra.Command {
	var flags awsFlags
	var asJSON, deleteData bool
	var yes string
	keepData := true
	cmd := &cobra.Command{
		Use:   "destroy",
		Short: "Take the deployment out of the account; its data stays unless you say otherwise",
		Long: `Show what would go, have its name typed, and let CloudFormation delete the
stacks: servers first, then data, then network and keys. Of databases and
volumes a last snapshot is taken; buckets, keys and secrets stay, as snapshots
cannot be read without them. In the end it lists what is left and goes on to
cost money.

With --delete-data nothing is kept: that has to be typed once more. What is
under a retention lock stays nevertheless.

Exit status: 0 it is gone, 2 nothing was begun, 3 it goes on and nobody looks,
6 something could not be deleted, 11 a deployment is running.`,
		Example: "  rocca aws destroy\n  rocca aws destroy --yes matomo",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := flags.open(cmd, asJSON)
			if err != nil {
				return err
			}
			return awsExit(d.destroy(cmd.Context(), keepData && !deleteData, yes))
		},
	}
	flags.add(cmd)
	cmd.Flags().StringVar(&yes, "yes", "", "name of the deployment, instead of having it typed; with --delete-data NAME:delete-data")
	cmd.Flags().BoolVar(&keepData, "keep-data", true, "keep buckets, keys, secrets and last snapshots")
	cmd.Flags().BoolVar(&deleteData, "delete-data", false, "keep nothing")
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object per line")
	return cmd
}

func (d *awsDeployment) destroy(ctx context.Context, keepData bool, yes string) error {
	removals, err := d.Removals(ctx, d.named(), keepData)
	if err != nil {
		return err
	}
	out := d.cmd.OutOrStdout()
	if len(removals) == 0 {
		fmt.Fprintln(d.cmd.ErrOrStderr(), "nothing of this deployment is there")
		return d.showLeft(ctx, nil)
	}
	if d.json {
		if err := json.NewEncoder(out).Encode(map[string]any{"kind": "plan", "removals": removals}); err != nil {
			return fmt.Errorf("show the plan: %w", err)
		}
	} else {
		deploy.ShowRemovals(out, removals)
	}
	if err := d.confirmEnd(keepData, yes); err != nil {
		return err
	}
	end := d.openProgress()
	left, err := d.Destroy(ctx, removals, keepData, func(ctx context.Context, bucket string) error { return artefact.Empty(ctx, d.cloud, bucket) })
	end()
	return errors.Join(err, d.showLeft(ctx, left))
}

// named are the stacks by name, and in words as far as they can be rendered: a
// file that has become wrong must not keep a deployment alive.
func (d *awsDeployment) named() stack.Set {
	if set, err := stack.Render(d.wanted, stack.Known{}); err == nil {
		return set
	}
	return stackNames(d.wanted)
}

func stackNames(s settings.Settings) stack.Set {
	set := stack.Set{Settings: s}
	for _, role := range stack.Roles() {
		set.Stacks = append(set.Stacks, stack.Stack{Role: role, Name: s.StackName(role)})
	}
	return set
}

// confirmEnd has the name of the deployment typed; and that its data goes, when
// it does.
func (d *awsDeployment) confirmEnd(keepData bool, yes string) error {
	name := d.wanted.Name
	sure := name
	if !keepData {
		sure += ":delete-data"
	}
	switch {
	case yes == sure:
		return nil
	case yes != "":
		return fmt.Errorf("destroy the deployment %s: --yes has another name\nhint: --yes %s", name, sure)
	case !hasTerminal(d.cmd):
		return fmt.Errorf("ask before destroying the deployment %s: there is no terminal to ask on\nhint: rocca aws destroy --yes %s", name, sure)
	}
	lines := bufio.NewReader(d.cmd.InOrStdin())
	out := d.cmd.OutOrStdout()
	if err := typed(lines, out, "Type the name of the deployment to destroy it: ", name); err != nil {
		return err
	}
	if keepData {
		return nil
	}
	return typed(lines, out, "Its data goes, too, and cannot be had back. Type \"delete-data\": ", "delete-data")
}

// typed asks for a text. Anything else ends in an error.
func typed(lines *bufio.Reader, out io.Writer, question, want string) error {
	fmt.Fprint(out, question)
	line, err := lines.ReadString('\n')
	if err != nil || strings.TrimSpace(line) != want {
		return &exitError{exitUsage, errors.New("nothing was changed")}
	}
	return nil
}

// showLeft lists what is left in the account, of what is known and what is
// found.
func (d *awsDeployment) showLeft(ctx context.Context, left []deploy.Left) error {
	found, err := leftover.Find(context.WithoutCancel(ctx), d.cloud, d.wanted.Name)
	left = append(left, found...)
	out := d.cmd.OutOrStdout()
	if d.json {
		if err := json.NewEncoder(out).Encode(map[string]any{"kind": "left", "left": left}); err != nil {
			return fmt.Errorf("show what is left: %w", err)
		}
		return err
	}
	if len(left) > 0 {
		fmt.Fprintln(out, "\nleft in the account:")
	}
	for _, l := range left {
		fmt.Fprintf(out, "  %s %s: %s\n", l.What, l.ID, l.Why)
	}
	if d.wanted.RDS() {
		fmt.Fprintln(out, "logs that RDS made itself may be left: aws logs describe-log-groups --log-group-name-prefix /aws/rds/instance/"+d.wanted.Name)
	}
	return err
}
