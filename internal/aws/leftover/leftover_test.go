package leftover

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"

	"rocca/internal/aws/awstest"
)

func TestFind(t *testing.T) {
	cloud := awstest.Start(t)
	machines, databases := ec2.NewFromConfig(cloud.Config(t)), rds.NewFromConfig(cloud.Config(t))
	for _, deployment := range []string{"shop", "other"} {
		tagged := func(kind ec2types.ResourceType) []ec2types.TagSpecification {
			return []ec2types.TagSpecification{{ResourceType: kind, Tags: []ec2types.Tag{{Key: aws.String("rocca:deployment"), Value: &deployment}}}}
		}
		volume, err := machines.CreateVolume(t.Context(), &ec2.CreateVolumeInput{AvailabilityZone: aws.String("eu-central-1a"), Size: aws.Int32(20), TagSpecifications: tagged(ec2types.ResourceTypeVolume)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := machines.CreateSnapshot(t.Context(), &ec2.CreateSnapshotInput{VolumeId: volume.VolumeId, TagSpecifications: tagged(ec2types.ResourceTypeSnapshot)}); err != nil {
			t.Fatal(err)
		}
		if _, err := machines.AllocateAddress(t.Context(), &ec2.AllocateAddressInput{Domain: ec2types.DomainTypeVpc, TagSpecifications: tagged(ec2types.ResourceTypeElasticIp)}); err != nil {
			t.Fatal(err)
		}
		subnets, err := machines.DescribeSubnets(t.Context(), &ec2.DescribeSubnetsInput{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := machines.CreateNetworkInterface(t.Context(), &ec2.CreateNetworkInterfaceInput{SubnetId: subnets.Subnets[0].SubnetId, TagSpecifications: tagged(ec2types.ResourceTypeNetworkInterface)}); err != nil {
			t.Fatal(err)
		}
		_, err = databases.CreateDBInstance(t.Context(), &rds.CreateDBInstanceInput{DBInstanceIdentifier: aws.String(deployment + "-db"), Engine: aws.String("mysql"),
			DBInstanceClass: aws.String("db.t4g.medium"), AllocatedStorage: aws.Int32(20), MasterUsername: aws.String("rocca_admin"), ManageMasterUserPassword: aws.Bool(true)})
		if err != nil {
			t.Fatal(err)
		}
		_, err = databases.CreateDBSnapshot(t.Context(), &rds.CreateDBSnapshotInput{DBInstanceIdentifier: aws.String(deployment + "-db"), DBSnapshotIdentifier: aws.String(deployment + "-last"),
			Tags: []rdstypes.Tag{{Key: aws.String("rocca:deployment"), Value: &deployment}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	left, err := Find(t.Context(), cloud.Config(t), "shop")
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, l := range left {
		kinds = append(kinds, l.What)
		if l.ID == "" || l.Why == "" {
			t.Errorf("%+v", l)
		}
	}
	if got, want := strings.Join(kinds, ", "), "network interface, volume, address, snapshot of a volume, snapshot of a database"; got != want {
		t.Errorf("found %s, want %s", got, want)
	}

	// What cannot be asked is told, and hides nothing else.
	cloud.Fail("ec2", "DescribeVolumes", 1, 1, awstest.Denied)
	left, err = Find(t.Context(), cloud.Config(t), "shop")
	if err == nil || !strings.Contains(err.Error(), "look for volumes that are left") || len(left) != 4 {
		t.Errorf("%d found, %v", len(left), err)
	}
}
