package headless

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rocca/internal/secret"
)

func installRequest() Request {
	return Request{
		Action:        Install,
		Root:          "/var/www/matomo/www-matomo.5.3.0",
		URL:           "https://stats.example.org/",
		MaskedIPBytes: 2,
		Superuser:     Superuser{Login: "admin", Password: secret.New(`a"b<&amp;>ü-secret`), Email: "admin@example.org", Language: "en"},
		Site:          Site{Name: "Example", URL: "https://example.org", Timezone: "Europe/Berlin", Currency: "EUR"},
	}
}

func TestEncodeHandsOverWhatEachActionNeeds(t *testing.T) {
	install := installRequest()
	tests := map[Action]map[string]any{
		State: {"action": "state", "root": install.Root},
		Password: {"action": "password", "root": install.Root,
			"superuser": map[string]any{"login": "admin", "password": `a"b<&amp;>ü-secret`}},
		Install: {"action": "install", "root": install.Root, "url": "https://stats.example.org/", "masked_ip_bytes": 2.0,
			"superuser": map[string]any{"login": "admin", "password": `a"b<&amp;>ü-secret`, "email": "admin@example.org", "language": "en"},
			"site":      map[string]any{"name": "Example", "url": "https://example.org", "timezone": "Europe/Berlin", "currency": "EUR"}},
	}
	for action, want := range tests {
		request := install
		request.Action = action
		text, err := request.Encode()
		if err != nil {
			t.Fatalf("%s: %v", action, err)
		}
		var got map[string]any
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatalf("%s: %v", action, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", action, diff)
		}
	}
}

func TestEncodeKeepsAMaskOfZeroBytes(t *testing.T) {
	request := installRequest()
	request.MaskedIPBytes = 0
	text, err := request.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(text, []byte(`"masked_ip_bytes":0`)) {
		t.Errorf("got %s", text)
	}
}

func TestEncodeRefuses(t *testing.T) {
	tests := map[string]func(*Request){
		"unknown action":   func(r *Request) { r.Action = "drop" },
		"relative root":    func(r *Request) { r.Root = "matomo" },
		"unclean root":     func(r *Request) { r.Root = "/var/www/../etc" },
		"no password":      func(r *Request) { r.Superuser.Password = secret.Secret{} },
		"short password":   func(r *Request) { r.Superuser.Password = secret.New("12345") },
		"long password":    func(r *Request) { r.Superuser.Password = secret.New(strings.Repeat("x", 201)) },
		"control password": func(r *Request) { r.Superuser.Password = secret.New("secret\x00secret") },
		"no login":         func(r *Request) { r.Superuser.Login = "" },
		"no email":         func(r *Request) { r.Superuser.Email = "" },
		"no language":      func(r *Request) { r.Superuser.Language = "" },
		"no url":           func(r *Request) { r.URL = "" },
		"no timezone":      func(r *Request) { r.Site.Timezone = "" },
		"bad UTF-8":        func(r *Request) { r.Site.Name = "\xff" },
		"mask of 5 bytes":  func(r *Request) { r.MaskedIPBytes = 5 },
		"negative mask":    func(r *Request) { r.MaskedIPBytes = -1 },
	}
	for name, spoil := range tests {
		request := installRequest()
		spoil(&request)
		text, err := request.Encode()
		if err == nil {
			t.Errorf("%s: got %s", name, text)
			continue
		}
		if password := request.Superuser.Password.Reveal(); password != "" && strings.Contains(err.Error(), password) {
			t.Errorf("%s: the error shows the password: %v", name, err)
		}
	}
}

func TestRequestPrintsNoPassword(t *testing.T) {
	for _, verb := range []string{"%v", "%+v", "%#v"} {
		if out := fmt.Sprintf(verb, installRequest()); strings.Contains(out, "-secret") {
			t.Errorf("%s shows the password: %s", verb, out)
		}
	}
}

func TestDecodeInstall(t *testing.T) {
	got, err := Decode(strings.NewReader(`{"steps":[{"name":"tables","changed":false,"ms":1.5},{"name":"superuser","changed":true,"ms":250}],
		"code_version":"5.3.0","database_version":"5.3.0","tables":["matomo_access"],"superusers":["admin"],"sites":1,
		"plugins_installed":["API"],"plugins_activated":["API"],"missing":[],"outdated":[{"name":"core","database":"5.2.1","code":"5.3.0"}]}` + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := Answer{
		Steps:           []Step{{Name: "tables", Milliseconds: 1.5}, {Name: "superuser", Changed: true, Milliseconds: 250}},
		CodeVersion:     "5.3.0",
		DatabaseVersion: "5.3.0", Tables: []string{"matomo_access"}, Superusers: []string{"admin"}, Sites: 1,
		PluginsInstalled: []string{"API"}, PluginsActivated: []string{"API"}, Missing: []string{},
		Outdated: []Outdated{{Name: "core", Database: "5.2.1", Code: "5.3.0"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !got.Installed() || !got.Changed(StepSuperuser) || got.Changed("tables") || got.Changed("site") {
		t.Errorf("Installed or Changed is wrong for %+v", got)
	}
	if got.Steps[0].Elapsed() != 1500*time.Microsecond {
		t.Errorf("elapsed %v, want 1.5ms", got.Steps[0].Elapsed())
	}
}

func TestDecodeScriptError(t *testing.T) {
	_, err := Decode(strings.NewReader(`{"error":"table log_visit holds data"}`))
	var failed *ScriptError
	if !errors.As(err, &failed) || failed.Message != "table log_visit holds data" {
		t.Errorf("got %v", err)
	}
}

func TestDecodeRefuses(t *testing.T) {
	tests := map[string]string{
		"nothing":        "",
		"no JSON":        "PHP Warning: x",
		"array":          "[]",
		"no version":     `{"missing":[]}`,
		"unknown field":  `{"code_version":"5.3.0","token":"x"}`,
		"wrong type":     `{"code_version":"5.3.0","sites":"1"}`,
		"two documents":  `{"code_version":"5.3.0"}{"code_version":"5.3.0"}`,
		"text after":     `{"code_version":"5.3.0"} Warning`,
		"truncated":      `{"code_version":"5.3.0"`,
		"too long":       `{"code_version":"` + strings.Repeat("5", answerLimit) + `"}`,
		"too long blank": `{"code_version":"5.3.0"}` + strings.Repeat(" ", answerLimit),
	}
	for name, text := range tests {
		got, err := Decode(strings.NewReader(text))
		var failed *ScriptError
		if err == nil || errors.As(err, &failed) {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"code_version":"5.3.0","missing":["tables"],"steps":[{"name":"tables","changed":true,"ms":1}]}`))
	f.Add([]byte(`{"error":"x"}`))
	f.Add([]byte(`{"code_version":"5.3.0"}]`))
	f.Fuzz(func(t *testing.T, text []byte) {
		answer, err := Decode(bytes.NewReader(text))
		if err != nil {
			if diff := cmp.Diff(Answer{}, answer); diff != "" {
				t.Fatalf("an answer beside an error: %s", diff)
			}
			return
		}
		again, err := json.Marshal(answer)
		if err != nil {
			t.Fatal(err)
		}
		second, err := Decode(bytes.NewReader(again))
		if err != nil {
			t.Fatalf("%s does not decode again: %v", again, err)
		}
		if diff := cmp.Diff(answer, second); diff != "" {
			t.Fatalf("decoding is not stable: %s", diff)
		}
	})
}
