package db

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rocca/internal/mariadb"
)

func TestNormalise(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		// As MariaDB 10.11 and 11.8 print them.
		{"GRANT USAGE ON *.* TO `matomo`@`localhost` IDENTIFIED VIA unix_socket", ""},
		{"GRANT USAGE ON *.* TO `m`@`%` IDENTIFIED BY PASSWORD '*94BDCEBE19083CE2A1F959FD02F964C7AF4CFC29' REQUIRE SSL", ""},
		{"GRANT ALL PRIVILEGES ON `matomo`.* TO `matomo-admin`@`localhost`", "ALL PRIVILEGES ON `matomo`.*"},
		{"GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, CREATE TEMPORARY TABLES ON `web\\_stats`.* TO `matomo`@`localhost`",
			"CREATE, CREATE TEMPORARY TABLES, DELETE, INSERT, SELECT, UPDATE ON `web\\_stats`.*"},
		{"GRANT SELECT, UPDATE (`ts_created`) ON `matomo`.`matomo_site` TO `matomo-tracker`@`localhost`", "SELECT, UPDATE (`ts_created`) ON `matomo`.`matomo_site`"},
		{"GRANT UPDATE (`b`, `a`), SELECT (`a`) ON `m`.`t` TO `u`@`h`", "SELECT (`a`), UPDATE (`b`, `a`) ON `m`.`t`"},
		{"GRANT SELECT ON `m`.`t` TO `u`@`h` WITH GRANT OPTION", "SELECT ON `m`.`t` WITH GRANT OPTION"},
		{"GRANT USAGE ON `m`.* TO `u`@`h` WITH GRANT OPTION", ""},
		{"GRANT SELECT ON *.* TO `u`@`h` IDENTIFIED BY PASSWORD '*94BDCEBE19083CE2A1F959FD02F964C7AF4CFC29' REQUIRE ISSUER '/CN=a ON b TO c'", "SELECT ON *.*"},
		{"GRANT SELECT ON `a TO b`.`c ON ``d` TO `x TO y`@`h`", "SELECT ON `a TO b`.`c ON ``d`"},
		// What is not known is shown as it is, so that it counts as drift.
		{"GRANT PROXY ON ''@'%' TO 'root'@'localhost' WITH GRANT OPTION", "PROXY ON ''@'%' WITH GRANT OPTION"},
		{"GRANT `reader` TO `matomo`@`localhost`", "GRANT `reader` TO `matomo`@`localhost`"},
		{"GRANT x TO `y` IDENTIFIED VIA mysql_native_password USING '*94BDCEBE19083CE2A1F959FD02F964C7AF4CFC29' OR unix_socket",
			"GRANT x TO `y` IDENTIFIED VIA mysql_native_password USING '[redacted]' OR unix_socket"},
		{"SET DEFAULT ROLE `reader` FOR `matomo`@`localhost`", "SET DEFAULT ROLE `reader` FOR `matomo`@`localhost`"},
	} {
		got, counts := Normalise(c.line)
		if got != c.want || counts != (c.want != "") {
			t.Errorf("%s\n got %q, %v\nwant %q", c.line, got, counts, c.want)
		}
	}
}

// TestNormaliseIsStable: what a grant becomes must be what the same grant,
// granted in that form, becomes; otherwise every run would find drift.
func TestNormaliseIsStable(t *testing.T) {
	for _, grant := range []string{
		"ALL PRIVILEGES ON " + mariadb.Pattern("web_stats") + ".*",
		"CREATE, CREATE TEMPORARY TABLES, DELETE, INSERT, SELECT, UPDATE ON " + mariadb.Pattern("matomo") + ".*",
		"SELECT, UPDATE (`last_used`) ON `matomo`.`matomo_user_token_auth`",
	} {
		got, _ := Normalise("GRANT " + grant + " TO " + mariadb.User("matomo@localhost"))
		if got != grant {
			t.Errorf("%s becomes %s", grant, got)
		}
	}
}

func FuzzNormalise(f *testing.F) {
	f.Add("GRANT SELECT, UPDATE (`a`, `b`) ON `m`.`t` TO `u`@`h` WITH GRANT OPTION")
	f.Add("GRANT USAGE ON *.* TO `u`@`h` IDENTIFIED BY PASSWORD '*94BDCEBE19083CE2A1F959FD02F964C7AF4CFC29'")
	f.Add("GRANT ) ON ( TO x")
	f.Add("GRANT 0 ON 0 TO IDENTIFIED BY PASSWORD '*9;;; TO \x9e")
	f.Fuzz(func(t *testing.T, line string) {
		grant, counts := Normalise(line)
		if counts == (grant == "") && line != "" {
			t.Errorf("%q: got %q, %v", line, grant, counts)
		}
		if strings.Contains(grant, "IDENTIFIED BY PASSWORD '*9") {
			t.Errorf("%q: the hash is in %q", line, grant)
		}
	})
}

