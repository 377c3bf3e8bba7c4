package prove

import (
	"context"
	"crypto/md5" //nolint:gosec // Matomo hashes the MD5 of a password
	"crypto/rand"
	"crypto/sha512"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/bcrypt"

	"rocca/internal/collect/db"
	"rocca/internal/mariadb"
	"rocca/internal/matomo/ini"
	"rocca/internal/prove/web"
	"rocca/internal/run"
	"rocca/internal/secret"
)

// account is a login of Matomo that an attack made: all rows that name it go
// when the attack ends.
type account struct {
	login    string
	password string
}

// loginColumns name a login in Matomo's tables.
var loginColumns = []string{"login", "user_login", "creator_login", "invited_by"}

// newAccount makes a login with no right on any site, or a super user.
func (t *Target) newAccount(ctx context.Context, superuser bool) (account, error) {
	a := account{login: Canary(), password: rand.Text()}
	conn, err := t.SQL(ctx)
	if err != nil {
		return a, err
	}
	if err := t.forgetLogin(ctx, a.login); err != nil {
		return a, err
	}
	inner := md5.Sum([]byte(a.password)) //nolint:gosec // as Matomo does
	hash, err := bcrypt.GenerateFromPassword([]byte(hex.EncodeToString(inner[:])), bcrypt.MinCost)
	if err != nil {
		return a, fmt.Errorf("make a login of Matomo: %w", err)
	}
	// PHP writes the same kind of hash with another letter.
	stored := strings.Replace(string(hash), "$2a$", "$2y$", 1)
	_, err = conn.DB.ExecContext(ctx, "INSERT INTO "+t.Table("user")+" (login, password, email, superuser_access, date_registered, ts_password_modified) VALUES (?, ?, ?, ?, NOW(), NOW() - INTERVAL 1 DAY)",
		a.login, stored, a.login+"@example.org", superuser)
	if err != nil {
		return a, fmt.Errorf("make a login of Matomo: %w", err)
	}
	return a, nil
}

