// Package rotate gives a deployment new passwords while it runs.
//
// The accounts of the database exist twice, in slots a and b, of which one is
// in use. The other gets new passwords in a new version of the app secret; when
// its accounts work, server after server goes over to them; when all have, and
// nothing uses the old ones any more, these are locked. At each moment every
// server has an account that works, whatever fails.
//
// How far a rotation is stands in the account, so that it can go on from any
// computer: the version of the secret that it made has the label rocca-KIND (for
// the database rocca-db-SLOT) until the end, and AWSPENDING until the old
// passwords begin to go. There is no other state: the journal is for people.
package rotate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"rocca/internal/aws/client"
	"rocca/internal/aws/fleet"
	"rocca/internal/aws/provision"
	"rocca/internal/progress"
)

// Kind is what gets new passwords.
type Kind string

// The kinds.
const (
	Database Kind = "db"     // Matomo's accounts in the database on RDS
	Master   Kind = "master" // the administrator of the database, whom RDS keeps
	Cache    Kind = "cache"  // Matomo's account in the cache
	Mail     Kind = "smtp"   // Matomo's account on a mail server
	Salt     Kind = "salt"   // Matomo's salt of sessions and tokens
	Tokens   Kind = "tokens" // Matomo's API tokens
)

// Action is what is done about a rotation.
type Action string

// The actions.
const (
	Begin  Action = ""
	Resume Action = "resume" // go on where it stopped
	Abort  Action = "abort"  // go back to the old passwords
	Repair Action = "repair" // set the passwords in the database again to those of the secret
)

// Actions are those that a kind knows beside Begin.
func (k Kind) Actions() []Action {
	switch k {
	case Database:
		return []Action{Resume, Abort, Repair}
	case Cache, Salt:
		return []Action{Resume, Abort}
	}
	return nil
}

// Deployment is what is rotated, and how.
type Deployment struct {
	Cloud    client.Config
	Name     string
	Secret   string          // ARN of the app secret
	Right    provision.Right // to be the database's administrator; zero: the database is on the server itself
	Database string          // name of the RDS instance; empty: none
	Cache    bool            // there is one
	Wait     time.Duration   // that servers which boot, and jobs that run, may still use old passwords
	Journals string          // directory of the journals
	Tokens   []string        // flags of rocca rotate tokens that choose some; empty: they are only listed
	Again    string          // flags by which the next command means the same deployment; may be empty
	Tell     progress.Handler

	fleet *fleet.Fleet
	pause time.Duration // between two tries
}

// pause is between two tries of what comes about by itself.
const pause = 15 * time.Second

// DefaultWait is as long as the groups of servers let a new one boot
// (HealthCheckGracePeriod): until then it may want the old passwords.
const DefaultWait = 45 * time.Minute

// Journals is where journals are kept when nobody says otherwise: beside the
// settings of the deployment.
const Journals = ".rocca-rotate"

// Open prepares a deployment for being rotated.
func (d Deployment) Open() *Deployment {
	d.fleet, d.pause = fleet.Of(d.Cloud, d.Name), pause
	return &d
}

// Step is a part of a rotation.
type Step struct {
	Name  string        `json:"name"`
	Text  string        `json:"text"`     // what it does
	Usual time.Duration `json:"usual_ns"` // that it takes

	do func(context.Context) error
}

// Plan is what a rotation would do.
type Plan struct {
	Kind    Kind      `json:"rotate"`
	Action  Action    `json:"action,omitempty"`
	Name    string    `json:"deployment"`
	Steps   []Step    `json:"steps"`  // empty: there is nothing to do
	Notice  []string  `json:"notice"` // what users notice, and what their administrator must know
	Servers []string  `json:"servers,omitempty"`
	Tokens  []Token   `json:"tokens,omitempty"` // that would be revoked, or that there are when none were chosen
	Began   time.Time `json:"began,omitzero"`   // the rotation that it goes on with, when a journal of it is here
	State   string    `json:"state,omitempty"`  // of that rotation

	job *job // nil when the app secret has no part in it
}

// Usual is how long it takes.
func (p *Plan) Usual() time.Duration {
	var sum time.Duration
	for _, s := range p.Steps {
		sum += s.Usual
	}
	return sum
}

// Show writes a plan for people.
func (p *Plan) Show(w io.Writer) {
	title := "Rotate " + titles[p.Kind] + " of " + p.Name
	if p.Action != Begin {
		title += ": " + string(p.Action)
	}
	fmt.Fprintln(w, title)
	if p.State != "" {
		fmt.Fprintln(w, "  now: "+p.State)
	}
	if !p.Began.IsZero() {
		fmt.Fprintf(w, "  begun: %s, on this computer\n", p.Began.Format("2006-01-02 15:04"))
	}
	for _, t := range p.Tokens {
		fmt.Fprintf(w, "  %q of %s, made %s\n", t.Description, t.User, t.Created.Format(time.DateOnly))
	}
	if len(p.Steps) == 0 {
		fmt.Fprintln(w, "  there is nothing to do")
	}
	for i, s := range p.Steps {
		fmt.Fprintf(w, "  %d. %s: %s\n", i+1, s.Name, s.Text)
	}
	if len(p.Steps) > 0 {
		fmt.Fprintf(w, "  takes: about %s\n", minutes(p.Usual()))
	}
	for _, text := range p.Notice {
		fmt.Fprintln(w, "  "+text)
	}
}

// minutes are rounded up.
func minutes(d time.Duration) string {
	n := int((d + time.Minute - 1) / time.Minute)
	if n == 1 {
		return "1 minute"
	}
	return fmt.Sprintf("%d minutes", n)
}

