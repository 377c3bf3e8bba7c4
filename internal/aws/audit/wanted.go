// Package audit tells the audit of a deployment what its owner decided.
package audit

import (
	"rocca/internal/aws/settings"
	"rocca/internal/facts"
)

// Wanted is what rocca-aws.yaml decides and controls ask about.
func Wanted(s settings.Settings) facts.CloudSettings {
	return facts.CloudSettings{
		Known:         true,
		Profile:       string(s.Profile),
		Domain:        s.Domain,
		Zone:          s.Zone,
		AdminNetworks: s.AdminNetworks,
		SSH:           s.Network.SSH,
		NAT:           s.Network.NAT,
		Endpoints:     s.Network.Endpoints,
		RDS:           s.RDS(),
		MultiAZ:       s.Database.MultiAZ,
		BackupDays:    s.Database.BackupDays,
		LogDays:       s.Monitoring.LogDays,
		Alarms:        s.Monitoring.Alarms,
		Agent:         s.Instance.Agent.Version != "",
		Trail:         s.Account.Trail,
		GuardDuty:     s.Account.GuardDuty,
		Config:        s.Account.Config,
		Hub:           s.Account.Hub,
		Inspector:     s.Account.Inspector,
		Image:         s.Instance.Image,
		Browses:       len(s.Network.Egress) > 0,
	}
}
