package cloud

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"rocca/internal/aws/client"
	"rocca/internal/facts"
)

// parameters of a database that say how safe it is. No other is kept: one of
// them could be anything.
var parameters = []string{
	"general_log", "innodb_file_per_table", "local_infile", "log_output", "long_query_time", "max_allowed_packet", "require_secure_transport", "secure_file_priv",
	"skip_name_resolve", "skip_show_database", "slow_query_log", "sql_mode", "ssl_cipher", "tls_version",
}

func (o *observer) askDatabases(ctx context.Context) ([]facts.CloudDatabase, error) {
	type database struct {
		ID         string `xml:"DBInstanceIdentifier"`
		ARN        string `xml:"DBInstanceArn"`
		Engine     string
		Version    string   `xml:"EngineVersion"`
		Status     string   `xml:"DBInstanceStatus"`
		Public     bool     `xml:"PubliclyAccessible"`
		Encrypted  bool     `xml:"StorageEncrypted"`
		Key        string   `xml:"KmsKeyId"`
		MultiAZ    bool     `xml:"MultiAZ"`
		BackupDays int      `xml:"BackupRetentionPeriod"`
		Restorable moment   `xml:"LatestRestorableTime"`
		Protected  bool     `xml:"DeletionProtection"`
		CopiesTags bool     `xml:"CopyTagsToSnapshot"`
		Minor      bool     `xml:"AutoMinorVersionUpgrade"`
		Lifecycle  string   `xml:"EngineLifecycleSupport"`
		Logs       []string `xml:"EnabledCloudwatchLogsExports>member"`
		Monitoring int      `xml:"MonitoringInterval"`
		Master     string   `xml:"MasterUsername"`
		Secret     string   `xml:"MasterUserSecret>SecretArn"`
		IAM        bool     `xml:"IAMDatabaseAuthenticationEnabled"`
		Authority  string   `xml:"CACertificateIdentifier"`
		Storage    string   `xml:"StorageType"`
		VPC        string   `xml:"DBSubnetGroup>VpcId"`
		Subnets    []string `xml:"DBSubnetGroup>Subnets>Subnet>SubnetIdentifier"`
		Groups     []string `xml:"VpcSecurityGroups>VpcSecurityGroupMembership>VpcSecurityGroupId"`
		Parameters []struct {
			Name   string `xml:"DBParameterGroupName"`
			Status string `xml:"ParameterApplyStatus"`
		} `xml:"DBParameterGroups>DBParameterGroup"`
		Created moment  `xml:"InstanceCreateTime"`
		Tags    tagList `xml:"TagList>Tag"`
	}
	place, err := o.place(ctx)
	if err != nil {
		return nil, err
	}
	var all []facts.CloudDatabase
	err = pages(func(mark string) (string, error) {
		var out struct {
			Next      string     `xml:"Marker"`
			Databases []database `xml:"DBInstances>DBInstance"`
		}
		err := client.AskQuery(ctx, o.cloud, "rds:DescribeDBInstances", client.Form{"MaxRecords": "100", "Marker": mark}, &out)
		for _, d := range out.Databases {
			tags := d.Tags.tags()
			if !place(d.VPC) && !o.ours(tags) {
				continue
			}
			one := facts.CloudDatabase{
				ID: d.ID, ARN: d.ARN, Engine: d.Engine, Version: d.Version, Status: d.Status, Public: d.Public, Encrypted: d.Encrypted, Key: d.Key,
				MultiAZ: d.MultiAZ, BackupDays: d.BackupDays, Restorable: d.Restorable.Time, Protected: d.Protected, CopiesTags: d.CopiesTags,
				MinorUpgrades: d.Minor, Lifecycle: d.Lifecycle, Logs: d.Logs, Monitoring: d.Monitoring, Master: d.Master, MasterSecret: d.Secret,
				IAMLogin: d.IAM, Authority: d.Authority, Storage: d.Storage, VPC: d.VPC, Subnets: d.Subnets, Groups: d.Groups, InSync: true,
				Created: d.Created.Time, Tags: tags,
			}
			for _, p := range d.Parameters {
				one.ParameterGroup, one.InSync = p.Name, one.InSync && p.Status == "in-sync"
			}
			all = append(all, one)
		}
		return out.Next, err
	})
	return sorted(all, func(d facts.CloudDatabase) string { return d.ID }), err
}

