// Package handover moves the disk of a database from a server to the one that
// takes its place. CloudFormation makes the new server first, and a disk is
// attached to one server only; so the old one is stopped before.
package handover

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"rocca/internal/aws/client"
)

// Disk is one that is attached to a server.
type Disk struct {
	Volume string // id
	Server string // id of the instance that has it
	Device string // such as /dev/sdf
}

// Pause is the time between two looks at what AWS is doing.
const Pause = 5 * time.Second

// Mover moves disks. Wait waits for a while, or until the context ends.
type Mover struct {
	cloud *ec2.Client
	wait  func(context.Context, time.Duration) error
}

// New makes a mover that asks AWS.
func New(c client.Config) Mover { return Mover{ec2.NewFromConfig(c), wait} }

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// Release stops the server that has the disk, so that its database ends well,
// and takes the disk off it. A disk that no server has gives the zero Disk.
func (m Mover) Release(ctx context.Context, volume string) (Disk, error) {
	disk, err := m.find(ctx, volume)
	if err != nil || disk.Server == "" {
		return Disk{}, err
	}
	if _, err := m.cloud.StopInstances(ctx, &ec2.StopInstancesInput{InstanceIds: []string{disk.Server}}); err != nil {
		return disk, fmt.Errorf("stop the server %s: %w", disk.Server, client.Explain(err))
	}
	if err := m.until(ctx, disk.Server, types.InstanceStateNameStopped); err != nil {
		return disk, err
	}
	if _, err := m.cloud.DetachVolume(ctx, &ec2.DetachVolumeInput{VolumeId: aws.String(volume), InstanceId: aws.String(disk.Server)}); err != nil {
		return disk, fmt.Errorf("take the disk %s off the server %s: %w", volume, disk.Server, client.Explain(err))
	}
	for {
		now, err := m.find(ctx, volume)
		if err != nil || now.Server == "" {
			return disk, err
		}
		if err := m.wait(ctx, Pause); err != nil {
			return disk, err
		}
	}
}

// Return gives the disk back to the server that had it, and starts that.
func (m Mover) Return(ctx context.Context, disk Disk) error {
	now, err := m.find(ctx, disk.Volume)
	if err != nil {
		return err
	}
	if now.Server == "" {
		_, err := m.cloud.AttachVolume(ctx, &ec2.AttachVolumeInput{VolumeId: aws.String(disk.Volume), InstanceId: aws.String(disk.Server), Device: aws.String(disk.Device)})
		if err != nil {
			return fmt.Errorf("give the disk %s back to the server %s: %w", disk.Volume, disk.Server, client.Explain(err))
		}
	} else if now.Server != disk.Server {
		return fmt.Errorf("give the disk %s back to the server %s: %s has it", disk.Volume, disk.Server, now.Server)
	}
	if _, err := m.cloud.StartInstances(ctx, &ec2.StartInstancesInput{InstanceIds: []string{disk.Server}}); err != nil {
		return fmt.Errorf("start the server %s again: %w", disk.Server, client.Explain(err))
	}
	return nil
}

// find tells who has a disk.
func (m Mover) find(ctx context.Context, volume string) (Disk, error) {
	answer, err := m.cloud.DescribeVolumes(ctx, &ec2.DescribeVolumesInput{VolumeIds: []string{volume}})
	if err != nil {
		return Disk{}, fmt.Errorf("look at the disk %s: %w", volume, client.Explain(err))
	}
	for _, v := range answer.Volumes {
		for _, a := range v.Attachments {
			if a.State != types.VolumeAttachmentStateDetached {
				return Disk{Volume: volume, Server: aws.ToString(a.InstanceId), Device: aws.ToString(a.Device)}, nil
			}
		}
	}
	return Disk{Volume: volume}, nil
}

func (m Mover) until(ctx context.Context, server string, state types.InstanceStateName) error {
	for {
		answer, err := m.cloud.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{server}})
		if err != nil {
			return fmt.Errorf("look at the server %s: %w", server, client.Explain(err))
		}
		for _, r := range answer.Reservations {
			for _, i := range r.Instances {
				if i.State != nil && i.State.Name == state {
					return nil
				}
			}
		}
		if err := m.wait(ctx, Pause); err != nil {
			return fmt.Errorf("wait until the server %s is %s: %w", server, state, err)
		}
	}
}
