package awstest

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/guardduty"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"rocca/internal/aws/client"
)

func TestCallsAreRecordedInEveryProtocol(t *testing.T) {
	cloud := Start(t)
	config := cloud.Config(t)
	if who, err := client.Who(t.Context(), config); err != nil || who.Account != Account {
		t.Fatalf("got %+v, %v", who, err)
	}
	if _, err := ec2.NewFromConfig(config).CreateVpc(t.Context(), &ec2.CreateVpcInput{CidrBlock: new("10.0.0.0/16")}); err != nil {
		t.Fatal(err)
	}
	_, err := secretsmanager.NewFromConfig(config).CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: new("rocca/shop/app"), SecretString: new("{}")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := guardduty.NewFromConfig(config).ListDetectors(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := s3.NewFromConfig(config).CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: new("shop-artefacts")}); err == nil {
		t.Error("moto takes a bucket without a location outside of us-east-1: a fake that it is not")
	}
	want := []Call{{"sts", "GetCallerIdentity"}, {"ec2", "CreateVpc"}, {"secretsmanager", "CreateSecret"}, {"guardduty", "ListDetectors"}, {"s3", "CreateBucket"}}
	if got := cloud.Calls(); !slices.Equal(got, want) {
		t.Errorf("calls %v, want %v", got, want)
	}
	cloud.Reset(t)
	answer, err := ec2.NewFromConfig(config).DescribeVpcs(t.Context(), nil)
	if err != nil || len(answer.Vpcs) != 1 || !*answer.Vpcs[0].IsDefault {
		t.Errorf("after a reset there are other networks than the default one: %+v, %v", answer, err)
	}
	if cloud.Count("ec2", "DescribeVpcs") != 1 || len(cloud.Calls()) != 1 {
		t.Errorf("calls after a reset: %v", cloud.Calls())
	}
}

func TestAnswersAndFailures(t *testing.T) {
	cloud := Start(t)
	config := cloud.Config(t)
	network := ec2.NewFromConfig(config)
	cloud.Answer("ec2", "GetInstanceMetadataDefaults", Say(http.StatusOK,
		`<GetInstanceMetadataDefaultsResponse><accountLevel><httpTokens>required</httpTokens></accountLevel></GetInstanceMetadataDefaultsResponse>`))
	defaults, err := network.GetInstanceMetadataDefaults(t.Context(), nil)
	if err != nil || defaults.AccountLevel.HttpTokens != "required" {
		t.Errorf("got %+v, %v", defaults, err)
	}

	cloud.Fail("ec2", "DescribeVpcs", 1, 2, Throttled)
	if _, err := network.DescribeVpcs(t.Context(), nil); err != nil || cloud.Count("ec2", "DescribeVpcs") != 3 {
		t.Errorf("the third attempt: %v; %d calls", err, cloud.Count("ec2", "DescribeVpcs"))
	}
	for _, c := range []struct {
		service, operation string
		with               Failure
		call               func() error
	}{
		{"ec2", "DescribeSubnets", Broken, func() error { _, err := network.DescribeSubnets(t.Context(), nil); return err }},
		{"sts", "GetCallerIdentity", Expired, func() error {
			_, err := sts.NewFromConfig(config).GetCallerIdentity(t.Context(), nil)
			return err
		}},
		{"secretsmanager", "ListSecrets", Throttled, func() error {
			_, err := secretsmanager.NewFromConfig(config).ListSecrets(t.Context(), nil)
			return err
		}},
		{"guardduty", "ListDetectors", Denied, func() error {
			_, err := guardduty.NewFromConfig(config).ListDetectors(t.Context(), nil)
			return err
		}},
		{"s3", "ListBuckets", Expired, func() error { _, err := s3.NewFromConfig(config).ListBuckets(t.Context(), nil); return err }},
	} {
		cloud.Fail(c.service, c.operation, 1, 3, c.with)
		if err := c.call(); !hasCode(err, c.with.Code) {
			t.Errorf("%s:%s: got %v, want %s", c.service, c.operation, err, c.with.Code)
		}
	}
}

