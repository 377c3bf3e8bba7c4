package deploy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"rocca/internal/aws/client"
	"rocca/internal/aws/stack"
	"rocca/internal/progress"
)

// Plan is what a deployment would do. Its change sets stay in the account, so
// that what was read is what is executed.
type Plan struct {
	Deployment string      `json:"deployment"`
	Stacks     []StackPlan `json:"stacks"` // in the order they are deployed
	Set        stack.Set   `json:"-"`      // as it was rendered for the plan
	Known      stack.Known `json:"-"`      // with what the stacks that are there have made
}

// StackPlan is what would happen to one stack.
type StackPlan struct {
	Role      string   `json:"role"`
	Stack     string   `json:"stack"`
	Repair    Repair   `json:"repair,omitempty"`     // what must be done to the stack first
	Tentative string   `json:"tentative,omitempty"`  // why there is no change set yet; empty: there is one, or nothing to do
	ChangeSet string   `json:"change_set,omitempty"` // ARN
	Changes   []Change `json:"changes"`
	Warnings  []string `json:"warnings,omitempty"` // of CloudFormation's early validation

	creates bool // the stack
	body    []byte
}

// Repair is what brings a stack back into a state in which it can be changed.
type Repair string

// The repairs. Each needs the owner's consent.
const (
	DeleteStack      Repair = "delete"            // its first deployment failed, and nothing was ever in it
	ContinueRollback Repair = "continue rollback" // an update failed, and so did taking it back
)

// Pending tells whether there is anything to do.
func (p Plan) Pending() bool {
	return slices.ContainsFunc(p.Stacks, StackPlan.Pending)
}

// Pending tells whether there is anything to do. A change set without changes
// of resources changes outputs or tags.
func (s StackPlan) Pending() bool {
	return s.Repair != "" || s.ChangeSet != "" || len(s.Changes) > 0
}

// InvalidError says that CloudFormation refuses a template before it has
// touched anything.
type InvalidError struct {
	Stack    string
	Findings []string
}

// Error names what CloudFormation has found.
func (e *InvalidError) Error() string {
	return fmt.Sprintf("plan the stack %s: CloudFormation refuses it:\n%s\nhint: correct rocca-aws.yaml; nothing was changed", e.Stack, strings.Join(e.Findings, "\n"))
}

// changeSetPrefix begins the names of our change sets.
const changeSetPrefix = "rocca-"

// Plan makes a change set for each stack, and reads what it would do. Stacks
// whose predecessors are not there yet are planned from their templates alone.
// Nothing is written before every stack was looked at: one that belongs to
// somebody else, or is being changed, stops it.
func (d *Deployment) Plan(ctx context.Context, render Render, known stack.Known) (*Plan, error) {
	set, err := render(known)
	if err != nil {
		return nil, err
	}
	there, err := d.look(ctx, set)
	if err != nil {
		return nil, err
	}
	for _, one := range set.Stacks {
		if s := there[one.Role]; s.running() {
			return nil, &RunningError{one.Name, string(s.status)}
		}
	}
	plan := &Plan{Deployment: d.Name, Known: learn(known, there)}
	if plan.Set, err = render(plan.Known); err != nil {
		return nil, err
	}
	for _, one := range plan.Set.Stacks {
		body, err := one.Template.JSON()
		if err != nil {
			return nil, fmt.Errorf("plan the stack %s: %w", one.Name, err)
		}
		plan.Stacks = append(plan.Stacks, StackPlan{Role: one.Role, Stack: one.Name, body: body})
	}
	for i, one := range plan.Set.Stacks {
		d.Tell.Tell(progress.Event{Time: d.Clock.Now(), Kind: progress.Wait, Step: "plan", Text: "CloudFormation compares the stack " + one.Name})
		if plan.Stacks[i], err = d.planStack(ctx, one, plan.Stacks[i].body, there); err != nil {
			return nil, err
		}
	}
	d.Tell.Tell(progress.Event{Time: d.Clock.Now(), Kind: progress.Skip, Step: "plan"})
	return plan, nil
}

