package host

import (
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"rocca/internal/facts"
)

// rsaKey is a public key of 2048 bits whose private part was thrown away.
const rsaKey = "AAAAB3NzaC1yc2EAAAADAQABAAABAQDXDXdrrOPbIyINsQdI3DH8sW/sLQDWmJsJeMvL1IYkUGbCsdb/9qK7d72NC2hiz3DSII/o/yA9X3mBHE1D/K2gnkfbhMqG1CINNXm9Q5nK2aCZCstVgPHFMOkmp9SRTsc9mk/St/T6qjoZZ6ZcKYKwTRJMYTYphdj2vWi02vGLHVgRBEXxCFndUVuu2w5tL0aojDdfzwVvB7arw2YUm1Mx7sgZo8LA6m0CBJodUkH54p//nesiG8st/sWsBXa6znNUedNlRdbCZlWKz1OobgGsOetRvLKcOxAiKMKJZ+jtt7rCkfohBPlVZNO06xRnFCJnXF021FLqp7/PdAzOBBst"

const edKey = "AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"

func TestParseKeys(t *testing.T) {
	text := "# comment\n\nssh-rsa " + rsaKey + " anna at home\n" +
		`from="10.0.0.0/8,192.0.2.1",command="x \"y\" --token=abc",restrict ssh-ed25519 ` + edKey + "\n" +
		"cert-authority ecdsa-sha2-nistp256 x\nsk-ssh-ed25519@openssh.com x sk\nroot:$6$hash:1\nssh-unknown x y\nssh-rsa !!!\n"
	want := []facts.AuthorizedKey{
		{Line: 3, Type: "ssh-rsa", Bits: 2048, Comment: "anna at home"},
		{Line: 4, Type: "ssh-ed25519", Options: []string{`from="10.0.0.0/8,192.0.2.1"`, `command="x \"y\" --token=[redacted]"`, "restrict"}},
		{Line: 5, Type: "ecdsa-sha2-nistp256", Options: []string{"cert-authority"}},
		{Line: 6, Type: "sk-ssh-ed25519@openssh.com", Comment: "sk"},
		{Line: 9, Type: "ssh-rsa"},
	}
	if diff := cmp.Diff(want, parseKeys(text)); diff != "" {
		t.Error(diff)
	}
}

func TestAuthorizedKeys(t *testing.T) {
	line := "ssh-ed25519 " + edKey + " x\n"
	root := plant(t, map[string]string{
		"home/anna/.ssh/authorized_keys":  line,
		"home/kim/dotfiles/keys":          line,
		"home/kim/.ssh/authorized_keys":   "-> ../dotfiles/keys", // inside the home
		"home/eve/.ssh/authorized_keys":   "-> ../../anna/.ssh/authorized_keys",
		"home/mal/.ssh":                   "-> /home/anna/.ssh",
		"home/mal/x":                      "",
		"etc/ssh/keys/anna":               line,
		"home/dir/.ssh/authorized_keys/x": "",
		"home/pipe/.ssh/x":                "",
	})
	if err := syscall.Mkfifo(string(root)+"/home/pipe/.ssh/authorized_keys", 0o600); err != nil {
		t.Fatal(err)
	}
	users := map[string]facts.User{"nobody": {Home: "/nonexistent"}, "empty": {}}
	for _, name := range []string{"anna", "kim", "eve", "mal", "dir", "pipe"} {
		users[name] = facts.User{Home: "/home/" + name}
	}
	got, err := authorizedKeys(root, users, []string{".ssh/authorized_keys", "/etc/ssh/keys/%u", "%h/.ssh/authorized_keys", "none"})
	want := []facts.AuthorizedKey{
		{User: "anna", File: "/home/anna/.ssh/authorized_keys", Line: 1, Type: "ssh-ed25519", Comment: "x"},
		{User: "anna", File: "/etc/ssh/keys/anna", Line: 1, Type: "ssh-ed25519", Comment: "x"},
		{User: "kim", File: "/home/kim/.ssh/authorized_keys", Line: 1, Type: "ssh-ed25519", Comment: "x"},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(facts.AuthorizedKey{}, "Changed")); diff != "" {
		t.Error(diff)
	}
	if err == nil || strings.Count(err.Error(), "leads out of the home") != 2 || !strings.Contains(err.Error(), "eve") || !strings.Contains(err.Error(), "mal") {
		t.Errorf("error %v", err)
	}
}

