package db

import (
	"bufio"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/google/go-cmp/cmp"

	"rocca/internal/facts"
	"rocca/internal/mariadb"
	"rocca/internal/secret"
)

// server answers questions by the first pattern that matches.
type server struct {
	answers []answer
	asked   []string
	closed  bool
}

type answer struct {
	pattern string
	rows    [][]any
	err     error
}

func (s *server) Connect(context.Context) (driver.Conn, error) { return s, nil }
func (s *server) Driver() driver.Driver                        { return nil }
func (s *server) Prepare(string) (driver.Stmt, error)          { return nil, errors.New("no statements") }
func (s *server) Close() error                                 { s.closed = true; return nil }
func (s *server) Begin() (driver.Tx, error)                    { return nil, errors.New("no transactions") }

func (s *server) ExecContext(_ context.Context, query string, _ []driver.NamedValue) (driver.Result, error) {
	s.asked = append(s.asked, query)
	return driver.RowsAffected(0), nil
}

func (s *server) QueryContext(_ context.Context, query string, _ []driver.NamedValue) (driver.Rows, error) {
	s.asked = append(s.asked, query)
	for _, a := range s.answers {
		if regexp.MustCompile(a.pattern).MatchString(query) {
			return &canned{rows: a.rows}, a.err
		}
	}
	return &canned{}, nil
}

type canned struct{ rows [][]any }

func (c *canned) Columns() []string {
	if len(c.rows) == 0 {
		return nil
	}
	return make([]string, len(c.rows[0]))
}
func (c *canned) Close() error { return nil }
func (c *canned) Next(into []driver.Value) error {
	if len(c.rows) == 0 {
		return io.EOF
	}
	for i, value := range c.rows[0] {
		into[i] = value
	}
	c.rows = c.rows[1:]
	return nil
}

func refuse(number uint16) error { return &mysql.MySQLError{Number: number, Message: "x"} }

// matomoServer answers as the MariaDB of an empty Matomo; more goes first.
func matomoServer(more ...answer) *server {
	return &server{answers: append(more,
		answer{pattern: "^SELECT VERSION", rows: [][]any{{"10.11.6-MariaDB", "localhost", "root@localhost"}}},
		answer{pattern: "FROM information_schema.schemata", rows: [][]any{{"m", "p_user"}, {"m", "p_option"}, {"m", "p_log_visit"}, {"m", "p_user_token_auth"}, {"m", "p_archive_blob_2024_02"}, {"m", "p_archive_numeric_2023_11"}, {"m", "other"}, {"mysql", "user"}}},
		answer{pattern: "^SHOW GLOBAL VARIABLES", rows: [][]any{{"datadir", "/data/"}, {"local_infile", "ON"}}},
		answer{pattern: "Ssl_cipher", rows: [][]any{{"Ssl_cipher", "TLS_AES"}}},
		answer{pattern: "ENCRYPTION_SCHEME", rows: [][]any{{"3"}}},
	)}
}

func survey(t *testing.T, s *server) (facts.Database, facts.Rows, error) {
	t.Helper()
	conn := mariadb.Conn{DB: sql.OpenDB(s)}
	defer conn.Close()
	d, rows, err := Survey(context.Background(), conn, Options{Schema: "m", Prefix: "p_"})
	if !s.closed {
		t.Error("a connection that may not write is given back for others to use")
	}
	return d, rows, err
}

