package respond

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	balancer "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"rocca/internal/aws/client"
	"rocca/internal/aws/fleet"
	"rocca/internal/aws/stack"
)

// Before is the instance as the first responder found it: what is cut, and what
// release puts back. What could not be read is not there, and Unseen says why.
type Before struct {
	Instance   string            `json:"instance"`
	Deployment string            `json:"deployment,omitempty"` // tag; empty: it is not ours
	Rehearsal  bool              `json:"rehearsal,omitempty"`  // tag
	Case       string            `json:"case,omitempty"`       // tag: of a response before this one
	VPC        string            `json:"vpc"`
	Subnet     string            `json:"subnet"`
	State      string            `json:"state"` // such as running
	Interfaces []Interface       `json:"interfaces"`
	Addresses  []Address         `json:"addresses,omitempty"`
	Public     string            `json:"public,omitempty"` // address that AWS gave and nobody can take off
	Volumes    []Volume          `json:"volumes,omitempty"`
	Protected  *bool             `json:"protected,omitempty"` // from being terminated by a call
	Shutdown   string            `json:"shutdown,omitempty"`  // what a shutdown from inside does: stop, terminate
	Profile    string            `json:"profile,omitempty"`   // ARN of the instance profile
	Role       string            `json:"role,omitempty"`      // in that profile
	Group      *Group            `json:"group,omitempty"`     // nil: in no auto-scaling group
	Targets    []Target          `json:"targets,omitempty"`   // where load balancers send it visitors
	Serving    []string          `json:"serving,omitempty"`   // other instances of the deployment that run
	Unseen     map[string]string `json:"unseen,omitempty"`
}

// Interface is a network interface of the instance.
type Interface struct {
	ID     string   `json:"id"`
	Subnet string   `json:"subnet"`
	VPC    string   `json:"vpc"`
	Groups []string `json:"groups"`
	IPv4   []string `json:"ipv4,omitempty"`
	IPv6   []string `json:"ipv6,omitempty"`
}

// Address is an elastic one.
type Address struct {
	Allocation  string `json:"allocation"`
	Association string `json:"association"`
	Interface   string `json:"interface"`
	Private     string `json:"private,omitempty"`
	Public      string `json:"public"`
}

// Volume is a disk of the instance.
type Volume struct {
	ID      string `json:"id"`
	Device  string `json:"device"`
	Deleted bool   `json:"deleted"` // when the instance is terminated
}

// Group is the auto-scaling group that keeps the instance.
type Group struct {
	Name      string   `json:"name"`
	State     string   `json:"state"` // of the instance in it, such as InService
	Protected bool     `json:"protected"`
	Suspended []string `json:"suspended,omitempty"` // processes that its owner has stopped
	Wanted    int      `json:"wanted"`
}

// Target is a registration with a load balancer.
type Target struct {
	Group string `json:"group"` // ARN
	Port  int32  `json:"port"`
}

// errGone says that there is no such instance any more.
var errGone = errors.New("there is no such instance")

