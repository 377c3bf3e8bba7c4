// Package collect fills in the facts: each package below it observes one
// outside thing, and this one asks those that a query needs.
package collect

import (
	"context"

	"rocca/internal/collect/db"
	"rocca/internal/collect/host"
	"rocca/internal/facts"
	"rocca/internal/mariadb"
	"rocca/internal/secret"
)

// Server observes the machine that rocca runs on and its database server.
type Server struct {
	Database  mariadb.Conn
	Passwords map[string]secret.Secret // that accounts on a remote database server should have, by user
	Given     bool                     // these accounts were made by others, and Database is one of them
}

// Observe implements change.Observer.
func (s Server) Observe(ctx context.Context, q facts.Query) (facts.Server, error) {
	seen, err := host.Observe(ctx, q)
	if err != nil || (len(q.Accounts) == 0 && !q.Schemas) {
		return seen, err
	}
	seen.Database, err = db.Observe(ctx, s.Database, db.Accounts{Names: q.Accounts, Passwords: s.Passwords, Own: s.Given})
	return seen, err
}
