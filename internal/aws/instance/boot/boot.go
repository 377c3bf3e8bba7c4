// Package boot makes an EC2 instance the Matomo server that its configuration
// says, at every boot, and tells the CloudFormation stack that waits for it.
//
// What must outlive the instance is elsewhere: secrets are derived from the one
// secret that instances read, data is in the database.
package boot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"

	"rocca/internal/aws/client"
	"rocca/internal/aws/instance"
	"rocca/internal/config"
	"rocca/internal/durable"
	"rocca/internal/progress"
	"rocca/internal/secret"
)

// Options say how an instance is booted.
type Options struct {
	Config string           // file of instance.Config
	Tell   progress.Handler // is told what happens; never a secret

	// Up does what rocca up --yes does, as a file like rocca.yaml says.
	Up func(ctx context.Context, server Server) error
}

// Server is what Up has to make.
type Server struct {
	Config     string // path of rocca.yaml
	ReleaseKey string // file with the key of the release; empty: Matomo's own
}

// Files of rocca on an instance, readable by root only: blueprint.Secrets, and
// what is there while accounts are made.
const (
	sharedPath        = "/etc/rocca/secrets.yaml"
	provisionConfig   = instance.RunDir + "/rocca.yaml"
	administratorPath = instance.RunDir + "/administrator.yaml"
)

type boot struct {
	Options
	config instance.Config
	cloud  client.Config
	id     string // of the instance
}

// Run boots this instance: what it is for is read, the secrets are fetched and
// derived, rocca.yaml is written, accounts and tables are made if there are
// none yet, and the server is brought up. Then the stack is told.
func Run(ctx context.Context, o Options) error {
	b, err := open(ctx, o)
	if err != nil {
		return err
	}
	failed := b.run(ctx)
	return errors.Join(failed, b.signal(ctx, failed))
}

// GiveUp tells the stack that this instance will not come, because of what its
// user data could not do.
func GiveUp(ctx context.Context, o Options, why string) error {
	b, err := open(ctx, o)
	if err != nil {
		return err
	}
	return b.signal(ctx, errors.New(why))
}

func open(ctx context.Context, o Options) (*boot, error) {
	c, err := instance.Read(o.Config)
	if err != nil {
		return nil, err
	}
	b := &boot{Options: o, config: c}
	return b, b.signIn(ctx)
}

func (b *boot) run(ctx context.Context) error {
	if err := b.resolve(ctx); err != nil {
		return err
	}
	secrets, err := b.secrets(ctx, "")
	if err != nil {
		return err
	}
	text, err := secrets.Encode()
	if err != nil {
		return fmt.Errorf("write the secrets of this instance: %w", err)
	}
	if err := write(sharedPath, text); err != nil {
		return err
	}
	if text, err = serverConfig(b.config, ""); err != nil {
		return err
	}
	if err := write(config.DefaultPath, text); err != nil {
		return err
	}
	if b.config.Database.Host != "" {
		if err := b.awaitDatabase(ctx, secrets.Secrets); err != nil {
			return err
		}
	}
	return b.up(ctx, config.DefaultPath)
}

func (b *boot) up(ctx context.Context, path string) error {
	return b.Up(ctx, Server{Config: path, ReleaseKey: b.config.ReleaseKey})
}

// provision brings the server up as the database's administrator, who makes the
// schema, the accounts and the tables. Its password is in memory only, and gone
// when this ends.
func (b *boot) provision(ctx context.Context, administrator account) (err error) {
	text, err := serverConfig(b.config, administratorPath)
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, remove(administratorPath), remove(provisionConfig))
	}()
	if err := write(administratorPath, fmt.Appendf(nil, "username: %q\npassword: %q\n", administrator.user, administrator.password.Reveal())); err != nil {
		return err
	}
	if err := write(provisionConfig, text); err != nil {
		return err
	}
	return b.up(ctx, provisionConfig)
}

func (b *boot) note(format string, args ...any) {
	b.Tell.Tell(progress.Event{Kind: progress.Note, Text: fmt.Sprintf(format, args...)})
}

// account is a login of the database.
type account struct {
	user     string
	password secret.Secret
}

// write makes a file that only root reads, whole or not at all. What may be at
// its name is replaced, not followed.
func write(name string, text []byte) error {
	dir := path.Dir(name)
	if info, err := os.Lstat(dir); err != nil || !info.IsDir() {
		return fmt.Errorf("write %s: %s is no directory", name, dir)
	}
	return durable.Write(name, text, durable.Attr{Mode: 0o600})
}

func remove(name string) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove %s: %w", name, err)
	}
	return nil
}
