package provision

import (
	"encoding/json"
	"net/url"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/google/go-cmp/cmp"

	"rocca/internal/aws/awstest"
)

func TestGrantAndRevoke(t *testing.T) {
	cloud := awstest.Start(t)
	config := cloud.Config(t)
	roles := iam.NewFromConfig(config)
	right := Right{
		Role:   "shop-host",
		Secret: "arn:aws:secretsmanager:eu-central-1:123456789012:secret:rds!db-1-AbCdEf",
		Key:    "arn:aws:kms:eu-central-1:123456789012:key/11111111-2222-3333-4444-555555555555",
		Region: awstest.Region,
	}
	until := time.Date(2026, 11, 21, 10, 30, 0, 0, time.FixedZone("CET", 3600))
	if err := Grant(t.Context(), config, right, until); err == nil {
		t.Fatal("a role that is not there was given a right")
	}
	_, err := roles.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: &right.Role, AssumeRolePolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[]}`)})
	if err != nil {
		t.Fatal(err)
	}
	if err := Grant(t.Context(), config, right, until); err != nil {
		t.Fatal(err)
	}
	has, err := roles.GetRolePolicy(t.Context(), &iam.GetRolePolicyInput{RoleName: &right.Role, PolicyName: aws.String("rocca-provision")})
	if err != nil {
		t.Fatal(err)
	}
	text, err := url.QueryUnescape(*has.PolicyDocument)
	if err != nil {
		t.Fatal(err)
	}
	var got any
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	ends := map[string]any{"aws:CurrentTime": "2026-11-21T09:30:00Z"}
	want := map[string]any{"Version": "2012-10-17", "Statement": []any{
		map[string]any{"Sid": "Administrator", "Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": right.Secret,
			"Condition": map[string]any{"DateLessThan": ends}},
		map[string]any{"Sid": "ItsKey", "Effect": "Allow", "Action": "kms:Decrypt", "Resource": right.Key,
			"Condition": map[string]any{"DateLessThan": ends, "StringEquals": map[string]any{"kms:ViaService": "secretsmanager.eu-central-1.amazonaws.com"}}},
	}}
	if diff := cmp.Diff(any(want), got); diff != "" {
		t.Error(diff)
	}
	for range 2 { // the second time there is nothing to take back
		if err := Revoke(t.Context(), config, right.Role); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := roles.GetRolePolicy(t.Context(), &iam.GetRolePolicyInput{RoleName: &right.Role, PolicyName: aws.String("rocca-provision")}); err == nil {
		t.Error("the right is still there")
	}
}
