package stack

import (
	"fmt"
	"net/netip"
	"strings"

	"rocca/internal/aws/instance"
)

// userData is the script that an instance with these roles starts with.
func (v view) userData(roles []string, logicalID string) ([]byte, error) {
	b := instance.Boot{
		Program: v.program(),
		Agent:   v.agent(),
		Config: instance.Config{
			Deployment: v.Name, Region: v.Region,
			Signal:        instance.Signal{Stack: Name(v.Settings, App), Resource: logicalID},
			Secret:        v.from(Data, "Secret"),
			Domain:        []string{v.Domain},
			Email:         v.Email,
			Roles:         roles,
			AdminNetworks: v.AdminNetworks,
			SSHNetworks:   append([]netip.Prefix{v.Network.CIDR}, v.Network.SSH...), // of EC2 Instance Connect
			Release:       v.Release,
			Server:        v.Known.Server,
		},
	}
	if v.Balanced() {
		for _, zone := range v.Zones() {
			b.Config.Proxies = append(b.Config.Proxies, zone.Edge)
		}
	}
	if v.RDS() {
		b.CA = v.authorities()
		b.Config.Database = instance.Database{
			Host: v.from(Data, "DatabaseEndpoint"), Port: databasePort, Name: v.from(Data, "DatabaseName"),
			Network: v.Network.CIDR, Master: v.from(Data, "MasterSecret"),
		}
	} else {
		b.Volume = v.from(Data, "Volume")
	}
	return instance.UserData(b)
}

const databasePort = 3306

// unknown is what stands for a file that has not been uploaded yet: no name
// ends in .invalid (RFC 2606), and nothing has this hash.
func unknown(name string) instance.Artefact {
	return instance.Artefact{URL: "https://artefacts.invalid/" + name, SHA256: strings.Repeat("0", 64)}
}

// program is the rocca that instances run: what deploy uploaded, or what the
// settings name.
func (v view) program() instance.Artefact {
	switch {
	case v.Known.Program.URL != "":
		return v.Known.Program
	case v.Settings.Program.URL != "":
		return instance.Artefact{URL: v.Settings.Program.URL, SHA256: v.Settings.Program.SHA256}
	}
	return unknown("rocca")
}

// authorities are those that the certificate of RDS leads to.
func (v view) authorities() instance.Artefact {
	if v.CA.URL != "" {
		return v.CA
	}
	return unknown("authorities.pem")
}

// agent is the agent of Systems Manager, from the bucket that AWS keeps for
// each region, when the settings pin one.
func (v view) agent() instance.Artefact {
	pinned := v.Instance.Agent
	if pinned.Version == "" {
		return instance.Artefact{}
	}
	return instance.Artefact{
		URL:    fmt.Sprintf("https://s3.%[1]s.amazonaws.com/amazon-ssm-%[1]s/%[2]s/debian_%[3]s/amazon-ssm-agent.deb", v.Region, pinned.Version, v.Architecture()),
		SHA256: pinned.SHA256,
	}
}
