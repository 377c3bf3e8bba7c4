package blueprint

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/andybalholm/brotli"

	"rocca/internal/change"
	"rocca/internal/change/step"
	"rocca/internal/facts"
	"rocca/internal/matomo/headless"
	"rocca/internal/matomo/release"
)

// Record is what rocca remembers of a release that it put on a server: where
// it came from, who signed it, and every file of it. Matomo's own manifest
// lies in the tree that it describes; this does not.
type Record struct {
	Version     string                `json:"version"`
	Source      string                `json:"source"`
	Digest      string                `json:"sha256"`                // of the archive, or of the files of a directory
	Signer      string                `json:"signer,omitempty"`      // fingerprint; empty: unsigned, accepted by the owner
	Differences []release.Difference  `json:"differences,omitempty"` // from the manifest, accepted with the unsigned release
	Installed   time.Time             `json:"installed"`
	Files       map[string]RecordFile `json:"files"` // by path relative to the tree
}

// RecordFile is one file of a release.
type RecordFile struct {
	SHA256 string `json:"sha256"`
	Mode   uint32 `json:"mode"`
}

// ParseRecord reads a record.
func ParseRecord(content []byte) (Record, error) {
	var r Record
	if err := json.Unmarshal(content, &r); err != nil {
		return r, fmt.Errorf("read the record of the release: %w", err)
	}
	return r, nil
}

// userLink is where Matomo looks for uploaded logos.
const userLink = "misc/user"

// own tells whether rocca itself puts a name of a release's tree there.
func own(name string) bool {
	_, isWebRoot := webRoot[name]
	return isWebRoot || name == "bootstrap.php" || name == userLink
}

// webRoot are the files that crawlers and browsers ask for unasked. A release
// has none; Matomo's installer makes them, empty.
var webRoot = map[string]string{"robots.txt": "User-agent: *\nDisallow: /\n", "favicon.ico": ""}

// code is the release and what rocca puts beside it.
func (b *blueprint) code() []change.Step {
	l := b.Layout
	return []change.Step{
		codeTree{b},
		step.File{Path: path.Join(l.Code, "bootstrap.php"), Content: b.bootstrap(), Attr: change.Root(0o644)},
		step.File{Path: path.Join(l.Code, "robots.txt"), Content: []byte(webRoot["robots.txt"]), Attr: change.Root(0o644)},
		step.File{Path: path.Join(l.Code, "favicon.ico"), Content: []byte(webRoot["favicon.ico"]), Attr: change.Root(0o644)},
		step.Dir{Path: path.Join(l.Code, path.Dir(userLink)), Attr: change.Root(0o755)},
		step.Symlink{Path: path.Join(l.Code, userLink), Target: path.Join(l.State, "user")},
		step.Dir{Path: l.Scripts, Attr: change.Root(0o755)},
		scripts{b},
		step.File{Path: headlessAt, Content: headless.Script, Attr: change.Root(0o644)},
	}
}

// bootstrap moves config and tmp out of the document root, by Matomo's own
// hook. Each pool names its own place in MATOMO_DATA.
func (b *blueprint) bootstrap() []byte {
	return fmt.Appendf(nil, `<?php
// Written by rocca. Configuration and temporary files lie outside of the
// document root; each pool of PHP has its own.
$data = getenv('MATOMO_DATA');
define('PIWIK_USER_PATH', is_string($data) && $data !== '' ? $data : '%s');
unset($data);
`, b.Layout.State)
}

// codeTree is the release, file by file as it was verified.
type codeTree struct{ *blueprint }

func (t codeTree) Name() string { return CodeStep(t.Layout) }

// CodeStep is the name of the step that needs the files of the release.
func CodeStep(l Layout) string { return "code " + l.Code }

func (t codeTree) Looks() facts.Query {
	return facts.Query{Trees: []string{t.Layout.Code}, Paths: []string{t.Layout.Record}}
}

func (t codeTree) Plan(s facts.Server) (change.Proposal, error) {
	if len(s.Trees[t.Layout.Code]) == 0 {
		return change.Proposal{Sentence: "unpack Matomo " + t.Version + ", verified"}, nil
	}
	drift, err := t.drift(s)
	if err != nil {
		return change.Proposal{}, err
	}
	return change.Proposal{Sentence: drift.sentence(), Diff: strings.Join(drift.lines(), "\n")}, nil
}

// drift is how a tree differs from its record.
type drift struct {
	restore []string // files that are missing or differ
	remove  []string // things that nobody put there with rocca
	dress   []string // directories that are missing or have a wrong owner or mode
}

func (d drift) lines() []string {
	var lines []string
	for _, name := range d.restore {
		lines = append(lines, "restore "+name)
	}
	for _, name := range d.remove {
		lines = append(lines, "remove "+name)
	}
	for _, name := range d.dress {
		lines = append(lines, "owner and mode of "+name)
	}
	return lines
}

