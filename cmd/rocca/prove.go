package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"rocca/internal/blueprint"
	"rocca/internal/demo"
	"rocca/internal/facts"
	"rocca/internal/model"
	"rocca/internal/progress"
	"rocca/internal/prove"
	"rocca/internal/prove/twins"
	"rocca/internal/report"
	"rocca/internal/run"
)

type proveFlags struct {
	look    lookFlags
	demo    string
	only    []string
	twin    string
	format  string
	output  string
	list    bool
	keep    bool
	disturb bool
	foreign bool
}

// What --twin takes.
const (
	twinDemo = "demo"
	twinNone = "none"
)

func newProveCommand() *cobra.Command {
	var flags proveFlags
	cmd := &cobra.Command{
		Use:   "prove",
		Short: "Attack this server, and show that each attack works where a protection is missing",
		Long: `Attack this server for real: speak FastCGI to its pools as another user, plant
scripts and ask for them, log in to its database as somebody else. Each attack
is also made on twins: throw-away copies of the server that lack one protection
each. There it must succeed. Only then is what it did not reach here "held";
an attack that can succeed nowhere proves nothing, and is "not proven".

Only this machine is attacked, and throw-away servers made by rocca (--demo).
Nothing of the server is changed: what is planted has names of its own and is
removed, also by the next run when this one is killed. What could disturb the
server's users is done to a copy. For copies of this machine the packages
debootstrap and systemd-container must be there, and a Debian mirror; the first
copy takes minutes, and is kept for the next run.

Exit status: 0 every attack that fits this server held, 2 usage or the attacks
could not be made, 3 none succeeded but something is not proven, 4 an attack
succeeded, 10 no Matomo here, 11 another rocca is at work.`,
		Example: `  rocca prove
  rocca prove --only A01,A06 --twin none
  rocca prove --format html -o attacks.html
  sudo rocca demo up --weak s2 --name weak; sudo rocca prove --demo weak`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return flags.run(cmd) },
	}
	f := cmd.Flags()
	flags.look.addServer(cmd)
	f.StringVar(&flags.demo, "demo", "", "attack this throw-away server instead (rocca demo list)")
	f.StringSliceVar(&flags.only, "only", nil, "only these attacks, such as A01,A06")
	f.StringVar(&flags.twin, "twin", twinDemo, "where attacks must succeed: demo (throw-away copies) or none")
	f.StringVar(&flags.format, "format", "text", "text, json or html")
	f.StringVarP(&flags.output, "output", "o", "", "write the outcome to this file")
	f.BoolVar(&flags.list, "list", false, "list the attacks, and make none")
	f.BoolVar(&flags.keep, "keep", false, "keep the twins for a look")
	f.BoolVar(&flags.disturb, "disturb", false, "also make attacks on the server itself that may disturb who uses it")
	f.BoolVar(&flags.foreign, "foreign", false, "attack a server that rocca did not set up")
	_ = cmd.RegisterFlagCompletionFunc("only", completeAttacks)
	_ = cmd.RegisterFlagCompletionFunc("twin", cobra.FixedCompletions([]string{twinDemo, twinNone}, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(report.ProofFormats, cobra.ShellCompDirectiveNoFileComp))
	cmd.AddCommand(newAttemptCommand(), newDeedCommand())
	return cmd
}

func (f *proveFlags) run(cmd *cobra.Command) error {
	attacks, err := prove.Select(f.only)
	if err != nil {
		return err
	}
	if f.list {
		return listAttacks(cmd, attacks)
	}
	style := report.Style{}
	if f.output == "" {
		style = terminalStyle(cmd.OutOrStdout(), style)
	}
	to, err := report.ProofIn(f.format, style)
	if err != nil {
		return err
	}
	if f.twin != twinDemo && f.twin != twinNone {
		return fmt.Errorf("attack with twins of kind %q: there is none\nhint: %s or %s", f.twin, twinDemo, twinNone)
	}
	if err := deliverable(f.output); err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return errors.New("attack this server: only root can become whoever attacks\nhint: sudo rocca prove")
	}
	tell, end := progress.Open(cmd.ErrOrStderr(), false)
	defer end()
	p, err := f.prove(cmd, attacks, tell)
	end()
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := to(&out, p); err != nil {
		return err
	}
	if err := deliver(cmd, f.output, out.Bytes()); err != nil {
		return err
	}
	return proofExit(p)
}

