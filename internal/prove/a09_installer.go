package prove

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/mariadb"
	"rocca/internal/model"
	"rocca/internal/prove/web"
	"rocca/internal/run"
)

var installerClosed = Protection{
	ID:       "enable_installer",
	Title:    "the installer is closed, in config.ini.php and in what Matomo reads without it",
	Part:     SettingPart,
	Remove:   `sed -i 's/^enable_installer = .*/enable_installer = 1/' "$STATE"/config/*config.ini.php`,
	Controls: []string{"APP-02"},
}

// Matomo counts updates as off when either setting is.
var webUpdatesOff = Protection{
	ID:       "enable_auto_update",
	Title:    "no update is shown or started by the web, of the code or the database",
	Part:     UpdatePart,
	Remove:   `sed -i 's/^enable_auto_update = .*/enable_auto_update = 1/; s/^enable_internet_features = .*/enable_internet_features = 1/' "$STATE"/config/*config.ini.php`,
	Controls: []string{"APP-06"},
}

// The sandbox mounts what PHP does not write read-only, so both must go.
var configLocked = Protection{
	ID:    "config-locked",
	Title: "PHP cannot write its configuration",
	Part:  ConfigPart,
	Remove: `chown "$(stat -c %G "$STATE/config/config.ini.php")" "$STATE/config" "$STATE/config/config.ini.php"
chmod 0700 "$STATE/config"
mkdir -p /etc/systemd/system/rocca-php@ui.service.d
printf '[Service]\nReadWritePaths=%s\n' "$STATE/config" >/etc/systemd/system/rocca-php@ui.service.d/zz-weak.conf
systemctl daemon-reload
systemctl restart rocca-php@ui.service`,
	Controls: []string{"APP-03", "FS-05"},
}

var a09 = Attack{
	ID:    "A09",
	Title: "the installer is opened on any host name, and while the configuration is missing or half written",
	How:   "A visitor asks for the steps of the installer and for the page that updates the database, by the public name, other names, an address and none. The pool's PHP opens its configuration for writing, as each program of Matomo does that changes a setting. On a throw-away server the configuration is also taken away, emptied and cut off in turn while a visitor asks, the console sets a setting as the pool's user, and an update is made to wait.",
	Risk:  "none: pages are only read, and of the installer those that change nothing; nothing is written to the configuration. What would stop Matomo for a moment is done on throw-away servers only",

	Without: []Protection{installerClosed, webUpdatesOff, configLocked},
	Attempt: func(ctx context.Context, t *Target, r *Record) error {
		i := &installerAttack{t, r}
		if err := errors.Join(i.askEverywhere(ctx), i.askUpdater(ctx), i.openConfiguration(ctx)); err != nil {
			return err
		}
		if !t.Throwaway {
			return nil
		}
		return errors.Join(i.setByConsole(ctx), i.breakConfiguration(ctx), i.waitingUpdate(ctx))
	},
}

type installerAttack struct {
	t *Target
	r *Record
}

// installerSteps ask for what changes nothing on an installed Matomo. The first
// step, "welcome", empties all caches before it looks whether it may.
var installerSteps = []string{"systemCheck", "tablesCreation", "reuseTables", "setupSuperUser", "firstWebsiteSetup", "trackingCode", "finished"}

// openedInstaller tells whether the installer ran for who asked: it shows a
// step, or stops only where it cannot write its configuration.
func openedInstaller(answer web.Response) bool {
	body := string(answer.Body)
	if strings.Contains(body, "already installed") {
		return false
	}
	return strings.Contains(body, `id="installation"`) || strings.Contains(body, "&rsaquo; Installation</title>") ||
		strings.Contains(body, "databasesetupform") || strings.Contains(body, "config.ini.php) is not writable")
}

