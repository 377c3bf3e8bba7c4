package prove

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"rocca/internal/collect/db"
	"rocca/internal/facts"
	"rocca/internal/mariadb"
	"rocca/internal/model"
	"rocca/internal/run"
	"rocca/internal/secret"
)

var a18 = Attack{
	ID:    "A18",
	Title: "Matomo's database login reaches other schemas, files and accounts",
	How: `PHP in each pool logs in with what the pool's configuration says, as somebody would who has broken into it, and runs statements that Matomo never needs:
it reads another schema and the server's own, reads and writes files, makes and changes accounts, sets the server's variables, loads a library, and alters and drops a table.
As the tracker it also reads sessions, makes itself a superuser, and writes the options that reset a password. The database's root lays out what is attacked: a schema, a table, an account, a login and an option of a random name, which are gone afterwards. An account with a password logs in without the password leaving PHP.`,
	Risk:    "none: statements touch rows, tables, accounts and schemas that were made for it, and a variable is set to the value that it has",
	Without: []Protection{withoutSchemaRights, withoutServerRights, withoutFileRights, withoutLocalInfile, withoutTrackerTables, withoutTrackerOptions},
	Attempt: attackDatabaseRights,
}

// inSchema has the database's root run SQL in Matomo's schema on a server of
// rocca's, for programs that take a protection away. $prefix is that of its
// tables, $ui and $tracker are the accounts.
func inSchema(sql string) string {
	return `of() { sed -n "s/^$1 = \"\(.*\)\"\$/\1/p" "$2/config/config.ini.php"; }
schema=$(of dbname "$STATE"); prefix=$(of tables_prefix "$STATE"); ui=$(of username "$STATE"); tracker=$(of username "$TRACKER")
mariadb "$schema" -e "` + sql + `"
`
}

var withoutSchemaRights = Protection{
	ID:       "schema-rights",
	Title:    "the user interface's database account cannot alter or drop a table",
	Part:     DataPart,
	Remove:   inSchema("GRANT ALL PRIVILEGES ON * TO '$ui'@'localhost'"),
	Controls: []string{"DB-03"},
}

var withoutServerRights = Protection{
	ID:       "other-schemas",
	Title:    "the user interface's database account reaches Matomo's schema only",
	Part:     DataPart,
	Remove:   inSchema("GRANT SELECT ON *.* TO '$ui'@'localhost'"),
	Controls: []string{"DB-03", "DB-04"},
}

var withoutFileRights = Protection{
	ID:       "file-right",
	Title:    "the user interface's database account cannot read and write files",
	Part:     DataPart,
	Remove:   inSchema("GRANT FILE ON *.* TO '$ui'@'localhost'"),
	Controls: []string{"DB-03", "DB-04"},
}

var withoutLocalInfile = Protection{
	ID:       "local-infile",
	Title:    "the database server takes no files of its clients",
	Part:     DataPart,
	Remove:   `printf '[mariadbd]\nlocal_infile = 1\n' >/etc/mysql/mariadb.conf.d/99-local-infile.cnf; systemctl restart mariadb`,
	Controls: []string{"DB-06"},
}

var withoutTrackerTables = Protection{
	ID:       "tracker-rights",
	Title:    "the tracker's database account cannot write the table of users",
	Part:     DataPart,
	Remove:   inSchema("GRANT UPDATE ON ${prefix}user TO '$tracker'@'localhost'"),
	Controls: []string{"DB-03"},
}

var withoutTrackerOptions = Protection{
	ID:       "tracker-options",
	Title:    "triggers let the tracker's database account write only the options that recording writes",
	Part:     DataPart,
	Remove:   inSchema("DROP TRIGGER rocca_tracker_option_insert; DROP TRIGGER rocca_tracker_option_update"),
	Controls: []string{"DB-03"},
}

// statement is one thing that an account should not be able to do.
type statement struct {
	role string // "ui tracker": whose account tries it
	what string
	sql  string
	file string // path that it writes, if any

	// reached tells from the value that came back whether it succeeded; nil when
	// it did as soon as the server does not refuse it.
	reached func(value *string) bool
	beside  string // what the database's root says meanwhile, in a line that repeats it
}

// said is what PHP reports of a statement.
type said struct {
	Code  int     `json:"code"` // of the error; 0: none
	Text  string  `json:"text"`
	Value *string `json:"value"` // first column of the first row
	Rows  int     `json:"rows"`

	Columns int `json:"columns"` // of what a SELECT gives
}

