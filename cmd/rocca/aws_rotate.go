package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"rocca/internal/aws/rotate"
	"rocca/internal/aws/settings"
	"rocca/internal/aws/stack"
)

func newAWSRotateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Give the deployment new passwords while it runs",
		Long: `Give the deployment new passwords while it runs: show what would happen and who
notices, ask, and do it step by step. At each moment every server has passwords
that work: what is interrupted or fails goes on with "resume", or back to the
old passwords with "abort", from any computer.

On a server of your own: rocca rotate.`,
		Args: cobra.NoArgs,
		RunE: showHelp,
	}
	cmd.AddCommand(
		newAWSRotateKind(rotate.Database, "Matomo's accounts in the database", `Give Matomo's accounts in the database new passwords. A second set of accounts
is made, with the same rights, and tried; then server after server goes over to
it, without losing a request; when no session uses the first set any more, that
is locked. For making and locking, one server may be the database's
administrator, for half an hour at most.

"repair" sets the accounts to what the app secret says, after the database was
restored to an older point.`),
		newAWSRotateKind(rotate.Master, "the administrator of the database", `Have RDS give the database's administrator another password, now. RDS does so
by itself every week, and keeps the password in a secret of its own.`),
		newAWSRotateKind(rotate.Cache, "Matomo's account in the cache", `Give Matomo's account in the cache another password. The cache takes both until
all servers have gone over.`),
		newAWSRotateKind(rotate.Mail, "the account on a mail server", `Say where the password of a mail server is changed: rocca keeps none.`),
		newAWSRotateKind(rotate.Salt, "the salt of sessions and tokens", `Give Matomo another salt, on all servers at once. Everybody is logged out, and
all API tokens stop working: it is for after a break-in.`),
		newAWSRotateTokens(),
	)
	return cmd
}

// awsRotation is a rotation as its verb sees it.
type awsRotation struct {
	awsFlags
	kind   rotate.Kind
	dryRun bool
	yes    bool
	json   bool
	wait   time.Duration
	tokens []string
}

func newAWSRotateKind(kind rotate.Kind, what, long string) *cobra.Command {
	var valid []string
	use := string(kind)
	for i, action := range kind.Actions() {
		valid = append(valid, string(action))
		use += map[bool]string{true: " [", false: "|"}[i == 0] + string(action)
	}
	args := cobra.NoArgs
	if len(valid) > 0 {
		use += "]"
		args = cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs)
	}
	r := awsRotation{kind: kind}
	cmd := &cobra.Command{
		Use:   use,
		Short: "Rotate " + what,
		Long: long + `

Exit status: 0 done, 2 nothing was changed, 6 it stopped half-way: all goes on
to work, and the message says how to go on.`,
		Example:   "  rocca aws rotate " + string(kind) + " --dry-run",
		Args:      args,
		ValidArgs: valid,
		RunE: func(cmd *cobra.Command, args []string) error {
			return r.run(cmd, rotate.Action(verbOf(args)))
		},
	}
	r.flags(cmd)
	return cmd
}

func newAWSRotateTokens() *cobra.Command {
	r := awsRotation{kind: rotate.Tokens}
	var all bool
	var user string
	var days int
	cmd := &cobra.Command{
		Use:   string(rotate.Tokens),
		Short: "List Matomo's API tokens, and revoke those chosen",
		Long: `List the tokens (token_auth) by which apps and scripts log in to Matomo, and
revoke those chosen. Their users make new ones in Matomo, under Administration,
Personal, Security.

Exit status: 0 done, 2 nothing was changed.`,
		Example: "  rocca aws rotate tokens\n  rocca aws rotate tokens --older-than 180",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if days < 0 {
				return fmt.Errorf("revoke tokens: --older-than is a number of days, not %d", days)
			}
			if all {
				r.tokens = append(r.tokens, "--all")
			}
			if user != "" {
				r.tokens = append(r.tokens, "--user="+user)
			}
			if days > 0 {
				r.tokens = append(r.tokens, "--older-than="+strconv.Itoa(days))
			}
			return r.run(cmd, rotate.Begin)
		},
	}
	r.flags(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "revoke all of them")
	cmd.Flags().StringVar(&user, "user", "", "revoke those of this user")
	cmd.Flags().IntVar(&days, "older-than", 0, "revoke those not used for so many days")
	return cmd
}

