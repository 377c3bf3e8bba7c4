package prove

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"rocca/internal/mariadb"
	"rocca/internal/model"
	"rocca/internal/prove/web"
)

var a11 = Attack{
	ID:    "A11",
	Title: "a forged X-Forwarded-For becomes the client's address",
	How: "Tries a wrong password at the login and a wrong token at the API, and records a visit, all from an address of its own, each with other addresses in every header in which proxies tell one. " +
		"Reads from the database which address Matomo counted the failures for, and which it stored with the visit.",
	Risk:    "two failed logins of an address that nobody else comes from, and one visit; all of their rows are deleted afterwards",
	Without: []Protection{proxyClientHeaders, frontClientAddress},
	Applies: func(t *Target) string {
		if !t.Database.Reached {
			return "the database cannot be looked into, and that is where the address is stored"
		}
		return ""
	},
	Attempt: func(ctx context.Context, t *Target, record *Record) error {
		v, err := t.visitor(11, record)
		if err != nil {
			return err
		}
		if !strings.HasPrefix(t.FrontAddress(false), "127.") {
			return errors.New("the front does not listen on a loopback address, so that no address of its own could be used")
		}
		f, err := v.forgeAddresses()
		if err != nil {
			return err
		}
		return errors.Join(f.failAtAPI(ctx), f.failAtLogin(ctx), f.visit(ctx))
	},
}

var proxyClientHeaders = Protection{
	ID:       "proxy-client-headers",
	Title:    "Matomo takes a client's address from no header of a proxy",
	Part:     SettingPart,
	Remove:   `sed -i '/^\[General\]/a proxy_client_headers[] = "HTTP_X_FORWARDED_FOR"' $STATE/config/config.ini.php $TRACKER/config/config.ini.php`,
	Controls: []string{"APP-05", "FRT-15"},
}

var frontClientAddress = Protection{
	ID:    "front-client-address",
	Title: "the front takes a client's address from named proxies only",
	Part:  FrontPart,
	Remove: "[ $FRONT = nginx ] || a2enmod -q remoteip\n" + editsFront(
		`'s/server_tokens off;/&\n    set_real_ip_from 0.0.0.0\/0;\n    real_ip_header X-Forwarded-For;/'`,
		`'/^    DocumentRoot /a RemoteIPHeader X-Forwarded-For'`,
	),
	Controls: []string{"FRT-15"},
}

// addressHeaders are those in which proxies tell a client's address. %s stands
// for it.
var addressHeaders = [][2]string{
	{"X-Forwarded-For", "%s"}, {"X-Real-IP", "%s"}, {"CF-Connecting-IP", "%s"}, {"True-Client-IP", "%s"}, {"Client-IP", "%s"}, {"X-Client-IP", "%s"},
	{"X-Cluster-Client-IP", "%s"}, {"Fastly-Client-IP", "%s"}, {"X-Forwarded", "for=%s"}, {"Forwarded", "for=%s"}, {"Forwarded-For", "%s"}, {"X-Originating-IP", "%s"}, {"X-Remote-Addr", "%s"},
}

// forgedAddresses are the addresses that a visitor claims, of networks for
// examples (RFC 5737): nobody has them.
type forgedAddresses struct {
	visitor
	claimed []netip.Addr // in the order of addressHeaders
	headers [][2]string
	login   string // of nobody
}

func (v visitor) forgeAddresses() (forgedAddresses, error) {
	f := forgedAddresses{visitor: v, login: Canary()}
	last := int(randomBytes(1)[0])
	for i, header := range addressHeaders {
		nets := [][3]byte{{192, 0, 2}, {198, 51, 100}, {203, 0, 113}}
		n := nets[i%len(nets)]
		address := netip.AddrFrom4([4]byte{n[0], n[1], n[2], byte(1 + (last+i)%250)})
		f.claimed = append(f.claimed, address)
		f.headers = append(f.headers, [2]string{header[0], fmt.Sprintf(header[1], address)})
	}
	return f, v.t.Afterwards(f.forgetFailures())
}

func (f forgedAddresses) forgetFailures() string {
	return "DELETE FROM " + f.t.Table("brute_force_log") + " WHERE ip_address IN (" + f.list() + ")"
}

// list is the claimed addresses and the true one, for SQL.
func (f forgedAddresses) list() string {
	quoted := []string{mariadb.Quote(f.from.String())}
	for _, address := range f.claimed {
		quoted = append(quoted, mariadb.Quote(address.String()))
	}
	return strings.Join(quoted, ", ")
}

