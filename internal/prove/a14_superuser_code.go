package prove

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"rocca/internal/facts"
	"rocca/internal/model"
	"rocca/internal/prove/web"
)

var generalSettingsClosed = Protection{
	ID:       "enable_general_settings_admin",
	Title:    "what the configuration decides cannot be changed in the browser",
	Part:     SettingPart,
	Remove:   `sed -i 's/^enable_general_settings_admin = .*/enable_general_settings_admin = 1/' "$STATE"/config/*config.ini.php`,
	Controls: []string{"APP-08"},
}

// The sandbox mounts the code read-only, so its owner is not all.
var pluginsLocked = Protection{
	ID:    "plugins-locked",
	Title: "PHP cannot write plugins",
	Part:  CodePart,
	Remove: `chown "$(stat -c %G "$STATE/config/config.ini.php")" "$CODE/plugins"
mkdir -p /etc/systemd/system/rocca-php@ui.service.d
printf '[Service]\nReadWritePaths=%s\n' "$CODE/plugins" >/etc/systemd/system/rocca-php@ui.service.d/zz-plugins.conf
systemctl daemon-reload
systemctl restart rocca-php@ui.service`,
	Controls: []string{"FS-09"},
}

var uploadsSmall = Protection{
	ID:    "uploads-small",
	Title: "PHP takes few and small uploads",
	Part:  UIUnit,
	Remove: `sed -i 's/^max_file_uploads = .*/max_file_uploads = 20/; s/^upload_max_filesize = .*/upload_max_filesize = 64M/; s/^post_max_size = .*/post_max_size = 128M/' /etc/rocca/php/ui.ini
systemctl restart rocca-php@ui.service`,
	Controls: []string{"PHP-07"},
}

var a14 = Attack{
	ID:    "A14",
	Title: "a superuser's session uploads a plugin, opens the marketplace and starts an update",
	How:   "A super user of its own is made, who logs in through the form and confirms the password where that is asked. With this session, the worst that can be stolen, a plugin is uploaded and one is switched on, the marketplace and the update of the code are opened, a host is trusted, a mail server and the way of archiving are set, and a picture with PHP in it becomes the logo. PHP of the user interface writes into the directory of plugins, and is sent more files than Matomo needs.",
	Risk:  "for some seconds there is one more super user, whose password nobody else knows; settings, plugins and the logo would change where they can",

	Disturbs: true,
	Without:  []Protection{generalSettingsClosed, webUpdatesOff, pluginsLocked, uploadsSmall},
	Attempt: func(ctx context.Context, t *Target, r *Record) error {
		s := &superuserAttack{Target: t, r: r}
		if err := s.signIn(ctx); err != nil {
			return err
		}
		// The settings come last: with another trusted host, Matomo asks no
		// longer for the password.
		return errors.Join(s.switchPlugin(ctx), s.uploadPlugin(ctx), s.openPages(ctx), s.uploadLogo(ctx), s.writePlugin(ctx), s.sendFiles(ctx), s.settings(ctx))
	},
}

type superuserAttack struct {
	*Target
	r       *Record
	user    account
	browser *browser
	token   string            // of the session
	nonces  map[string]string // of the page of plugins, by what they are for: "install", "activate"
}

var (
	tokenInPage = regexp.MustCompile(`piwik\.token_auth = "([^"]+)"`)
	nonceInPage = regexp.MustCompile(`\b(install|activate)-nonce="(?:&quot;)?([0-9a-f]{16,})`)
)

func (s *superuserAttack) signIn(ctx context.Context) error {
	from, err := s.own(14)
	if err != nil {
		return err
	}
	if s.user, err = s.newAccount(ctx, true); err != nil {
		return err
	}
	if err := s.keepSettings(ctx); err != nil {
		return err
	}
	s.browser = s.newBrowser(from)
	if err := s.browser.signIn(ctx, s.user); err != nil {
		return err
	}
	page, err := s.browser.get(ctx, "module=CorePluginsAdmin&action=plugins")
	if err != nil {
		return err
	}
	found := tokenInPage.FindSubmatch(page.Body)
	if found == nil {
		return fmt.Errorf("use the session of a super user: %d %s", page.Status, told(page.Body))
	}
	s.token = string(found[1])
	s.nonces = map[string]string{}
	for _, nonce := range nonceInPage.FindAllSubmatch(page.Body, -1) {
		s.nonces[string(nonce[1])] = string(nonce[2])
	}
	// What a session cannot do at all proves nothing.
	answer, err := s.call(ctx, versionMethod, nil)
	if err != nil {
		return err
	}
	if refused := apiRefusal(answer); refused != "" {
		return fmt.Errorf("use the session of a super user: %s", refused)
	}
	return nil
}

