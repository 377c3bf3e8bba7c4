package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"rocca/internal/blueprint"
	"rocca/internal/collect/db"
	"rocca/internal/config"
	"rocca/internal/progress"
	"rocca/internal/report"
	"rocca/internal/rotate"
	"rocca/internal/secret"
)

func newRotateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Give this server new secrets while it is in use",
		Long: `Give this server new secrets while it is in use: the passwords of the accounts
on a remote database server, Matomo's salt, tokens, the password for mail.

On AWS: rocca aws rotate.`,
		Args: cobra.NoArgs,
		RunE: showHelp,
	}
	cmd.AddCommand(newRotateDBCommand(), newRotateSaltCommand(), newRotateTokensCommand(), newRotateSMTPCommand())
	return cmd
}

// rotateFlags are the flags of all of them.
type rotateFlags struct {
	config string
	dryRun bool
	json   bool
	yes    bool
}

func (f *rotateFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVarP(&f.config, "config", "c", config.DefaultPath, "configuration file")
	flags.BoolVar(&f.dryRun, "dry-run", false, "only say what would be done")
	flags.BoolVar(&f.json, "json", false, "one JSON object per line")
	flags.BoolVarP(&f.yes, "yes", "y", false, "do not ask")
}

// rotation is one of these verbs at work.
type rotation struct {
	*session
	*rotate.Host
	cmd   *cobra.Command
	flags rotateFlags
}

func (f *rotateFlags) run(cmd *cobra.Command, do func(ctx context.Context, r *rotation) error) error {
	s, err := openSession(cmd, serverFlags{config: f.config})
	if err != nil {
		return err
	}
	tell, end := progress.Open(cmd.OutOrStdout(), f.json)
	r := &rotation{s, s.rotation(tell), cmd, *f}
	err = do(cmd.Context(), r)
	end()
	return errors.Join(err, s.Close())
}

// say tells people; a program is given results.
func (r *rotation) say(format string, args ...any) {
	if !r.flags.json {
		fmt.Fprintf(r.cmd.OutOrStdout(), format+"\n", args...)
	}
}

// result is the last line for a program.
func (r *rotation) result(value any) error {
	if !r.flags.json {
		return nil
	}
	return showLine(r.cmd, value)
}

// agreed asks, but when nobody is to be asked.
func (r *rotation) agreed(question string) error {
	if r.flags.yes {
		return nil
	}
	if !hasTerminal(r.cmd) || r.flags.json {
		return errors.New("ask before secrets are rotated: there is no terminal to ask on\nhint: --dry-run says what would be done, --yes does it")
	}
	return ask(r.cmd, question)
}

const (
	resume = "resume"
	abort  = "abort"
	repair = "repair"
)

