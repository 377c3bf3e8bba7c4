package prove

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"rocca/internal/collect/front"
	"rocca/internal/model"
	"rocca/internal/prove/web"
)

var a21 = Attack{
	ID:    "A21",
	Title: "a visitor is kept from TLS, and cookies from being secure",
	How: "Offers old versions of TLS and weak ciphers, reads the certificate, asks for pages, scripts and the login by plain HTTP, with headers that claim TLS, " +
		"and reads what protects the cookies and the next visits of a browser.",
	Risk:    "some dozen requests and handshakes",
	Without: []Protection{tlsVersions, httpsRedirect, frontHeaders},
	Attempt: func(ctx context.Context, t *Target, record *Record) error {
		v, err := t.visitor(21, record)
		if err != nil {
			return err
		}
		if err := v.plainHTTP(ctx); err != nil {
			return err
		}
		if !t.TLS() {
			return nil // all of it has been seen
		}
		return errors.Join(v.handshakes(ctx), v.certificate(ctx), v.cookies(ctx), v.strictTransport(ctx))
	},
}

var tlsVersions = Protection{
	ID:    "tls-versions",
	Title: "the front speaks TLS 1.2 and newer only",
	Part:  FrontPart,
	Remove: editsFront(
		`-e 's/ssl_protocols .*/ssl_protocols TLSv1 TLSv1.1 TLSv1.2 TLSv1.3;/' -e 's/ssl_ciphers .*/ssl_ciphers ALL:@SECLEVEL=0;/'`,
		`-e 's/SSLProtocol .*/SSLProtocol all/' -e 's/SSLCipherSuite .*/SSLCipherSuite ALL:@SECLEVEL=0/'`,
	),
	Controls: []string{"TLS-02"},
}

var httpsRedirect = Protection{
	ID:    "https-redirect",
	Title: "plain HTTP leads to HTTPS and gives nothing else",
	Part:  FrontPart,
	Remove: editsFront(
		`-e '/HTTP leads to HTTPS/,/^}/{/listen \[/d;s/listen .*/listen 127.0.0.1:8079;/}' -e '/--- Matomo ---/,/^}/s/^server {/&\n    listen 80;\n    listen [::]:80;/'`,
		`-e '/HTTP leads to HTTPS/,/<\/VirtualHost>/{/Rewrite/d;s,^    Protocols,    DocumentRoot '$LINK'\n&,}' -e '$a <Directory '$CODE'>\nRequire all granted\n</Directory>'`,
	),
	Controls: []string{"TLS-01"},
}

var frontHeaders = Protection{
	ID:       "front-headers",
	Title:    "the front tells browsers to come by TLS only, and not to guess types",
	Part:     FrontPart,
	Remove:   editsFront(headersGone, headersGone),
	Controls: []string{"TLS-05", "FRT-10"},
}

const headersGone = `-e '/Strict-Transport-Security/d' -e '/X-Content-Type-Options/d'`

// tell writes down what was found without a request of its own.
func (v visitor) tell(what, where, sent, answer, why, reproduce string) {
	v.record.Try(model.Try{Who: "somebody on the way", What: what, Where: where, Sent: sent, Answer: answer, Fell: why != "", Note: why, Reproduce: reproduce})
}

// plainHTTP asks by plain HTTP for what must only come by TLS.
func (v visitor) plainHTTP(ctx context.Context) error {
	t := v.t
	address := t.FrontAddress(true)
	if address == "" {
		v.tell("ask by plain HTTP", t.Name(), "", "nothing listens", "", "")
		return nil
	}
	form := url.Values{"form_login": {Canary()}, "form_password": {Canary()}}.Encode()
	for _, r := range []web.Request{
		{Target: t.URLPath("/index.php")}, {Target: t.URLPath("/")}, {Target: t.URLPath("/matomo.js")}, {Target: t.URLPath("/piwik.js")},
		{Target: t.URLPath("/matomo.php?send_image=0")}, {Method: "POST", Target: t.URLPath("/matomo.php"), Body: "send_image=0"},
		{Method: "POST", Target: t.URLPath("/index.php?module=Login"), Body: form, Header: [][2]string{asForm}},
		{Target: t.URLPath("/index.php"), Header: [][2]string{{"X-Forwarded-Proto", "https"}, {"X-Forwarded-Ssl", "on"}, {"Front-End-Https", "on"}, {"Forwarded", "proto=https"}, {"X-Url-Scheme", "https"}}},
		{Target: t.URLPath("/matomo.js"), Header: [][2]string{{"X-Forwarded-Proto", "https"}}},
		{Target: t.URLPath("/matomo.js"), Version: "HTTP/1.0"},
	} {
		r.Plain = true
		_, err := v.try(ctx, "ask by plain HTTP", r, again{pattern: `^HTTP/1\.[01] 2|^Location: http:|content="Matomo`}, func(a reply) string { return plainGives(a, t.Name()) })
		if err != nil {
			return err
		}
	}
	return nil
}

