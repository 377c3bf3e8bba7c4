// Package provision lets the instances of a deployment read the secret of the
// database's administrator for as long as they make Matomo's accounts. In normal
// life they must not: who breaks into a web server would own the database.
package provision

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"rocca/internal/aws/client"
)

// PolicyName is that of the inline policy on the role of the instances.
const PolicyName = "rocca-provision"

// Lasts is how long the right lasts. It ends by itself, also when nobody is
// there to take it back.
const Lasts = 30 * time.Minute

// Right is who may read what.
type Right struct {
	Role   string // name, of the instances
	Secret string // ARN, of the database's administrator
	Key    string // ARN, of the KMS key of that secret
	Region string
}

// Grant gives the right until that time.
func Grant(ctx context.Context, c client.Config, r Right, until time.Time) error {
	document, err := r.policy(until)
	if err != nil {
		return fmt.Errorf("write the policy %s: %w", PolicyName, err)
	}
	err = client.AskQuery(ctx, c, "iam:PutRolePolicy", client.Form{"RoleName": r.Role, "PolicyName": PolicyName, "PolicyDocument": document}, nil)
	if err != nil {
		return fmt.Errorf("let %s make the accounts of the database: %w", r.Role, client.Explain(err))
	}
	return nil
}

// Revoke takes the right back. That it is not there is no error.
func Revoke(ctx context.Context, c client.Config, role string) error {
	err := client.AskQuery(ctx, c, "iam:DeleteRolePolicy", client.Form{"RoleName": role, "PolicyName": PolicyName}, nil)
	if err != nil && !client.Refused(err, "NoSuchEntity") {
		return fmt.Errorf("take from %s the right to make the accounts of the database: %w", role, client.Explain(err))
	}
	return nil
}

// policy allows to read one secret, and to decrypt it by Secrets Manager only.
func (r Right) policy(until time.Time) (string, error) {
	type statement struct {
		Sid       string
		Effect    string
		Action    string
		Resource  string
		Condition map[string]map[string]string
	}
	ends := map[string]string{"aws:CurrentTime": until.UTC().Format(time.RFC3339)}
	text, err := json.Marshal(struct {
		Version   string
		Statement []statement
	}{"2012-10-17", []statement{
		{"Administrator", "Allow", "secretsmanager:GetSecretValue", r.Secret, map[string]map[string]string{"DateLessThan": ends}},
		{"ItsKey", "Allow", "kms:Decrypt", r.Key, map[string]map[string]string{
			"DateLessThan": ends,
			"StringEquals": {"kms:ViaService": "secretsmanager." + r.Region + ".amazonaws.com"},
		}},
	}})
	return string(text), err
}
