package prove

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"rocca/internal/prove/web"
)

var a08 = Attack{
	ID:    "A08",
	Title: "PHP files that are no entry point are asked for",
	How: "Plants scripts with random names in each kind of directory of Matomo, and asks for them: as they are, with a path behind, with further endings, in capitals, encoded, and with PHP in files of other types. " +
		"Then asks for a sample of Matomo's own PHP files out of every directory. A script falls when it ran, or when its source came; " +
		"Matomo's own are compared with the front's answer to a name that is not there.",
	Risk:    "some hundred requests, most of them refused; scripts that print one word lie in Matomo's directories for seconds; where the front runs any script, scripts of Matomo that only define classes run",
	Without: []Protection{frontAllowList},
	Attempt: func(ctx context.Context, t *Target, record *Record) error {
		v, err := t.visitor(8, record)
		if err != nil {
			return err
		}
		return errors.Join(v.plantedScripts(ctx), v.ownScripts(ctx))
	},
}

// entryPoints are the scripts that Matomo is started by.
var entryPoints = []string{"/index.php", "/matomo.php", "/piwik.php", "/js/index.php"}

// scriptDirs are kinds of directories of Matomo.
var scriptDirs = []string{
	"", "/config", "/core", "/js", "/lang", "/libs", "/misc", "/misc/user", "/node_modules", "/node_modules/jquery/dist", "/plugins", "/plugins/CoreHome", "/plugins/CoreHome/images",
	"/plugins/CoreHome/javascripts", "/plugins/Morpheus/images", "/tests", "/tmp", "/tmp/assets", "/tmp/templates_c", "/vendor", "/vendor/composer",
}

// scriptEndings are what a planted script is called, and the ends of targets
// that a server may take for it.
var scriptEndings = []struct {
	ending string
	ways   []string
}{
	{".php", []string{"", "/", "/a.js", "/a.png", "/index.php", "%20", "%00", "%00.png", "%0a", "%0a.png", ".", "...", ";a.png", "%3b.png", "::$DATA", "?a=/a.js", "%3fa.js", "/.", "\\", "~"}},
	{".png", []string{"/a.php", "%00.php", "/.php", "%0a.php"}}, // what an uploaded picture may hold
	{".PHP", []string{""}}, {".pHp", []string{""}}, {".phtml", []string{""}}, {".phar", []string{""}}, {".php5", []string{""}}, {".pht", []string{""}},
	{".inc", []string{""}}, {".php.jpg", []string{""}}, {".php.bak", []string{""}},
}

// script prints a word when it runs, and holds another one.
func (file leftover) script() (content, ran string) {
	half := strings.TrimPrefix(file.mark, "rocca-prove-")
	return "<?php /* " + file.mark + " */ echo 'ran-', '" + half + "';", "ran-" + half
}

func (v visitor) plantedScripts(ctx context.Context) error {
	for i, dir := range scriptDirs {
		for _, kind := range scriptEndings {
			if kind.ending != ".php" && kind.ending != ".png" && i > 0 && dir != "/misc/user" && dir != "/plugins/CoreHome/images" {
				continue // a server treats these by their names
			}
			if err := v.plantedScript(ctx, dir, Canary()+kind.ending, kind.ways); err != nil {
				return err
			}
		}
	}
	return nil
}

