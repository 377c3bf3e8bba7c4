package respond

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"rocca/internal/incident"
	"rocca/internal/mariadb"
	"rocca/internal/run"
	"rocca/internal/triage"
)

// snapshotLimit bounds the files of a snapshot, in bytes.
const snapshotLimit = 8 << 30

func (s *Server) planSnapshot(ctx context.Context) ([]string, error) {
	var would []string
	for _, name := range s.Files {
		if _, err := os.Lstat(name); err == nil {
			would = append(would, "copy "+name)
		}
	}
	if s.Schema == "" {
		return would, nil
	}
	if s.Database.DB != nil {
		var bytes float64
		if err := s.Database.DB.QueryRowContext(ctx, "SELECT COALESCE(SUM(data_length), 0) FROM information_schema.tables WHERE table_schema = ?", s.Schema).Scan(&bytes); err == nil {
			return append(would, fmt.Sprintf("dump the schema %s, about %.0f MiB", s.Schema, bytes/(1<<20))), nil
		}
	}
	return append(would, "dump the schema "+s.Schema), nil
}

// snapshot copies files and the database. One that fails does not keep the
// other from being taken.
func (s *Server) snapshot(ctx context.Context, c *incident.Case) error {
	c.Hide(s.Secrets...)
	return errors.Join(s.copyFiles(ctx, c), s.copyJournal(ctx, c), s.dump(ctx, c))
}

func (s *Server) copyFiles(ctx context.Context, c *incident.Case) error {
	if has(c, "snapshot/files.tar.gz") {
		return nil // it was taken before a kill
	}
	a := archive{ctx: ctx, values: incident.Forms(s.Secrets), leave: s.Leave, code: s.Code, left: s.Limit}
	if a.left == 0 {
		a.left = snapshotLimit
	}
	if err := room(c.Dir); err != nil {
		return err
	}
	e, err := c.Evidence("snapshot/files.tar.gz", "rocca respond", func(w io.Writer) error {
		packed, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
		if err != nil {
			return err
		}
		a.tar = tar.NewWriter(packed)
		for _, name := range s.Files {
			if err := a.add(name); err != nil {
				return err
			}
		}
		return errors.Join(a.tar.Close(), packed.Close())
	})
	if err != nil {
		return err
	}
	if _, err := c.Put("snapshot/files.sha256", "rocca respond", a.sums.Bytes()); err != nil {
		return err
	}
	for _, gap := range a.gaps {
		if err := c.NotTaken(gap.What, gap.Why); err != nil {
			return err
		}
	}
	return c.Note(fmt.Sprintf("copied %d files; the hashes of all as they are on the disk are in snapshot/files.sha256, that of the copy is %s", a.files, e.SHA256))
}

func has(c *incident.Case, name string) bool {
	return slices.ContainsFunc(c.Story().Evidence, func(e incident.Evidence) bool { return e.Name == name })
}

// room refuses to fill the disk: a server whose disk is full loses its logs.
func room(dir string) error {
	var free unix.Statfs_t
	if err := unix.Statfs(dir, &free); err != nil {
		return fmt.Errorf("look how much room there is: %w", err)
	}
	const least = 512 << 20
	if have := free.Bavail * uint64(free.Bsize); have < least {
		return fmt.Errorf("copy files: %d MiB are free at %s, and %d are left for the server itself\nhint: mount a disk there, then start again", have>>20, dir, least>>20)
	}
	return nil
}

// archive is a snapshot of files as it grows.
type archive struct {
	ctx    context.Context
	tar    *tar.Writer
	values []string     // that are masked
	leave  []string     // paths that are left out
	code   string       // directory whose files are copied as they are
	sums   bytes.Buffer // as sha256sum(1) writes it, of the files as they are
	files  int
	left   int64
	gaps   []incident.Gap
}

func (a *archive) miss(what, why string) {
	const most = 200
	if len(a.gaps) < most {
		a.gaps = append(a.gaps, incident.Gap{What: what, Why: why})
	}
}

// add copies a file, or a directory with all below. Links are kept as links.
func (a *archive) add(top string) error {
	return filepath.WalkDir(top, func(name string, d fs.DirEntry, err error) error {
		if a.ctx.Err() != nil {
			return context.Cause(a.ctx)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			a.miss(name, err.Error())
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return nil // it vanished
		}
		return a.one(name, info)
	})
}

