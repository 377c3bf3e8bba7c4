package control

import (
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var app015Tracker = demands{forHits, []demand{
	{key: "Tracker.debug", usual: "0", want: "0", why: "the tracker shows its inside to visitors"},
	{key: "Tracker.debug_on_demand", usual: "0", want: "0", why: "any visitor turns debugging on"},
	{key: "Tracker.enable_sql_profiler", usual: "0", want: "0"},
	{key: "Debug.tracker_always_new_visitor", usual: "0", want: "0"},
}}

var app015All = demands{serving, []demand{
	{key: "Debug.enable_sql_profiler", usual: "0", want: "0", why: "queries are shown on pages"},
	{key: "Debug.log_sql_queries", usual: "0", want: "0", why: "data of visitors goes into logs"},
	{key: "Debug.enable_php_profiler", usual: "0", want: "0"},
	{key: "Debug.archiving_profile", usual: "0", want: "0"},
	{key: "Development.enabled", usual: "0", want: "0", why: "errors are shown with their traces"},
	{key: "Development.disable_merged_assets", usual: "0", want: "0"},
	{key: "log.log_level", usual: "WARN", want: "WARN", why: "tokens and data of visitors go into the log", holds: func(value string) bool {
		return !slices.Contains([]string{"DEBUG", "VERBOSE"}, strings.ToUpper(value))
	}},
}}

var app015 = Control{
	ID:       "APP-15",
	Title:    "debugging, profilers and development mode are off",
	Why:      "They show strangers the queries, paths and settings of the server, and write tokens and data of visitors into logs: what an attacker otherwise has to guess.",
	Severity: model.High,
	Needs:    []facts.Section{facts.App},
	Eval: func(v *View) Verdict {
		against, unread := app015All.against(v)
		more, _ := app015Tracker.against(v)
		return conclude(append(against, more...), unread)
	},
	Fix: Fix{
		Kind:    model.FixAutomatic,
		Text:    "Set debug and debug_on_demand in [Tracker], all of [Debug], and enabled in [Development] to 0, and log_level in [log] to WARN.",
		Steps:   configurationSteps,
		Changes: func(v *View) []Change { return append(app015All.changes(v), app015Tracker.changes(v)...) },
	},
	Attack: "A07",
	Maps:   []model.Ref{asvs("13.4.2")},
	Since:  "0.3",
}
