package front

import (
	"net/netip"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestProbesAreDecidedByTheRules(t *testing.T) {
	for _, probe := range Probes() {
		target, _, _ := strings.Cut(probe.Path, "?")
		rule, decoded, ok := Decide(target)
		got := Refused
		switch {
		case ok && rule.Pool != "":
			got = Executes
		case ok:
			got = Static
		}
		// The name of a static file below a script's: no such file can be.
		if got == Static && probe.Want == Refused && strings.Contains(decoded, ".php") {
			continue
		}
		if got != probe.Want {
			t.Errorf("%s: %s by rule %q, want %s", probe.Path, got, rule.Name, probe.Want)
		}
	}
}

func TestProbesCover(t *testing.T) {
	seen := map[string]bool{}
	for _, probe := range Probes() {
		if seen[probe.Path] {
			t.Errorf("%s is there twice", probe.Path)
		}
		seen[probe.Path] = true
	}
	for _, rule := range Rules() {
		if rule.Uploaded || rule.Stem != "" {
			continue // nothing of it is in a release
		}
		if !slices.ContainsFunc(Probes(), func(p Probe) bool {
			target, _, _ := strings.Cut(p.Path, "?")
			decided, _, ok := Decide(target)
			return ok && decided.Name == rule.Name && p.Want != Refused
		}) {
			t.Errorf("no probe wants something of rule %q", rule.Name)
		}
	}
}

func TestProbeCheck(t *testing.T) {
	for _, tc := range []struct {
		want      Want
		path      string
		status    int
		mediaType string
		body      string
		ok        bool
	}{
		{Refused, "/config/config.ini.php", 404, "text/html", "not found", true},
		{Refused, "/config/config.ini.php", 200, "text/html", "; ", false},
		{Refused, "/config/config.ini.php", 404, "text/html", "[database]", false},
		{Refused, "/shell.php", 403, "text/html", executeMark, false},
		{Refused, "/.env", 500, "text/html", "", false},
		{Executes, "/index.php", 200, "text/html", "Matomo", true},
		{Executes, "/index.php", 200, "text/plain", "<?php", false},
		{Executes, "/index.php", 404, "text/html", "nothing here", false},
		{Executes, "/matomo.php", 502, "text/html", "", false},
		{Executes, "/matomo.php", 204, "", "", true},
		{Static, "/matomo.js", 200, "text/javascript", "x", true},
		{Static, "/matomo.js", 200, "text/html", "x", false},
		{Static, "/matomo.js", 404, "text/javascript", "x", false},
	} {
		if err := (Probe{Path: tc.path, Want: tc.want}).Check(tc.status, tc.mediaType, tc.body); (err == nil) != tc.ok {
			t.Errorf("%s %s answered %d %q: %v, want ok %v", tc.want, tc.path, tc.status, tc.body, err, tc.ok)
		}
	}
	if strings.Contains(PlantedContent, executeMark) {
		t.Error("the source of a planted file looks like its execution")
	}
}

// A rule that overlaps a later one must send the same headers: Apache adds up
// what the sections of a path set.
func TestRulesAreSafe(t *testing.T) {
	rules := Rules()
	for i, rule := range rules {
		if (len(rule.Paths) == 0) == (rule.Dir == "") {
			t.Errorf("%s: has paths and a directory, or neither", rule.Name)
		}
		for _, header := range everywhere {
			if !slices.Contains(rule.Headers, header) {
				t.Errorf("%s: does not send %s", rule.Name, header.Name)
			}
		}
		if !slices.ContainsFunc(rule.Headers, func(h Header) bool { return h.Name == "Cache-Control" }) {
			t.Errorf("%s: leaves caching open", rule.Name)
		}
		for _, earlier := range rules[:i] {
			overlaps := rule.Dir != "" && rule.Dir == earlier.Dir || slices.ContainsFunc(earlier.Paths, regexp.MustCompile(rule.Pattern()).MatchString)
			if overlaps && !slices.Equal(names(rule.Headers), names(earlier.Headers)) {
				t.Errorf("%s: other headers than %s", rule.Name, earlier.Name)
			}
		}
		for extension := range rule.Types {
			if strings.HasPrefix(extension, "ph") || extension == "html" || extension == "htm" || extension == "xml" {
				t.Errorf("%s: serves .%s", rule.Name, extension)
			}
		}
	}
}

func names(headers []Header) []string {
	var names []string
	for _, header := range headers {
		names = append(names, header.Name)
	}
	return names
}

// The gap of Matomo's own nginx rules: a location with one header of its own
// drops all others.
func TestNginxLocationsRepeatHeaders(t *testing.T) {
	for _, site := range []Site{plainSite, restrictedSite} {
		files, err := Nginx(site, Platform{Debian: 13})
		if err != nil {
			t.Fatal(err)
		}
		blocks := strings.Split(string(files[0].Content), "\n    location ")[1:]
		if len(blocks) < len(Rules()) {
			t.Fatalf("%d locations for %d rules", len(blocks), len(Rules()))
		}
		for _, block := range blocks {
			block, _, _ = strings.Cut(block, "\n    }")
			for _, header := range everywhere {
				if strings.Count(block, "add_header "+header.Name+" ") != 1 {
					t.Errorf("location %s: %s is not set once", strings.SplitN(block, "\n", 2)[0], header.Name)
				}
			}
		}
	}
}

func TestValidate(t *testing.T) {
	if err := plainSite.Validate(); err != nil {
		t.Error(err)
	}
	if err := restrictedSite.Validate(); err != nil {
		t.Error(err)
	}
	evil := []string{"", " ", "a b", "a;b", "a}b", "a{b", `a"b`, "a'b", "a$b", "a#b", "a\nb", "a\\b", "a\x00b", "é", "<a>", "%{a}", "a|b", "../a", "*"}
	for field, set := range map[string]func(*Site, string){
		"ServerNames":      func(s *Site, v string) { s.ServerNames = []string{"a.example", v} },
		"Docroot":          func(s *Site, v string) { s.Docroot = "/x/" + v },
		"UISocket":         func(s *Site, v string) { s.UISocket = "/x/" + v },
		"TrackerSocket":    func(s *Site, v string) { s.TrackerSocket = "/x/" + v },
		"Certificate":      func(s *Site, v string) { s.Certificate = "/x/" + v },
		"Key":              func(s *Site, v string) { s.Key = "/x/" + v },
		"UserDir":          func(s *Site, v string) { s.UserDir = "/x/" + v },
		"PrecompressedDir": func(s *Site, v string) { s.PrecompressedDir = "/x/" + v },
		"App.Name":         func(s *Site, v string) { s.Apps = []App{{v, "b.example", "/a", "/b"}} },
		"App.Domain":       func(s *Site, v string) { s.Apps = []App{{"a", v, "/a", "/b"}} },
		"App.Docroot":      func(s *Site, v string) { s.Apps = []App{{"a", "b.example", "/x/" + v, "/b"}} },
		"App.Socket":       func(s *Site, v string) { s.Apps = []App{{"a", "b.example", "/a", "/x/" + v}} },
	} {
		for _, value := range evil {
			site := plainSite
			set(&site, value)
			err := site.Validate()
			if err == nil || !strings.Contains(err.Error(), field) {
				t.Errorf("%s %q: %v, want an error that names the field", field, value, err)
			}
			if _, err := Nginx(site, Platform{Debian: 12}); err == nil {
				t.Errorf("%s %q: rendered for nginx", field, value)
			}
			if _, err := Apache(site, Platform{Debian: 12}); err == nil {
				t.Errorf("%s %q: rendered for Apache", field, value)
			}
		}
	}
	for _, name := range []string{"A.example", "-a.example", "a..example", "a.example.", "_", "fe80::1%eth0", strings.Repeat("a.", 130) + "a", "*.example"} {
		if err := (Site{ServerNames: []string{name}}).Validate(); !strings.Contains(err.Error(), "ServerNames") {
			t.Errorf("server name %q was taken", name)
		}
	}
	site := plainSite
	site.AdminNetworks = []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24")}
	if err := site.Validate(); err == nil {
		t.Error("an address with host bits was taken for a network")
	}
	if _, err := Nginx(plainSite, Platform{Debian: 11}); err == nil {
		t.Error("rendered for Debian 11")
	}
}

// The queries use PCRE's look-ahead, which Go's regexp has not; Perl does.
func TestQueries(t *testing.T) {
	if _, err := exec.LookPath("perl"); err != nil {
		t.Skip("no perl")
	}
	for _, tc := range []struct {
		query                 string
		optOut, api, ordinary bool
	}{
		{"module=CoreAdminHome&action=optOut", true, false, true},
		{"module=CoreAdminHome&action=optOutJS&divId=a&language=auto&showIntro=1", true, false, true},
		{"action=optOut&language=de&module=CoreAdminHome", true, false, true},
		{"module=CoreAdminHome&action=optOut&backgroundColor=&fontFamily=%22Arial%22", true, false, true},
		{"module=CoreAdminHome&action=optOut&", true, false, false},
		{"module=CoreAdminHome&action=optOut&module=Login", false, false, false},
		{"module=Login&module=CoreAdminHome&action=optOut", false, false, false},
		{"module=CoreAdminHome&action=optOut&action=index", false, false, true},
		{"module=CoreAdminHome&action=optOut&%6dodule=Login", false, false, false},
		{"module=CoreAdminHome&action=optOut&+module=Login", false, false, false},
		{"module=CoreAdminHome&action=optOut&module[]=Login", false, false, false},
		{"module=CoreAdminHome&action=optOut&module%5B%5D=Login", false, false, false},
		{"module=CoreAdminHome&action=optOut&module", false, false, false},
		{"module=CoreAdminHome&action=optOut&action", false, false, false},
		{"module=CoreAdminHome&action=optOutX", false, false, true},
		{"module=CoreAdminHome&action=optOut%00", false, false, false},
		{"module=CoreAdminHome", false, false, true},
		{"action=optOut", false, false, false},
		{"a=module=CoreAdminHome&action=optOut", false, false, false},
		{"module=API&method=API.get&format=json&idSite=1&urls[0]=a%3Db", false, true, true},
		{"idSite=1&period=day&date=today&module=CoreHome&action=index&x%5Ba%5D=1", false, false, true},
		{"module=Login", false, false, false},
		{"module=Login&action=logme&login=a&password=b", false, false, false},
		{"module=LoginLdap", false, false, false},
		{"module=%4cogin", false, false, false},
		{"module=TwoFactorAuth", false, false, false},
		{"module=CoreHome&module=Login", false, false, false},
		{"module=API&module=Login", false, false, false},
		{"", false, false, false},
	} {
		for name, match := range map[string]struct {
			pattern string
			want    bool
		}{"opt-out": {"^" + optOutQuery, tc.optOut}, "API": {apiQuery, tc.api}, "ordinary": {ordinaryQuery, tc.ordinary}} {
			got := exec.Command("perl", "-e", "exit($ARGV[1] =~ /$ARGV[0]/ ? 0 : 1)", match.pattern, tc.query).Run() == nil
			if got != match.want {
				t.Errorf("%q as %s query: %v, want %v", tc.query, name, got, match.want)
			}
		}
	}
}

func FuzzDecide(f *testing.F) {
	for _, probe := range Probes() {
		f.Add(probe.Path)
	}
	allowed := regexp.MustCompile(`^(?:/|/js/|/(?:index|matomo|piwik|js/index)\.php|/[^.].*\.(?:js|css|txt|ico|json|gif|jpe?g|png|svg|webp|eot|ttf|woff2?))$`)
	f.Fuzz(func(t *testing.T, target string) {
		rule, decoded, ok := Decide(target)
		if !ok {
			return
		}
		if !allowed.MatchString(strings.ReplaceAll(decoded, "\n", "x")) || strings.Contains(decoded, "/.") || strings.Contains(decoded, "//") {
			t.Errorf("%q is let through as %q by %q", target, decoded, rule.Name)
		}
		if rule.Pool != "" && !slices.Contains(rule.Paths, decoded) {
			t.Errorf("%q runs a script as %q", target, decoded)
		}
	})
}