func (a *archive) one(name string, info fs.FileInfo) error {
	target := ""
	if info.Mode()&fs.ModeSymlink != 0 {
		target, _ = os.Readlink(name)
	}
	header, err := tar.FileInfoHeader(info, target)
	if err != nil {
		return nil // a socket
	}
	header.Name = strings.TrimPrefix(name, "/")
	header.Format = tar.FormatPAX
	if stat, known := info.Sys().(*syscall.Stat_t); known {
		header.ChangeTime = time.Unix(stat.Ctim.Unix())
	}
	if !info.Mode().IsRegular() {
		return a.tar.WriteHeader(header)
	}
	if why := a.secret(name, info); why != "" {
		if sum, err := sumOf(name); err == nil {
			fmt.Fprintf(&a.sums, "%s  %s\n", sum, name)
			why += ", its SHA-256 is in files.sha256"
		}
		a.miss(name, why)
		return nil
	}
	if info.Size() > a.left {
		a.miss(name, fmt.Sprintf("its %d bytes are more than is left of the limit", info.Size()))
		return nil
	}
	file, err := os.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOATIME, 0)
	if err != nil {
		a.miss(name, err.Error())
		return nil
	}
	defer file.Close()
	a.files++
	hash := sha256.New()
	if isPackedLog(name) {
		return a.packedLog(name, header, io.TeeReader(file, hash), hash)
	}
	if err := a.tar.WriteHeader(header); err != nil {
		return err
	}
	masked := incident.NewMask(a.tar, a.values)
	lines := &lineMask{w: masked, off: a.code != "" && strings.HasPrefix(name, a.code+"/")}
	n, err := io.Copy(io.MultiWriter(hash, lines), io.LimitReader(file, header.Size))
	if err == nil {
		err = errors.Join(lines.flush(), masked.Flush())
	}
	if err == nil && n < header.Size { // it was cut meanwhile
		_, err = io.CopyN(a.tar, zeros{}, header.Size-n)
	}
	a.left -= n
	a.sum(hash, name)
	return err
}

func (a *archive) sum(hash hash.Hash, name string) {
	fmt.Fprintf(&a.sums, "%s  %s\n", hex.EncodeToString(hash.Sum(nil)), name)
}

func isPackedLog(name string) bool {
	return strings.HasPrefix(name, "/var/log/") && strings.HasSuffix(name, ".gz")
}

// unpackedLimit is the largest rotated log that is taken, in bytes.
const unpackedLimit = 64 << 20

// packedLog takes a log that was rotated: unpacked, as secrets in it are not
// seen otherwise.
func (a *archive) packedLog(name string, header *tar.Header, r io.Reader, hash hash.Hash) error {
	unpacked, err := gzip.NewReader(r)
	var text bytes.Buffer
	if err == nil {
		masked := incident.NewMask(&text, a.values)
		lines := &lineMask{w: masked}
		if _, err = io.Copy(lines, io.LimitReader(unpacked, unpackedLimit)); err == nil {
			err = errors.Join(lines.flush(), masked.Flush())
		}
	}
	if err != nil {
		a.miss(name, "it cannot be unpacked: "+err.Error())
		return nil
	}
	if text.Len() >= unpackedLimit {
		a.miss(name, fmt.Sprintf("unpacked it has more than %d MiB; the first are taken", unpackedLimit>>20))
	}
	if _, err := io.Copy(io.Discard, r); err != nil {
		return nil // its hash is of no use then
	}
	a.sum(hash, name)
	header.Name, header.Size = strings.TrimSuffix(header.Name, ".gz"), int64(text.Len())
	a.left -= header.Size
	if err := a.tar.WriteHeader(header); err != nil {
		return err
	}
	_, err = a.tar.Write(text.Bytes())
	return err
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// secret tells why a file is left out: it is a secret as a whole.
func (a *archive) secret(name string, info fs.FileInfo) string {
	base := filepath.Base(name)
	switch {
	case slices.Contains(a.leave, name):
		return "it holds passwords"
	case strings.HasPrefix(name, "/var/log/journal/"):
		return "its lines are in journal.txt.gz, without secrets"
	case strings.HasPrefix(name, "/etc/shadow") || strings.HasPrefix(name, "/etc/gshadow"):
		return "password hashes"
	case strings.HasPrefix(base, "ssh_host_") && !strings.HasSuffix(base, ".pub"), strings.HasPrefix(base, "id_") && !strings.HasSuffix(base, ".pub"):
		return "a private key"
	case info.Size() > 0 && info.Size() < 64<<10 && strings.HasPrefix(name, "/etc/") && holdsKey(name):
		return "a private key"
	}
	return ""
}

func holdsKey(name string) bool {
	file, err := os.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, 64<<10))
	return err == nil && bytes.Contains(text, []byte("PRIVATE KEY-----"))
}

func sumOf(name string) (string, error) {
	file, err := os.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return "", err
	}
	defer file.Close()
	hash := sha256.New()
	_, err = io.Copy(hash, file)
	return hex.EncodeToString(hash.Sum(nil)), err
}

// lineMask masks what looks like a secret in each line of a text, and keeps its
// length. What is no text passes as it is.
type lineMask struct {
	w     io.Writer
	off   bool // nothing is masked
	begun bool
	rest  []byte
}

// lineLimit is the longest line that is looked at as a whole.
const lineLimit = 64 << 10

