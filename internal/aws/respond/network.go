package respond

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"rocca/internal/aws/client"
	"rocca/internal/aws/fleet"
	"rocca/internal/incident"
)

// inTransit is how long an instance stays in the group that lets all through:
// until AWS has everywhere ended the tracking of its connections.
const inTransit = 5 * time.Second

// groups are the two that an instance goes through.
type groups struct{ transit, isolation string }

// Names of groups that are made in a network without prepared ones.
func (r *Response) isolationName() string { return "rocca-isolation-" + r.id }
func (r *Response) transitName() string   { return "rocca-transit-" + r.id }

// groupsFor finds the groups of a network; what is not there is empty.
func (r *Response) groupsFor(ctx context.Context, vpc string) (groups, error) {
	var g groups
	if vpc == r.prepared.VPC {
		g = groups{r.prepared.Transit, r.prepared.Isolation}
	}
	if r.options.KeepSSM {
		g.isolation = ""
	}
	var problems []error
	for _, wanted := range []struct {
		id   *string
		name string
	}{{&g.transit, r.transitName()}, {&g.isolation, r.isolationName()}} {
		if *wanted.id == "" {
			var err error
			*wanted.id, err = r.groupNamed(ctx, vpc, wanted.name)
			problems = append(problems, err)
		}
	}
	return g, errors.Join(problems...)
}

func (r *Response) groupNamed(ctx context.Context, vpc, name string) (string, error) {
	answer, err := r.ec2.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{Filters: []types.Filter{
		{Name: aws.String("vpc-id"), Values: []string{vpc}}, {Name: aws.String("group-name"), Values: []string{name}},
	}})
	if err != nil {
		return "", fmt.Errorf("look for the security group %s: %w", name, client.Explain(err))
	}
	if len(answer.SecurityGroups) == 0 {
		return "", nil
	}
	return aws.ToString(answer.SecurityGroups[0].GroupId), nil
}

// everything is a rule that lets all through.
func everything() []types.IpPermission {
	return []types.IpPermission{{IpProtocol: aws.String("-1"), IpRanges: []types.IpRange{{CidrIp: aws.String("0.0.0.0/0")}}}}
}

func to443(group string) []types.IpPermission {
	return []types.IpPermission{{IpProtocol: aws.String("tcp"), FromPort: aws.Int32(443), ToPort: aws.Int32(443), UserIdGroupPairs: []types.UserIdGroupPair{{GroupId: &group}}}}
}

// makeGroups makes the groups that a network does not have.
func (r *Response) makeGroups(ctx context.Context, c *incident.Case, b Before, vpc string) (groups, error) {
	g, err := r.groupsFor(ctx, vpc)
	if hopeless(ctx, err) {
		return g, err
	}
	if g.transit == "" {
		made, err := r.makeGroup(ctx, c, b, vpc, r.transitName(), "incidents - ends tracking of connections, for seconds")
		if err == nil {
			allow := of("ec2:AuthorizeSecurityGroupIngress", r.ec2.AuthorizeSecurityGroupIngress, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: &made, IpPermissions: everything()})
			allow.done = []string{"InvalidPermission.Duplicate"}
			err = makeAll(ctx, []call{allow}, c, releaseFor(b))
			g.transit = made
		}
		if noted := note(c, err); noted != nil { // it is safer with it, and goes without
			return g, noted
		}
	}
	if g.isolation != "" {
		return g, nil
	}
	made, err := r.makeGroup(ctx, c, b, vpc, r.isolationName(), "incidents - nothing in or out")
	if err != nil {
		return g, err
	}
	// A new group lets all out.
	close := of("ec2:RevokeSecurityGroupEgress", r.ec2.RevokeSecurityGroupEgress, &ec2.RevokeSecurityGroupEgressInput{GroupId: &made, IpPermissions: everything()})
	close.done = []string{"InvalidPermission.NotFound"}
	calls := []call{close}
	if r.options.KeepSSM {
		out := of("ec2:AuthorizeSecurityGroupEgress", r.ec2.AuthorizeSecurityGroupEgress, &ec2.AuthorizeSecurityGroupEgressInput{GroupId: &made, IpPermissions: to443(r.prepared.Endpoints)})
		in := of("ec2:AuthorizeSecurityGroupIngress", r.ec2.AuthorizeSecurityGroupIngress, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: &r.prepared.Endpoints, IpPermissions: to443(made)})
		out.done, in.done = []string{"InvalidPermission.Duplicate"}, []string{"InvalidPermission.Duplicate"}
		calls = append(calls, out, in)
	}
	if err := makeAll(ctx, calls[:1], c, releaseFor(b)); err != nil {
		return g, err
	}
	g.isolation = made
	return g, makeAll(ctx, calls[1:], c, releaseFor(b))
}

