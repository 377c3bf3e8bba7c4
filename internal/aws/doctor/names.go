package doctor

import (
	"context"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	dnstypes "github.com/aws/aws-sdk-go-v2/service/route53/types"

	"rocca/internal/aws/client"
	"rocca/internal/aws/info"
	"rocca/internal/aws/stack"
)

// expiresSoon is when a certificate should have been renewed.
const expiresSoon = 30 // days

func (e *exam) certificate(ctx context.Context) (verdict, error) {
	arn := e.wanted.TLS.Certificate
	switch {
	case !e.balanced():
		return verdict{}, nil // the instance gets its own
	case arn == "" && e.wanted.Zone != "":
		return ok("one is asked for, and proven by a record in the zone"), nil
	case arn == "":
		return warn("add the record that rocca aws deploy shows, or name a certificate that is there: tls.certificate",
			"one is asked for, and DNS is kept elsewhere: the deployment waits until its record is there"), nil
	}
	if parts := strings.Split(arn, ":"); len(parts) < 6 || parts[2] != "acm" || parts[3] != e.cloud.Region {
		return fail("tls.certificate: one of ACM in "+e.cloud.Region, "%s is not a certificate in %s", arn, e.cloud.Region), nil
	}
	var found struct {
		Certificate struct {
			DomainName, Status      string
			SubjectAlternativeNames []string
			NotAfter                float64 // in seconds since 1970; 0: it has no end yet
		}
	}
	err := client.Ask(ctx, e.cloud, "acm:DescribeCertificate", client.Fields{"CertificateArn": arn}, &found)
	if client.Refused(err, "ResourceNotFoundException", "InvalidArnException") {
		return fail("tls.certificate: one that is there; empty asks for a new one", "there is no certificate %s", arn), nil
	}
	if err != nil {
		return verdict{}, err
	}
	c := found.Certificate
	ends := time.Unix(int64(c.NotAfter), 0).UTC()
	names := append([]string{c.DomainName}, c.SubjectAlternativeNames...)
	switch {
	case c.Status != "ISSUED":
		return fail("prove the domain: aws acm describe-certificate shows the record that ACM wants", "it is %s", strings.ToLower(c.Status)), nil
	case !covers(names, e.wanted.Domain):
		return fail("tls.certificate: one for "+e.wanted.Domain, "it is for %s", strings.Join(names, ", ")), nil
	case c.NotAfter != 0 && ends.Before(e.now):
		return fail("renew or import it again", "it has expired on %s", ends.Format("2006-01-02")), nil
	case c.NotAfter != 0 && ends.Before(e.now.AddDate(0, 0, expiresSoon)):
		return warn("aws acm describe-certificate tells why it is not renewed", "it expires on %s", ends.Format("2006-01-02")), nil
	}
	return ok("issued for %s", c.DomainName), nil
}

// covers tells whether a name is among those of a certificate: itself, or by a
// star for its first label.
func covers(names []string, domain string) bool {
	_, parent, _ := strings.Cut(domain, ".")
	for _, name := range names {
		if strings.EqualFold(name, domain) || strings.EqualFold(name, "*."+parent) {
			return true
		}
	}
	return false
}

func (e *exam) zone(ctx context.Context) (verdict, error) {
	if e.wanted.Zone == "" {
		return ok("DNS is kept elsewhere: rocca aws info tells what to point %s to", e.wanted.Domain), nil
	}
	found, err := route53.NewFromConfig(e.cloud).GetHostedZone(ctx, &route53.GetHostedZoneInput{Id: &e.wanted.Zone})
	if client.Refused(err, "NoSuchHostedZone", "InvalidInput") {
		return fail("aws route53 list-hosted-zones lists those there are", "there is no zone %s", e.wanted.Zone), nil
	}
	if err != nil {
		return verdict{}, err
	}
	name := strings.TrimSuffix(aws.ToString(found.HostedZone.Name), ".")
	switch {
	case found.HostedZone.Config != nil && found.HostedZone.Config.PrivateZone:
		return fail("zone: a public one", "%s is private: the internet does not see it", name), nil
	case e.wanted.Domain != name && !strings.HasSuffix(e.wanted.Domain, "."+name):
		return fail("zone: that of "+e.wanted.Domain, "the zone is for %s", name), nil
	}
	return ok("%s", name), nil
}

func (e *exam) record(ctx context.Context) (verdict, error) {
	if e.wanted.Zone == "" || e.count("AWS::Route53::RecordSet") == 0 {
		return verdict{}, nil
	}
	found, err := route53.NewFromConfig(e.cloud).ListResourceRecordSets(ctx, &route53.ListResourceRecordSetsInput{HostedZoneId: &e.wanted.Zone, StartRecordName: &e.wanted.Domain})
	if err != nil {
		return verdict{}, err
	}
	for _, r := range found.ResourceRecordSets {
		if strings.TrimSuffix(aws.ToString(r.Name), ".") != e.wanted.Domain {
			continue
		}
		switch r.Type {
		case dnstypes.RRTypeA, dnstypes.RRTypeAaaa, dnstypes.RRTypeCname:
			// A record of ours is there when the stack is.
			if _, whose, err := info.Look(ctx, e.cloud, e.wanted, stack.App); err != nil || whose == info.Ours {
				return ok("%s %s is ours", e.wanted.Domain, r.Type), err
			}
			return fail("delete it, or leave zone empty and point it to the deployment yourself", "%s has a record %s, which CloudFormation does not replace", e.wanted.Domain, r.Type), nil
		}
	}
	return ok("%s is free", e.wanted.Domain), nil
}

func (e *exam) stacks(ctx context.Context) (verdict, error) {
	var there []string
	for _, s := range e.set.Stacks {
		found, whose, err := info.Look(ctx, e.cloud, e.wanted, s.Role)
		switch {
		case err != nil:
			return verdict{}, err
		case whose == info.Foreign:
			return fail("name: another one", "%s is there (%s), and not of this deployment", s.Name, found.State), nil
		case whose == info.Ours && strings.HasSuffix(found.State, "_IN_PROGRESS"):
			return warn("rocca aws deploy --attach follows it", "%s is %s: somebody is at work", s.Name, found.State), nil
		case whose == info.Ours && strings.HasSuffix(found.State, "_FAILED"):
			return warn("rocca aws deploy goes on where it can", "%s is %s", s.Name, found.State), nil
		case whose == info.Ours:
			there = append(there, s.Name)
		}
	}
	if len(there) > 0 {
		return ok("deployed already: %s", strings.Join(there, ", ")), nil
	}
	return ok("%s-... is free", e.wanted.Name), nil
}
