package client

import (
	"bytes"
	"cmp"
	"context"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/smithy-go"
)

// queries are the services that AskQuery knows, by the prefix of their actions,
// with the version of the AWS Query protocol that is asked for.
var queries = map[string]string{
	"autoscaling":          "2011-01-01",
	"cloudformation":       "2010-05-15",
	"ec2":                  "2016-11-15",
	"elasticache":          "2015-02-02",
	"elasticloadbalancing": "2015-12-01",
	"iam":                  "2010-05-08",
	"rds":                  "2014-10-31",
	"sns":                  "2010-03-31",
	"sts":                  "2011-06-15",
}

// global are the services that have one host for all regions, which takes
// signatures of one region only.
var global = map[string]string{
	"account": "us-east-1",
	"budgets": "us-east-1",
	"iam":     "us-east-1",
	"route53": "us-east-1",
}

// Form are the parameters of a question of the AWS Query protocol, lists as the
// service numbers them ("Filter.1.Value.1"). Those that are empty are left out.
type Form = map[string]string

// AskQuery calls an action of a service that speaks AWS Query, such as
// autoscaling:DescribeAutoScalingGroups, and reads the XML of the answer into
// out, where that is not nil: the element OPERATIONResult, or all of the answer
// of a service without one (EC2).
func AskQuery(ctx context.Context, c Config, action string, in Form, out any) error {
	service, operation, _ := strings.Cut(action, ":")
	form := url.Values{"Action": {operation}, "Version": {queries[service]}}
	for name, value := range in {
		if value != "" {
			form.Set(name, value)
		}
	}
	r := Request{
		Service: service, Method: http.MethodPost, Body: []byte(form.Encode()), Refusal: RefusalXML,
		Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded; charset=utf-8"}},
	}
	a, err := doAt(ctx, c, r, service, "/")
	if err == nil && out != nil {
		err = decodeXML(a.Content, operation+"Result", out)
	}
	return named(action, err)
}

// Place is what AskXML asks for, and where.
type Place struct {
	Method string // GET when empty
	Host   string // what stands before the region in the host's name, where that is not the service
	Path   string // with the query
	Header http.Header
}

// AskXML calls an action of a service that answers REST with XML: s3, route53.
// Where its action and its operation are called differently, it is the action
// that is named. A *[]byte takes the answer as it came.
func AskXML(ctx context.Context, c Config, action string, p Place, out any) error {
	service, _, _ := strings.Cut(action, ":")
	r := Request{Service: service, Method: cmp.Or(p.Method, http.MethodGet), Header: p.Header, Refusal: RefusalXML}
	a, err := doAt(ctx, c, r, cmp.Or(p.Host, service), p.Path)
	if err == nil {
		switch out := out.(type) {
		case nil:
		case *[]byte:
			*out = a.Content
		default:
			err = decodeXML(a.Content, "", out)
		}
	}
	return named(action, err)
}

// ObjectURL is that of an object, or with an empty key of its bucket, on the
// bucket's own host, or below an endpoint that was named.
func ObjectURL(c Config, bucket, key string) *url.URL {
	host := Endpoint(c, bucket+".s3")
	if c.BaseEndpoint != nil {
		host += "/" + bucket
	}
	u, err := url.Parse(host)
	if err != nil {
		u = &url.URL{Scheme: "https", Host: bucket} // which is not there, and told so
	}
	u.Path += "/" + key
	return u
}

// doAt asks a host of AWS.
func doAt(ctx context.Context, c Config, r Request, host, path string) (Answer, error) {
	var err error
	if r.URL, err = url.Parse(endpointOf(c, r.Service, host) + path); err != nil {
		return Answer{}, err
	}
	return Do(ctx, signedFor(c, r.Service), r)
}

// endpointOf is that of a host of a service.
func endpointOf(c Config, service, host string) string {
	if global[service] == "" || c.BaseEndpoint != nil {
		return Endpoint(c, host)
	}
	if service == "account" { // the only one of them that has its region in its name
		return "https://account.us-east-1.amazonaws.com"
	}
	return "https://" + host + ".amazonaws.com"
}

// signedFor is a configuration with the region that signatures name.
func signedFor(c Config, service string) Config {
	c.Region = cmp.Or(global[service], c.Region)
	return c
}

// decodeXML reads an element of that name when it is the outermost or the first
// in it, else all of the answer.
func decodeXML(content []byte, name string, out any) error {
	decoder := xml.NewDecoder(bytes.NewReader(content))
	for depth := 0; depth < 2 && name != ""; {
		token, err := decoder.Token()
		if err != nil {
			break // Unmarshal tells it better
		}
		start, is := token.(xml.StartElement)
		if !is {
			continue
		}
		if start.Name.Local == name {
			return unreadable(decoder.DecodeElement(out, &start))
		}
		depth++
	}
	return unreadable(xml.Unmarshal(content, out))
}

func unreadable(err error) error {
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	return nil
}

// RefusalXML is the error of an answer in XML: EC2, Query and S3 wrap its code
// differently. What answers without XML, or nothing as S3 does, is named by its
// status.
func RefusalXML(a Answer) *smithy.GenericAPIError {
	e := smithy.GenericAPIError{Message: http.StatusText(a.Status)}
	decoder := xml.NewDecoder(bytes.NewReader(a.Content))
	for {
		token, err := decoder.Token()
		if err != nil {
			break
		}
		start, is := token.(xml.StartElement)
		if !is {
			continue
		}
		switch start.Name.Local {
		case "Code":
			err = decoder.DecodeElement(&e.Code, &start)
		case "Message":
			err = decoder.DecodeElement(&e.Message, &start)
		}
		if err != nil {
			break
		}
	}
	if e.Code == "" {
		e.Code = map[int]string{http.StatusNotFound: "NotFound", http.StatusForbidden: "AccessDenied", http.StatusPreconditionFailed: "PreconditionFailed"}[a.Status]
	}
	e.Code = cmp.Or(e.Code, "UnknownError")
	return &e
}
