// Package login reads the first login of a deployed Matomo. It is the one place
// where a person's right reads the secret of a deployment, and AWS records it.
package login

import (
	"context"
	"fmt"

	"rocca/internal/aws/client"
	"rocca/internal/aws/instance/boot"
	"rocca/internal/secret"
)

// First is the password that the first login of Matomo was made with. arn names
// the secret of the deployment (the output Secret of the stack data). Whoever
// has logged in may have changed it since.
func First(ctx context.Context, c client.Config, arn string) (secret.Secret, error) {
	var answer struct{ SecretString string }
	if err := client.Ask(ctx, c, "secretsmanager:GetSecretValue", client.Fields{"SecretId": arn}, &answer); err != nil {
		return secret.Secret{}, fmt.Errorf("read the secret of the deployment: %w", client.Explain(err))
	}
	derived, err := boot.Derive([]byte(answer.SecretString))
	if err != nil {
		return secret.Secret{}, fmt.Errorf("read the secret of the deployment: %w", err)
	}
	return derived.Superuser, nil
}
