package incident

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/url"
	"slices"

	"rocca/internal/secret"
)

// shortest is the length from which a value is looked for.
const shortest = 6

// forms are the ways in which a secret is written down: as it is, in a URL, in
// JSON and in base64.
func forms(s secret.Secret) []string {
	value := s.Reveal()
	if len(value) < shortest {
		return nil
	}
	quoted, err := json.Marshal(value)
	all := []string{value, url.QueryEscape(value), base64.StdEncoding.EncodeToString([]byte(value))}
	if err == nil {
		all = append(all, string(quoted[1:len(quoted)-1]))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Mask writes asterisks, as many, for values that may not be written. What is
// written through it keeps its length.
type Mask struct {
	w       io.Writer
	values  [][]byte
	longest int
	rest    []byte // not written yet: the start of a value may be in it
}

// NewMask masks values on their way to a writer. Flush it at the end.
func NewMask(w io.Writer, values []string) *Mask {
	m := &Mask{w: w}
	for _, value := range values {
		m.values = append(m.values, []byte(value))
		m.longest = max(m.longest, len(value))
	}
	slices.SortFunc(m.values, func(a, b []byte) int { return len(b) - len(a) })
	return m
}

// Forms lists the ways in which secrets are written down, for NewMask.
func Forms(secrets []secret.Secret) []string {
	var all []string
	for _, s := range secrets {
		all = append(all, forms(s)...)
	}
	return all
}

// Write implements io.Writer.
func (m *Mask) Write(p []byte) (int, error) {
	if m.longest == 0 {
		return m.w.Write(p)
	}
	m.rest = append(m.rest, p...)
	m.cover()
	ready := len(m.rest) - (m.longest - 1)
	if ready <= 0 {
		return len(p), nil
	}
	if _, err := m.w.Write(m.rest[:ready]); err != nil {
		return 0, err
	}
	m.rest = append(m.rest[:0], m.rest[ready:]...)
	return len(p), nil
}

func (m *Mask) cover() {
	for _, value := range m.values {
		for at := 0; ; {
			found := bytes.Index(m.rest[at:], value)
			if found < 0 {
				break
			}
			at += found
			copy(m.rest[at:], bytes.Repeat([]byte("*"), len(value)))
			at += len(value)
		}
	}
}

// Flush writes what was held back.
func (m *Mask) Flush() error {
	m.cover()
	_, err := m.w.Write(m.rest)
	m.rest = nil
	return err
}
