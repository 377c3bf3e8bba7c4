package cloud

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"rocca/internal/aws/awstest"
	"rocca/internal/aws/client"
)

// What must never come out: the test plants each of these somewhere.
const (
	passwordInUserData  = "hunter2-in-user-data"
	passwordInParameter = "hunter3-in-parameter"
	passwordInSecret    = "hunter4-in-secret"
	passwordInConsole   = "hunter5-on-console"
	passwordInOutput    = "hunter6-in-output"
	addressOfBudget     = "somebody@example.org"
)

var planted = []string{passwordInUserData, passwordInParameter, passwordInSecret, passwordInConsole, passwordInOutput, addressOfBudget}

// maker makes resources.
type maker struct {
	t testing.TB
	c client.Config
}

func (m maker) query(action string, form client.Form, out any) {
	m.t.Helper()
	if err := client.AskQuery(m.t.Context(), m.c, action, form, out); err != nil {
		m.t.Error(err)
	}
}

func (m maker) ask(action string, fields client.Fields, out any) {
	m.t.Helper()
	if err := client.Ask(m.t.Context(), m.c, action, fields, out); err != nil {
		m.t.Error(err)
	}
}

func (m maker) rest(action, method, path string, fields client.Fields, out any) {
	m.t.Helper()
	if err := client.AskREST(m.t.Context(), m.c, action, method, path, fields, out); err != nil {
		m.t.Error(err)
	}
}

// id calls EC2 and gives the first value of an element.
func (m maker) id(action, element string, form client.Form) string {
	m.t.Helper()
	var out struct {
		Text string `xml:",innerxml"`
	}
	m.query(action, form, &out)
	_, after, found := strings.Cut(out.Text, "<"+element+">")
	if !found {
		m.t.Fatalf("%s gave no %s: %s", action, element, out.Text)
	}
	id, _, _ := strings.Cut(after, "<")
	return id
}

func (m maker) tag(deployment string, ids ...string) {
	m.t.Helper()
	for _, id := range ids {
		m.query("ec2:CreateTags", client.Form{"ResourceId.1": id, "Tag.1.Key": "rocca:deployment", "Tag.1.Value": deployment, "Tag.2.Key": "rocca:role", "Tag.2.Value": "app"}, nil)
	}
}

// form puts a deployment's tags, as Query services number them, into a form.
func form(f client.Form, name, deployment string) client.Form {
	f[name+".1.Key"], f[name+".1.Value"] = "rocca:deployment", deployment
	return f
}

func listOf(deployment, role string) []client.Fields {
	return []client.Fields{{"Key": "rocca:deployment", "Value": deployment}, {"Key": "rocca:role", "Value": role}}
}

