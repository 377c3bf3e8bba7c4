package boot

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"rocca/internal/aws/awstest"
	"rocca/internal/aws/instance"
	"rocca/internal/blueprint"
	"rocca/internal/config"
	"rocca/internal/progress"
)

const seed = "dGhpcyBpcyBhIHNlZWQgb2YgYSB0ZXN0IGFuZCBvZiBub3RoaW5nIGVsc2UgYXQg"

// The values are pinned: another derivation would lock every deployment out of
// its database.
func TestDerive(t *testing.T) {
	got, err := Derive([]byte(`{"seed": "` + seed + `"}`))
	if err != nil {
		t.Fatal(err)
	}
	for name, pair := range map[string][2]string{
		"salt":           {got.Salt.Reveal(), "db2434916f12757d26ac448b6cb89eed"},
		"superuser":      {got.Superuser.Reveal(), "64tbpT__f67tWqJfzETst0DQUUG4igdeFc5_Yv1mruE"},
		"cache":          {got.Cache.Reveal(), "TlaWNT00IymgBKEh8DAE7x0-8Rrj5N9rLwZ-Bny2AfA"},
		"matomo":         {got.Accounts["matomo"].Reveal(), "TcNy2-5sb19ka7nXC4AJ1O9EXZh2wtDi1UUxxtyAWwI"},
		"matomo-tracker": {got.Accounts["matomo-tracker"].Reveal(), "mQx3dOl1R3xgqNzulUPpECQ5c6OXQ57bF2REkC29H8A"},
		"matomo-admin":   {got.Accounts["matomo-admin"].Reveal(), "RPmg4s3WoXuCdt-tyXwtdr0UGPOafkcd18o0Dt-KZfQ"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s is %s, want %s", name, pair[0], pair[1])
		}
	}
	encoded, err := got.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := blueprint.DecodeSecrets(encoded); err != nil {
		t.Errorf("rocca up does not take what is derived: %v", err)
	}
	if shown := fmt.Sprintf("%v %+v %#v", got, got, got); strings.Contains(shown, got.Salt.Reveal()) {
		t.Errorf("secrets show themselves: %s", shown)
	}
}

func TestDeriveTakesWhatIsGiven(t *testing.T) {
	got, err := Derive([]byte(`{"seed": "` + seed + `", "salt": "0123456789abcdef0123", "superuser": "given-superuser", "cache": "given-cache-password", "accounts": {"matomo": "given-matomo-1"}}`))
	if err != nil {
		t.Fatal(err)
	}
	if got.Salt.Reveal() != "0123456789abcdef0123" || got.Superuser.Reveal() != "given-superuser" || got.Cache.Reveal() != "given-cache-password" || got.Accounts["matomo"].Reveal() != "given-matomo-1" {
		t.Error("a value that was given was not taken")
	}
	derived, err := Derive([]byte(`{"seed": "` + seed + `"}`))
	if err != nil {
		t.Fatal(err)
	}
	if got.Accounts["matomo-admin"] != derived.Accounts["matomo-admin"] {
		t.Error("an account without a given password has another one than before")
	}
}

// TestDeriveOfSlot: a slot has passwords of its own, also those that nobody gave.
func TestDeriveOfSlot(t *testing.T) {
	all := map[string]bool{}
	for _, slot := range []string{"", "a", "b"} {
		got, err := Derive([]byte(`{"seed": "` + seed + `", "slot": "` + slot + `"}`))
		if err != nil || string(got.Slot) != slot {
			t.Fatalf("slot %q: %q, %v", slot, got.Slot, err)
		}
		all[got.Accounts["matomo"].Reveal()] = true
	}
	if len(all) != 2 {
		t.Errorf("three secrets of two slots have %d passwords", len(all))
	}
}

func TestDeriveRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":         ``,
		"no JSON":         `hunter2-hunter2`,
		"two objects":     `{"seed":"` + seed + `"}{"seed":"hunter2"}`,
		"an unknown key":  `{"seed":"` + seed + `","hunter2":"x"}`,
		"a short seed":    `{"seed":"hunter2"}`,
		"a foreign user":  `{"seed":"` + seed + `","accounts":{"root":"hunter2"}}`,
		"another slot":    `{"seed":"` + seed + `","slot":"hunter2"}`,
		"of another type": `{"seed":"` + seed + `","salt":["hunter2"]}`,
	} {
		if _, err := Derive([]byte(text)); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func described() instance.Config {
	return instance.Config{
		Deployment: "stats", Region: awstest.Region, Signal: instance.Signal{Stack: "stats-app", Resource: "Servers"},
		Secret: "arn:aws:secretsmanager:eu-central-1:123456789012:secret:rocca/stats/app-AbCdEf",
		Domain: []string{"stats.example.org"}, Email: "owner@example.org", Roles: []string{"tracker", "ui", "worker"},
		Proxies: []netip.Prefix{netip.MustParsePrefix("10.20.0.0/20")}, SSHNetworks: []netip.Prefix{netip.MustParsePrefix("10.20.0.0/16")},
		Database: instance.Database{Host: "db.example.org", Port: 3306, Name: "matomo", Network: netip.MustParsePrefix("10.20.0.0/16")},
	}
}

// TestServerConfig: what is written is what rocca up reads.
func TestServerConfig(t *testing.T) {
	local := described()
	local.Database = instance.Database{}
	local.Server = map[string]any{"privacy": map[string]any{"raw_days": 90}, "outbound": []string{"smtp.example.org"}}
	for name, c := range map[string]struct {
		of          instance.Config
		credentials string
	}{"accounts there": {described(), ""}, "accounts to make": {described(), administratorPath}, "local": {local, ""}} {
		text, err := serverConfig(c.of, c.credentials)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "rocca.yaml")
		if err := write(file, text); err != nil {
			t.Fatal(err)
		}
		got, err := config.Load(file, config.Defaults{Hostname: "ip-10-20-64-10"})
		if err != nil {
			t.Errorf("%s: %v\n%s", name, err, text)
			continue
		}
		if got.Database.Host != c.of.Database.Host || got.Database.Credentials != c.credentials || got.Database.Network != c.of.Database.Network ||
			got.Database.Prefix != tablePrefix || got.Secrets != sharedPath || got.Superuser.Email != "owner@example.org" ||
			fmt.Sprint(got.Roles, got.Proxies, got.SSHNetworks, got.Domain) != fmt.Sprint(c.of.Roles, c.of.Proxies, c.of.SSHNetworks, c.of.Domain) {
			t.Errorf("%s: rocca up reads\n%+v\nof\n%s", name, got, text)
		}
		if c.of.Server != nil && (got.Privacy.RawDays != 90 || fmt.Sprint(got.Outbound) != "[smtp.example.org]") {
			t.Errorf("%s: further keys are lost: %+v", name, got)
		}
	}
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	target, name := filepath.Join(dir, "target"), filepath.Join(dir, "name")
	if err := os.WriteFile(target, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, name); err != nil {
		t.Fatal(err)
	}
	if err := write(name, []byte("secret")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(name)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("%v %v, want a file of mode 0600", info.Mode(), err)
	}
	if text, _ := os.ReadFile(target); string(text) != "mine" {
		t.Errorf("the link was followed: %q", text)
	}
	if err := write(filepath.Join(name, "x"), nil); err == nil {
		t.Error("a file was written into a file")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// on boots as far as a test wants, with what it says kept.
func on(t *testing.T, cloud *awstest.Cloud) (*boot, *[]string) {
	said := &[]string{}
	return &boot{
		Options: Options{Tell: func(e progress.Event) { *said = append(*said, e.Text) }},
		config:  described(), cloud: cloud.Config(t), id: "i-0123456789abcdef0",
	}, said
}

func TestSignal(t *testing.T) {
	cloud := awstest.Start(t)
	for name, c := range map[string]struct {
		failed       error
		status       int
		answer       string
		want, refuse string
	}{
		"success":        {nil, 200, "<SignalResourceResponse/>", "Status=SUCCESS", ""},
		"failure":        {errors.New("no disk"), 200, "<SignalResourceResponse/>", "Status=FAILURE", ""},
		"nobody waits":   {nil, 400, validationError("Resource Servers is in CREATE_COMPLETE state and cannot be signaled"), "Status=SUCCESS", ""},
		"no such stack":  {nil, 400, validationError("Stack stats-app does not exist"), "Status=SUCCESS", "tell the stack stats-app"},
		"not allowed to": {nil, 403, "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>", "Status=SUCCESS", "AccessDenied"},
	} {
		t.Run(name, func(t *testing.T) {
			asked := ""
			cloud.Answer("cloudformation", "SignalResource", func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				asked = string(body)
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.answer)
			})
			b, _ := on(t, cloud)
			err := b.signal(t.Context(), c.failed)
			if c.refuse == "" && err != nil || c.refuse != "" && (err == nil || !strings.Contains(err.Error(), c.refuse)) {
				t.Errorf("got %v, want %q", err, c.refuse)
			}
			for _, part := range []string{c.want, "StackName=stats-app", "LogicalResourceId=Servers", "UniqueId=i-0123456789abcdef0"} {
				if !strings.Contains(asked, part) {
					t.Errorf("%s is not in %s", part, asked)
				}
			}
		})
	}
	b, _ := on(t, cloud)
	b.config.Signal = instance.Signal{}
	cloud.ForgetCalls()
	if err := b.signal(t.Context(), nil); err != nil || len(cloud.Calls()) != 0 {
		t.Errorf("nobody to tell: %v, calls %v", err, cloud.Calls())
	}
}

func validationError(message string) string {
	return "<ErrorResponse><Error><Type>Sender</Type><Code>ValidationError</Code><Message>" + message + "</Message></Error></ErrorResponse>"
}

