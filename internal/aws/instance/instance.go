// Package instance is what an EC2 instance of a deployment starts with: user
// data that fetches rocca and checks it, and the file that tells rocca what
// this instance is for. It touches nothing outside; package boot does the work
// on the instance.
package instance

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

// Where user data puts things on an instance.
const (
	ConfigPath = "/etc/rocca/instance.yaml"
	CAPath     = "/etc/rocca/database-ca.pem"
	Program    = "/usr/local/sbin/rocca"
	Unit       = "rocca-boot.service"
	RunDir     = "/run/rocca-boot" // in memory; systemd removes it when the unit ends
)

// Boot is everything that user data is made of. There is no secret in it:
// whoever may describe instances reads user data.
type Boot struct {
	Program Artefact // rocca, for the architecture of the instance
	CA      Artefact // PEM file that the database's certificate must lead to; zero without Config.Database
	Agent   Artefact // Debian package of the SSM agent; zero: none, and EC2 Instance Connect is the way in
	Volume  string   // id of the EBS volume (vol-...) that outlives the instance, for a MariaDB on it; empty: none
	Config  Config

	// Plain allows http:// in the URLs of artefacts. They are checked by their
	// hash anyway; it is there for tests.
	Plain bool
}

// Artefact is a file that the instance fetches and checks before use.
type Artefact struct {
	URL    string // https
	SHA256 string // 64 hexadecimal digits
}

// Config is the content of ConfigPath. What is made by another stack may be a
// dynamic reference, {{resolve:ssm:NAME}}, see References.
type Config struct {
	Deployment    string         `yaml:"deployment"`               // name of the deployment
	Region        string         `yaml:"region"`                   //
	Signal        Signal         `yaml:"signal,omitempty"`         // who waits for this instance
	Secret        string         `yaml:"secret"`                   // ARN of the one secret that instances read, see boot.Derive
	Domain        []string       `yaml:"domain"`                   // names that visitors use, the main one first
	Email         string         `yaml:"email"`                    // of the first login
	Roles         []string       `yaml:"roles"`                    // tracker, ui, worker
	Proxies       []netip.Prefix `yaml:"proxies,omitempty"`        // subnets of the load balancer
	AdminNetworks []netip.Prefix `yaml:"admin_networks,omitempty"` // who may reach the user interface; empty: everybody
	SSHNetworks   []netip.Prefix `yaml:"ssh_networks,omitempty"`   // who may reach SSH; the VPC for EC2 Instance Connect Endpoint
	Database      Database       `yaml:"database,omitempty"`       // zero: a MariaDB on the instance
	Cache         Cache          `yaml:"cache,omitempty"`          // zero: hits are recorded at once
	Release       string         `yaml:"release,omitempty"`        // of Matomo: version or URL; empty: the newest that rocca knows
	ReleaseKey    string         `yaml:"release_key,omitempty"`    // file with its OpenPGP key, when it is not Matomo's own
	Server        map[string]any `yaml:"server,omitempty"`         // further keys of rocca.yaml, such as privacy or tls
}

// Signal names the resource of a CloudFormation stack whose CreationPolicy or
// UpdatePolicy waits for this instance; zero: nobody waits. An instance with a
// Volume must not be that resource itself: the volume is attached only when the
// instance is complete. There it is an AWS::CloudFormation::WaitCondition with a
// CreationPolicy that depends on the attachment.
type Signal struct {
	Stack    string `yaml:"stack"`    // name
	Resource string `yaml:"resource"` // logical id
}

// Database is an RDS instance.
type Database struct {
	Host    string       `yaml:"host"`             // endpoint
	Port    int          `yaml:"port"`             //
	Name    string       `yaml:"name"`             // schema, such as matomo
	Network netip.Prefix `yaml:"network"`          // of the VPC: the accounts may come from there
	Master  string       `yaml:"master,omitempty"` // ARN of its administrator's secret, which the instance may read only while accounts are made
}

// Cache is the Valkey or Redis, always by TLS, that keeps hits until the worker
// records them.
type Cache struct {
	Host string `yaml:"host"`
	Port int    `yaml:"port"`
	User string `yaml:"user"`
}

// Roles of instances, as rocca.yaml knows them.
var allRoles = []string{"tracker", "ui", "worker"}

// decided are the keys of rocca.yaml that follow from the others of a Config.
var decided = []string{"domain", "roles", "proxies", "admin_networks", "ssh_networks", "release", "secrets", "database", "superuser", "queue"}