func (l *lineMask) Write(p []byte) (int, error) {
	if !l.begun && len(p) > 0 {
		l.begun = true
		l.off = l.off || bytes.IndexByte(p[:min(len(p), 8000)], 0) >= 0
	}
	if l.off {
		return l.w.Write(p)
	}
	l.rest = append(l.rest, p...)
	for {
		end := bytes.IndexByte(l.rest, '\n') + 1
		if end == 0 && len(l.rest) > lineLimit {
			end = len(l.rest)
		}
		if end == 0 {
			return len(p), nil
		}
		if _, err := l.w.Write(sameLength(l.rest[:end])); err != nil {
			return 0, err
		}
		l.rest = append(l.rest[:0], l.rest[end:]...)
	}
}

func (l *lineMask) flush() error {
	_, err := l.w.Write(sameLength(l.rest))
	return err
}

// sameLength redacts a line and fills it up, or shortens it, to what it was.
func sameLength(line []byte) []byte {
	redacted := triage.Redact(string(line))
	if redacted == string(line) {
		return line
	}
	body, end := strings.TrimRight(redacted, "\r\n"), ""
	if bytes.HasSuffix(line, []byte("\n")) {
		end = "\n"
	}
	room := len(line) - len(end)
	if len(body) > room {
		body = body[:room]
	}
	return []byte(body + strings.Repeat("*", room-len(body)) + end)
}

// copyJournal exports the journal as text.
func (s *Server) copyJournal(ctx context.Context, c *incident.Case) error {
	if has(c, "snapshot/journal.txt.gz") {
		return nil
	}
	_, err := c.Evidence("snapshot/journal.txt.gz", "journalctl", s.packed(func(w io.Writer) error {
		lines := &lineMask{w: w}
		_, err := run.Do(ctx, run.Command{Argv: []string{"journalctl", "--no-pager", "--quiet", "--all", "--output", "short-iso-precise"}, Output: lines})
		var failed *run.Error
		if errors.As(err, &failed) {
			return fmt.Errorf("journalctl ended with %d", failed.ExitCode) // its output is the journal
		}
		return errors.Join(err, lines.flush())
	}))
	return err
}

// packed compresses what fill writes, with the secrets masked.
func (s *Server) packed(fill func(io.Writer) error) func(io.Writer) error {
	return func(w io.Writer) error {
		packed, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
		if err != nil {
			return err
		}
		masked := incident.NewMask(packed, incident.Forms(s.Secrets))
		if err := fill(masked); err != nil {
			return err
		}
		return errors.Join(masked.Flush(), packed.Close())
	}
}

// dump writes the schema of Matomo as SQL.
func (s *Server) dump(ctx context.Context, c *incident.Case) error {
	if s.Schema == "" {
		return c.NotTaken("database", "no database of Matomo is known")
	}
	if has(c, "snapshot/database.sql.gz") {
		return nil
	}
	e, err := c.Evidence("snapshot/database.sql.gz", "mariadb-dump", s.packed(func(w io.Writer) error {
		return s.dumpTo(ctx, w, "--single-transaction", "--routines", "--triggers", "--events", "--hex-blob")
	}))
	if err != nil {
		return err
	}
	return c.Note("dumped the schema " + s.Schema + ", SHA-256 " + e.SHA256)
}

// dumpTo runs mariadb-dump. A password goes in by standard input; what it says
// besides the dump is told only when it fails.
func (s *Server) dumpTo(ctx context.Context, w io.Writer, options ...string) error {
	program := "mariadb-dump"
	if _, err := run.Look(program); err != nil {
		program = "mysqldump"
	}
	stdin := "[client]\nsocket=" + mariadb.Socket + "\nuser=root\n"
	if server := s.Database.Server; server.Remote() {
		stdin = fmt.Sprintf("[client]\nprotocol=tcp\nhost=%s\nport=%d\nuser=%s\npassword=%s\nssl-ca=%s\nssl-verify-server-cert\n",
			server.Host, server.Port, server.User, optionValue(server.Password.Reveal()), s.CAFile)
	}
	argv := append([]string{program, "--defaults-file=/dev/stdin", "--log-error=/dev/null", "--skip-dump-date"}, options...)
	_, err := run.Do(ctx, run.Command{Argv: append(argv, "--", s.Schema), Stdin: strings.NewReader(stdin), Output: w})
	var failed *run.Error
	if errors.As(err, &failed) {
		// Its output is the dump: nothing of it goes into a message.
		return fmt.Errorf("dump the schema %s: %s ended with %d", s.Schema, program, failed.ExitCode)
	}
	return err
}

// optionValue quotes a value of an option file of MariaDB.
func optionValue(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
}

// trySnapshot dumps the structure of the database to nowhere, and looks whether
// there is room.
func (s *Server) trySnapshot(ctx context.Context, c *incident.Case) error {
	if err := room(c.Dir); err != nil {
		return err
	}
	if s.Schema == "" {
		return incident.Skip("no database of Matomo is known")
	}
	if err := s.dumpTo(ctx, io.Discard, "--no-data"); err != nil {
		return err
	}
	return c.Note("there is room for a snapshot, and the database can be dumped; nothing was copied")
}
