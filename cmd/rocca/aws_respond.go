package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"rocca/internal/aws/client"
	"rocca/internal/aws/fleet"
	"rocca/internal/aws/info"
	"rocca/internal/aws/provision"
	"rocca/internal/aws/respond"
	"rocca/internal/aws/rotate"
	"rocca/internal/aws/settings"
	"rocca/internal/aws/stack"
	"rocca/internal/incident"
	"rocca/internal/progress"
)

func newAWSRespondCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "respond",
		Short: "Respond to an incident on an instance: record, cut off, revoke, preserve, prove, report",
		Long: `Respond to an incident on an instance of AWS: record it, keep it from being
deleted, take it out of service, copy its disks, cut off its network and its
role, change the secrets that it knew, keep the evidence where nobody can delete
it, and prove that it is cut off.

docs/runbook.md tells each step, why it comes where it comes, and what is left
for a person. Practise it before: rocca aws respond rehearse.`,
		Args: cobra.NoArgs,
		RunE: showHelp,
	}
	cmd.AddCommand(newAWSRespondStartCommand(), newAWSRespondStatusCommand(), newAWSRespondReleaseCommand(), newAWSRespondRehearseCommand())
	return cmd
}

// awsCases is where cases are kept, below the working directory.
const awsCases = "incidents"

// awsRespondFlags are the flags of its verbs.
type awsRespondFlags struct {
	aws       awsFlags
	options   respond.Options
	attackers []string
	where     respond.Where
	reason    string
	known     string
	key       string
	user      string
	bucket    string
	yes       bool
	dryRun    bool
	json      bool
	verify    bool
}

func (f *awsRespondFlags) add(cmd *cobra.Command) {
	f.aws.add(cmd)
	f.where.Root = awsCases
	flags := cmd.Flags()
	flags.StringVar(&f.options.Instance, "instance", "", "id of the instance")
	flags.StringVar(&f.where.Dir, "case", "", "directory of the case (default: "+awsCases+"/, and below it the case's name)")
	flags.BoolVar(&f.json, "json", false, "one JSON object per line")
}

// addOnInstance is add for a verb that is about an instance and nothing else.
func (f *awsRespondFlags) addOnInstance(cmd *cobra.Command) {
	f.add(cmd)
	_ = cmd.MarkFlagRequired("instance") // it is there
}

// addWork gives a verb that changes something what it needs for that.
func (f *awsRespondFlags) addWork(cmd *cobra.Command) {
	cmd.Flags().BoolVarP(&f.yes, "yes", "y", false, "do not ask")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "only show each call that would be made")
}

// addHow gives a verb the flags that say how the response goes.
func (f *awsRespondFlags) addHow(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&f.options.IsolateFirst, "isolate-first", false, "cut the network before the disks are copied: data is leaving now")
	flags.BoolVar(&f.options.KeepSSM, "keep-ssm", false, "let Systems Manager still reach the instance (needs network.endpoints)")
	flags.BoolVar(&f.options.FilterSubnet, "nacl", false, "also a network ACL that refuses all, when the instance is alone in its subnet")
	flags.BoolVar(&f.options.Triage, "triage", false, "take what is in memory also when Systems Manager is not known to reach the instance")
	flags.StringArrayVar(&f.attackers, "attacker", nil, "address or network that the firewall shall block")
	flags.StringVar(&f.options.EvidenceKey, "evidence-key", "", "ARN of a KMS key under which the snapshots are copied")
	flags.StringVar(&f.options.EvidenceAccount, "evidence-account", "", "account that may use the snapshots (twelve digits)")
	flags.StringVar(&f.reason, "reason", "", "what was noticed, for the report")
	flags.StringVar(&f.known, "known", "", "when it became known, if that was earlier: \"2026-11-22 03:10\" (local time), or RFC 3339")
}

