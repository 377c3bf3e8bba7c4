package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"rocca/internal/blueprint"
	"rocca/internal/change"
	"rocca/internal/progress"
)

func newUpCommand() *cobra.Command {
	var flags serverFlags
	var yes bool
	var credentials string
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Make this Debian server a hardened Matomo server, or bring it back to one",
		Long: `Plan, ask, apply, verify. Every change is recorded before it is made, so that
"rocca undo" can take it back, and a run that was killed is finished by the
next one. A run in which something fails is taken back at once.

A second run finds nothing to do, or repairs only what has drifted.

Exit status: 0 the server is as it should be, 2 nothing was begun, 5 a change
failed and all was taken back, 6 taking back failed too, 11 another rocca is at
work.`,
		Example: `  rocca up
  rocca up --yes --release matomo-5.3.0.tar.gz --credentials-file /root/first-login`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			credentials, err := credentialsPlace(credentials)
			if err != nil {
				return err
			}
			return bringUp(cmd, flags, yes, credentials)
		},
	}
	flags.add(cmd)
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.Flags().StringVar(&credentials, "credentials-file", "", "write the first login there (0600) instead of showing it")
	return cmd
}

// bringUp makes this machine the server that the flags name a configuration of.
func bringUp(cmd *cobra.Command, flags serverFlags, yes bool, credentials string) error {
	s, err := openSession(cmd, flags)
	if err != nil {
		return err
	}
	u := up{session: s, cmd: cmd, yes: yes, credentials: credentials, started: time.Now()}
	return errors.Join(u.run(cmd.Context()), s.Close())
}

type up struct {
	*session
	cmd         *cobra.Command
	yes         bool
	credentials string
	started     time.Time
}

func (u *up) run(ctx context.Context) error {
	end := u.openProgress()
	defer func() { end() }()
	unfinished, err := u.unfinished()
	if err != nil {
		return err
	}
	if unfinished != nil {
		u.tell.Tell(progress.Event{Kind: progress.Note, Text: fmt.Sprintf("run %d was interrupted after %d changes; this run goes on with it (to go back instead: rocca undo)", unfinished.ID, unfinished.Changes)})
	}
	in, err := u.input(ctx)
	if err != nil {
		return err
	}
	steps, login, err := blueprint.Steps(in)
	if err != nil {
		return err
	}
	planned, err := change.Plan(ctx, u.server, steps)
	if err != nil {
		return err
	}
	layout := blueprint.NewLayout(u.config, in.Version)
	if len(planned) == 0 && unfinished == nil {
		return u.card(end, layout, login, 0, nil)
	}
	if err := u.preflight(ctx, in); err != nil {
		return err
	}
	if _, err := os.Lstat(u.credentials); u.credentials != "" && !in.Installed && err == nil {
		return fmt.Errorf("write the first login to %s: something is there already\nhint: name another --credentials-file", u.credentials)
	}
	if !u.yes && len(planned) > 0 {
		end()
		if err := agree(u.cmd, planned, "rocca plan shows what would change; rocca up --yes does it"); err != nil {
			return err
		}
		end = u.openProgress()
	}
	// What cannot be had must fail before anything is changed.
	if slices.ContainsFunc(planned, func(p change.Planned) bool { return p.Step == blueprint.CodeStep(layout) }) {
		if _, err := in.Release(ctx); err != nil {
			return err
		}
	}
	run, err := u.begin(ctx, "up", unfinished)
	if err != nil {
		return err
	}
	defer run.Close()
	changes, err := u.apply(ctx, run, steps, len(planned), func() error {
		u.tell.Tell(progress.Event{Kind: progress.Note, Text: "asking the finished server for what must work and what must be refused"})
		return blueprint.Verify(ctx, u.config, "127.0.0.1:443")
	})
	if err != nil {
		return err
	}
	return errors.Join(u.card(end, layout, login, changes, run), run.End(change.Applied))
}

// apply makes the steps and checks the result. When anything fails, all of the
// run is taken back. It returns how many steps changed something.
func (u *up) apply(ctx context.Context, run *change.Run, steps []change.Step, expected int, check func() error) (int, error) {
	runner := change.Runner{Server: u.server, SQL: u.server.Database, Tell: u.tell, Expected: expected}
	changes, err := runner.Apply(ctx, run, steps)
	if err == nil {
		err = check()
	}
	if err != nil {
		return changes, u.rollBack(run, u.tell, err)
	}
	return changes, nil
}

// unfinished finds a run that was killed and not taken back.
func (u *up) unfinished() (*change.RunInfo, error) {
	runs, err := u.journal.Runs()
	if err != nil {
		return nil, err
	}
	for _, info := range runs {
		if info.Result == change.Broken && info.Standing() {
			return nil, fmt.Errorf("set up this server: run %d failed and could not be taken back whole\nhint: rocca undo %d", info.ID, info.ID)
		}
	}
	return interrupted(runs), nil
}

// interrupted is the last run when it was killed and not taken back, else nil.
func interrupted(runs []change.RunInfo) *change.RunInfo {
	if len(runs) == 0 {
		return nil
	}
	if last := runs[len(runs)-1]; last.Result == change.Interrupted && last.Standing() {
		return &last
	}
	return nil
}

