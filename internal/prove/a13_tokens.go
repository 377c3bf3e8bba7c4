package prove

import (
	"context"
	"crypto/md5" //nolint:gosec // of a password, as logme takes it
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"rocca/internal/mariadb"
	"rocca/internal/model"
	"rocca/internal/prove/web"
)

var tokensByPost = Protection{
	ID:       "tokens-by-post",
	Title:    "tokens in addresses are refused",
	Part:     SettingPart,
	Remove:   `sed -i 's/^only_allow_secure_auth_tokens = .*/only_allow_secure_auth_tokens = 0/' "$STATE/config/config.ini.php"`,
	Controls: []string{"APP-11"},
}

var noLoginByURL = Protection{
	ID:       "no-login-by-url",
	Title:    "nobody logs in by a link with a password in it",
	Part:     SettingPart,
	Remove:   `sed -i 's/^login_allow_logme = .*/login_allow_logme = 1/' "$STATE"/config/*config.ini.php`,
	Controls: []string{"APP-12"},
}

var anonymousSeesNothing = Protection{
	ID:       "anonymous-sees-nothing",
	Title:    "the user anonymous has no right on any site",
	Part:     DataPart,
	Remove:   inSchema("INSERT INTO ${prefix}access (login, idsite, access) SELECT 'anonymous', MIN(idsite), 'view' FROM ${prefix}site"),
	Controls: []string{"ACC-08"},
}

var a13 = Attack{
	ID:    "A13",
	Title: "tokens in URLs, logme, ended tokens and the anonymous API are tried",
	How:   "A login of its own that may view one site is made, with tokens: one that works in the body of a request is tried in the address, as are one for the body only, one that ended yesterday and one that was deleted. The logme link is opened with that login's password. Its token asks for what only administrators may, its own promotion among it. Who has no login calls every method of the API that reads. Where rocca.yaml limits the user interface to networks, another address asks for it.",
	Risk:  "for some seconds there is one more login that may view one site; nobody else knows its password",

	Without: []Protection{tokensByPost, noLoginByURL, anonymousSeesNothing},
	Attempt: func(ctx context.Context, t *Target, r *Record) error {
		a := &tokenAttack{Target: t, r: r}
		if err := a.prepare(ctx); err != nil {
			return err
		}
		return errors.Join(a.inAddress(ctx), a.ended(ctx), a.loginByURL(ctx), a.promote(ctx), a.anonymous(ctx), a.otherNetworks(ctx))
	},
}

type tokenAttack struct {
	*Target
	r     *Record
	user  account
	token string
	from  netip.Addr
}

func (a *tokenAttack) prepare(ctx context.Context) (err error) {
	if a.from, err = a.own(13); err != nil {
		return err
	}
	if err := a.keepAnonymous(ctx); err != nil {
		return err
	}
	if a.user, err = a.newAccount(ctx, false); err != nil {
		return err
	}
	if err := a.allow(ctx, a.user, "view", a.site()); err != nil {
		return err
	}
	if a.token, err = a.newToken(ctx, a.user, tokenKind{}); err != nil {
		return err
	}
	// What does not work where it may proves nothing where it may not.
	answer, err := a.newBrowser(a.from).api(ctx, versionMethod, a.token, nil)
	if err != nil {
		return err
	}
	if refused := apiRefusal(answer); refused != "" {
		return fmt.Errorf("use a token as it is meant to be used: %s", refused)
	}
	return nil
}

// versionMethod needs the right to view some site.
const versionMethod = "API.getMatomoVersion"

// inAddress sends tokens where logs keep them.
func (a *tokenAttack) inAddress(ctx context.Context) error {
	postOnly, err := a.newToken(ctx, a.user, tokenKind{postOnly: true})
	if err != nil {
		return err
	}
	for what, token := range map[string]string{"a token": a.token, "a token for the body only": postOnly} {
		answer, err := a.newBrowser(a.from).get(ctx, "module=API&method="+versionMethod+"&format=json&token_auth="+token)
		if err != nil {
			return err
		}
		lock := ""
		if token == postOnly {
			lock = `sql("UPDATE {$p}user_token_auth SET secure_only=1 WHERE login=\"$login\"");`
		}
		a.call(answer, model.Try{Who: "who found it in a log", What: "use " + what + " in the address", Where: versionMethod, Sent: "GET ...&token_auth=[its own]"},
			reproduced{account: true}, lock+`$b=ask("module=API&method=API.getMatomoVersion&format=json&token_auth=$token");echo $b;if(strpos($b,"value")){exit(0);}`)
	}
	return nil
}

