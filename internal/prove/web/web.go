// Package web makes requests as an attacker does: the bytes of the target and
// of the headers are sent as they are given, valid or not.
package web

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// Request is one request.
type Request struct {
	Method  string      // GET when empty
	Target  string      // as sent: "/index.php?a=b", "//x%2f", "http://other/"
	Host    string      // of the Host header (in HTTP/2 :authority) and the handshake
	Header  [][2]string // in this order, after Host; names may come twice
	Body    string
	From    netip.Addr // own address to come from, such as 127.0.66.1; the zero value: any
	Plain   bool       // by plain HTTP even where TLS is spoken
	HTTP2   bool
	NoHost  bool   // without a Host header (in HTTP/2 without :authority)
	Version string // of HTTP in the first line: "HTTP/1.1" when empty

	// ServerName is the name in the TLS handshake, where it is not Host. For an
	// address, such as "127.0.0.1", the handshake names none.
	ServerName string
}

// Response is what came back.
type Response struct {
	Status int
	Proto  string
	Header http.Header
	Body   []byte // at most bodyLimit
	TLS    *tls.ConnectionState
}

// Cookies are those that it sets.
func (r Response) Cookies() []*http.Cookie { return (&http.Response{Header: r.Header}).Cookies() }

const (
	bodyLimit   = 4 << 20   // how much of a body is read, in bytes
	headerLimit = 256 << 10 // the same of what is before it
)

// Do makes one request of an address, on a connection of its own. See Client.Do.
func Do(ctx context.Context, address string, secure bool, r Request) (Response, error) {
	c := Client{once: true}
	defer c.Close()
	return c.Do(ctx, address, secure, r)
}

// Encode gives the bytes of a request of HTTP/1.1 (RFC 9112) that asks for the
// connection to be closed after it.
func Encode(r Request) []byte { return encode(r, false) }

func encode(r Request, keep bool) []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out, "%s %s %s\r\n", method(r), r.Target, cmp.Or(r.Version, "HTTP/1.1"))
	if !r.NoHost {
		fmt.Fprintf(&out, "Host: %s\r\n", r.Host)
	}
	for _, h := range r.Header {
		fmt.Fprintf(&out, "%s: %s\r\n", h[0], h[1])
	}
	if r.Body != "" {
		fmt.Fprintf(&out, "Content-Length: %d\r\n", len(r.Body))
	}
	if !keep {
		out.WriteString("Connection: close\r\n")
	}
	out.WriteString("\r\n" + r.Body)
	return out.Bytes()
}

func method(r Request) string { return cmp.Or(r.Method, http.MethodGet) }

// serverName is what the handshake is for.
func (r Request) serverName() string {
	if r.ServerName != "" {
		return r.ServerName
	}
	if name, _, err := net.SplitHostPort(r.Host); err == nil {
		return name
	}
	return strings.Trim(r.Host, "[]")
}
