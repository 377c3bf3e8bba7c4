package pin

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

const id = "ami-0123456789abcdef0"

func TestPinKeepsEverythingElse(t *testing.T) {
	for _, c := range []struct{ name, before, after string }{
		{"replaced", "name: stats\ninstance:\n  type: t4g.small # small\n  image: ami-0aaa   # of May\n  disk: 30\n# end\n",
			"name: stats\ninstance:\n  type: t4g.small # small\n  image: " + id + "   # of May\n  disk: 30\n# end\n"},
		{"replaced in quotes", "instance:\n  image: 'ami-0aaa' # old\n", "instance:\n  image: " + id + " # old\n"},
		{"first of several", "instance:\n    # what it is\n    type: t4g.small\nname: stats\n", "instance:\n    # what it is\n    image: " + id + "\n    type: t4g.small\nname: stats\n"},
		{"one key", "instance:\n  type: t4g.small\n", "instance:\n  image: " + id + "\n  type: t4g.small\n"},
		{"commented out", "instance:\n  # image: ami-...\n  type: t4g.small\n", "instance:\n  # image: ami-...\n  image: " + id + "\n  type: t4g.small\n"},
		{"empty value", "instance:\n  image:\n  type: t4g.small\n", "instance:\n  image: " + id + "\n  type: t4g.small\n"},
		{"nothing below", "name: stats\ninstance:\nregion: eu-west-1\n", "name: stats\ninstance:\n  image: " + id + "\nregion: eu-west-1\n"},
		{"in braces", "instance: {type: t4g.small, disk: 30} # all\n", "instance: {image: " + id + ", type: t4g.small, disk: 30} # all\n"},
		{"in braces, replaced", "instance: {image: ami-0aaa, disk: 30}\n", "instance: {image: " + id + ", disk: 30}\n"},
		{"empty braces", "instance: {}\n", "instance: {image: " + id + "}\n"},
		{"not there", "name: stats\n# the end", "name: stats\n# the end\ninstance:\n  image: " + id + "\n"},
		{"empty file", "", "instance:\n  image: " + id + "\n"},
		{"not of another key", "cache:\n  image: x\ndatabase: {image: y}\n", "cache:\n  image: x\ndatabase: {image: y}\ninstance:\n  image: " + id + "\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := pinned([]byte(c.before), id)
			if err != nil || string(got) != c.after {
				t.Errorf("%v, got\n%s", err, got)
			}
		})
	}
}

func TestPinRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"JSON":             `{"context": {"matomo": {}}}`,
		"not YAML":         "instance: [",
		"several":          "a: 1\n---\nb: 2\n",
		"text":             "instance: small\n",
		"an anchor":        "big: &b {type: t4g.large}\ninstance: *b\n",
		"image in a block": "instance:\n  image: >\n    ami-0aaa\n",
	} {
		if got, err := pinned([]byte(text), id); err == nil {
			t.Errorf("%s: got\n%s", name, got)
		}
	}
}

func TestPinWritesTheFile(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "rocca-aws.yaml"), filepath.Join(dir, "link.yaml")
	if err := os.WriteFile(path, []byte("name: stats\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("rocca-aws.yaml", link); err != nil {
		t.Fatal(err)
	}
	if err := Image(link, id); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil || string(text) != "name: stats\ninstance:\n  image: "+id+"\n" {
		t.Errorf("%v\n%s", err, text)
	}
	if info, err := os.Lstat(path); err != nil || info.Mode() != 0o640 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".rocca-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if err := Image(filepath.Join(dir, "none.yaml"), id); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// FuzzPinned: what is not refused has the image, and all else as it was.
func FuzzPinned(f *testing.F) {
	for _, seed := range []string{"", "instance:\n  type: t4g.small\n", "instance: {}\n", "a: &x 1\ninstance:\n  image: *x\n", "instance:\n- a\n", "\tinstance:\n", "instance:\r\n  disk: 3\r\n", "? instance\n: disk: 1\n", "\"instance\": {\"image\": 1}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		after, err := pinned([]byte(text), id)
		if err != nil {
			return
		}
		var read map[string]any
		if err := yaml.Unmarshal(after, &read); err != nil {
			t.Fatalf("%v\n%s", err, after)
		}
		instance, _ := read["instance"].(map[string]any)
		if instance["image"] != id {
			t.Errorf("no image in\n%s", after)
		}
		var was map[string]any
		if yaml.Unmarshal([]byte(text), &was) == nil {
			for key := range was {
				if _, kept := read[key]; !kept {
					t.Errorf("%s is gone", key)
				}
			}
		}
		if !slices.Contains(strings.FieldsFunc(string(after), func(r rune) bool { return strings.ContainsRune(" \n{,}:", r) }), id) {
			t.Errorf("the image is not written as itself in\n%s", after)
		}
	})
}
