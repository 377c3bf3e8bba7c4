package cloud

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"rocca/internal/aws/client"
	"rocca/internal/facts"
)

// bucket is one of ours in this region.
type bucket struct {
	name string
	tags facts.Tags
}

// onBucket is the place of a question about a bucket.
func onBucket(name, query string) client.Place {
	return client.Place{Path: "/" + url.PathEscape(name) + "?" + query}
}

// askBuckets takes those with our tag, and those that trails write into.
func (o *observer) askBuckets(ctx context.Context) ([]bucket, error) {
	trails, err := o.trails.get(ctx)
	if err != nil && !o.all() {
		return nil, err
	}
	written := ids(trails, func(t facts.Trail) string { return t.Bucket })
	var list []bucket
	err = pages(func(mark string) (string, error) {
		var out struct {
			Next    string `xml:"ContinuationToken"`
			Buckets []struct {
				Name   string
				Region string `xml:"BucketRegion"`
			} `xml:"Buckets>Bucket"`
		}
		place := client.Place{Path: "/?" + query("bucket-region", o.cloud.Region, "max-buckets", "1000", "continuation-token", mark)}
		err := client.AskXML(ctx, o.cloud, "s3:ListAllMyBuckets", place, &out)
		for _, b := range out.Buckets {
			if b.Region == "" || b.Region == o.cloud.Region {
				list = append(list, bucket{name: b.Name})
			}
		}
		return out.Next, err
	})
	if err != nil {
		return nil, err
	}
	others := func(b bucket) bool { return !o.named(b.name) && !written[b.name] }
	list, err = eachOfOurs(list, others, func(b *bucket) error {
		var out struct {
			Tags tagList `xml:"TagSet>Tag"`
		}
		err := client.AskXML(ctx, o.cloud, "s3:GetBucketTagging", onBucket(b.name, "tagging"), &out)
		if client.Refused(err, "NoSuchTagSet") {
			return nil
		}
		b.tags = out.Tags.tags()
		return err
	})
	list = slices.DeleteFunc(list, func(b bucket) bool { return !written[b.name] && !o.ours(b.tags) })
	return sorted(list, func(b bucket) string { return b.name }), err
}

// block is the block of public access, of a bucket or of the account.
type block struct{ BlockPublicAcls, IgnorePublicAcls, BlockPublicPolicy, RestrictPublicBuckets bool }

// or is what the two block together.
func (b block) or(other block) block {
	return block{
		b.BlockPublicAcls || other.BlockPublicAcls, b.IgnorePublicAcls || other.IgnorePublicAcls,
		b.BlockPublicPolicy || other.BlockPublicPolicy, b.RestrictPublicBuckets || other.RestrictPublicBuckets,
	}
}

func (o *observer) seeBuckets(ctx context.Context) (found, error) {
	list, err := o.buckets.get(ctx)
	if err != nil {
		return nil, err
	}
	var account block
	place := client.Place{Host: o.account + ".s3-control", Path: "/v20180820/configuration/publicAccessBlock", Header: http.Header{"X-Amz-Account-Id": {o.account}}}
	if err := client.AskXML(ctx, o.cloud, "s3:GetAccountPublicAccessBlock", place, &account); err != nil && !gone(err) {
		return nil, err
	}
	var all []facts.Bucket
	for _, b := range list {
		all = append(all, facts.Bucket{Name: b.name, Tags: b.tags})
	}
	all, err = each(all, func(b *facts.Bucket) error { return o.askBucket(ctx, account, b) })
	return func(c *facts.Cloud) { c.Buckets = all }, err
}

