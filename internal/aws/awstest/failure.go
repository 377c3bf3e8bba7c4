package awstest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// Failure is an answer that is an error.
type Failure struct {
	Status int
	Code   string // as the SDK shows it
	Text   string
}

// Failures that every service knows.
var (
	Throttled = Failure{http.StatusBadRequest, "ThrottlingException", "Rate exceeded"}
	Broken    = Failure{http.StatusInternalServerError, "InternalFailure", "The request processing has failed because of an unknown error"}
	Expired   = Failure{http.StatusForbidden, "ExpiredTokenException", "The security token included in the request is expired"}
	Denied    = Failure{http.StatusForbidden, "AccessDenied", "User is not authorized to perform this action"}
)

type failing struct {
	call           Call
	from, to, seen int // counted from 1
	with           Failure
}

// Fail makes calls of an operation fail, from the first to the last of those
// named: 1, 1 is the next call, 2, 3 the two after it. A client tries again
// after Throttled and Broken, up to three times in all.
func (c *Cloud) Fail(service, operation string, first, last int, with Failure) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failures = append(c.failures, &failing{call: Call{service, operation}, from: first, to: last, with: with})
}

// write answers in the protocol of the request: that of ec2, query, S3's XML,
// or one of those with JSON.
func (f Failure) write(w http.ResponseWriter, r *http.Request, service string) {
	kind := r.Header.Get("Content-Type")
	form := strings.HasPrefix(kind, "application/x-www-form-urlencoded")
	var body string
	switch {
	case form && service == "ec2":
		body = fmt.Sprintf("<Response><Errors><Error><Code>%s</Code><Message>%s</Message></Error></Errors><RequestID>1</RequestID></Response>", f.Code, f.Text)
	case form || service == "route53":
		body = fmt.Sprintf("<ErrorResponse><Error><Code>%s</Code><Message>%s</Message></Error><RequestId>1</RequestId></ErrorResponse>", f.Code, f.Text)
	case service == "s3" && strings.HasPrefix(r.URL.Path, "/v20180820/"):
		body = fmt.Sprintf("<ErrorResponse><Error><Code>%s</Code><Message>%s</Message></Error></ErrorResponse>", f.Code, f.Text)
	case service == "s3":
		body = fmt.Sprintf("<Error><Code>%s</Code><Message>%s</Message></Error>", f.Code, f.Text)
	default:
		w.Header().Set("X-Amzn-Errortype", f.Code)
		text, _ := json.Marshal(map[string]string{"__type": f.Code, "message": f.Text}) // strings always can be
		body = string(text)
	}
	w.WriteHeader(f.Status)
	_, _ = io.WriteString(w, body)
}
