package stack

import (
	"strings"
	"testing"

	"rocca/internal/aws/settings"
)

// withRDS calls a test with everything that has its database in RDS.
func withRDS(t *testing.T, test func(trial)) {
	everyProfile(t, func(t trial) {
		if t.has("data.Database") {
			test(t)
		}
	})
}

func TestDatabase(t *testing.T) {
	withRDS(t, func(t trial) {
		r := t.one("data.Database")
		for path, want := range map[string]string{
			"Engine":                          `"mysql"`,
			"EngineVersion":                   `"8.4.9"`,
			"EngineLifecycleSupport":          `"open-source-rds-extended-support-disabled"`,
			"AutoMinorVersionUpgrade":         "true",
			"AllowMajorVersionUpgrade":        "false",
			"DBName":                          `"matomo"`,
			"DBInstanceIdentifier":            `"stats-matomo"`,
			"MasterUsername":                  `"rocca_admin"`,
			"MasterUserPassword":              "null",
			"ManageMasterUserPassword":        "true",
			"MasterUserSecret/KmsKeyId":       later(Base, "Key"),
			"EnableIAMDatabaseAuthentication": "true",
			"PubliclyAccessible":              "false",
			"VPCSecurityGroups":               "[" + later(Base, "DatabaseGroup") + "]",
			"DBSubnetGroupName/Ref":           `"DatabaseSubnets"`,
			"DBParameterGroupName/Ref":        `"DatabaseParameters"`,
			"CACertificateIdentifier":         `"rds-ca-rsa2048-g1"`,
			"StorageType":                     `"gp3"`,
			"StorageEncrypted":                "true",
			"KmsKeyId":                        later(Base, "Key"),
			"DeletionProtection":              "true",
			"DeleteAutomatedBackups":          "false",
			"BackupRetentionPeriod":           "14",
			"CopyTagsToSnapshot":              "true",
			"EnableCloudwatchLogsExports":     `["error","slowquery","iam-db-auth-error"]`,
			"MonitoringInterval":              "60",
			"MonitoringRoleArn":               `{"Fn::GetAtt":["DatabaseMonitor","Arn"]}`,
		} {
			t.wants(r, path, want)
		}
		if r.DeletionPolicy != "Snapshot" || r.UpdateReplacePolicy != "Snapshot" {
			t.Errorf("deleted with %q, replaced with %q", r.DeletionPolicy, r.UpdateReplacePolicy)
		}
		if tags := inJSON(r.at("Tags")); !strings.Contains(tags, `{"Key":"rocca:backup","Value":"yes"}`) {
			t.Errorf("tags: %s", tags)
		}
		t.wants(t.one("data.DatabaseParameters"), "Family", `"mysql8.4"`)
		for name, want := range map[string]string{
			"require_secure_transport": "1", "tls_version": "TLSv1.2,TLSv1.3", "local_infile": "0", "slow_query_log": "1", "log_output": "FILE",
		} {
			t.wants(t.one("data.DatabaseParameters"), "Parameters/"+name, inJSON(want))
		}
	})
	for want, s := range map[string]settings.Settings{
		"false": chosen(t, settings.Single, value{"database.kind", settings.DatabaseRDS}), "true": chosen(t, settings.Standard),
	} {
		tr := try(t, s)
		tr.wants(tr.one("data.Database"), "MultiAZ", want)
	}
}

// RDS makes the logs that it finds missing: without key, and for ever.
func TestDatabaseLogs(t *testing.T) {
	withRDS(t, func(t trial) {
		r := t.one("data.Database")
		logs := map[string]string{}
		for _, id := range r.DependsOn {
			group := t.one("data." + id)
			t.wants(group, "KmsKeyId", later(Base, "LogKey"))
			if group.at("RetentionInDays") == nil {
				t.Errorf("%s is kept for ever", id)
			}
			logs[group.at("LogGroupName").(string)] = id
		}
		for _, export := range r.list("EnableCloudwatchLogsExports") {
			if logs["/aws/rds/instance/stats-matomo/"+export.(string)] == "" {
				t.Errorf("the log %s is not made before the database: %v", export, logs)
			}
		}
	})
}

