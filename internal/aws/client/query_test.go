package client

import (
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
)

func TestAskQuery(t *testing.T) {
	const wrapped = `<?xml version="1.0"?><DescribeThingsResponse xmlns="http://x"><DescribeThingsResult><Things><member>a</member><member>b</member></Things></DescribeThingsResult><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></DescribeThingsResponse>`
	const bare = `<DescribeThingsResponse xmlns="http://x"><requestId>1</requestId><Things><member>a</member><member>b</member></Things></DescribeThingsResponse>`
	for _, answer := range []string{wrapped, bare, strings.ReplaceAll(wrapped, "<Things>", "\n <!-- x --> <Things>")} {
		config, _ := asked(t, func(w http.ResponseWriter, r *http.Request) {
			text, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			form, _ := url.ParseQuery(string(text))
			if form.Get("Action") != "DescribeThings" || form.Get("Version") != "2011-01-01" || form.Get("Filter.1.Value.1") != "a&b" || form.Has("Marker") {
				t.Errorf("was sent %s", text)
			}
			h := r.Header
			if r.Method != http.MethodPost || r.URL.Path != "/" || !strings.HasPrefix(h.Get("Content-Type"), "application/x-www-form-urlencoded") || !strings.Contains(h.Get("Authorization"), "/eu-central-1/autoscaling/aws4_request") {
				t.Errorf("%s %s with %v", r.Method, r.URL, h)
			}
			_, _ = io.WriteString(w, answer)
		})
		var out struct {
			Things []string `xml:"Things>member"`
		}
		if err := AskQuery(t.Context(), config, "autoscaling:DescribeThings", Form{"Filter.1.Value.1": "a&b", "Marker": ""}, &out); err != nil || !slices.Equal(out.Things, []string{"a", "b"}) {
			t.Errorf("%s: got %+v, %v", answer, out, err)
		}
	}
	for _, answer := range []string{"", "<html>", "{}"} {
		config, _ := asked(t, says(200, "", answer))
		var out struct{}
		if err := AskQuery(t.Context(), config, "ec2:DescribeVpcs", nil, &out); err == nil || !strings.Contains(err.Error(), "ec2: DescribeVpcs") {
			t.Errorf("%q: %v", answer, err)
		}
	}
	for _, answer := range []string{"<R/>", "<R><RResult/></R>"} {
		config, _ := asked(t, says(200, "", answer))
		var out struct{ A string }
		if err := AskQuery(t.Context(), config, "iam:R", nil, &out); err != nil || out.A != "" {
			t.Errorf("%q: %+v, %v", answer, out, err)
		}
	}
}

func TestAskXML(t *testing.T) {
	config, _ := asked(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `<A xmlns="http://x"><Said>`+r.Method+" "+r.URL.RequestURI()+" "+r.Header.Get("X-Amz-Account-Id")+`</Said></A>`)
	})
	var out struct{ Said string }
	place := Place{Path: "/bucket/a%2Fb?policy=", Header: http.Header{"X-Amz-Account-Id": {"1"}}}
	if err := AskXML(t.Context(), config, "s3:GetBucketPolicy", place, &out); err != nil || out.Said != "GET /bucket/a%2Fb?policy= 1" {
		t.Errorf("got %+v, %v", out, err)
	}
	var raw []byte
	if err := AskXML(t.Context(), config, "s3:GetObject", Place{Method: http.MethodPut}, &raw); err != nil || !strings.HasPrefix(string(raw), "<A ") {
		t.Errorf("got %s, %v", raw, err)
	}
	if err := AskXML(t.Context(), config, "s3:GetObject", Place{}, nil); err != nil {
		t.Error(err)
	}
}

// TestXMLIsRefused: each service wraps its errors differently.
func TestXMLIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		status  int
		content string
		code    string
		calls   int
	}{
		"of EC2":       {403, `<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>You are not</Message></Error></Errors><RequestID>1</RequestID></Response>`, "UnauthorizedOperation", 1},
		"of Query":     {403, `<ErrorResponse xmlns="http://x"><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>`, "AccessDenied", 1},
		"of S3":        {404, `<?xml version="1.0"?><Error><Code>NoSuchBucketPolicy</Code><Message>none</Message></Error>`, "NoSuchBucketPolicy", 1},
		"too often":    {503, `<Response><Errors><Error><Code>RequestLimitExceeded</Code></Error></Errors></Response>`, "RequestLimitExceeded", 3},
		"without text": {404, ``, "NotFound", 1},
		"forbidden":    {403, `<html>`, "AccessDenied", 1},
		"by a proxy":   {502, `<html>`, "UnknownError", 3},
		"half":         {400, `<Error><Code>Half`, "UnknownError", 1},
	} {
		config, calls := asked(t, says(c.status, "", c.content))
		err := AskQuery(t.Context(), config, "ec2:DescribeVpcs", nil, nil)
		if Code(err) != c.code || *calls != c.calls {
			t.Errorf("%s: %d calls, %v", name, *calls, err)
		}
		if err := AskXML(t.Context(), config, "s3:GetBucketPolicy", Place{Path: "/b"}, nil); Code(err) != c.code || !strings.Contains(err.Error(), "s3: GetBucketPolicy") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestGlobalServices have one host and one region for signatures.
func TestGlobalServices(t *testing.T) {
	config := Config{Region: "eu-central-1"}
	for service, want := range map[string]string{
		"iam": "https://iam.amazonaws.com us-east-1", "route53": "https://route53.amazonaws.com us-east-1", "budgets": "https://budgets.amazonaws.com us-east-1",
		"account": "https://account.us-east-1.amazonaws.com us-east-1", "sns": "https://sns.eu-central-1.amazonaws.com eu-central-1",
	} {
		if got := endpointOf(config, service, service) + " " + signedFor(config, service).Region; got != want {
			t.Errorf("%s: got %s, want %s", service, got, want)
		}
	}
	if got := endpointOf(config, "s3", "123456789012.s3-control"); got != "https://123456789012.s3-control.eu-central-1.amazonaws.com" {
		t.Errorf("got %s", got)
	}
	config.BaseEndpoint = aws.String("http://127.0.0.1:5000/")
	if got := endpointOf(config, "iam", "iam"); got != "http://127.0.0.1:5000" {
		t.Errorf("got %s", got)
	}
}
