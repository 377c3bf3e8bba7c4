package worldtest

import (
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"rocca/internal/aws/awstest"
)

// makers make a resource of a type, and give what Ref gives of it.
var makers = map[string]func(*world, resource) string{
	"AWS::EC2::VPC": func(w *world, r resource) string {
		return w.ec2("ec2:CreateVpc", r, map[string]any{"CidrBlock": r.text("CidrBlock")}, "vpc>vpcId")
	},
	"AWS::EC2::InternetGateway": func(w *world, r resource) string {
		return w.ec2("ec2:CreateInternetGateway", r, nil, "internetGateway>internetGatewayId")
	},
	"AWS::EC2::VPCGatewayAttachment": func(w *world, r resource) string {
		w.query("ec2:AttachInternetGateway", r.props, nil)
		return r.id
	},
	"AWS::EC2::RouteTable": func(w *world, r resource) string {
		return w.ec2("ec2:CreateRouteTable", r, r.but("Tags"), "routeTable>routeTableId")
	},
	"AWS::EC2::Route": func(w *world, r resource) string { w.query("ec2:CreateRoute", r.props, nil); return r.id },
	"AWS::EC2::Subnet": func(w *world, r resource) string {
		id := w.ec2("ec2:CreateSubnet", r, r.but("Tags", "MapPublicIpOnLaunch"), "subnet>subnetId")
		w.query("ec2:ModifySubnetAttribute", map[string]any{"SubnetId": id, "MapPublicIpOnLaunch": map[string]any{"Value": r.props["MapPublicIpOnLaunch"] == true}}, nil)
		return id
	},
	"AWS::EC2::SubnetRouteTableAssociation": func(w *world, r resource) string {
		w.query("ec2:AssociateRouteTable", r.props, nil)
		return r.id
	},
	"AWS::EC2::NetworkAcl": func(w *world, r resource) string {
		return w.ec2("ec2:CreateNetworkAcl", r, r.but("Tags"), "networkAcl>networkAclId")
	},
	"AWS::EC2::NetworkAclEntry": func(w *world, r resource) string {
		if r.props["Egress"] == nil {
			r.props["Egress"] = false
		}
		w.query("ec2:CreateNetworkAclEntry", r.props, nil)
		return r.id
	},
	"AWS::EC2::SubnetNetworkAclAssociation": func(w *world, r resource) string {
		var answer struct {
			Filters []struct {
				Associations []struct {
					ID     string `xml:"networkAclAssociationId"`
					Subnet string `xml:"subnetId"`
				} `xml:"associationSet>item"`
			} `xml:"networkAclSet>item"`
		}
		w.query("ec2:DescribeNetworkAcls", map[string]any{}, &answer)
		for _, filter := range answer.Filters {
			for _, a := range filter.Associations {
				if a.Subnet == r.text("SubnetId") {
					w.query("ec2:ReplaceNetworkAclAssociation", map[string]any{"AssociationId": a.ID, "NetworkAclId": r.text("NetworkAclId")}, nil)
				}
			}
		}
		return r.id
	},
	"AWS::EC2::EIP": func(w *world, r resource) string {
		var answer struct {
			ID string `xml:"allocationId"`
			IP string `xml:"publicIp"`
		}
		w.query("ec2:AllocateAddress", map[string]any{"Domain": "vpc"}, &answer)
		w.tag(r, answer.ID)
		w.attributes[r.id+".AllocationId"] = answer.ID
		return answer.IP
	},
	"AWS::EC2::NatGateway": func(w *world, r resource) string {
		return w.ec2("ec2:CreateNatGateway", r, r.but("Tags"), "natGateway>natGatewayId")
	},
	"AWS::EC2::SecurityGroup": func(w *world, r resource) string {
		id := w.ec2("ec2:CreateSecurityGroup", r, map[string]any{"GroupName": w.name(r), "GroupDescription": r.text("GroupDescription"), "VpcId": r.text("VpcId")}, "groupId")
		if rules, _ := r.props["SecurityGroupEgress"].([]any); len(rules) > 0 {
			w.query("ec2:RevokeSecurityGroupEgress", map[string]any{"GroupId": id, "IpPermissions": []any{permission(map[string]any{"IpProtocol": "-1", "CidrIp": "0.0.0.0/0"})}}, nil)
			w.authorize("ec2:AuthorizeSecurityGroupEgress", id, rules...)
		}
		rules, _ := r.props["SecurityGroupIngress"].([]any)
		w.authorize("ec2:AuthorizeSecurityGroupIngress", id, rules...)
		w.attributes[r.id+".GroupId"] = id
		return id
	},
	"AWS::EC2::SecurityGroupIngress": func(w *world, r resource) string {
		w.authorize("ec2:AuthorizeSecurityGroupIngress", r.text("GroupId"), r.props)
		return r.id
	},
	"AWS::EC2::SecurityGroupEgress": func(w *world, r resource) string {
		w.authorize("ec2:AuthorizeSecurityGroupEgress", r.text("GroupId"), r.props)
		return r.id
	},
	"AWS::EC2::VPCEndpoint": func(w *world, r resource) string {
		fields := r.but("Tags", "RouteTableIds", "SubnetIds", "SecurityGroupIds", "PolicyDocument")
		fields["RouteTableId"], fields["SubnetId"], fields["SecurityGroupId"] = r.props["RouteTableIds"], r.props["SubnetIds"], r.props["SecurityGroupIds"]
		if r.props["PolicyDocument"] != nil {
			fields["PolicyDocument"] = r.document("PolicyDocument")
		}
		return w.ec2("ec2:CreateVpcEndpoint", r, fields, "vpcEndpoint>vpcEndpointId")
	},
	"AWS::EC2::FlowLog": func(w *world, r resource) string {
		fields := r.but("Tags", "ResourceId")
		fields["ResourceId"] = []any{r.props["ResourceId"]}
		var answer struct {
			IDs []string `xml:"flowLogIdSet>item"`
		}
		w.query("ec2:CreateFlowLogs", fields, &answer)
		w.tag(r, answer.IDs[0])
		return answer.IDs[0]
	},
	"AWS::EC2::LaunchTemplate": func(w *world, r resource) string {
		data := maps.Clone(r.props["LaunchTemplateData"].(map[string]any))
		data["UserData"] = base64.StdEncoding.EncodeToString([]byte(fmt.Sprint(data["UserData"])))
		rename(data, "BlockDeviceMappings", "BlockDeviceMapping")
		rename(data, "NetworkInterfaces", "NetworkInterface")
		rename(data, "TagSpecifications", "TagSpecification")
		for _, of := range list(data["NetworkInterface"]) {
			rename(of, "Groups", "SecurityGroupId")
		}
		for _, of := range list(data["TagSpecification"]) {
			rename(of, "Tags", "Tag")
		}
		id := w.ec2("ec2:CreateLaunchTemplate", r, map[string]any{"LaunchTemplateName": w.name(r), "LaunchTemplateData": data}, "launchTemplate>launchTemplateId")
		w.attributes[r.id+".LatestVersionNumber"] = "1"
		w.lacks.templates[id] = data
		return id
	},
	"AWS::EC2::Volume": func(w *world, r resource) string {
		id := w.ec2("ec2:CreateVolume", r, r.but("Tags"), "volumeId")
		w.lacks.holds["arn:aws:ec2:"+w.region+":"+awstest.Account+":volume/"+id] = w.tags(r)
		return id
	},
	"AWS::EC2::VolumeAttachment": func(w *world, r resource) string { w.query("ec2:AttachVolume", r.props, nil); return r.id },
	"AWS::EC2::Instance": func(w *world, r resource) string {
		id := w.start(r.props["LaunchTemplate"], "")
		w.tag(r, id)
		return id
	},
	"AWS::EC2::InstanceConnectEndpoint": func(w *world, r resource) string {
		return w.card("EC2 Instance Connect Endpoint", r.props["SecurityGroupIds"], r.text("SubnetId"))
	},
	"AWS::EC2::EIPAssociation": func(w *world, r resource) string { w.query("ec2:AssociateAddress", r.props, nil); return r.id },

	"AWS::IAM::Role": func(w *world, r resource) string {
		name := w.name(r)
		var answer struct {
			Role struct {
				ARN string `xml:"Arn"`
			}
		}
		w.query("iam:CreateRole", map[string]any{"RoleName": name, "AssumeRolePolicyDocument": r.document("AssumeRolePolicyDocument"), "Tags": w.tags(r)}, &answer)
		policies, _ := r.props["Policies"].([]any)
		for _, p := range policies {
			policy := p.(map[string]any)
			w.query("iam:PutRolePolicy", map[string]any{"RoleName": name, "PolicyName": policy["PolicyName"], "PolicyDocument": encode(policy["PolicyDocument"])}, nil)
		}
		managed, _ := r.props["ManagedPolicyArns"].([]any)
		w.lacks.attached[name] = managed
		w.attributes[r.id+".Arn"] = answer.Role.ARN
		return name
	},
	"AWS::IAM::Policy": func(w *world, r resource) string {
		for _, role := range r.props["Roles"].([]any) {
			w.query("iam:PutRolePolicy", map[string]any{"RoleName": role, "PolicyName": r.text("PolicyName"), "PolicyDocument": r.document("PolicyDocument")}, nil)
		}
		return r.id
	},
	"AWS::IAM::InstanceProfile": func(w *world, r resource) string {
		w.query("iam:CreateInstanceProfile", map[string]any{"InstanceProfileName": w.name(r)}, nil)
		w.query("iam:AddRoleToInstanceProfile", map[string]any{"InstanceProfileName": w.name(r), "RoleName": r.props["Roles"].([]any)[0]}, nil)
		return w.name(r)
	},

	"AWS::KMS::Key": func(w *world, r resource) string {
		var answer struct{ KeyMetadata struct{ KeyId, Arn string } } //nolint:revive // AWS's names
		var tags []any
		for _, tag := range w.tags(r) {
			pair := tag.(map[string]any)
			tags = append(tags, map[string]any{"TagKey": pair["Key"], "TagValue": pair["Value"]})
		}
		w.ask("kms:CreateKey", map[string]any{"Policy": r.document("KeyPolicy"), "Description": r.text("Description"), "Tags": tags}, &answer)
		if r.props["EnableKeyRotation"] == true {
			w.ask("kms:EnableKeyRotation", map[string]any{"KeyId": answer.KeyMetadata.KeyId}, nil)
		}
		w.attributes[r.id+".Arn"] = answer.KeyMetadata.Arn
		return answer.KeyMetadata.KeyId
	},
	"AWS::KMS::Alias": func(w *world, r resource) string { w.ask("kms:CreateAlias", r.props, nil); return r.text("AliasName") },

	"AWS::S3::Bucket": (*world).bucket,
	"AWS::S3::BucketPolicy": func(w *world, r resource) string {
		_, err := w.s3().PutBucketPolicy(w.Context(), &s3.PutBucketPolicyInput{Bucket: aws.String(r.text("Bucket")), Policy: aws.String(r.document("PolicyDocument"))})
		w.must(err)
		return r.id
	},

	"AWS::Logs::LogGroup": func(w *world, r resource) string {
		name := r.text("LogGroupName")
		if name == "" {
			name = w.name(r)
		}
		tags := map[string]any{}
		for _, tag := range w.tags(r) {
			pair := tag.(map[string]any)
			tags[fmt.Sprint(pair["Key"])] = pair["Value"]
		}
		fields := map[string]any{"logGroupName": name, "tags": tags}
		if key := r.text("KmsKeyId"); key != "" {
			fields["kmsKeyId"] = key
		}
		w.ask("logs:CreateLogGroup", fields, nil)
		w.ask("logs:PutRetentionPolicy", map[string]any{"logGroupName": name, "retentionInDays": r.props["RetentionInDays"]}, nil)
		w.attributes[r.id+".Arn"] = "arn:aws:logs:" + w.region + ":" + awstest.Account + ":log-group:" + name + ":*"
		return name
	},
	"AWS::Logs::MetricFilter": func(w *world, r resource) string {
		fields := lower(r.but("FilterName")).(map[string]any)
		fields["filterName"] = w.name(r)
		for _, of := range list(fields["metricTransformations"]) {
			delete(of, "dimensions")
		}
		w.ask("logs:PutMetricFilter", fields, nil)
		return w.name(r)
	},

	"AWS::SNS::Topic": func(w *world, r resource) string {
		var answer struct{ TopicArn string }
		w.query("sns:CreateTopic", map[string]any{"Name": w.name(r), "Tags": w.tags(r)}, &answer)
		w.query("sns:SetTopicAttributes", map[string]any{"TopicArn": answer.TopicArn, "AttributeName": "KmsMasterKeyId", "AttributeValue": r.text("KmsMasterKeyId")}, nil)
		return answer.TopicArn
	},
	"AWS::SNS::TopicPolicy": func(w *world, r resource) string {
		w.query("sns:SetTopicAttributes", map[string]any{"TopicArn": r.props["Topics"].([]any)[0], "AttributeName": "Policy", "AttributeValue": r.document("PolicyDocument")}, nil)
		return r.id
	},
	"AWS::SNS::Subscription": func(w *world, r resource) string { w.query("sns:Subscribe", r.props, nil); return r.id },

	"AWS::SSM::Parameter": func(w *world, r resource) string {
		w.ask("ssm:PutParameter", r.but("Tags"), nil)
		w.attributes[r.id+".Value"] = r.text("Value")
		return r.text("Name")
	},
	"AWS::SSM::Document": func(w *world, r resource) string {
		w.ask("ssm:CreateDocument", map[string]any{"Name": w.name(r), "Content": r.document("Content"), "DocumentType": r.text("DocumentType"), "DocumentFormat": "JSON"}, nil)
		return w.name(r)
	},

	"AWS::SecretsManager::Secret": func(w *world, r resource) string {
		var answer struct{ ARN string }
		fields := r.but("GenerateSecretString", "Tags")
		fields["SecretString"], fields["Tags"] = `{"seed":"`+Planted+`"}`, w.tags(r)
		w.ask("secretsmanager:CreateSecret", fields, &answer)
		return answer.ARN
	},

	"AWS::CloudTrail::Trail": func(w *world, r resource) string {
		fields := r.but("IsLogging", "TrailName", "KMSKeyId", "Tags", "AdvancedEventSelectors", "EnableLogFileValidation", "CloudWatchLogsLogGroupArn")
		fields["Name"], fields["KmsKeyId"], fields["EnableLogFileValidation"], fields["TagsList"] = r.text("TrailName"), r.text("KMSKeyId"), r.props["EnableLogFileValidation"] == true, w.tags(r)
		fields["CloudWatchLogsLogGroupArn"] = r.text("CloudWatchLogsLogGroupArn")
		w.ask("cloudtrail:CreateTrail", fields, nil)
		if r.props["IsLogging"] == true {
			w.ask("cloudtrail:StartLogging", map[string]any{"Name": r.text("TrailName")}, nil)
		}
		selectors := map[string]any{"TrailName": r.text("TrailName"), "EventSelectors": []any{map[string]any{"ReadWriteType": "All", "IncludeManagementEvents": true}}} // what AWS does when nothing is said
		if r.props["AdvancedEventSelectors"] != nil {
			selectors = map[string]any{"TrailName": r.text("TrailName"), "AdvancedEventSelectors": r.props["AdvancedEventSelectors"]}
		}
		w.ask("cloudtrail:PutEventSelectors", selectors, nil)
		return r.text("TrailName")
	},
	"AWS::CloudWatch::Alarm": func(w *world, r resource) string {
		fields := r.but("Tags")
		fields["AlarmName"], fields["Tags"] = w.name(r), w.tags(r)
		w.ask("cloudwatch:PutMetricAlarm", fields, nil)
		w.ask("cloudwatch:SetAlarmState", map[string]any{"AlarmName": w.name(r), "StateValue": "OK", "StateReason": "measured"}, nil)
		return w.name(r)
	},
	"AWS::Budgets::Budget": func(w *world, r resource) string {
		budget := maps.Clone(r.props["Budget"].(map[string]any))
		budget["BudgetName"] = w.name(r)
		limit := budget["BudgetLimit"].(map[string]any)
		budget["BudgetLimit"] = map[string]any{"Amount": fmt.Sprint(limit["Amount"]), "Unit": limit["Unit"]}
		w.ask("budgets:CreateBudget", map[string]any{"AccountId": awstest.Account, "Budget": budget, "NotificationsWithSubscribers": r.props["NotificationsWithSubscribers"]}, nil)
		w.lacks.budgets[w.name(r)] = r
		return w.name(r)
	},
	"AWS::Backup::BackupVault": func(w *world, r resource) string {
		name := r.text("BackupVaultName")
		w.rest("backup:CreateBackupVault", http.MethodPut, "/backup-vaults/"+name, map[string]any{"EncryptionKeyArn": r.text("EncryptionKeyArn"), "BackupVaultTags": w.labels(r.props["BackupVaultTags"])}, nil)
		if lock, is := r.props["LockConfiguration"].(map[string]any); is {
			w.rest("backup:PutBackupVaultLockConfiguration", http.MethodPut, "/backup-vaults/"+name+"/vault-lock", lock, nil)
		}
		return name
	},
	"AWS::Backup::BackupPlan": func(w *world, r resource) string {
		plan := r.props["BackupPlan"].(map[string]any)
		rename(plan, "BackupPlanRule", "Rules")
		for _, rule := range list(plan["Rules"]) {
			rename(rule, "TargetBackupVault", "TargetBackupVaultName")
		}
		var answer struct {
			ID string `json:"BackupPlanId"`
		}
		w.rest("backup:CreateBackupPlan", http.MethodPut, "/backup/plans/", map[string]any{"BackupPlan": plan, "BackupPlanTags": w.labels(r.props["BackupPlanTags"])}, &answer)
		return answer.ID
	},
	"AWS::Backup::BackupSelection": func(w *world, r resource) string {
		w.lacks.chosen[r.text("BackupPlanId")] = r.props["BackupSelection"].(map[string]any)
		return r.id
	},

	"AWS::RDS::DBSubnetGroup": func(w *world, r resource) string {
		name := strings.ToLower(w.name(r))
		w.query("rds:CreateDBSubnetGroup", map[string]any{"DBSubnetGroupName": name, "DBSubnetGroupDescription": r.text("DBSubnetGroupDescription"), "SubnetIds": r.props["SubnetIds"]}, nil)
		return name
	},
	"AWS::RDS::DBParameterGroup": func(w *world, r resource) string {
		name := strings.ToLower(w.name(r))
		w.query("rds:CreateDBParameterGroup", map[string]any{"DBParameterGroupName": name, "DBParameterGroupFamily": r.text("Family"), "Description": r.text("Description")}, nil)
		var values []any
		for key, value := range r.props["Parameters"].(map[string]any) {
			values = append(values, map[string]any{"ParameterName": key, "ParameterValue": value, "ApplyMethod": "immediate"})
		}
		w.query("rds:ModifyDBParameterGroup", map[string]any{"DBParameterGroupName": name, "Parameters": values}, nil)
		return name
	},
	"AWS::RDS::DBInstance": func(w *world, r resource) string {
		fields := r.but("Tags", "VPCSecurityGroups", "MasterUserSecret", "EnableCloudwatchLogsExports", "DatabaseInsightsMode")
		fields["VpcSecurityGroupIds"], fields["EnableCloudwatchLogsExports"] = r.props["VPCSecurityGroups"], r.props["EnableCloudwatchLogsExports"]
		fields["Tags"], fields["MasterUserSecretKmsKeyId"] = w.tags(r), r.props["MasterUserSecret"].(map[string]any)["KmsKeyId"]
		var answer struct {
			Secret string `xml:"DBInstance>MasterUserSecret>SecretArn"`
			Host   string `xml:"DBInstance>Endpoint>Address"`
		}
		w.query("rds:CreateDBInstance", fields, &answer)
		w.card("RDSNetworkInterface", r.props["VPCSecurityGroups"], "DataSubnetA")
		w.lacks.databases[r.text("DBInstanceIdentifier")] = r
		w.lacks.holds["arn:aws:rds:"+w.region+":"+awstest.Account+":db:"+r.text("DBInstanceIdentifier")] = w.tags(r)
		w.attributes[r.id+".MasterUserSecret.SecretArn"], w.attributes[r.id+".Endpoint.Address"], w.attributes[r.id+".Endpoint.Port"] = answer.Secret, answer.Host, "3306"
		return r.text("DBInstanceIdentifier")
	},

	"AWS::ElasticLoadBalancingV2::LoadBalancer": func(w *world, r resource) string {
		var answer struct {
			ARN  string `xml:"LoadBalancers>member>LoadBalancerArn"`
			Name string `xml:"LoadBalancers>member>DNSName"`
		}
		fields := r.but("LoadBalancerAttributes", "Tags")
		fields["Name"], fields["Tags"] = "stats", w.tags(r)
		w.query("elasticloadbalancing:CreateLoadBalancer", fields, &answer)
		w.query("elasticloadbalancing:ModifyLoadBalancerAttributes", map[string]any{"LoadBalancerArn": answer.ARN, "Attributes": r.props["LoadBalancerAttributes"]}, nil)
		w.attributes[r.id+".DNSName"], w.attributes[r.id+".CanonicalHostedZoneID"], w.attributes[r.id+".LoadBalancerFullName"] = answer.Name, "Z215JYRZR1TBD5", "app/stats/1"
		return answer.ARN
	},
	"AWS::ElasticLoadBalancingV2::TargetGroup": func(w *world, r resource) string {
		var answer struct {
			ARN string `xml:"TargetGroups>member>TargetGroupArn"`
		}
		fields := r.but("TargetGroupAttributes", "Tags")
		fields["Name"], fields["Tags"] = "stats-"+r.id[:5]+"-A1B2C3D4E5F6", w.tags(r)
		w.query("elasticloadbalancing:CreateTargetGroup", fields, &answer)
		w.attributes[r.id+".TargetGroupFullName"] = "targetgroup/" + r.id + "/1"
		return answer.ARN
	},
	"AWS::ElasticLoadBalancingV2::Listener": func(w *world, r resource) string {
		var answer struct {
			ARN string `xml:"Listeners>member>ListenerArn"`
		}
		w.query("elasticloadbalancing:CreateListener", r.but("ListenerAttributes"), &answer)
		return answer.ARN
	},
	"AWS::ElasticLoadBalancingV2::ListenerRule": func(w *world, r resource) string {
		w.query("elasticloadbalancing:CreateRule", r.props, nil)
		return r.id
	},
	"AWS::CertificateManager::Certificate": func(w *world, r resource) string {
		var answer struct {
			ARN string `json:"CertificateArn"`
		}
		w.ask("acm:RequestCertificate", map[string]any{"DomainName": r.text("DomainName"), "ValidationMethod": "DNS", "Tags": w.tags(r)}, &answer)
		return answer.ARN
	},
	"AWS::WAFv2::IPSet": func(w *world, r resource) string {
		var answer struct{ Summary struct{ ARN string } }
		fields := r.but("Tags")
		fields["Name"] = w.name(r)
		w.ask("wafv2:CreateIPSet", fields, &answer)
		w.attributes[r.id+".Arn"] = answer.Summary.ARN
		return w.name(r)
	},
	"AWS::WAFv2::WebACL": func(w *world, r resource) string {
		var answer struct{ Summary struct{ ARN string } }
		fields := r.but("Tags")
		fields["Tags"] = w.tags(r)
		encodeSearches(fields)
		w.ask("wafv2:CreateWebACL", fields, &answer)
		w.attributes[r.id+".Arn"] = answer.Summary.ARN
		return r.text("Name")
	},
	"AWS::WAFv2::WebACLAssociation": func(w *world, r resource) string { w.ask("wafv2:AssociateWebACL", r.props, nil); return r.id },
	"AWS::WAFv2::LoggingConfiguration": func(w *world, r resource) string {
		w.ask("wafv2:PutLoggingConfiguration", map[string]any{"LoggingConfiguration": r.props}, nil)
		return r.id
	},
	"AWS::AutoScaling::AutoScalingGroup": func(w *world, r resource) string {
		fields := r.but("MetricsCollection", "Tags", "LaunchTemplate", "VPCZoneIdentifier")
		template := r.props["LaunchTemplate"].(map[string]any)
		fields["LaunchTemplate"] = map[string]any{"LaunchTemplateId": template["LaunchTemplateId"], "Version": template["Version"]}
		var subnets []string
		for _, subnet := range r.props["VPCZoneIdentifier"].([]any) {
			subnets = append(subnets, fmt.Sprint(subnet))
		}
		fields["VPCZoneIdentifier"], fields["AutoScalingGroupName"] = strings.Join(subnets, ","), w.name(r)
		var tags []any
		for _, tag := range w.tags(r) {
			pair := tag.(map[string]any)
			tags = append(tags, map[string]any{"Key": pair["Key"], "Value": pair["Value"], "PropagateAtLaunch": true, "ResourceId": w.name(r), "ResourceType": "auto-scaling-group"})
		}
		fields["Tags"], fields["MinSize"], fields["DesiredCapacity"] = tags, 0, 0
		w.query("autoscaling:CreateAutoScalingGroup", fields, nil)
		// moto's own would have nothing of the template but the image.
		least, _ := strconv.Atoi(r.text("MinSize"))
		for i := range least {
			id := w.start(template, subnets[i%len(subnets)])
			for _, tag := range list(tags) {
				w.query("ec2:CreateTags", map[string]any{"ResourceId": []any{id}, "Tag": []any{map[string]any{"Key": tag["Key"], "Value": tag["Value"]}}}, nil)
			}
			w.query("autoscaling:AttachInstances", map[string]any{"AutoScalingGroupName": w.name(r), "InstanceIds": []any{id}}, nil)
		}
		w.query("autoscaling:UpdateAutoScalingGroup", map[string]any{"AutoScalingGroupName": w.name(r), "MinSize": least}, nil)
		return w.name(r)
	},
	"AWS::ElastiCache::SubnetGroup": func(w *world, r resource) string { return strings.ToLower(w.name(r)) },
	"AWS::ElastiCache::ReplicationGroup": func(w *world, r resource) string {
		fields := r.but("Tags", "LogDeliveryConfigurations", "CacheParameterGroupName", "CacheSubnetGroupName", "SecurityGroupIds", "UserGroupIds", "EngineVersion", "PreferredMaintenanceWindow", "SnapshotWindow")
		for i, tag := range list(w.tags(r)) {
			fields[fmt.Sprintf("Tags.Tag.%d.Key", i+1)], fields[fmt.Sprintf("Tags.Tag.%d.Value", i+1)] = tag["Key"], tag["Value"]
		}
		w.query("elasticache:CreateReplicationGroup", fields, nil)
		w.card("ElastiCache "+r.text("ReplicationGroupId"), r.props["SecurityGroupIds"], "DataSubnetA")
		w.lacks.caches[r.text("ReplicationGroupId")] = r
		w.attributes[r.id+".PrimaryEndPoint.Address"], w.attributes[r.id+".PrimaryEndPoint.Port"] = "cache.example.org", "6379"
		return r.text("ReplicationGroupId")
	},
	"AWS::Route53::RecordSet": func(w *world, r resource) string { w.lacks.recorded(r); return r.text("Name") },
}

