package release

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"syscall"
)

// tree walks those files of a directory that a manifest names. A directory is
// often a site that was in use: the rest is named in left, never read.
type tree struct {
	root  *os.Root
	files Manifest        // what may be there, with the files that no manifest names
	dirs  map[string]bool // the directories that these are in
	left  []string        // what was left out by the last walk; a directory ends with a slash
}

func openTree(dir string) (*tree, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open the release: %w", err)
	}
	t := &tree{root: root, files: Manifest{}, dirs: map[string]bool{".": true}}
	for _, name := range unlisted {
		t.expect(name, Sum{})
	}
	manifest, err := t.readFile(manifestPath)
	if err != nil {
		root.Close()
		return nil, fmt.Errorf("%s is not the root of a Matomo release: %w", dir, err)
	}
	listed, err := ParseManifest(manifest)
	if err != nil {
		root.Close()
		return nil, err
	}
	for name, sum := range listed {
		t.expect(name, sum)
	}
	return t, nil
}

func (t *tree) expect(name string, sum Sum) {
	t.files[name] = sum
	for dir := path.Dir(name); !t.dirs[dir]; dir = path.Dir(dir) {
		t.dirs[dir] = true
	}
}

func (t *tree) Close() error { return t.root.Close() }

func (t *tree) each(ctx context.Context, visit func(item, io.Reader) error) error {
	t.left = nil
	return fs.WalkDir(t.root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("read the release: %w", err)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		_, listed := t.files[name]
		switch {
		case d.IsDir() && t.dirs[name]:
			return nil
		case d.IsDir():
			t.left = append(t.left, name+"/")
			return fs.SkipDir
		case t.dirs[name]:
			return fmt.Errorf("%s is not a directory (%s)", name, d.Type())
		case !listed:
			t.left = append(t.left, name)
			return nil
		}
		return t.visitFile(name, visit)
	})
}

// visitFile opens a file without following a link out of the release, and
// without waiting for a named pipe.
func (t *tree) visitFile(name string, visit func(item, io.Reader) error) error {
	info, err := t.root.Lstat(name)
	if err != nil {
		return fmt.Errorf("read the release: %w", err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file (%s)", name, info.Mode().Type())
	}
	file, err := t.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("read the release: %w", err)
	}
	defer file.Close()
	opened, err := file.Stat()
	if err != nil {
		return fmt.Errorf("read the release: %w", err)
	}
	if !os.SameFile(info, opened) {
		return fmt.Errorf("%s was replaced while it was read", name)
	}
	if opened.Size() > releaseLimits.file {
		return fmt.Errorf("%s has %d bytes: no file of Matomo has more than %d", name, opened.Size(), releaseLimits.file)
	}
	return visit(item{path: name, size: opened.Size()}, file)
}

func (t *tree) readFile(name string) (data []byte, err error) {
	err = t.visitFile(name, func(found item, reader io.Reader) error {
		data, err = readItem(found, reader, nil)
		return err
	})
	return data, err
}

// readItem reads a whole file into buffer, which grows as needed, and refuses
// one that is shorter or longer than it was said to be.
func readItem(found item, reader io.Reader, buffer []byte) ([]byte, error) {
	if int64(cap(buffer)) <= found.size {
		buffer = make([]byte, found.size+1)
	}
	n, err := io.ReadFull(reader, buffer[:found.size+1])
	switch {
	case err == nil:
		return nil, fmt.Errorf("%s is longer than the %d bytes it was said to have", found.path, found.size)
	case err != io.EOF && !errors.Is(err, io.ErrUnexpectedEOF):
		return nil, fmt.Errorf("read %s: %w", found.path, err)
	case int64(n) != found.size:
		return nil, fmt.Errorf("%s ends after %d of %d bytes", found.path, n, found.size)
	}
	return buffer[:n], nil
}