// ground is what the database's root lays out to be attacked, by one name.
type ground struct {
	name   string // of a schema, of a table in it and in Matomo's, of an account, a login and an option
	schema string // Matomo's
	t      *Target
}

func (g ground) own() string     { return g.other("") }
func (g ground) foreign() string { return mariadb.Identifier(g.name) + ".t" }
func (g ground) account() string { return mariadb.User(g.name + "@localhost") }

// other is what a statement makes in Matomo's schema, by the end of its name.
func (g ground) other(end string) string {
	return mariadb.Identifier(g.schema) + "." + mariadb.Identifier(g.name+end)
}

// made is one thing of the ground: how it is laid out, and taken away.
type made struct{ lay, clear string }

func (g ground) things() []made {
	user, option := g.t.Table("user"), g.t.Table("option")
	like := mariadb.Quote(g.name + "%")
	return []made{
		{"CREATE DATABASE " + mariadb.Identifier(g.name), "DROP DATABASE IF EXISTS " + mariadb.Identifier(g.name)},
		{"CREATE TABLE " + g.foreign() + " AS SELECT 'of another application' AS n", ""},
		{"CREATE TABLE " + g.own() + " AS SELECT 'of this attack' AS n", "DROP TABLE IF EXISTS " + g.own()},
		{"CREATE USER " + g.account() + " ACCOUNT LOCK", "DROP USER IF EXISTS " + g.account()},
		{"INSERT INTO " + option + " (option_name, option_value, autoload) VALUES (" + mariadb.Quote(g.name+"_reset_password_info") + ", 'as it was', 0)", "DELETE FROM " + option + " WHERE option_name LIKE " + mariadb.Quote("%"+g.name+"%")},
		{"INSERT INTO " + option + " (option_name, option_value, autoload) VALUES (" + mariadb.Quote("JsTrackerInstallCheck_"+g.name) + ", 'the tracker may write it', 0)", ""},
		{"INSERT INTO " + user + " (login, password, email) VALUES (" + mariadb.Quote(g.name) + ", '-', " + mariadb.Quote(g.name+"@invalid") + ")", "DELETE FROM " + user + " WHERE login LIKE " + like},
		// What the statements make where they succeed.
		{"", "DROP USER IF EXISTS " + mariadb.User(g.name+"-new@localhost")},
		{"", "DROP VIEW IF EXISTS " + g.other("-view")},
		{"", "DROP EVENT IF EXISTS " + g.other("-event")},
		{"", "DROP PROCEDURE IF EXISTS " + g.other("-routine")},
		{"", "DROP TABLE IF EXISTS " + g.other("-new")},
		{"", "DELETE FROM " + g.t.Table("access") + " WHERE login LIKE " + like},
		{"", "DELETE FROM " + g.t.Table("user_token_auth") + " WHERE login LIKE " + like},
		{"", "DELETE FROM " + g.t.Table("plugin_setting") + " WHERE setting_name LIKE " + like},
	}
}

// lay makes the ground; what clears it was written down before.
func (g ground) lay(ctx context.Context) error {
	conn, err := g.t.SQL(ctx)
	if err != nil {
		return fmt.Errorf("lay out what is attacked: %w", err)
	}
	for _, thing := range g.things() {
		if thing.clear != "" {
			if err := g.t.Afterwards(thing.clear); err != nil {
				return err
			}
		}
		if thing.lay != "" {
			if err := conn.Exec(ctx, thing.lay); err != nil {
				return fmt.Errorf("lay out what is attacked: %w", err)
			}
		}
	}
	return nil
}

func anything(value *string) bool { return value != nil }
func some(value *string) bool     { return value != nil && *value != "0" }

