package deploy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/smithy-go"

	"rocca/internal/aws/client"
	"rocca/internal/aws/stack"
	"rocca/internal/progress"
)

// operation is what CloudFormation does to a stack, seen by its events.
type operation struct {
	id       string            // ARN of the stack
	name     string            // of the stack
	since    string            // id of the last event before it; empty: the latest operation
	words    map[string]string // by logical id
	template stack.Template    // for how long things take; may be empty
	changes  int               // number of resources; 0: not known
	repairs  bool              // that a roll-back ends well is what is wanted
	deletes  bool              // the stack
}

// outcome is how an operation ended.
type outcome struct {
	status   types.StackStatus
	failures []Failure
	kept     []string // logical ids of resources that a deletion left
}

// LeftError says that an operation goes on, and nobody looks any more.
type LeftError struct {
	Stack string
	Hint  string // the command that goes on
	cause error
}

// Error tells why nobody looks any more, and how to look again.
func (e *LeftError) Error() string {
	hint := "CloudFormation goes on by itself; " + e.Hint
	if client.Expired(e.cause) {
		hint = "sign in again (aws sso login, or new keys); CloudFormation goes on by itself meanwhile, and then " + e.Hint
	}
	return fmt.Sprintf("follow the stack %s: %v\nhint: %s", e.Stack, e.cause, hint)
}

// Unwrap gives what made rocca look away.
func (e *LeftError) Unwrap() error { return e.cause }

// Pauses between two looks, and how long nothing at all may happen: that is more
// than CloudFormation itself waits for any resource that rocca makes.
const (
	shortestPause = 2 * time.Second
	longestPause  = 15 * time.Second
	throttled     = time.Minute
	mostQuiet     = 3 * time.Hour
	mostUnheard   = 8 // looks in a row without an answer: networks come back
)

// answered tells whether an error is what AWS has answered.
func answered(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api)
}

// follow tells what happens until the operation ends. It returns a BrokenError
// when that is not what was wanted, and a LeftError when it goes on unseen.
func (d *Deployment) follow(ctx context.Context, op operation) (outcome, error) {
	v := &view{d: d, op: op, open: map[string]*row{}, proven: map[string]bool{}}
	defer v.close()
	pause, lively, unheard := shortestPause, d.Clock.Now(), 0
	for {
		events, err := d.eventsSince(ctx, op.id, op.since)
		if err == nil {
			unheard = 0
		}
		switch {
		case client.Throttled(err):
			pause = min(2*pause, throttled)
		case err != nil && ctx.Err() == nil && !answered(err) && unheard < mostUnheard:
			unheard++
			pause = min(2*pause, throttled)
		case err != nil:
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			return v.outcome, op.left(err)
		case len(events) == 0:
			pause = min(pause*3/2, longestPause)
		default:
			pause, lively = shortestPause, d.Clock.Now()
			op.since = aws.ToString(events[len(events)-1].EventId)
		}
		for _, e := range events {
			v.hear(e)
		}
		if v.ended {
			return v.outcome, v.verdict()
		}
		v.prove(ctx)
		v.remind()
		if d.Clock.Now().Sub(lively) > mostQuiet {
			return v.outcome, op.left(fmt.Errorf("nothing has happened for %s; aws cloudformation cancel-update-stack --stack-name %s takes an update back", minutes(mostQuiet), op.name))
		}
		if err := d.Clock.Sleep(ctx, pause); err != nil {
			return v.outcome, op.left(err)
		}
	}
}

func (op operation) left(cause error) error {
	if op.deletes {
		return &LeftError{op.name, goesOn, cause}
	}
	return &LeftError{op.name, "rocca aws deploy --attach follows it, and does what is left", cause}
}

const goesOn = "the same command goes on with it"

// eventsSince reads the events after one, oldest first.
func (d *Deployment) eventsSince(ctx context.Context, stackID, since string) ([]types.StackEvent, error) {
	var events []types.StackEvent
	found := false
	more := func(in *cloudformation.DescribeStackEventsInput, out *cloudformation.DescribeStackEventsOutput) bool {
		return !found && client.Next(&in.NextToken, out.NextToken)
	}
	for page, err := range client.Pages(ctx, d.cloud.DescribeStackEvents, &cloudformation.DescribeStackEventsInput{StackName: &stackID}, more) {
		if err != nil {
			return nil, err
		}
		for _, e := range page.StackEvents {
			if since != "" && aws.ToString(e.EventId) == since {
				found = true
				break
			}
			events = append(events, e)
			if since == "" && ofStack(e) && aws.ToString(e.ResourceStatusReason) == userInitiated {
				found = true
				break
			}
		}
	}
	slices.Reverse(events)
	return events, nil
}

// userInitiated is the reason of the first event of what somebody asked for.
const userInitiated = "User Initiated"

