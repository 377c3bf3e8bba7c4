// Package iampolicy reads policies of AWS IAM, of identities and of resources,
// and tells what they allow and to whom. It asks nobody: what a policy makes
// depend on something that is not known is taken for the worse, and named.
package iampolicy

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Policy is one document.
type Policy struct {
	Name       string // for people; whoever parses it gives it
	Statements []Statement
}

// Statement allows or denies. Everything it says must hold for it to count.
type Statement struct {
	Sid        string
	Allow      bool // else it denies
	Principals Principals
	Actions    Choice // patterns such as "s3:Get*", in any case
	Resources  Choice // patterns of ARNs; where the policy names none: "*"
	Conditions []Condition
}

// Choice is a list of patterns, in which "*" stands for anything and "?" for
// one character, or everything but them.
type Choice struct {
	Patterns []string
	But      bool
}

// Principals are those a policy of a resource speaks of. A policy of an
// identity has none: it speaks of whoever it is attached to.
type Principals struct {
	List []Principal
	But  bool // everybody but them
}

// Principal is somebody who calls.
type Principal struct {
	Kind string // "AWS", "Service", "Federated", "CanonicalUser"
	ID   string // ARN, account or "*" of AWS, name of a service, ...
}

// Everybody tells whether it is anyone on the Internet.
func (p Principal) Everybody() bool { return p.Kind == "AWS" && p.ID == "*" }

// mostBytes of a document. AWS takes 32 KB at most, for a key.
const mostBytes = 256 << 10

// Parse reads a document as AWS tells it: JSON, which IAM may have encoded for
// URLs. What it does not know is an error, so that nothing that limits or
// widens a policy is overlooked.
func Parse(name, text string) (Policy, error) {
	policy, err := parse(text)
	if err != nil {
		return Policy{}, fmt.Errorf("read the policy %s: %w", name, err)
	}
	policy.Name = name
	return policy, nil
}

func parse(text string) (Policy, error) {
	if len(text) > mostBytes {
		return Policy{}, fmt.Errorf("it has %d bytes, AWS takes no such", len(text))
	}
	if strings.HasPrefix(text, "%7B") || strings.HasPrefix(text, "%7b") {
		decoded, err := url.PathUnescape(text)
		if err != nil {
			return Policy{}, err
		}
		text = decoded
	}
	tree, err := decode(text)
	if err != nil {
		return Policy{}, err
	}
	document, is := tree.(object)
	if !is {
		return Policy{}, errors.New("it is no object")
	}
	var policy Policy
	for _, m := range document {
		switch m.name {
		case "Version", "Id":
		case "Statement":
			written := []any{m.value}
			if list, is := m.value.([]any); is {
				written = list
			}
			for i, one := range written {
				s, err := readStatement(one)
				if err != nil {
					return Policy{}, fmt.Errorf("statement %d: %w", i+1, err)
				}
				policy.Statements = append(policy.Statements, s)
			}
		default:
			return Policy{}, unknownElement(m.name)
		}
	}
	return policy, nil
}

func unknownElement(name string) error { return fmt.Errorf("the element %q is not known", name) }

// readStatement reads one statement.
func readStatement(tree any) (Statement, error) {
	var read Statement
	written, is := tree.(object)
	if !is {
		return read, errors.New("it is no object")
	}
	lists := map[string][]string{} // of actions and resources
	principals := 0
	for _, m := range written {
		var err error
		switch m.name {
		case "Sid":
			read.Sid, _ = m.value.(string)
		case "Effect":
			read.Allow = m.value == "Allow"
			if !read.Allow && m.value != "Deny" {
				err = fmt.Errorf("its effect is %v", m.value)
			}
		case "Action", "NotAction", "Resource", "NotResource":
			lists[m.name], err = texts(m.value)
		case "Principal", "NotPrincipal":
			principals++
			read.Principals.But = m.name == "NotPrincipal"
			read.Principals.List, err = readPrincipals(m.value)
		case "Condition":
			read.Conditions, err = readConditions(m.value)
		default:
			err = unknownElement(m.name)
		}
		if err != nil {
			return read, err
		}
	}
	action, hasAction := lists["Action"]
	notAction, hasNotAction := lists["NotAction"]
	resource, hasResource := lists["Resource"]
	notResource, hasNotResource := lists["NotResource"]
	switch {
	case !slices.ContainsFunc(written, func(m member) bool { return m.name == "Effect" }):
		return read, errors.New("it has no effect")
	case hasAction == hasNotAction, len(action)+len(notAction) == 0:
		return read, errors.New("it needs either Action or NotAction")
	case hasResource && hasNotResource:
		return read, errors.New("it has both Resource and NotResource")
	case principals > 1:
		return read, errors.New("it has both Principal and NotPrincipal")
	case !hasResource && !hasNotResource: // trust of a role
		resource = []string{"*"}
	}
	read.Actions = read.choice(action, notAction, hasNotAction)
	read.Resources = read.choice(resource, notResource, hasNotResource)
	return read, nil
}

// choice is what is written, or everything but that. A variable such as
// ${aws:username} is not known: it stands for anything where that makes the
// statement worse for us, and for nothing where it would make it better.
func (s Statement) choice(these, not []string, but bool) Choice {
	choice := Choice{Patterns: these, But: but}
	if but {
		choice.Patterns = not
	}
	if !slices.ContainsFunc(choice.Patterns, func(p string) bool { return strings.Contains(p, "${") }) {
		return choice
	}
	worse := s.Allow != choice.But
	var known []string
	for _, pattern := range choice.Patterns {
		plain, varies := withoutVariables(pattern)
		if !varies || worse {
			known = append(known, plain)
		}
	}
	choice.Patterns = known
	return choice
}

// withoutVariables puts "*" in the place of each variable of a pattern.
func withoutVariables(pattern string) (plain string, varies bool) {
	for {
		before, rest, found := strings.Cut(pattern, "${")
		plain += before
		if !found {
			return plain, varies
		}
		_, pattern, _ = strings.Cut(rest, "}")
		plain, varies = plain+"*", true
	}
}

// readPrincipals reads "*", or lists by kind, sorted.
func readPrincipals(tree any) ([]Principal, error) {
	if tree == "*" {
		return []Principal{{"AWS", "*"}}, nil
	}
	kinds, is := tree.(object)
	if !is {
		return nil, errors.New("the principal is neither * nor a list by kinds")
	}
	var all []Principal
	for _, kind := range kinds {
		ids, err := texts(kind.value)
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			all = append(all, Principal{kind.name, id})
		}
	}
	slices.SortFunc(all, func(a, b Principal) int { return strings.Compare(a.Kind+" "+a.ID, b.Kind+" "+b.ID) })
	return all, nil
}

// readConditions reads operators, with keys, with values; sorted.
func readConditions(tree any) ([]Condition, error) {
	operators, is := tree.(object)
	if !is {
		return nil, errors.New("the condition is no object")
	}
	var all []Condition
	for _, operator := range operators {
		keys, is := operator.value.(object)
		if !is {
			return nil, fmt.Errorf("the condition %s is no object", operator.name)
		}
		for _, key := range keys {
			values, err := texts(key.value)
			if err != nil {
				return nil, err
			}
			all = append(all, Condition{Operator: operator.name, Key: key.name, Values: values})
		}
	}
	slices.SortFunc(all, func(a, b Condition) int { return strings.Compare(a.Operator+" "+a.Key, b.Operator+" "+b.Key) })
	return all, nil
}
