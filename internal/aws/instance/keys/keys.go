// Package keys gives the SSH server of an EC2 instance the keys that EC2
// Instance Connect let in: each for one user and sixty seconds, asked for by
// somebody whose IAM rights allow it, and signed by AWS. Debian has no package
// that does.
package keys

import (
	"bufio"
	"bytes"
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"golang.org/x/crypto/ssh"
)

// Key is a key that may log in now.
type Key struct {
	Line    string // as in authorized_keys
	Caller  string // ARN of who let it in; may be empty
	Request string // id of that request; may be empty
}

// Metadata asks for a path below the meta-data of this instance. It gives
// ErrNone when there is nothing.
type Metadata func(ctx context.Context, path string) ([]byte, error)

// ErrNone says that the metadata have nothing at a path.
var ErrNone = errors.New("the instance metadata have nothing there")

// userName is what a user of Debian can be called: it becomes a part of a path.
var userName = regexp.MustCompile(`^[a-z_][a-z0-9_-]{0,31}$`)

// Active lists the keys that may log in as a user now. roots are the authorities
// that the certificate of the signer must lead to; those of the system when nil.
func Active(ctx context.Context, ask Metadata, user string, roots *x509.CertPool, now time.Time) ([]Key, error) {
	if !userName.MatchString(user) {
		return nil, fmt.Errorf("look for keys of a user: %q is no name of one", user)
	}
	blob, err := ask(ctx, "managed-ssh-keys/active-keys/"+user+"/")
	if errors.Is(err, ErrNone) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for keys of %s: %w", user, err)
	}
	about := map[string]string{}
	for _, path := range []string{"instance-id", "placement/region", "services/domain", "managed-ssh-keys/signer-cert/"} {
		text, err := ask(ctx, path)
		if err != nil {
			return nil, fmt.Errorf("ask for %s of this instance: %w", path, err)
		}
		about[path] = strings.TrimSpace(string(text))
	}
	signer, err := verifySigner([]byte(about["managed-ssh-keys/signer-cert/"]), "managed-ssh-signer."+about["placement/region"]+"."+about["services/domain"], roots, now)
	if err != nil {
		return nil, fmt.Errorf("verify who signed the keys of %s: %w", user, err)
	}
	return parse(blob, about["instance-id"], signer, now), nil
}

// verifySigner reads a chain of certificates, the signer's own first.
func verifySigner(chain []byte, name string, roots *x509.CertPool, now time.Time) (*rsa.PublicKey, error) {
	var leaf *x509.Certificate
	between := x509.NewCertPool()
	for block, rest := pem.Decode(chain); block != nil; block, rest = pem.Decode(rest) {
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		if leaf == nil {
			leaf = certificate
			continue
		}
		between.AddCert(certificate)
	}
	if leaf == nil {
		return nil, errors.New("there is no certificate")
	}
	if leaf.Subject.CommonName != name {
		return nil, fmt.Errorf("the certificate is for %q, not for %s", leaf.Subject.CommonName, name)
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	if err != nil {
		return nil, err
	}
	public, ok := leaf.PublicKey.(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("the certificate has a key of type %T", leaf.PublicKey)
	}
	return public, nil
}

// parse reads the keys that AWS hands out: for each some lines "#Name=value",
// the key, its signature in base64, and an empty line. Signed is all before the
// signature. What is not for this instance, has ended or is not signed is left
// out.
func parse(blob []byte, instance string, signer *rsa.PublicKey, now time.Time) []Key {
	var keys []Key
	lines := bufio.NewScanner(bytes.NewReader(blob))
	for {
		var k Key
		var signed bytes.Buffer
		var signature strings.Builder
		fields := map[string]string{}
		more := lines.Scan()
		for ; more && lines.Text() != ""; more = lines.Scan() {
			line := lines.Text()
			name, value, _ := strings.Cut(line, "=")
			switch {
			case k.Line != "":
				signature.WriteString(line)
				continue
			case strings.HasPrefix(line, "#"):
				fields[name] = value
			default:
				k.Line = line
			}
			signed.WriteString(line + "\n")
		}
		ends, _ := strconv.ParseInt(fields["#Timestamp"], 10, 64)
		if fields["#Instance"] == instance && time.Unix(ends, 0).After(now) && isKey(k.Line) && verifies(signed.Bytes(), signature.String(), signer) {
			k.Caller, k.Request = fields["#Caller"], fields["#Request"]
			keys = append(keys, k)
		}
		if !more {
			return keys
		}
	}
}

// isKey tells whether a line is a key and nothing else: no options before it.
func isKey(line string) bool {
	_, _, options, rest, err := ssh.ParseAuthorizedKey([]byte(line))
	return err == nil && len(options) == 0 && len(rest) == 0
}

func verifies(signed []byte, signature string, signer *rsa.PublicKey) bool {
	decoded, err := base64.StdEncoding.DecodeString(signature)
	if err != nil {
		return false
	}
	sum := sha256.Sum256(signed)
	return rsa.VerifyPSS(signer, crypto.SHA256, sum[:], decoded, &rsa.PSSOptions{SaltLength: sha256.Size}) == nil
}

// mostBytes that are read of one answer of the metadata.
const mostBytes = 256 << 10

// OfThisInstance asks the instance metadata, in version 2 only.
func OfThisInstance() Metadata {
	metadata := imds.New(imds.Options{EnableFallback: aws.FalseTernary})
	return func(ctx context.Context, path string) ([]byte, error) {
		answer, err := metadata.GetMetadata(ctx, &imds.GetMetadataInput{Path: path})
		var answered *awshttp.ResponseError
		if errors.As(err, &answered) && answered.HTTPStatusCode() == http.StatusNotFound {
			return nil, ErrNone
		}
		if err != nil {
			return nil, err
		}
		defer answer.Content.Close()
		return io.ReadAll(io.LimitReader(answer.Content, mostBytes))
	}
}
