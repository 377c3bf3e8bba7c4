package ini

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestGoldenFileIsReadAndWrittenBack(t *testing.T) {
	golden, err := os.ReadFile("testdata/config.ini.php")
	if err != nil {
		t.Fatal(err)
	}
	var made File
	for _, s := range [][3]string{
		{"database", "host", "localhost"},
		{"database", "unix_socket", "/run/mysqld/mysqld.sock"},
		{"database", "username", "matomo"},
		{"database", "password", `a"b&c$d<e>f'g\h=i;j`},
		{"database", "dbname", "matomo"},
		{"database", "tables_prefix", "matomo_"},
		{"database", "charset", "utf8mb4"},
		{"General", "enable_installer", "0"},
		{"General", "salt", "0123456789abcdef0123456789abcdef"},
		{"General", "login_message", "Grüße ♥ 日本 é"},
		{"General", "version", "5.3.0"},
		{"General", "ratio", "1.5"},
		{"General", "padded", "007"},
		{"General", "negative", "-5"},
		{"General", "big", "9223372036854775808"},
		{"General", "empty", ""},
	} {
		made.Set(s[0], s[1], s[2])
	}
	made.SetList("General", "trusted_hosts", []string{"stats.example.org", "127.0.0.1:8080"})
	made.Sections[1].Settings = append(made.Sections[1].Settings, Setting{Key: "currencies", List: []Item{{"BTC", "Bitcoin"}}})
	made.SetList("Plugins", "Plugins", []string{"CorePluginsAdmin", "Login"})

	if diff := cmp.Diff(string(golden), encode(t, made)); diff != "" {
		t.Errorf("written file (-golden +got):\n%s", diff)
	}
	if diff := cmp.Diff(made, parse(t, string(golden))); diff != "" {
		t.Errorf("read file (-want +got):\n%s", diff)
	}
	if !Guarded(golden) {
		t.Error("the golden file has no guard")
	}
}

