package front

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/rooted"
)

// authorities is where Debian keeps the CAs that it trusts, as one file.
const authorities = "/etc/ssl/certs/ca-certificates.crt"

// certificates reads those that the front uses.
func certificates(root rooted.Dir, f facts.Front, known facts.Server) map[string]facts.Certificate {
	found := map[string]facts.Certificate{}
	var trusted *x509.CertPool
	for _, file := range certificateFiles(f) {
		content, err := root.Read(file, fileLimit)
		if err != nil {
			found[file] = facts.Certificate{Problem: err.Error()}
			continue
		}
		if trusted == nil {
			trusted = x509.NewCertPool()
			if bundle, err := root.Read(authorities, fileLimit); err == nil {
				trusted.AppendCertsFromPEM(bundle)
			}
		}
		certificate := readCertificate(content, trusted)
		if certificate.Problem == "" {
			renewal(&certificate, root, file, known)
		}
		found[file] = certificate
	}
	return found
}

// readCertificate reads a chain in PEM, the server's own certificate first.
func readCertificate(content []byte, trusted *x509.CertPool) facts.Certificate {
	var chain []*x509.Certificate
	for len(content) > 0 {
		var block *pem.Block
		if block, content = pem.Decode(content); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return facts.Certificate{Problem: "read a certificate: " + err.Error()}
		}
		chain = append(chain, certificate)
	}
	if len(chain) == 0 {
		return facts.Certificate{Problem: "no certificate in PEM is in it"}
	}
	leaf := chain[0]
	between := x509.NewCertPool()
	for _, certificate := range chain[1:] {
		between.AddCert(certificate)
	}
	// Its end is told apart from whom it leads to.
	_, err := leaf.Verify(x509.VerifyOptions{Roots: trusted, Intermediates: between, CurrentTime: leaf.NotAfter.Add(-1)})
	c := facts.Certificate{
		Names:     slices.Clone(leaf.DNSNames),
		Issuer:    leaf.Issuer.String(),
		NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter,
		SelfSigned: leaf.Issuer.String() == leaf.Subject.String() && leaf.CheckSignatureFrom(selfIssuer(leaf)) == nil,
		Trusted:    err == nil,
		Algorithm:  algorithm(leaf),
	}
	for _, ip := range leaf.IPAddresses {
		c.Names = append(c.Names, ip.String())
	}
	if len(c.Names) == 0 && leaf.Subject.CommonName != "" {
		c.Names = []string{leaf.Subject.CommonName}
	}
	return c
}

// selfIssuer is a certificate as if it were allowed to sign others.
func selfIssuer(leaf *x509.Certificate) *x509.Certificate {
	issuer := *leaf
	issuer.BasicConstraintsValid, issuer.IsCA, issuer.KeyUsage = true, true, x509.KeyUsageCertSign
	return &issuer
}

func algorithm(c *x509.Certificate) string {
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", key.N.BitLen())
	case *ecdsa.PublicKey:
		return "ECDSA " + key.Curve.Params().Name
	case ed25519.PublicKey:
		return "Ed25519"
	}
	return c.PublicKeyAlgorithm.String()
}

// renewers are the programs that renew certificates: in which directory what
// they renew is, and by which units or jobs.
var renewers = []struct {
	dir   string
	units []string
	job   string // part of a command of cron
}{
	{"/etc/letsencrypt/", []string{"certbot.timer", "snap.certbot.renew.timer", "certbot-renew.timer"}, "certbot"},
	{"/.acme.sh/", []string{"acme.timer", "acme-sh.timer"}, "acme.sh"},
	{"/lego/", []string{"lego.timer"}, "lego"},
	{"/dehydrated/", []string{"dehydrated.timer"}, "dehydrated"},
	{"/acme/", []string{"acme.timer"}, "acme"},
}

// renewal finds what renews a certificate, and when that last worked.
func renewal(c *facts.Certificate, root rooted.Dir, file string, known facts.Server) {
	if strings.HasPrefix(file, "/etc/rocca/tls/") && c.SelfSigned {
		c.Renewal = "rocca" // with each rocca up, from 14 days before its end
		return
	}
	places := []string{file}
	if real, err := root.Resolve(file); err == nil {
		places = append(places, real)
	}
	for _, r := range renewers {
		if !slices.ContainsFunc(places, func(place string) bool { return strings.Contains(place, r.dir) }) {
			continue
		}
		for _, name := range r.units {
			timer, there := known.Units[name]
			if !there || !timer.Loaded || timer.Masked || !timer.Active {
				continue
			}
			c.Renewal = name
			service := known.Units[strings.TrimSuffix(name, ".timer")+".service"]
			if timer.Triggers != "" {
				service = known.Units[timer.Triggers]
			}
			if service.Result == "success" {
				c.Rehearsed = timer.LastTrigger
			}
			return
		}
		for _, job := range known.Jobs {
			// Debian's job of certbot leaves the work to the timer where systemd runs.
			if strings.Contains(job.Command, r.job) && !strings.Contains(job.Command, "/run/systemd/system") {
				c.Renewal = job.File
				return
			}
		}
	}
}
