// Package report is what an EC2 instance tells about itself, every five
// minutes: how full it is and whether its tracker answers, as metrics of
// CloudWatch, and what is new in its journal, in the log group of instances.
//
// It needs no agent: root runs it, as a timer that Install makes.
package report

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"

	"rocca/internal/aws/client"
	"rocca/internal/aws/instance"
	"rocca/internal/progress"
)

// Options say what is told.
type Options struct {
	Config string           // file of instance.Config
	Tell   progress.Handler // is told what was sent
}

// metadataPatience is how long the instance metadata may take. They are on the
// same machine: where there are none, this is no instance.
const metadataPatience = 20 * time.Second

// reporter is one report.
type reporter struct {
	tell   progress.Handler
	config instance.Config
	cloud  client.Config
	id     string // of the instance

	front      string // address of the front
	audit      string // file with the last audit
	cursor     string // file with the place in the journal up to which everything was sent
	journalctl string // program
}

// Run measures this instance and sends that and what is new in its journal.
// When one cannot be sent, the other is.
func Run(ctx context.Context, o Options) error {
	r := reporter{tell: o.Tell, front: "127.0.0.1:443", audit: auditPath, cursor: cursorPath, journalctl: "journalctl"}
	var err error
	if r.config, err = instance.Read(o.Config); err != nil {
		return err
	}
	if err := r.signIn(ctx); err != nil {
		return err
	}
	return errors.Join(r.sendMetrics(ctx), r.sendLogs(ctx))
}

// signIn asks the instance metadata (version 2 only) who this instance is, and
// for the credentials of its role.
func (r *reporter) signIn(ctx context.Context) error {
	const noInstance = "ask AWS who this instance is: %w\nhint: this works as root on an EC2 instance of a deployment, and nowhere else"
	ctx, cancel := context.WithTimeout(ctx, metadataPatience)
	defer cancel()
	metadata := imds.New(imds.Options{EnableFallback: aws.FalseTernary})
	answer, err := metadata.GetMetadata(ctx, &imds.GetMetadataInput{Path: "instance-id"})
	if err != nil {
		return fmt.Errorf(noInstance, err)
	}
	defer answer.Content.Close()
	id, err := io.ReadAll(io.LimitReader(answer.Content, 100))
	if err != nil {
		return fmt.Errorf(noInstance, err)
	}
	r.id = string(id)
	r.cloud, err = client.Load(ctx, client.Options{Region: r.config.Region})
	return err
}

func (r *reporter) note(format string, args ...any) {
	r.tell.Tell(progress.Event{Kind: progress.Note, Text: fmt.Sprintf(format, args...)})
}