func TestSplitPrivileges(t *testing.T) {
	for list, want := range map[string][]string{
		"SELECT":                         {"SELECT"},
		"SELECT, INSERT":                 {"SELECT", "INSERT"},
		"SELECT (`a`, `b`), UPDATE":      {"SELECT (`a`, `b`)", "UPDATE"},
		"SHOW VIEW,  CREATE ROUTINE":     {"SHOW VIEW", "CREATE ROUTINE"},
		"UPDATE (`a`), INSERT (`b`,`c`)": {"UPDATE (`a`)", "INSERT (`b`,`c`)"},
	} {
		if diff := cmp.Diff(want, splitPrivileges(list)); diff != "" {
			t.Errorf("%s: %s", list, diff)
		}
	}
}

func TestIdentifiedBy(t *testing.T) {
	for created, want := range map[string]string{
		// As MariaDB 10.11 and 11.8 print them.
		"CREATE USER `m`@`localhost` IDENTIFIED VIA unix_socket":                                                                            "unix_socket",
		"CREATE USER `m`@`localhost` IDENTIFIED VIA unix_socket OR mysql_native_password USING '*94BDCEBE19083CE2A1F959FD02F964C7AF4CFC29'": "unix_socket or mysql_native_password",
		"CREATE USER `m`@`localhost` IDENTIFIED VIA mysql_native_password USING 'invalid' OR unix_socket":                                   "mysql_native_password or unix_socket",
		"CREATE USER `m`@`h` IDENTIFIED VIA ed25519 USING 'it''s OR pam' OR pam USING 'x' OR unix_socket REQUIRE SSL":                       "ed25519 or pam or unix_socket",
		"CREATE USER `m`@`h` IDENTIFIED VIA unix_socket REQUIRE SSL WITH MAX_USER_CONNECTIONS 3":                                            "unix_socket",
		"CREATE USER `m`@`h` IDENTIFIED BY PASSWORD '*94BDCEBE19083CE2A1F959FD02F964C7AF4CFC29'":                                            "password",
		"CREATE USER `m`@`h`": "password",
		// As MySQL 8 does.
		"CREATE USER `m`@`h` IDENTIFIED WITH 'caching_sha2_password' AS '$A$005$x' REQUIRE SSL PASSWORD EXPIRE DEFAULT ACCOUNT UNLOCK": "caching_sha2_password",
	} {
		if got := identifiedBy(created); got != want {
			t.Errorf("%s: %q, want %q", created, got, want)
		}
	}
}

func TestStoredSchemas(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"mysql", "sys", "performance_schema", "#rocksdb", "lost+found", "shop"} {
		if err := os.Mkdir(dir+"/"+name, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name, err := range map[string]error{"file": os.WriteFile(dir+"/ibdata1", nil, 0o600), "link": os.Symlink("/srv/wiki", dir+"/wiki")} {
		if err != nil {
			t.Fatal(name, err)
		}
	}
	got, err := storedSchemas(dir)
	if diff := cmp.Diff([]string{"shop", "wiki"}, got); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	if got, err := storedSchemas(dir + "/none"); len(got) > 0 || err != nil {
		t.Errorf("of nothing: %q, %v", got, err)
	}
}

func TestForeignTables(t *testing.T) {
	for _, c := range []struct {
		tables []string
		prefix string
		want   int
	}{
		{nil, "m_", 0},
		{[]string{"m_log_visit", "m_user"}, "m_", 0},
		{[]string{"m_user", "orders"}, "m_", 1},
		{[]string{"m_log_visit", "m_user"}, "other_", 2},
		{[]string{"orders", "customers"}, "", 2},
		{[]string{"user", "site"}, "", 0},
	} {
		if got := foreignTables(c.tables, c.prefix); got != c.want {
			t.Errorf("%q with prefix %q: %d, want %d", c.tables, c.prefix, got, c.want)
		}
	}
}

func TestData(t *testing.T) {
	if (Data{}).Any() || (Data{}).String() != "" {
		t.Error("nothing is taken for something")
	}
	d := Data{Visits: 3, Other: 1}
	if got := d.String(); !d.Any() || got != "3 visits, 1 goals, segments, reports or dashboards" {
		t.Errorf("got %q", got)
	}
	if !(Data{Sites: 1}).Any() || !(Data{Tables: 1}).Any() || !(Data{Users: 1}).Any() || !(Data{Other: 1}).Any() {
		t.Error("every kind of data counts")
	}
}