// start starts an instance of a launch template, with all that stands in it, as
// EC2 does.
func (w *world) start(of any, subnet string) string {
	w.Helper()
	data := maps.Clone(w.lacks.templates[fmt.Sprint(of.(map[string]any)["LaunchTemplateId"])])
	data["MinCount"], data["MaxCount"] = 1, 1
	if subnet != "" {
		for _, card := range list(data["NetworkInterface"]) {
			card["SubnetId"] = subnet
		}
	}
	var answer struct {
		ID string `xml:"instancesSet>item>instanceId"`
	}
	w.query("ec2:RunInstances", data, &answer)
	w.lacks.instances = append(w.lacks.instances, answer.ID)
	return answer.ID
}

// card makes the network interface that a service makes for itself.
func (w *world) card(of string, groups any, subnet string) string {
	w.Helper()
	if id, made := w.physical["base."+subnet]; made {
		subnet = id
	}
	var answer struct {
		ID string `xml:"networkInterface>networkInterfaceId"`
	}
	w.query("ec2:CreateNetworkInterface", map[string]any{"SubnetId": subnet, "Description": of, "SecurityGroupId": groups}, &answer)
	return answer.ID
}

// encodeSearches writes what a firewall looks for as the API takes it, at all
// depths.
func encodeSearches(value any) {
	switch v := value.(type) {
	case map[string]any:
		if text, is := v["SearchString"].(string); is {
			v["SearchString"] = base64.StdEncoding.EncodeToString([]byte(text))
		}
		for _, part := range v {
			encodeSearches(part)
		}
	case []any:
		for _, part := range v {
			encodeSearches(part)
		}
	}
}

