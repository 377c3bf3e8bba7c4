package audit

import (
	"net/netip"
	"reflect"
	"testing"

	"rocca/internal/aws/settings"
)

// TestWantedTellsEverything fills in what can be decided, and looks for a
// decision that did not arrive.
func TestWantedTellsEverything(t *testing.T) {
	here := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	s := settings.Settings{
		Profile: settings.Standard, Domain: "matomo.example.org", Zone: "Z1", AdminNetworks: here,
		Network:    settings.Network{NAT: settings.NATOne, Endpoints: true, Egress: []string{"example.org"}, SSH: here},
		Instance:   settings.Instance{Image: "ami-1", Agent: settings.Agent{Version: "3.3"}},
		Database:   settings.Database{Kind: settings.DatabaseRDS, MultiAZ: true, BackupDays: 7},
		Monitoring: settings.Monitoring{Alarms: true, LogDays: 90},
		Account:    settings.Account{Trail: true, GuardDuty: true, Config: true, Hub: true, Inspector: true},
	}
	for _, c := range []struct {
		wanted any
		zero   []string
	}{
		{Wanted(s), nil},
		{Wanted(settings.Settings{}), []string{"Profile", "Domain", "Zone", "AdminNetworks", "SSH", "NAT", "Endpoints", "RDS", "MultiAZ", "BackupDays", "LogDays", "Alarms", "Agent", "Trail", "GuardDuty", "Config", "Hub", "Inspector", "Image", "Browses"}},
	} {
		v := reflect.ValueOf(c.wanted)
		var zero []string
		for i := range v.NumField() {
			if v.Field(i).IsZero() {
				zero = append(zero, v.Type().Field(i).Name)
			}
		}
		if !reflect.DeepEqual(zero, c.zero) {
			t.Errorf("not decided: %v, want %v", zero, c.zero)
		}
	}
}