// accepted are statements below "[S]" and what "a" then is. PHP agrees: see
// TestPHPReadsTheSame.
var accepted = []struct{ text, want string }{
	{`a = "plain"`, "plain"},
	{`a="x"`, "x"},
	{" \ta = \t\"x\" \t; comment", "x"},
	{`a = 'it is'`, "it is"},
	{`a = ''`, ""},
	{`a = `, ""},
	{`a = ; comment`, ""},
	{`a = foo bar  baz ; c`, "foo bar  baz"},
	{`a = http://x.y/z?a`, "http://x.y/z?a"},
	{`a = 007`, "007"},
	{`a = - 5`, "- 5"},
	{`a = "$foo"`, "$foo"},
	{`a = x\;y`, `x\`},
	{`a = [x]`, "[x]"},
	{`a = x#y`, "x#y"},
	{`a = true`, "1"},
	{`a = on`, "1"},
	{`a = YES`, "1"},
	{`a = "true"`, "true"},
	{`a = false`, "0"},
	{`a = off;x`, "0"},
	{`a = FALSE`, ""},
	{`a = none`, ""},
	{`a = null`, ""},
	{`a = nullx`, "nullx"},
	{`a = "x\y"`, `x\y`},
	{`a = "x\\y"`, `x\y`},
	{`a = "x\"y"`, `x"y`},
	{`a = "x\'y"`, `x\'y`},
	{`a = "C:\dir\"`, `C:\dir\`},
	{`a = "x\\"`, `x\`},
	{`a = 'x\'`, `x\`},
	{"a = \"x\ny\"", "x\ny"},
	{"a = \"x\r\ny\" ; c", "x\r\ny"},
	{"; comment\ra = 1", "1"},
	{`a = "&amp;&lt;&quot;&#36;&#x24;&#X24;&hearts;&#10;"`, "&<\"$$$♥\n"},
	{`a = "&apos;&#39;&#0;&#1;&#128;&#55296;&#1114112;&#36 &amp &;&#;&#x;&AMP;&a&amp;"`, "&apos;&#39;&#0;&#1;&#128;&#55296;&#1114112;&#36 &amp &;&#;&#x;&AMP;&a&"},
	{"a = 1\na = 2", "2"},
	{"a[] = 1\na = 2", "2"},
	{"a = 1\n[T]\nb = 1\n[S]\na = 2", "2"},
}

func TestParseReadsAsPHPDoes(t *testing.T) {
	for _, test := range accepted {
		f := parse(t, "[S]\n"+test.text+"\n")
		if got, ok := f.Get("S", "a"); !ok || got != test.want {
			t.Errorf("%q is read as %q, %t; want %q", test.text, got, ok, test.want)
		}
	}
}

func TestParseListsDuplicatesAndSections(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       []Section
	}{
		{"list and keys", "[S]\na[] = 1\na[k] = 2\na[7] = 3\na[] = 4\na[k] = 5\na[7] = 6\n",
			[]Section{{"S", []Setting{{Key: "a", List: []Item{{"", "1"}, {"k", "5"}, {"", "6"}, {"", "4"}}}}}}},
		{"a list replaces a value", "[S]\na = 1\na[] = 2\n",
			[]Section{{"S", []Setting{{Key: "a", List: []Item{{"", "2"}}}}}}},
		{"a list starts anew after a value", "[S]\na[] = 1\na = 2\na[] = 3\n",
			[]Section{{"S", []Setting{{Key: "a", List: []Item{{"", "3"}}}}}}},
		{"the last section of a name counts, in the place of the first", "[S]\na = 1\n[T]\nb = 1\n[S]\nc = 2\n",
			[]Section{{"S", []Setting{{Key: "c", Value: "2"}}}, {"T", []Setting{{Key: "b", Value: "1"}}}}},
		{"an empty section hides the one before", "[S]\na = 1\n[S]\n", nil},
		{"carriage returns are line ends", "[S]\ra=1\r\nb=2\r", []Section{{"S", []Setting{{Key: "a", Value: "1"}, {Key: "b", Value: "2"}}}}},
	} {
		if diff := cmp.Diff(test.want, parse(t, test.text).Sections); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"a = 1\n", "line 1: key a stands before the first section"},
		{"[S]\nb\n", "line 2: neither a section nor a key"},
		{"[S\na=1\n", "line 1: the section has no closing bracket"},
		{"[S] b = 1\n", "line 1: there is more on the line"},
		{"[S]\n#a = 1\n", `line 2: the name "#a" does not match`},
		{"[S]\n\"a\" = 1\n", "line 2: the name"},
		{"[a\x00b]\n", "line 1: the name"},
		{"[S]\nnull = 1\n", `line 2: the name "null" is a value to PHP`},
		{"[S]\na[ = 1\n", "line 2: key a: no closing bracket"},
		{"[S]\na[b c] = 1\n", "line 2: key a: the name"},
		{"[S]\n\n;c\r\na = \"x\n", "line 4: key a: the value has no closing quote"},
		{"[S]\na = \"1\n2\n3\"\nb = 'x\n", "line 5: key b: the value has no closing quote"},
		{"[S]\na = \"x\"y\n", "line 2: key a: there is more on the line"},
		{"[S]\na = \"x\\\" \n", "line 2: key a: the value has no closing quote"},
		{"[S]\na = x\"y\"\n", "line 2: key a: the value has to be quoted"},
		{"[S]\na = it's\n", "line 2: key a: the value has to be quoted"},
		{"[S]\na = x=y\n", "line 2: key a: the value has to be quoted"},
		{"[S]\na = 1 | 2\n", "line 2: key a: the value has to be quoted"},
		{"[S]\na = no thanks\n", "line 2: key a: the value has to be quoted"},
		{"[S]\na = \"${HOME}\"\n", "line 2: key a: the value uses a PHP variable"},
		{"[S]\na = \"x\\$y\"\n", "line 2: key a: the value has a backslash before a dollar"},
		{"[S]\na = \"\\\\\"\"\n", "line 2: key a: the value has two backslashes before a quote"},
		{"[S]\na = ${HOME}\n", "line 2: key a: the value has to be quoted"},
		{"[S]\na = x$\nb = 1\n", "line 2: key a: the value has to be quoted"}, // to PHP, this "$" takes the line break with it
		{"[S]\n [T]\n", "line 2: neither a section nor a key"},
		{"[S]\na = \"x\x00\"\n", "line 2: key a: the value holds the control character U+0000"},
		{"[S]\na = \"\xff\"\n", "line 2: key a: the value is not valid UTF-8"},
		{strings.Repeat(";", sizeLimit+1), "more than"},
	} {
		_, err := Parse([]byte(test.text))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("Parse(%.40q) = %v, want an error with %q", test.text, err, test.want)
		}
	}
}

