package prove

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"rocca/internal/collect/db"
	"rocca/internal/collect/front"
	"rocca/internal/facts"
	"rocca/internal/mariadb"
	"rocca/internal/prove/fastcgi"
	"rocca/internal/prove/web"
	"rocca/internal/run"
	"rocca/internal/secret"
)

// Target is the machine that is attacked: this one. Whoever attacks knows all
// of it but its secrets (Kerckhoffs).
type Target struct {
	facts.Server

	// Throwaway says that it may be broken: a demo server, or a twin.
	Throwaway bool

	web    front.Target
	client web.Client
	traces *traces
	sql    *mariadb.Conn
}

// Open prepares to attack this machine. What an earlier run left, which was
// killed before it could tidy up, is taken away first.
func Open(ctx context.Context, seen facts.Server) (*Target, error) {
	t := &Target{Server: seen}
	_, throwaway := os.Stat(ThrowawayMark)
	t.Throwaway = throwaway == nil
	var err error
	if t.web, err = front.TargetOf(seen); err != nil {
		return nil, fmt.Errorf("attack the front: %w", err)
	}
	if t.traces, err = openTraces(tracesDir); err != nil {
		return nil, err
	}
	if err := t.clean(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("take away what an earlier run left: %w", err), t.Close())
	}
	return t, nil
}

// ThrowawayMark is a file that only throw-away servers have.
const ThrowawayMark = "/etc/rocca-demo"

// Close ends the attacks. Everything that they left is gone by then.
func (t *Target) Close() error {
	t.client.Close()
	err := t.traces.close()
	if t.sql != nil {
		err = errors.Join(err, t.sql.Close())
	}
	return err
}

func (t *Target) clean(ctx context.Context) error { return t.traces.undo(ctx, t) }

// Canary makes a name that nothing has yet and that tells whose it is: it may
// be used in paths, host names, SQL and HTML as it is.
func Canary() string { return "rocca-prove-" + strings.ToLower(rand.Text()[:12]) }

// Plant writes a file as root, owned by a user ("root" too) with a mode, that is
// removed when the attack ends. There must be no such file, and its directory
// must be there.
func (t *Target) Plant(name, owner string, mode os.FileMode, content string) error {
	uid, gid, _, err := ids(owner)
	if err != nil {
		return err
	}
	if err := t.Gone(name); err != nil {
		return err
	}
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("plant %s: %w", name, err)
	}
	_, err = io.WriteString(file, content)
	if err := errors.Join(err, file.Chown(uid, gid), file.Chmod(mode), file.Close()); err != nil {
		return fmt.Errorf("plant %s: %w", name, err)
	}
	return nil
}

// PlantDir makes a directory that is removed with all below it when the attack
// ends.
func (t *Target) PlantDir(name, owner string, mode os.FileMode) error {
	uid, gid, _, err := ids(owner)
	if err != nil {
		return err
	}
	if err := t.Gone(name); err != nil {
		return err
	}
	if err := os.Mkdir(name, 0o700); err != nil {
		return fmt.Errorf("plant %s: %w", name, err)
	}
	// Not by name: whoever may write above could have put a link there meanwhile.
	dir, err := os.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_DIRECTORY, 0)
	if err != nil {
		return fmt.Errorf("plant %s: %w", name, err)
	}
	if err := errors.Join(dir.Chown(uid, gid), dir.Chmod(mode), dir.Close()); err != nil {
		return fmt.Errorf("plant %s: %w", name, err)
	}
	return nil
}

// Gone makes sure that paths, which do not exist yet and have "rocca-prove-" in
// them, are removed when the attack ends, whoever makes them. Call it before
// what might make them, once for many: each call waits for the disk.
func (t *Target) Gone(names ...string) error {
	var more []trace
	for _, name := range names {
		if !path.IsAbs(name) || path.Clean(name) != name || !strings.Contains(name, "rocca-prove-") {
			return fmt.Errorf("remove %s later: not a canary of an attack", name)
		}
		if _, err := os.Lstat(name); err == nil {
			return fmt.Errorf("remove %s later: it is there already", name)
		}
		more = append(more, trace{Path: name})
	}
	return t.traces.add(more...)
}

