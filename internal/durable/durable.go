// Package durable replaces files whole. Whoever reads one while it is written,
// after a kill or after a power cut, finds the old content or the new, and
// nothing between.
package durable

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Attr is what a new file is beside its content.
type Attr struct {
	Mode  fs.FileMode // permissions, whatever the umask says
	Owner *Owner      // nil: who writes it

	// Part is its path while it is written, in the same directory. What a killed
	// run left there is replaced. Empty: Part(name).
	Part string
}

// Owner is whose a file is, in numbers of the kernel.
type Owner struct{ UID, GID int }

// ErrBusy is another process that writes the same file at this moment.
var ErrBusy = errors.New("another process is writing it")

// Part is where a file is written before it takes its place.
func Part(name string) string {
	dir, base := filepath.Split(name)
	return dir + "." + base + ".rocca-part"
}

// Write replaces the file name, or makes it; its directory must be there. A
// symbolic link at name is replaced, not followed; a directory, a device or a
// link to one is refused. On an error nothing was changed and nothing is left behind, unless it
// is the directory that could not be synced: then the new file has its place.
func Write(name string, content []byte, a Attr) error {
	return Fill(name, a, func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	})
}

// Fill is Write of what fill writes. When fill fails, its error is part of the
// error, and the old file stays.
func Fill(name string, a Attr, fill func(io.Writer) error) error {
	if a.Part == "" {
		a.Part = Part(name)
	}
	if err := replace(name, a, fill); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return SyncDir(filepath.Dir(name))
}

func replace(name string, a Attr, fill func(io.Writer) error) error {
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		return errors.New("what is there is no file")
	}
	part, err := create(a.Part)
	if err != nil {
		return err
	}
	defer part.Close() // after the renaming, which the lock is for; it was synced
	err = fill(part)
	if err == nil && a.Owner != nil {
		err = part.Chown(a.Owner.UID, a.Owner.GID)
	}
	if err == nil {
		err = errors.Join(part.Chmod(a.Mode), part.Sync())
	}
	if err == nil {
		err = os.Rename(a.Part, name)
	}
	if err != nil {
		return errors.Join(err, remove(a.Part))
	}
	return nil
}

// create makes a new file that only this process writes to and only its user
// reads.
func create(part string) (*os.File, error) {
	if err := clear(part); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, ErrBusy // it was quicker
	}
	if err != nil {
		return nil, err
	}
	if err := hold(file, part); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// clear removes what a killed run left. A process that lives holds its file.
func clear(part string) error {
	info, err := os.Lstat(part)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().IsRegular() {
		left, err := os.OpenFile(part, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
		if errors.Is(err, fs.ErrNotExist) {
			return ErrBusy // it has just been finished
		}
		if err != nil {
			return err
		}
		defer left.Close()
		if err := hold(left, part); err != nil {
			return err
		}
	}
	return remove(part)
}

// hold locks a file against other processes, and makes sure that it is still the
// one at its path: removing or renaming it is for who holds it.
func hold(file *os.File, part string) error {
	err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrBusy
	}
	if err != nil {
		return fmt.Errorf("lock %s: %w", part, err)
	}
	mine, err := file.Stat()
	if err != nil {
		return err
	}
	there, err := os.Lstat(part)
	if err != nil || !os.SameFile(mine, there) {
		return ErrBusy
	}
	return nil
}

func remove(name string) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// SyncDir makes the names in a directory outlive a power cut, on file systems
// that can.
func SyncDir(dir string) error {
	opened, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	defer opened.Close()
	if err := opened.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	return nil
}
