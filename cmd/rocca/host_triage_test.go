package main

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestTriageUpload(t *testing.T) {
	var got []byte
	var length int64
	var checksum string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPut || r.URL.Query().Get("X-Amz-Signature") != "the-signature" {
			http.Error(w, "no", http.StatusForbidden)
			return
		}
		if r.URL.Path == "/elsewhere" {
			http.Redirect(w, r, "https://attacker.example/", http.StatusTemporaryRedirect)
			return
		}
		length, checksum = r.ContentLength, r.Header.Get("Content-MD5")
		got, _ = io.ReadAll(r.Body)
	}))
	defer server.Close()
	var stdout, stderr strings.Builder
	cmd := newHostTriageCommand()
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs([]string{"--put-url-stdin", "--config", t.TempDir() + "/none.yaml"})
	cmd.SetIn(strings.NewReader(server.URL + "/x.tar.gz?X-Amz-Signature=the-signature\n"))
	cmd.SetOut(&stdout)
	cmd.SetErr(&stderr)
	err := cmd.ExecuteContext(t.Context()) // on this machine something may be missing
	var answer triageAnswer
	if problem := json.Unmarshal([]byte(stdout.String()), &answer); problem != nil {
		t.Fatalf("the answer is no JSON: %v %v\n%s%s", err, problem, stdout.String(), stderr.String())
	}
	if strings.Contains(stdout.String()+stderr.String(), "the-signature") {
		t.Error("the address is told")
	}
	sum := sha256.Sum256(got)
	if answer.SHA256 != hex.EncodeToString(sum[:]) || answer.Size != len(got) || int64(len(got)) != length || answer.Processes == 0 {
		t.Errorf("answer %+v, %d bytes uploaded, announced %d", answer, len(got), length)
	}
	if md := md5.Sum(got); checksum != base64.StdEncoding.EncodeToString(md[:]) {
		t.Errorf("the checksum, without which a locked bucket takes nothing, is %q", checksum)
	}
	for input, want := range map[string]string{
		"": "no URL",
		"http://203.0.113.1/x?X-Amz-Signature=the-signature":     "no https",
		"ftp://127.0.0.1/x?X-Amz-Signature=the-signature":        "no https",
		server.URL + "/elsewhere?X-Amz-Signature=the-signature":  "it answers 307",
		server.URL + "/x?X-Amz-Signature=wrong-signature":        "it answers 403",
		"http://127.0.0.1:1/x?X-Amz-Signature=the-signature":     "refused",
		"https://[::1" + "?X-Amz-Signature=the-signature":        "no URL",
		"https://127.0.0.1:1/\x00?X-Amz-Signature=the-signature": "no URL",
	} {
		address, err := readUploadAddress(strings.NewReader(input))
		if err == nil {
			err = upload(t.Context(), address, []byte("x"))
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", input, err)
		} else if strings.Contains(err.Error(), "-signature") {
			t.Errorf("%q: the address is told: %v", input, err)
		}
	}
}
