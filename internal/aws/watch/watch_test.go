package watch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rocca/internal/aws/awstest"
	"rocca/internal/model"
)

const hostRole = "arn:aws:iam::123456789012:role/stats-host"

var (
	begin  = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	target = Target{Deployment: "stats", HostRole: hostRole, Network: netip.MustParsePrefix("10.20.0.0/16"), FlowLogs: "stats-flows"}
)

// record is an event as CloudTrail writes it.
func record(id, source, name, identity, rest string) string {
	return fmt.Sprintf(`{"eventID":%q,"eventTime":"2026-11-22T10:05:00Z","eventSource":"%s.amazonaws.com","eventName":%q,"sourceIPAddress":"203.0.113.9","eventType":"AwsApiCall","userIdentity":%s%s}`, id, source, name, identity, rest)
}

const (
	person = `{"type":"IAMUser","arn":"arn:aws:iam::123456789012:user/mallory"}`
	server = `{"type":"AssumedRole","arn":"arn:aws:sts::123456789012:assumed-role/stats-host/i-1","sessionContext":{"sessionIssuer":{"arn":"` + hostRole + `"}}}`
	root   = `{"type":"Root","arn":"arn:aws:iam::123456789012:root"}`
	scaler = `{"type":"AWSService","invokedBy":"autoscaling.amazonaws.com"}`
)

func TestJudge(t *testing.T) {
	for name, c := range map[string]struct {
		record   string
		kind     Kind
		severity model.Severity
	}{
		"the secret by a person":       {record("1", "secretsmanager", "GetSecretValue", person, `,"readOnly":true,"requestParameters":{"secretId":"rocca/stats/app"}`), SecretRead, model.High},
		"the secret by a server":       {record("1", "secretsmanager", "GetSecretValue", server, `,"readOnly":true,"requestParameters":{"secretId":"arn:aws:secretsmanager:eu-central-1:1:secret:rocca/stats/app-AbCdEf"}`), "", 0},
		"a secret of another":          {record("1", "secretsmanager", "GetSecretValue", person, `,"readOnly":true,"requestParameters":{"secretId":"rocca/shop/app"}`), "", 0},
		"the administrator's secret":   {record("1", "secretsmanager", "GetSecretValue", person, `,"requestParameters":{"secretId":"arn:aws:secretsmanager:eu-central-1:1:secret:rds!db-1-x"}`), SecretRead, model.High},
		"root":                         {record("1", "signin", "ConsoleLogin", root, ``), RootUsed, model.High},
		"root by a service":            {record("1", "ec2", "DescribeVpcs", `{"type":"Root","invokedBy":"support.amazonaws.com"}`, `,"readOnly":true`), "", 0},
		"the trail stops":              {record("1", "cloudtrail", "StopLogging", person, `,"requestParameters":{"name":"stats"}`), WatchEnded, model.Critical},
		"the trail was to stop":        {record("1", "cloudtrail", "StopLogging", person, `,"errorCode":"AccessDenied","requestParameters":{"name":"stats"}`), WatchEnded, model.Medium},
		"a group is opened":            {record("1", "ec2", "AuthorizeSecurityGroupIngress", person, `,"requestParameters":{"groupId":"sg-1"}`), Opened, model.High},
		"an interface by the scaler":   {record("1", "ec2", "ModifyNetworkInterfaceAttribute", scaler, ``), Opened, model.Low},
		"a group is described":         {record("1", "ec2", "DescribeSecurityGroups", person, `,"readOnly":true`), "", 0},
		"a role gets rights":           {record("1", "iam", "PutRolePolicy", person, `,"requestParameters":{"roleName":"stats-host"}`), Rights, model.High},
		"a snapshot is shared":         {record("1", "ec2", "ModifySnapshotAttribute", person, ``), Data, model.High},
		"something that nobody minds":  {record("1", "ec2", "CreateTags", person, ``), "", 0},
		"a read that is called create": {record("1", "ec2", "CreateSecurityGroup", person, `,"readOnly":true`), "", 0},
	} {
		e, err := decodeEvent(c.record)
		if err != nil {
			t.Fatal(err)
		}
		f, is := target.judge(e)
		if is != (c.kind != "") || is && (f.Kind != c.kind || f.Severity != c.severity) {
			t.Errorf("%s: %v %s %s, want %s %s", name, is, f.Kind, f.Severity, c.kind, c.severity)
		}
	}
}

