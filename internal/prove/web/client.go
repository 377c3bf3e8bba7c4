package web

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"syscall"
)

// Client makes requests, and keeps connections for later ones as browsers do:
// hundreds of requests then cost few handshakes. Its zero value is ready;
// several goroutines may use it.
type Client struct {
	once  bool // no connection is for more than one request
	mutex sync.Mutex
	idle  map[line][]*conn
}

// line is what requests that share a connection have in common.
type line struct {
	address    string
	secure     bool
	serverName string
	from       netip.Addr
	http2      bool
}

// conn is a connection that one request at a time goes over.
type conn struct {
	net.Conn
	reader *bufio.Reader
	left   *io.LimitedReader // of what may come for one answer by HTTP/1.1
	tls    *tls.ConnectionState
	second *second // for HTTP/2
	used   bool    // it has answered before
}

// Do makes a request of an address. Certificates are not checked: that is an
// attack of its own. Redirects are not followed. An answer that began well is
// returned even when its body ended in an error.
func (c *Client) Do(ctx context.Context, address string, secure bool, r Request) (Response, error) {
	key := line{address: address, secure: secure, from: r.From, http2: r.HTTP2}
	if secure {
		key.serverName = r.serverName()
	}
	for {
		connection, err := c.take(ctx, key)
		if err != nil {
			return Response{}, fmt.Errorf("ask %s: %w", address, explained(ctx, err))
		}
		response, keep, err := connection.ask(ctx, r, !c.once)
		if keep && err == nil && ctx.Err() == nil {
			c.put(key, connection)
		} else {
			connection.Close()
		}
		// The other side may have closed a kept connection meanwhile. What it means
		// is told by a new one.
		if err != nil && response.Status == 0 && connection.used && ctx.Err() == nil && Refused(err) {
			c.drop(key)
			continue
		}
		if err != nil {
			return response, fmt.Errorf("ask %s for %q: %w", address, r.Target, explained(ctx, err))
		}
		return response, nil
	}
}

// explained puts the cause before an error that it led to.
func explained(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
		return fmt.Errorf("%w: %w", cause, err)
	}
	return err
}

// Refused tells whether an error is the other side's doing: instead of an
// answer it ended the handshake, the connection or the stream. All else, such as
// that nothing listens or that it took too long, says nothing about the request.
func Refused(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, net.ErrClosed) {
		return false
	}
	var network *net.OpError
	if errors.As(err, &network) && (network.Op == "dial" || network.Timeout()) {
		return false
	}
	alert := network != nil && network.Op == "remote error" // crypto/tls calls alerts so
	for _, end := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, end) {
			return true
		}
	}
	// net/http does not show the types of these.
	text := err.Error()
	return alert || strings.Contains(text, "stream error: ") || strings.Contains(text, "GOAWAY") || strings.Contains(text, "http2: client conn")
}

// Close ends the kept connections.
func (c *Client) Close() {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	for _, connections := range c.idle {
		for _, one := range connections {
			one.Close()
		}
	}
	c.idle = nil
}

func (c *Client) take(ctx context.Context, key line) (*conn, error) {
	c.mutex.Lock()
	if kept := c.idle[key]; len(kept) > 0 {
		c.idle[key] = kept[:len(kept)-1]
		c.mutex.Unlock()
		return kept[len(kept)-1], nil
	}
	c.mutex.Unlock()
	return dial(ctx, key)
}

func (c *Client) put(key line, connection *conn) {
	connection.used = true
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.idle == nil {
		c.idle = map[line][]*conn{}
	}
	c.idle[key] = append(c.idle[key], connection)
}

func (c *Client) drop(key line) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	for _, one := range c.idle[key] {
		one.Close()
	}
	delete(c.idle, key)
}

func dial(ctx context.Context, key line) (*conn, error) {
	dialer := &net.Dialer{}
	if key.from.IsValid() {
		dialer.LocalAddr = &net.TCPAddr{IP: key.from.AsSlice()}
	}
	dialed, err := dialer.DialContext(ctx, "tcp", key.address)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: dialed}
	if key.secure {
		protocol := "http/1.1"
		if key.http2 {
			protocol = "h2"
		}
		config := &tls.Config{ServerName: key.serverName, InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, NextProtos: []string{protocol}} //nolint:gosec // see Do
		secured := tls.Client(dialed, config)
		if err := secured.HandshakeContext(ctx); err != nil {
			return nil, cmp.Or(err, dialed.Close())
		}
		state := secured.ConnectionState()
		c.Conn, c.tls = secured, &state
		if key.http2 && state.NegotiatedProtocol != protocol {
			c.Close()
			return nil, ErrNoHTTP2
		}
	}
	if key.http2 {
		c.second = newSecond(c.Conn)
		return c, nil
	}
	c.left = &io.LimitedReader{R: c.Conn}
	c.reader = bufio.NewReader(c.left)
	return c, nil
}

// ErrNoHTTP2 is of a front that does not speak HTTP/2.
var ErrNoHTTP2 = errors.New("it does not speak HTTP/2")

// ask makes a request and tells whether another one may follow.
func (c *conn) ask(ctx context.Context, r Request, keep bool) (Response, bool, error) {
	var response Response
	var err error
	if c.second != nil {
		response, keep, err = c.second.ask(ctx, r)
	} else {
		stop := context.AfterFunc(ctx, func() { c.Close() })
		defer stop()
		response, keep, err = c.first(r, keep)
	}
	response.TLS = c.tls
	return response, keep, err
}

// first asks by HTTP/1.1.
func (c *conn) first(r Request, keep bool) (Response, bool, error) {
	c.left.N = headerLimit + bodyLimit
	// Whoever refuses a request answers before it was read to its end.
	_, sending := c.Write(encode(r, keep))
	asked := &http.Request{Method: method(r)}
	answer, err := http.ReadResponse(c.reader, asked)
	for err == nil && answer.StatusCode < 200 && answer.StatusCode != http.StatusSwitchingProtocols {
		answer, err = http.ReadResponse(c.reader, asked)
	}
	if err != nil {
		if c.left.N <= 0 {
			err = errors.New("the header of the answer has no end")
		}
		return Response{}, false, err
	}
	defer answer.Body.Close()
	response, whole, err := kept(answer)
	keep = keep && whole && sending == nil && !answer.Close && answer.ContentLength >= -1 && answer.StatusCode != http.StatusSwitchingProtocols && c.reader.Buffered() == 0
	return response, keep, err
}

// kept reads an answer, and tells whether that was all of it.
func kept(answer *http.Response) (Response, bool, error) {
	body, err := io.ReadAll(io.LimitReader(answer.Body, bodyLimit+1))
	whole := err == nil && len(body) <= bodyLimit
	return Response{Status: answer.StatusCode, Proto: answer.Proto, Header: answer.Header, Body: body[:min(len(body), bodyLimit)]}, whole, err
}
