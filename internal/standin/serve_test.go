package standin_test

import (
	"crypto/sha512"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"rocca/internal/matomo/headless"
	"rocca/internal/secret"
)

// Tokens of users with each right.
const (
	superToken = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1"
	viewToken  = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb2"
	writeToken = "ccccccccccccccccccccccccccccccc3"
	wrongToken = "ddddddddddddddddddddddddddddddd4"
)

// TestStandinServes runs the stand-in and asks it what its contract says. One
// server for all parts: to start it takes the most time.
func TestStandinServes(t *testing.T) {
	l := startLab(t)
	l.addUsers()
	// Each part is told of its own t.
	run := func(name string, part func(*lab)) {
		t.Run(name, func(t *testing.T) {
			mine := *l
			mine.t = t
			mine.client = newClient(t) // without the cookies of other parts
			l.sql("DELETE FROM matomo.m_brute_force_log")
			part(&mine)
		})
	}
	run("single requests", testSingle)
	run("bulk requests", testBulk)
	run("visits", testVisits)
	run("brute force", testBruteForce)
	run("pages", testPages)
	run("API", testAPI)
	run("console", testConsole)
	run("failures", testFailures)
	run("writable code", testWritesOnlyToItsData)
	run("headless", testHeadless)
}

func (l *lab) addUsers() {
	l.addToken("boss", superToken)
	for token, access := range map[string]string{viewToken: "view", writeToken: "write"} {
		l.sql("INSERT INTO matomo.m_user (login, password, email, date_registered, ts_password_modified) VALUES (?, 'x', CONCAT(?, '@example.org'), NOW(), NOW())", access, access)
		l.sql("INSERT INTO matomo.m_access (login, idsite, access) VALUES (?, 1, ?)", access, access)
		l.addToken(access, token)
	}
}

func (l *lab) addToken(login, token string) {
	hash := fmt.Sprintf("%x", sha512.Sum512([]byte(token+salt)))
	l.sql("INSERT INTO matomo.m_user_token_auth (login, description, password, hash_algo, date_created) VALUES (?, 'test', ?, 'sha512', NOW())", login, hash)
}

func (l *lab) actions() string {
	l.t.Helper()
	return l.one("SELECT COUNT(*) FROM matomo.m_log_link_visit_action")
}

// lastAddress is that of the newest visit, in hexadecimal digits.
func (l *lab) lastAddress() string {
	l.t.Helper()
	return l.one("SELECT HEX(location_ip) FROM matomo.m_log_visit ORDER BY idvisit DESC LIMIT 1")
}