// changedOptions may be changed by what is tried.
var changedOptions = []string{"enableBrowserTriggerArchiving", "todayArchiveTimeToLive", "branding_use_custom_logo", "LastPluginActivation." + idlePlugin, "version_" + idlePlugin, "UpdateCheck_LastTimeChecked", "UpdateCheck_LastCheckFailed", "UpdateCheck_LatestVersion"}

// keepSettings has the configuration and the options put back.
func (s *superuserAttack) keepSettings(ctx context.Context) error {
	conn, err := s.SQL(ctx)
	if err != nil {
		return err
	}
	for _, name := range changedOptions {
		if err := s.keepOption(ctx, name); err != nil {
			return err
		}
	}
	// Matomo would look for a new version out there before it shows its update.
	if err := conn.Exec(ctx, fmt.Sprintf("REPLACE INTO %s (option_name, option_value, autoload) VALUES ('UpdateCheck_LastTimeChecked', '%d', 1)", s.Table("option"), time.Now().Add(time.Hour).Unix())); err != nil {
		return fmt.Errorf("keep the settings: %w", err)
	}
	_, _, err = (&installerAttack{t: s.Target}).keepConfiguration()
	return err
}

// call calls the API with the session.
func (s *superuserAttack) call(ctx context.Context, method string, with url.Values) (web.Response, error) {
	form := url.Values{"force_api_session": {"1"}}
	maps.Copy(form, with)
	return s.browser.api(ctx, method, s.token, form)
}

// try writes down what the session got.
func (s *superuserAttack) try(what, where, sent string, answer web.Response, fell bool, code string) {
	try := model.Try{Who: "session of a super user", What: what, Where: where, Sent: sent, Answer: fmt.Sprintf("%d %s", answer.Status, told(answer.Body)), Fell: fell}
	if fell {
		try.Reproduce = s.reproduction(reproduced{account: true, superuser: true, signedIn: true}, code)
	}
	s.r.Try(try)
}

// settings changes what the configuration decides.
func (s *superuserAttack) settings(ctx context.Context) error {
	for _, change := range []struct {
		what, method string
		with         url.Values
		again        string // arguments that ask and change nothing, or what is put back
	}{
		{"trust another host", "CoreAdminHome.setTrustedHosts", url.Values{"trustedHosts[]": {Canary() + ".example.org"}}, `$f=["trustedHosts"=>"0"];`},
		{
			"have reports made by visits of pages", "CoreAdminHome.setArchiveSettings", url.Values{"enableBrowserTriggerArchiving": {"1"}, "todayArchiveTimeToLive": {"3600"}},
			`$f=["enableBrowserTriggerArchiving"=>1,"todayArchiveTimeToLive"=>3600];$o="(\"enableBrowserTriggerArchiving\",\"todayArchiveTimeToLive\")";` +
				`sql("UPDATE {$p}option SET option_name=CONCAT(\"rocca-prove-\",option_name) WHERE option_name IN $o");` +
				`register_shutdown_function(function(){global $p,$o;sql("DELETE FROM {$p}option WHERE option_name IN $o;UPDATE {$p}option SET option_name=SUBSTR(option_name,13) WHERE option_name LIKE \"rocca-prove-%\"");});`,
		},
	} {
		answer, err := s.call(ctx, change.method, change.with)
		if err != nil {
			return err
		}
		code := change.again + fmt.Sprintf(`$b=ask("module=API",$f+["module"=>"API","method"=>%q,"format"=>"json","token_auth"=>$page,"force_api_session"=>1]);echo $b;if($b!==""&&!strpos($b,"error")){exit(0);}`, change.method)
		s.try(change.what, change.method, "POST "+change.with.Encode(), answer, apiRefusal(answer) == "", code)
	}
	// A mail server of this machine: nothing is sent.
	mail := url.Values{"format": {"json"}, "token_auth": {s.token}, "force_api_session": {"1"}, "mailUseSmtp": {"1"}, "mailHost": {"127.0.0.1"}, "mailPort": {"9"}}
	answer, err := s.browser.post(ctx, "module=CoreAdminHome&action=setMailSettings", mail)
	if err != nil {
		return err
	}
	s.try("set the mail server", "CoreAdminHome.setMailSettings", "POST mailUseSmtp=1&mailHost=127.0.0.1", answer, strings.Contains(string(answer.Body), `"success"`),
		`$b=ask("module=CoreAdminHome&action=setMailSettings",["format"=>"json","token_auth"=>"wrong","force_api_session"=>1]);echo $b;if(strpos($b,"error")){exit(0);}`)
	return nil
}

