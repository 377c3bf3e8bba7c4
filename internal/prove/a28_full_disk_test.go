package prove

import "testing"

func TestParseWritten(t *testing.T) {
	const out = "file /a/config yes 6343 6343 10 10\nfile /b/config no 2778 4096 3 2\nexit 5\nsome\n  text exit 7\n"
	got, err := parseWritten([]byte(out))
	if err != nil {
		t.Fatal(err)
	}
	want := []written{
		{dir: "/a/config", whole: true, before: 6343, after: 6343, sectionsBefore: 10, sections: 10, exit: 5, said: "some text exit 7"},
		{dir: "/b/config", whole: false, before: 2778, after: 4096, sectionsBefore: 3, sections: 2, exit: 5, said: "some text exit 7"},
	}
	if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("got %+v", got)
	}
	for _, bad := range []string{"", "exit 0\n", "file /a yes 1 1 1 1\n", "file /a yes 1\nexit 0\n", "file /a yes 1 1 1 1\nexit x\n"} {
		if got, err := parseWritten([]byte(bad)); err == nil {
			t.Errorf("%q was read as %+v", bad, got)
		}
	}
}

func TestOtherLanguage(t *testing.T) {
	for before, after := range map[string]string{
		"domain: x\n":               "domain: x\nlanguage: de\n",
		"domain: x":                 "domain: x\nlanguage: de\n",
		"language: en\ndomain: x\n": "domain: x\nlanguage: de\n",
		"domain: x\nlanguage: de\n": "domain: x\nlanguage: fr\n",
		"site:\n  language: de\n":   "site:\n  language: de\nlanguage: de\n",
	} {
		if got := otherLanguage(before); got != after {
			t.Errorf("%q became %q, not %q", before, got, after)
		}
	}
}
