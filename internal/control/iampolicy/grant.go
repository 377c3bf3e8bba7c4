package iampolicy

import (
	"slices"
	"strings"
	"time"
)

// Grant is what one statement allows: a pattern of actions on one of resources.
type Grant struct {
	Policy       string   // its name
	Action       string   // pattern
	NotActions   []string // but these
	Resource     string   // pattern
	NotResources []string // but these
	Conditions   []Condition
}

// Right is a bound of what may be allowed.
type Right struct {
	Actions   []string // patterns, in lower case
	Resources []string
	When      map[string]string // conditions that must be made: key, and the pattern that its values must fit
}

// Grants lists what the policies of an identity allow, in their order. What a
// denial surely takes away is left out, and what a condition surely does not
// allow in what is known.
func Grants(known Known, policies ...Policy) []Grant {
	denials := sureDenials(known, policies)
	var grants []Grant
	for _, policy := range policies {
		for _, s := range policy.Statements {
			if answer, _ := s.weigh(known); !s.Allow || answer == no {
				continue
			}
			g := Grant{Policy: policy.Name, Conditions: s.Conditions}
			g.NotActions, g.NotResources = s.Actions.exceptions(), s.Resources.exceptions()
			for _, g.Action = range s.Actions.widest() {
				for _, g.Resource = range s.Resources.widest() {
					if !slices.ContainsFunc(denials, g.deniedBy) {
						grants = append(grants, g)
					}
				}
			}
		}
	}
	return grants
}

// sureDenials are the statements that deny to whoever asks, whatever the
// conditions of which nothing is known.
func sureDenials(known Known, policies []Policy) []Statement {
	var denials []Statement
	for _, policy := range policies {
		for _, s := range policy.Statements {
			if answer, _ := s.weigh(known); !s.Allow && answer == yes {
				s.Actions = s.Actions.folded()
				denials = append(denials, s)
			}
		}
	}
	return denials
}

func (g Grant) deniedBy(denial Statement) bool {
	return denial.Actions.covers(strings.ToLower(g.Action)) && denial.Resources.covers(g.Resource)
}

// widest are the patterns of a choice; "*" where it is all but some.
func (c Choice) widest() []string {
	if c.But {
		return []string{"*"}
	}
	return c.Patterns
}

func (c Choice) exceptions() []string {
	if c.But {
		return c.Patterns
	}
	return nil
}

// Within tells whether a grant allows nothing but what a right allows.
func (g Grant) Within(r Right) bool {
	if !(Choice{Patterns: r.Actions}).covers(strings.ToLower(g.Action)) || !(Choice{Patterns: r.Resources}).covers(g.Resource) {
		return false
	}
	for key, pattern := range r.When {
		if !slices.ContainsFunc(g.Conditions, func(c Condition) bool { return c.insists(key, pattern) }) {
			return false
		}
	}
	return true
}

// Reaches tells whether a grant allows something that these patterns stand for.
func (g Grant) Reaches(action, resource string) bool {
	action = strings.ToLower(action)
	return Overlap(strings.ToLower(g.Action), action) && segments(g.Resource, resource, Overlap) &&
		Choice{Patterns: g.NotActions, But: true}.folded().meets(action) && Choice{Patterns: g.NotResources, But: true}.meets(resource)
}

// meets tells whether anything that a pattern stands for is left by exceptions.
func (c Choice) meets(pattern string) bool {
	return !slices.ContainsFunc(c.Patterns, func(p string) bool { return segments(p, pattern, Covers) })
}

// If are the conditions of the grant in words; empty where it has none.
func (g Grant) If() string { return named(g.Conditions) }

// Ends is when the grant is over for good; zero when it does not say.
func (g Grant) Ends() time.Time {
	var first time.Time
	for _, c := range g.Conditions {
		if at := c.Ends(); !at.IsZero() && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	return first
}

// String is the grant in words, without its conditions: "s3:Get* on arn:...".
func (g Grant) String() string {
	text := g.Action
	if g.NotActions != nil {
		text = "everything but " + strings.Join(g.NotActions, ", ")
	}
	if g.NotResources != nil {
		return text + " on everything but " + strings.Join(g.NotResources, ", ")
	}
	return text + " on " + g.Resource
}