func (i *installerAttack) askEverywhere(ctx context.Context) error {
	t := i.t
	// Matomo takes the last trusted name that it was asked by for its own, also
	// with a dot behind it.
	if err := t.keepOption(ctx, "piwikUrl"); err != nil {
		return err
	}
	form := t.URLPath("/index.php?module=Installation&action=databaseSetup")
	requests := []web.Request{{Target: form}}
	for _, host := range []string{Canary() + ".example.org", "localhost", "127.0.0.1", "common", "..", t.Name() + ".", strings.ToUpper(t.Name()), t.Name() + ":1"} {
		requests = append(requests, web.Request{Target: form, Host: host})
	}
	requests = append(requests, web.Request{Target: form, NoHost: true, Version: "HTTP/1.0"}, web.Request{Target: form, NoHost: true}, web.Request{Target: form, Plain: true},
		web.Request{Target: "http://" + Canary() + ".example.org" + form}, web.Request{Target: form, Header: [][2]string{{"X-Forwarded-Host", Canary() + ".example.org"}}})
	opened := false
	for _, request := range requests {
		opened = i.askInstaller(ctx, request, broken{}) || opened
	}
	if opened {
		return nil // the other steps of an open installer change the server
	}
	for _, step := range installerSteps {
		i.askInstaller(ctx, web.Request{Target: t.URLPath("/index.php?module=Installation&action=" + step)}, broken{})
	}
	return nil
}

// askInstaller makes a request and writes down whether the installer answered.
func (i *installerAttack) askInstaller(ctx context.Context, request web.Request, while broken) bool {
	try := model.Try{Who: "visitor", What: "open the installer", Where: i.where(request), Sent: firstLines(request)}
	switch {
	case while.state != "":
		try.Note = "while the configuration was " + while.state
	case !i.t.Throwaway:
		try.Note = "with the configuration as it is: it is taken away and cut off on throw-away servers only"
	}
	answer, err := i.t.Ask(ctx, request)
	if err != nil {
		try.Answer = facts.Why(err) // a name that is refused gets no answer
	} else {
		try.Answer = briefly(answer)
		try.Fell = openedInstaller(answer)
	}
	if try.Fell {
		try.Reproduce = i.t.reproduction(reproduced{}, while.again()+fmt.Sprintf(`$b=ask(%q);if(preg_match("/<title>[^<]*|config.ini.php\) is not writable/",$b,$m)){echo $m[0];}if(!strpos($b,"already installed")&&preg_match("/id=.installation|Installation<.title>|databasesetupform|config.ini.php\) is not writable/",$b)){exit(0);}`, queryOf(request.Target)))
	}
	i.r.Try(try)
	return try.Fell
}

func (i *installerAttack) where(request web.Request) string {
	host := request.Host
	switch {
	case request.NoHost:
		host = "no name"
	case host == "":
		host = i.t.Name()
	}
	return host + " " + i.t.FrontAddress(request.Plain) + request.Target
}

func queryOf(target string) string {
	_, query, _ := strings.Cut(target, "?")
	return query
}

// firstLines are the lines of a request, without what every one has.
func firstLines(request web.Request) string {
	return strings.TrimSpace(strings.TrimSuffix(string(web.Encode(request)), "Connection: close\r\n\r\n"))
}

// askUpdater asks for the page that shows and starts an update of the database.
// It changes nothing unless it is told to.
func (i *installerAttack) askUpdater(ctx context.Context) error {
	request := web.Request{Target: i.t.URLPath("/index.php?module=CoreUpdater&action=runUpdaterAndExit")}
	answer, err := i.t.Ask(ctx, request)
	if err != nil {
		return err
	}
	try := model.Try{
		Who: "visitor", What: "open the page that updates the database", Where: i.where(request), Sent: firstLines(request),
		Answer: briefly(answer), Fell: updaterRan(answer),
	}
	if try.Fell {
		try.Note = "the page looks for updates for who has no login, and runs those that wait"
		try.Reproduce = i.t.reproduction(reproduced{}, asksUpdater)
	}
	i.r.Try(try)
	return nil
}

// asksUpdater is the code of a reproduction that succeeds when the updater looks
// for updates.
const asksUpdater = `$b=ask("module=CoreUpdater&action=runUpdaterAndExit");echo substr(strip_tags($b),-300);if(preg_match("/already up to date|getUpdaterCss|has to be updated/",$b)){exit(0);}`

// updaterRan tells whether the updater looked for updates.
func updaterRan(answer web.Response) bool {
	body := string(answer.Body)
	return strings.Contains(body, "already up to date") || strings.Contains(body, "getUpdaterCss") || strings.Contains(body, "database has to be updated")
}