func TestParseErrorsShowNoValue(t *testing.T) {
	for _, text := range []string{
		"[database]\npassword = hunter2\"\n",
		"[database]\npassword = \"hunter2\"hunter2\n",
		"[database]\npassword = \"x\" hunter2\n",
		"[database]\npassword = \"hunter2\n",
		"[database]\nhunter2\n",
		"[database]\npassword = \"hunter2\x01\"\n",
	} {
		if _, err := Parse([]byte(text)); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("Parse(%q) = %v", text, err)
		}
	}
}

func TestEncodeRefuses(t *testing.T) {
	one := func(section, key, value string) File {
		return File{[]Section{{section, []Setting{{Key: key, Value: value}}}}}
	}
	for name, f := range map[string]File{
		"NUL in a value":           one("S", "a", "x\x00y"),
		"escape in a value":        one("S", "a", "\x1b[0m"),
		"invalid UTF-8":            one("S", "a", "\xc3("),
		"line break in a key":      one("S", "a = 1\nb", "x"),
		"bracket in a key":         one("S", "a[]", "x"),
		"comment as a key":         one("S", ";a", "x"),
		"empty key":                one("S", "", "x"),
		"number as a key":          one("S", "1", "x"),
		"reserved key":             one("S", "Off", "x"),
		"section closed inside":    one("S]\nx = 1\n[T", "a", "x"),
		"empty section name":       one("", "a", "x"),
		"blank at the end":         one("S ", "a", "x"),
		"bad key of a list item":   {[]Section{{"S", []Setting{{Key: "a", List: []Item{{"k] = 1\nb[", "x"}}}}}}},
		"number as key of an item": {[]Section{{"S", []Setting{{Key: "a", List: []Item{{"0", "x"}}}}}}},
		"bad value in a list":      {[]Section{{"S", []Setting{{Key: "a", List: []Item{{"", "\x00"}}}}}}},
		"an item twice":            {[]Section{{"S", []Setting{{Key: "a", List: []Item{{"k", "x"}, {"k", "y"}}}}}}},
		"a key twice":              {[]Section{{"S", []Setting{{Key: "a"}, {Key: "a"}}}}},
		"a section twice":          {[]Section{{"S", []Setting{{Key: "a"}}}, {"S", []Setting{{Key: "b"}}}}},
	} {
		if got, err := f.Encode(); err == nil {
			t.Errorf("%s is written as %q", name, got)
		}
	}
}

// A value is data, whatever is in it.
func TestNoValueCanLeaveItsPlace(t *testing.T) {
	for _, value := range hostileValues {
		var f File
		f.Set("S", "a", value)
		f.SetList("S", "list", []string{value, value})
		f.Set("S", "z", "last")
		text := encode(t, f)
		if diff := cmp.Diff(f, parse(t, text)); diff != "" {
			t.Errorf("%q comes back different (-want +got):\n%s", value, diff)
		}
		if lines := strings.Count(text, "\n"); lines != 8 {
			t.Errorf("%q is written on %d lines:\n%s", value, lines, text)
		}
	}
}

