package account

import (
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
	XMLName               xml.Name `xml:"http://awss3control.amazonaws.com/doc/2018-08-20/ PublicAccessBlockConfiguration"`
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
	var b struct { // in whatever namespace
		BlockPublicAcls, IgnorePublicAcls, BlockPublicPolicy, RestrictPublicBuckets bool
	}
	err = xml.Unmarshal(content, &b)
	return block{xml.Name{}, b.BlockPublicAcls, b.IgnorePublicAcls, b.BlockPublicPolicy, b.RestrictPublicBuckets}, err
}

func writeBlock(ctx context.Context, c client.Config, account string, b block) error {
	body, err := xml.Marshal(b)
	if err != nil {
		return err
	}
	_, err = askControl(ctx, c, account, http.MethodPut, body)
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
