package cloud

import (
	"cmp"
	"context"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"rocca/internal/aws/client"
	"rocca/internal/facts"
)

// balancer has beside the facts the name that DNS leads to.
type balancer struct {
	facts.Balancer
	dns string
}

// action is what a listener does, as Elastic Load Balancing tells it.
type action struct {
	Order    int
	Type     string
	Target   string                                       `xml:"TargetGroupArn"`
	Targets  []string                                     `xml:"ForwardConfig>TargetGroups>member>TargetGroupArn"`
	Redirect *struct{ Protocol, Port, StatusCode string } `xml:"RedirectConfig"`
	Fixed    *struct{ StatusCode string }                 `xml:"FixedResponseConfig"`
}

// fact is what the last of the actions does: those before it only ask who it is.
func fact(actions []action) facts.ListenAction {
	if len(actions) == 0 {
		return facts.ListenAction{}
	}
	a := slices.MaxFunc(actions, func(a, b action) int { return cmp.Compare(a.Order, b.Order) })
	one := facts.ListenAction{Kind: a.Type, Targets: a.Targets}
	if a.Target != "" && !slices.Contains(one.Targets, a.Target) {
		one.Targets = append(one.Targets, a.Target)
	}
	if a.Redirect != nil {
		one.To, one.Status = a.Redirect.Protocol+":"+a.Redirect.Port, a.Redirect.StatusCode
	}
	if a.Fixed != nil {
		one.Status = a.Fixed.StatusCode
	}
	return one
}

// askBalancers takes those of the whole region: the zone asks whether a name
// leads to one of them. Of those that are not ours, that is all that is asked.
func (o *observer) askBalancers(ctx context.Context) ([]balancer, error) {
	type described struct {
		ARN     string `xml:"LoadBalancerArn"`
		Name    string `xml:"LoadBalancerName"`
		DNS     string `xml:"DNSName"`
		Kind    string `xml:"Type"`
		Scheme  string
		VPC     string   `xml:"VpcId"`
		Subnets []string `xml:"AvailabilityZones>member>SubnetId"`
		Groups  []string `xml:"SecurityGroups>member"`
	}
	var all []balancer
	err := pages(func(mark string) (string, error) {
		var out struct {
			Next      string      `xml:"NextMarker"`
			Balancers []described `xml:"LoadBalancers>member"`
		}
		err := client.AskQuery(ctx, o.cloud, "elasticloadbalancing:DescribeLoadBalancers", client.Form{"PageSize": "400", "Marker": mark}, &out)
		for _, b := range out.Balancers {
			all = append(all, balancer{facts.Balancer{ARN: b.ARN, Name: b.Name, Kind: b.Kind, Scheme: b.Scheme, VPC: b.VPC, Subnets: b.Subnets, Groups: b.Groups}, b.DNS})
		}
		return out.Next, err
	})
	return sorted(all, func(b balancer) string { return b.ARN }), err
}

// balancerTags asks for those of many ARNs, of load balancers or target groups.
func (o *observer) balancerTags(ctx context.Context, arns []string) (map[string]facts.Tags, error) {
	all := map[string]facts.Tags{}
	for part := range slices.Chunk(arns, 20) { // no more are taken at once
		form := client.Form{}
		for i, arn := range part {
			form["ResourceArns.member."+strconv.Itoa(i+1)] = arn
		}
		var out struct {
			Described []struct {
				ARN  string  `xml:"ResourceArn"`
				Tags tagList `xml:"Tags>member"`
			} `xml:"TagDescriptions>member"`
		}
		if err := client.AskQuery(ctx, o.cloud, "elasticloadbalancing:DescribeTags", form, &out); err != nil {
			return nil, err
		}
		for _, d := range out.Described {
			all[d.ARN] = d.Tags.tags()
		}
	}
	return all, nil
}