func testSingle(l *lab) {
	const hit = "idsite=1&rec=1&send_image=0&url=http%3A%2F%2Fexample.org%2Fpage"
	ago := func(seconds int) string { return l.one("SELECT UNIX_TIMESTAMP() - ?", seconds) }
	tests := []struct {
		name, query string
		status      int
		recorded    bool
	}{
		{"plain", hit, 204, true},
		{"no rec", "idsite=1&send_image=0&url=http%3A%2F%2Fexample.org%2F", 204, false},
		{"unknown site", "idsite=99&rec=1&send_image=0", 400, false},
		{"no site", "rec=1&send_image=0", 400, false},
		{"bot", hit + "&ua=Googlebot%2F2.1", 204, false},
		{"bot that is wanted", hit + "&ua=Googlebot%2F2.1&bots=1", 204, true},
		{"address without a token", hit + "&cip=1.2.3.4", 400, false},
		{"address with a view token", hit + "&cip=1.2.3.4&token_auth=" + viewToken, 400, false},
		{"address with a wrong token", hit + "&cip=1.2.3.4&token_auth=" + wrongToken, 400, false},
		{"address with a write token", hit + "&cip=1.2.3.4&token_auth=" + writeToken, 204, true},
		{"address with a super user's token", hit + "&cip=1.2.3.5&token_auth=" + superToken, 204, true},
		{"wrong token without need", hit + "&token_auth=" + wrongToken, 204, true},
		{"country without a token", hit + "&country=de", 400, false},
		{"latitude without a token", hit + "&lat=1", 400, false},
		{"country with a write token", hit + "&country=de&token_auth=" + writeToken, 204, true},
		{"an hour ago", hit + "&cdt=" + ago(3600), 204, true},
		{"a day ago without a token", hit + "&cdt=" + ago(90000), 400, false},
		{"a day ago with a write token", hit + "&cdt=" + ago(90000) + "&token_auth=" + writeToken, 204, true},
		{"in the future", hit + "&cdt=" + ago(-7200), 204, true},
		{"event", hit + "&e_c=a&e_a=b", 204, true},
		{"search", hit + "&search=word", 204, true},
		{"bad visitor id", hit + "&cid=zz", 400, false},
		{"bad _id", hit + "&_id=zz", 204, true},
		{"unknown goal", hit + "&idgoal=9", 400, false},
		{"no url", "idsite=1&rec=1&send_image=0", 204, true},
		{"bytes that are no text", "idsite=1&rec=1&send_image=0&url=%00%ff%fe", 204, true},
	}
	for _, test := range tests {
		before := l.actions()
		got := l.get(l.tracker + "/matomo.php?" + test.query)
		if got.status != test.status || (l.actions() != before) != test.recorded {
			l.t.Errorf("%s: status %d, want %d; recorded %v, want %v", test.name, got.status, test.status, l.actions() != before, test.recorded)
		}
	}
	order := hit + "&idgoal=0&revenue=3&ec_id=one&ec_items=" + url.QueryEscape(`[["sku","name","",3,1]]`)
	if first, again := l.get(l.tracker+"/matomo.php?"+order), l.get(l.tracker+"/matomo.php?"+order); first.status != 204 || again.status != 400 {
		l.t.Errorf("an order answers %d, again %d, want 204 and 400", first.status, again.status)
	}
	if got := l.one("SELECT COUNT(*) FROM matomo.m_log_conversion_item"); got != "1" {
		l.t.Errorf("%s items of the order are recorded, want 1", got)
	}
	image := l.get(l.tracker + "/piwik.php?idsite=1&rec=1&url=http%3A%2F%2Fexample.org%2F")
	if image.status != 200 || image.header.Get("Content-Type") != "image/gif" || !strings.HasPrefix(image.body, "GIF89a") {
		l.t.Errorf("with an image: %+v", image)
	}
	if bare := l.get(l.tracker + "/matomo.php"); bare.status != 200 || !strings.Contains(bare.body, "This resource is part of Matomo") {
		l.t.Errorf("without data: %+v", bare)
	}
	if empty := l.post(l.tracker+"/matomo.php", nil); empty.status != 400 {
		l.t.Errorf("an empty POST answers %d, want 400", empty.status)
	}
	if js := l.get(l.tracker + "/js/"); js.status != 200 || !strings.HasPrefix(js.header.Get("Content-Type"), "application/javascript") || !strings.Contains(js.body, "_paq") {
		l.t.Errorf("/js/: %d %s", js.status, js.header.Get("Content-Type"))
	}
}