func TestPoliciesCount(t *testing.T) {
	cloud := StartGuarded(t)
	cloud.Answer("ec2", "GetInstanceMetadataDefaults", Say(http.StatusOK, `<GetInstanceMetadataDefaultsResponse/>`))
	if _, err := ec2.NewFromConfig(cloud.Config(t)).CreateVpc(t.Context(), &ec2.CreateVpcInput{CidrBlock: new("10.0.0.0/16")}); err != nil {
		t.Fatalf("the administrator: %v", err)
	}
	reader := ec2.NewFromConfig(cloud.As(t,
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:DescribeVpcs","Resource":"arn:aws:ec2:*:*:vpc/*"}]}`))
	if _, err := reader.DescribeVpcs(t.Context(), nil); err != nil {
		t.Errorf("what the policy allows: %v", err)
	}
	if _, err := reader.DescribeSubnets(t.Context(), nil); !client.Denied(err) {
		t.Errorf("what the policy does not allow: %v", err)
	}
	if _, err := reader.GetInstanceMetadataDefaults(t.Context(), nil); !client.Denied(err) {
		t.Errorf("what it does not allow and moto lacks: %v", err)
	}
	if got, want := cloud.Refused(), []Call{{"ec2", "DescribeSubnets"}, {"ec2", "GetInstanceMetadataDefaults"}}; !slices.Equal(got, want) {
		t.Errorf("refused %v, want %v", got, want)
	}
	both := ec2.NewFromConfig(cloud.As(t,
		`{"Statement":[{"Effect":"Allow","Action":["ec2:DescribeSubnets"],"Resource":"*"}]}`,
		`{"Statement":[{"Effect":"Allow","Action":["ec2:GetInstanceMetadataDefaults"],"Resource":"*"}]}`))
	if _, err := both.GetInstanceMetadataDefaults(t.Context(), nil); err != nil {
		t.Error(err)
	}
	if _, err := both.DescribeSubnets(t.Context(), nil); err != nil {
		t.Error(err)
	}
	now := cloud.As(t, `{"Statement":[{"Effect":"Allow","Action":["ec2:DescribeSubnets"],"Resource":"*"}]}`)
	cloud.Change(t, now, `{"Statement":[{"Effect":"Allow","Action":["ec2:DescribeVpcs"],"Resource":"*"}]}`)
	if _, err := ec2.NewFromConfig(now).DescribeSubnets(t.Context(), nil); !client.Denied(err) {
		t.Errorf("what the policy allowed before: %v", err)
	}
	if _, err := ec2.NewFromConfig(now).DescribeVpcs(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

func TestOtherProcessesCallsAreToldApart(t *testing.T) {
	for _, c := range []struct {
		method, target, body string
		header               map[string]string
		want                 Call
	}{
		{"POST", "/", "Action=DescribeVpcs&Version=2016-11-15", map[string]string{"Content-Type": "application/x-www-form-urlencoded; charset=utf-8", "Authorization": "AWS4-HMAC-SHA256 Credential=AK/20260101/eu-central-1/ec2/aws4_request, SignedHeaders=host"}, Call{"ec2", "DescribeVpcs"}},
		{"POST", "/", "{}", map[string]string{"X-Amz-Target": "secretsmanager.GetSecretValue", "Authorization": "AWS4-HMAC-SHA256 Credential=AK/20260101/eu-central-1/secretsmanager/aws4_request"}, Call{"secretsmanager", "GetSecretValue"}},
		{"GET", "/detector", "", map[string]string{"Authorization": "AWS4-HMAC-SHA256 Credential=AK/20260101/eu-central-1/guardduty/aws4_request"}, Call{"guardduty", "GET /detector"}},
		{"PUT", "/bucket/key?X-Amz-Credential=AK%2F20260101%2Feu-central-1%2Fs3%2Faws4_request", "Action=none", nil, Call{"s3", "PutObject"}},
	} {
		r, err := http.NewRequestWithContext(t.Context(), c.method, "http://127.0.0.1"+c.target, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range c.header {
			r.Header.Set(name, value)
		}
		if got, key := callOf(r, []byte(c.body)); got != c.want || key != "AK" {
			t.Errorf("%s %s: got %v of %s, want %v", c.method, c.target, got, key, c.want)
		}
	}
}

func hasCode(err error, code string) bool {
	var api smithy.APIError
	return errors.As(err, &api) && api.ErrorCode() == code
}
