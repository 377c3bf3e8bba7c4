package files

import (
	"path"
	"slices"
	"strings"

	"rocca/internal/facts"
)

// linkLimit is how many links the kernel follows on the way to one file.
const linkLimit = 40

// paths looks at what is watched and what is odd, at all directories above, and
// at what links on the way lead to.
func (s *survey) paths(r Result) map[string]facts.Path {
	found := map[string]facts.Path{}
	wanted := [][]string{s.Watched, r.Oddities.WorldWritable, r.Oddities.Unowned, r.Oddities.ACLs, r.Oddities.Flagged}
	for _, p := range r.Oddities.Privileged {
		wanted = append(wanted, []string{p.Path})
	}
	for _, p := range r.Oddities.Secrets {
		wanted = append(wanted, []string{p.Path})
	}
	for _, k := range r.PrivateKeys {
		wanted = append(wanted, []string{k.Path})
	}
	for top := range r.Trees {
		wanted = append(wanted, []string{top})
	}
	for _, c := range s.Contexts {
		wanted = append(wanted, []string{c.Config, c.Tmp, c.Data})
	}
	for _, names := range wanted {
		for _, name := range names {
			if path.IsAbs(name) {
				s.watch(found, name)
			}
		}
	}
	return found
}

// watch keeps each inode on the way to a path, and at the path itself what
// lstat(2) would show there.
func (s *survey) watch(found map[string]facts.Path, name string) {
	name = path.Clean(name)
	if _, done := found[name]; done {
		return
	}
	last, _ := s.follow(name, func(at string) facts.Path {
		p, known := found[at]
		if !known {
			p = s.look(at)
			found[at] = p
		}
		return p
	})
	found[name] = last
}

// look looks at one inode; what cannot be looked at counts as not there, and is
// noted.
func (s *survey) look(name string) facts.Path {
	p, err := s.names.Look(s.host(name))
	if err != nil {
		s.problem(name, err)
	}
	return p
}

// resolve returns the path without links that a path leads to; empty when
// there is nothing.
func (s *survey) resolve(name string) string {
	_, real := s.follow(path.Clean(name), s.look)
	return real
}

// follow goes along an absolute path part by part, as the kernel does, below
// Root. It returns what lstat(2) would show at the path, and the path without
// links of what stat(2) would: empty when there is nothing.
func (s *survey) follow(name string, look func(at string) facts.Path) (last facts.Path, real string) {
	at, now := "/", look("/")
	todo := parts(name)
	own := len(todo) // parts of the path itself, at the end of todo
	if own == 0 {
		return now, at
	}
	for links := 0; len(todo) > 0; {
		part := todo[0]
		todo = todo[1:]
		if part == ".." {
			at = path.Dir(at)
			now = look(at)
		} else {
			now = look(path.Join(at, part))
		}
		if own > 0 && len(todo) < own {
			if own = len(todo); own == 0 {
				last = now
			}
		}
		switch {
		case !now.Exists():
			return last, ""
		case part == "..":
			continue
		case now.Type != facts.Symlink:
			at = path.Join(at, part)
			continue
		}
		if links++; links > linkLimit {
			return last, ""
		}
		if path.IsAbs(now.Target) {
			at = "/"
		}
		todo = append(parts(now.Target), todo...)
	}
	return last, at
}

// parts splits a path.
func parts(name string) []string {
	return slices.DeleteFunc(strings.Split(name, "/"), func(part string) bool { return part == "" || part == "." })
}