func testBulk(l *lab) {
	item := func(number int, more string) string {
		return fmt.Sprintf(`"?idsite=1&rec=1&url=http://example.org/bulk&_id=%016x%s"`, number, more)
	}
	body := func(token string, items ...string) string {
		text := `{"requests":[` + strings.Join(items, ",") + `]`
		if token != "" {
			text += `,"token_auth":"` + token + `"`
		}
		return text + "}"
	}
	var many []string
	for i := range 200 {
		many = append(many, item(i, ""))
	}
	tests := []struct {
		name, body string
		status     int
		want       string
		recorded   int
	}{
		{"two by a super user", body(superToken, item(1, ""), item(2, "")), 200, `{"status":"success","tracked":2,"invalid":0,"invalid_indices":[]}`, 2},
		{"two by nobody", body("", item(1, ""), item(2, "")), 200, `{"status":"success","tracked":2,"invalid":0}`, 2},
		{"two by a writer", body(writeToken, item(1, ""), item(2, "")), 200, `{"status":"success","tracked":2,"invalid":0}`, 2},
		{"unknown site", body(superToken, item(1, ""), `"?idsite=99&rec=1"`, item(2, "")), 200, `{"status":"success","tracked":2,"invalid":1,"invalid_indices":[1]}`, 2},
		{"no site", body("", item(1, ""), `"?rec=1"`), 200, `{"status":"success","tracked":1,"invalid":1}`, 1},
		{"address without right", body("", item(1, ""), item(2, "&cip=1.2.3.4")), 200, `{"status":"success","tracked":1,"invalid":1}`, 1},
		{"address with right", body(writeToken, item(3, "&cip=1.2.3.4")), 200, `{"status":"success","tracked":1,"invalid":0}`, 1},
		{"nonsense as address", body(superToken, item(4, "&new_visit=1&cip=1.2.3")), 200, `{"status":"success","tracked":1,"invalid":0,"invalid_indices":[]}`, 1},
		{"no rec", body("", `"?idsite=1"`), 200, `{"status":"success","tracked":1,"invalid":0}`, 0},
		{"bot", body("", item(1, "&ua=Googlebot%2F2.1")), 200, `{"status":"success","tracked":1,"invalid":0}`, 0},
		{"objects", body("", `{"idsite":1,"rec":1,"url":"http://example.org/o"}`), 200, `{"status":"success","tracked":1,"invalid":0}`, 1},
		{"token in the item", body("", item(1, "&cip=9.8.7.6&token_auth="+superToken)), 200, `{"status":"success","tracked":1,"invalid":0}`, 1},
		{"broken", `{"requests":["?idsite=1&rec=1"`, 200, `{"status":"success","tracked":0,"invalid":0}`, 0},
		{"empty", body(superToken), 200, `{"status":"success","tracked":0,"invalid":0}`, 0},
		{"item without a query", body("", `"nonsense"`, item(1, "")), 200, `{"status":"success","tracked":1,"invalid":0}`, 1},
		{"many", body(superToken, many...), 200, `{"status":"success","tracked":200,"invalid":0,"invalid_indices":[]}`, 200},
		{"no answer wanted", `{"requests":[` + item(1, "") + `],"send_image":0}`, 204, ``, 1},
	}
	for _, test := range tests {
		before := l.actions()
		got := l.do("POST", l.tracker+"/matomo.php", test.body, "application/json")
		recorded := l.one("SELECT COUNT(*) - ? FROM matomo.m_log_link_visit_action", before)
		if got.status != test.status || got.body != test.want || recorded != fmt.Sprint(test.recorded) {
			l.t.Errorf("%s: %d %s, recorded %s; want %d %s, %d", test.name, got.status, got.body, recorded, test.status, test.want, test.recorded)
		}
	}
	if got := l.one("SELECT COUNT(*) FROM matomo.m_log_visit WHERE location_ip = 0x00000000"); got != "1" {
		l.t.Errorf("%s visits have the address 0.0.0.0, want that of the nonsense", got)
	}
}

func testVisits(l *lab) {
	visits := func() string { return l.one("SELECT COUNT(*) FROM matomo.m_log_visit") }
	const start = "idsite=1&rec=1&send_image=0&url=http%3A%2F%2Fexample.org%2F&token_auth=" + writeToken + "&cip=10.9.8.7&lang=fr&ua=Visitor"
	const ids = "&_id=0123456789abcdef"
	tests := []struct {
		name, query string
		isNew       bool
	}{
		{"first", start, true},
		{"same again", start, false},
		{"other language", start + "&lang=de", true},
		{"other resolution", start + "&res=1x1", false},
		{"other _id, same device", start + "&_id=fedcba9876543210", false},
		{"new by wish", start + "&new_visit=1", true},
		{"with an _id", start + "&lang=it" + ids, true},
		{"that _id elsewhere", start + "&lang=it&cip=10.1.1.1" + ids, false},
		{"a user", start + "&uid=joe", true},
		{"that user elsewhere", start + "&uid=joe&cip=10.2.2.2", false},
	}
	for _, test := range tests {
		// The last value of a parameter counts.
		before := visits()
		if got := l.get(l.tracker + "/matomo.php?" + test.query); got.status != 204 {
			l.t.Errorf("%s: status %d", test.name, got.status)
		}
		if (visits() != before) != test.isNew {
			l.t.Errorf("%s: new visit %v, want %v", test.name, visits() != before, test.isNew)
		}
	}
	masks := map[string]string{"10.20.30.40": "0A140000", "2001:db8:1:2:3:4:5:6": "20010DB8000100000000000000000000"}
	for address, want := range masks {
		l.get(l.tracker + "/matomo.php?" + start + "&new_visit=1&cip=" + url.QueryEscape(address))
		if got := l.lastAddress(); got != want {
			l.t.Errorf("%s is kept as %s, want %s", address, got, want)
		}
	}
	l.sql("UPDATE matomo.m_option SET option_value = '0' WHERE option_name = 'PrivacyManager.ipAnonymizerEnabled'")
	defer l.sql("UPDATE matomo.m_option SET option_value = '1' WHERE option_name = 'PrivacyManager.ipAnonymizerEnabled'")
	l.forgetCaches()
	defer l.forgetCaches()
	l.get(l.tracker + "/matomo.php?" + start + "&new_visit=1&cip=10.20.30.41")
	if got := l.lastAddress(); got != "0A141E29" {
		l.t.Errorf("without masking the address is kept as %s", got)
	}
}

