package db

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"rocca/internal/mariadb"
)

// Data is what visitors and users left in Matomo's tables since it was
// installed, in rows.
type Data struct {
	Visits int
	Users  int // beyond the first login
	Sites  int // beyond the first site
	Other  int // goals, segments, reports, dashboards
	Tables int // tables that are not Matomo's
}

// Any tells whether there is something that its owner would miss.
func (d Data) Any() bool { return d.Visits+d.Users+d.Sites+d.Other+d.Tables > 0 }

// String lists what there is.
func (d Data) String() string {
	var parts []string
	for _, part := range []struct {
		count int
		what  string
	}{{d.Visits, "visits"}, {d.Users, "further users"}, {d.Sites, "further sites"}, {d.Other, "goals, segments, reports or dashboards"}, {d.Tables, "tables that are not Matomo's"}} {
		if part.count > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", part.count, part.what))
		}
	}
	return strings.Join(parts, ", ")
}

// foreignTables counts the tables that are not of a Matomo with this prefix.
func foreignTables(tables []string, prefix string) int {
	if !slices.Contains(tables, prefix+"user") {
		return len(tables)
	}
	foreign := 0
	for _, table := range tables {
		if !strings.HasPrefix(table, prefix) {
			foreign++
		}
	}
	return foreign
}

// CountData counts what visitors and users left. A schema or table that is not
// there holds nothing. In a schema without Matomo's table of users no table is
// Matomo's: whose they are is not known.
func CountData(ctx context.Context, conn *sql.DB, schema, prefix string) (Data, error) {
	var d Data
	all, err := schemas(ctx, conn)
	if err != nil {
		return d, fmt.Errorf("count data of schema %s: %w", schema, err)
	}
	there := map[string]bool{}
	for _, table := range all[schema] {
		there[table] = true
	}
	d.Tables = foreignTables(all[schema], prefix)
	for _, source := range []struct {
		table, where string
		allowed      int
		count        *int
	}{
		{"log_visit", "", 0, &d.Visits},
		{"user", " WHERE login <> 'anonymous'", 1, &d.Users},
		{"site", "", 1, &d.Sites},
		{"goal", "", 0, &d.Other},
		{"segment", "", 0, &d.Other},
		{"report", "", 0, &d.Other},
		{"user_dashboard", "", 0, &d.Other},
	} {
		if !there[prefix+source.table] {
			continue
		}
		var rows int
		query := "SELECT COUNT(*) FROM " + mariadb.Identifier(schema) + "." + mariadb.Identifier(prefix+source.table) + source.where
		if err := conn.QueryRowContext(ctx, query).Scan(&rows); err != nil {
			return d, fmt.Errorf("count data in table %s: %w", prefix+source.table, err)
		}
		*source.count += max(0, rows-source.allowed)
	}
	return d, nil
}
