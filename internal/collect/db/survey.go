package db

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

	"rocca/internal/facts"
	"rocca/internal/mariadb"
	"rocca/internal/secret"
)

// Options say what of a server is Matomo's, and how long it may be asked.
type Options struct {
	Schema string
	Prefix string        // of the names of Matomo's tables
	Remote bool          // the server is on another machine
	Limit  time.Duration // of each question; 0: questionLimit
}

// questionLimit is how long the server may work on one question: it serves
// visitors meanwhile.
const questionLimit = 300 * time.Millisecond

// accountLimit caps the accounts that are looked at.
const accountLimit = 500

// variables are those that controls ask for.
var variables = []string{"bind_address", "skip_networking", "port", "socket", "datadir", "tmpdir", "pid_file", "log_error", "secure_file_priv", "local_infile",
	"require_secure_transport", "have_ssl", "ssl_ca", "ssl_cert", "tls_version", "sql_mode", "general_log", "general_log_file", "slow_query_log", "slow_query_log_file", "log_output",
	"log_bin", "expire_logs_days", "binlog_expire_logs_seconds", "max_allowed_packet", "max_connections", "innodb_encrypt_tables", "innodb_encrypt_log", "innodb_flush_log_at_trx_commit",
	"default_password_lifetime", "old_passwords", "secure_auth", "skip_name_resolve", "skip_grant_tables", "strict_password_validation", "version", "version_comment", "innodb_buffer_pool_size", "performance_schema", "log_raw", "symbolic_links", "have_symlink", "automatic_sp_privileges", "event_scheduler", "plugin_dir", "init_file", "init_connect"}

// Survey observes a server, and what the tables of one Matomo hold. It only
// reads, in read-only transactions of one statement each, waits for no lock of
// others longer than a second, and lets no question take longer than
// Options.Limit. What the account may not see is left out: Database.All and
// Rows.Partial tell.
func Survey(ctx context.Context, conn mariadb.Conn, o Options) (facts.Database, facts.Rows, error) {
	if o.Limit == 0 {
		o.Limit = questionLimit
	}
	d := facts.Database{Remote: o.Remote}
	session, err := conn.DB.Conn(ctx)
	if err != nil {
		d.Problem = conn.Server.Explain(err).Error()
		return d, facts.Rows{}, nil
	}
	defer discard(session)
	if err := session.QueryRowContext(ctx, "SELECT VERSION(), SUBSTRING_INDEX(USER(), '@', -1), CURRENT_USER()").Scan(&d.Version, &d.Client, &d.Asked); err != nil {
		d.Problem = conn.Server.Explain(err).Error()
		return d, facts.Rows{}, nil
	}
	d.Reached = true
	if err := restrain(ctx, session, d.MariaDB(), o.Limit); err != nil {
		return d, facts.Rows{}, err
	}
	if d.Schemas, err = schemas(ctx, session); err != nil {
		return d, facts.Rows{}, fmt.Errorf("list database schemas: %w", err)
	}
	if d.Triggers, err = triggers(ctx, session); err != nil && !timedOut(err) {
		return d, facts.Rows{}, err
	}
	if d.Variables, err = globalVariables(ctx, session); err != nil {
		return d, facts.Rows{}, fmt.Errorf("read variables of the database server: %w", err)
	}
	if !o.Remote {
		d.DataDir = d.Variables["datadir"]
	}
	if d.TLS, err = cipher(ctx, session); err != nil {
		return d, facts.Rows{}, err
	}
	if d.Accounts, d.All, err = accounts(ctx, session, d.MariaDB(), d.Asked); err != nil {
		return d, facts.Rows{}, err
	}
	for _, table := range d.Schemas[o.Schema] {
		if strings.HasPrefix(table, o.Prefix) {
			d.Tables++
		}
	}
	d.Encrypted = encrypted(ctx, session, d.MariaDB(), o)
	rows, err := readRows(ctx, session, d.Schemas[o.Schema], o)
	return d, rows, err
}

// discard ends the connection of a session: nobody else should get one that
// may not write.
func discard(session *sql.Conn) {
	_ = session.Raw(func(any) error { return driver.ErrBadConn }) // which tells that it cannot be used again
	_ = session.Close()
}

