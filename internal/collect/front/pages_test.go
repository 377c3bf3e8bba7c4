package front

import (
	"compress/gzip"
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rocca/internal/facts"
)

func TestLoadedFrom(t *testing.T) {
	for name, c := range map[string]struct {
		body string
		want []string
	}{
		"Matomo's own lines":      {`<script>var _paq = []; (function() { var u="//stats.example.org/"; var g=d.createElement('script'); g.src=u+'matomo.js'; })();</script>`, []string{"stats.example.org"}},
		"older lines":             {`<script type="text/javascript">var u=(("https:" == document.location.protocol) ? "https" : "http") + "://Stats.example.org/piwik/"; g.src=u+'piwik.js';</script>`, []string{"stats.example.org"}},
		"Matomo on the same host": {`<script>var u="/matomo/"; g.src=u+'matomo.js';</script>`, []string{"www.example.org"}},
		"script of the same host": {`<script src="/app.js"></script><script src=/matomo/piwik.js></script>`, []string{"www.example.org"}},
		"only scripts of its own": {`<script src="/app.js"></script><img src="https://www.example.org/x.png">`, nil},
		"tag managers": {`<script async src="https://www.googletagmanager.com/gtag/js?id=G-1&amp;l=x"></script><script>(function(w,d,s,l,i){j=d.createElement(s);j.src='https:\/\/tags.example.com/gtm.js?id='+i;})()</script>
			<noscript><iframe src="//frame.example.com/ns.html"></iframe></noscript>`, []string{"frame.example.com", "tags.example.com", "www.googletagmanager.com"}},
		"what does not run":       {`<script type="text/plain" src="https://a.example.com/x.js"></script><script type='application/ld+json'>{"sameAs":"https://b.example.com/", "src", "x"}</script><!-- <script src="https://c.example.com/x.js"></script> -->`, nil},
		"a link in a script":      {`<script>location = "https://a.example.com/"; if (a.src == b) { }</script><a href="https://b.example.com/">x</a>`, nil},
		"modules, styles, pixels": {`<script type="module">import("https://a.example.com/m.js")</script><link rel="stylesheet" href="https://b.example.com/x.css"><link rel="canonical" href="https://c.example.com/"><IMG alt="x" SRC='https://d.example.com/tr?id=1'>`, []string{"a.example.com", "b.example.com", "d.example.com"}},
		"a comment in a script":   {"<script><!--\ng.src='https://a.example.com/x.js'\n//--></script>", []string{"a.example.com"}},
		"an open end":             {`<script src="https://a.example.com/x.js">`, []string{"a.example.com"}},
		"nonsense":                {`<script src="http://[::1"></script><script src="https://"></script>`, nil},
	} {
		if diff := cmp.Diff(c.want, loadedFrom(c.body, &url.URL{Scheme: "https", Host: "www.example.org", Path: "/a/"})); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestAskPages(t *testing.T) {
	var requests atomic.Int32
	var site *httptest.Server
	site = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		var left int
		_, _ = fmt.Sscanf(r.URL.Path, "/redirect/%d", &left)
		switch {
		case r.URL.Path == "/page":
			w.Header().Set("Set-Cookie", "secret=x")
			fmt.Fprint(w, `<script src="https://stats.example.org/matomo.js"></script>`)
		case r.URL.Path == "/packed" && r.Header.Get("Accept-Encoding") == "gzip":
			w.Header().Set("Content-Encoding", "gzip")
			packed := gzip.NewWriter(w)
			fmt.Fprint(packed, `<img src="https://a.example.org/x.png">`)
			packed.Close()
		case left > 1:
			http.Redirect(w, r, fmt.Sprintf("/redirect/%d", left-1), http.StatusFound)
		case left == 1:
			http.Redirect(w, r, "/page", http.StatusFound)
		case r.URL.Path == "/inside":
			http.Redirect(w, r, strings.Replace(site.URL, "127.0.0.1", "localhost", 1)+"/page", http.StatusFound)
		case r.URL.Path == "/file":
			http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
		case r.URL.Path == "/large":
			fmt.Fprint(w, `<script src="https://stats.example.org/matomo.js"></script>`, strings.Repeat(" ", trackedPageLimit))
		case r.URL.Path == "/picture":
			w.Header().Set("Content-Type", "image/png")
		case r.URL.Path == "/broken":
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, "<p>")
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer site.Close()
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	defer secure.Close()
	type seen struct {
		Verdict facts.Verdict
		Status  int
		Origins []string
		Problem string
	}
	want := map[string]seen{
		site.URL + "/page":       {facts.Served, 200, []string{"stats.example.org"}, ""},
		site.URL + "/packed":     {facts.Served, 200, []string{"a.example.org"}, ""},
		site.URL + "/redirect/3": {facts.Served, 200, []string{"stats.example.org"}, ""},
		site.URL + "/redirect/4": {"", 0, nil, "it redirects more than 3 times"},
		site.URL + "/inside":     {"", 0, nil, "it redirects to an address that is not public"},
		site.URL + "/file":       {"", 0, nil, `unsupported protocol scheme "file"`},
		site.URL + "/large":      {"", 200, nil, "it is larger than 1 MB"},
		site.URL + "/picture":    {"", 200, nil, `it is no page, but "image/png"`},
		site.URL + "/broken":     {"", 200, nil, "read the page: unexpected EOF"},
		site.URL + "/none":       {facts.Refused, 404, nil, ""},
	}
	var pages []string
	for page := range want {
		pages = append(pages, page)
	}
	want[secure.URL] = seen{"", 0, nil, "certificate signed by unknown authority"}
	want["http://127.0.0.1:1/"] = seen{"", 0, nil, "connection refused"}
	answers := AskPages(t.Context(), pages)
	maps.Copy(answers, AskPages(t.Context(), []string{secure.URL, "http://127.0.0.1:1/"}))
	if len(answers) != len(want) {
		t.Errorf("%d answers about %d pages", len(answers), len(want))
	}
	for page, expected := range want {
		answer := answers["page:"+page]
		if answer.URL != page || answer.Method != "GET" || answer.Header != nil {
			t.Errorf("%s: %+v", page, answer)
		}
		if expected.Problem != "" && strings.Contains(answer.Problem, expected.Problem) {
			expected.Problem = answer.Problem // with where it happened
		}
		if diff := cmp.Diff(expected, seen{answer.Verdict, answer.Status, answer.Origins, answer.Problem}); diff != "" {
			t.Errorf("%s: %s", page, diff)
		}
	}
	requests.Store(0)
	many := make([]string, 12)
	for i := range many {
		many[i] = fmt.Sprintf("%s/page?%d", site.URL, i)
	}
	answers = AskPages(t.Context(), many)
	if len(answers) != 12 || answers["page:"+many[9]].Verdict != facts.Served || answers["page:"+many[10]].Problem != "only the first 10 pages are fetched" || requests.Load() != 10 {
		t.Errorf("%d requests: %+v", requests.Load(), answers)
	}
}

// TestAskPagesInTime: a page that says nothing is left when there is no time.
func TestAskPagesInTime(t *testing.T) {
	mute := make(chan bool)
	site := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-mute }))
	defer site.Close()
	defer close(mute)
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, fmt.Errorf("no time is left"))
	defer cancel()
	if got := AskPages(ctx, []string{site.URL})["page:"+site.URL]; got.Verdict != "" || got.Problem != "no time is left" {
		t.Errorf("%+v", got)
	}
	if got := AskPages(t.Context(), nil); len(got) != 0 {
		t.Errorf("asked without being told to: %+v", got)
	}
}

func TestOnlyPublic(t *testing.T) {
	for address, public := range map[string]bool{
		"192.0.2.1:443": true, "[2001:db8::1]:80": true, "127.0.0.1:80": false, "[::1]:80": false, "10.1.2.3:80": false, "169.254.169.254:80": false,
		"[::ffff:127.0.0.1]:80": false, "[fd00:ec2::254]:80": false, "0.0.0.0:80": false, "nonsense": false,
	} {
		if err := onlyPublic("tcp", address, nil); (err == nil) != public {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func FuzzLoadedFrom(f *testing.F) {
	f.Add(`<script src="https://a.example/x.js"></script><script>g.src="//b.example/"</script><!-- -->`)
	f.Add(`<script type=module>import(` + "`https://[::1]/x`" + `)</script><link rel=canonical href=x>`)
	f.Fuzz(func(t *testing.T, body string) {
		for _, host := range loadedFrom(body, &url.URL{Scheme: "https", Host: "www.example.org", Path: "/"}) {
			if host == "" || host != strings.ToLower(host) || !strings.Contains(strings.ToLower(body)+"www.example.org", strings.Trim(host, "[]")) && !strings.Contains(body, "%") {
				t.Errorf("%q of %q", host, body)
			}
		}
	})
}
