// Package release gets a Matomo release, verifies it and hands out its files.
//
// It writes nothing to the system: an archive is kept in a file that the
// caller hands in (or in memory), and Walk gives verified files to a callback.
//
// An archive counts as Matomo's when its detached OpenPGP signature leads to a
// primary key whose full fingerprint is pinned in this program; nothing is
// unpacked before. Pinning a fingerprint makes it irrelevant where the key
// itself comes from: it is looked for beside the archive (signature.asc) and
// then at well-known places. An owner may pin other keys with a key file. Then
// every file is compared with the release's own manifest, which the signature
// covers.
//
// A directory, or an archive without a signature, has no proof of its origin.
// The owner has to accept that, and gets to know where it differs from its own
// manifest.
package release

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Options are the choices of the owner and the means of the caller. The zero
// value is good.
type Options struct {
	// AcceptUnsigned takes a directory, and an archive whose signature or whose
	// vendor's key cannot be had. A signature that is there and wrong is refused
	// all the same.
	AcceptUnsigned bool

	// Keys is an OpenPGP key file, armored or not. The release must then be
	// signed by one of its keys, and no longer by the vendor's.
	Keys []byte

	// Spool makes an empty file that archives are copied to before they are
	// looked at, so that nobody can change them in between; name is the last
	// part of the path or URL. Only the caller may be able to write to the file.
	// Release.Close closes it. When nil, anonymous memory is used.
	Spool func(name string) (*os.File, error)

	Client   *http.Client            // http.DefaultClient when nil
	Progress func(done, total int64) // of getting the archive, in bytes; total is -1 when unknown
}

// Release is a release that was verified, or accepted as it is. Close it.
type Release struct {
	Source   string   // path or URL
	Version  string   // of core/Version.php, such as "5.3.0"
	Signer   string   // fingerprint of the primary key in upper-case hex; empty: unsigned
	Digest   string   // SHA-256 in hex of the archive; for a directory, of its Files (see digestOf)
	Manifest Manifest // what the release says about itself

	// Files are the files that Walk hands out, with their SHA-256, whatever
	// the manifest uses: a baseline for audits. Unlike the manifest they have
	// the manifest itself and the autoloader.
	Files Manifest

	// Differences from the manifest, by path; none when the release is signed.
	Differences []Difference

	content content
}

// Difference is a file of an unsigned release that is not as its manifest says.
type Difference struct {
	Path string         `json:"path"` // a directory that was left out as a whole ends with a slash
	Kind DifferenceKind `json:"kind"`
}

// DifferenceKind says how a file differs.
type DifferenceKind string

// Kinds of differences.
const (
	Changed DifferenceKind = "changed" // handed out although size or hash differ
	Missing DifferenceKind = "missing" // in the manifest only
	Extra   DifferenceKind = "extra"   // not in the manifest: left out, never handed out
)

// Entry is a file of a release.
type Entry struct {
	Path   string      // relative to the root of the release, with slashes
	Size   int64       // bytes
	Mode   fs.FileMode // 0755 for console, 0644 for all others
	Reader io.Reader   // the verified content, good until the callback returns
}

// unlisted are the files of each release that its manifest does not name:
// Matomo's build makes them last.
var unlisted = []string{manifestPath, "vendor/autoload.php", "vendor/composer/autoload_real.php"}

// leftOut may be in a release without being in its manifest, but is not handed
// out: it is made for one web server only.
var leftOut = []string{"misc/user/.htaccess"}

const versionPath = "core/Version.php"

// Open gets a release and verifies it as a whole. An error says what is wrong
// and what to do about it; nothing is kept then.
func Open(ctx context.Context, source Source, options Options) (*Release, error) {
	if options.Client == nil {
		options.Client = http.DefaultClient
	}
	options.Client = withoutDowngrade(options.Client)
	if options.Progress == nil {
		options.Progress = func(int64, int64) {}
	}
	if options.Spool == nil {
		options.Spool = inMemory
	}
	r, err := open(ctx, source, options)
	if err != nil {
		return nil, err
	}
	if err := r.verify(ctx, source.Version); err != nil {
		return nil, errors.Join(fmt.Errorf("verify release %s: %w", source, err), r.Close())
	}
	return r, nil
}

