package twins

import (
	"errors"
	"testing"

	"rocca/internal/model"
	"rocca/internal/prove"
	"rocca/internal/run"

	"github.com/google/go-cmp/cmp"
)

func TestArgv(t *testing.T) {
	front, code := protection("front", prove.FrontPart), protection("code", prove.CodePart)
	for want, g := range map[string]Group{
		"/usr/local/bin/rocca prove attempt --only A01,A02 --without front,code": {Without: []prove.Protection{front, code}, Attacks: []prove.Attack{attack("A01", front), attack("A02", code)}},
		"/usr/local/bin/rocca prove attempt --only A01 --without code --disturb": {Without: []prove.Protection{code}, Attacks: []prove.Attack{disturbing(attack("A01", code))}},
		"/usr/local/bin/rocca prove attempt --only A01 --disturb":                {Attacks: []prove.Attack{disturbing(attack("A01"))}},
	} {
		if got := run.Quote(g.argv()); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestGather(t *testing.T) {
	front, code, socket := protection("front", prove.FrontPart), protection("code", prove.CodePart), protection("socket", prove.UISocket)
	attacks := []prove.Attack{attack("A01", front, code), disturbing(attack("A02", socket)), attack("A03", code)}
	groups := []Group{
		{Without: []prove.Protection{code}, Attacks: []prove.Attack{attacks[0], attacks[2]}},
		{Without: []prove.Protection{socket, front}, Attacks: attacks[:2]},
		{Attacks: attacks[1:2]},
	}
	try := func(answer string, fell bool) model.Try {
		return model.Try{Who: "visitor", What: "gets", Where: "/x", Answer: answer, Fell: fell}
	}
	twin := func(p prove.Protection, result model.Outcome, answer string) model.Twin {
		return model.Twin{Without: p.ID, Title: p.Title, Result: result, Answer: answer}
	}
	tests := map[string]struct {
		answers []answer
		twins   map[string][]model.Twin
		intact  model.Attacked
	}{
		"as it should be": {
			[]answer{
				{attacked: []model.Attacked{
					{ID: "A01", Result: model.Fell, Evidence: []model.Try{try("404", false), try("root:x", true)}},
					{ID: "A03", Result: model.Held, Tries: 7, Evidence: []model.Try{try("403", false)}},
				}},
				{attacked: []model.Attacked{
					{ID: "A02", Result: model.NotApplicable, Reason: "there is no pool"},
					{ID: "A01", Result: model.Fell, Evidence: []model.Try{{Note: "it ran", Fell: true}}},
				}},
				{attacked: []model.Attacked{{ID: "A02", Title: "what the twin calls it", Result: model.Held, Tries: 3}}},
			},
			map[string][]model.Twin{
				"A01": {twin(front, model.Fell, "it ran"), twin(code, model.Fell, "root:x")},
				"A02": {twin(socket, model.NotApplicable, "there is no pool")},
				"A03": {twin(code, model.Held, "none of 7 tries succeeded; visitor, gets /x: 403")},
			},
			model.Attacked{ID: "A02", Title: "attack A02", Result: model.Held, Tries: 3},
		},
		"twins that do not come up, or do not tell": {
			[]answer{
				{err: errors.New("the twin does not come up: no space\nhint: buy some")},
				{attacked: []model.Attacked{{ID: "A01", Result: model.NotProven, Reason: "nothing was tried"}}},
				{},
			},
			map[string][]model.Twin{
				"A01": {twin(front, model.NotProven, "nothing was tried"), twin(code, model.NotProven, "the twin does not come up: no space (buy some)")},
				"A02": {twin(socket, model.NotProven, "the twin does not tell what came of it")},
				"A03": {twin(code, model.NotProven, "the twin does not come up: no space (buy some)")},
			},
			model.Attacked{ID: "A02", Title: "attack A02", Result: model.NotProven, Reason: "the twin does not tell what came of it"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := gather(attacks, groups, test.answers)
			if diff := cmp.Diff(test.twins, got.Twins); diff != "" {
				t.Error(diff)
			}
			intact := got.Intact["A02"]
			intact.Controls = nil // of the catalogue
			if diff := cmp.Diff(test.intact, intact); diff != "" || len(got.Intact) != 1 {
				t.Errorf("on the twin that lacks nothing: %s", diff)
			}
		})
	}
}

func TestRead(t *testing.T) {
	got, err := read(run.Result{Stdout: []byte(`[{"id":"A01","result":"fell"}]`)}, nil)
	if err != nil || len(got) != 1 || got[0].Result != model.Fell {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := read(run.Result{Stdout: []byte(`[{"id":`)}, nil); err == nil {
		t.Error("half an answer is read")
	}
	// Also with an answer: what ended badly is not to be trusted.
	failed := &run.Error{Argv: []string{"nsenter"}, ExitCode: 2, Cause: errors.New("exit status 2")}
	if _, err := read(run.Result{Stdout: []byte(`[]`), Stderr: []byte("rocca: take protection x away: no\n")}, failed); err == nil ||
		err.Error() != "the attempt on the twin failed: exit status 2\nrocca: take protection x away: no" {
		t.Errorf("%v", err)
	}
}
