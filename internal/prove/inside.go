package prove

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
	"rocca/internal/prove/fastcgi"
)

// deed is one thing that somebody tries who runs PHP in a pool.
type deed struct {
	What, Where string

	// PHP is the body of a function. It returns a text that shows that the deed
	// succeeded, and false or an empty text when it did not.
	PHP string

	// Again is the same for Reproduce, where the canaries are other ones: Setup
	// and Cleanup are programs of sh that make and remove them. Empty: as PHP.
	Again, Setup, Cleanup string

	Body string // of the request, for PHP to read; of the only deed
	Note string
}

// done is what came of a deed.
type done struct {
	Got string `json:"got"` // what shows that it succeeded; empty when it did not
	Why string `json:"why"` // what PHP said about it
}

// canaryAgain is the place of a canary in commands that repeat a deed.
const canaryAgain = "rocca-prove-again"

// inPool has a pool try deeds, all in one request.
func (t *Target) inPool(ctx context.Context, pool facts.Pool, deeds []deed) ([]done, error) {
	mark := Canary()
	body := ""
	for _, d := range deeds {
		body += d.Body
	}
	printed, err := t.runPHP(ctx, pool, deedsPHP(mark, deeds), body)
	if err != nil {
		return nil, err
	}
	_, answer, found := strings.Cut(printed, mark)
	var all []done
	if err := json.Unmarshal([]byte(answer), &all); !found || err != nil || len(all) != len(deeds) {
		return nil, fmt.Errorf("run PHP in the pool %s: it did not run to its end: %q", pool.Name, shortened(printed))
	}
	return all, nil
}

// deedsPHP is a script that does deeds and prints what came of them, after the
// mark.
func deedsPHP(mark string, deeds []deed) string {
	var code strings.Builder
	code.WriteString("$deeds = [];\n")
	for _, d := range deeds {
		code.WriteString("$deeds[] = function () { " + d.PHP + " };\n")
	}
	code.WriteString(`$all = [];
foreach ($deeds as $deed) {
	error_clear_last();
	$why = '';
	ob_start();
	try {
		$got = $deed();
	} catch (\Throwable $e) {
		$got = '';
		$why = $e->getMessage();
	}
	ob_end_clean();
	$all[] = ['got' => substr((string) $got, 0, 300), 'why' => substr($why ?: (error_get_last()['message'] ?? ''), 0, 300)];
}
echo '` + mark + `', json_encode($all, JSON_INVALID_UTF8_SUBSTITUTE);
`)
	return code.String()
}

// tryInPool has a pool try deeds and writes down what came of each.
func (t *Target) tryInPool(ctx context.Context, r *Record, pool facts.Pool, deeds []deed) error {
	all, err := t.inPool(ctx, pool, deeds)
	if err != nil {
		return err
	}
	for i, d := range deeds {
		r.Try(t.tried(pool, d, all[i]))
	}
	return nil
}

func (t *Target) tried(pool facts.Pool, d deed, came done) model.Try {
	try := model.Try{Who: "PHP of the pool " + pool.Name, What: d.What, Where: d.Where, Sent: d.PHP, Answer: came.Got, Fell: came.Got != "", Note: d.Note}
	if try.Fell {
		try.Reproduce = t.deedAgain(pool, d)
		return try
	}
	if try.Answer = came.Why; try.Answer == "" {
		try.Answer = "refused"
	}
	return try
}

// deedAgain is a command that has a pool try a deed: it ends with 0 when the deed
// succeeds.
func (t *Target) deedAgain(pool facts.Pool, d deed) string {
	if d.Again != "" {
		d.PHP = d.Again
	}
	const mark = "SUCCEEDED: "
	script := "<?php error_reporting(0); function deed() { " + d.PHP + " } ob_start(); try { $got = (string) deed(); } catch (\\Throwable $e) { $got = ''; } ob_end_clean(); echo $got !== '' ? '" + mark + "' . $got : 'refused', \"\\n\";"
	file := path.Join(scriptDir(pool), canaryAgain+".php")
	ask := speakAgain(pool.Listen, scriptRequest(file, d.Body))
	if pool.Listen == "" {
		file = path.Join(t.Matomo.Real, canaryAgain+".php")
		ask = t.askAgain(webRequest(t.URLPath("/"+canaryAgain+".php"), d.Body))
	}
	setUp := []string{
		d.Setup,
		fmt.Sprintf("(umask 077; echo %s | base64 -d >%s)", base64Text(script), file),
		"chown " + pool.User + " " + file,
	}
	return tidily(setUp, ask+" | tee /dev/stderr | grep -aq "+shellWord(mark), "rm -f "+file, d.Cleanup)
}

// speak makes a request of a pool past the front.
func speak(ctx context.Context, pool facts.Pool, r fastcgi.Request) (fastcgi.Response, error) {
	address := fastcgi.Address(pool.Listen)
	if err := mustBeOwnPool(address); err != nil {
		return fastcgi.Response{}, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errors.New("no answer"))
	defer cancel()
	return fastcgi.Do(ctx, address, r)
}
