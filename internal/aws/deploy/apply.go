package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"rocca/internal/aws/client"
	"rocca/internal/aws/stack"
)

// Steps is what else is done around a stack, by role, with what the stacks
// before have made. After is told how the stack ended, and may be given a
// context that is already over. They are functions, as an interface keeps all
// methods of all that is behind it in the program: CloudFormation's are 3 MB.
type Steps struct {
	Before func(ctx context.Context, role string, k stack.Known) error
	After  func(ctx context.Context, role string, k stack.Known, failed error) error
}

// Consent is what the owner has agreed to beside the plan.
type Consent struct {
	AllowReplace []string              // logical ids of resources that may be lost
	Agree        func(StackPlan) error // asked where a stack turns out to need other changes than shown; nil: agreed to
}

// Failure is a resource that could not be changed.
type Failure struct {
	ID     string // logical
	Is     string // in words
	Reason string // in AWS's words
	Hint   string // what to do; empty: not known
}

// BrokenError says that a stack could not be changed.
type BrokenError struct {
	Stack      string
	Status     string // that it ended with
	Deleting   bool   // it should have gone
	RolledBack bool   // it is as it was before
	Failures   []Failure
}

// Error names what failed, with hints, and what became of the stack.
func (e *BrokenError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s the stack %s: it ended with %s", map[bool]string{true: "delete", false: "change"}[e.Deleting], e.Stack, e.Status)
	for _, f := range e.Failures {
		fmt.Fprintf(&b, "\n%s (%s): %s", f.Is, f.ID, f.Reason)
		if f.Hint != "" {
			b.WriteString("\nhint: " + f.Hint)
		}
	}
	switch {
	case e.Deleting:
		b.WriteString("\nhint: mend the cause, then the same command goes on")
	case e.RolledBack:
		b.WriteString("\nwhat this run had changed in the stack was taken back")
	case e.Status == string(types.StackStatusUpdateRollbackFailed):
		b.WriteString("\nand taking back failed\nhint: mend the cause, then rocca aws deploy: it offers to go on with the roll-back")
	default:
		b.WriteString("\nand taking back failed\nhint: mend the cause, then rocca aws deploy: it offers to delete what is left")
	}
	return b.String()
}

// LostError is a plan that would lose what nothing else has, without consent.
type LostError struct{ Changes []Change }

// Error names what would be lost, and how to allow it.
func (e *LostError) Error() string {
	var b strings.Builder
	b.WriteString("change the deployment: this would lose what nothing else has")
	for _, c := range e.Changes {
		fmt.Fprintf(&b, "\n%s (%s) would be %sd", c.Is, c.ID, c.Action)
		if causes := causes(c); causes != "" {
			b.WriteString(" because of " + causes)
		}
		if c.Loses == "" {
			b.WriteString("; the old one is kept, but not used any more")
		} else {
			b.WriteString("; lost: " + c.Loses)
		}
	}
	b.WriteString("\nhint: undo that in rocca-aws.yaml; or, if it may be lost, add --allow-replace " + e.Changes[0].ID)
	return b.String()
}

// causes names the properties that make a resource be replaced.
func causes(c Change) string {
	var names []string
	for _, p := range c.Properties {
		if p.Replaces {
			names = append(names, p.Name)
		}
	}
	return strings.Join(names, ", ")
}

// Gate refuses a plan that would replace or remove a stateful resource that is
// not named, and names that would not be touched. What CloudFormation only might
// replace passes: the stack policy stops it when it comes to that.
func (p Plan) Gate(allowed []string) error {
	var lost []Change
	known := map[string]bool{}
	for _, s := range p.Stacks {
		found, named := s.losing(allowed)
		lost = append(lost, found...)
		for _, id := range named {
			known[id] = true
		}
	}
	for _, id := range allowed {
		if !known[id] && !slices.ContainsFunc(p.Stacks, func(s StackPlan) bool { return s.Tentative != "" }) {
			return fmt.Errorf("allow that %s is replaced: no resource of that logical id would be replaced or removed\nhint: rocca aws plan shows what would be", id)
		}
	}
	if len(lost) > 0 {
		return &LostError{lost}
	}
	return nil
}

// losing lists the stateful resources that go without consent, and the logical
// ids of all that may go.
func (s StackPlan) losing(allowed []string) (lost []Change, goes []string) {
	for _, c := range s.Changes {
		if c.Action != Replace && c.Action != Remove && c.Action != MightReplace {
			continue
		}
		goes = append(goes, c.ID)
		if c.Stateful && c.Action != MightReplace && !slices.Contains(allowed, c.ID) {
			lost = append(lost, c)
		}
	}
	return lost, goes
}

