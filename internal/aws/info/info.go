// Package info tells what a deployment is: its stacks, what they made, and the
// servers that run. It reads no secret.
package info

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"rocca/internal/aws/client"
	"rocca/internal/aws/settings"
	"rocca/internal/aws/shell"
	"rocca/internal/aws/stack"
)

// Deployment is what AWS says about it now.
type Deployment struct {
	Version   int              `json:"version"` // of this form: 1
	Name      string           `json:"name"`
	Region    string           `json:"region"`
	Profile   settings.Profile `json:"profile"`
	URL       string           `json:"url"`
	Record    string           `json:"record,omitempty"` // that its owner must add to DNS; empty: none, or not known yet
	Stacks    []Stack          `json:"stacks"`           // in the order they are deployed; those that are not there are left out
	Instances []shell.Instance `json:"instances"`
}

// Stack is one of its stacks.
type Stack struct {
	Role      string            `json:"role"`
	Name      string            `json:"name"`
	State     string            `json:"state"` // of CloudFormation, such as UPDATE_COMPLETE
	Changed   time.Time         `json:"changed"`
	Protected bool              `json:"protected"` // from being deleted
	Outputs   map[string]string `json:"outputs"`
}

// Ready tells whether all stacks are there, and none is being changed or broken.
func (d Deployment) Ready() bool {
	for _, s := range d.Stacks {
		if !strings.HasSuffix(s.State, "_COMPLETE") || strings.Contains(s.State, "ROLLBACK") || strings.HasPrefix(s.State, "DELETE") {
			return false
		}
	}
	return len(d.Stacks) == len(stack.Roles())
}

// Output is one of a stack's, or "".
func (d Deployment) Output(role, key string) string {
	for _, s := range d.Stacks {
		if s.Role == role {
			return s.Outputs[key]
		}
	}
	return ""
}

// Of asks AWS about a deployment. Stacks of somebody else that have its names
// are an error.
func Of(ctx context.Context, c client.Config, wanted settings.Settings) (Deployment, error) {
	d := Deployment{Version: 1, Name: wanted.Name, Region: wanted.Region, Profile: wanted.Profile, URL: "https://" + wanted.Domain + "/"}
	for _, role := range stack.Roles() {
		one, whose, err := Look(ctx, c, wanted, role)
		switch {
		case err != nil:
			return d, fmt.Errorf("ask about the stack %s: %w", one.Name, client.Explain(err))
		case whose == Foreign:
			return d, fmt.Errorf("ask about the stack %s: it is not rocca's (no tag %s=%s)\nhint: give this deployment another name", one.Name, stack.DeploymentTag, wanted.Name)
		case whose == Ours:
			d.Stacks = append(d.Stacks, one)
		}
	}
	if wanted.Zone == "" {
		d.Record = d.record(wanted.Domain)
	}
	var err error
	d.Instances, err = shell.Instances(ctx, c, wanted.Name)
	return d, err
}

// record leads a domain to the load balancer, or to the only server.
func (d Deployment) record(domain string) string {
	if balancer := d.Output(stack.App, "LoadBalancer"); balancer != "" {
		return domain + " CNAME " + balancer
	}
	if address := d.Output(stack.App, "Address"); address != "" {
		return domain + " A " + address
	}
	return ""
}

// Whose is a stack.
type Whose int

// A name that only a plan has taken is free.
const (
	Free Whose = iota
	Ours
	Foreign
)

// Look asks about one stack of a deployment. The error is that of AWS.
func Look(ctx context.Context, c client.Config, wanted settings.Settings, role string) (Stack, Whose, error) {
	one := Stack{Role: role, Name: stack.Name(wanted, role), Outputs: map[string]string{}}
	answer, err := cloudformation.NewFromConfig(c).DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: aws.String(one.Name)})
	if client.NoStack(err) {
		return one, Free, nil
	}
	if err != nil || len(answer.Stacks) == 0 || answer.Stacks[0].StackStatus == types.StackStatusReviewInProgress {
		return one, Free, err // at most the place of a plan, which has no tags yet
	}
	s := answer.Stacks[0]
	one.State, one.Protected, one.Changed = string(s.StackStatus), aws.ToBool(s.EnableTerminationProtection), aws.ToTime(s.CreationTime).UTC()
	if s.LastUpdatedTime != nil {
		one.Changed = s.LastUpdatedTime.UTC()
	}
	for _, o := range s.Outputs {
		one.Outputs[aws.ToString(o.OutputKey)] = aws.ToString(o.OutputValue)
	}
	for _, tag := range s.Tags {
		if aws.ToString(tag.Key) == stack.DeploymentTag && aws.ToString(tag.Value) == wanted.Name {
			return one, Ours, nil
		}
	}
	return one, Foreign, nil
}
