package fastcgi

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/http"
	"net/http/fcgi"
	"path/filepath"
	"strings"
	"testing"
)

// pool answers as PHP does, by the library's own FastCGI.
func pool(t *testing.T, answer http.HandlerFunc) string {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "pool.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() { _ = fcgi.Serve(listener, answer) }() // ends with the listener
	return socket
}

func TestPoolGetsParametersAndBody(t *testing.T) {
	long := strings.Repeat("x", 70_000) // longer than a length of one byte, and than a record
	socket := pool(t, func(w http.ResponseWriter, r *http.Request) {
		body := new(bytes.Buffer)
		_, _ = body.ReadFrom(r.Body)
		env := fcgi.ProcessEnv(r)
		w.Header().Set("X-Script", env["SCRIPT_FILENAME"])
		w.Write([]byte(env["PHP_VALUE"] + body.String()))
	})
	got, err := Do(t.Context(), socket, Request{
		Params: map[string]string{"REQUEST_METHOD": "POST", "SERVER_PROTOCOL": "HTTP/1.1", "CONTENT_LENGTH": "70000", "REQUEST_URI": "/", "SCRIPT_FILENAME": "/srv/x.php", "PHP_VALUE": long},
		Body:   []byte(long),
	})
	if err != nil {
		t.Fatal(err)
	}
	if string(got.Body) != long+long || !strings.Contains(got.Header, "X-Script: /srv/x.php") {
		t.Errorf("%d bytes, header %q", len(got.Body), got.Header)
	}
}

