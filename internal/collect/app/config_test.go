package app

import (
	"maps"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rocca/internal/matomo/ini"
)

const guard = "; <?php exit; ?> DO NOT REMOVE THIS LINE\n"

func TestMergeIsMatomos(t *testing.T) {
	global := parseConfig("g", []byte("[General]\nforce_ssl = 0 ; a comment\nhosts[] = a\nonly = 1\n[Plugins]\nPlugins[] = X\nPlugins[] = Y\n"))
	common := parseConfig("c", []byte("[General]\nhosts[] = b\n[New]\nkey = \"v\"\n"))
	local := parseConfig("l", []byte(guard+"[General]\nforce_ssl = 1\nsalt = \"s&#36;alt\"\n[Plugins]\nPlugins[] = \"Z\"\n"))
	want := map[string][]string{
		"General.force_ssl": {"1"}, "General.hosts": {"a", "b"}, "General.only": {"1"}, "General.salt": {"s$alt"},
		"Plugins.Plugins": {"Z"}, "New.key": {"v"},
	}
	if diff := cmp.Diff(want, merge(global, common, local)); diff != "" {
		t.Error(diff)
	}
	local = parseConfig("l", []byte("[General]\nhosts[] = \"c\"\n"))
	if diff := cmp.Diff([]string{"c"}, merge(global, common, local)["General.hosts"]); diff != "" {
		t.Errorf("config.ini.php replaces a list: %s", diff)
	}
}

func TestLinesAndGuard(t *testing.T) {
	c := parseConfig("/x/config.ini.php", []byte(guard+"\n[database]\nhost = \"h\"\n; password = no\n[General]\ntrusted_hosts[] = \"a\"\ntrusted_hosts[] = \"b\"\n"))
	if diff := cmp.Diff(map[string]int{"database.host": 4, "General.trusted_hosts": 7}, c.lines); diff != "" {
		t.Error(diff)
	}
	if !c.guarded || c.problem != "" {
		t.Errorf("guarded %v, problem %q", c.guarded, c.problem)
	}
	if parseConfig("x", []byte("\n"+guard)).guarded {
		t.Error("a guard in the second line guards nothing")
	}
}

// TestHandEdited: what PHP would read and rocca's strict reader does not is
// read line by line, and told with file and line.
func TestHandEdited(t *testing.T) {
	c := parseConfig("/x/config.ini.php", []byte(guard+"[database]\nhost = 'db' \npassword = ${SECRET}\n[General]\nforce_ssl = 1 ; yes\ntrusted_hosts[] = a\ntrusted_hosts[] = \"b\" ; two\n"))
	if !strings.HasPrefix(c.problem, "/x/config.ini.php: line 4: key password: ") {
		t.Errorf("problem %q", c.problem)
	}
	want := map[string][]string{"database.host": {"db"}, "database.password": {"${SECRET}"}, "General.force_ssl": {"1"}, "General.trusted_hosts": {"a", "b"}}
	if diff := cmp.Diff(want, c.values); diff != "" {
		t.Error(diff)
	}
	if strings.Contains(c.problem, "SECRET}") {
		t.Errorf("the value is in the problem: %s", c.problem)
	}
}

func TestIsSecret(t *testing.T) {
	for key, want := range map[string]bool{
		"database.password": true, "General.salt": true, "mail.password": true, "RedisCache.password": true, "proxy.password": true,
		"LoginLdap.admin_pass": true, "X.api_key": true, "AIProviders.openAiApiKey": true, "X.token_auth": true, "Marketplace.license": true, "X.clientSecret": true,
		"database.ssl_key": false, "General.enable_framed_allow_write_admin_token_auth": false, "General.only_allow_secure_auth_tokens": false,
		"General.login_password_recovery_replyto_email_address": false, "General.password_hash_algorithm": false, "General.default_invite_user_token_expiry_days": false,
	} {
		if isSecret(key) != want {
			t.Errorf("%s: %v", key, !want)
		}
	}
}

