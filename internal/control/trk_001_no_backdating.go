package control

import (
	"rocca/internal/facts"
	"rocca/internal/model"
)

const (
	tokenForOverride = "Tracker.tracking_requests_require_authentication"
	tokenForOldHits  = "Tracker.tracking_requests_require_authentication_when_custom_timestamp_newer_than"
)

var trk001Settings = demands{forHits, []demand{
	{key: tokenForOverride, usual: "1", want: "1", why: "anybody sets address, place and time of a visit"},
	{key: tokenForOldHits, usual: "86400", want: "86400", why: "seconds into the past that anybody may write", holds: func(value string) bool {
		return between(value, 0, 86400)
	}},
}}

var trk001 = Control{
	ID:       "TRK-01",
	Title:    "who sends visits of the past, or of other addresses, needs a token",
	Why:      "Otherwise anybody forges the reports: visits of last year, from any country, with the address of somebody else.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.App},
	Eval:     trk001Settings.judge,
	Fix: Fix{
		Kind:    model.FixAutomatic,
		Text:    "Set tracking_requests_require_authentication = 1 and ..._when_custom_timestamp_newer_than = 86400 or less in [Tracker], and take sections [Tracker_N] that say otherwise away.",
		Steps:   configurationSteps,
		Changes: trk001Settings.changes,
	},
	Attack: "A20",
	Maps:   []model.Ref{asvs("13.2.1")},
	Since:  "0.3",
}
