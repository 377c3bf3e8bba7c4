package reach

import (
	"encoding/json"
	"io"
	"slices"
	"strings"
	"testing"

	"rocca/internal/model"
	"rocca/internal/picture"

	"github.com/google/go-cmp/cmp"
)

func render(t *testing.T, write func(io.Writer) error) string {
	t.Helper()
	var out strings.Builder
	if err := write(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestText(t *testing.T) {
	p, _, err := New(own()).Find("www-data", "become matomo")
	if err != nil {
		t.Fatal(err)
	}
	want := `user www-data: becomes user matomo (as intended)
  -> connects to socket /run/matomo/ui.sock   group www-data may connect to it (0660)
  -> becomes user matomo                      the pool ui runs what FastCGI asks for, with the settings it asks for
`
	if diff := cmp.Diff(want, render(t, func(w io.Writer) error { return WriteText(w, []Path{p}) })); diff != "" {
		t.Error(diff)
	}
	if got := render(t, func(w io.Writer) error { return WriteText(w, nil) }); got != "nothing\n" {
		t.Errorf("no paths: %q", got)
	}
}

func TestJSON(t *testing.T) {
	p := Path{From: Node{User, "a"}, To: Node{File, "/b"}, Hops: []Hop{{From: Node{User, "a"}, To: Node{File, "/b"}, Action: Read, Why: "everybody may read it (0644)"}}}
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"from":{"kind":"user","name":"a"},"to":{"kind":"file","name":"/b"},"hops":[{"from":{"kind":"user","name":"a"},"to":{"kind":"file","name":"/b"},"action":"read","why":"everybody may read it (0644)"}]}`
	if string(text) != want {
		t.Errorf("got %s", text)
	}
}

// Names of files are others' choice: none may steer a terminal or get out of
// its quotes.
func TestHostileNames(t *testing.T) {
	evil := Node{File, "/x\x1b[2J\"></text><script>\n-> \u202e"}
	p := Path{From: Node{User, "a"}, To: evil, Hops: []Hop{{From: Node{User, "a"}, To: evil, Action: Write, Why: "owns \x1b]0;it"}}}
	outputs := map[string]string{
		"line": p.String(),
		"text": render(t, func(w io.Writer) error { return WriteText(w, []Path{p}) }),
		"dot":  render(t, func(w io.Writer) error { return WriteDOT(w, []Path{p}) }),
		"svg":  render(t, func(w io.Writer) error { return picture.Write(w, Drawing([]Path{p})) }),
	}
	for name, text := range outputs {
		if strings.ContainsAny(text, "\x1b\u202e") || name == "svg" && strings.Contains(text, "<script") || name == "dot" && strings.Contains(text, `J"`) {
			t.Errorf("%s: %q", name, text)
		}
	}
	if strings.Count(outputs["text"], "\n") != 2 || strings.Contains(outputs["line"], "\n") {
		t.Errorf("more lines than hops: %q", outputs["text"])
	}
}

func TestDOT(t *testing.T) {
	p, _, _ := New(own()).Find("www-data", "become matomo")
	want := `digraph reach {
	rankdir=LR
	node [shape=box, fontname="sans-serif"]
	edge [fontname="sans-serif"]
	"user www-data" -> "socket /run/matomo/ui.sock" [label="connect", color=black]
	"socket /run/matomo/ui.sock" -> "user matomo" [label="become", color=black]
}
`
	if diff := cmp.Diff(want, render(t, func(w io.Writer) error { return WriteDOT(w, []Path{p, p}) })); diff != "" {
		t.Error(diff)
	}
}

func bad(p model.Picture) []string {
	var links []string
	for _, l := range p.Links {
		if l.Bad {
			links = append(links, l.From+" "+l.Label+" "+l.To)
		}
	}
	return links
}

func TestPictures(t *testing.T) {
	const config, tmp = "config:" + s2code + "/config/config.ini.php", "tmp:" + s2code + "/tmp"
	p := New(s2()).Picture()
	want := []string{
		"user:apache-app2 reads " + config,
		"user:apache-app2 connects pool:fpm:matomo",
		"user:apache-app2 shared OPcache " + tmp,
		"user:apache-matomo writes code",
		"others reads " + config,
		"others connects pool:fpm:matomo",
		"others connects pool:fpm:app2",
		"user:www-data reads " + config,
	}
	got := bad(p)
	for _, line := range want {
		if !slices.Contains(got, line) {
			t.Errorf("no red link %q in\n%s", line, strings.Join(got, "\n"))
		}
	}
	if links := bad(New(own()).Picture()); len(links) > 0 {
		t.Errorf("own: red links %v", links)
	}
	for name, g := range map[string]*Graph{"own": New(own()), "s1": New(s1()), "s2": New(s2()), "stock": New(stock())} {
		p := g.Picture()
		known := map[string]bool{}
		for _, n := range p.Nodes {
			if known[n.ID] || n.Label == "" {
				t.Errorf("%s: node %+v again, or without a label", name, n)
			}
			known[n.ID] = true
		}
		for _, l := range p.Links {
			if !known[l.From] || !known[l.To] {
				t.Errorf("%s: link %+v leads nowhere", name, l)
			}
		}
		again, _ := json.Marshal(g.Picture())
		once, _ := json.Marshal(p)
		if string(once) != string(again) {
			t.Errorf("%s: two pictures of one server differ", name)
		}
	}
}
