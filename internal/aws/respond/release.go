package respond

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	balancer "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"rocca/internal/aws/client"
	"rocca/internal/aws/fleet"
	"rocca/internal/incident"
)

// Release is the way back, in the opposite order: the role and the network,
// then visitors, and what protects the evidence last. Everything is put back as
// it was found; what somebody has changed since is left alone.
func Release(r *Response) []incident.Step {
	if r == nil {
		r = New(client.Config{}, client.Identity{}, Prepared{}, Tools{}, Options{})
	}
	step := func(id, title, why string, of func(context.Context, *incident.Case, Before) ([]call, error)) incident.Step {
		return incident.Step{ID: "release-" + id, Phase: incident.Recover, Title: title, Why: why, Again: true,
			Plan: func(ctx context.Context) ([]string, error) { return r.planRelease(ctx, of) },
			Do:   r.step(r.undo(of))}
	}
	return []incident.Step{
		step("credentials", "Give the role back", "Only an instance that is known to be good gets it.", r.giveRole),
		step("network", "Put the interfaces back where they were", "First the network ACL, or the groups would not matter.", r.giveNetwork),
		step("service", "Let visitors come again", "It must answer before it is sent anybody.", r.giveService),
		step("protect", "Take the protection off", "It may be deleted again, as before. Snapshots and their locks stay.", r.unprotect),
		{
			ID: "release-close", Phase: incident.Document, Title: "Close the case", Why: "Others may respond on this instance again.", Again: true,
			After: []string{"release-credentials", "release-network", "release-service", "release-protect"},
			Rocca: []string{"the report once more, and the lock in the account is taken away"},
			Plan:  plain("s3:DeleteObject " + r.claimKey()), Do: r.step(r.closeCase),
		},
	}
}

// undo makes the calls that put back what the case knows of before.
func (r *Response) undo(of func(context.Context, *incident.Case, Before) ([]call, error)) func(context.Context, *incident.Case) error {
	return func(ctx context.Context, c *incident.Case) error {
		var b Before
		found, err := c.Load(stateKey, &b)
		if err == nil && !found {
			err = errors.New("put back what was: the case does not know it; nothing was changed under it")
		}
		if err != nil {
			return err
		}
		calls, unseen := of(ctx, c, b)
		if len(calls) == 0 && unseen == nil {
			return incident.Skip("it is as it was")
		}
		return errors.Join(makeAll(ctx, calls, c, ""), unseen)
	}
}

// planRelease reads what would be put back from what is there now: the case is
// not open in a dry run.
func (r *Response) planRelease(ctx context.Context, of func(context.Context, *incident.Case, Before) ([]call, error)) ([]string, error) {
	if r.found == nil {
		return nil, errors.New("tell what would be put back: the case is not known")
	}
	calls, err := of(ctx, nil, *r.found)
	return lines(calls), err
}

func (r *Response) giveRole(ctx context.Context, _ *incident.Case, b Before) ([]call, error) {
	var calls []call
	if b.Role != "" {
		form := client.Form{"RoleName": b.Role, "PolicyName": r.denialName()}
		calls = append(calls, call{action: "iam:DeleteRolePolicy", input: form, done: []string{"NoSuchEntity"}, send: func(ctx context.Context) error {
			return client.AskQuery(ctx, r.cloud, "iam:DeleteRolePolicy", form, nil)
		}})
	}
	if b.Profile == "" {
		return calls, nil
	}
	worn, err := r.associations(ctx)
	if err == nil && len(worn) == 0 {
		calls = append(calls, of("ec2:AssociateIamInstanceProfile", r.ec2.AssociateIamInstanceProfile, &ec2.AssociateIamInstanceProfileInput{
			InstanceId: &b.Instance, IamInstanceProfile: &types.IamInstanceProfileSpecification{Arn: &b.Profile},
		}))
	}
	return calls, err
}

func (r *Response) giveNetwork(ctx context.Context, c *incident.Case, b Before) ([]call, error) {
	var calls []call
	var problems []error
	add := func(more []call, err error) {
		calls, problems = append(calls, more...), append(problems, err)
	}
	add(r.giveFilters(ctx, c, b))
	now, err := r.interfaces(ctx)
	add(nil, err)
	for _, i := range now {
		at := slices.IndexFunc(b.Interfaces, func(was Interface) bool { return was.ID == i.ID })
		if at < 0 {
			continue
		}
		was := b.Interfaces[at]
		own, err := r.ownGroups(ctx, i.VPC)
		add(nil, err)
		if !slices.Equal(i.Groups, was.Groups) && slices.ContainsFunc(i.Groups, func(g string) bool { return slices.Contains(own, g) }) {
			calls = append(calls, r.into(i.ID, was.Groups...))
		}
		var lost []string
		for _, a := range was.IPv6 {
			if !slices.Contains(i.IPv6, a) {
				lost = append(lost, a)
			}
		}
		if len(lost) > 0 {
			calls = append(calls, of("ec2:AssignIpv6Addresses", r.ec2.AssignIpv6Addresses, &ec2.AssignIpv6AddressesInput{NetworkInterfaceId: &i.ID, Ipv6Addresses: lost}))
		}
	}
	add(r.giveAddresses(ctx, b))
	add(r.removeGroups(ctx, b))
	return calls, errors.Join(problems...)
}