// Read reads ConfigPath, or a file like it.
func Read(path string) (Config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Config{}, fmt.Errorf("read what this instance is for: %w\nhint: user data writes the file; its output is in /var/log/cloud-init-output.log", err)
	}
	c, err := Decode(text)
	if err != nil {
		return Config{}, fmt.Errorf("read what this instance is for from %s: %w", path, err)
	}
	return c, nil
}

// Decode reads the text of the file, strictly.
func Decode(text []byte) (Config, error) {
	var c Config
	if err := yaml.UnmarshalWithOptions(text, &c, yaml.Strict()); err != nil {
		return Config{}, errors.New(strings.TrimSpace(yaml.FormatError(err, false, false))) // without the lines of the file
	}
	return c, c.Validate()
}

// Encode writes the text of the file.
func (c Config) Encode() ([]byte, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return yaml.Marshal(c)
}

var (
	references = regexp.MustCompile(`\{\{resolve:ssm:/[A-Za-z0-9_./-]+\}\}`)
	reference  = regexp.MustCompile(`^` + references.String() + `$`)

	deploymentName = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)
	regionName     = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-[0-9]$`)
	secretARN      = regexp.MustCompile(`^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@!-]+$`)
	stackName      = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]*$`)
	logicalID      = regexp.MustCompile(`^[A-Za-z0-9]+$`)
	hostName       = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$`)
	volumeID       = regexp.MustCompile(`^vol-[0-9a-f]{8,17}$`)
	sha256Hex      = regexp.MustCompile(`^[0-9a-f]{64}$`)
	// What follows the scheme: nothing that a shell or YAML would read.
	urlText = regexp.MustCompile(`^https?://[A-Za-z0-9._~:/?#@!&()*+,;=%-]+$`)
)

// Reference gives the name of the SSM parameter that a text refers to.
func Reference(text string) (parameter string, is bool) {
	if !reference.MatchString(text) {
		return "", false
	}
	return strings.TrimSuffix(strings.TrimPrefix(text, "{{resolve:ssm:"), "}}"), true
}

// References are the texts that another stack decides. boot looks up those that
// are dynamic references still: CloudFormation does not look into base64.
func (c *Config) References() []*string {
	return []*string{&c.Secret, &c.Database.Host, &c.Database.Name, &c.Database.Master, &c.Cache.Host, &c.Cache.User}
}

// Validate tells every value that cannot be right.
func (c Config) Validate() error {
	var problems []error
	check := func(key, value string, form *regexp.Regexp) {
		if !form.MatchString(value) && !reference.MatchString(value) {
			problems = append(problems, fmt.Errorf("%s is %q, which it cannot be", key, value))
		}
	}
	port := func(key string, value int) {
		if value < 1 || value > 65535 {
			problems = append(problems, fmt.Errorf("%s must be from 1 to 65535, not %d", key, value))
		}
	}
	check("deployment", c.Deployment, deploymentName)
	check("region", c.Region, regionName)
	check("secret", c.Secret, secretARN)
	if c.Signal != (Signal{}) {
		check("signal.stack", c.Signal.Stack, stackName)
		check("signal.resource", c.Signal.Resource, logicalID)
	}
	if len(c.Domain) == 0 {
		problems = append(problems, errors.New("domain must have at least one name"))
	}
	for _, name := range c.Domain {
		check("domain", name, hostName)
	}
	if len(c.Roles) == 0 {
		problems = append(problems, fmt.Errorf("roles must be some of %q", allRoles))
	}
	for _, role := range c.Roles {
		if !slices.Contains(allRoles, role) {
			problems = append(problems, fmt.Errorf("roles has %q, which is none of %q", role, allRoles))
		}
	}
	if c.Database.Host != "" {
		check("database.host", c.Database.Host, hostName)
		port("database.port", c.Database.Port)
		if c.Database.Name == "" {
			problems = append(problems, errors.New("database.name is not set"))
		}
		if !c.Database.Network.IsValid() {
			problems = append(problems, errors.New("database.network is not set"))
		}
		if c.Database.Master != "" {
			check("database.master", c.Database.Master, secretARN)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(c.Server)) {
		if slices.Contains(decided, key) {
			problems = append(problems, fmt.Errorf("server has %s, which follows from the deployment", key))
		}
	}
	if c.Cache.Host != "" {
		check("cache.host", c.Cache.Host, hostName)
		port("cache.port", c.Cache.Port)
	}
	return errors.Join(problems...)
}