var titles = map[Kind]string{
	Database: "the passwords of Matomo's accounts in the database",
	Master:   "the password of the database's administrator",
	Cache:    "the password of Matomo's account in the cache",
	Mail:     "the password of the mail server",
	Salt:     "Matomo's salt",
	Tokens:   "Matomo's API tokens",
}

// Plan looks what an action would do, and changes nothing. It is an error when
// it cannot be done now.
func (d *Deployment) Plan(ctx context.Context, kind Kind, action Action) (*Plan, error) {
	p, err := d.plan(ctx, kind, action)
	if err != nil {
		return nil, fmt.Errorf("rotate %s of %s: %w", kind, d.Name, err)
	}
	return p, nil
}

func (d *Deployment) plan(ctx context.Context, kind Kind, action Action) (*Plan, error) {
	if action != Begin && !slices.Contains(kind.Actions(), action) {
		return nil, fmt.Errorf("it knows no %s\nhint: %s", action, d.command(kind, Begin))
	}
	p := &Plan{Kind: kind, Action: action, Name: d.Name}
	switch kind {
	case Master:
		return p, d.planMaster(ctx, p)
	case Tokens:
		return p, d.planTokens(ctx, p)
	case Mail:
		return nil, errMail
	case Database:
		if d.Database == "" {
			return nil, errors.New("the database is on the server itself, where accounts are known by their Unix users and have no passwords\nhint: nothing is to be done")
		}
	case Cache:
		if !d.Cache {
			return nil, errors.New("this deployment has no cache\nhint: nothing is to be done")
		}
	}
	return p, d.planJob(ctx, p)
}

// errMail is what there is to say about mail.
var errMail = errors.New("rocca keeps no password of a mail server in the app secret, and gives servers none\nhint: where Matomo's own configuration names a mail server, on each server: rocca aws ssh --connect -- sudo rocca rotate smtp --password-file -")

// Do does what was planned. Where the account has changed since, it refuses. The
// error is a *StoppedError when it stopped half-way.
func (d *Deployment) Do(ctx context.Context, p *Plan) error {
	if len(p.Steps) == 0 {
		return nil
	}
	journal, err := openJournal(d.Journals, p)
	if err != nil {
		return err
	}
	if p.job != nil {
		if err := p.job.unchanged(ctx); err != nil {
			return fmt.Errorf("rotate %s of %s: %w", p.Kind, d.Name, err)
		}
	}
	for i, s := range p.Steps {
		event := progress.Event{Kind: progress.Start, Step: s.Name, Text: s.Text, Index: i + 1, Total: len(p.Steps), Usual: s.Usual}
		d.Tell.Tell(event)
		journal.record(d, "begin", p.Action, s.Name)
		err := context.Cause(ctx)
		if err == nil {
			err = s.do(ctx)
		}
		if err != nil {
			event.Kind, event.Err = progress.Fail, err.Error()
			d.Tell.Tell(event)
			journal.record(d, "fail", p.Action, s.Name)
			return d.stopped(ctx, p, s.Name, err)
		}
		event.Kind = progress.Done
		d.Tell.Tell(event)
		journal.record(d, "done", p.Action, s.Name)
	}
	journal.end(d)
	return nil
}

// StoppedError is a rotation that is neither done nor taken back.
type StoppedError struct {
	Kind Kind
	Step string
	Hint string
	Err  error
}

// Error tells why, what holds nevertheless, and what to do.
func (e *StoppedError) Error() string {
	return fmt.Sprintf("rotate %s: it stopped at %q: %v\nhint: %s", e.Kind, e.Step, e.Err, e.Hint)
}

// Unwrap gives the cause.
func (e *StoppedError) Unwrap() error { return e.Err }

func (d *Deployment) stopped(ctx context.Context, p *Plan, step string, err error) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
		err = fmt.Errorf("%w: %w", cause, err)
	}
	if p.job == nil {
		return fmt.Errorf("rotate %s of %s: %w", p.Kind, d.Name, err)
	}
	if step == stepMake {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		if now, unknown := d.look(ctx); unknown == nil && now.next == "" {
			return fmt.Errorf("rotate %s of %s: nothing was changed: %w", p.Kind, d.Name, err)
		}
	}
	hint := fmt.Sprintf("all servers go on with passwords that work; %s goes on, %s goes back to the old ones", d.command(p.Kind, Resume), d.command(p.Kind, Abort))
	switch {
	case p.Action == Repair:
		hint = d.command(p.Kind, Repair) + " tries again"
	case p.job.next == "":
		hint = d.command(p.Kind, Resume) + " tries again"
	case p.Kind == Salt:
		hint = fmt.Sprintf("servers may have different salts, and users be logged out again and again until %s or %s", d.command(p.Kind, Resume), d.command(p.Kind, Abort))
	}
	return &StoppedError{p.Kind, step, hint, err}
}

// command is one of rocca's, to be pasted.
func (d *Deployment) command(kind Kind, action Action) string {
	text := "rocca aws rotate " + string(kind)
	if action != Begin {
		text += " " + string(action)
	}
	return text + d.Again
}

// note tells what a step waits for.
func (d *Deployment) note(step, format string, args ...any) {
	d.Tell.Tell(progress.Event{Kind: progress.Wait, Step: step, Text: fmt.Sprintf(format, args...)})
}

// rest pauses between two tries. It is an error when ctx ends.
func (d *Deployment) rest(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d.pause):
		return nil
	}
}
