package prove

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"rocca/internal/facts"
	"rocca/internal/prove/fastcgi"
)

func TestSpokenIsToldFromRefused(t *testing.T) {
	wrapped := func(err error) error { return fmt.Errorf("speak FastCGI to /run/x.sock: %w", err) }
	for name, c := range map[string]struct {
		body string
		err  error
		want spoken
	}{
		"code ran":               {body: "uid=999\n", want: spoken{answer: "code ran as uid 999", uid: 999}},
		"what it echoed":         {body: `echo 'uid=', posix_geteuid();`, want: spoken{uid: -1, unclear: true}},
		"the socket is shut":     {err: wrapped(unix.EACCES), want: spoken{answer: "permission denied", uid: -1}},
		"the filter refuses":     {err: wrapped(unix.ECONNREFUSED), want: spoken{answer: "connection refused", uid: -1}},
		"allowed_clients":        {err: wrapped(io.EOF), want: spoken{answer: "connected, and the pool hung up", uid: -1}},
		"it takes too long":      {err: wrapped(errors.New("no answer")), want: spoken{answer: "speak FastCGI to /run/x.sock: no answer", uid: -1, unclear: true}},
		"the script is not seen": {body: "File not found.", want: spoken{uid: -1, unclear: true}},
	} {
		got := judgeSpoken(fastcgi.Response{Body: []byte(c.body)}, c.err)
		if got.uid != c.want.uid || got.unclear != c.want.unclear || c.want.answer != "" && got.answer != c.want.answer {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestStrangersAreWhoHasNoBusinessAtASocket(t *testing.T) {
	target := &Target{Server: facts.Server{
		Front:  facts.Front{User: "www-data"},
		Users:  map[string]facts.User{"matomo": {UID: 999, Service: true, Group: "matomo"}, "www-data": {UID: 33, Service: true, Group: "www-data"}, "backup": {UID: 34, Service: true, Group: "backup"}, "ann": {UID: 1000, Group: "ann"}, "root": {Group: "root"}},
		Groups: map[string]facts.Group{"www-data": {GID: 33, Members: []string{"backup"}}},
	}}
	got := target.strangers(facts.Pool{User: "matomo", OwnGroup: "www-data"})
	slices.Sort(got)
	if want := []string{"ann", "backup", "nobody"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestPortsOfAMasterAreThoseOfItsOnlyPool(t *testing.T) {
	target := &Target{Server: facts.Server{
		PHP:       facts.PHP{Pools: []facts.Pool{{Name: "matomo", Master: "a.service"}, {Name: "x", Master: "b.service"}, {Name: "y", Master: "b.service"}}},
		Listeners: []facts.Listener{{Address: "::", Port: 9005, Unit: "a.service"}, {Address: "0.0.0.0", Port: 9006, Unit: "b.service"}, {Protocol: "udp", Port: 53, Unit: "a.service"}},
	}}
	for listen, want := range map[string]string{"/run/a.sock": "/run/a.sock [::1]:9005", "9005": "127.0.0.1:9005 [::1]:9005"} {
		if got := strings.Join(target.addresses(facts.Pool{Name: "matomo", Master: "a.service", Listen: listen}), " "); got != want {
			t.Errorf("%s: %q, want %q", listen, got, want)
		}
	}
	if got := target.addresses(facts.Pool{Name: "x", Master: "b.service", Listen: "9006"}); len(got) != 1 {
		t.Errorf("%q", got)
	}
}
