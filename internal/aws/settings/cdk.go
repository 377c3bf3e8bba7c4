package settings

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"rocca/internal/document"
)

// Sections of cdk.json: that of the old project, whose keys keep their meaning,
// and ours, which has the keys of rocca-aws.yaml.
const (
	oldSection = "context.matomo"
	newSection = "context.rocca"
)

// project is the context of danjamk/matomo-aws-server, with the keys that its
// cdk.json and its guide name.
type project struct {
	ProjectName      string       `yaml:"projectName"`
	EnableDatabase   bool         `yaml:"enableDatabase"`
	EnableMonitoring bool         `yaml:"enableMonitoring"`
	CostOptimized    bool         `yaml:"costOptimized"`
	InstanceType     string       `yaml:"instanceType"`
	AllowedSSHCIDR   netip.Prefix `yaml:"allowedSshCidr"`
	DatabaseConfig   struct {
		InstanceClass    string `yaml:"instanceClass"`
		AllocatedStorage int    `yaml:"allocatedStorage"`
		MultiAZ          bool   `yaml:"multiAZ"`
		BackupRetention  int    `yaml:"backupRetention"`
	} `yaml:"databaseConfig"`
	Networking struct {
		SingleNATGateway   bool         `yaml:"singleNatGateway"`
		EnableVPCEndpoints bool         `yaml:"enableVpcEndpoints"`
		VPCCIDR            netip.Prefix `yaml:"vpcCidr"`
		PreferredAZ        string       `yaml:"preferredAz"`
	} `yaml:"networking"`
	Monitoring struct {
		EnableDashboard    bool   `yaml:"enableDashboard"`
		EnableAlarms       bool   `yaml:"enableAlarms"`
		NotificationEmail  string `yaml:"notificationEmail"`
		LogRetentionDays   int    `yaml:"logRetentionDays"`
		DetailedMonitoring bool   `yaml:"detailedMonitoring"`
	} `yaml:"monitoring"`
}

// projectDefaults are what the old project took for a key that is not there,
// where that is not what rocca takes.
func projectDefaults() project {
	old := project{EnableDatabase: true, EnableMonitoring: true}
	old.Monitoring.EnableDashboard, old.Monitoring.EnableAlarms = true, true
	return old
}

// oldKey is a key of the old project and what it is here.
type oldKey struct {
	name  string // below oldSection
	key   string // of Settings
	about string
	take  func(project, *Settings)
}

