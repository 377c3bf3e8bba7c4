package host

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rocca/internal/facts"
)

func TestLogs(t *testing.T) {
	root := plant(t, map[string]string{
		"etc/systemd/journald.conf":              "[Journal]\n#Storage=auto\nStorage=volatile\n[Other]\nSeal=no\n",
		"usr/lib/systemd/journald.conf.d/a.conf": "[Journal]\nStorage=persistent\nMaxRetentionSec=10day\n",
		"etc/systemd/journald.conf.d/b.conf":     "[Journal]\nMaxRetentionSec=1month\n",
		"var/log/journal/abc/fss":                "",
		"etc/rsyslog.conf":                       "*.* @@logs.example.org:514\n# *.* @never\n$IncludeConfig /etc/rsyslog.d/*.conf\nmail.* -/var/log/mail.log\n*.emerg :omusrmsg:*\n",
		"etc/rsyslog.d/a.conf":                   "action(type=\"omfwd\"\n  target=\"b.example.org\" protocol=\"tcp\")\naction(type=\"omfile\" target=\"x\")\n$IncludeConfig /etc/rsyslog.d/*.conf\n",
		"etc/rsyslog.d/b.conf":                   "local0.* @192.0.2.1;Template\n",
		"etc/audit/rules.d/x.rules":              "-w /etc/sudoers -p wa -k scope\n-w /tmp -p x\n# -w /etc/shadow\n-a always,exit -F arch=b64 -S execve -C uid!=euid -F euid=0 -k user_emulation\n",
	})
	units := map[string]facts.Unit{"rsyslog.service": {Active: true}, "auditd.service": {Active: true}, "vector.service": {Active: true}, "systemd-journal-upload.service": {}}
	got, err := logs(root, units)
	want := facts.Logs{
		Persistent: true, Sealed: true, MaxDays: 31, Auditd: true,
		Forwarded: []string{"rsyslog @@logs.example.org:514", "rsyslog @@b.example.org", "rsyslog @192.0.2.1", "vector"},
		Audit:     []string{"-w /etc/sudoers -p wa -k scope", "-a always,exit -F arch=b64 -S execve -C uid!=euid -F euid=0 -k user_emulation"},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	delete(units, "rsyslog.service")
	if got, _ = logs(root, units); len(got.Forwarded) != 1 {
		t.Errorf("rsyslog does not run, and sends to %q", got.Forwarded)
	}
}

func TestJournalOfDefaults(t *testing.T) {
	for name, c := range map[string]struct {
		tree map[string]string
		want bool
	}{
		"no directory": {map[string]string{"etc/x": ""}, false},
		"directory":    {map[string]string{"var/log/journal/x/y": ""}, true},
		"volatile":     {map[string]string{"var/log/journal/x/y": "", "etc/systemd/journald.conf": "[Journal]\nStorage=volatile\n"}, false},
	} {
		if got, err := logs(plant(t, c.tree), nil); got.Persistent != c.want || got.Sealed || err != nil {
			t.Errorf("%s: %+v %v", name, got, err)
		}
	}
}

const logrotateText = `weekly
rotate 4
include /etc/logrotate.d
/var/log/own.log { daily
}
`

var logrotateTree = map[string]string{
	"etc/logrotate.conf":           logrotateText,
	"etc/logrotate.d/nginx":        "/var/log/nginx/*.log\n\"/srv/a.log\" {\n\tdaily\n\trotate 14\n\tpostrotate\n\t\trotate 99\n\tendscript\n}\n",
	"etc/logrotate.d/aged":         "/var/log/aged {\n monthly\n rotate 12\n maxage 30\n}\n/var/log/size { \n size 10M\n rotate 3\n}\n",
	"etc/logrotate.d/off.disabled": "/var/log/never {\n daily\n}\n",
	"etc/logrotate.d/global":       "yearly\n/var/log/year {\n}\n",
	"etc/logrotate.d/zz":           "/var/log/week {\n}\ninclude /etc/logrotate.d\n",
}

func TestRotateDays(t *testing.T) {
	all, err := rotations(plant(t, logrotateTree))
	if err != nil {
		t.Fatal(err)
	}
	for log, want := range map[string]int{
		"/var/log/nginx/access.log": 14, "/srv/a.log": 14, "/var/log/aged": 30, "/var/log/size": 3, "/var/log/never": 0, "/var/log/year": 4 * 366, "/var/log/week": 28, "/var/log/none": 0,
	} {
		if got := rotateDays(all, log); got != want {
			t.Errorf("%s: got %d, want %d", log, got, want)
		}
	}
}

func TestFullAddress(t *testing.T) {
	for line, want := range map[string]bool{
		`203.0.113.7 - - [22/Nov/2026:02:00:00 +0000] "GET / HTTP/1.1"`:  true,
		`203.0.113.0 - - [22/Nov/2026:02:00:00 +0000] "GET / HTTP/1.1"`:  false,
		`203.0.0.0 - x "Mozilla/5.0 (X11; rv:1.9.2.3) Chrome/120.0.0.1"`: false, // versions
		`2001:db8::1 - - x`:                           true,
		`2001:db8:1:2:: - - [22/Nov/2026:02:00:00] x`: false,
		`::ffff:203.0.113.7 - x`:                      true,
		`127.0.0.1 - - x`:                             false,
		`[error] client: 203.0.113.9, server: x`:      true,
		`upstream: "fastcgi://10.0.0.7:9000"`:         false, // a server's
		`"ip":"203.0.113.9"`:                          true,
		`Foo::bar() 12:34:56 and 999.1.1.1`:           false,
		``:                                            false,
	} {
		if got := fullAddress(line); got != want {
			t.Errorf("%s: got %v", line, got)
		}
	}
}

func TestSampleLogs(t *testing.T) {
	tree := map[string]string{
		"etc/logrotate.conf": "/var/log/*.log {\n daily\n rotate 7\n}\n",
		"var/log/a.log": "203.0.113.7 GET /?token_auth=abcdef0123 x\n203.0.113.0 GET /?token_auth=anonymous x\n" +
			"10.0.0.0 POST /?module=Login&action=acceptInvitation&token=hunter2\n10.0.0.0 password: hunter2 for 203.0.113.8\n10.0.0.0 resetToken=hunter2\nplain",
		"var/log/link.log": "-> a.log",
	}
	root := plant(t, tree)
	if err := syscall.Mkfifo(string(root)+"/var/log/pipe.log", 0o600); err != nil {
		t.Fatal(err)
	}
	var asked []facts.LogFile
	for _, name := range []string{"a", "missing", "link", "pipe"} {
		asked = append(asked, facts.LogFile{Path: "/var/log/" + name + ".log", Kind: "access"})
	}
	got, err := SampleLogs(root, asked)
	want := []facts.LogFile{
		{
			Path: "/var/log/a.log", Kind: "access", RotateDays: 7, Lines: 6, FullIPs: 2, Tokens: 4,
			Samples: []string{"[address] GET /?token_auth=[redacted] x", "[address] POST /?module=Login&action=acceptInvitation&token=[redacted]", "[address] password: [redacted] for [address]"},
		},
		{Path: "/var/log/link.log", Kind: "access", RotateDays: 7},
		{Path: "/var/log/pipe.log", Kind: "access", RotateDays: 7},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if err == nil || !strings.Contains(err.Error(), "link.log") || !strings.Contains(err.Error(), "pipe.log") {
		t.Errorf("error %v", err)
	}
}

func TestLastLines(t *testing.T) {
	root := plant(t, map[string]string{"var/empty": "", "var/one": "a"})
	var many strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&many, "line %d of the log\n", i)
	}
	for name, text := range map[string]string{"many": many.String(), "long": strings.Repeat("x", 3<<20)} {
		if err := os.WriteFile(filepath.Join(string(root), "var", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]int{"empty": 0, "one": 1, "many": sampleLines, "long": 0} {
		lines, err := lastLines(root, "/var/"+name)
		if len(lines) != want || err != nil {
			t.Errorf("%s: %d lines, %v", name, len(lines), err)
		}
		if name == "many" && lines[sampleLines-1] != "line 99999 of the log" {
			t.Errorf("last line %q", lines[sampleLines-1])
		}
	}
}

func FuzzLogLine(f *testing.F) {
	f.Add(`203.0.113.7 - - "GET /?token_auth=abc&x HTTP/1.1" 2001:db8::1 password: "x y"`)
	f.Add("::1 acceptInvitation?token=x")
	f.Add("20\x1b3.0.113.7 password=x\x1by")
	f.Fuzz(func(t *testing.T, line string) {
		var log facts.LogFile
		sample(&log, []string{line})
		for _, shown := range log.Samples {
			if strings.ContainsAny(shown, "\n\x00\x1b") || tellsSecret(shown) && len([]rune(line)) < sampleWidth {
				t.Errorf("%q shows %q", line, shown)
			}
			for _, word := range strings.Fields(shown) {
				if address, err := netip.ParseAddr(word); err == nil && address.Is4() {
					t.Errorf("%q shows %q", line, shown)
				}
			}
		}
	})
}

func FuzzLogrotate(f *testing.F) {
	for _, text := range logrotateTree {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		found, _ := parseLogrotate(text, &rotation{days: 7})
		for _, r := range found {
			if r.keeps() < 0 {
				t.Errorf("%+v", r)
			}
		}
		rotateDays(found, "/var/log/x")
	})
}

func FuzzJournald(f *testing.F) {
	f.Add("[Journal]\nStorage=persistent\nMaxRetentionSec=1w 2d\\\n3h\n")
	f.Fuzz(func(t *testing.T, text string) {
		settings := unitSection(text, "Journal")
		if seconds, ok := timeSpan(settings["maxretentionsec"]); ok && seconds < 0 {
			t.Errorf("%q: %d seconds", settings["maxretentionsec"], seconds)
		}
		parseRsyslog(text)
	})
}