func TestSplitTellsNoSecret(t *testing.T) {
	told, strengths, secrets := split(map[string][]string{
		"database.password": {"hunter22hunter22"}, "database.username": {"matomo"}, "mail.password": {""}, "database_tests.password": {"x"},
		"proxy.host":  {"https://user:s3cret@proxy.example/"},
		"X.geoip_url": {"https://example.org/db?edition=1&license_key=abc123&x=1"},
	})
	if diff := cmp.Diff(map[string][]string{
		"database.username": {"matomo"}, "proxy.host": {"https://user:[redacted]@proxy.example/"}, "X.geoip_url": {"https://example.org/db?edition=1&license_key=[redacted]&x=1"},
	}, told); diff != "" {
		t.Error(diff)
	}
	if s := strengths["database.password"]; s.Length != 16 || s.Bits >= 90 {
		t.Errorf("strength %+v", s)
	}
	if s, known := strengths["mail.password"]; !known || s.Length != 0 || len(secrets) != 1 {
		t.Errorf("an empty password is %+v, %v; %d secrets", s, known, len(secrets))
	}
}

func TestStrength(t *testing.T) {
	for _, c := range []struct {
		value    string
		min, max float64
	}{
		{"", 0, 0},
		{"a", 0, 5},
		{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 0, 8},
		{"abababababababababababababababab", 0, 60},
		{"password", 0, 5},
		{"Matomo2025!", 0, 25},
		{"changeme123456", 0, 30},
		{"k7Qe9vXz2mWp4RtYh6NbUj8cLs3DfGa5", 185, 200}, // 32 of 62
		{"0123456789abcdef0011223344556677", 100, 128}, // hexadecimal
		{"d41d8cd98f00b204e9800998ecf8427e", 128, 128}, // hexadecimal with pairs, as half of all have
		{"pässwörter sind läng", 60, 140},
	} {
		if s := strength(c.value); s.Bits < c.min || s.Bits > c.max {
			t.Errorf("%q: %v bits, want %v to %v", c.value, s.Bits, c.min, c.max)
		}
	}
}

// FuzzConfig: garbage gives values or a problem; where the strict reader
// agrees, its values count, and a secret is never told.
func FuzzConfig(f *testing.F) {
	f.Add([]byte(guard + "[database]\nhost = \"localhost\"\npassword = \"p&quot;w\"\n[General]\ntrusted_hosts[] = \"a\"\n"))
	f.Add([]byte("; <?php exit; ?>\n;---\n[General]\n; comment\nforce_ssl = 0 ; comment\ncurrencies[BTC] = Bitcoin\ncookie_expire = 33955200;\ntmp_path = \"/tmp\"\n[mail]\npassword = ; SMTP password\n"))
	f.Add([]byte("[a]\nx = \"multi\n[b]\ny = 1\"\nz = ${HOME}\n"))
	f.Add([]byte("\x00[=\r\n[]\n[x\nsalt=1"))
	if golden, err := os.ReadFile("../../matomo/ini/testdata/config.ini.php"); err == nil {
		f.Add(golden)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c := parseConfig("f", text)
		file, err := ini.Parse(text)
		if (err == nil) != (c.problem == "") {
			t.Errorf("strict reader: %v, problem %q", err, c.problem)
		}
		if err == nil {
			for _, section := range file.Sections {
				for _, setting := range section.Settings {
					if len(setting.List) == 0 && c.values[section.Name+"."+setting.Key][0] != setting.Value {
						t.Errorf("%s.%s differs", section.Name, setting.Key)
					}
				}
			}
		}
		for key := range c.lines {
			if _, set := c.values[key]; !set {
				t.Errorf("%s has a line and no value", key)
			}
		}
		told, strengths, _ := split(merge(c, config{}, c))
		for key := range maps.Keys(strengths) {
			if _, both := told[key]; both {
				t.Errorf("%s is a secret and is told", key)
			}
		}
		for key := range maps.Keys(told) {
			if strings.HasSuffix(key, ".password") || strings.HasSuffix(key, ".salt") {
				t.Errorf("%s is told", key)
			}
		}
	})
}
