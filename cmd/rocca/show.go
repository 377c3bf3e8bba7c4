package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"rocca/internal/change"
)

// count says a number of things: "1 step", "2 steps".
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// printCard prints label and text pairs in a frame.
func printCard(out io.Writer, rows [][2]string) {
	label, width := 0, 0
	for _, row := range rows {
		label = max(label, utf8.RuneCountInString(row[0]))
	}
	var lines []string
	for _, row := range rows {
		line := fmt.Sprintf("%-*s  %s", label, row[0], row[1])
		width = max(width, utf8.RuneCountInString(line))
		lines = append(lines, line)
	}
	fmt.Fprintf(out, "\n┌%s┐\n", strings.Repeat("─", width+2))
	for _, line := range lines {
		fmt.Fprintf(out, "│ %s%s │\n", line, strings.Repeat(" ", width-utf8.RuneCountInString(line)))
	}
	fmt.Fprintf(out, "└%s┘\n", strings.Repeat("─", width+2))
}

// printPlan prints one line for each step that has something to do, and its
// diff when asked for.
func printPlan(out io.Writer, planned []change.Planned, diffs bool) {
	for i, p := range planned {
		fmt.Fprintf(out, "%3d  %s\n     %s\n", i+1, p.Step, p.Sentence)
		if diffs && p.Diff != "" {
			for _, line := range strings.Split(strings.TrimRight(p.Diff, "\n"), "\n") {
				fmt.Fprintf(out, "       %s\n", line)
			}
		}
	}
}
