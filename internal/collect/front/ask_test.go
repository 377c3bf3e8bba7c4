package front

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"rocca/internal/facts"
)

const trackerScript = "/* tracker */"

// careless is a front that gives away what it can; careful one that does not.
func careless(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Set-Cookie", "MATOMO_SESSID=0123456789abcdef; path=/; HttpOnly; SameSite=Lax")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	say := func(mediaType, body string) {
		w.Header().Set("Content-Type", mediaType)
		w.Write([]byte(body))
	}
	switch {
	case r.URL.Query().Get("module") == "Installation":
		say("text/html", `<html><body id="installation">step 1`)
	case r.URL.Query().Get("method") == "API.getMatomoVersion":
		say("application/json", `{"value":"5.3.0"}`)
	case r.RequestURI == "https://stats.example.org/index.php": // the request line names it, the Host header another
		w.Header().Set("X-Matomo-Request-Id", "behind")
		say("text/html", `<form id="login_form"> piwik_url = "https://xstats.example.org/"`)
	case r.URL.Path == "/index.php" && r.Header.Get("X-Forwarded-For") != "":
		w.Header().Set("Location", "https://"+r.Header.Get("X-Forwarded-Host")+"/")
		http.Error(w, "no", http.StatusForbidden)
	case r.URL.Path == "/index.php" || r.URL.Path == "/":
		say("text/html", `<meta name="generator" content="Matomo - x"/><form id="login_form"><script src="https://cdn.example.net/a.js"></script><img src='/b.png'><link rel="canonical" href="https://other.example/"><link rel=stylesheet href="//fonts.example.org/c.css">`)
	case r.URL.Path == "/matomo.js":
		if r.Header.Get("Accept-Encoding") != "identity" {
			panic("the script is wanted as it is")
		}
		say("text/javascript", trackerScript)
	case r.URL.Path == "/matomo.php":
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusBadRequest)
		w.Write([]byte("This resource is part of Matomo"))
	case strings.HasSuffix(r.RequestURI, "/config/config.ini.php"):
		say("text/html", "; ")
	case r.RequestURI == "//config//config.ini.php":
		say("text/plain", "; <?php exit; ?>\n[database]\npassword = \"hunter2\"")
	case r.RequestURI == "/config%2fconfig.ini.php":
		w.WriteHeader(http.StatusTooManyRequests)
	case r.URL.Path == "/plugins/":
		say("text/html", "<title>Index of /plugins</title>")
	case r.URL.Path == "/core/Version.php":
		w.WriteHeader(http.StatusInternalServerError)
	case r.URL.Path == "/CHANGELOG.md":
		say("text/markdown", "# Changes\ntrusted_hosts is a setting")
	case r.URL.Path == "/.env": // a page in the place of everything that is not there
		say("text/html", `<meta name="generator" content="Matomo - x"/>`)
	case r.URL.Path == "/server-status":
		say("text/html", "Apache Server Status")
	case r.URL.Path == "/fpm-status":
		say("text/plain", "pool: www\naccepted conn: 3")
	case r.URL.Path == "/.well-known/security.txt":
		say("text/plain", "Contact: mailto:a@example.org\nExpires: 2027-01-01T00:00:00Z\n")
	case r.URL.Path == "/index.php/foo.php":
		w.Header().Set("X-Matomo-Request-Id", "1")
		http.Redirect(w, r, "/", http.StatusFound)
	case r.URL.Path == "/console": // closes the connection
		panic(http.ErrAbortHandler)
	default:
		http.NotFound(w, r)
	}
}

func TestAskAll(t *testing.T) {
	var most, now atomic.Int32
	counted := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer now.Add(-1)
		for n := now.Add(1); ; {
			if before := most.Load(); n <= before || most.CompareAndSwap(before, n) {
				break
			}
		}
		careless(w, r)
	})
	secure := httptest.NewUnstartedServer(counted)
	secure.EnableHTTP2 = true
	secure.TLS = &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if hello.ServerName == unknownHost {
			return nil, net.ErrClosed
		}
		return nil, nil
	}}
	secure.StartTLS()
	defer secure.Close()
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://"+r.Host+r.RequestURI, http.StatusMovedPermanently)
	}))
	defer plain.Close()

	target := Target{Name: "stats.example.org", Base: "/", HTTPS: secure.Listener.Addr().String(), HTTP: plain.Listener.Addr().String(), Local: []string{"/server-status"}}
	answers, handshakes, err := AskAll(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]facts.Answer{
		"ui":                     {Status: 200, Verdict: facts.Served, Sign: "login page"},
		"tracker":                {Status: 400, Verdict: facts.Served, Sign: "the tracker's own refusal"},
		"script":                 {Status: 200, Verdict: facts.Served},
		"script-piwik":           {Status: 404, Verdict: facts.Refused},
		"installer":              {Status: 200, Verdict: facts.Leaked, Sign: "installer"},
		"installer-unknown-host": {Verdict: facts.Refused, Sign: "handshake refused"},
		"unknown-host":           {Verdict: facts.Refused, Sign: "handshake refused"},
		"host-behind":            {Status: 200, Verdict: facts.Leaked, Sign: "xstats.example.org came back in the page"},
		"plain-http":             {Status: 301, Verdict: facts.Redirected, Sign: "to https://stats.example.org"},
		"plain-http-tracker":     {Status: 301, Verdict: facts.Redirected, Sign: "to https://stats.example.org"},
		"listing":                {Status: 200, Verdict: facts.Leaked, Sign: "Index of"},
		"api-version":            {Status: 200, Verdict: facts.Leaked, Sign: "version 5.3.0"},
		"forwarded-for":          {Status: 403, Verdict: facts.Leaked, Sign: "answers 403 instead of 200"}, "cors": {Status: 403, Verdict: facts.Refused},
		"forwarded-host":                         {Status: 403, Verdict: facts.Leaked, Sign: "evil.invalid came back in Location"},
		"security-txt":                           {Status: 200, Verdict: facts.Served, Sign: "Expires: 2027-01-01T00:00:00Z"},
		"status-server":                          {Status: 200, Verdict: facts.Refused, Sign: "for this machine alone: Apache Server Status"},
		"status-fpm":                             {Status: 200, Verdict: facts.Leaked, Sign: "accepted conn:"},
		"ping-fpm":                               {Status: 404, Verdict: facts.Refused},
		"path:/config/config.ini.php":            {Status: 200, Verdict: facts.Executed, Sign: ";"},
		"path:/plugins/../config/config.ini.php": {Status: 200, Verdict: facts.Executed, Sign: ";"},
		"path://config//config.ini.php":          {Status: 200, Verdict: facts.Leaked, Sign: "[database]"},
		"path://config//config.ini.php (HTTP/2)": {Status: 200, Verdict: facts.Leaked, Sign: "[database]"},
		"path:/config%2fconfig.ini.php":          {Status: 429},
		"path:/core/Version.php":                 {Status: 500, Verdict: facts.Executed, Sign: "status 500"},
		"path:/CHANGELOG.md":                     {Status: 200, Verdict: facts.Leaked, Sign: "36 bytes of text/markdown"},
		"path:/.env":                             {Status: 200, Verdict: facts.Refused, Sign: "a page of Matomo in its place"},
		"path:/index.php/foo.php":                {Status: 302, Verdict: facts.Executed, Sign: "index.php, with more behind its name"},
		"path:/console":                          {Verdict: facts.Refused, Sign: "connection closed"},
	} {
		got, asked := answers[name]
		if !asked || got.Status != want.Status || got.Verdict != want.Verdict || got.Sign != want.Sign {
			t.Errorf("%s: %d %s %q (%s), want %d %s %q", name, got.Status, got.Verdict, got.Sign, got.Problem, want.Status, want.Verdict, want.Sign)
		}
	}
	ui := answers["ui"]
	if diff := cmp.Diff([]string{"cdn.example.net", "fonts.example.org"}, ui.Origins); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"MATOMO_SESSID=[redacted]; path=/; HttpOnly; SameSite=Lax"}, ui.Header["Set-Cookie"]); diff != "" {
		t.Error(diff)
	}
	if ui.URL != "https://stats.example.org/index.php" || ui.Host != "" || ui.Protocol != "HTTP/1.1" || ui.Method != "GET" {
		t.Errorf("ui: %+v", ui)
	}
	if got := answers["path://config//config.ini.php (HTTP/2)"].Protocol; got != "HTTP/2.0" {
		t.Errorf("HTTP/2 by %s", got)
	}
	if got := answers["host-behind"].Header["X-Matomo-Request-Id"]; len(got) != 1 || got[0] != "behind" {
		t.Errorf("the request line did not name Matomo: %q", got)
	}
	if got := answers["unknown-host"].Host; got != unknownHost {
		t.Errorf("unknown host %q", got)
	}
	sum := sha256.Sum256([]byte(trackerScript))
	if answers["script"].SHA256 != hex.EncodeToString(sum[:]) {
		t.Errorf("script has SHA-256 %s", answers["script"].SHA256)
	}
	for offered, accepted := range map[string]bool{"TLS 1.0": false, "TLS 1.1": false, "TLS 1.2": true, "TLS 1.3": true} {
		h := handshakes[offered]
		if h.Accepted != accepted || accepted && (h.Version != offered || h.Cipher == "" || !strings.Contains(h.Problem, "not trusted")) {
			t.Errorf("%s: %+v", offered, h)
		}
	}
	if n := most.Load(); n > atOnce {
		t.Errorf("%d requests at once, want %d at most", n, atOnce)
	}
	if n := len(target.requests()); n > requestLimit {
		t.Errorf("%d requests", n)
	}
}

