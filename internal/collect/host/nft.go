package host

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"rocca/internal/facts"
)

// nftObject is one entry of what nft lists (libnftables-json(5)).
type nftObject struct {
	Chain *nftChain `json:"chain"`
	Rule  *nftRule  `json:"rule"`
	Set   *nftSet   `json:"set"`
	Map   *nftSet   `json:"map"`
}

type nftChain struct {
	Family, Table, Name, Type, Hook, Policy string
}

type nftRule struct {
	Family, Table, Chain string
	Handle               int
	Expr                 []map[string]json.RawMessage
}

type nftSet struct {
	Family, Table, Name string
	Elem                json.RawMessage
}

// nftReader holds what rules refer to.
type nftReader struct {
	names names
	texts map[string]string          // of rules, by table, chain and handle
	sets  map[string]json.RawMessage // elements, by table and name
}

func nftKey(parts ...string) string { return strings.Join(parts, " ") }

// parseNft reads a ruleset: as JSON for what it means, and as text with handles
// for how it is shown. Only chains that filter are told.
func parseNft(ruleset []byte, listing string, n names) ([]facts.Chain, error) {
	var listed struct{ Nftables []nftObject }
	if err := json.Unmarshal(ruleset, &listed); err != nil {
		return nil, fmt.Errorf("read what nft lists: %w", err)
	}
	r := nftReader{names: n, texts: nftTexts(listing), sets: map[string]json.RawMessage{}}
	for _, o := range listed.Nftables {
		for _, set := range []*nftSet{o.Set, o.Map} {
			if set != nil {
				r.sets[nftKey(set.Family, set.Table, set.Name)] = set.Elem
			}
		}
	}
	steps := map[string][]step{} // by table and chain
	for _, o := range listed.Nftables {
		if o.Rule != nil {
			key := nftKey(o.Rule.Family, o.Rule.Table, o.Rule.Chain)
			steps[key] = append(steps[key], r.rule(*o.Rule)...)
		}
	}
	var chains []facts.Chain
	for _, o := range listed.Nftables {
		c := o.Chain
		if c == nil || c.Hook == "" || c.Type != "filter" {
			continue
		}
		policy := c.Policy
		if policy == "" {
			policy = "accept"
		}
		chains = append(chains, facts.Chain{Family: c.Family, Table: c.Table, Name: c.Name, Hook: c.Hook, Policy: policy,
			Rules: unroll(steps, nftKey(c.Family, c.Table, c.Name))})
	}
	return chains, nil
}

var (
	nftTable  = regexp.MustCompile(`^table (\w+) (\S+) \{`)
	nftInside = regexp.MustCompile(`^\s*chain (\S+) \{`)
	nftHandle = regexp.MustCompile(`^\s*(.*) # handle (\d+)$`)
)

// nftTexts reads `nft --handle list ruleset`: the text of each rule.
func nftTexts(listing string) map[string]string {
	found := map[string]string{}
	var table, chain string
	for line := range strings.Lines(listing) {
		line = strings.TrimRight(line, "\n")
		if match := nftTable.FindStringSubmatch(line); match != nil {
			table, chain = nftKey(match[1], match[2]), ""
		} else if match := nftInside.FindStringSubmatch(line); match != nil {
			chain = match[1]
		} else if match := nftHandle.FindStringSubmatch(line); match != nil && chain != "" {
			found[nftKey(table, chain, match[2])] = match[1]
		}
	}
	return found
}

// rule reads the expressions of a rule: mostly one step, with a verdict map one
// for each of its entries.
func (r nftReader) rule(raw nftRule) []step {
	s := step{rule: facts.Rule{Text: r.texts[nftKey(raw.Family, raw.Table, raw.Chain, strconv.Itoa(raw.Handle))]}}
	if s.rule.Text == "" {
		text, err := json.Marshal(raw.Expr)
		if err == nil {
			s.rule.Text = string(text)
		}
	}
	table := nftKey(raw.Family, raw.Table)
	for _, expr := range raw.Expr {
		for kind, value := range expr {
			switch kind {
			case "accept", "drop", "reject", "return":
				s.rule.Verdict = kind
			case "queue": // decided by a program: not known
				s.rule.Partial = true
			case "jump", "goto":
				s.follow(table, kind, value)
			case "match":
				r.match(&s.rule, table, value)
			case "vmap":
				return r.verdicts(s, table, value)
			case "counter", "log", "comment", "mangle", "notrack", "meta", "ct":
			default: // a limit, or what is not known here
				s.rule.Partial = true
			}
		}
	}
	return []step{s}
}

// follow notes the chain that a jump or goto leads to.
func (s *step) follow(table, kind string, raw json.RawMessage) {
	var to struct{ Target string }
	if json.Unmarshal(raw, &to) == nil {
		s.jump, s.last = nftKey(table, to.Target), kind == "goto"
	}
}