// header is the one that a claimed address was in.
func (f forgedAddresses) header(address string) string {
	at := slices.IndexFunc(f.claimed, func(a netip.Addr) bool { return a.String() == address })
	if at < 0 {
		return ""
	}
	return addressHeaders[at][0]
}

func (f forgedAddresses) failAtAPI(ctx context.Context) error {
	form := url.Values{"module": {"API"}, "method": {"API.getMatomoVersion"}, "format": {"json"}, "token_auth": {strings.Repeat("0", 31) + "x"}}
	r := f.addressed(web.Request{
		Method: "POST", Target: f.t.URLPath("/index.php"), From: f.from, Body: form.Encode(),
		Header: append([][2]string{asForm}, f.headers...),
	})
	return f.fail(ctx, "try a wrong token with forged addresses", r, f.t.visitAgain(r))
}

func (f forgedAddresses) failAtLogin(ctx context.Context) error {
	form := web.Request{Target: f.t.URLPath("/index.php?module=Login"), From: f.from}
	page, err := f.ask(ctx, form)
	if err != nil {
		return err
	}
	nonce := nonceOf(page.Response)
	cookie, _, _ := strings.Cut(page.Header.Get("Set-Cookie"), ";")
	if nonce == "" || cookie == "" {
		return fmt.Errorf("try a wrong password: the login form is missing (%d)", page.Status)
	}
	if err := f.t.forgetLogin(ctx, f.login); err != nil {
		return err
	}
	filled := url.Values{"form_login": {f.login}, "form_password": {"Wrong-1-" + rand.Text()}, "form_nonce": {nonce}}
	r := f.addressed(web.Request{
		Method: "POST", Target: form.Target, From: f.from, Body: filled.Encode(),
		Header: append([][2]string{asForm, {"Cookie", cookie}, {"Referer", f.t.url("")}}, f.headers...),
	})
	// The form is good for one session, so who repeats it gets one of his own.
	again := "form=$(" + f.t.visitAgain(form) + `); nonce=$(echo "$form" | grep -aoPm1 'form_nonce"[^>]*value="\K[^"]+') cookie=$(echo "$form" | grep -aoiPm1 '^Set-Cookie: \K[^;]+') ` +
		f.t.visitWith(r, `strtr(%s,["`+nonce+`"=>getenv("nonce"),"`+cookie+`"=>getenv("cookie")])`)
	return f.fail(ctx, "try a wrong password with forged addresses", r, again)
}

// fail makes a request that Matomo counts as a failed login, and sees for whom.
// again is the command that repeats it.
func (f forgedAddresses) fail(ctx context.Context, what string, r web.Request, again string) error {
	conn, err := f.t.SQL(ctx)
	if err != nil {
		return err
	}
	if err := conn.Exec(ctx, f.forgetFailures()); err != nil {
		return err
	}
	answer, err := f.ask(ctx, r)
	if err != nil {
		return err
	}
	rows, err := conn.DB.QueryContext(ctx, "SELECT ip_address FROM "+f.t.Table("brute_force_log")+" WHERE ip_address IN ("+f.list()+")")
	if err != nil {
		return fmt.Errorf("read whose failure was counted: %w", err)
	}
	defer rows.Close()
	counted := []string{}
	for rows.Next() {
		var address string
		if err := rows.Scan(&address); err != nil {
			return fmt.Errorf("read whose failure was counted: %w", err)
		}
		counted = append(counted, address)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read whose failure was counted: %w", err)
	}
	if len(counted) == 0 {
		return fmt.Errorf("%s: Matomo counted no failure, so that it is not known for whom it would (it answered %d: %s)", what, answer.Status, told(answer.Body))
	}
	try := model.Try{Who: "visitor", What: what, Where: f.where(r), Sent: sent(r), Answer: fmt.Sprintf("%d; the failure counts for %s, it came from %s", answer.Status, strings.Join(counted, ", "), f.from)}
	for _, address := range counted {
		if header := f.header(address); header != "" {
			try.Fell, try.Note = true, header+" was believed"
			try.Reproduce = f.reproduce(again, f.forgetFailures(), "SELECT ip_address FROM "+f.t.Table("brute_force_log")+" WHERE ip_address = "+mariadb.Quote(address))
		}
	}
	f.record.Try(try)
	return nil
}

