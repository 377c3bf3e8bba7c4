package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"rocca/internal/blueprint"
	"rocca/internal/config"
	"rocca/internal/facts"
)

// status is what `rocca status` tells.
type status struct {
	URL       string       `json:"url"`
	Version   string       `json:"matomo"`
	Signer    string       `json:"signer,omitempty"` // empty: unsigned
	Source    string       `json:"source"`
	Installed time.Time    `json:"installed"`
	Units     []unitStatus `json:"units"`
	Pending   []string     `json:"pending"` // steps that rocca up would make
}

type unitStatus struct {
	Unit   string    `json:"unit"`
	Health string    `json:"health"` // "running", "stopped", "failed", "missing"
	Since  time.Time `json:"since,omitzero"`
}

func newStatusCommand() *cobra.Command {
	var flags serverFlags
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show what runs, from which release, and what has drifted",
		Long: `Show what runs, from which release and since when, the health of each unit,
and which steps rocca up would make.

Exit status: 0 all runs and nothing is pending, 1 something is not as it should
be, 10 rocca has set up no Matomo here.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := openSession(cmd, flags)
			if err != nil {
				return err
			}
			return errors.Join(s.status(cmd), s.Close())
		},
	}
	cmd.Flags().StringVarP(&flags.config, "config", "c", config.DefaultPath, "configuration file")
	cmd.Flags().BoolVar(&flags.json, "json", false, "print JSON")
	return cmd
}

func (s *session) status(cmd *cobra.Command) error {
	record, err := installedRecord(s.config)
	if err != nil {
		return err
	}
	if record == nil {
		return &exitError{exitNoMatomo, errors.New("look at this server: rocca has set up no Matomo here\nhint: rocca up")}
	}
	report := status{URL: s.config.URL(), Version: record.Version, Signer: record.Signer, Source: record.Source, Installed: record.Installed}
	units := blueprint.Units(s.config)
	seen, err := s.server.Observe(cmd.Context(), facts.Query{Units: units})
	if err != nil {
		return err
	}
	healthy := true
	for _, name := range units {
		unit := seen.Units[name]
		one := unitStatus{Unit: name, Health: health(unit), Since: unit.Since}
		healthy = healthy && one.Health == "running"
		report.Units = append(report.Units, one)
	}
	planned, err := s.plan(cmd)
	if err != nil {
		return err
	}
	for _, p := range planned {
		report.Pending = append(report.Pending, p.Step+": "+p.Sentence)
	}
	if err := showStatus(cmd, report, s.flags.json); err != nil {
		return err
	}
	if !healthy || len(planned) > 0 {
		return &exitError{code: exitFindings}
	}
	return nil
}

func health(u facts.Unit) string {
	switch {
	case !u.Loaded:
		return "missing"
	case u.Failed:
		return "failed"
	case u.Active:
		return "running"
	}
	return "stopped"
}

func showStatus(cmd *cobra.Command, report status, asJSON bool) error {
	out := cmd.OutOrStdout()
	if asJSON {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(report)
	}
	signed := "signed by " + report.Signer
	if report.Signer == "" {
		signed = "UNSIGNED, accepted"
	}
	fmt.Fprintf(out, "Matomo %s at %s\n  %s, from %s, installed %s\n\n", report.Version, report.URL, signed, report.Source, report.Installed.Local().Format("2006-01-02 15:04"))
	for _, unit := range report.Units {
		since := ""
		if !unit.Since.IsZero() && unit.Health == "running" {
			since = "since " + unit.Since.Local().Format("2006-01-02 15:04:05")
		}
		fmt.Fprintf(out, "  %-26s %-8s %s\n", unit.Unit, unit.Health, since)
	}
	if len(report.Pending) == 0 {
		fmt.Fprintln(out, "\nnothing is pending: the server is as it should be")
		return nil
	}
	fmt.Fprintf(out, "\npending: %s (rocca plan shows the details, rocca up makes the changes)\n", count(len(report.Pending), "step"))
	for _, line := range report.Pending {
		fmt.Fprintln(out, "  "+line)
	}
	return nil
}
