package step

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"rocca/internal/change"
	"rocca/internal/facts"
	"rocca/internal/mariadb"
	"rocca/internal/secret"
)

// Schema is a database schema (utf8mb4) for Matomo's tables.
type Schema struct {
	Schema string
	Prefix string // of the tables; tells undo which of them may hold data
}

// Name implements change.Step.
func (d Schema) Name() string { return "database schema " + d.Schema }

// Looks implements change.Step.
func (d Schema) Looks() facts.Query { return facts.Query{Schemas: true} }

// Plan implements change.Step.
func (d Schema) Plan(s facts.Server) (change.Proposal, error) {
	if _, there := s.Database.Schemas[d.Schema]; there {
		return change.Proposal{}, nil
	}
	return change.Proposal{Sentence: "make it"}, nil
}

// Apply implements change.Step.
func (d Schema) Apply(ctx context.Context, w *change.Writer, s facts.Server) error {
	if err := reached(s); err != nil {
		return err
	}
	return w.SQL(ctx, change.SQLChange{
		Title:   "make schema " + d.Schema,
		Do:      []string{"CREATE DATABASE " + mariadb.Identifier(d.Schema) + " CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"},
		Reverse: []string{"DROP DATABASE IF EXISTS " + mariadb.Identifier(d.Schema)},
		Drops:   &change.Tables{Schema: d.Schema, Prefix: d.Prefix},
	})
}

// Account is a database account with exactly these grants.
type Account struct {
	Account string   // "user@host"
	Grants  []string // "SELECT, UPDATE ON `schema`.`table`", privileges sorted
	Adopt   bool     // an account of this name that exists is ours: repair it

	// On a remote server the account has a password and must use TLS. Locally
	// it is that of the Unix user of the same name (unix_socket) and has none.
	Remote       bool
	Password     secret.Secret
	PasswordFile string // where rocca keeps the password

	// Serves are the tables that it is for when other machines use it too: it
	// stays as long as they hold data.
	Serves *change.Tables
}

// Name implements change.Step.
func (a Account) Name() string { return "database account " + a.Account }

// Looks implements change.Step.
func (a Account) Looks() facts.Query {
	query := facts.Query{Accounts: []string{a.Account}}
	if a.Remote {
		query.Paths = []string{a.PasswordFile}
	}
	return query
}

// Plan implements change.Step.
func (a Account) Plan(s facts.Server) (change.Proposal, error) {
	now := s.Database.Accounts[a.Account]
	if !now.Exists {
		return change.Proposal{Sentence: "make it with " + strings.Join(a.Grants, "; ")}, nil
	}
	var differs []string
	add, drop := a.grantsDiffer(now)
	switch {
	case !a.Remote && !a.Adopt && (a.identityDiffers(now) || len(add)+len(drop) > 0):
		name := mariadb.User(a.Account)
		return change.Proposal{}, fmt.Errorf("there is an account of that name that rocca did not make\nhint: if nobody uses it: DROP USER %s; else give it another name: RENAME USER", name)
	case a.Remote && now.Refused && !s.Paths[a.PasswordFile].Exists():
		// Another Matomo may live on it, and its password could not be put back.
		return change.Proposal{}, fmt.Errorf("there is an account of that name, and not by this machine's rocca\nhint: if nobody uses it: DROP USER %s; if it is of the same Matomo on another machine, give its password (secrets: in the configuration); else choose another server", mariadb.User(a.Account))
	case a.Remote && now.Refused:
		differs = append(differs, "set its password again, which the server no longer accepts")
	case a.Remote && !now.TLS:
		differs = append(differs, "demand TLS")
	case a.identityDiffers(now):
		differs = append(differs, "change how it identifies itself, now by "+now.Identity)
	}
	if len(drop) > 0 {
		differs = append(differs, "revoke "+strings.Join(drop, "; "))
	}
	if len(add) > 0 {
		differs = append(differs, "grant "+strings.Join(add, "; "))
	}
	return proposal(differs, ""), nil
}

func (a Account) identityDiffers(now facts.Account) bool {
	if a.Remote {
		return !now.TLS || now.Refused
	}
	return now.Identity != "unix_socket"
}

func (a Account) grantsDiffer(now facts.Account) (add, drop []string) {
	return without(a.Grants, now.Grants), without(now.Grants, a.Grants)
}

// without lists the grants that are not among others.
func without(grants, others []string) []string {
	return slices.DeleteFunc(slices.Clone(grants), func(grant string) bool { return slices.Contains(others, grant) })
}

