// Package vault makes the vault that copies of backups go to. It is in another
// region than the deployment, where no stack of it is.
package vault

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/backup"
	"github.com/aws/aws-sdk-go-v2/service/backup/types"

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
	service := backup.NewFromConfig(there)
	_, err := service.CreateBackupVault(ctx, &backup.CreateBackupVaultInput{
		BackupVaultName: aws.String(deployment), BackupVaultTags: map[string]string{stack.DeploymentTag: deployment},
	})
	var exists *types.AlreadyExistsException
	if err != nil && !errors.As(err, &exists) {
		return fmt.Errorf("make the vault %s for copies of backups in %s: %w", deployment, region, client.Explain(err))
	}
	_, err = service.PutBackupVaultLockConfiguration(ctx, &backup.PutBackupVaultLockConfigurationInput{
		BackupVaultName: aws.String(deployment), MinRetentionDays: aws.Int64(int64(days)),
	})
	if err != nil {
		return fmt.Errorf("lock the vault %s for copies of backups in %s: %w", deployment, region, client.Explain(err))
	}
	return nil
}
