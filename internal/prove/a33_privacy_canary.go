package prove

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

	"rocca/internal/mariadb"
	"rocca/internal/model"
	"rocca/internal/prove/web"
	"rocca/internal/run"
)

var a33 = Attack{
	ID:    "A33",
	Title: "an address, a mail address and a token of a visitor are found where they must not be",
	How: `A visitor from an own address of this machine, and one whose IPv6 address a login with the right to do so sends, visit a site that was made for it. They bring marked values: a mail address and a token in the query of the page and of the referrer, a user id and an order number; and somebody asks the API with a token in the address.
Then all columns of all tables of Matomo's schema, what was written meanwhile into the logs of the front, PHP and Matomo and into the journal, and Matomo's tmp directories are searched for the two addresses in full and for each marked value.
A title, a search word or the name of an event is stored as a page sends it: that is not tried (PRV-07 looks for it in what is stored). The log against guessing holds whole addresses of those who guess, on purpose.`,
	Risk:    "a site, a login and two visits that are there for a moment; lines in logs, with marked values in them where the server logs too much",
	Without: []Protection{withoutMasking, withoutExcludedParameters, withoutPseudonyms, withoutShortLog, withoutLogWithoutQuery},
	Attempt: attackPrivacy,
}

// setsOption changes an option of Matomo, and has both pools forget what they
// keep of all of them: a front that lacks a rule may have the UI's record hits.
func setsOption(name, value string) string {
	return inSchema("UPDATE ${prefix}option SET option_value = '"+value+"' WHERE option_name = '"+name+"'") +
		`rm -f "$TRACKER"/tmp/cache/tracker/matomocache_general.php "$STATE"/tmp/cache/tracker/matomocache_general.php
systemctl restart rocca-php@tracker rocca-php@ui
`
}

var withoutMasking = Protection{
	ID:       "address-masking",
	Title:    "Matomo masks addresses before it stores them",
	Part:     SettingPart,
	Remove:   setsOption("PrivacyManager.ipAnonymizerEnabled", "0"),
	Controls: []string{"PRV-01"},
}

var withoutPseudonyms = Protection{
	ID:       "pseudonyms",
	Title:    "Matomo stores pseudonyms of user ids",
	Part:     SettingPart,
	Remove:   setsOption("PrivacyManager.anonymizeUserId", "0"),
	Controls: []string{"PRV-06"},
}

var withoutExcludedParameters = Protection{
	ID:       "excluded-parameters",
	Title:    "Matomo takes tokens and mail addresses out of the addresses of pages",
	Part:     SettingPart,
	Remove:   `sed -i '/^url_query_parameter_to_exclude_from_url/d' "$STATE/config/config.ini.php" "$TRACKER/config/config.ini.php"; rm -f "$TRACKER"/tmp/cache/tracker/matomocache_*[0-9].php "$STATE"/tmp/cache/tracker/matomocache_*[0-9].php; systemctl restart rocca-php@tracker rocca-php@ui`,
	Controls: []string{"TRK-03"},
}

// setsLogFormat changes a piece of the format of the front's access log. Then a
// visitor comes from an address that is nobody's, with a token that is none: a
// control sees what is in the log, and not its format.
const setsLogFormat = `if [ "$FRONT" = nginx ]; then
    sed -i "/^log_format matomo /s|$1|$2|" $(grep -l '^log_format matomo ' /etc/nginx/sites-available/* /etc/nginx/conf.d/* 2>/dev/null)
else
    sed -i "/^LogFormat .* matomo\$/s|$3|$4|" $(grep -l '^LogFormat .* matomo$' /etc/apache2/sites-available/*)
fi
systemctl restart "$FRONT"
ip address add 198.51.100.77/32 dev lo
bash -c 'exec 3<>/dev/tcp/198.51.100.77/80; printf "GET /matomo.php?token_auth=0123456789abcdef0123456789abcdef HTTP/1.0\r\n\r\n" >&3; cat <&3' >/dev/null
ip address delete 198.51.100.77/32 dev lo`

