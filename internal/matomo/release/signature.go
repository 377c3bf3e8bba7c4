package release

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/armor"
	pgperrors "github.com/ProtonMail/go-crypto/openpgp/errors"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
)

// VendorKey is the fingerprint of the primary key that signs Matomo's releases
// since 2022: "Matomo <hello@matomo.org>", RSA 4096. It is also pinned by the
// official container images, and published in faq_19308 of matomo.org.
const VendorKey = "F529A27008477483777FC23D63BB30D0E5D2C749"

// vendorKeyURLs are where the vendor's key can be had. A fingerprint is a hash
// of the key, so that a key with the pinned one is the right key wherever it
// comes from: the places need not be trusted.
var vendorKeyURLs = []string{
	"https://builds.matomo.org/signature.asc",
	"https://keyserver.ubuntu.com/pks/lookup?op=get&options=mr&search=0x" + VendorKey,
}

// keyring is the keys that may sign a release.
type keyring struct {
	keys openpgp.EntityList
}

// readKeyring takes the keys with one of the pinned fingerprints out of a key
// file, armored or not; without pins it takes all.
func readKeyring(file []byte, pins ...string) (keyring, error) {
	all, err := readKeys(file)
	if err != nil {
		return keyring{}, fmt.Errorf("read the OpenPGP key file: %w", err)
	}
	var ring keyring
	for _, key := range all {
		if len(pins) == 0 || slices.Contains(pins, fingerprint(key)) {
			ring.keys = append(ring.keys, key)
		}
	}
	if len(ring.keys) == 0 {
		return keyring{}, fmt.Errorf("the key file holds %s, but the key has to be %s", fingerprints(all), strings.Join(pins, " or "))
	}
	return ring, nil
}

func readKeys(file []byte) (openpgp.EntityList, error) {
	if !bytes.Contains(file, []byte("-----BEGIN PGP")) {
		return openpgp.ReadKeyRing(bytes.NewReader(file))
	}
	var all openpgp.EntityList
	for reader := bufio.NewReader(bytes.NewReader(file)); ; { // a file may hold several blocks
		block, err := armor.Decode(reader)
		if errors.Is(err, io.EOF) && len(all) > 0 {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		if block.Type != openpgp.PublicKeyType {
			return nil, fmt.Errorf("it holds a %s, not a public key", block.Type)
		}
		keys, err := openpgp.ReadKeyRing(block.Body)
		if err != nil {
			return nil, err
		}
		all = append(all, keys...)
	}
}

// verify checks a detached signature, armored or not, and returns the
// fingerprint of the primary key that it leads to. Signature and key must both
// be valid now; MD5, SHA-1 and RIPEMD-160 are refused, RSA below 2048 bits, too.
func (k keyring) verify(signed io.Reader, signature []byte) (string, error) {
	packets, err := unarmorSignature(signature)
	if err != nil {
		return "", fmt.Errorf("read the signature: %w", err)
	}
	details, err := openpgp.VerifyDetachedSignatureReader(k.keys, signed, bytes.NewReader(packets), nil)
	if err != nil {
		return "", k.explain(err, packets)
	}
	if _, err := io.Copy(io.Discard, details.UnverifiedBody); err != nil {
		return "", fmt.Errorf("read what is signed: %w", err)
	}
	if details.SignatureError != nil {
		return "", k.explain(details.SignatureError, packets)
	}
	// A text signature would let line breaks be changed.
	if details.Signature.SigType != packet.SigTypeBinary {
		return "", errors.New("the signature is not one of a binary file")
	}
	// So far the key was only shown to be valid when it signed.
	signer := details.SignedBy
	if err := validNow(signer); err != nil {
		return "", k.explain(err, packets)
	}
	return fingerprint(signer.Entity), nil
}

func validNow(signer *openpgp.Key) error {
	now := time.Now()
	if _, err := signer.Entity.VerifyPrimaryKey(now, nil); err != nil {
		return err
	}
	for i := range signer.Entity.Subkeys {
		subkey := &signer.Entity.Subkeys[i]
		if subkey.PublicKey.KeyId == signer.PublicKey.KeyId {
			_, err := subkey.Verify(now, nil)
			return err
		}
	}
	return nil
}

// explain says in an owner's words why a signature does not count.
func (k keyring) explain(err error, packets []byte) error {
	keys := fingerprints(k.keys)
	switch {
	case errors.Is(err, pgperrors.ErrUnknownIssuer):
		return fmt.Errorf("it is signed by the key %s, but has to be by %s", issuer(packets), keys)
	case errors.Is(err, pgperrors.ErrKeyExpired):
		return fmt.Errorf("the key %s has expired", keys)
	case errors.Is(err, pgperrors.ErrKeyRevoked):
		return fmt.Errorf("the key %s was revoked by its owner", keys)
	case errors.Is(err, pgperrors.ErrSignatureExpired):
		return fmt.Errorf("the signature by %s has expired", keys)
	}
	return fmt.Errorf("the signature by %s is bad: %w", keys, err)
}

func unarmorSignature(file []byte) ([]byte, error) {
	if !bytes.Contains(file, []byte("-----BEGIN PGP")) {
		return file, nil
	}
	block, err := armor.Decode(bytes.NewReader(file))
	if err != nil {
		return nil, err
	}
	if block.Type != openpgp.SignatureType {
		return nil, fmt.Errorf("it is a %s", block.Type)
	}
	return io.ReadAll(block.Body)
}

// issuer returns what a signature says about its maker: a fingerprint, or the
// shorter key ID, of a primary key or a subkey.
func issuer(packets []byte) string {
	reader := packet.NewReader(bytes.NewReader(packets))
	for {
		p, err := reader.Next()
		if err != nil {
			return "of an unknown maker"
		}
		signature, ok := p.(*packet.Signature)
		switch {
		case !ok:
		case len(signature.IssuerFingerprint) > 0:
			return fmt.Sprintf("%X", signature.IssuerFingerprint)
		case signature.IssuerKeyId != nil:
			return fmt.Sprintf("with the ID %016X", *signature.IssuerKeyId)
		}
	}
}

func fingerprint(key *openpgp.Entity) string {
	return fmt.Sprintf("%X", key.PrimaryKey.Fingerprint)
}

func fingerprints(keys openpgp.EntityList) string {
	list := make([]string, len(keys))
	for i, key := range keys {
		list[i] = fingerprint(key)
	}
	return strings.Join(list, " or ")
}