// ownGroups are those that a response puts interfaces into.
func (r *Response) ownGroups(ctx context.Context, vpc string) ([]string, error) {
	own := []string{r.prepared.Isolation, r.prepared.Transit}
	var problems []error
	for _, name := range []string{r.transitName(), r.isolationName()} {
		id, err := r.groupNamed(ctx, vpc, name)
		own, problems = append(own, id), append(problems, err)
	}
	return own, errors.Join(problems...)
}

// giveAddresses puts elastic addresses back that nobody has taken meanwhile.
func (r *Response) giveAddresses(ctx context.Context, b Before) ([]call, error) {
	var calls []call
	for _, a := range b.Addresses {
		answer, err := r.ec2.DescribeAddresses(ctx, &ec2.DescribeAddressesInput{AllocationIds: []string{a.Allocation}})
		if err != nil {
			return calls, fmt.Errorf("look for the address %s: %w", a.Public, client.Explain(err))
		}
		if len(answer.Addresses) == 0 || aws.ToString(answer.Addresses[0].AssociationId) != "" {
			continue // another instance has it
		}
		in := &ec2.AssociateAddressInput{AllocationId: &a.Allocation, NetworkInterfaceId: aws.String(a.Interface), AllowReassociation: aws.Bool(false)}
		if a.Private != "" {
			in.PrivateIpAddress = &a.Private
		}
		if a.Interface == "" {
			in.NetworkInterfaceId, in.PrivateIpAddress, in.InstanceId = nil, nil, &b.Instance
		}
		calls = append(calls, of("ec2:AssociateAddress", r.ec2.AssociateAddress, in))
	}
	return calls, nil
}

// giveFilters puts the network ACLs of subnets back, and takes that of the case
// away.
func (r *Response) giveFilters(ctx context.Context, c *incident.Case, b Before) ([]call, error) {
	if c == nil {
		return nil, nil
	}
	var calls []call
	own := map[string]bool{}
	done := map[string]bool{}
	for _, i := range b.Interfaces {
		var was filter
		found, err := c.Load("filter-"+i.Subnet, &was)
		if err != nil {
			return calls, err
		}
		if !found || done[i.Subnet] {
			continue
		}
		done[i.Subnet] = true
		association, now, err := r.filterOf(ctx, i.Subnet)
		if err != nil {
			return calls, err
		}
		acl, err := r.caseFilter(ctx, i.VPC)
		if err != nil {
			return calls, err
		}
		if acl == "" {
			continue
		}
		if own[acl] = true; now == acl {
			calls = append(calls, of("ec2:ReplaceNetworkAclAssociation", r.ec2.ReplaceNetworkAclAssociation, &ec2.ReplaceNetworkAclAssociationInput{AssociationId: &association, NetworkAclId: &was.ACL}))
		}
	}
	for acl := range own {
		calls = append(calls, of("ec2:DeleteNetworkAcl", r.ec2.DeleteNetworkAcl, &ec2.DeleteNetworkAclInput{NetworkAclId: &acl}))
	}
	return calls, nil
}

// removeGroups takes the groups away that were made for this case.
func (r *Response) removeGroups(ctx context.Context, b Before) ([]call, error) {
	var calls []call
	var problems []error
	done := map[string]bool{}
	for _, i := range b.Interfaces {
		if done[i.VPC] {
			continue
		}
		done[i.VPC] = true
		for _, name := range []string{r.transitName(), r.isolationName()} {
			id, err := r.groupNamed(ctx, i.VPC, name)
			problems = append(problems, err)
			if id == "" {
				continue
			}
			if r.prepared.Endpoints != "" && name == r.isolationName() {
				in := of("ec2:RevokeSecurityGroupIngress", r.ec2.RevokeSecurityGroupIngress, &ec2.RevokeSecurityGroupIngressInput{GroupId: &r.prepared.Endpoints, IpPermissions: to443(id)})
				in.done = []string{"InvalidPermission.NotFound"}
				calls = append(calls, in)
			}
			calls = append(calls, of("ec2:DeleteSecurityGroup", r.ec2.DeleteSecurityGroup, &ec2.DeleteSecurityGroupInput{GroupId: &id}))
		}
	}
	return calls, errors.Join(problems...)
}

