// Package cfntest is a CloudFormation inside a test: the AWS Query protocol as
// the SDK's client speaks it, change sets, events and roll-backs as the service
// makes them, its refusals in its own words, and a clock that moves only when
// somebody sleeps on it. How an operation goes is told beforehand, as a Story.
//
// Server is also the clock of the code under test: hours pass in no time, and
// the same test always sees the same.
package cfntest

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// What every test sees.
const (
	Account = "123456789012"
	Region  = "eu-central-1"
)

// Start is when the clock of a new Server begins.
var Start = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)

// longest is how much time may pass before a test is taken to hang.
const longest = 72 * time.Hour

// Server is one account and region.
type Server struct {
	url string

	mu       sync.Mutex
	now      time.Time
	stacks   []*stack // in order of creation; deleted ones stay
	stories  map[string][]Story
	invalid  map[string][]Finding
	drifts   map[string][]Drift
	refusals []*refusal
	moments  []moment
	calls    []Call
	made     int // of everything that gets a number
}

// Call is one request.
type Call struct {
	Action string
	Stack  string // name or id, as it was given
}

// reads are the actions that change nothing.
var reads = []string{"DescribeStacks", "DescribeStackEvents", "DescribeEvents", "DescribeChangeSet", "ListChangeSets", "ListStackResources", "GetTemplate",
	"GetStackPolicy", "DetectStackDrift", "DescribeStackDriftDetectionStatus", "DescribeStackResourceDrifts"}

// Writes tells whether the call could change something.
func (c Call) Writes() bool { return !slices.Contains(reads, c.Action) }

// Refusal is an error that a call gets instead of an answer.
type Refusal struct {
	Code string
	Text string
}

// Refusals that every action knows.
var (
	Throttled = Refusal{"Throttling", "Rate exceeded"}
	Expired   = Refusal{"ExpiredToken", "The security token included in the request is expired"}
	HungUp    = Refusal{"", ""} // no answer at all
	Denied    = Refusal{"AccessDenied", "User: arn:aws:iam::123456789012:user/kim is not authorized to perform this action"}
)

type refusal struct {
	action     string
	skip, left int
	with       Refusal
}

type moment struct {
	at time.Time
	do func()
}

// New starts an empty account, which ends with the test.
func New(t testing.TB) *Server {
	t.Helper()
	s := &Server{now: Start, stories: map[string][]Story{}, invalid: map[string][]Finding{}, drifts: map[string][]Drift{}}
	web := httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(web.Close)
	s.url = web.URL
	return s
}

// Config makes clients that talk to this server. They try each call once: the
// retries of the SDK would sleep by the real clock.
func (s *Server) Config() aws.Config {
	return aws.Config{
		Region:       Region,
		BaseEndpoint: &s.url,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "testing", SecretAccessKey: "testing"}, nil
		}),
		Retryer:    func() aws.Retryer { return aws.NopRetryer{} },
		HTTPClient: &http.Client{Transport: wholeRequests{}},
	}
}

// wholeRequests hands requests on with bodies of its own. The SDK closes the
// body of a request as soon as there is an answer; here that comes so soon that
// the transport may still be looking for the body's end, and then breaks off the
// connection in the middle of the answer.
type wholeRequests struct{}

func (wholeRequests) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	own := r.Clone(r.Context())
	own.Body = io.NopCloser(bytes.NewReader(body))
	return http.DefaultTransport.RoundTrip(own)
}

// Now is the time on the server's clock.
func (s *Server) Now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// Sleep moves the clock. What was planned with After happens on the way.
func (s *Server) Sleep(ctx context.Context, d time.Duration) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	s.mu.Lock()
	s.now = s.now.Add(d)
	now := s.now
	var due []func()
	s.moments = slices.DeleteFunc(s.moments, func(m moment) bool {
		if m.at.After(now) {
			return false
		}
		due = append(due, m.do)
		return true
	})
	s.mu.Unlock()
	for _, do := range due {
		do()
	}
	if now.Sub(Start) > longest {
		return errors.New("cfntest: the code under test waits without end")
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// After does something when that much time has passed.
func (s *Server) After(d time.Duration, do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.moments = append(s.moments, moment{s.now.Add(d), do})
}

// Refuse answers calls of an action with an error: it lets pass as many as skip
// says, and then refuses the next times ones.
func (s *Server) Refuse(action string, skip, times int, with Refusal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refusals = append(s.refusals, &refusal{action, skip, times, with})
}

// Calls lists what was asked for, in order.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// Writes lists the calls that could change something, as "Action stack".
func (s *Server) Writes() []string {
	var writes []string
	for _, c := range s.Calls() {
		if c.Writes() {
			writes = append(writes, c.Action+" "+c.Stack)
		}
	}
	return writes
}

// ForgetCalls empties the list of calls.
func (s *Server) ForgetCalls() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = nil
}