// Close frees the archive or directory.
func (r *Release) Close() error { return r.content.Close() }

func open(ctx context.Context, source Source, options Options) (*Release, error) {
	if source.Path != "" {
		info, err := os.Stat(source.Path)
		if err != nil {
			return nil, fmt.Errorf("open the release: %w", err)
		}
		if info.IsDir() {
			return openDirectory(source, options)
		}
	}
	file, err := options.Spool(source.name())
	if err != nil {
		return nil, fmt.Errorf("make a file for release %s: %w", source, err)
	}
	r, err := openArchive(ctx, source, options, file)
	if err != nil {
		file.Close()
		return nil, err
	}
	return r, nil
}

func openDirectory(source Source, options Options) (*Release, error) {
	if !options.AcceptUnsigned {
		return nil, unsigned(source, errors.New("a directory cannot be signed"))
	}
	content, err := openTree(source.Path)
	if err != nil {
		return nil, err
	}
	return &Release{Source: source.String(), content: content}, nil
}

func openArchive(ctx context.Context, source Source, options Options, file *os.File) (*Release, error) {
	get := getter{source, options}
	digest := sha256.New()
	if err := get.archive(ctx, io.MultiWriter(file, digest)); err != nil {
		return nil, err
	}
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, fmt.Errorf("read the archive: %w", err)
	}
	signer, err := get.signer(ctx, io.NewSectionReader(file, 0, size))
	if err != nil {
		return nil, err
	}
	return &Release{
		Source:  source.String(),
		Signer:  signer,
		Digest:  hex.EncodeToString(digest.Sum(nil)),
		content: &archive{file: file, size: size, limits: releaseLimits},
	}, nil
}

// inMemory makes a file that has no name and no place on a disk.
func inMemory(name string) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

func unsigned(source Source, reason error) error {
	return fmt.Errorf("release %s has no proof that it comes from Matomo: %w\nhint: if you trust it, use --accept-unsigned", source, reason)
}

// getter gets an archive and what belongs to it.
type getter struct {
	source  Source
	options Options
}

const offlineHint = "hint: without a network, give a release that was downloaded before, with its .asc: --release PATH"

// Limits of small files, in bytes.
const (
	signatureLimit = 64 << 10
	keyLimit       = 1 << 20
)

func (g getter) archive(ctx context.Context, to io.Writer) error {
	if g.source.URL == "" {
		return readFile(ctx, g.source.Path, releaseLimits.archive, to, g.options.Progress)
	}
	err := download(ctx, g.options.Client, g.source.URL, releaseLimits.archive, to, g.options.Progress)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, offlineHint)
	}
	return nil
}

// signer returns the fingerprint of the key that signed the archive, or
// nothing when it is unsigned and the owner accepts that.
func (g getter) signer(ctx context.Context, archive io.Reader) (string, error) {
	signature, err := g.companion(ctx, signatureLimit, func(path string) string { return path + ".asc" })
	if errors.Is(err, errNotFound) {
		return "", g.acceptUnsigned(fmt.Errorf("look for its signature: %w", err))
	}
	if err != nil {
		return "", fmt.Errorf("get the signature: %w\n%s", err, offlineHint)
	}
	var ring keyring
	if g.options.Keys != nil {
		ring, err = readKeyring(g.options.Keys)
		if err != nil {
			return "", err
		}
	} else {
		ring, err = g.vendorKey(ctx)
		if err != nil {
			return "", g.acceptUnsigned(fmt.Errorf("it is signed, but the key %s could not be had:\n%w\nhint: put that key beside the archive as signature.asc", VendorKey, err))
		}
	}
	signer, err := ring.verify(archive, signature)
	if err != nil {
		return "", fmt.Errorf("release %s is refused: %w\nhint: if an owner other than Matomo signed it, name their key file", g.source, err)
	}
	return signer, nil
}