// plainGives tells what an answer by plain HTTP gives to somebody on the way.
func plainGives(a reply, name string) string {
	to, err := url.Parse(a.Header.Get("Location"))
	redirects := a.Status >= 300 && a.Status < 400
	switch {
	case len(a.Header["Set-Cookie"]) > 0:
		return "a cookie is set in the clear"
	case a.Status >= 200 && a.Status < 300 || a.Status >= 400 && a.shows():
		return "it is answered in the clear"
	case redirects && (err != nil || to.Scheme != "https"):
		return "it leads to " + a.Header.Get("Location")
	case redirects && !strings.EqualFold(to.Hostname(), name):
		return "it leads to another name, " + to.Hostname()
	}
	return ""
}

// handshakes offers what is old or weak.
func (v visitor) handshakes(ctx context.Context) error {
	address, name := v.t.FrontAddress(false), v.t.Name()
	if err := mustBeOwn(address); err != nil {
		return err
	}
	shaken := front.Shake(ctx, address, name)
	modern := false
	for _, offered := range slices.Sorted(maps.Keys(shaken)) {
		h := shaken[offered]
		if offered == "TLS 1.2" || offered == "TLS 1.3" {
			modern = modern || h.Accepted
			continue
		}
		answer, why := "refused", ""
		if h.Accepted {
			answer = strings.TrimSpace("accepted, " + h.Version + " " + h.Cipher)
			why = "somebody on the way makes both sides use it"
		}
		v.tell("offer "+offered, address, strings.Join(h.Weak, ", "), answer, why, shakeAgain(address, name, offered, h.Cipher))
	}
	if !modern {
		return fmt.Errorf("offer TLS: %s accepts no version of it at all", address)
	}
	return nil
}

// shakeAgain is a command that makes a handshake of an old version, or of TLS
// 1.2 without forward secrecy or authenticated encryption.
func shakeAgain(address, name, offered, cipher string) string {
	method := map[string]string{"TLS 1.0": "STREAM_CRYPTO_METHOD_TLSv1_0_CLIENT", "TLS 1.1": "STREAM_CRYPTO_METHOD_TLSv1_1_CLIENT", "weak": "STREAM_CRYPTO_METHOD_TLSv1_2_CLIENT"}[offered]
	ciphers := "ALL:@SECLEVEL=0"
	if offered == "weak" {
		ciphers = "AES128-SHA:AES256-SHA:AES128-SHA256:AES128-GCM-SHA256:AES256-GCM-SHA384:ECDHE-RSA-AES128-SHA:ECDHE-RSA-AES256-SHA:ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA:ECDHE-RSA-AES128-SHA256:ECDHE-ECDSA-AES128-SHA256:DES-CBC3-SHA:ECDHE-RSA-DES-CBC3-SHA:@SECLEVEL=0"
	}
	code := fmt.Sprintf(`$c=stream_context_create(["ssl"=>["verify_peer"=>false,"verify_peer_name"=>false,"peer_name"=>"%s","crypto_method"=>%s,"ciphers"=>"%s"]]);`+
		`$s=@stream_socket_client("ssl://%s",$n,$e,9,4,$c) or exit(1);print_r(stream_get_meta_data($s)["crypto"]);`, plainName.ReplaceAllString(name, ""), method, ciphers, address)
	return "php -n -r " + shellWord(code) + " # " + cipher
}

// certificate reads what the front says who it is. Who signed it is for an
// audit: throw-away servers sign their own.
func (v visitor) certificate(ctx context.Context) error {
	answer, err := v.ask(ctx, web.Request{Target: v.t.URLPath("/robots.txt")})
	if err != nil {
		return err
	}
	if answer.TLS == nil || len(answer.TLS.PeerCertificates) == 0 {
		return errors.New("read the certificate: there is none")
	}
	own := answer.TLS.PeerCertificates[0]
	why := certificateFault(own, v.t.Name(), time.Now())
	v.tell("read the certificate", v.t.FrontAddress(false), v.t.Name(), fmt.Sprintf("for %s, until %s", strings.Join(own.DNSNames, ", "), own.NotAfter.Format(time.DateOnly)), why,
		certificateAgain(v.t.FrontAddress(false), v.t.Name()))
	return nil
}