// idlePlugin is one of Matomo's own that is off by default and only shows tables.
const idlePlugin = "DBStats"

var confirmNonce = regexp.MustCompile(`name="nonce"[^>]*value="([^"]+)"`)

// switchPlugin switches a plugin on. Matomo asks for the password once more.
func (s *superuserAttack) switchPlugin(ctx context.Context) error {
	query := "module=CorePluginsAdmin&action=activate&redirectTo=&pluginName=" + idlePlugin + "&nonce=" + s.nonces["activate"]
	answer, err := s.browser.get(ctx, query)
	if err != nil {
		return err
	}
	if confirm := answer.Header.Get("Location"); answer.Status == http.StatusFound && strings.Contains(confirm, "confirmPassword") {
		page, err := s.browser.get(ctx, queryOf(confirm))
		if err != nil {
			return err
		}
		if found := confirmNonce.FindSubmatch(page.Body); found != nil {
			if _, err := s.browser.post(ctx, queryOf(confirm), url.Values{"nonce": {string(found[1])}, "password": {s.user.password}}); err != nil {
				return err
			}
		}
		if answer, err = s.browser.get(ctx, query); err != nil {
			return err
		}
	}
	content, err := os.ReadFile(s.Matomo.Main().Config)
	if err != nil {
		return fmt.Errorf("look whether the plugin is on: %w", err)
	}
	on := bytes.Contains(content, []byte(`Plugins[] = "`+idlePlugin+`"`))
	s.try("switch a plugin on", "CorePluginsAdmin.activate", "GET "+query, answer, on,
		`$b=ask("module=CorePluginsAdmin&action=activate&pluginName=DBStats&nonce=x");echo $head[0],substr(strip_tags($b),0,200);if(strpos($head[0]," 302")){exit(0);}`)
	return nil
}

// uploadPlugin sends a plugin of its own, which does nothing.
func (s *superuserAttack) uploadPlugin(ctx context.Context) error {
	name := "Rocca" + strings.ReplaceAll(Canary(), "-", "")[len("roccaprove"):]
	dir := filepath.Join(s.Matomo.Real, "plugins", name)
	if err := s.AfterwardsRun("rm", "-rf", "--", dir); err != nil {
		return err
	}
	packed, err := pluginZip(name)
	if err != nil {
		return err
	}
	query := "module=CorePluginsAdmin&action=uploadPlugin&nonce=" + s.nonces["install"]
	answer, err := s.upload(ctx, query, map[string]string{"nonce": s.nonces["install"], "confirmPassword": s.user.password}, uploaded{"pluginZip", name + ".zip", "application/zip", packed})
	if err != nil {
		return err
	}
	_, missing := os.Lstat(dir)
	s.try("upload a plugin", "CorePluginsAdmin.uploadPlugin", "POST pluginZip="+name+".zip, "+fmt.Sprint(len(packed))+" bytes", answer, !errors.Is(missing, fs.ErrNotExist),
		`$b=ask("module=CorePluginsAdmin&action=uploadPlugin&nonce=x");echo substr(strip_tags($b),0,200);if(!preg_match("/disabled|not exist/",$b)){exit(0);}`)
	return nil
}

