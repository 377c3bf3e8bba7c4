package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// maxConnections is how many connections a forwarder carries at once; further
// ones wait in the listener's queue.
const maxConnections = 256

// Forward carries connections from the server's port on this host to the web
// server inside, until the context ends or the server does.
func Forward(ctx context.Context, name string) error {
	s, err := Open(name)
	if err != nil {
		return err
	}
	sockets, err := socketsOf(s.Leader)
	if err != nil {
		return fmt.Errorf("forward to demo server %s: %w", name, err)
	}
	listener, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port)))
	if err != nil {
		return fmt.Errorf("forward to demo server %s: %w", name, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		for !s.Leader.wait(ctx, time.Hour) && ctx.Err() == nil {
		}
		cancel()
	}()
	target := &unix.SockaddrInet4{Port: s.guestPort(), Addr: [4]byte{127, 0, 0, 1}}
	return serve(ctx, listener, func() (net.Conn, error) {
		fd, err := sockets()
		if err != nil {
			return nil, err
		}
		return connect(fd, target)
	})
}

// socketsOf returns a function that makes TCP sockets in the network of a
// process. A socket stays in the network it was made in, so only making it
// needs the one thread that lives there.
func socketsOf(p process) (func() (int, error), error) {
	namespace, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", p.PID))
	if err != nil {
		return nil, fmt.Errorf("open its network: %w", err)
	}
	if !p.alive() { // checked after opening: the network is that of this process
		namespace.Close()
		return nil, errors.New("open its network: it is not running")
	}
	type made struct {
		fd  int
		err error
	}
	requests, entered := make(chan chan made), make(chan error)
	go func() {
		// Never unlocked: a thread that changed its network must not be reused.
		runtime.LockOSThread()
		err := unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET)
		namespace.Close()
		entered <- err
		if err != nil {
			return
		}
		for reply := range requests {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			reply <- made{fd, err}
		}
	}()
	if err := <-entered; err != nil {
		return nil, fmt.Errorf("enter its network: %w", err)
	}
	return func() (int, error) {
		reply := make(chan made)
		requests <- reply
		got := <-reply
		return got.fd, got.err
	}, nil
}

// connect connects a socket, within some seconds, and takes it over.
func connect(fd int, target unix.Sockaddr) (net.Conn, error) {
	file := os.NewFile(uintptr(fd), "forwarded")
	defer file.Close()
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &unix.Timeval{Sec: 5}); err != nil {
		return nil, fmt.Errorf("limit the time to connect: %w", err)
	}
	if err := unix.Connect(fd, target); err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	return net.FileConn(file)
}

// serve accepts connections and joins each with one that dial makes. It closes
// them all before it returns.
func serve(ctx context.Context, listener net.Listener, dial func() (net.Conn, error)) error {
	var carried sync.WaitGroup
	defer carried.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { listener.Close() })
	defer stop()
	free := make(chan struct{}, maxConnections)
	for {
		select {
		case free <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		outside, err := listener.Accept()
		if ctx.Err() != nil {
			if err == nil {
				outside.Close()
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("accept a connection: %w", err)
		}
		carried.Go(func() {
			defer func() { <-free }()
			inside, err := dial()
			if err != nil {
				outside.Close() // nothing answers inside: the caller sees the same
				return
			}
			join(ctx, outside, inside)
		})
	}
}

// join copies both ways until both ends have said all, or the context ends.
func join(ctx context.Context, a, b net.Conn) {
	defer a.Close()
	defer b.Close()
	stop := context.AfterFunc(ctx, func() {
		a.Close()
		b.Close()
	})
	defer stop()
	var both sync.WaitGroup
	oneWay := func(to, from net.Conn) {
		io.Copy(to, from)
		// Pass on the end of the stream; the other direction may go on.
		if half, ok := to.(interface{ CloseWrite() error }); ok {
			half.CloseWrite()
		}
	}
	both.Go(func() { oneWay(a, b) })
	both.Go(func() { oneWay(b, a) })
	both.Wait()
}
