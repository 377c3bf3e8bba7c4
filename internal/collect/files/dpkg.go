package files

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/sys/unix"

	"rocca/internal/facts"
)

const dpkgInfo = "/var/lib/dpkg/info"

// origins finds the package that each program comes with, and whether its
// content still is the package's. A package that does not say what its files
// hold (few do not) gives no change away.
func (s *survey) origins(programs []facts.Privileged) error {
	if len(programs) == 0 {
		return nil
	}
	diverted, err := s.diversions()
	if err != nil {
		return err
	}
	wanted := map[string][]int{} // names that lists may have, to programs
	for i, p := range programs {
		for _, name := range aliases(p.Path) {
			if d, is := diverted.to[name]; is {
				name = d.from
			}
			wanted[name] = append(wanted[name], i)
		}
	}
	lists, err := filepath.Glob(s.host(dpkgInfo) + "/*.list")
	if err != nil {
		return fmt.Errorf("list packages: %w", err)
	}
	for _, list := range lists {
		content, err := os.ReadFile(list)
		if errors.Is(err, fs.ErrNotExist) {
			continue // its package was just removed
		}
		if err != nil {
			return fmt.Errorf("read what packages hold: %w", err)
		}
		base := strings.TrimSuffix(filepath.Base(list), ".list")
		name, _, _ := strings.Cut(base, ":")
		var sums map[string]string
		for line := range bytes.Lines(content) {
			line = bytes.TrimSuffix(line, []byte("\n"))
			hits, is := wanted[string(line)]
			if !is {
				continue
			}
			for _, i := range hits {
				p := &programs[i]
				if !diverted.owns(name, p.Path) {
					continue
				}
				if sums == nil {
					if sums, err = s.sums(base); err != nil {
						return err
					}
				}
				p.Package = name
				if want, told := sums[strings.TrimPrefix(string(line), "/")]; told {
					have, err := md5Of(s.host(p.Path))
					p.Changed = err == nil && have != want
				}
			}
		}
	}
	return nil
}

// aliases are the names by which a package may know a file: on Debian, /bin is
// a link to /usr/bin, and packages may still name what they put there by it.
func aliases(name string) []string {
	names := []string{name}
	rest, inUsr := strings.CutPrefix(name, "/usr")
	if !inUsr {
		rest = name
	}
	top, _, _ := strings.Cut(strings.TrimPrefix(rest, "/"), "/")
	switch {
	case top != "bin" && top != "sbin" && !strings.HasPrefix(top, "lib"):
	case inUsr:
		names = append(names, rest)
	default:
		names = append(names, "/usr"+name)
	}
	return names
}

// diversion is a file that was moved aside by dpkg-divert(1).
type diversion struct {
	from string // what its package calls it
	by   string // package that put another file there; ":" for the administrator
}

// diversions are by the name that a file has now, and had before.
type diversions struct{ to, from map[string]diversion }

// owns tells whether the file with a name is that of a package that lists it,
// or the name before the diversion.
func (d diversions) owns(name, file string) bool {
	if moved, is := d.to[file]; is {
		return moved.by != name
	}
	if replaced, is := d.from[file]; is {
		return replaced.by == name
	}
	return true
}

func (s *survey) diversions() (diversions, error) {
	content, err := os.ReadFile(s.host("/var/lib/dpkg/diversions"))
	if errors.Is(err, fs.ErrNotExist) {
		return diversions{}, nil
	}
	if err != nil {
		return diversions{}, fmt.Errorf("read diversions: %w", err)
	}
	return parseDiversions(string(content)), nil
}

func parseDiversions(content string) diversions {
	found := diversions{to: map[string]diversion{}, from: map[string]diversion{}}
	lines := strings.Split(content, "\n")
	for ; len(lines) >= 3; lines = lines[3:] {
		from, to, by := lines[0], lines[1], lines[2]
		if path.IsAbs(from) && path.IsAbs(to) {
			d := diversion{from: from, by: by}
			found.to[to], found.from[from] = d, d
		}
	}
	return found
}

func (s *survey) sums(base string) (map[string]string, error) {
	content, err := os.ReadFile(path.Join(s.host(dpkgInfo), base+".md5sums"))
	if errors.Is(err, fs.ErrNotExist) {
		return map[string]string{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read what the files of a package hold: %w", err)
	}
	return parseSums(string(content)), nil
}

var sumLine = regexp.MustCompile(`^([0-9a-f]{32})  ([^/].*)$`)

// parseSums reads a list of MD5 hashes by path without the first slash. Lines
// of another form say nothing.
func parseSums(content string) map[string]string {
	sums := map[string]string{}
	for line := range strings.SplitSeq(content, "\n") {
		if match := sumLine.FindStringSubmatch(line); match != nil {
			sums[match[2]] = match[1]
		}
	}
	return sums
}

// md5Of hashes with what dpkg has. A program of that hash and another content
// can be made only by who made the package.
func md5Of(name string) (string, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	hash := md5.New()
	if _, err := io.Copy(hash, io.LimitReader(f, hashLimit)); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}
