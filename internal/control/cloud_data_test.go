package control

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// looked are all sections that controls of the way to Matomo and its data need.
var looked = []facts.Section{
	facts.CloudBalancers, facts.CloudTargets, facts.CloudCertificates, facts.CloudFirewalls, facts.CloudZone, facts.CloudSeen,
	facts.CloudDatabases, facts.CloudDBSnapshots, facts.CloudDBAuthorities, facts.CloudDBEngines, facts.CloudCaches,
	facts.CloudKeys, facts.CloudInstances, facts.CloudGroups, facts.CloudBuckets, facts.CloudLogGroups, facts.CloudRoles,
}

// merged is one deployment of ours out of the facts by which each control passes.
func merged(t *testing.T, profile string) facts.Server {
	t.Helper()
	s := facts.Server{Observed: time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC), Sections: map[facts.Section]string{}}
	for _, section := range looked {
		s.Sections[section] = ""
	}
	c := &s.Cloud
	from := func(id string) facts.Cloud { return read(t, filepath.Join("testdata", id, "pass.json")).Cloud }
	*c = from("AWS-41")
	if profile == "single" {
		c.Zone = read(t, filepath.Join("testdata", "AWS-44", "pass-address.json")).Cloud.Zone
		c.Wanted = facts.CloudSettings{Known: true, Profile: profile, Domain: "stats.example.org", Zone: c.Zone.ID}
		return s
	}
	c.Wanted.Profile = profile
	c.Balancers, c.TargetGroups = from("AWS-39").Balancers, from("AWS-39").TargetGroups
	c.CloudCerts, c.Firewalls, c.Zone = from("AWS-40").CloudCerts, from("AWS-43").Firewalls, from("AWS-44").Zone
	c.Databases, c.Keys = from("AWS-46").Databases, from("AWS-46").Keys
	c.DBSnapshots, c.DBEngines, c.DBAuthorities = from("AWS-47").DBSnapshots, from("AWS-50").DBEngines, from("AWS-53").DBAuthorities
	if profile == "scale" {
		c.Caches = from("AWS-54").Caches
	}
	return s
}

// What rocca deploys passes, in each profile, but for what the profile has not.
func TestDataOfOurDeployments(t *testing.T) {
	for profile, absent := range map[string][]string{
		"single": {"AWS-36", "AWS-15", "AWS-37", "AWS-38", "AWS-39", "AWS-40", "AWS-16", "AWS-42", "AWS-43",
			"AWS-45", "AWS-46", "AWS-10", "AWS-11", "AWS-47", "AWS-48", "AWS-49", "AWS-50", "AWS-51", "AWS-52", "AWS-53", "AWS-54"},
		"standard": {"AWS-54"},
		"scale":    nil,
	} {
		t.Run(profile, func(t *testing.T) {
			for _, f := range See(merged(t, profile)).Audit(cloudDataControls()) {
				want := model.Pass
				if slices.Contains(absent, f.ID) {
					want = model.NA
				}
				if f.Status != want {
					t.Errorf("%s: %s (%s) %v, want %s", f.ID, f.Status, f.Reason, f.Evidence, want)
				}
				if f.Status == model.Pass && (len(f.Evidence) == 0 || len(f.Evidence) > evidenceOnPass) {
					t.Errorf("%s passes with %d observations", f.ID, len(f.Evidence))
				}
			}
		})
	}
}

// guideStack is what the project beside the AWS guide deploys: one instance that
// answers the world, and a database by the defaults of RDS.
func guideStack() facts.Server {
	everybody := netip.MustParsePrefix("0.0.0.0/0")
	s := facts.Server{Observed: time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC), Sections: map[facts.Section]string{}}
	for _, section := range looked {
		s.Sections[section] = ""
	}
	s.Sections[facts.CloudZone] = "which domain it is for is not known: there is no rocca-aws.yaml"
	s.Sections[facts.CloudSeen] = "the public name was not looked at: no domain is known"
	s.Cloud = facts.Cloud{
		Account: "111122223333", Region: "us-east-1",
		Instances: []facts.Instance{{ID: "i-0aaaaaaaaaaaaaaaa", State: "running", PublicIP: "203.0.113.9", Groups: []string{"sg-web"}}},
		Groups:    []facts.SecurityGroup{{ID: "sg-web", Ingress: []facts.GroupRule{{Protocol: "tcp", From: 80, To: 80, CIDR: everybody}}}},
		Databases: []facts.CloudDatabase{{
			ID: "matomo", Engine: "mysql", Version: "8.0.35", Status: "available", BackupDays: 1, Restorable: s.Observed.Add(-time.Minute), MinorUpgrades: true,
			Lifecycle: "open-source-rds-extended-support", Master: "matomo", Authority: "rds-ca-rsa2048-g1", Storage: "gp2", ParameterGroup: "default.mysql8.0", InSync: true,
			Parameters: map[string]string{},
		}},
		DBSnapshots:   []facts.DBSnapshot{{ID: "rds:matomo-1", Database: "matomo"}},
		DBAuthorities: []facts.DBAuthority{{ID: "rds-ca-rsa2048-g1", Expires: time.Date(2061, 5, 24, 0, 0, 0, 0, time.UTC)}},
	}
	return s
}

