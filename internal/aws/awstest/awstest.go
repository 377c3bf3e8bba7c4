// Package awstest gives tests an AWS that is not one: moto behind a proxy that
// answers what moto lacks, records each call, and fails calls when told to.
//
// There is one moto for a test process, and each Start empties it: tests that
// use it must not be parallel.
package awstest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"rocca/internal/aws/client"
	"rocca/internal/run"
)

// What every test sees: moto's account, and a region in the EU.
const (
	Account = "123456789012"
	Region  = "eu-central-1"
)

// Cloud is an empty AWS account for one test.
type Cloud struct {
	Endpoint string // URL for every service, for AWS_ENDPOINT_URL

	moto    *url.URL
	guarded bool
	admin   aws.Credentials

	mu       sync.Mutex
	calls    []Call
	refused  []Call
	answers  map[Call]http.HandlerFunc
	failures []*failing
	users    map[string]user // by access key
}

// user is somebody whom As made.
type user struct {
	name    string
	actions []string // that are allowed
}

// Call is an operation of a service that was asked for.
type Call struct {
	Service   string // as in signatures and IAM actions, such as ec2 or elasticloadbalancing
	Operation string // such as DescribeVpcs; of a REST service called by another process "GET /detector"
}

// String is the call as IAM names actions, such as ec2:DescribeVpcs.
func (c Call) String() string { return c.Service + ":" + c.Operation }

// Start gives an empty account that lets everybody do everything. Where there
// is no moto the test is skipped, but never when CI=true: there it fails.
func Start(t testing.TB) *Cloud {
	t.Helper()
	return start(t, open, false)
}

// StartGuarded gives an empty account that asks IAM: Config is that of its
// administrator, As that of somebody with fewer rights.
func StartGuarded(t testing.TB) *Cloud {
	t.Helper()
	return start(t, guarded, true)
}

