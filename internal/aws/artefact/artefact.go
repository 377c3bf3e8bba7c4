// Package artefact brings what instances fetch into the bucket of a deployment:
// rocca, for the architecture of the instances, and the authorities that the
// certificates of RDS lead to. Names in the bucket have the hash of the content,
// so that what one instance was made with stays there for it.
package artefact

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"debug/elf"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"rocca/internal/aws/client"
	"rocca/internal/aws/settings"
	"rocca/internal/aws/stack"
)

// File is something that instances fetch.
type File struct {
	Key string // in the bucket

	sum     [sha256.Size]byte
	content []byte
}

// In is where instances find the file when it is in that bucket.
func (f File) In(bucket, region string) stack.Artefact {
	return stack.Artefact{URL: fmt.Sprintf("https://%s.s3.%s.amazonaws.com/%s", bucket, region, f.Key), SHA256: hex.EncodeToString(f.sum[:])}
}

func newFile(name, ending string, content []byte) File {
	sum := sha256.Sum256(content)
	return File{Key: name + "-" + hex.EncodeToString(sum[:]) + ending, sum: sum, content: content}
}

// mostProgram caps rocca, in bytes.
const mostProgram = 200 << 20

// Program is the rocca that instances shall run: the one that the settings name,
// or the very program that runs.
func Program(s settings.Settings) (File, error) {
	path := s.Program.File
	if path == "" {
		own, err := os.Executable()
		if err != nil {
			return File{}, fmt.Errorf("find this program: %w\nhint: program.file in rocca-aws.yaml", err)
		}
		path = own
	}
	content, err := readAll(path)
	if err != nil {
		return File{}, fmt.Errorf("read the rocca for instances: %w\nhint: program.file in rocca-aws.yaml", err)
	}
	is, err := architecture(content)
	if err != nil {
		return File{}, fmt.Errorf("read the rocca for instances, %s: %w\nhint: program.file in rocca-aws.yaml names one for Linux on %s", path, err, s.Architecture())
	}
	if is != s.Architecture() {
		return File{}, fmt.Errorf("read the rocca for instances, %s: it is for %s, and %s needs one for %s\nhint: name one in program.file in rocca-aws.yaml, or another instance.type", path, is, s.Instance.Type, s.Architecture())
	}
	return newFile("rocca-"+is, "", content), nil
}

func readAll(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, mostProgram+1))
	if err == nil && len(content) > mostProgram {
		err = fmt.Errorf("%s has more than %d bytes", path, mostProgram)
	}
	return content, err
}

// architecture is that of a program, as Debian names it.
func architecture(program []byte) (string, error) {
	parsed, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		return "", fmt.Errorf("it is no program for Linux: %w", err)
	}
	switch parsed.Machine {
	case elf.EM_AARCH64:
		return "arm64", nil
	case elf.EM_X86_64:
		return "amd64", nil
	}
	return "", fmt.Errorf("it is for %v", parsed.Machine)
}

// TrustStore is where AWS publishes the authorities of RDS, by region.
const TrustStore = "https://truststore.pki.rds.amazonaws.com"

const (
	mostAuthorities   = 1 << 20 // bytes; all regions together had 165 kB in 2024
	authoritiesPrefix = "authorities-"
	fetchPatience     = 30 * time.Second
)

// Authorities are those that the certificates of RDS in a region lead to: what
// is in the bucket already, so that a new edition does not replace instances
// behind their owner's back, or what AWS publishes.
func Authorities(ctx context.Context, c client.Config, web *http.Client, store, bucket string) (File, error) {
	content, err := kept(ctx, c, bucket)
	if content == nil && err == nil {
		content, err = published(ctx, web, store+"/"+c.Region+"/"+c.Region+"-bundle.pem")
	}
	if err != nil {
		return File{}, err
	}
	if err := checkAuthorities(content); err != nil {
		return File{}, fmt.Errorf("read the authorities of RDS: %w", err)
	}
	return newFile(strings.TrimSuffix(authoritiesPrefix, "-"), ".pem", content), nil
}

