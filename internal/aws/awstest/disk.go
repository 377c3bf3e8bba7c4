package awstest

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

// Disk makes a server with a disk at /dev/sdf, and gives their ids.
func (c *Cloud) Disk(t testing.TB) (volume, server string) {
	t.Helper()
	cloud := ec2.NewFromConfig(c.Config(t))
	servers, err := cloud.RunInstances(t.Context(), &ec2.RunInstancesInput{ImageId: aws.String("ami-0123456789abcdef0"), MinCount: aws.Int32(1), MaxCount: aws.Int32(1)})
	if err != nil {
		t.Fatal(err)
	}
	made := servers.Instances[0]
	disk, err := cloud.CreateVolume(t.Context(), &ec2.CreateVolumeInput{AvailabilityZone: made.Placement.AvailabilityZone, Size: aws.Int32(1)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cloud.AttachVolume(t.Context(), &ec2.AttachVolumeInput{VolumeId: disk.VolumeId, InstanceId: made.InstanceId, Device: aws.String("/dev/sdf")}); err != nil {
		t.Fatal(err)
	}
	return aws.ToString(disk.VolumeId), aws.ToString(made.InstanceId)
}
