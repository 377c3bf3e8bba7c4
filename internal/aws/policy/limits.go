package policy

import (
	"path"
	"slices"
)

// A limit says on what actions may be used, and when. An action belongs to each
// limit that names it.
type limit struct {
	sid     string
	only    Job       // empty: for every job
	actions []string  // patterns
	on      []string  // resources; {name}, {region}, {account} and {zone} are filled in
	when    Condition //
	rest    bool      // only for what no limit before has named
	reads   bool      // also for Audit, which may look at all of an account: what is wrong there may be anybody's
}

func (l limit) names(action string) bool {
	return slices.ContainsFunc(l.actions, func(pattern string) bool {
		matches, _ := path.Match(pattern, action) // the patterns are below
		return matches
	})
}

// limits are by name where a service knows names: CloudFormation begins the
// names that it makes up with that of the stack, so they begin with that of the
// deployment. They are by tag where ids are all there is. Reads that AWS cannot
// limit are left at the region.
func limits() []limit {
	ours := Condition{"StringEquals": {"aws:ResourceTag/rocca:deployment": {"{name}"}}}
	return []limit{
		{
			sid:     "ReadOwnObjects",
			only:    Audit,
			actions: []string{"s3:GetObject", "s3:ListBucket"},
			on:      []string{"arn:aws:s3:::{name}-*"},
		},
		{
			sid:     "EventsOfTheWorld", // those of IAM and root are kept in one region
			actions: []string{"cloudtrail:LookupEvents"},
			on:      []string{"*"},
			when:    Condition{"StringEquals": {"aws:RequestedRegion": {"{region}", "us-east-1"}}},
			reads:   true,
		},
		{
			sid:     "Stacks",
			actions: []string{"cloudformation:[CEGRSU]*", "cloudformation:De[lt]*", "cloudformation:Describe[CE]*", "cloudformation:DescribeStack[ERs]*", "cloudformation:ListChangeSets", "cloudformation:ListStackResources"},
			on:      []string{"arn:aws:cloudformation:{region}:{account}:stack/{name}-*/*"},
			reads:   true,
		},
		{
			sid:     "Roles",
			actions: []string{"iam:CreateRole", "iam:DeleteRole", "iam:GetRole", "iam:TagRole", "iam:UntagRole", "iam:UpdateRole*", "iam:*RolePolicy", "iam:*RolePolicies", "iam:ListRoleTags", "iam:*PermissionsBoundary", "iam:*InstanceProfile"},
			on:      []string{"arn:aws:iam::{account}:role/{name}-*", "arn:aws:iam::{account}:instance-profile/{name}-*"},
		},
		{
			sid:     "RolesOfServices",
			actions: []string{"iam:GetRole"},
			on:      []string{"arn:aws:iam::{account}:role/aws-service-role/*"},
		},
		{
			sid:     "Secrets",
			actions: []string{"secretsmanager:[A-FH-Z]*", "secretsmanager:GetResourcePolicy", "secretsmanager:GetSecretValue"},
			on:      []string{"arn:aws:secretsmanager:{region}:{account}:secret:rocca/{name}/*"},
		},
		{
			sid:     "SecretOfTheDatabase", // RDS makes it, on behalf of its caller
			actions: []string{"secretsmanager:CreateSecret", "secretsmanager:DescribeSecret", "secretsmanager:RotateSecret", "secretsmanager:TagResource"},
			on:      []string{"arn:aws:secretsmanager:{region}:{account}:secret:rds!db-*"},
		},
		{
			sid:     "Parameters",
			actions: []string{"ssm:*Parameter", "ssm:DeleteParameters", "ssm:GetParameters", "ssm:AddTagsToResource", "ssm:ListTagsForResource", "ssm:RemoveTagsFromResource"},
			on:      []string{"arn:aws:ssm:{region}:{account}:parameter/rocca/{name}/*"},
			reads:   true,
		},
		{
			sid:     "KeysOfTheGuide", // rocca aws ssh --legacy-key
			only:    Deploy,
			actions: []string{"ssm:GetParameter", "ssm:PutParameter", "ssm:AddTagsToResource"},
			on:      []string{"arn:aws:ssm:{region}:{account}:parameter/matomo/ec2/private-key/*"},
		},
		{
			sid:     "Documents",
			actions: []string{"ssm:*Document*"},
			on:      []string{"arn:aws:ssm:{region}:{account}:document/{name}-*"},
		},
		{
			sid:     "Sessions",
			actions: []string{"ssm:StartSession", "ec2-instance-connect:*"},
			on:      []string{"arn:aws:ec2:{region}:{account}:instance/*", "arn:aws:ec2:{region}:{account}:instance-connect-endpoint/*"},
			when:    ours,
		},
		{
			sid:     "SessionDocuments",
			actions: []string{"ssm:StartSession"},
			on:      []string{"arn:aws:ssm:{region}:{account}:document/SSM-SessionManagerRunShell", "arn:aws:ssm:{region}:{account}:document/{name}-*", "arn:aws:ssm:{region}::document/AWS-StartPortForwardingSession"},
		},
		{
			sid:     "Keys",
			actions: []string{"kms:DescribeKey", "kms:Disable*", "kms:Enable*", "kms:GetKey*", "kms:ListResourceTags", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "kms:CancelKeyDeletion", "kms:UntagResource", "kms:UpdateKeyDescription"},
			on:      []string{"arn:aws:kms:{region}:{account}:key/*"},
			when:    ours,
		},
		{
			sid:     "KeysForServices", // that encrypt on behalf of their caller
			actions: []string{"kms:CreateGrant", "kms:Decrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*", "kms:RetireGrant"},
			on:      []string{"arn:aws:kms:{region}:{account}:key/*"},
			when: Condition{
				"StringEquals": {"aws:ResourceTag/rocca:deployment": {"{name}"}},
				"StringLike":   {"kms:ViaService": {"*.{region}.amazonaws.com"}},
			},
		},
		{
			sid:     "TagNewKeys",
			actions: []string{"kms:CreateKey", "kms:TagResource"},
			on:      []string{"*"},
			when:    Condition{"StringEquals": {"aws:RequestTag/rocca:deployment": {"{name}"}, "aws:RequestedRegion": {"{region}"}}},
		},
		{
			sid:     "Aliases",
			actions: []string{"kms:CreateAlias", "kms:DeleteAlias", "kms:UpdateAlias"},
			on:      []string{"arn:aws:kms:{region}:{account}:alias/rocca/{name}", "arn:aws:kms:{region}:{account}:alias/rocca/{name}-*"},
		},
		{
			sid:     "AliasedKeys", // an alias asks for the right to both
			actions: []string{"kms:CreateAlias", "kms:DeleteAlias", "kms:UpdateAlias"},
			on:      []string{"arn:aws:kms:{region}:{account}:key/*"},
			when:    ours,
		},
		{
			sid:     "Buckets",
			actions: []string{"s3:CreateBucket", "s3:DeleteBucket*", "s3:GetBucket*", "s3:PutBucket*", "s3:GetEncryptionConfiguration", "s3:PutEncryptionConfiguration", "s3:GetLifecycleConfiguration", "s3:PutLifecycleConfiguration", "s3:ListBucket*", "s3:*Object", "s3:*ObjectVersion", "s3:*ObjectTagging", "s3:*MultipartUpload*"},
			on:      []string{"arn:aws:s3:::{name}-*"},
		},
		{
			sid:     "Logs",
			actions: []string{"logs:*LogGroup", "logs:*RetentionPolicy", "logs:*KmsKey", "logs:*Resource", "logs:*LogStream", "logs:*LogStreams", "logs:PutMetricFilter", "logs:DeleteMetricFilter", "logs:DescribeMetricFilters"},
			on:      []string{"arn:aws:logs:{region}:{account}:log-group:{name}-*", "arn:aws:logs:{region}:{account}:log-group:/rocca/{name}/*", "arn:aws:logs:{region}:{account}:log-group:/aws/rds/instance/{name}-*", "arn:aws:logs:{region}:{account}:log-group:aws-waf-logs-{name}*"},
		},
		{
			sid:     "Messages",
			actions: []string{"sns:*Topic", "sns:*TopicAttributes", "sns:Subscribe", "sns:*Resource"},
			on:      []string{"arn:aws:sns:{region}:{account}:{name}-*"},
		},
		{
			sid:     "Watch",
			actions: []string{"cloudwatch:*Alarms", "cloudwatch:*MetricAlarm", "cloudwatch:*CompositeAlarm", "cloudwatch:*Dashboard*", "cloudwatch:*Resource"},
			on:      []string{"arn:aws:cloudwatch:{region}:{account}:alarm:{name}-*", "arn:aws:cloudwatch::{account}:dashboard/{name}", "arn:aws:cloudwatch::{account}:dashboard/{name}-*"},
		},
		{
			sid:     "Rules",
			actions: []string{"events:*"},
			on:      []string{"arn:aws:events:{region}:{account}:rule/{name}-*"},
		},
		{
			sid:     "Trail",
			actions: []string{"cloudtrail:AddTags", "cloudtrail:CreateTrail", "cloudtrail:DeleteTrail", "cloudtrail:GetEventSelectors", "cloudtrail:GetTrail*", "cloudtrail:ListTags", "cloudtrail:PutEventSelectors", "cloudtrail:RemoveTags", "cloudtrail:StartLogging", "cloudtrail:StopLogging", "cloudtrail:UpdateTrail"},
			on:      []string{"arn:aws:cloudtrail:{region}:{account}:trail/{name}", "arn:aws:cloudtrail:{region}:{account}:trail/{name}-*"},
		},
		{
			sid:     "Budget",
			actions: []string{"budgets:*"},
			on:      []string{"arn:aws:budgets::{account}:budget/{name}", "arn:aws:budgets::{account}:budget/{name}-*"},
		},
		{
			sid:     "Vaults",
			actions: []string{"backup:*Vault*", "backup:ListTags", "backup:TagResource", "backup:UntagResource"},
			on:      []string{"arn:aws:backup:{region}:{account}:backup-vault:{name}-*"},
		},
		{
			sid:     "BackupPlans", // their ids say nothing, and the first call comes before the tag
			actions: []string{"backup:*BackupPlan", "backup:*BackupSelection", "backup:*RestoreTesting*", "backup:ListTags", "backup:TagResource", "backup:UntagResource"},
			on:      []string{"arn:aws:backup:{region}:{account}:backup-plan:*", "arn:aws:backup:{region}:{account}:restore-testing-plan:{name}_*"},
		},
		{
			sid:     "Database",
			actions: []string{"rds:Add*", "rds:Create*", "rds:Delete*", "rds:ListTagsForResource", "rds:Modify*", "rds:Reboot*", "rds:Remove*", "rds:Reset*"},
			on:      []string{"arn:aws:rds:{region}:{account}:*:{name}-*"},
		},
		{
			sid:     "DatabaseFrom", // making an instance asks for the right to what comes with the engine
			actions: []string{"rds:CreateDBInstance", "rds:ModifyDBInstance"},
			on:      []string{"arn:aws:rds:{region}:{account}:og:default:*"},
		},
		{
			sid:     "Cache",
			actions: []string{"elasticache:[A-CE-Z]*", "elasticache:Decrease*", "elasticache:Delete*"},
			on:      []string{"arn:aws:elasticache:{region}:{account}:*:{name}-*"},
		},
		{
			sid:     "CacheFrom",
			actions: []string{"elasticache:CreateReplicationGroup", "elasticache:ModifyReplicationGroup", "elasticache:CreateUserGroup", "elasticache:ModifyUserGroup"},
			on:      []string{"arn:aws:elasticache:{region}:{account}:parametergroup:default.*", "arn:aws:elasticache:{region}:{account}:user:default"},
		},
		{
			sid:     "Firewall",
			actions: []string{"wafv2:[A-KM-Z]*", "wafv2:ListTagsForResource"},
			on:      []string{"arn:aws:wafv2:{region}:{account}:regional/*/{name}/*", "arn:aws:wafv2:{region}:{account}:regional/*/{name}-*/*"},
		},
		{
			sid:     "FirewallFrom", // the rule sets of AWS, and what is protected
			actions: []string{"wafv2:CreateWebACL", "wafv2:UpdateWebACL", "wafv2:AssociateWebACL", "wafv2:DisassociateWebACL", "wafv2:GetWebACLForResource", "elasticloadbalancing:SetWebAcl"},
			on:      []string{"arn:aws:wafv2:{region}:*:regional/managedruleset/*/*", "arn:aws:elasticloadbalancing:{region}:{account}:loadbalancer/app/*/*"},
		},
		{
			sid:     "Groups",
			actions: []string{"autoscaling:[A-CE-Z]*", "autoscaling:Delete*", "autoscaling:Detach*", "autoscaling:Disable*"},
			on:      []string{"arn:aws:autoscaling:{region}:{account}:autoScalingGroup:*:autoScalingGroupName/{name}-*"},
		},
		{
			sid:     "DNS",
			actions: []string{"route53:ChangeResourceRecordSets", "route53:GetHostedZone", "route53:ListResourceRecordSets"},
			on:      []string{"arn:aws:route53:::hostedzone/{zone}"},
		},
		{
			sid:     "DNSChanges",
			actions: []string{"route53:GetChange"},
			on:      []string{"arn:aws:route53:::change/*"},
		},
		{
			// Those that take away or open what others may own. CloudFormation
			// puts the tag on when it makes them.
			sid: "Own",
			actions: []string{
				"ec2:*IamInstanceProfile", "ec2:GetConsoleOutput", "ec2:ModifyInstance*", "ec2:StartInstances", "ec2:StopInstances", "ec2:TerminateInstances",
				"ec2:AuthorizeSecurityGroup*", "ec2:DeleteFlowLogs", "ec2:DeleteInternetGateway", "ec2:DeleteNatGateway", "ec2:DeleteNetworkAcl*", "ec2:DeleteRoute*",
				"ec2:DeleteSecurityGroup", "ec2:DeleteSubnet", "ec2:DeleteVolume", "ec2:DeleteVpc", "ec2:DeleteVpcEndpoints", "ec2:ModifySubnetAttribute", "ec2:ModifyVpcAttribute",
				"ec2:ReleaseAddress",
			},
			on:   []string{"arn:aws:ec2:{region}:{account}:*"},
			when: ours,
		},
		{
			sid:     "OwnRules",
			only:    Deploy,
			actions: []string{"ec2:RevokeSecurityGroup*"},
			on:      []string{"arn:aws:ec2:{region}:{account}:*"},
			when:    ours,
		},
		{
			sid:     "OwnRulesOfAnIncident",
			only:    Respond,
			actions: []string{"ec2:RevokeSecurityGroup*", "ec2:ReplaceNetworkAclAssociation", "ec2:DisassociateAddress", "ec2:AssociateAddress"},
			on:      []string{"arn:aws:ec2:{region}:{account}:*"},
			when:    ours,
		},
		{
			// A card has no tag. It gets into groups of ours only, and an address
			// of ours.
			sid:     "NetworkCards",
			only:    Respond,
			actions: []string{"ec2:ModifyNetworkInterfaceAttribute", "ec2:AssociateAddress", "ec2:*ssignIpv6Addresses"},
			on:      []string{"arn:aws:ec2:{region}:{account}:network-interface/*"},
		},
		{
			sid:     "GroupsOfCards",
			only:    Respond,
			actions: []string{"ec2:ModifyNetworkInterfaceAttribute"},
			on:      []string{"arn:aws:ec2:{region}:{account}:security-group/*"},
			when:    ours,
		},
		{
			sid:     "CopyDisks",
			only:    Respond,
			actions: []string{"ec2:CreateSnapshot", "ec2:CreateSnapshots"},
			on:      []string{"arn:aws:ec2:{region}:{account}:instance/*", "arn:aws:ec2:{region}:{account}:volume/*"},
			when:    ours,
		},
		{
			sid:     "NewCopies",
			only:    Respond,
			actions: []string{"ec2:CopySnapshot", "ec2:CreateSnapshot", "ec2:CreateSnapshots"},
			on:      []string{"arn:aws:ec2:{region}::snapshot/*"},
		},
		{
			sid:     "KeepCopies",
			only:    Respond,
			actions: []string{"ec2:LockSnapshot", "ec2:ModifySnapshotAttribute"},
			on:      []string{"arn:aws:ec2:{region}::snapshot/*"},
			when:    Condition{"Null": {"aws:ResourceTag/rocca:case": {"false"}}},
		},
		{
			sid:     "RunOnServers",
			actions: []string{"ssm:SendCommand"},
			on:      []string{"arn:aws:ec2:{region}:{account}:instance/*"},
			when:    ours,
		},
		{
			sid:     "RunAsShell",
			actions: []string{"ssm:SendCommand"},
			on:      []string{"arn:aws:ssm:{region}::document/AWS-RunShellScript"},
		},
		{
			sid:     "StolenKeys",
			only:    Respond,
			actions: []string{"iam:ListAccessKeys", "iam:ListAttachedUserPolicies", "iam:ListUserPolicies", "iam:PutUserPolicy", "iam:UpdateAccessKey"},
			on:      []string{"arn:aws:iam::{account}:user/*"},
		},
		{
			sid:     "Quarantine",
			only:    Respond,
			actions: []string{"iam:AttachUserPolicy"},
			on:      []string{"arn:aws:iam::{account}:user/*"},
			when:    Condition{"ArnLike": {"iam:PolicyARN": {"arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantine*"}}},
		},
		{
			sid:     "DefaultRules", // AWS makes the default group of a network, without a tag
			only:    Account,
			actions: []string{"ec2:RevokeSecurityGroup*"},
			on:      []string{"arn:aws:ec2:{region}:{account}:security-group/*"},
		},
		{
			sid:     "OwnEdge",
			actions: []string{"elasticloadbalancing:Delete*", "elasticloadbalancing:Deregister*", "elasticloadbalancing:Modify*", "elasticloadbalancing:RegisterTargets", "elasticloadbalancing:RemoveTags", "elasticloadbalancing:RemoveListenerCertificates"},
			on:      []string{"arn:aws:elasticloadbalancing:{region}:{account}:*"},
			when:    ours,
		},
		{
			sid:     "OwnCertificate",
			actions: []string{"acm:DeleteCertificate", "acm:RemoveTagsFromCertificate", "acm:UpdateCertificateOptions"},
			on:      []string{"arn:aws:acm:{region}:{account}:certificate/*"},
			when:    ours,
		},
		{
			sid:     "TagWhatIsNew",
			actions: []string{"ec2:CreateTags"},
			on:      []string{"arn:aws:ec2:{region}:{account}:*"},
			when:    Condition{"Null": {"ec2:CreateAction": {"false"}}},
		},
		{
			sid:     "TagWhatIsOurs",
			actions: []string{"ec2:CreateTags", "ec2:DeleteTags"},
			on:      []string{"arn:aws:ec2:{region}:{account}:*"},
			when:    ours,
		},
		{
			sid:     "GiveRoles",
			actions: []string{"iam:PassRole"},
			on:      []string{"arn:aws:iam::{account}:role/{name}-*", "arn:aws:iam::{account}:role/aws-service-role/config.amazonaws.com/*"},
			when:    Condition{"StringEquals": {"iam:PassedToService": passedTo()}},
		},
		{
			sid:     "RolesThatServicesMake",
			actions: []string{"iam:CreateServiceLinkedRole"},
			on:      []string{"arn:aws:iam::{account}:role/aws-service-role/*"},
			when:    Condition{"StringEquals": {"iam:AWSServiceName": serviceLinked()}},
		},
		{
			sid:     "EverywhereInTheWorld", // services without regions, and prices, which are kept in few
			actions: []string{"account:*", "pricing:*", "s3:*AccountPublicAccessBlock", "s3:ListAllMyBuckets", "iam:*", "route53:*", "sts:*"},
			on:      []string{"*"},
			rest:    true,
			reads:   true,
		},
		{
			sid:     "InTheRegion",
			actions: []string{"*"},
			on:      []string{"*"},
			when:    Condition{"StringEquals": {"aws:RequestedRegion": {"{region}"}}},
			rest:    true,
			reads:   true,
		},
	}
}

// passedTo are the services that get a role of the deployment.
func passedTo() []string {
	return []string{"backup.amazonaws.com", "cloudtrail.amazonaws.com", "config.amazonaws.com", "ec2.amazonaws.com", "events.amazonaws.com", "monitoring.rds.amazonaws.com", "vpc-flow-logs.amazonaws.com"}
}

// serviceLinked are the services that make a role of their own when they are
// first used in an account.
func serviceLinked() []string {
	return []string{"access-analyzer.amazonaws.com", "agentless.inspector2.amazonaws.com", "autoscaling.amazonaws.com", "backup.amazonaws.com", "config.amazonaws.com",
		"ec2-instance-connect.amazonaws.com", "elasticache.amazonaws.com", "elasticloadbalancing.amazonaws.com", "guardduty.amazonaws.com", "inspector2.amazonaws.com",
		"malware-protection.guardduty.amazonaws.com", "rds.amazonaws.com", "securityhub.amazonaws.com", "wafv2.amazonaws.com", "delivery.logs.amazonaws.com"}
}
