package iampolicy

import (
	"slices"
	"strings"
)

// Request is what somebody may ask of AWS.
type Request struct {
	Principal string // ARN of who asks; a policy of an identity is not asked for it
	Action    string // "s3:GetObject"
	Resource  string // ARN
	Known     Known
}

// Answer is what policies say to a request.
type Answer struct {
	Allowed bool        // and not surely denied
	Denied  bool        // surely
	By      string      // name of the policy that allows or denies
	If      []Condition // of which nothing is known: they were taken for the worse
}

// About is what a policy says about an action, for those who ask the same of
// many resources.
func (p Policy) About(action string) Policy {
	action = strings.ToLower(action)
	about := Policy{Name: p.Name}
	for _, s := range p.Statements {
		if s.Actions.folded().holds(action) {
			about.Statements = append(about.Statements, s)
		}
	}
	return about
}

// Decide asks all policies that concern a request: those of the identity and
// that of the resource, in one account. A denial wins when it is sure to hold;
// what allows counts unless it is sure not to hold.
func Decide(r Request, policies ...Policy) Answer {
	var answer Answer
	action := strings.ToLower(r.Action)
	for _, policy := range policies {
		for _, s := range policy.Statements {
			if !s.Principals.include(r.Principal, s.Allow) || !s.Actions.folded().holds(action) || !s.Resources.holds(r.Resource) {
				continue
			}
			met, open := s.weigh(r.Known)
			switch {
			case !s.Allow && met == yes:
				return Answer{Denied: true, By: policy.Name}
			case s.Allow && met != no && (!answer.Allowed || len(open) < len(answer.If)):
				answer = Answer{Allowed: true, By: policy.Name, If: open}
			}
		}
	}
	return answer
}

// include tells whether a statement is about a principal of AWS. Where a policy
// of a resource names the whole account, the policies of the identity decide
// what is allowed, and all of the account is denied.
func (p Principals) include(arn string, allow bool) bool {
	if len(p.List) == 0 && !p.But {
		return true
	}
	named := slices.ContainsFunc(p.List, func(one Principal) bool {
		if one.Everybody() || one.Kind == "AWS" && one.ID == arn {
			return true
		}
		whole := one.Kind == "AWS" && (isAccount(one.ID) || strings.HasSuffix(one.ID, ":root"))
		return whole && accountOf(one.ID) == accountOf(arn) && allow == p.But
	})
	return named != p.But
}

// accountOf is the account of an ARN, or the text itself where it is none.
func accountOf(arn string) string {
	fields := strings.SplitN(arn, ":", 6)
	if len(fields) < 6 || fields[0] != "arn" {
		return arn
	}
	return fields[4]
}

// isAccount tells whether a text is the number of an account.
func isAccount(text string) bool {
	return len(text) == 12 && strings.Trim(text, "0123456789") == ""
}
