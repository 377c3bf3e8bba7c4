package report

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"html"
	"regexp"
	"slices"
	"strings"
	"testing"

	"rocca/internal/model"
)

// block is what stands between the tags of an element that is there once.
func block(t *testing.T, page []byte, element string) []byte {
	t.Helper()
	_, rest, found := bytes.Cut(page, []byte("<"+element+">"))
	inner, _, closed := bytes.Cut(rest, []byte("</"+element+">"))
	if !found || !closed || bytes.Contains(rest, []byte("<"+element+">")) {
		t.Fatalf("the page has not one %s", element)
	}
	return inner
}

func TestPolicyNamesItsOwnBlocksOnly(t *testing.T) {
	page := write(t, "html", sample())
	match := regexp.MustCompile(`http-equiv="Content-Security-Policy" content="([^"]*)"`).FindSubmatch(page)
	if match == nil {
		t.Fatal("no policy")
	}
	hash := func(element string) string {
		sum := sha256.Sum256(block(t, page, element))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	want := "default-src 'none'; style-src " + hash("style") + "; script-src " + hash("script") + "; img-src data:; base-uri 'none'; form-action 'none'"
	if got := html.UnescapeString(string(match[1])); got != want {
		t.Errorf("policy %s\nwant   %s", got, want)
	}
}

// TestPageAsksForNothing looks for what a browser would fetch or run, but what
// the policy lets it.
func TestPageAsksForNothing(t *testing.T) {
	page := string(write(t, "html", sample()))
	page = strings.Replace(page, string(block(t, []byte(page), "script")), "", 1)
	for name, pattern := range map[string]string{
		"an address elsewhere":  `(?:href|src|action|srcset|poster)="?(?:https?:|//)`,
		"a link out of it":      `href="[^#d]`,
		"a handler":             `<[a-z][^>]*\son[a-z]+=`,
		"a style of an element": `<[a-z][^>]*\sstyle=`,
		"something embedded":    `<(?:img|iframe|object|embed|base|audio|video|template)\b`,
		"an import":             `@import|url\(`,
	} {
		if found := regexp.MustCompile(pattern).FindString(page); found != "" {
			t.Errorf("%s: %s", name, found)
		}
	}
	if !strings.Contains(page, `<bdi>stats.example.org</bdi>`) || strings.Count(page, "<script") != 1 {
		t.Error("the page is not what it should be")
	}
}

// TestHostileTextStaysText puts hostile text into every text of a report.
func TestHostileTextStaysText(t *testing.T) {
	r := sample()
	r.Tool, r.Server, r.Subject = hostile, hostile, hostile
	for i := range r.Findings {
		f := &r.Findings[i]
		f.Title, f.Why, f.Reason, f.Fix, f.ProvenBy = hostile, hostile, hostile, hostile, hostile
		f.Waiver = &model.Waiver{Reason: hostile, Owner: hostile, Until: until}
		f.Maps = []model.Ref{{Scheme: hostile, Item: hostile}}
		f.Evidence = []model.Evidence{{Subject: hostile, Have: hostile + " -> " + hostile, Want: hostile}}
	}
	r.Findings = append(r.Findings, model.Finding{ID: hostile, Area: hostile, Status: hostile, Severity: model.High, Title: "a hostile id"})
	page := string(write(t, "html", r))
	for _, bad := range []string{"<script>alert", "<img", "\x1b", "\u202e", "\x00", "\ufffe"} {
		if strings.Contains(page, bad) {
			at := strings.Index(page, bad)
			t.Errorf("holds %q: ...%q", bad, page[max(0, at-80):at+40])
		}
	}
	if count := strings.Count(page, "&lt;script&gt;alert(1)&lt;/"); count < 12*len(sample().Findings) {
		t.Errorf("hostile text is shown %d times only", count)
	}
}

func TestPageIsWholeWithoutScripts(t *testing.T) {
	page := string(write(t, "html", sample()))
	body := strings.Replace(page, string(block(t, []byte(page), "script")), "", 1)
	for _, f := range sample().Findings {
		for _, text := range []string{`id="` + f.ID + `"`, html.EscapeString(f.Title), html.EscapeString(f.Why)} {
			if !strings.Contains(body, text) {
				t.Errorf("%s: %q is not on the page", f.ID, text)
			}
		}
		for _, ref := range f.Maps {
			if !strings.Contains(body, `id="`+anchor(ref.Scheme)+`"`) {
				t.Errorf("%s: no table of %s", f.ID, ref.Scheme)
			}
		}
	}
	if hidden := regexp.MustCompile(`<(\w+)[^>]*\shidden[ >]`).FindAllStringSubmatch(body, -1); len(hidden) != 2 || hidden[0][1] != "form" {
		t.Errorf("hidden without a script: %q, want the filters and their message only", hidden)
	}
}

// TestIndexRule holds the words of the page against what the model computes.
func TestIndexRule(t *testing.T) {
	with := func(bad model.Severity) int {
		findings := []model.Finding{{Status: model.Fail, Severity: bad}}
		for range 1000 {
			findings = append(findings, model.Finding{Status: model.Pass, Severity: model.Critical})
		}
		return model.Index(findings)
	}
	if with(model.Critical) != 49 || with(model.High) != 79 || with(model.Medium) != 99 {
		t.Errorf("caps %d and %d are not those of %q", with(model.Critical), with(model.High), indexRule)
	}
	weight := func(s model.Severity) int { // against 10 of a critical one
		return model.Index([]model.Finding{{Status: model.Waived, Severity: s}, {Status: model.Fail, Severity: model.Medium}})
	}
	if weight(model.Critical) != 83 || weight(model.High) != 71 || weight(model.Medium) != 50 || weight(model.Low) != 33 {
		t.Errorf("weights are not those of %q", indexRule)
	}
}

func TestSchemes(t *testing.T) {
	var got []string
	for _, s := range schemes(sample().Findings) {
		for _, p := range s.Items {
			line := s.Name + " " + p.Item + " " + string(p.State)
			for _, f := range p.Findings {
				line += " " + f.ID
			}
			got = append(got, line)
		}
	}
	want := []string{
		"GDPR Art. 4(5) waived PRV-03", "GDPR Art. 5(1)(c) fail ISO-03", "GDPR Art. 25 unknown APP-20", "GDPR Art. 32 fail FS-04 ISO-03",
		"CIS Debian 12 2.1.22 fail HST-05", "ASVS 5.0 13.3.2 fail FS-04 FS-02", "S1 1 fail FS-04", "S1 2 fail HST-05", "S1 44 unknown APP-20",
		"S2 16 fail FS-04", "S2 17 fail ISO-03", "S2 25 pass FS-02", "RFC 9116 fail NEW-01", "A new one 1 fail NEW-01",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestNatural(t *testing.T) {
	want := []string{"", "1.2", "1.2.1", "1.10", "2", "10", "Art. 5(1)(c)", "Art. 25", "Art. 32", "Art. 32(1)(b)", "x99999999999999999999", "x99999999999999999999x"}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, natural)
	if !slices.Equal(got, want) {
		t.Errorf("sorted %q", got)
	}
}