// statements are what is tried. Those on files name a path below each of dirs.
func (g ground) statements(dirs []string) []statement {
	q := mariadb.Quote
	own := q(g.schema)
	both := "ui tracker"
	all := []statement{
		{role: both, what: "read another schema", sql: "SELECT n FROM " + g.foreign()},
		{role: both, what: "write another schema", sql: "INSERT INTO " + g.foreign() + " VALUES ('x')"},
		{role: both, what: "see another schema", sql: "SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name NOT IN ('information_schema', " + own + ")", reached: some},
		{role: both, what: "read the hashes of the server's accounts", sql: "SELECT COUNT(*) FROM mysql.user"},
		{role: both, what: "read the hashes of the server's accounts", sql: "SELECT COUNT(*) FROM mysql.global_priv"},
		{role: both, what: "watch the statements of others", sql: "SELECT COUNT(*) FROM information_schema.processlist WHERE user <> SUBSTRING_INDEX(CURRENT_USER(), '@', 1)", reached: some, beside: "SELECT SLEEP(2)"},
		{role: both, what: "read a file of the server", sql: "SELECT LENGTH(LOAD_FILE('/etc/passwd'))", reached: anything},
		{role: both, what: "load a file of the server", sql: "LOAD DATA INFILE '/etc/passwd' INTO TABLE " + g.own()},
		{role: both, what: "load a file of the client", sql: "LOAD DATA LOCAL INFILE '{FILE}' INTO TABLE " + g.own()},
		{role: both, what: "make an account", sql: "CREATE USER " + mariadb.User(g.name+"-new@localhost") + " ACCOUNT LOCK"},
		{role: both, what: "give rights to an account", sql: "GRANT SELECT ON " + g.own() + " TO " + g.account()},
		{role: both, what: "set the password of an account", sql: "SET PASSWORD FOR " + g.account() + " = PASSWORD('x')"},
		{role: both, what: "set a variable of the server", sql: "SET GLOBAL wait_timeout = @@GLOBAL.wait_timeout"},
		{role: both, what: "load a library", sql: "CREATE FUNCTION " + mariadb.Identifier(g.name) + " RETURNS INTEGER SONAME " + q(g.name+".so")},
		{role: both, what: "load a plugin", sql: "INSTALL SONAME " + q(g.name)},
		{role: both, what: "make a routine", sql: "CREATE PROCEDURE " + g.other("-routine") + "() SELECT 1"},
		{role: both, what: "make an event", sql: "CREATE EVENT " + g.other("-event") + " ON SCHEDULE AT NOW() + INTERVAL 1 YEAR DO SELECT 1"},
		{role: both, what: "make a view", sql: "CREATE VIEW " + g.other("-view") + " AS SELECT 1"},
		{role: both, what: "make a trigger", sql: "CREATE TRIGGER " + g.own() + " BEFORE INSERT ON " + g.own() + " FOR EACH ROW SET @x = 1"},
		{role: both, what: "make a schema", sql: "CREATE DATABASE IF NOT EXISTS " + mariadb.Identifier(g.name)},
		{role: both, what: "alter a table of Matomo's schema", sql: "ALTER TABLE " + g.own() + " ADD more INT"},
		{role: both, what: "empty a table of Matomo's schema", sql: "TRUNCATE TABLE " + g.own()},

		{role: "tracker", what: "make a table", sql: "CREATE TABLE " + g.other("-new") + " (n INT)"},
		{role: "tracker", what: "read sessions", sql: "SELECT COUNT(*) FROM " + g.t.Table("session")},
		{role: "tracker", what: "read second factors", sql: "SELECT COUNT(*) FROM " + g.t.Table("twofactor_recovery_code")},
		{role: "tracker", what: "make a login a superuser", sql: "UPDATE " + g.t.Table("user") + " SET superuser_access = 1 WHERE login = " + q(g.name)},
		{role: "tracker", what: "set the password of a login", sql: "UPDATE " + g.t.Table("user") + " SET password = 'x' WHERE login = " + q(g.name)},
		{role: "tracker", what: "make a login", sql: "INSERT INTO " + g.t.Table("user") + " (login, password, email, superuser_access) VALUES (" + q(g.name+"-new") + ", '-', " + q(g.name+"-new@invalid") + ", 1)"},
		{role: "tracker", what: "make a token", sql: "INSERT INTO " + g.t.Table("user_token_auth") + " (login, description, password, hash_algo, date_created) VALUES (" + q(g.name) + ", '-', " + q(g.name) + ", 'sha512', NOW())"},
		{role: "tracker", what: "set a token", sql: "UPDATE " + g.t.Table("user_token_auth") + " SET password = " + q(g.name) + " WHERE login = " + q(g.name)},
		{role: "tracker", what: "give a login rights on a site", sql: "INSERT INTO " + g.t.Table("access") + " (login, idsite, access) VALUES (" + q(g.name) + ", 0, 'admin')"},
		{role: "tracker", what: "write a setting of a plugin", sql: "INSERT INTO " + g.t.Table("plugin_setting") + " (plugin_name, setting_name, setting_value) VALUES ('Login', " + q(g.name) + ", '1')"},
		{role: "tracker", what: "write an option that resets a password", sql: "INSERT INTO " + g.t.Table("option") + " (option_name, option_value, autoload) VALUES (" + q(g.name+"-new_reset_password_info") + ", 'x', 0)"},
		{role: "tracker", what: "change an option that resets a password", sql: "UPDATE " + g.t.Table("option") + " SET option_value = 'x' WHERE option_name = " + q(g.name+"_reset_password_info")},
		{role: "tracker", what: "change an option by inserting it", sql: "INSERT INTO " + g.t.Table("option") + " (option_name, option_value, autoload) VALUES (" + q(g.name+"_reset_password_info") + ", 'x', 0) ON DUPLICATE KEY UPDATE option_value = 'x'"},
		{role: "tracker", what: "rename an allowed option into one that resets a password", sql: "UPDATE " + g.t.Table("option") + " SET option_name = " + q(g.name+"-renamed_reset_password_info") + " WHERE option_name = " + q("JsTrackerInstallCheck_"+g.name)},
		{role: "tracker", what: "delete visits", sql: "DELETE FROM " + g.t.Table("log_visit") + " WHERE idvisit = 0"},
	}
	for _, dir := range dirs {
		file := path.Join(dir, g.name+".php")
		all = append(all, statement{role: both, what: "write a file of the server", sql: "SELECT 'rocca-prove' INTO OUTFILE " + q(file), file: file})
	}
	// Last, as it takes away what the others need.
	return append(all,
		statement{role: both, what: "drop a table of Matomo's schema", sql: "DROP TABLE " + g.own()},
		statement{role: both, what: "drop a table of another schema", sql: "DROP TABLE " + g.foreign()},
		statement{role: both, what: "drop an account", sql: "DROP USER " + g.account()},
		statement{role: both, what: "drop a schema", sql: "DROP DATABASE " + mariadb.Identifier(g.name)},
	)
}

