package settings

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rocca/internal/document"
)

var update = flag.Bool("update", false, "rewrite the golden files and docs/aws-settings.md")

var samePrefix = cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })

// golden compares with a file, or rewrites it with -update.
func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs (-want +got); go test ./internal/aws/settings -update rewrites it:\n%s", file, diff)
	}
}

// least is a file with all that has to be said.
func least(profile Profile) string {
	return "profile: " + string(profile) + "\nregion: eu-central-1\ndomain: stats.example.org\nemail: ops@example.org\n"
}

// TestProblems keeps the exact words of every problem in one file to read.
func TestProblems(t *testing.T) {
	var all bytes.Buffer
	for _, bad := range badFiles {
		text := bad.text
		if bad.profile != "" {
			text = least(bad.profile) + text
		}
		_, err := parse("rocca-aws.yaml", []byte(text))
		var problems *document.Error
		if !errors.As(err, &problems) {
			t.Errorf("accepted, or failed without a *document.Error (%v):\n%s", err, text)
			continue
		}
		if bad.profile != "" && len(problems.Problems) != 1 && !bad.many {
			t.Errorf("one mistake, %d problems:\n%s\n%v", len(problems.Problems), bad.text, err)
		}
		fmt.Fprintf(&all, "%s:\n    %s\n%s\n\n", strings.TrimSuffix("profile "+string(bad.profile), "profile "), strings.ReplaceAll(strings.TrimSpace(bad.text), "\n", "\n    "), problems)
	}
	golden(t, "testdata/problems.golden", all.Bytes())
}

