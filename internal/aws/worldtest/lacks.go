package worldtest

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rocca/internal/aws/account"
	"rocca/internal/aws/awstest"
	"rocca/internal/aws/settings"
	"rocca/internal/aws/stack"
)

// lacks answers what moto has not, or takes and forgets: from what was asked
// for, so that a mistake in a template is still seen.
type lacks struct {
	testing.TB
	cloud *awstest.Cloud

	mu        sync.Mutex
	set       map[string]bool           // settings of the account that were raised, by operation
	templates map[string]map[string]any // launch templates by id, as EC2 takes them
	databases map[string]resource       // by identifier
	caches    map[string]resource       // by identifier
	budgets   map[string]resource       // by name
	instances []string                  // by id
	records   []string                  // of DNS, as Route 53 lists them
	holds     map[string][]any          // tags of what may be backed up, by ARN
	chosen    map[string]map[string]any // what is backed up, by plan
	attached  map[string][]any          // ARNs of AWS's own policies, by role
}

// answerWhatMotoLacks answers as an account does in which nobody has turned
// anything on.
func answerWhatMotoLacks(t testing.TB, cloud *awstest.Cloud) *lacks {
	l := &lacks{TB: t, cloud: cloud, set: map[string]bool{}, templates: map[string]map[string]any{}, databases: map[string]resource{}, caches: map[string]resource{}, budgets: map[string]resource{}, holds: map[string][]any{}, chosen: map[string]map[string]any{}, attached: map[string][]any{}}

	// What rocca aws account reads and raises.
	l.switched("ec2", "EnableSnapshotBlockPublicAccess", "<R/>")
	l.when("ec2", "GetSnapshotBlockPublicAccessState", "EnableSnapshotBlockPublicAccess", "<R><state>block-all-sharing</state></R>", "<R><state>unblocked</state></R>")
	l.switched("ec2", "EnableImageBlockPublicAccess", "<R/>")
	l.when("ec2", "GetImageBlockPublicAccessState", "EnableImageBlockPublicAccess", "<R><imageBlockPublicAccessState>block-new-sharing</imageBlockPublicAccessState></R>", "<R><imageBlockPublicAccessState>unblocked</imageBlockPublicAccessState></R>")
	l.switched("ec2", "ModifyInstanceMetadataDefaults", "<R><return>true</return></R>")
	l.when("ec2", "GetInstanceMetadataDefaults", "ModifyInstanceMetadataDefaults", "<R><accountLevel><httpTokens>required</httpTokens></accountLevel></R>", "<R/>")
	l.say("ec2", "GetEbsDefaultKmsKeyId", "<R><kmsKeyId>alias/aws/ebs</kmsKeyId></R>")
	l.say("ec2", "DescribeVpcBlockPublicAccessOptions", "<R><vpcBlockPublicAccessOptions><internetGatewayBlockMode>off</internetGatewayBlockMode></vpcBlockPublicAccessOptions></R>")
	l.switched("access-analyzer", "PUT /analyzer", `{"arn":"`+analyzerARN+`"}`)
	l.when("access-analyzer", "GET /analyzer", "PUT /analyzer", `{"analyzers":[{"arn":"`+analyzerARN+`","name":"rocca","type":"ACCOUNT","status":"ACTIVE"}]}`, `{"analyzers":[]}`)
	l.say("access-analyzer", "POST /finding", `{"findings":[]}`)
	inspects := func(status string) string {
		return `{"accounts":[{"accountId":"` + awstest.Account + `","resourceState":{"ec2":{"status":"` + status + `"}}}]}`
	}
	l.switched("inspector2", "POST /enable", `{"accounts":[]}`)
	l.when("inspector2", "POST /status/batch/get", "POST /enable", inspects("ENABLED"), inspects("DISABLED"))
	l.say("inspector2", "POST /findings/list", `{"findings":[]}`)
	l.say("securityhub", "POST /standards/get", `{"StandardsSubscriptions":[{"StandardsArn":"arn:aws:securityhub:eu-central-1::standards/aws-foundational-security-best-practices/v/1.0.0"}]}`)

	// What there is of AWS's own.
	l.say("rds", "DescribeCertificates", `<R><DescribeCertificatesResult><Certificates><Certificate><CertificateIdentifier>rds-ca-rsa2048-g1</CertificateIdentifier><ValidTill>2061-05-25T00:00:00Z</ValidTill></Certificate></Certificates></DescribeCertificatesResult></R>`)
	l.say("rds", "DescribeDBMajorEngineVersions", `<R><DescribeDBMajorEngineVersionsResult><DBMajorEngineVersions>`+major("8.0", "2026-07-31")+major("8.4", "2029-07-31")+`</DBMajorEngineVersions></DescribeDBMajorEngineVersionsResult></R>`)

	// Nothing, until there is something.
	l.say("ssm", "DescribeInstanceInformation", `{"InstanceInformationList":[]}`)
	l.say("ssm", "DescribeInstancePatchStates", `{"InstancePatchStates":[]}`)
	l.say("monitoring", "GetMetricStatistics", fmt.Sprintf(`{"Label":"MissingUpdates","Datapoints":[{"Timestamp":%d,"Maximum":0,"Unit":"Count"}]}`, time.Now().Add(-time.Hour).Unix()))
	l.say("backup", "GET /resources/", `{"Results":[]}`)
	l.say("backup", "GET /restore-jobs/", `{"RestoreJobs":[]}`)
	return l
}