func certificateFault(c *x509.Certificate, name string, now time.Time) string {
	switch {
	case now.After(c.NotAfter):
		return "it has ended: who learns to click that warning away clicks away that of an attacker"
	case now.Before(c.NotBefore):
		return "it is not valid yet"
	case c.VerifyHostname(name) != nil:
		return "it is for another name: who learns to click that warning away clicks away that of an attacker"
	}
	return ""
}

func certificateAgain(address, name string) string {
	code := fmt.Sprintf(`$c=stream_context_create(["ssl"=>["capture_peer_cert"=>true,"verify_peer"=>false,"verify_peer_name"=>false,"peer_name"=>"%s"]]);$s=stream_socket_client("ssl://%s",$n,$e,9,4,$c) or exit(1);`+
		`$p=openssl_x509_parse(stream_context_get_params($s)["options"]["ssl"]["peer_certificate"]);$names=$p["extensions"]["subjectAltName"]??"";echo $names," until ",date("c",$p["validTo_time_t"]),"\n";`+
		`exit($p["validTo_time_t"]<time()||$p["validFrom_time_t"]>time()||stripos($names,"%s")===false?0:1);`, plainName.ReplaceAllString(name, ""), address, plainName.ReplaceAllString(name, ""))
	return "php -n -r " + shellWord(code)
}

// cookies reads what protects a session's cookie, also where a header claims
// that there is no TLS.
func (v visitor) cookies(ctx context.Context) error {
	set := 0
	for _, r := range []web.Request{
		{Target: v.t.URLPath("/index.php?module=Login")},
		{Target: v.t.URLPath("/index.php?module=Login"), Header: [][2]string{{"X-Forwarded-Proto", "http"}, {"X-Forwarded-Ssl", "off"}, {"Front-End-Https", "off"}, {"Forwarded", "proto=http"}}},
		{Target: v.t.URLPath("/index.php?module=CoreAdminHome&action=optOut&language=en")},
	} {
		_, err := v.try(ctx, "have a cookie set that others can take", r, again{pattern: `^Set-Cookie:.*SESSID=(?!.*; *secure)|^Set-Cookie:.*SESSID=(?!.*; *httponly)|^Set-Cookie:.*SESSID=(?!.*; *samesite=(lax|strict))`}, func(a reply) string {
			cookies := a.Cookies()
			set += len(cookies)
			for _, cookie := range cookies {
				// The opt-out is shown in frames of other sites, which None is for.
				inFrames := strings.Contains(r.Target, "optOut")
				if fault := cookieFault(cookie, inFrames); fault != "" {
					return "cookie " + cookie.Name + " " + fault
				}
			}
			return ""
		})
		if err != nil {
			return err
		}
	}
	if set == 0 {
		return errors.New("read cookies: the login page sets none")
	}
	return nil
}

func cookieFault(c *http.Cookie, inFrames bool) string {
	switch {
	case !c.Secure:
		return "goes without TLS too"
	case !c.HttpOnly && sessionCookie.MatchString(c.Name):
		return "is read by scripts"
	case c.SameSite != http.SameSiteLaxMode && c.SameSite != http.SameSiteStrictMode && !inFrames:
		return "is sent along by other sites"
	}
	return ""
}

var maxAge = regexp.MustCompile(`(?i)max-age="?(\d+)`)

// strictTransport reads whether browsers are told to come by TLS only.
func (v visitor) strictTransport(ctx context.Context) error {
	for _, target := range []string{"/index.php", "/matomo.php", "/matomo.js"} {
		_, err := v.try(ctx, "come by plain HTTP next time", web.Request{Target: v.t.URLPath(target)}, again{lacking: `^Strict-Transport-Security: *max-age="?[0-9]{7}`}, func(a reply) string {
			return strictFault(a.Header.Get("Strict-Transport-Security"))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// strictFault tells what is wrong with a Strict-Transport-Security (RFC 6797).
func strictFault(value string) string {
	found := maxAge.FindStringSubmatch(value)
	if found == nil {
		return "no Strict-Transport-Security: the first request of a visit goes in the clear"
	}
	if seconds, err := strconv.Atoi(found[1]); err == nil && seconds < 30*24*3600 {
		return "Strict-Transport-Security: " + value + ", which is soon forgotten"
	}
	return ""
}
