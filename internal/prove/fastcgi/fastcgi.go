// Package fastcgi speaks FastCGI as a web server does, to whatever listens
// (FastCGI Specification 1.0).
package fastcgi

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
)

// Types of records (section 8 of the specification).
const (
	beginRequest = 1
	endRequest   = 3
	params       = 4
	stdin        = 5
	stdout       = 6
	stderr       = 7
)

// Request is what is asked of a pool.
type Request struct {
	Params map[string]string // SCRIPT_FILENAME, PHP_VALUE and so on
	Body   []byte
}

// Response is what came back.
type Response struct {
	Header string // as the script sent it
	Body   []byte
	Errors string // of PHP
}

// answerLimit is how much of an answer is read, in bytes.
const answerLimit = 4 << 20

// Address is where to connect to for what a pool listens on: "9000" and
// "0.0.0.0:9000" are all addresses of the machine, the loopback one among them.
func Address(listen string) string {
	if strings.HasPrefix(listen, "/") {
		return listen
	}
	host, port := "", listen
	if at := strings.LastIndexByte(listen, ':'); at >= 0 {
		host, port = strings.Trim(listen[:at], "[]"), listen[at+1:]
	}
	switch host {
	case "", "*", "0.0.0.0":
		host = "127.0.0.1"
	case "::":
		host = "::1"
	}
	return net.JoinHostPort(host, port)
}

// Conn is a connection to a pool. As long as it is open one worker of the pool
// waits for its requests alone, and all that it asks is done by that worker.
type Conn struct {
	net.Conn
	address string
}

// Dial connects. address is the path of a Unix socket, or host:port.
func Dial(ctx context.Context, address string) (*Conn, error) {
	network := "tcp"
	if strings.HasPrefix(address, "/") {
		network = "unix"
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, fmt.Errorf("speak FastCGI to %s: %w", address, errors.Join(err, context.Cause(ctx)))
	}
	return &Conn{conn, address}, nil
}

// Do makes a request on a connection of its own.
func Do(ctx context.Context, address string, r Request) (Response, error) {
	conn, err := Dial(ctx, address)
	if err != nil {
		return Response{}, err
	}
	defer conn.Close()
	return conn.Do(ctx, r)
}

// Do makes a request. The connection is of no more use after an error, or when
// ctx has ended.
func (c *Conn) Do(ctx context.Context, r Request) (Response, error) {
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	if _, err := c.Write(encode(r, 1)); err != nil {
		return Response{}, fmt.Errorf("speak FastCGI to %s: %w", c.address, errors.Join(err, context.Cause(ctx)))
	}
	response, err := read(c)
	if err != nil {
		return response, fmt.Errorf("read the answer of FastCGI at %s: %w", c.address, errors.Join(err, context.Cause(ctx)))
	}
	return response, nil
}

// Encode gives the bytes of a request, after which the pool closes the
// connection.
func Encode(r Request) []byte { return encode(r, 0) }

// encode sets the flags of a request: 1 keeps the connection.
func encode(r Request, flags byte) []byte {
	var pairs bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(r.Params)) {
		length(&pairs, name)
		length(&pairs, r.Params[name])
		pairs.WriteString(name + r.Params[name])
	}
	var out bytes.Buffer
	record(&out, beginRequest, []byte{0, 1, flags, 0, 0, 0, 0, 0}) // role: responder
	stream(&out, params, pairs.Bytes())
	stream(&out, stdin, r.Body)
	return out.Bytes()
}

// length writes the length of a name or value (section 3.4).
func length(out *bytes.Buffer, text string) {
	if len(text) < 128 {
		out.WriteByte(byte(len(text)))
		return
	}
	_ = binary.Write(out, binary.BigEndian, uint32(len(text))|1<<31) // a buffer takes everything
}

// stream writes content in records of at most 65,535 bytes, and an empty one.
func stream(out *bytes.Buffer, kind byte, content []byte) {
	for chunk := range slices.Chunk(content, 65535) {
		record(out, kind, chunk)
	}
	record(out, kind, nil)
}

func record(out *bytes.Buffer, kind byte, content []byte) {
	header := []byte{1, kind, 0, 1, 0, 0, 0, 0}
	binary.BigEndian.PutUint16(header[4:], uint16(len(content)))
	out.Write(header)
	out.Write(content)
}

// read reads records to the end of a request.
func read(conn io.Reader) (Response, error) {
	var printed, problems bytes.Buffer
	header := make([]byte, 8)
	for printed.Len()+problems.Len() < answerLimit {
		if _, err := io.ReadFull(conn, header); err != nil {
			return Response{}, err
		}
		if header[0] != 1 {
			return Response{}, fmt.Errorf("version %d instead of 1: it is not FastCGI", header[0])
		}
		content := make([]byte, int(binary.BigEndian.Uint16(header[4:]))+int(header[6]))
		if _, err := io.ReadFull(conn, content); err != nil {
			return Response{}, err
		}
		content = content[:len(content)-int(header[6])]
		switch header[1] {
		case stdout:
			printed.Write(content)
		case stderr:
			problems.Write(content)
		case endRequest:
			head, body, found := strings.Cut(printed.String(), "\r\n\r\n")
			if !found {
				return Response{Errors: problems.String()}, errors.New("it is no answer of a script")
			}
			return Response{Header: head, Body: []byte(body), Errors: problems.String()}, nil
		}
	}
	return Response{}, fmt.Errorf("it is longer than %d bytes", answerLimit)
}
