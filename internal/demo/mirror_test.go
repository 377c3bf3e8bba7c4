package demo

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseOneLineSources(t *testing.T) {
	text := `# a comment
deb http://mirror.example/debian bookworm main contrib # trailing
deb [arch=amd64 signed-by=/etc/apt/keyrings/own.gpg] https://apt.example/debian bookworm-security main
deb-src http://mirror.example/debian bookworm main
	deb	http://tabs.example/debian	bookworm	main
debian http://not.a.source/ bookworm main
deb [unclosed http://broken.example bookworm main
deb http://flat.example/repo ./
deb
deb http://short.example
`
	want := []aptSource{
		{URIs: []string{"http://mirror.example/debian"}, Suites: []string{"bookworm"}, Components: []string{"main", "contrib"}},
		{URIs: []string{"https://apt.example/debian"}, Suites: []string{"bookworm-security"}, Components: []string{"main"}, SignedBy: "/etc/apt/keyrings/own.gpg"},
		{URIs: []string{"http://tabs.example/debian"}, Suites: []string{"bookworm"}, Components: []string{"main"}},
		{URIs: []string{"http://flat.example/repo"}, Suites: []string{"./"}, Components: []string{}},
	}
	if diff := cmp.Diff(want, parseOneLineSources(text)); diff != "" {
		t.Error(diff)
	}
}

func TestParseDeb822Sources(t *testing.T) {
	text := `Types: deb deb-src
# a comment in between
URIs: http://mirror.example/debian
 http://second.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main
Enabled: no

types: deb-src
uris: http://sources.example/debian
suites: bookworm
components: main


Types: deb
URIs: http://inline.example/repo
Suites: bookworm
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc`
	want := []aptSource{
		{
			URIs:   []string{"http://mirror.example/debian", "http://second.example/debian"},
			Suites: []string{"bookworm", "bookworm-updates"}, Components: []string{"main"}, SignedBy: debianKeyring,
		},
		{
			URIs: []string{"http://inline.example/repo"}, Suites: []string{"bookworm"}, Components: []string{"main"},
			SignedBy: "-----BEGIN PGP PUBLIC KEY BLOCK-----\n.\nabc",
		},
	}
	if diff := cmp.Diff(want, parseDeb822Sources(text)); diff != "" {
		t.Error(diff)
	}
}