const analyzerARN = "arn:aws:access-analyzer:" + awstest.Region + ":" + awstest.Account + ":analyzer/rocca"

func major(version, ends string) string {
	return `<DBMajorEngineVersion><Engine>mysql</Engine><MajorEngineVersion>` + version + `</MajorEngineVersion><SupportedEngineLifecycles><SupportedEngineLifecycle><LifecycleSupportName>open-source-rds-standard-support</LifecycleSupportName><LifecycleSupportEndDate>` + ends + `T23:59:59Z</LifecycleSupportEndDate></SupportedEngineLifecycle></SupportedEngineLifecycles></DBMajorEngineVersion>`
}

func (l *lacks) say(service, operation, body string) {
	l.cloud.Answer(service, operation, awstest.Say(http.StatusOK, body))
}

// switched answers an operation that turns something on.
func (l *lacks) switched(service, operation, body string) {
	l.cloud.Answer(service, operation, func(w http.ResponseWriter, _ *http.Request) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.set[operation] = true
		_, _ = io.WriteString(w, body)
	})
}

// when answers by whether something was turned on.
func (l *lacks) when(service, operation, by, on, off string) {
	l.cloud.Answer(service, operation, func(w http.ResponseWriter, _ *http.Request) {
		l.mu.Lock()
		defer l.mu.Unlock()
		body := off
		if l.set[by] {
			body = on
		}
		_, _ = io.WriteString(w, body)
	})
}

// onwards is the name under which a call that is amended goes on to moto.
const onwards = "amended"

// ask has moto answer.
func (l *lacks) ask(r *http.Request) (int, []byte) {
	next, err := http.NewRequestWithContext(r.Context(), r.Method, l.cloud.Endpoint+r.URL.RequestURI(), r.Body)
	if err != nil {
		return http.StatusInternalServerError, nil
	}
	next.Header, next.Host, next.ContentLength = r.Header.Clone(), r.Host, r.ContentLength
	next.Header.Set("X-Rocca-Operation", onwards)
	answer, err := http.DefaultClient.Do(next)
	if err != nil {
		return http.StatusInternalServerError, nil
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return http.StatusInternalServerError, nil
	}
	return answer.StatusCode, text
}

// amend changes what moto answers in XML.
func (l *lacks) amend(service, operation string, change func(*anything)) {
	l.cloud.Answer(service, operation, func(w http.ResponseWriter, r *http.Request) {
		status, text := l.ask(r)
		var answer anything
		if status == http.StatusOK && xml.Unmarshal(text, &answer) == nil {
			l.mu.Lock()
			change(&answer)
			l.mu.Unlock()
			text, _ = xml.Marshal(answer)
		}
		w.WriteHeader(status)
		_, _ = w.Write(text)
	})
}

// amendJSON changes what moto answers in JSON.
func (l *lacks) amendJSON(service, operation string, change func(map[string]any)) {
	l.cloud.Answer(service, operation, func(w http.ResponseWriter, r *http.Request) {
		status, text := l.ask(r)
		var answer map[string]any
		if status == http.StatusOK && json.Unmarshal(text, &answer) == nil {
			l.mu.Lock()
			change(answer)
			l.mu.Unlock()
			text = []byte(encode(answer))
		}
		w.WriteHeader(status)
		_, _ = w.Write(text)
	})
}

// logged notes the bucket that a bucket's log goes to: moto cannot read the
// policy of ours that allows it.
func (l *lacks) logged(bucket, to string) {
	l.cloud.Answer("s3", "GET /"+bucket, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("logging") {
			fmt.Fprintf(w, "<BucketLoggingStatus><LoggingEnabled><TargetBucket>%s</TargetBucket></LoggingEnabled></BucketLoggingStatus>", to)
			return
		}
		status, text := l.ask(r)
		w.WriteHeader(status)
		_, _ = w.Write(text)
	})
}

