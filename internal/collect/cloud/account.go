package cloud

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/csv"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"rocca/internal/aws/client"
	"rocca/internal/facts"
)

// document is a policy as IAM writes it: escaped as in an URL.
func document(text string) string {
	if plain, err := url.PathUnescape(text); err == nil && strings.HasPrefix(text, "%") {
		return plain
	}
	return text
}

// seeRoles reads all roles with their policies in one list. Ours are those with
// our tag, and those of our instances.
func (o *observer) seeRoles(ctx context.Context) (found, error) {
	profiles := map[string]bool{}
	if !o.all() {
		instances, err := o.instances.get(ctx)
		if err != nil {
			return nil, err
		}
		profiles = ids(instances, func(i facts.Instance) string { return i.Profile })
	}
	type inline struct {
		Name     string `xml:"PolicyName"`
		Document string `xml:"PolicyDocument"`
	}
	type attached struct {
		Name string `xml:"PolicyName"`
		ARN  string `xml:"PolicyArn"`
	}
	type role struct {
		Name     string     `xml:"RoleName"`
		ARN      string     `xml:"Arn"`
		Trust    string     `xml:"AssumeRolePolicyDocument"`
		Created  moment     `xml:"CreateDate"`
		Profiles []string   `xml:"InstanceProfileList>member>InstanceProfileName"`
		Inline   []inline   `xml:"RolePolicyList>member"`
		Attached []attached `xml:"AttachedManagedPolicies>member"`
		Boundary string     `xml:"PermissionsBoundary>PermissionsBoundaryArn"`
		Used     moment     `xml:"RoleLastUsed>LastUsedDate"`
		Tags     tagList    `xml:"Tags>member"`
	}
	var list []role
	documents := map[string]string{} // by ARN
	err := pages(func(mark string) (string, error) {
		var out struct {
			Next     string `xml:"Marker"`
			Roles    []role `xml:"RoleDetailList>member"`
			Policies []struct {
				ARN      string `xml:"Arn"`
				Versions []struct {
					Document string
					Default  bool `xml:"IsDefaultVersion"`
				} `xml:"PolicyVersionList>member"`
			} `xml:"Policies>member"`
		}
		form := client.Form{"Filter.member.1": "Role", "Filter.member.2": "LocalManagedPolicy", "Filter.member.3": "AWSManagedPolicy", "MaxItems": "500", "Marker": mark}
		err := client.AskQuery(ctx, o.cloud, "iam:GetAccountAuthorizationDetails", form, &out)
		list = append(list, out.Roles...)
		for _, p := range out.Policies {
			for _, v := range p.Versions {
				if v.Default {
					documents[p.ARN] = document(v.Document)
				}
			}
		}
		return out.Next, err
	})
	var all []facts.CloudRole
	for _, r := range list {
		tags := r.Tags.tags()
		if !o.ours(tags) && !slices.ContainsFunc(r.Profiles, func(name string) bool { return profiles[name] }) {
			continue
		}
		one := facts.CloudRole{Name: r.Name, ARN: r.ARN, Trust: document(r.Trust), Boundary: r.Boundary, Used: r.Used.Time, Created: r.Created.Time, Profiles: r.Profiles, Tags: tags}
		for _, p := range r.Inline {
			one.Policies = append(one.Policies, facts.CloudPolicy{Name: p.Name, Document: document(p.Document)})
		}
		for _, p := range r.Attached {
			text, known := documents[p.ARN]
			if !known {
				return nil, fmt.Errorf("read the role %s: AWS does not show its policy %s", r.Name, p.ARN)
			}
			one.Policies = append(one.Policies, facts.CloudPolicy{Name: p.Name, ARN: p.ARN, Document: text})
		}
		all = append(all, one)
	}
	all = sorted(all, func(r facts.CloudRole) string { return r.ARN })
	return func(c *facts.Cloud) { c.Roles = all }, err
}

