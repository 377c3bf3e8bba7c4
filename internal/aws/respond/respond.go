// Package respond answers an incident on an instance of AWS: it records what
// can be recorded, keeps the evidence, cuts the instance and its role off, and
// proves that they are. See package incident for how a case is kept.
//
// Every change is made of what is there now, not of what was planned: a step
// that is done again, after a kill or by a second responder, finds what is left
// to do. What it takes to go back is kept before the first change.
package respond

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/rds"

	"rocca/internal/aws/client"
	"rocca/internal/aws/info"
	"rocca/internal/aws/stack"
	"rocca/internal/incident"
)

// RehearsalTag marks an instance that is there to practise on.
const RehearsalTag = "rocca:rehearsal"

// Options are what the responder decides.
type Options struct {
	Instance        string         // id
	Foreign         string         // the id typed again: the instance is not the deployment's
	IsolateFirst    bool           // cut the network before the disks are copied: data is leaving now
	KeepSSM         bool           // Systems Manager still reaches it
	FilterSubnet    bool           // by a network ACL, when nothing else is in the subnet
	Triage          bool           // also when Systems Manager is not known to reach it
	Attackers       []netip.Prefix // addresses that the firewall shall block
	EvidenceKey     string         // ARN of a KMS key for copies of the snapshots; empty: no copies
	EvidenceAccount string         // twelve digits, that may use the snapshots; empty: none
	Rehearsal       bool           // on a practice instance
}

// Prepared is what the stacks have made for this day. What a deployment does
// not have is empty.
type Prepared struct {
	Deployment string // name
	VPC        string
	Isolation  string // security group that lets nothing through
	Transit    string // security group that lets all through, so that nothing is tracked
	Endpoints  string // security group of the interface endpoints
	Bucket     string // of evidence
	FlowLogs   string // log group
	Role       string // of the instances
	Profile    string // instance profile
	Database   string // RDS instance
	Firewall   string // ARN of the web ACL
}

// Find reads what is prepared from a deployment.
func Find(d info.Deployment) Prepared {
	return Prepared{
		Deployment: d.Name, VPC: d.Output(stack.Base, "Vpc"), Isolation: d.Output(stack.Base, "IsolationGroup"), Transit: d.Output(stack.Base, "TransitGroup"),
		Endpoints: d.Output(stack.Base, "EndpointGroup"), Bucket: d.Output(stack.Base, "EvidenceBucket"), FlowLogs: d.Output(stack.Base, "FlowLogs"),
		Role: d.Output(stack.Base, "HostRole"), Profile: d.Output(stack.Base, "HostProfile"), Database: d.Output(stack.Data, "Database"), Firewall: d.Output(stack.App, "WebACL"),
	}
}

// Tools are what a response uses beside AWS's interface. Each may be nil.
type Tools struct {
	Run    func(ctx context.Context, instance string, argv []string) ([]byte, error) // a program on an instance, as root
	Rotate func(ctx context.Context, say func(string)) error                         // the secrets that the instance knew
	Now    func() time.Time
	Pause  func(context.Context, time.Duration) error
}

// Response is the answer to one incident.
type Response struct {
	options  Options
	prepared Prepared
	tools    Tools
	cloud    client.Config
	bucket   bucket
	who      client.Identity
	id       string  // of the case
	found    *Before // what a case that was begun knows; for a dry run

	ec2 *ec2.Client
	elb *elasticloadbalancingv2.Client
	rds *rds.Client

	stop context.CancelCauseFunc // what cannot go on
}