func TestSecrets(t *testing.T) {
	cloud := awstest.Start(t)
	b, said := on(t, cloud)
	secrets := secretsmanager.NewFromConfig(b.cloud)
	made, err := secrets.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: aws.String("rocca/stats/app"), SecretString: aws.String(`{"seed":"` + seed + `"}`)})
	if err != nil {
		t.Fatal(err)
	}
	b.config.Secret = *made.ARN
	// A role that was just made is refused for some seconds.
	cloud.Fail("secretsmanager", "GetSecretValue", 1, 1, awstest.Denied)
	got, err := b.secrets(t.Context(), "")
	if err != nil || got.Accounts["matomo"].IsZero() {
		t.Fatalf("%v", err)
	}
	if told := strings.Join(*said, "\n"); !strings.Contains(told, "the app secret") || strings.Contains(told, seed) {
		t.Errorf("it says %s", told)
	}
	if got.Version != *made.VersionId {
		t.Errorf("the version is %q, want %q", got.Version, *made.VersionId)
	}
	if _, err := secrets.PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{SecretId: made.ARN, SecretString: aws.String("hunter2")}); err != nil {
		t.Fatal(err)
	}
	host := &Host{b}
	if old, err := host.Secrets(t.Context(), *made.VersionId); err != nil || old.Version != *made.VersionId || old.Accounts["matomo"] != got.Accounts["matomo"] {
		t.Errorf("the version from before: %v", err)
	}
	if _, err := host.Secrets(t.Context(), "00000000-0000-0000-0000-000000000000"); err == nil || !strings.Contains(err.Error(), "ResourceNotFoundException") {
		t.Errorf("a version that there is not: %v", err)
	}
	b.config.Database.Host = ""
	if local, err := host.Secrets(t.Context(), *made.VersionId); err != nil || local.Accounts != nil || local.Salt.IsZero() {
		t.Errorf("with a database of its own: %v", err)
	}
	if _, err := b.secrets(t.Context(), ""); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a secret of another form: %v", err)
	}
}

func TestResolve(t *testing.T) {
	cloud := awstest.Start(t)
	b, _ := on(t, cloud)
	parameters := ssm.NewFromConfig(b.cloud)
	const name = "/rocca/stats/data/DatabaseEndpoint"
	if _, err := parameters.PutParameter(t.Context(), &ssm.PutParameterInput{Name: aws.String(name), Value: aws.String("db.example.net"), Type: ssmtypes.ParameterTypeString}); err != nil {
		t.Fatal(err)
	}
	b.config.Database.Host = "{{resolve:ssm:" + name + "}}"
	if err := b.resolve(t.Context()); err != nil || b.config.Database.Host != "db.example.net" {
		t.Errorf("%v, the host is %s", err, b.config.Database.Host)
	}
	b.config.Secret = "{{resolve:ssm:/rocca/stats/data/Secret}}"
	if err := b.resolve(t.Context()); err == nil || !strings.Contains(err.Error(), "/rocca/stats/data/Secret") {
		t.Errorf("no such parameter: %v", err)
	}
}

// TestSignIn: with version 2 of the instance metadata, and with nothing else.
func TestSignIn(t *testing.T) {
	tokens, without := 0, 0
	metadata := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPut && r.URL.Path == "/latest/api/token":
			tokens++
			w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21600")
			_, _ = io.WriteString(w, "token-of-the-test")
		case r.Header.Get("X-Aws-Ec2-Metadata-Token") != "token-of-the-test":
			without++
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path == "/latest/meta-data/instance-id":
			_, _ = io.WriteString(w, "i-0123456789abcdef0")
		case strings.HasSuffix(r.URL.Path, "/security-credentials/"):
			_, _ = io.WriteString(w, "stats-host")
		case strings.HasSuffix(r.URL.Path, "/security-credentials/stats-host"):
			_, _ = fmt.Fprintf(w, `{"Code":"Success","AccessKeyId":"AKID","SecretAccessKey":"KEY","Token":"SESSION","Expiration":%q}`, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(metadata.Close)
	for name, value := range map[string]string{
		"AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata.URL, "AWS_EC2_METADATA_DISABLED": "", "HOME": t.TempDir(),
		"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_PROFILE": "", "AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
	} {
		t.Setenv(name, value)
	}
	b := &boot{config: described()}
	if err := b.signIn(t.Context()); err != nil {
		t.Fatal(err)
	}
	credentials, err := b.cloud.Credentials.Retrieve(t.Context())
	if err != nil || credentials.AccessKeyID != "AKID" || b.id != "i-0123456789abcdef0" || b.cloud.Region != awstest.Region {
		t.Errorf("%v: key %s, instance %s, region %s", err, credentials.AccessKeyID, b.id, b.cloud.Region)
	}
	if tokens == 0 || without != 0 {
		t.Errorf("%d tokens were asked for, and %d requests came without one", tokens, without)
	}
}