// proofExit is the exit code of a run of attacks.
func proofExit(p model.Proof) error {
	code := exitClean
	for _, a := range p.Attacks {
		switch a.Result {
		case model.Fell:
			return &exitError{code: exitFell}
		case model.NotProven:
			code = exitUnseen
		case model.Held, model.NotApplicable:
		}
	}
	if code == exitClean {
		return nil
	}
	return &exitError{code: code}
}

// prove attacks the server and its twins at the same time.
func (f *proveFlags) prove(cmd *cobra.Command, attacks []prove.Attack, tell progress.Handler) (p model.Proof, err error) {
	started := time.Now()
	ctx, cancel := context.WithCancel(cmd.Context())
	defer cancel()
	on, err := f.subject(cmd)
	if err != nil {
		return p, err
	}
	say := func(text string) { tell.Tell(progress.Event{Kind: progress.Note, Text: text}) }
	ground, why := f.ground(ctx, on, say)
	if ground != nil {
		defer func() { err = errors.Join(err, ground.Close()) }()
	}
	var onTwins twins.Outcome
	var twinsErr error
	var working sync.WaitGroup
	if ground != nil {
		working.Go(func() { onTwins, twinsErr = ground.Attack(ctx, attacks) })
	}
	attacked, err := on.attack(ctx, attacks, f.disturb, func(a model.Attacked) { say(fmt.Sprintf("on the server: %s %s (%.1f s)", a.ID, a.Result, a.Seconds)) })
	if err != nil {
		cancel() // the twins are of no use then
	}
	working.Wait()
	if err := cmp.Or(err, twinsErr); err != nil {
		return p, err
	}
	p = model.Proof{
		Version: report.ProofVersion, Tool: "rocca " + version(), Server: on.Server, Subject: on.Subject, Observed: started.UTC(), NoTwins: why,
	}
	for _, a := range attacks {
		var intact *model.Attacked
		if made, there := onTwins.Intact[a.ID]; there {
			intact = &made
		}
		p.Attacks = append(p.Attacks, prove.Judge(a, found(attacked, a), intact, onTwins.Twins[a.ID]))
	}
	p.Seconds = time.Since(started).Seconds()
	for _, name := range onTwins.Kept {
		say("the twin " + name + " was kept: rocca demo shell " + name)
	}
	if !on.Ours || len(f.only) > 0 || f.twin == twinNone {
		return p, nil // it says too little for the audit
	}
	var record bytes.Buffer
	if err := report.ProofJSON(&record, p); err != nil {
		return p, err
	}
	return p, on.record(cmd, record.Bytes())
}

// ground prepares the twins; nil where there are none, and why.
func (f *proveFlags) ground(ctx context.Context, on attackedServer, say func(string)) (*twins.Ground, string) {
	switch {
	case f.twin == twinNone:
		return nil, "none was asked for (--twin none)"
	case !on.Ours:
		return nil, "twins are made only of servers that rocca set up"
	case on.noLike != nil:
		return nil, facts.Why(on.noLike)
	}
	ground, err := twins.Prepare(ctx, twins.Options{Demo: f.demo, Like: on.like, Keep: f.keep, Tell: say})
	if err != nil {
		say(facts.Why(err))
		return nil, facts.Why(err)
	}
	return ground, ""
}

// found is what an attack came to on the server. One that disturbs was not made.
func found(attacked []model.Attacked, a prove.Attack) model.Attacked {
	for _, made := range attacked {
		if made.ID == a.ID {
			return made
		}
	}
	return model.Attacked{
		ID: a.ID, Title: a.Title, Result: model.NotProven, Twin: model.NoTwin, Controls: a.Controls(), Evidence: []model.Try{},
		Reason: "it may disturb who uses the server: it is made on a copy of it (--twin demo), or with --disturb",
	}
}

// attackedServer is what prove attacks: this machine or a throw-away server.
type attackedServer struct {
	told
	like   demo.Options // of this machine
	noLike error        // why there can be no server like this machine
	attack func(context.Context, []prove.Attack, bool, func(model.Attacked)) ([]model.Attacked, error)
	record func(*cobra.Command, []byte) error // keeps the outcome for the audit
}

