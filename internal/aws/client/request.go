package client

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Request is a question that no client of the SDK asks: some are so large that
// the program would be twice as big. Signatures, kinds of errors and when to try
// again are the SDK's none the less.
type Request struct {
	Service string // as signatures name it
	Method  string
	URL     *url.URL
	Header  http.Header
	Body    []byte

	// Refusal reads the error of an answer that is one.
	Refusal func(Answer) *smithy.GenericAPIError
}

// Answer is what is left of one.
type Answer struct {
	Status  int
	Header  http.Header
	Content []byte
}

// mostAnswer caps what is read of an answer, in bytes: lists have a thousand
// entries.
const mostAnswer = 16 << 20

// Do asks as often as the configuration says.
func Do(ctx context.Context, c Config, r Request) (Answer, error) {
	retryer := c.Retryer()
	for attempt := 1; ; attempt++ {
		a, err := once(ctx, c, r)
		if err == nil || attempt >= retryer.MaxAttempts() || !retryer.IsErrorRetryable(err) {
			return a, err
		}
		pause, tooMuch := retryer.RetryDelay(attempt, err)
		if tooMuch != nil {
			return a, err
		}
		select {
		case <-ctx.Done():
			return a, context.Cause(ctx)
		case <-time.After(pause):
		}
	}
}

func once(ctx context.Context, c Config, r Request) (Answer, error) {
	got, err := send(ctx, c, r)
	if err != nil {
		return Answer{}, err
	}
	defer got.Body.Close()
	a := Answer{Status: got.StatusCode, Header: got.Header}
	a.Content, err = io.ReadAll(io.LimitReader(got.Body, mostAnswer))
	return a, err
}

// Stream asks once, for an answer that may be large. Whoever called closes it.
func Stream(ctx context.Context, c Config, r Request) (io.ReadCloser, error) {
	got, err := send(ctx, c, r)
	if err != nil {
		return nil, err
	}
	return got.Body, nil
}

// send signs and sends a question. What AWS refuses is an error.
func send(ctx context.Context, c Config, r Request) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, r.Method, r.URL.String(), bytes.NewReader(r.Body))
	if err != nil {
		return nil, err
	}
	for name, values := range r.Header {
		request.Header[name] = values
	}
	credentials, err := c.Credentials.Retrieve(ctx)
	if err != nil {
		return nil, err
	}
	hash := sumOf(r.Body)
	request.Header.Set("X-Amz-Content-Sha256", hash)
	if err := signerOf(r.Service).SignHTTP(ctx, credentials, request, hash, r.Service, c.Region, time.Now()); err != nil {
		return nil, err
	}
	web := c.HTTPClient
	if web == nil {
		web = http.DefaultClient
	}
	got, err := web.Do(request)
	if err != nil || got.StatusCode < 300 {
		return got, err
	}
	defer got.Body.Close()
	a := Answer{Status: got.StatusCode, Header: got.Header}
	if a.Content, err = io.ReadAll(io.LimitReader(got.Body, mostAnswer)); err != nil {
		return nil, err
	}
	answered := &smithyhttp.ResponseError{Response: &smithyhttp.Response{Response: got}, Err: r.Refusal(a)}
	return nil, &awshttp.ResponseError{ResponseError: answered, RequestID: a.Header.Get("X-Amzn-Requestid")}
}

// Presign is an address that asks one question of a service for whoever has it,
// as long as it lasts, without credentials of their own.
func Presign(ctx context.Context, c Config, service, method string, u *url.URL, lasts time.Duration) (string, error) {
	query := u.Query()
	query.Set("X-Amz-Expires", strconv.Itoa(int(lasts.Seconds())))
	whole := *u
	whole.RawQuery = query.Encode()
	request, err := http.NewRequestWithContext(ctx, method, whole.String(), nil)
	if err != nil {
		return "", err
	}
	credentials, err := c.Credentials.Retrieve(ctx)
	if err != nil {
		return "", err
	}
	hash := sumOf(nil)
	if service == "s3" {
		hash = "UNSIGNED-PAYLOAD" // what will be put there is not known yet
	}
	signed, _, err := signerOf(service).PresignHTTP(ctx, credentials, request, hash, service, c.Region, time.Now())
	return signed, err
}

// signerOf signs for a service. Of all, S3 alone takes paths as they are.
func signerOf(service string) *v4.Signer {
	return v4.NewSigner(func(s *v4.SignerOptions) { s.DisableURIPathEscaping = service == "s3" })
}

func sumOf(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}
