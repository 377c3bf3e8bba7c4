package blueprint

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"

	"github.com/goccy/go-yaml"

	"rocca/internal/secret"
)

// Secrets are what the machines of one Matomo share. Their owner puts them into
// the file that secrets: in rocca.yaml names; what is not there, rocca makes.
type Secrets struct {
	Salt      secret.Secret            // of Matomo's tokens and sessions, 16 to 128 letters and digits
	Superuser secret.Secret            // password of the first login, 12 to 128 printable characters
	Accounts  map[string]secret.Secret // passwords on the remote database server, by user: all of RemoteUsers, or none
	Slot      Slot                     // that these accounts are in; empty: SlotA
	Version   string                   // names where they come from, such as a version of a secret; may be empty
}

// RemoteUsers are the accounts of a Matomo on a remote database server.
func RemoteUsers() []string { return []string{UIUser, TrackerUser, AdminUser} }

// ErrNoAccount says that the database server does not let a given account in:
// it is not made yet, or has another password.
var ErrNoAccount = errors.New("the database server does not let it in with the given password")

// secretsFile is the form of the file.
type secretsFile struct {
	Salt      string            `yaml:"salt,omitempty"`
	Superuser string            `yaml:"superuser,omitempty"`
	Accounts  map[string]string `yaml:"accounts,omitempty"`
	Slot      Slot              `yaml:"slot,omitempty"`
	Version   string            `yaml:"version,omitempty"`
}

// Passwords go into configuration files, SQL and forms: none needs a space or
// a character that one of these treats in its own way.
var (
	goodSalt     = regexp.MustCompile(`^[A-Za-z0-9]{16,128}$`)
	goodVersion  = regexp.MustCompile(`^[A-Za-z0-9-]{0,64}$`)
	goodPassword = regexp.MustCompile(`^[A-Za-z0-9!#%()*+,./:;<=>?@^_{|}~-]{12,128}$`)
)

// DecodeSecrets reads the text of the file. Errors show nothing of it.
func DecodeSecrets(text []byte) (Secrets, error) {
	var f secretsFile
	if err := yaml.UnmarshalWithOptions(text, &f, yaml.Strict()); err != nil {
		return Secrets{}, errors.New("it may have the keys salt, superuser, accounts, slot and version, and nothing else")
	}
	s := Secrets{Salt: secret.New(f.Salt), Superuser: secret.New(f.Superuser), Accounts: map[string]secret.Secret{}, Slot: f.Slot, Version: f.Version}
	if f.Salt != "" && !goodSalt.MatchString(f.Salt) {
		return Secrets{}, errors.New("salt must be 16 to 128 letters and digits")
	}
	if f.Superuser != "" && !goodPassword.MatchString(f.Superuser) {
		return Secrets{}, errors.New("superuser must be a password of 12 to 128 characters, without spaces, quotes, $, &, [ ] and \\")
	}
	for _, user := range slices.Sorted(maps.Keys(f.Accounts)) {
		if !slices.Contains(RemoteUsers(), user) {
			return Secrets{}, fmt.Errorf("accounts has %q, and Matomo's are %q", user, RemoteUsers())
		}
		if !goodPassword.MatchString(f.Accounts[user]) {
			return Secrets{}, fmt.Errorf("accounts.%s must be a password of 12 to 128 characters, without spaces, quotes, $, &, [ ] and \\", user)
		}
		s.Accounts[user] = secret.New(f.Accounts[user])
	}
	if len(s.Accounts) != 0 && len(s.Accounts) != len(RemoteUsers()) {
		return Secrets{}, fmt.Errorf("accounts must have a password for each of %q", RemoteUsers())
	}
	if f.Slot != "" && (len(s.Accounts) == 0 || f.Slot != SlotA && f.Slot != SlotB) {
		return Secrets{}, fmt.Errorf("slot says which accounts the passwords of accounts are for: %q or %q", SlotA, SlotB)
	}
	if !goodVersion.MatchString(f.Version) {
		return Secrets{}, errors.New("version must be at most 64 letters, digits and hyphens")
	}
	return s, nil
}

// Encode writes the text of the file.
func (s Secrets) Encode() ([]byte, error) {
	f := secretsFile{Salt: s.Salt.Reveal(), Superuser: s.Superuser.Reveal(), Accounts: map[string]string{}, Version: s.Version}
	if len(s.Accounts) > 0 && s.Slot == SlotB {
		f.Slot = s.Slot
	}
	for user, password := range s.Accounts {
		f.Accounts[user] = password.Reveal()
	}
	return yaml.Marshal(f)
}