func TestChooseMirror(t *testing.T) {
	source := func(uri, suites, components, signedBy string) aptSource {
		return aptSource{URIs: strings.Fields(uri), Suites: strings.Fields(suites), Components: strings.Fields(components), SignedBy: signedBy}
	}
	tests := []struct {
		name    string
		sources []aptSource
		want    mirror
		fails   string
	}{
		{
			name: "archive and security, third parties left out",
			sources: []aptSource{
				source("https://packages.example/php", "bookworm", "main", "/usr/share/keyrings/php.gpg"),
				source("https://download.example/linux/debian", "bookworm", "stable", ""),
				source("https://apt.example/pub", "bookworm-pgdg", "main", ""),
				source("http://m.example/debian", "bookworm bookworm-updates", "main", debianKeyring),
				source("http://m.example/debian-security", "bookworm-security", "main", debianKeyring),
			},
			want: mirror{Archive: "http://m.example/debian", Security: "http://m.example/debian-security", Keyring: debianKeyring},
		},
		{
			name: "a third party without a key of its own loses to Debian's directory",
			sources: []aptSource{
				source("https://packages.example/php", "bookworm", "main", ""),
				source("http://m.example/debian", "bookworm", "main", ""),
			},
			want: mirror{Archive: "http://m.example/debian", Keyring: debianKeyring},
		},
		{
			name:    "the first of two mirrors",
			sources: []aptSource{source("http://a.example/debian http://b.example/debian", "trixie", "main", "")},
			want:    mirror{Archive: "http://a.example/debian", Keyring: debianKeyring},
		},
		{
			name:    "an inner mirror signed with its own key",
			sources: []aptSource{source("https://apt.corp.example/mirror/debian", "stable", "main", "/etc/apt/keyrings/corp.gpg")},
			want:    mirror{Archive: "https://apt.corp.example/mirror/debian", Keyring: "/etc/apt/keyrings/corp.gpg"},
		},
		{
			name:    "discs and files are no mirrors",
			sources: []aptSource{source("cdrom:[Debian]/", "bookworm", "main", ""), source("file:/srv/debian", "bookworm", "main", "")},
			fails:   "no Debian mirror",
		},
		{
			name:    "Ubuntu is not Debian",
			sources: []aptSource{source("http://archive.ubuntu.example/ubuntu", "noble noble-security", "main", "")},
			fails:   "no Debian mirror",
		},
		{
			name:    "a login in the URI is refused",
			sources: []aptSource{source("https://user:hunter2@m.example/debian", "bookworm", "main", "")},
			fails:   "carries a login",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := chooseMirror(test.sources)
			if test.fails != "" {
				if err == nil || !strings.Contains(err.Error(), test.fails) {
					t.Fatalf("got %v, want an error with %q", err, test.fails)
				}
				if strings.Contains(err.Error(), "hunter2") {
					t.Errorf("the password is in the error: %v", err)
				}
				if want := test.fails == "no Debian mirror"; errors.Is(err, ErrNoMirror) != want {
					t.Errorf("ErrNoMirror: %v, want %v", !want, want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestResolveMirrorLists(t *testing.T) {
	list := filepath.Join(t.TempDir(), "debian.list")
	if err := os.WriteFile(list, []byte("# mirrors\n\nhttps://cdn.example/debian\tpriority:1\nhttps://b.example/debian\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := resolveMirrorLists([]string{"mirror+file:" + list, "http://m.example/debian", "mirror+file://" + list})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"https://cdn.example/debian", "http://m.example/debian", "https://cdn.example/debian"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestSourcesListHasUpdatesAndSecurity(t *testing.T) {
	m := mirror{Archive: "http://m.example/debian", Security: "http://m.example/debian-security"}
	want := "deb http://m.example/debian trixie main\ndeb http://m.example/debian trixie-updates main\ndeb http://m.example/debian-security trixie-security main\n"
	if diff := cmp.Diff(want, m.sourcesList("trixie", "")); diff != "" {
		t.Error(diff)
	}
	m.Security = ""
	want = "deb [signed-by=/k.gpg] http://m.example/debian bookworm main\ndeb [signed-by=/k.gpg] http://m.example/debian bookworm-updates main\n"
	if diff := cmp.Diff(want, m.sourcesList("bookworm", "/k.gpg")); diff != "" {
		t.Error(diff)
	}
}

func TestParseTransport(t *testing.T) {
	dump := `APT "";
APT::Architecture "amd64";
Acquire "";
Acquire::Languages:: "none";
Acquire::Check-Valid-Until "false";
Acquire::http "";
Acquire::http::Proxy "http://proxy.example:3128";
Acquire::http::Proxy::m.example "DIRECT";
Acquire::https::Proxy "DIRECT";
Acquire::http::Proxy-Auto-Detect "/usr/bin/auto-apt-proxy";
DPkg::Post-Invoke:: "rm -f /var/cache/apt/archives/*.deb || true";
`
	want := transport{
		Config: "Acquire::Check-Valid-Until \"false\";\n" +
			"Acquire::http::Proxy \"http://proxy.example:3128\";\n" +
			"Acquire::http::Proxy::m.example \"DIRECT\";\n" +
			"Acquire::https::Proxy \"DIRECT\";\n",
		Env: []string{"http_proxy=http://proxy.example:3128"},
	}
	if diff := cmp.Diff(want, parseTransport(dump)); diff != "" {
		t.Error(diff)
	}
}

func TestProxyEnvironmentYieldsToApt(t *testing.T) {
	t.Setenv("http_proxy", "http://env.example")
	t.Setenv("https_proxy", "http://env.example")
	t.Setenv("no_proxy", "")
	got := proxyEnvironment([]string{"http_proxy=http://apt.example"})
	if diff := cmp.Diff([]string{"https_proxy=http://env.example"}, got); diff != "" {
		t.Error(diff)
	}
}

// What either parser takes out of a hostile file is whole words.
func FuzzSources(f *testing.F) {
	f.Add("deb [signed-by=/k] http://m.example/debian bookworm main")
	f.Add("Types: deb\nURIs: http://m.example/debian\n http://b\nSuites: bookworm\nComponents: main\n\n#\n")
	f.Add("deb[")
	f.Add(" \n:")
	f.Fuzz(func(t *testing.T, text string) {
		for _, source := range append(parseOneLineSources(text), parseDeb822Sources(text)...) {
			for _, words := range [][]string{source.URIs, source.Suites, source.Components} {
				for _, word := range words {
					if word == "" || len(strings.Fields(word)) != 1 {
						t.Errorf("word %q", word)
					}
				}
			}
		}
	})
}