// Error makes a refusal what an action answers.
func (r Refusal) Error() string { return r.Code + ": " + r.Text }

func invalidf(format string, values ...any) error {
	return Refusal{"ValidationError", fmt.Sprintf(format, values...)}
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	action := r.PostForm.Get("Action")
	result, err := s.answer(action, r.PostForm)
	w.Header().Set("Content-Type", "text/xml")
	var refused Refusal
	switch {
	case errors.As(err, &refused) && refused == HungUp:
		panic(http.ErrAbortHandler)
	case errors.As(err, &refused):
		status := http.StatusBadRequest
		if refused.Code == Denied.Code || refused.Code == Expired.Code {
			status = http.StatusForbidden
		}
		w.WriteHeader(status)
		fmt.Fprintf(w, "<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>1</RequestId></ErrorResponse>",
			refused.Code, escaped(refused.Text))
	case err != nil:
		http.Error(w, err.Error(), http.StatusNotImplemented)
	default:
		var body bytes.Buffer
		fmt.Fprintf(&body, `<%[1]sResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/">`, action)
		_ = xml.NewEncoder(&body).EncodeElement(result, xml.StartElement{Name: xml.Name{Local: action + "Result"}}) // into memory
		fmt.Fprintf(&body, "<ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></%sResponse>", action)
		w.Header().Set("Content-Length", strconv.Itoa(body.Len()))
		_, _ = body.WriteTo(w) // a client that has gone needs no answer
	}
}

func (s *Server) answer(action string, form url.Values) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, Call{action, form.Get("StackName")})
	for _, r := range s.refusals {
		if r.action != action || r.left == 0 {
			continue
		}
		if r.skip > 0 {
			r.skip--
			continue
		}
		r.left--
		return nil, r.with
	}
	for _, one := range s.stacks {
		one.settle(s.now)
	}
	do := map[string]func(url.Values) (any, error){
		"DescribeStacks":                    s.describeStacks,
		"DescribeStackEvents":               s.describeStackEvents,
		"DescribeEvents":                    s.describeEvents,
		"ListStackResources":                s.listStackResources,
		"GetTemplate":                       s.getTemplate,
		"CreateChangeSet":                   s.createChangeSet,
		"DescribeChangeSet":                 s.describeChangeSet,
		"ListChangeSets":                    s.listChangeSets,
		"DeleteChangeSet":                   s.deleteChangeSet,
		"ExecuteChangeSet":                  s.executeChangeSet,
		"DeleteStack":                       s.deleteStack,
		"CancelUpdateStack":                 s.cancelUpdateStack,
		"ContinueUpdateRollback":            s.continueUpdateRollback,
		"UpdateTerminationProtection":       s.updateTerminationProtection,
		"SetStackPolicy":                    s.setStackPolicy,
		"GetStackPolicy":                    s.getStackPolicy,
		"DetectStackDrift":                  s.detectStackDrift,
		"DescribeStackDriftDetectionStatus": s.describeDriftDetection,
		"DescribeStackResourceDrifts":       s.describeResourceDrifts,
	}[action]
	if do == nil {
		return nil, fmt.Errorf("cfntest: %s is not built", action)
	}
	return do(form)
}

func escaped(text string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(text)) // into memory
	return b.String()
}

// page cuts a list as the service does, only into far smaller pieces.
func page[T any](all []T, token string, size int) (part []T, next string) {
	from := 0
	_, _ = fmt.Sscan(token, &from) // none: from the start
	to := min(from+size, len(all))
	if to < len(all) {
		next = fmt.Sprint(to)
	}
	return all[min(from, to):to], next
}