func (l *lab) forgetCaches() {
	files, _ := filepath.Glob(filepath.Join(l.data("tracker"), "tmp/cache/tracker/*.php"))
	if len(files) == 0 {
		l.t.Error("the tracker keeps no caches")
	}
	for _, file := range files {
		os.Remove(file)
	}
}

func testBruteForce(l *lab) {
	for range 21 {
		if got := l.get(l.tracker + "/matomo.php?idsite=1&rec=1&send_image=0&cip=1.2.3.4&token_auth=" + wrongToken); got.status != 400 {
			l.t.Fatalf("a wrong token answers %d, want 400", got.status)
		}
	}
	bulk := l.do("POST", l.tracker+"/matomo.php", `{"requests":["?idsite=1&rec=1"],"token_auth":"`+superToken+`"}`, "application/json")
	if bulk.status != 500 || bulk.body != `{"status":"error","tracked":0,"invalid":0}` {
		l.t.Errorf("bulk after guessing: %d %s", bulk.status, bulk.body)
	}
	if got := l.get(l.ui + "/index.php"); got.status != 500 || !strings.Contains(got.body, "too many failed logins") {
		l.t.Errorf("the sign-in page after guessing: %d", got.status)
	}
	if got := l.get(l.tracker + "/matomo.php?idsite=1&rec=1&send_image=0"); got.status != 204 {
		l.t.Errorf("tracking after guessing: %d", got.status)
	}
}

var nonceField = regexp.MustCompile(`name="form_nonce" value="([^"]+)"`)

