package secret

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestSecretNeverPrints(t *testing.T) {
	s := New("hunter2")
	holder := struct {
		Password Secret
		Pointer  *Secret
	}{s, &s}
	var logged strings.Builder
	slog.New(slog.NewTextHandler(&logged, nil)).Info("x", "s", s, "h", holder)
	encoded, err := json.Marshal(holder)
	if err != nil {
		t.Fatal(err)
	}
	outputs := []string{string(encoded), logged.String()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		outputs = append(outputs, fmt.Sprintf(verb, s), fmt.Sprintf(verb, holder))
	}
	for _, out := range outputs {
		if strings.Contains(out, "hunter2") || strings.Contains(out, fmt.Sprintf("%x", "hunter2")) {
			t.Errorf("secret leaked: %s", out)
		}
	}
	if s.Reveal() != "hunter2" {
		t.Error("Reveal does not return the value")
	}
}

func TestRandomLengthAlphabetAndSpread(t *testing.T) {
	seen := map[rune]int{}
	for range 200 {
		value := Random(32).Reveal()
		if len(value) != 32 {
			t.Fatalf("got %d characters, want 32", len(value))
		}
		for _, r := range value {
			if !strings.ContainsRune(alphabet, r) {
				t.Fatalf("character %q is not in the alphabet", r)
			}
			seen[r]++
		}
	}
	// 6400 draws over 56 characters: each is expected about 114 times, and one
	// that is missing altogether would mean a broken sampler.
	if len(seen) != len(alphabet) {
		t.Errorf("only %d of %d characters were drawn", len(seen), len(alphabet))
	}
}
