package role

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"rocca/internal/aws/awstest"
	"rocca/internal/aws/client"
	"rocca/internal/aws/instance"
)

// deployment makes the secrets of one, and gives what its instance knows.
func deployment(t *testing.T, cloud client.Config) instance.Config {
	t.Helper()
	make := func(name string) string {
		made, err := secretsmanager.NewFromConfig(cloud).CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: aws.String(name), SecretString: aws.String("{}")})
		if err != nil {
			t.Fatal(err)
		}
		return aws.ToString(made.ARN)
	}
	return instance.Config{Secret: make("rocca/stats/app"), Database: instance.Database{Master: make("rds!db-stats")}}
}

func TestWhatIsRefusedAndWhatIsGiven(t *testing.T) {
	const canary = "rocca-prove-x"
	allowed := func(t *testing.T, answers []Answer) map[string]string {
		t.Helper()
		found := map[string]string{}
		for _, a := range answers {
			if a.Allowed {
				found[a.Call+" "+a.Of] = a.Said
			}
		}
		if len(answers) != 4 {
			t.Errorf("%d answers: %v", len(answers), answers)
		}
		return found
	}
	t.Run("refused", func(t *testing.T) {
		account := awstest.Start(t)
		c := deployment(t, account.Config(t))
		account.Fail("secretsmanager", "GetSecretValue", 2, 3, awstest.Failure{Status: 400, Code: "AccessDeniedException", Text: "no"})
		account.Fail("ssm", "GetParameter", 1, 1, awstest.Failure{Status: 400, Code: "AccessDeniedException", Text: "no"})
		account.Fail("s3", "GET /", 1, 1, awstest.Denied)
		answers, err := Try(t.Context(), account.Config(t), c, canary)
		if err != nil {
			t.Fatal(err)
		}
		if found := allowed(t, answers); len(found) > 0 {
			t.Errorf("allowed: %v", found)
		}
	})
	t.Run("given", func(t *testing.T) {
		account := awstest.Start(t)
		c := deployment(t, account.Config(t))
		answers, err := Try(t.Context(), account.Config(t), c, canary)
		if err != nil {
			t.Fatal(err)
		}
		found := allowed(t, answers)
		for call, said := range map[string]string{
			"secretsmanager:GetSecretValue " + c.Database.Master:    "given",
			"secretsmanager:GetSecretValue rocca/rocca-prove-x/app": "ResourceNotFoundException",
			"ssm:GetParameter /rocca/rocca-prove-x/base/Vpc":        "ParameterNotFound",
			"s3:ListAllMyBuckets all buckets of the account":        "given",
		} {
			if found[call] != said {
				t.Errorf("%s: %q, not %q", call, found[call], said)
			}
		}
	})
	t.Run("nothing is known without its own secret", func(t *testing.T) {
		account := awstest.Start(t)
		c := deployment(t, account.Config(t))
		account.Fail("secretsmanager", "GetSecretValue", 1, 1, awstest.Denied)
		if answers, err := Try(t.Context(), account.Config(t), c, canary); err == nil {
			t.Errorf("%v", answers)
		}
	})
	t.Run("a failure of AWS is no right", func(t *testing.T) {
		account := awstest.Start(t)
		c := deployment(t, account.Config(t))
		account.Fail("s3", "GET /", 1, 100, awstest.Failure{Status: 503, Code: "SlowDown", Text: "later"})
		if answers, err := Try(t.Context(), account.Config(t), c, canary); err == nil {
			t.Errorf("%v", answers)
		}
	})
}