// openConfiguration has PHP open its configuration as a writer does, and lets go.
func (i *installerAttack) openConfiguration(ctx context.Context) error {
	seen := map[string]bool{}
	for _, role := range []string{"ui", "tracker"} {
		pool, found := i.t.Pool(role)
		file := i.t.Context(role).Config
		if !found || seen[pool.Name+" "+file] {
			continue
		}
		seen[pool.Name+" "+file] = true
		printed, err := i.t.RunPHP(ctx, pool, fmt.Sprintf(`echo fopen(%[1]s, 'r+') ? 'opened' : 'refused: '.error_get_last()['message'], is_writable(dirname(%[1]s)) ? '; the directory takes files' : '';`, phpText(file)))
		if err != nil {
			return err
		}
		if !strings.HasPrefix(printed, "opened") && !strings.HasPrefix(printed, "refused") {
			return fmt.Errorf("have the pool %s open its configuration: it printed %q", pool.Name, printed)
		}
		try := model.Try{
			Who: "PHP of the pool " + pool.Name, What: "open its configuration for writing", Where: file, Answer: strings.TrimSpace(printed),
			Fell: strings.HasPrefix(printed, "opened") || strings.Contains(printed, "takes files"),
			Note: "each process of Matomo that changes a setting rewrites the file in place: who reads it meanwhile sees half of it",
		}
		if try.Fell {
			// It asks as the pool's user; the pool's own sandbox, if any, is left out.
			try.Reproduce = run.Quote(AsCommand(pool.User, run.Command{Argv: []string{"php", "-n", "-r", fmt.Sprintf("exit(is_writable(%s)||is_writable(%s)?0:1);", phpText(file), phpText(path.Dir(file)))}}).Argv)
		}
		i.r.Try(try)
	}
	return nil
}

// phpText is a literal of PHP.
func phpText(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(text) + "'"
}

// keepConfiguration puts the configuration back, as it is now, when the attack
// ends, and gives what does so earlier.
func (i *installerAttack) keepConfiguration() (content []byte, putBack func() error, err error) {
	file := i.t.Matomo.Main().Config
	content, err = os.ReadFile(file)
	if err != nil {
		return nil, nil, fmt.Errorf("keep the configuration: %w", err)
	}
	dir := path.Join("/var/lib", Canary())
	if err := i.t.PlantDir(dir, "root", 0o700); err != nil {
		return nil, nil, err
	}
	kept := path.Join(dir, "config.ini.php")
	back := []string{"cp", "--preserve=all", kept, file}
	if _, err := run.Do(context.Background(), run.Command{Argv: []string{"cp", "--preserve=all", file, kept}}); err != nil {
		return nil, nil, fmt.Errorf("keep the configuration: %w", err)
	}
	if err := i.t.AfterwardsRun(back...); err != nil {
		return nil, nil, err
	}
	return content, func() error {
		_, err := run.Do(context.Background(), run.Command{Argv: back})
		return err
	}, nil
}

// setByConsole has the pool's user set a setting to what it is, as people do
// with Matomo's console.
func (i *installerAttack) setByConsole(ctx context.Context) error {
	pool, found := i.t.Pool("ui")
	if !found {
		return errors.New("find the pool of the user interface: there is none")
	}
	if _, _, err := i.keepConfiguration(); err != nil {
		return err
	}
	file := i.t.Matomo.Main().Config
	before, err := os.Stat(file)
	if err != nil {
		return fmt.Errorf("look at the configuration: %w", err)
	}
	command := AsCommand(pool.User, run.Command{
		Argv: []string{"php", path.Join(i.t.Matomo.Real, "console"), "config:set", "--section=General", "--key=enable_trusted_host_check", "--value=1"},
		Env:  []string{"MATOMO_DATA=" + i.t.Matomo.Main().Data},
	})
	result, err := run.Do(ctx, command)
	if err != nil {
		result.Stdout = []byte(facts.Why(err))
	}
	after, err := os.Stat(file)
	if err != nil {
		return fmt.Errorf("look at the configuration: %w", err)
	}
	try := model.Try{Who: "user " + pool.User, What: "rewrite the configuration with Matomo's console", Where: file, Sent: run.Quote(command.Argv), Answer: told(result.Stdout), Fell: !after.ModTime().Equal(before.ModTime())}
	if try.Fell {
		try.Reproduce = run.Quote(AsCommand(pool.User, run.Command{Argv: []string{"php", "-n", "-r", fmt.Sprintf("exit(is_writable(%s)?0:1);", phpText(file))}}).Argv)
	}
	i.r.Try(try)
	return nil
}