// What the smallest classes cannot do would stop a deployment half-way.
func TestInsights(t *testing.T) {
	for class, want := range map[string]string{"db.t4g.micro": "null", "db.t4g.small": "null", "db.t3.small": "null", "db.t4g.medium": "true", "db.m7g.large": "true"} {
		tr := try(t, chosen(t, settings.Standard, value{"database.class", class}))
		r := tr.one("data.Database")
		tr.wants(r, "EnablePerformanceInsights", want)
		if want == "true" {
			tr.wants(r, "PerformanceInsightsRetentionPeriod", "7")
			tr.wants(r, "PerformanceInsightsKMSKeyId", later(Base, "Key"))
		}
	}
}

func TestDatabaseAlarms(t *testing.T) {
	for class, want := range map[string]struct {
		connections, memory string
		credits             bool
	}{
		"db.t4g.micro":   {"50", "67108864", true},
		"db.t4g.medium":  {"240", "268435456", true},
		"db.m7g.large":   {"500", "536870912", false},
		"db.r7g.2xlarge": {"1000", "1073741824", false},
	} {
		tr := try(t, chosen(t, settings.Standard, value{"database.class", class}))
		tr.wants(tr.one("data.DatabaseConnectionsAlarm"), "Threshold", want.connections)
		tr.wants(tr.one("data.DatabaseMemoryAlarm"), "Threshold", want.memory)
		tr.wants(tr.one("data.DatabaseStorageAlarm"), "Threshold", "2147483648")
		tr.wants(tr.one("data.DatabaseCPUAlarm"), "Dimensions", `[{"Name":"DBInstanceIdentifier","Value":{"Ref":"Database"}}]`)
		if tr.has("data.DatabaseCreditAlarm") != want.credits {
			t.Errorf("%s: alarm on CPU credits: %v", class, !want.credits)
		}
	}
	large := try(t, chosen(t, settings.Standard, value{"database.storage", 400}, value{"database.max_storage", 800}))
	large.wants(large.one("data.DatabaseStorageAlarm"), "Threshold", "21474836480")
}

func TestDataSubnetsOnly(t *testing.T) {
	everyProfile(t, func(t trial) {
		want := "[" + later(Base, "DataSubnetA") + "," + later(Base, "DataSubnetB") + "]"
		for _, r := range append(t.of("AWS::RDS::DBSubnetGroup"), t.of("AWS::ElastiCache::SubnetGroup")...) {
			t.wants(r, "SubnetIds", want)
		}
		// Nobody is put into them but what those groups put there, and no route
		// leads out of them.
		for _, r := range t.some("AWS::EC2::SubnetRouteTableAssociation") {
			if strings.HasPrefix(inJSON(r.at("SubnetId/Ref")), `"DataSubnet`) {
				t.wants(r, "RouteTableId/Ref", `"DataRoutes"`)
			}
		}
		for _, r := range t.some("AWS::EC2::Route") {
			if r.at("RouteTableId/Ref") == "DataRoutes" {
				t.Errorf("%s leads out of the data subnets", r.ID)
			}
		}
	})
}

// The seed must survive everything that happens to the stack, and every change
// of settings after which the deployment still has its database.
func TestSecret(t *testing.T) {
	everyProfile(t, func(t trial) {
		r := t.one("data.Secret")
		t.wants(r, "Name", `"rocca/stats/app"`)
		t.wants(r, "KmsKeyId", later(Base, "Key"))
		t.wants(r, "SecretString", "null")
		t.wants(r, "GenerateSecretString/GenerateStringKey", `"seed"`)
		t.wants(r, "GenerateSecretString/PasswordLength", "64")
		if r.DeletionPolicy != "RetainExceptOnCreate" || r.UpdateReplacePolicy != "Retain" {
			t.Errorf("deleted with %q, replaced with %q", r.DeletionPolicy, r.UpdateReplacePolicy)
		}
	})
	seed := func(s settings.Settings) string {
		return inJSON(try(t, s).one("data.Secret").at("GenerateSecretString"))
	}
	want := seed(chosen(t, settings.Single, value{"database.kind", settings.DatabaseRDS}))
	for _, profile := range []settings.Profile{settings.Standard, settings.Scale} {
		if got := seed(chosen(t, profile)); got != want {
			t.Errorf("%s makes another seed: %s, before %s", profile, got, want)
		}
	}
}

