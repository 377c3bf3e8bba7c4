package front

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
)

// The tests of this file ask a real server, whose document root holds a Matomo
// release and the planted files of Probes:
//
//	ROCCA_FRONT_URL         https://127.0.0.1:8443, an address or name it answers to
//	ROCCA_FRONT_HTTP_URL    http://127.0.0.1:8080, the same server without TLS; optional
//	ROCCA_FRONT_RESTRICTED  1 when the admin networks do not include the test
//	ROCCA_FRONT_BURST       1 to try the limits too, which then hold for a minute
func liveURL(t *testing.T, variable string) *url.URL {
	t.Helper()
	value := os.Getenv(variable)
	if value == "" {
		t.Skipf("%s names no server", variable)
	}
	parsed, err := url.Parse(value)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func restricted() bool { return os.Getenv("ROCCA_FRONT_RESTRICTED") == "1" }

// answer is a response that was read to its end.
type answer struct {
	*http.Response
	body string
}

func (a answer) mediaType() string {
	mediaType, _, _ := mime.ParseMediaType(a.Header.Get("Content-Type"))
	return mediaType
}

// raw sends bytes as they are, in a connection of their own; err means that the
// server ended the connection without an answer.
func raw(t *testing.T, base *url.URL, serverName, request string) (answer, error) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", base.Host, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	if base.Scheme == "https" {
		config := &tls.Config{InsecureSkipVerify: true, ServerName: serverName}
		secure := tls.Client(conn, config)
		if err := secure.Handshake(); err != nil {
			return answer{}, err
		}
		conn = secure
	}
	go io.WriteString(conn, request) // a refused body is not read to its end
	method, _, _ := strings.Cut(request, " ")
	response, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	return answer{response, string(body)}, nil
}

// get sends a request by HTTP/1.1 with the host of base.
func get(t *testing.T, base *url.URL, method, target string, headers ...string) answer {
	t.Helper()
	request := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n", method, target, base.Host)
	for _, header := range headers {
		request += header + "\r\n"
	}
	response, err := raw(t, base, base.Hostname(), request+"\r\n")
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	return response
}

