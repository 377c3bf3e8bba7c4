package prove

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"

	"rocca/internal/mariadb"
	"rocca/internal/prove/web"
	"rocca/internal/run"
)

// canarySite is a site of Matomo that an attack made for its visits, and a
// login that may see it. All of it, and what visits left, is gone when the
// attack ends.
type canarySite struct {
	ID    int
	Name  string     // of the site and of the login, and in each text of a visit
	Token string     // of the login
	From  netip.Addr // that visits come from, an own address

	t *Target
}

// openCanarySite makes a site, and a login with a right on it: "view" or "write".
func (t *Target) openCanarySite(ctx context.Context, right string) (canarySite, error) {
	s := canarySite{Name: Canary(), Token: hex.EncodeToString(randomBytes(16)), From: canaryAddress(), t: t}
	conn, err := t.SQL(ctx)
	if err != nil {
		return s, fmt.Errorf("make a site: %w", err)
	}
	salt, err := t.salt()
	if err != nil {
		return s, fmt.Errorf("make a site: %w", err)
	}
	if err := s.forget(ctx); err != nil {
		return s, err
	}
	for _, statement := range s.make(right, sha512Hex(s.Token+salt)) {
		if err := conn.Exec(ctx, statement); err != nil {
			return s, fmt.Errorf("make a site: %w", err)
		}
	}
	if err := conn.DB.QueryRowContext(ctx, "SELECT idsite FROM "+t.Table("site")+" WHERE name = "+mariadb.Quote(s.Name)).Scan(&s.ID); err != nil {
		return s, fmt.Errorf("make a site: %w", err)
	}
	// What trackers keep of a site.
	for _, c := range t.Matomo.Contexts {
		if c.Tmp != "" {
			if err := t.AfterwardsRun("rm", "-f", "--", path.Join(c.Tmp, "cache/tracker", fmt.Sprintf("matomocache_%d.php", s.ID))); err != nil {
				return s, err
			}
		}
	}
	return s, nil
}

// make are the statements that make the site, the login, its right and its token.
func (s canarySite) make(right, tokenHash string) []string {
	t, name := s.t, mariadb.Quote(s.Name)
	return []string{
		"INSERT INTO " + t.Table("site") + " (name, main_url, ts_created, ecommerce, timezone, currency, sitesearch_keyword_parameters, sitesearch_category_parameters, excluded_ips, excluded_parameters, excluded_user_agents, excluded_referrers, `group`, type)" +
			" VALUES (" + name + ", " + mariadb.Quote("https://"+s.Host()) + ", '2020-01-01', 1, 'UTC', 'EUR', '', '', '', '', '', '', '', 'website')",
		"INSERT INTO " + t.Table("user") + " (login, password, email) VALUES (" + name + ", '-', " + mariadb.Quote(s.Name+"@invalid") + ")",
		"INSERT INTO " + t.Table("access") + " (login, idsite, access) SELECT " + name + ", idsite, " + mariadb.Quote(right) + " FROM " + t.Table("site") + " WHERE name = " + name,
		"INSERT INTO " + t.Table("user_token_auth") + " (login, description, password, hash_algo, date_created) VALUES (" + name + ", 'rocca-prove', " + mariadb.Quote(tokenHash) + ", 'sha512', NOW())",
	}
}

// Host is the host name of the site.
func (s canarySite) Host() string { return s.Name + ".example" }

// forget writes down how all that is to come is deleted, and how that is brought
// back which Matomo writes for itself when it is asked: options of all sites that
// the first visit makes, the name that it was asked by, and when somebody was
// last there without a login.
func (s canarySite) forget(ctx context.Context) error {
	t := s.t
	conn, err := t.SQL(ctx)
	if err != nil {
		return err
	}
	var newest int64
	if err := conn.DB.QueryRowContext(ctx, "SELECT COALESCE(MAX(idaction), 0) FROM "+t.Table("log_action")).Scan(&newest); err != nil {
		return fmt.Errorf("make a site: %w", err)
	}
	undo, err := s.undo(newest)
	if err != nil {
		return err
	}
	for _, name := range []string{"useridsalt", "lastTrackerCronRun", "fingerprint_salt_0"} {
		_, err := t.option(ctx, name)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			undo = append(undo, "DELETE FROM "+t.Table("option")+" WHERE option_name = "+mariadb.Quote(name))
		case err != nil:
			return fmt.Errorf("make a site: %w", err)
		}
	}
	for _, statement := range undo {
		if err := t.Afterwards(statement); err != nil {
			return err
		}
	}
	return errors.Join(t.keepOption(ctx, "piwikUrl"), t.keepAnonymous(ctx))
}

