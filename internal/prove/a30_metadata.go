package prove

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
)

var a30 = Attack{
	ID:    "A30",
	Title: "a pool asks the cloud's metadata service for credentials",
	How: "Each pool of Matomo asks the metadata service (169.254.169.254, fd00:ec2::254), by version 1 and by version 2, which wants a token first; the users of the pools do so outside of their units, too. " +
		"Behind the packet filter it is seen whether the request leaves the machine. No credentials are asked for: a token, or the list of what there is, shows as much. Root asks first: it must be let out.",
	Risk:    "none: one request for a token that nobody uses",
	Without: []Protection{outboundFilter},
	Applies: func(t *Target) string {
		if !inAWS(sysfs) && !(t.Throwaway && leadsToMetadata()) {
			return "this server is not in AWS"
		}
		return ""
	},
	Attempt: attemptMetadata,
}

var (
	metadata  = netip.MustParseAddr("169.254.169.254")
	metadata6 = netip.MustParseAddr("fd00:ec2::254")
)

const sysfs = "/sys"

// inAWS tells whether this is an instance of EC2 (its "Identify EC2 Linux
// instances" describes both signs: Nitro, Xen).
func inAWS(sys string) bool {
	vendor, _ := os.ReadFile(sys + "/class/dmi/id/sys_vendor") // not there: not in AWS
	id, _ := os.ReadFile(sys + "/hypervisor/uuid")
	return strings.HasPrefix(string(vendor), "Amazon EC2") || strings.HasPrefix(strings.ToLower(string(id)), "ec2")
}

// leadsToMetadata tells whether somebody gave a throw-away server a network that
// the metadata service would be in.
func leadsToMetadata() bool {
	own, err := net.InterfaceAddrs()
	return err == nil && slices.ContainsFunc(own, func(a net.Addr) bool {
		network, ok := a.(*net.IPNet)
		return ok && network.Contains(metadata.AsSlice())
	})
}

// askMetadata is PHP that asks the service at $to: for a token (version 2), else
// for the list of what there is (version 1).
const askMetadata = `foreach (['PUT /latest/api/token' => "X-aws-ec2-metadata-token-ttl-seconds: 60\r\n", 'GET /latest/meta-data/' => ''] as $line => $header) {
	$s = stream_socket_client("tcp://$to:80", $n, $e, 1);
	if (!$s) { error_clear_last(); trigger_error($e, E_USER_NOTICE); return ''; }
	stream_set_timeout($s, 1);
	fwrite($s, "$line HTTP/1.1\r\nHost: $to\r\n{$header}Connection: close\r\n\r\n");
	$answer = (string) stream_get_contents($s);
	if (strpos($answer, ' 200 ')) { return "$line: status 200, " . strlen($answer) . ' bytes'; }
}
return $answer === '' ? 'connected' : 'status ' . (int) substr($answer, 9, 3);`

func attemptMetadata(ctx context.Context, t *Target, r *Record) (err error) {
	w, err := openWire()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	services := []netip.Addr{metadata}
	if err := w.wayOut(ctx, t, netip.PrefixFrom(metadata, 32)); err != nil {
		return err
	}
	if leaves, err := w.leaves(metadata6); err != nil {
		return err
	} else if leaves {
		services = append(services, metadata6)
	}
	for _, service := range services {
		to := service.String()
		if service.Is6() {
			to = "[" + to + "]"
		}
		ask := deed{What: "ask for credentials", Where: "http://" + to + "/latest/", PHP: "$to = '" + to + "'; " + askMetadata}
		for _, pool := range t.MatomoPools() {
			all, packets, err := t.inPoolWatched(ctx, w, pool, []deed{ask})
			if err != nil {
				return err
			}
			came := all[0]
			if at := slices.IndexFunc(packets, func(p packet) bool { return p.To == service }); at >= 0 && came.Got == "" {
				came.Got = fmt.Sprintf("a packet to the service left, % x", packets[at].head())
			}
			r.Try(t.tried(pool, ask, came))
		}
		for _, name := range t.poolUsers() {
			if err := t.sendAs(r, w, name, netip.AddrPortFrom(service, 80)); err != nil {
				return err
			}
		}
	}
	return nil
}
