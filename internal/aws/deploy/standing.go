package deploy

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/smithy-go"

	"rocca/internal/aws/client"
	"rocca/internal/aws/stack"
)

// standing is what there is of a stack.
type standing struct {
	id        string // ARN; empty: there is no such stack
	status    types.StackStatus
	outputs   map[string]string
	tags      map[string]string
	protected bool // from deletion
}

func (s standing) absent() bool { return s.id == "" }

// unmade tells whether the stack is only a place for its first change set.
func (s standing) unmade() bool { return s.status == types.StackStatusReviewInProgress }

func (s standing) running() bool {
	return strings.HasSuffix(string(s.status), "_IN_PROGRESS") && !s.unmade()
}

// dead tells whether the stack takes no change set any more, and can only be
// deleted.
func (s standing) dead() bool {
	switch s.status {
	case types.StackStatusRollbackComplete, types.StackStatusRollbackFailed, types.StackStatusCreateFailed, types.StackStatusDeleteFailed:
		return true
	}
	return false
}

// halfway tells whether an update could not be taken back whole.
func (s standing) halfway() bool { return s.status == types.StackStatusUpdateRollbackFailed }

// RunningError says that a change of a stack is under way that is not ours.
type RunningError struct {
	Stack  string
	Status string
}

// Error names the stack, and how to wait for it.
func (e *RunningError) Error() string {
	return fmt.Sprintf("change the stack %s: another deployment is running (%s)\nhint: rocca aws deploy --attach follows it, and goes on when it has ended", e.Stack, e.Status)
}

// Known adds to what is known what the stacks of a set have made. It is an
// error when one of them is not there.
func (d *Deployment) Known(ctx context.Context, set stack.Set, known stack.Known) (stack.Known, error) {
	there, err := d.look(ctx, set)
	if err != nil {
		return known, err
	}
	for _, one := range set.Stacks {
		if s := there[one.Role]; s.absent() || s.unmade() || s.dead() {
			return known, fmt.Errorf("look at the stack %s: it is not there\nhint: rocca aws deploy makes it", one.Name)
		}
	}
	return learn(known, there), nil
}

// look reads what there is of each stack. It refuses stacks that are not of
// this deployment, and changes nothing.
func (d *Deployment) look(ctx context.Context, set stack.Set) (map[string]standing, error) {
	there := map[string]standing{}
	for _, one := range set.Stacks {
		s, err := d.standing(ctx, one.Name)
		if err != nil {
			return nil, err
		}
		there[one.Role] = s
	}
	return there, nil
}

// standing reads what there is of one stack, by its name or ARN.
func (d *Deployment) standing(ctx context.Context, name string) (standing, error) {
	answer, err := d.cloud.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &name})
	if missing(err) {
		return standing{}, nil
	}
	if err != nil {
		return standing{}, fmt.Errorf("look at the stack %s: %w", name, client.Explain(err))
	}
	found := answer.Stacks[0]
	s := standing{id: aws.ToString(found.StackId), status: found.StackStatus, protected: aws.ToBool(found.EnableTerminationProtection), outputs: map[string]string{}, tags: map[string]string{}}
	if s.status == types.StackStatusDeleteComplete {
		return standing{}, nil
	}
	for _, o := range found.Outputs {
		s.outputs[aws.ToString(o.OutputKey)] = aws.ToString(o.OutputValue)
	}
	for _, tag := range found.Tags {
		s.tags[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	owner, tagged := s.tags[stack.DeploymentTag]
	ours := owner == d.Name
	if !tagged && s.unmade() {
		// Not all of these have their tags already; what was planned tells.
		if ours, err = d.plannedByUs(ctx, name); err != nil {
			return standing{}, err
		}
	}
	switch {
	case ours:
		return s, nil
	case tagged:
		return standing{}, fmt.Errorf("look at the stack %s: it belongs to the deployment %s, and is left alone\nhint: give this deployment another name in rocca-aws.yaml", name, owner)
	}
	return standing{}, fmt.Errorf("look at the stack %s: it was not made by rocca (no tag %s), and is left alone\nhint: give this deployment another name in rocca-aws.yaml, or remove that stack yourself", name, stack.DeploymentTag)
}

// missing tells whether there is no such stack or change set.
func missing(err error) bool {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return false
	}
	return api.ErrorCode() == "ChangeSetNotFound" || strings.Contains(api.ErrorMessage(), "does not exist")
}

// learn adds what the stacks have made to what is known.
func learn(known stack.Known, there map[string]standing) stack.Known {
	all := map[string]string{}
	for key, value := range known.Physical {
		all[key] = value
	}
	for role, s := range there {
		for key, value := range s.outputs {
			all[physical(role, key)] = value
		}
	}
	known.Physical = all
	return known
}
