package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"rocca/internal/blueprint"
	"rocca/internal/config"
	"rocca/internal/facts"
	"rocca/internal/incident"
	"rocca/internal/mariadb"
	"rocca/internal/matomo/ini"
	"rocca/internal/progress"
	"rocca/internal/respond"
	"rocca/internal/rotate"
	"rocca/internal/secret"
	"rocca/internal/triage"
)

func newRespondCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "respond",
		Short: "Respond to an incident on this server: record, cut off, revoke, report",
		Long: `Respond to an incident on this server: record what is volatile, keep traces from
being tidied away, cut off the network for all but you, copy files and database,
end Matomo's sessions and tokens, give new passwords, and write the report.

docs/runbook.md tells each step, why it comes where it comes, and what is left
for a person. On AWS: rocca aws respond.`,
		Args: cobra.NoArgs,
		RunE: showHelp,
	}
	cmd.AddCommand(newRespondStartCommand(), newRespondConfirmCommand(), newRespondStatusCommand(), newRespondReleaseCommand(), newRespondRehearseCommand())
	return cmd
}

// respondFlags are the flags of its verbs.
type respondFlags struct {
	look    lookFlags
	caseID  string
	json    bool
	yes     bool
	dryRun  bool
	reason  string
	known   string
	memory  bool
	pids    []int
	limit   int64
	facts   []string
	verify  bool
	hours   int
	allowed []string
	lockout bool
}

func (f *respondFlags) add(cmd *cobra.Command) {
	f.look.offline = true
	f.look.addServer(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.caseID, "case", "", "the case, when it is not the last one that is open")
	flags.BoolVar(&f.json, "json", false, "one JSON object per line")
}

func (f *respondFlags) addWhat(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.reason, "reason", "", "what was noticed, for the report")
	flags.StringArrayVar(&f.allowed, "operator", nil, "address or network that may still reach this server (default: where you are logged in from)")
	flags.BoolVar(&f.lockout, "accept-lockout", false, "cut off everybody: you are at the console")
	flags.IntVar(&f.hours, "hours", 24, "take the block back after so many hours unless it is confirmed; 0: never")
	flags.BoolVar(&f.memory, "memory", false, "also take the memory of suspects; it may hold secrets that rocca does not know")
	flags.IntSliceVar(&f.pids, "pid", nil, "these processes are suspects in any case")
	flags.Int64Var(&f.limit, "limit", 8, "GiB of files that are copied at most")
}

func newRespondStartCommand() *cobra.Command {
	var f respondFlags
	cmd := &cobra.Command{
		Use:   "start",
		Short: "Begin to respond, or go on where it was cut short",
		Long: `Respond to an incident, step by step. Matomo is down for visitors from the third
step on. What is done is written down before and after; a step that fails does
not keep the next one from being done. Whatever ends this command, the same
command goes on: what is done is not done again.

The server lets nobody in but the address that you are logged in from, or those
of --operator. So that a mistake cannot lock you out for ever, the block goes by
itself after --hours; "rocca respond confirm", from a second login, keeps it.

The case is in ` + respond.Dir + `, readable by root only: the journal, the evidence,
and the report.

Exit status: 0 all steps are done, 1 some failed or are held back (the report
says which), 2 nothing was begun, 11 another responder works on the case.`,
		Example: "  rocca respond start --dry-run\n  rocca respond start --reason 'unknown super user in Matomo' --known '2026-11-22 03:10'\n  rocca respond start --operator 203.0.113.7 --yes",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return f.start(cmd) },
	}
	f.add(cmd)
	f.addWhat(cmd)
	cmd.Flags().BoolVarP(&f.yes, "yes", "y", false, "do not ask")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "only show what would be done")
	cmd.Flags().StringVar(&f.known, "known", "", "when it became known, if that was earlier: \"2026-11-22 03:10\" (local time), or RFC 3339")
	return cmd
}

