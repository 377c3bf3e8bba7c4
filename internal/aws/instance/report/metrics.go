package report

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"rocca/internal/aws/client"
	"rocca/internal/collect/front"
	"rocca/internal/config"
)

// Names of the metrics, in the namespace rocca/NAME. They have no dimension:
// alarms ask for the worst of all instances, and each combination of dimensions
// would be one more metric to pay for.
const (
	diskUsed       = "DiskUsed"       // percent of the fullest file system that grows
	memoryUsed     = "MemoryUsed"     // percent that programs have, and cannot be had without swapping
	trackerAnswers = "TrackerAnswers" // 1, or 0: front, PHP or database do not work; of instances that track
	auditIndex     = "AuditIndex"     // 0 to 100, of the last rocca audit, where there was one
	missingUpdates = "MissingUpdates" // packages with updates that are not installed, or other faults of HST-02, by an audit of these days
)

// auditPath is where rocca-audit.service leaves its report.
const auditPath = "/var/lib/rocca/audit/last.json"

// grow are directories on the file systems that grow: that of the system, and
// that of a database on this machine.
var grow = []string{"/", "/var/lib/mysql"}

// Units of CloudWatch.
const (
	percent = "Percent"
	plain   = "None"
	count   = "Count"
)

type metric struct {
	name  string
	value float64
	unit  string // as CloudWatch calls it
}

// sendMetrics sends what could be measured. What could not is an error, and a
// gap in the metric.
func (r *reporter) sendMetrics(ctx context.Context) error {
	all, problem := r.measure(ctx)
	if len(all) == 0 {
		return problem
	}
	var data []client.Fields
	var told []string
	now := time.Now().Unix()
	for _, m := range all {
		data = append(data, client.Fields{"MetricName": m.name, "Value": m.value, "Unit": m.unit, "Timestamp": now})
		told = append(told, fmt.Sprintf("%s %.0f", m.name, m.value))
	}
	err := client.Ask(ctx, r.cloud, "cloudwatch:PutMetricData", client.Fields{"Namespace": "rocca/" + r.config.Deployment, "MetricData": data}, nil)
	if err != nil {
		return errors.Join(problem, fmt.Errorf("send metrics: %w", client.Explain(err)))
	}
	r.note("metrics: %s", strings.Join(told, ", "))
	return problem
}

func (r *reporter) measure(ctx context.Context) ([]metric, error) {
	var all []metric
	var problems []error
	add := func(name string, value float64, unit string, err error) {
		if err != nil {
			problems = append(problems, fmt.Errorf("measure %s: %w", name, err))
			return
		}
		all = append(all, metric{name, value, unit})
	}
	disk, err := fullest(grow)
	add(diskUsed, disk, percent, err)
	text, err := os.ReadFile("/proc/meminfo")
	if err == nil {
		var memory float64
		memory, err = memoryOf(string(text))
		add(memoryUsed, memory, percent, err)
	} else {
		add(memoryUsed, 0, "", err)
	}
	if slices.Contains(r.config.Roles, config.RoleTracker) {
		answers := 0.0
		if err := r.probe(ctx); err == nil {
			answers = 1
		} else {
			r.note("the tracker does not answer: %v", err)
		}
		add(trackerAnswers, answers, plain, nil)
	}
	last, err := readAudit(r.audit)
	if !errors.Is(err, fs.ErrNotExist) { // nobody has to audit
		add(auditIndex, last.index, plain, err)
	}
	if last.updatesSeen && time.Since(last.at) < auditAge {
		add(missingUpdates, float64(last.missing), count, nil)
	}
	return all, errors.Join(problems...)
}

// fullest is the used share, in percent, of the fullest file system that the
// directories are on. One that is not there is left out.
func fullest(directories []string) (float64, error) {
	most := 0.0
	for _, name := range directories {
		var s syscall.Statfs_t
		err := syscall.Statfs(name, &s)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("look at the file system of %s: %w", name, err)
		}
		most = max(most, used(s.Blocks, s.Bfree, s.Bavail))
	}
	return most, nil
}

// used is the used share of a file system in percent, as df tells it: of what
// is not kept for root.
func used(blocks, free, available uint64) float64 {
	taken := blocks - min(free, blocks)
	whole := float64(taken) + float64(available)
	if whole == 0 {
		return 0
	}
	return float64(taken) / whole * 100
}

// memoryOf reads the used share of memory, in percent, from the text of
// /proc/meminfo: proc(5).
func memoryOf(text string) (float64, error) {
	kilobytes := map[string]float64{}
	for line := range strings.Lines(text) {
		name, rest, _ := strings.Cut(line, ":")
		if name != "MemTotal" && name != "MemAvailable" {
			continue
		}
		number, err := strconv.ParseUint(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s of /proc/meminfo is %q", name, strings.TrimSpace(rest))
		}
		kilobytes[name] = float64(number)
	}
	available, said := kilobytes["MemAvailable"]
	total := kilobytes["MemTotal"]
	if !said || total == 0 || available > total {
		return 0, errors.New("/proc/meminfo does not tell MemTotal and MemAvailable")
	}
	return (total - available) / total * 100, nil
}

const (
	// probeHits is one hit for a site that nobody has. Matomo has to ask the
	// database for it, and records nothing. Of single hits 400 would be the answer,
	// with a database and without; of a list of them it is 200, or 500.
	probeHits     = `{"requests":["?idsite=999999999&rec=1"]}`
	probePatience = 30 * time.Second
)

// probe asks the tracker as a visitor's browser does, over this machine's own
// front; the answer proves front, PHP and database.
func (r *reporter) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, probePatience, fmt.Errorf("no answer in %s", probePatience))
	defer cancel()
	answer, err := front.Ask(ctx, r.front, front.Request{Host: r.config.Domain[0], Path: "/matomo.php", Body: probeHits})
	switch {
	case err != nil:
		return err
	case answer.Refused:
		return errors.New(answer.Body)
	}
	var said struct {
		Status  string
		Tracked int
		Invalid int
	}
	if answer.Status != 200 || json.Unmarshal([]byte(answer.Body), &said) != nil || said.Status != "success" || said.Tracked != 0 || said.Invalid != 1 {
		return fmt.Errorf("status %d, and not that a hit for no site is invalid", answer.Status)
	}
	return nil
}

// auditAge is how old an audit may be that tells of updates: it is made each
// day.
const auditAge = 2 * 24 * time.Hour

// lastAudit is what is told of it.
type lastAudit struct {
	at          time.Time
	index       float64
	updatesSeen bool // HST-02 was decided
	missing     int  // what speaks against it
}

// readAudit reads the report of rocca audit.
func readAudit(file string) (lastAudit, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return lastAudit{}, err
	}
	var report struct {
		Observed time.Time
		Summary  *struct{ Index float64 }
		Findings []struct {
			ID, Status string
			Evidence   []json.RawMessage
		}
	}
	if err := json.Unmarshal(text, &report); err != nil || report.Summary == nil || report.Summary.Index < 0 || report.Summary.Index > 100 {
		return lastAudit{}, fmt.Errorf("%s is no report of rocca audit", file)
	}
	last := lastAudit{at: report.Observed, index: report.Summary.Index}
	for _, f := range report.Findings {
		if f.ID != "HST-02" {
			continue
		}
		switch f.Status {
		case "pass":
			last.updatesSeen = true
		case "fail", "waived":
			last.updatesSeen, last.missing = true, len(f.Evidence)
		}
	}
	return last, nil
}