func b64(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

// made are the ids that tests ask about.
type made struct {
	vpc, subnet, subnet2, group, instance, template, volume, snapshot, balancer, key, bucket string
}

// world makes a deployment of that name in which there is one of everything
// that moto has.
func world(t testing.TB, c client.Config, name string) made {
	m := maker{t, c}
	var w made
	w.vpc = m.id("ec2:CreateVpc", "vpcId", client.Form{"CidrBlock": "10.0.0.0/16", "AmazonProvidedIpv6CidrBlock": "true"})
	w.subnet = m.id("ec2:CreateSubnet", "subnetId", client.Form{"VpcId": w.vpc, "CidrBlock": "10.0.1.0/24", "AvailabilityZone": "eu-central-1a"})
	w.subnet2 = m.id("ec2:CreateSubnet", "subnetId", client.Form{"VpcId": w.vpc, "CidrBlock": "10.0.2.0/24", "AvailabilityZone": "eu-central-1b"})
	m.query("ec2:ModifySubnetAttribute", client.Form{"SubnetId": w.subnet, "MapPublicIpOnLaunch.Value": "true"}, nil)
	m.tag(name, w.vpc, w.subnet, w.subnet2)
	gateway := m.id("ec2:CreateInternetGateway", "internetGatewayId", nil)
	m.query("ec2:AttachInternetGateway", client.Form{"VpcId": w.vpc, "InternetGatewayId": gateway}, nil)
	table := m.id("ec2:CreateRouteTable", "routeTableId", client.Form{"VpcId": w.vpc})
	m.query("ec2:CreateRoute", client.Form{"RouteTableId": table, "DestinationCidrBlock": "0.0.0.0/0", "GatewayId": gateway}, nil)
	m.query("ec2:AssociateRouteTable", client.Form{"RouteTableId": table, "SubnetId": w.subnet}, nil)
	m.tag(name, table)
	filter := m.id("ec2:CreateNetworkAcl", "networkAclId", client.Form{"VpcId": w.vpc})
	m.query("ec2:CreateNetworkAclEntry", client.Form{"NetworkAclId": filter, "RuleNumber": "100", "Protocol": "6", "RuleAction": "allow", "Egress": "false", "CidrBlock": "0.0.0.0/0", "PortRange.From": "443", "PortRange.To": "443"}, nil)
	m.tag(name, filter)

	// Groups: ports, all, IPv6, a prefix list, another group.
	other := m.id("ec2:CreateSecurityGroup", "groupId", client.Form{"GroupName": "other", "GroupDescription": "other", "VpcId": w.vpc})
	w.group = m.id("ec2:CreateSecurityGroup", "groupId", client.Form{"GroupName": "web", "GroupDescription": "web", "VpcId": w.vpc})
	list := m.id("ec2:CreateManagedPrefixList", "prefixListId", client.Form{"PrefixListName": name + "-office", "MaxEntries": "5", "AddressFamily": "IPv4", "Entry.1.Cidr": "192.0.2.0/24"})
	for i, f := range []client.Form{
		{"IpPermissions.1.IpProtocol": "tcp", "IpPermissions.1.FromPort": "443", "IpPermissions.1.ToPort": "443", "IpPermissions.1.IpRanges.1.CidrIp": "0.0.0.0/0", "IpPermissions.1.IpRanges.1.Description": "everybody", "IpPermissions.1.Ipv6Ranges.1.CidrIpv6": "::/0"},
		{"IpPermissions.1.IpProtocol": "tcp", "IpPermissions.1.FromPort": "22", "IpPermissions.1.ToPort": "22", "IpPermissions.1.PrefixListIds.1.PrefixListId": list},
		{"IpPermissions.1.IpProtocol": "-1", "IpPermissions.1.Groups.1.GroupId": other},
	} {
		f["GroupId"] = w.group
		if i >= 0 {
			m.query("ec2:AuthorizeSecurityGroupIngress", f, nil)
		}
	}
	m.tag(name, w.group)

	// Ways to services.
	m.query("ec2:CreateVpcEndpoint", client.Form{"VpcId": w.vpc, "ServiceName": "com.amazonaws.eu-central-1.ssm", "VpcEndpointType": "Interface", "SubnetId.1": w.subnet, "SecurityGroupId.1": w.group, "PolicyDocument": `{"Statement":[]}`}, nil)
	address := m.id("ec2:AllocateAddress", "allocationId", client.Form{"Domain": "vpc"})
	m.tag(name, address)
	nat := m.id("ec2:CreateNatGateway", "natGatewayId", client.Form{"SubnetId": w.subnet, "AllocationId": address})
	m.tag(name, nat)

	// Machines.
	m.query("iam:CreateInstanceProfile", client.Form{"InstanceProfileName": name + "-host"}, nil)
	m.query("iam:CreateRole", client.Form{"RoleName": name + "-host", "AssumeRolePolicyDocument": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}`, "PermissionsBoundary": "arn:aws:iam::123456789012:policy/boundary", "Tags.member.1.Key": "rocca:deployment", "Tags.member.1.Value": name}, nil)
	m.query("iam:PutRolePolicy", client.Form{"RoleName": name + "-host", "PolicyName": "own", "PolicyDocument": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"logs:PutLogEvents","Resource":"*"}]}`}, nil)
	m.query("iam:CreatePolicy", client.Form{"PolicyName": name + "-attached", "PolicyDocument": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ssm:UpdateInstanceInformation","Resource":"*"}]}`}, nil)
	m.query("iam:AttachRolePolicy", client.Form{"RoleName": name + "-host", "PolicyArn": "arn:aws:iam::123456789012:policy/" + name + "-attached"}, nil)
	m.query("iam:AddRoleToInstanceProfile", client.Form{"RoleName": name + "-host", "InstanceProfileName": name + "-host"}, nil)
	m.query("iam:CreateUser", client.Form{"UserName": name + "-somebody"}, nil)
	m.query("iam:CreateLoginProfile", client.Form{"UserName": name + "-somebody", "Password": "not-a-Secret-1"}, nil)
	m.query("iam:CreateAccessKey", client.Form{"UserName": name + "-somebody"}, nil)
	m.query("ec2:CreateKeyPair", client.Form{"KeyName": name}, nil)
	script := "#!/bin/sh\nDB_PASSWORD=" + passwordInUserData + "\nchmod -R 777 /var/www\n"
	w.template = m.id("ec2:CreateLaunchTemplate", "launchTemplateId", client.Form{
		"LaunchTemplateName": name, "LaunchTemplateData.ImageId": "ami-12c6146b", "LaunchTemplateData.KeyName": name, "LaunchTemplateData.UserData": b64(script),
		"LaunchTemplateData.MetadataOptions.HttpTokens": "required", "LaunchTemplateData.MetadataOptions.HttpEndpoint": "enabled", "LaunchTemplateData.MetadataOptions.HttpPutResponseHopLimit": "1",
		"LaunchTemplateData.NetworkInterface.1.AssociatePublicIpAddress": "true", "LaunchTemplateData.NetworkInterface.1.DeviceIndex": "0",
		"LaunchTemplateData.BlockDeviceMapping.1.DeviceName": "/dev/xvda", "LaunchTemplateData.BlockDeviceMapping.1.Ebs.Encrypted": "true", "LaunchTemplateData.BlockDeviceMapping.1.Ebs.VolumeSize": "8",
	})
	m.tag(name, w.template)
	w.instance = m.id("ec2:RunInstances", "instanceId", client.Form{
		"ImageId": "ami-12c6146b", "MinCount": "1", "MaxCount": "1", "InstanceType": "t4g.small", "KeyName": name, "UserData": b64(script), "IamInstanceProfile.Name": name + "-host",
		"MetadataOptions.HttpTokens": "required", "MetadataOptions.HttpEndpoint": "enabled", "MetadataOptions.HttpPutResponseHopLimit": "2",
		"NetworkInterface.1.DeviceIndex": "0", "NetworkInterface.1.SubnetId": w.subnet, "NetworkInterface.1.SecurityGroupId.1": w.group, "NetworkInterface.1.AssociatePublicIpAddress": "true",
	})
	m.tag(name, w.instance)
	w.volume = m.id("ec2:CreateVolume", "volumeId", client.Form{"AvailabilityZone": "eu-central-1a", "Size": "8", "VolumeType": "gp3", "Encrypted": "true"})
	m.query("ec2:AttachVolume", client.Form{"VolumeId": w.volume, "InstanceId": w.instance, "Device": "/dev/sdf"}, nil)
	w.snapshot = m.id("ec2:CreateSnapshot", "snapshotId", client.Form{"VolumeId": w.volume})
	m.query("ec2:ModifySnapshotAttribute", client.Form{"SnapshotId": w.snapshot, "Attribute": "createVolumePermission", "OperationType": "add", "UserId.1": "210987654321"}, nil)
	m.query("ec2:EnableEbsEncryptionByDefault", client.Form{}, nil)

	// The way in.
	var target struct {
		ARN string `xml:"TargetGroups>member>TargetGroupArn"`
	}
	m.query("elasticloadbalancing:CreateTargetGroup", client.Form{"Name": name, "Protocol": "HTTPS", "Port": "443", "VpcId": w.vpc, "HealthCheckPath": "/health", "HealthCheckProtocol": "HTTPS", "TargetType": "instance"}, &target)
	m.query("elasticloadbalancing:AddTags", form(client.Form{"ResourceArns.member.1": target.ARN}, "Tags.member", name), nil)
	m.query("autoscaling:CreateAutoScalingGroup", client.Form{
		"AutoScalingGroupName": name, "LaunchTemplate.LaunchTemplateId": w.template, "LaunchTemplate.Version": "$Latest", "MinSize": "1", "MaxSize": "2", "DesiredCapacity": "1",
		"VPCZoneIdentifier": w.subnet + "," + w.subnet2, "HealthCheckType": "ELB", "TargetGroupARNs.member.1": target.ARN,
		"Tags.member.1.Key": "rocca:deployment", "Tags.member.1.Value": name, "Tags.member.1.PropagateAtLaunch": "true",
	}, nil)
	m.query("autoscaling:SuspendProcesses", client.Form{"AutoScalingGroupName": name, "ScalingProcesses.member.1": "AZRebalance"}, nil)
	var load struct {
		ARN string `xml:"LoadBalancers>member>LoadBalancerArn"`
		DNS string `xml:"LoadBalancers>member>DNSName"`
	}
	m.query("elasticloadbalancing:CreateLoadBalancer", form(client.Form{"Name": name, "Subnets.member.1": w.subnet, "Subnets.member.2": w.subnet2, "SecurityGroups.member.1": w.group, "Scheme": "internet-facing", "Type": "application"}, "Tags.member", name), &load)
	w.balancer = load.ARN
	m.query("elasticloadbalancing:ModifyLoadBalancerAttributes", client.Form{"LoadBalancerArn": load.ARN, "Attributes.member.1.Key": "deletion_protection.enabled", "Attributes.member.1.Value": "true"}, nil)
	var certificate struct{ CertificateARN string }
	m.ask("acm:RequestCertificate", client.Fields{"DomainName": "matomo.example.org", "SubjectAlternativeNames": []string{"matomo.example.org", "www.example.org"}, "ValidationMethod": "DNS", "Tags": listOf(name, "edge")}, &certificate)
	m.query("elasticloadbalancing:CreateListener", client.Form{"LoadBalancerArn": load.ARN, "Port": "80", "Protocol": "HTTP", "DefaultActions.member.1.Type": "redirect", "DefaultActions.member.1.RedirectConfig.Protocol": "HTTPS", "DefaultActions.member.1.RedirectConfig.Port": "443", "DefaultActions.member.1.RedirectConfig.StatusCode": "HTTP_301"}, nil)
	var listener struct {
		ARN string `xml:"Listeners>member>ListenerArn"`
	}
	m.query("elasticloadbalancing:CreateListener", client.Form{"LoadBalancerArn": load.ARN, "Port": "443", "Protocol": "HTTPS", "SslPolicy": "ELBSecurityPolicy-TLS13-1-2-2021-06", "Certificates.member.1.CertificateArn": certificate.CertificateARN,
		"DefaultActions.member.1.Type": "fixed-response", "DefaultActions.member.1.FixedResponseConfig.StatusCode": "421", "DefaultActions.member.1.FixedResponseConfig.ContentType": "text/plain"}, &listener)
	m.query("elasticloadbalancing:CreateRule", client.Form{"ListenerArn": listener.ARN, "Priority": "10", "Conditions.member.1.Field": "host-header", "Conditions.member.1.HostHeaderConfig.Values.member.1": "matomo.example.org",
		"Conditions.member.2.Field": "path-pattern", "Conditions.member.2.PathPatternConfig.Values.member.1": "/matomo.php", "Actions.member.1.Type": "forward", "Actions.member.1.TargetGroupArn": target.ARN}, nil)

	var acl struct{ Summary struct{ ARN string } }
	seen := client.Fields{"SampledRequestsEnabled": false, "CloudWatchMetricsEnabled": true, "MetricName": "x"}
	m.ask("wafv2:CreateWebACL", client.Fields{"Name": name, "Scope": "REGIONAL", "DefaultAction": client.Fields{"Allow": client.Fields{}}, "VisibilityConfig": seen, "Tags": listOf(name, "firewall"), "Rules": []client.Fields{
		{"Name": "Common", "Priority": 1, "OverrideAction": client.Fields{"None": client.Fields{}}, "VisibilityConfig": seen, "Statement": client.Fields{"ManagedRuleGroupStatement": client.Fields{
			"VendorName": "AWS", "Name": "AWSManagedRulesCommonRuleSet", "RuleActionOverrides": []client.Fields{{"Name": "SizeRestrictions_BODY", "ActionToUse": client.Fields{"Count": client.Fields{}}}},
			"ScopeDownStatement": client.Fields{"NotStatement": client.Fields{"Statement": client.Fields{"RegexMatchStatement": client.Fields{"FieldToMatch": client.Fields{"UriPath": client.Fields{}}, "RegexString": `^/(matomo|piwik)\.(php|js)$`, "TextTransformations": []client.Fields{{"Priority": 0, "Type": "NONE"}}}}}}}}},
		{"Name": "Rate", "Priority": 2, "Action": client.Fields{"Block": client.Fields{}}, "VisibilityConfig": seen, "Statement": client.Fields{"RateBasedStatement": client.Fields{"Limit": 2000, "AggregateKeyType": "IP"}}},
	}}, &acl)
	m.ask("wafv2:AssociateWebACL", client.Fields{"WebACLArn": acl.Summary.ARN, "ResourceArn": load.ARN}, nil)
	m.ask("wafv2:PutLoggingConfiguration", client.Fields{"LoggingConfiguration": client.Fields{"ResourceArn": acl.Summary.ARN, "LogDestinationConfigs": []string{"arn:aws:logs:eu-central-1:123456789012:log-group:aws-waf-logs-" + name}, "RedactedFields": []client.Fields{{"SingleHeader": client.Fields{"Name": "cookie"}}, {"QueryString": client.Fields{}}}}}, nil)

	// Data.
	m.query("rds:CreateDBSubnetGroup", client.Form{"DBSubnetGroupName": name, "DBSubnetGroupDescription": "x", "SubnetIds.SubnetIdentifier.1": w.subnet, "SubnetIds.SubnetIdentifier.2": w.subnet2}, nil)
	m.query("rds:CreateDBParameterGroup", client.Form{"DBParameterGroupName": name, "DBParameterGroupFamily": "mysql8.4", "Description": "x"}, nil)
	m.query("rds:ModifyDBParameterGroup", client.Form{"DBParameterGroupName": name, "Parameters.Parameter.1.ParameterName": "require_secure_transport", "Parameters.Parameter.1.ParameterValue": "1", "Parameters.Parameter.1.ApplyMethod": "immediate"}, nil)
	m.query("rds:CreateDBInstance", form(client.Form{
		"DBInstanceIdentifier": name + "-matomo", "Engine": "mysql", "EngineVersion": "8.4.6", "DBInstanceClass": "db.t4g.medium", "AllocatedStorage": "20", "StorageType": "gp3", "MasterUsername": "matomo_master",
		"ManageMasterUserPassword": "true", "MultiAZ": "true", "StorageEncrypted": "true", "BackupRetentionPeriod": "14", "DeletionProtection": "true", "CopyTagsToSnapshot": "true", "AutoMinorVersionUpgrade": "true",
		"EnableCloudwatchLogsExports.member.1": "error", "MonitoringInterval": "60", "MonitoringRoleArn": "arn:aws:iam::123456789012:role/monitor", "PubliclyAccessible": "false", "EnableIAMDatabaseAuthentication": "true",
		"DBSubnetGroupName": name, "DBParameterGroupName": name, "VpcSecurityGroupIds.VpcSecurityGroupId.1": w.group, "CACertificateIdentifier": "rds-ca-rsa2048-g1",
	}, "Tags.Tag", name), nil)
	m.query("rds:CreateDBSnapshot", client.Form{"DBSnapshotIdentifier": name + "-before", "DBInstanceIdentifier": name + "-matomo"}, nil)
	m.query("rds:ModifyDBSnapshotAttribute", client.Form{"DBSnapshotIdentifier": name + "-before", "AttributeName": "restore", "ValuesToAdd.AttributeValue.1": "210987654321"}, nil)
	m.query("elasticache:CreateReplicationGroup", form(client.Form{"ReplicationGroupId": name, "ReplicationGroupDescription": "x", "Engine": "valkey", "TransitEncryptionEnabled": "true", "AtRestEncryptionEnabled": "true", "AutomaticFailoverEnabled": "true", "NumCacheClusters": "2", "SnapshotRetentionLimit": "7", "CacheNodeType": "cache.t4g.small"}, "Tags.Tag", name), nil)
	var key struct{ KeyMetadata struct{ KeyID, ARN string } }
	m.ask("kms:CreateKey", client.Fields{"Tags": []client.Fields{{"TagKey": "rocca:deployment", "TagValue": name}}}, &key)
	w.key = key.KeyMetadata.ARN
	m.ask("kms:CreateAlias", client.Fields{"AliasName": "alias/" + name, "TargetKeyId": key.KeyMetadata.KeyID}, nil)
	m.ask("kms:EnableKeyRotation", client.Fields{"KeyId": key.KeyMetadata.KeyID}, nil)
	var app struct{ ARN string }
	m.ask("secretsmanager:CreateSecret", client.Fields{"Name": name + "-app", "SecretString": `{"database":"` + passwordInSecret + `"}`, "KmsKeyId": w.key, "Tags": listOf(name, "app"), "ClientRequestToken": "00000000-0000-0000-0000-00000000000" + name[:1]}, &app)
	m.ask("secretsmanager:PutResourcePolicy", client.Fields{"SecretId": app.ARN, "ResourcePolicy": `{"Version":"2012-10-17","Statement":[]}`}, nil)
	m.ask("ssm:PutParameter", client.Fields{"Name": "/rocca/" + name + "/base/Note", "Value": passwordInParameter, "Type": "String"}, nil)
	m.ask("ssm:CreateDocument", client.Fields{"Name": name + "-session", "DocumentType": "Command", "DocumentFormat": "JSON", "Content": `{"schemaVersion":"2.2","description":"x","parameters":{},"mainSteps":[]}`, "Tags": listOf(name, "operation")}, nil)
	m.ask("ssm:ModifyDocumentPermission", client.Fields{"Name": name + "-session", "PermissionType": "Share", "AccountIdsToAdd": []string{"all"}}, nil)

	// Buckets, in one of which somebody has practised.
	w.bucket = name + "-evidence"
	store := s3.NewFromConfig(c, func(o *s3.Options) { o.UsePathStyle = true })
	for _, bucket := range []string{w.bucket, name + "-logs"} {
		lock := bucket == w.bucket
		_, err := store.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &bucket, ObjectLockEnabledForBucket: &lock, CreateBucketConfiguration: &s3types.CreateBucketConfiguration{LocationConstraint: awstest.Region}})
		check(t, err)
		_, err = store.PutBucketTagging(t.Context(), &s3.PutBucketTaggingInput{Bucket: &bucket, Tagging: &s3types.Tagging{TagSet: []s3types.Tag{{Key: new("rocca:deployment"), Value: &name}, {Key: new("rocca:role"), Value: new(map[bool]string{true: "incident", false: "logs"}[lock])}}}})
		check(t, err)
	}
	_, err := store.PutObjectLockConfiguration(t.Context(), &s3.PutObjectLockConfigurationInput{Bucket: &w.bucket, ObjectLockConfiguration: &s3types.ObjectLockConfiguration{ObjectLockEnabled: "Enabled", Rule: &s3types.ObjectLockRule{DefaultRetention: &s3types.DefaultRetention{Mode: "GOVERNANCE", Days: new(int32(30))}}}})
	check(t, err)
	_, err = store.PutPublicAccessBlock(t.Context(), &s3.PutPublicAccessBlockInput{Bucket: &w.bucket, PublicAccessBlockConfiguration: &s3types.PublicAccessBlockConfiguration{BlockPublicAcls: new(true), BlockPublicPolicy: new(true), IgnorePublicAcls: new(true), RestrictPublicBuckets: new(true)}})
	check(t, err)
	_, err = store.PutBucketPolicy(t.Context(), &s3.PutBucketPolicyInput{Bucket: &w.bucket, Policy: new(`{"Version":"2012-10-17","Statement":[]}`)})
	check(t, err)
	_, err = store.PutBucketEncryption(t.Context(), &s3.PutBucketEncryptionInput{Bucket: &w.bucket, ServerSideEncryptionConfiguration: &s3types.ServerSideEncryptionConfiguration{Rules: []s3types.ServerSideEncryptionRule{{ApplyServerSideEncryptionByDefault: &s3types.ServerSideEncryptionByDefault{SSEAlgorithm: "aws:kms", KMSMasterKeyID: &w.key}}}}})
	check(t, err)
	_, err = store.PutBucketOwnershipControls(t.Context(), &s3.PutBucketOwnershipControlsInput{Bucket: &w.bucket, OwnershipControls: &s3types.OwnershipControls{Rules: []s3types.OwnershipControlsRule{{ObjectOwnership: "BucketOwnerEnforced"}}}})
	check(t, err)
	_, err = store.PutBucketLifecycleConfiguration(t.Context(), &s3.PutBucketLifecycleConfigurationInput{Bucket: &w.bucket, LifecycleConfiguration: &s3types.BucketLifecycleConfiguration{Rules: []s3types.LifecycleRule{{ID: new("old"), Status: "Enabled", Filter: &s3types.LifecycleRuleFilter{Prefix: new("")}, Expiration: &s3types.LifecycleExpiration{Days: new(int32(400))}}}}})
	check(t, err)
	for at, well := range map[string]bool{"2026-03-01T10-00-00Z": false, "2026-06-01T10-00-00Z": true} {
		body := fmt.Sprintf(`{"at":%q,"case":"stolen-role","well":%v}`, strings.Replace(at, "-00-00Z", ":00:00Z", 1), well)
		_, err = store.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &w.bucket, Key: new("rehearsals/" + at + "-stolen-role.json"), ChecksumAlgorithm: "SHA256", Body: strings.NewReader(body)})
		check(t, err)
	}

	// Who watches.
	m.ask("logs:CreateLogGroup", client.Fields{"logGroupName": "/rocca/" + name + "/flow", "kmsKeyId": w.key, "tags": map[string]string{"rocca:deployment": name, "rocca:role": "logs"}}, nil)
	m.ask("logs:PutRetentionPolicy", client.Fields{"logGroupName": "/rocca/" + name + "/flow", "retentionInDays": 90}, nil)
	m.ask("logs:PutMetricFilter", client.Fields{"logGroupName": "/rocca/" + name + "/flow", "filterName": "root", "filterPattern": `{ $.userIdentity.type = "Root" }`, "metricTransformations": []client.Fields{{"metricName": "Root", "metricNamespace": "rocca/" + name, "metricValue": "1"}}}, nil)
	m.query("ec2:CreateFlowLogs", client.Form{"ResourceId.1": w.vpc, "ResourceType": "VPC", "TrafficType": "ALL", "LogDestinationType": "cloud-watch-logs", "LogGroupName": "/rocca/" + name + "/flow", "DeliverLogsPermissionArn": "arn:aws:iam::123456789012:role/" + name + "-host", "MaxAggregationInterval": "60"}, nil)
	var topic struct {
		ARN string `xml:"TopicArn"`
	}
	m.query("sns:CreateTopic", form(client.Form{"Name": name, "Attributes.entry.1.key": "KmsMasterKeyId", "Attributes.entry.1.value": w.key}, "Tags.member", name), &topic)
	m.query("sns:Subscribe", client.Form{"TopicArn": topic.ARN, "Protocol": "email", "Endpoint": addressOfBudget}, nil)
	m.ask("cloudwatch:PutMetricAlarm", client.Fields{"AlarmName": name + "-app-Busy", "MetricName": "CPUUtilization", "Namespace": "AWS/EC2", "Statistic": "Average", "Period": 60, "EvaluationPeriods": 1, "Threshold": 80, "ComparisonOperator": "GreaterThanThreshold", "ActionsEnabled": true, "AlarmActions": []string{topic.ARN}, "OKActions": []string{topic.ARN}, "Tags": listOf(name, "app")}, nil)
	m.ask("cloudtrail:CreateTrail", client.Fields{"Name": name, "S3BucketName": name + "-logs", "IsMultiRegionTrail": true, "IncludeGlobalServiceEvents": true, "EnableLogFileValidation": true, "KmsKeyId": w.key, "CloudWatchLogsLogGroupArn": "arn:aws:logs:eu-central-1:123456789012:log-group:/rocca/" + name + "/flow:*", "CloudWatchLogsRoleArn": "arn:aws:iam::123456789012:role/" + name + "-host"}, nil)
	m.ask("cloudtrail:PutEventSelectors", client.Fields{"TrailName": name, "EventSelectors": []client.Fields{{"ReadWriteType": "All", "IncludeManagementEvents": true, "DataResources": []client.Fields{{"Type": "AWS::S3::Object", "Values": []string{"arn:aws:s3"}}}}}}, nil)
	m.ask("cloudtrail:StartLogging", client.Fields{"Name": name}, nil)

	// Stacks.
	m.query("cloudformation:CreateStack", form(client.Form{"StackName": name + "-base", "EnableTerminationProtection": "true", "TemplateBody": `{"Resources":{"Topic":{"Type":"AWS::SNS::Topic"}},"Outputs":{"DatabasePassword":{"Value":"` + passwordInOutput + `"},"SecretArn":{"Value":"arn:aws:x"}}}`}, "Tags.member", name), nil)
	m.query("cloudformation:SetStackPolicy", client.Form{"StackName": name + "-base", "StackPolicyBody": `{"Statement":[{"Effect":"Deny","Action":"Update:Replace","Principal":"*","Resource":"*"}]}`}, nil)
	m.rest("backup:CreateBackupVault", "PUT", "/backup-vaults/"+name, client.Fields{"EncryptionKeyArn": w.key, "BackupVaultTags": map[string]string{"rocca:deployment": name}}, nil)
	m.rest("backup:PutBackupVaultLockConfiguration", "PUT", "/backup-vaults/"+name+"/vault-lock", client.Fields{"MinRetentionDays": 35}, nil)
	m.rest("backup:CreateBackupPlan", "PUT", "/backup/plans/", client.Fields{"BackupPlanTags": map[string]string{"rocca:deployment": name}, "BackupPlan": client.Fields{"BackupPlanName": name, "Rules": []client.Fields{{"RuleName": "daily", "TargetBackupVaultName": name, "ScheduleExpression": "cron(0 3 * * ? *)", "Lifecycle": client.Fields{"DeleteAfterDays": 35}, "CopyActions": []client.Fields{{"DestinationBackupVaultArn": "arn:aws:backup:eu-west-1:123456789012:backup-vault:copy"}}}}}}, nil)
	return w
}

