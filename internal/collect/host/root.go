package host

import (
	"fmt"
	"io"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"rocca/internal/rooted"
)

// onlyRoot is the error of what others than root may not look at.
func onlyRoot(what string) error {
	return fmt.Errorf("%s: only root may\nhint: run rocca as root", what)
}

// Root is the directory that is taken for the machine's "/": "/" itself on the
// machine that is audited. No name and no link leads out of it.
type Root string

// live tells whether it is this machine: only then may its services be asked.
func (r Root) live() bool { return r == "/" }

// open opens an existing name for reading.
func (r Root) open(name string, flags int, resolve uint64) (*os.File, error) {
	return rooted.Dir(r).Open(name, flags, resolve)
}

// read returns the content of a file of at most contentLimit bytes.
func (r Root) read(name string) (string, error) {
	content, err := rooted.Dir(r).Read(name, contentLimit)
	return string(content), err
}

// readIfThere is read, and "" for a file that is not there.
func (r Root) readIfThere(name string) (string, error) {
	content, err := r.read(name)
	if gone(err) {
		return "", nil
	}
	return content, err
}

// list returns the names in a directory, sorted; none when it is not there.
func (r Root) list(dir string) ([]string, error) {
	f, err := r.open(dir, unix.O_DIRECTORY, 0)
	if gone(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	slices.Sort(names)
	return names, err
}

// stat looks at what a name leads to inside the root.
func (r Root) stat(name string) (unix.Stat_t, error) {
	var stat unix.Stat_t
	f, err := r.open(name, unix.O_PATH, 0)
	if err != nil {
		return stat, err
	}
	defer f.Close()
	return stat, unix.Fstat(int(f.Fd()), &stat)
}

// exists tells whether a name leads to something.
func (r Root) exists(name string) bool {
	_, err := r.stat(name)
	return err == nil
}

// proc reads a file of the kernel, which is never a link or a pipe.
func (r Root) proc(name string) (string, error) {
	f, err := os.OpenFile(string(r)+"/proc/"+name, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, contentLimit))
	return string(content), err
}

// procLink reads where a link of the kernel leads, such as "1234/exe".
func (r Root) procLink(name string) (string, error) {
	return os.Readlink(string(r) + "/proc/" + name)
}