// ec2 makes something, tags it, and gives the id that stands at a path of the
// answer.
func (w *world) ec2(action string, r resource, fields map[string]any, path string) string {
	w.Helper()
	var answer anything
	w.query(action, fields, &answer)
	id := answer.at(strings.Split(path, ">")...)
	if id == "" {
		w.Fatalf("%s: the answer has no %s", action, path)
	}
	w.tag(r, id)
	return id
}

func (w *world) tag(r resource, id string) {
	w.Helper()
	w.query("ec2:CreateTags", map[string]any{"ResourceId": []any{id}, "Tag": w.tags(r)}, nil)
}

// anything is an element of XML.
type anything struct {
	XMLName xml.Name
	Text    string     `xml:",chardata"`
	Inside  []anything `xml:",any"`
}

// find gives the elements of a name, at all depths.
func (a *anything) find(name string) []*anything {
	var all []*anything
	for i := range a.Inside {
		if a.Inside[i].XMLName.Local == name {
			all = append(all, &a.Inside[i])
		}
		all = append(all, a.Inside[i].find(name)...)
	}
	return all
}

// put sets an element inside.
func (a *anything) put(name, text string) {
	for i := range a.Inside {
		if a.Inside[i].XMLName.Local == name {
			a.Inside[i].Text = text
			return
		}
	}
	a.Inside = append(a.Inside, anything{XMLName: xml.Name{Local: name}, Text: text})
}

