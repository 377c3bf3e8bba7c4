package blueprint

import (
	_ "embed"
	"path"

	"rocca/internal/change"
	"rocca/internal/change/step"
)

//go:embed php/job.tmpl
var jobTemplate string

//go:embed php/timer.tmpl
var timerTemplate string

// job is a command of Matomo's console that runs by itself.
type job struct {
	Unit    string
	Title   string
	Command string
	When    string // OnCalendar of systemd.time(7)
}

var jobs = []job{
	{"rocca-archive", "Matomo's reports", "core:archive --no-ansi --no-interaction --disable-scheduled-tasks", "hourly"},
	{"rocca-tasks", "Matomo's scheduled tasks", "core:run-scheduled-tasks --no-ansi --no-interaction", "*:30"},
}

// timers run archiving and scheduled tasks as the UI's user, so that no visitor
// has to trigger them.
func (b *blueprint) timers() []change.Step {
	var steps []change.Step
	for _, j := range jobs {
		service := path.Join(unitDir, j.Unit+".service")
		timer := path.Join(unitDir, j.Unit+".timer")
		steps = append(steps,
			step.File{Path: service, Content: b.render(jobTemplate, j), Attr: change.Root(0o644)},
			step.File{Path: timer, Content: b.render(timerTemplate, j), Attr: change.Root(0o644)},
			step.Unit{Unit: j.Unit + ".timer", State: step.Running, Own: true, Inputs: []string{timer, service}, Refresh: "restart"},
		)
	}
	return steps
}