var oldKeys = []oldKey{
	{"projectName", "name", "The same.", func(o project, s *Settings) { s.Name = o.ProjectName }},
	{"enableDatabase", "database.kind", "true, as when it is missing: rds. false: local, and MariaDB really is installed.", nil}, // read by settings, as it decides the defaults
	{"enableMonitoring", "monitoring.alarms", "false switches alarms and dashboard off.", func(o project, s *Settings) {
		s.Monitoring.Alarms, s.Monitoring.Dashboard = o.EnableMonitoring, o.EnableMonitoring
	}},
	{"instanceType", "instance.type", "The same.", func(o project, s *Settings) { s.Instance.Type = o.InstanceType }},
	{"allowedSshCidr", "network.ssh", "The same; without it there is no rule for port 22 at all.", func(o project, s *Settings) {
		if o.AllowedSSHCIDR.IsValid() {
			s.Network.SSH = []netip.Prefix{o.AllowedSSHCIDR}
		}
	}},
	{"databaseConfig.instanceClass", "database.class", "The same; it was read nowhere.", func(o project, s *Settings) { s.Database.Class = o.DatabaseConfig.InstanceClass }},
	{"databaseConfig.allocatedStorage", "database.storage", "The same, of gp3 that grows.", func(o project, s *Settings) { s.Database.Storage = o.DatabaseConfig.AllocatedStorage }},
	{"databaseConfig.multiAZ", "database.multi_az", "The same.", func(o project, s *Settings) { s.Database.MultiAZ = o.DatabaseConfig.MultiAZ }},
	{"databaseConfig.backupRetention", "database.backup_days", "The same; 0 to 6 are refused.", func(o project, s *Settings) { s.Database.BackupDays = o.DatabaseConfig.BackupRetention }},
	{"networking.singleNatGateway", "network.nat", "true: one, or none with single, which would not use it. false: per-zone.", func(o project, s *Settings) {
		switch {
		case !o.Networking.SingleNATGateway:
			s.Network.NAT = NATPerZone
		case s.Profile == Single:
			s.Network.NAT = NATNone
		default:
			s.Network.NAT = NATOne
		}
	}},
	{"networking.enableVpcEndpoints", "network.endpoints", "The same; it was read nowhere.", func(o project, s *Settings) { s.Network.Endpoints = o.Networking.EnableVPCEndpoints }},
	{"networking.vpcCidr", "network.cidr", "The same.", func(o project, s *Settings) { s.Network.CIDR = o.Networking.VPCCIDR }},
	{"monitoring.enableDashboard", "monitoring.dashboard", "The same.", func(o project, s *Settings) {
		s.Monitoring.Dashboard = o.EnableMonitoring && o.Monitoring.EnableDashboard
	}},
	{"monitoring.enableAlarms", "monitoring.alarms", "The same.", func(o project, s *Settings) { s.Monitoring.Alarms = o.EnableMonitoring && o.Monitoring.EnableAlarms }},
	{"monitoring.notificationEmail", "email", "The same; there is no default.", func(o project, s *Settings) { s.Email = o.Monitoring.NotificationEmail }},
	{"monitoring.logRetentionDays", "monitoring.log_days", "The same; it was read nowhere.", func(o project, s *Settings) { s.Monitoring.LogDays = o.Monitoring.LogRetentionDays }},
	{"monitoring.detailedMonitoring", "monitoring.detailed", "The same; it was read nowhere.", func(o project, s *Settings) { s.Monitoring.Detailed = o.Monitoring.DetailedMonitoring }},
}

// gone are keys of the old project that did nothing, with what to use.
var gone = []struct{ name, instead string }{
	{"costOptimized", "remove it; context.rocca.profile says the size: single, standard or scale"},
	{"networking.preferredAz", "remove it; context.rocca.network.zones lists the availability zones"},
}

// cdkFile is a parsed cdk.json.
type cdkFile struct {
	*document.Document
	text []byte // as YAML
	old  project
}

func openCDK(path string, text []byte) (cdkFile, error) {
	if err := json.Unmarshal(text, new(any)); err != nil {
		return cdkFile{}, document.Failed(notJSON(path, text, err))
	}
	// JSON is YAML, but for tabs between the words.
	text = bytes.ReplaceAll(text, []byte("\t"), []byte(" "))
	f := cdkFile{document.Parse(path, text), text, projectDefaults()}
	isOld := f.Decode(oldSection, document.Schema{Logins: schema().Logins}, &f.old)
	if isNew := f.Decode(newSection, schema(), new(Settings)); !isOld && !isNew {
		return cdkFile{}, f.Judge([]document.Problem{{
			Text: "has neither the context matomo nor the context rocca", Hint: "rocca aws init writes a rocca-aws.yaml instead",
		}})
	}
	return f, nil
}

func notJSON(path string, text []byte, err error) document.Problem {
	p := document.Problem{File: path, Text: "is not JSON: " + err.Error()}
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		before := text[:max(syntax.Offset-1, 0)]
		p.Line = bytes.Count(before, []byte("\n")) + 1
		p.Column = len([]rune(string(before[bytes.LastIndexByte(before, '\n')+1:]))) + 1
	}
	return p
}

func parseCDK(path string, text []byte, options ...Option) (Settings, error) {
	f, err := openCDK(path, text)
	if err != nil {
		return Settings{}, err
	}
	s := f.settings("", "", nil)
	found := append(f.outdated(), f.twice()...)
	for _, p := range s.Problems(options...) {
		found = append(found, f.inOwnWords(p))
	}
	if err := f.Judge(found); err != nil {
		return Settings{}, err
	}
	return s, nil
}