// note writes down what went wrong and does not end a step.
func note(c *incident.Case, err error) error {
	if err == nil {
		return nil
	}
	return c.Note(err.Error())
}

func (r *Response) makeGroup(ctx context.Context, c *incident.Case, b Before, vpc, name, is string) (string, error) {
	answer, err := r.ec2.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{GroupName: &name, Description: &is, VpcId: &vpc, TagSpecifications: []types.TagSpecification{{
		ResourceType: types.ResourceTypeSecurityGroup, Tags: r.tags(),
	}}})
	if err != nil {
		return "", fmt.Errorf("make the security group %s: %w", name, client.Explain(err))
	}
	id := aws.ToString(answer.GroupId)
	return id, c.Changed("ec2:CreateSecurityGroup "+name+" in "+vpc+": "+id, releaseFor(b))
}

// into puts an interface into one group alone.
func (r *Response) into(id string, groups ...string) call {
	return of("ec2:ModifyNetworkInterfaceAttribute", r.ec2.ModifyNetworkInterfaceAttribute, &ec2.ModifyNetworkInterfaceAttributeInput{NetworkInterfaceId: &id, Groups: groups})
}

// planNetwork tells what cutNetwork would do.
func (r *Response) planNetwork(ctx context.Context) ([]string, error) {
	b, err := r.look(ctx)
	if err != nil {
		return nil, err
	}
	var all []string
	var problems []error
	var first, second []string
	for _, i := range b.Interfaces {
		g, err := r.groupsFor(ctx, i.VPC)
		problems = append(problems, err)
		for _, missing := range []struct {
			id   *string
			name string
		}{{&g.transit, r.transitName()}, {&g.isolation, r.isolationName()}} {
			if *missing.id == "" {
				all = append(all, "ec2:CreateSecurityGroup "+shown(map[string]string{"GroupName": missing.name, "VpcId": i.VPC}))
				*missing.id = "(" + missing.name + ")"
			}
		}
		if !slices.Equal(i.Groups, []string{g.isolation}) {
			first = append(first, r.into(i.ID, g.transit).String())
			second = append(second, r.into(i.ID, g.isolation).String())
		}
	}
	all = append(append(all, first...), second...)
	all = append(all, lines(r.unassign(b.Interfaces))...)
	all = append(all, lines(r.disassociate(b.Addresses))...)
	return all, errors.Join(problems...)
}

// unassign takes IPv6 addresses off: what is tracked over IPv6 ends with them.
func (r *Response) unassign(interfaces []Interface) []call {
	var calls []call
	for _, i := range interfaces {
		if len(i.IPv6) > 0 {
			calls = append(calls, of("ec2:UnassignIpv6Addresses", r.ec2.UnassignIpv6Addresses, &ec2.UnassignIpv6AddressesInput{NetworkInterfaceId: &i.ID, Ipv6Addresses: i.IPv6}))
		}
	}
	return calls
}

func (r *Response) disassociate(addresses []Address) []call {
	var calls []call
	for _, a := range addresses {
		one := of("ec2:DisassociateAddress", r.ec2.DisassociateAddress, &ec2.DisassociateAddressInput{AssociationId: &a.Association})
		one.done = []string{"InvalidAssociationID.NotFound"}
		calls = append(calls, one)
	}
	return calls
}

