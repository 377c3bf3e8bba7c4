package control

import (
	"testing"

	"rocca/internal/facts"
)

// A location that rocca cannot read may be the one that runs PHP, and must not
// count as one that denies: both readers of nginxLocation fail closed by it.
func TestLocationThatNginxPicks(t *testing.T) {
	for _, test := range []struct {
		matches []string
		path    string
		want    string // Match of the location; empty: none
		certain bool
	}{
		{[]string{"/", "/misc/", "/misc/user/"}, "/misc/user/x.php", "/misc/user/", true},
		{[]string{"/", `~ \.php$`, "= /index.php"}, "/index.php", "= /index.php", true},
		{[]string{`~ \.php$`, "~ ^/misc/", "/misc/"}, "/misc/x.php", `~ \.php$`, true},
		{[]string{`~ \.php$`, "^~ /misc/"}, "/misc/x.php", "^~ /misc/", true},
		{[]string{`~ \.php$`, "/"}, "/x.PHP", "/", true},
		{[]string{`~* \.php$`, "/"}, "/x.PHP", `~* \.php$`, true},
		{[]string{`~ "\.php$"`, `"/"`}, "/x.php", `~ "\.php$"`, true},
		{[]string{`~\.php$`, "^~/misc/"}, "/x.php", `~\.php$`, true},
		{[]string{`~\.php$`, "^~/misc/"}, "/misc/x.php", "^~/misc/", true},
		{[]string{`~ (?<!x)\.php$`, `~ \.php$`}, "/x.php", `~ (?<!x)\.php$`, false},
		{[]string{`~ \.php$`, `~ (?<!x)\.php$`}, "/x.php", `~ \.php$`, true},
		{[]string{`~ (?<!x)\.php$`, "^~ /misc/"}, "/misc/x.php", "^~ /misc/", true},
		{[]string{"@fallback", "= /other"}, "/x.php", "", false},
	} {
		site := facts.Site{Locations: []facts.Location{{Kind: "if", Match: "/"}}}
		for _, match := range test.matches {
			site.Locations = append(site.Locations, facts.Location{Kind: "location", Match: match})
		}
		chosen, certain := nginxLocation(site, test.path)
		if chosen.Match != test.want || certain != test.certain {
			t.Errorf("%q of %q: got %q (certain: %t), want %q (%t)", test.path, test.matches, chosen.Match, certain, test.want, test.certain)
		}
	}
}
