package control

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"rocca/internal/facts"
	"rocca/internal/model"
)

const browserArchiving = "General.enable_browser_archiving_triggering"

var app017 = Control{
	ID:       "APP-17",
	Title:    "reports are made by a timer that runs as Matomo's own user and works, not by whoever opens a page",
	Why:      "Where pages make reports, each viewer, and anonymous ones too where they may see a report, can keep the database busy for minutes. A timer that runs as root leaves files that Matomo cannot change, and runs code that others may write.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.App, facts.Services, facts.Scheduled, facts.Content},
	Eval: func(v *View) Verdict {
		contexts, unread := readable(forUsers(v))
		unread = append(unread, gaps(v, "options")...)
		var against []model.Evidence
		for _, c := range contexts {
			if e, triggered := triggeredByBrowser(v, c); triggered {
				against = append(against, e)
			}
		}
		runs := archivings(v)
		if len(runs) == 0 && elsewhere(v, "worker") {
			return conclude(against, unread)
		}
		if len(runs) == 0 {
			return conclude(append(against, model.Evidence{Subject: "core:archive", Have: "no timer and no cron job starts it", Want: "an hourly timer as Matomo's own user"}), unread)
		}
		for _, run := range runs {
			against = append(against, run.against...)
			if !slices.ContainsFunc(v.Matomo.Contexts, func(c facts.Context) bool { return c.User == run.user }) {
				against = append(against, model.Evidence{Subject: run.subject, Line: run.line, Have: "runs as " + run.user, Want: "the user of Matomo's PHP"})
			}
		}
		if late, e := archivedLate(v, runs); late {
			against = append(against, e)
		}
		return conclude(against, unread)
	},
	Fix: Fix{
		Kind:  model.FixAutomatic,
		Text:  "Start console core:archive by an hourly timer as Matomo's own user, and set enable_browser_archiving_triggering = 0 in [General].",
		Steps: append(slices.Clone(configurationSteps), "unit rocca-archive.timer", "file /etc/systemd/system/rocca-archive.*"),
		Changes: func(v *View) []Change {
			var changes []Change
			contexts, _ := readable(forUsers(v))
			for _, c := range contexts {
				if switchedOn(valueOf(c, browserArchiving, "1")) {
					changes = append(changes, setInConfiguration(v, c, browserArchiving, "0"))
				}
			}
			if user := v.Matomo.Main().User; len(archivings(v)) == 0 && user != "" && v.Matomo.Root != "" {
				changes = append(changes, Change{
					Sentence: "archive every hour as " + user,
					Command:  "echo " + shellWord(fmt.Sprintf("5 * * * * %s php %s core:archive >/dev/null", user, shellWord(v.Matomo.Root+"/console"))) + " | sudo tee /etc/cron.d/matomo-archive",
				})
			}
			return changes
		},
	},
	Since: "0.3",
}

// triggeredByBrowser tells whether opening a page archives. What was set in the
// user interface counts only while that form is there.
func triggeredByBrowser(v *View, c facts.Context) (model.Evidence, bool) {
	if stored, set := v.Rows.Options["enableBrowserTriggerArchiving"]; set && switchedOn(valueOf(c, "General.enable_general_settings_admin", "1")) {
		return model.Evidence{Subject: "option enableBrowserTriggerArchiving", Have: fmt.Sprintf("%q", stored), Want: `"0"`}, switchedOn(stored)
	}
	return wanting(settingEvidence(c, browserArchiving, "1"), shown(browserArchiving, "0")), switchedOn(valueOf(c, browserArchiving, "1"))
}

// archiving is something that starts core:archive.
type archiving struct {
	subject string
	line    int
	user    string
	period  time.Duration
	since   time.Time // it is there; zero: not known
	against []model.Evidence
}

// archivings are the timers and cron jobs that archive, in the order of their
// names.
func archivings(v *View) []archiving {
	var found []archiving
	for name, unit := range v.Units {
		service, loaded := v.Units[unit.Triggers]
		if !loaded || !slices.ContainsFunc(service.Exec, func(e facts.Exec) bool { return archives(e.Path + " " + strings.Join(e.Args, " ")) }) {
			continue
		}
		run := archiving{subject: name, user: cmp.Or(service.User, "root"), period: 24 * time.Hour, since: unit.Since}
		if !unit.Next.IsZero() && !unit.LastTrigger.IsZero() && unit.Next.After(unit.LastTrigger) {
			run.period = max(unit.Next.Sub(unit.LastTrigger), time.Hour) // it may have been started by hand just now
		}
		if !unit.Active {
			run.against = append(run.against, model.Evidence{Subject: name, Have: "is not active", Want: "active"})
		}
		if service.Failed || service.Result != "" && service.Result != "success" {
			run.against = append(run.against, model.Evidence{Subject: unit.Triggers, Have: "its last run ended with " + cmp.Or(service.Result, "a failure"), Want: "success"})
		}
		found = append(found, run)
	}
	for _, job := range v.Jobs {
		if archives(job.Command) {
			found = append(found, archiving{subject: job.File, line: job.Line, user: job.User, period: period(job.When)})
		}
	}
	slices.SortFunc(found, func(a, b archiving) int {
		return cmp.Or(cmp.Compare(a.subject, b.subject), cmp.Compare(a.line, b.line))
	})
	return found
}

// archives tells whether a command makes Matomo's reports.
func archives(command string) bool {
	return slices.ContainsFunc(strings.Fields(command), func(word string) bool {
		base := path.Base(word)
		return word == "core:archive" || strings.HasSuffix(word, "misc/cron/"+base) && (base == "archive.php" || base == "archive.sh")
	})
}

// period is how far apart the runs of a cron job are, roughly: an hour, a day
// or a week.
func period(when string) time.Duration {
	fields := strings.Fields(when)
	switch {
	case when == "@weekly" || when == "weekly":
		return 7 * 24 * time.Hour
	case when == "@daily" || when == "@midnight" || when == "daily":
		return 24 * time.Hour
	case len(fields) == 5 && fields[4] != "*":
		return 7 * 24 * time.Hour
	case len(fields) == 5 && !strings.ContainsAny(fields[1], "*,-/"):
		return 24 * time.Hour
	}
	return time.Hour
}

// archivedLate tells whether the last complete archiving is two periods ago. A
// timer that is younger than that had no time yet.
func archivedLate(v *View, runs []archiving) (bool, model.Evidence) {
	shortest := slices.MinFunc(runs, func(a, b archiving) int { return cmp.Compare(a.period, b.period) })
	limit := 2 * shortest.period
	begin := v.Rows.Archived
	have := "never"
	if begin.IsZero() {
		begin = shortest.since
		if begin.IsZero() {
			begin = installed(v)
		}
	} else {
		have = begin.UTC().Format(time.DateTime) + " UTC"
	}
	e := model.Evidence{Subject: "option LastCompletedFullArchiving", Have: have, Want: fmt.Sprintf("within %s", limit)}
	return v.Observed.Sub(begin) > limit, e
}

// installed is when the first login of Matomo was made.
func installed(v *View) time.Time {
	var first time.Time
	for _, user := range v.Rows.Users {
		if !user.Registered.IsZero() && (first.IsZero() || user.Registered.Before(first)) {
			first = user.Registered
		}
	}
	return first
}