// finished answers as a deployment does that is up, of which the owner has done
// what only a person can: the second factor of root, and the link in the mail.
func (l *lacks) finished(s settings.Settings, set stack.Set, outputs map[string]string) {
	l.raiseAccount(s)
	now := time.Now().UTC()

	l.amend("iam", "GetAccountSummary", func(a *anything) {
		for _, entry := range a.find("entry") {
			if entry.at("key") == "AccountMFAEnabled" {
				entry.put("value", "1")
			}
		}
	})
	l.amend("iam", "GetAccountAuthorizationDetails", l.withPoliciesOfAWS)
	monthAgo := now.AddDate(0, -1, 0).Format(time.RFC3339)
	// The image is one of Debian's, of last month.
	l.say("ec2", "DescribeImages", `<R><imagesSet><item><imageId>`+s.Instance.Image+`</imageId><imageOwnerId>136693071363</imageOwnerId><name>debian-13-arm64</name><isPublic>true</isPublic><creationDate>`+monthAgo+`</creationDate></item></imagesSet></R>`)
	if s.Instance.Agent.Version != "" {
		var known []any
		for _, id := range l.instances {
			known = append(known, map[string]any{"InstanceId": id, "PingStatus": "Online", "AgentVersion": s.Instance.Agent.Version, "IsLatestVersion": true, "LastPingDateTime": now.Unix()})
		}
		l.say("ssm", "DescribeInstanceInformation", encode(map[string]any{"InstanceInformationList": known}))
	}
	l.amendJSON("acm", "DescribeCertificate", func(a map[string]any) {
		certificate, _ := a["Certificate"].(map[string]any)
		if certificate != nil && certificate["Type"] == "AMAZON_ISSUED" {
			certificate["Status"], certificate["RenewalEligibility"], certificate["NotAfter"] = "ISSUED", "ELIGIBLE", now.AddDate(1, 0, 0).Unix()
		}
	})

	// What is a month old has been backed up.
	l.amend("ec2", "DescribeVolumes", func(a *anything) {
		for _, volume := range a.find("item") {
			if volume.at("volumeId") != "" && volume.at("volumeType") != "" {
				volume.put("createTime", monthAgo)
			}
		}
	})
	l.amend("rds", "DescribeDBInstances", func(a *anything) {
		for _, d := range a.find("DBInstance") {
			made, is := l.databases[d.at("DBInstanceIdentifier")]
			if !is {
				continue
			}
			for _, name := range []string{"EngineLifecycleSupport", "MonitoringInterval"} {
				if value := made.text(name); value != "" {
					d.put(name, value)
				}
			}
			d.put("LatestRestorableTime", now.Add(-3*time.Minute).Format(time.RFC3339))
			d.put("InstanceCreateTime", monthAgo)
		}
	})
	// RDS rotates what it manages every week, whatever anybody sets.
	l.amendJSON("secretsmanager", "ListSecrets", func(a map[string]any) {
		for _, secret := range list(a["SecretList"]) {
			if strings.HasPrefix(fmt.Sprint(secret["Name"]), "rds!") {
				secret["OwningService"], secret["RotationEnabled"], secret["RotationRules"], secret["LastRotatedDate"] = "rds", true, map[string]any{"AutomaticallyAfterDays": 7}, now.Unix()
			}
		}
	})
	l.amend("elasticache", "DescribeReplicationGroups", func(a *anything) {
		for _, g := range a.find("ReplicationGroup") {
			made, is := l.caches[g.at("ReplicationGroupId")]
			if !is {
				continue
			}
			for _, name := range []string{"TransitEncryptionMode", "KmsKeyId", "AutoMinorVersionUpgrade", "AtRestEncryptionEnabled", "TransitEncryptionEnabled", "SnapshotRetentionLimit"} {
				if value := made.text(name); value != "" {
					g.put(name, value)
				}
			}
			users := anything{XMLName: xml.Name{Local: "UserGroupIds"}}
			for _, id := range made.props["UserGroupIds"].([]any) {
				users.Inside = append(users.Inside, anything{XMLName: xml.Name{Local: "member"}, Text: fmt.Sprint(id)})
			}
			g.Inside = append(slices.DeleteFunc(g.Inside, func(i anything) bool { return i.XMLName.Local == "UserGroupIds" }), users)
		}
	})

	l.detector()
	l.stacks(set, outputs)
	l.zone(s)
	l.backups(now)
	l.rehearsed(outputs["base.EvidenceBucket"], now)
	l.cloud.Answer("budgets", "DescribeSubscribersForNotification", l.subscribers)
}

