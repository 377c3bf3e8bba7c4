// Package worldtest fills moto with whole deployments, for tests of what looks
// at them: that of the AWS guide, and rocca's own.
package worldtest

import (
	_ "embed"
	"encoding/base64"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"rocca/internal/aws/awstest"
	"rocca/internal/aws/client"
)

//go:embed testdata/guide.yaml
var guideTemplate string

// Planted is what no output may ever show: it stands in the user data, the
// secret and the key of the guide's world.
const Planted = "Pl4nted-S3cret-0f-the-guide"

// guidePassword is that of the database in the guide's template.
const guidePassword = "not-a-secret-of-anybody"

// guideUserData is the kind of script that the guide's project starts its server
// with.
const guideUserData = `#!/bin/bash
dnf update -y
TOKEN_IP=$(curl -s http://169.254.169.254/latest/meta-data/public-ipv4)
wget https://builds.matomo.org/matomo-latest.zip
unzip -q matomo-latest.zip -d /var/www/html
chmod -R 777 /var/www/html/tmp /var/www/html/config
DB_PASSWORD="` + Planted + `"
`

// Guide makes what the project of the AWS guide deploys with its defaults.
func Guide(t testing.TB, cloud *awstest.Cloud) {
	t.Helper()
	config := cloud.Config(t)
	ctx := t.Context()
	answers := answerWhatMotoLacks(t, cloud)
	// The author's link was never followed, and nobody has changed the secret in
	// the four months since.
	answers.amend("sns", "ListSubscriptionsByTopic", func(a *anything) {
		for _, subscriber := range a.find("member") {
			subscriber.put("SubscriptionArn", "PendingConfirmation")
		}
	})
	then := time.Now().Add(-120 * 24 * time.Hour).Unix()
	answers.amendJSON("secretsmanager", "ListSecrets", func(a map[string]any) {
		for _, secret := range list(a["SecretList"]) {
			secret["CreatedDate"], secret["LastChangedDate"] = then, then
		}
	})
	stacks := cloudformation.NewFromConfig(config)
	name := aws.String("matomo-analytics")
	if _, err := stacks.CreateStack(ctx, &cloudformation.CreateStackInput{StackName: name, TemplateBody: &guideTemplate}); err != nil {
		t.Fatal(err)
	}
	made, err := stacks.ListStackResources(ctx, &cloudformation.ListStackResourcesInput{StackName: name})
	if err != nil {
		t.Fatal(err)
	}
	id := map[string]string{}
	for _, r := range made.StackResourceSummaries {
		id[aws.ToString(r.LogicalResourceId)] = aws.ToString(r.PhysicalResourceId)
	}
	machines := ec2.NewFromConfig(config)
	// What moto's CloudFormation forgets.
	form := client.Form{"DBInstanceIdentifier": id["Database"], "VpcSecurityGroupIds.VpcSecurityGroupId.1": id["DatabaseGroup"], "ApplyImmediately": "true"}
	if err := client.AskQuery(ctx, config, "rds:ModifyDBInstance", form, nil); err != nil {
		t.Fatal(err)
	}
	alarm := client.Fields{"AlarmName": "matomo-analytics-cpu", "Namespace": "AWS/EC2", "MetricName": "CPUUtilization", "Statistic": "Average", "Period": 300, "EvaluationPeriods": 3, "Threshold": 80, "ComparisonOperator": "GreaterThanThreshold", "AlarmActions": []string{id["Topic"]}}
	if err := client.Ask(ctx, config, "cloudwatch:PutMetricAlarm", alarm, nil); err != nil {
		t.Fatal(err)
	}
	for subnet, routes := range map[string]string{"PublicSubnet1": "PublicRoutes", "PublicSubnet2": "PublicRoutes", "PrivateSubnet1": "PrivateRoutes", "PrivateSubnet2": "PrivateRoutes"} {
		if _, err := machines.AssociateRouteTable(ctx, &ec2.AssociateRouteTableInput{SubnetId: aws.String(id[subnet]), RouteTableId: aws.String(id[routes])}); err != nil {
			t.Fatal(err)
		}
		public := &ec2types.AttributeBooleanValue{Value: aws.Bool(routes == "PublicRoutes")}
		if _, err := machines.ModifySubnetAttribute(ctx, &ec2.ModifySubnetAttributeInput{SubnetId: aws.String(id[subnet]), MapPublicIpOnLaunch: public}); err != nil {
			t.Fatal(err)
		}
	}
	// CDK empties the default group by a function of its own; and of a group with
	// rules for what it lets out, CloudFormation takes away the one for all.
	groups, err := machines.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{Filters: []ec2types.Filter{{Name: aws.String("vpc-id"), Values: []string{id["Vpc"]}}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range groups.SecurityGroups {
		all := slices.DeleteFunc(g.IpPermissionsEgress, func(p ec2types.IpPermission) bool { return aws.ToString(p.IpProtocol) != "-1" })
		if aws.ToString(g.GroupId) == id["WebGroup"] || len(all) == 0 {
			continue
		}
		if _, err := machines.RevokeSecurityGroupEgress(ctx, &ec2.RevokeSecurityGroupEgressInput{GroupId: g.GroupId, IpPermissions: all}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := machines.CreateKeyPair(ctx, &ec2.CreateKeyPairInput{KeyName: aws.String("matomo-keypair")}); err != nil {
		t.Fatal(err)
	}
	_, err = machines.RunInstances(ctx, &ec2.RunInstancesInput{
		ImageId: aws.String("ami-12c6146b"), InstanceType: ec2types.InstanceTypeT3Micro, MinCount: aws.Int32(1), MaxCount: aws.Int32(1), KeyName: aws.String("matomo-keypair"),
		UserData: aws.String(base64.StdEncoding.EncodeToString([]byte(guideUserData))), IamInstanceProfile: &ec2types.IamInstanceProfileSpecification{Name: aws.String(id["Profile"])},
		NetworkInterfaces: []ec2types.InstanceNetworkInterfaceSpecification{{DeviceIndex: aws.Int32(0), SubnetId: aws.String(id["PublicSubnet1"]), Groups: []string{id["WebGroup"]}, AssociatePublicIpAddress: aws.Bool(true)}},
		TagSpecifications: []ec2types.TagSpecification{{ResourceType: ec2types.ResourceTypeInstance, Tags: []ec2types.Tag{{Key: aws.String("Name"), Value: aws.String("MatomoServer")}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = secretsmanager.NewFromConfig(config).CreateSecret(ctx, &secretsmanager.CreateSecretInput{
		Name: aws.String("matomo-db-credentials"), SecretString: aws.String(`{"username":"matomo","password":"` + Planted + `"}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = ssm.NewFromConfig(config).PutParameter(ctx, &ssm.PutParameterInput{
		Name: aws.String("/ec2/keypair/key-0123456789abcdef0"), Type: ssmtypes.ParameterTypeSecureString, Value: aws.String(Planted),
	})
	if err != nil {
		t.Fatal(err)
	}
	cloud.ForgetCalls()
}
