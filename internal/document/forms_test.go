package document

import "testing"

func TestHostsAndAddresses(t *testing.T) {
	for name, want := range map[string]struct{ host, email bool }{ // email: of somebody there
		"stats.example.org": {true, true},
		"xn--bcher-kva.org": {true, true},
		"0.example.org":     {true, true},
		"localhost":         {true, false},
		"0abc":              {true, false},
		"192.0.2.1":         {true, false},
		"1.2.3":             {false, false},
		"a.0000a":           {false, false}, // no such top-level domain can be
		"a..org":            {false, false},
		"-a.org":            {false, false},
		"a_b.org":           {false, false},
		"Stats.example.org": {false, true}, // an address may have capitals
		"":                  {false, false},
	} {
		if got := IsHost(name); got != want.host {
			t.Errorf("IsHost(%q) is %v", name, got)
		}
		if got := IsEmail("owner@" + name); got != want.email {
			t.Errorf("IsEmail(%q) is %v", "owner@"+name, got)
		}
	}
}
