package reach

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"

	"rocca/internal/facts"
	"rocca/internal/picture"
)

// FuzzFacts asks everything of whatever facts can be decoded: they may come from
// a file.
func FuzzFacts(f *testing.F) {
	for _, s := range []facts.Server{own(), s2(), s1(), stock(), {}} {
		var text bytes.Buffer
		if err := facts.Encode(&text, s); err != nil {
			f.Fatal(err)
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, text.Bytes()); err != nil {
			f.Fatal(err)
		}
		f.Add(compact.Bytes())
	}
	f.Add([]byte(`{"version":1,"paths":{"/a":{"type":"symlink","mode":"0777","target":"b/../../a"},"/b":{"type":"symlink","target":"/a/b/c/a/b"},"x":{"type":"dir"},"":{"type":"dir"}},"trees":{"/":{".":{"type":"dir"},"a":{"type":"symlink","target":"a/a/a"}},"rel":{"../..":{"type":"file"}}},"matomo":{"root":"/a","real":"/","contexts":[{"config":"x","tmp":"/a/b","user":"u"},{"config":"","user":""}],"locked":false}}`))
	f.Add([]byte(`{"version":1,"php":{"branch":"","pools":[{"listen":":","user":"a","role":"ui"},{"listen":"[","user":"b"},{"listen":"/","user":"c","master":"m","sapi":"fpm"},{"listen":"9000|x","user":"d"}]},"units":{"u.service":{"loaded":true,"user":"a","exec":[{"path":"","args":["/"]}],"sandbox":{"BindPaths":":: a: :b","InaccessiblePaths":"- + / ..","ReadWritePaths":"%","IPAddressDeny":"x","RestrictAddressFamilies":"~"}}}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := facts.Decode(bytes.NewReader(text))
		if err != nil {
			return
		}
		g := New(s)
		exposed := g.Exposed()
		for _, p := range exposed {
			sound(t, p)
		}
		for _, write := range []func() error{
			func() error { return WriteText(io.Discard, exposed) },
			func() error { return WriteDOT(io.Discard, exposed) },
			func() error { return picture.Write(io.Discard, Drawing(exposed)) },
			func() error { return picture.Write(io.Discard, g.Picture()) },
		} {
			if err := write(); err != nil {
				t.Fatal(err)
			}
		}
		for _, at := range []string{"/", "", s.Matomo.Real, s.Matomo.Main().Config, "/etc/shadow"} {
			for _, paths := range [][]Path{g.Readers(at), g.Writers(at), g.WritersBelow(at)} {
				for _, p := range paths {
					sound(t, p)
				}
			}
		}
		g.CodeWriters()
		for _, p := range becoming(t, g, "root") {
			sound(t, p)
		}
		for _, from := range g.Principals() {
			for _, to := range []string{"", "secret", "database", "become root", "/etc/passwd"} {
				paths, err := g.Ask(from, to)
				if err != nil {
					t.Fatalf("from %q to %q: %v", from, to, err)
				}
				for _, p := range paths {
					sound(t, p)
				}
			}
		}
		again := strings.Join(lines(New(s).Exposed()), "\n")
		if once := strings.Join(lines(exposed), "\n"); once != again {
			t.Fatalf("two graphs of the same facts differ:\n%s\n%s", once, again)
		}
	})
}

// sound checks that a path is a chain of hops from its beginning to its end.
func sound(t *testing.T, p Path) {
	t.Helper()
	at := p.From
	for _, hop := range p.Hops {
		if hop.From != at || hop.Action == "" || hop.Why == "" {
			t.Fatalf("broken path %s at %+v", p, hop)
		}
		at = hop.To
	}
	if at != p.To || len(p.Hops) == 0 {
		t.Fatalf("path %s does not end at %s", p, p.To)
	}
}

// big is the s2 server with a tree of so many files.
func big(files int) facts.Server {
	s := s2()
	tree := s.Trees[s2code]
	for i := range files {
		dir := fmt.Sprintf("plugins/P%d/%d", i/2000, i/20%100)
		tree[fmt.Sprintf("plugins/P%d", i/2000)] = rootDir()
		tree[dir] = rootDir()
		tree[fmt.Sprintf("%s/file%d.php", dir, i)] = rootFile()
	}
	return s
}

func BenchmarkNew(b *testing.B) {
	for _, files := range []int{0, 11_000, 100_000, 1_000_000} {
		s := big(files)
		b.Run(fmt.Sprint(files), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				New(s)
			}
		})
	}
}

func BenchmarkQuestions(b *testing.B) {
	s := big(11_000)
	b.Run("exposed", func(b *testing.B) {
		for b.Loop() {
			New(s).Exposed()
		}
	})
	g := New(s)
	b.Run("readers", func(b *testing.B) {
		for b.Loop() {
			g.Readers(s2code + "/config/config.ini.php")
		}
	})
	b.Run("below", func(b *testing.B) {
		for b.Loop() {
			g.WritersBelow(s2code + "/plugins")
		}
	})
}
