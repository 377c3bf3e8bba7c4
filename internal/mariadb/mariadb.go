// Package mariadb connects to the database server as its administrator and
// writes SQL text safely.
package mariadb

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

	"rocca/internal/secret"
)

// Socket is where Debian's MariaDB listens.
const Socket = "/run/mysqld/mysqld.sock"

// Server says how to reach a database server. The zero value is the local one,
// by its socket, as the Unix user that rocca runs as (root).
type Server struct {
	Host     string // of a remote server
	Port     int
	CA       []byte // PEM, what its certificate must lead to
	User     string
	Password secret.Secret
}

func (s Server) address() string { return net.JoinHostPort(s.Host, strconv.Itoa(s.Port)) }

// Remote tells whether the server is on another machine.
func (s Server) Remote() bool { return s.Host != "" }

// Conn is a connection to a server. It connects when first used.
type Conn struct {
	DB     *sql.DB
	Server Server
}

// Open prepares a connection. A remote server is spoken to by verified TLS only.
func Open(s Server) (Conn, error) {
	c := mysql.NewConfig()
	c.Timeout = 5 * time.Second
	c.User, c.Net, c.Addr = "root", "unix", Socket
	c.Logger = log.New(io.Discard, "", 0) // problems come back as errors
	if s.Remote() {
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(s.CA) {
			return Conn{}, errors.New("prepare database connection: no certificate to verify the server with")
		}
		c.User, c.Passwd, c.Net, c.Addr = s.User, s.Password.Reveal(), "tcp", s.address()
		c.TLS = &tls.Config{RootCAs: roots, ServerName: s.Host, MinVersion: tls.VersionTLS12}
	}
	connector, err := mysql.NewConnector(c)
	if err != nil {
		return Conn{}, fmt.Errorf("prepare database connection: %w", err)
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(2)
	db.SetConnMaxIdleTime(10 * time.Second) // a restarted server must not be met by a dead connection
	return Conn{db, s}, nil
}

// Host names a server on another machine; it is empty for this machine's.
func (c Conn) Host() string { return c.Server.Host }

// Close ends the connection.
func (c Conn) Close() error { return c.DB.Close() }

// ErrNoAccount says that a statement names an account that the server does not have.
var ErrNoAccount = errors.New("the account does not exist")

// Exec runs a statement. The statement never appears in the error: it may hold a password.
func (c Conn) Exec(ctx context.Context, statement string) error {
	_, err := c.DB.ExecContext(ctx, statement)
	if errors.Is(err, mysql.ErrInvalidConn) || errors.Is(err, io.EOF) {
		_, err = c.DB.ExecContext(ctx, statement)
	}
	var refused *mysql.MySQLError
	if errors.As(err, &refused) && strings.HasPrefix(statement, "REVOKE ") && (refused.Number == 1141 || refused.Number == 1147) {
		return nil // what is not granted is already revoked
	}
	// GRANT and ALTER USER have different numbers for it; 1396 means others, too.
	if refused != nil && (refused.Number == 1133 || refused.Number == 1396 && strings.HasPrefix(statement, "ALTER USER ")) {
		return fmt.Errorf("run a statement on the database server: %w", ErrNoAccount)
	}
	if err != nil {
		return fmt.Errorf("run a statement on the database server: %w", c.Server.Explain(err))
	}
	return nil
}

// Quote makes a string literal of SQL.
func Quote(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", "''").Replace(text) + "'"
}

// Identifier quotes the name of a schema or table.
func Identifier(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

// Pattern quotes the name of a schema where grants take a pattern: there "_"
// and "%" would match others.
func Pattern(name string) string {
	return Identifier(strings.NewReplacer("_", `\_`, "%", `\%`).Replace(name))
}

// Network writes an IPv4 network as the host of accounts that may come from all
// of it: 10.20.0.0/255.255.0.0, which both MariaDB and MySQL know.
func Network(network netip.Prefix) string {
	return network.Masked().Addr().String() + "/" + net.IP(net.CIDRMask(network.Bits(), 32)).String()
}

// User writes an account given as "user@host".
func User(account string) string {
	user, host, _ := strings.Cut(account, "@")
	return Quote(user) + "@" + Quote(host)
}