func TestCache(t *testing.T) {
	tr := try(t, chosen(t, settings.Scale))
	r := tr.one("data.Cache")
	for path, want := range map[string]string{
		"Engine":                   `"valkey"`,
		"NumCacheClusters":         "2",
		"AutomaticFailoverEnabled": "true",
		"MultiAZEnabled":           "true",
		"TransitEncryptionEnabled": "true",
		"TransitEncryptionMode":    `"required"`,
		"AtRestEncryptionEnabled":  "true",
		"KmsKeyId":                 later(Base, "Key"),
		"SecurityGroupIds":         "[" + later(Base, "CacheGroup") + "]",
		"CacheSubnetGroupName/Ref": `"CacheSubnets"`,
		"UserGroupIds":             `[{"Ref":"CacheUsers"}]`,
		"SnapshotRetentionLimit":   "14",
		"CacheParameterGroupName":  `{"Ref":"CacheParameters"}`,
		"AuthToken":                "null",
	} {
		tr.wants(r, path, want)
	}
	tr.wants(tr.one("data.CacheParameters"), "Properties", `{"maxmemory-policy":"noeviction"}`)
	tr.wants(tr.one("data.CacheUser"), "AccessString", `"on ~* +@all -@admin -@dangerous -@pubsub +info +keys"`)
	tr.wants(tr.one("data.CacheUser"), "AuthenticationMode", `{"Passwords":[{"Fn::Sub":"{{resolve:secretsmanager:${CacheSecret}:SecretString}}"}],"Type":"password"}`)
	// What instances read and what the cache knows is the same.
	tr.wants(tr.one("data.Secret"), "GenerateSecretString/SecretStringTemplate", `{"Fn::Sub":"{\"cache\":\"{{resolve:secretsmanager:${CacheSecret}:SecretString}}\"}"}`)
	if r.DeletionPolicy != "Snapshot" {
		t.Errorf("deleted with %q", r.DeletionPolicy)
	}
}

func TestVolume(t *testing.T) {
	tr := try(t, chosen(t, settings.Single))
	r := tr.one("data.Volume")
	tr.wants(r, "Encrypted", "true")
	tr.wants(r, "KmsKeyId", later(Base, "Key"))
	tr.wants(r, "VolumeType", `"gp3"`)
	tr.wants(r, "AvailabilityZone", `"eu-central-1a"`) // where EdgeSubnetA, and so the server, is
	if r.DeletionPolicy != "Snapshot" || r.UpdateReplacePolicy != "Snapshot" {
		t.Errorf("deleted with %q, replaced with %q", r.DeletionPolicy, r.UpdateReplacePolicy)
	}
	tr.wants(tr.one("app.VolumeOfServer"), "VolumeId", later(Data, "Volume"))
}

// RDS refuses a subscription to a topic that it may not publish to, and says
// nothing when it may not use the key.
func TestEventsReachTheTopic(t *testing.T) {
	withRDS(t, func(t trial) {
		for _, r := range t.some("AWS::RDS::EventSubscription") {
			t.wants(r, "SnsTopicArn", later(Base, "Topic"))
		}
		if policy := inJSON(t.one("base.TopicPolicy").Properties); !strings.Contains(policy, `"events.rds.amazonaws.com"`) {
			t.Error("RDS may not send messages to the topic")
		}
		key, _ := t.one("base.Topic").at("KmsMasterKeyId/Ref").(string)
		if key == "" {
			key, _ = t.one("base.Topic").at("KmsMasterKeyId/Fn::GetAtt/0").(string)
		}
		if policy := inJSON(t.one("base." + key).Properties); !strings.Contains(policy, `"events.rds.amazonaws.com"`) {
			t.Errorf("RDS may not use the key %s of the topic", key)
		}
	})
}
