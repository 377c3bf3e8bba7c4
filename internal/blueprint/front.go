package blueprint

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/netip"
	"path"
	"slices"
	"strings"
	"time"

	"rocca/internal/change"
	"rocca/internal/change/step"
	"rocca/internal/config"
	"rocca/internal/facts"
	"rocca/internal/front"
)

const tlsDir = etc + "/tls"

// certificate is the owner's, or a self-signed one for a start.
func (b *blueprint) certificate() string {
	if b.Config.TLS.Certificate != "" {
		return b.Config.TLS.Certificate
	}
	return tlsDir + "/self-signed.pem"
}

func (b *blueprint) key() string {
	if b.Config.TLS.Key != "" {
		return b.Config.TLS.Key
	}
	return tlsDir + "/self-signed.key"
}

// front is the web server, the only part that the outside can reach. It comes
// last of all.
func (b *blueprint) front() ([]change.Step, error) {
	var steps []change.Step
	if b.Config.TLS.Certificate == "" {
		steps = append(steps, step.Dir{Path: tlsDir, Attr: change.Root(0o700)}, selfSigned{b})
	}
	// The switch to this release: everything else of it is in place.
	steps = append(steps, step.Symlink{Path: b.Layout.Link, Target: path.Base(b.Layout.Code)})
	if b.Config.Front == config.FrontApache {
		return b.apache(steps)
	}
	return b.nginx(steps)
}

func (b *blueprint) nginx(steps []change.Step) ([]change.Step, error) {
	files, err := front.Nginx(b.site(), front.Platform{Debian: b.Debian})
	if err != nil {
		return nil, err
	}
	// Debian leaves it open to all, and nginx makes its logs readable to all.
	steps = append(steps, step.Dir{Path: "/var/log/nginx", Attr: change.Attr{Owner: "root", Group: "adm", Mode: 0o750}})
	steps, inputs := b.frontFiles(steps, files)
	steps = append(steps, step.Gone{Path: "/etc/nginx/sites-enabled/default", Why: "it would answer for unknown names"})
	return append(steps, step.Unit{Unit: "nginx.service", State: step.Running, Refresh: "reload",
		Inputs: append(inputs, "/etc/nginx/sites-enabled"), Check: []string{"nginx", "-t", "-q"}}), nil
}

func (b *blueprint) apache(steps []change.Step) ([]change.Step, error) {
	files, err := front.Apache(b.site(), front.Platform{Debian: b.Debian})
	if err != nil {
		return nil, err
	}
	steps, inputs := b.frontFiles(steps, files)
	for _, name := range front.ApacheModules(front.Platform{Debian: b.Debian}, len(b.Config.Proxies) > 0) {
		for _, kind := range []string{".load", ".conf"} {
			steps = append(steps, apacheLink{path.Join("/etc/apache2/mods-enabled", name+kind), "../mods-available/" + name + kind})
		}
	}
	steps = append(steps, step.Gone{Path: "/etc/apache2/sites-enabled/000-default.conf", Why: "it would answer for unknown names"})
	// Modules are loaded at start only.
	return append(steps, step.Unit{Unit: "apache2.service", State: step.Running, Refresh: "restart",
		Inputs: append(inputs, "/etc/apache2/mods-enabled", "/etc/apache2/sites-enabled"), Check: []string{"apache2ctl", "configtest"}}), nil
}

// frontFiles writes rendered files. A file in sites-available gets its link in
// sites-enabled.
func (b *blueprint) frontFiles(steps []change.Step, files []front.File) ([]change.Step, []string) {
	inputs := []string{b.certificate(), b.key(), b.Layout.Link}
	for _, f := range files {
		steps = append(steps, step.File{Path: f.Path, Content: f.Content, Attr: change.Root(0o644)})
		inputs = append(inputs, f.Path)
		if server, name, available := strings.Cut(f.Path, "/sites-available/"); available {
			steps = append(steps, step.Symlink{Path: server + "/sites-enabled/" + name, Target: "../sites-available/" + name})
		}
	}
	return steps, inputs
}

// apacheLink enables a part of an Apache module, when the module has it.
type apacheLink struct{ path, target string }

func (a apacheLink) Name() string { return "link " + a.path }

func (a apacheLink) available() string { return path.Join(path.Dir(a.path), a.target) }

func (a apacheLink) Looks() facts.Query { return facts.Query{Paths: []string{a.path, a.available()}} }