// Apply does what was planned: stack by stack, each planned once more with what
// those before it have made. It returns what is known in the end.
func (d *Deployment) Apply(ctx context.Context, plan *Plan, render Render, steps Steps, consent Consent) (stack.Known, error) {
	if err := plan.Gate(consent.AllowReplace); err != nil {
		return plan.Known, err
	}
	known := plan.Known
	for _, shown := range plan.Stacks {
		if ctx.Err() != nil {
			return known, fmt.Errorf("change the stack %s: %w\nhint: nothing is running; rocca aws deploy goes on", shown.Stack, context.Cause(ctx))
		}
		var err error
		if known, err = d.applyStack(ctx, shown, known, render, steps, consent); err != nil {
			return known, err
		}
	}
	return known, nil
}

func (d *Deployment) applyStack(ctx context.Context, shown StackPlan, known stack.Known, render Render, steps Steps, consent Consent) (stack.Known, error) {
	if err := d.repair(ctx, shown); err != nil {
		return known, err
	}
	set, err := render(known)
	if err != nil {
		return known, err
	}
	one := set.Stacks[slices.IndexFunc(set.Stacks, func(s stack.Stack) bool { return s.Role == shown.Role })]
	p, err := d.again(ctx, set, one, shown, consent)
	if err != nil {
		return known, err
	}
	if p.ChangeSet != "" {
		if err := steps.Before(ctx, p.Role, known); err != nil {
			return known, err
		}
		failed := d.execute(ctx, one, p, consent.AllowReplace)
		now, err := d.standingAfter(ctx, one.Name, failed)
		if err == nil {
			known = learn(known, map[string]standing{one.Role: now})
		}
		if err := errors.Join(failed, err, steps.After(ctx, p.Role, known, failed)); err != nil {
			return known, err
		}
	}
	return known, d.protect(ctx, one)
}

// standingAfter looks at a stack that was changed, but not when that failed:
// then what made it fail matters.
func (d *Deployment) standingAfter(ctx context.Context, name string, failed error) (standing, error) {
	if failed != nil {
		return standing{}, nil
	}
	return d.standing(ctx, name)
}

// again plans a stack once more where what was shown no longer fits: what comes
// before it is there now, or its template has changed with that.
func (d *Deployment) again(ctx context.Context, set stack.Set, one stack.Stack, shown StackPlan, consent Consent) (StackPlan, error) {
	body, err := one.Template.JSON()
	if err != nil {
		return shown, fmt.Errorf("plan the stack %s: %w", one.Name, err)
	}
	if shown.Tentative == "" && string(body) == string(shown.body) {
		return shown, nil
	}
	there, err := d.look(ctx, set)
	if err != nil {
		return shown, err
	}
	if now := there[one.Role]; now.running() {
		return shown, &RunningError{one.Name, string(now.status)}
	}
	p, err := d.planStack(ctx, one, body, there)
	if err != nil {
		return shown, err
	}
	if p.Tentative != "" {
		return p, fmt.Errorf("plan the stack %s: %s, and still it is not there", one.Name, p.Tentative)
	}
	if lost, _ := p.losing(consent.AllowReplace); len(lost) > 0 {
		return p, &LostError{lost}
	}
	if p.Pending() && !sameChanges(p.Changes, shown.Changes) && consent.Agree != nil {
		return p, consent.Agree(p)
	}
	return p, nil
}

// repair brings a stack into a state in which it can be changed.
func (d *Deployment) repair(ctx context.Context, p StackPlan) error {
	switch p.Repair {
	case DeleteStack:
		now, err := d.standing(ctx, p.Stack)
		if err != nil || now.absent() {
			return err
		}
		_, err = d.deleteStack(ctx, stack.Stack{Role: p.Role, Name: p.Stack}, now, nil)
		return err
	case ContinueRollback:
		now, err := d.standing(ctx, p.Stack)
		if err != nil {
			return err
		}
		last, err := d.lastEvent(ctx, now.id)
		if err != nil {
			return err
		}
		d.note(p.Stack + ": going on with the roll-back of the update that failed")
		if _, err := d.cloud.ContinueUpdateRollback(ctx, &cloudformation.ContinueUpdateRollbackInput{StackName: &now.id, ClientRequestToken: d.token("continue")}); err != nil {
			return fmt.Errorf("go on with the roll-back of the stack %s: %w", p.Stack, d.refused(p.Stack, err))
		}
		_, err = d.follow(ctx, operation{id: now.id, name: p.Stack, since: last, repairs: true})
		return err
	}
	return nil
}

