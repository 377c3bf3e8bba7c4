package stack

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/aymanbagabas/go-udiff"
	"github.com/goccy/go-yaml"

	"rocca/internal/aws/settings"
)

var update = flag.Bool("update", false, "write the golden files")

// value is a key of rocca-aws.yaml, as a path, with what it is set to.
type value struct {
	key string
	to  any
}

// wanted is what a file asks for that has only what nobody can guess, and these
// values.
func wanted(t testing.TB, profile settings.Profile, values ...value) settings.Settings {
	t.Helper()
	file := map[string]any{}
	set := func(v value) {
		section, last := file, v.key
		for {
			first, rest, deeper := strings.Cut(last, ".")
			if !deeper {
				break
			}
			if section[first] == nil {
				section[first] = map[string]any{}
			}
			section, last = section[first].(map[string]any), rest
		}
		section[last] = v.to
	}
	for _, v := range append([]value{
		{"name", "stats"}, {"region", "eu-central-1"}, {"profile", string(profile)}, {"domain", "stats.example.org"},
		{"email", "owner@example.org"}, {"instance.image", "ami-0123456789abcdef0"},
		{"program.url", "https://downloads.example.org/rocca"}, {"program.sha256", strings.Repeat("ab", 32)},
	}, values...) {
		set(v)
	}
	text, err := yaml.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "rocca-aws.yaml")
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := settings.Load(name)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return s
}

func rendered(t testing.TB, s settings.Settings) Set {
	t.Helper()
	set, err := Render(s, Known{})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// pretty is a template for reviewers. What is deployed is the same, minified.
func pretty(t testing.TB, s Stack) []byte {
	t.Helper()
	minified, err := s.Template.JSON()
	if err != nil {
		t.Fatalf("%s: %v", s.Name, err)
	}
	var text bytes.Buffer
	if err := json.Indent(&text, minified, "", "  "); err != nil {
		t.Fatal(err)
	}
	text.WriteByte('\n')
	return text.Bytes()
}

// golden compares a text with a file of testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	name = filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	if diff := udiff.Unified(name, "now", string(want), string(got)); diff != "" {
		t.Errorf("%s; when it is meant: go test ./internal/aws/stack -update", diff)
	}
}

var profiles = []settings.Profile{settings.Single, settings.Standard, settings.Scale}

// TestGolden keeps every stack of every profile, for review.
func TestGolden(t *testing.T) {
	for _, profile := range profiles {
		for _, s := range rendered(t, wanted(t, profile)).Stacks {
			t.Run(string(profile)+"/"+s.Role, func(t *testing.T) {
				golden(t, filepath.Join("golden", string(profile), s.Role+".json"), pretty(t, s))
			})
		}
	}
}

