package control

import (
	"slices"
	"strings"
	"testing"
)

func TestParseGrant(t *testing.T) {
	for text, want := range map[string]struct {
		privileges    []string
		schema, table string
		option        bool
		other         string
	}{
		"SELECT ON `matomo`.*":                               {[]string{"SELECT"}, "matomo", "*", false, ""},
		"ALL PRIVILEGES ON *.* WITH GRANT OPTION":            {[]string{"ALL PRIVILEGES"}, "*", "*", true, ""},
		"SELECT (`a`, `b`), UPDATE (`c`) ON `m`.`t`":         {[]string{"SELECT", "UPDATE"}, "m", "t", false, ""},
		"CREATE TEMPORARY TABLES, SELECT ON `web\\_stats`.*": {[]string{"CREATE TEMPORARY TABLES", "SELECT"}, `web\_stats`, "*", false, ""},
		"SELECT ON `a ON b`.`c``d.e`":                        {[]string{"SELECT"}, "a ON b", "c`d.e", false, ""},
		"EXECUTE ON PROCEDURE `m`.`p`":                       {[]string{"EXECUTE"}, "m", "p", false, ""},
		"PROXY ON ''@'%' WITH GRANT OPTION":                  {nil, "", "", true, "PROXY ON ''@'%'"},
		"GRANT `everything` TO `matomo`@`localhost`":         {nil, "", "", false, "GRANT `everything` TO `matomo`@`localhost`"},
		"SELECT": {nil, "", "", false, "SELECT"},
	} {
		g := parseGrant(text)
		if !slices.Equal(g.privileges, want.privileges) || g.schema != want.schema || g.table != want.table || g.option != want.option || g.other != want.other {
			t.Errorf("%s: got %+v, want %+v", text, g, want)
		}
	}
}

func TestGrantCovers(t *testing.T) {
	for _, c := range []struct {
		grant, schema string
		want          bool
	}{
		{"SELECT ON `matomo`.*", "matomo", true},
		{"SELECT ON `mat%`.*", "matomo", true},
		{"SELECT ON `web_stats`.*", "webxstats", true},
		{"SELECT ON `web\\_stats`.*", "webxstats", false},
		{"SELECT ON `web\\_stats`.*", "web_stats", true},
		{"SELECT ON `web_stats`.`t`", "webxstats", false}, // a table's schema is no pattern
		{"SELECT ON *.*", "matomo", true},
		{"SELECT ON `a.c`.*", "abc", false},
		{"PROXY ON ''@'%'", "matomo", false},
	} {
		if got := parseGrant(c.grant).covers(c.schema); got != c.want {
			t.Errorf("%s on %s: got %v", c.grant, c.schema, got)
		}
	}
}

// A grant that gives something must never be read as nothing.
func FuzzParseGrant(f *testing.F) {
	f.Add("SELECT, UPDATE (`a`) ON `m`.`t` WITH GRANT OPTION")
	f.Add("PROXY ON ''@'%'")
	f.Add("A(,) ON `` ON `%`.*")
	f.Fuzz(func(t *testing.T, text string) {
		g := parseGrant(text)
		if strings.TrimSpace(text) != "" && text != " WITH GRANT OPTION" && g.other == "" && len(g.privileges) == 0 {
			t.Errorf("%q gives nothing", text)
		}
		g.covers("matomo")
	})
}