func newAWSRespondStartCommand() *cobra.Command {
	var f awsRespondFlags
	cmd := &cobra.Command{
		Use:   "start",
		Short: "Begin to respond, or go on where it was cut short",
		Long: `Respond to an incident on an instance, step by step. Each call is written down; a
step that fails does not keep the next one from being done. Whatever ends this
command, the same command goes on: what is done is not done again, and what
failed is tried again.

The case is in ` + awsCases + `/, below the working directory, readable by you only, and
copied into the bucket of evidence, where Object Lock keeps it. A second
responder is told who the first is; --join CASE works on the same case.

--dry-run shows each call with its arguments and changes nothing.

Exit status: 0 all steps are done, 1 some failed or are held back (the report
says which), 2 nothing was begun, 11 another responder is at it.`,
		Example: "  rocca aws respond start --instance i-0123456789abcdef0 --dry-run\n  rocca aws respond start --instance i-0123456789abcdef0 --reason 'mining, says GuardDuty' --attacker 203.0.113.9\n" +
			"  rocca aws respond start --key AKIAIOSFODNN7EXAMPLE --user deployer\n  rocca aws respond start --bucket shop-logs",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.start(cmd) },
	}
	f.add(cmd)
	f.addWork(cmd)
	f.addHow(cmd)
	cmd.Flags().StringVar(&f.options.Foreign, "foreign-instance", "", "the id typed again: the instance is not of this deployment, and is meant")
	cmd.Flags().StringVar(&f.where.Join, "join", "", "work on the case of another responder")
	cmd.Flags().StringVar(&f.key, "key", "", "id of an access key that was stolen, instead of an instance")
	cmd.Flags().StringVar(&f.user, "user", "", "the IAM user whose key it is")
	cmd.Flags().StringVar(&f.bucket, "bucket", "", "a bucket that the world can read, instead of an instance")
	cmd.MarkFlagsOneRequired("instance", "key", "bucket")
	cmd.MarkFlagsMutuallyExclusive("instance", "key", "bucket")
	cmd.MarkFlagsRequiredTogether("key", "user")
	return cmd
}

func newAWSRespondRehearseCommand() *cobra.Command {
	var f awsRespondFlags
	cmd := &cobra.Command{
		Use:   "rehearse",
		Short: "Respond on an instance that is there to practise on, and take it back",
		Long: `Do the whole response, and the release, on an instance that is there to practise
on: one with the tag ` + respond.RehearsalTag + `=yes. Any other is refused. No secret is
changed, no database copied, and snapshots are locked for a day only, in a way
that can be undone.

When it was done, and whether every step went well, is recorded in the bucket of
evidence; rocca aws audit wants it to be less than half a year ago.

Exit status: 0 every step went well, 1 some did not, 2 nothing was begun.`,
		Example: "  rocca aws respond rehearse --instance i-0123456789abcdef0",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return f.rehearse(cmd) },
	}
	f.addOnInstance(cmd)
	f.addWork(cmd)
	f.addHow(cmd)
	return cmd
}

func newAWSRespondReleaseCommand() *cobra.Command {
	var f awsRespondFlags
	cmd := &cobra.Command{
		Use:   "release",
		Short: "Put everything back as it was found",
		Long: `Put back what the response has changed, as it was found: role, network interfaces,
addresses, load balancers, auto-scaling group, protection. What somebody has
changed since is left alone. Snapshots and evidence stay.

Do it for a false alarm, or a practice. An instance that somebody else has used
is not cleaned by this: start a new one, and terminate it once the evidence is
safe.

Exit status: 0 all is as it was, 1 some could not be put back, 2 nothing was
done, 11 another responder is at it.`,
		Example: "  rocca aws respond release --instance i-0123456789abcdef0 --dry-run",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return f.release(cmd) },
	}
	f.addOnInstance(cmd)
	f.addWork(cmd)
	return cmd
}

