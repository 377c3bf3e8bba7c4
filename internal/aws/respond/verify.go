package respond

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"rocca/internal/aws/client"
	"rocca/internal/incident"
)

// Flow logs come in lines of a minute, some minutes late.
const (
	quiet     = 5 * time.Minute // with nothing but REJECT: the proof
	flowDelay = 3 * time.Minute
)

func (r *Response) planVerify(context.Context) ([]string, error) {
	return []string{"ec2:DescribeNetworkInterfaces: every interface in the isolation group alone", "logs:FilterLogEvents: five minutes without ACCEPT", "ec2:DescribeIamInstanceProfileAssociations: none", "iam:GetRolePolicy: the denial is there",
		"autoscaling:DescribeAutoScalingGroups: as many healthy instances as are wanted"}, nil
}

// verify looks at everything that should be now. What is not is a failure of
// the step, and is looked at again by the next run.
func (r *Response) verify(ctx context.Context, c *incident.Case) error {
	b, err := r.before(ctx, c)
	if err != nil {
		return err
	}
	var problems []error
	proven := map[string]string{}
	for _, check := range []struct {
		what string
		of   func(context.Context, *incident.Case, Before) (string, error)
	}{
		{"network interfaces", r.isIsolated}, {"role", r.isDenied}, {"service", r.isServed}, {"flow logs", r.isQuiet},
	} {
		said, err := check.of(ctx, c, b)
		if hopeless(ctx, err) {
			return err
		}
		if err != nil {
			problems = append(problems, err)
			proven[check.what] = "NOT PROVEN: " + err.Error()
			continue
		}
		proven[check.what] = said
	}
	if _, err := c.PutJSON("verified.json", "rocca aws respond", proven); err != nil {
		return err
	}
	return errors.Join(problems...)
}

func (r *Response) isIsolated(ctx context.Context, _ *incident.Case, _ Before) (string, error) {
	now, err := r.interfaces(ctx)
	if err != nil {
		return "", err
	}
	var wrong []string
	for _, i := range now {
		g, err := r.groupsFor(ctx, i.VPC)
		if err != nil {
			return "", err
		}
		if g.isolation == "" || !slices.Equal(i.Groups, []string{g.isolation}) || len(i.IPv6) > 0 {
			wrong = append(wrong, fmt.Sprintf("%s in %s %s", i.ID, strings.Join(i.Groups, ", "), strings.Join(i.IPv6, ", ")))
		}
	}
	if len(wrong) > 0 {
		return "", fmt.Errorf("prove that %s is cut off: it is not: %s\nhint: the same command tries again what failed", r.options.Instance, strings.Join(wrong, "; "))
	}
	return fmt.Sprintf("all %d are in the isolation group alone", len(now)), nil
}

func (r *Response) isDenied(ctx context.Context, _ *incident.Case, b Before) (string, error) {
	if b.Profile == "" {
		return "the instance had no role", nil
	}
	worn, err := r.associations(ctx)
	if err != nil {
		return "", err
	}
	if len(worn) > 0 && !r.options.KeepSSM {
		return "", fmt.Errorf("prove that %s has no role: it wears %s again", r.options.Instance, aws.ToString(worn[0].IamInstanceProfile.Arn))
	}
	if b.Role == "" {
		return "", fmt.Errorf("prove that the sessions of %s are denied: its role is not known", b.Profile)
	}
	name := r.denialName()
	text, err := r.rolePolicy(ctx, b.Role, name)
	if err != nil {
		return "", fmt.Errorf("prove that the older sessions of %s are denied: %w", b.Role, client.Explain(err))
	}
	if !json.Valid([]byte(text)) || !strings.Contains(text, b.Instance) {
		return "", fmt.Errorf("prove that the older sessions of %s are denied: the policy %s says something else", b.Role, name)
	}
	return "the role is off the instance, and " + name + " denies its sessions", nil
}

// isServed tells whether visitors have a clean instance.
func (r *Response) isServed(ctx context.Context, c *incident.Case, b Before) (string, error) {
	if b.Group == nil {
		return "it is in no auto-scaling group: nobody starts another one", nil
	}
	now, err := r.members(ctx, b.Group.Name)
	if err != nil {
		return "", err
	}
	var healthy []string
	for _, m := range now.Instances {
		if m.ID != b.Instance && m.State == "InService" && m.Health == "Healthy" {
			healthy = append(healthy, m.ID)
		}
	}
	if len(healthy) < max(now.Wanted, 1) {
		return "", fmt.Errorf("prove that %s serves without %s: %d of %d instances are healthy; a new one takes up to 45 minutes\nhint: the same command looks again", b.Group.Name, b.Instance, len(healthy), now.Wanted)
	}
	return "healthy: " + strings.Join(healthy, ", "), nil
}

