// Package db asks the database server about schemas, accounts and grants, as
// its administrator. It only reads.
package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/mariadb"
	"rocca/internal/secret"
)

// own are the schemas of the server itself.
var own = []string{"information_schema", "mysql", "performance_schema", "sys"}

// Accounts are those to ask about.
type Accounts struct {
	Names     []string                 // "user@host"
	Passwords map[string]secret.Secret // that some should have, by user: these are tried
	Own       bool                     // each is asked about itself: there is no administrator to ask
}

// Observe asks about the accounts and lists the schemas. A server that cannot
// be asked is a fact (Reached false), not an error.
func Observe(ctx context.Context, server mariadb.Conn, accounts Accounts) (facts.Database, error) {
	d := facts.Database{Accounts: map[string]facts.Account{}}
	conn := server.DB
	if err := conn.QueryRowContext(ctx, "SELECT VERSION(), SUBSTRING_INDEX(USER(), '@', -1)").Scan(&d.Version, &d.Client); err != nil {
		d.Problem = server.Server.Explain(err).Error()
		return d, nil
	}
	d.Reached = true
	var err error
	if d.Schemas, err = schemas(ctx, conn); err != nil {
		return d, fmt.Errorf("list database schemas: %w", err)
	}
	if d.Triggers, err = triggers(ctx, conn); err != nil {
		return d, err
	}
	for _, account := range accounts.Names {
		a, err := accounts.observe(ctx, server, account)
		if err != nil {
			return d, fmt.Errorf("look at database account %s: %w", account, err)
		}
		d.Accounts[account] = a
	}
	return d, nil
}

func (a Accounts) observe(ctx context.Context, server mariadb.Conn, account string) (facts.Account, error) {
	user, _, _ := strings.Cut(account, "@")
	password, held := a.Passwords[user]
	if a.Own {
		return observeSelf(ctx, server.Server, user, password)
	}
	seen, err := observeAccount(ctx, server.DB, mariadb.User(account))
	if err != nil || !seen.Exists || !held {
		return seen, err
	}
	accepted, err := server.Server.Accepts(ctx, user, password)
	seen.Refused = !accepted
	return seen, err
}

// observeSelf has an account look at itself, which needs no right.
func observeSelf(ctx context.Context, server mariadb.Server, user string, password secret.Secret) (facts.Account, error) {
	server.User, server.Password = user, password
	conn, err := mariadb.Open(server)
	if err != nil {
		return facts.Account{}, err
	}
	defer conn.Close()
	seen, err := observeAccount(ctx, conn.DB, "CURRENT_USER()")
	if mariadb.KeptOut(err) {
		return facts.Account{Refused: true}, nil
	}
	return seen, err
}

// LocalSchemas lists the schemas of this machine's database server, other than
// its own. One that does not run is not asked: its schemas are directories.
func LocalSchemas(ctx context.Context) ([]string, error) {
	server, err := mariadb.Open(mariadb.Server{})
	if err != nil {
		return nil, err
	}
	defer server.Close()
	found, err := schemas(ctx, server.DB)
	if err == nil {
		return slices.Sorted(maps.Keys(found)), nil
	}
	stored, dirErr := storedSchemas(dataDir)
	if dirErr != nil {
		return nil, fmt.Errorf("list database schemas: %w", errors.Join(server.Server.Explain(err), dirErr))
	}
	return stored, nil
}

// dataDir is where Debian's MariaDB keeps its data.
const dataDir = "/var/lib/mysql"

// storedSchemas lists the schemas of a server by its directories. It keeps
// more than schemas in some whose names begin with "#" or are given.
func storedSchemas(directory string) ([]string, error) {
	entries, err := os.ReadDir(directory)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("look for schemas: %w", err)
	}
	var found []string
	for _, e := range entries {
		name := e.Name()
		if e.Type().IsRegular() || strings.HasPrefix(name, "#") || name == "lost+found" || slices.Contains(own, name) {
			continue
		}
		found = append(found, name)
	}
	return found, nil
}

// querier asks on any free connection (sql.DB) or on one of its own (sql.Conn).
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func schemas(ctx context.Context, conn querier) (map[string][]string, error) {
	rows, err := conn.QueryContext(ctx, "SELECT s.schema_name, t.table_name FROM information_schema.schemata s"+
		" LEFT JOIN information_schema.tables t ON t.table_schema = s.schema_name ORDER BY 1, 2")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	found := map[string][]string{}
	for rows.Next() {
		var schema string
		var table sql.NullString
		if err := rows.Scan(&schema, &table); err != nil {
			return nil, err
		}
		if slices.Contains(own, schema) {
			continue
		}
		if found[schema] = append(found[schema], table.String); !table.Valid {
			found[schema] = nil
		}
	}
	return found, rows.Err()
}

