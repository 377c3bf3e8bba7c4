package respond

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/go-sql-driver/mysql"

	"rocca/internal/incident"
)

func (s *Server) planSessions(ctx context.Context) ([]string, error) {
	if s.Database.DB == nil || s.Schema == "" {
		return nil, errors.New("no database of Matomo is known")
	}
	var would []string
	for _, part := range []struct{ table, what string }{{"session", "sessions of Matomo: everybody must log in again"}, {"user_token_auth", "API tokens of Matomo: scripts need new ones"}} {
		n, err := s.count(ctx, part.table)
		if err != nil {
			return would, err
		}
		would = append(would, fmt.Sprintf("delete %d %s", n, part.what))
	}
	return would, nil
}

func (s *Server) count(ctx context.Context, table string) (n int, err error) {
	if err := s.Database.DB.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+s.table(table)).Scan(&n); err != nil {
		return 0, fmt.Errorf("count rows of %s: %w", s.Prefix+table, s.Database.Server.Explain(err))
	}
	return n, nil
}

// endSessions deletes what lets somebody in without a password. What was there
// is in the snapshot.
func (s *Server) endSessions(ctx context.Context, c *incident.Case) error {
	if s.Database.DB == nil || s.Schema == "" {
		return errors.New("no database of Matomo is known")
	}
	var problems []error
	for _, part := range []struct{ table, what string }{{"session", "sessions"}, {"user_token_auth", "API tokens"}} {
		got, err := s.Database.DB.ExecContext(ctx, "DELETE FROM "+s.table(part.table))
		if missing(err) {
			continue // of another version of Matomo
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("end %s of Matomo: %w", part.what, s.Database.Server.Explain(err)))
			continue
		}
		n, err := got.RowsAffected()
		problems = append(problems, err, c.Changed(fmt.Sprintf("deleted %d %s of Matomo", n, part.what), ""))
	}
	files, err := s.sessionFiles()
	problems = append(problems, err)
	for _, name := range files {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			problems = append(problems, fmt.Errorf("end a session of PHP: %w", err))
		}
	}
	if len(files) > 0 {
		problems = append(problems, c.Changed(fmt.Sprintf("deleted %d files of PHP sessions", len(files)), ""))
	}
	return errors.Join(problems...)
}

// missing tells that a table is not there.
func missing(err error) bool {
	var refused *mysql.MySQLError
	return errors.As(err, &refused) && refused.Number == 1146
}

// sessionFiles are those of Matomos that keep sessions as files.
func (s *Server) sessionFiles() ([]string, error) {
	var all []string
	for _, top := range s.Files {
		found, err := filepath.Glob(filepath.Join(top, "tmp/sessions/sess_*"))
		if err != nil {
			return all, fmt.Errorf("look for sessions: %w", err)
		}
		all = append(all, found...)
	}
	return all, nil
}

func (s *Server) planRotate(context.Context) ([]string, error) {
	if s.Rotate == nil {
		return []string{"leave passwords and salt to you"}, nil
	}
	return []string{"give Matomo's database accounts new passwords, and Matomo a new salt"}, nil
}

func (s *Server) rotate(ctx context.Context, c *incident.Case) error {
	if s.Rotate == nil {
		return incident.Skip("left for a person")
	}
	return s.Rotate(ctx, c)
}