// planStack plans one stack, given what there is of all.
func (d *Deployment) planStack(ctx context.Context, one stack.Stack, body []byte, there map[string]standing) (StackPlan, error) {
	now := there[one.Role]
	p := StackPlan{Role: one.Role, Stack: one.Name, creates: now.absent() || now.unmade() || now.dead(), Changes: []Change{}, body: body}
	switch {
	case now.dead():
		p.Repair, p.Tentative = DeleteStack, "its first deployment failed ("+string(now.status)+") and what is left of it is deleted first"
	case now.halfway():
		p.Repair, p.Tentative = ContinueRollback, "an update failed, and its roll-back is finished first"
	case refersToUnmade(body, d.Name):
		p.Tentative = "it needs what stacks before it have yet to make"
	case p.creates:
		for role, s := range there {
			if role != one.Role && slices.Contains(one.Needs, d.nameOf(one, role)) && (s.absent() || s.unmade() || s.dead()) {
				p.Tentative = "the stacks before it are not there yet"
			}
		}
	}
	if p.Tentative != "" {
		var before stack.Template
		if !p.creates {
			deployed, err := d.body(ctx, one.Name)
			if err != nil {
				return p, err
			}
			if before, err = readTemplate(deployed); err != nil {
				return p, fmt.Errorf("read the template of the stack %s: %w", one.Name, err)
			}
		}
		p.Changes = compared(before, one.Template)
		return p, nil
	}
	return p, d.changeSet(ctx, one, now, &p)
}

// nameOf is the name of the stack with another role in the same deployment.
func (d *Deployment) nameOf(one stack.Stack, role string) string {
	return strings.TrimSuffix(one.Name, one.Role) + role
}

// changeSet makes the change set of a stack, or finds the one that an earlier
// run made of the same template, and reads it.
func (d *Deployment) changeSet(ctx context.Context, one stack.Stack, now standing, p *StackPlan) error {
	name := changeSetName(one, p.body, p.creates)
	made, err := d.tidy(ctx, one, now, name)
	if err != nil {
		return err
	}
	if !made {
		if err := d.createChangeSet(ctx, one, name, p); err != nil {
			return err
		}
	}
	answer, err := d.awaitChangeSet(ctx, one.Name, name)
	if err != nil {
		return err
	}
	id, reason := aws.ToString(answer.ChangeSetId), aws.ToString(answer.StatusReason)
	if answer.Status == types.ChangeSetStatusFailed {
		if unchanged(reason) {
			return d.deleteChangeSet(ctx, one.Name, name)
		}
		findings, _, err := d.validation(ctx, id, one)
		if err != nil || len(findings) == 0 {
			findings = []string{reason}
		}
		return errors.Join(&InvalidError{one.Name, findings}, d.discard(ctx, one.Name, name))
	}
	changes, err := d.readChanges(ctx, answer)
	if err != nil {
		return err
	}
	// What is only a warning is worth one question, and no more.
	_, p.Warnings, _ = d.validation(ctx, id, one, once)
	p.ChangeSet = id
	p.Changes = changesOf(changes, one.Template)
	if !p.creates {
		d.losses(ctx, one, p)
	}
	return nil
}

// losses describes what is removed by the template that has it: that is not
// the one that is wanted.
func (d *Deployment) losses(ctx context.Context, one stack.Stack, p *StackPlan) {
	if !slices.ContainsFunc(p.Changes, func(c Change) bool { return c.Action == Remove }) {
		return
	}
	deployed, err := d.body(ctx, one.Name)
	if err != nil {
		return // it only adds words
	}
	before, err := readTemplate(deployed)
	if err != nil {
		return
	}
	for i, c := range p.Changes {
		if c.Action == Remove {
			r := before.Resources[c.ID]
			r.Is = c.Is
			describe(&p.Changes[i], r, c.Stateful && c.Loses == "")
		}
	}
}

// unchanged tells whether a change set failed because nothing is to be done.
func unchanged(reason string) bool {
	return strings.Contains(reason, "didn't contain changes") || strings.Contains(reason, "No updates are to be performed")
}

// changeSetName follows from the content, so that a second run finds what the
// first one made.
func changeSetName(one stack.Stack, body []byte, creates bool) string {
	sum := sha256.New()
	fmt.Fprintf(sum, "%s\x00%v\x00", one.Name, creates)
	for _, key := range slices.Sorted(maps.Keys(one.Tags)) {
		fmt.Fprintf(sum, "%s\x00%s\x00", key, one.Tags[key])
	}
	sum.Write(body)
	return changeSetPrefix + hex.EncodeToString(sum.Sum(nil))[:24]
}

