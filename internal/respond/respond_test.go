package respond

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"flag"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rocca/internal/incident"
	"rocca/internal/secret"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestRules(t *testing.T) {
	operator := []netip.Prefix{netip.MustParsePrefix("198.51.100.7/32"), netip.MustParsePrefix("2001:db8::/64")}
	reach := []netip.AddrPort{netip.MustParseAddrPort("10.0.0.5:3306"), netip.MustParseAddrPort("[2001:db8:1::5]:3306")}
	got, err := Rules(operator, reach)
	if err != nil {
		t.Fatal(err)
	}
	const kept = "testdata/block.nft"
	if *update {
		if err := errors.Join(os.MkdirAll("testdata", 0o755), os.WriteFile(kept, []byte(got), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(kept)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("-update rewrites it:\n%s", diff)
	}
	nobody, err := Rules(nil, nil)
	if err != nil || strings.Contains(nobody, "saddr") || strings.Count(nobody, "policy drop") != 3 {
		t.Errorf("for nobody: %v\n%s", err, nobody)
	}
	nft, err := exec.LookPath("nft")
	if err != nil || os.Geteuid() != 0 {
		t.Skip("the kernel is not asked: no nft, or no root")
	}
	for _, rules := range []string{got, nobody} {
		cmd := exec.Command(nft, "-c", "-f", "-")
		cmd.Stdin = strings.NewReader(rules)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("nft: %v\n%s", err, out)
		}
	}
}

func TestCheckOperator(t *testing.T) {
	for text, fine := range map[string]bool{"198.51.100.7/32": true, "198.51.100.0/24": true, "198.51.0.0/16": false, "0.0.0.0/0": false, "2001:db8::/48": true, "2001::/16": false, "::/0": false} {
		if err := CheckOperator(netip.MustParsePrefix(text)); (err == nil) != fine {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestBlockGrantsNoMoreTimeAfterAKill sees that the time at which a block goes
// is decided once.
func TestBlockGrantsNoMoreTimeAfterAKill(t *testing.T) {
	now := time.Date(2026, 11, 22, 3, 10, 0, 0, time.UTC)
	s := &Server{Hours: 24, Now: func() time.Time { return now }}
	c, err := incident.Open(filepath.Join(t.TempDir(), "case"), incident.About{Operator: "anna"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 2 {
		if err := c.Save("block", s.block()); err != nil {
			t.Fatal(err)
		}
		now = now.Add(10 * time.Hour)
	}
	var b blocked
	if _, err := c.Load("block", &b); err != nil || !b.Lift.Equal(time.Date(2026, 11, 23, 3, 10, 0, 0, time.UTC)) {
		t.Errorf("the block goes at %v: %v", b.Lift, err)
	}
}

func TestSnapshotHoldsFilesWithoutSecrets(t *testing.T) {
	const salt, token = "0123456789abcdef0123456789abcdef", "feedbeefcafe4711feedbeefcafe4711"
	top := t.TempDir()
	files := map[string]string{
		"config/config.ini.php": "[General]\nsalt = \"" + salt + "\"\nx = 1\n",
		"code/a.php":            "<?php $password = 'as released';",
		"code/cache.php":        "<?php return '" + salt + "';",
		"log/x.log":             "GET /?token_auth=" + token + "&x=1\nnext line\n",
		"log/no-newline.log":    "GET /?token_auth=" + token,
		"secret.yaml":           "password: hunter2",
		"binary":                "\x00password=1234567890\x00",
		"empty":                 "",
	}
	for name, text := range files {
		path := filepath.Join(top, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o640)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/etc/shadow", filepath.Join(top, "link")); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "case")
	c, err := incident.Open(dir, incident.About{Operator: "anna"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s := &Server{Files: []string{top, "/nowhere"}, Code: top + "/code", Leave: []string{top + "/secret.yaml"}, Secrets: []secret.Secret{secret.New(salt)}}
	c.Hide(s.Secrets...)
	for range 2 { // the second time there is nothing to do
		if err := s.copyFiles(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	var names []string
	for _, e := range c.Story().Evidence {
		names = append(names, e.Name)
	}
	if diff := cmp.Diff([]string{"snapshot/files.tar.gz", "snapshot/files.sha256"}, names); diff != "" {
		t.Error(diff)
	}
	got := map[string]string{}
	file, err := os.Open(dir + "/evidence/snapshot/files.tar.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	packed, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	for archive := tar.NewReader(packed); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimPrefix("/"+header.Name, top+"/")
		got[name] = string(text)
		if header.Typeflag == tar.TypeSymlink && header.Linkname != "/etc/shadow" {
			t.Errorf("the link leads to %s", header.Linkname)
		}
	}
	for name, text := range files {
		switch {
		case name == "secret.yaml":
			if _, there := got[name]; there {
				t.Error("a file of passwords was taken")
			}
		case len(got[name]) != len(text):
			t.Errorf("%s has %d bytes, not %d", name, len(got[name]), len(text))
		case strings.Contains(got[name], salt) || strings.Contains(got[name], token):
			t.Errorf("%s holds a secret: %s", name, got[name])
		}
	}
	for _, name := range []string{"code/a.php", "binary"} {
		if got[name] != files[name] {
			t.Errorf("%s was changed: %q", name, got[name])
		}
	}
	if !strings.Contains(got["log/x.log"], "next line\n") {
		t.Errorf("log: %q", got["log/x.log"])
	}
	sums, err := os.ReadFile(dir + "/evidence/snapshot/files.sha256")
	if err != nil || bytes.Count(sums, []byte("\n")) != len(files) {
		t.Errorf("hashes of %d files, want %d: %v", bytes.Count(sums, []byte("\n")), len(files), err)
	}
	if !slices.ContainsFunc(c.Story().NotTaken, func(g incident.Gap) bool { return strings.HasSuffix(g.What, "secret.yaml") }) {
		t.Error("what was left out is not told")
	}
}

func FuzzLineMask(f *testing.F) {
	f.Add([]byte("a token_auth=feedbeefcafe4711feedbeefcafe4711\nb\r\n"), 5)
	f.Add([]byte("\x00password=x"), 1)
	f.Fuzz(func(t *testing.T, text []byte, piece int) {
		var out bytes.Buffer
		m := &lineMask{w: &out}
		for part := range slices.Chunk(text, max(1, min(piece, 100))) {
			if _, err := m.Write(part); err != nil {
				t.Fatal(err)
			}
		}
		if err := m.flush(); err != nil {
			t.Fatal(err)
		}
		if out.Len() != len(text) || bytes.Count(out.Bytes(), []byte("\n")) != bytes.Count(text, []byte("\n")) {
			t.Fatalf("%q became %q", text, out.Bytes())
		}
	})
}