// accountWide makes what there is once in an account.
func accountWide(t testing.TB, c client.Config) {
	m := maker{t, c}
	m.rest("guardduty:CreateDetector", "POST", "/detector", client.Fields{"enable": true}, nil)
	m.ask("config:PutConfigurationRecorder", client.Fields{"ConfigurationRecorder": client.Fields{"name": "default", "roleARN": "arn:aws:iam::123456789012:role/config", "recordingGroup": client.Fields{"allSupported": true, "includeGlobalResourceTypes": true}}}, nil)
	m.ask("config:PutDeliveryChannel", client.Fields{"DeliveryChannel": client.Fields{"name": "default", "s3BucketName": "shop-logs"}}, nil)
	m.ask("config:StartConfigurationRecorder", client.Fields{"ConfigurationRecorderName": "default"}, nil)
	m.rest("securityhub:EnableSecurityHub", "POST", "/accounts", client.Fields{}, nil)
	m.rest("account:PutAlternateContact", "POST", "/putAlternateContact", client.Fields{"AlternateContactType": "SECURITY", "EmailAddress": addressOfBudget, "Name": "x", "PhoneNumber": "+10000000", "Title": "x"}, nil)
	m.ask("budgets:CreateBudget", client.Fields{"AccountId": awstest.Account, "Budget": client.Fields{"BudgetName": "shop", "BudgetType": "COST", "TimeUnit": "MONTHLY", "BudgetLimit": client.Fields{"Amount": "100", "Unit": "USD"}}, "NotificationsWithSubscribers": []client.Fields{{"Notification": client.Fields{"NotificationType": "FORECASTED", "ComparisonOperator": "GREATER_THAN", "Threshold": 100}, "Subscribers": []client.Fields{{"SubscriptionType": "EMAIL", "Address": addressOfBudget}}}}}, nil)
}

