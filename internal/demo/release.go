package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"rocca/internal/matomo/release"
	"rocca/internal/run"
	"rocca/internal/standin"
)

// releaseDir keeps what was downloaded, for the next server.
const releaseDir = "/var/cache/rocca/releases"

// hostRelease is a release on this host, to be copied into a server. The zero
// value stands for the stand-in, which is built when it is needed.
type hostRelease struct {
	Path string // archive or directory
	Key  string // file with the OpenPGP key it is signed with; empty: Matomo's own
}

// chooseRelease finds the release that the options name, and downloads it if
// it is not on this host: a server has no way out.
func chooseRelease(ctx context.Context, o Options, say func(string, ...any)) (hostRelease, error) {
	spec := o.Release
	if spec == "" {
		spec = o.NewestRelease
	}
	chosen := hostRelease{}
	err := errors.New("none is known")
	if spec != "" {
		chosen, err = fetchRelease(ctx, spec, say)
	}
	if err != nil && o.Release != "" {
		return hostRelease{}, err
	}
	if err != nil {
		say("this is rocca's stand-in, not Matomo: no release is named (--release, make: RELEASE=), and none could be fetched")
		cause, _, _ := strings.Cut(err.Error(), "\n")
		say("the cause: %s", cause)
		return hostRelease{}, nil
	}
	chosen.Key = o.ReleaseKey
	return chosen, nil
}

func fetchRelease(ctx context.Context, spec string, say func(string, ...any)) (hostRelease, error) {
	source, err := release.Parse(spec)
	if err != nil {
		return hostRelease{}, err
	}
	if source.URL == "" {
		path, err := filepath.Abs(source.Path)
		if err != nil {
			return hostRelease{}, fmt.Errorf("find the release %s: %w", source.Path, err)
		}
		return hostRelease{Path: path}, nil
	}
	archive := filepath.Join(releaseDir, path.Base(source.URL))
	if isFile(archive) {
		say("using %s, downloaded before", archive)
		return hostRelease{Path: archive}, nil
	}
	if err := os.MkdirAll(releaseDir, 0o700); err != nil {
		return hostRelease{}, fmt.Errorf("download the release: %w", err)
	}
	// What proves the archive comes first: rocca inside the server checks it.
	directory := strings.TrimSuffix(source.URL, path.Base(source.URL))
	for _, companion := range []string{source.URL + ".asc", directory + signingKey} {
		err := download(ctx, companion, filepath.Join(releaseDir, path.Base(companion)), 1<<20, func() {})
		if err != nil && !errors.Is(err, errNotThere) {
			return hostRelease{}, err
		}
	}
	err = download(ctx, source.URL, archive, 1<<30, func() { say("downloading %s", source.URL) })
	return hostRelease{Path: archive}, err
}

// signingKey is the name of the vendor's key beside an archive.
const signingKey = "signature.asc"

var errNotThere = errors.New("the server has no such file")

// download gets a file, whole or not at all. begun is called when the server
// has answered.
func download(ctx context.Context, from, to string, limit int64, begun func()) error {
	failed := func(err error) error { return fmt.Errorf("download %s: %w", from, err) }
	ctx, cancel := context.WithTimeoutCause(ctx, 15*time.Minute, errors.New("it takes more than 15 minutes"))
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return failed(err)
	}
	impatient := http.DefaultTransport.(*http.Transport).Clone()
	impatient.ResponseHeaderTimeout = 10 * time.Second
	impatient.DialContext = (&net.Dialer{Timeout: 5 * time.Second}).DialContext
	response, err := (&http.Client{Transport: impatient}).Do(request)
	var problem *url.Error
	if errors.As(err, &problem) {
		err = problem.Err // without the URL, which is named already
	}
	if err != nil {
		return failed(err)
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusNotFound {
		return failed(errNotThere)
	}
	if response.StatusCode != http.StatusOK {
		return failed(errors.New(response.Status))
	}
	begun()
	file, err := os.CreateTemp(filepath.Dir(to), ".download-")
	if err != nil {
		return failed(err)
	}
	defer os.Remove(file.Name()) // nothing is there after the rename
	defer file.Close()
	n, err := io.Copy(file, io.LimitReader(response.Body, limit+1))
	if err != nil {
		return failed(err)
	}
	if n > limit {
		return failed(fmt.Errorf("it is longer than %d bytes", limit))
	}
	if err := os.Rename(file.Name(), to); err != nil {
		return failed(err)
	}
	return nil
}