// restrain makes a session harmless: it can change nothing, and gives up soon.
func restrain(ctx context.Context, session *sql.Conn, isMariaDB bool, limit time.Duration) error {
	statements := []string{"SET SESSION TRANSACTION READ ONLY", "SET SESSION lock_wait_timeout = 1", "SET SESSION time_zone = '+00:00'", "SET NAMES utf8mb4"}
	if isMariaDB {
		statements = append(statements, fmt.Sprintf("SET SESSION max_statement_time = %.3f", limit.Seconds()))
	} else {
		statements = append(statements, fmt.Sprintf("SET SESSION max_execution_time = %d", limit.Milliseconds()))
	}
	for _, statement := range statements {
		if _, err := session.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("prepare to read from the database (%s): %w", statement, err)
		}
	}
	return nil
}

// Numbers of errors that MariaDB or MySQL give (mysqld_error.h).
const (
	errNoTable      = 1146
	errNoColumn     = 1054
	errLockTimeout  = 1205
	errMariaDBTime  = 1969
	errMySQLTime    = 3024
	errTableDenied  = 1142
	errColumnDenied = 1143
	errSchemaDenied = 1044
	errNeedsMore    = 1227
)

func numbered(err error, numbers ...uint16) bool {
	var refused *mysql.MySQLError
	return errors.As(err, &refused) && slices.Contains(numbers, refused.Number)
}

func timedOut(err error) bool { return numbered(err, errMariaDBTime, errMySQLTime, errLockTimeout) }

func denied(err error) bool {
	return numbered(err, errTableDenied, errColumnDenied, errSchemaDenied, errNeedsMore)
}

func globalVariables(ctx context.Context, session *sql.Conn) (map[string]string, error) {
	quoted := make([]string, len(variables))
	for i, name := range variables {
		quoted[i] = mariadb.Quote(name)
	}
	values, err := pairs(ctx, session, "SHOW GLOBAL VARIABLES WHERE Variable_name IN ("+strings.Join(quoted, ", ")+")")
	if err != nil {
		return nil, err
	}
	found := map[string]string{}
	for name, value := range values {
		found[name] = value.String
		if name == "secure_file_priv" && !value.Valid { // no file at all, where "" is every file
			found[name] = "NULL"
		}
	}
	return found, nil
}

func cipher(ctx context.Context, session *sql.Conn) (string, error) {
	status, err := pairs(ctx, session, "SHOW SESSION STATUS LIKE 'Ssl_cipher'")
	if err != nil {
		return "", fmt.Errorf("ask for the cipher of the database connection: %w", err)
	}
	return status["Ssl_cipher"].String, nil
}

func pairs(ctx context.Context, session *sql.Conn, query string) (map[string]sql.NullString, error) {
	rows, err := session.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	found := map[string]sql.NullString{}
	err = eachRow(rows, func(v []sql.NullString) { found[v[0].String] = v[1] })
	return found, err
}

// listed is a line of the server's own list of accounts, without any hash.
type listed struct {
	user, host   string
	role, locked bool
}

// accounts looks at every account. An account that may not see the list sees
// itself only: all is false then.
func accounts(ctx context.Context, session *sql.Conn, isMariaDB bool, self string) (found map[string]facts.Account, all bool, err error) {
	found = map[string]facts.Account{}
	lines, err := listAccounts(ctx, session, isMariaDB)
	switch {
	case err == nil:
		all = len(lines) <= accountLimit
		lines = lines[:min(len(lines), accountLimit)]
	case denied(err) || timedOut(err):
		user, host, _ := cutLast(self, "@")
		lines = []listed{{user: user, host: host}}
	default:
		return found, false, fmt.Errorf("list database accounts: %w", err)
	}
	for _, line := range lines {
		name := line.user + "@" + line.host
		a, err := accountOf(ctx, session, line)
		if denied(err) && !all {
			a, err = facts.Account{Exists: true, Identity: "not seen"}, nil
			a.Grants, _ = grantsFor(ctx, session, "CURRENT_USER()")
		}
		if timedOut(err) {
			all = false
			continue
		}
		if err != nil {
			return found, all, fmt.Errorf("look at database account %s: %w", name, err)
		}
		if a.Exists {
			a.Locked, a.Role = line.locked, line.role
			found[name] = a
		}
	}
	return found, all, nil
}