// token makes a retried call one call. Another run has another time.
func (d *Deployment) token(what string) *string {
	return aws.String(fmt.Sprintf("rocca-%s-%d", what, d.Clock.Now().UnixNano()))
}

// execute executes a change set, and follows it to its end.
func (d *Deployment) execute(ctx context.Context, one stack.Stack, p StackPlan, allowed []string) error {
	now, err := d.standing(ctx, one.Name)
	if err != nil {
		return err
	}
	if now.running() {
		return &RunningError{one.Name, string(now.status)}
	}
	if !p.creates {
		// What may go has to be let go first; the rest stays locked.
		if err := d.setPolicy(ctx, one, allowed); err != nil {
			return err
		}
	}
	last, err := d.lastEvent(ctx, now.id)
	if err != nil {
		return err
	}
	var made []string
	for _, c := range p.Changes {
		if c.Action == Create || c.Action == Replace {
			made = append(made, c.ID)
		}
	}
	_, err = d.cloud.ExecuteChangeSet(ctx, &cloudformation.ExecuteChangeSetInput{ChangeSetName: &p.ChangeSet, ClientRequestToken: d.token("execute")})
	if err != nil {
		return fmt.Errorf("change the stack %s: %w", one.Name, d.refused(one.Name, err))
	}
	text := fmt.Sprintf("%s: %s of %s", one.Name, map[bool]string{true: "creation", false: "change"}[p.creates], counted(len(p.Changes), "resource"))
	if took := estimate(one.Template, made); took > 0 {
		text += ", usually " + minutes(took)
	}
	d.note(text)
	_, err = d.follow(ctx, operation{id: now.id, name: one.Name, since: last, words: words(one.Template), template: one.Template, changes: len(p.Changes)})
	return err
}

// protect guards a stack against being deleted, and what it holds against being
// replaced, by us or anybody. What is so already is not written again.
func (d *Deployment) protect(ctx context.Context, one stack.Stack) error {
	now, err := d.standing(ctx, one.Name)
	if err != nil {
		return err
	}
	if !now.protected {
		_, err := d.cloud.UpdateTerminationProtection(ctx, &cloudformation.UpdateTerminationProtectionInput{StackName: &one.Name, EnableTerminationProtection: aws.Bool(true)})
		if err != nil {
			return fmt.Errorf("protect the stack %s from deletion: %w", one.Name, client.Explain(err))
		}
	}
	return d.setPolicy(ctx, one, nil)
}

// setPolicy denies that the stateful resources of a stack are replaced or
// removed, but those that are allowed to go.
func (d *Deployment) setPolicy(ctx context.Context, one stack.Stack, allowed []string) error {
	wanted, err := stackPolicy(one.Template, allowed)
	if err != nil {
		return fmt.Errorf("write the policy of the stack %s: %w", one.Name, err)
	}
	has, err := d.cloud.GetStackPolicy(ctx, &cloudformation.GetStackPolicyInput{StackName: &one.Name})
	if err != nil {
		return fmt.Errorf("read the policy of the stack %s: %w", one.Name, client.Explain(err))
	}
	if aws.ToString(has.StackPolicyBody) == wanted {
		return nil
	}
	_, err = d.cloud.SetStackPolicy(ctx, &cloudformation.SetStackPolicyInput{StackName: &one.Name, StackPolicyBody: &wanted})
	if err != nil {
		return fmt.Errorf("write the policy of the stack %s: %w", one.Name, client.Explain(err))
	}
	return nil
}

// stackPolicy lets everything be updated, and nothing stateful go.
func stackPolicy(t stack.Template, allowed []string) (string, error) {
	type statement struct {
		Effect    string
		Action    []string
		Principal string
		Resource  []string
	}
	policy := struct{ Statement []statement }{[]statement{{"Allow", []string{"Update:*"}, "*", []string{"*"}}}}
	var locked []string
	for _, id := range slices.Sorted(maps.Keys(t.Resources)) {
		if _, holds := stateful[t.Resources[id].Type]; holds && !slices.Contains(allowed, id) {
			locked = append(locked, "LogicalResourceId/"+id)
		}
	}
	if len(locked) > 0 {
		policy.Statement = append(policy.Statement, statement{"Deny", []string{"Update:Replace", "Update:Delete"}, "*", locked})
	}
	text, err := json.Marshal(policy)
	return string(text), err
}
