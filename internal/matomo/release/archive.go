package release

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"unicode/utf8"
)

// content is a tree of files that can be walked any number of times, each time
// in the same order.
type content interface {
	// each calls visit for every file and directory until one fails. The reader
	// gives the bytes of a file and is good until visit returns.
	each(ctx context.Context, visit func(item, io.Reader) error) error
	Close() error
}

// item is a file or a directory as its container describes it: nothing of it
// is checked.
type item struct {
	path string
	size int64
	dir  bool
}

// limits are what a release may not exceed. Matomo 5.3.0 has 11,000 files of
// together 72 MB, its largest has 2 MB, and it packs to a third.
type limits struct {
	entries int
	file    int64 // bytes of one file
	total   int64 // bytes of all files
	ratio   int64 // bytes of all files per byte of the archive, from slack on
	slack   int64
	archive int64 // bytes of the archive itself
}

var releaseLimits = limits{
	entries: 100_000,
	file:    32 << 20,
	total:   1 << 30,
	ratio:   50,
	slack:   16 << 20,
	archive: 128 << 20,
}

// unpacked returns how many bytes may come out of an archive of a size.
func (l limits) unpacked(archive int64) int64 {
	return min(l.total, max(l.slack, archive*l.ratio))
}

// topDirectory is the only part of an archive that counts. Beside it lies a
// page that tells how to install.
const topDirectory = "matomo"

// archive walks the top directory of a .tar.gz or .zip file.
type archive struct {
	file   *os.File
	size   int64
	limits limits
}

func (a *archive) Close() error { return a.file.Close() }

// each checks every entry of the archive, also those outside the top
// directory, before it visits it.
func (a *archive) each(ctx context.Context, visit func(item, io.Reader) error) error {
	magic := make([]byte, 4)
	if _, err := a.file.ReadAt(magic, 0); err != nil {
		return fmt.Errorf("read the archive: it is too short: %w", err)
	}
	unpack := a.tarball
	switch {
	case bytes.Equal(magic, []byte("PK\x03\x04")):
		unpack = a.zipFile
	case !bytes.HasPrefix(magic, []byte("\x1f\x8b")):
		return errors.New("read the archive: it is neither gzip nor zip")
	}
	budget := budget{limits: a.limits, left: a.limits.unpacked(a.size)}
	names := names{}
	return unpack(func(found item, reader io.Reader) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		found.path = strings.TrimSuffix(found.path, "/")
		if err := checkPath(found.path); err != nil {
			return fmt.Errorf("archive entry: %w", err)
		}
		if err := budget.spend(found); err != nil {
			return err
		}
		if err := names.add(found); err != nil {
			return err
		}
		inside, ok := strings.CutPrefix(found.path, topDirectory+"/")
		if !ok {
			return nil
		}
		found.path = inside
		return visit(found, reader)
	})
}

func (a *archive) tarball(visit func(item, io.Reader) error) error {
	packed := bufio.NewReaderSize(io.NewSectionReader(a.file, 0, a.size), 1<<16)
	unzipped, err := gzip.NewReader(packed)
	if err != nil {
		return fmt.Errorf("read the archive: %w", err)
	}
	unzipped.Multistream(false) // what follows the first stream is garbage
	stream := &stream{from: unzipped, left: a.limits.unpacked(a.size)}
	entries := tar.NewReader(stream)
	for {
		header, err := entries.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("read the archive: %w", err)
		}
		if header.Typeflag != tar.TypeReg && header.Typeflag != tar.TypeDir {
			return fmt.Errorf("archive entry %q is %s: only files and directories are taken", header.Name, tarKind(header.Typeflag))
		}
		found := item{path: header.Name, size: header.Size, dir: header.Typeflag == tar.TypeDir}
		if err := visit(found, entries); err != nil {
			return err
		}
	}
	// tar ends with 1024 zero bytes, and may be filled up with more.
	stream.zeros = true
	if _, err := io.Copy(io.Discard, stream); err != nil {
		return fmt.Errorf("read the end of the archive: %w", err)
	}
	if stream.trailing < 1024 {
		return errors.New("read the archive: it is truncated")
	}
	if _, err := packed.Peek(1); err != io.EOF {
		return errors.New("read the archive: there is something behind its end")
	}
	return nil
}

func tarKind(typeflag byte) string {
	switch typeflag {
	case tar.TypeSymlink:
		return "a symbolic link"
	case tar.TypeLink:
		return "a hard link"
	case tar.TypeChar, tar.TypeBlock:
		return "a device"
	case tar.TypeFifo:
		return "a named pipe"
	}
	return fmt.Sprintf("of the unknown type %q", typeflag)
}

