package php

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func none(string) string { return "" }

func read(text, branch string) map[string]string {
	values := map[string]string{}
	for _, e := range parseINI(text, branch, func(name string) string {
		return map[string]string{"ROCCA_HOME": "/srv/x"}[name]
	}) {
		values[e.key] = e.value
	}
	return values
}

func TestParseINI(t *testing.T) {
	for _, test := range []struct{ text, key, value string }{
		{"display_errors = On", "display_errors", "1"},
		{"display_errors=off ; not shown", "display_errors", ""},
		{"a = None", "a", ""},
		{"a = yes", "a", "1"},
		{"a = \"On\"", "a", "On"},
		{"a = 'No'", "a", "No"},
		{"a = on the way", "a", "on the way"},
		{"a =", "a", ""},
		{"a", "a", ""},
		{"  memory_limit  =  128M  ", "memory_limit", "128M"},
		{"a = \"x;y\" ; z", "a", "x;y"},
		{"a = x\r\nb = y", "a", "x"},
		{`a = "say \"hi\" \\ \n"`, "a", `say "hi" \ \n`},
		{"a = 'raw \\ ${ROCCA_HOME}'", "a", `raw \ ${ROCCA_HOME}`},
		{"a = ${ROCCA_HOME}/tmp", "a", "/srv/x/tmp"},
		{"a = \"${ROCCA_HOME}/tmp\"", "a", "/srv/x/tmp"},
		{"a = ${ROCCA_MISSING}", "a", ""},
		{"a = \"two\nlines\"\nb = 1", "b", "1"},
		{"error_reporting = E_ALL & ~E_DEPRECATED & ~E_STRICT", "error_reporting", "22527"},
		{"error_reporting = E_ALL & ~(E_NOTICE | E_WARNING)", "error_reporting", "32757"},
		{"error_reporting = E_ALL", "error_reporting", "32767"},
		{"php_admin_value[memory_limit] = 32M", "php_admin_value[memory_limit]", "32M"},
		{"env[A] = \"b\"", "env[A]", "b"},
		{"; only = comment", "only", ""},
	} {
		if got := read(test.text, "8.2")[test.key]; got != test.value {
			t.Errorf("%q: %s is %q, want %q", test.text, test.key, got, test.value)
		}
	}
	if got := read("error_reporting = E_ALL", "8.4")["error_reporting"]; got != "30719" {
		t.Errorf("E_ALL of 8.4 is %s, want 30719", got)
	}
}

func TestSectionsAndLines(t *testing.T) {
	got := parseINI("a = 1\n\n[PATH=/var/www/x]\nb = \"1\n2\"\nc = 3\n[HOST=a.example]\nd=4", "8.2", none)
	want := []entry{
		{key: "a", value: "1", line: 1},
		{section: "PATH=/var/www/x", key: "b", value: "1\n2", line: 4, head: 3},
		{section: "PATH=/var/www/x", key: "c", value: "3", line: 6, head: 3},
		{section: "HOST=a.example", key: "d", value: "4", line: 8, head: 7},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(entry{})); diff != "" {
		t.Error(diff)
	}
}

// PHP itself is the judge where it is installed.
func TestAgreesWithPHP(t *testing.T) {
	program, err := exec.LookPath("php")
	if err != nil {
		t.Skip("PHP is not installed")
	}
	text := strings.Join([]string{
		`a = On`, `b = off`, `c = "quoted; text" ; comment`, `d = 'single'`, `e = plain words here   ; comment`, `f = none`, `g = "None"`, `h = 128M`,
		`i = "esc \"q\" \\ \x"`, `j = ${ROCCA_HOME}/x`, `k = "in ${ROCCA_HOME} it"`, `l = E_ALL & ~E_NOTICE`, `m = E_ERROR | E_WARNING`, `n = ~E_ALL & E_ALL`,
		`o =`, `p = "a" "b"`, `q = a"b"c`, `r = a "b" c 'd' e`, `ra = x'y'z`, `rb = 'a' 'b'`, `rc = 'a' "b" `, `s = 007`, `t = -1`, `u = /a/b:/c/d`, `v = .php .phar`, `w.x.y = 1`, `z = true`, `aa = null`, `ac = "x" ; y`, `ad = E_ALL`, `ae = "a
b"`, `af = !0`, `ag = 1|2`, `ah = a ${ROCCA_HOME} b`,
	}, "\n") + "\n"
	command := exec.Command(program, "-n", "-r", `$v = parse_ini_string(stream_get_contents(STDIN)); if (!is_array($v)) exit(1); echo PHP_MAJOR_VERSION, ".", PHP_MINOR_VERSION, "\n", json_encode(array_map("strval", $v));`)
	command.Env = []string{"ROCCA_HOME=/srv/x"}
	command.Stdin = strings.NewReader(text)
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	branch, values, _ := strings.Cut(string(out), "\n")
	var want map[string]string
	if err := json.Unmarshal([]byte(values), &want); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if diff := cmp.Diff(want, read(text, branch)); diff != "" {
		t.Errorf("PHP (-) reads otherwise: %s", diff)
	}
}

func FuzzINI(f *testing.F) {
	f.Add("[PHP]\ndisplay_errors = Off\nerror_reporting = E_ALL & ~(E_NOTICE | E_STRICT)\n")
	f.Add("[www]\nlisten = /run/php/php8.2-fpm.sock\nphp_admin_value[error_log] = /var/log/$pool.log\nenv[X] = \"${Y:-z}\n")
	f.Add("[PATH=/x]\na[ = ]\n'\"${")
	f.Add("x = ~((((!~E_ALL\r\n;\n[\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, e := range parseINI(text, "8.2", none) {
			if e.key == "" || e.line < 1 || e.line > 1+strings.Count(text, "\n") {
				t.Fatalf("an entry without a name or a place: %+v", e)
			}
		}
	})
}
