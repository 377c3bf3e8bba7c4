package control

import (
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var aws008 = Control{
	ID:       "AWS-08",
	Title:    "no route leads out of the subnets of databases",
	Why:      "Where a route leads out, one wrong rule of a security group is enough for data to leave. Without one it cannot, whatever the groups say and whoever changes them.",
	Severity: model.High,
	Needs:    []facts.Section{facts.CloudSubnets, facts.CloudRouteTables},
	Eval:     inspected(dataRoutes),
	Fix:      remedied("a route table of their own for the subnets of databases, with no route but the local one: RDS needs none. rocca aws deploy makes it on a deployment of rocca's", dataRoutes),
	Maps:     []model.Ref{s1("6"), s1("9"), s1("44"), fsbp("RDS.46"), row("2")},
	Since:    "0.6",
}

func dataRoutes(v *View) inspection {
	data, table := dataSubnets(v), tables(v)
	found := inspection{unread: blind(v, facts.CloudDatabases)}
	if len(data) == 0 {
		found.absent = "there is no subnet of a database: the database is on the server"
	}
	known := map[string]bool{}
	for _, s := range v.Cloud.Subnets {
		if !data[s.ID] {
			continue
		}
		known[s.ID] = true
		t, seen := table(s)
		if !seen {
			found.unread = append(found.unread, "could not see the route table of "+s.ID)
			continue
		}
		closed := true
		for _, r := range t.Routes {
			if !leadsOut(r) {
				continue
			}
			closed = false
			e := model.Evidence{Subject: "subnet " + labelled(s.ID, s.Tags), Have: r.Destination + " by " + r.Via + " (" + t.ID + ")", Want: "no way out"}
			found.faults = append(found.faults, fault{e, withoutRoute(v, s, t, r, data)})
		}
		if closed {
			found.seen = append(found.seen, model.Evidence{Subject: "subnet " + labelled(s.ID, s.Tags), Have: "no way out (" + t.ID + ")"})
		}
	}
	for _, id := range sortedKeys(data) {
		if !known[id] {
			found.unread = append(found.unread, "could not see the subnet "+id)
		}
	}
	return found
}

// withoutRoute takes a route out of a table that only databases use. One that
// others use too has to stay as it is: the subnet needs another table.
func withoutRoute(v *View, s facts.Subnet, t facts.RouteTable, r facts.Route, data map[string]bool) Change {
	shared := t.Main
	for _, id := range t.Subnets {
		shared = shared || !data[id]
	}
	if shared {
		// The table that this makes has no route but the local one.
		return Change{
			Sentence: "give " + s.ID + " a route table of its own, without a way out",
			Command: "table=$(" + v.commandLine("ec2", "create-route-table", "--vpc-id", s.VPC, "--query", "RouteTable.RouteTableId", "--output", "text") +
				`) && ` + v.commandLine("ec2", "associate-route-table", "--subnet-id", s.ID) + ` --route-table-id "$table"`,
		}
	}
	return Change{Sentence: "take the route " + r.Destination + " out of " + t.ID, Command: v.commandLine(append([]string{"ec2", "delete-route", "--route-table-id", t.ID}, destination(r)...)...)}
}

// destination names a route as the AWS CLI does.
func destination(r facts.Route) []string {
	switch {
	case strings.HasPrefix(r.Destination, "pl-"):
		return []string{"--destination-prefix-list-id", r.Destination}
	case strings.Contains(r.Destination, ":"):
		return []string{"--destination-ipv6-cidr-block", r.Destination}
	}
	return []string{"--destination-cidr-block", r.Destination}
}