func (v visitor) plantedScript(ctx context.Context, dir, name string, ways []string) error {
	t := v.t
	file := leftover{path: t.Matomo.Real + dir + "/" + name, mark: Canary()}
	if info, err := filepath.EvalSymlinks(path.Dir(file.path)); err != nil || info == "" {
		return nil //nolint:nilerr // not there
	}
	content, ran := file.script()
	if err := t.Plant(file.path, "root", 0o644, content); err != nil {
		return err
	}
	a := again{
		setUp: "echo " + shellWord(content) + " >" + shellWord(file.path) + "; chmod 644 " + shellWord(file.path), undo: "rm -f " + shellWord(file.path),
		pattern: ran + "|" + file.mark,
	}
	judge := func(r reply) string {
		switch {
		case bytes.Contains(r.Body, []byte(ran)):
			return "it ran"
		case bytes.Contains(r.Body, []byte(file.mark)) && !strings.HasSuffix(name, ".png") && !strings.HasSuffix(name, ".jpg"):
			return "its source came" // of a picture it may
		}
		return ""
	}
	plain := t.URLPath(dir + "/" + name)
	targets := []string{}
	for _, way := range ways {
		targets = append(targets, plain+way)
	}
	if strings.HasSuffix(name, ".php") {
		stem := strings.TrimSuffix(name, ".php")
		below := t.URLPath(dir + "/")
		targets = append(targets, below+stem+"%2ephp", below+stem+".p%68p", below+stem+".%70%68%70", below+stem+"%252ephp", below+"./"+name, below+"/"+name, below+"%2e/"+name, below+stem+".PHP",
			t.URLPath("/index.php/.."+dir+"/"+name), t.URLPath("/js/.."+dir+"/"+name), t.URLPath("/plugins/..;"+dir+"/"+name))
	}
	for _, target := range targets {
		fell, err := v.fetch(ctx, "run a planted script", target, "", a, judge)
		if err != nil {
			return err
		}
		if fell {
			break // one way is enough
		}
	}
	return nil
}

const (
	ownLimit = 300 // scripts of Matomo that are asked for
	perDir   = 3   // in one directory, at least one
)

// ownScripts asks for PHP files of Matomo.
func (v visitor) ownScripts(ctx context.Context) error {
	t := v.t
	scripts, err := sample(t.Matomo.Real)
	if err != nil {
		return err
	}
	missing := map[string]reply{} // by directory
	for _, script := range scripts {
		dir := path.Dir(script)
		if _, asked := missing[dir]; !asked {
			if missing[dir], err = v.ask(ctx, web.Request{Target: t.URLPath(path.Join(dir, Canary()+".php"))}); err != nil {
				return err
			}
		}
		_, err := v.try(ctx, "run a script of Matomo that is no entry point", web.Request{Target: t.URLPath(script)}, again{pattern: `^HTTP/1\.[01] (2|5)|<\?php`}, func(a reply) string {
			return unlikeMissing(a, missing[dir])
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// unlikeMissing tells what an answer to a script that is there gives away,
// beside that to one which is not.
func unlikeMissing(a, missing reply) string {
	switch {
	case bytes.Contains(a.Body, []byte("<?php")):
		return "its source came"
	case a.Status == 0 || a.Status == missing.Status && a.Header.Get("Content-Type") == missing.Header.Get("Content-Type") && len(a.Body) == len(missing.Body):
		return "" // as if it were not there
	case a.Status >= 200 && a.Status < 300:
		return "it ran: a name that is not there gets another answer"
	case a.Status >= 500 && missing.Status < 500:
		return "it ran, and failed"
	}
	return ""
}

// harmful are scripts that do more than define something.
var harmful = []string{"/misc/cron/", "/misc/others/", "/console", "/bin/", "/tests/", "/scripts/", "/config/", "archive.php", "/libs/bower_components/"}

// sample picks PHP files below a directory, of all its directories, by their
// paths below it.
func sample(top string) ([]string, error) {
	byDir := map[string][]string{}
	err := filepath.WalkDir(top, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		below := strings.TrimPrefix(name, top)
		doesMore := slices.ContainsFunc(harmful, func(part string) bool { return strings.Contains(below, part) })
		if !entry.IsDir() && strings.HasSuffix(below, ".php") && !doesMore && !slices.Contains(entryPoints, below) {
			byDir[path.Dir(below)] = append(byDir[path.Dir(below)], below)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return spread(byDir, ownLimit), nil
}

// spread takes first one of each directory, then a second, as far as most; when
// there are more directories than that, it takes them evenly.
func spread(byDir map[string][]string, most int) []string {
	var dirs []string
	for dir := range byDir {
		dirs = append(dirs, dir)
	}
	slices.Sort(dirs)
	var all []string
	for round := range perDir {
		for _, dir := range dirs {
			if files := byDir[dir]; round < len(files) {
				all = append(all, files[round])
			}
		}
		if len(all) >= most {
			break
		}
	}
	if len(all) <= most {
		return all
	}
	var picked []string
	for i := range most {
		picked = append(picked, all[i*len(all)/most])
	}
	return picked
}
