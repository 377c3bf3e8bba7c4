package mariadb

import (
	"context"
	"crypto/sha1" // the server's own scheme; the password behind it is random
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/go-sql-driver/mysql"

	"rocca/internal/secret"
)

// Numbers of errors that both MariaDB and MySQL give (mysqld_error.h).
const (
	errSchemaDenied   = 1044
	errAccessDenied   = 1045
	errHostBlocked    = 1129
	errHostNotAllowed = 1130
	errTableDenied    = 1142
	errNeedsPrivilege = 1227
	errNoPassword     = 1698
	errWeakPassword   = 1819
	errLocked         = 4151 // of MariaDB
	errLockedMySQL    = 3118
)

// Explain adds to an error of the server a hint what to look at.
func (s Server) Explain(err error) error {
	if !s.Remote() {
		return fmt.Errorf("%w\nhint: is it running? systemctl status mariadb", err)
	}
	return fmt.Errorf("%s port %d: %w\nhint: %s", s.Host, s.Port, err, s.hint(err))
}

func (s Server) hint(err error) string {
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var lookup *net.DNSError
	var refused *mysql.MySQLError
	switch {
	case errors.Is(err, mysql.ErrNoTLS):
		return "the server offers no TLS, and rocca sends no password without it: give the server a certificate (ssl_cert, ssl_key)"
	case errors.As(err, &unknown):
		return "database.ca is not what issued its certificate; who did: openssl s_client -starttls mysql -showcerts -connect " + s.address()
	case errors.As(err, &name):
		if names := namesOf(name.Certificate); len(names) > 0 {
			return "database.host must be a name that its certificate is for: " + strings.Join(names, ", ")
		}
		return "its certificate must name database.host (subjectAltName)"
	case errors.As(err, &invalid):
		return "the server needs a certificate that is valid today"
	case errors.As(err, &lookup):
		return "is database.host right? getent hosts " + s.Host
	case !errors.As(err, &refused):
		return "is it running, are database.host and database.port right, and does a firewall let this machine through?"
	}
	switch refused.Number {
	case errAccessDenied, errNoPassword:
		return "are username and password in the file that database.credentials names right, and may that account come from this machine?"
	case errHostBlocked, errHostNotAllowed:
		return "no account of the server may come from this machine"
	case errSchemaDenied, errTableDenied, errNeedsPrivilege:
		return "the account in database.credentials lacks a right: it needs CREATE USER, SELECT on mysql.*, and on the schema all that it grants, WITH GRANT OPTION (where none is named, an administrator must be)"
	case errWeakPassword:
		return "the server's password policy refuses 32 random letters and digits: allow them for accounts of programs"
	}
	return "the log of the server may tell more"
}

func namesOf(c *x509.Certificate) []string {
	found := append([]string{}, c.DNSNames...)
	for _, address := range c.IPAddresses {
		found = append(found, address.String())
	}
	return found
}

// Accepts tells whether the server lets an account in with a password.
func (s Server) Accepts(ctx context.Context, user string, password secret.Secret) (bool, error) {
	s.User, s.Password = user, password
	conn, err := Open(s)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	err = conn.DB.PingContext(ctx)
	if KeptOut(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("log in as %s: %w", user, s.Explain(err))
	}
	return true, nil
}

// KeptOut tells whether an error means that the server does not let an account
// in from this machine with this password, or not at all. It does not say what
// of it is wrong.
func KeptOut(err error) bool {
	var refused *mysql.MySQLError
	return errors.As(err, &refused) && slices.Contains([]uint16{errAccessDenied, errHostNotAllowed, errNoPassword, errLocked, errLockedMySQL}, refused.Number)
}

// Identified is the part of CREATE USER and ALTER USER that sets a password
// and demands TLS. MariaDB writes such statements as they are into its general
// log and its binary log, so it is told a hash. MySQL writes no password there.
func Identified(isMariaDB bool, password secret.Secret) string {
	if !isMariaDB {
		return " IDENTIFIED BY " + Quote(password.Reveal()) + " REQUIRE SSL"
	}
	once := sha1.Sum([]byte(password.Reveal()))
	twice := sha1.Sum(once[:])
	return " IDENTIFIED VIA mysql_native_password USING '*" + strings.ToUpper(hex.EncodeToString(twice[:])) + "' REQUIRE SSL"
}

// Certificates keeps the certificates of a PEM file and nothing else that may
// be in it, such as a key.
func Certificates(text []byte) ([]byte, error) {
	var kept []byte
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return nil, fmt.Errorf("read a certificate: %w", err)
		}
		kept = append(kept, pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes})...)
	}
	if len(kept) == 0 {
		return nil, errors.New("read a certificate: there is none")
	}
	return kept, nil
}
