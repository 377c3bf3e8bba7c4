package release

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"crypto"
	"crypto/md5"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	dir := t.TempDir()
	tarball := write(t, dir, "m.tar.gz", nil)
	text := write(t, dir, "m.txt", nil)
	for spec, want := range map[string]Source{
		tarball:                                {Path: tarball},
		dir:                                    {Path: dir},
		"5.3.0":                                {URL: "https://builds.matomo.org/matomo-5.3.0.tar.gz", Version: "5.3.0"},
		"5.4.0-rc1":                            {URL: "https://builds.matomo.org/matomo-5.4.0-rc1.tar.gz", Version: "5.4.0-rc1"},
		"https://example.org/a/m.zip?download": {URL: "https://example.org/a/m.zip?download"},
	} {
		if got, err := Parse(spec); err != nil || got != want {
			t.Errorf("Parse(%q) = %+v, %v; want %+v", spec, got, err, want)
		}
	}
	for spec, want := range map[string]string{
		text:                              "neither a directory nor",
		"":                                "hint: --release",
		"latest":                          "hint: --release",
		"5.3.0/../../evil":                "hint: --release",
		filepath.Join(dir, "none.zip"):    "no such file",
		"https://u:hunter2@example.org/m": "holds a password",
		"https://example.org/m.exe":       "does not name",
		"https:///m.zip":                  "does not name",
	} {
		_, err := Parse(spec)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("Parse(%q) = %v, want an error with %q", spec, err, want)
		}
	}
}

