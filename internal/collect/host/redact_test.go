package host

import (
	"slices"
	"strings"
	"testing"
)

func TestRedact(t *testing.T) {
	for line, want := range map[string]string{
		"mysqldump -umatomo -phunter2 matomo":               "mysqldump -umatomo -p[redacted] matomo",
		"/usr/bin/mysql --password=hunter2 -h db":           "/usr/bin/mysql --password=[redacted] -h db",
		"php run.php password:hunter2 x":                    "php run.php password:[redacted] x",
		"curl -s 'https://m/?module=API&token_auth=abc&x=1": "curl -s 'https://m/?module=API&token_auth=[redacted]&x=1",
		"curl -u bob:hunter2 https://m/":                    "curl -u bob:[redacted] https://m/",
		"curl https://bob:hunter2@m/":                       "curl https://bob:[redacted]@m/",
		`curl -H "Authorization: Bearer hunter2" m`:         `curl -H "Authorization: Bearer [redacted]" m`,
		"tool --token hunter2 --verbose":                    "tool --token [redacted] --verbose",
		"tool --password-file=/etc/word -p 80":              "tool --password-file=/etc/word -p 80",
		"mkdir -p /srv/x":                                   "mkdir -p /srv/x",
		"DB_PASSWORD='two words' ./x":                       "DB_PASSWORD=[redacted] ./x",
		"aws configure AKIAIOSFODNN7EXAMPLE":                "aws configure [redacted]",
		"":                                                  "",
	} {
		if got := redact(line); got != want {
			t.Errorf("%q: got %q, want %q", line, got, want)
		}
	}
}

func TestRedactArgs(t *testing.T) {
	for _, c := range []struct{ argv, want []string }{
		{[]string{"mysql", "-phunter2", "db"}, []string{"mysql", "-p[redacted]", "db"}},
		{[]string{"x", "--token", "abc"}, []string{"x", "--token", "[redacted]"}},
		{[]string{"sh", "-c", "echo a\necho password=b"}, []string{"sh", "-c", "echo a\necho password=[redacted]"}},
		{[]string{"sh", "-c", `password="a` + "\n" + `b"`}, []string{"sh", "-c", "password=[redacted]"}},
		{nil, nil},
	} {
		if got := redactArgs(c.argv); !slices.Equal(got, c.want) {
			t.Errorf("%q: got %q, want %q", c.argv, got, c.want)
		}
	}
}

func FuzzRedactArgs(f *testing.F) {
	f.Add("mysql", "-pword", "x")
	f.Add("password=", "a\nb", `"`)
	f.Fuzz(func(t *testing.T, a, b, c string) {
		if got := redactArgs([]string{a, b, c}); len(got) != 3 && !slices.Equal(got, []string{redacted}) {
			t.Errorf("got %q", got)
		}
	})
}

func TestHoldsSecret(t *testing.T) {
	known := []string{"hunter22"}
	for variable, want := range map[string]bool{
		"DB_PASSWORD=x": true, "PASS=x": true, "MYSQL_PWD=x": true, "API_KEY=x": true, "AWS_SECRET_ACCESS_KEY=x": true,
		"TOKEN=x": true, "SECRET_2=x": true, "APP_KEY=x": true, "MATOMO_DATABASE_PASSWORD=x": true,
		"PATH=/bin": false, "PWD=/root": false, "OLDPWD=/": false, "DB_PASSWORD=": false, "DB_PASSWORD_FILE=/run/x": false,
		"KEYMAP=de": false, "PASSENGER_ROOT=/x": false, "OTHER=a hunter22 b": true, "MONKEYS_X=1": false,
	} {
		name, value, _ := strings.Cut(variable, "=")
		if got := holdsSecret(name, value, known); got != want {
			t.Errorf("%s: got %v", variable, got)
		}
	}
}
