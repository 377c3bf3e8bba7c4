package standin

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/google/go-cmp/cmp"
)

// unpack returns the files of an archive and the headers of all its entries.
func unpack(t *testing.T, archive []byte) (map[string][]byte, []*tar.Header) {
	t.Helper()
	plain, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	files, headers := map[string][]byte{}, []*tar.Header{}
	for reader := tar.NewReader(plain); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return files, headers
		}
		if err != nil {
			t.Fatal(err)
		}
		headers = append(headers, header)
		if header.Typeflag == tar.TypeReg {
			if files[header.Name], err = io.ReadAll(reader); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func archive(t *testing.T, version string) []byte {
	t.Helper()
	packed, err := Archive(version)
	if err != nil {
		t.Fatal(err)
	}
	return packed
}

func TestArchiveIsReproducible(t *testing.T) {
	if !bytes.Equal(archive(t, Version), archive(t, Version)) {
		t.Error("two archives of one version differ")
	}
}

func TestArchiveHoldsOnlyPlainEntriesOfRootInOrder(t *testing.T) {
	_, headers := unpack(t, archive(t, Version))
	seen := map[string]bool{}
	var files []string
	for _, h := range headers {
		if h.Typeflag != tar.TypeReg && h.Typeflag != tar.TypeDir {
			t.Errorf("%s has the type %c", h.Name, h.Typeflag)
		}
		want := int64(0o644)
		if h.Typeflag == tar.TypeDir || h.Name == "matomo/console" {
			want = 0o755
		}
		if h.Mode != want || h.Uid != 0 || h.Gid != 0 || !h.ModTime.Equal(modified) {
			t.Errorf("%s: mode %o, owner %d:%d, time %v", h.Name, h.Mode, h.Uid, h.Gid, h.ModTime)
		}
		if h.Name != "How to install Matomo.html" && !strings.HasPrefix(h.Name, "matomo/") {
			t.Errorf("%s is neither in matomo/ nor the page beside it", h.Name)
		}
		if seen[h.Name] {
			t.Errorf("%s is there twice", h.Name)
		}
		seen[h.Name] = true
		if above := h.Name[:strings.LastIndex(strings.TrimSuffix(h.Name, "/"), "/")+1]; above != "" && !seen[above] {
			t.Errorf("%s comes before its directory", h.Name)
		}
		if h.Typeflag == tar.TypeReg {
			files = append(files, h.Name)
		}
	}
	if !slices.IsSorted(files) {
		t.Error("the files are not sorted")
	}
}

// The form is the one of a real release: one file a line.
var manifestLine = regexp.MustCompile(`^\t\t"([^"]+)" => array\("(\d+)", "([0-9a-f]{64})"\),$`)

func TestManifestNamesEveryFileButThree(t *testing.T) {
	files, _ := unpack(t, archive(t, Version))
	got := map[string]string{}
	for _, line := range strings.Split(string(files[manifestPath]), "\n") {
		if match := manifestLine.FindStringSubmatch(line); match != nil {
			got[match[1]] = match[2] + " " + match[3]
		} else if strings.Contains(line, "array(\"") {
			t.Errorf("line %q is not of the form of a manifest", line)
		}
	}
	want := map[string]string{}
	for name, content := range files {
		if inside, ok := strings.CutPrefix(name, "matomo/"); ok {
			want[inside] = fmt.Sprintf("%d %x", len(content), sha256.Sum256(content))
		}
	}
	for _, name := range []string{"config/manifest.inc.php", "vendor/autoload.php", "vendor/composer/autoload_real.php"} {
		if _, ok := want[name]; !ok {
			t.Errorf("%s is not in the archive", name)
		}
		delete(want, name)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("manifest (-want +got):\n%s", diff)
	}
}

func TestVersionIsThatOfTheBuild(t *testing.T) {
	constant := regexp.MustCompile(`public const VERSION = '([^']+)';`)
	for _, version := range []string{Version, "5.2.1-standin"} {
		files, _ := unpack(t, archive(t, version))
		match := constant.FindSubmatch(files["matomo/core/Version.php"])
		if match == nil || string(match[1]) != version {
			t.Errorf("%s: core/Version.php says %q", version, match)
		}
	}
}

func TestVersionsDifferInNothingElse(t *testing.T) {
	one, _ := unpack(t, archive(t, Version))
	two, _ := unpack(t, archive(t, "5.2.1-standin"))
	if diff := cmp.Diff(slices.Sorted(maps.Keys(one)), slices.Sorted(maps.Keys(two))); diff != "" {
		t.Errorf("names differ: %s", diff)
	}
	for name, content := range one {
		if !bytes.Equal(content, two[name]) && name != "matomo/core/Version.php" && name != manifestPath {
			t.Errorf("%s differs", name)
		}
	}
}

func TestOtherVersionsAreRefused(t *testing.T) {
	for _, version := range []string{"", "5.3.0", "5.3.0-standin'; evil", "../5.3.0-standin", "5.3-standin"} {
		if _, err := Build(version); err == nil {
			t.Errorf("version %q was built", version)
		}
	}
}

// Everything that a probe of a front end asks for, or that rocca runs.
func TestArchiveHoldsTheContract(t *testing.T) {
	files, _ := unpack(t, archive(t, Version))
	for _, name := range []string{
		"index.php", "matomo.php", "piwik.php", "js/index.php", "js/tracker.php", "console",
		"matomo.js", "piwik.js", "robots.txt", "favicon.ico", "offline-service-worker.js",
		"README.md", "CHANGELOG.md", "LEGALNOTICE", "LICENSE", "SECURITY.md", "PRIVACY.md", "CONTRIBUTING.md",
		"DIObject.php", "LegacyAutoloader.php", "config/global.ini.php", "config/manifest.inc.php", "lang/en.json", "lang/de.json",
		"vendor/autoload.php", "plugins/API/API.php", "plugins/API/plugin.json", "plugins/Morpheus/images/logo.svg", "plugins/Morpheus/stylesheets/base.css",
		"misc/others/tracker_simpleImageTracker.php", "misc/log-analytics/import_logs.py", "misc/user/index.html", "tests/README.md", "tests/bootstrap.php",
		"node_modules/standin/standin.min.js", "core/bootstrap.php", "core/dispatch.php",
	} {
		if len(files["matomo/"+name]) == 0 {
			t.Errorf("%s is missing or empty", name)
		}
	}
	if !bytes.Equal(files["matomo/matomo.js"], files["matomo/piwik.js"]) {
		t.Error("matomo.js and piwik.js differ")
	}
	for _, name := range []string{"config/config.ini.php", "bootstrap.php", "tmp/index.php"} {
		if _, ok := files["matomo/"+name]; ok {
			t.Errorf("%s must not be in a release", name)
		}
	}
}

func TestSignatureIsOfThatArchiveByThatKey(t *testing.T) {
	release, err := Build(Version)
	if err != nil {
		t.Fatal(err)
	}
	if release.Name != "matomo-5.3.0-standin.tar.gz" {
		t.Errorf("the archive is named %s", release.Name)
	}
	keys, err := openpgp.ReadArmoredKeyRing(bytes.NewReader(release.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	if keys[0].PrivateKey != nil {
		t.Error("the public key holds the private one")
	}
	check := func(archive []byte) error {
		_, err := openpgp.CheckArmoredDetachedSignature(keys, bytes.NewReader(archive), bytes.NewReader(release.Signature), nil)
		return err
	}
	if err := check(release.Archive); err != nil {
		t.Errorf("the signature is refused: %v", err)
	}
	changed := bytes.Clone(release.Archive)
	changed[len(changed)/2] ^= 1
	if check(changed) == nil {
		t.Error("the signature is good for a changed archive too")
	}
	if got := strings.ToUpper(fmt.Sprintf("%x", keys[0].PrimaryKey.Fingerprint)); got != release.Fingerprint || len(got) != 40 {
		t.Errorf("fingerprint %s, the key has %s", release.Fingerprint, got)
	}
}

func TestEveryBuildHasItsOwnKey(t *testing.T) {
	one, err := Build(Version)
	if err != nil {
		t.Fatal(err)
	}
	two, err := Build(Version)
	if err != nil {
		t.Fatal(err)
	}
	if one.Fingerprint == two.Fingerprint {
		t.Error("two builds have one key")
	}
}
