// Package fleet runs programs on the servers of a deployment, as root: by
// Systems Manager where its agent is, else by SSH with a key that EC2 Instance
// Connect lets in for a minute. What is run is recorded in the account
// (CloudTrail, history of commands): no argument may be a secret.
package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"rocca/internal/aws/client"
	"rocca/internal/aws/shell"
	"rocca/internal/aws/stack"
	"rocca/internal/run"
)

// CaseTag is on everything that belongs to an incident. An instance that has it
// serves nobody any more, and nothing is run on it for other reasons.
const CaseTag = "rocca:case"

// RehearsalTag is on instances to practise incidents on. They serve nobody.
const RehearsalTag = "rocca:rehearsal"

// Fleet is the servers of one deployment.
type Fleet struct {
	cloud      client.Config
	deployment string

	mu        sync.Mutex
	agentless map[string]acquaintance // by id

	pause    time.Duration                                                   // between two looks at a command
	dial     func(context.Context, shell.Instance) (net.Conn, error)         // to port 22 of an instance
	hostKeys func(context.Context, shell.Instance) (known []byte, err error) // lines of a known_hosts file
}

// Of are the servers of a deployment.
func Of(c client.Config, deployment string) *Fleet {
	f := &Fleet{cloud: c, deployment: deployment, pause: time.Second, agentless: map[string]acquaintance{}}
	f.dial = f.tunnel
	f.hostKeys = func(ctx context.Context, i shell.Instance) ([]byte, error) { return shell.HostKeys(ctx, c, i) }
	return f
}

// InService lists the servers that run and belong to no incident and to no
// rehearsal of one, the oldest first. One that was just started is among them,
// and may not answer yet.
func (f *Fleet) InService(ctx context.Context) ([]shell.Instance, error) {
	all, err := shell.Instances(ctx, f.cloud, f.deployment)
	if err != nil {
		return nil, err
	}
	question := &ec2.DescribeInstancesInput{Filters: []types.Filter{
		{Name: aws.String("tag:" + stack.DeploymentTag), Values: []string{f.deployment}},
		{Name: aws.String("tag-key"), Values: []string{CaseTag, RehearsalTag}},
	}}
	more := func(in *ec2.DescribeInstancesInput, out *ec2.DescribeInstancesOutput) bool {
		return client.Next(&in.NextToken, out.NextToken)
	}
	apart := map[string]bool{}
	for page, err := range client.Pages(ctx, ec2.NewFromConfig(f.cloud).DescribeInstances, question, more) {
		if err != nil {
			return nil, fmt.Errorf("list the instances of %s: %w", f.deployment, client.Explain(err))
		}
		for _, reservation := range page.Reservations {
			for _, i := range reservation.Instances {
				apart[aws.ToString(i.InstanceId)] = true
			}
		}
	}
	return slices.DeleteFunc(all, func(i shell.Instance) bool { return apart[i.ID] }), nil
}

// ExitError is a program that ran and did not exit with 0.
type ExitError struct {
	Instance string
	Argv     []string
	Code     int
	Stderr   string // its end
}

// Error tells where what ran, how it ended, and the last lines it printed.
func (e *ExitError) Error() string {
	text := fmt.Sprintf("run %s on %s: exit status %d", run.Quote(e.Argv), e.Instance, e.Code)
	if tail := lastLines(e.Stderr, 12); tail != "" {
		text += "\n" + tail
	}
	return text
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// Run runs a program as root on an instance and returns what it printed on its
// standard output, at most 24,000 characters, also when the error is an
// *ExitError. When ctx ends first, the program goes on there. It may be called
// from several goroutines.
func (f *Fleet) Run(ctx context.Context, instance string, argv []string) (stdout []byte, err error) {
	f.mu.Lock()
	known, agentless := f.agentless[instance]
	f.mu.Unlock()
	if !agentless {
		stdout, err = f.send(ctx, instance, argv)
		if !errors.Is(err, errNoAgent) {
			return stdout, err
		}
		if known, err = f.meet(ctx, instance); err != nil {
			return nil, fmt.Errorf("run %s on %s by SSH, as it has no agent of Systems Manager: %w", run.Quote(argv), instance, err)
		}
		f.mu.Lock()
		f.agentless[instance] = known
		f.mu.Unlock()
	}
	return f.overSSH(ctx, known, argv)
}

// errNoAgent says that Systems Manager does not reach an instance.
var errNoAgent = errors.New("systems manager does not know the instance")

// delivery is how long a command may take to reach an instance, in seconds. An
// agent that is there has it at once.
const delivery = 60

// send runs a program by Systems Manager.
func (f *Fleet) send(ctx context.Context, instance string, argv []string) ([]byte, error) {
	what := run.Quote(argv)
	var sent struct {
		Command struct {
			ID string `json:"CommandId"`
		}
	}
	err := client.Ask(ctx, f.cloud, "ssm:SendCommand", client.Fields{
		"DocumentName": "AWS-RunShellScript", "InstanceIds": []string{instance}, "TimeoutSeconds": delivery, "Comment": "rocca",
		"Parameters": map[string][]string{"commands": {"exec " + what}},
	}, &sent)
	if client.Refused(err, "InvalidInstanceId") {
		return nil, errNoAgent
	}
	if err != nil {
		return nil, fmt.Errorf("run %s on %s: %w", what, instance, client.Explain(err))
	}
	question := client.Fields{"CommandId": sent.Command.ID, "InstanceId": instance}
	for {
		var is invocation
		err := client.Ask(ctx, f.cloud, "ssm:GetCommandInvocation", question, &is)
		if ctx.Err() != nil {
			return nil, fmt.Errorf("wait for %s on %s, which goes on there: %w", what, instance, context.Cause(ctx))
		}
		if err != nil && !client.Refused(err, "InvocationDoesNotExist") { // not yet
			return nil, fmt.Errorf("look how %s on %s ended: %w", what, instance, client.Explain(err))
		}
		if err == nil && is.over() {
			return is.result(instance, argv)
		}
		select {
		case <-ctx.Done():
		case <-time.After(f.pause):
		}
	}
}

// invocation is a command on one instance.
type invocation struct {
	Status                string
	StatusDetails         string
	ResponseCode          int // -1: it was not run, or not to its end
	StandardOutputContent string
	StandardErrorContent  string
}

func (i invocation) over() bool {
	return !slices.Contains([]string{"Pending", "InProgress", "Delayed", "Cancelling", ""}, i.Status)
}

func (i invocation) result(instance string, argv []string) ([]byte, error) {
	stdout := []byte(i.StandardOutputContent)
	switch {
	case i.Status == "Success":
		return stdout, nil
	case i.Status == "Failed" && i.ResponseCode > 0:
		return stdout, &ExitError{Instance: instance, Argv: argv, Code: i.ResponseCode, Stderr: i.StandardErrorContent}
	}
	return stdout, fmt.Errorf("run %s on %s: %s\nhint: is the agent of Systems Manager well there? rocca aws ssh --instance %s --connect", run.Quote(argv), instance, cmp.Or(i.StatusDetails, i.Status), instance)
}
