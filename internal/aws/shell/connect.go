package shell

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"rocca/internal/aws/client"
	"rocca/internal/run"
)

// User is the one that Debian's images let in.
const User = "admin"

// Connect opens a shell by SSH with a key that the instance accepts for sixty
// seconds. The key is in this process only, which serves it to ssh as an agent;
// proxy is the command that reaches port 22 (rocca aws tunnel). arguments are
// given to ssh.
func Connect(ctx context.Context, c client.Config, i Instance, key crypto.Signer, proxy []string, arguments []string) error {
	hosts, err := HostKeys(ctx, c, i)
	if err != nil {
		return err
	}
	public, err := ssh.NewPublicKey(key.Public())
	if err != nil {
		return fmt.Errorf("connect to %s: %w", i.ID, err)
	}
	var answer struct{ Success bool }
	err = client.Ask(ctx, c, "ec2-instance-connect:SendSSHPublicKey", client.Fields{
		"InstanceId": i.ID, "InstanceOSUser": User, "AvailabilityZone": i.Zone, "SSHPublicKey": string(ssh.MarshalAuthorizedKey(public)),
	}, &answer)
	if err != nil {
		return fmt.Errorf("let a key in to %s: %w", i.ID, client.Explain(err))
	}
	if !answer.Success {
		return fmt.Errorf("let a key in to %s: EC2 Instance Connect did not", i.ID)
	}
	dir, err := os.MkdirTemp("", "rocca-ssh-")
	if err != nil {
		return fmt.Errorf("connect to %s: %w", i.ID, err)
	}
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "agent")
	stop, err := serveKey(ctx, socket, key)
	if err != nil {
		return fmt.Errorf("connect to %s: %w", i.ID, err)
	}
	defer stop()
	known := filepath.Join(dir, "known_hosts")
	if err := os.WriteFile(known, hosts, 0o600); err != nil {
		return fmt.Errorf("connect to %s: %w", i.ID, err)
	}
	program, err := run.LookUser("ssh")
	if err != nil {
		return fmt.Errorf("connect to %s: %w\nhint: apt-get install openssh-client", i.ID, err)
	}
	argv := []string{program, "-F", "none",
		"-o", "IdentityAgent=" + socket, "-o", "UserKnownHostsFile=" + known, "-o", "StrictHostKeyChecking=yes",
		"-o", "HostKeyAlias=" + i.ID, "-o", "ProxyCommand=" + run.Quote(proxy), User + "@" + i.ID}
	_, err = run.Do(ctx, run.Command{Argv: append(argv, arguments...), Env: os.Environ(), Inherit: true})
	return err
}

// NewKey makes the key of one session.
func NewKey() (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	return key, err
}

// serveKey is an SSH agent with one key, on a socket that only we can reach.
func serveKey(ctx context.Context, socket string, key crypto.Signer) (stop func(), err error) {
	keys := agent.NewKeyring()
	if err := keys.Add(agent.AddedKey{PrivateKey: key, Comment: "rocca"}); err != nil {
		return nil, err
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "unix", socket)
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // stopped
			}
			go func() {
				defer conn.Close()
				_ = agent.ServeAgent(keys, conn) // ends with the connection
			}()
		}
	}()
	return func() { listener.Close() }, nil
}

// ErrNoHostKeys is an instance whose console does not tell its host keys (any
// more): whoever answers at port 22 could not be told from an impostor.
var ErrNoHostKeys = errors.New("its console does not show its SSH host keys")

// hostKeys is where cloud-init prints them.
var hostKeys = regexp.MustCompile(`(?s)-----BEGIN SSH HOST KEY KEYS-----(.*?)-----END SSH HOST KEY KEYS-----`)

// HostKeys takes the public keys of an instance from its console, which only
// the instance writes and AWS hands over: lines of a known_hosts file.
func HostKeys(ctx context.Context, c client.Config, i Instance) ([]byte, error) {
	answer, err := ec2.NewFromConfig(c).GetConsoleOutput(ctx, &ec2.GetConsoleOutputInput{InstanceId: aws.String(i.ID)})
	if err != nil {
		return nil, fmt.Errorf("read the host keys of %s: %w", i.ID, client.Explain(err))
	}
	known, err := parseHostKeys(aws.ToString(answer.Output), i.ID)
	if err != nil {
		return nil, fmt.Errorf("read the host keys of %s: %w\nhint: rocca aws ssh --manager needs none", i.ID, err)
	}
	return known, nil
}

// keyStart is where a public key begins in a line, which may have a prefix of
// the system log.
var keyStart = regexp.MustCompile(`(ssh-|ecdsa-)[a-z0-9-]+ AAAA`)

// parseHostKeys reads a console in base64. What is not a public key is left out.
func parseHostKeys(console, name string) ([]byte, error) {
	text, err := base64.StdEncoding.DecodeString(console)
	if err != nil {
		return nil, fmt.Errorf("decode the console: %w", err)
	}
	blocks := hostKeys.FindAllSubmatch(text, -1)
	if len(blocks) == 0 {
		return nil, ErrNoHostKeys
	}
	var known []byte
	for line := range strings.Lines(string(blocks[len(blocks)-1][1])) { // the last boot
		at := keyStart.FindStringIndex(line)
		if at == nil {
			continue
		}
		if key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(strings.TrimSpace(line[at[0]:]))); err == nil {
			known = append(known, name+" "+string(ssh.MarshalAuthorizedKey(key))...)
		}
	}
	if len(known) == 0 {
		return nil, ErrNoHostKeys
	}
	return known, nil
}
