package control

import (
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var db012 = Control{
	ID:       "DB-12",
	Title:    "Redis takes orders from Matomo only, and forgets nothing of its queue",
	Why:      "Redis without a password obeys every user of the machine, and whoever reaches the port: he reads and forges hits, and writes files of the server. One that throws away keys when memory is short loses hits, and the locks that keep workers apart.",
	Severity: model.High,
	Needs:    []facts.Section{facts.Data},
	Eval: func(v *View) Verdict {
		if len(v.Redis) == 0 {
			return notApplicable("Matomo uses no Redis or Valkey")
		}
		var found []model.Evidence
		var unseen []string
		for _, r := range v.Redis {
			socket := strings.HasPrefix(r.Address, "/")
			if !socket && !r.Auth {
				found = append(found, model.Evidence{Subject: r.Address, Have: "answers without a password", Want: "a Unix socket, or requirepass"})
			}
			if r.Problem != "" {
				unseen = append(unseen, r.Address+" could not be asked: "+r.Problem)
				continue
			}
			if r.Policy == "" {
				unseen = append(unseen, r.Address+" did not tell maxmemory-policy")
			} else if r.Policy != "noeviction" {
				found = append(found, model.Evidence{Subject: r.Address, Have: "maxmemory-policy " + r.Policy, Want: "noeviction"})
			}
		}
		return conclude(found, unseen)
	},
	Fix:    automatic("unixsocket with unixsocketperm 770 and port 0, or requirepass and bind 127.0.0.1; maxmemory-policy noeviction."),
	Attack: "A29",
	Maps:   []model.Ref{asvs("13.2.1"), matomo("QueuedTracking#28")},
	Since:  "0.3",
}
