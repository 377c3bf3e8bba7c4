package host

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rocca/internal/facts"
)

const crontabText = `SHELL=/bin/sh
# comment
17 *	* * *	root	cd / && run-parts --report /etc/cron.hourly
*/5 * * * * www-data test -x /usr/bin/php && /usr/bin/php /srv/console core:archive --token=abc >> /var/log/a.log 2>/dev/null
@reboot root /opt/x -c '/opt/y;z' 50\% %input /not/this
MAILTO = x
broken
`

func TestJobs(t *testing.T) {
	root := plant(t, map[string]string{
		"etc/crontab":                   crontabText,
		"etc/cron.d/good":               "1 2 3 4 5 bob /bin/good\n",
		"etc/cron.d/bad.dpkg-old":       "1 2 3 4 5 bob /bin/never\n",
		"etc/cron.daily/run_me":         "#!/bin/sh\n",
		"etc/cron.daily/not.sh":         "#!/bin/sh\n",
		"etc/cron.weekly/plain":         "",
		"etc/anacrontab":                "1 5 cron.daily run-parts /etc/cron.daily\n@monthly 15 x nice /bin/m\nbroken\n",
		"var/spool/cron/crontabs/anna":  "@daily /home/anna/x.sh\n",
		"var/spool/cron/crontabs/tmp.1": "@daily /never\n",
	})
	if err := os.Chmod(string(root)+"/etc/cron.weekly/plain", 0o644); err != nil {
		t.Fatal(err)
	}
	got, err := jobs(root)
	if err != nil {
		t.Fatal(err)
	}
	want := []facts.Job{
		{File: "/etc/crontab", Line: 3, User: "root", When: "17 * * * *", Command: "cd / && run-parts --report /etc/cron.hourly", Programs: []string{"/etc/cron.hourly"}},
		{File: "/etc/crontab", Line: 4, User: "www-data", When: "*/5 * * * *", Command: "test -x /usr/bin/php && /usr/bin/php /srv/console core:archive --token=[redacted] >> /var/log/a.log 2>/dev/null", Programs: []string{"/usr/bin/php", "/srv/console"}},
		{File: "/etc/crontab", Line: 5, User: "root", When: "@reboot", Command: "/opt/x -c '/opt/y;z' 50%", Programs: []string{"/opt/x", "/opt/y"}},
		{File: "/etc/cron.d/good", Line: 1, User: "bob", When: "1 2 3 4 5", Command: "/bin/good", Programs: []string{"/bin/good"}},
		{File: "/var/spool/cron/crontabs/anna", Line: 1, User: "anna", When: "@daily", Command: "/home/anna/x.sh", Programs: []string{"/home/anna/x.sh"}},
		{File: "/etc/anacrontab", Line: 1, User: "root", When: "every 1 days", Command: "run-parts /etc/cron.daily", Programs: []string{"/etc/cron.daily"}},
		{File: "/etc/anacrontab", Line: 2, User: "root", When: "@monthly", Command: "nice /bin/m", Programs: []string{"/bin/m"}},
		{File: "/etc/cron.daily/run_me", User: "root", When: "daily", Command: "/etc/cron.daily/run_me", Programs: []string{"/etc/cron.daily/run_me"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func FuzzCrontab(f *testing.F) {
	f.Add(crontabText, "")
	f.Add("@daily\t/x %", "anna")
	f.Fuzz(func(t *testing.T, text, user string) {
		for _, j := range append(parseCrontab(text, "/f", user), parseAnacrontab(text, "/f", user)...) {
			if j.Line == 0 || user != "" && j.User != user {
				t.Errorf("%+v", j)
			}
			for _, program := range j.Programs {
				if !strings.HasPrefix(program, "/") {
					t.Errorf("program %q of %q", program, j.Command)
				}
			}
		}
	})
}
