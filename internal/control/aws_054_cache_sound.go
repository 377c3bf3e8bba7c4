package control

import (
	"slices"
	"strconv"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var soundCaches = each[facts.CloudCache]{
	all: func(v *View) []facts.CloudCache {
		return slices.DeleteFunc(slices.Clone(v.Cloud.Caches), func(c facts.CloudCache) bool { return !v.concerns(c.Tags, "") })
	},
	none: func(v *View) Verdict {
		if v.Cloud.Wanted.Known {
			return notApplicable("profile " + v.Cloud.Wanted.Profile + ": there is no cache")
		}
		return notApplicable("there is no cache")
	},
	judge: func(_ *View, c facts.CloudCache) (against []model.Evidence, _ []string) {
		lacks := func(lacking bool, have, want string) {
			if lacking {
				against = append(against, model.Evidence{Subject: "cache " + c.ID, Have: have, Want: want})
			}
		}
		lacks(!c.Transit, "speaks in the clear", "TLS")
		lacks(c.Transit && c.TransitMode == transitPreferred, "speaks in the clear to who asks for it", "transit encryption mode required")
		lacks(!c.AtRest, "not encrypted at rest", "encrypted")
		lacks(len(c.UserGroups) == 0 && !c.AuthToken, "lets in everybody who reaches it", "a user group with a password")
		lacks(!c.Failover, "no automatic failover", "a second node that takes over")
		lacks(c.Backups == 0, "no backups", "one a day")
		lacks(!c.Upgrades, "takes no minor versions by itself", "automatic minor upgrades")
		return against, nil
	},
	shows: func(_ *View, c facts.CloudCache) []model.Evidence {
		return []model.Evidence{{Subject: "cache " + c.ID, Have: "TLS, encrypted, logins, failover, backups for " + daysInWords(c.Backups)}}
	},
	puts: func(v *View, c facts.CloudCache) (all []Change) {
		modify := func(sentence string, settings ...string) {
			words := append([]string{"elasticache", "modify-replication-group", "--replication-group-id", c.ID}, settings...)
			all = append(all, Change{Sentence: sentence, Command: v.commandLine(append(words, "--apply-immediately")...)})
		}
		if !c.Transit {
			modify("let cache "+c.ID+" speak TLS to who asks for it; when all of Matomo does, make it required", "--transit-encryption-enabled", "--transit-encryption-mode", transitPreferred)
		}
		if c.Transit && c.TransitMode == transitPreferred {
			modify("let cache "+c.ID+" speak nothing but TLS", "--transit-encryption-mode", "required")
		}
		if !c.Failover {
			modify("let the second node of cache "+c.ID+" take over", "--automatic-failover-enabled")
		}
		if c.Backups == 0 {
			modify("back up cache "+c.ID+" every day", "--snapshot-retention-limit", strconv.Itoa(backupDays(v)))
		}
		if !c.Upgrades {
			modify("let cache "+c.ID+" take minor versions", "--auto-minor-version-upgrade")
		}
		return all
	},
}

// transitPreferred is the mode in which a cache also speaks in the clear.
const transitPreferred = "preferred"

var aws054 = Control{
	ID:       "AWS-54",
	Title:    "the cache speaks TLS only, is encrypted, asks for a login, and survives the loss of a node",
	Why:      "Hits wait there until they are recorded: who reaches an open cache reads visits as they come, invents others, or has the worker decode what he wrote.",
	Severity: model.High,
	Needs:    []facts.Section{facts.CloudCaches},
	Eval:     soundCaches.verdict,
	Fix:      guidedBy("Transit encryption required, encryption at rest (only when it is made), a user group, automatic failover, daily backups, minor upgrades. Profile scale of rocca-aws.yaml makes it so: rocca aws deploy.", soundCaches.changes),
	Maps:     []model.Ref{fsbp("ElastiCache.1"), fsbp("ElastiCache.2"), fsbp("ElastiCache.3"), fsbp("ElastiCache.4"), fsbp("ElastiCache.5"), fsbp("ElastiCache.6")},
	Since:    "0.6",
}
