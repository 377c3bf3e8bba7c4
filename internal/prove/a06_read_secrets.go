package prove

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"rocca/internal/model"
)

var a06 = Attack{
	ID:    "A06",
	Title: "every other user opens every secret",
	How: "Each other user opens every configuration of Matomo, what lies in its tmp, sessions, files of the database, private keys of TLS and SSH, what rocca keeps, credentials of units, hashes of passwords, logs and copies that hold a secret, " +
		"and the environment of Matomo's processes; and lists the directories of these. Who owns a secret is left out. One byte is read, and none is shown.",
	Risk:    "none: it only reads",
	Without: []Protection{configMode, poolGroup, keyMode, databaseFiles},
	Attempt: attemptSecrets,
}

var configMode = Protection{
	ID:       "config-mode",
	Title:    "config.ini.php is not readable by everybody, and neither is its directory passable",
	Part:     ConfigPart,
	Remove:   `chmod 0755 "$STATE/config" && chmod 0644 "$STATE/config/config.ini.php"`,
	Controls: []string{"FS-04", "FS-17"},
}

var poolGroup = Protection{
	ID:       "pool-group",
	Title:    "the front is not in the group of Matomo's PHP",
	Part:     StatePart,
	Remove:   `gpasswd -a www-data "$(stat -c %G "$STATE/config")"`,
	Controls: []string{"FS-15", "FS-04", "ISO-10"},
}

var keyMode = Protection{
	ID:       "key-mode",
	Title:    "only root can read the private key of the certificate",
	Part:     StatePart,
	Remove:   `chmod 0755 /etc/rocca/tls && chmod 0644 /etc/rocca/tls/*.key`,
	Controls: []string{"TLS-04"},
}

var databaseFiles = Protection{
	ID:       "database-files",
	Title:    "only the database server reads its files",
	Part:     DataPart,
	Remove:   `chmod -R o+rX /var/lib/mysql`,
	Controls: []string{"DB-10"},
}

// private is what only some may read.
type private struct {
	path string
	kind string
	may  []string // users who may, beside root
	dir  bool     // its names are what is private
}

