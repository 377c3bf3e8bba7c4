package prove

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
	"rocca/internal/prove/fastcgi"
	"rocca/internal/prove/web"
)

var a04 = Attack{
	ID:    "A04",
	Title: "PHP writes a script and a .user.ini wherever it can, and asks for them",
	How: "The user of each pool tries to make a file in each directory of the code, of uploads and of tmp. Where it can, it writes scripts (x.php, x.php.png, x.phtml, PHP in x.png ...) and a directory with .htaccess and .user.ini; " +
		"where it cannot, root does so for it in the directories that an upload would end in, as each wall must hold alone. Then all of them are asked for through the front, also with a path behind the script. " +
		"Last, a .user.ini beside a script of root's is asked for past the front.",
	Risk:    "none: files with random names, for a fraction of a second, which print a random word",
	Without: []Protection{uploadsNotRun, entryPointsOnly, noUserINI},
	Attempt: attemptUpload,
}

// handToPHP is the function rule PATTERN DIRECTORY of sh: it has Matomo's site
// hand paths to the pool of the UI. What the pattern has in parentheses is the
// script below the directory.
const handToPHP = `rule() {
	if [ "$FRONT" = nginx ]; then
		conf=$(readlink -f /etc/nginx/sites-enabled/matomo.conf)
		BLOCK="    location ~ \"^$1\$\" {
        include /etc/nginx/snippets/matomo-fastcgi.conf;
        fastcgi_param SCRIPT_FILENAME $2/\$1;
        fastcgi_param DOCUMENT_ROOT $2;
        fastcgi_pass unix:/run/matomo/ui.sock;
    }" awk '/^    location \/ \{/ && !done { print ENVIRON["BLOCK"]; done = 1 } { print }' "$conf" >/run/rocca-weak.conf
	else
		conf=$(readlink -f /etc/apache2/sites-enabled/matomo.conf)
		REWRITE="    RewriteRule \"^$1\$\" \"-\" [END]" BLOCK="    <LocationMatch \"^$1\$\">
        Require all granted
        SetHandler \"proxy:unix:/run/matomo/ui.sock|fcgi://matomo-ui\"
    </LocationMatch>" awk '
			index($0, "DocumentRoot") && index($0, ENVIRON["LINK"]) { inside = 1 }
			inside && index($0, "RewriteRule \"^\" \"-\" [R=404,L]") { print ENVIRON["REWRITE"] }
			inside && /^<\/VirtualHost>/ { print ENVIRON["BLOCK"]; inside = 0 }
			{ print }' "$conf" >/run/rocca-weak.conf
	fi
	! cmp -s /run/rocca-weak.conf "$conf"
	cat /run/rocca-weak.conf >"$conf"
	rm /run/rocca-weak.conf
	systemctl reload "$FRONT"
}
`

var uploadsNotRun = Protection{
	ID:       "upload-rule",
	Title:    "the front hands no file from the directory of uploads to PHP",
	Part:     FrontPart,
	Remove:   handToPHP + `rule '/misc/user/(.+\.php)' "$STATE/user"`,
	Controls: []string{"FS-10"},
}

var entryPointsOnly = Protection{
	ID:       "entry-points",
	Title:    "the front hands only Matomo's entry points to PHP",
	Part:     FrontPart,
	Remove:   handToPHP + `rule '/((?!misc/user/).+\.php)' "$CODE"`,
	Controls: []string{"FRT-01"},
}

var noUserINI = Protection{
	ID:       "user-ini",
	Title:    "PHP of the UI takes no settings from the directories that it serves",
	Part:     UIUnit,
	Remove:   withSetting("user_ini.filename", ".user.ini"),
	Controls: []string{"PHP-11"},
}

func attemptUpload(ctx context.Context, t *Target, r *Record) error {
	pools := t.MatomoPools()
	if t.Matomo.Real == "" || len(pools) == 0 {
		return errors.New("write scripts: no code of Matomo, or no pool that runs it, was found")
	}
	var refused []model.Try
	writers := map[string]facts.Pool{} // by directory
	for _, pool := range slices.Backward(pools) {
		writable, more, err := t.uploadable(pool.User)
		if err != nil {
			return err
		}
		for _, dir := range writable {
			writers[dir] = pool
		}
		refused = append(refused, more...)
	}
	fallen := 0
	for _, place := range t.servedPlaces() {
		if fallen >= kept { // enough to show it
			break
		}
		plant := planted{served: place, pool: pools[0], canary: Canary(), word: rand.Text(), steered: rand.Text()}
		if pool, byPool := writers[place.dir]; byPool {
			plant.pool, plant.byPool = pool, true
		}
		more, err := t.plantAndAsk(ctx, r, plant)
		if err != nil {
			return err
		}
		fallen += more
	}
	for _, pool := range pools {
		if err := t.steerByINI(ctx, r, pool); err != nil {
			return err
		}
	}
	for _, try := range refused {
		r.Try(try)
	}
	return nil
}

