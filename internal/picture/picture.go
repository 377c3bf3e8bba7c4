// Package picture draws a picture of a server, or of ways through it, as SVG.
package picture

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"rocca/internal/model"
)

// Stylesheet is what a drawing looks like, in light and in dark. Links that
// should not be possible are red, thick and dashed, and boxes that are part of
// one carry a mark: the colour is not all that tells.
const Stylesheet = `
.picture { --paper: #ffffff; --ink: #1c2024; --soft: #596068; --box: #f6f7f8; --line: #8a929a; --bad: #b4231c; --bad-box: #fdf3f2; font: 13px/1.2 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
@media (prefers-color-scheme: dark) { .picture { --paper: #15181b; --ink: #e8e9ea; --soft: #a2a9b0; --box: #1e2226; --line: #7b848d; --bad: #ff8a80; --bad-box: #2c1b1b; } }
@media print { .picture { --paper: #ffffff; --ink: #1c2024; --soft: #596068; --box: #f6f7f8; --line: #8a929a; --bad: #b4231c; --bad-box: #fdf3f2; } }
.picture .paper { fill: var(--paper); }
.picture .box { fill: var(--box); stroke: var(--line); }
.picture .box.bad { fill: var(--bad-box); stroke: var(--bad); stroke-width: 2; }
.picture .icon { fill: none; stroke: var(--soft); stroke-width: 1.3; stroke-linecap: round; stroke-linejoin: round; }
.picture text { fill: var(--ink); }
.picture .name { font-weight: 600; }
.picture .note { fill: var(--soft); font-size: 11px; }
.picture .mark { fill: var(--bad); }
.picture .sign { fill: var(--paper); font-size: 11px; font-weight: 700; text-anchor: middle; }
.picture .link { fill: none; stroke: var(--line); stroke-width: 1.3; }
.picture .link.bad { stroke: var(--bad); stroke-width: 2.2; stroke-dasharray: 7 3.5; }
.picture .tip { fill: var(--line); }
.picture .tip.bad { fill: var(--bad); }
.picture .label { fill: var(--soft); font-size: 11px; text-anchor: middle; paint-order: stroke; stroke: var(--paper); stroke-width: 5px; stroke-linejoin: round; }
.picture .label.bad { fill: var(--bad); font-weight: 600; }
`

// Limits of texts in a drawing; the whole text is in the title of its box.
const (
	labelRunes = 21
	linkRunes  = 18
	iconRoom   = 38 // beside the label of a box: its icon and the margins
)

// Write writes a drawing as an SVG document that needs nothing else.
func Write(w io.Writer, p model.Picture) error {
	_, err := io.WriteString(w, draw(p, "<style>"+Stylesheet+"</style>\n"))
	if err != nil {
		return fmt.Errorf("write the picture: %w", err)
	}
	return nil
}

// Inline is a drawing as an element for an HTML page that has Stylesheet. All
// names in it are escaped.
func Inline(p model.Picture) string { return draw(p, "") }

func draw(p model.Picture, style string) string {
	l := arrange(p)
	var svg strings.Builder
	fmt.Fprintf(&svg, `<svg xmlns="http://www.w3.org/2000/svg" class="picture" role="img" viewBox="0 0 %d %d" width="%d" height="%d">`+"\n", l.width, l.height, l.width, l.height)
	fmt.Fprintf(&svg, "<title>Who reaches what</title>\n<desc>%s</desc>\n%s", escape(inWords(p)), style)
	fmt.Fprintf(&svg, `<rect class="paper" width="%d" height="%d"/>`+"\n", l.width, l.height)
	for _, bad := range []bool{false, true} { // red on top
		for _, s := range l.steps {
			if s.link.Bad == bad {
				drawStep(&svg, s)
			}
		}
	}
	for _, s := range l.steps {
		drawLabel(&svg, s)
	}
	for _, column := range l.columns {
		for _, box := range column {
			if box.node != nil {
				drawBox(&svg, box)
			}
		}
	}
	svg.WriteString("</svg>\n")
	return svg.String()
}

func class(name string, bad bool) string {
	if bad {
		return name + " bad"
	}
	return name
}

// outward is the direction away from a place.
func outward(at side) int {
	if at == right {
		return 1
	}
	return -1
}

// tip is how long an arrowhead is.
const tip = 8

// drawStep draws a straight piece under the label, a curve to the next column,
// and the arrowhead. What passes a column goes straight through it.
func drawStep(svg *strings.Builder, s *step) {
	x, y := s.from.edge(s.leave), s.from.lane(s.leave, s)
	endX, endY := s.to.edge(s.enter), s.to.lane(s.enter, s)
	bend := x
	if s.first {
		bend += outward(s.leave) * labelRoom(s.link)
	}
	stop := endX
	if s.last {
		stop += outward(s.enter) * tip
	}
	pull := max(bend-stop, stop-bend) / 2
	if s.leave == s.enter { // around, to a box of the same column
		bend = max(bend, stop)
		pull = curveGap / 2
	}
	fmt.Fprintf(svg, `<path class="%s" d="M%d %dH%dC%d %d %d %d %d %d`, class("link", s.link.Bad), x, y, bend,
		bend+outward(s.leave)*pull, y, stop+outward(s.enter)*pull, endY, stop, endY)
	if !s.last {
		fmt.Fprintf(svg, "H%d", s.to.edge(1-s.enter))
	}
	svg.WriteString(`"/>` + "\n")
	if s.last {
		fmt.Fprintf(svg, `<path class="%s" d="M%d %dl%d -4v8z"/>`+"\n", class("tip", s.link.Bad), endX, endY, outward(s.enter)*(tip+1))
	}
}

