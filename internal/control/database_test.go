package control

import (
	"slices"
	"strings"
	"testing"

	"rocca/internal/facts"
	"rocca/internal/model"
	"rocca/internal/reach"
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

func TestWideHost(t *testing.T) {
	shared := &View{Server: facts.Server{Declared: facts.Declared{Machines: "10.20.0.0/255.255.0.0"}}}
	for host, want := range map[string][2]bool{ // with nothing declared, and with the network
		"localhost": {false, false}, "10.20.0.9": {false, false}, "%": {true, true}, "10.20.%": {true, true}, "": {true, true},
		"10.20.0.0/255.255.0.0": {true, false}, "10.0.0.0/255.0.0.0": {true, true},
	} {
		if got := [2]bool{wideHost(&View{}, host), wideHost(shared, host)}; got != want {
			t.Errorf("%q: got %v, want %v", host, got, want)
		}
	}
}

// TestProxiesAsDeclared: a header is believed from those who were named.
func TestProxiesAsDeclared(t *testing.T) {
	for _, c := range []struct {
		proxies []string
		want    bool
	}{{nil, false}, {[]string{"10.20.0.0/16", "2001:db8::/32"}, false}, {[]string{"10.20.0.0/16", "127.0.0.0/8"}, true}, {[]string{"127.0.0.1/32"}, true}} {
		if got := asksAsProxy(&View{Server: facts.Server{Declared: facts.Declared{Proxies: c.proxies}}}); got != c.want {
			t.Errorf("%q: got %v", c.proxies, got)
		}
	}
}

// TestRolesElsewhere: what another machine does is no finding of this one.
func TestRolesElsewhere(t *testing.T) {
	for role, controls := range map[string][]Control{"ui": {iso011, frt011, prv010}, "tracker": {iso011}} {
		for _, c := range controls {
			others := slices.DeleteFunc([]string{"tracker", "ui", "worker"}, func(r string) bool { return r == role })
			with := c.Eval(&View{Reach: &reach.Graph{}, Server: facts.Server{Declared: facts.Declared{Roles: append(others, role)}}})
			without := c.Eval(&View{Reach: &reach.Graph{}, Server: facts.Server{Declared: facts.Declared{Roles: others}}})
			if without.Status != model.NA || with.Status == model.NA {
				t.Errorf("%s: with the role %s %s, without it %s", c.ID, role, with.Status, without.Status)
			}
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