// kept reads the authorities that are in the bucket; nil when there are none.
func kept(ctx context.Context, c client.Config, bucket string) ([]byte, error) {
	there := objects{bucket, c}
	newest, err := there.newest(ctx, authoritiesPrefix)
	if err != nil {
		return nil, fmt.Errorf("look for the authorities of RDS in the bucket %s: %w", bucket, client.Explain(err))
	}
	if newest == "" {
		return nil, nil
	}
	content, err := there.get(ctx, newest)
	if err != nil {
		return nil, fmt.Errorf("read %s in the bucket %s: %w", newest, bucket, client.Explain(err))
	}
	sum := sha256.Sum256(content)
	if !strings.Contains(newest, hex.EncodeToString(sum[:])) {
		return nil, fmt.Errorf("read %s in the bucket %s: its content has another SHA-256 than its name says\nhint: find out who wrote it; delete it, and rocca gets what AWS publishes", newest, bucket)
	}
	return content, nil
}

// published gets the authorities from AWS.
func published(ctx context.Context, web *http.Client, url string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchPatience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("get the authorities of RDS: %w", err)
	}
	answer, err := web.Do(request)
	if err != nil {
		return nil, fmt.Errorf("get the authorities of RDS: %w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("get the authorities of RDS from %s: the answer is %s", url, answer.Status)
	}
	content, err := limited(answer.Body)
	if err != nil {
		return nil, fmt.Errorf("get the authorities of RDS from %s: %w", url, err)
	}
	return content, nil
}

func limited(r io.Reader) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(r, mostAuthorities+1))
	if err == nil && len(content) > mostAuthorities {
		err = fmt.Errorf("it has more than %d bytes", mostAuthorities)
	}
	return content, err
}

// checkAuthorities makes sure that a text is certificates of authorities, and
// nothing else.
func checkAuthorities(content []byte) error {
	if !bytes.HasPrefix(bytes.TrimSpace(content), []byte("-----BEGIN CERTIFICATE-----")) {
		return errors.New("it does not begin with a certificate")
	}
	n := 0
	for block, rest := pem.Decode(content); ; block, rest = pem.Decode(rest) {
		if block == nil {
			if len(bytes.TrimSpace(rest)) > 0 {
				return errors.New("there is something else behind the certificates")
			}
			break
		}
		n++
		if block.Type != "CERTIFICATE" {
			return fmt.Errorf("block %d is a %s", n, block.Type)
		}
		parsed, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return fmt.Errorf("certificate %d: %w", n, err)
		}
		if !parsed.IsCA {
			return fmt.Errorf("certificate %d, %s, is not of an authority", n, parsed.Subject)
		}
	}
	return nil
}

// Upload puts a file into the bucket, where it is not there yet. S3 checks its
// hash.
func (f File) Upload(ctx context.Context, c client.Config, bucket string) error {
	there := objects{bucket, c}
	sum := base64.StdEncoding.EncodeToString(f.sum[:])
	has, err := there.sum(ctx, f.Key)
	if err != nil {
		return fmt.Errorf("look for %s in the bucket %s: %w", f.Key, bucket, client.Explain(err))
	}
	if has == sum {
		return nil
	}
	if err := there.put(ctx, f.Key, f.content, sum); err != nil {
		return fmt.Errorf("put %s into the bucket %s: %w", f.Key, bucket, client.Explain(err))
	}
	return nil
}

// Empty deletes every version of every object in a bucket. Those under a
// retention lock stay, and are an error.
func Empty(ctx context.Context, c client.Config, bucket string) error {
	stay, why, err := objects{bucket, c}.empty(ctx)
	if err != nil {
		return fmt.Errorf("empty the bucket %s: %w", bucket, client.Explain(err))
	}
	if stay > 0 {
		return fmt.Errorf("empty the bucket %s: %d objects stay: %s", bucket, stay, why)
	}
	return nil
}
