package rotate

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"rocca/internal/config"
	"rocca/internal/mariadb"
)

// Token is a token_auth as Matomo's database knows it, which has only its hash.
type Token struct {
	ID          int64      `json:"id"`
	User        string     `json:"user"`
	Description string     `json:"description"`
	Created     time.Time  `json:"created"`
	LastUsed    *time.Time `json:"last_used"` // nil: never
	Expires     *time.Time `json:"expires"`   // nil: never
}

// Tokens lists those that people and programs have. Matomo's own, by which
// nobody can log in, are not among them. Source of the columns: Matomo's
// core/Db/Schema/Mysql.php; times are UTC.
func Tokens(ctx context.Context, conn mariadb.Conn, d config.Database) ([]Token, error) {
	rows, err := conn.DB.QueryContext(ctx, "SELECT idusertokenauth, login, description, CAST(date_created AS CHAR), CAST(last_used AS CHAR), CAST(date_expired AS CHAR) FROM "+
		table(d, userAuth)+" WHERE system_token = 0 AND login <> 'anonymous' ORDER BY login, idusertokenauth")
	if err != nil {
		return nil, fmt.Errorf("list tokens: %w", conn.Server.Explain(err))
	}
	defer rows.Close()
	found := []Token{}
	for rows.Next() {
		var t Token
		var created, used, expires sql.NullString
		if err := rows.Scan(&t.ID, &t.User, &t.Description, &created, &used, &expires); err != nil {
			return nil, fmt.Errorf("list tokens: %w", err)
		}
		if at := moment(created); at != nil {
			t.Created = *at
		}
		t.LastUsed, t.Expires = moment(used), moment(expires)
		found = append(found, t)
	}
	return found, rows.Err()
}

const userAuth = "user_token_auth"

// table is one of Matomo's, as a statement names it.
func table(d config.Database, name string) string {
	return mariadb.Identifier(d.Name) + "." + mariadb.Identifier(d.Prefix+name)
}

func moment(text sql.NullString) *time.Time {
	at, err := time.Parse(time.DateTime, text.String)
	if !text.Valid || err != nil {
		return nil
	}
	return &at
}

// Chosen says which tokens are meant. Each that is set narrows it.
type Chosen struct {
	All   bool
	User  string
	Older time.Duration // since it was last used, or made when it never was
}

// Any tells whether something was chosen.
func (c Chosen) Any() bool { return c.All || c.User != "" || c.Older > 0 }

// Of are the tokens that are meant.
func (c Chosen) Of(tokens []Token, now time.Time) []Token {
	meant := []Token{}
	for _, t := range tokens {
		at := t.Created
		if t.LastUsed != nil {
			at = *t.LastUsed
		}
		if c.Any() && (c.User == "" || c.User == t.User) && (c.Older == 0 || now.Sub(at) > c.Older) {
			meant = append(meant, t)
		}
	}
	return meant
}

// Revoke deletes tokens. Their users make new ones in Matomo, under
// Administration, Personal, Security.
func Revoke(ctx context.Context, conn mariadb.Conn, d config.Database, tokens []Token) error {
	if len(tokens) == 0 {
		return nil
	}
	var marks []string
	var ids []any
	for _, t := range tokens {
		marks, ids = append(marks, "?"), append(ids, t.ID)
	}
	if _, err := conn.DB.ExecContext(ctx, "DELETE FROM "+table(d, userAuth)+" WHERE idusertokenauth IN ("+strings.Join(marks, ", ")+")", ids...); err != nil {
		return fmt.Errorf("revoke tokens: %w", conn.Server.Explain(err))
	}
	return nil
}
