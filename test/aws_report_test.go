package test

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

// testReports: the instance tells how it is, and what it did, once.
func (d *deployment) testReports(t *testing.T, i *ec2) {
	const group = "stats-instances"
	config := d.cloud.Config(t)
	if _, err := ssm.NewFromConfig(config).PutParameter(t.Context(), &ssm.PutParameterInput{Name: aws.String("/rocca/stats/base/InstanceLogs"), Value: aws.String(group), Type: ssmtypes.ParameterTypeString}); err != nil {
		t.Fatal(err)
	}
	logs := cloudwatchlogs.NewFromConfig(config)
	if _, err := logs.CreateLogGroup(t.Context(), &cloudwatchlogs.CreateLogGroupInput{LogGroupName: aws.String(group)}); err != nil {
		t.Fatal(err)
	}
	answers := []float64{} // of the tracker
	d.cloud.Answer("monitoring", "PutMetricData", func(w http.ResponseWriter, r *http.Request) {
		d.mu.Lock()
		defer d.mu.Unlock()
		answers = append(answers, trackerAnswers(t, r)...)
		_, _ = io.WriteString(w, "{}")
	})
	if state := i.run(t, "systemctl", "is-enabled", "rocca-report.timer") + i.run(t, "systemctl", "is-active", "rocca-report.timer"); state != "enabledactive" {
		t.Fatalf("the timer is %s", state)
	}
	// From here on it is the test that decides when.
	i.run(t, "systemctl", "stop", "rocca-report.timer", "rocca-report.service")
	i.write(t, "/etc/systemd/system/rocca-report.service.d/test.conf", []byte("[Service]\nEnvironment="+i.endpoint()[0]+"\n"))
	i.run(t, "systemctl", "daemon-reload")
	told := func() []string {
		t.Helper()
		answer, err := logs.GetLogEvents(t.Context(), &cloudwatchlogs.GetLogEventsInput{LogGroupName: aws.String(group), LogStreamName: aws.String(instanceID(i.address)), StartFromHead: aws.Bool(true)})
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, e := range answer.Events {
			all = append(all, *e.Message)
		}
		return all
	}
	report := func() {
		t.Helper()
		i.run(t, "systemctl", "start", "rocca-report.service")
	}
	hits := d.database.sql(t, "SELECT COUNT(*) FROM matomo.matomo_log_visit;")
	report()
	first := told()
	if !slices.ContainsFunc(first, func(event string) bool {
		return strings.Contains(event, `"unit":"rocca-boot.service"`) && strings.Contains(event, "told the stack stats-app: SUCCESS")
	}) {
		t.Errorf("the boot is not in the log:\n%s", strings.Join(first, "\n"))
	}
	report()
	seen := map[string]int{}
	for _, event := range told()[len(first):] {
		seen[event]++
		if slices.Contains(first, event) && strings.Contains(event, "told the stack") {
			t.Errorf("it came twice: %s", event)
		}
	}
	if len(seen) == 0 {
		t.Error("the second report tells nothing, not even of the first")
	}
	i.run(t, "systemctl", "stop", "rocca-php@tracker.socket", "rocca-php@tracker.service")
	report()
	i.run(t, "systemctl", "start", "rocca-php@tracker.socket")
	report()
	d.mu.Lock()
	defer d.mu.Unlock()
	if want := []float64{1, 1, 0, 1}; !slices.Equal(answers, want) {
		t.Errorf("of the tracker it told %v, want %v", answers, want)
	}
	if now := d.database.sql(t, "SELECT COUNT(*) FROM matomo.matomo_log_visit;"); now != hits {
		t.Errorf("%s visits became %s", hits, now)
	}
}

// trackerAnswers reads what an instance tells of its tracker.
func trackerAnswers(t *testing.T, r *http.Request) []float64 {
	var in struct {
		MetricData []struct {
			MetricName string
			Value      float64
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		t.Error(err)
	}
	var all []float64
	for _, datum := range in.MetricData {
		if datum.MetricName == "TrackerAnswers" {
			all = append(all, datum.Value)
		}
	}
	return all
}
