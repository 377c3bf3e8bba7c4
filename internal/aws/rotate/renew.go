package rotate

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"rocca/internal/aws/instance/boot"
	"rocca/internal/blueprint"
	"rocca/internal/secret"
)

// Lengths of what is new, in characters of about 5.8 bits.
const (
	passwordLength = 40
	cacheLength    = 64
	saltLength     = 32
)

// errForm is a secret that cannot be read. Its cause would show parts of it.
var errForm = errors.New("the app secret is not in the form that rocca writes")

// slotOf is the slot of the database's accounts that a value of the app secret
// names.
func slotOf(value secret.Secret) (string, error) {
	var given struct{ Slot string }
	if err := json.Unmarshal([]byte(value.Reveal()), &given); err != nil {
		return "", errForm
	}
	if given.Slot == "" {
		return string(blueprint.SlotA), nil
	}
	return given.Slot, nil
}

// renewed is a value of the app secret with other passwords of one kind. All
// else stays as it is. slot is that of new accounts of the database.
func renewed(value secret.Secret, kind Kind, slot string) (secret.Secret, error) {
	if _, err := boot.Derive([]byte(value.Reveal())); err != nil {
		return secret.Secret{}, err
	}
	keys := map[string]json.RawMessage{}
	if err := json.Unmarshal([]byte(value.Reveal()), &keys); err != nil {
		return secret.Secret{}, errForm
	}
	set := func(key string, to any) {
		keys[key], _ = json.Marshal(to) // texts always can be
	}
	switch kind {
	case Database:
		accounts := map[string]string{}
		for _, user := range blueprint.RemoteUsers() {
			accounts[user] = secret.Random(passwordLength).Reveal()
		}
		set("accounts", accounts)
		set("slot", slot)
		if slot == string(blueprint.SlotA) {
			delete(keys, "slot")
		}
	case Cache:
		set("cache", secret.Random(cacheLength).Reveal())
	case Salt:
		set("salt", secret.Random(saltLength).Reveal())
	}
	text, err := json.Marshal(keys)
	if err != nil {
		return secret.Secret{}, errForm
	}
	if _, err := boot.Derive(text); err != nil { // as servers will
		return secret.Secret{}, err
	}
	return secret.New(string(text)), nil
}

// cachePassword is the one that a value of the app secret has or stands for.
func cachePassword(value secret.Secret) (secret.Secret, error) {
	derived, err := boot.Derive([]byte(value.Reveal()))
	return derived.Cache, err
}

// newVersion makes an id for a version of a secret, a UUID as AWS makes them.
func newVersion() string {
	b := make([]byte, 16)
	rand.Read(b)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b)
	return fmt.Sprintf("%s-%s-%s-%s-%s", h[:8], h[8:12], h[12:16], h[16:20], h[20:])
}
