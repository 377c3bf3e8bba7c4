package prove

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/md5" //nolint:gosec // releases before 5.2 list it
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/andybalholm/brotli"

	"rocca/internal/facts"
	"rocca/internal/model"
	"rocca/internal/run"
)

var a27 = Attack{
	ID:    "A27",
	Title: "code is changed and nobody notices",
	How: `Plants a PHP file that does nothing, a file of no release and a .user.ini in the document root, and PHP in tmp.
Appends a comment to a file of Matomo's core, with the manifest in the tree made to fit, to bootstrap.php, to the autoloader, to the tracker's scripts and their compressed copies: on a throw-away server really, on another one in a mount namespace that the audit alone sees.
Then it looks as the daily audit does, and when its timer looks next. What the audit does not name, or no timer looks for within 26 hours, is a change that nobody notices.`,
	Risk:    "canaries for some seconds: empty PHP files of root's in the document root and in tmp",
	Without: []Protection{auditTimer, releaseRecord},
	Attempt: changeCode,
}

var auditTimer = Protection{
	ID:       "audit-timer",
	Title:    "a timer audits the server every day",
	Part:     WatchPart,
	Remove:   `systemctl disable --quiet --now rocca-audit.timer`,
	Controls: []string{"OPS-05"},
}

var releaseRecord = Protection{
	ID:       "release-record",
	Title:    "what was verified of the release is recorded where Matomo's code is not",
	Part:     WatchPart,
	Remove:   `rm /var/lib/rocca/releases/*.json`,
	Controls: []string{"FS-11"},
}

// lookEvery is how long a change may go unseen: a day, and what a timer may be
// late.
const lookEvery = 26 * time.Hour

// comment is what is added to code. PHP and JavaScript both skip it.
const comment = "\n/* rocca-prove: this line does nothing */\n"

// alteration is one change of code, made or to be made.
type alteration struct {
	what string // "a PHP file in the document root"
	path string
	sent string // bytes, as far as they matter

	instead string // file that takes the place of path; empty: path was planted
}

func changeCode(ctx context.Context, t *Target, r *Record) error {
	watch := watchOf(t.Server)
	if watch.service == "" && len(watch.others) > 0 {
		return fmt.Errorf("%s watches this server; whether it would tell is not known", strings.Join(watch.others, ", "))
	}
	changes, err := t.plantCode()
	if err != nil {
		return err
	}
	altered, err := t.alterCode()
	if err != nil {
		return err
	}
	report, err := t.auditAltered(ctx, watch.program, altered)
	if err != nil {
		return err
	}
	for _, c := range append(changes, altered...) {
		try := model.Try{Who: "whoever may write there", What: "change code: " + c.what, Where: c.path, Sent: c.sent}
		seen, more := seenIn(report, c.path)
		if seen == "" && more {
			return fmt.Errorf("the audit names only some of what it sees; whether it sees %s is not known", c.path)
		}
		try.Answer, try.Fell = watch.told(seen, time.Now())
		if try.Fell {
			try.Reproduce = watch.reproduce(c, t)
		}
		r.Try(try)
	}
	return nil
}

// plantCode puts files where nothing was.
func (t *Target) plantCode() ([]alteration, error) {
	const nothing = "<?php // rocca-prove: this file does nothing\n"
	canary, root := Canary(), t.Matomo.Real
	dir := path.Join(root, canary+"-d")
	if err := t.PlantDir(dir, "root", 0o755); err != nil {
		return nil, err
	}
	planted := []alteration{
		{what: "a PHP file in the document root", path: path.Join(root, canary+".php"), sent: nothing},
		{what: "a file of a foreign name in the document root", path: path.Join(root, canary+".bak"), sent: "rocca-prove\n"},
		{what: "a .user.ini, which steers PHP", path: path.Join(dir, ".user.ini"), sent: "; rocca-prove\n"},
	}
	for i, c := range t.Matomo.Contexts {
		// A server with one data directory has it in both contexts.
		if info, err := os.Lstat(c.Tmp); err != nil || !info.IsDir() || slices.ContainsFunc(t.Matomo.Contexts[:i], func(o facts.Context) bool { return o.Tmp == c.Tmp }) {
			continue
		}
		planted = append(planted, alteration{what: "a PHP file in tmp", path: path.Join(c.Tmp, canary+".php"), sent: nothing})
	}
	for _, p := range planted {
		if err := t.Plant(p.path, "root", 0o444, p.sent); err != nil {
			return nil, err
		}
	}
	return planted, nil
}

