package respond

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"rocca/internal/aws/client"
	"rocca/internal/incident"
)

// The firewall keeps one set of addresses for each version of IP, and one rule
// for each set. The rules are those of any case: addresses come along.
const regional = "REGIONAL"

// ipSet is a set of addresses of the firewall.
type ipSet struct {
	Version   string // IPV4, IPV6
	Name      string
	ID        string // empty: it is not there
	ARN       string
	Addresses []string
}

// sets groups the attackers by the version of their address.
func (r *Response) sets() []ipSet {
	var all []ipSet
	for _, version := range []string{"IPV4", "IPV6"} {
		s := ipSet{Version: version, Name: r.prepared.Deployment + "-attackers-" + strings.ToLower(version)}
		for _, a := range r.options.Attackers {
			if a.Addr().Is4() == (version == "IPV4") {
				s.Addresses = append(s.Addresses, a.String())
			}
		}
		if len(s.Addresses) > 0 {
			all = append(all, s)
		}
	}
	return all
}

func (r *Response) planFirewall(context.Context) ([]string, error) {
	if r.prepared.Firewall == "" {
		return nil, errNoFirewall
	}
	var all []string
	for _, s := range r.sets() {
		all = append(all, "wafv2:UpdateIPSet "+shown(client.Fields{"Name": s.Name, "Scope": regional, "Addresses": s.Addresses}))
	}
	return append(all, "wafv2:UpdateWebACL "+shown(client.Fields{"Name": aclName(r.prepared.Firewall), "Scope": regional})+", when it does not block these sets yet"), nil
}

var errNoFirewall = errors.New("block the attackers: the deployment has no web application firewall (profile single)\nhint: the server's own front can: front.deny in rocca.yaml")

// aclName and aclID are in the ARN: .../regional/webacl/NAME/ID.
func aclName(arn string) string { return lastPart(strings.TrimSuffix(arn, "/"+lastPart(arn))) }
func aclID(arn string) string   { return lastPart(arn) }

// block has the firewall refuse what the attackers send.
func (r *Response) block(ctx context.Context, c *incident.Case) error {
	if r.prepared.Firewall == "" {
		return errNoFirewall
	}
	var problems []error
	var ready []ipSet
	for _, s := range r.sets() {
		err := r.fill(ctx, c, &s)
		if problems = append(problems, err); err == nil {
			ready = append(ready, s)
		}
	}
	return errors.Join(append(problems, r.blockSets(ctx, c, ready))...)
}

const stopBlocking = "rocca aws deploy (the firewall is again as the stack says)"

// fill puts addresses into a set, and makes it when it is not there.
func (r *Response) fill(ctx context.Context, c *incident.Case, s *ipSet) error {
	found, err := r.findSet(ctx, s.Name)
	if err != nil {
		return err
	}
	if found.ID == "" {
		fields := client.Fields{"Name": s.Name, "Scope": regional, "IPAddressVersion": s.Version, "Addresses": s.Addresses, "Description": "rocca: attackers",
			"Tags": []client.Fields{{"Key": "rocca:deployment", "Value": r.prepared.Deployment}}}
		var made struct{ Summary struct{ ID, ARN string } }
		if err := client.Ask(ctx, r.cloud, "wafv2:CreateIPSet", fields, &made); err != nil {
			return fmt.Errorf("make the set %s: %w", s.Name, client.Explain(err))
		}
		s.ID, s.ARN = made.Summary.ID, made.Summary.ARN
		return c.Changed("wafv2:CreateIPSet "+shown(fields), stopBlocking)
	}
	var now struct {
		IPSet     struct{ Addresses []string }
		LockToken string
	}
	if err := client.Ask(ctx, r.cloud, "wafv2:GetIPSet", client.Fields{"Name": s.Name, "Scope": regional, "Id": found.ID}, &now); err != nil {
		return fmt.Errorf("read the set %s: %w", s.Name, client.Explain(err))
	}
	s.ID, s.ARN = found.ID, found.ARN
	all := slices.Concat(now.IPSet.Addresses, s.Addresses)
	slices.Sort(all)
	if all = slices.Compact(all); len(all) == len(now.IPSet.Addresses) {
		return nil
	}
	fields := client.Fields{"Name": s.Name, "Scope": regional, "Id": s.ID, "Addresses": all, "Description": "rocca: attackers", "LockToken": now.LockToken}
	if err := client.Ask(ctx, r.cloud, "wafv2:UpdateIPSet", fields, nil); err != nil {
		return fmt.Errorf("put addresses into the set %s: %w", s.Name, client.Explain(err))
	}
	return c.Changed("wafv2:UpdateIPSet "+shown(fields), stopBlocking)
}