func newAWSRespondStatusCommand() *cobra.Command {
	var f awsRespondFlags
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show how far the response is, who responds, and the time left to tell the authority",
		Long: `Show how far the response on an instance is: the steps of the case that is kept
here, who has it open in the account, what is left of the 72 hours of Art. 33
GDPR, and where the report is. --verify checks the chain of the journal and the
hash of every evidence.

Exit status: 0 all steps are done, 1 some are not, or the case was changed, 2
there is no case.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.status(cmd) },
	}
	f.addOnInstance(cmd)
	cmd.Flags().BoolVar(&f.verify, "verify", false, "check that the case is as it was written")
	return cmd
}

// incidentScene is who responds, and with what.
type incidentScene struct {
	wanted   settings.Settings
	cloud    client.Config
	who      client.Identity
	deployed info.Deployment
}

func (f *awsRespondFlags) scene(ctx context.Context) (incidentScene, error) {
	var s incidentScene
	var err error
	if s.wanted, s.cloud, err = f.aws.load(ctx); err != nil {
		return s, err
	}
	if s.who, err = client.Who(ctx, s.cloud); err != nil {
		return s, err
	}
	s.deployed, err = info.Of(ctx, s.cloud, s.wanted)
	return s, err
}

func (f *awsRespondFlags) response(s incidentScene) (*respond.Response, error) {
	for _, text := range f.attackers {
		network, err := respond.Attacker(text)
		if err != nil {
			return nil, err
		}
		f.options.Attackers = append(f.options.Attackers, network)
	}
	tools := respond.Tools{Run: fleet.Of(s.cloud, s.wanted.Name).Run, Rotate: f.rotation(s)}
	return respond.New(s.cloud, s.who, respond.Find(s.deployed), tools, f.options), nil
}

// rotation changes what an instance of the deployment knew. One that was cut
// short is gone on with.
func (f *awsRespondFlags) rotation(s incidentScene) func(context.Context, func(string)) error {
	return func(ctx context.Context, say func(string)) error {
		d := rotate.Deployment{
			Cloud: s.cloud, Name: s.wanted.Name, Secret: s.deployed.Output(stack.Data, "Secret"), Database: s.deployed.Output(stack.Data, "Database"),
			Cache: s.deployed.Output(stack.Data, "CacheEndpoint") != "", Wait: rotate.DefaultWait, Journals: rotate.Journals, Again: f.aws.named(),
			Tokens: []string{"--all"},
			Tell: func(e progress.Event) {
				if e.Kind == progress.Done || e.Kind == progress.Fail {
					say("rotate: " + e.Text + " " + e.Err)
				}
			},
		}
		// With another salt no token works any more; what is left of them goes first.
		kinds := []rotate.Kind{rotate.Tokens, rotate.Salt}
		if d.Cache {
			kinds = append(kinds, rotate.Cache)
		}
		if d.Database != "" {
			d.Right = provision.Right{Role: s.deployed.Output(stack.Base, "HostRole"), Secret: s.deployed.Output(stack.Data, "MasterSecret"), Key: s.deployed.Output(stack.Base, "Key"), Region: s.wanted.Region}
			kinds = append([]rotate.Kind{rotate.Database, rotate.Master}, kinds...)
		}
		opened := d.Open()
		var problems []error
		for _, kind := range kinds {
			problems = append(problems, rotateOne(ctx, opened, kind))
		}
		return errors.Join(problems...)
	}
}

func rotateOne(ctx context.Context, d *rotate.Deployment, kind rotate.Kind) error {
	plan, err := d.Plan(ctx, kind, rotate.Begin)
	if err != nil && len(kind.Actions()) > 0 {
		if unfinished, cannot := d.Plan(ctx, kind, rotate.Resume); cannot == nil && len(unfinished.Steps) > 0 {
			plan, err = unfinished, nil
		}
	}
	if err != nil {
		return err
	}
	return d.Do(ctx, plan)
}

// about is what a case is about.
func (f *awsRespondFlags) about(s incidentScene, subject string) (incident.About, error) {
	known, err := parseKnown(f.known)
	if err != nil {
		return incident.About{}, err
	}
	who := s.who.ARN
	if me, err := user.Current(); err == nil {
		who += ", " + me.Username
	}
	if host, err := os.Hostname(); err == nil {
		who += " on " + host
	}
	return incident.About{Verb: "rocca aws respond", Subject: subject, Operator: who, Reason: f.reason, Known: known, Rehearsal: f.options.Rehearsal, Version: version()}, nil
}

func (f *awsRespondFlags) start(cmd *cobra.Command) error {
	s, err := f.scene(cmd.Context())
	if err != nil {
		return err
	}
	if f.options.Instance == "" {
		return f.startBook(cmd, s)
	}
	r, err := f.response(s)
	if err != nil {
		return err
	}
	return f.work(cmd, s, r, "Cut "+f.options.Instance+" off, and respond?")
}

// work does the steps of a response, after asking.
func (f *awsRespondFlags) work(cmd *cobra.Command, s incidentScene, r *respond.Response, question string) error {
	before, err := r.Check(cmd.Context())
	if err != nil {
		return err
	}
	about, err := f.about(s, respond.Subject(f.options.Instance, s.wanted.Name))
	if err != nil {
		return err
	}
	r.NewCase()
	if f.dryRun {
		return showSteps(cmd, respond.Steps(r), f.json)
	}
	if err := f.agree(cmd, func() error { return showSteps(cmd, respond.Steps(r), f.json) }, question); err != nil {
		return err
	}
	c, err := r.Begin(cmd.Context(), f.where, about, before)
	if err != nil {
		return heldCase(err)
	}
	return f.finish(cmd, r, c, respond.Steps)
}

// agree shows what would be done, and asks.
func (f *awsRespondFlags) agree(cmd *cobra.Command, show func() error, question string) error {
	switch {
	case f.yes:
		return nil
	case f.json || !hasTerminal(cmd):
		return errors.New("ask before anything is changed: there is no terminal to ask on\nhint: --dry-run shows what would be done, --yes does it")
	}
	if err := show(); err != nil {
		return err
	}
	return ask(cmd, question)
}

func heldCase(err error) error {
	if errors.Is(err, respond.ErrHeld) {
		return &exitError{exitLocked, err}
	}
	return busyCase(err)
}

// finish does the steps of an open case, and tells how that ended.
func (f *awsRespondFlags) finish(cmd *cobra.Command, r *respond.Response, c *incident.Case, steps func(*respond.Response) []incident.Step) error {
	outcome, err := f.run(cmd, r, c, steps)
	story := c.Story()
	if err = errors.Join(err, c.Close()); err != nil {
		return fmt.Errorf("%w\nhint: the same command goes on with the case %s", err, story.ID)
	}
	return f.tell(cmd, story, outcome)
}

func (f *awsRespondFlags) run(cmd *cobra.Command, r *respond.Response, c *incident.Case, steps func(*respond.Response) []incident.Step) (incident.Outcome, error) {
	tell, end := progress.Open(cmd.OutOrStdout(), f.json)
	defer end()
	return r.Run(cmd.Context(), c, steps, tell)
}

func (f *awsRespondFlags) tell(cmd *cobra.Command, story incident.Story, outcome incident.Outcome) error {
	out := cmd.OutOrStdout()
	page := filepath.Join(story.Dir, incident.Page)
	if f.json {
		if err := json.NewEncoder(out).Encode(respondResult{"result", story.ID, story.Dir, page, story.Head, outcome}); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(out, "\nCase    %s\nReport  %s\nHead    %s\n        (write it down: with it, changes to the case show)\n", story.Dir, page, story.Head)
		if isOpen(story) {
			clock := story.Clock(time.Now())
			fmt.Fprintf(out, "Law     tell the authority by %s if personal data is concerned: %s\n", clock.Until.Local().Format("2006-01-02 15:04"), clock.Sentence())
		}
	}
	return leftOver(outcome)
}

func (f *awsRespondFlags) rehearse(cmd *cobra.Command) error {
	f.options.Rehearsal = true
	s, err := f.scene(cmd.Context())
	if err != nil {
		return err
	}
	r, err := f.response(s)
	if err != nil {
		return err
	}
	if f.dryRun {
		return f.work(cmd, s, r, "")
	}
	before, err := r.Check(cmd.Context())
	if err != nil {
		return err
	}
	about, err := f.about(s, respond.Subject(f.options.Instance, s.wanted.Name))
	if err != nil {
		return err
	}
	if err := f.agree(cmd, func() error { return nil }, "Practise on "+f.options.Instance+", which is cut off for some minutes?"); err != nil {
		return err
	}
	c, err := r.Begin(cmd.Context(), f.where, about, before)
	if err != nil {
		return heldCase(err)
	}
	done, err := f.run(cmd, r, c, respond.Steps)
	back := incident.Outcome{}
	if err == nil {
		back, err = f.run(cmd, r, c, respond.Release)
	}
	story := c.Story()
	if err = errors.Join(err, c.Close()); err != nil {
		return fmt.Errorf("%w\nhint: the same command goes on with the case %s", err, story.ID)
	}
	all := incident.Outcome{Done: append(done.Done, back.Done...), Skipped: append(done.Skipped, back.Skipped...), Failed: append(done.Failed, back.Failed...), Held: append(done.Held, back.Held...)}
	return errors.Join(r.Rehearsed(cmd.Context(), all.Err() == nil), f.tell(cmd, story, all))
}

// story is that of the case on the instance which is kept here.
func (f *awsRespondFlags) story() (incident.Story, error) {
	if f.where.Dir != "" {
		return incident.Read(f.where.Dir)
	}
	s, found := respond.Latest(f.where.Root, f.options.Instance)
	if !found {
		return s, fmt.Errorf("look for the case on %s: there is none in %s/\nhint: --case names its directory, or run this where it was begun", f.options.Instance, f.where.Root)
	}
	return s, nil
}

func (f *awsRespondFlags) release(cmd *cobra.Command) error {
	story, err := f.story()
	if err != nil {
		return err
	}
	s, err := f.scene(cmd.Context())
	if err != nil {
		return err
	}
	r, err := f.response(s)
	if err != nil {
		return err
	}
	r.Know(story)
	if f.dryRun {
		return showSteps(cmd, respond.Release(r), f.json)
	}
	if err := f.agree(cmd, func() error { return showSteps(cmd, respond.Release(r), f.json) }, "Is "+f.options.Instance+" known to be good, and may it go back?"); err != nil {
		return err
	}
	about, err := f.about(s, story.About.Subject)
	if err != nil {
		return err
	}
	c, err := r.Resume(cmd.Context(), story.Dir, about)
	if err != nil {
		return heldCase(err)
	}
	return f.finish(cmd, r, c, respond.Release)
}

func (f *awsRespondFlags) status(cmd *cobra.Command) error {
	s, err := f.scene(cmd.Context())
	if err != nil {
		return err
	}
	r, err := f.response(s)
	if err != nil {
		return err
	}
	held, open, unread := r.Claimed(cmd.Context())
	story, err := f.story()
	if err != nil {
		if open {
			return fmt.Errorf("%w\nnote: %s has the case %s open on %s, since %s", err, held.Who, held.Case, held.Host, held.At.Local().Format("2006-01-02 15:04"))
		}
		return errors.Join(err, unread)
	}
	var changed error
	if f.verify {
		changed = incident.Verify(story.Dir)
	}
	clock := story.Clock(time.Now())
	if f.json {
		err = json.NewEncoder(cmd.OutOrStdout()).Encode(struct {
			incident.Story
			Claim    *respond.Claim `json:"claim,omitempty"` // who has it open in the account
			Notify   time.Time      `json:"notify_until"`
			Verified *bool          `json:"verified,omitempty"`
		}{story, shownClaim(held, open), clock.Until, verified(f.verify, changed)})
	} else {
		err = printAWSCase(cmd.OutOrStdout(), story, clock, held, open, unread)
	}
	switch {
	case err != nil:
		return err
	case changed != nil:
		return &exitError{exitFindings, changed}
	}
	for _, stage := range story.Steps {
		if stage.State != incident.Done && stage.State != incident.Skipped {
			return &exitError{code: exitFindings}
		}
	}
	return nil
}

// shownClaim is a claim without its mark.
func shownClaim(held respond.Claim, open bool) *respond.Claim {
	if !open {
		return nil
	}
	held.Mark = ""
	return &held
}

func printAWSCase(out io.Writer, story incident.Story, clock incident.Clock, held respond.Claim, open bool, unread error) error {
	printBegun(out, story)
	switch {
	case unread != nil:
		fmt.Fprintf(out, "Account  not seen: %v\n", unread)
	case open:
		fmt.Fprintf(out, "Account  %s has it open, as %s, since %s\n", held.Who, held.Case, held.At.Local().Format("2006-01-02 15:04"))
	default:
		fmt.Fprintln(out, "Account  nobody has a case open")
	}
	if !story.Released.IsZero() {
		fmt.Fprintln(out, "Released "+story.Released.Local().Format("2006-01-02 15:04"))
	}
	printLaw(out, story, clock)
	return printStages(out, story)
}

// startBook responds to a stolen key, or an open bucket.
func (f *awsRespondFlags) startBook(cmd *cobra.Command, s incidentScene) error {
	r, err := f.response(s)
	if err != nil {
		return err
	}
	book := r.ExposedBucket(f.bucket)
	subject, question := "bucket "+f.bucket, "Close "+f.bucket+" to the world?"
	if f.key != "" {
		book = r.StolenKey(f.user, f.key)
		subject, question = "access key "+f.key+" of "+f.user, "Switch the key "+f.key+" off?"
	}
	about, err := f.about(s, subject)
	if err != nil {
		return err
	}
	if f.dryRun {
		return showSteps(cmd, book, f.json)
	}
	if err := f.agree(cmd, func() error { return showSteps(cmd, book, f.json) }, question); err != nil {
		return err
	}
	c, err := r.BeginBook(cmd.Context(), f.where, about)
	if err != nil {
		return heldCase(err)
	}
	return f.finish(cmd, r, c, func(*respond.Response) []incident.Step { return book })
}