// uploadable are the directories of the code, of uploads and of tmp that a user
// may make files in, and the tries that were refused.
func (t *Target) uploadable(name string) (writable []string, refused []model.Try, err error) {
	dirs := append(t.codeDirs(), t.uploads())
	for _, c := range t.Matomo.Contexts {
		dirs = append(dirs, c.Tmp)
	}
	err = As(name, func() error {
		writable, refused = openAmong(name, "make a file in", directories(dirs))
		return nil
	})
	return writable, refused, err
}

// served is a directory that the front may serve.
type served struct {
	dir string // links resolved
	url string // path below Matomo's own, with a slash at the end
}

// servedPlaces are uploads, tmp, the document root, and what lies right in it.
func (t *Target) servedPlaces() []served {
	var places []served
	add := func(dir, url string) {
		real := directories([]string{dir})
		if len(real) == 1 && !slices.ContainsFunc(places, func(p served) bool { return p.url == url }) {
			places = append(places, served{real[0], url})
		}
	}
	add(path.Join(t.Matomo.Real, "misc/user"), "/misc/user/")
	add(t.Matomo.Real, "/")
	add(path.Join(t.Matomo.Real, "tmp"), "/tmp/")
	add(path.Join(t.Matomo.Real, "js"), "/js/")
	entries, err := os.ReadDir(t.Matomo.Real)
	if err != nil {
		return places
	}
	for _, entry := range entries {
		add(path.Join(t.Matomo.Real, entry.Name()), "/"+entry.Name()+"/")
	}
	return places
}

// planted is what was put into one directory.
type planted struct {
	served
	pool          facts.Pool
	byPool        bool   // its user could do it; root did otherwise
	canary        string // name of the files, without an ending
	word, steered string // what the scripts print: when they run, when .user.ini or .htaccess steers
}

// by is the user who plants it.
func (p planted) by() string {
	if p.byPool {
		return p.pool.User
	}
	return "root"
}

// script is PHP that prints a word which is not in its text.
func script(word string) string {
	turned := []byte(word)
	slices.Reverse(turned)
	return "<?php echo strrev('" + string(turned) + "');"
}

// files are what is planted, by name below the directory.
func (p planted) files() map[string]string {
	files := map[string]string{}
	for _, ending := range []string{".php", ".php.png", ".png", ".phtml", ".phar", ".php5"} {
		files[p.canary+ending] = script(p.word)
	}
	return files
}

// steering are the files of the directory that is planted beside them.
func (p planted) steering() map[string]string {
	handler := "AddHandler application/x-httpd-php .txt\n"
	if strings.HasPrefix(p.pool.Listen, "/") {
		handler = "<Files x.txt>\nSetHandler \"proxy:unix:" + p.pool.Listen + "|fcgi://localhost\"\n</Files>\n"
	} else if p.pool.Listen != "" {
		handler = "<Files x.txt>\nSetHandler \"proxy:fcgi://" + p.pool.Listen + "\"\n</Files>\n"
	}
	return map[string]string{
		"x.txt":     script(p.word),
		"x.php":     script(p.word),
		"x.inc":     script(p.steered),
		".htaccess": handler,
		".user.ini": "auto_prepend_file = " + path.Join(p.dir, p.canary, "x.inc") + "\n",
	}
}

// targets are what is asked for, below the URL of the directory.
func (p planted) targets() []string {
	targets := []string{".php", ".php/x", ".php/x.css", ".php.png", ".png/x.php", ".phtml", ".phar", ".php5", "/x.txt", "/x.php"}
	for i, target := range targets {
		targets[i] = p.canary + target
	}
	return targets
}

