package db

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/go-sql-driver/mysql"

	"rocca/internal/facts"
	"rocca/internal/mariadb"
	"rocca/internal/rooted"
	"rocca/internal/secret"
)

// Login is how Matomo itself reaches its database, as its configuration says.
type Login struct {
	User     string
	Password secret.Secret
	Host     string
	Port     int
	Socket   string // path; empty: none set
	Schema   string
	Prefix   string // of the names of its tables
	TLS      bool   // asked for and a CA is set: without one there is none, whatever is asked for
	CA       string // path of a PEM file
}

// LoginOf reads it from the settings of a context; the password is not in them.
func LoginOf(c facts.Context, password secret.Secret) Login {
	port, _ := strconv.Atoi(cmp.Or(c.Setting("database.port"), "3306"))
	ca := c.Setting("database.ssl_ca")
	l := Login{
		User: c.Setting("database.username"), Password: password,
		Host: c.Setting("database.host"), Port: port, Socket: c.Setting("database.unix_socket"),
		Schema: c.Setting("database.dbname"), Prefix: c.Setting("database.tables_prefix"),
		TLS: c.On("database.enable_ssl") && ca != "", CA: ca,
	}
	// PDO takes "host:port" and "localhost:/path" for the host, too.
	if strings.HasPrefix(l.Host, "/") {
		l.Socket, l.Host = l.Host, "localhost"
	}
	return l
}

// Remote tells whether the server is on another machine.
func (l Login) Remote() bool {
	return l.Socket == "" && !slices.Contains([]string{"", "localhost", "127.0.0.1", "::1", "[::1]"}, l.Host)
}

// Connect reaches the database of a Matomo: as root by the server's socket,
// which needs no password and sees everything, when the server is on this
// machine and has Matomo's schema; otherwise as Matomo does, by TLS when its
// configuration names a CA, and as plainly as Matomo itself when it does not.
func Connect(ctx context.Context, l Login) (mariadb.Conn, error) {
	var asRoot error
	if !l.Remote() {
		var conn mariadb.Conn
		if conn, asRoot = rootConn(ctx, l); asRoot == nil {
			return conn, nil
		}
	}
	if l.User == "" {
		return mariadb.Conn{}, errors.Join(asRoot, errors.New("log in to the database: Matomo's configuration names no user"))
	}
	c := base()
	c.User, c.Passwd, c.Net, c.Addr = l.User, l.Password.Reveal(), "tcp", net.JoinHostPort(l.Host, strconv.Itoa(l.Port))
	switch {
	case l.Socket != "":
		c.Net, c.Addr = "unix", l.Socket
	case l.Host == "" || l.Host == "localhost": // as PHP does
		c.Net, c.Addr = "unix", mariadb.Socket
	case l.TLS:
		var err error
		if c.TLS, err = verified(l); err != nil {
			return mariadb.Conn{}, err
		}
	}
	server := mariadb.Server{User: l.User}
	if l.Remote() {
		server.Host, server.Port = l.Host, l.Port
	}
	conn, err := open(ctx, c, server)
	if err != nil {
		return mariadb.Conn{}, fmt.Errorf("log in to the database as Matomo does: %w", errors.Join(err, asRoot))
	}
	return conn, nil
}

func rootConn(ctx context.Context, l Login) (mariadb.Conn, error) {
	c := base()
	c.User, c.Net, c.Addr = "root", "unix", mariadb.Socket
	if l.Socket != "" {
		c.Addr = l.Socket
	}
	conn, err := open(ctx, c, mariadb.Server{})
	if err != nil {
		return conn, fmt.Errorf("log in to the database as root by %s: %w", c.Addr, err)
	}
	var found int
	err = conn.DB.QueryRowContext(ctx, "SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = "+mariadb.Quote(l.Schema)).Scan(&found)
	if err == nil && found == 0 && l.Schema != "" {
		err = fmt.Errorf("the server at %s has no schema %s: Matomo uses another one", c.Addr, l.Schema)
	}
	if err != nil {
		conn.Close()
		return mariadb.Conn{}, err
	}
	return conn, nil
}

func base() *mysql.Config {
	c := mysql.NewConfig()
	c.Timeout, c.ReadTimeout, c.WriteTimeout = 3*time.Second, 10*time.Second, 10*time.Second
	c.Logger = log.New(io.Discard, "", 0) // problems come back as errors
	return c
}

func open(ctx context.Context, c *mysql.Config, server mariadb.Server) (mariadb.Conn, error) {
	connector, err := mysql.NewConnector(c)
	if err != nil {
		return mariadb.Conn{}, err
	}
	conn := mariadb.Conn{DB: sql.OpenDB(connector), Server: server}
	conn.DB.SetMaxOpenConns(2)
	if err := conn.DB.PingContext(ctx); err != nil {
		conn.Close()
		return mariadb.Conn{}, server.Explain(err)
	}
	return conn, nil
}

// verified is TLS with the CA of Matomo's configuration. The certificate is
// checked even where Matomo is told to accept any.
func verified(l Login) (*tls.Config, error) {
	text, err := readCA(l.CA)
	if err != nil {
		return nil, fmt.Errorf("read database.ssl_ca: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("read database.ssl_ca: %s holds no certificate", l.CA)
	}
	return &tls.Config{RootCAs: roots, ServerName: l.Host, MinVersion: tls.VersionTLS12}, nil
}

// caLimit is above the size of all certificates of a browser, in bytes.
const caLimit = 4 << 20

// readCA reads a file that a configuration names, which may be anything.
func readCA(path string) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return rooted.ReadFile(file, caLimit)
}
