package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// process names one process for good: its pid alone would name another one
// after it has ended and the number is used again.
type process struct {
	PID     int    `json:"pid"`
	Started uint64 `json:"started"` // clock ticks after the kernel's start, field 22 of /proc/PID/stat
	Boot    string `json:"boot"`    // the kernel's boot id: ticks count from zero again after a restart
}

// identify looks up who has a pid now.
func identify(pid int) (process, error) {
	stat, err := readStat(pid)
	if err != nil {
		return process{}, err
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return process{}, fmt.Errorf("read the kernel's boot id: %w", err)
	}
	return process{PID: pid, Started: stat.started, Boot: strings.TrimSpace(string(boot))}, nil
}

// alive tells whether this very process still runs.
func (p process) alive() bool {
	if p.PID <= 0 {
		return false
	}
	stat, err := readStat(p.PID)
	if err != nil || stat.state == 'Z' || stat.state == 'X' {
		return false
	}
	now, err := identify(p.PID)
	return err == nil && now == p
}

// open returns a pidfd of the process, or false when it has ended. What is
// done through the descriptor can never hit another process.
func (p process) open() (int, bool) {
	if p.PID <= 0 {
		return -1, false
	}
	fd, err := unix.PidfdOpen(p.PID, 0)
	if err != nil {
		return -1, false
	}
	// Checked after opening: from here on the descriptor is bound to what was checked.
	if !p.alive() {
		unix.Close(fd)
		return -1, false
	}
	return fd, true
}

// signal sends a signal; a process that has ended is no error.
func (p process) signal(sig unix.Signal) error {
	fd, ok := p.open()
	if !ok {
		return nil
	}
	defer unix.Close(fd)
	if err := unix.PidfdSendSignal(fd, sig, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("send %s to process %d: %w", unix.SignalName(sig), p.PID, err)
	}
	return nil
}

// wait returns true as soon as the process has ended, or false when the
// context or the limit ends first.
func (p process) wait(ctx context.Context, limit time.Duration) bool {
	fd, ok := p.open()
	if !ok {
		return true
	}
	defer unix.Close(fd)
	deadline := time.Now().Add(limit)
	for time.Now().Before(deadline) && ctx.Err() == nil {
		// Short turns, so that a cancelled context is seen.
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 100)
		if n > 0 {
			return true
		}
		if err != nil && !errors.Is(err, unix.EINTR) {
			return false
		}
	}
	return false
}

// processStat is the part of /proc/PID/stat that is used here.
type processStat struct {
	state   byte
	parent  int
	started uint64
}

func readStat(pid int) (processStat, error) {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return processStat{}, err
	}
	return parseStat(string(line))
}

// parseStat reads a line of /proc/PID/stat, see proc_pid_stat(5). The program's
// name in parentheses may itself hold blanks and parentheses.
func parseStat(line string) (processStat, error) {
	end := strings.LastIndexByte(line, ')')
	if end < 0 {
		return processStat{}, fmt.Errorf("parse process state %q: no program name", line)
	}
	fields := strings.Fields(line[end+1:]) // fields[0] is field 3, the state
	if len(fields) < 20 || len(fields[0]) != 1 {
		return processStat{}, fmt.Errorf("parse process state %q: too few fields", line)
	}
	parent, err := strconv.Atoi(fields[1])
	if err != nil {
		return processStat{}, fmt.Errorf("parse process state %q: parent: %w", line, err)
	}
	started, err := strconv.ParseUint(fields[19], 10, 64)
	if err != nil {
		return processStat{}, fmt.Errorf("parse process state %q: start time: %w", line, err)
	}
	return processStat{state: fields[0][0], parent: parent, started: started}, nil
}

// containerLeader finds the first process inside a container: the child of the
// container manager that has pid 1 in a PID namespace of its own.
func containerLeader(manager process) (process, bool) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return process{}, false
	}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		stat, err := readStat(pid)
		if err != nil || stat.parent != manager.PID {
			continue
		}
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil || !isNamespaceInit(string(status)) {
			continue
		}
		if leader, err := identify(pid); err == nil {
			return leader, true
		}
	}
	return process{}, false
}

// isNamespaceInit tells from /proc/PID/status whether a process is pid 1 of a
// nested PID namespace: "NSpid:" lists its pid in each, the innermost last.
func isNamespaceInit(status string) bool {
	for line := range strings.Lines(status) {
		if list, ok := strings.CutPrefix(line, "NSpid:"); ok {
			pids := strings.Fields(list)
			return len(pids) > 1 && pids[len(pids)-1] == "1"
		}
	}
	return false
}
