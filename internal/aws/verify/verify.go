// Package verify looks at a Matomo from outside, as a visitor and as an attacker
// do. An open installation wizard fails; a port 22 that nobody answers passes.
package verify

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"rocca/internal/aws/check"
	"rocca/internal/secret"
)

// Target is what is looked at.
type Target struct {
	URL     *url.URL       // https://NAME/
	Connect string         // "host:port" to connect to instead of what DNS says; empty: DNS
	Plain   string         // "host:port" of plain HTTP; empty: port 80 of the same host
	SSH     string         // "host:port" of SSH; empty: port 22 of the same host
	CA      *x509.CertPool // authorities to trust; nil: those of this computer
	Site    int            // id of the site in Matomo that a test hit goes to
	Token   secret.Secret  // token_auth that may see that site; without it, the hit cannot be found again
	Minted  string         // what makes the test hit unlike any other: letters and digits
}

const (
	answerTime  = 15 * time.Second // of one request
	answerBytes = 1 << 20          // of one answer
	freshDays   = 14               // a certificate that ends sooner is not being renewed
)

// Run makes every check, in an order in which the first that fails tells most.
func Run(ctx context.Context, t Target) []check.Check {
	v := newVerifier(ctx, t)
	return append(v.look(), v.hit(), v.found())
}

// Look makes those checks that leave nothing behind: no hit is recorded.
func Look(ctx context.Context, t Target) []check.Check { return newVerifier(ctx, t).look() }

func newVerifier(ctx context.Context, t Target) *verifier {
	v := &verifier{ctx: ctx, target: t}
	v.https = v.client(&tls.Config{RootCAs: t.CA, MinVersion: tls.VersionTLS12, ServerName: t.URL.Hostname()}, v.address())
	return v
}

func (v *verifier) look() []check.Check {
	return []check.Check{
		v.certificate(), v.oldTLS(), v.redirect(), v.front(), v.hsts(), v.wizard(), v.foreignHost(), v.secrets(), v.ssh(),
	}
}

// Passed tells whether nothing failed. What is unknown has not passed.
func Passed(all []check.Check) bool {
	return check.Count(all, check.Fail)+check.Count(all, check.Unknown) == 0
}

type verifier struct {
	ctx     context.Context
	target  Target
	https   *http.Client
	tracked bool // the test hit was taken
}

// address is where https answers.
func (v *verifier) address() string {
	if v.target.Connect != "" {
		return v.target.Connect
	}
	port := v.target.URL.Port()
	if port == "" {
		port = "443"
	}
	return net.JoinHostPort(v.target.URL.Hostname(), port)
}

// beside is another port of the same host, unless one is named.
func (v *verifier) beside(named, port string) string {
	if named != "" {
		return named
	}
	host, _, _ := net.SplitHostPort(v.address())
	return net.JoinHostPort(host, port)
}