var badFiles = []struct {
	profile Profile // with least before the text; empty: the text is all
	text    string
	many    bool // problems, not one
}{
	{text: ""},
	{text: "- single\n"},
	{text: "profile: [single\n"},
	{text: "profile: big\nregion: eu-central-1\ndomain: stats.example.org\nemail: ops@example.org\n"},
	{text: "profile: standrd\nregion: eu-central-1\ndomain: stats.example.org\nemail: ops@example.org\n"},

	// unknown keys and wrong types
	{Single, "regoin: eu-west-1\n", false},
	{Single, "cidr: 10.0.0.0/16\n", false},
	{Single, "network: {cidrr: 10.0.0.0/16}\n", false},
	{Single, "database: {password: hunter2}\n", false},
	{Single, "access_token: hunter2\n", false},
	{Single, "region: eu-west-1\n", false},
	{Single, "budget: much\n", false},
	{Single, "monitoring: {alarms: yes}\n", false},
	{Single, "network: {ssh: [office]}\n", false},
	{Single, "network: {cidr: 10.0.0.0/33}\n", false},

	// name
	{Single, "name: \"\"\n", false},
	{Single, "name: Stats\n", false},
	{Single, "name: 1stats\n", false},
	{Single, "name: stats--eu\n", false},
	{Single, "name: stats-\n", false},
	{Single, "name: stats_eu\n", false},
	{Single, "name: " + strings.Repeat("a", 29) + "\n", false},
	{Single, "name: internal-stats\n", false},
	{Single, "name: sthree-stats\n", false},

	// region
	{text: "profile: single\nregion: eu-centrl-1\ndomain: stats.example.org\nemail: ops@example.org\n"},
	{text: "profile: single\nregion: eu-central-1a\ndomain: stats.example.org\nemail: ops@example.org\n"},
	{text: "profile: single\nregion: moon-1\ndomain: stats.example.org\nemail: ops@example.org\n"},
	{text: "profile: single\nregion: eusc-de-east-1\ndomain: stats.example.org\nemail: ops@example.org\n"},
	{text: "profile: single\nregion: us-east-1\ndata_residency: eu\ndomain: stats.example.org\nemail: ops@example.org\n"},
	{text: "profile: single\nregion: eu-west-2\ndata_residency: eu\ndomain: stats.example.org\nemail: ops@example.org\n"},
	{text: "profile: single\nregion: eu-central-2\ndata_residency: eu\ndomain: stats.example.org\nemail: ops@example.org\n"},
	{Single, "data_residency: EU\n", false},
	{Single, "data_residency: ch\n", false},

	// domain, zone, email
	{text: "profile: single\nregion: eu-central-1\n"},
	{text: "profile: single\nregion: eu-central-1\ndomain: https://stats.example.org/\nemail: ops\n"},
	{text: "profile: single\nregion: eu-central-1\ndomain: Stats.example.org\nemail: \"ops@example.org\\nBcc: x@example.org\"\n"},
	{text: "profile: single\nregion: eu-central-1\ndomain: localhost\nemail: ops@localhost\n"},
	{text: "profile: single\nregion: eu-central-1\ndomain: 192.0.2.1\nemail: \"\"\n"},
	{Single, "zone: example.org\n", false},

	// network
	{Single, "network: {cidr: \"\"}\n", false},
	{Single, "network: {cidr: \"2001:db8::/56\"}\n", false},
	{Single, "network: {cidr: 10.0.0.0/24}\n", false},
	{Single, "network: {cidr: 10.0.0.0/8}\n", false},
	{Single, "network: {cidr: 10.0.1.0/16}\n", false},
	{Single, "network: {cidr: 198.51.100.0/22}\n", false},
	{Single, "network: {cidr: 172.32.0.0/16}\n", false},
	{Single, "network: {zones: [eu-central-1a]}\n", false},
	{Single, "network: {zones: [eu-central-1a, eu-central-1b, eu-central-1c, eu-central-1d]}\n", false},
	{Single, "network: {zones: [eu-central-1a, eu-central-1a]}\n", false},
	{Single, "network: {zones: [eu-west-1a, eu-central-1b]}\n", false},
	{Single, "network: {zones: [eu-central-1a, eu-central-1-ham-1a]}\n", false},
	{Single, "network: {nat: one}\n", false},
	{Single, "network: {nat: per-az}\n", false},
	{Standard, "network: {nat: none}\n", false},
	{Scale, "network: {egress: [https://smtp.example.org, \"*\", 192.0.2.1]}\n", true},
	{Scale, "network: {egress: [smtp.example.org, smtp.example.org]}\n", false},

	// SSH and administrators
	{Single, "network: {ssh: [0.0.0.0/0]}\n", false},
	{Single, "network: {ssh: [\"::/0\"]}\n", false},
	{Single, "network: {ssh: [0.0.0.0/1, 128.0.0.0/1]}\n", true},
	{Single, "network: {ssh: [64.0.0.0/7]}\n", false},
	{Single, "network: {ssh: [\"2001:db8::/32\"]}\n", false},
	{Single, "network: {ssh: [203.0.113.7/24]}\n", false},
	{Single, "network: {ssh: [10.0.0.0/8]}\n", false},
	{Single, "network: {ssh: [203.0.113.0/24, 203.0.113.7]}\n", false},
	{Single, "network: {ssh: [192.0.2.1, 192.0.2.2, 192.0.2.3, 192.0.2.4, 192.0.2.5, 192.0.2.6, 192.0.2.7, 192.0.2.8, 192.0.2.9, 192.0.2.10, 192.0.2.11]}\n", false},
	{Single, "admin_networks: [0.0.0.0/0]\n", false},
	{Single, "admin_networks: [10.20.1.0/24]\n", false},
	{Single, "admin_networks: [203.0.113.7, 203.0.113.7]\n", false},

	// instance
	{Single, "instance: {type: small}\n", false},
	{Single, "instance: {type: mac2.metal}\n", false},
	{Single, "instance: {image: debian-12}\n", false},
	{Single, "instance: {disk: 8}\n", false},
	{Single, "instance: {data: 5}\n", false},
	{Single, "instance: {data: 0}\n", false},
	{Single, "instance: {trackers: 4}\n", false},
	{Standard, "instance: {data: 20}\n", false},
	{Scale, "instance: {trackers: 1}\n", false},
	{Scale, "instance: {trackers: 51}\n", false},
	{Single, "instance: {agent: {version: 3.3.2299.0}}\n", false},
	{Single, "instance: {agent: {sha256: 0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0}}\n", false},
	{Single, "instance: {agent: {version: latest, sha256: none}}\n", true},

	// database and cache
	{Single, "database: {kind: postgres}\n", false},
	{Single, "database: {kind: aurora}\n", false},
	{Standard, "database: {kind: local}\n", false},
	{Single, "database: {class: db.t4g.small}\n", false},
	{Single, "database: {backup_days: 14}\n", false},
	{Standard, "database: {class: t4g.medium}\n", false},
	{Standard, "database: {class: large}\n", false},
	{Standard, "database: {version: 8.0.42}\n", false},
	{Standard, "database: {version: 5.7.44}\n", false},
	{Standard, "database: {version: 8.4}\n", false},
	{Standard, "database: {version: 11.4.3}\n", false},
	{Standard, "database: {storage: 10}\n", false},
	{Standard, "database: {storage: 190}\n", false},
	{Standard, "database: {max_storage: 70000}\n", false},
	{Standard, "database: {backup_days: 0}\n", false},
	{Standard, "database: {backup_days: 6}\n", false},
	{Standard, "database: {backup_days: 36}\n", false},
	{Standard, "cache: {type: cache.t4g.small}\n", false},
	{Scale, "cache: {type: t4g.small}\n", false},
	{Scale, "cache: {type: \"\"}\n", false},

	// load balancer
	{Single, "tls: {certificate: arn:aws:acm:eu-central-1:123456789012:certificate/12345678-1234-1234-1234-123456789012}\n", false},
	{Single, "firewall: {rate: 2000, bots: true}\n", true},
	{Standard, "tls: {certificate: /etc/ssl/a.pem}\n", false},
	{Standard, "tls: {certificate: arn:aws:acm:us-east-1:123456789012:certificate/12345678-1234-1234-1234-123456789012}\n", false},
	{Standard, "firewall: {rate: 5}\n", false},
	{Standard, "firewall: {login_rate: 3000}\n", false},

	// what is kept, and what it costs
	{Single, "monitoring: {log_days: 10}\n", false},
	{Single, "monitoring: {log_days: 0}\n", false},
	{Single, "backup: {days: 3}\n", false},
	{Single, "backup: {copy_region: eu-central-1}\n", false},
	{Single, "backup: {copy_region: eu-moon-1}\n", false},
	{Single, "data_residency: eu\nbackup: {copy_region: us-east-1}\n", false},
	{Single, "budget: 0\n", false},

	// program, release, tags
	{Single, "program: {url: https://downloads.example.org/rocca}\n", false},
	{Single, "program: {sha256: 0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0}\n", false},
	{Single, "program: {url: http://downloads.example.org/rocca, sha256: 0F1E}\n", true},
	{Single, "program: {url: \"https://jane:hunter2@downloads.example.org/rocca\", sha256: 0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0}\n", false},
	{Single, "program: {url: \"https://downloads.example.org/$(id)\", sha256: 0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0}\n", false},
	{Single, "program: {url: https://downloads.example.org/rocca, sha256: 0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0, file: rocca}\n", false},
	{Single, "program: {file: \"a\\nb\"}\n", false},
	{Single, "release: latest\n", false},
	{Single, "release: 5.3\n", false},
	{Single, "tags: [{key: \"aws:team\", value: web}]\n", false},
	{Single, "tags: [{key: \"Rocca:role\", value: web}]\n", false},
	{Single, "tags: [{value: web}]\n", false},
	{Single, "tags: [{key: \"<b>\", value: \"a;b\"}]\n", true},
	{Single, "tags: [{key: Team, value: web}, {key: team, value: shop}]\n", false},
	{Single, "tags: [{name: Team, value: web}]\n", true},
	{Single, "tags: [" + manyTags(41) + "]\n", false},
	{Single, "waivers: [{id: everything, reason: x, owner: jane, until: 2027-03-31}]\n", false},
	{Single, "waivers: [{id: AWS-49, scope: a*b, reason: x, owner: jane, until: 2027-02-28}]\n", false},
	{Single, "waivers: [{id: AWS-49, reason: x, owner: jane, until: 2027-02-30}]\n", false},

	// many at once, in the order of the file
	{text: "email: ops\nregion: eu-central-1\nnetwork:\n  cidr: 10.0.0.0/28\n  ssh: 0.0.0.0/0\nname: A\nprofile: scale\nchart: x\n"},
}