func TestFlows(t *testing.T) {
	lines := []string{
		"2 1 eni-1 198.51.100.7 10.20.0.5 4000 22 6 3 180 1795341600 1795341660 REJECT OK",
		"2 1 eni-1 198.51.100.7 10.20.0.5 4001 23 6 1 60 1795341601 1795341660 REJECT OK",
		"2 1 eni-1 10.20.0.5 192.0.2.66 4001 4444 6 9 60 1795341602 1795341660 REJECT OK",
		"2 1 eni-1 10.20.0.5 192.0.2.66 4001 443 6 9 60 1795341602 1795341660 ACCEPT OK",
		"2 1 eni-1 - - - - - - - 1795341602 1795341660 - NODATA",
		"nonsense",
	}
	sums := map[string]*rejection{}
	for _, line := range lines {
		if r, is := parseFlow(line); is {
			r.add(sums, target.Network)
		}
	}
	found := told(sums, target.Network)
	slices.SortFunc(found, func(a, b Finding) int { return a.At.Compare(b.At) })
	if len(found) != 2 {
		t.Fatalf("got %+v", found)
	}
	if f := found[0]; f.Severity != model.Low || f.From != "198.51.100.7" || !strings.Contains(f.What, "4 packets to port 22, 23") {
		t.Errorf("from outside: %+v", f)
	}
	if f := found[1]; f.Severity != model.Medium || !strings.Contains(f.What, "to 192.0.2.66, port 4444") {
		t.Errorf("from inside: %+v", f)
	}
}

// trail answers as CloudTrail, which moto has not: two pages for what changed,
// in the deployment's region.
func trail(t *testing.T, asked *[]string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			LookupAttributes []struct{ AttributeKey, AttributeValue string }
			NextToken        string
			StartTime        int64
		}
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil || len(in.LookupAttributes) != 1 || in.StartTime != begin.Unix() {
			t.Errorf("asked %+v, %v", in, err)
		}
		_, scope, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
		region := strings.Split(scope, "/")[2]
		question := in.LookupAttributes[0].AttributeKey + "=" + in.LookupAttributes[0].AttributeValue + " " + region + " " + in.NextToken
		*asked = append(*asked, question)
		var events []string
		next := ""
		switch question {
		case "ReadOnly=false eu-central-1 ":
			events, next = []string{record("a", "ec2", "AuthorizeSecurityGroupIngress", person, ``)}, "more"
		case "ReadOnly=false eu-central-1 more":
			events = []string{record("b", "cloudtrail", "StopLogging", root, ``)}
		case "Username=root eu-central-1 ":
			events = []string{record("b", "cloudtrail", "StopLogging", root, ``)}
		case "ReadOnly=false us-east-1 ":
			events = []string{record("c", "iam", "CreateUser", person, ``), record("d", "ec2", "CreateSecurityGroup", person, ``)}
		}
		type told struct{ EventId, CloudTrailEvent string } //nolint:revive // AWS's name
		var out struct {
			Events    []told
			NextToken string `json:",omitempty"`
		}
		for _, e := range events {
			out.Events = append(out.Events, told{"x", e})
		}
		out.NextToken = next
		if err := json.NewEncoder(w).Encode(out); err != nil {
			t.Error(err)
		}
	}
}

func TestOnce(t *testing.T) {
	cloud := awstest.Start(t)
	var asked []string
	cloud.Answer("cloudtrail", "LookupEvents", trail(t, &asked))
	cloud.Answer("logs", "FilterLogEvents", awstest.Say(http.StatusOK, `{"events":[{"message":"2 1 eni-1 198.51.100.7 10.20.0.5 4000 22 6 3 180 1795341600 1795341660 REJECT OK"}]}`))
	cloud.Answer("guardduty", "GET /detector", awstest.Say(http.StatusOK, `{"detectorIds":["d1"]}`))
	cloud.Answer("guardduty", "POST /detector/d1/findings", awstest.Say(http.StatusOK, `{"findingIds":["g1","g2"]}`))
	cloud.Answer("guardduty", "POST /detector/d1/findings/get", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if !strings.Contains(string(body), `"g1","g2"`) {
			t.Errorf("asked for %s", body)
		}
		_, _ = io.WriteString(w, `{"findings":[
			{"id":"g1","type":"CryptoCurrency:EC2/BitcoinTool.B!DNS","title":"mining","severity":8,"updatedAt":"2026-11-22T10:06:00Z","resource":{"instanceDetails":{"instanceId":"i-1"}}},
			{"id":"g2","type":"Recon:EC2/Portscan","title":"scan","severity":5,"updatedAt":"2026-11-22T10:07:00Z","resource":{"instanceDetails":{"instanceId":"i-other"}}}]}`)
	})
	watched := target
	watched.Resources = func(id string) bool { return id == "i-1" }
	found, err := Once(t.Context(), cloud.Config(t), watched, begin)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range found {
		got = append(got, f.ID+" "+string(f.Kind)+" "+f.Severity.String())
	}
	want := []string{"flow outside 198.51.100.72026-11-22T10 connections refused low", "a network changed high", "b root used high", "c rights changed high", "g1 threat high"}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(asked) != 7 {
		t.Errorf("asked %q", asked)
	}
}

