// Package security_test lets scanners that are not ours judge the templates of
// every profile. What they find must be in allow.yaml, with a reason and the
// day until which it holds.
package security_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"rocca/internal/aws/settings"
	"rocca/internal/aws/stack"
	"rocca/internal/testnode"
)

// allowance is a finding that is accepted for a time.
type allowance struct {
	Rule     string `yaml:"rule"`     // a * at its end stands for any rest
	Stack    string `yaml:"stack"`    // base, watch, data or app
	Resource string `yaml:"resource"` // logical id; a * at its end stands for any rest
	Reason   string `yaml:"reason"`
	Until    string `yaml:"until"` // day
}

func (a allowance) covers(f finding) bool {
	return matches(a.Rule, f.Rule) && a.Stack == f.Stack && matches(a.Resource, f.Resource)
}

func matches(pattern, text string) bool {
	prefix, open := strings.CutSuffix(pattern, "*")
	return pattern == text || open && strings.HasPrefix(text, prefix)
}

// finding is what a scanner says about a resource.
type finding struct{ Rule, Stack, Resource, Text string }

func allowances(t *testing.T) []allowance {
	t.Helper()
	text, err := os.ReadFile("allow.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var all []allowance
	if err := yaml.UnmarshalWithOptions(text, &all, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		if len(a.Reason) < 20 {
			t.Errorf("allow.yaml: %s on %s: the reason is too short to be one", a.Rule, a.Resource)
		}
		until, err := time.Parse(time.DateOnly, a.Until)
		if err != nil {
			t.Errorf("allow.yaml: %s on %s: until: %v", a.Rule, a.Resource, err)
		} else if time.Now().After(until.AddDate(0, 0, 1)) {
			t.Errorf("allow.yaml: %s on %s has expired on %s: look again, then take it out or give it a new day", a.Rule, a.Resource, a.Until)
		}
	}
	return all
}

// judge compares findings with what is allowed: nothing new, and nothing
// allowed that is not found.
func judge(t *testing.T, found []finding, scanner func(rule string) bool) {
	t.Helper()
	allowed := slices.DeleteFunc(allowances(t), func(a allowance) bool { return !scanner(a.Rule) })
	used := make([]bool, len(allowed))
	seen := map[finding]bool{}
	for _, f := range found {
		covered := false
		for i, a := range allowed {
			if a.covers(f) {
				covered, used[i] = true, true
			}
		}
		if key := (finding{f.Rule, f.Stack, f.Resource, ""}); !covered && !seen[key] {
			seen[key] = true
			t.Errorf("%s: %s in the stack %s: %.200s\nhint: mend the template, or allow it in security/allow.yaml with a reason", f.Rule, f.Resource, f.Stack, f.Text)
		}
	}
	for i, a := range allowed {
		if !used[i] {
			t.Errorf("allow.yaml: %s on %s in %s is not found any more: take it out", a.Rule, a.Resource, a.Stack)
		}
	}
}

// write renders every profile, each stack in a file ROLE-PROFILE.template.json.
func write(t *testing.T) []string {
	t.Helper()
	dir := t.TempDir()
	var files []string
	for _, profile := range []settings.Profile{settings.Single, settings.Standard, settings.Scale} {
		set, err := stack.Render(example(t, profile), stack.Known{Account: "123456789012"})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range set.Stacks {
			text, err := s.Template.JSON()
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(dir, fmt.Sprintf("%s-%s.template.json", s.Role, profile))
			if err := os.WriteFile(file, text, 0o600); err != nil {
				t.Fatal(err)
			}
			files = append(files, file)
		}
	}
	return files
}

// example are settings as a careful owner has them.
func example(t *testing.T, profile settings.Profile) settings.Settings {
	t.Helper()
	file := filepath.Join(t.TempDir(), settings.DefaultPath)
	text := fmt.Sprintf(`name: matomo
region: eu-central-1
domain: stats.example.org
zone: Z0123456789EXAMPLE
email: ops@example.org
profile: %s
admin_networks: [%s]
instance: {image: ami-0123456789abcdef0}
program: {url: "https://www.example.org/rocca", sha256: %s}
`, profile, netip.MustParsePrefix("192.0.2.0/24"), strings.Repeat("ab", 32))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := settings.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// stackOf is the stack that a file of write holds.
func stackOf(name string) string {
	role, _, _ := strings.Cut(filepath.Base(name), "-")
	return role
}

// TestNag asks the rule packs AWS Solutions and NIST 800-53 of cdk-nag.
func TestNag(t *testing.T) {
	project := testnode.Project(t, ".")
	nag := exec.Command("node", append([]string{"nag.js"}, write(t)...)...)
	nag.Env = append(os.Environ(), "NODE_PATH="+filepath.Join(project, "node_modules"))
	var stderr strings.Builder
	nag.Stderr = &stderr
	output, err := nag.Output()
	if err != nil {
		t.Fatalf("cdk-nag: %v\n%s", err, stderr.String())
	}
	var answer []struct{ Rule, Template, Resource, Text string }
	if err := json.Unmarshal(output, &answer); err != nil {
		t.Fatal(err)
	}
	var found []finding
	for _, a := range answer {
		found = append(found, finding{a.Rule, stackOf(a.Template), a.Resource, a.Text})
	}
	judge(t, found, func(rule string) bool {
		return strings.HasPrefix(rule, "AwsSolutions-") || strings.HasPrefix(rule, "NIST.")
	})
}

// TestKICS asks KICS, which make scan builds: ROCCA_KICS names the directory
// with its program and its assets.
func TestKICS(t *testing.T) {
	home := os.Getenv("ROCCA_KICS")
	if home == "" {
		t.Skip("make scan runs it")
	}
	files, out := write(t), t.TempDir()
	scan := exec.Command(filepath.Join(home, "kics"), "scan", "--ci", "--no-progress", "--ignore-on-exit", "results", "-t", "CloudFormation",
		"-p", filepath.Dir(files[0]), "-q", filepath.Join(home, "assets", "queries"), "-b", filepath.Join(home, "assets", "libraries"),
		"--report-formats", "json", "-o", out, "--output-name", "kics")
	scan.Env = append(os.Environ(), "DISABLE_CRASH_REPORT=1")
	if output, err := scan.CombinedOutput(); err != nil {
		t.Fatalf("kics: %v\n%s", err, output)
	}
	text, err := os.ReadFile(filepath.Join(out, "kics.json"))
	if err != nil {
		t.Fatal(err)
	}
	var report struct {
		Queries []struct {
			Name     string `json:"query_name"`
			Severity string `json:"severity"`
			Files    []struct {
				Name     string `json:"file_name"`
				Resource string `json:"resource_name"`
				Key      string `json:"search_key"`
				Actual   string `json:"actual_value"`
			} `json:"files"`
		} `json:"queries"`
	}
	if err := json.Unmarshal(text, &report); err != nil {
		t.Fatal(err)
	}
	var found []finding
	for _, q := range report.Queries {
		if q.Severity != "CRITICAL" && q.Severity != "HIGH" && q.Severity != "MEDIUM" {
			continue
		}
		for _, f := range q.Files {
			found = append(found, finding{"KICS: " + q.Name, stackOf(f.Name), resourceOf(f.Key, f.Resource), f.Actual})
		}
	}
	judge(t, found, func(rule string) bool { return strings.HasPrefix(rule, "KICS: ") })
}

// resourceOf takes the logical id out of a search key such as
// "Resources.Key.Properties.KeyPolicy".
func resourceOf(key, name string) string {
	if rest, found := strings.CutPrefix(key, "Resources."); found {
		id, _, _ := strings.Cut(rest, ".")
		return id
	}
	return name
}
