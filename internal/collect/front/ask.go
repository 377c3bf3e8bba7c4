package front

import (
	"cmp"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"rocca/internal/facts"
)

const (
	atOnce       = 4
	patience     = 3 * time.Second  // for one request
	patienceAll  = 20 * time.Second // for all of them
	patienceSlow = time.Second      // for those that a limit refused, each after a pause
	tooLate      = "no answer in 3 s"
	pause        = 100 * time.Millisecond
	pageLimit    = 256 << 10 // bytes of a page that are looked at
	scriptLimit  = 4 << 20
)

// AskAll asks the front what a visitor and an attacker would ask, and which TLS
// it agrees to. Certificates are not verified: who this machine is, is told
// apart. An answer that could not be had has a Problem; the error is that of a
// target that is not this machine.
func AskAll(ctx context.Context, t Target) (map[string]facts.Answer, map[string]facts.Handshake, error) {
	for _, address := range []string{t.HTTPS, t.HTTP} {
		if err := mustBeOwn(address); err != nil {
			return nil, nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, patienceAll)
	defer cancel()
	a := newAsker(t)
	defer a.close()

	var handshakes map[string]facts.Handshake
	var aside sync.WaitGroup
	aside.Go(func() { handshakes = Shake(ctx, t.HTTPS, t.Name) })
	requests := t.requests()
	found := make([]asked, len(requests))
	work := make(chan int)
	var workers sync.WaitGroup
	for range atOnce {
		workers.Go(func() {
			for i := range work {
				found[i] = a.ask(ctx, requests[i])
			}
		})
	}
	for i := range requests {
		work <- i
	}
	close(work)
	workers.Wait()
	aside.Wait()
	// A front that limits requests is asked again, slower, for a while; what took
	// too long beside others once more, alone.
	slowly, stop := context.WithTimeout(ctx, patienceSlow)
	defer stop()
	for i := range found {
		for slowly.Err() == nil && (found[i].Status == http.StatusTooManyRequests || found[i].Status == http.StatusServiceUnavailable) {
			select {
			case <-slowly.Done():
			case <-time.After(pause):
				found[i] = a.ask(ctx, requests[i])
			}
		}
		if found[i].Problem == tooLate && ctx.Err() == nil {
			found[i] = a.ask(ctx, requests[i])
		}
		if found[i].Status == http.StatusTooManyRequests {
			found[i].Verdict, found[i].Problem = "", "the front limits how often it may be asked"
		}
	}
	answers := map[string]facts.Answer{}
	for i, one := range found {
		keep(answers, requests[i].name, one.Answer)
		for name, judge := range requests[i].also {
			keep(answers, name, one.judged(judge))
		}
	}
	believed(answers)
	return answers, handshakes, nil
}

// asked is an answer with the reply that it was judged by.
type asked struct {
	facts.Answer
	reply *reply // nil: there was none
}

// judged is the same answer, judged anew.
func (a asked) judged(judge judgement) facts.Answer {
	if a.reply != nil && a.Verdict != "" {
		a.Verdict, a.Sign = judge(*a.reply)
	}
	return a.Answer
}

// keep takes an answer, unless a worse one has its name already.
func keep(answers map[string]facts.Answer, name string, answer facts.Answer) {
	if before, there := answers[name]; !there || severity(answer.Verdict) > severity(before.Verdict) {
		answers[name] = answer
	}
}

// severity orders verdicts, for requests that share a name: the worst counts.
func severity(v facts.Verdict) int {
	return slices.Index([]facts.Verdict{"", facts.Refused, facts.Redirected, facts.Failed, facts.Served, facts.Executed, facts.Leaked}, v)
}

// believed notes when a claimed address opened or closed a door.
func believed(answers map[string]facts.Answer) {
	plain, forwarded := answers["ui"], answers["forwarded-for"]
	if plain.Verdict != "" && forwarded.Verdict != "" && forwarded.Verdict != facts.Leaked && plain.Verdict != forwarded.Verdict {
		forwarded.Sign = fmt.Sprintf("answers %d instead of %d", forwarded.Status, plain.Status)
		forwarded.Verdict = facts.Leaked
		answers["forwarded-for"] = forwarded
	}
}

// mustBeOwn refuses addresses of other machines.
func mustBeOwn(address string) error {
	if address == "" {
		return nil
	}
	if err := Own(address); err != nil {
		return fmt.Errorf("ask the front at %s: %w", address, err)
	}
	return nil
}

// Own tells, by an error that says why, that "host:port" is not an address of
// this machine. Others are neither asked nor attacked.
func Own(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil || local(host) {
		return err
	}
	ip := net.ParseIP(host)
	own, err := net.InterfaceAddrs()
	if err != nil {
		return err
	}
	for _, network := range own {
		if prefix, ok := network.(*net.IPNet); ok && ip != nil && prefix.IP.Equal(ip) {
			return nil
		}
	}
	return errors.New("not an address of this machine")
}

// asker holds the connections to one front.
type asker struct {
	Target
	first, second, plain *http.Client // HTTP/1.1, HTTP/2, without TLS
}

func newAsker(t Target) *asker {
	client := func(address string, http2 bool) *http.Client {
		transport := &http.Transport{
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				if address == "" {
					return nil, errNoListener
				}
				return (&net.Dialer{Timeout: patience}).DialContext(ctx, "tcp", address)
			},
			// Old versions are tried by Shake; here any that works will do.
			TLSClientConfig:     &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10},
			MaxIdleConnsPerHost: atOnce, DisableCompression: true, ForceAttemptHTTP2: http2,
			TLSHandshakeTimeout: patience,
		}
		if !http2 {
			transport.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
		}
		return &http.Client{Transport: transport, Timeout: patience,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	return &asker{t, client(t.HTTPS, false), client(t.HTTPS, true), client(t.HTTP, false)}
}

func (a *asker) close() {
	for _, client := range []*http.Client{a.first, a.second, a.plain} {
		client.CloseIdleConnections()
	}
}

var errNoListener = errors.New("nothing listens")

// ask makes one request and judges its answer.
func (a *asker) ask(ctx context.Context, r request) asked {
	scheme, client := "https", a.first
	switch {
	case r.plain || a.HTTPS == "":
		scheme, client = "http", a.plain
	case r.second:
		client = a.second
	}
	host := cmp.Or(r.host, a.Name)
	if r.behind {
		host = a.Name
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	answer := facts.Answer{Method: cmp.Or(r.method, http.MethodGet), URL: scheme + "://" + host + r.path, Host: r.host}
	outgoing, err := http.NewRequestWithContext(ctx, answer.Method, answer.URL, nil)
	if err != nil {
		answer.Problem = err.Error()
		return asked{Answer: answer}
	}
	if r.behind {
		outgoing.Host, outgoing.URL.Opaque = r.host, "//"+outgoing.URL.Host+r.path
	}
	for name, value := range r.header {
		outgoing.Header.Set(name, value)
	}
	outgoing.Header.Set("User-Agent", "rocca")
	response, err := client.Do(outgoing)
	if err != nil {
		a.failed(ctx, &answer, r, err)
		return asked{Answer: answer}
	}
	defer response.Body.Close()
	answer.Protocol, answer.Status, answer.Header = response.Proto, response.StatusCode, response.Header
	if cookies := answer.Header["Set-Cookie"]; cookies != nil {
		answer.Header["Set-Cookie"] = redactCookies(cookies)
	}
	read := reply{request: r, status: response.StatusCode, header: response.Header}
	isCode := strings.HasPrefix(r.name, "script")
	limit := int64(pageLimit)
	if isCode {
		limit = scriptLimit
	}
	content, err := decoded(response, limit)
	if err != nil {
		answer.Problem = "read the answer: " + err.Error()
		if isCode {
			return asked{Answer: answer}
		}
	}
	read.truncated = int64(len(content)) > limit
	read.body = string(content[:min(int64(len(content)), limit)])
	answer.Verdict, answer.Sign = r.judge(read)
	if isCode && answer.Verdict == facts.Served && !read.truncated {
		sum := sha256.Sum256([]byte(read.body))
		answer.SHA256 = hex.EncodeToString(sum[:])
	}
	if r.name == "ui" {
		answer.Origins = origins(read.body, a.Name)
	}
	if a.guarded(r.path) && answer.Verdict == facts.Leaked {
		answer.Verdict, answer.Sign = facts.Refused, "for this machine alone: "+answer.Sign
	}
	return asked{answer, &read}
}

// decoded reads the body, one byte more than the limit when there is more.
func decoded(response *http.Response, limit int64) ([]byte, error) {
	body := io.Reader(response.Body)
	switch encoding := response.Header.Get("Content-Encoding"); strings.ToLower(encoding) {
	case "", "identity":
	case "gzip":
		unzipped, err := gzip.NewReader(body)
		if err != nil {
			return nil, err
		}
		body = unzipped
	default:
		return nil, fmt.Errorf("it is encoded as %s, which was not asked for", encoding)
	}
	return io.ReadAll(io.LimitReader(body, limit+1))
}

// failed judges a request that had no answer. A front that closes the
// connection refuses; one that is not there, or takes too long, says nothing.
func (a *asker) failed(ctx context.Context, answer *facts.Answer, r request, err error) {
	var alert tls.AlertError
	var dial *net.OpError
	var timeout net.Error
	switch {
	case errors.Is(err, errNoListener):
		if r.plain {
			answer.Verdict = facts.Refused
		}
		answer.Sign = "nothing listens"
	case ctx.Err() != nil:
		answer.Problem = "no time was left to ask"
	case errors.As(err, &timeout) && timeout.Timeout():
		answer.Problem = tooLate
	case errors.As(err, &alert) || strings.Contains(err.Error(), "tls: "):
		answer.Problem = err.Error()
		if r.host != "" { // a name that it does not know
			answer.Verdict, answer.Problem, answer.Sign = facts.Refused, "", "handshake refused"
		}
	case errors.As(err, &dial) && dial.Op == "dial":
		answer.Problem = err.Error()
	default:
		answer.Verdict, answer.Sign = facts.Refused, "connection closed"
	}
}

var tlsVersions = []struct {
	name    string
	version uint16
}{{"TLS 1.0", tls.VersionTLS10}, {"TLS 1.1", tls.VersionTLS11}, {"TLS 1.2", tls.VersionTLS12}, {"TLS 1.3", tls.VersionTLS13}}

// Shake tries each version of TLS at an address for a name, and under "weak"
// the ciphers of TLS 1.2 without forward secrecy or authenticated encryption
// that Go can offer (none with finite-field Diffie-Hellman). A certificate that
// does not lead to a CA of this machine is told in Problem. Nil without address.
func Shake(ctx context.Context, address, name string) map[string]facts.Handshake {
	if address == "" {
		return nil
	}
	found := map[string]facts.Handshake{}
	for _, v := range tlsVersions {
		found[v.name] = shake(ctx, address, name, v.version, everyCipher())
	}
	offer := weakCiphers()
	weak := facts.Handshake{}
	for len(offer) > 0 {
		h := shake(ctx, address, name, tls.VersionTLS12, offer)
		if !h.Accepted {
			break
		}
		weak.Accepted, weak.Version, weak.Cipher = true, h.Version, cmp.Or(weak.Cipher, h.Cipher)
		weak.Weak = append(weak.Weak, h.Cipher)
		before := len(offer)
		offer = slices.DeleteFunc(offer, func(id uint16) bool { return tls.CipherSuiteName(id) == h.Cipher })
		if len(offer) == before {
			break // it agreed to what was not offered
		}
	}
	slices.Sort(weak.Weak)
	found["weak"] = weak
	return found
}

func shake(ctx context.Context, address, name string, version uint16, ciphers []uint16) facts.Handshake {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return facts.Handshake{Problem: err.Error()}
	}
	defer conn.Close()
	secure := tls.Client(conn, &tls.Config{ServerName: name, InsecureSkipVerify: true, MinVersion: version, MaxVersion: version, CipherSuites: ciphers})
	if err := secure.HandshakeContext(ctx); err != nil {
		return facts.Handshake{Problem: err.Error()}
	}
	state := secure.ConnectionState()
	h := facts.Handshake{Accepted: true, Version: tls.VersionName(state.Version), Cipher: tls.CipherSuiteName(state.CipherSuite)}
	if len(state.PeerCertificates) > 0 {
		between := x509.NewCertPool()
		for _, certificate := range state.PeerCertificates[1:] {
			between.AddCert(certificate)
		}
		if _, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{DNSName: name, Intermediates: between}); err != nil {
			h.Problem = "the certificate is not trusted: " + err.Error()
		}
	}
	return h
}

func everyCipher() []uint16 {
	var ids []uint16
	for _, suite := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		ids = append(ids, suite.ID)
	}
	return ids
}

// weakCiphers are those of TLS 1.2 that lack forward secrecy (no ECDHE) or
// authenticated encryption (CBC, RC4).
func weakCiphers() []uint16 {
	var ids []uint16
	for _, suite := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		modern := strings.Contains(suite.Name, "ECDHE") && (strings.Contains(suite.Name, "GCM") || strings.Contains(suite.Name, "POLY1305"))
		if slices.Contains(suite.SupportedVersions, tls.VersionTLS12) && !modern {
			ids = append(ids, suite.ID)
		}
	}
	return ids
}