func start(t testing.TB, moto func() (*url.URL, error), guarded bool) *Cloud {
	t.Helper()
	address, err := moto()
	if errors.Is(err, fs.ErrNotExist) {
		missing(t, err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	c := &Cloud{moto: address, guarded: guarded}
	proxy := httptest.NewServer(c.proxy())
	t.Cleanup(proxy.Close)
	c.Endpoint = proxy.URL
	c.Reset(t)
	return c
}

// Reset empties the account, and forgets calls, answers and failures.
func (c *Cloud) Reset(t testing.TB) {
	t.Helper()
	c.mu.Lock()
	c.calls, c.refused, c.failures = nil, nil, nil
	c.answers, c.users = map[Call]http.HandlerFunc{}, map[string]user{}
	c.mu.Unlock()
	c.admin = aws.Credentials{AccessKeyID: "testing", SecretAccessKey: "testing"}
	c.tell(t, "reset", "")
	if !c.guarded {
		return
	}
	c.tell(t, "reset-auth", "inf")
	c.admin = c.make(t, "administrator", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`)
	c.tell(t, "reset-auth", "0")
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = nil
}

// Config makes clients of this account.
func (c *Cloud) Config(t testing.TB) client.Config {
	t.Helper()
	return c.config(c.admin)
}

// Environment is that of a program that shall use this account.
func (c *Cloud) Environment() []string {
	return []string{
		"AWS_ENDPOINT_URL=" + c.Endpoint,
		"AWS_REGION=" + Region,
		"AWS_ACCESS_KEY_ID=" + c.admin.AccessKeyID,
		"AWS_SECRET_ACCESS_KEY=" + c.admin.SecretAccessKey,
		"AWS_EC2_METADATA_DISABLED=true",
	}
}

// As makes clients of a user who has these policies and nothing else. moto
// looks at actions only: to it every resource is *, and a condition never
// holds, so both are taken out of what it is given. Some actions it knows by
// the name of the operation, see motoNames.
func (c *Cloud) As(t testing.TB, policies ...string) client.Config {
	t.Helper()
	if !c.guarded {
		t.Fatal("this account lets everybody do everything; use StartGuarded")
	}
	c.mu.Lock()
	name := fmt.Sprintf("user-%d", len(c.users))
	c.mu.Unlock()
	actions, flat := flatten(t, policies)
	credentials := c.make(t, name, flat)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.users[credentials.AccessKeyID] = user{name, actions}
	return c.config(credentials)
}

// Change gives a user that As made these policies instead of those before.
func (c *Cloud) Change(t testing.TB, who client.Config, policies ...string) {
	t.Helper()
	credentials, err := who.Credentials.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	actions, flat := flatten(t, policies)
	c.mu.Lock()
	name := c.users[credentials.AccessKeyID].name
	c.users[credentials.AccessKeyID] = user{name, actions}
	c.mu.Unlock()
	c.allow(t, name, flat)
}

// Answer answers an operation instead of moto. The handler is asked after IAM.
func (c *Cloud) Answer(service, operation string, answer http.HandlerFunc) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answers[Call{service, operation}] = answer
}

// Say is an answer that is always the same.
func Say(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// Calls lists what was asked for, in order.
func (c *Cloud) Calls() []Call {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.calls)
}

// Count tells how often an operation was asked for.
func (c *Cloud) Count(service, operation string) int {
	n := 0
	for _, call := range c.Calls() {
		if call == (Call{service, operation}) {
			n++
		}
	}
	return n
}

// Refused lists what was asked for and not allowed, in order.
func (c *Cloud) Refused() []Call {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.refused)
}

// ForgetCalls empties the lists of calls, after a test has prepared its account.
func (c *Cloud) ForgetCalls() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls, c.refused = nil, nil
}

// config tries thrice without waiting, and tells the proxy what is called:
// in a REST protocol that is not written anywhere.
func (c *Cloud) config(as aws.Credentials) client.Config {
	endpoint := c.Endpoint
	return client.Config{
		Region:       Region,
		BaseEndpoint: &endpoint,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return as, nil
		}),
		Retryer: func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) {
				o.MaxAttempts = 3
				o.RateLimiter = ratelimit.None
				o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
			})
		},
		APIOptions: []func(*middleware.Stack) error{func(stack *middleware.Stack) error {
			if err := stack.Build.Add(middleware.BuildMiddlewareFunc("NameOperation", nameOperation), middleware.After); err != nil {
				return err
			}
			return stack.Finalize.Insert(middleware.FinalizeMiddlewareFunc("SendPayloadHash", sendPayloadHash), "ComputePayloadHash", middleware.After)
		}},
	}
}

// operationHeader carries the name of the operation from a client to the proxy.
const operationHeader = "X-Rocca-Operation"

func nameOperation(ctx context.Context, in middleware.BuildInput, next middleware.BuildHandler) (middleware.BuildOutput, middleware.Metadata, error) {
	if request, ok := in.Request.(*smithyhttp.Request); ok {
		request.Header.Set(operationHeader, middleware.GetOperationName(ctx))
	}
	return next.HandleBuild(ctx, in)
}

// sendPayloadHash writes down what is signed. Without it moto takes a request
// without a body for one with a wrong signature.
func sendPayloadHash(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
	if request, ok := in.Request.(*smithyhttp.Request); ok {
		request.Header.Set("X-Amz-Content-Sha256", v4.GetPayloadHash(ctx))
	}
	return next.HandleFinalize(ctx, in)
}

// motoNames are what moto checks instead of actions that are not named as their
// operations are.
var motoNames = map[string][]string{
	"s3:GetAccountPublicAccessBlock": {"s3:GetPublicAccessBlock"},
	"s3:PutAccountPublicAccessBlock": {"s3:PutPublicAccessBlock"},
	"budgets:ViewBudget":             {"budgets:DescribeBudget", "budgets:DescribeBudgets"},
	"budgets:ModifyBudget":           {"budgets:CreateBudget", "budgets:UpdateBudget", "budgets:DeleteBudget"},
}

// make makes a user with a policy and a key.
func (c *Cloud) make(t testing.TB, name, policy string) aws.Credentials {
	t.Helper()
	users := iam.NewFromConfig(c.config(c.admin))
	if _, err := users.CreateUser(t.Context(), &iam.CreateUserInput{UserName: &name}); err != nil {
		t.Fatal(err)
	}
	c.allow(t, name, policy)
	made, err := users.CreateAccessKey(t.Context(), &iam.CreateAccessKeyInput{UserName: &name})
	if err != nil {
		t.Fatal(err)
	}
	return aws.Credentials{AccessKeyID: *made.AccessKey.AccessKeyId, SecretAccessKey: *made.AccessKey.SecretAccessKey}
}

// allow gives a user its only policy.
func (c *Cloud) allow(t testing.TB, name, policy string) {
	t.Helper()
	users := iam.NewFromConfig(c.config(c.admin))
	if _, err := users.PutUserPolicy(t.Context(), &iam.PutUserPolicyInput{UserName: &name, PolicyName: &name, PolicyDocument: &policy}); err != nil {
		t.Fatal(err)
	}
}

// flatten makes one policy of several, with nothing but their actions.
func flatten(t testing.TB, policies []string) (actions []string, policy string) {
	t.Helper()
	actions = []string{"none:none"} // IAM refuses an empty list
	for _, p := range policies {
		for _, action := range actionsOf(t, p) {
			actions = append(append(actions, action), motoNames[action]...)
		}
	}
	text, err := json.Marshal(map[string]any{
		"Version":   "2012-10-17",
		"Statement": []any{map[string]any{"Effect": "Allow", "Action": actions, "Resource": "*"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return actions, string(text)
}

// actionsOf lists the actions that a policy allows.
func actionsOf(t testing.TB, policy string) []string {
	t.Helper()
	var document struct {
		Statement []struct {
			Effect string
			Action any
		}
	}
	if err := json.Unmarshal([]byte(policy), &document); err != nil {
		t.Fatalf("read policy: %v", err)
	}
	var actions []string
	for _, s := range document.Statement {
		switch action := s.Action.(type) {
		case string:
			actions = append(actions, action)
		case []any:
			for _, a := range action {
				actions = append(actions, fmt.Sprint(a))
			}
		}
		if s.Effect != "Allow" {
			t.Fatalf("read policy: effect %q is not understood here", s.Effect)
		}
	}
	return actions
}

// tell calls moto's own API.
func (c *Cloud) tell(t testing.TB, what, body string) {
	t.Helper()
	answer, err := http.Post(c.moto.JoinPath("moto-api", what).String(), "text/plain", strings.NewReader(body))
	if err != nil {
		t.Fatalf("%s moto: %v", what, err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("%s moto: %s", what, answer.Status)
	}
}

// proxy stands before moto.
func (c *Cloud) proxy() http.Handler {
	onward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(c.moto)
		r.Out.Host = r.In.Host // it is signed
	}}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		call, key := callOf(r, body)
		answer, failure, actions := c.enter(call, key)
		w = &watched{ResponseWriter: w, refuse: func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.refused = append(c.refused, call)
		}}
		switch {
		case failure != nil:
			failure.write(w, r, call.Service)
		case answer != nil && actions != nil && !slices.Contains(actions, call.String()):
			Denied.write(w, r, call.Service)
		case answer != nil:
			answer(w, r)
		default:
			onward.ServeHTTP(w, r)
		}
	})
}

// watched tells of answers that refuse.
type watched struct {
	http.ResponseWriter
	refuse func()
}

func (w *watched) WriteHeader(status int) {
	if status == http.StatusForbidden {
		w.refuse()
	}
	w.ResponseWriter.WriteHeader(status)
}

// enter records a call, and tells who answers it.
func (c *Cloud) enter(call Call, key string) (answer http.HandlerFunc, failure *Failure, actions []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, call)
	for _, f := range c.failures {
		if f.call != call {
			continue
		}
		f.seen++
		if f.seen >= f.from && f.seen <= f.to {
			failure = &f.with
		}
	}
	return c.answers[call], failure, c.users[key].actions
}

var (
	scope  = regexp.MustCompile(`Credential=([^/]+)/[^/]+/[^/]+/([^/]+)/aws4_request`)
	inBody = regexp.MustCompile(`(?:^|&)Action=([A-Za-z0-9]+)`)
)

// callOf tells what a request asks for, and the access key of who asks.
func callOf(r *http.Request, body []byte) (Call, string) {
	signed := r.Header.Get("Authorization")
	if signed == "" {
		signed = "Credential=" + r.URL.Query().Get("X-Amz-Credential")
	}
	var call Call
	var key string
	if match := scope.FindStringSubmatch(signed); match != nil {
		key, call.Service = match[1], match[2]
	}
	_, target, targeted := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	switch {
	case r.Header.Get(operationHeader) != "":
		call.Operation = r.Header.Get(operationHeader)
	case targeted:
		call.Operation = target
	case inBody.Match(body) && strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded"):
		call.Operation = string(inBody.FindSubmatch(body)[1])
	case r.URL.Query().Get("Action") != "":
		call.Operation = r.URL.Query().Get("Action")
	case call.Service == "s3":
		call.Operation = operationOnObjects(r)
	default:
		call.Operation = r.Method + " " + r.URL.Path
	}
	return call, key
}

// operationOnObjects names what rocca asks of S3 without a client of the SDK.
func operationOnObjects(r *http.Request) string {
	_, key, _ := strings.Cut(strings.Trim(r.URL.Path, "/"), "/")
	query := r.URL.Query()
	switch {
	case strings.HasPrefix(r.URL.Path, "/v20180820/"): // S3 Control
		return map[string]string{http.MethodGet: "GetPublicAccessBlock", http.MethodPut: "PutPublicAccessBlock"}[r.Method]
	case key != "":
		return map[string]string{http.MethodGet: "GetObject", http.MethodHead: "HeadObject", http.MethodPut: "PutObject"}[r.Method]
	case query.Get("list-type") == "2":
		return "ListObjectsV2"
	case query.Has("versions"):
		return "ListObjectVersions"
	case query.Has("delete"):
		return "DeleteObjects"
	}
	return r.Method + " " + r.URL.Path
}

// open and guarded are the motos of this test process.
var (
	open    = sync.OnceValues(startMoto)
	guarded = sync.OnceValues(startMoto)
)

// startMoto starts moto on a free port and waits until it answers. The kernel
// ends it with this process.
func startMoto() (*url.URL, error) {
	program, err := lookInPath("moto_server")
	if err != nil {
		return nil, err
	}
	heard := make(chan string, 1)
	says := &listening{address: heard}
	ended := make(chan error, 1)
	go func() {
		// The signal is sent when the thread ends that started it: this one stays.
		runtime.LockOSThread()
		_, err := run.Do(context.Background(), run.Command{
			Argv:   []string{"setpriv", "--pdeathsig", "KILL", program, "-H", "127.0.0.1", "-p", "0"},
			Env:    []string{"AWS_EC2_METADATA_DISABLED=true"},
			Output: says,
		})
		ended <- err
	}()
	select {
	case err := <-ended:
		return nil, fmt.Errorf("start moto: %w", err)
	case <-time.After(2 * time.Minute):
		return nil, errors.New("start moto: it did not listen within two minutes")
	case text := <-heard:
		address, err := url.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("start moto: %w", err)
		}
		answer, err := http.Get(address.JoinPath("moto-api/data.json").String())
		if err != nil {
			return nil, fmt.Errorf("start moto: %w", err)
		}
		return address, answer.Body.Close()
	}
}

// listening finds in moto's output where it listens.
type listening struct {
	seen    []byte
	address chan<- string // nil when it was found
}

var runningOn = regexp.MustCompile(`Running on (http://127\.0\.0\.1:\d+)\s`)

func (l *listening) Write(p []byte) (int, error) {
	if l.address == nil {
		return len(p), nil
	}
	l.seen = append(l.seen, p...)
	if match := runningOn.FindSubmatch(l.seen); match != nil {
		l.address <- string(match[1])
		l.address, l.seen = nil, nil
	}
	return len(p), nil
}

// lookInPath finds a program as the developer's shell would: Python's tools
// are seldom where the system's are.
func lookInPath(program string) (string, error) {
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		name := filepath.Join(dir, program)
		if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return name, nil
		}
	}
	return "", fmt.Errorf("look up program %s in PATH: %w\nhint: pip install 'moto[server]==5.2.1'", program, fs.ErrNotExist)
}

// missing skips the test with one loud line, or fails it in CI.
func missing(t testing.TB, why string) {
	t.Helper()
	why, _, _ = strings.Cut(why, "\n")
	line := "NO MOTO, " + t.Name() + " TESTS NOTHING: " + why
	if os.Getenv("CI") == "true" {
		t.Fatal(line)
	}
	fmt.Fprintln(os.Stderr, line) // seen without -v, too
	t.Skip(line)
}
