package files

import (
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/andybalholm/brotli"
	"golang.org/x/sys/unix"

	"rocca/internal/collect/inode"
	"rocca/internal/facts"
	"rocca/internal/matomo/release"
)

// Baseline is what the code must be.
type Baseline struct {
	Kind   string           // facts.BaselineSigned, BaselineRecord or BaselineTree; empty: none
	Signer string           // fingerprint of the key that signed the release
	Files  release.Manifest // by path relative to the root; a size below 0 is not known
}

// sizeUnknown is the size in a baseline that has none.
const sizeUnknown = -1

const manifestPath = "config/manifest.inc.php"

// ReadRecord reads what rocca recorded of a release that it put on the server
// (/var/lib/rocca/releases/VERSION.json).
func ReadRecord(content []byte) (Baseline, error) {
	var record struct {
		Signer string `json:"signer"`
		Files  map[string]struct {
			SHA256 string `json:"sha256"`
		} `json:"files"`
	}
	if err := json.Unmarshal(content, &record); err != nil {
		return Baseline{}, fmt.Errorf("read the record of the release: %w", err)
	}
	b := Baseline{Kind: facts.BaselineRecord, Signer: record.Signer, Files: release.Manifest{}}
	if b.Signer != "" {
		b.Kind = facts.BaselineSigned
	}
	for name, file := range record.Files {
		if len(file.SHA256) != hex.EncodedLen(sha256.Size) {
			return Baseline{}, fmt.Errorf("read the record of the release: %q has no SHA-256", name)
		}
		b.Files[name] = release.Sum{Size: sizeUnknown, Hash: file.SHA256}
	}
	if len(b.Files) == 0 {
		return Baseline{}, errors.New("read the record of the release: it lists no file")
	}
	return b, nil
}

// chooseBaseline takes what the caller knows, or else what the tree says of
// itself.
func (s *survey) chooseBaseline() (Baseline, error) {
	if s.Code == "" || len(s.Baseline.Files) > 0 {
		return s.Baseline, nil
	}
	content, err := s.small(path.Join(s.Code, manifestPath), 16<<20)
	if err != nil {
		return Baseline{}, fmt.Errorf("read the manifest of Matomo: %w", err)
	}
	files, err := release.ParseManifest(content)
	if err != nil {
		return Baseline{}, err
	}
	return Baseline{Kind: facts.BaselineTree, Files: files}, nil
}

// small reads a file without links in its path, of at most limit bytes.
func (s *survey) small(name string, limit int64) ([]byte, error) {
	if real := s.resolve(name); real != name {
		return nil, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	}
	f, err := os.OpenFile(s.host(name), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", name)
	}
	content, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(content)) > limit {
		err = fmt.Errorf("%s has more than %d bytes", name, limit)
	}
	return content, err
}

// isMD5 tells whether the files of the baseline are known by the short hash.
func (b Baseline) isMD5() bool {
	for _, sum := range b.Files {
		return sum.IsMD5()
	}
	return false
}

// plugins are those of the release.
func (b Baseline) plugins() map[string]bool {
	found := map[string]bool{}
	for name := range b.Files {
		if rest, is := strings.CutPrefix(name, "plugins/"); is {
			if plugin, _, below := strings.Cut(rest, "/"); below {
				found[plugin] = true
			}
		}
	}
	return found
}

// hash reads a file of a tree. The content is nil when it is too large to be
// judged by it; the hash is empty when the file is larger than any of Matomo.
func (s *survey) hash(w *worker, name string, e *inode.Entry) (content []byte, sum string) {
	if e.Stat.Size > textLimit {
		if e.Stat.Size > hashLimit {
			return nil, ""
		}
		sum, err := e.SHA256(w.buffer[:textLimit])
		if err != nil && !inode.Gone(err) {
			s.problem(name, err)
		}
		return nil, sum
	}
	content, ok := s.read(w, name, e, textLimit)
	if !ok {
		return nil, ""
	}
	full := sha256.Sum256(content)
	return content, hex.EncodeToString(full[:])
}