// verbOf is what is to be done with a job: "" begins one.
func verbOf(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

// rotationResult is the last line of a rotation for a program.
type rotationResult struct {
	Kind     string         `json:"kind"`
	Rotated  string         `json:"rotated"`
	Slot     blueprint.Slot `json:"slot,omitempty"`
	Done     bool           `json:"done"`
	Left     string         `json:"left,omitempty"` // what is left to be done, and how
	Accounts []string       `json:"accounts,omitempty"`
}

func newRotateDBCommand() *cobra.Command {
	var flags rotateFlags
	var administrator string
	var wait time.Duration
	cmd := &cobra.Command{
		Use:   "db [resume|abort|repair]",
		Short: "Rotate the accounts of the database server",
		Long: `Give Matomo's accounts on a remote database server new passwords. A second set
of accounts is made, with the same rights, and tried; then this server goes over
to it, pool by pool, without losing a request; when nobody uses the first set
any more, that is locked. Until then both let in: whatever is killed or fails,
"resume" goes on and "abort" goes back. Where several machines share the
accounts, the old ones stay until "resume" is told that all have gone over.

"repair" sets the accounts again, as this server knows them, when the database
was put back to an older day.

The accounts on this machine's own database server have no password, which is
checked: there is nothing to rotate.

Exit status: 0 done, 1 something is left, such as sessions of the old accounts,
5 it failed and this server works as before, 6 going back failed, too, 2 usage,
11 another rocca is at work.`,
		Example:   "  rocca rotate db --dry-run\n  rocca rotate db --administrator /root/database.yaml\n  rocca rotate db resume",
		Args:      cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{resume, abort, repair},
		RunE: func(cmd *cobra.Command, args []string) error {
			return flags.run(cmd, func(ctx context.Context, r *rotation) error {
				if !r.session.config.Database.Remote() {
					return r.localAccounts(ctx)
				}
				d := accountsRotation{r, r.administrator(administrator), wait}
				return d.run(ctx, verbOf(args))
			})
		},
	}
	flags.add(cmd)
	cmd.Flags().StringVar(&administrator, "administrator", "", "file with username and password of who may make accounts (YAML, root 0600; default: database.credentials)")
	cmd.Flags().DurationVar(&wait, "wait", 2*time.Minute, "how long sessions of the old accounts may take to end")
	return cmd
}

// localAccounts looks that the accounts on this machine have no password.
func (r *rotation) localAccounts(ctx context.Context) error {
	var names, wrong []string
	for _, user := range blueprint.RemoteUsers() {
		names = append(names, user+"@localhost")
	}
	seen, err := db.Observe(ctx, r.session.server.Database, db.Accounts{Names: names})
	if err != nil {
		return err
	}
	if !seen.Reached {
		return fmt.Errorf("look at the database accounts: %s", seen.Problem)
	}
	for _, name := range names {
		if a := seen.Accounts[name]; a.Exists && a.Identity != "unix_socket" {
			wrong = append(wrong, name)
		}
	}
	if len(wrong) > 0 {
		return &exitError{exitFindings, fmt.Errorf("rotate the database accounts: %s logs in with a password, where the Unix user should be enough\nhint: rocca up", words(wrong))}
	}
	r.say("Matomo's accounts (%s) have no password: the database server of this machine knows who asks by the Unix user. There is nothing to rotate.", words(names))
	return r.result(rotationResult{Kind: "result", Rotated: "db", Done: true, Accounts: names})
}

// administrator is who may make accounts: the one of a file, or of rocca.yaml.
func (r *rotation) administrator(file string) rotate.Administrator {
	return func(context.Context) (string, secret.Secret, error) {
		what, path := "--administrator", file
		if path == "" {
			what, path = "database.credentials", r.session.config.Database.Credentials
		}
		if path == "" {
			return "", secret.Secret{}, errors.New("log in as the database's administrator: nobody is named\nhint: --administrator FILE, with the lines \"username: ...\" and \"password: ...\"")
		}
		return readCredentials(what, path)
	}
}

// accountsRotation is rocca rotate db for a remote server.
type accountsRotation struct {
	*rotation
	as   rotate.Administrator
	wait time.Duration
}

func (d accountsRotation) run(ctx context.Context, verb string) error {
	job, err := d.Job()
	none := errors.Is(err, rotate.ErrNoJob)
	switch {
	case err != nil && !none:
		return err
	case verb == repair && none:
		return d.repair(ctx)
	case verb == repair:
		return errors.New("repair the accounts: a rotation is under way\nhint: rocca rotate db resume, or abort")
	case (verb == resume || verb == abort) && (none || job.Kind != rotate.Accounts):
		return fmt.Errorf("%s the rotation: %w\nhint: rocca rotate db begins one", verb, rotate.ErrNoJob)
	case verb == "" && !none:
		return fmt.Errorf("rotate the database accounts: a rotation is under way (%s)\nhint: rocca rotate %[1]s resume, or abort", job.Kind)
	}
	now, err := d.Account()
	if err != nil {
		return err
	}
	from, to := job.From.Slot, job.To.Slot
	if none {
		from = slotOr(d.Now.Slot)
		to = from.Other()
	}
	if d.flags.dryRun {
		return d.plan(verb, now, from, to)
	}
	if verb == abort {
		return d.abort(ctx, job)
	}
	if err := d.agreed(fmt.Sprintf("Go over from the accounts of slot %s to those of slot %s?", from, to)); err != nil {
		return err
	}
	if none {
		if len(d.Now.Accounts) != len(blueprint.RemoteUsers()) {
			return errors.New("rotate the database accounts: the passwords of today are not known\nhint: rocca up")
		}
		if _, _, err := d.as(ctx); err != nil {
			return err // before anything is begun
		}
		if job, err = d.Begin(rotate.Accounts); err != nil {
			return err
		}
	}
	if err := d.Forward(ctx, job, d.as); err != nil {
		return rotated(fmt.Errorf("%w\nhint: rocca rotate db resume goes on, rocca rotate db abort goes back", err))
	}
	if d.session.config.Database.Network.IsValid() {
		if err := d.others(verb); err != nil {
			return err
		}
	}
	return d.retire(ctx, job.From.Slot, job.To.Slot)
}

func slotOr(s blueprint.Slot) blueprint.Slot {
	if s == "" {
		return blueprint.SlotA
	}
	return s
}

// others stops where further machines of this Matomo still use the old accounts.
func (d accountsRotation) others(verb string) error {
	left := "other machines of " + d.session.config.Database.Network.String() + " may use the old accounts"
	how := "give each of them the accounts and the slot of " + d.session.config.Secrets + " and run rocca up there; then: rocca rotate db resume"
	if d.session.config.Secrets == "" {
		how = "run rocca up there; then: rocca rotate db resume"
	}
	if verb == resume && d.agreed("Has every other machine of this Matomo gone over to the new accounts?") == nil {
		return nil
	}
	if err := d.result(rotationResult{Kind: "result", Rotated: "db", Slot: slotOr(d.Now.Slot), Left: left}); err != nil {
		return err
	}
	return &exitError{exitFindings, fmt.Errorf("this machine works with the new accounts, and %s\nhint: %s", left, how)}
}

// retire locks what nobody uses any more, with which a job ends.
func (d accountsRotation) retire(ctx context.Context, old, works blueprint.Slot) error {
	r, err := d.Retire(ctx, old, d.as, d.wait)
	if errors.Is(err, rotate.ErrSessions) {
		_ = d.result(rotationResult{Kind: "result", Rotated: "db", Slot: works, Left: fmt.Sprintf("%d sessions of the old accounts", r.Sessions)})
		return rotated(fmt.Errorf("this machine works with the accounts of slot %s; %w: rocca rotate db resume", works, err))
	}
	if err != nil {
		return rotated(fmt.Errorf("%w\nhint: rocca rotate db resume", err))
	}
	if err := d.End(); err != nil {
		return err
	}
	d.say("This server works with the accounts of slot %s. Locked: %s.", works, words(r.Locked))
	return d.result(rotationResult{Kind: "result", Rotated: "db", Slot: works, Done: true, Accounts: r.Locked})
}

func (d accountsRotation) abort(ctx context.Context, job rotate.Job) error {
	if err := d.agreed("Go back to the accounts from before?"); err != nil {
		return err
	}
	if err := d.Back(ctx, job, d.as); err != nil {
		return rotated(fmt.Errorf("%w\nhint: mend that, then: rocca rotate db abort", err))
	}
	return d.retire(ctx, job.To.Slot, job.From.Slot)
}

func (d accountsRotation) repair(ctx context.Context) error {
	if d.flags.dryRun {
		d.say("would set the accounts of slot %s again, as this server knows them, and try each", slotOr(d.Now.Slot))
		return nil
	}
	if err := d.agreed("Set the passwords of Matomo's accounts on the database server again?"); err != nil {
		return err
	}
	made, err := mend(ctx, d.Host, blueprint.Secrets{Slot: d.Now.Slot, Accounts: d.Now.Accounts, Version: d.Now.Version}, d.as)
	if err != nil {
		return rotated(err)
	}
	d.say("The accounts let in: %s.", words(made.Accounts))
	return d.result(rotationResult{Kind: "result", Rotated: "db", Slot: made.Slot, Done: true, Accounts: made.Accounts})
}

// plan says what would be done, and how far it is.
func (d accountsRotation) plan(verb string, now rotate.Account, from, to blueprint.Slot) error {
	steps := []string{
		fmt.Sprintf("as the administrator, make the accounts of slot %s with new passwords, the same rights and TLS, and try each", to),
		"write the configuration of both pools, and let them read it",
		"ask tracker and console, and go back when one of them does not answer",
		fmt.Sprintf("when there are no sessions of slot %s any more, lock its accounts", from),
	}
	if verb == abort {
		steps = []string{
			fmt.Sprintf("write the configuration of both pools for slot %s, let them read it, and ask tracker and console", from),
			fmt.Sprintf("when there are no sessions of slot %s any more, lock its accounts", to),
		}
	}
	d.say("This server works with slot %s. It would:", now.Slot)
	for i, s := range steps {
		d.say("%3d  %s", i+1, s)
	}
	return d.result(struct {
		Kind  string         `json:"kind"`
		Slot  blueprint.Slot `json:"slot"`
		Steps []string       `json:"steps"`
	}{"plan", now.Slot, steps})
}

// saltMeans is what a new salt does. Source: every use of SettingsPiwik::getSalt
// in Matomo 5.3.0.
var saltMeans = []string{
	"everybody is logged out: sessions are stored under a hash with the salt (core/Session/SaveHandler/DbTable.php)",
	"every token_auth stops working, those of apps, scripts and log importers too: only its hash with the salt is stored (plugins/UsersManager/Model.php); their users make new ones",
	"cookies that Matomo signs are void (core/Cookie.php), and links to reset a password that were sent out, too (plugins/Login/PasswordResetter.php)",
	"visitors without a cookie count as new ones once: the salt is part of how they are told apart (core/Tracker/Settings.php)",
	"passwords, second factors, reports and visits stay",
}

func newRotateSaltCommand() *cobra.Command {
	var flags rotateFlags
	cmd := &cobra.Command{
		Use:   "salt [resume|abort]",
		Short: "Give Matomo a new salt: everybody is logged out, all tokens end",
		Long: `Give Matomo a new salt, when the old one may be known to others. It is no
rotation of every month:

- ` + strings.Join(saltMeans, "\n- ") + `

Exit status: 0 done, 5 it failed and this server works as before, 6 going back
failed, too, 2 usage, 11 another rocca is at work.`,
		Args:      cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{resume, abort},
		RunE: func(cmd *cobra.Command, args []string) error {
			return flags.run(cmd, func(ctx context.Context, r *rotation) error { return r.salt(ctx, verbOf(args)) })
		},
	}
	flags.add(cmd)
	return cmd
}

func (r *rotation) salt(ctx context.Context, verb string) error {
	job, err := r.Job()
	none := errors.Is(err, rotate.ErrNoJob)
	switch {
	case err != nil && !none:
		return err
	case verb == "" && !none || verb != "" && !none && job.Kind != rotate.Salt:
		return fmt.Errorf("rotate the salt: a rotation is under way (%s)\nhint: rocca rotate %[1]s resume, or abort", job.Kind)
	case verb != "" && none:
		return fmt.Errorf("%s the rotation: %w\nhint: rocca rotate salt begins one", verb, rotate.ErrNoJob)
	}
	if verb == "" {
		r.say("A new salt means:")
		for _, means := range saltMeans {
			r.say("- %s", means)
		}
	}
	if r.flags.dryRun {
		return r.result(struct {
			Kind  string   `json:"kind"`
			Means []string `json:"means"`
		}{"plan", saltMeans})
	}
	if err := r.agreed("Log everybody out and end all tokens?"); err != nil {
		return err
	}
	if none {
		if job, err = r.Begin(rotate.Salt); err != nil {
			return err
		}
	}
	if verb == abort {
		err = r.Back(ctx, job, nil)
	} else {
		err = r.Forward(ctx, job, nil)
	}
	if err != nil {
		return rotated(fmt.Errorf("%w\nhint: rocca rotate salt resume goes on, rocca rotate salt abort goes back", err))
	}
	if err := r.End(); err != nil {
		return err
	}
	if verb == abort {
		r.say("The salt is the one from before.")
	} else {
		r.say("Matomo has a new salt. Everybody has to log in again, and make new tokens.")
	}
	if r.session.config.Database.Network.IsValid() {
		r.say("Give it to the other machines of this Matomo, too: salt: in %s, then rocca up there.", r.session.config.Secrets)
	}
	return r.result(rotationResult{Kind: "result", Rotated: "salt", Done: true})
}

func newRotateTokensCommand() *cobra.Command {
	var flags rotateFlags
	var chosen rotate.Chosen
	var days int
	cmd := &cobra.Command{
		Use:   "tokens",
		Short: "List Matomo's tokens, and revoke those chosen",
		Long: `List the tokens (token_auth) by which apps and scripts log in to Matomo: whose
they are, what for, and when they were last used. Their values are known to
nobody but those who use them. Those chosen are revoked; their users make new
ones in Matomo, under Administration, Personal, Security.

Exit status: 0 done, 2 usage or nothing was changed, 11 another rocca is at work.`,
		Example: "  rocca rotate tokens\n  rocca rotate tokens --older-than 180\n  rocca rotate tokens --user importer --yes",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if days < 0 {
				return fmt.Errorf("revoke tokens: --older-than is a number of days, not %d", days)
			}
			chosen.Older = time.Duration(days) * 24 * time.Hour
			return flags.run(cmd, func(ctx context.Context, r *rotation) error { return r.tokens(ctx, chosen) })
		},
	}
	flags.add(cmd)
	cmd.Flags().BoolVar(&chosen.All, "all", false, "revoke all of them")
	cmd.Flags().StringVar(&chosen.User, "user", "", "revoke those of this user")
	cmd.Flags().IntVar(&days, "older-than", 0, "revoke those not used for so many days")
	return cmd
}