// askBucket asks for all settings of one. Of a setting that nobody made, S3 says
// that there is no such thing.
func (o *observer) askBucket(ctx context.Context, account block, b *facts.Bucket) error {
	var own block
	var policy []byte
	var encryption struct {
		Rules []struct {
			Algorithm string `xml:"SSEAlgorithm"`
			Key       string `xml:"KMSMasterKeyID"`
		} `xml:"Rule>ApplyServerSideEncryptionByDefault"`
	}
	var versioning struct{ Status, MfaDelete string }
	var lock struct {
		On    string `xml:"ObjectLockEnabled"`
		Mode  string `xml:"Rule>DefaultRetention>Mode"`
		Days  int    `xml:"Rule>DefaultRetention>Days"`
		Years int    `xml:"Rule>DefaultRetention>Years"`
	}
	var logging struct {
		Bucket string `xml:"LoggingEnabled>TargetBucket"`
	}
	var lifecycle struct {
		Rules []struct{ Status string } `xml:"Rule"`
	}
	var ownership struct {
		Rules []string `xml:"Rule>ObjectOwnership"`
	}
	for _, err := range []error{
		client.AskXML(ctx, o.cloud, "s3:GetBucketPublicAccessBlock", onBucket(b.Name, "publicAccessBlock"), &own),
		client.AskXML(ctx, o.cloud, "s3:GetBucketPolicy", onBucket(b.Name, "policy"), &policy),
		client.AskXML(ctx, o.cloud, "s3:GetEncryptionConfiguration", onBucket(b.Name, "encryption"), &encryption),
		client.AskXML(ctx, o.cloud, "s3:GetBucketVersioning", onBucket(b.Name, "versioning"), &versioning),
		client.AskXML(ctx, o.cloud, "s3:GetBucketObjectLockConfiguration", onBucket(b.Name, "object-lock"), &lock),
		client.AskXML(ctx, o.cloud, "s3:GetBucketLogging", onBucket(b.Name, "logging"), &logging),
		client.AskXML(ctx, o.cloud, "s3:GetLifecycleConfiguration", onBucket(b.Name, "lifecycle"), &lifecycle),
		client.AskXML(ctx, o.cloud, "s3:GetBucketOwnershipControls", onBucket(b.Name, "ownershipControls"), &ownership),
	} {
		if client.Refused(err, "NoSuchBucket") || err != nil && !gone(err) {
			return err
		}
	}
	b.BlockPublic = own.or(account) == block{true, true, true, true}
	b.Policy = string(policy)
	for _, r := range encryption.Rules {
		b.Encryption, b.Key = r.Algorithm, r.Key
	}
	b.Versioned, b.MFADelete = versioning.Status == "Enabled", versioning.MfaDelete == "Enabled"
	if lock.On == "Enabled" {
		b.Lock, b.LockDays = cmp.Or(lock.Mode, "on"), lock.Days+365*lock.Years
	}
	b.LoggedTo = logging.Bucket
	b.Lifecycle = slices.ContainsFunc(lifecycle.Rules, func(r struct{ Status string }) bool { return r.Status == "Enabled" })
	b.ACLs = !slices.Contains(ownership.Rules, "BucketOwnerEnforced")
	return nil
}

// What is read of a rehearsal: a line or two, and there are few of them.
const (
	mostRehearsal  = 64 << 10
	mostRehearsals = 200
)

// seeRehearsals reads what rocca aws respond rehearse wrote into the bucket of
// evidence.
func (o *observer) seeRehearsals(ctx context.Context) (found, error) {
	list, err := o.buckets.get(ctx)
	if err != nil {
		return nil, err
	}
	type object struct {
		bucket, Key string
		Size        int64
		fact        facts.Rehearsal
	}
	var objects []object
	for _, b := range list {
		if b.tags.Role() != "incident" {
			continue
		}
		err := pages(func(mark string) (string, error) {
			var out struct {
				Next    string   `xml:"NextContinuationToken"`
				Objects []object `xml:"Contents"`
			}
			err := client.AskXML(ctx, o.cloud, "s3:ListBucket", onBucket(b.name, query("list-type", "2", "prefix", "rehearsals", "continuation-token", mark)), &out)
			for _, one := range out.Objects {
				if strings.HasPrefix(one.Key, "rehearsals/") && strings.HasSuffix(one.Key, ".json") && one.Size <= mostRehearsal {
					one.bucket = b.name
					objects = append(objects, one)
				}
			}
			return out.Next, err
		})
		if err != nil {
			return nil, err
		}
	}
	// Names begin with the time, so the last ones are the newest.
	objects = sorted(objects, func(o object) string { return o.Key })
	objects = objects[max(0, len(objects)-mostRehearsals):]
	objects, err = each(objects, func(one *object) error {
		var text []byte
		if err := client.AskXML(ctx, o.cloud, "s3:GetObject", client.Place{Path: "/" + one.bucket + "/" + escaped(one.Key)}, &text); err != nil {
			return err
		}
		if err := json.Unmarshal(text, &one.fact); err != nil {
			return fmt.Errorf("read the rehearsal %s: %w", one.Key, err)
		}
		return nil
	})
	var all []facts.Rehearsal
	for _, one := range objects {
		all = append(all, one.fact)
	}
	slices.SortStableFunc(all, func(a, b facts.Rehearsal) int { return b.At.Compare(a.At) })
	return func(c *facts.Cloud) { c.Rehearsals = all }, err
}

// escaped is a key of an object as it stands in an URL.
func escaped(key string) string {
	parts := strings.Split(key, "/")
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return strings.Join(parts, "/")
}