func (a apacheLink) Plan(s facts.Server) (change.Proposal, error) {
	// Before Apache is installed nothing is known of its modules. Every module
	// has a .load; only some have a .conf.
	if !s.Paths[a.available()].Exists() {
		return change.Proposal{}, nil
	}
	return step.Symlink{Path: a.path, Target: a.target}.Plan(s)
}

func (a apacheLink) Apply(_ context.Context, w *change.Writer, _ facts.Server) error {
	return w.Symlink(a.path, a.target)
}

// selfSigned is a certificate for a start: it encrypts, and proves nothing to a
// visitor. Browsers warn until the owner names a real one.
type selfSigned struct{ *blueprint }

const (
	selfSignedFor = 397 * 24 * time.Hour // what browsers accept at most
	renewBefore   = 14 * 24 * time.Hour
)

func (c selfSigned) Name() string { return "self-signed certificate" }

// names are all that the front answers to.
func (c selfSigned) names() []string {
	names := slices.Clone(c.Config.Domain)
	for _, app := range c.Config.Apps {
		names = append(names, app.Domain)
	}
	return names
}

func (c selfSigned) Looks() facts.Query {
	return facts.Query{Paths: []string{c.certificate(), c.key()}}
}

func (c selfSigned) Plan(s facts.Server) (change.Proposal, error) {
	if problem := c.problem(s, time.Now()); problem != "" {
		return change.Proposal{Sentence: "make one for " + strings.Join(c.names(), ", ") + ": " + problem}, nil
	}
	return change.Proposal{}, nil
}

// problem tells why the pair that is there will not do.
func (c selfSigned) problem(s facts.Server, now time.Time) string {
	certificate, key := s.Paths[c.certificate()], s.Paths[c.key()]
	if !certificate.Exists() || !key.Exists() {
		return "there is none"
	}
	pair, err := tls.X509KeyPair(certificate.Content, key.Content)
	if err != nil {
		return "certificate and key do not fit"
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return "it cannot be read"
	}
	for _, name := range c.names() {
		if leaf.VerifyHostname(name) != nil {
			return "it is not for " + name
		}
	}
	if leaf.NotAfter.Sub(now) < renewBefore {
		return "it ends on " + leaf.NotAfter.Format(time.DateOnly)
	}
	if step.PlanFile(certificate, step.File{Content: certificate.Content, Attr: change.Root(0o644)}).Needed() ||
		step.PlanFile(key, step.File{Content: key.Content, Attr: change.Root(0o600)}).Needed() {
		return "owner or mode of the files"
	}
	return ""
}

func (c selfSigned) Apply(_ context.Context, w *change.Writer, _ facts.Server) error {
	certificate, key, err := makeCertificate(c.names(), time.Now())
	if err != nil {
		return err
	}
	if err := w.WriteFile(c.key(), key, change.Root(0o600)); err != nil {
		return err
	}
	return w.WriteFile(c.certificate(), certificate, change.Root(0o644))
}

func makeCertificate(names []string, now time.Time) (certificate, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make a key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, nil, fmt.Errorf("make a certificate: %w", err)
	}
	template := x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: names[0]},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(selfSignedFor),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	for _, name := range names {
		if address, err := netip.ParseAddr(name); err == nil {
			template.IPAddresses = append(template.IPAddresses, address.AsSlice())
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &private.PublicKey, private)
	if err != nil {
		return nil, nil, fmt.Errorf("make a certificate: %w", err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, fmt.Errorf("make a certificate: %w", err)
	}
	var out, keyOut bytes.Buffer
	if err := pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: der}); err != nil {
		return nil, nil, err
	}
	err = pem.Encode(&keyOut, &pem.Block{Type: "PRIVATE KEY", Bytes: encoded})
	return out.Bytes(), keyOut.Bytes(), err
}

// frontUnit is the systemd unit of a front.
func frontUnit(c config.Config) string {
	if c.Front == config.FrontApache {
		return "apache2.service"
	}
	return "nginx.service"
}

// Units lists the units of a server, for status.
func Units(c config.Config) []string {
	units := []string{frontUnit(c)}
	pools := slices.DeleteFunc([]string{config.RoleUI, config.RoleTracker}, func(pool string) bool { return !c.Does(pool) })
	for _, app := range c.Apps {
		pools = append(pools, app.Name)
	}
	for _, pool := range pools {
		units = append(units, "rocca-php@"+pool+".socket", "rocca-php@"+pool+".service")
	}
	if !c.Database.Remote() {
		units = append(units, "mariadb.service")
	}
	if c.Does(config.RoleWorker) {
		for _, j := range jobs {
			units = append(units, j.Unit+".timer")
		}
	}
	return units
}
