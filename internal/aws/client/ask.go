package client

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/restjson"
	"github.com/aws/smithy-go"
)

// services are those that Ask knows, by the prefix of their actions: what their
// protocol (AWS JSON) has before an operation, and names that are not the
// prefix. The SDK's clients of most of them bring a description of every
// operation into the program, up to 1.3 MB for one call.
var services = map[string]struct{ target, host, signed, version string }{
	"acm":                  {target: "CertificateManager"},
	"budgets":              {target: "AWSBudgetServiceGateway"},
	"cloudtrail":           {target: "CloudTrail_20131101"},
	"cloudwatch":           {target: "GraniteServiceVersion20100801", host: "monitoring", signed: "monitoring", version: "1.0"},
	"config":               {target: "StarlingDoveService"},
	"ec2-instance-connect": {target: "AWSEC2InstanceConnectService"},
	"kms":                  {target: "TrentService"},
	"logs":                 {target: "Logs_20140328"},
	"pricing":              {target: "AWSPriceListService", host: "api.pricing"},
	"secretsmanager":       {target: "secretsmanager"},
	"servicequotas":        {target: "ServiceQuotasV20190624"},
	"ssm":                  {target: "AmazonSSM"},
	"wafv2":                {target: "AWSWAF_20190729"},
}

// Fields are those of a question.
type Fields = map[string]any

// Ask calls an action, such as ssm:GetParameter, and reads the answer into out,
// where that is not nil. The fields of both are in AWS's documentation.
func Ask(ctx context.Context, c Config, action string, in Fields, out any) error {
	service, operation, _ := strings.Cut(action, ":")
	s := services[service]
	r := Request{Service: cmp.Or(s.signed, service), Method: http.MethodPost, Header: http.Header{
		"Content-Type": {"application/x-amz-json-" + cmp.Or(s.version, "1.1")}, "X-Amz-Target": {s.target + "." + operation},
	}}
	return named(action, ask(ctx, c, r, cmp.Or(s.host, service), "/", in, out))
}

// AskREST calls an action of a service where each has a method and a path.
func AskREST(ctx context.Context, c Config, action, method, path string, in Fields, out any) error {
	service, _, _ := strings.Cut(action, ":")
	r := Request{Service: service, Method: method, Header: http.Header{"Content-Type": {"application/json"}}}
	return named(action, ask(ctx, c, r, service, path, in, out))
}

func ask(ctx context.Context, c Config, r Request, host, path string, in Fields, out any) error {
	var err error
	if in != nil { // GET has nothing
		if r.Body, err = json.Marshal(in); err != nil {
			return err
		}
	}
	r.Refusal = refusal
	a, err := doAt(ctx, c, r, host, path)
	if err != nil || out == nil {
		return err
	}
	return json.Unmarshal(a.Content, out)
}

// named tells of an error which operation it is of.
func named(action string, err error) error {
	if err == nil {
		return nil
	}
	service, operation, _ := strings.Cut(action, ":")
	return &smithy.OperationError{ServiceID: service, OperationName: operation, Err: err}
}

// Endpoint is where a host of AWS is asked, without a slash at the end: the
// user's own endpoint (AWS_ENDPOINT_URL) is there for all of them.
func Endpoint(c Config, host string) string {
	if c.BaseEndpoint != nil {
		return strings.TrimSuffix(*c.BaseEndpoint, "/")
	}
	return "https://" + host + "." + c.Region + ".amazonaws.com"
}

// refusal is the error of an answer.
func refusal(a Answer) *smithy.GenericAPIError {
	code, message, err := restjson.GetErrorInfo(json.NewDecoder(bytes.NewReader(a.Content)))
	if said := a.Header.Get("X-Amzn-Errortype"); said != "" {
		code = restjson.SanitizeErrorCode(said)
	}
	if code == "" || err != nil && message == "" { // of something on the way
		message = http.StatusText(a.Status)
	}
	if code == "" {
		code = "UnknownError"
	}
	return &smithy.GenericAPIError{Code: code, Message: message}
}