// cutNetwork cuts every interface off. What fails at one holds up no other.
func (r *Response) cutNetwork(ctx context.Context, c *incident.Case) error {
	b, err := r.before(ctx, c)
	if err != nil {
		return err
	}
	now, err := r.interfaces(ctx)
	problems := []error{err}
	if hopeless(ctx, err) {
		return err
	}
	if err != nil {
		now = b.Interfaces
	}
	problems = append(problems, r.isolate(ctx, c, b, now))
	problems = append(problems, makeAll(ctx, r.unassign(now), c, releaseFor(b)))
	addresses, err := r.addresses(ctx)
	if err != nil {
		addresses = b.Addresses
	}
	problems = append(problems, makeAll(ctx, r.disassociate(addresses), c, releaseFor(b)))
	if b.Public != "" {
		problems = append(problems, c.Note("its public address "+b.Public+" is one of AWS's own, which stays until the instance stops; nothing gets through to it"))
	}
	if len(now) == 0 && err == nil {
		problems = append(problems, c.Note("the instance has no network interface any more"))
	}
	return errors.Join(problems...)
}

// isolate moves interfaces first to where nothing is tracked, then to where
// nothing gets through.
func (r *Response) isolate(ctx context.Context, c *incident.Case, b Before, interfaces []Interface) error {
	known := map[string]groups{}
	var problems []error
	moved := false
	var open []Interface // not isolated yet
	for _, i := range interfaces {
		g, seen := known[i.VPC]
		if !seen {
			var err error
			g, err = r.makeGroups(ctx, c, b, i.VPC)
			if hopeless(ctx, err) {
				return err
			}
			problems, known[i.VPC] = append(problems, err), g
		}
		if g.isolation == "" {
			problems = append(problems, fmt.Errorf("cut off %s: there is no group that does it in %s", i.ID, i.VPC))
			continue
		}
		if slices.Equal(i.Groups, []string{g.isolation}) {
			continue
		}
		open = append(open, i)
		if g.transit != "" && !slices.Equal(i.Groups, []string{g.transit}) {
			err := makeAll(ctx, []call{r.into(i.ID, g.transit)}, c, releaseFor(b))
			if hopeless(ctx, err) {
				return errors.Join(err, r.backOut(ctx, c, b, open))
			}
			problems, moved = append(problems, err), moved || err == nil
		}
	}
	if moved {
		if err := r.tools.Pause(ctx, inTransit); err != nil {
			return errors.Join(err, r.backOut(ctx, c, b, open))
		}
	}
	for n, i := range open {
		err := r.close(ctx, c, b, i, known[i.VPC].isolation)
		if hopeless(ctx, err) {
			return errors.Join(err, r.backOut(ctx, c, b, open[n:]))
		}
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}

// attempts of what must not be left half done.
const attempts = 3

// close puts an interface into isolation. When that does not work, it must not
// stay where all gets through.
func (r *Response) close(ctx context.Context, c *incident.Case, b Before, i Interface, isolation string) error {
	var err error
	for range attempts {
		if err = makeAll(ctx, []call{r.into(i.ID, isolation)}, c, releaseFor(b)); err == nil || hopeless(ctx, err) {
			return err
		}
		if client.Refused(err, "InvalidNetworkInterfaceID.NotFound") {
			return c.Note(i.ID + " is gone, and with it what it was connected to")
		}
		if client.Denied(err) || r.tools.Pause(ctx, inTransit) != nil {
			break
		}
	}
	return errors.Join(err, r.backOut(ctx, c, b, []Interface{i}))
}

// backOut puts interfaces back into the groups that they were found in. The
// context may have ended: there is a moment left for this.
func (r *Response) backOut(ctx context.Context, c *incident.Case, b Before, interfaces []Interface) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	var problems []error
	for _, i := range interfaces {
		found := slices.IndexFunc(b.Interfaces, func(was Interface) bool { return was.ID == i.ID })
		if found < 0 {
			continue
		}
		if err := makeAll(ctx, []call{r.into(i.ID, b.Interfaces[found].Groups...)}, c, ""); err != nil {
			problems = append(problems, fmt.Errorf("%s MAY BE IN THE GROUP THAT LETS ALL THROUGH: %w\nhint: aws ec2 modify-network-interface-attribute --network-interface-id %[1]s --groups %[3]s", i.ID, err, r.prepared.Isolation))
		}
	}
	return errors.Join(problems...)
}

// filter is the network ACL that a subnet had.
type filter struct {
	Subnet, ACL string
}

