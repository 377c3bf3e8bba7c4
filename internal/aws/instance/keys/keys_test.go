package keys

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

const (
	thisInstance = "i-0123456789abcdef0"
	signerName   = "managed-ssh-signer.eu-central-1.amazonaws.com"
)

// signer signs keys as EC2 Instance Connect does.
type signer struct {
	key   *rsa.PrivateKey
	chain string
	roots *x509.CertPool
}

func newSigner(t testing.TB, name string) signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a root"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour)}
	encoded := func(template *x509.Certificate) (*x509.Certificate, string) {
		der, err := x509.CreateCertificate(rand.Reader, template, root, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return certificate, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	}
	made, rootText := encoded(root)
	_, leafText := encoded(leaf)
	roots := x509.NewCertPool()
	roots.AddCert(made)
	return signer{key, leafText + rootText, roots}
}

// sign makes an entry of what AWS hands out, with the signature on two lines.
func (s signer) sign(t testing.TB, text string) string {
	t.Helper()
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPSS(rand.Reader, s.key, crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: sha256.Size})
	if err != nil {
		t.Fatal(err)
	}
	encoded := base64.StdEncoding.EncodeToString(signature)
	return text + encoded[:76] + "\n" + encoded[76:] + "\n\n"
}

func publicKey(t testing.TB) string {
	t.Helper()
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(encoded)))
}

func entry(instance string, ends time.Time, key string) string {
	return fmt.Sprintf("#Timestamp=%d\n#Instance=%s\n#Caller=arn:aws:iam::123456789012:user/jane\n#Request=r-1\n%s\n", ends.Unix(), instance, key)
}

// metadata answers from a map.
func metadata(answers map[string]string) Metadata {
	return func(_ context.Context, path string) ([]byte, error) {
		answer, is := answers[path]
		if !is {
			return nil, ErrNone
		}
		return []byte(answer), nil
	}
}

func (s signer) metadata(blob string) Metadata {
	return metadata(map[string]string{
		"instance-id": thisInstance, "placement/region": "eu-central-1", "services/domain": "amazonaws.com",
		"managed-ssh-keys/signer-cert/": s.chain, "managed-ssh-keys/active-keys/admin/": blob,
	})
}

func TestActive(t *testing.T) {
	s, other := newSigner(t, signerName), newSigner(t, signerName)
	good, second := publicKey(t), publicKey(t)
	soon := now.Add(time.Minute)
	sound := s.sign(t, entry(thisInstance, soon, good))
	for name, c := range map[string]struct {
		blob string
		want []string
	}{
		"one":                      {sound, []string{good}},
		"two":                      {sound + s.sign(t, entry(thisInstance, soon, second)), []string{good, second}},
		"one without an empty end": {strings.TrimRight(sound, "\n"), []string{good}},
		"a new field":              {s.sign(t, "#Session=1\n"+entry(thisInstance, soon, good)), []string{good}},
		"ended, then one":          {s.sign(t, entry(thisInstance, now, second)) + sound, []string{good}},
		"for another instance":     {s.sign(t, entry("i-0fedcba9876543210", soon, good)), nil},
		"by another signer":        {other.sign(t, entry(thisInstance, soon, good)), nil},
		"another key put in":       {strings.Replace(sound, good, second, 1), nil},
		"a time put in":            {strings.Replace(s.sign(t, entry(thisInstance, now, good)), fmt.Sprint(now.Unix()), fmt.Sprint(soon.Unix()), 1), nil},
		"with options":             {s.sign(t, entry(thisInstance, soon, `command="id" `+good)), nil},
		"unsigned":                 {entry(thisInstance, soon, good), nil},
		"no key":                   {s.sign(t, "#Instance="+thisInstance+"\n"), nil},
		"nothing":                  {"", nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Active(t.Context(), s.metadata(c.blob), "admin", s.roots, now)
			if err != nil {
				t.Fatal(err)
			}
			var lines []string
			for _, k := range got {
				lines = append(lines, k.Line)
				if k.Caller != "arn:aws:iam::123456789012:user/jane" || k.Request != "r-1" {
					t.Errorf("let in by %s in %s", k.Caller, k.Request)
				}
			}
			if strings.Join(lines, "\n") != strings.Join(c.want, "\n") {
				t.Errorf("got %q, want %q", lines, c.want)
			}
		})
	}
}

func TestActiveRefuses(t *testing.T) {
	s, stranger := newSigner(t, signerName), newSigner(t, "managed-ssh-signer.eu-west-1.amazonaws.com")
	sound := s.sign(t, entry(thisInstance, now.Add(time.Minute), publicKey(t)))
	none := metadata(nil)
	for name, c := range map[string]struct {
		ask   Metadata
		user  string
		roots *x509.CertPool
		want  string
	}{
		"another root":      {s.metadata(sound), "admin", stranger.roots, "certificate signed by unknown authority"},
		"another region":    {stranger.metadata(sound), "admin", stranger.roots, "not for " + signerName},
		"a path for a user": {s.metadata(sound), "../../iam", s.roots, "no name of one"},
		"nobody":            {none, "admin", s.roots, ""},
	} {
		got, err := Active(t.Context(), c.ask, c.user, c.roots, now)
		if len(got) > 0 || (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %d keys, %v, want %q", name, len(got), err, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	s := newSigner(f, signerName)
	sound := s.sign(f, entry(thisInstance, now.Add(time.Minute), publicKey(f)))
	f.Add([]byte(sound))
	f.Add([]byte("#\n\n#="))
	f.Fuzz(func(t *testing.T, blob []byte) {
		for _, k := range parse(blob, thisInstance, &s.key.PublicKey, now) {
			if !strings.Contains(sound, k.Line) {
				t.Errorf("a key that nobody signed is let in: %s", k.Line)
			}
		}
	})
}