// fixtures answer what moto lacks.
func fixtures(t testing.TB, cloud *awstest.Cloud, w made) {
	var list struct{ DetectorIDs []string }
	maker{t, cloud.Config(t)}.rest("guardduty:ListDetectors", "GET", "/detector", nil, &list)
	detector := "/detector/" + list.DetectorIDs[0]
	say := func(service, operation, body string) {
		cloud.Answer(service, operation, awstest.Say(http.StatusOK, body))
	}
	say("ec2", "GetSnapshotBlockPublicAccessState", `<R><state>block-all-sharing</state></R>`)
	say("ec2", "GetConsoleOutput", `<R><instanceId>i</instanceId><output>`+b64("[  1.0] booting\n[  2.0] mysql -u root -p"+passwordInConsole+" matomo\n")+`</output></R>`)
	say("ssm", "DescribeInstanceInformation", `{"InstanceInformationList":[{"InstanceId":"`+w.instance+`","PingStatus":"Online","AgentVersion":"3.3.1","IsLatestVersion":true,"LastPingDateTime":1.7e9},{"InstanceId":"i-foreign","PingStatus":"Online"}]}`)
	say("monitoring", "GetMetricStatistics", `{"Datapoints":[{"Timestamp":1.7e9,"Maximum":2},{"Timestamp":1.6e9,"Maximum":5}]}`)
	say("ssm", "DescribeInstancePatchStates", `{"InstancePatchStates":[{"InstanceId":"`+w.instance+`","OperationEndTime":1.7e9,"MissingCount":4,"SecurityNonCompliantCount":3,"FailedCount":1}]}`)
	say("inspector2", "POST /status/batch/get", `{"accounts":[{"accountId":"123456789012","resourceState":{"ec2":{"status":"ENABLED"}}}]}`)
	say("inspector2", "POST /findings/list", `{"findings":[{"packageVulnerabilityDetails":{"vulnerabilityId":"CVE-2026-1"},"resources":[{"id":"`+w.instance+`"}]},{"title":"foreign","resources":[{"id":"i-foreign"}]}]}`)
	say("rds", "DescribeCertificates", `<R><DescribeCertificatesResult><Certificates><Certificate><CertificateIdentifier>rds-ca-rsa2048-g1</CertificateIdentifier><ValidTill>2061-05-25T00:00:00Z</ValidTill></Certificate></Certificates></DescribeCertificatesResult></R>`)
	say("rds", "DescribeDBMajorEngineVersions", `<R><DescribeDBMajorEngineVersionsResult><DBMajorEngineVersions><DBMajorEngineVersion><Engine>mysql</Engine><MajorEngineVersion>8.4</MajorEngineVersion><SupportedEngineLifecycles><SupportedEngineLifecycle><LifecycleSupportName>open-source-rds-standard-support</LifecycleSupportName><LifecycleSupportStartDate>2024-11-21T00:00:00Z</LifecycleSupportStartDate><LifecycleSupportEndDate>2029-07-31T23:59:59.999Z</LifecycleSupportEndDate></SupportedEngineLifecycle></SupportedEngineLifecycles></DBMajorEngineVersion></DBMajorEngineVersions></DescribeDBMajorEngineVersionsResult></R>`)
	say("access-analyzer", "GET /analyzer", `{"analyzers":[{"arn":"arn:aws:access-analyzer:eu-central-1:123456789012:analyzer/a","name":"a","status":"ACTIVE","type":"ACCOUNT"},{"arn":"arn:unused","name":"unused","status":"ACTIVE","type":"ACCOUNT_UNUSED_ACCESS"}]}`)
	say("access-analyzer", "POST /finding", `{"findings":[{"resource":"arn:aws:s3:::`+w.bucket+`","status":"ACTIVE"},{"resource":"arn:aws:s3:::foreign","status":"ACTIVE"}]}`)
	say("guardduty", "POST "+detector+"/findings", `{"findingIds":["f1","f2"]}`)
	say("guardduty", "POST "+detector+"/findings/get", `{"findings":[{"id":"f1","type":"UnauthorizedAccess:EC2/SSHBruteForce","severity":5,"service":{"eventLastSeen":"2026-11-01T00:00:00.000Z"},"resource":{"resourceType":"Instance","instanceDetails":{"instanceId":"`+w.instance+`"}}},{"id":"f2","type":"x","severity":8,"resource":{"instanceDetails":{"instanceId":"i-foreign"}}}]}`)
	say("budgets", "DescribeSubscribersForNotification", `{"Subscribers":[{"SubscriptionType":"EMAIL","Address":"`+addressOfBudget+`"}]}`)
	say("securityhub", "POST /standards/get", `{"StandardsSubscriptions":[{"StandardsArn":"arn:aws:securityhub:eu-central-1::standards/aws-foundational-security-best-practices/v/1.0.0"}]}`)
	var plans struct {
		BackupPlansList []struct{ BackupPlanID string }
	}
	maker{t, cloud.Config(t)}.rest("backup:ListBackupPlans", "GET", "/backup/plans/", nil, &plans)
	say("backup", "GET /backup/plans/"+plans.BackupPlansList[0].BackupPlanID+"/selections/", `{}`)
	say("backup", "GET /resources/", `{"Results":[{"ResourceArn":"arn:aws:rds:eu-central-1:123456789012:db:shop-matomo","ResourceType":"RDS","LastBackupTime":1.7e9}]}`)
	say("backup", "GET /restore-jobs/", `{"RestoreJobs":[{"ResourceType":"RDS","Status":"COMPLETED","CompletionDate":1.7e9,"SourceResourceArn":"arn:aws:rds:eu-central-1:123456789012:db:shop-matomo"},{"ResourceType":"EBS","Status":"FOREIGN","SourceResourceArn":"arn:aws:ec2:eu-central-1:123456789012:volume/vol-foreign"}]}`)
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// says is an answer by what was asked.
func says(by func(form string) string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		_, _ = io.WriteString(w, by(string(text)))
	}
}

