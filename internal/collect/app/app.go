// Package app observes a Matomo installation: its settings, its plugins, and
// what is known about its version. It reads files, runs none of Matomo's code
// but for Diagnose, and changes nothing.
package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"rocca/internal/facts"
	"rocca/internal/matomo/advisories"
	"rocca/internal/matomo/release"
	"rocca/internal/secret"
)

// DataDir is a directory where one Unix user's Matomo keeps its configuration
// and what it writes (PIWIK_USER_PATH).
type DataDir struct {
	Name string // "ui", "tracker", "cron", "admin"
	User string // empty: not known
	Dir  string
}

// Options say what the caller knows of an installation, and what to look at.
type Options struct {
	Data        []DataDir // of a layout with directories outside of the code, "ui" first; nil: as its bootstrap.php says, else the code's own
	User        string    // whose PHP runs it, when Data is nil
	Others      []string  // further installations, whose secrets should be different
	Installed   bool      // by rocca, which means to be the one writer of the configuration
	LinesOfCode bool      // count them: reads all of the code
}

// Secrets are the values that a survey found and does not tell.
type Secrets struct {
	Database secret.Secret // password of its user; the rest of the login is among the settings of the first context
	Held     []Held
	Redis    map[string]secret.Secret // password by address, "/run/redis.sock" or "127.0.0.1:6379"; empty: none
}

// Held is a secret of a configuration.
type Held struct {
	Path  string // of the file
	Key   string // "database.password"
	Kind  string // as in facts.SecretPlace
	Value secret.Secret
}

// Survey observes the installation in root, which may be a link. Of what cannot
// be read, Context.Problem tells why; the error is for a root that is no
// Matomo.
func Survey(ctx context.Context, root string, o Options) (facts.Matomo, Secrets, error) {
	real, err := filepath.EvalSymlinks(root)
	if err != nil {
		return facts.Matomo{}, Secrets{}, fmt.Errorf("look at Matomo in %s: %w", root, err)
	}
	m := facts.Matomo{Root: root, Real: real, Others: o.Others}
	top, err := os.OpenRoot(real)
	if err != nil {
		return m, Secrets{}, fmt.Errorf("look at Matomo in %s: %w", root, err)
	}
	defer top.Close()
	text, err := readIn(top, "core/Version.php", sourceLimit)
	if err != nil {
		return m, Secrets{}, fmt.Errorf("look at Matomo in %s: %w", root, err)
	}
	if m.Version, err = release.ParseVersion(text); err != nil {
		return m, Secrets{}, fmt.Errorf("look at Matomo in %s: %w", root, err)
	}
	known, err := advisories.Load()
	if err != nil {
		return m, Secrets{}, err
	}
	datesOf(&m, known)
	if _, err := top.Lstat("bootstrap.php"); err == nil {
		m.Bootstrap = filepath.Join(real, "bootstrap.php")
	}

	global := config{}
	if text, err := readIn(top, "config/global.ini.php", configLimit); err == nil {
		global = parseConfig(filepath.Join(real, "config/global.ini.php"), text)
	} else {
		global.problem = err.Error()
	}
	found := Secrets{Redis: map[string]secret.Secret{}}
	for i, data := range dataDirs(real, top, m.Bootstrap != "", o) {
		c, secrets := surveyContext(data, global)
		m.Contexts = append(m.Contexts, c)
		for _, key := range slices.Sorted(maps.Keys(secrets)) {
			found.Held = append(found.Held, Held{Path: c.Config, Key: key, Kind: kind(key), Value: secrets[key]})
		}
		maps.Copy(found.Redis, redisServers(c, secrets))
		if i == 0 {
			found.Database = secrets["database.password"]
		}
		m.HostConfigs = append(m.HostConfigs, hostConfigs(data.Dir)...)
	}
	m.HostConfigs = append(m.HostConfigs, hostConfigs(real)...)
	slices.Sort(m.HostConfigs)
	m.HostConfigs = slices.Compact(m.HostConfigs)
	markReuse(m.Contexts, found.Held, o.Others)
	m.Locked = o.Installed && len(m.Contexts) > 0 && !slices.ContainsFunc(m.Contexts, writable)
	if o.LinesOfCode {
		m.LinesOfCode, err = countLines(ctx, real, active(m))
	}
	return m, found, err
}

// datesOf tells how old the version is, and since when there is a newer one.
func datesOf(m *facts.Matomo, known advisories.Data) {
	m.Newest = known.Newest()
	m.Released, m.NewestOf = known.Releases[m.Version], known.Releases[m.Newest]
}

var (
	literalDir = regexp.MustCompile(`['"](/[^'"$]*)['"]`)
	userPath   = regexp.MustCompile(`define\s*\(\s*['"]PIWIK_USER_PATH['"]\s*,([^;]*);`)
)

// dataDirs are those that the caller knows, else the one that bootstrap.php
// names, else the code's own.
func dataDirs(real string, top *os.Root, bootstrap bool, o Options) []DataDir {
	if len(o.Data) > 0 {
		return o.Data
	}
	one := DataDir{Name: "ui", User: o.User, Dir: real}
	if bootstrap {
		text, err := readIn(top, "bootstrap.php", sourceLimit)
		if match := userPath.FindSubmatch(text); err == nil && match != nil {
			if dir := literalDir.FindSubmatch(match[1]); dir != nil {
				one.Dir = filepath.Clean(string(dir[1]))
			}
		}
	}
	if one.User == "" {
		one.User = writerOf(filepath.Join(one.Dir, "tmp"))
	}
	return []DataDir{one}
}