// alterCode makes changed copies of files that are there.
func (t *Target) alterCode() ([]alteration, error) {
	dir := path.Join("/run", Canary())
	if err := t.PlantDir(dir, "root", 0o700); err != nil {
		return nil, err
	}
	root := t.Matomo.Real
	const core, manifest = "core/Common.php", "config/manifest.inc.php"
	altered := []alteration{
		{what: "a file of Matomo's core", path: path.Join(root, core)},
		{what: "the manifest in the tree, made to fit", path: path.Join(root, manifest)},
		{what: "the autoloader", path: path.Join(root, "vendor/autoload.php")},
		{what: "bootstrap.php, which runs first", path: path.Join(root, "bootstrap.php")},
	}
	packing := map[string]string{}
	for _, s := range t.Integrity.Scripts {
		altered = append(altered, alteration{what: strings.TrimSpace("a script of tracked sites " + s.Packed), path: s.Path})
		packing[s.Path] = s.Packed
	}
	altered = slices.DeleteFunc(altered, func(a alteration) bool {
		info, err := os.Lstat(a.path)
		return err != nil || !info.Mode().IsRegular()
	})
	var coreNow []byte
	for i := range altered {
		a := &altered[i]
		before, err := os.ReadFile(a.path)
		if err != nil {
			return nil, fmt.Errorf("read the code: %w", err)
		}
		after := append(before, comment...)
		a.sent = comment
		switch {
		case a.path == path.Join(root, core):
			coreNow = after
		case a.path == path.Join(root, manifest):
			after, a.sent = fitManifest(before, core, coreNow), "size and hash of "+core
		case packing[a.path] != "":
			after, err = packed([]byte(comment), packing[a.path])
		}
		if err != nil {
			return nil, err
		}
		a.instead = path.Join(dir, fmt.Sprintf("rocca-prove-%d", i))
		if err := t.Plant(a.instead, "root", 0o600, string(after)); err != nil {
			return nil, err
		}
	}
	return altered, nil
}

// fitManifest makes a release's own list of files tell what a file has become.
func fitManifest(manifest []byte, name string, content []byte) []byte {
	line := regexp.MustCompile(`"` + regexp.QuoteMeta(name) + `" => array\("\d+", "([0-9a-f]+)"\)`)
	return line.ReplaceAllFunc(manifest, func(old []byte) []byte {
		hash := fmt.Sprintf("%x", sha256.Sum256(content))
		if len(line.FindSubmatch(old)[1]) == 2*md5.Size {
			hash = fmt.Sprintf("%x", md5.Sum(content)) //nolint:gosec // as above
		}
		return fmt.Appendf(nil, `"%s" => array("%d", "%s")`, name, len(content), hash)
	})
}

func packed(content []byte, packing string) ([]byte, error) {
	var out bytes.Buffer
	var w io.WriteCloser
	switch packing {
	case "gzip":
		w = gzip.NewWriter(&out)
	case "brotli":
		w = brotli.NewWriter(&out)
	default:
		return nil, fmt.Errorf("pack a script: %s is not known", packing)
	}
	_, err := w.Write(content)
	err = errors.Join(err, w.Close())
	return out.Bytes(), err
}

// noticing are the controls that look at code.
const noticing = "FS-07,FS-08,FS-11,FS-12,TRK-06"

// auditAltered audits this server while its files are altered.
func (t *Target) auditAltered(ctx context.Context, program string, altered []alteration) (model.Report, error) {
	const mount = `while [ "$1" != audit ]; do
	chown --reference="$2" "$1"; chmod --reference="$2" "$1"
	mount --bind "$1" "$2"; shift 2
done
shift; exec "$@"`
	argv := []string{program, "audit", "--format", "json", "--only", noticing}
	var c run.Command
	if t.Throwaway {
		// Really, so that the front answers with the altered scripts too.
		for _, a := range altered {
			if err := t.swap(a.instead, a.path); err != nil {
				return model.Report{}, err
			}
		}
		if err := t.forgetNewSessions(ctx); err != nil {
			return model.Report{}, err
		}
		c = run.Command{Argv: argv}
	} else {
		var pairs []string
		for _, a := range altered {
			pairs = append(pairs, a.instead, a.path)
		}
		c = withOwnMounts(mount, append(append(pairs, "audit"), append(argv, "--offline")...)...)
	}
	result, err := run.Do(ctx, c)
	var failed *run.Error
	if err != nil && (!errors.As(err, &failed) || failed.ExitCode != 1 && failed.ExitCode != 3) {
		return model.Report{}, fmt.Errorf("audit this server: %w", err)
	}
	var report model.Report
	if err := json.Unmarshal(result.Stdout, &report); err != nil {
		return report, fmt.Errorf("audit this server: %w", err)
	}
	return report, nil
}

// swap puts content in the place of a file's until the attack ends.
func (t *Target) swap(from, to string) error {
	kept := from + "-kept"
	if err := t.Gone(kept); err != nil {
		return err
	}
	if _, err := run.Do(context.Background(), run.Command{Argv: []string{"cp", "--archive", to, kept}}); err != nil {
		return err
	}
	if err := t.AfterwardsRun("cp", "--archive", kept, to); err != nil {
		return err
	}
	content, err := os.ReadFile(from)
	if err != nil {
		return fmt.Errorf("change %s: %w", to, err)
	}
	return os.WriteFile(to, content, 0) // its owner and mode stay
}

