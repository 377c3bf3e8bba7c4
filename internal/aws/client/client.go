// Package client makes the clients of AWS services: who asks, where, how often
// it is tried again, and what an error means to the person who reads it.
package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"
)

// Options say who asks and where. What is empty comes from the environment and
// the files of the AWS CLI, as everybody expects (AWS_PROFILE, AWS_REGION,
// AWS_ENDPOINT_URL, ~/.aws/config).
type Options struct {
	Profile string
	Region  string
}

// mostAttempts of a call that was throttled or met a server's error.
const mostAttempts = 8

// Config is where and as whom calls are made; services make their clients of
// it. Commands hand it on and know nothing of its inside.
type Config = aws.Config

// Load reads the configuration of the AWS tools and looks for credentials. Of
// services it asks none yet, but those that hand out credentials.
func Load(ctx context.Context, o Options) (Config, error) {
	loaded, err := config.LoadDefaultConfig(ctx,
		config.WithSharedConfigProfile(o.Profile),
		config.WithRegion(o.Region),
		config.WithLogger(logging.Nop{}), // what matters comes as an error
		config.WithRetryer(func() aws.Retryer { return retry.AddWithMaxAttempts(retry.NewStandard(), mostAttempts) }),
	)
	if err != nil {
		return Config{}, fmt.Errorf("read the configuration of AWS: %w", Explain(err))
	}
	if loaded.Region == "" {
		return Config{}, errors.New("read the configuration of AWS: no region is set\nhint: --region, AWS_REGION, or region in rocca-aws.yaml")
	}
	if _, err := loaded.Credentials.Retrieve(ctx); err != nil {
		if hint := hintOf(err); hint != "" {
			return Config{}, fmt.Errorf("look for credentials of AWS: %w\nhint: %s", err, hint)
		}
		if strings.Contains(err.Error(), "no EC2 IMDS role found") { // the last place that the SDK looks in
			err = errors.New("there are none in the environment, in ~/.aws, or of this machine")
		}
		return Config{}, fmt.Errorf("look for credentials of AWS: %w\nhint: sign in first: aws sso login, aws configure, or --aws-profile", err)
	}
	return loaded, nil
}

// Identity is who asks.
type Identity struct {
	Account string // twelve digits
	ARN     string
}

// Who asks AWS who we are. It needs no permission.
func Who(ctx context.Context, c Config) (Identity, error) {
	answer, err := sts.NewFromConfig(c).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return Identity{}, fmt.Errorf("ask AWS who we are: %w", Explain(err))
	}
	return Identity{Account: aws.ToString(answer.Account), ARN: aws.ToString(answer.Arn)}, nil
}

// Explain adds to an error of AWS what to do about it, where that is known.
func Explain(err error) error {
	if err == nil {
		return nil
	}
	if hint := hintOf(err); hint != "" {
		return fmt.Errorf("%w\nhint: %s", err, hint)
	}
	return err
}

// Denied tells whether AWS refused to let this identity make the call.
func Denied(err error) bool {
	return Refused(err, "AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError", "AuthorizationErrorException")
}

// Expired tells whether the credentials were good once.
func Expired(err error) bool {
	return Refused(err, "ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired")
}

// Throttled tells whether AWS asks to be called less often.
func Throttled(err error) bool {
	_, throttled := retry.DefaultThrottleErrorCodes[Code(err)]
	return throttled
}

func hintOf(err error) string {
	var profile config.SharedConfigProfileNotExistError
	switch {
	case errors.As(err, &profile):
		return "aws configure list-profiles lists those there are"
	case Expired(err):
		return "the credentials have expired: sign in again (aws sso login, or new keys), then run the same command; it goes on where it stopped"
	case Refused(err, "InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch", "InvalidAccessKeyId", "AuthFailure"):
		return "AWS does not know these credentials: aws sts get-caller-identity shows which are used"
	case Refused(err, "OptInRequired"):
		return "the region or service is not enabled in this account: aws account enable-region"
	case Denied(err):
		return "rocca aws policy prints the policy that each job needs"
	case Throttled(err):
		return "AWS asks for patience: run the same command again in a minute"
	}
	return ""
}

// Code is that of an error that AWS answered, such as ValidationError; empty
// when AWS did not answer.
func Code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// Refused tells whether AWS answered with one of these codes.
func Refused(err error, codes ...string) bool {
	code := Code(err)
	return code != "" && slices.Contains(codes, code)
}

// NoStack tells whether CloudFormation knows no such stack. It says so with a
// ValidationError that has no better mark than its text.
func NoStack(err error) bool {
	return Refused(err, "ValidationError") && strings.Contains(err.Error(), "does not exist")
}
