package step

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"rocca/internal/change"
	"rocca/internal/facts"
	"rocca/internal/run"
)

// Unit is a systemd unit that is in a given state.
type Unit struct {
	Unit    string
	State   UnitState
	Inputs  []string // files that it reads when it starts: newer ones mean Refresh
	Refresh string   // systemctl verb that makes it read them again: "reload" or "restart"
	Check   []string // argv that must succeed before the unit is started or refreshed
	Own     bool     // the unit is rocca's: no other drop-in may change it
	DropIns []string // that may change it, when Own
}

// UnitState is how a unit must be.
type UnitState string

// The states of a unit.
const (
	Running UnitState = "running" // enabled and active
	Enabled UnitState = "enabled" // enabled; started by something else, such as its socket
	Off     UnitState = "off"     // stopped and masked, so that nothing starts it
	Stopped UnitState = "stopped" // neither active nor enabled; its file may go
)

// Name implements change.Step.
func (u Unit) Name() string { return "unit " + u.Unit }

// Looks implements change.Step.
func (u Unit) Looks() facts.Query {
	return facts.Query{Units: []string{u.Unit}, Paths: u.Inputs}
}

// Plan implements change.Step.
func (u Unit) Plan(s facts.Server) (change.Proposal, error) {
	verbs, reasons := u.todo(s)
	if len(verbs) == 0 && len(reasons) == 0 {
		return change.Proposal{}, nil
	}
	return change.Proposal{Sentence: strings.Join(append(verbs, reasons...), ", ")}, nil
}

// todo lists the systemctl verbs that bring the unit to its state, and why.
func (u Unit) todo(s facts.Server) (verbs, reasons []string) {
	now := s.Units[u.Unit]
	if now.NeedsReload {
		reasons = append(reasons, "systemd reads its changed file")
	}
	for _, path := range u.foreign(now) {
		reasons = append(reasons, "remove "+path+", which changes it")
	}
	if u.State == Off {
		if now.Active {
			verbs = append(verbs, "stop")
		}
		if now.Loaded && !now.Masked {
			verbs = append(verbs, "disable", "mask")
		}
		return verbs, reasons
	}
	if u.State == Stopped {
		if now.Active {
			verbs = append(verbs, "stop")
		}
		if now.Enabled {
			verbs = append(verbs, "disable")
		}
		return verbs, nil
	}
	if now.Masked {
		verbs = append(verbs, "unmask")
	}
	if !now.Enabled {
		verbs = append(verbs, "enable")
	}
	if u.State == Running && !now.Active {
		return append(verbs, "start"), reasons
	}
	if !now.Active {
		return verbs, reasons
	}
	if newer := u.newer(s); len(newer) > 0 || len(reasons) > 0 {
		verbs = append(verbs, u.Refresh)
		switch {
		case len(newer) == 1:
			reasons = append(reasons, "for a newer "+newer[0])
		case len(newer) > 1:
			reasons = append(reasons, fmt.Sprintf("for a newer %s and %d more", newer[0], len(newer)-1))
		}
	}
	return verbs, reasons
}

// newer lists the inputs that changed after the unit last started or reloaded.
// A failed unit has read them and must be started again by hand or by `start`.
func (u Unit) newer(s facts.Server) []string {
	now := s.Units[u.Unit]
	return slices.DeleteFunc(slices.Clone(u.Inputs), func(path string) bool {
		return !s.Paths[path].Exists() || !s.Paths[path].Changed.After(now.StateChanged)
	})
}

// unread tells whether systemd has not read the unit as it is on disk. Of another
// unit that this one starts, such as the service of a timer, only the file tells.
func (u Unit) unread(s facts.Server) bool {
	now := s.Units[u.Unit]
	return now.NeedsReload || !now.Loaded || slices.ContainsFunc(u.newer(s), func(path string) bool {
		return strings.HasPrefix(path, "/etc/systemd/system/")
	})
}

// foreign lists the drop-ins of an own unit that rocca did not make.
func (u Unit) foreign(now facts.Unit) []string {
	if !u.Own {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(now.DropIns), func(path string) bool {
		return slices.Contains(u.DropIns, path) || !strings.HasPrefix(path, "/etc/systemd/") && !strings.HasPrefix(path, "/run/systemd/")
	})
}

// Apply implements change.Step.
func (u Unit) Apply(ctx context.Context, w *change.Writer, s facts.Server) error {
	now := s.Units[u.Unit]
	foreign := u.foreign(now)
	for _, path := range foreign {
		if err := w.Remove(path); err != nil {
			return err
		}
	}
	if len(foreign) > 0 || u.unread(s) {
		if err := w.ReloadUnits(ctx); err != nil {
			return err
		}
	}
	verbs, _ := u.todo(s)
	if len(verbs) == 0 {
		return nil
	}
	if len(u.Check) > 0 {
		if _, err := run.Do(ctx, run.Command{Argv: u.Check}); err != nil {
			return fmt.Errorf("check the configuration of %s: %w", u.Unit, err)
		}
	}
	if err := w.SetUnit(ctx, u.Unit, verbs...); err != nil {
		return fmt.Errorf("bring the unit to the state %q: %w", u.State, err)
	}
	return nil
}