// ownBalancers are those with our tag, or in our VPCs.
func (o *observer) ownBalancers(ctx context.Context) ([]facts.Balancer, error) {
	place, err := o.place(ctx)
	if err != nil {
		return nil, err
	}
	list, err := o.balancers.get(ctx)
	if err != nil {
		return nil, err
	}
	var arns []string
	for _, b := range list {
		arns = append(arns, b.ARN)
	}
	tags, err := o.balancerTags(ctx, arns)
	var own []facts.Balancer
	for _, b := range list {
		if b.Tags = tags[b.ARN]; place(b.VPC) || o.ours(b.Tags) {
			own = append(own, b.Balancer)
		}
	}
	return own, err
}

func (o *observer) seeBalancers(ctx context.Context) (found, error) {
	own, err := o.own.get(ctx)
	if err != nil || len(own) == 0 {
		return func(*facts.Cloud) {}, err
	}
	protocols, err := o.askSSLPolicies(ctx)
	if err != nil {
		return nil, err
	}
	own, err = each(slices.Clone(own), func(b *facts.Balancer) error {
		var out struct {
			Attributes tagList `xml:"Attributes>member"`
		}
		if err := client.AskQuery(ctx, o.cloud, "elasticloadbalancing:DescribeLoadBalancerAttributes", client.Form{"LoadBalancerArn": b.ARN}, &out); err != nil {
			return err
		}
		b.Attributes = out.Attributes.tags()
		var err error // each has its own
		b.Listeners, err = o.askListeners(ctx, b.ARN, protocols)
		return err
	})
	return func(c *facts.Cloud) { c.Balancers = own }, err
}

// askSSLPolicies gives the versions of TLS by name of the policy.
func (o *observer) askSSLPolicies(ctx context.Context) (map[string][]string, error) {
	protocols := map[string][]string{}
	err := pages(func(mark string) (string, error) {
		var out struct {
			Next     string `xml:"NextMarker"`
			Policies []struct {
				Name      string
				Protocols []string `xml:"SslProtocols>member"`
			} `xml:"SslPolicies>member"`
		}
		err := client.AskQuery(ctx, o.cloud, "elasticloadbalancing:DescribeSSLPolicies", client.Form{"PageSize": "400", "Marker": mark}, &out)
		for _, p := range out.Policies {
			protocols[p.Name] = p.Protocols
		}
		return out.Next, err
	})
	return protocols, err
}

func (o *observer) askListeners(ctx context.Context, balancer string, protocols map[string][]string) ([]facts.CloudListener, error) {
	var all []facts.CloudListener
	err := pages(func(mark string) (string, error) {
		var out struct {
			Next      string `xml:"NextMarker"`
			Listeners []struct {
				ARN          string `xml:"ListenerArn"`
				Port         int
				Protocol     string
				Policy       string   `xml:"SslPolicy"`
				Certificates []string `xml:"Certificates>member>CertificateArn"`
				Actions      []action `xml:"DefaultActions>member"`
			} `xml:"Listeners>member"`
		}
		err := client.AskQuery(ctx, o.cloud, "elasticloadbalancing:DescribeListeners", client.Form{"LoadBalancerArn": balancer, "PageSize": "400", "Marker": mark}, &out)
		for _, l := range out.Listeners {
			one := facts.CloudListener{ARN: l.ARN, Port: l.Port, Protocol: l.Protocol, Certificates: l.Certificates, Default: fact(l.Actions)}
			if l.Protocol == "HTTPS" || l.Protocol == "TLS" {
				one.Policy, one.Versions = l.Policy, protocols[l.Policy]
			}
			all = append(all, one)
		}
		return out.Next, err
	})
	if err != nil {
		return nil, err
	}
	all, err = each(all, func(l *facts.CloudListener) error {
		if len(l.Certificates) > 0 {
			if err := o.askMoreCertificates(ctx, l); err != nil {
				return err
			}
		}
		var err error
		l.Rules, err = o.askRules(ctx, l.ARN)
		return err
	})
	slices.SortStableFunc(all, func(a, b facts.CloudListener) int { return cmp.Compare(a.Port, b.Port) })
	return all, err
}

