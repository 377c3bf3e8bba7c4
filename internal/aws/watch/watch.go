// Package watch tells what happens around a deployment that its owner should
// know of: calls to AWS by others (CloudTrail), connections that were refused
// (VPC flow logs), threats (GuardDuty). It only reads.
package watch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"rocca/internal/aws/client"
	"rocca/internal/model"
)

// Finding is one thing that happened.
type Finding struct {
	At       time.Time      `json:"at"`
	Kind     Kind           `json:"kind"`
	Severity model.Severity `json:"severity"`
	Who      string         `json:"who,omitempty"`  // ARN, or what AWS calls the caller
	From     string         `json:"from,omitempty"` // address, or the service of AWS that called
	What     string         `json:"what"`           // in words
	Resource string         `json:"resource,omitempty"`
	ID       string         `json:"id"` // of the source; the same thing has the same one
}

// Kind is what sort of thing happened.
type Kind string

// The kinds.
const (
	SecretRead Kind = "secret read"            // by anybody but the servers
	RootUsed   Kind = "root used"              //
	WatchEnded Kind = "watching changed"       // trail, GuardDuty, AWS Config
	Opened     Kind = "network changed"        // security groups, interfaces, routes, packet filters
	Rights     Kind = "rights changed"         // IAM
	KeyChanged Kind = "key changed"            // KMS
	Data       Kind = "data shared or deleted" // snapshots, buckets, database
	Rejected   Kind = "connections refused"    //
	Threat     Kind = "threat"                 // a finding of GuardDuty
)

// Target is what is watched.
type Target struct {
	Deployment string               // name; its secrets are below rocca/NAME/
	HostRole   string               // ARN of the role that the servers have: its reads of the secret are none of others
	Network    netip.Prefix         // of the VPC: who calls from there is one of ours
	FlowLogs   string               // log group of the flow logs; empty: there are none
	Resources  func(id string) bool // tells whether an id is one of the deployment's; nil: all are
}

// delay is how late the sources may tell: CloudTrail up to a quarter of an hour
// (AWS's documentation of LookupEvents).
const delay = 15 * time.Minute

// Once gives what happened since then, in the order of time. What one source
// refused is an error beside what the others told.
func Once(ctx context.Context, c client.Config, t Target, since time.Time) ([]Finding, error) {
	var all []Finding
	var problems []error
	for _, source := range []struct {
		name string
		ask  func(context.Context, client.Config, Target, time.Time) ([]Finding, error)
	}{{"calls to AWS (CloudTrail)", calls}, {"refused connections (flow logs)", refused}, {"threats (GuardDuty)", threats}} {
		found, err := source.ask(ctx, c, t, since)
		all = append(all, found...)
		if err != nil {
			problems = append(problems, fmt.Errorf("look for %s: %w", source.name, client.Explain(err)))
		}
	}
	slices.SortStableFunc(all, func(a, b Finding) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID)) })
	all = slices.CompactFunc(all, func(a, b Finding) bool { return a.ID == b.ID }) // one event may fit two questions
	return all, errors.Join(problems...)
}

// Follow asks again and again, and hands on what is new. It looks back a little
// each time, as sources tell late; what it has told it does not tell again. A
// source that refuses is told of once, until its error is another.
func Follow(ctx context.Context, c client.Config, t Target, since time.Time, every <-chan time.Time, emit func([]Finding, error) error) error {
	told := map[string]time.Time{}
	said := ""
	for {
		began := time.Now()
		found, problem := Once(ctx, c, t, since)
		if ctx.Err() != nil {
			return nil // whoever follows ends it so
		}
		if client.Expired(problem) {
			return problem
		}
		fresh := slices.DeleteFunc(found, func(f Finding) bool { _, known := told[f.ID]; return known })
		for _, f := range fresh {
			told[f.ID] = began
		}
		text := ""
		if problem != nil {
			text = problem.Error()
		}
		if text == said {
			problem = nil
		}
		said = text
		if len(fresh) > 0 || problem != nil {
			if err := emit(fresh, problem); err != nil {
				return err
			}
		}
		if back := began.Add(-delay); back.After(since) {
			since = back
		}
		for id, at := range told {
			if at.Before(began.Add(-2 * delay)) {
				delete(told, id)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-every:
		}
	}
}
