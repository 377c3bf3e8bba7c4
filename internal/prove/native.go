package prove

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"rocca/internal/run"
)

// Native is what somebody tries who runs machine code in a unit.
type Native struct {
	// Dir is a directory that the unit may write to.
	Dir string

	// Outside is a process of the unit's own user that is not in the unit.
	Outside int
}

// Came is what came of one deed.
type Came struct {
	Name string `json:"name"`
	Got  string `json:"got"` // what shows that it succeeded; empty when it did not
	Why  string `json:"why"` // why it did not
}

// nativeDeeds are the deeds by name. A nil error says that one succeeded.
var nativeDeeds = []struct {
	name string
	do   func(context.Context, Native) (got string, err error)
}{
	{"make a user namespace", func(context.Context, Native) (string, error) { return "it is root there", newUserNamespace() }},
	{"trace a process outside", func(_ context.Context, n Native) (string, error) { return "attached", attach(n.Outside) }},
	{"read the memory of a process outside", func(_ context.Context, n Native) (string, error) {
		return "opened", open(fmt.Sprintf("/proc/%d/mem", n.Outside), unix.O_RDWR)
	}},
	{"open a netlink socket", func(context.Context, Native) (string, error) { return "opened", socket(unix.AF_NETLINK, unix.SOCK_RAW) }},
	{"open a socket of the kernel's ciphers", func(context.Context, Native) (string, error) {
		return "opened", socket(unix.AF_ALG, unix.SOCK_SEQPACKET)
	}},
	{"start a shell", func(ctx context.Context, _ Native) (string, error) { return start(ctx, "/bin/sh", "-c", "id -u") }},
	{"start a program that it wrote", startOwn},
	{"start a program from memory", startFromMemory},
	{"have the kernel run calls past the filter", func(context.Context, Native) (string, error) { return "io_uring made a ring", ring() }},
}

// Try does deeds, all where none is named.
func (n Native) Try(ctx context.Context, names []string) ([]Came, error) {
	var all []Came
	for _, d := range nativeDeeds {
		if len(names) > 0 && !slices.Contains(names, d.name) {
			continue
		}
		came := Came{Name: d.name}
		if got, err := d.do(ctx, n); err != nil {
			came.Why = err.Error()
		} else {
			came.Got = got
		}
		all = append(all, came)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("try deeds %q: there are none of these names", names)
	}
	return all, nil
}

// newUserNamespace makes a process that is in one, and nothing else: a program
// of several threads cannot enter one itself.
func newUserNamespace() error {
	child, _, code := unix.RawSyscall6(unix.SYS_CLONE, unix.CLONE_NEWUSER|uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if code != 0 {
		return code
	}
	if child == 0 {
		for {
			_, _, _ = unix.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
		}
	}
	_, err := unix.Wait4(int(child), nil, 0, nil)
	return err
}

// attach begins to trace a process and lets it go: it is not stopped.
func attach(pid int) error {
	const seize, detach = 0x4206, 17
	if _, _, code := unix.Syscall6(unix.SYS_PTRACE, seize, uintptr(pid), 0, 0, 0, 0); code != 0 {
		return code
	}
	_, _, _ = unix.Syscall6(unix.SYS_PTRACE, detach, uintptr(pid), 0, 0, 0, 0) // else when this program ends
	return nil
}

func open(name string, flags int) error {
	fd, err := unix.Open(name, flags|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

func socket(family, kind int) error {
	fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

func start(ctx context.Context, argv ...string) (string, error) {
	result, err := run.Do(ctx, run.Command{Argv: argv})
	if err != nil {
		var failed *run.Error
		if errors.As(err, &failed) {
			return "", failed.Cause
		}
		return "", err
	}
	return strings.TrimSpace("it ran " + string(result.Stdout)), nil
}

// startOwn starts a copy of a program from a directory that the unit may write.
func startOwn(ctx context.Context, n Native) (string, error) {
	program, err := os.ReadFile("/usr/bin/true")
	if err != nil {
		return "", err
	}
	name := filepath.Join(n.Dir, Canary())
	defer os.Remove(name)
	if err := os.WriteFile(name, program, 0o700); err != nil {
		return "", err
	}
	return start(ctx, name)
}

// startFromMemory starts a program that is in no file system (memfd_create(2)).
func startFromMemory(ctx context.Context, _ Native) (string, error) {
	fd, err := unix.MemfdCreate("rocca-prove", unix.MFD_CLOEXEC)
	if err != nil {
		return "", err
	}
	memory := os.NewFile(uintptr(fd), "memfd")
	defer memory.Close()
	program, err := os.ReadFile("/usr/bin/true")
	if err != nil {
		return "", err
	}
	if _, err := memory.Write(program); err != nil {
		return "", err
	}
	return start(ctx, fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), fd))
}

// ring makes a ring of io_uring(7), by which the kernel opens sockets and files
// without a system call that a filter could see.
func ring() error {
	var parameters [120]byte // struct io_uring_params
	fd, _, code := unix.Syscall(unix.SYS_IO_URING_SETUP, 1, uintptr(unsafe.Pointer(&parameters)), 0)
	if code != 0 {
		return code
	}
	return unix.Close(int(fd))
}
