package client

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestStream(t *testing.T) {
	large := strings.Repeat("x", mostAnswer+1)
	config, calls := asked(t, func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ") {
			t.Errorf("a question is not signed: %v", r.Header)
		}
		if r.URL.Path != "/there/is" {
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, "<Error><Code>NoSuchKey</Code></Error>")
			return
		}
		_, _ = io.WriteString(w, large)
	})
	question := Request{Service: "s3", Method: http.MethodGet, URL: ObjectURL(config, "there", "is"), Refusal: RefusalXML}
	answer, err := Stream(t.Context(), config, question)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Close()
	if n, err := io.Copy(io.Discard, answer); n != int64(len(large)) || err != nil {
		t.Errorf("it gave %d of %d bytes, %v", n, len(large), err)
	}
	question.URL = ObjectURL(config, "there", "is not")
	if _, err := Stream(t.Context(), config, question); Code(err) != "NoSuchKey" || *calls != 2 {
		t.Errorf("%d calls, %v", *calls, err)
	}
}

func TestPresign(t *testing.T) {
	config, _ := asked(t, nil)
	u := &url.URL{Scheme: "https", Host: "there.example.org", Path: "/a b/c", RawQuery: "of=me"}
	signed, err := Presign(t.Context(), config, "s3", http.MethodPut, u, 20*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	got, err := url.Parse(signed)
	if err != nil {
		t.Fatal(err)
	}
	query := got.Query()
	if got.Host != u.Host || got.Path != u.Path || query.Get("of") != "me" || query.Get("X-Amz-Expires") != "1200" || len(query.Get("X-Amz-Signature")) != 64 || query.Get("X-Amz-SignedHeaders") != "host" {
		t.Errorf("the address is %s", signed)
	}
	if u.RawQuery != "of=me" {
		t.Errorf("the question became %s", u)
	}
	// What goes into the signature shows in it.
	others := map[string]bool{query.Get("X-Amz-Signature"): true}
	for _, c := range []struct {
		service, method string
		lasts           time.Duration
	}{{"ec2", http.MethodPut, 20 * time.Minute}, {"s3", http.MethodGet, 20 * time.Minute}, {"s3", http.MethodPut, time.Hour}} {
		other, err := Presign(t.Context(), config, c.service, c.method, u, c.lasts)
		if err != nil {
			t.Fatal(err)
		}
		_, signature, _ := strings.Cut(other, "X-Amz-Signature=")
		others[signature] = true
	}
	if len(others) != 4 {
		t.Errorf("only %d of 4 signatures differ", len(others))
	}
}

func TestObjectURL(t *testing.T) {
	endpoint := "http://127.0.0.1:5000/"
	for _, c := range []struct {
		config    Config
		key, want string
	}{
		{Config{Region: "eu-central-1"}, "a/b c.gz", "https://shop.s3.eu-central-1.amazonaws.com/a/b%20c.gz"},
		{Config{Region: "eu-central-1"}, "", "https://shop.s3.eu-central-1.amazonaws.com/"},
		{Config{Region: "eu-central-1", BaseEndpoint: &endpoint}, "a/b", "http://127.0.0.1:5000/shop/a/b"},
	} {
		if got := fmt.Sprint(ObjectURL(c.config, "shop", c.key)); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}
