package respond

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"rocca/internal/incident"
	"rocca/internal/mariadb"
	"rocca/internal/run"
	"rocca/internal/triage"
)

func (s *Server) planRecord(context.Context) ([]string, error) {
	return []string{"collect processes, open files, sockets, log-ins, keys, what starts by itself, changed files and the journal (rocca host triage)",
		"list sessions, accounts and grants of the database, and log-ins and tokens of Matomo without their values",
		"keep the rules of the packet filter"}, nil
}

// record takes what is volatile. Each part is taken whatever became of the
// others; the step fails only when the machine itself could not be seen.
func (s *Server) record(ctx context.Context, c *incident.Case) error {
	c.Hide(s.Secrets...)
	o := s.Triage
	o.Hide = c.Hide
	o.Put = func(name string, fill func(io.Writer) error) error {
		_, err := c.Evidence("triage/"+name, "rocca host triage", fill)
		return err
	}
	doc, err := triage.Collect(ctx, o)
	if err != nil {
		return err
	}
	for what, why := range doc.Missing {
		if err := c.NotTaken("triage: "+what, why); err != nil {
			return err
		}
	}
	if !o.Memory {
		if err := c.NotTaken("memory of suspects", "not asked for: --memory"); err != nil {
			return err
		}
	}
	if err := c.NotTaken("memory of the whole machine", "Debian has no program for it; the provider of a virtual machine may take one"); err != nil {
		return err
	}
	if err := note(c, doc); err != nil {
		return err
	}
	for _, part := range []struct {
		name string
		take func(context.Context, *incident.Case) error
	}{{"rules of the packet filter", s.recordFilter}, {"sessions and accounts of the database", s.recordDatabase}, {"log-ins and tokens of Matomo", s.recordMatomo}} {
		if err := part.take(ctx, c); err != nil {
			if err := c.NotTaken(part.name, err.Error()); err != nil {
				return err
			}
		}
	}
	return nil
}

