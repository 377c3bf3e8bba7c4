package iampolicy

import (
	"slices"
	"strings"
)

// holds tells whether one certain text is chosen.
func (c Choice) holds(text string) bool {
	return slices.ContainsFunc(c.Patterns, func(p string) bool { return segments(p, text, Covers) }) != c.But
}

// covers tells whether all that a pattern stands for is chosen. It may be blind
// to a cover that is put together of several patterns.
func (c Choice) covers(pattern string) bool {
	if c.But {
		return !slices.ContainsFunc(c.Patterns, func(p string) bool { return segments(p, pattern, Overlap) })
	}
	return slices.ContainsFunc(c.Patterns, func(p string) bool { return segments(p, pattern, Covers) })
}

// coversAll tells whether all that another choice stands for is chosen.
func (c Choice) coversAll(other Choice) bool {
	if other.But {
		return c.covers("*")
	}
	return !slices.ContainsFunc(other.Patterns, func(p string) bool { return !c.covers(p) })
}

// folded is the choice in lower case: names of actions have none.
func (c Choice) folded() Choice {
	lower := Choice{But: c.But, Patterns: make([]string, len(c.Patterns))}
	for i, pattern := range c.Patterns {
		lower.Patterns[i] = strings.ToLower(pattern)
	}
	return lower
}

// segments compares two ARNs part by part, as a wildcard does not reach over a
// colon there, and everything else as a whole.
func segments(a, b string, compare func(a, b string) bool) bool {
	const colons = 5 // arn:PARTITION:SERVICE:REGION:ACCOUNT:RESOURCE
	if !strings.HasPrefix(a, "arn:") || !strings.HasPrefix(b, "arn:") || strings.Count(a, ":") < colons || strings.Count(b, ":") < colons {
		return compare(a, b)
	}
	for range colons {
		var partOfA, partOfB string
		partOfA, a, _ = strings.Cut(a, ":")
		partOfB, b, _ = strings.Cut(b, ":")
		if !compare(partOfA, partOfB) {
			return false
		}
	}
	return compare(a, b)
}

// Covers tells whether each text that inner stands for is one that outer stands
// for, too. Both may have "*" and "?"; an inner one without is a plain text.
func Covers(outer, inner string) bool {
	o, i := 0, 0
	star, after := -1, 0 // the last "*" of outer, and how far inner was then
	for i < len(inner) {
		switch {
		case o < len(outer) && outer[o] == '*':
			star, after = o, i
			o++
		case o < len(outer) && (outer[o] == inner[i] || outer[o] == '?' && inner[i] != '*'):
			o++
			i++
		case star >= 0:
			after++
			o, i = star+1, after
		default:
			return false
		}
	}
	return strings.Trim(outer[o:], "*") == ""
}

// Overlap tells whether there is a text that both patterns stand for.
func Overlap(a, b string) bool {
	if !strings.ContainsAny(a, "*?") {
		return Covers(b, a)
	}
	if !strings.ContainsAny(b, "*?") {
		return Covers(a, b)
	}
	// met[j]: what is read of a, and b[:j], can be the same text.
	met := make([]bool, len(b)+1)
	met[0] = true
	for j := 0; j < len(b) && b[j] == '*'; j++ {
		met[j+1] = true
	}
	next := make([]bool, len(b)+1)
	for i := range len(a) {
		next[0] = met[0] && a[i] == '*'
		for j := range len(b) {
			if a[i] == '*' || b[j] == '*' {
				next[j+1] = met[j+1] || next[j]
			} else {
				next[j+1] = met[j] && (a[i] == b[j] || a[i] == '?' || b[j] == '?')
			}
		}
		met, next = next, met
	}
	return met[len(b)]
}
