package prove

import (
	"path"
	"slices"
	"strings"
	"testing"

	"rocca/internal/facts"
)

// A file that is sent as it is must not look like one that ran.
func TestScriptDoesNotHoldItsWord(t *testing.T) {
	const word = "ABCDEFGHIJ234567"
	if text := script(word); strings.Contains(text, word) || !strings.Contains(text, "765432JIHGFEDCBA") {
		t.Error(text)
	}
}

func TestWhatIsPlantedIsAskedFor(t *testing.T) {
	for listen, handler := range map[string]string{
		"":               "AddHandler application/x-httpd-php .txt",
		"/run/x.sock":    `SetHandler "proxy:unix:/run/x.sock|fcgi://localhost"`,
		"127.0.0.1:9000": `SetHandler "proxy:fcgi://127.0.0.1:9000"`,
	} {
		p := planted{served: served{dir: "/srv/up", url: "/misc/user/"}, pool: facts.Pool{Listen: listen}, canary: "rocca-prove-x", word: "one", steered: "two"}
		if got := p.steering()[".htaccess"]; !strings.Contains(got, handler) {
			t.Errorf("pool at %q: .htaccess is %q", listen, got)
		}
		if got := p.steering()[".user.ini"]; got != "auto_prepend_file = /srv/up/rocca-prove-x/x.inc\n" {
			t.Errorf(".user.ini is %q", got)
		}
		for name := range p.files() {
			asked := slices.ContainsFunc(p.targets(), func(target string) bool { return target == name || strings.HasPrefix(target, name+"/") })
			if !asked || path.Base(name) != name {
				t.Errorf("%s is planted, and not asked for", name)
			}
		}
	}
}
