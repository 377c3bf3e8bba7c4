package reach

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// tidy takes out of a name what could steer a terminal.
func tidy(name string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, name)
}

// verbs tell an action in a sentence.
var verbs = map[Action]string{Read: "reads", Write: "writes to", Replace: "replaces", Become: "becomes", Connect: "connects to", Know: "knows", Alter: "changes"}

// WriteText tells paths hop by hop, and "nothing" when there are none.
func WriteText(w io.Writer, paths []Path) error {
	var text strings.Builder
	if len(paths) == 0 {
		text.WriteString("nothing\n")
	}
	for i, p := range paths {
		if i > 0 {
			text.WriteString("\n")
		}
		intent := ""
		if p.Clean() {
			intent = " (as intended)"
		}
		fmt.Fprintf(&text, "%s: %s%s\n", p.From, p.end(), intent)
		width := 0
		for _, hop := range p.Hops {
			width = max(width, len(verbs[hop.Action])+1+len(hop.To.String()))
		}
		for _, hop := range p.Hops {
			fmt.Fprintf(&text, "  -> %-*s   %s\n", min(width, 64), verbs[hop.Action]+" "+hop.To.String(), tidy(hop.Why))
		}
	}
	_, err := io.WriteString(w, text.String())
	return err
}

// end tells what a path comes to: "becomes user root".
func (p Path) end() string {
	if len(p.Hops) == 0 {
		return "is " + p.To.String()
	}
	last := p.Hops[len(p.Hops)-1]
	return verbs[last.Action] + " " + last.To.String()
}

// WriteDOT writes paths as a graph for Graphviz.
func WriteDOT(w io.Writer, paths []Path) error {
	var text strings.Builder
	text.WriteString("digraph reach {\n\trankdir=LR\n\tnode [shape=box, fontname=\"sans-serif\"]\n\tedge [fontname=\"sans-serif\"]\n")
	var lines []string
	for _, p := range paths {
		for _, hop := range p.Hops {
			color := "black"
			if !hop.Intended {
				color = "red"
			}
			line := fmt.Sprintf("\t%s -> %s [label=%s, color=%s]\n", quote(hop.From.String()), quote(hop.To.String()), quote(string(hop.Action)), color)
			if !slices.Contains(lines, line) {
				lines = append(lines, line)
			}
		}
	}
	text.WriteString(strings.Join(lines, ""))
	text.WriteString("}\n")
	_, err := io.WriteString(w, text.String())
	return err
}

func quote(name string) string { return strconv.Quote(tidy(name)) }