// call writes down a call of the API: that it was answered is what must not be.
func (a *tokenAttack) call(answer web.Response, try model.Try, kind reproduced, code string) {
	refused := apiRefusal(answer)
	try.Fell = refused == ""
	try.Answer = refused
	if try.Fell {
		try.Answer = briefly(answer)
		try.Reproduce = a.reproduction(kind, code)
	}
	a.r.Try(try)
}

// asksVersion is the code of a reproduction that succeeds when its token works.
const asksVersion = `$b=ask("module=API",["module"=>"API","method"=>"API.getMatomoVersion","format"=>"json","token_auth"=>$token]);echo $b;if(strpos($b,"value")){exit(0);}`

// ended uses tokens that are over.
func (a *tokenAttack) ended(ctx context.Context) error {
	other, err := a.newAccount(ctx, false)
	if err != nil {
		return err
	}
	if err := a.allow(ctx, other, "view", a.site()); err != nil {
		return err
	}
	expired, err := a.newToken(ctx, other, tokenKind{ended: true})
	if err != nil {
		return err
	}
	deleted, err := a.newToken(ctx, other, tokenKind{})
	if err != nil {
		return err
	}
	// It is used first, so that whatever keeps answers or logins has seen it.
	if _, err := a.newBrowser(a.from).api(ctx, versionMethod, deleted, nil); err != nil {
		return err
	}
	answer, err := a.newBrowser(a.from).api(ctx, versionMethod, expired, nil)
	if err != nil {
		return err
	}
	a.call(answer, model.Try{Who: "who kept it", What: "use a token that ended yesterday", Where: versionMethod, Sent: "POST token_auth=[its own]"}, reproduced{account: true},
		`sql("UPDATE {$p}user_token_auth SET date_expired=NOW()-INTERVAL 1 DAY WHERE login=\"$login\"");`+asksVersion)
	if err := a.deleteTokens(ctx, other); err != nil {
		return err
	}
	if answer, err = a.newBrowser(a.from).api(ctx, versionMethod, deleted, nil); err != nil {
		return err
	}
	a.call(answer, model.Try{Who: "who kept it", What: "use a token that was deleted", Where: versionMethod, Sent: "POST token_auth=[its own]"}, reproduced{account: true},
		`sql("DELETE FROM {$p}user_token_auth WHERE login=\"$login\"");`+asksVersion)
	return nil
}

// loginByURL opens a link with login and password in it, and looks whether it
// is logged in then.
func (a *tokenAttack) loginByURL(ctx context.Context) error {
	b := a.newBrowser(a.from)
	sum := md5.Sum([]byte(a.user.password)) //nolint:gosec // as logme wants it
	first, err := b.get(ctx, "module=Login&action=logme&login="+a.user.login+"&password="+hex.EncodeToString(sum[:]))
	if err != nil {
		return err
	}
	second, err := b.get(ctx, "module=UsersManager&action=userSettings")
	if err != nil {
		return err
	}
	try := model.Try{
		Who: "who found the link", What: "log in by it", Where: a.url("index.php?module=Login&action=logme"), Sent: "GET ...&login=" + a.user.login + "&password=[MD5 of its own]",
		Answer: fmt.Sprintf("%d %s; then %d", first.Status, told(first.Body), second.Status),
		Fell:   first.Status == http.StatusFound && strings.Contains(string(second.Body), a.user.login),
	}
	if try.Fell {
		try.Reproduce = a.reproduction(reproduced{account: true}, `$b=ask("module=Login&action=logme&login=$login&password=".md5($password));echo $head[0];$b=ask("module=UsersManager&action=userSettings");if(strpos($b,$login)){exit(0);}`)
	}
	a.r.Try(try)
	return nil
}

