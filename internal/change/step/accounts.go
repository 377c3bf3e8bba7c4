package step

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"rocca/internal/change"
	"rocca/internal/facts"
)

// Group is a system group of the machine.
type Group struct{ Group string }

// Name implements change.Step.
func (g Group) Name() string { return "group " + g.Group }

// Looks implements change.Step.
func (g Group) Looks() facts.Query { return facts.Query{Groups: []string{g.Group}} }

// Plan implements change.Step.
func (g Group) Plan(s facts.Server) (change.Proposal, error) {
	now := s.Groups[g.Group]
	switch {
	case !now.Exists:
		return change.Proposal{Sentence: "make it"}, nil
	case len(now.Members) > 0:
		// A member could read what only the pool may read. Whether it should be
		// there is not for rocca to guess.
		return change.Proposal{}, fmt.Errorf("it has members (%s), who could read what only Matomo may\nhint: gpasswd -d %s %s",
			strings.Join(now.Members, ", "), now.Members[0], g.Group)
	}
	return change.Proposal{}, nil
}

// Apply implements change.Step.
func (g Group) Apply(ctx context.Context, w *change.Writer, _ facts.Server) error {
	return w.AddGroup(ctx, g.Group)
}

// User is a system user that cannot log in and whose only group is its own.
type User struct{ User string }

// Name implements change.Step.
func (u User) Name() string { return "user " + u.User }

// Looks implements change.Step.
func (u User) Looks() facts.Query { return facts.Query{Users: []string{u.User}} }

// Plan implements change.Step.
func (u User) Plan(s facts.Server) (change.Proposal, error) {
	now := s.Users[u.User]
	switch {
	case !now.Exists:
		return change.Proposal{Sentence: "make it: no login, no home, a group of its own"}, nil
	case now.UID == 0 || now.Group != u.User:
		return change.Proposal{}, fmt.Errorf("there is a user of that name with uid %d and group %s, made for something else\nhint: rename it (usermod -l)", now.UID, now.Group)
	case !strings.HasSuffix(now.Shell, "/nologin") && !strings.HasSuffix(now.Shell, "/false"):
		return change.Proposal{}, fmt.Errorf("it can log in (shell %s)\nhint: usermod -s /usr/sbin/nologin %s", now.Shell, u.User)
	}
	return change.Proposal{}, nil
}

// Apply implements change.Step.
func (u User) Apply(ctx context.Context, w *change.Writer, _ facts.Server) error {
	return w.AddUser(ctx, u.User)
}

// Packages are Debian packages that must be installed.
type Packages struct {
	Title    string // what they are together, such as "database server"
	Packages []string
}

// Name implements change.Step.
func (p Packages) Name() string { return "packages of the " + p.Title }

// Looks implements change.Step.
func (p Packages) Looks() facts.Query { return facts.Query{Packages: p.Packages} }

// Plan implements change.Step.
func (p Packages) Plan(s facts.Server) (change.Proposal, error) {
	if missing := p.missing(s); len(missing) > 0 {
		return change.Proposal{Sentence: "install " + strings.Join(missing, ", ")}, nil
	}
	return change.Proposal{}, nil
}

func (p Packages) missing(s facts.Server) []string {
	return slices.DeleteFunc(slices.Clone(p.Packages), func(name string) bool { return s.Packages[name].Installed })
}

// Apply implements change.Step.
func (p Packages) Apply(ctx context.Context, w *change.Writer, s facts.Server) error {
	return w.Install(ctx, p.missing(s))
}
