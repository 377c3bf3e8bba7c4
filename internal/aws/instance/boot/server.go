package boot

import (
	"fmt"
	"net/netip"

	"github.com/goccy/go-yaml"

	"rocca/internal/aws/instance"
)

// serverConfig writes rocca.yaml for an instance. credentials is the file of the
// database's administrator; when empty, the accounts have to be there.
func serverConfig(c instance.Config, credentials string) ([]byte, error) {
	type database struct {
		Host        string       `yaml:"host"`
		Port        int          `yaml:"port"`
		Name        string       `yaml:"name"`
		Network     netip.Prefix `yaml:"network"`
		CA          string       `yaml:"ca"`
		Credentials string       `yaml:"credentials,omitempty"`
	}
	type superuser struct {
		Email string `yaml:"email"`
	}
	file := struct {
		Domain        []string       `yaml:"domain"`
		Roles         []string       `yaml:"roles"`
		Proxies       []netip.Prefix `yaml:"proxies,omitempty"`
		AdminNetworks []netip.Prefix `yaml:"admin_networks,omitempty"`
		SSHNetworks   []netip.Prefix `yaml:"ssh_networks,omitempty"`
		Release       string         `yaml:"release,omitempty"`
		Secrets       string         `yaml:"secrets"`
		Database      *database      `yaml:"database,omitempty"`
		Superuser     superuser      `yaml:"superuser"`
	}{
		Domain: c.Domain, Roles: c.Roles, Proxies: c.Proxies, AdminNetworks: c.AdminNetworks, SSHNetworks: c.SSHNetworks,
		Release: c.Release, Secrets: sharedPath, Superuser: superuser{c.Email},
	}
	if d := c.Database; d.Host != "" {
		file.Database = &database{d.Host, d.Port, d.Name, d.Network, instance.CAPath, credentials}
	}
	text, err := yaml.Marshal(file)
	if err != nil {
		return nil, fmt.Errorf("write rocca.yaml: %w", err)
	}
	text = append([]byte("# Written by rocca aws boot, at every boot: to change it, change rocca-aws.yaml\n# and the file that it names with server:, and run rocca aws deploy.\n"), text...)
	if len(c.Server) == 0 {
		return text, nil
	}
	further, err := yaml.Marshal(c.Server)
	if err != nil {
		return nil, fmt.Errorf("write rocca.yaml: %w", err)
	}
	return append(text, further...), nil
}
