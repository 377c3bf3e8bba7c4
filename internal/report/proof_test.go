package report

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"rocca/internal/model"
)

// sampleProof has an attack of each outcome.
func sampleProof() model.Proof {
	return model.Proof{
		Version: ProofVersion, Tool: "rocca 1.2.3", Server: "stats.example.org", Subject: "Matomo 5.3.0 in /var/www/matomo/www, nginx 1.22.1, debian 12", Observed: observed, Seconds: 41.2,
		Attacks: []model.Attacked{
			{
				ID: "A01", Title: "another local user speaks FastCGI to a pool of Matomo", Result: model.Held, Twin: model.Fell, Controls: []string{"ISO-03", "FS-17"}, Tries: 14, Seconds: 0.1,
				Evidence: []model.Try{{Who: "user nobody", What: "speak FastCGI", Where: "/run/matomo/ui.sock", Sent: "auto_prepend_file=php://input", Answer: "connect: permission denied"}},
				Twins:    []model.Twin{{Without: "socket-mode", Title: "only the front may connect to the sockets", Result: model.Fell, Answer: "ran as uid 998"}},
			},
			{
				ID: "A05", Title: "another user plants PHP where Matomo includes its cache from", Result: model.Fell, Twin: model.NoTwin, Controls: []string{"APP-18", "FS-06"}, Tries: 4, Seconds: 0.2,
				Evidence: []model.Try{
					{Who: "user nobody", What: "write", Where: hostile, Answer: hostile, Fell: true, Note: hostile, Reproduce: "runuser -u nobody -- sh -c 'touch /var/www/html/tmp/rocca-prove-x && rm /var/www/html/tmp/rocca-prove-x' # a line that is longer than any terminal is wide, and must stay whole"},
					{Who: "user www-data", What: "write", Where: "/var/www/html/tmp", Answer: "done", Fell: true, Reproduce: "true"},
					{Who: "user mysql", What: "write", Where: "/var/www/html/tmp", Answer: "done", Fell: true, Reproduce: "true"},
					{Who: "user app2", What: "write", Where: "/var/www/html/tmp", Answer: "done", Fell: true, Reproduce: "true"},
				},
				Reproduce: "runuser -u nobody -- touch /var/www/html/tmp/rocca-prove-x",
			},
			{ID: "A09", Title: "the installer is opened", Result: model.NotProven, Twin: model.Held, Reason: `it does not succeed on a twin either that lacks "enable-installer", where it should: 404`, Controls: []string{"APP-02"}, Tries: 1,
				Evidence: []model.Try{{Who: "visitor", What: "GET", Where: "/index.php?module=Installation", Answer: "404"}}, Twins: []model.Twin{{Without: "enable-installer", Title: "the installer is closed", Result: model.Held, Answer: "404"}}},
			{ID: "A30", Title: "a pool asks the cloud's metadata service for credentials", Result: model.NotApplicable, Twin: model.NoTwin, Reason: "this server is not in AWS", Controls: []string{"AWS-13"}, Evidence: []model.Try{}},
		},
	}
}