func TestParseSSHD(t *testing.T) {
	got := parseSSHD("port 22\nPermitRootLogin without-password\nhostkey /a\nhostkey /b\nsubsystem sftp /x -y\n\nbanner\n")
	want := map[string][]string{"port": {"22"}, "permitrootlogin": {"without-password"}, "hostkey": {"/a", "/b"}, "subsystem": {"sftp /x -y"}, "banner": {""}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestOpensshVersion(t *testing.T) {
	for version, want := range map[string]string{"1:9.2p1-2+deb12u7": "9.2", "1:10.0p1-7": "10.0", "": "", "x": ""} {
		if got := opensshVersion(version); got != want {
			t.Errorf("%s: got %s", version, got)
		}
	}
}

var jailTree = map[string]string{
	"etc/fail2ban/jail.conf":            "[INCLUDES]\nbefore = x\n[DEFAULT]\nbantime  = 10m\nmaxretry = 5 ; five\nenabled = false\nmode = %(loop)s\nloop = %(mode)s\n[sshd]\nport = ssh\nlogpath = a\n  b\n[nginx-http-auth]\nport = http\n",
	"etc/fail2ban/jail.d/defaults.conf": "[sshd]\nenabled = true\n",
	"etc/fail2ban/jail.local":           "[DEFAULT]\nbantime = 1h 30m\n[matomo]\nenabled = %(on)s\non = yes\nmaxretry = 3\nbantime = -1\n",
	"etc/fail2ban/jail.d/z.local":       "[sshd]\nbantime = 600\n",
}

func TestFail2ban(t *testing.T) {
	got, err := fail2ban(t.Context(), plant(t, jailTree), true)
	want := []facts.Ban{
		{Program: "fail2ban", Jail: "matomo", Active: true, Tries: 3, Seconds: -1},
		{Program: "fail2ban", Jail: "sshd", Active: true, Tries: 5, Seconds: 600},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if got := currentlyBanned("Status for the jail: sshd\n|- Filter\n`- Actions\n   |- Currently banned:\t12\n"); got != 12 {
		t.Errorf("banned %d", got)
	}
}

func TestOtherBans(t *testing.T) {
	root := plant(t, map[string]string{"etc/x": ""})
	ssh := facts.SSH{Running: true, Settings: map[string][]string{"persourcepenalties": {"crash:90 authfail:5 noauth:1 max:600 min:15"}}}
	units := map[string]facts.Unit{"crowdsec.service": {Active: true}, "sshguard.service": {Active: true}}
	got, err := bans(t.Context(), root, ssh, units)
	want := []facts.Ban{
		{Program: "crowdsec", Jail: "sshd"}, // decides, and nothing shuts out
		{Program: "sshguard", Jail: "sshd", Active: true},
		{Program: "sshd", Jail: "sshd", Active: true, Tries: 3, Seconds: 15},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	units["crowdsec-firewall-bouncer.service"] = facts.Unit{Active: true}
	if got, _ = bans(t.Context(), root, ssh, units); !got[0].Active {
		t.Error("a bouncer does not count")
	}
	ssh.Settings["persourcepenalties"] = []string{"no"}
	if got, _ = bans(t.Context(), root, ssh, units); len(got) != 2 {
		t.Errorf("penalties are off: %+v", got)
	}
}

func TestTimeSpan(t *testing.T) {
	for text, want := range map[string]int{"600": 600, "10m": 600, "1h 30m": 5400, "1month": 2629746, "1M": 2629746, "2weeks": 1209600, "1.5h": 5400, "1d12h": 129600} {
		if got, ok := timeSpan(text); got != want || !ok {
			t.Errorf("%s: got %d %v", text, got, ok)
		}
	}
	for _, text := range []string{"", "x", "1fortnight", "-1", "1h;"} {
		if got, ok := timeSpan(text); ok {
			t.Errorf("%q: got %d", text, got)
		}
	}
}

func FuzzKeys(f *testing.F) {
	f.Add("ssh-rsa " + rsaKey + " x\n" + `a="\",b" ssh-ed25519 ` + edKey)
	f.Add("ssh-rsa AAAAB3NzaC1yc2H/////")
	f.Fuzz(func(t *testing.T, text string) {
		for _, key := range parseKeys(text) {
			if !keyType.MatchString(key.Type) || key.Line == 0 || key.Bits < 0 {
				t.Errorf("%+v", key)
			}
		}
	})
}

func FuzzSSHD(f *testing.F) {
	f.Add("port 22\nhostkey /a\nHostKey\t/b\n")
	f.Fuzz(func(t *testing.T, text string) {
		for key, values := range parseSSHD(text) {
			if key == "" || len(values) == 0 {
				t.Errorf("%q: %q", key, values)
			}
		}
	})
}

func FuzzJails(f *testing.F) {
	for _, text := range jailTree {
		f.Add(text)
	}
	f.Add("outside = a section\n goes on\n")
	f.Add("[a]\nx=%(y)s%(y)s%(y)s\ny=%(x)s%(x)s%(x)s\nenabled=%(x)s")
	f.Fuzz(func(t *testing.T, text string) {
		all := jails{}
		all.parse(text)
		for name := range all {
			if ban, enabled := all.ban(name); enabled && (ban.Jail != name || ban.Seconds < -1 || slices.Contains([]string{"DEFAULT", "INCLUDES"}, name)) {
				t.Errorf("%+v", ban)
			}
			all.value(name, "x")
		}
	})
}
