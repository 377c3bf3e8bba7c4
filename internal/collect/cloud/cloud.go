// Package cloud observes what a deployment is made of in AWS, by reading only.
// No value of a secret is ever asked for: of what anybody may read who may
// describe an instance (user data, the console), it keeps a hash, and what kind
// of thing was found in which line.
package cloud

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"

	"rocca/internal/aws/client"
	"rocca/internal/facts"
)

// Options say what is looked at.
type Options struct {
	Deployment string              // value of the tag rocca:deployment; empty: everything of the region
	Wanted     facts.CloudSettings // what its owner decided; zero: nothing is known
	Now        time.Time           // when it is looked

	// Seen checks the public name from outside; nil: that is not done.
	Seen func(context.Context) ([]facts.Seen, error)
}

// At most so many calls are on their way at once, and one look takes at most so
// long.
const (
	atOnce   = 8
	patience = 3 * time.Minute
)

// look is a set of calls that are refused together. What it found it puts into
// the facts when all looks are done, in the order of the list.
type look struct {
	section facts.Section
	see     func(*observer, context.Context) (found, error)
}

// found puts what was seen into the facts.
type found func(*facts.Cloud)

// Observe looks at a deployment, or at all of a region. What could not be seen
// is told in Sections, with the reason. When nothing can be seen at all, because
// the credentials are not good (any more) or the region is not enabled, that is
// the error.
func Observe(ctx context.Context, c client.Config, o Options) (facts.Server, error) {
	who, err := account(ctx, c)
	if err != nil {
		return facts.Server{}, err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	c.HTTPClient = &limited{web: c.HTTPClient, places: make(chan struct{}, atOnce)}
	c.Credentials = &checked{c.Credentials, stop}
	b := newObserver(c, o, who)

	seen := make([]found, len(looks))
	failed := make([]error, len(looks))
	var running sync.WaitGroup
	for i, l := range looks {
		running.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, patience)
			defer cancel()
			if seen[i], failed[i] = l.see(b, ctx); failed[i] != nil {
				b.hopeless(ctx, failed[i], stop)
			}
		})
	}
	running.Wait()
	if ctx.Err() != nil {
		return facts.Server{}, fmt.Errorf("look at AWS: %w", context.Cause(ctx))
	}
	s := facts.Server{
		Observed: o.Now.UTC(),
		Sections: map[facts.Section]string{},
		Cloud:    facts.Cloud{Account: who, Region: c.Region, Deployment: o.Deployment, Wanted: o.Wanted},
	}
	for i, l := range looks {
		s.Sections[l.section] = reason(failed[i])
		if failed[i] == nil {
			seen[i](&s.Cloud)
		}
	}
	leaveOthers(&s)
	return s, nil
}

// account is that of the credentials. A region that is not enabled does not
// know credentials that are good elsewhere.
func account(ctx context.Context, c client.Config) (string, error) {
	who, err := client.Who(ctx, c)
	if !unknown(err) {
		return who.Account, err
	}
	elsewhere := c
	elsewhere.Region = "us-east-1" // which cannot be switched off
	if there, other := client.Who(ctx, elsewhere); other == nil && c.Region != elsewhere.Region {
		return "", fmt.Errorf("look at AWS: the region %s is not enabled in the account %s, or not there\nhint: aws account enable-region --region-name %[1]s, or another --region", c.Region, there.Account)
	}
	return "", err
}

// unknown tells whether AWS does not know the credentials.
func unknown(err error) bool {
	return client.Refused(err, "InvalidClientTokenId", "UnrecognizedClientException", "AuthFailure", "InvalidAccessKeyId", "SignatureDoesNotMatch", "OptInRequired")
}

// hopeless ends everything when no other look can succeed either.
func (o *observer) hopeless(ctx context.Context, err error, stop context.CancelCauseFunc) {
	if client.Expired(err) {
		stop(client.Explain(err))
	}
	if !unknown(err) {
		return
	}
	if _, gone := client.Who(ctx, o.cloud); unknown(gone) || client.Expired(gone) {
		stop(gone)
	}
}

// reason is why a section was not seen; empty when it was.
func reason(err error) string {
	if err == nil {
		return ""
	}
	action := ""
	var operation *smithy.OperationError
	if errors.As(err, &operation) {
		action = operation.Service() + ":" + operation.Operation()
	}
	var answer smithy.APIError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return strings.TrimSpace(action + " took longer than " + patience.String())
	case action == "":
		text, _, _ := strings.Cut(err.Error(), "\nhint: ")
		return text
	case client.Denied(err):
		return "not allowed to look: " + action
	case errors.As(err, &answer):
		return action + " failed: " + strings.TrimSpace(answer.ErrorCode()+" "+answer.ErrorMessage())
	}
	return action + " failed: " + operation.Err.Error()
}

// limited lets only so many calls out at once.
type limited struct {
	web    aws.HTTPClient
	places chan struct{}
}

// Do implements aws.HTTPClient.
func (l *limited) Do(r *http.Request) (*http.Response, error) {
	select {
	case l.places <- struct{}{}:
		defer func() { <-l.places }()
	case <-r.Context().Done():
		return nil, context.Cause(r.Context())
	}
	if l.web == nil {
		return http.DefaultClient.Do(r)
	}
	return l.web.Do(r)
}

// checked are credentials that end everything when there are none any more,
// such as after a session has run out.
type checked struct {
	aws.CredentialsProvider
	stop context.CancelCauseFunc
}

// Retrieve implements aws.CredentialsProvider.
func (c *checked) Retrieve(ctx context.Context) (aws.Credentials, error) {
	got, err := c.CredentialsProvider.Retrieve(ctx)
	if err != nil && ctx.Err() == nil {
		c.stop(fmt.Errorf("look for credentials of AWS: %w\nhint: sign in again (aws sso login, or new keys), then run the same command", err))
	}
	return got, err
}