func (o *observer) seeDatabases(ctx context.Context) (found, error) {
	list, err := o.databases.get(ctx)
	if err != nil {
		return nil, err
	}
	list, err = each(slices.Clone(list), func(d *facts.CloudDatabase) error {
		if d.ParameterGroup == "" {
			return nil
		}
		d.Parameters = map[string]string{}
		return pages(func(mark string) (string, error) {
			var out struct {
				Next       string `xml:"Marker"`
				Parameters []struct {
					Name  string `xml:"ParameterName"`
					Value string `xml:"ParameterValue"`
				} `xml:"Parameters>Parameter"`
			}
			err := client.AskQuery(ctx, o.cloud, "rds:DescribeDBParameters", client.Form{"DBParameterGroupName": d.ParameterGroup, "MaxRecords": "100", "Marker": mark}, &out)
			if gone(err) && strings.HasPrefix(d.ParameterGroup, "default.") {
				return "", nil // nobody has changed anything, so nothing is set
			}
			for _, p := range out.Parameters {
				if p.Value != "" && slices.Contains(parameters, p.Name) {
					d.Parameters[p.Name] = p.Value
				}
			}
			return out.Next, err
		})
	})
	return func(c *facts.Cloud) { c.Databases = list }, err
}

func (o *observer) seeDBSnapshots(ctx context.Context) (found, error) {
	databases, err := o.databases.get(ctx)
	if err != nil {
		return nil, err
	}
	own := ids(databases, func(d facts.CloudDatabase) string { return d.ID })
	type snapshot struct {
		ID        string `xml:"DBSnapshotIdentifier"`
		Database  string `xml:"DBInstanceIdentifier"`
		Encrypted bool
		Kind      string  `xml:"SnapshotType"`
		Tags      tagList `xml:"TagList>Tag"`
		shared    []string
	}
	var list []snapshot
	err = pages(func(mark string) (string, error) {
		var out struct {
			Next      string     `xml:"Marker"`
			Snapshots []snapshot `xml:"DBSnapshots>DBSnapshot"`
		}
		err := client.AskQuery(ctx, o.cloud, "rds:DescribeDBSnapshots", client.Form{"MaxRecords": "100", "Marker": mark}, &out)
		for _, s := range out.Snapshots {
			if own[s.Database] || o.ours(s.Tags.tags()) {
				list = append(list, s)
			}
		}
		return out.Next, err
	})
	if err != nil {
		return nil, err
	}
	list, err = each(list, func(s *snapshot) error {
		if s.Kind == "automated" { // of which RDS lets nobody else have any
			return nil
		}
		var out struct {
			Attributes []struct {
				Name   string   `xml:"AttributeName"`
				Values []string `xml:"AttributeValues>AttributeValue"`
			} `xml:"DBSnapshotAttributesResult>DBSnapshotAttributes>DBSnapshotAttribute"`
		}
		err := client.AskQuery(ctx, o.cloud, "rds:DescribeDBSnapshotAttributes", client.Form{"DBSnapshotIdentifier": s.ID}, &out)
		for _, a := range out.Attributes {
			if a.Name == "restore" {
				s.shared = a.Values
			}
		}
		return err
	})
	var all []facts.DBSnapshot
	for _, s := range list {
		all = append(all, facts.DBSnapshot{ID: s.ID, Database: s.Database, Encrypted: s.Encrypted, SharedTo: s.shared})
	}
	all = sorted(all, func(s facts.DBSnapshot) string { return s.ID })
	return func(c *facts.Cloud) { c.DBSnapshots = all }, err
}

func (o *observer) seeDBAuthorities(ctx context.Context) (found, error) {
	var all []facts.DBAuthority
	err := pages(func(mark string) (string, error) {
		var out struct {
			Next         string `xml:"Marker"`
			Certificates []struct {
				ID      string `xml:"CertificateIdentifier"`
				Expires moment `xml:"ValidTill"`
			} `xml:"Certificates>Certificate"`
		}
		err := client.AskQuery(ctx, o.cloud, "rds:DescribeCertificates", client.Form{"MaxRecords": "100", "Marker": mark}, &out)
		for _, c := range out.Certificates {
			all = append(all, facts.DBAuthority{ID: c.ID, Expires: c.Expires.Time})
		}
		return out.Next, err
	})
	return func(c *facts.Cloud) { c.DBAuthorities = all }, err
}

