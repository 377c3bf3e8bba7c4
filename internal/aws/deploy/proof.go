package deploy

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/acm"

	"rocca/internal/aws/client"
)

// CertificateRecords gives, for Deployment.Proof, the DNS records that prove to
// ACM whose names a certificate has, one a line: name, type and value.
func CertificateRecords(c client.Config) func(ctx context.Context, certificate string) ([]string, error) {
	cloud := acm.NewFromConfig(c)
	return func(ctx context.Context, certificate string) ([]string, error) {
		answer, err := cloud.DescribeCertificate(ctx, &acm.DescribeCertificateInput{CertificateArn: &certificate})
		if err != nil {
			return nil, fmt.Errorf("look at the certificate %s: %w", certificate, client.Explain(err))
		}
		var records []string
		for _, name := range answer.Certificate.DomainValidationOptions {
			if r := name.ResourceRecord; r != nil {
				records = append(records, fmt.Sprintf("%s %s %s", aws.ToString(r.Name), r.Type, aws.ToString(r.Value)))
			}
		}
		slices.Sort(records)
		return slices.Compact(records), nil
	}
}
