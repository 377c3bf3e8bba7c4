// Package vault makes the vault that copies of backups go to. It is in another
// region than the deployment, where no stack of it is.
package vault

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"rocca/internal/aws/client"
	"rocca/internal/aws/stack"
)

// Ensure makes the vault of a deployment in the second region, if there is
// none, and locks it for as long as backups are kept, in days: whoever takes
// over the account for a while cannot shorten that unseen (governance mode).
// It is encrypted by the key of AWS Backup in that region.
func Ensure(ctx context.Context, c client.Config, region, deployment string, days int) error {
	there := c.Copy()
	there.Region = region
	path := "/backup-vaults/" + url.PathEscape(deployment)
	tags := client.Fields{"BackupVaultTags": client.Fields{stack.DeploymentTag: deployment}}
	err := client.AskREST(ctx, there, "backup:CreateBackupVault", http.MethodPut, path, tags, nil)
	if err != nil && !client.Refused(err, "AlreadyExistsException") {
		return fmt.Errorf("make the vault %s for copies of backups in %s: %w", deployment, region, client.Explain(err))
	}
	lock := client.Fields{"MinRetentionDays": days}
	if err := client.AskREST(ctx, there, "backup:PutBackupVaultLockConfiguration", http.MethodPut, path+"/vault-lock", lock, nil); err != nil {
		return fmt.Errorf("lock the vault %s for copies of backups in %s: %w", deployment, region, client.Explain(err))
	}
	return nil
}