// labelRoom is how wide the straight piece of a link is that its label stands on.
func labelRoom(link *model.Link) int {
	if link.Label == "" {
		return 0
	}
	return linkWidth*min(runes(link.Label), linkRunes) + 14
}

func drawLabel(svg *strings.Builder, s *step) {
	if !s.first || s.link.Label == "" {
		return
	}
	x := s.from.edge(s.leave) + outward(s.leave)*labelRoom(s.link)/2
	fmt.Fprintf(svg, `<text class="%s" x="%d" y="%d">%s</text>`+"\n", class("label", s.link.Bad), x, s.from.lane(s.leave, s)+4, escape(short(s.link.Label, linkRunes)))
}

func drawBox(svg *strings.Builder, p *place) {
	n := p.node
	fmt.Fprintf(svg, `<g><title>%s</title><rect class="%s" x="%d" y="%d" width="%d" height="%d" rx="7"/>`,
		escape(strings.TrimSpace(n.Label+" "+n.Note)), class("box", n.Bad), p.x, p.y, p.width, p.height)
	baseline := p.middle() + 5
	if n.Note != "" {
		baseline = p.middle() - 3
		fmt.Fprintf(svg, `<text class="note" x="%d" y="%d">%s</text>`, p.x+11, p.middle()+14, escape(short(n.Note, (p.width-22)/noteWidth)))
	}
	name := p.x + 11
	if icon := icon(n.Kind); icon != "" {
		fmt.Fprintf(svg, `<path class="icon" transform="translate(%d %d)" d="%s"/>`, p.x+10, baseline-12, icon)
		name += 20
	}
	fmt.Fprintf(svg, `<text class="name" x="%d" y="%d">%s</text>`, name, baseline, escape(short(n.Label, labelRunes)))
	if n.Bad {
		fmt.Fprintf(svg, `<circle class="mark" cx="%d" cy="%d" r="8"/><text class="sign" x="%d" y="%d">!</text>`, p.x+p.width-2, p.y+2, p.x+p.width-2, p.y+6)
	}
	svg.WriteString("</g>\n")
}

// icon is the kind of a node, drawn in a square of 14 pixels.
func icon(kind string) string { return icons[cmp.Or(alike[kind], kind)] }

// alike are kinds of reach that look like one of a server's picture.
var alike = map[string]string{"network": "internet", "file": "data", "schema": "database", "account": "user", "socket": "service"}

var icons = map[string]string{
	"internet": "M7 1a6 6 0 1 0 0 12a6 6 0 1 0 0-12M1 7h12M7 1c-4 4-4 8 0 12c4-4 4-8 0-12",
	"front":    "M2 13v-8a5 4 0 0 1 10 0v8M.5 13h13M5 13v-6M9 13v-6",
	"pool":     "M7 1.5l6 3l-6 3l-6-3zM1 7.5l6 3l6-3M1 10l6 3l6-3",
	"user":     "M7 1.2a2.8 2.8 0 1 0 0 5.6a2.8 2.8 0 1 0 0-5.6M1.5 13c.5-5.5 10.5-5.5 11 0",
	"database": "M1.5 3a5.5 2 0 1 0 11 0a5.5 2 0 1 0-11 0v8a5.5 2 0 0 0 11 0v-8M1.5 7a5.5 2 0 0 0 11 0",
	"data":     "M2.5 1h6l3.5 3.5v8.5h-9.5zM8.5 1v3.5h3.5",
	"service":  "M4.5 1v4M9.5 1v4M2.5 5h9v2a4.5 3.5 0 0 1-9 0zM7 10.5v3",
}

// inWords tells what is red in a picture, for who cannot see it.
func inWords(p model.Picture) string {
	var said []string
	for _, s := range Sentences(p) {
		if s.Bad {
			said = append(said, strings.Join(strings.Fields(s.From+" "+s.Does+" "+s.To), " "))
		}
	}
	if len(said) == 0 {
		return "Nobody reaches what they should not."
	}
	return "Not intended: " + strings.Join(said, "; ") + "."
}

// Sentence is a link in words.
type Sentence struct {
	From, Does, To string
	Bad            bool
}

// Sentences are the links of a picture in words, those first that should not be
// possible.
func Sentences(p model.Picture) []Sentence {
	label := map[string]string{}
	for _, n := range p.Nodes {
		label[n.ID] = n.Label
	}
	var bad, good []Sentence
	for _, link := range p.Links {
		s := Sentence{From: label[link.From], Does: link.Label, To: label[link.To], Bad: link.Bad}
		if link.Bad {
			bad = append(bad, s)
		} else {
			good = append(good, s)
		}
	}
	return append(bad, good...)
}

func runes(text string) int { return utf8.RuneCountInString(text) }

// short cuts a text in its middle: the end of a path tells most.
func short(text string, limit int) string {
	all := []rune(text)
	if len(all) <= limit {
		return text
	}
	head := limit / 3
	return string(all[:head]) + "…" + string(all[len(all)-(limit-head-1):])
}

// escape makes others' text harmless: no markup, and nothing that steers a
// terminal or turns the direction of writing.
func escape(text string) string {
	visible := strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) {
			return '?'
		}
		return r
	}, text)
	var out strings.Builder
	_ = xml.EscapeText(&out, []byte(visible)) // a Builder does not fail
	return out.String()
}