func (f *proveFlags) subject(cmd *cobra.Command) (attackedServer, error) {
	if f.demo != "" {
		return f.demoServer(cmd)
	}
	f.look.offline = true // what the front answers is for the attacks to find out
	seen, err := f.look.server(cmd)
	if err != nil {
		return attackedServer{}, err
	}
	on := attackedServer{told: told{seen.OS.Hostname, subject(seen), seen.Rocca.Installed}}
	if !on.Ours && !f.foreign {
		return on, errors.New("attack this server: rocca did not set it up\nhint: if it is yours, --foreign makes the attacks that disturb nobody")
	}
	if on.Ours {
		c, err := loadConfig(cmd, f.look.config)
		if err != nil {
			return on, err
		}
		on.like, on.noLike = demo.Like(c)
	}
	on.attack = func(ctx context.Context, attacks []prove.Attack, disturb bool, tell func(model.Attacked)) ([]model.Attacked, error) {
		return attackHere(ctx, seen, attacks, disturb && on.Ours, tell)
	}
	on.record = func(cmd *cobra.Command, content []byte) error { return deliver(cmd, blueprint.ProofReport, content) }
	return on, nil
}

// demoServer is a throw-away server: attacked from inside, by the rocca in it.
func (f *proveFlags) demoServer(cmd *cobra.Command) (attackedServer, error) {
	s, err := demo.Open(f.demo)
	if err != nil {
		return attackedServer{}, err
	}
	inside := func(ctx context.Context, stdin string, argv ...string) ([]byte, error) {
		got, err := s.Run(ctx, run.Command{Argv: argv, Stdin: strings.NewReader(stdin)})
		return got.Stdout, err
	}
	var on attackedServer
	printed, err := inside(cmd.Context(), "", demo.Program, "prove", "attempt", "--tell")
	if err != nil {
		return on, fmt.Errorf("look at demo server %s: %w", f.demo, err)
	}
	if err := json.Unmarshal(printed, &on.told); err != nil {
		return on, fmt.Errorf("look at demo server %s: %w", f.demo, err)
	}
	on.attack = func(ctx context.Context, attacks []prove.Attack, disturb bool, tell func(model.Attacked)) ([]model.Attacked, error) {
		argv := []string{demo.Program, "prove", "attempt", "--only", strings.Join(prove.IDs(attacks), ",")}
		if disturb {
			argv = append(argv, "--disturb")
		}
		printed, err := inside(ctx, "", argv...)
		if err != nil {
			return nil, fmt.Errorf("attack demo server %s: %w", f.demo, err)
		}
		var attacked []model.Attacked
		if err := json.Unmarshal(printed, &attacked); err != nil {
			return nil, fmt.Errorf("attack demo server %s: read what came of it: %w", f.demo, err)
		}
		for _, a := range attacked {
			tell(a)
		}
		return attacked, nil
	}
	on.record = func(cmd *cobra.Command, content []byte) error {
		_, err := inside(cmd.Context(), string(content), "sh", "-c", `umask 077 && cat >"$1.new" && mv "$1.new" "$1"`, "sh", blueprint.ProofReport)
		return err
	}
	return on, nil
}

// listAttacks lists the attacks with what they are about.
func listAttacks(cmd *cobra.Command, attacks []prove.Attack) error {
	out := cmd.OutOrStdout()
	for _, a := range attacks {
		where := ""
		if a.Disturbs {
			where = "  (on a copy of the server)"
		}
		fmt.Fprintf(out, "%-4s  %s%s\n      proves %s\n", a.ID, a.Title, where, cmp.Or(strings.Join(a.Controls(), " "), "nothing alone"))
		for _, p := range a.Without {
			fmt.Fprintf(out, "      must succeed without %s: %s\n", p.ID, p.Title)
		}
	}
	fmt.Fprintf(out, "\n%s; rocca explain A01 tells more\n", count(len(attacks), "attack"))
	return nil
}

// completeAttacks offers ids of attacks.
func completeAttacks(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	var offered []string
	for _, a := range prove.All() {
		if strings.HasPrefix(a.ID, strings.ToUpper(typed)) {
			offered = append(offered, a.ID+"\t"+a.Title)
		}
	}
	return offered, cobra.ShellCompDirectiveNoFileComp
}