func manyTags(n int) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("{key: k%d}", i))
	}
	return strings.Join(all, ", ")
}

func TestProblemsNeverShowWhatMayBeASecret(t *testing.T) {
	for _, bad := range badFiles {
		if !strings.Contains(bad.text, "hunter2") {
			continue
		}
		_, err := parse("rocca-aws.yaml", []byte(least(bad.profile)+bad.text))
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s leads to: %v", bad.text, err)
		}
	}
}

func TestLeastFile(t *testing.T) {
	for _, v := range variants {
		text := least(v.profile)
		if v.kind != "" {
			text += "database: {kind: " + v.kind + "}\n"
		}
		want := Defaults(v.profile, v.kind, "eu-central-1")
		want.Domain, want.Email = "stats.example.org", "ops@example.org"
		got, err := parse("rocca-aws.yaml", []byte(text))
		if err != nil {
			t.Errorf("%s: %v", v.title, err)
		}
		if diff := cmp.Diff(want, got, samePrefix); diff != "" {
			t.Errorf("%s (-want +got):\n%s", v.title, diff)
		}
		name := strings.ReplaceAll(v.title, " ", "-")
		golden(t, "testdata/template-"+name+".golden", Template(got))
		again, err := parse("rocca-aws.yaml", Template(got))
		if err != nil {
			t.Errorf("%s: its template does not load: %v", v.title, err)
		}
		if diff := cmp.Diff(got, again, samePrefix); diff != "" {
			t.Errorf("%s: its template loads to (-want +got):\n%s", v.title, diff)
		}
		// With every key uncommented it is the same as well.
		all := regexp.MustCompile(`(?m)^#((?:  )*[a-z])`).ReplaceAllString(string(Template(got)), "$1")
		again, err = parse("rocca-aws.yaml", []byte(all))
		if err != nil {
			t.Errorf("%s: its template, uncommented, does not load: %v", v.title, err)
		}
		if diff := cmp.Diff(got, again, samePrefix); diff != "" {
			t.Errorf("%s: its template, uncommented, loads to (-want +got):\n%s", v.title, diff)
		}
	}
}

