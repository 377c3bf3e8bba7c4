package demo

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func TestServeCarriesBothWaysAndHalfClose(t *testing.T) {
	inside := listen(t)
	go func() {
		for {
			conn, err := inside.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				asked, _ := io.ReadAll(conn) // to the end of the caller's half
				conn.Write(append([]byte("answer to "), asked...))
			}()
		}
	}()
	front := listen(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		done <- serve(ctx, front, func() (net.Conn, error) { return net.Dial("tcp", inside.Addr().String()) })
	}()

	for range 20 {
		conn := dial(t, front)
		if _, err := conn.Write([]byte("question")); err != nil {
			t.Fatal(err)
		}
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(conn)
		if err != nil || string(got) != "answer to question" {
			t.Fatalf("got %q, %v", got, err)
		}
		conn.Close()
	}

	idle := dial(t, front)
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := io.ReadAll(idle); err != nil && !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("an idle connection is not ended: %v", err)
	}
}

func TestServeClosesWhenNothingAnswersInside(t *testing.T) {
	front := listen(t)
	go serve(t.Context(), front, func() (net.Conn, error) { return nil, errors.New("connection refused") })
	if got, err := io.ReadAll(dial(t, front)); len(got) != 0 || err != nil && !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestSocketsOfThisProcessConnect(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can enter a network")
	}
	own, err := identify(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	sockets, err := socketsOf(own)
	if err != nil {
		t.Fatal(err)
	}
	target := listen(t)
	fd, err := sockets()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := connect(fd, &unix.SockaddrInet4{Port: target.Addr().(*net.TCPAddr).Port, Addr: [4]byte{127, 0, 0, 1}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got := conn.RemoteAddr().String(); got != target.Addr().String() {
		t.Errorf("connected to %s, want %s", got, target.Addr())
	}

	recycled := own
	recycled.Started--
	if _, err := socketsOf(recycled); err == nil {
		t.Error("the network of a process that has ended is entered")
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener
}

func dial(t *testing.T, to net.Listener) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp4", to.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}
