package front

import (
	"bytes"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/aymanbagabas/go-udiff"
)

var update = flag.Bool("update", false, "write the golden files")

// plainSite is what rocca makes of an empty rocca.yaml in a throw-away server.
var plainSite = Site{
	ServerNames:      []string{"matomo.example.org", "127.0.0.1", "::1"},
	Docroot:          "/var/www/matomo/www",
	UISocket:         "/run/matomo/ui.sock",
	TrackerSocket:    "/run/matomo/tracker.sock",
	Certificate:      "/etc/rocca/tls/certificate.pem",
	Key:              "/etc/rocca/tls/key.pem",
	UserDir:          "/var/lib/matomo/user",
	PrecompressedDir: "/var/www/matomo/precompressed",
}

// restrictedSite uses every field.
var restrictedSite = Site{
	ServerNames:      []string{"matomo.example.org", "stats.example.org"},
	Docroot:          "/var/www/matomo/www",
	UISocket:         "/run/matomo/ui.sock",
	TrackerSocket:    "/run/matomo/tracker.sock",
	Certificate:      "/etc/rocca/tls/certificate.pem",
	Key:              "/etc/rocca/tls/key.pem",
	UserDir:          "/var/lib/matomo/user",
	PrecompressedDir: "/var/www/matomo/precompressed",
	AdminNetworks:    []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")},
	Apps:             []App{{Name: "shop", Domain: "shop.example.org", Docroot: "/var/www/shop", Socket: "/run/matomo/shop.sock"}},
}

// proxiedSite stands behind load balancers and only takes hits.
var proxiedSite = Site{
	ServerNames:      []string{"matomo.example.org"},
	Docroot:          "/var/www/matomo/www",
	TrackerSocket:    "/run/matomo/tracker.sock",
	Certificate:      "/etc/rocca/tls/certificate.pem",
	Key:              "/etc/rocca/tls/key.pem",
	UserDir:          "/var/lib/matomo/user",
	PrecompressedDir: "/var/www/matomo/precompressed",
	Proxies:          []netip.Prefix{netip.MustParsePrefix("10.20.0.0/16"), netip.MustParsePrefix("2001:db8:7::/48")},
	Apps:             []App{{Name: "shop", Domain: "shop.example.org", Docroot: "/var/www/shop", Socket: "/run/matomo/shop.sock"}},
}

func TestGolden(t *testing.T) {
	renderers := map[string]func(Site, Platform) ([]File, error){"nginx": Nginx, "apache": Apache}
	sites := map[string]Site{"plain": plainSite, "restricted": restrictedSite, "proxied": proxiedSite}
	for front, render := range renderers {
		for kind, site := range sites {
			for _, debian := range []int{12, 13} {
				t.Run(fmt.Sprintf("%s-%s-%d", front, kind, debian), func(t *testing.T) {
					files, err := render(site, Platform{Debian: debian})
					if err != nil {
						t.Fatal(err)
					}
					for _, file := range files {
						name := filepath.Join("testdata", fmt.Sprintf("%s-%d", kind, debian), filepath.FromSlash(file.Path))
						compare(t, name, file.Content)
					}
				})
			}
		}
	}
}

func compare(t *testing.T, golden string, got []byte) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(golden), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, got) {
		t.Errorf("differs from %s; go test ./internal/front -update writes it anew\n%s", golden, udiff.Unified("want", "got", string(want), string(got)))
	}
}