// askMoreCertificates adds those that a listener picks by the name that is
// asked for.
func (o *observer) askMoreCertificates(ctx context.Context, l *facts.CloudListener) error {
	return pages(func(mark string) (string, error) {
		var out struct {
			Next         string   `xml:"NextMarker"`
			Certificates []string `xml:"Certificates>member>CertificateArn"`
		}
		err := client.AskQuery(ctx, o.cloud, "elasticloadbalancing:DescribeListenerCertificates", client.Form{"ListenerArn": l.ARN, "PageSize": "400", "Marker": mark}, &out)
		for _, arn := range out.Certificates {
			if !slices.Contains(l.Certificates, arn) {
				l.Certificates = append(l.Certificates, arn)
			}
		}
		return out.Next, err
	})
}

func (o *observer) askRules(ctx context.Context, listener string) ([]facts.ListenerRule, error) {
	var all []facts.ListenerRule
	err := pages(func(mark string) (string, error) {
		var out struct {
			Next  string `xml:"NextMarker"`
			Rules []struct {
				ARN        string `xml:"RuleArn"`
				Priority   string
				Conditions []struct {
					Field  string
					Values []string `xml:"Values>member"`
					Hosts  []string `xml:"HostHeaderConfig>Values>member"`
					Paths  []string `xml:"PathPatternConfig>Values>member"`
				} `xml:"Conditions>member"`
				Actions []action `xml:"Actions>member"`
			} `xml:"Rules>member"`
		}
		err := client.AskQuery(ctx, o.cloud, "elasticloadbalancing:DescribeRules", client.Form{"ListenerArn": listener, "PageSize": "400", "Marker": mark}, &out)
		for _, r := range out.Rules {
			number, notNumber := strconv.Atoi(r.Priority)
			if notNumber != nil {
				continue // "default"
			}
			one := facts.ListenerRule{ARN: r.ARN, Priority: number, Action: fact(r.Actions)}
			for _, c := range r.Conditions {
				switch c.Field {
				case "host-header":
					one.Hosts = append(one.Hosts, either(c.Hosts, c.Values)...)
				case "path-pattern":
					one.Paths = append(one.Paths, either(c.Paths, c.Values)...)
				}
			}
			all = append(all, one)
		}
		return out.Next, err
	})
	slices.SortStableFunc(all, func(a, b facts.ListenerRule) int { return cmp.Compare(a.Priority, b.Priority) })
	return all, err
}

// either is the new form of a list, or the old one.
func either(list, old []string) []string {
	if len(list) > 0 {
		return list
	}
	return old
}

func (o *observer) seeTargetGroups(ctx context.Context) (found, error) {
	place, err := o.place(ctx)
	if err != nil {
		return nil, err
	}
	type group struct {
		ARN       string `xml:"TargetGroupArn"`
		Name      string `xml:"TargetGroupName"`
		Protocol  string
		Port      int
		Path      string   `xml:"HealthCheckPath"`
		VPC       string   `xml:"VpcId"`
		Balancers []string `xml:"LoadBalancerArns>member"`
	}
	var list []group
	err = pages(func(mark string) (string, error) {
		var out struct {
			Next   string  `xml:"NextMarker"`
			Groups []group `xml:"TargetGroups>member"`
		}
		err := client.AskQuery(ctx, o.cloud, "elasticloadbalancing:DescribeTargetGroups", client.Form{"PageSize": "400", "Marker": mark}, &out)
		list = append(list, out.Groups...)
		return out.Next, err
	})
	if err != nil {
		return nil, err
	}
	var arns []string
	for _, g := range list {
		arns = append(arns, g.ARN)
	}
	tags, err := o.balancerTags(ctx, arns)
	if err != nil {
		return nil, err
	}
	var all []facts.TargetGroup
	for _, g := range list {
		if place(g.VPC) || o.ours(tags[g.ARN]) {
			all = append(all, facts.TargetGroup{ARN: g.ARN, Name: g.Name, Protocol: g.Protocol, Port: g.Port, HealthPath: g.Path, Balancers: g.Balancers, Tags: tags[g.ARN]})
		}
	}
	all, err = each(all, func(g *facts.TargetGroup) error {
		var out struct {
			Targets []struct {
				ID    string `xml:"Target>Id"`
				State string `xml:"TargetHealth>State"`
			} `xml:"TargetHealthDescriptions>member"`
		}
		err := client.AskQuery(ctx, o.cloud, "elasticloadbalancing:DescribeTargetHealth", client.Form{"TargetGroupArn": g.ARN}, &out)
		for _, t := range out.Targets {
			if t.State == "healthy" {
				g.Healthy = append(g.Healthy, t.ID)
			} else {
				g.Unhealthy = append(g.Unhealthy, t.ID)
			}
		}
		return err
	})
	all = sorted(all, func(g facts.TargetGroup) string { return g.ARN })
	return func(c *facts.Cloud) { c.TargetGroups = all }, err
}

