package respond

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"rocca/internal/aws/client"
	"rocca/internal/incident"
)

// associations are the instance profiles that the instance wears.
func (r *Response) associations(ctx context.Context) ([]types.IamInstanceProfileAssociation, error) {
	answer, err := r.ec2.DescribeIamInstanceProfileAssociations(ctx, &ec2.DescribeIamInstanceProfileAssociationsInput{Filters: []types.Filter{{Name: aws.String("instance-id"), Values: []string{r.options.Instance}}}})
	if err != nil {
		return nil, fmt.Errorf("look which role %s wears: %w", r.options.Instance, client.Explain(err))
	}
	var worn []types.IamInstanceProfileAssociation
	for _, a := range answer.IamInstanceProfileAssociations {
		if a.State == types.IamInstanceProfileAssociationStateAssociated || a.State == types.IamInstanceProfileAssociationStateAssociating || a.State == "" {
			worn = append(worn, a)
		}
	}
	return worn, nil
}

// credentials lists what cuts the role off: first from the instance, or it
// would fetch fresh credentials, then those that are out already.
func (r *Response) credentials(ctx context.Context, b Before) ([]call, error) {
	var calls []call
	var problems []error
	if !r.options.KeepSSM { // whose agent needs the role, which is denied all else
		worn, err := r.associations(ctx)
		problems = append(problems, err)
		for _, a := range worn {
			calls = append(calls, of("ec2:DisassociateIamInstanceProfile", r.ec2.DisassociateIamInstanceProfile, &ec2.DisassociateIamInstanceProfileInput{AssociationId: a.AssociationId}))
		}
	}
	role := b.Role
	if role == "" && b.Profile != "" {
		problems = append(problems, fmt.Errorf("cut the credentials of %s: which role is in it could not be read (%s)", b.Profile, b.Unseen["role"]))
	}
	if role == "" {
		return calls, errors.Join(problems...)
	}
	serving, err := r.serving(ctx, b.Deployment)
	if err != nil {
		serving = b.Serving
	}
	document := denial(b.Instance, serving, r.tools.Now(), r.options.KeepSSM)
	form := client.Form{"RoleName": role, "PolicyName": r.denialName(), "PolicyDocument": document}
	put := call{action: "iam:PutRolePolicy", input: form, send: func(ctx context.Context) error {
		return client.AskQuery(ctx, r.cloud, "iam:PutRolePolicy", form, nil)
	}}
	return append(calls, put), errors.Join(problems...)
}

func (r *Response) denialName() string { return "rocca-case-" + r.id }

// agentActions are what the agent of Systems Manager calls.
var agentActions = []string{"ssm:UpdateInstanceInformation", "ssm:ListAssociations", "ssm:ListInstanceAssociations", "ssm:GetDocument", "ssm:DescribeDocument", "ssm:UpdateInstanceAssociationStatus", "ssmmessages:*", "ec2messages:*"}

// denial is a policy that lets sessions of the role do nothing any more:
// whatever the instance was or will be given, and everything older than now.
// The instances in service are left out of the second: their metadata service
// hands out the same credentials for hours, and they would be without a role.
func denial(instance string, serving []string, now time.Time, agent bool) string {
	type statement struct {
		Sid       string
		Effect    string
		Action    any `json:",omitempty"`
		NotAction any `json:",omitempty"`
		Resource  string
		Condition map[string]map[string]any
	}
	sessions := func(ids []string) []string {
		var all []string
		for _, id := range ids {
			all = append(all, "*:"+id)
		}
		return all
	}
	own := statement{Sid: "ThisInstance", Effect: "Deny", Action: "*", Resource: "*", Condition: map[string]map[string]any{"StringLike": {"aws:userid": sessions([]string{instance})}}}
	older := statement{Sid: "OlderSessions", Effect: "Deny", Action: "*", Resource: "*", Condition: map[string]map[string]any{"DateLessThan": {"aws:TokenIssueTime": now.UTC().Format(time.RFC3339)}}}
	if agent {
		own.Action, own.NotAction = nil, agentActions
		serving = append([]string{instance}, serving...) // its agent goes on
	}
	if len(serving) > 0 {
		older.Condition["StringNotLike"] = map[string]any{"aws:userid": sessions(serving)}
	}
	text, _ := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": []statement{own, older}}) // strings always can be
	return string(text)
}

func (r *Response) cutCredentials(ctx context.Context, c *incident.Case) error {
	b, err := r.before(ctx, c)
	if err != nil {
		return err
	}
	if b.Profile == "" && b.Role == "" {
		worn, err := r.associations(ctx)
		if err != nil {
			return err
		}
		if len(worn) == 0 {
			return incident.Skip("the instance has no role")
		}
	}
	return r.changes(r.credentials)(ctx, c)
}

func (r *Response) planRotate(context.Context) ([]string, error) {
	if r.options.Rehearsal {
		return []string{"nothing: a rehearsal changes no secret"}, nil
	}
	return []string{"rocca aws rotate db", "rocca aws rotate master", "rocca aws rotate salt", "rocca aws rotate tokens"}, nil
}

func (r *Response) rotate(ctx context.Context, c *incident.Case) error {
	b, err := r.before(ctx, c)
	if err != nil {
		return err
	}
	switch {
	case r.options.Rehearsal:
		return incident.Skip("a rehearsal changes no secret")
	case b.Deployment != r.prepared.Deployment:
		return incident.Skip("the instance is not of " + r.prepared.Deployment + ", whose secrets are not its own")
	case r.tools.Rotate == nil:
		return errors.New("change the secrets: nothing here does\nhint: rocca aws rotate db, master, salt, tokens")
	}
	var told error
	err = r.tools.Rotate(ctx, func(text string) { told = errors.Join(told, c.Note(text)) })
	if err == nil {
		err = c.Changed("the secrets of "+r.prepared.Deployment+" were changed", "")
	}
	return errors.Join(err, told)
}
