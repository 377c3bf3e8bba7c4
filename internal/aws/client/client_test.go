package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/smithy-go"
)

// noAWS takes away what this computer knows of AWS.
func noAWS(t *testing.T) {
	t.Helper()
	t.Setenv("HOME", t.TempDir())
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	for _, name := range []string{"AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
		"AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"} {
		t.Setenv(name, "")
	}
}

func TestLoad(t *testing.T) {
	for name, c := range map[string]struct {
		options Options
		env     map[string]string
		want    string // part of the error; empty: none
	}{
		"nothing":         {Options{Region: "eu-central-1"}, nil, "there are none in the environment, in ~/.aws, or of this machine\nhint: sign in first"},
		"no region":       {Options{}, map[string]string{"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "very-secret"}, "no region is set\nhint: --region"},
		"no such profile": {Options{Profile: "other", Region: "eu-central-1"}, nil, "hint: aws configure list-profiles"},
		"environment":     {Options{Region: "eu-central-1"}, map[string]string{"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "very-secret"}, ""},
		"half a key":      {Options{Region: "eu-central-1"}, map[string]string{"AWS_SECRET_ACCESS_KEY": "very-secret"}, "hint: "},
	} {
		t.Run(name, func(t *testing.T) {
			noAWS(t)
			for key, value := range c.env {
				t.Setenv(key, value)
			}
			_, err := Load(t.Context(), c.options)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "very-secret") {
				t.Errorf("the error shows a key: %v", err)
			}
		})
	}
}

func TestExplain(t *testing.T) {
	for code, c := range map[string]struct {
		hint                       string
		denied, expired, throttled bool
	}{
		"AccessDenied":          {hint: "rocca aws policy", denied: true},
		"UnauthorizedOperation": {hint: "rocca aws policy", denied: true},
		"ExpiredToken":          {hint: "sign in again", expired: true},
		"InvalidClientTokenId":  {hint: "aws sts get-caller-identity"},
		"OptInRequired":         {hint: "aws account enable-region"},
		"Throttling":            {hint: "in a minute", throttled: true},
		"ValidationError":       {},
	} {
		err := fmt.Errorf("call: %w", &smithy.GenericAPIError{Code: code, Message: "no"})
		if Denied(err) != c.denied || Expired(err) != c.expired || Throttled(err) != c.throttled {
			t.Errorf("%s: denied %v, expired %v, throttled %v", code, Denied(err), Expired(err), Throttled(err))
		}
		explained := Explain(err)
		if !errors.Is(explained, err) || strings.Contains(explained.Error(), "\nhint: ") != (c.hint != "") || !strings.Contains(explained.Error(), c.hint) {
			t.Errorf("%s: %v", code, explained)
		}
	}
	if Explain(nil) != nil {
		t.Error("nothing was explained")
	}
}

type question struct{ page int }

func TestPages(t *testing.T) {
	broken := errors.New("broken")
	ask := func(_ context.Context, in *question, _ ...func(*struct{})) (*int, error) {
		if in.page == 3 {
			return nil, broken
		}
		return &in.page, nil
	}
	for _, c := range []struct {
		pages int
		want  []int
		err   error
	}{{1, []int{0}, nil}, {3, []int{0, 1, 2}, nil}, {9, []int{0, 1, 2}, broken}} {
		var got []int
		var failed error
		more := func(in *question, _ *int) bool { in.page++; return in.page < c.pages }
		for page, err := range Pages(t.Context(), ask, &question{}, more) {
			if err != nil {
				failed = err
				continue
			}
			got = append(got, *page)
		}
		if !slices.Equal(got, c.want) || !errors.Is(failed, c.err) {
			t.Errorf("%d pages: %v, %v", c.pages, got, failed)
		}
	}
}