func (a anything) at(path ...string) string {
	if len(path) == 0 {
		return strings.TrimSpace(a.Text)
	}
	for _, inside := range a.Inside {
		if inside.XMLName.Local == path[0] {
			return inside.at(path[1:]...)
		}
	}
	return ""
}

func (w *world) authorize(action, group string, rules ...any) {
	w.Helper()
	for _, rule := range rules {
		w.query(action, map[string]any{"GroupId": group, "IpPermissions": []any{permission(rule.(map[string]any))}}, nil)
	}
}

// permission is a rule of CloudFormation as EC2 takes it.
func permission(rule map[string]any) map[string]any {
	out := map[string]any{"IpProtocol": rule["IpProtocol"], "FromPort": rule["FromPort"], "ToPort": rule["ToPort"]}
	for _, peer := range []string{"SourceSecurityGroupId", "DestinationSecurityGroupId"} {
		if rule[peer] != nil {
			out["Groups"] = []any{map[string]any{"GroupId": rule[peer], "Description": rule["Description"]}}
		}
	}
	if rule["CidrIp"] != nil {
		out["IpRanges"] = []any{map[string]any{"CidrIp": rule["CidrIp"], "Description": rule["Description"]}}
	}
	if rule["CidrIpv6"] != nil {
		out["Ipv6Ranges"] = []any{map[string]any{"CidrIpv6": rule["CidrIpv6"]}}
	}
	for _, name := range []string{"SourcePrefixListId", "DestinationPrefixListId"} {
		if rule[name] != nil {
			out["PrefixListIds"] = []any{map[string]any{"PrefixListId": rule[name]}}
		}
	}
	return out
}