func attackDatabaseRights(ctx context.Context, t *Target, r *Record) error {
	var problems []error
	seen := map[string]bool{}
	for _, role := range []string{"ui", "tracker"} {
		pool, found := t.Pool(role)
		if !found {
			continue
		}
		// One account may play both roles: then it tries what neither needs.
		c := t.Context(role)
		roles := []string{role}
		if role == "ui" {
			if other, there := t.Pool("tracker"); there && other.Name == pool.Name && other.Listen == pool.Listen {
				roles = []string{"ui", "tracker"}
			}
		} else if seen[pool.Name+pool.Listen] {
			continue
		}
		seen[pool.Name+pool.Listen] = true
		problems = append(problems, attackAs(ctx, t, r, pool, c, roles))
	}
	if len(seen) == 0 {
		return errors.New("log in to the database from PHP: no pool of Matomo was found")
	}
	return errors.Join(problems...)
}

func attackAs(ctx context.Context, t *Target, r *Record, pool facts.Pool, c facts.Context, roles []string) error {
	login := db.LoginOf(c, secret.Secret{})
	g := ground{name: Canary(), schema: login.Schema, t: t}
	if err := g.lay(ctx); err != nil {
		return err
	}
	tried := slices.DeleteFunc(g.statements(writableBySQL(t, c)), func(s statement) bool {
		return !slices.ContainsFunc(roles, func(role string) bool { return slices.Contains(strings.Fields(s.role), role) })
	})
	var sql []string
	for _, s := range tried {
		if s.file != "" {
			if err := t.Gone(s.file); err != nil {
				return err
			}
		}
		sql = append(sql, s.sql)
	}
	answers, err := sayInPHP(ctx, t, pool, c, login, sql)
	if err != nil {
		return err
	}
	if len(answers) != len(tried) {
		return fmt.Errorf("log in to the database as %s: PHP in the pool %s answers to %d of %d statements", login.User, pool.Name, len(answers), len(tried))
	}
	var problems []error
	for i, s := range tried {
		fell, clear := judgeStatement(s, answers[i])
		if !clear {
			problems = append(problems, fmt.Errorf("%s as %s: error %d: %s", s.what, login.User, answers[i].Code, answers[i].Text))
			continue
		}
		try := model.Try{
			Who: "PHP of the pool " + pool.Name, What: s.what, Where: "database account " + login.User, Sent: s.sql,
			Answer: answers[i].String(), Fell: fell,
		}
		if fell {
			try.Reproduce = reproduceStatement(t, c, login, s, g)
		}
		r.Try(try)
	}
	return errors.Join(problems...)
}

