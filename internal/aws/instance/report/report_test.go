package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"rocca/internal/aws/awstest"
	"rocca/internal/aws/instance"
)

const (
	group = "stats-base-InstanceLogs-AbCdEf"
	id    = "i-0123456789abcdef0"
)

func described() instance.Config {
	return instance.Config{
		Deployment: "stats", Region: awstest.Region, Secret: "arn:aws:secretsmanager:eu-central-1:123456789012:secret:rocca/stats/app-AbCdEf",
		Domain: []string{"stats.example.org"}, Email: "owner@example.org", Roles: []string{"tracker", "ui", "worker"},
	}
}

// on is an instance in an account that base has made the log group in.
func on(t *testing.T, cloud *awstest.Cloud, lines ...string) *reporter {
	t.Helper()
	config := cloud.Config(t)
	if _, err := ssm.NewFromConfig(config).PutParameter(t.Context(), &ssm.PutParameterInput{Name: aws.String("/rocca/stats/base/InstanceLogs"), Value: aws.String(group), Type: ssmtypes.ParameterTypeString}); err != nil {
		t.Fatal(err)
	}
	if _, err := cloudwatchlogs.NewFromConfig(config).CreateLogGroup(t.Context(), &cloudwatchlogs.CreateLogGroupInput{LogGroupName: aws.String(group)}); err != nil {
		t.Fatal(err)
	}
	cloud.ForgetCalls()
	dir := t.TempDir()
	return &reporter{
		config: described(), cloud: config, id: id, front: "127.0.0.1:1",
		audit: filepath.Join(dir, "last.json"), cursor: filepath.Join(dir, "cursor"), journalctl: journal(t, lines...),
	}
}

// sent are the messages that arrived, in their order.
func sent(t *testing.T, r *reporter) []string {
	t.Helper()
	answer, err := cloudwatchlogs.NewFromConfig(r.cloud).GetLogEvents(t.Context(), &cloudwatchlogs.GetLogEventsInput{LogGroupName: aws.String(group), LogStreamName: aws.String(id), StartFromHead: aws.Bool(true)})
	var missing *types.ResourceNotFoundException
	if errors.As(err, &missing) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range answer.Events {
		var got event
		if err := json.Unmarshal([]byte(*e.Message), &got); err != nil {
			t.Fatal(err)
		}
		all = append(all, got.Message)
	}
	return all
}

// said is an entry of the front, some minutes before now.
func said(n int, before time.Duration, message string) string {
	return line(n, time.Now().Add(-before), fmt.Sprintf(`"_SYSTEMD_UNIT":"nginx.service","_COMM":"nginx","PRIORITY":"6","MESSAGE":%q`, message))
}

