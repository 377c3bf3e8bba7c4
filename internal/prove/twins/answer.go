package twins

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"rocca/internal/demo"
	"rocca/internal/facts"
	"rocca/internal/model"
	"rocca/internal/prove"
	"rocca/internal/run"
)

// argv is what attacks a twin from within.
func (g Group) argv() []string {
	argv := []string{demo.Program, "prove", "attempt", "--only", strings.Join(prove.IDs(g.Attacks), ",")}
	if len(g.Without) > 0 {
		argv = append(argv, "--without", g.lacks(","))
	}
	if slices.ContainsFunc(g.Attacks, func(a prove.Attack) bool { return a.Disturbs }) {
		argv = append(argv, "--disturb")
	}
	return argv
}

// title tells which twin it is.
func (g Group) title() string {
	if len(g.Without) == 0 {
		return "that lacks nothing"
	}
	return "without " + g.lacks(", ")
}

// lacks are the ids of what it lacks.
func (g Group) lacks(separator string) string {
	ids := make([]string, len(g.Without))
	for i, p := range g.Without {
		ids[i] = p.ID
	}
	return strings.Join(ids, separator)
}

// answer is what came of one twin.
type answer struct {
	attacked []model.Attacked
	err      error  // why there is nothing
	kept     string // its name, when it was left running
	left     error  // why it is still there, though it should not
}

// read reads what a twin answered.
func read(got run.Result, err error) ([]model.Attacked, error) {
	var failed *run.Error
	if errors.As(err, &failed) {
		return nil, fmt.Errorf("the attempt on the twin failed: %w\n%s", failed.Cause, bytes.TrimSpace(got.Stderr))
	}
	if err != nil {
		return nil, fmt.Errorf("the attempt on the twin failed: %w", err)
	}
	var attacked []model.Attacked
	if err := json.Unmarshal(got.Stdout, &attacked); err != nil {
		return nil, fmt.Errorf("read what the twin answered: %w", err)
	}
	return attacked, nil
}

// said sums an answer up.
func (a answer) said() string {
	if a.err != nil {
		return facts.Why(a.err)
	}
	parts := make([]string, len(a.attacked))
	for i, one := range a.attacked {
		parts[i] = one.ID + " " + string(one.Result)
	}
	return strings.Join(parts, ", ")
}

// of finds what an attack came to. One that the twin says nothing of is not
// proven.
func (a answer) of(id string) model.Attacked {
	at := slices.IndexFunc(a.attacked, func(one model.Attacked) bool { return one.ID == id })
	switch {
	case a.err != nil:
		return model.Attacked{ID: id, Result: model.NotProven, Reason: facts.Why(a.err)}
	case at < 0:
		return model.Attacked{ID: id, Result: model.NotProven, Reason: "the twin does not tell what came of it"}
	}
	return a.attacked[at]
}

// gather puts together what came of all twins.
func gather(attacks []prove.Attack, groups []Group, answers []answer) Outcome {
	outcome := Outcome{Twins: map[string][]model.Twin{}, Intact: map[string]model.Attacked{}}
	for i, a := range answers {
		if a.kept != "" {
			outcome.Kept = append(outcome.Kept, a.kept)
		}
		if len(groups[i].Without) > 0 {
			continue
		}
		for _, attack := range groups[i].Attacks {
			one := a.of(attack.ID)
			one.Title, one.Controls = attack.Title, attack.Controls()
			outcome.Intact[attack.ID] = one
		}
	}
	for _, attack := range attacks {
		for _, p := range attack.Without {
			at := slices.IndexFunc(groups, func(g Group) bool { return among(g.Without, p) })
			one := answers[at].of(attack.ID)
			outcome.Twins[attack.ID] = append(outcome.Twins[attack.ID],
				model.Twin{Without: p.ID, Title: p.Title, Result: one.Result, Answer: why(one)})
		}
	}
	return outcome
}

// why tells by what an attack fell, or why it did not.
func why(a model.Attacked) string {
	at := slices.IndexFunc(a.Evidence, func(t model.Try) bool { return t.Fell == (a.Result == model.Fell) })
	if a.Result != model.Fell && a.Result != model.Held || at < 0 {
		return a.Reason
	}
	try := a.Evidence[at]
	text := strings.TrimSpace(try.Answer)
	if text == "" {
		text = try.Note
	}
	if a.Result == model.Fell {
		return text
	}
	return fmt.Sprintf("none of %d tries succeeded; %s, %s %s: %s", a.Tries, try.Who, try.What, try.Where, text)
}