// writerOf is the owner of a directory when that is not root: of tmp it is who
// runs Matomo.
func writerOf(dir string) string {
	info, err := os.Lstat(dir)
	if err != nil {
		return ""
	}
	uid := info.Sys().(*syscall.Stat_t).Uid
	if uid == 0 {
		return ""
	}
	u, err := user.LookupId(strconv.FormatUint(uint64(uid), 10))
	if err != nil {
		return ""
	}
	return u.Username
}

// surveyContext reads the configuration of one data directory; the secrets are
// by "Section.key".
func surveyContext(data DataDir, global config) (facts.Context, map[string]secret.Secret) {
	dir := filepath.Join(data.Dir, "config")
	c := facts.Context{Name: data.Name, User: data.User, Data: data.Dir, Config: filepath.Join(dir, "config.ini.php")}
	local, err := readConfig(c.Config)
	if errors.Is(err, fs.ErrNotExist) {
		local.problem, err = "there is no "+c.Config, nil
	}
	common, commonErr := readConfig(filepath.Join(dir, "common.config.ini.php"))
	if errors.Is(commonErr, fs.ErrNotExist) {
		commonErr = nil
	}
	if err := cmp.Or(err, commonErr); err != nil { // then it is not known what is in effect
		c.Tmp, c.Problem = filepath.Join(data.Dir, "tmp"), facts.Why(err)
		return c, nil
	}
	merged := merge(global, common, local)
	var secrets map[string]secret.Secret
	c.Settings, c.Secrets, secrets = split(merged)
	c.Guarded, c.Local = local.guarded, local.lines
	c.Tmp = filepath.Join(data.Dir, cmp.Or(c.Setting("General.tmp_path"), "tmp"))
	problems := []string{global.problem, local.problem, common.problem}
	c.Problem = strings.Join(slices.DeleteFunc(problems, func(p string) bool { return p == "" }), "; ")
	return c, secrets
}

func readConfig(path string) (config, error) {
	text, err := read(path, configLimit)
	if err != nil {
		return config{}, err
	}
	return parseConfig(path, text), nil
}

// kind names a secret as facts.SecretPlace does.
func kind(key string) string {
	switch section, name, _ := strings.Cut(key, "."); {
	case name == "salt":
		return "salt"
	case strings.HasPrefix(section, "database"):
		return "database password"
	case section == "mail":
		return "mail password"
	case section == "RedisCache":
		return "Redis password"
	case strings.Contains(strings.ToLower(name), "token"):
		return "API token"
	case section == "proxy":
		return "proxy password"
	}
	return "secret of " + key
}

// redisServers are those that the cache of a context uses.
func redisServers(c facts.Context, secrets map[string]secret.Secret) map[string]secret.Secret {
	uses := c.Setting("Cache.backend") == "redis" ||
		c.Setting("Cache.backend") == "chained" && slices.Contains(c.Settings["ChainedCache.backends"], "redis")
	if !uses {
		return nil
	}
	address := c.Setting("RedisCache.unix_socket")
	if address == "" {
		address = c.Setting("RedisCache.host")
		if !strings.HasPrefix(address, "/") {
			address += ":" + c.Setting("RedisCache.port")
		}
	}
	return map[string]secret.Secret{address: secrets["RedisCache.password"]}
}

// hostConfigs lists the configurations that Matomo chooses by the Host header.
func hostConfigs(dir string) []string {
	escaped := escapePattern(dir)
	matches, _ := filepath.Glob(escaped + "/config/*.config.ini.php")
	matches = slices.DeleteFunc(matches, func(path string) bool { return filepath.Base(path) == "common.config.ini.php" })
	below, _ := filepath.Glob(escaped + "/misc/user/*/config.ini.php")
	return append(matches, below...)
}

// markReuse notes where a secret is also used for something else, here or by
// another installation. The contexts of one installation share theirs.
func markReuse(contexts []facts.Context, held []Held, others []string) {
	elsewhere := slices.Clone(held)
	for _, other := range others {
		path := filepath.Join(other, "config/config.ini.php")
		text, err := read(path, configLimit)
		if err != nil {
			continue
		}
		_, _, secrets := split(parseConfig(path, text).values)
		for key, value := range secrets {
			elsewhere = append(elsewhere, Held{Path: path, Key: key, Value: value})
		}
	}
	own := map[string]bool{}
	for _, c := range contexts {
		own[c.Config] = true
	}
	for _, h := range held {
		i := slices.IndexFunc(elsewhere, func(e Held) bool {
			return e.Value.Reveal() == h.Value.Reveal() && (e.Key != h.Key || !own[e.Path])
		})
		if i < 0 {
			continue
		}
		for _, c := range contexts {
			if s, ok := c.Secrets[h.Key]; ok && c.Config == h.Path {
				s.Reused = elsewhere[i].Key + " of " + elsewhere[i].Path
				c.Secrets[h.Key] = s
			}
		}
	}
}

// writable tells whether another user than root owns or may write a context's
// configuration or the directory that it is in. That of rocca's "admin", which
// runs for an upgrade only, is a copy made for each.
func writable(c facts.Context) bool {
	if c.Name == "admin" {
		return false
	}
	for _, path := range []string{c.Config, filepath.Dir(c.Config)} {
		info, err := os.Lstat(path)
		if err != nil || info.Mode().Perm()&0o022 != 0 || info.Sys().(*syscall.Stat_t).Uid != 0 {
			return true
		}
	}
	return false
}