var withoutShortLog = Protection{
	ID:       "short-log",
	Title:    "the front's access log holds shortened addresses",
	Part:     FrontPart,
	Remove:   `set -- '[$]matomo_log_client' '$remote_addr' '%{matomo_log_client}e' '%a'` + "\n" + setsLogFormat,
	Controls: []string{"PRV-15"},
}

var withoutLogWithoutQuery = Protection{
	ID:       "log-without-query",
	Title:    "the front's access log holds no queries",
	Part:     FrontPart,
	Remove:   `set -- '[$]uri' '$request_uri' '%U' '%U%q'` + "\n" + setsLogFormat,
	Controls: []string{"LOG-01", "ACC-07"},
}

// mark is a value that is looked for where it must not be.
type mark struct {
	what   string
	text   string
	bytes  []byte // as it is stored, where that is another way
	except string // table that may hold it
}

// privateVisit is what a visitor brings.
type privateVisit struct {
	site  canarySite
	ipv6  netip.Addr
	asker netip.Addr // who asks with a token in the address
}

func openPrivateVisit(s canarySite) privateVisit {
	var six [16]byte
	copy(six[:], []byte{0x20, 0x01, 0x0d, 0xb8})
	copy(six[4:], randomBytes(12))
	return privateVisit{site: s, ipv6: netip.AddrFrom16(six), asker: canaryAddress()}
}

// Each marked value begins with the name of the site, so that it is found and
// deleted by that.
func (v privateVisit) value(kind string) string { return v.site.Name + "-" + kind }

func (v privateVisit) marks() []mark {
	return []mark{
		{what: "the whole address of a visitor", text: v.site.From.String(), bytes: v.site.From.AsSlice()},
		{what: "the whole IPv6 address of a visitor", text: v.ipv6.String(), bytes: v.ipv6.AsSlice()},
		{what: "a mail address in the query of a page", text: v.value("mail")},
		{what: "a token in the query of a page", text: v.value("token")},
		{what: "a mail address in the query of a referrer", text: v.value("referrer")},
		{what: "the id of a user", text: v.value("user")},
		{what: "the number of an order", text: v.value("order")},
		{what: "a token in the address of a request", text: v.value("auth")},
		{what: "the whole address of who uses a wrong token", text: v.asker.String(), except: "brute_force_log"},
	}
}

// hits are the visit from an own address.
func (v privateVisit) hits() []url.Values {
	page := "https://" + v.site.Host() + "/page"
	query := "?email=" + url.QueryEscape(v.value("mail")+"@example.com") + "&token=" + v.value("token")
	return []url.Values{
		{"url": {page + query}, "urlref": {"https://" + v.site.Host() + ".other/?email=" + v.value("referrer")}, "uid": {v.value("user") + "@example.com"}, "action_name": {v.site.Name}},
		{"url": {page}, "uid": {v.value("user") + "@example.com"}, "idgoal": {"0"}, "ec_id": {v.value("order")}, "revenue": {"1"}},
	}
}

// forwarded is the visit from the IPv6 address, that needs a token.
func (v privateVisit) forwarded() url.Values {
	return url.Values{"url": {"https://" + v.site.Host() + "/"}, "cip": {v.ipv6.String()}, "new_visit": {"1"}, "_id": {visitorID}}
}

func attackPrivacy(ctx context.Context, t *Target, r *Record) error {
	s, err := t.openCanarySite(ctx, "write")
	if err != nil {
		return err
	}
	v := openPrivateVisit(s)
	logs := openLogs(t)
	started := time.Now()
	if err := v.make(ctx, t); err != nil {
		return err
	}
	if err := s.recorded(ctx); err != nil {
		return err
	}
	return errors.Join(v.searchTables(ctx, t, r), v.searchLogs(r, logs), v.searchJournal(ctx, r, started), v.searchFiles(t, r, started))
}

