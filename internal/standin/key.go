package standin

import (
	"bytes"
	"crypto"
	"fmt"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
)

// Key signs stand-in releases. Its private part never leaves the memory.
type Key struct {
	entity *openpgp.Entity
}

// settings are those of a vendor's key: RSA and SHA-512.
var settings = &packet.Config{
	Algorithm:   packet.PubKeyAlgoRSA,
	RSABits:     2048, // for tests: made in a moment
	DefaultHash: crypto.SHA512,
}

// NewKey makes a key.
func NewKey() (*Key, error) {
	entity, err := openpgp.NewEntity("rocca stand-in", "for tests only", "standin@example.org", settings)
	if err != nil {
		return nil, fmt.Errorf("make the key of the stand-in: %w", err)
	}
	return &Key{entity}, nil
}

// Sign returns an armored detached signature of the data.
func (k *Key) Sign(data []byte) ([]byte, error) {
	var signature bytes.Buffer
	if err := openpgp.ArmoredDetachSign(&signature, []*openpgp.Entity{k.entity}, bytes.NewReader(data), &openpgp.SignParams{Config: settings}); err != nil {
		return nil, fmt.Errorf("sign the stand-in: %w", err)
	}
	return signature.Bytes(), nil
}

// Public returns the armored public key.
func (k *Key) Public() ([]byte, error) {
	var armored bytes.Buffer
	writer, err := armor.Encode(&armored, openpgp.PublicKeyType, nil)
	if err == nil {
		err = k.entity.Serialize(writer)
	}
	if err == nil {
		err = writer.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("encode the public key of the stand-in: %w", err)
	}
	return armored.Bytes(), nil
}

// Fingerprint returns that of the primary key, in upper-case hexadecimal digits.
func (k *Key) Fingerprint() string {
	return strings.ToUpper(fmt.Sprintf("%x", k.entity.PrimaryKey.Fingerprint))
}
