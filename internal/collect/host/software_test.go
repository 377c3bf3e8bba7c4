package host

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"rocca/internal/facts"
)

func TestCompareVersions(t *testing.T) {
	// Each is older than the next.
	rising := []string{
		"0~~", "0~", "0", "0.1~rc1", "0.1", "0.1-1", "0.1-1+deb12u1", "0.1-1+deb12u2", "0.1-1+deb12u10", "0.1-2", "0.1a", "0.1+b1", "0.2",
		"1.0~rc1-1", "1.0-1~bpo12+1", "1.0-1", "1.0.1-1", "1.09-1", "1.10-1", "2.36-9+deb12u13", "2.36-9+deb12u14", "10", "1:0.1", "1:1.2-3-4", "2:0",
	}
	for i := range rising {
		for j := range rising {
			got := compareVersions(rising[i], rising[j])
			if (got < 0) != (i < j) || (got > 0) != (i > j) {
				t.Errorf("%s and %s: got %d", rising[i], rising[j], got)
			}
		}
	}
	for _, same := range [][2]string{{"1.0", "1.0-0"}, {"0:1", "1"}, {"1.01", "1.1"}, {"", "0"}, {"1.00000000000000000000000000001", "1.1"}} {
		if got := compareVersions(same[0], same[1]); got != 0 {
			t.Errorf("%s and %s: got %d", same[0], same[1], got)
		}
	}
}

func FuzzCompareVersions(f *testing.F) {
	f.Add("1:2.3-4~a", "2.3-4+b1", "0")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		sign := func(n int) int { return max(-1, min(1, n)) }
		if compareVersions(a, a) != 0 || sign(compareVersions(a, b)) != -sign(compareVersions(b, a)) {
			t.Errorf("%q %q: no order", a, b)
		}
		if compareVersions(a, b) < 0 && compareVersions(b, c) < 0 && compareVersions(a, c) >= 0 {
			t.Errorf("%q < %q < %q is no order", a, b, c)
		}
	})
}

const security12 = "deb.debian.org_debian-security_dists_bookworm-security_"

var aptTree = map[string]string{
	"etc/os-release": "ID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\n", "proc/sys/kernel/hostname": "web1\n",
	"etc/apt/sources.list": "# deb http://x/ y main\ndeb http://deb.debian.org/debian bookworm main # comment\ndeb-src http://deb.debian.org/debian bookworm main\n" +
		"deb [arch=amd64 signed-by=/k.gpg trusted=yes] https://user:word@packages.example.org/php/ bookworm main\ndeb [broken http://x y\ndeb\n",
	"etc/apt/sources.list.d/debian.sources": "Types: deb deb-src\nURIs: http://deb.debian.org/debian-security\n  mirror+file:/etc/apt/mirrors/x.list\nSuites: bookworm-security\nComponents: main\n" +
		"Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc\n\n# off\nEnabled: no\nTypes: deb\nURIs: http://off/\nSuites: x\n",
	"etc/apt/sources.list.d/x.list.save":            "deb http://never/ x main\n",
	"etc/apt/preferences.d/a":                       "Explanation: x\nPackage: *\nPin: release o=Debian\nPin-Priority: 100\n\nPackage: a\nPin: version 1\nPin-Priority: high\n",
	"etc/apt/preferences.d/b.bak":                   "Package: *\nPin: x\nPin-Priority: 1\n",
	"etc/apt/apt.conf.d/20auto":                     "// comment\napt::periodic::unattended-upgrade \"1\";\nAPT { Periodic { Enable \"1\"; /* } */ }; };\nAcquire::http::Proxy \"http://u:word@p:3128\";\nDir::State \"x\";\n",
	"etc/apt/apt.conf.d/50un":                       "Unattended-Upgrade::Origins-Pattern { \"origin=Debian,label=Debian-Security\"; \"second\"; };\nUnattended-Upgrade::Origins-Pattern:: \"third\";\nUnattended-Upgrade::Automatic-Reboot \"false\";\n#clear APT::Periodic::Enable;\n",
	"var/lib/apt/periodic/upgrade-stamp":            "",
	"var/lib/apt/lists/" + security12 + "InRelease": "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\nOrigin: Debian\nLabel: Debian-Security\nSHA256:\n x\n",
	"var/lib/apt/lists/" + security12 + "main_binary-amd64_Packages": "Package: openssl\nArchitecture: amd64\nVersion: 3.0.2-1+deb12u2\n\nPackage: openssl\nArchitecture: amd64\nVersion: 3.0.2-1+deb12u3\n\n" +
		"Package: bash\nArchitecture: amd64\nVersion: 5.1\n\nPackage: curl\nArchitecture: amd64\nVersion: 9\n\nPackage: removed\nArchitecture: amd64\nVersion: 9\n\nPackage: libc6\nArchitecture: i386\nVersion: 9\n\nPackage: tz\nArchitecture: all\nVersion: 2\n",
	"var/lib/apt/lists/_etc_apt_mirrors_x.list_dists_bookworm-security_main_binary-amd64_Packages.lz4": "x",
	"var/lib/dpkg/status": "Package: openssl\nStatus: install ok installed\nArchitecture: amd64\nVersion: 3.0.2-1+deb12u1\n\nPackage: bash\nStatus: install ok installed\nArchitecture: amd64\nVersion: 5.2\n\n" +
		"Package: removed\nStatus: deinstall ok config-files\nArchitecture: amd64\nVersion: 1\n\nPackage: libc6\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\nDescription: x\n Package: never\n\nPackage: tz\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n",
}

