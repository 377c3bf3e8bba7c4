package prove

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path"
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
	"rocca/internal/prove/fastcgi"
	"rocca/internal/prove/web"
)

var a05 = Attack{
	ID:    "A05",
	Title: "another user plants PHP where Matomo includes its cache from",
	How: "Each other user tries to make a file in every directory that Matomo includes PHP from: tmp with cache and templates, configuration, code. So does PHP of each other pool, and PHP that records visits in the tmp of the user interface. " +
		"Where it can be done in the cache, it plants what Matomo will take for the attributes of a site that does not exist, and sends a hit for that site. Elsewhere it renames a directory like Matomo's own, and makes one in its place.",
	Risk:    "none: one hit for a site that does not exist, which is refused",
	Without: []Protection{ownTmp},
	Attempt: attemptCache,
}

var ownTmp = Protection{
	ID:       "own-tmp",
	Title:    "only the UI's own user gets into its tmp",
	Part:     StatePart,
	Remove:   `find "$STATE/tmp" -type d -exec chmod 0777 {} +`,
	Controls: []string{"FS-06", "APP-18", "FS-16"},
}

// mostDirs is how many directories of one tmp are tried.
const mostDirs = 500

func attemptCache(ctx context.Context, t *Target, r *Record) error {
	contexts := slices.DeleteFunc(slices.Clone(t.Matomo.Contexts), func(c facts.Context) bool { return c.Tmp == "" || c.User == "" })
	if t.Matomo.Real == "" || len(contexts) == 0 {
		return errors.New("plant PHP: it is not known where Matomo keeps its tmp, or who runs it")
	}
	for _, c := range contexts {
		if err := t.warm(ctx, c); err != nil {
			return err
		}
		for _, pool := range t.PHP.Pools {
			if err := t.plantByPHP(ctx, r, c, pool); err != nil {
				return err
			}
		}
		dirs := append(below(c.Tmp, mostDirs), path.Dir(c.Config), c.Data)
		for _, name := range t.Others(c.User) {
			if err := t.plantByUser(ctx, r, c, name, dirs); err != nil {
				return err
			}
		}
	}
	code := slices.DeleteFunc(t.codeDirs(), func(dir string) bool {
		return slices.ContainsFunc(contexts, func(c facts.Context) bool { return within(dir, c.Tmp) || dir == path.Dir(c.Config) })
	})
	for _, name := range t.Others(t.poolUsers()...) {
		if err := t.plantByUser(ctx, r, contexts[0], name, code); err != nil {
			return err
		}
	}
	return nil
}

// warm has a Matomo that was never asked yet make its cache.
func (t *Target) warm(ctx context.Context, c facts.Context) error {
	if _, err := os.Stat(cacheOf(c)); err == nil {
		return nil
	}
	h, err := t.hitFor(c)
	if err != nil || h.ask == nil {
		return err
	}
	if err := t.AfterwardsRun("rm", "-f", "--", path.Join(cacheOf(c), h.file)); err != nil {
		return err
	}
	_, err = h.ask(ctx)
	return err
}

// cacheOf is where a context keeps files that it includes by the names of what
// is asked for.
func cacheOf(c facts.Context) string { return path.Join(c.Tmp, "cache/tracker") }

// plantByUser has a user plant PHP in directories that the Matomo of a context
// includes from.
func (t *Target) plantByUser(ctx context.Context, r *Record, c facts.Context, name string, dirs []string) error {
	var open []string
	var refused []model.Try
	err := As(name, func() error {
		open, refused = openAmong(name, "plant PHP in", directories(dirs))
		return nil
	})
	if err != nil {
		return err
	}
	// What was shown of one directory holds for the next of its kind.
	cache := cacheOf(c)
	if slices.Contains(open, cache) {
		if err := t.includeCache(ctx, r, c, "user "+name, func(file, content string) error { return createAs(name, file, content) }, name); err != nil {
			return err
		}
	}
	for i, dir := range open {
		if dir == cache || i >= kept {
			continue
		}
		if err := t.replaceDir(r, c, name, dir); err != nil {
			return err
		}
	}
	for _, try := range refused {
		r.Try(try)
	}
	return nil
}