// seeCertificates keeps those that our load balancers use, or that are for our
// domain: a certificate says what uses it, and its tags are asked for no more.
func (o *observer) seeCertificates(ctx context.Context) (found, error) {
	own, err := o.own.get(ctx)
	if err != nil {
		return nil, err
	}
	balancers := ids(own, func(b facts.Balancer) string { return b.ARN })
	var all []facts.CloudCertificate
	kinds := []string{"RSA_1024", "RSA_2048", "RSA_3072", "RSA_4096", "EC_prime256v1", "EC_secp384r1", "EC_secp521r1"} // else those of 2048 bits alone
	err = pages(func(mark string) (string, error) {
		var out struct {
			NextToken              string
			CertificateSummaryList []struct{ CertificateARN string }
		}
		err := client.Ask(ctx, o.cloud, "acm:ListCertificates", marked(client.Fields{"MaxItems": 100, "Includes": client.Fields{"keyTypes": kinds}}, "NextToken", mark), &out)
		for _, c := range out.CertificateSummaryList {
			all = append(all, facts.CloudCertificate{ARN: c.CertificateARN})
		}
		return out.NextToken, err
	})
	if err != nil {
		return nil, err
	}
	all, err = each(all, func(c *facts.CloudCertificate) error {
		var out struct {
			Certificate struct {
				DomainName              string
				SubjectAlternativeNames []string
				Status                  string
				Type                    string
				RenewalEligibility      string
				NotAfter                moment
				InUseBy                 []string
			}
		}
		err := client.Ask(ctx, o.cloud, "acm:DescribeCertificate", client.Fields{"CertificateArn": c.ARN}, &out)
		d := out.Certificate
		*c = facts.CloudCertificate{ARN: c.ARN, Domain: d.DomainName, Names: d.SubjectAlternativeNames, Status: d.Status, Kind: d.Type, Renewal: d.RenewalEligibility, Expires: d.NotAfter.Time, InUse: d.InUseBy}
		return err
	})
	if !o.all() {
		all = slices.DeleteFunc(all, func(c facts.CloudCertificate) bool {
			used := slices.ContainsFunc(c.InUse, func(arn string) bool { return balancers[arn] })
			return !used && (o.Wanted.Domain == "" || c.Domain != o.Wanted.Domain && !slices.Contains(c.Names, o.Wanted.Domain))
		})
	}
	all = sorted(all, func(c facts.CloudCertificate) string { return c.ARN })
	return func(c *facts.Cloud) { c.CloudCerts = all }, err
}

