package deploy

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"rocca/internal/aws/client"
	"rocca/internal/aws/stack"
)

// Fate is what becomes of a resource when its deployment is destroyed.
type Fate string

// The fates.
const (
	Deleted  Fate = "deleted"
	Snapshot Fate = "snapshot" // deleted, after a snapshot was taken that stays
	Kept     Fate = "kept"     // as it is; it goes on to cost what it costs
)

// Removal is what destroying would do to one stack.
type Removal struct {
	Role      string `json:"role"`
	Stack     string `json:"stack"`
	Resources []Doom `json:"resources"` // by logical id
}

// Doom is what becomes of one resource.
type Doom struct {
	ID       string `json:"id"` // logical
	Type     string `json:"type"`
	Is       string `json:"is"`
	Physical string `json:"physical"`
	Fate     Fate   `json:"fate"`
	Loses    string `json:"loses,omitempty"` // in words; empty: nothing that could not be made again
}

// Left is what a destroyed deployment has left behind.
type Left struct {
	What string `json:"what"` // in words
	ID   string `json:"id"`
	Why  string `json:"why"`
}

// Buckets empties a bucket, of every version of every object.
type Buckets func(ctx context.Context, bucket string) error

// snapshots are the stateful types of which CloudFormation takes a last
// snapshot. Others are kept as they are, but an address, which holds nothing.
var snapshots = []string{"AWS::RDS::DBInstance", "AWS::RDS::DBCluster", "AWS::EC2::Volume", "AWS::ElastiCache::ReplicationGroup", "AWS::ElastiCache::CacheCluster"}

// fate decides what becomes of a resource whose template has that policy.
func fate(kind, policy string, keepData bool) Fate {
	_, holds := stateful[kind]
	switch {
	case !keepData || kind == "AWS::EC2::EIP":
		return Deleted
	case slices.Contains(snapshots, kind):
		return Snapshot
	case holds || retains(policy):
		return Kept
	}
	return Deleted
}

// retains tells whether a deletion policy keeps a resource that was in use.
func retains(policy string) bool { return policy == "Retain" || policy == "RetainExceptOnCreate" }

// Removals reads what destroying the stacks of a set would do, in the order it
// is done. Of the set only names are needed, and words where there are any.
func (d *Deployment) Removals(ctx context.Context, set stack.Set, keepData bool) ([]Removal, error) {
	there, err := d.look(ctx, set)
	if err != nil {
		return nil, err
	}
	var removals []Removal
	for _, one := range slices.Backward(set.Stacks) {
		now := there[one.Role]
		if now.absent() {
			continue
		}
		if now.running() && now.status != types.StackStatusDeleteInProgress {
			return nil, &RunningError{one.Name, string(now.status)}
		}
		removal, err := d.removal(ctx, one, keepData)
		if err != nil {
			return nil, err
		}
		removals = append(removals, removal)
	}
	return removals, nil
}

func (d *Deployment) removal(ctx context.Context, one stack.Stack, keepData bool) (Removal, error) {
	removal := Removal{Role: one.Role, Stack: one.Name}
	body, err := d.body(ctx, one.Name)
	if err != nil {
		return removal, err
	}
	template, err := readTemplate(body)
	if err != nil {
		return removal, fmt.Errorf("read the template of the stack %s: %w", one.Name, err)
	}
	named := words(one.Template)
	more := func(in *cloudformation.ListStackResourcesInput, out *cloudformation.ListStackResourcesOutput) bool {
		return client.Next(&in.NextToken, out.NextToken)
	}
	for page, err := range client.Pages(ctx, d.cloud.ListStackResources, &cloudformation.ListStackResourcesInput{StackName: &one.Name}, more) {
		if err != nil {
			return removal, fmt.Errorf("list the resources of the stack %s: %w", one.Name, client.Explain(err))
		}
		for _, r := range page.StackResourceSummaries {
			if r.ResourceStatus == types.ResourceStatusDeleteComplete {
				continue
			}
			id, kind := aws.ToString(r.LogicalResourceId), aws.ToString(r.ResourceType)
			doom := Doom{ID: id, Type: kind, Is: cmp.Or(named[id], wordsOfType(kind)+" "+id), Physical: aws.ToString(r.PhysicalResourceId),
				Fate: fate(kind, template.Resources[id].DeletionPolicy, keepData)}
			if doom.Fate == Deleted {
				doom.Loses = stateful[kind]
			}
			removal.Resources = append(removal.Resources, doom)
		}
	}
	slices.SortFunc(removal.Resources, func(a, b Doom) int { return strings.Compare(a.ID, b.ID) })
	return removal, nil
}

