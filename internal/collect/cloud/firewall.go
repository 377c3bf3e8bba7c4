package cloud

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"rocca/internal/facts"
)

// webACL is a firewall as AWS WAF tells it.
type webACL struct {
	DefaultAction    effect
	VisibilityConfig struct{ CloudWatchMetricsEnabled bool }
	Rules            []struct {
		Name           string
		Action         effect
		OverrideAction effect
		Statement      statement
	}
}

// effect is what is done; one of them is set.
type effect struct{ Allow, Block, Count, Captcha, Challenge, None *struct{} }

// name is what facts call it; empty when nothing is said.
func (e effect) name() string {
	switch {
	case e.Allow != nil:
		return "allow"
	case e.Block != nil:
		return "block"
	case e.Count != nil:
		return "count"
	case e.Captcha != nil:
		return "captcha"
	case e.Challenge != nil:
		return "challenge"
	}
	return ""
}

// statement is what a rule looks for, as far as it matters here.
type statement struct {
	ManagedRuleGroupStatement *struct {
		Name                string
		ScopeDownStatement  *statement
		ExcludedRules       []struct{ Name string }
		RuleActionOverrides []struct {
			Name        string
			ActionToUse effect
		}
	}
	RateBasedStatement *struct {
		Limit              int
		ScopeDownStatement *statement
	}
	NotStatement              *struct{ Statement statement }
	AndStatement, OrStatement *struct{ Statements []statement }
	RegexMatchStatement       *struct {
		RegexString  string
		FieldToMatch field
	}
	ByteMatchStatement *struct {
		SearchString         []byte
		PositionalConstraint string
		FieldToMatch         field
	}
}

// field is a part of a request; one of them is set.
type field struct {
	URIPath, QueryString, Method, Body *struct{}
	SingleHeader                       *struct{ Name string }
}

// into tells the facts of it.
func (w webACL) into(f *facts.WebFirewall) {
	f.Default, f.Metrics = w.DefaultAction.name(), w.VisibilityConfig.CloudWatchMetricsEnabled
	for _, r := range w.Rules {
		one := facts.FirewallRule{Name: r.Name, Effect: cmp.Or(r.Action.name(), r.OverrideAction.name(), "block"), SparesTracker: r.Statement.spares()}
		var scope *statement
		switch s := r.Statement; {
		case s.ManagedRuleGroupStatement != nil:
			m := s.ManagedRuleGroupStatement
			one.Managed, scope = m.Name, m.ScopeDownStatement
			for _, e := range m.ExcludedRules {
				one.Counted = append(one.Counted, e.Name)
			}
			for _, e := range m.RuleActionOverrides {
				if e.ActionToUse.Count != nil && !slices.Contains(one.Counted, e.Name) {
					one.Counted = append(one.Counted, e.Name)
				}
			}
		case s.RateBasedStatement != nil:
			one.Rate, scope = s.RateBasedStatement.Limit, s.RateBasedStatement.ScopeDownStatement
		}
		if scope != nil {
			one.Scoped, one.SparesTracker = true, scope.spares()
		}
		f.Rules = append(f.Rules, one)
	}
}

// logging is where a firewall writes, and without what.
type logging struct {
	LogDestinationConfigs []string
	RedactedFields        []field
}

// into tells the facts of it.
func (l logging) into(f *facts.WebFirewall) {
	f.LoggedTo = l.LogDestinationConfigs
	for _, r := range l.RedactedFields {
		switch {
		case r.SingleHeader != nil:
			f.Redacted = append(f.Redacted, "header "+strings.ToLower(r.SingleHeader.Name))
		case r.QueryString != nil:
			f.Redacted = append(f.Redacted, "query string")
		case r.URIPath != nil:
			f.Redacted = append(f.Redacted, "uri path")
		case r.Method != nil:
			f.Redacted = append(f.Redacted, "method")
		}
	}
	slices.Sort(f.Redacted)
}

// tracker is the path that visitors' browsers call.
const tracker = "/matomo.php"

// spares tells whether a statement never matches a hit: it is, or holds as one
// of several conditions, that the path is another one.
func (s statement) spares() bool {
	if s.NotStatement != nil {
		return s.NotStatement.Statement.matchesPath(tracker)
	}
	if s.AndStatement != nil {
		return slices.ContainsFunc(s.AndStatement.Statements, statement.spares)
	}
	return false
}

// matchesPath tells whether a statement surely matches a path.
func (s statement) matchesPath(path string) bool {
	switch {
	case s.RegexMatchStatement != nil && s.RegexMatchStatement.FieldToMatch.URIPath != nil:
		pattern, err := regexp.Compile(s.RegexMatchStatement.RegexString)
		return err == nil && pattern.MatchString(path)
	case s.ByteMatchStatement != nil && s.ByteMatchStatement.FieldToMatch.URIPath != nil:
		text := string(s.ByteMatchStatement.SearchString)
		switch s.ByteMatchStatement.PositionalConstraint {
		case "EXACTLY":
			return path == text
		case "STARTS_WITH":
			return strings.HasPrefix(path, text)
		case "ENDS_WITH":
			return strings.HasSuffix(path, text)
		default:
			return strings.Contains(path, text)
		}
	case s.OrStatement != nil:
		return slices.ContainsFunc(s.OrStatement.Statements, func(s statement) bool { return s.matchesPath(path) })
	}
	return false
}
