package blueprint

import (
	_ "embed"
	"path"

	"rocca/internal/change"
	"rocca/internal/change/step"
	"rocca/internal/config"
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
	if !b.Config.Does(config.RoleWorker) {
		return nil
	}
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

// idle takes away what a role of Matomo's leaves that this machine had before.
// A service goes before its socket, which would stop it unseen by undo.
func (b *blueprint) idle() []change.Step {
	const why = "that work is another machine's"
	var steps []change.Step
	gone := func(units, files []string) {
		for _, unit := range units {
			steps = append(steps, step.Unit{Unit: unit, State: step.Stopped})
		}
		for _, file := range files {
			steps = append(steps, step.Gone{Path: file, Why: why})
		}
	}
	for _, pool := range []string{config.RoleUI, config.RoleTracker} {
		if !b.Config.Does(pool) {
			_, drop, ini, conf := poolFiles(pool)
			gone([]string{"rocca-php@" + pool + ".service", "rocca-php@" + pool + ".socket"}, []string{drop, ini, conf})
		}
	}
	if !b.Config.Does(config.RoleWorker) {
		for _, j := range jobs {
			gone([]string{j.Unit + ".timer"}, []string{path.Join(unitDir, j.Unit+".timer"), path.Join(unitDir, j.Unit+".service")})
		}
	}
	return steps
}
