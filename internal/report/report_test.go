package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"rocca/internal/model"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares with a file of testdata, or rewrites it with -update.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs (-want +got); go test ./internal/report -update rewrites it:\n%s", file, diff)
	}
}

// plainly writes a report in a format, without colours.
func plainly(w io.Writer, format string, r model.Report) error {
	to, err := In(format, Plain)
	if err != nil {
		return err
	}
	return to(w, r)
}

func write(t *testing.T, format string, r model.Report) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := plainly(&out, format, r); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

var (
	observed = time.Date(2026, 11, 22, 2, 48, 29, 0, time.UTC)
	until    = time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC)
)

const code = "/var/www/matomo/www-matomo.5.3.0"

// hostile is what the owner of a server that was broken into may write into the
// names of files and the values of settings.
const hostile = "/tmp/\x1b[2J\u202etxt.exe\"'><script>alert(1)</script><img src=x onerror=alert(2)>{{.}}\x00\xff\ufffe]]>"

// sample is a report with one of everything.
func sample() model.Report {
	r := model.Report{
		Version: Version, Tool: "rocca 1.2.3", Server: "stats.example.org",
		Subject: "Matomo 5.3.0 in /var/www/matomo/www, nginx 1.22.1, PHP 8.2, 10.11.19-MariaDB-0+deb12u1, debian 12", Observed: observed,
		Findings: []model.Finding{
			{
				ID: "HST-05", Area: "HST", Status: model.Fail, Severity: model.High, Title: "only the front, SSH and what is declared listen to the network",
				Why:      "Every program that listens is a door, with its own holes.",
				Evidence: []model.Evidence{{Subject: "php-fpm8.2", Have: "tcp on 127.0.0.1 port 9000", Want: "a Unix socket: whoever connects runs code as its pool"}},
				Fix:      "stop what nobody needs: systemctl disable --now UNIT; declare the rest in rocca.yaml", FixKind: model.FixGuided, ProvenBy: "A32",
				Maps: []model.Ref{{Scheme: "CIS Debian 12", Item: "2.1.22"}, {Scheme: "S1", Item: "2"}},
			},
			{ID: "HST-08", Area: "HST", Status: model.NA, Severity: model.Low, Title: "the clock is kept by a time service, to within a second", Reason: "a container: its host keeps the time"},
			{
				ID: "FS-02", Area: "FS", Status: model.Pass, Severity: model.Critical, Title: "the document root and every directory above it belong to root",
				Why: "Who can rename a directory above the code can put another in its place.", Fix: "chown root:root DIRECTORY", FixKind: model.FixAutomatic,
				Maps: []model.Ref{{Scheme: "ASVS 5.0", Item: "13.3.2"}, {Scheme: "S2", Item: "25"}},
			},
			{
				ID: "FS-04", Area: "FS", Status: model.Fail, Severity: model.Critical, Title: "only Matomo's own users can read its configuration",
				Why: "config.ini.php holds the database password and the salt that tokens and nonces are signed with. Any other user who reads it has all visits, and can log in as anybody.",
				Evidence: []model.Evidence{
					{Subject: code + "/config/config.ini.php", Have: "apache-matomo:apache-matomo 0644", Want: "0640"},
					{Subject: code + "/config/config.ini.php", Line: 7, Have: "user apache-app2 -> connect socket 127.0.0.1:9000 -> become user apache-matomo -> read " + code + "/config/config.ini.php", Want: "readable by apache-matomo only"},
					{Subject: hostile, Have: hostile, Want: hostile},
				},
				Fix: "chown root:POOL config.ini.php && chmod 0640 config.ini.php, in a directory of root that others cannot enter", FixKind: model.FixAutomatic, ProvenBy: "A06",
				Maps: []model.Ref{{Scheme: "S1", Item: "1"}, {Scheme: "S2", Item: "16"}, {Scheme: "ASVS 5.0", Item: "13.3.2"}, {Scheme: "GDPR", Item: "Art. 32"}},
			},
			{
				ID: "ISO-03", Area: "ISO", Status: model.Fail, Severity: model.Critical, Title: "no pool listens on TCP",
				Why: "Whoever connects to a pool runs code as its user.", Fix: "listen = /run/php/POOL.sock, with listen.mode = 0660", FixKind: model.FixAutomatic, ProvenBy: "A03",
				Maps: []model.Ref{{Scheme: "S2", Item: "17"}, {Scheme: "GDPR", Item: "Art. 32"}, {Scheme: "GDPR", Item: "Art. 5(1)(c)"}},
			},
			{
				ID: "APP-20", Area: "APP", Status: model.Unknown, Severity: model.Medium, Title: "Matomo's own diagnostics find no error",
				Why: "Matomo knows of trouble that nobody else sees.", Reason: "could not see matomo: permission denied", Maps: []model.Ref{{Scheme: "S1", Item: "44"}, {Scheme: "GDPR", Item: "Art. 25"}},
			},
			{
				ID: "PRV-03", Area: "PRV", Status: model.Waived, Severity: model.Low, Title: "addresses are shortened by two bytes or more",
				Evidence: []model.Evidence{{Subject: "ip_address_mask_length", Have: "1", Want: "2", Waived: true}}, Fix: "Administration, Privacy, Anonymize data", FixKind: model.FixGuided,
				Waiver: &model.Waiver{Reason: "an intranet, its users agreed", Owner: "Jane Doe", Until: until}, Maps: []model.Ref{{Scheme: "GDPR", Item: "Art. 4(5)"}},
			},
			{
				ID: "NEW-01", Area: "NEW", Status: model.Fail, Severity: model.Medium, Title: "an area that this format does not know is shown, too",
				Fix: "nothing to do", FixKind: model.FixNone, Maps: []model.Ref{{Scheme: "RFC", Item: "9116"}, {Scheme: "A new one", Item: "1"}},
			},
		},
		Changes: &model.Changes{Since: observed.AddDate(0, 0, -7), New: []string{"FS-04"}, Fixed: []string{"FS-02", "FS-99"}, Index: -12},
		Picture: &model.Picture{
			Nodes: []model.Node{
				{ID: "internet", Kind: "internet", Label: "Internet"},
				{ID: "front", Kind: "front", Column: 1, Label: "apache2", Note: "user www-data"},
				{ID: "pool:app2", Kind: "pool", Column: 2, Label: "PHP: app2", Note: "127.0.0.1:9001"},
				{ID: "pool:matomo", Kind: "pool", Column: 2, Label: "PHP: matomo", Note: "127.0.0.1:9000"},
				{ID: "user:apache-app2", Kind: "user", Column: 3, Label: "apache-app2", Bad: true},
				{ID: "user:apache-matomo", Kind: "user", Column: 3, Label: "apache-matomo"},
				{ID: "config", Kind: "data", Column: 4, Label: "configuration", Note: code + "/config/config.ini.php"},
				{ID: "evil", Kind: "data", Column: 4, Label: hostile, Note: hostile},
				{ID: "schema", Kind: "database", Column: 4, Label: "database matomo", Note: "10.11.19-MariaDB-0+deb12u1"},
			},
			Links: []model.Link{
				{From: "internet", To: "front", Label: "80"}, {From: "front", To: "pool:app2"}, {From: "front", To: "pool:matomo"},
				{From: "pool:app2", To: "user:apache-app2", Label: "runs as"}, {From: "pool:matomo", To: "user:apache-matomo", Label: "runs as"},
				{From: "user:apache-matomo", To: "config", Label: "reads"}, {From: "user:apache-matomo", To: "schema", Label: "matomo"},
				{From: "user:apache-app2", To: "pool:matomo", Label: "connects", Bad: true}, {From: "user:apache-app2", To: "config", Label: "reads", Bad: true},
				{From: "internet", To: "evil", Label: hostile, Bad: true},
			},
		},
	}
	for n := range 9 {
		r.Findings[4].Evidence = append(r.Findings[4].Evidence, model.Evidence{Subject: "/etc/php/8.2/fpm/pool.d/" + strings.Repeat("x", n*12) + ".conf", Line: n + 1, Have: "listens on 127.0.0.1:9000", Want: "a Unix socket"})
	}
	r.Summary = model.Summarise(r.Findings)
	return r
}

