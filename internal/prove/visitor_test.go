package prove

import (
	"crypto/x509"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rocca/internal/prove/web"
)

func TestSpellings(t *testing.T) {
	all := spellings("/stats", "/config/x.bak", "a.example")
	sorted := slices.Clone(all)
	slices.Sort(sorted)
	if len(slices.Compact(sorted)) != len(all) {
		t.Errorf("some spelling is there twice: %q", all)
	}
	for _, want := range []string{
		"/stats/config/x.bak", "/stats//config//x.bak", "/stats/config%2fx.bak", "/stats/%63onfig/x.bak", "/stats/%2563onfig/x.bak", "/stats/config/x%2ebak", "/stats/CONFIG/x.bak",
		"/stats/plugins/..;/config/x.bak", "/stats/config%c0%afx.bak", "/stats/config/x.bak%00.js", "/stats/config/x.bak\x00.js", "https://a.example/stats/config/x.bak", "stats/config/x.bak",
	} {
		if !slices.Contains(all, want) {
			t.Errorf("%q is not tried", want)
		}
	}
}

func TestContentIsOfPlainNamesOnly(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"README.md", "a.php"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("README.md", filepath.Join(dir, "link.md")); err != nil {
		t.Fatal(err)
	}
	for target, want := range map[string]string{
		"/README.md": "x", "/README%2emd": "x", "/a.php": "", "/nothing": "", "/": "", "/./README.md": "", "/README.md%00": "", "/link.md": "", "/%zz": "",
	} {
		if got := string(content(dir, target)); got != want {
			t.Errorf("%s: %q, want %q", target, got, want)
		}
	}
}

func TestSpreadTakesOneOfEachDirectory(t *testing.T) {
	byDir := map[string][]string{"/a": {"/a/1", "/a/2", "/a/3", "/a/4"}, "/b": {"/b/1"}, "/c": {"/c/1", "/c/2"}}
	if got, want := strings.Join(spread(byDir, 9), " "), "/a/1 /b/1 /c/1 /a/2 /c/2 /a/3"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := strings.Join(spread(byDir, 2), " "), "/a/1 /b/1"; got != want {
		t.Errorf("of too many: %s, want %s", got, want)
	}
}

func gave(status int, body string, header ...string) reply {
	r := reply{Response: web.Response{Status: status, Body: []byte(body), Header: http.Header{}}}
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return r
}

