package picture

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"rocca/internal/model"
)

// server is a picture with ways to the right, to the left, over columns and
// within one.
var server = model.Picture{
	Nodes: []model.Node{
		{ID: "internet", Kind: "internet", Label: "Internet"},
		{ID: "front", Kind: "front", Column: 1, Label: "apache2", Note: "user www-data"},
		{ID: "app2", Kind: "pool", Column: 2, Label: "PHP: app2", Note: "127.0.0.1:9001"},
		{ID: "matomo", Kind: "pool", Column: 2, Label: "PHP: matomo", Note: "127.0.0.1:9000"},
		{ID: "user app2", Kind: "user", Column: 3, Label: "apache-app2", Bad: true},
		{ID: "user matomo", Kind: "user", Column: 3, Label: "apache-matomo"},
		{ID: "config", Kind: "data", Column: 4, Label: "configuration", Note: "/var/www/matomo/www-matomo.5.3.0/config/config.ini.php"},
		{ID: "schema", Kind: "database", Column: 4, Label: "database matomo"},
	},
	Links: []model.Link{
		{From: "internet", To: "front", Label: "80"},
		{From: "front", To: "app2"},
		{From: "front", To: "matomo"},
		{From: "app2", To: "user app2", Label: "runs as"},
		{From: "matomo", To: "user matomo", Label: "runs as"},
		{From: "user matomo", To: "config", Label: "reads"},
		{From: "user matomo", To: "schema", Label: "alters"},
		{From: "user app2", To: "matomo", Label: "connects", Bad: true},
		{From: "user app2", To: "user matomo", Label: "becomes", Bad: true},
		{From: "user app2", To: "config", Label: "reads", Bad: true},
		{From: "internet", To: "config", Label: "downloads", Bad: true},
		{From: "schema", To: "front", Label: "writes", Bad: true},
	},
}

const hostile = "/x\x1b[2J\"></text><script>alert(1)</script>\u202e\x00\xff"

// elements parses a drawing; it fails when it is not well-formed.
func elements(t *testing.T, svg string) []xml.StartElement {
	t.Helper()
	var all []xml.StartElement
	decoder := xml.NewDecoder(strings.NewReader(svg))
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, svg)
		}
		if element, is := token.(xml.StartElement); is {
			all = append(all, element.Copy())
		}
	}
}