// make sends all hits, and the request with a token in its address.
func (v privateVisit) make(ctx context.Context, t *Target) error {
	for _, hit := range v.hits() {
		if err := v.site.hit(ctx, userAgent, hit, nil); err != nil {
			return err
		}
	}
	if err := v.site.hit(ctx, userAgent, v.forwarded(), url.Values{"token_auth": {v.site.Token}}); err != nil {
		return err
	}
	// A wrong token is noted by the address it came from.
	if err := t.Afterwards("DELETE FROM " + t.Table("brute_force_log") + " WHERE ip_address = " + mariadb.Quote(v.asker.String())); err != nil {
		return err
	}
	answer, err := t.Ask(ctx, web.Request{Target: t.URLPath(askWithToken(v.value("auth"))), From: v.asker, Header: [][2]string{{"User-Agent", userAgent}}})
	if err != nil {
		return fmt.Errorf("ask the API with a token: %w", err)
	}
	if answer.Status == http.StatusOK && bytes.Contains(answer.Body, []byte(t.Matomo.Version)) {
		return errors.New("ask the API with a token: it takes a token that was made up")
	}
	return nil
}

func askWithToken(token string) string {
	return "/index.php?module=API&method=API.getMatomoVersion&format=json&token_auth=" + token
}

// column is a column of a table of Matomo's schema.
type column struct {
	table, name, kind string
	rows              int64
}

// searchTables looks into each column of each table. Of a long table it looks
// at the newest rows: what was stored now is among them.
func (v privateVisit) searchTables(ctx context.Context, t *Target, r *Record) error {
	conn, err := t.SQL(ctx)
	if err != nil {
		return err
	}
	columns, newest, err := v.columns(ctx, t)
	if err != nil {
		return err
	}
	var problems []error
	for _, table := range slices.Sorted(maps.Keys(columns)) {
		query, searched := searchOf(columns[table], v.marks(), t.Matomo.Main().Setting("database.tables_prefix"))
		if len(searched) == 0 {
			continue
		}
		from := mariadb.Identifier(t.Matomo.Main().Setting("database.dbname")) + "." + mariadb.Identifier(table)
		if columns[table][0].rows > manyRows {
			if newest[table] == "" {
				from = "(SELECT * FROM " + from + " LIMIT " + strconv.Itoa(manyRows) + ")"
				problems = append(problems, fmt.Errorf("search table %s: it is long, and its newest rows cannot be told", table))
			} else {
				from = "(SELECT * FROM " + from + " ORDER BY " + mariadb.Identifier(newest[table]) + " DESC LIMIT 5000)"
			}
		}
		counts := make([]int64, len(searched))
		into := make([]any, len(searched))
		for i := range counts {
			into[i] = &counts[i]
		}
		err := conn.DB.QueryRowContext(ctx, "SELECT "+query+" FROM "+from+" searched").Scan(into...)
		var gone *mysql.MySQLError
		if errors.As(err, &gone) && gone.Number == 1146 {
			continue // an archive table of somebody else that is gone by now
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("search table %s: %w", table, err))
			continue
		}
		v.record(r, table, searched, counts)
	}
	return errors.Join(problems...)
}

// manyRows is above what is searched as a whole.
const manyRows = 100_000

// columns lists the columns of all tables that hold text or bytes, and the
// column by which the newest rows of a table are found.
func (v privateVisit) columns(ctx context.Context, t *Target) (columns map[string][]column, newest map[string]string, err error) {
	conn, err := t.SQL(ctx)
	if err != nil {
		return nil, nil, err
	}
	rows, err := conn.DB.QueryContext(ctx, "SELECT c.table_name, c.column_name, c.data_type, COALESCE(t.table_rows, 0), c.extra LIKE '%auto_increment%' FROM information_schema.columns c"+
		" JOIN information_schema.tables t ON t.table_schema = c.table_schema AND t.table_name = c.table_name AND t.table_type = 'BASE TABLE'"+
		" WHERE c.table_schema = "+mariadb.Quote(t.Matomo.Main().Setting("database.dbname"))+" ORDER BY 1, 2")
	if err != nil {
		return nil, nil, fmt.Errorf("list the columns of Matomo's tables: %w", err)
	}
	defer rows.Close()
	columns, newest = map[string][]column{}, map[string]string{}
	for rows.Next() {
		var c column
		var counts bool
		if err := rows.Scan(&c.table, &c.name, &c.kind, &c.rows, &counts); err != nil {
			return nil, nil, fmt.Errorf("list the columns of Matomo's tables: %w", err)
		}
		if counts {
			newest[c.table] = c.name
		}
		if holdsText(c.kind) || holdsBytes(c.kind) {
			columns[c.table] = append(columns[c.table], c)
		}
	}
	return columns, newest, rows.Err()
}

