package blueprint

import (
	"net/netip"
	"strings"
	"testing"

	"rocca/internal/change/step"
)

func TestDatabaseNetworks(t *testing.T) {
	addresses := func(texts ...string) []netip.Addr {
		var found []netip.Addr
		for _, text := range texts {
			found = append(found, netip.MustParseAddr(text))
		}
		return found
	}
	for _, test := range []struct {
		name, host             string
		addresses, nameServers []netip.Addr
		want                   string
	}{
		{"an address", "198.51.100.7", addresses("198.51.100.7"), addresses("192.0.2.53"), "198.51.100.7/32"},
		{"an IPv6 address", "2001:db8::7", addresses("2001:db8::7"), nil, "2001:db8::7/128"},
		{"a name in a private network", "db.internal", addresses("10.1.2.3"), addresses("10.0.0.2"), "10.0.0.0/8 10.0.0.2/32"},
		{"a name in two", "db.internal", addresses("172.20.0.1", "192.168.4.5", "172.16.0.9"), addresses("127.0.0.53"), "127.0.0.53/32 172.16.0.0/12 192.168.0.0/16"},
		{"a name in a private IPv6 network", "db.internal", addresses("fd12::1"), addresses("fe80::1%eth0"), "fc00::/7 fe80::1/128"},
		{"a mapped address", "db.internal", addresses("::ffff:10.0.0.1"), nil, "10.0.0.0/8"},
		{"a tunnel on this machine", "db.example.org", addresses("127.0.0.1"), nil, "127.0.0.0/8"},
		{"a name of the Internet", "db.example.org", addresses("198.51.100.7"), addresses("10.0.0.2"), ""},
		{"a name in both", "db.example.org", addresses("10.0.0.1", "198.51.100.7"), nil, ""},
	} {
		if got := joinNetworks(DatabaseNetworks(test.host, test.addresses, test.nameServers)); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

// TestRemoteTrackerReachesTheDatabaseOnly: with a local database it has no
// network; with a remote one only the way there.
func TestRemoteTrackerReachesTheDatabaseOnly(t *testing.T) {
	unit := func(name string, networks []netip.Prefix) string {
		b := testBlueprint(t, name)
		b.Remote.Networks = networks
		for _, r := range b.roles() {
			if r.Name == "tracker" {
				return string(b.render(roleTemplate, r))
			}
		}
		t.Fatal("no tracker")
		return ""
	}
	one := []netip.Prefix{netip.MustParsePrefix("198.51.100.7/32")}
	for _, test := range []struct {
		name, unit string
		has, lacks []string
	}{
		{"local", unit("nginx-12", nil), []string{"\nPrivateNetwork=yes\n", "\nIPAddressDeny=any\n"}, []string{"IPAddressAllow", "AF_INET"}},
		{"by address", unit("remote", one), []string{"\nIPAddressDeny=any\nIPAddressAllow=198.51.100.7/32\n", "AF_INET"}, []string{"PrivateNetwork"}},
		{"by a name of the Internet", unit("remote", nil), []string{"\nIPAddressDeny=169.254.0.0/16 "}, []string{"PrivateNetwork", "IPAddressAllow", "=any"}},
	} {
		for _, line := range test.has {
			if !strings.Contains(test.unit, line) {
				t.Errorf("%s: no %q in\n%s", test.name, line, test.unit)
			}
		}
		for _, line := range test.lacks {
			if strings.Contains(test.unit, line) {
				t.Errorf("%s: %q in\n%s", test.name, line, test.unit)
			}
		}
	}
}

func TestMatomoIsToldTheKindOfServer(t *testing.T) {
	b := testBlueprint(t, "remote")
	for isMariaDB, want := range map[bool]string{true: "Mariadb", false: "Mysql"} {
		if b.Remote.MariaDB = isMariaDB; b.databaseKind() != want {
			t.Errorf("MariaDB %v: %s, want %s", isMariaDB, b.databaseKind(), want)
		}
	}
	if got := testBlueprint(t, "nginx-12").databaseKind(); got != "Mariadb" {
		t.Errorf("the local server: %s", got)
	}
}

// TestRemoteAccountsAreOfMatomosMachinesOnly: a stolen password is of no use elsewhere.
func TestRemoteAccountsAreOfMatomosMachinesOnly(t *testing.T) {
	for network, want := range map[string]string{
		"": "192.0.2.10", "10.20.0.0/16": "10.20.0.0/255.255.0.0", "10.20.16.0/20": "10.20.16.0/255.255.240.0", "10.20.0.9/32": "10.20.0.9/255.255.255.255",
	} {
		b := testBlueprint(t, "remote")
		b.Remote.Client = "192.0.2.10"
		if network != "" {
			b.Config.Database.Network = netip.MustParsePrefix(network)
		}
		for _, user := range RemoteUsers() {
			a, made := b.account(user, nil).(step.Account)
			if !made || a.Account != user+"@"+want || !a.Remote || a.Password.IsZero() || a.PasswordFile != PasswordFile {
				t.Errorf("network %q: %+v, want %s", network, a, want)
			}
			if stays := a.Serves != nil; stays != (network != "") {
				t.Errorf("network %q: undo leaves accounts that others use: %v", network, stays)
			}
		}
		b.Config.Database.Credentials = ""
		if _, given := b.account(UIUser, nil).(step.GivenAccount); !given {
			t.Errorf("network %q: without credentials the account is not taken as given", network)
		}
	}
}

// TestAppsAreApart: no pool sees the files of another.
func TestAppsAreApart(t *testing.T) {
	b := testBlueprint(t, "apps")
	hidden := map[string]string{}
	for _, r := range b.roles() {
		hidden[r.Name] = strings.Join(r.Hidden, " ") + " "
	}
	for role, wants := range map[string][]string{
		"ui":      {"/srv/shop/public ", "/srv/blog "},
		"tracker": {"/srv/shop/public ", "/srv/blog "},
		"shop":    {"/srv/matomo ", "/srv/matomo-state ", "/srv/matomo-state-tracker ", "/srv/matomo-state-admin ", "/run/matomo ", "/srv/blog ", "/var/lib/rocca-apps/blog ", "/var/lib/mysql "},
		"blog":    {"/srv/matomo ", "/srv/matomo-state ", "/run/matomo ", "/srv/shop/public ", "/var/lib/rocca-apps/shop "},
	} {
		for _, want := range wants {
			if !strings.Contains(hidden[role], want) {
				t.Errorf("%s sees %s", role, want)
			}
		}
	}
	for _, own := range []string{"/srv/shop", "/var/lib/rocca-apps/shop"} {
		if strings.Contains(hidden["shop"], own) {
			t.Errorf("shop does not see its own %s", own)
		}
	}
}
