package settings

import (
	"cmp"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"rocca/internal/document"
)

// Problems checks every value and how the values go together. They have no
// position.
func (s Settings) Problems(options ...Option) []document.Problem {
	r := rules{document.Rules{Schema: schema()}}
	r.name(s.Name)
	r.region(s)
	r.profile(s.Profile)
	r.domain(s)
	r.email(s.Email)
	r.admins(s)
	r.network(s)
	r.ssh(s, slices.Contains(options, AcceptWorldSSH))
	r.instance(s.Instance)
	r.database(s)
	r.edge(s)
	r.kept(s)
	r.between("budget", s.Budget, 1, 1_000_000)
	r.program(s.Program)
	if s.Release != "" && !release.MatchString(s.Release) {
		r.Report("release", "", "must be a version of Matomo, not %s", document.Quote(s.Release))
	}
	r.tags(s.Tags)
	r.Waivers(s.Waivers)
	r.suits(s)
	return r.Found
}

var (
	deployment  = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)
	hostedZone  = regexp.MustCompile(`^Z[A-Z0-9]{1,31}$`)
	image       = regexp.MustCompile(`^ami-([0-9a-f]{8}|[0-9a-f]{17})$`)
	agent       = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+$`)
	checksum    = regexp.MustCompile(`^[0-9a-f]{64}$`)
	class       = regexp.MustCompile(`^db\.[a-z][a-z0-9-]*\.[a-z0-9]+$`)
	node        = regexp.MustCompile(`^cache\.[a-z][a-z0-9-]*\.[a-z0-9]+$`)
	mysql84     = regexp.MustCompile(`^8\.4\.[0-9]{1,2}$`)
	certificate = regexp.MustCompile(`^arn:aws:acm:([a-z0-9-]+):[0-9]{12}:certificate/[0-9a-f-]{36}$`)
	release     = regexp.MustCompile(`^[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}(-(alpha|b|beta|rc)[0-9]{1,3})?$`)
	tagText     = regexp.MustCompile(`^[\p{L}\p{N} _.:/=+@-]*$`)
	fileName    = regexp.MustCompile(`^[^\p{C}]+$`)
)

// rules collects what breaks them.
type rules struct{ document.Rules }

// among checks a value that is one of a few.
func (r *rules) among(path, value string, allowed ...string) bool {
	if slices.Contains(allowed, value) {
		return true
	}
	hint := ""
	if meant := document.Nearest(value, allowed); meant != "" {
		hint = "did you mean " + meant + "?"
	}
	r.Report(path, hint, "must be %s, not %s", alternatives(allowed), document.Quote(value))
	return false
}

// alternatives lists words as "a, b or c".
func alternatives(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

func (r *rules) between(path string, number, least, most int) {
	if number < least || number > most {
		r.Report(path, "", "must be from %d to %d, not %d", least, most, number)
	}
}

// room is what AWS gives to the name of something.
type room struct {
	of    string
	most  int    // characters
	added string // by rocca, to the name of the deployment; at its longest
}

// rooms are those with the least left. What CloudFormation names by itself, such
// as load balancers and buckets, it shortens.
var rooms = []room{
	{"backup vaults", 50, "-vpc-0123456789abcdef0"},
	{"caches", 40, "-matomo"},
	{"databases", 63, "-matomo"},
}

func (r room) left() int { return r.most - len(r.added) }

func (r *rules) name(name string) {
	tightest := slices.MinFunc(rooms, func(a, b room) int { return cmp.Compare(a.left(), b.left()) })
	switch {
	case name == "":
		r.Report("name", "", "is missing")
	case !deployment.MatchString(name):
		r.Report("name", "", "must be a lower-case letter, then lower-case letters, digits and single hyphens, not %s", document.Quote(name))
	case len(name) > tightest.left():
		r.Report("name", "", "must have at most %d characters, not %d: names of %s have room for %d", tightest.left(), len(name), tightest.of, tightest.most)
	}
	for _, reserved := range []string{"internal-", "sthree-", "amzn-s3-demo-"} {
		if strings.HasPrefix(name, reserved) {
			r.Report("name", "", "begins with %s, which AWS keeps for itself", reserved)
		}
	}
}

func (r *rules) region(s Settings) {
	if s.DataResidency != "" && s.DataResidency != "eu" {
		r.Report("data_residency", "", "must be eu or empty, not %s", document.Quote(s.DataResidency))
	}
	r.place("region", s.Region, s.DataResidency)
}

// place checks a region, and that personal data may go there.
func (r *rules) place(path, name, residency string) {
	region, known := findRegion(name)
	switch {
	case name == "":
		r.Report(path, "", "is missing")
	case inOtherPartition(name):
		r.Report(path, "", "%s is in a part of AWS with its own accounts and services, which rocca does not know", document.Quote(name))
	case !known:
		hint := ""
		if meant := document.Nearest(name, regionNames()); meant != "" {
			hint = "did you mean " + meant + "?"
		} else if len(name) > 0 && slices.Contains(regionNames(), name[:len(name)-1]) {
			hint = "that is an availability zone; its region is " + name[:len(name)-1]
		}
		r.Report(path, hint, "%s is no region of AWS that rocca knows", document.Quote(name))
	case residency == "eu" && !region.EU:
		r.Report(path, "one of "+europe()+"; or remove data_residency", "%s (%s) is outside of the European Union, and data_residency is eu", name, region.Place)
	}
}

func (r *rules) profile(profile Profile) {
	if profile == "" {
		r.Report("profile", "single, standard or scale", "is missing")
		return
	}
	r.among("profile", string(profile), string(Single), string(Standard), string(Scale))
}

func (r *rules) domain(s Settings) {
	_, err := netip.ParseAddr(s.Domain)
	switch lower := strings.TrimSuffix(strings.ToLower(s.Domain), "."); {
	case s.Domain == "":
		r.Report("domain", "", "is missing")
	case err == nil:
		r.Report("domain", "", "is an address: a certificate is for a name")
	case document.IsHost(s.Domain) && strings.Contains(s.Domain, "."):
	case strings.ContainsAny(s.Domain, "/:"):
		r.Report("domain", "only the name, without https://, port and path", "%s is no domain name", document.Quote(s.Domain))
	case lower != s.Domain && document.IsHost(lower):
		r.Report("domain", "write it as "+lower, "%s is no domain name", document.Quote(s.Domain))
	default:
		r.Report("domain", "", "%s is no domain name", document.Quote(s.Domain))
	}
	if s.Zone != "" && !hostedZone.MatchString(s.Zone) {
		r.Report("zone", "aws route53 list-hosted-zones shows it, behind /hostedzone/", "must be the id of a hosted zone, not %s", document.Quote(s.Zone))
	}
}

func (r *rules) email(email string) {
	switch {
	case email == "":
		r.Report("email", "", "is missing: somebody has to get the alarms")
	case !document.IsEmail(email):
		r.Report("email", "", "%s is no e-mail address", document.Quote(email))
	}
}

// suits reports what is set and has no effect in the profile.
func (r *rules) suits(s Settings) {
	if r.Reported("profile") || r.Reported("database.kind") {
		return
	}
	set := document.Changed(s, Defaults(s.Profile, s.Database.Kind, s.Region))
	for _, rule := range []struct {
		keys    string // or of a section
		suits   bool
		what    string
		instead string
	}{
		{"instance.data", !s.RDS(), "is for a local database", "remove it; the database on RDS has storage of its own"},
		{"instance.trackers", s.Profile == Scale, "is for the profile scale", "remove it, or set profile to scale"},
		{"database.", s.RDS(), "is for a database on RDS", "remove it, or set database.kind to rds"},
		{"cache.", s.Profile == Scale, "is for the profile scale", "remove it, or set profile to scale"},
		{"tls.", s.Profile != Single, "is for a load balancer, which single does not have", "remove it, or set profile to standard"},
		{"firewall.", s.Profile != Single, "is for a load balancer, which single does not have", "remove it, or set profile to standard"},
	} {
		if rule.suits {
			continue
		}
		for _, key := range set {
			if strings.HasPrefix(key, rule.keys) && key != "database.kind" {
				r.Report(key, rule.instead, "%s", rule.what)
			}
		}
	}
}

func (r *rules) instance(i Instance) {
	switch {
	case !instanceType.MatchString(i.Type):
		r.Report("instance.type", "", "must be an EC2 instance type, not %s", document.Quote(i.Type))
	case strings.HasPrefix(i.Type, "mac"):
		r.Report("instance.type", "", "%s runs macOS only", i.Type)
	}
	if i.Image != "" && !image.MatchString(i.Image) {
		r.Report("instance.image", "rocca aws image --pin finds one", "must be the id of a machine image, not %s", document.Quote(i.Image))
	}
	r.between("instance.disk", i.Disk, 10, 16384)
	if i.Data != 0 {
		r.between("instance.data", i.Data, 10, 16384)
	}
	if i.Trackers != 0 {
		r.between("instance.trackers", i.Trackers, 2, 50)
	}
	switch {
	case i.Agent.Version != "" && i.Agent.SHA256 == "":
		r.Report("instance.agent", "set instance.agent.sha256 to that of the package", "has a version but no sha256")
	case i.Agent.Version == "" && i.Agent.SHA256 != "":
		r.Report("instance.agent", "set instance.agent.version", "has a sha256 but no version")
	}
	if i.Agent.Version != "" && !agent.MatchString(i.Agent.Version) {
		r.Report("instance.agent.version", "", "must be four numbers, not %s", document.Quote(i.Agent.Version))
	}
	r.sha256("instance.agent.sha256", i.Agent.SHA256)
}

func (r *rules) sha256(path, text string) {
	if text != "" && !checksum.MatchString(text) {
		r.Report(path, "sha256sum prints it", "must be 64 digits, 0 to 9 and a to f")
	}
}

func (r *rules) database(s Settings) {
	d := s.Database
	if !r.among("database.kind", d.Kind, DatabaseLocal, DatabaseRDS) {
		return
	}
	if d.Kind == DatabaseLocal {
		if s.Profile == Standard || s.Profile == Scale {
			r.Report("database.kind", "set it to rds, or profile to single", "local is for the profile single: instances of the others come and go")
		} else if s.Instance.Data == 0 {
			r.Report("instance.data", "", "must be from 10 to 16384, not 0: the local database lies there")
		}
		return
	}
	if !class.MatchString(d.Class) {
		hint := ""
		if class.MatchString("db." + d.Class) {
			hint = "write it as db." + d.Class
		}
		r.Report("database.class", hint, "must be an RDS instance class, not %s", document.Quote(d.Class))
	}
	r.mysql(d.Version)
	r.between("database.storage", d.Storage, 20, 65536)
	r.between("database.max_storage", d.MaxStorage, 20, 65536)
	if least := d.Storage + (d.Storage+9)/10; d.MaxStorage < least {
		r.Report("database.max_storage", "", "must be at least a tenth more than database.storage: %d", least)
	}
	if d.BackupDays == 0 {
		r.Report("database.backup_days", "", "must be from 7 to 35: with 0, nothing could bring back lost data")
	}
	r.between("database.backup_days", d.BackupDays, 7, 35)
}

func (r *rules) mysql(version string) {
	newest := "for example version: " + mysql
	switch {
	case mysql84.MatchString(version):
	case version == "8.4":
		r.Report("database.version", newest, "must name the last number as well, so that a deployment is the same tomorrow")
	case strings.HasPrefix(version, "8.0"), strings.HasPrefix(version, "5."):
		r.Report("database.version", newest, "MySQL %s has left the standard support of RDS: AWS bills extended support for every processor and hour", document.Quote(version))
	default:
		r.Report("database.version", newest, "must be a version of MySQL 8.4, not %s", document.Quote(version))
	}
}

// edge checks what stands before the instances, and the queue behind them.
func (r *rules) edge(s Settings) {
	if arn := s.TLS.Certificate; arn != "" {
		switch parts := certificate.FindStringSubmatch(arn); {
		case parts == nil:
			r.Report("tls.certificate", "", "must be the ARN of a certificate in ACM")
		case parts[1] != s.Region:
			r.Report("tls.certificate", "ask ACM for one in "+s.Region, "is in %s: a load balancer uses those of its own region", parts[1])
		}
	}
	if s.Profile == Standard || s.Profile == Scale {
		r.between("firewall.rate", s.Firewall.Rate, 10, 20_000_000)
		r.between("firewall.login_rate", s.Firewall.LoginRate, 10, 20_000_000)
		if s.Firewall.LoginRate > s.Firewall.Rate && !r.Reported("firewall.rate") {
			r.Report("firewall.login_rate", "", "must be at most firewall.rate, %d: a higher one never takes effect", s.Firewall.Rate)
		}
	}
	if s.Profile == Scale && !node.MatchString(s.Cache.Type) {
		hint := ""
		if node.MatchString("cache." + s.Cache.Type) {
			hint = "write it as cache." + s.Cache.Type
		}
		r.Report("cache.type", hint, "must be a node type of ElastiCache, not %s", document.Quote(s.Cache.Type))
	}
}

// retentions are the days that CloudWatch Logs can keep a log for
// (PutRetentionPolicy).
var retentions = []int{1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}

// kept checks how long things are kept, and where.
func (r *rules) kept(s Settings) {
	if days := s.Monitoring.LogDays; !slices.Contains(retentions, days) {
		var known []string
		for _, d := range retentions {
			known = append(known, strconv.Itoa(d))
		}
		r.Report("monitoring.log_days", "one of "+strings.Join(known, ", "), "CloudWatch Logs cannot keep logs for %d days", days)
	}
	r.between("backup.days", s.Backup.Days, 7, 3650)
	if to := s.Backup.CopyRegion; to != "" {
		r.place("backup.copy_region", to, s.DataResidency)
		if to == s.Region {
			r.Report("backup.copy_region", "", "must be another region than that of the deployment")
		}
	}
}

func (r *rules) program(p Program) {
	address, err := url.Parse(p.URL)
	switch {
	case p.URL == "" && p.SHA256 != "":
		r.Report("program", "set program.url, or remove the sha256", "has a sha256 but no url")
	case p.URL != "" && p.File != "":
		r.Report("program", "keep one of the two", "has a url and a file")
	case p.URL != "" && p.SHA256 == "":
		r.Report("program", "set program.sha256: sha256sum prints it", "has a url but no sha256 to check it with")
	}
	switch {
	case p.URL == "":
	case err != nil || address.Scheme != "https" || !document.IsHost(address.Hostname()) || address.User != nil || address.Fragment != "" ||
		strings.ContainsFunc(p.URL, func(c rune) bool { return c <= ' ' || c >= 0x7f || strings.ContainsRune("\"'<>\\`{|}$", c) }):
		// The text is not shown, as it may have a password in it.
		r.Report("program.url", "", "must be an address that begins with https://, with nothing but a host and a path")
	}
	r.sha256("program.sha256", p.SHA256)
	if p.File != "" && !fileName.MatchString(p.File) {
		r.Report("program.file", "", "must be the name of a file, not %s", document.Quote(p.File))
	}
}