// note writes what stands out into the timeline.
func note(c *incident.Case, doc triage.Document) error {
	lines := []string{fmt.Sprintf("%d processes, %d of them suspects; %d sockets; %d keys may log in", len(doc.Processes), len(doc.Suspects), len(doc.Sockets), len(doc.Keys))}
	names := map[int]string{}
	for _, p := range doc.Processes {
		names[p.PID] = p.Name
	}
	for _, suspect := range doc.Suspects {
		lines = append(lines, fmt.Sprintf("suspect: process %d (%s): %s", suspect.PID, names[suspect.PID], strings.Join(suspect.Why, "; ")))
	}
	for _, code := range doc.NewPHP {
		lines = append(lines, "code of Matomo: "+code.Path+": "+code.Why)
	}
	for _, changed := range doc.Changed {
		lines = append(lines, "not as rocca wrote it: "+changed.Path)
	}
	const most = 40
	if len(lines) > most {
		lines = append(lines[:most], fmt.Sprintf("and %d more, see triage.json", len(lines)-most))
	}
	for _, line := range lines {
		if err := c.Note(line); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) recordFilter(ctx context.Context, c *incident.Case) error {
	rules, err := run.Do(ctx, run.Command{Argv: []string{"nft", "list", "ruleset"}})
	if err != nil {
		return err
	}
	_, err = c.Put("record/filter.nft", "nft list ruleset", rules.Stdout)
	return err
}

// DatabaseState is what the database server tells of who is connected and who
// may, without any password hash.
type DatabaseState struct {
	Version  string              `json:"version"`
	Sessions []map[string]string `json:"sessions"`
	Accounts []string            `json:"accounts"`
	Grants   []string            `json:"grants"`
	Uptime   string              `json:"uptime_seconds"`
	Hidden   string              `json:"hidden,omitempty"` // why something is missing
}

var passwordHash = regexp.MustCompile(`(?i)(IDENTIFIED\s+(?:BY|VIA|WITH)\s+)(PASSWORD\s+)?('(?:[^']|'')*'|\S+\s+(?:USING|AS)\s+'[^']*')`)

func (s *Server) recordDatabase(ctx context.Context, c *incident.Case) error {
	if s.Database.DB == nil {
		return errors.New("no database is known")
	}
	db := s.Database.DB
	var state DatabaseState
	if err := db.QueryRowContext(ctx, "SELECT VERSION()").Scan(&state.Version); err != nil {
		return s.Database.Server.Explain(err)
	}
	var err error
	if state.Sessions, err = rows(ctx, db, "SHOW FULL PROCESSLIST"); err != nil {
		return err
	}
	for _, session := range state.Sessions {
		session["Info"] = triage.Redact(quoted.ReplaceAllString(session["Info"], "'...'"))
	}
	if up, err := rows(ctx, db, "SHOW GLOBAL STATUS LIKE 'Uptime'"); err == nil && len(up) > 0 {
		state.Uptime = up[0]["Value"]
	}
	accounts, err := rows(ctx, db, "SELECT User, Host FROM mysql.user")
	if err != nil {
		state.Hidden = "accounts: " + err.Error()
	}
	for _, a := range accounts {
		name := a["User"] + "@" + a["Host"]
		state.Accounts = append(state.Accounts, name)
		grants, err := rows(ctx, db, "SHOW GRANTS FOR "+mariadb.User(name))
		if err != nil {
			continue // a role
		}
		for _, grant := range grants {
			for _, text := range grant {
				state.Grants = append(state.Grants, name+": "+passwordHash.ReplaceAllString(text, "${1}[redacted]"))
			}
		}
	}
	_, err = c.PutJSON("record/database.json", "SHOW FULL PROCESSLIST, SHOW GRANTS", state)
	return err
}

// quoted is a value in a statement: it may be a visitor's, or a password.
var quoted = regexp.MustCompile(`'(?:[^'\\]|\\.|'')*'`)

// MatomoState is what Matomo's tables tell of who may log in.
type MatomoState struct {
	Users    []map[string]string `json:"users"`
	Tokens   []map[string]string `json:"tokens"`
	Sessions string              `json:"sessions"`          // how many
	Newest   string              `json:"newest,omitempty"`  // last use of one
	Access   []map[string]string `json:"access"`            // who has which right on which site
	Plugins  []map[string]string `json:"options,omitempty"` // versions that Matomo noted, by plugin
	Personal map[string]string   `json:"personal"`          // how many rows there are with data of visitors
}

func (s *Server) recordMatomo(ctx context.Context, c *incident.Case) error {
	if s.Database.DB == nil || s.Schema == "" {
		return errors.New("no database of Matomo is known")
	}
	db := s.Database.DB
	var state MatomoState
	var err error
	// The columns are named, so that no hash is ever read.
	if state.Users, err = rows(ctx, db, "SELECT login, email, superuser_access, date_registered, ts_password_modified FROM "+s.table("user")); err != nil {
		return err
	}
	var problems []error
	keep := func(err error) { problems = append(problems, err) }
	state.Tokens, err = rows(ctx, db, "SELECT idusertokenauth, login, description, date_created, last_used, date_expired FROM "+s.table("user_token_auth"))
	keep(err)
	state.Access, err = rows(ctx, db, "SELECT login, idsite, access FROM "+s.table("access"))
	keep(err)
	if found, err := rows(ctx, db, "SELECT COUNT(*) AS n, FROM_UNIXTIME(MAX(modified)) AS newest FROM "+s.table("session")); err == nil && len(found) > 0 {
		state.Sessions, state.Newest = found[0]["n"], found[0]["newest"]
	} else {
		keep(err)
	}
	state.Plugins, err = rows(ctx, db, "SELECT option_name, option_value FROM "+s.table("option")+" WHERE option_name LIKE 'version\\_%'")
	keep(err)
	state.Personal = map[string]string{}
	for _, name := range []string{"log_visit", "log_link_visit_action", "log_conversion", "user"} {
		found, err := rows(ctx, db, "SELECT COUNT(*) AS n FROM "+s.table(name))
		keep(err)
		if len(found) > 0 {
			state.Personal[name] = found[0]["n"]
		}
	}
	if _, err := c.PutJSON("record/matomo.json", "SELECT from Matomo's tables", state); err != nil {
		return err
	}
	if n := state.Personal["log_visit"]; n != "" && c.Story().Facts[incident.Records] == "" {
		keep(c.Know(incident.Records, fmt.Sprintf("within reach: %s visits, %s page views and events, %s conversions, %s log-ins of Matomo (counted %s)", n,
			state.Personal["log_link_visit_action"], state.Personal["log_conversion"], state.Personal["user"], s.now().UTC().Format(time.DateTime))))
	}
	return errors.Join(problems...)
}

func (s *Server) table(name string) string {
	return mariadb.Identifier(s.Schema) + "." + mariadb.Identifier(s.Prefix+name)
}

// rowLimit bounds what is read of one table.
const rowLimit = 10000

// rows reads a result as texts, by column.
func rows(ctx context.Context, db *sql.DB, statement string) ([]map[string]string, error) {
	found, err := db.QueryContext(ctx, statement)
	if err != nil {
		return nil, fmt.Errorf("ask the database: %w", err)
	}
	defer found.Close()
	columns, err := found.Columns()
	if err != nil {
		return nil, fmt.Errorf("ask the database: %w", err)
	}
	var all []map[string]string
	for found.Next() && len(all) < rowLimit {
		values, into := make([]sql.NullString, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := found.Scan(into...); err != nil {
			return all, fmt.Errorf("ask the database: %w", err)
		}
		row := map[string]string{}
		for i, column := range columns {
			row[column] = values[i].String
		}
		all = append(all, row)
	}
	return all, found.Err()
}