func (s said) String() string {
	switch {
	case s.Code != 0:
		return fmt.Sprintf("error %d: %s", s.Code, s.Text)
	case s.Value != nil:
		return fmt.Sprintf("1 row: %q", *s.Value)
	case s.Columns > 0:
		return "NULL, or no row"
	}
	return fmt.Sprintf("done, %d rows", s.Rows)
}

// refusals are the errors by which MariaDB and MySQL say that an account, or
// nobody at all, may do a thing (mysqld_error.h).
var refusals = []int{
	1044,             // of a schema
	1045,             // access denied
	1142,             // of a table
	1143,             // of a column
	1144,             // GRANT
	1148, 3948, 4166, // LOAD DATA LOCAL is switched off
	1227, // needs a privilege
	1290, // the server runs with an option against it
	1370, // of a routine
	1410, // may not make a user by GRANT
	1419, // needs SUPER
	1644, // a trigger refuses
	1698, // access denied to an account without a password
}

// beyondRights are the errors that come only after the rights were looked at.
var beyondRights = []int{
	1126, // the library is not there
	1086, // the file is there already
	1,    // the server cannot write there
	1019,
}

// judgeStatement tells whether a statement succeeded, and whether that is clear.
func judgeStatement(s statement, a said) (fell, clear bool) {
	switch {
	case a.Code == 0 && s.reached != nil:
		return s.reached(a.Value), true
	case a.Code == 0:
		return true, true
	case slices.Contains(refusals, a.Code):
		return false, true
	case slices.Contains(beyondRights, a.Code):
		// It may; only the operating system, or what is not there, stood against it.
		return s.file == "", true
	}
	return false, false
}

// writableBySQL are directories in which the database server might write a
// script: those that PHP runs, and the one that it may write in.
func writableBySQL(t *Target, c facts.Context) []string {
	dirs := []string{t.Matomo.Real, c.Tmp, "/tmp"}
	if allowed := t.Database.Variables["secure_file_priv"]; path.IsAbs(allowed) {
		dirs = append(dirs, path.Clean(allowed))
	}
	slices.Sort(dirs)
	return slices.DeleteFunc(slices.Compact(dirs), func(dir string) bool { return dir == "" || dir == "/" })
}

// sayInPHP logs in to the database in a pool, and says each of the statements.
// The password, if there is one, is read from the configuration by PHP itself.
func sayInPHP(ctx context.Context, t *Target, pool facts.Pool, c facts.Context, l db.Login, statements []string) ([]said, error) {
	text, err := json.Marshal(map[string]any{
		"config": c.Config, "dsn": dsn(l), "user": l.User, "statements": statements,
	})
	if err != nil {
		return nil, fmt.Errorf("log in to the database in PHP: %w", err)
	}
	out, err := t.RunPHP(ctx, pool, `$in = json_decode(base64_decode('`+base64.StdEncoding.EncodeToString(text)+`'), true);
$c = parse_ini_file($in['config'], true, INI_SCANNER_RAW);
if ($c === false) { exit(json_encode(['problem' => 'the configuration cannot be read'])); }
$password = html_entity_decode($c['database']['password'] ?? '', ENT_QUOTES, 'UTF-8');
$options = [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION, PDO::ATTR_EMULATE_PREPARES => true, PDO::MYSQL_ATTR_LOCAL_INFILE => true, PDO::MYSQL_ATTR_USE_BUFFERED_QUERY => true];
try { $db = new PDO($in['dsn'], $in['user'], $password, $options); }
catch (PDOException $e) { exit(json_encode(['problem' => str_replace($password === '' ? "\0" : $password, '***', $e->getMessage())])); }
$out = [];
foreach ($in['statements'] as $sql) {
    $one = ['code' => 0, 'text' => '', 'value' => null, 'rows' => 0, 'columns' => 0];
    try {
        $s = $db->query(str_replace('{FILE}', __FILE__, $sql));
        $one['rows'] = $s->rowCount();
        $one['columns'] = $s->columnCount();
        if ($s->columnCount() > 0) { $row = $s->fetch(PDO::FETCH_NUM); $one['value'] = $row && $row[0] !== null ? substr((string) $row[0], 0, 80) : null; }
        $s->closeCursor();
    } catch (PDOException $e) { $one['code'] = (int) ($e->errorInfo[1] ?? -1); $one['text'] = (string) ($e->errorInfo[2] ?? $e->getMessage()); }
    $out[] = $one;
}
echo json_encode(['said' => $out], JSON_INVALID_UTF8_SUBSTITUTE);`)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Problem string `json:"problem"`
		Said    []said `json:"said"`
	}
	if err := json.Unmarshal([]byte(out), &answer); err != nil {
		return nil, fmt.Errorf("log in to the database in the pool %s: it answers %q: %w", pool.Name, shortened(out), err)
	}
	if answer.Problem != "" {
		return nil, fmt.Errorf("log in to the database in the pool %s: %s", pool.Name, answer.Problem)
	}
	return answer.Said, nil
}