// isQuiet waits until the flow logs tell of five minutes after the cut, and
// looks whether anything got through.
func (r *Response) isQuiet(ctx context.Context, c *incident.Case, b Before) (string, error) {
	if r.prepared.FlowLogs == "" {
		return "", errors.New("prove that nothing gets through: the deployment has no flow logs")
	}
	cut := endOf(c.Story(), stepNetwork)
	if filtered := endOf(c.Story(), stepFilter); filtered.After(cut) {
		cut = filtered
	}
	if cut.IsZero() {
		return "", errors.New("prove that nothing gets through: the network was not cut")
	}
	for wait := cut.Add(quiet + flowDelay).Sub(r.tools.Now()); wait > 0; wait = cut.Add(quiet + flowDelay).Sub(r.tools.Now()) {
		if err := r.tools.Pause(ctx, min(wait, time.Minute)); err != nil {
			return "", err
		}
	}
	lines, whole, err := r.flows(ctx, b.Interfaces, cut, flowPages)
	if err != nil {
		return "", err
	}
	var through []string
	refused := 0
	for _, line := range lines {
		f := parseFlow(line)
		switch {
		case f.since.Before(cut): // it was open then
		case f.action == "ACCEPT":
			through = append(through, f.what)
		case f.action == "REJECT":
			refused++
		}
	}
	if len(lines) > 0 {
		if _, err := c.Put("flows-after.txt", "logs:FilterLogEvents", []byte(strings.Join(lines, "\n")+"\n")); err != nil {
			return "", err
		}
	}
	switch {
	case len(through) > 0:
		return "", fmt.Errorf("prove that nothing gets through: %d connections did, such as %s\nhint: some are tracked whatever the group says: a network ACL cuts them: rocca aws respond start --instance %s --nacl", len(through), through[0], b.Instance)
	case !whole:
		return "", errors.New("prove that nothing gets through: there are too many flow logs to read them all")
	case refused == 0:
		return "nothing got through, and nothing tried: the flow logs are silent since " + cut.Format(time.TimeOnly), nil
	}
	return fmt.Sprintf("%d flows were refused and none got through since %s", refused, cut.Format(time.TimeOnly)), nil
}

// endOf is when a step ended well; zero: it did not.
func endOf(s incident.Story, id string) time.Time {
	for _, stage := range s.Steps {
		if stage.ID == id && stage.State == incident.Done {
			return stage.Ended
		}
	}
	return time.Time{}
}

// flow is a line of the flow logs, in the form that AWS writes by itself:
// version account interface source destination sport dport protocol packets
// bytes start end action status.
type flow struct {
	what   string
	since  time.Time
	action string
}

func parseFlow(line string) flow {
	f := strings.Fields(line)
	if len(f) < 14 {
		return flow{}
	}
	start, err := strconv.ParseInt(f[10], 10, 64)
	if err != nil {
		return flow{}
	}
	return flow{what: fmt.Sprintf("%s:%s to %s:%s", f[3], f[5], f[4], f[6]), since: time.Unix(start, 0), action: f[12]}
}

// report writes the report, and copies it and the journal into the bucket.
func (r *Response) report(ctx context.Context, c *incident.Case) error {
	b, err := r.before(ctx, c)
	if err != nil {
		return err
	}
	facts := c.Story().Facts
	for fact, text := range map[incident.Fact]string{
		incident.Nature:   fmt.Sprintf("Unauthorised access to the server %s (EC2) that runs Matomo is suspected or known.", b.Instance),
		incident.Measures: "The server was cut off and its evidence kept; its role was denied, and the secrets that it knew were changed, as the timeline tells.",
	} {
		if facts[fact] == "" && !r.options.Rehearsal {
			if err := c.Know(fact, text); err != nil {
				return err
			}
		}
	}
	if err := c.Write(); err != nil {
		return err
	}
	return r.keepJournal(ctx, c)
}

// keepJournal copies the journal into the bucket, as it is now.
func (r *Response) keepJournal(ctx context.Context, c *incident.Case) error {
	journal, err := os.ReadFile(filepath.Join(c.Dir, "journal.jsonl"))
	if err != nil {
		return fmt.Errorf("copy the journal into the bucket: %w", err)
	}
	if err := r.keep(ctx, "journal-"+r.tools.Now().UTC().Format("20060102-150405")+".jsonl", journal); err != nil {
		if hopeless(ctx, err) {
			return err
		}
		return c.NotTaken("copy of the journal", err.Error())
	}
	return nil
}