func TestLiveProbes(t *testing.T) {
	base := liveURL(t, "ROCCA_FRONT_URL")
	h2 := &http.Client{
		Transport:     &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	defer h2.CloseIdleConnections()
	for _, probe := range Probes() {
		target, _, _ := strings.Cut(probe.Path, "?")
		if rule, _, ok := Decide(target); ok && rule.Audience == Admins && restricted() {
			probe.Want = Refused
		}
		response := get(t, base, "GET", probe.Path)
		if err := probe.Check(response.StatusCode, response.mediaType(), response.body); err != nil {
			t.Errorf("HTTP/1.1: %v", err)
		}
		if strings.HasPrefix(probe.Path, "//") { // not to be expressed in a URL of Go
			continue
		}
		request := &http.Request{Method: "GET", URL: &url.URL{Scheme: base.Scheme, Host: base.Host, Opaque: target}}
		if _, query, ok := strings.Cut(probe.Path, "?"); ok {
			request.URL.RawQuery = query
		}
		over2, err := h2.Do(request)
		if err != nil {
			if probe.Want != Refused { // a stream reset is a refusal too
				t.Errorf("HTTP/2: %s: %v", probe.Path, err)
			}
			continue
		}
		body, _ := io.ReadAll(over2.Body)
		over2.Body.Close()
		if over2.ProtoMajor != 2 {
			t.Fatalf("%s came by %s, want HTTP/2", probe.Path, over2.Proto)
		}
		if err := probe.Check(over2.StatusCode, answer{Response: over2}.mediaType(), string(body)); err != nil {
			t.Errorf("HTTP/2: %v", err)
		}
	}
}

func TestLiveHeaders(t *testing.T) {
	base := liveURL(t, "ROCCA_FRONT_URL")
	targets := []string{
		"/matomo.php?idsite=1&rec=1", "/matomo.php", "/piwik.php", "/js/", "/matomo.js", "/piwik.js", "/robots.txt", "/js/piwik.js", "/offline-service-worker.js",
		"/index.php", "/", "/index.php?module=Login", "/index.php?module=API&method=API.getMatomoVersion&format=json", "/plugins/Morpheus/images/logo.svg",
		"/node_modules/jquery/dist/jquery.min.js", "/nothing", "/config/config.ini.php", "/plugins/CoreHome/nothing.js", "/index.php/x",
		"/index.php?module=CoreAdminHome&action=optOut&language=en", "/index.php?module=CoreAdminHome&action=optOutJS&divId=x",
	}
	for _, target := range targets {
		response := get(t, base, "GET", target)
		path, _, _ := strings.Cut(target, "?")
		want := everywhere
		if rule, _, ok := Decide(path); ok && response.StatusCode == 200 {
			want = rule.Headers
		}
		for _, header := range want {
			values := response.Header.Values(header.Name)
			if len(values) != 1 || (!header.IfMissing && header.Unless == "" && values[0] != header.Value) {
				t.Errorf("%s (%d): %s is %q, want once %q", target, response.StatusCode, header.Name, values, header.Value)
			}
		}
		for _, name := range []string{"X-Powered-By", "X-Xss-Protection", "Access-Control-Allow-Credentials"} {
			if value := response.Header.Get(name); value != "" {
				t.Errorf("%s: %s is %q, want none", target, name, value)
			}
		}
		if server := response.Header.Get("Server"); strings.ContainsAny(server, "0123456789/") {
			t.Errorf("%s: Server %q tells a version", target, server)
		}
		if strings.Contains(target, "optOut") && (response.StatusCode != 200 || response.Header.Get("X-Frame-Options") != "" || strings.Contains(response.Header.Get("Content-Security-Policy"), "frame-ancestors")) {
			t.Errorf("%s: status %d, X-Frame-Options %q, want 200 in any frame", target, response.StatusCode, response.Header.Get("X-Frame-Options"))
		}
		if target == "/index.php?module=Login" && !restricted() {
			if frame := strings.ToLower(response.Header.Get("X-Frame-Options")); frame != "deny" && frame != "sameorigin" {
				t.Errorf("%s: X-Frame-Options %q, want Matomo's own", target, frame)
			}
			if cache := response.Header.Get("Cache-Control"); !strings.Contains(cache, "no-store") {
				t.Errorf("%s: Cache-Control %q, want no-store", target, cache)
			}
		}
		if response.Header.Get("Content-Encoding") != "" {
			t.Errorf("%s: packed, though nobody asked", target)
		}
	}
}

func TestLiveMethods(t *testing.T) {
	base := liveURL(t, "ROCCA_FRONT_URL")
	for _, probe := range []struct {
		method, target string
		refused        bool
	}{
		{"TRACE", "/matomo.php", true},
		{"TRACE", "/matomo.js", true},
		{"PUT", "/matomo.php", true},
		{"DELETE", "/matomo.js", true},
		{"POST", "/matomo.js", true},
		{"OPTIONS", "/matomo.js", true},
		{"PROPFIND", "/", true},
		{"OPTIONS", "/matomo.php", false},
		{"HEAD", "/matomo.js", false},
		{"HEAD", "/matomo.php", false},
	} {
		response := get(t, base, probe.method, probe.target, "Content-Length: 0")
		if refused := response.StatusCode == 405 || response.StatusCode == 403; refused != probe.refused {
			t.Errorf("%s %s: status %d, want refused %v", probe.method, probe.target, response.StatusCode, probe.refused)
		}
	}
}

func TestLiveBodyLimits(t *testing.T) {
	base := liveURL(t, "ROCCA_FRONT_URL")
	for target, limit := range map[string]int64{"/matomo.php": 5 * megabyte, "/index.php?module=CoreAdminHome&action=optOut": 8 * megabyte} {
		for length, tooLong := range map[int64]bool{limit - 1024: false, limit + 1024: true} {
			request := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n", target, base.Host, length)
			response, err := raw(t, base, base.Hostname(), request+strings.Repeat("x", int(length)))
			if err != nil {
				t.Errorf("POST %s of %d bytes: %v", target, length, err)
				continue
			}
			if got := response.StatusCode == 413; got != tooLong {
				t.Errorf("POST %s of %d bytes: status %d, want too long %v", target, length, response.StatusCode, tooLong)
			}
		}
	}
	chunks := strings.Repeat("100000\r\n"+strings.Repeat("x", megabyte)+"\r\n", 6) + "0\r\n\r\n"
	response, err := raw(t, base, base.Hostname(), "POST /matomo.php HTTP/1.1\r\nHost: "+base.Host+"\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"+chunks)
	if err != nil || response.StatusCode != 413 && response.StatusCode != 411 {
		t.Errorf("6 MB in chunks: %v %v, want 413 or 411", response, err)
	}
	response = get(t, base, "GET", "/matomo.php?x="+strings.Repeat("x", 20_000))
	if response.StatusCode != 414 && response.StatusCode != 400 {
		t.Errorf("request line of 20,000 bytes: status %d, want 414", response.StatusCode)
	}
}

func TestLiveUnknownHost(t *testing.T) {
	base := liveURL(t, "ROCCA_FRONT_URL")
	refused := func(what string, response answer, err error) {
		t.Helper()
		if err != nil {
			return // the connection was closed
		}
		if response.StatusCode != 403 && response.StatusCode != 421 && response.StatusCode != 400 {
			t.Errorf("%s: status %d, want no answer or a refusal", what, response.StatusCode)
		}
		if len(strings.TrimSpace(response.body)) > 0 && response.StatusCode != 400 {
			t.Errorf("%s: a body of %d bytes, want none", what, len(response.body))
		}
	}
	for _, host := range []string{"evil.example.net", "127.0.0.2", "localhost", "matomo.example.org.evil.example.net", "evil.example.net:443", ""} {
		for _, target := range []string{"/", "/matomo.php", "/matomo.js"} {
			request := fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", target, host)
			response, err := raw(t, base, base.Hostname(), request)
			refused("Host "+host+", "+target, response, err)
			if os.Getenv("ROCCA_FRONT_HTTP_URL") != "" {
				response, err := raw(t, liveURL(t, "ROCCA_FRONT_HTTP_URL"), "", request)
				refused("HTTP, Host "+host+", "+target, response, err)
			}
		}
	}
	// The name in the target counts more than the header.
	absolute, err := raw(t, base, base.Hostname(), "GET "+base.Scheme+"://evil.example.net/matomo.php HTTP/1.1\r\nHost: "+base.Host+"\r\nConnection: close\r\n\r\n")
	refused("absolute target", absolute, err)
	response, err := raw(t, base, "evil.example.net", "GET / HTTP/1.1\r\nHost: evil.example.net\r\nConnection: close\r\n\r\n")
	refused("unknown name in the handshake", response, err)
}

func TestLiveRedirect(t *testing.T) {
	base := liveURL(t, "ROCCA_FRONT_HTTP_URL")
	for method, status := range map[string]int{"GET": 301, "HEAD": 301, "POST": 308} {
		response := get(t, base, method, "/matomo.php?idsite=1&url=a%20b%2Fc", "Content-Length: 0")
		if want := "https://" + strings.TrimSuffix(base.Host, ":"+base.Port()) + "/matomo.php?idsite=1&url=a%20b%2Fc"; response.StatusCode != status || response.Header.Get("Location") != want {
			t.Errorf("%s: status %d to %q, want %d to %q", method, response.StatusCode, response.Header.Get("Location"), status, want)
		}
	}
	for _, target := range []string{"/%0d%0aX-Split:%20yes", "/x?%0d%0aX-Split:%20yes", "/%0aX-Split:%20yes", "/@evil.example.net/", "//evil.example.net/", "/%5c%5cevil.example.net"} {
		response := get(t, base, "GET", target)
		location, err := url.Parse(response.Header.Get("Location"))
		if response.Header.Get("X-Split") != "" || err != nil || response.StatusCode == 301 && location.Hostname() != base.Hostname() {
			t.Errorf("%s: status %d to %q, headers %v", target, response.StatusCode, response.Header.Get("Location"), response.Header)
		}
	}
}

func TestLiveTrackerScriptIsPacked(t *testing.T) {
	base := liveURL(t, "ROCCA_FRONT_URL")
	plain := get(t, base, "GET", "/matomo.js").body
	if len(plain) < 1000 {
		t.Fatalf("matomo.js has %d bytes", len(plain))
	}
	for accept, encoding := range map[string]string{
		"": "", "identity": "", "gzip": "gzip", "gzip, deflate, br": "br", "br": "br", "gzip, deflate, br, zstd": "br", "gzip;q=0": "",
	} {
		response := get(t, base, "GET", "/matomo.js", "Accept-Encoding: "+accept)
		var unpacked io.Reader = strings.NewReader(response.body)
		switch encoding {
		case "br":
			unpacked = brotli.NewReader(unpacked)
		case "gzip":
			unpacked, _ = gzip.NewReader(unpacked)
		}
		if got := response.Header.Get("Content-Encoding"); got != encoding {
			t.Errorf("Accept-Encoding %q: Content-Encoding %q, want %q", accept, got, encoding)
			continue
		}
		content, err := io.ReadAll(unpacked)
		if err != nil || !bytes.Equal(content, []byte(plain)) {
			t.Errorf("Accept-Encoding %q: %d bytes (%v) that are not matomo.js", accept, len(content), err)
		}
		if response.mediaType() != "text/javascript" || !strings.Contains(strings.Join(response.Header.Values("Vary"), ","), "Accept-Encoding") {
			t.Errorf("Accept-Encoding %q: Content-Type %q, Vary %q", accept, response.mediaType(), response.Header.Values("Vary"))
		}
		tag := response.Header.Get("ETag")
		if again := get(t, base, "GET", "/matomo.js", "Accept-Encoding: "+accept, "If-None-Match: "+tag); tag == "" || again.StatusCode != 304 {
			t.Errorf("Accept-Encoding %q: ETag %q asked again gives %d, want 304", accept, tag, again.StatusCode)
		}
	}
	// Secrets and what a visitor sent share a page: it must not be packed.
	if page := get(t, base, "GET", "/index.php?module=Login", "Accept-Encoding: gzip, br"); page.Header.Get("Content-Encoding") != "" {
		t.Errorf("the login page is packed by %s", page.Header.Get("Content-Encoding"))
	}
}

func TestLiveAdminNetworks(t *testing.T) {
	base := liveURL(t, "ROCCA_FRONT_URL")
	if !restricted() {
		t.Skip("ROCCA_FRONT_RESTRICTED is not 1")
	}
	for _, target := range []string{
		"/", "/index.php", "/index.php?module=Login", "/index.php?module=API&method=API.getSettings", "/plugins/Morpheus/images/logo.svg", "/node_modules/jquery/dist/jquery.min.js",
		"/index.php?module=CoreAdminHome&action=optOut&module=Login", "/index.php?module=CoreAdminHome&action=optOut&action=index",
		"/index.php?module=CoreAdminHome&action=optOut&m%6fdule=Login", "/index.php?module=CoreAdminHome&action=optOut&+module=Login", "/index.php?x=module=CoreAdminHome&action=optOut",
		"/index.php?module=CoreAdminHome&action=optOutX", "/index.php?module=CoreAdminHome&action=optOut&module", "/index.php?module=CoreAdminHome&action=optOut&module[]=Login",
		"/index.php?module=CoreAdminHome&action=optOut%00&a=1", "/index.php?module=CoreAdminHome&action=optOut%0a",
	} {
		if response := get(t, base, "GET", target, "X-Forwarded-For: 192.0.2.1", "X-Real-IP: 192.0.2.1", "Forwarded: for=192.0.2.1"); response.StatusCode != 403 {
			t.Errorf("%s: status %d, want 403", target, response.StatusCode)
		}
	}
	for _, target := range []string{"/matomo.js", "/matomo.php", "/robots.txt", "/plugins/CoreAdminHome/javascripts/optOut.js",
		"/index.php?module=CoreAdminHome&action=optOut&language=de&backgroundColor=&fontColor=&fontSize=&fontFamily=", "/?action=optOutJS&divId=matomo-opt-out&module=CoreAdminHome"} {
		if response := get(t, base, "GET", target); response.StatusCode >= 400 && target != "/matomo.php" || response.StatusCode == 403 {
			t.Errorf("%s: status %d, want it public", target, response.StatusCode)
		}
	}
}

func TestLiveLimits(t *testing.T) {
	base := liveURL(t, "ROCCA_FRONT_URL")
	if os.Getenv("ROCCA_FRONT_BURST") != "1" {
		t.Skip("ROCCA_FRONT_BURST is not 1")
	}
	limited := func(method, target string, headers ...string) int {
		count := 0
		for range 80 {
			if get(t, base, method, target, append(headers, "Content-Length: 0")...).StatusCode == 429 {
				count++
			}
		}
		return count
	}
	if n := limited("GET", "/matomo.php"); n > 0 {
		t.Errorf("%d of 80 tracking requests were limited, want none", n)
	}
	if n := limited("POST", "/index.php?module=CoreHome&action=index", "X-Requested-With: XMLHttpRequest"); n > 0 {
		t.Errorf("%d of 80 requests of a dashboard were limited, want none", n)
	}
	if n := limited("POST", "/index.php?module=API&method=API.getSettings"); n > 0 {
		t.Errorf("%d of 80 API calls were limited, want none", n)
	}
	if n := limited("POST", "/index.php?module=CoreHome&module=Login", "X-Requested-With: XMLHttpRequest"); n == 0 {
		t.Error("80 log-in attempts in a hidden spelling went through")
	}
	if n := limited("POST", "/index.php?module=Login"); n == 0 {
		t.Error("80 log-in attempts went through")
	}
}