// hit is a request that makes Matomo look into its cache for a site.
type hit struct {
	file string // that it looks for
	ask  func(context.Context) (string, error)
	by   string // the same as a command
}

// hitFor makes a hit that the Matomo of a context answers: through the front
// where that passes hits to it, else to its pool, as the front would.
func (t *Target) hitFor(c facts.Context) (hit, error) {
	number, err := rand.Int(rand.Reader, big.NewInt(100_000_000))
	if err != nil {
		return hit{}, err
	}
	site := fmt.Sprint(1_900_000_000 + number.Int64())
	h := hit{file: "matomocache_" + site + ".php"}
	query := "rec=1&send_image=0&url=http%3A%2F%2Fexample.org%2F&idsite=" + site
	pool, ok := t.Pool("tracker")
	if ok && t.Context("tracker").Tmp == c.Tmp {
		request := web.Request{Target: t.URLPath("/matomo.php?" + query)}
		h.by = t.askAgain(request)
		h.ask = func(ctx context.Context) (string, error) {
			answer, err := t.Ask(ctx, request)
			return string(answer.Body), err
		}
		return h, nil
	}
	if pool, ok = t.Pool(c.Name); !ok || pool.Listen == "" {
		return hit{}, nil // nobody can ask it
	}
	script := path.Join(t.Matomo.Real, "matomo.php")
	request := fastcgi.Request{Params: map[string]string{
		"SCRIPT_FILENAME": script, "SCRIPT_NAME": "/matomo.php", "DOCUMENT_ROOT": t.Matomo.Real, "REQUEST_METHOD": "GET", "REQUEST_URI": "/matomo.php?" + query,
		"QUERY_STRING": query, "REMOTE_ADDR": "127.0.0.1", "HTTP_HOST": t.Name(), "SERVER_NAME": t.Name(), "SERVER_PROTOCOL": "HTTP/1.1", "HTTPS": "on",
	}}
	h.by = speakAgain(pool.Listen, request)
	h.ask = func(ctx context.Context) (string, error) {
		answer, err := speak(ctx, pool, request)
		return string(answer.Body), err
	}
	return h, nil
}

// includeCache has somebody plant the cached attributes of a site, and asks for
// the site. write does the planting; by is a user who can do so again.
func (t *Target) includeCache(ctx context.Context, r *Record, c facts.Context, who string, write func(file, content string) error, by string) error {
	h, err := t.hitFor(c)
	if err != nil || h.ask == nil {
		return err
	}
	word := rand.Text()
	file := path.Join(cacheOf(c), h.file)
	if _, err := os.Lstat(file); err == nil {
		return fmt.Errorf("plant %s: it is there already", file)
	}
	// It has the name that Matomo asks for, and so none of a canary.
	if err := t.AfterwardsRun("rm", "-f", "--", file); err != nil {
		return err
	}
	content := script(word) + " exit;"
	try := model.Try{Who: who, What: "plant PHP in the cache, and make Matomo include it", Where: file, Sent: content}
	if err := write(file, content); err != nil {
		try.Answer = err.Error()
		r.Try(try)
		return nil
	}
	said, err := h.ask(ctx)
	if err != nil {
		return err
	}
	try.Answer = "it was planted, and did not run"
	if strings.Contains(said, word) {
		try.Fell, try.Answer = true, "a hit for that site ran it as "+c.User
		try.Reproduce = fmt.Sprintf(`(runuser -u %s -- sh -c %s && %s | grep -ao %s; e=$?; rm -f %s; exit $e)`,
			by, shellWord("umask 022; "+writeAgain(file, content)), h.by, word, shellWord(file))
	}
	r.Try(try)
	return nil
}

