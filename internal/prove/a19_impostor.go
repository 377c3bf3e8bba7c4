package prove

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"strings"
	"time"

	"rocca/internal/collect/db"
	"rocca/internal/facts"
	"rocca/internal/model"
	"rocca/internal/run"
	"rocca/internal/secret"
)

// attackImpostor leads PHP to a server that is not Matomo's: it has a
// certificate, for its own address, that nobody has issued. PHP connects with
// the settings of each configuration, but with a user and a password that are
// canaries.
func attackImpostor(ctx context.Context, t *Target, r *Record) error {
	var problems []error
	for _, c := range t.Matomo.Contexts {
		if c.User == "" || !db.LoginOf(c, secret.Secret{}).Remote() {
			continue
		}
		got, err := impostorGets(ctx, t, c)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		try := model.Try{
			Who: "a server in the place of " + c.Setting("database.host"), What: "have PHP log in", Where: c.Config, Answer: got.String(), Fell: got.login,
			Note: "a certificate of the right issuer for another name was not tried: that needs the issuer's key",
		}
		if got.login {
			try.Reproduce = `awk -F' *= *' '/^\[/ { s = $0 } s == "[database]" && $1 ~ /^(enable_ssl|ssl_ca|ssl_no_verify)$/ { print; v[$1] = $2 } END { gsub(/"/, "", v["ssl_no_verify"]); exit v["enable_ssl"] ~ /1/ && v["ssl_ca"] ~ /[a-z]/ && v["ssl_no_verify"] !~ /1/ }' ` + run.Quote([]string{c.Config})
		}
		r.Try(try)
	}
	return errors.Join(problems...)
}

// received is what an impostor got.
type received struct {
	asked bool // for TLS
	login bool // who logs in, and the proof of a password
	err   error
}

func (r received) String() string {
	switch {
	case r.login && r.asked:
		return "it takes the certificate, and logs in"
	case r.login:
		return "it logs in without TLS"
	}
	return fmt.Sprintf("it does not log in: %v", r.err)
}

func impostorGets(ctx context.Context, t *Target, c facts.Context) (received, error) {
	certificate, err := impostorCertificate()
	if err != nil {
		return received{}, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return received{}, fmt.Errorf("stand in for the database server: %w", err)
	}
	defer listener.Close()
	got := make(chan received, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			got <- received{err: err}
			return
		}
		defer conn.Close()
		got <- serveImpostor(conn, certificate)
	}()
	settings, err := json.Marshal(map[string]any{
		"dsn": fmt.Sprintf("mysql:host=127.0.0.1;port=%d", listener.Addr().(*net.TCPAddr).Port), "tls": c.On("database.enable_ssl"),
		"ca": c.Setting("database.ssl_ca"), "path": c.Setting("database.ssl_ca_path"), "any": c.On("database.ssl_no_verify"), "name": Canary(),
	})
	if err != nil {
		return received{}, fmt.Errorf("stand in for the database server: %w", err)
	}
	// As Matomo does (core/Db/Adapter/Pdo/Mysql.php).
	const php = `$in = json_decode(stream_get_contents(STDIN), true);
$options = [PDO::ATTR_TIMEOUT => 5];
if ($in["tls"]) {
    if ($in["ca"] !== "") { $options[PDO::MYSQL_ATTR_SSL_CA] = $in["ca"]; }
    if ($in["path"] !== "") { $options[PDO::MYSQL_ATTR_SSL_CAPATH] = $in["path"]; }
    if ($in["any"]) { $options[PDO::MYSQL_ATTR_SSL_VERIFY_SERVER_CERT] = false; }
}
try { new PDO($in["dsn"], $in["name"], $in["name"], $options); echo "in"; } catch (PDOException $e) { echo $e->getMessage(); }`
	out, err := t.Run(ctx, c.User, run.Command{Argv: []string{"php", "-d", "display_errors=0", "-r", php}, Stdin: strings.NewReader(string(settings))})
	if err != nil {
		return received{}, fmt.Errorf("have PHP connect to a server in the place of the database: %w", err)
	}
	listener.Close() // PHP may not have come at all
	seen := <-got
	if !seen.login && seen.err != nil {
		seen.err = errors.New(shortened(string(out.Stdout)))
	}
	if errors.Is(seen.err, net.ErrClosed) {
		return received{}, fmt.Errorf("have PHP connect to a server in the place of the database: it did not: %s", out.Stdout)
	}
	return seen, nil
}

// What a client and a server say of themselves (MySQL protocol, 4.1 and later).
const (
	clientProtocol41 = 1 << 9
	clientSSL        = 1 << 11
	clientSecure     = 1 << 15
	clientPluginAuth = 1 << 19
)

// serveImpostor greets, offers TLS, and sees how far the client goes.
func serveImpostor(conn net.Conn, certificate tls.Certificate) received {
	var got received
	if got.err = conn.SetDeadline(time.Now().Add(10 * time.Second)); got.err != nil {
		return got
	}
	if _, got.err = conn.Write(impostorGreeting()); got.err != nil {
		return got
	}
	payload, err := handshake(conn)
	if got.err = err; err != nil {
		return got
	}
	// A request for TLS has no name of a user in it.
	if len(payload) != 32 || binary.LittleEndian.Uint32(payload)&clientSSL == 0 {
		got.login = true
		return got
	}
	got.asked = true
	secured := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12})
	if got.err = secured.Handshake(); got.err != nil {
		return got
	}
	payload, got.err = handshake(secured)
	got.login = got.err == nil && len(payload) > 32
	return got
}

func impostorGreeting() []byte {
	const capabilities = clientProtocol41 | clientSSL | clientSecure | clientPluginAuth
	body := append([]byte{10}, "8.0.0-impostor\x00\x01\x00\x00\x00abcdefgh\x00"...)
	body = binary.LittleEndian.AppendUint16(body, uint16(capabilities&0xffff))
	body = append(body, 45, 2, 0)
	body = binary.LittleEndian.AppendUint16(body, uint16(capabilities>>16))
	body = append(body, 21)
	body = append(body, make([]byte, 10)...)
	body = append(body, "ijklmnopqrst\x00mysql_native_password\x00"...)
	return append([]byte{byte(len(body)), 0, 0, 0}, body...)
}

// handshake reads one packet of the protocol.
func handshake(from io.Reader) ([]byte, error) {
	header := make([]byte, 4)
	if _, err := io.ReadFull(from, header); err != nil {
		return nil, err
	}
	payload := make([]byte, int(header[0])|int(header[1])<<8)
	_, err := io.ReadFull(from, payload)
	return payload, err
}

func impostorCertificate() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make a certificate: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "127.0.0.1"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make a certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
