// Package twins shows that attacks can succeed: it makes them on throw-away
// copies of a server, each of which lacks some of its protections.
package twins

import (
	"cmp"
	"slices"

	"rocca/internal/prove"
)

// Group is one twin: what it lacks, and the attacks that are made on it. The
// twin that lacks nothing is for the attacks that disturb.
type Group struct {
	Without []prove.Protection
	Attacks []prove.Attack
}

// Plan spreads protections over as few twins as it finds. A twin lacks one
// protection of each part of the server at most (see prove.Part), and one of
// each attack at most: what succeeds there does so for one reason. On it run
// only the attacks that one of its protections stands against. The twins that
// take longest come first.
func Plan(attacks []prove.Attack) []Group {
	protections := prove.Protections(attacks)
	against := map[string][]prove.Attack{} // by protection
	for _, p := range protections {
		against[p.ID] = slices.DeleteFunc(slices.Clone(attacks), func(a prove.Attack) bool { return !standsAgainst(p, a) })
	}
	mix := func(a, b prove.Protection) bool {
		apart := a.Part != b.Part || a.Part == prove.SettingPart
		return apart && !slices.ContainsFunc(against[a.ID], func(attack prove.Attack) bool { return standsAgainst(b, attack) })
	}
	// Those that mix with the fewest others come first: they choose a twin while
	// there is a choice.
	others := map[string]int{}
	for _, p := range protections {
		for _, other := range protections {
			if mix(p, other) {
				others[p.ID]++
			}
		}
	}
	slices.SortStableFunc(protections, func(a, b prove.Protection) int { return cmp.Compare(others[a.ID], others[b.ID]) })

	var groups []Group
	for _, p := range protections {
		at := slices.IndexFunc(groups, func(g Group) bool {
			return !slices.ContainsFunc(g.Without, func(other prove.Protection) bool { return !mix(p, other) })
		})
		if at < 0 {
			groups, at = append(groups, Group{}), len(groups)
		}
		groups[at].Without = append(groups[at].Without, p)
	}
	for i := range groups {
		groups[i].Attacks = slices.DeleteFunc(slices.Clone(attacks), func(a prove.Attack) bool {
			return !slices.ContainsFunc(groups[i].Without, func(p prove.Protection) bool { return standsAgainst(p, a) })
		})
	}
	if disturbing := slices.DeleteFunc(slices.Clone(attacks), func(a prove.Attack) bool { return !a.Disturbs }); len(disturbing) > 0 {
		groups = slices.Insert(groups, 0, Group{Attacks: disturbing})
	}
	return groups
}

func standsAgainst(p prove.Protection, a prove.Attack) bool { return among(a.Without, p) }

func among(protections []prove.Protection, p prove.Protection) bool {
	return slices.ContainsFunc(protections, func(other prove.Protection) bool { return other.ID == p.ID })
}
