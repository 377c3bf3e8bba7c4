package respond

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"rocca/internal/aws/client"
	"rocca/internal/incident"
	"rocca/internal/progress"
)

// Run does steps of a case. Credentials that expire end it: the same command
// goes on where it stopped.
func (r *Response) Run(ctx context.Context, c *incident.Case, steps func(*Response) []incident.Step, tell progress.Handler) (incident.Outcome, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	r.stop = stop
	return c.Run(ctx, steps(r), tell)
}

// rehearsed is what the audit reads of a rehearsal.
type rehearsed struct {
	At   time.Time `json:"at"`
	Case string    `json:"case"`
	Well bool      `json:"well"`
}

// Rehearsed records in the bucket of evidence that the response was practised,
// and whether every step was done: the audit looks when that was.
func (r *Response) Rehearsed(ctx context.Context, well bool) error {
	at := r.tools.Now().UTC().Truncate(time.Second)
	content, err := json.Marshal(rehearsed{At: at, Case: r.id, Well: well})
	if err != nil {
		return err
	}
	if r.bucket.name == "" {
		return fmt.Errorf("record the rehearsal: %w", errNoBucket)
	}
	key := "rehearsals/" + strings.ReplaceAll(at.Format(time.RFC3339), ":", "-") + "-" + r.id + ".json"
	if err := r.bucket.put(ctx, key, content); err != nil {
		return fmt.Errorf("record the rehearsal: put %s into the bucket %s: %w", key, r.bucket.name, client.Explain(err))
	}
	return nil
}
