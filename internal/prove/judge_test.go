package prove

import (
	"strings"
	"testing"

	"rocca/internal/model"
)

func TestJudge(t *testing.T) {
	one, other := Protection{ID: "one"}, Protection{ID: "other"}
	both := Attack{ID: "A01", Without: []Protection{one, other}}
	disturbing := Attack{ID: "A28", Without: []Protection{one}, Disturbs: true}
	nowhere := Attack{ID: "A31"}
	came := func(o model.Outcome) model.Attacked { return model.Attacked{Result: o} }
	twin := func(p Protection, o model.Outcome) model.Twin {
		return model.Twin{Without: p.ID, Result: o, Answer: "what it said"}
	}
	fell := []model.Twin{twin(one, model.Fell), twin(other, model.Fell)}
	for _, c := range []struct {
		name         string
		attack       Attack
		server       model.Attacked
		intact       *model.Attacked
		twins        []model.Twin
		result, twin model.Outcome
		reason       string
	}{
		{"held, and every twin fell", both, came(model.Held), nil, fell, model.Held, model.Fell, ""},
		{"one twin stood", both, came(model.Held), nil, []model.Twin{twin(one, model.Fell), twin(other, model.Held)}, model.NotProven, model.Held, `lacks "other"`},
		{"one twin could not be attacked", both, came(model.Held), nil, []model.Twin{twin(one, model.NotProven), twin(other, model.Fell)}, model.NotProven, model.Held, `lacks "one"`},
		{"one twin is missing", both, came(model.Held), nil, fell[:1], model.NotProven, model.NoTwin, "no twin shows"},
		{"no twin", both, came(model.Held), nil, nil, model.NotProven, model.NoTwin, "no twin shows"},
		{"an attack that no twin is made for", nowhere, came(model.Held), nil, nil, model.NotProven, model.NoTwin, "no twin shows"},
		{"it fell: whatever the twins did", both, came(model.Fell), nil, []model.Twin{twin(one, model.Held)}, model.Fell, model.NoTwin, ""},
		{"not applicable stays", both, came(model.NotApplicable), nil, fell, model.NotApplicable, "", ""},
		{"it disturbs: a copy stands in", disturbing, came(model.NotProven), new(came(model.Held)), fell[:1], model.Held, model.Fell, "copy of this server"},
		{"it disturbs, and the copy fell", disturbing, came(model.NotProven), new(came(model.Fell)), fell[:1], model.Fell, model.Fell, ""},
		{"it disturbs, and there is no copy", disturbing, came(model.NotProven), nil, nil, model.NotProven, model.NoTwin, ""},
		{"it disturbs, and was made on the server: it fell", disturbing, came(model.Fell), new(came(model.Held)), fell[:1], model.Fell, model.Fell, ""},
	} {
		got := Judge(c.attack, c.server, c.intact, c.twins)
		if got.Result != c.result || got.Twin != c.twin || !strings.Contains(got.Reason, c.reason) {
			t.Errorf("%s: %s, twin %s, %q", c.name, got.Result, got.Twin, got.Reason)
		}
	}
}