// GivenAccount is an account on a remote server that others made: nothing of it
// can be changed from here, and without these grants nothing goes on.
type GivenAccount struct {
	Account string   // "user@host"
	Grants  []string // as those of Account; what it may beside them is not looked at
}

// Name implements change.Step.
func (a GivenAccount) Name() string { return "given database account " + a.Account }

// Looks implements change.Step.
func (a GivenAccount) Looks() facts.Query { return facts.Query{Accounts: []string{a.Account}} }

// Plan implements change.Step.
func (a GivenAccount) Plan(s facts.Server) (change.Proposal, error) {
	now := s.Database.Accounts[a.Account]
	name := mariadb.User(a.Account)
	if !now.Exists {
		return change.Proposal{}, fmt.Errorf("the database server does not let it in with the given password\nhint: is it made, and for this machine? an administrator of the database sees it by: SHOW CREATE USER %s", name)
	}
	if lacks := without(a.Grants, now.Grants); len(lacks) > 0 {
		return change.Proposal{}, fmt.Errorf("it has no right to %s\nhint: an administrator of the database gives it: %s", strings.Join(lacks, "; "), allow(lacks[0], name))
	}
	return change.Proposal{}, nil
}

// Apply implements change.Step.
func (a GivenAccount) Apply(context.Context, *change.Writer, facts.Server) error { return nil }

// Apply implements change.Step.
func (a Account) Apply(ctx context.Context, w *change.Writer, s facts.Server) error {
	if err := reached(s); err != nil {
		return err
	}
	name := mariadb.User(a.Account)
	now := s.Database.Accounts[a.Account]
	c := change.SQLChange{Title: "account " + a.Account}
	if !now.Exists {
		c.Do = append(c.Do, "CREATE USER "+name+a.identify(s))
		c.Reverse, c.Drops = append(c.Reverse, "DROP USER IF EXISTS "+name), a.Serves
	} else if a.identityDiffers(now) {
		c.Do = append(c.Do, "ALTER USER "+name+a.identify(s))
		c.Reverse = append(c.Reverse, a.identifyAgain(s, now)...)
	}
	add, drop := a.grantsDiffer(now)
	for _, grant := range drop {
		c.Do = append(c.Do, revoke(grant, name)...)
		c.Reverse = append(c.Reverse, allow(grant, name))
	}
	for _, grant := range add {
		c.Do = append(c.Do, allow(grant, name))
		if now.Exists {
			c.Reverse = append(c.Reverse, revoke(grant, name)...)
		}
	}
	// What a killed run granted meanwhile is granted again, which is harmless.
	return w.SQL(ctx, c)
}

func (a Account) identify(s facts.Server) string {
	if a.Remote {
		return mariadb.Identified(s.Database.MariaDB(), a.Password)
	}
	return " IDENTIFIED VIA unix_socket"
}

// identifyAgain brings back how an account identified itself. What MySQL shows
// of an account is not fit to be sent again: there the stronger identity stays.
func (a Account) identifyAgain(s facts.Server, now facts.Account) []string {
	shown, ok := strings.CutPrefix(now.Created.Reveal(), "CREATE USER ")
	if !ok || !s.Database.MariaDB() || strings.Contains(shown, "\n") {
		return nil
	}
	var statements []string
	if a.Remote && !now.TLS {
		statements = append(statements, "ALTER USER "+mariadb.User(a.Account)+" REQUIRE NONE")
	}
	return append(statements, "ALTER USER "+shown)
}

func allow(grant, name string) string {
	bare, option := strings.CutSuffix(grant, " WITH GRANT OPTION")
	statement := "GRANT " + bare + " TO " + name
	if option {
		statement += " WITH GRANT OPTION"
	}
	return statement
}

// revoke needs two statements for a grant with the option to grant: "ALL
// PRIVILEGES, GRANT OPTION ON" is no SQL.
func revoke(grant, name string) []string {
	bare, option := strings.CutSuffix(grant, " WITH GRANT OPTION")
	statements := []string{"REVOKE " + bare + " FROM " + name}
	if option {
		_, object, _ := strings.Cut(bare, " ON ")
		statements = append(statements, "REVOKE GRANT OPTION ON "+object+" FROM "+name)
	}
	return statements
}

func reached(s facts.Server) error {
	if s.Database.Reached {
		return nil
	}
	return fmt.Errorf("reach the database server: %s", s.Database.Problem)
}