func (o *observer) seeRoot(ctx context.Context) (found, error) {
	var out struct {
		Entries []struct {
			Key   string `xml:"key"`
			Value int    `xml:"value"`
		} `xml:"SummaryMap>entry"`
	}
	err := client.AskQuery(ctx, o.cloud, "iam:GetAccountSummary", client.Form{}, &out)
	var root facts.RootUser
	for _, e := range out.Entries {
		switch e.Key {
		case "AccountMFAEnabled":
			root.MFA = e.Value > 0
		case "AccountAccessKeysPresent":
			root.Keys = e.Value
		}
	}
	return func(c *facts.Cloud) { c.Root = root }, err
}

// reportPause is how long IAM is given to write its report of credentials.
const reportPause = 2 * time.Second

// seeUsers reads IAM's report of credentials, which it has to be asked for when
// the last one is four hours old.
func (o *observer) seeUsers(ctx context.Context) (found, error) {
	var out struct{ Content string }
	for {
		err := client.AskQuery(ctx, o.cloud, "iam:GetCredentialReport", client.Form{}, &out)
		if err == nil {
			break
		}
		if !client.Refused(err, "ReportNotPresent", "ReportExpired", "ReportInProgress") {
			return nil, err
		}
		var asked struct{ State string }
		if err := client.AskQuery(ctx, o.cloud, "iam:GenerateCredentialReport", client.Form{}, &asked); err != nil {
			return nil, err
		}
		if asked.State == "COMPLETE" {
			continue
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(reportPause):
		}
	}
	text, err := base64.StdEncoding.DecodeString(out.Content)
	if err != nil {
		return nil, fmt.Errorf("read the report of credentials: %w", err)
	}
	users, err := readReport(text)
	return func(c *facts.Cloud) { c.CloudUsers = users }, err
}

// readReport reads the report of credentials.
func readReport(text []byte) ([]facts.CloudUser, error) {
	rows, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil || len(rows) == 0 {
		return nil, fmt.Errorf("read the report of credentials: %w", cmp.Or(err, io.ErrUnexpectedEOF))
	}
	var all []facts.CloudUser
	for _, row := range rows[1:] {
		cell := func(name string) string {
			if i := slices.Index(rows[0], name); i >= 0 {
				return row[i]
			}
			return ""
		}
		when := func(name string) time.Time {
			var m moment
			if m.UnmarshalText([]byte(cell(name))) != nil {
				return time.Time{}
			}
			return m.Time
		}
		if cell("user") == "<root_account>" {
			continue
		}
		one := facts.CloudUser{Name: cell("user"), Console: cell("password_enabled") == "true", MFA: cell("mfa_active") == "true", PasswordUsed: when("password_last_used"), Created: when("user_creation_time")}
		for _, key := range []string{"access_key_1_", "access_key_2_"} {
			if cell(key+"active") == "true" {
				one.Keys = append(one.Keys, facts.AccessKey{Rotated: when(key + "last_rotated"), Used: when(key + "last_used_date")})
			}
		}
		all = append(all, one)
	}
	return sorted(all, func(u facts.CloudUser) string { return u.Name }), nil
}

