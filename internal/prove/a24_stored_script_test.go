package prove

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestRunsScript(t *testing.T) {
	const name = "rocca-prove-abc"
	raw, escaped := scriptOf(name), `&quot;&#039;&gt;&lt;script xmlns=&quot;http://www.w3.org/1999/xhtml&quot;&gt;self[&quot;`+name+`&quot;]=1`
	sniffed := http.Header{}
	nosniff := http.Header{"X-Content-Type-Options": {"nosniff"}}
	of := func(kind string) http.Header { return http.Header{"Content-Type": {kind}} }
	attached := of("text/html")
	attached.Set("Content-Disposition", `attachment; filename="x"`)
	for _, test := range []struct {
		name   string
		header http.Header
		body   string
		runs   bool
	}{
		{"raw in a page", of("text/html; charset=utf-8"), "<li>" + raw + "</li>", true},
		{"only the short one", of("text/html"), "<li>" + tagOf(name) + "</li>", true},
		{"escaped", of("text/html; charset=utf-8"), "<li>" + escaped + "</li>", false},
		{"not there", of("text/html"), "<li></li>", false},
		{"of somebody else", of("text/html"), scriptOf("rocca-prove-other"), false},
		{"raw in XML", of("text/xml; charset=utf-8"), "<row>" + raw + "</row>", true},
		{"raw in XML, but no element of HTML", of("text/xml"), "<row>" + tagOf(name) + "</row>", false},
		{"raw in a feed", of("application/rss+xml"), raw, true},
		{"in JSON", of("application/json; charset=utf-8"), raw, false},
		{"in plain text", of("text/plain; charset=utf-8"), raw, false},
		{"no type", sniffed, raw, true},
		{"no type, nosniff", nosniff, raw, false},
		{"kept as a file", attached, raw, false},
		{"link", of("text/html"), `<a class="x" href="javascript:self['` + name + `']=1">`, true},
		{"link, as entities", of("text/html"), `<a HREF = 'java&#9;script&#x3A;self[&quot;` + name + `&quot;]'>`, true},
		{"link that is text", of("text/html"), `javascript:self['` + name + `']`, false},
		{"other link", of("text/html"), `<a href="https://` + name + `.example/javascript:">`, false},
	} {
		if what, runs := runsScript(test.header, []byte(test.body), name); runs != test.runs {
			t.Errorf("%s: %v, %q", test.name, runs, what)
		}
	}
}

// TestHitsAreFoundAndForgotten: each text that may become an action has the
// site's name in it, by which it is deleted.
func TestHitsAreFoundAndForgotten(t *testing.T) {
	const name = "rocca-prove-abc"
	numbers := []string{"idgoal", "revenue", "_id"}
	for _, hit := range hitsOf(name+".example", scriptOf(name)) {
		for parameter, values := range hit {
			texts := values
			if parameter == "ec_items" {
				var items [][]any
				if err := json.Unmarshal([]byte(values[0]), &items); err != nil || len(items) != 1 {
					t.Fatalf("items are %q: %v", values[0], err)
				}
				texts = nil
				for _, text := range items[0][:3] {
					texts = append(texts, text.(string))
				}
			}
			for _, text := range texts {
				if !strings.Contains(text, name) && !slices.Contains(numbers, parameter) {
					t.Errorf("%s is %q", parameter, text)
				}
			}
		}
	}
}
