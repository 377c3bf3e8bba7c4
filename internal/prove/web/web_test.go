package web

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// serve answers each connection with a function of its own reader and number.
func serve(t *testing.T, answer func(number int32, in *bufio.Reader, c net.Conn)) (address string, connections *atomic.Int32) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	connections = &atomic.Int32{}
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			number := connections.Add(1)
			go func() {
				defer c.Close()
				answer(number, bufio.NewReader(c), c)
			}()
		}
	}()
	return listener.Addr().String(), connections
}

// head reads a request up to its empty line.
func head(in *bufio.Reader) string {
	var text strings.Builder
	for {
		line, err := in.ReadString('\n')
		text.WriteString(line)
		if err != nil || line == "\r\n" {
			return text.String()
		}
	}
}

func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), 20*time.Second, errors.New("too late"))
	t.Cleanup(cancel)
	return ctx
}

func TestBytesAreSentAsGiven(t *testing.T) {
	for name, tc := range map[string]struct {
		request Request
		want    string
	}{
		"plain":       {Request{Target: "/a", Host: "x"}, "GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"},
		"odd target":  {Request{Target: "//a/..%2f\x00\xc0\xaf;b", Host: "x"}, "GET //a/..%2f\x00\xc0\xaf;b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"},
		"absolute":    {Request{Target: "http://other/", Host: "x y@z"}, "GET http://other/ HTTP/1.1\r\nHost: x y@z\r\nConnection: close\r\n\r\n"},
		"two hosts":   {Request{Method: "trace", Target: "*", Host: "x", Header: [][2]string{{"Host", "y"}, {"host", "z"}}}, "trace * HTTP/1.1\r\nHost: x\r\nHost: y\r\nhost: z\r\nConnection: close\r\n\r\n"},
		"no host":     {Request{Target: "/", Host: "x", NoHost: true, Version: "HTTP/1.0"}, "GET / HTTP/1.0\r\nConnection: close\r\n\r\n"},
		"with a body": {Request{Method: "POST", Target: "/", Host: "x", Body: "a=b"}, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nConnection: close\r\n\r\na=b"},
	} {
		t.Run(name, func(t *testing.T) {
			got := make(chan string, 1)
			address, _ := serve(t, func(_ int32, in *bufio.Reader, c net.Conn) {
				text := head(in)
				body := make([]byte, len(tc.request.Body))
				io.ReadFull(in, body)
				got <- text + string(body)
				io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
			})
			answer, err := Do(bounded(t), address, false, tc.request)
			if err != nil || answer.Status != 200 || string(answer.Body) != "hi" {
				t.Fatalf("got %d %q, %v", answer.Status, answer.Body, err)
			}
			if sent := <-got; sent != tc.want {
				t.Errorf("sent %q, want %q", sent, tc.want)
			}
		})
	}
}

func TestAnswers(t *testing.T) {
	for name, tc := range map[string]struct {
		answer  string
		status  int
		body    string
		refused bool
		ok      bool
	}{
		"until the end":         {"HTTP/1.0 404 Not Found\r\n\r\nnothing", 404, "nothing", false, true},
		"chunks":                {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", 200, "hi", false, true},
		"an interim answer":     {"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200, "hi", false, true},
		"no body":               {"HTTP/1.1 204 No Content\r\n\r\n", 204, "", false, true},
		"closed":                {"", 0, "", true, false},
		"closed in the header":  {"HTTP/1.1 200 OK\r\nA: ", 0, "", true, false},
		"closed in the body":    {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi", 200, "hi", true, false},
		"no HTTP":               {"SSH-2.0-OpenSSH_9.2\r\n", 0, "", false, false},
		"a header without end":  {"HTTP/1.1 200 OK\r\nA: " + strings.Repeat("a", headerLimit+bodyLimit), 0, "", false, false},
		"a body that is longer": {"HTTP/1.1 200 OK\r\n\r\n" + strings.Repeat("a", bodyLimit+9), 200, strings.Repeat("a", bodyLimit), false, true},
	} {
		t.Run(name, func(t *testing.T) {
			address, _ := serve(t, func(_ int32, in *bufio.Reader, c net.Conn) {
				head(in)
				io.WriteString(c, tc.answer)
			})
			answer, err := Do(bounded(t), address, false, Request{Target: "/", Host: "x"})
			if answer.Status != tc.status || string(answer.Body) != tc.body || (err == nil) != tc.ok || Refused(err) != tc.refused {
				t.Errorf("got %d, %d bytes, %v (refused: %v)", answer.Status, len(answer.Body), err, Refused(err))
			}
		})
	}
}

// The first answer to a body that is refused is read, though most of it was
// never taken.
func TestRefusedBeforeTheBodyWasRead(t *testing.T) {
	address, _ := serve(t, func(_ int32, in *bufio.Reader, c net.Conn) {
		head(in)
		io.WriteString(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
		io.CopyN(io.Discard, in, 4<<20)
	})
	answer, err := Do(bounded(t), address, false, Request{Method: "POST", Target: "/", Host: "x", Body: strings.Repeat("a", 4<<20)})
	if err != nil || answer.Status != 413 {
		t.Errorf("got %d, %v", answer.Status, err)
	}
}

func TestTimeoutIsNoRefusal(t *testing.T) {
	silent := make(chan struct{})
	t.Cleanup(func() { close(silent) })
	address, _ := serve(t, func(int32, *bufio.Reader, net.Conn) { <-silent })
	endless, _ := serve(t, func(_ int32, _ *bufio.Reader, c net.Conn) {
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhi")
		<-silent
	})
	cause := errors.New("no answer")
	for name, ask := range map[string]func(context.Context) error{
		"an answer": func(ctx context.Context) error {
			_, err := Do(ctx, address, false, Request{Target: "/", Host: "x"})
			return err
		},
		"a handshake": func(ctx context.Context) error {
			_, err := Do(ctx, address, true, Request{Target: "/", Host: "x"})
			return err
		},
		"HTTP/2": func(ctx context.Context) error {
			_, err := Do(ctx, address, false, Request{Target: "/", Host: "x", HTTP2: true})
			return err
		},
		"the rest of a body": func(ctx context.Context) error {
			_, err := Do(ctx, endless, false, Request{Target: "/", Host: "x"})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, cause)
			defer cancel()
			if err := ask(ctx); !errors.Is(err, cause) || Refused(err) {
				t.Errorf("got %v, refused: %v", err, Refused(err))
			}
		})
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	if _, err := Do(bounded(t), closed.Addr().String(), false, Request{Target: "/", Host: "x"}); err == nil || Refused(err) {
		t.Errorf("where nothing listens: %v, refused: %v", err, Refused(err))
	}
}

func TestClientKeepsConnections(t *testing.T) {
	answer := "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
	for name, tc := range map[string]struct {
		answers []string // of one connection; then it is closed
		asked   int
		want    int32
	}{
		"kept":                         {[]string{answer, answer, answer}, 3, 1},
		"closed meanwhile":             {[]string{answer}, 3, 3},
		"the other side wants to":      {[]string{"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhi"}, 2, 2},
		"old version":                  {[]string{"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi"}, 2, 2},
		"more than was asked for":      {[]string{answer + answer, answer}, 2, 2},
		"what comes is always refused": {nil, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			address, connections := serve(t, func(_ int32, in *bufio.Reader, c net.Conn) {
				for _, a := range tc.answers {
					if head(in) == "" {
						return
					}
					io.WriteString(c, a)
				}
				if len(tc.answers) == 0 {
					head(in)
				}
			})
			var client Client
			defer client.Close()
			for range tc.asked {
				got, err := client.Do(bounded(t), address, false, Request{Target: "/", Host: "x"})
				if len(tc.answers) > 0 && (err != nil || string(got.Body) != "hi") || len(tc.answers) == 0 && !Refused(err) {
					t.Fatalf("got %d %q, %v", got.Status, got.Body, err)
				}
			}
			if got := connections.Load(); got != tc.want {
				t.Errorf("%d connections, want %d", got, tc.want)
			}
		})
	}
}

func TestComesFrom(t *testing.T) {
	from := netip.MustParseAddr("127.66.3.4")
	address, _ := serve(t, func(_ int32, in *bufio.Reader, c net.Conn) {
		head(in)
		host, _, _ := net.SplitHostPort(c.RemoteAddr().String())
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(host), host)
	})
	for _, second := range []bool{false, true} {
		got, err := Do(bounded(t), address, false, Request{Target: "/", Host: "x", From: from, HTTP2: second})
		if !second && (err != nil || string(got.Body) != from.String()) {
			t.Errorf("comes from %q, %v", got.Body, err)
		}
		if second && err == nil {
			t.Error("HTTP/1.1 was taken for HTTP/2")
		}
	}
}

// over2 starts a server of HTTP/2 that tells what it was asked.
func over2(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func TestHTTP2SendsBytesAsGiven(t *testing.T) {
	var client Client
	defer client.Close()
	remotes := map[string]bool{}
	address := over2(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s %s %s %q\n%s", r.RemoteAddr, r.Proto, r.Method, r.RequestURI, r.Host, r.Header["X-A"], body)
	})
	for _, tc := range []struct {
		request Request
		want    string
	}{
		{Request{Target: "/a?b=c", Host: "x"}, "GET /a?b=c x []\n"},
		{Request{Target: "//a//..%2fb", Host: "x"}, "GET //a//..%2fb x []\n"},
		{Request{Target: "https://other/a", Host: "x"}, "GET https://other/a x []\n"},
		{Request{Target: "/%00/\xc0\xae;x", Host: "x"}, "GET /%00/\xc0\xae;x x []\n"},
		{Request{Target: "/" + strings.Repeat("long", 100), Host: "x"}, "GET /" + strings.Repeat("long", 100) + " x []\n"},
		{Request{Method: "DELETE", Target: "/", Host: "not.it", Header: [][2]string{{"X-A", "1"}, {"X-A", "2"}}}, "DELETE / not.it [\"1\" \"2\"]\n"},
		{Request{Method: "POST", Target: "/", Host: "x", Body: "a=b"}, "POST / x []\na=b"},
	} {
		answer, err := client.Do(bounded(t), address, true, tc.request.by2())
		remote, rest, _ := strings.Cut(string(answer.Body), " HTTP/2.0 ")
		remotes[remote] = true
		if err != nil || answer.Status != 200 || answer.Proto != "HTTP/2.0" || rest != tc.want || answer.TLS == nil {
			t.Errorf("%+v: %d %q, %v", tc.request, answer.Status, answer.Body, err)
		}
	}
	// What the server takes for a broken request is refused, and no failure.
	for _, bad := range []Request{{Target: "no-slash", Host: "x"}, {Target: "", Host: "x"}, {Target: "/", Host: "x", Header: [][2]string{{"Connection", "close"}}}} {
		if answer, err := client.Do(bounded(t), address, true, bad.by2()); !Refused(err) && answer.Status != 400 {
			t.Errorf("%+v: %d, %v", bad, answer.Status, err)
		}
	}
	if len(remotes) != 1 {
		t.Errorf("%d connections for requests of one kind: %v", len(remotes), remotes)
	}
	if _, err := client.Do(bounded(t), address, true, Request{Target: "/", Host: strings.Repeat("x", frameLimit), ServerName: "x"}.by2()); err == nil || Refused(err) {
		t.Errorf("headers of more than one frame: %v", err)
	}
}

func (r Request) by2() Request {
	r.HTTP2, r.ServerName = true, "127.0.0.1"
	return r
}

func TestHTTP2AfterTheConnectionEnded(t *testing.T) {
	var client Client
	defer client.Close()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.RemoteAddr) }))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	address := server.Listener.Addr().String()
	before, err := client.Do(bounded(t), address, true, Request{Target: "/", Host: "x"}.by2())
	if err != nil {
		t.Fatal(err)
	}
	server.CloseClientConnections()
	after, err := client.Do(bounded(t), address, true, Request{Target: "/", Host: "x"}.by2())
	if err != nil || bytes.Equal(before.Body, after.Body) {
		t.Errorf("asked on %s, then on %s: %v", before.Body, after.Body, err)
	}
}