// fine is a report with nothing to do.
func fine() model.Report {
	r := model.Report{Version: Version, Tool: "rocca (devel)", Server: "stats.example.org", Subject: "Matomo 5.3.0", Observed: observed, Findings: []model.Finding{
		{ID: "FS-04", Area: "FS", Status: model.Pass, Severity: model.Critical, Title: "only Matomo's own users can read its configuration"},
	}}
	r.Summary = model.Summarise(r.Findings)
	return r
}

func TestText(t *testing.T) {
	for name, c := range map[string]struct {
		report model.Report
		style  Style
	}{
		"plain.txt":   {sample(), Plain},
		"colour.txt":  {sample(), Style{Colour: true}},
		"narrow.txt":  {sample(), Style{Width: 60, All: true}},
		"nothing.txt": {fine(), Style{All: true}},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			if err := Text(&out, c.report, c.style); err != nil {
				t.Fatal(err)
			}
			golden(t, name, out.Bytes())
			limit := c.style.Width
			if limit == 0 {
				limit = 100
			}
			for line := range strings.Lines(out.String()) {
				line = strings.TrimSuffix(line, "\n")
				if printed(line) > limit {
					t.Errorf("%d columns, at most %d: %q", printed(line), limit, line)
				}
				if !c.style.Colour && strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r == '\u202e' || r == utf8.RuneError }) {
					t.Errorf("steers the terminal: %q", line)
				}
			}
			if c.style.Colour && strings.Contains(out.String(), "[2J") && strings.Contains(out.String(), "\x1b[2J") {
				t.Error("others' escape sequence got through")
			}
		})
	}
}

