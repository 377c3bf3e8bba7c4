package respond

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"rocca/internal/incident"
	"rocca/internal/run"
)

// tidying are the units that change or delete traces by themselves.
var tidying = []string{
	"logrotate.timer", "systemd-tmpfiles-clean.timer", "apt-daily.timer", "apt-daily-upgrade.timer", "cron.service",
	"rocca-tasks.timer", "rocca-archive.timer", "rocca-audit.timer", "man-db.timer", "e2scrub_all.timer", "fstrim.timer",
}

// stopped is what protect keeps for the way back.
type stopped struct {
	Units []string `json:"units"` // that were active
}

func (s *Server) planProtect(ctx context.Context) ([]string, error) {
	units, err := active(ctx)
	if err != nil {
		return nil, err
	}
	var would []string
	for _, unit := range units {
		would = append(would, "stop "+unit)
	}
	return append(would, "write the journal to disk"), nil
}

// active lists those of tidying that run.
func active(ctx context.Context) ([]string, error) {
	// is-active exits with 3 when one of them is not.
	got, err := run.Do(ctx, run.Command{Argv: append([]string{"systemctl", "is-active", "--"}, tidying...)})
	states := strings.Fields(string(got.Stdout))
	if len(states) != len(tidying) {
		return nil, fmt.Errorf("look what is active: %w", errors.Join(err, errors.New("systemctl gave no answer for each unit")))
	}
	var found []string
	for i, state := range states {
		if state == "active" {
			found = append(found, tidying[i])
		}
	}
	return found, nil
}

func (s *Server) protect(ctx context.Context, c *incident.Case) error {
	units, err := active(ctx)
	if err != nil {
		return err
	}
	if err := c.Save("units", stopped{units}); err != nil {
		return err
	}
	var problems []error
	for _, unit := range units {
		if _, err := run.Do(ctx, run.Command{Argv: []string{"systemctl", "stop", "--", unit}}); err != nil {
			problems = append(problems, err)
			continue
		}
		problems = append(problems, c.Changed("stopped "+unit, "rocca respond release"))
	}
	if _, err := run.Do(ctx, run.Command{Argv: []string{"journalctl", "--sync"}}); err != nil {
		problems = append(problems, c.NotTaken("last lines of the journal", err.Error()))
	}
	return errors.Join(problems...)
}

// startUnits starts what protect stopped.
func (s *Server) startUnits(ctx context.Context, c *incident.Case) error {
	var state stopped
	found, err := c.Load("units", &state)
	if err != nil {
		return err
	}
	if !found || len(state.Units) == 0 {
		return incident.Skip("nothing was stopped")
	}
	var problems []error
	for _, unit := range state.Units {
		if _, err := run.Do(ctx, run.Command{Argv: []string{"systemctl", "start", "--", unit}}); err != nil {
			problems = append(problems, err)
			continue
		}
		problems = append(problems, c.Changed("started "+unit, ""))
	}
	return errors.Join(problems...)
}
