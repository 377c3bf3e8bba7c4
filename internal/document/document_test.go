package document

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type size string

// shelf has a field of every kind.
type shelf struct {
	Size   size           `yaml:"size"`
	Count  int            `yaml:"count"`
	Open   bool           `yaml:"open"`
	Home   netip.Prefix   `yaml:"home"`
	Others []netip.Prefix `yaml:"others"`
	Books  []book         `yaml:"books"`
	Inside struct {
		Names []string `yaml:"names"`
	} `yaml:"inside"`
}

type book struct {
	Title string `yaml:"title"`
}

var shelves = Schema{
	Keys: []Key{
		{"size", "How large.", "large"}, {"count", "How many.", "3"}, {"open", "Whether.", "true"}, {"home", "Where.", "192.0.2.0/24"}, {"others", "Where else.", "[192.0.2.7]"},
		{"books", "What.", "[{title: x}]"}, {"books.title", "Its name.", "x"}, {"inside", "Within.", ""}, {"inside.names", "Their names.", "[a]"},
	},
	Logins: "none here",
}

func TestDecodeOfASection(t *testing.T) {
	d := Parse("f", []byte("other: 1\ndeep:\n  shelf:\n    size: large\n    count: 3\n    open: true\n    home: 192.0.2.7\n    others: 192.0.2.0/24\n    books: [{title: x}]\n    inside: {names: [a, b]}\n"))
	got := shelf{Size: "small", Count: 7}
	if !d.Decode("deep.shelf", shelves, &got) {
		t.Fatal("deep.shelf is not found")
	}
	want := shelf{Size: "large", Count: 3, Open: true, Home: netip.MustParsePrefix("192.0.2.7/32"), Others: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, Books: []book{{"x"}}}
	want.Inside.Names = []string{"a", "b"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if !d.Sets("deep.shelf.inside.names") || d.Sets("size") || d.Origin("deep.shelf.count") != "f:5" || d.Origin("count") != "default" {
		t.Errorf("positions: %v", d.positions)
	}
	if err := d.Judge(nil); err != nil {
		t.Error(err)
	}
	if d.Decode("deep.cupboard", shelves, &got) || d.Decode("other.shelf", shelves, &got) {
		t.Error("found what is not there")
	}
}

func TestProblemsOfASection(t *testing.T) {
	d := Parse("f", []byte("deep:\n  shelf:\n    count: many\n    siz: 1\n    password: hunter2\n"))
	var s shelf
	d.Decode("deep.shelf", shelves, &s)
	err := d.Judge([]Problem{
		{Key: "deep.shelf.count", Text: "is not judged, as it could not be read"},
		{Key: "deep.shelf.inside.names", Text: "is empty"},
	})
	want := `f:2:3: deep.shelf.inside.names: is empty
f:3:12: deep.shelf.count: must be a whole number, not text
  hint: for example count: 3
f:4:5: deep.shelf.siz: unknown key
  hint: did you mean deep.shelf.size?
f:5:5: deep.shelf.password: unknown key
  hint: none here`
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Of a file that cannot be read at all, no value is judged.
func TestNothingIsJudgedOfWhatCannotBeRead(t *testing.T) {
	for _, text := range []string{"size: [\n", "- size\n", "size: \x00\n"} {
		d := Parse("f", []byte(text))
		var s shelf
		d.Decode("", shelves, &s)
		var bad *Error
		if err := d.Judge([]Problem{{Key: "size", Text: "is missing"}}); !errors.As(err, &bad) || len(bad.Problems) != 1 {
			t.Errorf("%q leads to: %v", text, err)
		}
	}
	if err := Parse("f", nil).Judge([]Problem{{Key: "size", Text: "is missing"}}); err == nil || err.Error() != "f: size: is missing" {
		t.Errorf("an empty file leads to: %v", err)
	}
}

func TestTemplateShowsWhatIsSet(t *testing.T) {
	s := shelf{Size: "large", Home: netip.MustParsePrefix("192.0.2.0/24")}
	s.Inside.Names = []string{"a"}
	set := Changed(s, shelf{Size: "small"})
	if diff := cmp.Diff([]string{"size", "home", "inside.names"}, set); diff != "" {
		t.Errorf("changed (-want +got):\n%s", diff)
	}
	text := shelves.Template(s, func(path string) bool {
		for _, p := range set {
			if p == path {
				return true
			}
		}
		return false
	})
	var lines []string
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	if got, want := strings.Join(lines, ""), "size: large\nhome: 192.0.2.0/24\ninside:\n  names: [a]\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	var again shelf
	d := Parse("f", text)
	d.Decode("", shelves, &again)
	if err := d.Judge(nil); err != nil || !reflect.DeepEqual(again, s) {
		t.Errorf("loads to %+v, %v", again, err)
	}
}

func TestPaths(t *testing.T) {
	var described []string
	for _, k := range shelves.Keys {
		described = append(described, k.Path)
	}
	if diff := cmp.Diff(described, Paths(reflect.TypeFor[shelf]())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A project's file may be a link or belong to anybody; one that root obeys may not.
func TestReadAndReadTrusted(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	if text, err := Read(link); string(text) != "x" || err != nil {
		t.Errorf("Read: %q, %v", text, err)
	}
	if _, err := ReadTrusted(link); err == nil || !strings.Contains(err.Error(), "is a symbolic link") {
		t.Errorf("ReadTrusted: %v", err)
	}
	if _, err := Read(filepath.Join(dir, "missing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if err := Vacant(link, "h"); err == nil || err.Error() != link+": exists already and is not overwritten\n  hint: h" {
		t.Errorf("Vacant: %v", err)
	}
	if err := Vacant(filepath.Join(dir, "missing"), "h"); err != nil {
		t.Error(err)
	}
}
