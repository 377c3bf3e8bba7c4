package release

import (
	"archive/tar"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzArchive walks any bytes as an archive: whatever is visited has a path
// that stays inside, stands there once, and is within the limits.
func FuzzArchive(f *testing.F) {
	list := entries(smallRelease())
	f.Add(tarOf(f, list), true)
	f.Add(zipOf(f, list), false)
	f.Add(tarOf(f, append(list, packed{name: "matomo/../x", body: "x"})), true)
	f.Add(tarOf(f, append(list, packed{name: "matomo/l", kind: tar.TypeSymlink, link: "/"})), true)
	f.Add(zipOf(f, append(list, packed{name: "/etc/x", body: "x"})), false)
	f.Fuzz(func(t *testing.T, data []byte, compress bool) {
		if compress { // gives the fuzzer a way past the checksum of gzip
			data = gzipOf(t, data)
		}
		file, err := inMemory("fuzz")
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if _, err := file.Write(data); err != nil {
			t.Fatal(err)
		}
		small := limits{entries: 50, file: 1 << 16, total: 1 << 18, ratio: 50, slack: 1 << 17}
		walked := &archive{file: file, size: int64(len(data)), limits: small}
		seen, total := map[string]bool{}, int64(0)
		walked.each(context.Background(), func(found item, reader io.Reader) error {
			if !filepath.IsLocal(found.path) || filepath.Clean(found.path) != found.path || strings.ContainsAny(found.path, "\\\x00\n") {
				t.Errorf("visited the path %q", found.path)
			}
			folded := strings.ToLower(found.path)
			if seen[folded] && !found.dir {
				t.Errorf("visited %q twice", found.path)
			}
			seen[folded] = true
			if found.dir {
				return nil
			}
			body, err := readItem(found, reader, nil)
			total += int64(len(body))
			if int64(len(body)) > small.file || total > small.total || len(seen) > small.entries {
				t.Errorf("%q has %d bytes, all %d", found.path, len(body), total)
			}
			return err
		})
	})
}

func TestReadItemKeepsToTheSize(t *testing.T) {
	for _, size := range []int64{0, 3, 5} {
		got, err := readItem(item{path: "x", size: size}, strings.NewReader("1234"), make([]byte, 1))
		if err == nil {
			t.Errorf("4 bytes instead of %d were read as %q", size, got)
		}
	}
	if got, err := readItem(item{path: "x", size: 4}, strings.NewReader("1234"), nil); err != nil || string(got) != "1234" {
		t.Errorf("got %q, %v", got, err)
	}
}

// BenchmarkRealRelease opens and walks a real release, as a directory or made
// into an archive. ROCCA_REAL_RELEASE names its directory.
func BenchmarkRealRelease(b *testing.B) {
	dir := os.Getenv("ROCCA_REAL_RELEASE")
	if dir == "" {
		b.Skip("ROCCA_REAL_RELEASE does not name the directory of a real release")
	}
	b.Run("directory", func(b *testing.B) { benchmark(b, dir, Options{AcceptUnsigned: true}) })

	r, err := openPath(b, dir, Options{AcceptUnsigned: true})
	if err != nil {
		b.Fatal(err)
	}
	files := collect(b, r, nil)
	key := newKey(b, nil)
	for name, data := range map[string][]byte{"m.tar.gz": tarGzOf(b, entries(files)), "m.zip": zipOf(b, entries(files))} {
		path := write(b, b.TempDir(), name, data)
		write(b, filepath.Dir(path), name+".asc", sign(b, key, data, nil))
		b.Run(name, func(b *testing.B) { benchmark(b, path, Options{Keys: publicKey(b, key)}) })
	}
}

func benchmark(b *testing.B, path string, options Options) {
	var bytes int64
	for b.Loop() {
		r, err := openPath(b, path, options)
		if err != nil {
			b.Fatal(err)
		}
		bytes = 0
		err = r.Walk(context.Background(), nil, func(e Entry) error {
			n, err := io.Copy(io.Discard, e.Reader)
			bytes += n
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
		r.Close()
	}
	b.SetBytes(bytes)
}