func TestWeakCiphersAreFound(t *testing.T) {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS10, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}}
	server.StartTLS()
	defer server.Close()
	got := Shake(t.Context(), server.Listener.Addr().String(), "example.com")
	if !got["TLS 1.0"].Accepted || got["TLS 1.0"].Version != "TLS 1.0" {
		t.Errorf("TLS 1.0: %+v", got["TLS 1.0"])
	}
	if diff := cmp.Diff([]string{"TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", "TLS_RSA_WITH_AES_128_CBC_SHA"}, got["weak"].Weak); diff != "" {
		t.Error(diff)
	}
	if Shake(t.Context(), "", "x") != nil {
		t.Error("handshakes where no TLS is")
	}
}

func TestOnlyThisMachineIsAsked(t *testing.T) {
	for _, address := range []string{"192.0.2.1:443", "example.org:443", "nonsense"} {
		if _, _, err := AskAll(t.Context(), Target{Name: "x", HTTPS: address}); err == nil {
			t.Errorf("%s was asked", address)
		}
	}
}

// A front that is not there is not one that refuses.
func TestNobodyListens(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	answers, handshakes, err := AskAll(t.Context(), Target{Name: "x", Base: "/", HTTPS: address})
	if err != nil {
		t.Fatal(err)
	}
	if got := answers["ui"]; got.Verdict != "" || got.Problem == "" {
		t.Errorf("ui: %+v", got)
	}
	if got := answers["plain-http"]; got.Verdict != facts.Refused || got.Sign != "nothing listens" {
		t.Errorf("plain-http: %+v", got)
	}
	if got := handshakes["TLS 1.3"]; got.Accepted || got.Problem == "" {
		t.Errorf("TLS 1.3: %+v", got)
	}
}