func newRespondRehearseCommand() *cobra.Command {
	var f respondFlags
	cmd := &cobra.Command{
		Use:   "rehearse",
		Short: "Try the response without effect, and record when",
		Long: `Try the response on this server while it is in use: record what is volatile, have
the kernel check the rules of the block, look whether files and database could be
copied, and write a report. Nothing is cut off, stopped, revoked or changed. The
case is kept as a rehearsal, with its date.

Exit status: 0 all could be done, 1 some could not, 2 nothing was begun.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.rehearse(cmd) },
	}
	f.add(cmd)
	f.addWhat(cmd)
	return cmd
}

func newRespondConfirmCommand() *cobra.Command {
	var f respondFlags
	cmd := &cobra.Command{
		Use:   "confirm",
		Short: "Keep the block until it is released: you can still log in",
		Long: `Stop the timer that would take the block back. Do this from a second login, which
shows that you are not locked out.

Exit status: 0 confirmed, 2 there is no block.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.onCase(cmd, func(c *incident.Case) error {
				if err := respond.Confirm(cmd.Context(), c); err != nil {
					return err
				}
				fmt.Fprintln(cmd.OutOrStdout(), "The block stays until: rocca respond release")
				return nil
			})
		},
	}
	f.add(cmd)
	return cmd
}

func newRespondStatusCommand() *cobra.Command {
	var f respondFlags
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show how far the response is, and the time left to tell the authority",
		Long: `Show how far the response is: the steps, whether the network is cut off and until
when, what is left of the 72 hours of Art. 33 GDPR, and where the report is.

--verify checks the chain of the journal and the hash of every evidence. --fact
adds what Art. 33(3) asks for to the report: nature, subjects, records, contact,
consequences, measures.

Exit status: 0 all steps are done, 1 some are not, or the case was changed, 2
there is no case.`,
		Example: "  rocca respond status --verify\n  rocca respond status --fact 'subjects=visitors of two shops, about 40000' --fact 'contact=dpo@example.org'",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return f.status(cmd) },
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&f.verify, "verify", false, "check that the case is as it was written")
	cmd.Flags().StringArrayVar(&f.facts, "fact", nil, "a fact for the report, such as subjects=TEXT")
	return cmd
}