// pluginZip is an archive of a plugin as Matomo wants it.
func pluginZip(name string) ([]byte, error) {
	var out bytes.Buffer
	archive := zip.NewWriter(&out)
	for file, content := range map[string]string{
		"plugin.json": `{"name": "` + name + `", "version": "1.0.0", "description": "A canary.", "require": {"matomo": ">=3.0.0-b1,<99.0.0-b1"}}`,
		name + ".php": "<?php\nnamespace Piwik\\Plugins\\" + name + ";\nclass " + name + " extends \\Piwik\\Plugin\n{\n}\n",
	} {
		into, err := archive.Create(name + "/" + file)
		if err != nil {
			return nil, fmt.Errorf("pack a plugin: %w", err)
		}
		if _, err := into.Write([]byte(content)); err != nil {
			return nil, fmt.Errorf("pack a plugin: %w", err)
		}
	}
	if err := archive.Close(); err != nil {
		return nil, fmt.Errorf("pack a plugin: %w", err)
	}
	return out.Bytes(), nil
}

// uploaded is a file in a form.
type uploaded struct {
	field, name, kind string
	content           []byte
}

// form is the body of a form with files. It begins with its boundary.
func form(fields map[string]string, files ...uploaded) string {
	boundary := Canary()
	var out strings.Builder
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		fmt.Fprintf(&out, "--%s\r\nContent-Disposition: form-data; name=%q\r\n\r\n%s\r\n", boundary, name, fields[name])
	}
	for _, file := range files {
		fmt.Fprintf(&out, "--%s\r\nContent-Disposition: form-data; name=%q; filename=%q\r\nContent-Type: %s\r\n\r\n%s\r\n", boundary, file.field, file.name, file.kind, file.content)
	}
	return out.String() + "--" + boundary + "--\r\n"
}

// upload sends a form with a file.
func (s *superuserAttack) upload(ctx context.Context, query string, fields map[string]string, file uploaded) (web.Response, error) {
	body := form(fields, file)
	return s.browser.ask(ctx, web.Request{Method: http.MethodPost, Target: s.URLPath("/index.php?" + query), Header: [][2]string{{"Content-Type", bodyType(body)}}, Body: body})
}

// openPages opens what brings foreign code in. Nothing is fetched: only the
// pages from which that begins are asked for.
func (s *superuserAttack) openPages(ctx context.Context) error {
	for _, page := range []struct{ what, query string }{
		{"open the marketplace", "module=Marketplace&action=manageLicenseKey"},
		{"open the update of the code", "module=CoreUpdater&action=newVersionAvailable"},
	} {
		answer, err := s.browser.get(ctx, page.query)
		if err != nil {
			return err
		}
		body := string(answer.Body)
		// The second sentence is of an updater that is on and finds nothing newer.
		fell := answer.Status == http.StatusOK || strings.Contains(body, "is up to date")
		s.try(page.what, s.url("index.php?"+page.query), "GET "+page.query, answer, fell,
			fmt.Sprintf(`$b=ask(%q);echo $head[0];if(strpos($head[0]," 200")||strpos($b,"is up to date")){exit(0);}`, page.query))
	}
	return nil
}

// pixel is a picture of one pixel, as PNG.
const pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

// uploadLogo sends a picture that is a script, too. It is not tried where there
// is a logo.
func (s *superuserAttack) uploadLogo(ctx context.Context) error {
	dir := filepath.Join(s.Matomo.Real, "misc/user")
	before, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // a release that was copied without it: Matomo has nowhere to put a logo
	}
	if err != nil {
		return fmt.Errorf("look at the logos: %w", err)
	}
	if slices.ContainsFunc(before, func(e fs.DirEntry) bool { return strings.HasPrefix(e.Name(), "logo") }) {
		return nil
	}
	for _, name := range []string{"logo.png", "logo-header.png"} {
		if err := s.AfterwardsRun("rm", "-f", "--", filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	picture, err := base64.StdEncoding.DecodeString(pixel)
	if err != nil {
		return fmt.Errorf("make a picture: %w", err)
	}
	script := Canary()
	picture = append(picture, "<?php echo '"+script+"';"...)
	answer, err := s.upload(ctx, "module=CoreAdminHome&action=uploadCustomLogo", map[string]string{"token_auth": s.token, "force_api_session": "1"}, uploaded{"customLogo", script + ".php", "image/png", picture})
	if err != nil {
		return err
	}
	after, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("look at the logos: %w", err)
	}
	kept := ""
	for _, entry := range after {
		file := filepath.Join(dir, entry.Name())
		content, err := os.ReadFile(file)
		if err == nil && bytes.Contains(content, []byte(script)) || strings.Contains(entry.Name(), script) {
			kept = file
			if err := s.AfterwardsRun("rm", "-f", "--", file); err != nil {
				return err
			}
		}
	}
	s.try("upload a picture with PHP in it", "CoreAdminHome.uploadCustomLogo", "POST customLogo="+script+".php", answer, kept != "", `$b=ask("module=CoreAdminHome&action=uploadCustomLogo");if($b==="0"){exit(0);}`)
	return nil
}