func (r *rotation) tokens(ctx context.Context, chosen rotate.Chosen) error {
	conn, d := r.session.server.Database, r.session.config.Database
	tokens, err := rotate.Tokens(ctx, conn, d)
	if err != nil {
		return err
	}
	meant := chosen.Of(tokens, time.Now().UTC())
	shown := tokens
	if chosen.Any() {
		shown = meant
	}
	r.list(shown)
	answer := struct {
		Kind    string         `json:"kind"`
		Tokens  []rotate.Token `json:"tokens"`
		Revoked int            `json:"revoked"`
	}{"result", shown, 0}
	if !chosen.Any() || r.flags.dryRun || len(meant) == 0 {
		return r.result(answer)
	}
	if err := r.agreed(fmt.Sprintf("Revoke %s?", count(len(meant), "token"))); err != nil {
		return err
	}
	if err := rotate.Revoke(ctx, conn, d, meant); err != nil {
		return err
	}
	answer.Revoked = len(meant)
	r.say("Revoked: %s. The tracker may know them for five minutes more.", count(len(meant), "token"))
	return r.result(answer)
}

func (r *rotation) list(tokens []rotate.Token) {
	if r.flags.json {
		return
	}
	if len(tokens) == 0 {
		r.say("There are none.")
		return
	}
	out := tabwriter.NewWriter(r.cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "USER\tDESCRIPTION\tMADE\tLAST USED\tENDS")
	day := func(at *time.Time) string {
		if at == nil {
			return "never"
		}
		return at.Format(time.DateOnly)
	}
	for _, t := range tokens {
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\n", report.Clean(t.User), report.Clean(t.Description), day(&t.Created), day(t.LastUsed), day(t.Expires))
	}
	_ = out.Flush()
}

