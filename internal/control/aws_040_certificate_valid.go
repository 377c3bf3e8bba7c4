package control

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// renewedBefore is how long before its end ACM must have renewed a certificate:
// it begins 60 days before.
const renewedBefore = 30 * 24 * time.Hour

var validCertificates = each[presented]{
	all: presentedCertificates, none: noCertificate,
	judge: func(v *View, p presented) (against []model.Evidence, _ []string) {
		c := p.certificate
		if c.ARN == "" {
			return []model.Evidence{{Subject: p.subject(), Have: "not among the certificates of ACM", Want: "one that ACM issues and renews"}}, nil
		}
		if c.Status != "ISSUED" {
			against = append(against, model.Evidence{Subject: p.subject(), Have: c.Status, Want: "ISSUED"})
		}
		if !c.Expires.IsZero() && c.Expires.Before(v.Observed.Add(renewedBefore)) {
			against = append(against, model.Evidence{Subject: p.subject(), Have: "ends " + date(c.Expires), Want: "renewed 30 days before"})
		}
		if c.Renewal == "INELIGIBLE" {
			against = append(against, model.Evidence{Subject: p.subject(), Have: cmp.Or(c.Kind, "certificate") + ", which ACM does not renew", Want: "a certificate that ACM issues, proven by DNS"})
		}
		return against, nil
	},
	shows: func(_ *View, p presented) []model.Evidence {
		return []model.Evidence{{Subject: p.subject(), Have: fmt.Sprintf("%s, until %s, renewal %s", p.certificate.Status, date(p.certificate.Expires), cmp.Or(p.certificate.Renewal, "not told"))}}
	},
	puts: func(v *View, p presented) []Change {
		if p.certificate.Status != "PENDING_VALIDATION" {
			return nil
		}
		return []Change{{
			Sentence: "show the DNS record that proves the name to ACM",
			Command:  v.commandLine("acm", "describe-certificate", "--certificate-arn", p.arn, "--query", "Certificate.DomainValidationOptions[].ResourceRecord"),
		}}
	},
}

// presented is a certificate that visitors are shown.
type presented struct {
	arn         string
	at          string                 // the listener that shows it
	certificate facts.CloudCertificate // zero: ACM does not know it
}

func (p presented) subject() string {
	return "certificate " + cmp.Or(p.certificate.Domain, lastPart(p.arn)) + ", " + p.at
}

// presentedCertificates are those that listeners of load balancers show. One
// that nothing shows harms nobody.
func presentedCertificates(v *View) []presented {
	known := map[string]facts.CloudCertificate{}
	for _, c := range v.Cloud.CloudCerts {
		known[c.ARN] = c
	}
	var all []presented
	for _, b := range balancers(v) {
		for _, l := range b.Listeners {
			for _, arn := range l.Certificates {
				if !slices.ContainsFunc(all, func(p presented) bool { return p.arn == arn }) {
					all = append(all, presented{arn: arn, at: listenerSubject(b, l), certificate: known[arn]})
				}
			}
		}
	}
	return all
}

// noCertificate is the verdict where no listener shows one. That is AWS-15 too.
func noCertificate(v *View) Verdict {
	all := balancers(v)
	if len(all) == 0 {
		return noBalancer(v)
	}
	return fail(model.Evidence{Subject: balancerSubject(all[0]), Have: "no listener has a certificate", Want: "one that ACM issues and renews"})
}

var aws040 = Control{
	ID:       "AWS-40",
	Title:    "the certificate of the load balancer is issued, renews itself, and does not end within 30 days",
	Why:      "With a certificate that has ended, browsers send no hit, and people get used to warnings that they then ignore when an attacker is on the way.",
	Severity: model.High,
	Needs:    []facts.Section{facts.CloudBalancers, facts.CloudCertificates},
	Eval:     validCertificates.verdict,
	Fix:      guidedBy("Take tls.certificate out of rocca-aws.yaml, so that rocca aws deploy asks ACM for one that is proven by DNS and renewed. The record that proves it must stay in the zone: rocca aws info shows it.", validCertificates.changes),
	Maps:     []model.Ref{fsbp("ACM.1"), fsbp("ACM.2"), row("4"), s1("35")},
	Since:    "0.6",
}
