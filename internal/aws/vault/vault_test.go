package vault

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/backup"

	"rocca/internal/aws/awstest"
)

func TestEnsure(t *testing.T) {
	c := awstest.Start(t).Config(t)
	for range 2 { // the second time it is there
		if err := Ensure(t.Context(), c, "eu-west-1", "stats", 35); err != nil {
			t.Fatal(err)
		}
	}
	there := c.Copy()
	there.Region = "eu-west-1"
	vaults, err := backup.NewFromConfig(there).ListBackupVaults(t.Context(), &backup.ListBackupVaultsInput{})
	if err != nil {
		t.Fatal(err)
	}
	if len(vaults.BackupVaultList) != 1 {
		t.Fatalf("%d vaults", len(vaults.BackupVaultList))
	}
	if v := vaults.BackupVaultList[0]; aws.ToString(v.BackupVaultName) != "stats" || !aws.ToBool(v.Locked) || aws.ToInt64(v.MinRetentionDays) != 35 {
		t.Errorf("got %+v", v)
	}
}
