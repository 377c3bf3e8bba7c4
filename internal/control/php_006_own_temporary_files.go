package control

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// phpTemporary are the directives that name directories for temporary files,
// with the directory where nothing sets them in Debian.
var phpTemporary = []struct{ name, otherwise string }{
	{"upload_tmp_dir", "/tmp"}, {"sys_temp_dir", "/tmp"}, {"session.save_path", "/var/lib/php/sessions"},
}

var php006 = Control{
	ID:       "PHP-06",
	Title:    "uploads, sessions and temporary files of PHP lie in a directory of Matomo's own",
	Why:      "In a directory that applications share, another one reads the session of an administrator, or puts a file where Matomo looks for its own.",
	Severity: model.Medium,
	Needs:    []facts.Section{facts.Runtime, facts.Files, facts.Services},
	Eval: func(v *View) Verdict {
		pools := v.MatomoPools()
		if len(pools) == 0 {
			return unknown(noPool)
		}
		var found []model.Evidence
		var unseen []string
		for _, pool := range pools {
			for _, d := range phpTemporary {
				dir := temporary(pool, d.name, d.otherwise)
				if hiddenTmp(v, pool, dir) {
					continue
				}
				e := directive(pool, d.name, d.otherwise, "")
				e.Want = "a directory of " + pool.User + " alone, 0700"
				p := inode(v.Server, dir)
				switch {
				case slices.Contains([]string{"/tmp", "/var/tmp", "/var/lib/php/sessions", "/dev/shm"}, dir):
					e.Have = fmt.Sprintf("pool %s: %s is %s, which all of the machine share", pool.Name, d.name, dir)
				case sharedWith(v, pool, d.name, d.otherwise, dir) != "":
					e.Have = fmt.Sprintf("pool %s: %s is %s, as for pool %s of another user", pool.Name, d.name, dir, sharedWith(v, pool, d.name, d.otherwise, dir))
				case !p.Exists():
					unseen = append(unseen, dir+" was not looked at")
					continue
				case p.Type != facts.Dir || p.Owner != pool.User || p.Mode&0o077 != 0:
					e.Have = fmt.Sprintf("pool %s: %s is %s, %s:%s %04o", pool.Name, d.name, dir, p.Owner, p.Group, uint32(p.Mode))
				default:
					continue
				}
				found = append(found, e)
			}
		}
		return conclude(found, slices.Compact(unseen))
	},
	Fix:    automatic("sys_temp_dir, upload_tmp_dir and session.save_path name Matomo's tmp, which is 0700 and of the pool's user.", append([]string{"directory /var/lib/*/tmp"}, phpSteps...)...),
	Attack: "A06",
	Maps:   []model.Ref{s2("24")},
	Since:  "0.3",
}

// temporary is a directory for temporary files. session.save_path may have
// parameters before it: "2;0600;/var/lib/x".
func temporary(pool facts.Pool, name, otherwise string) string {
	value := pool.Value(name, "")
	value = strings.Trim(value[strings.LastIndexByte(value, ';')+1:], `"' `)
	if value == "" {
		return otherwise
	}
	return path.Clean(value)
}

// hiddenTmp tells whether the unit of a pool has a /tmp of its own, which no
// other pool has.
func hiddenTmp(v *View, pool facts.Pool, dir string) bool {
	if !within(dir, "/tmp") && !within(dir, "/var/tmp") || v.Units[pool.Master].Sandbox["PrivateTmp"] != "yes" {
		return false
	}
	return !slices.ContainsFunc(v.PHP.Pools, func(other facts.Pool) bool { return other.Master == pool.Master && other.User != pool.User })
}

// sharedWith names a pool of another user that has the same directory.
func sharedWith(v *View, pool facts.Pool, name, otherwise, dir string) string {
	for _, other := range v.PHP.Pools {
		if other.User != pool.User && temporary(other, name, otherwise) == dir {
			return other.Name
		}
	}
	return ""
}
