package reach

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"

	"rocca/internal/model"
)

// Measures of a drawing, in pixels.
const (
	boxWidth   = 208
	boxHeight  = 46
	columnStep = boxWidth + 104
	rowStep    = boxHeight + 26
	margin     = 20
	labelRunes = 25 // that fit into a box
	noteRunes  = 29
	linkRunes  = 24 // that fit between columns, on two lines of others
	runeWidth  = 7  // of a label, at most
)

// style follows the reader's choice of light or dark. Links that should not be
// are red, thick and dashed: the colour is not all that tells.
const style = `
.reach { --paper: #ffffff; --ink: #1b1f24; --soft: #57606a; --box: #f6f8fa; --line: #6e7781; --bad: #b3141d; --badbox: #fff0f0; font: 13px system-ui, sans-serif; }
@media (prefers-color-scheme: dark) { .reach { --paper: #0d1117; --ink: #e6edf3; --soft: #9da7b3; --box: #161b22; --line: #8b949e; --bad: #ff7b72; --badbox: #2d1517; } }
.reach .paper { fill: var(--paper); }
.reach .box { fill: var(--box); stroke: var(--line); }
.reach .box.bad { fill: var(--badbox); stroke: var(--bad); stroke-width: 2; }
.reach text { fill: var(--ink); }
.reach .note { fill: var(--soft); font-size: 11px; }
.reach .link { fill: none; stroke: var(--line); stroke-width: 1.2; }
.reach .link.bad { stroke: var(--bad); stroke-width: 2.2; stroke-dasharray: 7 3; }
.reach .tip { fill: var(--line); }
.reach .tip.bad { fill: var(--bad); }
.reach .label { font-size: 11px; text-anchor: middle; paint-order: stroke; stroke: var(--paper); stroke-width: 4px; stroke-linejoin: round; }
.reach .label.bad { fill: var(--bad); font-weight: 600; }
`

type point struct{ x, y int }

// curve is a cubic Bézier curve.
type curve [4]point

// at is the point of the curve after so many tenths of it.
func (c curve) at(tenths int) point {
	t, u := tenths, 10-tenths
	sum := func(a, b, c, d int) int { return (a*u*u*u + 3*b*u*u*t + 3*c*u*t*t + d*t*t*t) / 1000 }
	return point{sum(c[0].x, c[1].x, c[2].x, c[3].x), sum(c[0].y, c[1].y, c[2].y, c[3].y)}
}

// label is the text of a link where it is drawn.
type label struct {
	point
	width int
}

func (l label) overlaps(other label) bool {
	apart := func(a, b int) int { return max(a-b, b-a) }
	return apart(l.y, other.y) < 13 && apart(l.x, other.x) < (l.width+other.width)/2
}

// spot finds a place on a curve that no other label has taken.
func spot(c curve, text string, taken []label) label {
	width := len([]rune(text)) * runeWidth
	first := label{c.at(5), width}
	for _, tenths := range []int{5, 4, 6, 3, 7, 2, 8} {
		l := label{c.at(tenths), width}
		if !slices.ContainsFunc(taken, l.overlaps) {
			return l
		}
	}
	return first
}

// WriteSVG draws a picture in columns, as one SVG document that needs nothing
// else and may stand within an HTML page.
func WriteSVG(w io.Writer, p model.Picture) error {
	at, size := arrange(p)
	var svg strings.Builder
	fmt.Fprintf(&svg, `<svg xmlns="http://www.w3.org/2000/svg" class="reach" role="img" viewBox="0 0 %d %d" width="%d" height="%d" style="max-width:100%%;height:auto">`+"\n", size.x, size.y, size.x, size.y)
	fmt.Fprintf(&svg, "<title>Who reaches what</title>\n<desc>%s</desc>\n<style>%s</style>\n", escape(inWords(p)), style)
	for _, kind := range []string{"", " bad"} {
		fmt.Fprintf(&svg, `<defs><marker id="reach-tip%s" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="9" markerHeight="9" markerUnits="userSpaceOnUse" orient="auto"><path class="tip%s" d="M0 0 8 4 0 8z"/></marker></defs>`+"\n", strings.TrimSpace(kind), kind)
	}
	fmt.Fprintf(&svg, `<rect class="paper" width="%d" height="%d"/>`+"\n", size.x, size.y)
	var labels strings.Builder
	var taken []label
	for _, link := range slices.SortedStableFunc(slices.Values(p.Links), func(a, b model.Link) int { return order(a.Bad) - order(b.Bad) }) { // red on top
		from, known := at[link.From]
		to, there := at[link.To]
		if !known || !there || link.From == link.To {
			continue
		}
		bad := ""
		if link.Bad {
			bad = " bad"
		}
		c := bend(from, to)
		fmt.Fprintf(&svg, `<path class="link%s" marker-end="url(#reach-tip%s)" d="M%d %dC%d %d %d %d %d %d"/>`+"\n",
			bad, strings.TrimSpace(bad), c[0].x, c[0].y, c[1].x, c[1].y, c[2].x, c[2].y, c[3].x, c[3].y)
		if link.Label == "" {
			continue
		}
		text := short(link.Label, linkRunes)
		l := spot(c, text, taken)
		taken = append(taken, l)
		fmt.Fprintf(&labels, `<text class="label%s" x="%d" y="%d">%s</text>`+"\n", bad, l.x, l.y-4, escape(text))
	}
	for _, n := range p.Nodes {
		drawBox(&svg, n, at[n.ID])
	}
	svg.WriteString(labels.String())
	svg.WriteString("</svg>\n")
	_, err := io.WriteString(w, svg.String())
	return err
}

