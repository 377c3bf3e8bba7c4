package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// freezeLimit is how long the processes of a server may take to stand still.
const freezeLimit = 10 * time.Second

// frozen is written down beside a server before its processes are made to stand
// still: whoever finds it with By gone thaws them.
type frozen struct {
	By      process `json:"by"`
	Stopped bool    `json:"stopped"` // by SIGSTOP: its control group cannot be frozen
}

func (s *Server) frozenFile() string { return filepath.Join(s.dir(), "frozen.json") }

// freeze makes all processes of a running server stand still. Its name is
// locked by the caller, who thaws it again whatever freeze returns.
func (s *Server) freeze(ctx context.Context) error {
	groups, err := ownCgroupDirs(machineName(s.Name))
	if err != nil {
		return err
	}
	at := slices.IndexFunc(groups, canFreeze)
	own, err := identify(os.Getpid())
	if err != nil {
		return err
	}
	text, err := json.Marshal(frozen{By: own, Stopped: at < 0})
	if err != nil {
		return fmt.Errorf("freeze demo server %s: %w", s.Name, err)
	}
	if err := writeFile(s.frozenFile(), text, 0o600); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, freezeLimit, fmt.Errorf("its processes do not stand still within %s", freezeLimit))
	defer cancel()
	if at < 0 {
		err = stopProcesses(ctx, groups)
	} else {
		err = freezeGroup(ctx, groups[at])
	}
	if err != nil {
		return fmt.Errorf("freeze demo server %s: %w", s.Name, err)
	}
	return nil
}

// thaw lets the processes of a server go on that freeze made stand still. One
// that was not frozen stays as it is.
func (s *Server) thaw() error {
	text, err := os.ReadFile(s.frozenFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("thaw demo server %s: %w", s.Name, err)
	}
	mark := frozen{Stopped: true}
	_ = json.Unmarshal(text, &mark) // cut short: then both ways are gone
	groups, err := ownCgroupDirs(machineName(s.Name))
	if err != nil {
		return fmt.Errorf("thaw demo server %s: %w", s.Name, err)
	}
	for _, dir := range groups {
		if err := writeCgroup(dir, "cgroup.freeze", "0"); ignoreGone(err) != nil {
			return fmt.Errorf("thaw demo server %s: %w", s.Name, err)
		}
	}
	if mark.Stopped {
		members, err := groupMembers(groups)
		if err != nil {
			return fmt.Errorf("thaw demo server %s: %w", s.Name, err)
		}
		for _, p := range members {
			if err := p.signal(unix.SIGCONT); err != nil {
				return fmt.Errorf("thaw demo server %s: %w", s.Name, err)
			}
		}
	}
	if err := os.Remove(s.frozenFile()); err != nil {
		return fmt.Errorf("thaw demo server %s: %w", s.Name, err)
	}
	return nil
}

// thawAbandoned thaws a server whose copier was killed. A server that another
// rocca works on is left to it.
func (s *Server) thawAbandoned() error {
	text, err := os.ReadFile(s.frozenFile())
	if err != nil {
		return nil
	}
	var mark frozen
	if json.Unmarshal(text, &mark) == nil && mark.By.alive() {
		return nil
	}
	// A child that the copier was just starting may hold its lock for a moment.
	ctx, cancel := context.WithTimeout(context.Background(), freezeLimit)
	defer cancel()
	unlock, err := lock(ctx, nameLock(s.Name), func() {})
	if errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("thaw demo server %s: %w", s.Name, err)
	}
	defer unlock()
	return s.thaw() // who has the lock knows that nobody else copies
}

// canFreeze tells whether a control group has processes and can freeze them:
// those of the unified hierarchy can, since Linux 5.2.
func canFreeze(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "cgroup.freeze"))
	return err == nil && hasEvent(dir, "populated 1")
}

func freezeGroup(ctx context.Context, dir string) error {
	if err := writeCgroup(dir, "cgroup.freeze", "1"); err != nil {
		return err
	}
	return until(ctx, func() (bool, error) { return hasEvent(dir, "frozen 1"), nil })
}

// hasEvent looks for a line in cgroup.events.
func hasEvent(dir, line string) bool {
	text, _ := os.ReadFile(filepath.Join(dir, "cgroup.events"))
	return slices.Contains(strings.Split(string(text), "\n"), line)
}

func writeCgroup(dir, name, text string) error {
	file, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	return errors.Join(err, file.Close())
}

// stopProcesses stops all processes of control groups, also those that are
// started meanwhile.
func stopProcesses(ctx context.Context, groups []string) error {
	return until(ctx, func() (bool, error) {
		members, err := groupMembers(groups)
		if err != nil {
			return false, err
		}
		running := moving(members)
		for _, p := range running {
			if err := p.signal(unix.SIGSTOP); err != nil {
				return false, err
			}
		}
		return len(running) == 0, nil
	})
}

// moving are the processes that are neither stopped nor gone. Who waits for a
// child of vfork(2) does so in the kernel (D) until the child runs a program,
// and does not stop before: with that child stopped, it does not move either.
func moving(members []process) []process {
	states, waiting := map[int]byte{}, map[int]bool{}
	for _, p := range members {
		stat, err := readStat(p.PID)
		if err != nil {
			continue // gone
		}
		states[p.PID] = stat.state
		if stat.state == 'T' || stat.state == 't' {
			waiting[stat.parent] = true
		}
	}
	return slices.DeleteFunc(members, func(p process) bool {
		state, there := states[p.PID]
		return !there || strings.IndexByte("TtZX", state) >= 0 || state == 'D' && waiting[p.PID]
	})
}

// groupMembers identifies the processes of control groups. The groups are
// listed twice: a pid could go to a process of somebody else in between.
func groupMembers(groups []string) ([]process, error) {
	var members []process
	for _, dir := range groups {
		before, err := cgroupProcesses(dir)
		if err != nil {
			return nil, err
		}
		var found []process
		for _, pid := range before {
			if p, err := identify(pid); err == nil {
				found = append(found, p)
			}
		}
		after, err := cgroupProcesses(dir)
		if err != nil {
			return nil, err
		}
		for _, p := range found {
			if slices.Contains(after, p.PID) && !slices.Contains(members, p) {
				members = append(members, p)
			}
		}
	}
	return members, nil
}

// until waits for what nobody tells of.
func until(ctx context.Context, reached func() (bool, error)) error {
	for {
		if done, err := reached(); done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(time.Millisecond):
		}
	}
}
