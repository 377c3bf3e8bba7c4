package report

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"rocca/internal/aws/client"
	"rocca/internal/durable"
)

// cursorPath is the file with the place in the journal up to which everything
// was sent; rocca-report.service has the directory.
const cursorPath = "/var/lib/rocca/report/cursor"

// Limits of PutLogEvents.
const (
	mostEvents  = 10_000
	mostBytes   = 1 << 20
	eventBytes  = 26 // that each event counts beside its message
	longestSpan = 24 * time.Hour
)

// sendLogs sends what is new in the journal. After each batch it is written
// down how far that was, so that the next report goes on there.
func (r *reporter) sendLogs(ctx context.Context) error {
	group, err := r.logGroup(ctx)
	if err != nil {
		return err
	}
	after, err := readCursor(r.cursor)
	if err != nil {
		return err
	}
	found, problem := r.readJournal(ctx, after, mostEntries)
	for _, batch := range batches(found.entries) {
		refused, err := r.put(ctx, group, batch)
		if err != nil {
			return errors.Join(problem, err)
		}
		if refused > 0 {
			problem = errors.Join(problem, fmt.Errorf("send the journal: CloudWatch takes no events that are so old, or in the future: %d are lost", refused))
		}
		if err := keepCursor(r.cursor, batch[len(batch)-1].cursor); err != nil {
			return errors.Join(problem, err)
		}
	}
	if found.broken > 0 {
		problem = errors.Join(problem, fmt.Errorf("read the journal: %d lines that %s wrote are no entries", found.broken, r.journalctl))
	}
	if found.cursor != "" {
		if err := keepCursor(r.cursor, found.cursor); err != nil {
			return errors.Join(problem, err)
		}
	}
	r.note("journal: %d of %d new entries, to %s", len(found.entries), found.seen, group)
	return problem
}

// logGroup asks for the name of the log group of instances.
func (r *reporter) logGroup(ctx context.Context) (string, error) {
	name := "/rocca/" + r.config.Deployment + "/base/InstanceLogs"
	var answer struct{ Parameter struct{ Value string } }
	if err := client.Ask(ctx, r.cloud, "ssm:GetParameter", client.Fields{"Name": name}, &answer); err != nil {
		return "", fmt.Errorf("look up the parameter %s: %w", name, client.Explain(err))
	}
	return answer.Parameter.Value, nil
}

// batches cuts entries into such as one call takes, in their order.
func batches(entries []entry) [][]entry {
	var all [][]entry
	start, size := 0, 0
	var first, last time.Time // of the batch; clocks are set back at times
	for i, e := range entries {
		bytes := len(e.text()) + eventBytes
		from, to := earlier(first, e.at), later(last, e.at)
		if i > start && (i-start == mostEvents || size+bytes > mostBytes || to.Sub(from) >= longestSpan) {
			all = append(all, entries[start:i])
			start, size, from, to = i, 0, e.at, e.at
		}
		size, first, last = size+bytes, from, to
	}
	if start < len(entries) {
		all = append(all, entries[start:])
	}
	return all
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// text is the message of the event.
func (e entry) text() string {
	text, err := json.Marshal(e.event)
	if err != nil {
		panic(err) // strings and a number always can be
	}
	return string(text)
}

// put sends a batch, and tells how many events were refused for their age.
func (r *reporter) put(ctx context.Context, group string, batch []entry) (refused int, err error) {
	// The order must be that of time, which is not that of the journal when the
	// clock was set back.
	ordered := slices.SortedStableFunc(slices.Values(batch), func(a, b entry) int { return cmp.Compare(a.at.UnixMilli(), b.at.UnixMilli()) })
	events := make([]client.Fields, len(ordered))
	for i, e := range ordered {
		events[i] = client.Fields{"message": e.text(), "timestamp": e.at.UnixMilli()}
	}
	var answer struct{ RejectedLogEventsInfo rejection }
	send := func() error {
		return client.Ask(ctx, r.cloud, "logs:PutLogEvents", client.Fields{"logGroupName": group, "logStreamName": r.id, "logEvents": events}, &answer)
	}
	err = send()
	if client.Refused(err, "ResourceNotFoundException") { // the stream; if the group is, this says so
		err = client.Ask(ctx, r.cloud, "logs:CreateLogStream", client.Fields{"logGroupName": group, "logStreamName": r.id}, nil)
		if err != nil && !client.Refused(err, "ResourceAlreadyExistsException") {
			return 0, fmt.Errorf("make the log stream %s in %s: %w", r.id, group, client.Explain(err))
		}
		err = send()
	}
	if err != nil {
		return 0, fmt.Errorf("send the journal to %s: %w", group, client.Explain(err))
	}
	return answer.RejectedLogEventsInfo.count(len(events)), nil
}

// rejection tells which events were not taken: each index is the first event
// that is good again, or that is not any more.
type rejection struct {
	TooOldLogEventEndIndex   int
	ExpiredLogEventEndIndex  int
	TooNewLogEventStartIndex *int
}

func (r rejection) count(sent int) int {
	old := max(r.TooOldLogEventEndIndex, r.ExpiredLogEventEndIndex)
	if r.TooNewLogEventStartIndex != nil {
		old += sent - *r.TooNewLogEventStartIndex
	}
	return old
}

// readCursor reads how far the journal was sent. Where nothing readable is
// written it begins from the beginning: twice is better than never.
func readCursor(file string) (string, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read how far the journal was sent: %w", err)
	}
	cursor := strings.TrimSpace(string(text))
	if !cursorForm.MatchString(cursor) {
		return "", nil
	}
	return cursor, nil
}

// keepCursor writes it, whole or not at all.
func keepCursor(name, cursor string) error {
	if err := durable.Write(name, []byte(cursor+"\n"), durable.Attr{Mode: 0o600}); err != nil {
		return fmt.Errorf("write how far the journal was sent: %w", err)
	}
	return nil
}