func (d drift) sentence() string {
	lines := d.lines()
	switch len(lines) {
	case 0:
		return ""
	case 1:
		return lines[0]
	}
	return fmt.Sprintf("%s, and %d more", lines[0], len(lines)-1)
}

func (t codeTree) drift(s facts.Server) (drift, error) {
	var d drift
	recorded := s.Paths[t.Layout.Record]
	if !recorded.Exists() {
		return d, fmt.Errorf("compare the code: its record %s is missing\nhint: move %s away and run rocca up again", t.Layout.Record, t.Layout.Code)
	}
	record, err := ParseRecord(recorded.Content)
	if err != nil {
		return d, err
	}
	tree, directories := s.Trees[t.Layout.Code], record.directories()
	for name, want := range record.Files {
		now := tree[name]
		if now.Type != facts.File || now.SHA256 != want.SHA256 || uint32(now.Mode) != want.Mode || now.Owner != "root" || now.Group != "root" || len(now.Xattrs) > 0 {
			d.restore = append(d.restore, name)
		}
	}
	for name, now := range tree {
		_, known := record.Files[name]
		switch {
		case known, own(name):
		case now.Type != facts.Dir:
			d.remove = append(d.remove, name)
		case !directories[name]:
			d.remove = append(d.remove, name)
		case uint32(now.Mode) != 0o755 || now.Owner != "root" || now.Group != "root" || len(now.Xattrs) > 0:
			d.dress = append(d.dress, name)
		}
	}
	for name := range directories {
		if tree[name].Type != facts.Dir && name != path.Dir(userLink) { // which has a step of its own
			d.dress = append(d.dress, name)
		}
	}
	slices.Sort(d.restore)
	slices.Sort(d.dress) // a directory before those in it
	// Deepest first, so that a directory is empty when its turn comes.
	slices.Sort(d.remove)
	slices.Reverse(d.remove)
	return d, nil
}

// directories lists the directories of a release.
func (r Record) directories() map[string]bool {
	found := map[string]bool{".": true, path.Dir(userLink): true}
	for name := range r.Files {
		for dir := path.Dir(name); !found[dir]; dir = path.Dir(dir) {
			found[dir] = true
		}
	}
	return found
}

func (t codeTree) Apply(ctx context.Context, w *change.Writer, s facts.Server) error {
	if len(s.Trees[t.Layout.Code]) == 0 {
		return t.unpack(ctx, w)
	}
	d, err := t.drift(s)
	if err != nil {
		return err
	}
	for _, name := range d.remove {
		if err := w.Remove(path.Join(t.Layout.Code, name)); err != nil {
			return err
		}
	}
	for _, name := range d.dress {
		if err := w.MakeDir(path.Join(t.Layout.Code, name), change.Root(0o755), change.Foreign); err != nil {
			return err
		}
	}
	if len(d.restore) == 0 {
		return nil
	}
	return t.restore(ctx, w, s, d.restore)
}

func (t codeTree) unpack(ctx context.Context, w *change.Writer) error {
	w.Wait("verifying the release")
	opened, err := t.Release(ctx)
	if err != nil {
		return err
	}
	record := t.newRecord(opened)
	// The record first: a tree without one could not be told from a foreign one.
	err = t.walk(ctx, opened, func(name string, mode uint32, content io.Reader) error {
		sum, err := hashOf(content)
		record.Files[name] = RecordFile{SHA256: sum, Mode: mode}
		return err
	})
	if err != nil {
		return err
	}
	encoded, err := json.Marshal(record)
	if err != nil {
		return fmt.Errorf("record the release: %w", err)
	}
	if err := w.WriteFile(t.Layout.Record, encoded, change.Root(0o600)); err != nil {
		return err
	}
	w.Wait(fmt.Sprintf("unpacking %d files", len(record.Files)))
	return w.Tree(t.Layout.Code, func(add change.AddFile) error { return t.walk(ctx, opened, add) })
}

func (t codeTree) restore(ctx context.Context, w *change.Writer, s facts.Server, names []string) error {
	record, err := ParseRecord(s.Paths[t.Layout.Record].Content)
	if err != nil {
		return err
	}
	opened, err := t.Release(ctx)
	if err != nil {
		return fmt.Errorf("%d files of Matomo were changed since they were installed, and the release is needed to restore them: %w", len(names), err)
	}
	left := map[string]bool{}
	for _, name := range names {
		left[name] = true
	}
	err = t.walk(ctx, opened, func(name string, mode uint32, content io.Reader) error {
		if !left[name] {
			return nil
		}
		whole, err := io.ReadAll(content)
		if err != nil {
			return err
		}
		if sum, err := hashOf(bytes.NewReader(whole)); err != nil || sum != record.Files[name].SHA256 {
			return fmt.Errorf("restore %s: this release has another file than the one installed", name)
		}
		delete(left, name)
		return w.WriteFile(path.Join(t.Layout.Code, name), whole, change.Root(mode))
	})
	if err == nil && len(left) > 0 {
		err = errors.New("this release lacks files that were installed")
	}
	return err
}

