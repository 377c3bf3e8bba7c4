package rotate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"rocca/internal/aws/client"
	"rocca/internal/secret"
)

// Labels of versions of a secret that AWS knows itself.
const (
	labelCurrent  = "AWSCURRENT"
	labelPrevious = "AWSPREVIOUS"
	labelPending  = "AWSPENDING"
)

// standing is how far a rotation is, as the labels of the app secret say.
type standing struct {
	current  string // version that servers boot with
	previous string // the one before; may be empty
	next     string // version that a rotation has made; empty: none is under way
	label    string // of next, by which it is known
	pending  bool   // next is pending, too
}

// stage is where a rotation is.
type stage int

const (
	idle     stage = iota // none is under way
	begun                 // servers boot with the old passwords, some may use the new ones
	moved                 // servers boot with the new passwords, the old ones work still
	retiring              // the old ones may be gone already
)

func (s standing) stage() stage {
	switch {
	case s.next == "":
		return idle
	case s.next != s.current:
		return begun
	case s.pending:
		return moved
	}
	return retiring
}

var stages = map[stage]string{
	begun:    "new passwords are made, and some servers may use them; those that boot use the old ones",
	moved:    "all servers use the new passwords; the old ones work still",
	retiring: "all servers use the new passwords; the old ones may be gone",
}

// labelOf is the label of what a rotation makes. The slot of the database's
// accounts is in it, so that nobody needs to read the secret to know it.
func labelOf(kind Kind, slot string) string {
	if kind == Database {
		return "rocca-db-" + slot
	}
	return "rocca-" + string(kind)
}

// kind is the rotation that is under way, and the slot that it goes to.
func (s standing) kind() (kind Kind, slot string) {
	name, slot, _ := strings.Cut(strings.TrimPrefix(s.label, "rocca-"), "-")
	return Kind(name), slot
}

// look asks the account how far a rotation is. It reads no secret.
func (d *Deployment) look(ctx context.Context) (standing, error) {
	var answer struct {
		VersionIDs map[string][]string `json:"VersionIdsToStages"`
	}
	if err := client.Ask(ctx, d.Cloud, "secretsmanager:DescribeSecret", client.Fields{"SecretId": d.Secret}, &answer); err != nil {
		return standing{}, fmt.Errorf("look at the app secret: %w", client.Explain(err))
	}
	var s standing
	foreign := false
	for version, labels := range answer.VersionIDs {
		for _, label := range labels {
			switch {
			case label == labelCurrent:
				s.current = version
			case label == labelPrevious:
				s.previous = version
			case strings.HasPrefix(label, "rocca-"):
				if s.next != "" {
					return s, fmt.Errorf("look at the app secret: two rotations have left their labels, %s and %s\nhint: aws secretsmanager describe-secret --secret-id %s shows them", s.label, label, d.Secret)
				}
				s.next, s.label, s.pending = version, label, slices.Contains(labels, labelPending)
			}
		}
		foreign = foreign || slices.Contains(labels, labelPending) && !slices.Contains(labels, labelCurrent) && !slices.ContainsFunc(labels, func(l string) bool { return strings.HasPrefix(l, "rocca-") })
	}
	switch {
	case s.current == "":
		return s, errors.New("look at the app secret: no version is current")
	case foreign:
		return s, fmt.Errorf("look at the app secret: a version is pending that rocca has not made\nhint: aws secretsmanager describe-secret --secret-id %s shows it", d.Secret)
	}
	return s, nil
}

// value reads a version of the app secret, which stays in memory.
func (d *Deployment) value(ctx context.Context, version string) (secret.Secret, error) {
	var answer struct{ SecretString string }
	err := client.Ask(ctx, d.Cloud, "secretsmanager:GetSecretValue", client.Fields{"SecretId": d.Secret, "VersionId": version}, &answer)
	if err != nil {
		return secret.Secret{}, fmt.Errorf("read the app secret: %w", client.Explain(err))
	}
	return secret.New(answer.SecretString), nil
}

// put makes a version of a secret. With the same version and value again, it is
// none more.
func (d *Deployment) put(ctx context.Context, id, version string, value secret.Secret, labels ...string) error {
	return client.Ask(ctx, d.Cloud, "secretsmanager:PutSecretValue", client.Fields{
		"SecretId": id, "ClientRequestToken": version, "SecretString": value.Reveal(), "VersionStages": labels,
	}, nil)
}

// move takes a label from one version and gives it to another; either may be
// empty. AWS refuses it where the first one does not have it (any more).
func (d *Deployment) move(ctx context.Context, label, from, to string) error {
	fields := client.Fields{"SecretId": d.Secret, "VersionStage": label}
	if from != "" {
		fields["RemoveFromVersionId"] = from
	}
	if to != "" {
		fields["MoveToVersionId"] = to
	}
	if err := client.Ask(ctx, d.Cloud, "secretsmanager:UpdateSecretVersionStage", fields, nil); err != nil {
		return fmt.Errorf("move the label %s of the app secret: %w", label, client.Explain(err))
	}
	return nil
}
