package db

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"rocca/internal/facts"
	"rocca/internal/mariadb"
)

// reader asks the tables of one Matomo. What cannot be answered is noted in
// partial, and the rest goes on.
type reader struct {
	ctx     context.Context
	session *sql.Conn
	o       Options
	tables  map[string]bool // without prefix
	sizes   map[string]int64
	rows    facts.Rows
}

func readRows(ctx context.Context, session *sql.Conn, tables []string, o Options) (facts.Rows, error) {
	r := reader{ctx: ctx, session: session, o: o, tables: map[string]bool{}, sizes: map[string]int64{}, rows: facts.Rows{
		Counts: map[string]int64{}, Partial: map[string]string{}, Options: map[string]string{}, Settings: map[string]string{}, Dashboards: map[string]int{},
	}}
	for _, table := range tables {
		if name, ours := strings.CutPrefix(table, o.Prefix); ours {
			r.tables[name] = true
		}
	}
	if !r.tables["user"] || !r.tables["option"] {
		return r.rows, fmt.Errorf("read Matomo's tables: schema %q has none with the prefix %q", o.Schema, o.Prefix)
	}
	for _, read := range []func() error{
		r.readSizes, r.readOptions, r.readSettings, r.readUsers, r.readTokens, r.readAccess, r.readSites,
		r.readCounts, r.readVisits, r.readPersonal, r.readDashboards, r.readTags, r.readQueue,
	} {
		if err := read(); err != nil {
			return r.rows, fmt.Errorf("read Matomo's tables: %w", err)
		}
	}
	r.readArchives()
	return r.rows, nil
}

func (r *reader) table(name string) string {
	return mariadb.Identifier(r.o.Schema) + "." + mariadb.Identifier(r.o.Prefix+name)
}

// ask runs a question and hands out its rows, as text. answered is false when
// there was no answer, for a reason that an older Matomo, a busy server or an
// account with few rights gives: that is noted under the topic.
func (r *reader) ask(topic, query string, row func(values []sql.NullString)) (answered bool, err error) {
	rows, err := r.session.QueryContext(r.ctx, query)
	if err == nil {
		defer rows.Close()
		err = eachRow(rows, row)
	}
	switch {
	case err == nil:
		return true, nil
	case timedOut(err):
		r.rows.Partial[topic] = fmt.Sprintf("took longer than %s", r.o.Limit)
	case denied(err):
		r.rows.Partial[topic] = "the account may not read it"
	case numbered(err, errNoTable, errNoColumn):
		r.rows.Partial[topic] = "this version of Matomo keeps it elsewhere"
	default:
		return false, err
	}
	return false, nil
}