func TestSurvey(t *testing.T) {
	s := matomoServer(
		answer{pattern: "FROM mysql.global_priv", rows: [][]any{{"root", "localhost", "0", "0"}, {"", "%", "0", "0"}, {"locked", "%", "0", "1"}, {"reader", "", "1", "0"}, {"m@il", "h", "0", "0"}}},
		answer{pattern: "^SHOW CREATE USER 'root'", rows: [][]any{{"CREATE USER `root`@`localhost` IDENTIFIED VIA mysql_native_password USING 'invalid' OR unix_socket"}}},
		answer{pattern: "^SHOW CREATE USER 'm@il'@'h'", rows: [][]any{{"CREATE USER `m@il`@`h` IDENTIFIED BY PASSWORD '*94BDCEBE19083CE2A1F959FD02F964C7AF4CFC29' REQUIRE ISSUER 'x'"}}},
		answer{pattern: "^SHOW CREATE USER ''", rows: [][]any{{"CREATE USER ``@`%`"}}},
		answer{pattern: "^SHOW CREATE USER 'locked'", rows: [][]any{{"CREATE USER `locked`@`%`"}}},
		answer{pattern: "^SHOW GRANTS FOR 'reader'$", rows: [][]any{{"GRANT SELECT ON `m`.* TO `reader`"}}},
	)
	d, rows, err := survey(t, s)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]facts.Account{
		"root@localhost": {Exists: true, Identity: "mysql_native_password or unix_socket"},
		"@%":             {Exists: true, Identity: "password", NoWord: true},
		"locked@%":       {Exists: true, Identity: "password", Locked: true},
		"reader@":        {Exists: true, Identity: "role", Role: true, Grants: []string{"SELECT ON `m`.*"}},
		"m@il@h":         {Exists: true, Identity: "password", TLS: true},
	}
	if diff := cmp.Diff(want, d.Accounts, cmp.AllowUnexported(secret.Secret{})); diff != "" {
		t.Error(diff)
	}
	if !d.Reached || !d.All || d.Asked != "root@localhost" || d.TLS != "TLS_AES" || d.DataDir != "/data/" || d.Tables != 6 || d.Encrypted != 3 || d.Variables["local_infile"] != "ON" {
		t.Errorf("%+v", d)
	}
	if rows.Archives != "2023-11" {
		t.Errorf("oldest archive %q", rows.Archives)
	}
	// Nothing is asked before the session can change nothing.
	if first := strings.Join(s.asked[1:5], ";"); !strings.Contains(first, "TRANSACTION READ ONLY") || !strings.Contains(first, "lock_wait_timeout = 1") || !strings.Contains(s.asked[5], "max_statement_time = 0.300") {
		t.Errorf("asked %q", s.asked[:7])
	}
	for _, query := range s.asked {
		if !regexp.MustCompile(`^(SELECT|SHOW|SET SESSION|SET NAMES)`).MatchString(query) {
			t.Errorf("asked %s", query)
		}
		if regexp.MustCompile(`(?i)authentication_string|FOR UPDATE|LOCK IN`).MatchString(query) {
			t.Errorf("asked %s", query)
		}
	}
}

func TestSurveyWithFewRights(t *testing.T) {
	d, _, err := survey(t, matomoServer(
		answer{pattern: "^SELECT VERSION", rows: [][]any{{"10.11.6-MariaDB", "localhost", "m@localhost"}}},
		answer{pattern: "FROM mysql.global_priv", err: refuse(errTableDenied)},
		answer{pattern: "^SHOW CREATE USER", err: refuse(errTableDenied)},
		answer{pattern: "^SHOW GRANTS FOR CURRENT_USER", rows: [][]any{{"GRANT ALL PRIVILEGES ON `m`.* TO `m`@`localhost`"}}},
		answer{pattern: "ENCRYPTION_SCHEME", err: refuse(errNeedsMore)},
	))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]facts.Account{"m@localhost": {Exists: true, Identity: "not seen", Grants: []string{"ALL PRIVILEGES ON `m`.*"}}}
	if diff := cmp.Diff(want, d.Accounts, cmp.AllowUnexported(secret.Secret{})); diff != "" || d.All {
		t.Errorf("all %v: %s", d.All, diff)
	}
}

