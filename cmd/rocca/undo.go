package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"rocca/internal/change"
	"rocca/internal/collect/db"
	"rocca/internal/config"
	"rocca/internal/facts"
	"rocca/internal/progress"
	"rocca/internal/run"
)

// keptDir is where undo puts files that others changed since.
const keptDir = "/var/lib/rocca/kept"

func newUndoCommand() *cobra.Command {
	var flags serverFlags
	var yes, deleteData, dryRun bool
	cmd := &cobra.Command{
		Use:   "undo [RUN]",
		Short: "Take back the last run, or run RUN and all after it",
		Long: `Take back what a run changed, last change first: files with their content,
owner, mode, ACL and attributes; users and groups; units; packages; database
accounts and schemas.

What visitors and users left in Matomo since is never thrown away unless
--delete-data says so: without it the database, its server and uploaded files
stay when they hold anything.

Exit status: 0 taken back, 2 nothing was begun, 6 something could not be taken
back, 11 another rocca is at work.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := openSession(cmd, flags)
			if err != nil {
				return err
			}
			return errors.Join(s.undo(cmd, args, yes, deleteData, dryRun), s.Close())
		},
	}
	cmd.Flags().StringVarP(&flags.config, "config", "c", config.DefaultPath, "configuration file")
	cmd.Flags().BoolVar(&flags.json, "json", false, "one JSON object per line")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.Flags().BoolVar(&deleteData, "delete-data", false, "also throw away what visitors and users left since")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only list what would be taken back")
	return cmd
}

func (s *session) undo(cmd *cobra.Command, args []string, yes, deleteData, dryRun bool) error {
	chosen, err := s.chooseRuns(args)
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	if dryRun && s.flags.json {
		return showRuns(cmd, chosen, true)
	}
	if dryRun || !yes {
		for _, info := range chosen {
			fmt.Fprintf(out, "run %d (%s, %s, %s): %s\n", info.ID, info.Verb, info.Started.Local().Format("2006-01-02 15:04"), info.Result, count(info.Changes, "change"))
			for _, name := range slices.Backward(info.Steps) {
				fmt.Fprintf(out, "  %s\n", name)
			}
		}
		if dryRun {
			return nil
		}
		if err := agreeToUndo(cmd); err != nil {
			return err
		}
	}
	tell, end := progress.Open(out, s.flags.json)
	defer end()
	ctx := context.WithoutCancel(cmd.Context())
	kept, left := false, ""
	for _, info := range chosen {
		result, err := s.undoRun(ctx, info, s.undoOptions(ctx, tell, deleteData, &left))
		if err != nil {
			return &exitError{exitRollbackFailed, fmt.Errorf("take back run %d: %w\nhint: mend the cause, then: rocca undo %d", info.ID, err, info.ID)}
		}
		kept = kept || result == change.PartUndone
	}
	text := fmt.Sprintf("%d runs taken back", len(chosen))
	if len(chosen) == 1 {
		text = fmt.Sprintf("run %d taken back", chosen[0].ID)
	}
	switch {
	case kept && left != "":
		text += fmt.Sprintf("; the database stays, it holds data (%s): rocca undo --delete-data throws it away", left)
	case kept:
		text += "; but for what stays, see above"
	}
	tell.Tell(progress.Event{Kind: progress.Note, Text: text})
	return nil
}

func (s *session) undoRun(ctx context.Context, info change.RunInfo, options change.UndoOptions) (change.Result, error) {
	if err := s.wakeDatabase(ctx, info); err != nil {
		return info.Result, err
	}
	recorded, err := s.journal.Resume(info.ID)
	if err != nil {
		return change.Broken, err
	}
	defer recorded.Close()
	result, err := recorded.Undo(ctx, options)
	return result, errors.Join(err, recorded.End(result))
}

// wakeDatabase starts the local database server when a run changed something in
// it: a later run that was taken back may have left it stopped, as it had been.
func (s *session) wakeDatabase(ctx context.Context, info change.RunInfo) error {
	const unit = "mariadb.service"
	asks := slices.ContainsFunc(info.Steps, func(step string) bool { return strings.HasPrefix(step, "database ") })
	if !asks || s.config.Database.Remote() {
		return nil
	}
	seen, err := s.server.Observe(ctx, facts.Query{Units: []string{unit}})
	if err != nil || !seen.Units[unit].Loaded || seen.Units[unit].Active {
		return err
	}
	// When it cannot start, undoing goes as far as it can and says what is left.
	_, _ = run.Do(ctx, run.Command{Argv: []string{"systemctl", "start", unit}})
	return nil
}

// undoOptions says how far an undo goes. What data it finds is described in left.
func (s *session) undoOptions(ctx context.Context, tell progress.Handler, deleteData bool, left *string) change.UndoOptions {
	return change.UndoOptions{
		DeleteData: deleteData, KeepDir: keptDir, SQL: s.server.Database, Tell: tell,
		Configured: change.Tables{Schema: s.config.Database.Name, Prefix: s.config.Database.Prefix},
		HasData: func(tables change.Tables) bool {
			data, err := db.CountData(ctx, s.server.Database.DB, tables.Schema, tables.Prefix)
			switch {
			case err != nil:
				// What cannot be asked is taken for a yes.
				*left = "the server cannot be asked: " + err.Error()
			case data.Any():
				*left = data.String()
			}
			return err != nil || data.Any()
		},
		Schemas: func() ([]string, error) { return db.LocalSchemas(ctx) },
	}
}

// chooseRuns lists the runs to take back, last first.
func (s *session) chooseRuns(args []string) ([]change.RunInfo, error) {
	runs, err := s.journal.Runs()
	if err != nil {
		return nil, err
	}
	standing := slices.DeleteFunc(runs, func(r change.RunInfo) bool { return !r.Standing() })
	if len(standing) == 0 {
		return nil, errors.New("take back a run: rocca has changed nothing on this server that still stands\nhint: rocca runs lists all runs")
	}
	first := standing[len(standing)-1].ID
	if len(args) == 1 {
		if first, err = strconv.Atoi(args[0]); err != nil || first < 1 {
			return nil, fmt.Errorf("take back run %q: not the number of a run\nhint: rocca runs lists them", args[0])
		}
	}
	chosen := slices.DeleteFunc(standing, func(r change.RunInfo) bool { return r.ID < first })
	if len(chosen) == 0 {
		return nil, fmt.Errorf("take back run %d: nothing of it stands\nhint: rocca runs lists all runs", first)
	}
	slices.Reverse(chosen)
	return chosen, nil
}

func agreeToUndo(cmd *cobra.Command) error {
	if !hasTerminal(cmd) {
		return errors.New("ask before taking back: there is no terminal to ask on\nhint: rocca undo --yes")
	}
	return ask(cmd, "Take this back?")
}

func newRunsCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "runs",
		Short: "List what rocca did on this server, and when",
		Long: `List the runs of the journal: number, when, verb, result, how many of its
changes still stand.

Exit status: 0 listed, 2 it could not be read.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if os.Geteuid() != 0 {
				return errors.New("read the journal: only root may\nhint: sudo rocca runs")
			}
			journal, err := change.Open(change.DefaultDir)
			if err != nil {
				return err
			}
			runs, err := journal.Runs()
			if err != nil {
				return err
			}
			return showRuns(cmd, runs, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object per line")
	return cmd
}

func showRuns(cmd *cobra.Command, runs []change.RunInfo, asJSON bool) error {
	out := cmd.OutOrStdout()
	if asJSON {
		encoder := json.NewEncoder(out)
		for _, info := range runs {
			if err := encoder.Encode(info); err != nil {
				return fmt.Errorf("list runs: %w", err)
			}
		}
		return nil
	}
	if len(runs) == 0 {
		fmt.Fprintln(out, "rocca has changed nothing on this server yet")
		return nil
	}
	fmt.Fprintf(out, "%4s  %-16s  %-5s  %7s  %8s  %s\n", "RUN", "STARTED", "VERB", "TOOK", "STANDING", "RESULT")
	for _, info := range runs {
		took := "-"
		if !info.Ended.IsZero() {
			took = fmt.Sprintf("%.0f s", info.Ended.Sub(info.Started).Seconds())
		}
		fmt.Fprintf(out, "%4d  %-16s  %-5s  %7s  %8d  %s\n", info.ID, info.Started.Local().Format("2006-01-02 15:04"), info.Verb, took, info.Changes, info.Result)
	}
	return nil
}