// promote asks with a token that may view one site for more.
func (a *tokenAttack) promote(ctx context.Context) error {
	newcomer := Canary()
	if err := a.forgetLogin(ctx, newcomer); err != nil {
		return err
	}
	name := Canary()
	if err := a.Afterwards("DELETE FROM " + a.Table("site") + " WHERE name = " + mariadb.Quote(name)); err != nil {
		return err
	}
	site := fmt.Sprint(a.site())
	for _, call := range []struct {
		method string
		with   url.Values
	}{
		{"UsersManager.getUsersAccessFromSite", url.Values{"idSite": {site}}},
		{"SitesManager.getAllSitesId", nil},
		{"UsersManager.setUserAccess", url.Values{"userLogin": {a.user.login}, "access": {"admin"}, "idSites": {site}, "passwordConfirmation": {a.user.password}}},
		{"UsersManager.setSuperUserAccess", url.Values{"userLogin": {a.user.login}, "hasSuperUserAccess": {"1"}, "passwordConfirmation": {a.user.password}}},
		{"UsersManager.addUser", url.Values{"userLogin": {newcomer}, "password": {a.user.password}, "email": {newcomer + "@example.org"}, "passwordConfirmation": {a.user.password}}},
		{"SitesManager.addSite", url.Values{"siteName": {name}, "urls": {"https://" + name + ".example.org"}}},
	} {
		answer, err := a.newBrowser(a.from).api(ctx, call.method, a.token, call.with)
		if err != nil {
			return err
		}
		sent := url.Values{}
		for key, values := range call.with {
			if key != "password" && key != "passwordConfirmation" {
				sent[key] = values
			}
		}
		code := fmt.Sprintf(`$b=ask("module=API",["module"=>"API","method"=>%q,"format"=>"json","token_auth"=>$token,"userLogin"=>$login,"access"=>"admin","idSites"=>%q,"hasSuperUserAccess"=>1,"passwordConfirmation"=>$password]);echo $b;if($b!==""&&!strpos($b,"error")){exit(0);}`, call.method, site)
		a.call(answer, model.Try{Who: "token that may view one site", What: "call what administrators may", Where: call.method, Sent: "POST " + sent.Encode()}, reproduced{account: true}, code)
	}
	return nil
}

// anonymous calls every method that reads, with no login. All calls go in a few
// requests, as the API takes them.
func (a *tokenAttack) anonymous(ctx context.Context) error {
	methods, err := readingMethods(filepath.Join(a.Matomo.Real, "plugins"))
	if err != nil {
		return err
	}
	if len(methods) == 0 {
		return errors.New("find the methods of the API: there are none")
	}
	for asked := range slices.Chunk(methods, 100) {
		answers, err := a.callAll(ctx, asked)
		if err != nil {
			return err
		}
		for n, method := range asked {
			answer := web.Response{Status: http.StatusOK, Body: answers[n]}
			try := model.Try{Who: "visitor", What: "call the API without a login", Where: method, Sent: "POST API.getBulkRequest urls[]=" + a.query(method), Answer: apiRefusal(answer)}
			if try.Answer == "" {
				try.Answer = told(answer.Body)
				try.Fell = !emptyAnswer(answer.Body) && !slices.Contains(openMethods, method)
			}
			if try.Fell {
				try.Reproduce = a.reproduction(reproduced{}, fmt.Sprintf(`$b=ask(%q);echo substr($b,0,300);if($b!==""&&$b!=="[]"&&!preg_match("/\"result\": *\"error\"/",$b)){exit(0);}`, "module=API&"+a.query(method)))
			}
			a.r.Try(try)
		}
	}
	return nil
}

// query asks a method for what every report needs.
func (a *tokenAttack) query(method string) string {
	return fmt.Sprintf("method=%s&format=json&idSite=%[2]d&idSites=%[2]d&period=day&date=today&filter_limit=1", method, a.site())
}