// Each defect of that project is told by a control, in words that name it.
func TestDataOfTheGuidesStack(t *testing.T) {
	findings := map[string]model.Finding{}
	for _, f := range See(guideStack()).Audit(cloudDataControls()) {
		findings[f.ID] = f
	}
	for _, c := range []struct{ defect, id, have string }{
		{"D2 D3", "AWS-15", "answers the Internet itself"},
		{"D8", "AWS-16", "answers the Internet itself"},
		{"D23", "AWS-46", "not encrypted"},
		{"D23", "AWS-47", "not encrypted"},
		{"D24", "AWS-10", "require_secure_transport = 0"},
		{"D25", "AWS-52", "Matomo seems to log in as administrator"},
		{"D26", "AWS-52", "kept by people"},
		{"D27", "AWS-48", "one call deletes it"},
		{"D27", "AWS-11", "backups are kept 1 day"},
		{"D27", "AWS-49", "in one availability zone"},
		{"D27", "AWS-49", "storage gp2"},
		{"D27", "AWS-51", "does not hand on the logs error, slowquery"},
		{"D27", "AWS-51", "its machine is not measured"},
		{"D28", "AWS-50", "without standard support since 2026-07-31"},
		{"D28", "AWS-50", "goes on with an engine without support"},
	} {
		f := findings[c.id]
		if f.Status != model.Fail || !slices.ContainsFunc(f.Evidence, func(e model.Evidence) bool { return strings.Contains(e.Have, c.have) }) {
			t.Errorf("%s: %s is %s (%s) %v, want a failure with %q", c.defect, c.id, f.Status, f.Reason, f.Evidence, c.have)
		}
	}
	for id, want := range map[string]model.Status{"AWS-41": model.Unknown, "AWS-44": model.Unknown, "AWS-45": model.Pass, "AWS-36": model.NA, "AWS-54": model.NA} {
		if f := findings[id]; f.Status != want {
			t.Errorf("%s: %s (%s), want %s", id, f.Status, f.Reason, want)
		}
	}
}

// What AWS refuses is unknown, whatever else was seen.
func TestDataThatWasRefused(t *testing.T) {
	for _, c := range cloudDataControls() {
		for _, section := range c.Needs {
			s := merged(t, "scale")
			s.Sections[section] = "not allowed to look"
			if f := See(s).Audit([]Control{c})[0]; f.Status != model.Unknown {
				t.Errorf("%s without %s: %s, want unknown", c.ID, section, f.Status)
			}
		}
	}
	for id, section := range map[string]facts.Section{"AWS-46": facts.CloudKeys, "AWS-50": facts.CloudDBEngines, "AWS-53": facts.CloudDBAuthorities} {
		s := merged(t, "scale")
		s.Sections[section] = "not allowed to look"
		s.Cloud.Keys, s.Cloud.DBEngines, s.Cloud.DBAuthorities = nil, nil, nil
		i := slices.IndexFunc(cloudDataControls(), func(c Control) bool { return c.ID == id })
		if f := See(s).Audit(cloudDataControls()[i : i+1])[0]; f.Status != model.Unknown {
			t.Errorf("%s without %s: %s, want unknown", id, section, f.Status)
		}
	}
}