func newRespondReleaseCommand() *cobra.Command {
	var f respondFlags
	cmd := &cobra.Command{
		Use:   "release",
		Short: "Open the network again and start what was stopped",
		Long: `End the response: the block goes, what was stopped starts, and the report says
when. Sessions, tokens and passwords do not come back.

Exit status: 0 released, 1 something could not be put back, 2 nothing was begun,
11 another responder works on the case.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.release(cmd) },
	}
	f.add(cmd)
	cmd.Flags().BoolVarP(&f.yes, "yes", "y", false, "do not ask")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "only show what would be done")
	return cmd
}

func (f *respondFlags) start(cmd *cobra.Command) error {
	if err := asRoot(cmd, "respond"); err != nil {
		return err
	}
	known, err := parseKnown(f.known)
	if err != nil {
		return err
	}
	server, err := f.server(cmd)
	if err != nil {
		return err
	}
	defer server.Database.Close()
	steps := respond.Steps(server)
	if f.dryRun {
		return showSteps(cmd, steps, f.json)
	}
	dir, begun, err := f.openCase()
	if err != nil {
		return err
	}
	if !f.yes {
		if !hasTerminal(cmd) || f.json {
			return errors.New("ask before this server is cut off: there is no terminal to ask on\nhint: --dry-run shows what would be done, --yes does it")
		}
		if err := showSteps(cmd, steps, f.json); err != nil {
			return err
		}
		question := "Cut this server off and respond?"
		if begun {
			question = "Go on with case " + filepath.Base(dir) + "?"
		}
		if err := ask(cmd, question); err != nil {
			return err
		}
	}
	return f.work(cmd, dir, f.about(known, false), server, steps)
}

func (f *respondFlags) rehearse(cmd *cobra.Command) error {
	if err := asRoot(cmd, "rehearse the response"); err != nil {
		return err
	}
	server, err := f.server(cmd)
	if err != nil {
		return err
	}
	defer server.Database.Close()
	dir := filepath.Join(respond.Dir, incident.NewID(time.Now(), "rehearsal-"+strconv.Itoa(os.Getpid())))
	return f.work(cmd, dir, f.about(time.Time{}, true), server, respond.Rehearse(server))
}

func (f *respondFlags) release(cmd *cobra.Command) error {
	if err := asRoot(cmd, "release"); err != nil {
		return err
	}
	story, err := f.story()
	if err != nil {
		return err
	}
	steps := respond.Release(&respond.Server{})
	if f.dryRun {
		return showSteps(cmd, steps, f.json)
	}
	if !f.yes {
		if !hasTerminal(cmd) || f.json {
			return errors.New("ask before this server is open again: there is no terminal to ask on\nhint: rocca respond release --yes")
		}
		if err := ask(cmd, "Is the hole closed, and may everybody reach this server again?"); err != nil {
			return err
		}
	}
	return f.work(cmd, story.Dir, f.about(time.Time{}, false), nil, steps)
}

// work does steps of a case and tells how it ended.
func (f *respondFlags) work(cmd *cobra.Command, dir string, about incident.About, server *respond.Server, steps []incident.Step) error {
	c, err := incident.Open(dir, about)
	if err != nil {
		return busyCase(err)
	}
	if server != nil {
		c.Hide(server.Secrets...)
	}
	if !about.Rehearsal {
		if err := c.Tell(slices.Concat(steps, respond.Release(nil))); err != nil {
			return errors.Join(err, c.Close())
		}
	}
	tell, end := progress.Open(cmd.OutOrStdout(), f.json)
	outcome, err := c.Run(cmd.Context(), steps, tell)
	end()
	story := c.Story()
	if err = errors.Join(err, c.Close()); err != nil {
		return fmt.Errorf("%w\nhint: the same command goes on with case %s", err, story.ID)
	}
	if err := f.tellOutcome(cmd, story, outcome); err != nil {
		return err
	}
	return leftOver(outcome)
}

// leftOver is the error of a response that has steps which failed or are held back.
func leftOver(outcome incident.Outcome) error {
	if err := outcome.Err(); err != nil {
		return &exitError{exitFindings, fmt.Errorf("%w\nhint: the report says why; the same command tries them again", err)}
	}
	return nil
}

func busyCase(err error) error {
	if errors.Is(err, incident.ErrBusy) {
		return &exitError{exitLocked, err}
	}
	return err
}

// respondResult is the last line of a response for a program.
type respondResult struct {
	Kind    string           `json:"kind"` // "result"
	Case    string           `json:"case"`
	Dir     string           `json:"dir"`
	Report  string           `json:"report"`
	Head    string           `json:"head"`
	Outcome incident.Outcome `json:"outcome"`
}

func (f *respondFlags) tellOutcome(cmd *cobra.Command, story incident.Story, outcome incident.Outcome) error {
	out := cmd.OutOrStdout()
	page := filepath.Join(story.Dir, incident.Page)
	if f.json {
		return json.NewEncoder(out).Encode(respondResult{"result", story.ID, story.Dir, page, story.Head, outcome})
	}
	fmt.Fprintf(out, "\nCase    %s\nReport  %s\nHead    %s\n        (write it down outside this server: with it, changes to the case show)\n", story.ID, page, story.Head)
	if isOpen(story) {
		clock := story.Clock(time.Now())
		fmt.Fprintf(out, "Law     tell the authority by %s if personal data is concerned: %s\n", clock.Until.Local().Format("2006-01-02 15:04"), clock.Sentence())
		fmt.Fprintln(out, "Next    log in a second time, then: rocca respond confirm")
	}
	return nil
}

// showSteps prints what steps would do.
func showSteps(cmd *cobra.Command, steps []incident.Step, asJSON bool) error {
	out := cmd.OutOrStdout()
	for i, p := range incident.Plan(cmd.Context(), steps) {
		if asJSON {
			if err := json.NewEncoder(out).Encode(p); err != nil {
				return fmt.Errorf("show the plan: %w", err)
			}
			continue
		}
		fmt.Fprintf(out, "%2d. %s (%s)\n", i+1, p.Title, p.Phase)
		for _, line := range p.Would {
			fmt.Fprintf(out, "      %s\n", line)
		}
		if p.Err != "" {
			fmt.Fprintf(out, "      cannot tell: %s\n", p.Err)
		}
	}
	return nil
}

func (f *respondFlags) status(cmd *cobra.Command) error {
	story, err := f.story()
	if err != nil {
		return err
	}
	if len(f.facts) > 0 {
		if err := f.onCase(cmd, f.know); err != nil {
			return err
		}
		if story, err = incident.Read(story.Dir); err != nil {
			return err
		}
	}
	block, err := respond.Blocked(cmd.Context(), story.Dir)
	if err != nil {
		return err
	}
	clock := story.Clock(time.Now())
	whole := !slices.ContainsFunc(story.Steps, func(stage incident.Stage) bool {
		ahead := stage.State == incident.Waiting && stage.Phase == incident.Recover
		return !ahead && stage.State != incident.Done && stage.State != incident.Skipped
	})
	var changed error
	if f.verify {
		changed = incident.Verify(story.Dir)
	}
	if f.json {
		err = json.NewEncoder(cmd.OutOrStdout()).Encode(struct {
			incident.Story
			Block    respond.Block `json:"block"`
			Notify   time.Time     `json:"notify_until"`
			Verified *bool         `json:"verified,omitempty"`
		}{story, block, clock.Until, verified(f.verify, changed)})
	} else {
		err = printCase(cmd.OutOrStdout(), story, block, clock, f.verify && changed == nil)
	}
	switch {
	case err != nil:
		return err
	case changed != nil:
		return &exitError{exitFindings, changed}
	case !whole:
		return &exitError{code: exitFindings}
	}
	return nil
}

func verified(asked bool, problem error) *bool {
	if !asked {
		return nil
	}
	whole := problem == nil
	return &whole
}

func printCase(out io.Writer, story incident.Story, block respond.Block, clock incident.Clock, whole bool) error {
	printBegun(out, story)
	switch {
	case story.About.Rehearsal:
		fmt.Fprintln(out, "Network  not touched: a rehearsal")
	case !story.Released.IsZero():
		fmt.Fprintln(out, "Network  open, released "+story.Released.Local().Format("2006-01-02 15:04"))
	case block.Up && block.Lift.IsZero():
		fmt.Fprintln(out, "Network  cut off until rocca respond release")
	case block.Up:
		fmt.Fprintln(out, "Network  cut off until "+block.Lift.Local().Format("2006-01-02 15:04")+", unless: rocca respond confirm")
	default:
		fmt.Fprintln(out, "Network  NOT cut off")
	}
	printLaw(out, story, clock)
	if whole {
		fmt.Fprintln(out, "Chain    whole: nothing of the case was changed; head "+story.Head)
	}
	return printStages(out, story)
}

func printBegun(out io.Writer, story incident.Story) {
	fmt.Fprintf(out, "Case     %s, %s\nBegun    %s by %s\n", story.ID, story.About.Subject, story.Opened.Local().Format("2006-01-02 15:04"), story.About.Operator)
}

// printLaw tells the time that Art. 33 GDPR leaves.
func printLaw(out io.Writer, story incident.Story, clock incident.Clock) {
	if !story.About.Rehearsal {
		fmt.Fprintf(out, "Law      tell the authority by %s: %s\n", clock.Until.Local().Format("2006-01-02 15:04"), clock.Sentence())
	}
}

// printStages tells where the report is, and how far each step is.
func printStages(out io.Writer, story incident.Story) error {
	fmt.Fprintf(out, "Report   %s\n\n", filepath.Join(story.Dir, incident.Page))
	for _, stage := range story.Steps {
		line := fmt.Sprintf("  %-8s %s", stage.State, stage.Title)
		if stage.Why != "" {
			line += ": " + strings.ReplaceAll(stage.Why, "\n", " ")
		}
		if _, err := fmt.Fprintln(out, line); err != nil {
			return err
		}
	}
	return nil
}

// know adds what Art. 33(3) asks for.
func (f *respondFlags) know(c *incident.Case) error {
	all := []incident.Fact{incident.Nature, incident.Subjects, incident.Records, incident.Contact, incident.Consequences, incident.Measures}
	for _, given := range f.facts {
		name, text, found := strings.Cut(given, "=")
		if !found || !slices.Contains(all, incident.Fact(name)) || text == "" {
			return fmt.Errorf("add the fact %q: not one of %v with \"=\" and a text", given, all)
		}
		if err := c.Know(incident.Fact(name), text); err != nil {
			return err
		}
	}
	return c.Write()
}

// onCase opens the last case that is open.
func (f *respondFlags) onCase(cmd *cobra.Command, do func(*incident.Case) error) error {
	if err := asRoot(cmd, "work on a case"); err != nil {
		return err
	}
	story, err := f.story()
	if err != nil {
		return err
	}
	c, err := incident.Open(story.Dir, f.about(time.Time{}, false))
	if err != nil {
		return busyCase(err)
	}
	return errors.Join(do(c), c.Close())
}

// story is that of the case that is meant: the one named, the last that is
// open, or the last.
func (f *respondFlags) story() (incident.Story, error) {
	if f.caseID != "" {
		if !filepath.IsLocal(f.caseID) || strings.Contains(f.caseID, "/") {
			return incident.Story{}, fmt.Errorf("look for case %q: no name of a case", f.caseID)
		}
		return incident.Read(filepath.Join(respond.Dir, f.caseID))
	}
	stories, err := incident.List(respond.Dir)
	if len(stories) == 0 {
		return incident.Story{}, errors.Join(err, errors.New("look for a case: there is none on this server\nhint: rocca respond start"))
	}
	for _, s := range slices.Backward(stories) {
		if isOpen(s) {
			return s, nil
		}
	}
	return stories[len(stories)-1], nil
}

func isOpen(s incident.Story) bool { return s.Released.IsZero() && !s.About.Rehearsal }

// openCase is the directory of the case that is gone on with, or of a new one.
func (f *respondFlags) openCase() (dir string, begun bool, err error) {
	if f.caseID != "" {
		s, err := f.story()
		return s.Dir, true, err
	}
	stories, err := incident.List(respond.Dir)
	for _, s := range slices.Backward(stories) {
		if isOpen(s) {
			return s.Dir, true, nil
		}
	}
	if err != nil {
		return "", false, fmt.Errorf("look for an open case: %w\nhint: --case names another; a case whose chain is broken was changed by somebody", err)
	}
	name, _ := os.Hostname()
	id := incident.NewID(time.Now(), name)
	for n := 2; ; n++ {
		dir = filepath.Join(respond.Dir, id)
		if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
			return dir, false, nil
		}
		id = incident.NewID(time.Now(), fmt.Sprintf("%s-%d", name, n))
	}
}

func asRoot(cmd *cobra.Command, what string) error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("%s: only root can\nhint: sudo %s", what, cmd.CommandPath())
	}
	return nil
}

func parseKnown(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		at, err = time.ParseInLocation("2006-01-02 15:04", text, time.Local)
	}
	switch {
	case err != nil:
		return at, fmt.Errorf("read --known %q: neither like \"2006-01-02 15:04\" nor RFC 3339", text)
	case at.After(time.Now()):
		return at, fmt.Errorf("read --known %q: that is in the future", text)
	}
	return at.UTC(), nil
}

func (f *respondFlags) about(known time.Time, rehearsal bool) incident.About {
	name, _ := os.Hostname()
	who, from := caller()
	if from.IsValid() {
		who += " from " + from.String()
	}
	return incident.About{Verb: "rocca respond", Subject: "server " + name, Operator: who, Reason: f.reason, Known: known, Rehearsal: rehearsal, Version: version()}
}

// caller is who started this program, and from which address they are logged
// in: sudo takes SSH_CONNECTION away, so the processes above are asked.
func caller() (who string, from netip.Addr) {
	who = "root"
	if u, err := user.Current(); err == nil {
		who = u.Username
	}
	if as := os.Getenv("SUDO_USER"); as != "" {
		who = as + " by sudo"
	}
	for pid := os.Getpid(); pid > 1; pid = parentOf(pid) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if err != nil {
			continue
		}
		for variable := range strings.SplitSeq(string(text), "\x00") {
			if value, is := strings.CutPrefix(variable, "SSH_CONNECTION="); is {
				if fields := strings.Fields(value); len(fields) > 0 {
					if address, err := netip.ParseAddr(fields[0]); err == nil {
						return who, address.Unmap().WithZone("")
					}
				}
			}
		}
	}
	return who, from
}

func parentOf(pid int) int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 2 {
		return 0
	}
	parent, _ := strconv.Atoi(fields[1])
	return parent
}

// operators are who may still reach this server.
func (f *respondFlags) operators() ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, text := range f.allowed {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			address, err := netip.ParseAddr(text)
			if err != nil {
				return nil, fmt.Errorf("read --operator %q: neither an address nor a network", text)
			}
			address = address.Unmap()
			prefix = netip.PrefixFrom(address, address.BitLen())
		}
		if err := respond.CheckOperator(prefix); err != nil {
			return nil, err
		}
		all = append(all, prefix.Masked())
	}
	if len(all) > 0 {
		return all, nil
	}
	if f.lockout {
		return nil, nil
	}
	_, from := caller()
	if !from.IsValid() || from.IsLoopback() {
		return nil, errors.New("cut off this server: where you are logged in from is not known, and you would be locked out\nhint: --operator ADDRESS names who may still reach it; at the console: --accept-lockout")
	}
	return []netip.Prefix{netip.PrefixFrom(from, from.BitLen())}, nil
}

// server gathers what the response needs. What cannot be had of the database
// must not keep the server from being cut off.
func (f *respondFlags) server(cmd *cobra.Command) (*respond.Server, error) {
	operators, err := f.operators()
	if err != nil {
		return nil, err
	}
	c, err := loadConfig(cmd, f.look.config)
	if err != nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "warning: %v\n", err)
		// What a server is without a configuration has to do: the cut must not wait.
		defaults, _ := configDefaults()
		if c, err = config.Load(os.DevNull, defaults); err != nil {
			return nil, err
		}
	}
	s := &respond.Server{Operator: operators, Hours: f.hours, Limit: f.limit << 30}
	observe := sync.OnceValues(func() (facts.Server, error) { return f.look.observe(cmd) })
	s.Triage = triage.Options{Memory: f.memory, PIDs: f.pids, Written: ownFiles(cmd, f.look.config), Limit: 256 << 20,
		Observe: func(context.Context) (facts.Server, error) { return observe() }}
	layout := blueprint.NewLayout(c, "")
	configs := []string{layout.State, layout.Tracker, layout.Admin, layout.Cron}
	s.Files = append([]string{"/etc", layout.Base, "/usr/local", "/var/spool/cron", "/var/log", "/tmp", "/var/tmp", "/dev/shm", "/var/lib/systemd/coredump"}, configs...)
	s.Code = layout.Base
	for i, dir := range configs {
		configs[i] = filepath.Join(dir, "config/config.ini.php")
	}
	if _, err := os.Stat(configs[0]); err != nil { // rocca did not set it up
		seen, err := observe()
		if err != nil {
			fmt.Fprintf(cmd.ErrOrStderr(), "warning: %v\n", err)
		}
		configs = nil
		for _, context := range seen.Matomo.Contexts {
			configs = append(configs, context.Config)
			s.Files = append(s.Files, context.Data)
		}
		s.Code = seen.Matomo.Real
		s.Files = append(s.Files, s.Code)
		slices.Sort(s.Files)
		s.Files = slices.DeleteFunc(slices.Compact(s.Files), func(name string) bool { return name == "" || name == "/" })
	}
	for _, pattern := range []string{"/root/.ssh", "/root/.*rc", "/root/.profile", "/root/.*_history", "/home/*/.ssh", "/home/*/.*rc", "/home/*/.profile", "/home/*/.*_history"} {
		found, err := filepath.Glob(pattern)
		if err == nil {
			s.Files = append(s.Files, found...)
		}
	}
	s.Leave = []string{c.Secrets, c.Database.Credentials, blueprint.PasswordFile, "/etc/mysql/debian.cnf"}
	s.Schema, s.Prefix = c.Database.Name, c.Database.Prefix
	for i, name := range configs {
		text, err := readTrusted(name, 0o002)
		if err != nil {
			continue
		}
		s.Secrets = append(s.Secrets, triage.Secrets(text)...)
		if parsed, err := ini.Parse(text); err == nil && i == 0 {
			if schema, set := parsed.Get("database", "dbname"); set {
				s.Schema = schema
				s.Prefix, _ = parsed.Get("database", "tables_prefix")
			}
		}
	}
	if err := f.database(cmd.Context(), c, s); err != nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "warning: %v\n", err)
	}
	s.Rotate = rotateInCase(c, f.look.config)
	return s, nil
}

// database prepares to ask the database server as its administrator.
func (f *respondFlags) database(ctx context.Context, c config.Config, s *respond.Server) error {
	given, err := givenSecrets(c.Secrets)
	if err != nil {
		return err
	}
	accounts, err := knownAccounts(c.Database, given)
	if err != nil {
		return err
	}
	access, err := databaseServer(c.Database, accounts)
	if err != nil {
		return err
	}
	s.Secrets = append(s.Secrets, given.Salt, access.Password)
	for _, password := range accounts.Accounts {
		s.Secrets = append(s.Secrets, password)
	}
	s.Secrets = slices.DeleteFunc(s.Secrets, secret.Secret.IsZero)
	s.CAFile = c.Database.CA
	if access.Remote() {
		addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", access.Host)
		if err != nil {
			return fmt.Errorf("look up the database server: %w", err)
		}
		for _, address := range addresses {
			s.Reach = append(s.Reach, netip.AddrPortFrom(address.Unmap(), uint16(access.Port)))
		}
	}
	s.Database, err = mariadb.Open(access)
	return err
}

// rotateInCase rotates what the server has secrets for, as rocca rotate does.
// One that was cut short is gone on with.
func rotateInCase(c config.Config, file string) func(context.Context, *incident.Case) error {
	return func(ctx context.Context, of *incident.Case) error {
		var problems []error
		for _, kind := range []string{"db", "salt"} {
			said, err := rotateNow(ctx, kind, resume, file)
			if errors.Is(err, rotate.ErrNoJob) {
				said, err = rotateNow(ctx, kind, "", file)
			}
			if err != nil {
				problems = append(problems, err)
				continue
			}
			if _, err := of.Put("rotate/"+kind+".jsonl", "rocca rotate "+kind, said); err != nil {
				return err
			}
			if kind == "db" && !c.Database.Remote() {
				problems = append(problems, of.Note("the database accounts of this machine have no password that could have leaked"))
				continue
			}
			problems = append(problems, of.Changed("rotated: "+kind, ""))
		}
		return errors.Join(problems...)
	}
}

func rotateNow(ctx context.Context, kind, verb, file string) (said []byte, err error) {
	args := []string{kind}
	if verb != "" {
		args = append(args, verb)
	}
	var out bytes.Buffer
	cmd := newRotateCommand()
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs(append(args, "--yes", "--json", "--config", file))
	cmd.SetIn(bytes.NewReader(nil))
	cmd.SetOut(&out)
	cmd.SetErr(io.Discard)
	err = cmd.ExecuteContext(ctx)
	return out.Bytes(), err
}
