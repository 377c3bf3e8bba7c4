// Package deploy brings the stacks of a deployment into an AWS account, and
// takes them away again. Nothing is changed but by a change set that was read,
// classified and agreed to; CloudFormation goes on with it when rocca ends, so
// that every run can be left and taken up again.
package deploy

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudformation"

	"rocca/internal/aws/client"
	"rocca/internal/aws/stack"
	"rocca/internal/progress"
)

// Deployment is one deployment in one account and region.
type Deployment struct {
	Name  string           // its stacks have it in the tag rocca:deployment; others are not touched
	Tell  progress.Handler // hears how it goes; may be nil
	Clock Clock
	Proof func(ctx context.Context, certificate string) ([]string, error) // DNS records that prove a certificate, by its ARN; nil: they are made by the stack

	cloud *cloudformation.Client
}

// New is a deployment that nothing has looked at yet.
func New(c client.Config, name string, tell progress.Handler) *Deployment {
	return &Deployment{Name: name, Tell: tell, Clock: wall{}, cloud: cloudformation.NewFromConfig(c)}
}

// Render makes the templates from what is known so far, as stack.Render does.
type Render func(stack.Known) (stack.Set, error)

// Clock is how a deployment waits.
type Clock interface {
	Now() time.Time
	// Sleep waits about that long. It ends early, with the cause, when the context does.
	Sleep(ctx context.Context, d time.Duration) error
}

type wall struct{}

func (wall) Now() time.Time { return time.Now() }

// Sleep waits up to a quarter longer: two who wait for the same must not ask in
// step.
func (wall) Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d + time.Duration(rand.Int64N(int64(d)/4+1))) //nolint:gosec // no secret
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (d *Deployment) note(text string) {
	d.Tell.Tell(progress.Event{Time: d.Clock.Now(), Kind: progress.Note, Text: text})
}

// physical is the key of an output in stack.Known.
func physical(role, output string) string { return role + "." + output }
