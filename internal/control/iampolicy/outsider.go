package iampolicy

import (
	"fmt"
	"slices"
	"strings"
)

// Access is what a policy of a resource, or the trust of a role, gives to
// somebody outside the account.
type Access struct {
	Who        string // "anybody", "account 210987654321 (arn:...)", ...
	Actions    Choice
	Conditions []Condition // none of them keeps outsiders out
}

// String is the access in words.
func (a Access) String() string {
	actions := strings.Join(a.Actions.Patterns, ", ")
	if a.Actions.But {
		actions = "everything but " + actions
	}
	text := a.Who + " may " + actions
	if len(a.Conditions) > 0 {
		text += " where " + named(a.Conditions)
	}
	return text
}

func named(conditions []Condition) string {
	var all []string
	for _, c := range conditions {
		all = append(all, c.String())
	}
	return strings.Join(all, " and ")
}

// Outsiders lists whom outside the account a policy of a resource lets in.
// Services of AWS are none: they act for whoever set them up. "*" is harmless
// where a condition keeps it to the account, its organization or networks.
func (p Policy) Outsiders(account string) []Access {
	var all []Access
	for _, s := range p.Statements {
		if !s.Allow || s.keepsWithin(account) {
			continue
		}
		if slices.ContainsFunc(p.Statements, func(d Statement) bool { return d.keepsOut(s, account) }) {
			continue
		}
		for _, who := range s.outsiders(account) {
			who.Actions, who.Conditions = s.Actions, s.Conditions
			all = append(all, who)
		}
	}
	return all
}

// outsiders are the principals of a statement that are not of the account.
func (s Statement) outsiders(account string) []Access {
	if s.Principals.But {
		return []Access{{Who: "anybody but those it names"}}
	}
	var all []Access
	for _, p := range s.Principals.List {
		of := accountOf(p.ID)
		switch {
		case p.Everybody():
			all = append(all, Access{Who: "anybody"})
		case p.Kind == "Federated":
			if !s.choosesLogins(p.ID) {
				all = append(all, Access{Who: "anybody with a login at " + p.ID})
			}
		case p.Kind == "Service", of == account:
		case p.Kind == "AWS" && isAccount(of):
			all = append(all, Access{Who: foreign(of, p.ID)})
		case p.Kind == "AWS" && !strings.HasPrefix(p.ID, "arn:"): // id of a user or role that is deleted
		default:
			all = append(all, Access{Who: fmt.Sprintf("%s %s", p.Kind, p.ID)})
		}
	}
	return all
}

// choosesLogins tells whether a statement names the logins of an identity
// provider that it is about. Those of SAML are the organization's own.
func (s Statement) choosesLogins(provider string) bool {
	return strings.Contains(provider, ":saml-provider/") || slices.ContainsFunc(s.Conditions, func(c Condition) bool {
		return strings.HasSuffix(strings.ToLower(c.Key), ":sub") && slices.Contains(positive, strings.TrimPrefix(c.Operator, "ForAnyValue:")) &&
			!slices.ContainsFunc(c.Values, func(v string) bool { return strings.Trim(v, "*") == "" })
	})
}

func foreign(account, id string) string {
	if id == account || strings.HasSuffix(id, ":root") {
		return "account " + account
	}
	return "account " + account + " (" + id + ")"
}

// Keys of conditions that tell where a caller, or what it acts for, belongs.
var (
	accountKeys = []string{"aws:sourceaccount", "aws:sourceowner", "aws:principalaccount", "kms:calleraccount"}
	arnKeys     = []string{"aws:sourcearn", "aws:principalarn"}
	idKeys      = map[string]string{ // with how their values begin
		"aws:principalorgid": "o-", "aws:sourceorgid": "o-", "aws:principalorgpaths": "o-", "aws:sourcevpce": "vpce-", "aws:sourcevpc": "vpc-"}
)

// keepsWithin tells whether a condition of a statement keeps outsiders out.
func (s Statement) keepsWithin(account string) bool {
	return slices.ContainsFunc(s.Conditions, func(c Condition) bool {
		if !slices.Contains(positive, strings.TrimPrefix(c.Operator, "ForAnyValue:")) || len(c.Values) == 0 {
			return false
		}
		return !slices.ContainsFunc(c.Values, func(value string) bool { return !c.within(account, value) })
	})
}

// within tells whether a value that a condition demands belongs to the account,
// its organization or networks.
func (c Condition) within(account, value string) bool {
	key := strings.ToLower(c.Key)
	switch begins, is := idKeys[key]; {
	case slices.Contains(accountKeys, key):
		return value == account
	case slices.Contains(arnKeys, key):
		return isAccount(account) && accountOf(value) == account
	case is:
		id, _, _ := strings.Cut(value, "/") // a path has more
		return strings.HasPrefix(id, begins) && !strings.ContainsAny(id, "*?$")
	}
	return false
}

// keepsOut tells whether a denial keeps all outsiders from what a statement
// allows: it has no condition, or only one on who is of the account.
func (s Statement) keepsOut(allows Statement, account string) bool {
	everybody := !s.Principals.But && slices.ContainsFunc(s.Principals.List, Principal.Everybody)
	if s.Allow || !everybody || !s.Actions.folded().coversAll(allows.Actions.folded()) || !s.Resources.coversAll(allows.Resources) {
		return false
	}
	switch len(s.Conditions) {
	case 0:
		return true
	case 1:
		c := s.Conditions[0]
		key := strings.ToLower(c.Key)
		return slices.Contains([]string{"StringNotEquals", "StringNotEqualsIfExists", "StringNotLike"}, c.Operator) &&
			(key == "aws:principalaccount" || key == "kms:calleraccount" || key == "aws:principalorgid") &&
			!slices.ContainsFunc(c.Values, func(value string) bool { return !c.within(account, value) })
	}
	return false
}