func eachRow(rows *sql.Rows, row func([]sql.NullString)) error {
	names, err := rows.Columns()
	if err != nil {
		return err
	}
	values, targets := make([]sql.NullString, len(names)), make([]any, len(names))
	for i := range values {
		targets[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(targets...); err != nil {
			return err
		}
		row(values)
	}
	return rows.Err()
}

func number(value sql.NullString) int64 { n, _ := strconv.ParseInt(value.String, 10, 64); return n }

func truth(value sql.NullString) bool { return number(value) != 0 }

// moment reads a time of the database (UTC), or a Unix time.
func moment(value string) time.Time {
	if at, err := time.Parse(time.DateTime, value); err == nil {
		return at.UTC()
	}
	if seconds, err := strconv.ParseInt(value, 10, 64); err == nil && seconds > 0 && seconds < 1<<40 {
		return time.Unix(seconds, 0).UTC()
	}
	return time.Time{}
}

// readSizes asks how many rows there are about, by the engine's statistics.
func (r *reader) readSizes() error {
	quoted := []string{}
	for _, name := range []string{"log_visit", "log_action", "log_link_visit_action", "log_conversion", "log_conversion_item"} {
		quoted = append(quoted, mariadb.Quote(r.o.Prefix+name))
	}
	_, err := r.ask("sizes", "SELECT table_name, table_rows FROM information_schema.tables WHERE table_schema = "+mariadb.Quote(r.o.Schema)+
		" AND table_name IN ("+strings.Join(quoted, ", ")+")", func(v []sql.NullString) {
		name := strings.TrimPrefix(v[0].String, r.o.Prefix)
		r.sizes[name], r.rows.Counts[name] = number(v[1]), number(v[1])
		r.rows.Partial[name] = "estimated by the engine"
	})
	return err
}

// told are the options that are told as they are, by their whole names; those
// that end with a dot or an underscore stand for all that begin so.
var told = []string{
	"PrivacyManager.", "delete_logs_", "delete_reports_", "lastDelete_", "SitesManager_", "version_core", "install_version", "MatomoUpdateHistory",
	"UpdateCheck_", "enableBrowserTriggerArchiving", "todayArchiveTimeToLive", "LastFullArchivingStartTime", "LastCompletedFullArchiving", "lastTrackerCronRun",
	"LastPluginActivation.", "LastPluginDeactivation.", "piwikUrl", "geoip2.updater_period", "usercountry.location_provider", "branding_use_custom_logo",
	"MobileMessaging_DelegatedManagement", "JsTrackerInstallCheck_",
}

// hinted are the options of which only that they are set is told: they hold
// secrets, or what somebody wrote.
var hinted = []string{"marketplace_license_key", "geoip2.loc_db_url", "geoip2.isp_db_url", "%\\_annotations", "%\\_MobileMessagingSettings"}

const optionLength = 2000

func (r *reader) readOptions() error {
	var conditions []string
	for _, name := range told {
		condition := "option_name = " + mariadb.Quote(name)
		if strings.HasSuffix(name, ".") || strings.HasSuffix(name, "_") {
			condition = "option_name LIKE " + mariadb.Quote(strings.ReplaceAll(name, "_", `\_`)+"%")
		}
		conditions = append(conditions, condition)
	}
	_, err := r.ask("options", fmt.Sprintf("SELECT option_name, LEFT(option_value, %d) FROM %s WHERE %s", optionLength, r.table("option"), strings.Join(conditions, " OR ")),
		func(v []sql.NullString) { r.rows.Options[v[0].String] = v[1].String })
	if err != nil {
		return err
	}
	conditions = nil
	for _, name := range hinted {
		conditions = append(conditions, "option_name LIKE "+mariadb.Quote(name))
	}
	_, err = r.ask("options", "SELECT option_name FROM "+r.table("option")+" WHERE option_value NOT IN ('', '0', 'a:0:{}', '[]', '{}') AND option_name NOT LIKE 'version\\_%' AND ("+strings.Join(conditions, " OR ")+")",
		func(v []sql.NullString) { r.rows.Options[v[0].String] = "[redacted]" })
	r.rows.Archived = moment(r.rows.Options["LastCompletedFullArchiving"])
	return err
}

// secretSetting is the name of a setting of a plugin that holds a secret.
var secretSetting = regexp.MustCompile(`(?i)(password|passwd|passphrase|pass|pwd|salt|secret|token|key|licen[sc]e|certificate)$`)

// readSettings reads the settings of plugins for all users. A list stands in
// several rows of one name, or in one as JSON.
func (r *reader) readSettings() error {
	lists := map[string][]string{}
	_, err := r.ask("settings", fmt.Sprintf("SELECT CONCAT(plugin_name, '.', setting_name), LEFT(setting_value, %d), json_encoded FROM %s WHERE user_login = '' ORDER BY idplugin_setting LIMIT 5000", optionLength, r.table("plugin_setting")),
		func(v []sql.NullString) {
			name := v[0].String
			value := v[1].String
			if secretSetting.MatchString(name) && value != "" {
				value = "[redacted]"
			}
			lists[name] = append(lists[name], value)
		})
	for name, values := range lists {
		if len(values) == 1 {
			r.rows.Settings[name] = values[0]
			continue
		}
		text, _ := json.Marshal(values) // strings can always be encoded
		r.rows.Settings[name] = string(text)
	}
	return err
}

func (r *reader) readUsers() error {
	seen := map[string]time.Time{}
	if _, err := r.ask("last seen", "SELECT option_name, option_value FROM "+r.table("option")+" WHERE option_name LIKE 'UsersManager.lastSeen.%' LIMIT 20000", func(v []sql.NullString) {
		seen[strings.TrimPrefix(v[0].String, "UsersManager.lastSeen.")] = moment(v[1].String)
	}); err != nil {
		return err
	}
	codes := map[string]int{}
	if r.tables["twofactor_recovery_code"] {
		if _, err := r.ask("recovery codes", "SELECT login, COUNT(*) FROM "+r.table("twofactor_recovery_code")+" GROUP BY login", func(v []sql.NullString) { codes[v[0].String] = int(number(v[1])) }); err != nil {
			return err
		}
	}
	admins := map[string]bool{}
	if _, err := r.ask("access", "SELECT DISTINCT login FROM "+r.table("access")+" WHERE access = 'admin'", func(v []sql.NullString) { admins[v[0].String] = true }); err != nil {
		return err
	}
	// The hash stays on the server: it tells the algorithm itself.
	const columns = "login, superuser_access, twofactor_secret <> '', SUBSTRING_INDEX(email, '@', -1), date_registered," +
		" CASE WHEN password LIKE '$argon2id$%' THEN 'argon2id' WHEN password LIKE '$argon2i$%' THEN 'argon2i' WHEN password LIKE '$2_$%' THEN CONCAT('bcrypt ', SUBSTRING(password, 5, 2) + 0)" +
		" WHEN password REGEXP '^[0-9a-f]{32}$' THEN 'md5' WHEN password = '' THEN '' ELSE 'other' END"
	add := func(v []sql.NullString) {
		login := v[0].String
		if len(v) > 6 && v[6].String == "1" {
			r.rows.Invited = append(r.rows.Invited, facts.Invitation{Login: login, Expires: moment(v[7].String)})
			return
		}
		r.rows.Users = append(r.rows.Users, facts.MatomoUser{
			Login: login, Superuser: truth(v[1]), Admin: admins[login], TwoFactor: truth(v[2]), Recovery: codes[login],
			Algorithm: v[5].String, Domain: v[3].String, Registered: moment(v[4].String), LastSeen: seen[login],
		})
	}
	from := " FROM " + r.table("user") + " WHERE login <> 'anonymous' ORDER BY login LIMIT 20000"
	answered, err := r.ask("users", "SELECT "+columns+", invite_accept_at IS NULL AND COALESCE(invite_token, invite_link_token, '') <> '', invite_expired_at"+from, add)
	if answered || err != nil {
		return err
	}
	delete(r.rows.Partial, "users")
	r.rows.Users, r.rows.Invited = nil, nil
	_, err = r.ask("users", "SELECT "+columns+from, add) // before 4.12 there were no invitations
	return err
}

// readTokens leaves out the token of "anonymous", which every Matomo has and
// everybody knows.
func (r *reader) readTokens() error {
	if !r.tables["user_token_auth"] { // before 4.0 each user had one
		return nil
	}
	const columns = "t.login, t.idusertokenauth, t.description, t.date_created, t.last_used, t.date_expired, t.system_token, COALESCE(u.superuser_access, 0)"
	add := func(v []sql.NullString) {
		t := facts.Token{Login: v[0].String, ID: int(number(v[1])), Description: v[2].String, Created: moment(v[3].String), LastUsed: moment(v[4].String),
			Expires: moment(v[5].String), System: truth(v[6]), Superuser: truth(v[7])}
		if len(v) > 8 {
			t.PostOnly = truth(v[8])
		}
		r.rows.Tokens = append(r.rows.Tokens, t)
	}
	from := " FROM " + r.table("user_token_auth") + " t LEFT JOIN " + r.table("user") + " u ON u.login = t.login WHERE t.login <> 'anonymous' ORDER BY t.idusertokenauth LIMIT 20000"
	answered, err := r.ask("tokens", "SELECT "+columns+", t.secure_only"+from, add)
	if answered || err != nil {
		return err
	}
	delete(r.rows.Partial, "tokens")
	r.rows.Tokens = nil
	_, err = r.ask("tokens", "SELECT "+columns+from, add) // before 5.0 a token could not be for POST only
	return err
}

func (r *reader) readAccess() error {
	_, err := r.ask("access", "SELECT login, idsite, access FROM "+r.table("access")+" ORDER BY login, idsite, access LIMIT 50000", func(v []sql.NullString) {
		r.rows.Access = append(r.rows.Access, facts.Access{Login: v[0].String, Site: int(number(v[1])), Right: v[2].String})
	})
	return err
}

func (r *reader) readSites() error {
	more := map[string][]string{}
	if r.tables["site_url"] {
		if _, err := r.ask("sites", "SELECT idsite, url FROM "+r.table("site_url")+" ORDER BY idsite, url LIMIT 50000", func(v []sql.NullString) {
			more[v[0].String] = append(more[v[0].String], v[1].String)
		}); err != nil {
			return err
		}
	}
	_, err := r.ask("sites", "SELECT idsite, main_url, exclude_unknown_urls, excluded_parameters, keep_url_fragment FROM "+r.table("site")+" ORDER BY idsite LIMIT 20000", func(v []sql.NullString) {
		s := facts.TrackedSite{ID: int(number(v[0])), URL: v[1].String, More: more[v[0].String], ExcludeUnknown: truth(v[2]), KeepFragment: number(v[4]) == 1}
		for parameter := range strings.SplitSeq(v[3].String, ",") {
			if parameter = strings.TrimSpace(parameter); parameter != "" {
				s.Excluded = append(s.Excluded, parameter)
			}
		}
		r.rows.Sites = append(r.rows.Sites, s)
	})
	return err
}

// countLimit is how far rows are counted.
const countLimit = 10000

// counted are the counts that tell what Matomo is used for. A table that is
// not there has no rows.
var counted = []struct{ key, table, where string }{
	{"goal: not deleted", "goal", "deleted = 0"},
	{"segment: not deleted", "segment", "deleted = 0"},
	{"report: not deleted", "report", "deleted = 0"},
	{"report: mobile", "report", "deleted = 0 AND type = 'mobile'"},
	{"report: with graphs", "report", `deleted = 0 AND type = 'email' AND parameters REGEXP '"displayFormat" *: *"?[123]'`},
	{"user_dashboard", "user_dashboard", ""},
	{"custom_dimensions: active", "custom_dimensions", "active = 1"},
	{"site", "site", ""},
	{"site: ecommerce", "site", "ecommerce = 1"},
	{"site: intranet", "site", "type = 'intranet'"},
	{"site: mobileapp", "site", "type = 'mobileapp'"},
	{"tagmanager_container: active", "tagmanager_container", "status = 'active'"},
	{"annotation", "annotation", ""},
	{"log_action: events", "log_action", "type IN (10, 11, 12)"},
	{"log_action: contents", "log_action", "type IN (13, 14, 15, 16)"},
	{"session", "session", ""},
	{"brute_force_log", "brute_force_log", ""},
	{"logger_message", "logger_message", ""},
	{"tracking_failure", "tracking_failure", ""},
}

// ownTables are the tables of Matomo and the plugins that come with it, without
// those of archives; of others only whether they are in use is of interest.
var ownTables = []string{"access", "annotation", "archive_invalidations", "brute_force_log", "changes", "custom_dimensions", "goal", "locks", "log_action", "log_conversion",
	"log_conversion_item", "log_link_visit_action", "log_profiling", "log_visit", "logger_message", "option", "plugin_setting", "privacy_logdata_anonymizations",
	"report", "report_subscriptions", "segment", "sequence", "session", "site", "site_setting", "site_url", "tagmanager_container", "tagmanager_container_release",
	"tagmanager_container_version", "tagmanager_tag", "tagmanager_trigger", "tagmanager_variable", "tracking_failure", "twofactor_recovery_code", "user",
	"user_dashboard", "user_language", "user_token_auth"}

func (r *reader) readCounts() error {
	for _, c := range counted {
		if err := r.count(c.key, c.table, c.where); err != nil {
			return err
		}
	}
	if sites, known := r.rows.Counts["site"]; known {
		r.rows.Counts["site: beyond the first"] = max(0, sites-1)
	}
	others := 0
	for name := range r.tables {
		if slices.Contains(ownTables, name) || strings.HasPrefix(name, "archive_") || others >= 100 {
			continue
		}
		others++
		if err := r.count(name, name, ""); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) count(key, table, where string) error {
	if !r.tables[table] {
		r.rows.Counts[key] = 0
		return nil
	}
	if where != "" {
		where = " WHERE " + where
	}
	_, err := r.ask(key, fmt.Sprintf("SELECT COUNT(*) FROM (SELECT 1 FROM %s%s LIMIT %d) counted", r.table(table), where, countLimit+1), func(v []sql.NullString) {
		r.rows.Counts[key] = number(v[0])
		if number(v[0]) > countLimit {
			r.rows.Counts[key], r.rows.Partial[key] = countLimit, fmt.Sprintf("counted up to %d", countLimit)
		}
	})
	return err
}

// widgetOf is the plugin of a widget in the layout of a dashboard.
var widgetOf = regexp.MustCompile(`\\?"module\\?"\s*:\s*\\?"([A-Z][A-Za-z0-9]{1,60})\\?"`)

func (r *reader) readDashboards() error {
	if !r.tables["user_dashboard"] {
		return nil
	}
	_, err := r.ask("dashboards", "SELECT LEFT(layout, 65536) FROM "+r.table("user_dashboard")+" LIMIT 500", func(v []sql.NullString) {
		for plugin := range widgetsOf(v[0].String) {
			r.rows.Dashboards[plugin]++
		}
	})
	return err
}

func widgetsOf(layout string) map[string]bool {
	found := map[string]bool{}
	for _, match := range widgetOf.FindAllStringSubmatch(layout, 500) {
		found[match[1]] = true
	}
	return found
}

func (r *reader) readTags() error {
	if !r.tables["tagmanager_container"] || !r.tables["tagmanager_tag"] {
		return nil
	}
	var tags facts.TagManager
	if _, err := r.ask("tags", "SELECT COUNT(*), COALESCE(SUM(status = 'active'), 0) FROM "+r.table("tagmanager_container"), func(v []sql.NullString) {
		tags.Containers = int(number(v[1]))
		if number(v[0]) > 0 {
			r.rows.Tags = &tags
		}
	}); err != nil {
		return err
	}
	_, err := r.ask("tags", "SELECT COUNT(DISTINCT idsite, name) FROM "+r.table("tagmanager_tag")+" WHERE type = 'CustomHtml' AND status = 'active'", func(v []sql.NullString) {
		tags.FreeTags = int(number(v[0]))
	})
	return err
}

// readQueue looks at the plugin QueuedTracking. Of a queue in Redis its length
// is not asked for.
func (r *reader) readQueue() error {
	if enabled := r.rows.Settings["QueuedTracking.queueEnabled"]; enabled != "1" && enabled != "true" {
		return nil
	}
	workers, _ := strconv.Atoi(r.rows.Settings["QueuedTracking.numQueueWorkers"])
	queue := &facts.Queue{Backend: "redis", Workers: max(1, workers)}
	r.rows.Queue = queue
	if r.rows.Settings["QueuedTracking.backend"] != "mysql" {
		r.rows.Partial["queue"] = "it is in Redis: its length was not asked for"
		return nil
	}
	queue.Backend = "mysql"
	for name := range r.tables {
		if !strings.HasPrefix(name, "queuedtracking_list_") {
			continue
		}
		if _, err := r.ask("queue", fmt.Sprintf("SELECT COUNT(*) FROM (SELECT 1 FROM %s LIMIT 1000000) waiting", r.table(name)), func(v []sql.NullString) { queue.Length += number(v[0]) }); err != nil {
			return err
		}
	}
	return nil
}

var archiveTable = regexp.MustCompile(`^archive_(?:numeric|blob)_(\d{4})_(\d{2})$`)

func (r *reader) readArchives() {
	for name := range r.tables {
		if match := archiveTable.FindStringSubmatch(name); match != nil {
			if month := match[1] + "-" + match[2]; r.rows.Archives == "" || month < r.rows.Archives {
				r.rows.Archives = month
			}
		}
	}
}