// full sets every key of scale to another value than its default.
const full = `
name: stats
region: eu-central-1
data_residency: eu
profile: scale
domain: stats.example.org
zone: Z0123456789ABCDEFGHIJ
email: ops@example.org
admin_networks: [192.0.2.0/24, 203.0.113.7]
network:
  cidr: 192.168.0.0/22
  zones: [eu-central-1c, eu-central-1a, eu-central-1b]
  nat: one
  endpoints: false
  egress: ["*.example.org"]
  ssh: [198.51.100.0/24]
instance:
  type: m7i.large
  image: ami-0123456789abcdef0
  disk: 64
  trackers: 9
  agent: {version: 3.3.2299.0, sha256: 0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0}
database: {class: db.r7g.xlarge, version: 8.4.8, storage: 500, max_storage: 550, multi_az: false, backup_days: 35}
cache: {type: cache.m7g.large}
tls: {certificate: "arn:aws:acm:eu-central-1:123456789012:certificate/12345678-1234-1234-1234-123456789012"}
firewall: {rate: 100, login_rate: 10, bots: true}
monitoring: {dashboard: false, alarms: false, log_days: 3653, detailed: false}
backup: {days: 365, copy_region: eu-west-3}
budget: 1
account: {trail: false, guardduty: false, config: false, hub: false, inspector: false}
program: {url: https://downloads.example.org:8443/rocca?v=1, sha256: 0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0}
release: 5.3.0-rc2
tags: [{key: Größe, value: ""}, {key: CostCenter, value: "4711"}]
`

