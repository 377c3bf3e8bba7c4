package test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"rocca/internal/prove/fastcgi"
)

// fastCGI has a pool run a script, past the front, and returns what it printed.
func (s *server) fastCGI(t *testing.T, pool, script string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	answer, err := fastcgi.Do(ctx, fmt.Sprintf("/proc/%d/root/run/matomo/%s.sock", s.LeaderPID(), pool),
		fastcgi.Request{Params: map[string]string{"SCRIPT_FILENAME": script, "SCRIPT_NAME": script, "REQUEST_METHOD": "GET"}})
	if err != nil {
		t.Fatal(err)
	}
	return string(answer.Body)
}
