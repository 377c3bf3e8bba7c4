package control

import (
	"fmt"
	"time"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// mostBehind is how long a hit may wait in the queue.
const mostBehind = 5 * time.Minute

var trk005 = Control{
	ID:       "TRK-05",
	Title:    "the queue of hits is worked off within five minutes, and nothing is pushed out of it",
	Why:      "A queue that nobody empties fills the memory of its server, which then throws hits away or stops to answer. An attacker has only to send more than is worked off.",
	Severity: model.High,
	Needs:    []facts.Section{facts.Content},
	Eval: func(v *View) Verdict {
		queue := v.Rows.Queue
		if queue == nil {
			return notApplicable("hits are recorded at once: there is no queue")
		}
		var against []model.Evidence
		unread := gaps(v, "queue")
		subject := "queue in " + queue.Backend
		if behind := v.Observed.Sub(queue.Oldest); !queue.Oldest.IsZero() && behind > mostBehind {
			against = append(against, model.Evidence{Subject: subject, Have: fmt.Sprintf("%d requests wait, the oldest for %s", queue.Length, behind.Round(time.Second)), Want: "less than " + mostBehind.String()})
		}
		if queue.Length > 0 && queue.Workers == 0 {
			against = append(against, model.Evidence{Subject: subject, Have: fmt.Sprintf("%d requests wait, and no worker runs", queue.Length), Want: "a worker by timer: queuedtracking:process"})
		}
		if queue.Backend == "redis" {
			unread = append(unread, blind(v, facts.Data)...)
			for _, server := range v.Redis {
				switch server.Policy {
				case "noeviction":
				case "":
					unread = append(unread, "the memory policy of "+server.Address+" is not known: "+server.Problem)
				default:
					against = append(against, model.Evidence{Subject: server.Address, Have: "maxmemory-policy " + server.Policy + ": hits are thrown away when memory is short", Want: "noeviction"})
				}
			}
		}
		return conclude(against, unread)
	},
	Fix:    automatic("Start console queuedtracking:process every minute by a timer as Matomo's own user, and set maxmemory-policy noeviction in the queue's Redis."),
	Attack: "A29",
	Since:  "0.3",
}