func TestSignedArchiveIsHandedOutAsItIs(t *testing.T) {
	key := newKey(t, nil)
	files := smallRelease()
	for name, data := range map[string][]byte{
		"m.tar.gz": tarGzOf(t, entries(files)),
		"m.tgz":    tarGzOf(t, entries(files)),
		"m.zip":    zipOf(t, entries(files)),
	} {
		path := write(t, t.TempDir(), name, data)
		write(t, filepath.Dir(path), name+".asc", sign(t, key, data, nil))
		r, err := openPath(t, path, Options{Keys: publicKey(t, newKey(t, nil), key)})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if r.Version != "5.9.1" || r.Signer != fingerprint(key) || r.Digest != fmt.Sprintf("%x", sha256.Sum256(data)) || r.Differences != nil {
			t.Errorf("%s: got %s, signer %s, digest %s, differences %v", name, r.Version, r.Signer, r.Digest, r.Differences)
		}
		if diff := cmp.Diff(files, collect(t, r, nil)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if len(r.Files) != len(files) || r.Files["vendor/autoload.php"].Hash != fmt.Sprintf("%x", sha256.Sum256([]byte(files["vendor/autoload.php"]))) {
			t.Errorf("%s: Files are %v", name, r.Files)
		}
		if len(r.Manifest) != len(files)-len(unlisted) {
			t.Errorf("%s: the manifest has %d entries", name, len(r.Manifest))
		}
	}
}

func TestSignedArchiveMustBeAsItsManifestSays(t *testing.T) {
	for want, change := range map[string]func(map[string]string){
		"index.php (changed)":  func(f map[string]string) { f["index.php"] = "<?php echo 'INDEX';" },
		"index.php (missing)":  func(f map[string]string) { delete(f, "index.php") },
		"shell.php (extra)":    func(f map[string]string) { f["shell.php"] = "<?php" },
		"no Matomo":            func(f map[string]string) { delete(f, manifestPath) },
		"tells no version":     func(f map[string]string) { f["core/Version.php"] = "<?php" },
		"is not one that Mato": func(f map[string]string) { f[manifestPath] = "<?php system('id');\n" + f[manifestPath] },
	} {
		files := smallRelease()
		change(files)
		key := newKey(t, nil)
		data := tarGzOf(t, entries(files))
		path := write(t, t.TempDir(), "m.tar.gz", data)
		write(t, filepath.Dir(path), "m.tar.gz.asc", sign(t, key, data, nil))
		if _, err := openPath(t, path, Options{Keys: publicKey(t, key), AcceptUnsigned: true}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
}

func TestSignatureOfAnApacheFileThatIsNotListed(t *testing.T) {
	files := smallRelease()
	files["misc/user/.htaccess"] = "Deny from all"
	key := newKey(t, nil)
	data := tarGzOf(t, entries(files))
	path := write(t, t.TempDir(), "m.tar.gz", data)
	write(t, filepath.Dir(path), "m.tar.gz.asc", sign(t, key, data, nil))
	r, err := openPath(t, path, Options{Keys: publicKey(t, key)})
	if err != nil {
		t.Fatal(err)
	}
	if _, got := collect(t, r, nil)["misc/user/.htaccess"]; got {
		t.Error("it is handed out")
	}
}

func TestBadSignaturesAreRefused(t *testing.T) {
	data := tarGzOf(t, entries(smallRelease()))
	now, year := time.Now(), 365*24*time.Hour
	good := newKey(t, nil)
	other := newKey(t, nil)
	expired := newKey(t, at(now.Add(-2*year), packet.Config{KeyLifetimeSecs: uint32(year.Seconds())}))
	revoked := newKey(t, nil)
	revokedKey := func() []byte {
		signed := *revoked
		if err := signed.Revoke(packet.KeyCompromised, "", nil); err != nil {
			t.Fatal(err)
		}
		return publicKey(t, &signed)
	}
	text := sign(t, good, data, &openpgp.SignParams{TextSig: true})
	sha1 := signWith(t, good, data, crypto.SHA1)

	for _, test := range []struct {
		name            string
		keys, signature []byte
		want            []string
	}{
		{"another key", publicKey(t, good), sign(t, other, data, nil), []string{fingerprint(good), "signed by the key", fingerprint(other)}},
		{"other bytes", publicKey(t, good), sign(t, good, append(slices.Clone(data), 0), nil), []string{"is bad", fingerprint(good)}},
		{"the key has expired", publicKey(t, expired), sign(t, expired, data, &openpgp.SignParams{Config: at(now.Add(-year-year/2), packet.Config{})}), []string{fingerprint(expired), "has expired"}},
		{"the signature has expired", publicKey(t, good), nil, []string{"signature", "has expired"}},
		{"the key is revoked", nil, sign(t, revoked, data, nil), []string{fingerprint(revoked), "revoked"}},
		{"a text signature", publicKey(t, good), text, []string{"not one of a binary file"}},
		{"SHA-1", publicKey(t, good), sha1, []string{"insecure message hash algorithm: SHA-1"}},
		{"SHA-256", publicKey(t, good), signWith(t, good, data, crypto.SHA256), nil},
		{"no signature in it", publicKey(t, good), []byte("not a signature"), []string{"refused"}},
		{"empty", publicKey(t, good), []byte{}, []string{"refused"}},
		{"a key as a signature", publicKey(t, good), publicKey(t, good), []string{"refused"}},
		{"a signature as a key", sign(t, good, data, nil), sign(t, good, data, nil), []string{"not a public key"}},
		{"garbage as a key", []byte("garbage"), sign(t, good, data, nil), []string{"key file"}},
		{"a huge signature", publicKey(t, good), make([]byte, signatureLimit+1), []string{"more than"}},
	} {
		if test.name == "the key is revoked" {
			test.keys = revokedKey()
		}
		if test.name == "the signature has expired" {
			old := newKey(t, at(now.Add(-2*year), packet.Config{}))
			test.keys = publicKey(t, old)
			test.signature = sign(t, old, data, &openpgp.SignParams{Config: at(now.Add(-year), packet.Config{SigLifetimeSecs: 3600})})
		}
		path := write(t, t.TempDir(), "m.tar.gz", data)
		write(t, filepath.Dir(path), "m.tar.gz.asc", test.signature)
		// What is signed wrongly is refused even by an owner who accepts unsigned ones.
		_, err := openPath(t, path, Options{Keys: test.keys, AcceptUnsigned: true})
		if test.want == nil && err != nil { // the table is right about what is wrong
			t.Errorf("%s: %v", test.name, err)
		}
		for _, want := range test.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v, want an error with %q", test.name, err, want)
			}
		}
	}
}

func TestVendorKeyIsTakenByItsFingerprintOnly(t *testing.T) {
	impostor := newKey(t, nil)
	data := tarGzOf(t, entries(smallRelease()))
	path := write(t, t.TempDir(), "m.tar.gz", data)
	write(t, filepath.Dir(path), "m.tar.gz.asc", sign(t, impostor, data, nil))
	write(t, filepath.Dir(path), "signature.asc", publicKey(t, impostor))
	asked := map[string]bool{}
	client := &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		asked[r.URL.String()] = true
		w := httptest.NewRecorder()
		w.Write(publicKey(t, impostor))
		return w.Result(), nil
	})}
	_, err := openPath(t, path, Options{Client: client})
	if err == nil || !strings.Contains(err.Error(), VendorKey) || !strings.Contains(err.Error(), fingerprint(impostor)) || !strings.Contains(err.Error(), "--accept-unsigned") {
		t.Errorf("got %v, want both fingerprints and a hint", err)
	}
	for _, url := range vendorKeyURLs {
		if !asked[url] {
			t.Errorf("%s was not asked", url)
		}
	}
}

