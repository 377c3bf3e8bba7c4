package prove

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"rocca/internal/run"
)

// wire sees what this machine sends to others: behind its packet filter, so what
// is seen has left.
type wire struct {
	fd   int
	loop int32 // index of the loopback interface

	cable *outside // made by wayOut
}

// openWire begins to look.
func openWire() (*wire, error) {
	loop, err := net.InterfaceByName("lo")
	if err != nil {
		return nil, fmt.Errorf("look at what leaves this machine: %w", err)
	}
	everything := binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, unix.ETH_P_ALL)) // in the order of the network
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, int(everything))
	if err != nil {
		return nil, fmt.Errorf("look at what leaves this machine: %w", err)
	}
	return &wire{fd: fd, loop: int32(loop.Index)}, nil
}

// packet is one that left.
type packet struct {
	To      netip.Addr
	Content []byte // from its IP header on, shortened
}

// head is its IP header and what tells the ports, for readers.
func (p packet) head() []byte { return p.Content[:min(len(p.Content), 28)] }

// left are the packets since the last call.
func (w *wire) left() ([]packet, error) {
	var all []packet
	buffer := make([]byte, 512)
	for {
		n, from, err := unix.Recvfrom(w.fd, buffer, unix.MSG_TRUNC)
		if errors.Is(err, unix.EAGAIN) {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("look at what leaves this machine: %w", err)
		}
		link, known := from.(*unix.SockaddrLinklayer)
		if !known || link.Pkttype != unix.PACKET_OUTGOING || int32(link.Ifindex) == w.loop {
			continue
		}
		content := buffer[:min(n, len(buffer))]
		if to, ok := destination(content); ok {
			all = append(all, packet{to, append([]byte(nil), content...)})
		}
	}
}

func (w *wire) Close() error {
	err := unix.Close(w.fd)
	if w.cable != nil {
		err = errors.Join(err, w.cable.Close())
	}
	return err
}

// destination reads it from a header of IPv4 (RFC 791) or IPv6 (RFC 8200).
func destination(packet []byte) (netip.Addr, bool) {
	switch {
	case len(packet) >= 20 && packet[0]>>4 == 4:
		return netip.AddrFrom4([4]byte(packet[16:20])), true
	case len(packet) >= 40 && packet[0]>>4 == 6:
		return netip.AddrFrom16([16]byte(packet[24:40])), true
	}
	return netip.Addr{}, false
}

// leaves tells whether what root itself sends to an address leaves this machine.
func (w *wire) leaves(to netip.Addr) (bool, error) {
	if _, err := w.left(); err != nil {
		return false, err
	}
	conn, err := net.Dial("udp", netip.AddrPortFrom(to, 9).String())
	if err != nil {
		return false, nil //nolint:nilerr // no route
	}
	_, _ = conn.Write([]byte("rocca-prove")) // seen, or not
	conn.Close()
	return w.sees(to)
}

// sees tells whether a packet to an address left, or does so in a moment: one
// that waits for the address of a neighbour.
func (w *wire) sees(to netip.Addr) (bool, error) {
	for range 10 {
		packets, err := w.left()
		if err != nil {
			return false, err
		}
		for _, p := range packets {
			if p.To == to {
				return true, nil
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
	return false, nil
}

// awaitWay waits until a new cable carries what root sends to an address.
func (w *wire) awaitWay(ctx context.Context, to netip.Addr) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for ctx.Err() == nil {
		if leaves, err := w.leaves(to); err != nil || leaves {
			return err
		}
	}
	return fmt.Errorf("make a way out to %s: what root sends there does not leave", to)
}

// wayOut makes sure that there is a way out to a network, so that a refusal tells
// of who refused. On a throw-away server it makes one, to a network that ends
// there and is gone when the wire is closed; on another it says that there is
// none.
func (w *wire) wayOut(ctx context.Context, t *Target, network netip.Prefix) error {
	first := network.Addr()
	if !network.IsSingleIP() {
		first = first.Next()
	}
	leaves, err := w.leaves(first)
	if err != nil || leaves {
		return err
	}
	if !t.Throwaway {
		return fmt.Errorf("not even what root sends to %s leaves this server", first)
	}
	if w.cable == nil {
		if w.cable, err = t.openOutside(ctx); err != nil {
			return err
		}
	}
	via := w.cable.There[0]
	if first.Is6() {
		via = w.cable.There[1]
	}
	for _, argv := range [][]string{
		{"ip", "route", "replace", network.String(), "via", via.String()},
		// At its other end somebody says that nobody is there.
		w.cable.inside("ip", "link", "set", "lo", "up"),
		w.cable.inside("ip", "route", "replace", "local", network.String(), "dev", "lo"),
	} {
		if _, err := run.Do(ctx, run.Command{Argv: argv}); err != nil {
			return fmt.Errorf("make a way out: %w", err)
		}
	}
	return w.awaitWay(ctx, first)
}
