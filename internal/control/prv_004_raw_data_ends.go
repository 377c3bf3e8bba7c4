package control

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var prv004 = Control{
	ID:       "PRV-04",
	Title:    "single visits are deleted when the stated time is over",
	Why:      "Matomo keeps every visit for ever unless told otherwise. What is not there any more cannot be stolen, and the law allows to keep personal data only as long as it is needed.",
	Severity: model.High,
	Needs:    []facts.Section{facts.App, facts.Content},
	Eval: func(v *View) Verdict {
		contexts, unread := readable(forUsers(v))
		unread = append(unread, gaps(v, "options", "oldest")...)
		var against []model.Evidence
		for _, c := range contexts {
			against = append(against, keptTooLong(v, c)...)
		}
		return conclude(against, unread)
	},
	Fix: Fix{
		Kind:  model.FixAutomatic,
		Text:  "Decide how many days single visits are needed (180 is usual), write that into rocca.yaml (raw_days under privacy:) and into your privacy statement, and set delete_logs_enable = 1 and delete_logs_older_than in [Deletelogs] with enable_delete_old_data_settings_admin = 0 in [General]. Reports stay.",
		Steps: configurationSteps,
		Changes: func(v *View) []Change {
			contexts, _ := readable(forUsers(v))
			var changes []Change
			for _, c := range contexts {
				if len(keptTooLong(v, c)) > 0 {
					days := strconv.Itoa(cmp.Or(v.Declared.RawDays, 180))
					changes = append(changes,
						setInConfiguration(v, c, "Deletelogs.delete_logs_enable", "1"),
						setInConfiguration(v, c, "Deletelogs.delete_logs_older_than", days),
						setInConfiguration(v, c, purgeByForm, "0"))
				}
			}
			return changes
		},
	},
	Maps:  []model.Ref{s2("15"), asvs("14.2.7"), gdpr("Art. 5(1)(e)")},
	Since: "0.3",
}

// purgeByForm lets options overrule what the configuration says of purging.
const purgeByForm = "General.enable_delete_old_data_settings_admin"

// purging is a setting of the deletion of old data: what was set in the user
// interface counts only while that form is there.
func purging(v *View, c facts.Context, key, usual string) (string, model.Evidence) {
	_, name, _ := strings.Cut(key, ".")
	if _, set := v.Rows.Options[name]; set && switchedOn(valueOf(c, purgeByForm, "1")) {
		return option(v, name, usual)
	}
	return valueOf(c, key, usual), settingEvidence(c, key, usual)
}

// keptTooLong is what is wrong with the deletion of single visits, as set and
// as measured.
func keptTooLong(v *View, c facts.Context) []model.Evidence {
	on, e := purging(v, c, "Deletelogs.delete_logs_enable", "0")
	if !switchedOn(on) {
		return []model.Evidence{wanting(e, "1: visits are kept for ever")}
	}
	days, e := purging(v, c, "Deletelogs.delete_logs_older_than", "180")
	limit, err := strconv.Atoi(days)
	if err != nil || limit < 1 {
		return []model.Evidence{wanting(e, "a number of days")}
	}
	var against []model.Evidence
	if stated := v.Declared.RawDays; stated > 0 && limit > stated {
		against = append(against, wanting(e, fmt.Sprintf("%d days, as stated", stated)))
	}
	interval, _ := purging(v, c, "Deletelogs.delete_logs_schedule_lowest_interval", "7")
	every, _ := strconv.Atoi(interval)
	// A run purges what is older than the limit, and comes every few days.
	latest := v.Observed.AddDate(0, 0, -limit-max(every, 1)-2)
	if oldest := v.Rows.Oldest; !oldest.IsZero() && oldest.Before(latest) {
		against = append(against, model.Evidence{
			Subject: "table log_visit",
			Have:    fmt.Sprintf("the oldest visit is of %s (%d days)", oldest.Format(time.DateOnly), int(v.Observed.Sub(oldest).Hours()/24)),
			Want:    fmt.Sprintf("%d days: the deletion is set, but does not run", limit),
		})
	}
	return against
}
