// Package front observes the public web server from the outside: by requests.
package front

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// Request is one look at the front.
type Request struct {
	Host string // of the Host header and the TLS handshake
	Path string // as sent, undecoded
	Body string // makes it a POST of JSON
}

// Answer is what came back.
type Answer struct {
	Refused bool // no HTTP answer: the handshake or the connection was refused
	Status  int
	Body    string // up to 64 KiB
}

// Await waits until something listens at an address. A front that was told to
// reload opens its new ports a moment later.
func Await(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the front to listen on %s: %w", address, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Ask sends a request to an address ("127.0.0.1:443") by HTTPS. The certificate
// is not verified: what is asked is how this machine answers, not who it is.
func Ask(ctx context.Context, address string, r Request) (Answer, error) {
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, network, address)
		},
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12},
		DisableKeepAlives: true,
	}
	client := &http.Client{
		Transport: transport, Timeout: 60 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	method, body := http.MethodGet, io.Reader(nil)
	if r.Body != "" {
		method, body = http.MethodPost, strings.NewReader(r.Body)
	}
	request, err := http.NewRequestWithContext(ctx, method, "https://"+r.Host+r.Path, body)
	if err != nil {
		return Answer{}, fmt.Errorf("ask the front for %s: %w", r.Path, err)
	}
	if r.Body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := client.Do(request)
	if err != nil {
		if ctx.Err() != nil {
			return Answer{}, context.Cause(ctx)
		}
		return Answer{Refused: true, Body: err.Error()}, nil
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil {
		return Answer{}, fmt.Errorf("read the front's answer to %s: %w", r.Path, err)
	}
	return Answer{Status: response.StatusCode, Body: string(text)}, nil
}