// Destroy takes the stacks away, in the order of the removals. When it is
// stopped, or a resource resists, the same call goes on.
func (d *Deployment) Destroy(ctx context.Context, removals []Removal, keepData bool, empty Buckets) ([]Left, error) {
	var left []Left
	for _, removal := range removals {
		now, err := d.standing(ctx, removal.Stack)
		if err != nil {
			return left, err
		}
		if now.absent() {
			continue
		}
		stays, err := d.destroyStack(ctx, removal, now, keepData, empty)
		left = append(left, stays...)
		if err != nil {
			return left, err
		}
	}
	return left, nil
}

func (d *Deployment) destroyStack(ctx context.Context, removal Removal, now standing, keepData bool, empty Buckets) ([]Left, error) {
	one := stack.Stack{Role: removal.Role, Name: removal.Stack, Tags: now.tags}
	if now.halfway() {
		if err := d.repair(ctx, StackPlan{Role: one.Role, Stack: one.Name, Repair: ContinueRollback}); err != nil {
			return nil, err
		}
	}
	if !now.dead() && !now.unmade() && !now.running() {
		if err := d.prepare(ctx, one, now, removal, keepData); err != nil {
			return nil, err
		}
	}
	if now.protected {
		_, err := d.cloud.UpdateTerminationProtection(ctx, &cloudformation.UpdateTerminationProtectionInput{StackName: &now.id, EnableTerminationProtection: aws.Bool(false)})
		if err != nil {
			return nil, fmt.Errorf("let the stack %s be deleted: %w", one.Name, client.Explain(err))
		}
	}
	var left []Left
	for _, r := range removal.Resources {
		if r.Fate == Deleted && r.Type == "AWS::S3::Bucket" && empty != nil {
			if err := empty(ctx, r.Physical); err != nil {
				left = append(left, Left{r.Is, r.Physical, err.Error()})
			}
		}
	}
	ended, err := d.deleteStack(ctx, one, now, removal.Resources)
	for _, id := range ended.kept {
		at := slices.IndexFunc(removal.Resources, func(r Doom) bool { return r.ID == id })
		if at < 0 {
			continue
		}
		r := removal.Resources[at]
		why := "kept: it holds what nothing else has"
		if f := slices.IndexFunc(ended.failures, func(f Failure) bool { return f.ID == id }); f >= 0 {
			why = "it could not be deleted: " + ended.failures[f].Reason
		}
		left = append(left, Left{r.Is, r.Physical, why})
	}
	return left, err
}

// prepare changes a stack so that deleting it keeps what is to be kept, and
// nothing refuses to go that shall.
func (d *Deployment) prepare(ctx context.Context, one stack.Stack, now standing, removal Removal, keepData bool) error {
	body, err := d.body(ctx, one.Name)
	if err != nil {
		return err
	}
	ready, changed, err := prepared([]byte(body), keepData)
	if err != nil {
		return fmt.Errorf("prepare the stack %s for its end: %w", one.Name, err)
	}
	if !changed {
		return nil
	}
	d.note(one.Name + ": preparing it, so that it can go and its data stays or goes as you said")
	if one.Template, err = readTemplate(string(ready)); err != nil {
		return fmt.Errorf("prepare the stack %s for its end: %w", one.Name, err)
	}
	for _, doom := range removal.Resources {
		r := one.Template.Resources[doom.ID]
		r.Is = doom.Is
		one.Template.Resources[doom.ID] = r
	}
	p := StackPlan{Role: one.Role, Stack: one.Name, body: ready}
	if err := d.changeSet(ctx, one, now, &p); err != nil {
		return err
	}
	if p.ChangeSet == "" {
		return nil
	}
	if err := p.onlyPrepares(); err != nil {
		return errors.Join(err, d.discard(ctx, one.Name, p.ChangeSet))
	}
	err = d.execute(ctx, one, p, nil)
	if left := (*LeftError)(nil); errors.As(err, &left) {
		left.Hint = goesOn
	}
	return err
}

// onlyPrepares makes sure that nothing is made, replaced or removed on the way
// to the end of a stack.
func (s StackPlan) onlyPrepares() error {
	for _, c := range s.Changes {
		if c.Action == Create || c.Action == Replace || c.Action == Remove {
			return fmt.Errorf("prepare the stack %s for its end: CloudFormation would %s %s (%s)\nhint: rocca aws deploy first, then destroy", s.Stack, c.Action, c.Is, c.ID)
		}
	}
	return nil
}