func (r *Response) findSet(ctx context.Context, name string) (ipSet, error) {
	fields := client.Fields{"Scope": regional, "Limit": 100}
	for {
		var said struct {
			IPSets []struct {
				Name, ARN string
				ID        string `json:"Id"`
			}
			NextMarker string
		}
		if err := client.Ask(ctx, r.cloud, "wafv2:ListIPSets", fields, &said); err != nil {
			return ipSet{}, fmt.Errorf("look for the set %s: %w", name, client.Explain(err))
		}
		for _, s := range said.IPSets {
			if s.Name == name {
				return ipSet{Name: name, ID: s.ID, ARN: s.ARN}, nil
			}
		}
		if said.NextMarker == "" {
			return ipSet{}, nil
		}
		fields["NextMarker"] = said.NextMarker
	}
}

// webACL is the firewall, whose rules are handed back as they came.
type webACL struct {
	DefaultAction        json.RawMessage
	Description          string
	Rules                []json.RawMessage
	VisibilityConfig     json.RawMessage
	CustomResponseBodies json.RawMessage `json:",omitempty"`
	CaptchaConfig        json.RawMessage `json:",omitempty"`
	ChallengeConfig      json.RawMessage `json:",omitempty"`
	TokenDomains         []string        `json:",omitempty"`
	AssociationConfig    json.RawMessage `json:",omitempty"`
}

func (r *Response) readFirewall(ctx context.Context) (acl webACL, lock string, err error) {
	var said struct {
		WebACL    webACL
		LockToken string
	}
	err = client.Ask(ctx, r.cloud, "wafv2:GetWebACL", client.Fields{"Name": aclName(r.prepared.Firewall), "Scope": regional, "Id": aclID(r.prepared.Firewall)}, &said)
	if err != nil {
		err = fmt.Errorf("read the firewall %s: %w", aclName(r.prepared.Firewall), client.Explain(err))
	}
	return said.WebACL, said.LockToken, err
}

// blockSets gives the firewall a rule for each set that it does not block yet.
func (r *Response) blockSets(ctx context.Context, c *incident.Case, sets []ipSet) error {
	if len(sets) == 0 {
		return nil
	}
	acl, lock, err := r.readFirewall(ctx)
	if err != nil {
		return err
	}
	taken, names := map[int]bool{}, map[string]bool{}
	for _, text := range acl.Rules {
		var rule struct {
			Name     string
			Priority int
		}
		if err := json.Unmarshal(text, &rule); err != nil {
			return fmt.Errorf("read the rules of the firewall: %w", err)
		}
		taken[rule.Priority], names[rule.Name] = true, true
	}
	added := 0
	for _, s := range sets {
		name := "Attackers" + s.Version
		if names[name] {
			continue
		}
		priority := 0
		for taken[priority] {
			priority++
		}
		taken[priority] = true
		rule, err := json.Marshal(client.Fields{
			"Name": name, "Priority": priority, "Action": client.Fields{"Block": client.Fields{}},
			"Statement":        client.Fields{"IPSetReferenceStatement": client.Fields{"ARN": s.ARN}},
			"VisibilityConfig": client.Fields{"SampledRequestsEnabled": true, "CloudWatchMetricsEnabled": true, "MetricName": name},
		})
		if err != nil {
			return err
		}
		acl.Rules, added = append(acl.Rules, rule), added+1
	}
	if added == 0 {
		return nil
	}
	fields := client.Fields{"Name": aclName(r.prepared.Firewall), "Scope": regional, "Id": aclID(r.prepared.Firewall), "LockToken": lock,
		"DefaultAction": acl.DefaultAction, "Description": acl.Description, "Rules": acl.Rules, "VisibilityConfig": acl.VisibilityConfig}
	for name, value := range map[string]json.RawMessage{"CustomResponseBodies": acl.CustomResponseBodies, "CaptchaConfig": acl.CaptchaConfig, "ChallengeConfig": acl.ChallengeConfig, "AssociationConfig": acl.AssociationConfig} {
		if len(value) > 0 && string(value) != "null" {
			fields[name] = value
		}
	}
	if len(acl.TokenDomains) > 0 {
		fields["TokenDomains"] = acl.TokenDomains
	}
	if err := client.Ask(ctx, r.cloud, "wafv2:UpdateWebACL", fields, nil); err != nil {
		return fmt.Errorf("have the firewall block the attackers: %w", client.Explain(err))
	}
	return c.Changed(fmt.Sprintf("wafv2:UpdateWebACL %s: %d rules that block attackers", aclName(r.prepared.Firewall), added), stopBlocking)
}

// Attacker reads an address, or a network, that shall be blocked. Whole
// continents are refused.
func Attacker(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return p, fmt.Errorf("block %q: it is no address, and no network such as 203.0.113.0/24", text)
	}
	if least := map[bool]int{true: 16, false: 32}[p.Addr().Is4()]; p.Bits() < least {
		return p, fmt.Errorf("block %s: that is more than an attacker has\nhint: at most a /%d", p, least)
	}
	return p.Masked(), nil
}