func TestUnlikeMissing(t *testing.T) {
	missing := gave(404, "nothing here")
	page := gave(200, "a page for all", "Content-Type", "text/html")
	for name, tc := range map[string]struct {
		answer, missing reply
		fell            bool
	}{
		"refused alike":             {gave(404, "nothing here"), missing, false},
		"forbidden":                 {gave(403, "no"), missing, false},
		"connection closed":         {reply{}, missing, false},
		"leads elsewhere":           {gave(302, ""), missing, false},
		"an empty page":             {gave(200, "", "Content-Type", "text/html"), missing, true},
		"a failure":                 {gave(500, ""), missing, true},
		"source":                    {gave(200, "<?php class A {}"), missing, true},
		"source with an odd status": {gave(404, "<?php class A {}"), missing, true},
		"one page for all names":    {page, page, false},
		"all names fail":            {gave(500, "x"), gave(502, "y"), false},
	} {
		if got := unlikeMissing(tc.answer, tc.missing); (got != "") != tc.fell {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestForgeries(t *testing.T) {
	const own, evil = "stats.example.org", "evil.invalid"
	for _, tc := range []struct{ secure, plain bool }{{true, true}, {true, false}, {false, true}} {
		for _, f := range forgeries(own, evil, tc.secure, tc.plain) {
			said := string(web.Encode(f.request))
			for _, name := range f.names {
				if !strings.HasPrefix(name, "https:") && !strings.Contains(strings.ToLower(said), name) {
					t.Errorf("%s: %q does not say %s", f.what, said, name)
				}
				if strings.Contains(own, name) {
					t.Errorf("%s: Matomo's own name counts as forged", f.what)
				}
			}
			if f.request.HTTP2 && !tc.secure || f.request.Plain && !tc.plain {
				t.Errorf("%s: %+v is not spoken", f.what, f.request)
			}
		}
	}
}

func TestMasked(t *testing.T) {
	addresses := []netip.Addr{netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("127.66.11.9")}
	for stored, want := range map[string]int{
		"192.0.2.7": 0, "192.0.2.0": 0, "192.0.0.0": 0, "192.0.0.1": -1, "127.66.11.9": 1, "127.66.0.0": 1, "127.0.0.0": 1, "::ffff:127.66.11.0": 1, "0.0.0.0": -1, "10.0.0.0": -1, "2001:db8::": -1,
	} {
		if got := masked(addresses, netip.MustParseAddr(stored)); got != want {
			t.Errorf("%s is of %d, want %d", stored, got, want)
		}
	}
}

func TestPlainGives(t *testing.T) {
	for name, tc := range map[string]struct {
		answer reply
		fell   bool
	}{
		"refused":              {gave(421, ""), false},
		"closed":               {reply{}, false},
		"leads to TLS":         {gave(301, "", "Location", "https://a.example/x"), false},
		"leads to TLS, a port": {gave(301, "", "Location", "https://A.example:8443/x"), false},
		"leads to plain HTTP":  {gave(301, "", "Location", "http://a.example/x"), true},
		"leads to a path":      {gave(302, "", "Location", "/x"), true},
		"leads elsewhere":      {gave(301, "", "Location", "https://evil.invalid/x"), true},
		"leads nowhere":        {gave(301, ""), true},
		"not modified":         {gave(304, ""), true},
		"answers":              {gave(200, ""), true},
		"a login that refuses": {gave(403, `<input name="form_password">`), false},
		"sets a cookie":        {gave(301, "", "Location", "https://a.example/", "Set-Cookie", "a=b"), true},
	} {
		if got := plainGives(tc.answer, "a.example"); (got != "") != tc.fell {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestCookieFault(t *testing.T) {
	for cookie, tc := range map[string]struct{ fell, inFrames bool }{
		"MATOMO_SESSID=a; path=/; secure; HttpOnly; SameSite=Lax": {false, false},
		"MATOMO_SESSID=a; path=/; secure; HttpOnly":               {true, false},
		"MATOMO_SESSID=a; path=/; HttpOnly; SameSite=Lax":         {true, false},
		"MATOMO_SESSID=a; path=/; secure; SameSite=Lax":           {true, false},
		"MATOMO_SESSID=b; secure; HttpOnly; SameSite=None":        {true, false},
		"MATOMO_SESSID=c; secure; HttpOnly; SameSite=None":        {false, true},
		"matomo_lang=a; secure; SameSite=Strict":                  {false, false},
	} {
		parsed := (&http.Response{Header: http.Header{"Set-Cookie": {cookie}}}).Cookies()
		if got := cookieFault(parsed[0], tc.inFrames); (got != "") != tc.fell {
			t.Errorf("%s: %q", cookie, got)
		}
	}
}

func TestStrictFault(t *testing.T) {
	for value, fell := range map[string]bool{
		"max-age=31536000": false, `includeSubDomains; Max-Age="31536000"`: false, "": true, "max-age=0": true, "max-age=86400": true, "includeSubDomains": true, "max-age=99999999999999999999": false,
	} {
		if got := strictFault(value); (got != "") != fell {
			t.Errorf("%q: %q", value, got)
		}
	}
}

func TestCertificateFault(t *testing.T) {
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	c := &x509.Certificate{DNSNames: []string{"a.example"}, NotBefore: now.AddDate(0, -1, 0), NotAfter: now.AddDate(0, 1, 0)}
	for name, tc := range map[string]struct {
		host string
		at   time.Time
		fell bool
	}{
		"fits": {"a.example", now, false}, "other name": {"b.example", now, true}, "ended": {"a.example", now.AddDate(0, 2, 0), true}, "not yet": {"a.example", now.AddDate(0, -2, 0), true},
	} {
		if got := certificateFault(c, tc.host, tc.at); (got != "") != tc.fell {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// Headers as real Matomos and fronts send them.
func TestBrowsersJudgement(t *testing.T) {
	for name, tc := range map[string]struct {
		got  string
		fell bool
	}{
		"sameorigin":                   {frameFault(http.Header{"X-Frame-Options": {"sameorigin"}}), false},
		"deny":                         {frameFault(http.Header{"X-Frame-Options": {"DENY"}}), false},
		"no rule on frames":            {frameFault(http.Header{"Content-Security-Policy": {"default-src 'self' 'unsafe-inline'"}}), true},
		"allow-from, which none knows": {frameFault(http.Header{"X-Frame-Options": {"ALLOW-FROM https://a.example"}}), true},
		"frame-ancestors":              {frameFault(http.Header{"Content-Security-Policy": {"default-src 'self'; frame-ancestors 'self'"}}), false},
		"frame-ancestors goes first":   {frameFault(http.Header{"X-Frame-Options": {"deny"}, "Content-Security-Policy": {"frame-ancestors https:"}}), true},
		"policy":                       {policyFault(http.Header{"Content-Security-Policy": {"default-src 'self'"}}), false},
		"policy that only reports":     {policyFault(http.Header{"Content-Security-Policy-Report-Only": {"default-src 'self'"}}), true},
		"no policy":                    {policyFault(http.Header{}), true},
		"referrer":                     {referrerFault(http.Header{"Referrer-Policy": {"same-origin"}}), false},
		"referrer, the last counts":    {referrerFault(http.Header{"Referrer-Policy": {"same-origin, unsafe-url"}}), true},
		"referrer, Matomo's opt-out":   {referrerFault(http.Header{"Referrer-Policy": {"no-referrer-when-downgrade"}}), true},
		"no referrer policy":           {referrerFault(http.Header{}), true},
		"no origin":                    {originFault(http.Header{}, "https://e.invalid"), false},
		"any origin":                   {originFault(http.Header{"Access-Control-Allow-Origin": {"*"}}, "https://e.invalid"), true},
		"that origin":                  {originFault(http.Header{"Access-Control-Allow-Origin": {"https://e.invalid"}}, "https://e.invalid"), true},
		"another origin":               {originFault(http.Header{"Access-Control-Allow-Origin": {"https://shop.example"}}, "https://e.invalid"), false},
		"type":                         {typeFault(gave(200, "", "Content-Type", "text/javascript", "X-Content-Type-Options", "nosniff"), "javascript"), false},
		"wrong type":                   {typeFault(gave(200, "", "Content-Type", "text/html", "X-Content-Type-Options", "nosniff"), "javascript"), true},
		"guessed type":                 {typeFault(gave(200, "", "Content-Type", "text/javascript"), "javascript"), true},
		"refused, of no type":          {typeFault(gave(404, ""), "javascript"), false},
	} {
		if (tc.got != "") != tc.fell {
			t.Errorf("%s: %q", name, tc.got)
		}
	}
}