// seeAnalyzers reads those that look for access from outside of the account.
func (o *observer) seeAnalyzers(ctx context.Context) (found, error) {
	type analyzer struct {
		ARN, Name, Status, Type string
		external                []string
	}
	var list []analyzer
	err := pages(func(mark string) (string, error) {
		var out struct {
			NextToken string
			Analyzers []analyzer
		}
		err := client.AskREST(ctx, o.cloud, "access-analyzer:ListAnalyzers", "GET", "/analyzer?"+query("maxResults", "100", "nextToken", mark), nil, &out)
		for _, a := range out.Analyzers {
			if a.Type == "ACCOUNT" || a.Type == "ORGANIZATION" {
				list = append(list, a)
			}
		}
		return out.NextToken, err
	})
	if err != nil {
		return nil, err
	}
	list, err = each(list, func(a *analyzer) error {
		filter := client.Fields{"status": client.Fields{"eq": []string{"ACTIVE"}}}
		return pages(func(mark string) (string, error) {
			var out struct {
				NextToken string
				Findings  []struct{ Resource, Status string }
			}
			err := client.AskREST(ctx, o.cloud, "access-analyzer:ListFindings", "POST", "/finding", marked(client.Fields{"analyzerArn": a.ARN, "filter": filter, "maxResults": 100}, "nextToken", mark), &out)
			for _, f := range out.Findings {
				if f.Status == "ACTIVE" && !slices.Contains(a.external, f.Resource) {
					a.external = append(a.external, f.Resource)
				}
			}
			return out.NextToken, err
		})
	})
	var all []facts.Analyzer
	for _, a := range list {
		slices.Sort(a.external)
		all = append(all, facts.Analyzer{Name: a.Name, Status: a.Status, External: a.external})
	}
	all = sorted(all, func(a facts.Analyzer) string { return a.Name })
	return func(c *facts.Cloud) { c.Analyzers = all }, err
}

// leaveOthers takes out of what analyzers found the resources that are not of
// the deployment. Where it is not known what is, all of them stay.
func leaveOthers(s *facts.Server) {
	c := &s.Cloud
	if c.Deployment == "" {
		return
	}
	for _, section := range []facts.Section{facts.CloudRoles, facts.CloudKeys, facts.CloudSecrets, facts.CloudTopics, facts.CloudBuckets, facts.CloudSnapshots, facts.CloudDBSnapshots} {
		if s.Sections[section] != "" {
			return
		}
	}
	own := map[string]bool{}
	for _, r := range c.Roles {
		own[r.ARN] = true
	}
	for _, k := range c.Keys {
		own[k.ARN] = true
	}
	for _, one := range c.Secrets {
		own[one.ARN] = true
	}
	for _, t := range c.Topics {
		own[t.ARN] = true
	}
	for _, b := range c.Buckets {
		own["arn:aws:s3:::"+b.Name] = true
	}
	for _, one := range c.Snapshots {
		own[one.ID] = true
	}
	for _, one := range c.DBSnapshots {
		own[one.ID] = true
	}
	for i := range c.Analyzers {
		c.Analyzers[i].External = slices.DeleteFunc(c.Analyzers[i].External, func(arn string) bool {
			return !own[arn] && !own[last(arn, "/")] && !own[last(arn, ":")]
		})
	}
}

// query is what stands after the question mark of an URL, of names and values.
// Those that are empty are left out.
func query(pairs ...string) string {
	values := url.Values{}
	for pair := range slices.Chunk(pairs, 2) {
		if pair[1] != "" {
			values.Set(pair[0], pair[1])
		}
	}
	return values.Encode()
}

func (o *observer) askTrails(ctx context.Context) ([]facts.Trail, error) {
	var out struct {
		TrailList []struct {
			Name, TrailARN, KmsKeyID, S3BucketName, CloudWatchLogsLogGroupARN                             string
			IsMultiRegionTrail, IsOrganizationTrail, IncludeGlobalServiceEvents, LogFileValidationEnabled bool
		}
	}
	if err := client.Ask(ctx, o.cloud, "cloudtrail:DescribeTrails", client.Fields{"includeShadowTrails": true}, &out); err != nil {
		return nil, err
	}
	var all []facts.Trail
	for _, t := range out.TrailList {
		all = append(all, facts.Trail{
			Name: t.Name, ARN: t.TrailARN, MultiRegion: t.IsMultiRegionTrail, Organization: t.IsOrganizationTrail, Global: t.IncludeGlobalServiceEvents,
			Validated: t.LogFileValidationEnabled, Key: t.KmsKeyID, Bucket: t.S3BucketName, LogGroup: t.CloudWatchLogsLogGroupARN,
		})
	}
	return sorted(all, func(t facts.Trail) string { return t.ARN }), nil
}