func TestUnsignedReleaseNeedsConsent(t *testing.T) {
	files := smallRelease()
	dir := writeTree(t, files)
	for _, path := range []string{dir, write(t, t.TempDir(), "m.tar.gz", tarGzOf(t, entries(files)))} {
		if _, err := openPath(t, path, Options{}); err == nil || !strings.Contains(err.Error(), "hint: if you trust it, use --accept-unsigned") {
			t.Errorf("%s: got %v", path, err)
		}
		r, err := openPath(t, path, Options{AcceptUnsigned: true})
		if err != nil {
			t.Fatal(err)
		}
		if r.Signer != "" || r.Version != "5.9.1" || len(r.Digest) != 64 || r.Differences != nil {
			t.Errorf("%s: %+v", path, r)
		}
		if diff := cmp.Diff(files, collect(t, r, nil)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
}

func TestUnsignedReleaseTellsWhereItDiffers(t *testing.T) {
	files := smallRelease()
	files["index.php"] += "changed"
	delete(files, "lang/de.json")
	want := maps.Clone(files)
	files["config/config.ini.php"] = "[database]"
	files["tmp/cache/x.php"] = "<?php"
	files["bootstrap.php"] = "<?php"
	files["plugins/Goals/shell.php"] = "<?php"

	differences := func(tmp string) []Difference {
		return []Difference{{"bootstrap.php", Extra}, {"config/config.ini.php", Extra}, {"index.php", Changed}, {"lang/de.json", Missing}, {"plugins/Goals/shell.php", Extra}, {tmp, Extra}}
	}
	dir := writeTree(t, files)
	// What is left out is not looked at: these would be refused elsewhere.
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "tmp/link")); err != nil {
		t.Fatal(err)
	}
	for path, wantDifferences := range map[string][]Difference{
		dir: differences("tmp/"),
		write(t, t.TempDir(), "m.zip", zipOf(t, entries(files))): differences("tmp/cache/x.php"),
	} {
		r, err := openPath(t, path, Options{AcceptUnsigned: true})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(wantDifferences, r.Differences); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
		if diff := cmp.Diff(want, collect(t, r, nil)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
}

func TestMD5Manifest(t *testing.T) {
	files := smallRelease()
	for _, body := range files {
		files[manifestPath] = strings.ReplaceAll(files[manifestPath], fmt.Sprintf("%x", sha256.Sum256([]byte(body))), fmt.Sprintf("%x", md5.Sum([]byte(body))))
	}
	files["console"] = "#!/usr/bin/env PHP\n"
	r, err := openPath(t, writeTree(t, files), Options{AcceptUnsigned: true})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Difference{{"console", Changed}}, r.Differences); diff != "" {
		t.Error(diff)
	}
}

func TestDirectoryWithLinksIsRefused(t *testing.T) {
	for name, spoil := range map[string]func(dir string) error{
		"a link as a file": func(dir string) error {
			return errors.Join(os.Remove(dir+"/index.php"), os.Symlink("/etc/passwd", dir+"/index.php"))
		},
		"a link within": func(dir string) error {
			return errors.Join(os.Remove(dir+"/index.php"), os.Symlink("console", dir+"/index.php"))
		},
		"a link as a directory": func(dir string) error {
			return errors.Join(os.Rename(dir+"/core", dir+"/core2"), os.Symlink("core2", dir+"/core"))
		},
		"no manifest": func(dir string) error { return os.Remove(dir + "/" + manifestPath) },
		"no version":  func(dir string) error { return os.Remove(dir + "/" + versionPath) },
		"a huge file": func(dir string) error { return os.Truncate(dir+"/index.php", releaseLimits.file+1) },
		"a link above": func(dir string) error {
			return errors.Join(os.Remove(dir+"/"+manifestPath), os.Symlink("/etc/passwd", dir+"/"+manifestPath))
		},
	} {
		dir := writeTree(t, smallRelease())
		if err := spoil(dir); err != nil {
			t.Fatal(err)
		}
		if _, err := openPath(t, dir, Options{AcceptUnsigned: true}); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func TestSwapAfterVerifyingIsCaught(t *testing.T) {
	dir := writeTree(t, smallRelease())
	for name, swap := range map[string]func() error{
		"changed": func() error { return os.WriteFile(dir+"/index.php", []byte("<?php evil();    "), 0o644) },
		"removed": func() error { return os.Remove(dir + "/lang/de.json") },
	} {
		r, err := openPath(t, dir, Options{AcceptUnsigned: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := swap(); err != nil {
			t.Fatal(err)
		}
		err = r.Walk(t.Context(), nil, func(e Entry) error {
			if e.Path == "index.php" && name == "changed" {
				t.Error("the swapped file was handed out")
			}
			return nil
		})
		if err == nil || !strings.Contains(err.Error(), "changed after it was verified") {
			t.Errorf("%s: got %v", name, err)
		}
	}

	path := write(t, t.TempDir(), "m.zip", zipOf(t, entries(smallRelease())))
	r, err := openPath(t, path, Options{AcceptUnsigned: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	if got := collect(t, r, nil); len(got) != len(smallRelease()) {
		t.Error("an archive is read from where others can change it")
	}
}

func TestWalkStops(t *testing.T) {
	r, err := openPath(t, writeTree(t, smallRelease()), Options{AcceptUnsigned: true})
	if err != nil {
		t.Fatal(err)
	}
	full := errors.New("disk full")
	calls := 0
	if err := r.Walk(t.Context(), nil, func(Entry) error { calls++; return full }); !errors.Is(err, full) || calls != 1 {
		t.Errorf("got %v after %d calls", err, calls)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(full)
	if err := r.Walk(ctx, nil, func(Entry) error { return nil }); !errors.Is(err, full) {
		t.Errorf("got %v", err)
	}
}

func TestHostileArchives(t *testing.T) {
	with := func(extra ...packed) []packed { return append(entries(smallRelease()), extra...) }
	for _, test := range []struct {
		name string
		list []packed
		want string
	}{
		{"zip-slip", with(packed{name: "matomo/../../etc/cron.d/x", body: "x"}), "could lead out"},
		{"zip-slip beside", with(packed{name: "../x", body: "x"}), "could lead out"},
		{"absolute", with(packed{name: "/etc/cron.d/x", body: "x"}), "absolute"},
		{"dot", with(packed{name: "matomo/./x", body: "x"}), "could lead out"},
		{"empty part", with(packed{name: "matomo//x", body: "x"}), "could lead out"},
		{"backslash", with(packed{name: `matomo\..\x`, body: "x"}), "backslash"},
		{"newline", with(packed{name: "matomo/a\nb", body: "x"}), "control character"},
		{"escape", with(packed{name: "matomo/\x1b[2J", body: "x"}), "control character"},
		{"invalid UTF-8", with(packed{name: "matomo/\xff", body: "x"}), "UTF-8"},
		{"long part", with(packed{name: "matomo/" + strings.Repeat("a", 256), body: "x"}), "could lead out"},
		{"long path", with(packed{name: "matomo/" + strings.Repeat("abc/", 300) + "x", body: "x"}), "too long"},
		{"symbolic link", with(packed{name: "matomo/link", kind: tar.TypeSymlink, link: "/etc"}), "link"},
		{"named pipe", with(packed{name: "matomo/fifo", kind: tar.TypeFifo}), "p"},
		{"device", with(packed{name: "matomo/dev", kind: tar.TypeChar}), "d"},
		{"duplicate", with(packed{name: "matomo/index.php", body: "<?php evil();"}), "twice"},
		{"case collision", with(packed{name: "matomo/Index.php", body: "x"}), "upper and lower case"},
		{"case collision of directories", with(packed{name: "matomo/Core/x", body: "x"}), "upper and lower case"},
		{"file below a file", with(packed{name: "matomo/index.php/x", body: "x"}), "file and a directory"},
		{"file over a directory", with(packed{name: "matomo/core", body: "x"}), "file and a directory"},
		{"bomb", with(packed{name: "matomo/x", body: strings.Repeat("0", 17<<20)}), "unpacks to far more"},
		{"no top directory", []packed{{name: "index.php", body: "x"}}, "no Matomo"},
		{"something else", []packed{{name: "wordpress/index.php", body: "x"}}, "no Matomo"},
		{"empty", nil, ""},
	} {
		for ending, pack := range map[string]func(testing.TB, []packed) []byte{".tar.gz": tarGzOf, ".zip": zipOf} {
			refused(t, test.name+ending, ending, pack(t, test.list), test.want)
		}
	}
}

func TestHostileTarballs(t *testing.T) {
	good := tarOf(t, entries(smallRelease()))
	with := func(extra packed) []byte { return tarGzOf(t, append(entries(smallRelease()), extra)) }
	compressed := gzipOf(t, good)
	for name, test := range map[string]struct {
		data []byte
		want string
	}{
		"hard link":              {with(packed{name: "matomo/l", kind: tar.TypeLink, link: "matomo/index.php"}), "hard link"},
		"block device":           {with(packed{name: "matomo/b", kind: tar.TypeBlock}), "device"},
		"unknown type":           {with(packed{name: "matomo/u", kind: 'Z'}), "unknown type"},
		"size that is not there": {with(packed{name: "matomo/s", size: 1 << 20}), "ends after 0 of"},
		"absurd size":            {with(packed{name: "matomo/s", size: 1 << 40}), "no file of Matomo has more"},
		"truncated":              {compressed[:len(compressed)/2], "ends after"},
		"without its last byte":  {compressed[:len(compressed)-1], "EOF"},
		"wrong checksum":         {append(slices.Clone(compressed[:len(compressed)-8]), 0, 0, 0, 0, compressed[len(compressed)-4], compressed[len(compressed)-3], compressed[len(compressed)-2], compressed[len(compressed)-1]), "checksum"},
		"garbage behind":         {append(slices.Clone(compressed), "garbage"...), "behind its end"},
		"another stream behind":  {append(slices.Clone(compressed), compressed...), "behind its end"},
		"garbage behind the tar": {gzipOf(t, append(slices.Clone(good), "garbage"...)), "behind the last entry"},
		"another tar behind":     {gzipOf(t, append(slices.Clone(good), good...)), "behind the last entry"},
		"tar without its end":    {gzipOf(t, bytes.TrimRight(good, "\x00")), ""},
		"tar with half an end":   {gzipOf(t, good[:len(good)-1024]), "truncated"},
		"zeros behind":           {gzipOf(t, append(slices.Clone(good), make([]byte, 20<<20)...)), "unpacks to far more"},
		"not compressed":         {good, "neither gzip nor zip"},
		"three bytes":            {[]byte("\x1f\x8b\x08"), "too short"},
		"gzip header only":       {[]byte("\x1f\x8b\x08\x00"), "EOF"},
		"gzip of something":      {gzipOf(t, []byte("hello")), "EOF"},
		"gzip of nothing":        {gzipOf(t, nil), "truncated"},
		"bomb that says nothing": {bomb(t), "far more"},
	} {
		refused(t, name, ".tar.gz", test.data, test.want)
	}
}

// bomb is a tarball whose many entries lie outside the top directory.
func bomb(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(z)
	for i := range 40 {
		if err := w.WriteHeader(&tar.Header{Name: fmt.Sprintf("beside/%d", i), Typeflag: tar.TypeReg, Size: 1 << 20}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestHostileZips(t *testing.T) {
	good := zipOf(t, entries(smallRelease()))
	change := func(old, new string) []byte { return bytes.Replace(good, []byte(old), []byte(new), 1) }
	flags := slices.Clone(good)
	directory := bytes.Index(flags, []byte("PK\x01\x02"))
	flags[directory+8] |= 1
	for name, test := range map[string]struct {
		data []byte
		want string
	}{
		"truncated":      {good[:len(good)-30], "not a valid zip"},
		"garbage behind": {append(slices.Clone(good), "garbage"...), "behind its end"},
		"encrypted":      {flags, "encrypted"},
		"wrong content":  {change(firstFile(t, good), "XXXX"), ""},
		"header only":    {[]byte("PK\x03\x04"), "not a valid zip"},
		"absurd size":    {zipThatSays(t, 1<<40), "no file of Matomo has more"},
		"negative size":  {zipThatSays(t, 1<<63), "unpacks to far more"},
		"other size":     {zipThatSays(t, 3), "ends after 0 of 3"},
	} {
		refused(t, name, ".zip", test.data, test.want)
	}
}

// zipThatSays is an archive with an empty file that is said to have a size.
func zipThatSays(t *testing.T, size uint64) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	if _, err := w.CreateRaw(&zip.FileHeader{Name: "matomo/x", UncompressedSize64: size}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// firstFile returns some bytes of a compressed file.
func firstFile(t *testing.T, archive []byte) string {
	t.Helper()
	i := bytes.Index(archive, []byte("matomo/index.php"))
	if i < 0 {
		t.Fatal("no index.php")
	}
	start := i + len("matomo/index.php") + 3
	return string(archive[start : start+4])
}

func TestTooManyEntries(t *testing.T) {
	budget := budget{limits: limits{entries: 2, file: 1}, left: 10}
	for i := range 2 {
		if err := budget.spend(item{}); err != nil {
			t.Fatalf("entry %d: %v", i, err)
		}
	}
	if err := budget.spend(item{}); err == nil || !strings.Contains(err.Error(), "more than 2 entries") {
		t.Errorf("got %v", err)
	}
}

// refused checks that an archive is not opened, even unsigned.
func refused(t *testing.T, name, ending string, data []byte, want string) {
	t.Helper()
	path := write(t, t.TempDir(), "m"+ending, data)
	_, err := openPath(t, path, Options{AcceptUnsigned: true})
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%s: got %v, want an error with %q", name, err, want)
	}
}

func TestDownload(t *testing.T) {
	key := newKey(t, nil)
	data := tarGzOf(t, entries(smallRelease()))
	files := map[string][]byte{"/a/m.tar.gz": data, "/a/m.tar.gz.asc": sign(t, key, data, nil), "/unsigned.tar.gz": data}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.UserAgent() != "rocca" {
			http.Error(w, "no", http.StatusForbidden)
			return
		}
		switch file, ok := files[r.URL.Path]; {
		case ok:
			w.Write(file)
		case r.URL.Path == "/down.tar.gz":
			http.Redirect(w, r, "http://"+r.Host+"/a/m.tar.gz", http.StatusFound)
		case r.URL.Path == "/cut.tar.gz":
			w.Header().Set("Content-Length", "1000")
			w.Write([]byte("half"))
		case r.URL.Path == "/busy.tar.gz":
			http.Error(w, "no", http.StatusServiceUnavailable)
		default:
			http.NotFound(w, r)
		}
	}))
	defer server.Close()
	get := func(path string, options Options) (*Release, error) {
		options.Client = server.Client()
		source, err := Parse(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		return Open(t.Context(), source, options)
	}

	var spooled *os.File
	var done, total int64
	r, err := get("/a/m.tar.gz?x=1", Options{
		Keys:     publicKey(t, key),
		Progress: func(d, t int64) { done, total = d, t },
		Spool: func(name string) (*os.File, error) {
			if name != "m.tar.gz" {
				t.Errorf("the file is named %q", name)
			}
			file, err := os.Create(filepath.Join(t.TempDir(), "spool"))
			spooled = file
			return file, err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if done != int64(len(data)) || total != done {
		t.Errorf("progress ended at %d of %d", done, total)
	}
	if diff := cmp.Diff(smallRelease(), collect(t, r, nil)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got, err := os.ReadFile(spooled.Name()); err != nil || !bytes.Equal(got, data) {
		t.Error("the archive is not in the file of the caller")
	}
	r.Close()
	if _, err := spooled.Stat(); !errors.Is(err, os.ErrClosed) {
		t.Error("Close leaves the file open")
	}

	for path, want := range map[string]string{
		"/unsigned.tar.gz": "--accept-unsigned",
		"/none.tar.gz":     "no such file",
		"/down.tar.gz":     "leads from https to http",
		"/cut.tar.gz":      "--release PATH",
		"/busy.tar.gz":     "503",
	} {
		if _, err := get(path, Options{Keys: publicKey(t, key)}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want an error with %q", path, err, want)
		}
	}
	if r, err := get("/unsigned.tar.gz", Options{AcceptUnsigned: true}); err != nil || r.Signer != "" {
		t.Errorf("accepted unsigned: %v", err)
	}
}

func TestPlainHTTPNeedsASignature(t *testing.T) {
	data := tarGzOf(t, entries(smallRelease()))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/m.tar.gz" {
			http.NotFound(w, r)
			return
		}
		w.Write(data)
	}))
	defer server.Close()
	_, err := Open(t.Context(), Source{URL: server.URL + "/m.tar.gz"}, Options{AcceptUnsigned: true})
	if err == nil || !strings.Contains(err.Error(), "use https") {
		t.Errorf("got %v", err)
	}
}

func TestNoNetworkNamesTheWayOut(t *testing.T) {
	_, err := openPath(t, "5.3.0", Options{})
	if err == nil || !strings.Contains(err.Error(), "--release PATH") || !strings.Contains(err.Error(), "builds.matomo.org") {
		t.Errorf("got %v", err)
	}
}

func TestOldReleaseUnderANewNameIsRefused(t *testing.T) {
	key := newKey(t, nil)
	data := tarGzOf(t, entries(smallRelease()))
	client := &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		w := httptest.NewRecorder()
		if strings.HasSuffix(r.URL.Path, ".asc") {
			w.Write(sign(t, key, data, nil))
		} else {
			w.Write(data)
		}
		return w.Result(), nil
	})}
	if _, err := openPath(t, "5.9.1", Options{Client: client, Keys: publicKey(t, key)}); err != nil {
		t.Error(err)
	}
	if _, err := openPath(t, "5.10.0", Options{Client: client, Keys: publicKey(t, key)}); err == nil || !strings.Contains(err.Error(), "version 5.9.1, not 5.10.0") {
		t.Errorf("got %v", err)
	}
}

func TestTrim(t *testing.T) {
	german := &Trim{Languages: []string{"de", "pt-br"}}
	for path, dropped := range map[string]bool{
		"tests/README.md":                           true,
		"tests/PHPUnit/x.php":                       true,
		"README.md":                                 true,
		"vendor/twig/twig/README.md":                true,
		"plugins/Goals/vue/src/Goals.vue":           true,
		"plugins/Goals/vue/src/deep/Goals.store.ts": true,
		"misc/cron/archive.php":                     true,
		"misc/others/x.php":                         true,
		"misc/log-analytics/import_logs.py":         true,
		"misc/proxy-hide-piwik-url/matomo.php":      true,
		"lang/fr.json":                              true,
		"plugins/Goals/lang/pt.json":                true,

		"lang/en.json":                          false,
		"lang/de.json":                          false,
		"plugins/Goals/lang/pt-br.json":         false,
		"plugins/Goals/vue/src/Goals.less":      false,
		"plugins/Goals/vue/dist/Goals.umd.js":   false,
		"plugins/Goals/lang/sub/x.json":         false,
		"vendor/twig/twig/src/Test/x.php":       false,
		"vendor/phpmailer/language/lang-fr.php": false,
		"vendor/x/lang/fr.json":                 false,
		"misc/user/index.html":                  false,
		"node_modules/x/vue/src/x.ts":           false,
		"core/tests.php":                        false,
		"index.php":                             false,
	} {
		if german.Drops(path) != dropped {
			t.Errorf("%s: dropped is not %t", path, dropped)
		}
	}
	r, err := openPath(t, writeTree(t, smallRelease()), Options{AcceptUnsigned: true})
	if err != nil {
		t.Fatal(err)
	}
	want := smallRelease()
	for _, gone := range []string{"README.md", "lang/de.json", "plugins/Goals/vue/src/Goals.vue"} {
		delete(want, gone)
	}
	if diff := cmp.Diff(want, collect(t, r, &Trim{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
