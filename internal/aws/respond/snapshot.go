package respond

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"

	"rocca/internal/aws/client"
	"rocca/internal/aws/fleet"
	"rocca/internal/aws/stack"
	"rocca/internal/incident"
)

// recordTag is on a snapshot: the hash of the journal's line before it, so that
// neither can be changed without the other telling.
const recordTag = "rocca:journal-sha256"

// snapshot lists what copies the disks and the database that has no copy yet.
func (r *Response) snapshot(ctx context.Context, b Before) ([]call, error) {
	missing, err := r.uncopied(ctx, b)
	var calls []call
	if len(missing) > 0 || err != nil && len(b.Volumes) > 0 {
		calls = append(calls, r.allAtOnce(b, ""))
	}
	if r.prepared.Database != "" && !r.options.Rehearsal {
		calls = append(calls, r.copyDatabase())
	}
	return calls, err
}

// allAtOnce copies all volumes as of one moment.
func (r *Response) allAtOnce(b Before, head string) call {
	return of("ec2:CreateSnapshots", r.ec2.CreateSnapshots, &ec2.CreateSnapshotsInput{
		InstanceSpecification: &types.InstanceSpecification{InstanceId: &b.Instance},
		Description:           aws.String("rocca: case " + r.id + " of " + b.Instance),
		TagSpecifications:     []types.TagSpecification{{ResourceType: types.ResourceTypeSnapshot, Tags: r.snapshotTags(head)}},
	})
}

func (r *Response) snapshotTags(head string) []types.Tag {
	tags := append(r.tags(), types.Tag{Key: aws.String("rocca:role"), Value: aws.String("incident")})
	if head != "" {
		tags = append(tags, types.Tag{Key: aws.String(recordTag), Value: &head})
	}
	return tags
}

func (r *Response) databaseSnapshot() string { return "rocca-" + r.id }

func (r *Response) copyDatabase() call {
	c := of("rds:CreateDBSnapshot", r.rds.CreateDBSnapshot, &rds.CreateDBSnapshotInput{
		DBInstanceIdentifier: aws.String(r.prepared.Database), DBSnapshotIdentifier: aws.String(r.databaseSnapshot()),
		Tags: []rdstypes.Tag{{Key: aws.String(fleet.CaseTag), Value: aws.String(r.id)}, {Key: aws.String(stack.DeploymentTag), Value: aws.String(r.prepared.Deployment)}},
	})
	c.done = []string{"DBSnapshotAlreadyExists"}
	return c
}

// copies lists the snapshots of the case.
func (r *Response) copies(ctx context.Context) ([]types.Snapshot, error) {
	question := &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}, Filters: []types.Filter{{Name: aws.String("tag:" + fleet.CaseTag), Values: []string{r.id}}}}
	more := func(in *ec2.DescribeSnapshotsInput, out *ec2.DescribeSnapshotsOutput) bool {
		return client.Next(&in.NextToken, out.NextToken)
	}
	var all []types.Snapshot
	for page, err := range client.Pages(ctx, r.ec2.DescribeSnapshots, question, more) {
		if err != nil {
			return nil, fmt.Errorf("list the snapshots of the case: %w", client.Explain(err))
		}
		all = append(all, page.Snapshots...)
	}
	return all, nil
}

// uncopied lists the volumes without a snapshot of the case.
func (r *Response) uncopied(ctx context.Context, b Before) ([]Volume, error) {
	copied := map[string]bool{}
	all, err := r.copies(ctx)
	for _, s := range all {
		copied[aws.ToString(s.VolumeId)] = s.State != types.SnapshotStateError
	}
	var missing []Volume
	for _, v := range b.Volumes {
		if !copied[v.ID] {
			missing = append(missing, v)
		}
	}
	return missing, err
}

// takeSnapshots asks for the snapshots. Those of an instance that was ended
// meanwhile are taken of its disks, one by one.
func (r *Response) takeSnapshots(ctx context.Context, c *incident.Case) error {
	b, err := r.before(ctx, c)
	if err != nil {
		return err
	}
	missing, unseen := r.uncopied(ctx, b)
	if hopeless(ctx, unseen) {
		return unseen
	}
	problems := []error{unseen}
	if len(missing) > 0 {
		head := c.Story().Head
		err := r.allAtOnce(b, head).make(ctx)
		switch {
		case err == nil:
			err = c.Changed(r.allAtOnce(b, head).String(), "")
		case hopeless(ctx, err):
			return err
		default:
			if noted := c.Note("the disks are copied one by one, not as of one moment: " + err.Error()); noted != nil {
				return noted
			}
			err = makeAll(ctx, r.oneByOne(missing, head), c, "")
		}
		problems = append(problems, err)
	}
	if r.prepared.Database != "" && !r.options.Rehearsal {
		problems = append(problems, makeAll(ctx, []call{r.copyDatabase()}, c, ""))
	}
	problems = append(problems, r.tellSnapshots(ctx, c, b))
	return errors.Join(problems...)
}

func (r *Response) oneByOne(volumes []Volume, head string) []call {
	var calls []call
	for _, v := range volumes {
		calls = append(calls, of("ec2:CreateSnapshot", r.ec2.CreateSnapshot, &ec2.CreateSnapshotInput{
			VolumeId: &v.ID, Description: aws.String("rocca: case " + r.id + ", " + v.Device),
			TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeSnapshot, Tags: r.snapshotTags(head)}},
		}))
	}
	return calls
}

// tellSnapshots writes down which snapshot is of which disk, also on them.
func (r *Response) tellSnapshots(ctx context.Context, c *incident.Case, b Before) error {
	all, err := r.copies(ctx)
	if err != nil {
		return err
	}
	type copied struct {
		Snapshot, Volume, Device string
		Since                    time.Time
		Encrypted                bool
	}
	var list []copied
	var calls []call
	for _, s := range all {
		one := copied{Snapshot: aws.ToString(s.SnapshotId), Volume: aws.ToString(s.VolumeId), Since: aws.ToTime(s.StartTime).UTC(), Encrypted: aws.ToBool(s.Encrypted)}
		for _, v := range b.Volumes {
			if v.ID == one.Volume {
				one.Device = v.Device
				calls = append(calls, of("ec2:CreateTags", r.ec2.CreateTags, &ec2.CreateTagsInput{Resources: []string{one.Snapshot}, Tags: []types.Tag{{Key: aws.String("rocca:device"), Value: &v.Device}}}))
			}
		}
		list = append(list, one)
	}
	if _, err := c.PutJSON("snapshots.json", "ec2:DescribeSnapshots", list); err != nil {
		return err
	}
	return makeAll(ctx, calls, c, "")
}