// lastEvent gives the id of the newest event of a stack.
func (d *Deployment) lastEvent(ctx context.Context, stackID string) (string, error) {
	answer, err := d.cloud.DescribeStackEvents(ctx, &cloudformation.DescribeStackEventsInput{StackName: &stackID})
	if err != nil {
		return "", fmt.Errorf("read the events of the stack %s: %w", stackID, client.Explain(err))
	}
	if len(answer.StackEvents) == 0 {
		return "", nil
	}
	return aws.ToString(answer.StackEvents[0].EventId), nil
}

// ofStack tells whether an event is about the stack as a whole.
func ofStack(e types.StackEvent) bool {
	return aws.ToString(e.PhysicalResourceId) == aws.ToString(e.StackId)
}

// view makes progress of events: one line for each resource.
type view struct {
	d  *Deployment
	op operation

	outcome
	ended  bool
	back   bool // the operation is being taken back
	tidies bool // the operation is done, and what it has replaced is removed
	begun  int
	open   map[string]*row // by logical id
	proven map[string]bool // certificates whose records were told, by ARN
}

// row is a resource that is being worked on.
type row struct {
	step     string
	at       time.Time
	usual    time.Duration
	arn      string // of a certificate that waits for its proof
	reminded bool
}

func (v *view) tell(e types.StackEvent, p progress.Event) {
	p.Time = aws.ToTime(e.Timestamp)
	v.d.Tell.Tell(p)
}

func (v *view) hear(e types.StackEvent) {
	status, reason := string(e.ResourceStatus), aws.ToString(e.ResourceStatusReason)
	if ofStack(e) {
		v.hearStack(e, status, reason)
		return
	}
	id := aws.ToString(e.LogicalResourceId)
	working := strings.HasSuffix(status, "_IN_PROGRESS")
	r := v.open[id]
	if r == nil {
		r = v.begin(e, id, status)
		if !working {
			v.end(id)
		}
	} else if wait := waitsFor(e, reason); working && wait != "" {
		v.tell(e, progress.Event{Kind: progress.Wait, Step: r.step, Text: wait})
	}
	switch {
	case working:
		if aws.ToString(e.ResourceType) == "AWS::CertificateManager::Certificate" {
			r.arn = aws.ToString(e.PhysicalResourceId)
		}
		return
	case strings.HasSuffix(status, "_COMPLETE"):
		v.tell(e, progress.Event{Kind: progress.Done, Step: r.step})
	case strings.HasSuffix(status, "_SKIPPED"):
		v.kept = append(v.kept, id)
		v.tell(e, progress.Event{Kind: progress.Skip, Step: r.step, Text: "kept"})
	case strings.HasSuffix(status, "_FAILED") && cancelled(reason):
		// Others made it fail; they are told.
		v.tell(e, progress.Event{Kind: progress.Skip, Step: r.step})
	case strings.HasSuffix(status, "_FAILED"):
		f := Failure{ID: id, Is: v.name(id, e), Reason: reason, Hint: hintOf(reason)}
		v.failures = append(v.failures, f)
		told := reason
		if f.Hint != "" {
			told += "\nhint: " + f.Hint
		}
		v.tell(e, progress.Event{Kind: progress.Fail, Step: r.step, Err: told})
	}
	v.end(id)
}

func (v *view) end(id string) { delete(v.open, id) }

// begin opens the line of a resource.
func (v *view) begin(e types.StackEvent, id, status string) *row {
	verb, _, _ := strings.Cut(strings.ToLower(status), "_")
	r := &row{step: v.name(id, e), at: aws.ToTime(e.Timestamp)}
	p := progress.Event{Kind: progress.Start, Text: verb + " " + v.op.name + "/" + id}
	switch {
	case v.back:
		r.step = "take back: " + r.step
	case v.tidies:
		r.step = "remove the old: " + r.step
	case !v.op.deletes:
		v.begun++
		if verb == "create" { // an update may be a matter of seconds, or of an hour
			r.usual = usual(v.resource(id, e))
		}
		p.Index, p.Total, p.Usual = min(v.begun, v.op.changes), v.op.changes, r.usual
	}
	p.Step = r.step
	v.open[id] = r
	v.tell(e, p)
	return r
}

func (v *view) name(id string, e types.StackEvent) string {
	if is := v.op.words[id]; is != "" {
		return is
	}
	return wordsOfType(aws.ToString(e.ResourceType)) + " " + id
}

func (v *view) resource(id string, e types.StackEvent) stack.Resource {
	if r, known := v.op.template.Resources[id]; known {
		return r
	}
	return stack.Resource{Type: aws.ToString(e.ResourceType)}
}