// match adds a condition to a rule.
func (r nftReader) match(rule *facts.Rule, table string, raw json.RawMessage) {
	var m struct {
		Op    string
		Left  json.RawMessage
		Right json.RawMessage
	}
	if json.Unmarshal(raw, &m) != nil {
		rule.Partial = true
		return
	}
	values := r.values(table, m.Right, 0)
	if m.Op != "==" && m.Op != "in" || len(values) == 0 || !r.condition(rule, m.Left, values) {
		rule.Partial = true
	}
}

// condition sets the field that the left side of a match is about.
func (r nftReader) condition(rule *facts.Rule, left json.RawMessage, values []string) bool {
	var of struct {
		Meta    *struct{ Key string }
		Ct      *struct{ Key string }
		Payload *struct{ Protocol, Field string }
	}
	if json.Unmarshal(left, &of) != nil {
		return false
	}
	single := func(into *string) bool {
		if len(values) != 1 {
			return false
		}
		*into = values[0]
		return true
	}
	switch {
	case of.Meta != nil:
		switch of.Meta.Key {
		case "iifname", "iif":
			return single(&rule.In)
		case "oifname", "oif":
			return single(&rule.Out)
		case "l4proto":
			return single(&rule.Protocol)
		case "nfproto":
			return false // one of both families
		case "skuid":
			for _, value := range values {
				rule.Users = append(rule.Users, nameOf(r.names.byUID, value))
			}
			return true
		}
	case of.Ct != nil && of.Ct.Key == "state":
		rule.States = values
		return true
	case of.Payload != nil:
		switch p := of.Payload; p.Field {
		case "dport":
			if p.Protocol != "th" {
				rule.Protocol = p.Protocol
			}
			rule.Ports = values
			return true
		case "saddr":
			rule.Sources = values
			return p.Protocol != "ether"
		case "daddr":
			rule.Targets = values
			return p.Protocol != "ether"
		case "protocol", "nexthdr":
			return single(&rule.Protocol)
		default:
			if p.Protocol == "icmp" || p.Protocol == "icmpv6" {
				rule.Protocol = p.Protocol
			}
		}
	}
	return false
}

// values reads the right side of a match: one value, a list, a set with ranges
// and networks, or the name of a set.
func (r nftReader) values(table string, raw json.RawMessage, depth int) []string {
	if depth > jumpDepth {
		return nil
	}
	var number json.Number
	if json.Unmarshal(raw, &number) == nil && number != "" {
		return []string{number.String()}
	}
	var word string
	if json.Unmarshal(raw, &word) == nil {
		if name, named := strings.CutPrefix(word, "@"); named {
			return r.values(table, r.sets[nftKey(table, name)], depth+1)
		}
		return []string{word}
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) == nil {
		var all []string
		for _, item := range list {
			all = append(all, r.values(table, item, depth+1)...)
		}
		return all
	}
	var object struct {
		Set    json.RawMessage
		Range  []json.RawMessage
		Prefix *struct {
			Addr string
			Len  int
		}
		Elem *struct{ Val json.RawMessage }
	}
	if json.Unmarshal(raw, &object) != nil {
		return nil
	}
	switch {
	case object.Set != nil:
		return r.values(table, object.Set, depth+1)
	case object.Prefix != nil:
		return []string{object.Prefix.Addr + "/" + strconv.Itoa(object.Prefix.Len)}
	case object.Elem != nil:
		return r.values(table, object.Elem.Val, depth+1)
	case len(object.Range) == 2:
		from, to := r.values(table, object.Range[0], depth+1), r.values(table, object.Range[1], depth+1)
		if len(from) == 1 && len(to) == 1 {
			return []string{from[0] + "-" + to[0]}
		}
	}
	return nil
}

// verdicts reads "ct state vmap { established : accept, ... }".
func (r nftReader) verdicts(before step, table string, raw json.RawMessage) []step {
	var m struct {
		Key  json.RawMessage
		Data json.RawMessage
	}
	unknown := before
	unknown.rule.Partial = true
	if json.Unmarshal(raw, &m) != nil {
		return []step{unknown}
	}
	var name string
	if json.Unmarshal(m.Data, &name) == nil {
		m.Data = r.sets[nftKey(table, strings.TrimPrefix(name, "@"))]
	}
	var data struct{ Set [][]json.RawMessage }
	if json.Unmarshal(m.Data, &data) != nil && json.Unmarshal(m.Data, &data.Set) != nil {
		return []step{unknown}
	}
	var all []step
	for _, pair := range data.Set {
		if len(pair) != 2 {
			continue
		}
		s := before
		values := r.values(table, pair[0], 0)
		if len(values) == 0 || !r.condition(&s.rule, m.Key, values) {
			s.rule.Partial = true
		}
		var verdict map[string]json.RawMessage
		if json.Unmarshal(pair[1], &verdict) != nil {
			continue
		}
		for kind, value := range verdict {
			switch kind {
			case "jump", "goto":
				s.follow(table, kind, value)
			default:
				s.rule.Verdict = kind
			}
		}
		all = append(all, s)
	}
	return all
}