func testPages(l *lab) {
	start := l.get(l.ui + "/index.php")
	nonce := nonceField.FindStringSubmatch(start.body)
	if start.status != 200 || nonce == nil {
		l.t.Fatalf("the sign-in page: %d\n%s", start.status, start.body)
	}
	cookie := start.header.Get("Set-Cookie")
	for _, want := range []string{"MATOMO_SESSID=", "HttpOnly", "SameSite=Lax"} {
		if !strings.Contains(cookie, want) {
			l.t.Errorf("cookie %q has no %s", cookie, want)
		}
	}
	dashboard := l.ui + "/index.php?module=CoreHome&action=index&idSite=1&period=day&date=today"
	if got := l.get(dashboard); got.status != 403 || strings.Contains(got.body, "Web Analytics Reports") {
		l.t.Errorf("the dashboard without login: %d", got.status)
	}
	signIn := func(nonce, password string) answer {
		return l.post(l.ui+"/index.php?module=Login", url.Values{"form_login": {"boss"}, "form_password": {password}, "form_nonce": {nonce}})
	}
	if got := signIn(nonce[1], "wrong"); got.status != 403 || !strings.Contains(got.body, "Wrong username and/or password.") {
		l.t.Errorf("a wrong password: %d", got.status)
	}
	if got := signIn("forged", password); got.status != 403 {
		l.t.Errorf("a forged nonce: %d", got.status)
	}
	if got := signIn(nonce[1], password); got.status != 302 {
		l.t.Fatalf("login: %d\n%s", got.status, got.body)
	}
	if got := l.get(dashboard); got.status != 200 || !strings.Contains(got.body, "Example - Web Analytics Reports") {
		l.t.Errorf("the dashboard: %d\n%s", got.status, got.body)
	}
	if got := l.get(l.ui + "/index.php?module=Login&action=logout"); got.status != 302 {
		l.t.Errorf("logout: %d", got.status)
	}
	if got := l.get(dashboard); got.status != 403 {
		l.t.Errorf("the dashboard after logout: %d", got.status)
	}

	tests := []struct {
		path    string
		status  int
		content string // type of the answer, and what it holds
		holds   string
		framed  bool
	}{
		{"/index.php?module=CoreAdminHome&action=optOut", 200, "text/html", "prevent this website", true},
		{"/index.php?module=CoreAdminHome&action=optOutJS", 200, "application/javascript", "matomo-opt-out", true},
		{"/index.php?module=Proxy&action=getCss", 200, "text/css", "font-family", true},
		{"/index.php?module=Proxy&action=getCoreJs", 200, "application/javascript", "piwik", true},
		{"/index.php?module=Installation", 200, "text/html", "already installed", false},
		{"/index.php?module=NoSuch", 500, "text/html", "does not exist", true},
		{"/index.php?module=..%2F..%2Fx", 500, "text/html", "does not exist", true},
		{"/index.php?module=UsersManager&action=index", 403, "text/html", "Sign in", false},
		{"/index.php?module=CoreUpdater&action=runUpdaterAndExit", 500, "text/html", "Auto updater is disabled", true},
		{"/index.php/foo.php", 302, "text/html", "", true},
		{"/DIObject.php", 200, "text/html", "", true},
		{"/core/Version.php", 200, "text/html", "", true},
		{"/config/global.ini.php", 200, "text/html", "; ", true},
		{"/plugins/Morpheus/images/logo.svg", 200, "image/svg+xml", "<svg", true},
	}
	for _, test := range tests {
		got := l.get(l.ui + test.path)
		if got.status != test.status || !strings.HasPrefix(got.header.Get("Content-Type"), test.content) || !strings.Contains(got.body, test.holds) {
			l.t.Errorf("%s: %d %s, want %d %s with %q\n%s", test.path, got.status, got.header.Get("Content-Type"), test.status, test.content, test.holds, got.body)
		}
		if framed := got.header.Get("X-Frame-Options") == ""; framed != test.framed {
			l.t.Errorf("%s: may be framed %v, want %v", test.path, framed, test.framed)
		}
	}
}

func (l *lab) api(query, token string) answer {
	l.t.Helper()
	return l.post(l.ui+"/index.php?module=API&format=json&"+query, url.Values{"token_auth": {token}})
}

