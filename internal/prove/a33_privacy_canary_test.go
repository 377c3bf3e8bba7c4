package prove

import (
	"net/netip"
	"strings"
	"testing"
)

func TestSearchOf(t *testing.T) {
	marks := []mark{
		{what: "address", text: "127.66.1.2", bytes: netip.MustParseAddr("127.66.1.2").AsSlice()},
		{what: "guesser", text: "127.66.3.4", except: "brute_force_log"},
	}
	for _, test := range []struct {
		column column
		want   string
	}{
		{column{table: "m_log_visit", name: "location_ip", kind: "varbinary"},
			"COALESCE(SUM((LOCATE(X'3132372e36362e312e32', `location_ip`) > 0 OR `location_ip` = X'7f420102')), 0), COALESCE(SUM(LOCATE(X'3132372e36362e332e34', `location_ip`) > 0), 0)"},
		{column{table: "m_log_action", name: "name", kind: "varchar"},
			"COALESCE(SUM(LOCATE('127.66.1.2', `name`) > 0), 0), COALESCE(SUM(LOCATE('127.66.3.4', `name`) > 0), 0)"},
		{column{table: "m_brute_force_log", name: "ip_address", kind: "varchar"}, "COALESCE(SUM(LOCATE('127.66.1.2', `ip_address`) > 0), 0)"},
	} {
		got, searched := searchOf([]column{test.column}, marks, "m_")
		if got != test.want || len(searched) != strings.Count(got, "COALESCE") {
			t.Errorf("%s.%s: %d searches:\n%s\nwant\n%s", test.column.table, test.column.name, len(searched), got, test.want)
		}
	}
}

func TestColumnsThatAreSearched(t *testing.T) {
	for kind, want := range map[string]bool{
		"varchar": true, "char": true, "text": true, "longtext": true, "mediumtext": true, "json": true,
		"varbinary": true, "binary": true, "mediumblob": true, "blob": true, "inet6": true,
		"int": false, "bigint": false, "datetime": false, "decimal": false, "double": false, "time": false,
	} {
		if got := holdsText(kind) || holdsBytes(kind); got != want {
			t.Errorf("%s: %v", kind, got)
		}
	}
}

// TestVisitIsFoundAndForgotten: each marked value begins with the site's name,
// by which what visits left is deleted.
func TestVisitIsFoundAndForgotten(t *testing.T) {
	v := openPrivateVisit(canarySite{Name: "rocca-prove-abc", From: canaryAddress()})
	addresses := 0
	for _, m := range v.marks() {
		if _, err := netip.ParseAddr(m.text); err == nil {
			addresses++
		} else if !strings.HasPrefix(m.text, "rocca-prove-abc-") {
			t.Errorf("%s is %q", m.what, m.text)
		}
	}
	if addresses != 3 || !v.site.From.IsLoopback() || !netip.MustParsePrefix("2001:db8::/32").Contains(v.ipv6) {
		t.Errorf("%d addresses, from %s and %s", addresses, v.site.From, v.ipv6)
	}
}
