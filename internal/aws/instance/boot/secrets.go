package boot

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"rocca/internal/blueprint"
	"rocca/internal/secret"
)

// Secrets are what the instances of a deployment share.
type Secrets struct {
	blueprint.Secrets
	Cache secret.Secret // password of the user of the cache
}

// leastSeed is the shortest seed that is taken, in characters.
const leastSeed = 32

// Derive makes the secrets of a deployment from the text of its app secret:
//
//	{"seed": "...", "salt": "...", "superuser": "...", "cache": "...", "accounts": {"USER": "..."}, "slot": "b"}
//
// Only seed is needed. Without slot the accounts are in the first one. What has no value of its own is derived from it by HKDF
// (RFC 5869) with SHA-256, so that every instance knows the same. Errors show
// nothing of the text.
func Derive(text []byte) (Secrets, error) {
	var given struct {
		Seed      string            `json:"seed"`
		Salt      string            `json:"salt"`
		Superuser string            `json:"superuser"`
		Cache     string            `json:"cache"`
		Accounts  map[string]string `json:"accounts"`
		Slot      blueprint.Slot    `json:"slot"`
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&given); err != nil || decoder.Decode(new(any)) != io.EOF {
		return Secrets{}, errors.New("the app secret must be a JSON object with seed, and may have salt, superuser, cache, accounts and slot")
	}
	if len(given.Seed) < leastSeed {
		return Secrets{}, fmt.Errorf("the seed of the app secret must have at least %d characters", leastSeed)
	}
	if given.Slot != "" && given.Slot != blueprint.SlotA && given.Slot != blueprint.SlotB {
		return Secrets{}, fmt.Errorf("slot of the app secret must be %q or %q", blueprint.SlotA, blueprint.SlotB)
	}
	var problems []error
	expand := func(info string, bytes int) []byte {
		key, err := hkdf.Key(sha256.New, []byte(given.Seed), nil, info, bytes)
		problems = append(problems, err)
		return key
	}
	password := func(own, info string) secret.Secret {
		if own != "" {
			return secret.New(own)
		}
		return secret.New(base64.RawURLEncoding.EncodeToString(expand(info, 32)))
	}
	s := Secrets{Cache: password(given.Cache, "rocca/cache")}
	s.Salt = secret.New(given.Salt)
	if given.Salt == "" {
		s.Salt = secret.New(hex.EncodeToString(expand("rocca/salt", 16))) // in the form of Matomo's own
	}
	s.Superuser = password(given.Superuser, "rocca/superuser")
	s.Slot, s.Accounts = given.Slot, map[string]secret.Secret{}
	for _, user := range blueprint.RemoteUsers() {
		s.Accounts[user] = password(given.Accounts[user], "rocca/account/"+given.Slot.Login(user))
		delete(given.Accounts, user)
	}
	if len(given.Accounts) > 0 {
		problems = append(problems, fmt.Errorf("accounts of the app secret has others than %q", blueprint.RemoteUsers()))
	}
	return s, errors.Join(problems...)
}