var hostileValues = []string{
	"x\nenable_installer = 1", "x\"\nenable_installer = 1\n;", "x\r[General]\rsalt = 1", "\n", "\"", "'", "\\", "\\\\", "\\\\\\", `\"`, `"\`, `C:\dir\`, `\\server\share`,
	"${PATH}", "$", "\\${x}", "&#36;", "&amp;", "&quot;", "&#39;", "&bogus;", "&", "<?php phpinfo(); ?>", "?>", ";", "#", "[S]", "=", " x ", "\tx\t", "true", "null", "0", "-0", "1e3", "0x1A", "+1", "00", "\u00a0", "é日本😀", "\u0085\u2028\u7f00\x7f", "E_ALL", "\ufeff",
}

func TestSetSetListAndDelete(t *testing.T) {
	f := parse(t, "[A]\nx = 1\ny[] = 1\n[B]\nz = 1\n")
	f.Set("A", "x", "2")
	f.Set("A", "y", "now single")
	f.SetList("A", "new", []string{"p", "q"})
	f.Delete("B", "z")
	f.Delete("B", "not there")
	f.SetList("A", "also not there", nil)
	f.Set("C", "c", "3")
	want := []Section{
		{"A", []Setting{{Key: "x", Value: "2"}, {Key: "y", Value: "now single"}, {Key: "new", List: []Item{{"", "p"}, {"", "q"}}}}},
		{"C", []Setting{{Key: "c", Value: "3"}}},
	}
	if diff := cmp.Diff(want, f.Sections); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, ok := f.Get("A", "new"); ok {
		t.Error("Get answers for a list")
	}
	if got := f.List("A", "x"); got != nil {
		t.Errorf("List answers %q for a single value", got)
	}
	if diff := cmp.Diff([]string{"p", "q"}, f.List("A", "new")); diff != "" {
		t.Error(diff)
	}
}

func TestGuarded(t *testing.T) {
	for text, want := range map[string]bool{
		guard + "\n[S]\n":          true,
		guard + "\r\n[S]\r\n":      true,
		"\n" + guard + "\n":        false,
		"[S]\n":                    false,
		"; " + guard + "\n":        false,
		"\ufeff" + guard + "\n[S]": false,
		"":                         false,
	} {
		if Guarded([]byte(text)) != want {
			t.Errorf("Guarded(%q) is not %t", text, want)
		}
	}
}

func FuzzParseThenEncode(f *testing.F) {
	for _, test := range accepted {
		f.Add([]byte("[S]\n" + test.text + "\n"))
	}
	golden, err := os.ReadFile("testdata/config.ini.php")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(golden)
	f.Fuzz(func(t *testing.T, text []byte) {
		read, err := Parse(text)
		if err != nil {
			return
		}
		if diff := cmp.Diff(read, parse(t, encode(t, read))); diff != "" {
			t.Errorf("(-first +second)\n%s", diff)
		}
	})
}

func FuzzEncodeThenParse(f *testing.F) {
	for _, value := range hostileValues {
		f.Add("S", "a", "k", value)
	}
	f.Fuzz(func(t *testing.T, section, key, item, value string) {
		made := File{[]Section{
			{section, []Setting{{Key: key, Value: value}, {Key: "list", List: []Item{{"", value}, {item, value}}}}},
			{"Last", []Setting{{Key: "z", Value: "last"}}},
		}}
		text, err := made.Encode()
		if err != nil {
			return
		}
		if diff := cmp.Diff(made, parse(t, string(text))); diff != "" {
			t.Errorf("(-made +read)\n%s", diff)
		}
	})
}

func parse(t testing.TB, text string) File {
	t.Helper()
	f, err := Parse([]byte(text))
	if err != nil {
		t.Fatalf("parse %q: %v", text, err)
	}
	return f
}

func encode(t testing.TB, f File) string {
	t.Helper()
	text, err := f.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
