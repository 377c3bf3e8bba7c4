package mariadb

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"

	"rocca/internal/secret"
)

func TestExplain(t *testing.T) {
	remote := Server{Host: "db.example.org", Port: 3307, User: "admin", Password: secret.New("hunter2")}
	for _, test := range []struct {
		server Server
		err    error
		want   string
	}{
		{Server{}, net.ErrClosed, "hint: is it running? systemctl status mariadb"},
		{remote, mysql.ErrNoTLS, "hint: the server offers no TLS"},
		{remote, x509.UnknownAuthorityError{}, "-connect db.example.org:3307"},
		{remote, x509.HostnameError{Certificate: &x509.Certificate{DNSNames: []string{"a.example.org", "b.example.org"}, IPAddresses: []net.IP{net.IPv4(192, 0, 2, 1)}}, Host: "db.example.org"},
			"hint: database.host must be a name that its certificate is for: a.example.org, b.example.org, 192.0.2.1"},
		{remote, x509.HostnameError{Certificate: &x509.Certificate{}, Host: "db.example.org"}, "hint: its certificate must name database.host"},
		{remote, x509.CertificateInvalidError{Reason: x509.Expired, Cert: &x509.Certificate{}}, "valid today"},
		{remote, &net.DNSError{Err: "no such host", Name: "db.example.org"}, "hint: is database.host right? getent hosts db.example.org"},
		{remote, &net.OpError{Op: "dial", Err: errors.New("connection refused")}, "hint: is it running, are database.host and database.port right"},
		{remote, &mysql.MySQLError{Number: 1045, Message: "Access denied"}, "hint: are username and password"},
		{remote, &mysql.MySQLError{Number: 1130, Message: "Host is not allowed"}, "hint: no account of the server may come from this machine"},
		{remote, &mysql.MySQLError{Number: 1227, Message: "Access denied; you need"}, "hint: the account in database.credentials lacks a right"},
		{remote, &mysql.MySQLError{Number: 1819, Message: "Your password does not satisfy"}, "hint: the server's password policy"},
	} {
		got := test.server.Explain(fmt.Errorf("connect: %w", test.err))
		if !strings.Contains(got.Error(), test.want) || strings.Contains(got.Error(), "hunter2") {
			t.Errorf("%v: got\n%v\nwant %q", test.err, got, test.want)
		}
	}
}

func TestIdentified(t *testing.T) {
	password := secret.New("password")
	// SELECT PASSWORD('password') of MariaDB.
	if got := Identified(true, password); got != " IDENTIFIED VIA mysql_native_password USING '*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19' REQUIRE SSL" {
		t.Errorf("MariaDB: %s", got)
	}
	if got := Identified(false, secret.New("pass'word")); got != " IDENTIFIED BY 'pass''word' REQUIRE SSL" {
		t.Errorf("MySQL: %s", got)
	}
}

func TestCertificatesLeavesOutKeys(t *testing.T) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	key := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("private")})
	got, err := Certificates(append(append([]byte("a comment\n"), key...), ca...))
	if err != nil || !bytes.Equal(got, ca) {
		t.Errorf("%v\n%s", err, got)
	}
	for name, text := range map[string][]byte{
		"nothing":           nil,
		"only a key":        key,
		"not a certificate": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}),
	} {
		if got, err := Certificates(text); err == nil || got != nil {
			t.Errorf("%s: %v %q", name, err, got)
		}
	}
}
