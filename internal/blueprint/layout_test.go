package blueprint

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"rocca/internal/change/step"
)

// TestLayoutPageIsComplete looks for every path, option and key that rocca sets
// in docs/layout.md, which promises to name each.
func TestLayoutPageIsComplete(t *testing.T) {
	text, err := os.ReadFile("../../docs/layout.md")
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for _, match := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(string(text), -1) {
		named[match[1]] = true
	}
	setting := regexp.MustCompile(`(?m)^([A-Za-z][A-Za-z0-9_.\[\]]*?)(?:\[\])? ?=`)
	for name, in := range inputs(t) {
		if name == "apps" {
			continue // the page has the paths of the defaults
		}
		steps, b := planFor(t, in)
		want := func(where, what string) {
			if !named[what] {
				t.Errorf("docs/layout.md does not name %s (%s of server %s)", what, where, name)
			}
		}
		for _, pool := range []configFile{{b, b.Layout.State, UIUser}, {b, b.Layout.Tracker, TrackerUser}} {
			want("a file", configPath(pool.data))
			for _, match := range setting.FindAllStringSubmatch(string(firstConfig(t, pool)), -1) {
				want("key of config.ini.php", match[1])
			}
		}
		for _, s := range steps {
			switch s := s.(type) {
			case step.Dir:
				want("a directory", pageForm(s.Path))
			case step.File:
				switch {
				case strings.HasPrefix(s.Path, unitDir), strings.HasPrefix(s.Path, etc+"/php/") && !strings.HasSuffix(s.Path, ".pem"):
					for _, match := range setting.FindAllStringSubmatch(string(s.Content), -1) {
						want("setting in "+s.Path, match[1])
					}
				case strings.HasPrefix(s.Path, "/etc/nginx/"), strings.HasPrefix(s.Path, "/etc/apache2/"):
				default:
					want("a file", pageForm(s.Path))
				}
			case step.Unit:
				if s.Own {
					want("a unit", s.Unit)
				}
			}
		}
	}
}

// pageForm writes a path as the page does.
func pageForm(path string) string {
	path = strings.ReplaceAll(path, "www-matomo.5.3.0", "www-matomo.VERSION")
	return regexp.MustCompile(`rocca-php@[a-z]+\.service`).ReplaceAllString(path, "rocca-php@ROLE.service")
}