func (o *observer) seeTrails(ctx context.Context) (found, error) {
	list, err := o.trails.get(ctx)
	if err != nil {
		return nil, err
	}
	list, err = each(slices.Clone(list), func(t *facts.Trail) error {
		var status struct {
			IsLogging           bool
			LatestDeliveryError string
		}
		if err := client.Ask(ctx, o.cloud, "cloudtrail:GetTrailStatus", client.Fields{"Name": t.ARN}, &status); err != nil {
			return err
		}
		t.Logging, t.Error = status.IsLogging, status.LatestDeliveryError
		var events selectors
		if err := client.Ask(ctx, o.cloud, "cloudtrail:GetEventSelectors", client.Fields{"TrailName": t.ARN}, &events); err != nil {
			return err
		}
		t.Management, t.Data = events.management(), events.data()
		return nil
	})
	return func(c *facts.Cloud) { c.Trails = list }, err
}

// selectors say which events a trail writes down, in the old or the new form.
type selectors struct {
	EventSelectors []struct {
		ReadWriteType           string
		IncludeManagementEvents bool
		DataResources           []struct{ Type string }
	}
	AdvancedEventSelectors []struct {
		FieldSelectors []struct {
			Field  string
			Equals []string
		}
	}
}

// management is which events of management are written: "All", "ReadOnly",
// "WriteOnly" or "None".
func (s selectors) management() string {
	reads, writes := false, false
	for _, e := range s.EventSelectors {
		if e.IncludeManagementEvents {
			reads, writes = reads || e.ReadWriteType != "WriteOnly", writes || e.ReadWriteType != "ReadOnly"
		}
	}
	for _, e := range s.AdvancedEventSelectors {
		management, only := false, ""
		for _, f := range e.FieldSelectors {
			switch f.Field {
			case "eventCategory":
				management = slices.Contains(f.Equals, "Management")
			case "readOnly":
				only = strings.Join(f.Equals, "")
			}
		}
		if management {
			reads, writes = reads || only != "false", writes || only != "true"
		}
	}
	switch {
	case reads && writes:
		return "All"
	case reads:
		return "ReadOnly"
	case writes:
		return "WriteOnly"
	}
	return "None"
}

// data lists the types of resources whose events are written.
func (s selectors) data() []string {
	types := map[string]bool{}
	for _, e := range s.EventSelectors {
		for _, r := range e.DataResources {
			types[r.Type] = true
		}
	}
	for _, e := range s.AdvancedEventSelectors {
		for _, f := range e.FieldSelectors {
			if f.Field == "resources.type" {
				for _, t := range f.Equals {
					types[t] = true
				}
			}
		}
	}
	return slices.Sorted(maps.Keys(types))
}