// forgetLogin has every row of Matomo's that names a login deleted afterwards.
func (t *Target) forgetLogin(ctx context.Context, login string) error {
	conn, err := t.SQL(ctx)
	if err != nil {
		return err
	}
	l := db.LoginOf(t.Matomo.Main(), secret.Secret{})
	rows, err := conn.DB.QueryContext(ctx, "SELECT c.table_name, c.column_name FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name) WHERE table_schema = ? AND table_type = 'BASE TABLE' AND c.column_name IN (?, ?, ?, ?)",
		l.Schema, loginColumns[0], loginColumns[1], loginColumns[2], loginColumns[3])
	if err != nil {
		return fmt.Errorf("find where logins of Matomo are named: %w", err)
	}
	defer rows.Close()
	statements := []string{"DELETE FROM " + t.Table("option") + " WHERE option_name LIKE " + mariadb.Quote("%"+login+"%")}
	for rows.Next() {
		var table, column string
		if err := rows.Scan(&table, &column); err != nil {
			return fmt.Errorf("find where logins of Matomo are named: %w", err)
		}
		if strings.HasPrefix(table, l.Prefix) {
			statements = append(statements, "DELETE FROM "+mariadb.Identifier(l.Schema)+"."+mariadb.Identifier(table)+" WHERE "+mariadb.Identifier(column)+" = "+mariadb.Quote(login))
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("find where logins of Matomo are named: %w", err)
	}
	for _, statement := range statements {
		if err := t.Afterwards(statement); err != nil {
			return err
		}
	}
	return nil
}

// allow gives a login a right on a site: "view", "write", "admin".
func (t *Target) allow(ctx context.Context, a account, right string, site int) error {
	conn, err := t.SQL(ctx)
	if err != nil {
		return err
	}
	_, err = conn.DB.ExecContext(ctx, "INSERT INTO "+t.Table("access")+" (login, idsite, access) VALUES (?, ?, ?)", a.login, site, right)
	if err != nil {
		return fmt.Errorf("give a login of Matomo a right: %w", err)
	}
	return nil
}

// tokenKind says what is special about a token.
type tokenKind struct {
	ended    bool // yesterday
	postOnly bool
}

// newToken makes a token of a login, and returns what only its owner knows.
func (t *Target) newToken(ctx context.Context, a account, kind tokenKind) (string, error) {
	salt, err := t.salt()
	if err != nil {
		return "", err
	}
	conn, err := t.SQL(ctx)
	if err != nil {
		return "", err
	}
	token := hex.EncodeToString(randomBytes(16))
	var end any
	if kind.ended {
		end = time.Now().UTC().AddDate(0, 0, -1).Format(time.DateTime)
	}
	_, err = conn.DB.ExecContext(ctx, "INSERT INTO "+t.Table("user_token_auth")+" (login, description, password, hash_algo, system_token, date_created, date_expired, secure_only) VALUES (?, ?, ?, 'sha512', 0, NOW() - INTERVAL 2 DAY, ?, ?)",
		a.login, a.login, sha512Hex(token+salt), end, kind.postOnly)
	if err != nil {
		return "", fmt.Errorf("make a token of Matomo: %w", err)
	}
	return token, nil
}

// deleteTokens takes a login's tokens away.
func (t *Target) deleteTokens(ctx context.Context, a account) error {
	conn, err := t.SQL(ctx)
	if err != nil {
		return err
	}
	_, err = conn.DB.ExecContext(ctx, "DELETE FROM "+t.Table("user_token_auth")+" WHERE login = ?", a.login)
	return err
}

// salt is what Matomo stores tokens and sessions with. It goes nowhere else.
func (t *Target) salt() (string, error) {
	content, err := os.ReadFile(t.Matomo.Main().Config)
	if err != nil {
		return "", fmt.Errorf("read Matomo's salt: %w", err)
	}
	parsed, err := ini.Parse(content)
	if err != nil {
		return "", fmt.Errorf("read Matomo's salt: %w", err)
	}
	salt, found := parsed.Get("General", "salt")
	if !found {
		return "", errors.New("read Matomo's salt: there is none")
	}
	return salt, nil
}

func sha512Hex(text string) string {
	sum := sha512.Sum512([]byte(text))
	return hex.EncodeToString(sum[:])
}

// sessionCookie matches the name of the cookie of a session of Matomo.
var sessionCookie = regexp.MustCompile(`_SESSID$`)

// forgetSessions has the sessions that an answer began deleted afterwards.
func (t *Target) forgetSessions(r web.Response) error {
	var ids []string
	for _, cookie := range r.Cookies() {
		if sessionCookie.MatchString(cookie.Name) {
			ids = append(ids, cookie.Value)
		}
	}
	if len(ids) == 0 || !t.Database.Reached {
		return nil
	}
	salt, err := t.salt()
	if err != nil {
		return nil // without a configuration there are no sessions in the database
	}
	var stored []string
	for _, id := range ids {
		stored = append(stored, mariadb.Quote(sha512Hex(id+salt)), mariadb.Quote(sha512Hex(id)))
	}
	return t.Afterwards("DELETE FROM " + t.Table("session") + " WHERE id IN (" + strings.Join(stored, ", ") + ")")
}

// Own is an address of this machine, of the attack with this number, from which
// nobody else comes: what counts its failures counts nobody else's. What Matomo
// wrote down of it is deleted when the attack ends.
func (t *Target) own(attack byte) (netip.Addr, error) {
	address := netip.AddrFrom4([4]byte{127, 66, attack, 1 + randomBytes(1)[0]%250})
	if !t.Database.Reached {
		return address, nil
	}
	return address, t.Afterwards("DELETE FROM " + t.Table("brute_force_log") + " WHERE ip_address = " + mariadb.Quote(address.String()))
}

// asForm is the header of a body that is a form.
var asForm = [2]string{"Content-Type", "application/x-www-form-urlencoded"}

// browser is somebody with a browser: it keeps its cookies.
type browser struct {
	t       *Target
	from    netip.Addr
	cookies map[string]string
}

func (t *Target) newBrowser(from netip.Addr) *browser {
	return &browser{t: t, from: from, cookies: map[string]string{}}
}

// get asks for a page, by its query.
func (b *browser) get(ctx context.Context, query string) (web.Response, error) {
	return b.ask(ctx, web.Request{Target: b.t.URLPath("/index.php?" + query)})
}

// post sends a form to a page.
func (b *browser) post(ctx context.Context, query string, form url.Values) (web.Response, error) {
	return b.ask(ctx, web.Request{
		Method: http.MethodPost, Target: b.t.URLPath("/index.php?" + query),
		Header: [][2]string{asForm}, Body: form.Encode(),
	})
}

func (b *browser) ask(ctx context.Context, r web.Request) (web.Response, error) {
	r.From = b.from
	var pairs []string
	for name, value := range b.cookies {
		pairs = append(pairs, name+"="+value)
	}
	if slices.Sort(pairs); len(pairs) > 0 {
		r.Header = append(r.Header, [2]string{"Cookie", strings.Join(pairs, "; ")})
	}
	r.Header = append(r.Header, [2]string{"Referer", b.t.url("")})
	answer, err := b.t.Ask(ctx, r)
	if err != nil {
		return answer, err
	}
	for _, cookie := range answer.Cookies() {
		b.cookies[cookie.Name] = cookie.Value
	}
	return answer, nil
}

// url is an address as others have it in their browsers.
func (t *Target) url(below string) string {
	return t.scheme() + "://" + t.Name() + t.URLPath("/"+below)
}

func (t *Target) scheme() string {
	if t.TLS() {
		return "https"
	}
	return "http"
}

var loginNonce = regexp.MustCompile(`name="form_nonce"[^>]*\bvalue="([^"]+)"|value="([^"]+)"[^>]*name="form_nonce"`)

// nonceOf is what the login form of a page is sent back with; "" when the page
// has none.
func nonceOf(page web.Response) string {
	found := loginNonce.FindSubmatch(page.Body)
	if found == nil {
		return ""
	}
	return string(found[1]) + string(found[2])
}

// signIn fills in the login form.
func (b *browser) signIn(ctx context.Context, a account) error {
	page, err := b.get(ctx, "module=Login")
	if err != nil {
		return err
	}
	nonce := nonceOf(page)
	if nonce == "" {
		return fmt.Errorf("sign in to Matomo: the login form is missing (%d)", page.Status)
	}
	answer, err := b.post(ctx, "module=Login", url.Values{"form_login": {a.login}, "form_password": {a.password}, "form_nonce": {nonce}})
	if err != nil {
		return err
	}
	if answer.Status != http.StatusFound {
		return fmt.Errorf("sign in to Matomo: %s", briefly(answer))
	}
	return nil
}

// api calls a method of the API with a token in the body.
func (b *browser) api(ctx context.Context, method, token string, parameters url.Values) (web.Response, error) {
	form := url.Values{"module": {"API"}, "method": {method}, "format": {"json"}}
	for name, values := range parameters {
		form[name] = values
	}
	if token != "" {
		form.Set("token_auth", token)
	}
	return b.post(ctx, "module=API", form)
}

// apiRefusal is why the API refused a call, "" when it answered it. Its answers
// are in JSON.
func apiRefusal(r web.Response) string {
	var answer struct {
		Result  string `json:"result"`
		Message string `json:"message"`
	}
	var list []json.RawMessage
	var plain any
	switch {
	case json.Unmarshal(r.Body, &answer) == nil && answer.Result == "error":
		return answer.Message
	case r.Status == http.StatusOK && (answer.Result == "success" || json.Unmarshal(r.Body, &list) == nil || json.Unmarshal(r.Body, &plain) == nil):
		return ""
	}
	return briefly(r)
}

// briefly is an answer, for readers.
func briefly(r web.Response) string { return fmt.Sprintf("%d %s", r.Status, told(r.Body)) }

var (
	hiddenParts = regexp.MustCompile(`(?is)<(script|style|head)\b.*?</(script|style|head)>`)
	tags        = regexp.MustCompile(`(?s)<[^>]*>`)
	blanks      = regexp.MustCompile(`\s+`)
)

// told is what a reader sees of a page, its beginning.
func told(body []byte) string {
	text := tags.ReplaceAllString(hiddenParts.ReplaceAllString(string(body), " "), " ")
	text = strings.TrimSpace(blanks.ReplaceAllString(text, " "))
	if len(text) > 200 {
		text = strings.ToValidUTF8(text[:200], "") + "…"
	}
	return text
}

// reproduction is a line for root's shell that does in PHP, by itself, what an
// attack did: it makes a login ($login, $password, $token), runs the code, and
// takes away all rows of that login. The code ends with exit(0) when it
// succeeded; it has no single quote, and these functions: ask(query, form or
// null), which gives the body and leaves $head; sql(statements).
func (t *Target) reproduction(kind reproduced, code string) string {
	var head strings.Builder
	l := db.LoginOf(t.Matomo.Main(), secret.Secret{})
	fmt.Fprintf(&head, "$base=%q;$name=%q;$config=%q;$p=%q;", t.scheme()+"://"+t.FrontAddress(false)+t.URLPath("/index.php?"), t.Name(), t.Matomo.Main().Config, l.Schema+"."+l.Prefix)
	head.WriteString(`$jar="";$head=[];$from="0";` +
		`function ask($q,$f=null){global $base,$name,$jar,$head,$from;$h="Host: $name\r\nConnection: close\r\n".($jar?"Cookie: $jar\r\n":"").($f===null?"":"Content-Type: application/x-www-form-urlencoded\r\n");` +
		`$b=@file_get_contents($base.$q,false,stream_context_create(["http"=>["method"=>$f===null?"GET":"POST","header"=>$h,"content"=>$f===null?"":http_build_query($f),"ignore_errors"=>true,"follow_location"=>0,"timeout"=>20],"socket"=>["bindto"=>"$from:0"],"ssl"=>["verify_peer"=>false,"verify_peer_name"=>false,"peer_name"=>$name]]));` +
		`$head=$http_response_header??[];foreach($head as $l){if(preg_match("/^Set-Cookie: (\w+_SESSID=[^;]+)/i",$l,$m)){$jar=$m[1];}}return (string)$b;}` +
		`function sql($s){$d=popen("mariadb -N","w");fwrite($d,$s.";");return pclose($d)===0;}`)
	if kind.account {
		right := "0"
		if kind.superuser {
			right = "1"
		}
		head.WriteString(`$login="rocca-prove-".bin2hex(random_bytes(6));$password=bin2hex(random_bytes(8));$token=bin2hex(random_bytes(16));` +
			`preg_match("/^salt *= *\"?([^\"\n]*)/m",file_get_contents($config),$m);$hash=hash("sha512",$token.html_entity_decode($m[1]));` +
			`register_shutdown_function(function(){global $p,$login;foreach(["user","user_token_auth","access"] as $n){sql("DELETE FROM {$p}$n WHERE login=\"$login\"");}sql("DELETE FROM {$p}option WHERE option_name LIKE \"%$login%\"");});` +
			`sql("INSERT INTO {$p}user (login,password,email,superuser_access,date_registered,ts_password_modified) VALUES (\"$login\",\"".password_hash(md5($password),PASSWORD_BCRYPT)."\",\"$login@example.org\",` + right + `,NOW(),NOW()-INTERVAL 1 DAY)");` +
			`sql("INSERT INTO {$p}user_token_auth (login,description,password,hash_algo,system_token,date_created,secure_only) VALUES (\"$login\",\"$login\",\"$hash\",\"sha512\",0,NOW(),0)");` +
			fmt.Sprintf(`sql("INSERT INTO {$p}access (login,idsite,access) VALUES (\"$login\",%d,\"view\")");`, t.site()))
	}
	if kind.signedIn {
		head.WriteString(`preg_match("/name=\"form_nonce\"[^>]*value=\"([^\"]+)/",ask("module=Login"),$m);ask("module=Login",["form_login"=>$login,"form_password"=>$password,"form_nonce"=>$m[1]??""]);` +
			`preg_match("/piwik\.token_auth = \"([^\"]+)/",ask("module=UsersManager&action=userSecurity"),$m);$page=$m[1]??"";`)
	}
	return run.Quote([]string{"php", "-n", "-r", head.String() + code + "exit(1);"})
}

// reproduced says what the code of a reproduction needs.
type reproduced struct{ account, superuser, signedIn bool }

// option is a value of Matomo's table of options; sql.ErrNoRows when it has none.
func (t *Target) option(ctx context.Context, name string) (value string, err error) {
	conn, err := t.SQL(ctx)
	if err != nil {
		return "", err
	}
	err = conn.DB.QueryRowContext(ctx, "SELECT option_value FROM "+t.Table("option")+" WHERE option_name = ?", name).Scan(&value)
	return value, err
}

// keepOption has a row of Matomo's table of options put back when the attack
// ends, or deleted when there is none.
func (t *Target) keepOption(ctx context.Context, name string) error {
	value, err := t.option(ctx, name)
	where := " WHERE option_name = " + mariadb.Quote(name)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return t.Afterwards("DELETE FROM " + t.Table("option") + where)
	case err != nil:
		return fmt.Errorf("keep the option %s: %w", name, err)
	}
	return t.Afterwards("UPDATE " + t.Table("option") + " SET option_value = " + mariadb.Quote(value) + where)
}