// New makes the answer to an incident; nothing is asked yet.
func New(c client.Config, who client.Identity, p Prepared, t Tools, o Options) *Response {
	if t.Now == nil {
		t.Now = time.Now
	}
	if t.Pause == nil {
		t.Pause = pause
	}
	return &Response{options: o, prepared: p, tools: t, cloud: c, who: who, bucket: bucket{p.Bucket, c}, stop: func(error) {},
		ec2: ec2.NewFromConfig(c), elb: elasticloadbalancingv2.NewFromConfig(c), rds: rds.NewFromConfig(c)}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// Check refuses what the responder may not have meant, before anything is done.
func (r *Response) Check(ctx context.Context) (Before, error) {
	b, err := r.look(ctx)
	if err != nil {
		return b, err
	}
	id := r.options.Instance
	switch {
	case r.options.Rehearsal && !b.Rehearsal:
		return b, fmt.Errorf("rehearse on %s: it has no tag %s=yes, and may serve somebody\nhint: start one to practise on: aws ec2 run-instances --image-id %s --instance-type t4g.nano --subnet-id %s --security-group-ids %s --tag-specifications 'ResourceType=instance,Tags=[{Key=%s,Value=%s},{Key=%s,Value=yes}]'",
			id, RehearsalTag, "AMI", cmp.Or(b.Subnet, "SUBNET"), cmp.Or(firstGroup(b), "GROUP"), stack.DeploymentTag, r.prepared.Deployment, RehearsalTag)
	case b.Deployment != r.prepared.Deployment && r.options.Foreign == "":
		return b, fmt.Errorf("respond on %s: it is not of %s (its tag %s is %q)\nhint: --foreign-instance %s, typed again, says that it is meant", id, r.prepared.Deployment, stack.DeploymentTag, b.Deployment, id)
	case r.options.Foreign != "" && r.options.Foreign != id:
		return b, fmt.Errorf("respond on %s: --foreign-instance says %s", id, r.options.Foreign)
	case b.State == "terminated":
		return b, fmt.Errorf("respond on %s: it was terminated, and its memory and network are gone\nhint: its disks may be left: aws ec2 describe-volumes --filters Name=tag:%s,Values=%s", id, stack.DeploymentTag, r.prepared.Deployment)
	case r.options.KeepSSM && r.prepared.Endpoints == "":
		return b, errors.New("keep Systems Manager: there are no endpoints for it in the network, and its public addresses cannot be told from the rest of the internet\nhint: without --keep-ssm, or network.endpoints in rocca-aws.yaml (before an incident)")
	case r.options.EvidenceAccount != "" && !isAccount(r.options.EvidenceAccount):
		return b, fmt.Errorf("give the snapshots to %q: an account has twelve digits", r.options.EvidenceAccount)
	}
	return b, nil
}

func isAccount(text string) bool {
	return len(text) == 12 && strings.Trim(text, "0123456789") == ""
}

func firstGroup(b Before) string {
	for _, i := range b.Interfaces {
		for _, g := range i.Groups {
			return g
		}
	}
	return ""
}

// before is the instance as it was found, kept in the case when it is seen for
// the first time.
func (r *Response) before(ctx context.Context, c *incident.Case) (Before, error) {
	var b Before
	found, err := c.Load(stateKey, &b)
	if err != nil || found {
		return b, err
	}
	if b, err = r.look(ctx); err != nil {
		return b, err
	}
	if err := c.Save(stateKey, b); err != nil {
		return b, err
	}
	if err := r.keep(ctx, stateKey+".json", []byte(shown(b))); err != nil {
		return b, c.NotTaken("copy of the state before the response", err.Error())
	}
	return b, nil
}

// stateKey is under which the state before the response is kept.
const stateKey = "before"

// key is that of an object of the case in the bucket.
func (r *Response) key(name string) string { return "cases/" + r.id + "/" + name }

// keep puts a file of the case into the bucket.
func (r *Response) keep(ctx context.Context, name string, content []byte) error {
	if r.bucket.name == "" {
		return errNoBucket
	}
	if err := r.bucket.put(ctx, r.key(name), content); err != nil {
		return fmt.Errorf("put %s into the bucket %s: %w", name, r.bucket.name, client.Explain(err))
	}
	return nil
}

var errNoBucket = errors.New("the deployment has no bucket of evidence\nhint: rocca aws deploy makes it, with the stack base")

// lastPart is what stands behind the last slash.
func lastPart(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }
