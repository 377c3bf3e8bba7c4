package prove

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"rocca/internal/config"
	"rocca/internal/model"
	"rocca/internal/run"
)

var a28 = Attack{
	ID:    "A28",
	Title: "the disk is full while the configuration is written",
	How: `Copies the directory of the configuration onto a file system of its own, with owners and modes, in a mount namespace; fills that to the last byte; and has each writer write a longer configuration: Matomo's own code as the pool's user, and rocca up with another language. It falls when config.ini.php is not, byte for byte, what it was.
Matomo empties the file before it writes it anew. Of what is left, the lines that keep the installer closed may be missing.`,
	Risk:     "none for data; rocca up is begun, fails, and takes back what it changed",
	Disturbs: true,
	Without:  []Protection{configOwner},
	Applies: func(t *Target) string {
		if len(t.configured()) == 0 {
			return "no configuration of Matomo was found"
		}
		return ""
	},
	Attempt: fillDisk,
}

var configOwner = Protection{
	ID:    "config-owner",
	Title: "config.ini.php and its directory are root's, and PHP only reads them",
	Part:  ConfigPart,
	Remove: `chown matomo:matomo "$STATE/config" "$STATE/config/config.ini.php"
chmod u+w "$STATE/config" "$STATE/config/config.ini.php"`,
	Controls: []string{"FS-05"},
}

// fullDisk is a program that puts directories (named up to "--") onto full file
// systems below $1, of which each is as large as what it holds, then runs the
// rest of its arguments, and shows what has become of each configuration.
const fullDisk = `base=$1; shift; n=0; dirs=
while [ "$1" != -- ]; do
	dir=$1; shift; n=$((n+1)); dirs="$dirs $dir"
	size=$(($(du --summarize --block-size=1024 "$dir" | cut --fields=1) + 64))
	[ $size -lt 65536 ]
	mkdir "$base/$n" "$base/kept-$n"
	mount -t tmpfs -o size=${size}k rocca-prove "$base/$n"
	cp --archive "$dir/." "$base/$n/"
	cp "$dir"/*config.ini.php "$base/kept-$n/"
	mount --bind "$base/$n" "$dir"
	cat /dev/zero 2>/dev/null >"$dir/rocca-prove-filler" || :
done
shift
code=0; "$@" >"$base/out" 2>&1 </dev/null || code=$?
n=0
for dir in $dirs; do
	n=$((n+1)); whole=yes
	for was in "$base/kept-$n"/*; do cmp --silent "$was" "$dir/$(basename "$was")" || whole=no; done
	for is in "$dir"/*config.ini.php; do [ -e "$base/kept-$n/$(basename "$is")" ] || whole=no; done
	echo "file $dir $whole $(cat "$base/kept-$n"/* | wc --bytes) $(cat "$dir"/*config.ini.php | wc --bytes) $(cat "$base/kept-$n"/* | grep --count '^\[' || :) $(cat "$dir"/*config.ini.php | grep --count '^\[' || :)"
done
echo "exit $code"
tail --bytes=250 "$base/out"`

// configured are the directories of the configurations, each once, with the user
// that Matomo runs as there, and what its MATOMO_DATA is.
func (t *Target) configured() []configDir {
	var dirs []configDir
	for _, c := range t.Matomo.Contexts {
		dir := path.Dir(c.Config)
		if c.Config == "" || c.User == "" || slices.ContainsFunc(dirs, func(d configDir) bool { return d.dir == dir }) {
			continue
		}
		dirs = append(dirs, configDir{dir: dir, user: c.User, data: c.Data, tmp: c.Tmp})
	}
	return dirs
}

type configDir struct{ dir, user, data, tmp string }

func fillDisk(ctx context.Context, t *Target, r *Record) error {
	dirs := t.configured()
	for _, d := range dirs {
		if err := t.writeMatomo(ctx, r, d); err != nil {
			return err
		}
	}
	if !t.Rocca.Installed || !t.Throwaway {
		return nil // nothing else writes it
	}
	return t.writeRocca(ctx, r, dirs)
}

// written is what became of a configuration.
type written struct {
	dir                      string
	whole                    bool
	before, after            int // bytes
	sectionsBefore, sections int
	exit                     int
	said                     string
}

func (w written) String() string {
	if w.whole {
		return fmt.Sprintf("the file is what it was, %d bytes; the writer ended with %d: %s", w.after, w.exit, w.said)
	}
	return fmt.Sprintf("%d of %d bytes and %d of %d sections are left; the writer ended with %d: %s", w.after, w.before, w.sections, w.sectionsBefore, w.exit, w.said)
}

// onFullDisk runs a command while the directories are on full file systems.
func (t *Target) onFullDisk(ctx context.Context, dirs []string, prelude string, argv []string) ([]written, error) {
	base := "/run/" + Canary()
	if err := t.PlantDir(base, "root", 0o711); err != nil {
		return nil, err
	}
	args := slices.Concat([]string{base}, dirs, []string{"--"}, argv)
	result, err := run.Do(ctx, withOwnMounts(prelude+fullDisk, args...))
	if err != nil {
		return nil, fmt.Errorf("fill a disk: %w", err)
	}
	return parseWritten(result.Stdout)
}

// parseWritten reads what fullDisk shows.
func parseWritten(out []byte) ([]written, error) {
	var all []written
	lines, said, ended := bytes.Cut(out, []byte("exit "))
	code, said, _ := bytes.Cut(said, []byte("\n"))
	exit, err := strconv.Atoi(string(code))
	if !ended || err != nil {
		return nil, errors.New("fill a disk: it did not come to an end")
	}
	for line := range bytes.Lines(lines) {
		var w written
		var whole string
		if _, err := fmt.Sscanf(string(line), "file %s %s %d %d %d %d", &w.dir, &whole, &w.before, &w.after, &w.sectionsBefore, &w.sections); err != nil {
			return nil, fmt.Errorf("fill a disk: %q: %w", line, err)
		}
		w.whole, w.exit, w.said = whole == "yes", exit, strings.Join(strings.Fields(string(said)), " ")
		all = append(all, w)
	}
	if len(all) == 0 {
		return nil, errors.New("fill a disk: there was no configuration on it")
	}
	return all, nil
}

// saveConfig has Matomo's own code write the configuration, with a setting that
// means nothing and is longer than what emptying the file sets free.
const saveConfig = `chdir($argv[1]); define("PIWIK_DOCUMENT_ROOT", $argv[1]); if (is_file("bootstrap.php")) { require "./bootstrap.php"; } ` +
	`defined("PIWIK_INCLUDE_PATH") || define("PIWIK_INCLUDE_PATH", $argv[1]); require "./core/bootstrap.php"; ` +
	`(new Piwik\Application\Environment("cli"))->init(); $c = Piwik\Config::getInstance(); $c->General = ["rocca_prove" => str_repeat("x", 65536)] + $c->General; ` +
	`try { $c->forceSave(); echo "Matomo says nothing"; } catch (Throwable $e) { echo "Matomo says: ", strip_tags($e->getMessage()); }`

func (t *Target) writeMatomo(ctx context.Context, r *Record, d configDir) error {
	argv := AsCommand(d.user, run.Command{Argv: []string{"env", "MATOMO_DATA=" + d.data, "php", "-r", saveConfig, "--", t.Matomo.Real}}).Argv
	all, err := t.onFullDisk(ctx, []string{d.dir}, aTmpOfItsOwn(d.tmp), argv)
	if err != nil {
		return err
	}
	w := all[0]
	if w.exit != 0 {
		return fmt.Errorf("have Matomo write its configuration as %s: it ended with %d: %s", d.user, w.exit, w.said)
	}
	try := model.Try{Who: "Matomo's code as user " + d.user, What: "save the configuration on a full disk",
		Where: path.Join(d.dir, "config.ini.php"), Sent: "Piwik\\Config->forceSave() with one more setting of 65536 bytes", Answer: w.String(), Fell: !w.whole}
	if try.Fell {
		try.Note = "what emptying the file sets free is taken at once, here by a longer text, else by whatever filled the disk"
		try.Reproduce = `d=` + run.Quote([]string{d.dir}) + `; b=$(mktemp -d); cp $d/config.ini.php $b/before; unshare --mount sh -c 'd=$1 b=$2; shift 2; mkdir $b/disk; mount -t tmpfs -o size=$(($(du -sk $d | cut -f1) + 64))k none $b/disk; cp -a $d/. $b/disk; mount --bind $b/disk $d; cat /dev/zero 2>/dev/null >$d/rocca-prove-filler; "$@"; cp $d/config.ini.php $b/after' sh $d $b ` +
			run.Quote(argv) + `; echo; wc -c $b/before $b/after | head -n 2; cmp -s $b/before $b/after; r=$?; rm -r $b; [ $r = 1 ]`
	}
	r.Try(try)
	return nil
}

// writeRocca has rocca up write all configurations, for another language.
func (t *Target) writeRocca(ctx context.Context, r *Record, dirs []configDir) error {
	text, err := os.ReadFile(config.DefaultPath)
	if err != nil {
		return fmt.Errorf("read how this server is to be: %w", err)
	}
	dir := "/run/" + Canary()
	if err := t.PlantDir(dir, "root", 0o700); err != nil {
		return err
	}
	settings, lock := path.Join(dir, "rocca-prove.yaml"), path.Join(dir, "rocca-prove.lock")
	if err := t.Plant(settings, "root", 0o600, otherLanguage(string(text))); err != nil {
		return err
	}
	if err := t.Plant(lock, "root", 0o600, ""); err != nil {
		return err
	}
	var names []string
	for _, d := range dirs {
		names = append(names, d.dir)
	}
	all, err := t.onFullDisk(ctx, names, ownLock(lock), []string{t.Rocca.Program, "up", "--yes", "--config", settings})
	if err != nil {
		return err
	}
	for _, w := range all {
		const failed = 5 // and was taken back; docs/exit-codes.md
		if w.whole && w.exit != failed {
			return fmt.Errorf("have rocca up write the configuration: it ended with %d: %s", w.exit, w.said)
		}
		r.Try(model.Try{Who: "rocca up", What: "write the configuration on a full disk", Where: path.Join(w.dir, "config.ini.php"), Sent: "another language in rocca.yaml",
			Answer: w.String(), Fell: !w.whole, Note: "with the exit status 5 rocca says that it took back what it had changed",
			Reproduce: "rocca prove attempt --only A28 --disturb | grep -q '\"result\":\"fell\"'"})
	}
	return nil
}

// aTmpOfItsOwn keeps what Matomo caches on its way out of the tmp that is used.
func aTmpOfItsOwn(tmp string) string {
	if info, err := os.Stat(tmp); err != nil || !info.IsDir() {
		return ""
	}
	tmp = run.Quote([]string{tmp})
	return "owner=$(stat --format %u:%g " + tmp + "); mode=$(stat --format %a " + tmp + ")\nmount -t tmpfs -o size=64m,mode=$mode rocca-prove " + tmp + "\nchown $owner " + tmp + "\n"
}

// ownLock lets another rocca work in a mount namespace while this one has the
// lock of the machine.
func ownLock(lock string) string {
	return "mount --bind " + run.Quote([]string{lock}) + " /run/rocca.lock\n"
}

// otherLanguage is a rocca.yaml with another language than before.
func otherLanguage(text string) string {
	var lines []string
	language := "de"
	for line := range strings.Lines(text) {
		if value, is := strings.CutPrefix(line, "language:"); is {
			if strings.TrimSpace(value) == language {
				language = "fr"
			}
			continue
		}
		lines = append(lines, strings.TrimSuffix(line, "\n"))
	}
	return strings.Join(append(lines, "language: "+language), "\n") + "\n"
}
