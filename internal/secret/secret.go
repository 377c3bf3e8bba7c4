// Package secret holds values that must never be printed.
package secret

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"strings"
)

const redacted = "[redacted]"

// Secret is a text that shows itself as "[redacted]" wherever it is printed,
// logged or encoded. Reveal is the only way to the value, so that a search for
// "Reveal(" lists every place that uses one.
type Secret struct{ value string }

// New wraps a value.
func New(value string) Secret { return Secret{value} }

// alphabet has no characters that are confused in print (0 O 1 l I), need
// quoting in a shell, or have a meaning in an INI file.
const alphabet = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"

// Random returns n characters from the system's CSPRNG, about 5.8 bits each.
func Random(n int) Secret {
	var b strings.Builder
	buf := make([]byte, 1)
	// Rejection sampling: a modulo would favour the first characters.
	limit := byte(256 - 256%len(alphabet))
	for b.Len() < n {
		rand.Read(buf) // never fails: crypto/rand ends the program instead
		if buf[0] < limit {
			b.WriteByte(alphabet[int(buf[0])%len(alphabet)])
		}
	}
	return Secret{b.String()}
}

// Reveal returns the value itself.
func (s Secret) Reveal() string { return s.value }

// IsZero tells whether there is no value.
func (s Secret) IsZero() bool { return s.value == "" }

// Format implements fmt.Formatter, so that no verb prints the value.
func (s Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, redacted) }

// String implements fmt.Stringer.
func (s Secret) String() string { return redacted }

// MarshalText implements encoding.TextMarshaler, which JSON and YAML encoders use.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }
