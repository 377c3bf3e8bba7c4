package report

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// place is a cursor as systemd writes it.
func place(n int) string {
	return fmt.Sprintf("s=0123456789abcdef0123456789abcdef;i=%x;b=fedcba98765432100123456789abcdef;m=%x;t=%x;x=%x", n, n, n, n)
}

// line is an entry as journalctl writes it; more are further fields.
func line(n int, at time.Time, more string) string {
	return fmt.Sprintf(`{"__CURSOR":%q,"__REALTIME_TIMESTAMP":"%d","__MONOTONIC_TIMESTAMP":"1","_BOOT_ID":"fedcba98765432100123456789abcdef",%s}`, place(n), at.UnixMicro(), more)
}

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func TestDecodeEntry(t *testing.T) {
	for name, c := range map[string]struct {
		fields string
		want   event
		sent   bool
	}{
		"a unit of rocca":          {`"_SYSTEMD_UNIT":"rocca-boot.service","_COMM":"rocca","PRIORITY":"6","MESSAGE":"up"`, event{"rocca-boot.service", "rocca", 6, "up"}, true},
		"systemd about one":        {`"_PID":"1","_SYSTEMD_UNIT":"init.scope","UNIT":"mariadb.service","_COMM":"systemd","PRIORITY":"3","MESSAGE":"Failed to start"`, event{"mariadb.service", "systemd", 3, "Failed to start"}, true},
		"another about one":        {`"_PID":"7","_SYSTEMD_UNIT":"cron.service","UNIT":"mariadb.service","_COMM":"x","PRIORITY":"3","MESSAGE":"Failed"`, event{"cron.service", "x", 3, "Failed"}, false},
		"the front":                {`"_SYSTEMD_UNIT":"nginx.service","_COMM":"nginx","PRIORITY":"3","MESSAGE":"no"`, event{"nginx.service", "nginx", 3, "no"}, true},
		"SSH in a session":         {`"_SYSTEMD_UNIT":"session-3.scope","_COMM":"sshd","PRIORITY":"6","MESSAGE":"Accepted"`, event{"session-3.scope", "sshd", 6, "Accepted"}, true},
		"sudo":                     {`"_SYSTEMD_UNIT":"session-3.scope","_COMM":"sudo","PRIORITY":"5","MESSAGE":"COMMAND"`, event{"session-3.scope", "sudo", 5, "COMMAND"}, true},
		"who says to be sudo":      {`"_SYSTEMD_UNIT":"cron.service","SYSLOG_IDENTIFIER":"sudo","_COMM":"x","PRIORITY":"5","MESSAGE":"COMMAND"`, event{"cron.service", "x", 5, "COMMAND"}, false},
		"the kernel warns":         {`"_TRANSPORT":"kernel","PRIORITY":"4","MESSAGE":"oom"`, event{"", "kernel", 4, "oom"}, true},
		"the kernel chats":         {`"_TRANSPORT":"kernel","PRIORITY":"6","MESSAGE":"usb"`, event{"", "kernel", 6, "usb"}, false},
		"something else":           {`"_SYSTEMD_UNIT":"cron.service","_COMM":"cron","PRIORITY":"2","MESSAGE":"x"`, event{"cron.service", "cron", 2, "x"}, false},
		"a message of bytes":       {`"_SYSTEMD_UNIT":"nginx.service","MESSAGE":[97,255,98]`, event{"nginx.service", "", 6, "a\uFFFDb"}, true},
		"several messages":         {`"_SYSTEMD_UNIT":"nginx.service","MESSAGE":["one",[116,119,111]]`, event{"nginx.service", "", 6, "one\ntwo"}, true},
		"none":                     {`"_SYSTEMD_UNIT":"nginx.service","MESSAGE":null`, event{"nginx.service", "", 6, ""}, true},
		"a priority that is none":  {`"_SYSTEMD_UNIT":"nginx.service","PRIORITY":"9","MESSAGE":""`, event{"nginx.service", "", 6, ""}, true},
		"a message that is long":   {`"_SYSTEMD_UNIT":"nginx.service","MESSAGE":"` + strings.Repeat("a", mostMessage-1) + `éb"`, event{"nginx.service", "", 6, strings.Repeat("a", mostMessage-1) + " [cut]"}, true},
		"one that is just right":   {`"_SYSTEMD_UNIT":"nginx.service","MESSAGE":"` + strings.Repeat("a", mostMessage) + `"`, event{"nginx.service", "", 6, strings.Repeat("a", mostMessage)}, true},
		"a name that begins alike": {`"_SYSTEMD_UNIT":"nginx.service.d","MESSAGE":"x"`, event{"nginx.service.d", "", 6, "x"}, false},
	} {
		got, err := decodeEntry([]byte(line(5, noon, c.fields)))
		if err != nil || got.event != c.want || got.wanted() != c.sent || got.cursor != place(5) || !got.at.Equal(noon) {
			t.Errorf("%s: %+v, sent: %v, %v; want %+v", name, got, got.wanted(), err, c.want)
		}
	}
	for name, text := range map[string]string{
		"no JSON":    "-- No entries --",
		"no place":   `{"__REALTIME_TIMESTAMP":"1","MESSAGE":"x"}`,
		"no time":    `{"__CURSOR":"` + place(1) + `","MESSAGE":"x"}`,
		"an option":  `{"__CURSOR":"--rotate","__REALTIME_TIMESTAMP":"1"}`,
		"an object":  `{"__CURSOR":"` + place(1) + `","__REALTIME_TIMESTAMP":"1","MESSAGE":{}}`,
		"many bytes": `{"__CURSOR":"` + place(1) + `","__REALTIME_TIMESTAMP":"1","MESSAGE":[70000]}`,
	} {
		if got, err := decodeEntry([]byte(text)); err == nil {
			t.Errorf("%s: is read as %+v", name, got)
		}
	}
}