// compare judges a file of Matomo's root by the release.
func (s *survey) compare(w *worker, p *place, name string, fact *facts.Path, content []byte) {
	absolute := path.Join(s.Code, name)
	want, released := s.baseline.Files[name]
	if released {
		have := fact.SHA256
		if want.IsMD5() {
			have = s.md5(absolute, content)
		}
		w.integrity.Files++
		if have == want.Hash || fact.SHA256 != "" && fact.SHA256 == s.Known[absolute] {
			s.script(w, name, fact.SHA256, fact.SHA256)
			if kind := steeringKind(name); kind != "" && kind != pluginConfig {
				w.integrity.Steering = append(w.integrity.Steering, facts.Steering{Path: absolute, Kind: kind, Expected: true, Why: "as released"})
			}
			return
		}
		w.integrity.Changed = append(w.integrity.Changed, facts.FileChange{Path: name, Want: want.Hash, Have: have})
	}
	s.script(w, name, fact.SHA256, want.Hash)
	kind := steeringKind(name)
	switch {
	case kind != "":
		s.steer(w, kind, name, absolute, content)
	case !released && s.isExtra(name):
		w.integrity.Extra = append(w.integrity.Extra, name)
	}
	if p.search && !isBinaryName(name) {
		s.search(w, absolute, fact.Mode, content)
	}
}

// md5 hashes a file for a release that only has short hashes.
func (s *survey) md5(name string, content []byte) string {
	if content != nil {
		sum := md5.Sum(content)
		return hex.EncodeToString(sum[:])
	}
	sum, err := md5Of(s.host(name))
	if err != nil && !inode.Gone(err) {
		s.problem(name, err)
	}
	return sum
}

// notAFile judges a link, a pipe, a socket or a device in Matomo's root.
func (s *survey) notAFile(w *worker, name string, fact facts.Path) {
	want, released := s.baseline.Files[name]
	switch {
	case released && fact.Type == facts.Symlink:
		w.integrity.Changed = append(w.integrity.Changed, facts.FileChange{Path: name, Want: want.Hash, Have: "a link to " + fact.Target})
	case released:
		w.integrity.Changed = append(w.integrity.Changed, facts.FileChange{Path: name, Want: want.Hash, Have: "not a regular file"})
	case slices.Contains(movable, name) || s.foreignPlugin(name):
	case steeringKind(name) != "":
		w.integrity.Steering = append(w.integrity.Steering, facts.Steering{Path: path.Join(s.Code, name), Kind: steeringKind(name), Why: "is a link to " + fact.Target})
	case s.baseline.Kind != "":
		w.integrity.Extra = append(w.integrity.Extra, name)
	}
}

// movable are the directories that may be links to a place outside of the root.
var movable = []string{"config", "tmp", "misc/user"}

// known are the files that Matomo, its installer or its owner put beside a
// release, as path.Match knows them (config/global.php, fileintegrity.ignore).
// None of them is PHP that runs; what is, is steering.
var known = []string{
	"robots.txt", "favicon.ico", "config/config.ini.php", manifestPath,
	"misc/*.dat", "misc/*.mmdb", "misc/*.bin", "misc/*.dat.gz", "misc/*.mmdb.gz", "misc/*.bin.gz",
	"misc/user/*.png", "misc/user/*.svg", "misc/user/*.ico", "misc/user/*.jpg", "misc/user/*.gif", "misc/user/index.html", "misc/user/index.htm",
	"google*.html", "BingSiteAuth.xml", "yandex*.html", "js/container_*.js",
}

// isExtra tells whether a file that is not of the release is not known either.
func (s *survey) isExtra(name string) bool {
	matches := func(pattern string) bool {
		is, _ := path.Match(pattern, name)
		return is
	}
	return s.baseline.Kind != "" && !s.foreignPlugin(name) && !slices.ContainsFunc(known, matches)
}

// foreignPlugin tells whether a path is in the directory of a plugin that is
// not of the release.
func (s *survey) foreignPlugin(name string) bool {
	rest, is := strings.CutPrefix(name, "plugins/")
	plugin, _, below := strings.Cut(rest, "/")
	return is && below && !s.plugins[plugin] && !strings.HasPrefix(plugin, ".")
}

// dispensable tells whether a file of a release may be missing: no page, report
// or tracker needs it.
func dispensable(name string) bool {
	everything := release.Trim{}
	return everything.Drops(name) || name == "misc/How to install Matomo.html" || name == "misc/user/index.html"
}

