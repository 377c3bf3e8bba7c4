package demo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"rocca/internal/run"

	"golang.org/x/sys/unix"
)

// bootLimit is how long a server may take to boot. An idle machine needs half
// a second.
const bootLimit = 90 * time.Second

// boot starts the server and returns when systemd inside says it is up.
func (s *Server) boot(ctx context.Context, say func(string, ...any)) error {
	groups, err := freshCgroup(machineName(s.Name))
	if err != nil {
		return err
	}
	argv := inCgroups(groups, "systemd-nspawn", "--quiet", "--directory="+s.Root, "--machine="+machineName(s.Name), "--boot",
		"--register=no", "--keep-unit", "--private-network", "--resolv-conf=off", "--link-journal=no")
	started, err := run.Start(run.Command{Argv: argv}, s.bootLog())
	if err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		started.Wait()
		close(ended)
	}()
	if s.Manager, err = identify(started.Pid); err != nil {
		return fmt.Errorf("boot demo server %s: %w", s.Name, err)
	}
	if err := s.save(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, bootLimit, fmt.Errorf("it was not up after %s", bootLimit))
	defer cancel()
	return s.waitUntilUp(ctx, ended, say)
}

func (s *Server) waitUntilUp(ctx context.Context, ended <-chan struct{}, say func(string, ...any)) error {
	state := "no process yet"
	for {
		if !s.Leader.alive() {
			leader, ok := containerLeader(s.Manager)
			if ok {
				s.Leader = leader
				if err := s.save(); err != nil {
					return err
				}
			}
		}
		if s.Leader.alive() {
			// It fails at first, while systemd does not listen yet.
			got, _ := s.Run(ctx, run.Command{Argv: []string{"systemctl", "is-system-running", "--wait"}})
			switch state = strings.TrimSpace(string(got.Stdout)); state {
			case "running":
				return nil
			case "degraded":
				failed, _ := s.Run(ctx, run.Command{Argv: []string{"systemctl", "list-units", "--failed", "--plain", "--no-legend"}})
				say("the server is up, but a unit failed: %s", strings.TrimSpace(string(failed.Stdout)))
				return nil
			}
		}
		select {
		case <-ended:
			return fmt.Errorf("boot demo server %s: systemd-nspawn ended\n%s", s.Name, s.bootTail())
		case <-ctx.Done():
			return fmt.Errorf("boot demo server %s: %w; its state: %s\n%s", s.Name, context.Cause(ctx), state, s.bootTail())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// bootTail returns the last lines of the boot, and a hint when the kernel lets
// root watch no more files: all servers share what one user may have of that.
func (s *Server) bootTail() string {
	text := tail(s.bootLog())
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	if err != nil || strings.Contains(text, "Too many open files") {
		return text + "\nhint: too many servers run: sysctl fs.inotify.max_user_instances=1024, or rocca demo down"
	}
	unix.Close(fd)
	return text
}

// Run runs a command inside the server as its root, in an environment built
// from nothing plus c.Env. The error is a *run.Error for the command as seen
// from the host. c.Dir is not followed: commands start in /.
func (s *Server) Run(ctx context.Context, c run.Command) (run.Result, error) {
	if !s.Leader.alive() {
		return run.Result{}, fmt.Errorf("run %s in demo server %s: it is not running\nhint: rocca demo up --name %s", run.Quote(c.Argv), s.Name, s.Name)
	}
	argv := []string{"nsenter", "--target", fmt.Sprint(s.Leader.PID), "--all", "--", "env", "-i",
		"PATH=" + run.Path, "LC_ALL=C.UTF-8", "HOME=/root", "DEBIAN_FRONTEND=noninteractive"}
	argv = append(argv, c.Env...)
	c.Argv, c.Env, c.Dir = append(argv, c.Argv...), nil, ""
	return run.Do(ctx, c)
}

// Exec runs a command inside a server, see Server.Run.
func Exec(ctx context.Context, name string, c run.Command) (run.Result, error) {
	s, err := Open(name)
	if err != nil {
		return run.Result{}, err
	}
	return s.Run(ctx, c)
}

// Shell opens an interactive shell inside a server, on this program's terminal.
func Shell(ctx context.Context, name string) error {
	// Ctrl-C on the terminal is for what runs in the shell, not for the shell.
	_, err := Exec(context.WithoutCancel(ctx), name, run.Command{
		Argv:    []string{"bash", "--login"},
		Env:     []string{"TERM=" + os.Getenv("TERM")},
		Inherit: true,
	})
	return err
}

// Down stops a server and removes everything of it. One that is half-made or
// already gone is no error.
func Down(ctx context.Context, name string, progress func(Event)) error {
	say := sayer(progress)
	if err := checkName(name); err != nil {
		return err
	}
	if err := needRoot(); err != nil {
		return err
	}
	unlock, err := lock(ctx, nameLock(name), func() { say("waiting for another rocca that works on demo server %s", name) })
	if err != nil {
		return err
	}
	defer unlock()
	defer os.Remove(nameLock(name))
	dir := filepath.Join(stateDir, name)
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		say("demo server %s is not there", name)
		return nil
	}
	s, err := open(stateDir, name)
	if err != nil {
		s = &Server{Name: name} // unreadable: its control groups still tell which processes are its own
	}
	if err := s.halt(ctx, say); err != nil {
		return err
	}
	if err := unmount(dir); err != nil {
		return err
	}
	say("removing %s", dir)
	if err := removeTree(dir); err != nil {
		return err
	}
	return dropStill(ctx, s.Still)
}

// halt shuts the server down: politely, unless it is a twin, then by ending what
// is in its groups.
func (s *Server) halt(ctx context.Context, say func(string, ...any)) error {
	if err := s.thaw(); err != nil {
		return err
	}
	if err := s.Forwarder.signal(unix.SIGTERM); err != nil {
		return err
	}
	if s.Twin == "" && s.Leader.alive() {
		s.powerOff(ctx, say)
	}
	groups, err := ownCgroupDirs(machineName(s.Name))
	if err != nil {
		return err
	}
	if err := emptyCgroups(groups); err != nil {
		return err
	}
	if !s.Forwarder.wait(ctx, 5*time.Second) {
		return s.Forwarder.signal(unix.SIGKILL)
	}
	return nil
}

// powerOff lets the server shut itself down, and tells whether it did.
func (s *Server) powerOff(ctx context.Context, say func(string, ...any)) bool {
	say("shutting down %s", s.Name)
	if _, err := s.Run(ctx, run.Command{Argv: []string{"systemctl", "poweroff"}}); err != nil {
		say("the server does not take the order to power off: %v", err)
		return false
	}
	if !s.Manager.wait(ctx, 20*time.Second) {
		say("the server does not power off, ending its processes")
		return false
	}
	return true
}

// removeTree removes a directory with all below it, unless something is
// mounted there: what is on another file system is not ours to remove.
func removeTree(dir string) error {
	mountinfo, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return fmt.Errorf("remove %s: %w", dir, err)
	}
	if mounts := mountsBelow(string(mountinfo), dir); len(mounts) > 0 {
		return fmt.Errorf("remove %s: something is mounted on %s\nhint: umount %s", dir, strings.Join(mounts, ", "), run.Quote(mounts))
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove %s: %w", dir, err)
	}
	return nil
}

// mountsBelow lists the mount points at or below a directory.
func mountsBelow(mountinfo, dir string) []string {
	var mounts []string
	for line := range strings.Lines(mountinfo) {
		fields := strings.Fields(line)
		if len(fields) < 5 {
			continue
		}
		if point := unescapeMount(fields[4]); point == dir || strings.HasPrefix(point, dir+"/") {
			mounts = append(mounts, point)
		}
	}
	return mounts
}

// tail returns the last lines of a log.
func tail(name string) string {
	text, err := os.ReadFile(name)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-12):], "\n")
}