func TestSurveyOfMySQL(t *testing.T) {
	s := matomoServer(
		answer{pattern: "^SELECT VERSION", rows: [][]any{{"8.0.36", "localhost", "root@localhost"}}},
		answer{pattern: "^SHOW GLOBAL VARIABLES", rows: [][]any{{"secure_file_priv", nil}, {"ssl_ca", nil}, {"datadir", "/data/"}}},
		answer{pattern: "FROM mysql.user u", rows: [][]any{{"app", "%", "0", "0"}, {"r", "%", "1", "1"}}},
		answer{pattern: "^SHOW CREATE USER 'app'", rows: [][]any{{"CREATE USER `app`@`%` IDENTIFIED WITH 'caching_sha2_password' REQUIRE SSL PASSWORD EXPIRE DEFAULT ACCOUNT UNLOCK"}}},
		answer{pattern: "^SHOW CREATE USER 'r'", rows: [][]any{{"CREATE USER `r`@`%` IDENTIFIED WITH 'caching_sha2_password' REQUIRE NONE PASSWORD EXPIRE ACCOUNT LOCK"}}},
	)
	d, _, err := survey(t, s)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]facts.Account{
		"app@%": {Exists: true, Identity: "caching_sha2_password", TLS: true, NoWord: true},
		"r@%":   {Exists: true, Identity: "caching_sha2_password", Locked: true, Role: true},
	}
	if diff := cmp.Diff(want, d.Accounts, cmp.AllowUnexported(secret.Secret{})); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]string{"secure_file_priv": "NULL", "ssl_ca": "", "datadir": "/data/"}, d.Variables); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(strings.Join(s.asked, ";"), "max_execution_time = 300") {
		t.Error("MySQL is given no time limit")
	}
}

func TestUnreachable(t *testing.T) {
	d, _, err := survey(t, &server{answers: []answer{{pattern: "^SELECT VERSION", err: errors.New("gone")}}})
	if err != nil || d.Reached || !strings.Contains(d.Problem, "gone") {
		t.Errorf("%v: %+v", err, d)
	}
	if _, _, err := survey(t, &server{answers: matomoServer().answers[:1]}); err == nil || !strings.Contains(err.Error(), `prefix "p_"`) {
		t.Errorf("a schema without Matomo's tables: %v", err)
	}
}

// TestPartial: an old Matomo, a busy server and few rights each leave a note,
// and no number that could be taken for an answer.
func TestPartial(t *testing.T) {
	_, rows, err := survey(t, matomoServer(
		answer{pattern: "invite_accept_at", err: refuse(errNoColumn)},
		answer{pattern: "secure_only", err: refuse(errNoColumn)},
		answer{pattern: "superuser_access, twofactor_secret", rows: [][]any{{"admin", "1", "0", "x.example", "2024-02-03 04:05:06", "md5"}}},
		answer{pattern: "idusertokenauth", rows: [][]any{{"admin", "7", "ci", "2024-02-03 04:05:06", nil, nil, "0", "1"}}},
		answer{pattern: "GROUP BY month", err: refuse(errMariaDBTime)},
		answer{pattern: "plugin_setting", err: refuse(errTableDenied)},
		answer{pattern: "FROM information_schema.tables", rows: [][]any{{"p_log_visit", "12"}}},
	))
	if err != nil {
		t.Fatal(err)
	}
	for topic, want := range map[string]string{"months": "took longer than 300ms", "user_ids": "took longer than 300ms", "settings": "the account may not read it", "users": "", "tokens": "", "log_visit": "estimated by the engine"} {
		if got := rows.Partial[topic]; got != want {
			t.Errorf("%s: %q, want %q", topic, got, want)
		}
	}
	if _, known := rows.Counts["log_visit: user ids"]; known {
		t.Error("what was not answered is counted")
	}
	if diff := cmp.Diff([]facts.MatomoUser{{Login: "admin", Superuser: true, Algorithm: "md5", Domain: "x.example", Registered: time.Date(2024, 2, 3, 4, 5, 6, 0, time.UTC)}}, rows.Users); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]facts.Token{{Login: "admin", ID: 7, Description: "ci", Created: time.Date(2024, 2, 3, 4, 5, 6, 0, time.UTC), Superuser: true}}, rows.Tokens); diff != "" {
		t.Error(diff)
	}
	if _, _, err := survey(t, matomoServer(answer{pattern: "FROM information_schema.tables WHERE", err: io.ErrUnexpectedEOF})); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a broken connection is taken for an answer: %v", err)
	}
}