// plantAndAsk gives back how many tries succeeded.
func (t *Target) plantAndAsk(ctx context.Context, r *Record, p planted) (fallen int, err error) {
	if err := t.plantAll(p); err != nil {
		return 0, err
	}
	who := "user " + p.pool.User
	note := ""
	if !p.byPool {
		who, note = "visitor", "root planted it, as no pool can"
	}
	for _, below := range p.targets() {
		request := web.Request{Target: t.URLPath(p.url + below)}
		answer, err := t.Ask(ctx, request)
		if err != nil {
			return fallen, err
		}
		try := model.Try{Who: who, What: "run a planted script", Where: request.Target, Sent: "GET " + request.Target, Note: note, Answer: fmt.Sprintf("%d, %d bytes", answer.Status, len(answer.Body))}
		if strings.Contains(string(answer.Body), p.steered) {
			try.Fell, try.What, try.Answer = true, "steer PHP by a planted .user.ini", "the file that it names ran"
		} else if strings.Contains(string(answer.Body), p.word) {
			try.Fell, try.Answer = true, "it ran"
		}
		if try.Fell {
			fallen++
			try.Reproduce = t.plantAgain(p, below, request)
		}
		r.Try(try)
	}
	return fallen, nil
}

// plantAll writes the files: as the pool's user where it can, else as root, who
// is not asked where anybody else could put a link in his way.
func (t *Target) plantAll(p planted) error {
	sub := path.Join(p.dir, p.canary)
	names := []string{sub}
	for name := range p.files() {
		names = append(names, path.Join(p.dir, name))
	}
	if err := t.Gone(names...); err != nil {
		return err
	}
	var err error
	if p.byPool {
		err = As(p.pool.User, func() error { return errors.Join(os.Mkdir(sub, 0o755), os.Chmod(sub, 0o755)) })
	} else {
		err = t.PlantDir(sub, "root", 0o755)
	}
	for name, content := range p.files() {
		err = errors.Join(err, createAs(p.by(), path.Join(p.dir, name), content))
	}
	for name, content := range p.steering() {
		err = errors.Join(err, createAs(p.by(), path.Join(sub, name), content))
	}
	return err
}

// plantAgain is a command that plants one script again, and asks for it.
func (t *Target) plantAgain(p planted, below string, request web.Request) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(below, p.canary), "/x.")
	var write string
	if name == "" {
		sub := path.Join(p.dir, p.canary)
		write = "mkdir " + shellWord(sub)
		for file, content := range p.steering() {
			write += " && " + writeAgain(path.Join(sub, file), content)
		}
	} else {
		name = strings.TrimSuffix(name, "/x")
		write = writeAgain(path.Join(p.dir, p.canary+name), script(p.word))
	}
	return fmt.Sprintf(`(runuser -u %s -- sh -c %s && %s | grep -aoE '%s|%s'; e=$?; rm -rf %s*; exit $e)`,
		p.by(), shellWord("umask 022; "+write), t.askAgain(request), p.word, p.steered, shellWord(path.Join(p.dir, p.canary)))
}

// steerByINI has a pool run a script of root's beside which a .user.ini lies.
func (t *Target) steerByINI(ctx context.Context, r *Record, pool facts.Pool) error {
	if pool.Listen == "" {
		return nil // Apache's own PHP reads none
	}
	dir, word := "/run/"+Canary(), rand.Text()
	if err := t.PlantDir(dir, "root", 0o755); err != nil {
		return err
	}
	files := map[string]string{
		"x.php":     "<?php\n",
		"x.inc":     script(word),
		".user.ini": "auto_prepend_file = " + dir + "/x.inc\n",
	}
	var write string
	for name, content := range files {
		if err := os.WriteFile(path.Join(dir, name), []byte(content), 0o644); err != nil {
			return fmt.Errorf("plant a .user.ini: %w", err)
		}
		write += " && " + writeAgain(path.Join(dir, name), content)
	}
	request := fastcgi.Request{Params: map[string]string{"SCRIPT_FILENAME": dir + "/x.php", "SCRIPT_NAME": "/x.php", "DOCUMENT_ROOT": dir, "REQUEST_METHOD": "GET"}}
	answer, err := speak(ctx, pool, request)
	if err != nil {
		return err
	}
	try := model.Try{Who: "PHP of the pool " + pool.Name, What: "take settings from a .user.ini beside a script", Where: dir, Sent: "auto_prepend_file", Answer: "the script ran without it"}
	if strings.Contains(string(answer.Body), word) {
		try.Fell, try.Answer = true, "the file that it names ran first"
		try.Reproduce = fmt.Sprintf(`(mkdir %s && chmod 755 %s%s && chmod 644 %s/x.* %s/.user.ini && %s | grep -ao %s; e=$?; rm -rf %s; exit $e)`,
			dir, dir, write, dir, dir, speakAgain(pool.Listen, request), word, dir)
	} else if strings.Contains(answer.Errors+string(answer.Body), "open_basedir") || answer.Header == "" {
		return fmt.Errorf("ask the pool %s for a script: it did not run", pool.Name)
	}
	r.Try(try)
	return nil
}