func (r *Response) giveService(ctx context.Context, _ *incident.Case, b Before) ([]call, error) {
	var calls []call
	var problems []error
	now, err := r.targets(ctx, b.VPC)
	problems = append(problems, err)
	for _, t := range b.Targets {
		if err == nil && !slices.Contains(now, t) {
			calls = append(calls, of("elasticloadbalancing:RegisterTargets", r.elb.RegisterTargets, &elasticloadbalancingv2.RegisterTargetsInput{
				TargetGroupArn: &t.Group, Targets: []balancer.TargetDescription{{Id: &b.Instance, Port: &t.Port}},
			}))
		}
	}
	if b.Group == nil {
		return calls, errors.Join(problems...)
	}
	group, err := r.group(ctx)
	problems = append(problems, err)
	if err == nil && group != nil && group.State == "Standby" {
		form := client.Form{"AutoScalingGroupName": group.Name, "InstanceIds.member.1": b.Instance}
		calls = append(calls, call{action: "autoscaling:ExitStandby", input: form, send: func(ctx context.Context) error {
			return client.AskQuery(ctx, r.cloud, "autoscaling:ExitStandby", form, nil)
		}})
	}
	if !slices.Contains(b.Group.Suspended, replaceUnhealthy) {
		form := client.Form{"AutoScalingGroupName": b.Group.Name, "ScalingProcesses.member.1": replaceUnhealthy}
		calls = append(calls, call{action: "autoscaling:ResumeProcesses", input: form, send: func(ctx context.Context) error {
			return client.AskQuery(ctx, r.cloud, "autoscaling:ResumeProcesses", form, nil)
		}})
	}
	return calls, errors.Join(problems...)
}

func (r *Response) unprotect(ctx context.Context, _ *incident.Case, b Before) ([]call, error) {
	if _, err := r.instance(ctx); errors.Is(err, errGone) {
		return nil, nil
	}
	var calls []call
	id := &b.Instance
	if b.Group != nil && !b.Group.Protected {
		calls = append(calls, r.fromScaleIn(b, false))
	}
	for _, v := range b.Volumes {
		if v.Deleted {
			calls = append(calls, r.keepVolume(b.Instance, v.Device, true))
		}
	}
	if b.Shutdown != "" && b.Shutdown != "stop" {
		calls = append(calls, of("ec2:ModifyInstanceAttribute", r.ec2.ModifyInstanceAttribute, &ec2.ModifyInstanceAttributeInput{InstanceId: id, InstanceInitiatedShutdownBehavior: &types.AttributeValue{Value: &b.Shutdown}}))
	}
	if b.Protected != nil && !*b.Protected {
		calls = append(calls, of("ec2:ModifyInstanceAttribute", r.ec2.ModifyInstanceAttribute, &ec2.ModifyInstanceAttributeInput{InstanceId: id, DisableApiTermination: &types.AttributeBooleanValue{Value: aws.Bool(false)}}))
	}
	return append(calls, of("ec2:DeleteTags", r.ec2.DeleteTags, &ec2.DeleteTagsInput{Resources: marked(b), Tags: []types.Tag{{Key: aws.String(fleet.CaseTag), Value: aws.String(r.id)}}})), nil
}

// closeCase writes that the incident is over, and lets others respond.
func (r *Response) closeCase(ctx context.Context, c *incident.Case) error {
	if err := c.Release(); err != nil {
		return err
	}
	if err := r.report(ctx, c); err != nil {
		return err
	}
	held, found, err := r.Claimed(ctx)
	if err != nil || !found || held.Case != r.id {
		return err
	}
	if err := r.bucket.remove(ctx, r.claimKey()); err != nil {
		return fmt.Errorf("take the lock in the account away: %w", client.Explain(err))
	}
	return c.Note("the lock in the account is gone: " + strings.TrimPrefix(r.claimKey(), "cases/"))
}

// Resume opens a case to release it, or to go on with it.
func (r *Response) Resume(ctx context.Context, dir string, about incident.About) (*incident.Case, error) {
	if _, err := incident.Read(dir); err != nil {
		return nil, err
	}
	c, err := incident.Open(dir, about)
	if err != nil {
		return nil, err
	}
	r.Know(c.Story())
	c.Mirror = r.mirror(ctx)
	return c, nil
}