// The commands for what was found, as people get them. None deletes, opens or
// switches off.
func TestDataCommands(t *testing.T) {
	var told bytes.Buffer
	harmful := regexp.MustCompile(`delete-|--no-(deletion|storage|multi|auto|copy|manage)|--publicly|--skip-final|Value=false .*(drop|deletion|logs)`)
	for _, c := range cloudDataControls() {
		files, err := filepath.Glob(filepath.Join("testdata", c.ID, "*.json"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			if c.Fix.Changes == nil {
				continue
			}
			v := See(read(t, name))
			changes := c.Fix.Changes(v)
			if c.Eval(v).Status != model.Fail {
				if len(changes) > 0 && c.ID != "AWS-41" {
					t.Errorf("%s: nothing to put right, and %v", name, changes)
				}
				continue
			}
			fmt.Fprintf(&told, "%s %s\n", c.ID, strings.TrimSuffix(filepath.Base(name), ".json"))
			for _, change := range changes {
				fmt.Fprintf(&told, "  %s\n    %s\n", change.Sentence, change.Command)
				if harmful.MatchString(change.Command) {
					t.Errorf("%s: %s", name, change.Command)
				}
			}
		}
	}
	golden := filepath.Join("testdata", "commands-data.golden")
	if *update {
		if err := os.WriteFile(golden, told.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(told.Bytes(), want) {
		t.Errorf("commands are other ones than in %s (-update writes it):\n%s", golden, told.String())
	}
}

// Names of resources are of others: a shell must read them as words.
func TestDataCommandsAreQuoted(t *testing.T) {
	s := guideStack()
	s.Cloud.Databases[0].ID = "x; touch /tmp/$(id)"
	for _, f := range See(s).Audit(cloudDataControls()) {
		for _, command := range f.Commands {
			if strings.Contains(strings.ReplaceAll(command.Line, "'x; touch /tmp/$(id)", ""), "touch") {
				t.Errorf("%s: %s", f.ID, command.Line)
			}
		}
	}
}

func TestAuthoritiesFor(t *testing.T) {
	zone := facts.Zone{ID: "Z", Name: "example.org.", Records: []facts.ZoneRecord{
		{Name: "example.org.", Type: "CAA", Values: []string{`0 issue "amazon.com"`, `0 iodef "mailto:a@example.org"`}},
		{Name: `\052.example.org.`, Type: "CAA", Values: []string{`0 issue ";"`}},
		{Name: "closed.example.org", Type: "CAA", Values: []string{`0 issue ";"`}},
		{Name: "silent.example.org", Type: "CAA", Values: []string{`0 iodef "mailto:a@example.org"`}},
	}}
	for name, want := range map[string]string{
		"example.org":          "example.org [amazon.com]",
		"a.b.example.org":      "example.org [amazon.com]",
		"x.closed.example.org": "closed.example.org [;]",
		"silent.example.org":   "silent.example.org []",
		"elsewhere.test":       "test []",
	} {
		at, authorities := authoritiesFor(zone, name)
		if got := fmt.Sprint(at, " ", authorities); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func TestSpeaksOldTLS(t *testing.T) {
	for versions, want := range map[string]bool{"": false, "TLSv1.2": false, "TLSv1.2,TLSv1.3": false, "TLSv1.2, TLSv1.3": false, "TLSv1,TLSv1.2": true, "TLSv1.1": true} {
		if got := speaksOldTLS(versions); got != want {
			t.Errorf("%q: %v, want %v", versions, got, want)
		}
	}
}

// BenchmarkCloudData is a whole region: 10,000 rules of groups, and 200 of each
// kind of the rest.
func BenchmarkCloudData(b *testing.B) {
	s := guideStack()
	everybody := netip.MustParsePrefix("0.0.0.0/0")
	for i := range 1000 {
		group := facts.SecurityGroup{ID: fmt.Sprintf("sg-%d", i)}
		for port := range 10 {
			group.Ingress = append(group.Ingress, facts.GroupRule{Protocol: "tcp", From: 8000 + port, To: 8000 + port, CIDR: everybody})
		}
		s.Cloud.Groups = append(s.Cloud.Groups, group)
		s.Cloud.Instances = append(s.Cloud.Instances, facts.Instance{ID: fmt.Sprintf("i-%d", i), PublicIP: "203.0.113.1", Groups: []string{group.ID}})
	}
	for i := range 200 {
		database := s.Cloud.Databases[0]
		database.ID = fmt.Sprintf("db-%d", i)
		s.Cloud.Databases = append(s.Cloud.Databases, database)
		s.Cloud.DBSnapshots = append(s.Cloud.DBSnapshots, facts.DBSnapshot{ID: "s-" + database.ID, Database: database.ID})
		s.Cloud.Keys = append(s.Cloud.Keys, facts.CloudKey{ARN: fmt.Sprintf("arn:aws:kms:us-east-1:111122223333:key/%d", i)})
		s.Cloud.Caches = append(s.Cloud.Caches, facts.CloudCache{ID: fmt.Sprintf("c-%d", i)})
	}
	v, controls := See(s), cloudDataControls()
	for b.Loop() {
		v.Audit(controls)
	}
}