func TestFullFile(t *testing.T) {
	got, err := parse("rocca-aws.yaml", []byte(full))
	if err != nil {
		t.Fatal(err)
	}
	sum := "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0"
	want := Settings{
		Name: "stats", Region: "eu-central-1", DataResidency: "eu", Profile: Scale,
		Domain: "stats.example.org", Zone: "Z0123456789ABCDEFGHIJ", Email: "ops@example.org",
		AdminNetworks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("203.0.113.7/32")},
		Network: Network{
			CIDR: netip.MustParsePrefix("192.168.0.0/22"), Zones: []string{"eu-central-1c", "eu-central-1a", "eu-central-1b"},
			NAT: NATOne, Egress: []string{"*.example.org"}, SSH: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")},
		},
		Instance:   Instance{Type: "m7i.large", Image: "ami-0123456789abcdef0", Disk: 64, Trackers: 9, Agent: Agent{"3.3.2299.0", sum}},
		Database:   Database{Kind: DatabaseRDS, Class: "db.r7g.xlarge", Version: "8.4.8", Storage: 500, MaxStorage: 550, BackupDays: 35},
		Cache:      Cache{"cache.m7g.large"},
		TLS:        TLS{"arn:aws:acm:eu-central-1:123456789012:certificate/12345678-1234-1234-1234-123456789012"},
		Firewall:   Firewall{100, 10, true},
		Monitoring: Monitoring{LogDays: 3653},
		Backup:     Backup{365, "eu-west-3"},
		Budget:     1,
		Program:    Program{URL: "https://downloads.example.org:8443/rocca?v=1", SHA256: sum},
		Release:    "5.3.0-rc2",
		Tags:       []Tag{{"Größe", ""}, {"CostCenter", "4711"}},
	}
	if diff := cmp.Diff(want, got, samePrefix); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	again, err := parse("rocca-aws.yaml", Template(got))
	if err != nil {
		t.Fatalf("its template does not load: %v\n%s", err, Template(got))
	}
	if diff := cmp.Diff(got, again, samePrefix); diff != "" {
		t.Errorf("its template loads to (-want +got):\n%s", diff)
	}
}

func TestWorldSSHIsTakenOnlyWhenAccepted(t *testing.T) {
	text := []byte(least(Single) + "network: {ssh: [0.0.0.0/0]}\n")
	if _, err := parse("rocca-aws.yaml", text); err == nil {
		t.Error("accepted without a word")
	}
	s, err := parse("rocca-aws.yaml", text, AcceptWorldSSH)
	if err != nil || len(s.Network.SSH) != 1 {
		t.Errorf("accepted, and: %v, %v", s.Network.SSH, err)
	}
	// Nothing else becomes acceptable by it.
	if _, err := parse("rocca-aws.yaml", append(text, "budget: 0\n"...), AcceptWorldSSH); err == nil {
		t.Error("a budget of 0 is accepted with it")
	}
}

func TestFilesThatAreNotRead(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "rocca-aws.yaml")
	_, err := Load(missing)
	if want := missing + ": no such file\n  hint: rocca aws init writes one; -c names another"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if _, err := Load(filepath.Dir(missing)); err == nil || !strings.HasSuffix(err.Error(), "is not a regular file") {
		t.Errorf("a directory: %v", err)
	}
}

func TestWriteNeverOverwrites(t *testing.T) {
	s := Defaults(Standard, "", "eu-west-1")
	s.Domain, s.Email = "stats.example.org", "ops@example.org"
	file := filepath.Join(t.TempDir(), "rocca-aws.yaml")
	if err := Write(file, s); err != nil {
		t.Fatal(err)
	}
	got, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s, got, samePrefix); diff != "" {
		t.Errorf("what was written loads to (-want +got):\n%s", diff)
	}
	if err := Write(file, Defaults(Scale, "", "")); err == nil || !strings.Contains(err.Error(), "exists already and is not overwritten") {
		t.Errorf("got %v", err)
	}
}

func TestArchitecture(t *testing.T) {
	for instance, want := range map[string]string{
		"t4g.small": "arm64", "m7g.large": "arm64", "c7gn.xlarge": "arm64", "r8gd.2xlarge": "arm64", "im4gn.large": "arm64", "x2gd.medium": "arm64",
		"g5g.xlarge": "arm64", "a1.large": "arm64",
		"t3.micro": "amd64", "t3a.small": "amd64", "m7i-flex.large": "amd64", "g4dn.xlarge": "amd64", "g6e.xlarge": "amd64", "u-6tb1.metal": "amd64",
	} {
		if got := (Settings{Instance: Instance{Type: instance}}).Architecture(); got != want {
			t.Errorf("%s: got %s, want %s", instance, got, want)
		}
	}
}