// reproduce is a command that repeats a request, and shows what SQL sees of it
// then.
func (f forgedAddresses) reproduce(again, undo, seen string) string {
	return "( trap " + shellWord("mariadb -e "+shellWord(undo)) + " EXIT; " + again + " >/dev/null; mariadb -N -e " + shellWord(seen) + " | grep . )"
}

// visit records one visit, and looks which address was stored with it.
func (f forgedAddresses) visit(ctx context.Context) error {
	id, page := hex.EncodeToString(randomBytes(8)), Canary()
	var undo []string
	for _, table := range []string{"log_visit", "log_link_visit_action", "log_conversion"} {
		undo = append(undo, "DELETE FROM "+f.t.Table(table)+" WHERE idvisitor = UNHEX("+mariadb.Quote(id)+")")
	}
	undo = append(undo, "DELETE FROM "+f.t.Table("log_action")+" WHERE name LIKE "+mariadb.Quote(page+"%"))
	created, err := f.keepCreated(ctx)
	if err != nil {
		return err
	}
	for _, statement := range append(undo, created) {
		if err := f.t.Afterwards(statement); err != nil {
			return err
		}
	}
	query := url.Values{"idsite": {fmt.Sprint(f.t.site())}, "rec": {"1"}, "send_image": {"0"}, "new_visit": {"1"}, "_id": {id}, "url": {"http://" + page + ".invalid/"}}
	r := f.addressed(web.Request{
		Target: f.t.URLPath("/matomo.php?" + query.Encode()), From: f.from,
		Header: append([][2]string{{"User-Agent", userAgent}}, f.headers...),
	})
	answer, err := f.ask(ctx, r)
	if err != nil {
		return err
	}
	conn, err := f.t.SQL(ctx)
	if err != nil {
		return err
	}
	var stored []byte
	if err := conn.DB.QueryRowContext(ctx, "SELECT location_ip FROM "+f.t.Table("log_visit")+" WHERE idvisitor = UNHEX(?)", id).Scan(&stored); err != nil {
		return fmt.Errorf("record a visit: the tracker answered %d, and stored none: %w", answer.Status, err)
	}
	address, _ := netip.AddrFromSlice(stored)
	try := model.Try{Who: "visitor", What: "record a visit with forged addresses", Where: f.where(r), Sent: sent(r), Answer: fmt.Sprintf("%d; %s is stored, it came from %s", answer.Status, address, f.from)}
	if address.Unmap().IsUnspecified() {
		return errors.New("record a visit: Matomo stores no part of the address, so that it is not known which it takes")
	}
	if believed := masked(f.claimed, address); believed >= 0 && masked([]netip.Addr{f.from}, address) < 0 {
		try.Fell, try.Note = true, addressHeaders[believed][0]+" was believed"
		seen := "SELECT INET6_NTOA(location_ip) FROM " + f.t.Table("log_visit") + " WHERE idvisitor = UNHEX(" + mariadb.Quote(id) + ") AND location_ip = UNHEX(" + mariadb.Quote(hex.EncodeToString(stored)) + ")"
		try.Reproduce = f.reproduce(f.t.visitAgain(r), strings.Join(undo, "; "), seen)
	}
	f.record.Try(try)
	return nil
}

// keepCreated is the statement that sets back since when the site is there, which
// Matomo moves to before its first visit.
func (f forgedAddresses) keepCreated(ctx context.Context) (string, error) {
	conn, err := f.t.SQL(ctx)
	if err != nil {
		return "", err
	}
	var created string
	table, where := f.t.Table("site"), fmt.Sprintf(" WHERE idsite = %d", f.t.site())
	if err := conn.DB.QueryRowContext(ctx, "SELECT ts_created FROM "+table+where).Scan(&created); err != nil {
		return "", fmt.Errorf("read since when the site is there: %w", err)
	}
	return "UPDATE " + table + " SET ts_created = " + mariadb.Quote(created) + where, nil
}

// masked finds the address that a stored one was made of, whose last bytes
// Matomo sets to 0. It is -1 when it is of none.
func masked(addresses []netip.Addr, stored netip.Addr) int {
	stored = stored.Unmap()
	return slices.IndexFunc(addresses, func(a netip.Addr) bool {
		for kept := 8; kept <= a.BitLen(); kept += 8 {
			if prefix, err := a.Prefix(kept); err == nil && prefix.Addr() == stored {
				return true
			}
		}
		return false
	})
}
