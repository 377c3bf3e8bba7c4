package demo

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
)

func TestOwnConfigurationWins(t *testing.T) {
	tests := []struct {
		name string
		o    Options
		want map[string]any
	}{
		{"default", Options{}, map[string]any{"domain": []any{"127.0.0.1", "localhost", "matomo.localhost"}, "port": uint64(8443)}},
		{"front", Options{Front: "apache"}, map[string]any{"domain": []any{"127.0.0.1", "localhost", "matomo.localhost"}, "port": uint64(8443), "front": "apache"}},
		{
			"own keys",
			Options{Front: "apache", Config: []byte("front: nginx\ndomain: a.example\ntrim: true\n")},
			map[string]any{"domain": "a.example", "port": uint64(8443), "front": "nginx", "trim": true},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			text, err := guestConfig(test.o, 8443)
			if err != nil {
				t.Fatal(err)
			}
			var got map[string]any
			if err := yaml.Unmarshal(text, &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	if _, err := guestConfig(Options{Config: []byte("- a list")}, 8443); err == nil {
		t.Error("a list is taken for a configuration")
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for want, o := range map[string]Options{
		"12 and 13":     {Debian: "11"},
		"stock, s1":     {Weak: "s3"},
		"choose one":    {Weak: WeakS1, Bare: true},
		"start with a ": {Name: "../x"},
	} {
		if _, err := o.withDefaults(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: got %v, want %q", o, err, want)
		}
	}
	got, err := Options{}.withDefaults()
	if err != nil || !strings.HasPrefix(got.Name, "demo") || got.Debian != "12" || got.Binary == "" || len(got.Packages) == 0 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestStandinIsTakenOnlyWhenNothingIsNamed(t *testing.T) {
	var said []string
	say := sayer(func(e Event) { said = append(said, e.Text) })
	got, err := chooseRelease(t.Context(), Options{}, say)
	if err != nil || got != (hostRelease{}) || len(said) != 2 || !strings.Contains(said[0], "stand-in") {
		t.Errorf("nothing named: %+v, %v, said %q", got, err, said)
	}
	if _, err := chooseRelease(t.Context(), Options{Release: filepath.Join(t.TempDir(), "missing.tar.gz")}, say); err == nil {
		t.Error("a release that is not there is replaced by the stand-in")
	}
	archive := filepath.Join(t.TempDir(), "matomo.tar.gz")
	if err := os.WriteFile(archive, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	got, err = chooseRelease(t.Context(), Options{Release: archive, ReleaseKey: "/k"}, say)
	if err != nil || got != (hostRelease{Path: archive, Key: "/k"}) {
		t.Errorf("a file: %+v, %v", got, err)
	}
	if len(said) != 2 {
		t.Errorf("said %q", said)
	}
}

func TestStandinIsSignedAndHasAKey(t *testing.T) {
	r, err := standinRelease(filepath.Join(t.TempDir(), "standin"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{r.Path, r.Path + ".asc", r.Key} {
		if !isFile(name) {
			t.Errorf("%s is missing", name)
		}
	}
}

func TestVersionRule(t *testing.T) {
	for text, want := range map[string]string{
		"final class Version\n{\n    public const VERSION = '5.3.0';\n":                 "5.3.0",
		"    const VERSION = '5.2.1-b3';\n    const MAJOR_VERSION = 5;":                 "5.2.1-b3",
		"    // const VERSION = '1.0.0'; \n    public const VERSION = '5.3.0-standin';": "5.3.0-standin",
		"const VERSION = '../../etc';":                                                  "",
	} {
		got := ""
		if found := versionRule.FindStringSubmatch(text); found != nil {
			got = found[1]
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestReleaseThatRoccaInstalledCanBeTaken(t *testing.T) {
	installed, s := t.TempDir(), &Server{Name: "x", Root: t.TempDir()}
	if err := writeFile(installed+"/misc/proxy-hide-piwik-url.php", []byte("<?php"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/var/lib/matomo/user", installed+"/misc/user"); err != nil {
		t.Fatal(err)
	}
	guest, err := s.copyRelease(t.Context(), hostRelease{Path: installed})
	if err != nil {
		t.Fatal(err)
	}
	if !isFile(s.Root + guest.Path + "/misc/proxy-hide-piwik-url.php") {
		t.Error("it was not copied")
	}
	if _, err := os.Lstat(s.Root + guest.Path + "/misc/user"); err == nil {
		t.Error("rocca's own link was copied, which makes it no release")
	}
	if _, err := os.Lstat(installed + "/misc/user"); err != nil {
		t.Errorf("what is in use was changed: %v", err)
	}
}
