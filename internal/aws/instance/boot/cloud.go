package boot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"

	"rocca/internal/aws/client"
	"rocca/internal/aws/instance"
	"rocca/internal/progress"
	"rocca/internal/secret"
)

// How long things may take that come about by themselves: a role that was just
// made is known everywhere after some seconds, a database after minutes.
const (
	rolePatience     = 5 * time.Minute
	databasePatience = 20 * time.Minute
	longestPause     = 15 * time.Second
)

// errPatience says that what was waited for did not come.
var errPatience = errors.New("it did not come in time")

// retry tries until it works, the error is of another kind than those that pass
// by themselves, or patience ends. try gives what it waits for, in words.
func (b *boot) retry(ctx context.Context, patience time.Duration, try func() (waits string, err error)) error {
	start, pause := time.Now(), time.Second
	for {
		waits, err := try()
		if waits == "" {
			return err
		}
		if time.Since(start) > patience {
			return fmt.Errorf("wait for %s: %w: %w", waits, errPatience, err)
		}
		b.Tell.Tell(progress.Event{Kind: progress.Wait, Step: "boot", Text: fmt.Sprintf("%s (minute %d of %d)", waits, int(time.Since(start).Minutes())+1, int(patience.Minutes()))})
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
		pause = min(pause*3/2, longestPause)
	}
}

// signIn asks the instance metadata (version 2 only) who this instance is, and
// for the credentials of its role.
func (b *boot) signIn(ctx context.Context) error {
	err := b.retry(ctx, rolePatience, func() (string, error) {
		var err error
		if b.cloud, err = client.Load(ctx, client.Options{Region: b.config.Region}); err != nil {
			return "the credentials of the instance's role", err
		}
		metadata := imds.NewFromConfig(b.cloud, func(o *imds.Options) { o.EnableFallback = aws.FalseTernary })
		answer, err := metadata.GetMetadata(ctx, &imds.GetMetadataInput{Path: "instance-id"})
		if err != nil {
			return "the instance metadata", err
		}
		defer answer.Content.Close()
		id, err := io.ReadAll(io.LimitReader(answer.Content, 100))
		b.id = string(id)
		return "", err
	})
	if err != nil {
		return fmt.Errorf("ask AWS who this instance is: %w", err)
	}
	return nil
}

// resolve looks up what CloudFormation left as dynamic references.
func (b *boot) resolve(ctx context.Context) error {
	for _, text := range b.config.References() {
		name, is := instance.Reference(*text)
		if !is {
			continue
		}
		var answer struct{ Parameter struct{ Value string } }
		if err := client.Ask(ctx, b.cloud, "ssm:GetParameter", client.Fields{"Name": name}, &answer); err != nil {
			return fmt.Errorf("look up the parameter %s: %w", name, client.Explain(err))
		}
		*text = answer.Parameter.Value
	}
	if err := b.config.Validate(); err != nil {
		return fmt.Errorf("look up what other stacks have made: %w", err)
	}
	return nil
}

// secrets fetches a version of the app secret, the current one when empty, and
// derives all others.
func (b *boot) secrets(ctx context.Context, version string) (Secrets, error) {
	var text secret.Secret
	err := b.retry(ctx, rolePatience, func() (string, error) {
		var err error
		text, version, err = b.secretValue(ctx, b.config.Secret, version)
		if client.Refused(err, "ResourceNotFoundException") && version != "" {
			return "", err // a version does not come about by waiting
		}
		if err != nil {
			return "the app secret", err
		}
		return "", nil
	})
	if err != nil {
		return Secrets{}, fmt.Errorf("read the app secret: %w", err)
	}
	derived, err := Derive([]byte(text.Reveal()))
	if err != nil {
		return Secrets{}, fmt.Errorf("read the app secret %s: %w", b.config.Secret, err)
	}
	derived.Version = version
	if b.config.Database.Host == "" {
		derived.Accounts, derived.Slot = nil, "" // a local MariaDB knows accounts by their Unix users
	}
	return derived, nil
}

// secretValue fetches a version of a secret, the current one when empty, and
// tells which it is.
func (b *boot) secretValue(ctx context.Context, arn, version string) (value secret.Secret, is string, err error) {
	fields := client.Fields{"SecretId": arn, "VersionStage": "AWSCURRENT"}
	if version != "" {
		fields = client.Fields{"SecretId": arn, "VersionId": version}
	}
	var answer struct {
		SecretString string
		Version      string `json:"VersionId"`
	}
	if err := client.Ask(ctx, b.cloud, "secretsmanager:GetSecretValue", fields, &answer); err != nil {
		return secret.Secret{}, version, client.Explain(err)
	}
	return secret.New(answer.SecretString), answer.Version, nil
}

// administrator reads the login of the database's administrator, in the form
// that RDS keeps it.
func (b *boot) administrator(ctx context.Context) (account, error) {
	text, _, err := b.secretValue(ctx, b.config.Database.Master, "")
	if err != nil {
		return account{}, err
	}
	var login struct{ Username, Password string }
	if err := json.Unmarshal([]byte(text.Reveal()), &login); err != nil || login.Username == "" || login.Password == "" {
		return account{}, fmt.Errorf("the secret %s has no username and password", b.config.Database.Master) // the cause would show it
	}
	return account{login.Username, secret.New(login.Password)}, nil
}

// signalPatience is how long telling the stack may take, also when rocca is
// being stopped.
const signalPatience = time.Minute

// signal tells the stack whether the instance came up. CloudFormation takes no
// reason with it: that is in the journal and on the console of the instance.
func (b *boot) signal(ctx context.Context, failed error) error {
	s := b.config.Signal
	if s == (instance.Signal{}) {
		return nil
	}
	status := types.ResourceSignalStatusSuccess
	if failed != nil {
		status = types.ResourceSignalStatusFailure
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), signalPatience)
	defer cancel()
	_, err := cloudformation.NewFromConfig(b.cloud).SignalResource(ctx, &cloudformation.SignalResourceInput{
		StackName: aws.String(s.Stack), LogicalResourceId: aws.String(s.Resource), UniqueId: aws.String(b.id), Status: status,
	})
	switch {
	case err == nil:
		b.note("told the stack %s: %s of %s (%s)", s.Stack, status, s.Resource, b.id)
		return nil
	case nobodyWaits(err):
		return nil
	}
	return fmt.Errorf("tell the stack %s: %w", s.Stack, client.Explain(err))
}

// nobodyWaits tells an instance that was started when the stack was complete: by
// its auto-scaling group, or again.
func nobodyWaits(err error) bool {
	return client.Refused(err, "ValidationError") && strings.Contains(err.Error(), "cannot be signaled")
}
