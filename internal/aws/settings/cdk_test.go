package settings

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rocca/internal/document"
)

// app is a cdk.json with these keys in context.matomo and context.rocca.
func app(matomo, rocca string) string {
	return `{"app": "rocca aws synth", "context": {"@aws-cdk/core:checkSecretUsage": true, "matomo": {` + matomo + `}, "rocca": {` + rocca + `}}}`
}

// ours is what the old project had no key for.
const ours = `"region": "eu-central-1", "domain": "stats.example.org"`

const mail = `"monitoring": {"notificationEmail": "ops@example.org"}`

// Every key of the old project, with a value that is not the default, and the
// one setting that it changes.
func TestOldKeys(t *testing.T) {
	cases := map[string]struct {
		matomo string
		rocca  string
		want   func(*Settings)
	}{
		"projectName": {`"projectName": "matomo-analytics"`, "", func(s *Settings) { s.Name = "matomo-analytics" }},
		"enableDatabase": {`"enableDatabase": false`, "", func(s *Settings) {
			s.Database, s.Instance.Disk, s.Instance.Data = Database{Kind: DatabaseLocal}, 10, 20
		}},
		"enableMonitoring":                 {`"enableMonitoring": false`, "", func(s *Settings) { s.Monitoring.Alarms, s.Monitoring.Dashboard = false, false }},
		"instanceType":                     {`"instanceType": "t3.micro"`, "", func(s *Settings) { s.Instance.Type = "t3.micro" }},
		"allowedSshCidr":                   {`"allowedSshCidr": "203.0.113.0/24"`, "", func(s *Settings) { s.Network.SSH = []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")} }},
		"databaseConfig.instanceClass":     {`"databaseConfig": {"instanceClass": "db.t3.micro"}`, "", func(s *Settings) { s.Database.Class = "db.t3.micro" }},
		"databaseConfig.allocatedStorage":  {`"databaseConfig": {"allocatedStorage": 40}`, "", func(s *Settings) { s.Database.Storage = 40 }},
		"databaseConfig.multiAZ":           {`"databaseConfig": {"multiAZ": true}`, "", func(s *Settings) { s.Database.MultiAZ = true }},
		"databaseConfig.backupRetention":   {`"databaseConfig": {"backupRetention": 7}`, "", func(s *Settings) { s.Database.BackupDays = 7 }},
		"networking.singleNatGateway":      {`"networking": {"singleNatGateway": false}`, `"profile": "standard"`, func(s *Settings) { *s = Defaults(Standard, "", s.Region); s.Network.NAT = NATPerZone }},
		"networking.enableVpcEndpoints":    {`"networking": {"enableVpcEndpoints": true}`, "", func(s *Settings) { s.Network.Endpoints = true }},
		"networking.vpcCidr":               {`"networking": {"vpcCidr": "10.0.0.0/16"}`, "", func(s *Settings) { s.Network.CIDR = netip.MustParsePrefix("10.0.0.0/16") }},
		"monitoring.enableDashboard":       {`"monitoring": {"enableDashboard": false}`, `"email": "ops@example.org"`, func(s *Settings) { s.Monitoring.Dashboard = false }},
		"monitoring.enableAlarms":          {`"monitoring": {"enableAlarms": false}`, `"email": "ops@example.org"`, func(s *Settings) { s.Monitoring.Alarms = false }},
		"monitoring.notificationEmail":     {`"monitoring": {"notificationEmail": "jane@example.org"}`, "", func(s *Settings) { s.Email = "jane@example.org" }},
		"monitoring.logRetentionDays":      {`"monitoring": {"logRetentionDays": 7}`, `"email": "ops@example.org"`, func(s *Settings) { s.Monitoring.LogDays = 7 }},
		"monitoring.detailedMonitoring":    {`"monitoring": {"detailedMonitoring": false}`, `"email": "ops@example.org"`, func(s *Settings) { s.Monitoring.Detailed = false }},
		"one NAT gateway, where it serves": {`"networking": {"singleNatGateway": true}`, `"profile": "standard"`, func(s *Settings) { *s = Defaults(Standard, "", s.Region) }},
		"one NAT gateway, with single":     {`"networking": {"singleNatGateway": true}`, "", func(*Settings) {}},
		"nothing":                          {"", "", func(*Settings) {}},
	}
	for name, c := range cases {
		matomo, rocca := c.matomo, ours
		if !strings.Contains(c.matomo, `"monitoring"`) {
			matomo = strings.TrimPrefix(c.matomo+", "+mail, ", ")
		}
		if c.rocca != "" {
			rocca += ", " + c.rocca
		}
		got, err := parse("cdk.json", []byte(app(matomo, rocca)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want := Defaults(Single, DatabaseRDS, "eu-central-1")
		c.want(&want)
		want.Domain = "stats.example.org"
		if want.Email == "" {
			want.Email = "ops@example.org"
		}
		if diff := cmp.Diff(want, got, samePrefix); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	for _, k := range oldKeys {
		if _, tested := cases[k.name]; !tested {
			t.Errorf("%s has no case here", k.name)
		}
	}
}

var badCDK = []string{
	`{"app": "rocca aws synth",}`,
	`{"app": "rocca` + "\n" + `synth"}`,
	`[]`,
	`{"app": "python3 app.py", "context": {}}`,
	`{"context": {"matomo": []}}`,
	app("", ""),
	app(`"costOptimized": true, `+mail, ours),
	app(`"networking": {"preferredAz": "us-east-1a"}, `+mail, ours),
	app(`"instanceTyp": "t3.micro", `+mail, ours),
	app(`"databasePassword": "hunter2", `+mail, ours),
	app(`"enableDatabase": "true", `+mail, ours),
	app(`"allowedSshCidr": "0.0.0.0/0", `+mail, ours),
	app(`"databaseConfig": {"backupRetention": 0}, `+mail, ours),
	app(`"databaseConfig": {"instanceClass": "t3.micro", "allocatedStorage": 5}, `+mail, ours),
	app(`"enableDatabase": false, "databaseConfig": {"instanceClass": "db.t3.micro"}, `+mail, ours),
	app(`"networking": {"singleNatGateway": false}, `+mail, ours),
	app(`"networking": {"vpcCidr": "10.0.0.0/28"}, `+mail, ours),
	app(`"monitoring": {"logRetentionDays": 8}`, ours),
	app(`"networking": {"vpcCidr": "10.0.0.0/16"}, `+mail, ours+`, "network": {"cidr": "10.1.0.0/16"}`),
	app(mail, ours+`, "network": {"zone": "eu-central-1a"}`),
	app(mail, ours+`, "profile": "standard", "firewall": {"rate": 1}`),
	app(mail, `"region": "eu-moon-1", "domain": "stats.example.org"`),
}

func TestProblemsOfCDK(t *testing.T) {
	var all bytes.Buffer
	for _, text := range badCDK {
		_, err := parse("cdk.json", []byte(text))
		var bad *document.Error
		if !errors.As(err, &bad) {
			t.Errorf("accepted, or failed without a *document.Error (%v):\n%s", err, text)
			continue
		}
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("shows what may be a secret: %v", err)
		}
		fmt.Fprintf(&all, "    %s\n%s\n\n", strings.ReplaceAll(text, "\n", "\n    "), bad)
	}
	golden(t, "testdata/cdk-problems.golden", all.Bytes())
}

// The file that the old project ships: what of it cannot be, with the line.
func TestFileOfTheOldProject(t *testing.T) {
	_, err := Load("testdata/cdk.json")
	if err == nil {
		t.Fatal("SSH for everybody and no backup are accepted")
	}
	s, notes, err2 := Import("testdata/cdk.json", "", "")
	if err2 != nil {
		t.Fatal(err2)
	}
	var all bytes.Buffer
	fmt.Fprintf(&all, "Load:\n%v\n\nImport:\n", err)
	for _, note := range notes {
		fmt.Fprintln(&all, note)
	}
	fmt.Fprintf(&all, "\n%s", Template(s))
	golden(t, "testdata/cdk-import.golden", all.Bytes())
}

func TestImportIntoAnotherProfile(t *testing.T) {
	s, notes, err := Import("testdata/cdk.json", Standard, "eu-west-1")
	if err != nil {
		t.Fatal(err)
	}
	want := Defaults(Standard, "", "eu-west-1")
	want.Name, want.Email = "matomo-analytics", "jane@example.org"
	want.Network.CIDR = netip.MustParsePrefix("10.0.0.0/16")
	want.Instance.Type = "t3.micro"
	want.Database.Class, want.Database.Storage, want.Database.MultiAZ = "db.t3.micro", 20, false
	want.Monitoring.LogDays, want.Monitoring.Detailed = 7, false
	if diff := cmp.Diff(want, s, samePrefix); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(notes) != 3 {
		t.Errorf("notes: %v", notes)
	}
}

// A local database is not for standard, so that the old switch is told and left.
func TestImportLeavesWhatTheProfileCannotHave(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cdk.json")
	if err := os.WriteFile(file, []byte(app(`"enableDatabase": false, "networking": {"vpcCidr": "10.0.0.0/28"}, `+mail, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	s, notes, err := Import(file, Standard, "eu-west-1")
	if err != nil {
		t.Fatal(err)
	}
	if s.Database.Kind != DatabaseRDS || s.Network.CIDR != Defaults(Standard, "", "").Network.CIDR {
		t.Errorf("database %s, network %s", s.Database.Kind, s.Network.CIDR)
	}
	if len(notes) != 2 || notes[0].Key != "context.matomo.enableDatabase" || notes[1].Key != "context.matomo.networking.vpcCidr" {
		t.Errorf("notes: %v", notes)
	}
}

// A cdk.json may be indented with tabs, and may have any name.
func TestTabsAndNames(t *testing.T) {
	text := strings.ReplaceAll(strings.ReplaceAll(app(mail, ours), "{", "{\n\t\t"), ": ", ":\t")
	for _, name := range []string{"cdk.json", "settings"} {
		s, err := parse(name, []byte(text))
		if err != nil || s.Domain != "stats.example.org" {
			t.Errorf("%s: domain %q, %v", name, s.Domain, err)
		}
	}
}