// variants set every key to something that is not its default. What each
// changes is in testdata/keys.txt.
var variants = []struct {
	profile settings.Profile
	set     []value
}{
	{settings.Standard, []value{{"name", "web"}}},
	{settings.Standard, []value{{"region", "eu-west-1"}}},
	{settings.Standard, []value{{"data_residency", "eu"}}},
	{settings.Standard, []value{{"profile", "scale"}}},
	{settings.Standard, []value{{"domain", "web.example.org"}}},
	{settings.Standard, []value{{"zone", "Z0123456789ABCDEFGHIJ"}}},
	{settings.Single, []value{{"zone", "Z0123456789ABCDEFGHIJ"}}},
	{settings.Standard, []value{{"email", "other@example.org"}}},
	{settings.Standard, []value{{"admin_networks", []string{"192.0.2.0/24"}}}},
	{settings.Single, []value{{"admin_networks", []string{"192.0.2.0/24"}}}},
	{settings.Standard, []value{{"network.cidr", "172.16.4.0/22"}}},
	{settings.Standard, []value{{"network.zones", []string{"eu-central-1a", "eu-central-1b", "eu-central-1c"}}}},
	{settings.Standard, []value{{"network.nat", "per-zone"}}},
	{settings.Standard, []value{{"network.endpoints", true}}},
	{settings.Standard, []value{{"network.egress", []string{"smtp.example.org"}}}},
	{settings.Single, []value{{"network.egress", []string{"smtp.example.org"}}}},
	{settings.Single, []value{{"network.ssh", []string{"203.0.113.7/32", "198.51.100.0/24"}}}},
	{settings.Standard, []value{{"network.ssh", []string{"203.0.113.7/32"}}}},
	{settings.Standard, []value{{"instance.type", "t4g.large"}}},
	{settings.Standard, []value{{"instance.image", "ami-0fedcba9876543210"}}},
	{settings.Standard, []value{{"instance.disk", 60}}},
	{settings.Single, []value{{"instance.data", 60}}},
	{settings.Scale, []value{{"instance.trackers", 8}}},
	{settings.Standard, []value{{"instance.agent.version", "3.3.2299.0"}, {"instance.agent.sha256", strings.Repeat("cd", 32)}}},
	{settings.Single, []value{{"database.kind", "rds"}}},
	{settings.Standard, []value{{"database.class", "db.t4g.large"}}},
	{settings.Standard, []value{{"database.version", "8.4.8"}}},
	{settings.Standard, []value{{"database.storage", 100}}},
	{settings.Standard, []value{{"database.max_storage", 500}}},
	{settings.Standard, []value{{"database.multi_az", false}}},
	{settings.Standard, []value{{"database.backup_days", 35}}},
	{settings.Scale, []value{{"cache.type", "cache.m7g.large"}}},
	{settings.Standard, []value{{"tls.certificate", "arn:aws:acm:eu-central-1:123456789012:certificate/12345678-1234-1234-1234-123456789012"}}},
	{settings.Standard, []value{{"firewall.rate", 5000}}},
	{settings.Standard, []value{{"firewall.login_rate", 50}}},
	{settings.Standard, []value{{"firewall.bots", true}}},
	{settings.Standard, []value{{"monitoring.dashboard", false}}},
	{settings.Standard, []value{{"monitoring.alarms", false}}},
	{settings.Standard, []value{{"monitoring.log_days", 365}}},
	{settings.Standard, []value{{"monitoring.detailed", false}}},
	{settings.Standard, []value{{"backup.days", 60}}},
	{settings.Standard, []value{{"backup.copy_region", "eu-west-1"}}},
	{settings.Standard, []value{{"budget", 300}}},
	{settings.Standard, []value{{"account.trail", false}}},
	{settings.Standard, []value{{"account.guardduty", false}}},
	{settings.Standard, []value{{"account.config", true}}},
	{settings.Standard, []value{{"account.hub", true}}},
	{settings.Standard, []value{{"account.inspector", true}}},
	{settings.Standard, []value{{"program.url", "https://elsewhere.example.org/rocca"}}},
	{settings.Standard, []value{{"program.sha256", strings.Repeat("ef", 32)}}},
	{settings.Standard, []value{{"program.url", ""}, {"program.sha256", ""}, {"program.file", "bin/rocca-arm64"}}},
	{settings.Standard, []value{{"release", "5.3.0"}}},
	{settings.Standard, []value{{"server", "server.yaml"}}}, // its content is read by the verbs
	{settings.Standard, []value{{"tags", []map[string]string{{"key": "Team", "value": "web"}}}}},
	{settings.Standard, []value{{"waivers", []map[string]string{{"id": "AWS-49", "reason": "a test system", "owner": "jane", "until": "2027-03-31"}}}}}, // for rocca aws audit
}

// TestEachKey tells which resources each key adds (+), takes away (-) and
// changes, so that a key that does nothing does not pass unseen.
func TestEachKey(t *testing.T) {
	var told bytes.Buffer
	for _, v := range variants {
		fmt.Fprintf(&told, "%s", v.profile)
		for _, set := range v.set {
			fmt.Fprintf(&told, ", %s: %v", set.key, set.to)
		}
		told.WriteByte('\n')
		before, after := rendered(t, wanted(t, v.profile)), rendered(t, wanted(t, v.profile, v.set...))
		for i, s := range after.Stacks {
			if line := difference(before.Stacks[i], s); line != "" {
				fmt.Fprintf(&told, "  %s: %s\n", s.Role, line)
			}
		}
	}
	golden(t, "keys.txt", told.Bytes())
}

