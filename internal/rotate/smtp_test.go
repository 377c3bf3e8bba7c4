package rotate

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"rocca/internal/secret"
)

// mailServer lets one password in, and repeats a wrong one in its answer.
func mailServer(t *testing.T, implicit bool, password string) (Mail, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mail"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(certificate)
	withTLS := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go serveMail(conn, withTLS, implicit, password)
		}
	}()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	return Mail{Host: "127.0.0.1", Port: port, User: "stats", Implicit: implicit}, roots
}

func serveMail(conn net.Conn, withTLS *tls.Config, implicit bool, password string) {
	defer func() { conn.Close() }()
	encrypted := implicit
	if implicit {
		conn = tls.Server(conn, withTLS)
	}
	fmt.Fprint(conn, "220 mail\r\n")
	lines := bufio.NewReader(conn)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		switch verb, rest, _ := strings.Cut(strings.TrimSpace(line), " "); {
		case verb == "EHLO" && encrypted:
			fmt.Fprint(conn, "250-mail\r\n250 AUTH PLAIN\r\n")
		case verb == "EHLO":
			fmt.Fprint(conn, "250-mail\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n")
		case verb == "STARTTLS":
			fmt.Fprint(conn, "220 go on\r\n")
			conn, encrypted = tls.Server(conn, withTLS), true
			lines = bufio.NewReader(conn)
		case verb == "AUTH":
			sent, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(rest, "PLAIN "))
			if string(sent) == "\x00stats\x00"+password && encrypted {
				fmt.Fprint(conn, "235 in\r\n")
			} else {
				fmt.Fprintf(conn, "535 not with %s\r\n", strings.ReplaceAll(string(sent), "\x00", " "))
			}
		default:
			fmt.Fprint(conn, "221 bye\r\n")
			return
		}
	}
}

func TestMailLogIn(t *testing.T) {
	for _, implicit := range []bool{true, false} {
		mail, roots := mailServer(t, implicit, "Mail-Password-1")
		if err := mail.LogIn(t.Context(), secret.New("Mail-Password-1"), roots); err != nil {
			t.Errorf("implicit %v: %v", implicit, err)
		}
		err := mail.LogIn(t.Context(), secret.New("Mail-Password-2"), roots)
		if err == nil || !strings.Contains(err.Error(), "535") || strings.Contains(err.Error(), "Mail-Password") {
			t.Errorf("implicit %v, a wrong password: %v", implicit, err)
		}
		if err := mail.LogIn(t.Context(), secret.New("Mail-Password-1"), nil); err == nil {
			t.Errorf("implicit %v: a certificate that nobody vouches for is trusted", implicit)
		}
		mail.Plain = true
		if err := mail.LogIn(t.Context(), secret.New("Mail-Password-1"), roots); err == nil || !strings.Contains(err.Error(), "without TLS") {
			t.Errorf("without TLS: %v", err)
		}
	}
}
