package check

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// several have each status, a fix far longer than any sentence, and one that is
// not told because all is well.
var several = []Check{
	{"credentials", "the credentials are good", OK, "user/kim in 123456789012", "no need"},
	{"instance.image", "the image is Debian's, recent and of the right architecture", Fail, "none is pinned", "rocca aws image --pin, which writes the newest of Debian for the processor of the instance type into rocca-aws.yaml"},
	{"quota.vpcs", "there is room for another VPC — or two", Warn, "4 of 5 are used", "Service Quotas in the console raises it"},
	{"templates", "the deployment can be rendered", Fail, "render: no\nhint: one", ""},
	{"trail", "a trail is not paid for twice", Unknown, "not allowed to look: CloudTrail DescribeTrails", "rocca aws policy deploy"},
}

func TestTellings(t *testing.T) {
	for _, c := range []struct {
		golden string
		tell   func(io.Writer, []Check) error
	}{
		{"table.golden", Table},
		{"json.golden", JSON},
	} {
		var out bytes.Buffer
		if err := c.tell(&out, several); err != nil {
			t.Fatal(err)
		}
		if *update {
			if err := os.WriteFile("testdata/"+c.golden, out.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile("testdata/" + c.golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), out.String()); diff != "" {
			t.Errorf("%s: -update writes it\n%s", c.golden, diff)
		}
	}
	reader, writer := io.Pipe()
	full := errors.New("no space left")
	reader.CloseWithError(full)
	for _, tell := range []func(io.Writer, []Check) error{Table, JSON} {
		if err := tell(writer, several); !errors.Is(err, full) {
			t.Errorf("a full disk is told as %v", err)
		}
	}
}

func TestCount(t *testing.T) {
	for status, want := range map[Status]int{OK: 1, Fail: 2, Warn: 1, Unknown: 1} {
		if got := Count(several, status); got != want {
			t.Errorf("%s: %d, want %d", status, got, want)
		}
	}
}