// breakConfiguration takes the configuration away and cuts it off, as a full
// disk, a kill or two writers at once do, while a visitor asks.
func (i *installerAttack) breakConfiguration(ctx context.Context) error {
	content, putBack, err := i.keepConfiguration()
	if err != nil {
		return err
	}
	file := i.t.Matomo.Main().Config
	asks := func(while broken) {
		for _, query := range []string{"action=databaseSetup", "module=Installation&action=setupSuperUser"} {
			i.askInstaller(ctx, web.Request{Target: i.t.URLPath("/index.php?" + query)}, while)
		}
	}
	for _, while := range cuts(string(content)) {
		if err := os.Truncate(file, while.at); err != nil {
			return fmt.Errorf("cut the configuration off: %w", err)
		}
		asks(while)
		if err := putBack(); err != nil {
			return err
		}
	}
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("take the configuration away: %w", err)
	}
	asks(broken{state: "missing", at: -1})
	return putBack()
}

// broken is a state of the configuration; the zero value: as it should be.
type broken struct {
	state string
	at    int64 // what is left of it, in bytes; negative: it is missing
}

// again is PHP that brings the state about, and puts the configuration back.
// It is for a throw-away server, as the try was.
func (b broken) again() string {
	switch {
	case b.state == "":
		return ""
	case b.at < 0:
		return `rename($config,"$config.rocca-prove");register_shutdown_function(function(){global $config;rename("$config.rocca-prove",$config);});`
	}
	return fmt.Sprintf(`$c=file_get_contents($config);register_shutdown_function(function(){global $config,$c;file_put_contents($config,$c);});file_put_contents($config,substr($c,0,%d));`, b.at)
}

// cuts are the places where a configuration is cut off: all of them leave
// Matomo without the name of its database's user.
func cuts(content string) []broken {
	places := []broken{{"empty", 0}}
	if at := strings.Index(content, "\nusername"); at >= 0 {
		places = append(places, broken{"cut off before the user of the database", int64(at + 1)})
	}
	return places
}

// waitingUpdate makes the database look older than the code, as after each new
// release, and lets a visitor start its update.
func (i *installerAttack) waitingUpdate(ctx context.Context) error {
	conn, err := i.t.SQL(ctx)
	if err != nil {
		return err
	}
	if err := i.t.keepOption(ctx, "version_core"); err != nil {
		return err
	}
	option := i.t.Table("option")
	version, err := i.databaseVersion(ctx)
	if err != nil {
		return err
	}
	if err := conn.Exec(ctx, "UPDATE "+option+" SET option_value = "+mariadb.Quote(version+"-rc9")+" WHERE option_name = 'version_core'"); err != nil {
		return fmt.Errorf("make an update wait: %w", err)
	}
	for _, query := range []string{"module=CoreUpdater", "module=CoreUpdater&action=runUpdaterAndExit", "module=CoreUpdater&action=runUpdaterAndExit&updateCorePlugins=1"} {
		request := web.Request{Target: i.t.URLPath("/index.php?" + query)}
		answer, err := i.t.Ask(ctx, request)
		if err != nil {
			return err
		}
		now, err := i.databaseVersion(ctx)
		if err != nil {
			return err
		}
		try := model.Try{
			Who: "visitor", What: "update the database while an update waits", Where: i.where(request), Sent: firstLines(request),
			Answer: briefly(answer), Fell: answer.Status == http.StatusOK && updaterRan(answer) || now == version,
			Note: "the database said version " + version + "-rc9, and now " + now,
		}
		if try.Fell {
			try.Reproduce = i.t.reproduction(reproduced{}, asksUpdater)
		}
		i.r.Try(try)
		if now == version {
			break
		}
	}
	return nil
}

// databaseVersion is the version of Matomo that its tables are of.
func (i *installerAttack) databaseVersion(ctx context.Context) (string, error) {
	version, err := i.t.option(ctx, "version_core")
	if err != nil {
		return "", fmt.Errorf("read the version of the database: %w", err)
	}
	return version, nil
}