// settings are what the file says, in the named profile and region or its own,
// without some of the old keys.
func (f cdkFile) settings(profile Profile, region string, without []string) Settings {
	var first Settings
	document.Parse("", f.text).Decode(newSection, schema(), &first)
	profile = cmp.Or(profile, first.Profile, Single) // the old project had the size of the last
	region = cmp.Or(region, first.Region)
	taken := func(k string) bool { return f.Sets(oldSection+"."+k) && !slices.Contains(without, k) }
	kind := first.Database.Kind
	// The old project had its database on RDS when nobody said otherwise.
	if kind == "" && (taken("enableDatabase") || f.Sets(oldSection) && profile == Single) {
		kind = map[bool]string{true: DatabaseRDS, false: DatabaseLocal}[f.old.EnableDatabase]
	}
	s := Defaults(profile, kind, region)
	for _, k := range oldKeys {
		if k.take != nil && taken(k.name) {
			k.take(f.old, &s)
		}
	}
	document.Parse("", f.text).Decode(newSection, schema(), &s)
	s.Profile, s.Region = profile, region
	return s
}

// outdated reports the keys that are no more.
func (f cdkFile) outdated() []document.Problem {
	var found []document.Problem
	for _, g := range gone {
		if at := oldSection + "." + g.name; f.Sets(at) {
			found = append(found, document.Problem{Key: at, Text: "was read nowhere by the old project, and is not here", Hint: g.instead})
		}
	}
	return found
}

// twice reports what both sections set.
func (f cdkFile) twice() []document.Problem {
	var found []document.Problem
	for _, k := range oldKeys {
		if at := oldSection + "." + k.name; f.Sets(at) && f.Sets(newSection+"."+k.key) {
			found = append(found, document.Problem{Key: at, Text: fmt.Sprintf("is set as %s.%s as well", newSection, k.key), Hint: "keep one of the two"})
		}
	}
	return found
}

// oldName is the key of the old project that a setting comes from, or would
// come from.
func (f cdkFile) oldName(key string) (string, bool) {
	plain, _, _ := strings.Cut(key, "[")
	if !f.Sets(oldSection) || f.Sets(newSection+"."+plain) {
		return "", false
	}
	i := slices.IndexFunc(oldKeys, func(k oldKey) bool { return k.key == plain })
	if i < 0 {
		return "", false
	}
	return oldKeys[i].name, true
}

// inOwnWords says a problem of a setting by the key that this file has for it.
func (f cdkFile) inOwnWords(p document.Problem) document.Problem {
	old, isOld := f.oldName(p.Key)
	if !isOld {
		p.Key = newSection + "." + p.Key
		return p
	}
	last := func(path string) string { return path[strings.LastIndex(path, ".")+1:] }
	if example, found := strings.CutPrefix(p.Hint, "for example "+last(p.Key)+": "); found {
		p.Hint = "for example " + last(old) + ": " + example
	}
	p.Key = oldSection + "." + old
	return p
}

// Import reads a cdk.json to write a rocca-aws.yaml from it. The profile and the
// region are its own when none is named here. What cannot be kept has its
// default, and a note that says why. What is missing stays empty.
func Import(path string, profile Profile, region string) (Settings, []document.Problem, error) {
	text, err := read(path)
	if err != nil {
		return Settings{}, nil, err
	}
	f, err := openCDK(path, text)
	if err != nil {
		return Settings{}, nil, err
	}
	if err := f.Judge(f.twice()); err != nil {
		return Settings{}, nil, err
	}
	notes := f.outdated()
	var without []string
	for {
		s := f.settings(profile, region, without)
		kept := len(without)
		for _, p := range s.Problems() {
			old, isOld := f.oldName(p.Key)
			if !isOld || !f.Sets(oldSection+"."+old) || slices.Contains(without, old) {
				continue
			}
			without = append(without, old)
			note := f.inOwnWords(p)
			note.Hint = "the default is taken instead"
			notes = append(notes, note)
		}
		if len(without) == kept {
			return s, f.Locate(notes), nil
		}
	}
}