// TestSample holds that a sample of a large table is the newest rows and
// ranges that lie over all of the rest.
func TestSample(t *testing.T) {
	s := matomoServer(
		answer{pattern: "FROM information_schema.tables", rows: [][]any{{"p_log_visit", "1000000"}}},
		answer{pattern: "SELECT MIN\\(idvisit\\), MAX\\(idvisit\\)", rows: [][]any{{"101", "1005101"}}},
		answer{pattern: "GROUP BY month", rows: [][]any{{"2026-01", "100", "3", "10", "20", "5", "90", "80"}}},
	)
	_, rows, err := survey(t, s)
	if err != nil {
		t.Fatal(err)
	}
	var query string
	for _, asked := range s.asked {
		if strings.Contains(asked, "GROUP BY month") {
			query = asked
		}
	}
	if n := strings.Count(query, " UNION ALL "); n != ranges {
		t.Errorf("%d ranges", n)
	}
	for _, want := range []string{"ORDER BY idvisit DESC LIMIT 5000)", "BETWEEN 101 AND 25100 ORDER BY idvisit LIMIT 250)", "BETWEEN 975101 AND 1000100 ORDER BY idvisit LIMIT 250)"} {
		if !strings.Contains(query, want) {
			t.Errorf("%s is missing in\n%s", want, query)
		}
	}
	if got := rows.Partial["months"]; got != "a sample of 15000 of about 1000000 rows" {
		t.Errorf("partial %q", got)
	}
	if diff := cmp.Diff([]facts.Month{{Month: "2026-01", Visits: 100, Unmasked: 3, IPv6: 10}}, rows.Months); diff != "" {
		t.Error(diff)
	}
	if rows.UserIDs != (facts.Pseudonyms{Total: 20, Plain: 5}) || rows.Counts["log_visit: resolution"] != 90 || rows.Counts["log_visit"] != 1000000 {
		t.Errorf("%+v %v", rows.UserIDs, rows.Counts)
	}
}

func TestUnmasked(t *testing.T) {
	for bytes, want := range map[int]string{0: "RIGHT(ip, 8)", 1: "RIGHT(ip, 8)", 2: "RIGHT(ip, 10)", 3: "RIGHT(ip, 13)", 4: "RIGHT(ip, 16)", 9: "RIGHT(ip, 16)"} {
		if got := unmasked("ip", bytes); !strings.Contains(got, "ELSE "+want) {
			t.Errorf("%d bytes: %s", bytes, got)
		}
	}
	for value, want := range map[string]int{"": 2, "x": 2, "0": 2, "1": 1, "3": 3, "7": 4} {
		if got := maskLength(map[string]string{"PrivacyManager.ipAddressMaskLength": value}); got != want {
			t.Errorf("%q: %d", value, got)
		}
	}
}

func TestEmptyPassword(t *testing.T) {
	for created, want := range map[string]bool{
		"CREATE USER `m`@`h`":                                                                     true,
		"CREATE USER `m`@`h` REQUIRE SSL":                                                         true,
		"CREATE USER `m`@`h` IDENTIFIED BY PASSWORD '*94BDCE'":                                    false,
		"CREATE USER `m`@`h` IDENTIFIED VIA unix_socket":                                          false,
		"CREATE USER `m`@`h` IDENTIFIED VIA mysql_native_password":                                true,
		"CREATE USER `m`@`h` IDENTIFIED VIA mysql_native_password USING ''":                       true,
		"CREATE USER `m`@`h` IDENTIFIED VIA mysql_native_password USING 'invalid' OR unix_socket": false,
		"CREATE USER `m`@`h` IDENTIFIED VIA unix_socket OR mysql_native_password":                 true,
		"CREATE USER `m`@`h` IDENTIFIED WITH 'caching_sha2_password' AS '$A$005$x'":               false,
		"CREATE USER `m`@`h` IDENTIFIED WITH 'auth_socket'":                                       false,
	} {
		if got := emptyPassword(created); got != want {
			t.Errorf("%s: %v", created, got)
		}
	}
}