// integrity puts together what the workers found of Matomo's code.
func (s *survey) integrity(tree facts.Tree, cut *bool) facts.Integrity {
	i := facts.Integrity{Baseline: s.baseline.Kind, Signer: s.baseline.Signer}
	for n := range s.workers {
		w := &s.workers[n].integrity
		i.Files += w.Files
		i.Changed = append(i.Changed, w.Changed...)
		i.Extra = append(i.Extra, w.Extra...)
		i.Steering = append(i.Steering, w.Steering...)
		i.Foreign = append(i.Foreign, w.Foreign...)
		i.Scripts = append(i.Scripts, w.Scripts...)
	}
	if i.Baseline != "" {
		i.Hash = "SHA-256"
		if s.baseline.isMD5() {
			i.Hash = "MD5"
		}
	}
	for name := range s.baseline.Files {
		if _, there := tree[name]; !there && !dispensable(name) {
			i.Missing = append(i.Missing, name)
		}
	}
	i.Scripts = append(i.Scripts, s.packed()...)
	i.Extra = s.folders(i.Extra)
	itself := func(name string) string { return name }
	i.Changed = sortedAndCut(i.Changed, func(c facts.FileChange) string { return c.Path }, cut)
	i.Missing = sortedAndCut(i.Missing, itself, cut)
	i.Extra = sortedAndCut(i.Extra, itself, cut)
	i.Steering = sortedAndCut(i.Steering, func(f facts.Steering) string { return f.Path }, cut)
	i.Foreign = sortedAndCut(i.Foreign, func(f facts.Foreign) string { return f.Path }, cut)
	i.Scripts = sortedAndCut(i.Scripts, func(f facts.Script) string { return f.Path }, cut)
	return i
}

// folders names a directory that the release does not have, with a slash at its
// end, in the place of its files, when it holds many.
func (s *survey) folders(extra []string) []string {
	released := map[string]bool{".": true}
	for name := range s.baseline.Files {
		for dir := path.Dir(name); !released[dir]; dir = path.Dir(dir) {
			released[dir] = true
		}
	}
	var names []string
	byFolder := map[string]int{}
	folder := func(name string) string {
		top := ""
		for dir := path.Dir(name); !released[dir]; dir = path.Dir(dir) {
			top = dir
		}
		return top
	}
	for _, name := range extra {
		byFolder[folder(name)]++
	}
	for _, name := range extra {
		if top := folder(name); top == "" || byFolder[top] <= folderLimit {
			names = append(names, name)
		}
	}
	for _, top := range slices.Sorted(maps.Keys(byFolder)) {
		if top != "" && byFolder[top] > folderLimit {
			names = append(names, top+"/")
		}
	}
	return names
}

// script notes a file that tracked sites load.
func (s *survey) script(w *worker, name, have, want string) {
	container, _ := path.Match("js/container_*.js", name)
	if name == "matomo.js" || name == "piwik.js" || container {
		w.integrity.Scripts = append(w.integrity.Scripts, facts.Script{Path: path.Join(s.Code, name), SHA256: have, Want: want})
	}
}

// packed unpacks rocca's copies of the scripts.
func (s *survey) packed() []facts.Script {
	var scripts []facts.Script
	if s.Scripts == "" {
		return nil
	}
	for _, name := range []string{"matomo.js", "piwik.js"} {
		want := s.baseline.Files[name].Hash
		for extension, packing := range map[string]string{"": "", ".gz": "gzip", ".br": "brotli"} {
			file := path.Join(s.Scripts, name+extension)
			content, err := s.small(file, hashLimit)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err == nil {
				content, err = unpack(content, packing)
			}
			script := facts.Script{Path: file, Want: want, Packed: packing}
			if err != nil {
				s.problem(file, err)
			} else {
				sum := sha256.Sum256(content)
				script.SHA256 = hex.EncodeToString(sum[:])
			}
			scripts = append(scripts, script)
		}
	}
	return scripts
}

// unpack takes a script out of its compression, if it is no larger than any
// script is.
func unpack(content []byte, packing string) ([]byte, error) {
	var from io.Reader = bytes.NewReader(content)
	switch packing {
	case "gzip":
		unzipped, err := gzip.NewReader(from)
		if err != nil {
			return nil, err
		}
		from = unzipped
	case "brotli":
		from = brotli.NewReader(from)
	}
	const limit = 16 << 20
	unpacked, err := io.ReadAll(io.LimitReader(from, limit+1))
	if err == nil && len(unpacked) > limit {
		err = fmt.Errorf("it unpacks to more than %d bytes", limit)
	}
	return unpacked, err
}
