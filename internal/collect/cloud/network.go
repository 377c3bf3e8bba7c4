package cloud

import (
	"cmp"
	"context"
	"net/netip"
	"slices"

	"rocca/internal/aws/client"
	"rocca/internal/facts"
)

// permission is a set of rules of a security group, as EC2 tells it.
type permission struct {
	Protocol string `xml:"ipProtocol"`
	From     *int   `xml:"fromPort"`
	To       *int   `xml:"toPort"`
	Groups   []struct {
		ID      string `xml:"groupId"`
		Account string `xml:"userId"`
		Peering string `xml:"peeringStatus"`
		Text    string `xml:"description"`
	} `xml:"groups>item"`
	Networks []struct {
		CIDR string `xml:"cidrIp"`
		Text string `xml:"description"`
	} `xml:"ipRanges>item"`
	Networks6 []struct {
		CIDR string `xml:"cidrIpv6"`
		Text string `xml:"description"`
	} `xml:"ipv6Ranges>item"`
	Lists []struct {
		ID   string `xml:"prefixListId"`
		Text string `xml:"description"`
	} `xml:"prefixListIds>item"`
}

// everyPort are those of a rule that has none of its own.
const everyPort = 65535

// rules makes one of each peer.
func (p permission) rules(account string, there func(group string) bool) []facts.GroupRule {
	one := facts.GroupRule{Protocol: p.Protocol}
	switch {
	case p.Protocol == "-1" || p.From == nil || p.To == nil:
		one.To = everyPort
	default:
		one.From, one.To = *p.From, *p.To
	}
	var all []facts.GroupRule
	add := func(text string, peer func(*facts.GroupRule)) {
		r := one
		r.Description = text
		peer(&r)
		all = append(all, r)
	}
	for _, n := range p.Networks {
		add(n.Text, func(r *facts.GroupRule) { r.CIDR = network(n.CIDR) })
	}
	for _, n := range p.Networks6 {
		add(n.Text, func(r *facts.GroupRule) { r.CIDR = network(n.CIDR) })
	}
	for _, l := range p.Lists {
		add(l.Text, func(r *facts.GroupRule) { r.PrefixList = l.ID })
	}
	for _, g := range p.Groups {
		own := g.Account == "" || g.Account == account
		add(g.Text, func(r *facts.GroupRule) {
			r.Group, r.GroupGone = g.ID, g.Peering == "deleted" || own && g.Peering == "" && !there(g.ID)
		})
	}
	return all
}