func TestLook(t *testing.T) {
	for text, want := range map[string]string{
		"shop.example.org/a?mail=jane.doe@corp.example&x=1": "e-mail shop.example.org/…mail=j***@c***",
		"shop.example.org/a?mail=jane.doe%40corp.example":   "e-mail shop.example.org/…mail=j***@c***",
		"https://x.example/jane@corp.example/":              "e-mail x.example/…j***@c***",
		"Welcome jane@corp.example":                         "e-mail …j***@c***",
		"jane@corp.example":                                 "e-mail j***@c***",
		"x.example/logo@2x.png":                             "",
		"x.example/?token=abcdefgh1234":                     "token x.example/…token=*** (12 characters)",
		"x.example/?token=short":                            "",
		"x.example/?u=1&Password=hunter22#a":                "password x.example/…Password=*** (8 characters)",
		"x.example/?compass=north1234":                      "",
		"x.example/?phone=%2B49 30 1234567":                 "phone x.example/…phone=*** (16 characters)",
		"x.example/?tel=123":                                "",
		"x.example/#eyJhbGciOiJI.eyJzdWIiOiIx.abcdefghij":   "token x.example/…*** (36 characters)",
		"x.example/?password=secret1&email=a@b.example":     "password x.example/…password=*** (7 characters)|e-mail x.example/…email=a***@b***",
		"plain.example.org/a?b=c":                           "",
		"x.example/a?jane.doe@corp.example=1":               "e-mail x.example/…j***@c***",
	} {
		var got []string
		for _, f := range look(text) {
			got = append(got, f.kind+" "+f.sample)
		}
		if strings.Join(got, "|") != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

// FuzzLook: a sample never holds the value that it tells of.
func FuzzLook(f *testing.F) {
	f.Add("shop.example.org/a?mail=jane.doe@corp.example&x=1")
	f.Add("x.example/?u=1&Password=hunter22#a")
	f.Add("?token=%zz%zz%zz%zz@a.bc")
	f.Add("eyJhbGciOiJI.eyJzdWIiOiIx.abcdefghij")
	f.Fuzz(func(t *testing.T, text string) {
		for _, found := range look(text) {
			if !strings.Contains(found.sample, "***") || len(found.sample) > 500 {
				t.Errorf("%q: sample %q", text, found.sample)
			}
			if strings.Contains(found.sample, "@") && !strings.Contains(found.sample, "***@") {
				t.Errorf("%q: sample %q", text, found.sample)
			}
		}
	})
}

func TestWidgets(t *testing.T) {
	got := widgetsOf(`[[{"parameters":{"module":"Live","action":"x"}},{"parameters":{"module":"Live"}}],"{\"module\":\"Insights\"}",{"module":"../x"}]`)
	if diff := cmp.Diff(map[string]bool{"Live": true, "Insights": true}, got); diff != "" {
		t.Error(diff)
	}
}

func TestMoment(t *testing.T) {
	for text, want := range map[string]time.Time{
		"2024-02-03 04:05:06": time.Date(2024, 2, 3, 4, 5, 6, 0, time.UTC), "1700000000": time.Unix(1700000000, 0).UTC(),
		"": {}, "0": {}, "-5": {}, "99999999999999999": {}, "soon": {}, "0000-00-00 00:00:00": {},
	} {
		if got := moment(text); !got.Equal(want) {
			t.Errorf("%q: %s", text, got)
		}
	}
}

func TestLoginOf(t *testing.T) {
	password := secret.New("Zk3#verysecret")
	for name, c := range map[string]struct {
		settings map[string]string
		want     Login
	}{
		"plain": {map[string]string{"username": "m", "host": "127.0.0.1", "port": "3306", "dbname": "d", "tables_prefix": "p_", "enable_ssl": "0", "ssl_ca": ""},
			Login{User: "m", Password: password, Host: "127.0.0.1", Port: 3306, Schema: "d", Prefix: "p_"}},
		"TLS": {map[string]string{"host": "db.example", "port": "3307", "enable_ssl": "1", "ssl_ca": "/ca.pem"},
			Login{Password: password, Host: "db.example", Port: 3307, TLS: true, CA: "/ca.pem"}},
		"TLS without a CA is none": {map[string]string{"host": "db.example", "enable_ssl": "1"},
			Login{Password: password, Host: "db.example", Port: 3306}},
		"a CA without TLS": {map[string]string{"host": "db.example", "enable_ssl": "0", "ssl_ca": "/ca.pem"},
			Login{Password: password, Host: "db.example", Port: 3306, CA: "/ca.pem"}},
		"socket":      {map[string]string{"unix_socket": "/run/x.sock"}, Login{Password: password, Port: 3306, Socket: "/run/x.sock"}},
		"path for it": {map[string]string{"host": "/run/x.sock"}, Login{Password: password, Host: "localhost", Port: 3306, Socket: "/run/x.sock"}},
	} {
		settings := map[string][]string{}
		for key, value := range c.settings {
			settings["database."+key] = []string{value}
		}
		if diff := cmp.Diff(c.want, LoginOf(facts.Context{Settings: settings}, password), cmp.AllowUnexported(secret.Secret{})); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestRemoteLogin(t *testing.T) {
	for _, c := range []struct {
		l    Login
		want bool
	}{
		{Login{}, false}, {Login{Host: "localhost"}, false}, {Login{Host: "127.0.0.1"}, false}, {Login{Host: "::1"}, false},
		{Login{Host: "db.example"}, true}, {Login{Host: "10.0.0.1"}, true}, {Login{Host: "db.example", Socket: "/run/x.sock"}, false},
	} {
		if got := c.l.Remote(); got != c.want {
			t.Errorf("%+v: %v", c.l, got)
		}
	}
}

// TestVerified: what a configuration names as a CA may be anything.
func TestVerified(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mkfifo(dir+"/pipe", 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/text", []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"/pipe": "not a regular file", "/none": "no such file", "/text": "holds no certificate", "": "not a regular file"} {
		if _, err := verified(Login{CA: dir + path, Host: "db.example"}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", path, err)
		}
	}
}

// redis answers each command with the text by its words.
func redis(t *testing.T, network, address string, answers map[string]string) string {
	t.Helper()
	listener, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go serve(conn, answers)
		}
	}()
	return listener.Addr().String()
}

func serve(conn net.Conn, answers map[string]string) {
	defer conn.Close()
	c := resp{conn, bufio.NewReader(conn)}
	for {
		words, err := c.answer(0)
		if err != nil {
			return
		}
		text, known := answers[strings.Join(words, " ")]
		if !known {
			text = "-ERR unknown\r\n"
		}
		io.WriteString(conn, text)
	}
}

func TestRedis(t *testing.T) {
	open := map[string]string{"PING": "+PONG\r\n", "CONFIG GET maxmemory-policy": "*2\r\n$16\r\nmaxmemory-policy\r\n$10\r\nnoeviction\r\n", "CONFIG GET protected-mode": "*2\r\n$14\r\nprotected-mode\r\n$3\r\nyes\r\n"}
	shut := map[string]string{"PING": "-NOAUTH Authentication required.\r\n", "AUTH right": "+OK\r\n", "INFO memory": "$53\r\n# Memory\r\nmaxmemory:0\r\nmaxmemory_policy:allkeys-lru\r\n\r\n"}
	socket := t.TempDir() + "/r.sock"
	redis(t, "unix", socket, open)
	locked := redis(t, "tcp", "127.0.0.1:0", shut)
	broken := redis(t, "tcp", "127.0.0.1:0", map[string]string{"PING": "HTTP/1.1 400\r\n"})
	for _, c := range []struct {
		address, password string
		want              facts.Redis
	}{
		{socket, "", facts.Redis{Policy: "noeviction", Protected: true}},
		{locked, "right", facts.Redis{Auth: true, Policy: "allkeys-lru"}},
		{locked, "wrong", facts.Redis{Auth: true, Problem: "it asks for a password that rocca does not hold"}},
		{broken, "", facts.Redis{Problem: "ask Redis: the answer is not Redis's"}},
		{"10.255.255.1:6379", "", facts.Redis{Problem: "it is not on this machine, and was not asked"}},
		{"redis.example:6379", "", facts.Redis{Problem: "it is not on this machine, and was not asked"}},
	} {
		c.want.Address = c.address
		got := Redis(context.Background(), map[string]secret.Secret{c.address: secret.New(c.password)})
		if diff := cmp.Diff([]facts.Redis{c.want}, got); diff != "" {
			t.Error(diff)
		}
	}
}

func TestQueueServers(t *testing.T) {
	rows := facts.Rows{Queue: &facts.Queue{Backend: "redis"}, Settings: map[string]string{"QueuedTracking.redisHost": "127.0.0.1, 10.0.0.2", "QueuedTracking.redisPort": "6380"}}
	got := QueueServers(rows)
	if len(got) != 2 {
		t.Errorf("%v", got)
	}
	for _, address := range []string{"127.0.0.1:6380", "10.0.0.2:6379"} {
		if _, there := got[address]; !there {
			t.Errorf("%s is missing in %v", address, got)
		}
	}
	if got := QueueServers(facts.Rows{Queue: &facts.Queue{Backend: "mysql"}}); len(got) > 0 {
		t.Errorf("of a queue in the database: %v", got)
	}
}

func FuzzRedisAnswer(f *testing.F) {
	f.Add([]byte("*2\r\n$3\r\nfoo\r\n:1\r\n"))
	f.Add([]byte("*1000\r\n*1000\r\n*1000\r\n"))
	f.Add([]byte("$999999999\r\n"))
	f.Add([]byte("$-1\r\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		values, err := resp{io.Discard, bufio.NewReader(strings.NewReader(string(text)))}.answer(0)
		total := 0
		for _, value := range values {
			total += len(value)
		}
		if err == nil && total > len(text) {
			t.Errorf("%q gives %d bytes", text, total)
		}
	})
}

// An older Matomo is asked again without what it does not have: what came of
// the first question until it failed is not told twice.
func TestOlderFormStartsAnew(t *testing.T) {
	s := &server{answers: []answer{
		{pattern: `invite_accept_at`, err: refuse(errNoColumn)},
		{pattern: `t\.secure_only`, err: refuse(errNoColumn)},
		{pattern: `superuser_access, twofactor_secret`, rows: [][]any{{"ann", "1", "1", "example.org", "2026-01-01 00:00:00", "bcrypt 10"}}},
		{pattern: `t\.login, t\.idusertokenauth`, rows: [][]any{{"ann", "1", "", "2026-01-01 00:00:00", nil, nil, "0", "1"}}},
	}}
	session, err := sql.OpenDB(s).Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	r := reader{ctx: t.Context(), session: session, o: Options{Schema: "matomo", Prefix: "m_"},
		tables: map[string]bool{"user": true, "user_token_auth": true}, rows: facts.Rows{Partial: map[string]string{}}}
	r.rows.Users = []facts.MatomoUser{{Login: "of the first question"}}
	r.rows.Tokens = []facts.Token{{Login: "of the first question"}}
	if err := errors.Join(r.readUsers(), r.readTokens()); err != nil {
		t.Fatal(err)
	}
	if len(r.rows.Users) != 1 || r.rows.Users[0].Login != "ann" || len(r.rows.Tokens) != 1 || r.rows.Tokens[0].Login != "ann" {
		t.Errorf("users %v, tokens %v", r.rows.Users, r.rows.Tokens)
	}
}
