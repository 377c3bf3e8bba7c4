package facts

import (
	"errors"
	"fmt"
	"testing"
)

func TestWhy(t *testing.T) {
	refused := errors.New("read x: not allowed\nhint: run rocca as root")
	for want, err := range map[string]error{
		"": nil,
		"read x: not allowed (run rocca as root)":                refused,
		"read x: not allowed; no y (run rocca as root; start y)": errors.Join(refused, errors.New("no y\nhint: start y"), refused),
		"a; b; c; and 2 more":                                    fmt.Errorf("a\n b \n\nc\nd\ne\na"),
	} {
		if got := Why(err); got != want {
			t.Errorf("%v: got %q, want %q", err, got, want)
		}
	}
}
