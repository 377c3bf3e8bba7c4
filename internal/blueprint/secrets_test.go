package blueprint

import (
	"strings"
	"testing"
)

func TestDecodeSecrets(t *testing.T) {
	const accounts = "accounts: {matomo: hunter2-hunter2, matomo-tracker: hunter2.hunter2, matomo-admin: hunter2~hunter2}\n"
	for text, want := range map[string]string{ // want is in the error; empty: none
		"": "",
		"salt: 0123456789abcdef0123456789abcdef\nsuperuser: correct!Horse?1\n" + accounts: "",
		accounts:                                "",
		"superuser: hunter2-hunter2\n":          "",
		"salt: 0123456789012345\n":              "",
		"salt: hunter2\n":                       "salt must be",
		"salt: \"0123456789abcdef\\n\"\n":       "salt must be",
		"superuser: hunter2\n":                  "superuser must be",
		"superuser: \"hunter2 hunter2\"\n":      "superuser must be",
		"superuser: hunter2'hunter2\n":          "superuser must be",
		"accounts: {matomo: hunter2-hunter2}\n": "a password for each of",
		"accounts: {root: hunter2-hunter2}\n":   `accounts has "root"`,
		"accounts: {matomo: hunter2, matomo-tracker: hunter2-hunter2, matomo-admin: hunter2-hunter2}\n": "accounts.matomo must be",
		"password: hunter2-hunter2\n": "it may have the keys",
		"hunter2":                     "it may have the keys",
		"salt: [hunter2]\n":           "it may have the keys",
	} {
		_, err := DecodeSecrets([]byte(text))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: the error shows what it read: %v", text, err)
		}
	}
}

// What is read is written again as it was, and holds nothing that would end a
// line of a configuration file.
func FuzzDecodeSecrets(f *testing.F) {
	f.Add([]byte("salt: 0123456789abcdef\nsuperuser: correct!Horse?1\naccounts: {matomo: aaaaaaaaaaaa, matomo-tracker: bbbbbbbbbbbb, matomo-admin: cccccccccccc}\n"))
	f.Add([]byte("superuser: 123456789012\n"))
	f.Add([]byte("accounts: {matomo: ~~~~~~~~~~~~, matomo-tracker: {}, matomo-admin: []}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		first, err := DecodeSecrets(text)
		if err != nil {
			return
		}
		written, err := first.Encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := DecodeSecrets(written)
		if err != nil || again.Salt != first.Salt || again.Superuser != first.Superuser {
			t.Fatalf("%q is written as %q: %v", text, written, err)
		}
		all := []string{first.Salt.Reveal(), first.Superuser.Reveal()}
		for user, password := range first.Accounts {
			if again.Accounts[user] != password {
				t.Errorf("the password of %s changes", user)
			}
			all = append(all, password.Reveal())
		}
		for _, secret := range all {
			if strings.ContainsAny(secret, "\r\n\"'`\\ $") {
				t.Errorf("%q is accepted", secret)
			}
		}
	})
}
