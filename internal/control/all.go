package control

import (
	"cmp"
	"slices"
	"sync"
)

// catalogue is put together once: every question about it goes through all.
var catalogue = sync.OnceValue(func() []Control {
	all := slices.Concat(hostControls(), platformControls(), applicationControls(), cloudNetworkControls(), cloudDataControls(), cloudAccountControls())
	position := map[string]int{}
	for i, area := range Areas() {
		position[area.ID] = i
	}
	slices.SortStableFunc(all, func(a, b Control) int { return cmp.Compare(position[a.Area()], position[b.Area()]) })
	return all
})

// All lists the catalogue, in the order of docs/controls.
func All() []Control { return slices.Clone(catalogue()) }

// OfServer lists the controls of a server (rocca audit).
func OfServer() []Control { return slices.DeleteFunc(All(), Control.Cloud) }

// OfCloud lists the controls of a deployment in AWS (rocca aws audit).
func OfCloud() []Control {
	return slices.DeleteFunc(All(), func(c Control) bool { return !c.Cloud() })
}
