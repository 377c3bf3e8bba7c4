package inode

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"rocca/internal/facts"
)

// Tree looks at a directory and all below it, with the SHA-256 of each file. It
// is empty when there is none. What cannot be looked at is an error.
func (n Names) Tree(ctx context.Context, top string) (facts.Tree, error) {
	type member struct {
		name string
		fact facts.Path
	}
	type found struct {
		members []member
		buffer  []byte
	}
	workers := make([]found, Workers())
	for i := range workers {
		workers[i].buffer = make([]byte, 256<<10)
	}
	var mu sync.Mutex
	var failures []error
	problem := func(name string, err error) {
		mu.Lock()
		defer mu.Unlock()
		if len(failures) < 3 {
			failures = append(failures, fmt.Errorf("%s: %w", name, err))
		}
	}
	err := Walk[struct{}]{
		Top:     top,
		Links:   func(struct{}) bool { return true },
		Problem: problem,
		Visit: func(worker int, _ struct{}, e *Entry) (struct{}, bool) {
			fact := n.Describe(&e.Stat)
			name := strings.TrimPrefix(e.Path(), "/")
			var err error
			switch fact.Type {
			case facts.Symlink:
				fact.Target = e.Target()
			case facts.File:
				if fact.SHA256, err = e.SHA256(workers[worker].buffer); err != nil && !Gone(err) {
					problem(name, err)
				}
				fallthrough
			case facts.Dir:
				if fact.Xattrs, err = e.Xattrs(); err != nil {
					problem(name, err)
				}
			}
			if name == "" {
				name = "."
			}
			workers[worker].members = append(workers[worker].members, member{name, fact})
			return struct{}{}, true
		},
	}.Run(ctx)
	if err = errors.Join(append(failures, err)...); err != nil {
		return nil, fmt.Errorf("look at tree %s: %w", top, err)
	}
	tree := facts.Tree{}
	for _, w := range workers {
		for _, m := range w.members {
			tree[m.name] = m.fact
		}
	}
	return tree, nil
}
