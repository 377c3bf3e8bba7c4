package prove

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
)

func TestGreeting(t *testing.T) {
	for _, test := range []struct {
		name, bytes, answer string
		answered, greeted   bool
	}{
		{"MariaDB", "\x6e\x00\x00\x00\x0a5.5.5-10.11.19-MariaDB\x00\x01\x00", "it greets: 5.5.5-10.11.19-MariaDB", true, true},
		{"another host only", "\x48\x00\x00\x01\xff\x6a\x04Host '198.51.100.1' is not allowed to connect", "it answers: Host '198.51.100.1' is not allowed to connect", true, false},
		{"nothing", "", "it says nothing: ", false, false},
	} {
		here, there := net.Pipe()
		go func() {
			_, _ = there.Write([]byte(test.bytes))
			there.Close()
		}()
		answered, greeted, answer := greeting(func() (net.Conn, error) { return here, nil })
		if answered != test.answered || greeted != test.greeted || !strings.HasPrefix(answer, test.answer) {
			t.Errorf("%s: %v, %v, %q", test.name, answered, greeted, answer)
		}
	}
	if answered, _, answer := greeting(func() (net.Conn, error) { return nil, errors.New("refused") }); answered || answer != "refused" {
		t.Errorf("no connection: %v, %q", answered, answer)
	}
}

// TestImpostor is led by a real client: how far it goes is what is seen.
func TestImpostor(t *testing.T) {
	certificate, err := impostorCertificate()
	if err != nil {
		t.Fatal(err)
	}
	issued, err := x509.ParseCertificate(certificate.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	known := x509.NewCertPool()
	known.AddCert(issued)
	for _, test := range []struct {
		name         string
		tls          *tls.Config
		asked, login bool
	}{
		{"without TLS", nil, false, true},
		{"any certificate", &tls.Config{InsecureSkipVerify: true}, true, true},
		{"another issuer", &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "127.0.0.1"}, true, false},
		{"this issuer", &tls.Config{RootCAs: known, ServerName: "127.0.0.1"}, true, true},
	} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		got := make(chan received, 1)
		go func() {
			there, err := listener.Accept()
			if err != nil {
				got <- received{err: err}
				return
			}
			defer there.Close()
			got <- serveImpostor(there, certificate)
		}()
		c := mysql.NewConfig()
		c.User, c.Passwd, c.Net, c.Addr, c.TLS, c.Logger = "x", "x", "tcp", listener.Addr().String(), test.tls, &mysql.NopLogger{}
		c.Timeout, c.ReadTimeout = 5*time.Second, 5*time.Second
		connector, err := mysql.NewConnector(c)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := connector.Connect(t.Context()); err == nil {
			t.Errorf("%s: the client is logged in", test.name)
		}
		listener.Close()
		if r := <-got; r.asked != test.asked || r.login != test.login {
			t.Errorf("%s: asked for TLS %v, logs in %v (%v)", test.name, r.asked, r.login, r.err)
		}
	}
}