func TestSoftware(t *testing.T) {
	root := plant(t, aptTree)
	system, packages, apt, err := software(root, func() (installed, error) { return dpkgStatus(root) })
	if err == nil || !strings.Contains(err.Error(), ".lz4: it is packed") {
		t.Errorf("error %v", err)
	}
	if diff := cmp.Diff(facts.OS{ID: "debian", Version: "12", Codename: "bookworm", Hostname: "web1"}, system); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]facts.Package{
		"openssl": {Installed: true, Version: "3.0.2-1+deb12u1"}, "bash": {Installed: true, Version: "5.2"}, "libc6": {Installed: true, Version: "1"},
		"tz": {Installed: true, Version: "1"},
	}, packages); diff != "" {
		t.Error(diff)
	}
	const list, sources = "/etc/apt/sources.list", "/etc/apt/sources.list.d/debian.sources"
	want := facts.Apt{
		Sources: []facts.AptSource{
			{File: list, Line: 2, URI: "http://deb.debian.org/debian", Suite: "bookworm", Debian: true},
			{File: list, Line: 4, URI: "https://packages.example.org/php/", Suite: "bookworm", Signed: "/k.gpg", Trust: true},
			{File: sources, Line: 1, URI: "http://deb.debian.org/debian-security", Suite: "bookworm-security", Signed: "a key in the file itself", Debian: true},
			{File: sources, Line: 1, URI: "mirror+file:/etc/apt/mirrors/x.list", Suite: "bookworm-security", Signed: "a key in the file itself"},
		},
		Pins:     []facts.AptPin{{File: "/etc/apt/preferences.d/a", Package: "*", Pin: "release o=Debian", Priority: 100}},
		Pending:  []facts.Upgrade{{Package: "openssl", Have: "3.0.2-1+deb12u1", Offered: "3.0.2-1+deb12u3"}, {Package: "tz", Have: "1", Offered: "2"}},
		Settings: map[string]string{"APT::Periodic::Unattended-Upgrade": "1", "Acquire::http::Proxy": "http://u:[redacted]@p:3128", "Unattended-Upgrade::Automatic-Reboot": "false"},
		Origins:  []string{"origin=Debian,label=Debian-Security", "second", "third"},
	}
	if diff := cmp.Diff(want, apt, cmpopts.IgnoreFields(facts.Apt{}, "ListsUpdated", "Unattended")); diff != "" {
		t.Error(diff)
	}
	if apt.ListsUpdated.IsZero() || apt.Unattended.IsZero() {
		t.Errorf("lists of %s, last upgrade %s", apt.ListsUpdated, apt.Unattended)
	}
}

func TestSecurityListThatWasNeverFetched(t *testing.T) {
	root := plant(t, map[string]string{"etc/apt/sources.list": "deb http://deb.debian.org/debian-security bookworm-security main\n"})
	sources, err := aptSources(root)
	if err != nil || len(sources) != 1 || !sources[0].Debian {
		t.Fatalf("%+v %v", sources, err)
	}
	if _, _, err := securityUpdates(root, sources, installed{}); err == nil {
		t.Error("a list that is not there is taken for one without upgrades")
	}
}

func TestListPrefix(t *testing.T) {
	for want, s := range map[string]facts.AptSource{
		"deb.debian.org_debian_dists_bookworm_": {URI: "http://deb.debian.org/debian/", Suite: "bookworm"},
		"localhost:3142_a%5fb_dists_x_updates_": {URI: "http://localhost:3142/a_b", Suite: "x/updates"},
		"_srv_flat_":                            {URI: "file:/srv/flat", Suite: "./"},
	} {
		if got := strings.TrimPrefix(listPrefix(s), aptLists); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func FuzzAptSources(f *testing.F) {
	f.Add(aptTree["etc/apt/sources.list"])
	f.Add(aptTree["etc/apt/sources.list.d/debian.sources"])
	f.Fuzz(func(t *testing.T, text string) {
		for _, s := range append(parseOneLine(text), parseDeb822(text)...) {
			if s.URI == "" || s.Suite == "" || s.Line == 0 || strings.ContainsAny(listPrefix(s)[len(aptLists):], "/\n") {
				t.Errorf("%+v", s)
			}
		}
	})
}

func FuzzAptConf(f *testing.F) {
	f.Add(aptTree["etc/apt/apt.conf.d/20auto"])
	f.Add(aptTree["etc/apt/apt.conf.d/50un"])
	f.Add(strings.Repeat("a{", 1000) + `"`)
	f.Fuzz(func(t *testing.T, text string) {
		conf := aptConf{map[string]string{}, map[string]string{}, map[string][]string{}}
		conf.parse(text)
		for key := range conf.values {
			if _, spelled := conf.spelled[key]; !spelled {
				t.Errorf("%q has no spelling", key)
			}
		}
	})
}

func FuzzPackages(f *testing.F) {
	f.Add(aptTree["var/lib/dpkg/status"])
	f.Fuzz(func(t *testing.T, text string) {
		err := readStanzas(strings.NewReader(text), func(s stanza) {
			if s.name == "" {
				t.Error("a package without a name")
			}
		})
		if err != nil && len(text) < lineLimit {
			t.Error(err)
		}
	})
}