// undo are the statements that delete the site and all that visits left. They
// are run from the last to the first: the site, by which others are found,
// goes last. Actions are newer than a number.
func (s canarySite) undo(highest int64) ([]string, error) {
	t, name := s.t, mariadb.Quote(s.Name)
	option, id := t.Table("option"), "(SELECT MIN(idsite) FROM "+t.Table("site")+" WHERE name = "+name+")"
	undo := []string{
		"DELETE FROM " + t.Table("site") + " WHERE name = " + name,
		"DELETE FROM " + option + " WHERE option_name LIKE " + mariadb.Quote("%"+s.Name+"%"),
		"DELETE FROM " + option + " WHERE option_name LIKE CONCAT('fingerprint\\_salt\\_', " + id + ", '\\_%') OR option_name LIKE CONCAT('%report\\_to\\_invalidate\\_', " + id + ", '\\_%')" +
			" OR option_name IN (CONCAT('SitesManagerHadTrafficInPast_', " + id + "), CONCAT('JsTrackerInstallCheck_', " + id + "))",
		"DELETE FROM " + t.Table("user") + " WHERE login = " + name,
		"DELETE FROM " + t.Table("access") + " WHERE login = " + name,
		"DELETE FROM " + t.Table("user_token_auth") + " WHERE login = " + name,
		fmt.Sprintf("DELETE FROM %s WHERE idaction > %d AND name LIKE %s", t.Table("log_action"), highest, mariadb.Quote("%"+s.Name+"%")),
	}
	l := t.Matomo.Main()
	found := 0
	for _, table := range t.Database.Schemas[l.Setting("database.dbname")] {
		for _, bySite := range []string{"log_visit", "log_link_visit_action", "log_conversion", "log_conversion_item", "tracking_failure", "archive_invalidations"} {
			if table == l.Setting("database.tables_prefix")+bySite {
				found++
				undo = append(undo, "DELETE FROM "+t.Table(bySite)+" WHERE idsite = "+id)
			}
		}
	}
	if found < 6 {
		return nil, errors.New("make a site: Matomo's tables of visits were not all found")
	}
	return undo, nil
}

// userAgent is how a visit says what it comes with. There is no address in it:
// Matomo would take it for a robot.
const userAgent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36"

// hit sends one hit to the tracker, as a visitor does. What is sent by POST, a
// token, is in no log.
func (s canarySite) hit(ctx context.Context, agent string, query, post url.Values) error {
	request := web.Request{Target: s.t.URLPath(s.target(query)), From: s.From, Header: [][2]string{{"User-Agent", agent}, {"Accept-Language", "en"}}}
	if len(post) > 0 {
		request.Method, request.Body = "POST", post.Encode()
		request.Header = append(request.Header, [2]string{"Content-Type", "application/x-www-form-urlencoded"})
	}
	answer, err := s.t.Ask(ctx, request)
	if err != nil {
		return fmt.Errorf("send a hit: %w", err)
	}
	if !slices.Contains([]int{200, 204}, answer.Status) {
		return fmt.Errorf("send a hit: the tracker answers %d", answer.Status)
	}
	return nil
}

func (s canarySite) target(query url.Values) string {
	query.Set("idsite", s.id())
	query.Set("rec", "1")
	return "/matomo.php?" + query.Encode()
}

func (s canarySite) id() string {
	if s.ID == 0 {
		return laterID
	}
	return strconv.Itoa(s.ID)
}

// recorded is an error when no visit of the site was recorded.
func (s canarySite) recorded(ctx context.Context) error {
	conn, err := s.t.SQL(ctx)
	if err != nil {
		return err
	}
	var visits int
	if err := conn.DB.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+s.t.Table("log_visit")+" WHERE idsite = "+strconv.Itoa(s.ID)).Scan(&visits); err != nil {
		return fmt.Errorf("look for the visit: %w", err)
	}
	if visits == 0 {
		return errors.New("send hits: the tracker took them, but recorded no visit")
	}
	return nil
}

// canaryAddress is an address of this machine that nothing else comes from.
func canaryAddress() netip.Addr {
	b := randomBytes(2)
	return netip.AddrFrom4([4]byte{127, 66, 1 + b[0]%250, 1 + b[1]%250})
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails: crypto/rand ends the program instead
	return b
}