func (r *awsRotation) flags(cmd *cobra.Command) {
	r.add(cmd)
	flags := cmd.Flags()
	flags.BoolVar(&r.dryRun, "dry-run", false, "only say what would be done")
	flags.BoolVarP(&r.yes, "yes", "y", false, "do not ask")
	flags.BoolVar(&r.json, "json", false, "one JSON object per line")
	flags.DurationVar(&r.wait, "wait", rotate.DefaultWait, "how long servers that boot, and jobs that run, may still use what is old")
}

func (r *awsRotation) run(cmd *cobra.Command, action rotate.Action) error {
	d, err := r.open(cmd, r.json)
	if err != nil {
		return err
	}
	rotation, err := r.rotation(cmd.Context(), d)
	if err != nil {
		return err
	}
	plan, err := rotation.Plan(cmd.Context(), r.kind, action)
	if err != nil {
		return err
	}
	if err := r.show(d, plan); err != nil || r.dryRun || len(plan.Steps) == 0 {
		return err
	}
	if !r.yes {
		if !hasTerminal(cmd) || r.json {
			return errors.New("ask before passwords are rotated: there is no terminal to ask on\nhint: --dry-run says what would be done, --yes does it")
		}
		if err := ask(cmd, "Do it?"); err != nil {
			return err
		}
	}
	end := d.openProgress()
	rotation.Tell = d.Tell
	err = rotation.Do(cmd.Context(), plan)
	end()
	var stopped *rotate.StoppedError
	if errors.As(err, &stopped) {
		return &exitError{exitRollbackFailed, err}
	}
	if err != nil {
		return err
	}
	return r.done(d, plan)
}

// rotation is the deployment, as its stacks are in the account.
func (r *awsRotation) rotation(ctx context.Context, d *awsDeployment) (*rotate.Deployment, error) {
	names := stackNames(d.wanted)
	names.Stacks = slices.DeleteFunc(names.Stacks, func(s stack.Stack) bool { return s.Role != stack.Base && s.Role != stack.Data })
	known, err := d.Known(ctx, names, stack.Known{})
	if err != nil {
		return nil, err
	}
	rotation := rotate.Deployment{
		Cloud: d.cloud, Name: d.wanted.Name, Secret: known.Physical["data.Secret"], Cache: d.wanted.Profile == settings.Scale,
		Wait: r.wait, Journals: filepath.Join(filepath.Dir(r.config), rotate.Journals), Again: d.again, Tokens: r.tokens,
	}
	if d.wanted.RDS() {
		rotation.Database, rotation.Right = known.Physical["data.Database"], d.right(known)
	}
	return rotation.Open(), nil
}

func (r *awsRotation) show(d *awsDeployment, plan *rotate.Plan) error {
	if !d.json {
		plan.Show(d.cmd.OutOrStdout())
		return nil
	}
	return showLine(d.cmd, struct {
		Kind string `json:"kind"`
		*rotate.Plan
	}{"plan", plan})
}

func (r *awsRotation) done(d *awsDeployment, plan *rotate.Plan) error {
	if d.json {
		return showLine(d.cmd, map[string]any{"kind": "result", "rotate": plan.Kind, "action": plan.Action, "done": true})
	}
	text := "Done: nothing uses what is old any more."
	switch plan.Action {
	case rotate.Abort:
		text = "Taken back: nothing uses what was new."
	case rotate.Repair:
		text = "Repaired: the accounts are as the app secret says."
	}
	fmt.Fprintln(d.cmd.OutOrStdout(), text)
	return nil
}