func (u *up) begin(ctx context.Context, verb string, unfinished *change.RunInfo) (*change.Run, error) {
	if unfinished == nil {
		return u.journal.Begin(verb)
	}
	run, err := u.journal.Resume(unfinished.ID)
	if err != nil {
		return nil, err
	}
	return run, run.Tidy(ctx, u.tell)
}

// openProgress makes what happens visible until the function that it returns is
// called. What else is printed comes before or after.
func (u *up) openProgress() (end func()) {
	u.tell, end = progress.Open(u.cmd.OutOrStdout(), u.flags.json)
	return end
}

// rollBack takes a failed run back. An interrupt must not stop it half-way.
func (u *up) rollBack(run *change.Run, tell progress.Handler, cause error) error {
	tell.Tell(progress.Event{Kind: progress.Note, Text: "taking back what this run changed"})
	ctx := context.Background()
	result, err := run.Undo(ctx, u.undoOptions(ctx, tell, false, new(string)))
	if err == nil && result == change.Undone {
		result = change.RolledBack
	}
	if endErr := run.End(result); endErr != nil {
		err = errors.Join(err, endErr)
	}
	if err != nil {
		return &exitError{exitRollbackFailed, fmt.Errorf("%w\nand taking back failed: %w\nhint: mend the cause, then: rocca undo %d", cause, err, run.ID)}
	}
	if result == change.PartUndone {
		return &exitError{exitFailed, fmt.Errorf("%w\nwhat this run had changed was taken back, but for what stays, see above\nhint: rocca undo %d takes that back, too, when it may go", cause, run.ID)}
	}
	return &exitError{exitFailed, fmt.Errorf("%w\nall that this run had changed was taken back", cause)}
}

// card is the end of a run: where it is, how to get in, what was done. The
// first password is shown here and nowhere else, once.
func (u *up) card(end func(), layout blueprint.Layout, login *blueprint.FirstLogin, changes int, run *change.Run) error {
	end()
	result := struct {
		Kind        string  `json:"kind"`
		URL         string  `json:"url"`
		Login       string  `json:"login,omitempty"`
		Password    string  `json:"password,omitempty"`
		Credentials string  `json:"credentials_file,omitempty"`
		Changes     int     `json:"changes"`
		Seconds     float64 `json:"seconds"`
		Run         int     `json:"run,omitempty"`
	}{Kind: "card", URL: u.config.URL(), Changes: changes, Seconds: time.Since(u.started).Round(time.Millisecond).Seconds()}
	if run != nil {
		result.Run = run.ID
	}
	var notWritten error
	if !login.Password.IsZero() {
		result.Login = login.Login
		result.Credentials = u.credentials
		if u.credentials != "" {
			notWritten = run.WriteCredentials(u.credentials, fmt.Appendf(nil, "url: %s\nlogin: %s\npassword: %s\n", result.URL, login.Login, login.Password.Reveal()))
		}
		if u.credentials == "" || notWritten != nil {
			// It is known nowhere else: not to show it would lock the owner out.
			result.Credentials, result.Password = "", login.Password.Reveal()
		}
	}
	out := u.cmd.OutOrStdout()
	if u.flags.json {
		if err := json.NewEncoder(out).Encode(result); err != nil {
			return fmt.Errorf("show the result: %w", err)
		}
	} else {
		rows := [][2]string{{"URL", result.URL}}
		if result.Login != "" {
			rows = append(rows, [2]string{"Login", result.Login})
		}
		if result.Password != "" {
			rows = append(rows, [2]string{"Password", result.Password + "   (shown only this once)"})
		}
		if result.Credentials != "" {
			rows = append(rows, [2]string{"Password", "in " + result.Credentials})
		}
		if changes == 0 {
			rows = append(rows, [2]string{"Changes", fmt.Sprintf("none: the server is as it should be (%.1f s)", result.Seconds)})
		} else {
			rows = append(rows, [2]string{"Changes", fmt.Sprintf("%s in %.1f s, run %d", count(changes, "step"), result.Seconds, result.Run)})
		}
		if u.config.TLS.Certificate == "" && len(u.config.Proxies) == 0 {
			rows = append(rows, [2]string{"Next", "name a real certificate (tls: in " + u.flags.config + "): this one is self-signed"})
		}
		if changes > 0 {
			rows = append(rows, [2]string{"", "rocca status    what runs"}, [2]string{"", "rocca undo      take all of this back"})
		}
		printCard(out, rows)
	}
	if run == nil {
		return nil
	}
	return errors.Join(notWritten, run.Forget(layout.FirstLog))
}

// credentialsPlace makes the path of the file for the first login absolute. The
// directory must be there, and root's; it is empty when no path is given.
func credentialsPlace(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("write the first login to %s: %w", path, err)
	}
	directory, err := filepath.EvalSymlinks(filepath.Dir(absolute))
	if err != nil {
		return "", fmt.Errorf("write the first login to %s: %w\nhint: make the directory first", absolute, err)
	}
	info, err := os.Stat(directory)
	if err != nil {
		return "", fmt.Errorf("write the first login to %s: %w", absolute, err)
	}
	if !info.IsDir() || info.Sys().(*syscall.Stat_t).Uid != 0 {
		return "", fmt.Errorf("write the first login to %s: %s is not a directory of root's, so others could take the file away\nhint: --credentials-file /root/first-login", absolute, directory)
	}
	return filepath.Join(directory, filepath.Base(absolute)), nil
}