// hearStack follows the operation as a whole.
func (v *view) hearStack(e types.StackEvent, status, reason string) {
	note := func(text string) {
		v.tell(e, progress.Event{Kind: progress.Note, Text: v.op.name + ": " + text})
	}
	switch {
	case strings.Contains(status, "ROLLBACK_COMPLETE_CLEANUP"):
	case status == "DELETE_IN_PROGRESS" && reason == userInitiated:
		v.op.deletes = true
	case strings.HasSuffix(status, "COMPLETE_CLEANUP_IN_PROGRESS"):
		v.close()
		v.tidies = true
	case strings.HasSuffix(status, "ROLLBACK_IN_PROGRESS") || status == "DELETE_IN_PROGRESS" && !v.op.deletes:
		v.close()
		if !v.back {
			note("taking back what was begun. " + strings.TrimSpace(reason))
		}
		v.back = true
	case !strings.HasSuffix(status, "_IN_PROGRESS"):
		v.close()
		v.status, v.ended = types.StackStatus(status), true
		note(strings.ToLower(strings.ReplaceAll(status, "_", " ")))
	}
}

// cancelled tells whether a resource only failed because another did.
func cancelled(reason string) bool {
	return strings.HasPrefix(reason, "Resource ") && strings.Contains(reason, " cancelled") // creation, update or deletion
}

// waitsFor says what a resource waits for; empty when there is nothing to say.
func waitsFor(e types.StackEvent, reason string) string {
	switch {
	case e.DetailedStatus == types.DetailedStatusConfigurationComplete || strings.HasPrefix(reason, "Eventual consistency check"):
		return "made; AWS looks whether it works"
	case reason == "Resource creation Initiated" || strings.HasPrefix(reason, "Requested update requires"):
		return ""
	}
	return reason
}

// close ends the lines of what nothing was heard of any more.
func (v *view) close() {
	for id, r := range v.open {
		v.d.Tell.Tell(progress.Event{Time: v.d.Clock.Now(), Kind: progress.Skip, Step: r.step})
		delete(v.open, id)
	}
}

// prove tells the records that must be added to DNS before a certificate goes
// on, once for each.
func (v *view) prove(ctx context.Context) {
	if v.d.Proof == nil {
		return
	}
	for _, r := range v.open {
		if r.arn == "" || v.proven[r.arn] {
			continue
		}
		records, err := v.d.Proof(ctx, r.arn)
		if err != nil || len(records) == 0 {
			continue // ACM needs a moment to think of one
		}
		v.proven[r.arn] = true
		v.d.note("the certificate waits for you: add to the DNS of its domain\n" + strings.Join(records, "\n"))
	}
}

// remind tells of what takes far longer than usual, once for each.
func (v *view) remind() {
	now := v.d.Clock.Now()
	for _, r := range v.open {
		if took := now.Sub(r.at); !r.reminded && took > max(4*r.usual, 20*time.Minute) {
			r.reminded = true
			v.d.note(fmt.Sprintf("%s has taken %s, usually it takes %s; Ctrl-C leaves it running", r.step, minutes(took), minutes(max(r.usual, usuallyElse))))
		}
	}
}

// verdict tells whether the operation ended as was wanted.
func (v *view) verdict() error {
	good := []types.StackStatus{types.StackStatusCreateComplete, types.StackStatusUpdateComplete, types.StackStatusImportComplete}
	switch {
	case v.op.repairs:
		good = []types.StackStatus{types.StackStatusUpdateRollbackComplete}
	case v.op.deletes:
		good = []types.StackStatus{types.StackStatusDeleteComplete}
	}
	if slices.Contains(good, v.status) {
		return nil
	}
	back := []types.StackStatus{types.StackStatusRollbackComplete, types.StackStatusUpdateRollbackComplete, types.StackStatusDeleteComplete, types.StackStatusImportRollbackComplete}
	return &BrokenError{Stack: v.op.name, Status: string(v.status), Deleting: v.op.deletes, RolledBack: slices.Contains(back, v.status), Failures: v.failures}
}

// ErrDestroyed says that what ran was the end of the deployment.
var ErrDestroyed = errors.New("follow the deployment: it was being destroyed, and now is\nhint: rocca aws deploy makes it anew")

// Attach follows the operations that run on the stacks of a deployment, whoever
// began them, and reports whether there were any.
func (d *Deployment) Attach(ctx context.Context, set stack.Set) (followed bool, err error) {
	there, err := d.look(ctx, set)
	if err != nil {
		return false, err
	}
	for _, one := range set.Stacks {
		now := there[one.Role]
		if !now.running() {
			continue
		}
		d.note("following the stack " + one.Name + " (" + strings.ToLower(strings.ReplaceAll(string(now.status), "_", " ")) + ")")
		op := operation{id: now.id, name: one.Name, words: words(one.Template), template: one.Template}
		ended, err := d.follow(ctx, op)
		if err != nil {
			return true, err
		}
		if ended.status == types.StackStatusDeleteComplete {
			return true, ErrDestroyed
		}
		followed = true
	}
	return followed, nil
}
