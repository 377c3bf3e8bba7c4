package respond

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"

	"rocca/internal/aws/client"
)

// bucket is that of evidence. With Object Lock, what was put there stays for a
// year, whoever wants it gone.
type bucket struct {
	name  string // empty: there is none
	cloud client.Config
}

// The header by which S3 checks what it is sent; a bucket with Object Lock asks
// for one.
const checksum = "X-Amz-Checksum-Sha256"

func (b bucket) ask(ctx context.Context, method, key string, header http.Header, body []byte) (client.Answer, error) {
	return client.Do(ctx, b.cloud, client.Request{Service: "s3", Method: method, URL: b.address(key), Header: header, Body: body, Refusal: client.RefusalXML})
}

func (b bucket) address(key string) *url.URL { return client.ObjectURL(b.cloud, b.name, key) }

// noObject tells whether there is no such object.
func noObject(err error) bool { return client.Refused(err, "NotFound", "NoSuchKey") }

// taken tells whether somebody else has put an object first.
func taken(err error) bool {
	return client.Refused(err, "PreconditionFailed", "ConditionalRequestConflict")
}

func (b bucket) get(ctx context.Context, key string) ([]byte, error) {
	a, err := b.ask(ctx, http.MethodGet, key, nil, nil)
	return a.Content, err
}

// put writes an object, which S3 refuses when it has another sum.
func (b bucket) put(ctx context.Context, key string, content []byte) error {
	_, err := b.ask(ctx, http.MethodPut, key, summed(content), content)
	return err
}

// putFirst writes an object that must not be there.
func (b bucket) putFirst(ctx context.Context, key string, content []byte) error {
	header := summed(content)
	header.Set("If-None-Match", "*")
	_, err := b.ask(ctx, http.MethodPut, key, header, content)
	return err
}

// about asks or says something of the bucket itself.
func (b bucket) about(ctx context.Context, method, of string, body []byte) ([]byte, error) {
	u := b.address("")
	u.RawQuery = url.Values{of: {""}}.Encode()
	header := http.Header{}
	if body != nil {
		header = summed(body)
	}
	a, err := client.Do(ctx, b.cloud, client.Request{Service: "s3", Method: method, URL: u, Header: header, Body: body, Refusal: client.RefusalXML})
	return a.Content, err
}

// remove takes an object away; its versions stay.
func (b bucket) remove(ctx context.Context, key string) error {
	_, err := b.ask(ctx, http.MethodDelete, key, nil, nil)
	return err
}

func summed(content []byte) http.Header {
	sum := sha256.Sum256(content)
	return http.Header{"Content-Type": {"application/octet-stream"}, "X-Amz-Sdk-Checksum-Algorithm": {"SHA256"}, checksum: {base64.StdEncoding.EncodeToString(sum[:])}}
}
