package login

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"rocca/internal/aws/awstest"
	"rocca/internal/aws/instance/boot"
)

func TestFirst(t *testing.T) {
	c := awstest.Start(t).Config(t)
	text := `{"seed": "` + strings.Repeat("s", 64) + `"}`
	made, err := secretsmanager.NewFromConfig(c).CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: aws.String("rocca/stats/app"), SecretString: aws.String(text)})
	if err != nil {
		t.Fatal(err)
	}
	got, err := First(t.Context(), c, aws.ToString(made.ARN))
	if err != nil {
		t.Fatal(err)
	}
	want, err := boot.Derive([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if got.Reveal() != want.Superuser.Reveal() || got.IsZero() {
		t.Error("it is not the password that an instance makes the login with")
	}
	if _, err := First(t.Context(), c, "rocca/other/app"); err == nil || strings.Contains(err.Error(), text) {
		t.Errorf("a secret that is not there: %v", err)
	}
}