// stream reads what a compressed archive unpacks to, with an end to it.
type stream struct {
	from     io.Reader
	left     int64
	trailing int  // zero bytes at the end of what was read, up to maxTrailing
	zeros    bool // from now on, only zero bytes are right
}

const maxTrailing = 1 << 20

func (s *stream) Read(p []byte) (int, error) {
	n, err := s.from.Read(p)
	if s.left -= int64(n); s.left < 0 {
		return 0, errTooMuch
	}
	zeros := n - len(bytes.TrimRight(p[:n], "\x00"))
	if zeros < n {
		s.trailing = 0
		if s.zeros {
			return 0, errors.New("there is something behind the last entry")
		}
	}
	s.trailing = min(s.trailing+zeros, maxTrailing)
	return n, err
}

var errTooMuch = errors.New("it unpacks to far more than a Matomo release has")

func (a *archive) zipFile(visit func(item, io.Reader) error) error {
	directory, err := zip.NewReader(a.file, a.size)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) { // checkPath says it better
		return fmt.Errorf("read the archive: %w", err)
	}
	end := make([]byte, 4)
	if _, err := a.file.ReadAt(end, a.size-int64(22+len(directory.Comment))); err != nil || string(end) != "PK\x05\x06" {
		return errors.New("read the archive: there is something behind its end")
	}
	for _, file := range directory.File {
		mode := file.Mode()
		if !mode.IsRegular() && !mode.IsDir() {
			return fmt.Errorf("archive entry %q is not a file or directory (%s)", file.Name, mode.Type())
		}
		if file.Flags&1 != 0 {
			return fmt.Errorf("archive entry %q is encrypted", file.Name)
		}
		if file.UncompressedSize64 > 1<<62 {
			return fmt.Errorf("archive entry %q: %w", file.Name, errTooMuch)
		}
		found := item{path: file.Name, size: int64(file.UncompressedSize64), dir: mode.IsDir()}
		if found.dir && found.size > 0 {
			return fmt.Errorf("archive entry %q is a directory with content", file.Name)
		}
		if err := a.visitZipped(file, found, visit); err != nil {
			return err
		}
	}
	return nil
}

func (a *archive) visitZipped(file *zip.File, found item, visit func(item, io.Reader) error) error {
	reader, err := file.Open()
	if err != nil {
		return fmt.Errorf("archive entry %q: %w", file.Name, err)
	}
	defer reader.Close()
	return visit(found, reader)
}

// budget is what entries may still take.
type budget struct {
	limits  limits
	entries int
	left    int64 // bytes of files
}

func (b *budget) spend(i item) error {
	if b.entries++; b.entries > b.limits.entries {
		return fmt.Errorf("the archive has more than %d entries", b.limits.entries)
	}
	if i.size < 0 || i.size > b.limits.file {
		return fmt.Errorf("archive entry %q has %d bytes: no file of Matomo has more than %d", i.path, i.size, b.limits.file)
	}
	if b.left -= i.size; b.left < 0 {
		return fmt.Errorf("archive entry %q: %w", i.path, errTooMuch)
	}
	return nil
}

// names are the paths met so far and the directories they are in, by their
// lower-case form.
type names map[string]item

// add refuses a path that stands for two things, or that differs from another
// one by upper and lower case only.
func (n names) add(found item) error {
	for parent := path.Dir(found.path); parent != "."; parent = path.Dir(parent) {
		known, err := n.put(item{path: parent, dir: true})
		if err != nil {
			return err
		}
		if known {
			break // and so are its parents
		}
	}
	known, err := n.put(item{path: found.path, dir: found.dir})
	if err == nil && known && !found.dir {
		return fmt.Errorf("archive entry %q stands twice", found.path)
	}
	return err
}

func (n names) put(i item) (known bool, err error) {
	folded := strings.ToLower(i.path)
	other, known := n[folded]
	switch {
	case !known:
		n[folded] = i
		return false, nil
	case other.path != i.path:
		return true, fmt.Errorf("archive entries %q and %q differ by upper and lower case only", other.path, i.path)
	case other.dir != i.dir:
		return true, fmt.Errorf("archive entry %q is a file and a directory", i.path)
	}
	return true, nil
}

// checkPath accepts relative slash paths that name a place below the current
// directory on any system, in one way only.
func checkPath(name string) error {
	switch {
	case name == "" || len(name) > 1024 || !utf8.ValidString(name):
		return fmt.Errorf("the path %.80q is empty, too long or not valid UTF-8", name)
	case strings.HasPrefix(name, "/"):
		return fmt.Errorf("the path %q is absolute", name)
	case strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\\' }):
		return fmt.Errorf("the path %q holds a control character or backslash", name)
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part == "." || part == ".." || len(part) > 255 {
			return fmt.Errorf("the path %q could lead out of the release (%q)", name, part)
		}
	}
	return nil
}