func TestHTTP2BodyWithoutEnd(t *testing.T) {
	address := over2(t, func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(bytes.Repeat([]byte("a"), 64<<10)); err != nil {
				return
			}
		}
	})
	answer, err := Do(bounded(t), address, true, Request{Target: "/", Host: "x"}.by2())
	if err != nil || len(answer.Body) != bodyLimit {
		t.Errorf("%d bytes, %v", len(answer.Body), err)
	}
}

// What is sent to a server that has never seen net/http's own bytes.
func TestEncode2(t *testing.T) {
	for _, r := range []Request{{Target: "//a", Host: "x"}, {Method: "POST", Target: "/b", Host: "x", Body: "a=b"}} {
		sent, err := Encode2(r)
		if err != nil {
			t.Fatal(err)
		}
		asked := make(chan string, 1)
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			asked <- r.Method + r.RequestURI + string(body)
		}))
		server.Config.Protocols = new(http.Protocols)
		server.Config.Protocols.SetUnencryptedHTTP2(true)
		server.Start()
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write(sent); err != nil {
			t.Fatal(err)
		}
		if got := <-asked; got != method(r)+r.Target+r.Body {
			t.Errorf("was asked %q for %+v", got, r)
		}
		conn.Close()
		server.Close()
	}
}

func TestHandshakeNames(t *testing.T) {
	for _, tc := range []struct {
		request Request
		want    string
	}{
		{Request{Host: "a.example"}, "a.example"},
		{Request{Host: "a.example:8443"}, "a.example"},
		{Request{Host: "[::1]:443"}, "::1"},
		{Request{Host: "a.example", ServerName: "b.example"}, "b.example"},
	} {
		if got := tc.request.serverName(); got != tc.want {
			t.Errorf("%+v: handshake for %q, want %q", tc.request, got, tc.want)
		}
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "%s/%s", r.TLS.ServerName, r.Host) }))
	server.StartTLS()
	defer server.Close()
	for request, want := range map[*Request]string{
		{Target: "/", Host: "b.example", ServerName: "a.example"}: "a.example/b.example",
		{Target: "/", Host: "b.example", ServerName: "127.0.0.1"}: "/b.example",
	} {
		got, err := Do(bounded(t), server.Listener.Addr().String(), true, *request)
		if err != nil || string(got.Body) != want {
			t.Errorf("got %q, %v, want %q", got.Body, err, want)
		}
	}
}