// withPoliciesOfAWS adds to roles the policies of AWS's own that they have. moto
// does not know these, and nobody here has to know what they say.
func (l *lacks) withPoliciesOfAWS(a *anything) {
	element := func(name, text string, inside ...anything) anything {
		return anything{XMLName: xml.Name{Local: name}, Text: text, Inside: inside}
	}
	var all []anything
	for _, role := range a.find("member") {
		for _, arn := range l.attached[role.at("RoleName")] {
			named := element("PolicyArn", fmt.Sprint(arn))
			name := element("PolicyName", named.Text[strings.LastIndex(named.Text, "/")+1:])
			role.Inside = append(role.Inside, element("AttachedManagedPolicies", "", element("member", "", name, named)))
			version := element("member", "", element("Document", `{"Version":"2012-10-17","Statement":[]}`), element("IsDefaultVersion", "true"))
			all = append(all, element("member", "", element("Arn", named.Text), element("PolicyVersionList", "", version)))
		}
	}
	for _, result := range a.find("GetAccountAuthorizationDetailsResult") {
		result.Inside = append(result.Inside, element("Policies", "", all...))
	}
}

// raiseAccount does what rocca aws account --apply does.
func (l *lacks) raiseAccount(s settings.Settings) {
	l.Helper()
	ctx, config := l.Context(), l.cloud.Config(l)
	readings := account.Look(ctx, account.Settings(config, account.Wanted{Deployment: s.Name, Account: awstest.Account, Email: s.Email, Phone: "+49 30 5550100", Services: s.Account}))
	for _, r := range readings {
		if r.Err != nil {
			l.Fatal(r.Err)
		}
	}
	for _, r := range account.Apply(ctx, readings) {
		if r.Refused != nil {
			l.Fatal(r.Refused)
		}
	}
}

// detector answers for that of GuardDuty, which has found nothing.
func (l *lacks) detector() {
	l.Helper()
	w := world{TB: l.TB, config: l.cloud.Config(l)}
	var list struct{ DetectorIDs []string }
	w.rest("guardduty:ListDetectors", http.MethodGet, "/detector", nil, &list)
	for _, id := range list.DetectorIDs {
		l.say("guardduty", "POST /detector/"+id+"/findings", `{"findingIds":[]}`)
	}
}

// stacks answers as CloudFormation does of stacks that rocca aws deploy has made
// and protected, and whose drift somebody has looked for.
func (l *lacks) stacks(set stack.Set, outputs map[string]string) {
	type tag struct{ Key, Value string }
	type output struct {
		Key   string `xml:"OutputKey"`
		Value string `xml:"OutputValue"`
	}
	type described struct {
		XMLName   xml.Name `xml:"member"`
		Name      string   `xml:"StackName"`
		Status    string   `xml:"StackStatus"`
		Protected bool     `xml:"EnableTerminationProtection"`
		Drift     string   `xml:"DriftInformation>StackDriftStatus"`
		Checked   string   `xml:"DriftInformation>LastCheckTimestamp"`
		Outputs   []output `xml:"Outputs>member"`
		Tags      []tag    `xml:"Tags>member"`
	}
	var all []described
	for _, one := range set.Stacks {
		d := described{Name: one.Name, Status: "CREATE_COMPLETE", Protected: true, Drift: "IN_SYNC", Checked: time.Now().UTC().Format(time.RFC3339)}
		for key, value := range one.Tags {
			d.Tags = append(d.Tags, tag{key, value})
		}
		for name := range one.Template.Outputs {
			d.Outputs = append(d.Outputs, output{name, outputs[one.Role+"."+name]})
		}
		all = append(all, d)
	}
	text, err := xml.Marshal(all)
	if err != nil {
		l.Fatal(err)
	}
	l.say("cloudformation", "DescribeStacks", "<R><DescribeStacksResult><Stacks>"+string(text)+"</Stacks></DescribeStacksResult></R>")
	l.say("cloudformation", "GetStackPolicy", `<R><GetStackPolicyResult><StackPolicyBody>{"Statement":[]}</StackPolicyBody></GetStackPolicyResult></R>`)
}

// zone answers with the records of DNS that were made.
func (l *lacks) zone(s settings.Settings) {
	l.say("route53", "GET /2013-04-01/hostedzone/"+s.Zone, `<R><HostedZone><Id>/hostedzone/`+s.Zone+`</Id><Name>example.org.</Name></HostedZone></R>`)
	l.say("route53", "GET /2013-04-01/hostedzone/"+s.Zone+"/rrset", `<R><ResourceRecordSets>`+strings.Join(l.records, "")+`</ResourceRecordSets><IsTruncated>false</IsTruncated></R>`)
}

