// Package step has the kinds of change that a blueprint is built of.
package step

import (
	"bytes"
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/aymanbagabas/go-udiff"

	"rocca/internal/change"
	"rocca/internal/facts"
)

// File is a file with exactly this content and Attr.
type File struct {
	Path    string
	Content []byte
	Attr    change.Attr
	Secret  bool // the diff does not show content
}

// Name implements change.Step.
func (f File) Name() string { return "file " + f.Path }

// Looks implements change.Step.
func (f File) Looks() facts.Query { return facts.Query{Paths: []string{f.Path}} }

// Plan implements change.Step.
func (f File) Plan(s facts.Server) (change.Proposal, error) {
	return PlanFile(s.Paths[f.Path], f), nil
}

// PlanFile compares what is at a path with the file that must be there.
func PlanFile(now facts.Path, want File) change.Proposal {
	var differs []string
	var diff string
	switch {
	case !now.Exists():
		differs = append(differs, "write it")
	case now.Type != facts.File:
		differs = append(differs, fmt.Sprintf("replace a %s by it", now.Type))
	case !bytes.Equal(now.Content, want.Content):
		differs = append(differs, "change its content")
	}
	if len(differs) > 0 && !want.Secret && isText(want.Content) {
		diff = udiff.Unified(want.Path+" (now)", want.Path, string(now.Content), string(want.Content))
	}
	if now.Type == facts.File {
		differs = append(differs, attrDiffers(now, want.Attr)...)
	}
	return proposal(differs, diff)
}

// Apply implements change.Step.
func (f File) Apply(_ context.Context, w *change.Writer, _ facts.Server) error {
	return w.WriteFile(f.Path, f.Content, f.Attr)
}

// Dir is a directory with this Attr.
type Dir struct {
	Path    string
	Attr    change.Attr
	Content change.Content // what others put into it, for undo

	// Only, when not nil, names all that may be in the directory: anything
	// else is removed. It is for directories whose every file has an effect.
	Only []string
}

// Name implements change.Step.
func (d Dir) Name() string { return "directory " + d.Path }

// Looks implements change.Step.
func (d Dir) Looks() facts.Query { return facts.Query{Paths: []string{d.Path}} }

// Plan implements change.Step.
func (d Dir) Plan(s facts.Server) (change.Proposal, error) {
	now := s.Paths[d.Path]
	switch now.Type {
	case facts.Absent:
		return change.Proposal{Sentence: fmt.Sprintf("make it, %s", d.Attr)}, nil
	case facts.Dir:
	default:
		return change.Proposal{}, fmt.Errorf("a %s is in the way\nhint: move %s away", now.Type, d.Path)
	}
	differs := attrDiffers(now, d.Attr)
	if strangers := d.strangers(now); len(strangers) > 0 {
		differs = append(differs, "remove "+strings.Join(strangers, ", "))
	}
	return proposal(differs, ""), nil
}

func (d Dir) strangers(now facts.Path) []string {
	if d.Only == nil {
		return nil
	}
	var found []string
	for _, name := range now.Names {
		if !slices.Contains(d.Only, name) {
			found = append(found, name)
		}
	}
	return found
}

// Apply implements change.Step.
func (d Dir) Apply(_ context.Context, w *change.Writer, s facts.Server) error {
	for _, name := range d.strangers(s.Paths[d.Path]) {
		if err := w.Remove(path.Join(d.Path, name)); err != nil {
			return err
		}
	}
	return w.MakeDir(d.Path, d.Attr, d.Content)
}

// Symlink is a root-owned symbolic link.
type Symlink struct {
	Path   string
	Target string
}

// Name implements change.Step.
func (l Symlink) Name() string { return "link " + l.Path }

// Looks implements change.Step.
func (l Symlink) Looks() facts.Query { return facts.Query{Paths: []string{l.Path}} }

// Plan implements change.Step.
func (l Symlink) Plan(s facts.Server) (change.Proposal, error) {
	now := s.Paths[l.Path]
	if now.Type == facts.Symlink && now.Target == l.Target && now.Owner == "root" {
		return change.Proposal{}, nil
	}
	sentence := "point it at " + l.Target
	if now.Type == facts.Symlink {
		sentence += ", instead of " + now.Target
	}
	return change.Proposal{Sentence: sentence}, nil
}

// Apply implements change.Step.
func (l Symlink) Apply(_ context.Context, w *change.Writer, _ facts.Server) error {
	return w.Symlink(l.Path, l.Target)
}

// Gone is a file or link that must not be there.
type Gone struct {
	Path string
	Why  string
}

// Name implements change.Step.
func (g Gone) Name() string { return "no " + g.Path }

// Looks implements change.Step.
func (g Gone) Looks() facts.Query { return facts.Query{Paths: []string{g.Path}} }

// Plan implements change.Step.
func (g Gone) Plan(s facts.Server) (change.Proposal, error) {
	if !s.Paths[g.Path].Exists() {
		return change.Proposal{}, nil
	}
	return change.Proposal{Sentence: "remove it: " + g.Why}, nil
}

// Apply implements change.Step.
func (g Gone) Apply(_ context.Context, w *change.Writer, _ facts.Server) error {
	return w.Remove(g.Path)
}

func attrDiffers(now facts.Path, want change.Attr) []string {
	var differs []string
	if uint32(now.Mode) != want.Mode {
		differs = append(differs, fmt.Sprintf("mode %04o to %04o", uint32(now.Mode), want.Mode))
	}
	if now.Owner != want.Owner || now.Group != want.Group {
		differs = append(differs, fmt.Sprintf("owner %s:%s to %s:%s", now.Owner, now.Group, want.Owner, want.Group))
	}
	for name := range now.Xattrs {
		differs = append(differs, "drop "+strings.TrimPrefix(name, "system."))
	}
	return differs
}

func proposal(differs []string, diff string) change.Proposal {
	return change.Proposal{Sentence: strings.Join(differs, ", "), Diff: diff}
}

func isText(content []byte) bool { return !bytes.ContainsRune(content, 0) && len(content) < 64<<10 }