func holdsText(kind string) bool {
	return strings.HasSuffix(kind, "char") || strings.HasSuffix(kind, "text") || kind == "json"
}

func holdsBytes(kind string) bool {
	return strings.HasSuffix(kind, "binary") || strings.HasSuffix(kind, "blob") || strings.HasPrefix(kind, "inet")
}

// search is what one column is searched for.
type search struct {
	column column
	mark   mark
	where  string // SQL that is 1 where it is found
}

// searchOf makes the list of a SELECT that counts the rows with each mark in
// each column.
func searchOf(columns []column, marks []mark, prefix string) (list string, searched []search) {
	var counts []string
	for _, c := range columns {
		for _, m := range marks {
			if m.except != "" && c.table == prefix+m.except {
				continue
			}
			where := "LOCATE(" + mariadb.Quote(m.text) + ", " + mariadb.Identifier(c.name) + ") > 0"
			if holdsBytes(c.kind) {
				where = "LOCATE(X'" + hex.EncodeToString([]byte(m.text)) + "', " + mariadb.Identifier(c.name) + ") > 0"
				if m.bytes != nil {
					where = "(" + where + " OR " + mariadb.Identifier(c.name) + " = X'" + hex.EncodeToString(m.bytes) + "')"
				}
			}
			counts = append(counts, "COALESCE(SUM("+where+"), 0)")
			searched = append(searched, search{c, m, where})
		}
	}
	return strings.Join(counts, ", "), searched
}

func (v privateVisit) record(r *Record, table string, searched []search, counts []int64) {
	found := false
	for i, one := range searched {
		if counts[i] == 0 {
			continue
		}
		found = true
		r.Try(model.Try{
			Who: "visitor", What: "be stored with " + one.mark.what, Where: "table " + table + ", column " + one.column.name,
			Sent: one.mark.text, Answer: fmt.Sprintf("%d rows", counts[i]), Fell: true,
			Reproduce: v.reproduce(one.mark, func(again mark) check {
				_, all := searchOf([]column{one.column}, []mark{again}, "")
				return check{SQL: "SELECT COUNT(*) FROM " + mariadb.Identifier(v.site.t.Matomo.Main().Setting("database.dbname")) + "." + mariadb.Identifier(table) + " WHERE " + all[0].where}
			}),
		})
	}
	if !found {
		r.Try(model.Try{Who: "visitor", What: "be stored with what names it", Where: "table " + table, Answer: fmt.Sprintf("none of the marked values is in its columns of text and bytes (%d searches)", len(searched))})
	}
}

// reproduce is a line for root that makes the visit again, and looks for the
// same mark.
func (v privateVisit) reproduce(m mark, look func(mark) check) string {
	again := privateVisit{site: v.site.again(), ipv6: netip.MustParseAddr("2001:db8:a:b:c:d:e:f"), asker: netip.MustParseAddr(againAddress)}
	for _, other := range again.marks() {
		if other.what == m.what {
			return again.site.reproduce("write", userAgent, append(again.hits(), again.forwarded(), url.Values{"url": {"https://" + again.site.Host() + "/?token=" + again.value("auth")}}), look(other))
		}
	}
	return ""
}

// openLog is a log with how long it was before the visit.
type openLog struct {
	path   string
	size   int64
	access bool // of a front
}

func openLogs(t *Target) []openLog {
	var logs []openLog
	for _, file := range t.Logs.Files {
		if info, err := os.Stat(file.Path); err == nil {
			logs = append(logs, openLog{file.Path, info.Size(), file.Kind == "access"})
		}
	}
	return logs
}

// appendedLimit is how much of what was appended to a log is read, in bytes.
const appendedLimit = 32 << 20

