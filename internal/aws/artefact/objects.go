package artefact

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"rocca/internal/aws/client"
)

// objects are those of one bucket. The SDK's client of S3 puts itself behind an
// interface, and so brings all its hundred operations into the program: 5 MB,
// for the six that are needed here.
type objects struct {
	bucket string
	cloud  client.Config
}

// call is one question.
type call struct {
	method string
	key    string // of an object; empty: about the bucket
	query  url.Values
	header http.Header
	body   []byte
}

// checksum is the header by which S3 checks what it is sent, in base64.
const checksum = "X-Amz-Checksum-Sha256"

func (o objects) ask(ctx context.Context, c call) (client.Answer, error) {
	return client.Do(ctx, o.cloud, client.Request{Service: "s3", Method: c.method, URL: o.url(c), Header: c.header, Body: c.body, Refusal: client.RefusalXML})
}

func (o objects) url(c call) *url.URL {
	u := client.ObjectURL(o.cloud, o.bucket, c.key)
	u.RawQuery = c.query.Encode()
	return u
}

// missing tells whether there is no such object.
func missing(err error) bool { return client.Refused(err, "NotFound", "NoSuchKey") }

func (o objects) get(ctx context.Context, key string) ([]byte, error) {
	a, err := o.ask(ctx, call{method: http.MethodGet, key: key})
	return a.Content, err
}

// sum is the SHA-256 that S3 keeps of an object; empty when there is no such
// object.
func (o objects) sum(ctx context.Context, key string) (string, error) {
	a, err := o.ask(ctx, call{method: http.MethodHead, key: key, header: http.Header{"X-Amz-Checksum-Mode": {"ENABLED"}}})
	if missing(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return a.Header.Get(checksum), nil
}

// put writes an object. S3 refuses it when it has another sum.
func (o objects) put(ctx context.Context, key string, content []byte, sum string) error {
	_, err := o.ask(ctx, call{method: http.MethodPut, key: key, body: content, header: http.Header{
		"Content-Type": {"application/octet-stream"}, "X-Amz-Sdk-Checksum-Algorithm": {"SHA256"}, checksum: {sum},
	}})
	return err
}

// version is one of an object.
type version struct {
	Key       string
	VersionID string `xml:"VersionId"`
}

// page is one of a list, with where the next one begins.
type page struct {
	Contents []struct {
		Key          string
		LastModified time.Time
	}
	Version      []version
	DeleteMarker []version

	NextContinuationToken string
	NextKeyMarker         string
	NextVersionIDMarker   string `xml:"NextVersionIdMarker"`
}

func (o objects) list(ctx context.Context, query url.Values) (page, error) {
	var p page
	a, err := o.ask(ctx, call{method: http.MethodGet, query: query})
	if err != nil {
		return p, err
	}
	if err := xml.Unmarshal(a.Content, &p); err != nil {
		return p, fmt.Errorf("read the list: %w", err)
	}
	return p, nil
}

// newest is the key of the youngest object whose key begins so; empty when
// there is none.
func (o objects) newest(ctx context.Context, prefix string) (string, error) {
	var key string
	var when time.Time
	query := url.Values{"list-type": {"2"}, "prefix": {prefix}}
	for {
		p, err := o.list(ctx, query)
		if err != nil {
			return "", err
		}
		for _, c := range p.Contents {
			if key == "" || c.LastModified.After(when) {
				key, when = c.Key, c.LastModified
			}
		}
		if p.NextContinuationToken == "" {
			return key, nil
		}
		query.Set("continuation-token", p.NextContinuationToken)
	}
}

// empty deletes every version of every object. It tells how many stay, and why
// one of them does.
func (o objects) empty(ctx context.Context) (stay int, why string, err error) {
	query := url.Values{"versions": {""}}
	for {
		p, err := o.list(ctx, query)
		if err != nil {
			return stay, why, err
		}
		stays, reason, err := o.remove(ctx, append(p.Version, p.DeleteMarker...))
		if err != nil {
			return stay, why, err
		}
		if stays > 0 {
			stay, why = stay+stays, reason
		}
		if p.NextKeyMarker == "" {
			return stay, why, nil
		}
		query.Set("key-marker", p.NextKeyMarker)
		query.Set("version-id-marker", p.NextVersionIDMarker)
	}
}

func (o objects) remove(ctx context.Context, versions []version) (stay int, why string, err error) {
	if len(versions) == 0 {
		return 0, "", nil
	}
	body, err := xml.Marshal(struct {
		XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ Delete"`
		Quiet   bool
		Object  []version
	}{Quiet: true, Object: versions})
	if err != nil {
		return 0, "", err
	}
	sum := sha256.Sum256(body)
	a, err := o.ask(ctx, call{method: http.MethodPost, query: url.Values{"delete": {""}}, body: body, header: http.Header{checksum: {base64.StdEncoding.EncodeToString(sum[:])}}})
	if err != nil {
		return 0, "", err
	}
	var done struct{ Error []struct{ Message string } }
	if err := xml.Unmarshal(a.Content, &done); err != nil {
		return 0, "", fmt.Errorf("read what was deleted: %w", err)
	}
	if len(done.Error) > 0 {
		why = done.Error[0].Message
	}
	return len(done.Error), why, nil
}
