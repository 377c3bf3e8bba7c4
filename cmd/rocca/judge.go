package main

import (
	"bytes"
	"fmt"

	"github.com/spf13/cobra"

	"rocca/internal/control"
	"rocca/internal/model"
	"rocca/internal/report"
)

// reportFlags are the flags of the verbs that evaluate controls: which, and how
// it is told.
type reportFlags struct {
	format string
	output string
	failOn string
	only   []string
	passes bool
}

// add gives them to a verb; passes is the name of the flag for what passes.
func (f *reportFlags) add(cmd *cobra.Command, passes string) {
	flags := cmd.Flags()
	flags.StringVar(&f.format, "format", "text", "text, json, sarif, html or junit")
	flags.StringVarP(&f.output, "output", "o", "", "write the report to this file")
	addFailOn(cmd, &f.failOn, "low")
	flags.StringSliceVar(&f.only, "only", nil, "only these controls or areas, such as FS-04,TLS")
	flags.BoolVar(&f.passes, passes, false, "also list what passes (text)")
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(report.Formats, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("only", completeControls)
}

// addFailOn gives a verb the flag for the severity that matters.
func addFailOn(cmd *cobra.Command, to *string, usual string) {
	cmd.Flags().StringVar(to, "fail-on", usual, "least severity that makes the exit status 1: critical, high, medium or low")
	_ = cmd.RegisterFlagCompletionFunc("fail-on", cobra.FixedCompletions([]string{"critical", "high", "medium", "low"}, cobra.ShellCompDirectiveNoFileComp))
}

func readFailOn(text string) (model.Severity, error) {
	var least model.Severity
	if err := least.UnmarshalText([]byte(text)); err != nil {
		return least, fmt.Errorf("read --fail-on: %w", err)
	}
	return least, nil
}

// judge is what the flags ask for.
type judge struct {
	controls []control.Control
	write    report.Writer
	output   string
	failOn   model.Severity
}

// read reads the flags before anything is looked at, so that a wrong one costs
// nothing.
func (f *reportFlags) read(cmd *cobra.Command, among []control.Control) (judge, error) {
	j := judge{output: f.output}
	var err error
	if j.failOn, err = readFailOn(f.failOn); err != nil {
		return j, err
	}
	if j.controls, err = control.Select(among, f.only); err != nil {
		return j, err
	}
	style := report.Style{All: f.passes}
	if f.output == "" {
		style = terminalStyle(cmd.OutOrStdout(), style)
	}
	j.write, err = report.In(f.format, style)
	return j, err
}

// tell writes the report to its file, whole or not at all, or shows it, and
// decides the exit status.
func (j judge) tell(cmd *cobra.Command, r model.Report) error {
	var out bytes.Buffer
	if err := j.write(&out, r); err != nil {
		return err
	}
	if err := deliver(cmd, j.output, out.Bytes()); err != nil {
		return err
	}
	if j.output != "" { // for whoever started it, and for the journal when a timer did
		failed := r.Summary.Failed
		fmt.Fprintf(cmd.ErrOrStderr(), "index %d of 100, %d critical, %d high, %d medium, %d low, %d unknown; the report is in %s\n",
			r.Summary.Index, failed["critical"], failed["high"], failed["medium"], failed["low"], r.Summary.Count[model.Unknown], j.output)
	}
	switch {
	case model.Worst(r.Findings) >= j.failOn:
		return &exitError{code: exitFindings}
	case r.Summary.Count[model.Unknown] > 0:
		return &exitError{code: exitUnseen}
	}
	return nil
}
