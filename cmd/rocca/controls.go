package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"rocca/internal/control"
	"rocca/internal/model"
	"rocca/internal/prove"
)

func newExplainCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "explain ID...",
		Short: "Tell what a control checks or an attack does, why, the fix, and what the sources say",
		Long: `Tell all about controls: what must be true, the attack where it is not, how it
is put right, and what standards and the two source documents say. An area such
as FS tells all of its controls. Of an attack such as A01 it tells what it does,
what it is about, and what must be taken away for it to succeed.`,
		Example: "  rocca explain FS-04\n  rocca explain TLS\n  rocca explain A01",
		Args:    cobra.MinimumNArgs(1),
		ValidArgsFunction: func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
			controls, _ := completeControls(cmd, args, typed)
			attacks, directive := completeAttacks(cmd, args, typed)
			return append(controls, attacks...), directive
		},
		RunE: func(cmd *cobra.Command, ids []string) error {
			attackIDs, controlIDs := attacksAmong(ids)
			var all []explained
			if len(controlIDs) > 0 {
				controls, err := control.Select(control.All(), controlIDs)
				if err != nil {
					return err
				}
				for _, c := range controls {
					all = append(all, c)
				}
			}
			if len(attackIDs) > 0 {
				attacks, err := prove.Select(attackIDs)
				if err != nil {
					return err
				}
				for _, a := range attacks {
					all = append(all, a)
				}
			}
			return explain(cmd, all)
		},
	}
}

var attackID = regexp.MustCompile(`^[Aa][0-9]+$`)

// attacksAmong separates ids of attacks from those of controls and areas.
func attacksAmong(ids []string) (attacks, controls []string) {
	for _, id := range ids {
		if attackID.MatchString(id) {
			attacks = append(attacks, id)
		} else {
			controls = append(controls, id)
		}
	}
	return attacks, controls
}

// explained is a control or an attack: it tells all of itself as Markdown.
type explained interface{ Explain() []byte }

func explain(cmd *cobra.Command, all []explained) error {
	for i, e := range all {
		if i > 0 {
			fmt.Fprintln(cmd.OutOrStdout())
		}
		if _, err := cmd.OutOrStdout().Write(e.Explain()); err != nil {
			return err
		}
	}
	return nil
}

// catalogued is a control as JSON tells it.
type catalogued struct {
	ID       string         `json:"id"`
	Severity model.Severity `json:"severity"`
	Title    string         `json:"title"`
	Why      string         `json:"why"`
	FixKind  model.FixKind  `json:"fix_kind"`
	Fix      string         `json:"fix"`
	Attack   string         `json:"attack,omitempty"`
	Maps     []model.Ref    `json:"maps,omitempty"`
	Since    string         `json:"since"`
}

func newControlsCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "controls [AREA...]",
		Short: "List the controls",
		Long:  "List the controls of all areas, or of some: id, severity, and the sentence that is true when it passes.",
		Args:  cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, wanted []string) error {
			controls, err := control.Select(control.All(), wanted)
			if err != nil {
				return err
			}
			return showControls(cmd, controls, format)
		},
		ValidArgsFunction: completeControls,
	}
	cmd.Flags().StringVar(&format, "format", "text", "text, json or md")
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"text", "json", "md"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func showControls(cmd *cobra.Command, controls []control.Control, format string) error {
	out := cmd.OutOrStdout()
	switch format {
	case "text":
		for _, c := range controls {
			fmt.Fprintf(out, "%-7s %-8s  %s\n", c.ID, c.Severity, c.Title)
		}
		fmt.Fprintf(out, "\n%s; rocca explain ID tells more\n", count(len(controls), "control"))
	case "json":
		all := make([]catalogued, len(controls))
		for i, c := range controls {
			all[i] = catalogued{c.ID, c.Severity, c.Title, c.Why, c.Fix.Kind, c.Fix.Text, c.Attack, c.Maps, c.Since}
		}
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		return encoder.Encode(all)
	case "md":
		all := make([]explained, len(controls))
		for i, c := range controls {
			all[i] = c
		}
		return explain(cmd, all)
	default:
		return fmt.Errorf("list the controls as %q: no such format\nhint: text, json or md", format)
	}
	return nil
}

// completeControls offers ids of controls and areas.
func completeControls(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	var offered []string
	for _, a := range control.Areas() {
		if strings.HasPrefix(a.ID, strings.ToUpper(typed)) {
			offered = append(offered, a.ID+"\t"+a.Name)
		}
	}
	for _, c := range control.All() {
		if strings.HasPrefix(c.ID, strings.ToUpper(typed)) {
			offered = append(offered, c.ID+"\t"+c.Title)
		}
	}
	return offered, cobra.ShellCompDirectiveNoFileComp
}