// Afterwards has a statement run by the database's root when the attack ends,
// such as one that deletes rows that a canary's name is in.
func (t *Target) Afterwards(statement string) error { return t.traces.add(trace{SQL: statement}) }

// AfterwardsRun has a command run as root when the attack ends.
func (t *Target) AfterwardsRun(argv ...string) error { return t.traces.add(trace{Argv: argv}) }

// SQL is the database server of Matomo, as its root where it is on this machine.
func (t *Target) SQL(ctx context.Context) (mariadb.Conn, error) {
	if t.sql == nil {
		conn, err := db.Connect(ctx, db.LoginOf(t.Matomo.Main(), secret.Secret{}))
		if err != nil {
			return conn, err
		}
		t.sql = &conn
	}
	return *t.sql, nil
}

// Table is the name of a table of Matomo for SQL: Table("log_visit").
func (t *Target) Table(name string) string {
	l := db.LoginOf(t.Matomo.Main(), secret.Secret{})
	return mariadb.Identifier(l.Schema) + "." + mariadb.Identifier(l.Prefix+name)
}

// Run runs a program on this machine as a Unix user, with no right beyond.
func (t *Target) Run(ctx context.Context, user string, c run.Command) (run.Result, error) {
	return run.Do(ctx, AsCommand(user, c))
}

// AsCommand is a command that is run as a Unix user.
func AsCommand(user string, c run.Command) run.Command {
	c.Argv = append([]string{"setpriv", "--reuid=" + user, "--regid=" + group(user), "--init-groups", "--inh-caps=-all", "--"}, c.Argv...)
	return c
}

func group(name string) string {
	_, gid, _, err := ids(name)
	if err != nil {
		return name // setpriv says what is wrong with it
	}
	return fmt.Sprint(gid)
}

// Pool finds the pool that plays a role of Matomo: "ui" or "tracker". On most
// servers it is one for both.
func (t *Target) Pool(role string) (facts.Pool, bool) {
	for _, pool := range t.MatomoPools() {
		if slices.Contains(strings.Fields(pool.Role), role) {
			return pool, true
		}
	}
	return facts.Pool{}, false
}

// Context is Matomo's data directory of a role.
func (t *Target) Context(role string) facts.Context {
	for _, c := range t.Matomo.Contexts {
		if c.Name == role {
			return c
		}
	}
	return t.Matomo.Main()
}

// Others are the Unix users that are neither root nor one of those named: each
// an account that could be broken into. There is always one who is a stranger
// to all groups ("nobody").
func (t *Target) Others(but ...string) []string {
	names := []string{"nobody"}
	for name, u := range t.Users {
		interesting := !u.Service || slices.Contains([]string{t.Front.User, "matomo", "matomo-tracker", "matomo-admin", "mysql"}, name) || t.runsPool(name)
		if interesting && u.UID != 0 && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.DeleteFunc(names, func(name string) bool { return slices.Contains(but, name) })
}

func (t *Target) runsPool(user string) bool {
	return slices.ContainsFunc(t.PHP.Pools, func(p facts.Pool) bool { return p.User == user })
}

// RunPHP has a pool run PHP code, as somebody would who has broken into it, and
// returns what the code printed. The code, without "<?php", is planted in a
// file that only the pool's user can read, and asked for past the front where
// the pool has a socket, else through it.
func (t *Target) RunPHP(ctx context.Context, pool facts.Pool, code string) (string, error) {
	return t.runPHP(ctx, pool, code, "")
}

// runPHP is RunPHP with the body of a request for the code to read.
func (t *Target) runPHP(ctx context.Context, pool facts.Pool, code, body string) (string, error) {
	script := "<?php error_reporting(0);\n" + code
	if pool.Listen == "" {
		return t.runPHPByWeb(ctx, pool, script, body)
	}
	dir := path.Join(scriptDir(pool), Canary())
	if err := t.PlantDir(dir, "root", 0o711); err != nil {
		return "", err
	}
	name := dir + "/" + Canary() + ".php"
	if err := t.Plant(name, pool.User, 0o400, script); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errors.New("no answer"))
	defer cancel()
	address := fastcgi.Address(pool.Listen)
	if err := mustBeOwnPool(address); err != nil {
		return "", err
	}
	answer, err := fastcgi.Do(ctx, address, scriptRequest(name, body))
	if err != nil {
		return "", fmt.Errorf("run PHP in the pool %s: %w", pool.Name, err)
	}
	return string(answer.Body), nil
}