// seeDBEngines asks about those that are used.
func (o *observer) seeDBEngines(ctx context.Context) (found, error) {
	databases, err := o.databases.get(ctx)
	if err != nil {
		return nil, err
	}
	var all []facts.DBEngine
	for _, engine := range slices.Sorted(maps.Keys(ids(databases, func(d facts.CloudDatabase) string { return d.Engine }))) {
		err := pages(func(mark string) (string, error) {
			var out struct {
				Next     string `xml:"Marker"`
				Versions []struct {
					Engine     string
					Major      string `xml:"MajorEngineVersion"`
					Lifecycles []struct {
						Name string `xml:"LifecycleSupportName"`
						End  moment `xml:"LifecycleSupportEndDate"`
					} `xml:"SupportedEngineLifecycles>SupportedEngineLifecycle"`
				} `xml:"DBMajorEngineVersions>DBMajorEngineVersion"`
			}
			err := client.AskQuery(ctx, o.cloud, "rds:DescribeDBMajorEngineVersions", client.Form{"Engine": engine, "MaxRecords": "100", "Marker": mark}, &out)
			for _, v := range out.Versions {
				one := facts.DBEngine{Engine: v.Engine, Major: v.Major}
				for _, l := range v.Lifecycles {
					if l.Name == "open-source-rds-standard-support" {
						one.StandardEnds = l.End.Time
					}
				}
				all = append(all, one)
			}
			return out.Next, err
		})
		if err != nil {
			return nil, err
		}
	}
	return func(c *facts.Cloud) { c.DBEngines = all }, nil
}

func (o *observer) seeCaches(ctx context.Context) (found, error) {
	type cache struct {
		ID          string `xml:"ReplicationGroupId"`
		ARN         string
		Engine      string
		Transit     bool     `xml:"TransitEncryptionEnabled"`
		TransitMode string   `xml:"TransitEncryptionMode"`
		AtRest      bool     `xml:"AtRestEncryptionEnabled"`
		Key         string   `xml:"KmsKeyId"`
		UserGroups  []string `xml:"UserGroupIds>member"`
		AuthToken   bool     `xml:"AuthTokenEnabled"`
		Failover    string   `xml:"AutomaticFailover"`
		Backups     int      `xml:"SnapshotRetentionLimit"`
		Upgrades    bool     `xml:"AutoMinorVersionUpgrade"`
		tags        facts.Tags
	}
	var list []cache
	err := pages(func(mark string) (string, error) {
		var out struct {
			Next   string  `xml:"Marker"`
			Groups []cache `xml:"ReplicationGroups>ReplicationGroup"`
		}
		err := client.AskQuery(ctx, o.cloud, "elasticache:DescribeReplicationGroups", client.Form{"MaxRecords": "100", "Marker": mark}, &out)
		list = append(list, out.Groups...)
		return out.Next, err
	})
	if err != nil {
		return nil, err
	}
	list, err = each(list, func(c *cache) error {
		var out struct {
			Tags tagList `xml:"TagList>Tag"`
		}
		err := client.AskQuery(ctx, o.cloud, "elasticache:ListTagsForResource", client.Form{"ResourceName": c.ARN}, &out)
		c.tags = out.Tags.tags()
		return err
	})
	var all []facts.CloudCache
	for _, c := range list {
		if o.ours(c.tags) {
			all = append(all, facts.CloudCache{
				ID: c.ID, Engine: c.Engine, Transit: c.Transit, TransitMode: c.TransitMode, AtRest: c.AtRest, Key: c.Key, UserGroups: c.UserGroups,
				AuthToken: c.AuthToken, Failover: strings.HasPrefix(c.Failover, "enabl"), Backups: c.Backups, Upgrades: c.Upgrades, Tags: c.tags,
			})
		}
	}
	all = sorted(all, func(c facts.CloudCache) string { return c.ID })
	return func(c *facts.Cloud) { c.Caches = all }, err
}

