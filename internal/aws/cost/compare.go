package cost

import (
	"cmp"
	"slices"
)

// Change is how one kind of cost differs between two bills.
type Change struct {
	What   string  `json:"what"` // key of the price
	Before float64 `json:"before"`
	After  float64 `json:"after"`
}

// Compare lists what costs differently in two bills, by the kind of thing, the
// greatest difference first.
func Compare(before, after Bill) []Change {
	changes := map[string]*Change{}
	at := func(key string) *Change {
		if changes[key] == nil {
			changes[key] = &Change{What: key}
		}
		return changes[key]
	}
	for _, line := range before.Lines {
		at(line.Key).Before += line.Month
	}
	for _, line := range after.Lines {
		at(line.Key).After += line.Month
	}
	var all []Change
	for _, c := range changes {
		c.Before, c.After = cents(c.Before), cents(c.After)
		if c.Before != c.After {
			all = append(all, *c)
		}
	}
	slices.SortFunc(all, func(a, b Change) int {
		return cmp.Or(cmp.Compare(max(b.After-b.Before, b.Before-b.After), max(a.After-a.Before, a.Before-a.After)), cmp.Compare(a.What, b.What))
	})
	return all
}