func testAPI(l *lab) {
	const today = "&idSite=1&period=day&date=today"
	tests := []struct {
		name   string
		got    answer
		status int
		holds  string
	}{
		{"nobody", l.get(l.ui + "/index.php?module=API&format=json&method=API.getMatomoVersion"), 401, "requires view access"},
		{"token in the URL", l.get(l.ui + "/index.php?module=API&format=json&method=API.getMatomoVersion&token_auth=" + superToken), 401, "required to be sent as a POST parameter"},
		{"token in the form", l.api("method=API.getMatomoVersion", superToken), 200, `{"value":"5.3.0-standin"}`},
		{"wrong token", l.api("method=API.getMatomoVersion", wrongToken), 401, "invalid or expired"},
		{"no such method", l.api("method=API.noSuch", superToken), 400, "does not exist"},
		{"inherited method", l.api("method=VisitsSummary.getInstance", superToken), 400, "does not exist"},
		{"no such plugin", l.api("method=NoSuch.x", superToken), 200, "is not enabled"},
		{"other site", l.api("method=VisitsSummary.get&idSite=7&period=day&date=today", viewToken), 401, "website id = 7"},
		{"missing parameter", l.api("method=VisitsSummary.get&period=day&date=today", viewToken), 200, "Please specify a value for 'idSite'"},
		{"bad period", l.api("method=VisitsSummary.get&idSite=1&period=x&date=today", viewToken), 200, "is not supported"},
		{"only for admins", l.api("method=UsersManager.getUsers", viewToken), 401, "requires admin access"},
		{"only for super users", l.api("method=SitesManager.addSite&siteName=x&urls=https://x.example.org", writeToken), 401, "'superuser' access"},
		{"pages", l.api("method=Actions.getPageUrls&flat=1"+today, viewToken), 200, `"label":"\/page"`},
		{"days", l.api("method=VisitsSummary.get&idSite=1&period=day&date=last3", viewToken), 200, `"nb_visits"`},
		{"a month long ago", l.api("method=VisitsSummary.get&idSite=1&period=month&date=2019-02-03", viewToken), 200, `"nb_visits":0`},
		{"bad segment", l.api("method=VisitsSummary.get&segment=x%3D%3D1"+today, viewToken), 200, "is not valid"},
		{"new site", l.api("method=SitesManager.addSite&siteName=Two&urls=https://two.example.org", superToken), 200, `{"value":2}`},
		{"new user", l.api("method=UsersManager.addUser&userLogin=dora&password=dora-secret&email=dora@example.org", superToken), 200, `"success"`},
	}
	for _, test := range tests {
		if test.got.status != test.status || !strings.Contains(test.got.body, test.holds) {
			l.t.Errorf("%s: %d %s, want %d with %s", test.name, test.got.status, test.got.body, test.status, test.holds)
		}
	}

	visits := l.visits(today)
	if want := l.one("SELECT COUNT(*) FROM matomo.m_log_visit"); visits == 0 || fmt.Sprint(visits) > want {
		l.t.Errorf("%d visits are reported, %s are in the log", visits, want)
	}
	if users := l.visits(today + "&segment=userId%3D%3Djoe"); users == 0 || users >= visits {
		l.t.Errorf("%d of %d visits are of the segment", users, visits)
	}
	if png := l.api("method=ImageGraph.get&idSite=1&period=day&date=last7", viewToken); png.header.Get("Content-Type") != "image/png" || !strings.HasPrefix(png.body, "\x89PNG") {
		l.t.Errorf("graph: %d %s", png.status, png.header.Get("Content-Type"))
	}
	report := l.api("method=ScheduledReports.addReport&idSite=1&description=Weekly&period=week&reportFormat=pdf&reports[]=VisitsSummary_get", viewToken)
	if report.body != `{"value":1}` {
		l.t.Fatalf("new report: %s", report.body)
	}
	if pdf := l.api("method=ScheduledReports.generateReport&idReport=1&date=today", viewToken); pdf.header.Get("Content-Type") != "application/pdf" ||
		!strings.HasPrefix(pdf.body, "%PDF-") || !strings.HasSuffix(pdf.body, "%%EOF\n") {
		l.t.Errorf("report: %d %s", pdf.status, pdf.header.Get("Content-Type"))
	}
	xml := l.post(l.ui+"/index.php?module=API&method=API.getMatomoVersion", url.Values{"token_auth": {viewToken}})
	if !strings.Contains(xml.body, "<result>5.3.0-standin</result>") {
		l.t.Errorf("XML: %s", xml.body)
	}
}

func (l *lab) visits(query string) int {
	l.t.Helper()
	var metrics struct {
		Visits *int `json:"nb_visits"`
	}
	got := l.api("method=VisitsSummary.get"+query, viewToken)
	if err := json.Unmarshal([]byte(got.body), &metrics); err != nil || metrics.Visits == nil {
		l.t.Fatalf("VisitsSummary.get%s: %d %s", query, got.status, got.body)
	}
	return *metrics.Visits
}

