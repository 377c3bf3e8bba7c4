package change

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// buildTree fills a new directory through an os.Root, so that no name leads
// out of it. What a killed run left at the place is removed first.
func buildTree(staging string, fill func(add AddFile) error) error {
	if err := clear(staging); err != nil {
		return err
	}
	if err := os.Mkdir(staging, 0o700); err != nil {
		return err
	}
	root, err := os.OpenRoot(staging)
	if err != nil {
		return err
	}
	defer root.Close()
	made := map[string]bool{".": true}
	buffer := bufio.NewWriterSize(nil, 128<<10)
	add := func(name string, mode uint32, content io.Reader) error {
		if !fs.ValidPath(name) {
			return fmt.Errorf("write %q: not the name of a file in the tree", name)
		}
		if err := makeParents(root, path.Dir(name), made); err != nil {
			return err
		}
		f, err := root.OpenFile(filepath.FromSlash(name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		defer f.Close()
		buffer.Reset(f)
		if _, err := io.Copy(buffer, content); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
		if err := buffer.Flush(); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
		return f.Chmod(os.FileMode(mode))
	}
	if err := fill(add); err != nil {
		return errors.Join(err, clear(staging))
	}
	// One sync of the whole file system instead of one for each of 11,000
	// files; then the top opens to others, complete.
	if err := syncFileSystem(staging); err != nil {
		return err
	}
	return os.Chmod(staging, 0o755)
}

func makeParents(root *os.Root, name string, made map[string]bool) error {
	if made[name] {
		return nil
	}
	if err := makeParents(root, path.Dir(name), made); err != nil {
		return err
	}
	if err := root.Mkdir(filepath.FromSlash(name), 0o755); err != nil {
		return err
	}
	// The umask of whoever started rocca must not decide.
	if err := root.Chmod(filepath.FromSlash(name), 0o755); err != nil {
		return err
	}
	made[name] = true
	return nil
}

func syncFileSystem(directory string) error {
	d, err := os.Open(directory)
	if err != nil {
		return err
	}
	defer d.Close()
	return unix.Syncfs(int(d.Fd()))
}

func closeFD(fd int) { unix.Close(fd) }