// dsn is what PDO takes for a login, without the schema: what is attacked is named in full.
func dsn(l db.Login) string {
	if socket := socketOf(l); socket != "" {
		return "mysql:charset=utf8mb4;unix_socket=" + socket
	}
	return fmt.Sprintf("mysql:charset=utf8mb4;host=%s;port=%d", l.Host, l.Port)
}

// socketOf is the socket by which a login reaches its server; empty when it does by TCP.
func socketOf(l db.Login) string {
	if l.Socket != "" || l.Host == "" || l.Host == "localhost" {
		return cmp.Or(l.Socket, mariadb.Socket)
	}
	return ""
}

// reproduceStatement is a line for root that lays the ground again, by another
// name, tries the statement as the account, and clears all.
func reproduceStatement(t *Target, c facts.Context, l db.Login, s statement, g ground) string {
	again := ground{name: Canary(), schema: g.schema, t: t}
	rename := func(text string) string { return strings.ReplaceAll(text, g.name, again.name) }
	var lay, clear []string
	for _, thing := range again.things() {
		if thing.lay != "" {
			lay = append(lay, thing.lay)
		}
		if thing.clear != "" {
			clear = append(clear, thing.clear)
		}
	}
	slices.Reverse(clear)
	root := run.Quote([]string{"mariadb", "--socket=" + cmp.Or(socketOf(l), mariadb.Socket)})
	sql := rename(strings.ReplaceAll(s.sql, "{FILE}", "/etc/os-release"))
	judge := ""
	if s.reached != nil {
		judge = ` | tee /dev/stderr | grep -qvxE 'NULL|0'`
	}
	remove := ""
	if s.file != "" {
		remove = "rm -f " + run.Quote([]string{rename(s.file)}) + "; "
	}
	if slices.ContainsFunc([]string{"CREATE FUNCTION", "INSTALL"}, func(prefix string) bool { return strings.HasPrefix(sql, prefix) }) {
		judge = ` 2>&1 | tee /dev/stderr | grep -q "ERROR 1126"` // it may; only the library is not there
	}
	beside := ""
	if s.beside != "" {
		beside = root + " -e " + run.Quote([]string{s.beside}) + " >/dev/null & sleep 1; "
	}
	return "( " + root + " -e " + run.Quote([]string{strings.Join(lay, "; ")}) + "; " + beside +
		asAccount(c, l) + " -N -e " + run.Quote([]string{sql}) + judge + "; result=$?; " +
		root + " -e " + run.Quote([]string{strings.Join(clear, "; ")}) + "; " + remove + `echo "as ` + l.User + `, ` + s.what + `: $result (0: it can)"; exit $result )`
}

// asAccount is a command line of the mariadb client as an account of Matomo:
// with the password of the configuration, by a pipe, or as its Unix user where
// it has none.
func asAccount(c facts.Context, l db.Login) string {
	where := []string{}
	if socket := socketOf(l); socket != "" {
		where = append(where, "--socket="+socket)
	} else {
		where = append(where, "--host="+l.Host, fmt.Sprintf("--port=%d", l.Port))
	}
	where = append(where, "--local-infile=1", "--user="+l.User)
	if c.Secrets["database.password"].Length > 0 {
		read := `$c = parse_ini_file($argv[1], true, INI_SCANNER_RAW); echo "[client]\npassword=\"", addcslashes(html_entity_decode($c["database"]["password"], ENT_QUOTES), "\\\""), "\"\n";`
		return run.Quote([]string{"php", "-n", "-r", read, "--", c.Config}) + " | " + run.Quote(append([]string{"mariadb", "--defaults-file=/dev/stdin"}, where...))
	}
	user := cmp.Or(c.User, l.User)
	return run.Quote(append(AsCommand(user, run.Command{Argv: []string{"mariadb", "--no-defaults"}}).Argv, where...))
}
