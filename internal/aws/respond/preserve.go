package respond

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"rocca/internal/aws/client"
	"rocca/internal/incident"
)

// How long snapshots are locked, and how often is looked whether they are whole.
const (
	lockDays          = 365 // as the bucket of evidence
	coolOff           = 72  // hours in which a lock in compliance mode can be undone
	rehearsalLockDays = 1
	snapshotPause     = 15 * time.Second
)

func (r *Response) planPreserve(ctx context.Context) ([]string, error) {
	all := []string{"ec2:DescribeSnapshots, until they are whole"}
	if r.options.EvidenceKey != "" {
		all = append(all, "ec2:CopySnapshot "+shown(map[string]any{"Encrypted": true, "KmsKeyId": r.options.EvidenceKey}))
	}
	all = append(all, r.lock("SNAPSHOT").String())
	if r.options.EvidenceAccount != "" {
		all = append(all, r.share("SNAPSHOT").String())
	}
	return all, nil
}

// lock keeps a snapshot from being deleted. In compliance mode nobody can, not
// even the account's owner, once the time to change one's mind is over; what
// was copied in a rehearsal is locked for a day, in a way that can be undone.
func (r *Response) lock(id string) call {
	in := &ec2.LockSnapshotInput{SnapshotId: &id, LockMode: types.LockModeCompliance, CoolOffPeriod: aws.Int32(coolOff), LockDuration: aws.Int32(lockDays)}
	if r.options.Rehearsal {
		in.LockMode, in.CoolOffPeriod, in.LockDuration = types.LockModeGovernance, nil, aws.Int32(rehearsalLockDays)
	}
	return of("ec2:LockSnapshot", r.ec2.LockSnapshot, in)
}

func (r *Response) share(id string) call {
	return of("ec2:ModifySnapshotAttribute", r.ec2.ModifySnapshotAttribute, &ec2.ModifySnapshotAttributeInput{
		SnapshotId: &id, Attribute: types.SnapshotAttributeNameCreateVolumePermission, OperationType: types.OperationTypeAdd, UserIds: []string{r.options.EvidenceAccount},
	})
}

// preserve waits for the copies and makes them last.
func (r *Response) preserve(ctx context.Context, c *incident.Case) error {
	all, err := r.whole(ctx)
	if hopeless(ctx, err) {
		return err
	}
	if err == nil && len(all) == 0 {
		return errors.New("keep the copies: the case has no snapshots\nhint: the same command tries again what failed")
	}
	problems := []error{err}
	if r.options.EvidenceKey != "" {
		copied, err := r.copyUnderKey(ctx, c, all)
		problems = append(problems, err)
		all = append(all, copied...)
	}
	for _, s := range all {
		id := aws.ToString(s.SnapshotId)
		calls := []call{r.lock(id)}
		if r.options.EvidenceAccount != "" {
			calls = append(calls, r.share(id))
		}
		err := makeAll(ctx, calls, c, "")
		if hopeless(ctx, err) {
			return err
		}
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}

// whole waits until no snapshot of the case is being written.
func (r *Response) whole(ctx context.Context) ([]types.Snapshot, error) {
	for {
		all, err := r.copies(ctx)
		if err != nil {
			return nil, err
		}
		var broken []string
		pending := false
		for _, s := range all {
			switch s.State {
			case types.SnapshotStatePending:
				pending = true
			case types.SnapshotStateError:
				broken = append(broken, aws.ToString(s.SnapshotId)+": "+aws.ToString(s.StateMessage))
			}
		}
		if !pending {
			if len(broken) > 0 {
				err = fmt.Errorf("wait for the snapshots: these failed: %s", strings.Join(broken, ", "))
			}
			return all, err
		}
		if err := r.tools.Pause(ctx, snapshotPause); err != nil {
			return all, fmt.Errorf("wait for the snapshots: %w", err)
		}
	}
}

// copyOfTag tells of which snapshot one is a copy.
const copyOfTag = "rocca:copy-of"

// copyUnderKey copies snapshots under the key that the responder named: who
// holds the deployment's key cannot read or lose those.
func (r *Response) copyUnderKey(ctx context.Context, c *incident.Case, all []types.Snapshot) ([]types.Snapshot, error) {
	copied := map[string]bool{}
	for _, s := range all {
		for _, tag := range s.Tags {
			if aws.ToString(tag.Key) == copyOfTag {
				copied[aws.ToString(tag.Value)], copied[aws.ToString(s.SnapshotId)] = true, true
			}
		}
	}
	var made []types.Snapshot
	var problems []error
	for _, s := range all {
		id := aws.ToString(s.SnapshotId)
		if copied[id] {
			continue
		}
		form := client.Form{"SourceSnapshotId": id, "SourceRegion": r.cloud.Region, "Encrypted": "true", "KmsKeyId": r.options.EvidenceKey, "Description": "rocca: case " + r.id + ", copy of " + id, "TagSpecification.1.ResourceType": "snapshot"}
		for n, tag := range append(r.snapshotTags(""), types.Tag{Key: aws.String(copyOfTag), Value: &id}) {
			form[fmt.Sprintf("TagSpecification.1.Tag.%d.Key", n+1)], form[fmt.Sprintf("TagSpecification.1.Tag.%d.Value", n+1)] = *tag.Key, *tag.Value
		}
		text := "ec2:CopySnapshot " + shown(form)
		copy, err := r.copySnapshot(ctx, form)
		if err != nil {
			problems = append(problems, fmt.Errorf("copy %s under the key of evidence: %w", id, client.Explain(err)))
			if hopeless(ctx, err) {
				break
			}
			continue
		}
		made = append(made, types.Snapshot{SnapshotId: &copy})
		problems = append(problems, c.Changed(text+": "+copy, ""))
	}
	if len(made) == 0 {
		return nil, errors.Join(problems...)
	}
	// A copy that is not whole cannot be locked for as long as it takes.
	if _, err := r.whole(ctx); err != nil {
		problems = append(problems, err)
	}
	return made, errors.Join(problems...)
}

// copySnapshot asks for a copy. The SDK's client signs the address that AWS
// wants along with it by a client behind an interface, which brings all of EC2
// into the program: 30 MB.
func (r *Response) copySnapshot(ctx context.Context, form client.Form) (id string, err error) {
	u, err := url.Parse(client.Endpoint(r.cloud, "ec2") + "/")
	if err != nil {
		return "", err
	}
	u.RawQuery = url.Values{"Action": {"CopySnapshot"}, "Version": {"2016-11-15"}, "DestinationRegion": {r.cloud.Region},
		"SourceRegion": {form["SourceRegion"]}, "SourceSnapshotId": {form["SourceSnapshotId"]}, "KmsKeyId": {form["KmsKeyId"]}, "Encrypted": {"true"}}.Encode()
	signed, err := client.Presign(ctx, r.cloud, "ec2", http.MethodGet, u, time.Hour)
	if err != nil {
		return "", err
	}
	form["PresignedUrl"] = signed
	var made struct {
		ID string `xml:"snapshotId"`
	}
	err = client.AskQuery(ctx, r.cloud, "ec2:CopySnapshot", form, &made)
	return made.ID, err
}
