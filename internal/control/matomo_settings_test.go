package control

import (
	"slices"
	"testing"
	"time"

	"rocca/internal/facts"
)

func TestOlder(t *testing.T) {
	for _, test := range []struct {
		version, than string
		want          bool
	}{
		{"5.3.0", "5.14.1", true}, {"5.14.1", "5.14.1", false}, {"5.14.1", "5.3.0", false}, {"4.16.1", "5.0.0", true},
		{"5.4", "5.4.0", false}, {"5.4.0-b2", "5.4.0", true}, {"5.4.0", "5.4.0-rc1", false}, {"6.0.0-b1", "5.14.1", false}, {"", "5.4.0", true},
	} {
		if got := older(test.version, test.than); got != test.want {
			t.Errorf("older(%q, %q) = %t", test.version, test.than, got)
		}
	}
}

func TestStrayHost(t *testing.T) {
	for _, test := range []struct {
		host     string
		declared []string
		stray    bool
	}{
		{"stats.example.org", nil, false}, {"stats.example.org:8443", nil, false}, {"203.0.113.7", nil, true}, {"203.0.113.7:8443", nil, true},
		{"[2001:db8::1]:443", nil, true}, {"2001:db8::1", nil, true}, {"*.example.org", nil, true}, {".example.org", nil, true}, {"org", nil, true},
		{"127.0.0.1:8443", []string{"127.0.0.1"}, false}, {"localhost", []string{"localhost"}, false}, {"old.example.org", []string{"stats.example.org"}, true},
	} {
		if why := strayHost(test.host, test.declared); (why != "") != test.stray {
			t.Errorf("strayHost(%q, %v) = %q", test.host, test.declared, why)
		}
	}
}

func TestKept(t *testing.T) {
	for _, test := range []struct {
		parameters, patterns, want []string
	}{
		{[]string{"token", "mail"}, []string{"gclid", " Token "}, []string{"mail"}},
		{[]string{"access_token", "id"}, []string{"/token$/"}, []string{"id"}},
		{[]string{"PASSWORD"}, []string{"/^pass/i"}, nil},
		{[]string{"token"}, []string{"/", "//", "/(/", "toke"}, []string{"token"}},
	} {
		if got := kept(test.parameters, test.patterns); !slices.Equal(got, test.want) {
			t.Errorf("kept(%q, %q) = %q, want %q", test.parameters, test.patterns, got, test.want)
		}
	}
}

func TestWideRange(t *testing.T) {
	for network, want := range map[string]bool{
		"0.0.0.0/0": true, "::/0": true, "10.0.0.0/8": true, "10.*.*.*": true, "*": true, "2001:db8::/31": true,
		"192.0.2.0/24": false, "192.0.2.*": false, "10.1.*.*": false, "192.0.2.1": false, "2001:db8::/48": false, "office.example.org": false,
	} {
		if got := wideRange(network); got != want {
			t.Errorf("wideRange(%q) = %t", network, got)
		}
	}
}

func TestPeriod(t *testing.T) {
	for when, want := range map[string]time.Duration{
		"5 * * * *": time.Hour, "*/15 * * * *": time.Hour, "@hourly": time.Hour, "0 */6 * * *": time.Hour, "hourly": time.Hour,
		"30 3 * * *": 24 * time.Hour, "@daily": 24 * time.Hour, "daily": 24 * time.Hour, "0 4 * * 0": 7 * 24 * time.Hour,
	} {
		if got := period(when); got != want {
			t.Errorf("period(%q) = %s, want %s", when, got, want)
		}
	}
}

// What is printed for an administrator to type must be one word for each value,
// whatever the server's files say.
func TestChangesAreOneCommandForEachSetting(t *testing.T) {
	view := &View{Server: facts.Server{Matomo: facts.Matomo{Root: "/srv/a b/$(id)", Contexts: []facts.Context{
		{Name: "ui", User: "www-data", Config: "/srv/c", Settings: map[string][]string{"General.enable_installer": {"1"}}},
		{Name: "tracker", User: "t", Config: "/srv/it's", Settings: map[string][]string{"General.enable_installer": {"1"}}},
	}}}}
	want := []Change{
		{Sentence: "set [General] enable_installer = 0 in /srv/c", Command: `sudo -u www-data php '/srv/a b/$(id)/console' config:set --section=General --key=enable_installer --value=0`},
		{Sentence: "set [General] enable_installer = 0 in /srv/it's", Command: `sudoedit '/srv/it'\''s'`},
	}
	if got := app002Settings.changes(view); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
