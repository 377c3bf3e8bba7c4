package watch

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"rocca/internal/aws/client"
	"rocca/internal/model"
)

// refusedPattern is that of refused connections in the default format of flow
// logs (version 2).
const refusedPattern = `[version, account, interface, source, destination, sport, dport, protocol, packets, bytes, start, end, action="REJECT", status]`

// refused reads the flow logs. Everything on the internet is scanned all day: so
// what comes from outside is one finding for each address and hour, and what
// was refused on the way out or inside stands by itself, for nothing of ours
// should try it.
func refused(ctx context.Context, c client.Config, t Target, since time.Time) ([]Finding, error) {
	if t.FlowLogs == "" {
		return nil, nil
	}
	sums := map[string]*rejection{}
	ask := client.Fields{"logGroupName": t.FlowLogs, "filterPattern": refusedPattern, "startTime": since.UnixMilli()}
	for range mostPages {
		var answer struct {
			Events    []struct{ Message string }
			NextToken string
		}
		if err := client.Ask(ctx, c, "logs:FilterLogEvents", ask, &answer); err != nil {
			return told(sums, t.Network), err
		}
		for _, e := range answer.Events {
			if r, is := parseFlow(e.Message); is {
				r.add(sums, t.Network)
			}
		}
		if answer.NextToken == "" {
			return told(sums, t.Network), nil
		}
		ask["nextToken"] = answer.NextToken
	}
	return told(sums, t.Network), fmt.Errorf("there are more refused connections than %d pages\nhint: a shorter --since", mostPages)
}

// rejection is what was refused between two ends.
type rejection struct {
	from, to netip.Addr
	card     string // network interface of ours
	ports    []int
	packets  int
	at       time.Time // first
}

// parseFlow reads a record of a flow log, version 2.
func parseFlow(line string) (rejection, bool) {
	fields := strings.Fields(line)
	if len(fields) != 14 || fields[12] != "REJECT" {
		return rejection{}, false
	}
	from, err1 := netip.ParseAddr(fields[3])
	to, err2 := netip.ParseAddr(fields[4])
	port, err3 := strconv.Atoi(fields[6])
	packets, err4 := strconv.Atoi(fields[8])
	start, err5 := strconv.ParseInt(fields[10], 10, 64)
	if cmp.Or(err1, err2, err3, err4, err5) != nil {
		return rejection{}, false
	}
	return rejection{from: from, to: to, card: fields[2], ports: []int{port}, packets: packets, at: time.Unix(start, 0).UTC()}, true
}

// mostPorts that a finding names.
const mostPorts = 8

func (r rejection) add(sums map[string]*rejection, network netip.Prefix) {
	key := "outside " + r.from.String() + r.at.Format("2006-01-02T15")
	if network.Contains(r.from) {
		key = "inside " + r.from.String() + r.to.String() + strconv.Itoa(r.ports[0]) + r.at.Format("2006-01-02T15")
	}
	sum, there := sums[key]
	if !there {
		sums[key] = &r
		return
	}
	sum.packets += r.packets
	if r.at.Before(sum.at) {
		sum.at = r.at
	}
	if !slices.Contains(sum.ports, r.ports[0]) && len(sum.ports) <= mostPorts {
		sum.ports = append(sum.ports, r.ports[0])
	}
}

func told(sums map[string]*rejection, network netip.Prefix) []Finding {
	var all []Finding
	for key, r := range sums {
		slices.Sort(r.ports)
		var ports []string
		for _, port := range r.ports[:min(len(r.ports), mostPorts)] {
			ports = append(ports, strconv.Itoa(port))
		}
		if len(r.ports) > mostPorts {
			ports = append(ports, "and more")
		}
		f := Finding{At: r.at, Kind: Rejected, Severity: model.Low, From: r.from.String(), Resource: r.card, ID: "flow " + key,
			What: fmt.Sprintf("%d packets to port %s were refused", r.packets, strings.Join(ports, ", "))}
		if network.Contains(r.from) {
			f.Severity = model.Medium
			f.What = fmt.Sprintf("%d packets from inside to %s, port %s, were refused", r.packets, r.to, strings.Join(ports, ", "))
		}
		all = append(all, f)
	}
	return all
}