// A terminal may be wider than text is readable.
func TestTextIsNeverWide(t *testing.T) {
	var wide, plain bytes.Buffer
	if err := errors.Join(Text(&wide, sample(), Style{Width: 300}), Text(&plain, sample(), Plain)); err != nil {
		t.Fatal(err)
	}
	if wide.String() != plain.String() {
		t.Error("text for 300 columns is not the same as for 100")
	}
}

// TestNoFindingIsLeftOut shows each finding that is open to every format.
func TestNoFindingIsLeftOut(t *testing.T) {
	for _, format := range Formats {
		out := string(write(t, format, sample()))
		for _, f := range sample().Findings {
			shown := format != "text" || f.ID != "HST-08" // which is not applicable
			if strings.Contains(out, f.ID) != shown {
				t.Errorf("%s: %s is there: %t, want %t", format, f.ID, !shown, shown)
			}
		}
	}
}

func TestUnknownFormat(t *testing.T) {
	if err := plainly(io.Discard, "pdf", fine()); err == nil || !strings.Contains(err.Error(), "no such format") {
		t.Errorf("error %v", err)
	}
}

func TestVerdict(t *testing.T) {
	for want, r := range map[string]model.Report{
		"2 critical and 1 high findings are open.":              {Summary: model.Summary{Failed: map[string]int{"critical": 2, "high": 1}}},
		"1 critical finding is open.":                           {Summary: model.Summary{Failed: map[string]int{"critical": 1, "low": 3}}},
		"Nothing critical; 1 high finding is open.":             {Summary: model.Summary{Failed: map[string]int{"high": 1}}},
		"Nothing critical or high; 3 lesser findings are open.": {Summary: model.Summary{Failed: map[string]int{"medium": 1, "low": 2}}},
		"No finding is open, but not everything could be seen.": {Summary: model.Summary{Count: map[model.Status]int{model.Unknown: 1, model.Pass: 9}}},
		"Nothing could be decided.":                             {Summary: model.Summary{Count: map[model.Status]int{model.NA: 1}}},
		"No finding is open.":                                   {Summary: model.Summary{Count: map[model.Status]int{model.Waived: 1}}},
	} {
		if got := verdict(r); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// schema is the published one, docs/report.schema.json.
func schema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	compiled, err := compiler.Compile("../../docs/report.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

func validate(s *jsonschema.Schema, text []byte) error {
	instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return err
	}
	return s.Validate(instance)
}

func TestJSON(t *testing.T) {
	published := schema(t)
	empty := model.Report{Version: Version, Tool: "rocca", Observed: observed, Summary: model.Summarise(nil), Picture: &model.Picture{}}
	for name, r := range map[string]model.Report{"report.json": sample(), "fine.json": fine(), "empty.json": empty} {
		text := write(t, "json", r)
		golden(t, name, text)
		if err := validate(published, text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		back, err := ReadJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		again, err := ReadJSON(bytes.NewReader(write(t, "json", back)))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(back, again); diff != "" {
			t.Errorf("%s: not the same after writing and reading:\n%s", name, diff)
		}
		if name != "report.json" { // bytes that are no text cannot come back
			if diff := cmp.Diff(r, back, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s: not what was written:\n%s", name, diff)
			}
		}
	}
}

// TestSchemaIsStrict keeps the schema honest: it refuses what is not a report.
func TestSchemaIsStrict(t *testing.T) {
	published := schema(t)
	for name, spoil := range map[string]func(r map[string]any){
		"another version":          func(r map[string]any) { r["version"] = 2 },
		"an unknown member":        func(r map[string]any) { r["colour"] = "red" },
		"no findings":              func(r map[string]any) { delete(r, "findings") },
		"a time without a zone":    func(r map[string]any) { r["observed"] = "2026-11-22 02:48" },
		"an index above 100":       func(r map[string]any) { r["summary"].(map[string]any)["index"] = 101 },
		"an unknown severity":      func(r map[string]any) { first(r)["severity"] = "worst" },
		"an unknown status":        func(r map[string]any) { first(r)["status"] = "ok" },
		"unknown without a reason": func(r map[string]any) { first(r)["status"] = "unknown" },
		"waived without a waiver":  func(r map[string]any) { first(r)["status"] = "waived" },
		"line 0":                   func(r map[string]any) { first(r)["evidence"].([]any)[0].(map[string]any)["line"] = 0 },
		"evidence of nothing":      func(r map[string]any) { delete(first(r)["evidence"].([]any)[0].(map[string]any), "subject") },
		"an empty map":             func(r map[string]any) { first(r)["maps"].([]any)[0].(map[string]any)["item"] = "" },
		"a column left of all": func(r map[string]any) {
			r["picture"].(map[string]any)["nodes"].([]any)[0].(map[string]any)["column"] = -1
		},
	} {
		var r map[string]any
		if err := json.Unmarshal(write(t, "json", sample()), &r); err != nil {
			t.Fatal(err)
		}
		spoil(r)
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if validate(published, text) == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func first(r map[string]any) map[string]any { return r["findings"].([]any)[0].(map[string]any) }

func TestReadJSON(t *testing.T) {
	for text, want := range map[string]string{
		"":                           "read an earlier report: EOF",
		`{"version": 9}`:             "it is of version 9",
		`{"version": 1, "findings":`: "unexpected EOF",
		`{"version": 1, "findings": [{"severity": "worst"}]}`: "unknown severity",
	} {
		if _, err := ReadJSON(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", text, err, want)
		}
	}
}

func FuzzReadJSON(f *testing.F) {
	var out bytes.Buffer
	if err := JSON(&out, sample()); err != nil {
		f.Fatal(err)
	}
	f.Add(out.Bytes())
	f.Add([]byte(`{"version":1,"findings":[{"id":"` + strings.Repeat("a long id ", 40) + `","status":"unknown","severity":"low"}]}`))
	f.Add([]byte(`{"version":1,"findings":[{"id":"","status":"","severity":"low","maps":[{}]}],"picture":{"nodes":[{"column":-9},{"id":"a","column":9999999999}],"links":[{"from":"","to":"a"},{"from":"a","to":""}]}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := ReadJSON(bytes.NewReader(text))
		if err != nil {
			return
		}
		for _, format := range Formats {
			if err := plainly(io.Discard, format, r); err != nil {
				t.Errorf("%s: %v", format, err)
			}
		}
	})
}

// The schema of SARIF is that of OASIS, which the library carries.
func TestSARIF(t *testing.T) {
	for name, r := range map[string]model.Report{"report.sarif": sample(), "fine.sarif": fine()} {
		text := write(t, "sarif", r)
		golden(t, name, text)
		log, err := sarif.FromBytes(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := log.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSARIFResults(t *testing.T) {
	log, err := sarif.FromBytes(write(t, "sarif", sample()))
	if err != nil {
		t.Fatal(err)
	}
	driver := log.Runs[0].Tool.Driver
	if *driver.Name != "rocca" || *driver.Version != "1.2.3" || driver.InformationURI != nil {
		t.Errorf("driver %v", driver)
	}
	prints := map[string]string{}
	for _, result := range log.Runs[0].Results {
		id := *result.RuleID
		prints[id] = result.PartialFingerprints["rocca/v1"]
		switch id {
		case "APP-20":
			if result.Kind != "open" || result.Level != "none" {
				t.Errorf("%s could not be seen: kind %s, level %s", id, result.Kind, result.Level)
			}
		case "PRV-03":
			if len(result.Suppressions) != 1 {
				t.Errorf("%s is waived: %d suppressions", id, len(result.Suppressions))
			}
		case "FS-02", "HST-08":
			t.Errorf("%s is a result, and nothing is wrong with it", id)
		}
	}
	if len(prints) != 6 || len(driver.Rules) != len(sample().Findings) {
		t.Errorf("%d results, %d rules", len(prints), len(driver.Rules))
	}

	other := sample() // the same findings, seen another day
	other.Observed = other.Observed.AddDate(0, 1, 0)
	other.Findings[3].Evidence = other.Findings[3].Evidence[:1]
	elsewhere := sample()
	elsewhere.Server = "other.example.org"
	var all []string
	for _, r := range []model.Report{other, elsewhere} {
		log, err := sarif.FromBytes(write(t, "sarif", r))
		if err != nil {
			t.Fatal(err)
		}
		for _, result := range log.Runs[0].Results {
			same := result.PartialFingerprints["rocca/v1"] == prints[*result.RuleID]
			if same != (r.Server == "stats.example.org") {
				t.Errorf("%s on %s: the same fingerprint: %t", *result.RuleID, r.Server, same)
			}
			all = append(all, result.PartialFingerprints["rocca/v1"])
		}
	}
	slices.Sort(all)
	if slices.Contains(all, "") || len(slices.Compact(all)) != 12 {
		t.Errorf("fingerprints are missing or the same: %v", all)
	}
}

func TestJUnit(t *testing.T) {
	text := write(t, "junit", sample())
	golden(t, "report.junit.xml", text)
	for i, r := range string(text) {
		if r < ' ' && r != '\n' || r == 0xfffe || r == utf8.RuneError {
			t.Errorf("byte %d: %U cannot stand in XML", i, r)
		}
	}
	var suites junitSuites
	if err := xml.Unmarshal(text, &suites); err != nil {
		t.Fatal(err)
	}
	var tests, failures, unseen, skipped int
	for _, s := range suites.Suites {
		tests, failures, unseen, skipped = tests+s.Tests, failures+s.Failures, unseen+s.Errors, skipped+s.Skipped
		if s.Tests != len(s.Cases) {
			t.Errorf("%s: %d tests, counted as %d", s.Name, len(s.Cases), s.Tests)
		}
	}
	if tests != 8 || failures != 4 || unseen != 1 || skipped != 2 {
		t.Errorf("%d tests, %d failures, %d errors, %d skipped", tests, failures, unseen, skipped)
	}
}
