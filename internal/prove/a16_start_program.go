package prove

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
	"rocca/internal/run"
)

var a16 = Attack{
	ID:    "A16",
	Title: "PHP starts a program, by mail and LD_PRELOAD too",
	How: "Each pool of Matomo tries every function of PHP that starts a program: with a shell, without one, and with the only programs that a sandbox leaves (PHP itself). " +
		"It has mail() start one, once with a log file (-X) and once with a library of its choice in LD_PRELOAD; it calls the machine by FFI and dl; it gives a file of its own the setuid bit. " +
		"The users of the pools, outside of their units, start a program from each directory that everybody may write.",
	Risk:    "none: \"id\" is started where something can be; mail() has no recipient, and options that keep a mailer quiet",
	Without: []Protection{noPrograms, functionsOff, noSetuid, temporaryNotRun},
	Attempt: attemptPrograms,
}

var noPrograms = Protection{
	ID:       "unit-no-programs",
	Title:    "nothing but PHP can be executed in the unit of the UI's pool",
	Part:     UIUnit,
	Remove:   withoutOption("ui", "NoExecPaths="),
	Controls: []string{"ISO-07"},
}

var functionsOff = Protection{
	ID:       "functions-off",
	Title:    "the UI's PHP has no function that starts a program",
	Part:     UIUnit,
	Remove:   withSetting("disable_functions", ""),
	Controls: []string{"PHP-04"},
}

var noSetuid = Protection{
	ID:       "unit-no-setuid",
	Title:    "the unit of the UI's pool cannot make a file setuid",
	Part:     UIUnit,
	Remove:   withoutOption("ui", "RestrictSUIDSGID=no"),
	Controls: []string{"ISO-07"},
}

var temporaryNotRun = Protection{
	ID:       "tmp-noexec",
	Title:    "no program starts from a directory that everybody may write",
	Part:     HostPart,
	Remove:   `mount -o remount,bind,nodev,nosuid,exec /tmp`,
	Controls: []string{"HST-10"},
}

func attemptPrograms(ctx context.Context, t *Target, r *Record) error {
	for _, pool := range t.MatomoPools() {
		dir, err := t.ownDir(ctx, pool)
		if err != nil {
			return err
		}
		deeds, err := t.programDeeds(pool, dir)
		if err != nil {
			return err
		}
		if err := t.tryInPool(ctx, r, pool, deeds); err != nil {
			return err
		}
	}
	for _, name := range t.poolUsers() {
		if err := t.startCopies(ctx, r, name); err != nil {
			return err
		}
	}
	return nil
}

// ownDir is a directory that a pool can write to.
func (t *Target) ownDir(ctx context.Context, pool facts.Pool) (string, error) {
	candidates := []string{pool.Value("sys_temp_dir", "/tmp")}
	for _, c := range t.Matomo.Contexts {
		if c.User == pool.User {
			candidates = append([]string{c.Tmp}, candidates...)
		}
	}
	for _, dir := range candidates {
		if dir == "" || dir == "/tmp" { // may be one of its own, which root does not see
			continue
		}
		came, err := t.inPool(ctx, pool, []deed{{PHP: "return is_writable(" + phpText(dir) + ");"}})
		if err != nil {
			return "", err
		}
		if came[0].Got != "" {
			return dir, nil
		}
	}
	return "", fmt.Errorf("find a directory that the pool %s may write: none of %s", pool.Name, strings.Join(candidates, ", "))
}

// preloaded is a library of Debian's libc6 that makes a file as soon as it is
// loaded: PCPROFILE_OUTPUT names it.
const preloaded = "libpcprofile.so"

// programDeeds are the ways in which a pool starts a program. dir is one that it
// can write to.
func (t *Target) programDeeds(pool facts.Pool, dir string) ([]deed, error) {
	deeds := []deed{}
	add := func(what, php string) { deeds = append(deeds, deed{What: what, Where: "id -u", PHP: php}) }
	add("exec", `return exec('/usr/bin/id -u 2>/dev/null');`)
	add("shell_exec", `return trim((string) shell_exec('/usr/bin/id -u 2>/dev/null'));`)
	add("system", `ob_start(); system('/usr/bin/id -u 2>/dev/null'); return trim(ob_get_clean());`)
	add("passthru", `ob_start(); passthru('/usr/bin/id -u 2>/dev/null'); return trim(ob_get_clean());`)
	add("popen", `$p = popen('/usr/bin/id -u 2>/dev/null', 'r'); return $p ? trim((string) stream_get_contents($p)) : '';`)
	add("expect://", `return in_array('expect', stream_get_wrappers()) ? trim((string) file_get_contents('expect:///usr/bin/id -u')) : '';`)
	add("proc_open", procOpen("/usr/bin/id", "-u"))
	deeds = append(deeds, deed{What: "proc_open of PHP with other settings", Where: "php-fpm -n -v", PHP: procOpen("/usr/sbin/php-fpm"+pool.Branch, "-n", "-v")},
		deed{What: "FFI", Where: "getuid()", PHP: `return class_exists('FFI') ? 'uid ' . FFI::cdef('int getuid(void);')->getuid() : '';`},
		deed{What: "dl", Where: "a library", PHP: `return function_exists('dl') && dl('../../../' . ` + phpText(dir) + ` . '/x.so') ? 'loaded' : (strpos(error_get_last()['message'] ?? '', 'cannot open shared object') ? 'looked for the library' : '');`})

	// chmod must stay: Matomo uses it.
	file := path.Join(dir, Canary())
	made := []string{file}
	deeds = append(deeds, deed{
		What: "make a setuid program", Where: file,
		PHP:   setuid(file),
		Again: setuid(path.Join(dir, canaryAgain)),
	})

	for _, function := range t.mailing() {
		log := path.Join(dir, Canary())
		made = append(made, log)
		deeds = append(deeds, deed{
			What: function + ", which starts a mailer", Where: log, PHP: mailStarts(function, log), Again: mailStarts(function, path.Join(dir, canaryAgain)),
			Note: "what a mailer's -X writes, or that the shell started which looks for a mailer",
		})
	}
	loaded := path.Join(dir, Canary())
	made = append(made, loaded)
	deeds = append(deeds, deed{What: "mail with LD_PRELOAD", Where: loaded, PHP: mailLoads(loaded), Again: mailLoads(path.Join(dir, canaryAgain))})
	return deeds, t.Gone(made...)
}

// mailing are the functions that start a mailer. To error_log no option can be
// given that keeps a mailer quiet: it is for servers that have none.
func (t *Target) mailing() []string {
	functions := []string{"mail", "mb_send_mail"}
	if _, err := os.Stat("/usr/sbin/sendmail"); err != nil {
		functions = append(functions, "error_log")
	}
	return functions
}

func procOpen(argv ...string) string {
	words := make([]string, len(argv))
	for i, word := range argv {
		words[i] = phpText(word)
	}
	return `$p = proc_open([` + strings.Join(words, ", ") + `], [1 => ['pipe', 'w'], 2 => ['pipe', 'w']], $pipes); return $p ? trim((string) stream_get_contents($pipes[1])) : '';`
}

func setuid(file string) string {
	name := phpText(file)
	return `file_put_contents(` + name + `, ''); chmod(` + name + `, 04755); clearstatcache(); $mode = fileperms(` + name + `); unlink(` + name + `); return $mode & 04000 ? sprintf('mode %o', $mode & 07777) : '';`
}

// mailStarts is PHP that has a mailer started. It has no recipient, so it sends
// nothing; "-oep" keeps it from telling anybody so. PHP tells when not even the
// shell could be started.
func mailStarts(function, log string) string {
	name := phpText(log)
	call := `$f('', 'x', 'x', '', '-oep -X' . ` + name + `)`
	if function == "error_log" {
		call = `$f('x', 1, '')`
	}
	return `$f = '` + function + `'; if (!function_exists($f)) { $f(); } error_clear_last(); ` + call + `; $e = (string) (error_get_last()['message'] ?? '');
	if (file_exists(` + name + `)) { unlink(` + name + `); return 'the mailer wrote the file'; }
	return strpos($e, 'Could not execute') !== false || strpos($e, 'ermission denied') !== false ? '' : 'a shell started' . ($e ? ": $e" : '');`
}

// mailLoads is PHP that has a library loaded into what mail starts, and is told
// by a file that the library makes.
func mailLoads(file string) string {
	name := phpText(file)
	return `putenv('LD_PRELOAD=` + preloaded + `'); putenv('PCPROFILE_OUTPUT=' . ` + name + `); mail('', 'x', 'x', '', '-oep'); putenv('LD_PRELOAD'); putenv('PCPROFILE_OUTPUT');
	if (!file_exists(` + name + `)) { return ''; } $n = filesize(` + name + `); unlink(` + name + `); return "the library ran in what mail started, and wrote $n bytes";`
}

// startCopies starts a program, as a user, from directories that everybody may
// write.
func (t *Target) startCopies(ctx context.Context, r *Record, name string) error {
	program, err := os.ReadFile("/usr/bin/true")
	if err != nil {
		return fmt.Errorf("copy a program: %w", err)
	}
	for _, top := range []string{"/tmp", "/var/tmp", "/dev/shm"} {
		if info, err := os.Stat(top); err != nil || !info.IsDir() {
			continue
		}
		file := path.Join(top, Canary())
		if err := t.Plant(file, name, 0o755, string(program)); err != nil {
			return err
		}
		try := model.Try{Who: "user " + name, What: "start a program of its own", Where: file, Sent: "a copy of /usr/bin/true", Answer: "it ran", Fell: true}
		if _, err := t.Run(ctx, name, run.Command{Argv: []string{file}}); err != nil {
			var failed *run.Error
			if !errors.As(err, &failed) || failed.ExitCode != 126 { // setpriv(1): found, and not started
				return fmt.Errorf("start a program from %s as %s: %w", top, name, err)
			}
			try.Fell, try.Answer = false, strings.TrimSpace(failed.Output)
		}
		if try.Fell {
			again := path.Join(top, canaryAgain)
			try.Reproduce = tidily([]string{"cp /usr/bin/true " + again, "chown " + name + " " + again}, run.Quote(AsCommand(name, run.Command{Argv: []string{again}}).Argv), "rm "+again)
		}
		r.Try(try)
	}
	return nil
}