// seeThreats reads the open findings of GuardDuty. One about an instance, a
// database or a bucket that is not ours is left out; one about a user or a key
// is everybody's.
func (o *observer) seeThreats(ctx context.Context) (found, error) {
	var list struct{ DetectorIDs []string }
	if err := client.AskREST(ctx, o.cloud, "guardduty:ListDetectors", "GET", "/detector", nil, &list); err != nil {
		return nil, err
	}
	if len(list.DetectorIDs) == 0 {
		return func(*facts.Cloud) {}, nil
	}
	t := facts.Threats{Detector: list.DetectorIDs[0]} // a region has one at most
	path := "/detector/" + url.PathEscape(t.Detector)
	var detector struct{ Status string }
	if err := client.AskREST(ctx, o.cloud, "guardduty:GetDetector", "GET", path, nil, &detector); err != nil {
		return nil, err
	}
	t.Enabled = detector.Status == "ENABLED"
	criteria := client.Fields{"criterion": client.Fields{"severity": client.Fields{"gte": 4}, "service.archived": client.Fields{"eq": []string{"false"}}}}
	err := pages(func(mark string) (string, error) {
		var page struct {
			NextToken  string
			FindingIDs []string
		}
		err := client.AskREST(ctx, o.cloud, "guardduty:ListFindings", "POST", path+"/findings", marked(client.Fields{"findingCriteria": criteria, "maxResults": 50}, "nextToken", mark), &page)
		if err != nil || len(page.FindingIDs) == 0 {
			return page.NextToken, err
		}
		var out struct{ Findings []threat }
		err = client.AskREST(ctx, o.cloud, "guardduty:GetFindings", "POST", path+"/findings/get", client.Fields{"findingIds": page.FindingIDs}, &out)
		for _, f := range out.Findings {
			kind, id := f.of()
			own, err := o.owns(ctx, kind, id)
			if err != nil {
				return "", err
			}
			if own {
				t.Open = append(t.Open, facts.ThreatFinding{ID: f.ID, Kind: f.Type, Severity: f.Severity, Resource: id, At: cmp.Or(f.Service.EventLastSeen.Time, f.UpdatedAt.Time)})
			}
		}
		return page.NextToken, err
	})
	t.Open = sorted(t.Open, func(f facts.ThreatFinding) string { return f.ID })
	return func(c *facts.Cloud) { c.Threats = t }, err
}

// threat is a finding as GuardDuty tells it.
type threat struct {
	ID, Type  string
	Severity  float64
	UpdatedAt moment
	Service   struct{ EventLastSeen moment }
	Resource  struct {
		ResourceType         string
		InstanceDetails      struct{ InstanceID string }
		AccessKeyDetails     struct{ UserName string }
		S3BucketDetails      []struct{ Name string }
		RDSDBInstanceDetails struct{ DBInstanceIdentifier string }
	}
}

// of is what it is about.
func (t threat) of() (kind, id string) {
	r := t.Resource
	switch {
	case r.InstanceDetails.InstanceID != "":
		return "instance", r.InstanceDetails.InstanceID
	case len(r.S3BucketDetails) > 0:
		return "bucket", r.S3BucketDetails[0].Name
	case r.RDSDBInstanceDetails.DBInstanceIdentifier != "":
		return "database", r.RDSDBInstanceDetails.DBInstanceIdentifier
	}
	return "", cmp.Or(r.AccessKeyDetails.UserName, r.ResourceType)
}

// owns tells whether a thing is ours. What is of no kind that belongs to
// anybody is.
func (o *observer) owns(ctx context.Context, kind, id string) (bool, error) {
	if o.all() {
		return true, nil
	}
	switch kind {
	case "instance":
		own, err := o.instanceIDs(ctx)
		return own[id], err
	case "bucket":
		list, err := o.buckets.get(ctx)
		return slices.ContainsFunc(list, func(b bucket) bool { return b.name == id }), err
	case "database":
		list, err := o.databases.get(ctx)
		return slices.ContainsFunc(list, func(d facts.CloudDatabase) bool { return d.ID == id }), err
	}
	return true, nil
}

func (o *observer) seeRecorder(ctx context.Context) (found, error) {
	var list struct {
		ConfigurationRecorders []struct {
			RecordingGroup struct {
				AllSupported      bool
				RecordingStrategy struct{ UseOnly string }
			}
		}
	}
	if err := client.Ask(ctx, o.cloud, "config:DescribeConfigurationRecorders", client.Fields{}, &list); err != nil {
		return nil, err
	}
	var status struct {
		ConfigurationRecordersStatus []struct {
			Recording  bool
			LastStatus string
		}
	}
	err := client.Ask(ctx, o.cloud, "config:DescribeConfigurationRecorderStatus", client.Fields{}, &status)
	var r facts.Recorder
	for _, one := range list.ConfigurationRecorders {
		r.Exists, r.All = true, r.All || one.RecordingGroup.AllSupported || one.RecordingGroup.RecordingStrategy.UseOnly == "ALL_SUPPORTED_RESOURCE_TYPES"
	}
	for _, one := range status.ConfigurationRecordersStatus {
		r.Recording, r.Status = r.Recording || one.Recording, one.LastStatus
	}
	return func(c *facts.Cloud) { c.Recorder = r }, err
}