func (t codeTree) newRecord(opened *release.Release) Record {
	return Record{
		Version: opened.Version, Source: opened.Source, Digest: opened.Digest, Signer: opened.Signer,
		Differences: opened.Differences, Installed: time.Now().UTC().Truncate(time.Second), Files: map[string]RecordFile{},
	}
}

// walk gives every file of the release that belongs on this server.
func (t codeTree) walk(ctx context.Context, opened *release.Release, each func(name string, mode uint32, content io.Reader) error) error {
	var trim *release.Trim
	if t.Config.Trim {
		trim = &release.Trim{Languages: []string{t.Config.Language}}
	}
	return opened.Walk(ctx, trim, func(e release.Entry) error {
		if own(e.Path) || strings.HasPrefix(e.Path, userLink+"/") {
			return nil // rocca's own takes its place
		}
		return each(e.Path, uint32(e.Mode.Perm()), e.Reader)
	})
}

// scripts are the two files that every visitor of every tracked site fetches:
// compressed once here instead of for each visitor.
type scripts struct{ *blueprint }

func (c scripts) Name() string { return "pre-compressed tracker scripts" }

// scriptNames are the same script by its two names.
var scriptNames = []string{"matomo.js", "piwik.js"}

func (c scripts) Looks() facts.Query {
	var q facts.Query
	for _, name := range scriptNames {
		q.Paths = append(q.Paths, path.Join(c.Layout.Code, name))
		for _, kind := range encodings {
			q.Paths = append(q.Paths, path.Join(c.Layout.Scripts, name+kind.suffix))
		}
	}
	return q
}

// encodings are the forms in which a script is served.
var encodings = []struct {
	suffix string
	encode func([]byte) ([]byte, error)
	decode func(io.Reader) (io.Reader, error)
}{
	{"", func(b []byte) ([]byte, error) { return b, nil }, func(r io.Reader) (io.Reader, error) { return r, nil }},
	{".gz", gzipped, func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }},
	{".br", brotlied, func(r io.Reader) (io.Reader, error) { return brotli.NewReader(r), nil }},
}

func gzipped(content []byte) ([]byte, error) {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(content); err != nil {
		return nil, err
	}
	err = w.Close()
	return out.Bytes(), err
}

func brotlied(content []byte) ([]byte, error) {
	var out bytes.Buffer
	w := brotli.NewWriterLevel(&out, brotli.BestCompression)
	if _, err := w.Write(content); err != nil {
		return nil, err
	}
	err := w.Close()
	return out.Bytes(), err
}

func (c scripts) Plan(s facts.Server) (change.Proposal, error) {
	if stale := c.stale(s); len(stale) > 0 {
		return change.Proposal{Sentence: "write " + strings.Join(stale, ", ")}, nil
	}
	return change.Proposal{}, nil
}

// stale lists the files that do not hold what the release's script does.
func (c scripts) stale(s facts.Server) []string {
	var stale []string
	for _, name := range scriptNames {
		source := s.Paths[path.Join(c.Layout.Code, name)]
		for _, kind := range encodings {
			now := s.Paths[path.Join(c.Layout.Scripts, name+kind.suffix)]
			decoded, err := decodeAll(now.Content, kind.decode)
			plain := step.File{Content: now.Content, Attr: change.Root(0o644)}
			if err != nil || !bytes.Equal(decoded, source.Content) || step.PlanFile(now, plain).Needed() {
				stale = append(stale, name+kind.suffix)
			}
		}
	}
	return stale
}

func decodeAll(content []byte, decode func(io.Reader) (io.Reader, error)) ([]byte, error) {
	r, err := decode(bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(r, 16<<20))
}

func (c scripts) Apply(_ context.Context, w *change.Writer, s facts.Server) error {
	stale := c.stale(s)
	for _, name := range scriptNames {
		source := s.Paths[path.Join(c.Layout.Code, name)]
		if !source.Exists() {
			return fmt.Errorf("compress %s: it is not in the release", name)
		}
		for _, kind := range encodings {
			if !slices.Contains(stale, name+kind.suffix) {
				continue
			}
			content, err := kind.encode(source.Content)
			if err != nil {
				return fmt.Errorf("compress %s: %w", name, err)
			}
			if err := w.WriteFile(path.Join(c.Layout.Scripts, name+kind.suffix), content, change.Root(0o644)); err != nil {
				return err
			}
		}
	}
	return nil
}

func hashOf(content io.Reader) (string, error) {
	sum := sha256.New()
	_, err := io.Copy(sum, content)
	return hex.EncodeToString(sum.Sum(nil)), err
}