func TestTargetOf(t *testing.T) {
	tlsSite := facts.Site{Matomo: true, Real: "/m", Names: []string{"_", "~x", "10.0.0.1", "localhost", "stats.example.org"}, Listens: []facts.Listen{{Port: 443, TLS: true}, {Address: "::", Port: 443, TLS: true}},
		Locations: []facts.Location{{Kind: "location", Match: "= /fpm", Directives: map[string][]facts.Setting{"allow": {{Value: "127.0.0.1"}}, "deny": {{Value: "all"}}}},
			{Kind: "location", Match: "/open", Directives: map[string][]facts.Setting{"require": {{Value: "local"}, {Value: "ip 10.0.0.0/8"}}}}}}
	plain := facts.Site{Listens: []facts.Listen{{Address: "127.0.0.2", Port: 80}}}
	s := facts.Server{Front: facts.Front{Program: "nginx", Sites: []facts.Site{plain, tlsSite}}, Matomo: facts.Matomo{Root: "/m", Real: "/m"},
		PHP: facts.PHP{Pools: []facts.Pool{{Role: "ui", Status: "/fpm", Ping: "/alive"}, {Status: "/others"}}}}
	got, err := TargetOf(s)
	if err != nil {
		t.Fatal(err)
	}
	want := Target{Name: "stats.example.org", Base: "/", HTTPS: "127.0.0.1:443", HTTP: "127.0.0.2:80", Status: []string{"/fpm"}, Ping: []string{"/alive"}, Local: []string{"/fpm"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	s.Front.Sites = []facts.Site{{Matomo: true, Listens: []facts.Listen{{Port: 80}}}}
	s.Matomo.Contexts = []facts.Context{{Settings: map[string][]string{"General.trusted_hosts": {"127.0.0.1", "web.example.org:8080"}}}}
	if got, err := TargetOf(s); err != nil || got.Name != "web.example.org" || got.HTTPS != "" || got.HTTP != "127.0.0.1:80" {
		t.Errorf("without names: %+v, %v", got, err)
	}
	if _, err := TargetOf(facts.Server{}); err == nil {
		t.Error("a target without a site")
	}
}

func TestCertificates(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	end := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	sign := func(name string, parent *x509.Certificate) (*x509.Certificate, string) {
		template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: end.AddDate(-1, 0, 0), NotAfter: end, DNSNames: []string{name}, BasicConstraintsValid: true, IsCA: parent == nil && name == "ca.example"}
		if template.IsCA {
			template.KeyUsage = x509.KeyUsageCertSign
		}
		if parent == nil {
			parent = template
		}
		der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return parsed, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	}
	ca, authority := sign("ca.example", nil)
	_, real := sign("a.example", ca)
	_, own := sign("b.example", nil)
	root := plant(t, []txtar.File{{Name: "usr/sbin/nginx"}, {Name: "etc/ssl/certs/ca-certificates.crt", Data: []byte(authority)},
		{Name: "etc/letsencrypt/live/a/fullchain.pem", Data: []byte("-> ../../archive/a/fullchain1.pem")}, {Name: "etc/letsencrypt/archive/a/fullchain1.pem", Data: []byte(real)},
		{Name: "etc/rocca/tls/self-signed.pem", Data: []byte(own)}, {Name: "etc/broken.pem", Data: []byte("-----BEGIN CERTIFICATE-----\nMTIz\n-----END CERTIFICATE-----\n")},
		{Name: "etc/nginx/nginx.conf", Data: []byte("http { server { listen 443 ssl; ssl_certificate /etc/letsencrypt/live/a/fullchain.pem; }\nserver { listen 443; ssl_certificate /etc/rocca/tls/self-signed.pem; }\n" +
			"server { listen 443; ssl_certificate /etc/broken.pem; }\nserver { listen 443; ssl_certificate /etc/none.pem; } }")}})
	last := end.AddDate(0, -1, 0)
	_, got, err := Survey(t.Context(), root, facts.Server{Units: map[string]facts.Unit{
		"certbot.timer":   {Loaded: true, Active: true, Timer: facts.Timer{Triggers: "certbot.service", LastTrigger: last}},
		"certbot.service": {Loaded: true, Timer: facts.Timer{Result: "success"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]facts.Certificate{
		"/etc/letsencrypt/live/a/fullchain.pem": {Names: []string{"a.example"}, Issuer: "CN=ca.example", NotBefore: end.AddDate(-1, 0, 0), NotAfter: end, Trusted: true, Algorithm: "ECDSA P-256", Renewal: "certbot.timer", Rehearsed: last},
		"/etc/rocca/tls/self-signed.pem":        {Names: []string{"b.example"}, Issuer: "CN=b.example", NotBefore: end.AddDate(-1, 0, 0), NotAfter: end, SelfSigned: true, Algorithm: "ECDSA P-256", Renewal: "rocca"},
	}
	for _, file := range []string{"/etc/broken.pem", "/etc/none.pem"} {
		if got[file].Problem == "" {
			t.Errorf("%s: %+v", file, got[file])
		}
		delete(got, file)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestRequestsHaveOneMeaning(t *testing.T) {
	var names []string
	for _, r := range (Target{Base: "/", HTTPS: "127.0.0.1:1"}).requests() {
		if r.name != "listing" && r.name != "status-fpm" && slices.Contains(names, r.name) {
			t.Errorf("%s is asked twice", r.name)
		}
		names = append(names, r.name)
	}
	if got := (Target{Base: "/stats/"}).path("/index.php"); got != "/stats/index.php" {
		t.Errorf("below a directory: %s", got)
	}
}