// writePlugin has PHP of the user interface make a plugin itself.
func (s *superuserAttack) writePlugin(ctx context.Context) error {
	pool, found := s.Pool("ui")
	if !found {
		return errors.New("find the pool of the user interface: there is none")
	}
	dir := path.Join(s.Matomo.Real, "plugins", Canary())
	if err := s.Gone(dir); err != nil {
		return err
	}
	printed, err := s.RunPHP(ctx, pool, fmt.Sprintf("echo mkdir(%s) ? 'made' : 'refused: '.error_get_last()['message'];", phpText(dir)))
	if err != nil {
		return err
	}
	if !strings.HasPrefix(printed, "made") && !strings.HasPrefix(printed, "refused") {
		return fmt.Errorf("have the pool %s make a plugin: it printed %q", pool.Name, printed)
	}
	try := model.Try{Who: "PHP of the pool " + pool.Name, What: "make a plugin", Where: dir, Answer: printed, Fell: strings.HasPrefix(printed, "made")}
	if try.Fell {
		try.Reproduce = "setpriv --reuid=" + pool.User + " --regid=" + group(pool.User) + " --init-groups -- test -w " + shellWord(path.Dir(dir))
	}
	s.r.Try(try)
	return nil
}

// filesNeeded are more than Matomo ever uploads at once.
const filesNeeded = 4

// countUploads is PHP that tells how many files came to it.
const countUploads = `echo "accepted ", count(array_filter($_FILES, function ($f) { return !$f["error"]; }));`

// sendFiles sends PHP files, which it stores before any script looks at them.
func (s *superuserAttack) sendFiles(ctx context.Context) error {
	pool, found := s.Pool("ui")
	if !found {
		return errors.New("find the pool of the user interface: there is none")
	}
	var files []uploaded
	for n := range 2 * filesNeeded {
		files = append(files, uploaded{fmt.Sprintf("f%d", n), "x.txt", "text/plain", []byte("x")})
	}
	body := form(nil, files...)
	printed, err := s.runPHP(ctx, pool, countUploads, body)
	if err != nil {
		return err
	}
	var accepted int
	if _, err := fmt.Sscanf(printed, "accepted %d", &accepted); err != nil {
		return fmt.Errorf("send files to the pool %s: it printed %q", pool.Name, printed)
	}
	try := model.Try{Who: "visitor", What: fmt.Sprintf("send %d files", len(files)), Where: "PHP of the pool " + pool.Name, Answer: printed, Fell: accepted > filesNeeded}
	if try.Fell {
		try.Reproduce = s.sendAgain(pool, body)
	}
	s.r.Try(try)
	return nil
}

// sendAgain sends the files to a script that it writes and removes.
func (s *superuserAttack) sendAgain(pool facts.Pool, body string) string {
	name, ask := path.Join(s.Matomo.Real, Canary()+".php"), ""
	if pool.Listen == "" {
		ask = s.askAgain(webRequest(s.URLPath("/"+path.Base(name)), body))
	} else {
		name = path.Join(scriptDir(pool), path.Base(name))
		ask = speakAgain(pool.Listen, scriptRequest(name, body))
	}
	return "( trap " + shellWord("rm -f "+name) + " EXIT; " + writeAgain(name, "<?php "+countUploads) + "; " + ask + " | grep -a 'accepted [5-9]' )"
}