// keepAnonymous has Matomo forget when the user anonymous, who is everybody
// without a login, last called the API.
func (t *Target) keepAnonymous(ctx context.Context) error {
	conn, err := t.SQL(ctx)
	if err != nil {
		return err
	}
	var id int64
	var used sql.NullString
	err = conn.DB.QueryRowContext(ctx, "SELECT idusertokenauth, CAST(last_used AS CHAR) FROM "+t.Table("user_token_auth")+" WHERE login = 'anonymous' LIMIT 1").Scan(&id, &used)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look when the API was called without a login: %w", err)
	}
	last := "NULL"
	if used.Valid {
		last = mariadb.Quote(used.String)
	}
	return t.Afterwards(fmt.Sprintf("UPDATE %s SET last_used = %s WHERE idusertokenauth = %d", t.Table("user_token_auth"), last, id))
}

// site is the number of a site that Matomo tracks: its first one.
func (t *Target) site() int {
	if len(t.Rows.Sites) == 0 {
		return 1
	}
	return t.Rows.Sites[0].ID
}

// forgetNewSessions has the sessions that begin from now on deleted afterwards,
// whoever's they are: for throw-away servers, where another program asks.
func (t *Target) forgetNewSessions(ctx context.Context) error {
	if !t.Database.Reached {
		return nil
	}
	conn, err := t.SQL(ctx)
	if err != nil {
		return err
	}
	rows, err := conn.DB.QueryContext(ctx, "SELECT id FROM "+t.Table("session"))
	if err != nil {
		return fmt.Errorf("list the sessions: %w", err)
	}
	defer rows.Close()
	there := []string{"''"}
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return fmt.Errorf("list the sessions: %w", err)
		}
		there = append(there, mariadb.Quote(id))
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("list the sessions: %w", err)
	}
	return t.Afterwards("DELETE FROM " + t.Table("session") + " WHERE id NOT IN (" + strings.Join(there, ", ") + ")")
}