// seeSecrets never asks for a value.
func (o *observer) seeSecrets(ctx context.Context) (found, error) {
	masters := map[string]bool{}
	if !o.all() { // RDS does not hand its tags on to the secret it makes
		databases, err := o.databases.get(ctx)
		if err != nil {
			return nil, err
		}
		masters = ids(databases, func(d facts.CloudDatabase) string { return d.MasterSecret })
	}
	var all []facts.CloudSecret
	err := pages(func(mark string) (string, error) {
		var out struct {
			NextToken  string
			SecretList []struct {
				ARN, Name, KmsKeyID, OwningService                                           string
				LastChangedDate, LastAccessedDate, CreatedDate, DeletedDate, LastRotatedDate moment
				RotationEnabled                                                              bool
				RotationRules                                                                struct{ AutomaticallyAfterDays int }
				SecretVersionsToStages                                                       map[string][]string
				Tags                                                                         tagList
			}
		}
		err := client.Ask(ctx, o.cloud, "secretsmanager:ListSecrets", marked(client.Fields{"MaxResults": 100, "IncludePlannedDeletion": true}, "NextToken", mark), &out)
		for _, s := range out.SecretList {
			tags := s.Tags.tags()
			if !masters[s.ARN] && !o.ours(tags) {
				continue
			}
			one := facts.CloudSecret{
				ARN: s.ARN, Name: s.Name, Key: s.KmsKeyID, Changed: s.LastChangedDate.Time, Accessed: s.LastAccessedDate.Time, Created: s.CreatedDate.Time,
				Rotates: s.RotationEnabled, Rotated: s.LastRotatedDate.Time, RotationDays: s.RotationRules.AutomaticallyAfterDays, Owner: s.OwningService,
				Deleted: !s.DeletedDate.IsZero(), Tags: tags,
			}
			for _, stages := range s.SecretVersionsToStages {
				one.Stages = append(one.Stages, stages...)
			}
			slices.Sort(one.Stages)
			all = append(all, one)
		}
		return out.NextToken, err
	})
	if err != nil {
		return nil, err
	}
	all, err = each(all, func(s *facts.CloudSecret) error {
		if s.Deleted { // of which nothing more is told
			return nil
		}
		var out struct{ ResourcePolicy string }
		err := client.Ask(ctx, o.cloud, "secretsmanager:GetResourcePolicy", client.Fields{"SecretId": s.ARN}, &out)
		s.Policy = out.ResourcePolicy
		return err
	})
	all = sorted(all, func(s facts.CloudSecret) string { return s.ARN })
	return func(c *facts.Cloud) { c.Secrets = all }, err
}

// seeParameters never asks for a value. A list of parameters has no tags: ours
// are those below /rocca/NAME, and EC2's place for private keys is looked at in
// any case.
func (o *observer) seeParameters(ctx context.Context) (found, error) {
	var all []facts.Parameter
	err := pages(func(mark string) (string, error) {
		var out struct {
			NextToken  string
			Parameters []struct {
				Name, Type       string
				LastModifiedDate moment
			}
		}
		err := client.Ask(ctx, o.cloud, "ssm:DescribeParameters", marked(client.Fields{"MaxResults": 50}, "NextToken", mark), &out)
		for _, p := range out.Parameters {
			if o.all() || strings.Contains(p.Name, "/"+o.Deployment+"/") || strings.HasPrefix(p.Name, "/ec2/keypair/") {
				all = append(all, facts.Parameter{Name: p.Name, Kind: p.Type, Changed: p.LastModifiedDate.Time})
			}
		}
		return out.NextToken, err
	})
	all = sorted(all, func(p facts.Parameter) string { return p.Name })
	return func(c *facts.Cloud) { c.Parameters = all }, err
}

func (o *observer) seeDocuments(ctx context.Context) (found, error) {
	var all []facts.ManagedDocument
	err := pages(func(mark string) (string, error) {
		var out struct {
			NextToken           string
			DocumentIdentifiers []struct {
				Name string
				Tags tagList
			}
		}
		own := []client.Fields{{"Key": "Owner", "Values": []string{"Self"}}}
		err := client.Ask(ctx, o.cloud, "ssm:ListDocuments", marked(client.Fields{"MaxResults": 50, "Filters": own}, "NextToken", mark), &out)
		for _, d := range out.DocumentIdentifiers {
			if o.ours(d.Tags.tags()) {
				all = append(all, facts.ManagedDocument{Name: d.Name})
			}
		}
		return out.NextToken, err
	})
	if err != nil {
		return nil, err
	}
	all, err = each(all, func(d *facts.ManagedDocument) error {
		var out struct{ AccountIDs []string }
		err := client.Ask(ctx, o.cloud, "ssm:DescribeDocumentPermission", client.Fields{"Name": d.Name, "PermissionType": "Share"}, &out)
		d.SharedTo = out.AccountIDs
		return err
	})
	all = sorted(all, func(d facts.ManagedDocument) string { return d.Name })
	return func(c *facts.Cloud) { c.Documents = all }, err
}