// callAll calls methods in one request, with no login.
func (a *tokenAttack) callAll(ctx context.Context, methods []string) ([]json.RawMessage, error) {
	form := url.Values{}
	for _, method := range methods {
		form.Add("urls[]", a.query(method))
	}
	answer, err := a.newBrowser(a.from).api(ctx, "API.getBulkRequest", "", form)
	if err != nil {
		return nil, err
	}
	var answers []json.RawMessage
	if err := json.Unmarshal(answer.Body, &answers); err != nil || len(answers) != len(methods) {
		return nil, fmt.Errorf("call %d methods of the API: %d answers, %s", len(methods), len(answers), briefly(answer))
	}
	return answers, nil
}

// openMethods answer everybody in Matomo, and tell nothing of whom it tracks or
// who uses it.
var openMethods = []string{
	"API.getPagesComparisonsDisabledFor", "API.getSettings", "CoreAdminHome.getOptOutJSEmbedCode", "CoreAdminHome.getOptOutSelfContainedEmbedCode", "Dashboard.getDashboards",
	"LanguagesManager.getAvailableLanguageNames", "LanguagesManager.getAvailableLanguages", "LanguagesManager.getAvailableLanguagesInfo",
	"LanguagesManager.getPluginTranslationsForLanguage", "LanguagesManager.getTranslationsForLanguage", "LanguagesManager.isLanguageAvailable",
	"Overlay.getTranslations", "SitesManager.getCurrencyList", "SitesManager.getCurrencySymbols", "SitesManager.getDefaultTimezone",
	"SitesManager.getImageTrackingCode", "SitesManager.getIpsForRange", "SitesManager.getTimezonesList",
	"Transitions.getTranslations", "Transitions.isPeriodAllowed", "UserCountry.getCountryCodeMapping",
}

// leftOut are plugins whose methods print something else than a value, ask
// other servers, or are the one that calls all others.
var leftOut = []string{"ImageGraph", "Marketplace", "SEO"}

var readingMethod = regexp.MustCompile(`(?m)^\s*public function ((?:get|is|has)[A-Za-z0-9]*|get)\s*\(`)

// readingMethods lists the methods of the API of all plugins that read.
func readingMethods(plugins string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(plugins, "*", "API.php"))
	if err != nil {
		return nil, fmt.Errorf("find the methods of the API: %w", err)
	}
	var methods []string
	for _, file := range files {
		plugin := filepath.Base(filepath.Dir(file))
		if slices.Contains(leftOut, plugin) {
			continue
		}
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("find the methods of the API: %w", err)
		}
		for _, found := range readingMethod.FindAllStringSubmatch(string(content), -1) {
			if method := plugin + "." + found[1]; found[1] != "getInstance" && method != "API.getBulkRequest" {
				methods = append(methods, method)
			}
		}
	}
	return methods, nil
}

// emptyAnswer tells an answer with nothing in it.
func emptyAnswer(body []byte) bool {
	return slices.Contains([]string{"", "[]", "{}", "null", "false", `{"value":false}`, `{"value":""}`, `{"value":0}`}, strings.TrimSpace(string(body)))
}

// otherNetworks asks for the user interface from an address that is in none of
// the networks that the owner limits it to.
func (a *tokenAttack) otherNetworks(ctx context.Context) error {
	if len(a.Declared.AdminNetworks) == 0 {
		return nil // everybody may: that is for the owner to decide, and FRT-16 asks
	}
	for _, network := range a.Declared.AdminNetworks {
		if prefix, err := netip.ParsePrefix(network); err == nil && prefix.Contains(a.from) {
			return nil // all addresses of this machine are let in
		}
	}
	for _, query := range []string{"", "module=Login", "module=API&method=API.getSettings&format=json"} {
		answer, err := a.newBrowser(a.from).get(ctx, query)
		if err != nil {
			return err
		}
		try := model.Try{
			Who: "visitor from " + a.from.String(), What: "ask for the user interface", Where: a.url("index.php?" + query),
			Answer: briefly(answer), Fell: answer.Status == http.StatusOK,
			Note: "the networks that may: " + strings.Join(a.Declared.AdminNetworks, ", "),
		}
		if try.Fell {
			try.Reproduce = a.reproduction(reproduced{}, fmt.Sprintf(`$from=%q;$b=ask(%q);echo $head[0];if(strpos($head[0]," 200")){exit(0);}`, a.from, query))
		}
		a.r.Try(try)
	}
	return nil
}