func rename(in map[string]any, from, to string) {
	if value, is := in[from]; is {
		in[to] = value
		delete(in, from)
	}
}

// list are the objects of a list.
func list(value any) []map[string]any {
	var all []map[string]any
	items, _ := value.([]any)
	for _, item := range items {
		if object, is := item.(map[string]any); is {
			all = append(all, object)
		}
	}
	return all
}

func (w *world) s3() *s3.Client {
	return s3.NewFromConfig(w.config, func(o *s3.Options) { o.UsePathStyle = true })
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// bucket makes one, with all that our templates say of them.
func (w *world) bucket(r resource) string {
	w.Helper()
	name := strings.ToLower(w.name(r))
	ctx, c := w.Context(), w.s3()
	lock := r.props["ObjectLockEnabled"] == true
	_, err := c.CreateBucket(ctx, &s3.CreateBucketInput{
		Bucket: &name, ObjectLockEnabledForBucket: &lock,
		CreateBucketConfiguration: &s3types.CreateBucketConfiguration{LocationConstraint: s3types.BucketLocationConstraint(w.region)},
		ObjectOwnership:           s3types.ObjectOwnershipBucketOwnerEnforced,
	})
	w.must(err)
	if block, is := r.props["PublicAccessBlockConfiguration"].(map[string]any); is {
		on := func(name string) *bool { return aws.Bool(block[name] == true) }
		_, err = c.PutPublicAccessBlock(ctx, &s3.PutPublicAccessBlockInput{Bucket: &name, PublicAccessBlockConfiguration: &s3types.PublicAccessBlockConfiguration{
			BlockPublicAcls: on("BlockPublicAcls"), BlockPublicPolicy: on("BlockPublicPolicy"), IgnorePublicAcls: on("IgnorePublicAcls"), RestrictPublicBuckets: on("RestrictPublicBuckets"),
		}})
		w.must(err)
	}
	if versions, is := r.props["VersioningConfiguration"].(map[string]any); is {
		_, err = c.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{Bucket: &name, VersioningConfiguration: &s3types.VersioningConfiguration{Status: s3types.BucketVersioningStatus(fmt.Sprint(versions["Status"]))}})
		w.must(err)
	}
	encrypts, _ := r.props["BucketEncryption"].(map[string]any)
	for _, rule := range list(encrypts["ServerSideEncryptionConfiguration"]) {
		by := rule["ServerSideEncryptionByDefault"].(map[string]any)
		encryption := &s3types.ServerSideEncryptionByDefault{SSEAlgorithm: s3types.ServerSideEncryption(fmt.Sprint(by["SSEAlgorithm"]))}
		if key, is := by["KMSMasterKeyID"].(string); is {
			encryption.KMSMasterKeyID = &key
		}
		_, err = c.PutBucketEncryption(ctx, &s3.PutBucketEncryptionInput{Bucket: &name, ServerSideEncryptionConfiguration: &s3types.ServerSideEncryptionConfiguration{
			Rules: []s3types.ServerSideEncryptionRule{{ApplyServerSideEncryptionByDefault: encryption}},
		}})
		w.must(err)
	}
	if lock {
		rule := r.props["ObjectLockConfiguration"].(map[string]any)["Rule"].(map[string]any)["DefaultRetention"].(map[string]any)
		days, _ := rule["Days"].(float64)
		_, err = c.PutObjectLockConfiguration(ctx, &s3.PutObjectLockConfigurationInput{Bucket: &name, ObjectLockConfiguration: &s3types.ObjectLockConfiguration{
			ObjectLockEnabled: s3types.ObjectLockEnabledEnabled,
			Rule:              &s3types.ObjectLockRule{DefaultRetention: &s3types.DefaultRetention{Mode: s3types.ObjectLockRetentionMode(fmt.Sprint(rule["Mode"])), Days: aws.Int32(int32(days))}},
		}})
		w.must(err)
	}
	if r.props["LifecycleConfiguration"] != nil {
		_, err = c.PutBucketLifecycleConfiguration(ctx, &s3.PutBucketLifecycleConfigurationInput{Bucket: &name, LifecycleConfiguration: &s3types.BucketLifecycleConfiguration{
			Rules: []s3types.LifecycleRule{{ID: aws.String("incomplete"), Status: s3types.ExpirationStatusEnabled, Filter: &s3types.LifecycleRuleFilter{Prefix: aws.String("")}, AbortIncompleteMultipartUpload: &s3types.AbortIncompleteMultipartUpload{DaysAfterInitiation: aws.Int32(7)}}},
		}})
		w.must(err)
	}
	if logging, is := r.props["LoggingConfiguration"].(map[string]any); is {
		w.lacks.logged(name, fmt.Sprint(logging["DestinationBucketName"]))
	}
	var tags []s3types.Tag
	for _, tag := range w.tags(r) {
		pair := tag.(map[string]any)
		tags = append(tags, s3types.Tag{Key: aws.String(fmt.Sprint(pair["Key"])), Value: aws.String(fmt.Sprint(pair["Value"]))})
	}
	_, err = c.PutBucketTagging(ctx, &s3.PutBucketTaggingInput{Bucket: &name, Tagging: &s3types.Tagging{TagSet: tags}})
	w.must(err)
	w.attributes[r.id+".Arn"], w.attributes[r.id+".DomainName"] = "arn:aws:s3:::"+name, name+".s3.amazonaws.com"
	return name
}
