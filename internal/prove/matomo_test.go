package prove

import (
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"rocca/internal/prove/web"
)

func answered(status int, body string) web.Response {
	return web.Response{Status: status, Header: http.Header{}, Body: []byte(body)}
}

// The answers are Matomo 5.3.0's.
func TestAPIRefusal(t *testing.T) {
	for body, refused := range map[string]bool{
		`{"value":"5.3.0"}`:                   false,
		`{"value":true}`:                      false,
		`[]`:                                  false,
		`[{"login":"owner"}]`:                 false,
		`{"result":"success","message":"ok"}`: false,
		`{"result":"error","message":"You can't access this resource as it requires a 'superuser' access."}`: true,
		`<html><body>An error occurred</body></html>`:                                                        true,
		``: true,
	} {
		if got := apiRefusal(answered(http.StatusOK, body)); (got != "") != refused {
			t.Errorf("%s: refused because %q", body, got)
		}
	}
	if apiRefusal(answered(http.StatusUnauthorized, `[]`)) == "" {
		t.Error("an answer 401 is taken for one")
	}
}

func TestToldIsWhatAReaderSees(t *testing.T) {
	page := "<html><head><title>T</title></head><body>\n<script>var a = 1;</script><p>Matomo is\n not set up yet</p></body></html>"
	if got := told([]byte(page)); got != "Matomo is not set up yet" {
		t.Errorf("told %q", got)
	}
}

// TestReproductionIsPHP: a line that cannot be parsed shows nothing.
func TestReproductionIsPHP(t *testing.T) {
	php, err := exec.LookPath("php")
	if err != nil {
		t.Skip("no php here")
	}
	for _, kind := range []reproduced{{}, {account: true}, {account: true, superuser: true, signedIn: true}} {
		line := (&Target{}).reproduction(kind, "exit(0);")
		code, quoted := strings.CutPrefix(line, "php -n -r '")
		if !quoted || strings.Contains(strings.TrimSuffix(code, "'"), "'") {
			t.Fatalf("not one quoted argument: %s", line)
		}
		lint := exec.Command(php, "-n", "-l")
		lint.Stdin = strings.NewReader("<?php " + strings.TrimSuffix(code, "'"))
		if printed, err := lint.CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, printed)
		}
	}
}
