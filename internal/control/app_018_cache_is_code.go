package control

import (
	"fmt"
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
	"rocca/internal/reach"
)

var app018 = Control{
	ID:       "APP-18",
	Title:    "nobody but a pool's own user writes where that pool keeps its cache",
	Why:      "Matomo's cache and its compiled templates are PHP files that Matomo runs. Whoever writes one of them runs code as Matomo's user, with everything that this user can read; noexec does not help.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.Accounts, facts.Files, facts.App, facts.Runtime},
	Eval: func(v *View) Verdict {
		contexts, unread := v.Matomo.Contexts, blind(v, facts.Data)
		if len(contexts) == 0 {
			unread = append(unread, "no configuration of Matomo was found")
		}
		var against []model.Evidence
		for i, c := range contexts {
			if usesRedis(c) {
				for _, server := range v.Redis {
					if strings.Contains(server.Address, ":") && !server.Auth {
						against = append(against, model.Evidence{Subject: server.Address, Have: "a cache without a password, that every local user can write", Want: "a Unix socket of its own, or a password"})
					}
				}
			}
			if c.User == "" {
				unread = append(unread, "it is not known who runs "+c.Config)
				continue
			}
			against = append(against, ways(c.Tmp, reach.Without(v.Reach.Writers(c.Tmp), c.User), "written by "+c.User+" only")...)
			if other := slices.IndexFunc(contexts[:i], func(o facts.Context) bool { return o.Tmp == c.Tmp && o.User != c.User }); other >= 0 {
				against = append(against, model.Evidence{Subject: c.Tmp, Have: fmt.Sprintf("the cache of %s and of %s at once", contexts[other].User, c.User), Want: "one directory for each"})
			}
		}
		return conclude(against, unread)
	},
	Fix:    automatic("Give each pool a tmp of its own: owned by its user, mode 0700, outside of the document root and below directories of root (tmp_path, or PIWIK_USER_PATH in bootstrap.php).", "directory /*/*/*/tmp", "directory /*/*/tmp"),
	Attack: "A05",
	Maps:   []model.Ref{s2("28")},
	Since:  "0.3",
}

// usesRedis tells whether a context keeps its cache in Redis.
func usesRedis(c facts.Context) bool {
	backend := valueOf(c, "Cache.backend", "chained")
	return backend == "redis" || backend == "chained" && slices.Contains(c.Settings["ChainedCache.backends"], "redis")
}
