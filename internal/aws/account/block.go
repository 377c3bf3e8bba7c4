package account

import (
	"bytes"
	"context"
	"encoding/xml"
	"net/http"
	"net/url"

	"github.com/aws/smithy-go"

	"rocca/internal/aws/client"
)

// block is the block of public access of all buckets of an account, as S3
// Control writes it. The SDK's client of that is 0.6 MB, most of it for what
// else an endpoint can be.
type block struct {
	BlockPublicAcls       bool
	IgnorePublicAcls      bool
	BlockPublicPolicy     bool
	RestrictPublicBuckets bool
}

func readBlock(ctx context.Context, c client.Config, account string) (block, error) {
	content, err := askControl(ctx, c, account, http.MethodGet, nil)
	if err != nil {
		return block{}, err
	}
	var b block
	err = xml.Unmarshal(content, &b) // in whatever namespace
	return b, err
}

func writeBlock(ctx context.Context, c client.Config, account string, b block) error {
	var body bytes.Buffer
	name := xml.Name{Space: "http://awss3control.amazonaws.com/doc/2018-08-20/", Local: "PublicAccessBlockConfiguration"}
	err := xml.NewEncoder(&body).EncodeElement(b, xml.StartElement{Name: name})
	if err != nil {
		return err
	}
	_, err = askControl(ctx, c, account, http.MethodPut, body.Bytes())
	return err
}

// askControl asks S3 Control, which has a host for each account.
func askControl(ctx context.Context, c client.Config, account, method string, body []byte) ([]byte, error) {
	address, err := url.Parse(client.Endpoint(c, account+".s3-control") + "/v20180820/configuration/publicAccessBlock")
	if err != nil {
		return nil, err
	}
	answer, err := client.Do(ctx, c, client.Request{
		Service: "s3", Method: method, URL: address, Body: body,
		Header: http.Header{"X-Amz-Account-Id": {account}, "Content-Type": {"application/xml"}},
		Refusal: func(a client.Answer) *smithy.GenericAPIError {
			var said struct {
				Error struct{ Code, Message string }
			}
			if xml.Unmarshal(a.Content, &said) != nil || said.Error.Code == "" {
				said.Error.Code, said.Error.Message = "UnknownError", http.StatusText(a.Status)
			}
			return &smithy.GenericAPIError{Code: said.Error.Code, Message: said.Error.Message}
		},
	})
	return answer.Content, err
}