// seenIn is what a report says against a path; more tells that it leaves out
// some of what it would say.
func seenIn(report model.Report, name string) (seen string, more bool) {
	var by []string
	for _, f := range report.Findings {
		if f.Status != model.Fail {
			continue
		}
		for _, e := range f.Evidence {
			more = more || strings.HasPrefix(e.Subject, "and ")
			named := e.Subject == name || strings.HasSuffix(e.Subject, "/") && strings.HasPrefix(name, e.Subject) ||
				f.ID == "TRK-06" && path.Base(e.Subject) == path.Base(name)
			if named && !e.Waived && !slices.Contains(by, f.ID) {
				by = append(by, f.ID)
			}
		}
	}
	return strings.Join(by, " "), more
}

// watch is who looks at this server every day.
type watch struct {
	timer, service string // units; empty: none
	next           time.Time
	program        string // rocca, as the timer starts it
	into           string // file that the report goes to
	flaw           string // why it would not look or tell
	others         []string
}

// watchers are units of programs that compare files too.
var watchers = []string{"dailyaidecheck.timer", "aide.timer", "wazuh-agent.service", "ossec.service", "samhain.service", "osqueryd.service"}

func watchOf(s facts.Server) watch {
	w := watch{program: s.Rocca.Program}
	for name, timer := range s.Units {
		for _, exec := range s.Units[timer.Triggers].Exec {
			if filepath.Base(exec.Path) != "rocca" || len(exec.Args) == 0 || exec.Args[0] != "audit" {
				continue
			}
			w.timer, w.service, w.program, w.next = name, timer.Triggers, exec.Path, timer.Next
			if at := slices.Index(exec.Args, "-o"); at >= 0 && at+1 < len(exec.Args) {
				w.into = exec.Args[at+1]
			}
			switch {
			case !timer.Active:
				w.flaw = name + " is stopped"
			case !timer.Enabled:
				w.flaw = name + " does not start with the machine"
			case s.Units[timer.Triggers].Failed:
				w.flaw = timer.Triggers + " failed when it last ran"
			}
		}
	}
	for _, name := range watchers {
		if s.Units[name].Active {
			w.others = append(w.others, name)
		}
	}
	for _, job := range s.Jobs {
		if strings.Contains(job.Command, "rocca audit") || strings.Contains(job.Command, "aide") {
			w.others = append(w.others, job.File)
		}
	}
	return w
}

// told says when somebody is told of a change, and whether that is too late.
func (w watch) told(seen string, now time.Time) (answer string, tooLate bool) {
	until := w.next.Sub(now)
	by := "an audit does not see it, and "
	if seen != "" {
		by = "an audit sees it (" + seen + "), but "
	}
	switch {
	case w.service == "":
		return by + "no timer audits this server", true
	case w.flaw != "":
		return by + w.flaw, true
	case w.next.IsZero() || until > lookEvery:
		return by + w.timer + " does not look within 26 hours", true
	case seen == "":
		return by + w.timer + " looks in vain", true
	}
	return fmt.Sprintf("an audit sees it (%s); %s looks next in %.0f h and writes %s", seen, w.timer, max(0, until.Hours()), w.into), false
}

// reproduce makes a change again and looks as the timer's audit does. Files that
// are there are changed in a mount namespace only.
func (w watch) reproduce(c alteration, t *Target) string {
	timer := "false"
	if w.service != "" {
		timer = "systemctl is-active --quiet " + w.timer
	}
	audit := run.Quote([]string{w.program, "audit", "--offline", "--format", "json", "--only", noticing})
	root := t.Matomo.Real
	file, look := c.path, ""
	if c.instead == "" {
		dir := path.Dir(c.path)
		if strings.Contains(dir, "rocca-prove-") {
			dir = path.Dir(dir)
		}
		file = path.Join(dir, "rocca-prove-again.php")
		look = `echo "<?php // rocca-prove" >$f; named=$(` + audit + ` | grep -c "\"$f\""); rm $f`
	} else {
		mount := `mount --bind $n/f $f; `
		fit := ""
		if name, is := strings.CutPrefix(c.path, root+"/core/"); is {
			list := run.Quote([]string{path.Join(root, "config/manifest.inc.php")})
			fit = `cp -a ` + list + ` $n/m; sed -i "s|\"core/` + name + `\" => array(.*|\"core/` + name + `\" => array(\"$(stat -c %s $n/f)\", \"$(sha256sum $n/f | cut -c1-64)\"),|" $n/m; `
			mount += `mount --bind $n/m ` + list + `; `
		}
		look = `n=$(mktemp -d); cp -a $f $n/f; printf "\n/* rocca-prove */\n" >>$n/f; ` + fit + `named=$(unshare --mount sh -c "` + mount + audit + `" | grep -c "\"$f\""); rm -r $n`
	}
	return `f=` + run.Quote([]string{file}) + `; ` + look + `; timer=no; ` + timer + ` && timer=yes; echo "named by an audit: $named times; a timer audits: $timer"; [ $named = 0 ] || [ $timer = no ]`
}