// look reads the instance and all that hangs on it.
func (r *Response) look(ctx context.Context) (Before, error) {
	b := Before{Instance: r.options.Instance, Unseen: map[string]string{}}
	instance, err := r.instance(ctx)
	if err != nil {
		return b, err
	}
	b.VPC, b.Subnet, b.State = aws.ToString(instance.VpcId), aws.ToString(instance.SubnetId), string(instance.State.Name)
	for _, tag := range instance.Tags {
		switch aws.ToString(tag.Key) {
		case stack.DeploymentTag:
			b.Deployment = aws.ToString(tag.Value)
		case RehearsalTag:
			b.Rehearsal = aws.ToString(tag.Value) == "yes"
		case fleet.CaseTag:
			b.Case = aws.ToString(tag.Value)
		}
	}
	for _, d := range instance.BlockDeviceMappings {
		if d.Ebs != nil {
			b.Volumes = append(b.Volumes, Volume{aws.ToString(d.Ebs.VolumeId), aws.ToString(d.DeviceName), aws.ToBool(d.Ebs.DeleteOnTermination)})
		}
	}
	if instance.IamInstanceProfile != nil {
		b.Profile = aws.ToString(instance.IamInstanceProfile.Arn)
	}
	unseen := func(what string, err error) {
		if err != nil {
			b.Unseen[what] = err.Error()
		}
	}
	b.Interfaces, err = r.interfaces(ctx)
	unseen("network interfaces", err)
	b.Addresses, err = r.addresses(ctx)
	unseen("elastic addresses", err)
	if instance.PublicIpAddress != nil && len(b.Addresses) == 0 {
		b.Public = *instance.PublicIpAddress
	}
	unseen("protection from termination", r.attributes(ctx, &b))
	b.Role, err = r.role(ctx, b.Profile)
	unseen("role", err)
	b.Group, err = r.group(ctx)
	unseen("auto-scaling group", err)
	b.Targets, err = r.targets(ctx, b.VPC)
	unseen("load balancers", err)
	b.Serving, err = r.serving(ctx, b.Deployment)
	unseen("other instances of the deployment", err)
	for _, why := range b.Unseen {
		if ctx.Err() != nil {
			return b, errors.New(why)
		}
	}
	return b, nil
}

func (r *Response) instance(ctx context.Context) (types.Instance, error) {
	what := "look at the instance " + r.options.Instance
	answer, err := r.ec2.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{r.options.Instance}})
	if client.Refused(err, "InvalidInstanceID.NotFound", "InvalidInstanceID.Malformed") {
		return types.Instance{}, fmt.Errorf("%s: %w\nhint: rocca aws info lists those of the deployment", what, errGone)
	}
	if err != nil {
		return types.Instance{}, fmt.Errorf("%s: %w", what, client.Explain(err))
	}
	if len(answer.Reservations) == 0 || len(answer.Reservations[0].Instances) == 0 {
		return types.Instance{}, fmt.Errorf("%s: %w\nhint: rocca aws info lists those of the deployment", what, errGone)
	}
	return answer.Reservations[0].Instances[0], nil
}

// interfaces are the network interfaces now. The instance names them, too: who
// may not list them cuts those off.
func (r *Response) interfaces(ctx context.Context) ([]Interface, error) {
	all, err := r.listInterfaces(ctx)
	if err == nil && len(all) > 0 || hopeless(ctx, err) {
		return all, err
	}
	instance, unseen := r.instance(ctx)
	if unseen != nil {
		return all, err
	}
	return interfacesOf(instance), nil
}

func (r *Response) listInterfaces(ctx context.Context) ([]Interface, error) {
	question := &ec2.DescribeNetworkInterfacesInput{Filters: []types.Filter{{Name: aws.String("attachment.instance-id"), Values: []string{r.options.Instance}}}}
	more := func(in *ec2.DescribeNetworkInterfacesInput, out *ec2.DescribeNetworkInterfacesOutput) bool {
		return client.Next(&in.NextToken, out.NextToken)
	}
	var all []Interface
	for page, err := range client.Pages(ctx, r.ec2.DescribeNetworkInterfaces, question, more) {
		if err != nil {
			return nil, fmt.Errorf("list the network interfaces of %s: %w", r.options.Instance, client.Explain(err))
		}
		for _, n := range page.NetworkInterfaces {
			one := Interface{ID: aws.ToString(n.NetworkInterfaceId), Subnet: aws.ToString(n.SubnetId), VPC: aws.ToString(n.VpcId)}
			for _, g := range n.Groups {
				one.Groups = append(one.Groups, aws.ToString(g.GroupId))
			}
			for _, a := range n.PrivateIpAddresses {
				one.IPv4 = append(one.IPv4, aws.ToString(a.PrivateIpAddress))
			}
			for _, a := range n.Ipv6Addresses {
				one.IPv6 = append(one.IPv6, aws.ToString(a.Ipv6Address))
			}
			slices.Sort(one.Groups)
			all = append(all, one)
		}
	}
	return all, nil
}