// replaceDir has a user put a directory of its own in the place of one like
// those that Matomo's user makes there.
func (t *Target) replaceDir(r *Record, c facts.Context, name, dir string) error {
	canary := path.Join(dir, Canary())
	if err := t.Gone(canary, canary+"-gone"); err != nil {
		return err
	}
	owner := c.User
	if err := As(owner, func() error { return os.Mkdir(canary, 0o755) }); err != nil {
		// He may not write there himself; the files there are root's.
		if err := os.Mkdir(canary, 0o755); err != nil {
			return fmt.Errorf("make a directory like Matomo's: %w", err)
		}
		owner = "root"
	}
	before, err := os.Lstat(canary)
	if err != nil {
		return err
	}
	err = As(name, func() error {
		if err := os.Rename(canary, canary+"-gone"); err != nil {
			return err
		}
		return os.Mkdir(canary, 0o755)
	})
	try := model.Try{Who: "user " + name, What: "replace a directory of " + owner + " in", Where: dir, Sent: "rename, then mkdir"}
	after, gone := os.Lstat(canary)
	switch {
	case err != nil:
		try.Answer = err.Error()
	case gone == nil && !os.SameFile(before, after):
		try.Fell, try.Answer = true, "its own is there now: with it what Matomo includes from there"
		try.Reproduce = fmt.Sprintf(`(d=%s; runuser -u %s -- mkdir "$d" && runuser -u %s -- sh -c 'mv "$1" "$1-gone" && mkdir "$1"' sh "$d"; stat -c '%%U: %%n' "$d"*; test "$(stat -c %%U "$d")" = %s; e=$?; rm -rf "$d" "$d-gone"; exit $e)`,
			shellWord(canary), owner, name, name)
	}
	r.Try(try)
	return nil
}

// plantByPHP has PHP of a pool plant a cached file of a context that is not its
// own, or that is that of the user interface and of recording at once.
func (t *Target) plantByPHP(ctx context.Context, r *Record, c facts.Context, pool facts.Pool) error {
	own, both := pool.User == c.User, len(strings.Fields(pool.Role)) > 1
	if own && !both && pool.Role == c.Name {
		return nil
	}
	who := "PHP of the pool " + pool.Name
	if own && both {
		who = "PHP that records visits (pool " + pool.Name + ")"
	}
	write := func(file, content string) error { return t.writeByPHP(ctx, pool, file, content) }
	h, err := t.hitFor(c)
	if err != nil {
		return err
	}
	if _, err := os.Stat(cacheOf(c)); err == nil && h.ask != nil {
		return t.includeCache(ctx, r, c, who, write, pool.User)
	}
	file := path.Join(c.Tmp, Canary()+".php")
	if err := t.Gone(file); err != nil {
		return err
	}
	err = write(file, "<?php")
	try := model.Try{Who: who, What: "plant PHP in", Where: file}
	if _, gone := os.Lstat(file); gone == nil {
		try.Fell, try.Answer = true, "it is there"
		try.Reproduce = fmt.Sprintf(`(f=%s; runuser -u %s -- touch "$f" && ls -l "$f"; e=$?; rm -f "$f"; exit $e)`, shellWord(file), pool.User)
	} else if err != nil {
		try.Answer = err.Error()
	}
	r.Try(try)
	return nil
}

func (t *Target) writeByPHP(ctx context.Context, pool facts.Pool, file, content string) error {
	put := deed{PHP: fmt.Sprintf("return file_put_contents(%s, %s) === %d ? 'done' : '';", phpText(file), phpText(content), len(content))}
	came, err := t.inPool(ctx, pool, []deed{put})
	if err != nil {
		return err
	}
	if why := came[0].Why; came[0].Got == "" {
		return errors.New(strings.TrimSpace(why[strings.LastIndexByte(why, ':')+1:]))
	}
	return nil
}