// seeFirewalls comes after seeBalancers in the list of looks: it fills in which
// firewall stands before each.
func (o *observer) seeFirewalls(ctx context.Context) (found, error) {
	own, err := o.own.get(ctx)
	if err != nil {
		return nil, err
	}
	before := map[string]string{} // ARN of the web ACL by that of the load balancer
	for _, b := range own {
		if b.Kind != "application" {
			continue
		}
		var out struct{ WebACL struct{ ARN string } }
		if err := client.Ask(ctx, o.cloud, "wafv2:GetWebACLForResource", client.Fields{"ResourceArn": b.ARN}, &out); err != nil && !gone(err) {
			return nil, err
		}
		before[b.ARN] = out.WebACL.ARN
	}
	type listed struct {
		Name, ID, ARN string
		fact          facts.WebFirewall
	}
	var list []listed
	err = pages(func(mark string) (string, error) {
		var out struct {
			NextMarker string
			WebACLs    []listed
		}
		err := client.Ask(ctx, o.cloud, "wafv2:ListWebACLs", marked(client.Fields{"Scope": "REGIONAL", "Limit": 100}, "NextMarker", mark), &out)
		list = append(list, out.WebACLs...)
		if len(out.WebACLs) == 0 {
			out.NextMarker = ""
		}
		return out.NextMarker, err
	})
	if err != nil {
		return nil, err
	}
	used := map[string]bool{}
	for _, arn := range before {
		used[arn] = true
	}
	list, err = each(list, func(l *listed) error {
		var tags struct{ TagInfoForResource struct{ TagList tagList } }
		if err := client.Ask(ctx, o.cloud, "wafv2:ListTagsForResource", client.Fields{"ResourceARN": l.ARN}, &tags); err != nil {
			return err
		}
		l.fact = facts.WebFirewall{ARN: l.ARN, Name: l.Name, Tags: tags.TagInfoForResource.TagList.tags()}
		if !used[l.ARN] && !o.ours(l.fact.Tags) {
			l.fact = facts.WebFirewall{}
			return nil
		}
		var rules struct{ WebACL webACL }
		if err := client.Ask(ctx, o.cloud, "wafv2:GetWebACL", client.Fields{"Name": l.Name, "Id": l.ID, "Scope": "REGIONAL"}, &rules); err != nil {
			return err
		}
		rules.WebACL.into(&l.fact)
		var logging struct{ LoggingConfiguration logging }
		err := client.Ask(ctx, o.cloud, "wafv2:GetLoggingConfiguration", client.Fields{"ResourceArn": l.ARN}, &logging)
		if err != nil && !gone(err) {
			return err
		}
		logging.LoggingConfiguration.into(&l.fact)
		return nil
	})
	var all []facts.WebFirewall
	for _, l := range list {
		if l.fact.ARN != "" {
			all = append(all, l.fact)
		}
	}
	all = sorted(all, func(f facts.WebFirewall) string { return f.ARN })
	return func(c *facts.Cloud) {
		c.Firewalls = all
		for i, b := range c.Balancers {
			c.Balancers[i].Firewall = before[b.ARN]
		}
	}, err
}

// seeFromOutside is rocca aws verify.
func (o *observer) seeFromOutside(ctx context.Context) (found, error) {
	if o.Seen == nil {
		return nil, errors.New("the public name was not looked at")
	}
	seen, err := o.Seen(ctx)
	return func(c *facts.Cloud) { c.Seen = seen }, err
}

