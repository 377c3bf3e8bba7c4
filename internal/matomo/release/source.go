package release

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// Source says where a release is: in Path or at URL.
type Source struct {
	Path    string // a .tar.gz, .tgz or .zip file, or a directory
	URL     string // of such a file
	Version string // the version that was asked for; empty when any will do
}

// String is the path or the URL.
func (s Source) String() string { return s.Path + s.URL }

// name is the last part of the path.
func (s Source) name() string {
	if u, err := url.Parse(s.URL); s.URL != "" && err == nil {
		return path.Base(u.Path)
	}
	return filepath.Base(s.Path)
}

var versionPattern = regexp.MustCompile(`^\d{1,3}\.\d{1,3}\.\d{1,3}(-[a-z]{1,16}\d{0,4})?$`)

// Parse reads what an owner names a release by: a path that exists, an http or
// https URL, or a version such as 5.3.0, which is taken from builds.matomo.org.
func Parse(spec string) (Source, error) {
	if strings.HasPrefix(spec, "https://") || strings.HasPrefix(spec, "http://") {
		return parseURL(spec)
	}
	info, err := os.Stat(spec)
	switch {
	case err == nil && (info.IsDir() || hasArchiveName(spec)):
		return Source{Path: spec}, nil
	case err == nil:
		return Source{}, fmt.Errorf("release %s: neither a directory nor a file named .tar.gz, .tgz or .zip", spec)
	case !errors.Is(err, fs.ErrNotExist):
		return Source{}, fmt.Errorf("look at the release: %w", err)
	case versionPattern.MatchString(spec):
		return Source{URL: "https://builds.matomo.org/matomo-" + spec + ".tar.gz", Version: spec}, nil
	}
	return Source{}, fmt.Errorf("release %q: no such file or directory, and neither a URL nor a version\nhint: --release /path/to/matomo-5.3.0.tar.gz, or --release 5.3.0", spec)
}

func parseURL(spec string) (Source, error) {
	u, err := url.Parse(spec)
	switch {
	case err != nil:
		return Source{}, fmt.Errorf("read the URL of the release: %w", err)
	case u.User != nil:
		return Source{}, errors.New("the URL of the release holds a password, which would end up in logs\nhint: download it, then use --release PATH")
	case u.Host == "" || !hasArchiveName(u.Path):
		return Source{}, fmt.Errorf("release %s: the URL does not name a .tar.gz, .tgz or .zip file", spec)
	}
	return Source{URL: spec}, nil
}

func hasArchiveName(name string) bool {
	return strings.HasSuffix(name, ".tar.gz") || strings.HasSuffix(name, ".tgz") || strings.HasSuffix(name, ".zip")
}

// beside returns the URL of a file in the place of the one at a URL; name gets
// the path of that and returns the path of the other.
func beside(from string, name func(path string) string) string {
	u, err := url.Parse(from)
	if err != nil {
		return from // cannot happen: parseURL has read it
	}
	u.Path, u.RawPath = name(u.Path), ""
	return u.String()
}