// difference of two renderings of a stack, in one line.
func difference(before, after Stack) string {
	was, is := before.Template.Resources, after.Template.Resources
	ids := slices.Collect(maps.Keys(was))
	for id := range is {
		if _, had := was[id]; !had {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	var words []string
	changed := 0
	for _, id := range ids {
		old, had := was[id]
		now, has := is[id]
		switch {
		case !had:
			words = append(words, "+"+id)
		case !has:
			words = append(words, "-"+id)
		case !reflect.DeepEqual(old, now):
			words = append(words, id)
			changed++
		}
	}
	if !maps.Equal(before.Tags, after.Tags) {
		words = append(words, "tags of the stack")
	}
	if changed > 40 {
		return fmt.Sprintf("%d of %d resources change", changed, len(was))
	}
	return strings.Join(words, " ")
}

// TestEveryKeyHasAVariant holds the list above to the settings there are.
func TestEveryKeyHasAVariant(t *testing.T) {
	tried := map[string]bool{}
	for _, v := range variants {
		for _, set := range v.set {
			tried[set.key] = true
		}
	}
	var look func(path string, of reflect.Type)
	look = func(path string, of reflect.Type) {
		for i := range of.NumField() {
			field := of.Field(i)
			key := strings.TrimPrefix(path+"."+field.Tag.Get("yaml"), ".")
			if field.Type.Kind() == reflect.Struct && field.Type.PkgPath() == of.PkgPath() {
				look(key, field.Type)
			} else if !tried[key] {
				t.Errorf("no variant sets %s", key)
			}
		}
	}
	look("", reflect.TypeFor[settings.Settings]())
}

// largest is a deployment with every switch on, and the longest name.
func largest(t testing.TB) settings.Settings {
	return wanted(t, settings.Scale, value{"name", "abcdefghijklmnopqrstuvw"},
		value{"network.zones", []string{"eu-central-1a", "eu-central-1b", "eu-central-1c"}},
		value{"network.ssh", []string{"198.51.100.0/26", "198.51.100.64/26", "198.51.100.128/26", "198.51.100.192/26", "203.0.113.0/26"}},
		value{"network.egress", []string{"*.one.example.org", "*.two.example.org", "*.three.example.org", "*.four.example.org", "*.five.example.org"}},
		value{"zone", "Z0123456789ABCDEFGHIJ"}, value{"firewall.bots", true}, value{"backup.copy_region", "eu-west-1"},
		value{"admin_networks", []string{"192.0.2.0/24", "198.51.100.7"}},
		value{"instance.agent.version", "3.3.2299.0"}, value{"instance.agent.sha256", strings.Repeat("cd", 32)})
}

func TestLargestFits(t *testing.T) {
	for _, s := range rendered(t, largest(t)).Stacks {
		text, err := s.Template.JSON()
		if err != nil {
			t.Errorf("%s: %v", s.Name, err)
		}
		t.Logf("%s: %d bytes, %d resources", s.Name, len(text), len(s.Template.Resources))
	}
}

// TestRenderIsStable renders twice: maps must not show in the bytes.
func TestRenderIsStable(t *testing.T) {
	for _, profile := range profiles {
		first, second := rendered(t, wanted(t, profile)), rendered(t, wanted(t, profile))
		for i := range first.Stacks {
			if !bytes.Equal(pretty(t, first.Stacks[i]), pretty(t, second.Stacks[i])) {
				t.Errorf("%s: %s differs from one rendering to the next", profile, first.Stacks[i].Role)
			}
		}
	}
}

// ignored are the rules of cfn-lint that do not hold here, with the reason.
var ignored = map[string]string{
	"W3010": "it wants zones looked up in the account; the owner names them, so that a template is the same for everybody who renders it",
}

// TestCFNLint lets AWS's linter read the templates of every profile, and of some
// that have every switch the other way.
func TestCFNLint(t *testing.T) {
	linter, err := exec.LookPath("cfn-lint")
	if err != nil {
		line := "NO CFN-LINT, " + t.Name() + " TESTS NOTHING: cfn-lint is not installed (pip install cfn-lint==1.51.0)"
		if os.Getenv("CI") == "true" {
			t.Fatal(line)
		}
		fmt.Fprintln(os.Stderr, line) // seen without -v, too
		t.Skip(line)
	}
	dir := t.TempDir()
	kept := map[string]string{} // content to name
	keep := func(name string, s settings.Settings) {
		for _, one := range rendered(t, s).Stacks {
			text := string(pretty(t, one))
			if kept[text] != "" {
				continue
			}
			kept[text] = filepath.Join(dir, name+"-"+one.Role+".json")
			if err := os.WriteFile(kept[text], []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, profile := range profiles {
		keep(string(profile), wanted(t, profile))
	}
	keep("largest", largest(t))
	keep("single-switched", wanted(t, settings.Single, value{"database.kind", "rds"}, value{"zone", "Z0123456789ABCDEFGHIJ"},
		value{"network.ssh", []string{"203.0.113.7"}}, value{"network.egress", []string{"*.example.org"}}, value{"network.endpoints", true},
		value{"admin_networks", []string{"192.0.2.0/24"}}, value{"monitoring.dashboard", false}, value{"account.trail", false}))
	keep("standard-switched", wanted(t, settings.Standard, value{"network.nat", "per-zone"}, value{"network.cidr", "172.16.4.0/22"},
		value{"network.ssh", []string{"203.0.113.7"}}, value{"network.egress", []string{"*.example.org"}}, value{"network.endpoints", true},
		value{"tls.certificate", "arn:aws:acm:eu-central-1:123456789012:certificate/12345678-1234-1234-1234-123456789012"},
		value{"monitoring.alarms", false}, value{"monitoring.detailed", false}, value{"account.guardduty", false}))

	args := []string{"--format", "parseable", "--ignore-checks"}
	args = append(args, slices.Sorted(maps.Keys(ignored))...)
	args = append(args, "--template")
	args = append(args, slices.Sorted(maps.Values(kept))...)
	if out, err := exec.Command(linter, args...).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("cfn-lint: %v\n%s", err, out)
	}
	t.Logf("%d templates", len(kept))
}
