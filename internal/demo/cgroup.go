package demo

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// cgroupDirs lists the directories of a control group, one in each hierarchy
// that systemd uses: the unified one (cgroup v2), the one named "systemd" (v1),
// or both on a hybrid host. mountinfo is the text of /proc/self/mountinfo, see
// proc_pid_mountinfo(5).
func cgroupDirs(mountinfo, group string) ([]string, error) {
	var dirs []string
	for line := range strings.Lines(mountinfo) {
		before, after, ok := strings.Cut(line, " - ")
		mount, kind := strings.Fields(before), strings.Fields(after)
		if !ok || len(mount) < 5 || len(kind) < 3 {
			continue
		}
		unified := kind[0] == "cgroup2"
		systemd := kind[0] == "cgroup" && hasOption(kind[2], "name=systemd")
		if unified || systemd {
			dirs = append(dirs, filepath.Join(unescapeMount(mount[4]), group))
		}
	}
	if len(dirs) == 0 {
		return nil, errors.New("find the control groups of this kernel: neither cgroup v2 nor a systemd hierarchy is mounted" +
			"\nhint: mount -t cgroup2 none /sys/fs/cgroup")
	}
	return dirs, nil
}

func hasOption(list, want string) bool {
	for option := range strings.SplitSeq(list, ",") {
		if option == want {
			return true
		}
	}
	return false
}

// unescapeMount undoes the octal escapes of blanks in mountinfo.
func unescapeMount(path string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(path)
}

// ownCgroupDirs is cgroupDirs for the running kernel.
func ownCgroupDirs(group string) ([]string, error) {
	mountinfo, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("find the control groups of this kernel: %w", err)
	}
	return cgroupDirs(string(mountinfo), group)
}

// freshCgroup makes a control group anew: what an interrupted rocca left
// running in it is ended.
//
// A server needs a group of its own: systemd-nspawn would otherwise put all
// servers into one and the same "payload" group. And whatever works on a tree
// runs in the group of that tree, so that it can be found.
func freshCgroup(group string) ([]string, error) {
	dirs, err := ownCgroupDirs(group)
	if err != nil {
		return nil, err
	}
	if err := emptyCgroups(dirs); err != nil {
		return nil, err
	}
	for _, dir := range dirs {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, fmt.Errorf("make control group %s: %w", dir, err)
		}
	}
	return dirs, nil
}

// enterCgroups is a program for sh: it joins the control groups named up to
// "--" and becomes the command after it.
const enterCgroups = `while [ "$1" != -- ]; do echo $$ >"$1/cgroup.procs" || exit 1; shift; done; shift; exec "$@"`

// inCgroups is the argv that runs another one in control groups.
func inCgroups(dirs []string, argv ...string) []string {
	entering := append([]string{"sh", "-c", enterCgroups, "sh"}, dirs...)
	return append(append(entering, "--"), argv...)
}

// emptyCgroups kills what is left in a control group, and removes it. Being in
// the group is what makes a process our own: nothing else is signalled. Who is
// just entering it, as the child of a rocca that was killed, is killed too.
func emptyCgroups(dirs []string) error {
	for _, dir := range dirs {
		deadline := time.Now().Add(40 * time.Second)
		for {
			pids, err := cgroupProcesses(dir)
			if err != nil {
				return err
			}
			for _, pid := range pids {
				if err := unix.Kill(pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
					return fmt.Errorf("kill process %d of control group %s: %w", pid, dir, err)
				}
			}
			if len(pids) == 0 {
				// A killed process holds its group until its parent takes notice. An
				// orphan's parent is init, which may take its time.
				err = removeCgroup(dir)
				if !errors.Is(err, unix.EBUSY) {
					if err != nil {
						return err
					}
					break
				}
			}
			if time.Now().After(deadline) {
				if err != nil {
					return err
				}
				return fmt.Errorf("stop the processes of control group %s: %d of them do not end, the first is %d", dir, len(pids), pids[0])
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	return nil
}

// cgroupProcesses lists the processes in a group and in the groups below it.
// A group that is gone has none.
func cgroupProcesses(dir string) ([]int, error) {
	var pids []int
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Name() != "cgroup.procs" {
			return ignoreGone(err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return ignoreGone(err)
		}
		for _, field := range strings.Fields(string(text)) {
			pid, err := strconv.Atoi(field)
			if err != nil {
				return fmt.Errorf("read %s: %w", path, err)
			}
			if pid > 0 { // 0: a process of an outer PID namespace
				pids = append(pids, pid)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list the processes of control group %s: %w", dir, err)
	}
	return pids, nil
}

// removeCgroup removes a group and the groups below it, the deepest first:
// rmdir is the only removal that the kernel allows there.
func removeCgroup(dir string) error {
	var dirs []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			dirs = append(dirs, path)
		}
		return ignoreGone(err)
	})
	if err != nil {
		return fmt.Errorf("list control group %s: %w", dir, err)
	}
	for i := len(dirs) - 1; i >= 0; i-- {
		if err := unix.Rmdir(dirs[i]); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("remove control group %s: %w", dirs[i], err)
		}
	}
	return nil
}

// whileBusy tries again what is refused only because something is in use, up to
// a limit.
func whileBusy(limit time.Duration, try func() error) error {
	deadline := time.Now().Add(limit)
	for {
		err := try()
		if !errors.Is(err, unix.EBUSY) || time.Now().After(deadline) {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// ignoreGone drops the error of a file that ended between listing and reading.
func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}
