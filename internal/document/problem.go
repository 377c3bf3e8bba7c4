package document

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Problem is one thing that is wrong with a document.
type Problem struct {
	File   string // empty when what is wrong was not read from a file
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

// Error is a document that cannot be used: every problem that was found, in
// the order of the file. It maps to the exit code for usage.
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

// Failed is the *Error of one problem.
func Failed(p Problem) error { return &Error{Problems: []Problem{p}} }

func sortProblems(problems []Problem) {
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}

// Rules collects what breaks the rules of a document's values.
type Rules struct {
	Schema Schema
	Found  []Problem // without a position, which Document.Judge adds
}

// Report adds a problem of a key, unless its value has one already: one
// mistake, one message. With no hint, the example of the key is one.
func (r *Rules) Report(path, hint, format string, args ...any) {
	k, known := r.Schema.describe(path)
	isValue := known && k.Example != ""
	if isValue && r.Reported(path) {
		return
	}
	if hint == "" && isValue {
		hint = exampleHint(k)
	}
	r.Found = append(r.Found, Problem{Key: path, Text: fmt.Sprintf(format, args...), Hint: hint})
}

// Reported tells whether a key has a problem.
func (r *Rules) Reported(path string) bool {
	return slices.ContainsFunc(r.Found, func(p Problem) bool { return p.Key == path })
}

func exampleHint(k Key) string {
	return fmt.Sprintf("for example %s: %s", k.Path[strings.LastIndex(k.Path, ".")+1:], k.Example)
}

// Quote shows a text of the file so that it cannot control a terminal.
func Quote(text string) string {
	const limit = 60
	runes := []rune(text)
	if len(runes) > limit {
		return strconv.Quote(string(runes[:limit])) + "..."
	}
	return strconv.Quote(text)
}

// Nearest returns the candidate that was probably meant by a word, or "".
func Nearest(word string, candidates []string) string {
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
