package settings

import "net/netip"

// Defaults are the settings of a profile, with the database that it has by
// itself when kind is empty. What nobody can guess stays empty: the region, the
// domain and the e-mail address.
func Defaults(profile Profile, kind, region string) Settings {
	s := Settings{
		Name:    "matomo",
		Region:  region,
		Profile: profile,
		Network: Network{CIDR: netip.MustParsePrefix("10.20.0.0/16")},
		Monitoring: Monitoring{
			Dashboard: true,
			Alarms:    true,
			LogDays:   90,
			Detailed:  true,
		},
		Backup:  Backup{Days: 35},
		Account: Account{Trail: true, GuardDuty: true},
	}
	if region != "" {
		s.Network.Zones = firstZones(region)
	}
	switch profile {
	case Scale:
		s.scale()
	case Standard:
		s.standard()
	default:
		s.single(kind)
	}
	if kind != "" {
		s.Database.Kind = kind
	}
	return s
}

func (s *Settings) single(kind string) {
	s.Network.NAT = NATNone
	s.Instance = Instance{Type: "t4g.small", Disk: 30}
	if kind == DatabaseRDS {
		s.Database = Database{Class: "db.t4g.micro", Version: mysql, Storage: 20, MaxStorage: 100, BackupDays: 14}
	} else {
		s.Database.Kind = DatabaseLocal
		s.Instance.Disk, s.Instance.Data = 10, 20
	}
	s.Monitoring.LogDays = 30
	s.Backup.Days = 14
	s.Budget = 50
}

func (s *Settings) standard() {
	s.Network.NAT = NATOne
	s.Instance = Instance{Type: "t4g.small", Disk: 30}
	s.Database = Database{Kind: DatabaseRDS, Class: "db.t4g.small", Version: mysql, Storage: 50, MaxStorage: 200, MultiAZ: true, BackupDays: 14}
	s.Firewall = Firewall{Rate: 2000, LoginRate: 100}
	s.Budget = 250
}

func (s *Settings) scale() {
	s.Network.NAT = NATPerZone
	s.Network.Endpoints = true
	// Beside what rocca needs: the marketplace, and news of updates.
	s.Network.Egress = []string{"api.matomo.org", "plugins.matomo.org"}
	s.Instance = Instance{Type: "t4g.medium", Disk: 30, Trackers: 4}
	s.Database = Database{Kind: DatabaseRDS, Class: "db.m7g.large", Version: mysql, Storage: 200, MaxStorage: 1000, MultiAZ: true, BackupDays: 14}
	s.Cache.Type = "cache.t4g.small"
	s.Firewall = Firewall{Rate: 2000, LoginRate: 100}
	s.Account.Config, s.Account.Hub, s.Account.Inspector = true, true, true
	s.Budget = 800
}

// mysql is the version of RDS for MySQL that is deployed.
const mysql = "8.4.9"