// interfacesOf are those that an instance tells itself.
func interfacesOf(instance types.Instance) []Interface {
	var all []Interface
	for _, n := range instance.NetworkInterfaces {
		one := Interface{ID: aws.ToString(n.NetworkInterfaceId), Subnet: aws.ToString(n.SubnetId), VPC: aws.ToString(n.VpcId)}
		for _, g := range n.Groups {
			one.Groups = append(one.Groups, aws.ToString(g.GroupId))
		}
		for _, a := range n.Ipv6Addresses {
			one.IPv6 = append(one.IPv6, aws.ToString(a.Ipv6Address))
		}
		slices.Sort(one.Groups)
		all = append(all, one)
	}
	return all
}

func (r *Response) addresses(ctx context.Context) ([]Address, error) {
	answer, err := r.ec2.DescribeAddresses(ctx, &ec2.DescribeAddressesInput{Filters: []types.Filter{{Name: aws.String("instance-id"), Values: []string{r.options.Instance}}}})
	if err != nil {
		return nil, fmt.Errorf("list the elastic addresses of %s: %w", r.options.Instance, client.Explain(err))
	}
	var all []Address
	for _, a := range answer.Addresses {
		all = append(all, Address{aws.ToString(a.AllocationId), aws.ToString(a.AssociationId), aws.ToString(a.NetworkInterfaceId), aws.ToString(a.PrivateIpAddress), aws.ToString(a.PublicIp)})
	}
	return all, nil
}

func (r *Response) attributes(ctx context.Context, b *Before) error {
	termination, err := r.ec2.DescribeInstanceAttribute(ctx, &ec2.DescribeInstanceAttributeInput{InstanceId: &r.options.Instance, Attribute: types.InstanceAttributeNameDisableApiTermination})
	if err != nil {
		return client.Explain(err)
	}
	if termination.DisableApiTermination != nil {
		b.Protected = aws.Bool(aws.ToBool(termination.DisableApiTermination.Value))
	}
	shutdown, err := r.ec2.DescribeInstanceAttribute(ctx, &ec2.DescribeInstanceAttributeInput{InstanceId: &r.options.Instance, Attribute: types.InstanceAttributeNameInstanceInitiatedShutdownBehavior})
	if err != nil {
		return client.Explain(err)
	}
	if shutdown.InstanceInitiatedShutdownBehavior != nil {
		b.Shutdown = aws.ToString(shutdown.InstanceInitiatedShutdownBehavior.Value)
	}
	return nil
}

// role is that in an instance profile.
func (r *Response) role(ctx context.Context, profile string) (string, error) {
	if profile == "" {
		return "", nil
	}
	name := lastPart(profile)
	var said struct {
		Roles []string `xml:"InstanceProfile>Roles>member>RoleName"`
	}
	if err := client.AskQuery(ctx, r.cloud, "iam:GetInstanceProfile", client.Form{"InstanceProfileName": name}, &said); err != nil {
		if r.prepared.Profile == name && r.prepared.Role != "" { // the stack told which
			return r.prepared.Role, nil
		}
		return "", fmt.Errorf("read the instance profile %s: %w", name, client.Explain(err))
	}
	if len(said.Roles) == 0 {
		return "", nil
	}
	return said.Roles[0], nil
}

// group asks which auto-scaling group keeps the instance.
func (r *Response) group(ctx context.Context) (*Group, error) {
	var said struct {
		Members []struct {
			AutoScalingGroupName string
			LifecycleState       string
			ProtectedFromScaleIn bool
		} `xml:"AutoScalingInstances>member"`
	}
	if err := client.AskQuery(ctx, r.cloud, "autoscaling:DescribeAutoScalingInstances", client.Form{"InstanceIds.member.1": r.options.Instance}, &said); err != nil {
		return nil, fmt.Errorf("ask which auto-scaling group %s is in: %w", r.options.Instance, client.Explain(err))
	}
	if len(said.Members) == 0 {
		return nil, nil
	}
	g := &Group{Name: said.Members[0].AutoScalingGroupName, State: said.Members[0].LifecycleState, Protected: said.Members[0].ProtectedFromScaleIn}
	now, err := r.members(ctx, g.Name)
	if err != nil {
		return g, err
	}
	g.Suspended, g.Wanted = now.Suspended, now.Wanted
	return g, nil
}

