package test

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/cookiejar"
	"net/textproto"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

// answer is a response that was read to its end.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) mediaType() string {
	mediaType, _, _ := mime.ParseMediaType(a.header.Get("Content-Type"))
	return mediaType
}

// browser asks a server through its public address as a browser does that was
// told to trust the certificate. It keeps cookies and follows no redirect.
type browser struct {
	t      *testing.T
	base   string // with a final slash
	client *http.Client
}

func (s *server) browser(t *testing.T) *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true, DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &browser{t, s.URL(), &http.Client{
		Jar: jar, Transport: transport, Timeout: time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func (b *browser) do(method, target, mediaType, body string, headers ...string) answer {
	b.t.Helper()
	request, err := http.NewRequestWithContext(b.t.Context(), method, b.base+target, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	if mediaType != "" {
		request.Header.Set("Content-Type", mediaType)
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		request.Header.Set(name, value)
	}
	response, err := b.client.Do(request)
	if err != nil {
		b.t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(content)}
}

func (b *browser) get(target string, headers ...string) answer {
	b.t.Helper()
	return b.do("GET", target, "", "", headers...)
}

func (b *browser) post(target string, form url.Values) answer {
	b.t.Helper()
	return b.do("POST", target, "application/x-www-form-urlencoded", form.Encode())
}

// form makes a form of names and values.
func form(pairs ...string) url.Values {
	values := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		values.Add(pairs[i], pairs[i+1])
	}
	return values
}

var nonceField = regexp.MustCompile(`name="form_nonce"[^>]*value="([^"]+)"`)

// signIn fills in the login form.
func (b *browser) signIn(password string) answer {
	b.t.Helper()
	page := b.get("")
	nonce := nonceField.FindStringSubmatch(page.body)
	if page.status != 200 || nonce == nil {
		b.t.Fatalf("the login page: status %d without a form, %.300q", page.status, page.body)
	}
	return b.post("index.php?module=Login", form("form_login", "owner", "form_password", password, "form_nonce", nonce[1], "form_redirect", ""))
}

// api calls a method by POST and decodes its answer.
func (b *browser) api(method string, result any, pairs ...string) {
	b.t.Helper()
	got := b.post("index.php?module=API&format=json&method="+method, form(pairs...))
	if got.status != 200 || strings.Contains(got.body, `"result":"error"`) {
		b.t.Fatalf("%s: status %d %.300s", method, got.status, got.body)
	}
	if result == nil {
		return
	}
	if err := json.Unmarshal([]byte(got.body), result); err != nil {
		b.t.Fatalf("%s: %v in %.300s", method, err, got.body)
	}
}

// token makes a token as the page of a user's security settings does.
func (b *browser) token(login, password string) string {
	b.t.Helper()
	var made struct{ Value string }
	b.api("UsersManager.createAppSpecificTokenAuth", &made, "userLogin", login, "passwordConfirmation", password, "description", "test")
	if len(made.Value) != 32 {
		b.t.Fatalf("a token of %d characters", len(made.Value))
	}
	return made.Value
}

func testLogin(t *testing.T, s *server) {
	b := s.browser(t)
	const dashboard = "index.php?module=CoreHome&action=index&idSite=1&period=day&date=today"
	if page := b.get(dashboard); !nonceField.MatchString(page.body) {
		t.Errorf("the dashboard without a login: status %d %.200q, want the login form", page.status, page.body)
	}
	if refused := b.signIn("wrong-" + s.password[:8]); refused.status != 403 || !nonceField.MatchString(refused.body) {
		t.Errorf("a wrong password: status %d, want 403 and the form again", refused.status)
	}
	signedIn := b.signIn(s.password)
	if signedIn.status != 302 || !strings.HasPrefix(signedIn.header.Get("Location"), s.URL()+"index.php") && !strings.HasPrefix(signedIn.header.Get("Location"), "index.php") {
		t.Fatalf("the login: status %d to %q %.300q", signedIn.status, signedIn.header.Get("Location"), signedIn.body)
	}
	cookies := (&http.Response{Header: signedIn.header}).Cookies()
	if len(cookies) == 0 {
		t.Error("the login set no cookie: the session of before it would go on")
	}
	for _, c := range cookies {
		if !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode && c.SameSite != http.SameSiteStrictMode {
			t.Errorf("cookie %s lacks Secure, HttpOnly or SameSite: %s", c.Name, signedIn.header.Values("Set-Cookie"))
		}
	}
	page := b.get(dashboard)
	if page.status != 200 || nonceField.MatchString(page.body) || !strings.Contains(page.body, "Web Analytics Reports") {
		t.Errorf("the dashboard: status %d %.300q", page.status, page.body)
	}
	for _, part := range regexp.MustCompile(`(?:src|href)="([^":?]+\.(?:js|css|png|svg|woff2?)|index\.php\?module=Proxy[^"]+)"`).FindAllStringSubmatch(page.body, -1) {
		target := strings.ReplaceAll(part[1], "&amp;", "&")
		if got := b.get(target); got.status != 200 {
			t.Errorf("%s, which the dashboard loads: status %d", target, got.status)
		}
	}
}

// writerPassword is that of a user who may only write to the site.
const writerPassword = "a-writer-of-the-test"

func testTracking(t *testing.T, s *server) {
	b := s.browser(t)
	owner := b.token("owner", s.password)
	b.api("UsersManager.addUser", nil, "token_auth", owner, "userLogin", "writer", "password", writerPassword, "email", "writer@example.org")
	b.api("UsersManager.setUserAccess", nil, "token_auth", owner, "userLogin", "writer", "access", "write", "idSites", "1")
	writer := b.token("writer", writerPassword)

	const allSites = "index.php?module=API&method=SitesManager.getSitesWithAtLeastViewAccess&format=json"
	if got := b.get(allSites + "&token_auth=" + owner); got.status != 401 {
		t.Errorf("a token in the address: status %d, want 401: it would be in every log", got.status)
	}
	if got := b.post(allSites, form("token_auth", owner)); got.status != 200 || !strings.Contains(got.body, `"idsite"`) {
		t.Errorf("a token in the body: status %d %.200s", got.status, got.body)
	}

	hits := func() string { return s.query(t, "SELECT COUNT(*) FROM matomo_log_link_visit_action") }
	ago := func(d time.Duration) string { return fmt.Sprint(time.Now().Add(-d).Unix()) }
	const hit = "idsite=1&rec=1&send_image=0&url=https%3A%2F%2Fexample.org%2Fpage"
	for _, test := range []struct {
		name, query, token string
		status             int
		recorded           bool
	}{
		{"a hit", hit + "&_id=00000000000000aa", "", 204, true},
		{"an address without a token", hit + "&cip=203.0.113.77", "", 400, false},
		{"an address with a write token", hit + "&cip=203.0.113.77&new_visit=1", writer, 204, true},
		{"an hour late", hit + "&cdt=" + ago(time.Hour), "", 204, true},
		{"two days late without a token", hit + "&cdt=" + ago(48*time.Hour), "", 400, false},
		{"two days late with a write token", hit + "&cdt=" + ago(48*time.Hour), writer, 204, true},
		{"a country without a token", hit + "&country=de", "", 400, false},
		{"an unknown site", "idsite=99&rec=1&send_image=0&url=https%3A%2F%2Fexample.org%2F", "", 400, false},
	} {
		before := hits()
		var got answer
		if test.token == "" {
			got = b.get("matomo.php?" + test.query)
		} else {
			got = b.post("matomo.php?"+test.query, form("token_auth", test.token))
		}
		if recorded := hits() != before; got.status != test.status || recorded != test.recorded {
			t.Errorf("%s: status %d, recorded %v; want %d, %v; %.200q", test.name, got.status, recorded, test.status, test.recorded, got.body)
		}
	}
	if addresses := s.query(t, "SELECT DISTINCT HEX(location_ip) FROM matomo_log_visit ORDER BY 1"); addresses != "7F000000\nCB000000" {
		t.Errorf("addresses of visits are stored as %q, want two bytes masked", addresses)
	}
	// Visitors learn nothing of an error, its owner does.
	if journal := s.run(t, "journalctl", "--no-pager", "--output", "cat", "--identifier", "rocca-php-tracker"); !strings.Contains(journal, "Error in Matomo (tracker)") {
		t.Errorf("the journal has no error of the refused hits: %.500q", journal)
	}
	if picture := b.get("piwik.php?idsite=1&rec=1&url=https%3A%2F%2Fexample.org%2F"); picture.status != 200 || picture.mediaType() != "image/gif" || !strings.HasPrefix(picture.body, "GIF89a") {
		t.Errorf("a hit by picture: status %d %s", picture.status, picture.mediaType())
	}

	bulk := func(token string, items ...string) answer {
		body, err := json.Marshal(map[string]any{"requests": items, "token_auth": token})
		if err != nil {
			t.Fatal(err)
		}
		return b.do("POST", "matomo.php", "application/json", string(body))
	}
	var fifty []string
	for i := range 50 {
		fifty = append(fifty, fmt.Sprintf("?idsite=1&rec=1&url=https://example.org/bulk/%d&_id=%016x&cip=198.51.100.%d", i, i+1, i))
	}
	for _, test := range []struct {
		name   string
		got    func() answer
		want   string
		stored int
	}{
		{"fifty with a write token", func() answer { return bulk(writer, fifty...) }, `{"status":"success","tracked":50,"invalid":0`, 50},
		{"fifty with the owner's token", func() answer { return bulk(owner, fifty...) }, `{"status":"success","tracked":50,"invalid":0`, 50},
		{"an unknown site", func() answer { return bulk(owner, fifty[0], "?idsite=99&rec=1") }, `{"status":"success","tracked":1,"invalid":1`, 1},
		{"addresses without a right", func() answer { return bulk("", fifty[0], "?idsite=1&rec=1&url=https://example.org/") }, `{"status":"success","tracked":1,"invalid":1`, 1},
		{"without rec", func() answer { return bulk("", "?idsite=1&url=https://example.org/") }, `{"status":"success","tracked":1,"invalid":0`, 0},
		{"broken", func() answer { return b.do("POST", "matomo.php", "application/json", `{"requests":["?idsite=1&rec=1"`) }, `{"status":"success","tracked":0,"invalid":0`, 0},
	} {
		before := hits()
		got := test.got()
		stored := s.query(t, "SELECT COUNT(*) - "+before+" FROM matomo_log_link_visit_action")
		if got.status != 200 || !strings.HasPrefix(got.body, test.want) || stored != fmt.Sprint(test.stored) {
			t.Errorf("bulk, %s: status %d %.200q, stored %s; want %s and %d", test.name, got.status, got.body, stored, test.want, test.stored)
		}
	}
}

// thisYear is the period that the hits of a test are in, whenever midnight comes.
var thisYear = []string{"idSite", "1", "period", "year", "date", "today"}

func testArchiving(t *testing.T, s *server) {
	b := s.browser(t)
	token := b.token("owner", s.password)
	visits := func() int {
		var summary struct {
			Visits int `json:"nb_visits"`
		}
		b.api("VisitsSummary.get", &summary, append([]string{"token_auth", token}, thisYear...)...)
		return summary.Visits
	}
	if n := visits(); n != 0 {
		t.Errorf("%d visits in the report before archiving, want 0: requests must not archive", n)
	}
	s.run(t, "systemctl", "start", "rocca-archive.service")
	if n, recorded := visits(), s.query(t, "SELECT COUNT(*) FROM matomo_log_visit WHERE YEAR(visit_last_action_time) = YEAR(UTC_TIMESTAMP())"); fmt.Sprint(n) != recorded {
		t.Errorf("%d visits in the report, %s recorded", n, recorded)
	}
	s.run(t, "systemctl", "start", "rocca-tasks.service")
	for _, timer := range []string{"rocca-archive.timer", "rocca-tasks.timer"} {
		if next := s.run(t, "systemctl", "show", "-P", "NextElapseUSecRealtime", timer); next == "" {
			t.Errorf("%s has no next time", timer)
		}
	}
	var pages []struct{ Label string }
	b.api("Actions.getPageUrls", &pages, append([]string{"token_auth", token}, thisYear...)...)
	if len(pages) == 0 {
		t.Error("the report of pages is empty")
	}
}

func testReportFiles(t *testing.T, s *server) {
	b := s.browser(t)
	token := b.token("owner", s.password)
	const api = "index.php?module=API&format=json&method="
	graph := b.post(api+"ImageGraph.get", form(append(thisYear, "token_auth", token, "apiModule", "VisitsSummary", "apiAction", "get", "graphType", "verticalBar")...))
	if decoded, err := png.Decode(strings.NewReader(graph.body)); err != nil || graph.mediaType() != "image/png" || decoded.Bounds().Dx() < 10 {
		t.Errorf("a graph: status %d %s, %v", graph.status, graph.mediaType(), err)
	}
	var made struct{ Value json.Number }
	b.api("ScheduledReports.addReport", &made, "token_auth", token, "idSite", "1", "description", "Visits", "period", "never", "hour", "0",
		"reportType", "email", "reportFormat", "pdf", "reports[]", "VisitsSummary_get", "parameters[displayFormat]", "1", "parameters[emailMe]", "true")
	document := b.post(api+"ScheduledReports.generateReport", form("token_auth", token, "idReport", made.Value.String(), "date", "today", "outputType", "1", "language", "en"))
	// Matomo prints its answer as JSON behind the document; nginx cuts it off at the length that Matomo told.
	end := document.body[max(0, len(document.body)-64):]
	if document.mediaType() != "application/pdf" || !strings.HasPrefix(document.body, "%PDF-") || !strings.Contains(end, "%%EOF") {
		t.Errorf("a document: status %d %s, %d bytes: %.200q", document.status, document.mediaType(), len(document.body), document.body)
	}
}

func testUploads(t *testing.T, s *server) {
	b := s.browser(t)
	if !s.real { // the stand-in has no page for it: put it where one would
		s.run(t, "runuser", "-u", "matomo", "--", "cp", "/var/www/matomo/www/plugins/Morpheus/images/logo.svg", "/var/lib/matomo/user/logo.svg")
		if logo := b.get("misc/user/logo.svg"); logo.status != 200 || logo.mediaType() != "image/svg+xml" || !strings.Contains(logo.header.Get("Content-Security-Policy"), "sandbox") {
			t.Errorf("an uploaded logo: status %d %s, %v", logo.status, logo.mediaType(), logo.header)
		}
	} else {
		b.signIn(s.password)
		b.uploadLogo(t)
		if logo := b.get("misc/user/logo.png"); logo.status != 200 || logo.mediaType() != "image/png" || !strings.HasPrefix(logo.body, "\x89PNG") {
			t.Errorf("an uploaded logo: status %d %s", logo.status, logo.mediaType())
		}
		if files := s.run(t, "ls", "/var/lib/matomo/user"); !strings.Contains(files, "logo.png") {
			t.Errorf("the logo is not in the directory of uploads, which has %q", files)
		}
	}
	// What looks like code there is neither run nor shown, nor a link followed.
	s.run(t, "runuser", "-u", "matomo", "--", "sh", "-c", `echo '<?php echo "a"."b";' > /var/lib/matomo/user/a.php && cp /var/lib/matomo/user/a.php /var/lib/matomo/user/a.phtml && ln -s /etc/passwd /var/lib/matomo/user/passwd.png && ln -s /etc /var/lib/matomo/user/etc`)
	for _, name := range []string{"a.php", "a.phtml", "passwd.png", "etc/passwd", "etc/nginx/conf.d/a.png"} {
		if got := b.get("misc/user/" + name); got.status != 403 && got.status != 404 {
			t.Errorf("uploaded %s: status %d %.100q", name, got.status, got.body)
		}
	}
}

// uploadLogo sends a picture by the form of the general settings.
func (b *browser) uploadLogo(t *testing.T) {
	page := b.get("index.php?module=CoreAdminHome&action=generalSettings&idSite=1&period=day&date=today")
	token := regexp.MustCompile(`piwik\.token_auth = "([0-9a-f]{32})"`).FindStringSubmatch(page.body)
	if token == nil {
		t.Fatalf("the general settings: status %d without a token of the session", page.status)
	}
	picture := image.NewRGBA(image.Rect(0, 0, 60, 20))
	picture.Set(1, 1, color.White)
	var body bytes.Buffer
	parts := multipart.NewWriter(&body)
	part, err := parts.CreatePart(textproto.MIMEHeader{"Content-Disposition": {`form-data; name="customLogo"; filename="logo.png"`}, "Content-Type": {"image/png"}})
	if err == nil {
		err = png.Encode(part, picture)
	}
	if err == nil {
		err = parts.WriteField("token_auth", token[1])
	}
	if err == nil {
		err = parts.WriteField("force_api_session", "1")
	}
	if err != nil {
		t.Fatal(err)
	}
	parts.Close()
	got := b.do("POST", "index.php?module=CoreAdminHome&action=uploadCustomLogo", parts.FormDataContentType(), body.String())
	if got.status != 200 || strings.TrimSpace(got.body) != "1" {
		t.Errorf("upload of a logo: status %d %.200q", got.status, got.body)
	}
}