// mostTags is what AWS takes for one resource, 50, less those of rocca.
const mostTags = 40

func (r *rules) tags(tags []Tag) {
	if len(tags) > mostTags {
		r.Report("tags", "", "must be at most %d, not %d", mostTags, len(tags))
	}
	for i, tag := range tags {
		at := fmt.Sprintf("tags[%d]", i)
		same := func(other Tag) bool { return strings.EqualFold(other.Key, tag.Key) }
		switch lower := strings.ToLower(tag.Key); {
		case tag.Key == "":
			r.Report(at, "every tag has a key and a value", "has no key")
		case strings.HasPrefix(lower, "aws:"), strings.HasPrefix(lower, "rocca:"):
			reserved, _, _ := strings.Cut(lower, ":")
			r.Report(at+".key", "", "begins with %s:, which %s keeps for its own", reserved, map[string]string{"aws": "AWS", "rocca": "rocca"}[reserved])
		case len([]rune(tag.Key)) > 128 || !tagText.MatchString(tag.Key):
			r.Report(at+".key", "", "must be at most 128 letters, digits, spaces and _ . : / = + - @, not %s", document.Quote(tag.Key))
		case slices.ContainsFunc(tags[:i], same):
			// To IAM, names of tags that differ in case are the same.
			r.Report(at+".key", "keep one of the two", "%s is the key of two tags", document.Quote(tag.Key))
		}
		if len([]rune(tag.Value)) > 256 || !tagText.MatchString(tag.Value) {
			r.Report(at+".value", "", "must be at most 256 letters, digits, spaces and _ . : / = + - @, not %s", document.Quote(tag.Value))
		}
	}
}
