package rotate

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"

	"rocca/internal/aws/awstest"
	"rocca/internal/aws/client"
	rights "rocca/internal/aws/policy"
)

// makeDatabase makes one whose administrator RDS keeps, or not.
func (w *world) makeDatabase(name string, managed bool) {
	w.t.Helper()
	in := &rds.CreateDBInstanceInput{
		DBInstanceIdentifier: &name, DBInstanceClass: aws.String("db.t4g.small"), Engine: aws.String("mysql"), AllocatedStorage: aws.Int32(20),
		MasterUsername: aws.String("rocca_admin"), ManageMasterUserPassword: &managed,
	}
	if !managed {
		in.MasterUserPassword = aws.String(plantedPass)
	}
	if _, err := rds.NewFromConfig(w.admin).CreateDBInstance(w.t.Context(), in); err != nil {
		w.t.Fatal(err)
	}
}

func TestMaster(t *testing.T) {
	w := newWorld(t, awstest.Start(t), "servers")
	w.makeDatabase("stats-matomo", true)
	version := func() string {
		d := w.open(w.admin)
		is, err := d.database(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		version, err := d.masterVersion(t.Context(), is.Master.ARN)
		if err != nil || version == "" {
			t.Fatalf("version %q, %v", version, err)
		}
		return version
	}
	before := version()
	if err := w.do(t.Context(), w.admin, Master, Begin); err != nil {
		t.Fatal(err)
	}
	if version() == before {
		t.Error("the administrator has the password that was")
	}
	w.safe("master")

	w.makeDatabase("other-matomo", false)
	d := w.open(w.admin)
	d.Database = "other-matomo"
	if _, err := d.Plan(t.Context(), Master, Begin); err == nil || !strings.Contains(err.Error(), "is not kept by RDS") {
		t.Errorf("got %v", err)
	}
	d.Database = "none"
	if _, err := d.Plan(t.Context(), Master, Begin); err == nil || !strings.Contains(err.Error(), "look at the database none") {
		t.Errorf("got %v", err)
	}
}

// TestRights: these are all the rights that it takes. A test of the policies has
// the same list from the source.
func TestRights(t *testing.T) {
	cloud := awstest.StartGuarded(t)
	w := newWorld(t, cloud, "trackers", "worker")
	w.makeDatabase("stats-matomo", true)
	actions := []string{
		"ec2:DescribeInstances", "elasticache:DescribeUsers", "elasticache:ModifyUser", "iam:DeleteRolePolicy", "iam:PutRolePolicy",
		"rds:DescribeDBInstances", "rds:ModifyDBInstance", "secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue",
		"secretsmanager:UpdateSecretVersionStage", "ssm:GetCommandInvocation", "ssm:SendCommand",
	}
	documents, err := rights.For(rights.Rotate, rights.Scope{Deployment: deployment, Region: awstest.Region, Account: awstest.Account})
	if err != nil {
		t.Fatal(err)
	}
	var generated []string // what rocca aws policy rotate prints
	for _, d := range documents {
		generated = append(generated, string(d.JSON()))
	}
	somebody := cloud.As(t, generated...)
	calls := &cut{}
	somebody.HTTPClient = calls
	for _, kind := range []Kind{Database, Cache, Salt, Master, Tokens} {
		if err := w.do(t.Context(), somebody, kind, Begin); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
	if err := w.do(t.Context(), somebody, Database, Repair); err != nil {
		t.Error(err)
	}
	w.settled("with few rights")
	if made := slices.Sorted(maps.Keys(calls.calls)); !slices.Equal(made, actions) {
		t.Errorf("calls %q, allowed are %q", made, actions)
	}

	// Without the right to give rights it stops, and says so.
	cloud.Change(t, somebody, policy(slices.DeleteFunc(slices.Clone(actions), func(a string) bool { return a == "iam:PutRolePolicy" })))
	err = w.do(t.Context(), somebody, Database, Begin)
	var stopped *StoppedError
	if !errors.As(err, &stopped) || stopped.Step != stepPrepare {
		t.Errorf("got %v", err)
	}
	w.safe("refused")
	if err := w.do(t.Context(), w.admin, Database, Abort); err != nil {
		t.Fatal(err)
	}
	w.settled("taken back")
}

func policy(actions []string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["` + strings.Join(actions, `","`) + `"],"Resource":"*"}]}`
}

// TestTrouble: what AWS answers when it is not well.
func TestTrouble(t *testing.T) {
	cloud := awstest.Start(t)
	w := newWorld(t, cloud, "trackers", "worker")
	cloud.Fail("ssm", "SendCommand", 3, 4, awstest.Throttled)
	cloud.Fail("secretsmanager", "DescribeSecret", 2, 3, awstest.Broken)
	if err := w.do(t.Context(), w.admin, Database, Begin); err != nil {
		t.Fatal(err)
	}
	w.settled("throttled")
	for _, operation := range []string{"PutSecretValue", "UpdateSecretVersionStage"} {
		cloud.Fail("secretsmanager", operation, 1, 1, awstest.Expired)
		err := w.do(t.Context(), w.admin, Database, Begin)
		if !client.Expired(err) || !strings.Contains(err.Error(), "sign in again") {
			t.Errorf("%s: %v", operation, err)
		}
		w.safe("credentials expired at " + operation)
		if w.granted() {
			t.Error("a right is left")
		}
		if err := w.do(t.Context(), w.admin, Database, Resume); err != nil {
			t.Fatal(err)
		}
		w.settled("signed in again")
	}
	w.silent()
}
