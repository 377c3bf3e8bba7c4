package cloud

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/smithy-go"
)

func TestKinds(t *testing.T) {
	for line, want := range map[string]string{
		// Secrets, however they are written.
		`DB_PASSWORD=hunter2`:                                         "password",
		`export MYSQL_ROOT_PASSWORD="hunter2"`:                        "password",
		`password: hunter2`:                                           "password",
		`"password": "hunter2",`:                                      "password",
		`$db['password'] = 'hunter2';`:                                "password",
		`  'password' => 'hunter2',`:                                  "password",
		`# old password=hunter2`:                                      "password",
		`CREATE USER m IDENTIFIED BY 'hunter2';`:                      "password",
		`mysql -u root -phunter2 matomo`:                              "password",
		`mysqldump --user=x --password=hunter2`:                       "password",
		`git clone https://me:hunter2@example.org/x.git`:              "password",
		`aws_secret_access_key = wJalrXUtnFEMI/K7MDENG`:               "password",
		`token_auth=0123456789abcdef`:                                 "password",
		`API_KEY=abcdef`:                                              "password",
		`-----BEGIN RSA PRIVATE KEY-----`:                             "private key",
		`-----BEGIN OPENSSH PRIVATE KEY-----`:                         "private key",
		`-----BEGIN PRIVATE KEY-----`:                                 "private key",
		`export AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE`:               "access key",
		`chmod -R 777 /var/www`:                                       "chmod 777",
		`find . -type d | xargs chmod 0777 x`:                         "chmod 777",
		`chmod a+rwx tmp`:                                             "chmod 777",
		`curl -fsSL https://example.org/install.sh | bash`:            "unverified download",
		`wget -qO- https://example.org/i | sudo -E sh`:                "unverified download",
		`bash <(curl -s https://example.org/i)`:                       "unverified download",
		`sh -c "$(curl -fsSL https://example.org/i)"`:                 "unverified download",
		`wget https://builds.matomo.org/matomo-latest.zip`:            "unverified download",
		`curl -O https://builds.matomo.org/matomo.tar.gz`:             "unverified download",
		`curl http://169.254.169.254/latest/meta-data/`:               "metadata version 1",
		`AKIAIOSFODNN7EXAMPLE password=x -----BEGIN PRIVATE KEY-----`: "password private key access key",

		// What only looks like it.
		`DB_PASSWORD=$(aws secretsmanager get-secret-value --secret-id x)`: "",
		`DB_PASSWORD="$PASSWORD"`:                "",
		`DB_PASSWORD=${PASSWORD}`:                "",
		`password: {{ password }}`:               "",
		`password=/run/secrets/db`:               "",
		`SECRET=arn:aws:secretsmanager:x`:        "",
		`api_key: arn:aws:x`:                     "",
		`PasswordAuthentication no`:              "",
		`password_file: /etc/x`:                  "",
		`passwd: !`:                              "",
		`echo "Password: "`:                      "",
		`password=****`:                          "",
		`-----BEGIN PUBLIC KEY-----`:             "",
		`-----BEGIN CERTIFICATE-----`:            "",
		`chmod 0755 /usr/local/bin/x`:            "",
		`# chmod 777 is what the old script did`: "",
		`apt-get install curl bash`:              "",
		`curl -X PUT http://169.254.169.254/latest/api/token -H "X-aws-ec2-metadata-token-ttl-seconds: 60"`: "",
		`curl -H "X-aws-ec2-metadata-token: $T" http://169.254.169.254/latest/meta-data/`:                   "",
		`curl https://example.org/health`:            "",
		`mysql --defaults-file=/root/.my.cnf matomo`: "",
		`mkdir -p /var/www/mysql -p`:                 "",
		`https://example.org/a:b@c`:                  "",
	} {
		if got := strings.Join(kinds(line, false), " "); got != want {
			t.Errorf("%s: got %q, want %q", line, got, want)
		}
	}
}

func TestHits(t *testing.T) {
	text := "#!/bin/sh\ncurl -H \"X-aws-ec2-metadata-token: $T\" \\\n http://169.254.169.254/latest/meta-data/\n\nwget https://example.org/x.zip\nchmod 777 /x; chmod 777 /y\n"
	if got := fmt.Sprint(hits(text)); got != "[{5 unverified download} {6 chmod 777}]" {
		t.Errorf("got %s", got)
	}
	if got := fmt.Sprint(hits(text + "sha256sum -c x.sum\n")); got != "[{6 chmod 777}]" {
		t.Errorf("what is checked afterwards: %s", got)
	}
}