// One way to log in: a plugin and what it knows of the password. MariaDB
// accepts any of several, "VIA unix_socket OR mysql_native_password USING '*94BD...'".
const oneWay = `'?([a-z0-9_]+)'?(?: (?:USING|AS) '(?:[^'\\]|\\.|'')*')?`

var (
	identity = regexp.MustCompile(`IDENTIFIED (?:VIA|WITH) (` + oneWay + `(?: OR ` + oneWay + `)*)`)
	way      = regexp.MustCompile(oneWay + `(?: OR |$)`)
)

// identifiedBy reads from the statement that would make an account by which
// plugins it logs in: "unix_socket", "unix_socket or mysql_native_password",
// "password" where none is named. What they know of a password is left out.
func identifiedBy(created string) string {
	clause := identity.FindStringSubmatch(created)
	if clause == nil {
		return "password"
	}
	var plugins []string
	for _, match := range way.FindAllStringSubmatch(clause[1], -1) {
		plugins = append(plugins, match[1])
	}
	return strings.Join(plugins, " or ")
}

// observeAccount looks at an account whose name is quoted.
func observeAccount(ctx context.Context, conn querier, name string) (facts.Account, error) {
	created, err := column(ctx, conn, "SHOW CREATE USER "+name)
	if numbered(err, 1269, 1133, 1396, 1449, 1141) {
		return facts.Account{}, nil // no such account
	}
	if err != nil {
		return facts.Account{}, err
	}
	statement := strings.Join(created, " ")
	a := facts.Account{Exists: true, Identity: identifiedBy(statement), Created: secret.New(statement)}
	a.TLS = required.MatchString(statement)
	a.Grants, err = grantsFor(ctx, conn, name)
	return a, err
}

func grantsFor(ctx context.Context, conn querier, name string) ([]string, error) {
	lines, err := column(ctx, conn, "SHOW GRANTS FOR "+name)
	if err != nil {
		return nil, err
	}
	var grants []string
	for _, line := range lines {
		if grant, ok := Normalise(line); ok {
			grants = append(grants, grant)
		}
	}
	slices.Sort(grants)
	return grants, nil
}

// A line of SHOW GRANTS ends with the account and how it logs in, which has
// hashes in it. A piece of what is before that is a character, or a name of any
// text in quotes.
const piece = "(?:[^`']|`[^`]*`|'(?:[^'\\\\]|\\\\.)*')"

var (
	grantLine = regexp.MustCompile("^GRANT (" + piece + "+?) ON (" + piece + "+?) TO .+$")
	grantHash = regexp.MustCompile(`(?i)(IDENTIFIED (?:BY PASSWORD|VIA \S+ USING|WITH \S+ AS) )'[^']*'?`)
)

// Normalise turns a line of SHOW GRANTS into "PRIVILEGES ON object", with the
// privileges sorted. USAGE, which is no privilege, gives false.
func Normalise(line string) (string, bool) {
	line = grantHash.ReplaceAllString(line, "${1}'[redacted]'")
	match := grantLine.FindStringSubmatch(line)
	if match == nil {
		return line, true // a role, a proxy: anything unknown is shown, and so is drift
	}
	privileges := splitPrivileges(match[1])
	if len(privileges) == 1 && privileges[0] == "USAGE" {
		return "", false
	}
	slices.Sort(privileges)
	grant := strings.Join(privileges, ", ") + " ON " + match[2]
	if strings.HasSuffix(line, " WITH GRANT OPTION") {
		grant += " WITH GRANT OPTION"
	}
	return grant, true
}

// splitPrivileges splits at commas outside of column lists.
func splitPrivileges(list string) []string {
	var parts []string
	depth, from := 0, 0
	for i, r := range list {
		switch {
		case r == '(':
			depth++
		case r == ')':
			depth--
		case r == ',' && depth == 0:
			parts = append(parts, strings.TrimSpace(list[from:i]))
			from = i + 1
		}
	}
	return append(parts, strings.TrimSpace(list[from:]))
}

func column(ctx context.Context, conn querier, query string) ([]string, error) {
	rows, err := conn.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	var values []string
	for rows.Next() {
		row := make([]sql.NullString, len(names))
		targets := make([]any, len(names))
		for i := range row {
			targets[i] = &row[i]
		}
		if err := rows.Scan(targets...); err != nil {
			return nil, err
		}
		// SHOW CREATE USER has one column on MariaDB; of others the last is the text.
		values = append(values, row[len(row)-1].String)
	}
	return values, rows.Err()
}
