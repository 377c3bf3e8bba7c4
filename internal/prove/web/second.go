package web

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
)

// second speaks HTTP/2 (RFC 9113): net/http does, and what it would say in the
// headers of a request is replaced on the way by what the attacker says.
type second struct {
	transport *http.Transport
	forger    *forger
}

func newSecond(connection net.Conn) *second {
	s := &second{forger: &forger{Conn: connection}}
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true) // TLS, if any, is below
	dialed := false
	s.transport = &http.Transport{
		Protocols: protocols, DisableCompression: true,
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			if dialed {
				return nil, io.ErrUnexpectedEOF // the one connection has ended
			}
			dialed = true
			return s.forger, nil
		},
	}
	return s
}

// ask makes a request and tells whether another one may follow.
func (s *second) ask(ctx context.Context, r Request) (Response, bool, error) {
	block, err := headerBlock(r)
	if err != nil {
		return Response{}, false, err
	}
	s.forger.block = block
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://forged/", strings.NewReader(r.Body))
	if err != nil {
		return Response{}, false, err
	}
	if method(r) == http.MethodHead {
		request.Method = http.MethodHead
	}
	answer, err := s.transport.RoundTrip(request)
	if err != nil {
		return Response{}, false, err
	}
	defer answer.Body.Close()
	return kept(answer)
}

// forger is a connection that replaces the headers of what is written to it.
type forger struct {
	net.Conn
	block   []byte // of the next request
	pending []byte
	greeted bool
}

const (
	greeting    = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	frameHeader = 9 // length (3), type (1), flags (1), stream (4)
	frameLimit  = 16 << 10
	typeHeaders = 0x1
	endStream   = 0x1
	endHeaders  = 0x4
)

// Write passes on whole frames.
func (f *forger) Write(p []byte) (int, error) {
	f.pending = append(f.pending, p...)
	var out []byte
	if !f.greeted && len(f.pending) >= len(greeting) {
		out, f.pending, f.greeted = append(out, f.pending[:len(greeting)]...), f.pending[len(greeting):], true
	}
	for f.greeted && len(f.pending) >= frameHeader {
		size := frameHeader + int(f.pending[0])<<16 + int(f.pending[1])<<8 + int(f.pending[2])
		if len(f.pending) < size {
			break
		}
		frame := f.pending[:size]
		f.pending = f.pending[size:]
		if frame[3] == typeHeaders {
			frame = headersFrame(f.block, frame[4]&endStream, binary.BigEndian.Uint32(frame[5:]))
		}
		out = append(out, frame...)
	}
	if _, err := f.Conn.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}

func headersFrame(block []byte, flags byte, stream uint32) []byte {
	frame := []byte{byte(len(block) >> 16), byte(len(block) >> 8), byte(len(block)), typeHeaders, flags | endHeaders}
	return append(binary.BigEndian.AppendUint32(frame, stream), block...)
}

// Encode2 gives the bytes of a connection of HTTP/2 that makes one request.
func Encode2(r Request) ([]byte, error) {
	block, err := headerBlock(r)
	if err != nil {
		return nil, err
	}
	const stream = 1
	out := append([]byte(greeting), 0, 0, 0, 0x4, 0, 0, 0, 0, 0) // empty SETTINGS
	if r.Body == "" {
		return append(out, headersFrame(block, endStream, stream)...), nil
	}
	out = append(out, headersFrame(block, 0, stream)...)
	out = append(out, byte(len(r.Body)>>16), byte(len(r.Body)>>8), byte(len(r.Body)), 0x0, endStream, 0, 0, 0, stream)
	return append(out, r.Body...), nil
}

// headerBlock writes headers as literals without names of tables (RFC 7541,
// 6.2.2): any bytes can be said so.
func headerBlock(r Request) ([]byte, error) {
	var out bytes.Buffer
	field := func(name, value string) {
		out.WriteByte(0)
		text(&out, name)
		text(&out, value)
	}
	field(":method", method(r))
	field(":scheme", map[bool]string{false: "https", true: "http"}[r.Plain])
	if !r.NoHost {
		field(":authority", r.Host)
	}
	field(":path", r.Target)
	for _, h := range r.Header {
		field(strings.ToLower(h[0]), h[1])
	}
	if r.Body != "" {
		field("content-length", fmt.Sprint(len(r.Body)))
	}
	if out.Len() > frameLimit {
		return nil, errors.New("ask by HTTP/2: the headers do not fit into one frame")
	}
	return out.Bytes(), nil
}

// text writes a string with its length, an integer of a 7-bit prefix (RFC 7541,
// 5.1 and 5.2).
func text(out *bytes.Buffer, s string) {
	n := len(s)
	if n < 127 {
		out.WriteByte(byte(n))
	} else {
		out.WriteByte(127)
		out.Write(binary.AppendUvarint(nil, uint64(n-127)))
	}
	out.WriteString(s)
}
