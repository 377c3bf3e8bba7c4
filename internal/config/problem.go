package config

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Problem is one thing that is wrong with a configuration.
type Problem struct {
	File   string // empty when the Config was not read from a file
	Line   int    // from 1; 0 when the problem is with the file as a whole or with a default
	Column int    // from 1, in characters
	Key    string // such as "apps[0].name"; empty when no key is meant
	Text   string // what is wrong, lower case; never the value of a key that could hold a secret
	Hint   string // what to do about it; may be empty
}

// String gives "file:line:column: key: text", leaving out what is not known,
// and the hint on a line of its own.
func (p Problem) String() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File)
		if p.Line > 0 {
			fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
		}
		b.WriteString(": ")
	}
	if p.Key != "" {
		b.WriteString(p.Key + ": ")
	}
	b.WriteString(p.Text)
	if p.Hint != "" {
		b.WriteString("\n  hint: " + p.Hint)
	}
	return b.String()
}

// Error is a configuration that cannot be used: every problem that was found,
// in the order of the file. It maps to the exit code for usage.
type Error struct {
	Problems []Problem // never empty
}

// Error lists the problems, one after the other.
func (e *Error) Error() string {
	texts := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		texts[i] = p.String()
	}
	return strings.Join(texts, "\n")
}

func failed(p Problem) error { return &Error{Problems: []Problem{p}} }

func sortProblems(problems []Problem) {
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}

// quote shows a text of the file so that it cannot control a terminal.
func quote(text string) string {
	const limit = 60
	runes := []rune(text)
	if len(runes) > limit {
		return strconv.Quote(string(runes[:limit])) + "..."
	}
	return strconv.Quote(text)
}

// nearest returns the candidate that was probably meant by a word, or "".
func nearest(word string, candidates []string) string {
	best, bestDistance := "", 3
	for _, candidate := range candidates {
		d := distance(strings.ToLower(word), candidate)
		if d < bestDistance && d < len(candidate) {
			best, bestDistance = candidate, d
		}
	}
	return best
}

// distance is the least number of letters to insert, delete or replace
// (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