// backupTags asks AWS Backup for the tags of what it has.
func (o *observer) backupTags(ctx context.Context, arn string) (facts.Tags, error) {
	var out struct{ Tags map[string]string }
	err := client.AskREST(ctx, o.cloud, "backup:ListTags", "GET", "/tags/"+url.PathEscape(arn)+"/", nil, &out)
	return out.Tags, err
}

func (o *observer) seeVaults(ctx context.Context) (found, error) {
	type vault struct {
		BackupVaultName, BackupVaultARN, EncryptionKeyARN string
		Locked                                            bool
		MinRetentionDays                                  int
		tags                                              facts.Tags
	}
	var list []vault
	err := pages(func(mark string) (string, error) {
		var out struct {
			NextToken       string
			BackupVaultList []vault
		}
		err := client.AskREST(ctx, o.cloud, "backup:ListBackupVaults", "GET", "/backup-vaults/?"+query("maxResults", "1000", "nextToken", mark), nil, &out)
		list = append(list, out.BackupVaultList...)
		return out.NextToken, err
	})
	if err == nil && !o.all() {
		list, err = each(list, func(v *vault) error {
			var err error
			v.tags, err = o.backupTags(ctx, v.BackupVaultARN)
			return err
		})
	}
	var all []facts.Vault
	for _, v := range list {
		if o.ours(v.tags) {
			all = append(all, facts.Vault{Name: v.BackupVaultName, Key: v.EncryptionKeyARN, Locked: v.Locked, Days: v.MinRetentionDays})
		}
	}
	all = sorted(all, func(v facts.Vault) string { return v.Name })
	return func(c *facts.Cloud) { c.Vaults = all }, err
}

// seeBackupPlans takes those with our tag.
func (o *observer) seeBackupPlans(ctx context.Context) (found, error) {
	type plan struct {
		BackupPlanID, BackupPlanName, BackupPlanARN string
		fact                                        facts.BackupPlan
	}
	var list []plan
	err := pages(func(mark string) (string, error) {
		var out struct {
			NextToken       string
			BackupPlansList []plan
		}
		err := client.AskREST(ctx, o.cloud, "backup:ListBackupPlans", "GET", "/backup/plans/?"+query("maxResults", "1000", "nextToken", mark), nil, &out)
		list = append(list, out.BackupPlansList...)
		return out.NextToken, err
	})
	if err != nil {
		return nil, err
	}
	list, err = each(list, func(p *plan) error {
		if !o.all() {
			tags, err := o.backupTags(ctx, p.BackupPlanARN)
			if err != nil || !o.ours(tags) {
				return err
			}
		}
		var err error
		p.fact, err = o.askPlan(ctx, p.BackupPlanID, p.BackupPlanName)
		return err
	})
	var all []facts.BackupPlan
	for _, p := range list {
		if p.fact.ID != "" {
			all = append(all, p.fact)
		}
	}
	all = sorted(all, func(p facts.BackupPlan) string { return p.ID })
	return func(c *facts.Cloud) { c.BackupPlans = all }, err
}

func (o *observer) askPlan(ctx context.Context, id, name string) (facts.BackupPlan, error) {
	one := facts.BackupPlan{ID: id, Name: name}
	path := "/backup/plans/" + url.PathEscape(id) + "/"
	var out struct {
		BackupPlan struct {
			Rules []struct {
				TargetBackupVaultName, ScheduleExpression string
				Lifecycle                                 struct{ DeleteAfterDays int }
				CopyActions                               []struct{ DestinationBackupVaultARN string }
			}
		}
	}
	if err := client.AskREST(ctx, o.cloud, "backup:GetBackupPlan", "GET", path, nil, &out); err != nil {
		return one, err
	}
	for _, r := range out.BackupPlan.Rules {
		rule := facts.BackupRule{Vault: r.TargetBackupVaultName, Schedule: r.ScheduleExpression, Days: r.Lifecycle.DeleteAfterDays}
		for _, c := range r.CopyActions {
			rule.CopyTo = c.DestinationBackupVaultARN
		}
		one.Rules = append(one.Rules, rule)
	}
	var selections []string
	err := pages(func(mark string) (string, error) {
		var out struct {
			NextToken            string
			BackupSelectionsList []struct{ SelectionID string }
		}
		err := client.AskREST(ctx, o.cloud, "backup:ListBackupSelections", "GET", path+"selections/?"+query("maxResults", "1000", "nextToken", mark), nil, &out)
		for _, s := range out.BackupSelectionsList {
			selections = append(selections, s.SelectionID)
		}
		return out.NextToken, err
	})
	if err != nil {
		return one, err
	}
	for _, selection := range selections {
		var out struct{ BackupSelection selected }
		if err := client.AskREST(ctx, o.cloud, "backup:GetBackupSelection", "GET", path+"selections/"+url.PathEscape(selection), nil, &out); err != nil {
			return one, err
		}
		one.Selection = append(one.Selection, out.BackupSelection.fact())
	}
	return one, nil
}