// recorded notes a record of DNS.
func (l *lacks) recorded(r resource) {
	text := "<ResourceRecordSet><Name>" + r.text("Name") + ".</Name><Type>" + r.text("Type") + "</Type>"
	if alias, is := r.props["AliasTarget"].(map[string]any); is {
		text += "<AliasTarget><DNSName>" + fmt.Sprint(alias["DNSName"]) + ".</DNSName></AliasTarget>"
	}
	values, _ := r.props["ResourceRecords"].([]any)
	text += "<ResourceRecords>"
	for _, value := range values {
		text += "<ResourceRecord><Value>" + escaped(fmt.Sprint(value)) + "</Value></ResourceRecord>"
	}
	l.records = append(l.records, text+"</ResourceRecords></ResourceRecordSet>")
}

func escaped(text string) string {
	var out bytes.Buffer
	_ = xml.EscapeText(&out, []byte(text))
	return out.String()
}

// backups answers as AWS Backup does after a night: what the plans choose has a
// recovery point, and one of these was restored.
func (l *lacks) backups(now time.Time) {
	var protected, restored []any
	for plan, selection := range l.chosen {
		path := "GET /backup/plans/" + plan + "/selections/"
		l.say("backup", path, `{"BackupSelectionsList":[{"SelectionId":"s"}]}`)
		l.say("backup", path+"s", encode(map[string]any{"BackupSelection": selection}))
		for arn, tags := range l.holds {
			if !chooses(selection, tags) {
				continue
			}
			kind := map[bool]string{true: "RDS", false: "EBS"}[strings.Contains(arn, ":db:")]
			protected = append(protected, map[string]any{"ResourceArn": arn, "ResourceType": kind, "LastBackupTime": now.Add(-9 * time.Hour).Unix()})
			restored = append(restored, map[string]any{"ResourceType": kind, "Status": "COMPLETED", "SourceResourceArn": arn, "CompletionDate": now.AddDate(0, 0, -10).Unix()})
		}
	}
	l.say("backup", "GET /resources/", encode(map[string]any{"Results": protected}))
	l.say("backup", "GET /restore-jobs/", encode(map[string]any{"RestoreJobs": restored}))
}

// chooses tells whether a resource with these tags fulfils all conditions of a
// selection.
func chooses(selection map[string]any, tags []any) bool {
	conditions, _ := selection["Conditions"].(map[string]any)
	for _, condition := range list(conditions["StringEquals"]) {
		wanted := slices.ContainsFunc(list(tags), func(tag map[string]any) bool {
			return "aws:ResourceTag/"+fmt.Sprint(tag["Key"]) == condition["ConditionKey"] && tag["Value"] == condition["ConditionValue"]
		})
		if !wanted {
			return false
		}
	}
	return true
}

// rehearsed answers as the bucket of evidence does after rocca aws respond
// rehearse. moto takes a policy that refuses requests without TLS for one that
// refuses all, so that nothing can be put there.
func (l *lacks) rehearsed(bucket string, now time.Time) {
	at := now.AddDate(0, -1, 0).Truncate(time.Second).Format(time.RFC3339)
	key := "rehearsals/" + strings.ReplaceAll(at, ":", "-") + "-practice.json"
	note := `{"at":"` + at + `","case":"practice","well":true}`
	only := func(path, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			status, text := http.StatusOK, []byte(body)
			if r.URL.Path != path {
				status, text = l.ask(r)
			}
			w.WriteHeader(status)
			_, _ = w.Write(text)
		}
	}
	l.cloud.Answer("s3", "ListObjectsV2", only("/"+bucket, fmt.Sprintf("<ListBucketResult><Contents><Key>%s</Key><Size>%d</Size></Contents></ListBucketResult>", key, len(note))))
	l.cloud.Answer("s3", "GetObject", only("/"+bucket+"/"+key, note))
}

// subscribers answers who is told by a budget.
func (l *lacks) subscribers(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		BudgetName   string
		Notification struct{ NotificationType string }
	}
	_ = json.NewDecoder(r.Body).Decode(&asked)
	l.mu.Lock()
	defer l.mu.Unlock()
	answer := map[string]any{"Subscribers": []any{}}
	for _, told := range list(l.budgets[asked.BudgetName].props["NotificationsWithSubscribers"]) {
		if told["Notification"].(map[string]any)["NotificationType"] == asked.Notification.NotificationType {
			answer["Subscribers"] = told["Subscribers"]
		}
	}
	_, _ = io.WriteString(w, encode(answer))
}
