package document

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// SizeLimit caps a document, in bytes.
const SizeLimit = 64 << 10

// Read returns the text of a file. The error is os.ErrNotExist, or an *Error.
func Read(path string) ([]byte, error) { return read(path, 0, nil) }

// ReadTrusted is Read of a file that, when root reads it, nobody but root can
// have changed: what it says is done with root's rights.
func ReadTrusted(path string) ([]byte, error) { return read(path, syscall.O_NOFOLLOW, trusted) }

func read(path string, flags int, check func(path string, info os.FileInfo) error) ([]byte, error) {
	// O_NONBLOCK: opening a named pipe must not hang.
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|flags, 0)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, err
	case errors.Is(err, syscall.ELOOP):
		return nil, Failed(Problem{File: path, Text: "is a symbolic link, which could be pointed elsewhere", Hint: "name the file that it leads to"})
	case err != nil:
		return nil, Failed(Problem{File: path, Text: Cause(err).Error()})
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, Failed(Problem{File: path, Text: Cause(err).Error()})
	}
	if !info.Mode().IsRegular() {
		return nil, Failed(Problem{File: path, Text: "is not a regular file"})
	}
	if check != nil {
		if err := check(path, info); err != nil {
			return nil, err
		}
	}
	text, err := io.ReadAll(io.LimitReader(file, SizeLimit+1))
	if err != nil {
		return nil, Failed(Problem{File: path, Text: Cause(err).Error()})
	}
	if len(text) > SizeLimit {
		return nil, Failed(Problem{File: path, Text: fmt.Sprintf("is larger than %d bytes", SizeLimit)})
	}
	return text, nil
}

func trusted(path string, info os.FileInfo) error {
	if os.Geteuid() != 0 {
		return nil
	}
	if owner := info.Sys().(*syscall.Stat_t).Uid; owner != 0 {
		return Failed(Problem{File: path, Text: fmt.Sprintf("belongs to user %d, who could decide what root does", owner), Hint: "chown root " + path})
	}
	if mode := info.Mode().Perm(); mode&0o022 != 0 {
		return Failed(Problem{File: path, Text: fmt.Sprintf("mode %04o lets others write it and so decide what root does", mode), Hint: "chmod go-w " + path})
	}
	return nil
}

// Vacant is an *Error when WriteNew would not write the file because it exists.
func Vacant(path, hint string) error {
	if _, err := os.Lstat(path); err == nil {
		return occupied(path, hint)
	}
	return nil
}

func occupied(path, hint string) error {
	return Failed(Problem{File: path, Text: "exists already and is not overwritten", Hint: hint})
}

// WriteNew writes a new file with mode 0644. A file that exists stays as it is
// and is an *Error; the hint says what to do instead.
func WriteNew(path string, text []byte, hint string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY|syscall.O_NOFOLLOW, 0o644)
	if errors.Is(err, os.ErrExist) {
		return occupied(path, hint)
	}
	if err != nil {
		return Failed(Problem{File: path, Text: Cause(err).Error()})
	}
	_, err = file.Write(text)
	// Whatever the umask says: a document holds no secret.
	err = errors.Join(err, file.Chmod(0o644), file.Sync(), file.Close())
	if err != nil {
		os.Remove(path)
		return Failed(Problem{File: path, Text: err.Error()})
	}
	return nil
}

// Cause strips the path that a Problem names already.
func Cause(err error) error {
	var failed *os.PathError
	if errors.As(err, &failed) {
		return fmt.Errorf("%s: %w", failed.Op, failed.Err)
	}
	return err
}