// client speaks to one address, whatever the URL says, and follows nothing.
func (v *verifier) client(config *tls.Config, address string) *http.Client {
	var dialer net.Dialer
	return &http.Client{
		Timeout:       answerTime,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			TLSClientConfig: config, DisableKeepAlives: true,
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return dialer.DialContext(ctx, network, address)
			},
		},
	}
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// ask sends a request to Matomo; host is the Host header when it is not that
// of the URL.
func (v *verifier) ask(client *http.Client, method, address, host, body string) (answer, error) {
	request, err := http.NewRequestWithContext(v.ctx, method, address, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	if host != "" {
		request.Host = host
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	request.Header.Set("User-Agent", "rocca-verify")
	response, err := client.Do(request)
	if err != nil {
		return answer{}, shorten(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, answerBytes))
	if err != nil {
		return answer{}, fmt.Errorf("read the answer: %w", err)
	}
	return answer{response.StatusCode, response.Header, string(text)}, nil
}

// shorten leaves out the address, which may hold a token.
func shorten(err error) error {
	var failed *url.Error
	if errors.As(err, &failed) {
		return failed.Err
	}
	return err
}

func (v *verifier) at(path string) string { return v.target.URL.JoinPath("/").String() + path }

func (v *verifier) get(path string) (answer, error) {
	return v.ask(v.https, http.MethodGet, v.at(path), "", "")
}

// unreached is a check whose question got no answer.
func unreached(c check.Check, err error) check.Check {
	c.Status, c.Found = check.Unknown, "no answer: "+err.Error()
	if c.Fix == "" {
		c.Fix = "does the name lead here, and do the certificate and the listener exist? rocca aws info"
	}
	return c
}

func (v *verifier) certificate() check.Check {
	c := check.Check{ID: "tls.certificate", What: "the certificate is valid for the name, and for a while", Fix: "rocca aws info shows the certificate; the DNS record that proves the name may be missing"}
	dialer := tls.Dialer{NetDialer: &net.Dialer{Timeout: answerTime}, Config: &tls.Config{RootCAs: v.target.CA, MinVersion: tls.VersionTLS12, ServerName: v.target.URL.Hostname()}}
	conn, err := dialer.DialContext(v.ctx, "tcp", v.address())
	var invalid *tls.CertificateVerificationError
	if errors.As(err, &invalid) {
		c.Status, c.Found = check.Fail, invalid.Err.Error()
		return c
	}
	if err != nil {
		return unreached(c, err)
	}
	defer conn.Close()
	state := conn.(*tls.Conn).ConnectionState()
	ends := state.PeerCertificates[0].NotAfter
	c.Status, c.Found = check.OK, tls.VersionName(state.Version)+", until "+ends.Format(time.DateOnly)
	if time.Until(ends) < freshDays*24*time.Hour {
		c.Status = check.Warn
	}
	return c
}

func (v *verifier) oldTLS() check.Check {
	c := check.Check{ID: "tls.old", What: "TLS 1.0 and 1.1 are refused", Fix: "the listener needs a security policy of 2021 or later"}
	//nolint:gosec // an old version is what is tried, and nothing is believed of what answers
	config := &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11, ServerName: v.target.URL.Hostname(), InsecureSkipVerify: true}
	dialer := tls.Dialer{NetDialer: &net.Dialer{Timeout: answerTime}, Config: config}
	conn, err := dialer.DialContext(v.ctx, "tcp", v.address())
	if err == nil {
		conn.Close()
		c.Status, c.Found = check.Fail, tls.VersionName(conn.(*tls.Conn).ConnectionState().Version)+" is accepted"
		return c
	}
	var network *net.OpError
	if errors.As(err, &network) && network.Op == "dial" {
		return unreached(c, err) // nobody is there to refuse anything
	}
	c.Status, c.Found = check.OK, "refused"
	return c
}

func (v *verifier) redirect() check.Check {
	c := check.Check{ID: "http.redirect", What: "plain http leads to https, and to nothing else", Fix: "the listener of port 80 must do nothing but redirect"}
	plain := v.client(nil, v.beside(v.target.Plain, "80"))
	got, err := v.ask(plain, http.MethodGet, "http://"+v.target.URL.Hostname()+"/", "", "")
	switch location := got.header.Get("Location"); {
	case err != nil && refused(err):
		c.Status, c.Found = check.OK, "port 80 is closed"
	case err != nil:
		return unreached(c, err)
	case got.status/100 == 3 && strings.HasPrefix(location, "https://"):
		c.Status, c.Found = check.OK, fmt.Sprintf("%d to https", got.status)
	default:
		c.Status, c.Found = check.Fail, fmt.Sprintf("answers %d in clear", got.status)
	}
	return c
}

// refused tells whether nobody listens, or a firewall drops what comes.
func refused(err error) bool {
	var network *net.OpError
	var name *net.DNSError
	return errors.As(err, &network) && network.Op == "dial" && !errors.As(err, &name)
}

func (v *verifier) front() check.Check {
	c := check.Check{ID: "matomo.answers", What: "Matomo answers with its login"}
	got, err := v.get("index.php?module=Login")
	switch {
	case err != nil:
		return unreached(c, err)
	case got.status == http.StatusOK && strings.Contains(got.body, "login"):
		c.Status, c.Found = check.OK, "the login page"
	case got.status == http.StatusForbidden || got.status == http.StatusNotFound:
		c.Status, c.Found = check.Warn, fmt.Sprintf("%d", got.status)
		c.Fix = "right where admin_networks leave this computer out; otherwise look at the journal: rocca aws ssh"
	default:
		c.Status, c.Found, c.Fix = check.Fail, fmt.Sprintf("%d", got.status), "rocca aws ssh, then rocca status"
	}
	return c
}

func (v *verifier) hsts() check.Check {
	c := check.Check{ID: "tls.hsts", What: "browsers are told to use https only", Fix: "Strict-Transport-Security with a max-age of at least 180 days"}
	got, err := v.get("matomo.js")
	if err != nil {
		return unreached(c, err)
	}
	c.Found = got.header.Get("Strict-Transport-Security")
	c.Status = check.OK
	if c.Found == "" {
		c.Status, c.Found = check.Fail, "no Strict-Transport-Security"
	}
	return c
}

// What a step of the wizard and its answer after the installation look like:
// plugins/Installation in Matomo.
const (
	wizardMark    = `<body id="installation">`
	installedMark = "already installed"
)

func (v *verifier) wizard() check.Check {
	c := check.Check{ID: "matomo.wizard", What: "nobody can install Matomo from a browser", Fix: "take it from the network at once: whoever comes first owns it (rocca explain APP-02)"}
	c.Status, c.Found = check.OK, "closed"
	for _, path := range []string{"index.php", "index.php?action=welcome", "index.php?module=Installation&action=systemCheck"} {
		got, err := v.get(path)
		if err != nil {
			return unreached(c, err)
		}
		if strings.Contains(got.body, wizardMark) && !strings.Contains(got.body, installedMark) {
			c.Status, c.Found = check.Fail, "/"+path+" shows the installation wizard"
			return c
		}
	}
	return c
}

func (v *verifier) foreignHost() check.Check {
	c := check.Check{ID: "host.foreign", What: "requests for another host name are refused", Fix: "the default action of the listener must not forward (rocca explain FRT-04)"}
	got, err := v.ask(v.https, http.MethodGet, v.at("index.php"), "attacker.example", "")
	switch {
	case errors.Is(err, io.EOF):
		c.Status, c.Found = check.OK, "closed without an answer"
	case err != nil:
		return unreached(c, err)
	case got.status >= 400 && got.status < 500 && !strings.Contains(got.body, "attacker.example"):
		c.Status, c.Found = check.OK, fmt.Sprintf("%d", got.status)
	default:
		c.Status, c.Found = check.Fail, fmt.Sprintf("answers %d to Host: attacker.example", got.status)
	}
	return c
}

func (v *verifier) secrets() check.Check {
	c := check.Check{ID: "files.private", What: "configuration and temporary files are not served", Fix: "rocca explain FRT-01"}
	c.Status, c.Found = check.OK, "refused"
	for _, path := range []string{"config/config.ini.php", "config/global.ini.php", "tmp/", ".git/HEAD", "console", "vendor/autoload.php"} {
		got, err := v.get(path)
		if err != nil {
			return unreached(c, err)
		}
		if got.status < 400 {
			c.Status, c.Found = check.Fail, fmt.Sprintf("/%s answers %d", path, got.status)
			return c
		}
	}
	return c
}

func (v *verifier) ssh() check.Check {
	c := check.Check{ID: "ssh.closed", What: "SSH is not open to here", Fix: "take network.ssh out of rocca-aws.yaml: rocca aws ssh needs no open port"}
	dialer := net.Dialer{Timeout: 3 * time.Second}
	conn, err := dialer.DialContext(v.ctx, "tcp", v.beside(v.target.SSH, "22"))
	if err != nil && refused(err) {
		c.Status, c.Found = check.OK, "closed"
		return c
	}
	if err != nil {
		return unreached(c, err)
	}
	conn.Close()
	c.Status, c.Found = check.Warn, "port 22 answers"
	return c
}

// page is the made-up page that the test hit was on.
func (v *verifier) page() string { return "https://rocca-verify.invalid/" + v.target.Minted }

func (v *verifier) hit() check.Check {
	c := check.Check{ID: "tracker.hit", What: "a hit is recorded", Fix: "rocca aws ssh, then rocca status"}
	query := url.Values{"idsite": {fmt.Sprint(v.target.Site)}, "rec": {"1"}, "send_image": {"0"}, "url": {v.page()}, "action_name": {"rocca verify"}}
	got, err := v.get("matomo.php?" + query.Encode())
	switch {
	case err != nil:
		return unreached(c, err)
	case got.status == http.StatusNoContent || got.status == http.StatusOK:
		v.tracked = true
		c.Status, c.Found = check.OK, fmt.Sprintf("%d", got.status)
	default:
		c.Status, c.Found = check.Fail, fmt.Sprintf("%d", got.status)
	}
	return c
}

// found looks for the hit by the reporting API, with the token in the body,
// where no log keeps it.
func (v *verifier) found() check.Check {
	c := check.Check{ID: "tracker.found", What: "the hit is found again by the API", Fix: "give a token_auth that may view the site: --token-file"}
	c.Status = check.Unknown
	if !v.tracked {
		c.Found, c.Fix = "there was no hit", ""
		return c
	}
	if v.target.Token.IsZero() {
		c.Found = "no token to ask with"
		return c
	}
	form := url.Values{"module": {"API"}, "method": {"Live.getLastVisitsDetails"}, "format": {"JSON"}, "idSite": {fmt.Sprint(v.target.Site)},
		"period": {"day"}, "date": {"today"}, "filter_limit": {"50"}, "token_auth": {v.target.Token.Reveal()}}
	got, err := v.ask(v.https, http.MethodPost, v.at("index.php"), "", form.Encode())
	switch {
	case err != nil:
		return unreached(c, err)
	case got.status == http.StatusOK && strings.Contains(strings.ReplaceAll(got.body, `\/`, "/"), v.page()):
		c.Status, c.Found = check.OK, "among the last visits"
	case got.status == http.StatusOK && !strings.Contains(got.body, `"result":"error"`):
		c.Status, c.Found, c.Fix = check.Fail, "not among the last visits", "is it queued, or excluded? rocca aws ssh, then rocca status"
	default:
		c.Found = fmt.Sprintf("the API refuses the token (%d)", got.status)
	}
	return c
}