func testConsole(l *lab) {
	tests := []struct {
		arguments []string
		code      int
		holds     string
	}{
		{[]string{"core:version"}, 0, "5.3.0-standin\n"},
		{[]string{"core:update", "--yes"}, 0, "Everything is already up to date."},
		{[]string{"scheduled-tasks:run"}, 0, "Scheduled Tasks executed"},
		{[]string{"config:get", "--section=General", "--key=trusted_hosts"}, 0, `["stats.example.org"]`},
		{[]string{"config:get", "--section=database", "--key=password"}, 0, `"of-ui"`},
		{[]string{"plugin:list"}, 0, "| VisitsSummary         | Core              | Activated |"},
		{[]string{"no:such"}, 1, "is not defined"},
	}
	for _, test := range tests {
		if out, code := l.console(test.arguments...); code != test.code || !strings.Contains(out, test.holds) {
			l.t.Errorf("console %v: %d, want %d with %q\n%s", test.arguments, code, test.code, test.holds, out)
		}
	}

	// Without page views that start it, a report is as old as the last archiving.
	const today = "&idSite=1&period=day&date=today"
	l.withConfig("enable_installer", "enable_browser_archiving_triggering = 0\nenable_installer", func() {
		if out, code := l.console("core:archive"); code != 0 || !strings.Contains(out, "Done archiving!") {
			l.t.Fatalf("core:archive: %d\n%s", code, out)
		}
		before := l.visits(today)
		l.get(l.tracker + "/matomo.php?idsite=1&rec=1&send_image=0&new_visit=1&url=http%3A%2F%2Fexample.org%2Flate")
		if got := l.visits(today); got != before {
			l.t.Errorf("%d visits are reported before archiving, want %d", got, before)
		}
		l.console("core:archive")
		if got := l.visits(today); got != before+1 {
			l.t.Errorf("%d visits are reported after archiving, want %d", got, before+1)
		}
	})
	if out, code := l.console("diagnostics:run"); code != 0 {
		l.t.Errorf("diagnostics: %d\n%s", code, out)
	}
	changed := filepath.Join(l.root(), "core/Pdf.php")
	text, err := os.ReadFile(changed)
	if err != nil {
		l.t.Fatal(err)
	}
	l.write(changed, string(text)+"// changed\n")
	defer l.write(changed, string(text))
	if out, code := l.console("diagnostics:run"); code != 1 || !strings.Contains(out, "core/Pdf.php") {
		l.t.Errorf("diagnostics of a changed file: %d\n%s", code, out)
	}
}

func testFailures(l *lab) {
	const hit = "/matomo.php?idsite=1&rec=1&url=http%3A%2F%2Fexample.org%2F"
	const notInstalled = "As Matomo is not installed yet"
	type want struct {
		status int
		holds  string
	}
	check := func(name string, page, api, single, quiet, bulk want) {
		l.t.Helper()
		for part, each := range map[string]struct {
			got  answer
			want want
		}{
			"page":   {l.get(l.ui + "/index.php"), page},
			"API":    {l.api("method=API.getMatomoVersion", superToken), api},
			"single": {l.get(l.tracker + hit), single},
			"quiet":  {l.get(l.tracker + hit + "&send_image=0"), quiet},
			"bulk":   {l.do("POST", l.tracker+"/matomo.php", `{"requests":["?idsite=1&rec=1"]}`, "application/json"), bulk},
		} {
			if each.got.status != each.want.status || !strings.Contains(each.got.body, each.want.holds) {
				l.t.Errorf("%s, %s: %d %s, want %d with %q", name, part, each.got.status, each.got.body, each.want.status, each.want.holds)
			}
		}
	}
	const tracked = `{"status":"success","tracked":1,"invalid":0}`
	l.withConfig("enable_installer", "installation_in_progress = 1\nenable_installer", func() {
		check("not installed", want{404, "Matomo is not set up yet"}, want{404, "Matomo is not set up yet"}, want{200, notInstalled}, want{200, notInstalled}, want{200, notInstalled})
	})
	l.withConfig("enable_installer", "maintenance_mode = 1\nenable_installer", func() {
		check("maintenance", want{503, "back up"}, want{503, "back up"}, want{200, "GIF89a"}, want{204, ""}, want{200, tracked})
	})
	l.withConfig("[PluginsInstalled]", "[Tracker]\nrecord_statistics = 0\n[PluginsInstalled]", func() {
		check("no recording", want{200, "Sign in"}, want{200, "standin"}, want{503, "GIF89a"}, want{204, ""}, want{200, `{"status":"success","tracked":0,"invalid":0}`})
	})
	l.withConfig("db.sock", "no.sock", func() {
		check("database down", want{500, "SQLSTATE"}, want{500, "SQLSTATE"}, want{400, "GIF89a"}, want{400, "This resource"}, want{500, `{"status":"error","tracked":0,"invalid":0}`})
	})
	l.sql("UPDATE matomo.m_option SET option_value = '9.0.0' WHERE option_name = 'version_core'")
	check("database too new", want{500, "running the old version"}, want{500, "running the old version"}, want{200, "GIF89a"}, want{204, ""}, want{200, tracked})
	l.sql("UPDATE matomo.m_option SET option_value = '5.2.1' WHERE option_name = 'version_core'")
	check("database too old", want{200, "Sign in"}, want{200, "standin"}, want{200, "GIF89a"}, want{204, ""}, want{200, tracked})
	if out, code := l.console("core:update", "--yes"); code != 1 || !strings.Contains(out, "command denied") {
		l.t.Errorf("an update by the run-time account: %d\n%s", code, out)
	}
	l.sql("UPDATE matomo.m_option SET option_value = '5.3.0-standin' WHERE option_name = 'version_core'")

	hidden := map[string]string{}
	for _, role := range []string{"ui", "tracker"} {
		tmp := filepath.Join(l.data(role), "tmp")
		hidden[tmp] = tmp + ".away"
		if err := os.Rename(tmp, hidden[tmp]); err != nil {
			l.t.Fatal(err)
		}
		l.write(tmp, "a file, so that nobody can write below it")
	}
	check("tmp not writable", want{500, "write to the directory"}, want{500, "write to the directory"}, want{500, ""}, want{500, ""}, want{500, ""})
	for tmp, away := range hidden {
		os.Remove(tmp)
		if err := os.Rename(away, tmp); err != nil {
			l.t.Fatal(err)
		}
	}
	check("all well again", want{200, "Sign in"}, want{200, "standin"}, want{200, "GIF89a"}, want{204, ""}, want{200, tracked})
}