// rest answers what moto has, but where it leaves out what AWS tells.
func rest(cloud *awstest.Cloud, w made) {
	say := func(service, operation, body string) {
		cloud.Answer(service, operation, awstest.Say(http.StatusOK, body))
	}
	own := `<tagSet><item><key>rocca:deployment</key><value>shop</value></item></tagSet>`
	say("ec2", "DescribeNetworkInterfaces", `<R><networkInterfaceSet><item><networkInterfaceId>eni-1</networkInterfaceId><vpcId>`+w.vpc+`</vpcId><ipv6AddressesSet><item><ipv6Address>2001:db8::1</ipv6Address></item></ipv6AddressesSet><description>ELB app/shop</description></item></networkInterfaceSet></R>`)
	say("ec2", "DescribeVpcs", `<R><vpcSet><item><vpcId>`+w.vpc+`</vpcId><cidrBlock>10.0.0.0/16</cidrBlock><isDefault>true</isDefault>`+own+`</item></vpcSet></R>`)
	say("ec2", "DescribeSecurityGroups", `<R><securityGroupInfo><item><groupId>sg-1</groupId><vpcId>`+w.vpc+`</vpcId><ipPermissions><item><ipProtocol>tcp</ipProtocol><fromPort>1</fromPort><toPort>2</toPort><groups><item><groupId>sg-2</groupId><userId>123456789012</userId></item></groups></item></ipPermissions>
<ipPermissionsEgress><item><ipProtocol>tcp</ipProtocol><fromPort>443</fromPort><toPort>443</toPort><groups><item><groupId>sg-2</groupId><peeringStatus>deleted</peeringStatus><description>out</description></item></groups><prefixListIds><item><prefixListId>pl-1</prefixListId></item></prefixListIds></item></ipPermissionsEgress></item></securityGroupInfo></R>`)
	say("ec2", "DescribeManagedPrefixLists", `<R><prefixListSet><item><prefixListName>com.amazonaws.eu-central-1.s3</prefixListName></item></prefixListSet></R>`)
	say("ec2", "GetManagedPrefixListEntries", `<R><entrySet><item><cidr>192.0.2.0/24</cidr></item></entrySet></R>`)
	say("ec2", "DescribeAddresses", `<R><addressesSet><item><allocationId>eipalloc-1</allocationId><publicIp>192.0.2.9</publicIp><instanceId>`+w.instance+`</instanceId></item></addressesSet></R>`)
	say("ec2", "DescribeLaunchTemplates", `<R><launchTemplates><item><launchTemplateId>`+w.template+`</launchTemplateId><defaultVersionNumber>1</defaultVersionNumber><latestVersionNumber>1</latestVersionNumber>`+own+`</item></launchTemplates></R>`)
	say("ec2", "DescribeLaunchTemplateVersions", `<R><launchTemplateVersionSet><item><launchTemplateName>shop</launchTemplateName><versionNumber>1</versionNumber><launchTemplateData><securityGroupIdSet><item>sg-1</item></securityGroupIdSet><networkInterfaceSet><item><groupSet><groupId>sg-2</groupId></groupSet></item></networkInterfaceSet></launchTemplateData></item></launchTemplateVersionSet></R>`)
	say("ec2", "DescribeVolumes", `<R><volumeSet><item><volumeId>`+w.volume+`</volumeId><createTime>2026-01-01T00:00:00.000Z</createTime>`+own+`</item></volumeSet></R>`)
	say("ec2", "DescribeSnapshots", `<R><snapshotSet><item><snapshotId>snap-1</snapshotId><ownerId>123456789012</ownerId>`+own+`</item></snapshotSet></R>`)
	say("ec2", "DescribeSnapshotAttribute", `<R><createVolumePermission><item><group>all</group></item></createVolumePermission></R>`)
	say("ec2", "DescribeImages", `<R><imagesSet><item><deprecationTime>2026-01-01T00:00:00.000Z</deprecationTime></item></imagesSet></R>`)
	say("elasticloadbalancing", "DescribeTargetHealth", `<R><DescribeTargetHealthResult><TargetHealthDescriptions><member><Target><Id>i-1</Id></Target><TargetHealth><State>draining</State></TargetHealth></member></TargetHealthDescriptions></DescribeTargetHealthResult></R>`)
	say("elasticloadbalancing", "DescribeListeners", `<R><DescribeListenersResult><Listeners><member><ListenerArn>l</ListenerArn><Port>80</Port><DefaultActions><member><Type>forward</Type><ForwardConfig><TargetGroups><member><TargetGroupArn>t</TargetGroupArn></member></TargetGroups></ForwardConfig></member></DefaultActions></member></Listeners></DescribeListenersResult></R>`)
	say("elasticloadbalancing", "DescribeRules", `<R><DescribeRulesResult><Rules><member><RuleArn>r</RuleArn><Priority>5</Priority><Actions><member><Type>authenticate-oidc</Type><Order>1</Order></member><member><Type>redirect</Type><Order>2</Order><RedirectConfig><Protocol>HTTPS</Protocol><Port>443</Port><StatusCode>HTTP_301</StatusCode></RedirectConfig></member></Actions></member></Rules></DescribeRulesResult></R>`)
	say("rds", "DescribeDBInstances", `<R><DescribeDBInstancesResult><DBInstances><DBInstance><DBInstanceIdentifier>shop-matomo</DBInstanceIdentifier><MonitoringInterval>60</MonitoringInterval><EngineLifecycleSupport>open-source-rds-extended-support</EngineLifecycleSupport><PubliclyAccessible>true</PubliclyAccessible><TagList><Tag><Key>rocca:deployment</Key><Value>shop</Value></Tag></TagList></DBInstance></DBInstances></DescribeDBInstancesResult></R>`)
	say("elasticache", "DescribeReplicationGroups", `<R><DescribeReplicationGroupsResult><ReplicationGroups><ReplicationGroup><ReplicationGroupId>shop</ReplicationGroupId><ARN>a</ARN><TransitEncryptionMode>required</TransitEncryptionMode><KmsKeyId>k</KmsKeyId><UserGroupIds><member>u</member></UserGroupIds><AuthTokenEnabled>true</AuthTokenEnabled><AutoMinorVersionUpgrade>true</AutoMinorVersionUpgrade></ReplicationGroup></ReplicationGroups></DescribeReplicationGroupsResult></R>`)
	say("elasticache", "ListTagsForResource", `<R><ListTagsForResourceResult><TagList><Tag><Key>rocca:deployment</Key><Value>shop</Value></Tag></TagList></ListTagsForResourceResult></R>`)
	say("secretsmanager", "ListSecrets", `{"SecretList":[{"ARN":"s","Name":"s","RotationEnabled":true,"RotationRules":{"AutomaticallyAfterDays":30},"LastRotatedDate":1.7e9,"LastAccessedDate":1.7e9,"DeletedDate":1.7e9,"Tags":[{"Key":"rocca:deployment","Value":"shop"}]}]}`)
	say("iam", "GetAccountSummary", `<R><GetAccountSummaryResult><SummaryMap><entry><key>AccountMFAEnabled</key><value>1</value></entry><entry><key>AccountAccessKeysPresent</key><value>1</value></entry></SummaryMap></GetAccountSummaryResult></R>`)
	say("iam", "GetAccountAuthorizationDetails", `<R><GetAccountAuthorizationDetailsResult><RoleDetailList><member><RoleName>r</RoleName><RoleLastUsed><LastUsedDate>2026-01-01T00:00:00Z</LastUsedDate></RoleLastUsed><Tags><member><Key>rocca:deployment</Key><Value>shop</Value></member></Tags></member></RoleDetailList></GetAccountAuthorizationDetailsResult></R>`)
	say("iam", "GetCredentialReport", `<R><GetCredentialReportResult><Content>`+b64(report)+`</Content></GetCredentialReportResult></R>`)
	say("cloudtrail", "DescribeTrails", `{"trailList":[{"Name":"t","TrailARN":"t","IsOrganizationTrail":true,"S3BucketName":"shop-logs"}]}`)
	say("cloudtrail", "GetTrailStatus", `{"IsLogging":false,"LatestDeliveryError":"AccessDenied"}`)
	say("cloudtrail", "GetEventSelectors", `{}`)
	say("cloudformation", "DescribeStacks", `<R><DescribeStacksResult><Stacks><member><StackName>shop-base</StackName><StackStatus>UPDATE_COMPLETE</StackStatus><DriftInformation><StackDriftStatus>IN_SYNC</StackDriftStatus><LastCheckTimestamp>2026-01-01T00:00:00Z</LastCheckTimestamp></DriftInformation><Tags><member><Key>rocca:deployment</Key><Value>shop</Value></member></Tags></member></Stacks></DescribeStacksResult></R>`)
	cloud.Answer("s3", "GET /"+w.bucket, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Query().Has("logging"):
			_, _ = io.WriteString(w, `<BucketLoggingStatus><LoggingEnabled><TargetBucket>logs</TargetBucket></LoggingEnabled></BucketLoggingStatus>`)
		case r.URL.Query().Has("versioning"):
			_, _ = io.WriteString(w, `<VersioningConfiguration><Status>Enabled</Status><MfaDelete>Enabled</MfaDelete></VersioningConfiguration>`)
		case r.URL.Query().Has("tagging"):
			_, _ = io.WriteString(w, `<Tagging><TagSet><Tag><Key>rocca:deployment</Key><Value>shop</Value></Tag></TagSet></Tagging>`)
		default:
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `<Error><Code>NoSuchConfiguration</Code></Error>`)
		}
	})
	say("backup", "GET /backup-vaults/", `{"BackupVaultList":[{"BackupVaultName":"shop","BackupVaultArn":"v","EncryptionKeyArn":"k","Locked":true,"MinRetentionDays":35}]}`)
	say("backup", "GET /tags/v/", `{"Tags":{"rocca:deployment":"shop"}}`)
	say("backup", "GET /backup/plans/", `{"BackupPlansList":[{"BackupPlanId":"p","BackupPlanName":"shop","BackupPlanArn":"v"}]}`)
	say("backup", "GET /backup/plans/p/", `{"BackupPlan":{"Rules":[{"TargetBackupVaultName":"shop","ScheduleExpression":"cron(0 3 * * ? *)","Lifecycle":{"DeleteAfterDays":35},"CopyActions":[{"DestinationBackupVaultArn":"arn:copy"}]}]}}`)
	say("backup", "GET /backup/plans/p/selections/", `{"BackupSelectionsList":[{"SelectionId":"s"}]}`)
	say("backup", "GET /backup/plans/p/selections/s", `{"BackupSelection":{"Resources":["*"],"ListOfTags":[{"ConditionType":"STRINGEQUALS","ConditionKey":"rocca:backup","ConditionValue":"yes"}],"Conditions":{"StringEquals":[{"ConditionKey":"aws:ResourceTag/rocca:deployment","ConditionValue":"shop"}]}}}`)
}

// report is one of credentials.
const report = `user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,password_next_rotation,mfa_active,access_key_1_active,access_key_1_last_rotated,access_key_1_last_used_date,access_key_1_last_used_region,access_key_1_last_used_service,access_key_2_active,access_key_2_last_rotated,access_key_2_last_used_date
<root_account>,arn:aws:iam::123456789012:root,2020-01-01T00:00:00+00:00,not_supported,no_information,not_supported,not_supported,true,false,N/A,N/A,N/A,N/A,false,N/A,N/A
jane,arn:aws:iam::123456789012:user/jane,2021-01-01T00:00:00+00:00,true,2026-01-01T00:00:00+00:00,2021-01-01T00:00:00+00:00,N/A,true,true,2026-01-02T00:00:00+00:00,N/A,N/A,N/A,true,2026-01-03T00:00:00+00:00,2026-01-04T00:00:00+00:00
`