func TestRegions(t *testing.T) {
	if !slices.IsSortedFunc(Regions(), func(a, b Region) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("they are not sorted by name")
	}
	want := "eu-central-1, eu-north-1, eu-south-1, eu-south-2, eu-west-1, eu-west-3"
	if got := europe(); got != want {
		t.Errorf("in the EU: got %s, want %s", got, want)
	}
	for region, want := range map[string]bool{"eu-central-1": true, "eu-west-2": false, "eu-central-2": false, "us-east-1": false, "": false} {
		if got := (Settings{Region: region}).EU(); got != want {
			t.Errorf("%s in the EU: %v", region, got)
		}
	}
	if got := firstZones("ap-northeast-1"); !slices.Equal(got, []string{"ap-northeast-1a", "ap-northeast-1c"}) {
		t.Errorf("zones of Tokyo: %v", got)
	}
}

func TestNames(t *testing.T) {
	s := Settings{Name: "stats"}
	if got := s.StackName("base"); got != "stats-base" {
		t.Errorf("got %s", got)
	}
}

// The descriptions and the type cannot drift apart, and every example is valid.
func TestEveryKeyIsDescribed(t *testing.T) {
	var described []string
	for _, k := range keys {
		described = append(described, k.Path)
		if !strings.HasSuffix(k.About, ".") {
			t.Errorf("%s: the description is no sentence: %q", k.Path, k.About)
		}
	}
	if diff := cmp.Diff(document.Paths(reflect.TypeFor[Settings]()), described); diff != "" {
		t.Errorf("keys of Settings and descriptions (-Settings +keys):\n%s", diff)
	}
}

func TestExamplesAreValid(t *testing.T) {
	for _, k := range keys {
		if k.Example == "" || strings.HasPrefix(k.Path, "tags.") || strings.HasPrefix(k.Path, "waivers.") {
			continue
		}
		text := k.Path + ": " + k.Example
		if names := strings.Split(k.Path, "."); len(names) > 1 {
			text = strings.Join(names, ": {") + ": " + k.Example + strings.Repeat("}", len(names)-1)
		}
		taken := func(profile Profile) bool {
			file := strings.Replace(least(profile), strings.SplitAfter(text, ":")[0], "# ", 1) // where it replaces a line
			_, err := parse("rocca-aws.yaml", []byte(file+text+"\n"))
			var bad *document.Error
			if errors.As(err, &bad) {
				// One key of a program or an agent needs the other.
				bad.Problems = slices.DeleteFunc(bad.Problems, func(p document.Problem) bool { return p.Key == "program" || p.Key == "instance.agent" })
				return len(bad.Problems) == 0
			}
			return true
		}
		if !taken(Single) && !taken(Standard) && !taken(Scale) {
			t.Errorf("no profile takes %s", text)
		}
	}
}

func TestDocumentation(t *testing.T) {
	golden(t, "../../../docs/aws-settings.md", Markdown())
}

// FuzzLoad feeds the parsers any text: the result is settings whose template
// loads to the same, or problems that can be shown.
func FuzzLoad(f *testing.F) {
	for _, bad := range badFiles {
		f.Add([]byte(least(cmpProfile(bad.profile))+bad.text), false)
	}
	for _, profile := range []Profile{Single, Standard, Scale} {
		f.Add([]byte(least(profile)), false)
	}
	f.Add([]byte(full), false)
	old, err := os.ReadFile("testdata/cdk.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(old, true)
	for _, bad := range badCDK {
		f.Add([]byte(bad), true)
	}
	f.Fuzz(func(t *testing.T, text []byte, isJSON bool) {
		if len(text) > 4096 {
			return
		}
		name := map[bool]string{false: "f.yaml", true: "f.json"}[isJSON]
		s, err := parse(name, text)
		if err != nil {
			var bad *document.Error
			if !errors.As(err, &bad) || len(bad.Problems) == 0 {
				t.Fatalf("got %T: %v", err, err)
			}
			for _, p := range bad.Problems {
				if p.Text == "" || strings.ContainsFunc(p.String(), func(r rune) bool { return r < ' ' && r != '\n' || r == 0x7f || r == 0x9b }) {
					t.Fatalf("problem %q", p.String())
				}
			}
			return
		}
		again, err := parse("g.yaml", Template(s))
		if err != nil {
			t.Fatalf("its template does not load: %v\n%s", err, Template(s))
		}
		if diff := cmp.Diff(s, again, samePrefix); diff != "" {
			t.Fatalf("its template changed the values (-want +got):\n%s\n%s", diff, Template(s))
		}
	})
}

func cmpProfile(profile Profile) Profile {
	if profile == "" {
		return Single
	}
	return profile
}