// seeKeys takes those that this account manages.
func (o *observer) seeKeys(ctx context.Context) (found, error) {
	type key struct {
		ID   string `json:"KeyId"`
		fact facts.CloudKey
	}
	var list []key
	err := pages(func(mark string) (string, error) {
		var out struct {
			NextMarker string
			Keys       []key
		}
		err := client.Ask(ctx, o.cloud, "kms:ListKeys", marked(client.Fields{"Limit": 1000}, "Marker", mark), &out)
		list = append(list, out.Keys...)
		return out.NextMarker, err
	})
	if err != nil {
		return nil, err
	}
	aliases := map[string][]string{}
	err = pages(func(mark string) (string, error) {
		var out struct {
			NextMarker string
			Aliases    []struct {
				AliasName   string
				TargetKeyID string
			}
		}
		err := client.Ask(ctx, o.cloud, "kms:ListAliases", marked(client.Fields{"Limit": 100}, "Marker", mark), &out)
		for _, a := range out.Aliases {
			aliases[a.TargetKeyID] = append(aliases[a.TargetKeyID], a.AliasName)
		}
		return out.NextMarker, err
	})
	if err != nil {
		return nil, err
	}
	others := func(k key) bool { return !slices.ContainsFunc(aliases[k.ID], o.named) && !o.all() }
	list, err = eachOfOurs(list, others, func(k *key) error {
		var err error
		k.fact, err = o.askKey(ctx, k.ID)
		k.fact.Aliases = aliases[k.ID]
		return err
	})
	var all []facts.CloudKey
	for _, k := range list {
		if k.fact.ARN != "" {
			all = append(all, k.fact)
		}
	}
	all = sorted(all, func(k facts.CloudKey) string { return k.ARN })
	return func(c *facts.Cloud) { c.Keys = all }, err
}

// askKey is zero of a key that AWS manages, or that is not ours.
func (o *observer) askKey(ctx context.Context, id string) (facts.CloudKey, error) {
	var about struct {
		KeyMetadata struct{ ARN, KeyManager, KeyState, KeySpec, CustomerMasterKeySpec, Origin string }
	}
	if err := client.Ask(ctx, o.cloud, "kms:DescribeKey", client.Fields{"KeyId": id}, &about); err != nil || about.KeyMetadata.KeyManager != "CUSTOMER" {
		return facts.CloudKey{}, err
	}
	m := about.KeyMetadata
	one := facts.CloudKey{ARN: m.ARN, State: m.KeyState, Kind: cmp.Or(m.KeySpec, m.CustomerMasterKeySpec)}
	var list struct {
		Tags []struct{ TagKey, TagValue string }
	}
	if err := client.Ask(ctx, o.cloud, "kms:ListResourceTags", client.Fields{"KeyId": id}, &list); err != nil {
		return facts.CloudKey{}, err
	}
	for _, t := range list.Tags {
		if one.Tags == nil {
			one.Tags = facts.Tags{}
		}
		one.Tags[t.TagKey] = t.TagValue
	}
	if !o.ours(one.Tags) {
		return facts.CloudKey{}, nil
	}
	var policy struct{ Policy string }
	if err := client.Ask(ctx, o.cloud, "kms:GetKeyPolicy", client.Fields{"KeyId": id, "PolicyName": "default"}, &policy); err != nil {
		return facts.CloudKey{}, err
	}
	one.Policy = policy.Policy
	if one.Kind != "SYMMETRIC_DEFAULT" || m.Origin != "" && m.Origin != "AWS_KMS" || one.State == "PendingDeletion" {
		return one, nil // none of these can rotate
	}
	var rotation struct{ KeyRotationEnabled bool }
	err := client.Ask(ctx, o.cloud, "kms:GetKeyRotationStatus", client.Fields{"KeyId": id}, &rotation)
	one.Rotates = rotation.KeyRotationEnabled
	return one, err
}
