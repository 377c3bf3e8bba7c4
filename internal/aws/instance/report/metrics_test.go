package report

import (
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestMemoryOf(t *testing.T) {
	for name, c := range map[string]struct {
		text   string
		want   float64
		refuse bool
	}{
		"as Linux writes it":   {"MemTotal:        1000 kB\nMemFree:          50 kB\nMemAvailable:    250 kB\nBuffers: 1 kB\n", 75, false},
		"none available":       {"MemTotal: 8 kB\nMemAvailable: 0 kB\n", 100, false},
		"before Linux 3.14":    {"MemTotal: 1000 kB\nMemFree: 50 kB\n", 0, true},
		"no total":             {"MemAvailable: 50 kB\n", 0, true},
		"total of nothing":     {"MemTotal: 0 kB\nMemAvailable: 0 kB\n", 0, true},
		"more than there is":   {"MemTotal: 5 kB\nMemAvailable: 6 kB\n", 0, true},
		"no number":            {"MemTotal: many kB\nMemAvailable: 6 kB\n", 0, true},
		"nothing":              {"", 0, true},
		"another name for one": {"XMemTotal: 5 kB\nMemAvailable: 4 kB\n", 0, true},
	} {
		got, err := memoryOf(c.text)
		if got != c.want || (err != nil) != c.refuse {
			t.Errorf("%s: %v, %v; want %v", name, got, err, c.want)
		}
	}
}

func FuzzMemoryOf(f *testing.F) {
	f.Add("MemTotal:        1000 kB\nMemAvailable:    250 kB\n")
	f.Add("MemTotal: -1 kB\nMemAvailable:kB")
	f.Fuzz(func(t *testing.T, text string) {
		if got, err := memoryOf(text); err == nil && !(got >= 0 && got <= 100) {
			t.Errorf("%v percent of %q", got, text)
		}
	})
}

func TestUsed(t *testing.T) {
	for _, c := range []struct {
		blocks, free, available uint64
		want                    float64
	}{
		{1000, 500, 450, 100 * 500.0 / 950}, // 50 are kept for root
		{1000, 50, 0, 100},
		{1000, 1000, 1000, 0},
		{0, 0, 0, 0}, // such as /proc
		{10, 20, 20, 0},
	} {
		if got := used(c.blocks, c.free, c.available); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%d blocks, %d free, %d available: %v, want %v", c.blocks, c.free, c.available, got, c.want)
		}
	}
}

func FuzzUsed(f *testing.F) {
	f.Add(uint64(1000), uint64(500), uint64(450))
	f.Fuzz(func(t *testing.T, blocks, free, available uint64) {
		if got := used(blocks, free, available); !(got >= 0 && got <= 100) {
			t.Errorf("%v percent", got)
		}
	})
}

func TestFullest(t *testing.T) {
	here, err := fullest([]string{t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if none, err := fullest([]string{filepath.Join(t.TempDir(), "missing")}); err != nil || none != 0 {
		t.Errorf("a directory that is not there: %v, %v", none, err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := fullest([]string{file + "/below"}); err == nil {
		t.Error("what cannot be looked at is left out without a word")
	}
	if both, err := fullest([]string{"/proc", t.TempDir()}); err != nil || math.Abs(both-here) > 1 {
		t.Errorf("of two, %v and not the larger %v: %v", both, here, err)
	}
}

// TestProbe answers as Matomo does: test/visitor_test.go has the real answers.
func TestProbe(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   string
		want   bool
	}{
		"it works":                {200, `{"status":"success","tracked":0,"invalid":1}`, true},
		"the database is away":    {500, `{"status":"error","tracked":0}`, false},
		"it went away meanwhile":  {200, `Error:SQLSTATE[HY000] server has gone away`, false},
		"Matomo is not installed": {200, "As Matomo is not installed yet, the Tracking API cannot proceed and will exit without error.", false},
		"nothing is recorded":     {200, `{"status":"success","tracked":0,"invalid":0}`, false},
		"any site is taken":       {200, `{"status":"success","tracked":1,"invalid":0}`, false},
		"no PHP":                  {502, "<html>", false},
	} {
		t.Run(name, func(t *testing.T) {
			asked := ""
			matomo := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked = r.Method + " " + r.TLS.ServerName + " " + r.Host + r.URL.Path
				w.WriteHeader(c.status)
				_, _ = w.Write([]byte(c.body))
			}))
			defer matomo.Close()
			r := reporter{config: described(), front: matomo.Listener.Addr().String()}
			if err := r.probe(t.Context()); (err == nil) != c.want {
				t.Errorf("got %v", err)
			}
			if asked != "POST stats.example.org stats.example.org/matomo.php" {
				t.Errorf("asked %s", asked)
			}
		})
	}
	closed := httptest.NewServer(nil)
	closed.Close()
	r := reporter{config: described(), front: closed.Listener.Addr().String()}
	if err := r.probe(t.Context()); err == nil {
		t.Error("nobody listens, and that is an answer")
	}
}

func TestReadAudit(t *testing.T) {
	at := time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		text string
		want lastAudit
		says string
	}{
		"a report":         {`{"version":1,"summary":{"index":87,"count":{"pass":3}}}`, lastAudit{index: 87}, ""},
		"with updates":     {`{"observed":"2026-11-22T04:00:00Z","summary":{"index":87},"findings":[{"id":"HST-01","status":"fail"},{"id":"HST-02","status":"pass"}]}`, lastAudit{at, 87, true, 0}, ""},
		"without updates":  {`{"observed":"2026-11-22T04:00:00Z","summary":{"index":87},"findings":[{"id":"HST-02","status":"fail","evidence":[{"subject":"php"},{"subject":"nginx"}]}]}`, lastAudit{at, 87, true, 2}, ""},
		"undecided":        {`{"observed":"2026-11-22T04:00:00Z","summary":{"index":87},"findings":[{"id":"HST-02","status":"unknown"}]}`, lastAudit{at: at, index: 87}, ""},
		"half of one":      {`{"version":1,"summ`, lastAudit{}, "is no report"},
		"something else":   {`{"index":87}`, lastAudit{}, "is no report"},
		"out of its range": {`{"summary":{"index":870}}`, lastAudit{}, "is no report"},
	} {
		file := filepath.Join(t.TempDir(), "last.json")
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := readAudit(file)
		if got != c.want || (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}