// seeZone reads the records that concern the domain.
func (o *observer) seeZone(ctx context.Context) (found, error) {
	domain := plain(o.Wanted.Domain)
	if domain == "" {
		return nil, errors.New("which domain it is for is not known: there is no rocca-aws.yaml")
	}
	zone := facts.Zone{ID: o.Wanted.Zone}
	var err error
	if zone.ID == "" {
		if zone, err = o.findZone(ctx, domain); err != nil || zone.ID == "" {
			return func(*facts.Cloud) {}, err // its DNS is kept elsewhere
		}
	} else {
		var out struct {
			Name string `xml:"HostedZone>Name"`
		}
		if err := client.AskXML(ctx, o.cloud, "route53:GetHostedZone", client.Place{Path: "/2013-04-01/hostedzone/" + url.PathEscape(zone.ID)}, &out); err != nil {
			return nil, err
		}
		zone.Name = plain(out.Name)
	}
	there, err := o.reachable(ctx)
	if err != nil {
		return nil, err
	}
	type record struct {
		Name   string
		Type   string
		Alias  string   `xml:"AliasTarget>DNSName"`
		Values []string `xml:"ResourceRecords>ResourceRecord>Value"`
	}
	from := url.Values{"maxitems": {"300"}}
	err = pages(func(string) (string, error) {
		var out struct {
			Records  []record `xml:"ResourceRecordSets>ResourceRecordSet"`
			More     bool     `xml:"IsTruncated"`
			NextName string   `xml:"NextRecordName"`
			NextType string   `xml:"NextRecordType"`
			NextID   string   `xml:"NextRecordIdentifier"`
		}
		err := client.AskXML(ctx, o.cloud, "route53:ListResourceRecordSets", client.Place{Path: "/2013-04-01/hostedzone/" + url.PathEscape(zone.ID) + "/rrset?" + from.Encode()}, &out)
		for _, r := range out.Records {
			name := plain(r.Name)
			below := name == domain || strings.HasSuffix(name, "."+domain)
			above := name == domain || strings.HasSuffix(domain, "."+name)
			if !(below && slices.Contains([]string{"A", "AAAA", "CNAME"}, r.Type)) && !(above && r.Type == "CAA") {
				continue
			}
			one := facts.ZoneRecord{Name: name, Type: r.Type, Values: r.Values, Alias: plain(r.Alias)}
			one.Exists = there[strings.TrimPrefix(one.Alias, "dualstack.")]
			for _, v := range r.Values {
				one.Exists = one.Exists || there[plain(v)]
			}
			zone.Records = append(zone.Records, one)
		}
		if !out.More {
			return "", err
		}
		from = url.Values{"maxitems": {"300"}, "name": {out.NextName}, "type": {out.NextType}}
		if out.NextID != "" {
			from.Set("identifier", out.NextID)
		}
		return from.Encode(), err
	})
	return func(c *facts.Cloud) { c.Zone = zone }, err
}

// plain is a name of DNS without the root's dot, in lower case, as Route 53
// writes an asterisk.
func plain(name string) string {
	return strings.ReplaceAll(strings.ToLower(strings.TrimSuffix(name, ".")), `\052`, "*")
}

// findZone looks for the longest public zone that holds a domain.
func (o *observer) findZone(ctx context.Context, domain string) (facts.Zone, error) {
	var zone facts.Zone
	err := pages(func(mark string) (string, error) {
		var out struct {
			Zones []struct {
				ID      string `xml:"Id"`
				Name    string
				Private bool `xml:"Config>PrivateZone"`
			} `xml:"HostedZones>HostedZone"`
			Next string `xml:"NextMarker"`
		}
		err := client.AskXML(ctx, o.cloud, "route53:ListHostedZones", client.Place{Path: "/2013-04-01/hostedzone?" + query("marker", mark, "maxitems", "100")}, &out)
		for _, z := range out.Zones {
			name := plain(z.Name)
			if !z.Private && (name == domain || strings.HasSuffix(domain, "."+name)) && len(name) > len(zone.Name) {
				zone = facts.Zone{ID: last(z.ID, "/"), Name: name}
			}
		}
		return out.Next, err
	})
	return zone, err
}

// reachable is the set of names and addresses that are this account's in this
// region.
func (o *observer) reachable(ctx context.Context) (map[string]bool, error) {
	balancers, err := o.balancers.get(ctx)
	if err != nil {
		return nil, err
	}
	addresses, err := o.addresses.get(ctx)
	if err != nil {
		return nil, err
	}
	instances, err := o.instances.get(ctx)
	if err != nil {
		return nil, err
	}
	there := ids(balancers, func(b balancer) string { return plain(b.dns) })
	for _, a := range addresses {
		there[a.IP] = true
	}
	for _, i := range instances {
		there[i.PublicIP] = true
	}
	delete(there, "")
	return there, nil
}