func FuzzDecodeEntry(f *testing.F) {
	f.Add([]byte(line(1, noon, `"_PID":"1","UNIT":"rocca-boot.service","PRIORITY":"3","MESSAGE":"x"`)))
	f.Add([]byte(line(1, noon, `"_TRANSPORT":"kernel","MESSAGE":[97,[98],"c"]`)))
	f.Fuzz(func(t *testing.T, text []byte) {
		e, err := decodeEntry(text)
		if err != nil {
			return
		}
		if !cursorForm.MatchString(e.cursor) || e.Priority < 0 || e.Priority > 7 || len(e.Message) > mostMessage+len(" [cut]") || !utf8.ValidString(e.text()) || len(e.text()) > mostBytes-eventBytes {
			t.Errorf("%+v of %q", e, text)
		}
	})
}

// TestWrite: journalctl writes in pieces of any size.
func TestWrite(t *testing.T) {
	text := "Journal file is truncated\n" +
		line(1, noon, `"_SYSTEMD_UNIT":"nginx.service","MESSAGE":"one"`) + "\n" +
		line(2, noon, `"_SYSTEMD_UNIT":"nginx.service","MESSAGE":"`+strings.Repeat("x", mostLine)+`"`) + "\n" +
		line(3, noon, `"_SYSTEMD_UNIT":"nginx.service","MESSAGE":"three"`) + "\n" +
		line(4, noon, `"_SYSTEMD_UNIT":"cron.service","MESSAGE":"four"`) + "\n" +
		line(5, noon, `"_SYSTEMD_UNIT":"nginx.service","MESSAGE":"not whole"`)[:200]
	for _, size := range []int{7, 4096, len(text)} {
		r := &read{most: 100}
		for rest := text; rest != ""; {
			n := min(size, len(rest))
			if wrote, err := r.Write([]byte(rest[:n])); wrote != n || err != nil {
				t.Fatalf("%d, %v", wrote, err)
			}
			rest = rest[n:]
		}
		if len(r.entries) != 2 || r.entries[0].Message != "one" || r.entries[1].Message != "three" || r.cursor != place(4) || r.seen != 3 || r.broken != 2 {
			t.Errorf("in pieces of %d bytes: %d entries, %d seen, %d broken, up to %s", size, len(r.entries), r.seen, r.broken, r.cursor)
		}
	}
}

// journal is a program like journalctl that tells these lines.
func journal(t *testing.T, lines ...string) string {
	t.Helper()
	dir := t.TempDir()
	kept, program := filepath.Join(dir, "journal"), filepath.Join(dir, "journalctl")
	tell(t, program, lines...)
	script := `#!/bin/sh
after=
for argument; do case "$argument" in --after-cursor=*) after=${argument#*=} ;; esac; done
awk -v after="$after" 'BEGIN { on = after == "" } on { print } after != "" && index($0, "\"" after "\"") { on = 1 }' ` + kept + `
[ ! -e ` + kept + `.broken ] || { echo "the disk is broken" >&2; exit 1; }
`
	if err := os.WriteFile(program, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return program
}

// tell makes the lines those of the journal behind a program.
func tell(t *testing.T, program string, lines ...string) {
	t.Helper()
	text := strings.Join(append(lines, ""), "\n")
	if err := os.WriteFile(filepath.Join(filepath.Dir(program), "journal"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestReadJournalStops(t *testing.T) {
	var lines []string
	for i := range 1000 {
		lines = append(lines, line(i+1, noon, fmt.Sprintf(`"_SYSTEMD_UNIT":"nginx.service","MESSAGE":"%d"`, i)))
	}
	r := reporter{journalctl: journal(t, lines...)}
	after, total := "", 0
	for _, want := range []int{400, 400, 200, 0} {
		found, err := r.readJournal(t.Context(), after, 400)
		if err != nil || len(found.entries) != want {
			t.Fatalf("%d entries, %v; want %d", len(found.entries), err, want)
		}
		for _, e := range found.entries {
			if e.Message != fmt.Sprint(total) {
				t.Fatalf("%s comes where %d should", e.Message, total)
			}
			total++
		}
		if found.cursor != "" {
			after = found.cursor
		}
	}
}