func order(bad bool) int {
	if bad {
		return 1
	}
	return 0
}

// arrange gives each node a place: its column, and a row near to what it is
// linked with. Shorter columns stand in the middle.
func arrange(p model.Picture) (map[string]point, point) {
	columns := map[int][]model.Node{}
	last := 0
	for _, n := range p.Nodes {
		columns[n.Column] = append(columns[n.Column], n)
		last = max(last, n.Column)
	}
	row := map[string]int{}
	tallest := 0
	for c := range last + 1 {
		weigh := func(n model.Node) int {
			sum, count := 0, 0
			for _, link := range p.Links {
				other := link.From
				if other == n.ID {
					other = link.To
				}
				if r, placed := row[other]; placed && (link.From == n.ID || link.To == n.ID) {
					sum, count = sum+r*100, count+1
				}
			}
			if count == 0 {
				return 1 << 20
			}
			return sum / count
		}
		weights := map[string]int{}
		for _, n := range columns[c] {
			weights[n.ID] = weigh(n)
		}
		slices.SortStableFunc(columns[c], func(a, b model.Node) int { return cmp.Compare(weights[a.ID], weights[b.ID]) })
		for i, n := range columns[c] {
			row[n.ID] = i
		}
		tallest = max(tallest, len(columns[c]))
	}
	at := map[string]point{}
	for c, nodes := range columns {
		top := margin + (tallest-len(nodes))*rowStep/2
		for i, n := range nodes {
			at[n.ID] = point{margin + c*columnStep, top + i*rowStep}
		}
	}
	return at, point{2*margin + last*columnStep + boxWidth + 40, 2*margin + max(tallest, 1)*rowStep}
}

func drawBox(svg *strings.Builder, n model.Node, at point) {
	bad := ""
	if n.Bad {
		bad = " bad"
	}
	fmt.Fprintf(svg, `<g><title>%s</title><rect class="box%s" x="%d" y="%d" width="%d" height="%d" rx="6"/>`, escape(strings.TrimSpace(n.Label+" "+n.Note)), bad, at.x, at.y, boxWidth, boxHeight)
	baseline := at.y + 28
	if n.Note != "" {
		baseline = at.y + 20
		fmt.Fprintf(svg, `<text class="note" x="%d" y="%d">%s</text>`, at.x+10, at.y+36, escape(short(n.Note, noteRunes)))
	}
	fmt.Fprintf(svg, `<text x="%d" y="%d">%s</text></g>`+"\n", at.x+10, baseline, escape(short(n.Label, labelRunes)))
}

// bend is the curve from one box to another: to the right, back to the left, or
// around to one in the same column.
func bend(from, to point) curve {
	const pull, half = 46, boxHeight / 2
	switch {
	case from.x == to.x:
		a, b := point{from.x + boxWidth, from.y + half}, point{to.x + boxWidth, to.y + half + 6}
		return curve{a, {a.x + pull, a.y}, {b.x + pull, b.y}, b}
	case from.x > to.x:
		a, b := point{from.x, from.y + half + 8}, point{to.x + boxWidth, to.y + half + 8}
		return curve{a, {a.x - pull, a.y}, {b.x + pull, b.y}, b}
	}
	a, b := point{from.x + boxWidth, from.y + half}, point{to.x, to.y + half}
	return curve{a, {a.x + pull, a.y}, {b.x - pull, b.y}, b}
}

// inWords tells what is red in a picture, for who cannot see it.
func inWords(p model.Picture) string {
	label := map[string]string{}
	for _, n := range p.Nodes {
		label[n.ID] = n.Label
	}
	var said []string
	for _, link := range p.Links {
		if link.Bad {
			said = append(said, strings.Join(strings.Fields(label[link.From]+" "+link.Label+" "+label[link.To]), " "))
		}
	}
	if len(said) == 0 {
		return "Nobody reaches what they should not."
	}
	return "Not intended: " + strings.Join(said, "; ") + "."
}

// short cuts a text in its middle: the end of a path tells most.
func short(text string, limit int) string {
	runes := []rune(text)
	if len(runes) <= limit {
		return text
	}
	head := limit / 3
	return string(runes[:head]) + "…" + string(runes[len(runes)-(limit-head-1):])
}

func escape(text string) string {
	var out strings.Builder
	_ = xml.EscapeText(&out, []byte(tidy(text))) // a Builder does not fail
	return out.String()
}