func (o *observer) seeHub(ctx context.Context) (found, error) {
	var hub struct{ HubARN string }
	err := client.AskREST(ctx, o.cloud, "securityhub:DescribeHub", "GET", "/accounts", nil, &hub)
	if gone(err) || client.Refused(err, "InvalidAccessException") { // it says so where it is off
		return func(*facts.Cloud) {}, nil
	}
	if err != nil {
		return nil, err
	}
	h := facts.Hub{Enabled: hub.HubARN != ""}
	err = pages(func(mark string) (string, error) {
		var out struct {
			NextToken              string
			StandardsSubscriptions []struct{ StandardsARN string }
		}
		err := client.AskREST(ctx, o.cloud, "securityhub:GetEnabledStandards", "POST", "/standards/get", marked(client.Fields{"MaxResults": 100}, "NextToken", mark), &out)
		for _, s := range out.StandardsSubscriptions {
			h.Standards = append(h.Standards, s.StandardsARN)
		}
		return out.NextToken, err
	})
	slices.Sort(h.Standards)
	return func(c *facts.Cloud) { c.Hub = h }, err
}

// seeBudgets counts who is told, and keeps nobody's address.
func (o *observer) seeBudgets(ctx context.Context) (found, error) {
	type notification struct {
		NotificationType, ComparisonOperator, ThresholdType string
		Threshold                                           float64
	}
	var all []facts.Budget
	err := pages(func(mark string) (string, error) {
		var out struct {
			NextToken string
			Budgets   []struct{ BudgetName string }
		}
		err := client.Ask(ctx, o.cloud, "budgets:DescribeBudgets", marked(client.Fields{"AccountId": o.account, "MaxResults": 100}, "NextToken", mark), &out)
		for _, b := range out.Budgets {
			all = append(all, facts.Budget{Name: b.BudgetName})
		}
		return out.NextToken, err
	})
	if err != nil {
		return nil, err
	}
	all, err = each(all, func(b *facts.Budget) error {
		var out struct{ Notifications []notification }
		err := client.Ask(ctx, o.cloud, "budgets:DescribeNotificationsForBudget", client.Fields{"AccountId": o.account, "BudgetName": b.Name, "MaxResults": 100}, &out)
		if err != nil {
			return err
		}
		for _, n := range out.Notifications {
			var told struct {
				Subscribers []struct{ SubscriptionType string }
			}
			fields := client.Fields{"NotificationType": n.NotificationType, "ComparisonOperator": n.ComparisonOperator, "Threshold": n.Threshold}
			if n.ThresholdType != "" {
				fields["ThresholdType"] = n.ThresholdType
			}
			err := client.Ask(ctx, o.cloud, "budgets:DescribeSubscribersForNotification", client.Fields{"AccountId": o.account, "BudgetName": b.Name, "Notification": fields, "MaxResults": 100}, &told)
			if err != nil {
				return err
			}
			b.Forecast = b.Forecast || n.NotificationType == "FORECASTED" && len(told.Subscribers) > 0
			b.Told = max(b.Told, len(told.Subscribers))
		}
		return nil
	})
	all = sorted(all, func(b facts.Budget) string { return b.Name })
	return func(c *facts.Cloud) { c.Budgets = all }, err
}

func (o *observer) seeContact(ctx context.Context) (found, error) {
	err := client.AskREST(ctx, o.cloud, "account:GetAlternateContact", "POST", "/getAlternateContact", client.Fields{"AlternateContactType": "SECURITY"}, nil)
	if gone(err) {
		return func(*facts.Cloud) {}, nil
	}
	return func(c *facts.Cloud) { c.Contact.Set = true }, err
}
