package twins

import (
	"strings"
	"testing"

	"rocca/internal/demo"
	"rocca/internal/prove"

	"github.com/google/go-cmp/cmp"
)

func protection(id string, part prove.Part) prove.Protection {
	return prove.Protection{ID: id, Title: "it is " + id, Part: part}
}

func attack(id string, without ...prove.Protection) prove.Attack {
	return prove.Attack{ID: id, Title: "attack " + id, Without: without}
}

func disturbing(a prove.Attack) prove.Attack {
	a.Disturbs = true
	return a
}

// drawn shows a plan: what each twin lacks, and what runs on it.
func drawn(groups []Group) []string {
	lines := []string{}
	for _, g := range groups {
		var without, attacks []string
		for _, p := range g.Without {
			without = append(without, p.ID)
		}
		for _, a := range g.Attacks {
			attacks = append(attacks, a.ID)
		}
		lines = append(lines, strings.Join(without, " ")+": "+strings.Join(attacks, " "))
	}
	return lines
}

func TestPlan(t *testing.T) {
	socket, front, code := protection("socket", prove.UISocket), protection("front", prove.FrontPart), protection("code", prove.CodePart)
	deny, unit := protection("deny", prove.FrontPart), protection("unit", prove.UIUnit)
	tests := map[string]struct {
		attacks []prove.Attack
		want    []string
	}{
		"nothing":             {nil, []string{}},
		"nothing stands":      {[]prove.Attack{attack("A01")}, []string{}},
		"different parts":     {[]prove.Attack{attack("A01", socket), attack("A02", front), attack("A03", code)}, []string{"socket front code: A01 A02 A03"}},
		"one part":            {[]prove.Attack{attack("A01", front), attack("A02", deny)}, []string{"front: A01", "deny: A02"}},
		"one attack":          {[]prove.Attack{attack("A01", socket, front)}, []string{"socket: A01", "front: A01"}},
		"shared":              {[]prove.Attack{attack("A01", front), attack("A02", front), attack("A03", code)}, []string{"front code: A01 A02 A03"}},
		"disturbs":            {[]prove.Attack{disturbing(attack("A01", code)), attack("A02", front)}, []string{": A01", "code front: A01 A02"}},
		"disturbs, no others": {[]prove.Attack{disturbing(attack("A01"))}, []string{": A01"}},
		// In their own order front would take unit's place, and a third twin be needed.
		"the choosy first": {
			[]prove.Attack{attack("A01", code), attack("A02", unit, front), attack("A03", code, unit), attack("A04", deny)},
			[]string{"unit deny: A02 A03 A04", "front code: A01 A02 A03"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, drawn(Plan(test.attacks))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What must be true of any plan, shown on the attacks that there are.
func TestPlanOfAllAttacks(t *testing.T) {
	attacks := prove.All()
	seen := map[string]int{}
	for _, g := range Plan(attacks) {
		parts := map[prove.Part]bool{}
		for _, p := range g.Without {
			seen[p.ID]++
			if parts[p.Part] && p.Part != prove.SettingPart {
				t.Errorf("%v: two of the part %q", drawn([]Group{g}), p.Part)
			}
			parts[p.Part] = true
		}
		for _, a := range g.Attacks {
			stands := 0
			for _, p := range g.Without {
				if standsAgainst(p, a) {
					stands++
				}
			}
			if stands != 1 && (len(g.Without) > 0 || !a.Disturbs) {
				t.Errorf("%v: %d protections of attack %s are missing, want 1", drawn([]Group{g}), stands, a.ID)
			}
		}
	}
	for _, p := range prove.Protections(attacks) {
		if seen[p.ID] != 1 {
			t.Errorf("%d twins lack %s, want 1", seen[p.ID], p.ID)
		}
	}
	t.Logf("%d protections:\n%s", len(seen), strings.Join(drawn(Plan(attacks)), "\n"))
}

func TestMarksAreTheSame(t *testing.T) {
	if prove.ThrowawayMark != demo.Mark {
		t.Errorf("attacks look for %s, servers have %s", prove.ThrowawayMark, demo.Mark)
	}
}