// selected is what a plan takes, as AWS Backup tells it: tags in the old form or
// the new one.
type selected struct {
	Resources  []string
	ListOfTags []condition
	Conditions struct{ StringEquals []condition }
}

type condition struct{ ConditionKey, ConditionValue string }

func (s selected) fact() facts.BackupSelected {
	one := facts.BackupSelected{Resources: s.Resources}
	for _, c := range slices.Concat(s.ListOfTags, s.Conditions.StringEquals) {
		if one.Tags == nil {
			one.Tags = facts.Tags{}
		}
		one.Tags[strings.TrimPrefix(c.ConditionKey, "aws:ResourceTag/")] = c.ConditionValue
	}
	return one
}

// seeProtected takes all of the region: whether a resource is among them is
// asked by its ARN.
func (o *observer) seeProtected(ctx context.Context) (found, error) {
	var all []facts.ProtectedResource
	err := pages(func(mark string) (string, error) {
		var out struct {
			NextToken string
			Results   []struct {
				ResourceARN, ResourceType string
				LastBackupTime            moment
			}
		}
		err := client.AskREST(ctx, o.cloud, "backup:ListProtectedResources", "GET", "/resources/?"+query("maxResults", "1000", "nextToken", mark), nil, &out)
		for _, r := range out.Results {
			all = append(all, facts.ProtectedResource{ARN: r.ResourceARN, Kind: r.ResourceType, Last: r.LastBackupTime.Time})
		}
		return out.NextToken, err
	})
	all = sorted(all, func(r facts.ProtectedResource) string { return r.ARN })
	return func(c *facts.Cloud) { c.Protected = all }, err
}

// restoreDays is how far back restores are looked for.
const restoreDays = 366

// seeRestores takes those of what is ours now.
func (o *observer) seeRestores(ctx context.Context) (found, error) {
	after := o.Now.Add(-restoreDays * 24 * time.Hour).UTC().Format(time.RFC3339)
	own, err := o.restorable(ctx)
	if err != nil {
		return nil, err
	}
	var all []facts.Restore
	err = pages(func(mark string) (string, error) {
		var out struct {
			NextToken   string
			RestoreJobs []struct {
				ResourceType, Status, SourceResourceARN string
				CompletionDate, CreationDate            moment
			}
		}
		err := client.AskREST(ctx, o.cloud, "backup:ListRestoreJobs", "GET", "/restore-jobs/?"+query("createdAfter", after, "maxResults", "1000", "nextToken", mark), nil, &out)
		for _, j := range out.RestoreJobs {
			if o.all() || own(j.SourceResourceARN) {
				all = append(all, facts.Restore{Kind: j.ResourceType, Status: j.Status, At: cmp.Or(j.CompletionDate.Time, j.CreationDate.Time)})
			}
		}
		return out.NextToken, err
	})
	slices.SortStableFunc(all, func(a, b facts.Restore) int { return b.At.Compare(a.At) })
	return func(c *facts.Cloud) { c.Restores = all }, err
}

// restorable tells of an ARN whether it is that of a database, disk, server or
// bucket of ours.
func (o *observer) restorable(ctx context.Context) (func(arn string) bool, error) {
	if o.all() {
		return func(string) bool { return true }, nil
	}
	databases, err := o.databases.get(ctx)
	volumes, err2 := o.volumes.get(ctx)
	instances, err3 := o.instances.get(ctx)
	buckets, err4 := o.buckets.get(ctx)
	if err := errors.Join(err, err2, err3, err4); err != nil {
		return nil, err
	}
	own := ids(databases, func(d facts.CloudDatabase) string { return d.ARN })
	return func(arn string) bool {
		name := arn[strings.LastIndexAny(arn, ":/")+1:]
		return own[arn] || slices.ContainsFunc(volumes, func(v facts.Volume) bool { return v.ID == name }) ||
			slices.ContainsFunc(instances, func(i facts.Instance) bool { return i.ID == name }) ||
			slices.ContainsFunc(buckets, func(b bucket) bool { return b.name == name })
	}, nil
}
