package instance

import (
	"bytes"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"rocca/internal/run"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const (
	appSecret    = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:rocca/stats/app-AbCdEf"
	masterSecret = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:rds!db-0a1b-AbCdEf"
	pinned       = "https://rocca-stats.s3.eu-central-1.amazonaws.com/"
)

// single is an instance with its own MariaDB on a volume.
func single() Boot {
	return Boot{
		Program: Artefact{pinned + "rocca-arm64", strings.Repeat("a1", 32)},
		Volume:  "vol-0123456789abcdef0",
		Config: Config{
			Deployment: "stats", Region: "eu-central-1", Signal: Signal{"stats-app", "Ready"}, Secret: appSecret,
			Domain: []string{"stats.example.org"}, Email: "owner@example.org", Roles: []string{"tracker", "ui", "worker"},
			Server: map[string]any{"privacy": map[string]any{"raw_days": uint64(90)}},
		},
	}
}

// standard is one behind a load balancer, with RDS.
func standard() Boot {
	b := single()
	b.Volume = ""
	b.CA = Artefact{pinned + "rds.pem", strings.Repeat("b2", 32)}
	b.Agent = Artefact{"https://s3.eu-central-1.amazonaws.com/amazon-ssm-eu-central-1/3.3.1/debian_arm64/amazon-ssm-agent.deb", strings.Repeat("c3", 32)}
	b.Config.Signal.Resource = "Servers"
	b.Config.Proxies = []netip.Prefix{netip.MustParsePrefix("10.20.0.0/20"), netip.MustParsePrefix("10.20.16.0/20")}
	b.Config.AdminNetworks = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	b.Config.SSHNetworks = []netip.Prefix{netip.MustParsePrefix("10.20.0.0/16")}
	b.Config.Database = Database{"stats.abc123.eu-central-1.rds.amazonaws.com", 3306, "matomo", netip.MustParsePrefix("10.20.0.0/16"), masterSecret}
	return b
}

// scale is a tracker of many, in a template that was rendered without an account.
func scale() Boot {
	b := standard()
	b.Agent = Artefact{}
	b.Program.URL = "https://{{resolve:ssm:/rocca/stats/base/ArtefactBucket}}.s3.eu-central-1.amazonaws.com/rocca-arm64"
	b.Config.Roles = []string{"tracker"}
	b.Config.Secret = "{{resolve:ssm:/rocca/stats/data/Secret}}"
	b.Config.Database.Host = "{{resolve:ssm:/rocca/stats/data/DatabaseEndpoint}}"
	b.Config.Database.Master = ""
	b.Config.Cache = Cache{"{{resolve:ssm:/rocca/stats/data/CacheEndpoint}}", 6379, "matomo"}
	b.Config.Release = "5.14.1"
	return b
}

func TestUserData(t *testing.T) {
	for name, b := range map[string]Boot{"single": single(), "standard": standard(), "scale": scale()} {
		t.Run(name, func(t *testing.T) {
			got, err := UserData(b)
			if err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", name+".sh")
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("user data differs from %s (-want +got); go test -update if that is right:\n%s", golden, diff)
			}
			if _, err := run.Do(t.Context(), run.Command{Argv: []string{"bash", "-n"}, Stdin: bytes.NewReader(got)}); err != nil {
				t.Errorf("bash does not read it: %v", err)
			}
			// Fn::Sub would replace what it knows, and refuse the rest.
			if strings.Contains(string(got), "${") {
				t.Error("CloudFormation could take ${ for its own")
			}
			if strings.Contains(string(got), "<no value>") || len(got) > MostBytes {
				t.Errorf("%d bytes, or a value is missing", len(got))
			}
			again, err := UserData(b)
			if err != nil || !bytes.Equal(got, again) {
				t.Errorf("the same boot gives other bytes (%v)", err)
			}
			_, written, _ := strings.Cut(string(got), ConfigPath+".new <<'"+heredocEnd+"'\n")
			written, _, _ = strings.Cut(written, heredocEnd+"\n")
			read, err := Decode([]byte(written))
			if err != nil {
				t.Fatalf("the instance does not read its configuration: %v\n%s", err, written)
			}
			if diff := cmp.Diff(b.Config, read, cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
				t.Errorf("the instance reads another configuration:\n%s", diff)
			}
		})
	}
}

func TestUserDataRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Boot)
		want   string
	}{
		"no program":         {func(b *Boot) { b.Program = Artefact{} }, "the program has no URL"},
		"http":               {func(b *Boot) { b.Program.URL = "http://example.org/rocca" }, "must come by https"},
		"no hash":            {func(b *Boot) { b.Program.SHA256 = "" }, "no SHA-256"},
		"a hash in capitals": {func(b *Boot) { b.CA.SHA256 = strings.Repeat("AB", 32) }, "the CA of the database has no SHA-256"},
		"no CA":              {func(b *Boot) { b.CA = Artefact{} }, "the CA of the database has no URL"},
		"a URL for a shell":  {func(b *Boot) { b.Program.URL = "https://example.org/$(id)" }, "no URL that can be fetched"},
		"an agent unpinned":  {func(b *Boot) { b.Agent.SHA256 = "latest" }, "the SSM agent has no SHA-256"},
		"a volume and RDS":   {func(b *Boot) { b.Volume = "vol-0123456789abcdef0" }, "there is a database elsewhere"},
		"no volume id":       {func(b *Boot) { b.Volume = "/dev/sdf" }, "no id of one"},
		"no domain":          {func(b *Boot) { b.Config.Domain = nil }, "domain must have at least one name"},
		"a role":             {func(b *Boot) { b.Config.Roles = []string{"admin"} }, `roles has "admin"`},
		"no secret":          {func(b *Boot) { b.Config.Secret = "" }, "secret is"},
		"a line in a domain": {func(b *Boot) { b.Config.Domain = []string{"a\n" + heredocEnd + "\nid"} }, "domain is"},
		"the heredoc's end":  {func(b *Boot) { b.Config.Email = "a\n" + heredocEnd + "\nid" }, "has \"" + heredocEnd + "\" in it"},
		"no network":         {func(b *Boot) { b.Config.Database.Network = netip.Prefix{} }, "database.network is not set"},
		"what is decided":    {func(b *Boot) { b.Config.Server = map[string]any{"proxies": "0.0.0.0/0"} }, "server has proxies"},
		"no port":            {func(b *Boot) { b.Config.Database.Port = 0 }, "database.port must be"},
	} {
		t.Run(name, func(t *testing.T) {
			b := standard()
			c.change(&b)
			got, err := UserData(b)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v and %d bytes, want an error with %q", err, len(got), c.want)
			}
		})
	}
}

// TestEveryFetchIsChecked: nothing comes onto an instance but through the
// function that compares a hash, and the word latest is nowhere.
func TestEveryFetchIsChecked(t *testing.T) {
	got, err := UserData(standard())
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(got), "curl --"); n != 1 {
		t.Errorf("curl is called in %d places, want one", n)
	}
	for _, url := range regexp.MustCompile(`https?://\S+`).FindAllString(string(got), -1) {
		if !regexp.MustCompile(`(?m)^fetch `+regexp.QuoteMeta(url)+` [0-9a-f]{64} /\S+ 0[0-7]{3}$`).Match(got) && !strings.Contains(url, "$") {
			t.Errorf("%s is fetched without a hash", url)
		}
	}
	if bytes.Contains(got, []byte("latest")) {
		t.Error("something is fetched as latest")
	}
}

func TestDecodeIsStrict(t *testing.T) {
	text, err := standard().Config.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ text, want string }{
		"an unknown key": {string(text) + "password: hunter2\n", "unknown field"},
		"a key twice":    {string(text) + "region: eu-west-1\n", "already defined"},
		"nothing":        {"", "deployment is"},
	} {
		if _, err := Decode([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
	if _, err := Read(filepath.Join(t.TempDir(), "instance.yaml")); err == nil || !strings.Contains(err.Error(), "hint: ") {
		t.Errorf("no file: %v", err)
	}
}

func TestReferences(t *testing.T) {
	for text, want := range map[string]string{
		"{{resolve:ssm:/rocca/stats/data/Secret}}":        "/rocca/stats/data/Secret",
		"{{resolve:ssm-secure:/rocca/stats/data/Secret}}": "",
		"x{{resolve:ssm:/rocca/stats/data/Secret}}":       "",
		"arn:aws:secretsmanager":                          "",
	} {
		got, is := Reference(text)
		if got != want || is != (want != "") {
			t.Errorf("%s refers to %q, want %q", text, got, want)
		}
	}
	c := scale().Config
	found := 0
	for _, text := range c.References() {
		if _, is := Reference(*text); is {
			found++
		}
	}
	if found != 3 {
		t.Errorf("%d references are found, want 3", found)
	}
}

func FuzzDecode(f *testing.F) {
	for _, b := range []Boot{single(), standard(), scale()} {
		text, err := b.Config.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte("domain: [a\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := Decode(text)
		if err != nil {
			return
		}
		again, err := c.Encode()
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		read, err := Decode(again)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v\n%s", err, again)
		}
		if diff := cmp.Diff(c, read, cmpopts.EquateComparable(netip.Prefix{}), cmpopts.EquateEmpty(), cmpopts.EquateNaNs()); diff != "" {
			t.Errorf("it changed:\n%s", diff)
		}
	})
}
