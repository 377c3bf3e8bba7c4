package fleet

import (
	"io"
	"strings"
	"testing"
)

// However it is copied there, a server cannot fill our memory.
func TestOutputIsCapped(t *testing.T) {
	var c capped
	n, err := io.Copy(&c, strings.NewReader(strings.Repeat("x", 4*mostOutput)))
	if err != nil || n != 4*mostOutput || len(c.Bytes()) != mostOutput {
		t.Errorf("took %d, %v, kept %d", n, err, len(c.Bytes()))
	}
	if n, err := c.Write([]byte("more")); n != 4 || err != nil || len(c.Bytes()) != mostOutput {
		t.Errorf("took %d more, %v, kept %d", n, err, len(c.Bytes()))
	}
}