// members of an auto-scaling group.
type members struct {
	Wanted    int
	Suspended []string
	Instances []member
}

type member struct {
	ID     string `xml:"InstanceId"`
	State  string `xml:"LifecycleState"`
	Health string `xml:"HealthStatus"`
}

func (r *Response) members(ctx context.Context, group string) (members, error) {
	var said struct {
		Groups []struct {
			DesiredCapacity    int
			SuspendedProcesses []struct{ ProcessName string } `xml:"SuspendedProcesses>member"`
			Instances          []member                       `xml:"Instances>member"`
		} `xml:"AutoScalingGroups>member"`
	}
	if err := client.AskQuery(ctx, r.cloud, "autoscaling:DescribeAutoScalingGroups", client.Form{"AutoScalingGroupNames.member.1": group}, &said); err != nil {
		return members{}, fmt.Errorf("look at the auto-scaling group %s: %w", group, client.Explain(err))
	}
	if len(said.Groups) == 0 {
		return members{}, fmt.Errorf("look at the auto-scaling group %s: it is not there", group)
	}
	m := members{Wanted: said.Groups[0].DesiredCapacity, Instances: said.Groups[0].Instances}
	for _, p := range said.Groups[0].SuspendedProcesses {
		m.Suspended = append(m.Suspended, p.ProcessName)
	}
	return m, nil
}

// targets asks every target group of the network whether it knows the instance.
func (r *Response) targets(ctx context.Context, vpc string) ([]Target, error) {
	var all []Target
	question := &elasticloadbalancingv2.DescribeTargetGroupsInput{}
	more := func(in *elasticloadbalancingv2.DescribeTargetGroupsInput, out *elasticloadbalancingv2.DescribeTargetGroupsOutput) bool {
		return client.Next(&in.Marker, out.NextMarker)
	}
	for page, err := range client.Pages(ctx, r.elb.DescribeTargetGroups, question, more) {
		if err != nil {
			return nil, fmt.Errorf("list the target groups: %w", client.Explain(err))
		}
		for _, g := range page.TargetGroups {
			if g.TargetType != balancer.TargetTypeEnumInstance || aws.ToString(g.VpcId) != vpc {
				continue
			}
			known, err := r.healthOf(ctx, aws.ToString(g.TargetGroupArn))
			if err != nil {
				return all, err
			}
			for _, t := range known {
				if aws.ToString(t.Target.Id) == r.options.Instance && !leaving(t) {
					all = append(all, Target{aws.ToString(g.TargetGroupArn), aws.ToInt32(t.Target.Port)})
				}
			}
		}
	}
	return all, nil
}

// leaving tells whether a target gets no new visitors, or is not there.
func leaving(t balancer.TargetHealthDescription) bool {
	return t.TargetHealth != nil && (t.TargetHealth.State == balancer.TargetHealthStateEnumDraining ||
		t.TargetHealth.State == balancer.TargetHealthStateEnumUnused && t.TargetHealth.Reason == balancer.TargetHealthReasonEnumNotRegistered)
}

func (r *Response) healthOf(ctx context.Context, group string) ([]balancer.TargetHealthDescription, error) {
	answer, err := r.elb.DescribeTargetHealth(ctx, &elasticloadbalancingv2.DescribeTargetHealthInput{TargetGroupArn: &group})
	if err != nil {
		return nil, fmt.Errorf("look at the targets of %s: %w", lastPart(group), client.Explain(err))
	}
	return answer.TargetHealthDescriptions, nil
}

// serving lists the other instances of the deployment that run and belong to no
// case.
func (r *Response) serving(ctx context.Context, deployment string) ([]string, error) {
	if deployment == "" {
		return nil, nil
	}
	all, err := fleet.Of(r.cloud, deployment).InService(ctx)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, i := range all {
		if i.ID != r.options.Instance {
			ids = append(ids, i.ID)
		}
	}
	return ids, nil
}