func (g getter) acceptUnsigned(reason error) error {
	switch {
	case !g.options.AcceptUnsigned:
		return unsigned(g.source, reason)
	case strings.HasPrefix(g.source.URL, "http://"):
		return fmt.Errorf("release %s has no signature, and http lets anyone on the way change it\nhint: use https", g.source)
	}
	return nil
}

// vendorKey looks for the vendor's key beside the archive and at well-known
// places until one has the key with the pinned fingerprint.
func (g getter) vendorKey(ctx context.Context) (keyring, error) {
	var failures []error
	try := func(file []byte, err error) (ring keyring, ok bool) {
		if err == nil {
			ring, err = readKeyring(file, VendorKey)
		}
		failures = append(failures, err)
		return ring, err == nil
	}
	if ring, ok := try(g.companion(ctx, keyLimit, func(name string) string { return path.Join(path.Dir(name), "signature.asc") })); ok {
		return ring, nil
	}
	for _, url := range vendorKeyURLs {
		var file strings.Builder
		err := download(ctx, g.options.Client, url, keyLimit, &file, func(int64, int64) {})
		if ring, ok := try([]byte(file.String()), err); ok {
			return ring, nil
		}
	}
	return keyring{}, errors.Join(failures...)
}

// companion reads a small file that lies near the archive; name turns the path
// of the archive into that of the file. The error is errNotFound when there is
// none.
func (g getter) companion(ctx context.Context, limit int64, name func(path string) string) ([]byte, error) {
	var file strings.Builder
	ignore := func(int64, int64) {}
	if g.source.URL != "" {
		err := download(ctx, g.options.Client, beside(g.source.URL, name), limit, &file, ignore)
		return []byte(file.String()), err
	}
	at := name(filepath.ToSlash(g.source.Path))
	err := readFile(ctx, at, limit, &file, ignore)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%s: %w", at, errNotFound)
	}
	return []byte(file.String()), err
}

// readFile copies a local file of at most limit bytes. It does not wait for a
// named pipe.
func readFile(ctx context.Context, name string, limit int64, to io.Writer, progress func(done, total int64)) error {
	file, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is not a regular file", name)
	case info.Size() > limit:
		return fmt.Errorf("%s has %d bytes, more than %d", name, info.Size(), limit)
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	counted := &progressWriter{to: to, total: info.Size(), report: progress}
	n, err := io.Copy(counted, io.LimitReader(file, limit+1))
	if err == nil && n > limit {
		err = fmt.Errorf("%s has more than %d bytes", name, limit)
	}
	return err
}

// found is what the first pass learns about a file: both hashes, as it may
// come before the manifest that says which one counts.
type found struct {
	size        int64
	md5, sha256 string
}

func (f found) is(listed Sum) bool {
	if listed.IsMD5() {
		return f.size == listed.Size && f.md5 == listed.Hash
	}
	return f.size == listed.Size && f.sha256 == listed.Hash
}

