package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"rocca/internal/facts"
)

// surface is what an attacker can get hold of, counted.
type surface struct {
	Plugins   map[facts.Use][]string     `json:"plugins"`  // active ones, by what the evidence says
	Inactive  []string                   `json:"inactive"` // on disk and not active
	Lines     map[string]facts.Lines     `json:"lines_of_code"`
	Reachable int                        `json:"reachable_lines"`
	All       int                        `json:"all_lines"`
	Removable int                        `json:"removable_lines"` // of active plugins without evidence of use
	Answers   map[facts.Verdict][]string `json:"answers"`         // requests by what the front said
	Listeners []string                   `json:"listeners"`
	Writable  []string                   `json:"writable"` // directories that Matomo's users may write
}

func newSurfaceCommand() *cobra.Command {
	var look lookFlags
	var asJSON bool
	var baseline string
	cmd := &cobra.Command{
		Use:   "surface",
		Short: "Count what an attacker can get hold of: plugins, code, entry points, ports",
		Long: `Count the attack surface: plugins by whether there is evidence of their use,
lines of PHP that can be reached and not, requests that get an answer, ports,
and directories that Matomo may write.

With --baseline, facts of an earlier day (rocca facts --lines), it tells what
changed. Nothing that it "cannot tell" about is ever proposed for removal.`,
		Example: "  rocca surface\n  rocca facts --lines -o before.json; rocca surface --baseline before.json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			look.lines = true
			server, err := look.server(cmd)
			if err != nil {
				return err
			}
			now := measure(server)
			if asJSON {
				encoder := json.NewEncoder(cmd.OutOrStdout())
				encoder.SetIndent("", "  ")
				return encoder.Encode(now)
			}
			var before *surface
			if baseline != "" {
				earlier, err := readFacts(cmd, baseline)
				if err != nil {
					return err
				}
				was := measure(earlier)
				before = &was
			}
			var out bytes.Buffer
			showSurface(&out, now, before)
			_, err = cmd.OutOrStdout().Write(out.Bytes())
			return err
		},
	}
	look.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().StringVar(&baseline, "baseline", "", "facts of an earlier day: tell what changed")
	return cmd
}

func measure(server facts.Server) surface {
	s := surface{Plugins: map[facts.Use][]string{}, Lines: server.Matomo.LinesOfCode, Answers: map[facts.Verdict][]string{}}
	for _, name := range slices.Sorted(maps.Keys(server.Plugins)) {
		p := server.Plugins[name]
		switch {
		case !p.Active:
			s.Inactive = append(s.Inactive, name)
		default:
			s.Plugins[p.Use] = append(s.Plugins[p.Use], name)
			if p.Use == facts.NoEvidence && !p.Always && len(p.Needed) == 0 {
				s.Removable += p.Lines
			}
		}
	}
	for _, lines := range s.Lines {
		s.All += lines.Lines
		s.Reachable += lines.Reachable
	}
	for _, name := range slices.Sorted(maps.Keys(server.Answers)) {
		a := server.Answers[name]
		page := strings.HasPrefix(name, "page:") // of a tracked site, not of this server
		if a.Verdict != facts.Refused && a.Verdict != "" && !page {
			s.Answers[a.Verdict] = append(s.Answers[a.Verdict], strings.TrimPrefix(name, "path:"))
		}
	}
	for _, l := range server.Listeners {
		s.Listeners = append(s.Listeners, strings.TrimSpace(fmt.Sprintf("%s on %s %s", l.Door(), l.Address, l.Program)))
	}
	s.Writable = writableDirectories(server)
	return s
}

// writableDirectories are those that the owner of Matomo's contexts owns: of
// the code, and of what lies beside it.
func writableDirectories(server facts.Server) []string {
	users := map[string]bool{}
	for _, c := range server.Matomo.Contexts {
		users[c.User] = c.User != "" && c.User != "root"
	}
	found := map[string]bool{}
	add := func(name string, p facts.Path) {
		if p.Type == facts.Dir && (users[p.Owner] && p.Mode&0o200 != 0 || p.Mode&0o002 != 0 && p.Mode&0o1000 == 0) {
			found[name] = true
		}
	}
	for name, p := range server.Paths {
		add(name, p)
	}
	for top, tree := range server.Trees {
		for name, p := range tree {
			add(strings.TrimSuffix(top+"/"+name, "/."), p)
		}
	}
	// A directory below one that is listed adds nothing.
	var tops []string
	for _, name := range slices.Sorted(maps.Keys(found)) {
		if len(tops) == 0 || !strings.HasPrefix(name, tops[len(tops)-1]+"/") {
			tops = append(tops, name)
		}
	}
	return tops
}

func showSurface(out io.Writer, now surface, before *surface) {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(what string, value func(surface) int) {
		if before == nil {
			fmt.Fprintf(table, "%s\t%d\t\n", what, value(now))
			return
		}
		fmt.Fprintf(table, "%s\t%d\t->\t%d\t%+d\t\n", what, value(*before), value(now), value(now)-value(*before))
	}
	for _, use := range []facts.Use{facts.Used, facts.NoEvidence, facts.CannotTell} {
		row("plugins, "+string(use), func(s surface) int { return len(s.Plugins[use]) })
	}
	row("plugins, not active", func(s surface) int { return len(s.Inactive) })
	row("lines of PHP", func(s surface) int { return s.All })
	row("  that can be reached", func(s surface) int { return s.Reachable })
	row("  in active plugins without evidence of use", func(s surface) int { return s.Removable })
	row("requests that get an answer", func(s surface) int {
		n := 0
		for _, names := range s.Answers {
			n += len(names)
		}
		return n
	})
	row("ports and sockets of the network", func(s surface) int { return len(s.Listeners) })
	row("directories that Matomo may write", func(s surface) int { return len(s.Writable) })
	_ = table.Flush() // into memory

	list := func(title string, names []string) {
		if len(names) > 0 {
			fmt.Fprintf(out, "\n%s\n  %s\n", title, strings.Join(names, "\n  "))
		}
	}
	if unused := now.Plugins[facts.NoEvidence]; len(unused) > 0 {
		list("active plugins without evidence of use (rocca explain PLG-01)", []string{strings.Join(unused, " ")})
	}
	if unclear := now.Plugins[facts.CannotTell]; len(unclear) > 0 {
		list("plugins that leave no trace: whether they are used only you can tell", []string{strings.Join(unclear, " ")})
	}
	for _, verdict := range []facts.Verdict{facts.Leaked, facts.Executed, facts.Served} {
		list("the front answers ("+string(verdict)+")", now.Answers[verdict])
	}
	list("listeners", now.Listeners)
	list("writable directories", now.Writable)
	if len(now.Lines) > 0 {
		fmt.Fprintln(out, "\nlines of PHP by area (files, lines, reachable)")
		for _, area := range slices.Sorted(maps.Keys(now.Lines)) {
			l := now.Lines[area]
			fmt.Fprintf(out, "  %-10s %6d %8d %8d\n", area, l.Files, l.Lines, l.Reachable)
		}
	}
}