// A site that is made again by a line for root has these names, and canaryAgain.
const (
	laterID      = "rocca-prove-site-id"
	laterHash    = "rocca-prove-token-hash"
	againAddress = "127.66.251.7"
)

// again is the same site for a line that makes it later.
func (s canarySite) again() canarySite {
	return canarySite{Name: canaryAgain, From: netip.MustParseAddr(againAddress), t: s.t}
}

// check is where a line for root looks for what must not be there: in the
// answer to a request with the token, in the value that SQL gives, or in what is
// written to a file meanwhile.
type check struct {
	Page    string   `json:"page,omitempty"`
	SQL     string   `json:"sql,omitempty"` // gives a number
	File    string   `json:"file,omitempty"`
	Needles []string `json:"needles,omitempty"`
}

// reproduce is a line for root that makes the site and the login again, sends
// hits, looks for something, and deletes all.
func (s canarySite) reproduce(right, agent string, hits []url.Values, look check) string {
	undo, err := s.undo(0)
	if err != nil {
		return ""
	}
	slices.Reverse(undo)
	var targets, caches []string
	for _, hit := range hits {
		targets = append(targets, s.t.URLPath(s.target(hit)))
	}
	for _, c := range s.t.Matomo.Contexts {
		caches = append(caches, path.Join(c.Tmp, "cache/tracker", "matomocache_"+laterID+".php"))
	}
	plan, err := json.Marshal(map[string]any{
		"config": s.t.Matomo.Main().Config, "front": s.t.stream(false), "host": s.t.Name(), "from": againAddress + ":0", "agent": agent,
		"make": s.make(right, laterHash), "undo": undo, "hits": targets, "caches": caches, "look": look,
		"id": "SELECT idsite FROM " + s.t.Table("site") + " WHERE name = " + mariadb.Quote(canaryAgain),
	})
	if err != nil {
		return ""
	}
	return run.Quote([]string{"php", "-n", "-r", strings.ReplaceAll(againPHP, "\n", " "), "--", string(plan)})
}

const againPHP = `$in = json_decode($argv[1], true); $look = $in["look"]; $token = bin2hex(random_bytes(16));
function sql($q) { return trim((string) shell_exec("mariadb -N -e " . escapeshellarg($q))); }
function ask($target, $body) { global $in;
  $context = stream_context_create(["ssl" => ["verify_peer" => false, "verify_peer_name" => false], "socket" => ["bindto" => $in["from"]]]);
  $f = stream_socket_client($in["front"], $code, $text, 5, STREAM_CLIENT_CONNECT, $context);
  fwrite($f, ($body === "" ? "GET" : "POST") . " $target HTTP/1.0\r\nHost: $in[host]\r\nUser-Agent: $in[agent]\r\nX-Requested-With: XMLHttpRequest\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: " . strlen($body) . "\r\nConnection: close\r\n\r\n$body");
  return (string) stream_get_contents($f); }
$undo = function () use ($in) { foreach ($in["undo"] as $q) { sql($q); } };
$undo();
foreach ($in["make"] as $q) { sql(str_replace("rocca-prove-token-hash", hash("sha512", $token . parse_ini_file($in["config"], true, INI_SCANNER_RAW)["General"]["salt"]), $q)); }
$id = sql($in["id"]); $fill = fn($text) => str_replace("rocca-prove-site-id", $id, $text);
$before = isset($look["file"]) ? (int) @filesize($look["file"]) : 0;
foreach ($in["hits"] as $target) { ask($fill($target), strpos($target, "cip=") === false ? "" : "token_auth=$token"); }
if (isset($look["file"])) { usleep(300000); }
$text = isset($look["page"]) ? ask($fill($look["page"]), "token_auth=$token") : (isset($look["sql"]) ? sql($fill($look["sql"])) : (string) file_get_contents($look["file"], false, null, $before));
$found = isset($look["sql"]) ? (int) $text > 0 : false;
foreach ($look["needles"] ?? [] as $needle) { if (strpos($text, $needle) !== false) { $found = true; echo "found: $needle\n"; } }
$undo(); foreach ($in["caches"] as $file) { @unlink($fill($file)); }
echo $found ? "it is there: " . ($look["page"] ?? $look["sql"] ?? $look["file"]) . "\n" : "it is not there\n";
exit($found ? 0 : 1);`
