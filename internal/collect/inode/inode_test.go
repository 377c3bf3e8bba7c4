package inode

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"rocca/internal/facts"
)

func put(t testing.TB, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// walked lists the paths that a walk comes to.
func walked(t *testing.T, top string, visit func(e *Entry) bool) []string {
	t.Helper()
	var mu sync.Mutex
	var names []string
	err := Walk[struct{}]{
		Top:     top,
		Links:   func(struct{}) bool { return true },
		Problem: func(name string, err error) { t.Errorf("%s: %v", name, err) },
		Visit: func(_ int, _ struct{}, e *Entry) (struct{}, bool) {
			mu.Lock()
			defer mu.Unlock()
			names = append(names, e.Path())
			return struct{}{}, visit(e)
		},
	}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	return names
}

func everything(*Entry) bool { return true }

func TestWalkComesToEverything(t *testing.T) {
	top := t.TempDir()
	for i := range 30 {
		for j := range i {
			put(t, filepath.Join(top, fmt.Sprintf("d%d/e%d/f", i, j)), "x")
		}
	}
	for i := range 3 * share / 2 { // more than one worker takes at once
		put(t, filepath.Join(top, "large", fmt.Sprint(i)), "")
	}
	put(t, filepath.Join(top, "a\nb\xff"), "")
	if err := os.Symlink("..", filepath.Join(top, "up")); err != nil {
		t.Fatal(err)
	}
	var want []string
	err := filepath.WalkDir(top, func(name string, _ fs.DirEntry, err error) error {
		want = append(want, "/"+strings.TrimPrefix(strings.TrimPrefix(name, top), "/"))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, walked(t, top, everything)); diff != "" {
		t.Error(diff)
	}
	if got := walked(t, top, func(e *Entry) bool { return e.Path() == "/" }); len(got) != 33 {
		t.Errorf("not entered, yet came to %d entries", len(got))
	}
	if got := walked(t, filepath.Join(top, "missing"), everything); got != nil {
		t.Errorf("came to %v of nothing", got)
	}
	if got := walked(t, filepath.Join(top, "up"), everything); !slices.Equal(got, []string{"/"}) {
		t.Errorf("went through a link: %v", got)
	}
}

// TestWalkFollowsNoLink swaps a directory for a link while it waits.
func TestWalkFollowsNoLink(t *testing.T) {
	for _, depth := range []string{"a/b", "a/b/c/d"} {
		top, other := t.TempDir(), t.TempDir()
		put(t, filepath.Join(top, depth, "mine"), "")
		put(t, filepath.Join(other, "secret"), "")
		put(t, filepath.Join(other, "c/d/secret"), "")
		swapped := false
		got := walked(t, top, func(e *Entry) bool {
			if e.Path() == "/"+depth && !swapped {
				swapped = true
				at := filepath.Join(top, "a/b")
				if err := errors.Join(os.RemoveAll(at), os.Symlink(other, at)); err != nil {
					t.Error(err)
				}
			}
			return true
		})
		if slices.ContainsFunc(got, func(name string) bool { return strings.Contains(name, "secret") }) || !swapped {
			t.Errorf("came to %v", got)
		}
	}
}

// TestVanishing takes away what a walk has just come to.
func TestVanishing(t *testing.T) {
	top := t.TempDir()
	for i := range 50 {
		put(t, filepath.Join(top, fmt.Sprintf("%d/x", i)), "x")
	}
	var kept []string
	walked(t, top, func(e *Entry) bool {
		if e.Path() == "/" {
			return true
		}
		if err := os.RemoveAll(filepath.Join(top, e.Path())); err != nil {
			t.Error(err)
		}
		content, all, err := e.Read(nil, 10)
		if err == nil || all || len(content) != 0 {
			kept = append(kept, e.Path())
		}
		if xattrs, err := e.Xattrs(); err != nil || xattrs != nil {
			t.Errorf("attributes of nothing: %v %v", xattrs, err)
		}
		return true
	})
	if kept != nil {
		t.Errorf("read what is gone: %v", kept)
	}
}

func TestWalkEnds(t *testing.T) {
	top := t.TempDir()
	for i := range 200 {
		put(t, filepath.Join(top, fmt.Sprintf("%d/%d/x", i%20, i)), "x")
	}
	stop := errors.New("stop")
	ctx, cancel := context.WithCancelCause(t.Context())
	err := Walk[struct{}]{Top: top, Links: func(struct{}) bool { return true }, Problem: func(string, error) {},
		Visit: func(int, struct{}, *Entry) (struct{}, bool) { cancel(stop); return struct{}{}, true }}.Run(ctx)
	if !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
}

func TestRead(t *testing.T) {
	top := t.TempDir()
	content := strings.Repeat("0123456789", 1000)
	put(t, filepath.Join(top, "file"), content)
	put(t, filepath.Join(top, "empty"), "")
	put(t, filepath.Join(top, "target"), "secret")
	if err := os.Symlink("target", filepath.Join(top, "link")); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(filepath.Join(top, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	before := time.Now().Add(-72 * time.Hour)
	if err := os.Chtimes(filepath.Join(top, "file"), before, time.Now()); err != nil {
		t.Fatal(err)
	}
	walked(t, top, func(e *Entry) bool {
		switch e.Name {
		case "file":
			for _, c := range []struct {
				buffer, limit int
				want          string
				all           bool
			}{{0, 20000, content, true}, {20000, 20000, content, true}, {5, 10000, content, true}, {0, 9999, content[:9999], false}, {20000, 10, content[:10], false}, {0, 0, "", false}} {
				got, all, err := e.Read(make([]byte, c.buffer), c.limit)
				if string(got) != c.want || all != c.all || err != nil {
					t.Errorf("%+v: got %d bytes, all %t, %v", c, len(got), all, err)
				}
			}
			sum := sha256.Sum256([]byte(content))
			if got, err := e.SHA256(make([]byte, 7)); got != hex.EncodeToString(sum[:]) || err != nil {
				t.Errorf("hash %s, %v", got, err)
			}
		case "empty":
			if got, all, err := e.Read(nil, 10); len(got) != 0 || !all || err != nil {
				t.Errorf("empty: %q %t %v", got, all, err)
			}
		case "link":
			if got, _, err := e.Read(nil, 10); err == nil || len(got) != 0 {
				t.Errorf("read %q through a link", got)
			}
		case "pipe":
			if got, _, err := e.Read(nil, 10); len(got) != 0 { // does not wait
				t.Errorf("read %q from a pipe, %v", got, err)
			}
		}
		return true
	})
	var stat unix.Stat_t
	if err := unix.Stat(filepath.Join(top, "file"), &stat); err != nil || time.Unix(stat.Atim.Unix()).Sub(before).Abs() > time.Second {
		t.Errorf("the access time changed to %v, %v", time.Unix(stat.Atim.Unix()), err)
	}
}

func TestReadNames(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "etc/passwd"), "root:x:0:0:root:/root:/bin/sh\ntoor:x:0:0::/:/bin/sh\nbroken\nx:x:minus:0:::\nlast:x:4294967295:1:::\n+::::::\n")
	put(t, filepath.Join(dir, "etc/group"), "root:x:0:\nwww:x:33:a,b")
	names, err := ReadNames(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := Names{Users: map[uint32]string{0: "root", 4294967295: "last"}, Groups: map[uint32]string{0: "root", 33: "www"}}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
	if _, err := ReadNames(t.TempDir()); err == nil {
		t.Error("missing accounts are taken for none")
	}
}

// TestTreeTellsWhatItCannotRead: a plan that rests on half a tree is none.
func TestTreeTellsWhatItCannotRead(t *testing.T) {
	top := t.TempDir()
	put(t, filepath.Join(top, "a/b"), "x")
	got, err := Names{}.Tree(t.Context(), top)
	if err != nil || !slices.Equal(slices.Sorted(maps.Keys(got)), []string{".", "a", "a/b"}) || got["a/b"].Type != facts.File {
		t.Errorf("got %v, %v", got, err)
	}
	if os.Getuid() == 0 {
		t.Skip("root reads everything")
	}
	if err := os.Chmod(filepath.Join(top, "a"), 0); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.Chmod(filepath.Join(top, "a"), 0o755) }()
	if _, err := (Names{}).Tree(t.Context(), top); err == nil {
		t.Error("no error")
	}
}