// What one source refuses does not silence the others.
func TestOnceIsDenied(t *testing.T) {
	cloud := awstest.StartGuarded(t)
	cloud.Answer("logs", "FilterLogEvents", awstest.Say(http.StatusOK, `{"events":[{"message":"2 1 eni-1 198.51.100.7 10.20.0.5 4000 22 6 3 180 1795341600 1795341660 REJECT OK"}]}`))
	who := cloud.As(t, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"logs:FilterLogEvents","Resource":"*"}]}`)
	found, err := Once(t.Context(), who, target, begin)
	if len(found) != 1 || err == nil || !strings.Contains(err.Error(), "calls to AWS (CloudTrail)") || !strings.Contains(err.Error(), "threats (GuardDuty)") {
		t.Errorf("got %+v, %v", found, err)
	}
}

// Nothing is told twice, and a refusal once.
func TestFollow(t *testing.T) {
	cloud := awstest.Start(t)
	rounds := 0
	cloud.Answer("cloudtrail", "LookupEvents", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if !strings.Contains(string(body), "ReadOnly") || !strings.Contains(r.Header.Get("Authorization"), awstest.Region) {
			_, _ = io.WriteString(w, `{"Events":[]}`)
			return
		}
		rounds++
		text, _ := json.Marshal(record(fmt.Sprint("e", rounds/2), "ec2", "CreateSecurityGroup", person, ``))
		fmt.Fprintf(w, `{"Events":[{"EventId":"x","CloudTrailEvent":%s}]}`, text)
	})
	cloud.Answer("logs", "FilterLogEvents", awstest.Say(http.StatusBadRequest, `{"__type":"ResourceNotFoundException","message":"no group"}`))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	every := make(chan time.Time)
	var ids []string
	problems := 0
	emitted := make(chan bool)
	ended := make(chan error, 1)
	go func() {
		ended <- Follow(ctx, cloud.Config(t), target, begin, every, func(found []Finding, problem error) error {
			for _, f := range found {
				ids = append(ids, f.ID)
			}
			if problem != nil {
				problems++
			}
			emitted <- true
			return nil
		})
	}()
	<-emitted // e0 and the refusal
	every <- time.Time{}
	<-emitted // e1, as the second round has the third answer
	every <- time.Time{}
	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-emitted:
	}
	if !slices.Equal(ids[:2], []string{"e0", "e1"}) || problems != 1 {
		t.Errorf("told %q, and %d problems", ids, problems)
	}
}

func TestFollowEndsWithCredentials(t *testing.T) {
	cloud := awstest.Start(t)
	expired := awstest.Say(http.StatusBadRequest, `{"__type":"ExpiredTokenException","message":"expired"}`)
	cloud.Answer("cloudtrail", "LookupEvents", expired)
	cloud.Answer("logs", "FilterLogEvents", expired)
	err := Follow(t.Context(), cloud.Config(t), target, begin, nil, func([]Finding, error) error { return errors.New("told") })
	if err == nil || err.Error() == "told" || !strings.Contains(err.Error(), "ExpiredToken") {
		t.Errorf("got %v", err)
	}
}

func FuzzEvent(f *testing.F) {
	f.Add(record("1", "ec2", "CreateSecurityGroup", person, ``))
	f.Add(`{"eventID":"1","eventName":"x","requestParameters":{"name":["a"]}}`)
	f.Fuzz(func(t *testing.T, text string) {
		e, err := decodeEvent(text)
		if err != nil {
			return
		}
		if found, is := target.judge(e); is && (found.ID == "" || found.Kind == "" || found.Severity == 0) {
			t.Errorf("%q: %+v", text, found)
		}
	})
}