func attribute(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

func TestEverythingIsDrawn(t *testing.T) {
	svg := Inline(server)
	count := map[string]int{}
	for _, e := range elements(t, svg) {
		count[attribute(e, "class")]++
	}
	bad := 5
	for class, want := range map[string]int{
		"box": len(server.Nodes) - 1, "box bad": 1, "mark": 1, "icon": len(server.Nodes),
		"tip": len(server.Links) - bad, "tip bad": bad, "label": len(server.Links) - bad - 2, "label bad": bad,
	} {
		if count[class] != want {
			t.Errorf("%d of class %q, want %d", count[class], class, want)
		}
	}
	if !strings.Contains(svg, "Not intended: apache-app2 connects PHP: matomo; apache-app2 becomes apache-matomo;") {
		t.Error("the description does not tell what is red")
	}
}

// An HTML page with a strict policy takes it: nothing is loaded, and no style or
// script stands in an attribute.
func TestDrawingStandsInAPage(t *testing.T) {
	for _, e := range elements(t, Inline(server)) {
		for _, a := range e.Attr {
			if name := a.Name.Local; name == "style" || name == "href" || name == "src" || name == "id" || strings.HasPrefix(name, "on") || strings.Contains(a.Value, "url(") {
				t.Errorf("%s has %s=%q", e.Name.Local, name, a.Value)
			}
		}
		if e.Name.Local == "style" {
			t.Error("the style is the page's")
		}
	}
	var document strings.Builder
	if err := Write(&document, server); err != nil {
		t.Fatal(err)
	}
	if strings.Count(document.String(), "<style>") != 1 || strings.Contains(document.String(), "@import") {
		t.Error("a document has one style of its own")
	}
}

func TestHostileNames(t *testing.T) {
	p := model.Picture{Nodes: []model.Node{{ID: hostile, Kind: hostile, Label: hostile, Note: hostile}, {ID: "b", Column: 1}}, Links: []model.Link{{From: hostile, To: "b", Label: hostile, Bad: true}}}
	svg := Inline(p)
	elements(t, svg)
	if strings.Contains(svg, "<script") || strings.ContainsAny(svg, "\x1b\x00\u202e") {
		t.Errorf("hostile text got through: %q", svg)
	}
}

// Boxes do not cover each other, nothing is outside, and each end of a link has
// a height of its own.
func TestNothingOverlaps(t *testing.T) {
	l := arrange(server)
	var all []*place
	for _, column := range l.columns {
		all = append(all, column...)
	}
	for i, a := range all {
		if a.x < 0 || a.y < 0 || a.x+a.width > l.width || a.y+a.height > l.height {
			t.Errorf("outside of %dx%d: %+v", l.width, l.height, a)
		}
		for _, b := range all[i+1:] {
			if a.x < b.x+b.width && b.x < a.x+a.width && a.y < b.y+b.height && b.y < a.y+a.height {
				t.Errorf("overlap: %+v and %+v", a, b)
			}
		}
		for at, lanes := range a.lanes {
			var heights []int
			for _, s := range lanes {
				y := a.lane(at, s)
				if y < a.y || y > a.y+a.height || slices.Contains(heights, y) {
					t.Errorf("a link of %+v ends at %d", a.node, y)
				}
				heights = append(heights, y)
			}
		}
	}
}

// A way over columns passes between their boxes, one step for each.
func TestLongWays(t *testing.T) {
	l := arrange(server)
	steps := map[string]int{}
	for _, s := range l.steps {
		steps[s.link.From+" "+s.link.To]++
		if s.first != (s.from.node != nil) || s.last != (s.to.node != nil) {
			t.Errorf("a step of %v begins or ends between boxes", s.link)
		}
	}
	for way, want := range map[string]int{"internet config": 4, "schema front": 3, "user app2 user matomo": 1, "user app2 matomo": 1} {
		if steps[way] != want {
			t.Errorf("%s has %d steps, want %d", way, steps[way], want)
		}
	}
}

// Rows are sorted so that what can be straight is.
func TestLinksDoNotCrossWithoutNeed(t *testing.T) {
	var p model.Picture
	for i := range 6 {
		p.Nodes = append(p.Nodes, model.Node{ID: fmt.Sprint("a", i), Label: "a"}, model.Node{ID: fmt.Sprint("b", 5-i), Column: 1, Label: "b"})
		p.Links = append(p.Links, model.Link{From: fmt.Sprint("a", i), To: fmt.Sprint("b", i)})
	}
	for _, s := range arrange(p).steps {
		if s.from.middle() != s.to.middle() {
			t.Errorf("%s is at %d, and %s at %d", s.link.From, s.from.middle(), s.link.To, s.to.middle())
		}
	}
}

func TestOddPictures(t *testing.T) {
	for name, p := range map[string]model.Picture{
		"empty":               {},
		"a link to nowhere":   {Nodes: []model.Node{{ID: "a"}}, Links: []model.Link{{From: "a", To: "b"}, {From: "c", To: "a"}, {From: "a", To: "a"}}},
		"odd columns":         {Nodes: []model.Node{{ID: "a", Column: -7}, {ID: "b", Column: 1 << 40}}, Links: []model.Link{{From: "b", To: "a", Label: "x"}}},
		"the same node twice": {Nodes: []model.Node{{ID: "a"}, {ID: "a", Column: 1}}},
	} {
		svg := Inline(p)
		for _, e := range elements(t, svg) {
			if strings.Contains(attribute(e, "viewBox"), "-") {
				t.Errorf("%s: %s", name, attribute(e, "viewBox"))
			}
		}
	}
}

func TestSentences(t *testing.T) {
	all := Sentences(server)
	if len(all) != len(server.Links) || all[0] != (Sentence{"apache-app2", "connects", "PHP: matomo", true}) || all[5] != (Sentence{"Internet", "80", "apache2", false}) {
		t.Errorf("sentences %+v", all)
	}
	if got := inWords(model.Picture{}); got != "Nobody reaches what they should not." {
		t.Errorf("an empty picture in words: %q", got)
	}
}

func TestShort(t *testing.T) {
	for text, want := range map[string]string{"short": "short", "exactly ten": "exa…ly ten", "ünïcödé text": "ünï…é text"} {
		if got := short(text, 10); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
