package twins

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rocca/internal/demo"
	"rocca/internal/model"
	"rocca/internal/prove"
	"rocca/internal/run"
	"rocca/internal/testhost"

	"github.com/google/go-cmp/cmp"
)

// program answers as rocca prove attempt does. Every attack falls where a
// protection is missing; some protections make it fail, or never end.
const program = `#!/bin/sh
ids=$4; shift 4
case "$*" in
*broken*) echo "rocca: take protection broken away: no" >&2; exit 2 ;;
*endless*) exec sleep 1000 ;;
*--without*) result=fell; fell=true ;;
*) result=held; fell=false ;;
esac
echo "$*" >/root/asked
printf '['
for id in $(echo "$ids" | tr , ' '); do
	printf '%s{"id":"%s","result":"%s","tries":1,"evidence":[{"who":"root","what":"tries","where":"/","answer":"%s","fell":%s}]}' "$comma" "$id" "$result" "$(cat /srv/here)" "$fell"
	comma=,
done
printf ']\n'
`

func TestAttack(t *testing.T) {
	h := testhost.Boot(t, testhost.Options{Bare: true})
	h.Run("sh", "-c", "echo inside >/srv/here")
	binary := filepath.Join(t.TempDir(), "rocca")
	if err := os.WriteFile(binary, []byte(program), 0o755); err != nil {
		t.Fatal(err)
	}
	options := func(t *testing.T) Options {
		return Options{Demo: h.Name(), Binary: binary, Tell: func(text string) { t.Log(text) }}
	}
	front, deny, code := protection("front", prove.FrontPart), protection("deny", prove.FrontPart), protection("code", prove.CodePart)
	broken, endless := protection("broken", prove.UISocket), protection("endless", prove.UIUnit)

	t.Run("attacks and tidies up", func(t *testing.T) {
		g := prepared(t, options(t))
		got, err := g.Attack(t.Context(), []prove.Attack{attack("A01", front, code), disturbing(attack("A02", deny)), attack("A03", broken)})
		if err != nil {
			t.Fatal(err)
		}
		fell := func(p prove.Protection) model.Twin {
			return model.Twin{Without: p.ID, Title: p.Title, Result: model.Fell, Answer: "inside"}
		}
		failed := func(p prove.Protection, result string) model.Twin {
			return model.Twin{Without: p.ID, Title: p.Title, Result: model.NotProven, Answer: result}
		}
		const reason = "the attempt on the twin failed: exit status 2; rocca: take protection broken away: no"
		want := map[string][]model.Twin{"A01": {failed(front, reason), fell(code)}, "A02": {fell(deny)}, "A03": {failed(broken, reason)}}
		if diff := cmp.Diff(want, got.Twins); diff != "" {
			t.Error(diff)
		}
		if intact := got.Intact["A02"]; intact.Result != model.Held || len(intact.Evidence) != 1 || len(got.Intact) != 1 {
			t.Errorf("on the twin that lacks nothing: %+v", got.Intact)
		}
		if err := g.Close(); err != nil {
			t.Error(err)
		}
		nothingLeft(t)
	})
	t.Run("keeps twins when it is told to", func(t *testing.T) {
		o := options(t)
		o.Keep = true
		g := prepared(t, o)
		got, err := g.Attack(t.Context(), []prove.Attack{disturbing(attack("A01", front))})
		if err != nil {
			t.Fatal(err)
		}
		if err := g.Close(); err != nil {
			t.Error(err)
		}
		var asked []string
		for _, name := range got.Kept {
			said, err := demo.Exec(t.Context(), name, run.Command{Argv: []string{"cat", "/root/asked"}})
			if err != nil {
				t.Error(err)
			}
			asked = append(asked, strings.TrimSpace(string(said.Stdout)))
			if err := demo.Down(t.Context(), name, nil); err != nil {
				t.Error(err)
			}
		}
		if diff := cmp.Diff([]string{"--disturb", "--without front --disturb"}, asked); diff != "" {
			t.Error(diff)
		}
		nothingLeft(t)
	})
	t.Run("is interrupted", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		g := prepared(t, options(t))
		go func() {
			for !runs(t, "sleep 1000") {
				time.Sleep(10 * time.Millisecond)
			}
			cancel(errors.New("enough"))
		}()
		if _, err := g.Attack(ctx, []prove.Attack{attack("A01", endless)}); err == nil || !strings.Contains(err.Error(), "enough") {
			t.Errorf("got %v", err)
		}
		if err := g.Close(); err != nil {
			t.Error(err)
		}
		nothingLeft(t)
	})
	t.Run("has no ground", func(t *testing.T) {
		g := prepared(t, options(t))
		if err := g.Close(); err != nil {
			t.Fatal(err)
		}
		got, err := g.Attack(t.Context(), []prove.Attack{attack("A01", code)})
		if err != nil {
			t.Fatal(err)
		}
		if twin := got.Twins["A01"][0]; twin.Result != model.NotProven || !strings.Contains(twin.Answer, "its tree is gone") {
			t.Errorf("got %+v", twin)
		}
		o := options(t)
		o.Demo = "nobody-has-this"
		if _, err := Prepare(t.Context(), o); err == nil || !strings.Contains(err.Error(), "make a twin: open demo server nobody-has-this") {
			t.Errorf("got %v", err)
		}
	})
}

func prepared(t *testing.T, o Options) *Ground {
	t.Helper()
	g, err := Prepare(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// runs tells whether a twin of this test runs a command.
func runs(t *testing.T, command string) bool {
	for _, s := range own(t) {
		got, err := s.Run(context.Background(), run.Command{Argv: []string{"pgrep", "-fx", command}})
		if err == nil && len(got.Stdout) > 0 {
			return true
		}
	}
	return false
}

// own lists the twins that this process made.
func own(t *testing.T) []*demo.Server {
	servers, err := demo.List()
	if err != nil {
		t.Error(err)
	}
	var twins []*demo.Server
	for _, s := range servers {
		if strings.HasPrefix(s.Name, fmt.Sprintf("twin-%d-", os.Getpid())) {
			twins = append(twins, s)
		}
	}
	return twins
}

func nothingLeft(t *testing.T) {
	t.Helper()
	for _, s := range own(t) {
		t.Errorf("server %s is left", s.Name)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || strings.Contains(string(mounts), fmt.Sprintf("/twin-%d-", os.Getpid())) {
		t.Errorf("a mount is left, or %v", err)
	}
}
