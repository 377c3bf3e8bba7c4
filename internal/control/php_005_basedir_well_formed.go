package control

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// wide are directories that hold much more than one application.
var wide = []string{"/", "/etc", "/home", "/opt", "/root", "/run", "/srv", "/tmp", "/usr", "/usr/share", "/var", "/var/lib", "/var/tmp", "/var/www"}

// A missing slash at the end is none of the mistakes: since PHP 5.3.4 an entry
// is a directory and not a prefix.
var php005 = Control{
	ID:       "PHP-05",
	Title:    "where open_basedir is set, it is set without a mistake",
	Why:      "open_basedir keeps an honest script in its directory. Set by php_value a script lifts it by itself, and set too wide it keeps nobody out. Even without a mistake it is no boundary: a program that PHP starts never sees it, and who speaks FastCGI replaces it. No other finding is better for it.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.Runtime, facts.App},
	Eval: func(v *View) Verdict {
		pools := v.MatomoPools()
		if len(pools) == 0 {
			return unknown(noPool)
		}
		var found []model.Evidence
		set := false
		for _, pool := range pools {
			if phpNone(pool.Value("open_basedir", "")) {
				continue
			}
			set = true
			found = append(found, basedirMistakes(v, pool)...)
		}
		if !set {
			return notApplicable("open_basedir is not set, and nothing relies on it: the sandbox of the unit is the boundary (ISO-07, ISO-08)")
		}
		return conclude(found, nil)
	},
	Fix:    automatic("Leave open_basedir out and let systemd's sandbox be the boundary, as rocca does; or set it by php_admin_value, to the directories of this Matomo only.", phpSteps...),
	Attack: "A16",
	Maps:   []model.Ref{s2("19"), s2("26")},
	Since:  "0.3",
}

func basedirMistakes(v *View, pool facts.Pool) []model.Evidence {
	setting := pool.Settings["open_basedir"]
	var found []model.Evidence
	against := func(have, want string) {
		found = append(found, at(setting, "pool "+pool.Name+": "+have, want))
	}
	if !setting.Admin && setting.From != "" && strings.HasPrefix(setting.From, pool.File+":") {
		against("open_basedir is set by php_value, which a script may change", "php_admin_value")
	}
	entries := strings.Split(setting.Value, ":")
	for _, entry := range entries {
		switch {
		case !path.IsAbs(entry):
			against(fmt.Sprintf("entry %q depends on the directory that a script is in", entry), "an absolute path")
		case slices.Contains(wide, path.Clean(entry)):
			against(fmt.Sprintf("entry %q holds what is not Matomo's", entry), "the directories of Matomo only")
		}
	}
	for _, context := range v.Matomo.Contexts {
		if context.Tmp == "" || context.User != pool.User {
			continue
		}
		if !slices.ContainsFunc(entries, func(entry string) bool { return within(context.Tmp, path.Clean(entry)) }) {
			against(context.Tmp+" is in none of the entries, so Matomo cannot write there", "with "+context.Tmp)
		}
	}
	return found
}