func TestConnectionTakesSeveralRequests(t *testing.T) {
	socket := pool(t, func(w http.ResponseWriter, r *http.Request) { w.Write([]byte(r.URL.Path)) })
	conn, err := Dial(t.Context(), socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, path := range []string{"/a", "/b"} {
		got, err := conn.Do(t.Context(), Request{Params: map[string]string{"REQUEST_METHOD": "GET", "SERVER_PROTOCOL": "HTTP/1.1", "REQUEST_URI": path}})
		if err != nil || string(got.Body) != path {
			t.Errorf("%q %v, want %q", got.Body, err, path)
		}
	}
}

func TestEndOfContextEndsTheWait(t *testing.T) {
	listener, err := net.Listen("unix", filepath.Join(t.TempDir(), "silent.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	go func() {
		_, _ = listener.Accept()
		cancel(why)
	}()
	if _, err := Do(ctx, listener.Addr().String(), Request{}); !errors.Is(err, why) {
		t.Errorf("got %v", err)
	}
}

func TestAddress(t *testing.T) {
	for listen, want := range map[string]string{
		"/run/php/x.sock": "/run/php/x.sock",
		"9000":            "127.0.0.1:9000",
		"*:9000":          "127.0.0.1:9000",
		"0.0.0.0:9000":    "127.0.0.1:9000",
		"127.0.0.1:9000":  "127.0.0.1:9000",
		"[::]:9000":       "[::1]:9000",
		"[fd00::1]:9000":  "[fd00::1]:9000",
		"10.1.2.3:9000":   "10.1.2.3:9000",
		"localhost:9000":  "localhost:9000",
	} {
		if got := Address(listen); got != want {
			t.Errorf("%s: %s, want %s", listen, got, want)
		}
	}
}

// bytesOf are records, each of a type and a content.
func bytesOf(records ...any) []byte {
	var out bytes.Buffer
	for i := 0; i < len(records); i += 2 {
		record(&out, byte(records[i].(int)), []byte(records[i+1].(string)))
	}
	return out.Bytes()
}

const ended = "\x00\x00\x00\x00\x00\x00\x00\x00"

func TestRead(t *testing.T) {
	padded := bytesOf(stdout, "A: b\r\n\r\nbody")
	padded[6] = 3 // three bytes of padding follow
	padded = append(append(padded, 0, 0, 0), bytesOf(endRequest, ended)...)
	huge := bytes.Repeat(bytesOf(stdout, strings.Repeat("x", 65535)), 70)
	for name, c := range map[string]struct {
		bytes []byte
		want  Response
		fails string
	}{
		"an answer":        {bytes: bytesOf(stdout, "A: b\r\n\r\n", stderr, "Notice", stdout, "body", endRequest, ended), want: Response{Header: "A: b", Body: []byte("body"), Errors: "Notice"}},
		"padding":          {bytes: padded, want: Response{Header: "A: b", Body: []byte("body")}},
		"what follows":     {bytes: append(bytesOf(stdout, "A: b\r\n\r\n1", endRequest, ended), "rubbish"...), want: Response{Header: "A: b", Body: []byte("1")}},
		"nothing":          {fails: "EOF"},
		"cut in a header":  {bytes: bytesOf(stdout, "A")[:5], fails: "unexpected EOF"},
		"cut in a record":  {bytes: bytesOf(stdout, "A: b")[:10], fails: "unexpected EOF"},
		"without an end":   {bytes: bytesOf(stdout, "A: b\r\n\r\nbody"), fails: "EOF"},
		"not by a script":  {bytes: bytesOf(stderr, "Primary script unknown", endRequest, ended), fails: "no answer of a script"},
		"another protocol": {bytes: []byte("HTTP/1.1 400 Bad Request\r\n"), fails: "not FastCGI"},
		"too long":         {bytes: huge, fails: "longer than"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := read(bytes.NewReader(c.bytes))
			if c.fails != "" {
				if err == nil || !strings.Contains(err.Error(), c.fails) {
					t.Fatalf("got %v, want %q", err, c.fails)
				}
				return
			}
			if err != nil || got.Header != c.want.Header || string(got.Body) != string(c.want.Body) || got.Errors != c.want.Errors {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

// Whatever a pool that was broken into sends, reading it ends, and holds no more
// than a little over the limit.
func FuzzRead(f *testing.F) {
	f.Add(bytesOf(stdout, "A: b\r\n\r\nbody", endRequest, ended))
	f.Add(bytesOf(stderr, "Notice", endRequest, ended))
	f.Add(bytesOf(stdout, "A", 9, "unknown", endRequest, "")[:20])
	f.Add([]byte("HTTP/1.1 400 Bad Request\r\n"))
	f.Fuzz(func(t *testing.T, sent []byte) {
		got, err := read(bytes.NewReader(sent))
		if len(got.Body)+len(got.Header)+len(got.Errors) > len(sent) {
			t.Fatalf("more came out than went in: %d of %d bytes", len(got.Body)+len(got.Header)+len(got.Errors), len(sent))
		}
		if err == nil && !bytes.Contains(sent, []byte{1, endRequest}) {
			t.Fatalf("an answer without an end: % x", sent)
		}
	})
}

// What is encoded is what a server reads: names and values with the lengths of
// the specification.
func FuzzEncode(f *testing.F) {
	f.Add("SCRIPT_FILENAME", "/srv/x.php", []byte("body"))
	f.Add(strings.Repeat("n", 127), strings.Repeat("v", 128), []byte{})
	f.Fuzz(func(t *testing.T, name, value string, body []byte) {
		encoded := Encode(Request{Params: map[string]string{name: value}, Body: body})
		streams := map[byte][]byte{}
		for len(encoded) > 0 {
			n := int(binary.BigEndian.Uint16(encoded[4:]))
			streams[encoded[1]] = append(streams[encoded[1]], encoded[8:8+n]...)
			encoded = encoded[8+n:]
		}
		sizes, rest := [2]int{}, streams[params]
		for i := range sizes {
			if rest[0] < 128 {
				sizes[i], rest = int(rest[0]), rest[1:]
			} else {
				sizes[i], rest = int(binary.BigEndian.Uint32(rest)&^(1<<31)), rest[4:]
			}
		}
		if string(rest) != name+value || sizes != [2]int{len(name), len(value)} || !bytes.Equal(streams[stdin], body) {
			t.Fatalf("%d and %d, %q, %q", sizes[0], sizes[1], rest, streams[stdin])
		}
	})
}