// verify is the first pass: it reads all, hands out nothing, and fills in what
// the release is.
func (r *Release) verify(ctx context.Context, wantVersion string) error {
	files := map[string]found{}
	var manifest, version []byte
	err := r.each(ctx, func(name string, data []byte) error {
		long, short := sha256.Sum256(data), md5.Sum(data)
		files[name] = found{int64(len(data)), hex.EncodeToString(short[:]), hex.EncodeToString(long[:])}
		switch name {
		case manifestPath:
			manifest = slices.Clone(data)
		case versionPath:
			version = slices.Clone(data)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if manifest == nil || version == nil {
		return fmt.Errorf("this is no Matomo: %s/%s or %s/%s is missing", topDirectory, manifestPath, topDirectory, versionPath)
	}
	if r.Manifest, err = ParseManifest(manifest); err != nil {
		return err
	}
	if r.Version, err = ParseVersion(version); err != nil {
		return err
	}
	if wantVersion != "" && wantVersion != r.Version {
		return fmt.Errorf("it is version %s, not %s: somebody may want to have an old release installed", r.Version, wantVersion)
	}
	r.compare(files)
	if r.Signer != "" && len(r.Differences) > 0 {
		return fmt.Errorf("%d files are not as its manifest says, first %s (%s)", len(r.Differences), r.Differences[0].Path, r.Differences[0].Kind)
	}
	if r.Digest == "" {
		r.Digest = digestOf(r.Files)
	}
	return nil
}

var versionConstant = regexp.MustCompile(`(?m)^\s*(?:public )?const VERSION = '([^']*)';`)

// ParseVersion reads the version of Matomo from its core/Version.php.
func ParseVersion(file []byte) (string, error) {
	match := versionConstant.FindSubmatch(file)
	if match == nil || !versionPattern.Match(match[1]) {
		return "", fmt.Errorf("%s tells no version", versionPath)
	}
	return string(match[1]), nil
}

// compare sets Files and Differences.
func (r *Release) compare(files map[string]found) {
	r.Files = Manifest{}
	differ := func(name string, kind DifferenceKind) {
		r.Differences = append(r.Differences, Difference{name, kind})
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		file := files[name]
		listed, ok := r.Manifest[name]
		switch {
		case slices.Contains(leftOut, name):
			continue
		case !ok && !slices.Contains(unlisted, name):
			differ(name, Extra)
			continue
		case ok && !file.is(listed):
			differ(name, Changed)
		}
		r.Files[name] = Sum{Size: file.size, Hash: file.sha256}
	}
	for name := range r.Manifest {
		if _, ok := files[name]; !ok {
			differ(name, Missing)
		}
	}
	if tree, ok := r.content.(*tree); ok {
		for _, name := range tree.left {
			differ(name, Extra)
		}
	}
	slices.SortFunc(r.Differences, func(a, b Difference) int { return strings.Compare(a.Path, b.Path) })
}

// digestOf is the SHA-256 of the lines "HASH  PATH\n" of all files in the
// order of their paths: what sha256sum(1) prints for them.
func digestOf(files Manifest) string {
	digest := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(digest, "%s  %s\n", files[name].Hash, name)
	}
	return hex.EncodeToString(digest.Sum(nil))
}

// Walk hands out the files of the release, always in the same order; trim may
// be nil. Each file is hashed once more before it is handed out, so that what
// emit reads is what was verified, whoever changed the archive or directory in
// between. It stops at the first error, its own or emit's.
func (r *Release) Walk(ctx context.Context, trim *Trim, emit func(Entry) error) error {
	passed := 0
	err := r.each(ctx, func(name string, data []byte) error {
		want, ok := r.Files[name]
		if !ok {
			return nil
		}
		if hash := sha256.Sum256(data); hex.EncodeToString(hash[:]) != want.Hash {
			return changedMeanwhile(r.Source, name)
		}
		passed++
		if trim.Drops(name) {
			return nil
		}
		mode := fs.FileMode(0o644)
		if name == "console" {
			mode = 0o755
		}
		return emit(Entry{Path: name, Size: want.Size, Mode: mode, Reader: bytes.NewReader(data)})
	})
	if err == nil && passed != len(r.Files) {
		err = changedMeanwhile(r.Source, fmt.Sprintf("%d of %d files", len(r.Files)-passed, len(r.Files)))
	}
	return err
}

func changedMeanwhile(source, what string) error {
	return fmt.Errorf("release %s: %s changed after it was verified", source, what)
}

// each reads every file as a whole; data is good until visit returns.
func (r *Release) each(ctx context.Context, visit func(name string, data []byte) error) error {
	var buffer []byte
	return r.content.each(ctx, func(file item, reader io.Reader) error {
		if file.dir {
			return nil
		}
		data, err := readItem(file, reader, buffer)
		if err != nil {
			return err
		}
		buffer = data
		return visit(file.path, data)
	})
}
