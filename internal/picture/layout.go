package picture

import (
	"cmp"
	"slices"

	"rocca/internal/model"
)

// Measures, in pixels.
const (
	margin    = 16
	rowGap    = 20  // between boxes of a column
	boxHeight = 50  // at least; a box with many links is taller
	laneGap   = 18  // between the ends of links at one side of a box
	minWidth  = 100 // of a box
	maxWidth  = 212
	curveGap  = 54 // what links need between columns, beside their labels
	textWidth = 9  // of a rune of a name in bold, at most
	noteWidth = 7  // of a rune of a note
	linkWidth = 7  // of a rune of the label of a link
)

// place is a box, or where a link passes between the boxes of a column that it
// leaps over (node is nil).
type place struct {
	node                *model.Node
	column              int
	x, y, width, height int
	lanes               map[side][]*step // by height, once they are sorted
}

type side int

const (
	left side = iota
	right
)

func (p *place) middle() int { return p.y + p.height/2 }

// lane is the height at which a step meets a side of the place.
func (p *place) lane(at side, s *step) int {
	lanes := p.lanes[at]
	return p.middle() + laneGap*(2*slices.Index(lanes, s)-len(lanes)+1)/2
}

// edge is where a side of the place is.
func (p *place) edge(at side) int {
	if at == right {
		return p.x + p.width
	}
	return p.x
}

// step is the part of a link from one column to the next.
type step struct {
	link         *model.Link
	from, to     *place
	leave, enter side
	first, last  bool // of the link
}

// layout is where everything stands.
type layout struct {
	columns       [][]*place
	steps         []*step
	gaps          []int // width to the right of each column
	width, height int
}

// arrange places the boxes by their column, in an order in which few links
// cross, and gives each link a lane of its own at each box.
func arrange(p model.Picture) *layout {
	l := &layout{}
	at := l.boxes(p.Nodes)
	for i := range p.Links {
		link := &p.Links[i]
		from, to := at[link.From], at[link.To]
		if from != nil && to != nil && from != to {
			l.connect(link, from, to)
		}
	}
	l.untangle()
	l.measure()
	l.spread()
	return l
}

func (l *layout) boxes(nodes []model.Node) map[string]*place {
	var numbers []int
	for _, n := range nodes {
		numbers = append(numbers, n.Column)
	}
	slices.Sort(numbers)
	numbers = slices.Compact(numbers) // a column that is empty takes no room
	l.columns = make([][]*place, len(numbers))
	at := map[string]*place{}
	for i := range nodes {
		if at[nodes[i].ID] != nil {
			continue
		}
		column, _ := slices.BinarySearch(numbers, nodes[i].Column)
		box := &place{node: &nodes[i], column: column}
		l.columns[column] = append(l.columns[column], box)
		at[nodes[i].ID] = box
	}
	return at
}

// connect makes the steps of a link, with a place in each column between.
func (l *layout) connect(link *model.Link, from, to *place) {
	ahead, leave, enter := 1, right, left
	switch {
	case from.column > to.column:
		ahead, leave, enter = -1, left, right
	case from.column == to.column:
		l.steps = append(l.steps, &step{link: link, from: from, to: to, leave: right, enter: right, first: true, last: true})
		return
	}
	here, first := from, true
	for column := from.column + ahead; column != to.column; column += ahead {
		next := &place{column: column}
		l.columns[column] = append(l.columns[column], next)
		l.steps = append(l.steps, &step{link: link, from: here, to: next, leave: leave, enter: enter, first: first})
		here, first = next, false
	}
	l.steps = append(l.steps, &step{link: link, from: here, to: to, leave: leave, enter: enter, first: first, last: true})
}

// sweeps is how often the columns are sorted by their neighbours. More change
// nothing in pictures of this size.
const sweeps = 6

// untangle sorts each column by the mean row of what its places are linked with
// in the column before, there and back again.
func (l *layout) untangle() {
	for sweep := range sweeps {
		for i := 1; i < len(l.columns); i++ {
			column, before := i, i-1
			if sweep%2 == 1 {
				column, before = len(l.columns)-1-i, len(l.columns)-i
			}
			l.sort(column, before)
		}
	}
}

func (l *layout) sort(column, before int) {
	row := map[*place]int{}
	for i, p := range l.columns[before] {
		row[p] = i
	}
	// In shares of the height: columns are centred.
	share := func(row, rows int) float64 { return (float64(row) + 0.5) / float64(rows) }
	wanted := map[*place]float64{}
	for i, p := range l.columns[column] {
		sum, count := 0.0, 0
		for _, s := range l.steps {
			if s.from != p && s.to != p {
				continue
			}
			if r, is := row[s.other(p)]; is {
				sum, count = sum+share(r, len(l.columns[before])), count+1
			}
		}
		wanted[p] = share(i, len(l.columns[column]))
		if count > 0 {
			wanted[p] = sum / float64(count)
		}
	}
	slices.SortStableFunc(l.columns[column], func(a, b *place) int { return cmp.Compare(wanted[a], wanted[b]) })
}

// measure gives every place its size and position.
func (l *layout) measure() {
	for _, s := range l.steps {
		s.from.meet(s.leave, s)
		s.to.meet(s.enter, s)
	}
	heights := make([]int, len(l.columns))
	l.gaps = make([]int, len(l.columns))
	for i, column := range l.columns {
		widest := minWidth
		for _, p := range column {
			p.height = laneGap
			if p.node != nil {
				p.height = max(boxHeight, laneGap*max(len(p.lanes[left]), len(p.lanes[right]))+12)
				widest = max(widest, min(maxWidth, max(iconRoom+textWidth*runes(p.node.Label), 26+noteWidth*runes(p.node.Note))))
			}
			heights[i] += p.height + rowGap
		}
		for _, p := range column {
			p.width = widest
		}
		l.height = max(l.height, heights[i]-rowGap)
		l.gaps[i] = l.gap(i)
	}
	x := margin
	for i, column := range l.columns {
		y := margin + (l.height-(heights[i]-rowGap))/2
		for _, p := range column {
			p.x, p.y = x, y
			y += p.height + rowGap
		}
		x += l.gaps[i]
		if len(column) > 0 {
			x += column[0].width
		}
	}
	l.width = x + margin
	l.height += 2 * margin
}

func (p *place) meet(at side, s *step) {
	if p.lanes == nil {
		p.lanes = map[side][]*step{}
	}
	p.lanes[at] = append(p.lanes[at], s)
}

// gap is the width to the right of a column: enough for the labels that start
// there from both sides.
func (l *layout) gap(column int) int {
	var ahead, back int
	loop := false
	for _, s := range l.steps {
		switch {
		case s.from.column == column && s.leave == right && s.first:
			ahead = max(ahead, labelRoom(s.link))
			loop = loop || s.enter == right
		case s.from.column == column+1 && s.leave == left && s.first:
			back = max(back, labelRoom(s.link))
		}
	}
	if column == len(l.columns)-1 {
		if loop {
			return ahead + curveGap
		}
		return 0
	}
	return curveGap + ahead + back
}

// spread sorts the ends of links at each side of a place by where they come
// from, so that they do not cross before it.
func (l *layout) spread() {
	for _, column := range l.columns {
		for _, p := range column {
			for _, lanes := range p.lanes {
				slices.SortStableFunc(lanes, func(a, b *step) int { return cmp.Compare(a.other(p).middle(), b.other(p).middle()) })
			}
		}
	}
}

func (s *step) other(p *place) *place {
	if s.from == p {
		return s.to
	}
	return s.from
}