func writeProof(t *testing.T, format string, p model.Proof, style Style) []byte {
	t.Helper()
	to, err := ProofIn(format, style)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := to(&out, p); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestProofGolden(t *testing.T) {
	for name, got := range map[string][]byte{
		"proof.txt":        writeProof(t, "text", sampleProof(), Plain),
		"proof-narrow.txt": writeProof(t, "text", sampleProof(), Style{Width: 60, Colour: true}),
		"proof.json":       writeProof(t, "json", sampleProof(), Plain),
	} {
		file := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(file, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestReproductionStaysOneLine: a person takes it as it is.
func TestReproductionStaysOneLine(t *testing.T) {
	p := sampleProof()
	text := string(writeProof(t, "text", p, Style{Width: 60}))
	if !strings.Contains(text, "\n"+p.Attacks[1].Evidence[0].Reproduce+"\n") {
		t.Errorf("the line to paste is broken or indented:\n%s", text)
	}
}

func TestProofFollowsItsSchema(t *testing.T) {
	compiled, err := jsonschema.NewCompiler().Compile("../../docs/proof.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := validate(compiled, writeProof(t, "json", sampleProof(), Plain)); err != nil {
		t.Error(err)
	}
	for name, spoil := range map[string]func(*model.Attacked){
		"held without a twin that fell": func(a *model.Attacked) { a.Twin = model.NoTwin },
		"an outcome that is none":       func(a *model.Attacked) { a.Result = "pass" },
		"not proven without a reason":   func(a *model.Attacked) { a.Result = model.NotProven },
		"fell without a reproduction":   func(a *model.Attacked) { a.Result = model.Fell },
	} {
		p := sampleProof()
		spoil(&p.Attacks[0])
		if err := validate(compiled, writeProof(t, "json", p, Plain)); err == nil {
			t.Errorf("the schema takes %s", name)
		}
	}
	back, err := ReadProof(bytes.NewReader(writeProof(t, "json", sampleProof(), Plain)))
	if err != nil || len(back.Attacks) != 4 || back.Attacks[1].Result != model.Fell {
		t.Errorf("read back: %+v, %v", back, err)
	}
	for _, bad := range []string{"", "{}", `{"version":2}`, "[]"} {
		if _, err := ReadProof(strings.NewReader(bad)); err == nil {
			t.Errorf("%q was taken for an outcome", bad)
		}
	}
}

func TestProofPage(t *testing.T) {
	p := sampleProof()
	p.Tool, p.Server, p.Subject = hostile, hostile, hostile
	for i := range p.Attacks {
		p.Attacks[i].Title, p.Attacks[i].Reason, p.Attacks[i].Reproduce = hostile, hostile, hostile
	}
	page := string(writeProof(t, "html", p, Plain))
	for _, bad := range []string{"<script", "<img", "\x1b", "\u202e", "\x00", "\ufffe"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page holds %q", bad)
		}
	}
	for _, want := range []string{`id="A01"`, `id="A05" open`, "socket-mode", "default-src &#39;none&#39;"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if found := regexp.MustCompile(`(?:href|src|action)="?(?:https?:|//)|<[a-z][^>]*\son[a-z]+=|<[a-z][^>]*\sstyle=`).FindString(string(writeProof(t, "html", sampleProof(), Plain))); found != "" {
		t.Errorf("the page asks for something: %s", found)
	}
}

// TestProofPageInABrowser looks at it at the width of a desk and of a phone.
func TestProofPageInABrowser(t *testing.T) {
	browser := start(t)
	file := filepath.Join(t.TempDir(), "attacks.html")
	if err := os.WriteFile(file, writeProof(t, "html", sampleProof(), Plain), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, width := range []int64{1280, 360} {
		page := open(browser, t, file, "", width, 900, "light")
		if wide := eval[float64](page, "document.documentElement.scrollWidth"); int64(wide) > width {
			t.Errorf("at %d the page is %v wide", width, wide)
		}
		if narrow := eval[float64](page, `[...document.querySelectorAll(".attack .id")].filter((e) => e.scrollWidth > e.clientWidth).length`); narrow != 0 {
			t.Errorf("at %d the ids of %v attacks lie over their titles", width, narrow)
		}
		if levels := eval[string](page, `[...document.querySelectorAll("h1, h2, h3, h4")].map((h) => h.tagName[1]).join("")`); strings.Contains(levels, "13") || strings.Contains(levels, "24") {
			t.Errorf("headings leave a level out: %s", levels)
		}
		if shown := eval[float64](page, `[...document.querySelectorAll("pre")].filter((e) => e.checkVisibility()).length`); shown != 1 {
			t.Errorf("%v reproductions are shown at first, want that of the attack that fell", shown)
		}
	}
}

// TestFindingsAreMarkedByAttacks: what an attack showed is beside its control.
func TestFindingsAreMarkedByAttacks(t *testing.T) {
	r := sample()
	for i := range r.Findings {
		result := model.Held
		if r.Findings[i].Status == model.Fail {
			result = model.Fell
		}
		r.Findings[i].Proven = []model.Proven{{Attack: "A06", Result: result, At: observed}}
	}
	var out bytes.Buffer
	if err := Text(&out, r, Style{All: true}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"attack A06 succeeded on 2026-11-22", "(proven: attack A06", "proven     1 of those that pass"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the text lacks %q", want)
		}
	}
	page := string(write(t, "html", r))
	for _, want := range []string{`<span class="outcome held">proven</span>`, `<span class="outcome fell">FELL</span>`} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if err := validate(schema(t), write(t, "json", r)); err != nil {
		t.Error(err)
	}
}