// tidy deletes the change sets that earlier runs left, and reports whether the
// one of that name can be used.
func (d *Deployment) tidy(ctx context.Context, one stack.Stack, now standing, name string) (usable bool, err error) {
	if now.absent() {
		return false, nil
	}
	sets, err := d.changeSets(ctx, one.Name)
	if err != nil {
		return false, err
	}
	for _, set := range sets {
		its := aws.ToString(set.ChangeSetName)
		switch {
		case !strings.HasPrefix(its, changeSetPrefix):
		case its == name && (set.ExecutionStatus == types.ExecutionStatusAvailable || set.Status == types.ChangeSetStatusCreateInProgress || set.Status == types.ChangeSetStatusCreatePending):
			usable = true
		default:
			if err := d.deleteChangeSet(ctx, one.Name, its); err != nil {
				return false, err
			}
		}
	}
	return usable, nil
}

func (d *Deployment) changeSets(ctx context.Context, stackName string) ([]types.ChangeSetSummary, error) {
	var all []types.ChangeSetSummary
	more := func(in *cloudformation.ListChangeSetsInput, out *cloudformation.ListChangeSetsOutput) bool {
		return client.Next(&in.NextToken, out.NextToken)
	}
	for page, err := range client.Pages(ctx, d.cloud.ListChangeSets, &cloudformation.ListChangeSetsInput{StackName: &stackName}, more) {
		if err != nil {
			return nil, fmt.Errorf("list the change sets of the stack %s: %w", stackName, client.Explain(err))
		}
		all = append(all, page.Summaries...)
	}
	return all, nil
}

// plannedByUs tells whether all change sets of a stack have names as ours, and
// there is one.
func (d *Deployment) plannedByUs(ctx context.Context, stackName string) (bool, error) {
	sets, err := d.changeSets(ctx, stackName)
	if err != nil {
		return false, err
	}
	return len(sets) > 0 && !slices.ContainsFunc(sets, func(s types.ChangeSetSummary) bool {
		return !strings.HasPrefix(aws.ToString(s.ChangeSetName), changeSetPrefix)
	}), nil
}

// mostAttempts to make a change set whose namesake is still being deleted.
const mostAttempts = 10

func (d *Deployment) createChangeSet(ctx context.Context, one stack.Stack, name string, p *StackPlan) error {
	in := &cloudformation.CreateChangeSetInput{
		StackName:     &one.Name,
		ChangeSetName: &name,
		ChangeSetType: types.ChangeSetTypeUpdate,
		Description:   aws.String("made by rocca for the deployment " + d.Name),
		TemplateBody:  aws.String(string(p.body)),
		Capabilities:  []types.Capability{types.CapabilityCapabilityNamedIam},
	}
	for _, key := range slices.Sorted(maps.Keys(one.Tags)) {
		in.Tags = append(in.Tags, types.Tag{Key: aws.String(key), Value: aws.String(one.Tags[key])})
	}
	if p.creates {
		in.ChangeSetType = types.ChangeSetTypeCreate
		in.OnStackFailure = types.OnStackFailureDelete
		// The secret that an earlier deployment of this name has left is taken in:
		// its database can be restored only with the seed in it.
		in.ImportExistingResources = aws.Bool(true)
	}
	for attempt := 1; ; attempt++ {
		_, err := d.cloud.CreateChangeSet(ctx, in)
		var exists *types.AlreadyExistsException
		switch {
		case err == nil:
			return nil
		case errors.As(err, &exists) && attempt < mostAttempts:
			if err := d.Clock.Sleep(ctx, 2*time.Second); err != nil {
				return err
			}
		default:
			return fmt.Errorf("plan the stack %s: %w", one.Name, d.refused(one.Name, err))
		}
	}
}

// refused tells a stack that somebody changes from other errors.
func (d *Deployment) refused(stackName string, err error) error {
	for word := range strings.FieldsSeq(err.Error()) {
		if strings.HasSuffix(word, "_IN_PROGRESS") && !strings.HasPrefix(word, "REVIEW") {
			return &RunningError{stackName, word}
		}
	}
	return client.Explain(err)
}

// mostPlanning is how long CloudFormation may take to make a change set.
const mostPlanning = 15 * time.Minute

