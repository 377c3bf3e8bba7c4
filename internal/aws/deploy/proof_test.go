package deploy

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/acm"

	"rocca/internal/aws/awstest"
)

func TestCertificateRecords(t *testing.T) {
	config := awstest.Start(t).Config(t)
	made, err := acm.NewFromConfig(config).RequestCertificate(t.Context(), &acm.RequestCertificateInput{
		DomainName: aws.String("stats.example.org"), SubjectAlternativeNames: []string{"www.example.org"}, ValidationMethod: "DNS"})
	if err != nil {
		t.Fatal(err)
	}
	records, err := CertificateRecords(config)(t.Context(), *made.CertificateArn)
	if err != nil {
		t.Fatal(err)
	}
	if len(records) != 2 {
		t.Errorf("%q", records)
	}
	for _, r := range records {
		if fields := strings.Fields(r); len(fields) != 3 || fields[1] != "CNAME" || !strings.HasSuffix(fields[2], "acm-validations.aws.") {
			t.Errorf("%q", r)
		}
	}
	if _, err := CertificateRecords(config)(t.Context(), "arn:aws:acm:eu-central-1:123456789012:certificate/none"); err == nil {
		t.Error("a certificate that is not there has records")
	}
}
