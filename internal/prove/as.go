package prove

import (
	"fmt"
	"os/user"
	"runtime"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// As runs f with the user, groups and (no) capabilities of a Unix user, as the
// kernel sees them: what f opens, connects to or renames is judged by them. It
// runs on a thread of its own, which ends with f; f starts no goroutine that
// matters, and "/proc/self" is still root's.
func As(name string, f func() error) error {
	uid, gid, groups, err := ids(name)
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() {
		// Never unlocked: the thread is thrown away with its rights.
		runtime.LockOSThread()
		err := become(uid, gid, groups)
		if err != nil {
			err = fmt.Errorf("become %s: %w", name, err)
		} else {
			err = f()
		}
		done <- err
	}()
	return <-done
}

// become changes this thread alone: the kernel keeps rights by thread, and only
// the functions of package syscall, which are not used here, change all of them.
func become(uid, gid int, groups []int) error {
	list := make([]uint32, len(groups)+1) // never empty, so that it has an address
	for i, id := range groups {
		list[i] = uint32(id)
	}
	for _, call := range [][4]uintptr{
		{unix.SYS_SETGROUPS, uintptr(len(groups)), uintptr(unsafe.Pointer(&list[0])), 0},
		{unix.SYS_SETRESGID, uintptr(gid), uintptr(gid), uintptr(gid)},
		{unix.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid)},
	} {
		if _, _, code := unix.RawSyscall(call[0], call[1], call[2], call[3]); code != 0 {
			return code
		}
	}
	runtime.KeepAlive(list)
	return nil
}

func ids(name string) (uid, gid int, groups []int, err error) {
	u, err := user.Lookup(name)
	if err != nil {
		return 0, 0, nil, fmt.Errorf("become %s: %w", name, err)
	}
	listed, err := u.GroupIds()
	if err != nil {
		return 0, 0, nil, fmt.Errorf("become %s: %w", name, err)
	}
	for _, text := range listed {
		id, err := strconv.Atoi(text)
		if err != nil {
			return 0, 0, nil, fmt.Errorf("become %s: group %q: %w", name, text, err)
		}
		groups = append(groups, id)
	}
	if uid, err = strconv.Atoi(u.Uid); err != nil {
		return 0, 0, nil, fmt.Errorf("become %s: %w", name, err)
	}
	if gid, err = strconv.Atoi(u.Gid); err != nil {
		return 0, 0, nil, fmt.Errorf("become %s: %w", name, err)
	}
	return uid, gid, groups, nil
}
