package prove

import (
	"encoding/hex"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rocca/internal/facts"
)

func TestDestinationOfPackets(t *testing.T) {
	for bytes, want := range map[string]string{
		"4500003c06d940004006 47acc6336401c0000202b53401bb":                                              "192.0.2.2",
		"6006faea0028064020010db8700000000000000000000001 20010db8001500000000000000000009 b53401bb0000": "2001:db8:15::9",
		"0001080006040001":             "", // ARP
		"4500003c06d94000400647acc633": "", // cut off
		"":                             "",
	} {
		packet, err := hex.DecodeString(strings.ReplaceAll(bytes, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		got, ok := destination(packet)
		if ok != (want != "") || ok && got != netip.MustParseAddr(want) {
			t.Errorf("%s: %v %v, want %q", bytes, got, ok, want)
		}
	}
}

func TestAddressesOfTriesAreNobodys(t *testing.T) {
	if got := nobodys(nobodysNetwork, 250).String(); got != "192.0.2.250" {
		t.Error(got)
	}
	if got := nobodys(nobodysNetwork6, 9).String(); got != "2001:db8:15::9" {
		t.Error(got)
	}
}

func TestInstancesOfAWS(t *testing.T) {
	for name, c := range map[string]struct {
		file, text string
		want       bool
	}{
		"Nitro":         {"class/dmi/id/sys_vendor", "Amazon EC2\n", true},
		"Xen":           {"hypervisor/uuid", "ec2e1916-9099-7caf-fd21-012345abcdef\n", true},
		"another cloud": {"class/dmi/id/sys_vendor", "Google\n", false},
		"another Xen":   {"hypervisor/uuid", "00000000-0000-0000-0000-000000000000\n", false},
		"none":          {"class/dmi/id/product_name", "X\n", false},
	} {
		sys := t.TempDir()
		file := filepath.Join(sys, c.file)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(c.text), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := inAWS(sys); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// What is started in the place of an intruder is confined as the unit is, and
// touches no directory of the unit's.
func TestUnitLikeThatOfAPool(t *testing.T) {
	unit := facts.Unit{Runs: facts.Runs{Sandbox: map[string]string{
		"ProtectSystem": "strict", "NoExecPaths": "/", "ExecPaths": "/usr/sbin/php-fpm8.2", "CapabilityBoundingSet": "", "RuntimeDirectory": "x", "RemoveIPC": "yes", "TasksMax": "infinity",
	}}}
	got := strings.Join(inUnit(facts.Pool{User: "matomo", Group: "matomo"}, unit, "/usr/local/bin/rocca"), " ")
	for _, want := range []string{"User=matomo", "ProtectSystem=strict", "NoExecPaths=/", "ExecPaths=/usr/sbin/php-fpm8.2 /usr/local/bin/rocca", "CapabilityBoundingSet= "} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in %s", want, got)
		}
	}
	for _, bad := range []string{"RuntimeDirectory", "RemoveIPC", "TasksMax"} {
		if strings.Contains(got, bad) {
			t.Errorf("%s in %s", bad, got)
		}
	}
	if open := inUnit(facts.Pool{User: "www-data", Group: "www-data"}, facts.Unit{Runs: facts.Runs{Sandbox: map[string]string{"CapabilityBoundingSet": "all"}}}, "/x"); len(open) != 8 {
		t.Errorf("a unit without a sandbox: %q", open)
	}
}