// appended is what was written to a log since.
func (l openLog) appended() ([]byte, error) {
	file, err := os.Open(l.path)
	if err != nil {
		return nil, fmt.Errorf("read what was written to a log: %w", err)
	}
	defer file.Close()
	if info, err := file.Stat(); err == nil && info.Size() < l.size {
		l.size = 0 // it was rotated meanwhile
	}
	text, err := io.ReadAll(io.NewSectionReader(file, l.size, appendedLimit))
	if err != nil {
		return nil, fmt.Errorf("read what was written to a log: %w", err)
	}
	return text, nil
}

func (v privateVisit) searchLogs(r *Record, logs []openLog) error {
	var problems []error
	written := 0
	for _, log := range logs {
		text, err := log.appended()
		for range 20 { // fronts write a line after the answer
			if err != nil || len(text) > 0 || !log.access {
				break
			}
			time.Sleep(10 * time.Millisecond)
			text, err = log.appended()
		}
		if err != nil {
			problems = append(problems, err)
			continue
		}
		written += len(text)
		v.look(r, log.path, text, func(again mark) check { return check{File: log.path, Needles: []string{again.text}} })
	}
	if slices.ContainsFunc(logs, func(l openLog) bool { return l.access }) && written == 0 {
		problems = append(problems, errors.New("look into the logs: nothing was written to the access log"))
	}
	return errors.Join(problems...)
}

// look searches a text for all marks.
func (v privateVisit) look(r *Record, where string, text []byte, again func(mark) check) {
	found := false
	for _, m := range v.marks() {
		if !bytes.Contains(text, []byte(m.text)) {
			continue
		}
		found = true
		try := model.Try{Who: "visitor", What: "be logged with " + m.what, Where: where, Sent: m.text, Answer: line(text, m.text), Fell: true}
		if again != nil {
			try.Reproduce = v.reproduce(m, again)
		}
		r.Try(try)
	}
	if !found {
		r.Try(model.Try{Who: "visitor", What: "be logged with what names it", Where: where, Answer: fmt.Sprintf("none of the marked values is in the %d bytes that were written meanwhile", len(text))})
	}
}

// line is the line of a text that holds something.
func line(text []byte, what string) string {
	for one := range bytes.Lines(text) {
		if bytes.Contains(one, []byte(what)) {
			return string(bytes.TrimSpace(one))
		}
	}
	return ""
}

func (v privateVisit) searchJournal(ctx context.Context, r *Record, started time.Time) error {
	out, err := run.Do(ctx, run.Command{Argv: []string{"journalctl", "--quiet", "--no-pager", "--output=cat", "--since=@" + strconv.FormatInt(started.Unix()-1, 10)}})
	if err != nil {
		return fmt.Errorf("look into the journal: %w", err)
	}
	v.look(r, "journal", out.Stdout, nil)
	return nil
}

// searchFiles looks into the files that Matomo wrote meanwhile.
func (v privateVisit) searchFiles(t *Target, r *Record, started time.Time) error {
	var problems []error
	seen := map[string]bool{}
	for _, c := range t.Matomo.Contexts {
		if c.Tmp == "" || seen[c.Tmp] {
			continue
		}
		seen[c.Tmp] = true
		var text bytes.Buffer
		// Its owner may put links there while root reads.
		root, err := os.OpenRoot(c.Tmp)
		if err != nil {
			problems = append(problems, fmt.Errorf("look into %s: %w", c.Tmp, err))
			continue
		}
		defer root.Close()
		err = fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // a cache that was replaced meanwhile
			}
			if err != nil || !entry.Type().IsRegular() {
				return err
			}
			info, err := entry.Info()
			if err != nil || info.ModTime().Before(started.Add(-time.Second)) || text.Len() > appendedLimit {
				return nil //nolint:nilerr // gone, or not of now
			}
			content, err := root.ReadFile(name)
			if err == nil {
				fmt.Fprintf(&text, "%s\n", content)
			}
			return nil
		})
		if err != nil {
			problems = append(problems, fmt.Errorf("look into %s: %w", c.Tmp, err))
			continue
		}
		v.look(r, c.Tmp, text.Bytes(), nil)
	}
	return errors.Join(problems...)
}
