package blueprint

import (
	"net/netip"
	"strings"
	"testing"

	"rocca/internal/change/step"
	"rocca/internal/matomo/ini"
	"rocca/internal/secret"
)

func TestSlots(t *testing.T) {
	for slot, want := range map[Slot]string{"": "matomo-tracker", SlotA: "matomo-tracker", SlotB: "matomo-tracker-b"} {
		if got := slot.Login(TrackerUser); got != want {
			t.Errorf("slot %q: %s, want %s", slot, got, want)
		}
		if slot.Other() == slot || slot.Other().Other() != slot && slot != "" {
			t.Errorf("the other of slot %q is %q", slot, slot.Other())
		}
	}
}

// TestServerInSlotB: what rocca up makes is as a rotation left it.
func TestServerInSlotB(t *testing.T) {
	b := testBlueprint(t, "remote")
	b.Slot, b.Config.Database.Network = SlotB, netip.MustParsePrefix("10.20.0.0/16")
	for i, a := range RemoteAccounts(b.Config, SlotB, "") {
		if a.User != RemoteUsers()[i] || a.Login != a.User+"-b" || a.Account != a.Login+"@10.20.0.0/255.255.0.0" || len(a.Grants) == 0 {
			t.Errorf("%+v", a)
		}
		made, _ := b.account(a.User, a.Grants).(step.Account)
		if made.Account != a.Account || made.Password != b.Passwords[a.User] {
			t.Errorf("rocca up makes %s, a rotation %s", made.Account, a.Account)
		}
	}
	for _, f := range ConfigFiles(b.Config)[:2] {
		var managed ini.File
		b.managed(&managed, f.User)
		if login, _ := managed.Get("database", "username"); login != f.User+"-b" {
			t.Errorf("%s has the login %s", f.Path, login)
		}
		if f.Attr.Group != f.User || f.Attr.Mode != 0o640 || f.Attr.Owner != "root" {
			t.Errorf("%s is %s", f.Path, f.Attr)
		}
	}
	// This machine's own server knows its accounts by the Unix user.
	local := testBlueprint(t, "nginx-12")
	local.Slot = SlotB
	var managed ini.File
	local.managed(&managed, UIUser)
	if login, _ := managed.Get("database", "username"); login != UIUser {
		t.Errorf("the local login is %s", login)
	}
}

func TestDecodeSecretsOfSlot(t *testing.T) {
	const accounts = "accounts: {matomo: hunter2-hunter2, matomo-tracker: hunter2.hunter2, matomo-admin: hunter2~hunter2}\n"
	for text, want := range map[string]string{
		accounts + "slot: b\nversion: 0a1b-2c3d\n":       "",
		accounts + "slot: a\n":                           "",
		accounts + "slot: c\n":                           "slot says",
		"slot: b\n":                                      "slot says",
		"version: \"hunter2 hunter2\"\n":                 "version must be",
		"version: " + strings.Repeat("a", 65):            "version must be",
		"salt: 0123456789abcdef\nversion: 1\nslots: b\n": "it may have the keys",
	} {
		got, err := DecodeSecrets([]byte(text))
		if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2")) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
		if err != nil {
			continue
		}
		written, err := got.Encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := DecodeSecrets(written)
		if err != nil || again.Slot.Login("u") != got.Slot.Login("u") || again.Version != got.Version {
			t.Errorf("%q is written as %q: %v", text, written, err)
		}
	}
	// A version says where they come from also when there are no accounts.
	text, err := Secrets{Salt: secret.New("0123456789abcdef"), Version: "v1", Slot: SlotB}.Encode()
	if err != nil || strings.Contains(string(text), "slot") || !strings.Contains(string(text), "version: v1") {
		t.Errorf("%s, %v", text, err)
	}
}
