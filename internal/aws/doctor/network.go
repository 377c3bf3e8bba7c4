package doctor

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"rocca/internal/aws/client"
	"rocca/internal/aws/stack"
)

// own tells by its tags whether something is of this deployment.
func (e *exam) own(tags []types.Tag) bool {
	for _, tag := range tags {
		if aws.ToString(tag.Key) == stack.DeploymentTag && aws.ToString(tag.Value) == e.wanted.Name {
			return true
		}
	}
	return false
}

func (e *exam) networks(ctx context.Context) ([]types.Vpc, error) {
	var others []types.Vpc
	more := func(in *ec2.DescribeVpcsInput, out *ec2.DescribeVpcsOutput) bool {
		return client.Next(&in.NextToken, out.NextToken)
	}
	for page, err := range client.Pages(ctx, e.servers.DescribeVpcs, &ec2.DescribeVpcsInput{}, more) {
		if err != nil {
			return nil, err
		}
		for _, vpc := range page.Vpcs {
			if !e.own(vpc.Tags) {
				others = append(others, vpc)
			}
		}
	}
	return others, nil
}

// addresses looks for networks that overlap with ours: AWS takes them, but
// they can never be connected. One that others are connected to likely shall be.
func (e *exam) addresses(ctx context.Context) (verdict, error) {
	others, err := e.networks(ctx)
	if err != nil {
		return verdict{}, err
	}
	overlapping := map[string]bool{}
	var found []string
	for _, vpc := range others {
		for _, block := range vpc.CidrBlockAssociationSet {
			network, err := netip.ParsePrefix(aws.ToString(block.CidrBlock))
			if err == nil && network.Overlaps(e.wanted.Network.CIDR) {
				overlapping[aws.ToString(vpc.VpcId)] = true
				found = append(found, fmt.Sprintf("%s of %s", network, aws.ToString(vpc.VpcId)))
			}
		}
	}
	if len(found) == 0 {
		return ok("%s", e.wanted.Network.CIDR), nil
	}
	connected, err := e.connected(ctx, overlapping)
	if err != nil {
		return verdict{}, err
	}
	fix := "network.cidr: a network that nobody here uses"
	if connected != "" {
		return fail(fix, "%s overlaps with %s, which %s connects to others", e.wanted.Network.CIDR, strings.Join(found, ", "), connected), nil
	}
	return warn(fix, "%s overlaps with %s: the two can never be connected", e.wanted.Network.CIDR, strings.Join(found, ", ")), nil
}

// connected finds a peering of one of these networks.
func (e *exam) connected(ctx context.Context, networks map[string]bool) (string, error) {
	more := func(in *ec2.DescribeVpcPeeringConnectionsInput, out *ec2.DescribeVpcPeeringConnectionsOutput) bool {
		return client.Next(&in.NextToken, out.NextToken)
	}
	for page, err := range client.Pages(ctx, e.servers.DescribeVpcPeeringConnections, &ec2.DescribeVpcPeeringConnectionsInput{}, more) {
		if err != nil {
			return "", err
		}
		for _, p := range page.VpcPeeringConnections {
			alive := p.Status != nil && (p.Status.Code == types.VpcPeeringConnectionStateReasonCodeActive || p.Status.Code == types.VpcPeeringConnectionStateReasonCodePendingAcceptance)
			for _, end := range []*types.VpcPeeringConnectionVpcInfo{p.AccepterVpcInfo, p.RequesterVpcInfo} {
				if alive && end != nil && networks[aws.ToString(end.VpcId)] {
					return aws.ToString(p.VpcPeeringConnectionId), nil
				}
			}
		}
	}
	return "", nil
}

// trail looks for another trail that records every region: the first copy of
// management events is free, each further one is not.
func (e *exam) trail(ctx context.Context) (verdict, error) {
	if !e.wanted.Account.Trail {
		return ok("the deployment makes none"), nil
	}
	var found struct {
		TrailList []struct {
			Name                                    string
			IsMultiRegionTrail, IsOrganizationTrail bool
		}
	}
	if err := client.Ask(ctx, e.cloud, "cloudtrail:DescribeTrails", client.Fields{"includeShadowTrails": true}, &found); err != nil {
		return verdict{}, err
	}
	for _, t := range found.TrailList {
		if t.Name == e.wanted.Name || !t.IsMultiRegionTrail {
			continue
		}
		whose := "this account"
		if t.IsOrganizationTrail {
			whose = "the organization"
		}
		return warn("account.trail: false, if that one is watched", "%s of %s records every region already: a second copy costs $2 per 100000 events", t.Name, whose), nil
	}
	return ok("there is no other one"), nil
}