func attemptSecrets(_ context.Context, t *Target, r *Record) error {
	secrets := t.secrets()
	if len(secrets) == 0 {
		return errors.New("open secrets: none was found")
	}
	for _, name := range t.Others() {
		var tries []model.Try
		err := As(name, func() error {
			for _, s := range secrets {
				if slices.Contains(s.may, name) {
					continue
				}
				if try, there := s.open(name); there {
					tries = append(tries, try)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, try := range tries {
			r.Try(try)
		}
	}
	return nil
}

// open has the user that this thread runs as open a secret. What is gone
// meanwhile is no try.
func (s private) open(name string) (try model.Try, there bool) {
	try = model.Try{Who: "user " + name, What: "read " + s.kind, Where: s.path}
	if s.dir {
		try.What = "list " + s.kind
	}
	// A pipe must not wait, and nothing is followed to elsewhere.
	fd, err := unix.Open(s.path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		try.Answer = err.Error()
		return try, !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ESRCH)
	}
	file := os.NewFile(uintptr(fd), s.path)
	defer file.Close()
	if s.dir {
		names, err := file.Readdirnames(-1)
		if err != nil {
			try.Answer = err.Error()
			return try, true
		}
		try.Fell, try.Answer = true, fmt.Sprintf("%d names", len(names))
		try.Reproduce = fmt.Sprintf(`runuser -u %s -- sh -c 'ls -A "$1" >/dev/null && echo "$(id -un) lists it"' sh %s`, name, shellWord(s.path))
		return try, true
	}
	if _, err := file.Read(make([]byte, 1)); err != nil && !errors.Is(err, io.EOF) {
		try.Answer = err.Error()
		return try, true
	}
	try.Fell, try.Answer = true, "opened"
	if info, err := file.Stat(); err == nil && info.Size() > 0 {
		try.Answer = fmt.Sprintf("opened, %d bytes", info.Size())
	}
	try.Reproduce = fmt.Sprintf("runuser -u %s -- wc -c %s", name, shellWord(s.path))
	return try, true
}

// mostFiles is how many files of one directory are tried.
const mostFiles = 60

// secrets lists what nobody but its owner may read, by what is known of the
// server. The worst to lose come first.
func (t *Target) secrets() []private {
	var all []private
	seen := map[string]bool{}
	add := func(kind string, dir bool, may []string, names ...string) {
		for _, name := range names {
			info, err := os.Lstat(name)
			empty := err == nil && info.Mode().IsRegular() && info.Size() == 0 && !within(name, "/proc")
			if !path.IsAbs(name) || err != nil || seen[name] || empty || info.IsDir() != dir || !dir && !info.Mode().IsRegular() {
				continue
			}
			seen[name] = true
			all = append(all, private{name, kind, append(slices.Clone(may), ownerOf(info)), dir})
		}
	}
	tree := func(kind, top string, may ...string) {
		add("the names of "+kind, true, may, top)
		add(kind, false, may, filesBelow(top)...)
	}

	for _, c := range t.Matomo.Contexts {
		add("Matomo's configuration", false, []string{c.User}, c.Config, path.Join(path.Dir(c.Config), "common.config.ini.php"))
	}
	for _, c := range t.Matomo.Contexts { // of other ways to run it, such as migrations
		add("Matomo's configuration", false, nil, glob(c.Data+"-*/config/*.ini.php")...)
	}
	add("Matomo's configuration", false, nil, t.Matomo.HostConfigs...)
	for _, other := range t.Matomo.Others {
		add("another Matomo's configuration", false, nil, path.Join(other, "config/config.ini.php"))
	}
	for _, site := range t.Front.Sites {
		if real, err := filepath.EvalSymlinks(site.Key); err == nil {
			add("the private key of TLS", false, nil, real)
		}
	}
	add("hashes of passwords", false, nil, "/etc/shadow", "/etc/gshadow", "/etc/shadow-", "/etc/gshadow-")
	add("a password of the database", false, nil, "/etc/mysql/debian.cnf")
	for _, place := range t.Oddities.Secrets {
		add("a copy of a secret ("+place.Kind+")", false, t.poolUsers(), place.Path)
	}
	for _, key := range t.SSH.PrivateKeys {
		add("a private key of SSH", false, nil, key.Path)
	}
	add("the private key of the SSH server", false, nil, glob("/etc/ssh/ssh_host_*_key")...)
	add("a credential of a unit", false, nil, glob("/run/credentials/*/*")...)
	for _, unit := range t.Units {
		for _, name := range unit.EnvFiles {
			if text, err := os.ReadFile(name); err == nil && secretSetting.Match(text) {
				add("the environment of a unit", false, nil, name)
			}
		}
	}
	for _, pool := range t.PHP.Pools {
		if len(pool.SecretEnv) > 0 {
			add("the environment of a pool", false, nil, pool.File)
		}
	}
	for _, p := range t.Processes {
		if p.PID != os.Getpid() && (slices.Contains(t.poolUsers(), p.User) || slices.Contains([]string{t.Front.User, "mysql"}, p.User)) {
			add("the environment of a process of "+p.User, false, []string{p.User}, fmt.Sprintf("/proc/%d/environ", p.PID))
		}
	}
	if t.Rocca.Installed {
		tree("what rocca keeps", "/var/lib/rocca")
	}
	for _, log := range t.Logs.Files {
		if log.Tokens > 0 {
			add("a log with tokens in it", false, t.poolUsers(), log.Path)
		}
	}
	if dir := filepath.Clean(t.Database.DataDir); path.IsAbs(dir) {
		schema := t.Matomo.Main().Setting("database.dbname")
		if base := path.Base(schema); schema != "" && base == schema {
			tree("Matomo's tables", path.Join(dir, schema), "mysql")
		}
		tree("files of the database", dir, "mysql")
	}
	for _, pool := range t.MatomoPools() {
		save := pool.Value("session.save_path", "/var/lib/php/sessions")
		if save != "" && path.IsAbs(save) {
			tree("sessions of PHP", path.Clean(save), pool.User)
		}
	}
	for _, c := range t.Matomo.Contexts {
		add("the names of what Matomo keeps", true, []string{c.User}, c.Tmp)
		add("sessions of PHP", false, []string{c.User}, glob(c.Tmp+"/sess_*")...)
		for _, name := range []string{"cache", "sessions", "logs"} {
			tree(name+" of Matomo", path.Join(c.Tmp, name), c.User)
		}
		if !within(c.Config, t.Matomo.Real) { // where it is, its names are those of the release
			add("the names of configurations", true, []string{c.User}, path.Dir(c.Config))
		}
	}
	return all
}

// secretSetting is a line that sets a variable that is named like a secret.
var secretSetting = regexp.MustCompile(`(?im)^\s*(export\s+)?\w*(passw|secret|token|_key)\w*\s*=\s*["']?\S`)

func glob(pattern string) []string {
	names, err := filepath.Glob(pattern)
	if err != nil {
		return nil // the name has what a pattern takes for its own
	}
	return names
}

// ownerOf is the name of who owns a file; "" when there is none.
func ownerOf(info fs.FileInfo) string {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	u, err := user.LookupId(strconv.Itoa(int(stat.Uid)))
	if err != nil {
		return ""
	}
	return u.Username
}

// filesBelow are the files of a directory and of those below it, as far as
// mostFiles, without those that Matomo puts there for the front.
func filesBelow(top string) []string {
	var files []string
	_ = filepath.WalkDir(top, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // gone meanwhile
		}
		if entry.Type().IsRegular() && !slices.Contains([]string{".htaccess", "index.htm", "index.html", "index.php"}, entry.Name()) {
			files = append(files, name)
		}
		if len(files) >= mostFiles {
			return fs.SkipAll
		}
		return nil
	})
	return files
}