func TestSendLogs(t *testing.T) {
	cloud := awstest.Start(t)
	first := []string{said(1, time.Hour, "one"), line(2, time.Now(), `"_SYSTEMD_UNIT":"cron.service","MESSAGE":"nothing of ours"`), said(3, 30*time.Minute, "two")}
	r := on(t, cloud, first...)
	report := func(want ...string) {
		t.Helper()
		if err := r.sendLogs(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := sent(t, r); !slices.Equal(got, want) {
			t.Fatalf("sent are %q, want %q", got, want)
		}
	}
	report("one", "two")
	report("one", "two") // nothing twice
	if n := cloud.Count("logs", "PutLogEvents"); n != 2 {
		t.Errorf("%d calls: the first finds no stream, the second is good, and nothing new is no call", n)
	}
	later := append(first, line(4, time.Now(), `"_SYSTEMD_UNIT":"cron.service","MESSAGE":"x"`))
	tell(t, r.journalctl, later...)
	report("one", "two")
	if text, err := os.ReadFile(r.cursor); err != nil || string(text) != place(4)+"\n" {
		t.Errorf("what is not sent is read again and again: %q, %v", text, err)
	}
	// The clock was set back.
	tell(t, r.journalctl, append(later, said(5, 2*time.Minute, "four"), said(6, 3*time.Minute, "three"))...)
	report("one", "two", "three", "four")
	if n := cloud.Count("logs", "CreateLogStream"); n != 1 {
		t.Errorf("the stream was made %d times", n)
	}
}

func TestNothingIsLostWhenItFails(t *testing.T) {
	cloud := awstest.Start(t)
	// Two batches, by their time.
	lines := []string{said(1, 30*time.Hour, "one"), said(2, 29*time.Hour, "two"), said(3, time.Hour, "three")}
	r := on(t, cloud, lines...)
	cloud.Fail("logs", "PutLogEvents", 3, 3, awstest.Denied) // no stream, the first batch, and then
	if err := r.sendLogs(t.Context()); err == nil || !strings.Contains(err.Error(), "send the journal to "+group) {
		t.Fatalf("got %v", err)
	}
	if got := sent(t, r); !slices.Equal(got, []string{"one", "two"}) {
		t.Fatalf("before the failure came %q", got)
	}
	if err := r.sendLogs(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := sent(t, r); !slices.Equal(got, []string{"one", "two", "three"}) {
		t.Errorf("afterwards there are %q", got)
	}

	// The journal breaks off.
	tell(t, r.journalctl, append(lines, said(4, time.Minute, "four"))...)
	broken := filepath.Join(filepath.Dir(r.journalctl), "journal.broken")
	if err := os.WriteFile(broken, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.sendLogs(t.Context()); err == nil || !strings.Contains(err.Error(), "the disk is broken") {
		t.Errorf("got %v", err)
	}
	if err := os.Remove(broken); err != nil {
		t.Fatal(err)
	}
	if err := r.sendLogs(t.Context()); err != nil {
		t.Error(err)
	}
	if got := sent(t, r); !slices.Equal(got, []string{"one", "two", "three", "four"}) {
		t.Errorf("in the end there are %q", got)
	}

	// Where it cannot be written down how far it went, that is told.
	tell(t, r.journalctl, said(5, 0, "five"))
	r.cursor = filepath.Join(t.TempDir(), "missing", "cursor")
	if err := r.sendLogs(t.Context()); err == nil || !strings.Contains(err.Error(), "write how far") {
		t.Errorf("got %v", err)
	}
}

func TestTooOldIsTold(t *testing.T) {
	cloud := awstest.Start(t)
	r := on(t, cloud, said(1, 15*24*time.Hour, "old"), said(2, time.Minute, "new"))
	cloud.Answer("logs", "PutLogEvents", awstest.Say(http.StatusOK, `{"rejectedLogEventsInfo":{"tooOldLogEventEndIndex":1}}`))
	if err := r.sendLogs(t.Context()); err == nil || !strings.Contains(err.Error(), ": 1 are lost") {
		t.Errorf("got %v", err)
	}
	if err := r.sendLogs(t.Context()); err != nil { // not told for ever
		t.Error(err)
	}
}

func TestReadCursor(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cursor")
	if err := keepCursor(file, place(1)); err != nil {
		t.Fatal(err)
	}
	if got, err := readCursor(file); err != nil || got != place(1) {
		t.Errorf("%q, %v", got, err)
	}
	for _, text := range []string{"", "\x00\x00", "--rotate"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := readCursor(file); err != nil || got != "" {
			t.Errorf("of %q: %q, %v", text, got, err)
		}
	}
	if _, err := readCursor(filepath.Dir(file)); err == nil {
		t.Error("a directory is read")
	}
}

func TestBatches(t *testing.T) {
	of := func(n, bytes int, apart time.Duration) []entry {
		var all []entry
		for i := range n {
			e := entry{at: noon.Add(time.Duration(i) * apart)}
			e.Message = strings.Repeat("x", bytes-len(e.text())-eventBytes)
			all = append(all, e)
		}
		return all
	}
	for name, c := range map[string]struct {
		entries []entry
		want    []int
	}{
		"none":            {nil, nil},
		"as many as may":  {of(mostEvents, 60, time.Millisecond), []int{mostEvents}},
		"one more":        {of(mostEvents+1, 60, time.Millisecond), []int{mostEvents, 1}},
		"as long as may":  {of(16, mostBytes/16, time.Second), []int{16}},
		"longer":          {of(17, mostBytes/16+1, time.Second), []int{15, 2}},
		"within a day":    {of(4, 100, 8*time.Hour-time.Second), []int{4}},
		"over a day":      {of(4, 100, 8*time.Hour), []int{3, 1}},
		"backwards":       {of(4, 100, -8*time.Hour), []int{3, 1}},
		"each its own":    {of(3, 100, 24*time.Hour), []int{1, 1, 1}},
		"the clock jumps": {slices.Concat(of(2, 100, time.Hour), of(1, 100, 0)), []int{3}},
	} {
		var got []int
		var joined []entry
		for _, batch := range batches(c.entries) {
			got, joined = append(got, len(batch)), append(joined, batch...)
		}
		if !slices.Equal(got, c.want) || !slices.Equal(joined, c.entries) {
			t.Errorf("%s: batches of %v, want %v", name, got, c.want)
		}
	}
}

func TestRejected(t *testing.T) {
	for _, c := range []struct {
		info rejection
		want int
	}{
		{rejection{}, 0},
		{rejection{TooOldLogEventEndIndex: 2}, 2},
		{rejection{TooOldLogEventEndIndex: 2, ExpiredLogEventEndIndex: 3, TooNewLogEventStartIndex: new(9)}, 4},
		{rejection{TooNewLogEventStartIndex: new(0)}, 10},
	} {
		if got := c.info.count(10); got != c.want {
			t.Errorf("%+v: %d, want %d", c.info, got, c.want)
		}
	}
}

// measured is what was sent last, by name.
func measured(t *testing.T, cloud *awstest.Cloud) *map[string]float64 {
	last := &map[string]float64{}
	cloud.Answer("monitoring", "PutMetricData", func(w http.ResponseWriter, r *http.Request) {
		*last = map[string]float64{}
		var in struct {
			Namespace  string
			MetricData []struct {
				MetricName string
				Value      float64
				Dimensions []any
			}
		}
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			t.Error(err)
			return
		}
		if in.Namespace != "rocca/stats" {
			t.Errorf("the namespace is %v, and the role may write rocca/stats", in.Namespace)
		}
		for _, datum := range in.MetricData {
			if datum.Dimensions != nil {
				t.Errorf("%v has dimensions: each is one more to pay for", datum.MetricName)
			}
			(*last)[datum.MetricName] = datum.Value
		}
		_, _ = io.WriteString(w, "{}")
	})
	return last
}

func TestSendMetrics(t *testing.T) {
	matomo := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"status":"success","tracked":0,"invalid":1}`))
	}))
	defer matomo.Close()
	cloud := awstest.Start(t)
	r := on(t, cloud)
	got := measured(t, cloud)
	r.front = matomo.Listener.Addr().String()
	if err := os.WriteFile(r.audit, []byte(`{"observed":"`+time.Now().UTC().Format(time.RFC3339)+`","summary":{"index":87},"findings":[{"id":"HST-02","status":"fail","evidence":[{}]}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.sendMetrics(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(*got) != 5 || (*got)[missingUpdates] != 1 || (*got)[trackerAnswers] != 1 || (*got)[auditIndex] != 87 || (*got)[memoryUsed] <= 0 || (*got)[memoryUsed] > 100 || (*got)[diskUsed] <= 0 || (*got)[diskUsed] > 100 {
		t.Errorf("sent are %v", *got)
	}

	matomo.Close()
	if err := r.sendMetrics(t.Context()); err != nil {
		t.Error(err)
	}
	if (*got)[trackerAnswers] != 0 {
		t.Errorf("nobody answers, and sent are %v", *got)
	}

	// An instance that does not track tells nothing of the tracker, and half a
	// report of an audit keeps nothing else back.
	r.config.Roles = []string{"worker"}
	if err := os.WriteFile(r.audit, []byte(`{`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.sendMetrics(t.Context()); err == nil || !strings.Contains(err.Error(), "measure AuditIndex") {
		t.Errorf("got %v", err)
	}
	if len(*got) != 2 || (*got)[diskUsed] == 0 || (*got)[memoryUsed] == 0 {
		t.Errorf("sent are %v", *got)
	}

	cloud.Fail("monitoring", "PutMetricData", 1, 1, awstest.Denied)
	if err := r.sendMetrics(t.Context()); err == nil || !strings.Contains(err.Error(), "send metrics") {
		t.Errorf("got %v", err)
	}
}

// TestRunElsewhere: on a machine that is no instance.
func TestRunElsewhere(t *testing.T) {
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	if err := Run(t.Context(), Options{Config: filepath.Join(t.TempDir(), "instance.yaml")}); err == nil || !strings.Contains(err.Error(), "what this instance is for") {
		t.Errorf("without a configuration: %v", err)
	}
	text, err := described().Encode()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "instance.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Run(t.Context(), Options{Config: file}); err == nil || !strings.Contains(err.Error(), "ask AWS who this instance is") || !strings.Contains(err.Error(), "hint: ") {
		t.Errorf("without metadata: %v", err)
	}
}
