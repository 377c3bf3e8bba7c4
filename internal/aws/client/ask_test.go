package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// asked is a service that answers one after the other, and a configuration that
// leads to it.
func asked(t *testing.T, answers ...func(http.ResponseWriter, *http.Request)) (Config, *int) {
	calls := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls++
		answers[min(calls, len(answers))-1](w, r)
	}))
	t.Cleanup(server.Close)
	return Config{
		Region: "eu-central-1", BaseEndpoint: &server.URL,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AK", SecretAccessKey: "key"}, nil
		}),
		Retryer: func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) {
				o.RateLimiter = ratelimit.None
				o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
			})
		},
	}, &calls
}

func says(status int, kind, body string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		if kind != "" {
			w.Header().Set("X-Amzn-Errortype", kind)
		}
		w.Header().Set("X-Amzn-Requestid", "1-2-3")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func TestAsk(t *testing.T) {
	for _, c := range []struct{ action, target, kind, scope string }{
		{"ssm:GetParameter", "AmazonSSM.GetParameter", "application/x-amz-json-1.1", "/eu-central-1/ssm/aws4_request"},
		{"cloudwatch:PutMetricData", "GraniteServiceVersion20100801.PutMetricData", "application/x-amz-json-1.0", "/eu-central-1/monitoring/aws4_request"},
	} {
		config, _ := asked(t, func(w http.ResponseWriter, r *http.Request) {
			var in struct{ Name string }
			if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.Name != "a" {
				t.Errorf("%s: was sent %+v, %v", c.action, in, err)
			}
			h := r.Header
			if r.Method != http.MethodPost || r.URL.Path != "/" || h.Get("X-Amz-Target") != c.target || h.Get("Content-Type") != c.kind || !strings.Contains(h.Get("Authorization"), c.scope) {
				t.Errorf("%s: %s %s with %v", c.action, r.Method, r.URL, h)
			}
			_, _ = io.WriteString(w, `{"value":"b"}`)
		})
		var out struct{ Value string }
		if err := Ask(t.Context(), config, c.action, Fields{"Name": "a"}, &out); err != nil || out.Value != "b" {
			t.Errorf("%s: got %+v, %v", c.action, out, err)
		}
	}
}

func TestAskREST(t *testing.T) {
	config, _ := asked(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		_, _ = io.WriteString(w, `{"said":"`+r.Method+" "+r.URL.EscapedPath()+" "+r.Header.Get("Content-Type")+" "+string(bytes.ReplaceAll(body, []byte(`"`), nil))+`"}`)
	})
	for want, in := range map[string]Fields{"PUT /backup-vaults/a%2Fb application/json {MinRetentionDays:35}": {"MinRetentionDays": 35}, "GET /backup-vaults/a%2Fb application/json ": nil} {
		method, _, _ := strings.Cut(want, " ")
		var out struct{ Said string }
		if err := AskREST(t.Context(), config, "backup:CreateBackupVault", method, "/backup-vaults/a%2Fb", in, &out); err != nil || out.Said != want {
			t.Errorf("got %q, want %q, %v", out.Said, want, err)
		}
	}
}

// TestAskIsRefused: errors are the SDK's, and are tried again as there.
func TestAskIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(http.ResponseWriter, *http.Request)
		code   string
		calls  int
	}{
		"in a header":    {says(400, "ParameterNotFound:http://internal.amazon.com/", `{"message":"no"}`), "ParameterNotFound", 1},
		"in the content": {says(400, "", `{"__type":"com.amazonaws.ssm#ParameterNotFound","Message":"no"}`), "ParameterNotFound", 1},
		"too often":      {says(400, "", `{"__type":"ThrottlingException"}`), "ThrottlingException", 3},
		"by a proxy":     {says(502, "", "<html>"), "UnknownError", 3},
	} {
		config, calls := asked(t, c.answer)
		err := Ask(t.Context(), config, "ssm:GetParameter", Fields{}, nil)
		var response *awshttp.ResponseError
		if Code(err) != c.code || *calls != c.calls || !errors.As(err, &response) || response.RequestID != "1-2-3" {
			t.Errorf("%s: %d calls, %v", name, *calls, err)
		}
	}
	config, _ := asked(t, says(503, "", ""), says(200, "", "{}"))
	if err := Ask(t.Context(), config, "ssm:GetParameter", Fields{}, nil); err != nil {
		t.Errorf("at the second time: %v", err)
	}
}

func TestEndpoint(t *testing.T) {
	config := Config{Region: "eu-central-1"}
	if got := Endpoint(config, "ssm"); got != "https://ssm.eu-central-1.amazonaws.com" {
		t.Errorf("got %s", got)
	}
	for action := range services {
		if services[action].target == "" {
			t.Errorf("%s has no target", action)
		}
	}
}
