package shell

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"encoding/pem"
	"fmt"
	"regexp"

	"golang.org/x/crypto/ssh"

	"rocca/internal/aws/client"
	"rocca/internal/aws/stack"
)

// legacyPath is where the AWS guide keeps private keys (S1.17). The role of the
// instances may read nothing below it.
const legacyPath = "/matomo/ec2/private-key/"

// encrypted is the type of parameters that are.
const encrypted = "SecureString"

// legacyName is what may follow.
var legacyName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

// LegacyKey reads the private key that the guide calls name, and makes it when
// there is none: a SecureString under the key of the deployment, for operators
// who may read it. The instance knows it for a minute at a time only, as any
// other key.
func LegacyKey(ctx context.Context, c client.Config, name, encryption, deployment string) (crypto.Signer, error) {
	if !legacyName.MatchString(name) {
		return nil, fmt.Errorf("read the key %q: a name has up to 64 letters, digits and _ . -", name)
	}
	path := legacyPath + name
	var answer struct{ Parameter struct{ Type, Value string } }
	err := client.Ask(ctx, c, "ssm:GetParameter", client.Fields{"Name": path, "WithDecryption": true}, &answer)
	switch {
	case client.Refused(err, "ParameterNotFound"):
		return makeLegacyKey(ctx, c, path, encryption, deployment)
	case err != nil:
		return nil, fmt.Errorf("read the key %s: %w", path, client.Explain(err))
	case answer.Parameter.Type != encrypted:
		return nil, fmt.Errorf("read the key %s: it is not encrypted (%s)\nhint: delete it, and let rocca make a new one", path, answer.Parameter.Type)
	}
	return parseKey([]byte(answer.Parameter.Value), path)
}

func makeLegacyKey(ctx context.Context, c client.Config, path, encryption, deployment string) (crypto.Signer, error) {
	key, err := NewKey()
	if err != nil {
		return nil, fmt.Errorf("make the key %s: %w", path, err)
	}
	block, err := ssh.MarshalPrivateKey(key, deployment)
	if err != nil {
		return nil, fmt.Errorf("make the key %s: %w", path, err)
	}
	err = client.Ask(ctx, c, "ssm:PutParameter", client.Fields{
		"Name": path, "Type": encrypted, "KeyId": encryption, "Value": string(pem.EncodeToMemory(block)),
		"Tags": []client.Fields{{"Key": stack.DeploymentTag, "Value": deployment}},
	}, nil)
	if err != nil {
		return nil, fmt.Errorf("store the key %s: %w", path, client.Explain(err))
	}
	return key, nil
}

// parseKey reads a private key in the forms of OpenSSH and PEM. No part of it
// is in an error.
func parseKey(text []byte, path string) (crypto.Signer, error) {
	parsed, err := ssh.ParseRawPrivateKey(text)
	if err != nil {
		return nil, fmt.Errorf("read the key %s: it is no private key of SSH without a passphrase", path)
	}
	if key, ok := parsed.(*ed25519.PrivateKey); ok {
		return *key, nil
	}
	key, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("read the key %s: keys of this kind (%T) cannot sign", path, parsed)
	}
	return key, nil
}
