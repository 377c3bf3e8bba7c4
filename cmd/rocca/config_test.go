package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rocca/internal/config"
)

// runConfig runs "rocca config" with arguments and returns both streams.
func runConfig(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, problems bytes.Buffer
	command := newConfigCommand()
	command.SilenceUsage, command.SilenceErrors = true, true
	command.SetArgs(args)
	command.SetOut(&out)
	command.SetErr(&problems)
	err = command.Execute()
	return out.String(), problems.String(), err
}

func TestConfigInitThenCheckThenShow(t *testing.T) {
	file := filepath.Join(t.TempDir(), "new", "rocca.yaml")
	out, _, err := runConfig(t, "init", file)
	if err != nil {
		t.Fatal(err)
	}
	if want := "wrote " + file + "; edit it, then: rocca config check -c " + file + "\n"; out != want {
		t.Errorf("got %q, want %q", out, want)
	}
	out, _, err = runConfig(t, "check", "-c", file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(out, file+": ok\n  set        nothing\n") {
		t.Errorf("got:\n%s", out)
	}
	out, _, err = runConfig(t, "show", "-c", file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out, "front: nginx") || strings.Contains(out, file) {
		t.Errorf("every value must be a default:\n%s", out)
	}
}

func TestConfigCheckSummary(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rocca.yaml")
	text := `domain: [stats.example.org, www.stats.example.org]
front: apache
database: {host: db.example.org, ca: /etc/rocca/ca.pem, credentials: /etc/rocca/database.yaml}
apps: [{name: shop, docroot: /srv/shop, domain: shop.example.org}]
admin_networks: 192.0.2.9/24
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, warnings, err := runConfig(t, "check", "-c", file)
	if err != nil {
		t.Fatal(err)
	}
	want := file + `: ok
  set        admin_networks, apps, database.ca, database.credentials, database.host, domain, front
  server     stats.example.org, www.stats.example.org behind apache, self-signed certificate
  database   db.example.org port 3306, verified TLS, schema matomo
  interface  open to 192.0.2.0/24
  app        shop (/srv/shop) at shop.example.org
`
	if out != want {
		t.Errorf("got:\n%s\nwant:\n%s", out, want)
	}
	if !strings.HasPrefix(warnings, "warning: "+file+":5:17: admin_networks[0]: ") {
		t.Errorf("warning of host bits is missing: %q", warnings)
	}
}

func TestConfigProblemsAreOneTypedError(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rocca.yaml")
	if err := os.WriteFile(file, []byte("frnt: nginx\nphp: eight\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"check", "show"} {
		out, _, err := runConfig(t, verb, "-c", file)
		var bad *config.Error
		if !errors.As(err, &bad) || len(bad.Problems) != 2 {
			t.Errorf("%s: got %v, want two problems", verb, err)
		}
		if out != "" {
			t.Errorf("%s: printed %q", verb, out)
		}
	}
}

func TestConfigInitNeverOverwrites(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rocca.yaml")
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, _, err := runConfig(t, "init", file)
	var bad *config.Error
	if !errors.As(err, &bad) {
		t.Errorf("got %v", err)
	}
	if text, _ := os.ReadFile(file); string(text) != "mine" {
		t.Errorf("the file was changed to %q", text)
	}
}

func TestConfigInitPrints(t *testing.T) {
	out, _, err := runConfig(t, "init", "-")
	if err != nil || !strings.Contains(out, "\n#front: nginx\n") {
		t.Errorf("got %v:\n%s", err, out)
	}
}

func TestQualifiedName(t *testing.T) {
	const hosts = "127.0.0.1 localhost\n127.0.1.1\tstats.example.org stats # stats.comment\n#192.0.2.1 other.example.org\n192.0.2.2 stats2.example.org\n"
	for name, want := range map[string]string{
		"stats": "stats.example.org",
		"Stats": "stats.example.org",
		"other": "other",
		"sta":   "sta",
		"":      "",
	} {
		if got := qualified(name, hosts); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}
