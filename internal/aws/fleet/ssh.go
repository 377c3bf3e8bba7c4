package fleet

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"

	"golang.org/x/crypto/ssh"

	"rocca/internal/aws/client"
	"rocca/internal/aws/shell"
	"rocca/internal/run"
)

// mostOutput is what is kept of a program's standard output, as much as
// Systems Manager does.
const mostOutput = 24000

// acquaintance is an instance that is reached by SSH, and the keys by which it
// is known.
type acquaintance struct {
	shell.Instance
	hostKeys   [][]byte
	algorithms []string
}

// meet reads an instance's host keys from its console, see shell.HostKeys.
func (f *Fleet) meet(ctx context.Context, id string) (acquaintance, error) {
	all, err := shell.Instances(ctx, f.cloud, f.deployment)
	if err != nil {
		return acquaintance{}, err
	}
	at := slices.IndexFunc(all, func(i shell.Instance) bool { return i.ID == id })
	if at < 0 {
		return acquaintance{}, fmt.Errorf("it is no instance of %s that runs", f.deployment)
	}
	lines, err := f.hostKeys(ctx, all[at])
	if err != nil {
		return acquaintance{}, err
	}
	keys, algorithms := parseKnown(lines)
	return acquaintance{all[at], keys, algorithms}, nil
}

// overSSH runs a program with a key that EC2 Instance Connect lets in for a
// minute, and that only this process has.
func (f *Fleet) overSSH(ctx context.Context, i acquaintance, argv []string) (stdout []byte, err error) {
	what := run.Quote(argv)
	fail := func(err error) ([]byte, error) {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, fmt.Errorf("run %s on %s by SSH, as it has no agent of Systems Manager: %w", what, i.ID, err)
	}
	config, err := f.login(ctx, i)
	if err != nil {
		return fail(err)
	}
	stream, err := f.dial(ctx, i.Instance)
	if err != nil {
		return fail(err)
	}
	defer stream.Close()
	stop := context.AfterFunc(ctx, func() { stream.Close() }) // ends whatever waits below
	defer stop()
	conn, channels, requests, err := ssh.NewClientConn(stream, i.ID, config)
	if err != nil {
		return fail(err)
	}
	remote := ssh.NewClient(conn, channels, requests)
	defer remote.Close()
	session, err := remote.NewSession()
	if err != nil {
		return fail(err)
	}
	defer session.Close()
	var out, errs capped
	session.Stdout, session.Stderr = &out, &errs
	err = session.Run("exec sudo -n -- " + what)
	var exit *ssh.ExitError
	if errors.As(err, &exit) {
		return out.Bytes(), &ExitError{Instance: i.ID, Argv: argv, Code: exit.ExitStatus(), Stderr: errs.String()}
	}
	if err != nil {
		return fail(err)
	}
	return out.Bytes(), nil
}

// login lets a new key in to an instance.
func (f *Fleet) login(ctx context.Context, i acquaintance) (*ssh.ClientConfig, error) {
	key, err := shell.NewKey()
	if err != nil {
		return nil, err
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		return nil, err
	}
	var answer struct{ Success bool }
	err = client.Ask(ctx, f.cloud, "ec2-instance-connect:SendSSHPublicKey", client.Fields{
		"InstanceId": i.ID, "InstanceOSUser": shell.User, "AvailabilityZone": i.Zone, "SSHPublicKey": string(ssh.MarshalAuthorizedKey(signer.PublicKey())),
	}, &answer)
	if err != nil {
		return nil, fmt.Errorf("let a key in: %w", client.Explain(err))
	}
	if !answer.Success {
		return nil, errors.New("let a key in: EC2 Instance Connect did not")
	}
	return &ssh.ClientConfig{
		User: shell.User, Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyAlgorithms: i.algorithms,
		HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
			if slices.ContainsFunc(i.hostKeys, func(k []byte) bool { return bytes.Equal(k, key.Marshal()) }) {
				return nil
			}
			return errors.New("who answers has another host key than its console shows")
		},
	}, nil
}

// parseKnown reads lines of a known_hosts file. RSA keys sign with SHA-2 only.
func parseKnown(lines []byte) (keys [][]byte, algorithms []string) {
	for len(lines) > 0 {
		_, _, key, _, rest, err := ssh.ParseKnownHosts(lines)
		if err != nil {
			break // the end: shell.HostKeys has written them
		}
		keys, lines = append(keys, key.Marshal()), rest
		if key.Type() == ssh.KeyAlgoRSA {
			algorithms = append(algorithms, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256)
			continue
		}
		algorithms = append(algorithms, key.Type())
	}
	return keys, algorithms
}

// tunnel reaches port 22 through the endpoint of EC2 Instance Connect.
func (f *Fleet) tunnel(ctx context.Context, i shell.Instance) (net.Conn, error) {
	near, far := net.Pipe()
	broke := make(chan error, 1)
	go func() {
		broke <- shell.Tunnel(ctx, f.cloud, i, shell.SSH, far)
		far.Close() // whoever reads hears that it is over
	}()
	return &tunnelled{Conn: near, broke: broke}, nil
}

// tunnelled tells why a tunnel has ended.
type tunnelled struct {
	net.Conn
	broke chan error // has room for one
}

func (t *tunnelled) Read(p []byte) (int, error) {
	n, err := t.Conn.Read(p)
	return n, t.why(err)
}

func (t *tunnelled) Write(p []byte) (int, error) {
	n, err := t.Conn.Write(p)
	return n, t.why(err)
}

func (t *tunnelled) why(err error) error {
	if err == nil {
		return nil
	}
	select {
	case broken := <-t.broke:
		t.broke <- broken // who asks next hears it, too
		return cmp.Or(broken, err)
	default: // it was closed by us
		return err
	}
}

// capped keeps the beginning of an output. It has a buffer, and is none: io.Copy
// would fill that past the limit.
type capped struct{ kept bytes.Buffer }

// Write implements io.Writer.
func (c *capped) Write(p []byte) (int, error) {
	c.kept.Write(p[:min(len(p), mostOutput-c.kept.Len())])
	return len(p), nil
}

// Bytes is what was kept.
func (c *capped) Bytes() []byte { return c.kept.Bytes() }

// String is what was kept.
func (c *capped) String() string { return c.kept.String() }
