package deploy

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"rocca/internal/aws/client"
	"rocca/internal/aws/stack"
)

// Drift is a resource that is no longer as its stack made it.
type Drift struct {
	Stack       string       `json:"stack"`
	ID          string       `json:"id"` // logical
	Type        string       `json:"type"`
	Is          string       `json:"is"`
	Physical    string       `json:"physical"`
	Deleted     bool         `json:"deleted,omitempty"`
	Differences []Difference `json:"differences,omitempty"`
}

// Difference is a property that somebody has changed.
type Difference struct {
	Path     string `json:"path"`
	Expected string `json:"expected,omitempty"`
	Actual   string `json:"actual,omitempty"`
}

// mostDetecting is how long a search for drift may take.
const mostDetecting = 30 * time.Minute

// Drift looks for what somebody has changed or deleted beside CloudFormation.
// Stacks that are not there have none.
func (d *Deployment) Drift(ctx context.Context, set stack.Set) ([]Drift, error) {
	there, err := d.look(ctx, set)
	if err != nil {
		return nil, err
	}
	var all []Drift
	for _, one := range set.Stacks {
		if now := there[one.Role]; now.absent() || now.unmade() || now.dead() {
			continue
		}
		found, err := d.driftOf(ctx, one)
		if err != nil {
			return nil, fmt.Errorf("look for drift of the stack %s: %w", one.Name, client.Explain(err))
		}
		all = append(all, found...)
	}
	return all, nil
}

func (d *Deployment) driftOf(ctx context.Context, one stack.Stack) ([]Drift, error) {
	search, err := d.cloud.DetectStackDrift(ctx, &cloudformation.DetectStackDriftInput{StackName: &one.Name})
	if err != nil {
		return nil, err
	}
	begin := d.Clock.Now()
	for {
		state, err := d.cloud.DescribeStackDriftDetectionStatus(ctx, &cloudformation.DescribeStackDriftDetectionStatusInput{StackDriftDetectionId: search.StackDriftDetectionId})
		switch {
		case err != nil && !client.Throttled(err):
			return nil, err
		case err == nil && state.DetectionStatus == types.StackDriftDetectionStatusDetectionFailed:
			return nil, fmt.Errorf("it could not be found out: %s", aws.ToString(state.DetectionStatusReason))
		case err == nil && state.DetectionStatus == types.StackDriftDetectionStatusDetectionComplete:
			return d.drifted(ctx, one)
		}
		if d.Clock.Now().Sub(begin) > mostDetecting {
			return nil, fmt.Errorf("it is not known after %s", minutes(mostDetecting))
		}
		if err := d.Clock.Sleep(ctx, 5*time.Second); err != nil {
			return nil, err
		}
	}
}

func (d *Deployment) drifted(ctx context.Context, one stack.Stack) ([]Drift, error) {
	named := words(one.Template)
	var all []Drift
	more := func(in *cloudformation.DescribeStackResourceDriftsInput, out *cloudformation.DescribeStackResourceDriftsOutput) bool {
		return client.Next(&in.NextToken, out.NextToken)
	}
	for page, err := range client.Pages(ctx, d.cloud.DescribeStackResourceDrifts, &cloudformation.DescribeStackResourceDriftsInput{StackName: &one.Name,
		StackResourceDriftStatusFilters: []types.StackResourceDriftStatus{types.StackResourceDriftStatusModified, types.StackResourceDriftStatusDeleted}}, more) {
		if err != nil {
			return nil, err
		}
		for _, r := range page.StackResourceDrifts {
			id := aws.ToString(r.LogicalResourceId)
			drift := Drift{Stack: one.Name, ID: id, Type: aws.ToString(r.ResourceType), Is: named[id], Physical: aws.ToString(r.PhysicalResourceId),
				Deleted: r.StackResourceDriftStatus == types.StackResourceDriftStatusDeleted}
			if drift.Is == "" {
				drift.Is = wordsOfType(drift.Type) + " " + id
			}
			for _, p := range r.PropertyDifferences {
				drift.Differences = append(drift.Differences, Difference{aws.ToString(p.PropertyPath), aws.ToString(p.ExpectedValue), aws.ToString(p.ActualValue)})
			}
			all = append(all, drift)
		}
	}
	slices.SortFunc(all, func(a, b Drift) int { return strings.Compare(a.ID, b.ID) })
	return all, nil
}
