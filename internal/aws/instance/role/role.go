// Package role tries what the role of an instance must not do. It changes
// nothing, and keeps nothing of what it should not have been given.
package role

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/aws/smithy-go"

	"rocca/internal/aws/client"
	"rocca/internal/aws/instance"
)

// Answer is what AWS said to one call.
type Answer struct {
	Call    string // "secretsmanager:GetSecretValue"
	Of      string // what was asked for
	Said    string // an error's code, or "given"
	Allowed bool   // AWS did not refuse it for lack of a right
}

// Try reads as the role of this instance what belongs to others: the secret of
// the database's administrator, a secret, a parameter and the buckets of
// others, whose names begin with canary. The secret that is the instance's own
// is read first: when that is refused, no other answer means anything, and it
// is an error. Others are an error too when AWS could not be asked.
func Try(ctx context.Context, cloud client.Config, c instance.Config, canary string) ([]Answer, error) {
	parameter := func(name string) (string, error) {
		var answer struct{ Parameter struct{ Value string } }
		err := client.Ask(ctx, cloud, "ssm:GetParameter", client.Fields{"Name": name}, &answer)
		return answer.Parameter.Value, err
	}
	for _, text := range []*string{&c.Secret, &c.Database.Master} { // which CloudFormation may have left as references
		if name, is := instance.Reference(*text); is {
			value, err := parameter(name)
			if err != nil {
				return nil, fmt.Errorf("look up the instance's own parameter %s: %w", name, client.Explain(err))
			}
			*text = value
		}
	}
	read := func(id string) error {
		return client.Ask(ctx, cloud, "secretsmanager:GetSecretValue", client.Fields{"SecretId": id}, nil)
	}
	if err := read(c.Secret); err != nil {
		return nil, fmt.Errorf("read the instance's own secret: %w", client.Explain(err))
	}
	tries := []struct {
		call, of string
		ask      func(of string) error
	}{
		{"secretsmanager:GetSecretValue", c.Database.Master, read},
		{"secretsmanager:GetSecretValue", "rocca/" + canary + "/app", read},
		{"ssm:GetParameter", "/rocca/" + canary + "/base/Vpc", func(of string) error {
			_, err := parameter(of)
			return err
		}},
		{"s3:ListAllMyBuckets", "all buckets of the account", func(string) error { return listBuckets(ctx, cloud) }},
	}
	var answers []Answer
	for _, t := range tries {
		if t.of == "" {
			continue // there is no such database
		}
		err := t.ask(t.of)
		answer := Answer{Call: t.call, Of: t.of, Said: client.Code(err)}
		switch {
		case err == nil:
			answer.Said, answer.Allowed = "given", true
		case client.Denied(err):
		case client.Refused(err, "ResourceNotFoundException", "ParameterNotFound"):
			answer.Allowed = true // who may not ask does not hear that there is none of that name
		default:
			return answers, fmt.Errorf("%s of %s: %w", t.call, t.of, client.Explain(err))
		}
		answers = append(answers, answer)
	}
	return answers, nil
}

// listBuckets asks S3 without the SDK's client of it, which is too large for one
// call.
func listBuckets(ctx context.Context, cloud client.Config) error {
	address, err := url.Parse(client.Endpoint(cloud, "s3") + "/")
	if err != nil {
		return fmt.Errorf("list buckets: %w", err)
	}
	_, err = client.Do(ctx, cloud, client.Request{Service: "s3", Method: http.MethodGet, URL: address, Refusal: func(a client.Answer) *smithy.GenericAPIError {
		code := "HTTP status " + strconv.Itoa(a.Status)
		if a.Status == http.StatusForbidden {
			code = "AccessDenied"
		}
		return &smithy.GenericAPIError{Code: code, Message: http.StatusText(a.Status)}
	}})
	return err
}
