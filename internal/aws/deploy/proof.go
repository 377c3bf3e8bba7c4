package deploy

import (
	"context"
	"fmt"
	"slices"

	"rocca/internal/aws/client"
)

// CertificateRecords gives, for Deployment.Proof, the DNS records that prove to
// ACM whose names a certificate has, one a line: name, type and value.
func CertificateRecords(c client.Config) func(ctx context.Context, certificate string) ([]string, error) {
	return func(ctx context.Context, certificate string) ([]string, error) {
		var answer struct {
			Certificate struct {
				DomainValidationOptions []struct {
					ResourceRecord *struct{ Name, Type, Value string }
				}
			}
		}
		if err := client.Ask(ctx, c, "acm:DescribeCertificate", client.Fields{"CertificateArn": certificate}, &answer); err != nil {
			return nil, fmt.Errorf("look at the certificate %s: %w", certificate, client.Explain(err))
		}
		var records []string
		for _, name := range answer.Certificate.DomainValidationOptions {
			if r := name.ResourceRecord; r != nil {
				records = append(records, r.Name+" "+r.Type+" "+r.Value)
			}
		}
		slices.Sort(records)
		return slices.Compact(records), nil
	}
}