// filterSubnets refuses all packets of the subnets where nothing but the
// instance is.
func (r *Response) filterSubnets(ctx context.Context, c *incident.Case) error {
	b, err := r.before(ctx, c)
	if err != nil {
		return err
	}
	var problems []error
	done := map[string]bool{}
	for _, i := range b.Interfaces {
		if done[i.Subnet] {
			continue
		}
		done[i.Subnet] = true
		err := r.filterSubnet(ctx, c, b, i)
		problems = append(problems, err)
		if hopeless(ctx, err) {
			break
		}
	}
	return errors.Join(problems...)
}

func (r *Response) filterSubnet(ctx context.Context, c *incident.Case, b Before, i Interface) error {
	answer, err := r.ec2.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{Filters: []types.Filter{{Name: aws.String("subnet-id"), Values: []string{i.Subnet}}}})
	if err != nil {
		return fmt.Errorf("look who else is in %s: %w", i.Subnet, client.Explain(err))
	}
	for _, other := range answer.NetworkInterfaces {
		if other.Attachment == nil || aws.ToString(other.Attachment.InstanceId) != b.Instance {
			return fmt.Errorf("refuse all packets of %[3]s: %[1]s (%[2]s) is in it, too, and would be cut off", aws.ToString(other.NetworkInterfaceId), aws.ToString(other.Description), i.Subnet)
		}
	}
	association, now, err := r.filterOf(ctx, i.Subnet)
	if err != nil {
		return err
	}
	acl, err := r.ownFilter(ctx, c, b, i.VPC)
	if err != nil || acl == now {
		return err
	}
	if err := c.Save("filter-"+i.Subnet, filter{i.Subnet, now}); err != nil {
		return err
	}
	return makeAll(ctx, []call{of("ec2:ReplaceNetworkAclAssociation", r.ec2.ReplaceNetworkAclAssociation, &ec2.ReplaceNetworkAclAssociationInput{AssociationId: &association, NetworkAclId: &acl})}, c, releaseFor(b))
}

// filterOf is the network ACL of a subnet, and how it is tied to it.
func (r *Response) filterOf(ctx context.Context, subnet string) (association, acl string, err error) {
	answer, err := r.ec2.DescribeNetworkAcls(ctx, &ec2.DescribeNetworkAclsInput{Filters: []types.Filter{{Name: aws.String("association.subnet-id"), Values: []string{subnet}}}})
	if err != nil {
		return "", "", fmt.Errorf("look for the network ACL of %s: %w", subnet, client.Explain(err))
	}
	for _, n := range answer.NetworkAcls {
		for _, a := range n.Associations {
			if aws.ToString(a.SubnetId) == subnet {
				return aws.ToString(a.NetworkAclAssociationId), aws.ToString(n.NetworkAclId), nil
			}
		}
	}
	return "", "", fmt.Errorf("look for the network ACL of %s: it has none", subnet)
}

// ownFilter is the network ACL of the case, which has no rule: that refuses all.
func (r *Response) ownFilter(ctx context.Context, c *incident.Case, b Before, vpc string) (string, error) {
	id, err := r.caseFilter(ctx, vpc)
	if err != nil || id != "" {
		return id, err
	}
	made, err := r.ec2.CreateNetworkAcl(ctx, &ec2.CreateNetworkAclInput{VpcId: &vpc, TagSpecifications: []types.TagSpecification{{
		ResourceType: types.ResourceTypeNetworkAcl, Tags: r.tags(),
	}}})
	if err != nil {
		return "", fmt.Errorf("make a network ACL that refuses all: %w", client.Explain(err))
	}
	id = aws.ToString(made.NetworkAcl.NetworkAclId)
	return id, c.Changed("ec2:CreateNetworkAcl in "+vpc+": "+id, releaseFor(b))
}

// caseFilter finds the network ACL of the case; empty: there is none.
func (r *Response) caseFilter(ctx context.Context, vpc string) (string, error) {
	answer, err := r.ec2.DescribeNetworkAcls(ctx, &ec2.DescribeNetworkAclsInput{Filters: []types.Filter{
		{Name: aws.String("vpc-id"), Values: []string{vpc}}, {Name: aws.String("tag:" + fleet.CaseTag), Values: []string{r.id}},
	}})
	if err != nil {
		return "", fmt.Errorf("look for the network ACL of the case: %w", client.Explain(err))
	}
	if len(answer.NetworkAcls) == 0 {
		return "", nil
	}
	return aws.ToString(answer.NetworkAcls[0].NetworkAclId), nil
}