// testWritesOnlyToItsData looks for what the parts before have left.
func testWritesOnlyToItsData(l *lab) {
	for _, path := range []string{"config/config.ini.php", "tmp", "config/manifest.inc.php.new"} {
		if _, err := os.Lstat(filepath.Join(l.root(), path)); err == nil {
			l.t.Errorf("%s is in the release", path)
		}
	}
	for _, pattern := range []string{"ui/tmp/templates_c/*/*.php", "ui/tmp/assets/asset_manager_global_css.css", "tracker/tmp/cache/tracker/*.php"} {
		if files, _ := filepath.Glob(filepath.Join(l.dir, pattern)); len(files) == 0 {
			l.t.Errorf("nothing was written to %s", pattern)
		}
	}
	for _, pattern := range []string{"*/tmp/cache/tracker/swap*", "*/tmp/tcpdf/__tcpdf*", "*/tmp/assets/report*", "*/tmp/templates_c/*/swap*"} {
		leftovers, _ := filepath.Glob(filepath.Join(l.dir, pattern))
		for _, file := range leftovers {
			l.t.Errorf("%s was left behind", file)
		}
	}
}

func testHeadless(l *lab) {
	state, err := l.headless(headless.Request{Action: headless.State, Root: l.root()})
	if err != nil || !state.Installed() || state.DatabaseVersion != "5.3.0-standin" || len(state.Outdated) != 0 {
		l.t.Errorf("state: %+v, %v", state, err)
	}
	changed := headless.Request{Action: headless.Password, Root: l.root(), Superuser: headless.Superuser{Login: "boss", Password: secret.New("another secret")}}
	if _, err := l.headless(changed); err != nil {
		l.t.Error(err)
	}
	nonce := nonceField.FindStringSubmatch(l.get(l.ui + "/index.php").body)
	for word, status := range map[string]int{password: 403, "another secret": 302} {
		got := l.post(l.ui+"/index.php?module=Login", url.Values{"form_login": {"boss"}, "form_password": {word}, "form_nonce": {nonce[1]}})
		if got.status != status {
			l.t.Errorf("login with %q: %d, want %d", word, got.status, status)
		}
	}
	refusals := map[string]headless.Request{
		"there is no user nobody": {Action: headless.Password, Root: l.root(), Superuser: headless.Superuser{Login: "nobody", Password: secret.New("another secret")}},
		"no Matomo release in":    {Action: headless.State, Root: "/nowhere"},
	}
	for want, request := range refusals {
		_, err := l.headless(request)
		var failed *headless.ScriptError
		if !errors.As(err, &failed) || !strings.Contains(err.Error(), want) {
			l.t.Errorf("got %v, want %q", err, want)
		}
	}
}
