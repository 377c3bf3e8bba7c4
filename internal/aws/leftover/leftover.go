// Package leftover looks for what a destroyed deployment has left behind and
// what goes on to cost money.
package leftover

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"

	"rocca/internal/aws/client"
	"rocca/internal/aws/deploy"
	"rocca/internal/aws/stack"
)

// Find lists network interfaces, volumes, addresses and snapshots that have the
// tag of the deployment. What could not be asked is told beside what was found.
func Find(ctx context.Context, c client.Config, deployment string) ([]deploy.Left, error) {
	f := finder{ec2.NewFromConfig(c), rds.NewFromConfig(c), deployment}
	var all []deploy.Left
	var failed error
	for _, look := range []struct {
		what string
		find func(context.Context) ([]deploy.Left, error)
	}{
		{"network interfaces", f.interfaces}, {"volumes", f.volumes}, {"addresses", f.addresses},
		{"snapshots of volumes", f.snapshots}, {"snapshots of databases", f.databaseSnapshots},
	} {
		found, err := look.find(ctx)
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("look for %s that are left: %w", look.what, client.Explain(err)))
		}
		all = append(all, found...)
	}
	return all, failed
}

type finder struct {
	machines   *ec2.Client
	databases  *rds.Client
	deployment string
}

func (f finder) ours() []ec2types.Filter {
	return []ec2types.Filter{{Name: aws.String("tag:" + stack.DeploymentTag), Values: []string{f.deployment}}}
}

func (f finder) interfaces(ctx context.Context) ([]deploy.Left, error) {
	var all []deploy.Left
	more := func(in *ec2.DescribeNetworkInterfacesInput, out *ec2.DescribeNetworkInterfacesOutput) bool {
		return client.Next(&in.NextToken, out.NextToken)
	}
	for page, err := range client.Pages(ctx, f.machines.DescribeNetworkInterfaces, &ec2.DescribeNetworkInterfacesInput{Filters: f.ours()}, more) {
		if err != nil {
			return all, err
		}
		for _, i := range page.NetworkInterfaces {
			all = append(all, deploy.Left{What: "network interface", ID: aws.ToString(i.NetworkInterfaceId), Why: strings.TrimSpace(aws.ToString(i.Description) + " " + string(i.Status))})
		}
	}
	return all, nil
}

func (f finder) volumes(ctx context.Context) ([]deploy.Left, error) {
	var all []deploy.Left
	more := func(in *ec2.DescribeVolumesInput, out *ec2.DescribeVolumesOutput) bool {
		return client.Next(&in.NextToken, out.NextToken)
	}
	for page, err := range client.Pages(ctx, f.machines.DescribeVolumes, &ec2.DescribeVolumesInput{Filters: f.ours()}, more) {
		if err != nil {
			return all, err
		}
		for _, v := range page.Volumes {
			all = append(all, deploy.Left{What: "volume", ID: aws.ToString(v.VolumeId), Why: fmt.Sprintf("%d GB, %s", aws.ToInt32(v.Size), v.State)})
		}
	}
	return all, nil
}

func (f finder) addresses(ctx context.Context) ([]deploy.Left, error) {
	answer, err := f.machines.DescribeAddresses(ctx, &ec2.DescribeAddressesInput{Filters: f.ours()})
	if err != nil {
		return nil, err
	}
	var all []deploy.Left
	for _, a := range answer.Addresses {
		all = append(all, deploy.Left{What: "address", ID: aws.ToString(a.AllocationId), Why: aws.ToString(a.PublicIp)})
	}
	return all, nil
}

func (f finder) snapshots(ctx context.Context) ([]deploy.Left, error) {
	var all []deploy.Left
	more := func(in *ec2.DescribeSnapshotsInput, out *ec2.DescribeSnapshotsOutput) bool {
		return client.Next(&in.NextToken, out.NextToken)
	}
	for page, err := range client.Pages(ctx, f.machines.DescribeSnapshots, &ec2.DescribeSnapshotsInput{Filters: f.ours(), OwnerIds: []string{"self"}}, more) {
		if err != nil {
			return all, err
		}
		for _, s := range page.Snapshots {
			all = append(all, deploy.Left{What: "snapshot of a volume", ID: aws.ToString(s.SnapshotId), Why: fmt.Sprintf("%d GB of %s", aws.ToInt32(s.VolumeSize), aws.ToString(s.VolumeId))})
		}
	}
	return all, nil
}

// databaseSnapshots are asked for all: RDS filters by no tag.
func (f finder) databaseSnapshots(ctx context.Context) ([]deploy.Left, error) {
	var all []deploy.Left
	more := func(in *rds.DescribeDBSnapshotsInput, out *rds.DescribeDBSnapshotsOutput) bool {
		return client.Next(&in.Marker, out.Marker)
	}
	for page, err := range client.Pages(ctx, f.databases.DescribeDBSnapshots, &rds.DescribeDBSnapshotsInput{}, more) {
		if err != nil {
			return all, err
		}
		for _, s := range page.DBSnapshots {
			if tagged(s.TagList, f.deployment) {
				all = append(all, deploy.Left{What: "snapshot of a database", ID: aws.ToString(s.DBSnapshotIdentifier), Why: fmt.Sprintf("%d GB of %s", aws.ToInt32(s.AllocatedStorage), aws.ToString(s.DBInstanceIdentifier))})
			}
		}
	}
	return all, nil
}

func tagged(tags []rdstypes.Tag, deployment string) bool {
	for _, tag := range tags {
		if aws.ToString(tag.Key) == stack.DeploymentTag && aws.ToString(tag.Value) == deployment {
			return true
		}
	}
	return false
}