// network reads what AWS writes of one; zero when it is none.
func network(text string) netip.Prefix {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

func (o *observer) askGroups(ctx context.Context) ([]facts.SecurityGroup, error) {
	type group struct {
		ID      string       `xml:"groupId"`
		Name    string       `xml:"groupName"`
		VPC     string       `xml:"vpcId"`
		Tags    ec2Tags      `xml:"tagSet>item"`
		Ingress []permission `xml:"ipPermissions>item"`
		Egress  []permission `xml:"ipPermissionsEgress>item"`
	}
	var all []group
	err := pages(func(mark string) (string, error) {
		var out struct {
			Next   string  `xml:"nextToken"`
			Groups []group `xml:"securityGroupInfo>item"`
		}
		err := client.AskQuery(ctx, o.cloud, "ec2:DescribeSecurityGroups", client.Form{"MaxResults": "1000", "NextToken": mark}, &out)
		all = append(all, out.Groups...)
		return out.Next, err
	})
	if err != nil {
		return nil, err
	}
	place, err := o.place(ctx)
	if err != nil {
		return nil, err
	}
	known := ids(all, func(g group) string { return g.ID })
	there := func(id string) bool { return known[id] }
	var own []facts.SecurityGroup
	for _, g := range all {
		if tags := g.Tags.tags(); o.ours(tags) || place(g.VPC) {
			one := facts.SecurityGroup{ID: g.ID, Name: g.Name, VPC: g.VPC, Tags: tags}
			for _, p := range g.Ingress {
				one.Ingress = append(one.Ingress, p.rules(o.account, there)...)
			}
			for _, p := range g.Egress {
				one.Egress = append(one.Egress, p.rules(o.account, there)...)
			}
			own = append(own, one)
		}
	}
	return sorted(own, func(g facts.SecurityGroup) string { return g.ID }), nil
}

func (o *observer) seeGroups(ctx context.Context) (found, error) {
	groups, err := o.askGroups(ctx)
	if err != nil {
		return nil, err
	}
	lists, err := o.prefixLists(ctx, groups)
	return func(c *facts.Cloud) { c.Groups, c.PrefixLists = groups, lists }, err
}

// prefixLists are those that rules name.
func (o *observer) prefixLists(ctx context.Context, groups []facts.SecurityGroup) ([]facts.PrefixList, error) {
	var lists []facts.PrefixList
	for _, g := range groups {
		for _, r := range slices.Concat(g.Ingress, g.Egress) {
			if r.PrefixList != "" && !slices.ContainsFunc(lists, func(l facts.PrefixList) bool { return l.ID == r.PrefixList }) {
				lists = append(lists, facts.PrefixList{ID: r.PrefixList})
			}
		}
	}
	lists, err := each(lists, func(l *facts.PrefixList) error {
		var names struct {
			Lists []struct {
				Name string `xml:"prefixListName"`
			} `xml:"prefixListSet>item"`
		}
		if err := client.AskQuery(ctx, o.cloud, "ec2:DescribeManagedPrefixLists", client.Form{"PrefixListId.1": l.ID}, &names); err != nil {
			return err
		}
		for _, n := range names.Lists {
			l.Name = n.Name
		}
		return pages(func(mark string) (string, error) {
			var out struct {
				Next    string `xml:"nextToken"`
				Entries []struct {
					CIDR string `xml:"cidr"`
				} `xml:"entrySet>item"`
			}
			err := client.AskQuery(ctx, o.cloud, "ec2:GetManagedPrefixListEntries", client.Form{"PrefixListId": l.ID, "MaxResults": "100", "NextToken": mark}, &out)
			for _, e := range out.Entries {
				l.Networks = append(l.Networks, network(e.CIDR))
			}
			return out.Next, err
		})
	})
	return sorted(lists, func(l facts.PrefixList) string { return l.ID }), err
}

func (o *observer) seeInterfaces(ctx context.Context) (found, error) {
	place, err := o.place(ctx)
	if err != nil {
		return nil, err
	}
	var all []facts.NetworkInterface
	err = pages(func(mark string) (string, error) {
		var out struct {
			Next       string `xml:"nextToken"`
			Interfaces []struct {
				ID        string `xml:"networkInterfaceId"`
				VPC       string `xml:"vpcId"`
				Subnet    string `xml:"subnetId"`
				Instance  string `xml:"attachment>instanceId"`
				Kind      string `xml:"interfaceType"`
				Requester string `xml:"requesterId"`
				Text      string `xml:"description"`
				Groups    []struct {
					ID string `xml:"groupId"`
				} `xml:"groupSet>item"`
				Public    string `xml:"association>publicIp"`
				Addresses []struct {
					IP string `xml:"ipv6Address"`
				} `xml:"ipv6AddressesSet>item"`
				Tags ec2Tags `xml:"tagSet>item"`
			} `xml:"networkInterfaceSet>item"`
		}
		err := client.AskQuery(ctx, o.cloud, "ec2:DescribeNetworkInterfaces", client.Form{"MaxResults": "1000", "NextToken": mark}, &out)
		for _, i := range out.Interfaces {
			if !place(i.VPC) && !o.ours(i.Tags.tags()) {
				continue
			}
			one := facts.NetworkInterface{ID: i.ID, VPC: i.VPC, Subnet: i.Subnet, Instance: i.Instance, Kind: i.Kind, Owner: i.Requester, PublicIP: i.Public}
			if one.Owner == "" && one.Instance == "" { // of a service, which describes itself: "ELB app/matomo/..."
				one.Owner = i.Text
			}
			for _, g := range i.Groups {
				one.Groups = append(one.Groups, g.ID)
			}
			for _, a := range i.Addresses {
				one.IPv6 = append(one.IPv6, a.IP)
			}
			all = append(all, one)
		}
		return out.Next, err
	})
	all = sorted(all, func(i facts.NetworkInterface) string { return i.ID })
	return func(c *facts.Cloud) { c.Interfaces = all }, err
}

func (o *observer) askNetworks(ctx context.Context) ([]facts.CloudNetwork, error) {
	var all []facts.CloudNetwork
	err := pages(func(mark string) (string, error) {
		var out struct {
			Next string `xml:"nextToken"`
			VPCs []struct {
				ID    string `xml:"vpcId"`
				CIDR  string `xml:"cidrBlock"`
				CIDRs []struct {
					CIDR string `xml:"cidrBlock"`
				} `xml:"cidrBlockAssociationSet>item"`
				CIDRs6 []struct {
					CIDR string `xml:"ipv6CidrBlock"`
				} `xml:"ipv6CidrBlockAssociationSet>item"`
				Default bool    `xml:"isDefault"`
				Tags    ec2Tags `xml:"tagSet>item"`
			} `xml:"vpcSet>item"`
		}
		err := client.AskQuery(ctx, o.cloud, "ec2:DescribeVpcs", client.Form{"MaxResults": "1000", "NextToken": mark}, &out)
		for _, v := range out.VPCs {
			tags := v.Tags.tags()
			if !o.ours(tags) {
				continue
			}
			one := facts.CloudNetwork{ID: v.ID, IsDefault: v.Default, Tags: tags}
			texts := []string{v.CIDR}
			for _, more := range v.CIDRs {
				texts = append(texts, more.CIDR)
			}
			for _, more := range v.CIDRs6 {
				texts = append(texts, more.CIDR)
			}
			for _, text := range texts {
				if n := network(text); n.IsValid() && !slices.Contains(one.CIDRs, n) {
					one.CIDRs = append(one.CIDRs, n)
				}
			}
			all = append(all, one)
		}
		return out.Next, err
	})
	return sorted(all, func(n facts.CloudNetwork) string { return n.ID }), err
}

func (o *observer) seeNetworks(ctx context.Context) (found, error) {
	networks, err := o.networks.get(ctx)
	return func(c *facts.Cloud) { c.Networks = networks }, err
}

func (o *observer) seeSubnets(ctx context.Context) (found, error) {
	place, err := o.place(ctx)
	if err != nil {
		return nil, err
	}
	var all []facts.Subnet
	err = pages(func(mark string) (string, error) {
		var out struct {
			Next    string `xml:"nextToken"`
			Subnets []struct {
				ID       string  `xml:"subnetId"`
				VPC      string  `xml:"vpcId"`
				Zone     string  `xml:"availabilityZone"`
				CIDR     string  `xml:"cidrBlock"`
				PublicIP bool    `xml:"mapPublicIpOnLaunch"`
				Tags     ec2Tags `xml:"tagSet>item"`
			} `xml:"subnetSet>item"`
		}
		err := client.AskQuery(ctx, o.cloud, "ec2:DescribeSubnets", client.Form{"MaxResults": "1000", "NextToken": mark}, &out)
		for _, s := range out.Subnets {
			if tags := s.Tags.tags(); place(s.VPC) || o.ours(tags) {
				all = append(all, facts.Subnet{ID: s.ID, VPC: s.VPC, Zone: s.Zone, CIDR: network(s.CIDR), PublicIP: s.PublicIP, Tags: tags})
			}
		}
		return out.Next, err
	})
	all = sorted(all, func(s facts.Subnet) string { return s.ID })
	return func(c *facts.Cloud) { c.Subnets = all }, err
}

// route is one way out, as EC2 tells it: which field is set says what it is.
type route struct {
	CIDR     string `xml:"destinationCidrBlock"`
	CIDR6    string `xml:"destinationIpv6CidrBlock"`
	List     string `xml:"destinationPrefixListId"`
	Gateway  string `xml:"gatewayId"` // igw-, vgw-, vpce-, "local"
	NAT      string `xml:"natGatewayId"`
	Egress   string `xml:"egressOnlyInternetGatewayId"`
	Peering  string `xml:"vpcPeeringConnectionId"`
	Transit  string `xml:"transitGatewayId"`
	Local    string `xml:"localGatewayId"`
	Carrier  string `xml:"carrierGatewayId"`
	Core     string `xml:"coreNetworkArn"`
	Instance string `xml:"instanceId"`
	Card     string `xml:"networkInterfaceId"`
	State    string `xml:"state"`
}

func (o *observer) seeRouteTables(ctx context.Context) (found, error) {
	place, err := o.place(ctx)
	if err != nil {
		return nil, err
	}
	var all []facts.RouteTable
	err = pages(func(mark string) (string, error) {
		var out struct {
			Next   string `xml:"nextToken"`
			Tables []struct {
				ID     string  `xml:"routeTableId"`
				VPC    string  `xml:"vpcId"`
				Routes []route `xml:"routeSet>item"`
				Used   []struct {
					Main   bool   `xml:"main"`
					Subnet string `xml:"subnetId"`
				} `xml:"associationSet>item"`
				Tags ec2Tags `xml:"tagSet>item"`
			} `xml:"routeTableSet>item"`
		}
		err := client.AskQuery(ctx, o.cloud, "ec2:DescribeRouteTables", client.Form{"MaxResults": "100", "NextToken": mark}, &out)
		for _, t := range out.Tables {
			tags := t.Tags.tags()
			if !place(t.VPC) && !o.ours(tags) {
				continue
			}
			one := facts.RouteTable{ID: t.ID, VPC: t.VPC, Tags: tags}
			for _, u := range t.Used {
				one.Main = one.Main || u.Main
				if u.Subnet != "" {
					one.Subnets = append(one.Subnets, u.Subnet)
				}
			}
			for _, r := range t.Routes {
				if r.Gateway != "local" {
					one.Routes = append(one.Routes, facts.Route{
						Destination: cmp.Or(r.CIDR, r.CIDR6, r.List), State: r.State,
						Via: cmp.Or(r.Gateway, r.NAT, r.Egress, r.Peering, r.Transit, r.Local, r.Carrier, r.Core, r.Instance, r.Card),
					})
				}
			}
			all = append(all, one)
		}
		return out.Next, err
	})
	all = sorted(all, func(t facts.RouteTable) string { return t.ID })
	return func(c *facts.Cloud) { c.RouteTables = all }, err
}

func (o *observer) seeFilters(ctx context.Context) (found, error) {
	place, err := o.place(ctx)
	if err != nil {
		return nil, err
	}
	var all []facts.NetworkACL
	err = pages(func(mark string) (string, error) {
		var out struct {
			Next    string `xml:"nextToken"`
			Filters []struct {
				ID      string `xml:"networkAclId"`
				VPC     string `xml:"vpcId"`
				Default bool   `xml:"default"`
				Entries []struct {
					Number   int    `xml:"ruleNumber"`
					Protocol string `xml:"protocol"`
					Action   string `xml:"ruleAction"`
					Egress   bool   `xml:"egress"`
					CIDR     string `xml:"cidrBlock"`
					CIDR6    string `xml:"ipv6CidrBlock"`
					Ports    *struct {
						From int `xml:"from"`
						To   int `xml:"to"`
					} `xml:"portRange"`
				} `xml:"entrySet>item"`
				Used []struct {
					Subnet string `xml:"subnetId"`
				} `xml:"associationSet>item"`
				Tags ec2Tags `xml:"tagSet>item"`
			} `xml:"networkAclSet>item"`
		}
		err := client.AskQuery(ctx, o.cloud, "ec2:DescribeNetworkAcls", client.Form{"MaxResults": "1000", "NextToken": mark}, &out)
		for _, f := range out.Filters {
			tags := f.Tags.tags()
			if !place(f.VPC) && !o.ours(tags) {
				continue
			}
			one := facts.NetworkACL{ID: f.ID, VPC: f.VPC, Default: f.Default, Tags: tags}
			for _, u := range f.Used {
				one.Subnets = append(one.Subnets, u.Subnet)
			}
			for _, e := range f.Entries {
				rule := facts.ACLRule{Number: e.Number, Egress: e.Egress, Allow: e.Action == "allow", Protocol: e.Protocol, To: everyPort, CIDR: network(cmp.Or(e.CIDR, e.CIDR6))}
				if e.Ports != nil {
					rule.From, rule.To = e.Ports.From, e.Ports.To
				}
				one.Entries = append(one.Entries, rule)
			}
			all = append(all, one)
		}
		return out.Next, err
	})
	all = sorted(all, func(f facts.NetworkACL) string { return f.ID })
	return func(c *facts.Cloud) { c.Filters = all }, err
}

// seeFlowLogs keeps those of our VPCs; those of subnets and interfaces belong
// to something that the log names by its id alone, and are kept by their tags.
func (o *observer) seeFlowLogs(ctx context.Context) (found, error) {
	place, err := o.place(ctx)
	if err != nil {
		return nil, err
	}
	var all []facts.FlowLog
	err = pages(func(mark string) (string, error) {
		var out struct {
			Next string `xml:"nextToken"`
			Logs []struct {
				ID          string  `xml:"flowLogId"`
				Resource    string  `xml:"resourceId"`
				Traffic     string  `xml:"trafficType"`
				Status      string  `xml:"flowLogStatus"`
				Delivery    string  `xml:"deliverLogsStatus"`
				Destination string  `xml:"logDestinationType"`
				Group       string  `xml:"logGroupName"`
				Interval    int     `xml:"maxAggregationInterval"`
				Tags        ec2Tags `xml:"tagSet>item"`
			} `xml:"flowLogSet>item"`
		}
		err := client.AskQuery(ctx, o.cloud, "ec2:DescribeFlowLogs", client.Form{"MaxResults": "1000", "NextToken": mark}, &out)
		for _, l := range out.Logs {
			if place(l.Resource) || o.ours(l.Tags.tags()) {
				all = append(all, facts.FlowLog{ID: l.ID, Resource: l.Resource, Traffic: l.Traffic, Status: l.Status, Delivery: l.Delivery, Destination: l.Destination, Group: l.Group, Interval: l.Interval})
			}
		}
		return out.Next, err
	})
	all = sorted(all, func(l facts.FlowLog) string { return l.ID })
	return func(c *facts.Cloud) { c.FlowLogs = all }, err
}

func (o *observer) seeEndpoints(ctx context.Context) (found, error) {
	place, err := o.place(ctx)
	if err != nil {
		return nil, err
	}
	var all []facts.Endpoint
	err = pages(func(mark string) (string, error) {
		var out struct {
			Next      string `xml:"nextToken"`
			Endpoints []struct {
				ID      string `xml:"vpcEndpointId"`
				VPC     string `xml:"vpcId"`
				Service string `xml:"serviceName"`
				Kind    string `xml:"vpcEndpointType"`
				State   string `xml:"state"`
				Policy  string `xml:"policyDocument"`
				Groups  []struct {
					ID string `xml:"groupId"`
				} `xml:"groupSet>item"`
			} `xml:"vpcEndpointSet>item"`
		}
		err := client.AskQuery(ctx, o.cloud, "ec2:DescribeVpcEndpoints", client.Form{"MaxResults": "1000", "NextToken": mark}, &out)
		for _, e := range out.Endpoints {
			if !place(e.VPC) {
				continue
			}
			one := facts.Endpoint{ID: e.ID, VPC: e.VPC, Service: e.Service, Kind: e.Kind, State: e.State, Policy: e.Policy}
			for _, g := range e.Groups {
				one.Groups = append(one.Groups, g.ID)
			}
			all = append(all, one)
		}
		return out.Next, err
	})
	all = sorted(all, func(e facts.Endpoint) string { return e.ID })
	return func(c *facts.Cloud) { c.Endpoints = all }, err
}

func (o *observer) seeNATs(ctx context.Context) (found, error) {
	place, err := o.place(ctx)
	if err != nil {
		return nil, err
	}
	var all []facts.NAT
	err = pages(func(mark string) (string, error) {
		var out struct {
			Next string `xml:"nextToken"`
			NATs []struct {
				ID     string  `xml:"natGatewayId"`
				VPC    string  `xml:"vpcId"`
				Subnet string  `xml:"subnetId"`
				State  string  `xml:"state"`
				Tags   ec2Tags `xml:"tagSet>item"`
			} `xml:"natGatewaySet>item"`
		}
		err := client.AskQuery(ctx, o.cloud, "ec2:DescribeNatGateways", client.Form{"MaxResults": "1000", "NextToken": mark}, &out)
		for _, n := range out.NATs {
			if tags := n.Tags.tags(); n.State != "deleted" && (place(n.VPC) || o.ours(tags)) {
				all = append(all, facts.NAT{ID: n.ID, VPC: n.VPC, Subnet: n.Subnet, State: n.State, Tags: tags})
			}
		}
		return out.Next, err
	})
	all = sorted(all, func(n facts.NAT) string { return n.ID })
	return func(c *facts.Cloud) { c.NATs = all }, err
}

// address is an Elastic IP, as EC2 tells it.
type address struct {
	ID        string  `xml:"allocationId"`
	IP        string  `xml:"publicIp"`
	Instance  string  `xml:"instanceId"`
	Interface string  `xml:"networkInterfaceId"`
	Tags      ec2Tags `xml:"tagSet>item"`
}

func (o *observer) askAddresses(ctx context.Context) ([]address, error) {
	var out struct {
		Addresses []address `xml:"addressesSet>item"`
	}
	err := client.AskQuery(ctx, o.cloud, "ec2:DescribeAddresses", client.Form{}, &out)
	return out.Addresses, err
}

func (o *observer) seeAddresses(ctx context.Context) (found, error) {
	list, err := o.addresses.get(ctx)
	if err != nil {
		return nil, err
	}
	instances := map[string]bool{}
	if !o.all() { // an address need not have tags when it is our server's
		own, err := o.instances.get(ctx)
		if err != nil {
			return nil, err
		}
		instances = ids(own, func(i facts.Instance) string { return i.ID })
	}
	var all []facts.Address
	for _, a := range list {
		if tags := a.Tags.tags(); o.ours(tags) || instances[a.Instance] {
			all = append(all, facts.Address{ID: a.ID, IP: a.IP, Instance: a.Instance, Interface: a.Interface, Tags: tags})
		}
	}
	all = sorted(all, func(a facts.Address) string { return a.ID })
	return func(c *facts.Cloud) { c.Addresses = all }, nil
}