// scriptRequest asks a pool to run a script.
func scriptRequest(name, body string) fastcgi.Request {
	r := fastcgi.Request{Params: map[string]string{"SCRIPT_FILENAME": name, "SCRIPT_NAME": "/x.php", "REQUEST_METHOD": "GET"}, Body: []byte(body)}
	if body != "" {
		r.Params["REQUEST_METHOD"], r.Params["CONTENT_LENGTH"] = "POST", strconv.Itoa(len(body))
		r.Params["CONTENT_TYPE"] = bodyType(body)
	}
	return r
}

// bodyType is a form with files, which PHP takes apart itself, for a body that
// begins with a boundary, and else what PHP leaves to the script.
func bodyType(body string) string {
	first, _, lines := strings.Cut(body, "\r\n")
	if boundary, form := strings.CutPrefix(first, "--"); form && lines {
		return "multipart/form-data; boundary=" + boundary
	}
	return "application/octet-stream"
}

// scriptDir is a directory from which a pool runs scripts: where open_basedir
// confines it, that of its list which is there.
func scriptDir(pool facts.Pool) string {
	for _, dir := range strings.Split(pool.Value("open_basedir", ""), ":") {
		if info, err := os.Stat(dir); err == nil && info.IsDir() && path.IsAbs(dir) {
			return dir
		}
	}
	return "/run"
}

// mustBeOwnPool refuses the pools of other machines.
func mustBeOwnPool(address string) error {
	if path.IsAbs(address) {
		return nil
	}
	return mustBeOwn(address)
}

func (t *Target) runPHPByWeb(ctx context.Context, pool facts.Pool, script, body string) (string, error) {
	name := Canary() + ".php"
	if err := t.Plant(path.Join(t.Matomo.Real, name), pool.User, 0o400, script); err != nil {
		return "", err
	}
	answer, err := t.Ask(ctx, webRequest(t.URLPath("/"+name), body))
	if err != nil {
		return "", fmt.Errorf("run PHP in the pool %s: %w", pool.Name, err)
	}
	if answer.Status != 200 {
		return "", fmt.Errorf("run PHP in the pool %s: the front answers %d to a script in its document root", pool.Name, answer.Status)
	}
	return string(answer.Body), nil
}

// webRequest asks the front for a script.
func webRequest(target, body string) web.Request {
	r := web.Request{Target: target, Body: body}
	if body != "" {
		r.Method, r.Header = "POST", [][2]string{{"Content-Type", bodyType(body)}}
	}
	return r
}

// Name is the public name of Matomo.
func (t *Target) Name() string { return t.web.Name }

// TLS tells whether the front speaks it.
func (t *Target) TLS() bool { return t.web.HTTPS != "" }

// URLPath is a path below Matomo's own, "/" on most servers.
func (t *Target) URLPath(below string) string { return strings.TrimSuffix(t.web.Base, "/") + below }

// FrontAddress is where the front listens, of TLS or plain: "127.0.0.1:443".
func (t *Target) FrontAddress(plain bool) string {
	if plain || t.web.HTTPS == "" {
		return t.web.HTTP
	}
	return t.web.HTTPS
}

// Ask makes one request of the front: over TLS where it speaks that, to this
// machine's own address, for Matomo's own name where the request names none.
func (t *Target) Ask(ctx context.Context, r web.Request) (web.Response, error) {
	address := t.FrontAddress(r.Plain)
	if address == "" {
		return web.Response{}, errors.New("ask the front: nothing listens there")
	}
	if err := mustBeOwn(address); err != nil {
		return web.Response{}, err
	}
	if r.Host == "" {
		r.Host = t.web.Name
	}
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errors.New("no answer"))
	defer cancel()
	answer, err := t.client.Do(ctx, address, t.web.HTTPS != "" && !r.Plain, r)
	return answer, errors.Join(err, t.forgetSessions(answer))
}

// patience is how long one request may take.
const patience = 20 * time.Second

// mustBeOwn refuses addresses of other machines: those are never attacked.
func mustBeOwn(address string) error {
	if err := front.Own(address); err != nil {
		return fmt.Errorf("attack %s: %w", address, err)
	}
	return nil
}