// standinRelease builds the stand-in into a directory, signed with a key of its own.
func standinRelease(dir string) (hostRelease, error) {
	built, err := standin.Build(standin.Version)
	if err != nil {
		return hostRelease{}, err
	}
	r := hostRelease{Path: filepath.Join(dir, built.Name), Key: filepath.Join(dir, "standin-key.asc")}
	for name, content := range map[string][]byte{r.Path: built.Archive, r.Path + ".asc": built.Signature, r.Key: built.PublicKey} {
		if err := writeFile(name, content, 0o644); err != nil {
			return hostRelease{}, err
		}
	}
	return r, nil
}

// Where a release waits inside a server.
const (
	guestArchives = "/root/release"  // as it came: archive, signature, key
	guestUnpacked = "/root/unpacked" // its directory, for weak servers
)

// copyRelease copies a release with its signature and key into the server and
// returns where they are.
func (s *Server) copyRelease(ctx context.Context, r hostRelease) (hostRelease, error) {
	if r == (hostRelease{}) {
		var err error
		if r, err = standinRelease(filepath.Join(s.dir(), "standin")); err != nil {
			return hostRelease{}, err
		}
	}
	guest := hostRelease{Path: guestArchives + "/" + filepath.Base(r.Path)}
	copies := map[string]string{r.Path: guest.Path}
	if signature := r.Path + ".asc"; isFile(signature) {
		copies[signature] = guest.Path + ".asc"
	}
	if key := filepath.Join(filepath.Dir(r.Path), signingKey); isFile(key) {
		copies[key] = guestArchives + "/" + signingKey
	}
	if r.Key != "" {
		guest.Key = guestArchives + "/release-key.asc"
		copies[r.Key] = guest.Key
	}
	for from, to := range copies {
		if err := s.copyIn(ctx, from, to); err != nil {
			return hostRelease{}, err
		}
	}
	// A directory that rocca installed has a link of rocca's, which no release has.
	user := s.Root + guest.Path + "/misc/user"
	if info, err := os.Lstat(user); err == nil && info.Mode().Type() == fs.ModeSymlink {
		if err := os.Remove(user); err != nil {
			return hostRelease{}, fmt.Errorf("copy the release into demo server %s: %w", s.Name, err)
		}
	}
	return guest, nil
}

func isFile(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

// unpackRelease makes the directory guestUnpacked out of a release in the
// server, unverified as the weak servers' owners would, and returns its version.
func (s *Server) unpackRelease(ctx context.Context, guest hostRelease) (string, error) {
	info, err := os.Stat(s.Root + guest.Path)
	if err != nil {
		return "", fmt.Errorf("read the release: %w", err)
	}
	argv := []string{"sh", "-c", unpackTar, "sh", guest.Path, guestUnpacked}
	switch {
	case info.IsDir():
		argv = []string{"mv", "--no-target-directory", guest.Path, guestUnpacked}
	case strings.HasSuffix(guest.Path, ".zip"):
		argv = []string{"php", "-r", unpackZip, guest.Path, guestUnpacked}
	}
	if _, err := s.Run(ctx, run.Command{Argv: argv}); err != nil {
		return "", fmt.Errorf("unpack the release in demo server %s: %w", s.Name, err)
	}
	// A directory may have been in use before.
	for _, used := range []string{"/config/config.ini.php", "/tmp"} {
		if err := os.RemoveAll(s.Root + guestUnpacked + used); err != nil {
			return "", fmt.Errorf("clean the release: %w", err)
		}
	}
	text, err := os.ReadFile(s.Root + guestUnpacked + "/core/Version.php")
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("find the version of the release %s: it has no core/Version.php", guest.Path)
	}
	if err != nil {
		return "", fmt.Errorf("find the version of the release %s: %w", guest.Path, err)
	}
	found := versionRule.FindSubmatch(text)
	if found == nil {
		return "", fmt.Errorf("find the version of the release %s: core/Version.php names none", guest.Path)
	}
	return string(found[1]), nil
}

var versionRule = regexp.MustCompile(`(?m)^\s*(?:public )?const VERSION = '([0-9][0-9A-Za-z.-]*)'`)

// Programs for sh and PHP that unpack an archive into a directory: archive and
// directory are their arguments. Both archives hold all below "matomo/".
const (
	unpackTar = `mkdir "$2" && tar --extract --gzip --file "$1" --directory "$2" --strip-components=1 --no-same-owner`
	unpackZip = `$zip = new ZipArchive; if ($zip->open($argv[1]) !== true || !$zip->extractTo($argv[2] . '.zip') || !rename($argv[2] . '.zip/matomo', $argv[2])) exit(1);`
)