// awaitChangeSet waits until a change set can be read, and returns its first
// page.
func (d *Deployment) awaitChangeSet(ctx context.Context, stackName, name string) (*cloudformation.DescribeChangeSetOutput, error) {
	begin, pause := d.Clock.Now(), 500*time.Millisecond
	for {
		answer, err := d.cloud.DescribeChangeSet(ctx, &cloudformation.DescribeChangeSetInput{StackName: &stackName, ChangeSetName: &name, IncludePropertyValues: aws.Bool(true)})
		switch {
		case client.Throttled(err):
			pause *= 2
		case err != nil:
			return nil, fmt.Errorf("read the change set of the stack %s: %w", stackName, client.Explain(err))
		case answer.Status != types.ChangeSetStatusCreatePending && answer.Status != types.ChangeSetStatusCreateInProgress:
			return answer, nil
		}
		if d.Clock.Now().Sub(begin) > mostPlanning {
			return nil, fmt.Errorf("read the change set of the stack %s: it is not ready after %s\nhint: run the same command again", stackName, mostPlanning)
		}
		if err := d.Clock.Sleep(ctx, pause); err != nil {
			return nil, err
		}
		pause = min(pause*2, 5*time.Second)
	}
}

// readChanges reads the other pages of a change set.
func (d *Deployment) readChanges(ctx context.Context, first *cloudformation.DescribeChangeSetOutput) ([]types.Change, error) {
	changes := first.Changes
	for next := first.NextToken; next != nil; {
		page, err := d.cloud.DescribeChangeSet(ctx, &cloudformation.DescribeChangeSetInput{ChangeSetName: first.ChangeSetId, IncludePropertyValues: aws.Bool(true), NextToken: next})
		if err != nil {
			return nil, fmt.Errorf("read the change set of the stack %s: %w", aws.ToString(first.StackName), client.Explain(err))
		}
		changes, next = append(changes, page.Changes...), page.NextToken
	}
	return changes, nil
}

// once makes a call that is not tried again.
func once(o *cloudformation.Options) { o.RetryMaxAttempts = 1 }

// validation reads what CloudFormation found out without making anything.
func (d *Deployment) validation(ctx context.Context, changeSet string, one stack.Stack, how ...func(*cloudformation.Options)) (findings, warnings []string, err error) {
	named := words(one.Template)
	more := func(in *cloudformation.DescribeEventsInput, out *cloudformation.DescribeEventsOutput) bool {
		return client.Next(&in.NextToken, out.NextToken)
	}
	for page, err := range client.Pages(ctx, d.cloud.DescribeEvents, &cloudformation.DescribeEventsInput{ChangeSetName: &changeSet, Filters: &types.EventFilter{FailedEvents: aws.Bool(true)}}, more, how...) {
		if err != nil {
			return nil, nil, fmt.Errorf("read the validation of the stack %s: %w", one.Name, client.Explain(err))
		}
		for _, e := range page.OperationEvents {
			if e.ValidationStatus != types.ValidationStatusFailed {
				continue
			}
			id := aws.ToString(e.LogicalResourceId)
			text := fmt.Sprintf("%s (%s%s): %s", named[id], id, aws.ToString(e.ValidationPath), aws.ToString(e.ValidationStatusReason))
			if e.ValidationFailureMode == types.HookFailureModeWarn {
				warnings = append(warnings, text)
			} else {
				findings = append(findings, text)
			}
		}
	}
	return findings, warnings, nil
}

func (d *Deployment) deleteChangeSet(ctx context.Context, stackName, name string) error {
	_, err := d.cloud.DeleteChangeSet(ctx, &cloudformation.DeleteChangeSetInput{StackName: &stackName, ChangeSetName: &name})
	if err != nil && !missing(err) {
		return fmt.Errorf("delete the change set %s of the stack %s: %w", name, stackName, client.Explain(err))
	}
	return nil
}

// discard deletes a change set, and the stack when it was only a place for it.
func (d *Deployment) discard(ctx context.Context, stackName, changeSet string) error {
	now, err := d.standing(ctx, stackName)
	if err != nil {
		return err
	}
	if now.unmade() {
		_, err := d.cloud.DeleteStack(ctx, &cloudformation.DeleteStackInput{StackName: &now.id})
		if err != nil {
			return fmt.Errorf("delete the empty stack %s: %w", stackName, client.Explain(err))
		}
		return nil
	}
	return d.deleteChangeSet(ctx, stackName, changeSet)
}

// Discard takes away what planning has left in the account: the change sets,
// and stacks that were never made.
func (d *Deployment) Discard(ctx context.Context, p *Plan) error {
	var failed error
	for _, s := range p.Stacks {
		if s.ChangeSet != "" {
			failed = errors.Join(failed, d.discard(ctx, s.Stack, s.ChangeSet))
		}
	}
	return failed
}
