package step

import (
	"context"
	"errors"
	"fmt"

	"rocca/internal/change"
	"rocca/internal/facts"
)

// Attr is a file or directory of others that has this owner, group and mode,
// and no ACL. Its content stays.
type Attr struct {
	Path string
	Attr change.Attr
}

// Name implements change.Step.
func (a Attr) Name() string { return "owner and mode of " + a.Path }

// Looks implements change.Step.
func (a Attr) Looks() facts.Query { return facts.Query{Paths: []string{a.Path}} }

// Plan implements change.Step.
func (a Attr) Plan(s facts.Server) (change.Proposal, error) {
	now := s.Paths[a.Path]
	switch now.Type {
	case facts.Absent:
		return change.Proposal{}, fmt.Errorf("there is no %s any more\nhint: rocca audit looks again", a.Path)
	case facts.File, facts.Dir:
		return proposal(attrDiffers(now, a.Attr), ""), nil
	}
	return change.Proposal{}, fmt.Errorf("%s is a %s, and its owner and mode are not changed\nhint: look at what it leads to", a.Path, now.Type)
}

// Apply implements change.Step.
func (a Attr) Apply(_ context.Context, w *change.Writer, s facts.Server) error {
	now := s.Paths[a.Path]
	if now.Type == facts.Dir {
		return w.MakeDir(a.Path, a.Attr, change.Foreign)
	}
	if int64(len(now.Content)) != now.Size {
		return errors.New("the file is too large to be written anew with another owner and mode")
	}
	return w.WriteFile(a.Path, now.Content, a.Attr)
}