// prepared gives the template that a stack must have before it is deleted.
// CloudFormation takes a new deletion policy only with another change of the
// resource: the metadata are that change.
func prepared(body []byte, keepData bool) (ready []byte, changed bool, err error) {
	var template map[string]any
	if err := json.Unmarshal(body, &template); err != nil {
		return nil, false, err
	}
	resources, _ := template["Resources"].(map[string]any)
	for _, id := range slices.Sorted(maps.Keys(resources)) {
		r, _ := resources[id].(map[string]any)
		kind, _ := r["Type"].(string)
		if prepareResource(r, kind, keepData) {
			r["Metadata"] = map[string]any{"Rocca": "prepared to be deleted"}
			changed = true
		}
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(template); err != nil {
		return nil, false, err
	}
	return bytes.TrimSpace(out.Bytes()), changed, nil
}

func prepareResource(r map[string]any, kind string, keepData bool) (changed bool) {
	policy, _ := r["DeletionPolicy"].(string)
	ends := fate(kind, policy, keepData)
	wanted := map[Fate]string{Deleted: "Delete", Snapshot: "Snapshot", Kept: "Retain"}[ends]
	if cmp.Or(policy, "Delete") != wanted && !(ends == Kept && retains(policy)) {
		r["DeletionPolicy"] = wanted
		changed = true
	}
	properties, _ := r["Properties"].(map[string]any)
	if ends == Kept || properties == nil {
		return changed
	}
	for _, lock := range []string{"DeletionProtection", "DisableApiTermination", "DeletionProtectionEnabled"} {
		if isTrue(properties[lock]) {
			properties[lock] = false
			changed = true
		}
	}
	attributes, _ := properties["LoadBalancerAttributes"].([]any)
	for _, a := range attributes {
		if m, is := a.(map[string]any); is && m["Key"] == "deletion_protection.enabled" && isTrue(m["Value"]) {
			m["Value"] = "false"
			changed = true
		}
	}
	return changed
}

// Deleting is tried that often, with pauses between: network interfaces of
// what is gone need some time to go, too.
const (
	mostDeletions = 3
	deletionPause = 30 * time.Second
)

// deleteStack deletes a stack and follows it to its end. What holds data and
// resists is left where it is; what else resists is an error.
func (d *Deployment) deleteStack(ctx context.Context, one stack.Stack, now standing, resources []Doom) (outcome, error) {
	named := map[string]string{}
	for _, r := range resources {
		named[r.ID] = r.Is
	}
	op := operation{id: now.id, name: one.Name, words: named, deletes: true}
	var all outcome
	var keep []string
	for attempt := 1; ; attempt++ {
		if !now.running() {
			last, err := d.lastEvent(ctx, now.id)
			if err != nil {
				return all, err
			}
			op.since = last
			_, err = d.cloud.DeleteStack(ctx, &cloudformation.DeleteStackInput{StackName: &now.id, RetainResources: keep, ClientRequestToken: d.token("delete")})
			if err != nil {
				return all, fmt.Errorf("delete the stack %s: %w", one.Name, d.refused(one.Name, err))
			}
		}
		now.status = "" // whatever ran has been followed
		ended, err := d.follow(ctx, op)
		all.kept = append(all.kept, ended.kept...)
		var broken *BrokenError
		if !errors.As(err, &broken) {
			return all, err
		}
		all.failures = append(all.failures, broken.Failures...)
		if attempt >= mostDeletions {
			keep = resisting(broken.Failures, resources)
			if attempt > mostDeletions || len(keep) < len(broken.Failures) || len(keep) == 0 {
				return all, broken
			}
			continue
		}
		d.note(fmt.Sprintf("%s: not everything could be deleted yet; once more in %s", one.Name, minutes(deletionPause)))
		if err := d.Clock.Sleep(ctx, deletionPause); err != nil {
			return all, op.left(err)
		}
	}
}

// resisting lists those of the failed resources that hold data.
func resisting(failures []Failure, resources []Doom) []string {
	var ids []string
	for _, f := range failures {
		if slices.ContainsFunc(resources, func(r Doom) bool {
			_, holds := stateful[r.Type]
			return r.ID == f.ID && holds
		}) {
			ids = append(ids, f.ID)
		}
	}
	return ids
}