func newRotateSMTPCommand() *cobra.Command {
	var flags rotateFlags
	var file string
	var test bool
	cmd := &cobra.Command{
		Use:   "smtp",
		Short: "Give Matomo another password for the mail server",
		Long: `Write another password for the mail server into Matomo's configuration. It is
read from a file, or from standard input (-): never from an argument, which
others see. With --test the mail server is asked first, by verified TLS, and when
it does not let in, nothing is changed.

Exit status: 0 done, 2 nothing was changed, 5 it failed, 11 another rocca is at
work.`,
		Example: "  rocca rotate smtp --password-file /root/mail-password --test",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return flags.run(cmd, func(ctx context.Context, r *rotation) error { return r.smtp(ctx, file, test) })
		},
	}
	flags.add(cmd)
	cmd.Flags().StringVar(&file, "password-file", "", "file with the password (root, 0600), or - for standard input")
	cmd.Flags().BoolVar(&test, "test", false, "log in to the mail server with it first")
	_ = cmd.MarkFlagRequired("password-file")
	return cmd
}

func (r *rotation) smtp(ctx context.Context, file string, test bool) error {
	mail, err := r.Mail()
	if err != nil {
		return err
	}
	var text []byte
	if file == "-" {
		text, err = io.ReadAll(io.LimitReader(r.cmd.InOrStdin(), 4096))
	} else {
		text, err = readTrusted(file, 0o077)
	}
	if err != nil {
		return fmt.Errorf("read the password: %w", err)
	}
	password := secret.New(strings.TrimRight(string(text), "\r\n"))
	if password.IsZero() || strings.ContainsAny(password.Reveal(), "\r\n\x00") {
		return errors.New("read the password: it must be one line")
	}
	if test {
		if err := mail.LogIn(ctx, password, nil); err != nil {
			return fmt.Errorf("%w\nnothing was changed", err)
		}
		r.say("The mail server %s lets %s in.", mail.Host, mail.User)
	}
	if r.flags.dryRun {
		r.say("would write the password of %s at %s into the configuration of the console", mail.User, mail.Host)
		return nil
	}
	if err := r.agreed(fmt.Sprintf("Use this password for %s at %s?", mail.User, mail.Host)); err != nil {
		return err
	}
	changed, err := r.SetMailPassword(password)
	if err != nil {
		return rotated(err)
	}
	if !changed {
		r.say("It is the one that Matomo has already.")
	} else {
		r.say("Matomo sends mail with the new password from now on.")
	}
	return r.result(rotationResult{Kind: "result", Rotated: "smtp", Done: true})
}

// words joins what a person reads in a list.
func words(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}