func TestScanEncoded(t *testing.T) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = w.Write([]byte("password=hunter2\n"))
	check(t, w.Close())
	for name, c := range map[string]struct {
		text string
		hits int
	}{
		"nothing":     {"", 0},
		"plain":       {"password=hunter2\n", 1},
		"compressed":  {packed.String(), 1},
		"cut off":     {packed.String()[:packed.Len()-9], 1},
		"not gzip":    {"\x1f\x8b password=hunter2", 1},
		"binary":      {"\x00\xff\xfe", 0},
		"not encoded": {"!password=hunter2", 1},
	} {
		sum := sha256.Sum256([]byte(c.text))
		encoded := base64.StdEncoding.EncodeToString([]byte(c.text))
		if name == "not encoded" {
			encoded = c.text
		}
		seen := scanEncoded(encoded)
		if len(seen.Hits) != c.hits || seen.Bytes != len(c.text) || c.text != "" && seen.SHA256 != hex.EncodeToString(sum[:]) {
			t.Errorf("%s: %+v", name, seen)
		}
	}
}

// TestOurUserDataIsClean looks into what rocca itself hands to instances.
func TestOurUserDataIsClean(t *testing.T) {
	names, err := filepath.Glob("../../aws/instance/testdata/*")
	if err != nil || len(names) == 0 {
		t.Fatalf("no user data to look into: %v", err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		check(t, err)
		if seen := scan(text); len(seen.Hits) > 0 {
			lines := strings.Split(string(text), "\n")
			t.Errorf("%s: %v: %s", name, seen.Hits, lines[seen.Hits[0].Line-1])
		}
	}
}

func FuzzScan(f *testing.F) {
	f.Add([]byte("password=x\\\n"))
	f.Add([]byte("\x1f\x8b\x08"))
	f.Fuzz(func(t *testing.T, text []byte) {
		seen := scan(text)
		lines := bytes.Count(unpacked(text), []byte("\n")) + 1
		for _, h := range seen.Hits {
			if h.Line < 1 || h.Line > lines || h.Kind == "" {
				t.Errorf("%+v of %d lines", h, lines)
			}
		}
		if (seen.SHA256 == "") != (len(text) == 0) {
			t.Errorf("%+v", seen)
		}
	})
}

func TestSecretive(t *testing.T) {
	for _, c := range []struct {
		name, value string
		want        bool
	}{
		{"DatabasePassword", "hunter2000", true}, {"ApiToken", "0123456789", true}, {"Key", "-----BEGIN RSA PRIVATE KEY-----\nx", true}, {"Note", "AKIAIOSFODNN7EXAMPLE", true},
		{"Connection", "mysql://u:hunter2@h/", true},
		{"DatabasePassword", "****", false}, {"DatabasePassword", "", false}, {"SecretArn", "arn:aws:secretsmanager:x", false}, {"DatabaseSecret", "arn:aws:secretsmanager:x", false}, {"PasswordPolicy", "strict-one", false},
		{"Secret", "{{resolve:secretsmanager:x}}", false}, {"Domain", "matomo.example.org", false}, {"SecretName", "rocca/shop/app", false},
	} {
		if got := secretive(c.name, c.value); got != c.want {
			t.Errorf("%s=%s: got %v", c.name, c.value, got)
		}
	}
}

func TestMoment(t *testing.T) {
	for text, want := range map[string]string{
		`1.7e9`: "2023-11-14T22:13:20Z", `1700000000.5`: "2023-11-14T22:13:20.5Z", `"2026-01-02T03:04:05.678Z"`: "2026-01-02T03:04:05.678Z", `"2026-01-02T03:04:05+02:00"`: "2026-01-02T01:04:05Z", `null`: "", `""`: "", `"N/A"`: "", `"yesterday"`: "bad",
	} {
		var m moment
		err := m.UnmarshalJSON([]byte(text))
		got := ""
		if !m.IsZero() {
			got = m.Format("2006-01-02T15:04:05.999Z07:00")
		}
		if err != nil {
			got = "bad"
		}
		if got != want {
			t.Errorf("%s: got %q", text, got)
		}
	}
}

func TestReadReport(t *testing.T) {
	users, err := readReport([]byte(report))
	if err != nil || len(users) != 1 || users[0].Name != "jane" || !users[0].Console || !users[0].MFA || len(users[0].Keys) != 2 || !users[0].Keys[0].Used.IsZero() || users[0].Keys[1].Used.IsZero() {
		t.Errorf("%+v, %v", users, err)
	}
	for _, text := range []string{"", "a,b\n1\n"} {
		if _, err := readReport([]byte(text)); err == nil {
			t.Errorf("%q was read", text)
		}
	}
}

func TestSelectors(t *testing.T) {
	for text, want := range map[string]string{
		`{}`: "None []",
		`{"EventSelectors":[{"ReadWriteType":"All","IncludeManagementEvents":true,"DataResources":[{"Type":"AWS::S3::Object"}]}]}`:                                                                                                     "All [AWS::S3::Object]",
		`{"EventSelectors":[{"ReadWriteType":"ReadOnly","IncludeManagementEvents":true},{"ReadWriteType":"All"}]}`:                                                                                                                     "ReadOnly []",
		`{"EventSelectors":[{"ReadWriteType":"ReadOnly","IncludeManagementEvents":true},{"ReadWriteType":"WriteOnly","IncludeManagementEvents":true}]}`:                                                                                "All []",
		`{"AdvancedEventSelectors":[{"FieldSelectors":[{"Field":"eventCategory","Equals":["Management"]}]},{"FieldSelectors":[{"Field":"eventCategory","Equals":["Data"]},{"Field":"resources.type","Equals":["AWS::S3::Object"]}]}]}`: "All [AWS::S3::Object]",
		`{"AdvancedEventSelectors":[{"FieldSelectors":[{"Field":"eventCategory","Equals":["Management"]},{"Field":"readOnly","Equals":["false"]}]}]}`:                                                                                  "WriteOnly []",
	} {
		var s selectors
		check(t, json.Unmarshal([]byte(text), &s))
		if got := fmt.Sprintf("%s %v", s.management(), s.data()); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

func TestSpares(t *testing.T) {
	path := func(kind, text string) string {
		if kind == "regex" {
			return fmt.Sprintf(`{"RegexMatchStatement":{"FieldToMatch":{"UriPath":{}},"RegexString":%q}}`, text)
		}
		return fmt.Sprintf(`{"ByteMatchStatement":{"FieldToMatch":{"UriPath":{}},"PositionalConstraint":%q,"SearchString":%q}}`, kind, base64.StdEncoding.EncodeToString([]byte(text)))
	}
	not := func(inner string) string { return `{"NotStatement":{"Statement":` + inner + `}}` }
	list := func(kind string, inner ...string) string {
		return `{"` + kind + `":{"Statements":[` + strings.Join(inner, ",") + `]}}`
	}
	for text, want := range map[string]bool{
		not(path("regex", `^/(matomo|piwik)\.(php|js)$`)): true,
		not(path("regex", `^/plugins/`)):                  false,
		not(path("EXACTLY", "/matomo.php")):               true,
		not(path("STARTS_WITH", "/matomo")):               true,
		not(path("ENDS_WITH", ".js")):                     false,
		not(path("CONTAINS", "matomo")):                   true,
		not(list("OrStatement", path("EXACTLY", "/piwik.php"), path("EXACTLY", "/matomo.php"))): true,
		not(list("AndStatement", path("EXACTLY", "/matomo.php"), path("regex", "x"))):           false, // it may match something else beside
		list("AndStatement", path("CONTAINS", "x"), not(path("EXACTLY", "/matomo.php"))):        true,
		list("OrStatement", path("CONTAINS", "x"), not(path("EXACTLY", "/matomo.php"))):         false,
		path("EXACTLY", "/matomo.php"): false,
		`{}`:                           false,
	} {
		var s statement
		check(t, json.Unmarshal([]byte(text), &s))
		if s.spares() != want {
			t.Errorf("%s: got %v", text, !want)
		}
	}
}

func TestEachLeavesOutWhatIsGone(t *testing.T) {
	list, err := each([]int{1, 2, 3}, func(i *int) error {
		if *i == 2 {
			return &smithy.GenericAPIError{Code: "InvalidInstanceID.NotFound"}
		}
		*i *= 10
		return nil
	})
	if err != nil || !slices.Equal(list, []int{10, 30}) {
		t.Errorf("%v, %v", list, err)
	}
	denied := &smithy.GenericAPIError{Code: "AccessDenied"}
	some := func(i *int) error {
		if *i > 1 {
			return denied
		}
		return nil
	}
	if _, err := each([]int{1, 2}, some); !errors.Is(err, denied) {
		t.Errorf("a refusal was lost: %v", err)
	}
	if list, err := eachOfOurs([]int{1, 2}, func(int) bool { return true }, some); err != nil || !slices.Equal(list, []int{1}) {
		t.Errorf("one that is others' and closed: %v, %v", list, err)
	}
	if _, err := eachOfOurs([]int{1, 2}, func(int) bool { return false }, some); !errors.Is(err, denied) {
		t.Errorf("one of ours that is closed: %v", err)
	}
	if _, err := eachOfOurs([]int{2, 3}, func(int) bool { return true }, some); !errors.Is(err, denied) {
		t.Errorf("all are closed: %v", err)
	}
}

// TestOnlyReads looks through the source for what is asked.
func TestOnlyReads(t *testing.T) {
	names, err := filepath.Glob("*.go")
	check(t, err)
	asks := regexp.MustCompile(`client\.Ask\w*\(ctx, [^"]*"([^"]+)"`)
	read := regexp.MustCompile(`^[a-z0-9-]+:(?:BatchGet|Describe|Generate|Get|List)[A-Za-z]+$`)
	n := 0
	for _, name := range names {
		text, err := os.ReadFile(name)
		check(t, err)
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		for _, match := range asks.FindAllStringSubmatch(string(text), -1) {
			n++
			if !read.MatchString(match[1]) || slices.Contains([]string{"secretsmanager:GetSecretValue", "secretsmanager:BatchGetSecretValue", "ssm:GetParameter", "ssm:GetParameters", "ssm:GetParametersByPath", "ssm:GetParameterHistory", "ec2:GetPasswordData"}, match[1]) {
				t.Errorf("%s: %s", name, match[1])
			}
		}
	}
	if n < 100 {
		t.Errorf("found %d questions", n)
	}
}