func cutLast(text, separator string) (before, after string, found bool) {
	i := strings.LastIndex(text, separator)
	if i < 0 {
		return text, "", false
	}
	return text[:i], text[i+len(separator):], true
}

// listAccounts asks for names and states. MariaDB keeps them as JSON
// (mysql.global_priv, since 10.4), MySQL in columns of mysql.user.
func listAccounts(ctx context.Context, session *sql.Conn, isMariaDB bool) ([]listed, error) {
	query := "SELECT User, Host, COALESCE(JSON_VALUE(Priv, '$.is_role'), 0) IN ('1', 'true'), COALESCE(JSON_VALUE(Priv, '$.account_locked'), 0) IN ('1', 'true') FROM mysql.global_priv"
	if !isMariaDB {
		query = "SELECT User, Host, EXISTS (SELECT 1 FROM mysql.role_edges r WHERE r.FROM_USER = u.User AND r.FROM_HOST = u.Host), account_locked = 'Y' FROM mysql.user u" +
			" WHERE User NOT IN ('mysql.session', 'mysql.sys', 'mysql.infoschema')"
	}
	rows, err := session.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var found []listed
	for rows.Next() {
		var l listed
		if err := rows.Scan(&l.user, &l.host, &l.role, &l.locked); err != nil {
			return nil, err
		}
		found = append(found, l)
	}
	return found, rows.Err()
}

func accountOf(ctx context.Context, session *sql.Conn, l listed) (facts.Account, error) {
	name := mariadb.Quote(l.user) + "@" + mariadb.Quote(l.host)
	if l.role && l.host == "" { // MariaDB's roles have no host
		grants, err := grantsFor(ctx, session, mariadb.Quote(l.user))
		return facts.Account{Exists: true, Role: true, Identity: "role", Grants: grants}, err
	}
	a, err := observeAccount(ctx, session, name)
	a.NoWord = a.Exists && !l.locked && !l.role && emptyPassword(a.Created.Reveal())
	a.Created = secret.Secret{} // an audit makes no account anew
	return a, err
}

// withPassword are the plugins that ask for a password of the server's own.
var withPassword = []string{"password", "mysql_native_password", "mysql_old_password", "ed25519", "caching_sha2_password", "sha256_password", "parsec"}

// emptyPassword tells from the statement that would make an account whether it
// can log in without a word: by a plugin that asks for a password, and none set.
func emptyPassword(created string) bool {
	clause := identity.FindStringSubmatch(created)
	if clause == nil {
		return !strings.Contains(created, " IDENTIFIED ")
	}
	for _, match := range way.FindAllStringSubmatch(clause[1], -1) {
		text := strings.TrimSuffix(match[0], " OR ")
		_, known, set := strings.Cut(text, " USING ")
		if !set {
			_, known, set = strings.Cut(text, " AS ")
		}
		if slices.Contains(withPassword, match[1]) && (!set || known == "''") {
			return true
		}
	}
	return false
}

var required = regexp.MustCompile(` REQUIRE (SSL|X509|SUBJECT|ISSUER|CIPHER)\b`)

// encrypted counts the tables of Matomo that the engine encrypts; none when
// the account may not know.
func encrypted(ctx context.Context, session *sql.Conn, isMariaDB bool, o Options) int {
	name := strings.NewReplacer(`\`, `\\`, "_", `\_`, "%", `\%`).Replace(o.Prefix)
	query := "SELECT COUNT(*) FROM information_schema.INNODB_TABLESPACES_ENCRYPTION WHERE ENCRYPTION_SCHEME > 0 AND NAME LIKE " + mariadb.Quote(o.Schema+"/"+name+"%")
	if !isMariaDB {
		query = "SELECT COUNT(*) FROM information_schema.TABLES WHERE CREATE_OPTIONS REGEXP 'ENCRYPTION=.Y' AND TABLE_SCHEMA = " + mariadb.Quote(o.Schema) + " AND TABLE_NAME LIKE " + mariadb.Quote(name+"%")
	}
	var count int
	if err := session.QueryRowContext(ctx, query).Scan(&count); err != nil {
		return 0
	}
	return count
}
