package verify

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"rocca/internal/aws/check"
	"rocca/internal/secret"
)

// site is a Matomo as a deployment shows it, with what is wrong with it.
type site struct {
	wizard, anyHost, leaks, plain, oldTLS, noHSTS, ssh, refuses, forgets, rejectsToken, down bool

	pages []string // of hits
}

const token = "0123456789abcdef0123456789abcdef"

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.noHSTS {
		w.Header().Set("Strict-Transport-Security", "max-age=31536000")
	}
	_ = r.ParseForm()
	switch {
	case s.down:
		w.WriteHeader(http.StatusBadGateway)
	case r.Host != "example.com" && !s.anyHost:
		w.WriteHeader(http.StatusMisdirectedRequest)
	case r.URL.Path == "/matomo.php" && s.refuses:
		w.WriteHeader(http.StatusInternalServerError)
	case r.URL.Path == "/matomo.php":
		if !s.forgets {
			s.pages = append(s.pages, r.Form.Get("url"))
		}
		w.WriteHeader(http.StatusNoContent)
	case r.URL.Path == "/matomo.js":
	case r.URL.Path == "/index.php" && r.Form.Get("module") == "API":
		if r.URL.Query().Has("token_auth") || r.PostForm.Get("token_auth") != token || s.rejectsToken {
			_, _ = w.Write([]byte(`{"result":"error","message":"no access"}`))
			return
		}
		_, _ = w.Write([]byte(`[{"url":"` + strings.ReplaceAll(strings.Join(s.pages, " "), "/", `\/`) + `"}]`))
	case r.URL.Path == "/index.php" && s.wizard:
		_, _ = w.Write([]byte(`<body id="installation">`))
	case r.URL.Path == "/index.php" && r.Form.Get("module") == "Login":
		_, _ = w.Write([]byte(`<form id="login_form">`))
	case r.URL.Path == "/index.php" && r.Form.Has("action"):
		_, _ = w.Write([]byte(`<body id="installation">Matomo is already installed`))
	case r.URL.Path == "/index.php":
	case s.leaks && r.URL.Path == "/tmp/":
		_, _ = w.Write([]byte("Index of /tmp"))
	default:
		w.WriteHeader(http.StatusForbidden)
	}
}

// start serves the site, and gives the target that it is.
func (s *site) start(t *testing.T) Target {
	t.Helper()
	server := httptest.NewUnstartedServer(s)
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	if s.oldTLS {
		server.TLS.MinVersion = tls.VersionTLS10
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	authorities := x509.NewCertPool()
	authorities.AddCert(server.Certificate())
	return Target{
		URL: &url.URL{Scheme: "https", Host: "example.com", Path: "/"}, Connect: server.Listener.Addr().String(),
		Plain: s.port80(t), SSH: s.port22(t), CA: authorities, Site: 1, Token: secret.New(token), Minted: "abc123",
	}
}

func (s *site) port80(t *testing.T) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.plain {
			http.Redirect(w, r, "https://example.com/", http.StatusMovedPermanently)
		}
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// port22 is one where somebody answers, or where nobody does.
func (s *site) port22(t *testing.T) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if s.ssh {
		t.Cleanup(func() { listener.Close() })
	} else {
		listener.Close()
	}
	return listener.Addr().String()
}

// states gives the checks that are not OK.
func states(all []check.Check) map[string]check.Status {
	found := map[string]check.Status{}
	for _, c := range all {
		if c.Status != check.OK {
			found[c.ID] = c.Status
		}
	}
	return found
}

func TestRun(t *testing.T) {
	for name, c := range map[string]struct {
		site site
		turn func(*Target)
		want map[string]check.Status
	}{
		"right":              {},
		"wizard":             {site: site{wizard: true}, want: map[string]check.Status{"matomo.wizard": check.Fail, "matomo.answers": check.Fail}},
		"any host":           {site: site{anyHost: true}, want: map[string]check.Status{"host.foreign": check.Fail}},
		"leaks":              {site: site{leaks: true}, want: map[string]check.Status{"files.private": check.Fail}},
		"in clear":           {site: site{plain: true}, want: map[string]check.Status{"http.redirect": check.Fail}},
		"old TLS":            {site: site{oldTLS: true}, want: map[string]check.Status{"tls.old": check.Fail}},
		"no HSTS":            {site: site{noHSTS: true}, want: map[string]check.Status{"tls.hsts": check.Fail}},
		"SSH":                {site: site{ssh: true}, want: map[string]check.Status{"ssh.closed": check.Warn}},
		"tracker broken":     {site: site{refuses: true}, want: map[string]check.Status{"tracker.hit": check.Fail, "tracker.found": check.Unknown}},
		"hit lost":           {site: site{forgets: true}, want: map[string]check.Status{"tracker.found": check.Fail}},
		"token refused":      {site: site{rejectsToken: true}, want: map[string]check.Status{"tracker.found": check.Unknown}},
		"no token":           {turn: func(g *Target) { g.Token = secret.Secret{} }, want: map[string]check.Status{"tracker.found": check.Unknown}},
		"foreign CA":         {turn: func(g *Target) { g.CA = x509.NewCertPool() }, want: nil},
		"nothing at port 80": {turn: func(g *Target) { g.Plain = "127.0.0.1:1" }, want: map[string]check.Status{}},
		"down": {site: site{down: true}, want: map[string]check.Status{"matomo.answers": check.Fail, "tracker.hit": check.Fail,
			"tracker.found": check.Unknown, "host.foreign": check.Fail}},
	} {
		t.Run(name, func(t *testing.T) {
			target := c.site.start(t)
			if c.turn != nil {
				c.turn(&target)
			}
			all := Run(t.Context(), target)
			got := states(all)
			if name == "foreign CA" {
				if got["tls.certificate"] != check.Fail || Passed(all) {
					t.Errorf("a certificate of an unknown authority: %v", got)
				}
				return
			}
			if len(got) != len(c.want) {
				t.Errorf("not ok: %v, want %v", got, c.want)
			}
			for id, want := range c.want {
				if got[id] != want {
					t.Errorf("%s is %s, want %s", id, got[id], want)
				}
			}
			if Passed(all) != (len(c.want) == 0 || name == "SSH") {
				t.Errorf("passed: %v", Passed(all))
			}
			for _, c := range all {
				if strings.Contains(c.Found+c.Fix, token) {
					t.Errorf("%s shows the token", c.ID)
				}
			}
		})
	}
}

func TestNobodyThere(t *testing.T) {
	right := site{}
	target := right.start(t)
	target.Connect = "127.0.0.1:1"
	for _, c := range Run(t.Context(), target) {
		if c.Status == check.OK && c.ID != "http.redirect" && c.ID != "ssh.closed" {
			t.Errorf("%s is ok, and nobody answered: %s", c.ID, c.Found)
		}
	}
}
